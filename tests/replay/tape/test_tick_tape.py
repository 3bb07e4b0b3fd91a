"""Trades and quotes as a tape: what is played, in which order, and the bars that are built from the trades."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from actors import messages as m
from config.errors import UserError
from config.timeframe import opening_ns
from replay.tape import open_tape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Put = Callable[..., str]

MINUTE_MS = 60_000
FIRST_MS = 1_700_000_040_000
"""A whole minute."""
NS = 1_000_000


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Return a writer of trades or quotes; rows are (ms after the first minute, ...)."""

    def put(name: str = "trades.parquet", rows: list[tuple[Any, ...]] | None = None, **columns: Any) -> str:
        rows = rows if rows is not None else [(0, 100.0, 1.0), (30_000, 102.0, 2.0), (60_000, 101.0, 3.0)]
        quotes = len(rows[0]) > 3
        names = ("bid", "bid_quantity", "ask", "ask_quantity") if quotes else ("price", "quantity")
        table = {"ts": [FIRST_MS + row[0] for row in rows]}
        table |= {name: [row[index + 1] for row in rows] for index, name in enumerate(names)}
        path = tmp_path / name
        pl.DataFrame({**table, **columns}).write_parquet(path)
        return str(path)

    return put


def ticks_and_bars(inputs: Iterator[Any]) -> list[tuple[str, int]]:
    """Return (kind, ms after the first minute) of every input."""
    return [
        (type(each).__name__, (each.close_ns if isinstance(each, m.Bar) else each.time_ns) // NS - FIRST_MS)
        for each in inputs
    ]


def test_bars_of_recorded_trades_are_the_exchanges_own(shared_data: Path) -> None:
    """The oracle of the data's README: all five fields, of all bars but the last, which the tape cannot know whole."""
    tape = open_tape([f"XRPETH={shared_data / 'trades/binance-spot_XRPETH_trades_2019-10.parquet'}"], timeframe="1m")
    native = pl.read_parquet(shared_data / "ohlcv/1m/binance-spot_XRPETH_1m_2019-10.parquet").rows()

    bars = [(bar.open_ns // NS, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in tape.bars()]

    assert bars == native[:-1]
    assert tape.rows == len(bars) == 2_468
    played = list(tape.inputs())
    assert [each for each in played if isinstance(each, m.Bar)] == list(tape.bars())
    assert sum(isinstance(each, m.Trade) for each in played) == 12_477


def test_a_bar_is_played_at_its_close_before_the_ticks_of_that_time(put: Put) -> None:
    trades = put(rows=[(0, 100.0, 1.0), (59_999, 104.0, 2.0), (60_000, 101.0, 3.0), (185_000, 99.0, 1.0)])
    quotes = put("quotes.parquet", [(0, 99.0, 1.0, 100.0, 1.0), (60_000, 100.0, 1.0, 101.0, 2.0)])

    tape = open_tape([f"X={quotes}", f"X={trades}"], timeframe="1m")

    assert ticks_and_bars(tape.inputs()) == [
        ("Trade", 0),
        ("Quote", 0),
        ("Trade", 59_999),
        ("Bar", 60_000),
        ("Trade", 60_000),
        ("Quote", 60_000),
        ("Bar", 120_000),
        ("Trade", 185_000),
    ]
    first, second = tape.bars()
    assert (first.open, first.high, first.low, first.close, first.volume) == (100.0, 104.0, 100.0, 104.0, 3.0)
    assert (second.open_ns - first.open_ns, second.volume) == (60 * 10**9, 3.0)
    (series,) = tape.series
    assert (series.first_open_ns, series.last_open_ns) == (first.open_ns, second.open_ns)
    assert series.notes == (
        "4 trades, 2 quotes and 2 bars built of them",
        "the last bar is not complete and is left out",
    )


def test_weeks_of_trades_begin_on_mondays_as_weeks_of_bars_do(put: Put) -> None:
    """Weeks counted from 1970 would begin on Thursdays."""
    day = 86_400_000
    monday = (1_699_833_600_000 - FIRST_MS) + 7 * day  # 20 November 2023
    rows = [
        (monday - 1, 100.0, 1.0),
        (monday, 101.0, 1.0),
        (monday + 7 * day - 1, 102.0, 1.0),
        (monday + 7 * day, 1.0, 1.0),
    ]
    tape = open_tape([f"X={put(rows=rows)}"], timeframe="1w")
    assert [(bar.open_ns // NS - FIRST_MS, bar.open, bar.close) for bar in tape.bars()] == [
        (monday - 7 * day, 100.0, 100.0),
        (monday, 101.0, 102.0),
    ]
    (series,) = tape.series
    opens_ns = tuple((FIRST_MS + opened) * NS for opened in (monday - 7 * day, monday))
    assert (series.first_open_ns, series.last_open_ns) == opens_ns
    assert opening_ns(opens_ns[0], series.timeframe_ns) == opens_ns[0]
    assert any("the last bar is not complete" in note for note in series.notes)


def test_bars_of_another_symbol_and_ticks_are_played_by_time(put: Put, write: Callable[..., str]) -> None:
    bars = write("Y.csv", rows=2, first_ms=FIRST_MS - MINUTE_MS)

    tape = open_tape([f"X={put()}", f"Y={bars}"], timeframe="1m")

    assert [(each.symbol, type(each).__name__) for each in tape.inputs()] == [  # type: ignore[attr-defined]
        ("Y", "Bar"),
        ("X", "Trade"),
        ("X", "Trade"),
        ("X", "Bar"),
        ("Y", "Bar"),
        ("X", "Trade"),
    ]


@pytest.mark.parametrize("skip", [0, 1, 3, 4, 7, 8, 100])
def test_a_restarted_feed_goes_on_where_it_was(put: Put, skip: int) -> None:
    trades = put(rows=[(0, 100.0, 1.0), (59_999, 104.0, 2.0), (60_000, 101.0, 3.0), (185_000, 99.0, 1.0)])
    quotes = put("quotes.parquet", [(0, 99.0, 1.0, 100.0, 1.0), (60_000, 100.0, 1.0, 101.0, 2.0)])
    tape = open_tape([f"X={trades}", f"X={quotes}"])

    assert list(tape.inputs(skip)) == list(tape.inputs())[skip:]


def test_a_volume_is_the_exact_sum_of_its_quantities(put: Put) -> None:
    rows = [(index, 100.0, 0.1) for index in range(10)]

    tape = open_tape([f"X={put(rows=[*rows, (60_000, 100.0, 1.0)])}"])

    assert next(tape.bars()).volume == 1.0 != sum([0.1] * 10)


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000])
def test_times_in_any_unit_and_the_exchanges_names_are_the_same_tape(put: Put, factor: int) -> None:
    plain = put(side=np.array([1, -1, 0], np.int8), id=[5, 6, 9])
    path = put("other.parquet")
    frame = pl.read_parquet(path).rename({"quantity": "qty"})
    frame.with_columns(pl.col("ts") * factor, id=pl.Series([5, 6, 9]), side=pl.Series([1, -1, 0])).write_parquet(path)

    tape = open_tape([f"X={path}"])

    assert list(tape.inputs()) == list(open_tape([f"X={plain}"]).inputs())
    assert tape.fingerprint == open_tape([f"X={plain}"]).fingerprint
    first = next(tape.inputs())
    assert first == m.Trade("X", 5, 100.0, 1.0, 1, FIRST_MS * NS)


def test_words_for_sides_are_taken(put: Put) -> None:
    tape = open_tape([f"X={put(side=['buy', 'SELL', 'Buy'])}"])

    assert [each.side for each in tape.inputs() if isinstance(each, m.Trade)] == [1, -1, 1]


def test_the_tick_is_read_off_all_prices_of_trades_and_quotes(put: Put) -> None:
    quotes = put("quotes.parquet", [(0, 99.0, 1.0, 100.005, 1.0)])

    (series,) = open_tape([f"X={put()}", f"X={quotes}"]).series

    assert (series.instrument.tick, series.instrument.inferred) == (Decimal("0.001"), True)


def test_other_ticks_are_another_tape(put: Put) -> None:
    one = open_tape([f"X={put()}"])
    other = open_tape([f"X={put(side=['buy', 'buy', 'buy'])}"])
    slower = open_tape([f"X={put()}"], timeframe="30s")

    assert len({one.fingerprint, other.fingerprint, slower.fingerprint}) == 3


@pytest.mark.parametrize(
    ("columns", "refusal"),
    [
        ({"price": [1.0, -1.0, 2.0]}, "row 2: price -1.0 is not a positive number"),
        ({"price": [1.0, float("nan"), 2.0]}, "row 2: price nan is not a positive number"),
        ({"quantity": [1.0, 1.0, 0.0]}, "row 3: quantity 0.0 is not a positive number"),
        ({"side": [1, 2, 0]}, "row 2: side is 2; it is buy or sell, 1, -1 or 0"),
        ({"side": ["buy", "sell", "hold"]}, "row 3: side is 'hold'; it is buy or sell, 1, -1 or 0"),
        ({"id": [4, 4, 5]}, "row 2: id 4 does not follow the one before it"),
        ({"id": [4, None, 5]}, "row 2: id is empty"),
        (
            {"ts": [FIRST_MS, FIRST_MS - 1, FIRST_MS]},
            "row 2: time goes backwards, to 2023-11-14 22:13:59.999000000; sort by time",
        ),
        ({"ts": [FIRST_MS, FIRST_MS // 1_000, FIRST_MS]}, "row 2: ts 1700000040 is no time in the unit of row 1"),
        ({"ts": [5, 6, 7]}, "row 1: ts 5 is not a plausible time"),
        ({"price": ["a", "b", "c"]}, "column 'price' holds String values, not numbers"),
        ({"price": [1.0, 1 / 3, 2.0]}, "row 2: price 0.3333333333333333 has more than 8 decimals; give the tick "),
    ],
)
def test_a_row_that_cannot_be_true_is_named(put: Put, columns: dict[str, Any], refusal: str) -> None:
    path = put(**columns)

    with pytest.raises(UserError) as refused:
        open_tape([f"X={path}"])

    assert str(refused.value).startswith(f"{path}: {refusal}")


def test_a_missing_column_is_named_with_the_nearest(put: Put) -> None:
    path = put()
    pl.read_parquet(path).rename({"quantity": "quantum"}).write_parquet(path)

    with pytest.raises(UserError, match=r"there is no column 'quantity' \(did you mean 'quantum'\?\)"):
        open_tape([f"X={path}"])


def test_files_that_do_not_make_a_tape_are_refused(put: Put, write: Callable[..., str]) -> None:
    trades, more, bars = put(), put("more.parquet"), write("X.csv")
    quotes = put("quotes.parquet", [(0, 99.0, 1.0, 100.0, 1.0)])
    received = put("received.parquet", [(0, 99.0, 1.0, 100.0, 1.0)])
    pl.read_parquet(received).rename({"ts": "recv_ns"}).write_parquet(received)
    asked = {
        (trades, more): f"X: both {trades} and {more} hold trades; give one of them",
        (quotes,): f"X: {quotes} holds quotes and nothing trades; give its trades, too, as in --tape X=trades.parquet",
        (trades, bars): f"X is on the tape twice ({bars} and {trades}): a symbol has one series; ",
        (trades, received): f"X: the files tell no common time ({trades} by ts, {received} by recv_ns); ",
    }

    for files, refusal in asked.items():
        with pytest.raises(UserError) as refused:
            open_tape([f"X={file}" for file in files])
        assert str(refused.value).startswith(refusal)
    with pytest.raises(UserError, match="the trades make no whole 1h bar; give a shorter --timeframe"):
        open_tape([f"X={trades}"], timeframe="1h")


def test_a_column_of_ids_that_is_empty_is_none(put: Put) -> None:
    tape = open_tape([f"X={put(id=pl.Series([None, None, None], dtype=pl.Int64))}"])

    assert [each.trade_id for each in tape.inputs() if isinstance(each, m.Trade)] == [0, 0, 0]
