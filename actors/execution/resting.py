"""An order that rests at the simulated venue, or travels to it."""

from __future__ import annotations

import msgspec

from actors.messages import OrderRequest

UNKNOWN = -1
"""The queue at a price nobody has shown us."""


class Resting(msgspec.Struct):
    """An order at the venue."""

    order_id: str
    request: OrderRequest
    live_from_ns: int
    open_lots: int
    arrived: bool = False
    """Whether it has met the market: post-only and marketability are decided then."""
    marketable: bool = False
    triggered: bool = False
    replaces: str = ""
    """Id of the order it will take the place of once it arrives; that one rests before it."""
    until_ns: int = 0
    """When the order that will take its place arrives; 0 without one."""
    ahead_lots: int = UNKNOWN
    """Where it is matched on ticks: what stands before it at its price."""
    asked_ticks: int = 0
    """Where margin is asked for an order without a limit: the price of the market when it was taken."""

    def identity(self) -> tuple[str, str, str, int]:
        """Return what every event about it begins with."""
        request = self.request
        return (self.order_id, request.strategy, request.symbol, request.ref)


def drop_amend(resting: Resting, orders: list[Resting]) -> None:
    """Forget an amend that travels: it comes too late."""
    orders[:] = [each for each in orders if each.replaces != resting.order_id]
