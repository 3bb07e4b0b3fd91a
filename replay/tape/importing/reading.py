"""The rows of a file as the catalogue has them, a stretch at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from replay.tape.importing import csv_text, json_text, typed
from replay.tape.importing.canonical import canonical, same_symbol
from replay.tape.importing.unpacking import open_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from replay.tape.importing.layout import Layout, Table


def read(path: str | Path, layout: Layout, *, as_is: bool = False) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file in frames of canonical columns; where it is newest first, each frame is turned round.

    Args:
        path: the file that was inspected.
        layout: what `inspect` found in it.
        as_is: leave the order of the rows, and null where a value other than the time has no meaning, for a check.

    Raises:
        UserError: the file is damaged, or a value has no meaning in its column: file, row and column are named.
    """
    symbol: str | None = None
    for table in layout.tables:
        for first_row, raw in _raw(Path(path), layout, table):
            symbol = same_symbol(raw, table, first_row, symbol)
            yield canonical(raw, table, first_row, layout.delay_ns, as_is=as_is)


def _raw(path: Path, layout: Layout, table: Table) -> Iterator[tuple[int, pl.DataFrame]]:
    if table.format in {"parquet", "feather"}:
        yield from typed.frames(path, table)
        return
    with open_stream(path, layout.compression, table.member, table.where) as stream:
        yield from (csv_text if table.format == "csv" else json_text).frames(stream, table)
