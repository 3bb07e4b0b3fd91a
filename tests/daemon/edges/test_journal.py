"""The journal's writer over a real SQLite file whose commits fail, stall and come back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

from actors import messages as m
from actors.messages import Pause
from actors.runtime.journal import CHAIN_GENESIS, FILE_NAME, JournalReader, Record, encode_input, link
from config.errors import UserError
from config.schema import Journal
from daemon.edges.journal import JournalWriter, _collect, open_journal

if TYPE_CHECKING:
    import aiosqlite

DIGEST = bytes(16)


class FaultingDatabase:
    """A real connection in front of which faults are put.

    Attributes:
        faults: raised by the next commits, one each; None lets one pass.
        full_after: rows of inputs after which every write is refused, as a full disk does.
        gate: commits wait for it.
    """

    def __init__(self, inner: aiosqlite.Connection) -> None:
        self.inner = inner
        self.faults: list[sqlite3.Error | None] = []
        self.full_after: int | None = None
        self.rows = 0
        self.gate: anyio.Event | None = None
        self.commits = 0
        self.rollbacks = 0

    async def executemany(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> object:
        """Write, unless the disk is full."""
        taken = list(rows)
        if self.full_after is not None and self.rows + len(taken) > self.full_after:
            message = "database or disk is full"
            raise sqlite3.OperationalError(message)
        if "INTO inputs" in sql:
            self.rows += len(taken)
        return await self.inner.executemany(sql, taken)

    async def commit(self) -> None:
        """Commit, unless there is a fault to raise first."""
        self.commits += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        await self.inner.commit()

    async def rollback(self) -> None:
        """Roll back."""
        self.rollbacks += 1
        await self.inner.rollback()


def io_error() -> sqlite3.OperationalError:
    return sqlite3.OperationalError("disk I/O error")


def make_records(count: int) -> list[Record]:
    chain = CHAIN_GENESIS
    records = []
    for seq in range(1, count + 1):
        payload = encode_input(Pause(f"{seq:016x}"))
        chain = link(chain, seq, seq * 10, payload, None, DIGEST)
        records.append(Record(seq, 1, seq * 10, payload, None, DIGEST, chain))
    return records


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[FaultingDatabase]:
    """Return a faulting database over a new journal with one session."""
    inner = await open_journal(tmp_path / FILE_NAME, Journal())
    await inner.execute(
        "INSERT INTO sessions (number, id, created_wall_ns, plan, status) VALUES (1, 'one', 0, x'7b7d', 'open')"
    )
    await inner.commit()
    yield FaultingDatabase(inner)
    await inner.close()


@pytest.fixture
def writer(database: FaultingDatabase, monkeypatch: pytest.MonkeyPatch) -> Callable[..., JournalWriter]:
    """Return a maker of writers that try again at once."""
    monkeypatch.setattr("daemon.edges.journal._RETRY_S", 0.001)

    def make(**settings: Any) -> JournalWriter:
        return JournalWriter(database, 1, Journal(**settings), 0)  # type: ignore[arg-type]

    return make


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[], list[int]]:
    """Return a look at what is durable: the checked records' numbers."""

    def look() -> list[int]:
        reader = JournalReader(tmp_path / FILE_NAME)
        try:
            return [record.seq for record in reader.records(1)]
        finally:
            reader.close()

    return look


async def until_durable(journal: JournalWriter, seq: int) -> None:
    with anyio.fail_after(10):
        await journal.durable(seq)


async def test_what_gathers_while_the_disk_works_is_one_commit(
    database: FaultingDatabase, writer: Callable[..., JournalWriter], stored: Callable[[], list[int]]
) -> None:
    journal = writer()
    database.gate = anyio.Event()
    records = make_records(100)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        journal.append(records[0], ())
        await anyio.wait_all_tasks_blocked()
        for record in records[1:]:
            journal.append(record, ())
        assert (journal.waiting, journal.durable_seq, stored()) == (100, 0, [])

        database.gate.set()
        await until_durable(journal, 100)
        group.cancel_scope.cancel()

    assert (database.commits, journal.waiting) == (2, 0)
    assert stored() == list(range(1, 101))


@pytest.mark.parametrize("failures", [1, 2, 7])
async def test_a_commit_that_fails_is_tried_until_it_succeeds_and_nothing_is_dropped(
    database: FaultingDatabase, writer: Callable[..., JournalWriter], stored: Callable[[], list[int]], failures: int
) -> None:
    journal = writer(batch_max=3)
    database.faults = [None, *[io_error() for _ in range(failures)]]
    seen: list[tuple[int, str | None]] = []
    journal.on_durable = lambda seq: seen.append((seq, journal.failure))
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        for record in make_records(20):
            journal.append(record, ())
        await until_durable(journal, 20)
        group.cancel_scope.cancel()

    assert stored() == list(range(1, 21))
    assert seen[: failures + 2] == [(3, None), *[(3, "journal: disk I/O error")] * failures, (6, None)]
    assert [seq for seq, _ in seen] == sorted(seq for seq, _ in seen)
    assert (journal.failure, journal.trouble(), database.rollbacks) == (None, None, failures)


async def test_nothing_is_durable_before_its_commit_returns(
    database: FaultingDatabase, writer: Callable[..., JournalWriter]
) -> None:
    journal = writer()
    database.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        journal.append(make_records(1)[0], ())
        with anyio.move_on_after(0.02) as waited:
            await journal.durable(1)
        group.cancel_scope.cancel()
        database.gate.set()

    assert waited.cancelled_caught


async def test_a_full_disk_keeps_everything_for_later(
    database: FaultingDatabase, writer: Callable[..., JournalWriter], stored: Callable[[], list[int]]
) -> None:
    journal = writer(batch_max=5)
    database.full_after = 12
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        for record in make_records(30):
            journal.append(record, ())
        with anyio.fail_after(10):
            while journal.failure is None:
                await journal.progress()
        assert journal.trouble() == "journal: database or disk is full"
        assert (journal.durable_seq, journal.waiting, stored()) == (10, 20, list(range(1, 11)))

        database.full_after = None
        await until_durable(journal, 30)
        group.cancel_scope.cancel()

    assert stored() == list(range(1, 31))


async def test_what_failed_before_the_end_goes_first_at_the_end(
    database: FaultingDatabase, writer: Callable[..., JournalWriter], stored: Callable[[], list[int]]
) -> None:
    """A gap would make the journal unreadable: smaller later records may fit where the failed group did not."""
    journal = writer(batch_max=10)
    records = make_records(23)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        database.full_after = 10
        for record in records:
            journal.append(record, ())
        with anyio.fail_after(10):
            while journal.failure is None:
                await journal.progress()
        group.cancel_scope.cancel()
    database.full_after = 13

    assert not await journal.drain()
    assert stored() == list(range(1, 11))

    database.full_after = None
    assert await journal.drain()
    assert stored() == list(range(1, 24))


async def test_the_end_waits_for_the_commit_under_way(
    database: FaultingDatabase, writer: Callable[..., JournalWriter], stored: Callable[[], list[int]]
) -> None:
    journal = writer()
    database.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        journal.append(make_records(1)[0], ())
        await anyio.wait_all_tasks_blocked()

        async def drain() -> None:
            assert await journal.drain()

        group.start_soon(drain)
        await anyio.wait_all_tasks_blocked()
        database.gate.set()
        await until_durable(journal, 1)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert stored() == [1]
    assert database.rollbacks == 0


async def test_a_commit_that_takes_too_long_is_trouble_until_it_returns(
    database: FaultingDatabase, writer: Callable[..., JournalWriter]
) -> None:
    journal = writer(stall_s=0.01)
    database.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        journal.append(make_records(1)[0], ())
        with anyio.fail_after(10):
            while journal.trouble() is None:  # noqa: ASYNC110 - it is a look at the clock, and nobody announces time
                await anyio.sleep(0.002)
        assert journal.trouble() == "journal: a commit has taken longer than 0.01 s"
        assert journal.durable_seq == 0

        database.gate.set()
        await until_durable(journal, 1)
        group.cancel_scope.cancel()

    assert journal.trouble() is None


async def test_the_writer_is_full_at_its_bound_and_has_room_again(
    database: FaultingDatabase, writer: Callable[..., JournalWriter]
) -> None:
    journal = writer(queue_max=4)
    database.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        fullness = []
        for record in make_records(4):
            fullness.append(journal.full)
            journal.append(record, ())
        assert (fullness, journal.full) == ([False] * 4, True)

        database.gate.set()
        await until_durable(journal, 4)
        group.cancel_scope.cancel()

    assert not journal.full


async def test_a_rollback_that_fails_too_is_told(
    database: FaultingDatabase, writer: Callable[..., JournalWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = writer()
    database.faults = [io_error()]

    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise io_error()

    monkeypatch.setattr(database, "rollback", fail)
    journal.append(make_records(1)[0], ())

    assert not await journal.drain()
    assert journal.trouble() == "journal: disk I/O error; and the rollback: disk I/O error"


async def test_a_records_marks_are_committed_with_it(
    database: FaultingDatabase, writer: Callable[..., JournalWriter]
) -> None:
    journal = writer(batch_max=1)
    first, second = make_records(2)
    journal.append(first, [(10, 111), (11, 112)])
    journal.append(second, [(20, 222)])
    database.faults = [None, io_error()]

    assert not await journal.drain()

    async with database.inner.execute("SELECT ts_ns, equity_atoms FROM equity ORDER BY ts_ns") as cursor:
        assert [tuple(row) for row in await cursor.fetchall()] == [(10, 111), (11, 112)]


async def test_only_the_newest_snapshots_are_kept_and_none_before_its_record(
    tmp_path: Path, writer: Callable[..., JournalWriter]
) -> None:
    journal = writer(snapshots_kept=2)
    for record in make_records(5):
        journal.append(record, ())
        journal.append_snapshot(record.seq, record.chain, b"state %d" % record.seq)

    assert await journal.drain()

    reader = JournalReader(tmp_path / FILE_NAME)
    kept = reader.newest_snapshots(1)
    assert [(row.seq, row.state) for row in kept] == [(5, b"state 5"), (4, b"state 4")]
    assert [row.chain for row in kept] == [reader.chain_at(1, 5), reader.chain_at(1, 4)]
    reader.close()


@pytest.mark.parametrize(
    "change",
    [
        "state = CAST(state || x'00' AS BLOB)",
        "state = substr(state, 1, length(state) - 1)",
        "state = zeroblob(length(state))",
        "state = x''",
        "seq = seq + 1",
        "chain = zeroblob(16)",
    ],
)
async def test_a_snapshot_that_was_changed_is_refused(
    tmp_path: Path, database: FaultingDatabase, writer: Callable[..., JournalWriter], change: str
) -> None:
    journal = writer()
    (record,) = make_records(1)
    journal.append(record, ())
    journal.append_snapshot(record.seq, record.chain, b"state")
    assert await journal.drain()
    await database.inner.execute(f"UPDATE snapshots SET {change}")
    await database.inner.commit()

    reader = JournalReader(tmp_path / FILE_NAME)
    with pytest.raises(UserError, match="corrupt: the snapshot at input"):
        reader.newest_snapshots(1)
    reader.close()


async def test_a_journal_that_a_kill_left_half_made_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    half = sqlite3.connect(path)
    half.execute("PRAGMA journal_mode = WAL")
    half.close()
    assert path.stat().st_size > 0

    await (await open_journal(path, Journal())).close()

    reader = JournalReader(path)
    assert reader.sessions() == []
    reader.close()


async def test_a_strangers_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    stranger = sqlite3.connect(path)
    stranger.execute("CREATE TABLE theirs (x)")
    stranger.commit()
    stranger.close()
    before = path.read_bytes()

    with pytest.raises(UserError, match="is not a pitboss journal"):
        await open_journal(path, Journal())

    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [FILE_NAME]  # noqa: PTH208 - a look that cannot block


async def test_every_commit_is_synced(database: FaultingDatabase) -> None:
    async with database.inner.execute("PRAGMA synchronous") as cursor:
        assert await cursor.fetchone() == (2,)
    async with database.inner.execute("PRAGMA journal_mode") as cursor:
        assert await cursor.fetchone() == ("wal",)


def test_an_amended_order_is_told_of_under_both_its_ids() -> None:
    orders: list[tuple[Any, ...]] = []
    event = ("o1", "a", "X", 1)
    decisions = [
        m.Accepted(*event),
        m.Amended(*event, "o2", 7, 91, 0),
        m.Amended("o2", *event[1:], "o2", 8, 91, 0),
        m.Cancelled("o2", *event[1:], "as requested"),
    ]
    record = Record(5, 1, 9, b"", msgspec.msgpack.encode(decisions), DIGEST, CHAIN_GENESIS)

    _collect(3, record, orders, [])

    assert [(row[1], row[6], row[7]) for row in orders] == [
        ("o1", "working", ""),
        ("o1", "replaced", "by o2"),
        ("o2", "working", "amended"),
        ("o2", "working", "amended"),
        ("o2", "cancelled", "as requested"),
    ]


async def test_a_venue_may_number_the_trades_of_two_symbols_alike(
    database: FaultingDatabase, writer: Callable[..., JournalWriter]
) -> None:
    """So Binance does; and `pitboss panic` may close several books in one trade."""
    fills = [
        m.Fill("pb1", "a", "BTC/USDT", 1, 7, 1, 100, 5, 0, 1, "taker", 3),
        m.Fill("pb2", "b", "ETH/USDT", 1, 7, 1, 200, 6, 0, 2, "taker", 4),
        m.Adopted("a", "BTC/USDT", "pb-1", 8, -1, 100, 2, 1, 5),
        m.Adopted("b", "BTC/USDT", "pb-1", 8, -1, 100, 3, 1, 5),
    ]
    payload, effects = encode_input(m.Pause("c")), msgspec.msgpack.encode(fills)
    journal = writer()
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        journal.append(
            Record(1, 1, 5, payload, effects, DIGEST, link(CHAIN_GENESIS, 1, 5, payload, effects, DIGEST)), ()
        )
        await until_durable(journal, 1)
        group.cancel_scope.cancel()

    rows = await database.inner.execute_fetchall("SELECT symbol, trade_id, strategy FROM fills ORDER BY rowid")
    assert [tuple(row) for row in rows] == [
        ("BTC/USDT", 7, "a"),
        ("ETH/USDT", 7, "b"),
        ("BTC/USDT", 8, "a"),
        ("BTC/USDT", 8, "b"),
    ]
