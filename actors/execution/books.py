"""Our books at a venue that knows only one position: who holds what of a contract, and who gets what of its funding.

A venue pays funding on the account's whole position. Each book gets the part its own lots have in it (opposite
books get opposite signs), what is not ours gets the rest, and the odd atoms go by largest remainder, so that the
parts always add up to the payment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.messages import TradeReported

_RECENT_KEPT = 500
"""Newest executions of a symbol that can be undone to see who held what a moment ago."""


class Executed(msgspec.Struct, array_like=True):
    """What one execution changed."""

    executed_ns: int
    strategy: str
    lots: int
    """Signed."""


class Shelf(msgspec.Struct):
    """All books of one contract."""

    lots: dict[str, int] = {}
    """By strategy, signed."""
    recent: list[Executed] = []
    """Newest executions, in the order they were booked."""


class Books:
    """Who holds what of the contracts.

    Args:
        contracts: symbols of all contracts.
        books: (strategy, symbol, lots) of every strategy that may trade, and of what is inherited.
    """

    def __init__(self, contracts: Iterable[str], books: Iterable[tuple[str, str, int]]) -> None:
        self.shelves: dict[str, Shelf] = {symbol: Shelf() for symbol in contracts}
        for strategy, symbol, lots in books:
            if symbol in self.shelves:
                self.shelves[symbol].lots[strategy] = lots

    def executed(self, strategy: str, trade: TradeReported) -> None:
        """Take in an execution of ours."""
        shelf = self.shelves.get(trade.symbol)
        if shelf is None:
            return
        lots = trade.side * trade.quantity_lots
        shelf.lots[strategy] = shelf.lots.get(strategy, 0) + lots
        shelf.recent.append(Executed(trade.executed_ns, strategy, lots))
        if len(shelf.recent) > _RECENT_KEPT:
            del shelf.recent[0]

    def lots(self, strategy: str, symbol: str) -> int:
        """Return what a strategy holds of a symbol, signed; 0 of what is no contract."""
        shelf = self.shelves.get(symbol)
        return 0 if shelf is None else shelf.lots.get(strategy, 0)

    def is_alone(self, symbol: str) -> bool:
        """Return whether only one strategy may hold the symbol, so that its book is our whole position."""
        return len(self.shelves[symbol].lots) == 1

    def share(self, symbol: str, amount_atoms: int, paid_ns: int, foreign_lots: int) -> list[tuple[str, int]]:
        """Return (strategy, atoms) of a payment, by what each held when it was paid; what is missing is not ours.

        Where by our reckoning nothing was held at all, it goes to whoever traded last.
        """
        shelf = self.shelves[symbol]
        then = dict(shelf.lots)
        for each in shelf.recent:
            if each.executed_ns > paid_ns:
                then[each.strategy] -= each.lots
        if not sum(then.values()) + foreign_lots:
            last = shelf.recent[-1].strategy if shelf.recent else None
            return [] if last is None else [(last, amount_atoms)]
        strategies = list(then)
        parts = split(amount_atoms, [*then.values(), foreign_lots])
        return [(strategy, atoms) for strategy, atoms in zip(strategies, parts, strict=False) if atoms]


def split(amount: int, weights: list[int]) -> list[int]:
    """Return `amount` in proportion to signed weights whose sum is not 0, by largest remainder, the first at a tie."""
    total = sum(weights)
    parts = [amount * weight // total for weight in weights]
    remainders = [abs(amount * weight % total) for weight in weights]
    order = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in order[: amount - sum(parts)]:
        parts[index] += 1
    return parts
