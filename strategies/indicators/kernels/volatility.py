"""Volatility: ATR, STDDEV and BBANDS."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, outputs
from strategies.indicators.kernels.parts import (
    RMA_SLOTS,
    moments_next,
    moments_run,
    moments_slots,
    rma_next,
)
from strategies.indicators.kernels.ranges import true_range

SEEN = 0
PERIOD = 1
STRETCH = 8_192
"""Rows taken at a time where a column is needed in between: it stays in the cache."""


# ATR -- Wilder's average of true ranges.  The first bar has no close before it and only lends its own to
# the second; SEEN stops at 1.

ATR_CLOSE = 2
ATR_AVERAGE = 3


def atr_slots(_: int) -> int:
    """Give the length of an ATR's state."""
    return ATR_AVERAGE + RMA_SLOTS


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def atr_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into an average true range (Wilder, TA-Lib ATR)."""
    previous = state[ATR_CLOSE]
    state[ATR_CLOSE] = close
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    return (rma_next(state, ATR_AVERAGE, state[PERIOD], true_range(high, low, previous)),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def atr_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars into an ATR and write n ranges to `out`."""
    period = state[PERIOD]
    row = 0
    while row < close.size and state[ATR_AVERAGE] < period:
        out[row] = atr_step(state, high[row], low[row], close[row])[0]
        row += 1
    average = state[ATR_AVERAGE + 1]
    previous = state[ATR_CLOSE]
    weight = 1.0 / period
    for later in range(row, close.size):
        average = (true_range(high[later], low[later], previous) - average) * weight + average
        previous = close[later]
        out[later] = average
    state[ATR_AVERAGE + 1] = average
    state[ATR_CLOSE] = previous


STDDEV = 2


def stddev_slots(period: int) -> int:
    """Give the length of a STDDEV's state."""
    return STDDEV + moments_slots(period)


@compiled(outputs(1), STATE, VALUE)
def stddev_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a population standard deviation (TA-Lib STDDEV, nbdev 1)."""
    return (moments_next(state, STDDEV, int(state[PERIOD]), value)[1],)


@compiled(VOID, STATE, COLUMN, STATE)
def stddev_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a STDDEV and write n deviations to `out`."""
    period = int(state[PERIOD])
    means = np.empty(STRETCH)
    for first in range(0, values.size, STRETCH):
        rows = values[first : first + STRETCH]
        moments_run(state, STDDEV, period, rows, means[: rows.size], out[first : first + STRETCH])


BANDS_DEVIATIONS = 2
BANDS = 3


def bbands_slots(period: int, _: float) -> int:
    """Give the length of the bands' state."""
    return BANDS + moments_slots(period)


@compiled(outputs(3), STATE, VALUE)
def bbands_step(state: Vector, value: float) -> tuple[float, float, float]:
    """Take one bar into Bollinger bands (TA-Lib BBANDS, matype SMA): upper, middle, lower."""
    middle, deviation = moments_next(state, BANDS, int(state[PERIOD]), value)
    reach = state[BANDS_DEVIATIONS] * deviation
    return middle + reach, middle, middle - reach


@compiled(VOID, STATE, COLUMN, STATE, STATE, STATE)
def bbands_batch(state: Vector, values: Vector, upper: Vector, middle: Vector, lower: Vector) -> None:
    """Take a chunk of n values into Bollinger bands and write n values to each output."""
    moments_run(state, BANDS, int(state[PERIOD]), values, middle, upper)
    deviations = state[BANDS_DEVIATIONS]
    for row in range(values.size):
        reach = deviations * upper[row]
        lower[row] = middle[row] - reach
        upper[row] = middle[row] + reach
