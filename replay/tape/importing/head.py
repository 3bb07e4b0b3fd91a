"""The first rows of a table, as they stand in it: what the layout is told from."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SAMPLE_ROWS = 2_000


class Head(msgspec.Struct, frozen=True):
    """The beginning of a table."""

    format: Literal["csv", "json", "jsonl", "parquet", "feather"]
    names: tuple[str, ...] | None
    """Of the columns; nothing where the table names none."""
    rows: list[list[Any]]
    """At most `SAMPLE_ROWS`; text in CSV, values elsewhere."""
    width: int
    delimiter: str = ","
    has_decimal_comma: bool = False
    skipped_bytes: int = 0
    notes: tuple[str, ...] = ()

    def label(self, index: int) -> str:
        """Return what a column is called in messages."""
        return self.names[index] if self.names is not None else f"column {index + 1}"
