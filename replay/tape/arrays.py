"""Rows held in memory: tapes made by Python code, and small files kept from their first pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from config.errors import UserError
from replay.tape.columns import COLUMN_NAMES, Columns, check_names, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray


class Frame(Protocol):
    """What polars and pandas frames have in common."""

    @property
    def columns(self) -> Any:  # noqa: ANN401 - a list in polars, an index in pandas
        """The names of the columns."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 - each has a series of its own
        """Return a column."""


class BlockSource:
    """Rows held in memory."""

    __slots__ = ("_blocks", "rows_guess")

    def __init__(self, blocks: Sequence[Columns]) -> None:
        self._blocks = tuple(blocks)
        self.rows_guess = sum(len(block) for block in blocks)

    def blocks(self, start_row: int) -> Iterator[Columns]:
        """Yield the rows from `start_row` on."""
        for block in self._blocks:
            if start_row < len(block):
                yield block.between(start_row, len(block)) if start_row else block
            start_row = max(0, start_row - len(block))


def frame_source(frame: Frame | Mapping[str, ArrayLike], where: str) -> BlockSource:
    """Return a copy of the rows of a frame, or of arrays by name.

    Raises:
        UserError: a column is missing, or they are not of one length, or do not hold numbers.
    """
    check_names(frame if isinstance(frame, Mapping) else list(frame.columns), where)
    arrays = {name: _array(frame[name]) for name in COLUMN_NAMES}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or len(shapes["ts"]) != 1:
        lengths = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items())
        message = f"{where}: the columns are not of one length ({lengths})"
        raise UserError(message)
    return BlockSource([columns_of(arrays, where, 1)])


def _array(values: ArrayLike) -> NDArray[np.generic]:
    """Return a copy of a column; times with a zone come from pandas as objects, unless they are asked for in UTC."""
    has_zone = getattr(getattr(values, "dtype", None), "tz", None) is not None
    return np.array(values, "datetime64[ns]") if has_zone else np.array(values)
