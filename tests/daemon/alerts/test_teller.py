"""All of it together, for one console after another of a recorded session."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec
from structlog.testing import capture_logs

from config.alerts import Alerts, AlertTarget
from config.schema import Settings
from daemon.alerts import teller as telling
from daemon.alerts.news import Watcher
from daemon.alerts.store import FILE_NAME, Store
from daemon.alerts.teller import Teller
from daemon.console import app
from daemon.log import hide
from tests.daemon.alerts.test_delivery import until
from tests.daemon.alerts.test_news import World, mirror_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from config.alerts import AlertKind
    from daemon.alerts.news import Alert
    from tests.daemon.alerts.conftest import Listener


@asynccontextmanager
async def running(world: World, listener: Listener, kind: AlertKind, state: str = "running") -> AsyncIterator[Teller]:
    """Return a console's teller that runs."""
    targets = (AlertTarget(name="phone", url=listener.url, kinds=(kind,)),)
    settings = msgspec.structs.replace(Settings(), alerts=Alerts(targets=targets))
    teller = Teller(world.hello(settings=settings), mirror_of(state=state), world.state_dir)
    task = asyncio.create_task(teller.run())
    yield teller
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def told_by(world: World, listener: Listener, count: int) -> None:
    """Run a console's teller until so many lines were heard in all, and end it."""
    async with running(world, listener, "fill"):
        await until(lambda: len(set(listener.lines)) >= count)


async def test_what_one_console_queued_the_next_one_tells(listener: Listener, tmp_path: Path) -> None:
    world = World(tmp_path)
    await told_by(world, listener, 20)
    first = set(listener.lines)

    await told_by(world, listener, world.fills)

    assert first <= set(listener.lines)
    assert len({line.partition("#")[0] for line in listener.lines}) == world.fills


async def test_a_queue_that_is_damaged_is_put_aside_and_people_are_told(listener: Listener, tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)

    with capture_logs() as logs:
        await told_by(world, listener, world.fills)

    assert [line["event"] for line in logs] == ["alerts_file_damaged"]
    assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes().startswith(b"no database")
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        assert db.execute("SELECT count(*) FROM seen").fetchone() == (1,)
    db.close()


async def test_that_a_full_disk_halts_trading_is_told_at_once_and_again_when_it_can_be_queued(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_LOOK_S", 0.02)
    hide("halted: why")
    refused = 0

    def full(*_: object) -> None:
        nonlocal refused
        refused += 1
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(Store, "add", full)
        async with running(World(tmp_path), listener, "halt", state="halted"):
            await until(lambda: refused > 5 and listener.lines)
            assert listener.lines == ["trading is [redacted]"]
            broken.undo()
            await until(lambda: len(listener.lines) > 1)

    assert listener.lines[1:] == ["trading is [redacted] #1"]
    assert [line["event"] for line in logs] == ["alerts_delayed"]


async def test_whatever_fails_people_are_told_again_from_where_it_was(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_TELL_AGAIN_S", 0.01)
    look, looks = Watcher.look, 0

    async def broken(watcher: Watcher) -> list[Alert]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise KeyError("nobody thought of it")
        return await look(watcher)

    monkeypatch.setattr(Watcher, "look", broken)
    world = World(tmp_path)
    targets = (AlertTarget(name="phone", url=listener.url, kinds=("fill",)),)
    settings = msgspec.structs.replace(Settings(), alerts=Alerts(targets=targets))
    server = app.ConsoleServer(world.hello(settings=settings), mirror_of())
    with capture_logs() as logs:
        task = asyncio.create_task(server._tell())
        await until(lambda: len(set(listener.lines)) >= world.fills)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert [line["event"] for line in logs] == ["alerts_failed"]
