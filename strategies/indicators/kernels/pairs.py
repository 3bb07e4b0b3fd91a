"""Parts that compare two columns: variances and covariance of a window.

Windows are cut at blocks as in `parts`.  Sums are of differences to an anchor per column, the last values of the
old block.  An anchor lies within the window, so that what is lost where squares of sums are taken off is at most
in proportion to the window's length, and a column at rest varies by exactly 0.
"""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined

# PAIR -- Block: seen, both anchors, five head sums (left, right, left squared, right squared, left by right),
# then five rings: the first two of raw values (new block) and tail sums (old block), the others of tail sums.

PAIR_HEADS = 3
PAIR_RING = 8
PAIR_SUMS = 5
STRETCH = 512
"""Rows a temporary column has room for, so that it stays in the cache."""


def pair_slots(period: int) -> int:
    """Give the length of the block."""
    return PAIR_RING + PAIR_SUMS * period


@inlined
def pair_moments(
    weight: float, left: float, right: float, left_squares: float, right_squares: float, products: float
) -> tuple[float, float, float]:
    """Give both variances and the covariance, times the period, from the five sums and 1 by the period."""
    return (
        left_squares - left * left * weight,
        right_squares - right * right * weight,
        products - left * right * weight,
    )


@inlined
def pair_next(state: Vector, base: int, period: int, left: float, right: float) -> tuple[float, float, float]:
    """Take one value of each column in; give both sums of squared deviations and that of their products."""
    seen = int(state[base])
    position = seen - period if seen >= period else seen
    ring = base + PAIR_RING + position
    state[ring] = left
    state[ring + period] = right
    if position + 1 == period:
        a = b = aa = bb = ab = 0.0
        for slot in range(ring, ring - period, -1):
            x = state[slot] - left
            y = state[slot + period] - right
            a += x
            b += y
            aa += x * x
            bb += y * y
            ab += x * y
            state[slot] = a
            state[slot + period] = b
            state[slot + 2 * period] = aa
            state[slot + 3 * period] = bb
            state[slot + 4 * period] = ab
        state[base] = period
        state[base + 1] = left
        state[base + 2] = right
        state[base + PAIR_HEADS : base + PAIR_RING] = 0.0
        return pair_moments(1.0 / period, a, b, aa, bb, ab)
    state[base] = seen + 1
    if seen < period:
        return nan, nan, nan
    x = left - state[base + 1]
    y = right - state[base + 2]
    heads = base + PAIR_HEADS
    state[heads] += x
    state[heads + 1] += y
    state[heads + 2] += x * x
    state[heads + 3] += y * y
    state[heads + 4] += x * y
    tail = ring + 1
    return pair_moments(
        1.0 / period,
        state[tail] + state[heads],
        state[tail + period] + state[heads + 1],
        state[tail + 2 * period] + state[heads + 2],
        state[tail + 3 * period] + state[heads + 3],
        state[tail + 4 * period] + state[heads + 4],
    )


@inlined
def pair_run(
    state: Vector,
    base: int,
    period: int,
    lefts: Vector,
    rights: Vector,
    left_out: Vector,
    right_out: Vector,
    both_out: Vector,
) -> None:
    """Take two columns in; fill three with the sums `pair_next` gives."""
    row = 0
    while row < lefts.size and state[base] != period:
        left_out[row], right_out[row], both_out[row] = pair_next(state, base, period, lefts[row], rights[row])
        row += 1
    blocks = (lefts.size - row) // period
    if blocks > 0:
        ring = base + PAIR_RING
        at_once = max(1, STRETCH // period)
        # Tails of the block before the stretch, then of its own: a row's window begins with the tail of `period` - 1
        # rows before.  In a block's last row that is the whole block, and the head is nothing.
        tails = np.empty((PAIR_SUMS, (at_once + 1) * period))
        heads = np.empty((PAIR_SUMS, at_once * period))
        for which in range(PAIR_SUMS):
            begin = ring + which * period
            for slot in range(period):
                tails[which, slot] = state[begin + slot]
        tail_a, tail_b, tail_aa, tail_bb, tail_ab = tails[0], tails[1], tails[2], tails[3], tails[4]
        head_a, head_b, head_aa, head_bb, head_ab = heads[0], heads[1], heads[2], heads[3], heads[4]
        begun_a, begun_b, begun_aa, begun_bb, begun_ab = tail_a[1:], tail_b[1:], tail_aa[1:], tail_bb[1:], tail_ab[1:]
        left_anchor = state[base + 1]
        right_anchor = state[base + 2]
        weight = 1.0 / period
        while blocks > 0:
            count = min(blocks, at_once) * period
            left_block = lefts[row : row + count]
            right_block = rights[row : row + count]
            for begin in range(0, count, period):
                end = begin + period
                next_left = left_block[end - 1]
                next_right = right_block[end - 1]
                a = b = aa = bb = ab = 0.0
                for age in range(period):
                    back = end - 1 - age
                    x = left_block[back] - next_left
                    y = right_block[back] - next_right
                    a += x
                    b += y
                    aa += x * x
                    bb += y * y
                    ab += x * y
                    tail_a[back + period] = a
                    tail_b[back + period] = b
                    tail_aa[back + period] = aa
                    tail_bb[back + period] = bb
                    tail_ab[back + period] = ab
                a = b = aa = bb = ab = 0.0
                for later in range(begin, end):
                    x = left_block[later] - left_anchor
                    y = right_block[later] - right_anchor
                    a += x
                    b += y
                    aa += x * x
                    bb += y * y
                    ab += x * y
                    head_a[later] = a
                    head_b[later] = b
                    head_aa[later] = aa
                    head_bb[later] = bb
                    head_ab[later] = ab
                heads[:, end - 1] = 0.0
                left_anchor, right_anchor = next_left, next_right
            left_filled = left_out[row : row + count]
            right_filled = right_out[row : row + count]
            both_filled = both_out[row : row + count]
            for later in range(count):
                left_filled[later], right_filled[later], both_filled[later] = pair_moments(
                    weight,
                    begun_a[later] + head_a[later],
                    begun_b[later] + head_b[later],
                    begun_aa[later] + head_aa[later],
                    begun_bb[later] + head_bb[later],
                    begun_ab[later] + head_ab[later],
                )
            for which in range(PAIR_SUMS):
                for slot in range(period):
                    tails[which, slot] = tails[which, count + slot]
            blocks -= count // period
            row += count
        for which in range(PAIR_SUMS):
            begin = ring + which * period
            for slot in range(period):
                state[begin + slot] = tails[which, slot]
        state[base + 1] = left_anchor
        state[base + 2] = right_anchor
        state[base + PAIR_HEADS : base + PAIR_RING] = 0.0
    while row < lefts.size:
        left_out[row], right_out[row], both_out[row] = pair_next(state, base, period, lefts[row], rights[row])
        row += 1
