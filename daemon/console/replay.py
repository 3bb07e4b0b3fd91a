"""Routes of the replay debugger, and what an actor remembers in any daemon."""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from aiohttp import web
from msgspec import Meta

from daemon.console.actor_tree import tree_of
from daemon.console.live import AWAY, passed_on, ready
from daemon.console.routes import Nothing, Route
from daemon.control.guard import caller_of
from daemon.control.protocol import body_of
from daemon.control.replay_types import (
    ActorState,
    Dump,
    JumpOrder,
    Messages,
    MessagesAsked,
    PlayOrder,
    Replay,
    SpeedOrder,
    StepOrder,
)
from daemon.control.types import Actor

if TYPE_CHECKING:
    from daemon.console.app import Console

_PATH = "/api/replay"
_decode_dump = msgspec.json.Decoder(Dump).decode
_decode_actor = msgspec.json.Decoder(Actor).decode

_NO_REPLAY = "this daemon is no replay"
_REFUSALS = {HTTPStatus.NOT_FOUND: _NO_REPLAY, HTTPStatus.SERVICE_UNAVAILABLE: AWAY}
_LATE = "the tape has ended, or is beyond that time"


class ActorAsked(msgspec.Struct, frozen=True):
    """Which actor."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]


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


async def _actor(console: Console, request: web.Request, asked: ActorAsked) -> web.Response | ActorState:
    await ready(console)
    async with console.dumping:  # one at a time: what the core is asked for here costs it a moment
        path = f"/api/core/actors/{quote(asked.name, safe='')}"
        status, body = await console.core.ask(caller_of(request), "GET", path)
    if status != HTTPStatus.OK:
        return passed_on(status, body)
    dump = _decode_dump(body)
    row = console.mirror.rows("actors")[dump.name]
    state, note = await asyncio.to_thread(tree_of, dump.state) if dump.state else (None, dump.note)
    return ActorState(row=_decode_actor(row), state=state, size_bytes=dump.size_bytes, note=note)


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
    Route(
        name="actor",
        method="GET",
        path="/api/live/actors/{name}",
        role="read",
        tag="live",
        summary="One actor of the core, and what it remembers",
        doc="Its state as a snapshot would keep it, at this moment; what is large is cut, and said so.",
        handler=_actor,
        asked=ActorAsked,
        answer=ActorState,
        refusals={
            HTTPStatus.NOT_FOUND: "there is no such actor in the core",
            HTTPStatus.SERVICE_UNAVAILABLE: f"{AWAY}; or nothing has been heard of the daemon yet",
        },
    ),
)
