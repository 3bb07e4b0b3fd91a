"""What a trade costs: at which rate, and in which asset."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors.instrument import ATOM, Rate, to_atoms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replay.exchange.account import Account
    from replay.exchange.book import Book

AUTO = "auto"
"""Commission as Binance takes it without a discount: of what is received."""


class Fees:
    """The commission schedule of the account.

    Args:
        maker: rate for orders that rested.
        taker: rate for orders that did not.
        asset: the asset to pay in while there is enough of it, or "auto".
        books: all markets, for the price of that asset.
        account: who pays.
    """

    __slots__ = ("_account", "_asset", "_books", "_maker", "_taker")

    def __init__(self, maker: Decimal, taker: Decimal, asset: str, books: Mapping[str, Book], account: Account) -> None:
        self._maker = Rate(maker)
        self._taker = Rate(taker)
        self._asset = asset
        self._books = books
        self._account = account

    def of(self, quote: str, notional_atoms: int, got: str, got_atoms: int, *, taker: bool) -> tuple[str, int]:
        """Return asset and amount: of the chosen asset while there is enough of it, else of what was received.

        Args:
            quote: asset the trade is valued in.
            notional_atoms: value of the trade.
            got: asset received.
            got_atoms: amount received.
            taker: whether the order did not rest.
        """
        rate = self._taker if taker else self._maker
        if self._asset not in (AUTO, got):
            atoms = self._value(quote, rate.of(notional_atoms))
            if atoms is not None and atoms <= self._account.free(self._asset):
                return self._asset, atoms
        return got, rate.of(got_atoms)

    def _value(self, quote: str, quote_atoms: int) -> int | None:
        """Return an amount of quote in the chosen asset, at its last price; None while it has none."""
        if self._asset == quote:
            return quote_atoms
        for book in self._books.values():
            if (book.market.base, book.market.quote) == (self._asset, quote) and book.last_ticks:
                return to_atoms(quote_atoms * ATOM / book.instrument.price(book.last_ticks))
        return None
