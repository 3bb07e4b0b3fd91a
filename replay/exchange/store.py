"""The exchange's store: what was done is on disk before anybody is told of it.

One SQLite file in WAL mode with ``synchronous=FULL`` holds the last snapshot and the operations since. A
batch of operations is one transaction, so that a crash leaves a whole number of operations; repeating them
on the snapshot gives the exchange exactly as it was acknowledged. The file is held by one process at a time.
"""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING

import aiosqlite
import msgspec

from config.errors import UserError
from replay.exchange.model import Market
from replay.exchange.operations import AnyOperation
from replay.exchange.player import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE_NAME = "exchange.sqlite"
"""Of the spot markets."""
FUTURES_FILE_NAME = "futures.sqlite"
"""Of the perpetuals."""
SCHEMA_VERSION = 1
APPLICATION_ID = 0x70627831
"""Marks the file as a pitboss exchange ("pbx1") for `file` and for us."""

_BUSY_S = 1.0
_SCHEMA = f"""
CREATE TABLE setup (only INTEGER PRIMARY KEY CHECK (only = 1), setup TEXT NOT NULL) STRICT;
CREATE TABLE snapshots (seq INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;
CREATE TABLE operations (seq INTEGER PRIMARY KEY, operation BLOB NOT NULL) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyOperation)


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the exchange was started with: operations mean the same only under the same."""

    markets: tuple[Market, ...]
    balances: dict[str, Decimal]
    maker_fee: Decimal
    taker_fee: Decimal
    spread_ticks: int
    fee_asset: str
    bounded: bool
    intervals: tuple[str, ...]
    tape: str
    """Fingerprint of the tape, empty without one."""
    clock: Clock
    leverage: int = 20
    """Of perpetuals, likewise the following."""
    funding_rate: Decimal = Decimal("0.0001")
    funding_hours: int = 8
    recording: str = ""
    """Fingerprint of the recorded feed that was played last, empty without one."""


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The exchange after some operation."""

    engine: bytes
    played: dict[str, int]
    """Trades of the tape played, by market."""


class Store:
    """The open file.

    Attributes:
        setup: what was kept, None in a new file.
        seq: number of the newest operation on disk.
    """

    def __init__(self, db: aiosqlite.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self.setup: Setup | None = None
        self.seq = 0

    async def read(self) -> tuple[Snapshot | None, list[AnyOperation]]:
        """Return the snapshot, and the operations since.

        Raises:
            UserError: the file is damaged.
        """
        try:
            kept = await self._rows("SELECT setup FROM setup")
            self.setup = msgspec.json.decode(kept[0][0], type=Setup) if kept else None
            snapshots = await self._rows("SELECT seq, state FROM snapshots ORDER BY seq DESC LIMIT 1")
            snapshot = msgspec.msgpack.decode(snapshots[0][1], type=Snapshot) if snapshots else None
            first = int(snapshots[0][0]) + 1 if snapshots else 1
            rows = await self._rows("SELECT seq, operation FROM operations WHERE seq >= ? ORDER BY seq", (first,))
            numbers = [int(row[0]) for row in rows]
            if numbers != list(range(first, first + len(rows))):
                message = f"{self._path} is damaged: operations are missing"
                raise UserError(message)
            self.seq = first + len(rows) - 1
            return snapshot, [_decoder.decode(row[1]) for row in rows]
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise _damaged(self._path, error) from error

    async def append(self, operations: Sequence[AnyOperation], snapshot: Snapshot | None) -> None:
        """Make operations durable, and a snapshot taken right after the last of them.

        Raises:
            sqlite3.Error: they are not; nothing has changed.
        """
        rows = [(self.seq + index, _encoder.encode(each)) for index, each in enumerate(operations, start=1)]
        seq = self.seq + len(rows)
        try:
            await self._db.execute("BEGIN IMMEDIATE")
            await self._db.executemany("INSERT INTO operations VALUES (?, ?)", rows)
            if snapshot is not None:
                await self._write_snapshot(seq, snapshot)
            await self._db.execute("COMMIT")
        except sqlite3.Error:
            await self._undo()
            raise
        self.seq = seq

    async def begin(self, setup: Setup, snapshot: Snapshot) -> None:
        """Keep what the exchange runs with from now on, and its state under it.

        Raises:
            UserError: it cannot be written.
        """
        try:
            await self._db.execute("BEGIN IMMEDIATE")
            await self._db.execute("INSERT OR REPLACE INTO setup VALUES (1, ?)", (msgspec.json.encode(setup).decode(),))
            await self._write_snapshot(self.seq, snapshot)
            await self._db.execute("COMMIT")
        except sqlite3.Error as error:
            await self._undo()
            raise _damaged(self._path, error) from error
        self.setup = setup

    async def close(self) -> None:
        """Let go of the file."""
        await self._db.close()

    async def _write_snapshot(self, seq: int, snapshot: Snapshot) -> None:
        await self._db.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?)", (seq, _encoder.encode(snapshot)))
        await self._db.execute("DELETE FROM snapshots WHERE seq < ?", (seq,))
        await self._db.execute("DELETE FROM operations WHERE seq <= ?", (seq,))

    async def _undo(self) -> None:
        if self._db.in_transaction:
            await self._db.execute("ROLLBACK")

    async def _rows(self, sql: str, values: tuple[int, ...] = ()) -> list[sqlite3.Row]:
        async with self._db.execute(sql, values) as cursor:
            return list(await cursor.fetchall())


async def open_store(path: Path) -> Store:
    """Open the file, creating it if it is missing.

    Raises:
        UserError: it belongs to somebody else, is in use, is damaged, or comes from a newer pitboss.
    """
    try:
        _touch(path)
        db = await aiosqlite.connect(path, timeout=_BUSY_S, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        raise _damaged(path, error) from error
    try:
        await db.execute("PRAGMA locking_mode = EXCLUSIVE")
        await db.execute("PRAGMA journal_mode = WAL")
        await db.execute("PRAGMA synchronous = FULL")
        store = Store(db, path)
        if not await store._rows("SELECT 1 FROM sqlite_master"):  # noqa: SLF001 - this is its constructor
            await db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        [[application]] = await store._rows("PRAGMA application_id")  # noqa: SLF001 - the same
        [[version]] = await store._rows("PRAGMA user_version")  # noqa: SLF001 - the same
        _check_file(path, int(application), int(version))
    except sqlite3.Error as error:
        await db.close()
        raise _damaged(path, error) from error
    except BaseException:
        await db.close()
        raise
    return store


def _touch(path: Path) -> None:
    """Fail here if the file cannot be opened, where no thread is left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sqlite3.connect(path).close()


def _check_file(path: Path, application: int, version: int) -> None:
    if application != APPLICATION_ID:
        message = f"{path} is not the store of an exchange"
        raise UserError(message)
    if version != SCHEMA_VERSION:
        message = f"{path} was written by another pitboss (format {version}, this one reads {SCHEMA_VERSION})"
        raise UserError(message)


def _damaged(path: Path, error: Exception) -> UserError:
    if "locked" in str(error):
        return UserError(f"{path} is in use: another exchange runs on it")
    return UserError(f"{path} cannot be used: {error}")
