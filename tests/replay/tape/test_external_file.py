"""What is read from a file of values: which column, when each could be known, and what is refused."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from actors import messages as m
from config.errors import UserError
from replay.tape.external import ExternalSeries, Playlist
from replay.tape.external_file import open_series, parse_series

HOUR = 3_600 * 10**9
T0 = 1_700_006_400_000_000_000
SYMBOLS = ("BTCUSDT",)


def write(folder: Path, text: str, name: str = "file.csv") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def opened(argument: str) -> ExternalSeries:
    (series,) = open_series([argument], SYMBOLS)
    return series


def messages(*series: ExternalSeries) -> list[m.Message]:
    return list(Playlist(series, 0, None).messages())


def test_an_argument_is_a_name_a_file_and_what_is_said_of_it() -> None:
    assert parse_series("fng=a.csv") == ("fng", "a.csv", None, None)
    assert parse_series("oi=a,b.csv,delay=8h,column=x") == ("oi", "a,b.csv", 8 * HOUR, "x")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("file.csv", "write it as NAME=FILE"),
        ("=file.csv", "write it as NAME=FILE"),
        ("fng=", "write it as NAME=FILE"),
        ("a b=file.csv", "write it as NAME=FILE"),
        ("fng=file.csv,delya=8h", "did you mean 'delay'"),
        ("fng=file.csv,delay=8h,delay=9h", "delay"),
        ("fng=file.csv,delay=-8h", "delay '-8h'"),
        ("fng=file.csv,delay=soon", "delay 'soon'"),
    ],
)
def test_an_argument_of_another_form_is_refused(argument: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_series(argument)


@pytest.mark.parametrize(
    ("first", "second", "unit"),
    [
        (T0 // 10**9, T0 // 10**9 + 3_600, "seconds"),
        (T0 // 10**6, T0 // 10**6 + 3_600_000, "milliseconds"),
        (T0 // 10**3, T0 // 10**3 + 3_600_000_000, "microseconds"),
        (T0, T0 + HOUR, "nanoseconds"),
        ("2023-11-15T00:00:00Z", "2023-11-15 01:00:00+00:00", "ISO text"),
        ("2023-11-15T00:00:00", "2023-11-15T03:00:00+02:00", "ISO text"),
    ],
)
def test_times_are_told_by_their_size_and_the_unit_is_said(
    tmp_path: Path, first: object, second: object, unit: str
) -> None:
    series = opened(f"fng={write(tmp_path, f'time,value{chr(10)}{first},30{chr(10)}{second},40{chr(10)}')}")
    assert messages(series) == [m.External("fng", 30.0, T0, T0), m.External("fng", 40.0, T0 + HOUR, T0 + HOUR)]
    assert f"times in {unit}" in series.notes[0]


def test_a_delay_moves_when_a_value_is_known_and_not_what_it_speaks_of(tmp_path: Path) -> None:
    file = write(tmp_path, f"ts,value\n{T0},30\n")
    assert messages(opened(f"fng={file},delay=1d")) == [m.External("fng", 30.0, T0, T0 + 24 * HOUR)]


def test_a_file_may_say_itself_when_its_values_were_published(tmp_path: Path) -> None:
    file = write(tmp_path, f"ts,value,published\n{T0},1,{T0 + 5 * HOUR}\n{T0 + HOUR},2,{T0 + 3 * HOUR}\n")
    series = opened(f"gdp={file}")
    assert [one.value for one in messages(series)] == [2.0, 1.0]  # type: ignore[attr-defined]
    assert "published as the file says" in series.notes[0]
    with pytest.raises(UserError, match="a delay has no meaning"):
        opened(f"gdp={file},delay=1h")


def test_rows_out_of_order_are_sorted_and_equal_ones_are_one(tmp_path: Path) -> None:
    series = opened(f"fng={write(tmp_path, f'ts,value{chr(10)}{T0 + HOUR},2{chr(10)}{T0},1{chr(10)}{T0},1{chr(10)}')}")
    assert [one.value for one in messages(series)] == [1.0, 2.0]  # type: ignore[attr-defined]
    assert "out of order" in series.notes[0]


def test_a_correction_is_a_value_of_its_own_that_was_published_later(tmp_path: Path) -> None:
    file = write(tmp_path, f"ts,value,published\n{T0},1,{T0 + HOUR}\n{T0},2,{T0 + 9 * HOUR}\n")
    corrected = [m.External("gdp", 1.0, T0, T0 + HOUR), m.External("gdp", 2.0, T0, T0 + 9 * HOUR)]
    assert messages(opened(f"gdp={file}")) == corrected


def test_every_file_format_gives_the_same_values_and_the_same_fingerprint(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ts": [datetime(2023, 11, 15, tzinfo=UTC)], "Value": [30]})
    frame.write_parquet(tmp_path / "a.parquet")
    plain = write(tmp_path, f"ts,value,label\n{T0 // 10**6},30,Fear\n")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(Path(plain).read_bytes()))
    files = (tmp_path / "a.parquet", plain, tmp_path / "a.csv.gz")
    assert len({opened(f"fng={file}").fingerprint() for file in files}) == 1


def test_the_column_is_the_named_one_or_the_only_one_with_numbers(tmp_path: Path) -> None:
    file = write(tmp_path, f"ts,label,score,weight\n{T0},Fear,30,2\n")
    assert messages(opened(f"fng={file},column=Weight")) == [m.External("fng", 2.0, T0, T0)]
    with pytest.raises(UserError, match="which column holds the values"):
        opened(f"fng={file}")
    with pytest.raises(UserError, match="did you mean 'score'"):
        opened(f"fng={file},column=scores")


def test_a_series_named_as_a_symbol_is_that_markets_own(tmp_path: Path) -> None:
    funding = write(tmp_path, f"fundingTime,fundingRate,markPrice\n{T0},0.0001,100.5\n", "funding.csv")
    interest = write(tmp_path, f"ts,oi,oi_value\n{T0},7,700\n", "oi.csv")
    liquidations = write(tmp_path, f"time,side,price,qty\n{T0},SELL,90,2\n{T0},SELL,90,2\n", "liq.csv")
    found = open_series([f"BTCUSDT={file}" for file in (funding, interest, liquidations)], SYMBOLS)
    assert messages(*found) == [
        m.Mark("BTCUSDT", 100.5, 0.0, T0),
        m.Funding("BTCUSDT", 0.0001, T0, T0),
        m.OpenInterest("BTCUSDT", 7.0, 700.0, T0),
        m.Liquidation("BTCUSDT", m.SELL, 90.0, 2.0, T0),
        m.Liquidation("BTCUSDT", m.SELL, 90.0, 2.0, T0),
    ]


def test_bars_of_marks_are_known_at_their_close(tmp_path: Path) -> None:
    rows = "".join(f"{T0 + index * 8 * HOUR},1,3,1,{2 + index},0\n" for index in range(2))
    file = write(tmp_path, f"ts,open,high,low,close,volume\n{rows}")
    closes_ns = [T0 + 8 * HOUR, T0 + 16 * HOUR]
    assert messages(opened(f"BTCUSDT={file}")) == [
        m.Mark("BTCUSDT", 2.0, 0.0, closes_ns[0]),
        m.Mark("BTCUSDT", 3.0, 0.0, closes_ns[1]),
    ]


@pytest.mark.parametrize(
    ("time", "known_ns"),
    [
        ("1700006400.000001", T0 + 1_000),
        ("1700006400.9", T0 + 900_000_000),
        ("1700006400999.25", T0 + 999_250_000),
        ("2023-11-15T02:00:00.000000001+02:00", T0 + 1),
    ],
)
def test_a_value_is_not_known_before_the_fraction_of_its_time(tmp_path: Path, time: str, known_ns: int) -> None:
    assert opened(f"fng={write(tmp_path, f'ts,value{chr(10)}{time},1{chr(10)}')}").known_ns.tolist() == [known_ns]
    late = opened(f"fng={write(tmp_path, f'ts,value,published{chr(10)}{T0},1,{time}{chr(10)}')}")
    assert (late.ts_ns.tolist(), late.known_ns.tolist()) == ([T0], [known_ns])
    decimal = pl.DataFrame({"ts": pl.Series(["1700006400.000001"]).cast(pl.Decimal(20, 6)), "value": [1.0]})
    decimal.write_parquet(tmp_path / "d.parquet")
    assert opened(f"fng={tmp_path / 'd.parquet'}").known_ns.tolist() == [T0 + 1_000]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("ts,value\n01/02/2024,1\n", "row 1: ts '01/02/2024' is not a time in ISO 8601"),
        ("ts,value\n2024-01-31,1\n02.02.2024,1\n", "row 2: ts '02.02.2024' is not a time in ISO 8601"),
        ("ts,value\n", "there are no rows"),
        ("when,value\n1,2\n", "there is no column of times"),
        (f"ts,value\n{T0},x\n", "row 1: value 'x' is not a number"),
        (f"ts,value\n{T0},1\n{T0 + 1},\n", "row 2: value is empty"),
        (f"ts,value\n{T0},1\n{T0 + 1},inf\n", "row 2: value 'inf' is not a number"),
        (f"ts,value\n{T0},1\n,2\n", "row 2: ts is empty"),
        ("ts,value\n2023-11-15,1\nyesterday,2\n", "row 2: ts 'yesterday' is not a time"),
        ("ts,value\n17,1\n", "row 1: ts '17' is not a plausible time"),
        (f"ts,value\n{T0},1\n{T0 // 10**6},2\n", "row 2: ts '1700006400000' is not a time in nanoseconds"),
        (f"ts,value\n{T0},1\n{T0},2\n", "row 2: 2023-11-15 00:00:00 is there twice"),
        (f"ts,value,Value\n{T0},1,2\n", "2 columns named 'value'"),
    ],
)
def test_bad_files_are_refused_by_row_and_column(tmp_path: Path, text: str, words: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UserError) as refused:
        opened(f"fng={file}")
    assert str(refused.value).startswith(file)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 and no more")
    for file, words in (("nowhere.csv", "no such file"), (str(tmp_path), "directory"), (str(torn), "neither")):
        with pytest.raises(UserError, match=words):
            opened(f"fng={file}")


@pytest.mark.parametrize(
    ("text", "option", "words"),
    [
        (f"ts,value\n{T0},1\n", "", "BTCUSDT is a symbol of the tape"),
        (f"ts,rate\n{T0},1\n", ",delay=8h", "funding is paid when it is settled"),
        (f"ts,rate\n{T0},1\n", ",column=rate", "give the series a name of its own"),
        (f"ts,side,price,qty\n{T0},LONG,1,1\n", "", "row 1: side 'LONG' is not a side"),
        (f"ts,open,high,low,close\n{T0},1,1,1,1\n", "", "the length of its one bar"),
    ],
)
def test_what_is_no_markets_own_is_refused(tmp_path: Path, text: str, option: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        opened(f"BTCUSDT={write(tmp_path, text)}{option}")


def test_the_same_series_twice_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, f"ts,rate\n{T0},1\n")
    with pytest.raises(UserError, match="BTCUSDT has funding twice"):
        open_series([f"BTCUSDT={file}", f"BTCUSDT={file}"], SYMBOLS)


def test_a_tape_begins_with_what_was_known_and_ends_with_its_bars(tmp_path: Path) -> None:
    rows = "".join(f"{T0 + index * HOUR},{index}\n" for index in range(6))
    value = opened(f"fng={write(tmp_path, 'ts,value' + chr(10) + rows)}")
    rate = opened(f"BTCUSDT={write(tmp_path, 'ts,rate' + chr(10) + rows, 'rate.csv')}")
    played = Playlist([value, rate], T0 + 2 * HOUR, T0 + 4 * HOUR)
    told = [(type(one).__name__, getattr(one, "value", getattr(one, "rate", None))) for one in played.messages()]
    expected = [("External", 1.0)]
    expected += [(kind, float(index)) for index in (2, 3, 4) for kind in ("External", "Funding")]
    assert told == expected, "what was paid before the tape began is nobody's"
    assert [list(played.messages(skip)) for skip in range(8)] == [list(played.messages())[skip:] for skip in range(8)]


def test_a_tape_begins_with_the_newest_reading_and_not_with_an_older_one_corrected_later(tmp_path: Path) -> None:
    rows = [(0, 1, 1), (1, 2, 2), (1, 2.5, 3), (0, 1.5, 4), (0, 1.75, 6), (2, 3, 7)]
    text = "".join(f"{T0 + ts * HOUR},{value},{T0 + at * HOUR}\n" for ts, value, at in rows)
    series = opened(f"gdp={write(tmp_path, 'ts,value,published' + chr(10) + text)}")
    played = list(Playlist([series], T0 + 5 * HOUR, None).messages())
    assert [(each.value, each.published_ns - T0) for each in played if isinstance(each, m.External)] == [
        (2.5, 3 * HOUR),
        (1.75, 6 * HOUR),
        (3.0, 7 * HOUR),
    ]


def test_older_open_interest_that_is_corrected_later_is_not_told_as_the_newest(tmp_path: Path) -> None:
    """Such a message does not say what time it speaks of; nor do marks, which value positions."""
    rows = [(0, 1, 1), (1, 2, 2), (0, 1.5, 3), (1, 2.5, 4), (2, 3, 5)]
    text = "".join(f"{T0 + ts * HOUR},{quantity},{T0 + at * HOUR}\n" for ts, quantity, at in rows)
    series = opened(f"BTCUSDT={write(tmp_path, 'ts,open_interest,published' + chr(10) + text)}")
    told = Playlist([series], T0, None).messages()
    assert [each.quantity for each in told if isinstance(each, m.OpenInterest)] == [1, 2, 2.5, 3]


def test_recorded_series_are_read(shared_data: Path) -> None:
    fng = opened(f"fng={shared_data / 'sentiment/fear_greed_daily_2018-2021.parquet'},delay=1d")
    assert len(fng) == 1_427
    assert (fng.known_ns - fng.ts_ns == 24 * HOUR).all()
    funding = opened(f"BTCUSDT={shared_data / 'funding/binance-um_BTCUSDT_funding_2025.parquet'}")
    assert (funding.kind, len(funding)) == ("funding", 329)
    interest = opened(f"BTCUSDT={shared_data / 'open_interest/binance-um_BTCUSDT_oi_5m_2024-05-09.parquet'}")
    assert (interest.kind, len(interest)) == ("open_interest", 72)
    marks = opened(f"BTCUSDT={shared_data / 'mark/binance-um_BTCUSDT_mark_8h_2025.parquet'}")
    assert marks.kind == "mark"
    assert (marks.known_ns - marks.ts_ns == 8 * HOUR).all()
