"""Trend following by the Supertrend."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Strategy
from strategies.indicators import Expression, supertrend
from strategies.sizing import risk_per_trade


class Supertrend(Strategy):
    """Enter where the Supertrend changes sides, and have a stop rest at its line, which follows the market.

    A turn is a close beyond the line; the stop is there before it, for the bar that gets there without one. What the
    stop has closed is not opened again before the next turn. A position that a turn finds on the other side is closed
    first, and the new one is opened a bar later.

    Source: O. Seban, "Tout le monde merite d'etre riche" (2005), whose line this is; that a position risks a fraction
    of the equity up to its stop is R. Vince, "Portfolio Management Formulas" (1990).
    """

    period: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """Bars of the average true range."""
    multiplier: Annotated[float, Meta(gt=0, le=100)] = 3.0
    """How many average true ranges the line is off the middle of a bar."""
    risk: Annotated[float, Meta(gt=0, le=1)] = 0.01
    """Fraction of the equity lost where the line at the entry is reached."""
    short: bool = True
    """Whether to trade turns down, too."""

    def features(self) -> Mapping[str, Expression]:
        """Declare the line and the side it is on."""
        return {"trend": supertrend(self.period, self.multiplier)}

    def on_start(self) -> None:
        """Nothing is known of the bar before the first."""
        self.side = 0.0
        self.turned = False
        """Whether the market has turned, and the position of that side is still to be opened."""

    def on_bar(self, bar: Bar, f: Any, /) -> None:  # noqa: ANN401 - one float attribute per declared feature
        """Follow the line, and its turns."""
        side: float = f.trend_side
        if side != self.side:
            self.turned = self.side != 0.0 and (side > 0.0 or self.short)
            self.side = side
        if self.position * side < 0.0:
            self.close()
        elif self.position:
            self.protect(stop=f.trend_line)
        elif self.turned:
            self.turned = False
            quantity = self.fit(side * risk_per_trade(self.equity, abs(bar.close - f.trend_line), risk=self.risk))
            if quantity:
                self.bracket(quantity, stop=f.trend_line)
