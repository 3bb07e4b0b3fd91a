"""Moving averages."""

from math import sqrt

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare, number
from strategies.indicators.expression import VALUE


def _from_first(period: int) -> int:
    """Count the bars before a window of `period` is full."""
    return period - 1


def _root(period: int) -> int:
    return int(sqrt(period))


def _kama_check(_: float, fast: float, slow: float) -> None:
    if fast >= slow:
        message = f"kama: fast must be below slow, got {fast:g} and {slow:g}"
        raise ValueError(message)


add(
    Kind("ema", "averages", (bars(default=20),), ("close",), VALUE, _from_first),
    Kind("sma", "averages", (bars(default=20),), ("close",), VALUE, _from_first),
    Kind("dema", "smoothed", (bars(default=20),), ("close",), VALUE, lambda period: 2 * (period - 1)),
    Kind("tema", "smoothed", (bars(default=20),), ("close",), VALUE, lambda period: 3 * (period - 1)),
    Kind(
        "t3",
        "smoothed",
        (bars(default=5), number("factor", 0.7, 0.0, 1.0)),
        ("close",),
        VALUE,
        lambda period, _: 6 * (period - 1),
    ),
    Kind("rma", "smoothed", (bars(),), ("close",), VALUE, _from_first),
    Kind("zlema", "smoothed", (bars(default=20),), ("close",), VALUE, lambda period: period - 1 + (period - 1) // 2),
    Kind("wma", "windowed", (bars(default=20),), ("close",), VALUE, _from_first),
    Kind(
        "hma",
        "windowed",
        (bars(default=20, low=2),),
        ("close",),
        VALUE,
        lambda period: period - 1 + _root(period) - 1,
    ),
    Kind("trima", "windowed", (bars(default=20),), ("close",), VALUE, _from_first),
    Kind("vwma", "windowed", (bars(default=20),), ("close", "volume"), VALUE, _from_first),
    Kind(
        "alma",
        "windowed",
        (bars(default=9), number("offset", 0.85, 0.0, 1.0), number("sigma", 6.0, 0.01, 1000.0)),
        ("close",),
        VALUE,
        lambda period, _, __: period - 1,
    ),
    Kind("midpoint", "windowed", (bars(),), ("close",), VALUE, _from_first),
    Kind("midprice", "windowed", (bars(),), ("high", "low"), VALUE, _from_first),
    Kind(
        "kama",
        "adaptive",
        (bars(default=10), bars("fast", 2), bars("slow", 30)),
        ("close",),
        VALUE,
        lambda period, _, __: period,
        _kama_check,
    ),
    Kind("er", "adaptive", (bars(default=10),), ("close",), VALUE, lambda period: period),
    Kind("mcginley", "adaptive", (bars(),), ("close",), VALUE, _from_first),
)


def ema(period: int, source: Source = "close") -> Indicator:
    """Declare an exponential moving average of `period` >= 1 bars, SMA first (TA-Lib EMA)."""
    return declare("ema", period, sources=(source,))


def sma(period: int, source: Source = "close") -> Indicator:
    """Declare a simple moving average of `period` >= 1 bars (TA-Lib SMA)."""
    return declare("sma", period, sources=(source,))


def dema(period: int, source: Source = "close") -> Indicator:
    """Declare a double exponential average of `period` >= 1 bars (Mulloy 1994, TA-Lib DEMA)."""
    return declare("dema", period, sources=(source,))


def tema(period: int, source: Source = "close") -> Indicator:
    """Declare a triple exponential average of `period` >= 1 bars (Mulloy 1994, TA-Lib TEMA)."""
    return declare("tema", period, sources=(source,))


def t3(period: int, factor: float = 0.7, source: Source = "close") -> Indicator:
    """Declare Tillson's average of `period` >= 1 bars, six EMAs deep (1998, TA-Lib T3); factor 0 to 1."""
    return declare("t3", period, factor, sources=(source,))


def rma(period: int, source: Source = "close") -> Indicator:
    """Declare Wilder's average of `period` >= 1 bars: SMA first, then 1 / period of each (TA-Lib RMA)."""
    return declare("rma", period, sources=(source,))


def zlema(period: int, source: Source = "close") -> Indicator:
    """Declare an EMA of `period` >= 1 bars without its lag (Ehlers and Way 2010, TA-Lib ZLEMA).

    It averages the value and what it moved in the last (period - 1) / 2 bars.
    """
    return declare("zlema", period, sources=(source,))


def wma(period: int, source: Source = "close") -> Indicator:
    """Declare an average of `period` >= 1 bars with weights 1 to `period` (TA-Lib WMA)."""
    return declare("wma", period, sources=(source,))


def hma(period: int, source: Source = "close") -> Indicator:
    """Declare Hull's average of `period` >= 2 bars (2005, TA-Lib HMA); half and root are rounded down."""
    return declare("hma", period, sources=(source,))


def trima(period: int, source: Source = "close") -> Indicator:
    """Declare a triangular average of `period` >= 1 bars, an SMA of an SMA (TA-Lib TRIMA)."""
    return declare("trima", period, sources=(source,))


def vwma(period: int, source: Source = "close") -> Indicator:
    """Declare an average of `period` >= 1 bars weighted by their volume (TA-Lib VWMA).

    Over bars without any volume it is the value itself, where TA-Lib has NaN.
    """
    return declare("vwma", period, sources=(source, "volume"))


def alma(period: int, offset: float = 0.85, sigma: float = 6.0, source: Source = "close") -> Indicator:
    """Declare an average of `period` >= 1 bars weighted by a bell (Legoux and Kouzis-Loukas 2009).

    The bell stands at `offset`, from 0 (the oldest bar) to 1 (the newest), and is period / `sigma` wide.  A bar
    costs time in proportion to the period.
    """
    return declare("alma", period, offset, sigma, sources=(source,))


def midpoint(period: int, source: Source = "close") -> Indicator:
    """Declare the middle between highest and lowest of one column over `period` >= 1 bars (TA-Lib MIDPOINT)."""
    return declare("midpoint", period, sources=(source,))


def midprice(period: int) -> Indicator:
    """Declare the middle between highest high and lowest low of `period` >= 1 bars (TA-Lib MIDPRICE)."""
    return declare("midprice", period)


def kama(period: int, fast: int = 2, slow: int = 30, source: Source = "close") -> Indicator:
    """Declare Kaufman's adaptive average: an EMA of `fast` to `slow` bars by `er(period)` (1995, TA-Lib KAMA)."""
    return declare("kama", period, fast, slow, sources=(source,))


def er(period: int, source: Source = "close") -> Indicator:
    """Declare Kaufman's efficiency ratio: net move over all moves of `period` >= 1 bars, 0 to 1 (TA-Lib ER).

    Where nothing moved it is 1, as KAMA takes it.
    """
    return declare("er", period, sources=(source,))


def mcginley(period: int, source: Source = "close") -> Indicator:
    """Declare McGinley's dynamic of `period` >= 1 bars, SMA first (1990).

    It goes (value - average) / (period (value / average)^4) towards each value, but never past it.
    """
    return declare("mcginley", period, sources=(source,))
