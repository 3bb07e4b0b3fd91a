"""The user stream of perpetuals: a key that must be renewed, and sockets that are told what concerns the account."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import structlog

from replay.exchange.model import (
    ConditionalChanged,
    Event,
    Executed,
    LeverageChanged,
    MarginCalled,
    PositionsChanged,
    VenueError,
)
from replay.exchange.protocol import futures_account_shapes, futures_shapes
from replay.exchange.protocol.rest import refused, refused_for_load
from replay.exchange.protocol.sockets import Connection
from replay.exchange.protocol.user_events import Outlet
from replay.exchange.protocol.ws_api import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp import web

    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.protocol.desk import Call, Desk
    from replay.exchange.protocol.shapes import Json

KEY_LASTS_S = 3_600.0
_TOO_MANY = 429
_UNAUTHORIZED = 401
_NO_SUCH_KEY = "This listenKey does not exist."

UserEvent = Executed | PositionsChanged | LeverageChanged | ConditionalChanged | MarginCalled

log = structlog.get_logger()


class ListenKeys:
    """The key of the account's user stream: one at a time, and only while it is renewed.

    Args:
        lasts_s: how long it is valid without being renewed.
    """

    def __init__(self, lasts_s: float = KEY_LASTS_S) -> None:
        self._lasts_s = lasts_s
        self._key: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watchers: list[Callable[[str], None]] = []

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Have `watcher` called with a key that has expired."""
        self._watchers.append(watcher)

    def is_valid(self, key: str | None) -> bool:
        """Return whether this is the key."""
        return key is not None and key == self._key

    def expire(self) -> None:
        """Let the key end as if nobody had renewed it."""
        key, self._key = self._key, None
        self.close()
        if key is not None:
            for watcher in self._watchers:
                watcher(key)

    def close(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- operations -------------------------------------------------------------------------------------

    async def start(self, call: Call[PerpetualEngine]) -> Json:
        """Return the key, renewed; a new one if there is none."""
        call.params.finish()
        self._key = self._key or secrets.token_hex(32)
        self._renew()
        return {"listenKey": self._key}

    async def extend(self, call: Call[PerpetualEngine]) -> Json:
        """Renew the key.

        Raises:
            VenueError: -1125, there is none.
        """
        self._check(call)
        self._renew()
        return {"listenKey": self._key}

    async def end(self, call: Call[PerpetualEngine]) -> Json:
        """End the key.

        Raises:
            VenueError: -1125, there is none.
        """
        self._check(call)
        self._key = None
        self.close()
        return {}

    def _check(self, call: Call[PerpetualEngine]) -> None:
        named = call.params.text("listenKey")
        call.params.finish()
        if self._key is None or named not in {None, self._key}:
            raise VenueError(-1125, _NO_SUCH_KEY)

    def _renew(self) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_later(self._lasts_s, self.expire)


class FuturesUserStream:
    """Serves the private sockets.

    Args:
        desk: where they arrive.
        keys: with which they may be opened.
    """

    def __init__(self, desk: Desk[PerpetualEngine], keys: ListenKeys) -> None:
        self._desk = desk
        self._keys = keys
        self._sessions: dict[Connection, str] = {}
        """The key of each socket."""
        self._wallets = {wallet.asset: wallet.wallet_atoms for wallet in desk.venue.engine.wallets()}
        self._outlet = Outlet[UserEvent](desk.faults, self._send, _name)
        keys.watch(self._say_expired)
        desk.venue.listen(self._hear, lambda: False)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket."""
        if self._desk.faults.strikes("handshake_refused", request.path):
            return refused_for_load(_TOO_MANY, self._desk.faults.seconds("handshake_refused"))
        key = request.query.get("listenKey") or request.path.rpartition("/")[2]
        if not self._keys.is_valid(key):
            return refused(_UNAUTHORIZED, -1125, _NO_SUCH_KEY)
        connection = Connection(self._desk.faults, self._desk.pings)
        self._sessions[connection] = key

        async def receive(text: str) -> None:
            log.debug("private_socket_asked", text=text)

        try:
            return await connection.serve(request, receive)
        finally:
            del self._sessions[connection]

    async def close(self) -> None:
        """Say goodbye to every client."""
        self._keys.close()
        await asyncio.gather(*(connection.say_goodbye() for connection in list(self._sessions)))

    def _hear(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, UserEvent):
                self._outlet.put(event)

    def _send(self, event: UserEvent) -> None:
        content, occasion = self._content(event), _name(event)
        text = as_text(content)
        for connection, key in list(self._sessions.items()):
            if not self._keys.is_valid(key):
                continue
            if self._desk.faults.strikes("listen_key_expired", occasion):
                self._keys.expire()
                return
            connection.push(text, occasion)

    def _say_expired(self, expired: str) -> None:
        now_ms = self._desk.venue.now_ms()
        text = as_text({"e": "listenKeyExpired", "E": now_ms, "listenKey": expired})
        for connection, key in list(self._sessions.items()):
            if key == expired:
                connection.push(text, "futures user listenKeyExpired")

    def _content(self, event: UserEvent) -> dict[str, Any]:
        texts = self._desk.texts
        if isinstance(event, Executed):
            return futures_shapes.order_update(texts[event.order.id], event)
        if isinstance(event, LeverageChanged):
            return futures_account_shapes.leverage_update(event)
        if isinstance(event, MarginCalled):
            return futures_account_shapes.margin_call(texts, event)
        if isinstance(event, ConditionalChanged):
            wish = event.conditional
            engine = self._desk.venue.engine
            placed = engine.order(wish.id, order_id=wish.actual_order_id) if wish.actual_order_id else None
            return futures_shapes.conditional_update(texts[wish.id], event, placed)
        changes = {
            wallet.asset: 0 if event.reason == "ORDER" else wallet.wallet_atoms - self._wallets.get(wallet.asset, 0)
            for wallet in event.wallets
        }
        self._wallets |= {wallet.asset: wallet.wallet_atoms for wallet in event.wallets}
        return futures_account_shapes.account_update(texts, event, changes)


def _name(event: UserEvent) -> str:
    """Return the occasion of an event, for faults."""
    if isinstance(event, Executed):
        return f"futures user ORDER_TRADE_UPDATE {event.kind}"
    if isinstance(event, PositionsChanged):
        return f"futures user ACCOUNT_UPDATE {event.reason}"
    if isinstance(event, ConditionalChanged):
        return f"futures user ALGO_UPDATE {event.conditional.status}"
    if isinstance(event, MarginCalled):
        return "futures user MARGIN_CALL"
    return "futures user ACCOUNT_CONFIG_UPDATE"
