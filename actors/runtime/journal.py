"""The journal's format, and a reader of it.

A journal is one SQLite file in WAL mode. A record is one input with the decisions it caused and the digest
after it, committed together; records of a session ascend by `seq` without a gap and are hash-chained, so
a changed, missing or swapped record is found. What a crash tears off is whole transactions at the end.

The tables `orders`, `fills`, `commands` and `equity` stand beside the records for people; no decision is recovered
from them.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from actors.messages import Decision, Input
from config.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION = 3
APPLICATION_ID = 0x70626A31
"""Marks the file as a pitboss journal ("pbj1") for `file` and for us."""

_DAY_NS = 86_400_000_000_000

CHAIN_BYTES = 16
CHAIN_GENESIS = bytes(CHAIN_BYTES)

FILE_NAME = "journal.sqlite"

_FILLS = """
CREATE TABLE fills (
    session INTEGER NOT NULL,
    trade_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    executed_ns INTEGER NOT NULL,
    order_id TEXT NOT NULL,
    strategy TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side INTEGER NOT NULL,
    price_ticks INTEGER NOT NULL,
    quantity_lots INTEGER NOT NULL,
    fee_atoms INTEGER NOT NULL,
    PRIMARY KEY (session, symbol, trade_id, strategy)
) STRICT;
"""

_COMMANDS = """
CREATE TABLE commands (
    session INTEGER NOT NULL,
    command_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    ts_ns INTEGER NOT NULL,
    sent_ns INTEGER NOT NULL,
    action TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    outcome TEXT NOT NULL,
    note TEXT NOT NULL,
    ended_ns INTEGER NOT NULL,
    PRIMARY KEY (session, command_id)
) STRICT, WITHOUT ROWID;
"""

SCHEMA = f"""
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_wall_ns INTEGER NOT NULL,
    plan BLOB NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'sealed', 'quarantined')),
    closing_account BLOB
) STRICT;
CREATE TABLE runs (
    session INTEGER NOT NULL REFERENCES sessions (number),
    run INTEGER NOT NULL,
    started_wall_ns INTEGER NOT NULL,
    ended_wall_ns INTEGER,
    outcome TEXT NOT NULL CHECK (outcome IN ('running', 'ended', 'crashed_recovered', 'failed')),
    code_hash TEXT NOT NULL,
    PRIMARY KEY (session, run)
) STRICT;
CREATE TABLE inputs (
    session INTEGER NOT NULL REFERENCES sessions (number),
    seq INTEGER NOT NULL,
    run INTEGER NOT NULL,
    ts_ns INTEGER NOT NULL,
    payload BLOB NOT NULL,
    effects BLOB,
    digest BLOB,
    chain BLOB NOT NULL,
    PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (
    session INTEGER NOT NULL REFERENCES sessions (number),
    seq INTEGER NOT NULL,
    chain BLOB NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (session, seq)
) STRICT;
CREATE TABLE orders (
    session INTEGER NOT NULL,
    order_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    symbol TEXT NOT NULL,
    ref INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (session, order_id)
) STRICT;
{_FILLS}
{_COMMANDS}
CREATE TABLE equity (
    session INTEGER NOT NULL,
    ts_ns INTEGER NOT NULL,
    equity_atoms INTEGER NOT NULL,
    PRIMARY KEY (session, ts_ns)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""

UPGRADES = {
    1: f"""
ALTER TABLE fills RENAME TO fills_of_old;
{_FILLS}
INSERT INTO fills SELECT * FROM fills_of_old;
DROP TABLE fills_of_old;
PRAGMA user_version = 2;
""",  # noqa: S608 - of nothing but constants
    2: f"""
{_COMMANDS}
PRAGMA user_version = 3;
""",
}
"""By the version a file has: what makes it one of the next. In 1, two symbols could not have trades of one number; in 2
commands stood among the inputs alone, and those of that time still do."""

encode_input = msgspec.msgpack.Encoder().encode
decode_input = msgspec.msgpack.Decoder(Input).decode
decode_effects = msgspec.msgpack.Decoder(list[Decision]).decode


class Record(msgspec.Struct, frozen=True):
    """One input, the decisions it caused and the digest after it."""

    seq: int
    run: int
    ts_ns: int
    payload: bytes
    effects: bytes | None
    digest: bytes | None
    chain: bytes


class SessionRow(msgspec.Struct, frozen=True):
    """One session, as stored."""

    number: int
    id: str
    status: str
    plan: bytes
    closing_account: bytes | None


class CommandRow(msgspec.Struct, frozen=True):
    """One command, as stored: who asked for what, when, and what became of it."""

    session: int
    command_id: str
    seq: int
    """Of its input."""
    ts_ns: int
    """The core's time of it."""
    sent_ns: int
    """When it was taken, by the wall."""
    action: str
    """In words."""
    role: str
    """Of the token it was sent with; empty where nobody said."""
    name: str
    """Of the token."""
    address: str
    outcome: str
    note: str
    ended_ns: int
    """The core's time of the outcome; 0 while that is open."""


class SnapshotRow(msgspec.Struct, frozen=True):
    """One snapshot, as stored."""

    seq: int
    chain: bytes
    state: bytes


def link(previous: bytes, seq: int, ts_ns: int, payload: bytes, effects: bytes | None, digest: bytes | None) -> bytes:
    """Return the chain value of a record from that of the record before it."""
    hasher = blake2b(previous, digest_size=CHAIN_BYTES)
    hasher.update(seq.to_bytes(8, "big"))
    hasher.update(ts_ns.to_bytes(8, "big", signed=True))
    for part in (payload, effects, digest):
        hasher.update(b"\xff" if part is None else len(part).to_bytes(4, "big"))
        hasher.update(part or b"")
    return hasher.digest()


def seal_snapshot(seq: int, chain: bytes, state: bytes) -> bytes:
    """Return `state` as a snapshot row holds it: behind a checksum, for no chain covers it."""
    hasher = blake2b(chain, digest_size=CHAIN_BYTES)
    hasher.update(seq.to_bytes(8, "big"))
    hasher.update(state)
    return hasher.digest() + state


class JournalReader:
    """Reads a journal and believes nothing: every record it yields has been checked against the chain.

    Raises:
        UserError: the file is missing, is no journal, comes from the future, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            message = f"{path}: no journal there"
            raise UserError(message)
        try:
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise damaged(path, error) from error
        try:
            ((application_id,),) = self._db.execute("PRAGMA application_id")
            ((version,),) = self._db.execute("PRAGMA user_version")
            check_version(application_id, version, path)
        except sqlite3.Error as error:
            self._db.close()
            raise damaged(path, error) from error
        except UserError:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def sessions(self) -> list[SessionRow]:
        """Return all sessions, oldest first."""
        rows = self._query("SELECT number, id, status, plan, closing_account FROM sessions ORDER BY number")
        return [SessionRow(*row) for row in rows]

    def session(self, identity: str | None = None) -> SessionRow | None:
        """Return the session of that id, or the newest; None if there is none."""
        sessions = self.sessions()
        for session in reversed(sessions):
            if identity is None or session.id == identity:
                return session
        return None

    def run_count(self, session: int) -> int:
        """Return how many runs a session has had."""
        ((count,),) = self._query("SELECT count(*) FROM runs WHERE session = ?", session)
        return int(count)

    def last_run(self, session: int) -> tuple[int, str, str] | None:
        """Return the newest run: (run, outcome, code hash)."""
        rows = list(
            self._query("SELECT run, outcome, code_hash FROM runs WHERE session = ? ORDER BY run DESC LIMIT 1", session)
        )
        return rows[0] if rows else None

    def code_hashes(self, session: int) -> dict[int, str]:
        """Return which code each run of a session was, by the run's number."""
        return dict(self._query("SELECT run, code_hash FROM runs WHERE session = ? ORDER BY run", session))

    def newest_snapshots(self, session: int) -> list[SnapshotRow]:
        """Return the snapshots kept of a session, newest first.

        Raises:
            UserError: one of them is not what was written.
        """
        rows = self._query("SELECT seq, chain, state FROM snapshots WHERE session = ? ORDER BY seq DESC", session)
        return [SnapshotRow(seq, chain, self._unseal(seq, chain, sealed)) for seq, chain, sealed in rows]

    def _unseal(self, seq: int, chain: bytes, sealed: bytes) -> bytes:
        state = sealed[CHAIN_BYTES:]
        if seal_snapshot(seq, chain, state) != sealed:
            message = f"{self.path}: corrupt: the snapshot at input {seq} is not what was written"
            raise UserError(message)
        return state

    def records(self, session: int, after_seq: int = 0, chain: bytes = CHAIN_GENESIS) -> Iterator[Record]:
        """Yield the records after `after_seq`, whose chain value is `chain`.

        Raises:
            UserError: a record is missing or does not fit the chain.
        """
        rows = self._query(
            "SELECT seq, run, ts_ns, payload, effects, digest, chain FROM inputs"
            " WHERE session = ? AND seq > ? ORDER BY seq",
            session,
            after_seq,
        )
        expected_seq = after_seq
        for row in rows:
            record = Record(*row)
            expected_seq += 1
            chain = link(chain, record.seq, record.ts_ns, record.payload, record.effects, record.digest)
            if record.seq != expected_seq or chain != record.chain:
                message = f"{self.path}: corrupt at input {expected_seq}: the record does not fit its chain"
                raise UserError(message)
            yield record

    def commands(self, before: tuple[int, int, str] | None = None, limit: int = 100) -> list[CommandRow]:
        """Return commands of all sessions, newest first: those before (session, seq, id) of the last one seen."""
        if not list(self._query("SELECT 1 FROM sqlite_master WHERE name = 'commands'")):
            return []  # an older file, which only a daemon brings up to date
        fields = ", ".join(CommandRow.__struct_fields__)
        where = "" if before is None else "WHERE (session, seq, command_id) < (?, ?, ?)"
        rows = self._query(
            f"SELECT {fields} FROM commands {where} ORDER BY session DESC, seq DESC, command_id DESC LIMIT ?",  # noqa: S608 - of our own words
            *(before or ()),
            limit,
        )
        return [CommandRow(*row) for row in rows]

    def day_marks(self, session: int) -> list[tuple[int, int]]:
        """Return what a day's profit takes, oldest first: (time in ns, equity in atoms).

        These are the newest mark, the first of its UTC day, and the one before that, as far as there are such.
        """
        mark = "SELECT ts_ns, equity_atoms FROM equity WHERE session = ?"
        newest = list(self._query(f"{mark} ORDER BY ts_ns DESC LIMIT 1", session))
        if not newest:
            return []
        began_ns = (newest[0][0] - 1) // _DAY_NS * _DAY_NS
        before = self._query(f"{mark} AND ts_ns <= ? ORDER BY ts_ns DESC LIMIT 1", session, began_ns)
        first = self._query(f"{mark} AND ts_ns > ? ORDER BY ts_ns LIMIT 1", session, began_ns)
        return [*before, *first, *newest]

    def chain_at(self, session: int, seq: int) -> bytes | None:
        """Return the chain value after record `seq`, or None if there is no such record."""
        if seq == 0:
            return CHAIN_GENESIS
        rows = list(self._query("SELECT chain FROM inputs WHERE session = ? AND seq = ?", session, seq))
        return rows[0][0] if rows else None

    def bounds(self, session: int) -> tuple[int, int] | None:
        """Return the number and the time of a session's last record, or None if it has none."""
        sql = "SELECT seq, ts_ns FROM inputs WHERE session = ? ORDER BY seq DESC LIMIT 1"
        rows = list(self._query(sql, session))
        return rows[0] if rows else None

    def _query(self, sql: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        try:
            for row in self._db.execute(sql, parameters):  # noqa: UP028 - `yield from` would close the cursor, too late
                yield row
        except sqlite3.Error as error:
            raise damaged(self.path, error) from error


def check_version(application_id: int, version: int, path: Path) -> None:
    """Refuse a file that is no journal, or one a newer pitboss wrote.

    Raises:
        UserError: says which.
    """
    if application_id != APPLICATION_ID:
        message = f"{path}: is not a pitboss journal"
        raise UserError(message)
    if version > SCHEMA_VERSION:
        message = f"{path}: written by a newer pitboss (schema {version}, this one reads up to {SCHEMA_VERSION})"
        raise UserError(message)


def damaged(path: Path, error: sqlite3.Error) -> UserError:
    """Return the one line for a file SQLite cannot read."""
    return UserError(f"{path}: corrupt or unreadable journal: {error}")
