"""Volatility: how much a price moves, and the bands and channels made of it."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare, number
from strategies.indicators.expression import VALUE

_BANDS = (bars(default=20, low=2), number("deviations", 2.0))
_YEAR = number("bars_per_year", 1.0)
_IN_A_YEAR = (bars(default=20), _YEAR)
_SAMPLE_IN_A_YEAR = (bars(default=20, low=2), _YEAR)

_HL = ("high", "low")
_HLC = ("high", "low", "close")
_OHLC = ("open", "high", "low", "close")
_CHANNEL = ("upper", "middle", "lower")

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
    Kind("donchian", "channels", (bars(default=20),), _HL, _CHANNEL, lambda period: period - 1),
    Kind(
        "keltner",
        "channels",
        (bars(default=20), number("multiplier", 2.0), bars("atr_period", 10)),
        _HLC,
        _CHANNEL,
        lambda period, _, atr_period: max(period - 1, atr_period),
    ),
    Kind(
        "atr_bands",
        "channels",
        (bars(), number("multiplier", 2.0)),
        _HLC,
        ("upper", "lower"),
        lambda period, _: period,
    ),
    Kind("accbands", "channels", (bars(default=20),), _HLC, _CHANNEL, lambda period: period - 1),
    Kind(
        "chaikin_volatility",
        "unrest",
        (bars(default=10), bars("change", 10)),
        _HL,
        VALUE,
        lambda period, change: period - 1 + change,
    ),
    Kind("ulcer_index", "unrest", (bars(),), ("close",), VALUE, lambda period: 2 * (period - 1)),
    Kind(
        "rvi",
        "unrest",
        (bars(), bars("window", 10, low=2)),
        ("close",),
        VALUE,
        lambda period, window: period + window - 2,
    ),
    Kind("true_range_percentile", "unrest", (bars(default=100),), _HLC, VALUE, lambda period: period + 1),
    Kind("parkinson", "estimators", _IN_A_YEAR, _HL, VALUE, lambda period, _: period - 1),
    Kind("garman_klass", "estimators", _IN_A_YEAR, _OHLC, VALUE, lambda period, _: period - 1),
    Kind("rogers_satchell", "estimators", _IN_A_YEAR, _OHLC, VALUE, lambda period, _: period - 1),
    Kind("yang_zhang", "estimators", _SAMPLE_IN_A_YEAR, _OHLC, VALUE, lambda period, _: period),
    Kind("realised_volatility", "estimators", _IN_A_YEAR, ("close",), VALUE, lambda period, _: period),
    Kind("historical_volatility", "estimators", _SAMPLE_IN_A_YEAR, ("close",), VALUE, lambda period, _: period),
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


def donchian(period: int = 20) -> Indicator:
    """Declare the channel of the highest high and lowest low of `period` >= 1 bars (TA-Lib DONCHIAN).

    The outputs are upper, middle and lower.
    """
    return declare("donchian", period)


def keltner(period: int = 20, multiplier: float = 2.0, atr_period: int = 10) -> Indicator:
    """Declare an EMA of typical prices, and `multiplier` average true ranges above and below it (TA-Lib KC).

    The outputs are upper, middle and lower.
    """
    return declare("keltner", period, multiplier, atr_period)


def atr_bands(period: int = 14, multiplier: float = 2.0) -> Indicator:
    """Declare `multiplier` average true ranges of `period` >= 1 bars above the close and below it.

    The outputs are upper and lower.
    """
    return declare("atr_bands", period, multiplier)


def accbands(period: int = 20) -> Indicator:
    """Declare Headley's acceleration bands of `period` >= 1 bars (2002, TA-Lib ACCBANDS).

    They are means of highs and lows, pushed apart by four times the bar's range.  The outputs are upper, middle
    and lower.
    """
    return declare("accbands", period)


def chaikin_volatility(period: int = 10, change: int = 10) -> Indicator:
    """Declare by how many percent an EMA of ranges has changed in `change` bars, 0 of no range (TA-Lib CVI)."""
    return declare("chaikin_volatility", period, change)


def ulcer_index(period: int = 14, source: Source = "close") -> Indicator:
    """Declare the root mean square, in percent, of drawdowns from the highest of `period` bars (Martin 1987)."""
    return declare("ulcer_index", period, sources=(source,))


def rvi(period: int = 14, window: int = 10, source: Source = "close") -> Indicator:
    """Declare the relative volatility index, 0 to 100, 50 at rest (Dorsey 1993, TA-Lib RVI).

    It is the share of rising bars in Wilder's averages, over `period` bars, of the deviation of `window` values.
    """
    return declare("rvi", period, window, sources=(source,))


def true_range_percentile(period: int = 100) -> Indicator:
    """Declare how many percent of the `period` true ranges before the bar's are less than its own, 0 to 100."""
    return declare("true_range_percentile", period)


def parkinson(period: int = 20, bars_per_year: float = 1.0) -> Indicator:
    """Declare volatility by ranges (Parkinson 1980): the deviation of logarithmic returns, as a fraction.

    With `bars_per_year` 1 it is that of one bar, else it is scaled by its root to a year; so are the estimators below.
    """
    return declare("parkinson", period, bars_per_year)


def garman_klass(period: int = 20, bars_per_year: float = 1.0) -> Indicator:
    """Declare volatility by ranges and bodies (Garman and Klass 1980), which takes the market for driftless."""
    return declare("garman_klass", period, bars_per_year)


def rogers_satchell(period: int = 20, bars_per_year: float = 1.0) -> Indicator:
    """Declare volatility by open, high, low and close, whatever the drift (Rogers and Satchell 1991)."""
    return declare("rogers_satchell", period, bars_per_year)


def yang_zhang(period: int = 20, bars_per_year: float = 1.0) -> Indicator:
    """Declare volatility by all four prices and the gaps between bars, `period` >= 2 (Yang and Zhang 2000)."""
    return declare("yang_zhang", period, bars_per_year)


def realised_volatility(period: int = 20, bars_per_year: float = 1.0, source: Source = "close") -> Indicator:
    """Declare the root mean square of `period` >= 1 logarithmic returns (Andersen and Bollerslev 1998)."""
    return declare("realised_volatility", period, bars_per_year, sources=(source,))


def historical_volatility(period: int = 20, bars_per_year: float = 1.0, source: Source = "close") -> Indicator:
    """Declare the sample standard deviation of `period` >= 2 logarithmic returns."""
    return declare("historical_volatility", period, bars_per_year, sources=(source,))
