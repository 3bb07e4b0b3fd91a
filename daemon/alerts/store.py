"""What is to be told, kept until it was: a small database in the state directory, used by one thread.

An alert and how far we have read are written in one transaction, so whatever happened is queued once. It is taken out
after its target has confirmed it: a crash in between tells it again, under the same number.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from config.alerts import AlertTarget
    from daemon.alerts.news import Alert

FILE_NAME = "alerts.sqlite"
_BUSY_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (one INTEGER PRIMARY KEY CHECK (one = 1), value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    level TEXT NOT NULL,
    key TEXT NOT NULL,
    text TEXT NOT NULL,
    count INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    due_ns INTEGER NOT NULL,
    UNIQUE (target, key)
) STRICT;
CREATE TABLE IF NOT EXISTS told (
    target TEXT NOT NULL,
    key TEXT NOT NULL,
    wall_ns INTEGER NOT NULL,
    PRIMARY KEY (target, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lost (target TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS counts (
    target TEXT PRIMARY KEY,
    sent INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    dropped INTEGER NOT NULL
) STRICT;
"""


class Counts(msgspec.Struct, frozen=True):
    """What a target has been told since there is a queue."""

    sent: int = 0
    """Messages that were taken."""
    failed: int = 0
    """Attempts that came to nothing."""
    dropped: int = 0
    """Alerts given up."""


class Waiting(msgspec.Struct, frozen=True):
    """An alert that waits for its target."""

    id: int
    level: str
    key: str
    text: str
    count: int
    """How often it happened."""


class Store:
    """The queue, and what was seen.

    Args:
        path: of the database.
        queue_max: alerts that wait for one target; beyond, the oldest are given up.
        window_ns: what happens again within this time after it was told is told as one.
    """

    def __init__(self, path: Path, queue_max: int, window_ns: int) -> None:
        self._queue_max = queue_max
        self._window_ns = window_ns
        self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def seen(self) -> bytes | None:
        """Return what `add` was given last."""
        row = self._db.execute("SELECT value FROM seen").fetchone()
        return None if row is None else bytes(row[0])

    def add(self, alerts: Iterable[Alert], targets: Sequence[AlertTarget], seen: bytes, now_ns: int) -> dict[str, int]:
        """Queue alerts for those who want them, and note how far we have come, in one.

        Returns:
            How many alerts were given up because too many wait, by target.
        """
        with self._whole() as db:
            for alert in alerts:
                for target in targets:
                    if target.wants(alert.kind, alert.level):
                        self._add(target.name, alert, now_ns)
            db.execute("DELETE FROM told WHERE wall_ns < ?", (now_ns - self._window_ns,))
            db.execute("INSERT OR REPLACE INTO seen VALUES (1, ?)", (seen,))
            over = {target.name: self._bound(target.name) for target in targets}
        return {name: count for name, count in over.items() if count}

    @contextmanager
    def _whole(self) -> Iterator[sqlite3.Connection]:
        """Write all of what follows, or none of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _add(self, target: str, alert: Alert, now_ns: int) -> None:
        # a state that was told holds the same one back for a while, but never the news that something is wrong
        last = self._db.execute("SELECT wall_ns FROM told WHERE target = ? AND key = ?", (target, alert.key)).fetchone()
        self._db.execute("DELETE FROM queue WHERE target = ? AND key = ?", (target, alert.ends))
        is_held = last is not None and alert.level != "error"
        due_ns = max(now_ns, last[0] + self._window_ns) if is_held else now_ns
        self._db.execute(
            "INSERT INTO queue (target, level, key, text, count, tries, due_ns) VALUES (?, ?, ?, ?, 1, 0, ?)"
            " ON CONFLICT (target, key) DO UPDATE SET count = count + 1, text = excluded.text, level = excluded.level",
            (target, alert.level, alert.key, alert.text, due_ns),
        )

    def _bound(self, target: str) -> int:
        over = max(0, self.waiting(target) - self._queue_max)
        if over:
            sql = (
                "SELECT id FROM queue WHERE target = ?"
                " ORDER BY CASE level WHEN 'info' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, id LIMIT ?"
            )
            self._lose(target, [row[0] for row in self._db.execute(sql, (target, over)).fetchall()])
        return over

    def _lose(self, target: str, ids: Sequence[int]) -> None:
        self._db.executemany("DELETE FROM queue WHERE id = ?", [(each,) for each in ids])
        self._db.execute(
            "INSERT INTO lost VALUES (?, ?) ON CONFLICT (target) DO UPDATE SET count = count + excluded.count",
            (target, len(ids)),
        )
        self._count(target, Counts(dropped=len(ids)))

    def _count(self, target: str, more: Counts) -> None:
        sql = (
            "INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT (target) DO UPDATE SET"
            " sent = sent + excluded.sent, failed = failed + excluded.failed, dropped = dropped + excluded.dropped"
        )
        self._db.execute(sql, (target, more.sent, more.failed, more.dropped))

    def counts(self, target: str) -> Counts:
        """Return what a target has been told."""
        row = self._db.execute("SELECT sent, failed, dropped FROM counts WHERE target = ?", (target,)).fetchone()
        return Counts() if row is None else Counts(*row)

    def waiting(self, target: str) -> int:
        """Return how many alerts wait for a target."""
        ((count,),) = self._db.execute("SELECT count(*) FROM queue WHERE target = ?", (target,))
        return int(count)

    def lost(self, target: str) -> int:
        """Return how many alerts were given up since the last one that was told."""
        row = self._db.execute("SELECT count FROM lost WHERE target = ?", (target,)).fetchone()
        return 0 if row is None else int(row[0])

    def due(self, target: str, now_ns: int, limit: int) -> list[Waiting]:
        """Return the alerts that may be told now: the worst first, and of these the oldest.

        None waits for longer than the window: one that seems to was queued before the clock was set back.
        """
        sql = (
            "SELECT id, level, key, text, count FROM queue"
            " WHERE target = ? AND (due_ns NOT BETWEEN ? AND ? OR level = 'error')"
            " ORDER BY CASE level WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, id LIMIT ?"
        )
        return [Waiting(*row) for row in self._db.execute(sql, (target, now_ns + 1, now_ns + self._window_ns, limit))]

    def confirm(self, target: str, told: Sequence[Waiting], lost: int, now_ns: int) -> None:
        """Take out what was told; what happened again meanwhile waits for the next window, with a number of its own.

        Args:
            target: who was told.
            told: what.
            lost: how many that were given up this said, too.
            now_ns: the time.
        """
        number = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'queue' RETURNING seq"
        again = (
            "UPDATE queue SET id = ?, count = count - ?, tries = 0,"
            " due_ns = CASE level WHEN 'error' THEN due_ns ELSE ? END WHERE id = ?"
        )
        keys = [(target, each.key, now_ns) for each in told]
        with self._whole() as db:
            for each in told:
                if db.execute("DELETE FROM queue WHERE id = ? AND count = ?", (each.id, each.count)).rowcount:
                    continue
                (new_id,) = db.execute(number).fetchall()[0]
                db.execute(again, (new_id, each.count, now_ns + self._window_ns, each.id))
            db.executemany("INSERT OR REPLACE INTO told VALUES (?, ?, ?)", keys)
            db.execute("UPDATE lost SET count = count - ? WHERE target = ?", (lost, target))
            self._count(target, Counts(sent=1))

    def fail(self, target: str, tried: Sequence[Waiting], tries_max: int) -> int:
        """Count an attempt that came to nothing; return how many alerts were given up for it."""
        with self._whole() as db:
            self._count(target, Counts(failed=1))
            db.executemany("UPDATE queue SET tries = tries + 1 WHERE id = ?", [(each.id,) for each in tried])
            rows = db.execute("SELECT id FROM queue WHERE target = ? AND tries >= ?", (target, tries_max)).fetchall()
            if rows:
                self._lose(target, [row[0] for row in rows])
        return len(rows)
