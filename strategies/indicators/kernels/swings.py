"""Parts that find turning points: told when they are confirmed, never before."""

from math import nan

from strategies.indicators.kernels.compiled import Vector, inlined

# SWING -- a value above the `left` values before it and not below the `right` values after it, of equal ones the
# first.  Until there is one the level is the highest so far.
# Block: seen (stops at left + right + 1), position of the oldest in the ring, level, its age, whether it is a
# swing, ring.

SWING_LEVEL = 2
SWING_AGE = 3
SWING_IS = 4
SWING_RING = 5


def swing_block(left: int, right: int) -> int:
    """Give the length of the block."""
    return SWING_RING + left + right + 1


@inlined
def swing_next(state: Vector, base: int, left: int, right: int, value: float) -> float:
    """Take one value in; give 1.0 where the one `right` values ago proves to be a swing, else 0.0."""
    count = left + right + 1
    ring = base + SWING_RING
    position = int(state[base + 1])
    state[ring + position] = value
    state[base + 1] = 0.0 if position + 1 == count else position + 1.0
    state[base + SWING_AGE] += 1.0
    level = state[base + SWING_LEVEL]
    # A level that is NaN, of a first value that was, is below any other.
    if state[base + SWING_IS] == 0.0 and (state[base] == 0.0 or value > level or level != level):  # noqa: PLR0124
        state[base + SWING_LEVEL] = value
        state[base + SWING_AGE] = 0.0
    if state[base] < count:
        state[base] += 1.0
        if state[base] < count:
            return nan
    middle = position - right
    if middle < 0:
        middle += count
    candidate = state[ring + middle]
    for step in range(1, right + 1):
        after = middle + step
        if after >= count:
            after -= count
        if not candidate >= state[ring + after]:
            return 0.0
    for step in range(1, left + 1):
        before = middle - step
        if before < 0:
            before += count
        if not candidate > state[ring + before]:
            return 0.0
    state[base + SWING_LEVEL] = candidate
    state[base + SWING_AGE] = right
    state[base + SWING_IS] = 1.0
    return 1.0
