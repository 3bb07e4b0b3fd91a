"""Averages over windows: WMA, HMA, TRIMA, VWMA, ALMA; and the middle of a window's range."""

from math import exp, nan, sqrt

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import LAG_RING
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
from strategies.indicators.kernels.sums import SUM_RING, mean_next, mean_run, mean_slots
from strategies.indicators.kernels.weighted import WMA_RING, wma_next, wma_run
from strategies.indicators.kernels.weighted import wma_slots as wma_block
from strategies.indicators.kernels.windows import cold, stretch, window_next, window_run, window_slots

SEEN = 0
PERIOD = 1
BLOCKS = 2


def wma_slots(period: int) -> int:
    """Give the length of a WMA's state."""
    return BLOCKS + wma_block(period)


@compiled(outputs(1), STATE, VALUE)
def wma_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a linearly weighted average (TA-Lib WMA)."""
    return (wma_next(state, BLOCKS, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def wma_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a WMA and write n averages to `out`."""
    wma_run(state, BLOCKS, int(state[PERIOD]), values, out)


# HMA -- a WMA of half the period, one of the whole, and one of the square root over what they come to.


@inlined
def _hull(period: int) -> tuple[int, int, int, int]:
    """Give half a period, the root of a period, and where the blocks of the whole and of the root begin."""
    half = period // 2
    root = int(sqrt(period))
    whole = BLOCKS + WMA_RING + half
    return half, root, whole, whole + WMA_RING + period


def hma_slots(period: int) -> int:
    """Give the length of an HMA's state."""
    return BLOCKS + wma_block(period // 2) + wma_block(period) + wma_block(int(sqrt(period)))


@compiled(outputs(1), STATE, VALUE)
def hma_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into Hull's average (2005, TA-Lib HMA)."""
    period = int(state[PERIOD])
    half, root, whole, last = _hull(period)
    quick = wma_next(state, BLOCKS, half, value)
    slow = wma_next(state, whole, period, value)
    return (wma_next(state, last, root, 2.0 * quick - slow) if state[whole] >= period else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def hma_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into an HMA and write n averages to `out`."""
    period = int(state[PERIOD])
    half, root, whole, last = _hull(period)
    rows = stretch(period)
    ahead = np.empty(rows)
    for begin in range(0, values.size, rows):
        some = values[begin : begin + rows]
        filled = out[begin : begin + rows]
        both = ahead[: some.size]
        first = cold(state, whole, period, some.size)
        wma_run(state, BLOCKS, half, some, both)
        wma_run(state, whole, period, some, filled)
        for row in range(some.size):
            both[row] = 2.0 * both[row] - filled[row]
        filled[:first] = nan
        wma_run(state, last, root, both[first:], filled[first:])


# TRIMA -- an SMA of an SMA, together as long as the period.


@inlined
def _triangle(period: int) -> tuple[int, int, int]:
    """Give the two periods, and where the block of the second begins."""
    later = (period + 1) // 2
    earlier = period + 1 - later
    return earlier, later, BLOCKS + SUM_RING + 2 * earlier


def trima_slots(period: int) -> int:
    """Give the length of a TRIMA's state."""
    later = (period + 1) // 2
    return BLOCKS + mean_slots(period + 1 - later) + mean_slots(later)


@compiled(outputs(1), STATE, VALUE)
def trima_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a triangular average (TA-Lib TRIMA)."""
    earlier, later, second = _triangle(int(state[PERIOD]))
    mean = mean_next(state, BLOCKS, earlier, value)
    return (mean_next(state, second, later, mean) if state[BLOCKS] >= earlier else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def trima_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a TRIMA and write n averages to `out`."""
    earlier, later, second = _triangle(int(state[PERIOD]))
    rows = stretch(earlier)
    means = np.empty(rows)
    for begin in range(0, values.size, rows):
        some = values[begin : begin + rows]
        filled = out[begin : begin + rows]
        between = means[: some.size]
        first = cold(state, BLOCKS, earlier, some.size)
        mean_run(state, BLOCKS, earlier, some, between)
        filled[:first] = nan
        mean_run(state, second, later, between[first:], filled[first:])


# VWMA


def vwma_slots(period: int) -> int:
    """Give the length of a VWMA's state."""
    return BLOCKS + 2 * sma_slots(period)


@inlined
def _weighted_mean(turnover: float, volume: float, value: float) -> float:
    """Give turnover per volume, or the value where nothing was traded."""
    return value if volume == 0.0 else turnover / volume


@compiled(outputs(1), STATE, VALUE, VALUE)
def vwma_step(state: Vector, value: float, volume: float) -> tuple[float]:
    """Take one bar into an average weighted by volume (TA-Lib VWMA)."""
    period = int(state[PERIOD])
    turnover = sma_next(state, BLOCKS, period, value * volume)
    traded = sma_next(state, BLOCKS + SMA_RING + period, period, volume)
    return (_weighted_mean(turnover, traded, value) if state[BLOCKS] >= period else nan,)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def vwma_batch(state: Vector, values: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars into a VWMA and write n averages to `out`."""
    period = int(state[PERIOD])
    rows = stretch(period)
    turnover = np.empty(rows)
    traded = np.empty(rows)
    for begin in range(0, values.size, rows):
        some = values[begin : begin + rows]
        amount = volume[begin : begin + rows]
        filled = out[begin : begin + rows]
        first = cold(state, BLOCKS, period, some.size)
        for row in range(some.size):
            turnover[row] = some[row] * amount[row]
        sma_run(state, BLOCKS, period, turnover[: some.size], filled)
        sma_run(state, BLOCKS + SMA_RING + period, period, amount, traded[: some.size])
        for row in range(first, some.size):
            filled[row] = _weighted_mean(filled[row], traded[row], some[row])


# ALMA -- weights are made at the first bar, when SEEN turns 1, and stand after the window.

ALMA_OFFSET = 2
ALMA_SIGMA = 3
ALMA_WINDOW = 4


def alma_slots(period: int, _: float, __: float) -> int:
    """Give the length of an ALMA's state."""
    return ALMA_WINDOW + window_slots(period) + period


@inlined
def _weigh(state: Vector, period: int) -> None:
    """Make the weights of a bell around the offset, which sum to 1."""
    centre = state[ALMA_OFFSET] * (period - 1.0)
    width = period / state[ALMA_SIGMA]
    weights = state[ALMA_WINDOW + LAG_RING + period :]
    total = 0.0
    for age in range(period):
        off = (age - centre) / width
        weights[age] = exp(-0.5 * off * off)
        total += weights[age]
    for age in range(period):
        weights[age] /= total
    state[SEEN] = 1.0


@compiled(outputs(1), STATE, VALUE)
def alma_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into an average with the weights of a bell (Legoux and Kouzis-Loukas 2009)."""
    period = int(state[PERIOD])
    if state[SEEN] == 0.0:
        _weigh(state, period)
    window_next(state, ALMA_WINDOW, period, value)
    if state[ALMA_WINDOW] < period:
        return (nan,)
    position = int(state[ALMA_WINDOW + 1])
    ring = state[ALMA_WINDOW + LAG_RING :]
    weights = state[ALMA_WINDOW + LAG_RING + period :]
    total = 0.0
    for age in range(period - position):
        total += (ring[position + age] - value) * weights[age]
    for age in range(period - position, period):
        total += (ring[position + age - period] - value) * weights[age]
    return (value + total,)


@compiled(VOID, STATE, COLUMN, STATE)
def alma_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into an ALMA and write n averages to `out`."""
    period = int(state[PERIOD])
    if values.size > 0 and state[SEEN] == 0.0:
        _weigh(state, period)
    weights = state[ALMA_WINDOW + LAG_RING + period :]
    rows = stretch(period)
    for begin in range(0, values.size, rows):
        newest = values[begin : begin + rows]
        first = cold(state, ALMA_WINDOW, period, newest.size)
        history = window_run(state, ALMA_WINDOW, period, newest)
        out[begin : begin + first] = nan
        newest = newest[first:]
        filled = out[begin + first : begin + rows]
        filled[:] = 0.0
        oldest = history.size - newest.size - period + 1
        for age in range(period):
            older = history[oldest + age : oldest + age + newest.size]
            weight = weights[age]
            for row in range(newest.size):
                filled[row] += (older[row] - newest[row]) * weight
        for row in range(newest.size):
            filled[row] = newest[row] + filled[row]


# MIDPOINT and MIDPRICE


def midpoint_slots(period: int) -> int:
    """Give the length of a middle's state."""
    return BLOCKS + 2 * extreme_slots(period)


midprice_slots = midpoint_slots


@inlined
def _middle(state: Vector, high: float, low: float) -> float:
    """Take one bar in; give the middle between the window's extremes."""
    period = int(state[PERIOD])
    top = highest_next(state, BLOCKS, period, high)
    bottom = lowest_next(state, BLOCKS + EXTREME_RING + period, period, low)
    return 0.5 * (top + bottom) if state[BLOCKS] >= period else nan


@inlined
def _middle_run(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take columns in; fill another with the middles between the windows' extremes."""
    period = int(state[PERIOD])
    rows = stretch(period)
    below = np.empty(rows)
    for begin in range(0, high.size, rows):
        top = out[begin : begin + rows]
        bottom = below[: top.size]
        highest_run(state, BLOCKS, period, high[begin : begin + rows], top)
        lowest_run(state, BLOCKS + EXTREME_RING + period, period, low[begin : begin + rows], bottom)
        for row in range(top.size):
            top[row] = 0.5 * (top[row] + bottom[row])


@compiled(outputs(1), STATE, VALUE)
def midpoint_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the middle of the window's range (TA-Lib MIDPOINT)."""
    return (_middle(state, value, value),)


@compiled(VOID, STATE, COLUMN, STATE)
def midpoint_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n middles to `out`."""
    _middle_run(state, values, values, out)


@compiled(outputs(1), STATE, VALUE, VALUE)
def midprice_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar in; give the middle between the window's highest high and lowest low (TA-Lib MIDPRICE)."""
    return (_middle(state, high, low),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def midprice_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n middles to `out`."""
    _middle_run(state, high, low, out)
