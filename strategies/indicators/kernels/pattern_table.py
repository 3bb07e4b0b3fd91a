"""The rules of the candlestick patterns as arrays, which one kernel runs.

Words for conditions, each of the bar its brackets name:

    white, black            closes at its open or above; below it
    long, short, small      body above, below, not above the mean of the ten bodies before it
    doji                    body not above a tenth of the mean range of the ten bars before it
    no_upper, no_lower      shadow below a tenth of that
    body_gap_up, gap_up     bottom of the body above the top of the one before; low above the high before
    x ~ y by z              x within z of y, the ends included

and for lengths: near, far and equal are 0.2, 0.6 and 0.05 of the mean range of five bars.  These are
TA-Lib's candle settings as it comes.  A mean is that of the bars before the one it is written for.

A condition compares one series with another, plus a factor times a third: x[a] op y[b] + f * z[c].
"""

from re import sub
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategies.indicators.kernels.candle_rules import PATTERNS

Table = NDArray[np.int64]
Rows = NDArray[np.uint64]
Flags = NDArray[np.uint8]

SERIES = (
    "nothing",
    "open",
    "high",
    "low",
    "close",
    "top",
    "bottom",
    "middle",
    "body",
    "upper",
    "lower",
    "body_change",
    "body_mean",
    "range_mean",
    "near_mean",
    "shadow_mean",
)
OPERATORS = ("<", "<=", ">", ">=")
LAG_MAX = 6

_CONDITIONS = {
    "white": "close{0} >= open{0}",
    "black": "close{0} < open{0}",
    "long": "body{0} > body_mean{0}",
    "short": "body{0} < body_mean{0}",
    "small": "body{0} <= body_mean{0}",
    "doji": "body{0} <= 0.1 * range_mean{0}",
    "no_upper": "upper{0} < 0.1 * range_mean{0}",
    "no_lower": "lower{0} < 0.1 * range_mean{0}",
    "body_gap_up": "bottom{0} > top{1}",
    "body_gap_down": "top{0} < bottom{1}",
    "gap_up": "low{0} > high{1}",
    "gap_down": "high{0} < low{1}",
}
_LENGTHS = {"near": "0.2 * near_mean", "far": "0.6 * near_mean", "equal": "0.05 * near_mean"}

_NEEDS = {
    "upper": ("top",),
    "lower": ("bottom",),
    "body_change": ("body",),
    "body_mean": ("body",),
    "shadow_mean": ("top", "bottom", "upper", "lower"),
}
"""What else is computed for a series."""

COMMON, CASE = 0, 1


def _operand(word: str) -> tuple[int, int]:
    """Read a series and its lag."""
    name, _, lag = word.rstrip("]").partition("[")
    found = int(lag or 0)
    if found > LAG_MAX:
        message = f"{word} is more than {LAG_MAX} bars back"
        raise ValueError(message)
    return SERIES.index(name), found


def _spelled(condition: str) -> list[str]:
    """Write a condition out, as one or two comparisons."""
    name, bracket, lag = condition.partition("[")
    if name in _CONDITIONS:
        back = int(lag.rstrip("]") or 0)
        return [_CONDITIONS[name].format(bracket + lag, f"[{back + 1}]")]
    if " ~ " in condition:
        value, _, center = condition.partition(" ~ ")
        center, _, reach = center.partition(" by ")
        return [f"{value} <= {center} + {reach}", f"{value} >= {center} - {reach}"]
    return [condition]


def _comparison(text: str) -> tuple[list[int], float, float]:
    """Read `x op y`, `x op y + f * z`, `x op f * z` and `x op z` with a length for f * z."""
    for length, meaning in _LENGTHS.items():
        text = sub(rf"\b{length}\b", meaning, text)
    left, operator, *right = text.split()
    base, sign, factor, term = "nothing", 1.0, "1", "nothing"
    if len(right) == 1:
        (base,) = right
    elif len(right) == 3:  # noqa: PLR2004 - f * z
        factor, _, term = right
    else:
        base, plus, factor, _, term = right
        sign = 1.0 if plus == "+" else -1.0
    place = OPERATORS.index(operator)
    numbers = [*_operand(left), 1 - place % 2, *_operand(base), *_operand(term)]
    # Of the penetration only the sign is known here: infinite, for the kernel to put the parameter in.
    return numbers, sign * (float("inf") if factor == "penetration" else float(factor)), 1.0 if place < 2 else -1.0  # noqa: PLR2004


class Tables(NamedTuple):
    """What the kernel reads."""

    programs: Table
    rules: Table
    conditions: Table
    factors: NDArray[np.float64]
    signs: NDArray[np.float64]
    needed: Table


def _needed() -> Table:
    """Mark for every series itself and what it is made of."""
    needed = np.eye(len(SERIES), dtype=np.int64)
    for name, others in _NEEDS.items():
        for other in others:
            needed[SERIES.index(name), SERIES.index(other)] = 1
    return needed


def _built() -> Tables:
    programs: list[tuple[int, int]] = []
    rules: list[tuple[int, int, int, int]] = []
    conditions: list[list[int]] = []
    factors: list[float] = []
    signs: list[float] = []
    for groups in PATTERNS.values():
        first_rule = len(rules)
        for group in groups:
            for role, result, text in ((COMMON, 0, group.common), *((CASE, *case) for case in group.cases)):
                begin = len(conditions)
                spelled = [each for condition in filter(None, text.split(", ")) for each in _spelled(condition)]
                for comparison in spelled:
                    numbers, factor, sign = _comparison(comparison)
                    conditions.append(numbers)
                    factors.append(factor)
                    signs.append(sign)
                rules.append((role, result, begin, len(conditions)))
        programs.append((first_rule, len(rules)))
    made = _needed()
    return Tables(np.array(programs), np.array(rules), np.array(conditions), np.array(factors), np.array(signs), made)


PROGRAMS, RULES, CONDITIONS, FACTORS, SIGNS, NEEDED = _built()
"""Rules of a pattern; role, result and conditions of a rule; series, lags and whether equal ones are out of a
condition; its factor; -1 where greater is meant, which is less with signs turned; of which series, all of them
before it, one is made."""
