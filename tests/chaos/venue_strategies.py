"""Strategies that keep a real venue busy: long only, for that is what spot allows, and both ways on a perpetual."""

from typing import Any

from pitboss import Bar, Execution, OrderUpdate, Strategy


class Busy(Strategy):
    """Something on every bar: market, limit, stop, cancel and amend, as its own numbers tell it."""

    seed: int = 1
    unit: float = 0.002
    """Size of an order, in base units."""

    def on_start(self) -> None:
        """Remember the orders."""
        self.random = self.seed
        self.refs: list[int] = []
        self.resting = 0
        """An order far from the market that works, or is about to; 0 for none."""
        self.works = False

    def draw(self, choices: int) -> int:
        """Return a number below `choices`."""
        self.random = (self.random * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.random >> 33) % choices

    def on_order(self, update: OrderUpdate, /) -> None:
        """Learn whether the resting order works."""
        if update.ref == self.resting:
            self.works = update.state in ("accepted", "amended", "amend_rejected")
            if update.state in ("rejected", "cancelled", "expired", "vetoed"):
                self.resting = 0

    def on_fill(self, execution: Execution, /) -> None:
        """Learn that the market came to the resting order."""
        if execution.ref == self.resting and execution.done:
            self.resting, self.works = 0, False

    def move(self, price: float, size: float) -> None:
        """Have an order rest at the venue, and change it there: farther, nearer, larger, or into the market."""
        far = price * (1 - (1 + self.draw(8)) / 500)
        if not self.resting:
            self.resting, self.works = self.buy(size, limit=far), False
        elif self.works:
            self.works = False
            self.amend(self.resting, limit=price * 1.001 if self.draw(6) == 0 else far, quantity=size)

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        """Trade."""
        size = self.unit * (1 + self.draw(3))
        away = bar.close * (1 + self.draw(4)) / 5_000
        if self.draw(3) == 0:
            self.move(bar.close, size)
            return
        held = self.position
        action = self.draw(10)
        if action < 2:
            self.refs.append(self.buy(size))
        elif action == 2 and held > self.unit / 2:
            self.refs.append(self.sell(held / 2))
        elif action == 3:
            self.refs.append(self.buy(size, limit=bar.close - away))
        elif action == 4 and held > self.unit / 2:
            self.refs.append(self.sell(held / 2, limit=bar.close + away))
        elif action == 5 and held > self.unit / 2:
            self.refs.append(self.sell(held / 2, stop=bar.close - away))
        elif action == 6 and self.refs:
            self.cancel(self.refs[self.draw(len(self.refs))])
        elif action == 7:
            self.target(size if self.draw(2) else 0)
        elif action > 7 and self.refs:
            self.change(self.refs[self.draw(len(self.refs))], bar.close, away, size)
        del self.refs[:-6]

    def change(self, ref: int, price: float, away: float, size: float) -> None:
        """Amend some order, whatever it is and whether or not it still works."""
        kind = self.draw(4)
        if kind == 0:
            self.amend(ref, limit=price - away)
        elif kind == 1:
            self.amend(ref, limit=price + away, quantity=size)
        elif kind == 2:
            self.amend(ref, quantity=size / 2)
        else:
            self.amend(ref, stop=price - away)


class BothWays(Busy):
    """Long and short, through zero, with stops on either side."""

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        """Trade."""
        size = self.unit * (1 + self.draw(3))
        away = bar.close * (1 + self.draw(4)) / 5_000
        if self.draw(3) == 0:
            self.move(bar.close, size)
            return
        side = 1 if self.draw(2) else -1
        order = self.buy if side > 0 else self.sell
        action = self.draw(10)
        if action < 2:
            self.target(side * size)
        elif action == 2:
            self.refs.append(order(size))
        elif action == 3:
            self.refs.append(order(size, limit=bar.close - side * away))
        elif action == 4:
            self.refs.append(order(size, stop=bar.close + side * away))
        elif action == 5 and self.position:
            close = self.sell if self.position > 0 else self.buy
            self.refs.append(close(abs(self.position), reduce_only=True))
        elif action == 6 and self.refs:
            self.cancel(self.refs[self.draw(len(self.refs))])
        elif action == 7 and abs(self.position) > 10 * self.unit:
            self.target(0)
        elif action > 7 and self.refs:
            self.change(self.refs[self.draw(len(self.refs))], bar.close, away, size)
        del self.refs[:-6]


class Bracketed(Strategy):
    """Opens once by a limit below the market, with a stop that trails the best price at 15 percent."""

    seed: int = 1
    unit: float = 0.002

    def on_start(self) -> None:
        """Begin with nothing."""
        self.entry = 0

    def on_order(self, update: OrderUpdate, /) -> None:
        """Try again what was not taken: the first bar may come before the accounts are compared."""
        if update.ref == self.entry and update.state in ("rejected", "vetoed"):
            self.entry = 0

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        """Open, and leave the rest to the exits."""
        if not self.entry:
            self.entry = self.bracket(5 * self.unit, limit=round(bar.close * 0.95, 2), trail_percent=15.0)
