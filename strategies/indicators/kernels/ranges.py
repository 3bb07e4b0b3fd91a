"""True ranges, and the part that averages them."""

from math import nan

from strategies.indicators.kernels.compiled import Vector, inlined
from strategies.indicators.kernels.parts import RMA_SLOTS, rma_next


@inlined
def true_range(high: float, low: float, previous: float) -> float:
    """Give a bar's range, stretched to the close before it."""
    return max(high - low, abs(high - previous), abs(low - previous))


@inlined
def true_ranges(high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Fill row i of n - 1 with the true range of row i + 1 of n bars."""
    tops, bottoms = high[1:], low[1:]
    for row in range(out.size):
        out[row] = true_range(tops[row], bottoms[row], close[row])


# ATR -- Wilder's average of true ranges.  The first bar has no close before it and only lends its own to
# the second.  Block: seen (stops at 1), close, average.

ATR_SLOTS = 2 + RMA_SLOTS


@inlined
def atr_next(state: Vector, base: int, period: float, high: float, low: float, close: float) -> float:
    """Take one bar into an average true range."""
    previous = state[base + 1]
    state[base + 1] = close
    if state[base] == 0.0:
        state[base] = 1.0
        return nan
    return rma_next(state, base + 2, period, true_range(high, low, previous))


@inlined
def atr_run(state: Vector, base: int, period: float, bars: tuple[Vector, Vector, Vector], out: Vector) -> None:
    """Take highs, lows and closes into an average true range."""
    high, low, close = bars
    row = 0
    while row < out.size and state[base + 2] < period:
        out[row] = atr_next(state, base, period, high[row], low[row], close[row])
        row += 1
    highs, lows, closes, found = high[row:], low[row:], close[row:], out[row:]
    average = state[base + 3]
    previous = state[base + 1]
    weight = 1.0 / period
    for i in range(found.size):
        average = (true_range(highs[i], lows[i], previous) - average) * weight + average
        previous = closes[i]
        found[i] = average
    state[base + 3] = average
    state[base + 1] = previous
