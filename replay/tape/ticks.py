"""The ticks of one symbol as a series of a tape, and the bars that are built from its trades.

A bar holds the trades from its open time on and before its close. It is played at its close, and only if the file of
the trades goes on at or after that: a last bucket that is not complete is left out. Where nobody traded there is no
bar. The first bar begins with the first trade; nobody can tell whether there were others before it.
"""

from __future__ import annotations

import hashlib
from array import array
from itertools import islice
from math import fsum
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from actors.messages import Bar, BookSnapshot, Quote, Trade
from config.errors import UserError
from config.timeframe import format_timeframe, opening_ns, origin_ns
from replay.tape.columns import Columns, time_text
from replay.tape.grid import DECIMALS_MAX, Grid, count_off_prices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from actors.messages import Message
    from replay.tape.columns import Floats, Integers

_BLOCK_BARS = 4_096
_NAMES = {"trades": "trades", "quotes": "quotes", "book": "changes of the book"}


class TickStream(Protocol):
    """Some of a symbol's ticks, from one file."""

    @property
    def where(self) -> str:
        """The file's name."""

    @property
    def clocks(self) -> tuple[str, ...]:
        """Names of the clocks its times can be told by."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds it holds: trades, quotes, book."""

    def facts(self, clock: str, take: Take) -> int:
        """Read all of it once, hand what there is to know to `take`, and return the number of messages.

        Raises:
            UserError: it cannot be read, or a row cannot be true.
        """

    def messages(self, symbol: str, clock: str) -> Iterator[Message]:
        """Yield the messages in order.

        Raises:
            UserError: it cannot be read any more.
        """


class Take:
    """Collects, over one pass, what a series of ticks needs to be described."""

    __slots__ = (
        "_digest",
        "_grid",
        "_newest",
        "_tick",
        "_timeframe_ns",
        "buckets",
        "first_ns",
        "notes",
        "off",
        "passed_ns",
    )

    def __init__(self, timeframe_ns: int, tick: Decimal | None) -> None:
        self._timeframe_ns = timeframe_ns
        self._tick = tick
        self._grid = Grid()
        self._digest = hashlib.sha256()
        self._newest = [-1]
        self.buckets = 0
        """Bars that have trades."""
        self.first_ns = 0
        """Time of the first trade; 0 before there was one."""
        self.passed_ns = 0
        """How far the file of the trades goes."""
        self.off = 0
        """Prices that are no multiples of the given tick."""
        self.notes: list[str] = []
        """What a person should know of a file, such as a gap."""

    @property
    def tick(self) -> Decimal:
        """The price step: the given one, or what all prices are multiples of."""
        return self._grid.tick if self._tick is None else self._tick

    def hash(self, *columns: Integers | Floats | NDArray[np.bool_]) -> None:
        """Make the values part of the fingerprint."""
        for column in columns:
            self._digest.update(np.ascontiguousarray(column).data)

    def text(self, line: bytes) -> None:
        """Make a line part of the fingerprint."""
        self._digest.update(line)

    def prices(self, prices: Floats, where: str, first_row: int) -> None:
        """Widen the grid until it holds these prices.

        Raises:
            UserError: a price has more decimals than the finest grid.
        """
        if self._tick is not None:
            self.off += count_off_prices(prices, self._tick)
            return
        row = self._grid.widen(prices)
        if row is not None:
            message = (
                f"{where}: row {first_row + row}: price {prices[row]!s} has more than {DECIMALS_MAX} decimals; "
                "give the tick (--set instrument.tick=...)"
            )
            raise UserError(message)

    def trade_times(self, times_ns: Integers) -> None:
        """Count the bars these trades, the next in order, are in."""
        if not len(times_ns):
            return
        if not self.first_ns:
            self.first_ns = int(times_ns[0])
        buckets = (times_ns - origin_ns(self._timeframe_ns)) // self._timeframe_ns
        entered = buckets[np.flatnonzero(np.diff(buckets, prepend=self._newest[-1]))]
        self.buckets += len(entered)
        self._newest = [*self._newest, *entered[-2:].tolist()][-2:]

    def opens_ns(self) -> list[int]:
        """Return the open times of the last two bars that have trades, if there are so many."""
        first_ns = origin_ns(self._timeframe_ns)
        return [first_ns + bucket * self._timeframe_ns for bucket in self._newest if bucket >= 0]

    def fingerprint(self) -> str:
        """Return the hash of all that was taken."""
        return self._digest.hexdigest()[:32]


class Ticks:
    """All the ticks of one symbol; also a source of its bars.

    Args:
        symbol: whose.
        timeframe_ns: length of the bars.
        files: its streams, with the clock each is told by.
        bars: how many bars there will be.
    """

    __slots__ = ("_files", "_symbol", "_timeframe_ns", "rows_guess")

    def __init__(self, symbol: str, timeframe_ns: int, files: Sequence[tuple[TickStream, str]], bars: int) -> None:
        self._symbol = symbol
        self._timeframe_ns = timeframe_ns
        self._files = tuple(files)
        self.rows_guess = bars

    @property
    def kinds(self) -> tuple[str, ...]:
        """What comes between its bars: trades, quotes, book."""
        return tuple(dict.fromkeys(kind for stream, _ in self._files for kind in stream.kinds))

    def streams(self) -> list[Iterator[Message]]:
        """Return each file's messages, in order; bars stand among the trades they are built from."""
        return [
            with_bars(stream.messages(self._symbol, clock), self._symbol, self._timeframe_ns)
            if "trades" in stream.kinds
            else stream.messages(self._symbol, clock)
            for stream, clock in self._files
        ]

    def blocks(self, start_row: int) -> Iterator[Columns]:
        """Yield the bars alone, from `start_row` on.

        Raises:
            UserError: a file cannot be read any more.
        """
        (trading,) = [(stream, clock) for stream, clock in self._files if "trades" in stream.kinds]
        stream, clock = trading
        played = with_bars(stream.messages(self._symbol, clock), self._symbol, self._timeframe_ns)
        bars = islice((each for each in played if isinstance(each, Bar)), start_row, None)
        while block := list(islice(bars, _BLOCK_BARS)):
            yield Columns(
                np.array([bar.open_ns for bar in block], np.int64),
                np.array([bar.open for bar in block]),
                np.array([bar.high for bar in block]),
                np.array([bar.low for bar in block]),
                np.array([bar.close for bar in block]),
                np.array([bar.volume for bar in block]),
            )


def with_bars(messages: Iterable[Message], symbol: str, timeframe_ns: int) -> Iterator[Message]:
    """Yield the messages, and each bar of the trades among them right before the first message past its close.

    A volume is the exact sum of its quantities, rounded once.
    """
    close_ns = 0
    first = high = low = last = 0.0
    quantities = array("d")
    for message in messages:
        assert isinstance(message, Trade | Quote | BookSnapshot), message
        if close_ns and message.time_ns >= close_ns:
            open_ns = close_ns - timeframe_ns
            yield Bar(symbol, timeframe_ns, open_ns, close_ns, first, high, low, last, fsum(quantities))
            close_ns = 0
        if isinstance(message, Trade):
            price = message.price
            if not close_ns:
                close_ns = opening_ns(message.time_ns, timeframe_ns) + timeframe_ns
                first = high = low = price
                del quantities[:]
            elif price > high:
                high = price
            elif price < low:
                low = price
            last = price
            quantities.append(message.quantity)
        yield message


class TickFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the pass over a symbol's ticks found out."""

    source: Ticks
    timeframe_ns: int
    bars: int
    first_open_ns: int
    last_open_ns: int
    tick: Decimal
    fingerprint: str
    notes: tuple[str, ...]


def read_ticks(symbol: str, files: Sequence[TickStream], timeframe_ns: int, tick: Decimal | None) -> TickFacts:
    """Pass over a symbol's files once.

    Raises:
        UserError: there are no trades, or no whole bar of them; clocks that do not agree; a row that cannot be true.
    """
    files = _one_feed(files)
    names = ", ".join(file.where for file in files)
    _check_kinds(symbol, files)
    clocks = [clock for clock in ("ts", "recv_ns") if all(clock in file.clocks for file in files)]
    if not clocks:
        told = ", ".join(f"{file.where} by {'/'.join(file.clocks)}" for file in files)
        message = f"{symbol}: the files tell no common time ({told}); use ones that all have ts, or all recv_ns"
        raise UserError(message)
    ordered = sorted(files, key=lambda file: ("trades" not in file.kinds, "quotes" not in file.kinds))
    take = Take(timeframe_ns, tick)
    counts: dict[str, int] = {}
    for file in ordered:
        take.text("/".join(file.kinds).encode())
        counts[_NAMES.get("/".join(file.kinds), "messages of a recorded feed")] = file.facts(clocks[0], take)
    opens_ns = take.opens_ns()
    is_whole = bool(opens_ns) and take.passed_ns >= opens_ns[-1] + timeframe_ns
    bars = take.buckets - (0 if is_whole else 1)
    if bars < 1:
        message = f"{names}: the trades make no whole {format_timeframe(timeframe_ns)} bar; give a shorter --timeframe"
        raise UserError(message)
    notes = [", ".join(f"{count:,} {kind}" for kind, count in counts.items()) + f" and {bars:,} bars built of them"]
    first_open_ns = opening_ns(take.first_ns, timeframe_ns)
    if take.first_ns > first_open_ns:
        notes.append(f"the first bar begins with the first trade, at {time_text(take.first_ns)}")
    if not is_whole:
        notes.append("the last bar is not complete and is left out")
    notes += take.notes
    if take.off:
        notes.append(f"{take.off:,} prices are not multiples of the tick {tick}")
    return TickFacts(
        source=Ticks(symbol, timeframe_ns, [(file, clocks[0]) for file in ordered], bars),
        timeframe_ns=timeframe_ns,
        bars=bars,
        first_open_ns=first_open_ns,
        last_open_ns=opens_ns[-1 if is_whole else -2],
        tick=take.tick,
        fingerprint=take.fingerprint(),
        notes=tuple(notes),
    )


def _one_feed(files: Sequence[TickStream]) -> list[TickStream]:
    """Return the files with those that are parts of one recorded feed as one."""
    from replay.tape.raw_feed import RawFeed

    feeds = [file for file in files if isinstance(file, RawFeed)]
    others: list[TickStream] = [file for file in files if not isinstance(file, RawFeed)]
    return [RawFeed([part for feed in feeds for part in feed.files]), *others] if feeds else others


def _check_kinds(symbol: str, files: Sequence[TickStream]) -> None:
    """Refuse a symbol without trades, or with two files of one kind."""
    places: dict[str, str] = {}
    for file in files:
        for kind in file.kinds:
            if kind in places:
                message = f"{symbol}: both {places[kind]} and {file.where} hold {kind}; give one of them"
                raise UserError(message)
            places[kind] = file.where
    if "trades" not in places:
        message = (
            f"{symbol}: {files[0].where} holds {' and '.join(files[0].kinds)} and nothing trades; "
            f"give its trades, too, as in --tape {symbol}=trades.parquet"
        )
        raise UserError(message)
