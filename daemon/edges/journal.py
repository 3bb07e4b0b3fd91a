"""The journal's writer: group commit through aiosqlite, and the durable watermark that releases effects.

Appending never waits and never drops. One task takes whatever has gathered and commits it in one
transaction with ``synchronous=FULL``; while the disk works, the next group gathers. A commit that fails is
tried again until it succeeds; until then `failure` says why, and the driver takes no input.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import aiosqlite
import anyio
import msgspec

from actors import messages as m
from actors.runtime.journal import (
    SCHEMA,
    UPGRADES,
    CommandRow,
    Record,
    check_version,
    damaged,
    decode_effects,
    seal_snapshot,
)
from config.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from actors.control import Command
    from config.schema import Journal as JournalSettings

_RETRY_S = 1.0
_BUSY_S = 1.0
"""How long one statement waits for a stranger's lock; a commit that failed is tried again anyway."""
_ENDS: dict[type[m.Message], str] = {
    m.Accepted: "working",
    m.Rejected: "rejected",
    m.Cancelled: "cancelled",
    m.Expired: "expired",
}

_INPUT = (
    "INSERT INTO inputs (session, seq, run, ts_ns, payload, effects, digest, chain) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_FILL = (
    "INSERT INTO fills (session, trade_id, seq, executed_ns, order_id, strategy, symbol, side, price_ticks,"
    " quantity_lots, fee_atoms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ORDER = (
    "INSERT INTO orders (session, order_id, seq, strategy, symbol, ref, state, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (session, order_id)"
    " DO UPDATE SET seq = excluded.seq, state = excluded.state, reason = excluded.reason"
)
_COMMAND = (
    "INSERT INTO commands (session, command_id, seq, ts_ns, sent_ns, action, role, name, address, outcome, note,"
    " ended_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (session, command_id)"
    " DO UPDATE SET outcome = excluded.outcome, note = excluded.note, ended_ns = excluded.ended_ns"
)
_EQUITY = "INSERT OR REPLACE INTO equity (session, ts_ns, equity_atoms) VALUES (?, ?, ?)"
_SNAPSHOT = "INSERT OR REPLACE INTO snapshots (session, seq, chain, state) VALUES (?, ?, ?, ?)"
_PRUNE = (
    "DELETE FROM snapshots WHERE session = ? AND seq NOT IN"
    " (SELECT seq FROM snapshots WHERE session = ? ORDER BY seq DESC LIMIT ?)"
)


async def open_journal(path: Path, settings: JournalSettings) -> aiosqlite.Connection:
    """Open the journal for writing, creating it if it is missing.

    Raises:
        UserError: the file is no journal, is damaged, comes from a newer pitboss, or is old and there is no room to
            bring it up to date.
    """
    try:
        sqlite3.connect(path).close()  # what cannot be opened fails here, where no thread is left to complain again
        db = await aiosqlite.connect(path, timeout=_BUSY_S)
        try:
            fresh = await _number(db, "SELECT count(*) FROM sqlite_master") == 0
            if not fresh:
                await _check_version(db, path)
            await db.execute("PRAGMA journal_mode = WAL")
            await db.execute("PRAGMA synchronous = FULL")
            await db.execute("PRAGMA foreign_keys = ON")
            if settings.size_mb_max is not None:
                pages = settings.size_mb_max * 1024 * 1024 // await _number(db, "PRAGMA page_size")
                await db.execute(f"PRAGMA max_page_count = {pages}")
            if fresh:
                await db.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")
            while (version := await _number(db, "PRAGMA user_version")) in UPGRADES:
                await _upgrade(db, path, version)
        except BaseException:
            await db.close()
            raise
    except sqlite3.Error as error:
        raise damaged(path, error) from error
    return db


async def _upgrade(db: aiosqlite.Connection, path: Path, version: int) -> None:
    """Make a file one of the next version, or leave it as it is."""
    try:
        await db.executescript(f"BEGIN IMMEDIATE;{UPGRADES[version]}COMMIT;")
    except sqlite3.OperationalError as error:
        message = f"{path}: cannot be brought up from schema {version}, and stays as it was: {error}"
        raise UserError(message) from error


async def _check_version(db: aiosqlite.Connection, path: Path) -> None:
    check_version(await _number(db, "PRAGMA application_id"), await _number(db, "PRAGMA user_version"), path)


async def _number(db: aiosqlite.Connection, sql: str) -> int:
    async with db.execute(sql) as cursor:
        row = await cursor.fetchone()
    assert row is not None, sql
    return int(row[0])


class _Snapshot(msgspec.Struct, frozen=True):
    seq: int
    chain: bytes
    state: bytes


_Mark = tuple[int, int]
_Entry = Record | _Snapshot | CommandRow | _Mark


class JournalWriter:
    """Commits one session's records in order.

    Attributes:
        durable_seq: every record up to this one survives anything.
        failure: why nothing can be committed at the moment, or None.
    """

    def __init__(self, db: aiosqlite.Connection, session: int, settings: JournalSettings, durable_seq: int) -> None:
        self.durable_seq = durable_seq
        self.failure: str | None = None
        self.commits = 0
        self.on_durable: Callable[[int], None] | None = None
        self._db = db
        self._session = session
        self._settings = settings
        self._queue: deque[_Entry] = deque()
        self._group: list[_Entry] = []
        """Taken from the queue and not durable yet: it goes first, whoever commits next."""
        self._committing = anyio.Lock()
        self._records_waiting = 0
        self._work = anyio.Event()
        self._progress = anyio.Event()
        self._commit_started_s: float | None = None

    # --- the core's side ----------------------------------------------------------------------------

    def append(self, record: Record, marks: Iterable[_Mark], commands: Iterable[Command] = ()) -> None:
        """Take a record, the equity marks that belong to it, and the commands there is news of since the one before."""
        self._queue.append(record)
        self._queue.extend(marks)
        self._queue.extend(_news(self._session, command, record) for command in commands)
        self._records_waiting += 1
        self._work.set()

    def append_snapshot(self, seq: int, chain: bytes, state: bytes) -> None:
        """Take a snapshot of the state after record `seq`, which must be appended already."""
        self._queue.append(_Snapshot(seq, chain, state))
        self._work.set()

    @property
    def full(self) -> bool:
        """Whether the core should wait before it takes another input."""
        return self._records_waiting >= self._settings.queue_max

    @property
    def waiting(self) -> int:
        """How many records are not durable yet."""
        return self._records_waiting

    def trouble(self) -> str | None:
        """Return why the journal cannot be relied on right now, or None."""
        if self.failure is not None:
            return self.failure
        started_s = self._commit_started_s
        if started_s is not None and time.monotonic() - started_s > self._settings.stall_s:
            return f"journal: a commit has taken longer than {self._settings.stall_s:g} s"
        return None

    async def progress(self) -> None:
        """Wait until something was committed, or a commit failed."""
        await self._progress.wait()

    async def durable(self, seq: int) -> None:
        """Wait until record `seq` is durable."""
        while self.durable_seq < seq:
            await self._progress.wait()

    # --- the writing task ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Commit groups until cancelled."""
        while True:
            if not self._group and not self._queue:
                self._work = anyio.Event()
                await self._work.wait()
            with anyio.CancelScope(shield=True):
                await self._commit_next()
            if self.failure is not None:
                await anyio.sleep(_RETRY_S)

    async def drain(self) -> bool:
        """Commit everything that is left, once; return whether that worked."""
        while self._group or self._queue:
            if not await self._commit_next():
                return False
        return self.failure is None

    async def _commit_next(self) -> bool:
        """Commit the group in hand, or else the next one; a group that fails stays in hand."""
        async with self._committing:
            if not self._group:
                self._group = self._take()
            done = await self._commit(self._group)
            if done:
                self._group = []
            return done

    def _take(self) -> list[_Entry]:
        """Take what fits in one commit; what belongs to a record goes with it."""
        queue = self._queue
        group = [queue.popleft() for _ in range(min(len(queue), self._settings.batch_max))]
        while queue and isinstance(queue[0], tuple | CommandRow):
            group.append(queue.popleft())
        return group

    async def _commit(self, group: list[_Entry]) -> bool:
        records = [entry for entry in group if isinstance(entry, Record)]
        self._commit_started_s = time.monotonic()
        try:
            for sql, rows in self._rows(group, records):
                await self._db.executemany(sql, rows)
            await self._db.commit()
        except sqlite3.Error as error:
            self.failure = f"journal: {error}"
            await self._roll_back()
            self._announce()
            return False
        finally:
            self._commit_started_s = None
        self.failure = None
        self.commits += 1
        if records:
            self.durable_seq = records[-1].seq
            self._records_waiting -= len(records)
        self._announce()
        return True

    async def _roll_back(self) -> None:
        try:
            await self._db.rollback()
        except sqlite3.Error as error:
            self.failure = f"{self.failure}; and the rollback: {error}"

    def _announce(self) -> None:
        progress, self._progress = self._progress, anyio.Event()
        progress.set()
        if self.on_durable is not None:
            self.on_durable(self.durable_seq)

    def _rows(self, group: list[_Entry], records: list[Record]) -> list[tuple[str, list[tuple[Any, ...]]]]:
        session = self._session
        inputs = [(session, r.seq, r.run, r.ts_ns, r.payload, r.effects, r.digest, r.chain) for r in records]
        orders: list[tuple[Any, ...]] = []
        fills: list[tuple[Any, ...]] = []
        for record in records:
            if record.effects is not None:
                _collect(session, record, orders, fills)
        marks = [(session, *entry) for entry in group if isinstance(entry, tuple)]
        snapshots = [
            (session, s.seq, s.chain, seal_snapshot(s.seq, s.chain, s.state)) for s in group if isinstance(s, _Snapshot)
        ]
        news = [msgspec.structs.astuple(entry) for entry in group if isinstance(entry, CommandRow)]
        prune = [(session, session, self._settings.snapshots_kept)] if snapshots else []
        statements = [
            (_INPUT, inputs),
            (_ORDER, orders),
            (_FILL, fills),
            (_COMMAND, news),
            (_EQUITY, marks),
            (_SNAPSHOT, snapshots),
            (_PRUNE, prune),
        ]
        return [(sql, rows) for sql, rows in statements if rows]


def _news(session: int, command: Command, record: Record) -> CommandRow:
    by = command.by or m.Sender()
    return CommandRow(
        session,
        command.command_id,
        record.seq,
        command.ts_ns,
        by.sent_ns,
        command.action,
        by.role,
        by.name,
        by.address,
        command.outcome,
        command.note,
        0 if command.outcome == "pending" else record.ts_ns,
    )


def _collect(session: int, record: Record, orders: list[tuple[Any, ...]], fills: list[tuple[Any, ...]]) -> None:
    """Turn one record's decisions into the rows people query."""
    assert record.effects is not None
    for decision in decode_effects(record.effects):
        if isinstance(decision, m.Fill | m.Adopted | m.Liquidated):
            f = decision
            fills.append(
                (
                    session,
                    f.trade_id,
                    record.seq,
                    f.executed_ns,
                    f.order_id,
                    f.strategy,
                    f.symbol,
                    f.side,
                    f.price_ticks,
                    f.quantity_lots,
                    f.fee_atoms,
                )
            )
        if isinstance(decision, m.Fill):
            state = "partly_filled" if decision.remaining_lots else "filled"
            named = (decision.strategy, decision.symbol, decision.ref)
            orders.append((session, decision.order_id, record.seq, *named, state, ""))
        elif isinstance(decision, (m.Accepted, m.Rejected, m.Cancelled, m.Expired)):
            e = decision
            reason = "" if isinstance(e, m.Accepted) else e.reason
            orders.append((session, e.order_id, record.seq, e.strategy, e.symbol, e.ref, _ENDS[type(e)], reason))
        elif isinstance(decision, m.Amended):
            a = decision
            row = (record.seq, a.strategy, a.symbol, a.ref)
            if a.new_order_id != a.order_id:
                orders.append((session, a.order_id, *row, "replaced", f"by {a.new_order_id}"))
            orders.append((session, a.new_order_id, *row, "working", "amended"))
