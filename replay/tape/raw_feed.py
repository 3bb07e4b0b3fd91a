"""Recorded feeds of Binance: a line for each message, the recorder's time in ns and what the exchange said, verbatim.

    1723161254087896568 {"stream":"btcusdt@trade","data":{"e":"trade",...}}

The streams are trade, bookTicker and depth; a REST depth snapshot stands between them as it was received. Everything
is played in the order it was received and by the recorder's clock: the exchange's times run backwards where streams
interleave, and some messages have none. Several files of one symbol are one feed, in the order they are given.

Changes of the book from before its snapshot are dropped, as the exchange's manual has it; a break in their numbers
makes the book unknown until the next snapshot.
"""

from __future__ import annotations

import gzip
import re
import zlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from actors.messages import Quote, Trade
from config.errors import UserError
from replay.tape.books import Book
from replay.tape.columns import time_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from actors.messages import Message
    from replay.tape.ticks import Take

_LINE = re.compile(rb"\d{19} \{")
_LINE_BYTES_MAX = 2**22
_BATCH = 16_384
_WAITING_MAX = 10_000
"""Changes of a book kept until its snapshot comes."""

_Levels = list[tuple[str, str]]


class _Said(msgspec.Struct):
    """A message of a stream; which fields it has depends on which it is."""

    event: str = msgspec.field(default="", name="e")
    trade_id: int = msgspec.field(default=0, name="t")
    price: str = msgspec.field(default="", name="p")
    quantity: str = msgspec.field(default="", name="q")
    buyer_made: bool = msgspec.field(default=False, name="m")
    first: int = msgspec.field(default=0, name="U")
    last: int = msgspec.field(default=0, name="u")
    previous: int | None = msgspec.field(default=None, name="pu")
    bids: str | _Levels = msgspec.field(default="", name="b")
    asks: str | _Levels = msgspec.field(default="", name="a")
    bid_size: str = msgspec.field(default="", name="B")
    ask_size: str = msgspec.field(default="", name="A")


class _Line(msgspec.Struct):
    """What was received: of a combined stream, or a REST snapshot."""

    stream: str = ""
    data: _Said | None = None
    last_update_id: int = msgspec.field(default=0, name="lastUpdateId")
    bids: _Levels = []
    asks: _Levels = []


_decode = msgspec.json.Decoder(_Line).decode


def is_raw_feed(path: Path, magic: bytes) -> bool:
    """Return whether a file, of which these are the first bytes, is a recorded feed, gzipped or not."""
    try:
        with gzip.open(path) if magic.startswith(b"\x1f\x8b") else path.open("rb") as file:
            return _LINE.match(file.read(32)) is not None
    except (OSError, EOFError, zlib.error):
        return False


class DepthBook:
    """A book that heeds the exchange's numbers: what to drop, what to keep waiting, where the sequence breaks."""

    __slots__ = ("_fresh", "_waiting", "book", "breaks")

    def __init__(self) -> None:
        self.book = Book()
        self.breaks = 0
        self._waiting: list[_Said] = []
        self._fresh = False
        """Whether nothing was added to the snapshot yet: the first change may reach back before it."""

    @property
    def waits(self) -> int:
        """How many changes wait for a snapshot."""
        return len(self._waiting)

    def snapshot(self, line: _Line) -> None:
        """Begin with a REST snapshot, and what has come before it and is newer."""
        self.book.reset(line.last_update_id, _levels(line.bids), _levels(line.asks))
        self._fresh = True
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            self.change(change)

    def change(self, said: _Said) -> None:
        """Apply a change, if it is the next one."""
        book = self.book
        if not book.known:
            self._waiting = [*self._waiting[1 - _WAITING_MAX :], said]
            return
        if said.last <= book.sequence:
            return
        if self._fresh:
            follows = book.sequence + 1 >= said.first
        elif said.previous is None:
            follows = book.sequence + 1 == said.first
        else:
            follows = book.sequence == said.previous
        if not follows:
            self.breaks += 1
            book.known = False
            self._waiting = [said]
            return
        self._fresh = False
        assert not isinstance(said.bids, str), said
        assert not isinstance(said.asks, str), said
        book.change(said.last, _levels(said.bids), _levels(said.asks))


class RawFeed:
    """One symbol's recorded feed.

    Args:
        files: path and name of each, in the order of time.
    """

    __slots__ = ("files",)

    kinds = ("trades", "quotes", "book")
    clocks = ("recv_ns",)

    def __init__(self, files: Sequence[tuple[Path, str]]) -> None:
        self.files = tuple(files)

    @property
    def where(self) -> str:
        """The names of the files."""
        return ", ".join(where for _, where in self.files)

    def facts(self, clock: str, take: Take) -> int:
        """Read all of it once, hand what there is to know to `take`, and return the number of lines.

        Raises:
            UserError: a file is damaged, or a line cannot be true.
        """
        del clock  # there is but one
        lines = last_ns = 0
        trades_ns: list[int] = []
        prices: list[float] = []
        last_id = broken_ns = 0
        depth = DepthBook()
        for where, row, time_ns, line in self._lines(take):
            lines += 1
            last_ns = time_ns
            said = line.data
            if said is None:
                depth.snapshot(line)
                prices += [price for price, _ in (*_levels(line.bids), *_levels(line.asks))]
            elif said.event == "trade":
                if said.trade_id <= last_id:
                    message = f"{where}: line {row}: trade {said.trade_id} does not follow trade {last_id}"
                    raise UserError(message)
                last_id = said.trade_id
                trades_ns.append(time_ns)
                prices.append(float(said.price))
            elif isinstance(said.bids, str) or isinstance(said.asks, str):
                prices += [float(price) for price in (said.bids, said.asks) if isinstance(price, str)]
            else:
                depth.change(said)
                broken_ns = broken_ns or (time_ns if depth.breaks else 0)
                prices += [price for price, _ in (*_levels(said.bids), *_levels(said.asks))]
            if len(prices) >= _BATCH:
                take.prices(np.array(prices), where, row)
                prices.clear()
        take.prices(np.array(prices), self.where, lines)
        take.trade_times(np.array(trades_ns, np.int64))
        take.passed_ns = last_ns
        if depth.breaks:
            times = "once" if depth.breaks == 1 else f"{depth.breaks:,} times"
            take.notes.append(
                f"{self.where}: the numbers of the book's changes break off {times}, first at {time_text(broken_ns)}; "
                "the book is unknown from there to its next snapshot"
            )
        if depth.waits:
            take.notes.append(f"{self.where}: {depth.waits:,} changes of the book have no snapshot and are left out")
        return lines

    def messages(self, symbol: str, clock: str) -> Iterator[Message]:
        """Yield the messages as they were received; the book at its own depth and pace.

        Raises:
            UserError: a file cannot be read any more.
        """
        del clock
        depth = DepthBook()
        for _, _, time_ns, line in self._lines(None):
            said = line.data
            if (late := depth.book.overdue(symbol, time_ns)) is not None:
                yield late
            if said is not None and said.event == "trade":
                yield Trade(
                    symbol,
                    said.trade_id,
                    float(said.price),
                    float(said.quantity),
                    -1 if said.buyer_made else 1,
                    time_ns,
                )
                continue
            if said is None:
                depth.snapshot(line)
            elif isinstance(said.bids, str) and isinstance(said.asks, str):
                yield Quote(
                    symbol, float(said.bids), float(said.bid_size), float(said.asks), float(said.ask_size), time_ns
                )
                continue
            else:
                depth.change(said)
            shown = depth.book.shown(symbol, time_ns)
            if shown is not None:
                yield shown

    def _lines(self, take: Take | None) -> Iterator[tuple[str, int, int, _Line]]:
        """Yield (file, number, time, what was received) of every line.

        Raises:
            UserError: a file is damaged, a line is none, or time goes backwards.
        """
        last_ns = 0
        for path, where in self.files:
            row = 0
            try:
                with path.open("rb") as probe:
                    packed = probe.read(2) == b"\x1f\x8b"
                with gzip.open(path) if packed else path.open("rb") as file:
                    while text := file.readline(_LINE_BYTES_MAX):
                        row += 1
                        time_text, _, said = text.partition(b" ")
                        try:
                            time_ns, line = int(time_text), _decode(said)
                        except (ValueError, msgspec.MsgspecError) as error:
                            message = f"{where}: line {row}: no time and message of a feed ({error})"
                            raise UserError(message) from error
                        if time_ns < last_ns:
                            message = (
                                f"{where}: line {row}: the recorder's time goes backwards; give the files in order"
                            )
                            raise UserError(message)
                        last_ns = time_ns
                        if take is not None:
                            take.text(text)
                        yield where, row, time_ns, line
            except (OSError, EOFError, zlib.error) as error:
                message = f"{where}: cannot be read to its end, after line {row} ({error})"
                raise UserError(message) from error


def _levels(levels: _Levels) -> list[tuple[float, float]]:
    return [(float(price), float(quantity)) for price, quantity in levels]
