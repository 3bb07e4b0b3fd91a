"""Part that tells how many bars ago the greatest value of a window was; of equal ones, the latest."""

from math import inf, nan

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined

# AGE -- windows are cut at blocks, as of HIGHEST, and where an extreme stood is kept beside it.  For the
# age of the least value feed what is negated.
# Block: seen (runs to 2 * period - 1, falls back to period as a block completes), greatest value of the head
# and its position, ring of values, ring of positions.

AGE_RING = 3


def age_slots(period: int) -> int:
    """Give the length of the block."""
    return AGE_RING + 2 * period


@inlined
def _is_later_first(earlier: float, later: float) -> bool:
    """Say which of two values decides; NaN beats all."""
    return later >= earlier or later != later  # noqa: PLR0124 - NaN differs from itself


@inlined
def age_next(state: Vector, base: int, period: int, value: float) -> float:
    """Take one value in; give how many values ago the greatest of the last `period` was."""
    seen = int(state[base])
    position = seen - period if seen >= period else seen
    ring = base + AGE_RING
    state[ring + position] = value
    if position + 1 == period:
        best = -inf
        place = float(position)
        for back in range(position, -1, -1):
            if back == position or not _is_later_first(state[ring + back], best):
                best = state[ring + back]
                place = float(back)
            state[ring + back] = best
            state[ring + period + back] = place
        state[base] = period
        state[base + 1] = -inf
        state[base + 2] = 0.0
        return position - place
    state[base] = seen + 1
    if seen < period:
        return nan
    if _is_later_first(state[base + 1], value):
        state[base + 1] = value
        state[base + 2] = position
    tail = ring + position + 1
    if _is_later_first(state[tail], state[base + 1]):
        return position - state[base + 2]
    return position + period - state[tail + period]


@inlined
def age_run(state: Vector, base: int, period: int, sign: float, values: Vector, out: Vector) -> None:
    """Take a column in, each value times `sign`, which is 1 or -1; fill another with ages."""
    row = 0
    while row < values.size and state[base] != period:
        out[row] = age_next(state, base, period, values[row] * sign)
        row += 1
    ring = base + AGE_RING
    if values.size - row >= period:
        old, old_places = state[ring : ring + period].copy(), state[ring + period : ring + 2 * period].copy()
        new, new_places = np.empty(period), np.empty(period)
        while values.size - row >= period:
            block = values[row : row + period]
            filled = out[row : row + period]
            head, head_place = -inf, 0.0
            best, place = block[period - 1] * sign, period - 1.0
            new[period - 1], new_places[period - 1] = best, place
            for position in range(period - 1):
                value = block[position] * sign
                is_new = _is_later_first(head, value)
                head = value if is_new else head
                head_place = float(position) if is_new else head_place
                in_head = _is_later_first(old[position + 1], head)
                filled[position] = position - (head_place if in_head else old_places[position + 1] - period)
                back = period - 2 - position
                value = block[back] * sign
                is_kept = _is_later_first(value, best)
                best = best if is_kept else value
                place = place if is_kept else float(back)
                new[back], new_places[back] = best, place
            filled[period - 1] = period - 1.0 - place
            old, new = new, old
            old_places, new_places = new_places, old_places
            row += period
        for slot in range(period):
            state[ring + slot] = old[slot]
            state[ring + period + slot] = old_places[slot]
        state[base + 1] = -inf
        state[base + 2] = 0.0
    while row < values.size:
        out[row] = age_next(state, base, period, values[row] * sign)
        row += 1
