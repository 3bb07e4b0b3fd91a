"""Channels around a price: Donchian, Keltner, average true ranges, acceleration bands and Ichimoku."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.parts import (
    EMA_SLOTS,
    EXTREME_RING,
    SMA_RING,
    ema_next,
    ema_run,
    extreme_slots,
    highest_next,
    highest_run,
    lowest_next,
    lowest_run,
    sma_next,
    sma_run,
)
from strategies.indicators.kernels.parts import sma_slots as sma_block
from strategies.indicators.kernels.ranges import ATR_SLOTS, atr_next, atr_run
from strategies.indicators.kernels.smooth import stretch_of

PERIOD = 1

# DONCHIAN -- the window's extremes, and half way.

DONCHIAN = 2


def donchian_slots(period: int) -> int:
    """Give the length of the state."""
    return DONCHIAN + 2 * extreme_slots(period)


@compiled(outputs(3), STATE, VALUE, VALUE)
def donchian_step(state: Vector, high: float, low: float) -> tuple[float, float, float]:
    """Take one bar into a Donchian channel (TA-Lib DONCHIAN): upper, middle, lower."""
    period = int(state[PERIOD])
    top = highest_next(state, DONCHIAN, period, high)
    bottom = lowest_next(state, DONCHIAN + EXTREME_RING + period, period, low)
    return top, (top + bottom) / 2.0, bottom


@compiled(VOID, STATE, COLUMN, COLUMN, STATE, STATE, STATE)
def donchian_batch(state: Vector, high: Vector, low: Vector, upper: Vector, middle: Vector, lower: Vector) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    period = int(state[PERIOD])
    highest_run(state, DONCHIAN, period, high, upper)
    lowest_run(state, DONCHIAN + EXTREME_RING + period, period, low, lower)
    for row in range(middle.size):
        middle[row] = (upper[row] + lower[row]) / 2.0


# KELTNER -- an EMA of typical prices and average true ranges off it.  As in TA-Lib both have their first value
# on the same bar: what needs fewer bars begins later.  SEEN stops where there are values.

SEEN = 0
KELTNER_REACH = 2
KELTNER_PERIOD = 3
KELTNER_EMA = 4
KELTNER_ATR = KELTNER_EMA + EMA_SLOTS


def keltner_slots(*_: float) -> int:
    """Give the length of the state."""
    return KELTNER_ATR + ATR_SLOTS


@inlined
def _keltner_warmup(state: Vector) -> float:
    """Give how many bars have no value."""
    return max(state[PERIOD] - 1.0, state[KELTNER_PERIOD])


@compiled(outputs(3), STATE, VALUE, VALUE, VALUE)
def keltner_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float, float]:
    """Take one bar into a Keltner channel (TA-Lib KC): upper, middle, lower."""
    seen = state[SEEN]
    missing = _keltner_warmup(state) - seen
    middle = average = nan
    if missing < state[PERIOD]:
        middle = ema_next(state, KELTNER_EMA, state[PERIOD], (high + low + close) / 3.0)
    if missing <= state[KELTNER_PERIOD]:
        average = atr_next(state, KELTNER_ATR, state[KELTNER_PERIOD], high, low, close)
    if missing > 0.0:
        state[SEEN] = seen + 1.0
        return nan, nan, nan
    reach = state[KELTNER_REACH] * average
    return middle + reach, middle, middle - reach


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE, STATE)
def keltner_batch(
    state: Vector,
    high: Vector,
    low: Vector,
    close: Vector,
    upper: Vector,
    middle: Vector,
    lower: Vector,
) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    row = 0
    while row < upper.size and state[SEEN] < _keltner_warmup(state):
        upper[row], middle[row], lower[row] = keltner_step(state, high[row], low[row], close[row])
        row += 1
    highs, lows, closes = high[row:], low[row:], close[row:]
    above, between, below = upper[row:], middle[row:], lower[row:]
    for i in range(above.size):
        above[i] = (highs[i] + lows[i] + closes[i]) / 3.0
    ema_run(state, KELTNER_EMA, state[PERIOD], above, between)
    atr_run(state, KELTNER_ATR, state[KELTNER_PERIOD], (highs, lows, closes), above)
    factor = state[KELTNER_REACH]
    for i in range(above.size):
        reach = factor * above[i]
        above[i] = between[i] + reach
        below[i] = between[i] - reach


# ATR_BANDS -- average true ranges off the close itself.

REACH = 2
REACH_ATR = 3


def atr_bands_slots(*_: float) -> int:
    """Give the length of the state."""
    return REACH_ATR + ATR_SLOTS


@compiled(outputs(2), STATE, VALUE, VALUE, VALUE)
def atr_bands_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float]:
    """Take one bar in; give some average true ranges above its close and below it."""
    reach = state[REACH] * atr_next(state, REACH_ATR, state[PERIOD], high, low, close)
    return close + reach, close - reach


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE)
def atr_bands_batch(state: Vector, high: Vector, low: Vector, close: Vector, upper: Vector, lower: Vector) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    atr_run(state, REACH_ATR, state[PERIOD], (high, low, close), upper)
    factor = state[REACH]
    for row in range(upper.size):
        reach = factor * upper[row]
        upper[row] = close[row] + reach
        lower[row] = close[row] - reach


# ACCBANDS -- means of highs and lows that are pushed apart by four times the bar's range.

ACCBANDS = 2


def accbands_slots(period: int) -> int:
    """Give the length of the state."""
    return ACCBANDS + 3 * sma_block(period)


@inlined
def _push(high: float, low: float) -> float:
    """Give four times a bar's range as a fraction of its ends' sum, 0 of nothing."""
    both = high + low
    return 4.0 * (high - low) / both if both != 0.0 else 0.0


@compiled(outputs(3), STATE, VALUE, VALUE, VALUE)
def accbands_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float, float]:
    """Take one bar into acceleration bands (TA-Lib ACCBANDS): upper, middle, lower."""
    period = int(state[PERIOD])
    length = SMA_RING + period
    push = _push(high, low)
    upper = sma_next(state, ACCBANDS, period, high * (1.0 + push))
    middle = sma_next(state, ACCBANDS + length, period, close)
    return upper, middle, sma_next(state, ACCBANDS + 2 * length, period, low * (1.0 - push))


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE, STATE)
def accbands_batch(
    state: Vector,
    high: Vector,
    low: Vector,
    close: Vector,
    upper: Vector,
    middle: Vector,
    lower: Vector,
) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    period = int(state[PERIOD])
    length = SMA_RING + period
    row = 0
    while row < upper.size and state[ACCBANDS] != period:
        upper[row], middle[row], lower[row] = accbands_step(state, high[row], low[row], close[row])
        row += 1
    stretch = stretch_of(period)
    tops, bottoms = np.empty(stretch), np.empty(stretch)
    for begin in range(row, upper.size, stretch):
        end = min(begin + stretch, upper.size)
        highs, lows, top, bottom = high[begin:end], low[begin:end], tops[: end - begin], bottoms[: end - begin]
        for i in range(top.size):
            push = _push(highs[i], lows[i])
            top[i] = highs[i] * (1.0 + push)
            bottom[i] = lows[i] * (1.0 - push)
        sma_run(state, ACCBANDS, period, top, upper[begin:end])
        sma_run(state, ACCBANDS + length, period, close[begin:end], middle[begin:end])
        sma_run(state, ACCBANDS + 2 * length, period, bottom, lower[begin:end])


# ICHIMOKU -- the middles of three windows, and the middle of two of them.

ICHIMOKU_BASE = 2
ICHIMOKU_SPAN = 3
ICHIMOKU = 4


def ichimoku_slots(conversion: int, base: int, span: int) -> int:
    """Give the length of the state."""
    return ICHIMOKU + 2 * (extreme_slots(conversion) + extreme_slots(base) + extreme_slots(span))


@inlined
def _middle_next(state: Vector, base: int, period: int, high: float, low: float) -> float:
    """Take one bar in; give the middle of the window's extremes."""
    top = highest_next(state, base, period, high)
    return (top + lowest_next(state, base + EXTREME_RING + period, period, low)) / 2.0


@inlined
def _middle_run(state: Vector, base: int, period: int, bars: tuple[Vector, Vector, Vector], out: Vector) -> None:
    """Take highs and lows in, with a column to work in; fill another with middles."""
    high, low, work = bars
    highest_run(state, base, period, high, out)
    lowest_run(state, base + EXTREME_RING + period, period, low, work)
    for row in range(out.size):
        out[row] = (out[row] + work[row]) / 2.0


@compiled(outputs(4), STATE, VALUE, VALUE)
def ichimoku_step(state: Vector, high: float, low: float) -> tuple[float, float, float, float]:
    """Take one bar in; give conversion and base line, and the spans as they are known now."""
    short, middle, long = int(state[PERIOD]), int(state[ICHIMOKU_BASE]), int(state[ICHIMOKU_SPAN])
    second = ICHIMOKU + 2 * (EXTREME_RING + short)
    third = second + 2 * (EXTREME_RING + middle)
    conversion = _middle_next(state, ICHIMOKU, short, high, low)
    base = _middle_next(state, second, middle, high, low)
    span = _middle_next(state, third, long, high, low)
    if state[third] < long:
        return nan, nan, nan, nan
    return conversion, base, (conversion + base) / 2.0, span


@compiled(VOID, STATE, COLUMN, COLUMN, STATE, STATE, STATE, STATE)
def ichimoku_batch(
    state: Vector,
    high: Vector,
    low: Vector,
    conversion: Vector,
    base: Vector,
    span_a: Vector,
    span_b: Vector,
) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    short, middle, long = int(state[PERIOD]), int(state[ICHIMOKU_BASE]), int(state[ICHIMOKU_SPAN])
    second = ICHIMOKU + 2 * (EXTREME_RING + short)
    third = second + 2 * (EXTREME_RING + middle)
    row = 0
    while row < base.size and state[third] < long:
        conversion[row], base[row], span_a[row], span_b[row] = ichimoku_step(state, high[row], low[row])
        row += 1
    bars = (high[row:], low[row:], span_a[row:])
    _middle_run(state, ICHIMOKU, short, bars, conversion[row:])
    _middle_run(state, second, middle, bars, base[row:])
    _middle_run(state, third, long, bars, span_b[row:])
    for later in range(row, base.size):
        span_a[later] = (conversion[later] + base[later]) / 2.0
