"""Parts with linear weights."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined
from strategies.indicators.kernels.lanes import LANES, LINEAR_BARS_MAX, linear_lanes

# WMA -- weights 1 to `period`, the newest value's the greatest.  Blocks as SMA's.  A tail's weights begin
# at 1 whatever its length, so one ring of weighted tail sums will do; the head keeps its plain sum beside
# the weighted one, for its weights grow by the length of the tail before it.
# Block: seen, anchor, head's sum, head's weighted sum, ring.

WMA_RING = 4


def wma_slots(period: int) -> int:
    """Give the length of the block."""
    return WMA_RING + period


@inlined
def wma_next(state: Vector, base: int, period: int, value: float) -> float:
    """Take one value into a linearly weighted moving average."""
    seen = int(state[base])
    position = seen - period if seen >= period else seen
    ring = base + WMA_RING
    state[ring + position] = value
    weights = 0.5 * period * (period + 1.0)
    if position + 1 == period:
        total = 0.0
        weighted = 0.0
        for slot in range(ring + position, ring - 1, -1):
            total += state[slot] - value
            weighted += total
            state[slot] = weighted
        state[base] = period
        state[base + 1] = value
        state[base + 2] = 0.0
        state[base + 3] = 0.0
        return value + weighted / weights
    state[base] = seen + 1
    if seen < period:
        return nan
    anchor = state[base + 1]
    difference = value - anchor
    head = state[base + 2] + difference
    weighted = state[base + 3] + (position + 1.0) * difference
    state[base + 2] = head
    state[base + 3] = weighted
    return anchor + (state[ring + position + 1] + (weighted + (period - 1.0 - position) * head)) / weights


@inlined
def wma_run(state: Vector, base: int, period: int, values: Vector, out: Vector) -> None:
    """Take a column into a linearly weighted moving average."""
    row = 0
    while row < values.size and state[base] != period:
        out[row] = wma_next(state, base, period, values[row])
        row += 1
    ring = base + WMA_RING
    if values.size - row >= period:
        old = state[ring : ring + period].copy()
        new = np.empty(period)
        anchor = state[base + 1]
        weights = 0.5 * period * (period + 1.0)
        together = (values.size - row) // (period * LANES) * (period * LANES)
        if period <= LINEAR_BARS_MAX and together > 0:
            anchor = linear_lanes(values[row : row + together], period, anchor, old, out[row : row + together])
            row += together
        while values.size - row >= period:
            block = values[row : row + period]
            filled = out[row : row + period]
            next_anchor = block[period - 1]
            head = 0.0
            weighted = 0.0
            total = 0.0
            total_weighted = 0.0
            for position in range(period - 1):
                difference = block[position] - anchor
                head += difference
                weighted += (position + 1.0) * difference
                tail = old[position + 1] + (weighted + (period - 1.0 - position) * head)
                filled[position] = anchor + tail / weights
                back = period - 1 - position
                total += block[back] - next_anchor
                total_weighted += total
                new[back] = total_weighted
            total += block[0] - next_anchor
            total_weighted += total
            new[0] = total_weighted
            filled[period - 1] = next_anchor + total_weighted / weights
            anchor = next_anchor
            old, new = new, old
            row += period
        for slot in range(period):
            state[ring + slot] = old[slot]
        state[base + 1] = anchor
        state[base + 2] = 0.0
        state[base + 3] = 0.0
    while row < values.size:
        out[row] = wma_next(state, base, period, values[row])
        row += 1
