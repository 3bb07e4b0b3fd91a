"""Ticks: the only door for what comes between bars: trades, quotes, books, marks, funding, and values from outside.

Keeps out what cannot be true and what is out of date, so that a strategy sees each trade once and in order, and
of the rest nothing older than what it has seen. The newest of each is kept, for whoever has to know it later.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import msgspec

from actors.messages import (
    BUY,
    SELL,
    BookSnapshot,
    DataRejected,
    External,
    Funding,
    Liquidation,
    Mark,
    OpenInterest,
    Quote,
    Trade,
)
from actors.runtime.scheduler import WithheldError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.messages import Message

Tick = Trade | Quote | BookSnapshot | Mark | Funding | OpenInterest | Liquidation
"""What comes between the bars of a symbol."""

TICKS: dict[type[Message], str] = {
    Trade: "on_trade",
    Quote: "on_quote",
    BookSnapshot: "on_book",
    Mark: "on_mark",
    Funding: "on_funding",
    OpenInterest: "on_open_interest",
    Liquidation: "on_liquidation",
    External: "on_external",
}
"""What comes between bars, and the method of a strategy that hears it: of its symbol, and every external value."""

_INFINITY = float("inf")
_NOT_NUMBERS = "prices and quantities must be finite and positive"
_CROSSED = "crossed: the bid must be below the ask"
_OLD = "older than what is known"
_STRANGE = "symbol not subscribed"


class Seen(msgspec.Struct):
    """The newest of everything about one symbol."""

    trade_id: int = 0
    trade_ns: int = 0
    quote_ns: int = 0
    book_sequence: int = 0
    book_ns: int = 0
    mark: Mark | None = None
    funding: Funding | None = None
    open_interest_ns: int = 0
    liquidation_ns: int = 0


class _State(msgspec.Struct):
    seen: dict[str, Seen]
    published_ns: dict[str, int]


class Ticks:
    """Lets true and new data through to the others; withholds the rest."""

    isolated = False

    def __init__(self, symbols: Iterable[str]) -> None:
        """Serve `symbols`."""
        self.name = "ticks"
        self._seen = {symbol: Seen() for symbol in symbols}
        self._published_ns: dict[str, int] = {}
        """When the newest value of each external series was published."""

    def on_trade(self, trade: Trade) -> None:
        """Let a trade through if it is the next one, or a later one."""
        seen = self._known(trade)
        if not (0.0 < trade.price < _INFINITY and 0.0 < trade.quantity < _INFINITY):
            raise _withheld(trade, _NOT_NUMBERS)
        if trade.trade_id:
            if trade.trade_id <= seen.trade_id:
                raise _withheld(trade, _OLD)
            seen.trade_id = trade.trade_id
        seen.trade_ns = max(seen.trade_ns, trade.time_ns)

    def on_quote(self, quote: Quote) -> None:
        """Let a quote through that is not older than the last."""
        seen = self._known(quote)
        sizes = 0.0 < quote.bid_size < _INFINITY and 0.0 < quote.ask_size < _INFINITY
        if not (sizes and 0.0 < quote.bid < _INFINITY and 0.0 < quote.ask < _INFINITY):
            raise _withheld(quote, _NOT_NUMBERS)
        if quote.bid >= quote.ask:
            raise _withheld(quote, _CROSSED)
        if 0 < quote.time_ns < seen.quote_ns:
            raise _withheld(quote, _OLD)
        seen.quote_ns = max(seen.quote_ns, quote.time_ns)

    def on_book(self, book: BookSnapshot) -> None:
        """Let a book through that is in order, not crossed, and not older than the last.

        A venue may begin to count anew: a lower number of a later time is taken.
        """
        seen = self._known(book)
        fault = _book_fault(book)
        if fault:
            raise _withheld(book, fault)
        if 0 < book.sequence < seen.book_sequence and book.time_ns <= seen.book_ns:
            raise _withheld(book, _OLD)
        seen.book_sequence = book.sequence
        seen.book_ns = max(seen.book_ns, book.time_ns)

    def on_mark(self, mark: Mark) -> None:
        """Let a mark through that is not older than the last."""
        seen = self._known(mark)
        if not (0.0 < mark.price < _INFINITY and 0.0 <= mark.index < _INFINITY):
            raise _withheld(mark, _NOT_NUMBERS)
        if seen.mark is not None and 0 < mark.time_ns < seen.mark.time_ns:
            raise _withheld(mark, _OLD)
        seen.mark = mark

    def on_funding(self, funding: Funding) -> None:
        """Let an announcement through that is not older than the last."""
        seen = self._known(funding)
        if not isfinite(funding.rate) or funding.next_ns < 0:
            raise _withheld(funding, "the rate must be finite")
        if seen.funding is not None and 0 < funding.time_ns < seen.funding.time_ns:
            raise _withheld(funding, _OLD)
        seen.funding = funding

    def on_open_interest(self, interest: OpenInterest) -> None:
        """Let an open interest through that is not older than the last."""
        seen = self._known(interest)
        if not (0.0 <= interest.quantity < _INFINITY and 0.0 <= interest.value < _INFINITY):
            raise _withheld(interest, "an open interest must be finite and not negative")
        if 0 < interest.time_ns < seen.open_interest_ns:
            raise _withheld(interest, _OLD)
        seen.open_interest_ns = max(seen.open_interest_ns, interest.time_ns)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        """Let a liquidation through that is not older than the last."""
        seen = self._known(liquidation)
        if not (0.0 < liquidation.price < _INFINITY and 0.0 < liquidation.quantity < _INFINITY):
            raise _withheld(liquidation, _NOT_NUMBERS)
        if liquidation.side not in (BUY, SELL):
            raise _withheld(liquidation, "the side must be 1 or -1")
        if 0 < liquidation.time_ns < seen.liquidation_ns:
            raise _withheld(liquidation, _OLD)
        seen.liquidation_ns = max(seen.liquidation_ns, liquidation.time_ns)

    def on_external(self, external: External) -> None:
        """Let a value through that was not published before the last of its series."""
        if not isfinite(external.value):
            raise _withheld(external, "the value must be finite")
        if external.published_ns < self._published_ns.get(external.name, 0):
            raise _withheld(external, _OLD)
        self._published_ns[external.name] = external.published_ns

    def last_trade_ids(self) -> dict[str, int]:
        """Return the newest trade's id of every symbol that had one with an id."""
        return {symbol: seen.trade_id for symbol, seen in self._seen.items() if seen.trade_id}

    def dump(self) -> bytes:
        """Return the state."""
        return msgspec.msgpack.encode(_State(self._seen, self._published_ns))

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self._seen.update(kept.seen)
        self._published_ns = kept.published_ns

    def _known(self, message: Tick) -> Seen:
        try:
            return self._seen[message.symbol]
        except KeyError:
            raise _withheld(message, _STRANGE) from None


def middle(message: Tick) -> float:
    """Return the price a tick shows: a trade's, the middle of the best bid and ask, or 0.0 where it shows none."""
    if isinstance(message, Trade):
        return message.price
    if isinstance(message, Quote):
        return (message.bid + message.ask) / 2
    if isinstance(message, BookSnapshot) and message.bids and message.asks:
        return (message.bids[0][0] + message.asks[0][0]) / 2
    return 0.0


def _book_fault(book: BookSnapshot) -> str:
    last = _INFINITY
    for price, quantity in book.bids:
        if not (0.0 < price < last and 0.0 < quantity < _INFINITY):
            return _NOT_NUMBERS if price < last else "bids must fall"
        last = price
    last = 0.0
    for price, quantity in book.asks:
        if not (last < price < _INFINITY and 0.0 < quantity < _INFINITY):
            return _NOT_NUMBERS if price > last else "asks must rise"
        last = price
    return _CROSSED if book.bids and book.asks and book.bids[0][0] >= book.asks[0][0] else ""


def _withheld(message: Tick | External, reason: str) -> WithheldError:
    about = message.name if isinstance(message, External) else message.symbol
    return WithheldError(DataRejected(about, type(message).__name__, reason))
