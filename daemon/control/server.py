"""The control endpoint: status, health and commands over HTTP, every answer JSON.

A command is a journaled input. Its 202 is sent once the input is durable, so what was accepted is never
lost; what became of it stands in the status under its id. The same ``Idempotency-Key`` is the same command.
"""

from __future__ import annotations

import secrets
import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import msgspec
import structlog
from aiohttp import web

from actors.control import action_of
from actors.messages import Sender
from daemon.control.dumps import Dumps
from daemon.control.guard import Guard, caller_of
from daemon.control.protocol import JsonRunner, body_of, idempotency_key, json_answer
from daemon.control.refusal import RefusedError
from daemon.control.replay import ReplayRoutes
from daemon.control.requests import read_command
from daemon.control.sites import reserve_addresses, site_of
from daemon.control.tls import REFRESH_S, certificate_of
from daemon.control.unix import SCHEME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from config.schema import Http
    from daemon.control.replay import Debugger
    from daemon.control.security import Caller, Gate, Needed
    from daemon.control.view import StatusView
    from daemon.live import LiveDriver

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_CONTROL_PATH = "/api/live/control"
_REPLAY_PATHS = "/api/replay/"
_DURABLE_WITHIN_S = 5.0
_HANDSHAKES_PER_S = 50.0

log = structlog.get_logger()


class ControlServer:
    """Serves one daemon.

    Attributes:
        url: where it listens, once `bind` has returned.
    """

    def __init__(
        self,
        settings: Http,
        gate: Gate,
        view: StatusView,
        driver: LiveDriver,
        listeners: Sequence[socket.socket],
        state_dir: Path,
        debugger: Debugger | None = None,
    ) -> None:
        """Serve on `listeners`, which `reserve_addresses` returned for this state directory."""
        self.url = ""
        self.console_port: int | None = None
        """Where `/` points to."""
        self._settings = settings
        self._view = view
        self._driver = driver
        self._dumps = Dumps(view.dump)
        self._listeners = list(listeners)
        self._state_dir = state_dir
        self._port = settings.port
        self._certificate = certificate_of(settings)
        guard = Guard(gate, settings.body_bytes_max, self._needed, self._hint)
        app = web.Application(middlewares=[guard.guard], client_max_size=settings.body_bytes_max)
        app.router.add_get("/", self._root)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/api/live/status", self._status)
        app.router.add_post(_CONTROL_PATH, self._control)
        app.router.add_get("/api/core/actors/{name}", self._actor)
        ReplayRoutes(debugger).add(app)
        self._runner = JsonRunner(app, guard.answer)

    async def bind(self) -> None:
        """Start answering.

        Raises:
            UserError: the server had failed, and its address was taken meanwhile.
        """
        await self._runner.setup()
        if not self._listeners:
            self._listeners = reserve_addresses(self._settings, self._state_dir, self._port)
        for listener in self._listeners:
            is_unix = listener.family == socket.AF_UNIX
            certificate = None if is_unix else self._certificate
            await site_of(self._runner, listener, certificate, per_s=_HANDSHAKES_PER_S).start()
            if not is_unix:
                host, self._port = listener.getsockname()[:2]
                scheme = "http" if certificate is None else "https"
                self.url = f"{scheme}://[{host}]:{self._port}" if ":" in host else f"{scheme}://{host}:{self._port}"
            elif not self._settings.tcp:
                self.url = f"{SCHEME}{listener.getsockname()}"
        self._listeners.clear()

    async def run(self) -> None:
        """Serve until cancelled."""
        if self._runner.server is None or not self._runner.addresses:
            await self.bind()
        try:
            while True:
                await anyio.sleep(REFRESH_S)
                if self._certificate is not None:
                    self._certificate.refresh()
        finally:
            with anyio.CancelScope(shield=True):
                await self._runner.cleanup()

    # --- handlers -----------------------------------------------------------------------------------

    def _needed(self, request: web.Request) -> Needed:
        if request.path in _OPEN_PATHS or (request.path == "/" and self.console_port is not None):
            return "open"
        steers = request.path == _CONTROL_PATH or (request.path.startswith(_REPLAY_PATHS) and request.method == "POST")
        return "control" if steers else "read"

    def _hint(self, request: web.Request) -> str:
        if self.console_port is None:
            return ""
        return f"; most of the API is at the console, {self._console_of(request)}"

    def _console_of(self, request: web.Request) -> str:
        """Return where the console is, under the name by which we were found."""
        name = urlsplit(f"//{request.host}").hostname or ""
        host = f"[{name}]" if ":" in name else name
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{host}:{self.console_port}/"

    async def _root(self, request: web.Request) -> web.StreamResponse:
        """Point to the console."""
        if self.console_port is None:
            raise web.HTTPNotFound
        headers = {"Location": self._console_of(request)}
        return json_answer({"console": headers["Location"]}, HTTPStatus.TEMPORARY_REDIRECT, headers)

    async def _healthz(self, _: web.Request) -> web.StreamResponse:
        state, _reason = self._view.state()
        return json_answer({"status": "ok", "state": state})

    async def _readyz(self, _: web.Request) -> web.StreamResponse:
        state, reason = self._view.state()
        ready = self._view.ready and not self._view.ending and self._driver.journal.trouble() is None
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return json_answer({"ready": ready, "state": state, "reason": reason}, status)

    async def _status(self, _: web.Request) -> web.StreamResponse:
        """Show the state, once everything it shows is durable."""
        status = self._view.status()
        await self._durable(status.last_input.seq)
        return json_answer(msgspec.structs.replace(status, durable_seq=self._driver.journal.durable_seq))

    async def _actor(self, request: web.Request) -> web.StreamResponse:
        """Show the state of one actor, as it is written down."""
        return json_answer(await self._dumps.of(request.match_info["name"]))

    async def _control(self, request: web.Request) -> web.StreamResponse:
        caller = caller_of(request)
        try:
            return await self._command(request, caller)
        except RefusedError as refused:
            who = {"role": caller.role, "name": caller.name, "address": caller.address}
            log.info("command_refused", status=int(refused.status), reason=refused.reason, **who)
            raise

    async def _command(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        key = idempotency_key(request)
        wanted = read_command(await body_of(request))
        action = wanted.words
        if not self._view.ready or self._view.ending:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the daemon is starting or stopping; try again")
        if key:
            known = self._known(key)
            if known is not None:
                if known[1] != action:
                    reason = f"Idempotency-Key: already used for {known[1]}"
                    raise RefusedError(HTTPStatus.CONFLICT, reason)
                return await self._accepted(known[0], action, known[2], repeated=True)
        trouble = self._driver.journal.trouble()
        if trouble is not None:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, f"halted, commands cannot be made durable: {trouble}")
        wanted.check(self._driver.core)
        command_id = secrets.token_hex(8)
        by = Sender(caller.role, caller.name, caller.address, time.time_ns())
        taken = self._driver.post_command(wanted.command(command_id, key, by))
        who = {"role": by.role, "name": by.name, "address": by.address}
        log.info("command_received", action=action, command_id=command_id, **who)
        return await self._accepted(command_id, action, taken, repeated=False)

    async def _accepted(
        self, command_id: str, action: str, taken: anyio.Event | None, *, repeated: bool
    ) -> web.StreamResponse:
        """Answer once the command is durable; `taken` is None for one that was run before."""
        with anyio.move_on_after(_DURABLE_WITHIN_S):
            if taken is not None:
                await taken.wait()
            await self._driver.journal.durable(self._driver.core.scheduler.seq)
            answer = {"command_id": command_id, "action": action, "repeated": repeated}
            return json_answer(answer, HTTPStatus.ACCEPTED)
        reason = (
            f"command {command_id} is not durable after {_DURABLE_WITHIN_S:g} s and may still be carried out;"
            " look at the status, or repeat it under the same Idempotency-Key"
        )
        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, reason)

    def _known(self, key: str) -> tuple[str, str, anyio.Event | None] | None:
        """Return (command id, action, event of its being run) of the command sent under `key`, run or waiting."""
        command = self._driver.core.control.find(key)
        if command is not None:
            return command.command_id, command.action, None
        waiting = self._driver.pending_command(key)
        if waiting is not None:
            message, taken = waiting
            return message.command_id, action_of(message), taken
        return None

    async def _durable(self, seq: int) -> None:
        if self._driver.journal.trouble() is None:
            with anyio.move_on_after(_DURABLE_WITHIN_S):
                while self._driver.journal.durable_seq < seq and self._driver.journal.trouble() is None:
                    await self._driver.journal.progress()
