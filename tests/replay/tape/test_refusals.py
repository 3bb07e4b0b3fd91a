"""Everything a tape can be refused for: one line that names the file and the row or the column."""

from __future__ import annotations

import gzip
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from config.errors import UserError
from replay.tape import open_tape

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = "ts,open,high,low,close,volume\n"
ROW = "1700000000000,100,101,99,100,5\n"


def refusal(file: str, **options: Any) -> str:
    """Return the one line a file is refused with, without the file's folder."""
    with pytest.raises(UserError) as caught:
        open_tape([file], **options)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(Path(file).parent) + "/", "")


# --- files ----------------------------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "a.parquet")) == "a.parquet: no such file"


def test_a_directory(tmp_path: Path) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    assert refusal(str(folder)) == "bars: this is a directory; give each file its own --tape"


def test_a_device() -> None:
    assert refusal("/dev/null") == "null: this is no file"


def test_a_name_that_cannot_exist(tmp_path: Path) -> None:
    assert "cannot be read (File name too long)" in refusal(str(tmp_path / ("a" * 300)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(write: Callable[..., str]) -> None:
    file = write()
    Path(file).chmod(0)
    assert refusal(file) == "BTCUSDT.csv: cannot be read (Permission denied)"


def test_a_file_that_cannot_be_opened(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above shows, also for root."""
    file = write()

    def deny(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    assert refusal(file) == "BTCUSDT.csv: cannot be read (Permission denied)"


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert refusal(str(tmp_path / name)) == f"{name}: the file is empty"


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.csv.gz"])
def test_a_file_without_rows(write: Callable[..., str], name: str) -> None:
    assert refusal(write(name, rows=0)) == f"{name}: there are no rows"


def test_text_that_calls_itself_parquet(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    file.write_text(HEADER + ROW)
    assert refusal(str(file)).startswith("a.parquet: not a whole Parquet file (")


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.999])
def test_a_parquet_file_cut_short(write: Callable[..., str], keep: float) -> None:
    file = Path(write("a.parquet", rows=20_000))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep)])
    assert refusal(str(file)).startswith("a.parquet: not a whole Parquet file (")


def test_a_parquet_file_with_a_garbled_page(write: Callable[..., str]) -> None:
    file = Path(write("a.parquet", rows=20_000))
    data = bytearray(file.read_bytes())
    data[1_000:3_000] = bytes(range(250)) * 8
    file.write_bytes(data)
    assert refusal(str(file)).startswith("a.parquet: ")


def test_a_gzip_file_cut_short(write: Callable[..., str]) -> None:
    file = Path(write("a.csv.gz", rows=20_000))
    file.write_bytes(file.read_bytes()[:-100])
    assert refusal(str(file)).startswith("a.csv.gz: cannot be read to its end (")


def test_a_gzip_file_of_something_else(tmp_path: Path) -> None:
    file = tmp_path / "a.csv.gz"
    file.write_bytes(gzip.compress(b"hello\n"))
    assert "there is no column 'ts'" in refusal(str(file))


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    file = tmp_path / "a.feather"
    file.write_bytes(b"ARROW1\0\0\xff\xff\xff\xff")
    assert refusal(str(file)) == "a.feather: neither a Parquet nor a CSV file"


def test_a_line_without_end(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEADER + ROW + "1" * 6_000_000)
    assert refusal(str(file)) == "a.csv: a line is longer than 1,048,576 bytes"


def test_a_file_changed_after_it_was_opened(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replay.tape.opening.KEPT_ROWS_MAX", 0)
    file = write(rows=50)
    tape = open_tape([file])
    write(rows=60)
    with pytest.raises(UserError, match="the file was changed after it was opened"):
        next(tape.bars())


# --- columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_missing_column_suggests_the_nearest(
    write: Callable[..., str], make_table: Callable[..., dict[str, Any]], name: str
) -> None:
    table = make_table()
    table["Volume"] = table.pop("volume")
    assert refusal(write(name, table)) == (
        f"{name}: there is no column 'volume' (did you mean 'Volume'?); "
        f"the columns are: ts, open, high, low, close, Volume"
    )


def test_a_time_column_of_another_name_is_asked_about(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEADER.replace("ts", "timestamp") + ROW)
    assert "there is no column 'ts' (is it 'timestamp'? ts is the open time" in refusal(str(file))


def test_a_csv_file_without_header(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(ROW * 2)
    assert refusal(str(file)) == (
        "a.csv: there is no header; the first line must name the columns ts,open,high,low,close,volume"
    )


def test_a_csv_file_that_begins_with_an_empty_line(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("\n" + HEADER + ROW)
    assert refusal(str(file)).startswith("a.csv: the first line is empty; ")


def test_a_column_named_twice(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEADER.replace("high", "open,high") + ROW)
    assert refusal(str(file)) == "a.csv: there are 2 columns named 'open'"


def test_a_parquet_column_that_holds_text(write: Callable[..., str], make_table: Callable[..., dict[str, Any]]) -> None:
    table = make_table()
    table["close"] = [str(value) for value in table["close"]]
    assert refusal(write("a.parquet", table)) == "a.parquet: column 'close' holds String values, not numbers"


def test_a_time_that_is_a_duration(write: Callable[..., str], make_table: Callable[..., dict[str, Any]]) -> None:
    table = make_table()
    table["ts"] = pl.Series(table["ts"]).cast(pl.Duration("ms"))
    assert "column 'ts' holds Duration" in refusal(write("a.parquet", table))


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("open", math.nan, "open is nan, not a finite number"),
        ("high", math.inf, "high is inf, not a finite number"),
        ("low", -math.inf, "low is -inf, not a finite number"),
        ("close", math.nan, "close is nan, not a finite number"),
        ("volume", math.nan, "volume is nan, not a finite number"),
        ("volume", math.inf, "volume is inf, not a finite number"),
        ("open", 0.0, "open 0.0 is not positive"),
        ("close", -5.0, "close -5.0 is not positive"),
        ("low", 0.0, "low 0.0 is not positive"),
        ("high", 1e300, "high 1e+300 is not a plausible price"),
        ("volume", -1.0, "volume -1.0 is negative"),
        ("high", 90.0, "high 90.0 is below low"),
        ("open", 120.0, "open 120.0 is above high"),
        ("open", 50.0, "open 50.0 is below low"),
        ("close", 120.0, "close 120.0 is above high"),
        ("close", 50.0, "close 50.0 is below low"),
    ],
)
def test_a_value_that_cannot_be_true(
    write: Callable[..., str],
    spoil: Callable[..., dict[str, Any]],
    column: str,
    value: float,
    text: str,
) -> None:
    table = spoil(column, 4, value)
    for name in ("a.csv", "a.parquet"):
        assert refusal(write(name, table)).startswith(f"{name}: row 4: {text}")


def test_the_first_wrong_row_is_named_even_far_down(
    write: Callable[..., str], spoil: Callable[..., dict[str, Any]]
) -> None:
    table = spoil("volume", 61_234, -1.0, rows=70_000)
    table["low"][65_000] = 0.0
    assert refusal(write("a.parquet", table)) == "a.parquet: row 61234: volume -1.0 is negative"
    assert refusal(write("a.csv", table)) == "a.csv: row 61234: volume -1.0 is negative"


@pytest.mark.parametrize("column", ["ts", "open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_an_empty_value(
    write: Callable[..., str], spoil: Callable[..., dict[str, Any]], name: str, column: str
) -> None:
    assert refusal(write(name, spoil(column, 3, None))) == f"{name}: row 3: {column} is empty"


@pytest.mark.parametrize("text", ["abc", "1,5", "12abc", "1_000", "0x10", "True"])
def test_a_csv_value_that_is_no_number(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEADER + ROW + f'1700000060000,100,101,99,100,"{text}"\n')
    assert refusal(str(file)) == f"a.csv: row 2: volume {text!r} is not a number"


def test_a_csv_time_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEADER + ROW + "01/02/2024 00:00,100,101,99,100,5\n")
    assert refusal(str(file)) == "a.csv: row 2: ts '01/02/2024 00:00' is not a time"


@pytest.mark.parametrize(
    ("line", "count"),
    [("1700000060000,100,101,99,100", 5), ("1700000060000,100,101,99,100,5,5", 7)],
)
def test_a_csv_row_with_values_too_few_or_too_many(tmp_path: Path, line: str, count: int) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEADER + ROW + line + "\n")
    assert refusal(str(file)) == f"a.csv: row 2 has {count} values, the header 6"


def test_a_price_that_rounding_would_change(
    write: Callable[..., str], make_table: Callable[..., dict[str, Any]]
) -> None:
    tiny = 1.23456e-7
    table = make_table(open=[tiny] * 6, high=[tiny] * 6, low=[tiny] * 6, close=[tiny] * 6)
    file = write("a.csv", table)
    assert refusal(file) == (
        "a.csv: row 1: open 1.23456e-07 has more than 8 decimals and rounding would change it by "
        "more than 0.01 %; give the tick (--set instrument.tick=...)"
    )


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "unit"),
    [
        (1_700_000_000, "seconds"),
        (1_700_000_000_000_000, "microseconds"),
        (17 * 10**17, "nanoseconds"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_times_in_another_unit(write: Callable[..., str], name: str, first: int, unit: str) -> None:
    file = write(name, first_ms=first)
    assert refusal(file) == (f"{name}: row 1: ts {first} looks like {unit}; ts is the open time in UTC milliseconds")


@pytest.mark.parametrize("ts", [-1, 0, 5, 2 * 10**13])
def test_times_that_are_none(write: Callable[..., str], spoil: Callable[..., dict[str, Any]], ts: int) -> None:
    assert f"row 2: ts {ts} is not a plausible time" in refusal(write("a.csv", spoil("ts", 2, ts)))


def test_a_time_with_a_fraction(write: Callable[..., str], make_table: Callable[..., dict[str, Any]]) -> None:
    file = write("a.parquet", make_table(ts=np.arange(6) * 60_000.5 + 1_700_000_000_000))
    assert refusal(file) == "a.parquet: row 2: ts is 1700000060000.5, not a whole number"


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_timestamp_twice(write: Callable[..., str], spoil: Callable[..., dict[str, Any]], name: str) -> None:
    file = write(name, spoil("ts", 3, 1_700_000_060_000))
    assert refusal(file) == (f"{name}: row 3: its time, 2023-11-14 22:14:20, is a duplicate of the row before it")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_time_going_backwards(write: Callable[..., str], spoil: Callable[..., dict[str, Any]], name: str) -> None:
    file = write(name, spoil("ts", 5, 1_700_000_030_000))
    assert refusal(file) == f"{name}: row 5: time goes backwards, to 2023-11-14 22:13:50"


def test_time_going_backwards_where_one_block_ends(
    write: Callable[..., str], make_table: Callable[..., dict[str, Any]]
) -> None:
    table = make_table(40_000)
    table["ts"][16_384:] -= 60_000 * 10
    assert "row 16385: time goes backwards" in refusal(write("a.parquet", table))


def test_a_file_with_the_newest_row_first(write: Callable[..., str], make_table: Callable[..., dict[str, Any]]) -> None:
    table = {name: values[::-1] for name, values in make_table().items()}
    assert refusal(write("a.csv", table)).endswith("; the newest row seems to be first: sort by ts")


def test_a_step_shorter_than_the_most_frequent_one(
    write: Callable[..., str], spoil: Callable[..., dict[str, Any]]
) -> None:
    file = write("a.csv", spoil("ts", 6, 1_700_000_240_000 + 1_000))
    assert refusal(file) == (
        "a.csv: row 6 is only 1s after the row before it, less than the timeframe 1m (most frequent step)"
    )


def test_a_step_shorter_than_the_timeframe_given(write: Callable[..., str]) -> None:
    assert refusal(write(), timeframe="5m") == (
        "BTCUSDT.csv: row 2 is only 1m after the row before it, less than the timeframe 5m (given)"
    )


def test_a_single_row_without_a_timeframe(write: Callable[..., str]) -> None:
    assert refusal(write(rows=1)) == ("BTCUSDT.csv: a single row does not tell its timeframe; give it with --timeframe")


def test_rows_without_any_common_step(write: Callable[..., str], make_table: Callable[..., dict[str, Any]]) -> None:
    rows = 70_000
    table = make_table(rows, ts=1_700_000_000_000 + np.cumsum(1_000 + np.arange(rows)))
    assert "there are over 65,536 different steps in time" in refusal(write("a.parquet", table))
