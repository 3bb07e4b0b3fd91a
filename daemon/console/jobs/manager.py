"""Who runs backtests: a queue, so many processes at once, and what became of each.

A backtest is a process of its own, which ends with the console. What it came to is in the database before it says so;
whatever else ends it - itself, a limit, a command, the system, the console's own end - is told in one sentence.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
import structlog

from daemon.console import backtest_types as t
from daemon.console.jobs.asking import job_of
from daemon.console.jobs.child import Child
from daemon.console.jobs.store import FILE_NAME, Store, encode
from daemon.control.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    from config.schema import Backtests
    from daemon.console.mirror import Mirror

    Found = TypeVar("Found")

SECTION = "backtests"
_OPEN_S = 1.0
"""So long the console waits for the database before it answers without."""
_PAUSE_S = 0.2
_PAUSE_MAX_S = 10.0

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
        self._cancelling = asyncio.Lock()
        self._trouble = "they are just being read"
        self._opening: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def open(self) -> None:
        """Take up what was: what waited goes on waiting, what ran is lost. Where that takes long, go on meanwhile."""
        self._opening = asyncio.create_task(self._open())
        await asyncio.wait({self._opening}, timeout=_OPEN_S)

    async def _open(self) -> None:
        rows = await self._insist(self._take_up, self._closing)
        if rows is None:
            return
        self._rows = rows
        self._trouble = ""
        self._queue.extend(row.id for row in rows.values() if row.state == "queued")
        self._tell()
        self._start_next()

    def _take_up(self) -> dict[int, t.BacktestRow]:
        rows = self.store.open()
        for row in list(rows.values()):
            if row.state == "running":
                reason = "the console ended while it ran"
                lost = msgspec.structs.replace(row, state="lost", ended_ns=time.time_ns(), pid=None, error=reason)
                rows[row.id] = self.store.put(lost)
        return rows

    async def _insist(self, write: Callable[[], Found], nobody_waits: asyncio.Event) -> Found | None:
        """Return what `write` returns once the database lets it; None if nobody waits for it any more.

        Raises:
            sqlite3.DatabaseError: what it needs is damaged; not while there is nothing yet, for the file may be mended.
        """
        pause_s = _PAUSE_S
        while not nobody_waits.is_set():
            try:
                return await asyncio.to_thread(write)
            except sqlite3.Error as error:
                if not self._trouble and not isinstance(error, sqlite3.OperationalError):
                    raise
                if pause_s == _PAUSE_S:
                    log.warning("backtests_delayed", error=str(error))
                if self._trouble:
                    self._trouble = f"{FILE_NAME}: {error}"
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await nobody_waits.wait()
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)
        return None

    async def close(self) -> None:
        """End what runs; the next console tells that it is lost."""
        self._closing.set()
        for running in self._running.values():
            running.end()
        tasks = [running.task for running in self._running.values()]
        await asyncio.gather(*tasks, *([self._opening] if self._opening else []), return_exceptions=True)

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
            RefusedError: there is none of that number, it has ended, or that cannot be kept.
        """
        async with self._cancelling:
            row = self.row(number)
            if row.state in t.ENDED:
                raise RefusedError(HTTPStatus.CONFLICT, f"backtest {number} has ended: it is {row.state}")
            running = self._running.get(number)
            if running is None:
                return await self._cancel_waiting(row)
        running.cancelled = True
        running.end()
        await running.over.wait()
        return running.row or self.row(number)

    async def _cancel_waiting(self, row: t.BacktestRow) -> t.BacktestRow:
        place = self._queue.index(row.id)
        del self._queue[place]  # or its turn may come meanwhile
        row = msgspec.structs.replace(row, state="cancelled", ended_ns=time.time_ns())
        try:
            row = await self.read(lambda: self.store.put(row))
        except RefusedError:
            self._queue.insert(place, row.id)
            self._start_next()
            raise
        self._show(row)
        await self._trim()
        return row

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
        while self._queue and len(self._running) < self._settings.running_max and not self._closing.is_set():
            number = self._queue.popleft()
            running = self._running[number] = _Running()
            running.task = asyncio.create_task(self._run(number, running))

    async def _run(self, number: int, running: _Running) -> None:
        """Run one to its end, whatever that is."""
        error = ""
        try:
            error = await self._compute(number, running)
        except Exception as failure:  # noqa: BLE001 - whatever it is, nothing stays running for ever
            log.warning("backtest_failed", id=number, error=str(failure))
            error = f"it cannot be run: {failure}"
        try:
            await self._keep_end(number, running, error)
            await self._trim()
        finally:
            running.over.set()
            del self._running[number]
            self._start_next()

    async def _compute(self, number: int, running: _Running) -> str:
        """Start its process and wait for its end; return why it has come to nothing, if it has."""
        found = await self._insist(lambda: self._wanted(number), running.left)
        row = msgspec.structs.replace(self._rows[number], state="running", started_ns=time.time_ns())
        if found is None or await self._insist(lambda: self.store.put(row), running.left) is None:
            return ""
        job, timeout_s = found

        def on_start(pid: int) -> None:
            log.info("backtest_started", id=number, pid=pid, strategy=row.strategy)
            self._show(msgspec.structs.replace(row, pid=pid))

        def on_news(news: t.JobNews) -> None:
            row = self._rows[number]
            done, total = news.done or row.bars_done, news.total or row.bars_total
            if (done, total) != (row.bars_done, row.bars_total):
                self._show(msgspec.structs.replace(row, bars_done=done, bars_total=total))

        running.child = Child(on_start, on_news)
        return await running.child.run(encode(job), timeout_s)

    def _wanted(self, number: int) -> tuple[t.JobSpec, float]:
        details = self.store.details(number)
        assert details is not None, number
        job = msgspec.structs.replace(msgspec.json.decode(self.store.job(number), type=t.JobSpec), id=number)
        return job, min(self._settings.timeout_s, details[0].timeout_s or self._settings.timeout_s)

    async def _keep_end(self, number: int, running: _Running, error: str) -> None:
        """Store how one has ended, unless its process has already stored that it is done, and show it."""
        if self._closing.is_set():
            return
        state: t.State = "cancelled" if running.cancelled else "failed"
        reason = "" if running.cancelled else error
        ended = msgspec.structs.replace(
            self._rows[number], state=state, ended_ns=time.time_ns(), pid=None, error=reason
        )
        try:
            running.row = await asyncio.to_thread(self.store.put, ended)
        except sqlite3.Error:
            running.row = ended
            self._show(ended)
            running.over.set()
            with suppress(sqlite3.DatabaseError):
                running.row = await self._insist(lambda: self.store.put(ended), self._closing) or ended
            if number not in self._rows:
                return
        self._show(running.row)
        log.info("backtest_ended", id=number, state=running.row.state, reason=running.row.error)

    async def _trim(self) -> None:
        """Forget what is too much; if the database does not let us, the next time."""
        ended = [number for number, row in sorted(self._rows.items()) if row.state in t.ENDED]
        try:
            removed = await asyncio.to_thread(self.store.trim, ended, self._settings)
        except sqlite3.Error as error:
            log.warning("backtests_delayed", error=str(error))
            return
        for number in removed:
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
        self.child: Child | None = None
        """Its process, once it is to be started."""
        self.row: t.BacktestRow | None = None
        """How it has ended."""
        self.cancelled = False
        self.left = asyncio.Event()
        """Set once nobody waits for it any more."""
        self.over = asyncio.Event()
        """Set once it is known how it has ended."""

    def end(self) -> None:
        """End it."""
        self.left.set()
        if self.child is not None:
            self.child.kill()
