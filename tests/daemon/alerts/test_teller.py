"""All of it together, for one console after another of a recorded session."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from structlog.testing import capture_logs

from config.alerts import Alerts, AlertTarget
from config.schema import Settings
from daemon.alerts.store import FILE_NAME
from daemon.alerts.teller import Teller
from tests.daemon.alerts.test_delivery import until
from tests.daemon.alerts.test_news import World, mirror_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon.alerts.conftest import Listener


async def told_by(world: World, listener: Listener, count: int) -> None:
    """Run a console's teller until so many lines were heard in all, and end it."""
    targets = (AlertTarget(name="phone", url=listener.url, kinds=("fill",)),)
    settings = msgspec.structs.replace(Settings(), alerts=Alerts(targets=targets))
    teller = Teller(world.hello(settings=settings), mirror_of(), world.state_dir)
    task = asyncio.create_task(teller.run())
    await until(lambda: len(set(listener.lines)) >= count or task.done())
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


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
