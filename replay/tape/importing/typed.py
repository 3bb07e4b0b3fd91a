"""Parquet and Feather (Arrow IPC) files, read a slice at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl

from config.errors import UserError
from replay.tape.importing.head import SAMPLE_ROWS, Head
from replay.tape.proof import prove

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replay.tape.importing.layout import Table

SLICE_ROWS = 262_144
_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


def format_of(head: bytes, where: str) -> Literal["parquet", "feather"] | None:
    """Return which of the two a file is by its first bytes, or nothing.

    Raises:
        UserError: it is a Feather file of the first version.
    """
    if head.startswith(b"FEA1"):
        message = f"{where}: Feather version 1 is not read here; write it anew as version 2, or as Parquet"
        raise UserError(message)
    if head.startswith(b"PAR1"):
        return "parquet"
    return "feather" if head.startswith(b"ARROW1") else None


def look(path: Path, where: str, form: Literal["parquet", "feather"]) -> Head:
    """Return the first rows.

    Raises:
        UserError: the file is damaged, or there is no row in it.
    """
    try:
        prove(path, form)
        frame = _scan(path, form).head(SAMPLE_ROWS).collect()
    except _FAULTS as error:
        raise _damaged(where, form, error) from error
    if not frame.height:
        message = f"{where}: there are columns and no row"
        raise UserError(message)
    names = None if all(name.isdigit() for name in frame.columns) else tuple(frame.columns)
    return Head(form, names, [list(row) for row in frame.rows()], frame.width)


def frames(path: Path, table: Table) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the number of the first row of each slice, counted from 1, and its columns by their names in the series.

    Raises:
        UserError: the file is damaged.
    """
    form: Literal["parquet", "feather"] = "parquet" if table.format == "parquet" else "feather"
    row = 0
    try:
        whole = _scan(path, form)
        names = whole.collect_schema().names()
        lazy = whole.select(pl.col(names[column.index]).alias(column.name) for column in table.columns)
        rows: int = whole.select(pl.len()).collect().item()
        while row < rows:
            frame = lazy.slice(row, SLICE_ROWS).collect()
            yield row + 1, frame
            row += SLICE_ROWS
    except _FAULTS as error:
        raise _damaged(table.where, form, error) from error


def rows_of(path: Path, table: Table) -> int:
    """Return how many rows there are.

    Raises:
        UserError: the file is damaged.
    """
    form: Literal["parquet", "feather"] = "parquet" if table.format == "parquet" else "feather"
    try:
        rows: int = _scan(path, form).select(pl.len()).collect().item()
    except _FAULTS as error:
        raise _damaged(table.where, form, error) from error
    return rows


def _scan(path: Path, form: Literal["parquet", "feather"]) -> pl.LazyFrame:
    if form == "parquet":
        return pl.scan_parquet(path.absolute(), glob=False, hive_partitioning=False)
    return pl.scan_ipc(path.absolute(), glob=False)


def _damaged(where: str, form: str, error: BaseException) -> UserError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(f"{where}: not a whole {form.capitalize()} file ({reason})")
