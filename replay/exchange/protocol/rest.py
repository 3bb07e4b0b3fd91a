"""REST: from a request to an operation and back, with every fault that can strike on the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import web

from replay.exchange.model import VenueError
from replay.exchange.protocol.auth import split_signature
from replay.exchange.protocol.desk import Call
from replay.exchange.protocol.limits import LimitError
from replay.exchange.protocol.params import Params
from replay.exchange.protocol.shapes import encode
from replay.exchange.protocol.trading import error_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replay.exchange.protocol.desk import Desk
    from replay.exchange.protocol.operations import Operation
    from replay.exchange.protocol.shapes import Json

_PAGE = (
    b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
)
UNKNOWN_STATUS = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
MAINTENANCE = "System is under maintenance."


class Rest:
    """Answers every request of one family of markets that opens no socket.

    Args:
        desk: where requests arrive.
        routes: its operations by method and path.
    """

    def __init__(self, desk: Desk[Any], routes: Mapping[str, Operation]) -> None:
        self._desk = desk
        self._routes = routes

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        route = f"{request.method} {request.path}"
        operation = self._routes.get(route)
        if operation is None:
            self._desk.miss(route)
            return _answer({"code": -1020, "msg": f"There is no {route} here."}, 404)
        self._desk.requests[route] += 1
        faults = self._desk.faults
        if faults.strikes("latency", route):
            await asyncio.sleep(faults.seconds("latency") * faults.fraction("latency"))
        if faults.strikes("request_lost", route):
            return _cut(request)
        refusal = self._refusal(route)
        response = await self._run(request, operation, route) if refusal is None else refusal
        return await self._deliver(request, response, route)

    def _refusal(self, route: str) -> web.Response | None:
        """Return the answer of an exchange that is in no state to carry anything out."""
        faults = self._desk.faults
        if faults.strikes("maintenance", route):
            return _answer({"code": -1, "msg": MAINTENANCE}, 503)
        if faults.strikes("bad_gateway", route):
            return web.Response(body=_PAGE, status=502, content_type="text/html")
        for name, status in (("rate_limit_storm", 429), ("banned", 418)):
            if faults.strikes(name, route):
                return refused_for_load(status, faults.seconds(name))
        return None

    async def _run(self, request: web.Request, operation: Operation, route: str) -> web.Response:
        limits = self._desk.limits
        try:
            query = request.raw_path.partition("?")[2]
            body = (await request.read()).decode(errors="replace")
            signed_query, query_signature = split_signature(query)
            signed_body, body_signature = split_signature(body)
            params = Params(
                dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(body, keep_blank_values=True))
            )
            limits.charge(operation.weight(params))
            call = Call(self._desk, params, route)
            if operation.signed or operation.key:
                self._desk.doorkeeper.check_key(request.headers.get("X-MBX-APIKEY"))
            if operation.signed:
                self._desk.doorkeeper.check_signature(signed_query + signed_body, query_signature or body_signature)
                call.check_time()
            result = await operation.run(call)
        except VenueError as error:
            return self._error(error)
        return _answer(result, 200, limits.headers())

    def _error(self, error: VenueError) -> web.Response:
        content: Json = {"code": error.code, "msg": error.text}
        headers = self._desk.limits.headers()
        data = error_data(error)
        if isinstance(error, LimitError):
            headers["Retry-After"] = str(error.retry_after_s)
        elif data is not None:
            content["data"] = data
        return _answer(content, error.status, headers)

    async def _deliver(self, request: web.Request, response: web.Response, route: str) -> web.StreamResponse:
        """Return the reply as it is, or what a fault leaves of it."""
        faults = self._desk.faults
        for name in ("event_before_reply", "reply_delayed"):
            if faults.strikes(name, route):
                await asyncio.sleep(faults.seconds(name))
        if faults.strikes("reply_lost", route):
            return _cut(request)
        body = response.body if isinstance(response.body, bytes) else b""
        if faults.strikes("reply_empty", route):
            return web.Response(body=b"", content_type="application/json")
        if faults.strikes("reply_broken", route):
            return web.Response(body=body[: len(body) // 2], content_type="application/json")
        if faults.strikes("status_unknown", route):
            return _answer({"code": -1007, "msg": UNKNOWN_STATUS}, 504)
        return response


def refused_for_load(status: int, retry_after_s: float) -> web.Response:
    """Return the answer to who asks too much."""
    text = "Too much request weight used; please use WebSocket Streams for live updates to avoid polling the API."
    return _answer({"code": -1003, "msg": text}, status, {"Retry-After": str(max(1, round(retry_after_s)))})


def refused(status: int, code: int, text: str) -> web.Response:
    """Return the answer to a handshake that comes to nothing."""
    return _answer({"code": code, "msg": text}, status)


def _answer(content: Any, status: int, headers: dict[str, str] | None = None) -> web.Response:  # noqa: ANN401 - JSON
    return web.Response(body=encode(content), status=status, content_type="application/json", headers=headers)


def _cut(request: web.Request) -> web.StreamResponse:
    """End the connection; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
