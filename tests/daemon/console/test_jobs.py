"""Whatever a backtest's process, or the database, does: no job stays running, and no process is left behind."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from config.schema import Backtests
from daemon.console.backtest_types import BacktestRequest, BacktestRow, JobSpec
from daemon.console.jobs import child, manager, store
from daemon.console.jobs.manager import Jobs
from daemon.console.jobs.store import FILE_NAME, Store, encode
from daemon.console.mirror import Mirror
from daemon.control.refusal import RefusedError
from tests.daemon.console.conftest import is_alive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

PATIENCE_S = 20.0
ROW = BacktestRow(id=0, state="queued", strategy="s", params={}, tape=("x",), by="me", created_ns=1)
JOB = JobSpec(
    id=0, store="", settings={}, tape=("x",), series=(), timeframe=None, span=None, data_dir="", memory_bytes=1
)
PROGRAM = "import json, sys; exec(json.load(sys.stdin)['data_dir'])"
"""In place of a worker: it does whatever the job says."""
WAITS = "import time; time.sleep(60)"


async def until(look: Callable[[], Any], what: str) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := look()):  # noqa: ASYNC110 - what is waited for is a process, or a thread
            await asyncio.sleep(0.005)
    return found


def queue(folder: Path, *programs: str, timeout_s: float | None = None) -> list[int]:
    """Have backtests, each of which is such a program, wait in a database for the next console."""
    asked = msgspec.json.encode(BacktestRequest(strategy="s", tape=("x",), timeout_s=timeout_s))
    known = Store(folder / FILE_NAME).open()
    numbers = list(range(len(known) + 1, len(known) + len(programs) + 1))
    jobs = [msgspec.json.encode(msgspec.structs.replace(JOB, data_dir=program)) for program in programs]
    rows = [encode(msgspec.structs.replace(ROW, id=number)) for number in numbers]
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        sql = "INSERT INTO backtests (id, asked, job, row) VALUES (?, ?, ?, ?)"
        db.executemany(sql, [(*each[:1], asked, *each[1:]) for each in zip(numbers, jobs, rows, strict=True)])
    return numbers


@asynccontextmanager
async def opened(folder: Path, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> AsyncIterator[Jobs]:
    """Return a console's backtests."""
    monkeypatch.setattr(child, "PROGRAM", PROGRAM)
    jobs = Jobs(folder, Backtests(**limits), "", Mirror(10))
    await jobs.open()
    yield jobs
    await jobs.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have somebody else write to the database for long."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


def stored(folder: Path, number: int) -> str:
    return Store(folder / FILE_NAME).open()[number].state


@pytest.mark.slow
async def test_whatever_its_process_does_it_ends_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for_ever = {
        "while True: pass": "it took longer than 1 s",
        "import os, time; os.close(1); os.close(2); time.sleep(60)": "it took longer than 1 s",
        "import subprocess; subprocess.Popen(['sleep', '60'])": "",
    }
    ends = {
        "import os; os._exit(0)": "exit code 0 and no results",
        "import os; os._exit(7)": "exit code 7 and no results",
        "import os; os.kill(os.getpid(), 40)": "ended by ",
        "print('x' * 5_000_000)": "exit code 0 and no results",
        "sys.stderr.write('x\\n' * 1_000_000 + 'at last'); sys.exit(3)": "exit code 3 and no results: at last",
        "sys.stdout.buffer.write(b'\\xff\\n{\"error\": \"\\xff\"}\\n5\\n' + b'[' * 60_000 + b'\\n')": "and no results",
        "raise ImportError('no such thing')": "ImportError: no such thing",
        "this is no program": "SyntaxError",
        "print(json.dumps({'error': 'it says so itself'}))": "it says so itself",
    }
    words = dict(zip(queue(tmp_path, *for_ever, timeout_s=1.0), for_ever.values(), strict=True))
    words |= dict(zip(queue(tmp_path, *ends), ends.values(), strict=True))
    pids: dict[int, int] = {}

    async with opened(tmp_path, monkeypatch, running_max=4) as jobs:

        def ended() -> bool:
            pids.update({row.id: row.pid for row in jobs.rows() if row.pid is not None})
            return all(row.state == "failed" for row in jobs.rows())

        await until(ended, "all have ended")
        for number, said in words.items():
            assert said in jobs.row(number).error, (said, jobs.row(number))
            assert jobs.row(number).pid is None
            assert stored(tmp_path, number) == "failed"
    assert pids
    await until(lambda: not any(_group(pid) for pid in pids.values()), "nothing is left of them")


def _group(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
async def test_while_the_database_is_anothers_nothing_is_lost_and_nothing_runs_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_BUSY_S", 0.01)
    monkeypatch.setattr(manager, "_PAUSE_S", 0.02)
    first, second, third = queue(tmp_path, WAITS, WAITS, WAITS)
    with locked(tmp_path):
        opening = Jobs(tmp_path, Backtests(running_max=0), "", Mirror(10))
        monkeypatch.setattr(manager, "_OPEN_S", 0.05)
        await opening.open()
        await until(lambda: "database is locked" in _trouble(opening), "it says so")
    await until(lambda: not opening._trouble, "it is read once that is possible")
    await opening.close()

    async with opened(tmp_path, monkeypatch) as jobs:
        row = await until(lambda: jobs.row(first).pid and jobs.row(first), "the first runs")
        with locked(tmp_path):
            with pytest.raises(RefusedError, match="locked"):
                await jobs.cancel(second)
            assert (await jobs.cancel(first)).state == "cancelled"
            await until(lambda: not is_alive(row.pid), "its process is gone")
            assert [jobs.row(number).state for number in (first, second, third)] == ["cancelled", "queued", "queued"]
            await asyncio.sleep(0.1)
        row = await until(lambda: jobs.row(second).pid and jobs.row(second), "the next one has its turn")
        assert stored(tmp_path, first) == "cancelled"
        with locked(tmp_path):
            os.kill(row.pid, 9)
            failed = await until(lambda: jobs.row(second).state == "failed" and jobs.row(second), "it is told")
            assert "SIGKILL" in failed.error
            assert jobs.row(third).state == "queued"
        await until(lambda: jobs.row(third).pid, "the last one has its turn")
        assert stored(tmp_path, second) == "failed"
        answers = await asyncio.gather(*(jobs.cancel(third) for _ in range(3)), return_exceptions=True)
        assert {getattr(each, "state", None) for each in answers} <= {"cancelled", None}
    assert stored(tmp_path, third) == "cancelled"


def spoil(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        db.execute(sql)


async def test_what_is_damaged_is_said_and_a_file_that_is_mended_is_read_without_a_new_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "_PAUSE_S", 0.02)
    (number,) = queue(tmp_path, WAITS)
    spoil(tmp_path, "UPDATE backtests SET row = substr(row, 1, 20)")
    async with opened(tmp_path, monkeypatch, running_max=0) as jobs:
        await until(lambda: "being read" not in _trouble(jobs), "it is looked at")
        assert "backtests.sqlite: what is kept is damaged" in _trouble(jobs)
        spoil(tmp_path, "DELETE FROM backtests")
        (number,) = queue(tmp_path, WAITS)
        await until(lambda: not _trouble(jobs), "it is read")
        assert jobs.row(number).state == "queued"

        spoil(tmp_path, "UPDATE backtests SET asked = x'00'")
        with pytest.raises(RefusedError, match="what is kept is damaged") as refused:
            await jobs.read(lambda: jobs.store.details(number))
        assert refused.value.status == 503


def _trouble(jobs: Jobs) -> str:
    try:
        jobs.rows()
    except RefusedError as error:
        return str(error)
    return ""


@pytest.mark.slow
async def test_one_whose_job_cannot_be_read_fails_and_many_that_wait_hold_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, damaged = queue(tmp_path, WAITS, WAITS)
    spoil(tmp_path, "UPDATE backtests SET job = '{}' WHERE id = 1")  # as an older version may have left it
    spoil(tmp_path, "UPDATE backtests SET asked = x'00' WHERE id = 2")
    many = queue(tmp_path, *[WAITS] * 1_000)
    async with opened(tmp_path, monkeypatch, queued_max=1_000, kept_max=5) as jobs:
        await until(lambda: jobs.row(damaged).error, "they have ended")
        assert "it cannot be run: what is kept is damaged" in jobs.row(damaged).error
        assert "it cannot be run: Object missing required field" in jobs.row(number).error
        await until(lambda: jobs.row(many[0]).pid, "the next one runs")
        started_s = asyncio.get_running_loop().time()
        for each in many[1:]:
            if each % 100 == 0:
                assert (await jobs.cancel(each)).state == "cancelled"
        assert asyncio.get_running_loop().time() - started_s < 15, "with a thousand that wait"
        assert sum(row.state == "cancelled" for row in jobs.rows()) == 5, "they do not pile up"
        with monkeypatch.context() as broken:
            broken.setattr(jobs.store, "trim", _full)
            assert (await jobs.cancel(many[0])).state == "cancelled"
        await until(lambda: jobs.row(many[1]).pid, "the next one runs")


def _full(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.slow
async def test_two_consoles_of_one_directory_agree_on_what_became_of_a_backtest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (number,) = queue(tmp_path, WAITS)
    async with opened(tmp_path, monkeypatch) as first:
        await until(lambda: first.row(number).pid, "it runs")
        async with opened(tmp_path, monkeypatch) as second:
            assert second.row(number).state == "lost"
            assert (await first.cancel(number)).state == "lost"
        assert stored(tmp_path, number) == "lost"


@pytest.mark.slow
async def test_results_are_whole_or_absent_when_their_process_is_killed_while_or_after_it_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = f"""
import os, sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from daemon.console.backtest_types import BacktestResult, Kept
from daemon.console.jobs import store
number = @
if number == 1:
    store.encode = lambda _: os.kill(os.getpid(), 9)  # the pieces are in, the row is not
none = Kept(rows=0, kept=0)
lists = {{"fills": none, "orders": none, "trades": none}}
result = BacktestResult(summary={{}}, charts=(), features=(), features_timeframe="", **lists)
pieces = [store.Piece("fills", place, bytes(100_000)) for place in range(50)]
store.Store(Path({str(tmp_path)!r}) / store.FILE_NAME).finish(number, {{"fills": 50}}, result, pieces)
if number == 2:
    os.kill(os.getpid(), 9)
time.sleep(60)
"""
    absent, whole, slow = queue(tmp_path, *(finish.replace("@", str(number)) for number in (1, 2, 3)))
    async with opened(tmp_path, monkeypatch, running_max=3) as jobs:
        await until(lambda: {jobs.row(one).state for one in (absent, whole)} == {"failed", "done"}, "both have ended")
        await until(lambda: stored(tmp_path, slow) == "done", "the third has all but ended")
        late = await jobs.cancel(slow)

        assert (jobs.row(absent).state, "SIGKILL" in jobs.row(absent).error) == ("failed", True)
        assert (jobs.row(whole).state, jobs.row(whole).fills, jobs.row(whole).error) == ("done", 50, "")
        assert late == jobs.row(slow)
        assert (late.state, late.pid, late.error) == ("done", None, ""), "too late to cancel it"
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        assert db.execute("SELECT backtest, count(*) FROM pieces GROUP BY 1").fetchall() == [(whole, 50), (slow, 50)]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
