"""The two families of markets as they are served: spot, and perpetuals, each with its own REST and its own sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from replay.exchange.protocol.futures_operations import tables
from replay.exchange.protocol.futures_streams import FuturesStreams
from replay.exchange.protocol.futures_user import FuturesUserStream, ListenKeys
from replay.exchange.protocol.operations import BY_ROUTE
from replay.exchange.protocol.rest import Rest
from replay.exchange.protocol.streams import Streams
from replay.exchange.protocol.user_stream import SpotSocketApi
from replay.exchange.protocol.ws_api import SocketApi

if TYPE_CHECKING:
    from aiohttp import web

    from replay.exchange.engine import Engine
    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.protocol.desk import Desk

Handler = Callable[["web.Request"], Awaitable["web.StreamResponse"]]

_SPOT_STREAMS = ("stream", "ws")
_FUTURES_STREAMS = ("public", "market")
_FUTURES_ROOT = "/futures"
_PRIVATE = "private"


class Family(NamedTuple):
    """What is served of a family of markets."""

    desk: Desk[Any]
    rest: Rest
    streams: Streams
    socket_api: SocketApi
    user_stream: FuturesUserStream | None = None
    """On sockets of its own, which spot has not."""

    @property
    def of_contracts(self) -> bool:
        """Whether these are perpetuals."""
        return self.user_stream is not None

    def socket(self, path: str) -> Handler | None:
        """Return who serves a socket at this address, None if nobody does."""
        if self.user_stream is None:
            if path == "/ws-api/v3":
                return self.socket_api.handle
            return self.streams.handle if path.split("/")[1] in _SPOT_STREAMS else None
        if path == "/ws-fapi/v1":
            return self.socket_api.handle
        first = path.removeprefix(_FUTURES_ROOT).split("/")[1]
        if first == _PRIVATE:
            return self.user_stream.handle
        return self.streams.handle if first in _FUTURES_STREAMS else None

    async def close(self) -> None:
        """Say goodbye to every client."""
        await self.streams.close()
        await self.socket_api.close()
        if self.user_stream is not None:
            await self.user_stream.close()


def spot_family(desk: Desk[Engine], messages_per_s: int) -> Family:
    """Return the spot markets as they are served.

    Args:
        desk: where everything arrives.
        messages_per_s: what a client may send on a market socket; 0 for any number.
    """
    return Family(desk, Rest(desk, BY_ROUTE), Streams(desk, messages_per_s), SpotSocketApi(desk))


def futures_family(desk: Desk[PerpetualEngine], messages_per_s: int, listen_key_s: float) -> Family:
    """Return the perpetuals as they are served.

    Args:
        desk: where everything arrives.
        messages_per_s: what a client may send on a market socket; 0 for any number.
        listen_key_s: how long the user stream lasts without being renewed.
    """
    keys = ListenKeys(listen_key_s)
    routes, methods = tables(keys)
    streams = FuturesStreams(desk, messages_per_s)
    return Family(desk, Rest(desk, routes), streams, SocketApi(desk, methods, "ws-fapi"), FuturesUserStream(desk, keys))
