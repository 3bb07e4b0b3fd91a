"""Statistics: lines through windows, how columns move together, and how values are spread."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare, number
from strategies.indicators.expression import VALUE


def _from_first(period: int, *_: float) -> int:
    """Count the bars before a window of `period` is full."""
    return period - 1


def _after(period: int) -> int:
    """Count the bars before a window of `period` changes is full."""
    return period


_TWO = bars(low=2)
_PAIR = ("high", "low")

add(
    Kind("linearreg", "linear", (_TWO,), ("close",), VALUE, _from_first),
    Kind("linearreg_slope", "linear", (_TWO,), ("close",), VALUE, _from_first),
    Kind("linearreg_intercept", "linear", (_TWO,), ("close",), VALUE, _from_first),
    Kind("linearreg_angle", "linear", (_TWO,), ("close",), VALUE, _from_first),
    Kind("tsf", "linear", (_TWO,), ("close",), VALUE, _from_first),
    Kind("r2", "correlation", (_TWO,), ("close",), VALUE, _from_first),
    Kind("correl", "correlation", (bars(default=30, low=2),), _PAIR, VALUE, _from_first),
    Kind("covariance", "correlation", (bars(default=30, low=2),), _PAIR, VALUE, _from_first),
    Kind("beta", "correlation", (bars(default=5, low=2),), _PAIR, VALUE, _after),
    Kind("regression_beta", "correlation", (bars(default=30, low=2),), _PAIR, VALUE, _from_first),
    Kind(
        "autocorrelation",
        "correlation",
        (bars(default=30, low=2), bars("lag", 1)),
        ("close",),
        VALUE,
        lambda period, lag: period - 1 + lag,
    ),
    Kind("zscore", "distribution", (bars(default=20, low=2),), ("close",), VALUE, _from_first),
    Kind("skew", "distribution", (bars(default=50, low=3),), ("close",), VALUE, _from_first),
    Kind("kurtosis", "distribution", (bars(default=50, low=4),), ("close",), VALUE, _from_first),
    Kind("median", "order", (bars(default=20),), ("close",), VALUE, _from_first),
    Kind("mad", "order", (bars(default=20),), ("close",), VALUE, _from_first),
    Kind("quantile", "order", (bars(default=20), number("share", 0.5, 0.0, 1.0)), ("close",), VALUE, _from_first),
    Kind(
        "percentile", "order", (bars(default=30), number("percent", 50.0, 0.0, 100.0)), ("close",), VALUE, _from_first
    ),
    Kind("percentrank", "counts", (bars(default=100),), ("close",), VALUE, _after),
    Kind("avgdev", "counts", (bars(),), ("close",), VALUE, _from_first),
    Kind("entropy", "counts", (bars(default=50, low=2), bars("bins", 10, 2, 1000)), ("close",), VALUE, _from_first),
    Kind("total", "path", (bars(default=30),), ("close",), VALUE, _from_first),
    Kind("log_return", "path", (bars("bars", 1),), ("close",), VALUE, _after),
    Kind("drawdown", "path", (), ("close",), VALUE, lambda: 0),
    Kind("max_drawdown", "path", (bars(default=100),), ("close",), VALUE, _from_first),
    Kind("hurst", "path", (bars(default=100, low=32),), ("close",), VALUE, _from_first),
    Kind("bars_since_highest", "path", (bars(default=20),), ("high",), VALUE, _from_first),
    Kind("bars_since_lowest", "path", (bars(default=20),), ("low",), VALUE, _from_first),
)


def linearreg(period: int = 14, source: Source = "close") -> Indicator:
    """Declare the value at the newest bar of the line fitted to `period` >= 2 bars (TA-Lib LINEARREG)."""
    return declare("linearreg", period, sources=(source,))


def linearreg_slope(period: int = 14, source: Source = "close") -> Indicator:
    """Declare the rise per bar of the line fitted to `period` >= 2 bars (TA-Lib LINEARREG_SLOPE)."""
    return declare("linearreg_slope", period, sources=(source,))


def linearreg_intercept(period: int = 14, source: Source = "close") -> Indicator:
    """Declare the value at the oldest bar of the line fitted to `period` >= 2 bars (TA-Lib LINEARREG_INTERCEPT)."""
    return declare("linearreg_intercept", period, sources=(source,))


def linearreg_angle(period: int = 14, source: Source = "close") -> Indicator:
    """Declare the angle in degrees of the line fitted to `period` >= 2 bars (TA-Lib LINEARREG_ANGLE).

    It depends on the unit of price: a rise of 1 per bar is 45 degrees.
    """
    return declare("linearreg_angle", period, sources=(source,))


def tsf(period: int = 14, source: Source = "close") -> Indicator:
    """Declare the value one bar ahead of the line fitted to `period` >= 2 bars (TA-Lib TSF)."""
    return declare("tsf", period, sources=(source,))


def r2(period: int = 14, source: Source = "close") -> Indicator:
    """Declare the share of the variance of `period` >= 2 bars that the fitted line explains, 0 to 1.

    It is the squared correlation with the bars' numbers; 0 where all bars are equal.
    """
    return declare("r2", period, sources=(source,))


def correl(period: int = 30, left: Source | float = "high", right: Source | float = "low") -> Indicator:
    """Declare Pearson's correlation of two values over `period` >= 2 bars, -1 to 1 (TA-Lib CORREL).

    It is 0 where one of them is at rest.
    """
    return declare("correl", period, sources=(left, right))


def covariance(period: int = 30, left: Source | float = "high", right: Source | float = "low") -> Indicator:
    """Declare the population covariance of two values over `period` >= 2 bars."""
    return declare("covariance", period, sources=(left, right))


def beta(period: int = 5, left: Source | float = "high", right: Source | float = "low") -> Indicator:
    """Declare by how much `right` returns per return of `left`, over `period` >= 2 returns (TA-Lib BETA).

    The market is `left`.  It is 0 where the market is at rest; a return from a price of 0 is 0.
    """
    return declare("beta", period, sources=(left, right))


def regression_beta(period: int = 30, left: Source | float = "high", right: Source | float = "low") -> Indicator:
    """Declare the slope of `right` over `left` themselves, over `period` >= 2 bars: the hedge ratio of a pair.

    It is 0 where `left` is at rest.
    """
    return declare("regression_beta", period, sources=(left, right))


def autocorrelation(period: int = 30, lag: int = 1, source: Source = "close") -> Indicator:
    """Declare the correlation of the last `period` >= 2 values with those of `lag` >= 1 bars before, -1 to 1.

    It is 0 where nothing moves.  Of prices it is near 1; that of `log_return()` tells momentum from reversion.
    """
    return declare("autocorrelation", period, lag, sources=(source,))


def zscore(period: int = 20, source: Source = "close") -> Indicator:
    """Declare how many population standard deviations of `period` >= 2 bars the value is off their mean; 0 at rest."""
    return declare("zscore", period, sources=(source,))


def skew(period: int = 50, source: Source = "close") -> Indicator:
    """Declare the population skewness of `period` >= 3 values; 0 where all are equal."""
    return declare("skew", period, sources=(source,))


def kurtosis(period: int = 50, source: Source = "close") -> Indicator:
    """Declare the population excess kurtosis of `period` >= 4 values, 0 for the normal; 0 where all are equal."""
    return declare("kurtosis", period, sources=(source,))


def median(period: int = 20, source: Source = "close") -> Indicator:
    """Declare the median of `period` >= 1 values; of an even number, the mean of the middle two."""
    return declare("median", period, sources=(source,))


def mad(period: int = 20, source: Source = "close") -> Indicator:
    """Declare the median absolute deviation of `period` >= 1 values from their median, not scaled."""
    return declare("mad", period, sources=(source,))


def quantile(period: int = 20, share: float = 0.5, source: Source = "close") -> Indicator:
    """Declare the quantile of `period` >= 1 values below which `share` lies, 0 to 1; linear between two values."""
    return declare("quantile", period, share, sources=(source,))


def percentile(period: int = 30, percent: float = 50.0, source: Source = "close") -> Indicator:
    """Declare the value of `period` >= 1 at the nearest rank to `percent`, 0 to 100 (TA-Lib PERCENTILE)."""
    return declare("percentile", period, percent, sources=(source,))


def percentrank(period: int = 100, source: Source = "close") -> Indicator:
    """Declare the percentage of the `period` >= 1 values before that are less, 0 to 100 (TA-Lib PERCENTRANK)."""
    return declare("percentrank", period, sources=(source,))


def avgdev(period: int = 14, source: Source = "close") -> Indicator:
    """Declare the mean absolute deviation of `period` >= 1 values from their mean (TA-Lib AVGDEV)."""
    return declare("avgdev", period, sources=(source,))


def entropy(period: int = 50, bins: int = 10, source: Source = "close") -> Indicator:
    """Declare Shannon's entropy of `period` >= 2 values, by the greatest possible: 0 to 1 (Shannon 1948).

    The range of the window is cut into `bins` equal parts, 2 to 1000.  It is 0 where all values are equal.
    """
    return declare("entropy", period, bins, sources=(source,))


def total(period: int = 30, source: Source = "close") -> Indicator:
    """Declare the sum of `period` >= 1 values (TA-Lib SUM)."""
    return declare("total", period, sources=(source,))


def log_return(bars: int = 1, source: Source = "close") -> Indicator:
    """Declare the logarithm of the ratio to the value of `bars` >= 1 bars ago; NaN of what is not positive."""
    return declare("log_return", bars, sources=(source,))


def drawdown(source: Source = "close") -> Indicator:
    """Declare the relative distance from the highest value since the first bar: 0 there, below it negative."""
    return declare("drawdown", sources=(source,))


def max_drawdown(period: int = 100, source: Source = "close") -> Indicator:
    """Declare the worst relative change from a value to a later one within `period` >= 1 bars, 0 or negative."""
    return declare("max_drawdown", period, sources=(source,))


def hurst(period: int = 100, source: Source = "close") -> Indicator:
    """Declare Hurst's exponent of `period` >= 32 values: 0.5 of a random walk, more of a trend, less of reversion.

    It is half the slope of the log mean squared change over the log of 1, 2, 4, 8 and 16 bars (the generalised
    exponent of order 2, Di Matteo 2003).  It is 0.5 where nothing moves, and 0 where all moves cancel over one of
    the longer distances.  Of prices that multiply, read the logarithm: `hurst(100, log())`.
    """
    return declare("hurst", period, sources=(source,))


def bars_since_highest(period: int = 20, source: Source = "high") -> Indicator:
    """Declare how many bars ago the highest of `period` >= 1 bars was, the latest of equals (TA-Lib MAXINDEX)."""
    return declare("bars_since_highest", period, sources=(source,))


def bars_since_lowest(period: int = 20, source: Source = "low") -> Indicator:
    """Declare how many bars ago the lowest of `period` >= 1 bars was, the latest of equals (TA-Lib MININDEX)."""
    return declare("bars_since_lowest", period, sources=(source,))
