"""Buying in equal parts over time."""

from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Execution, Strategy


class Dca(Strategy):
    """Buy for `amount` every `every` bars, more after a fall, and take profit on all of it.

    Plain dollar-cost averaging with `dip` 1 and `take_profit` 0. With them, it is the averaging of exchanges' DCA bots:
    an amount is multiplied by `dip` where the close lies below the average entry, and everything is sold where the
    close lies `take_profit` above that average.

    Source: B. Graham, "The Intelligent Investor" (1949), chapter 5, on buying by a formula.
    """

    every: Annotated[int, Meta(ge=1, le=100_000)] = 24
    """Bars from one purchase to the next."""
    amount: Annotated[float, Meta(gt=0)] = 1_000.0
    """Quote units of each purchase."""
    dip: Annotated[float, Meta(ge=1, le=10)] = 1.0
    """By how much more is bought below the average entry."""
    take_profit: Annotated[float, Meta(ge=0, le=100)] = 0.0
    """Rise above the average entry, as a fraction, at which all is sold; 0 for never."""

    def on_start(self) -> None:
        """Buy on the first bar."""
        self.bars_to_wait = 0
        self.cost = 0.0
        """Quote units paid for what is held."""

    def on_bar(self, bar: Bar, _: Any, /) -> None:  # noqa: ANN401 - it declares no features
        """Take profit, or buy where it is time."""
        average = self.cost / self.position if self.position > 0.0 else 0.0
        if self.take_profit and average and bar.close >= average * (1.0 + self.take_profit):
            self.target(0)
            self.bars_to_wait = self.every
        elif self.bars_to_wait <= 0:
            self.bars_to_wait = self.every
            quantity = self.fit(self.amount * (self.dip if bar.close < average else 1.0) / bar.close)
            if quantity > 0.0:
                self.buy(quantity)
        self.bars_to_wait -= 1

    def on_fill(self, execution: Execution, /) -> None:
        """Follow what was paid."""
        if execution.quantity > 0.0:
            self.cost += execution.quantity * execution.price
        else:
            before = self.position - execution.quantity
            self.cost *= max(0.0, self.position) / before if before > 0.0 else 0.0
