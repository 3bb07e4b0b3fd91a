"""Trend: whether there is one, how strong it is, and where it would be over."""

from strategies.indicators.declaration import Indicator, Kind, add, bars, declare
from strategies.indicators.expression import VALUE

_HL = ("high", "low")
_HLC = ("high", "low", "close")


def _one_more(period: int) -> int:
    """Count the bars of a window of changes."""
    return period


def _twice(period: int) -> int:
    """Count the bars until an average of `period` averages of as many stands."""
    return 2 * period - 1


add(
    Kind("plus_dm", "directional", (bars(),), _HL, VALUE, lambda period: max(period - 1, 1)),
    Kind("minus_dm", "directional", (bars(),), _HL, VALUE, lambda period: max(period - 1, 1)),
    Kind("plus_di", "directional", (bars(low=2),), _HLC, VALUE, _one_more),
    Kind("minus_di", "directional", (bars(low=2),), _HLC, VALUE, _one_more),
    Kind("dx", "directional", (bars(low=2),), _HL, VALUE, _one_more),
    Kind("adx", "directional", (bars(low=2),), _HL, VALUE, _twice),
    Kind("adxr", "directional", (bars(low=2),), _HL, VALUE, lambda period: 3 * period - 2),
    Kind("dmi", "directional", (bars(low=2),), _HLC, ("adx", "plus_di", "minus_di"), _twice),
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
