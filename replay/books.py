"""The books of an account as people read them: what each strategy ordered, filled, earned and holds, by symbol."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import from_atoms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from actors.ledger import Holding
    from actors.system import Core


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy's book in one symbol; money in quote units, the quantity signed and in base units."""

    strategy: str
    symbol: str
    orders: int
    """Given to the venue, those of a flatten included; one that was amended is one."""
    fills: int
    round_trips: int
    profit: Decimal
    """Realised and not, less fees, with funding: all books together make what the equity has gained."""
    realized_pnl: Decimal
    """Of closed quantity, before fees."""
    fees: Decimal
    funding: Decimal
    """Received, less paid."""
    position: Decimal


def books_of(core: Core) -> list[Book]:
    """Return every book: of the strategies' symbols in their order, then what is held of others."""
    holdings = core.ledger.holdings
    known = [(actor.id, symbol) for actor in core.strategies for symbol in actor.symbols]
    return [_book(core, *book) for book in dict.fromkeys((*known, *holdings))]


def has_several(books: Sequence[Book]) -> bool:
    """Return whether the books are of more than one strategy, and so tell more than the account does."""
    return len({book.strategy for book in books}) > 1


def books_table(books: Sequence[Book]) -> Table:
    """Return the books as a table for a terminal."""
    from rich.table import Table

    table = Table(title="Books", title_justify="left", min_width=56)
    table.add_column("strategy", no_wrap=True)
    table.add_column("symbol", no_wrap=True)
    for heading in ("orders", "fills", "profit", "fees", "position"):
        table.add_column(heading, justify="right")
    for book in books:
        figures = (f"{book.orders:,}", f"{book.fills:,}", f"{book.profit:,.2f}", f"{book.fees:,.2f}")
        table.add_row(book.strategy, book.symbol, *figures, f"{book.position:f}")
    return table


def _book(core: Core, strategy: str, symbol: str) -> Book:
    held = core.ledger.holdings.get((strategy, symbol))
    orders = core.execution.given.get((strategy, symbol), 0)
    if held is None:
        nothing = Decimal(0)
        money = {"profit": nothing, "realized_pnl": nothing, "fees": nothing, "funding": nothing, "position": nothing}
        return Book(strategy=strategy, symbol=symbol, orders=orders, fills=0, round_trips=0, **money)
    return Book(
        strategy=strategy,
        symbol=symbol,
        orders=orders,
        fills=held.fills,
        round_trips=held.round_trips,
        profit=from_atoms(_earned_atoms(held) + core.ledger.unrealized_atoms(held)),
        realized_pnl=from_atoms(held.realized_atoms),
        fees=from_atoms(held.fees_atoms),
        funding=from_atoms(held.funding_atoms),
        position=core.instruments[symbol].quantity(held.quantity_lots).normalize() + 0,
    )


def _earned_atoms(held: Holding) -> int:
    earned_atoms = held.realized_atoms - held.fees_atoms + held.funding_atoms
    return earned_atoms - held.liquidation_fees_atoms + held.insured_atoms
