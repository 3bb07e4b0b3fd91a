"""Transforms: what expressions need beside operators, also over the values of other indicators."""

from strategies.indicators.declaration import (
    Indicator,
    Kind,
    Source,
    add,
    bars,
    declare,
    number,
)
from strategies.indicators.expression import VALUE


def _at_once(*_: float) -> int:
    """Say that there is a value from the first bar on."""
    return 0


def _after(bars: int) -> int:
    """Say that there is none for so many bars."""
    return bars


def _ordered(low: float, high: float) -> None:
    if low >= high:
        message = f"clip: low must be below high, got {low:g} and {high:g}"
        raise ValueError(message)


_CLIP_MAX = 1e15

add(
    Kind("lag", "transforms", (bars("bars", 1),), ("close",), VALUE, _after),
    Kind("change", "transforms", (bars("bars", 1),), ("close",), VALUE, _after),
    Kind("log", "transforms", (), ("close",), VALUE, _at_once),
    Kind("exp", "transforms", (), ("close",), VALUE, _at_once),
    Kind("sqrt", "transforms", (), ("close",), VALUE, _at_once),
    Kind("absolute", "transforms", (), ("close",), VALUE, _at_once),
    Kind("sign", "transforms", (), ("close",), VALUE, _at_once),
    Kind("minimum", "transforms", (), ("close", "open"), VALUE, _at_once),
    Kind("maximum", "transforms", (), ("close", "open"), VALUE, _at_once),
    Kind("where", "transforms", (), ("close", "high", "low"), VALUE, _at_once),
    Kind(
        "clip",
        "transforms",
        (number("low", -1.0, -_CLIP_MAX, _CLIP_MAX), number("high", 1.0, -_CLIP_MAX, _CLIP_MAX)),
        ("close",),
        VALUE,
        _at_once,
        _ordered,
    ),
    Kind("crossed_above", "transforms", (), ("close", "open"), VALUE, lambda: 1),
    Kind("crossed_below", "transforms", (), ("close", "open"), VALUE, lambda: 1),
    Kind("bars_since", "transforms", (), ("close",), VALUE, _at_once),
)


def lag(bars: int = 1, source: Source = "close") -> Indicator:
    """Declare the value of `bars` >= 1 bars ago; the same as `source.lag(bars)`."""
    return declare("lag", bars, sources=(source,))


def change(bars: int = 1, source: Source = "close") -> Indicator:
    """Declare the difference to the value of `bars` >= 1 bars ago (TA-Lib MOM)."""
    return declare("change", bars, sources=(source,))


def log(source: Source = "close") -> Indicator:
    """Declare the natural logarithm; NaN of what is not positive."""
    return declare("log", sources=(source,))


def exp(source: Source = "close") -> Indicator:
    """Declare the exponential."""
    return declare("exp", sources=(source,))


def sqrt(source: Source = "close") -> Indicator:
    """Declare the square root; NaN of what is negative."""
    return declare("sqrt", sources=(source,))


def absolute(source: Source = "close") -> Indicator:
    """Declare the magnitude."""
    return declare("absolute", sources=(source,))


def sign(source: Source = "close") -> Indicator:
    """Declare 1, 0 or -1 by the sign."""
    return declare("sign", sources=(source,))


def minimum(left: Source | float = "close", right: Source | float = "open") -> Indicator:
    """Declare the lesser of two values, NaN if either is."""
    return declare("minimum", sources=(left, right))


def maximum(left: Source | float = "close", right: Source | float = "open") -> Indicator:
    """Declare the greater of two values, NaN if either is."""
    return declare("maximum", sources=(left, right))


def where(condition: Source, yes: Source | float = "high", no: Source | float = "low") -> Indicator:
    """Declare `yes` on bars where the condition is neither 0 nor NaN, and `no` on the others."""
    return declare("where", sources=(condition, yes, no))


def clip(low: float = -1.0, high: float = 1.0, source: Source = "close") -> Indicator:
    """Declare the value kept within `low` < `high`."""
    return declare("clip", low, high, sources=(source,))


def crossed_above(left: Source | float, right: Source | float) -> Indicator:
    """Declare 1.0 on bars where `left` comes from below `right` to above it, else 0.0.

    Bars on which the two are equal lie on the side they came from: touching is not crossing.
    """
    return declare("crossed_above", sources=(left, right))


def crossed_below(left: Source | float, right: Source | float) -> Indicator:
    """Declare 1.0 on bars where `left` comes from above `right` to below it, else 0.0; as `crossed_above`."""
    return declare("crossed_below", sources=(left, right))


def bars_since(condition: Source) -> Indicator:
    """Declare how many bars ago the condition was last neither 0 nor NaN; before it ever was, all bars so far."""
    return declare("bars_since", sources=(condition,))
