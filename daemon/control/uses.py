"""How much of each limit is used: what is held now, beside what may be held.

Rules judge an order at its worst, with all that works filled; this is for people who want to see how near it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.instrument import from_atoms
from actors.risk.limits import each_limit
from daemon.control.types import LimitUse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from decimal import Decimal

    from actors.system import Core

_MINUTE_NS = 60_000_000_000


class _Book(msgspec.Struct, frozen=True):
    strategy: str
    symbol: str
    quantity: float
    value: float
    """In quote units, signed."""


def limit_uses(core: Core, initial_margin: Decimal | None) -> tuple[LimitUse, ...]:
    """Return what is used of every limit in force that is an amount.

    Args:
        core: whose.
        initial_margin: what contracts take of the account's money; None where there are none on margin.
    """
    limits = core.risk.in_force.limits
    books = list(_books(core))
    equity = float(from_atoms(core.ledger.equity_atoms))
    account = _of_the_account(core)
    if initial_margin is not None and equity > 0:
        account["max_margin"] = float(initial_margin) / equity
    uses: list[LimitUse] = []
    for name, value in each_limit(limits):
        if value is None:
            continue
        key, _, leaf = name.rpartition(".")
        table, _, key = key.partition(".")
        members = set(limits.groups[key].symbols) if table == "groups" else {key}
        used = account.get(leaf) if not table else None
        measured = _MEASURES.get(leaf)
        if measured is not None:
            scope, measure = measured
            sums = _sums(books, scope, {name: set(group.symbols) for name, group in limits.groups.items()})
            wanted = [
                measure(found)
                for subject, found in sums
                if not table or subject == key or (scope == "book" and found[0].symbol in members)
            ]
            used = max(wanted, default=0.0)
            if leaf.endswith("leverage"):
                used = used / equity if equity > 0 else 0.0
        if used is not None:
            uses.append(LimitUse(limit=name, used=used, most=float(value)))
    return tuple(uses)


def _books(core: Core) -> Iterator[_Book]:
    for held in core.ledger.holdings.values():
        if held.quantity_lots:
            quantity = float(core.instruments[held.symbol].quantity(held.quantity_lots))
            mark = core.ledger.mark_price(held.symbol)
            value = float(from_atoms(held.cost_atoms)) if mark is None else quantity * mark
            yield _Book(held.strategy, held.symbol, quantity, value)


def _of_the_account(core: Core) -> dict[str, float]:
    """Return what is used of the limits that are on no position."""
    given = core.risk.sources
    equity, oldest_ns = given.equity, core.context.now_ns - _MINUTE_NS
    used: dict[str, float] = {
        "max_open_orders": len(core.execution.orders),
        "max_orders_per_minute": sum(given_ns > oldest_ns for given_ns in given.pace.times_ns),
        "max_consecutive_losses": max((streak.losses for streak in given.streaks.by_strategy.values()), default=0),
        "max_daily_loss": 0.0,
        "max_weekly_loss": 0.0,
        "max_drawdown": 0.0,
    }
    if equity.day_atoms is not None:
        used["max_daily_loss"] = max(0.0, float(from_atoms(equity.day_atoms - equity.atoms)))
    if equity.week_atoms is not None:
        used["max_weekly_loss"] = max(0.0, float(from_atoms(equity.week_atoms - equity.atoms)))
    if equity.peak_atoms:
        used["max_drawdown"] = max(0.0, 1 - equity.atoms / equity.peak_atoms)
    return used


def _sums(books: list[_Book], scope: str, groups: dict[str, set[str]]) -> Iterable[tuple[str, list[_Book]]]:
    """Yield (subject, its books) of a scope; of the scope `book` each by itself."""
    if scope == "book":
        return [(book.symbol, [book]) for book in books]
    if scope == "account":
        return [("", books)]
    if scope == "group":
        return [(name, [book for book in books if book.symbol in members]) for name, members in groups.items()]
    found: dict[str, list[_Book]] = {}
    for book in books:
        found.setdefault(book.symbol if scope == "symbol" else book.strategy, []).append(book)
    return found.items()


def _net(books: list[_Book]) -> float:
    return abs(sum(book.value for book in books))


def _gross(books: list[_Book]) -> float:
    return sum(abs(book.value) for book in books)


def _quantity(books: list[_Book]) -> float:
    return abs(sum(book.quantity for book in books))


_MEASURES: dict[str, tuple[str, Callable[[list[_Book]], float]]] = {
    "max_position": ("book", _quantity),
    "max_notional": ("book", _net),
    "max_symbol_position": ("symbol", _quantity),
    "max_symbol_net": ("symbol", _net),
    "max_symbol_gross": ("symbol", _gross),
    "max_symbol_leverage": ("symbol", _gross),
    "max_group_net": ("group", _net),
    "max_group_gross": ("group", _gross),
    "max_strategy_net": ("strategy", _net),
    "max_strategy_gross": ("strategy", _gross),
    "max_strategy_leverage": ("strategy", _gross),
    "max_net": ("account", _net),
    "max_gross": ("account", _gross),
    "max_leverage": ("account", _gross),
}
"""Limits on what is held: of what, and what of it."""
