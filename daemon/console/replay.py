"""Routes of the replay debugger, passed on to the core."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from daemon.console.live import AWAY, passed_on
from daemon.console.routes import Nothing, Route
from daemon.control.guard import caller_of
from daemon.control.protocol import body_of
from daemon.control.replay_types import (
    JumpOrder,
    Messages,
    MessagesAsked,
    PlayOrder,
    Replay,
    SpeedOrder,
    StepOrder,
)

if TYPE_CHECKING:
    from daemon.console.app import Console

_PATH = "/api/replay"

_NO_REPLAY = "this daemon is no replay"
_REFUSALS = {HTTPStatus.NOT_FOUND: _NO_REPLAY, HTTPStatus.SERVICE_UNAVAILABLE: AWAY}
_LATE = "the tape has ended, or is beyond that time"


async def _stands(console: Console, request: web.Request, _: Nothing) -> web.Response:
    return passed_on(*await console.core.ask(caller_of(request), "GET", _PATH))


async def _messages(console: Console, request: web.Request, asked: MessagesAsked) -> web.Response:
    given = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None}
    return passed_on(*await console.core.ask(caller_of(request), "GET", f"{_PATH}/messages?{urlencode(given)}"))


async def _tell(name: str, console: Console, request: web.Request, _: Nothing) -> web.Response:
    if name == "pause":
        return passed_on(*await console.core.ask(caller_of(request), "POST", f"{_PATH}/{name}"))
    body = await body_of(request)
    headers = {"Content-Type": "application/json"}
    return passed_on(*await console.core.ask(caller_of(request), "POST", f"{_PATH}/{name}", body, headers))


def _order(name: str, summary: str, doc: str, body: Any, late: str = "") -> Route:  # noqa: ANN401 - a type
    refused = {HTTPStatus.CONFLICT: late} if late else {}
    if body is not None:
        refused[HTTPStatus.BAD_REQUEST] = "the body is no such order"
    return Route(
        name=f"replay_{name}",
        method="POST",
        path=f"{_PATH}/{name}",
        role="control",
        tag="replay",
        summary=summary,
        doc=doc,
        handler=partial(_tell, name),
        body=body,
        answer=Replay,
        refusals=_REFUSALS | refused,
    )


_WAITS = "Answers once it is there, or after two seconds, and then goes on."

ROUTES = (
    Route(
        name="replay",
        method="GET",
        path=_PATH,
        role="read",
        tag="replay",
        summary="How the replay stands",
        doc="Only in the daemon of `pitboss tui --replay`.",
        handler=_stands,
        answer=Replay,
        refusals=_REFUSALS,
    ),
    Route(
        name="replay_messages",
        method="GET",
        path=f"{_PATH}/messages",
        role="read",
        tag="replay",
        summary="What every input caused: messages of the newest inputs, in causal order",
        doc="The newest, unless `since` or `cursor` says otherwise; a page ascends whichever way it was asked for.",
        handler=_messages,
        asked=MessagesAsked,
        answer=Messages,
        refusals=_REFUSALS,
    ),
    _order("step", "Take so many inputs or bars, then pause", _WAITS, StepOrder, _LATE),
    _order("play", "Go on until told otherwise", "", PlayOrder, _LATE),
    _order("pause", "Stay there", "", None),
    _order("speed", "Play at another speed", "", SpeedOrder),
    _order("jump", "Go on until something has happened, then pause", _WAITS, JumpOrder, _LATE),
)
