"""CSV in all its dialects, read in blocks of whole lines.

A block is parsed by polars into the types the layout asks for. Only where that fails is the block taken apart
line by line, to forgive what is harmless and to name the row of what is not.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from config.errors import UserError
from replay.tape.importing.head import SAMPLE_ROWS, Head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.tape.importing.layout import Column, Table
    from replay.tape.importing.unpacking import Stream

BLOCK_BYTES = 8 * 2**20
LINE_BYTES_MAX = 2**20
_HEAD_BYTES = 2**18
_BOM = b"\xef\xbb\xbf"
_DELIMITERS = (";", "\t", "|", ",")
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+", re.ASCII)
_DECIMAL_POINT = re.compile(r"-?\d+\.\d+", re.ASCII)
_FEED = re.compile(rb"\d{19} \{")
_ADVERT = (b"http://", b"https://", b"#")


def look(stream: Stream, where: str) -> Head:
    """Return the first rows of CSV text, and in which dialect it is written.

    Raises:
        UserError: it is no text, or there is no row in it.
    """
    data = _beginning(stream, where)
    notes = []
    skipped = len(_BOM) if data.startswith(_BOM) else 0
    if skipped:
        notes.append("byte-order mark skipped")
    lines = data[skipped:].splitlines(keepends=True)
    while lines and (not lines[0].strip() or lines[0].lstrip().startswith(_ADVERT)):
        line = lines.pop(0)
        skipped += len(line)
        if line.strip():
            notes.append(f"line skipped: {line.decode(errors='replace').strip()[:40]}")
    if not lines:
        message = f"{where}: the file is empty"
        raise UserError(message)
    first = lines[0].decode(errors="replace")
    delimiter = next((mark for mark in _DELIMITERS if mark in first), ",")
    records = [
        [value.strip() for value in record]
        for record in _records(b"".join(lines[: SAMPLE_ROWS + 1]).decode(errors="replace"), delimiter, where, 0)
        if any(value.strip() for value in record)
    ]
    if not records:
        message = f"{where}: the file is empty: there are delimiters and no value"
        raise UserError(message)
    names = None
    if not any(_is_number(value) for value in records[0]):
        names = tuple(records.pop(0))
        skipped += len(lines[0])
    if not records:
        message = f"{where}: there is a header and no row"
        raise UserError(message)
    if delimiter != ",":
        notes.append(f"values are parted by {_spoken(delimiter)}")
    has_comma = delimiter != "," and any(_DECIMAL_COMMA.fullmatch(value) for row in records for value in row)
    if has_comma:
        notes.append("decimal commas")
    width = len(names) if names is not None else len(records[0])
    return Head("csv", names, list(records), width, delimiter, has_comma, skipped, tuple(notes))


def _beginning(stream: Stream, where: str) -> bytes:
    """Return the first whole lines of a text.

    Raises:
        UserError: it is no text in UTF-8, or has a line beyond all measure.
    """
    data = stream.read(_HEAD_BYTES)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = f"{where}: the text is UTF-16; save it as UTF-8"
        raise UserError(message)
    if b"\0" in data:
        message = f"{where}: neither Parquet, Feather, JSON nor CSV"
        raise UserError(message)
    if _FEED.match(data):
        message = f"{where}: row 1: is a line of a recorded feed, which is played as it is: pitboss replay --tape"
        raise UserError(message)
    if len(data) < _HEAD_BYTES:
        return data
    whole = data[: data.rfind(b"\n") + 1]
    if whole.count(b"\n") < 2:  # noqa: PLR2004 - a header and a row
        message = f"{where}: row 1: a line is longer than {_HEAD_BYTES - len(whole):,} bytes"
        raise UserError(message)
    return whole


def frames(stream: Stream, table: Table) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the number of the first row of each block, counted from 1, and its columns by their names in the series.

    Raises:
        UserError: the file is damaged, or a row has other columns than the rest.
    """
    stream.read(table.skipped_bytes)
    schema = _schema(table)
    row = 1
    for lines in _blocks(stream, table.where):
        frame = _parse_fast(lines, table, schema)
        if frame is None:
            frame = _parse_slowly(lines, table, row)
        if frame.height:
            yield row, frame
        row += frame.height


def _blocks(stream: Stream, where: str) -> Iterator[bytes]:
    rest = b""
    while data := stream.read(BLOCK_BYTES):
        data = rest + data if rest else data
        end = data.rfind(b"\n") + 1
        if end:
            yield data[:end]
        rest = data[end:]
        if len(rest) > LINE_BYTES_MAX:
            message = f"{where}: a line is longer than {LINE_BYTES_MAX:,} bytes"
            raise UserError(message)
    if rest.strip():
        yield rest


def _schema(table: Table) -> dict[str, pl.DataType]:
    """Return the type each column of the file is parsed into; those that are not wanted stay text."""
    types: dict[int, pl.DataType] = {column.index: _type(column) for column in table.columns}
    return {f"column {index}": types.get(index, pl.String()) for index in range(table.width)}


def _type(column: Column) -> pl.DataType:
    if column.reading == "float":
        return pl.Float64()
    return pl.Int64() if column.reading in {"ms", "us", "ns", "int"} else pl.String()


def _parse_fast(lines: bytes, table: Table, schema: dict[str, pl.DataType]) -> pl.DataFrame | None:
    """Return a block's columns, or nothing if it is not exactly as it should be."""
    if (table.delimiter == "\t" and b'"' in lines) or (table.has_decimal_comma and b"." in lines):
        return None
    wanted = [pl.col(f"column {column.index}").alias(column.name) for column in table.columns]
    try:
        frame = (
            pl.scan_csv(
                lines,
                has_header=False,
                schema=schema,
                separator=table.delimiter,
                decimal_comma=table.has_decimal_comma,
            )
            .select(wanted)
            .collect()
        )
    except pl.exceptions.PolarsError:
        return None
    if any(frame.get_column(column.name).null_count() for column in table.columns if column.is_required):
        return None
    return frame if _is_even(lines, table) else None


def _is_even(lines: bytes, table: Table) -> bool:
    """Return whether each line has as many values as the table: polars ignores surplus ones, as of "1,5" for 1.5."""
    letters = np.frombuffer(lines, np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(letters == ord("\n")) + 1])
    starts = starts[starts < len(letters)]
    marks = (letters == ord(table.delimiter)).view(np.uint8)
    dtype = np.uint8 if table.width <= np.iinfo(np.uint8).max else np.uint32
    return bool((np.add.reduceat(marks, starts, dtype=dtype) == table.width - 1).all())


def _parse_slowly(lines: bytes, table: Table, first_row: int) -> pl.DataFrame:
    """Return a block's columns as text.

    Raises:
        UserError: a row has other columns than the rest, or is a header once more.
    """
    values: dict[str, list[str]] = {column.name: [] for column in table.columns}
    time = table.column("ts")
    row = first_row - 1
    for fields in _records(lines.decode(errors="replace"), table.delimiter, table.where, first_row):
        if not any(field.strip() for field in fields):
            continue
        row += 1
        if len(fields) != table.width:
            others = "the header" if row == 1 and table.has_header else "the rows before it"
            message = f"{table.where}: row {row} has {len(fields)} values, {others} {table.width}"
            raise UserError(message)
        if time is not None and not any(_is_number(field) for field in fields) and _is_name(fields[time.index]):
            message = f"{table.where}: row {row}: a header stands in the middle of the file ({','.join(fields)[:60]})"
            raise UserError(message)
        for column in table.columns:
            text = fields[column.index].strip()
            if table.has_decimal_comma and column.reading == "float":
                if "." in text:
                    message = (
                        f"{table.where}: row {row}: column {column.source!r}: {text[:60]!r} has a point, in a file of"
                        " decimal commas: write thousands without one"
                    )
                    raise UserError(message)
                text = text.replace(",", ".")
            values[column.name].append(text)
    return pl.DataFrame(values, schema={column.name: pl.String() for column in table.columns})


def _records(text: str, delimiter: str, where: str, row: int) -> Iterator[list[str]]:
    """Yield the records of a text whose first one is this row, or the header as row 0."""
    try:
        for fields in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            yield fields
            row += any(field.strip() for field in fields)
    except csv.Error as error:
        message = f"{where}: row {max(row, 1)} is not CSV ({error})"
        raise UserError(message) from error


def _is_number(text: str) -> bool:
    try:
        float(text.strip().replace(",", "."))
    except ValueError:
        return False
    return text.strip().lower() not in {"nan", "inf", "infinity"}


def _is_name(text: str) -> bool:
    return text.strip()[:1].isalpha()


def _spoken(delimiter: str) -> str:
    return {";": "semicolons", "\t": "tabs"}.get(delimiter, repr(delimiter))
