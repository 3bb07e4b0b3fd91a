"""Candlestick patterns: one kernel that runs the rules of `candle_rules`, a number in the state says whose.

A pattern looks at fifteen bars at most, which the state holds.  A step judges the newest by the rules until
the first condition fails, with means computed where a condition asks for them.  A batch goes through the
conditions a stretch of rows at a time: each leaves fewer rows to the next, and a series is computed when the first
asks for it.  Both compare the same numbers: sums of ten are made of sums of eight and two, those of four and two.
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
    Flags,
    Rows,
)

SEEN = 0
PENETRATION = 1
NUMBER = 2
LOOKBACK = 3
WINDOW = 4
KEPT = 15
BEFORE = KEPT - 1
STRETCH = 2048
SPARSE = 8
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
Bars = tuple[Vector, Vector, Vector, Vector]
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
def _fill_means(lengths: Vector, fours: Vector, means: Vector, count: int) -> None:
    """Fill a column with the mean of the `count` (ten or five) lengths before each row; the first rows are none."""
    size = lengths.size
    # Slices with a plain index: numba checks no other for being negative, and the loops become vectors.
    one, two, three, four = lengths[3:], lengths[2:], lengths[1:], lengths
    for row in range(size - 3):
        fours[row] = (one[row] + two[row]) + (three[row] + four[row])
    if count == TEN:
        newest, newer, older, oldest, mean = fours[6:], fours[2:], lengths[1:], lengths, means[10:]
        for row in range(size - 10):
            mean[row] = ((newest[row] + newer[row]) + (older[row] + oldest[row])) / 10.0
    else:
        newest, mean = fours[1:], means[5:]
        for row in range(size - 5):
            mean[row] = (newest[row] + lengths[row]) / 5.0


@inlined
def _column(table: Vector, series: int, size: int) -> Vector:
    """Give a series' rows."""
    return table[series * WIDTH : series * WIDTH + size]


@inlined
def _fill(table: Vector, bars: Bars, series: int, size: int) -> None:
    """Compute a series from the bars and from others that stand in the table."""
    opened, high, low, close = bars
    top, bottom, body = _column(table, TOP, size), _column(table, BOTTOM, size), _column(table, BODY, size)
    found = _column(table, series, size)
    if series <= CLOSE:
        column = bars[series - OPEN]
        for row in range(size):
            found[row] = column[row]
    elif series == TOP:
        for row in range(size):
            found[row] = close[row] if close[row] >= opened[row] else opened[row]  # noqa: FURB136 - one way of NaN
    elif series == BOTTOM:
        for row in range(size):
            found[row] = opened[row] if close[row] >= opened[row] else close[row]  # noqa: FURB136 - as above
    elif series == BODY:
        for row in range(size):
            found[row] = abs(close[row] - opened[row])
    elif series == UPPER:
        for row in range(size):
            found[row] = high[row] - top[row]
    elif series == LOWER:
        for row in range(size):
            found[row] = bottom[row] - low[row]
    elif series == MIDDLE:
        for row in range(size):
            found[row] = low[row] + (high[row] - low[row]) / 2.0
    elif series == BODY_CHANGE:
        later, change = body[1:], found[1:]
        for row in range(size - 1):
            change[row] = abs(body[row] - later[row])
    else:
        lengths = _column(table, SERIES_COUNT, size)
        if series == BODY_MEAN:
            lengths = body
        elif series == SHADOW_MEAN:
            upper, lower = _column(table, UPPER, size), _column(table, LOWER, size)
            for row in range(size):
                lengths[row] = upper[row] + lower[row]
        else:
            for row in range(size):
                lengths[row] = high[row] - low[row]
        fours = _column(table, SERIES_COUNT + 1, size)
        _fill_means(lengths, fours, found, FIVE if series == NEAR_MEAN else TEN)


@inlined
def _have(table: Vector, bars: Bars, size: int, there: Flags, series: int) -> None:
    """See to it that a series stands in the table, and what it is made of."""
    for made in range(OPEN, series + 1):
        if NEEDED[series, made] and there[made] == 0:
            _fill(table, bars, made, size)
            there[made] = 1


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
def _mark(left: Vector, base: Vector, term: Vector, sign: float, factor: float, strict: int, marks: Flags) -> int:
    """Leave marks at those of the marked rows of which a condition holds; say at how many."""
    if strict == 1:
        for row in range(marks.size):
            marks[row] &= sign * left[row] < sign * base[row] + factor * term[row]
    else:
        for row in range(marks.size):
            marks[row] &= sign * left[row] <= sign * base[row] + factor * term[row]
    total = 0
    for row in range(marks.size):
        total += marks[row]
    return total


@inlined
def _rows_of(marks: Flags, rows: Rows) -> None:
    """List the marked rows; `marks` has whole words, the rest of the last one not marked."""
    kept = ONE - ONE
    words = marks.view(np.uint64)
    for word in range(words.size):
        if words[word] != ONE - ONE:
            for row in range(8 * word, 8 * word + 8):
                rows[kept] = row
                kept += marks[row]


@inlined
def _judge(
    state: Vector, table: Vector, bars: Bars, there: Flags, marks: Flags, common: Rows, rows: Rows, out: Vector
) -> None:
    """Fill a stretch of rows with the pattern's values: 0 is not decided, infinite a 0 that is.

    `bars` begin BEFORE rows earlier.
    """
    number = int(state[NUMBER])
    size = BEFORE + out.size
    for row in range(out.size):
        out[row] = 0.0
    in_common = 0
    is_listed = False
    has_zeros = False
    for rule in range(PROGRAMS[number, 0], PROGRAMS[number, 1]):
        is_common = RULES[rule, ROLE] == COMMON
        result = RULES[rule, RESULT]
        decided = inf if result == 0 else float(result)
        at, end = RULES[rule, FIRST], RULES[rule, END]
        if is_common:
            # A group without a common condition leaves the rows to its cases, not listed.
            is_listed = False
            count = in_common = out.size
            if at == end:
                continue
        elif is_listed:
            count = in_common
            for row in range(count):
                rows[row] = common[row]
        is_dense = not is_listed
        if is_dense:
            count = out.size
            for row in range(count):
                marks[row] = 1
            for row in range(count, marks.size):
                marks[row] = 0
        # Many rows by marks, which vectors are made for; few of them by their list.
        while at < end and count > 0:
            for operand in (LEFT, BASE, TERM):
                series = CONDITIONS[at, operand]
                if there[series] == 0:
                    _have(table, bars, size, there, series)
            left = table[CONDITIONS[at, LEFT] * WIDTH + BEFORE - CONDITIONS[at, LEFT_LAG] :]
            base = table[CONDITIONS[at, BASE] * WIDTH + BEFORE - CONDITIONS[at, BASE_LAG] :]
            term = table[CONDITIONS[at, TERM] * WIDTH + BEFORE - CONDITIONS[at, TERM_LAG] :]
            sign, strict = SIGNS[at], CONDITIONS[at, STRICT]
            factor = sign * _factor(state, at)
            if is_dense:
                count = _mark(left, base, term, sign, factor, strict, marks[: out.size])
                is_dense = count * SPARSE >= out.size or at + 1 == end
                if not is_dense:
                    _rows_of(marks, rows)
            else:
                count = _keep(left, base, term, sign, factor, strict, rows, count)
            at += 1
        if is_common:
            if is_dense:
                _rows_of(marks, rows)
            is_listed = True
            in_common = 0
            for row in range(count):
                common[in_common] = rows[row]
                in_common += 1 if out[rows[row]] == 0.0 else 0
        else:
            if is_dense:
                for row in range(out.size):
                    out[row] = decided if marks[row] != 0 and out[row] == 0.0 else out[row]
            else:
                for listed in range(count):
                    row = rows[listed]
                    out[row] = decided if out[row] == 0.0 else out[row]
            has_zeros = has_zeros or result == 0
    if has_zeros:
        for row in range(out.size):
            out[row] = 0.0 if out[row] == inf else out[row]


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def candle_batch(state: Vector, opened: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars into a candlestick pattern and write n values to `out`."""
    row = 0
    while row < close.size and row < BEFORE:
        out[row] = candle_step(state, opened[row], high[row], low[row], close[row])[0]
        row += 1
    if row == close.size:
        return
    table = np.empty((SERIES_COUNT + 2) * WIDTH)
    for row in range(WIDTH):
        table[row] = 0.0
    common, rows = np.empty(STRETCH, np.uint64), np.empty(STRETCH, np.uint64)
    marks, there = np.empty(STRETCH, np.uint8), np.ones(SERIES_COUNT, np.uint8)
    for begin in range(BEFORE, close.size, STRETCH):
        end = min(begin + STRETCH, close.size)
        first = begin - BEFORE
        bars = (opened[first:end], high[first:end], low[first:end], close[first:end])
        for series in range(OPEN, SERIES_COUNT):
            there[series] = 0
        _judge(state, table, bars, there, marks, common, rows, out[begin:end])
    for row in range(KEPT):
        last = close.size - KEPT + row
        state[WINDOW + row] = opened[last]
        state[WINDOW + KEPT + row] = high[last]
        state[WINDOW + 2 * KEPT + row] = low[last]
        state[WINDOW + 3 * KEPT + row] = close[last]
