"""A recorded raw feed of Binance's streams, of a spot market or of a perpetual, played as it is.

A line is the nanosecond it arrived and the message: of ``@trade``, ``@bookTicker`` or ``@depth@100ms`` (of a
perpetual also ``@depth@0ms``) as a combined stream wraps it, or a snapshot of the depth. Streams and snapshots
say what was recorded to the letter, times and ids included; its trades are also the prints that our orders
meet. Candles and our own executions carry exchange time, which without a tape is the wall's.

A trade is durable together with its line: an exchange that starts again goes on behind the last trade it has
printed. Our own orders are not in the recorded book: its differences are numbered without a gap, and there is
no number for one of ours.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from config.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from replay.exchange.model import Market
    from replay.exchange.venue import Venue

SUFFIXES = (".feed", ".feed.gz")
CHANNELS = ("trade", "bookTicker", "depth", "depth@0ms", "depth@100ms")
"""What is sent as it was recorded, and not made from the engine."""
_DIFFS = tuple(channel for channel in CHANNELS if channel.startswith("depth"))
_LOOKED_AT = 1_000
"""Lines of a feed that are searched for what only a perpetual's differences say."""

log = structlog.get_logger()


class _Data(msgspec.Struct):
    """What is read of a message; everything else goes through unread."""

    price: str = msgspec.field(default="", name="p")
    quantity: str = msgspec.field(default="", name="q")
    last_update_id: int = msgspec.field(default=0, name="u")
    previous_id: int = msgspec.field(default=0, name="pu")
    # A difference has lists of levels here, a best price has one price.
    bids: list[tuple[str, str]] | str = msgspec.field(default_factory=list, name="b")
    asks: list[tuple[str, str]] | str = msgspec.field(default_factory=list, name="a")


class _Message(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    lastUpdateId: int = 0  # noqa: N815 - Binance's name
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


_decode = msgspec.json.Decoder(_Message).decode
_decode_data = msgspec.json.Decoder(_Data).decode


def is_contract_feed(path: Path) -> bool:
    """Return whether a feed is of a perpetual: its differences name the one before them.

    Raises:
        UserError: the file cannot be read.
    """
    lines = itertools.islice(_read(path), _LOOKED_AT)
    return any(message.stream and _decode_data(message.data).previous_id for _, message in lines)


def fingerprint_of(path: Path) -> str:
    """Return what tells a feed from any other.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise _unreadable(path, error) from error


class RecordedBook:
    """The book as a recording tells it: prices and quantities as they were written."""

    def __init__(self) -> None:
        self.last_update_id = 0
        self._sides: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def load(self, last_update_id: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> None:
        """Take a snapshot, unless the book is already beyond it."""
        if last_update_id < self.last_update_id:
            return
        self.last_update_id = last_update_id
        self._sides = (dict(bids), dict(asks))

    def change(self, last_update_id: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> None:
        """Take a difference, unless the book is already beyond it."""
        if last_update_id <= self.last_update_id:
            return
        self.last_update_id = last_update_id
        for side, levels in zip(self._sides, (bids, asks), strict=True):
            for price, quantity in levels:
                if Decimal(quantity):
                    side[price] = quantity
                else:
                    side.pop(price, None)

    def depth(self, limit: int) -> dict[str, Any]:
        """Return a snapshot as `depth` gives it."""
        bids, asks = (
            [list(level) for level in sorted(side.items(), key=lambda level: Decimal(level[0]), reverse=is_bid)[:limit]]
            for side, is_bid in zip(self._sides, (True, False), strict=True)
        )
        return {"lastUpdateId": self.last_update_id, "bids": bids, "asks": asks}


class Recording:
    """One recorded feed of one market.

    Args:
        path: the file, gzipped or plain.
        market: what it is of.
        played: lines that were played before; the book begins as they left it.

    Raises:
        UserError: the file is no such feed.
    """

    def __init__(self, path: Path, market: Market, played: int = 0) -> None:
        self.market = market
        self.book = RecordedBook()
        self._path = path
        first = next(_read(path), None)
        if first is None or (first[1].stream and not first[1].stream.startswith(f"{market.id.lower()}@")):
            message = f"--tape {path}: no recorded feed of {market.symbol}"
            raise UserError(message)
        self._lines = enumerate(_read(path))
        for _, (_, line) in itertools.islice(self._lines, played):
            self._change(line)

    async def play(self, venue: Venue[Any], speed: float, send: Callable[[str, str], None]) -> None:
        """Play what is left of the feed; the book stands still at its end.

        Args:
            venue: takes the trades.
            speed: recorded seconds per second.
            send: told the channel and the text of each message.
        """
        began_s, first_ns = time.monotonic(), 0
        for number, (arrived_ns, message) in self._lines:
            first_ns = first_ns or arrived_ns
            wait_s = (arrived_ns - first_ns) / 1e9 / speed - (time.monotonic() - began_s)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            channel = message.stream.partition("@")[2]
            data = self._change(message)
            if channel == "trade":
                await venue.print_trade(self.market.id, Decimal(data.price), Decimal(data.quantity), number)
            text = bytes(message.data).decode()
            for told in _DIFFS if channel.startswith("depth") else (channel,) if channel else ():
                send(told, text)
        log.info("recording_ended", file=str(self._path))

    def _change(self, message: _Message) -> _Data:
        """Have the book take a message; return what it says."""
        if not message.stream:
            self.book.load(message.lastUpdateId, message.bids, message.asks)
            return _Data()
        data = _decode_data(message.data)
        if isinstance(data.bids, list) and isinstance(data.asks, list):
            self.book.change(data.last_update_id, data.bids, data.asks)
        return data


def _read(path: Path) -> Iterator[tuple[int, _Message]]:
    """Yield when each line arrived, and what it says.

    Raises:
        UserError: the file cannot be read, or is no such feed.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                stamp, _, text = line.partition(b" ")
                try:
                    yield int(stamp), _decode(text)
                except (ValueError, msgspec.DecodeError) as error:
                    message = f"--tape {path}: line {number}: {error}"
                    raise UserError(message) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"--tape {path}: {error.strerror or error}")
