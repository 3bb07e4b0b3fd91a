"""Books as risk sees them: what each strategy holds of each symbol, and what still works in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import BUY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.risk.working import Working

Book = tuple[str, str]
"""(strategy, symbol)."""


class Exposure:
    """What one book holds, and could still come to hold."""

    __slots__ = ("buying_lots", "held_lots", "selling_lots")

    def __init__(self, held_lots: int) -> None:
        self.held_lots = held_lots
        self.buying_lots = 0
        """What working orders may still buy, those that can only reduce left out."""
        self.selling_lots = 0
        """What they may still sell, likewise."""

    def worst_lots(self, side: int, added_lots: int = 0) -> int:
        """Return the largest |position| it can come to, with so many lots more on one side."""
        up = self.held_lots + self.buying_lots + (added_lots if side > 0 else 0)
        down = self.held_lots - self.selling_lots - (added_lots if side < 0 else 0)
        return max(up, -down, 0)

    def net_lots(self, side: int) -> int:
        """Return the farthest it can come to lie in one direction, counted in that direction."""
        return self.held_lots + self.buying_lots if side > 0 else self.selling_lots - self.held_lots


class Books:
    """Positions and working orders.

    Attributes:
        positions: signed lots by book.
        working: orders that have not ended, by strategy and number.
    """

    __slots__ = ("positions", "working")

    def __init__(self, positions: Iterable[tuple[str, str, int]]) -> None:
        self.positions: dict[Book, int] = {(name, symbol): lots for name, symbol, lots in positions}
        self.working: dict[tuple[str, int], Working] = {}

    def ahead_lots(self, strategy: str, symbol: str, side: int, *, besides_reduce_only: bool = False) -> int:
        """Return what the working orders of one side of a book may still fill."""
        return sum(
            order.open_lots
            for order in self.working.values()
            if order.side == side
            and order.symbol == symbol
            and order.strategy == strategy
            and not (besides_reduce_only and order.reduce_only)
        )

    def closable_lots(self, strategy: str, symbol: str, side: int) -> int:
        """Return what an order of one side only closes, with all that works before it; 0 at least."""
        held_lots = -side * self.positions.get((strategy, symbol), 0)
        if held_lots <= 0 or not self.working:
            return max(0, held_lots)
        return max(0, held_lots - self.ahead_lots(strategy, symbol, side, besides_reduce_only=True))

    def exposures(self) -> dict[Book, Exposure]:
        """Return every book that holds something, or may come to; the order is that in which they were first known."""
        found = {book: Exposure(lots) for book, lots in self.positions.items()}
        for order in self.working.values():
            if order.reduce_only:
                continue
            book = (order.strategy, order.symbol)
            exposure = found.setdefault(book, Exposure(0))
            if order.side == BUY:
                exposure.buying_lots += order.open_lots
            else:
                exposure.selling_lots += order.open_lots
        return found
