"""Moving averages."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare
from strategies.indicators.expression import VALUE


def _from_first(period: int) -> int:
    """Count the bars before a window of `period` is full."""
    return period - 1


add(
    Kind("ema", "averages", (bars(default=20),), ("close",), VALUE, _from_first),
    Kind("sma", "averages", (bars(default=20),), ("close",), VALUE, _from_first),
)


def ema(period: int, source: Source = "close") -> Indicator:
    """Declare an exponential moving average of `period` >= 1 bars, SMA first (TA-Lib EMA)."""
    return declare("ema", period, sources=(source,))


def sma(period: int, source: Source = "close") -> Indicator:
    """Declare a simple moving average of `period` >= 1 bars (TA-Lib SMA)."""
    return declare("sma", period, sources=(source,))
