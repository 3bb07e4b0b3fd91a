"""Averages that follow the market's pace: KAMA and McGinley's; and the efficiency KAMA goes by."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import lag_next, lag_run, lag_slots
from strategies.indicators.kernels.parts import SMA_RING, sma_next, sma_run, sma_slots
from strategies.indicators.kernels.windows import cold, stretch

SEEN = 0
PERIOD = 1


# EFFICIENCY -- a window's net move over the sum of its bars' moves.  SEEN stops at 1.
# Block: previous value, then moves, then values.


@inlined
def _net_blocks(base: int, period: int) -> tuple[int, int]:
    """Give where the blocks of moves and of values begin."""
    return base + 1, base + 1 + SMA_RING + period


def efficiency_slots(period: int) -> int:
    """Give the length of the block."""
    return 1 + sma_slots(period) + lag_slots(period)


@inlined
def _ratio(net: float, mean: float, period: int) -> float:
    """Give net moves over all moves, 0 to 1; 1 where nothing moved, as in TA-Lib."""
    total = mean * period
    if total == 0.0:
        return 1.0
    ratio = abs(net) / total
    return min(ratio, 1.0)


@inlined
def efficiency_next(state: Vector, base: int, period: int, value: float) -> float:
    """Take one value in; give the window's efficiency, NaN while it fills."""
    moves, values = _net_blocks(base, period)
    move = abs(value - state[base])
    state[base] = value
    before = lag_next(state, values, period, value)
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return nan
    mean = sma_next(state, moves, period, move)
    return _ratio(value - before, mean, period) if state[moves] >= period else nan


@inlined
def efficiency_run(state: Vector, base: int, period: int, values: Vector, out: Vector) -> None:
    """Take a column in; fill another with the windows' efficiencies."""
    moves, lagged = _net_blocks(base, period)
    rows = stretch(period)
    changes = np.empty(rows)
    before = np.empty(rows)
    for begin in range(0, values.size, rows):
        some = values[begin : begin + rows]
        filled = out[begin : begin + rows]
        later = some[1:]
        changes[0] = abs(some[0] - state[base])
        rest = changes[1:]
        for row in range(later.size):
            rest[row] = abs(later[row] - some[row])
        state[base] = some[some.size - 1]
        lag_run(state, lagged, period, some, before[: some.size])
        start = 0 if state[SEEN] == 1.0 else 1
        state[SEEN] = 1.0
        first = start + cold(state, moves, period, some.size - start)
        filled[:start] = nan
        sma_run(state, moves, period, changes[start : some.size], filled[start:])
        for row in range(first, some.size):
            filled[row] = _ratio(some[row] - before[row], filled[row], period)


ER = 2


def er_slots(period: int) -> int:
    """Give the length of an efficiency ratio's state."""
    return ER + efficiency_slots(period)


@compiled(outputs(1), STATE, VALUE)
def er_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into Kaufman's efficiency ratio, 0 to 1 (TA-Lib ER)."""
    return (efficiency_next(state, ER, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def er_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n ratios to `out`."""
    efficiency_run(state, ER, int(state[PERIOD]), values, out)


# KAMA -- begins from the value before its first.

KAMA_FAST = 2
KAMA_SLOW = 3
KAMA = 4
KAMA_EFFICIENCY = 5


def kama_slots(period: int, _: int, __: int) -> int:
    """Give the length of a KAMA's state."""
    return KAMA_EFFICIENCY + efficiency_slots(period)


@inlined
def _pace(state: Vector) -> tuple[float, float]:
    """Give the weight where nothing is efficient, and by how much it grows up to where all is."""
    slowest = 2.0 / (state[KAMA_SLOW] + 1.0)
    return slowest, 2.0 / (state[KAMA_FAST] + 1.0) - slowest


@compiled(outputs(1), STATE, VALUE)
def kama_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into Kaufman's adaptive average (1995, TA-Lib KAMA)."""
    period = int(state[PERIOD])
    efficiency = efficiency_next(state, KAMA_EFFICIENCY, period, value)
    if state[KAMA_EFFICIENCY + 1] < period:
        state[KAMA] = value
        return (nan,)
    slowest, reach = _pace(state)
    weight = efficiency * reach + slowest
    state[KAMA] = (value - state[KAMA]) * (weight * weight) + state[KAMA]
    return (state[KAMA],)


@compiled(VOID, STATE, COLUMN, STATE)
def kama_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a KAMA and write n averages to `out`."""
    period = int(state[PERIOD])
    row = 0
    while row < values.size and state[KAMA_EFFICIENCY + 1] < period:
        out[row] = kama_step(state, values[row])[0]
        row += 1
    rest = values[row:]
    filled = out[row:]
    efficiency_run(state, KAMA_EFFICIENCY, period, rest, filled)
    slowest, reach = _pace(state)
    mean = state[KAMA]
    for later in range(rest.size):
        weight = filled[later] * reach + slowest
        mean = (rest[later] - mean) * (weight * weight) + mean
        filled[later] = mean
    state[KAMA] = mean


# MCGINLEY -- SMA first.  SEEN stops at the period.

MCGINLEY = 2
MCGINLEY_SEED = 3


def mcginley_slots(period: int) -> int:
    """Give the length of McGinley's average's state."""
    return MCGINLEY_SEED + sma_slots(period)


@inlined
def _drawn(mean: float, value: float, period: float) -> float:
    """Move the average towards a value, and never past it."""
    if mean == 0.0:
        return value
    ratio = value / mean
    square = ratio * ratio
    divisor = period * (square * square)
    return value if divisor < 1.0 else mean + (value - mean) / divisor


@compiled(outputs(1), STATE, VALUE)
def mcginley_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into McGinley's dynamic (1990): slower above the average, faster below."""
    period = state[PERIOD]
    if state[SEEN] < period:
        state[SEEN] += 1.0
        state[MCGINLEY] = sma_next(state, MCGINLEY_SEED, int(period), value)
        return (state[MCGINLEY] if state[SEEN] >= period else nan,)
    state[MCGINLEY] = _drawn(state[MCGINLEY], value, period)
    return (state[MCGINLEY],)


@compiled(VOID, STATE, COLUMN, STATE)
def mcginley_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n averages to `out`."""
    period = state[PERIOD]
    row = 0
    while row < values.size and state[SEEN] < period:
        out[row] = mcginley_step(state, values[row])[0]
        row += 1
    mean = state[MCGINLEY]
    for later in range(row, values.size):
        mean = _drawn(mean, values[later], period)
        out[later] = mean
    state[MCGINLEY] = mean
