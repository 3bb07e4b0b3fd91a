"""Microstructure: who trades, what trading costs, and how far it moves the price."""

from math import erf, exp, log, nan, sqrt

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.pairs import pair_next, pair_slots
from strategies.indicators.kernels.parts import MOMENTS_RING, moments_next, moments_slots
from strategies.indicators.kernels.sums import SUM_RING, sum_next, sum_slots

SEEN = 0
PERIOD = 1


# FLOW -- trade_imbalance and vpin: the sum of differences, or of their magnitudes, by that of all.

FLOW_MAGNITUDE = 2
FLOW_SUMS = 3


def flow_slots(period: int) -> int:
    """Give the length of the state."""
    return FLOW_SUMS + 2 * sum_slots(period)


@inlined
def _flow(state: Vector, bought: float, sold: float) -> float:
    """Take one bar's volumes in; give their imbalance over PERIOD bars."""
    period = int(state[PERIOD])
    difference = bought - sold
    if state[FLOW_MAGNITUDE] == 1.0:
        difference = abs(difference)
    part = sum_next(state, FLOW_SUMS, period, difference)
    total = sum_next(state, FLOW_SUMS + SUM_RING + 2 * period, period, bought + sold)
    return 0.0 if total == 0.0 else part / total


@compiled(outputs(1), STATE, VALUE, VALUE)
def flow_step(state: Vector, bought: float, sold: float) -> tuple[float]:
    """Take one bar in; give -1 or 0 to 1."""
    return (_flow(state, bought, sold),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def flow_batch(state: Vector, bought: Vector, sold: Vector, out: Vector) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(bought.size):
        out[row] = _flow(state, bought[row], sold[row])


# VPIN_BULK -- volume is divided by how large a bar's change is beside the deviation of changes: SEEN stops at 1.

BULK_CLOSE = 2
BULK_MOMENTS = 3


def vpin_bulk_slots(period: int) -> int:
    """Give the length of the state."""
    return BULK_MOMENTS + moments_slots(period) + 2 * sum_slots(period)


@inlined
def _bulk(state: Vector, close: float, volume: float) -> float:
    """Take one bar in; give the imbalance of its bulk-classified volume over PERIOD bars."""
    period = int(state[PERIOD])
    change = close - state[BULK_CLOSE]
    state[BULK_CLOSE] = close
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return nan
    deviation = moments_next(state, BULK_MOMENTS, period, change)[1]
    if state[BULK_MOMENTS] < period:
        return nan
    # Bought is volume times the normal distribution of change by deviation; bought less sold is this.
    share = 0.0 if deviation == 0.0 else abs(erf(change / deviation / sqrt(2.0)))
    sums = BULK_MOMENTS + MOMENTS_RING + 2 * period
    part = sum_next(state, sums, period, volume * share)
    total = sum_next(state, sums + SUM_RING + 2 * period, period, volume)
    return 0.0 if total == 0.0 else part / total


@compiled(outputs(1), STATE, VALUE, VALUE)
def vpin_bulk_step(state: Vector, close: float, volume: float) -> tuple[float]:
    """Take one bar in; give 0 to 1."""
    return (_bulk(state, close, volume),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def vpin_bulk_batch(state: Vector, close: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(close.size):
        out[row] = _bulk(state, close[row], volume[row])


# KYLE_LAMBDA -- the slope of changes by signed volume.  SEEN stops at 1.

KYLE_CLOSE = 2
KYLE_PAIRS = 3


def kyle_lambda_slots(period: int) -> int:
    """Give the length of the state."""
    return KYLE_PAIRS + pair_slots(period)


kyle_lambda_tick_slots = kyle_lambda_slots


@inlined
def _slope(state: Vector, change: float, signed: float) -> float:
    """Take one pair in; give the slope over PERIOD of them, 0 where volume does not differ."""
    first = state[SEEN] == 0.0
    state[SEEN] = 1.0
    if first:
        return nan
    squares, _, products = pair_next(state, KYLE_PAIRS, int(state[PERIOD]), signed, change)
    return 0.0 if squares <= 0.0 else products / squares


@inlined
def _change(state: Vector, close: float) -> float:
    """Take a close in; give the difference to the last."""
    change = close - state[KYLE_CLOSE]
    state[KYLE_CLOSE] = close
    return change


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def kyle_lambda_step(state: Vector, close: float, bought: float, sold: float) -> tuple[float]:
    """Take one bar in; give the price change per unit bought more than sold."""
    return (_slope(state, _change(state, close), bought - sold),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def kyle_lambda_batch(state: Vector, close: Vector, bought: Vector, sold: Vector, out: Vector) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(close.size):
        out[row] = _slope(state, _change(state, close[row]), bought[row] - sold[row])


@inlined
def _signed(change: float, volume: float) -> float:
    """Give volume the sign of the change, 0 of none."""
    return volume if change > 0.0 else -volume if change < 0.0 else volume * 0.0


@compiled(outputs(1), STATE, VALUE, VALUE)
def kyle_lambda_tick_step(state: Vector, close: float, volume: float) -> tuple[float]:
    """Take one bar in; its volume has the sign of its change."""
    change = _change(state, close)
    return (_slope(state, change, _signed(change, volume)),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def kyle_lambda_tick_batch(state: Vector, close: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(close.size):
        change = _change(state, close[row])
        out[row] = _slope(state, change, _signed(change, volume[row]))


# AMIHUD -- SEEN stops at 1.

AMIHUD_CLOSE = 2
AMIHUD_SUM = 3


def amihud_slots(period: int) -> int:
    """Give the length of the state."""
    return AMIHUD_SUM + sum_slots(period)


@inlined
def _amihud(state: Vector, close: float, volume: float) -> float:
    """Take one bar in; give the mean of return by turnover."""
    before = state[AMIHUD_CLOSE]
    state[AMIHUD_CLOSE] = close
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return nan
    turnover = before * close * volume
    price = 0.0 if turnover == 0.0 else abs(close - before) / turnover
    period = int(state[PERIOD])
    return sum_next(state, AMIHUD_SUM, period, price) / period


@compiled(outputs(1), STATE, VALUE, VALUE)
def amihud_step(state: Vector, close: float, volume: float) -> tuple[float]:
    """Take one bar in; give return per unit of quote currency traded."""
    return (_amihud(state, close, volume),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def amihud_batch(state: Vector, close: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(close.size):
        out[row] = _amihud(state, close[row], volume[row])


# ROLL -- pairs of a change and the one before it.  SEEN stops at 2.

ROLL_CLOSE = 2
ROLL_CHANGE = 3
ROLL_PAIRS = 4
ROLL_COLD = 2.0


def roll_slots(period: int) -> int:
    """Give the length of the state."""
    return ROLL_PAIRS + pair_slots(period)


@inlined
def _roll(state: Vector, close: float) -> float:
    """Take one close in; give Roll's spread."""
    change = close - state[ROLL_CLOSE]
    before = state[ROLL_CHANGE]
    state[ROLL_CLOSE] = close
    state[ROLL_CHANGE] = change
    if state[SEEN] < ROLL_COLD:
        state[SEEN] += 1.0
        return nan
    period = int(state[PERIOD])
    covariance = pair_next(state, ROLL_PAIRS, period, change, before)[2] / (period - 1.0)
    return 0.0 if covariance >= 0.0 else 2.0 * sqrt(-covariance)


@compiled(outputs(1), STATE, VALUE)
def roll_step(state: Vector, close: float) -> tuple[float]:
    """Take one bar in; give the spread that its bouncing between bid and ask implies, in units of the price."""
    return (_roll(state, close),)


@compiled(VOID, STATE, COLUMN, STATE)
def roll_batch(state: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n closes, one by one."""
    for row in range(close.size):
        out[row] = _roll(state, close[row])


# CORWIN_SCHULTZ -- SEEN stops at 1.

CORWIN_HIGH = 2
CORWIN_LOW = 3
CORWIN_SUM = 4
CORWIN_K = 3.0 - 2.0 * sqrt(2.0)


def corwin_schultz_slots(period: int) -> int:
    """Give the length of the state."""
    return CORWIN_SUM + sum_slots(period)


@inlined
def _squared_log(high: float, low: float) -> float:
    """Give the squared logarithm of a range; 0 where a price is not positive."""
    if high <= 0.0 or low <= 0.0:
        return 0.0
    range_ = log(high / low)
    return range_ * range_


@inlined
def _corwin(state: Vector, high: float, low: float) -> float:
    """Take one bar in; give the mean of the spreads of two bars each."""
    before_high, before_low = state[CORWIN_HIGH], state[CORWIN_LOW]
    state[CORWIN_HIGH], state[CORWIN_LOW] = high, low
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return nan
    single = _squared_log(high, low) + _squared_log(before_high, before_low)
    both = _squared_log(max(high, before_high), min(low, before_low))
    alpha = (sqrt(2.0 * single) - sqrt(single)) / CORWIN_K - sqrt(both / CORWIN_K)
    grown = exp(min(alpha, 700.0))
    spread = 2.0 * (grown - 1.0) / (1.0 + grown)
    period = int(state[PERIOD])
    return sum_next(state, CORWIN_SUM, period, max(spread, 0.0)) / period


@compiled(outputs(1), STATE, VALUE, VALUE)
def corwin_schultz_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar in; give the spread as a part of the price."""
    return (_corwin(state, high, low),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def corwin_schultz_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars, one by one."""
    for row in range(high.size):
        out[row] = _corwin(state, high[row], low[row])
