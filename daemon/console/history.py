"""What was, read from the journal: read-only connections in worker threads, one short query at a time.

The core is never asked. A list that grows is read newest first and goes on at a cursor.
"""

from __future__ import annotations

import asyncio
import sqlite3
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from actors.runtime.journal import FILE_NAME
from config.errors import nearest
from daemon.control.refusal import RefusedError
from replay.journal import decode_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from actors.instrument import InstrumentSpec
    from replay.plan import SessionPlan

Found = TypeVar("Found")

_READERS_MAX = 2
_BUSY_S = 2.0
_SESSIONS_KEPT = 16


class SessionFacts(msgspec.Struct, frozen=True):
    """What never changes about a session."""

    number: int
    id: str
    plan: SessionPlan
    instruments: dict[str, InstrumentSpec]


class History:
    """Reads one journal.

    Args:
        state_dir: where it lies.
        number: of the session that runs.
    """

    def __init__(self, state_dir: Path, number: int) -> None:
        self._path = state_dir / FILE_NAME
        self._number = number
        self._turns = asyncio.Semaphore(_READERS_MAX)
        self._facts: dict[str, SessionFacts] = {}

    async def read(self, look: Callable[[sqlite3.Connection], Found]) -> Found:
        """Return what `look` finds, called in a thread with a connection of its own.

        Raises:
            RefusedError: the journal cannot be read just now.
        """
        async with self._turns:
            try:
                return await asyncio.to_thread(self._look, look)
            except sqlite3.Error as error:
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, f"the journal cannot be read: {error}") from error

    def _look(self, look: Callable[[sqlite3.Connection], Found]) -> Found:
        db = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
        try:
            return look(db)
        finally:
            db.close()

    async def numbered(self, number: int) -> SessionFacts:
        """Return a session by its number.

        Raises:
            RefusedError: the journal cannot be read just now.
        """
        return await self.read(lambda db: _facts(db, "", number))

    async def session(self, identity: str) -> SessionFacts:
        """Return a session by its id, the one that runs if that is empty.

        Raises:
            RefusedError: there is none of that id.
        """
        found = self._facts.get(identity)
        if found is None:
            found = await self.read(lambda db: _facts(db, identity, self._number))
            if len(self._facts) >= _SESSIONS_KEPT:
                del self._facts[next(iter(self._facts))]
            self._facts[identity] = found
        return found


def _facts(db: sqlite3.Connection, identity: str, number: int) -> SessionFacts:
    where, what = ("id = ?", identity) if identity else ("number = ?", number)
    row = db.execute(f"SELECT number, id, plan FROM sessions WHERE {where}", (what,)).fetchone()  # noqa: S608
    if row is None:
        known = [row[0] for row in db.execute("SELECT id FROM sessions ORDER BY number DESC LIMIT 1000")]
        what = f"there is no session {identity[:80]!r}{nearest(identity, known)}"
        raise RefusedError(HTTPStatus.NOT_FOUND, what)
    plan = decode_plan(row[2])
    return SessionFacts(row[0], row[1], plan, {spec.symbol: spec for spec in plan.instruments})


def select(
    db: sqlite3.Connection,
    columns: str,
    table: str,
    conditions: Sequence[tuple[str, object]],
    order: str,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Return rows of a table; a condition whose value is None does not count."""
    kept = [(text, value) for text, value in conditions if value is not None]
    where = " AND ".join(text for text, _ in kept)
    sql = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - of constants only
    return db.execute(sql, (*(value for _, value in kept), limit)).fetchall()
