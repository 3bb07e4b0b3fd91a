"""From what a user names - files, a frame, a seed - to a checked tape."""

from __future__ import annotations

import os.path
import re
import stat
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import InstrumentSpec
from config.errors import UserError
from config.schema import InstrumentOverride
from config.timeframe import parse_timeframe
from replay.tape.arrays import BlockSource, frame_source
from replay.tape.scan import scan
from replay.tape.series import Series, Tape, check_symbols
from replay.tape.synthetic import (
    START_NS,
    SYMBOL,
    TICK,
    TIMEFRAME_NS,
    SyntheticSource,
    parse_synthetic,
    synthetic_fingerprint,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike

    from replay.tape.arrays import Frame
    from replay.tape.catalogue import KeptSeries
    from replay.tape.columns import Columns, Source
    from replay.tape.recorded_tape import FeedTable
    from replay.tape.ticks import TickStream

KEPT_ROWS_MAX = 600_000
"""Rows a tape keeps in memory from its first pass (29 MB): a year of minutes is read only once."""
LOT = Decimal("1e-8")
"""Quantity step of an instrument nobody described."""
TICK_TIMEFRAME_NS = 60_000_000_000
"""Bars built from trades, unless another timeframe is asked for."""

_SYMBOL = re.compile(r"[^\s=]{1,32}")
_PAIR = re.compile(r"[A-Z0-9]{2,12}?(?:USDT|USDC|BUSD|FDUSD|TUSD|USD|EUR|GBP|JPY|BTC|ETH|BNB)", re.ASCII)
_CASH = frozenset({"USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USD", "EUR", "GBP", "JPY"})


def open_tape(
    arguments: Sequence[str],
    *,
    timeframe: str | None = None,
    tick: Decimal | None = None,
    lot: Decimal | None = None,
    min_notional: Decimal | None = None,
    data_dir: Path | None = None,
    span: tuple[int, int] | None = None,
) -> Tape:
    """Return the tape made of files and series; each is read once from end to end and checked.

    Args:
        arguments: ``"FILE"`` or ``"SYMBOL=FILE"``: Parquet or CSV (also gzipped) with the columns
            ts (open time, UTC milliseconds), open, high, low, close and volume; or Parquet of trades
            (ts, price, quantity, side, id), and beside these of quotes. Without a symbol the file's
            name is asked for it. Instead of a file, a series of the catalogue: its name
            ``"VENUE:SYMBOL:TIMEFRAME"``, ``"trades:VENUE:SYMBOL"``, or its folder. A recorded feed
            (``"feed:VENUE:SYMBOL"``) has its own symbol, bars and instrument.
        timeframe: length of a bar of every file, such as ``"5m"``; each file's most frequent step
            when ``None``, and 1m for bars that are built from trades.
        tick: smallest price step; read off the prices when ``None``.
        lot: smallest quantity step; 1e-8 when ``None``.
        min_notional: smallest order value; none when ``None``.
        data_dir: where the catalogue is; the usual place when ``None``.
        span: from when, and until before when, bars have to open (nanoseconds); only of the catalogue's bars.

    Raises:
        UserError: one line that names the file, and the row or column where there is one.
    """
    opening = _Opening(timeframe, _override(tick, lot, min_notional), KEPT_ROWS_MAX)
    kept = [_kept(argument, opening.timeframe_ns, data_dir, span) for argument in arguments]
    named = [
        _split(argument) if series is None else (series.symbol, series.where)
        for argument, series in zip(arguments, kept, strict=True)
    ]
    feeds = [_feed_of(where) if series is None else series.feed for (_, where), series in zip(named, kept, strict=True)]
    if any(feeds):
        return _recorded(arguments, feeds, opening.timeframe_ns, _override(tick, lot, min_notional))
    ticks: dict[str, list[TickStream]] = {}
    bars: list[tuple[str, str]] = []
    for (symbol, where), series in zip(named, kept, strict=True):
        stream = _tick_stream(where) if series is None else series.ticks
        if stream is None:
            bars.append((symbol, where))
        else:
            ticks.setdefault(symbol, []).append(stream)
    check_symbols(bars + [(symbol, files[0].where) for symbol, files in ticks.items()])
    for (symbol, where), series in zip(named, kept, strict=True):
        if (symbol, where) not in bars:
            if symbol in ticks:
                opening.add_ticks(ticks.pop(symbol), symbol)
        elif series is not None and series.bars is not None:
            opening.add(series.bars, symbol, where, series.timeframe_ns)
        else:
            opening.add(_file_source(where), symbol, where)
    return Tape(opening.series)


def tape_from_frame(
    frame: Frame | Mapping[str, ArrayLike],
    *,
    symbol: str,
    timeframe: str | None = None,
    tick: Decimal | None = None,
    lot: Decimal | None = None,
    min_notional: Decimal | None = None,
) -> Tape:
    """Return a tape of one series from a polars or pandas frame or from arrays by name; copied.

    Args:
        frame: columns as `open_tape` expects them in a file; `ts` may also hold datetimes.
        symbol: name of the series.
        timeframe: as for `open_tape`.
        tick: as for `open_tape`.
        lot: as for `open_tape`.
        min_notional: as for `open_tape`.

    Raises:
        UserError: the frame is no sound tape.
    """
    where = f"tape {_checked_symbol(symbol)}"
    source = frame_source(frame, where)
    opening = _Opening(timeframe, _override(tick, lot, min_notional), source.rows_guess)
    opening.add(source, symbol, where)
    return Tape(opening.series)


def synthetic_tape(spec: str, *, lot: Decimal | None = None, min_notional: Decimal | None = None) -> Tape:
    """Return the synthetic tape of ``SEED:BARS``, ``SEED:endless`` or ``SEED`` (endless too).

    Args:
        spec: seed and number of bars.
        lot: smallest quantity step; 1e-8 when ``None``.
        min_notional: smallest order value; none when ``None``.

    Raises:
        UserError: the text is written in another way.
    """
    seed, rows = parse_synthetic(spec)
    series = Series(
        symbol=SYMBOL,
        timeframe_ns=TIMEFRAME_NS,
        ordinal=0,
        rows=rows,
        first_open_ns=START_NS,
        last_open_ns=None if rows is None else START_NS + (rows - 1) * TIMEFRAME_NS,
        fingerprint=synthetic_fingerprint(seed, rows),
        instrument=_instrument(SYMBOL, TICK, _override(TICK, lot or LOT, min_notional)),
        source=SyntheticSource(seed, rows),
    )
    return Tape([series])


def symbol_of(path: Path) -> str:
    """Return the symbol a file's name speaks of, or else the whole name in capitals.

    ``binance-um_BTCUSDT_1m_2025.parquet`` and ``btc_usdt-1m.csv.gz`` are both BTCUSDT.
    """
    stem = re.sub(r"(\.(csv|parquet|pq|txt))?(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    words = [word.upper() for word in re.split(r"[_\-. ]", stem) if word]
    for word in words:
        if _PAIR.fullmatch(word) and word not in _CASH:
            return word
    for base, quote in pairwise(words):
        if quote in _CASH:
            return base + quote
    return re.sub(r"[\s=]", "_", stem or path.name).upper()[:32]


def _split(argument: str) -> tuple[str, str]:
    """Return the symbol and the file of a ``--tape`` argument."""
    symbol, equals, file = argument.partition("=")
    # Path.is_file raises for a name that is too long to exist.
    if argument and (not equals or os.path.isfile(_path(argument))):  # noqa: PTH113
        return symbol_of(Path(argument)), argument
    if not file:
        message = f"--tape {argument}: write it as FILE or SYMBOL=FILE, such as BTCUSDT=btc.csv"
        raise UserError(message)
    return _checked_symbol(symbol), file


def _kept(
    argument: str, timeframe_ns: int | None, data_dir: Path | None, span: tuple[int, int] | None
) -> KeptSeries | None:
    """Return the series of the catalogue that a ``--tape`` argument names; None if it names a file.

    Raises:
        UserError: it is the name of a series that there is not.
    """
    symbol, equals, where = argument.partition("=")
    # Path.is_file raises for a name that is too long to exist.
    if os.path.isfile(_path(argument)):  # noqa: PTH113
        _check_whole(argument, span)
        return None
    if not equals:
        symbol, where = "", argument
    if ":" not in where and not os.path.isdir(_path(where)):  # noqa: PTH112
        _check_whole(argument, span)
        return None
    from replay.tape.catalogue import kept_series

    series = kept_series(where, _path(where), timeframe_ns, data_dir, span)
    if series is None or not equals:
        return series
    return msgspec.structs.replace(series, symbol=_checked_symbol(symbol))


def _check_whole(argument: str, span: tuple[int, int] | None) -> None:
    """Refuse to play a part of a file.

    Raises:
        UserError: a part was asked for.
    """
    if span is not None:
        message = f"{argument}: a file is played whole; only of the catalogue's bars a part can be"
        raise UserError(message)


def _checked_symbol(symbol: str) -> str:
    if not _SYMBOL.fullmatch(symbol):
        message = f"{symbol!r} is no symbol: 1 to 32 characters without spaces, such as BTCUSDT"
        raise UserError(message)
    return symbol


def _override(tick: Decimal | None, lot: Decimal | None, min_notional: Decimal | None) -> InstrumentOverride:
    for name, value in (("tick", tick), ("lot", lot)):
        if value is not None and not (value.is_finite() and value > 0):
            message = f"--{name} {value}: it must be positive, for example 0.01"
            raise UserError(message)
    if min_notional is not None and not (min_notional.is_finite() and min_notional >= 0):
        message = f"instrument.min_notional {min_notional}: it must not be negative, for example 10"
        raise UserError(message)
    return InstrumentOverride(tick=tick, lot=lot, min_notional=min_notional)


def _path(where: str) -> Path:
    try:
        return Path(where).expanduser()
    except RuntimeError:  # the home of a user who does not exist
        return Path(where)


def _tick_stream(where: str) -> TickStream | None:
    """Return the reader for a file of ticks; None for a file of bars.

    Raises:
        UserError: the file is missing, unreadable, empty or damaged.
    """
    path = _path(where)
    magic = _magic(path, where)
    if not _is_parquet(path, magic):
        from replay.tape.raw_feed import RawFeed, is_raw_feed

        return RawFeed([(path, where)]) if is_raw_feed(path, magic) else None
    from replay.tape.tick_table import TickTable, kind_of_columns, parquet_columns

    kind = kind_of_columns(parquet_columns(path, where))
    return None if kind is None else TickTable([path], where, kind)


def _feed_of(where: str) -> FeedTable | None:
    """Return the reader of a recorded feed; None for any other file.

    Raises:
        UserError: the file is missing, unreadable, empty or damaged.
    """
    path = _path(where)
    if not _is_parquet(path, _magic(path, where)):
        return None
    from replay.tape.recorded_tape import FeedTable
    from replay.tape.recording import COLUMNS
    from replay.tape.tick_table import parquet_columns

    return FeedTable([path], where) if tuple(parquet_columns(path, where)) == COLUMNS else None


def _recorded(
    arguments: Sequence[str], feeds: Sequence[FeedTable | None], timeframe_ns: int | None, override: InstrumentOverride
) -> Tape:
    """Return the tape of recorded feeds, which nothing else stands beside.

    Raises:
        UserError: something does, or a recording cannot be played.
    """
    from replay.tape.recorded_tape import RecordedTape

    tables = [feed for feed in feeds if feed is not None]
    if len(tables) < len(feeds):
        other = next(argument for argument, feed in zip(arguments, feeds, strict=True) if feed is None)
        message = f"--tape {other}: it was not recorded with {tables[0].where}, which is played as it was heard"
        raise UserError(message)
    return RecordedTape(tables, override, timeframe_ns)


def _is_parquet(path: Path, magic: bytes) -> bool:
    return magic == b"PAR1" or path.suffix.lower() in {".parquet", ".pq"}


def _magic(path: Path, where: str) -> bytes:
    """Return the first four bytes of a file.

    Raises:
        UserError: the file is missing, unreadable or empty.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            hint = "a directory; give each file its own --tape" if stat.S_ISDIR(mode) else "no file"
            message = f"{where}: this is {hint}"
            raise UserError(message)
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as error:
        message = f"{where}: no such file"
        raise UserError(message) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"{where}: cannot be read ({reason})"
        raise UserError(message) from error
    if not magic:
        message = f"{where}: the file is empty"
        raise UserError(message)
    return magic


def _file_source(where: str) -> Source:
    """Return the reader for a file of bars, told by its first bytes rather than by its name.

    Raises:
        UserError: the file is missing, unreadable, empty or of another kind.
    """
    path = _path(where)
    magic = _magic(path, where)
    if _is_parquet(path, magic):
        from replay.tape.parquet import ParquetSource

        return _File(path, where, ParquetSource(path, where))
    from replay.tape.csv_file import CsvSource

    return _File(path, where, CsvSource(path, where, is_gzip=magic.startswith(b"\x1f\x8b")))


class _File:
    """A file that must stay what it was when it was checked."""

    __slots__ = ("_path", "_source", "_stamp", "_where", "rows_guess")

    def __init__(self, path: Path, where: str, source: Source) -> None:
        self._path = path
        self._where = where
        self._source = source
        self._stamp = self._now()
        self.rows_guess = source.rows_guess

    def blocks(self, start_row: int) -> Iterator[Columns]:
        """Yield the rows from `start_row` on.

        Raises:
            UserError: the file was changed after it was opened, or cannot be read.
        """
        if self._now() != self._stamp:
            message = f"{self._where}: the file was changed after it was opened"
            raise UserError(message)
        yield from self._source.blocks(start_row)

    def _now(self) -> tuple[int, int] | None:
        try:
            now = self._path.stat()
        except OSError:
            return None
        return now.st_size, now.st_mtime_ns


class _Opening:
    """Reads one source after the other from end to end and collects the series."""

    __slots__ = ("_keep", "_override", "series", "timeframe_ns")

    def __init__(self, timeframe: str | None, override: InstrumentOverride, keep: int) -> None:
        self.timeframe_ns = None if timeframe is None else parse_timeframe(timeframe)
        self._override = override
        self._keep = keep
        self.series: list[Series] = []

    def add(self, source: Source, symbol: str, where: str, usual_ns: int | None = None) -> None:
        """Check a source; as long as there is room, its rows stay in memory.

        Args:
            source: its rows.
            symbol: whose they are.
            where: its name, for errors.
            usual_ns: length of its bars unless another one was asked for; the most frequent step when ``None``.

        Raises:
            UserError: the source is no sound tape.
        """
        facts, kept = scan(
            source,
            where,
            timeframe_ns=self.timeframe_ns or usual_ns,
            tick=self._override.tick,
            keep=self._keep,
        )
        if kept:
            self._keep -= facts.rows
        self.series.append(
            Series(
                symbol=symbol,
                timeframe_ns=facts.timeframe_ns,
                ordinal=len(self.series),
                rows=facts.rows,
                first_open_ns=facts.first_open_ns,
                last_open_ns=facts.last_open_ns,
                fingerprint=facts.fingerprint,
                instrument=_instrument(symbol, facts.tick, self._override),
                notes=facts.notes,
                source=BlockSource(kept) if kept else source,
                rounds=facts.rounds and not kept,
            )
        )

    def add_ticks(self, files: Sequence[TickStream], symbol: str) -> None:
        """Check a symbol's files of ticks; they are read anew whenever they are played.

        Raises:
            UserError: they are no sound tape.
        """
        from replay.tape.ticks import read_ticks

        facts = read_ticks(symbol, files, self.timeframe_ns or TICK_TIMEFRAME_NS, self._override.tick)
        self.series.append(
            Series(
                symbol=symbol,
                timeframe_ns=facts.timeframe_ns,
                ordinal=len(self.series),
                rows=facts.bars,
                first_open_ns=facts.first_open_ns,
                last_open_ns=facts.last_open_ns,
                fingerprint=facts.fingerprint,
                instrument=_instrument(symbol, facts.tick, self._override),
                notes=facts.notes,
                source=facts.source,
                ticks=facts.source,
            )
        )


def _instrument(symbol: str, tick: Decimal, override: InstrumentOverride) -> InstrumentSpec:
    return InstrumentSpec(
        symbol=symbol,
        tick=tick,
        lot=LOT if override.lot is None else override.lot,
        min_notional=Decimal(0) if override.min_notional is None else override.min_notional,
        inferred=override.tick is None or override.lot is None,
    )
