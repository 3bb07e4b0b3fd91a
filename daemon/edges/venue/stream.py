"""The private stream of a venue: one owner, no event lost between two calls, no connection that only seems alive.

ccxt's own way of watching keeps what arrives in a cache and wakes whoever happens to wait; what arrives in between
is seen late or never, a close that meets nobody is not told at all, and an error in a handler ends its reading
for good without a word. So the events are taken where they are parsed, every closed connection is reported, and
a frame that makes no sense breaks the stream.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from daemon.edges.venue.stops import told
from daemon.log import hide

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Push = tuple[Any, Any]
"""What the venue told: an order or None, an execution or None, as ccxt's structures; or None and word of funding."""


class FundingWord(NamedTuple):
    """That funding was paid: how much, and on what, the venue tells only who asks."""

    paid_ns: int
    said: str
    """The event itself: the venue may say it twice, and may say another at the very same time."""


_EXECUTIONS = ("TRADE", "CALCULATED")
"""What Binance calls executions; the second are those of its own orders."""
_CONNECTED_LOOK_S = 0.02
_CLOSED = "the connection was closed"
_NONSENSE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def private_stream(base: Any, *, family: bool) -> Any:  # noqa: ANN401 - ccxt is not typed
    """Return a subclass of an exchange class of ccxt.pro that owns its private stream.

    Args:
        base: the exchange's class.
        family: whether it is Binance or one that is made from it; others are heard through `watch_orders` and
            `watch_my_trades`, which may join several states of one order into its last.
    """
    return type(base.__name__, (_Family if family else _Owner, base), {})


class _Owner:
    """What every exchange gets."""

    clients: dict[str, Any]
    has: dict[str, Any]

    _lost: asyncio.Future[None] | None = None
    _push: Callable[[Push], None] | None = None
    _closing: set[asyncio.Future[Any]]

    async def own_stream(
        self, on_up: Callable[[], Awaitable[None]], on_push: Callable[[Push], None], timeout_s: float
    ) -> None:
        """Connect, subscribe, and wait until that breaks; then it raises."""
        self._closing = set()
        self._push = on_push
        lost = self._lost = asyncio.get_running_loop().create_future()
        pumps: list[asyncio.Task[None]] = []
        try:
            await anyio.sleep(self._venue_wants_s())
            with anyio.fail_after(timeout_s):
                await self._subscribe()
                pumps = [asyncio.create_task(_pump(watch, deliver)) for watch, deliver in self._sources()]
                while not (lost.done() or any(client.isConnected for client in self.clients.values())):
                    await asyncio.wait({lost, *pumps}, timeout=_CONNECTED_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                    _raise_first(lost, *pumps)
            if not lost.done():
                await on_up()
            await asyncio.wait({lost, *pumps}, return_when=asyncio.FIRST_COMPLETED)
            _raise_first(lost, *pumps)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise _network_error(_CLOSED) from None
        finally:
            self._lose("the stream is not wanted any more")
            self._lost = None
            with anyio.CancelScope(shield=True):
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(lost, *pumps, return_exceptions=True)

    async def drop_stream(self, reason: str) -> None:
        """Close all connections and forget them, so that nothing of them is used again."""
        error = _network_error(reason)
        clients, self.clients = list(self.clients.values()), {}
        for client in clients:
            client.error = error
            for future in client.futures.values():
                future.add_done_callback(_take_note)
            client.reject(error)
        self._lose(reason)
        await asyncio.gather(*(client.aiohttp_close() for client in clients), return_exceptions=True)

    async def _subscribe(self) -> None:
        """Subscribe, where that is a step of its own."""

    def _sources(self) -> list[tuple[Callable[[], Awaitable[Any]], Callable[[Any], None]]]:
        """Return what is watched and where it goes."""
        sources: list[tuple[Callable[[], Awaitable[Any]], Callable[[Any], None]]] = [
            (self.watch_orders, lambda order: self._tell(order, None))  # type: ignore[attr-defined]
        ]
        if self.has.get("watchMyTrades"):
            sources.append((self.watch_my_trades, lambda trade: self._tell(None, trade)))  # type: ignore[attr-defined]
        return sources

    def _tell(self, order: Any, trade: Any) -> None:  # noqa: ANN401 - ccxt's structures
        if self._push is not None:
            self._push((order, trade))

    def _venue_wants_s(self) -> float:
        """Return how long the venue, or ccxt on its behalf, wants us to wait before the next dial."""
        delays: list[float] = [
            self.ws_dial_delay(url)  # type: ignore[attr-defined]
            for url in getattr(self, "ws_dial_backoff", None) or {}
        ]
        return max(delays, default=0.0)

    def _lose(self, reason: str) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_exception(_network_error(reason))

    # --- ccxt's callbacks ---------------------------------------------------------------------------

    def client(self, url: str) -> Any:  # noqa: ANN401 - ccxt is not typed
        """Return the connection to `url`; a new one reads its frames under our eyes."""
        known = url in self.clients
        client = super().client(url)  # type: ignore[misc]
        if not known:
            client.handle_message = functools.partial(self._take_frame, client)
        return client

    def _take_frame(self, client: Any, frame: Any) -> None:  # noqa: ANN401 - ccxt is not typed
        try:
            type(client).handle_message(client, frame)
        except _NONSENSE as error:
            self._break(client, f"a frame makes no sense: {type(error).__name__}: {error}")

    def _break(self, client: Any, reason: str) -> None:  # noqa: ANN401 - ccxt is not typed
        client.on_error(_network_error(reason))

    def on_connected(self, client: Any, message: Any = None) -> None:  # noqa: ANN401 - ccxt is not typed
        """Close a connection that came too late to be wanted."""
        super().on_connected(client, message)  # type: ignore[misc]
        if self.clients.get(client.url) is not client:
            closing = asyncio.ensure_future(client.aiohttp_close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def on_close(self, client: Any, code: Any) -> None:  # noqa: ANN401 - ccxt is not typed
        """Report a close once: ccxt tells it twice, and the second time it would drop the successor."""
        if self.clients.get(client.url) is client:
            super().on_close(client, code)  # type: ignore[misc]
            self._lose(f"the venue closed the connection, code {code}")

    def on_error(self, client: Any, error: Any) -> None:  # noqa: ANN401 - ccxt is not typed
        """Report an error of a connection that is in use."""
        if self.clients.get(client.url) is client:
            super().on_error(client, error)  # type: ignore[misc]
            self._lose(str(error))


class _Family(_Owner):
    """What Binance and its like get: events taken where they are parsed."""

    options: dict[str, Any]

    async def _subscribe(self) -> None:
        for options in self.options.values():
            if isinstance(options, dict) and "listenKey" in options:
                options["lastAuthenticatedTime"] = 0  # the key of a stream that broke may be worth nothing
        try:
            await self.authenticate()  # type: ignore[attr-defined]
        except KeyError as error:  # ccxt trips over its own tidying up after a refusal
            raise error.__context__ or error from None
        for options in self.options.values():
            if isinstance(options, dict) and isinstance(options.get("listenKey"), str):
                hide(options["listenKey"])  # part of the address that errors quote; whoever has it can read along

    def _sources(self) -> list[tuple[Callable[[], Awaitable[Any]], Callable[[Any], None]]]:
        return [(self.watch_orders, lambda order: self._tell(order, None))]  # type: ignore[attr-defined]

    def handle_order_update(self, _: Any, message: Any) -> None:  # noqa: ANN401 - ccxt is not typed
        """Take an event of an order; ccxt's caches are not fed, so that nobody is tempted to read them."""
        kind = message.get("e")
        body = message["o"] if kind in {"ORDER_TRADE_UPDATE", "ALGO_UPDATE"} else message
        order = self.parse_ws_order(body)  # type: ignore[attr-defined]
        if kind == "ALGO_UPDATE":
            self._tell(told(order), None)
            return
        # of an execution the venue itself ordered ccxt takes the wrong fields, unless it goes by the usual name
        trade = self.parse_ws_trade(body | {"x": "TRADE"}) if body.get("x") in _EXECUTIONS else None  # type: ignore[attr-defined]
        self._tell(order, trade)

    def handle_event_stream_terminated(self, client: Any, message: Any) -> None:  # noqa: ANN401 - ccxt is not typed
        """Break the stream: ccxt tells nobody who waits."""
        if message.get("e") == "eventStreamTerminated":
            self._break(client, "the venue ended the user data stream")

    def handle_message(self, client: Any, message: Any) -> None:  # noqa: ANN401 - ccxt is not typed
        """Break the stream when a listen key expires, which ccxt overlooks."""
        event = message.get("event") or message if isinstance(message, dict) else {}
        if event.get("e") == "listenKeyExpired":
            for options in self.options.values():
                if isinstance(options, dict) and "listenKey" in options:
                    options["lastAuthenticatedTime"] = 0
            self._break(client, "the listen key expired")
            return
        if event.get("e") == "ACCOUNT_UPDATE" and (event.get("a") or {}).get("m") == "FUNDING_FEE":
            paid_ns = int(event.get("T") or event.get("E") or 0) * 1_000_000
            self._tell(None, FundingWord(paid_ns, repr(event)))
        super().handle_message(client, message)  # type: ignore[misc]


async def _pump(watch: Callable[[], Awaitable[Any]], deliver: Callable[[Any], None]) -> None:
    """Hand on what a watch call returns, and do nothing else in between."""
    while True:
        for row in await watch():
            deliver(row)


def _take_note(future: asyncio.Future[Any]) -> None:
    """Look at an error nobody waits for, so that asyncio does not complain."""
    if not future.cancelled():
        future.exception()


def _raise_first(*futures: asyncio.Future[None]) -> None:
    for future in futures:
        if future.done():
            future.result()


def _network_error(reason: str) -> Exception:
    error: Exception = importlib.import_module("ccxt").NetworkError(reason)
    return error
