"""What one bar looks like, beside the bar before it: ratios, gaps, inside and outside bars, Heikin-Ashi, pivots."""

from math import nan

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs

SEEN = 0


# SHAPE -- one kernel for all that is a number per bar; NUMBER says which.  SEEN stops at 1.

NUMBER = 1
HIGH = 2
LOW = 3
CLOSE = 4
SHAPE_SLOTS = 5
BODY, UPPER, LOWER, LOCATION, RANGE, GAP, INSIDE, OUTSIDE = 0, 1, 2, 3, 4, 5, 6, 7


def shape_slots() -> int:
    """Give the length of a shape's state."""
    return SHAPE_SLOTS


@inlined
def _part(length: float, whole: float) -> float:
    """Give a part of the whole, 0 of nothing."""
    return 0.0 if whole == 0.0 else length / whole


@inlined
def _shape(state: Vector, opened: float, high: float, low: float, close: float) -> float:
    """Take one bar in; give the number NUMBER asks for."""
    number = state[NUMBER]
    before_high, before_low, before = state[HIGH], state[LOW], state[CLOSE]
    first = state[SEEN] == 0.0
    state[SEEN] = 1.0
    state[HIGH], state[LOW], state[CLOSE] = high, low, close
    if number >= GAP and first:
        return nan
    found = 0.0
    if number == BODY:
        found = _part(abs(close - opened), high - low)
    elif number == UPPER:
        found = _part(high - max(opened, close), high - low)
    elif number == LOWER:
        found = _part(min(opened, close) - low, high - low)
    elif number == LOCATION:
        found = _part((close - low) - (high - close), high - low)
    elif number == RANGE:
        found = 100.0 * _part(high - low, close)
    elif number == GAP:
        found = 100.0 * _part(opened - before, before)
    elif number == INSIDE:
        found = 1.0 if high < before_high and low > before_low else 0.0
    elif number == OUTSIDE:
        found = 1.0 if high > before_high and low < before_low else 0.0
    return found


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def shape_step(state: Vector, opened: float, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar in; give a number of its shape."""
    return (_shape(state, opened, high, low, close),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def shape_batch(state: Vector, opened: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n numbers to `out`."""
    for row in range(close.size):
        out[row] = _shape(state, opened[row], high[row], low[row], close[row])


# HEIKIN_ASHI -- SEEN stops at 1.

ASHI_OPEN = 1
ASHI_CLOSE = 2
ASHI_SLOTS = 3


def heikin_ashi_slots() -> int:
    """Give the length of the state: the last averaged open and close."""
    return ASHI_SLOTS


@inlined
def _averaged(state: Vector, opened: float, high: float, low: float, close: float) -> tuple[float, float, float, float]:
    """Take one bar in; give the averaged one."""
    begun = (state[ASHI_OPEN] + state[ASHI_CLOSE]) / 2.0 if state[SEEN] == 1.0 else (opened + close) / 2.0
    ended = (opened + high + low + close) / 4.0
    state[SEEN] = 1.0
    state[ASHI_OPEN] = begun
    state[ASHI_CLOSE] = ended
    return begun, max(high, begun, ended), min(low, begun, ended), ended


@compiled(outputs(4), STATE, VALUE, VALUE, VALUE, VALUE)
def heikin_ashi_step(
    state: Vector, opened: float, high: float, low: float, close: float
) -> tuple[float, float, float, float]:
    """Take one bar in; give the Heikin-Ashi bar: open, high, low, close."""
    return _averaged(state, opened, high, low, close)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE, STATE, STATE, STATE)
def heikin_ashi_batch(
    state: Vector,
    opened: Vector,
    high: Vector,
    low: Vector,
    close: Vector,
    out_open: Vector,
    out_high: Vector,
    out_low: Vector,
    out_close: Vector,
) -> None:
    """Take a chunk of n bars in and write n averaged ones."""
    for row in range(close.size):
        begun, top, bottom, ended = _averaged(state, opened[row], high[row], low[row], close[row])
        out_open[row] = begun
        out_high[row] = top
        out_low[row] = bottom
        out_close[row] = ended


# PIVOTS -- keeps nothing.


def pivots_slots() -> int:
    """Give the length of an empty state."""
    return 1


@inlined
def _pivots(high: float, low: float, close: float) -> tuple[float, float, float, float, float, float, float]:
    """Give the floor pivots of a bar."""
    pivot = (high + low + close) / 3.0
    return (
        pivot,
        2.0 * pivot - low,
        pivot + (high - low),
        high + 2.0 * (pivot - low),
        2.0 * pivot - high,
        pivot - (high - low),
        low - 2.0 * (high - pivot),
    )


@compiled(outputs(7), STATE, VALUE, VALUE, VALUE)
def pivots_step(
    state: Vector,  # noqa: ARG001 - it keeps nothing
    high: float,
    low: float,
    close: float,
) -> tuple[float, float, float, float, float, float, float]:
    """Take one bar in; give its pivot, three resistances, three supports."""
    return _pivots(high, low, close)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE, STATE, STATE, STATE, STATE, STATE, STATE)
def pivots_batch(
    state: Vector,  # noqa: ARG001 - it keeps nothing
    high: Vector,
    low: Vector,
    close: Vector,
    pivot: Vector,
    r1: Vector,
    r2: Vector,
    r3: Vector,
    s1: Vector,
    s2: Vector,
    s3: Vector,
) -> None:
    """Take a chunk of n bars in and write n of each level."""
    for row in range(close.size):
        found = _pivots(high[row], low[row], close[row])
        pivot[row], r1[row], r2[row], r3[row], s1[row], s2[row], s3[row] = found
