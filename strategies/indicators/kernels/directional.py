"""Directional movement (Wilder 1978): DM, DI, DX, ADX and ADXR."""

from math import nan

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import lag_next, lag_run
from strategies.indicators.kernels.lags import lag_slots as lag_block
from strategies.indicators.kernels.ranges import true_range

PERIOD = 1

UP = 0
DOWN = 1


# A move is how much of a bar lies above the one before, or below it, whichever is more.  Wilder's sums of
# them begin with the first period - 1 and then keep 1 - 1 / period of what they were with each bar, as in
# TA-Lib.


@inlined
def move(along: float, against: float) -> float:
    """Give the move along a direction: 0 if the other one is as great."""
    return along if along > against and along > 0.0 else 0.0


# MOVES -- block: seen (stops at period), high, low, sum of moves up, sum of moves down.

MOVES_SLOTS = 5


@inlined
def moves_next(state: Vector, base: int, period: float, high: float, low: float) -> tuple[float, float]:
    """Take one bar in; give both sums, which are smoothed from the bar on that finds `period` seen."""
    seen = state[base]
    up = high - state[base + 1]
    down = state[base + 2] - low
    state[base + 1] = high
    state[base + 2] = low
    if seen == 0.0:
        state[base] = 1.0
        return 0.0, 0.0
    if seen < period:
        state[base] = seen + 1.0
        state[base + 3] += move(up, down)
        state[base + 4] += move(down, up)
    else:
        keep = 1.0 - 1.0 / period
        state[base + 3] = state[base + 3] * keep + move(up, down)
        state[base + 4] = state[base + 4] * keep + move(down, up)
    return state[base + 3], state[base + 4]


# PLUS_DM and MINUS_DM -- the sums as they are.

DM = 2


def plus_dm_slots(_: int) -> int:
    """Give the length of the state."""
    return DM + MOVES_SLOTS


minus_dm_slots = plus_dm_slots


@inlined
def _movements_next(state: Vector, high: float, low: float) -> tuple[float, float]:
    """Take one bar into both sums."""
    seen = state[DM]
    sums = moves_next(state, DM, state[PERIOD], high, low)
    return sums if seen > 0.0 and seen + 1.0 >= state[PERIOD] else (nan, nan)


@inlined
def _movements_run(state: Vector, high: Vector, low: Vector, out: Vector, side: int) -> None:
    """Take columns into both sums; fill one with either."""
    period = state[PERIOD]
    row = 0
    while row < out.size and state[DM] < period:
        both = _movements_next(state, high[row], low[row])
        out[row] = both[side]
        row += 1
    highs, lows, found = high[row:], low[row:], out[row:]
    before_high, before_low = state[DM + 1], state[DM + 2]
    up, down = state[DM + 3], state[DM + 4]
    keep = 1.0 - 1.0 / period
    for i in range(found.size):
        rise = highs[i] - before_high
        fall = before_low - lows[i]
        before_high, before_low = highs[i], lows[i]
        up = up * keep + move(rise, fall)
        down = down * keep + move(fall, rise)
        found[i] = up if side == UP else down
    state[DM + 1], state[DM + 2] = before_high, before_low
    state[DM + 3], state[DM + 4] = up, down


@compiled(outputs(1), STATE, VALUE, VALUE)
def plus_dm_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into the sum of moves up (TA-Lib PLUS_DM)."""
    return (_movements_next(state, high, low)[0],)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def plus_dm_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n sums to `out`."""
    _movements_run(state, high, low, out, UP)


@compiled(outputs(1), STATE, VALUE, VALUE)
def minus_dm_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into the sum of moves down (TA-Lib MINUS_DM)."""
    return (_movements_next(state, high, low)[1],)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def minus_dm_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n sums to `out`."""
    _movements_run(state, high, low, out, DOWN)


# PLUS_DI and MINUS_DI -- the sum of moves in percent of that of true ranges.

DI = 2
DI_CLOSE = DI + MOVES_SLOTS
DI_RANGE = DI_CLOSE + 1


def plus_di_slots(_: int) -> int:
    """Give the length of the state."""
    return DI_RANGE + 1


minus_di_slots = plus_di_slots


@inlined
def _percent(part: float, whole: float) -> float:
    """Give a part in percent, 0 of nothing."""
    return 100.0 * (part / whole) if whole != 0.0 else 0.0


@inlined
def _range_next(state: Vector, base: int, period: float, seen: float, bar: tuple[float, float, float]) -> float:
    """Take one bar into the sum of true ranges; `seen` is of the moves, before the bar was taken."""
    high, low, close = bar
    before = state[base]
    state[base] = close
    if seen == 0.0:
        return 0.0
    wide = true_range(high, low, before)
    state[base + 1] = state[base + 1] + wide if seen < period else state[base + 1] * (1.0 - 1.0 / period) + wide
    return state[base + 1]


@inlined
def _shares_next(state: Vector, high: float, low: float, close: float) -> tuple[float, float]:
    """Take one bar in; give the moves up and those down in percent."""
    period = state[PERIOD]
    seen = state[DI]
    up, down = moves_next(state, DI, period, high, low)
    wide = _range_next(state, DI_CLOSE, period, seen, (high, low, close))
    return (_percent(up, wide), _percent(down, wide)) if seen >= period else (nan, nan)


@inlined
def _shares_run(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector, side: int) -> None:
    """Take columns in; fill one with either percentage."""
    period = state[PERIOD]
    row = 0
    while row < out.size and state[DI] < period:
        both = _shares_next(state, high[row], low[row], close[row])
        out[row] = both[side]
        row += 1
    highs, lows, closes, found = high[row:], low[row:], close[row:], out[row:]
    before_high, before_low, before = state[DI + 1], state[DI + 2], state[DI_CLOSE]
    up, down, wide = state[DI + 3], state[DI + 4], state[DI_RANGE]
    keep = 1.0 - 1.0 / period
    for i in range(found.size):
        top, bottom = highs[i], lows[i]
        rise = top - before_high
        fall = before_low - bottom
        up = up * keep + move(rise, fall)
        down = down * keep + move(fall, rise)
        wide = wide * keep + true_range(top, bottom, before)
        before_high, before_low, before = top, bottom, closes[i]
        found[i] = _percent(up if side == UP else down, wide)
    state[DI + 1], state[DI + 2], state[DI_CLOSE] = before_high, before_low, before
    state[DI + 3], state[DI + 4], state[DI_RANGE] = up, down, wide


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def plus_di_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into the share of moves up, in percent (TA-Lib PLUS_DI)."""
    return (_shares_next(state, high, low, close)[0],)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def plus_di_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n percentages to `out`."""
    _shares_run(state, high, low, close, out, UP)


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def minus_di_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into the share of moves down, in percent (TA-Lib MINUS_DI)."""
    return (_shares_next(state, high, low, close)[1],)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def minus_di_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n percentages to `out`."""
    _shares_run(state, high, low, close, out, DOWN)


# DX -- the difference of both sums in percent of both; the true ranges would cancel.  Where nothing moves
# it stays what it was.

DX = 2
DX_LAST = DX + MOVES_SLOTS


def dx_slots(_: int) -> int:
    """Give the length of the state."""
    return DX_LAST + 1


@inlined
def _imbalance(up: float, down: float, otherwise: float) -> float:
    """Give the difference of two sums in percent of both."""
    both = up + down
    return 100.0 * (abs(up - down) / both) if both != 0.0 else otherwise


@compiled(outputs(1), STATE, VALUE, VALUE)
def dx_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into the directional movement index, 0 to 100 (TA-Lib DX)."""
    seen = state[DX]
    up, down = moves_next(state, DX, state[PERIOD], high, low)
    if seen < state[PERIOD]:
        return (nan,)
    state[DX_LAST] = _imbalance(up, down, state[DX_LAST])
    return (state[DX_LAST],)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def dx_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n indices to `out`."""
    period = state[PERIOD]
    row = 0
    while row < out.size and state[DX] < period:
        out[row] = dx_step(state, high[row], low[row])[0]
        row += 1
    highs, lows, found = high[row:], low[row:], out[row:]
    before_high, before_low = state[DX + 1], state[DX + 2]
    up, down, last = state[DX + 3], state[DX + 4], state[DX_LAST]
    keep = 1.0 - 1.0 / period
    for i in range(found.size):
        rise = highs[i] - before_high
        fall = before_low - lows[i]
        before_high, before_low = highs[i], lows[i]
        up = up * keep + move(rise, fall)
        down = down * keep + move(fall, rise)
        last = _imbalance(up, down, last)
        found[i] = last
    state[DX + 1], state[DX + 2] = before_high, before_low
    state[DX + 3], state[DX + 4], state[DX_LAST] = up, down, last


# ADX -- Wilder's average of DX, which stands still where nothing moves; such a bar is missing from the sum
# that seeds it, but counts.  Block: moves, count of DX in the seed, sum of them and then the average.

ADX = 2
ADX_COUNT = MOVES_SLOTS
ADX_MEAN = MOVES_SLOTS + 1
ADX_SLOTS = MOVES_SLOTS + 2


@inlined
def average_next(state: Vector, base: int, period: float, high: float, low: float) -> float:
    """Take one bar into the average of DX."""
    seen = state[base]
    up, down = moves_next(state, base, period, high, low)
    if seen < period:
        return nan
    mean = state[base + ADX_MEAN]
    count = state[base + ADX_COUNT]
    if count >= period:
        mean = (_imbalance(up, down, mean) - mean) * (1.0 / period) + mean
        state[base + ADX_MEAN] = mean
        return mean
    state[base + ADX_COUNT] = count + 1.0
    mean += _imbalance(up, down, 0.0)
    if count + 1.0 >= period:
        mean /= period
    state[base + ADX_MEAN] = mean
    return mean if count + 1.0 >= period else nan


@inlined
def average_run(state: Vector, base: int, period: float, high: Vector, low: Vector, out: Vector) -> None:
    """Take columns into the average of DX."""
    row = 0
    while row < out.size and state[base + ADX_COUNT] < period:
        out[row] = average_next(state, base, period, high[row], low[row])
        row += 1
    highs, lows, found = high[row:], low[row:], out[row:]
    before_high, before_low = state[base + 1], state[base + 2]
    up, down, mean = state[base + 3], state[base + 4], state[base + ADX_MEAN]
    weight = 1.0 / period
    keep = 1.0 - weight
    for i in range(found.size):
        rise = highs[i] - before_high
        fall = before_low - lows[i]
        before_high, before_low = highs[i], lows[i]
        up = up * keep + move(rise, fall)
        down = down * keep + move(fall, rise)
        mean = (_imbalance(up, down, mean) - mean) * weight + mean
        found[i] = mean
    state[base + 1], state[base + 2] = before_high, before_low
    state[base + 3], state[base + 4], state[base + ADX_MEAN] = up, down, mean


def adx_slots(_: int) -> int:
    """Give the length of the state."""
    return ADX + ADX_SLOTS


@compiled(outputs(1), STATE, VALUE, VALUE)
def adx_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into the average directional movement index, 0 to 100 (TA-Lib ADX)."""
    return (average_next(state, ADX, state[PERIOD], high, low),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def adx_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n averages to `out`."""
    average_run(state, ADX, state[PERIOD], high, low, out)


# ADXR -- the mean of the ADX and that of period - 1 bars ago.

ADXR = 2
ADXR_LAG = ADXR + ADX_SLOTS


def adxr_slots(period: int) -> int:
    """Give the length of the state."""
    return ADXR_LAG + lag_block(period - 1)


@compiled(outputs(1), STATE, VALUE, VALUE)
def adxr_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into the ADX's rating, 0 to 100 (TA-Lib ADXR)."""
    period = state[PERIOD]
    average = average_next(state, ADXR, period, high, low)
    if state[ADXR + ADX_COUNT] < period:
        return (nan,)
    return ((average + lag_next(state, ADXR_LAG, int(period) - 1, average)) / 2.0,)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def adxr_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n ratings to `out`."""
    period = state[PERIOD]
    row = 0
    while row < out.size and state[ADXR + ADX_COUNT] < period:
        out[row] = adxr_step(state, high[row], low[row])[0]
        row += 1
    averages = out[row:].copy()
    average_run(state, ADXR, period, high[row:], low[row:], averages)
    found = out[row:]
    lag_run(state, ADXR_LAG, int(period) - 1, averages, found)
    for i in range(found.size):
        found[i] = (averages[i] + found[i]) / 2.0


# DMI -- what a chart of directional movement shows: ADX and both DI.

DMI = 2
DMI_CLOSE = DMI + ADX_SLOTS


def dmi_slots(_: int) -> int:
    """Give the length of the state."""
    return DMI_CLOSE + 2


@compiled(outputs(3), STATE, VALUE, VALUE, VALUE)
def dmi_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float, float]:
    """Take one bar in; give ADX, the share of moves up and that of moves down, each 0 to 100."""
    period = state[PERIOD]
    seen = state[DMI]
    average = average_next(state, DMI, period, high, low)
    wide = _range_next(state, DMI_CLOSE, period, seen, (high, low, close))
    if state[DMI + ADX_COUNT] < period:
        return nan, nan, nan
    return average, _percent(state[DMI + 3], wide), _percent(state[DMI + 4], wide)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE, STATE)
def dmi_batch(
    state: Vector,
    high: Vector,
    low: Vector,
    close: Vector,
    averages: Vector,
    rising: Vector,
    falling: Vector,
) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    period = state[PERIOD]
    row = 0
    while row < close.size and state[DMI + ADX_COUNT] < period:
        averages[row], rising[row], falling[row] = dmi_step(state, high[row], low[row], close[row])
        row += 1
    highs, lows, closes = high[row:], low[row:], close[row:]
    found, ups, downs = averages[row:], rising[row:], falling[row:]
    before_high, before_low, before = state[DMI + 1], state[DMI + 2], state[DMI_CLOSE]
    up, down, mean, wide = state[DMI + 3], state[DMI + 4], state[DMI + ADX_MEAN], state[DMI_CLOSE + 1]
    weight = 1.0 / period
    keep = 1.0 - weight
    for i in range(found.size):
        top, bottom = highs[i], lows[i]
        rise = top - before_high
        fall = before_low - bottom
        up = up * keep + move(rise, fall)
        down = down * keep + move(fall, rise)
        wide = wide * keep + true_range(top, bottom, before)
        mean = (_imbalance(up, down, mean) - mean) * weight + mean
        before_high, before_low, before = top, bottom, closes[i]
        found[i] = mean
        ups[i] = _percent(up, wide)
        downs[i] = _percent(down, wide)
    state[DMI + 1], state[DMI + 2], state[DMI_CLOSE] = before_high, before_low, before
    state[DMI + 3], state[DMI + 4], state[DMI + ADX_MEAN], state[DMI_CLOSE + 1] = up, down, mean, wide
