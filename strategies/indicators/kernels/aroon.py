"""Aroon (Chande 1995): how long ago the window's extremes were."""

import numpy as np

from strategies.indicators.kernels.ages import AGE_RING, age_next, age_run
from strategies.indicators.kernels.ages import age_slots as age_block
from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs

PERIOD = 1
HIGH = 2  # Where the age of the highest high begins; that of the lowest low follows.


def aroon_slots(period: int) -> int:
    """Give the length of the state."""
    return HIGH + 2 * age_block(period + 1)


aroonosc_slots = aroon_slots


@inlined
def _ages_next(state: Vector, high: float, low: float) -> tuple[float, float]:
    """Take one bar in; give the ages of the lowest low and of the highest high among `period` + 1 bars."""
    size = int(state[PERIOD]) + 1
    top = age_next(state, HIGH, size, high)
    return age_next(state, HIGH + AGE_RING + 2 * size, size, -low), top


@inlined
def _ages_run(state: Vector, high: Vector, low: Vector, lowest: Vector, highest: Vector) -> None:
    """Take columns in; fill others with both ages."""
    size = int(state[PERIOD]) + 1
    age_run(state, HIGH, size, 1.0, high, highest)
    age_run(state, HIGH + AGE_RING + 2 * size, size, -1.0, low, lowest)


@compiled(outputs(2), STATE, VALUE, VALUE)
def aroon_step(state: Vector, high: float, low: float) -> tuple[float, float]:
    """Take one bar in; give Aroon down and up, 0 to 100 (TA-Lib AROON)."""
    lowest, highest = _ages_next(state, high, low)
    period = state[PERIOD]
    factor = 100.0 / period
    return factor * (period - lowest), factor * (period - highest)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE, STATE)
def aroon_batch(state: Vector, high: Vector, low: Vector, down: Vector, up: Vector) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    _ages_run(state, high, low, down, up)
    period = state[PERIOD]
    factor = 100.0 / period
    for row in range(up.size):
        down[row] = factor * (period - down[row])
        up[row] = factor * (period - up[row])


@compiled(outputs(1), STATE, VALUE, VALUE)
def aroonosc_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar in; give Aroon up less Aroon down, -100 to 100 (TA-Lib AROONOSC)."""
    lowest, highest = _ages_next(state, high, low)
    return (100.0 / state[PERIOD] * (lowest - highest),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def aroonosc_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n differences to `out`."""
    lowest = np.empty(out.size)
    _ages_run(state, high, low, lowest, out)
    factor = 100.0 / state[PERIOD]
    for row in range(out.size):
        out[row] = factor * (lowest[row] - out[row])
