"""What was found in a file, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.timeframe import NS_PER_S, format_timeframe
from replay.tape.columns import time_text
from replay.tape.importing.layout import UNIT_NAMES

if TYPE_CHECKING:
    from replay.tape.importing.layout import Layout, Table

_FORMATS = {
    "csv": "CSV",
    "json": "one JSON array",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
    "feather": "Feather (Arrow IPC)",
}


def described(layout: Layout) -> list[tuple[str, str]]:
    """Return what was found in a file, line by line: what it is about, and what was found."""
    first = layout.tables[0]
    time = first.column("ts")
    assert time is not None, "a table without times is refused"
    form = _FORMATS[first.format]
    if layout.compression != "none":
        count = f"{len(layout.tables)} files" if len(layout.tables) > 1 else "1 file"
        form += f", {layout.compression}" + (f" of {count}" if layout.compression == "zip" else "")
    if first.format == "csv":
        form += ", header" if first.has_header else ", no header"
    lines = [("format", form), ("layout", first.layout), ("kind", first.kind)]
    if layout.timeframe_ns is not None:
        lines.append(("timeframe", format_timeframe(layout.timeframe_ns)))
    units = dict.fromkeys(_units(table) for table in layout.tables)
    lines.append(("times", f"{time.source}: {'; '.join(units)}, from {time_text(first.first_ns)} UTC in the first row"))
    columns = [column for column in first.columns if column.name not in {"ts", "symbol"}]
    lines.append(
        (
            "columns",
            ", ".join(
                column.name if column.name == column.source else f"{column.name} from {column.source}"
                for column in columns
            ),
        )
    )
    lines.append(("order", "; ".join(dict.fromkeys(table.order for table in layout.tables))))
    if layout.kind == "values" and first.column("published") is None:
        later = f"{layout.delay_ns // NS_PER_S:,} s after" if layout.delay_ns else "at"
        lines.append(("published", f"not in the file: taken as {later} the value's own time (--delay)"))
    notes = dict.fromkeys(note for table in layout.tables for note in table.notes)
    lines += [("note", note) for note in notes]
    return lines


def _units(table: Table) -> str:
    time = table.column("ts")
    assert time is not None, "a table without times is refused"
    return UNIT_NAMES[time.reading]
