"""Rates of change: MOM, ROC and its like; and what is made of them: DPO, COPPOCK, KST, CMO and BOP."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import LAG_RING, lag_keep, lag_next, lag_run
from strategies.indicators.kernels.lags import lag_slots as lag_block
from strategies.indicators.kernels.moves import MOVES_SLOTS, moves_cold, moves_next, moves_run
from strategies.indicators.kernels.parts import SMA_RING, sma_next, sma_run, sma_slots
from strategies.indicators.kernels.weighted import wma_next, wma_run, wma_slots
from strategies.indicators.kernels.windows import cold, stretch

PERIOD = 1
LAG = 2


def mom_slots(period: int) -> int:
    """Give the length of a state that remembers the values of `period` bars."""
    return LAG + lag_block(period)


roc_slots = rocp_slots = rocr_slots = rocr100_slots = mom_slots


@inlined
def _ratio(value: float, before: float) -> float:
    """Give a value over one before; 0 where that was 0, as in TA-Lib."""
    return 0.0 if before == 0.0 else value / before


@inlined
def _rate(value: float, before: float) -> float:
    """Give by what share a value has changed; 0 where there was nothing to change."""
    return 0.0 if before == 0.0 else value / before - 1.0


@compiled(outputs(1), STATE, VALUE)
def mom_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give what the value has moved since PERIOD bars ago (TA-Lib MOM)."""
    return (value - lag_next(state, LAG, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def mom_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n differences to `out`."""
    count = int(state[PERIOD])
    for row in range(min(values.size, count)):
        out[row] = mom_step(state, values[row])[0]
    now = values[count:]
    filled = out[count:]
    for row in range(now.size):
        filled[row] = now[row] - values[row]
    lag_keep(state, LAG, count, values)


@compiled(outputs(1), STATE, VALUE)
def roc_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give its change since PERIOD bars ago in percent (TA-Lib ROC)."""
    return (100.0 * _rate(value, lag_next(state, LAG, int(state[PERIOD]), value)),)


@compiled(VOID, STATE, COLUMN, STATE)
def roc_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n rates to `out`."""
    count = int(state[PERIOD])
    for row in range(min(values.size, count)):
        out[row] = roc_step(state, values[row])[0]
    now = values[count:]
    filled = out[count:]
    for row in range(now.size):
        filled[row] = 100.0 * _rate(now[row], values[row])
    lag_keep(state, LAG, count, values)


@compiled(outputs(1), STATE, VALUE)
def rocp_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give its change since PERIOD bars ago as a share (TA-Lib ROCP)."""
    return (_rate(value, lag_next(state, LAG, int(state[PERIOD]), value)),)


@compiled(VOID, STATE, COLUMN, STATE)
def rocp_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n rates to `out`."""
    count = int(state[PERIOD])
    for row in range(min(values.size, count)):
        out[row] = rocp_step(state, values[row])[0]
    now = values[count:]
    filled = out[count:]
    for row in range(now.size):
        filled[row] = _rate(now[row], values[row])
    lag_keep(state, LAG, count, values)


@compiled(outputs(1), STATE, VALUE)
def rocr_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give it over the value of PERIOD bars ago (TA-Lib ROCR)."""
    return (_ratio(value, lag_next(state, LAG, int(state[PERIOD]), value)),)


@compiled(VOID, STATE, COLUMN, STATE)
def rocr_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n ratios to `out`."""
    count = int(state[PERIOD])
    for row in range(min(values.size, count)):
        out[row] = rocr_step(state, values[row])[0]
    now = values[count:]
    filled = out[count:]
    for row in range(now.size):
        filled[row] = _ratio(now[row], values[row])
    lag_keep(state, LAG, count, values)


@compiled(outputs(1), STATE, VALUE)
def rocr100_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give it in percent of the value of PERIOD bars ago (TA-Lib ROCR100)."""
    return (100.0 * _ratio(value, lag_next(state, LAG, int(state[PERIOD]), value)),)


@compiled(VOID, STATE, COLUMN, STATE)
def rocr100_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n ratios to `out`."""
    count = int(state[PERIOD])
    for row in range(min(values.size, count)):
        out[row] = rocr100_step(state, values[row])[0]
    now = values[count:]
    filled = out[count:]
    for row in range(now.size):
        filled[row] = 100.0 * _ratio(now[row], values[row])
    lag_keep(state, LAG, count, values)


# DPO -- the value of half a period and a bar ago, less the average of the period.


def dpo_slots(period: int) -> int:
    """Give the length of a detrended oscillator's state."""
    return LAG + sma_slots(period) + lag_block(period // 2 + 1)


@compiled(outputs(1), STATE, VALUE)
def dpo_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a detrended price oscillator (TA-Lib DPO)."""
    period = int(state[PERIOD])
    mean = sma_next(state, LAG, period, value)
    return (lag_next(state, LAG + SMA_RING + period, period // 2 + 1, value) - mean,)


@compiled(VOID, STATE, COLUMN, STATE)
def dpo_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n differences to `out`."""
    period = int(state[PERIOD])
    rows = stretch(period)
    work = np.empty(rows)
    for at in range(0, values.size, rows):
        some = values[at : at + rows]
        filled = out[at : at + rows]
        means = work[: some.size]
        sma_run(state, LAG, period, some, means)
        lag_run(state, LAG + SMA_RING + period, period // 2 + 1, some, filled)
        for row in range(some.size):
            filled[row] = filled[row] - means[row]


# COPPOCK -- a WMA of the sum of two rates.

COPPOCK = 4


def coppock_slots(period: int, fast: int, slow: int) -> int:
    """Give the length of a Coppock curve's state."""
    return COPPOCK + lag_block(fast) + lag_block(slow) + wma_slots(period)


@compiled(outputs(1), STATE, VALUE)
def coppock_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a Coppock curve (1962, TA-Lib COPPOCK)."""
    fast = int(state[2])
    slow = int(state[3])
    second = COPPOCK + LAG_RING + fast
    is_cold = state[second] < slow or state[COPPOCK] < fast
    early = 100.0 * _rate(value, lag_next(state, COPPOCK, fast, value))
    late = 100.0 * _rate(value, lag_next(state, second, slow, value))
    if is_cold:
        return (nan,)
    return (wma_next(state, second + LAG_RING + slow, int(state[PERIOD]), early + late),)


@compiled(VOID, STATE, COLUMN, STATE)
def coppock_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n values to `out`."""
    period = int(state[PERIOD])
    fast = int(state[2])
    slow = int(state[3])
    second = COPPOCK + LAG_RING + fast
    rows = stretch(max(period, fast, slow))
    work = np.empty(rows)
    for at in range(0, values.size, rows):
        some = values[at : at + rows]
        filled = out[at : at + rows]
        rates = work[: some.size]
        first = max(cold(state, COPPOCK, fast + 1, some.size), cold(state, second, slow + 1, some.size))
        lag_run(state, COPPOCK, fast, some, rates)
        lag_run(state, second, slow, some, filled)
        for row in range(some.size):
            rates[row] = 100.0 * _rate(some[row], rates[row]) + 100.0 * _rate(some[row], filled[row])
        filled[:first] = nan
        wma_run(state, second + LAG_RING + slow, period, rates[first:], filled[first:])


# KST -- four averaged rates, the slower the weightier, and the average of what they come to.
# Block: each rate's ring and average in turn, then the signal's average.

KST = 10
KST_RATES = 4


def kst_slots(*params: int) -> int:
    """Give the length of a "know sure thing"'s state."""
    rates = sum(lag_block(bars) for bars in params[:KST_RATES])
    return KST + rates + sum(sma_slots(bars) for bars in params[KST_RATES:])


@compiled(outputs(2), STATE, VALUE)
def kst_step(state: Vector, value: float) -> tuple[float, float]:
    """Take one bar into Pring's "know sure thing" (1992) and its signal."""
    base = KST
    total = 0.0
    is_cold = False
    for which in range(KST_RATES):
        bars = int(state[PERIOD + which])
        period = int(state[PERIOD + KST_RATES + which])
        means = base + LAG_RING + bars
        has_rate = state[base] >= bars
        rate = 100.0 * _rate(value, lag_next(state, base, bars, value))
        if has_rate:
            total += (which + 1.0) * sma_next(state, means, period, rate)
        is_cold = is_cold or state[means] < period
        base = means + SMA_RING + period
    if is_cold:
        return nan, nan
    signal = int(state[PERIOD + 2 * KST_RATES])
    told = sma_next(state, base, signal, total)
    return (total, told) if state[base] >= signal else (nan, nan)


@compiled(VOID, STATE, COLUMN, STATE, STATE)
def kst_batch(state: Vector, values: Vector, out: Vector, told: Vector) -> None:
    """Take a chunk of n values in and write n values to each output."""
    rows = 0
    for which in range(2 * KST_RATES + 1):
        rows = max(rows, stretch(int(state[PERIOD + which])))
    work = np.empty((2, rows))
    for at in range(0, values.size, rows):
        some = values[at : at + rows]
        totals = out[at : at + rows]
        signals = told[at : at + rows]
        rates = work[0, : some.size]
        averages = work[1, : some.size]
        totals[:] = 0.0
        base = KST
        first = 0
        for which in range(KST_RATES):
            bars = int(state[PERIOD + which])
            period = int(state[PERIOD + KST_RATES + which])
            means = base + LAG_RING + bars
            begin = cold(state, base, bars + 1, some.size)
            lag_run(state, base, bars, some, rates)
            for row in range(some.size):
                rates[row] = 100.0 * _rate(some[row], rates[row])
            first = max(first, begin + cold(state, means, period, some.size - begin))
            sma_run(state, means, period, rates[begin:], averages[begin:])
            weight = which + 1.0
            for row in range(begin, some.size):
                totals[row] += weight * averages[row]
            base = means + SMA_RING + period
        signal = int(state[PERIOD + 2 * KST_RATES])
        last = first + cold(state, base, signal, some.size - first)
        sma_run(state, base, signal, totals[first:], signals[first:])
        totals[:last] = nan
        signals[:last] = nan


# CMO

CMO = 2


def cmo_slots(_: int) -> int:
    """Give the length of a Chande momentum oscillator's state."""
    return CMO + MOVES_SLOTS


@inlined
def _balance(gain: float, loss: float) -> float:
    """Give what gains are above losses in percent of both; 0 where nothing moved."""
    total = gain + loss
    return 0.0 if total == 0.0 else 100.0 * ((gain - loss) / total)


@compiled(outputs(1), STATE, VALUE)
def cmo_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into Chande's momentum oscillator, averaged as Wilder does, -100 to 100 (TA-Lib CMO)."""
    is_cold = moves_cold(state, CMO, state[PERIOD], 1) == 1
    gain, loss = moves_next(state, CMO, state[PERIOD], value)
    return (nan if is_cold else _balance(gain, loss),)


@compiled(VOID, STATE, COLUMN, STATE)
def cmo_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n values to `out`."""
    rows = stretch(1)
    work = np.empty(rows)
    for at in range(0, values.size, rows):
        some = values[at : at + rows]
        filled = out[at : at + rows]
        first = moves_cold(state, CMO, state[PERIOD], some.size)
        moves_run(state, CMO, state[PERIOD], some, filled, work)
        for row in range(some.size):
            filled[row] = _balance(filled[row], work[row])
        filled[:first] = nan


# BOP -- keeps nothing.


def bop_slots() -> int:
    """Give the length of an empty state."""
    return 1


@inlined
def _power(opened: float, high: float, low: float, close: float) -> float:
    """Give a bar's body in shares of its range; 0 where there is none."""
    reach = high - low
    return 0.0 if reach == 0.0 else (close - opened) / reach


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def bop_step(
    state: Vector,  # noqa: ARG001 - it keeps nothing
    opened: float,
    high: float,
    low: float,
    close: float,
) -> tuple[float]:
    """Take one bar into the balance of power, -1 to 1 (Livshin 2001, TA-Lib BOP)."""
    return (_power(opened, high, low, close),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def bop_batch(
    state: Vector,  # noqa: ARG001 - it keeps nothing
    opened: Vector,
    high: Vector,
    low: Vector,
    close: Vector,
    out: Vector,
) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(out.size):
        out[row] = _power(opened[row], high[row], low[row], close[row])
