"""Parts that fit: the straight line of least squares through a window.

Windows are cut at blocks as in `parts`, and all values are differences to an anchor within the window.  The
second sum weighs each value by its place; a tail's is made of the tails behind it, a head's grows with it.
"""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined

# LINE -- Block: seen, anchor, head's sum, head's sum by place, then a ring of raw values (new block) and tail
# sums (old block), and one of the tails' sums by place.

LINE_RING = 4
STRETCH = 1024
"""Rows a temporary column has room for, so that it stays in the cache."""


def line_slots(period: int) -> int:
    """Give the length of the block."""
    return LINE_RING + 2 * period


@inlined
def line_slope(period: float, total: float, placed: float) -> float:
    """Give the slope of a window from its sum and its sum by place, 0 to `period` - 1."""
    return (placed - 0.5 * (period - 1.0) * total) * (12.0 / (period * (period * period - 1.0)))


@inlined
def line_next(state: Vector, base: int, period: int, value: float) -> tuple[float, float]:
    """Take one value in; give the fitted line's value at the middle of the window, and its slope."""
    seen = int(state[base])
    position = seen - period if seen >= period else seen
    ring = base + LINE_RING
    state[ring + position] = value
    if position + 1 == period:
        total = 0.0
        placed = 0.0
        for slot in range(ring + position, ring - 1, -1):
            placed += total
            total += state[slot] - value
            state[slot] = total
            state[slot + period] = placed
        state[base] = period
        state[base + 1] = value
        state[base + 2] = 0.0
        state[base + 3] = 0.0
        return value + total * (1.0 / period), line_slope(period, total, placed)
    state[base] = seen + 1
    if seen < period:
        return nan, nan
    difference = value - state[base + 1]
    head = state[base + 2] + difference
    head_placed = state[base + 3] + position * difference
    state[base + 2] = head
    state[base + 3] = head_placed
    tail = ring + position + 1
    total = state[tail] + head
    placed = state[tail + period] + ((period - 1.0 - position) * head + head_placed)
    return state[base + 1] + total * (1.0 / period), line_slope(period, total, placed)


@inlined
def line_run(state: Vector, base: int, period: int, values: Vector, middles: Vector, slopes: Vector) -> None:
    """Take a column in; fill one with the lines' values at the middle, and one with their slopes."""
    row = 0
    while row < values.size and state[base] != period:
        middles[row], slopes[row] = line_next(state, base, period, values[row])
        row += 1
    blocks = (values.size - row) // period
    if blocks > 0:
        ring = base + LINE_RING
        at_once = max(1, STRETCH // period)
        # Tails of the block before the stretch, then of its own: a row's window begins with the tail of `period` - 1
        # rows before.  In a block's last row that is the whole block, and the head is nothing.
        tails = np.empty((at_once + 1) * period)
        tails_placed = np.empty(tails.size)
        heads = np.empty(at_once * period)
        heads_placed = np.empty(heads.size)
        anchors = np.empty(heads.size)
        for slot in range(period):
            tails[slot] = state[ring + slot]
            tails_placed[slot] = state[ring + period + slot]
        anchor = state[base + 1]
        weight = 1.0 / period
        while blocks > 0:
            count = min(blocks, at_once) * period
            block = values[row : row + count]
            for begin in range(0, count, period):
                end = begin + period
                next_anchor = block[end - 1]
                total = 0.0
                placed = 0.0
                head = 0.0
                head_placed = 0.0
                for position in range(period):
                    back = end - 1 - position
                    placed += total
                    total += block[back] - next_anchor
                    tails[back + period] = total
                    tails_placed[back + period] = placed
                    difference = block[begin + position] - anchor
                    head += difference
                    head_placed += position * difference
                    heads[begin + position] = head
                    heads_placed[begin + position] = (period - 1.0 - position) * head + head_placed
                    anchors[begin + position] = anchor
                anchor = next_anchor
                heads[end - 1] = 0.0
                heads_placed[end - 1] = 0.0
                anchors[end - 1] = anchor
            begun = tails[1:]
            begun_placed = tails_placed[1:]
            filled = middles[row : row + count]
            filled_slopes = slopes[row : row + count]
            for later in range(count):
                both = begun[later] + heads[later]
                filled[later] = anchors[later] + both * weight
                filled_slopes[later] = line_slope(period, both, begun_placed[later] + heads_placed[later])
            for slot in range(period):
                tails[slot] = tails[count + slot]
                tails_placed[slot] = tails_placed[count + slot]
            blocks -= count // period
            row += count
        for slot in range(period):
            state[ring + slot] = tails[slot]
            state[ring + period + slot] = tails_placed[slot]
        state[base + 1] = anchor
        state[base + 2] = 0.0
        state[base + 3] = 0.0
    while row < values.size:
        middles[row], slopes[row] = line_next(state, base, period, values[row])
        row += 1
