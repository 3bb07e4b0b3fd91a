"""The WebSocket API: the operations of REST on a socket, and the user stream beside them.

Each request runs as a task of its own, so that one whose reply is held back holds up no other; requests begin in
the order they came.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from aiohttp import web

from replay.exchange.model import BalancesChanged, Event, Executed, VenueError
from replay.exchange.protocol import shapes
from replay.exchange.protocol.auth import socket_payload
from replay.exchange.protocol.desk import Call
from replay.exchange.protocol.operations import BY_METHOD
from replay.exchange.protocol.params import Params
from replay.exchange.protocol.rest import MAINTENANCE, UNKNOWN_STATUS, refused_for_load
from replay.exchange.protocol.shapes import encode
from replay.exchange.protocol.sockets import Connection
from replay.exchange.protocol.trading import error_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replay.exchange.protocol.desk import Desk
    from replay.exchange.protocol.shapes import Json

_CONNECT_WEIGHT = 2
_TOO_MANY = 429

log = structlog.get_logger()


class _Request(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: dict[str, Any] = {}


_decode = msgspec.json.Decoder(_Request).decode


class _Session:
    """One socket: its connection and its user streams."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.subscriptions: dict[int, None] = {}
        self.next_subscription = 0


class SocketApi:
    """Serves orders and the user stream over sockets.

    Args:
        desk: where sockets arrive.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sessions: dict[_Session, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[tuple[float, Executed | BalancesChanged]] = deque()
        desk.venue.listen(self._hear)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket."""
        if self._desk.faults.strikes("handshake_refused", request.path):
            return refused_for_load(_TOO_MANY, self._desk.faults.seconds("handshake_refused"))
        try:
            self._desk.limits.charge(_CONNECT_WEIGHT)
        except VenueError as error:
            return refused_for_load(error.status, 1.0)
        session = _Session(Connection(self._desk.faults))
        self._sessions[session] = None

        async def receive(text: str) -> None:
            task = asyncio.create_task(self._take(session, text))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        try:
            return await session.connection.serve(request, receive)
        finally:
            del self._sessions[session]

    async def close(self) -> None:
        """Say goodbye to every client, and to what still waits to be answered."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(session.connection.say_goodbye() for session in list(self._sessions)))

    # --- requests ---------------------------------------------------------------------------------------

    async def _take(self, session: _Session, text: str) -> None:
        try:
            request = _decode(text)
        except msgspec.DecodeError:
            error = {"code": -1135, "msg": "Invalid JSON Request"}
            session.connection.reply(_text({"id": None, "status": 400, "error": error}), "ws malformed")
            return
        occasion = f"ws {request.method}"
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
            session.connection.reply(_text({"id": request.id} | answer), occasion)

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

    async def _run(self, session: _Session, request: _Request, occasion: str) -> Json:
        try:
            result = await self._result(session, request, occasion)
        except VenueError as error:
            content: Json = {"code": error.code, "msg": error.text}
            data = error_data(error)
            if data is not None:
                content["data"] = data
            return {"status": error.status, "error": content, "rateLimits": self._desk.limits.counts()}
        return {"status": 200, "result": result, "rateLimits": self._desk.limits.counts()}

    async def _result(self, session: _Session, request: _Request, occasion: str) -> Any:  # noqa: ANN401 - JSON
        values = {name: _word(value) for name, value in request.params.items()}
        params = Params(values, strict=False)
        call = Call(self._desk, params, occasion)
        if request.method.startswith(("userDataStream.", "session.")):
            self._desk.limits.charge(_CONNECT_WEIGHT)
            return self._steer(session, request.method, call, values)
        operation = BY_METHOD.get(request.method)
        if operation is None:
            self._desk.miss(occasion)
            raise VenueError(-1020, "This operation is not supported.")
        self._desk.limits.charge(operation.weight(params))
        if operation.key:
            self._desk.doorkeeper.check_key(values.get("apiKey"))
        if operation.signed:
            self._check(call, values)
        return await operation.run(call)

    def _check(self, call: Call, values: dict[str, str]) -> None:
        self._desk.doorkeeper.check_key(values.get("apiKey"))
        self._desk.doorkeeper.check_signature(socket_payload(values), values.get("signature"))
        call.check_time()

    # --- the user stream --------------------------------------------------------------------------------

    def _steer(self, session: _Session, method: str, call: Call, values: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
        """Begin, end or list user streams."""
        if method == "userDataStream.subscribe.signature":
            self._check(call, values)
            number = session.next_subscription
            session.next_subscription += 1
            session.subscriptions[number] = None
            return {"subscriptionId": number}
        if method == "userDataStream.unsubscribe":
            ended = call.params.integer("subscriptionId")
            for number in list(session.subscriptions) if ended is None else [ended]:
                session.subscriptions.pop(number, None)
            return {}
        if method == "session.subscriptions":
            return [{"subscriptionId": number} for number in session.subscriptions]
        self._desk.miss(f"ws {method}")
        raise VenueError(-1020, "This operation is not supported.")

    def _hear(self, events: Sequence[Event]) -> None:
        """Send what concerns the account: at once, or after a while where a fault has it so."""
        faults = self._desk.faults
        loop = asyncio.get_running_loop()
        for event in events:
            if not isinstance(event, (Executed, BalancesChanged)):
                continue
            late_s = faults.seconds("reply_before_event") if faults.strikes("reply_before_event", _name(event)) else 0.0
            if not late_s and not self._waiting:
                self._send(event)
                continue
            due_s = max(loop.time() + late_s, self._waiting[-1][0] if self._waiting else 0.0)
            self._waiting.append((due_s, event))
            loop.call_at(due_s, self._send_waiting)

    def _send_waiting(self) -> None:
        self._send(self._waiting.popleft()[1])

    def _send(self, event: Executed | BalancesChanged) -> None:
        content = (
            shapes.execution_report(self._desk.texts[event.order.id], event)
            if isinstance(event, Executed)
            else shapes.account_position(event)
        )
        occasion = _name(event)
        for session in list(self._sessions):
            for number in list(session.subscriptions):
                told = content
                if self._desk.faults.strikes("user_stream_terminated", occasion):
                    del session.subscriptions[number]
                    told = {"e": "eventStreamTerminated", "E": event.time_ms}
                session.connection.push(_text({"subscriptionId": number, "event": told}), occasion)


def _name(event: Executed | BalancesChanged) -> str:
    return f"user executionReport {event.kind}" if isinstance(event, Executed) else "user outboundAccountPosition"


def _word(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a parameter as it is signed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else encode(value).decode()


def _text(content: Json) -> str:
    return encode(content).decode()
