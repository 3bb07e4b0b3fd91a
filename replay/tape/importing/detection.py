"""What a file holds, told from its first rows: format, kind, columns, unit of time and order.

Nothing is guessed in silence: what is found goes into a `Layout`, which is shown before anything is imported, and
whatever fits nothing is refused with the nearest thing that would.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from config.errors import UserError, nearest
from replay.tape.importing import csv_text, json_text, typed
from replay.tape.importing.layout import UNIT_NAMES, Column, Layout, Table
from replay.tape.importing.mapping import Mapping, by_names, by_places
from replay.tape.importing.names import DOUBLED, FOLDER_KINDS, LAYOUT_NAMES, WORD_KINDS, folded
from replay.tape.importing.times import NO_SUCH_TIME, NO_TIME, unit_of
from replay.tape.importing.timing import order_of, sample_ns, timeframe_of
from replay.tape.importing.unpacking import compression_of, members_of, open_stream
from replay.tape.kinds import KINDS, kind_of

if TYPE_CHECKING:
    from replay.tape.importing.head import Head
    from replay.tape.importing.layout import Reading
    from replay.tape.importing.unpacking import Compression

_PEEK_BYTES = 4_096
_BARLIKE = frozenset({"mark", "index", "premium"})


def inspect(
    path: str | Path,
    *,
    kind: str | None = None,
    layout: str | None = None,
    timeframe_ns: int | None = None,
    delay_ns: int = 0,
    as_is: bool = False,
) -> Layout:
    """Return what a file holds.

    Args:
        path: CSV, JSON, Parquet or Feather, the first two plain, gzipped or in a zip archive.
        kind: one of `replay.tape.kinds.KINDS`, where its look does not tell.
        layout: one of `LAYOUT_NAMES`, where the columns have no names and several would fit.
        timeframe_ns: length of a bar, where the rows do not tell.
        delay_ns: from a value's time to when it was published, where the file does not say.
        as_is: leave open how long a bar is, for a check to tell of.

    Raises:
        UserError: the file cannot be read, or fits no layout; file, row and column are named.
    """
    path = Path(path)
    if kind is not None and kind_of(kind).recorded:
        message = f"{path}: a {kind} is recorded, by `pitboss record`, and cannot be imported; it is played as it is"
        raise UserError(message)
    if layout is not None and layout not in LAYOUT_NAMES:
        message = f"there is no layout {layout!r}{nearest(layout, LAYOUT_NAMES)}; they are: {', '.join(LAYOUT_NAMES)}"
        raise UserError(message)
    compression = compression_of(path)
    tables = []
    for member in members_of(path) if compression == "zip" else [""]:
        where = f"{path}: {member}" if member else str(path)
        head = _head(path, compression, member, where)
        table, times = _table(head, where, path, member, kind, layout)
        if KINDS[table.kind].has_timeframe and not as_is:
            label = next(column.source for column in table.columns if column.name == "ts")
            table = msgspec.structs.replace(table, timeframe_ns=timeframe_of(times, timeframe_ns, where, label))
        tables.append(table)
        if tables[-1].kind != tables[0].kind:
            message = (
                f"{where}: holds {tables[-1].kind}, and {tables[0].member} holds {tables[0].kind}: import them apart"
            )
            raise UserError(message)
    steps = {table.timeframe_ns for table in tables if table.timeframe_ns is not None}
    if len(steps) > 1:
        message = f"{path}: its files are of several timeframes: import them apart"
        raise UserError(message)
    if KINDS[tables[0].kind].has_timeframe and not steps and not as_is:
        message = f"{path}: one row does not tell the length of a bar: add --timeframe, such as --timeframe 1m"
        raise UserError(message)
    return Layout(str(path), compression, tuple(tables), delay_ns)


def _head(path: Path, compression: Compression, member: str, where: str) -> Head:
    """Return the first rows of a table, in whatever format it is."""
    with open_stream(path, compression, member, where) as stream:
        data = stream.read(_PEEK_BYTES)
    form = typed.format_of(data, where)
    if form is not None:
        if compression != "none":
            message = f"{where}: {form.capitalize()} is packed as it is: take it out of the {compression} file first"
            raise UserError(message)
        return typed.look(path, where, form)
    if data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        message = f"{where}: is packed twice; unpack it once"
        raise UserError(message)
    text_form = json_text.format_of(data)
    with open_stream(path, compression, member, where) as stream:
        return csv_text.look(stream, where) if text_form is None else json_text.look(stream, where, text_form)


def _table(
    head: Head, where: str, path: Path, member: str, kind: str | None, layout: str | None
) -> tuple[Table, list[int | None]]:
    """Return a table, but for the length of its bars, and the times of its first rows."""
    hint = _hint(path, member)
    mapping = (by_names if head.names is not None else by_places)(head, where, kind, layout, hint)
    columns = tuple(_column(head, mapping, name, index, where) for name, index in mapping.places.items())
    time = next(column for column in columns if column.name == "ts")
    values = [row[time.index] for row in head.rows]
    times = sample_ns(values, time.reading)
    for number, (value, ns) in enumerate(zip(values, times, strict=True), 1):
        if ns is None and value is not None and value != "":
            message = f"{where}: row {number}: column {time.source!r}: {str(value)!r} is {NO_SUCH_TIME}"
            raise UserError(message)
    notes = [*head.notes, *mapping.notes]
    order = order_of(times)
    if mapping.layout in DOUBLED:
        notes.append("every row is there twice: taken once")
    if order == "newest first":
        notes.append("newest first: turned round")
    elif order == "mixed":
        notes.append("rows out of order: sorted by time")
    if time.reading == "iso" and not time.has_offset:
        notes.append("times name no offset: taken as UTC")
    table = Table(
        where,
        member,
        head.format,
        mapping.layout,
        mapping.kind,
        head.width,
        columns,
        order,
        next((ns for ns in times if ns is not None), 0),
        None,
        head.names is not None,
        head.delimiter,
        head.has_decimal_comma,
        head.skipped_bytes,
        tuple(notes),
    )
    return table, times


def _hint(path: Path, member: str) -> str | None:
    """Return the kind that the name of a file or its folder tells, for rows that look alike."""
    for folder in reversed(path.parent.parts):
        if folded(folder) in FOLDER_KINDS:
            return FOLDER_KINDS[folded(folder)]
    for name in (path.name, member):
        words = "".join(letter if letter.isalnum() else " " for letter in name.casefold()).split()
        for word in words:
            if word in WORD_KINDS:
                return WORD_KINDS[word]
    return None


def _column(head: Head, mapping: Mapping, name: str, index: int, where: str) -> Column:
    label = head.label(index)
    if name == "symbol":
        return Column(name, label, index, "same", is_required=False)
    kind = KINDS[mapping.kind]
    types = kind.types()
    is_required = name in kind.columns and not (name == "volume" and mapping.kind in _BARLIKE)
    if types[name] == "time":
        reading, has_offset = _unit(head, index, where, name)
        return Column(name, label, index, reading, has_offset, is_required)
    if types[name] == "side":
        maker = name in mapping.makers
        return Column(name, label, index, "buyer_maker" if maker else "side", is_required=is_required)
    readings: dict[str, Literal["float", "int", "flag"]] = {"float": "float", "int": "int", "flag": "flag"}
    return Column(name, label, index, readings[types[name]], is_required=is_required)


def _unit(head: Head, index: int, where: str, name: str) -> tuple[Reading, bool]:
    """Return how the times of a column read; all of the sample must agree.

    Raises:
        UserError: a value is no time, or not in the unit of those before it.
    """
    found: tuple[Reading, bool] | None = None
    for number, row in enumerate(head.rows, 1):
        value: Any = row[index] if index < len(row) else None
        if value is None or value == "":
            continue
        place = f"{where}: row {number}: column {head.label(index)!r}"
        unit = unit_of(value)
        if unit is None:
            if number > 1 and str(value) == head.label(index):
                message = f"{where}: row {number}: a header stands in the middle of the file"
                raise UserError(message)
            message = f"{place}: {str(value)!r} is {NO_TIME}"
            raise UserError(message)
        if found is not None and unit[0] != found[0]:
            message = (
                f"{place}: {str(value)!r} is in {UNIT_NAMES[unit[0]]}, the rows before it in {UNIT_NAMES[found[0]]}:"
                " one file, one unit"
            )
            raise UserError(message)
        found = found or unit
    if found is None:
        message = f"{where}: column {head.label(index)!r} ({name}) is empty"
        raise UserError(message)
    return found
