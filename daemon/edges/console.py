"""The console's process: started, fed with frames, watched, and ended with us.

It is a child that shares nothing with the core but one end of a socket pair and the socket it listens on. The
latter stays open here while the child is gone, so whoever connects meanwhile is answered by the next one. The
child ends when its end of the pair closes, and the kernel ends it when we die.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import structlog

from config.errors import UserError
from daemon.console.frames import Hello
from daemon.control.sites import reserve_address
from daemon.edges.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from config.schema import Console, Settings
    from daemon.recovery import Opened

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = f"""
import sys
sys.path.insert(0, {str(_ROOT)!r})
from daemon.processors import step_aside
step_aside([int(number) for number in sys.argv[3:]])
from daemon.console.process import main
main()
"""
_END_S = 0.6
_POLL_S = 0.01
_PREDECESSOR_S = 1.0
_BUFFER_BYTES = 1 << 20

log = structlog.get_logger()


class ConsoleEdge:
    """Runs one console after another; the supervisor says when.

    Args:
        listener: what it listens on.
        settings: all of them.
        token: the internal one, by which the control endpoint knows the console.
        processors: where it runs; anywhere if empty.

    Attributes:
        publisher: who writes its frames.
        port: where it listens.
        url: the same for people.
    """

    def __init__(
        self, listener: socket.socket, settings: Settings, token: str, processors: Collection[int] = ()
    ) -> None:
        self.publisher = Publisher(settings.console.frame_s)
        host, self.port = listener.getsockname()[:2]
        scheme = "http" if settings.http.certificate is None else "https"
        self.url = f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"
        self._listener = listener
        self._settings = settings
        self._token = token
        self._processors = processors
        self._hello: Hello | None = None

    def know(
        self, core_url: str, opened: Opened, state_dir: Path, mode: str, tape: str, data_dir: Path | None = None
    ) -> None:
        """Take in what consoles are told first."""
        self._hello = Hello(
            settings=self._settings,
            state_dir=str(state_dir),
            token=self._token,
            core_url=core_url,
            session=opened.id,
            number=opened.number,
            run=opened.run,
            mode=mode,
            tape=tape,
            started_wall_ns=time.time_ns(),
            data_dir="" if data_dir is None else str(data_dir.expanduser().absolute()),
        )

    async def run(self) -> None:
        """Start a console and feed it until it ends."""
        assert self._hello is not None, "nobody has said what there is to know"
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(0)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            process = self._start(theirs)
            theirs.close()
            log.info("console_started", pid=process.pid)
            started_s = time.monotonic()
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._feed, ours, self._hello)
                    await _closed(ours)
                    group.cancel_scope.cancel()
            finally:
                ours.close()
                with anyio.CancelScope(shield=True):
                    code = await _reap(process)
        log.warning("console_ended", exit_code=code, after_s=round(time.monotonic() - started_s, 1))

    def _start(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        pipes = (theirs.fileno(), self._listener.fileno())
        return subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-P", "-c", _PROGRAM, *map(str, (*pipes, *self._processors))],
            pass_fds=pipes,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the daemon
        )

    async def _feed(self, ours: socket.socket, hello: Hello) -> None:
        try:
            await self.publisher.publish(ours, hello)
        except OSError as error:
            log.debug("console_not_fed", error=error.strerror)


@contextlib.contextmanager
def reserve_console(settings: Console) -> Iterator[socket.socket | None]:
    """Hold the address the console listens on, if there is to be one.

    Raises:
        UserError: the port is taken, or the address is not ours.
    """
    if not settings.enabled:
        yield None
        return
    deadline_s = time.monotonic() + _PREDECESSOR_S
    while True:
        try:
            listener = reserve_address(settings, section="console")
        except UserError as error:
            taken = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
            if not taken or time.monotonic() > deadline_s:
                raise
            time.sleep(_POLL_S)  # the console of a daemon that was killed is just ending
            continue
        with listener:
            yield listener
        return


async def _closed(end: socket.socket) -> None:
    """Wait until the other end is closed; nothing is ever said there."""
    while True:
        await anyio.wait_readable(end)
        try:
            if not end.recv(1):
                return
        except BlockingIOError:
            continue
        except OSError:
            return


async def _reap(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a child whose pipe is closed; end it if it does not; leave no zombie."""
    deadline_s = time.monotonic() + _END_S
    while (code := process.poll()) is None:
        if time.monotonic() > deadline_s:
            process.kill()
            return process.wait()
        await anyio.sleep(_POLL_S)
    return code
