"""How much of what a market moves leads anywhere: vortex, choppiness, mass index, efficiency and VHF."""

from math import log10, nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import lag_next, lag_take
from strategies.indicators.kernels.lags import lag_slots as lag_block
from strategies.indicators.kernels.parts import (
    EMA_SLOTS,
    EXTREME_RING,
    extreme_slots,
    highest_next,
    highest_run,
    lowest_next,
    lowest_run,
)
from strategies.indicators.kernels.ranges import true_range, true_ranges
from strategies.indicators.kernels.smooth import smooth_next, stretch_of
from strategies.indicators.kernels.sums import SUM_RING, sum_next, sum_run, sum_slots

SEEN = 0  # Of what compares with the bar before: stops at 1.
PERIOD = 1

# VORTEX -- from the low before to the high, and from the high before to the low, over true ranges.

VORTEX_HIGH = 2
VORTEX_LOW = 3
VORTEX_CLOSE = 4
VORTEX_SUMS = 5


def vortex_slots(period: int) -> int:
    """Give the length of the state."""
    return VORTEX_SUMS + 3 * sum_slots(period)


@inlined
def _share(part: float, whole: float) -> float:
    """Give a part of a whole, 0 of nothing."""
    return part / whole if whole != 0.0 else 0.0


@compiled(outputs(2), STATE, VALUE, VALUE, VALUE)
def vortex_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float]:
    """Take one bar in; give the vortex up and down (TA-Lib VORTEX)."""
    before_high, before_low, before = state[VORTEX_HIGH], state[VORTEX_LOW], state[VORTEX_CLOSE]
    state[VORTEX_HIGH], state[VORTEX_LOW], state[VORTEX_CLOSE] = high, low, close
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return nan, nan
    period = int(state[PERIOD])
    length = SUM_RING + 2 * period
    wide = sum_next(state, VORTEX_SUMS, period, true_range(high, low, before))
    up = sum_next(state, VORTEX_SUMS + length, period, abs(high - before_low))
    down = sum_next(state, VORTEX_SUMS + 2 * length, period, abs(low - before_high))
    if state[VORTEX_SUMS] < period:
        return nan, nan
    return _share(up, wide), _share(down, wide)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE)
def vortex_batch(state: Vector, high: Vector, low: Vector, close: Vector, plus: Vector, minus: Vector) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    period = int(state[PERIOD])
    row = 0
    while row < plus.size and (row == 0 or state[VORTEX_SUMS] != period):
        plus[row], minus[row] = vortex_step(state, high[row], low[row], close[row])
        row += 1
    if row == plus.size:
        return
    length = SUM_RING + 2 * period
    stretch = stretch_of(period)
    moves, sums = np.empty(stretch), np.empty(stretch)
    for begin in range(row, plus.size, stretch):
        end = min(begin + stretch, plus.size)
        ups, downs, move, wide = plus[begin:end], minus[begin:end], moves[: end - begin], sums[: end - begin]
        highs, lows = high[begin - 1 : end], low[begin - 1 : end]
        later_highs, later_lows = high[begin:end], low[begin:end]
        true_ranges(highs, lows, close[begin - 1 : end], move)
        sum_run(state, VORTEX_SUMS, period, move, wide)
        for i in range(move.size):
            move[i] = abs(later_highs[i] - lows[i])
        sum_run(state, VORTEX_SUMS + length, period, move, ups)
        for i in range(move.size):
            move[i] = abs(later_lows[i] - highs[i])
        sum_run(state, VORTEX_SUMS + 2 * length, period, move, downs)
        for i in range(move.size):
            ups[i] = _share(ups[i], wide[i])
            downs[i] = _share(downs[i], wide[i])
    state[VORTEX_HIGH], state[VORTEX_LOW], state[VORTEX_CLOSE] = high[-1], low[-1], close[-1]


# CHOPPINESS -- the way over the distance, as a share of the period in logarithms.

CHOP_CLOSE = 2
CHOP_SUM = 3


def choppiness_slots(period: int) -> int:
    """Give the length of the state."""
    return CHOP_SUM + sum_slots(period) + 2 * extreme_slots(period)


@inlined
def _choppiness(way: float, span: float, unit: float) -> float:
    """Give 100 times the logarithm of way over span, in the given unit; 100 where there is neither."""
    return 100.0 if way <= 0.0 or span <= 0.0 else 100.0 * log10(way / span) / unit


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def choppiness_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar in; give the choppiness index, about 0 for a straight line to 100."""
    period = int(state[PERIOD])
    before = state[CHOP_CLOSE]
    state[CHOP_CLOSE] = close
    extremes = CHOP_SUM + SUM_RING + 2 * period
    top = highest_next(state, extremes, period, high)
    bottom = lowest_next(state, extremes + EXTREME_RING + period, period, low)
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    way = sum_next(state, CHOP_SUM, period, true_range(high, low, before))
    if state[CHOP_SUM] < period:
        return (nan,)
    return (_choppiness(way, top - bottom, log10(state[PERIOD])),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def choppiness_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n indices to `out`."""
    period = int(state[PERIOD])
    row = 0
    while row < out.size and (row == 0 or state[CHOP_SUM] < period):
        out[row] = choppiness_step(state, high[row], low[row], close[row])[0]
        row += 1
    if row == out.size:
        return
    extremes = CHOP_SUM + SUM_RING + 2 * period
    found = out[row:]
    tops, bottoms = np.empty(found.size), np.empty(found.size)
    true_ranges(high[row - 1 :], low[row - 1 :], close[row - 1 :], tops)
    sum_run(state, CHOP_SUM, period, tops, found)
    highest_run(state, extremes, period, high[row:], tops)
    lowest_run(state, extremes + EXTREME_RING + period, period, low[row:], bottoms)
    unit = log10(state[PERIOD])
    for i in range(found.size):
        found[i] = _choppiness(found[i], tops[i] - bottoms[i], unit)
    state[CHOP_CLOSE] = close[-1]


# MASS_INDEX -- the sum of ratios of an EMA of ranges to an EMA of itself.

MASS_WINDOW = 2
MASS_ONE = 3
MASS_TWO = MASS_ONE + EMA_SLOTS
MASS_SUM = MASS_TWO + EMA_SLOTS


def mass_index_slots(_: int, window: int) -> int:
    """Give the length of the state."""
    return MASS_SUM + sum_slots(window)


@compiled(outputs(1), STATE, VALUE, VALUE)
def mass_index_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into the mass index (TA-Lib MASSI)."""
    period = state[PERIOD]
    one = smooth_next(state, MASS_ONE, period, high - low)
    if state[MASS_ONE] < period:
        return (nan,)
    two = smooth_next(state, MASS_TWO, period, one)
    if state[MASS_TWO] < period:
        return (nan,)
    return (sum_next(state, MASS_SUM, int(state[MASS_WINDOW]), one / two if two != 0.0 else 1.0),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def mass_index_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n indices to `out`."""
    period, window = state[PERIOD], int(state[MASS_WINDOW])
    row = 0
    while row < out.size and state[MASS_SUM] != window:
        out[row] = mass_index_step(state, high[row], low[row])[0]
        row += 1
    if row == out.size:
        return
    one, two = state[MASS_ONE + 2], state[MASS_TWO + 2]
    weight = 2.0 / (period + 1.0)
    keep = 1.0 - weight
    stretch = stretch_of(window)
    ratios = np.empty(stretch)
    for begin in range(row, out.size, stretch):
        end = min(begin + stretch, out.size)
        highs, lows, found, ratio = high[begin:end], low[begin:end], out[begin:end], ratios[: end - begin]
        for i in range(ratio.size):
            one = one * keep + (highs[i] - lows[i]) * weight
            two = two * keep + one * weight
            ratio[i] = one / two if two != 0.0 else 1.0
        sum_run(state, MASS_SUM, window, ratio, found)
    state[MASS_ONE + 2], state[MASS_TWO + 2] = one, two


# EFFICIENCY_RATIO and VHF -- how far the values came, over all they moved.

WAY_BEFORE = 2
WAY_SUM = 3


def efficiency_ratio_slots(period: int) -> int:
    """Give the length of the state."""
    return WAY_SUM + sum_slots(period) + lag_block(period)


@inlined
def _way_next(state: Vector, period: int, value: float) -> float:
    """Take one value into the sum of its moves."""
    before = state[WAY_BEFORE]
    state[WAY_BEFORE] = value
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return nan
    return sum_next(state, WAY_SUM, period, abs(value - before))


@inlined
def _way_run(state: Vector, period: int, values: Vector, out: Vector) -> None:
    """Take a column, of which one row was taken already, into the sum of its moves: a row less."""
    later = values[1:]
    moves = np.empty(later.size)
    for i in range(moves.size):
        moves[i] = abs(later[i] - values[i])
    sum_run(state, WAY_SUM, period, moves, out)
    state[WAY_BEFORE] = values[-1]


@inlined
def _efficiency(distance: float, way: float) -> float:
    """Give a distance over the way there, 1 where that is no longer."""
    return 1.0 if way <= distance else distance / way


@compiled(outputs(1), STATE, VALUE)
def efficiency_ratio_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into Kaufman's efficiency ratio, 0 to 1 (TA-Lib ER)."""
    period = int(state[PERIOD])
    old = lag_next(state, WAY_SUM + SUM_RING + 2 * period, period, value)
    way = _way_next(state, period, value)
    if state[WAY_SUM] < period:
        return (nan,)
    return (_efficiency(abs(value - old), way),)


@compiled(VOID, STATE, COLUMN, STATE)
def efficiency_ratio_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n ratios to `out`."""
    period = int(state[PERIOD])
    row = 0
    while row < out.size and (row <= period or state[WAY_SUM] != period):
        out[row] = efficiency_ratio_step(state, values[row])[0]
        row += 1
    if row == out.size:
        return
    lag_take(state, WAY_SUM + SUM_RING + 2 * period, period, values[row:])
    stretch = stretch_of(period)
    for begin in range(row, out.size, stretch):
        end = min(begin + stretch, out.size)
        later, old, found = values[begin:end], values[begin - period : end - period], out[begin:end]
        _way_run(state, period, values[begin - 1 : end], found)
        for i in range(found.size):
            found[i] = _efficiency(abs(later[i] - old[i]), found[i])


def vhf_slots(period: int) -> int:
    """Give the length of the state."""
    return WAY_SUM + sum_slots(period) + 2 * extreme_slots(period)


@compiled(outputs(1), STATE, VALUE)
def vhf_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into the vertical horizontal filter, 0 to 1 (TA-Lib VHF)."""
    period = int(state[PERIOD])
    extremes = WAY_SUM + SUM_RING + 2 * period
    top = highest_next(state, extremes, period, value)
    bottom = lowest_next(state, extremes + EXTREME_RING + period, period, value)
    way = _way_next(state, period, value)
    if state[WAY_SUM] < period:
        return (nan,)
    return (_share(top - bottom, way),)


@compiled(VOID, STATE, COLUMN, STATE)
def vhf_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n ratios to `out`."""
    period = int(state[PERIOD])
    row = 0
    while row < out.size and (row == 0 or state[WAY_SUM] < period):
        out[row] = vhf_step(state, values[row])[0]
        row += 1
    if row == out.size:
        return
    extremes = WAY_SUM + SUM_RING + 2 * period
    later, found = values[row:], out[row:]
    tops, bottoms = np.empty(found.size), np.empty(found.size)
    highest_run(state, extremes, period, later, tops)
    lowest_run(state, extremes + EXTREME_RING + period, period, later, bottoms)
    _way_run(state, period, values[row - 1 :], found)
    for i in range(found.size):
        found[i] = _share(tops[i] - bottoms[i], found[i])
