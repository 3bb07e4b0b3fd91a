"""What a strategy knows before it was told anything: data in its module, its class, itself and its step functions.

A tape's own prices among it, in the tape's order, are prices of bars to come. So is what was made of them: numbers
that rise and fall as they do, such as returns, a normalised column, a centred average, or the side to be on.
"""

from __future__ import annotations

import sys
from collections import deque
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from strategies.base import DESK
from strategies.indicators.custom import Custom
from strategies.indicators.expression import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from strategies.indicators.expression import Expression

_WINDOW = 8
"""So many values in the tape's order are no coincidence, if they differ."""
_DIFFERENT = 5
_DEPTH_MAX = 4
_LIKE_ROWS = 200
"""Fewer rows, or fewer different numbers among them, are like anything."""
_LIKE_MIN = 0.2
_LIKE_CHANCE = 8.0
"""So many standard deviations more than that are no coincidence, wherever the one is laid beside the other."""
_OUTLIER = 3.0
_CLOCKS = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter", "localtime", "gmtime"}
_NUMBERS_MAX = 5_000_000


class TapePrices:
    """Recognizes stretches of a tape's columns."""

    def __init__(self, columns: Iterable[NDArray[np.float64]], closes: Iterable[NDArray[np.float64]] = ()) -> None:
        """Know columns by their values, and closes also by how they change."""
        self._changes = [each for close in closes if (each := _standard(np.diff(np.log(close)))) is not None]
        self._windows: set[bytes] = set()
        for column in columns:
            for start in range(0, len(column) - _WINDOW + 1, _WINDOW):
                window = np.ascontiguousarray(column[start : start + _WINDOW], np.float64)
                if len(set(window.tolist())) >= _DIFFERENT:
                    self._windows.add(window.tobytes())

    def count(self, numbers: NDArray[np.float64]) -> int:
        """Return how many of these numbers stand in stretches of the tape."""
        if len(numbers) < _WINDOW or len(numbers) > _NUMBERS_MAX:
            return 0
        known = self._windows
        starts = range(len(numbers) - _WINDOW + 1)
        return _WINDOW * sum(numbers[start : start + _WINDOW].tobytes() in known for start in starts)

    def likeness(self, numbers: NDArray[np.float64]) -> float:
        """Return how much these numbers, or their changes, are like those of a tape's closes; 0 where it may be chance.

        It is the greatest correlation, in size, of all ways to lay the one beside the other.
        """
        greatest = 0.0
        if len(numbers) > _NUMBERS_MAX:
            return greatest
        with np.errstate(invalid="ignore"):
            given = [_standard(numbers), _standard(np.diff(numbers))]
        for mine in (each for each in given if each is not None):
            for theirs in self._changes:
                rows = min(len(mine), len(theirs))
                size = 1 << (len(mine) + len(theirs)).bit_length()
                product = np.fft.rfft(mine, size) * np.conj(np.fft.rfft(theirs, size))
                found = float(np.abs(np.fft.irfft(product, size)).max()) / rows
                if found > _LIKE_MIN + _LIKE_CHANCE / rows**0.5:
                    greatest = max(greatest, min(found, 1.0))
        return greatest


def _standard(numbers: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return numbers as deviations from their middle, outliers cut; None where they are too few to be like anything."""
    there = np.isfinite(numbers)
    known = numbers[there]
    if len(known) < _LIKE_ROWS:
        return None
    away = known - np.median(known)
    if np.count_nonzero(away) < _LIKE_ROWS:
        return None
    away = np.clip(away, *(_OUTLIER * np.median(np.abs(away[away != 0.0])) * np.array([-1.0, 1.0])))
    away -= away.mean()
    spread = float(away.std())
    if spread == 0.0:
        return None
    laid = np.zeros(len(numbers))
    laid[there] = away / spread
    return laid


def of_strategy(strategy: object) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the numbers a strategy's module, class and instance hold, with where."""
    kind = type(strategy)
    module = sys.modules.get(kind.__module__)
    for name, value in vars(module).items() if module is not None else ():
        if not name.startswith("__") and not isinstance(value, ModuleType | type):
            yield from _numbers(name, value, 0)
    for name, value in vars(kind).items():
        if not name.startswith("__"):
            yield from _numbers(f"{kind.__name__}.{name}", value, 0)
    for name, value in getattr(strategy, "__dict__", {}).items():
        if name != DESK:
            yield from _numbers(f"self.{name}", value, 0)


def of_steps(declared: Mapping[str, Expression]) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Yield the numbers that users' step functions reach: the feature, the name, the numbers."""
    for feature, expression in declared.items():
        for own in steps(expression):
            for name, value in _reached(own.step):
                for where, numbers in _numbers(name, value, 0):
                    yield feature, where, numbers


def clocks_of(strategy: object, declared: Mapping[str, Expression]) -> Iterator[tuple[str, str]]:
    """Yield the clocks that a user's functions name: the feature, nothing for the strategy itself, and the name.

    Two runs an instant apart need not differ by the hour of the day.
    """
    for name, value in vars(type(strategy)).items() if strategy is not None else ():
        if isinstance(value, FunctionType):
            yield from (("", f"{name}: {clock}") for clock in _clocks(value.__code__))
    for feature, expression in declared.items():
        for own in steps(expression):
            function = getattr(own.step, "py_func", own.step)
            function = getattr(getattr(function, "func", function), "__func__", function)
            if isinstance(function, FunctionType):
                yield from ((feature, clock) for clock in _clocks(function.__code__))


def _clocks(code: CodeType) -> Iterator[str]:
    yield from (name for name in code.co_names if name in _CLOCKS)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _clocks(constant)


def steps(expression: Expression) -> Iterator[Custom]:
    """Yield the users' step functions an expression is computed by, the innermost first."""
    yield from (one for one, _ in in_order(expression) if isinstance(one, Custom))


def _reached(step: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401 - whatever can be called
    """Yield what a function can read besides its arguments."""
    function = getattr(step, "py_func", step)
    function = getattr(function, "func", function)
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, ModuleType):
        yield from ((f"self.{name}", value) for name, value in getattr(owner, "__dict__", {}).items())
        function = function.__func__
    if not isinstance(function, FunctionType):
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield name, function.__globals__[name]
    yield from ((f"default {place}", value) for place, value in enumerate(function.__defaults__ or (), 1))


def _numbers(name: str, value: Any, depth: int) -> Iterator[tuple[str, NDArray[np.float64]]]:  # noqa: ANN401 - anything
    """Yield the columns of numbers that a value holds."""
    if depth > _DEPTH_MAX:
        return
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "fiu":
            many = value.reshape(len(value), -1).T if value.ndim > 1 else [value]
            yield from ((name, np.ascontiguousarray(column, np.float64)) for column in many)
        elif value.dtype.names:
            yield from (
                (f"{name}[{field!r}]", np.ascontiguousarray(value[field], np.float64)) for field in value.dtype.names
            )
    elif isinstance(value, list | tuple | deque):
        yield from _sequence(name, list(value), depth)
    elif isinstance(value, dict):
        yield from _sequence(name, list(value.values()), depth)
        yield from _sequence(f"{name} (keys)", list(value), depth)
    elif hasattr(value, "to_numpy"):
        columns = getattr(value, "columns", None)
        if columns is None:
            yield from _numbers(name, np.asarray(value.to_numpy()), depth + 1)
        else:
            for column in columns:
                yield from _numbers(f"{name}[{column!r}]", np.asarray(value[column].to_numpy()), depth + 1)


def _sequence(name: str, items: list[Any], depth: int) -> Iterator[tuple[str, NDArray[np.float64]]]:
    if not items or len(items) > _NUMBERS_MAX:
        return
    first = items[0]
    if isinstance(first, int | float | np.number) and not isinstance(first, bool):
        try:
            yield name, np.array(items, np.float64)
        except (TypeError, ValueError):
            return
    elif isinstance(first, list | tuple) and first and all(isinstance(item, list | tuple) for item in items):
        # Rows of a table: its columns are what stands in the tape's order.
        width = min(len(item) for item in items)
        for place in range(width):
            yield from _sequence(name, [item[place] for item in items], depth + 1)
    else:
        for item in items[:1_000]:
            yield from _numbers(name, item, depth + 1)
