"""Longer bars out of shorter ones or out of trades; a bar is only made when all of it is there.

Bars stand on the grid of their timeframe, shifted by an offset, or begin with a session: 09:30 to 16:00 in New York
is another stretch of UTC in summer than in winter. A sum is made over a bar's rows in their order, whatever blocks they
came in: the same rows give the same bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np
import polars as pl

from config.errors import UserError
from config.timeframe import format_timeframe, origin_ns
from replay.tape.columns import time_text
from replay.tape.kinds import POLARS_NAMES, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from replay.tape.columns import Floats, Integers

Incomplete = Literal["drop", "gaps", "keep"]
"""Leave out every bar that is not complete; make those that miss something in the middle; make the first and the last,
too, of which a part may be missing."""

_DAY_NS = 86_400 * 10**9
_MINUTE_NS = 60 * 10**9
_SESSION_MAX_NS = 23 * 3_600 * 10**9
"""Longer sessions would overlap on the day clocks go forward."""
_SESSION = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_START, _END = "_start", "_end"
_SUMS = ("quote_volume", "trades", "taker_volume")
"""Optional columns of bars that add up."""


class Session(msgspec.Struct, frozen=True):
    """The hours of a day in which a market is open, on the clocks of a place."""

    open_ns: int
    """After midnight."""
    close_ns: int
    """After the midnight before it opens, so that a session may last over night."""
    timezone: str

    @property
    def length_ns(self) -> int:
        """How long it is, in nanoseconds."""
        return self.close_ns - self.open_ns


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """Which bars are made of what."""

    timeframe_ns: int
    """Length of the bars to be made."""
    source_ns: int | None
    """Length of the bars they are made of; ``None`` for trades."""
    offset_ns: int = 0
    """How long after a multiple of the timeframe (counted from 1970; weeks from a Monday) they begin."""
    session: Session | None = None
    incomplete: Incomplete = "drop"

    def __post_init__(self) -> None:
        if self.source_ns is not None and (self.timeframe_ns % self.source_ns or self.timeframe_ns == self.source_ns):
            whole, part = format_timeframe(self.timeframe_ns), format_timeframe(self.source_ns)
            message = f"bars of {whole} cannot be made of bars of {part}: it is no multiple of it"
            raise UserError(message)
        for name, ns in (("offset", self.offset_ns), ("session", 0 if self.session is None else self.session.open_ns)):
            if self.source_ns is not None and ns % self.source_ns:
                message = f"--{name}: does not fall on the beginning of a bar of {format_timeframe(self.source_ns)}"
                raise UserError(message)
        if self.session is None:
            return
        if self.offset_ns:
            message = "--offset and --session exclude each other: bars of a session begin when it opens"
            raise UserError(message)
        if self.timeframe_ns > self.session.length_ns:
            message = (
                f"the session is {format_timeframe(self.session.length_ns)} long, shorter than a bar of "
                f"{format_timeframe(self.timeframe_ns)}; for one bar a session, ask for "
                f"{format_timeframe(self.session.length_ns)}"
            )
            raise UserError(message)


class Resampled(msgspec.Struct):
    """What has become of the rows so far."""

    rows: int = 0
    outside: int = 0
    """Rows outside of the session."""
    bars: int = 0
    incomplete: int = 0
    """Bars that are not complete, whether they were made or not."""


def parse_session(text: str, timezone: str) -> Session:
    """Return the session of ``HH:MM-HH:MM`` in a time zone such as ``America/New_York``.

    Raises:
        UserError: it is written in another way, is longer than 23 hours, or there is no such time zone.
    """
    match = _SESSION.fullmatch(text.strip())
    if match is None:
        message = f"--session {text}: write it as HH:MM-HH:MM, such as 09:30-16:00"
        raise UserError(message)
    hours, minutes, hours_close, minutes_close = (int(group) for group in match.groups())
    opens, closes = (hours * 60 + minutes) * _MINUTE_NS, (hours_close * 60 + minutes_close) * _MINUTE_NS
    if closes <= opens:
        closes += _DAY_NS
    if closes - opens > _SESSION_MAX_NS:
        message = f"--session {text}: at most 23 hours, as days of 23 hours come with summer time"
        raise UserError(message)
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"--timezone {timezone}: there is no such time zone; they are written like America/New_York"
        raise UserError(message) from error
    return Session(opens, closes, timezone)


def resample(frames: Iterable[pl.DataFrame], grid: Grid, done: Resampled) -> Iterator[pl.DataFrame]:
    """Yield bars made of bars or trades, in memory of one block and one bar's rows.

    Args:
        frames: canonical rows of a kind that stands on a grid of time, or of trades; sorted.
        grid: which bars are to be made.
        done: counts what is done, while it is done.

    Raises:
        UserError: a bar of the source reaches over the end of the one it should be a part of.
    """
    pending: list[pl.DataFrame] = []
    pending_start = 0
    for frame in frames:
        done.rows += frame.height
        rows = _placed(frame, grid)
        done.outside += frame.height - rows.height
        if not rows.height:
            continue
        last = rows.item(-1, _START)
        if pending and last == pending_start:
            pending.append(rows)
            continue
        split = int(rows.get_column(_START).search_sorted(last))
        ready = [*pending, rows.head(split)]
        pending, pending_start = [rows.slice(split)], last
        if sum(each.height for each in ready):
            yield _made(pl.concat(ready, how="diagonal"), grid, done, is_end=False)
    if pending:
        yield _made(pl.concat(pending, how="diagonal"), grid, done, is_end=True)


def _placed(frame: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """Return the rows that belong to a bar, with that bar's start and end."""
    ts = pl.col("ts")
    if grid.session is None:
        first_ns = grid.offset_ns + origin_ns(grid.timeframe_ns)
        start = (ts - first_ns) // grid.timeframe_ns * grid.timeframe_ns + first_ns
        rows = frame.with_columns(start.alias(_START)).with_columns((pl.col(_START) + grid.timeframe_ns).alias(_END))
    else:
        opens, closes = _session_of(ts, grid.session)
        start = opens + (ts - opens) // grid.timeframe_ns * grid.timeframe_ns
        rows = frame.with_columns(start.alias(_START), closes.alias(_END)).filter(ts < pl.col(_END))
        rows = rows.with_columns(pl.min_horizontal(_END, pl.col(_START) + grid.timeframe_ns))
    if grid.source_ns is not None:
        over = rows.filter(ts + grid.source_ns > pl.col(_END))
        if over.height:
            at, end = over.item(0, "ts"), over.item(0, _END)
            message = (
                f"the bar of {time_text(at)} is {format_timeframe(grid.source_ns)} long and reaches over "
                f"{time_text(end)}, where one of {format_timeframe(grid.timeframe_ns)} ends; --offset shifts these"
            )
            raise UserError(message)
    return rows


def _session_of(ts: pl.Expr, session: Session) -> tuple[pl.Expr, pl.Expr]:
    """Return when the session opens that a time is in, or after, and when it closes."""
    local = pl.from_epoch(ts, "ns").dt.replace_time_zone("UTC").dt.convert_time_zone(session.timezone)
    day = (local.dt.replace_time_zone(None) - pl.duration(nanoseconds=session.open_ns)).dt.truncate("1d")
    return _at(day, session.open_ns, session.timezone), _at(day, session.close_ns, session.timezone)


def _at(day: pl.Expr, after_ns: int, timezone: str) -> pl.Expr:
    """Return the time of a clock as nanoseconds UTC; one that clocks jump over is the hour after it."""

    def moment(wall: pl.Expr) -> pl.Expr:
        return wall.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")

    wall = day + pl.duration(nanoseconds=after_ns)
    return pl.coalesce(moment(wall), moment(wall + pl.duration(hours=1))).dt.epoch("ns")


def _made(rows: pl.DataFrame, grid: Grid, done: Resampled, *, is_end: bool) -> pl.DataFrame:
    """Return the bars of whole stretches of rows."""
    starts: Integers = rows.get_column(_START).to_numpy()
    edges = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1))
    counts = np.diff(edges, append=rows.height)
    start, end = starts[edges], rows.get_column(_END).to_numpy()[edges]
    columns = _bar_columns(rows, edges, counts) if grid.source_ns is not None else _trade_columns(rows, edges, counts)
    is_first = done.bars + done.incomplete == 0
    if grid.source_ns is None:
        complete = np.ones(len(start), np.bool_)
        complete[0] &= not is_first
        complete[-1] &= not is_end
        wanted = complete | (grid.incomplete == "keep")
    else:
        ts: Integers = rows.get_column("ts").to_numpy()
        complete = counts == (end - start) // grid.source_ns
        inner = np.ones(len(start), np.bool_)
        inner[0] = not is_first or ts[0] == start[0]
        inner[-1] &= not is_end or ts[-1] + grid.source_ns == end[-1]
        wanted = complete | (inner & (grid.incomplete == "gaps")) | (grid.incomplete == "keep")
    done.incomplete += int(np.count_nonzero(~complete))
    done.bars += int(np.count_nonzero(wanted))
    types = kind_of("bars").types()
    made = [
        pl.Series(name, values).fill_nan(None).cast(getattr(pl, POLARS_NAMES[types[name]]))
        if values.dtype.kind == "f" and name in _SUMS
        else pl.Series(name, values, dtype=getattr(pl, POLARS_NAMES[types[name]]))
        for name, values in {"ts": start, **columns}.items()
    ]
    return pl.DataFrame(made).filter(pl.Series(wanted))


def _bar_columns(rows: pl.DataFrame, edges: Integers, counts: Integers) -> dict[str, NDArray[np.generic]]:
    """Return the bars' columns out of shorter bars'.

    A sum of which a part is unknown is unknown, and what was partly filled in is not all true: it is synthetic.
    """
    columns: dict[str, NDArray[np.generic]] = {
        "open": rows.get_column("open").to_numpy()[edges],
        "high": np.maximum.reduceat(rows.get_column("high").to_numpy(), edges),
        "low": np.minimum.reduceat(rows.get_column("low").to_numpy(), edges),
        "close": rows.get_column("close").to_numpy()[edges + counts - 1],
        "volume": np.add.reduceat(rows.get_column("volume").to_numpy(), edges),
    }
    for name in _SUMS:
        if name in rows.columns:
            values = rows.get_column(name).cast(pl.Float64).fill_null(float("nan")).to_numpy()
            columns[name] = np.add.reduceat(values, edges)
    if "synthetic" in rows.columns:
        flags = rows.get_column("synthetic").fill_null(value=False).to_numpy()
        columns["synthetic"] = np.logical_or.reduceat(flags, edges)
    return columns


def _trade_columns(rows: pl.DataFrame, edges: Integers, counts: Integers) -> dict[str, NDArray[np.generic]]:
    """Return the bars' columns out of trades; what takers bought is unknown where a side is."""
    price: Floats = rows.get_column("price").to_numpy()
    quantity: Floats = rows.get_column("quantity").to_numpy()
    side = rows.get_column("side").to_numpy()
    bought = np.where(side == 0, np.nan, np.where(side > 0, quantity, 0.0))
    return {
        "open": price[edges],
        "high": np.maximum.reduceat(price, edges),
        "low": np.minimum.reduceat(price, edges),
        "close": price[edges + counts - 1],
        "volume": np.add.reduceat(quantity, edges),
        "quote_volume": np.add.reduceat(price * quantity, edges),
        "trades": counts,
        "taker_volume": np.add.reduceat(bought, edges),
    }
