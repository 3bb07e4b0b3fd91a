"""What a symbol's name says of the money it is paid in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def quote_of(symbol: str) -> str:
    """Return the quote currency in a name such as ``BTC/USDT`` or ``BTC/USDT:USDT``; empty where it has none."""
    return symbol.partition("/")[2].partition(":")[0]


def is_contract(symbol: str) -> bool:
    """Return whether a name such as ``BTC/USDT:USDT`` is a contract's."""
    return ":" in symbol


def check_families(symbols: Iterable[str]) -> None:
    """Refuse spot beside contracts: they are two accounts of a venue, and a session compares one.

    Raises:
        ValueError: names which are which, and what to do.
    """
    names = tuple(symbols)
    contracts = [name for name in names if is_contract(name)]
    if contracts and len(contracts) < len(names):
        spot = [name for name in names if not is_contract(name)]
        message = (
            f"a session trades spot or contracts, and {', '.join(spot)} is spot, {', '.join(contracts)} is not;"
            " run one daemon for each, with a --state-dir of its own"
        )
        raise ValueError(message)


def check_quotes(symbols: Iterable[str]) -> None:
    """Refuse symbols that are paid in different money: a session's cash, equity and limits are of one currency.

    Raises:
        ValueError: names which symbols are quoted in what, and what to do.
    """
    by_quote: dict[str, list[str]] = {}
    for symbol in symbols:
        if quote := quote_of(symbol):
            by_quote.setdefault(quote, []).append(symbol)
    if len(by_quote) > 1:
        words = "; ".join(f"{', '.join(names)} in {quote}" for quote, names in by_quote.items())
        message = (
            f"a session counts in one quote currency, and these are quoted in {len(by_quote)}: {words};"
            " run one daemon for each, with a --state-dir of its own"
        )
        raise ValueError(message)
