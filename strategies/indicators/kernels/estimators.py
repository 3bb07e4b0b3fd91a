"""Estimators of volatility: the deviation of logarithmic returns, by closes or by all four prices of a bar."""

from math import log, nan, sqrt

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.sums import SUM_RING, sum_next, sum_run, sum_slots
from strategies.indicators.kernels.variances import VARIANCE_RING, variance_next, variance_run, variance_slots

SEEN = 0  # Of what compares with the bar before: stops at 1.
PERIOD = 1
YEAR = 2
BEFORE = 3
WINDOW = 4

LOG_4 = 1.3862943611198906  # The logarithm of 4.


@inlined
def _not_negative(value: float) -> float:
    """Give what is not negative but for rounding."""
    return max(value, 0.0)


# What one bar says of the variance.


@inlined
def by_range(high: float, low: float) -> float:
    """Give a bar's variance by its range (Parkinson 1980)."""
    wide = log(high / low)
    return wide * wide / (2.0 * LOG_4)


@inlined
def by_range_and_body(opened: float, high: float, low: float, close: float) -> float:
    """Give a bar's variance by its range and its body (Garman and Klass 1980)."""
    wide = log(high / low)
    body = log(close / opened)
    return _not_negative(0.5 * wide * wide - (LOG_4 - 1.0) * body * body)


@inlined
def whatever_the_drift(opened: float, high: float, low: float, close: float) -> float:
    """Give a bar's variance around its drift (Rogers and Satchell 1991)."""
    return _not_negative(log(high / opened) * log(high / close) + log(low / opened) * log(low / close))


@inlined
def _mean_next(state: Vector, term: float) -> float:
    """Take one bar's variance in; give the window's deviation in a year."""
    total = sum_next(state, WINDOW, int(state[PERIOD]), term)
    return sqrt(total * (state[YEAR] / state[PERIOD]))


@inlined
def _mean_run(state: Vector, terms: Vector, out: Vector) -> None:
    """Take a column of variances in; fill another with deviations."""
    sum_run(state, WINDOW, int(state[PERIOD]), terms, out)
    factor = state[YEAR] / state[PERIOD]
    for row in range(out.size):
        out[row] = sqrt(out[row] * factor)


def parkinson_slots(period: int, _: float) -> int:
    """Give the length of the state."""
    return WINDOW + sum_slots(period)


garman_klass_slots = rogers_satchell_slots = realised_volatility_slots = parkinson_slots


@compiled(outputs(1), STATE, VALUE, VALUE)
def parkinson_step(state: Vector, high: float, low: float) -> tuple[float]:
    """Take one bar into Parkinson's estimator."""
    return (_mean_next(state, by_range(high, low)),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def parkinson_batch(state: Vector, high: Vector, low: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n deviations to `out`."""
    terms = np.empty(out.size)
    for row in range(terms.size):
        terms[row] = by_range(high[row], low[row])
    _mean_run(state, terms, out)


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def garman_klass_step(state: Vector, opened: float, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into the estimator of Garman and Klass."""
    return (_mean_next(state, by_range_and_body(opened, high, low, close)),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def garman_klass_batch(state: Vector, opened: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n deviations to `out`."""
    terms = np.empty(out.size)
    for row in range(terms.size):
        terms[row] = by_range_and_body(opened[row], high[row], low[row], close[row])
    _mean_run(state, terms, out)


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def rogers_satchell_step(state: Vector, opened: float, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into the estimator of Rogers and Satchell."""
    return (_mean_next(state, whatever_the_drift(opened, high, low, close)),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def rogers_satchell_batch(state: Vector, opened: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n deviations to `out`."""
    terms = np.empty(out.size)
    for row in range(terms.size):
        terms[row] = whatever_the_drift(opened[row], high[row], low[row], close[row])
    _mean_run(state, terms, out)


# REALISED_VOLATILITY -- the root of the mean square of returns; HISTORICAL_VOLATILITY their deviation.


@inlined
def _begins(state: Vector, close: float) -> bool:
    """Say whether this is the first bar, which only lends its close to the second."""
    state[BEFORE] = close
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return True
    return False


@compiled(outputs(1), STATE, VALUE)
def realised_volatility_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into the realised volatility."""
    before = state[BEFORE]
    if _begins(state, value):
        return (nan,)
    change = log(value / before)
    return (_mean_next(state, change * change),)


@compiled(VOID, STATE, COLUMN, STATE)
def realised_volatility_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n deviations to `out`."""
    if values.size == 0:
        return
    out[0] = realised_volatility_step(state, values[0])[0]
    later = values[1:]
    terms = np.empty(later.size)
    for row in range(terms.size):
        change = log(later[row] / values[row])
        terms[row] = change * change
    _mean_run(state, terms, out[1:])
    state[BEFORE] = values[-1]


def historical_volatility_slots(period: int, _: float) -> int:
    """Give the length of the state."""
    return WINDOW + variance_slots(period)


@compiled(outputs(1), STATE, VALUE)
def historical_volatility_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into the sample deviation of returns."""
    before = state[BEFORE]
    if _begins(state, value):
        return (nan,)
    period = state[PERIOD]
    variance = variance_next(state, WINDOW, int(period), log(value / before))
    return (sqrt(variance * (state[YEAR] * period / (period - 1.0))),)


@compiled(VOID, STATE, COLUMN, STATE)
def historical_volatility_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n deviations to `out`."""
    if values.size == 0:
        return
    out[0] = historical_volatility_step(state, values[0])[0]
    later, found = values[1:], out[1:]
    period = state[PERIOD]
    terms = np.empty(later.size)
    for row in range(terms.size):
        terms[row] = log(later[row] / values[row])
    variance_run(state, WINDOW, int(period), terms, found)
    factor = state[YEAR] * period / (period - 1.0)
    for row in range(found.size):
        found[row] = sqrt(found[row] * factor)
    state[BEFORE] = values[-1]


# YANG_ZHANG -- the variance from close to open, that from open to close, and that whatever the drift.


def yang_zhang_slots(period: int, _: float) -> int:
    """Give the length of the state."""
    return WINDOW + sum_slots(period) + 2 * variance_slots(period)


@inlined
def _weighed(period: float, year: float, gaps: float, bodies: float, total: float) -> float:
    """Give the deviation in a year by two population variances and the sum of the third kind."""
    sample = period / (period - 1.0)
    weight = 0.34 / (1.34 + (period + 1.0) / (period - 1.0))
    return sqrt(((gaps + weight * bodies) * sample + (1.0 - weight) * (total / period)) * year)


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def yang_zhang_step(state: Vector, opened: float, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into the estimator of Yang and Zhang."""
    before = state[BEFORE]
    if _begins(state, close):
        return (nan,)
    period = int(state[PERIOD])
    first = WINDOW + SUM_RING + 2 * period
    total = sum_next(state, WINDOW, period, whatever_the_drift(opened, high, low, close))
    gaps = variance_next(state, first, period, log(opened / before))
    bodies = variance_next(state, first + VARIANCE_RING + 2 * period, period, log(close / opened))
    return (_weighed(state[PERIOD], state[YEAR], gaps, bodies, total),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def yang_zhang_batch(state: Vector, opened: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n deviations to `out`."""
    if out.size == 0:
        return
    out[0] = yang_zhang_step(state, opened[0], high[0], low[0], close[0])[0]
    opens, highs, lows, closes, found = opened[1:], high[1:], low[1:], close[1:], out[1:]
    period = int(state[PERIOD])
    first = WINDOW + SUM_RING + 2 * period
    terms, gaps, bodies = np.empty(found.size), np.empty(found.size), np.empty(found.size)
    for row in range(terms.size):
        terms[row] = log(opens[row] / close[row])
    variance_run(state, first, period, terms, gaps)
    for row in range(terms.size):
        terms[row] = log(closes[row] / opens[row])
    variance_run(state, first + VARIANCE_RING + 2 * period, period, terms, bodies)
    for row in range(terms.size):
        terms[row] = whatever_the_drift(opens[row], highs[row], lows[row], closes[row])
    sum_run(state, WINDOW, period, terms, found)
    for row in range(found.size):
        found[row] = _weighed(state[PERIOD], state[YEAR], gaps[row], bodies[row], found[row])
    state[BEFORE] = close[-1]
