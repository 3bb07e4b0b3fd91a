"""Volatility: how much a price moves, and the bands and channels made of it."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare, number
from strategies.indicators.expression import VALUE

_BANDS = (bars(default=20, low=2), number("deviations", 2.0))

add(
    Kind("atr", "volatility", (bars(),), ("high", "low", "close"), VALUE, lambda period: period),
    Kind("stddev", "volatility", (bars(default=20, low=2),), ("close",), VALUE, lambda period: period - 1),
    Kind(
        "bbands",
        "volatility",
        _BANDS,
        ("close",),
        ("upper", "middle", "lower"),
        lambda period, _: period - 1,
    ),
    Kind("natr", "volatility", (bars(),), ("high", "low", "close"), VALUE, lambda period: period),
    Kind("trange", "volatility", (), ("high", "low", "close"), VALUE, lambda: 1, bound=True),
    Kind("var", "volatility", (bars(default=20, low=2),), ("close",), VALUE, lambda period: period - 1),
    Kind("bbands_width", "volatility", _BANDS, ("close",), VALUE, lambda period, _: period - 1),
    Kind("bbands_percent", "volatility", _BANDS, ("close",), VALUE, lambda period, _: period - 1),
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


def natr(period: int = 14) -> Indicator:
    """Declare the average true range of `period` >= 1 bars in percent of the close (TA-Lib NATR).

    Of one bar TA-Lib gives the plain range instead.
    """
    return declare("natr", period)


def trange() -> Indicator:
    """Declare a bar's true range: its own, stretched to the close before it (TA-Lib TRANGE)."""
    return declare("trange")


def var(period: int = 20, source: Source = "close") -> Indicator:
    """Declare the population variance of `period` >= 2 bars (TA-Lib VAR)."""
    return declare("var", period, sources=(source,))


def bbands_width(period: int = 20, deviations: float = 2.0, source: Source = "close") -> Indicator:
    """Declare Bollinger's BandWidth (2001): the bands' distance as a fraction of the middle one, 0 at rest."""
    return declare("bbands_width", period, deviations, sources=(source,))


def bbands_percent(period: int = 20, deviations: float = 2.0, source: Source = "close") -> Indicator:
    """Declare Bollinger's %b (2001): 0 on the lower band, 1 on the upper one, 0.5 at rest."""
    return declare("bbands_percent", period, deviations, sources=(source,))
