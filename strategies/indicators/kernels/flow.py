"""Volume against price, window by window: CMF, RVOL, the four VWAPs and ease of movement."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.parts import sma_next, sma_run
from strategies.indicators.kernels.parts import sma_slots as sma_block
from strategies.indicators.kernels.sums import SUM_RING, sum_next, sum_run, sum_slots

SEEN = 0
PERIOD = 1
SUMS = 2
STRETCH = 2048
"""Rows a temporary column has room for, so that it stays in the cache."""


@inlined
def _stretch(period: int) -> int:
    """Give so many rows that most of them are of whole blocks."""
    return period * max(4, STRETCH // period)


# CMF


def cmf_slots(period: int) -> int:
    """Give the length of the state."""
    return SUMS + 2 * sum_slots(period)


@inlined
def _flow(high: float, low: float, close: float, volume: float) -> float:
    """Give the volume times where the bar closed in its range, -1 to 1; 0 where it has none."""
    width = high - low
    return ((close - low) - (high - close)) / width * volume if width > 0.0 else 0.0


@inlined
def _share(part: float, whole: float) -> float:
    """Divide; 0 of nothing."""
    return part / whole if whole != 0.0 else whole * 0.0


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def cmf_step(state: Vector, high: float, low: float, close: float, volume: float) -> tuple[float]:
    """Take one bar into Chaikin's money flow, -1 to 1 (TA-Lib CMF)."""
    period = int(state[PERIOD])
    flow = sum_next(state, SUMS, period, _flow(high, low, close, volume))
    return (_share(flow, sum_next(state, SUMS + SUM_RING + 2 * period, period, volume)),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def cmf_batch(state: Vector, high: Vector, low: Vector, close: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n flows to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    flows = np.empty(min(out.size, stretch))
    whole = np.empty(flows.size)
    for first in range(0, out.size, stretch):
        last = min(first + stretch, out.size)
        filled = out[first:last]
        count = filled.size
        highs, lows, closes, volumes = high[first:last], low[first:last], close[first:last], volume[first:last]
        for row in range(count):
            flows[row] = _flow(highs[row], lows[row], closes[row], volumes[row])
        sum_run(state, SUMS, period, flows[:count], filled)
        sum_run(state, SUMS + SUM_RING + 2 * period, period, volumes, whole)
        for row in range(count):
            filled[row] = _share(filled[row], whole[row])


# RVOL -- SEEN stops at PERIOD; the sum is of the bars before, so each joins it one bar late.


def rvol_slots(period: int) -> int:
    """Give the length of the state."""
    return SUMS + sum_slots(period) + 1


@compiled(outputs(1), STATE, VALUE)
def rvol_step(state: Vector, volume: float) -> tuple[float]:
    """Take one bar in; give its volume by the mean of the bars before (TA-Lib RVOL); 0 after none."""
    total = state[SUMS]
    ready = state[SEEN] >= state[PERIOD]
    if not ready:
        state[SEEN] += 1.0
    state[SUMS] = sum_next(state, SUMS + 1, int(state[PERIOD]), volume)
    return (_share(volume * state[PERIOD], total) if ready else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def rvol_batch(state: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n volumes in and write n ratios to `out`."""
    begin = 0
    while begin < out.size and state[SEEN] < state[PERIOD]:
        out[begin] = rvol_step(state, volume[begin])[0]
        begin += 1
    period = state[PERIOD]
    stretch = _stretch(int(period))
    totals = np.empty(1 + min(out.size, stretch))
    for first in range(begin, out.size, stretch):
        last = min(first + stretch, out.size)
        volumes, filled = volume[first:last], out[first:last]
        count = filled.size
        totals[0] = state[SUMS]
        sum_run(state, SUMS + 1, int(period), volumes, totals[1:])
        state[SUMS] = totals[count]
        for row in range(count):
            filled[row] = _share(volumes[row] * period, totals[row])


# VWAPs -- of typical prices; where nothing was traded, the bar's own.


@inlined
def _typical(high: float, low: float, close: float) -> float:
    """Give the mean of high, low and close."""
    return (high + low + close) / 3.0


@inlined
def _mean_price(turnover: float, volume: float, price: float) -> float:
    """Give the mean price of what was traded, or the price given."""
    return turnover / volume if volume != 0.0 else price


def vwap_rolling_slots(period: int) -> int:
    """Give the length of the state."""
    return SUMS + 2 * sum_slots(period)


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def vwap_rolling_step(state: Vector, high: float, low: float, close: float, volume: float) -> tuple[float]:
    """Take one bar in; give the mean price of what was traded in the window."""
    period = int(state[PERIOD])
    price = _typical(high, low, close)
    turnover = sum_next(state, SUMS, period, price * volume)
    traded = sum_next(state, SUMS + SUM_RING + 2 * period, period, volume)
    return (_mean_price(turnover, traded, price),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def vwap_rolling_batch(state: Vector, high: Vector, low: Vector, close: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n prices to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    prices = np.empty(min(out.size, stretch))
    turnovers, whole = np.empty(prices.size), np.empty(prices.size)
    for first in range(0, out.size, stretch):
        last = min(first + stretch, out.size)
        filled = out[first:last]
        count = filled.size
        highs, lows, closes, volumes = high[first:last], low[first:last], close[first:last], volume[first:last]
        for row in range(count):
            prices[row] = _typical(highs[row], lows[row], closes[row])
            turnovers[row] = prices[row] * volumes[row]
        sum_run(state, SUMS, period, turnovers[:count], filled)
        sum_run(state, SUMS + SUM_RING + 2 * period, period, volumes, whole)
        for row in range(count):
            filled[row] = _mean_price(filled[row], whole[row], prices[row])


VWAP_TURNOVER = 1
VWAP_VOLUME = 2


def vwap_slots() -> int:
    """Give the length of the state."""
    return VWAP_VOLUME + 1


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def vwap_step(state: Vector, high: float, low: float, close: float, volume: float) -> tuple[float]:
    """Take one bar in; give the mean price of all that was traded so far (TA-Lib VWAP)."""
    price = _typical(high, low, close)
    state[VWAP_TURNOVER] += price * volume
    state[VWAP_VOLUME] += volume
    return (_mean_price(state[VWAP_TURNOVER], state[VWAP_VOLUME], price),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def vwap_batch(state: Vector, high: Vector, low: Vector, close: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n prices to `out`."""
    turnover, traded = state[VWAP_TURNOVER], state[VWAP_VOLUME]
    for row in range(out.size):
        price = _typical(high[row], low[row], close[row])
        turnover += price * volume[row]
        traded += volume[row]
        out[row] = _mean_price(turnover, traded, price)
    state[VWAP_TURNOVER], state[VWAP_VOLUME] = turnover, traded


vwap_since_slots = vwap_slots


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE, VALUE)
def vwap_since_step(
    state: Vector, condition: float, high: float, low: float, close: float, volume: float
) -> tuple[float]:
    """Take one bar in; give the mean price of what was traded since the condition was last true."""
    if condition != 0.0 and condition == condition:  # noqa: PLR0124 - NaN differs from itself
        state[VWAP_TURNOVER] = state[VWAP_VOLUME] = 0.0
    return vwap_step(state, high, low, close, volume)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def vwap_since_batch(
    state: Vector, condition: Vector, high: Vector, low: Vector, close: Vector, volume: Vector, out: Vector
) -> None:
    """Take a chunk of n bars in and write n prices to `out`."""
    for row in range(out.size):
        out[row] = vwap_since_step(state, condition[row], high[row], low[row], close[row], volume[row])[0]


# The same since a session began; SEEN stops at 1.

SESSION_DAYS = 1
SESSION = 2
SESSION_TURNOVER = 3
SESSION_VOLUME = 4
DAY = 86_400.0
MONDAY = 4 * DAY
"""1970-01-05, from which weeks are counted."""


def vwap_session_slots(_: int) -> int:
    """Give the length of the state."""
    return SESSION_VOLUME + 1


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE, VALUE)
def vwap_session_step(state: Vector, high: float, low: float, close: float, volume: float, time: float) -> tuple[float]:
    """Take one bar in; give the mean price of what was traded since the session of DAYS days began."""
    session = np.floor((time - MONDAY) / (state[SESSION_DAYS] * DAY))
    if session != state[SESSION] or state[SEEN] == 0.0:
        state[SEEN] = 1.0
        state[SESSION] = session
        state[SESSION_TURNOVER] = state[SESSION_VOLUME] = 0.0
    price = _typical(high, low, close)
    state[SESSION_TURNOVER] += price * volume
    state[SESSION_VOLUME] += volume
    return (_mean_price(state[SESSION_TURNOVER], state[SESSION_VOLUME], price),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def vwap_session_batch(
    state: Vector, high: Vector, low: Vector, close: Vector, volume: Vector, time: Vector, out: Vector
) -> None:
    """Take a chunk of n bars in and write n prices to `out`."""
    for row in range(out.size):
        out[row] = vwap_session_step(state, high[row], low[row], close[row], volume[row], time[row])[0]


# EASE OF MOVEMENT -- SEEN stops at 1.

EASE_SCALE = 2
EASE_MIDDLE = 3
EASE = 4


def eom_slots(period: int, _: float) -> int:
    """Give the length of the state."""
    return EASE + sma_block(period)


@inlined
def _ease(moved: float, width: float, volume: float, scale: float) -> float:
    """Give how far the bar's middle moved by the volume per unit of its range; 0 where nothing was traded."""
    return moved * width / (volume / scale) if volume > 0.0 else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def eom_step(state: Vector, high: float, low: float, volume: float) -> tuple[float]:
    """Take one bar into the ease of movement (Arms)."""
    middle = 0.5 * (high + low)
    moved = middle - state[EASE_MIDDLE]
    state[EASE_MIDDLE] = middle
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    return (sma_next(state, EASE, int(state[PERIOD]), _ease(moved, high - low, volume, state[EASE_SCALE])),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def eom_batch(state: Vector, high: Vector, low: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n values to `out`."""
    if out.size == 0:
        return
    out[0] = eom_step(state, high[0], low[0], volume[0])[0]
    eases = np.empty(out.size - 1)
    for row in range(eases.size):
        moved = 0.5 * (high[row + 1] + low[row + 1]) - 0.5 * (high[row] + low[row])
        eases[row] = _ease(moved, high[row + 1] - low[row + 1], volume[row + 1], state[EASE_SCALE])
    state[EASE_MIDDLE] = 0.5 * (high[out.size - 1] + low[out.size - 1])
    sma_run(state, EASE, int(state[PERIOD]), eases, out[1:])
