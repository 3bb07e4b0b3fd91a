"""Bad files: one line that names file, row and column."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from typing import TYPE_CHECKING

import polars as pl
import pytest

from config.errors import UserError
from replay.tape.importing import inspect, read, unpacking

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "ts,open,high,low,close,volume"
GOOD = [f"{1_704_067_200_000 + 60_000 * index},5,6,4,5.5,{index}" for index in range(3_000)]


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            # Its own time would make names of tests that differ from process to process.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def refusal(path: Path, content: str | bytes, **options: str) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as raised:
        for _ in read(path, inspect(path, **options)):  # type: ignore[arg-type]
            pass
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text[len(str(path)) + 2 :]


def with_row(row: int, line: str) -> str:
    lines = list(GOOD)
    lines[row - 1] = line
    return "\n".join([HEADER, *lines])


@pytest.mark.parametrize("row", [2, 2_900])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1704067200,5,6,4,5,1", "column 'ts': '1704067200' is in seconds, the rows before it in milliseconds"),
        ("1704067200000000,5,6,4,5,1", "is in microseconds, the rows before it in milliseconds: one file, one unit"),
        ("12,5,6,4,5,1", "column 'ts': '12' is not a time"),
        ("1704067260000,5,6,four,5,1", "column 'low': 'four' is not a number"),
        ("1704067260000,5,6,4,,1", "column 'close' is empty"),
        ("1704067260000,5,6,4,nan,1", "column 'close' is empty"),
        ("1704067260000,5,inf,4,5,1", "column 'high': 'inf' is not a number"),
        ("1704067260000,5,6,4,5", "has 5 values, the rows before it 6"),
        ("1704067260000,5,6,4,5,1,2", "has 7 values, the rows before it 6"),
        ('1704067260000,"5,1",6,4,5,1', "column 'open': '5,1' is not a number"),
        (HEADER, "a header stands in the middle of the file"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, line: str, said: str, row: int) -> None:
    text = refusal(tmp_path / "a.csv", with_row(row, line))
    assert text.startswith(f"row {row}")
    assert said in text


def test_a_value_too_many_where_not_all_columns_are_taken(tmp_path: Path) -> None:
    """A row of 5,5 for 5.5 would shift all values behind it."""
    lines = [f"{line},x,y" for line in GOOD]
    lines[2_899] = lines[2_899].replace("5.5", "5,5")
    text = refusal(tmp_path / "a.csv", "\n".join([HEADER + ",more,less", *lines]))
    assert text == "row 2900 has 9 values, the rows before it 8"
    lines[2_998] = lines[2_998].removesuffix(",y")
    text = refusal(tmp_path / "a.csv", "\n".join([HEADER + ",more,less", *lines]))
    assert text == "row 2900 has 9 values, the rows before it 8"


def test_times_with_and_without_an_offset_do_not_mix(tmp_path: Path) -> None:
    lines = ["date,value", "2024-01-01 00:00:00+02:00,1", "2024-01-01 01:00:00,2"]
    text = refusal(tmp_path / "a.csv", "\n".join(lines))
    assert text.startswith("row 2: column 'date': '2024-01-01 01:00:00' names no offset from UTC")
    lines = ["date,value", "2024-01-01 00:00:00,1", "2024-01-01 01:00:00Z,2"]
    text = refusal(tmp_path / "a.csv", "\n".join(lines))
    assert text.startswith("row 2: column 'date': '2024-01-01 01:00:00Z' names an offset from UTC")


def test_two_symbols_in_one_file(tmp_path: Path) -> None:
    text = refusal(tmp_path / "a.csv", f"symbol,{HEADER}\nBTC,{GOOD[0]}\nBTC,{GOOD[1]}\nETH,{GOOD[2]}\n")
    assert text.startswith("row 3: column 'symbol' is 'ETH' after 'BTC'")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("ts,open,high,low,clsoe,volume", "there is no column 'close' (did you mean 'clsoe'?)"),
        ("tmestamp,open,high,low,close,volume", "there is no column 'ts' (did you mean 'tmestamp'?)"),
        ("ts,open,high,low,close,volume,volume", "2 columns are named 'volume'"),
        ("a,b,c,d,e,f", "it looks like no kind of series; the columns are: a, b, c, d, e, f"),
        ("ts,open,high,low,close,adjusted", "there is no column 'volume' (read as bars)"),
        ("ts,open,high,low,close,Volume USDT", "there is no column 'volume' (read as bars)"),
        ("ts,open,high,low,close,closetime", "there is no column 'volume' (read as bars)"),
        ("close_time,open,high,low,close,volume", "there is no column 'ts' (did you mean 'close_time'?)"),
    ],
)
def test_wrong_names_of_columns(tmp_path: Path, header: str, said: str) -> None:
    row = GOOD[0] + (",1" if header.count(",") == 6 else "")
    assert said in refusal(tmp_path / "a.csv", f"{header}\n{row}\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b",,,,,\n,,,,,\n", "the file is empty: there are delimiters and no value"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"[]", "the file is empty"),
        (HEADER.encode() + b"\n", "there is a header and no row"),
        (HEADER.encode("utf-16"), "the text is UTF-16; save it as UTF-8"),
        (b"\0\1\2\3", "neither Parquet, Feather, JSON nor CSV"),
        (b"FEA1....", "Feather version 1 is not read here"),
        (b"PAR1....", "not a whole Parquet file"),
        (b"ARROW1..", "not a whole Feather file"),
        (b"\x28\xb5\x2f\xfd....", "Zstandard is not read here; unpack it first"),
        (b"[[1704067200000,1,1,1,1,1],[17040672", "the array is cut off: it does not end"),
        (b"[" * 100_000, "the array is cut off: it does not end"),
        (b'{"a":' * 100_000, "row 1 is not JSON"),
        (
            b'[{"ts":1704067200000,"value":true}]',
            "row 1: column 'value' is of type Boolean, which holds no such values",
        ),
        (b'[{"ts":1704067200000,"value":[1]}]', "row 1: column 'value': '[1]' is not a number"),
        (gzip.compress(b"1" * 2**20, mtime=0), "row 1: a line is longer than 262,144 bytes"),
        (b"ts,value\n2024-01-01," + b"1" * 2**19 + b"\n", "row 1: a line is longer than"),
        (b"ts,value\n2024-01-01," + b"1" * 2**17 + b"x\n", "row 1 is not CSV (field larger than field limit (131072))"),
        (b"ts,value\n1970-01-01,1\n1970-01-02,1\n", "row 1: column 'ts': '1970-01-01' is no time that exists, or none"),
        (b"ts,value\n2024-01-01T00:00:00+25:00,1\n", "'2024-01-01T00:00:00+25:00' is not a time"),
        (b"ts,value\n2024-01-01,1,\n", "row 1 has 3 values, the header 2"),
        (b"date,value\n2024-01-01,1,2\n", "row 1 has 3 values, the header 2"),
        (b"ts;value\n2024-01-01;1,5\n2024-01-02;1.234\n", "row 2: column 'value': '1.234' has a point, in a file of"),
        (b'[{"ts":1704067200000,"value":1},3]', "row 2 is '3', neither an object nor an array"),
        (b'[{"ts":1704067200000,"value":1}, "x]", []]', "row 2 is '\"x]\"', neither an object nor an array"),
        (b"[[1704067200000,1]] [[1704067260000,2]]", "there is more behind the end of the array, after row 1"),
        (b"[[1704067200000,1],[1704067200000,1,2]]", "row 2 is '[1704067200000, 1, 2]', not an array of 2 values"),
        (b'{"ts":1}\n{"ts"', "row 2 is not JSON"),
        (b"PK\x05\x06" + bytes(18), "there is no file in the archive"),
        (gzip.compress("\n".join([HEADER, *GOOD]).encode(), mtime=0)[:-300], "is damaged or cut off"),
        (zipped(a=b"x" * 10_000)[:60], "is damaged or cut off"),
        (zipped(a=gzip.compress(b"x", mtime=0)), "a: is packed twice; unpack it once"),
        (zipped(a=b"ts,value\n2024-01-01,1\n", b=b"ts,rate\n2024-01-01,1\n"), "b: holds funding, and a holds values"),
        (
            b"1704067200000,a,b,c,d\n",
            "row 1 (1704067200000,a,b,c,d): no header, and no known layout has such 5 columns",
        ),
        (b"ts,open,high,low,close,volume\n2024-01-01,1,1,1,1,1\n", "one row does not tell the length of a bar"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refusal(tmp_path / "file", content)


def test_a_flipped_bit_in_an_archive_is_noticed(tmp_path: Path) -> None:
    lines = "\n".join([HEADER, *(f"{line}{os.urandom(1)[0] % 10}" for line in GOOD)]).encode()
    data = bytearray(zipped(a=lines))
    data[len(data) // 2] ^= 255
    assert refusal(tmp_path / "a.zip", bytes(data)).startswith("a: is damaged or cut off")


@pytest.mark.parametrize("form", ["gzip", "zip"])
def test_a_bomb_is_refused_long_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(unpacking, "UNJUDGED_BYTES", 2**20)
    bomb = (HEADER + "\n").encode() + f"{GOOD[0]}\n".encode() * 10 + b" " * (16 * 2**20)
    packed = gzip.compress(bomb) if form == "gzip" else zipped(a=bomb)
    text = refusal(tmp_path / "bomb", packed, timeframe_ns=60_000_000_000)  # type: ignore[arg-type]
    assert "which no market data does" in text
    assert int(text.split("more than ")[1].split(", which")[0].replace(",", "")) < 6 * 2**20


def test_an_archive_that_boasts_of_its_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "UNPACKED_BYTES_MAX", 1_000)
    assert "unpacks to more than 1,000 bytes" in refusal(tmp_path / "a.zip", zipped(a=b"1" * 2_000))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        inspect(tmp_path / "none.csv")


def test_an_empty_table_and_an_empty_value_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"ts": [], "value": []}, schema={"ts": pl.Int64, "value": pl.Float64}).write_parquet(path)
    assert refusal(path, path.read_bytes()) == "there are columns and no row"
    pl.DataFrame({"ts": [1_704_067_200_000, 1_704_067_260_000], "value": [1.0, None]}).write_parquet(path)
    assert refusal(path, path.read_bytes()) == "row 2: column 'value' is empty"
    whole = path.read_bytes()
    assert "not a whole Parquet file" in refusal(path, whole[: len(whole) - 20])


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            pl.Series("value", [[1.0], [2.0]]),
            "row 1: column 'value' is of type List(Float64), which holds no such values",
        ),
        (pl.Series("value", [{"a": 1}, {"a": 2}]), "row 1: column 'value' is of type Struct({'a': Int64})"),
        (pl.Series("value", [b"1", b"2"]), "row 1: column 'value' is of type Binary"),
        (pl.Series("value", [True, False]), "row 1: column 'value' is of type Boolean"),
        (
            pl.Series("ts", [1.7e9, 1.8e9], dtype=pl.Float32),
            "column 'ts' is of type Float32, which cannot tell one minute",
        ),
        (pl.Series("symbol", [["a"], ["a"]]), "row 1: column 'symbol' is of type List(String)"),
    ],
)
def test_columns_of_a_type_that_means_nothing(tmp_path: Path, column: pl.Series, said: str) -> None:
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame({"ts": [1_704_067_200, 1_704_067_260], "value": [1.0, 2.0]})
    frame.with_columns(column).write_parquet(path)
    assert said in refusal(path, path.read_bytes())


def test_a_long_value_is_shown_in_part(tmp_path: Path) -> None:
    text = refusal(tmp_path / "a.csv", f"ts,value\n2024-01-01,{'x' * 50_000}\n")
    assert text == f"row 1: column 'value': '{'x' * 60}' is not a number"


@pytest.mark.parametrize("row", [2, 2_900])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("5,6,0,5,1", "column 'low': 0.0 is no price: prices are above zero"),
        ("-5,6,4,5,1", "column 'open': -5.0 is no price"),
        ("5,3,4,5,1", "column 'high': 3.0 is below the low 4.0"),
        ("7,6,4,5,1", "column 'high': 6.0 is below the open 7.0"),
        ("5,6,4,6.5,1", "column 'high': 6.0 is below the close 6.5"),
        ("3,6,4,5,1", "column 'low': 4.0 is above the open 3.0"),
        ("5,6,4,3.5,1", "column 'low': 4.0 is above the close 3.5"),
        ("5,6,4,5,-1", "column 'volume': -1.0 is below zero"),
    ],
)
def test_bars_that_cannot_be_true(tmp_path: Path, line: str, said: str, row: int) -> None:
    ts = GOOD[row - 1].split(",")[0]
    text = refusal(tmp_path / "a.csv", with_row(row, f"{ts},{line}"))
    assert text.startswith(f"row {row}: {said}")
    assert text.endswith("; pitboss data check tells of all such rows")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ts,price,amount\n2024-01-01,5,1\n2024-01-02,0,1\n", "row 2: column 'price': 0.0 is no price"),
        ("ts,price,amount\n2024-01-01,5,-1\n", "row 1: column 'amount': -1.0 is below zero"),
        ("ts,bid,bid_qty,ask,ask_qty\n2024-01-01,5,1,4,1\n", "row 1: column 'bid': 5.0 is above the ask 4.0"),
        ("ts,oi\n2024-01-01,5\n2024-01-02,-5\n", "row 2: column 'oi': -5.0 is below zero"),
    ],
)
def test_other_rows_that_cannot_be_true(tmp_path: Path, content: str, said: str) -> None:
    assert refusal(tmp_path / "a.csv", content).startswith(said)


def test_what_may_be_negative(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for content in (
        "ts,rate\n2024-01-01,-0.1\n",
        "ts,value\n2024-01-01,-5\n",
        "ts,open,high,low,close\n2024-01-01,-5,-4,-6,-5\n2024-01-02,-5,-4,-6,-5\n",
    ):
        path.write_text(content)
        assert len(list(read(path, inspect(path, kind="premium" if "open" in content else None)))) == 1


@pytest.mark.parametrize("row", [2, 2_900])
def test_a_bar_beside_the_grid_of_the_others(tmp_path: Path, row: int) -> None:
    ts, rest = GOOD[row - 1].split(",", 1)
    text = refusal(tmp_path / "a.csv", with_row(row, f"{int(ts) + 1_000},{rest}"))
    assert text.startswith(f"row {row}: column 'ts': ")
    assert ":01 is no multiple of 1m away from the first row, 2024-01-01 00:00:00" in text


def test_bars_of_months_have_no_length_that_is_known(tmp_path: Path) -> None:
    lines = [f"2024-{month:02d}-01,5,6,4,5,1" for month in range(1, 13)]
    text = refusal(tmp_path / "a.csv", "\n".join([HEADER, *lines]))
    assert text.startswith("row 3: column 'ts': 2024-03-01 00:00:00 is no multiple of 31d away from the first row")
    assert text.endswith("; if bars are not as long as most rows are apart, add --timeframe")


def test_a_length_of_bars_that_the_rows_contradict(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join([HEADER, *GOOD[:5]]))
    with pytest.raises(
        UserError, match="row 2: column 'ts': 2024-01-01 00:01:00 is no multiple of 5m away from the first row"
    ):
        inspect(path, timeframe_ns=300_000_000_000)
