"""Parts that add up: the sum of a window.

Windows are cut at blocks as in `parts`.  These sums are of the values themselves, without an anchor: that of
values that are not negative (volumes) is never negative, and exactly 0 where all of them are.
"""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined

# SUM -- Block: seen (runs to 2 * period - 1, falls back to period as a block completes), head, then a ring of
# raw values (new block) and tail sums (old block).

SUM_RING = 2


def sum_slots(period: int) -> int:
    """Give the length of the block."""
    return SUM_RING + period


@inlined
def sum_next(state: Vector, base: int, period: int, value: float) -> float:
    """Take one value into a rolling sum."""
    seen = int(state[base])
    position = seen - period if seen >= period else seen
    ring = base + SUM_RING
    state[ring + position] = value
    if position + 1 == period:
        total = 0.0
        for slot in range(ring + position, ring - 1, -1):
            total += state[slot]
            state[slot] = total
        state[base] = period
        state[base + 1] = 0.0
        return total
    state[base] = seen + 1
    if seen < period:
        return nan
    head = state[base + 1] + value
    state[base + 1] = head
    return state[ring + position + 1] + head


@inlined
def sum_run(state: Vector, base: int, period: int, values: Vector, out: Vector) -> None:
    """Take a column into a rolling sum."""
    row = 0
    while row < values.size and state[base] != period:
        out[row] = sum_next(state, base, period, values[row])
        row += 1
    ring = base + SUM_RING
    if values.size - row >= period:
        old = state[ring : ring + period].copy()
        new = np.empty(period)
        while values.size - row >= period:
            block = values[row : row + period]
            filled = out[row : row + period]
            head = 0.0
            total = 0.0
            for position in range(period - 1):
                head += block[position]
                filled[position] = old[position + 1] + head
                back = period - 1 - position
                total += block[back]
                new[back] = total
            total += block[0]
            new[0] = total
            filled[period - 1] = total
            old, new = new, old
            row += period
        state[ring : ring + period] = old
        state[base + 1] = 0.0
    while row < values.size:
        out[row] = sum_next(state, base, period, values[row])
        row += 1
