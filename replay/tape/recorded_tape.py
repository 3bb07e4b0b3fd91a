"""A recorded live feed as a tape: the same inputs, in the same order, at the same times as they were heard.

It is played by the listener's clock, not the exchange's: a bar comes when it was heard of, not when it closed. So a
session that heard this feed and a replay of it are told the same, and decide the same; both have the instruments, the
length of the bars and the history that are written in the recording.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

from actors.messages import Bar, WarmUp
from config.errors import UserError
from config.timeframe import format_timeframe
from replay.tape.columns import Columns, time_text
from replay.tape.recording import COLUMNS, Broke, Opened, decode_said
from replay.tape.series import Series, Tape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from actors.messages import Message
    from config.schema import InstrumentOverride
    from replay.tape.external import ExternalSeries
    from replay.tape.recording import Heard, Said

SLICE_ROWS = 65_536
_BLOCK_BARS = 4_096
_SHOWN_MAX = 3
"""Stretches without a listener that are named one by one."""
_TOLD_AGAIN = ("bars", "trades")
"""Streams whose gaps are asked for, and counted."""

Row = tuple[int, int, "Said"]
"""Time, number, what was said."""


class FeedTable:
    """Parquet files of a recorded feed, of one symbol or of several.

    Args:
        paths: the files, in the order of time.
        where: their name, for errors.

    Raises:
        UserError: they are no such files.
    """

    __slots__ = ("_paths", "_stamps", "_table", "rows", "where")

    def __init__(self, paths: Sequence[Path], where: str) -> None:
        self.where = where
        try:
            self._paths = [path.absolute() for path in paths]
            self._stamps = self._stamps_now()
            self._table = pl.scan_parquet(self._paths, glob=False, hive_partitioning=False).select(COLUMNS)
            types = [str(each) for each in self._table.collect_schema().dtypes()]
            self.rows: int = self._table.select(pl.len()).collect().item()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            message = f"{where}: no recorded feed ({str(error).strip().splitlines()[0]})"
            raise UserError(message) from error
        if types != ["Int64", "Int64", "String"]:
            message = f"{where}: no recorded feed: ts, seq and message are Int64, Int64 and String, not {types}"
            raise UserError(message)

    def read(self) -> Iterator[Row]:
        """Yield all rows in order.

        Raises:
            UserError: the files have changed or are damaged, or a row cannot be true.
        """
        if self._stamps_now() != self._stamps:
            message = f"{self.where}: the file was changed after it was opened"
            raise UserError(message)
        last = (0, -1)
        row = 0
        for start in range(0, self.rows, SLICE_ROWS):
            try:
                frame = self._table.slice(start, SLICE_ROWS).collect()
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
                message = f"{self.where}: cannot be read ({str(error).strip().splitlines()[0]})"
                raise UserError(message) from error
            for ts_ns, seq, text in frame.iter_rows():
                row += 1
                if ts_ns is None or seq is None or text is None:
                    message = f"{self.where}: row {row}: a value is empty"
                    raise UserError(message)
                if (ts_ns, seq) <= last:
                    message = f"{self.where}: row {row}: ts {ts_ns}, seq {seq} do not follow those of the row before"
                    raise UserError(message)
                last = ts_ns, seq
                try:
                    yield ts_ns, seq, decode_said(text)
                except msgspec.MsgspecError as error:
                    message = f"{self.where}: row {row}: message: nothing that was heard ({error})"
                    raise UserError(message) from error

    def heard(self, symbol: str | None = None) -> Iterator[tuple[int, int, Heard]]:
        """Yield what was heard, of one symbol or of all.

        Raises:
            UserError: as `read` does.
        """
        for ts_ns, seq, said in self.read():
            if not isinstance(said, Opened | Broke) and symbol in (None, _symbol_of(said)):
                yield ts_ns, seq, said

    def _stamps_now(self) -> list[tuple[int, int]]:
        """Return size and time of every file; one that is gone has none."""
        found = [path.stat() if path.exists() else None for path in self._paths]
        return [(0, 0) if stat is None else (stat.st_size, stat.st_mtime_ns) for stat in found]


class RecordedSymbol:
    """One symbol's part of a recorded feed: a source of its bars, and of what came between them."""

    __slots__ = ("_symbol", "_table", "rows_guess")

    def __init__(self, table: FeedTable, symbol: str, bars: int) -> None:
        self._table = table
        self._symbol = symbol
        self.rows_guess = bars

    def streams(self) -> list[Iterator[Message]]:
        """Return what was heard of it, as one stream."""
        return [(said for _, _, said in self._table.heard(self._symbol))]

    def blocks(self, start_row: int) -> Iterator[Columns]:
        """Yield its bars alone, without those of the history, from `start_row` on.

        Raises:
            UserError: the feed cannot be read any more.
        """
        bars = islice(_session_bars(self._table.heard(self._symbol)), start_row, None)
        while block := list(islice(bars, _BLOCK_BARS)):
            yield Columns(
                np.array([bar.open_ns for bar in block], np.int64),
                np.array([bar.open for bar in block]),
                np.array([bar.high for bar in block]),
                np.array([bar.low for bar in block]),
                np.array([bar.close for bar in block]),
                np.array([bar.volume for bar in block]),
            )


class RecordedTape(Tape):
    """What was recorded of some symbols, played as it was heard.

    Args:
        tables: the recordings; each symbol is in one of them.
        override: tick, lot and least value of an order, where others are wanted than were recorded.
        timeframe_ns: length of the bars, if somebody insists on one.

    Raises:
        UserError: a recording is damaged, or holds no bar; or a symbol is in two of them.
    """

    __slots__ = ("_notes", "_start_ns", "_tables")

    def __init__(
        self, tables: Sequence[FeedTable], override: InstrumentOverride, timeframe_ns: int | None = None
    ) -> None:
        found: list[_Found] = []
        for table in tables:
            found += _survey(table)
        for each in found:
            _check(each, timeframe_ns)
        super().__init__([_series(each, override) for each in found])
        self._tables = tuple(tables)
        self._start_ns = min(each.opened[0].start_ns for each in found)
        self._notes = [note for each in found for note in _notes_of(each)]

    @property
    def start_ns(self) -> int:
        """The time before the first input, as the session had it."""
        return self._start_ns

    @property
    def notes(self) -> list[str]:
        """What a person should know: where the feed broke, and what is missing."""
        return self._notes

    @property
    def has_ticks(self) -> bool:
        """Whether there is more to play than bars: their times, at least, are not their own."""
        return True

    def stamped(self, skip: int = 0) -> Iterator[tuple[int, Message]]:
        """Return what was heard and when, all but the first `skip`.

        Raises:
            UserError: while iterating, a recording cannot be read any more.
        """
        streams = [table.heard() for table in self._tables]
        rows = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_place)
        return ((ts_ns, said) for ts_ns, _, said in islice(rows, skip, None))

    def inputs(self, skip: int = 0) -> Iterator[Message]:
        """Return what was heard, all but the first `skip`.

        Raises:
            UserError: while iterating, a recording cannot be read any more.
        """
        return (message for _, message in self.stamped(skip))

    def with_external(self, external: Sequence[ExternalSeries]) -> Tape:
        """Refuse: what else was known is not in the recording.

        Raises:
            UserError: always.
        """
        message = f"--series {external[0].name}: a recorded feed is played as it was heard, with nothing beside it"
        raise UserError(message)


class _Found:
    """What a pass over a recording tells of one symbol."""

    def __init__(self, table: FeedTable, symbol: str) -> None:
        self.table = table
        self.symbol = symbol
        self.opened: list[Opened] = []
        self.away: list[tuple[int, int]] = []
        """From when to when nobody listened."""
        self.broke: list[tuple[int, Broke]] = []
        self.counts: Counter[str] = Counter()
        self.bars = 0
        self.first_open_ns = self.last_open_ns = 0
        self.history_ns = 0
        self.last_ns = 0
        self.digest = hashlib.sha256()


def _survey(table: FeedTable) -> list[_Found]:
    """Read a recording once; return what there is of each symbol, in the order they were opened."""
    found: dict[str, _Found] = {}
    encode = msgspec.msgpack.Encoder().encode
    for row, (ts_ns, seq, said) in enumerate(table.read(), start=1):
        symbol = _symbol_of(said)
        each = found.get(symbol)
        if isinstance(said, Opened):
            each = found.setdefault(symbol, _Found(table, symbol))
            if each.opened:
                each.away.append((each.last_ns, ts_ns))
            each.opened.append(said)
        elif each is None:
            message = f"{table.where}: row {row}: {symbol} speaks before it was opened: the beginning is missing"
            raise UserError(message)
        elif isinstance(said, Broke):
            each.broke.append((ts_ns, said))
        else:
            each.counts[type(said).__name__] += 1
            if isinstance(said, WarmUp):
                each.history_ns = said.start_ns
            elif isinstance(said, Bar) and said.close_ns > each.history_ns:
                each.first_open_ns = each.first_open_ns if each.bars else said.open_ns
                each.last_open_ns = max(each.last_open_ns, said.open_ns)
                each.bars += 1
        each.digest.update(encode((ts_ns, seq, said)))
        each.last_ns = ts_ns
    return sorted(found.values(), key=lambda each: each.opened[0].ordinal)


def _check(found: _Found, timeframe_ns: int | None) -> None:
    """Refuse what cannot be played."""
    where = f"{found.table.where}: {found.symbol}"
    lengths = {each.timeframe_ns: None for each in found.opened}
    if len(lengths) > 1:
        message = f"{where}: recorded with bars of {' and '.join(map(format_timeframe, lengths))}: no one tape"
        raise UserError(message)
    (recorded_ns,) = lengths
    if timeframe_ns not in (None, recorded_ns):
        message = f"{where}: its bars were recorded as {format_timeframe(recorded_ns)}; leave --timeframe out"
        raise UserError(message)
    if not found.bars:
        message = f"{where}: no bar was heard: the recording is shorter than {format_timeframe(recorded_ns)}"
        raise UserError(message)


def _series(found: _Found, override: InstrumentOverride) -> Series:
    first = found.opened[0]
    given: dict[str, Any] = {
        name: value for name in ("tick", "lot", "min_notional") if (value := getattr(override, name)) is not None
    }
    source = RecordedSymbol(found.table, found.symbol, found.bars)
    return Series(
        symbol=found.symbol,
        timeframe_ns=first.timeframe_ns,
        ordinal=first.ordinal,
        rows=found.bars,
        first_open_ns=found.first_open_ns,
        last_open_ns=found.last_open_ns,
        fingerprint=found.digest.hexdigest()[:32],
        instrument=msgspec.structs.replace(first.instrument, **given),
        source=source,
        ticks=source if first.ticks else None,
    )


def _notes_of(found: _Found) -> list[str]:
    """Say what was heard, and what may not have been."""
    symbol = found.symbol
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(found.counts.items()))
    notes = [f"{symbol}: recorded from {', '.join(found.opened[0].streams)}: {counts}"]
    for since_ns, until_ns in found.away[:_SHOWN_MAX]:
        until = f"to {time_text(until_ns)}" if until_ns > since_ns else "on, for a while"
        notes.append(f"{symbol}: nobody listened from {time_text(since_ns)} {until}")
    if len(found.away) > _SHOWN_MAX:
        notes.append(f"{symbol}: nor {len(found.away) - _SHOWN_MAX} times after that")
    streams = Counter(said.stream for _, said in found.broke)
    for stream, count in sorted(streams.items()):
        first_ns, first = next((ts_ns, said) for ts_ns, said in found.broke if said.stream == stream)
        missing = sum(said.missing for _, said in found.broke if said.stream == stream)
        lost = f", {missing:,} missing" if missing else ", nothing missing" if stream in _TOLD_AGAIN else ""
        times = "once" if count == 1 else f"{count:,} times"
        notes.append(f"{symbol}: {stream} broke {times}{lost}, first at {time_text(first_ns)}: {first.reason}")
    if any(each.instrument != found.opened[0].instrument for each in found.opened):
        notes.append(f"{symbol}: its rules changed while it was recorded; played by those of the beginning")
    return notes


def _session_bars(heard: Iterator[tuple[int, int, Heard]]) -> Iterator[Bar]:
    """Yield the bars that are not of the time before the session."""
    history_ns = 0
    for _, _, said in heard:
        if isinstance(said, WarmUp):
            history_ns = said.start_ns
        elif isinstance(said, Bar) and said.close_ns > history_ns:
            yield said


def _symbol_of(said: Said) -> str:
    symbol: str = said.symbol
    return symbol


def _place(row: tuple[int, int, Heard]) -> tuple[int, int]:
    return row[:2]
