"""Route to what one actor remembers, in any daemon: asked of the core, and taken apart here."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from daemon.console.actor_tree import tree_of
from daemon.console.live import AWAY, passed_on, ready
from daemon.console.routes import Route
from daemon.control.guard import caller_of
from daemon.control.types import Actor, ActorState, Dump

if TYPE_CHECKING:
    from aiohttp import web

    from daemon.console.app import Console

_decode_dump = msgspec.json.Decoder(Dump).decode
_decode_actor = msgspec.json.Decoder(Actor).decode


class ActorAsked(msgspec.Struct, frozen=True):
    """Which actor."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]


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


ROUTES = (
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
