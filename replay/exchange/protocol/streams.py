"""Market streams: who has subscribed to what, and what each of them is sent.

A stream's message is written once and goes to all who have it. Below the roots of a family any path is taken, with a
counter (as ccxt numbers its sockets) or with stream names. What differs between spot and perpetuals is a `Dialect`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiohttp import WSCloseCode, web

from replay.exchange.model import BookChanged, Candle, Event, Printed
from replay.exchange.protocol import shapes, tickers
from replay.exchange.protocol.market_data import INTERVALS, day_row, touch
from replay.exchange.protocol.rest import refused_for_load
from replay.exchange.protocol.shapes import Json, MarketText, encode
from replay.exchange.protocol.sockets import Connection
from replay.exchange.recording import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replay.exchange.protocol.desk import Desk

TICKER_EVERY_S = 1.0
_STREAMS_MAX = 1_024
_MESSAGES_PER_S = 5

Levels = tuple[list[list[str]], list[list[str]]]
"""Bids and asks as they are written."""
Touch = tuple[int, int, int, int]
"""Best bid and ask: (ticks, lots, ticks, lots)."""


class Dialect(NamedTuple):
    """How one family of markets names and writes its streams."""

    name: str
    """What occasions begin with."""
    trades: Mapping[str, Callable[[MarketText, Printed, int], Json]]
    tickers: Mapping[str, Callable[[Json, int], Json]]
    diffs: tuple[str, ...]
    partial: Mapping[str, int]
    intervals: tuple[str, ...]
    change: Callable[[MarketText, BookChanged, int], Json]
    snapshot: Callable[[MarketText, int, Levels, int], Json]
    best: Callable[[MarketText, BookChanged, Touch, int], Json]
    other: tuple[str, ...]
    """Further channels of a market."""
    everywhere: tuple[str, ...] = ()
    """Further streams of all markets."""


def _snapshot(_: MarketText, last_update_id: int, levels: Levels, __: int) -> Json:
    return {"lastUpdateId": last_update_id, "bids": levels[0], "asks": levels[1]}


def _best(text: MarketText, change: BookChanged, touched: Touch, _: int) -> Json:
    return {"u": change.last_update_id, "s": change.id} | shapes.touch_event(text, touched)


SPOT = Dialect(
    name="market",
    trades={"trade": shapes.trade_event, "aggTrade": shapes.aggregate_event},
    tickers={"ticker": tickers.ticker_event, "miniTicker": tickers.mini_ticker_event},
    diffs=("depth", "depth@100ms", "depth@1000ms"),
    partial={f"depth{levels}{speed}": levels for levels in (5, 10, 20) for speed in ("", "@100ms", "@1000ms")},
    intervals=INTERVALS,
    change=shapes.depth_event,
    snapshot=_snapshot,
    best=_best,
    other=("avgPrice",),
)


class _Request(msgspec.Struct):
    method: str
    params: list[Any] = []
    id: int | str | None = None


_decode = msgspec.json.Decoder(_Request).decode


class Session:
    """One socket and the streams it has."""

    def __init__(self, connection: Connection, *, wrapped: bool) -> None:
        self.connection = connection
        self.wrapped = wrapped
        self.streams: dict[str, None] = {}
        self.arrivals_s: deque[float] = deque(maxlen=_MESSAGES_PER_S + 1)


class Streams:
    """Sends the market to whoever listens.

    Args:
        desk: where sockets arrive.
        messages_per_s: what a client may send before its socket is closed, as at Binance; 0 for any number.
        dialect: of its family of markets.
    """

    def __init__(self, desk: Desk[Any], messages_per_s: int = _MESSAGES_PER_S, dialect: Dialect = SPOT) -> None:
        self._desk = desk
        self._messages_per_s = messages_per_s
        self._dialect = dialect
        self._klines = {f"kline_{interval}": interval for interval in dialect.intervals}
        self._all_tickers = {f"!{channel}@arr": shape for channel, shape in dialect.tickers.items()}
        self._channels = frozenset(
            (
                *dialect.trades, *dialect.tickers, *dialect.diffs, *dialect.partial, *self._klines, "bookTicker",
                *dialect.other,
            )
        )  # fmt: skip
        self._everywhere = frozenset((*self._all_tickers, *dialect.everywhere))
        self._listeners: dict[str, dict[Session, None]] = {}
        self._sessions: dict[Session, None] = {}
        desk.venue.listen(self._hear, lambda: bool(self._listeners))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket."""
        if self._desk.faults.strikes("handshake_refused", request.path):
            return refused_for_load(429, self._desk.faults.seconds("handshake_refused"))
        named = request.query.get("streams")
        wrapped = named is not None or request.path.endswith("/stream")
        session = Session(Connection(self._desk.faults, self._desk.pings), wrapped=wrapped)
        for name in (named or request.path).split("/"):
            if self._exists(name):
                self._subscribe(session, name)
        self._sessions[session] = None

        async def receive(text: str) -> None:
            await self._take(session, text)

        try:
            return await session.connection.serve(request, receive)
        finally:
            del self._sessions[session]
            for name in list(session.streams):
                self._unsubscribe(session, name)

    async def run(self) -> None:
        """Send tickers, until cancelled."""
        while True:
            await asyncio.sleep(TICKER_EVERY_S)
            self.send_tickers()

    async def close(self) -> None:
        """Say goodbye to every client."""
        await asyncio.gather(*(session.connection.say_goodbye() for session in list(self._sessions)))

    # --- what clients ask for ---------------------------------------------------------------------------

    async def _take(self, session: Session, text: str) -> None:
        session.arrivals_s.append(time.monotonic())
        arrivals_s = session.arrivals_s
        if self._messages_per_s and len(arrivals_s) > self._messages_per_s and arrivals_s[-1] - arrivals_s[0] < 1:
            await session.connection.say_goodbye(WSCloseCode.POLICY_VIOLATION, b"Too many requests")
            return
        try:
            request = _decode(text)
        except msgspec.DecodeError as error:
            message = f"Invalid JSON: {error}" if not isinstance(error, msgspec.ValidationError) else "Invalid request"
            session.connection.reply(_text(_refusal(3, message, None)), f"{self._dialect.name} malformed")
            return
        occasion = f"{self._dialect.name} {request.method}"
        answer = self._answer(session, request, occasion)
        if answer is not None:
            session.connection.reply(_text(answer), occasion)

    def _answer(self, session: Session, request: _Request, occasion: str) -> Json | None:
        """Carry a request out; return what to say."""
        if request.method == "SUBSCRIBE":
            return self._take_subscribe(session, request, occasion)
        if request.method == "UNSUBSCRIBE":
            for name in request.params:
                self._unsubscribe(session, str(name))
            return {"result": None, "id": request.id}
        if request.method == "LIST_SUBSCRIPTIONS":
            return {"result": list(session.streams), "id": request.id}
        if request.method == "SET_PROPERTY" and request.params[:1] == ["combined"]:
            session.wrapped = request.params[-1] is True
            return {"result": None, "id": request.id}
        if request.method == "GET_PROPERTY":
            return {"result": session.wrapped, "id": request.id}
        return _refusal(1, f"Invalid request: unknown method {request.method}", request.id)

    def _take_subscribe(self, session: Session, request: _Request, occasion: str) -> Json | None:
        faults, names = self._desk.faults, request.params
        occasion = " ".join([occasion, *map(str, names)])
        if faults.strikes("subscribe_rejected", occasion):
            return _refusal(2, "Invalid request: subscription failed", request.id)
        if faults.strikes("subscribe_ignored", occasion):
            return None
        if not names or not all(isinstance(name, str) for name in names):
            return _refusal(2, "Invalid request: params must be an array of stream names", request.id)
        for name in names:
            if not self._exists(name):
                self._desk.miss(f"stream {name}")
                return _refusal(2, "Invalid request: invalid stream", request.id)
        if len({*session.streams, *names}) > _STREAMS_MAX:
            return _refusal(2, f"Invalid request: at most {_STREAMS_MAX} streams", request.id)
        for name in names:
            self._subscribe(session, name)
        return None if faults.strikes("ack_lost", occasion) else {"result": None, "id": request.id}

    def _exists(self, name: str) -> bool:
        if name in self._everywhere:
            return True
        symbol, at, channel = name.partition("@")
        return bool(at) and symbol.upper() in self._desk.texts and symbol.islower() and channel in self._channels

    def _subscribe(self, session: Session, name: str) -> None:
        session.streams[name] = None
        self._listeners.setdefault(name, {})[session] = None

    def _unsubscribe(self, session: Session, name: str) -> None:
        session.streams.pop(name, None)
        sessions = self._listeners.get(name, {})
        sessions.pop(session, None)
        if not sessions:
            self._listeners.pop(name, None)

    # --- what the market does ---------------------------------------------------------------------------

    def _hear(self, events: Sequence[Event]) -> None:
        if not self._listeners:
            return
        now_ms = self._desk.venue.now_ms()
        for event in events:
            self._tell(event, now_ms)

    def _tell(self, event: Event, now_ms: int) -> None:
        if isinstance(event, Printed):
            self._on_trade(event, now_ms)
        elif isinstance(event, Candle):
            self._on_candle(event, now_ms)
        elif isinstance(event, BookChanged):
            self._on_book(event, now_ms)

    def _on_trade(self, trade: Printed, now_ms: int) -> None:
        text = self._desk.texts[trade.id]
        for channel, shape in self._dialect.trades.items():
            if trade.quantity_lots and self._made(text, channel):
                self._send(text, channel, shape(text, trade, now_ms))

    def _on_candle(self, candle: Candle, now_ms: int) -> None:
        """Send a candle; one of a minute also says what it does to longer ones that the venue does not tell."""
        text = self._desk.texts[candle.id]
        told = self._desk.venue.intervals(candle.id)
        if self._heard(text, f"kline_{candle.interval}"):
            self._send(text, f"kline_{candle.interval}", shapes.kline_event(text, candle, now_ms))
        if candle.interval != "1m":
            return
        for channel, interval in self._klines.items():
            if interval in told or not self._heard(text, channel):
                continue
            for longer in self._desk.venue.engine.candles(candle.id, interval, None, None, 1):
                closed = candle.closed and longer.close_ms == candle.close_ms
                longer_now = msgspec.structs.replace(longer, closed=closed)
                self._send(text, channel, shapes.kline_event(text, longer_now, now_ms))

    def _on_book(self, change: BookChanged, now_ms: int) -> None:
        text = self._desk.texts[change.id]
        for channel in self._dialect.diffs:
            if self._made(text, channel):
                self._send(text, channel, self._dialect.change(text, change, now_ms), fault="book_gap")
        for channel, count in self._dialect.partial.items():
            if self._heard(text, channel):
                last_id, bids, asks = self._desk.venue.engine.depth(change.id, count)
                sides = (shapes.levels(text, bids), shapes.levels(text, asks))
                self._send(text, channel, self._dialect.snapshot(text, last_id, sides, now_ms))
        if self._made(text, "bookTicker"):
            best = self._dialect.best(text, change, touch(self._desk, text), now_ms)
            self._send(text, "bookTicker", best)

    def send_tickers(self) -> None:
        """Send the last 24 hours to those who have subscribed to them."""
        now_ms = self._desk.venue.now_ms()
        for text in self._desk.texts.values():
            for channel, shape in self._dialect.tickers.items():
                if self._heard(text, channel):
                    self._send(text, channel, shape(day_row(self._desk, text), now_ms))
            if self._heard(text, "avgPrice"):
                row = day_row(self._desk, text)
                average = {"e": "avgPrice", "E": now_ms, "s": text.market.id, "i": "5m", "w": row["weightedAvgPrice"]}
                self._send(text, "avgPrice", average | {"T": now_ms})
        for name, shape in self._all_tickers.items():
            if name in self._listeners:
                self._send_to(name, [shape(day_row(self._desk, text), now_ms) for text in self._desk.texts.values()])

    def send_recorded(self, market_id: str, channel: str, plain: str) -> None:
        """Send a message as it was recorded."""
        name = f"{self._desk.texts[market_id].stream}@{channel}"
        if name in self._listeners:
            self._send_text(name, plain, "book_gap" if channel.startswith("depth") else "")

    def _made(self, text: MarketText, channel: str) -> bool:
        """Return whether somebody listens to a stream that is made here, not played from a recording."""
        is_recorded = channel in CHANNELS and text.market.id in self._desk.recorded
        return not is_recorded and self._heard(text, channel)

    def _heard(self, text: MarketText, channel: str) -> bool:
        return f"{text.stream}@{channel}" in self._listeners

    def _send(self, text: MarketText, channel: str, content: Json, fault: str = "") -> None:
        self._send_to(f"{text.stream}@{channel}", content, fault)

    def _send_to(self, name: str, content: Any, fault: str = "") -> None:  # noqa: ANN401 - JSON
        self._send_text(name, encode(content).decode(), fault)

    def _send_text(self, name: str, plain: str, fault: str) -> None:
        wrapped = ""
        occasion = f"{self._dialect.name} {name}"
        for session in self._listeners[name]:
            if fault and self._desk.faults.strikes(fault, occasion):
                continue
            if session.wrapped:
                wrapped = wrapped or f'{{"stream":"{name}","data":{plain}}}'
            session.connection.push(wrapped if session.wrapped else plain, occasion)


def _refusal(code: int, text: str, request_id: int | str | None) -> Json:
    return {"error": {"code": code, "msg": text}, "id": request_id}


def _text(content: Json) -> str:
    return encode(content).decode()
