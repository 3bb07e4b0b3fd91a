"""Candlestick patterns: one kernel that runs the rules of `candle_rules`, a number in the state says whose.

A pattern looks at fifteen bars at most, which the state holds.  A step judges the newest by the rules until
the first condition fails, with means computed where a condition asks for them.  A batch computes the series
the pattern needs for a stretch of rows, and then goes through the conditions: each leaves fewer rows to the
next.  Both compare the same numbers: sums of ten are made of sums of eight and two, those of four and two.
"""

from math import inf, nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.pattern_table import (
    CONDITIONS,
    FACTORS,
    NEEDED,
    PROGRAMS,
    RULES,
    SIGNS,
    Rows,
    Table,
)

SEEN = 0
PENETRATION = 1
NUMBER = 2
LOOKBACK = 3
WINDOW = 4
KEPT = 15
BEFORE = KEPT - 1
STRETCH = 2048
WIDTH = BEFORE + STRETCH

OPEN, HIGH, LOW, CLOSE, TOP, BOTTOM, MIDDLE = 1, 2, 3, 4, 5, 6, 7
BODY, UPPER, LOWER, BODY_CHANGE = 8, 9, 10, 11
BODY_MEAN, RANGE_MEAN, NEAR_MEAN, SHADOW_MEAN = 12, 13, 14, 15
SERIES_COUNT = 16
BODIES, RANGES, SHADOWS = 0, 1, 2
TEN, FIVE = 10, 5
COMMON = 0
ROLE, RESULT, FIRST, END = 0, 1, 2, 3
LEFT, LEFT_LAG, STRICT, BASE, BASE_LAG, TERM, TERM_LAG = 0, 1, 2, 3, 4, 5, 6
ONE = np.uint64(1)  # An index that cannot be negative spares numba a check.


def candle_slots(*_: float) -> int:
    """Give the length of a pattern's state: counter, penetration, number, lookback, four columns of bars."""
    return WINDOW + 4 * KEPT


@inlined
def _length(state: Vector, kind: int, row: int) -> float:
    """Give a kept bar's body, range, or both shadows."""
    base = WINDOW + row
    opened, high = state[base], state[base + KEPT]
    low, close = state[base + 2 * KEPT], state[base + 3 * KEPT]
    if kind == BODIES:
        return abs(close - opened)
    if kind == RANGES:
        return high - low
    top, bottom = (close, opened) if close >= opened else (opened, close)
    return (high - top) + (bottom - low)


@inlined
def _mean(state: Vector, kind: int, row: int, count: int) -> float:
    """Give the mean length of the `count` (ten or five) bars before `row`."""
    total = 0.0
    two = 0.0
    four = 0.0
    for pair in range(count // 2):
        last = row - 1 - 2 * pair
        this = _length(state, kind, last) + _length(state, kind, last - 1)
        if pair % 2 == 0:
            two = this
        else:
            four = two + this
            total = four if pair == 1 else total + four
    return (total + (two if count == TEN else _length(state, kind, row - FIVE))) / count


@inlined
def _value(state: Vector, series: int, row: int) -> float:
    """Give a series' value of a kept bar."""
    base = WINDOW + row
    opened, high = state[base], state[base + KEPT]
    low, close = state[base + 2 * KEPT], state[base + 3 * KEPT]
    top, bottom = (close, opened) if close >= opened else (opened, close)
    found = 0.0
    if series == OPEN:
        found = opened
    elif series == HIGH:
        found = high
    elif series == LOW:
        found = low
    elif series == CLOSE:
        found = close
    elif series == TOP:
        found = top
    elif series == BOTTOM:
        found = bottom
    elif series == MIDDLE:
        found = low + (high - low) / 2.0
    elif series == BODY:
        found = abs(close - opened)
    elif series == UPPER:
        found = high - top
    elif series == LOWER:
        found = bottom - low
    elif series == BODY_CHANGE:
        found = abs(_length(state, BODIES, row - 1) - abs(close - opened))
    elif series >= BODY_MEAN:
        kind = BODIES if series == BODY_MEAN else SHADOWS if series == SHADOW_MEAN else RANGES
        found = _mean(state, kind, row, FIVE if series == NEAR_MEAN else TEN)
    return found


@inlined
def _factor(state: Vector, at: int) -> float:
    """Give a condition's factor; an infinite one stands for the penetration and tells its sign."""
    factor = FACTORS[at]
    if factor == inf:
        return state[PENETRATION]
    return -state[PENETRATION] if factor == -inf else factor


@inlined
def _holds(state: Vector, at: int) -> bool:
    """Say whether a condition holds of the newest bar."""
    sign = SIGNS[at]
    value = sign * _value(state, CONDITIONS[at, LEFT], BEFORE - CONDITIONS[at, LEFT_LAG])
    limit = sign * _value(state, CONDITIONS[at, BASE], BEFORE - CONDITIONS[at, BASE_LAG])
    term = _value(state, CONDITIONS[at, TERM], BEFORE - CONDITIONS[at, TERM_LAG])
    limit = limit + sign * _factor(state, at) * term
    return value < limit if CONDITIONS[at, STRICT] == 1 else value <= limit


@inlined
def _judged(state: Vector) -> float:
    """Give the pattern's value for the newest bar."""
    number = int(state[NUMBER])
    common = False
    for rule in range(PROGRAMS[number, 0], PROGRAMS[number, 1]):
        is_common = RULES[rule, ROLE] == COMMON
        holds = is_common or common
        at = RULES[rule, FIRST]
        while holds and at < RULES[rule, END]:
            holds = _holds(state, at)
            at += 1
        if is_common:
            common = holds
        elif holds:
            return float(RULES[rule, RESULT])
    return 0.0


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def candle_step(state: Vector, opened: float, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into a candlestick pattern."""
    for slot in range(WINDOW, WINDOW + 4 * KEPT - 1):
        state[slot] = state[slot + 1]
    state[WINDOW + BEFORE] = opened
    state[WINDOW + KEPT + BEFORE] = high
    state[WINDOW + 2 * KEPT + BEFORE] = low
    state[WINDOW + 3 * KEPT + BEFORE] = close
    if state[SEEN] < state[LOOKBACK]:
        state[SEEN] += 1.0
        return (nan,)
    return (_judged(state),)


@inlined
def _fill_means(lengths: Vector, twos: Vector, fours: Vector, means: Vector, count: int) -> None:
    """Fill a column with the mean of the `count` (ten or five) lengths before each row; the first rows are none."""
    size = lengths.size
    # Slices with a plain index: numba checks no other for being negative, and the loops become vectors.
    before = lengths[: size - 1]
    pairs = twos[1:]
    this = lengths[1:]
    for row in range(size - 1):
        pairs[row] = this[row] + before[row]
    older, newer = twos[1 : size - 2], twos[3:]
    both = fours[3:]
    for row in range(size - 3):
        both[row] = newer[row] + older[row]
    if count == TEN:
        four, four_before, two, mean = fours[9:], fours[5:], twos[1:], means[10:]
        for row in range(size - 10):
            mean[row] = ((four[row] + four_before[row]) + two[row]) / 10.0
    else:
        four, mean = fours[4:], means[5:]
        for row in range(size - 5):
            mean[row] = (four[row] + lengths[row]) / 5.0


@inlined
def _column(table: Vector, series: int, size: int) -> Vector:
    """Give a series' rows."""
    return table[series * WIDTH : series * WIDTH + size]


@inlined
def _fill_series(table: Vector, needed: Table, size: int) -> None:
    """Compute the series a pattern needs from the columns of its bars."""
    opened, high = _column(table, OPEN, size), _column(table, HIGH, size)
    low, close = _column(table, LOW, size), _column(table, CLOSE, size)
    top, bottom, body = _column(table, TOP, size), _column(table, BOTTOM, size), _column(table, BODY, size)
    upper, lower = _column(table, UPPER, size), _column(table, LOWER, size)
    lengths = _column(table, SERIES_COUNT, size)
    if needed[TOP]:
        for row in range(size):
            top[row] = close[row] if close[row] >= opened[row] else opened[row]  # noqa: FURB136 - one way of NaN
    if needed[BOTTOM]:
        for row in range(size):
            bottom[row] = opened[row] if close[row] >= opened[row] else close[row]  # noqa: FURB136 - as above
    if needed[BODY]:
        for row in range(size):
            body[row] = abs(close[row] - opened[row])
    if needed[UPPER]:
        for row in range(size):
            upper[row] = high[row] - top[row]
    if needed[LOWER]:
        for row in range(size):
            lower[row] = bottom[row] - low[row]
    if needed[MIDDLE]:
        middle = _column(table, MIDDLE, size)
        for row in range(size):
            middle[row] = low[row] + (high[row] - low[row]) / 2.0
    if needed[BODY_CHANGE]:
        change = _column(table, BODY_CHANGE, size)
        later, change = body[1:], change[1:]
        for row in range(size - 1):
            change[row] = abs(body[row] - later[row])
    for mean in range(BODY_MEAN, SHADOW_MEAN + 1):
        if needed[mean]:
            if mean == BODY_MEAN:
                for row in range(size):
                    lengths[row] = body[row]
            elif mean == SHADOW_MEAN:
                for row in range(size):
                    lengths[row] = upper[row] + lower[row]
            else:
                for row in range(size):
                    lengths[row] = high[row] - low[row]
            _fill_means(
                lengths,
                _column(table, SERIES_COUNT + 1, size),
                _column(table, SERIES_COUNT + 2, size),
                _column(table, mean, size),
                FIVE if mean == NEAR_MEAN else TEN,
            )


@inlined
def _keep(
    left: Vector, base: Vector, term: Vector, sign: float, factor: float, strict: int, rows: Rows, count: int
) -> int:
    """Keep of the first `count` rows those of which a condition holds; say how many."""
    kept = ONE - ONE
    if strict == 1:
        for at in range(count):
            row = rows[at]
            rows[kept] = row
            kept += ONE if sign * left[row] < sign * base[row] + factor * term[row] else ONE - ONE
    else:
        for at in range(count):
            row = rows[at]
            rows[kept] = row
            kept += ONE if sign * left[row] <= sign * base[row] + factor * term[row] else ONE - ONE
    return int(kept)


@inlined
def _keep_of_all(
    left: Vector, base: Vector, term: Vector, sign: float, factor: float, strict: int, rows: Rows, count: int
) -> int:
    """Keep of the first `count` rows of all those of which a condition holds; say how many."""
    kept = ONE - ONE
    if strict == 1:
        for row in range(count):
            rows[kept] = row
            kept += ONE if sign * left[row] < sign * base[row] + factor * term[row] else ONE - ONE
    else:
        for row in range(count):
            rows[kept] = row
            kept += ONE if sign * left[row] <= sign * base[row] + factor * term[row] else ONE - ONE
    return int(kept)


@inlined
def _judge(state: Vector, table: Vector, common: Rows, rows: Rows, out: Vector) -> None:
    """Fill a stretch of rows with the pattern's values: 0 is not decided, infinite a 0 that is."""
    number = int(state[NUMBER])
    for row in range(out.size):
        out[row] = 0.0
    in_common = 0
    has_zeros = False
    for rule in range(PROGRAMS[number, 0], PROGRAMS[number, 1]):
        is_common = RULES[rule, ROLE] == COMMON
        result = RULES[rule, RESULT]
        decided = inf if result == 0 else float(result)
        count = out.size if is_common else in_common
        if not is_common:
            for at in range(count):
                rows[at] = common[at]
        for at in range(RULES[rule, FIRST], RULES[rule, END]):
            left = table[CONDITIONS[at, LEFT] * WIDTH + BEFORE - CONDITIONS[at, LEFT_LAG] :]
            base = table[CONDITIONS[at, BASE] * WIDTH + BEFORE - CONDITIONS[at, BASE_LAG] :]
            term = table[CONDITIONS[at, TERM] * WIDTH + BEFORE - CONDITIONS[at, TERM_LAG] :]
            sign, strict = SIGNS[at], CONDITIONS[at, STRICT]
            factor = sign * _factor(state, at)
            if is_common and at == RULES[rule, FIRST]:
                count = _keep_of_all(left, base, term, sign, factor, strict, rows, count)
            else:
                count = _keep(left, base, term, sign, factor, strict, rows, count)
        if is_common:
            in_common = 0
            for at in range(count):
                row = rows[at]
                common[in_common] = row
                in_common += 1 if out[row] == 0.0 else 0
        else:
            for at in range(count):
                row = rows[at]
                out[row] = decided if out[row] == 0.0 else out[row]
            has_zeros = has_zeros or result == 0
    if has_zeros:
        for row in range(out.size):
            out[row] = 0.0 if out[row] == inf else out[row]


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def candle_batch(state: Vector, opened: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars into a candlestick pattern and write n values to `out`."""
    table = np.empty((SERIES_COUNT + 3) * WIDTH)
    for row in range(WIDTH):
        table[row] = 0.0
    common, rows = np.empty(STRETCH, np.uint64), np.empty(STRETCH, np.uint64)
    needed = NEEDED[int(state[NUMBER])]
    for begin in range(0, close.size, STRETCH):
        count = min(STRETCH, close.size - begin)
        for column, source in enumerate((opened, high, low, close)):
            kept = table[(OPEN + column) * WIDTH : (OPEN + column + 1) * WIDTH]
            window = WINDOW + column * KEPT
            for row in range(BEFORE):
                kept[row] = state[window + 1 + row]
            new, chunk = kept[BEFORE : BEFORE + count], source[begin : begin + count]
            for row in range(count):
                new[row] = chunk[row]
            for row in range(KEPT):
                state[window + row] = kept[count - 1 + row]
        _fill_series(table, needed, BEFORE + count)
        filled = out[begin : begin + count]
        _judge(state, table, common, rows, filled)
        warming = min(int(state[LOOKBACK] - state[SEEN]), count)
        for row in range(warming):
            filled[row] = nan
        state[SEEN] += warming
