"""The WebSocket API: the operations of REST on a socket.

Each request runs as a task of its own, so that one whose reply is held back holds up no other; requests begin in
the order they came.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from aiohttp import web

from replay.exchange.model import VenueError
from replay.exchange.protocol.auth import socket_payload
from replay.exchange.protocol.desk import Call
from replay.exchange.protocol.params import Params
from replay.exchange.protocol.rest import MAINTENANCE, UNKNOWN_STATUS, refused_for_load
from replay.exchange.protocol.shapes import encode
from replay.exchange.protocol.sockets import Connection
from replay.exchange.protocol.trading import error_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replay.exchange.protocol.desk import Desk
    from replay.exchange.protocol.operations import Operation
    from replay.exchange.protocol.shapes import Json

CONNECT_WEIGHT = 2
"""Of a socket, and of what it asks for about itself."""
_TOO_MANY = 429

log = structlog.get_logger()


class _Request(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: dict[str, Any] = {}


_decode = msgspec.json.Decoder(_Request).decode


class Session:
    """One socket.

    Args:
        connection: its connection.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.subscriptions: dict[int, None] = {}
        """User streams on it, which only spot has there."""
        self.next_subscription = 0


class SocketApi:
    """Serves operations over sockets.

    Args:
        desk: where sockets arrive.
        methods: the operations by name.
        name: what the occasions of its requests begin with.

    Attributes:
        sessions: the sockets that are open.
    """

    def __init__(self, desk: Desk[Any], methods: Mapping[str, Operation], name: str) -> None:
        self._desk = desk
        self._methods = methods
        self._name = name
        self.sessions: dict[Session, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket."""
        if self._desk.faults.strikes("handshake_refused", request.path):
            return refused_for_load(_TOO_MANY, self._desk.faults.seconds("handshake_refused"))
        try:
            self._desk.limits.charge(CONNECT_WEIGHT)
        except VenueError as error:
            return refused_for_load(error.status, 1.0)
        session = Session(Connection(self._desk.faults, self._desk.pings))
        self.sessions[session] = None

        async def receive(text: str) -> None:
            task = asyncio.create_task(self._take(session, text))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        try:
            return await session.connection.serve(request, receive)
        finally:
            del self.sessions[session]

    async def close(self) -> None:
        """Say goodbye to every client, and to what still waits to be answered."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(session.connection.say_goodbye() for session in list(self.sessions)))

    # --- requests ---------------------------------------------------------------------------------------

    async def _take(self, session: Session, text: str) -> None:
        try:
            request = _decode(text)
        except msgspec.DecodeError:
            error = {"code": -1135, "msg": "Invalid JSON Request"}
            session.connection.reply(as_text({"id": None, "status": 400, "error": error}), f"{self._name} malformed")
            return
        occasion = f"{self._name} {request.method}"
        faults = self._desk.faults
        self._desk.requests[occasion] += 1
        if faults.strikes("latency", occasion):
            await asyncio.sleep(faults.seconds("latency") * faults.fraction("latency"))
        if faults.strikes("request_lost", occasion):
            session.connection.close()
            return
        answer = self._refusal(occasion) or await self._run(session, request, occasion)
        for name in ("event_before_reply", "reply_delayed"):
            if faults.strikes(name, occasion):
                await asyncio.sleep(faults.seconds(name))
        if faults.strikes("reply_lost", occasion):
            session.connection.close()
            return
        if faults.strikes("status_unknown", occasion):
            answer = {"status": 504, "error": {"code": -1007, "msg": UNKNOWN_STATUS}}
        if not faults.strikes("ws_unanswered", occasion):
            session.connection.reply(as_text({"id": request.id} | answer), occasion)

    def _refusal(self, occasion: str) -> Json | None:
        """Return the answer of an exchange that is in no state to carry anything out."""
        faults = self._desk.faults
        if faults.strikes("maintenance", occasion):
            return {"status": 503, "error": {"code": -1, "msg": MAINTENANCE}}
        for name, status in (("rate_limit_storm", _TOO_MANY), ("banned", 418)):
            if faults.strikes(name, occasion):
                wait = {"retryAfter": faults.seconds(name)}
                return {"status": status, "error": {"code": -1003, "msg": "Too many requests.", "data": wait}}
        return None

    async def _run(self, session: Session, request: _Request, occasion: str) -> Json:
        try:
            values = {name: _word(value) for name, value in request.params.items()}
            call = Call(self._desk, Params(values, strict=False), occasion)
            result = await self._result(session, request.method, call, values)
        except VenueError as error:
            content: Json = {"code": error.code, "msg": error.text}
            data = error_data(error)
            if data is not None:
                content["data"] = data
            return {"status": error.status, "error": content, "rateLimits": self._desk.limits.counts()}
        return {"status": 200, "result": result, "rateLimits": self._desk.limits.counts()}

    async def _result(
        self,
        session: Session,  # noqa: ARG002 - the user streams of spot belong to a socket
        method: str,
        call: Call[Any],
        values: Mapping[str, str],
    ) -> Any:  # noqa: ANN401 - JSON
        """Carry a request out."""
        operation = self._methods.get(method)
        if operation is None:
            self._desk.miss(call.occasion)
            raise VenueError(-1020, "This operation is not supported.")
        self._desk.limits.charge(operation.weight(call.params))
        if operation.key:
            self._desk.doorkeeper.check_key(values.get("apiKey"))
        if operation.signed:
            self.check(call, values)
        return await operation.run(call)

    def check(self, call: Call[Any], values: Mapping[str, str]) -> None:
        """Let in who has signed the request, and lately.

        Raises:
            VenueError: the key, the signature or the time is wrong.
        """
        self._desk.doorkeeper.check_key(values.get("apiKey"))
        self._desk.doorkeeper.check_signature(socket_payload(values), values.get("signature"))
        call.check_time()


def _word(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a parameter as it is signed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else encode(value).decode()


def as_text(content: Json) -> str:
    """Return a message as it is sent."""
    return encode(content).decode()
