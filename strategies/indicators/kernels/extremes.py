"""Rolling extremes: MAX and MIN."""

from math import inf, nan

from strategies.indicators.kernels.compiled import (
    COLUMN,
    STATE,
    VALUE,
    VOID,
    Vector,
    compiled,
    inlined,
    outputs,
)

SEEN = 0
PERIOD = 1


# MAX and MIN -- as SMA, with the extreme in place of the sum and no anchor.  A NaN in the window
# is the extreme.

EXTREME_HEAD = 2
EXTREME_RING = 3


@inlined
def _greater(left: float, right: float) -> float:
    """Give the greater of two, NaN if either is."""
    return left if left > right or left != left else right  # noqa: PLR0124 - NaN differs from itself


@inlined
def _lesser(left: float, right: float) -> float:
    """Give the lesser of two, NaN if either is."""
    return left if left < right or left != left else right  # noqa: PLR0124 - NaN differs from itself


@compiled(outputs(1), STATE, VALUE)
def highest_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a rolling maximum (TA-Lib MAX)."""
    period = int(state[PERIOD])
    seen = int(state[SEEN])
    position = seen - period if seen >= period else seen
    state[EXTREME_RING + position] = value
    if position + 1 == period:
        best = -inf
        for slot in range(EXTREME_RING + position, EXTREME_RING - 1, -1):
            best = _greater(best, state[slot])
            state[slot] = best
        state[SEEN] = period
        state[EXTREME_HEAD] = -inf
        return (best,)
    state[SEEN] = seen + 1
    if seen < period:
        return (nan,)
    head = _greater(state[EXTREME_HEAD], value)
    state[EXTREME_HEAD] = head
    return (_greater(state[EXTREME_RING + position + 1], head),)


@compiled(VOID, STATE, COLUMN, STATE)
def highest_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a rolling maximum and write n maxima to `out`."""
    for row in range(values.size):
        out[row] = highest_step(state, values[row])[0]


@compiled(outputs(1), STATE, VALUE)
def lowest_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a rolling minimum (TA-Lib MIN)."""
    period = int(state[PERIOD])
    seen = int(state[SEEN])
    position = seen - period if seen >= period else seen
    state[EXTREME_RING + position] = value
    if position + 1 == period:
        best = inf
        for slot in range(EXTREME_RING + position, EXTREME_RING - 1, -1):
            best = _lesser(best, state[slot])
            state[slot] = best
        state[SEEN] = period
        state[EXTREME_HEAD] = inf
        return (best,)
    state[SEEN] = seen + 1
    if seen < period:
        return (nan,)
    head = _lesser(state[EXTREME_HEAD], value)
    state[EXTREME_HEAD] = head
    return (_lesser(state[EXTREME_RING + position + 1], head),)


@compiled(VOID, STATE, COLUMN, STATE)
def lowest_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a rolling minimum and write n minima to `out`."""
    for row in range(values.size):
        out[row] = lowest_step(state, values[row])[0]
