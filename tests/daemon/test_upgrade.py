"""A state directory an earlier release left behind, under the daemon of today.

The journals are those `tests/golden` keeps. Its schema becomes that of now wholly or not at all, wherever the upgrade
is cut off, and a session that was killed under the earlier release is gone on with as that release would have.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from actors.runtime.journal import FILE_NAME, SCHEMA_VERSION, JournalReader
from config.errors import UserError
from config.schema import Journal
from daemon.edges.journal import open_journal
from replay.journal import decode_plan
from tests.golden.make_journal import CONFIG

if TYPE_CHECKING:
    from tests.daemon.conftest import Nursery

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
OLD = REPOSITORY / "tests" / "golden" / "journal-v1.sqlite"
TABLES = ("sessions", "runs", "inputs", "snapshots", "orders", "fills", "commands", "equity")
CUT_SHORT = 40
LAST_OF_KILLED = 140
"""An input of the first run, after the last command before the end of the tape."""
TAPE_ENDED = 323

KILLED = """
import asyncio, os, signal, sqlite3, sys
from pathlib import Path
from config.schema import Journal
from daemon.edges.journal import open_journal
path, connect = Path(sys.argv[1]), sqlite3.connect
def upgrade(folder, moment):
    passed = 0
    def pass_by(*_):
        nonlocal passed
        passed += 1
        if passed == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0
    def observed(*arguments, **terms):
        db = connect(*arguments, **terms)
        db.set_progress_handler(pass_by, 1)
        db.set_trace_callback(pass_by)
        return db
    sqlite3.connect = observed
    async def open_and_close():
        await (await open_journal(folder / path.name, Journal())).close()
    asyncio.run(open_and_close())
    return passed
moments = upgrade(path.parent / "whole", -1)
for turn in range(int(sys.argv[2])):
    moment = 1 + turn * (moments - 1) // (int(sys.argv[2]) - 1)
    child = os.fork()
    if not child:
        upgrade(path.parent / str(turn), moment)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
"""Upgrades one copy whole, counting the steps SQLite takes, and every further copy only up to one of them."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a copy of the old journal, in the mode a daemon keeps it in."""
    path = Path(shutil.copy(OLD, tmp_path / FILE_NAME))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    return path


def content(path: Path) -> dict[str, Any]:
    """Return every row of every table, and the version, as a reader beside the daemon finds them."""
    reader = JournalReader(path)
    try:
        names = sorted(name for (name,) in reader._query("SELECT name FROM sqlite_master WHERE type = 'table'"))
        rows = {name: list(reader._query(f"SELECT * FROM {name} ORDER BY 1, 2")) for name in names}
        ((version,),) = reader._query("PRAGMA user_version")
        return rows | {"version": version}
    finally:
        reader.close()


def half_way(before: dict[str, Any]) -> dict[str, Any]:
    """Return a journal of schema 1 as one of schema 2."""
    return {**before, "version": 2}


def now(before: dict[str, Any]) -> dict[str, Any]:
    """Return a journal of an older schema as one of now: of its commands nobody had said who sent them."""
    return {**before, "commands": [], "version": SCHEMA_VERSION}


async def upgraded(path: Path) -> dict[str, Any]:
    await (await open_journal(path, Journal())).close()
    return content(path)


async def test_an_upgrade_that_is_killed_anywhere_has_happened_or_not(old: Path) -> None:
    before = content(old)
    folders = [old.parent / name for name in ("whole", *map(str, range(CUT_SHORT)))]
    for folder in folders:
        folder.mkdir()
        shutil.copy(old, folder)
    command = [sys.executable, "-c", KILLED, str(old), str(CUT_SHORT)]
    done = await anyio.run_process(command, cwd=REPOSITORY)
    assert done.stdout.decode().split() == [str(-signal.SIGKILL)] * CUT_SHORT, done

    found = [content(folder / FILE_NAME) for folder in folders]

    after = found[0]
    assert after == now(before)
    assert sorted(after) == sorted([*TABLES, "version"])
    assert [each for each in found if each not in (before, half_way(before), after)] == []
    assert found.count(before) > CUT_SHORT / 2, "most were killed before the end"
    assert [folder for folder in folders if await upgraded(folder / FILE_NAME) != after] == []


async def test_an_upgrade_that_fails_anywhere_is_tried_again_by_the_next_start(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, failures, connect = content(old), 0, sqlite3.connect

    def failing_at(moment: int) -> Callable[..., sqlite3.Connection]:
        passed = 0

        def fail() -> int:
            nonlocal passed
            passed += 1
            return passed == moment

        def observed(*arguments: Any, **terms: Any) -> sqlite3.Connection:
            db = connect(*arguments, **terms)
            db.set_progress_handler(fail, 40)
            return db

        return observed

    for moment in range(1, 1_000):
        monkeypatch.setattr(sqlite3, "connect", failing_at(moment))
        trouble = ""
        try:
            await (await open_journal(old, Journal())).close()
        except UserError as error:
            trouble = str(error)
        finally:
            monkeypatch.undo()
        if not trouble:
            break
        assert trouble.endswith(": interrupted")
        failures += 1
        assert content(old) in (before, half_way(before)), f"moment {moment}"

    assert failures > 10
    assert content(old) == now(before)


async def test_an_upgrade_there_is_no_room_for_is_refused_by_name_and_leaves_the_journal_as_it_was(old: Path) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 7000)"
    rest = "seq, executed_ns, order_id, strategy, symbol, side, price_ticks, quantity_lots, fee_atoms"
    with closing(sqlite3.connect(old)) as db, db:
        db.execute(f"{many} INSERT INTO fills SELECT session, i, {rest} FROM n, (SELECT * FROM fills LIMIT 1)")
    before = content(old)

    with pytest.raises(UserError, match=r"cannot be brought up from schema 1, and stays as it was: .* is full"):
        await open_journal(old, Journal(size_mb_max=1))

    assert content(old) == before
    assert await upgraded(old) == now(before)


def leave_as_killed(path: Path, strategy: Path) -> bytes:
    """Make of the old journal what a kill would have left of its session; return the digest at the end of the tape."""
    with closing(sqlite3.connect(path)) as db, db:
        ((digest,),) = db.execute("SELECT digest FROM inputs WHERE seq = ?", (TAPE_ENDED,))
        ((last_ns,),) = db.execute("SELECT ts_ns FROM inputs WHERE seq = ?", (LAST_OF_KILLED,))
        ((plan,),) = db.execute("SELECT plan FROM sessions")
        source = decode_plan(plan).strategies[0].source
        assert source.code is not None
        strategy.write_text(source.code)
        moved = plan.replace(source.use.encode(), f"{strategy}:Everything".encode())
        db.execute("UPDATE sessions SET status = 'open', closing_account = NULL, plan = ?", (moved,))
        db.execute("DELETE FROM runs WHERE run = 2")
        db.execute("UPDATE runs SET outcome = 'running', ended_wall_ns = NULL")
        for table in ("inputs", "fills", "orders"):
            db.execute(f"DELETE FROM {table} WHERE seq > ?", (LAST_OF_KILLED,))
        db.execute("DELETE FROM equity WHERE ts_ns > ?", (last_ns,))
    digest_bytes: bytes = digest
    return digest_bytes


def test_a_session_killed_under_an_earlier_release_goes_on_as_that_release_would_have(
    start: Nursery, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(OLD, state / FILE_NAME)
    digest = leave_as_killed(state / FILE_NAME, tmp_path / "everything.py")
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(strategy=tmp_path / "everything.py"))
    fills_before = len(content(state / FILE_NAME)["fills"])

    terms = ("--config", str(config), "--exit-at-end")
    daemon = start(*terms, state_dir=state, tape=("--synthetic", "7:300"), strategy=None, speed=0, ready=False)
    assert daemon.wait() == 0, daemon.log_text()

    found = content(state / FILE_NAME)
    assert found["version"] == SCHEMA_VERSION
    assert [(row[1], row[4]) for row in found["runs"]] == [(1, "crashed_recovered"), (2, "ended")]
    assert found["inputs"][TAPE_ENDED - 1][6] == digest
    replayed = daemon.replayed()
    assert (replayed.equal, replayed.bars, replayed.runs) == (True, 300, 2)
    assert len(found["fills"]) == replayed.fills > fills_before
