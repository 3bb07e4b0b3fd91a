"""The replay debugger at the control endpoint: a tape is stepped, and the messages it caused are looked at."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec
from aiohttp import web

from config.errors import nearest
from daemon.control.protocol import body_of, json_answer
from daemon.control.refusal import RefusedError
from daemon.control.replay_types import JumpOrder, MessagesAsked, PlayOrder, SpeedOrder, StepOrder
from daemon.edges.stepped.feed import BeyondError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.edges.stepped.feed import SteppedFeed
    from daemon.edges.stepped.trace import MessageTrace
    from daemon.live import LiveDriver

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PATH = "/api/replay"
_THERE_WITHIN_S = 2.0
_DURABLE_WITHIN_S = 5.0
_BAD = HTTPStatus.BAD_REQUEST

Asked = TypeVar("Asked", bound=msgspec.Struct)


class Debugger:
    """A tape that is stepped, and the messages of its inputs."""

    def __init__(self, feed: SteppedFeed, trace: MessageTrace, driver: LiveDriver) -> None:
        self.feed = feed
        self.trace = trace
        self._driver = driver

    async def stands(self) -> web.Response:
        """Say how it stands, once all of it is durable: whoever looks at the journal next finds it there."""
        stands = self.feed.stands()
        with anyio.move_on_after(_DURABLE_WITHIN_S):
            await self._driver.journal.durable(stands.seq)
        return json_answer(stands)

    async def there(self, over: anyio.Event) -> web.Response:
        """Say how it stands once it has got there, or after a while."""
        with anyio.move_on_after(_THERE_WITHIN_S):
            await over.wait()
        return await self.stands()


class ReplayRoutes:
    """Serves a debugger, if this daemon is one."""

    def __init__(self, debugger: Debugger | None) -> None:
        self._debugger = debugger

    def add(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_get(PATH, self._stands)
        app.router.add_get(f"{PATH}/messages", self._messages)
        app.router.add_post(f"{PATH}/step", self._step)
        app.router.add_post(f"{PATH}/play", self._play)
        app.router.add_post(f"{PATH}/pause", self._pause)
        app.router.add_post(f"{PATH}/speed", self._speed)
        app.router.add_post(f"{PATH}/jump", self._jump)

    def _there(self) -> Debugger:
        if self._debugger is None:
            reason = "this daemon replays nothing; pitboss tui --replay TAPE starts one that does"
            raise RefusedError(HTTPStatus.NOT_FOUND, reason)
        return self._debugger

    async def _stands(self, _: web.Request) -> web.StreamResponse:
        return await self._there().stands()

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        debugger = self._there()
        try:
            asked = msgspec.convert(dict(request.query), MessagesAsked, strict=False)
        except msgspec.ValidationError as error:
            raise RefusedError(_BAD, str(error).replace("`$.", "`")) from error
        return json_answer(debugger.trace.find(asked))

    async def _step(self, request: web.Request) -> web.StreamResponse:
        debugger = self._there()
        order = await _read(request, StepOrder)
        return await debugger.there(_told(lambda: debugger.feed.step(order)))

    async def _play(self, request: web.Request) -> web.StreamResponse:
        debugger = self._there()
        order = await _read(request, PlayOrder)
        _told(debugger.feed.play)
        if order.speed is not None:
            debugger.feed.set_speed(order.speed)
        return await debugger.stands()

    async def _pause(self, _: web.Request) -> web.StreamResponse:
        debugger = self._there()
        debugger.feed.pause()
        return await debugger.stands()

    async def _speed(self, request: web.Request) -> web.StreamResponse:
        debugger = self._there()
        order = await _read(request, SpeedOrder)
        debugger.feed.set_speed(order.speed)
        return await debugger.stands()

    async def _jump(self, request: web.Request) -> web.StreamResponse:
        debugger = self._there()
        order = await _read(request, JumpOrder)
        if (order.to == "time") is not (order.time_ns is not None):
            raise RefusedError(_BAD, "'time_ns' goes with to = 'time', and with nothing else")
        strategies = debugger.feed.stands().strategies
        if order.strategy is not None and order.strategy not in strategies:
            near = nearest(order.strategy, strategies)
            raise RefusedError(_BAD, f"no strategy {order.strategy!r}{near}; one of {', '.join(strategies)}")
        return await debugger.there(_told(lambda: debugger.feed.jump(order)))


Result = TypeVar("Result")


def _told(tell: Callable[[], Result]) -> Result:
    try:
        return tell()
    except BeyondError as error:
        raise RefusedError(HTTPStatus.CONFLICT, str(error)) from error


async def _read(request: web.Request, kind: type[Asked]) -> Asked:
    """Return the body of a request; an empty one asks for what is usual.

    Raises:
        RefusedError: it is not what it should be.
    """
    try:
        return msgspec.json.decode(await body_of(request) or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(_BAD, str(error).replace("`$.", "`")) from error
    except RecursionError as error:
        raise RefusedError(_BAD, "the body is nested too deeply") from error
