"""Parts that add up: the sum of a window, and its mean, by doubling.

A window of eleven values is the last one, the two before it and the eight before those.  The sum of two is made of
two ones, that of four of two twos, and so on: a bar costs two additions for each doubling, whatever the period, and
columns go by vectors.  Nothing is ever subtracted again, and no value outlives its window.

Sums are of the values themselves, without an anchor: that of values that are not negative (volumes) is never
negative, and exactly 0 where all of them are.  Means are made of means, so that of equal values is their value.
"""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined

# SUM and MEAN -- Block: seen (stops at period), position (runs below the greatest power of two up to period), then
# for each power of two up to period a ring of so many sums of so many values, the newest ones.

SUM_RING = 2
STRETCH = 2048
"""So many rows at a time, or four periods, stay in the fastest cache."""


def sum_slots(period: int) -> int:
    """Give the length of the block: room for the rings, which come to less than two periods."""
    return SUM_RING + 2 * period


mean_slots = sum_slots


@inlined
def sum_next(state: Vector, base: int, period: int, value: float) -> float:
    """Take one value into a rolling sum."""
    position = int(state[base + 1])
    found = 0.0
    counted = 0
    power = 1
    while True:
        ring = base + SUM_RING + power - 1
        if period & power:
            last = value if counted == 0 else state[ring + ((position - counted) & (power - 1))]
            found = last if counted == 0 else found + last
            counted += power
        slot = ring + (position & (power - 1))
        before = state[slot]
        state[slot] = value
        if 2 * power > period:
            break
        value = value + before
        power *= 2
    state[base + 1] = (position + 1) & (power - 1)
    if state[base] < period:
        state[base] += 1.0
    return found if state[base] >= period else nan


@inlined
def sum_run(state: Vector, base: int, period: int, values: Vector, out: Vector) -> None:
    """Take a column into a rolling sum."""
    rows = max(STRETCH, 4 * period)
    level = np.empty(period + rows)
    doubled = np.empty(period + rows)
    first = max(0, period - 1 - int(state[base]))
    for begin in range(0, values.size, rows):
        some = values[begin : begin + rows]
        filled = out[begin : begin + some.size]
        level[0] = state[base + SUM_RING]
        for i in range(some.size):
            level[1 + i] = some[i]
        position = int(state[base + 1])
        counted = 0
        power = 1
        while True:
            # What `power` rows before the first had, then the rows'.
            if period & power:
                last = level[power - counted :]
                if counted == 0:
                    for i in range(filled.size):
                        filled[i] = last[i]
                else:
                    for i in range(filled.size):
                        filled[i] = filled[i] + last[i]
                counted += power
            ring = base + SUM_RING + power - 1
            for age in range(power):
                state[ring + ((position + filled.size + age) & (power - 1))] = level[filled.size + age]
            if 2 * power > period:
                break
            ring += power
            for age in range(2 * power):
                doubled[age] = state[ring + ((position + age) & (2 * power - 1))]
            after, later = doubled[2 * power :], level[power:]
            for i in range(filled.size):
                after[i] = later[i] + level[i]
            level, doubled = doubled, level
            power *= 2
        state[base + 1] = (position + filled.size) & (power - 1)
    state[base] = min(period, int(state[base]) + values.size)
    out[: min(first, values.size)] = nan


@inlined
def mean_next(state: Vector, base: int, period: int, value: float) -> float:
    """Take one value into a rolling mean."""
    position = int(state[base + 1])
    found = 0.0
    counted = 0
    power = 1
    while True:
        ring = base + SUM_RING + power - 1
        if period & power:
            last = value if counted == 0 else state[ring + ((position - counted) & (power - 1))]
            found = last if counted == 0 else found + (last - found) * (power / (counted + power))
            counted += power
        slot = ring + (position & (power - 1))
        before = state[slot]
        state[slot] = value
        if 2 * power > period:
            break
        value = 0.5 * (value + before)
        power *= 2
    state[base + 1] = (position + 1) & (power - 1)
    if state[base] < period:
        state[base] += 1.0
    return found if state[base] >= period else nan


@inlined
def mean_run(state: Vector, base: int, period: int, values: Vector, out: Vector) -> None:
    """Take a column into a rolling mean."""
    rows = max(STRETCH, 4 * period)
    level = np.empty(period + rows)
    doubled = np.empty(period + rows)
    first = max(0, period - 1 - int(state[base]))
    for begin in range(0, values.size, rows):
        some = values[begin : begin + rows]
        filled = out[begin : begin + some.size]
        level[0] = state[base + SUM_RING]
        for i in range(some.size):
            level[1 + i] = some[i]
        position = int(state[base + 1])
        counted = 0
        power = 1
        while True:
            # What `power` rows before the first had, then the rows'.
            if period & power:
                last = level[power - counted :]
                if counted == 0:
                    for i in range(filled.size):
                        filled[i] = last[i]
                else:
                    share = power / (counted + power)
                    for i in range(filled.size):
                        filled[i] = filled[i] + (last[i] - filled[i]) * share
                counted += power
            ring = base + SUM_RING + power - 1
            for age in range(power):
                state[ring + ((position + filled.size + age) & (power - 1))] = level[filled.size + age]
            if 2 * power > period:
                break
            ring += power
            for age in range(2 * power):
                doubled[age] = state[ring + ((position + age) & (2 * power - 1))]
            after, later = doubled[2 * power :], level[power:]
            for i in range(filled.size):
                after[i] = 0.5 * (later[i] + level[i])
            level, doubled = doubled, level
            power *= 2
        state[base + 1] = (position + filled.size) & (power - 1)
    state[base] = min(period, int(state[base]) + values.size)
    out[: min(first, values.size)] = nan
