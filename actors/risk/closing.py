"""Closing: a flatten's way to nothing, book by book, once all other orders are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import BUY, SELL, Flattened, Halt, OrderRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.instrument import Instrument
    from actors.messages import Message
    from actors.risk.books import Book, Books

_CLOSE_TRIES = 3
"""A flatten gives a position up after the venue has refused to close it this often."""

CLOSING_REF_FIRST = -1
"""Orders of a flatten count down from here, so they never meet a strategy's own numbers."""


class Closing:
    """Closes every book by market orders of its own.

    Attributes:
        ref: number of the next such order.
        last_ticks: price of the newest fill of each symbol.
        refusals: how often the venue refused to close a book in the flatten under way.
    """

    def __init__(
        self,
        books: Books,
        instruments: Mapping[str, Instrument],
        request: Callable[[OrderRequest], None],
        emit: Callable[[Message], None],
    ) -> None:
        self._books = books
        self._instruments = instruments
        self._request = request
        self._emit = emit
        self.ref = CLOSING_REF_FIRST
        self.last_ticks: dict[str, int] = {}
        self.refusals: dict[Book, int] = {}

    def go_on(self) -> None:
        """Order away every open position once nothing else works in its book; say when all is flat."""
        if self._books.working:
            return
        flat, left = self.order_away(list(self._books.positions))
        if flat:
            self._emit(Flattened())
            if left:
                self._emit(Halt(f"the venue refuses to close {', '.join(left)}"))

    def order_away(self, books: Iterable[Book]) -> tuple[bool, list[str]]:
        """Close books in which nothing works; return whether all is flat, and what the venue refuses to close."""
        flat = True
        left: list[str] = []
        for strategy, symbol in books:
            position_lots = self._books.positions[strategy, symbol]
            step_lots = self._instruments[symbol].step_lots
            lots = abs(position_lots) // step_lots * step_lots
            if self._is_dust(symbol, lots):
                continue
            if self.refusals.get((strategy, symbol), 0) >= _CLOSE_TRIES:
                left.append(f"{self._instruments[symbol].quantity(position_lots).normalize():f} {symbol} ({strategy})")
            else:
                flat = False
                self._request(
                    OrderRequest(
                        strategy,
                        symbol,
                        self.ref,
                        SELL if position_lots > 0 else BUY,
                        lots,
                        reduce_only=True,
                        closing=True,
                    )
                )
                self.ref -= 1
        return flat, left

    def on_refused(self, strategy: str, symbol: str) -> None:
        """Count what the venue did not take."""
        self.refusals[strategy, symbol] = self.refusals.get((strategy, symbol), 0) + 1

    def _is_dust(self, symbol: str, lots: int) -> bool:
        """Return whether a position is too small to be closed; it then counts as flat."""
        instrument = self._instruments[symbol]
        ticks = None if instrument.spec.contract else self.last_ticks.get(symbol)
        return not lots or (ticks is not None and instrument.value_atoms(ticks, lots) < instrument.min_notional_atoms)
