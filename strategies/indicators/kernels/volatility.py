"""Volatility: true ranges, deviations and Bollinger bands."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.parts import (
    RMA_SLOTS,
    moments_next,
    moments_run,
    moments_slots,
    rma_next,
)
from strategies.indicators.kernels.ranges import true_range, true_ranges
from strategies.indicators.kernels.variances import variance_next, variance_run, variance_slots

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


# NATR -- ATR in percent of the close, with the same state.  Its average is written so that a row waits for
# two operations of the row before instead of three; the last bit may differ from ATR's.

natr_slots = atr_slots


@inlined
def _percent(part: float, whole: float) -> float:
    """Give a part in percent, 0 of nothing."""
    return 100.0 * (part / whole) if whole != 0.0 else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def natr_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into an average true range in percent of the close (TA-Lib NATR)."""
    period = state[PERIOD]
    if state[ATR_AVERAGE] < period:
        seed = atr_step(state, high, low, close)[0]
        return (_percent(seed, close) if state[ATR_AVERAGE] >= period else nan,)
    weight = 1.0 / period
    wide = true_range(high, low, state[ATR_CLOSE])
    average = state[ATR_AVERAGE + 1] * (1.0 - weight) + wide * weight
    state[ATR_CLOSE] = close
    state[ATR_AVERAGE + 1] = average
    return (_percent(average, close),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def natr_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n percentages to `out`."""
    period = state[PERIOD]
    row = 0
    while row < out.size and state[ATR_AVERAGE] < period:
        out[row] = natr_step(state, high[row], low[row], close[row])[0]
        row += 1
    highs, lows, closes, found = high[row:], low[row:], close[row:], out[row:]
    average = state[ATR_AVERAGE + 1]
    previous = state[ATR_CLOSE]
    weight = 1.0 / period
    keep = 1.0 - weight
    for i in range(found.size):
        average = average * keep + true_range(highs[i], lows[i], previous) * weight
        previous = closes[i]
        found[i] = _percent(average, previous)
    state[ATR_AVERAGE + 1] = average
    state[ATR_CLOSE] = previous


# TRANGE -- the first bar only lends its close to the second; SEEN stops at 1.

TRANGE_CLOSE = 1


def trange_slots() -> int:
    """Give the length of the state."""
    return TRANGE_CLOSE + 1


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def trange_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar in; give its true range (TA-Lib TRANGE)."""
    previous = state[TRANGE_CLOSE]
    state[TRANGE_CLOSE] = close
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    return (true_range(high, low, previous),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def trange_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n true ranges to `out`."""
    if out.size > 0:
        out[0] = trange_step(state, high[0], low[0], close[0])[0]
        true_ranges(high, low, close, out[1:])
        state[TRANGE_CLOSE] = close[-1]


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


VAR = 2


def var_slots(period: int) -> int:
    """Give the length of a VAR's state."""
    return VAR + variance_slots(period)


@compiled(outputs(1), STATE, VALUE)
def var_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a population variance (TA-Lib VAR, nbdev 1)."""
    return (variance_next(state, VAR, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def var_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a VAR and write n variances to `out`."""
    variance_run(state, VAR, int(state[PERIOD]), values, out)


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


# What is said of the bands: how wide they are, and where the price is between them.

bbands_width_slots = bbands_percent_slots = bbands_slots


@inlined
def _width(upper: float, middle: float, lower: float) -> float:
    """Give the bands' distance as a fraction of the middle, 0 where that is 0."""
    return (upper - lower) / middle if middle != 0.0 else 0.0


@inlined
def _place(value: float, upper: float, lower: float) -> float:
    """Give where a value is between the bands, half way where they are one."""
    return (value - lower) / (upper - lower) if upper != lower else 0.5


@compiled(outputs(1), STATE, VALUE)
def bbands_width_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the distance of Bollinger's bands as a fraction of the middle one."""
    upper, middle, lower = bbands_step(state, value)
    return (_width(upper, middle, lower),)


@compiled(VOID, STATE, COLUMN, STATE)
def bbands_width_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n distances to `out`."""
    middle = np.empty(out.size)
    lower = np.empty(out.size)
    bbands_batch(state, values, out, middle, lower)
    for row in range(out.size):
        out[row] = _width(out[row], middle[row], lower[row])


@compiled(outputs(1), STATE, VALUE)
def bbands_percent_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give where it is between Bollinger's bands, 0 on the lower and 1 on the upper."""
    upper, _, lower = bbands_step(state, value)
    return (_place(value, upper, lower),)


@compiled(VOID, STATE, COLUMN, STATE)
def bbands_percent_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n places to `out`."""
    middle = np.empty(out.size)
    lower = np.empty(out.size)
    bbands_batch(state, values, out, middle, lower)
    for row in range(out.size):
        out[row] = _place(values[row], out[row], lower[row])
