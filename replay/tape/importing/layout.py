"""What was found in a file, before any of its rows is taken over."""

from __future__ import annotations

from typing import Literal

import msgspec

Reading = Literal["s", "ms", "us", "ns", "iso", "datetime", "float", "int", "side", "buyer_maker", "flag", "same"]
"""How the values of a column become those of the series: times by their unit, ``buyer_maker`` as the side of the
taker, and ``same`` for one that must not change within a file."""

UNIT_NAMES = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "iso": "ISO 8601 text",
    "datetime": "typed times",
}


class Column(msgspec.Struct, frozen=True):
    """Where one column of a series comes from."""

    name: str
    """In the series."""
    source: str
    """In the file; ``column 3`` where it names none."""
    index: int
    """Counted from 0."""
    reading: Reading
    has_offset: bool = False
    """Whether times as text name their offset from UTC; all of a column do, or none."""
    is_required: bool = True


class Table(msgspec.Struct, frozen=True):
    """One table: a file, or a member of an archive."""

    where: str
    """Name of the file (and the member), for errors."""
    member: str
    """In its archive; empty for a file by itself."""
    format: Literal["csv", "json", "jsonl", "parquet", "feather"]
    layout: str
    """Name of the known layout, or ``generic``."""
    kind: str
    width: int
    """Columns in the file."""
    columns: tuple[Column, ...]
    order: Literal["oldest first", "newest first", "mixed"]
    """Of the rows looked at."""
    first_ns: int
    """Time of the first row in the file."""
    timeframe_ns: int | None = None
    has_header: bool = True
    delimiter: str = ","
    has_decimal_comma: bool = False
    skipped_bytes: int = 0
    """Before the first row: byte-order mark, lines of advertising, header."""
    notes: tuple[str, ...] = ()
    """What a person should know before it is taken."""

    def column(self, name: str) -> Column | None:
        """Return the column of this name in the series, if the file has it."""
        return next((column for column in self.columns if column.name == name), None)


class Layout(msgspec.Struct, frozen=True):
    """One file and the tables in it, which are all of one kind."""

    path: str
    compression: Literal["none", "gzip", "zip"]
    tables: tuple[Table, ...]
    delay_ns: int = 0
    """From a value's time to when it was published, where the file does not say (kind ``values``)."""

    @property
    def kind(self) -> str:
        """Return the kind of series."""
        return self.tables[0].kind

    @property
    def timeframe_ns(self) -> int | None:
        """Return the length of a bar, for kinds that have one."""
        return self.tables[0].timeframe_ns

    @property
    def name(self) -> str:
        """Return the name of the known layout, or ``generic``."""
        return self.tables[0].layout
