"""The life of an order as a transition table, and the actor that walks orders through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from actors.messages import (
    Accepted,
    Amended,
    AmendOrder,
    AmendRejected,
    AmendRequest,
    Cancelled,
    CancelOrder,
    CancelRejected,
    CancelRequest,
    Expired,
    Fill,
    OrderEvent,
    OrderRequest,
    Rejected,
    SubmitOrder,
)

if TYPE_CHECKING:
    from actors.runtime.scheduler import Context

OrderState = Literal[
    "submitted",
    "working",
    "partly_filled",
    "amending",
    "amend_cancelling",
    "cancelling",
    "filled",
    "cancelled",
    "rejected",
    "expired",
]
OrderTrigger = Literal[
    "accept",
    "reject",
    "part",
    "fill",
    "ask_amend",
    "amend",
    "refuse_amend",
    "ask_cancel",
    "cancel",
    "refuse_cancel",
    "expire",
]

TRANSITIONS: dict[tuple[OrderState, OrderTrigger], OrderState] = {
    ("submitted", "accept"): "working",
    ("submitted", "reject"): "rejected",
    ("submitted", "refuse_amend"): "submitted",
    ("submitted", "ask_cancel"): "cancelling",
    ("submitted", "expire"): "expired",
    ("working", "part"): "partly_filled",
    ("working", "fill"): "filled",
    ("working", "ask_amend"): "amending",
    ("working", "ask_cancel"): "cancelling",
    ("working", "cancel"): "cancelled",
    ("working", "expire"): "expired",
    ("working", "reject"): "rejected",
    ("partly_filled", "part"): "partly_filled",
    ("partly_filled", "fill"): "filled",
    ("partly_filled", "ask_amend"): "amending",
    ("partly_filled", "ask_cancel"): "cancelling",
    ("partly_filled", "cancel"): "cancelled",
    ("partly_filled", "expire"): "expired",
    ("amending", "reject"): "rejected",
    ("amending", "part"): "amending",
    ("amending", "fill"): "filled",
    ("amending", "amend"): "working",
    ("amending", "refuse_amend"): "working",
    ("amending", "ask_cancel"): "amend_cancelling",
    ("amending", "cancel"): "cancelled",
    ("amending", "expire"): "expired",
    ("amend_cancelling", "reject"): "rejected",
    ("amend_cancelling", "part"): "amend_cancelling",
    ("amend_cancelling", "fill"): "filled",
    ("amend_cancelling", "amend"): "cancelling",
    ("amend_cancelling", "refuse_amend"): "cancelling",
    ("amend_cancelling", "ask_cancel"): "amend_cancelling",
    ("amend_cancelling", "cancel"): "cancelled",
    ("amend_cancelling", "refuse_cancel"): "amending",
    ("amend_cancelling", "expire"): "expired",
    ("cancelling", "accept"): "cancelling",
    ("cancelling", "reject"): "rejected",
    ("cancelling", "part"): "cancelling",
    ("cancelling", "fill"): "filled",
    ("cancelling", "refuse_amend"): "cancelling",
    ("cancelling", "ask_cancel"): "cancelling",
    ("cancelling", "cancel"): "cancelled",
    ("cancelling", "refuse_cancel"): "working",
    ("cancelling", "expire"): "expired",
}
"""(state, trigger) -> state; a pair that is missing is a fault. Four states have no way out: they are final."""

FINAL: tuple[OrderState, ...] = ("filled", "cancelled", "rejected", "expired")

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE = len(_DIGITS)
ORDER_ID_MAX = 20
PREFIX = "pb"


class IllegalTransitionError(Exception):
    """An order was told something its state does not allow."""


class Order(msgspec.Struct):
    """One open order."""

    order_id: str
    """Its newest: an order that was amended may have had others."""
    request: OrderRequest
    """Its newest terms; the quantity is the total, what is filled included."""
    created_ns: int
    state: OrderState = "submitted"
    filled_lots: int = 0


class _State(msgspec.Struct):
    nonce: str
    counter: int
    orders: list[Order]
    given: list[tuple[str, str, int]] = []


class Execution:
    """Names orders, sends them to the venue port, and checks everything the venue says about them.

    Only open orders are kept: history is the journal's.
    """

    isolated = False

    def __init__(self, context: Context, nonce: str) -> None:
        self.name = "execution"
        self._context = context
        self._emit = context.emit
        self.nonce = nonce
        """Drawn once a session, so that no two sessions share a client order id."""
        self.counter = 0
        self.orders: dict[str, Order] = {}
        self.given: dict[tuple[str, str], int] = {}
        """How many orders were given to the venue in this session, by (strategy, symbol)."""
        self._by_ref: dict[tuple[str, int], str] = {}

    def on_request(self, request: OrderRequest) -> None:
        """Give a request its client order id and send it."""
        order_id = self._next_id()
        self.orders[order_id] = Order(order_id, request, self._context.now_ns)
        self._by_ref[request.strategy, request.ref] = order_id
        book = (request.strategy, request.symbol)
        self.given[book] = self.given.get(book, 0) + 1
        self._emit(SubmitOrder(order_id, request))

    def on_cancel_request(self, request: CancelRequest) -> None:
        """Ask the venue to withdraw an order; one that is already done needs nothing."""
        order_id = self._by_ref.get((request.strategy, request.ref))
        if order_id is None or self.orders[order_id].state in ("cancelling", "amend_cancelling"):
            return
        self._move(order_id, "ask_cancel")
        self._emit(CancelOrder(order_id))

    def on_amend_request(self, request: AmendRequest) -> None:
        """Have the venue change an order; the ids it may need for that are drawn here, used or not."""
        order_id = self._by_ref.get((request.strategy, request.ref))
        if order_id is None:
            return
        order = self.orders[order_id]
        if order.state in ("submitted", "cancelling"):
            event = (order_id, request.strategy, request.symbol, request.ref)
            self._emit(AmendRejected(*event, f"the order is {order.state}"))
            return
        self._move(order_id, "ask_amend")
        wanted = msgspec.structs.replace(
            order.request,
            quantity_lots=request.quantity_lots,
            limit_ticks=request.limit_ticks,
            stop_ticks=request.stop_ticks,
        )
        self._emit(AmendOrder(order_id, self._next_id(), wanted, self._next_id()))

    def on_accepted(self, event: Accepted) -> None:
        """Follow the venue."""
        self._move(event.order_id, "accept")

    def on_rejected(self, event: Rejected) -> None:
        """Follow the venue."""
        self._finish(event, "reject")

    def on_cancelled(self, event: Cancelled) -> None:
        """Follow the venue."""
        self._finish(event, "cancel")

    def on_cancel_rejected(self, event: CancelRejected) -> None:
        """Follow the venue."""
        self._move(event.order_id, "refuse_cancel")

    def on_amended(self, event: Amended) -> None:
        """Follow the venue: the order lives on, by another id if it has one."""
        self._move(event.order_id, "amend")
        order = self.orders.pop(event.order_id)
        assert order.filled_lots < event.quantity_lots, event
        order.order_id = event.new_order_id
        order.request = msgspec.structs.replace(
            order.request,
            quantity_lots=event.quantity_lots,
            limit_ticks=event.limit_ticks,
            stop_ticks=event.stop_ticks,
        )
        self.orders[order.order_id] = order
        self._by_ref[event.strategy, event.ref] = order.order_id

    def on_amended_heard(self, event: Amended) -> None:
        """Once everybody has heard: what was to be cancelled under its old id is to be cancelled under the new one."""
        order = self.orders.get(event.new_order_id)
        if order is not None and order.state == "cancelling":
            self._emit(CancelOrder(order.order_id))

    def on_amend_rejected(self, event: AmendRejected) -> None:
        """Follow the venue."""
        self._move(event.order_id, "refuse_amend")

    def on_expired(self, event: Expired) -> None:
        """Follow the venue."""
        self._finish(event, "expire")

    def on_fill(self, fill: Fill) -> None:
        """Check a fill against its order."""
        order = self.orders[fill.order_id]
        request = order.request
        filled_lots = order.filled_lots + fill.quantity_lots
        assert fill.side == request.side, fill
        assert fill.quantity_lots > 0, fill
        assert fill.remaining_lots >= 0, fill
        assert filled_lots + fill.remaining_lots == request.quantity_lots, fill
        order.filled_lots = filled_lots
        if fill.remaining_lots:
            self._move(fill.order_id, "part")
        else:
            self._finish(fill, "fill")

    def dump(self) -> bytes:
        """Return the state."""
        given = [(*book, count) for book, count in self.given.items()]
        return msgspec.msgpack.encode(_State(self.nonce, self.counter, list(self.orders.values()), given))

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self.nonce, self.counter = kept.nonce, kept.counter
        self.given = {(strategy, symbol): count for strategy, symbol, count in kept.given}
        self.orders = {order.order_id: order for order in kept.orders}
        self._by_ref = {(order.request.strategy, order.request.ref): order.order_id for order in kept.orders}

    def _next_id(self) -> str:
        self.counter += 1
        order_id = f"{PREFIX}{self.nonce}{base36(self.counter)}"
        assert len(order_id) <= ORDER_ID_MAX, order_id
        return order_id

    def _move(self, order_id: str, trigger: OrderTrigger) -> None:
        order = self.orders.get(order_id)
        if order is None:
            what = f"order {order_id} is not open, yet the venue says {trigger}"
            raise IllegalTransitionError(what)
        state = TRANSITIONS.get((order.state, trigger))
        if state is None:
            what = f"order {order_id} is {order.state}, which does not allow {trigger}"
            raise IllegalTransitionError(what)
        order.state = state

    def _finish(self, event: OrderEvent, trigger: OrderTrigger) -> None:
        self._move(event.order_id, trigger)
        del self.orders[event.order_id]
        del self._by_ref[event.strategy, event.ref]


def base36(number: int) -> str:
    """Return a non-negative integer in base 36, lower case."""
    digits = ""
    while number >= _BASE:
        number, digit = divmod(number, _BASE)
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits
