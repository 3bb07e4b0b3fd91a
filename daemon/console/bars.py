"""Bars for charts: from the journal, larger timeframes made of them, with the features strategies were told."""

from __future__ import annotations

import time
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from actors.messages import Bar
from actors.runtime.journal import decode_input, encode_input
from config.errors import UserError, nearest
from config.timeframe import format_timeframe, opening_ns, parse_timeframe
from daemon.console import types as t
from daemon.console.past import NOBODY
from daemon.console.routes import Cursor, Limit, Route, SessionId, Text, Time, Timeframe
from daemon.control.refusal import RefusedError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from aiohttp import web

    from daemon.console.app import Console
    from daemon.console.history import SessionFacts

_LOOK_SEQS = 50_000
_LOOK_S = 1.0
"""After so long a part is answered, and where to go on."""
_BARS_MAX = 100_000

_decode = msgspec.json.Decoder(t.BarRow).decode


class Rows:
    """The newest bars of each strategy and symbol, as they were published.

    Args:
        kept_max: so many of each at most.
        total_max: so many of all, shared out equally.
    """

    def __init__(self, kept_max: int, total_max: int) -> None:
        self._kept_max = kept_max
        self._total_max = total_max
        self._share = kept_max
        self._kept: dict[tuple[str, str], deque[t.BarRow]] = {}

    def take(self, rows: Iterable[msgspec.Raw]) -> None:
        """Take bars over, oldest first."""
        for raw in rows:
            row = _decode(raw)
            key = (row.strategy, row.symbol)
            kept = self._kept.get(key)
            if kept is None:
                kept = self._kept[key] = deque()
                self._share = min(self._kept_max, max(1, self._total_max // len(self._kept)))
            kept.append(row)
            while len(kept) > self._share:
                kept.popleft()

    def features(self, strategy: str, symbol: str, timeframe: str) -> dict[int, dict[str, float | None]]:
        """Return what a strategy was told, by the opening of the bar."""
        kept = self._kept.get((strategy, symbol), ())
        return {row.open_ns: row.features for row in kept if row.timeframe == timeframe}


class BarsAsked(msgspec.Struct, frozen=True):
    """Which bars."""

    symbol: Text = ""
    """Of what; the first of the session unless given."""
    timeframe: Timeframe = ""
    """Such as `5m`: a multiple of the session's own, which it is unless given."""
    strategy: Text = ""
    """Whose features are wanted beside them."""
    session: SessionId = ""
    """Its id; the one that runs unless given."""
    to_ns: Time | None = None
    """Only what was known by then."""
    cursor: Cursor = 0
    """`next` of the answer before; 0 begins at the newest."""
    limit: Limit = 300
    """Most bars of one answer."""


async def _bars(console: Console, _: web.Request, asked: BarsAsked) -> t.Bars:
    session = await console.history.session(asked.session)
    symbol, base_ns = _series(session, asked.symbol)
    timeframe_ns = timeframe_of(asked.timeframe, base_ns)
    if asked.strategy:
        known = [record.id for record in session.plan.strategies]
        if asked.strategy not in known:
            what = f"there is no strategy {asked.strategy!r}{nearest(asked.strategy, known)}"
            raise RefusedError(HTTPStatus.BAD_REQUEST, what)
    wanted = min((asked.limit + 1) * (timeframe_ns // base_ns), _BARS_MAX)

    found, read_to = await console.history.read(
        lambda db: _read(db, session.number, symbol, asked.cursor, asked.to_ns, wanted)
    )
    candles = _folded(found, timeframe_ns)
    kept = candles[-asked.limit :]
    if len(kept) < len(candles):
        following = kept[0][0] - 1
    else:
        if read_to > 0 and len(kept) > 1:  # the oldest may lack its beginning
            kept = kept[1:]
            read_to = kept[0][0] - 1
        following = read_to
    timeframe = format_timeframe(timeframe_ns)
    current = session.number == console.hello.number
    features = console.rows.features(asked.strategy, symbol, timeframe) if asked.strategy and current else {}
    pending = False
    is_told = bool(asked.strategy) and timeframe == _decided_on(session, asked.strategy)
    if is_told and kept and kept[0][1][0].open_ns not in features:
        reach_ns = min(features) - timeframe_ns if features else 0
        before = console.backfill.features(session, asked.strategy, symbol, reach_ns)
        pending = before is None
        features = (before or {}) | features
    return t.Bars(
        session=session.id,
        symbol=symbol,
        timeframe=timeframe,
        strategy=asked.strategy,
        rows=tuple(_candle(bars, timeframe_ns, features) for _, bars in kept),
        pending=pending,
        next=following or None,
    )


def _decided_on(session: SessionFacts, strategy: str) -> str:
    """Return the timeframe a strategy is told of."""
    return next(format_timeframe(one.timeframe_ns) for one in session.plan.strategies if one.id == strategy)


def _series(session: SessionFacts, symbol: str) -> tuple[str, int]:
    """Return a series of a session: its symbol and timeframe."""
    series = {one.symbol: one.timeframe_ns for one in session.plan.series}
    name = symbol or next(iter(series))
    if name not in series:
        what = f"there is no symbol {name!r}{nearest(name, series)}; it has {', '.join(series)}"
        raise RefusedError(HTTPStatus.BAD_REQUEST, what)
    return name, series[name]


def timeframe_of(text: str, base_ns: int) -> int:
    """Return the timeframe that was asked for; that of the bars there are unless one was.

    Raises:
        RefusedError: it is none, or not made of whole bars.
    """
    try:
        timeframe_ns = parse_timeframe(text) if text else base_ns
    except UserError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"timeframe: {error}") from error
    if timeframe_ns % base_ns:
        what = f"timeframe: {text} is no multiple of {format_timeframe(base_ns)}"
        raise RefusedError(HTTPStatus.BAD_REQUEST, what)
    return timeframe_ns


def _read(
    db: sqlite3.Connection, session: int, symbol: str, cursor: int, to_ns: int | None, wanted: int
) -> tuple[list[tuple[int, Bar]], int]:
    """Return (number of the input, bar) of the newest bars, oldest first, and below which input there may be more."""
    high = db.execute("SELECT max(seq) FROM inputs WHERE session = ?", (session,)).fetchone()[0] or 0
    high = min(high, cursor) if cursor else high
    if to_ns is not None:
        high = _last_by(db, session, to_ns, high)
    start = encode_input(Bar(symbol, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0))
    start = start[: start.index(symbol.encode()) + len(symbol.encode())]
    found: list[tuple[int, Bar]] = []
    give_up_s = time.monotonic() + _LOOK_S
    while high > 0 and len(found) < wanted and time.monotonic() < give_up_s:
        low = max(0, high - _LOOK_SEQS)
        rows = db.execute(
            "SELECT seq, payload FROM inputs WHERE session = ? AND seq > ? AND seq <= ? AND substr(payload, 1, ?) = ?"
            " ORDER BY seq DESC LIMIT ?",
            (session, low, high, len(start), start, wanted - len(found)),
        )
        for seq, payload in rows:
            bar = decode_input(payload)
            assert isinstance(bar, Bar)
            found.append((seq, bar))
        high = low if len(found) < wanted else found[-1][0] - 1
    found.reverse()
    return found, high


def _last_by(db: sqlite3.Connection, session: int, ts_ns: int, high: int) -> int:
    """Return the number of the last input at `ts_ns` or before: their times never go back."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        row = db.execute("SELECT ts_ns FROM inputs WHERE session = ? AND seq = ?", (session, middle)).fetchone()
        low, high = (middle, high) if row is not None and row[0] <= ts_ns else (low, middle - 1)
    return low


def _folded(found: Sequence[tuple[int, Bar]], timeframe_ns: int) -> list[tuple[int, list[Bar]]]:
    """Return bars by the larger bar they belong to, each with the number of its first input."""
    candles: list[tuple[int, list[Bar]]] = []
    opening = None
    for seq, bar in found:
        its = opening_ns(bar.open_ns, timeframe_ns)
        if its != opening:
            opening = its
            candles.append((seq, []))
        candles[-1][1].append(bar)
    return candles


def _candle(bars: Sequence[Bar], timeframe_ns: int, features: dict[int, dict[str, float | None]]) -> t.Candle:
    opening = opening_ns(bars[0].open_ns, timeframe_ns)
    return t.Candle(
        open_ns=opening,
        close_ns=opening + timeframe_ns,
        open=bars[0].open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=sum(bar.volume for bar in bars),
        complete=bars[-1].close_ns >= opening + timeframe_ns,
        features=features.get(opening),
    )


ROUTES = (
    Route(
        name="bars",
        method="GET",
        path="/api/live/bars",
        role="read",
        tag="history",
        summary="Bars with the features a strategy was told",
        handler=_bars,
        asked=BarsAsked,
        answer=t.Bars,
        refusals=NOBODY,
        has_etag=True,
    ),
)
