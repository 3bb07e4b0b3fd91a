"""Deviation from the moving average: STDDEV and BBANDS."""

from math import nan, sqrt

from strategies.indicators.kernels.compiled import (
    COLUMN,
    STATE,
    VALUE,
    VOID,
    Vector,
    compiled,
    inlined,
    outputs,
)

SEEN = 0
PERIOD = 1


# STDDEV and BBANDS -- as SMA, with a second ring for the tails' sums of squared deviations from
# their own mean.  Such sums are never differences: a value joins by Youngs and Cramer's update
# (1971), head and tail by the formula of Chan, Golub and LeVeque (1979); each adds a square.
# The mean square less the squared mean (TA-Lib 0.6) cancels where a price dwarfs its moves.

BANDS_DEVIATIONS = 2  # How far the bands lie out; unused by STDDEV.
MOMENTS_ANCHOR = 3
MOMENTS_HEAD_SUM = 4
MOMENTS_HEAD_SQUARES = 5
MOMENTS_RING = 6


@inlined
def _moments(state: Vector, value: float) -> tuple[float, float]:
    """Take one bar in; give the window's mean and population standard deviation."""
    period = int(state[PERIOD])
    seen = int(state[SEEN])
    position = seen - period if seen >= period else seen
    sums = MOMENTS_RING + position
    state[sums] = value
    if position + 1 == period:
        total = 0.0
        squares = 0.0
        for count in range(1, period + 1):
            slot = sums + 1 - count
            difference = state[slot] - value
            total += difference
            if count > 1:
                off = count * difference - total
                squares += off * off / (count * (count - 1.0))
            state[slot] = total
            state[slot + period] = squares
        state[SEEN] = period
        state[MOMENTS_ANCHOR] = value
        state[MOMENTS_HEAD_SUM] = 0.0
        state[MOMENTS_HEAD_SQUARES] = 0.0
        return value + total / period, sqrt(squares / period)
    state[SEEN] = seen + 1
    if seen < period:
        return nan, nan
    head_count = position + 1.0
    tail_count = period - head_count
    difference = value - state[MOMENTS_ANCHOR]
    head_sum = state[MOMENTS_HEAD_SUM] + difference
    head_squares = state[MOMENTS_HEAD_SQUARES]
    if position > 0:
        off = head_count * difference - head_sum
        head_squares += off * off / (head_count * position)
    state[MOMENTS_HEAD_SUM] = head_sum
    state[MOMENTS_HEAD_SQUARES] = head_squares
    tail_sum = state[sums + 1]
    off = tail_count * head_sum - head_count * tail_sum
    squares = state[sums + 1 + period] + head_squares
    squares += off * off / (head_count * tail_count * period)
    return state[MOMENTS_ANCHOR] + (tail_sum + head_sum) / period, sqrt(squares / period)


@compiled(outputs(1), STATE, VALUE)
def stddev_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a population standard deviation (TA-Lib STDDEV, nbdev 1)."""
    return (_moments(state, value)[1],)


@compiled(VOID, STATE, COLUMN, STATE)
def stddev_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a STDDEV and write n deviations to `out`."""
    for row in range(values.size):
        out[row] = stddev_step(state, values[row])[0]


@compiled(outputs(3), STATE, VALUE)
def bbands_step(state: Vector, value: float) -> tuple[float, float, float]:
    """Take one bar into Bollinger bands (TA-Lib BBANDS, matype SMA): upper, middle, lower."""
    middle, deviation = _moments(state, value)
    reach = state[BANDS_DEVIATIONS] * deviation
    return middle + reach, middle, middle - reach


@compiled(VOID, STATE, COLUMN, STATE, STATE, STATE)
def bbands_batch(state: Vector, values: Vector, upper: Vector, middle: Vector, lower: Vector) -> None:
    """Take a chunk of n values into Bollinger bands and write n values to each output."""
    for row in range(values.size):
        upper[row], middle[row], lower[row] = bbands_step(state, values[row])
