"""What was sent to a real venue: an order as it knows it, and a change of it that is under way."""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.messages import OrderRequest, TradeReported


class Amendment(msgspec.Struct):
    """A change of an order whose outcome is not known yet."""

    new_order_id: str
    rest_order_id: str
    request: OrderRequest
    """The order as it shall be; its quantity is the total."""
    stage: Literal["sent", "settling", "withdrawing"] = "sent"
    """The venue was asked to change it; it did not take the replacement, so what became of the order itself is asked;
    or the order is being withdrawn, so that the rest can be sent once it is gone."""
    reason: str = ""
    """Why there is no replacement."""
    kept_back: list[TradeReported] = []
    """Executions that end the order on its old terms and do not on its new ones: booked once it is clear which hold."""


class Sent(msgspec.Struct):
    """An order at the venue, or on its way to it."""

    order_id: str
    request: OrderRequest
    """As the venue has it: what earlier orders of the same wish had filled is not in its quantity."""
    venue_order_id: str = ""
    accepted: bool = False
    booked_lots: int = 0
    said_lots: int = 0
    """What the venue says was executed of it; never less than it said before."""
    end: str = ""
    """How the venue says it ended, while executions of it are still missing."""
    end_reason: str = ""
    in_doubt: str = ""
    """Why nobody knows what became of it; empty while somebody does."""
    held: bool = False
    """Whether it waits here for the venue to be ready: the closing orders of a flatten do, and the rest of an order
    that was withdrawn to be changed."""
    cancel_asked: bool = False
    refusals: int = 0
    """How often the venue would not withdraw it."""
    before_lots: int = 0
    """What was executed of the orders it took the place of."""
    replaces: str = ""
    """The order it takes the place of, by whose id the core knows it until the venue has taken it."""
    amend: Amendment | None = None

    @property
    def is_missing_executions(self) -> bool:
        """Whether more was executed of it than is booked."""
        kept_back = self.amend is not None and bool(self.amend.kept_back)
        return self.said_lots > self.booked_lots or kept_back

    @property
    def leaving(self) -> bool:
        """Whether the venue is to withdraw it."""
        return self.cancel_asked or (self.amend is not None and self.amend.stage == "withdrawing")


def identity(order: Sent) -> tuple[str, str, str, int]:
    """Return how an event names an order: id, strategy, symbol, ref."""
    request = order.request
    order_id = order.order_id if order.accepted or not order.replaces else order.replaces
    return (order_id, request.strategy, request.symbol, request.ref)
