"""How two columns move together: CORREL, BETA, covariance, R2 and autocorrelation."""

from math import nan, sqrt

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import lag_next, lag_run
from strategies.indicators.kernels.lags import lag_slots as lag_block
from strategies.indicators.kernels.pairs import PAIR_RING, PAIR_SUMS, pair_next, pair_run, pair_slots

SEEN = 0
PERIOD = 1
STRETCH = 2048
"""Rows a temporary column has room for, so that it stays in the cache."""


@inlined
def _stretch(period: int) -> int:
    """Give so many rows that most of them are of whole blocks."""
    return period * max(4, STRETCH // period)


@inlined
def _correlation(left: float, right: float, both: float) -> float:
    """Give the coefficient of correlation, -1 to 1; 0 where a column is at rest."""
    product = left * right
    return max(-1.0, min(1.0, both / sqrt(product))) if product > 0.0 else product * 0.0


@inlined
def _slope(left: float, both: float) -> float:
    """Give the slope of right over left; 0 where left is at rest."""
    return both / left if left > 0.0 else left * 0.0


# CORREL

CORREL = 2


def correl_slots(period: int) -> int:
    """Give the length of the state."""
    return CORREL + pair_slots(period)


@compiled(outputs(1), STATE, VALUE, VALUE)
def correl_step(state: Vector, left: float, right: float) -> tuple[float]:
    """Take one bar into a correlation (Pearson, TA-Lib CORREL)."""
    a, b, both = pair_next(state, CORREL, int(state[PERIOD]), left, right)
    return (_correlation(a, b, both),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def correl_batch(state: Vector, left: Vector, right: Vector, out: Vector) -> None:
    """Take a chunk of n pairs into a correlation and write n coefficients to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    lefts = np.empty(min(left.size, stretch))
    rights = np.empty(lefts.size)
    for first in range(0, left.size, stretch):
        last = min(first + stretch, left.size)
        filled = out[first:last]
        pair_run(state, CORREL, period, left[first:last], right[first:last], lefts, rights, filled)
        for row in range(filled.size):
            filled[row] = _correlation(lefts[row], rights[row], filled[row])


# COVARIANCE

covariance_slots = correl_slots


@compiled(outputs(1), STATE, VALUE, VALUE)
def covariance_step(state: Vector, left: float, right: float) -> tuple[float]:
    """Take one bar into a population covariance."""
    return (pair_next(state, CORREL, int(state[PERIOD]), left, right)[2] / state[PERIOD],)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def covariance_batch(state: Vector, left: Vector, right: Vector, out: Vector) -> None:
    """Take a chunk of n pairs in and write n covariances to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    lefts = np.empty(min(left.size, stretch))
    rights = np.empty(lefts.size)
    for first in range(0, left.size, stretch):
        last = min(first + stretch, left.size)
        filled = out[first:last]
        pair_run(state, CORREL, period, left[first:last], right[first:last], lefts, rights, filled)
        for row in range(filled.size):
            filled[row] = filled[row] / state[PERIOD]


# REGRESSION_BETA -- the slope of one column over another, as they are.

regression_beta_slots = correl_slots


@compiled(outputs(1), STATE, VALUE, VALUE)
def regression_beta_step(state: Vector, left: float, right: float) -> tuple[float]:
    """Take one bar in; give by how much `right` rises as `left` rises by one."""
    a, _, both = pair_next(state, CORREL, int(state[PERIOD]), left, right)
    return (_slope(a, both),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def regression_beta_batch(state: Vector, left: Vector, right: Vector, out: Vector) -> None:
    """Take a chunk of n pairs in and write n slopes to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    lefts = np.empty(min(left.size, stretch))
    rights = np.empty(lefts.size)
    for first in range(0, left.size, stretch):
        last = min(first + stretch, left.size)
        filled = out[first:last]
        pair_run(state, CORREL, period, left[first:last], right[first:last], lefts, rights, filled)
        for row in range(filled.size):
            filled[row] = _slope(lefts[row], filled[row])


# BETA -- the same of returns.  The first bar only lends its values to the second; SEEN stops at 1.

BETA_LEFT = 2
BETA_RIGHT = 3
BETA = 4


def beta_slots(period: int) -> int:
    """Give the length of the state."""
    return BETA + pair_slots(period)


@inlined
def _return(value: float, before: float) -> float:
    """Give the relative change; 0 from 0."""
    return (value - before) / before if before != 0.0 else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE)
def beta_step(state: Vector, left: float, right: float) -> tuple[float]:
    """Take one bar in; give the slope of right's returns over left's (TA-Lib BETA)."""
    before_left, before_right = state[BETA_LEFT], state[BETA_RIGHT]
    state[BETA_LEFT] = left
    state[BETA_RIGHT] = right
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    moved_left, moved_right = _return(left, before_left), _return(right, before_right)
    a, _, both = pair_next(state, BETA, int(state[PERIOD]), moved_left, moved_right)
    return (_slope(a, both),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def beta_batch(state: Vector, left: Vector, right: Vector, out: Vector) -> None:
    """Take a chunk of n pairs in and write n slopes to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    begin = 0
    if left.size > 0 and state[SEEN] == 0.0:
        out[0] = beta_step(state, left[0], right[0])[0]
        begin = 1
    room = min(left.size, stretch)
    moves_left, moves_right = np.empty(room), np.empty(room)
    lefts, rights = np.empty(room), np.empty(room)
    for first in range(begin, left.size, stretch):
        last = min(first + stretch, left.size)
        filled = out[first:last]
        count = last - first
        moves_left[0] = _return(left[first], state[BETA_LEFT])
        moves_right[0] = _return(right[first], state[BETA_RIGHT])
        now, before = left[first:last], left[first : last - 1]
        now_right, before_right = right[first:last], right[first : last - 1]
        for row in range(before.size):
            moves_left[row + 1] = _return(now[row + 1], before[row])
            moves_right[row + 1] = _return(now_right[row + 1], before_right[row])
        state[BETA_LEFT] = left[last - 1]
        state[BETA_RIGHT] = right[last - 1]
        pair_run(state, BETA, period, moves_left[:count], moves_right[:count], lefts, rights, filled)
        for row in range(count):
            filled[row] = _slope(lefts[row], filled[row])


# R2 -- of a straight line through the window: the squared correlation with the bars' numbers, which slot 0 counts.

r2_slots = correl_slots


@compiled(outputs(1), STATE, VALUE)
def r2_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the share of the variance a straight line explains, 0 to 1."""
    state[SEEN] += 1.0
    a, b, both = pair_next(state, CORREL, int(state[PERIOD]), state[SEEN], value)
    root = _correlation(a, b, both)
    return (root * root,)


@compiled(VOID, STATE, COLUMN, STATE)
def r2_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n shares to `out`."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    room = min(values.size, stretch)
    numbers, lefts, rights = np.empty(room), np.empty(room), np.empty(room)
    for first in range(0, values.size, stretch):
        last = min(first + stretch, values.size)
        filled = out[first:last]
        count = last - first
        for row in range(count):
            numbers[row] = state[SEEN] + (row + 1.0)
        state[SEEN] += count
        pair_run(state, CORREL, period, numbers[:count], values[first:last], lefts, rights, filled)
        for row in range(count):
            root = _correlation(lefts[row], rights[row], filled[row])
            filled[row] = root * root


# AUTOCORRELATION -- with the value of LAG bars ago.  SEEN stops at LAG.

AUTO_LAG = 2
AUTO_PAIR = 3


def autocorrelation_slots(period: int, lag: int) -> int:
    """Give the length of the state."""
    return AUTO_PAIR + pair_slots(period) + lag_block(lag)


@compiled(outputs(1), STATE, VALUE)
def autocorrelation_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the correlation of the last PERIOD values with those of LAG bars before."""
    period, lag = int(state[PERIOD]), int(state[AUTO_LAG])
    before = lag_next(state, AUTO_PAIR + PAIR_RING + PAIR_SUMS * period, lag, value)
    if state[SEEN] < lag:
        state[SEEN] += 1.0
        return (nan,)
    a, b, both = pair_next(state, AUTO_PAIR, period, before, value)
    return (_correlation(a, b, both),)


@compiled(VOID, STATE, COLUMN, STATE)
def autocorrelation_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n coefficients to `out`."""
    period, lag = int(state[PERIOD]), int(state[AUTO_LAG])
    begin = 0
    while begin < values.size and state[SEEN] < lag:
        out[begin] = autocorrelation_step(state, values[begin])[0]
        begin += 1
    stretch = _stretch(period)
    room = min(values.size, stretch)
    befores, lefts, rights = np.empty(room), np.empty(room), np.empty(room)
    for first in range(begin, values.size, stretch):
        last = min(first + stretch, values.size)
        filled = out[first:last]
        count = last - first
        lag_run(state, AUTO_PAIR + PAIR_RING + PAIR_SUMS * period, lag, values[first:last], befores)
        pair_run(state, AUTO_PAIR, period, befores[:count], values[first:last], lefts, rights, filled)
        for row in range(count):
            filled[row] = _correlation(lefts[row], rights[row], filled[row])
