"""Changes of orders: what one adds is judged as a new order would be, and never at the price of the one that works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import SELL, AmendRequest, AmendVeto
from actors.risk.rules import Proposal
from actors.risk.working import CLEARING, Terms, price_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.instrument import Instrument
    from actors.messages import Intent
    from actors.risk.books import Books
    from actors.risk.judge import Judge
    from actors.risk.working import Working
    from actors.runtime.scheduler import Context


class Changes:
    """Answers wishes to change an order."""

    def __init__(
        self,
        context: Context,
        books: Books,
        instruments: Mapping[str, Instrument],
        judge: Judge,
        note_order: Callable[[], None],
        count_max: int,
    ) -> None:
        """Ask `judge`, tell `note_order` of each change, and let nothing pass that is larger than `count_max`."""
        self._emit = context.emit
        self._books = books
        self._instruments = instruments
        self._judge = judge
        self._note_order = note_order
        self._count_max = count_max

    def amend_or_veto(self, intent: Intent, trading: str, bound: str) -> None:
        """Answer a wish to change an order in the trading state that binds it; `bound` says in words which."""
        working = self._books.working.get((intent.strategy, intent.ref))
        if working is None or working.closing:
            self._emit(AmendVeto(intent.strategy, intent.symbol, intent.ref, "no such order is working"))
            return
        instrument = self._instruments[working.symbol]
        limit_ticks, stop_ticks = price_ticks(intent, instrument, working.side)
        terms = Terms(working.filled_lots + working.open_lots, working.limit_ticks, working.stop_ticks)
        lots = instrument.quantity_to_lots(intent.quantity) if intent.quantity else terms.quantity_lots
        wanted = Terms(lots, limit_ticks or terms.limit_ticks, stop_ticks or terms.stop_ticks)
        reason = ""
        if trading in CLEARING:
            reason = bound
        elif working.amending:
            reason = "an earlier amend is under way"
        elif (limit_ticks and not terms.limit_ticks) or (stop_ticks and not terms.stop_ticks):
            reason = f"a {working.kind.replace('_', '-')} order has no such price"
        elif lots <= 0:
            reason = "quantity is below one lot"
        elif lots > working.filled_lots:
            wanted, reason = self._allowed_terms(intent, instrument, working, wanted, (trading, bound))
        if wanted == terms:
            reason = reason or "it would change nothing"
        if reason:
            self._emit(AmendVeto(intent.strategy, working.symbol, intent.ref, reason))
            return
        working.amending = True
        working.reserved_lots = max(0, wanted.quantity_lots - terms.quantity_lots)
        working.open_lots += working.reserved_lots
        self._note_order()
        self._emit(AmendRequest(working.strategy, working.symbol, working.ref, *wanted))

    def _allowed_terms(
        self, intent: Intent, instrument: Instrument, working: Working, wanted: Terms, state: tuple[str, str]
    ) -> tuple[Terms, str]:
        """Return the terms an order may be changed to, its quantity cut to what fits; or why it may not be changed."""
        open_lots = wanted.quantity_lots - working.filled_lots
        most_lots, reason = self._most_open(intent, instrument, working, wanted, state)
        if most_lots <= 0 or open_lots > working.open_lots >= most_lots:
            return wanted, reason
        lots = working.filled_lots + min(open_lots, most_lots)
        lots -= lots % instrument.step_lots
        open_lots = lots - working.filled_lots
        if open_lots <= 0:
            return wanted, "quantity is below one step"
        ticks = wanted.limit_ticks or wanted.stop_ticks
        position_lots = self._books.positions.get((working.strategy, working.symbol), 0)
        most_lots = max(lots, abs(position_lots + working.side * open_lots))
        if max(ticks, wanted.stop_ticks, most_lots, instrument.value_atoms(ticks, most_lots)) > self._count_max:
            return wanted, "larger than can be counted"
        exempt = working.reduce_only and instrument.spec.contract  # as a new order would be
        if not exempt and instrument.value_atoms(ticks, open_lots) < instrument.min_notional_atoms:
            return wanted, "below the minimum notional"
        return wanted._replace(quantity_lots=lots), ""

    def _most_open(
        self, intent: Intent, instrument: Instrument, working: Working, wanted: Terms, state: tuple[str, str]
    ) -> tuple[int, str]:
        """Return how much of an order may be open once it has the terms wanted, and what stands against more."""
        side, open_lots = working.side, wanted.quantity_lots - working.filled_lots
        added_lots = open_lots - working.open_lots
        books = self._books
        closable_lots = -side * books.positions.get((working.strategy, working.symbol), 0)
        others_lots = books.ahead_lots(working.strategy, working.symbol, side) - working.open_lots
        spot_exit = side == SELL and instrument.spec.long_only
        if spot_exit or not working.reduce_only:
            closable_lots -= others_lots
        trading, bound = state
        if trading != "running":
            return closable_lots, bound
        if working.reduce_only or spot_exit:
            reason = f"{working.symbol} is spot, and nothing is left to sell"
            reason = "reduce-only, and nothing is left to reduce" if working.reduce_only else reason
            return closable_lots if added_lots > 0 else open_lots, reason
        same_prices = (wanted.limit_ticks, wanted.stop_ticks) == (working.limit_ticks, working.stop_ticks)
        if not self._judge.rules or (added_lots <= 0 and same_prices):
            return open_lots, ""
        exposed_lots = working.open_lots - closable_lots
        free_lots = closable_lots + others_lots
        free_lots -= books.ahead_lots(working.strategy, working.symbol, side, besides_reduce_only=True)
        free_lots += working.open_lots
        if max(open_lots, working.open_lots) <= free_lots:
            return open_lots, ""
        order = Proposal(
            working.strategy,
            working.symbol,
            side,
            added_lots,
            instrument,
            books,
            exposed_lots=exposed_lots,
            free_lots=max(0, free_lots - working.open_lots),
            resting_lots=working.open_lots,
            limit_ticks=wanted.limit_ticks,
            stop_ticks=wanted.stop_ticks,
            price_ticks=instrument.price_to_ticks(intent.reference_price),
            protective_stop=working.protective_stop,
            stop_distance=working.stop_distance,
        )
        allowed_lots, reason = self._judge.judge(order)
        return (0 if reason and allowed_lots <= 0 else working.open_lots + allowed_lots), reason
