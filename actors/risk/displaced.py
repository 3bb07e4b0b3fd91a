"""Displaced orders: those that were to close a position which something else closes before them.

An exit is never refused. So an order of its side that was within the limits because it would close first could open
instead, and beyond them: it is withdrawn. In a pause or a halt, where nothing may open, it is made as small as what it
still closes, and withdrawn where that is nothing. At a real venue its execution may come before that.

An order that may only reduce is kept within its book by the venue, where the venue knows that book. A contract of
several books, or with a position that is not ours, it knows as one position only; there it is done here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.messages import AmendRequest, CancelRequest
from actors.risk.books import Books
from actors.risk.rules import Proposal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.instrument import Instrument
    from actors.risk.judge import Judge
    from actors.risk.market import Newest
    from actors.risk.working import Working
    from actors.runtime.scheduler import Context


class Displaced:
    """Withdraws what an exit displaces."""

    def __init__(
        self,
        context: Context,
        books: Books,
        instruments: Mapping[str, Instrument],
        judge: Judge,
        newest: Newest,
        *,
        in_pauses: bool,
    ) -> None:
        self._in_pauses = in_pauses
        """Whether nothing may open in a pause or a halt: it may in sessions that older versions began."""
        self._emit = context.emit
        self._books = books
        self._instruments = instruments
        self._judge = judge
        self._newest = newest

    def withdraw(self, exit_: Working, *, may_open: bool) -> None:
        """Withdraw what would open too much once the exits of its book have filled; or at all, unless it may."""
        may_open = may_open or not self._in_pauses
        if len(self._books.working) == 1 or (may_open and not self._judge.rules):
            return
        strategy, symbol, side = exit_.strategy, exit_.symbol, exit_.side
        orders = [
            (key, order)
            for key, order in self._books.working.items()
            if order.side == side and order.symbol == symbol and order.strategy == strategy
        ]
        exits_lots = sum(order.open_lots for _, order in orders if order.reduce_only)
        left_lots = max(0, -side * self._books.positions.get((strategy, symbol), 0) - exits_lots)
        rest = Books((*book, lots) for book, lots in self._books.positions.items())
        rest.positions[strategy, symbol] = -side * left_lots
        displaced = [key for key, order in orders if not order.reduce_only]
        rest.working.update({key: order for key, order in self._books.working.items() if key not in displaced})
        for key in displaced:
            order = self._books.working[key]
            closable_lots = rest.closable_lots(strategy, symbol, side)
            if order.open_lots <= closable_lots or (may_open and self._fits(order, rest)):
                rest.working[key] = order
            elif may_open or not self._lessened(order, closable_lots, rest):
                self._emit(CancelRequest(strategy, symbol, order.ref))

    def _lessened(self, order: Working, lots: int, rest: Books) -> bool:
        """Make an order so small that it can only close; return whether there is anything left of it."""
        lots -= lots % self._instruments[order.symbol].step_lots
        if not lots or order.amending:
            return False
        rest.working[order.strategy, order.ref] = replace(order, open_lots=lots)
        self._lessen(order, lots)
        return True

    def _lessen(self, order: Working, lots: int) -> None:
        order.amending = order.lessening = True
        terms = (order.filled_lots + lots, order.limit_ticks, order.stop_ticks)
        self._emit(AmendRequest(order.strategy, order.symbol, order.ref, *terms))

    def _fits(self, order: Working, rest: Books) -> bool:
        """Return whether an order may still be held, with what would be left of the others."""
        book = (order.strategy, order.symbol, order.side)
        ahead_lots = rest.ahead_lots(*book, besides_reduce_only=True)
        wish = Proposal(
            order.strategy,
            order.symbol,
            order.side,
            order.open_lots,
            self._instruments[order.symbol],
            rest,
            exposed_lots=order.side * rest.positions[order.strategy, order.symbol] + ahead_lots,
            free_lots=rest.closable_lots(*book),
            limit_ticks=order.limit_ticks,
            stop_ticks=order.stop_ticks,
            price_ticks=self._newest.last_ticks(order.symbol) or order.limit_ticks or order.stop_ticks,
        )
        return not any(rule.holds and rule.judge(wish) is not None for rule in self._judge.rules)

    def cut(self, symbol: str) -> None:
        """Make the orders of a symbol that only reduce as small as what there is to reduce; withdraw what has nothing.

        One that is being changed is looked at again when that is done: until then it protects.
        """
        for order in self._books.working.values():
            if order.symbol != symbol or not order.reduce_only or order.closing:
                continue
            lots = max(0, -order.side * self._books.positions.get((order.strategy, symbol), 0))
            lots -= lots % self._instruments[symbol].step_lots
            if not lots:
                self._emit(CancelRequest(order.strategy, symbol, order.ref))
            elif order.open_lots > lots and not order.amending:
                self._lessen(order, lots)
