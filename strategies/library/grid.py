"""A grid of resting limit orders."""

from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Execution, OrderUpdate, Strategy


class Grid(Strategy):
    """Rest a buy at each of `levels` prices below the first close, and for each that fills a sell one step above.

    Steps are fractions of that first close. It earns a step, less two fees, whenever the price goes down and up through
    a level, and is left holding all of its levels by a market that falls through them: a bet on a range.

    Source: the grid bots of exchanges (such as Binance's spot grid trading, arithmetic mode).
    """

    step: Annotated[float, Meta(gt=0, lt=0.5)] = 0.005
    """Distance of two levels, as a fraction of the first close."""
    levels: Annotated[int, Meta(ge=1, le=100)] = 10
    """How many there are."""
    quantity: Annotated[float, Meta(gt=0)] = 0.01
    """Base units of each order."""

    def on_start(self) -> None:
        """There is no grid before the first close."""
        self.origin = 0.0
        self.buys: dict[int, int] = {}
        """Levels (1 is the highest) by the number of the buy that rests there."""
        self.sells: dict[int, int] = {}
        """The same of the sells, which rest one step above their level."""
        self.bought: dict[int, float] = {}
        """Base units bought at a level and not offered yet."""

    def on_bar(self, bar: Bar, _: Any, /) -> None:  # noqa: ANN401 - it declares no features
        """Lay the grid at the first close."""
        if not self.origin:
            self.origin = bar.close
            for level in range(1, self.levels + 1):
                self._rest(level)

    def on_fill(self, execution: Execution, /) -> None:
        """Offer what was bought; where all of it is sold, bid again."""
        level = self.buys.get(execution.ref)
        if level is not None:
            self.bought[level] = self.bought.get(level, 0.0) + execution.quantity
            if execution.done:
                del self.buys[execution.ref]
                self.sells[self.sell(self.bought.pop(level), limit=self._price(level - 1))] = level
        elif execution.done and execution.ref in self.sells:
            self._rest(self.sells.pop(execution.ref))

    def on_order(self, update: OrderUpdate, /) -> None:
        """Forget an order that came to nothing; what it had bought is still offered."""
        if update.state in {"rejected", "cancelled", "expired", "vetoed"}:
            level = self.buys.pop(update.ref, None)
            self.sells.pop(update.ref, None)
            if level is not None and level in self.bought:
                self.sells[self.sell(self.bought.pop(level), limit=self._price(level - 1))] = level

    def _rest(self, level: int) -> None:
        self.buys[self.buy(self.quantity, limit=self._price(level))] = level

    def _price(self, level: int) -> float:
        return self.origin * (1.0 - self.step * level)
