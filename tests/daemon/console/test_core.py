"""The console's way to the core: what is kept of its answers, and for whom."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon.console.core import CoreClient
from daemon.control.refusal import RefusedError
from daemon.control.security import Caller

TRADER = Caller("control", "desk", "127.0.0.1")


class Core:
    """Counts commands; it answers when it is told to."""

    def __init__(self) -> None:
        self.commands = 0
        self.looks = 0
        self.came = asyncio.Event()
        self.goes = asyncio.Event()
        self.breaks_off = False
        """Whether it goes away in the middle of an answer."""

    async def status(self, request: web.Request) -> web.StreamResponse:
        body = b"%d" % self.commands
        self.looks += 1
        self.came.set()
        await self.goes.wait()
        if not self.breaks_off:
            return web.Response(body=body)
        answer = web.StreamResponse(headers={"Content-Length": "9"})
        await answer.prepare(request)
        await answer.write(body)
        assert request.transport is not None
        request.transport.close()
        return answer

    async def control(self, _: web.Request) -> web.Response:
        self.came.set()
        await self.goes.wait()
        self.commands += 1
        return web.Response(status=202)


async def test_who_has_sent_a_command_is_shown_no_status_from_before_it() -> None:
    core, app = Core(), web.Application()
    app.router.add_get("/api/live/status", core.status)
    app.router.add_post("/api/live/control", core.control)
    async with TestServer(app) as server:
        client = CoreClient(str(server.make_url("")), "a-token")
        await client.open()
        try:
            looking = asyncio.create_task(client.status(TRADER))
            await core.came.wait()
            core.goes, held = asyncio.Event(), core.goes
            core.goes.set()
            await client.ask(TRADER, "POST", "/api/live/control", b"{}")
            held.set()
            assert (await looking)[1] == b"0", "it was on its way when the command came"
            assert (await client.status(TRADER))[1] == b"1"

            core.came, core.goes = asyncio.Event(), asyncio.Event()
            sending = asyncio.create_task(client.ask(TRADER, "POST", "/api/live/control", b"{}"))
            await core.came.wait()
            core.goes, held = asyncio.Event(), core.goes
            core.goes.set()
            assert (await client.status(TRADER))[1] == b"1", "the command is still on its way"
            held.set()
            assert (await sending)[0] == 202
            assert (await client.status(TRADER))[1] == b"2"
        finally:
            await client.close()


async def test_a_core_is_asked_once_for_all_who_wait_and_again_where_it_has_not_answered() -> None:
    core, app = Core(), web.Application()
    app.router.add_get("/api/live/status", core.status)
    async with TestServer(app) as server:
        client = CoreClient(str(server.make_url("")), "a-token")
        await client.open()
        try:
            asking = [asyncio.create_task(client.status(TRADER)) for _ in range(20)]
            await core.came.wait()
            core.breaks_off = True
            core.goes.set()
            failures = await asyncio.gather(*asking, return_exceptions=True)

            assert core.looks == 1
            for failure in failures:
                assert isinstance(failure, RefusedError)
                assert (failure.status, "the core does not answer" in failure.reason) == (503, True)
            core.breaks_off = False
            assert (await client.status(TRADER))[1] == b"0", "the next who asks is answered"
        finally:
            await client.close()
