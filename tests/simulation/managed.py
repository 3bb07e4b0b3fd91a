"""Managed exits in the simulated world: a strategy that has its positions looked after, and who judges that they are.

The judge shares no code with the desk. At every moment no exit may close more than its book holds. Once all is quiet,
a position has one stop at the venue, for all that can be sold of it, and one that is flat has no exit left.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors import messages as m
from tests.simulation.parts import MINUTE, SECOND, Restless
from tests.simulation.venues import STATES

if TYPE_CHECKING:
    from actors.system import Core
    from replay.exchange.model import OrderView
    from strategies.managing import Exits
    from tests.simulation.venues import Venue

QUIET_NS = 1_700_000_000 * SECOND + 270 * MINUTE
"""From here on the strategies of a world with managed exits do nothing more by themselves."""


class Managed(Restless):
    """Opens by brackets only, always with a stop, and does to its exits whatever can be done to them."""

    both_ways: bool = False

    def on_start(self) -> None:
        super().on_start()
        self.released = False
        self.wide = 1
        """How far away exits are: farther towards the end, so that there is something to look at."""

    def on_bar(self, bar: m.Bar, _: Any, /) -> None:
        if bar.close_ns > QUIET_NS:
            return
        self.wide = 5 if bar.close_ns > QUIET_NS - 30 * MINUTE else 1
        held = self.position
        if abs(held) < self.unit / 2:
            self.released = False
            self.enter(bar.close)
        elif self.released:
            self.close()
        else:
            self.change_exits(bar.close, 1 if held > 0 else -1)
        del self.refs[:-8]

    def enter(self, price: float) -> None:
        """Open a position in one of the ways there are, or try to."""
        side = -1 if self.both_ways and self.draw(2) else 1
        size, away = side * self.unit * (1 + self.draw(3)), self.wide * price * (1 + self.draw(5)) / 1_000
        action = self.draw(8)
        if action < 3:
            self.bracket(size, **self.exits(price, side, away))
        elif action == 3:
            limit = price - side * away / 2
            self.bracket(size, limit=limit, **self.exits(limit, side, away))
        elif action == 4:
            trigger = price + side * away / 2
            self.bracket(size, trigger=trigger, **self.exits(trigger, side, away))
        elif action == 5:
            rungs = [(price - side * away * part, size) for part in (0.1, 0.4)]
            self.refs += self.scale_in(rungs, **self.exits(price - side * away, side, away))
        elif action == 6:
            exits = self.exits(price, side, 2 * away)
            limit, trigger = price - side * away / 4, price + side * away / 4
            self.oco(self.bracket(size, limit=limit, **exits), self.bracket(size, trigger=trigger, **exits))
        else:
            self.close()

    def exits(self, price: float, side: int, away: float) -> Exits:
        """Draw exits of a position to be opened at a price; a stop is always among them, resting or trailing."""
        exits: Exits = {}
        kind = self.draw(4)
        if kind != 1:
            exits["stop"] = price - side * away
        if kind in (1, 2):
            exits["trail"] = away
        elif kind == 3:
            exits["trail_percent"] = 100 * away / price
        profit = self.draw(4)
        if profit == 0:
            exits["take_profit"] = price + side * away
        elif profit == 1:
            exits["take_profit"] = [(price + side * away / 2, 0.5), (price + side * away, 0.3)]
        if not self.draw(4):
            exits["break_even"], exits["break_even_offset"] = away / 2, away / 8
        if not self.draw(5):
            exits["time_stop_bars"] = 1 + self.draw(6)
        if not self.draw(6):
            exits["time_stop_s"] = 45.0 * (1 + self.draw(5))
        return exits

    def change_exits(self, price: float, side: int) -> None:
        """Do something about a position, or leave it alone."""
        away = self.wide * price * (1 + self.draw(5)) / 1_000
        action = self.draw(14)
        if action == 0:
            self.trail(away)
        elif action == 1:
            self.protect(stop=price - side * away)
        elif action == 2:
            self.protect(take_profit=[(price + side * away, 0.6), (price + side * 2 * away, 0.4)])
        elif action == 3:
            self.scale_out(0.5)
        elif action == 4:
            self.close()
        elif action == 5:
            self.bracket(side * self.unit, stop=price - side * away)
        elif action == 6:
            self.bracket(side * self.unit, limit=price - side * away / 2, stop=price - side * away)
        elif action == 7 and not self.draw(3):
            self.released = self.release()


def are_managed(seed: int, books: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which books (strategy, symbol) of a seed have managed exits: in every second seed none, roughly."""
    draw = random.Random(f"managed {seed}")
    if draw.random() < 0.5:
        return set()
    return {book for index, book in enumerate(books) if draw.random() < 0.6 or not index}


class Guard:
    """Follows what managed exits do, and notes what none of them should have done.

    Args:
        venue: where they rest.
        books: (strategy, symbol) of those it looks at.
    """

    def __init__(self, venue: Venue, books: set[tuple[str, str]]) -> None:
        self._venue = venue
        self.books = books
        self.found: list[str] = []
        self.stood = 0
        """Positions that were looked at when all was quiet."""
        self.closed = 0
        """Executions of exits."""
        self._fees: dict[tuple[str, int], int] = {}

    def hear(self, message: m.FeeInBase) -> None:
        """Note what was taken from what a trade has bought."""
        self._fees[message.symbol, message.trade_id] = message.quantity_lots

    def count(self, trades: list[m.Fill | m.Adopted], requests: dict[str, list[m.OrderRequest]]) -> list[str]:
        """Say which exits closed more than their books held, by the venue's own order of trades."""
        found: list[str] = []
        held: dict[tuple[str, str], int] = {}
        for trade in sorted(trades, key=lambda trade: (trade.symbol, trade.trade_id)):
            book = (trade.strategy, trade.symbol)
            if book not in self.books:
                continue
            before_lots = held.get(book, 0)
            held[book] = (
                before_lots + trade.side * trade.quantity_lots - self._fees.get((trade.symbol, trade.trade_id), 0)
            )
            if isinstance(trade, m.Fill) and trade.order_id in requests and requests[trade.order_id][-1].reduce_only:
                self.closed += 1
                if trade.quantity_lots > -trade.side * before_lots:
                    found.append(f"{trade.strategy}: an exit closed {trade.quantity_lots}, held {before_lots}: {trade}")
        return found

    def look(self, core: Core, requests: dict[str, list[m.OrderRequest]], find: Callable[[str, str], Any]) -> list[str]:
        """Say what is missing, or too much, now that all is quiet."""
        found: list[str] = []
        for actor in core.strategies:
            book = (actor.id, actor.symbol)
            if book not in self.books:
                continue
            resting = [
                (request[-1], order)
                for order_id, request in requests.items()
                if (request[-1].strategy, request[-1].symbol) == book and request[-1].reduce_only
                if (order := find(book[1], order_id)) is not None and STATES[order.status] == "open"
            ]
            found += [f"{actor.id}: {words}" for words in self._differs(core, book, resting, actor.strategy)]
        return found

    def _differs(
        self, core: Core, book: tuple[str, str], resting: list[tuple[m.OrderRequest, OrderView]], strategy: Any
    ) -> list[str]:
        strategy_id, symbol = book
        per_step = self._venue.per_step[symbol]
        held_lots = lots_of(core, strategy_id, symbol)
        steps = abs(held_lots) // per_step
        stops = [order for request, order in resting if request.stop_ticks]
        if any(order.side != ("SELL" if held_lots > 0 else "BUY") for _, order in resting):
            return [f"holds {held_lots}, and an exit of the other side rests: {resting}"]
        if not self._venue.is_left(symbol, held_lots):
            return [f"flat, and there rests {resting}"] if resting and not steps else []
        open_steps = [order.quantity_lots - order.filled_lots for _, order in resting]
        alone = self._venue.specs[symbol].long_only or len([each for each in self.books if each[1] == symbol]) > 1
        if (sum(open_steps) if alone else max(open_steps, default=0)) > steps:
            return [f"holds {steps} steps, and there rests {resting}"]
        if strategy.released:
            return []
        self.stood += 1
        if [order.quantity_lots - order.filled_lots for order in stops] != [steps]:
            plan = next(actor for actor in core.strategies if actor.id == strategy_id).desk.exits.plans.get(symbol)
            return [f"holds {steps} steps, its stops are {stops}, its plan is {plan}"]
        return []


def lots_of(core: Core, strategy: str, symbol: str) -> int:
    """Return what a book holds, in signed lots."""
    book = core.ledger.holdings.get((strategy, symbol))
    return 0 if book is None else book.quantity_lots
