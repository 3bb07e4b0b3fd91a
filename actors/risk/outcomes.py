"""Outcomes: what became of orders and positions, as the venue and the ledger say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import Rejected
from actors.risk.working import CLEARING, exits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.instrument import Instrument
    from actors.messages import (
        Amended,
        AmendRejected,
        Cancelled,
        CancelRejected,
        Expired,
        Fill,
        PositionChanged,
        Reconciled,
    )
    from actors.risk.books import Book
    from actors.risk.clearing import Clearing
    from actors.risk.closing import Closing
    from actors.risk.displaced import Displaced
    from actors.risk.working import Working


class Outcomes:
    """The part of risk that hears what became of orders."""

    _cancel: Callable[[Iterable[tuple[str, int]]], None]
    _cancel_on_halt: bool
    _clearing: Clearing
    _closing: Closing
    _displaced: Displaced
    _instruments: Mapping[str, Instrument]
    _positions: dict[Book, int]
    _reduces: Callable[[str], bool]
    _trading: str
    _working: dict[tuple[str, int], Working]

    def on_fill(self, fill: Fill) -> None:
        """Take a fill off the working order; a flatten is done once nothing is left."""
        key = (fill.strategy, fill.ref)
        self._closing.last_ticks[fill.symbol] = fill.price_ticks
        if fill.remaining_lots:
            working = self._working[key]
            working.filled_lots += fill.quantity_lots
            working.open_lots = fill.remaining_lots + working.reserved_lots
        else:
            del self._working[key]
        self._go_on()

    def on_order_ended(self, event: Rejected | Cancelled | Expired) -> None:
        """Forget a working order."""
        working = self._working.pop((event.strategy, event.ref))
        if working.closing and isinstance(event, Rejected):
            self._closing.on_refused(event.strategy, event.symbol)
        self._go_on()

    def _go_on(self) -> None:
        """Close what is to be closed, wherever nothing is left in the way."""
        if self._trading == "flattening":
            self._closing.go_on()
        if self._clearing.scopes:
            self._clearing.go_on()

    def on_amended(self, event: Amended) -> None:
        """Take over the terms the order works under now."""
        working = self._working[event.strategy, event.ref]
        working.open_lots = event.quantity_lots - working.filled_lots
        working.limit_ticks, working.stop_ticks = event.limit_ticks, event.stop_ticks
        working.amending, working.reserved_lots, working.lessening = False, 0, False

    def on_amend_rejected(self, event: AmendRejected) -> None:
        """Free what the change would have added; withdraw what was to be lessened, unless it may open again."""
        working = self._working[event.strategy, event.ref]
        working.open_lots -= working.reserved_lots
        working.amending, working.reserved_lots = False, 0
        lessening, working.lessening = working.lessening, False
        if lessening and not working.reduce_only:
            trading, _ = self._clearing.bound(working.strategy, working.symbol, self._trading)
            if trading != "running":
                self._cancel([(working.strategy, working.ref)])

    def on_position_changed(self, message: PositionChanged) -> None:
        """Follow the ledger."""
        self._positions[message.strategy, message.symbol] = message.quantity_lots

    def on_cancel_rejected(self, event: CancelRejected) -> None:
        """Remember what the venue would not withdraw."""
        order = self._working.get((event.strategy, event.ref))
        if order is not None:
            order.refused = True

    def on_reconciled(self, message: Reconciled) -> None:
        """Ask the venue again to withdraw what it would not, where that has to go: a flatten waits for it."""
        if not message.may_leave:
            return
        for symbol in self._instruments:
            self._cut(symbol)
        refused = [key for key, order in self._working.items() if order.refused]
        if refused:
            kept = exits(self._working, self._positions)
            self._cancel([key for key in refused if self._has_to_go(self._working[key], key in kept)])

    def _has_to_go(self, order: Working, is_exit: bool) -> bool:  # noqa: FBT001 - of the order, like the rest of it
        trading, _ = self._clearing.bound(order.strategy, order.symbol, self._trading)
        if trading in CLEARING:
            return not order.closing or trading == "stopping"
        if trading == "halted" and self._cancel_on_halt:
            return not self._clearing.holds(order)
        return trading != "running" and not is_exit

    def on_heard(self, event: Fill | Amended) -> None:
        """Once everybody has heard: keep orders that only reduce within their books, where the venue does not."""
        self._cut(event.symbol)

    def _cut(self, symbol: str) -> None:
        if not self._reduces(symbol):
            self._displaced.cut(symbol)
