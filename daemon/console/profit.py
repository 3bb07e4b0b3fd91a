"""What the account gained by day, week or month, from the equity at the closes of bars.

A period of a session takes two looks into an index, however long it is; the executions of a page take one query.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from actors.instrument import from_atoms
from actors.risk.account import week_began_ns
from daemon.console import types as t
from daemon.console.past import NOBODY
from daemon.console.routes import Limit, Route, SessionId, Time

if TYPE_CHECKING:
    import sqlite3

    from aiohttp import web

    from actors.ledger import Begun
    from daemon.console.app import Console

Period = Literal["day", "week", "month"]

_DAY_NS = 86_400_000_000_000
_EPOCH = date(1970, 1, 1)


class ProfitAsked(msgspec.Struct, frozen=True):
    """Which periods."""

    session: SessionId = ""
    """Its id; the one that runs unless given."""
    by: Period = "day"
    """How long a period is; all of them begin at 00:00 UTC, weeks on Monday."""
    cursor: Time | None = None
    """`next` of the page before; the newest unless given."""
    limit: Limit = 30
    """Most rows of one page."""


class Span(msgspec.Struct, frozen=True):
    """One period, and what was heard in it."""

    start_ns: int
    start_atoms: int
    atoms: int
    fills: int


def start_of(ts_ns: int, by: Period) -> int:
    """Return when the period began in which a time lies."""
    day = _EPOCH + timedelta(ts_ns // _DAY_NS)
    if by == "week":
        day -= timedelta(day.weekday())
    elif by == "month":
        day = day.replace(day=1)
    return (day - _EPOCH).days * _DAY_NS


def spans_of(
    db: sqlite3.Connection, session: int, begun: Begun | None, by: Period, cursor: int | None, limit: int
) -> tuple[list[Span], bool]:
    """Return periods of a session in which a bar closed, newest first, and whether there are more.

    Args:
        db: the journal.
        session: its number.
        begun: what the session before knew of the day and the week in which this one began.
        by: how long a period is.
        cursor: start of the last one seen; None begins at the newest.
        limit: most periods.
    """
    last = "SELECT ts_ns, equity_atoms FROM equity WHERE session = ? AND ts_ns <= ? ORDER BY ts_ns DESC LIMIT 1"
    first = "SELECT equity_atoms FROM equity WHERE session = ? ORDER BY ts_ns LIMIT 1"
    newest = db.execute(last, (session, 2**63 - 1 if cursor is None else cursor)).fetchone()
    found: list[tuple[int, int, int]] = []
    while newest is not None and len(found) < limit:
        start_ns = start_of(newest[0] - 1, by)  # a bar that closes at 00:00 is of the day before
        before = db.execute(last, (session, start_ns)).fetchone()
        if before is not None:
            start_atoms = before[1]
        elif begun is not None:
            start_atoms = _inherited(begun, start_ns, by)
        else:
            start_atoms = db.execute(first, (session,)).fetchone()[0]
        found.append((start_ns, start_atoms, newest[1]))
        newest = before
    done = _executed(db, session, found[-1][0], cursor, by) if found else {}
    return [Span(*span, done.get(span[0], 0)) for span in found], newest is not None


def _inherited(begun: Begun, start_ns: int, by: Period) -> int:
    """Return what the first period of a session began with, where there was a session before."""
    if by == "day" and start_ns // _DAY_NS == begun.day_index:
        return begun.day_atoms
    if by == "week" and start_ns == week_began_ns(begun.week_index):
        return begun.week_atoms
    return begun.last_atoms


def _executed(db: sqlite3.Connection, session: int, from_ns: int, until_ns: int | None, by: Period) -> dict[int, int]:
    """Return how many executions each period had, by its start."""
    days = db.execute(
        "SELECT executed_ns / ? AS day, count(*) FROM fills"
        " WHERE session = ? AND executed_ns >= ? AND executed_ns < ? GROUP BY day",
        (_DAY_NS, session, from_ns, 2**63 - 1 if until_ns is None else until_ns),
    )
    done: dict[int, int] = {}
    for day, count in days:
        start_ns = start_of(day * _DAY_NS, by)
        done[start_ns] = done.get(start_ns, 0) + count
    return done


def _row(span: Span) -> t.ProfitRow:
    return t.ProfitRow(
        start_ns=span.start_ns,
        date=datetime.fromtimestamp(span.start_ns // 1_000_000_000, UTC).date().isoformat(),
        start_equity=from_atoms(span.start_atoms),
        equity=from_atoms(span.atoms),
        profit=from_atoms(span.atoms - span.start_atoms),
        share=(span.atoms - span.start_atoms) / span.start_atoms if span.start_atoms > 0 else None,
        fills=span.fills,
    )


async def _profit(console: Console, _: web.Request, asked: ProfitAsked) -> t.Profit:
    session = await console.history.session(asked.session)
    begun = session.plan.account.begun

    def look(db: sqlite3.Connection) -> tuple[list[Span], bool]:
        return spans_of(db, session.number, begun, asked.by, asked.cursor, asked.limit)

    spans, more = await console.history.read(look)
    rows = tuple(_row(span) for span in spans)
    return t.Profit(session=session.id, by=asked.by, rows=rows, next=rows[-1].start_ns if more else None)


ROUTES = (
    Route(
        name="profit",
        method="GET",
        path="/api/live/profit",
        role="read",
        tag="history",
        summary="What was gained by day, week or month, newest first",
        doc=(
            "From the equity at the closes of bars: what is held counts, fees and funding are paid. The newest period"
            " goes on. What each strategy made of each symbol stands in `/api/live/books`."
        ),
        handler=_profit,
        asked=ProfitAsked,
        answer=t.Profit,
        refusals=NOBODY,
        has_etag=True,
    ),
)
