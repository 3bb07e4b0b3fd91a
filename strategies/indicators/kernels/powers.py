"""Parts that weigh a distribution: the first four moments of a window.

As in `pairs`: windows are cut at blocks, sums are of differences to an anchor that lies within the window.
"""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined

# POWERS -- Block: seen, anchor, four head sums (of the differences and their powers), then four rings: the first
# of raw values (new block) and tail sums (old block), the others of tail sums.

POWERS_HEADS = 2
POWERS_RING = 6
POWERS_SUMS = 4
STRETCH = 512
"""Rows a temporary column has room for, so that it stays in the cache."""


def powers_slots(period: int) -> int:
    """Give the length of the block."""
    return POWERS_RING + POWERS_SUMS * period


@inlined
def powers_central(
    newest: float, weight: float, one: float, two: float, three: float, four: float
) -> tuple[float, float, float, float]:
    """Give what the newest value is off the mean and the central moments from four sums, 1 by the period `weight`."""
    mean = one * weight
    square = two * weight
    cube = three * weight
    off = mean * mean
    return (
        newest - mean,
        square - off,
        cube - mean * (3.0 * square - 2.0 * off),
        four * weight - mean * (4.0 * cube - mean * (6.0 * square - 3.0 * off)),
    )


@inlined
def powers_next(state: Vector, base: int, period: int, value: float) -> tuple[float, float, float, float]:
    """Take one value in; give what it is off the window's mean, and the second to fourth central moments."""
    seen = int(state[base])
    position = seen - period if seen >= period else seen
    ring = base + POWERS_RING + position
    state[ring] = value
    if position + 1 == period:
        one = two = three = four = 0.0
        for slot in range(ring, ring - period, -1):
            x = state[slot] - value
            square = x * x
            one += x
            two += square
            three += square * x
            four += square * square
            state[slot] = one
            state[slot + period] = two
            state[slot + 2 * period] = three
            state[slot + 3 * period] = four
        state[base] = period
        state[base + 1] = value
        state[base + POWERS_HEADS : base + POWERS_RING] = 0.0
        return powers_central(0.0, 1.0 / period, one, two, three, four)
    state[base] = seen + 1
    if seen < period:
        return nan, nan, nan, nan
    x = value - state[base + 1]
    square = x * x
    heads = base + POWERS_HEADS
    state[heads] += x
    state[heads + 1] += square
    state[heads + 2] += square * x
    state[heads + 3] += square * square
    tail = ring + 1
    return powers_central(
        x,
        1.0 / period,
        state[tail] + state[heads],
        state[tail + period] + state[heads + 1],
        state[tail + 2 * period] + state[heads + 2],
        state[tail + 3 * period] + state[heads + 3],
    )


@inlined
def powers_run(state: Vector, base: int, period: int, values: Vector, out: Vector) -> None:
    """Take a column in; fill four rows of `out`, of shape (4, n), with what `powers_next` gives."""
    row = 0
    while row < values.size and state[base] != period:
        out[0, row], out[1, row], out[2, row], out[3, row] = powers_next(state, base, period, values[row])
        row += 1
    blocks = (values.size - row) // period
    if blocks > 0:
        ring = base + POWERS_RING
        at_once = max(1, STRETCH // period)
        # As in `pair_run`: tails of the block before the stretch, then of its own.
        tails = np.empty((POWERS_SUMS, (at_once + 1) * period))
        heads = np.empty((POWERS_SUMS, at_once * period))
        differences = np.empty(at_once * period)
        for which in range(POWERS_SUMS):
            begin = ring + which * period
            for slot in range(period):
                tails[which, slot] = state[begin + slot]
        tail_one, tail_two, tail_three, tail_four = tails[0], tails[1], tails[2], tails[3]
        head_one, head_two, head_three, head_four = heads[0], heads[1], heads[2], heads[3]
        begun_one, begun_two, begun_three, begun_four = tail_one[1:], tail_two[1:], tail_three[1:], tail_four[1:]
        anchor = state[base + 1]
        weight = 1.0 / period
        while blocks > 0:
            count = min(blocks, at_once) * period
            block = values[row : row + count]
            for begin in range(0, count, period):
                end = begin + period
                next_anchor = block[end - 1]
                one = two = three = four = 0.0
                for age in range(period):
                    back = end - 1 - age
                    x = block[back] - next_anchor
                    square = x * x
                    one += x
                    two += square
                    three += square * x
                    four += square * square
                    tail_one[back + period] = one
                    tail_two[back + period] = two
                    tail_three[back + period] = three
                    tail_four[back + period] = four
                one = two = three = four = 0.0
                for later in range(begin, end):
                    x = block[later] - anchor
                    square = x * x
                    one += x
                    two += square
                    three += square * x
                    four += square * square
                    differences[later] = x
                    head_one[later] = one
                    head_two[later] = two
                    head_three[later] = three
                    head_four[later] = four
                heads[:, end - 1] = 0.0
                differences[end - 1] = 0.0
                anchor = next_anchor
            off, second, third, fourth = out[0, row:], out[1, row:], out[2, row:], out[3, row:]
            for later in range(count):
                off[later], second[later], third[later], fourth[later] = powers_central(
                    differences[later],
                    weight,
                    begun_one[later] + head_one[later],
                    begun_two[later] + head_two[later],
                    begun_three[later] + head_three[later],
                    begun_four[later] + head_four[later],
                )
            for which in range(POWERS_SUMS):
                for slot in range(period):
                    tails[which, slot] = tails[which, count + slot]
            blocks -= count // period
            row += count
        for which in range(POWERS_SUMS):
            begin = ring + which * period
            for slot in range(period):
                state[begin + slot] = tails[which, slot]
        state[base + 1] = anchor
        state[base + POWERS_HEADS : base + POWERS_RING] = 0.0
    while row < values.size:
        out[0, row], out[1, row], out[2, row], out[3, row] = powers_next(state, base, period, values[row])
        row += 1
