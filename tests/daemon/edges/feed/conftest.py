"""A small Binance on a port of its own: candles, trades and books as a test says, with the faults a venue has."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import ccxt.pro
import pytest
from aiohttp import WSCloseCode, web

from actors.messages import Bar, Message
from config.schema import Exchange
from daemon.edges.feed.bar_builder import NS_PER_MS
from daemon.edges.venue.direct_path import direct
from daemon.edges.venue.kline_tap import tapped

STEP = 60_000
START = 1_700_000_040_000
CONTRACT = {"contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000, "marginAsset": "USDT"}
PATIENCE_S = 20.0
CHANGES = 4
"""Times a candle changes; the last one is marked closed."""


async def eventually(look: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Return what `look` returns once that is true."""
    deadline_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.002)
    return found


def bar(index: int, symbol: str = "BTC/USDT") -> Bar:
    """What candle `index` is once it is closed."""
    row = [float(field) for field in _row(index, CHANGES - 1)[1:6]]
    open_ns = (START + index * STEP) * NS_PER_MS
    return Bar(symbol, STEP * NS_PER_MS, open_ns, open_ns + STEP * NS_PER_MS, *row)


def _row(index: int, change: int) -> list[Any]:
    base = 100.0 + index % 7
    open_ms = START + index * STEP
    texts = [f"{value:.2f}" for value in (base, base + change, base - change, base + change / 2, 1 + change)]
    return [open_ms, *texts, open_ms + STEP - 1, "0", 1, "0", "0", "0"]


class Socket:
    """One connection of a client."""

    def __init__(self, raw: web.WebSocketResponse, request: web.Request) -> None:
        self.raw = raw
        self.request = request
        self.streams: set[str] = set()


class Venue:
    """The exchange."""

    bar = staticmethod(bar)
    eventually = staticmethod(eventually)
    step = STEP
    start = START
    changes = CHANGES

    def __init__(self) -> None:
        self.ids = ("BTCUSDT", "ETHUSDT")
        self.moment: dict[str, int] = dict.fromkeys(self.ids, -1)
        """Changes of candles so far, by market: candle `moment // CHANGES` is the open one."""
        self.absent: set[int] = set()
        """Candles that never were."""
        self.late_ms: int | None = None
        """What the clock shows beyond the newest candle's open; None follows the candle's changes."""
        self.sockets: list[Socket] = []
        self.dials = 0
        self.dialled_s: list[float] = []
        self.refuse_dials = 0
        self.dial_gate: asyncio.Event | None = None
        self.subscriptions: list[str] = []
        self.asked: dict[str, int] = defaultdict(int)
        self.mute = False
        """Sockets stay open and answer pings, but no data leaves."""
        self.reject_next = 0
        self.ignore_next = 0
        self.broken_rest = 0
        """REST requests that will be answered by 503."""
        self.rest_gate: asyncio.Event | None = None
        self.book_id = 100
        self.best_bid = 1.0
        self.best_bids = {self.book_id: 1.0}
        """Quantity of the best bid after each update."""
        self.trade_id = 0
        self.untold: set[int] = set()
        """Trades that REST does not tell."""
        self.trades_kept_from = 1
        self.pages: list[int] = []
        """From which trade on REST was asked."""
        self.contracts = False
        """Whether its markets are perpetual contracts."""
        self.url = ""

    # --- what a test does ---------------------------------------------------------------------------

    async def say(self, count: int = 1, market: str = "BTCUSDT", *, swallow: bool = False) -> None:
        """Change candles `count` times; `swallow` tells nobody."""
        for _ in range(count):
            self.moment[market] += 1
            index, change = divmod(self.moment[market], CHANGES)
            if index not in self.absent and not swallow:
                await self.push(f"{market.lower()}@kline_1m", self.kline(index, change, market))

    def kline(self, index: int, change: int, market: str = "BTCUSDT") -> dict[str, Any]:
        """Return the message of one state of a candle."""
        row = _row(index, change)
        names = ("t", "o", "h", "l", "c", "v", "T")
        fields = dict(zip(names, row, strict=False))
        closed = change == CHANGES - 1
        return {"e": "kline", "E": row[0], "s": market, "k": fields | {"s": market, "i": "1m", "x": closed}}

    async def push(self, stream: str, message: dict[str, Any] | str) -> None:
        """Send to all who subscribed."""
        text = message if isinstance(message, str) else json.dumps(message)
        for socket in list(self.sockets):
            if stream in socket.streams and not self.mute and not socket.raw.closed:
                await socket.raw.send_str(text)

    async def trade(self, count: int = 1, *, swallow: bool = False, again: int | None = None) -> None:
        """Trade so often; `swallow` tells nobody, `again` tells an old one once more."""
        for _ in range(count):
            if again is None:
                self.trade_id += 1
            number = self.trade_id if again is None else again
            if not swallow:
                message = {"e": "aggTrade", "E": START + number, "s": "BTCUSDT"} | self._aggregate(number)
                await self.push("btcusdt@aggTrade", message)

    @staticmethod
    def _aggregate(number: int) -> dict[str, Any]:
        price = f"{100 + number % 9}"
        ids = {"a": number, "f": number, "l": number}
        return ids | {"p": price, "q": "0.5", "T": START + number, "m": number % 2 == 0}

    async def touch(self, bid: float, ask: float) -> None:
        """Change the best bid and ask."""
        sides = {"b": f"{bid:.2f}", "B": "1.5", "a": f"{ask:.2f}", "A": "2.5"}
        await self.push("btcusdt@bookTicker", {"u": 1, "s": "BTCUSDT"} | sides)

    async def mark(self, price: float, rate: str = "0.0001", *, second: int = 1) -> None:
        """Change the mark price and the funding rate of a contract."""
        fields = {"p": f"{price:.2f}", "i": "100.25", "P": "100.4", "r": rate, "T": START + 8 * 3_600_000}
        message = {"e": "markPriceUpdate", "E": START + 1_000 * second, "s": "BTCUSDT"}
        await self.push("btcusdt@markPrice@1s", message | fields)

    async def quote(self, quantity: float, *, skip: int = 0) -> None:
        """Change the best bid's quantity; `skip` leaves a gap in the update ids."""
        first = self.book_id + 1 + skip
        self.book_id = first
        self.best_bid = self.best_bids[first] = quantity
        message = {"e": "depthUpdate", "E": START, "s": "BTCUSDT", "U": first, "u": first}
        await self.push("btcusdt@depth@100ms", message | {"b": [["100.00", f"{quantity:.2f}"]], "a": []})

    async def close_all(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Close all connections as a server that goes away does."""
        gone, self.sockets = self.sockets, []
        await asyncio.gather(*(socket.raw.close(code=code) for socket in gone))

    def abort_all(self) -> None:
        """Cut all connections."""
        gone, self.sockets = self.sockets, []
        for socket in gone:
            assert socket.request.transport is not None
            socket.request.transport.abort()

    async def subscribed(self, count: int, stream: str = "btcusdt@kline_1m") -> None:
        """Wait until so many subscriptions of a stream have been asked for."""
        await eventually(lambda: self.subscriptions.count(stream) >= count, f"{count} subscriptions of {stream}")

    @property
    def index(self) -> int:
        """The open candle."""
        return self.moment["BTCUSDT"] // CHANGES

    def now_ms(self) -> int:
        """The venue's clock."""
        index, change = divmod(max(self.moment.values()), CHANGES)
        return START + index * STEP + (change * STEP // CHANGES if self.late_ms is None else self.late_ms)

    # --- what it answers ----------------------------------------------------------------------------

    async def rest(self, request: web.Request) -> web.StreamResponse:
        """Answer a REST request."""
        what = request.path.rsplit("/", 1)[-1]
        self.asked[what] += 1
        answer = getattr(self, f"_{what}")(request.query)
        if what != "exchangeInfo":
            if self.broken_rest:
                self.broken_rest -= 1
                return web.Response(status=503, text="<html>")
            if self.rest_gate is not None:
                await self.rest_gate.wait()
        return web.json_response(answer)

    def _exchangeInfo(self, _: Any) -> Any:  # noqa: N802 - Binance's name
        symbols = [_market(market) | (CONTRACT if self.contracts else {}) for market in self.ids]
        return {"timezone": "UTC", "serverTime": self.now_ms(), "rateLimits": [], "symbols": symbols}

    def _time(self, _: Any) -> Any:
        return {"serverTime": self.now_ms()}

    def _klines(self, query: Any) -> Any:
        newest, change = divmod(self.moment[query["symbol"]], CHANGES)
        rows = [_row(index, CHANGES - 1) for index in range(newest) if index not in self.absent]
        if newest >= 0 and newest not in self.absent:
            rows.append(_row(newest, change))
        limit = int(query.get("limit", 500))
        if "startTime" in query:
            return [row for row in rows if row[0] >= int(query["startTime"])][:limit]
        return rows[-limit:]

    def _depth(self, _: Any) -> Any:
        return {"lastUpdateId": self.book_id, "bids": [["100.00", f"{self.best_bid:.2f}"]], "asks": [["101.00", "1.0"]]}

    def _aggTrades(self, query: Any) -> Any:  # noqa: N802 - Binance's name
        limit = int(query.get("limit", 500))
        first = int(query["fromId"]) if "fromId" in query else max(1, self.trade_id - limit + 1)
        self.pages.append(first)
        numbers = range(max(first, self.trades_kept_from), self.trade_id + 1)
        return [self._aggregate(number) for number in numbers if number not in self.untold][:limit]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        self.dials += 1
        self.dialled_s.append(time.monotonic())
        if self.refuse_dials:
            self.refuse_dials -= 1
            return web.Response(status=503)
        if self.dial_gate is not None:
            await self.dial_gate.wait()
        raw = web.WebSocketResponse()
        await raw.prepare(request)
        socket = Socket(raw, request)
        self.sockets.append(socket)
        async for message in raw:
            asked = json.loads(message.data)
            self.subscriptions += asked["params"]
            if self.ignore_next:
                self.ignore_next -= 1
            elif self.reject_next:
                self.reject_next -= 1
                error = {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": asked["id"]}
                await raw.send_str(json.dumps(error))
            else:
                socket.streams |= set(asked["params"])
                await raw.send_str(json.dumps({"result": None, "id": asked["id"]}))
        if socket in self.sockets:
            self.sockets.remove(socket)
        return raw


def _market(market: str) -> dict[str, Any]:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
        {"filterType": "NOTIONAL", "minNotional": "5"},
    ]
    return {
        "symbol": market,
        "status": "TRADING",
        "baseAsset": market.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "permissions": ["SPOT"],
        "filters": filters,
    }


class Inbox:
    """Where the feed's messages go; with `gate` it takes one only while that is set."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.others: list[Message] = []
        self.gate: asyncio.Event | None = None

    async def post(self, message: Message) -> None:
        """Take a message."""
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(message, Bar):
            self.bars.append(message)
        else:
            self.others.append(message)

    async def deliver(self, message: Message) -> None:
        """Take a message; here it is read at once."""
        await self.post(message)

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the messages of one type."""
        return [message for message in self.others if type(message) is kind]

    async def until(self, count: int) -> list[Bar]:
        """Return the bars once there are so many."""
        await eventually(lambda: len(self.bars) >= count, f"{count} bars")
        return self.bars


@pytest.fixture
def inbox() -> Inbox:
    """Return an inbox."""
    return Inbox()


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """Return a venue that listens."""
    stub = Venue()
    app = web.Application()
    app.router.add_get("/api/v3/{what}", stub.rest)
    app.router.add_get("/fapi/v1/{what}", stub.rest)
    app.router.add_get("/stream/ws/{number}", stub.stream)
    app.router.add_get("/futures/{kind}/ws/{number}", stub.stream)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    stub.url = f"{host}:{port}"
    yield stub
    await runner.cleanup()


Connect = Callable[..., Awaitable[Any]]


@pytest.fixture(params=[tapped, direct], ids=["ccxt", "direct"])
async def connect(venue: Venue, request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Return a maker of ccxt.pro clients of the venue, closed at the end; with marks they come both ways."""
    made = []

    async def make(*, marks: bool = True, contracts: bool = False) -> Any:
        api, futures = f"http://{venue.url}/api/v3", f"http://{venue.url}/fapi/v1"
        base = ccxt.pro.binanceusdm if contracts else ccxt.pro.binance
        cls = request.param(base) if marks else base
        sockets = {"spot": f"ws://{venue.url}/stream/ws", "linear": f"ws://{venue.url}/futures/ws"}
        kind = "linear" if contracts else "spot"
        client = cls(
            {
                "enableRateLimit": False,
                "timeout": 5_000,
                "urls": {"api": {"public": api, "private": api, "fapiPublic": futures, "ws": sockets}},
                "options": {"fetchCurrencies": False, "fetchMargins": False, "fetchMarkets": {"types": [kind]}},
            }
        )
        made.append(client)
        await client.load_markets()
        return client

    yield make
    for client in made:
        await client.close()


@pytest.fixture
def options() -> Callable[..., Exchange]:
    """Return a maker of settings."""

    def make(*, symbols: tuple[str, ...] = ("BTC/USDT",), stall_s: float = 30.0, **more: Any) -> Exchange:
        return Exchange(symbols=symbols, stall_s=stall_s, **more)

    return make
