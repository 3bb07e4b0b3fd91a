"""Market structure: swings and what is made of them, breakouts, gaps, and the zigzag."""

from math import nan

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.parts import (
    EXTREME_RING,
    extreme_slots,
    highest_next,
    lowest_next,
)
from strategies.indicators.kernels.swings import SWING_AGE, SWING_LEVEL, SWING_RING, swing_block, swing_next

SEEN = 0
LEFT = 1
RIGHT = 2


# SWING -- swing_high and swing_low: SIGN turns lows into highs.

SIGN = 3
SWING = 4


def swing_slots(left: int, right: int) -> int:
    """Give the length of the state."""
    return SWING + swing_block(left, right)


@inlined
def _swing(state: Vector, value: float) -> tuple[float, float, float]:
    """Take one bar in; give level, age and whether it is new."""
    sign = state[SIGN]
    found = swing_next(state, SWING, int(state[LEFT]), int(state[RIGHT]), sign * value)
    if found != found:  # noqa: PLR0124 - NaN differs from itself
        return nan, nan, nan
    return sign * state[SWING + SWING_LEVEL], state[SWING + SWING_AGE], found


@compiled(outputs(3), STATE, VALUE)
def swing_step(state: Vector, value: float) -> tuple[float, float, float]:
    """Take one bar in; give the last swing's level, its age in bars, and 1.0 where it is confirmed now."""
    return _swing(state, value)


@compiled(VOID, STATE, COLUMN, STATE, STATE, STATE)
def swing_batch(state: Vector, values: Vector, level: Vector, age: Vector, found: Vector) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(values.size):
        level[row], age[row], found[row] = _swing(state, values[row])


# MARKET_STRUCTURE -- the last two swings of either side, how many there are, and whether the last still stands.

HIGH_BEFORE, HIGH_LAST, HIGH_COUNT, HIGH_STANDS = 3, 4, 5, 6
LOW_BEFORE, LOW_LAST, LOW_COUNT, LOW_STANDS = 7, 8, 9, 10
STRUCTURE = 11
PAIR = 2.0


def market_structure_slots(left: int, right: int) -> int:
    """Give the length of the state."""
    return STRUCTURE + 2 * swing_block(left, right)


@inlined
def _structure(state: Vector, high: float, low: float, close: float) -> tuple[float, float]:
    """Take one bar in; give trend and break."""
    left, right = int(state[LEFT]), int(state[RIGHT])
    lows = STRUCTURE + SWING_RING + left + right + 1
    found_high = swing_next(state, STRUCTURE, left, right, high)
    found_low = swing_next(state, lows, left, right, -low)
    if found_high != found_high:  # noqa: PLR0124 - NaN differs from itself
        return nan, nan
    if found_high == 1.0:
        state[HIGH_BEFORE] = state[HIGH_LAST]
        state[HIGH_LAST] = state[STRUCTURE + SWING_LEVEL]
        state[HIGH_COUNT] = min(state[HIGH_COUNT] + 1.0, PAIR)
        state[HIGH_STANDS] = 1.0
    if found_low == 1.0:
        state[LOW_BEFORE] = state[LOW_LAST]
        state[LOW_LAST] = -state[lows + SWING_LEVEL]
        state[LOW_COUNT] = min(state[LOW_COUNT] + 1.0, PAIR)
        state[LOW_STANDS] = 1.0
    broken = 0.0
    if state[HIGH_STANDS] == 1.0 and close > state[HIGH_LAST]:
        state[HIGH_STANDS] = 0.0
        broken = 1.0
    elif state[LOW_STANDS] == 1.0 and close < state[LOW_LAST]:
        state[LOW_STANDS] = 0.0
        broken = -1.0
    trend = 0.0
    if state[HIGH_COUNT] == PAIR and state[LOW_COUNT] == PAIR:
        if state[HIGH_LAST] > state[HIGH_BEFORE] and state[LOW_LAST] > state[LOW_BEFORE]:
            trend = 1.0
        elif state[HIGH_LAST] < state[HIGH_BEFORE] and state[LOW_LAST] < state[LOW_BEFORE]:
            trend = -1.0
    return trend, broken


@compiled(outputs(2), STATE, VALUE, VALUE, VALUE)
def market_structure_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float]:
    """Take one bar in; give the trend of the swings, and the side on which the close breaks one."""
    return _structure(state, high, low, close)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE)
def market_structure_batch(
    state: Vector, high: Vector, low: Vector, close: Vector, trend: Vector, broken: Vector
) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(close.size):
        trend[row], broken[row] = _structure(state, high[row], low[row], close[row])


# SUPPORT_RESISTANCE -- a ring of the last COUNT swings of either side.

COUNT = 3
HIGHEST = 4
LOWEST = 5
KEPT = 6
POSITION = 7
LEVELS = 8


def support_resistance_slots(left: int, right: int, count: int) -> int:
    """Give the length of the state."""
    return LEVELS + count + 2 * swing_block(left, right)


@inlined
def _keep(state: Vector, level: float) -> None:
    """Put a level in the ring, in place of the oldest."""
    count = int(state[COUNT])
    position = int(state[POSITION])
    state[LEVELS + position] = level
    state[POSITION] = 0.0 if position + 1 == count else position + 1.0
    state[KEPT] = min(state[KEPT] + 1.0, state[COUNT])


@inlined
def _levels(state: Vector, high: float, low: float, close: float) -> tuple[float, float, float, float]:
    """Take one bar in; give support, resistance and how far they are."""
    left, right = int(state[LEFT]), int(state[RIGHT])
    highs = LEVELS + int(state[COUNT])
    lows = highs + SWING_RING + left + right + 1
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        state[HIGHEST], state[LOWEST] = high, low
    state[HIGHEST] = max(high, state[HIGHEST])
    state[LOWEST] = min(low, state[LOWEST])
    found_high = swing_next(state, highs, left, right, high)
    found_low = swing_next(state, lows, left, right, -low)
    if found_high != found_high:  # noqa: PLR0124 - NaN differs from itself
        return nan, nan, nan, nan
    if found_high == 1.0:
        _keep(state, state[highs + SWING_LEVEL])
    if found_low == 1.0:
        _keep(state, -state[lows + SWING_LEVEL])
    support, resistance = state[LOWEST], state[HIGHEST]
    for slot in range(LEVELS, LEVELS + int(state[KEPT])):
        level = state[slot]
        if support < level <= close:
            support = level
        if close <= level < resistance:
            resistance = level
    if close == 0.0:
        return support, resistance, 0.0, 0.0
    return support, resistance, 100.0 * (close - support) / close, 100.0 * (resistance - close) / close


@compiled(outputs(4), STATE, VALUE, VALUE, VALUE)
def support_resistance_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float, float, float]:
    """Take one bar in; give support, resistance, and the distance to either in percent."""
    return _levels(state, high, low, close)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE, STATE, STATE)
def support_resistance_batch(
    state: Vector,
    high: Vector,
    low: Vector,
    close: Vector,
    support: Vector,
    resistance: Vector,
    below: Vector,
    above: Vector,
) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(close.size):
        support[row], resistance[row], below[row], above[row] = _levels(state, high[row], low[row], close[row])


# BREAKOUT -- SEEN stops at PERIOD; the extremes are those of the bars before.

PERIOD = 1
TOP = 2
BOTTOM = 3
CHANNEL = 4


def breakout_slots(period: int) -> int:
    """Give the length of the state."""
    return CHANNEL + 2 * extreme_slots(period)


@inlined
def _breakout(state: Vector, high: float, low: float, close: float) -> float:
    """Take one bar in; give the side on which the close leaves the channel before it."""
    period = int(state[PERIOD])
    top, bottom = state[TOP], state[BOTTOM]
    state[TOP] = highest_next(state, CHANNEL, period, high)
    state[BOTTOM] = lowest_next(state, CHANNEL + EXTREME_RING + period, period, low)
    if state[SEEN] < period:
        state[SEEN] += 1.0
        return nan
    return 1.0 if close > top else -1.0 if close < bottom else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def breakout_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar in; give 1.0, -1.0 or 0.0."""
    return (_breakout(state, high, low, close),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def breakout_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(close.size):
        out[row] = _breakout(state, high[row], low[row], close[row])


# FAIR_VALUE_GAP -- SEEN stops at 2.

HIGH_1, LOW_1, HIGH_2, LOW_2 = 1, 2, 3, 4
GAP_SLOTS = 5
GAP_COLD = 2.0


def fair_value_gap_slots() -> int:
    """Give the length of the state: two bars."""
    return GAP_SLOTS


@inlined
def _gap(state: Vector, high: float, low: float) -> float:
    """Take one bar in; give the gap between it and the one two bars before."""
    top, bottom = state[HIGH_2], state[LOW_2]
    state[HIGH_2], state[LOW_2] = state[HIGH_1], state[LOW_1]
    state[HIGH_1], state[LOW_1] = high, low
    if state[SEEN] < GAP_COLD:
        state[SEEN] += 1.0
        return nan
    if low > top:
        return low - top
    return high - bottom if high < bottom else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE)
def fair_value_gap_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar in; give the size of the gap, negative below."""
    return (_gap(state, high, low),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def fair_value_gap_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(high.size):
        out[row] = _gap(state, high[row], low[row])


# ZIGZAG -- until the first pivot, pivot and extreme are the lowest and the highest so far.  SEEN stops at 1.

PERCENT = 1
PIVOT = 2
EXTREME = 3
DIRECTION = 4
ZIGZAG_SLOTS = 5


def zigzag_slots(_: float) -> int:
    """Give the length of the state."""
    return ZIGZAG_SLOTS


@inlined
def _zigzag(state: Vector, high: float, low: float) -> tuple[float, float, float, float]:
    """Take one bar in; give pivot, extreme, direction, and whether the pivot is new."""
    share = state[PERCENT] / 100.0
    pivot, extreme, direction = state[PIVOT], state[EXTREME], state[DIRECTION]
    found = 0.0
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        pivot, extreme = low, high
    elif direction == 0.0:
        if high >= pivot * (1.0 + share):
            extreme, direction, found = high, 1.0, 1.0
        elif low <= extreme * (1.0 - share):
            pivot, extreme, direction, found = extreme, low, -1.0, 1.0
        else:
            pivot, extreme = min(low, pivot), max(high, extreme)
    elif direction > 0.0:
        if high > extreme:
            extreme = high
        elif low <= extreme * (1.0 - share):
            pivot, extreme, direction, found = extreme, low, -1.0, 1.0
    elif low < extreme:
        extreme = low
    elif high >= extreme * (1.0 + share):
        pivot, extreme, direction, found = extreme, high, 1.0, 1.0
    state[PIVOT], state[EXTREME], state[DIRECTION] = pivot, extreme, direction
    return pivot, extreme, direction, found


@compiled(outputs(4), STATE, VALUE, VALUE)
def zigzag_step(state: Vector, high: float, low: float) -> tuple[float, float, float, float]:
    """Take one bar in; give pivot, extreme, direction, and 1.0 where the pivot is confirmed now."""
    return _zigzag(state, high, low)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE, STATE, STATE, STATE)
def zigzag_batch(
    state: Vector, high: Vector, low: Vector, pivot: Vector, extreme: Vector, direction: Vector, found: Vector
) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(high.size):
        pivot[row], extreme[row], direction[row], found[row] = _zigzag(state, high[row], low[row])
