"""Routes to what was: sessions, fills, orders, equity and commands, from the journal."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from actors.instrument import from_atoms
from config.timeframe import format_timeframe
from daemon.console import types as t
from daemon.console.history import select
from daemon.console.routes import Cursor, Handler, Limit, Route, SessionId, Text, Time

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from aiohttp import web

    from daemon.console.app import Console
    from daemon.console.history import SessionFacts

NOBODY = {
    HTTPStatus.NOT_FOUND: "there is no such session",
    HTTPStatus.SERVICE_UNAVAILABLE: "the journal cannot be read",
}

_FILL_COLUMNS = (
    "rowid, seq, executed_ns, order_id, strategy, symbol, trade_id, side, price_ticks, quantity_lots, fee_atoms"
)


class PageAsked(msgspec.Struct, frozen=True):
    """Which part of a list."""

    session: SessionId = ""
    """Its id; the one that runs unless given."""
    cursor: Cursor = 0
    """`next` of the page before; 0 begins at the newest."""
    limit: Limit = 100
    """Most rows of one page."""


class OrdersAsked(PageAsked, frozen=True):
    """Which orders."""

    strategy: Text | None = None
    """Only this strategy's."""
    symbol: Text | None = None
    """Only in this symbol."""


class FillsAsked(OrdersAsked, frozen=True):
    """Which executions."""

    from_ns: Time | None = None
    """Nothing before this, by the venue's time."""
    to_ns: Time | None = None
    """Nothing after this, likewise."""


class SessionsAsked(msgspec.Struct, frozen=True):
    """Which part of the sessions."""

    cursor: Cursor = 0
    """`next` of the page before; 0 begins at the newest."""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    """Most rows of one page."""


class EquityAsked(msgspec.Struct, frozen=True):
    """Which part of the curve, and how finely."""

    session: SessionId = ""
    """Its id; the one that runs unless given."""
    from_ns: Time | None = None
    """Nothing before this."""
    to_ns: Time | None = None
    """Nothing after this."""
    points: Annotated[int, Meta(ge=2, le=5_000)] = 500
    """Most points: a longer curve is told in equal spans of time, each with its last, lowest and highest value."""


async def _sessions(console: Console, _: web.Request, asked: SessionsAsked) -> t.Page[t.Session]:
    def look(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
        before = asked.cursor or None
        found = select(
            db,
            "number, id, status, created_wall_ns",
            "sessions",
            [("number > ?", 0), ("number < ?", before)],
            "number DESC",
            asked.limit + 1,
        )
        last = "SELECT max(seq) FROM inputs WHERE session = ?"
        runs = "SELECT run, started_wall_ns, ended_wall_ns, outcome, code_hash FROM runs WHERE session = ? ORDER BY run"
        return [
            (*row, db.execute(last, row[:1]).fetchone()[0] or 0, db.execute(runs, row[:1]).fetchall()) for row in found
        ]

    found = await console.history.read(look)
    rows: list[t.Session] = []
    for number, identity, status, created_wall_ns, inputs, runs in found[: asked.limit]:
        plan = (await console.history.session(identity)).plan
        rows.append(
            t.Session(
                number=number,
                session=identity,
                status=status,
                created_wall_ns=created_wall_ns,
                mode="real" if plan.real else "paper",
                tape=plan.tape,
                symbols=tuple(series.symbol for series in plan.series),
                timeframe=format_timeframe(plan.series[0].timeframe_ns),
                strategies=tuple(record.id for record in plan.strategies),
                inputs=inputs,
                runs=tuple(
                    t.Run(run=run[0], started_wall_ns=run[1], ended_wall_ns=run[2], outcome=run[3], code_hash=run[4])
                    for run in runs
                ),
            )
        )
    return t.Page(rows=tuple(rows), next=rows[-1].number if len(found) > asked.limit else None)


async def _fills(console: Console, _: web.Request, asked: FillsAsked) -> t.Page[t.FillRow]:
    session = await console.history.session(asked.session)
    bounds = [("executed_ns >= ?", asked.from_ns), ("executed_ns <= ?", asked.to_ns)]
    found = await console.history.read(lambda db: _page(db, _FILL_COLUMNS, "fills", session, asked, bounds))
    rows = tuple(_fill(session, *row[1:]) for row in found[: asked.limit])
    return t.Page(rows=rows, next=found[asked.limit - 1][0] if len(found) > asked.limit else None)


def _fill(
    session: SessionFacts,
    seq: int,
    executed_ns: int,
    order_id: str,
    strategy: str,
    symbol: str,
    trade_id: int,
    side: int,
    price_ticks: int,
    quantity_lots: int,
    fee_atoms: int,
) -> t.FillRow:
    spec = session.instruments[symbol]
    return t.FillRow(
        seq=seq,
        executed_ns=executed_ns,
        order_id=order_id,
        strategy=strategy,
        symbol=symbol,
        trade_id=trade_id,
        side="buy" if side > 0 else "sell",
        price=price_ticks * spec.tick,
        quantity=(quantity_lots * spec.lot).normalize() + 0,
        fee=from_atoms(fee_atoms),
    )


async def _audit(console: Console, _: web.Request, asked: PageAsked) -> t.Page[t.AuditRow]:
    session = await console.history.session(asked.session)
    fields = t.AuditRow.__struct_fields__
    columns = ", ".join(fields).replace("ended_ns", "nullif(ended_ns, 0)")
    conditions = [("session = ?", session.number), ("seq < ?", asked.cursor or None)]
    found = await console.history.read(
        lambda db: select(db, columns, "commands", conditions, "seq DESC", asked.limit + 1)
    )
    rows = tuple(t.AuditRow(**dict(zip(fields, row, strict=True))) for row in found[: asked.limit])
    return t.Page(rows=rows, next=rows[-1].seq if len(found) > asked.limit else None)


async def _orders(console: Console, _: web.Request, asked: OrdersAsked) -> t.Page[t.PastOrder]:
    session = await console.history.session(asked.session)
    columns = "rowid, order_id, seq, strategy, symbol, state, reason"
    found = await console.history.read(lambda db: _page(db, columns, "orders", session, asked))
    rows = tuple(
        t.PastOrder(order_id=row[1], seq=row[2], strategy=row[3], symbol=row[4], state=row[5], reason=row[6])
        for row in found[: asked.limit]
    )
    return t.Page(rows=rows, next=found[asked.limit - 1][0] if len(found) > asked.limit else None)


def _page(
    db: sqlite3.Connection,
    columns: str,
    table: str,
    session: SessionFacts,
    asked: OrdersAsked,
    more: Sequence[tuple[str, object]] = (),
) -> list[tuple[Any, ...]]:
    conditions = [
        ("session = ?", session.number),
        ("rowid < ?", asked.cursor or None),
        ("strategy = ?", asked.strategy),
        ("symbol = ?", asked.symbol),
        *more,
    ]
    return select(db, columns, table, conditions, "rowid DESC", asked.limit + 1)


async def _equity(console: Console, _: web.Request, asked: EquityAsked) -> t.Equity:
    session = await console.history.session(asked.session)

    def look(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
        low = -(2**63) if asked.from_ns is None else asked.from_ns
        high = 2**63 - 1 if asked.to_ns is None else asked.to_ns
        bounds = (session.number, low, high)
        where = "session = ? AND ts_ns BETWEEN ? AND ?"
        first, last = db.execute(f"SELECT min(ts_ns), max(ts_ns) FROM equity WHERE {where}", bounds).fetchone()  # noqa: S608
        if first is None:
            return []
        width_ns = (last - first) // asked.points + 1
        spans = (
            "SELECT max(ts_ns) AS at, min(equity_atoms) AS low, max(equity_atoms) AS high"  # noqa: S608
            f" FROM equity WHERE {where} GROUP BY (ts_ns - ?) / ?"
        )
        joined = (
            "SELECT at, equity_atoms, low, high"  # noqa: S608
            f" FROM ({spans}) JOIN equity ON session = ? AND ts_ns = at ORDER BY at"
        )
        return db.execute(joined, (*bounds, first, width_ns, session.number)).fetchall()

    points = [
        t.EquityPoint(ts_ns=at, equity=from_atoms(equity), low=from_atoms(low), high=from_atoms(high))
        for at, equity, low, high in await console.history.read(look)
    ]
    start = session.plan.account.cash_atoms
    return t.Equity(session=session.id, start_cash=from_atoms(start), points=tuple(points))


_ROWS: tuple[tuple[str, str, str, Handler, type[msgspec.Struct], Any], ...] = (
    ("sessions", "sessions", "Sessions and their runs, newest first", _sessions, SessionsAsked, t.Page[t.Session]),
    ("fills", "fills", "Executions, newest first", _fills, FillsAsked, t.Page[t.FillRow]),
    (
        "order_history",
        "order-history",
        "All orders, the newest first",
        _orders,
        OrdersAsked,
        t.Page[t.PastOrder],
    ),
    (
        "audit",
        "audit",
        "Commands: who gave them, when, and their outcome, newest first",
        _audit,
        PageAsked,
        t.Page[t.AuditRow],
    ),
    ("equity", "equity", "The equity at the close of bars", _equity, EquityAsked, t.Equity),
)

ROUTES = tuple(
    Route(
        name=name,
        method="GET",
        path=f"/api/live/{path}",
        role="read",
        tag="history",
        summary=summary,
        handler=handler,
        asked=asked,
        answer=answer,
        refusals=NOBODY,
        has_etag=True,
    )
    for name, path, summary, handler, asked, answer in _ROWS
)
