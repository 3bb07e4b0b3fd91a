"""Stops that follow a trend: parabolic SAR, Supertrend and the chandelier exit."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.parts import (
    EXTREME_RING,
    extreme_slots,
    highest_next,
    highest_run,
    lowest_next,
    lowest_run,
)
from strategies.indicators.kernels.ranges import ATR_SLOTS, atr_next, atr_run

SEEN = 0
PERIOD = 1

# SAR -- Wilder's stop and reverse.  A falling trend is a rising one upside down, so that the stop and the
# trend's extreme are kept times the side, 1 or -1.  SEEN stops at 2.

SAR_BEGUN = 2.0
SAR_STEP = 1
SAR_MOST = 2
SAR_SIDE = 3
SAR_STOP = 4
SAR_EXTREME = 5
SAR_FACTOR = 6
SAR_HIGH = 7
SAR_LOW = 8


def sar_slots(_: float, __: float) -> int:
    """Give the length of the state."""
    return SAR_LOW + 1


@inlined
def _follow(
    trend: tuple[float, float, float, float],
    high: float,
    low: float,
    before: tuple[float, float],
    steps: tuple[float, float],
) -> tuple[float, tuple[float, float, float, float]]:
    """Take one bar in; give the stop that stood for it, and side, stop, extreme and factor for the next."""
    side, stop, extreme, factor = trend
    step, most = steps
    is_rising = side > 0.0
    top = high if is_rising else -low
    bottom = low if is_rising else -high
    before_top = before[0] if is_rising else -before[1]
    before_bottom = before[1] if is_rising else -before[0]
    if bottom <= stop:
        reach = max(before_top, top)
        turned = max(extreme, reach)
        ahead = max(turned + step * (bottom - turned), reach)
        return turned * side, (-side, -ahead, -bottom, step)
    if top > extreme:
        extreme = top
        factor = min(factor + step, most)
    ahead = min(stop + factor * (extreme - stop), before_bottom, bottom)
    return stop * side, (side, ahead, extreme, factor)


@compiled(outputs(1), STATE, VALUE, VALUE)
def sar_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar in; give where the parabolic stop stood for it (Wilder, TA-Lib SAR)."""
    before = (state[SAR_HIGH], state[SAR_LOW])
    state[SAR_HIGH], state[SAR_LOW] = high, low
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    if state[SEEN] == 1.0:
        # The first trend is that of the greater move; its stop is the far end of the first bar.
        state[SEEN] = SAR_BEGUN
        down = before[1] - low
        is_falling = down > 0.0 and down > high - before[0]
        state[SAR_SIDE] = -1.0 if is_falling else 1.0
        state[SAR_STOP] = -before[0] if is_falling else before[1]
        state[SAR_EXTREME] = -low if is_falling else high
        state[SAR_FACTOR] = state[SAR_STEP]
        before = (high, low)
    trend = (state[SAR_SIDE], state[SAR_STOP], state[SAR_EXTREME], state[SAR_FACTOR])
    stood, trend = _follow(trend, high, low, before, (state[SAR_STEP], state[SAR_MOST]))
    state[SAR_SIDE], state[SAR_STOP], state[SAR_EXTREME], state[SAR_FACTOR] = trend
    return (stood,)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def sar_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n stops to `out`."""
    row = 0
    while row < out.size and state[SEEN] < SAR_BEGUN:
        out[row] = sar_step(state, high[row], low[row])[0]
        row += 1
    highs, lows, found = high[row:], low[row:], out[row:]
    trend = (state[SAR_SIDE], state[SAR_STOP], state[SAR_EXTREME], state[SAR_FACTOR])
    before = (state[SAR_HIGH], state[SAR_LOW])
    steps = (state[SAR_STEP], state[SAR_MOST])
    for i in range(found.size):
        found[i], trend = _follow(trend, highs[i], lows[i], before, steps)
        before = (highs[i], lows[i])
    state[SAR_SIDE], state[SAR_STOP], state[SAR_EXTREME], state[SAR_FACTOR] = trend
    state[SAR_HIGH], state[SAR_LOW] = before


# SUPERTREND -- bands off the middle of the bar, which only ever close in until a close breaks one.

SUPER_REACH = 2
SUPER_ATR = 3
SUPER_SIDE = SUPER_ATR + ATR_SLOTS
SUPER_UPPER = SUPER_SIDE + 1
SUPER_LOWER = SUPER_SIDE + 2
SUPER_CLOSE = SUPER_SIDE + 3


def supertrend_slots(_: int, __: float) -> int:
    """Give the length of the state."""
    return SUPER_CLOSE + 1


@inlined
def _close_in(
    bands: tuple[float, float, float, float], middle: float, reach: float, close: float
) -> tuple[float, float, float, float]:
    """Take one bar in; give side, upper, lower and close for the next."""
    side, upper, lower, before = bands
    above = middle + reach
    below = middle - reach
    if side == 0.0:
        return 1.0, above, below, close
    upper = above if above < upper or before > upper else upper
    lower = below if below > lower or before < lower else lower
    is_rising = close > upper if side < 0.0 else not close < lower
    return (1.0 if is_rising else -1.0), upper, lower, close


@compiled(outputs(2), STATE, VALUE, VALUE, VALUE)
def supertrend_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float]:
    """Take one bar in; give the band that stops the trend and its side, 1 rising or -1 falling."""
    average = atr_next(state, SUPER_ATR, state[PERIOD], high, low, close)
    if state[SUPER_ATR + 2] < state[PERIOD]:
        return nan, nan
    bands = (state[SUPER_SIDE], state[SUPER_UPPER], state[SUPER_LOWER], state[SUPER_CLOSE])
    bands = _close_in(bands, (high + low) / 2.0, state[SUPER_REACH] * average, close)
    state[SUPER_SIDE], state[SUPER_UPPER], state[SUPER_LOWER], state[SUPER_CLOSE] = bands
    return (bands[2] if bands[0] > 0.0 else bands[1]), bands[0]


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE)
def supertrend_batch(state: Vector, high: Vector, low: Vector, close: Vector, line: Vector, side: Vector) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    row = 0
    while row < line.size and state[SUPER_ATR + 2] < state[PERIOD]:
        line[row], side[row] = supertrend_step(state, high[row], low[row], close[row])
        row += 1
    highs, lows, closes, lines, sides = high[row:], low[row:], close[row:], line[row:], side[row:]
    atr_run(state, SUPER_ATR, state[PERIOD], (highs, lows, closes), lines)
    bands = (state[SUPER_SIDE], state[SUPER_UPPER], state[SUPER_LOWER], state[SUPER_CLOSE])
    reach = state[SUPER_REACH]
    for i in range(lines.size):
        bands = _close_in(bands, (highs[i] + lows[i]) / 2.0, reach * lines[i], closes[i])
        lines[i] = bands[2] if bands[0] > 0.0 else bands[1]
        sides[i] = bands[0]
    state[SUPER_SIDE], state[SUPER_UPPER], state[SUPER_LOWER], state[SUPER_CLOSE] = bands


# CHANDELIER -- some average true ranges off the window's extremes.

CHANDELIER_REACH = 2
CHANDELIER_ATR = 3
CHANDELIER_HIGH = CHANDELIER_ATR + ATR_SLOTS


def chandelier_slots(period: int, _: float) -> int:
    """Give the length of the state."""
    return CHANDELIER_HIGH + 2 * extreme_slots(period)


@compiled(outputs(2), STATE, VALUE, VALUE, VALUE)
def chandelier_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float]:
    """Take one bar in; give the stops of a long and of a short position."""
    period = int(state[PERIOD])
    reach = state[CHANDELIER_REACH] * atr_next(state, CHANDELIER_ATR, state[PERIOD], high, low, close)
    top = highest_next(state, CHANDELIER_HIGH, period, high)
    bottom = lowest_next(state, CHANDELIER_HIGH + EXTREME_RING + period, period, low)
    return top - reach, bottom + reach


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE)
def chandelier_batch(state: Vector, high: Vector, low: Vector, close: Vector, long: Vector, short: Vector) -> None:
    """Take a chunk of n bars in and write n stops to each output."""
    period = int(state[PERIOD])
    average = np.empty(close.size)
    atr_run(state, CHANDELIER_ATR, state[PERIOD], (high, low, close), average)
    highest_run(state, CHANDELIER_HIGH, period, high, long)
    lowest_run(state, CHANDELIER_HIGH + EXTREME_RING + period, period, low, short)
    factor = state[CHANDELIER_REACH]
    for row in range(close.size):
        reach = factor * average[row]
        long[row] = long[row] - reach
        short[row] = short[row] + reach
