"""What a fast average is above a slow one: MACD, APO, PPO, AO and AC; and the averaged momentum of TSI."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.parts import EMA_SLOTS, SMA_RING, ema_next, sma_next, sma_run, sma_slots
from strategies.indicators.kernels.windows import cold, stretch

SEEN = 0


# MACD -- both averages have their first value on the same bar: the fast one is seeded with the last of the values
# that seed the slow one, as in TA-Lib.
# Blocks: fast, slow, signal.

PAIR_SLOTS = 2 * EMA_SLOTS
MACD = 4
MACD_SIGNAL = MACD + PAIR_SLOTS


def macd_slots(_: int, __: int, ___: int) -> int:
    """Give the length of a MACD's state."""
    return MACD_SIGNAL + EMA_SLOTS


@compiled(outputs(3), STATE, VALUE)
def macd_step(state: Vector, value: float) -> tuple[float, float, float]:
    """Take one bar into a convergence and divergence of averages (Appel, TA-Lib MACD)."""
    quick = ema_next(state, MACD, state[1], value) if state[MACD + EMA_SLOTS] >= state[2] - state[1] else nan
    lazy = ema_next(state, MACD + EMA_SLOTS, state[2], value)
    if state[MACD + EMA_SLOTS] < state[2]:
        return nan, nan, nan
    line = quick - lazy
    told = ema_next(state, MACD_SIGNAL, state[3], line)
    return (line, told, line - told) if state[MACD_SIGNAL] >= state[3] else (nan, nan, nan)


@compiled(VOID, STATE, COLUMN, STATE, STATE, STATE)
def macd_batch(state: Vector, values: Vector, line: Vector, told: Vector, histogram: Vector) -> None:
    """Take a chunk of n values in and write n values to each output."""
    first = 0
    while first < values.size and state[MACD_SIGNAL] < state[3]:
        line[first], told[first], histogram[first] = macd_step(state, values[first])
        first += 1
    quick = state[MACD + 2]
    lazy = state[MACD + EMA_SLOTS + 2]
    mean = state[MACD_SIGNAL + 2]
    fast_weight = 2.0 / (state[1] + 1.0)
    slow_weight = 2.0 / (state[2] + 1.0)
    weight = 2.0 / (state[3] + 1.0)
    values = values[first:]
    line = line[first:]
    told = told[first:]
    histogram = histogram[first:]
    for row in range(values.size):
        quick = (values[row] - quick) * fast_weight + quick
        lazy = (values[row] - lazy) * slow_weight + lazy
        now = quick - lazy
        mean = (now - mean) * weight + mean
        line[row] = now
        told[row] = mean
        histogram[row] = now - mean
    state[MACD + 2] = quick
    state[MACD + EMA_SLOTS + 2] = lazy
    state[MACD_SIGNAL + 2] = mean


# APO and PPO -- each average is seeded with its own first values, as in TA-Lib.

PAIR = 3


def apo_slots(_: int, __: int) -> int:
    """Give the length of a price oscillator's state."""
    return PAIR + PAIR_SLOTS


ppo_slots = apo_slots


@inlined
def _pair_run(state: Vector, values: Vector, out: Vector) -> None:
    """Take a column into averages that have values; fill another with their differences."""
    quick = state[PAIR + 2]
    lazy = state[PAIR + EMA_SLOTS + 2]
    fast_weight = 2.0 / (state[1] + 1.0)
    slow_weight = 2.0 / (state[2] + 1.0)
    for row in range(values.size):
        quick = (values[row] - quick) * fast_weight + quick
        lazy = (values[row] - lazy) * slow_weight + lazy
        out[row] = quick - lazy
    state[PAIR + 2] = quick
    state[PAIR + EMA_SLOTS + 2] = lazy


@compiled(outputs(1), STATE, VALUE)
def apo_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give what a fast EMA is above a slow one (TA-Lib APO, matype EMA)."""
    quick = ema_next(state, PAIR, state[1], value)
    lazy = ema_next(state, PAIR + EMA_SLOTS, state[2], value)
    return (quick - lazy if state[PAIR + EMA_SLOTS] >= state[2] else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def apo_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n differences to `out`."""
    first = 0
    while first < values.size and state[PAIR + EMA_SLOTS] < state[2]:
        out[first] = apo_step(state, values[first])[0]
        first += 1
    _pair_run(state, values[first:], out[first:])


@inlined
def _percent(difference: float, lazy: float) -> float:
    """Give a difference in percent of the slow average; 0 where that is 0."""
    return 0.0 if lazy == 0.0 else 100.0 * (difference / lazy)


@compiled(outputs(1), STATE, VALUE)
def ppo_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give what a fast EMA is above a slow one in percent (TA-Lib PPO, matype EMA)."""
    quick = ema_next(state, PAIR, state[1], value)
    lazy = ema_next(state, PAIR + EMA_SLOTS, state[2], value)
    return (_percent(quick - lazy, lazy) if state[PAIR + EMA_SLOTS] >= state[2] else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def ppo_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n rates to `out`."""
    first = 0
    while first < values.size and state[PAIR + EMA_SLOTS] < state[2]:
        out[first] = ppo_step(state, values[first])[0]
        first += 1
    values = values[first:]
    out = out[first:]
    quick = state[PAIR + 2]
    lazy = state[PAIR + EMA_SLOTS + 2]
    fast_weight = 2.0 / (state[1] + 1.0)
    slow_weight = 2.0 / (state[2] + 1.0)
    for row in range(values.size):
        quick = (values[row] - quick) * fast_weight + quick
        lazy = (values[row] - lazy) * slow_weight + lazy
        out[row] = _percent(quick - lazy, lazy)
    state[PAIR + 2] = quick
    state[PAIR + EMA_SLOTS + 2] = lazy


# AO and AC -- simple averages of the bars' middles; AC has a third, of AO.


def ao_slots(fast: int, slow: int) -> int:
    """Give the length of an awesome oscillator's state."""
    return 3 + sma_slots(fast) + sma_slots(slow)


@inlined
def _awesome_next(state: Vector, base: int, fast: int, slow: int, high: float, low: float) -> float:
    """Take one bar into both averages; give their difference, NaN until the slow one has a value."""
    middle = 0.5 * (high + low)
    quick = sma_next(state, base, fast, middle)
    lazy = sma_next(state, base + SMA_RING + fast, slow, middle)
    return quick - lazy if state[base + SMA_RING + fast] >= slow else nan


@inlined
def _awesome_run(
    state: Vector, base: int, fast: int, slow: int, high: Vector, low: Vector, work: Vector, out: Vector
) -> int:
    """Take columns of one stretch in; fill another with differences and give the first row that has one."""
    middle = work[0, : high.size]
    quick = work[1, : high.size]
    for row in range(high.size):
        middle[row] = 0.5 * (high[row] + low[row])
    first = cold(state, base + SMA_RING + fast, slow, high.size)
    sma_run(state, base, fast, middle, quick)
    sma_run(state, base + SMA_RING + fast, slow, middle, out)
    for row in range(high.size):
        out[row] = quick[row] - out[row]
    out[:first] = nan
    return first


@compiled(outputs(1), STATE, VALUE, VALUE)
def ao_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into the awesome oscillator (Williams 1995, TA-Lib AO)."""
    return (_awesome_next(state, 3, int(state[1]), int(state[2]), high, low),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def ao_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n differences to `out`."""
    fast = int(state[1])
    slow = int(state[2])
    rows = stretch(max(fast, slow))
    work = np.empty((2, rows))
    for at in range(0, high.size, rows):
        to = at + rows
        _awesome_run(state, 3, fast, slow, high[at:to], low[at:to], work, out[at:to])


def ac_slots(fast: int, slow: int, signal: int) -> int:
    """Give the length of an accelerator's state."""
    return 4 + sma_slots(fast) + sma_slots(slow) + sma_slots(signal)


@compiled(outputs(1), STATE, VALUE, VALUE)
def ac_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into the accelerator: what AO is above its average (Williams 1995, TA-Lib AC)."""
    fast = int(state[1])
    slow = int(state[2])
    signal = int(state[3])
    signals = 4 + 2 * SMA_RING + fast + slow
    awesome = _awesome_next(state, 4, fast, slow, high, low)
    if state[4 + SMA_RING + fast] < slow:
        return (nan,)
    mean = sma_next(state, signals, signal, awesome)
    return (awesome - mean if state[signals] >= signal else nan,)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def ac_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n differences to `out`."""
    fast = int(state[1])
    slow = int(state[2])
    signal = int(state[3])
    signals = 4 + 2 * SMA_RING + fast + slow
    rows = stretch(max(fast, slow, signal))
    work = np.empty((2, rows))
    for at in range(0, high.size, rows):
        filled = out[at : at + rows]
        first = _awesome_run(state, 4, fast, slow, high[at : at + rows], low[at : at + rows], work, filled)
        filled = filled[first:]
        means = work[0, : filled.size]
        second = cold(state, signals, signal, filled.size)
        sma_run(state, signals, signal, filled, means)
        for row in range(filled.size):
            filled[row] = filled[row] - means[row]
        filled[:second] = nan


# TSI -- twice averaged changes over twice averaged magnitudes of changes.  SEEN stops at 1.

TSI_BEFORE = 3
TSI_CHANGE = 4
TSI_SIZE = TSI_CHANGE + 2 * EMA_SLOTS


def tsi_slots(_: int, __: int) -> int:
    """Give the length of a true strength index' state."""
    return TSI_SIZE + 2 * EMA_SLOTS


@inlined
def _share(change: float, size: float) -> float:
    """Give changes in percent of all there was; 0 where nothing moved."""
    return 0.0 if size == 0.0 else 100.0 * (change / size)


@compiled(outputs(1), STATE, VALUE)
def tsi_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a true strength index, -100 to 100 (Blau 1991, TA-Lib TSI)."""
    change = value - state[TSI_BEFORE]
    state[TSI_BEFORE] = value
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    one = ema_next(state, TSI_CHANGE, state[1], change)
    size = ema_next(state, TSI_SIZE, state[1], abs(change))
    if state[TSI_CHANGE] < state[1]:
        return (nan,)
    one = ema_next(state, TSI_CHANGE + EMA_SLOTS, state[2], one)
    size = ema_next(state, TSI_SIZE + EMA_SLOTS, state[2], size)
    return (_share(one, size) if state[TSI_CHANGE + EMA_SLOTS] >= state[2] else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def tsi_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n values to `out`."""
    first = 0
    while first < values.size and state[TSI_CHANGE + EMA_SLOTS] < state[2]:
        out[first] = tsi_step(state, values[first])[0]
        first += 1
    values = values[first:]
    out = out[first:]
    before = state[TSI_BEFORE]
    one = state[TSI_CHANGE + 2]
    two = state[TSI_CHANGE + EMA_SLOTS + 2]
    size = state[TSI_SIZE + 2]
    sizes = state[TSI_SIZE + EMA_SLOTS + 2]
    weight = 2.0 / (state[1] + 1.0)
    later = 2.0 / (state[2] + 1.0)
    for row in range(values.size):
        change = values[row] - before
        before = values[row]
        one = (change - one) * weight + one
        size = (abs(change) - size) * weight + size
        two = (one - two) * later + two
        sizes = (size - sizes) * later + sizes
        out[row] = _share(two, sizes)
    state[TSI_BEFORE] = before
    state[TSI_CHANGE + 2] = one
    state[TSI_CHANGE + EMA_SLOTS + 2] = two
    state[TSI_SIZE + 2] = size
    state[TSI_SIZE + EMA_SLOTS + 2] = sizes
