"""The baseline every other strategy has to beat."""

from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Strategy


class BuyAndHold(Strategy):
    """Put a fraction of the equity into the market at the first bar, and never touch it again.

    Source: W. Sharpe, "The Arithmetic of Active Management" (1991): before costs, those who trade cannot beat it on
    average.
    """

    fraction: Annotated[float, Meta(gt=0, le=1)] = 0.95
    """Of the equity; what is left pays the fee."""

    def on_start(self) -> None:
        """Nothing is bought yet."""
        self.bought = False

    def on_bar(self, bar: Bar, _: Any, /) -> None:  # noqa: ANN401 - it declares no features
        """Buy once."""
        if not self.bought:
            quantity = self.fit(self.equity * self.fraction / bar.close)
            if quantity > 0.0:
                self.buy(quantity)
                self.bought = True
