"""Volatility: how much a price moves, and the bands and channels made of it."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare, number
from strategies.indicators.expression import VALUE

add(
    Kind("atr", "volatility", (bars(),), ("high", "low", "close"), VALUE, lambda period: period),
    Kind("stddev", "volatility", (bars(default=20, low=2),), ("close",), VALUE, lambda period: period - 1),
    Kind(
        "bbands",
        "volatility",
        (bars(default=20, low=2), number("deviations", 2.0)),
        ("close",),
        ("upper", "middle", "lower"),
        lambda period, _: period - 1,
    ),
    Kind("highest", "extremes", (bars(default=20),), ("high",), VALUE, lambda period: period - 1),
    Kind("lowest", "extremes", (bars(default=20),), ("low",), VALUE, lambda period: period - 1),
)


def atr(period: int) -> Indicator:
    """Declare Wilder's average true range over `period` >= 1 bars (TA-Lib ATR)."""
    return declare("atr", period)


def stddev(period: int, source: Source = "close") -> Indicator:
    """Declare the population standard deviation of `period` >= 2 bars (TA-Lib STDDEV, nbdev 1)."""
    return declare("stddev", period, sources=(source,))


def bbands(period: int, deviations: float = 2.0, source: Source = "close") -> Indicator:
    """Declare Bollinger bands `deviations` off the SMA of `period` >= 2 bars (TA-Lib BBANDS).

    The outputs are upper, middle and lower.
    """
    return declare("bbands", period, deviations, sources=(source,))


def highest(period: int, source: Source = "high") -> Indicator:
    """Declare the maximum of the last `period` >= 1 bars, the current one included (TA-Lib MAX)."""
    return declare("highest", period, sources=(source,))


def lowest(period: int, source: Source = "low") -> Indicator:
    """Declare the minimum of the last `period` >= 1 bars, the current one included (TA-Lib MIN)."""
    return declare("lowest", period, sources=(source,))
