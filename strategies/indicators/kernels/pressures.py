"""Oscillators of whole bars: CCI, MFI and ULTOSC."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import LAG_RING
from strategies.indicators.kernels.sums import SUM_RING, sum_next, sum_run, sum_slots
from strategies.indicators.kernels.windows import cold, stretch, window_next, window_run, window_slots

SEEN = 0
PERIOD = 1


@inlined
def _typical(high: float, low: float, close: float) -> float:
    """Give a bar's typical price."""
    return (high + low + close) / 3.0


# CCI -- goes over the whole window at each bar, in differences to the newest price: what counts is how far
# prices are apart, however large they are.

CCI = 2
CCI_SCALE = 0.015


def cci_slots(period: int) -> int:
    """Give the length of a commodity channel index' state."""
    return CCI + window_slots(period)


@inlined
def _deviations(mean: float, spread: float, period: int) -> float:
    """Give how many mean deviations, times 0.015, a price is off its mean; 0 where none is."""
    return 0.0 if spread == 0.0 else -mean / (CCI_SCALE * (spread / period))


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def cci_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into a commodity channel index (Lambert 1980, TA-Lib CCI)."""
    period = int(state[PERIOD])
    price = _typical(high, low, close)
    window_next(state, CCI, period, price)
    if state[CCI] < period:
        return (nan,)
    position = int(state[CCI + 1])
    ring = state[CCI + LAG_RING :]
    total = 0.0
    for age in range(position, period):
        total += ring[age] - price
    for age in range(position):
        total += ring[age] - price
    mean = total / period
    spread = 0.0
    for age in range(position, period):
        spread += abs((ring[age] - price) - mean)
    for age in range(position):
        spread += abs((ring[age] - price) - mean)
    return (_deviations(mean, spread, period),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def cci_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n indices to `out`."""
    period = int(state[PERIOD])
    rows = stretch(period)
    prices = np.empty(rows)
    averages = np.empty(rows)
    for at in range(0, close.size, rows):
        top = high[at : at + rows]
        bottom = low[at : at + rows]
        last = close[at : at + rows]
        price = prices[: last.size]
        for row in range(last.size):
            price[row] = _typical(top[row], bottom[row], last[row])
        first = cold(state, CCI, period, price.size)
        history = window_run(state, CCI, period, price)
        out[at : at + first] = nan
        spread = out[at + first : at + rows]
        price = price[first:]
        means = averages[: price.size]
        spread[:] = 0.0
        means[:] = 0.0
        oldest = history.size - price.size - period + 1
        for age in range(period):
            older = history[oldest + age : oldest + age + price.size]
            for row in range(price.size):
                means[row] += older[row] - price[row]
        for row in range(price.size):
            means[row] /= period
        for age in range(period):
            older = history[oldest + age : oldest + age + price.size]
            for row in range(price.size):
                spread[row] += abs((older[row] - price[row]) - means[row])
        for row in range(price.size):
            spread[row] = _deviations(means[row], spread[row], period)


# MFI -- SEEN stops at 1: the first bar only lends its price to the second.

MFI_PRICE = 2
MFI = 3


def mfi_slots(period: int) -> int:
    """Give the length of a money flow index' state."""
    return MFI + 2 * sum_slots(period)


@inlined
def _inflow(gain: float, loss: float) -> float:
    """Give the share of what flowed in, 0 to 100; 0 where nothing flowed."""
    total = gain + loss
    return 0.0 if total == 0.0 else 100.0 * (gain / total)


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def mfi_step(state: Vector, high: float, low: float, close: float, volume: float) -> tuple[float]:
    """Take one bar into a money flow index, 0 to 100 (Quong and Soudack 1989, TA-Lib MFI)."""
    period = int(state[PERIOD])
    price = _typical(high, low, close)
    before = state[MFI_PRICE]
    state[MFI_PRICE] = price
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    flow = price * volume
    gain = sum_next(state, MFI, period, flow if price > before else 0.0)
    loss = sum_next(state, MFI + SUM_RING + 2 * period, period, flow if price < before else 0.0)
    return (_inflow(gain, loss) if state[MFI] >= period else nan,)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def mfi_batch(state: Vector, high: Vector, low: Vector, close: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n indices to `out`."""
    period = int(state[PERIOD])
    if close.size > 0 and state[SEEN] == 0.0:
        out[0] = mfi_step(state, high[0], low[0], close[0], volume[0])[0]
        high = high[1:]
        low = low[1:]
        close = close[1:]
        volume = volume[1:]
        out = out[1:]
    rows = stretch(period)
    prices = np.empty(rows + 1)
    gains = np.empty(rows)
    losses = np.empty(rows)
    for at in range(0, close.size, rows):
        top = high[at : at + rows]
        bottom = low[at : at + rows]
        last = close[at : at + rows]
        traded = volume[at : at + rows]
        filled = out[at : at + rows]
        prices[0] = state[MFI_PRICE]
        price = prices[1:]
        for row in range(last.size):
            price[row] = _typical(top[row], bottom[row], last[row])
        for row in range(last.size):
            flow = price[row] * traded[row]
            gains[row] = flow if price[row] > prices[row] else 0.0
            losses[row] = flow if price[row] < prices[row] else 0.0
        state[MFI_PRICE] = prices[last.size]
        first = cold(state, MFI, period, last.size)
        sum_run(state, MFI, period, gains[: last.size], filled)
        sum_run(state, MFI + SUM_RING + 2 * period, period, losses[: last.size], price[: last.size])
        for row in range(last.size):
            filled[row] = _inflow(filled[row], price[row])
        filled[:first] = nan


# ULTOSC -- buying pressure over true range, summed over three windows.  SEEN stops at 1.
# Blocks: of each window the pressure's sum, then the range's.

ULTOSC_CLOSE = 4
ULTOSC = 5


def ultosc_slots(fast: int, middle: int, slow: int) -> int:
    """Give the length of an ultimate oscillator's state."""
    return ULTOSC + 2 * (sum_slots(fast) + sum_slots(middle) + sum_slots(slow))


@inlined
def _pressure(pressure: float, reach: float) -> float:
    """Give pressure over range; 0 where there was none."""
    return 0.0 if reach == 0.0 else pressure / reach


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def ultosc_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into an ultimate oscillator, 0 to 100 (Williams 1985, TA-Lib ULTOSC)."""
    before = state[ULTOSC_CLOSE]
    state[ULTOSC_CLOSE] = close
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    bottom = min(low, before)
    reach = max(high, before) - bottom
    base = ULTOSC
    weight = 4.0
    total = 0.0
    is_cold = False
    for which in range(3):
        period = int(state[PERIOD + which])
        pressure = sum_next(state, base, period, close - bottom)
        ranges = sum_next(state, base + SUM_RING + 2 * period, period, reach)
        total += weight * _pressure(pressure, ranges)
        is_cold = is_cold or state[base] < period
        base += 2 * (SUM_RING + 2 * period)
        weight *= 0.5
    return (nan if is_cold else 100.0 * (total / 7.0),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def ultosc_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n values to `out`."""
    if close.size > 0 and state[SEEN] == 0.0:
        out[0] = ultosc_step(state, high[0], low[0], close[0])[0]
        high = high[1:]
        low = low[1:]
        close = close[1:]
        out = out[1:]
    rows = stretch(int(max(state[PERIOD], state[PERIOD + 1], state[PERIOD + 2])))
    work = np.empty((4, rows))
    for at in range(0, close.size, rows):
        top = high[at : at + rows]
        low_some = low[at : at + rows]
        last = close[at : at + rows]
        filled = out[at : at + rows]
        pressure = work[0, : last.size]
        reach = work[1, : last.size]
        summed = work[2, : last.size]
        ranges = work[3, : last.size]
        before = state[ULTOSC_CLOSE]
        for row in range(last.size):
            bottom = min(low_some[row], before)
            reach[row] = max(top[row], before) - bottom
            pressure[row] = last[row] - bottom
            before = last[row]
        state[ULTOSC_CLOSE] = before
        filled[:] = 0.0
        base = ULTOSC
        weight = 4.0
        first = 0
        for which in range(3):
            period = int(state[PERIOD + which])
            first = max(first, cold(state, base, period, last.size))
            sum_run(state, base, period, pressure, summed)
            sum_run(state, base + SUM_RING + 2 * period, period, reach, ranges)
            for row in range(last.size):
                filled[row] += weight * _pressure(summed[row], ranges[row])
            base += 2 * (SUM_RING + 2 * period)
            weight *= 0.5
        for row in range(last.size):
            filled[row] = 100.0 * (filled[row] / 7.0)
        filled[:first] = nan
