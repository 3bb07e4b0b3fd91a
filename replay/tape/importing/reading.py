"""The rows of a file as the catalogue has them, a stretch at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from replay.tape.importing import csv_text, json_text, typed
from replay.tape.importing.canonical import canonical, same_symbol
from replay.tape.importing.names import DOUBLED
from replay.tape.importing.unpacking import open_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replay.tape.importing.layout import Layout, Table


def read(
    path: str | Path, layout: Layout, *, as_is: bool = False, progress: Callable[[float], None] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file in frames of canonical columns; where it is newest first, each frame is turned round.

    Args:
        path: the file that was inspected.
        layout: what `inspect` found in it.
        as_is: leave the order of the rows, and null where a value other than the time has no meaning, for a check.
        progress: called with how much of the file has been read, 0 to 1, once what was read last is dealt with.

    Raises:
        UserError: the file is damaged, or a value has no meaning in its column: file, row and column are named.
    """
    symbol: str | None = None
    for index, table in enumerate(layout.tables):
        tail: pl.DataFrame | None = None
        for first_row, raw, fraction in _raw(Path(path), layout, table):
            symbol = same_symbol(raw, table, first_row, symbol)
            frame = canonical(raw, table, first_row, layout.delay_ns, as_is=as_is)
            if table.layout in DOUBLED and not as_is:
                frame, tail = _halved(frame, tail)
            yield frame
            if progress is not None:
                progress((index + fraction) / len(layout.tables))


def _halved(frame: pl.DataFrame, tail: pl.DataFrame | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return every first of two equal neighbours, and the rows that go before the next frame to tell them apart."""
    rows = frame if tail is None else pl.concat([tail, frame])
    place = rows.select(pl.struct(pl.all()).rle_id()).select(pl.int_range(pl.len()).over(pl.all())).to_series()
    is_first = (place % 2 == 0).slice(rows.height - frame.height)
    return frame.filter(is_first), rows.tail(1 + place[-1] % 2)


def _raw(path: Path, layout: Layout, table: Table) -> Iterator[tuple[int, pl.DataFrame, float]]:
    """Yield the number of the first row of each block, the block, and how much of the table has been read."""
    if table.format in {"parquet", "feather"}:
        rows = 0
        for first_row, raw in typed.frames(path, table):
            rows = rows or typed.rows_of(path, table)
            yield first_row, raw, (first_row - 1 + raw.height) / rows
        return
    with open_stream(path, layout.compression, table.member, table.where) as stream:
        for first_row, raw in (csv_text if table.format == "csv" else json_text).frames(stream, table):
            yield first_row, raw, stream.fraction
