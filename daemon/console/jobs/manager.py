"""Who runs backtests: a queue, so many processes at once, and what became of each.

A backtest is a process of its own, which ends with the console. What it came to is in the database before it says so;
whatever else ends it - itself, a limit, a command, the system, the console's own end - is told in one sentence.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from daemon.console import backtest_types as t
from daemon.console.jobs.asking import job_of
from daemon.console.jobs.store import FILE_NAME, Store, encode
from daemon.control.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from config.schema import Backtests
    from daemon.console.mirror import Mirror

    Found = TypeVar("Found")

SECTION = "backtests"
_ROOT = Path(__file__).resolve().parents[3]
_PROGRAM = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from daemon.console.jobs.worker import main; main()"
_LINE_BYTES_MAX = 1 << 16
_TAIL_BYTES = 4_096
_WORDS_MAX = 300
_THREADS = ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""A backtest has one thread, so that others have the remaining processors."""
_decode_news = msgspec.json.Decoder(t.JobNews).decode

log = structlog.get_logger()


class Jobs:
    """The backtests of one console.

    Args:
        state_dir: where their database lies.
        settings: their limits.
        data_dir: where the catalogue is; the usual place if empty.
        mirror: told every change.
    """

    def __init__(self, state_dir: Path, settings: Backtests, data_dir: str, mirror: Mirror) -> None:
        self.data_dir = data_dir
        self.store = Store(state_dir / FILE_NAME)
        self._settings = settings
        self._mirror = mirror
        self._rows: dict[int, t.BacktestRow] = {}
        self._queue: deque[int] = deque()
        self._running: dict[int, _Running] = {}
        self._asking = asyncio.Lock()
        self._trouble = "they are just being read"
        self._closing = False

    async def open(self) -> None:
        """Take up what was: what waited goes on waiting, what ran is lost."""
        try:
            self._rows = await asyncio.to_thread(self.store.open)
            for row in list(self._rows.values()):
                if row.state == "running":
                    reason = "the console ended while it ran"
                    lost = msgspec.structs.replace(row, state="lost", ended_ns=time.time_ns(), pid=None, error=reason)
                    self._rows[row.id] = await asyncio.to_thread(self.store.put, lost)
        except sqlite3.Error as error:
            self._trouble = f"{FILE_NAME}: {error}"
            log.warning("backtests_unreadable", error=str(error))
            return
        self._trouble = ""
        self._queue.extend(row.id for row in self._rows.values() if row.state == "queued")
        self._tell()
        self._start_next()

    async def close(self) -> None:
        """End what runs; the next console tells that it is lost."""
        self._closing = True
        for running in self._running.values():
            running.kill()
        await asyncio.gather(*(running.task for running in self._running.values()), return_exceptions=True)

    # --- what may be asked --------------------------------------------------------------------------

    def rows(self) -> list[t.BacktestRow]:
        """Return all, the newest first.

        Raises:
            RefusedError: the database cannot be read.
        """
        self._check()
        return sorted(self._rows.values(), key=lambda row: -row.id)

    def row(self, number: int) -> t.BacktestRow:
        """Return one.

        Raises:
            RefusedError: there is none of that number.
        """
        self._check()
        if number not in self._rows:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"there is no backtest {number}; it may have been removed")
        return self._rows[number]

    async def read(self, look: Callable[[], Found]) -> Found:
        """Return what `look` finds in the database, in a thread.

        Raises:
            RefusedError: it cannot be read.
        """
        self._check()
        try:
            return await asyncio.to_thread(look)
        except sqlite3.Error as error:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, f"{FILE_NAME}: {error}") from error

    async def ask(self, request: t.BacktestRequest, key: str, by: str) -> t.BacktestTaken:
        """Take a backtest in, to be run when it is its turn.

        Raises:
            RefusedError: it is asked wrongly, too many wait, or the key is another's.
        """
        if not self._settings.running_max:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "no backtests are run here: backtests.running_max is 0")
        asked = encode(request)
        async with self._asking:
            if key:
                known = await self.read(lambda: self.store.known(key))
                if known is not None:
                    if known[1] != asked:
                        reason = f"Idempotency-Key: already used for backtest {known[0]}, which is another"
                        raise RefusedError(HTTPStatus.CONFLICT, reason)
                    return t.BacktestTaken(id=known[0], repeated=True)
            if len(self._queue) >= self._settings.queued_max:
                reason = f"{len(self._queue)} backtests wait already (backtests.queued_max)"
                raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, reason)
            job = await self.read(lambda: job_of(request, self.store.path, self._settings, self.data_dir))
            row = t.BacktestRow(
                id=0,
                state="queued",
                strategy=request.strategy,
                params=dict(request.params),
                tape=job.tape,
                by=by,
                created_ns=time.time_ns(),
            )
            row = await self.read(lambda: self.store.add(key or None, asked, encode(job), row))
            self._queue.append(row.id)
            self._show(row)
        self._start_next()
        return t.BacktestTaken(id=row.id, repeated=False)

    async def cancel(self, number: int) -> t.BacktestRow:
        """End one that waits or runs; return how it stands then.

        Raises:
            RefusedError: there is none of that number, or it has ended.
        """
        row = self.row(number)
        running = self._running.get(number)
        if running is not None:
            running.cancelled = True
            running.kill()
            await asyncio.wait({running.task})
        elif row.state == "queued":
            self._queue.remove(number)
            await self._keep(msgspec.structs.replace(row, state="cancelled", ended_ns=time.time_ns()))
        else:
            raise RefusedError(HTTPStatus.CONFLICT, f"backtest {number} has ended: it is {row.state}")
        return self.row(number)

    async def remove(self, number: int) -> t.BacktestRow:
        """Forget one that has ended, with its results; return what it was.

        Raises:
            RefusedError: there is none of that number, or it has not ended.
        """
        row = self.row(number)
        if row.state not in t.ENDED:
            raise RefusedError(HTTPStatus.CONFLICT, f"backtest {number} is {row.state}; cancel it first")
        await self.read(lambda: self.store.remove(number))
        self._rows.pop(number, None)
        self._tell()
        return row

    # --- how they are run ---------------------------------------------------------------------------

    def _check(self) -> None:
        if self._trouble:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, f"backtests cannot be read: {self._trouble}")

    def _start_next(self) -> None:
        while self._queue and len(self._running) < self._settings.running_max and not self._closing:
            number = self._queue.popleft()
            running = self._running[number] = _Running()
            running.task = asyncio.create_task(self._run(number, running))

    async def _run(self, number: int, running: _Running) -> None:
        """Run one to its end, whatever that is."""
        try:
            job, asked = await asyncio.to_thread(self._wanted, number)
            timeout_s = min(self._settings.timeout_s, asked.timeout_s or self._settings.timeout_s)
            state, error = await self._supervise(number, job, running, timeout_s)
            if not self._closing:
                row = msgspec.structs.replace(
                    self._rows[number], state=state, ended_ns=time.time_ns(), pid=None, error=error
                )
                await self._keep(row)
                await self._trim()
        except (OSError, sqlite3.Error) as error:
            log.warning("backtest_failed", id=number, error=str(error))
            failed = {"state": "failed", "ended_ns": time.time_ns(), "pid": None, "error": f"it cannot be run: {error}"}
            self._show(msgspec.structs.replace(self._rows[number], **failed))
        finally:
            del self._running[number]
            self._start_next()

    def _wanted(self, number: int) -> tuple[t.JobSpec, t.BacktestRequest]:
        details = self.store.details(number)
        assert details is not None, number
        job = msgspec.structs.replace(msgspec.json.decode(self.store.job(number), type=t.JobSpec), id=number)
        return job, msgspec.json.decode(details[0], type=t.BacktestRequest)

    async def _supervise(self, number: int, job: t.JobSpec, running: _Running, timeout_s: float) -> tuple[t.State, str]:
        """Start its process and watch it; return how it ended, and why."""
        kills = _kills_by_the_system()
        process = running.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-c",
            _PROGRAM,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",  # the name of a series is then no file's, wherever the daemon was started
            env=os.environ | dict.fromkeys(_THREADS, "1"),
            limit=_LINE_BYTES_MAX,
            start_new_session=True,
        )
        log.info("backtest_started", id=number, pid=process.pid, strategy=self._rows[number].strategy)
        if running.cancelled or self._closing:
            running.kill()
        started = {"state": "running", "started_ns": time.time_ns(), "pid": process.pid}
        await self._keep(msgspec.structs.replace(self._rows[number], **started))
        news = _News()
        timed_out = False
        tail = asyncio.create_task(_tail(process.stderr))
        try:
            async with asyncio.timeout(timeout_s):
                await _send(process.stdin, encode(job))
                await self._listen(number, process.stdout, news)
        except TimeoutError:
            timed_out = True
            running.kill()
        code = await process.wait()
        words = await tail
        log.info("backtest_ended", id=number, pid=process.pid, exit_code=code)
        if running.cancelled:
            return "cancelled", ""
        if timed_out:
            return "failed", f"it took longer than {timeout_s:g} s (backtests.timeout_s)"
        return "failed", news.error or _reason(code, words, by_system=_kills_by_the_system() > kills)

    async def _listen(self, number: int, stream: asyncio.StreamReader | None, news: _News) -> None:
        assert stream is not None
        while line := await stream.readline():
            try:
                one = _decode_news(line)
            except msgspec.DecodeError:
                continue  # something a library has printed
            news.error = one.error or news.error
            row = self._rows[number]
            done, total = one.done or row.bars_done, one.total or row.bars_total
            self._show(msgspec.structs.replace(row, bars_done=done, bars_total=total))

    async def _keep(self, row: t.BacktestRow) -> None:
        """Store how one stands, unless its process has already stored that it is done, and show it."""
        self._show(await asyncio.to_thread(self.store.put, row))

    async def _trim(self) -> None:
        ended = [number for number, row in sorted(self._rows.items()) if row.state in t.ENDED]
        for number in await asyncio.to_thread(self.store.trim, ended, self._settings):
            self._rows.pop(number, None)
        self._tell()

    def _show(self, row: t.BacktestRow) -> None:
        self._rows[row.id] = row
        self._tell()

    def _tell(self) -> None:
        rows = {str(number): msgspec.Raw(encode(row)) for number, row in self._rows.items()}
        self._mirror.put(SECTION, rows)


class _Running:
    """A backtest whose turn it is."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None]
        self.process: asyncio.subprocess.Process | None = None
        self.cancelled = False

    def kill(self) -> None:
        """End its process, and whatever that has started."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class _News:
    """What a process has said of its end."""

    def __init__(self) -> None:
        self.error = ""


async def _send(stream: asyncio.StreamWriter | None, job: bytes) -> None:
    assert stream is not None
    with suppress(ConnectionError):
        stream.write(job)
        stream.write_eof()
        await stream.drain()


async def _tail(stream: asyncio.StreamReader | None) -> str:
    """Return the last line of what a process has complained of."""
    assert stream is not None
    kept = b""
    while more := await stream.read(_TAIL_BYTES):
        kept = (kept + more)[-_TAIL_BYTES:]
    lines = kept.decode(errors="replace").strip().splitlines()
    return "".join(character for character in lines[-1] if character.isprintable())[:_WORDS_MAX] if lines else ""


def _reason(code: int, words: str, *, by_system: bool) -> str:
    """Say why a process ended that has not said so itself."""
    said = f": {words}" if words else ""
    if code == -signal.SIGKILL and by_system:
        return "its process was killed by the system, because memory ran out"
    if code == -signal.SIGKILL:
        return "its process was killed (SIGKILL), by somebody, or by the system because memory ran out"
    if code == -signal.SIGABRT:
        return f"its process broke off (SIGABRT), as it does when memory runs out (backtests.memory_mb_max){said}"
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}{said}"
    return f"its process ended with exit code {code} and no results{said}"


def _kills_by_the_system() -> int:
    """Return how many processes the system has killed since it was started, as memory ran out."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
