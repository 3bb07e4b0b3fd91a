"""What risk hears of the market and the account for its rules, and only where one of them needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.risk.market import Seen

if TYPE_CHECKING:
    from collections.abc import Collection

    from actors.messages import Bar, BookSnapshot, Funding, HistoryBar, Mark, PositionChanged, Quote, Trade
    from actors.risk.rules import Need
    from actors.risk.sources import Sources


class Hearing:
    """The part of risk that listens."""

    _given: Sources

    def note_equity(self, equity_atoms: int) -> None:
        """Begin to follow the equity, which is so much now."""
        self._given.equity.begin(equity_atoms)

    def _begin(self, needs: Collection[Need]) -> None:
        """Begin to hear of what was not needed until now; what was known of it is old."""
        given = self._given
        if "positions" in needs:
            given.streaks.begin(given.books.positions, from_start=False)
        if "bars" in needs:
            given.windows.moves.clear()
        for symbol, seen in given.newest.seen.items():
            given.newest.seen[symbol] = Seen(
                price=0.0 if "trades" in needs or "quotes" in needs else seen.price,
                price_ns=seen.price_ns,
                bid=0.0 if "quotes" in needs else seen.bid,
                ask=0.0 if "quotes" in needs else seen.ask,
                mark=0.0 if "marks" in needs else seen.mark,
                funding_ns=0 if "funding" in needs else seen.funding_ns,
                paid_ns=0 if "funding" in needs else seen.paid_ns,
            )

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
