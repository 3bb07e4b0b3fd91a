"""Changes of orders at a real venue: never may both the old and the new order execute more than the one in total.

Only the venue knows how much of an order is executed when a change of it arrives. So a change is one of three things,
and the gateway says which of them the venue can do:

* **in its place**: the venue changes the order itself, whose total includes what is executed; it keeps its id.
* **for another, in one step**: only an order of which nothing is executed may be replaced; the venue refuses otherwise.
* **withdrawn first**: the order is cancelled; once the venue has proved its end and all of it is booked, the rest of
  the new total is sent as an order of its own.

The core knows an order by its old id until the venue has the new one. What a report leads to while a change is open:

| report | then |
|---|---|
| the replacement: open, filled, or an execution of it | amended; the old order is gone |
| the same, although some of the old order was executed | amended, and a halt: together they are too much |
| the replacement is in doubt | ask for it |
| the replacement: absent, rejected, or the change refused | ask what became of the order itself |
| - answered: it is open, with the new terms | amended in its place |
| - answered: it is open, with the old terms | the amend is rejected, the order works on |
| - answered: it has ended | ended |
| the order: open, with the new terms | amended in its place |
| the order: ended, not wholly executed | wait for the fate of its replacement |
| the order: wholly executed | filled; it cannot have been replaced |
| an execution that ends it, unless it was made larger in its place before | kept until that is clear |
| refused, withdraw first | withdraw it |
| - its end | send the rest; if there is none, it is cancelled |
| - its end, and somebody wants it cancelled | cancelled |
| - not withdrawn, for the third time | the amend is rejected, the order works on |
| the rest: rejected or absent | cancelled |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.execution.sent import Amendment, Sent, identity
from actors.messages import Amended, AmendRejected, AskOrder, SendAmend, SendCancel

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.instrument import InstrumentSpec
    from actors.messages import AmendOrder, AmendRefused, Message, OrderReported, OrderRequest, TradeReported

_NOTHING_LEFT = "amended to what was already filled"


class Amends:
    """The changes under way.

    Args:
        emit: says what is decided.
        sent: every order that is not known to have ended, by id.
    """

    def __init__(self, emit: Callable[[Message], None], sent: dict[str, Sent]) -> None:
        self._emit = emit
        self._sent = sent

    def begin(self, order: Sent, command: AmendOrder) -> None:
        """Have the venue change an order it has taken."""
        request = command.request
        order.amend = Amendment(command.new_order_id, command.rest_order_id, request)
        total_lots = request.quantity_lots - order.before_lots
        if total_lots <= order.said_lots:
            self._withdraw(order)
            return
        wanted = msgspec.structs.replace(request, quantity_lots=total_lots)
        self._sent[command.new_order_id] = Sent(
            command.new_order_id, wanted, before_lots=order.before_lots, replaces=order.order_id
        )
        self._emit(
            SendAmend(order.order_id, order.venue_order_id, command.new_order_id, wanted, booked_lots=order.booked_lots)
        )

    def rest_of(self, order: Sent, request: OrderRequest) -> OrderRequest:
        """Return what of an order as it shall be is not executed yet."""
        done_lots = order.before_lots + order.booked_lots
        return msgspec.structs.replace(request, quantity_lots=max(0, request.quantity_lots - done_lots))

    def replacement_of(self, order_id: str) -> Sent | None:
        """Return the order that takes, or has taken, the place of one that is gone."""
        return next((order for order in self._sent.values() if order.replaces == order_id), None)

    def is_open(self, order: Sent) -> bool:
        """Return whether the venue may have taken a replacement of which we do not know yet."""
        return order.amend is not None and order.amend.stage == "sent"

    def ask_again(self) -> None:
        """Repeat the questions on whose answer an order waits: they may have been lost."""
        for order in list(self._sent.values()):
            if order.amend is not None and order.amend.stage == "settling" and not order.end:
                self._emit(AskOrder(order.order_id, order.request.symbol))

    # --- the replacement ----------------------------------------------------------------------------

    def take_place(self, replacement: Sent) -> Sent | None:
        """Say that the venue has the replacement; return the order that is gone with that, unless it was before."""
        event = identity(replacement)
        replacement.accepted = True
        old = self._sent.get(replacement.replaces)
        if old is not None:
            replacement.before_lots += old.booked_lots
        request = replacement.request
        total_lots = replacement.before_lots + request.quantity_lots
        self._emit(Amended(*event, replacement.order_id, total_lots, request.limit_ticks, request.stop_ticks))
        return old

    def not_taken(self, replacement: Sent, reason: str) -> Sent:
        """Give up a replacement, and ask what became of the order; return that."""
        del self._sent[replacement.order_id]
        old = self._sent[replacement.replaces]
        assert old.amend is not None, old
        old.amend.stage = "settling"
        old.amend.reason = reason
        if not old.end:
            old.in_doubt = old.in_doubt or f"not amended: {reason}"
            self._emit(AskOrder(old.order_id, old.request.symbol))
        return old

    def on_refused(self, message: AmendRefused) -> Sent | None:
        """Take the other way if there is one; else return the order whose fate is now asked for."""
        replacement = self._sent.get(message.new_order_id)
        if replacement is None or replacement.accepted:
            return None
        old = self._sent[replacement.replaces]
        if message.withdraw_first and not old.end:
            del self._sent[replacement.order_id]
            self._withdraw(old)
            return None
        return self.not_taken(replacement, message.reason)

    # --- the order itself ---------------------------------------------------------------------------

    def on_reported(self, order: Sent, report: OrderReported) -> list[TradeReported]:
        """Look whether a report tells on which terms the order works; return the executions that were kept back."""
        amend = order.amend
        if amend is None or amend.stage == "withdrawing":
            return []
        wanted = (amend.request.quantity_lots - order.before_lots, amend.request.limit_ticks)
        if (report.quantity_lots, report.limit_ticks) == wanted:
            self._changed_in_its_place(order, amend)
        elif report.state == "open":
            if amend.stage != "settling" or not report.asked:
                return []
            order.amend = None
            self._emit(AmendRejected(*identity(order), amend.reason))
        else:
            order.end = report.state  # on its old terms
        kept_back, amend.kept_back = amend.kept_back, []
        return kept_back

    def _changed_in_its_place(self, order: Sent, amend: Amendment) -> None:
        self._sent.pop(amend.new_order_id, None)
        request = amend.request
        total_lots = request.quantity_lots - order.before_lots
        if order.booked_lots >= total_lots:
            amend.stage, amend.reason = "settling", _NOTHING_LEFT  # its end is on its way
            return
        order.amend = None
        order.request = msgspec.structs.replace(request, quantity_lots=total_lots)
        terms = (request.quantity_lots, request.limit_ticks, request.stop_ticks)
        self._emit(Amended(*identity(order), order.order_id, *terms))

    def keeps_back(self, order: Sent, trade: TradeReported, spec: InstrumentSpec) -> bool:
        """Keep an execution back that ends the order, unless a change of it in its place has arrived before."""
        amend = order.amend
        if amend is None or amend.stage == "withdrawing" or order.end or not spec.contract:
            return False
        grows = amend.request.quantity_lots - order.before_lots > order.request.quantity_lots
        if not grows or order.booked_lots + trade.quantity_lots < order.request.quantity_lots:
            return False
        if all(kept.trade_id != trade.trade_id for kept in amend.kept_back):
            amend.kept_back.append(trade)
            self._emit(AskOrder(order.order_id, order.request.symbol))
        return True

    def on_filled(self, order: Sent) -> None:
        """Forget the replacement of an order that is wholly executed: there was nothing left to replace."""
        if order.amend is not None:
            self._sent.pop(order.amend.new_order_id, None)

    def on_end(self, order: Sent, end: str, reason: str) -> tuple[Sent | None, str, str]:
        """Return the order for the rest of one that was withdrawn to be changed; how and why the order itself ended."""
        amend = order.amend
        if amend is None or (order.cancel_asked and end == "cancelled"):
            return None, end, reason
        if end == "filled" and order.booked_lots < order.request.quantity_lots:
            return None, "cancelled", _NOTHING_LEFT  # it was made smaller in its place
        if end != "cancelled":
            return None, end, reason
        if amend.stage != "withdrawing":
            return None, end, f"amended: {amend.reason}"
        before_lots = order.before_lots + order.booked_lots
        rest_lots = amend.request.quantity_lots - before_lots
        if rest_lots <= 0:
            return None, end, _NOTHING_LEFT
        request = msgspec.structs.replace(amend.request, quantity_lots=rest_lots)
        rest = Sent(amend.rest_order_id, request, before_lots=before_lots, replaces=order.order_id, held=True)
        self._sent[rest.order_id] = rest
        return rest, end, reason

    def on_cancel_refused(self, order: Sent, reason: str) -> None:
        """Let an order work on that could not be withdrawn."""
        if order.amend is not None and order.amend.stage == "withdrawing":
            order.amend = None
            self._emit(AmendRejected(*identity(order), reason))

    def _withdraw(self, order: Sent) -> None:
        assert order.amend is not None, order
        order.amend.stage = "withdrawing"
        self._emit(SendCancel(order.order_id, order.request.symbol))
