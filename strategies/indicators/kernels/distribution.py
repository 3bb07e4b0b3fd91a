"""How the values of a window are spread: z-score, skewness and kurtosis."""

from math import sqrt

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.powers import POWERS_SUMS, powers_next, powers_run, powers_slots

PERIOD = 1
POWERS = 2
STRETCH = 1024
"""Rows a temporary column has room for, so that it stays in the cache."""


def zscore_slots(period: int) -> int:
    """Give the length of the state."""
    return POWERS + powers_slots(period)


skew_slots = kurtosis_slots = zscore_slots


@inlined
def _stretch(period: int) -> int:
    """Give so many rows that most of them are of whole blocks."""
    return period * max(4, STRETCH // period)


# Where all values are equal the second moment is exactly 0, and so are these three.


@inlined
def _score(off: float, second: float) -> float:
    """Give a distance in standard deviations."""
    return off / sqrt(second) if second > 0.0 else second * 0.0


@inlined
def _skewness(second: float, third: float) -> float:
    """Give the third moment in standard deviations."""
    return third / (second * sqrt(second)) if second > 0.0 else second * 0.0


@inlined
def _excess(second: float, fourth: float) -> float:
    """Give the fourth moment in standard deviations, less that of a normal distribution."""
    return fourth / (second * second) - 3.0 if second > 0.0 else second * 0.0


@compiled(outputs(1), STATE, VALUE)
def zscore_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give how many standard deviations it is off the mean."""
    off, second, _, _ = powers_next(state, POWERS, int(state[PERIOD]), value)
    return (_score(off, second),)


@compiled(VOID, STATE, COLUMN, STATE)
def zscore_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n scores to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    moments = np.empty((POWERS_SUMS, min(values.size, stretch)))
    offs, seconds = moments[0], moments[1]
    for first in range(0, values.size, stretch):
        filled = out[first : min(first + stretch, values.size)]
        powers_run(state, POWERS, period, values[first : first + filled.size], moments)
        for row in range(filled.size):
            filled[row] = _score(offs[row], seconds[row])


@compiled(outputs(1), STATE, VALUE)
def skew_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a population skewness."""
    _, second, third, _ = powers_next(state, POWERS, int(state[PERIOD]), value)
    return (_skewness(second, third),)


@compiled(VOID, STATE, COLUMN, STATE)
def skew_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n skewnesses to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    moments = np.empty((POWERS_SUMS, min(values.size, stretch)))
    seconds, thirds = moments[1], moments[2]
    for first in range(0, values.size, stretch):
        filled = out[first : min(first + stretch, values.size)]
        powers_run(state, POWERS, period, values[first : first + filled.size], moments)
        for row in range(filled.size):
            filled[row] = _skewness(seconds[row], thirds[row])


@compiled(outputs(1), STATE, VALUE)
def kurtosis_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a population excess kurtosis."""
    _, second, _, fourth = powers_next(state, POWERS, int(state[PERIOD]), value)
    return (_excess(second, fourth),)


@compiled(VOID, STATE, COLUMN, STATE)
def kurtosis_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n kurtoses to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    moments = np.empty((POWERS_SUMS, min(values.size, stretch)))
    seconds, fourths = moments[1], moments[3]
    for first in range(0, values.size, stretch):
        filled = out[first : min(first + stretch, values.size)]
        powers_run(state, POWERS, period, values[first : first + filled.size], moments)
        for row in range(filled.size):
            filled[row] = _excess(seconds[row], fourths[row])
