"""Where a server listens. With TLS, who has yet to shake hands is bounded in number and time, like everybody else."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, cast

import structlog
from aiohttp import web

from config.errors import UserError
from daemon.control.unix import reserve_unix

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from config.schema import Console, Http
    from daemon.control.tls import Certificate

HANDSHAKES_MAX = 32
"""Under way at once: each costs some hundred kilobytes."""
HANDSHAKE_WITHIN_S = 10.0
_GOODBYE_WITHIN_S = 2.0
_NO_ROOM_S = 1.0

log = structlog.get_logger()


def reserve_addresses(settings: Http, state_dir: Path, port: int | None = None) -> list[socket.socket]:
    """Return the sockets the endpoint listens on, TCP and Unix, as configured.

    Raises:
        UserError: one of them cannot be had, or none is configured.
    """
    if not settings.tcp and not settings.unix_socket:
        message = "http.tcp and http.unix_socket are both false: nobody could steer the daemon"
        raise UserError(message)
    found = [reserve_address(settings, port)] if settings.tcp else []
    try:
        if settings.unix_socket:
            found.append(reserve_unix(state_dir))
    except UserError:
        for listener in found:
            listener.close()
        raise
    return found


def reserve_address(settings: Http | Console, port: int | None = None, section: str = "http") -> socket.socket:
    """Return a socket that listens on an endpoint's address; who connects is answered once its server runs.

    Raises:
        UserError: the port is taken, or the address is not ours.
    """
    wanted = settings.port if port is None else port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, wanted, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        another = "--port" if section == "http" else f"--port, which moves both, or --set {section}.port=..."
        remedy = f"; choose another with {another}" if wanted else ""
        message = f"{section}: cannot listen on {settings.host} port {wanted}: {reason}{remedy}"
        raise UserError(message) from error
    return listener


def site_of(
    runner: web.AppRunner, listener: socket.socket, certificate: Certificate | None, *, per_s: float | None = None
) -> web.BaseSite:
    """Return what takes connections at `listener`, over TLS where there is a certificate.

    Args:
        runner: of the server.
        listener: where it listens.
        certificate: if there is one.
        per_s: so many handshakes are begun in a second, beyond the first `HANDSHAKES_MAX`, for each costs the loop
            about a millisecond; None for a loop that nobody else needs.
    """
    if certificate is None:
        return web.SockSite(runner, listener)
    return _TlsSite(runner, listener, certificate.context, per_s)


class _TlsSite(web.SockSite):
    """Takes connections itself: asyncio's own server keeps no account of those that have yet to shake hands."""

    __slots__ = ("_per_s",)

    def __init__(
        self, runner: web.AppRunner, listener: socket.socket, context: ssl.SSLContext, per_s: float | None
    ) -> None:
        super().__init__(runner, listener, ssl_context=context)
        self._per_s = per_s

    async def start(self) -> None:
        """Begin to listen."""
        await web.BaseSite.start(self)
        assert self._ssl_context is not None
        assert self._runner.server is not None
        self._sock.settimeout(0)
        self._sock.listen(self._backlog)
        self._server = cast(
            "asyncio.AbstractServer", _Door(self._sock, self._runner.server, self._ssl_context, self._per_s)
        )


class _Door:
    """Accepts, and shakes hands with several at once; the one that takes longest makes room."""

    def __init__(
        self, listener: socket.socket, server: web.Server, context: ssl.SSLContext, per_s: float | None
    ) -> None:
        self.sockets: tuple[socket.socket, ...] = (listener,)
        self._listener = listener
        self._protocol = server
        self._context = context
        self._pause_s = 0.0 if per_s is None else 1.0 / per_s
        self._shaking: dict[asyncio.Task[None], None] = {}
        """Oldest first."""
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Take nobody any more."""
        self.sockets = ()
        for task in (self._accepting, *self._shaking):
            task.cancel()
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = 0.0
        while True:
            due_s = max(due_s, loop.time() - HANDSHAKES_MAX * self._pause_s) + self._pause_s
            await asyncio.sleep(due_s - loop.time())
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                log.warning("not_accepted", error=error.strerror)
                await asyncio.sleep(_NO_ROOM_S)  # the process may open no more for now
                continue
            while len(self._shaking) >= HANDSHAKES_MAX:
                oldest = next(iter(self._shaking))
                del self._shaking[oldest]
                oldest.cancel()
            task = loop.create_task(self._shake(connection))
            self._shaking[task] = None
            task.add_done_callback(lambda task: self._shaking.pop(task, None))

    async def _shake(self, connection: socket.socket) -> None:
        """Have a connection become one over TLS, which then is the server's; or end it."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_WITHIN_S,
                ssl_shutdown_timeout=_GOODBYE_WITHIN_S,
            )
        except OSError as error:
            log.debug("no_handshake", error=type(error).__name__)
