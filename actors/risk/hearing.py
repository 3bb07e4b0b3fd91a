"""What risk hears of the market and the account for its rules, and only where one of them needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.messages import Bar, BookSnapshot, Funding, HistoryBar, Mark, PositionChanged, Quote, Trade
    from actors.risk.sources import Sources


class Hearing:
    """The part of risk that listens."""

    _given: Sources

    def note_equity(self, equity_atoms: int) -> None:
        """Begin to follow the equity, which is so much now."""
        self._given.equity.atoms = equity_atoms

    def on_bar(self, bar: Bar) -> None:
        """Note how a symbol moves."""
        self._given.windows.on_bar(bar)

    def on_history(self, message: HistoryBar) -> None:
        """Note how a symbol has moved before the session."""
        self._given.windows.on_bar(message.bar)

    def on_trade(self, trade: Trade) -> None:
        """Note a price."""
        self._given.newest.on_trade(trade)

    def on_quote(self, quote: Quote) -> None:
        """Note the best prices."""
        self._given.newest.on_quote(quote)

    def on_book(self, book: BookSnapshot) -> None:
        """Note the best prices."""
        self._given.newest.on_book(book)

    def on_mark(self, mark: Mark) -> None:
        """Note what a contract is valued at."""
        self._given.newest.on_mark(mark)

    def on_funding(self, funding: Funding) -> None:
        """Note when a contract pays."""
        self._given.newest.on_funding(funding)

    def on_trip(self, message: PositionChanged) -> None:
        """Follow how trades end."""
        self._given.streaks.on_position_changed(message, self._given.context.now_ns)
