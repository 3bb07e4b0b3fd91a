"""Parts that kernels are built of: averages, moments and extremes, each over a block of a state vector.

Every part has two forms that agree bit for bit.  `<part>_next` takes one value in and gives one back,
NaN while it warms up.  `<part>_run` takes a column and fills another: it warms up by the first form,
then works with locals and whole blocks, which is several times as fast, and leaves the block as the
first form would.  `state` is the vector of the whole indicator, `base` where the part's block begins
in it; `<PART>_SLOTS` says how long that is, `<part>_slots(period)` where it depends on a period.

Kernels compile the parts into themselves.  That one file can hold them for all is due to `cache`,
which gives every version of this folder a cache of its own.
"""

from collections.abc import Callable
from math import inf, nan, sqrt

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined
from strategies.indicators.kernels.lanes import LANES, MEAN_BARS_MAX, mean_lanes

# EMA -- seeded with the mean of the first `period` values, then follows by 2 / (period + 1).
# Block: seen (stops at period), anchor, sum of differences to it until the seed is complete, then mean.

EMA_SLOTS = 3


@inlined
def ema_next(state: Vector, base: int, period: float, value: float) -> float:
    """Take one value into an exponential moving average."""
    seen = state[base]
    if seen >= period:
        mean = state[base + 2]
        mean = (value - mean) * (2.0 / (period + 1.0)) + mean
        state[base + 2] = mean
        return mean
    if seen == 0.0:
        state[base + 1] = value
    state[base] = seen + 1.0
    state[base + 2] += value - state[base + 1]
    if seen + 1.0 < period:
        return nan
    mean = state[base + 1] + state[base + 2] / period
    state[base + 2] = mean
    return mean


@inlined
def ema_run(state: Vector, base: int, period: float, values: Vector, out: Vector) -> None:
    """Take a column into an exponential moving average."""
    row = 0
    while row < values.size and state[base] < period:
        out[row] = ema_next(state, base, period, values[row])
        row += 1
    mean = state[base + 2]
    weight = 2.0 / (period + 1.0)
    for later in range(row, values.size):
        mean = (values[later] - mean) * weight + mean
        out[later] = mean
    state[base + 2] = mean


# RMA -- Wilder's average: seeded with the mean of the first `period` values, then 1 / period of each.
# Block: seen (stops at period), sum until the seed is complete, then mean.

RMA_SLOTS = 2


@inlined
def rma_next(state: Vector, base: int, period: float, value: float) -> float:
    """Take one value into Wilder's average."""
    seen = state[base]
    average = state[base + 1]
    if seen >= period:
        average = (value - average) * (1.0 / period) + average
        state[base + 1] = average
        return average
    seen += 1.0
    state[base] = seen
    average += value
    if seen >= period:
        average /= period
    state[base + 1] = average
    return average if seen >= period else nan


@inlined
def rma_run(state: Vector, base: int, period: float, values: Vector, out: Vector) -> None:
    """Take a column into Wilder's average."""
    row = 0
    while row < values.size and state[base] < period:
        out[row] = rma_next(state, base, period, values[row])
        row += 1
    average = state[base + 1]
    weight = 1.0 / period
    for later in range(row, values.size):
        average = (values[later] - average) * weight + average
        out[later] = average
    state[base + 1] = average


# SMA -- values come in blocks of `period`.  A window is the tail of the old block and the head of the new
# one; sums of tails are made when a block completes, so nothing is ever subtracted again and no error
# accumulates.  All sums are of differences to the block's last value, its anchor.
# Block: seen (runs to 2 * period - 1, falls back to period as a block completes), anchor, head, then a
# ring of raw values (new block) and tail sums (old block).

SMA_RING = 3


@inlined
def sma_next(state: Vector, base: int, period: int, value: float) -> float:
    """Take one value into a simple moving average."""
    seen = int(state[base])
    position = seen - period if seen >= period else seen
    ring = base + SMA_RING
    state[ring + position] = value
    if position + 1 == period:
        total = 0.0
        for slot in range(ring + position, ring - 1, -1):
            total += state[slot] - value
            state[slot] = total
        state[base] = period
        state[base + 1] = value
        state[base + 2] = 0.0
        return value + total / period
    state[base] = seen + 1
    if seen < period:
        return nan
    anchor = state[base + 1]
    head = state[base + 2] + (value - anchor)
    state[base + 2] = head
    return anchor + (state[ring + position + 1] + head) / period


def sma_slots(period: int) -> int:
    """Give the length of the block."""
    return SMA_RING + period


@inlined
def sma_run(state: Vector, base: int, period: int, values: Vector, out: Vector) -> None:
    """Take a column into a simple moving average."""
    row = 0
    while row < values.size and state[base] != period:
        out[row] = sma_next(state, base, period, values[row])
        row += 1
    ring = base + SMA_RING
    if values.size - row >= period:
        old = state[ring : ring + period].copy()
        new = np.empty(period)
        anchor = state[base + 1]
        together = (values.size - row) // (period * LANES) * (period * LANES)
        if period <= MEAN_BARS_MAX and together > 0:
            anchor = mean_lanes(values[row : row + together], period, anchor, old, out[row : row + together])
            row += together
        while values.size - row >= period:
            block = values[row : row + period]
            filled = out[row : row + period]
            next_anchor = block[period - 1]
            head = 0.0
            total = 0.0
            for position in range(period - 1):
                head += block[position] - anchor
                filled[position] = anchor + (old[position + 1] + head) / period
                back = period - 1 - position
                total += block[back] - next_anchor
                new[back] = total
            total += block[0] - next_anchor
            new[0] = total
            filled[period - 1] = next_anchor + total / period
            anchor = next_anchor
            old, new = new, old
            row += period
        for slot in range(period):
            state[ring + slot] = old[slot]
        state[base + 1] = anchor
        state[base + 2] = 0.0
    while row < values.size:
        out[row] = sma_next(state, base, period, values[row])
        row += 1


# MOMENTS -- mean and population deviation: as SMA, with a second ring for the tails' sums of squared
# deviations from their own mean.  Such sums are never differences: a value joins by Youngs and Cramer's
# update (1971), head and tail by the formula of Chan, Golub and LeVeque (1979); each adds a square.
# The mean square less the squared mean (TA-Lib 0.6) cancels where a price dwarfs its moves.
# Block: seen, anchor, head's sum, head's squares, then both rings.

MOMENTS_RING = 4


def moments_slots(period: int) -> int:
    """Give the length of the block."""
    return MOMENTS_RING + 2 * period


@inlined
def moments_next(state: Vector, base: int, period: int, value: float) -> tuple[float, float]:
    """Take one value in; give the window's mean and population standard deviation."""
    seen = int(state[base])
    position = seen - period if seen >= period else seen
    sums = base + MOMENTS_RING + position
    state[sums] = value
    if position + 1 == period:
        total = 0.0
        squares = 0.0
        for count in range(1, period + 1):
            slot = sums + 1 - count
            difference = state[slot] - value
            total += difference
            if count > 1:
                off = count * difference - total
                squares += off * off * (1.0 / (count * (count - 1.0)))
            state[slot] = total
            state[slot + period] = squares
        state[base] = period
        state[base + 1] = value
        state[base + 2] = 0.0
        state[base + 3] = 0.0
        return value + total / period, sqrt(squares / period)
    state[base] = seen + 1
    if seen < period:
        return nan, nan
    head_count = position + 1.0
    tail_count = period - head_count
    difference = value - state[base + 1]
    head_sum = state[base + 2] + difference
    head_squares = state[base + 3]
    if position > 0:
        off = head_count * difference - head_sum
        head_squares += off * off * (1.0 / (head_count * (head_count - 1.0)))
    state[base + 2] = head_sum
    state[base + 3] = head_squares
    tail_sum = state[sums + 1]
    off = tail_count * head_sum - head_count * tail_sum
    squares = state[sums + 1 + period] + head_squares + off * off * (1.0 / (head_count * tail_count * period))
    return state[base + 1] + (tail_sum + head_sum) / period, sqrt(squares / period)


@inlined
def moments_run(state: Vector, base: int, period: int, values: Vector, means: Vector, deviations: Vector) -> None:
    """Take a column in; fill one with means and one with population standard deviations."""
    row = 0
    while row < values.size and state[base] != period:
        means[row], deviations[row] = moments_next(state, base, period, values[row])
        row += 1
    ring = base + MOMENTS_RING
    if values.size - row >= period:
        # By how many values have joined, less one.  A block's last row runs along and is written over.
        joining = np.zeros(period)
        merging = np.zeros(period)
        for count in range(2, period + 1):
            joining[count - 1] = 1.0 / (count * (count - 1.0))
        for count in range(1, period):
            merging[count - 1] = 1.0 / (float(count) * (period - float(count)) * period)
        old_sums = np.zeros(period + 1)
        old_squares = np.zeros(period + 1)
        sums = np.zeros(period + 1)
        squares = np.zeros(period + 1)
        for slot in range(period):
            old_sums[slot] = state[ring + slot]
            old_squares[slot] = state[ring + period + slot]
        anchor = state[base + 1]
        while values.size - row >= period:
            block = values[row : row + period]
            mean_block = means[row : row + period]
            deviation_block = deviations[row : row + period]
            next_anchor = block[period - 1]
            # The first of either chain deviates from nothing.
            total = 0.0 + (block[period - 1] - next_anchor)
            total_squares = 0.0
            sums[period - 1] = total
            squares[period - 1] = 0.0
            head_sum = 0.0 + (block[0] - anchor)  # As the first form does: -0.0 is not 0.0.
            head_squares = 0.0
            tail_sum = old_sums[1]
            off = (period - 1.0) * head_sum - tail_sum
            both = old_squares[1] + off * off * merging[0]
            mean_block[0] = tail_sum + head_sum
            deviation_block[0] = both
            for position in range(1, period):
                joined = position + 1.0
                back = period - 1 - position
                difference = block[back] - next_anchor
                total += difference
                off = joined * difference - total
                total_squares += off * off * joining[position]
                sums[back] = total
                squares[back] = total_squares
                difference = block[position] - anchor
                head_sum += difference
                off = joined * difference - head_sum
                head_squares += off * off * joining[position]
                tail_sum = old_sums[position + 1]
                off = (period - joined) * head_sum - joined * tail_sum
                both = old_squares[position + 1] + head_squares + off * off * merging[position]
                mean_block[position] = tail_sum + head_sum
                deviation_block[position] = both
            # Apart from the sums, which wait for each other: these go by vectors.
            for position in range(period):
                mean_block[position] = anchor + mean_block[position] / period
                deviation_block[position] = sqrt(deviation_block[position] / period)
            mean_block[period - 1] = next_anchor + total / period
            deviation_block[period - 1] = sqrt(total_squares / period)
            anchor = next_anchor
            old_sums, sums = sums, old_sums
            old_squares, squares = squares, old_squares
            row += period
        for slot in range(period):
            state[ring + slot] = old_sums[slot]
            state[ring + period + slot] = old_squares[slot]
        state[base + 1] = anchor
        state[base + 2] = 0.0
        state[base + 3] = 0.0
    while row < values.size:
        means[row], deviations[row] = moments_next(state, base, period, values[row])
        row += 1


# HIGHEST and LOWEST -- as SMA, with the extreme in place of the sum and no anchor.  A NaN in the window is
# the extreme; of equal ones (0.0 and -0.0) the later is taken, so that no order of comparing matters.
# Block: seen, head, ring.

EXTREME_RING = 2


def extreme_slots(period: int) -> int:
    """Give the length of the block."""
    return EXTREME_RING + period


@inlined
def greater(left: float, right: float) -> float:
    """Give the greater of two, NaN if either is, the right one of equals."""
    return left if left > right or left != left else right  # noqa: PLR0124 - NaN differs from itself


@inlined
def lesser(left: float, right: float) -> float:
    """Give the lesser of two, NaN if either is, the right one of equals."""
    return left if left < right or left != left else right  # noqa: PLR0124 - NaN differs from itself


_Next = Callable[[Vector, int, int, float], float]
_Run = Callable[[Vector, int, int, Vector, Vector], None]


def _extreme(better: Callable[[float, float], float], worst: float) -> tuple[_Next, _Run]:
    """Make both forms of a rolling extreme from the rule which of two values is it, and what any value beats."""

    @inlined
    def of_next(state: Vector, base: int, period: int, value: float) -> float:
        seen = int(state[base])
        position = seen - period if seen >= period else seen
        ring = base + EXTREME_RING
        state[ring + position] = value
        if position + 1 == period:
            best = worst
            for slot in range(ring + position, ring - 1, -1):
                best = better(state[slot], best)
                state[slot] = best
            state[base] = period
            state[base + 1] = worst
            return best
        state[base] = seen + 1
        if seen < period:
            return nan
        head = better(state[base + 1], value)
        state[base + 1] = head
        return better(state[ring + position + 1], head)

    @inlined
    def of_run(state: Vector, base: int, period: int, values: Vector, out: Vector) -> None:
        """Windows are doubled, a stretch of rows at a time."""
        row = 0
        while row < values.size and (row < period or state[base] != period):
            out[row] = of_next(state, base, period, values[row])
            row += 1
        blocks = (values.size - row) // period
        if blocks > 0:
            end = row + blocks * period
            of_windows(values, row, end, period, out)
            ring = base + EXTREME_RING
            best = worst
            for position in range(period - 1, -1, -1):
                best = better(values[end - period + position], best)
                state[ring + position] = best
            state[base + 1] = worst
            row = end
        while row < values.size:
            out[row] = of_next(state, base, period, values[row])
            row += 1

    @inlined
    def of_windows(values: Vector, begin: int, end: int, period: int, out: Vector) -> None:
        """Fill rows `begin` to `end` with the extreme of the `period` rows up to each; `begin` >= `period`."""
        stretch = max(2048, 2 * period)
        one = np.empty(stretch + period)
        other = np.empty(stretch + period)
        for first in range(begin, end, stretch):
            last = min(first + stretch, end)
            source = values[first - period + 1 : last]
            width = 1
            if period > 1:
                of_pairs(source, 1, one[: source.size - 1])
                source = one[: source.size - 1]
                width = 2
            while 2 * width <= period:
                of_pairs(source, width, other[: source.size - width])
                source = other[: source.size - width]
                one, other = other, one
                width *= 2
            of_pairs(source, period - width, out[first:last])

    @inlined
    def of_pairs(values: Vector, shift: int, out: Vector) -> None:
        """Fill a column with the extreme of each row and the one `shift` rows after it."""
        later = values[shift:]
        for row in range(out.size):
            out[row] = better(values[row], later[row])

    return of_next, of_run


highest_next, highest_run = _extreme(greater, -inf)
lowest_next, lowest_run = _extreme(lesser, inf)
