"""Parts that tell gains from losses."""

from math import nan

from strategies.indicators.kernels.compiled import Vector, inlined
from strategies.indicators.kernels.parts import RMA_SLOTS, rma_next

# MOVES -- Wilder's averages of gains and losses, as of RSI.  The first value only lends itself to the second.
# Block: whether there was one, that value, gains, losses.

MOVES_GAIN = 2
MOVES_LOSS = MOVES_GAIN + RMA_SLOTS
MOVES_SLOTS = MOVES_LOSS + RMA_SLOTS


@inlined
def moves_next(state: Vector, base: int, period: float, value: float) -> tuple[float, float]:
    """Take one value in; give the averages of gains and of losses, NaN while they warm up."""
    change = value - state[base + 1]
    state[base + 1] = value
    if state[base] == 0.0:
        state[base] = 1.0
        return nan, nan
    gain = rma_next(state, base + MOVES_GAIN, period, max(change, 0.0))
    loss = rma_next(state, base + MOVES_LOSS, period, -change if change < 0.0 else 0.0)
    return gain, loss


@inlined
def moves_run(state: Vector, base: int, period: float, values: Vector, gains: Vector, losses: Vector) -> None:
    """Take a column in; fill one with averages of gains and one of losses."""
    row = 0
    while row < values.size and state[base + MOVES_GAIN] < period:
        gains[row], losses[row] = moves_next(state, base, period, values[row])
        row += 1
    previous = state[base + 1]
    gain = state[base + MOVES_GAIN + 1]
    loss = state[base + MOVES_LOSS + 1]
    weight = 1.0 / period
    for later in range(row, values.size):
        change = values[later] - previous
        previous = values[later]
        gain = ((max(change, 0.0)) - gain) * weight + gain
        loss = ((-change if change < 0.0 else 0.0) - loss) * weight + loss
        gains[later] = gain
        losses[later] = loss
    state[base + 1] = previous
    state[base + MOVES_GAIN + 1] = gain
    state[base + MOVES_LOSS + 1] = loss


@inlined
def moves_cold(state: Vector, base: int, period: float, rows: int) -> int:
    """Count the rows of a column of `rows` before the averages have values; ask before it is taken in."""
    return min(rows, max(0, int(period - state[base] - state[base + MOVES_GAIN])))


@inlined
def strength(gain: float, loss: float) -> float:
    """Give the share of gains in all moves, 0 to 100 (RSI); 0 where nothing moved."""
    total = gain + loss
    return 0.0 if total == 0.0 else 100.0 * (gain / total)
