"""What indicators are defined by, as plain loops: slow, and without any code of the kernels.

They run in `longdouble`, so that what differs is not theirs.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from strategies.indicators import Indicator

Column = NDArray[np.float64]
Long = NDArray[np.longdouble]
Bars = dict[str, Column]


def named(indicator: Indicator) -> str:
    """Give the test's name for an indicator."""
    return "-".join((indicator.kind, *(f"{param:g}" for param in indicator.params)))


def windows(values: Long, period: int, rule: Callable[[Long], np.longdouble]) -> Long:
    """Give a rule's result for the window up to each row; NaN while one has a gap."""
    found = np.full(values.size, np.nan, np.longdouble)
    for row in range(period - 1, values.size):
        window = values[row + 1 - period : row + 1]
        if not np.isnan(window).any():
            found[row] = rule(window)
    return found


def recursive(values: Long, period: int, weight: np.longdouble) -> Long:
    """Give an exponential average from its first value on: the mean of the first `period`."""
    found = np.full(values.size, np.nan, np.longdouble)
    gaps = int(np.isnan(values).sum())
    for row in range(gaps + period - 1, values.size):
        if row == gaps + period - 1:
            found[row] = values[gaps : row + 1].mean()
        else:
            found[row] = found[row - 1] + weight * (values[row] - found[row - 1])
    return found


def smoothed(values: Long, period: int) -> Long:
    """Give an EMA."""
    return recursive(values, period, np.longdouble(2) / (period + 1))


def linear(values: Long, period: int) -> Long:
    """Give a linearly weighted average."""
    weights = np.arange(1, period + 1).astype(np.longdouble)
    return windows(values, period, lambda window: np.longdouble((window * weights).sum() / weights.sum()))


def before(values: Long, bars: int) -> Long:
    """Give the values of so many bars ago."""
    return np.concatenate((np.full(bars, np.nan, np.longdouble), values))[: values.size]


# The series


def walk(row_count: int, price: float, tick: float, seed: int) -> Bars:
    """Make a random walk from `price` in whole ticks, with a flat stretch, a jump, and minutes without trades."""
    draw = np.random.default_rng(seed)
    ticks = round(price / tick) + np.cumsum(np.rint(draw.normal(0.0, 2.0, row_count)))
    ticks[150:270] = ticks[150]
    ticks[300:] *= 3
    spread = draw.integers(0, 4, (2, row_count))
    spread[:, 150:270] = 0
    close = np.maximum(ticks, 10.0)
    high, low = close + spread[0], close - spread[1]
    opened = np.clip(np.concatenate((close[:1], close[:-1])), low, high)
    volume = np.where(np.arange(row_count) % 90 < 30, 0.0, draw.integers(0, 90, row_count) * 0.01)
    bars = {"open": opened * tick, "high": high * tick, "low": low * tick, "close": close * tick}
    return {**bars, "volume": volume}


def column_scale(indicator: Indicator, bars: Bars) -> float:
    """Give the largest price an indicator reads."""
    return max(float(np.abs(bars[source]).max()) for source in indicator.columns if source != "volume")
