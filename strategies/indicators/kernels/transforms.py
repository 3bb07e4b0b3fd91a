"""Transforms of one value or a few: logarithms and signs, changes, crosses, and the value of bars ago."""

from math import exp, log, nan, sqrt

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import lag_keep, lag_next, lag_run
from strategies.indicators.kernels.lags import lag_slots as lag_block
from strategies.indicators.kernels.parts import greater, lesser

SEEN = 0
PERIOD = 1


# LAG and CHANGE

LAG = 2


def lag_slots(bars: int) -> int:
    """Give the length of a lag's state."""
    return LAG + lag_block(bars)


@compiled(outputs(1), STATE, VALUE)
def lag_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the value of PERIOD bars ago."""
    return (lag_next(state, LAG, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def lag_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n of PERIOD bars before to `out`."""
    lag_run(state, LAG, int(state[PERIOD]), values, out)


change_slots = lag_slots


@compiled(outputs(1), STATE, VALUE)
def change_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the difference to the value of PERIOD bars ago."""
    return (value - lag_next(state, LAG, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def change_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n differences to `out`."""
    period = int(state[PERIOD])
    first = min(values.size, period)
    for row in range(first):
        out[row] = values[row] - lag_next(state, LAG, period, values[row])
    now = values[first:]
    later = out[first:]
    for row in range(later.size):
        later[row] = now[row] - values[row]
    lag_keep(state, LAG, period, values)


# What looks at one bar alone keeps nothing.


def _nothing(*_: float) -> int:
    """Give the length of an empty state, parameters aside."""
    return 3


log_slots = exp_slots = sqrt_slots = absolute_slots = sign_slots = _nothing
minimum_slots = maximum_slots = clip_slots = where_slots = _nothing


@inlined
def _sign(value: float) -> float:
    """Give 1, 0 or -1; NaN of NaN."""
    if value > 0.0:
        return 1.0
    return -1.0 if value < 0.0 else value * 0.0


@compiled(outputs(1), STATE, VALUE)
def log_step(state: Vector, value: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take one bar into its natural logarithm; NaN of what is not positive."""
    return (log(value) if value > 0.0 else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def log_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values, one by one."""
    for row in range(values.size):
        out[row] = log_step(state, values[row])[0]


@compiled(outputs(1), STATE, VALUE)
def exp_step(state: Vector, value: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take one bar into its exponential."""
    return (exp(value),)


@compiled(VOID, STATE, COLUMN, STATE)
def exp_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values, one by one."""
    for row in range(values.size):
        out[row] = exp_step(state, values[row])[0]


@compiled(outputs(1), STATE, VALUE)
def sqrt_step(state: Vector, value: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take one bar into its square root; NaN of what is negative."""
    return (sqrt(value) if value >= 0.0 else nan,)


@compiled(VOID, STATE, COLUMN, STATE)
def sqrt_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values, one by one."""
    for row in range(values.size):
        out[row] = sqrt_step(state, values[row])[0]


@compiled(outputs(1), STATE, VALUE)
def absolute_step(state: Vector, value: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take one bar into its magnitude."""
    return (abs(value),)


@compiled(VOID, STATE, COLUMN, STATE)
def absolute_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values, one by one."""
    for row in range(values.size):
        out[row] = absolute_step(state, values[row])[0]


@compiled(outputs(1), STATE, VALUE)
def sign_step(state: Vector, value: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take one bar into 1, 0 or -1 by its sign; NaN stays NaN."""
    return (_sign(value),)


@compiled(VOID, STATE, COLUMN, STATE)
def sign_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values, one by one."""
    for row in range(values.size):
        out[row] = sign_step(state, values[row])[0]


@compiled(outputs(1), STATE, VALUE, VALUE)
def minimum_step(state: Vector, left: float, right: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take one bar in; give the lesser of two values, NaN if either is."""
    return (lesser(left, right),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def minimum_batch(state: Vector, left: Vector, right: Vector, out: Vector) -> None:
    """Take a chunk of n pairs, one by one."""
    for row in range(left.size):
        out[row] = minimum_step(state, left[row], right[row])[0]


@compiled(outputs(1), STATE, VALUE, VALUE)
def maximum_step(state: Vector, left: float, right: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take one bar in; give the greater of two values, NaN if either is."""
    return (greater(left, right),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def maximum_batch(state: Vector, left: Vector, right: Vector, out: Vector) -> None:
    """Take a chunk of n pairs, one by one."""
    for row in range(left.size):
        out[row] = maximum_step(state, left[row], right[row])[0]


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def where_step(
    state: Vector,  # noqa: ARG001 - it keeps nothing
    condition: float,
    yes: float,
    no: float,
) -> tuple[float]:
    """Take one bar in; give `yes` where the condition is neither 0 nor NaN, else `no`."""
    return (yes if condition != 0.0 and condition == condition else no,)  # noqa: PLR0124 - NaN differs from itself


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def where_batch(state: Vector, condition: Vector, yes: Vector, no: Vector, out: Vector) -> None:
    """Take a chunk of n triples, one by one."""
    for row in range(condition.size):
        out[row] = where_step(state, condition[row], yes[row], no[row])[0]


CLIP_LOW = 1
CLIP_HIGH = 2


@compiled(outputs(1), STATE, VALUE)
def clip_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the value, or the bound it is beyond."""
    return (greater(state[CLIP_LOW], lesser(state[CLIP_HIGH], value)),)


@compiled(VOID, STATE, COLUMN, STATE)
def clip_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values, one by one."""
    for row in range(values.size):
        out[row] = clip_step(state, values[row])[0]


# Crosses.  SEEN stops at 1; the side is that of the last bar on which the two were not equal.

CROSS_SIDE = 1
CROSS_SLOTS = 2


def crossed_above_slots() -> int:
    """Give the length of a cross' state."""
    return CROSS_SLOTS


crossed_below_slots = crossed_above_slots


@inlined
def _crossed(state: Vector, left: float, right: float) -> float:
    """Give 1 or -1 where `left` came to the other side of `right`, else 0; NaN on the first bar."""
    # Sums of truths rather than branches: which way a market goes is what no processor predicts.
    side = (left > right) * 1.0 - (left < right) * 1.0
    before = state[CROSS_SIDE]
    first = state[SEEN] == 0.0
    state[SEEN] = 1.0
    state[CROSS_SIDE] = side + before * ((side == 0.0) * 1.0)
    return nan if first else side * ((side * before < 0.0) * 1.0)


@compiled(outputs(1), STATE, VALUE, VALUE)
def crossed_above_step(state: Vector, left: float, right: float) -> tuple[float]:
    """Take one bar in; give 1.0 where `left` comes from below `right` to above it, else 0.0."""
    crossed = _crossed(state, left, right)
    return (crossed * 0.0 + (crossed == 1.0) * 1.0,)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def crossed_above_batch(state: Vector, left: Vector, right: Vector, out: Vector) -> None:
    """Take a chunk of n pairs, one by one."""
    for row in range(left.size):
        out[row] = crossed_above_step(state, left[row], right[row])[0]


@compiled(outputs(1), STATE, VALUE, VALUE)
def crossed_below_step(state: Vector, left: float, right: float) -> tuple[float]:
    """Take one bar in; give 1.0 where `left` comes from above `right` to below it, else 0.0."""
    crossed = _crossed(state, left, right)
    return (crossed * 0.0 + (crossed == -1.0) * 1.0,)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def crossed_below_batch(state: Vector, left: Vector, right: Vector, out: Vector) -> None:
    """Take a chunk of n pairs, one by one."""
    for row in range(left.size):
        out[row] = crossed_below_step(state, left[row], right[row])[0]


# BARS_SINCE -- the count alone.

SINCE_COUNT = 1
SINCE_SLOTS = 2


def bars_since_slots() -> int:
    """Give the length of the count's state."""
    return SINCE_SLOTS


@compiled(outputs(1), STATE, VALUE)
def bars_since_step(state: Vector, condition: float) -> tuple[float]:
    """Take one bar in; give how many bars ago the condition was last neither 0 nor NaN.

    Before it ever was, the count is of all bars so far.
    """
    true = condition != 0.0 and condition == condition  # noqa: PLR0124 - NaN differs from itself
    state[SINCE_COUNT] = 0.0 if true else state[SINCE_COUNT] + 1.0
    return (state[SINCE_COUNT],)


@compiled(VOID, STATE, COLUMN, STATE)
def bars_since_batch(state: Vector, condition: Vector, out: Vector) -> None:
    """Take a chunk of n conditions and write n counts to `out`."""
    for row in range(condition.size):
        out[row] = bars_since_step(state, condition[row])[0]
