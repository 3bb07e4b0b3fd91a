"""What a user names, and the tape it becomes."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from config.errors import UserError
from replay.tape import open_tape, symbol_of, synthetic_tape, tape_from_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    Tables = Callable[..., dict[str, Any]]
    Writer = Callable[..., str]

MINUTE = 60_000_000_000
HEADER = "ts,open,high,low,close,volume\n"


# --- symbols --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("binance-um_BTCUSDT_1m_2025.parquet", "BTCUSDT"),
        ("bitfinex_BTCUSD_1m_2019.parquet", "BTCUSD"),
        ("binance-spot_XRPETH_1m_2019-10.parquet", "XRPETH"),
        ("spot_LTCBTC_5m_2018-01.parquet", "LTCBTC"),
        ("btc_usdt-1m.csv.gz", "BTCUSDT"),
        ("ETH-USD.csv", "ETHUSD"),
        ("ETH_USDT_USDT-8h-mark.CSV", "ETHUSDT"),
        ("1000PEPEUSDT.parquet", "1000PEPEUSDT"),
        ("prices.csv", "PRICES"),
        ("my prices 2024.csv", "MY_PRICES_2024"),
        ("unittest_BTC_1m_2017-11_gappy.parquet", "UNITTEST_BTC_1M_2017-11_GAPPY"),
        (".csv", ".CSV"),
    ],
)
def test_a_symbol_is_read_off_the_file_name(name: str, symbol: str) -> None:
    assert symbol_of(Path("/data") / name) == symbol


def test_a_symbol_given_wins_over_the_file_name(write: Writer) -> None:
    tape = open_tape([f"ETH/USDT={write('BTCUSDT.csv')}"])
    assert tape.series[0].symbol == tape.series[0].instrument.symbol == "ETH/USDT"
    assert next(tape.bars()).symbol == "ETH/USDT"


def test_a_file_name_may_contain_an_equals_sign(write: Writer) -> None:
    assert open_tape([write("day=1_BTCUSDT.csv")]).series[0].symbol == "BTCUSDT"


@pytest.mark.parametrize("argument", ["", "BTC="])
def test_an_argument_without_a_file_is_refused_with_an_example(argument: str) -> None:
    with pytest.raises(UserError, match=r"such as BTCUSDT=btc\.csv"):
        open_tape([argument])


@pytest.mark.parametrize("argument", ["=a.csv", "B TC=a.csv", f"{'B' * 33}=a.csv"])
def test_a_symbol_that_is_none_is_refused(argument: str) -> None:
    with pytest.raises(UserError, match="is no symbol"):
        open_tape([argument])


def test_two_files_of_one_symbol_are_refused(write: Writer) -> None:
    files = [write("a_BTCUSDT.csv"), write("b_BTCUSDT.csv", step_ms=300_000)]
    with pytest.raises(UserError, match=r"BTCUSDT is on the tape twice .*a_BTCUSDT\.csv and .*--tape OTHER="):
        open_tape(files)


def test_no_file_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="--tape FILE"):
        open_tape([])


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz", "a.txt", "a.PARQUET.pq"])
def test_all_formats_hold_the_same_tape(write: Writer, make_table: Tables, name: str) -> None:
    table = make_table(40_000)
    expected = tape_from_frame(table, symbol="X")
    tape = open_tape(
        [f"X={write(name, table)}"]
        if name != "a.PARQUET.pq"
        else [f"X={Path(write('a.parquet', table)).rename(Path(write('a.csv')).with_name(name))}"]
    )
    assert list(tape.bars()) == list(expected.bars())
    assert tape.fingerprint == expected.fingerprint
    assert tape.rows == len(list(tape.bars())) == 40_000


def test_a_bar_is_what_the_row_says(write: Writer) -> None:
    first, *_, last = open_tape([write()]).bars()
    assert (first.open_ns, first.close_ns) == (1_700_000_000_000 * 10**6, 1_700_000_060_000 * 10**6)
    assert (first.symbol, first.timeframe_ns) == ("BTCUSDT", MINUTE)
    assert (first.open, first.high, first.low, first.close) == (99.4, 100.25, 99.15, 100.0)
    assert last.volume == 6.0
    assert all(type(value) is float for value in (first.open, first.volume))
    assert type(first.open_ns) is type(first.close_ns) is int


def test_a_series_knows_its_ends(write: Writer) -> None:
    (series,) = open_tape([write(rows=7)]).series
    assert (series.ordinal, series.rows, series.timeframe_ns) == (0, 7, MINUTE)
    assert series.last_open_ns is not None
    assert series.last_open_ns - series.first_open_ns == 6 * MINUTE


def test_columns_of_other_types_are_cast(write: Writer, make_table: Tables) -> None:
    table = make_table()
    whole = {name: np.rint(values).astype(np.int32) for name, values in table.items() if name != "ts"}
    whole["low"] -= 2
    whole["high"] += 2
    times = table["ts"].astype("datetime64[ms]")
    expected = list(tape_from_frame({"ts": table["ts"], **whole}, symbol="A").bars())
    decimals = {
        name: pl.Series(values).cast(pl.Decimal(12, 2)) if name == "close" else values for name, values in whole.items()
    }
    for ts in (
        times,
        pl.Series(times).dt.replace_time_zone("UTC"),
        pl.Series(times).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
        pl.Series(times).cast(pl.Datetime("us")),
        table["ts"].astype(np.float64),
        table["ts"].astype(np.uint64),
    ):
        file = write("A.parquet", {"ts": ts, **decimals, "note": ["x"] * 6})
        assert list(open_tape([f"A={file}"]).bars()) == expected


def test_daily_bars_may_carry_dates(write: Writer, make_table: Tables) -> None:
    dates = np.arange("2024-01-01", "2024-01-07", dtype="datetime64[D]")
    tape = open_tape([write("a.parquet", make_table(ts=dates))])
    assert tape.series[0].timeframe_ns == 1_440 * MINUTE
    assert tape.series[0].first_open_ns == int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    "times",
    [
        ("2024-01-01 00:00:00", "2024-01-01 00:01:00"),
        ("2024-01-01T00:00:00.000000", "2024-01-01T00:01:00.000000"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z"),
        ("2024-01-01T01:00:00+01:00", "2024-01-01T01:01:00+01:00"),
        ("2024-01-01 00:00:00", "1704067260000"),
        ("1704067200000", "2024-01-01 00:01:00"),
        ("1704067200000.0", "1704067260000.0"),
    ],
)
def test_a_csv_file_may_carry_iso_times(tmp_path: Path, times: tuple[str, str]) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEADER + "".join(f"{time},100,101,99,100,5\n" for time in times))
    assert [bar.open_ns for bar in open_tape([str(file)]).bars()] == [
        1_704_067_200 * 10**9,
        1_704_067_260 * 10**9,
    ]


@pytest.mark.parametrize(
    "text",
    [
        "ts,open,high,low,close,volume\r\n{},1,2,1,2,3\r\n{},1,2,1,2,3\r\n",
        "\ufeffts,open,high,low,close,volume\n{},1,2,1,2,3\n{},1,2,1,2,3",
        "ts, open, high, low, close, volume\n{}, 1, 2, 1, 2, 3\n{}, 1, 2, 1, 2, 3\n",
        "ts,open,high,low,close,volume\n\n{},1,2,1,2,3\n\n{},1,2,1,2,3\n\n\n",
        '"ts","open","high","low","close","volume"\n"{}","1","2","1","2","3"\n{},1,2,1,2,3\n',
        'volume,note,close,low,high,open,ts\n3,"a,b",2,1,2,1,{}\n3,"",2,1,2,1,{}\n',
    ],
    ids=[
        "crlf",
        "byte order mark, no last newline",
        "spaces",
        "blank lines",
        "quotes",
        "other order",
    ],
)
def test_harmless_ways_to_write_csv_are_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text.format(1_700_000_000_000, 1_700_000_060_000), newline="")
    bars = list(open_tape([str(file)]).bars())
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars] == [(1, 2, 1, 2, 3)] * 2


# --- instruments and notes ------------------------------------------------------------------------


@pytest.mark.parametrize("decimals", range(9))
def test_the_tick_is_read_off_the_prices(make_table: Tables, decimals: int) -> None:
    base = 100.0 + 3 * 10.0**-decimals
    table = make_table(open=[base] * 6, high=[base] * 6, low=[base] * 6, close=[base] * 6)
    tape = tape_from_frame({**table, "high": [200.0] * 6}, symbol="A")
    instrument = tape.series[0].instrument
    assert instrument.tick == Decimal(1).scaleb(-decimals)
    assert instrument.lot == Decimal("1e-8")
    assert instrument.min_notional == Decimal(0)
    assert instrument.inferred
    assert tape.series[0].notes == ()


def test_one_price_off_the_coarse_grid_refines_it(make_table: Tables) -> None:
    table = make_table(50_000)
    table["close"][49_999] = table["open"][49_999] + 0.0625
    assert tape_from_frame(table, symbol="A").series[0].instrument.tick == Decimal("0.0001")


def test_prices_with_too_many_decimals_are_rounded_half_up_and_named(
    make_table: Tables, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_table(20_000)
    table["close"][3] += 1.26e-9
    table["close"][19_000] += 7.4e-9
    table["open"][5] = table["open"][5] - 3e-9
    tape = tape_from_frame(table, symbol="A")
    assert tape.series[0].notes == ("3 prices with more than 8 decimals were rounded",)
    assert tape.series[0].instrument.tick == Decimal("1e-8")
    clean = make_table(20_000)
    clean["close"][19_000] = round(clean["close"][19_000] + 1e-8, 8)
    expected = tape_from_frame(clean, symbol="A")
    assert list(tape.bars()) == list(expected.bars())
    assert tape.fingerprint == expected.fingerprint
    monkeypatch.setattr("replay.tape.opening.KEPT_ROWS_MAX", 0)
    streamed = open_tape([f"A={write('a.parquet', table)}"])
    assert list(streamed.bars()) == list(expected.bars())


def test_large_prices_are_not_taken_for_long_ones(make_table: Tables) -> None:
    base = 1_234_567_890.12
    table = make_table(open=[base] * 6, high=[base] * 6, low=[base] * 6, close=[base] * 6)
    (series,) = tape_from_frame(table, symbol="BTCVND").series
    assert (series.instrument.tick, series.notes) == (Decimal("0.01"), ())


def test_an_instrument_given_is_kept_and_prices_off_its_tick_are_counted(write: Writer) -> None:
    tape = open_tape([write()], tick=Decimal("0.05"), lot=Decimal("0.001"), min_notional=Decimal(5))
    (series,) = tape.series
    instrument = series.instrument
    assert (instrument.tick, instrument.lot) == (Decimal("0.05"), Decimal("0.001"))
    assert (instrument.min_notional, instrument.inferred) == (Decimal(5), False)
    prices = [
        Decimal(str(price)) for bar in open_tape([write()]).bars() for price in (bar.open, bar.high, bar.low, bar.close)
    ]
    off = sum(price % Decimal("0.05") != 0 for price in prices)
    assert series.notes == (f"{off} prices are not multiples of the tick 0.05",)


def test_a_fine_tick_given_keeps_small_prices_as_they_are(make_table: Tables) -> None:
    tiny = 1.2345e-7
    table = make_table(open=[tiny] * 6, high=[tiny] * 6, low=[tiny] * 6, close=[tiny] * 6)
    tape = tape_from_frame(table, symbol="A", tick=Decimal("1e-11"))
    assert next(tape.bars()).close == tiny
    assert tape.series[0].notes == ()


@pytest.mark.parametrize("name", ["tick", "lot"])
@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_an_instrument_that_is_none_is_refused(write: Writer, name: str, value: str) -> None:
    with pytest.raises(UserError, match=f"--{name} {value}: it must be positive"):
        open_tape([write()], **{name: Decimal(value)})  # type: ignore[arg-type]


def test_a_negative_minimum_is_refused(write: Writer) -> None:
    with pytest.raises(UserError, match=r"instrument\.min_notional -1"):
        open_tape([write()], min_notional=Decimal(-1))


def test_gaps_are_allowed_and_noted(make_table: Tables) -> None:
    times = 1_700_000_000_000 + 60_000 * np.array([0, 1, 2, 5, 6, 8])
    (series,) = tape_from_frame(make_table(ts=times), symbol="A").series
    assert series.timeframe_ns == MINUTE
    assert series.notes == ("2 gaps, 3 bars missing",)


def test_the_smaller_of_two_equally_frequent_steps_is_the_timeframe(make_table: Tables) -> None:
    times = 1_700_000_000_000 + 60_000 * np.array([0, 5, 6, 11, 12])
    table = make_table(5, ts=times)
    assert tape_from_frame(table, symbol="A").series[0].timeframe_ns == MINUTE


def test_times_need_not_be_multiples_of_the_timeframe(write: Writer) -> None:
    (series,) = open_tape([write(first_ms=1_700_000_012_345)]).series
    assert (series.timeframe_ns, series.notes) == (MINUTE, ())


def test_a_timeframe_given_overrides_the_most_frequent_step(write: Writer) -> None:
    tape = open_tape([write(step_ms=300_000)], timeframe="1m")
    assert tape.series[0].notes == ("most rows are 5m apart but are played as 1m bars",)
    assert next(tape.bars()).close_ns - next(tape.bars()).open_ns == MINUTE


def test_a_timeframe_given_makes_sense_of_a_single_row(write: Writer) -> None:
    assert len(list(open_tape([write(rows=1)], timeframe="4h").bars())) == 1


# --- fingerprints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_any_other_value_is_another_fingerprint(make_table: Tables, column: str) -> None:
    table, other = make_table(20_000), make_table(20_000)
    other["low"] -= 1
    other["high"] += 1
    table["low"] -= 1
    table["high"] += 1
    other[column][19_999] = np.nextafter(other[column][19_999] + 0.01, 0)
    other[column][19_999] = round(other[column][19_999], 2)
    prints = {tape_from_frame(each, symbol="A").fingerprint for each in (table, other)}
    assert len(prints) == 2


def test_a_tape_is_told_from_another_by_symbol_timeframe_and_rows(make_table: Tables) -> None:
    table = make_table()
    tapes = [
        tape_from_frame(table, symbol="A"),
        tape_from_frame(table, symbol="B"),
        tape_from_frame(table, symbol="A", timeframe="30s"),
        tape_from_frame(make_table(5), symbol="A"),
    ]
    assert len({tape.fingerprint for tape in tapes}) == 4
    assert len({tape.series[0].fingerprint for tape in tapes}) == 2
    assert all(len(tape.fingerprint) >= 16 for tape in tapes)


# --- costs ----------------------------------------------------------------------------------------


def test_polars_is_not_imported_before_a_file_is_opened() -> None:
    code = (
        "import sys, replay.tape as t\n"
        "assert len(list(t.synthetic_tape('1:9').bars())) == 9\n"
        "print('polars' in sys.modules)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_short_tape_is_read_from_its_file_only_once(write: Writer) -> None:
    file = write("a.parquet", rows=100)
    tape = open_tape([file])
    before = list(tape.bars())
    Path(file).unlink()
    assert list(tape.bars()) == before


def test_no_more_rows_are_kept_than_the_bound(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replay.tape.opening.KEPT_ROWS_MAX", 25)
    files = [write("A.csv", rows=20), write("B.csv", rows=6), write("C.csv", rows=5)]
    names = [type(series.source).__name__ for series in open_tape(files).series]
    assert names == ["BlockSource", "_File", "BlockSource"]


def test_a_synthetic_tape_takes_an_instrument_too() -> None:
    (series,) = synthetic_tape("1:5", lot=Decimal("0.01"), min_notional=Decimal(10)).series
    assert series.instrument.lot == Decimal("0.01")
    assert series.instrument.min_notional == Decimal(10)
