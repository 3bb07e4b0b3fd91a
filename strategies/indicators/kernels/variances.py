"""Part that gives a window's population variance by two sums."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined

# VARIANCE -- as SMA, with a second ring for the tails' sums of squared differences to the anchor.  The mean
# square less the squared mean does not cancel here: the anchor is a value of the window, and no value lies
# further off the mean than the deviation times the root of the count (Samuelson 1968), so that at most as
# many units in the last place are lost as there are values.
# Block: seen, anchor, head's sum, head's squares, then both rings.

VARIANCE_RING = 4


def variance_slots(period: int) -> int:
    """Give the length of the block."""
    return VARIANCE_RING + 2 * period


@inlined
def _variance(total: float, squares: float, period: int) -> float:
    """Give the variance by the sums of differences to any value of the window and of their squares."""
    mean = total / period
    found = squares / period - mean * mean
    return max(found, 0.0)


@inlined
def variance_next(state: Vector, base: int, period: int, value: float) -> float:
    """Take one value in; give the window's variance."""
    seen = int(state[base])
    position = seen - period if seen >= period else seen
    sums = base + VARIANCE_RING + position
    state[sums] = value
    if position + 1 == period:
        total = 0.0
        squares = 0.0
        for slot in range(sums, sums - period, -1):
            difference = state[slot] - value
            total += difference
            squares += difference * difference
            state[slot] = total
            state[slot + period] = squares
        state[base] = period
        state[base + 1] = value
        state[base + 2] = 0.0
        state[base + 3] = 0.0
        return _variance(total, squares, period)
    state[base] = seen + 1
    if seen < period:
        return nan
    difference = value - state[base + 1]
    state[base + 2] += difference
    state[base + 3] += difference * difference
    return _variance(state[sums + 1] + state[base + 2], state[sums + 1 + period] + state[base + 3], period)


@inlined
def variance_run(state: Vector, base: int, period: int, values: Vector, out: Vector) -> None:
    """Take a column in; fill another with variances."""
    row = 0
    while row < values.size and state[base] != period:
        out[row] = variance_next(state, base, period, values[row])
        row += 1
    ring = base + VARIANCE_RING
    if values.size - row >= period:
        old_sums, old_squares = state[ring : ring + period].copy(), state[ring + period : ring + 2 * period].copy()
        sums, squares = np.empty(period), np.empty(period)
        anchor = state[base + 1]
        while values.size - row >= period:
            block = values[row : row + period]
            filled = out[row : row + period]
            next_anchor = block[period - 1]
            head, head_squares, total, total_squares = 0.0, 0.0, 0.0, 0.0
            for position in range(period - 1):
                difference = block[position] - anchor
                head += difference
                head_squares += difference * difference
                filled[position] = _variance(
                    old_sums[position + 1] + head, old_squares[position + 1] + head_squares, period
                )
                back = period - 1 - position
                difference = block[back] - next_anchor
                total += difference
                total_squares += difference * difference
                sums[back] = total
                squares[back] = total_squares
            difference = block[0] - next_anchor
            total += difference
            total_squares += difference * difference
            sums[0] = total
            squares[0] = total_squares
            filled[period - 1] = _variance(total, total_squares, period)
            anchor = next_anchor
            old_sums, sums = sums, old_sums
            old_squares, squares = squares, old_squares
            row += period
        for slot in range(period):
            state[ring + slot] = old_sums[slot]
            state[ring + period + slot] = old_squares[slot]
        state[base + 1] = anchor
        state[base + 2] = 0.0
        state[base + 3] = 0.0
    while row < values.size:
        out[row] = variance_next(state, base, period, values[row])
        row += 1
