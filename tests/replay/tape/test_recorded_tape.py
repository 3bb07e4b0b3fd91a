"""A recorded feed as a tape: its own times and order, what its notes name, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from actors.instrument import InstrumentSpec
from actors.messages import Bar, Quote, Trade, WarmUp
from config.errors import UserError
from replay.tape import open_tape
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from replay.tape.external import ExternalSeries
from replay.tape.recording import Broke, Opened, Said, encode_said

MINUTE_NS = 60_000_000_000
START_NS = 1_700_000_040_000_000_000
SECOND_NS = 1_000_000_000
SCHEMA = {"ts": pl.Int64, "seq": pl.Int64, "message": pl.String}

Rows = list[tuple[int, int, Said]]


def spec(symbol: str, tick: str = "0.01") -> InstrumentSpec:
    return InstrumentSpec(symbol=symbol, tick=Decimal(tick), lot=Decimal("0.001"), base=symbol[:3], quote="USDT")


def opened(symbol: str = "BTC/USDT", ordinal: int = 0, **more: Any) -> Opened:
    given = {"timeframe_ns": MINUTE_NS, "instrument": spec(symbol), "ticks": True, **more}
    return Opened(symbol=symbol, streams=("bars", "trades"), start_ns=START_NS, ordinal=ordinal, **given)


def bar(index: int, symbol: str = "BTC/USDT", close: float = 100.5) -> Bar:
    open_ns = START_NS + index * MINUTE_NS
    return Bar(symbol, MINUTE_NS, open_ns, open_ns + MINUTE_NS, 100.0, 101.0, 99.0, close, 1.0)


def trade(number: int, time_ns: int, symbol: str = "BTC/USDT") -> Trade:
    return Trade(symbol, number, 100.25, 0.5, 1, time_ns)


def frame(rows: Rows) -> pl.DataFrame:
    texts = [(ts_ns, seq, encode_said(said)) for ts_ns, seq, said in rows]
    return pl.DataFrame(
        [(ts_ns, seq, text.decode()) for ts_ns, seq, text in texts if text is not None], schema=SCHEMA, orient="row"
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Rows], str]:
    def write(name: str, rows: Rows) -> str:
        frame(rows).write_parquet(tmp_path / name)
        return str(tmp_path / name)

    return write


def late(index: int) -> int:
    """Return when a bar is heard of: some time after its close, which is no multiple of anything."""
    return START_NS + (index + 1) * MINUTE_NS + 123_456_789


def recording() -> Rows:
    """Return a recording in which bars come late, a trade comes before the bar it follows, and a quote has no time."""
    history = Bar("BTC/USDT", MINUTE_NS, START_NS - MINUTE_NS, START_NS, 99.0, 99.5, 98.0, 99.0, 1.0)
    return [
        (START_NS + 5, 0, opened()),
        (START_NS + 5, 1, WarmUp("BTC/USDT", START_NS - MINUTE_NS, START_NS)),
        (START_NS + 6, 2, history),
        (START_NS + 7, 3, trade(1, START_NS + 2)),
        (START_NS + 7, 4, Quote("BTC/USDT", 100.0, 1.0, 100.5, 2.0, 0)),
        (late(0) - 9, 5, trade(2, START_NS + MINUTE_NS + 1)),
        (late(0), 6, bar(0)),
        (late(0), 7, Broke("BTC/USDT", "trades", "NetworkError: gone", 3)),
        (late(1), 8, bar(1)),
    ]


def test_it_is_played_in_its_own_order_at_the_times_it_was_heard(write: Callable[[str, Rows], str]) -> None:
    rows = recording()
    tape = open_tape([write("feed.parquet", rows)])
    heard = [(ts_ns, said) for ts_ns, _, said in rows if not isinstance(said, Opened | Broke)]
    assert list(tape.stamped()) == heard
    assert list(tape.stamped(skip=3)) == heard[3:]
    assert list(tape.inputs()) == [said for _, said in heard]
    (series,) = tape.series
    assert (series.symbol, series.timeframe_ns, series.instrument) == ("BTC/USDT", MINUTE_NS, spec("BTC/USDT"))
    assert (tape.rows, tape.start_ns, bool(series.ticks)) == (2, START_NS, True)
    assert [int(open_ns) for chunk in series.chunks() for open_ns in chunk.open_ns] == [
        START_NS,
        START_NS + MINUTE_NS,
    ], "without the history"
    assert any("trades broke once, 3 missing, first at" in note and "gone" in note for note in tape.notes)


def test_two_symbols_of_one_recording_are_one_sequence_again(write: Callable[[str, Rows], str]) -> None:
    """Both have rows of one time: the number tells which was first."""
    ether = "ETH/USDT"
    first: Rows = [(START_NS, 0, opened()), (late(0), 3, bar(0)), (late(0), 5, trade(9, 1))]
    second: Rows = [(START_NS, 1, opened(ether, 1)), (late(0), 2, bar(0, ether)), (late(0), 4, trade(7, 1, ether))]
    apart = open_tape([write("a.parquet", first), write("b.parquet", second)])
    together = open_tape([write("both.parquet", sorted(first + second, key=lambda row: row[1]))])
    for tape in (apart, together):
        assert [each.symbol for each in tape.series] == ["BTC/USDT", ether]
        assert [(said.symbol, type(said)) for _, said in tape.stamped()] == [  # type: ignore[attr-defined]
            (ether, Bar),
            ("BTC/USDT", Bar),
            (ether, Trade),
            ("BTC/USDT", Trade),
        ]


def test_stretches_without_a_listener_and_changed_rules_are_named(write: Callable[[str, Rows], str]) -> None:
    coarser = opened(instrument=spec("BTC/USDT", "0.1"))
    rows: Rows = [(START_NS, 0, opened()), (late(0), 1, bar(0)), (late(5), 2, coarser), (late(6), 3, bar(6))]
    tape = open_tape([write("feed.parquet", rows)])
    told = "\n".join(tape.notes)
    assert "nobody listened from 2023-11-14 22:15:00.123" in told
    assert "to 2023-11-14 22:20:00.123" in told
    assert "rules changed" in told
    assert tape.series[0].instrument.tick == Decimal("0.01"), "those of the beginning"


def test_an_instrument_of_ones_own_replaces_the_recorded_one_where_it_is_given(
    write: Callable[[str, Rows], str],
) -> None:
    (series,) = open_tape([write("feed.parquet", recording())], tick=Decimal("0.5")).series
    assert (series.instrument.tick, series.instrument.lot) == (Decimal("0.5"), Decimal("0.001"))


def test_a_feed_in_the_catalogue_is_played_by_its_name(tmp_path: Path) -> None:
    """Rows that come again change nothing: a recorder that died while it handed them over hands them over again."""
    catalogue = Catalogue(tmp_path / "data")
    key = SeriesKey("feed", "binance", "BTC/USDT")
    rows = recording()
    for some in (rows[:5], rows[:5], rows[3:]):
        catalogue.write(key, [frame(some)], Provenance("a recorder"))
    assert [part.period for part in catalogue.existing(key).parts] == ["2023-11-14T22"]
    tape = open_tape(["feed:binance:BTC/USDT"], data_dir=catalogue.root)
    assert list(tape.stamped()) == [(ts, said) for ts, _, said in rows if not isinstance(said, Opened | Broke)]


def test_what_is_no_number_is_not_recorded() -> None:
    assert encode_said(Trade("BTC/USDT", 1, float("nan"), 1.0, 1, 1)) is None
    assert encode_said(opened()) is not None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(START_NS, 0, bar(0))], "row 1: BTC/USDT speaks before it was opened"),
        ([(START_NS, 0, opened()), (START_NS, 1, trade(1, 1))], "BTC/USDT: no bar was heard: the recording is shorter"),
        ([(START_NS, 0, opened()), (late(1), 1, bar(1)), (late(0), 2, bar(0))], "row 3: ts 1700000100123456789, seq 2"),
        ([(START_NS, 0, opened()), (late(0), 1, bar(0)), (late(0), 1, bar(1))], "row 3: ts"),
        (
            [(START_NS, 0, opened()), (late(0), 1, bar(0)), (late(0), 2, opened(timeframe_ns=5 * MINUTE_NS))],
            "recorded with bars of 1m and 5m",
        ),
    ],
)
def test_a_recording_that_cannot_be_true_is_refused(write: Callable[[str, Rows], str], rows: Rows, words: str) -> None:
    with pytest.raises(UserError) as refused:
        open_tape([write("feed.parquet", rows)])
    assert words in str(refused.value)
    assert "feed.parquet" in str(refused.value)


@pytest.mark.parametrize("text", ['["Trade","BTC/USDT",1]', "{}", '["Order"]', "what"])
def test_a_row_that_nobody_said_is_named(tmp_path: Path, text: str) -> None:
    table = pl.concat([frame([(START_NS, 0, opened())]), pl.DataFrame([(late(0), 1, text)], SCHEMA, orient="row")])
    table.write_parquet(tmp_path / "feed.parquet")
    with pytest.raises(UserError, match=r"feed.parquet: row 2: message: nothing that was heard"):
        open_tape([str(tmp_path / "feed.parquet")])


def test_nothing_stands_beside_a_recorded_feed(write: Callable[[str, Rows], str], tmp_path: Path) -> None:
    feed = write("feed.parquet", recording())
    bars = tmp_path / "ETHUSDT.csv"
    bars.write_text("ts,open,high,low,close,volume\n1700000000000,1,1,1,1,1\n1700000060000,1,1,1,1,1\n")
    with pytest.raises(UserError, match=r"ETHUSDT.csv: it was not recorded with"):
        open_tape([feed, str(bars)])
    with pytest.raises(UserError, match="leave --timeframe out"):
        open_tape([feed], timeframe="5m")
    with pytest.raises(UserError, match="is on the tape twice"):
        open_tape([feed, feed])
    values: Sequence[ExternalSeries] = [_series_of_nothing()]
    with pytest.raises(UserError, match="--series mood: a recorded feed is played as it was heard"):
        open_tape([feed]).with_external(values)


def _series_of_nothing() -> ExternalSeries:
    import numpy as np

    nothing = np.zeros(0, np.int64)
    return ExternalSeries(name="mood", kind="values", ts_ns=nothing, known_ns=nothing, numbers=())
