"""Strategies of a user's own, for daemons under test."""

from typing import Annotated, Any

from msgspec import Meta

from pitboss import Bar, Execution, OrderUpdate, Strategy, Trade


class Quiet(Strategy):
    """Does nothing, at once."""

    size: Annotated[float, Meta(gt=0, le=10)] = 1.0

    def on_bar(self, _: Bar, f: Any, /) -> None:
        """Let the bar pass."""


class Holder(Strategy):
    """Holds a position, keeps orders resting that never fill, and tries to buy more every few bars."""

    quantity: float = 0.5
    every: int = 5

    def on_start(self) -> None:
        """Start counting."""
        self.bars = 0
        self.fills: list[float] = []
        self.updates: dict[str, int] = {}

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        """Buy now and then, and leave something resting far away."""
        self.bars += 1
        if self.bars == 1:
            self.buy(self.quantity)
            self.buy(0.25, limit=bar.close / 10)
            self.sell(0.25, stop=bar.close / 20)
        elif self.bars % self.every == 0 and self.position < 2:
            self.buy(0.1)

    def on_fill(self, execution: Execution, /) -> None:
        """Remember."""
        self.fills.append(execution.price)
        del self.fills[:-20]

    def on_order(self, update: OrderUpdate, /) -> None:
        """Count."""
        self.updates[update.state] = self.updates.get(update.state, 0) + 1


class Talker(Holder):
    """Does as the holder, and says so."""

    def on_bar(self, bar: Bar, f: Any, /) -> None:
        """Count aloud."""
        print(f"bar {self.bars}", "at", bar.close)
        super().on_bar(bar, f)


class Keeper(Strategy):
    """Buys once and has one order rest far below, each asked for again only where it was refused."""

    quantity: float = 0.5

    def on_start(self) -> None:
        """Begin with nothing asked for."""
        self.bought = self.rests = 0

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        """Ask for what is missing."""
        self.keep(bar.close)

    def on_trade(self, trade: Trade, /) -> None:
        """Ask for what is missing, also where no bar closes."""
        self.keep(trade.price)

    def keep(self, price: float) -> None:
        """Buy, and have an order rest."""
        self.bought = self.bought or self.buy(self.quantity)
        self.rests = self.rests or self.buy(self.quantity, limit=price * 0.8)

    def on_order(self, update: OrderUpdate, /) -> None:
        """Ask again for what was refused, and for nothing else."""
        if update.state in ("vetoed", "rejected"):
            self.bought = 0 if update.ref == self.bought else self.bought
            self.rests = 0 if update.ref == self.rests else self.rests


class Steady(Strategy):
    """Always holds something and has an order rest far away, whatever is closed or withdrawn."""

    def on_start(self) -> None:
        """Begin with nothing."""
        self.rests = 0

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        """Ask for what is missing."""
        if not self.position:
            self.buy(0.5)
        self.rests = self.rests or self.buy(0.25, limit=bar.close / 10)

    def on_order(self, update: OrderUpdate, /) -> None:
        """Note that it does not rest any more."""
        if update.ref == self.rests and update.state in ("vetoed", "rejected", "cancelled"):
            self.rests = 0


class Reckless(Strategy):
    """Breaks one limit after the other, six bars apart, with an exit and an entry that rest far away."""

    def on_start(self) -> None:
        """Start counting."""
        self.bars = 0

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        """Ask for what goes too far in one way at a time."""
        self.bars += 1
        way, since = divmod(self.bars, 6)
        far, thousand, near = bar.close / 10, 1_000 / bar.close, bar.close / 100
        if since == 0:
            self.buy(thousand, stop_distance=near)
            self.buy(thousand, limit=far, stop_distance=near)
        elif since == 3:
            self.sell(thousand / 2, stop=far, reduce_only=True)
            match way % 5:
                case 0:
                    self.buy(4 * thousand, stop_distance=near)
                    self.buy(4 * thousand, stop_distance=near)
                case 1:
                    self.buy(thousand)
                case 2:
                    self.buy(thousand, limit=bar.close * 2, stop_distance=near)
                case 3:
                    self.buy(10 * thousand, stop_distance=near)
                case _:
                    for _ in range(12):
                        self.buy(thousand / 10, limit=far, stop_distance=near)
