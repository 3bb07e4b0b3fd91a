"""How many orders, and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.risk.rules.base import Proposal, Rule, Verdict

if TYPE_CHECKING:
    from actors.risk.books import Books
    from actors.risk.pace import Pace
    from actors.risk.rules.base import Action


class OrderRate(Rule):
    """Orders of the account in any 60 seconds."""

    __slots__ = ("_most", "_pace")

    def __init__(self, limit: int, action: Action, pace: Pace) -> None:
        super().__init__("max_orders_per_minute", f"{limit}", action)
        self._most = limit
        self._pace = pace

    def judge(self, order: Proposal) -> Verdict | None:  # noqa: ARG002 - an order is an order
        """Let so many pass."""
        return None if self._pace.count() < self._most else Verdict(f"more than {self._most} orders in a minute")


class OpenOrders(Rule):
    """Orders of the account that work at once."""

    __slots__ = ("_books", "_most")

    def __init__(self, limit: int, action: Action, books: Books) -> None:
        super().__init__("max_open_orders", f"{limit}", action)
        self._most = limit
        self._books = books

    def judge(self, order: Proposal) -> Verdict | None:
        """Let so many work; one that is changed works already."""
        if order.resting_lots or len(self._books.working) < self._most:
            return None
        return Verdict(f"more than {self._most} open orders")
