"""What the exchange has acknowledged is there again: after a clean end, after `kill -9`, after a full disk."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from config.errors import UserError
from replay.exchange import venue as venues
from replay.exchange.engine import Engine
from replay.exchange.model import VenueError
from replay.exchange.store import FILE_NAME, Snapshot, open_store
from replay.exchange.venue import Venue, open_venue

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).resolve().parents[3]


def _load_child() -> Any:
    spec = importlib.util.spec_from_file_location("exchange_child", CHILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


child = _load_child()


@pytest.fixture
async def reopen() -> AsyncIterator[Callable[..., Awaitable[Venue[Engine]]]]:
    """Return what opens a venue of ours; whatever is still open in the end is closed."""
    opened: list[Venue[Engine]] = []

    async def make(state_dir: Path, **changes: Any) -> Venue[Engine]:
        venue = await open_venue(**({"state_dir": state_dir, "tape": None, **child.SETTINGS} | changes))
        opened.append(venue)
        return venue

    yield make
    for venue in opened:
        await venue.close()


def settled(state: bytes) -> bytes:
    """Return a state with its candles closed: the operations' time is made up, the venue's is the wall's."""
    engine = child.make_engine()
    engine.load(state)
    engine.close_candles(2**53)
    dumped: bytes = engine.dump()
    return dumped


async def trade(venue: Venue[Engine], numbers: range, seed: int = 1) -> None:
    for number in numbers:
        try:
            await venue.commit(child.work(seed, number))
        except VenueError as refusal:
            assert refusal.code == -2010  # noqa: PT017 - most orders are taken, and what is refused must be that


def same_in_memory(seed: int, count: int) -> bytes:
    """Return the state after so many operations."""
    engine = child.make_engine()
    for number in range(1, count + 1):
        try:
            child.work(seed, number)(engine, 0)
        except VenueError:
            continue
    return settled(engine.dump())


async def test_a_new_exchange_begins_where_the_old_one_ended(reopen: Any, tmp_path: Path) -> None:
    venue = await reopen(tmp_path)
    await trade(venue, range(1, 60))
    state = venue.engine.dump()
    await venue.close()
    venue = await reopen(tmp_path)
    assert settled(venue.engine.dump()) == settled(state) == same_in_memory(1, 59)
    await trade(venue, range(60, 80))
    await venue.close()
    venue = await reopen(tmp_path)
    assert settled(venue.engine.dump()) == same_in_memory(1, 79)
    await venue.close()


async def test_snapshots_replace_what_led_to_them(reopen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venues, "SNAPSHOT_EVERY", 10)
    monkeypatch.setattr(venues, "_SNAPSHOT_BYTES_PER_OPERATION", 10**9)
    venue = await reopen(tmp_path)
    await trade(venue, range(1, 96))
    await venue.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        [[snapshots]] = db.execute("SELECT count(*) FROM snapshots")
        [[operations]] = db.execute("SELECT count(*) FROM operations")
        [[newest]] = db.execute("SELECT max(seq) FROM snapshots")
    db.close()
    assert snapshots == 1
    assert operations < 10
    assert newest > 50
    venue = await reopen(tmp_path)
    assert settled(venue.engine.dump()) == same_in_memory(1, 95)
    await venue.close()


def run_and_kill(state_dir: Path, seed: int, done: int, acknowledgements: int) -> list[int]:
    """Have a process trade on from operation `done`, kill it, and return the operations it acknowledged."""
    command = [sys.executable, str(CHILD), str(state_dir), str(seed), str(done)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(acknowledgements)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.stdout]
    assert process.returncode == -signal.SIGKILL
    return said


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_nothing_acknowledged_is_lost_to_a_kill(reopen: Any, tmp_path: Path, seed: int) -> None:
    """Three times in a row on one directory: the state found is that of all that was acknowledged, or a little more."""
    done = 0
    for acknowledgements in (1, 57 + 20 * seed, 130):
        said = run_and_kill(tmp_path, seed, done, acknowledgements)
        copy = tmp_path.with_name(f"{tmp_path.name}-{done}")
        shutil.copytree(tmp_path, copy)
        venue = await reopen(copy)
        found = settled(venue.engine.dump())
        venue.engine.audit()
        await venue.close()
        fitting = [count for count in range(max(said), max(said) + 9) if same_in_memory(seed, count) == found]
        assert fitting, f"{max(said)} operations were acknowledged, and the state is that of no such moment"
        done = max(fitting)


async def test_a_disk_that_refuses_leaves_the_outcome_open_and_loses_nothing(
    reopen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = await reopen(tmp_path)
    told: list[Any] = []
    venue.listen(told.extend)
    await trade(venue, range(1, 5))
    store = venue._store
    assert store is not None
    before = len(told)
    await store._db.execute("PRAGMA query_only = ON")
    append, begun = store.append, asyncio.Event()

    async def tell(operations: Any, snapshot: Any) -> None:
        begun.set()
        await append(operations, snapshot)

    monkeypatch.setattr(store, "append", tell)
    first = asyncio.create_task(venue.commit(child.work(1, 5)))
    await begun.wait()
    second = asyncio.create_task(venue.commit(child.work(1, 6)))  # gathers while the first is being refused
    for task in (first, second):
        with pytest.raises(VenueError, match=r"-1007 .*execution status unknown"):
            await task
    with pytest.raises(VenueError, match="-1007"):
        await venue.commit(lambda engine, _: engine.balances())
    assert len(told) == before
    await store._db.execute("PRAGMA query_only = OFF")
    await venue.commit(lambda engine, _: engine.balances())
    assert len(told) > before
    await venue.close()
    venue = await reopen(tmp_path)
    assert settled(venue.engine.dump()) == same_in_memory(1, 6)
    await venue.close()


async def test_a_store_belongs_to_one_exchange_at_a_time(reopen: Any, tmp_path: Path) -> None:
    venue = await reopen(tmp_path)
    with pytest.raises(UserError, match="is in use"):
        await open_store(tmp_path / FILE_NAME)
    await venue.close()
    await (await reopen(tmp_path)).close()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        ("DELETE FROM operations WHERE seq = 10", "operations are missing"),
        ("UPDATE operations SET operation = x'00' WHERE seq = 10", "cannot be used"),
        ("UPDATE snapshots SET state = x'00'", "cannot be used"),
        ("UPDATE setup SET setup = '{}'", "cannot be used"),
        ("PRAGMA user_version = 99", "another pitboss"),
        ("PRAGMA application_id = 7", "not the store of an exchange"),
    ],
)
async def test_a_damaged_store_is_refused_in_one_line(reopen: Any, tmp_path: Path, spoil: str, complaint: str) -> None:
    venue = await reopen(tmp_path)
    await trade(venue, range(1, 40))
    await venue.close()
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute(spoil)
    db.commit()
    db.close()
    with pytest.raises(UserError, match=complaint):
        await reopen(tmp_path)


async def test_a_file_that_is_no_database_is_refused(reopen: Any, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database, and long enough to be looked at as one " * 40)
    with pytest.raises(UserError, match="cannot be used"):
        await reopen(tmp_path)


async def test_what_operations_mean_may_change_only_for_new_ones(reopen: Any, tmp_path: Path) -> None:
    """Fees and spread of a restart apply from then on; a market's units and the tape may not change."""
    venue = await reopen(tmp_path)
    await trade(venue, range(1, 50))
    await venue.close()
    changed: dict[str, Any] = {"spread_ticks": 4, "taker_fee": child.SETTINGS["taker_fee"] * 2, "fee_asset": "USDT"}
    venue = await reopen(tmp_path, **changed)
    assert [each.commission_asset for each in venue.engine.my_trades("BTCUSDT")].count("BTC") > 3
    await trade(venue, range(50, 90))
    state = venue.engine.dump()
    await venue.close()
    venue = await reopen(tmp_path, **changed)
    assert settled(venue.engine.dump()) == settled(state)
    await venue.close()
    coarse = type(child.MARKET)(
        symbol="BTC/USDT", id="BTCUSDT", base="BTC", quote="USDT", tick=child.MARKET.lot, lot=child.MARKET.lot
    )
    with pytest.raises(UserError, match=r"trades BTC/USDT with tick 0\.01"):
        await reopen(tmp_path, markets=[coarse])


async def test_a_store_starts_empty_and_numbers_on(reopen: Any, tmp_path: Path) -> None:
    store = await open_store(tmp_path / "new" / FILE_NAME)
    assert await store.read() == (None, [])
    operations: list[Any] = []
    engine = child.make_engine()
    engine.recorder = operations.append
    engine.print_trade("BTCUSDT", 100, 1, 1)
    await store.append(operations, None)
    await store.append(operations, Snapshot(b"here", {"BTCUSDT": 2}))
    await store.append(operations, None)
    assert store.seq == 3
    assert await store.read() == (Snapshot(b"here", {"BTCUSDT": 2}), operations)
    await store.close()
