"""From where on a value no longer depends on where its series began."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ROWS_MIN = 40
_CHANGES_MIN = 100
"""Fewer rows, or fewer different values on them, tell nothing."""
_STEADY = 1e-12
_JUMP = 1e-4
_FADES = 0.5
_RARE = 0.01


class Settling(NamedTuple):
    """How two series of one value, begun at different times, became one."""

    bars: int | None
    """Behind the later one's first value; None if they never do."""
    is_sudden: bool
    """Whether they differed until there, and not at all from there on."""
    words: str


def settled(left: Floats, right: Floats, tolerance: float) -> Settling | None:
    """Compare a value on rows both have, of which the series of `right` began later.

    Returns:
        None where the rows are too few to tell.
    """
    there = np.flatnonzero(~np.isnan(right))
    if not there.size or len(right) - there[0] < _ROWS_MIN:
        return None
    left, right = left[there[0] :], right[there[0] :]
    distance = _distance(left, right)
    off = np.flatnonzero(distance > tolerance)
    if not off.size:
        return Settling(0, is_sudden=False, words="")
    bars = int(off[-1]) + 1
    quarter = max(1, len(distance) // 4)
    away = distance[-quarter:] > tolerance
    if away.mean() > (_RARE if _is_state(left) else 0.0):
        return _unsettled(left, right, distance, quarter)
    if _is_state(left):
        return Settling(bars, is_sudden=False, words="")
    before, after = distance[max(0, bars - 3) : bars], distance[bars:]
    sudden = bool(before.max() > _JUMP and after.size and after.max() <= _STEADY)
    words = f"its value is {_share(float(distance[:bars].max()))} away until then, and right at once"
    return Settling(bars, sudden, words)


def _is_state(left: Floats) -> bool:
    """Return whether these are whole numbers, which flip rather than fade."""
    told = left[np.isfinite(left)]
    return bool((told == np.rint(told)).all())


def _unsettled(left: Floats, right: Floats, distance: Floats, quarter: int) -> Settling | None:
    """Judge what is still away at the end; None if it may only be a matter of time."""
    if np.count_nonzero(np.diff(left)) < _CHANGES_MIN:
        return None
    with np.errstate(invalid="ignore"):
        apart = np.abs(left - right)
    head, tail = apart[:quarter], apart[-quarter:]
    if not _is_state(left) and _median(tail) < _FADES * _median(head):
        return None
    rows, furthest = len(distance), float(distance[-quarter:].max())
    share = (distance[-quarter:] > 0.0).mean()
    how = f"{share:.0%} of its values are others" if _is_state(left) else f"it is {_share(furthest)} away"
    return Settling(None, is_sudden=False, words=f"it depends on where the tape begins: after {rows:,} bars {how}")


def _median(apart: Floats) -> float:
    """Return the middle of what are numbers; infinity where none is."""
    known = apart[~np.isnan(apart)]
    return float(np.median(known)) if known.size else float("inf")


def _distance(left: Floats, right: Floats) -> Floats:
    """Return how far the values are from each other, in proportion to their size."""
    finite = np.abs(left[np.isfinite(left)])
    scale = float(np.median(finite)) if finite.size else 0.0
    scale = scale or (float(finite.max()) if finite.size else 0.0) or 1.0
    distance: Floats = np.full(left.shape, np.inf)
    one, other = np.isnan(left), np.isnan(right)
    distance[one & other] = 0.0
    both = ~one & ~other
    with np.errstate(invalid="ignore", over="ignore"):
        distance[both] = np.abs(left[both] - right[both]) / np.maximum(np.abs(left[both]), scale)
    distance[both & (left == right)] = 0.0
    return distance


def _share(distance: float) -> str:
    return "endlessly far" if not np.isfinite(distance) else f"{distance:.2g} of its size"
