"""Parts that remember: the value of so many bars ago."""

from math import nan

from strategies.indicators.kernels.compiled import Vector, inlined

# LAG -- a ring of the last `count` values.
# Block: seen (stops at count), position of the oldest, ring.

LAG_RING = 2


def lag_slots(count: int) -> int:
    """Give the length of the block."""
    return LAG_RING + count


@inlined
def lag_next(state: Vector, base: int, count: int, value: float) -> float:
    """Take one value in; give the one of `count` >= 1 values before."""
    slot = base + LAG_RING + int(state[base + 1])
    before = state[slot] if state[base] >= count else nan
    state[slot] = value
    if state[base] < count:
        state[base] += 1.0
    state[base + 1] = 0.0 if state[base + 1] + 1.0 >= count else state[base + 1] + 1.0
    return before


@inlined
def lag_run(state: Vector, base: int, count: int, values: Vector, out: Vector) -> None:
    """Take a column in; fill another with the values of `count` rows before."""
    first = min(values.size, count)
    for row in range(first):
        out[row] = lag_next(state, base, count, values[row])
    later = out[first:]
    for row in range(later.size):
        later[row] = values[row]
    lag_keep(state, base, count, values)


@inlined
def lag_keep(state: Vector, base: int, count: int, values: Vector) -> None:
    """Leave a ring, given the first `count` rows of a column, as if it had been given the others too."""
    rest = values.size - count
    if rest > 0:
        position = (int(state[base + 1]) + rest) % count
        ring = base + LAG_RING
        for age in range(count):
            state[ring + (position + age) % count] = values[rest + age]
        state[base + 1] = position


@inlined
def lag_take(state: Vector, base: int, count: int, values: Vector) -> None:
    """Take a column into a ring that is full, where nobody asks for what was before."""
    position = (int(state[base + 1]) + values.size) % count
    ring = base + LAG_RING
    for age in range(min(count, values.size)):
        state[ring + (position - 1 - age) % count] = values[values.size - 1 - age]
    state[base + 1] = position
