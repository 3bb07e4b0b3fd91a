"""Strategies with much to lose in a crash: resting orders, timers, and every kind of thing a state may hold."""

from collections import deque
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from pitboss import Bar, Execution, Indicator, OrderUpdate, Strategy, ema


class Rung(msgspec.Struct):
    """One resting order of the grid."""

    ref: int
    price: float
    age: int = 0


class Grid(Strategy):
    """Buys on a ladder of limits below the market, protects what it holds with a stop, and tidies up by timer."""

    rungs: Annotated[int, Meta(ge=1, le=10)] = 3
    step: Annotated[float, Meta(gt=0, lt=1)] = 0.0015
    quantity: Annotated[float, Meta(gt=0)] = 0.05

    def on_start(self) -> None:
        """Remember a little of every kind."""
        self.ladder: list[Rung] = []
        self.stop: int | None = None
        self.recent: deque[float] = deque(maxlen=16)
        self.sums = np.zeros(4)
        self.fills: dict[int, float] = {}
        self.seen = 0
        self.states: set[str] = set()

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        """Keep the ladder, and take profit once the last sixteen closes say so."""
        self.seen += 1
        self.recent.append(bar.close)
        self.sums[self.seen % 4] += bar.close - bar.open
        for rung in self.ladder:
            rung.age += 1
        if not self.ladder:
            for number in range(1, self.rungs + 1):
                price = round(bar.close * (1 - self.step * number), 2)
                self.ladder.append(Rung(self.buy(self.quantity, limit=price), price))
            self.set_timer("tidy", 60 * 25.5)
        if self.stop is not None and self.seen % 13 == 0:
            self.amend(self.stop, stop=round(bar.close * 0.985, 2))
        if self.position > 0 and bar.close > max(self.recent) - 0.01 and float(self.sums.sum()) > 0:
            self.target(0)
        elif self.position < 4 * self.quantity and self.seen % 97 == 0:
            self.buy(self.quantity, stop=round(bar.close * 1.002, 2), limit=round(bar.close * 1.004, 2))

    def on_fill(self, execution: Execution, /) -> None:
        """Move the stop."""
        self.fills[execution.ref] = execution.price
        while len(self.fills) > 8:
            del self.fills[min(self.fills)]
        self.ladder = [rung for rung in self.ladder if rung.ref != execution.ref]
        if self.stop is not None:
            self.cancel(self.stop)
            self.stop = None
        if self.position > 0:
            self.stop = self.sell(self.position, stop=round(execution.price * 0.99, 2), reduce_only=True)

    def on_order(self, update: OrderUpdate, /) -> None:
        """Forget what ended otherwise."""
        self.states.add(update.state)
        if update.state in {"cancelled", "rejected", "expired", "vetoed"}:
            self.ladder = [rung for rung in self.ladder if rung.ref != update.ref]
            if update.ref == self.stop:
                self.stop = None

    def on_timer(self, name: str, /) -> None:
        """Withdraw old rungs."""
        assert name == "tidy"
        for rung in [rung for rung in self.ladder if rung.age > 10]:
            self.cancel(rung.ref)
        if self.ladder:
            self.set_timer("tidy", 60 * 7.25)


class Trend(Strategy):
    """Long or short by two averages of five-minute bars: indicator states and an aggregate in the making."""

    timeframe = "5m"
    quantity: float = 0.2

    def features(self) -> dict[str, Indicator]:
        """Declare both averages."""
        return {"fast": ema(4), "slow": ema(9)}

    def on_bar(self, _: Bar, f: Any, /) -> None:
        """Follow."""
        self.target(self.quantity if f.fast > f.slow else -self.quantity)
