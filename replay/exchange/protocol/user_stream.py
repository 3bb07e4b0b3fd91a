"""The user stream of spot, a part of its WebSocket API: subscribed to with a signature, told on that socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replay.exchange.model import BalancesChanged, Event, Executed, VenueError
from replay.exchange.protocol import shapes
from replay.exchange.protocol.operations import BY_METHOD
from replay.exchange.protocol.user_events import Outlet
from replay.exchange.protocol.ws_api import CONNECT_WEIGHT, Session, SocketApi, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replay.exchange.protocol.desk import Call, Desk


class SpotSocketApi(SocketApi):
    """The WebSocket API of spot, with its user streams.

    Args:
        desk: where sockets arrive.
    """

    def __init__(self, desk: Desk[Any]) -> None:
        super().__init__(desk, BY_METHOD, "ws")
        self._outlet = Outlet[Executed | BalancesChanged](desk.faults, self._send, _name)
        desk.venue.listen(self._hear, lambda: False)

    async def _result(self, session: Session, method: str, call: Call[Any], values: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
        if not method.startswith(("userDataStream.", "session.")):
            return await super()._result(session, method, call, values)
        self._desk.limits.charge(CONNECT_WEIGHT)
        return self._steer(session, method, call, values)

    def _steer(self, session: Session, method: str, call: Call[Any], values: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
        """Begin, end or list user streams."""
        subscriptions = session.subscriptions
        if method == "userDataStream.subscribe.signature":
            self.check(call, values)
            number = session.next_subscription
            session.next_subscription += 1
            subscriptions[number] = None
            return {"subscriptionId": number}
        if method == "userDataStream.unsubscribe":
            ended = call.params.integer("subscriptionId")
            for number in list(subscriptions) if ended is None else [ended]:
                subscriptions.pop(number, None)
            return {}
        if method == "session.subscriptions":
            return [{"subscriptionId": number} for number in subscriptions]
        self._desk.miss(call.occasion)
        raise VenueError(-1020, "This operation is not supported.")

    def _hear(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, (Executed, BalancesChanged)):
                self._outlet.put(event)

    def _send(self, event: Executed | BalancesChanged) -> None:
        content = (
            shapes.execution_report(self._desk.texts[event.order.id], event)
            if isinstance(event, Executed)
            else shapes.account_position(event)
        )
        occasion = _name(event)
        for session in list(self.sessions):
            for number in list(session.subscriptions):
                told = content
                if self._desk.faults.strikes("user_stream_terminated", occasion):
                    del session.subscriptions[number]
                    told = {"e": "eventStreamTerminated", "E": event.time_ms}
                session.connection.push(as_text({"subscriptionId": number, "event": told}), occasion)


def _name(event: Executed | BalancesChanged) -> str:
    return f"user executionReport {event.kind}" if isinstance(event, Executed) else "user outboundAccountPosition"
