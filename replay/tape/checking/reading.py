"""Rows as a check needs them: canonical columns, whatever is in them, in the order of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl

from config.errors import UserError
from replay.tape.checking.rows import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replay.tape.columns import Floats, Integers

BATCH_ROWS = 65_536


class Rows:
    """The rows of one file or series, as often as they are asked for.

    Args:
        where: its name, for errors and reports.
        kind: the kind of series.
        frames: makes a pass over canonical frames, in the order of the file.
        written_ns: when it was last written; ``None`` where that says nothing.
    """

    __slots__ = ("_frames", "kind", "where", "written_ns")

    def __init__(
        self,
        where: str,
        kind: str,
        frames: Callable[[], Iterator[pl.DataFrame]],
        written_ns: int | None = None,
    ) -> None:
        self.where = where
        self.kind = kind
        self.written_ns = written_ns
        self._frames = frames

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the frames of one pass."""
        return self._frames()

    def batches(self) -> Iterator[Batch]:
        """Yield the rows of one pass as arrays.

        Raises:
            UserError: the source cannot be read, or a row has no time.
        """
        row = 1
        for frame in self._frames():
            for start in range(0, frame.height, BATCH_ROWS):
                piece = frame.slice(start, BATCH_ROWS)
                yield batch_of(piece, row, self.where)
                row += piece.height


def batch_of(frame: pl.DataFrame, first_row: int, where: str) -> Batch:
    """Return a canonical frame as arrays.

    Raises:
        UserError: a row has no time.
    """
    times = frame.get_column("ts")
    if times.null_count():
        row = first_row + (times.is_null().arg_max() or 0)
        message = f"{where}: row {row}: ts is empty or no time"
        raise UserError(message)
    values = {name: _array(frame.get_column(name)) for name in frame.columns if name != "ts"}
    rows = np.arange(first_row, first_row + frame.height, dtype=np.int64)
    return Batch(rows, cast("Integers", times.cast(pl.Int64).to_numpy()), values)


def _array(column: pl.Series) -> Floats:
    """Return a column; whole numbers stay whole as long as none is missing, for ids need all their digits."""
    if column.dtype.is_integer() and not column.null_count():
        return cast("Floats", column.cast(pl.Int64).to_numpy())
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def lazy_rows(table: pl.LazyFrame, where: str, kind: str, written_ns: int | None = None) -> Rows:
    """Return the rows of a table that is read a batch at a time.

    Args:
        table: canonical columns of the kind, such as those of a series of the catalogue.
        where: its name.
        kind: the kind of series.
        written_ns: when it was last written; ``None`` where that says nothing.
    """

    def frames() -> Iterator[pl.DataFrame]:
        try:
            yield from table.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            message = f"{where}: cannot be read to its end ({reason})"
            raise UserError(message) from error

    return Rows(where, kind, frames, written_ns)
