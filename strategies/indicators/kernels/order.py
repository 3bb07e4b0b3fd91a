"""Values by their order of size: median, quantile, PERCENTILE and the median absolute deviation."""

from math import ceil, nan

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.ranks import ranked_next, ranked_slots

PERIOD = 1
SHARE = 2


# MEDIAN and MAD

MEDIAN = 2


def median_slots(period: int) -> int:
    """Give the length of the state."""
    return MEDIAN + ranked_slots(period)


mad_slots = median_slots


@inlined
def _middle(state: Vector, order: int, period: int) -> float:
    """Give the median of ordered values, NaN if there is one among them."""
    greatest = state[order + period - 1]
    if greatest != greatest:  # noqa: PLR0124 - NaN differs from itself
        return nan
    lower = state[order + (period - 1) // 2]
    upper = state[order + period // 2]
    return lower if lower == upper else lower + 0.5 * (upper - lower)


@compiled(outputs(1), STATE, VALUE)
def median_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a rolling median."""
    period = int(state[PERIOD])
    order = ranked_next(state, MEDIAN, period, value)
    return (nan if order < 0 else _middle(state, order, period),)


@compiled(VOID, STATE, COLUMN, STATE)
def median_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n medians to `out`."""
    for row in range(values.size):
        out[row] = median_step(state, values[row])[0]


@inlined
def _spread(state: Vector, order: int, period: int) -> float:
    """Give the median distance of ordered values from their median."""
    middle = _middle(state, order, period)
    # The distances below and above ascend outwards; the nearer of both is taken until half of all are.
    below = order + (period - 1) // 2
    above = below + 1
    lower = upper = 0.0
    for taken in range(period // 2 + 1):
        is_below = below >= order
        if is_below and above < order + period:
            is_below = middle - state[below] <= state[above] - middle
        distance = middle - state[below] if is_below else state[above] - middle
        if is_below:
            below -= 1
        else:
            above += 1
        if taken == (period - 1) // 2:
            lower = distance
        upper = distance
    return lower if lower == upper else lower + 0.5 * (upper - lower)


@compiled(outputs(1), STATE, VALUE)
def mad_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a median absolute deviation."""
    period = int(state[PERIOD])
    order = ranked_next(state, MEDIAN, period, value)
    return (nan if order < 0 else _spread(state, order, period),)


@compiled(VOID, STATE, COLUMN, STATE)
def mad_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n deviations to `out`."""
    for row in range(values.size):
        out[row] = mad_step(state, values[row])[0]


# QUANTILE and PERCENTILE

QUANTILE = 3


def quantile_slots(period: int, _: float) -> int:
    """Give the length of the state."""
    return QUANTILE + ranked_slots(period)


percentile_slots = quantile_slots


@compiled(outputs(1), STATE, VALUE)
def quantile_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a rolling quantile, between two values in proportion."""
    period = int(state[PERIOD])
    order = ranked_next(state, QUANTILE, period, value)
    if order < 0:
        return (nan,)
    greatest = state[order + period - 1]
    if greatest != greatest:  # noqa: PLR0124 - NaN differs from itself
        return (nan,)
    place = state[SHARE] * (period - 1.0)
    below = int(place)
    lower = state[order + below]
    upper = state[order + min(below + 1, period - 1)]
    return (lower if lower == upper else lower + (place - below) * (upper - lower),)


@compiled(VOID, STATE, COLUMN, STATE)
def quantile_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n quantiles to `out`."""
    for row in range(values.size):
        out[row] = quantile_step(state, values[row])[0]


@compiled(outputs(1), STATE, VALUE)
def percentile_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the value of the nearest rank (TA-Lib PERCENTILE)."""
    period = int(state[PERIOD])
    order = ranked_next(state, QUANTILE, period, value)
    if order < 0:
        return (nan,)
    greatest = state[order + period - 1]
    if greatest != greatest:  # noqa: PLR0124 - NaN differs from itself
        return (nan,)
    return (state[order + max(ceil(state[SHARE] / 100.0 * period), 1) - 1],)


@compiled(VOID, STATE, COLUMN, STATE)
def percentile_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n percentiles to `out`."""
    for row in range(values.size):
        out[row] = percentile_step(state, values[row])[0]
