"""Trend following by channels of highs and lows."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Strategy
from strategies.indicators import Expression, atr, highest, lowest
from strategies.sizing import atr_risk


class Turtle(Strategy):
    """Enter beyond the extreme of `entry` bars, leave beyond the opposite extreme of `exit` bars or 2 N against it.

    Source: C. Faith, "The Original Turtle Trading Rules" (2003), system 1 without its filter and without adding units:
    a unit risks `risk` of the equity over `stop` average true ranges, and is left where the price has gone that far
    against its entry.
    """

    entry: Annotated[int, Meta(ge=2, le=10_000)] = 20
    """Bars of the channel whose break is entered."""
    exit: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """Bars of the channel whose opposite break is left."""
    period: Annotated[int, Meta(ge=1, le=10_000)] = 20
    """Bars of the average true range, N."""
    stop: Annotated[float, Meta(gt=0, le=100)] = 2.0
    """How many N against the entry end a position."""
    risk: Annotated[float, Meta(gt=0, le=1)] = 0.01
    """Fraction of the equity lost where a position is stopped."""
    short: bool = True
    """Whether to trade breaks of the low, too."""

    def features(self) -> Mapping[str, Expression]:
        """Declare the channels of the bars before this one, and N."""
        return {
            "top": highest(self.entry).lag(),
            "bottom": lowest(self.entry).lag(),
            "long_exit": lowest(self.exit).lag(),
            "short_exit": highest(self.exit).lag(),
            "n": atr(self.period),
        }

    def on_start(self) -> None:
        """There is no entry yet."""
        self.stop_price = 0.0

    def on_bar(self, bar: Bar, f: Any, /) -> None:  # noqa: ANN401 - one float attribute per declared feature
        """Follow breaks."""
        position = self.position
        if position > 0:
            if bar.close < max(f.long_exit, self.stop_price):
                self.target(0)
        elif position < 0:
            if bar.close > min(f.short_exit, self.stop_price):
                self.target(0)
        elif f.n > 0.0:
            side = 1 if bar.close > f.top else -1 if self.short and bar.close < f.bottom else 0
            quantity = self.fit(side * atr_risk(self.equity, f.n, risk=self.risk, multiple=self.stop))
            if quantity:
                self.stop_price = bar.close - side * self.stop * f.n
                self.target(quantity)
