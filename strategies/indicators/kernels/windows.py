"""Parts that look at every value of a window: for what has no cheaper rule."""

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined
from strategies.indicators.kernels.lags import LAG_RING, lag_next, lag_slots

# WINDOW -- the last `period` values, laid out as LAG of `period`: its position is that of the oldest.

window_next = lag_next
window_slots = lag_slots


@inlined
def stretch(period: int) -> int:
    """Say how many rows a kind of several parts takes at a time: what stands between two fits the cache.

    Windows come by whole blocks between the first and the last of a stretch, hence some blocks in each.
    """
    return max(4096, 16 * period)


@inlined
def cold(state: Vector, base: int, period: int, rows: int) -> int:
    """Count the rows of a column of `rows` before which a block of `period` values has none.

    Of any part whose block begins with the number of values seen; ask before the column is taken in.
    """
    return min(rows, max(0, period - 1 - int(state[base])))


@inlined
def window_run(state: Vector, base: int, period: int, values: Vector) -> Vector:
    """Take a column in; give it with the values before it, `period` of them unless so many were not seen."""
    seen = int(state[base])
    position = int(state[base + 1])
    ring = base + LAG_RING
    history = np.empty(seen + values.size)
    # Until the ring is full it begins at its slot 0, and so does its position once it is.
    for age in range(seen):
        history[age] = state[ring + ((position + age) % period if seen == period else age)]
    for row in range(values.size):
        history[seen + row] = values[row]
    position = (position + values.size) % period
    kept = min(period, history.size)
    for age in range(1, kept + 1):
        state[ring + (position - age) % period] = history[history.size - age]
    state[base] = kept
    state[base + 1] = position
    return history
