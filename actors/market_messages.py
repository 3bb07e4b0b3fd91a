"""The first words of the vocabulary: what a message is, and what markets say.

Prices and quantities of market data are floats, as the venue publishes them. Read through `actors.messages`.
"""

from typing import Any

import msgspec


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all messages."""


class Bar(Message, frozen=True):
    """One closed candle; knowable at `close_ns`, which is `open_ns` + `timeframe_ns`."""

    symbol: str
    timeframe_ns: int
    open_ns: int
    close_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class AggregateClosed(Message, frozen=True):
    """A higher-timeframe bar, built from bars, is complete."""

    bar: Bar
    history: bool = False
    """Whether it closed before the session began to trade."""


class WarmUp(Message, frozen=True):
    """What follows is history: bars of `symbol` that close by `start_ns` warm up, and nothing is traded on them."""

    symbol: str
    first_open_ns: int
    """Where the history that is wanted begins; what of it does not come is missing."""
    start_ns: int
    """The first bar of the session proper opens here."""


class HistoryBar(Message, frozen=True):
    """A true bar of the history before a session; features hear it, and nobody who trades."""

    bar: Bar


class Trade(Message, frozen=True):
    """A public trade."""

    symbol: str
    trade_id: int
    """The venue's own number, ascending within the symbol; 0 where it gives none."""
    price: float
    quantity: float
    side: int
    """BUY (1) or SELL (-1), of the one who took; 0 where the venue does not say."""
    time_ns: int
    """The venue's time of the trade."""


class Quote(Message, frozen=True):
    """The best bid and ask; of several that wait, only the newest is told."""

    symbol: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    time_ns: int
    """The venue's time, 0 where it does not say."""


class BookSnapshot(Message, frozen=True):
    """The best levels of an order book; of several that wait, only the newest is told."""

    symbol: str
    sequence: int
    """The venue's number of the book's last change, ascending; 0 where it gives none."""
    bids: tuple[tuple[float, float], ...]
    """(price, quantity), the best first."""
    asks: tuple[tuple[float, float], ...]
    """(price, quantity), the best first."""
    time_ns: int
    """The venue's time, 0 where it does not say."""


class Mark(Message, frozen=True):
    """The price a contract is valued at; of several that wait, only the newest is told."""

    symbol: str
    price: float
    index: float
    """Price of what underlies it; 0.0 where the venue does not say."""
    time_ns: int
    """The venue's time, 0 where it does not say."""


class Funding(Message, frozen=True):
    """What holding a contract over `next_ns` will cost, as announced; it may still change."""

    symbol: str
    rate: float
    """Fraction of the position's value; positive is paid by longs to shorts."""
    next_ns: int
    """When it is paid, 0 where the venue does not say."""
    time_ns: int
    """The venue's time of the announcement, 0 where it does not say."""


class OpenInterest(Message, frozen=True):
    """How much of a contract is held open."""

    symbol: str
    quantity: float
    """Base units or contracts, as the venue counts."""
    value: float
    """In quote units; 0.0 where the venue does not say."""
    time_ns: int
    """When it could be known, 0 where nobody says."""


class Liquidation(Message, frozen=True):
    """An order by which the venue closed somebody's position."""

    symbol: str
    side: int
    """BUY (1) or SELL (-1), of that order: a SELL ended a long position."""
    price: float
    quantity: float
    """Base units."""
    time_ns: int
    """When it could be known, 0 where nobody says."""


class External(Message, frozen=True):
    """A value of a series that is no market's own: sentiment, a score, a flow."""

    name: str
    """The series' name, as it was given with `--series`."""
    value: float
    ts_ns: int
    """What time the value speaks of."""
    published_ns: int
    """When it could be known: the time of this input."""


class TapeEnded(Message, frozen=True):
    """Every series of the tape has been played; no further market data will come."""


class BarRejected(Message, frozen=True):
    """Market data that cannot be true was kept from the other actors."""

    symbol: str
    open_ns: int
    reason: str


class DataRejected(Message, frozen=True):
    """What came between bars and cannot be true, or is out of date, was kept from the others."""

    symbol: str
    """Of an external value the name of its series."""
    kind: str
    """The name of the message that was kept back."""
    reason: str


class FeedStale(Message, frozen=True):
    """A series is overdue."""

    symbol: str
    timeframe_ns: int
    last_close_ns: int


class FeedResumed(Message, frozen=True):
    """A stale series speaks again."""

    symbol: str
    timeframe_ns: int


class FeatureRow(Message, frozen=True):
    """A bar and the values of one strategy's declared features at its close."""

    strategy: str
    bar: Bar
    values: Any
    """A struct with one float per declared feature; never journaled."""


class HistoryRow(FeatureRow, frozen=True):
    """A row at the close of a bar of history: for strategies that want to see some, and may not trade on it."""


class SliceClosed(Message, frozen=True):
    """The rows of one close of a strategy on several symbols: all there will be for it."""

    strategy: str
    close_ns: int
    rows: tuple[FeatureRow, ...]
    """In the order of its symbols; who has no bar of that close, or is still warming up, is left out."""
    history: bool = False
    """Whether it closed before the session began to trade."""
