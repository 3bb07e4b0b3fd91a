"""The console's server: one router made of the table of routes, behind the same guard as the control endpoint."""

from __future__ import annotations

import asyncio
from functools import cached_property
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from actors.runtime.journal import FILE_NAME
from config.errors import nearest
from daemon.console.backfill import Backfill
from daemon.console.bars import Rows
from daemon.console.core import CoreClient
from daemon.console.history import History
from daemon.console.jobs.manager import Jobs
from daemon.console.lines import Lines
from daemon.console.metrics import Metrics
from daemon.console.openapi import describe
from daemon.console.routes import read_asked
from daemon.console.table import ROUTES
from daemon.control.guard import Guard
from daemon.control.keys import Keyring
from daemon.control.login import Login
from daemon.control.protocol import CONNECTIONS_MAX, JsonRunner, json_answer
from daemon.control.security import SECURE_HEADERS, Gate
from daemon.control.sessions import FILE_NAME as SESSIONS_KEPT
from daemon.control.sites import site_of
from daemon.control.tls import REFRESH_S, certificate_of

if TYPE_CHECKING:
    from socket import socket

    from daemon.alerts.teller import Courier
    from daemon.console.frames import Hello
    from daemon.console.mirror import Mirror
    from daemon.console.openapi import Document
    from daemon.console.routes import Route
    from daemon.control.protocol import Handler
    from daemon.control.security import Needed


log = structlog.get_logger()

_LINES_KEPT = 5_000
_ROWS_KEPT = 5_000
_ROWS_TOTAL = 100_000
_TELL_AGAIN_S = 1.0
_TELL_AGAIN_MAX_S = 300.0


class Console:
    """What handlers are given.

    Attributes:
        hello: what the daemon said about itself.
        mirror: its state.
        core: the way to it.
        history: the journal.
        rows: the newest bars with the features strategies were told.
        backfill: what they were told before.
        logs: the newest lines of the daemon's log.
        gate: who may speak.
        login: sessions of browsers.
        jobs: the backtests.
        clients: how many listen to the stream.
        metrics: what Prometheus is told.
        couriers: who takes alerts to their targets.
        dumping: held by who asks the core for the state of an actor.
    """

    def __init__(self, hello: Hello, mirror: Mirror) -> None:
        self.hello = hello
        self.mirror = mirror
        http, settings = hello.settings.http, hello.settings.console
        self.core = CoreClient(hello.core_url, hello.token, http.certificate)
        self.gate = Gate(
            Keyring(Path(hello.state_dir)),
            settings.host,
            settings.allowed_hosts,
            failures_max=http.wrong_tokens_max,
            session_s=http.session_s,
            sessions_kept=Path(hello.state_dir) / SESSIONS_KEPT,
        )
        self.login = Login(self.gate, secure=http.certificate is not None)
        self.history = History(Path(hello.state_dir), hello.number)
        self.logs = Lines(_LINES_KEPT)
        self.rows = Rows(_ROWS_KEPT, _ROWS_TOTAL)
        self.backfill = Backfill(Path(hello.state_dir) / FILE_NAME)
        self.jobs = Jobs(Path(hello.state_dir), hello.settings.backtests, hello.data_dir, mirror)
        self.clients = 0
        self.metrics = Metrics(self)
        self.couriers: list[Courier] = []
        self.dumping = asyncio.Lock()

    @cached_property
    def document(self) -> Document:
        """The OpenAPI document."""
        return describe(ROUTES)


class ConsoleServer:
    """Serves one daemon."""

    def __init__(self, hello: Hello, mirror: Mirror) -> None:
        settings = hello.settings.console
        self._console = Console(hello, mirror)
        mirror.on_lines = self._console.logs.take
        mirror.on_rows = self._console.rows.take
        self._certificate = certificate_of(hello.settings.http)
        self._tasks: list[asyncio.Task[None]] = []
        guard = Guard(self._console.gate, settings.body_bytes_max, _needed, _hint)
        app = web.Application(middlewares=[guard.guard], client_max_size=settings.body_bytes_max)
        for route in ROUTES:
            app.router.add_route(route.method, route.path, self._handler(route))
        self._runner = JsonRunner(app, guard.answer, CONNECTIONS_MAX + settings.clients_max)

    @property
    def clients(self) -> int:
        """How many listen to the stream."""
        return self._console.clients

    async def open(self, listener: socket) -> None:
        """Start answering."""
        await self._console.core.open()
        await self._console.jobs.open()
        await self._runner.setup()
        await site_of(self._runner, listener, self._certificate).start()
        self._tasks = [asyncio.create_task(self._refresh())]
        if self._console.hello.settings.alerts.targets:
            self._tasks.append(asyncio.create_task(self._tell()))

    async def close(self) -> None:
        """Stop answering; streams are cut off."""
        for task in self._tasks:
            task.cancel()
        await self._console.jobs.close()
        await self._runner.cleanup()
        await self._console.backfill.close()
        await self._console.core.close()

    async def _refresh(self) -> None:
        """Take over a certificate that was replaced."""
        while self._certificate is not None:
            await asyncio.sleep(REFRESH_S)
            self._certificate.refresh()

    async def _tell(self) -> None:
        """Tell people what happens, if that was asked for."""
        from daemon.alerts.teller import Teller  # apprise takes a moment

        hello = self._console.hello
        pause_s = _TELL_AGAIN_S
        while True:
            teller = Teller(hello, self._console.mirror, Path(hello.state_dir))
            self._console.couriers = teller.couriers
            try:
                await teller.run()
            except Exception:  # whatever it is, people are to be told of what comes
                log.exception("alerts_failed")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _TELL_AGAIN_MAX_S)

    def _handler(self, route: Route) -> Handler:
        console = self._console

        async def handle(request: web.Request) -> web.StreamResponse:
            asked = read_asked(route, request)
            answer = await route.handler(console, request, asked)
            if isinstance(answer, web.StreamResponse):
                return answer
            response = json_answer(answer, route.status)
            return _tagged(request, response) if route.has_etag else response

        return handle


def _tagged(request: web.Request, response: web.Response) -> web.Response:
    """Return an answer with its ETag; without its body where the client has it already."""
    assert isinstance(response.body, bytes)
    tag = f'"{blake2b(response.body, digest_size=12).hexdigest()}"'
    headers = SECURE_HEADERS | {"ETag": tag, "Cache-Control": "no-cache"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    if tag in known or "*" in known:
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    response.headers.update(headers)
    return response


_PATH_COMPARED = 200
"""Of a path that is none of ours, so much is compared with those that are."""
_NEEDED: dict[tuple[str, str], Needed] = {(route.method, route.path): route.role for route in ROUTES}


def _hint(request: web.Request) -> str:
    return nearest(request.path[:_PATH_COMPARED], [route.path for route in ROUTES])


def _needed(request: web.Request) -> Needed:
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return "read" if resource is None else _NEEDED.get((method, resource.canonical), "read")
