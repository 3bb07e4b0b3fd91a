"""The database of backtests: what was asked, how it stands, and what it came to.

It is not the trading journal, and is used by two kinds of processes: the console, and whatever computes a backtest,
which stores all of its results in one transaction that also says it is done.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from config.schema import Backtests
from daemon.console import backtest_types as t

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FILE_NAME = "backtests.sqlite"
PIECE_ROWS = 500
"""Rows of a list that are stored, and read, as one."""

_VERSION = 1
_BUSY_S = 5.0
_MIB = 1024 * 1024
_LEVEL = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS backtests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    idempotency_key TEXT UNIQUE,
    asked BLOB NOT NULL,
    job BLOB NOT NULL,
    row BLOB NOT NULL,
    result BLOB
);
CREATE TABLE IF NOT EXISTS pieces (
    backtest INTEGER NOT NULL REFERENCES backtests (id) ON DELETE CASCADE,
    list TEXT NOT NULL,
    piece INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (backtest, list, piece)
) WITHOUT ROWID;
"""

encode = msgspec.json.Encoder(decimal_format="number").encode
_decode_row = msgspec.json.Decoder(t.BacktestRow).decode
_decode_asked = msgspec.json.Decoder(t.BacktestRequest).decode
_decode_result = msgspec.json.Decoder(t.BacktestResult).decode
_decode_rows = msgspec.json.Decoder(list[Any]).decode


class Piece(msgspec.Struct, frozen=True):
    """A part of a list of results."""

    list: str
    number: int
    payload: bytes
    first_ns: int = 0
    """The time of its first row, where it is found by that."""


class Store:
    """One such database; every method opens a connection of its own, and may be called from any thread.

    Args:
        path: its file.

    Raises:
        sqlite3.Error: from every method: the disk refuses, or the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> dict[int, t.BacktestRow]:
        """Make it, if there is none; return all backtests by id."""
        with self._connected() as db:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                message = f"{self.path.name} is of another version of pitboss ({version}, not {_VERSION})"
                raise sqlite3.DatabaseError(message)
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(f"{_SCHEMA}PRAGMA user_version = {_VERSION};")
            rows = [_decode_row(row) for (row,) in db.execute("SELECT row FROM backtests ORDER BY id").fetchall()]
        return {row.id: row for row in rows}

    def add(self, key: str | None, asked: bytes, job: bytes, row: t.BacktestRow) -> t.BacktestRow:
        """Keep a new backtest; return its row with its id."""
        with self._connected() as db, db:
            sql = "INSERT INTO backtests (idempotency_key, asked, job, row) VALUES (?, ?, ?, x'')"
            number = db.execute(sql, (key, asked, job)).lastrowid
            assert number is not None
            row = msgspec.structs.replace(row, id=number)
            db.execute("UPDATE backtests SET row = ? WHERE id = ?", (encode(row), number))
        return row

    def known(self, key: str) -> tuple[int, bytes] | None:
        """Return id and request of what was asked for under an idempotency key."""
        with self._connected() as db:
            sql = "SELECT id, asked FROM backtests WHERE idempotency_key = ?"
            found: tuple[int, bytes] | None = db.execute(sql, (key,)).fetchone()
        return found

    def job(self, number: int) -> bytes:
        """Return what the process of a backtest is told."""
        with self._connected() as db:
            found: bytes = db.execute("SELECT job FROM backtests WHERE id = ?", (number,)).fetchone()[0]
        return found

    def details(self, number: int) -> tuple[t.BacktestRequest, t.BacktestResult | None] | None:
        """Return request and result of a backtest; None if it is not there any more."""
        with self._connected() as db:
            found = db.execute("SELECT asked, result FROM backtests WHERE id = ?", (number,)).fetchone()
            if found is None:
                return None
            return _decode_asked(found[0]), None if found[1] is None else _decode_result(found[1])

    def put(self, row: t.BacktestRow) -> t.BacktestRow:
        """Keep how a backtest stands, unless it is done already; return how it stands."""
        with self._connected() as db, db:
            db.execute("BEGIN IMMEDIATE")
            found = db.execute("SELECT row FROM backtests WHERE id = ?", (row.id,)).fetchone()
            before = None if found is None else _decode_row(found[0])
            if before is not None and before.state in t.ENDED:
                return before
            db.execute("UPDATE backtests SET row = ? WHERE id = ?", (encode(row), row.id))
        return row

    def finish(self, number: int, changes: dict[str, Any], result: t.BacktestResult, pieces: Sequence[Piece]) -> bool:
        """Keep what a running backtest came to, all or nothing; return whether anybody still waits for it."""
        with self._connected() as db, db:
            db.execute("BEGIN IMMEDIATE")
            found = db.execute("SELECT row FROM backtests WHERE id = ?", (number,)).fetchone()
            if found is None or _decode_row(found[0]).state != "running":
                return False
            rows = [(number, one.list, one.number, one.first_ns, one.payload) for one in pieces]
            db.executemany("INSERT INTO pieces VALUES (?, ?, ?, ?, ?)", rows)
            row = msgspec.structs.replace(
                _decode_row(found[0]), state="done", ended_ns=time.time_ns(), pid=None, **changes
            )
            sql = "UPDATE backtests SET row = ?, result = ? WHERE id = ?"
            db.execute(sql, (encode(row), encode(result), number))
        return True

    def remove(self, number: int) -> None:
        """Forget a backtest."""
        with self._connected() as db, db:
            db.execute("DELETE FROM backtests WHERE id = ?", (number,))

    def trim(self, ended: Sequence[int], settings: Backtests) -> list[int]:
        """Forget the oldest of these until what is left is within its bounds; return those forgotten."""
        removed = []
        left = list(ended)
        while len(left) > settings.kept_max or (left and self.size_bytes() > settings.size_mb_max * _MIB):
            removed.append(left.pop(0))
            self.remove(removed[-1])
        return removed

    def size_bytes(self) -> int:
        """Return the room that is in use."""
        with self._connected() as db:
            pages, free, size = (
                int(db.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
        return (pages - free) * size

    def page(self, number: int, name: str, cursor: int, limit: int) -> list[Any]:
        """Return at most `limit` rows of a list, from row `cursor` on."""
        pieces = (cursor // PIECE_ROWS, (cursor + limit - 1) // PIECE_ROWS)
        with self._connected() as db:
            sql = "SELECT payload FROM pieces WHERE backtest = ? AND list = ? AND piece BETWEEN ? AND ? ORDER BY piece"
            found = db.execute(sql, (number, name, *pieces)).fetchall()
            rows = [row for (payload,) in found for row in _decode_rows(zlib.decompress(payload))]
        skip = cursor - pieces[0] * PIECE_ROWS
        return rows[skip : skip + limit]

    def before(self, number: int, name: str, before_ns: int) -> Iterator[bytes]:
        """Yield the pieces of a list that begin before a time, the newest first."""
        with self._connected() as db:
            sql = "SELECT payload FROM pieces WHERE backtest = ? AND list = ? AND first_ns < ? ORDER BY piece DESC"
            for (payload,) in db.execute(sql, (number, name, before_ns)):
                yield zlib.decompress(payload)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_BUSY_S)) as db:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA synchronous = NORMAL")
            try:
                yield db
            except (msgspec.DecodeError, UnicodeDecodeError, zlib.error) as error:
                message = f"what is kept is damaged: {error}"
                raise sqlite3.DatabaseError(message) from error


def pieces_of(name: str, rows: Sequence[Any]) -> Iterator[Piece]:
    """Yield the rows of a list as they are stored."""
    for number, start in enumerate(range(0, len(rows), PIECE_ROWS)):
        yield Piece(name, number, zlib.compress(encode(rows[start : start + PIECE_ROWS]), _LEVEL))


def piece_of_arrays(name: str, number: int, arrays: Sequence[Any], first_ns: int) -> Piece:
    """Return numpy arrays of equal length and of 8 bytes a value, one behind the other."""
    return Piece(name, number, zlib.compress(b"".join(array.tobytes() for array in arrays), _LEVEL), first_ns)
