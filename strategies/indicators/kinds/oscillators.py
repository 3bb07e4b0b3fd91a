"""Oscillators: how far and how fast a price went, mostly within fixed bounds."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare
from strategies.indicators.expression import VALUE

add(Kind("rsi", "oscillators", (bars(low=2),), ("close",), VALUE, lambda period: period))


def rsi(period: int, source: Source = "close") -> Indicator:
    """Declare Wilder's relative strength index of `period` >= 2 changes, 0 to 100 (TA-Lib RSI)."""
    return declare("rsi", period, sources=(source,))
