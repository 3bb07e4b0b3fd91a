"""What looks at every value of a window: PERCENTRANK, AVGDEV and entropy."""

from math import inf, log, nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import LAG_RING
from strategies.indicators.kernels.parts import greater, lesser, sma_next, sma_run, sma_slots
from strategies.indicators.kernels.windows import cold, window_next, window_run, window_slots

PERIOD = 1
WINDOW = 2
STRETCH = 1024
"""Rows summed at a time, a value of each one's window after the other: the sums stay in the cache."""


# PERCENTRANK -- of the values before, hence counted ahead of taking the newest in.


def percentrank_slots(period: int) -> int:
    """Give the length of the state."""
    return WINDOW + window_slots(period)


@compiled(outputs(1), STATE, VALUE)
def percentrank_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the percentage of the PERIOD values before that are less (TA-Lib PERCENTRANK)."""
    period = int(state[PERIOD])
    ready = state[WINDOW] >= period
    ring = state[WINDOW + LAG_RING : WINDOW + LAG_RING + period]
    count = 0.0
    for slot in range(period):
        count += 1.0 if ring[slot] < value else 0.0
    window_next(state, WINDOW, period, value)
    return (100.0 * count / period if ready else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def percentrank_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n percentages to `out`."""
    period = int(state[PERIOD])
    begin = min(values.size, period - int(state[WINDOW]))
    seen = int(state[WINDOW])
    history = window_run(state, WINDOW, period, values)
    for row in range(begin):
        out[row] = nan
    for first in range(begin, values.size, STRETCH):
        filled = out[first : min(first + STRETCH, values.size)]
        now = values[first : first + filled.size]
        filled[:] = 0.0
        for age in range(1, period + 1):
            before = history[seen + first - age : seen + first - age + filled.size]
            for row in range(filled.size):
                filled[row] += 1.0 if before[row] < now[row] else 0.0
        for row in range(filled.size):
            filled[row] = 100.0 * filled[row] / period


# AVGDEV -- the window, then an SMA.


def avgdev_slots(period: int) -> int:
    """Give the length of the state."""
    return WINDOW + window_slots(period) + sma_slots(period)


@compiled(outputs(1), STATE, VALUE)
def avgdev_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a mean absolute deviation from the mean (TA-Lib AVGDEV)."""
    period = int(state[PERIOD])
    window_next(state, WINDOW, period, value)
    mean = sma_next(state, WINDOW + LAG_RING + period, period, value)
    if state[WINDOW] < period:
        return (nan,)
    total = 0.0
    oldest = WINDOW + LAG_RING + int(state[WINDOW + 1])
    for slot in range(oldest, WINDOW + LAG_RING + period):
        total += abs(state[slot] - mean)
    for slot in range(WINDOW + LAG_RING, oldest):
        total += abs(state[slot] - mean)
    return (total / period,)


@compiled(VOID, STATE, COLUMN, STATE)
def avgdev_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n deviations to `out`."""
    period = int(state[PERIOD])
    begin = cold(state, WINDOW, period, values.size)
    seen = int(state[WINDOW])
    history = window_run(state, WINDOW, period, values)
    sma_run(state, WINDOW + LAG_RING + period, period, values, out)
    means = np.empty(min(values.size, STRETCH))
    for first in range(begin, values.size, STRETCH):
        filled = out[first : min(first + STRETCH, values.size)]
        for row in range(filled.size):
            means[row] = filled[row]
            filled[row] = 0.0
        for age in range(period - 1, -1, -1):
            before = history[seen + first - age : seen + first - age + filled.size]
            for row in range(filled.size):
                filled[row] += abs(before[row] - means[row])
        for row in range(filled.size):
            filled[row] /= period


# ENTROPY -- the parts' counts stand behind the window.

ENTROPY_BINS = 2
ENTROPY = 3


def entropy_slots(period: int, bins: int) -> int:
    """Give the length of the state."""
    return ENTROPY + window_slots(period) + bins


@inlined
def _entropy(window: Vector, counts: Vector) -> float:
    """Give Shannon's entropy of a window's histogram, by the greatest it could be."""
    top, bottom = -inf, inf
    for value in window:
        top = greater(top, value)
        bottom = lesser(bottom, value)
    width = top - bottom
    if width == 0.0:
        return 0.0
    scale = counts.size / width
    last = counts.size - 1.0
    counts[:] = 0.0
    for value in window:
        place = (value - bottom) * scale
        # Written so that NaN, which has no place, falls into the first part.
        counts[int(min(place, last)) if place > 0.0 else 0] += 1.0
    total = 0.0
    for count in counts:
        total += count * log(count) if count > 1.0 else 0.0
    return max(0.0, log(float(window.size)) - total / window.size) / log(float(counts.size))


@compiled(outputs(1), STATE, VALUE)
def entropy_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into the entropy of a window, 0 to 1."""
    period = int(state[PERIOD])
    window_next(state, ENTROPY, period, value)
    if state[ENTROPY] < period:
        return (nan,)
    ring = ENTROPY + LAG_RING
    bins = ring + period
    return (_entropy(state[ring:bins], state[bins : bins + int(state[ENTROPY_BINS])]),)


@compiled(VOID, STATE, COLUMN, STATE)
def entropy_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n entropies to `out`."""
    for row in range(values.size):
        out[row] = entropy_step(state, values[row])[0]
