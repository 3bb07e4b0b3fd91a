"""Averages of averages: DEMA, TEMA, T3 and TRIX; Wilder's average, and an EMA without its lag."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import lag_next, lag_run, lag_slots
from strategies.indicators.kernels.parts import EMA_SLOTS, RMA_SLOTS, ema_next, ema_run, rma_next, rma_run
from strategies.indicators.kernels.windows import cold, stretch

SEEN = 0
PERIOD = 1


# DEMA and TEMA -- each average begins with the first value of the one before it.

ONE = 2
TWO = ONE + EMA_SLOTS
THREE = TWO + EMA_SLOTS


def dema_slots(_: int) -> int:
    """Give the length of a DEMA's state."""
    return THREE


@compiled(outputs(1), STATE, VALUE)
def dema_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a double exponential average (Mulloy 1994, TA-Lib DEMA)."""
    period = state[PERIOD]
    one = ema_next(state, ONE, period, value)
    if state[ONE] < period:
        return (nan,)
    two = ema_next(state, TWO, period, one)
    return (2.0 * one - two if state[TWO] >= period else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def dema_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a DEMA and write n averages to `out`."""
    period = state[PERIOD]
    row = 0
    while row < values.size and state[TWO] < period:
        out[row] = dema_step(state, values[row])[0]
        row += 1
    one = state[ONE + 2]
    two = state[TWO + 2]
    weight = 2.0 / (period + 1.0)
    for later in range(row, values.size):
        one = (values[later] - one) * weight + one
        two = (one - two) * weight + two
        out[later] = 2.0 * one - two
    state[ONE + 2] = one
    state[TWO + 2] = two


def tema_slots(_: int) -> int:
    """Give the length of a TEMA's state."""
    return THREE + EMA_SLOTS


@inlined
def _third(state: Vector, period: float, value: float) -> tuple[float, float, float]:
    """Take one value into an average, its average and the average of that; NaN until the last has a value."""
    one = ema_next(state, ONE, period, value)
    if state[ONE] < period:
        return nan, nan, nan
    two = ema_next(state, TWO, period, one)
    if state[TWO] < period:
        return nan, nan, nan
    three = ema_next(state, THREE, period, two)
    return (one, two, three) if state[THREE] >= period else (nan, nan, nan)


@compiled(outputs(1), STATE, VALUE)
def tema_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a triple exponential average (Mulloy 1994, TA-Lib TEMA)."""
    one, two, three = _third(state, state[PERIOD], value)
    return (3.0 * (one - two) + three if state[THREE] >= state[PERIOD] else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def tema_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a TEMA and write n averages to `out`."""
    period = state[PERIOD]
    row = 0
    while row < values.size and state[THREE] < period:
        out[row] = tema_step(state, values[row])[0]
        row += 1
    one = state[ONE + 2]
    two = state[TWO + 2]
    three = state[THREE + 2]
    weight = 2.0 / (period + 1.0)
    for later in range(row, values.size):
        one = (values[later] - one) * weight + one
        two = (one - two) * weight + two
        three = (two - three) * weight + three
        out[later] = 3.0 * (one - two) + three
    state[ONE + 2] = one
    state[TWO + 2] = two
    state[THREE + 2] = three


# TRIX -- one slot more, for the third average of the bar before; SEEN is 1 once there is one.

TRIX_BEFORE = THREE + EMA_SLOTS


def trix_slots(_: int) -> int:
    """Give the length of a TRIX' state."""
    return TRIX_BEFORE + 1


@inlined
def _rate(value: float, before: float) -> float:
    """Give by how many percent a value has changed; 0 where there was nothing to change."""
    return 0.0 if before == 0.0 else 100.0 * (value / before - 1.0)


@compiled(outputs(1), STATE, VALUE)
def trix_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the change of a threefold EMA in percent (TA-Lib TRIX)."""
    three = _third(state, state[PERIOD], value)[2]
    if state[THREE] < state[PERIOD]:
        return (nan,)
    before = state[TRIX_BEFORE]
    state[TRIX_BEFORE] = three
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    return (_rate(three, before),)


@compiled(VOID, STATE, COLUMN, STATE)
def trix_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a TRIX and write n rates to `out`."""
    row = 0
    while row < values.size and state[SEEN] == 0.0:
        out[row] = trix_step(state, values[row])[0]
        row += 1
    one = state[ONE + 2]
    two = state[TWO + 2]
    three = state[THREE + 2]
    weight = 2.0 / (state[PERIOD] + 1.0)
    first = row
    for later in range(row, values.size):
        one = (values[later] - one) * weight + one
        two = (one - two) * weight + two
        three = (two - three) * weight + three
        out[later] = three
    before = state[TRIX_BEFORE]
    for later in range(first, values.size):
        now = out[later]
        out[later] = _rate(now, before)
        before = now
    state[ONE + 2] = one
    state[TWO + 2] = two
    state[THREE + 2] = three
    state[TRIX_BEFORE] = before


# T3 -- six averages in a row.

T3_FACTOR = 2
T3_ONE = 3
T3_DEPTH = 6


def t3_slots(_: int, __: float) -> int:
    """Give the length of a T3's state."""
    return T3_ONE + T3_DEPTH * EMA_SLOTS


@inlined
def _blend(factor: float) -> tuple[float, float, float, float]:
    """Give the shares of the third, fourth, fifth and sixth average."""
    square = factor * factor
    cube = square * factor
    return 1.0 + 3.0 * factor + cube + 3.0 * square, -6.0 * square - 3.0 * (factor + cube), 3.0 * (square + cube), -cube


@compiled(outputs(1), STATE, VALUE)
def t3_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into Tillson's average (1998, TA-Lib T3)."""
    period = state[PERIOD]
    for depth in range(T3_DEPTH):
        base = T3_ONE + depth * EMA_SLOTS
        value = ema_next(state, base, period, value)
        if state[base] < period:
            return (nan,)
    third, fourth, fifth, sixth = _blend(state[T3_FACTOR])
    means = state[T3_ONE + 2 :]
    early = third * means[2 * EMA_SLOTS] + fourth * means[3 * EMA_SLOTS]
    return (early + (fifth * means[4 * EMA_SLOTS] + sixth * means[5 * EMA_SLOTS]),)


@compiled(VOID, STATE, COLUMN, STATE)
def t3_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a T3 and write n averages to `out`."""
    period = state[PERIOD]
    row = 0
    while row < values.size and state[T3_ONE + (T3_DEPTH - 1) * EMA_SLOTS] < period:
        out[row] = t3_step(state, values[row])[0]
        row += 1
    means = state[T3_ONE + 2 :]
    one = means[0]
    two = means[EMA_SLOTS]
    three = means[2 * EMA_SLOTS]
    four = means[3 * EMA_SLOTS]
    five = means[4 * EMA_SLOTS]
    six = means[5 * EMA_SLOTS]
    weight = 2.0 / (period + 1.0)
    third, fourth, fifth, sixth = _blend(state[T3_FACTOR])
    for later in range(row, values.size):
        one = (values[later] - one) * weight + one
        two = (one - two) * weight + two
        three = (two - three) * weight + three
        four = (three - four) * weight + four
        five = (four - five) * weight + five
        six = (five - six) * weight + six
        out[later] = third * three + fourth * four + (fifth * five + sixth * six)
    means[0] = one
    means[EMA_SLOTS] = two
    means[2 * EMA_SLOTS] = three
    means[3 * EMA_SLOTS] = four
    means[4 * EMA_SLOTS] = five
    means[5 * EMA_SLOTS] = six


# RMA

RMA = 2


def rma_slots(_: int) -> int:
    """Give the length of an RMA's state."""
    return RMA + RMA_SLOTS


@compiled(outputs(1), STATE, VALUE)
def rma_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into Wilder's average (TA-Lib RMA)."""
    return (rma_next(state, RMA, state[PERIOD], value),)


@compiled(VOID, STATE, COLUMN, STATE)
def rma_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into Wilder's average and write n averages to `out`."""
    rma_run(state, RMA, state[PERIOD], values, out)


# ZLEMA -- the average is of the value and its move since half a period ago.

ZLEMA = 2
ZLEMA_LAG = ZLEMA + EMA_SLOTS


def zlema_slots(period: int) -> int:
    """Give the length of a ZLEMA's state."""
    return ZLEMA_LAG + lag_slots((period - 1) // 2)


@compiled(outputs(1), STATE, VALUE)
def zlema_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into Ehlers and Way's average without lag (2010, TA-Lib ZLEMA)."""
    period = state[PERIOD]
    count = (int(period) - 1) // 2
    if count == 0:
        return (ema_next(state, ZLEMA, period, 2.0 * value - value),)
    is_cold = state[ZLEMA_LAG] < count
    before = lag_next(state, ZLEMA_LAG, count, value)
    if is_cold:
        return (nan,)
    return (ema_next(state, ZLEMA, period, 2.0 * value - before),)


@compiled(VOID, STATE, COLUMN, STATE)
def zlema_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a ZLEMA and write n averages to `out`."""
    period = state[PERIOD]
    count = (int(period) - 1) // 2
    rows = stretch(count)
    ahead = np.empty(rows)
    for begin in range(0, values.size, rows):
        some = values[begin : begin + rows]
        filled = out[begin : begin + rows]
        moved = ahead[: some.size]
        first = 0
        if count > 0:
            first = cold(state, ZLEMA_LAG, count + 1, some.size)
            lag_run(state, ZLEMA_LAG, count, some, moved)
        else:
            for row in range(some.size):
                moved[row] = some[row]
        for row in range(some.size):
            moved[row] = 2.0 * some[row] - moved[row]
        filled[:first] = nan
        ema_run(state, ZLEMA, period, moved[first:], filled[first:])
