"""The first words of the vocabulary: what a message is, and what markets say.

Prices and quantities of market data are floats, as the venue publishes them. Read through `actors.messages`.
"""

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


class TapeEnded(Message, frozen=True):
    """Every series of the tape has been played; no further market data will come."""


class BarRejected(Message, frozen=True):
    """Market data that cannot be true was kept from the other actors."""

    symbol: str
    open_ns: int
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
