"""``WS /api/stream``: a snapshot, then what has changed, as fast as the client takes it.

Nothing is queued for a client. When its socket has room again it is sent what has changed since the version it
has; one that takes nothing for `[console] client_stall_s` is let go.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from socket import SO_SNDBUF, SOL_SOCKET
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import WSMsgType, web
from msgspec import Meta

from daemon.console import types as t
from daemon.console.live import ready
from daemon.console.routes import Route
from daemon.control.refusal import RefusedError

if TYPE_CHECKING:
    from daemon.console.app import Console

_MESSAGE_BYTES_MAX = 4_096
_HEARTBEAT_S = 20.0
_BUFFER_BYTES = 1 << 17
_POLICY = 1008


class StreamAsked(msgspec.Struct, frozen=True):
    """Where to go on."""

    epoch: Annotated[str, Meta(max_length=64)] = ""
    """Of the last message that came."""
    since: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    """Its `seq`: what has changed since is sent, or a snapshot if that is not known any more."""


async def _stream(console: Console, request: web.Request, asked: StreamAsked) -> web.StreamResponse:
    settings = console.hello.settings.console
    if not _is_handshake(request):
        raise RefusedError(HTTPStatus.UPGRADE_REQUIRED, "this is a WebSocket", {"Upgrade": "websocket"})
    if console.clients >= settings.clients_max:
        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, f"{settings.clients_max} clients listen already")
    console.clients += 1
    try:
        await ready(console)
        # no compression: it would cost memory for every client, and time the core may need
        socket = web.WebSocketResponse(compress=False, heartbeat=_HEARTBEAT_S, max_msg_size=_MESSAGE_BYTES_MAX)
        try:
            await socket.prepare(request)
        except ConnectionError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the connection ended before it was a WebSocket") from error
        _bound_buffer(request)
        telling = asyncio.create_task(_tell(console, request, socket, asked, settings.client_stall_s))
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await socket.close(code=1003, message=b"nothing is understood here")
        finally:
            telling.cancel()
            await asyncio.wait({telling})
        return socket
    finally:
        console.clients -= 1


def _is_handshake(request: web.Request) -> bool:
    """Return whether a request opens a WebSocket."""
    try:
        return web.WebSocketResponse().can_prepare(request).ok
    except ValueError:  # a key or a version that is no text
        return False


def _bound_buffer(request: web.Request) -> None:
    """Keep the kernel from holding megabytes for a client that does not read."""
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(SOL_SOCKET, SO_SNDBUF, _BUFFER_BYTES)


async def _tell(
    console: Console, request: web.Request, socket: web.WebSocketResponse, asked: StreamAsked, stall_s: float
) -> None:
    """Send what is new until the client is gone, or has taken nothing for too long."""
    mirror = console.mirror
    resumed = mirror.resumes(asked.epoch, asked.since)
    seq = asked.since if resumed else -1
    try:
        while not socket.closed:
            await mirror.changed(seq)
            if not console.gate.knows(request.headers):
                await socket.close(code=_POLICY, message=b"the token or session is not good any more")
                return
            message = mirror.delta(seq) if mirror.resumes(mirror.epoch, seq) else mirror.snapshot()
            seq = mirror.seq
            async with asyncio.timeout(stall_s):
                await socket.send_str(message.decode())
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        return


ROUTES = (
    Route(
        name="stream",
        method="GET",
        path="/api/stream",
        role="read",
        tag="stream",
        summary="A WebSocket that tells the state, and then every change of it",
        doc=(
            "Messages are JSON: a `Snapshot` first, then a `Delta` each time something has changed. Between two"
            " messages changes are conflated: a row that changed twice is sent once. Connect again with the epoch and"
            " the seq of the last message to go on from there."
        ),
        asked=StreamAsked,
        handler=_stream,
        answer=t.Snapshot | t.Delta,
        status=HTTPStatus.SWITCHING_PROTOCOLS,
        refusals={
            HTTPStatus.UPGRADE_REQUIRED: "the request is not one for a WebSocket",
            HTTPStatus.SERVICE_UNAVAILABLE: "too many clients, or nothing has been heard of the daemon yet",
        },
    ),
)
