"""One stretch of one series as numpy arrays: what sources deliver and batch features read.

The arrays are contiguous and writable, so that kernels compiled for plain float64 arrays take them;
whoever receives them must not write to them, for the next pass may be given the same ones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from config.errors import UserError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

COLUMN_NAMES = ("ts", "open", "high", "low", "close", "volume")
PRICE_NAMES = ("open", "high", "low", "close")
NS_PER_MS = 1_000_000

_PLAUSIBLE_MS = (10**11, 10**13)
"""1973 to 2286: outside, a number is no time in milliseconds."""
_UNITS = (
    (10**8, 10**10, "seconds"),
    (10**14, 10**16, "microseconds"),
    (10**17, 10**19, "nanoseconds"),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_ALIASES = frozenset({"date", "datetime", "open_time", "time", "timestamp", "unix"})


class Columns(msgspec.Struct, frozen=True, eq=False):
    """Consecutive bars of one series, column by column."""

    open_ns: Integers
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.open_ns)

    def between(self, start: int, stop: int) -> Columns:
        """Return the bars from `start` up to, but not with, `stop`, without copying."""
        return Columns(
            self.open_ns[start:stop],
            self.open[start:stop],
            self.high[start:stop],
            self.low[start:stop],
            self.close[start:stop],
            self.volume[start:stop],
        )


class Source(Protocol):
    """Where a series' rows come from; every pass delivers the same ones."""

    @property
    def rows_guess(self) -> int:
        """About how many rows there are."""

    def blocks(self, start_row: int) -> Iterator[Columns]:
        """Yield the rows from `start_row` on, in blocks of a size that suits the source.

        Raises:
            UserError: the source cannot be read, or a value has no place in its column.
        """


def join(blocks: list[Columns]) -> Columns:
    """Return the blocks as one, in fresh arrays."""
    return Columns(
        np.concatenate([block.open_ns for block in blocks]),
        np.concatenate([block.open for block in blocks]),
        np.concatenate([block.high for block in blocks]),
        np.concatenate([block.low for block in blocks]),
        np.concatenate([block.close for block in blocks]),
        np.concatenate([block.volume for block in blocks]),
    )


def check_names(found: Iterable[str], where: str) -> None:
    """Refuse a table that lacks a column, naming the one that was probably meant.

    Raises:
        UserError: a column is missing.
    """
    known = list(found)
    for name in COLUMN_NAMES:
        if name not in known:
            hint = nearest(name, known)
            aliases = [other for other in known if other.strip().lower() in _TIME_ALIASES]
            if name == "ts" and aliases:
                hint = f" (is it {aliases[0]!r}? ts is the open time in UTC milliseconds)"
            listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")  # noqa: PLR2004
            message = f"{where}: there is no column {name!r}{hint}; the columns are: {listed}"
            raise UserError(message)


def columns_of(arrays: Mapping[str, NDArray[np.generic]], where: str, first_row: int) -> Columns:
    """Return raw arrays as columns: numbers as float64, times as nanoseconds.

    Args:
        arrays: at least the arrays named by `COLUMN_NAMES`; `ts` in UTC ms or as datetime64.
        where: the name of the file or table, for errors.
        first_row: 1-based number of the first of these rows, for errors.

    Raises:
        UserError: a column does not hold numbers, or `ts` does not hold times.
    """
    check_names(arrays, where)
    floats = []
    for name in COLUMN_NAMES[1:]:
        values = arrays[name]
        if values.dtype.kind not in "iuf":
            message = f"{where}: column {name!r} holds {values.dtype.name} values, not numbers"
            raise UserError(message)
        floats.append(np.require(values, np.float64, ["C", "W", "A"]))
    return Columns(_times(arrays["ts"], where, first_row), *floats)


def _times(values: NDArray[np.generic], where: str, first_row: int) -> Integers:
    """Return open times in nanoseconds, from milliseconds or datetime64."""
    if values.dtype.kind == "M":
        absent = np.isnat(values)
        if absent.any():
            message = f"{where}: row {first_row + int(absent.argmax())}: ts is empty"
            raise UserError(message)
        return values.astype("datetime64[ns]").astype(np.int64)
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (np.floor(values) == values)
        if not whole.all():
            row = int(np.argmin(whole))
            message = f"{where}: row {first_row + row}: ts is {values[row]}, not a whole number"
            raise UserError(message)
    elif values.dtype.kind not in "iu":
        message = f"{where}: column 'ts' holds {values.dtype.name} values, not times"
        raise UserError(message)
    low, high = _PLAUSIBLE_MS
    plausible = (values >= low) & (values < high)  # type: ignore[operator]
    if not plausible.all():
        row = int(np.argmin(plausible))
        message = f"{where}: row {first_row + row}: {_implausible(int(values[row]))}"
        raise UserError(message)
    return values.astype(np.int64) * NS_PER_MS


def _implausible(value: int) -> str:
    """Say what a number that is no time in milliseconds looks like."""
    for low, high, unit in _UNITS:
        if low <= value < high:
            return f"ts {value} looks like {unit}; ts is the open time in UTC milliseconds"
    return f"ts {value} is not a plausible time; ts is the open time in UTC milliseconds"


def time_text(ns: int) -> str:
    """Return a time in nanoseconds the way a person reads it."""
    moment = _EPOCH + timedelta(microseconds=ns // 1_000)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{ns % 10**9:09d}" if ns % 10**9 else "")
