"""Part that smooths like an EMA, written for speed, and how columns are divided for speed."""

from strategies.indicators.kernels.compiled import Vector, inlined
from strategies.indicators.kernels.parts import ema_next

STRETCH = 4096
"""So many rows at a time keep what is computed between within the cache."""

# SMOOTH -- as EMA, in a block of its length, but a row waits for two operations of the row before instead of
# three.  Its last bits differ from EMA's.


@inlined
def smooth_next(state: Vector, base: int, period: float, value: float) -> float:
    """Take one value in; give the mean."""
    if state[base] < period:
        return ema_next(state, base, period, value)
    weight = 2.0 / (period + 1.0)
    mean = state[base + 2] * (1.0 - weight) + value * weight
    state[base + 2] = mean
    return mean


@inlined
def stretch_of(period: int) -> int:
    """Give how many rows to take at a time so that windows cut at blocks stay cut there."""
    return max(STRETCH // period, 1) * period
