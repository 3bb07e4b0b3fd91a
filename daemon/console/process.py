"""The console as a program: two inherited sockets in, HTTP out; it ends with the daemon."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from contextlib import suppress
from socket import socket
from typing import TYPE_CHECKING

import structlog

from config.errors import UserError
from daemon.alerts.secret import secret_of
from daemon.console.app import ConsoleServer
from daemon.console.frames import decode_frame, decode_hello, read_document
from daemon.console.mirror import Mirror
from daemon.log import bind, configure_logging, end_lines, hide, hide_those_of

if TYPE_CHECKING:
    from types import TracebackType

    from daemon.console.frames import Hello

_PR_SET_PDEATHSIG = 1
_BUFFER_BYTES = 1 << 20

log = structlog.get_logger()


def main() -> None:
    """Serve until the daemon is gone; the first arguments are the numbers of two sockets."""
    if sys.platform == "linux":  # elsewhere the end of the pipe says so, too, only a little later
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    pipe, listener = (socket(fileno=int(number)) for number in sys.argv[1:3])
    for end in (pipe, listener):
        end.set_inheritable(False)  # a backtest that outlives us would keep the daemon waiting for our end
    with suppress(ImportError):
        import uvloop

        uvloop.install()
    sys.excepthook = _failed
    with pipe, listener:
        asyncio.run(_serve(pipe, listener))
    # what a thread still computes is nobody's any more
    end_lines()
    os._exit(0)


def _failed(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    log.critical("console_failed", exc_info=error)


async def _serve(pipe: socket, listener: socket) -> None:
    reader, writer = await asyncio.open_connection(sock=pipe, limit=_BUFFER_BYTES)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        hello = decode_hello(await read_document(reader))
        configure_logging(hello.settings.log)
        hide(hello.token)
        hide_those_of(hello.settings)
        for target in hello.settings.alerts.targets:
            with suppress(UserError):  # the teller says so
                secret_of(target)
        bind(session=hello.session, run=hello.run, process="console")
        mirror = Mirror(hello.settings.console.events_kept)
        feeding = asyncio.create_task(_feed(reader, mirror))
        server = await _open(hello, mirror, listener)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({feeding, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
        await server.close()
    except asyncio.IncompleteReadError:
        log.debug("daemon_gone")
    finally:
        writer.close()


async def _open(hello: Hello, mirror: Mirror, listener: socket) -> ConsoleServer:
    server = ConsoleServer(hello, mirror)
    await server.open(listener)
    return server


async def _feed(reader: asyncio.StreamReader, mirror: Mirror) -> None:
    """Take frames until the daemon is gone."""
    while True:
        try:
            document = await read_document(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        mirror.take(decode_frame(document))
