"""Routes to what is now: the sections of the stream, one by one, and the core's own status and commands."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from daemon.console import types as t
from daemon.console.routes import Handler, Nothing, Route
from daemon.control.guard import caller_of
from daemon.control.protocol import body_of, idempotency_key
from daemon.control.refusal import RefusedError
from daemon.control.security import SECURE_HEADERS
from daemon.control.types import Status

if TYPE_CHECKING:
    from daemon.console.app import Console

_READY_WITHIN_S = 2.0
_NOTHING_YET = "nothing has been heard of the daemon yet"
STARTING = {HTTPStatus.SERVICE_UNAVAILABLE: _NOTHING_YET}
AWAY = "the core does not answer; a command that was sent may have been taken"
_SINGLE = ("summary", "venue", "risk", "margin", "latency")
_PATHS = {
    "summary": ("The daemon in one row: state, money, time, inputs", "summary"),
    "positions": ("What strategies hold", "positions"),
    "books": ("What each strategy ordered, filled, earned and holds, by symbol", "books"),
    "orders": ("Open orders", "orders"),
    "symbols": ("What is traded, with its last close", "symbols"),
    "strategies": ("The account's strategies", "strategies"),
    "commands": ("The newest commands, and what became of them", "commands"),
    "dead_letters": ("Messages that an actor could not handle", "dead-letters"),
    "actors": ("Actors of the core, and the edges around it", "actors"),
    "venue": ("How we stand to the venue", "venue"),
    "risk": ("Limits in force, and what their rules have done", "risk"),
    "margin": ("How contracts stand on margin", "margin"),
    "other_assets": ("Assets that fees are paid in", "other-assets"),
    "streams": ("Streams of market data", "streams"),
    "latency": ("How long inputs take", "latency"),
}


async def ready(console: Console) -> None:
    """Wait for the first frame.

    Raises:
        RefusedError: it does not come.
    """
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            await console.mirror.ready.wait()
    except TimeoutError as error:
        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, _NOTHING_YET) from error


def _section(name: str) -> Handler:
    async def rows(console: Console, _: web.Request, __: Nothing) -> dict[str, Any]:
        await ready(console)
        found = console.mirror.rows(name)
        told = {"epoch": console.mirror.epoch, "seq": console.mirror.seq}
        return told | ({"row": found.get("")} if name in _SINGLE else {"rows": list(found.values())})

    return rows


async def _status(console: Console, request: web.Request, _: Nothing) -> web.Response:
    return passed_on(*await console.core.status(caller_of(request)))


async def _control(console: Console, request: web.Request, _: Nothing) -> web.Response:
    body = await body_of(request)
    headers = {"Content-Type": "application/json"}
    if key := idempotency_key(request):
        headers["Idempotency-Key"] = key
    return passed_on(*await console.core.ask(caller_of(request), "POST", "/api/live/control", body, headers))


def _answer(section: str) -> Any:  # noqa: ANN401 - a type, made here
    row: Any = t.SECTIONS[section]
    return t.One[row] if section in _SINGLE else t.Listing[row]


def passed_on(status: int, body: bytes) -> web.Response:
    """Return what the core answered as ours."""
    return web.Response(
        body=body,
        status=status,
        content_type="application/json",
        headers=SECURE_HEADERS,
    )


ROUTES = (
    Route(
        name="status",
        method="GET",
        path="/api/live/status",
        role="read",
        tag="live",
        summary="Everything about the daemon at this moment",
        doc=(
            "Asked of the core itself, once a second for all who ask here, and anew after each command; answered once"
            " all it shows is durable."
        ),
        handler=_status,
        answer=Status,
        refusals={HTTPStatus.SERVICE_UNAVAILABLE: AWAY},
    ),
    Route(
        name="control",
        method="POST",
        path="/api/live/control",
        role="control",
        tag="live",
        summary="Send a command",
        doc=(
            "A command is an input: it is journaled and goes ahead of waiting data. The answer comes once it is"
            " durable; what became of it stands in the status under its id."
        ),
        headers={"Idempotency-Key": "The same key again is the same command; at most 200 printable characters."},
        handler=_control,
        body=t.ControlRequest,
        answer=t.Accepted,
        status=HTTPStatus.ACCEPTED,
        refusals={
            HTTPStatus.BAD_REQUEST: "the body is no command",
            HTTPStatus.CONFLICT: "the key was used for another command, or the limit would be loosened",
            HTTPStatus.SERVICE_UNAVAILABLE: f"{AWAY}; or commands cannot be made durable",
        },
    ),
    *(
        Route(
            name=name,
            method="GET",
            path=f"/api/live/{path}",
            role="read",
            tag="live",
            summary=summary,
            handler=_section(name),
            answer=_answer(name),
            refusals=STARTING,
        )
        for name, (summary, path) in _PATHS.items()
    ),
)
