"""A venue that misbehaves on purpose: the few endpoints of Binance the gateway needs, each request scripted."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from actors.instrument import Instrument
from actors.messages import Message, OrderRequest, SendOrder, VenueLink
from config.schema import Exchange
from daemon.edges.venue.client import VenueClient, connect
from daemon.edges.venue.gateway import Gateway

PATIENCE_S = 10.0
PREFIX = "pbtest"
SYMBOL = "BTC/USDT"
_INFO = {
    "timezone": "UTC",
    "serverTime": 0,
    "rateLimits": [],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT"],
            "permissions": ["SPOT"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001000"},
                {"filterType": "NOTIONAL", "minNotional": "5.00000000"},
            ],
        }
    ],
}


@dataclass
class Order:
    """One order of the stub."""

    number: int
    client_id: str
    side: str
    kind: str
    quantity: Decimal
    price: str = "0.00000000"
    filled: Decimal = Decimal(0)
    status: str = "NEW"
    terms: dict[str, str] = field(default_factory=dict)

    def row(self, **more: Any) -> dict[str, Any]:
        return {
            "symbol": "BTCUSDT",
            "orderId": self.number,
            "orderListId": -1,
            "clientOrderId": self.client_id,
            "price": self.price,
            "origQty": f"{self.quantity:.8f}",
            "executedQty": f"{self.filled:.8f}",
            "cummulativeQuoteQty": f"{self.filled * 100:.8f}",
            "status": self.status,
            "timeInForce": "GTC",
            "type": self.kind,
            "side": self.side,
            "time": 1_700_000_000_000,
            "updateTime": 1_700_000_000_000,
            "transactTime": 1_700_000_000_000,
            **more,
        }


Answer = tuple[int, str]
"""HTTP status and body."""
Twist = Callable[["Stub", web.Request, dict[str, str]], Any]
"""Takes a request instead of the stub: returns a response, or None after having cut the connection."""


class Stub:
    """The venue: market orders fill at 100, limit orders rest, everything else is scripted."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.trades: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.script: dict[str, deque[Twist]] = {}
        self.sockets: list[web.WebSocketResponse] = []
        self.dials = 0
        self.subscriptions = 0
        self.on_subscribe: deque[str] = deque()
        self.speaks = True
        self.event_terms: dict[str, Any] = {}
        self.replacement_error: dict[str, Any] | None = None
        """What a replacement is refused with, after the order it was to replace is gone."""
        self.balances = {"USDT": "1000.00000000", "BTC": "0.50000000"}
        self.headers: dict[str, str] = {}
        self.info: Any = copy.deepcopy(_INFO)
        self.url = ""

    # --- what tests do ------------------------------------------------------------------------------

    def twist(self, what: str, *twists: Twist) -> None:
        """Have the next requests of a kind, such as ``POST order``, taken by these."""
        self.script.setdefault(what, deque()).extend(twists)

    def count(self, what: str) -> int:
        """Return how many requests of a kind arrived."""
        return sum(f"{method} {name}" == what for method, name, _ in self.requests)

    async def push(self, event: dict[str, Any]) -> None:
        """Tell an event on all user streams."""
        for socket in list(self.sockets):
            if not socket.closed:
                await socket.send_str(json.dumps({"subscriptionId": 0, "event": event}))

    async def fill(self, client_id: str, quantity: str, price: str = "100.00", *, tell: bool = True) -> dict[str, Any]:
        """Execute part of a resting order."""
        order = self.orders[client_id]
        trade = self._execute(order, Decimal(quantity), price, maker=True)
        if tell:
            await self.push(self.report(order, "TRADE", trade))
        return trade

    def report(self, order: Order, kind: str, trade: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return an executionReport."""
        trade = trade or {}
        return {
            "e": "executionReport",
            "E": 1_700_000_000_000,
            "s": "BTCUSDT",
            "c": order.client_id if kind != "CANCELED" else "cancel-1",
            "C": "" if kind != "CANCELED" else order.client_id,
            "S": order.side,
            "o": order.kind,
            "f": "GTC",
            "q": f"{order.quantity:.8f}",
            "p": order.price,
            "P": "0.00000000",
            "x": kind,
            "X": order.status,
            "r": "NONE",
            "i": order.number,
            "l": trade.get("qty", "0.00000000"),
            "z": f"{order.filled:.8f}",
            "L": trade.get("price", "0.00000000"),
            "n": trade.get("commission", "0"),
            "N": trade.get("commissionAsset"),
            "T": 1_700_000_000_000,
            "t": trade.get("id", -1),
            "m": trade.get("isMaker", False),
            "O": 1_700_000_000_000,
            "Z": "0.00000000",
            "Y": "0.00000000",
            **self.event_terms,
        }

    def _execute(self, order: Order, quantity: Decimal, price: str, *, maker: bool) -> dict[str, Any]:
        order.filled += quantity
        order.status = "FILLED" if order.filled == order.quantity else "PARTIALLY_FILLED"
        buys = order.side == "BUY"
        trade = {
            "symbol": "BTCUSDT",
            "id": 1000 + len(self.trades),
            "orderId": order.number,
            "price": price,
            "qty": f"{quantity:.8f}",
            "quoteQty": "0",
            "commission": f"{quantity / 1000:.8f}" if buys else f"{quantity * Decimal(price) / 1000:.8f}",
            "commissionAsset": "BTC" if buys else "USDT",
            "time": 1_700_000_000_000,
            "isBuyer": buys,
            "isMaker": maker,
        }
        self.trades.append(trade)
        return trade

    # --- endpoints ----------------------------------------------------------------------------------

    async def rest(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rsplit("/", 1)[1]
        params = dict(request.query) | dict(await request.post())
        self.requests.append((request.method, name, {key: str(value) for key, value in params.items()}))
        queue = self.script.get(f"{request.method} {name}")
        if queue:
            answer = await queue.popleft()(self, request, self.requests[-1][2])
            if answer is None:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            assert isinstance(answer, web.StreamResponse)
            return answer
        return await self.proper(request, self.requests[-1][2])

    async def proper(self, request: web.Request, params: dict[str, str]) -> web.Response:
        """Answer as a venue should."""
        status, body = await self._answer(f"{request.method} {request.path.rsplit('/', 1)[1]}", params)
        return web.json_response(body, status=status, headers=self.headers)

    async def _answer(self, what: str, params: dict[str, str]) -> tuple[int, Any]:
        plain: dict[str, Callable[[], Any]] = {
            "GET exchangeInfo": lambda: self.info,
            "GET time": lambda: {"serverTime": 1_700_000_000_000},
            "GET openOrders": lambda: [each.row() for each in self.orders.values() if each.status in _OPEN],
            "GET account": lambda: {
                "updateTime": 1,
                "balances": [
                    {"asset": asset, "free": free, "locked": "0.00000000"} for asset, free in self.balances.items()
                ],
            },
            "GET myTrades": lambda: [
                trade
                for trade in self.trades
                if trade["id"] >= int(params.get("fromId", 0))
                and str(trade["orderId"]) == params.get("orderId", str(trade["orderId"]))
            ],
        }
        if what in plain:
            return 200, plain[what]()
        if what == "POST order":
            return await self._place(params)
        if what == "GET order":
            order = self._find(params)
            return (200, order.row()) if order else (400, {"code": -2013, "msg": "Order does not exist."})
        if what == "DELETE order":
            order = self._find(params)
            if order is None or order.status not in _OPEN:
                return 400, {"code": -2011, "msg": "Unknown order sent."}
            order.status = "CANCELED"
            if self.speaks:
                await self.push(self.report(order, "CANCELED"))
            return 200, order.row(origClientOrderId=order.client_id, clientOrderId="cancel-1")
        if what == "POST cancelReplace":
            return await self._replace(params)
        return 404, {"code": -1, "msg": f"no {what}"}

    async def _replace(self, params: dict[str, str]) -> tuple[int, Any]:
        """Cancel and replace in one step, the venue's own way of saying which half failed included."""
        old = self.orders.get(params["cancelOrigClientOrderId"])
        trouble = ""
        if old is None or old.status not in _OPEN:
            trouble = "Unknown order sent."
        elif params.get("cancelRestrictions") == "ONLY_NEW" and old.status != "NEW":
            trouble = "Order was not canceled due to cancel restrictions."
        if trouble:
            data = {
                "cancelResult": "FAILURE",
                "newOrderResult": "NOT_ATTEMPTED",
                "cancelResponse": {"code": -2011, "msg": trouble},
                "newOrderResponse": None,
            }
            return 400, {"code": -2022, "msg": "Order cancel-replace failed.", "data": data}
        assert old is not None
        old.status = "CANCELED"
        if self.speaks:
            await self.push(self.report(old, "CANCELED"))
        cancelled = old.row(origClientOrderId=old.client_id, clientOrderId="cancel-1")
        if self.replacement_error is not None:
            data = {
                "cancelResult": "SUCCESS",
                "newOrderResult": "FAILURE",
                "cancelResponse": cancelled,
                "newOrderResponse": self.replacement_error,
            }
            return 409, {"code": -2021, "msg": "Order cancel-replace partially failed.", "data": data}
        _, placed = await self._place(params)
        return 200, {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": cancelled,
            "newOrderResponse": placed,
        }

    def _find(self, params: dict[str, str]) -> Order | None:
        if "origClientOrderId" in params:
            return self.orders.get(params["origClientOrderId"])
        return next((each for each in self.orders.values() if str(each.number) == params.get("orderId")), None)

    async def _place(self, params: dict[str, str]) -> tuple[int, Any]:
        client_id = params["newClientOrderId"]
        if client_id in self.orders:
            return 400, {"code": -2010, "msg": "Duplicate order sent."}
        order = Order(
            number=len(self.orders) + 1,
            client_id=client_id,
            side=params["side"],
            kind=params["type"],
            quantity=Decimal(params["quantity"]),
            price=params.get("price", "0.00000000"),
            terms=params,
        )
        self.orders[client_id] = order
        if self.speaks:
            await self.push(self.report(order, "NEW"))
        fills = []
        if order.kind == "MARKET":
            trade = self._execute(order, order.quantity, "100.00000000", maker=False)
            fills.append({**trade, "tradeId": trade["id"]})
            if self.speaks:
                await self.push(self.report(order, "TRADE", trade))
        return 200, order.row(fills=fills)

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        self.dials += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            asked = json.loads(message.data)
            behaviour = self.on_subscribe.popleft() if self.on_subscribe else "accept"
            if behaviour == "ignore":
                continue
            if behaviour == "reject":
                error = {"code": -1022, "msg": "Signature for this request is not valid."}
                await socket.send_str(json.dumps({"id": asked["id"], "status": 400, "error": error}))
                continue
            if behaviour == "close":
                await socket.close(code=1001)
                break
            self.subscriptions += 1
            self.sockets.append(socket)
            await socket.send_str(json.dumps({"id": asked["id"], "status": 200, "result": {"subscriptionId": 0}}))
        if socket in self.sockets:
            self.sockets.remove(socket)
        return socket


_OPEN = ("NEW", "PARTIALLY_FILLED")


# --- twists -----------------------------------------------------------------------------------------


async def accept_then_cut(stub: Stub, request: web.Request, params: dict[str, str]) -> None:
    await stub.proper(request, params)


async def cut(_: Stub, __: web.Request, ___: dict[str, str]) -> None:
    return None


async def accept_then_stall(stub: Stub, request: web.Request, params: dict[str, str]) -> web.Response:
    response = await stub.proper(request, params)
    await asyncio.sleep(3.0)
    return response


async def accept_then_say_nothing(stub: Stub, request: web.Request, params: dict[str, str]) -> web.Response:
    await stub.proper(request, params)
    return web.Response(status=200, text="", content_type="application/json")


async def accept_then_halve(stub: Stub, request: web.Request, params: dict[str, str]) -> web.Response:
    whole = (await stub.proper(request, params)).text or ""
    return web.Response(status=200, text=whole[: len(whole) // 2], content_type="application/json")


async def accept_then_truncate(stub: Stub, request: web.Request, params: dict[str, str]) -> web.StreamResponse:
    """Promise more bytes than come."""
    await stub.proper(request, params)
    response = web.StreamResponse(headers={"Content-Length": "500", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"symbol":"BTCUSDT",')
    assert request.transport is not None
    request.transport.close()
    return response


def say(status: int, body: str, **headers: str) -> Twist:
    """Answer this, and do nothing."""

    async def answer(_: Stub, __: web.Request, ___: dict[str, str]) -> web.Response:
        kind = "application/json" if body.startswith(("{", "[")) else "text/html"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=body, content_type=kind, headers=named)

    return answer


def accept_then_say(status: int, body: str) -> Twist:
    """Do it, and answer this."""

    async def answer(stub: Stub, request: web.Request, params: dict[str, str]) -> web.Response:
        await stub.proper(request, params)
        response = await say(status, body)(stub, request, params)
        assert isinstance(response, web.Response)
        return response

    return answer


TWISTS: dict[str, Any] = {
    "accept_then_cut": accept_then_cut,
    "cut": cut,
    "accept_then_stall": accept_then_stall,
    "accept_then_say_nothing": accept_then_say_nothing,
    "accept_then_halve": accept_then_halve,
    "accept_then_truncate": accept_then_truncate,
    "say": say,
    "accept_then_say": accept_then_say,
}


@pytest.fixture
def twists() -> dict[str, Any]:
    """The ways in which an answer goes wrong, by name."""
    return TWISTS


# --- the gateway under test -------------------------------------------------------------------------


@dataclass
class Desk:
    """A gateway at work, and everything it posted."""

    gateway: Gateway
    client: VenueClient
    posted: list[Message]
    changed: asyncio.Condition
    running: asyncio.Task[None]

    async def restart(self) -> None:
        """Stop the gateway's work in its midst and start it again, as its supervisor does."""
        self.running.cancel()
        await asyncio.wait([self.running])
        self.running = asyncio.create_task(self.gateway.run())

    async def wait_for(self, found: Callable[[list[Message]], Any], within_s: float = PATIENCE_S) -> Any:
        """Return what `found` returns for what was posted, once that is true."""
        try:
            async with asyncio.timeout(within_s), self.changed:
                while not (result := found(self.posted)):
                    await self.changed.wait()
                return result
        except TimeoutError:
            pytest.fail(f"not within {within_s:g} s; posted: {self.posted}")

    async def of(self, kind: type[Message], count: int = 1) -> list[Any]:
        """Return the messages of a kind once there are that many."""
        return list(
            await self.wait_for(
                lambda posted: len(found := [each for each in posted if isinstance(each, kind)]) >= count and found
            )
        )

    def all(self, kind: type[Message]) -> list[Any]:
        """Return what was posted of a kind by now."""
        return [each for each in self.posted if isinstance(each, kind)]

    async def until(self, true: Callable[[], Any], within_s: float = PATIENCE_S) -> None:
        """Wait until something outside is so."""
        deadline_s = time.monotonic() + within_s
        while not true():
            assert not self.running.done(), self.running
            if time.monotonic() > deadline_s:
                pytest.fail(f"not within {within_s:g} s; posted: {self.posted[-20:]}")
            await asyncio.sleep(0.005)

    async def up(self, count: int = 1) -> None:
        """Wait until the stream has come up so often."""
        await self.wait_for(lambda posted: sum(each == VenueLink(up=True) for each in posted) >= count)


def request(kind: Any = "limit", side: int = 1, lots: int = 100_000, **terms: Any) -> OrderRequest:
    """Return a wish; a lot is 1e-8 BTC, the venue's step a thousand of them."""
    if kind == "limit":
        terms.setdefault("limit_ticks", 10_000)
    return OrderRequest("s", SYMBOL, 1, side, lots, kind, **terms)


def order(number: int = 1, **terms: Any) -> SendOrder:
    """Return an order on its way."""
    return SendOrder(f"{PREFIX}{number}", request(**terms))


@pytest.fixture
def make_order() -> Callable[..., SendOrder]:
    """Make an order on its way."""
    return order


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    """A stub that runs."""
    stub = Stub()
    app = web.Application()
    app.router.add_get("/ws-api/v3", stub.socket)
    app.router.add_route("*", "/{path:.*}", stub.rest)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.url = f"127.0.0.1:{runner.addresses[0][1]}"
    yield stub
    await runner.cleanup()


@pytest.fixture
def settings(stub: Stub) -> Exchange:
    """Settings that lead to the stub, with short patience."""
    http, ws = f"http://{stub.url}/api/v3", f"ws://{stub.url}"
    api = dict.fromkeys(("public", "private", "v1", "sapi", "fapiPublic", "fapiPrivate", "dapiPublic"), http)
    sockets = {"spot": f"{ws}/stream/ws", "linear": f"{ws}/ws", "ws-api": {"spot": f"{ws}/ws-api/v3"}}
    return Exchange(
        urls={"api": {**api, "ws": sockets}}, timeout_ms=1_000, recv_window_ms=500, stall_s=2.0, symbols=(SYMBOL,)
    )


Opening = Callable[..., AbstractAsyncContextManager[Desk]]


@asynccontextmanager
async def working(
    settings: Exchange,
    window_s: float = 0.3,
    *,
    wait: bool = True,
    keys: dict[str, str] | None = None,
    clerk: Any = None,
    known_rules: Any = None,
    began_ns: int = 0,
) -> AsyncIterator[Desk]:
    """Run a gateway against the venue of `settings`."""
    client = await connect(settings, needs_keys=True, environment=keys or KEYS)
    posted: list[Message] = []
    changed = asyncio.Condition()

    async def post(message: Message) -> None:
        async with changed:
            posted.append(message)
            changed.notify_all()
        if clerk is not None:
            await clerk.take(message)

    instruments = {symbol: Instrument(spec) for symbol, spec in client.specs.items()}
    terms: Any = {"own_prefix": PREFIX, "known_rules": known_rules, "began_ns": began_ns}
    gateway = Gateway(client, instruments, post, settings, **terms)
    gateway._window_s = window_s
    if clerk is not None:
        clerk.gateway = gateway
    desk = Desk(gateway, client, posted, changed, asyncio.create_task(gateway.run()))
    try:
        if wait:
            await desk.up()
        yield desk
        assert not desk.running.done(), desk.running
    finally:
        desk.running.cancel()
        await asyncio.wait([desk.running])
        await client.close()


KEYS = {"PITBOSS_API_KEY": "key-of-a-test-only", "PITBOSS_API_SECRET": "secret-of-a-test-only"}


@pytest.fixture
def open_desk() -> Opening:
    """Run a gateway."""
    return working


@pytest.fixture
async def desk(settings: Exchange) -> AsyncIterator[Desk]:
    """A gateway whose stream is up."""
    async with working(settings) as desk:
        yield desk
