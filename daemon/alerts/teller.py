"""Tells people: what is new goes into the queue, and from there to every target at its own pace.

All of it runs in the console's process. A target that hangs, fails or is gone delays nobody: each has its own task
and its own thread, and the queue is bounded. Nothing here is ever asked by the core.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
import structlog

from config.errors import UserError
from daemon.alerts.news import Watcher
from daemon.alerts.store import FILE_NAME, Counts, Store
from daemon.alerts.targets import Target
from daemon.console.history import History
from daemon.control.refusal import RefusedError
from daemon.log import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from config.alerts import Alerts
    from daemon.alerts.news import Alert
    from daemon.alerts.store import Waiting
    from daemon.console.frames import Hello
    from daemon.console.mirror import Mirror

Found = TypeVar("Found")

_LOOK_S = 1.0
_MINUTE_S = 60.0
_LINES_MAX = 20
"""Alerts in one message."""
_FRAME_CHARS = 200
"""Of a message, for its title and what was given up before."""
_NUMBER_CHARS = 40
"""Of a line, for how often it happened and its number."""
_PAUSE_S = 1.0
_PAUSE_MAX_S = 300.0
_LEVELS = ("info", "warning", "error")
encode = msgspec.json.encode

log = structlog.get_logger()


class Courier:
    """Takes one target what waits for it.

    Args:
        target: who is told.
        ask: runs a function of the store in its thread.
        settings: of alerts.
        name: of the daemon, for people.

    Attributes:
        waiting: alerts in the queue.
        counts: what has become of others, also before this console.
    """

    def __init__(self, target: Target, store: Store, ask: Ask, settings: Alerts, name: str) -> None:
        self.target = target
        self.waiting = 0
        self.counts = Counts()
        self._store = store
        self._ask = ask
        self._settings = settings
        self._name = name
        self._news = asyncio.Event()
        self._sent_s: deque[float] = deque(maxlen=settings.per_minute)
        self._failures = 0
        self._unconfirmed: tuple[Sequence[Waiting], int] | None = None
        """Told, and still in the queue, for the disk refused: it must not be told over and over."""
        self._unqueued: dict[str, str] = {}
        """What is urgent and could not be queued, by key."""
        self._told_unqueued: set[str] = set()
        self._urgent = asyncio.Event()

    def wake(self) -> None:
        """Say that there may be something."""
        self._news.set()

    def tell_unqueued(self, alerts: Sequence[Alert]) -> None:
        """Tell what cannot be queued just now, once; it will be told again when it was."""
        for alert in alerts:
            if alert.key not in self._told_unqueued and len(self._told_unqueued) < self._settings.queue_max:
                self._told_unqueued.add(alert.key)
                self._unqueued[alert.key] = alert.text
                self._urgent.set()
                self.wake()

    def forget_unqueued(self) -> None:
        """What could not be queued is queued now."""
        self._unqueued.clear()
        self._told_unqueued.clear()

    async def run(self, pause_s: float = _PAUSE_S) -> None:
        """Deliver until cancelled.

        Args:
            pause_s: after the first attempt that fails; it doubles with each.
        """
        while True:
            self._news.clear()
            try:
                if await self._deliver_unqueued() and await self._deliver_waiting():
                    self._failures = 0
                    continue
            except sqlite3.Error as error:
                if self._failures == 0:
                    log.warning("alerts_delayed", target=self.target.name, error=str(error))
            self._failures += 1
            with suppress(TimeoutError):  # what is urgent and has just come is tried at once
                async with asyncio.timeout(min(_PAUSE_MAX_S, pause_s * 2 ** min(self._failures - 1, 16))):
                    await self._urgent.wait()
            self._urgent.clear()

    async def _deliver_waiting(self) -> bool:
        """Tell what may be told now, or wait for news; return whether all is well."""
        await self._confirm()
        if not await self._waiting():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._news.wait()
            return True
        await self._turn()
        waiting = await self._waiting()  # what has come meanwhile goes along; the oldest may have been given up
        return not waiting or await self._deliver(waiting)

    async def _deliver_unqueued(self) -> bool:
        if not self._unqueued:
            return True
        await self._turn()
        telling = dict(list(self._unqueued.items())[:_LINES_MAX])
        body = "\n".join(telling.values())[: max(1, self.target.chars_max - _FRAME_CHARS)]
        self._sent_s.append(time.monotonic())
        if not await self.target.send(f"{self._name}: error", body, "error"):
            if self._failures == 0:
                log.warning("alert_not_told", target=self.target.name, reason=self.target.reason)
            return False
        for key in telling:
            self._unqueued.pop(key, None)
        return True

    async def _waiting(self) -> Sequence[Waiting]:
        name = self.target.name
        self.waiting = await self._ask(lambda: self._store.waiting(name))
        self.counts = await self._ask(lambda: self._store.counts(name))
        return await self._ask(lambda: self._store.due(name, time.time_ns(), _LINES_MAX))

    async def _confirm(self) -> None:
        """Take what was told out of the queue."""
        if self._unconfirmed is not None:
            told, lost = self._unconfirmed
            await self._ask(lambda: self._store.confirm(self.target.name, told, lost, time.time_ns()))
            self._unconfirmed = None

    async def _turn(self) -> None:
        """Wait until another message may go out: so many in any minute."""
        now_s = time.monotonic()
        if len(self._sent_s) == self._sent_s.maxlen:
            await asyncio.sleep(max(0.0, self._sent_s[0] + _MINUTE_S - now_s))

    async def _deliver(self, waiting: Sequence[Waiting]) -> bool:
        name = self.target.name
        lost = await self._ask(lambda: self._store.lost(name))
        room = max(1, self.target.chars_max - _FRAME_CHARS)
        waiting = _fitting(waiting, room)
        level = max((each.level for each in waiting), key=_LEVELS.index)
        lines = [_line(each, room) for each in sorted(waiting, key=lambda each: each.id)]
        if lost:
            lines.insert(0, f"{lost} alerts before these could not be told")
        title = f"{self._name}: {level}" if len(waiting) == 1 else f"{self._name}: {len(waiting)} alerts, {level}"
        self._sent_s.append(time.monotonic())
        if await self.target.send(title, "\n".join(lines), level):
            self._unconfirmed = (waiting, lost)
            await self._confirm()
            return True
        dropped = await self._ask(lambda: self._store.fail(name, waiting, self._settings.tries_max))
        if self._failures == 0:
            log.warning("alert_not_told", target=name, reason=self.target.reason)
        if dropped:
            log.error("alerts_given_up", target=name, count=dropped, reason=self.target.reason)
        return False


def _fitting(waiting: Sequence[Waiting], room: int) -> Sequence[Waiting]:
    """Return as many of these, and at least one, as have room in a message: a service refuses one that is too long."""
    used = 0
    for number, each in enumerate(waiting):
        used += len(_line(each, room)) + 1
        if used > room:
            return waiting[: max(1, number)]
    return waiting


def _line(waiting: Waiting, room: int) -> str:
    times = f" ({waiting.count} times)" if waiting.count > 1 else ""
    text = " ".join(waiting.text.split())
    longest = max(1, room - _NUMBER_CHARS)
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return f"{text}{times} #{waiting.id}"


class Ask:
    """Runs what uses the store in one thread, one after another."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="alerts")

    async def __call__(self, look: Callable[[], Found]) -> Found:
        """Return what `look` returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, look)


class Teller:
    """All of it, for one console.

    Args:
        hello: what the daemon said about itself.
        mirror: its state.
        state_dir: where the queue is kept.

    Attributes:
        couriers: one for each target that can be used.
    """

    def __init__(self, hello: Hello, mirror: Mirror, state_dir: Path) -> None:
        self._settings = hello.settings.alerts
        self._mirror = mirror
        self._path = state_dir / FILE_NAME
        self._name = f"pitboss {hello.mode} {hello.session}"
        self._watcher = Watcher(hello, mirror, History(state_dir, hello.number), self._settings.daily_hour)
        self._ask = Ask()
        self.couriers: list[Courier] = []

    async def run(self) -> None:
        """Watch and tell until cancelled."""
        settings = self._settings
        store = await self._open()
        for each in settings.targets:
            try:
                target = await asyncio.to_thread(Target, each, settings.timeout_s)  # apprise loads all its services
            except UserError as error:
                log.error("alert_target_unusable", target=each.name, error=str(error))  # noqa: TRY400 - no traceback
                continue
            self.couriers.append(Courier(target, store, self._ask, settings, self._name))
        try:
            async with asyncio.TaskGroup() as group:
                for courier in self.couriers:
                    group.create_task(courier.run())
                await self._watch(store)
        finally:
            await asyncio.shield(self._ask(store.close))

    async def _open(self) -> Store:
        """Open the queue; one that cannot be read any more is put aside, for people are to be told all the same."""
        settings, in_trouble = self._settings, False
        while True:
            try:
                return await self._ask(lambda: Store(self._path, settings.queue_max, round(settings.window_s * 1e9)))
            except sqlite3.OperationalError as error:  # it is busy, or the disk is full
                if not in_trouble:
                    log.warning("alerts_delayed", error=str(error))
                in_trouble = True
                await asyncio.sleep(_LOOK_S)
            except sqlite3.DatabaseError as error:
                aside = self._path.with_name(f"{self._path.name}.damaged")
                log.error("alerts_file_damaged", error=str(error), kept_path=str(aside))  # noqa: TRY400 - no traceback
                self._path.replace(aside)
                for left in ("-wal", "-shm"):
                    self._path.with_name(f"{self._path.name}{left}").unlink(missing_ok=True)

    async def _watch(self, store: Store) -> None:
        """Queue what is new; what could not be queued is looked for again."""
        await self._mirror.ready.wait()
        watcher, pending = self._watcher, None
        kept = b""
        in_trouble = False
        while True:
            alerts: list[Alert] = []
            try:
                if pending is None:
                    pending = await watcher.begin(await self._ask(store.seen))
                    kept = encode(watcher.seen)
                alerts = [msgspec.structs.replace(each, text=masked(each.text)) for each in await watcher.look()]
                over = await self._ask(
                    partial(
                        store.add, [*pending, *alerts], self._settings.targets, encode(watcher.seen), time.time_ns()
                    )
                )
            except (sqlite3.Error, RefusedError) as error:
                if not in_trouble:
                    log.warning("alerts_delayed", error=str(error))
                in_trouble = True
                self._tell_unqueued(alerts)
                if pending is not None:
                    watcher.forget(kept)
            else:
                for name, count in over.items():
                    log.error("alerts_given_up", target=name, count=count, reason="too many wait")
                for courier in self.couriers:
                    if in_trouble:
                        courier.forget_unqueued()
                    if alerts or pending:
                        courier.wake()
                pending, kept, in_trouble = [], encode(watcher.seen), False
            await asyncio.sleep(_LOOK_S)

    def _tell_unqueued(self, alerts: Sequence[Alert]) -> None:
        """Have what is urgent told although the disk refuses it: that is when people have to know."""
        targets = {each.name: each for each in self._settings.targets}
        for courier in self.couriers:
            target = targets[courier.target.name]
            courier.tell_unqueued(
                [each for each in alerts if each.level == "error" and target.wants(each.kind, "error")]
            )
