"""How restless a market is: changes of its ranges, its drawdowns, and deviations of rising and falling bars."""

from math import nan, sqrt

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import lag_next, lag_run
from strategies.indicators.kernels.lags import lag_slots as lag_block
from strategies.indicators.kernels.parts import (
    EMA_SLOTS,
    EXTREME_RING,
    RMA_SLOTS,
    extreme_slots,
    highest_next,
    highest_run,
    rma_next,
)
from strategies.indicators.kernels.ranges import true_range
from strategies.indicators.kernels.smooth import STRETCH, smooth_next, stretch_of
from strategies.indicators.kernels.sums import sum_next, sum_run, sum_slots
from strategies.indicators.kernels.variances import variance_next, variance_run, variance_slots

SEEN = 0
PERIOD = 1

# CHAIKIN_VOLATILITY -- by how many percent an EMA of ranges has changed.

CHAIKIN_BARS = 2
CHAIKIN_EMA = 3
CHAIKIN_LAG = CHAIKIN_EMA + EMA_SLOTS


def chaikin_volatility_slots(_: int, count: int) -> int:
    """Give the length of the state."""
    return CHAIKIN_LAG + lag_block(count)


@inlined
def _change(value: float, before: float) -> float:
    """Give a change in percent of what was before, 0 of nothing."""
    return 100.0 * ((value - before) / before) if before != 0.0 else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE)
def chaikin_volatility_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into Chaikin's volatility (TA-Lib CVI)."""
    average = smooth_next(state, CHAIKIN_EMA, state[PERIOD], high - low)
    if state[CHAIKIN_EMA] < state[PERIOD]:
        return (nan,)
    count = state[CHAIKIN_BARS]
    is_late = state[CHAIKIN_LAG] >= count
    before = lag_next(state, CHAIKIN_LAG, int(count), average)
    return (_change(average, before) if is_late else nan,)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def chaikin_volatility_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n changes to `out`."""
    row = 0
    while row < out.size and state[CHAIKIN_LAG] < state[CHAIKIN_BARS]:
        out[row] = chaikin_volatility_step(state, high[row], low[row])[0]
        row += 1
    if row == out.size:
        return
    count = int(state[CHAIKIN_BARS])
    mean = state[CHAIKIN_EMA + 2]
    weight = 2.0 / (state[PERIOD] + 1.0)
    keep = 1.0 - weight
    stretch = max(STRETCH, 4 * count)
    means = np.empty(stretch)
    for begin in range(row, out.size, stretch):
        end = min(begin + stretch, out.size)
        highs, lows, found, averages = high[begin:end], low[begin:end], out[begin:end], means[: end - begin]
        for i in range(found.size):
            mean = mean * keep + (highs[i] - lows[i]) * weight
            averages[i] = mean
        lag_run(state, CHAIKIN_LAG, count, averages, found)
        for i in range(found.size):
            found[i] = _change(averages[i], found[i])
    state[CHAIKIN_EMA + 2] = mean


# ULCER_INDEX -- the root of the mean square of what is missing to the window's highest, in percent.

ULCER_HIGHEST = 2


def ulcer_index_slots(period: int) -> int:
    """Give the length of the state."""
    return ULCER_HIGHEST + extreme_slots(period) + sum_slots(period)


@inlined
def _missing(value: float, top: float) -> float:
    """Give the square of what is missing to the top, in percent of it."""
    lack = _change(value, top)
    return lack * lack


@compiled(outputs(1), STATE, VALUE)
def ulcer_index_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into the ulcer index."""
    period = int(state[PERIOD])
    top = highest_next(state, ULCER_HIGHEST, period, value)
    if state[ULCER_HIGHEST] < period:
        return (nan,)
    total = sum_next(state, ULCER_HIGHEST + EXTREME_RING + period, period, _missing(value, top))
    return (sqrt(total / state[PERIOD]),)


@compiled(VOID, STATE, COLUMN, STATE)
def ulcer_index_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n indices to `out`."""
    period = int(state[PERIOD])
    row = 0
    while row < out.size and state[ULCER_HIGHEST] < period:
        out[row] = ulcer_index_step(state, values[row])[0]
        row += 1
    later, found = values[row:], out[row:]
    tops = np.empty(found.size)
    highest_run(state, ULCER_HIGHEST, period, later, tops)
    for i in range(found.size):
        tops[i] = _missing(later[i], tops[i])
    sum_run(state, ULCER_HIGHEST + EXTREME_RING + period, period, tops, found)
    for i in range(found.size):
        found[i] = sqrt(found[i] / state[PERIOD])


# RVI -- Wilder's averages of the deviation on bars that rose and on bars that fell.

RVI_WINDOW = 2
RVI_BEFORE = 3
RVI_UP = 4
RVI_DOWN = RVI_UP + RMA_SLOTS
RVI_VARIANCE = RVI_DOWN + RMA_SLOTS


def rvi_slots(_: int, window: int) -> int:
    """Give the length of the state."""
    return RVI_VARIANCE + variance_slots(window)


@inlined
def _rising(up: float, down: float) -> float:
    """Give the share of the first in both, in percent, half of nothing."""
    both = up + down
    return 100.0 * (up / both) if both != 0.0 else 50.0


@compiled(outputs(1), STATE, VALUE)
def rvi_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into the relative volatility index, 0 to 100 (TA-Lib RVI)."""
    before = state[RVI_BEFORE]
    state[RVI_BEFORE] = value
    window = int(state[RVI_WINDOW])
    deviation = sqrt(variance_next(state, RVI_VARIANCE, window, value))
    if state[RVI_VARIANCE] < window:
        return (nan,)
    period = state[PERIOD]
    up = rma_next(state, RVI_UP, period, deviation if value > before else 0.0)
    down = rma_next(state, RVI_DOWN, period, deviation if value < before else 0.0)
    return (_rising(up, down) if state[RVI_UP] >= period else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def rvi_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n indices to `out`."""
    period, window = state[PERIOD], int(state[RVI_WINDOW])
    row = 0
    while row < out.size and (row == 0 or state[RVI_UP] < period or state[RVI_VARIANCE] != window):
        out[row] = rvi_step(state, values[row])[0]
        row += 1
    if row == out.size:
        return
    up, down = state[RVI_UP + 1], state[RVI_DOWN + 1]
    weight = 1.0 / period
    stretch = stretch_of(window)
    rises, falls = np.empty(stretch), np.empty(stretch)
    for begin in range(row, out.size, stretch):
        end = min(begin + stretch, out.size)
        earlier, later, found = values[begin - 1 : end], values[begin:end], out[begin:end]
        ups, downs = rises[: end - begin], falls[: end - begin]
        variance_run(state, RVI_VARIANCE, window, later, found)
        for i in range(found.size):
            deviation = sqrt(found[i])
            ups[i] = deviation if later[i] > earlier[i] else 0.0
            downs[i] = deviation if later[i] < earlier[i] else 0.0
        for i in range(found.size):
            up = (ups[i] - up) * weight + up
            down = (downs[i] - down) * weight + down
            found[i] = _rising(up, down)
    state[RVI_UP + 1], state[RVI_DOWN + 1] = up, down
    state[RVI_BEFORE] = values[-1]


# TRUE_RANGE_PERCENTILE -- how many of the true ranges before are less.  SEEN stops at 1.

RANK_CLOSE = 2
RANK_COUNT = 3  # Stops at the period.
RANK_OLDEST = 4
RANK_RING = 5


def true_range_percentile_slots(period: int) -> int:
    """Give the length of the state."""
    return RANK_RING + period


@inlined
def _rank_next(state: Vector, high: float, low: float, close: float) -> float:
    """Take one bar in; give how many percent of the `period` true ranges before its own are less."""
    before = state[RANK_CLOSE]
    state[RANK_CLOSE] = close
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return nan
    wide = true_range(high, low, before)
    period = int(state[PERIOD])
    ring = state[RANK_RING:]
    less = 0
    for slot in range(period):
        less += 1 if ring[slot] < wide else 0
    is_full = state[RANK_COUNT] >= period
    if not is_full:
        state[RANK_COUNT] += 1.0
    oldest = int(state[RANK_OLDEST])
    ring[oldest] = wide
    state[RANK_OLDEST] = 0.0 if oldest + 1 == period else oldest + 1.0
    return 100.0 * less / state[PERIOD] if is_full else nan


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def true_range_percentile_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into the percentile of its true range, 0 to 100."""
    return (_rank_next(state, high, low, close),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def true_range_percentile_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n percentiles to `out`."""
    for row in range(out.size):
        out[row] = _rank_next(state, high[row], low[row], close[row])
