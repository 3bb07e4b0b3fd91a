"""Moving averages: EMA and SMA."""

from math import nan

from strategies.indicators.kernels.compiled import (
    COLUMN,
    STATE,
    VALUE,
    VOID,
    Vector,
    compiled,
    outputs,
)

SEEN = 0
PERIOD = 1


# EMA -- seeded with the mean of the first PERIOD values, then follows by 2 / (PERIOD + 1).
# SEEN stops at PERIOD.  EMA_SUM is the sum of differences to the anchor until the seed is complete.

EMA_ANCHOR = 2
EMA_SUM = 3
EMA_MEAN = 3
EMA_SLOTS = 4


@compiled(outputs(1), STATE, VALUE)
def ema_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into an exponential moving average (TA-Lib EMA)."""
    period = state[PERIOD]
    seen = state[SEEN]
    if seen >= period:
        mean = state[EMA_MEAN]
        mean = (value - mean) * (2.0 / (period + 1.0)) + mean
        state[EMA_MEAN] = mean
        return (mean,)
    if seen == 0.0:
        state[EMA_ANCHOR] = value
    state[SEEN] = seen + 1.0
    state[EMA_SUM] += value - state[EMA_ANCHOR]
    if seen + 1.0 < period:
        return (nan,)
    mean = state[EMA_ANCHOR] + state[EMA_SUM] / period
    state[EMA_MEAN] = mean
    return (mean,)


@compiled(VOID, STATE, COLUMN, STATE)
def ema_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into an EMA and write n means to `out`."""
    for row in range(values.size):
        out[row] = ema_step(state, values[row])[0]


# SMA -- one ring of raw values (new block) and tail sums (old block).
# SEEN runs to 2 * PERIOD - 1 and falls back to PERIOD when a block completes; so in all rings.

SMA_ANCHOR = 2
SMA_HEAD = 3
SMA_RING = 4


@compiled(outputs(1), STATE, VALUE)
def sma_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a simple moving average (TA-Lib SMA)."""
    period = int(state[PERIOD])
    seen = int(state[SEEN])
    position = seen - period if seen >= period else seen
    state[SMA_RING + position] = value
    if position + 1 == period:
        total = 0.0
        for slot in range(SMA_RING + position, SMA_RING - 1, -1):
            total += state[slot] - value
            state[slot] = total
        state[SEEN] = period
        state[SMA_ANCHOR] = value
        state[SMA_HEAD] = 0.0
        return (value + total / period,)
    state[SEEN] = seen + 1
    if seen < period:
        return (nan,)
    anchor = state[SMA_ANCHOR]
    head = state[SMA_HEAD] + (value - anchor)
    state[SMA_HEAD] = head
    return (anchor + (state[SMA_RING + position + 1] + head) / period,)


@compiled(VOID, STATE, COLUMN, STATE)
def sma_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into an SMA and write n means to `out`."""
    for row in range(values.size):
        out[row] = sma_step(state, values[row])[0]
