"""What the simulated world is made of: its market, the strategy that lives in it, and their translators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors import messages as m
from replay.exchange.model import OrderView
from strategies.base import Strategy
from tests.simulation.venues import STATES

MS = 1_000_000
SECOND = 1_000 * MS
MINUTE = 60 * SECOND
UNIT = 10**8
WELL_NS = 1_700_000_000 * SECOND + 200 * MINUTE
"""From here on no strategy fails any more, so that the end is calm."""


class Restless(Strategy):
    """Does all a strategy can do, as its own numbers tell it; long only, for there is no short on spot."""

    seed: int = 1
    unit: float = 0.002
    """Size of an order, in base units."""
    until_ns: int = 0
    """When it has had enough; 0 for never."""
    fails_every: int = 0
    """It fails in every so many minutes, and is given up before long; 0 for never."""

    def on_start(self) -> None:
        self.random = self.seed
        self.refs: list[int] = []

    def stumble(self, bar: m.Bar) -> None:
        minute = bar.close_ns // MINUTE
        if self.fails_every and minute % self.fails_every == 0 and bar.close_ns < WELL_NS:
            raise ValueError

    def draw(self, choices: int) -> int:
        self.random = (self.random * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.random >> 33) % choices

    def on_bar(self, bar: m.Bar, _: Any, /) -> None:
        if 0 < self.until_ns < bar.close_ns:
            return
        self.stumble(bar)
        size = self.unit * (1 + self.draw(3))
        away = bar.close * (1 + self.draw(5)) / 2_000
        held = self.position
        action = self.draw(16)
        if action == 0:
            self.refs.append(self.buy(size))
        elif action == 1 and held > self.unit / 2:
            self.refs.append(self.sell(held / 2))
        elif action in (2, 3):
            self.refs.append(self.buy(size, limit=bar.close - away))
        elif action == 4 and held > self.unit / 2:
            self.refs.append(self.sell(held / 2, limit=bar.close + away))
        elif action == 5 and held > self.unit / 2:
            self.refs.append(self.sell(held / 2, stop=bar.close - away))
        elif action == 6:
            self.refs.append(self.buy(size, stop=bar.close + away, limit=bar.close + 2 * away))
        elif action in (7, 8) and self.refs:
            self.cancel(self.refs[self.draw(len(self.refs))])
        elif action == 9:
            self.target(size if self.draw(2) else 0)
        elif action == 10:
            self.buy(size, limit=bar.close + away, time_in_force="ioc")
        elif action == 11:
            self.refs.append(self.buy(size, limit=bar.close - away, post_only=True))
        elif action > 11 and self.refs:
            self.change(self.refs[self.draw(len(self.refs))], bar.close, away, size)
        del self.refs[:-8]

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


class BothWays(Restless):
    """Long and short on a contract, through zero; no stops, which are another desk's there."""

    def on_bar(self, bar: m.Bar, _: Any, /) -> None:
        if 0 < self.until_ns < bar.close_ns:
            return
        self.stumble(bar)
        size = self.unit * (1 + self.draw(3))
        away = bar.close * (1 + self.draw(5)) / 2_000
        side = 1 if self.draw(2) else -1
        order = self.buy if side > 0 else self.sell
        action = self.draw(13)
        if action == 0:
            self.refs.append(order(size))
        elif action in (1, 2):
            self.refs.append(order(size, limit=bar.close - side * away))
        elif action == 3:
            self.refs.append(order(size, limit=bar.close + side * away, time_in_force="ioc"))
        elif action == 4:
            self.refs.append(order(size, limit=bar.close - side * away, post_only=True))
        elif action == 5 and self.position:
            close = self.sell if self.position > 0 else self.buy
            self.refs.append(close(abs(self.position), reduce_only=True))
        elif action in (6, 7):
            self.target(side * size)
        elif action == 8:
            self.target(0)
        elif action in (9, 10) and self.refs:
            self.cancel(self.refs[self.draw(len(self.refs))])
        elif action > 10 and self.refs:
            ref = self.refs[self.draw(len(self.refs))]
            self.amend(ref, limit=bar.close - side * away, quantity=size if self.draw(2) else None)
        del self.refs[:-8]


class Totals:
    """What may be executed of each wish, and by which orders: the newest total that was asked for or is in force."""

    def __init__(self) -> None:
        self.asked: dict[tuple[str, int], int] = {}
        self.in_force: dict[tuple[str, int], int] = {}
        self.orders: dict[tuple[str, int], set[str]] = {}

    def hear(self, message: m.Message) -> None:
        if isinstance(message, m.OrderRequest | m.AmendRequest):
            key = (message.strategy, message.ref)
            self.asked[key] = message.quantity_lots
            self.in_force.setdefault(key, message.quantity_lots)
        elif isinstance(message, m.Amended):
            self.in_force[message.strategy, message.ref] = message.quantity_lots

    def sent(self, order_id: str, request: m.OrderRequest) -> None:
        self.orders.setdefault((request.strategy, request.ref), set()).add(order_id)

    def excess(self, request: m.OrderRequest, find: Callable[[str], OrderView | None], per_step: int) -> str:
        """Say what a wish's orders may still execute beyond its total; empty if nothing."""
        key = (request.strategy, request.ref)
        lots = 0
        for order_id in self.orders[key]:
            order = find(order_id)
            if order is not None:
                lots += order.quantity_lots if STATES[order.status] == "open" else order.filled_lots
        most = max(self.asked[key], self.in_force[key])
        return "" if lots * per_step <= most else f"{key}: {lots * per_step} lots at work or done, {most} asked"
