"""Trend: whether there is one, how strong it is, and where it would be over."""

from strategies.indicators.declaration import Indicator, Kind, add, bars, declare, number
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
    a rising market, -1 above a falling one; the first bar counts as falling.
    """
    return declare("supertrend", period, multiplier)


def chandelier(period: int = 22, multiplier: float = 3.0) -> Indicator:
    """Declare the chandelier exit (LeBeau): `multiplier` average true ranges off the extremes of `period` bars.

    The outputs are long, the stop below the highest high, and short, the one above the lowest low.
    """
    return declare("chandelier", period, multiplier)
