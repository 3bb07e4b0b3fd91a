"""Where a price stands in its range: STOCH, STOCHF, STOCHRSI, WILLR and Fisher's transform."""

from math import log, nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.moves import MOVES_SLOTS, moves_cold, moves_next, moves_run, strength
from strategies.indicators.kernels.parts import (
    EXTREME_RING,
    SMA_RING,
    extreme_slots,
    highest_next,
    highest_run,
    lowest_next,
    lowest_run,
    sma_next,
    sma_run,
    sma_slots,
)
from strategies.indicators.kernels.windows import cold, stretch

PERIOD = 1

# STOCH -- the place in the range, its average, and the average of that.  The others are this one with an
# average of one bar, and STOCHRSI reads an RSI in place of all three prices.
# Block: extremes, then both averages.


def _stoch_block(fast: int, slow: int, signal: int) -> int:
    """Give the length of the block."""
    return 2 * extreme_slots(fast) + sma_slots(slow) + sma_slots(signal)


@inlined
def _place(value: float, top: float, bottom: float) -> float:
    """Give where a value stands in a range, 0 to 100; 0 where there is none."""
    reach = top - bottom
    return 0.0 if reach == 0.0 else 100.0 * ((value - bottom) / reach)


@inlined
def _stoch_next(
    state: Vector, base: int, fast: int, slow: int, signal: int, high: float, low: float, close: float
) -> tuple[float, float]:
    """Take one bar in; give the averaged place and its average, NaN until both have values."""
    means = base + 2 * (EXTREME_RING + fast)
    signals = means + SMA_RING + slow
    top = highest_next(state, base, fast, high)
    bottom = lowest_next(state, base + EXTREME_RING + fast, fast, low)
    if state[base] < fast:
        return nan, nan
    mean = sma_next(state, means, slow, _place(close, top, bottom))
    if state[means] < slow:
        return nan, nan
    told = sma_next(state, signals, signal, mean)
    return (mean, told) if state[signals] >= signal else (nan, nan)


@inlined
def _stoch_run(
    state: Vector,
    base: int,
    fast: int,
    slow: int,
    signal: int,
    high: Vector,
    low: Vector,
    close: Vector,
    work: Vector,
    out: Vector,
    told: Vector,
) -> None:
    """Take columns of one stretch in; fill one with averaged places and one with their averages."""
    means = base + 2 * (EXTREME_RING + fast)
    signals = means + SMA_RING + slow
    first = cold(state, base, fast, close.size)
    places = work[0, : close.size]
    bottom = work[1, : close.size]
    highest_run(state, base, fast, high, places)
    lowest_run(state, base + EXTREME_RING + fast, fast, low, bottom)
    for row in range(close.size):
        places[row] = _place(close[row], places[row], bottom[row])
    places = places[first:]
    second = cold(state, means, slow, places.size)
    sma_run(state, means, slow, places, out[first:])
    second += first
    third = second + cold(state, signals, signal, close.size - second)
    sma_run(state, signals, signal, out[second:], told[second:])
    out[:third] = nan
    told[:third] = nan


def stoch_slots(fast: int, slow: int, signal: int) -> int:
    """Give the length of a stochastic's state."""
    return 4 + _stoch_block(fast, slow, signal)


@compiled(outputs(2), STATE, VALUE, VALUE, VALUE)
def stoch_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float]:
    """Take one bar into a slow stochastic (Lane, TA-Lib STOCH): %K and %D, 0 to 100."""
    return _stoch_next(state, 4, int(state[1]), int(state[2]), int(state[3]), high, low, close)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE)
def stoch_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector, told: Vector) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    fast = int(state[1])
    slow = int(state[2])
    signal = int(state[3])
    rows = stretch(max(fast, slow, signal))
    work = np.empty((2, rows))
    for at in range(0, close.size, rows):
        to = at + rows
        _stoch_run(state, 4, fast, slow, signal, high[at:to], low[at:to], close[at:to], work, out[at:to], told[at:to])


def stochf_slots(fast: int, signal: int) -> int:
    """Give the length of a fast stochastic's state."""
    return 3 + _stoch_block(fast, 1, signal)


@compiled(outputs(2), STATE, VALUE, VALUE, VALUE)
def stochf_step(state: Vector, high: float, low: float, close: float) -> tuple[float, float]:
    """Take one bar into a fast stochastic (Lane, TA-Lib STOCHF): %K and %D, 0 to 100."""
    return _stoch_next(state, 3, int(state[1]), 1, int(state[2]), high, low, close)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE)
def stochf_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector, told: Vector) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    fast = int(state[1])
    signal = int(state[2])
    rows = stretch(max(fast, signal))
    work = np.empty((2, rows))
    for at in range(0, close.size, rows):
        to = at + rows
        _stoch_run(state, 3, fast, 1, signal, high[at:to], low[at:to], close[at:to], work, out[at:to], told[at:to])


def stochrsi_slots(_: int, fast: int, signal: int) -> int:
    """Give the length of a stochastic RSI's state."""
    return 4 + MOVES_SLOTS + _stoch_block(fast, 1, signal)


@compiled(outputs(2), STATE, VALUE)
def stochrsi_step(state: Vector, value: float) -> tuple[float, float]:
    """Take one bar into a fast stochastic of an RSI (Chande and Kroll 1994, TA-Lib STOCHRSI)."""
    is_cold = moves_cold(state, 4, state[PERIOD], 1) == 1
    gain, loss = moves_next(state, 4, state[PERIOD], value)
    if is_cold:
        return nan, nan
    index = strength(gain, loss)
    return _stoch_next(state, 4 + MOVES_SLOTS, int(state[2]), 1, int(state[3]), index, index, index)


@compiled(VOID, STATE, COLUMN, STATE, STATE)
def stochrsi_batch(state: Vector, values: Vector, out: Vector, told: Vector) -> None:
    """Take a chunk of n values in and write n values to each output."""
    period = state[PERIOD]
    fast = int(state[2])
    signal = int(state[3])
    rows = stretch(max(fast, signal))
    work = np.empty((2, rows))
    gains = np.empty(rows)
    losses = np.empty(rows)
    for at in range(0, values.size, rows):
        some = values[at : at + rows]
        first = moves_cold(state, 4, period, some.size)
        moves_run(state, 4, period, some, gains, losses)
        index = gains[: some.size]
        for row in range(some.size):
            index[row] = strength(index[row], losses[row])
        index = index[first:]
        out[at : at + first] = nan
        told[at : at + first] = nan
        _stoch_run(
            state,
            4 + MOVES_SLOTS,
            fast,
            1,
            signal,
            index,
            index,
            index,
            work,
            out[at + first : at + rows],
            told[at + first : at + rows],
        )


# WILLR

WILLR = 2


def willr_slots(period: int) -> int:
    """Give the length of a Williams' %R's state."""
    return WILLR + 2 * extreme_slots(period)


@inlined
def _below_top(value: float, top: float, bottom: float) -> float:
    """Give how far a value stands below a range's top, -100 to 0; 0 where there is no range."""
    reach = top - bottom
    return 0.0 if reach == 0.0 else -100.0 * ((top - value) / reach)


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def willr_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into Williams' %R, -100 to 0 (TA-Lib WILLR)."""
    period = int(state[PERIOD])
    top = highest_next(state, WILLR, period, high)
    bottom = lowest_next(state, WILLR + EXTREME_RING + period, period, low)
    return (_below_top(close, top, bottom) if state[WILLR] >= period else nan,)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def willr_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n values to `out`."""
    period = int(state[PERIOD])
    rows = stretch(period)
    bottoms = np.empty(rows)
    for at in range(0, close.size, rows):
        some = close[at : at + rows]
        filled = out[at : at + rows]
        bottom = bottoms[: some.size]
        first = cold(state, WILLR, period, some.size)
        highest_run(state, WILLR, period, high[at : at + rows], filled)
        lowest_run(state, WILLR + EXTREME_RING + period, period, low[at : at + rows], bottom)
        for row in range(some.size):
            filled[row] = _below_top(some[row], filled[row], bottom[row])
        filled[:first] = nan


# FISHER -- the smoothed place in the range, and the transform of the bar before.

FISHER_PLACE = 2
FISHER_BEFORE = 3
FISHER_RANGE = 4
FISHER_EDGE = 0.99
FISHER_MOST = 0.999


def fisher_slots(period: int) -> int:
    """Give the length of Fisher's transform's state."""
    return FISHER_RANGE + 2 * extreme_slots(period)


@inlined
def _transformed(place: float, before: float, value: float, top: float, bottom: float) -> tuple[float, float]:
    """Give the smoothed place of a value in its range, and its transform."""
    reach = top - bottom
    centred = 0.0 if reach == 0.0 else (value - bottom) / reach - 0.5
    place = 0.66 * centred + 0.67 * place
    if place > FISHER_EDGE:
        place = FISHER_MOST
    if place < -FISHER_EDGE:
        place = -FISHER_MOST
    return place, 0.5 * log((1.0 + place) / (1.0 - place)) + 0.5 * before


@compiled(outputs(2), STATE, VALUE, VALUE)
def fisher_step(state: Vector, high: float, low: float) -> tuple[float, float]:
    """Take one bar into Fisher's transform (Ehlers 2002); beside it that of the bar before."""
    period = int(state[PERIOD])
    value = 0.5 * (high + low)
    top = highest_next(state, FISHER_RANGE, period, value)
    bottom = lowest_next(state, FISHER_RANGE + EXTREME_RING + period, period, value)
    if state[FISHER_RANGE] < period:
        return nan, nan
    before = state[FISHER_BEFORE]
    state[FISHER_PLACE], state[FISHER_BEFORE] = _transformed(state[FISHER_PLACE], before, value, top, bottom)
    return state[FISHER_BEFORE], before


@compiled(VOID, STATE, COLUMN, COLUMN, STATE, STATE)
def fisher_batch(state: Vector, high: Vector, low: Vector, out: Vector, told: Vector) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    period = int(state[PERIOD])
    rows = stretch(period)
    middles = np.empty(rows)
    for at in range(0, high.size, rows):
        some = high[at : at + rows]
        other = low[at : at + rows]
        top = out[at : at + rows]
        bottom = told[at : at + rows]
        middle = middles[: some.size]
        for row in range(some.size):
            middle[row] = 0.5 * (some[row] + other[row])
        first = cold(state, FISHER_RANGE, period, some.size)
        highest_run(state, FISHER_RANGE, period, middle, top)
        lowest_run(state, FISHER_RANGE + EXTREME_RING + period, period, middle, bottom)
        place = state[FISHER_PLACE]
        before = state[FISHER_BEFORE]
        for row in range(first, some.size):
            place, now = _transformed(place, before, middle[row], top[row], bottom[row])
            top[row] = now
            bottom[row] = before
            before = now
        state[FISHER_PLACE] = place
        state[FISHER_BEFORE] = before
