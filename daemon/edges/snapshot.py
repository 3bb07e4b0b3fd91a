"""``snapshot.json``: the daemon's state for people and scripts, replaced atomically as it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import msgspec
import structlog

from daemon.state_dir import SNAPSHOT_NAME, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.control.view import StatusView
    from daemon.live import LiveDriver

_encode = msgspec.json.Encoder(decimal_format="number").encode

log = structlog.get_logger()


class SnapshotFile:
    """Writes what the status shows, once it is durable, whenever an input has changed it."""

    def __init__(self, state_dir: Path, view: StatusView, driver: LiveDriver, *, interval_s: float) -> None:
        self._path = state_dir / SNAPSHOT_NAME
        self._view = view
        self._driver = driver
        self._interval_s = interval_s
        self._written: tuple[int, str] | None = None

    async def run(self) -> None:
        """Write now and then until cancelled."""
        while True:
            await self.write()
            await anyio.sleep(self._interval_s)

    async def write(self) -> None:
        """Write once, unless nothing has changed; a full disk keeps the old file whole."""
        state, _ = self._view.state()
        shown = (self._driver.core.scheduler.seq, state)
        if shown == self._written:
            return
        status = self._view.status()
        if self._driver.journal.trouble() is None:
            with anyio.move_on_after(self._interval_s):
                await self._driver.journal.durable(shown[0])
        data = msgspec.json.format(_encode(status), indent=2) + b"\n"
        try:
            await anyio.to_thread.run_sync(write_atomically, self._path, data)
        except OSError as error:
            log.warning("snapshot_file_not_written", path=str(self._path), error=error.strerror)
            return
        self._written = shown
