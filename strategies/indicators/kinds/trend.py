"""Trend: whether there is one, how strong it is, and where it would be over."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare, number
from strategies.indicators.expression import VALUE

_HL = ("high", "low")
_HLC = ("high", "low", "close")


def _one_more(period: int) -> int:
    """Count the bars of a window of changes."""
    return period


def _twice(period: int) -> int:
    """Count the bars until an average of `period` averages of as many stands."""
    return 2 * period - 1


def _in_order(acceleration: float, maximum: float) -> None:
    if acceleration > maximum:
        message = f"sar: acceleration must be at most the maximum, got {acceleration:g} and {maximum:g}"
        raise ValueError(message)


def _widening(conversion: int, base: int, span: int) -> None:
    if not conversion <= base <= span:
        message = f"ichimoku: conversion, base and span must not fall, got {conversion:g}, {base:g} and {span:g}"
        raise ValueError(message)


add(
    Kind("plus_dm", "directional", (bars(),), _HL, VALUE, lambda period: max(period - 1, 1)),
    Kind("minus_dm", "directional", (bars(),), _HL, VALUE, lambda period: max(period - 1, 1)),
    Kind("plus_di", "directional", (bars(low=2),), _HLC, VALUE, _one_more),
    Kind("minus_di", "directional", (bars(low=2),), _HLC, VALUE, _one_more),
    Kind("dx", "directional", (bars(low=2),), _HL, VALUE, _one_more),
    Kind("adx", "directional", (bars(low=2),), _HL, VALUE, _twice),
    Kind("adxr", "directional", (bars(low=2),), _HL, VALUE, lambda period: 3 * period - 2),
    Kind("dmi", "directional", (bars(low=2),), _HLC, ("adx", "plus_di", "minus_di"), _twice),
    Kind("aroon", "aroon", (bars(low=2),), _HL, ("down", "up"), _one_more),
    Kind("aroonosc", "aroon", (bars(low=2),), _HL, VALUE, _one_more),
    Kind(
        "sar",
        "stops",
        (number("acceleration", 0.02, high=1.0), number("maximum", 0.2, high=1.0)),
        _HL,
        VALUE,
        lambda *_: 1,
        _in_order,
    ),
    Kind(
        "supertrend",
        "stops",
        (bars(default=10), number("multiplier", 3.0)),
        _HLC,
        ("line", "side"),
        lambda period, _: period,
    ),
    Kind(
        "chandelier",
        "stops",
        (bars(default=22), number("multiplier", 3.0)),
        _HLC,
        ("long", "short"),
        lambda period, _: period,
    ),
    Kind("vortex", "strength", (bars(),), _HLC, ("plus", "minus"), _one_more),
    Kind("choppiness", "strength", (bars(low=2),), _HLC, VALUE, _one_more),
    Kind(
        "mass_index",
        "strength",
        (bars(default=9), bars("window", 25)),
        _HL,
        VALUE,
        lambda period, window: 2 * (period - 1) + window - 1,
    ),
    Kind("efficiency_ratio", "strength", (bars(default=10),), ("close",), VALUE, _one_more),
    Kind("vhf", "strength", (bars(default=28, low=2),), ("close",), VALUE, _one_more),
    Kind(
        "ichimoku",
        "channels",
        (bars("conversion", 9), bars("base", 26), bars("span", 52)),
        _HL,
        ("conversion", "base", "span_a", "span_b"),
        lambda conversion, base, span: span - 1,  # noqa: ARG005 - the widest window decides
        _widening,
    ),
)


def plus_dm(period: int = 14) -> Indicator:
    """Declare Wilder's sum of moves up over `period` >= 1 bars, in units of price (TA-Lib PLUS_DM)."""
    return declare("plus_dm", period)


def minus_dm(period: int = 14) -> Indicator:
    """Declare Wilder's sum of moves down over `period` >= 1 bars, in units of price (TA-Lib MINUS_DM)."""
    return declare("minus_dm", period)


def plus_di(period: int = 14) -> Indicator:
    """Declare moves up in percent of true ranges over `period` >= 2 bars, 0 at rest (TA-Lib PLUS_DI)."""
    return declare("plus_di", period)


def minus_di(period: int = 14) -> Indicator:
    """Declare moves down in percent of true ranges over `period` >= 2 bars, 0 at rest (TA-Lib MINUS_DI)."""
    return declare("minus_di", period)


def dx(period: int = 14) -> Indicator:
    """Declare the directional movement index of `period` >= 2 bars, 0 to 100, as it was at rest (TA-Lib DX)."""
    return declare("dx", period)


def adx(period: int = 14) -> Indicator:
    """Declare Wilder's average of DX over `period` >= 2 bars, 0 to 100, as it was at rest (TA-Lib ADX)."""
    return declare("adx", period)


def adxr(period: int = 14) -> Indicator:
    """Declare the mean of ADX and that of `period` - 1 >= 1 bars ago, 0 to 100 (TA-Lib ADXR)."""
    return declare("adxr", period)


def dmi(period: int = 14) -> Indicator:
    """Declare ADX, PLUS_DI and MINUS_DI of `period` >= 2 bars in one (Wilder 1978).

    The outputs are adx, plus_di and minus_di.
    """
    return declare("dmi", period)


def aroon(period: int = 14) -> Indicator:
    """Declare how lately the last `period` >= 2 bars and the one before them had their extremes (TA-Lib AROON).

    The outputs, 0 to 100, are down for the lowest low and up for the highest high; 100 is now.
    """
    return declare("aroon", period)


def aroonosc(period: int = 14) -> Indicator:
    """Declare Aroon up less Aroon down of `period` >= 2 bars, -100 to 100 (TA-Lib AROONOSC)."""
    return declare("aroonosc", period)


def sar(acceleration: float = 0.02, maximum: float = 0.2) -> Indicator:
    """Declare Wilder's parabolic stop and reverse, where it stands for the bar (TA-Lib SAR)."""
    return declare("sar", acceleration, maximum)


def supertrend(period: int = 10, multiplier: float = 3.0) -> Indicator:
    """Declare the Supertrend (Seban): a stop `multiplier` average true ranges off the middle of the bar.

    It never backs off until a close breaks it.  The outputs are line, the stop, and side, 1 while it lies below
    a rising market, -1 above a falling one; the first bar counts as rising (TA-Lib SUPERTREND).
    """
    return declare("supertrend", period, multiplier)


def chandelier(period: int = 22, multiplier: float = 3.0) -> Indicator:
    """Declare the chandelier exit (LeBeau): `multiplier` average true ranges off the extremes of `period` bars.

    The outputs are long, the stop below the highest high, and short, the one above the lowest low.
    """
    return declare("chandelier", period, multiplier)


def vortex(period: int = 14) -> Indicator:
    """Declare the vortex indicator of `period` >= 1 bars (Botes and Siepman 2010, TA-Lib VORTEX), 0 at rest.

    The outputs are plus and minus: what goes up and down from one bar's far end to the next, over true ranges.
    """
    return declare("vortex", period)


def choppiness(period: int = 14) -> Indicator:
    """Declare the choppiness index of `period` >= 2 bars (Dreiss): 100 goes nowhere, a trend tends to 0.

    It is the logarithm of true ranges over the window's range, to the base of the period.  At rest it is 100; gaps
    can take it beyond.
    """
    return declare("choppiness", period)


def mass_index(period: int = 9, window: int = 25) -> Indicator:
    """Declare the mass index (Dorsey 1992, TA-Lib MASSI): the sum over `window` bars of how ranges widen.

    A range widens by its EMA of `period` bars over the EMA of that, 1 at rest.
    """
    return declare("mass_index", period, window)


def efficiency_ratio(period: int = 10, source: Source = "close") -> Indicator:
    """Declare the distance over the way of `period` >= 1 changes, 0 to 1, 1 at rest (Kaufman 1995, TA-Lib ER)."""
    return declare("efficiency_ratio", period, sources=(source,))


def vhf(period: int = 28, source: Source = "close") -> Indicator:
    """Declare the range over the way of `period` >= 2 bars, 0 to 1, 0 at rest (White 1991, TA-Lib VHF)."""
    return declare("vhf", period, sources=(source,))


def ichimoku(conversion: int = 9, base: int = 26, span: int = 52) -> Indicator:
    """Declare the lines of Ichimoku Kinko Hyo (Hosoda 1969) as they are known at the close of the bar.

    The outputs conversion, base and span_b are the middles of so many bars' extremes; span_a is that of the first
    two.  Charts draw the spans `base` - 1 bars ahead: the cloud over the present bar is `.lag(25)` of them.
    """
    return declare("ichimoku", conversion, base, span)
