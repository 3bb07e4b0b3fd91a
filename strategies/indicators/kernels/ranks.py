"""Parts that keep a window in order of size."""

from strategies.indicators.kernels.compiled import Vector, inlined

# RANKED -- the newest value takes the oldest one's place among the ordered, and what lies between where that was
# and where it belongs moves by one.  NaN is greater than all.
# Block: seen (stops at period), position of the oldest, ring, then the ordered values.

RANKED_RING = 2


def ranked_slots(period: int) -> int:
    """Give the length of the block."""
    return RANKED_RING + 2 * period


@inlined
def is_before(value: float, other: float) -> bool:
    """Say whether a value comes before another in order of size, NaN last."""
    return value < other or (value == value and other != other)  # noqa: PLR0124 - NaN differs from itself


@inlined
def ranked_next(state: Vector, base: int, period: int, value: float) -> int:
    """Take one value in; give the slot at which the ordered values begin, or -1 while they are too few."""
    seen = int(state[base])
    slot = base + RANKED_RING + int(state[base + 1])
    order = base + RANKED_RING + period
    place = order + seen
    count = seen + 1
    if seen >= period:
        count = period
        old = state[slot]
        # By halves, to the first that is not before the old value.
        place = order
        beyond = order + period
        while place < beyond:
            middle = (place + beyond) // 2
            if is_before(state[middle], old):
                place = middle + 1
            else:
                beyond = middle
    while place > order and is_before(value, state[place - 1]):
        state[place] = state[place - 1]
        place -= 1
    last = order + count - 1
    while place < last and is_before(state[place + 1], value):
        state[place] = state[place + 1]
        place += 1
    state[place] = value
    state[slot] = value
    state[base] = count
    state[base + 1] = 0.0 if state[base + 1] + 1.0 >= period else state[base + 1] + 1.0
    return order if count == period else -1
