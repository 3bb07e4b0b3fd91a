"""What is worth an alert: found in the journal from where we stopped reading, and in how the state has changed.

Executions, refusals and liquidations are read from the journal's decisions, so none is missed or told twice, however
often the console dies. States (halted, stale, failed, restarts) are compared with those that were seen last.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

import msgspec

from actors import messages as m
from actors.instrument import from_atoms
from actors.runtime.journal import decode_effects

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from actors.instrument import InstrumentSpec
    from config.alerts import AlertKind, AlertLevel
    from daemon.console.frames import Hello
    from daemon.console.history import History
    from daemon.console.mirror import Mirror

_INPUTS_MAX = 2_000
"""Read at once."""
_LOOKS_MAX = 50
_STATES: dict[str, AlertLevel] = {"running": "info", "paused": "warning", "flattening": "warning", "halted": "error"}

Row = TypeVar("Row", bound=msgspec.Struct)


class Alert(msgspec.Struct, frozen=True):
    """Something to be told."""

    kind: AlertKind
    level: AlertLevel
    key: str
    """What has the same one is the same again."""
    text: str


class Seen(msgspec.Struct, kw_only=True):
    """How far we have come; kept beside what waits to be told."""

    session: int
    """Number, in the journal, of the session that is read."""
    seq: int
    """Its newest input that was read."""
    number: int = 0
    """Session that ran last."""
    run: int = 0
    started_wall_ns: int = 0
    state: str = "running"
    stale: list[str] = []
    failed: list[str] = []
    restarts: dict[str, int] = {}
    venue_ready: bool = True
    day: str = ""
    equity: float | None = None
    """At the end of the day before."""
    fills: int = 0
    """Since then."""


class _Summary(msgspec.Struct):
    """What is read of a row of the mirror, here and below."""

    state: str
    reason: str
    equity: float


class _Strategy(msgspec.Struct):
    strategy: str
    state: str
    last_error: str | None


class _Symbol(msgspec.Struct):
    symbol: str
    stale: bool


class _Venue(msgspec.Struct):
    ready: bool


class _Actor(msgspec.Struct):
    name: str
    restarts: int
    last_error: str | None


class _Position(msgspec.Struct):
    strategy: str
    symbol: str
    quantity: Decimal


class Watcher:
    """Looks what is new.

    Args:
        hello: what the daemon said about itself.
        mirror: its state.
        history: the journal.
        daily_hour: when a day ends, in UTC.
    """

    def __init__(self, hello: Hello, mirror: Mirror, history: History, daily_hour: int) -> None:
        self._hello = hello
        self._mirror = mirror
        self._history = history
        self._daily_hour = daily_hour
        self._instruments: dict[int, dict[str, InstrumentSpec]] = {}
        self.seen: Seen | None = None

    async def begin(self, kept: bytes | None) -> list[Alert]:
        """Go on from what was seen last; return what that says about restarts."""
        hello = self._hello
        if kept is None:
            # a session that has just begun is news; of an older one, only what comes
            newest = 0 if hello.run == 1 else await self._history.read(lambda db: _newest(db, hello.number))
            self.seen = Seen(session=hello.number, seq=newest)
        else:
            self.seen = msgspec.json.decode(kept, type=Seen)
        seen, alerts = self.seen, []
        if (seen.number, seen.run) == (hello.number, hello.run) and seen.started_wall_ns == hello.started_wall_ns:
            alerts.append(Alert("restart", "warning", "restart console", "the console was started again"))
        else:
            if seen.number == hello.number:
                what = f"the daemon was started again: run {hello.run} of session {hello.session}"
                alerts.append(Alert("restart", "warning", "restart daemon", what))
            seen.restarts = {}
        seen.number, seen.run, seen.started_wall_ns = hello.number, hello.run, hello.started_wall_ns
        return alerts

    async def look(self) -> list[Alert]:
        """Return what is new since the last look; `seen` is how far that is."""
        alerts = await self._read()
        alerts += self._compare()
        return alerts

    # --- the journal --------------------------------------------------------------------------------

    async def _read(self) -> list[Alert]:
        """Return what the journal tells, as far as it goes or as much as is read at once."""
        alerts: list[Alert] = []
        seen = self.seen
        assert seen is not None
        for _ in range(_LOOKS_MAX):
            session, seq = seen.session, seen.seq
            rows = await self._history.read(lambda db, at=(session, seq): _inputs(db, *at))  # type: ignore[misc]
            if not rows:
                if session >= self._hello.number:
                    break
                seen.session, seen.seq = session + 1, 0
                continue
            if session not in self._instruments:
                self._instruments[session] = (await self._history.numbered(session)).instruments
            for number, effects in rows:
                if effects is not None:
                    alerts += self.decided(session, decode_effects(effects))
                seen.seq = number
            if len(rows) < _INPUTS_MAX and session >= self._hello.number:
                break
        return alerts

    def decided(self, session: int, decisions: list[m.Decision]) -> Iterator[Alert]:
        """Return what of an input's decisions is told."""
        assert self.seen is not None
        instruments = self._instruments[session]
        for each in decisions:
            match each:
                case m.Fill():
                    self.seen.fills += 1
                    what = _trade(each, instruments[each.symbol])
                    key = f"fill {session} {each.symbol} {each.trade_id} {each.strategy}"
                    yield Alert("fill", "info", key, f"{each.strategy} {what}, fee {from_atoms(each.fee_atoms):f}")
                case m.Liquidated():
                    what = _trade(each, instruments[each.symbol])
                    key = f"liquidation {session} {each.symbol} {each.trade_id} {each.strategy}"
                    yield Alert("liquidation", "error", key, f"{each.strategy} was liquidated: {what}")
                case m.Rejected():
                    what = f"{each.strategy} {each.symbol}: the venue refused an order: {each.reason}"
                    yield Alert(
                        "reject", "warning", f"reject {each.strategy} {each.symbol} {_kind_of(each.reason)}", what
                    )
                case m.RiskVeto():
                    what = f"{each.strategy} {each.symbol}: risk refused an order: {each.reason}"
                    yield Alert("reject", "info", f"veto {each.strategy} {each.symbol} {_kind_of(each.reason)}", what)

    # --- the state ----------------------------------------------------------------------------------

    def _rows(self, section: str, kind: type[Row]) -> list[Row]:
        return [msgspec.json.decode(row, type=kind) for row in self._mirror.rows(section).values()]

    def _compare(self) -> Iterator[Alert]:
        """Return how the state is not what it was; only what changed counts, so nothing is told over and over."""
        seen = self.seen
        assert seen is not None
        (summary,) = self._rows("summary", _Summary)
        if summary.state != seen.state and summary.state in _STATES:
            seen.state = summary.state
            because = f": {summary.reason}" if summary.reason else ""
            yield Alert(
                "halt", _STATES[summary.state], f"state {summary.state}", f"trading is {summary.state}{because}"
            )
        strategies = {row.strategy: row for row in self._rows("strategies", _Strategy)}
        failed = [name for name, row in strategies.items() if row.state == "failed"]
        for name in failed:
            if name not in seen.failed:
                what = f"strategy {name} was given up: {strategies[name].last_error}"
                yield Alert("halt", "error", f"failed {name}", what)
        seen.failed = failed
        stale = [row.symbol for row in self._rows("symbols", _Symbol) if row.stale]
        for symbol in stale:
            if symbol not in seen.stale:
                yield Alert("stale", "warning", f"stale {symbol}", f"{symbol}: bars are overdue")
        for symbol in seen.stale:
            if symbol not in stale:
                yield Alert("stale", "info", f"resumed {symbol}", f"{symbol}: bars come again")
        seen.stale = stale
        for venue in self._rows("venue", _Venue):
            if venue.ready != seen.venue_ready:
                seen.venue_ready = venue.ready
                what = "is connected again" if venue.ready else "cannot be reached"
                yield Alert("stale", "info" if venue.ready else "warning", f"venue {what}", f"the venue {what}")
        yield from self._restarted()
        yield from self._day(summary)

    def _restarted(self) -> Iterator[Alert]:
        assert self.seen is not None
        before = self.seen.restarts
        actors = {row.name: row for row in self._rows("actors", _Actor) if row.name != "console"}
        for name, row in actors.items():
            if row.restarts > before.get(name, 0):
                why = f": {row.last_error}" if row.last_error else ""
                yield Alert("restart", "warning", f"restart {name}", f"{name} was started again{why}")
        self.seen.restarts = {name: row.restarts for name, row in actors.items() if row.restarts}

    def _day(self, summary: _Summary) -> Iterator[Alert]:
        """Sum the day up once it is over; if nobody was here then, as soon as somebody is."""
        seen = self.seen
        assert seen is not None
        now = datetime.fromtimestamp(time.time_ns() / 1e9, UTC) - timedelta(hours=self._daily_hour)
        day, equity = now.date().isoformat(), summary.equity
        if day == seen.day:
            return
        if seen.day and seen.equity is not None:
            held = ", ".join(
                f"{_plain(row.quantity)} {row.symbol} ({row.strategy})" for row in self._rows("positions", _Position)
            )
            text = (
                f"{seen.day} to {day}, {self._daily_hour:02}:00 UTC:"
                f" equity {equity:.2f} ({equity - seen.equity:+.2f}), {seen.fills} fills,"
                f" trading is {summary.state}; {'holds ' + held if held else 'flat'}"
            )
            yield Alert("daily", "info", f"daily {seen.day}", text)
            seen.fills = 0
        seen.day, seen.equity = day, equity


def _kind_of(reason: str) -> str:
    """Return a reason without its numbers: another price is no other reason."""
    return re.sub(r"\d+", "0", reason)


def _trade(trade: m.Fill | m.Liquidated, spec: InstrumentSpec) -> str:
    side = "bought" if trade.side > 0 else "sold"
    return f"{side} {_plain(trade.quantity_lots * spec.lot)} {trade.symbol} at {trade.price_ticks * spec.tick:f}"


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"


def _newest(db: sqlite3.Connection, session: int) -> int:
    ((seq,),) = db.execute("SELECT max(seq) FROM inputs WHERE session = ?", (session,))
    return seq or 0


def _inputs(db: sqlite3.Connection, session: int, after_seq: int) -> list[tuple[int, bytes | None]]:
    sql = "SELECT seq, effects FROM inputs WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?"
    return db.execute(sql, (session, after_seq, _INPUTS_MAX)).fetchall()
