"""JSON arrays and JSON lines, of objects or of arrays, read a stretch at a time.

An array as long as the file is cut into its elements by their brackets, so that it need not fit into memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import polars as pl

from config.errors import UserError
from replay.tape.importing.head import SAMPLE_ROWS, Head
from replay.tape.importing.times import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.tape.importing.layout import Column, Table
    from replay.tape.importing.unpacking import Stream

BLOCK_BYTES = 2 * 2**20
ELEMENT_BYTES_MAX = 2**20
_BATCH_ROWS = 16_384
_BOM = b"\xef\xbb\xbf"
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_DECODER = msgspec.json.Decoder()
_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DEPTH = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


def format_of(head: bytes) -> Literal["json", "jsonl"] | None:
    """Return whether the beginning of a file is that of one JSON array or of JSON lines, or nothing."""
    text = head.removeprefix(_BOM).lstrip()
    if text.startswith(b"{"):
        return "jsonl"
    if not text.startswith(b"["):
        return None
    inner = text[1:].lstrip()
    return "json" if inner.startswith((b"[", b"{", b"]")) else "jsonl"


def look(stream: Stream, where: str, form: Literal["json", "jsonl"]) -> Head:
    """Return the first rows.

    Raises:
        UserError: it is no JSON, or there is no row in it.
    """
    rows: list[Any] = []
    for batch in _batches(stream, where, form):
        rows += batch
        if len(rows) >= SAMPLE_ROWS:
            break
    rows = rows[:SAMPLE_ROWS]
    if not rows:
        message = f"{where}: the file is empty"
        raise UserError(message)
    first = rows[0]
    if isinstance(first, dict):
        names = tuple(first)
        table = [[row.get(name) if isinstance(row, dict) else None for name in names] for row in rows]
        return Head(form, names, table, len(names))
    if isinstance(first, list):
        table = [list(row)[: len(first)] if isinstance(row, list) else [] for row in rows]
        return Head(form, None, [row + [None] * (len(first) - len(row)) for row in table], len(first))
    message = f"{where}: row 1 is {str(first)[:40]!r}, neither an object nor an array"
    raise UserError(message)


def frames(stream: Stream, table: Table) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the number of the first row of each batch, counted from 1, and its columns by their names in the series.

    Raises:
        UserError: the file is damaged, or a row is not like the first.
    """
    form: Literal["json", "jsonl"] = "json" if table.format == "json" else "jsonl"
    row = 1
    for batch in _batches(stream, table.where, form):
        if batch:
            yield row, _frame(batch, table, row)
        row += len(batch)


def _frame(rows: list[Any], table: Table, first_row: int) -> pl.DataFrame:
    shape = dict if table.has_header else list
    for number, row in enumerate(rows, first_row):
        if not isinstance(row, shape) or (shape is list and len(row) != table.width):
            expected = "an object" if shape is dict else f"an array of {table.width} values"
            message = f"{table.where}: row {number} is {str(row)[:40]!r}, not {expected}"
            raise UserError(message)
    columns = []
    for column in table.columns:
        key = column.source if table.has_header else column.index
        values = [row.get(key) for row in rows] if table.has_header else [row[key] for row in rows]
        columns.append(_series(column, values))
    return pl.DataFrame(columns)


def _series(column: Column, values: list[Any]) -> pl.Series:
    """Return values in the type they have in common; text where they have none, or where digits matter."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pl.Series(column.name, values, pl.Int64)
    if kinds <= {int, float} and column.reading == "float":
        return pl.Series(column.name, [None if value is None else float(value) for value in values], pl.Float64)
    if kinds == {bool}:
        return pl.Series(column.name, values, pl.Boolean)
    return pl.Series(column.name, [_text(value) for value in values], pl.String)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return plain(value) if type(value) in {int, float} else str(value)  # type: ignore[arg-type]


def _batches(stream: Stream, where: str, form: Literal["json", "jsonl"]) -> Iterator[list[Any]]:
    """Yield rows a block at a time: decoded at one go, and one by one only where that fails, to name the row."""
    return _line_batches(stream, where) if form == "jsonl" else _array_batches(stream, where)


def _line_batches(stream: Stream, where: str) -> Iterator[list[Any]]:
    rest = b""
    row = 1
    while data := stream.read(BLOCK_BYTES):
        data = (rest + data) if row > 1 or rest else data.removeprefix(_BOM)
        end = data.rfind(b"\n") + 1
        lines, rest = data[:end], data[end:]
        if len(rest) > ELEMENT_BYTES_MAX:
            message = f"{where}: a line is longer than {ELEMENT_BYTES_MAX:,} bytes"
            raise UserError(message)
        batch = _decoded_lines(lines, where, row)
        row += len(batch)
        yield batch
    yield _decoded_lines(rest, where, row)


def _decoded_lines(lines: bytes, where: str, first_row: int) -> list[Any]:
    try:
        return _DECODER.decode_lines(lines)
    except _FAULTS:
        texts = [line for line in lines.split(b"\n") if line.strip()]
        lined = ": JSON is read as one array of rows, or as one row a line"
        return [_decoded(text, where, row, lined) for row, text in enumerate(texts, first_row)]


def _array_batches(stream: Stream, where: str) -> Iterator[list[Any]]:
    """Yield the rows of one array, cut at the last row that ends within what was read.

    Where that cut proves wrong, as rows hold arrays themselves, brackets are counted from there on.
    """
    data = stream.read(BLOCK_BYTES).removeprefix(_BOM).lstrip()[1:]
    row = 1
    while True:
        more = stream.read(BLOCK_BYTES)
        end = max(data.rfind(b"],"), data.rfind(b"},")) + 1 if more else len(data.rstrip().removesuffix(b"]"))
        try:
            batch: list[Any] = _DECODER.decode(b"[" + data[:end] + b"]")
        except _FAULTS:
            break
        is_whole = bool(end) if more else data.rstrip().endswith(b"]")
        if not is_whole or any(not isinstance(value, list | dict) for value in batch):
            break
        yield batch
        row += len(batch)
        data = data[end:].lstrip(b", \t\r\n") + more
        if not more:
            return
    batch = []
    for text in _elements(stream, where, data + more, row):
        batch.append(_decoded(text, where, row))
        row += 1
        if len(batch) == _BATCH_ROWS:
            yield batch
            batch = []
    yield batch


def _decoded(text: bytes, where: str, row: int, more: str = "") -> Any:  # noqa: ANN401 - as the file has it
    try:
        return _DECODER.decode(text)
    except _FAULTS as error:
        message = f"{where}: row {row} is not JSON ({error}){more}"
        raise UserError(message) from error


def _elements(stream: Stream, where: str, data: bytes, row: int) -> Iterator[bytes]:
    """Yield the elements of an array from a row on, each still as text.

    Raises:
        UserError: an element is beyond all measure or no row, or the array never ends.
    """
    row -= 1
    while True:
        start, depth, position = -1, 0, 0
        for mark in _MARKS.finditer(data):
            step = _DEPTH.get(mark[0], 0)
            if depth == 0 and (step > 0 or mark[0] == b"]"):
                _refuse_scalar(data[position : mark.start()], where, row + 1)
                start = mark.start()
            depth += step
            if depth < 0:
                if (data[mark.end() :] + stream.read(1)).strip():
                    message = f"{where}: there is more behind the end of the array, after row {row}"
                    raise UserError(message)
                return
            if step < 0 and depth == 0:
                row += 1
                yield data[start : mark.end()]
                position = mark.end()
        rest = data[position:]
        more = stream.read(BLOCK_BYTES)
        if not more:
            message = f"{where}: the array is cut off: it does not end"
            raise UserError(message)
        if len(rest) > ELEMENT_BYTES_MAX:
            message = f"{where}: row {row + 1} is longer than {ELEMENT_BYTES_MAX:,} bytes"
            raise UserError(message)
        data = rest + more


def _refuse_scalar(between: bytes, where: str, row: int) -> None:
    """Refuse what stands between two rows and is no comma.

    Raises:
        UserError: naming the row.
    """
    text = between.strip(b", \t\r\n")
    if text:
        message = f"{where}: row {row} is {text.decode(errors='replace')[:40]!r}, neither an object nor an array"
        raise UserError(message)
