"""Averages that follow the market's pace: KAMA and McGinley's; and the efficiency KAMA goes by."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import lag_next, lag_slots, lag_take
from strategies.indicators.kernels.parts import sma_next, sma_slots
from strategies.indicators.kernels.sums import SUM_RING, sum_next, sum_run, sum_slots
from strategies.indicators.kernels.windows import stretch

SEEN = 0
PERIOD = 1


# EFFICIENCY -- a window's net move over the sum of its bars' moves.  SEEN stops at 1.
# Block: previous value, then moves, then values.


@inlined
def _net_blocks(base: int, period: int) -> tuple[int, int]:
    """Give where the blocks of moves and of values begin."""
    return base + 1, base + 1 + SUM_RING + 2 * period


def efficiency_slots(period: int) -> int:
    """Give the length of the block."""
    return 1 + sum_slots(period) + lag_slots(period)


@inlined
def _ratio(net: float, total: float) -> float:
    """Give net moves over all moves, 0 to 1; 1 where nothing moved, as in TA-Lib."""
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
    total = sum_next(state, moves, period, move)
    return _ratio(value - before, total) if state[moves] >= period else nan


@inlined
def _totals_run(state: Vector, base: int, period: int, values: Vector, begin: int, moves: Vector, out: Vector) -> None:
    """Fill a column with the sums of moves up to the rows of another from `begin` > 0 on."""
    later, before = values[begin : begin + out.size], values[begin - 1 :]
    for row in range(out.size):
        moves[row] = abs(later[row] - before[row])
    sum_run(state, _net_blocks(base, period)[0], period, moves[: out.size], out)


@inlined
def _keep_values(state: Vector, base: int, period: int, values: Vector) -> None:
    """Leave the values as the first form would, of a column of which `period` rows at least were taken by it."""
    lag_take(state, _net_blocks(base, period)[1], period, values)
    state[base] = values[values.size - 1]


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
    period = int(state[PERIOD])
    row = 0
    while row < values.size and (row < period or state[ER + 1] < period):
        out[row] = er_step(state, values[row])[0]
        row += 1
    if row == values.size:
        return
    rows = stretch(period)
    moves = np.empty(rows)
    for begin in range(row, values.size, rows):
        filled, later, before = out[begin : begin + rows], values[begin:], values[begin - period :]
        _totals_run(state, ER, period, values, begin, moves, filled)
        for at in range(filled.size):
            filled[at] = _ratio(later[at] - before[at], filled[at])
    _keep_values(state, ER, period, values[row:])


# KAMA -- begins from the value before its first.  Kept is by how much the average is off the value.

KAMA_FAST = 2
KAMA_SLOW = 3
KAMA_OFF = 4
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
    move = value - state[KAMA_EFFICIENCY]
    efficiency = efficiency_next(state, KAMA_EFFICIENCY, period, value)
    if state[KAMA_EFFICIENCY + 1] < period:
        return (nan,)
    slowest, reach = _pace(state)
    weight = efficiency * reach + slowest
    state[KAMA_OFF] = (state[KAMA_OFF] - move) * (1.0 - weight * weight)
    return (value + state[KAMA_OFF],)


@compiled(VOID, STATE, COLUMN, STATE)
def kama_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a KAMA and write n averages to `out`."""
    period = int(state[PERIOD])
    row = 0
    while row < values.size and (row < period or state[KAMA_EFFICIENCY + 1] < period):
        out[row] = kama_step(state, values[row])[0]
        row += 1
    if row == values.size:
        return
    slowest, reach = _pace(state)
    off = state[KAMA_OFF]
    rows = stretch(period)
    moves = np.empty(rows)
    for begin in range(row, values.size, rows):
        filled, later, before = out[begin : begin + rows], values[begin:], values[begin - period :]
        last = values[begin - 1 :]
        _totals_run(state, KAMA_EFFICIENCY, period, values, begin, moves, filled)
        # All in one loop: while an average waits for the one before it, there is time for the rest.
        for at in range(filled.size):
            weight = _ratio(later[at] - before[at], filled[at]) * reach + slowest
            off = (off - (later[at] - last[at])) * (1.0 - weight * weight)
            filled[at] = later[at] + off
    state[KAMA_OFF] = off
    _keep_values(state, KAMA_EFFICIENCY, period, values[row:])


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
