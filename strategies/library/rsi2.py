"""Mean reversion by a very short strength index."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Strategy
from strategies.indicators import Expression, rsi, sma


class Rsi2(Strategy):
    """Buy a sharp fall within a rising market, and leave at the first recovery; with `short`, also the mirror image.

    Source: L. Connors and C. Alvarez, "Short Term Trading Strategies That Work" (2009), chapter 9: above the 200-bar
    average buy where the 2-bar RSI is below 5, leave above the 5-bar average.
    """

    period: Annotated[int, Meta(ge=2, le=100)] = 2
    """Changes of the strength index."""
    low: Annotated[float, Meta(gt=0, lt=50)] = 5.0
    """Strength below which a fall is bought; 100 less it is where a rise is sold."""
    trend: Annotated[int, Meta(ge=2, le=10_000)] = 200
    """Bars of the average that tells which way the market goes."""
    exit: Annotated[int, Meta(ge=1, le=1_000)] = 5
    """Bars of the average at which a position is left."""
    quantity: Annotated[float, Meta(gt=0)] = 0.1
    """Base units to hold while in a position."""
    short: bool = False
    """Whether to sell sharp rises within a falling market."""

    def features(self) -> Mapping[str, Expression]:
        """Declare the index and both averages."""
        return {"strength": rsi(self.period), "trend_line": sma(self.trend), "exit_line": sma(self.exit)}

    def on_bar(self, bar: Bar, f: Any, /) -> None:  # noqa: ANN401 - one float attribute per declared feature
        """Enter against the last bars and with the trend, leave at the short average."""
        position = self.position
        if position:
            if bar.close > f.exit_line if position > 0 else bar.close < f.exit_line:
                self.target(0)
        elif bar.close > f.trend_line and f.strength < self.low:
            self.target(self.quantity)
        elif self.short and bar.close < f.trend_line and f.strength > 100.0 - self.low:
            self.target(-self.quantity)
