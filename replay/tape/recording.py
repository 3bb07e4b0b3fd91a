"""What a recording of a live feed is made of: what was heard, in the order and with the time it was heard.

A row of the kind `feed` has `ts`, the time the listener stamped it with, `seq`, which counts all rows of a recording
in the order they came, also across symbols, and `message`: a JSON array that begins with what it is.

    ["Trade","BTC/USDT",4711,67890.12,0.0003,1,1732190400123000000]

Besides market data there are `Opened`, which tells what is listened to and by which rules it is traded, and `Broke`,
which tells what may be missing. Both are for readers; neither is played.
"""

from __future__ import annotations

import msgspec

from actors.instrument import InstrumentSpec
from actors.messages import (
    Bar,
    BookSnapshot,
    Funding,
    Liquidation,
    Mark,
    OpenInterest,
    Quote,
    Trade,
    WarmUp,
)

COLUMNS = ("ts", "seq", "message")

Heard = Bar | Trade | Quote | BookSnapshot | Mark | Funding | OpenInterest | Liquidation | WarmUp
"""What a core is told of a market: the inputs of a session that are not its own doing."""
HEARD = (Bar, Trade, Quote, BookSnapshot, Mark, Funding, OpenInterest, Liquidation, WarmUp)


class Opened(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A recording of one symbol begins, or goes on after somebody was away."""

    symbol: str
    timeframe_ns: int
    """Length of its bars."""
    instrument: InstrumentSpec
    streams: tuple[str, ...]
    """What is listened to, as `exchange.streams` names it."""
    ticks: bool
    """Whether paper orders are matched on what comes between the bars."""
    start_ns: int
    """The time before the first input of a session that begins here."""
    ordinal: int
    """Its place among the symbols of the recording."""


class Broke(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A stream broke off, or did not tell everything."""

    symbol: str
    stream: str
    """What of it; empty for all."""
    reason: str
    missing: int
    """Bars or trades that nobody can tell any more; of other streams nobody can count them."""


Said = Heard | Opened | Broke

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Said).decode
_NOT_A_NUMBER = b",null"
"""What JSON makes of a float that is none; no message has a field that may be absent."""


def encode_said(message: Said) -> bytes | None:
    """Return a row's text; None for market data that holds no numbers, which every core withholds."""
    text = _encode(message)
    return None if _NOT_A_NUMBER in text and not isinstance(message, Opened | Broke) else text


def decode_said(text: str | bytes) -> Said:
    """Return what a row says.

    Raises:
        msgspec.MsgspecError: it is no such text.
    """
    said: Said = _decode(text)
    return said
