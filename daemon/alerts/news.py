"""What is worth an alert: found in the journal from where we stopped reading, in events, and in the state.

Executions, refusals and liquidations are read from the journal's decisions, so none is missed or told twice, however
often the console dies. States (halted, stale, failed) are told by events, however short they were. What changed while
nobody listened, and what has no events (restarts, the venue, a disk that refuses), is compared with what was seen last.
"""

from __future__ import annotations

import re
import time
from collections import deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import structlog

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
_HEARD_MAX = 1_000
_EVENTS_S = 3.0
"""So long a state that an event has told is not compared: what is shown may be older."""

Row = TypeVar("Row", bound=msgspec.Struct)

log = structlog.get_logger()


class Alert(msgspec.Struct, frozen=True):
    """Something to be told."""

    kind: AlertKind
    level: AlertLevel
    key: str
    """What has the same one is the same again."""
    text: str
    ends: str = ""
    """Key of what is not true any more: if that still waits, it is not told."""


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
    id: str = ""
    """Of that session: another journal has another one under its number."""
    state: str = "running"
    stale: list[str] = []
    strategies: dict[str, str] = {}
    """States of those that do not just run."""
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
    reason: str = ""


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


class _Event(msgspec.Struct):
    kind: str
    state: str = ""
    reason: str = ""
    what: str = ""
    fields: dict[str, Any] = {}


_decode_event = msgspec.json.Decoder(_Event).decode
_NOTES = ("strategy_state_changed", "feed_stale", "feed_resumed")


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
        self._heard: deque[_Event] = deque(maxlen=_HEARD_MAX)
        self._taken: list[_Event] = []
        """Heard, and told by the last look."""
        self._told_s: dict[str, float] = {}
        """When an event last said what state something is in."""
        self.seen: Seen | None = None
        mirror.on_events = self._hear

    def _hear(self, events: list[msgspec.Raw]) -> None:
        """Keep what the next look tells."""
        for raw in events:
            event = _decode_event(raw)
            if event.kind == "trading" or (event.kind == "note" and event.what in _NOTES):
                self._heard.append(event)

    async def begin(self, kept: bytes | None) -> list[Alert]:
        """Go on from what was seen last; return what that says about restarts."""
        hello = self._hello
        before = None if kept is None else msgspec.json.decode(kept, type=Seen)
        if before is not None and await self._history.read(lambda db: _is_of(db, before)):
            seen = before
        else:
            # a session that has just begun is news; of an older one, only what comes
            newest = 0 if hello.run == 1 else await self._history.read(lambda db: _newest(db, hello.number))
            seen = Seen(session=hello.number, seq=newest)
        self.seen = seen
        alerts = []
        if (seen.number, seen.run) == (hello.number, hello.run) and seen.started_wall_ns == hello.started_wall_ns:
            alerts.append(Alert("restart", "warning", "restart console", "the console was started again"))
        else:
            if seen.number == hello.number:
                what = f"the daemon was started again: run {hello.run} of session {hello.session}"
                alerts.append(Alert("restart", "warning", "restart daemon", what))
            else:
                seen.equity, seen.strategies, seen.stale = None, {}, []
            seen.restarts = {}
        seen.number, seen.run, seen.started_wall_ns = hello.number, hello.run, hello.started_wall_ns
        seen.id = hello.session
        return alerts

    async def look(self) -> list[Alert]:
        """Return what is new since the last look; `seen` is how far that is."""
        self._taken = []
        alerts = await self._read()
        alerts += self._listen()
        alerts += self._compare()
        return alerts

    def forget(self, seen: bytes) -> None:
        """Go back to what was seen before the last look: what that told could not be kept."""
        self.seen = msgspec.json.decode(seen, type=Seen)
        self._heard.extendleft(reversed(self._taken))
        self._taken = []

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
                    try:
                        alerts += self.decided(session, decode_effects(effects))
                    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
                        log.warning("alerts_input_unreadable", session=session, seq=number, error=str(error))
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
                    yield Alert(
                        "liquidation", "error", key, f"{each.strategy} was liquidated: {what}{_because(each.reason)}"
                    )
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

    def _listen(self) -> Iterator[Alert]:
        """Return what events say: each change, also of a state that is over already."""
        while self._heard:
            event = self._heard.popleft()
            self._taken.append(event)
            fields = event.fields
            if event.kind == "trading":
                self._note("trading")
                yield from self._trading(event.state, event.reason)
            elif event.what == "strategy_state_changed":
                self._note(f"strategy {fields['strategy']}")
                yield from self._strategy(fields["strategy"], fields["state"], fields["reason"])
            else:
                self._note(f"symbol {fields['symbol']}")
                yield from self._feed(fields["symbol"], stale=event.what == "feed_stale")

    def _note(self, subject: str) -> None:
        self._told_s[subject] = time.monotonic()

    def _is_shown(self, subject: str) -> bool:
        """Return whether the state that is shown is no older than the last event about it."""
        return time.monotonic() - self._told_s.get(subject, -_EVENTS_S) >= _EVENTS_S

    def _compare(self) -> Iterator[Alert]:
        """Return how the state is not what it was; only what changed counts, so nothing is told over and over."""
        seen = self.seen
        assert seen is not None
        (summary,) = self._rows("summary", _Summary)
        if self._is_shown("trading"):
            yield from self._trading(summary.state, summary.reason)
        for row in self._rows("strategies", _Strategy):
            if row.state == "failed" or self._is_shown(f"strategy {row.strategy}"):
                why = row.last_error if row.state == "failed" else row.reason
                yield from self._strategy(row.strategy, row.state, why or "")
        for symbol in self._rows("symbols", _Symbol):
            if self._is_shown(f"symbol {symbol.symbol}"):
                yield from self._feed(symbol.symbol, stale=symbol.stale)
        for venue in self._rows("venue", _Venue):
            if venue.ready != seen.venue_ready:
                seen.venue_ready = venue.ready
                what = "is connected again" if venue.ready else "cannot be reached"
                yield Alert("stale", "info" if venue.ready else "warning", f"venue {what}", f"the venue {what}")
        yield from self._restarted()
        yield from self._day(summary)

    def _trading(self, state: str, reason: str) -> Iterator[Alert]:
        assert self.seen is not None
        if state != self.seen.state and state in _STATES:
            self.seen.state = state
            ends = "" if state == "running" else "state running"
            yield Alert("halt", _STATES[state], f"state {state}", f"trading is {state}{_because(reason)}", ends)

    def _strategy(self, name: str, state: str, reason: str) -> Iterator[Alert]:
        assert self.seen is not None
        if state == self.seen.strategies.get(name, "running"):
            return
        self.seen.strategies = {**self.seen.strategies, name: state}
        if state == "running":
            del self.seen.strategies[name]
        what = f"strategy {name} {'was given up' if state == 'failed' else f'is {state}'}{_because(reason)}"
        ends = "" if state == "running" else f"strategy {name} running"
        yield Alert("halt", _STATES.get(state, "error"), f"strategy {name} {state}", what, ends)

    def _feed(self, symbol: str, *, stale: bool) -> Iterator[Alert]:
        assert self.seen is not None
        if stale == (symbol in self.seen.stale):
            return
        if stale:
            self.seen.stale = [*self.seen.stale, symbol]
            yield Alert("stale", "warning", f"stale {symbol}", f"{symbol}: bars are overdue", f"resumed {symbol}")
        else:
            self.seen.stale = [each for each in self.seen.stale if each != symbol]
            yield Alert("stale", "info", f"resumed {symbol}", f"{symbol}: bars come again")

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
        now = datetime.fromtimestamp(time.time_ns() // 10**9, UTC) - timedelta(hours=self._daily_hour)
        day, equity = now.date().isoformat(), summary.equity
        if seen.equity is None:
            seen.equity = equity
        if day == seen.day or _is_day_before(day, seen.day):
            return
        if seen.day:
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


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _is_day_before(day: str, other: str) -> bool:
    """Return whether a clock that was set back a little shows `day` again."""
    return bool(other) and date.fromisoformat(other) - date.fromisoformat(day) == timedelta(days=1)


def _kind_of(reason: str) -> str:
    """Return a reason without its numbers: another price is no other reason."""
    return re.sub(r"\d+", "0", reason)


def _trade(trade: m.Fill | m.Liquidated, spec: InstrumentSpec) -> str:
    side = "bought" if trade.side > 0 else "sold"
    return f"{side} {_plain(trade.quantity_lots * spec.lot)} {trade.symbol} at {trade.price_ticks * spec.tick:f}"


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"


def _is_of(db: sqlite3.Connection, seen: Seen) -> bool:
    """Return whether what was seen last is of this journal, and not of one that lay here before."""
    found = db.execute("SELECT id FROM sessions WHERE number = ?", (seen.number,)).fetchone()
    return found is not None and seen.id in {"", found[0]}


def _newest(db: sqlite3.Connection, session: int) -> int:
    ((seq,),) = db.execute("SELECT max(seq) FROM inputs WHERE session = ?", (session,))
    return seq or 0


def _inputs(db: sqlite3.Connection, session: int, after_seq: int) -> list[tuple[int, bytes | None]]:
    sql = "SELECT seq, effects FROM inputs WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?"
    return db.execute(sql, (session, after_seq, _INPUTS_MAX)).fetchall()
