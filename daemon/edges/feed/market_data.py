"""Trades, quotes, books, marks and funding of a venue as inputs of the core: pumps as for bars.

Every trade is told, once and in order: while the core is busy trades wait, and if too many wait or a break has cost
some, REST has them (`trade_sequence`). Of everything else the newest is told: at most one of a kind and symbol waits
for the core, and what overtakes it is counted. A book is copied when it comes, because ccxt changes the one it
hands out, and forgotten when the stream breaks.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import msgspec
import structlog

from actors.messages import BookSnapshot, Funding, Mark, Quote
from daemon.edges.feed.bar_builder import NS_PER_MS
from daemon.edges.feed.requests import FeedRequests
from daemon.edges.feed.streams import FAULTS, Pace, Pump, PumpStatistics
from daemon.edges.feed.trade_sequence import TradeSequence, TradeStatistics
from daemon.edges.feed.trades import TradeFeed, time_ns
from daemon.edges.venue.direct_path import DirectPath
from daemon.edges.venue.weights import weights_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from actors.messages import Message, Trade
    from config.schema import Exchange

_BOOK_LEVELS = (100, 500, 1_000)
"""ccxt keeps a book of as many levels as were asked for, and one of few loses the deeper ones for good. Contracts
of Binance's have books of certain depths only; these are among them."""
_TRADES_CACHE = 20_000
"""Trades ccxt keeps between two calls; its own 1,000 are gone in one busy moment."""
_FUNDING_PERIOD_S = 60.0
_BOOK_LOOK = 5
"""Levels that are asked for to see whether the book stands still."""
_AGGREGATES = {"name": "aggTrade"}
"""Of Binance's two streams the one whose numbers its REST side can be asked for without a key."""

log = structlog.get_logger()


class Inbox(Protocol):
    """Where market data goes: the live driver."""

    async def post(self, message: Message) -> None:
        """Take a message; may wait."""

    async def deliver(self, message: Message) -> None:
        """Take a message, and return once it has been read."""


class StreamStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One stream and what became of what it told."""

    symbol: str
    kind: str
    pump: PumpStatistics
    conflated: int = 0
    """Versions nobody saw, because a newer one came first."""
    trades: TradeStatistics | None = None


class MarketStreams:
    """The configured streams of the configured symbols, bars aside.

    Args:
        client: a ccxt.pro exchange with markets loaded.
        inbox: where everything goes.
        settings: which symbols and streams, and how long a silence may last.
        last_trade_ids: the newest trade the journal has, by symbol; what came since is fetched first.
        requests: how REST is asked.
        pace: shared with the feed of bars if that has the same client.
        seed: of the jitter.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - ccxt is not typed
        inbox: Inbox,
        settings: Exchange,
        *,
        last_trade_ids: Mapping[str, int] | None = None,
        requests: FeedRequests | None = None,
        pace: Pace | None = None,
        seed: int = 0,
    ) -> None:
        self._client = client
        self._inbox = inbox
        self._settings = settings
        self._requests = requests or FeedRequests()
        self._pace = pace or Pace()
        self._chance = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._family = str(client.id).startswith("binance")
        self._runs: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = []
        self._statistics: list[Callable[[], StreamStatistics]] = []
        known = last_trade_ids or {}
        for symbol in settings.symbols:
            if "trades" in settings.streams:
                self._add_trades(symbol, known.get(symbol))
            if "quotes" in settings.streams:
                self._add_quotes(symbol)
            if "book" in settings.streams:
                self._add_book(symbol)
            if "mark" in settings.streams or "funding" in settings.streams:
                self._add_marks(symbol)

    async def run(self) -> None:
        """Run all streams until cancelled."""
        async with anyio.create_task_group() as group:
            for name, run in self._runs:
                group.start_soon(run, name=name)

    def statistics(self) -> tuple[StreamStatistics, ...]:
        """Return how the streams are doing."""
        return tuple(read() for read in self._statistics)

    # --- what may be asked for ----------------------------------------------------------------------

    def _add_trades(self, symbol: str, last_id: int | None) -> None:
        self._client.options["tradesLimit"] = max(_TRADES_CACHE, self._client.options.get("tradesLimit", 0))
        sequence = TradeSequence(
            symbol,
            numbered=self._family,
            next_id=None if last_id is None else last_id + 1,
            back_max=self._settings.backfill_trades_max,
        )
        weight = weights_of(symbol).public_trades
        chance = random.Random(self._chance.random())  # noqa: S311 - jitter, not a secret
        trades = TradeFeed(self._client, self._inbox.post, sequence, self._requests, weight, chance)
        params = _AGGREGATES if self._family else {}
        pump = self._pump(
            f"{symbol} trades",
            symbol,
            lambda: self._client.watch_trades(symbol, None, None, params),
            trades.heard,
            on_break=trades.interrupted,
            quiet=trades.is_quiet,
        )
        if isinstance(self._client, DirectPath):

            def hear(trade: Trade) -> None:
                trades.took(trade)
                pump.touch()

            self._client.on_trades(symbol, hear)
        self._runs.append((f"{symbol} trades out", trades.run))
        self._statistics.append(
            lambda: StreamStatistics(symbol=symbol, kind="trades", pump=pump.statistics(), trades=sequence.statistics())
        )

    def _add_quotes(self, symbol: str) -> None:
        def read(raw: Any) -> Quote | None:  # noqa: ANN401 - ccxt's own
            row = raw.get(symbol, raw)
            fields = [_number(row, name) for name in ("bid", "bidVolume", "ask", "askVolume")]
            if None in fields:
                return None
            bid, bid_size, ask, ask_size = (field or 0.0 for field in fields)
            return Quote(symbol, bid, bid_size, ask, ask_size, time_ns(row))

        if self._client.has.get("watchBidsAsks"):
            self._newest("quotes", symbol, lambda: self._client.watch_bids_asks([symbol]), read)
        else:
            self._newest("quotes", symbol, lambda: self._client.watch_ticker(symbol), read)

    def _add_book(self, symbol: str) -> None:
        levels = self._settings.book_levels
        asked = next(most for most in _BOOK_LEVELS if levels <= most)
        weights = weights_of(symbol)
        latest = _Latest(self._inbox)

        async def quiet() -> bool:
            try:
                raw = await self._requests.ask(
                    weights.book_of(_BOOK_LOOK), lambda: self._client.fetch_order_book(symbol, _BOOK_LOOK)
                )
            except FAULTS:
                return False
            now, shown = _book(symbol, raw, 1), latest.newest
            return isinstance(shown, BookSnapshot) and (now.bids, now.asks) == (shown.bids[:1], shown.asks[:1])

        pump = self._pump(
            f"{symbol} book",
            symbol,
            lambda: self._client.watch_order_book(symbol, asked),
            lambda raw: latest.put(_book(symbol, raw, levels)),
            on_break=lambda _: latest.forget(),
            quiet=quiet,
            pace=_CostlyPace(self._pace, self._requests, weights.book_of(asked)),
        )
        self._keep_latest(symbol, "book", pump, latest)

    def _add_marks(self, symbol: str) -> None:
        """Stream a contract's mark price and its funding, which Binance tells together."""
        wanted: list[str] = [kind for kind in ("mark", "funding") if kind in self._settings.streams]
        if not self._is_contract(symbol):
            log.warning("stream_not_there", symbol=symbol, streams=wanted, reason="it is no contract")
            return
        has = self._client.has
        if "mark" in wanted and not has.get("watchMarkPrice"):
            log.warning("stream_not_there", symbol=symbol, streams=["mark"], reason="the venue does not stream it")
            wanted.remove("mark")
        if self._family and has.get("watchMarkPrice"):
            self._add_marks_together(symbol, wanted)
            return
        if "mark" in wanted:
            self._newest("mark", symbol, lambda: self._client.watch_mark_price(symbol), lambda raw: _mark(symbol, raw))
        if "funding" in wanted and has.get("watchFundingRate"):
            self._newest(
                "funding", symbol, lambda: self._client.watch_funding_rate(symbol), lambda raw: _funding(symbol, raw)
            )
        elif "funding" in wanted and has.get("fetchFundingRate"):
            self._poll_funding(symbol)
        elif "funding" in wanted:
            log.warning("stream_not_there", symbol=symbol, streams=["funding"], reason="the venue does not tell it")

    def _add_marks_together(self, symbol: str, wanted: list[str]) -> None:
        latest = {kind: _Latest(self._inbox) for kind in wanted}

        def take(raw: Any) -> None:  # noqa: ANN401 - ccxt's own
            mark, funding = _mark(symbol, raw), _announced(symbol, raw)
            if mark is not None and "mark" in latest:
                latest["mark"].put(mark)
            if funding is not None and "funding" in latest:
                known = latest["funding"].newest
                if not isinstance(known, Funding) or (known.rate, known.next_ns) != (funding.rate, funding.next_ns):
                    latest["funding"].put(funding)

        pump = self._pump(f"{symbol} mark", symbol, lambda: self._client.watch_mark_price(symbol), take)
        for kind, kept in latest.items():
            self._keep_latest(symbol, kind, pump, kept)

    def _poll_funding(self, symbol: str) -> None:
        latest = _Latest(self._inbox)

        async def ask() -> Any:  # noqa: ANN401 - ccxt's own
            if latest.newest is not None:
                await anyio.sleep(_FUNDING_PERIOD_S)
            return await self._requests.ask(1, lambda: self._client.fetch_funding_rate(symbol))

        stall_s = self._settings.stall_s + 2 * _FUNDING_PERIOD_S
        pump = self._pump(
            f"{symbol} funding", symbol, ask, lambda raw: latest.put(_funding(symbol, raw)), stall_s=stall_s
        )
        self._keep_latest(symbol, "funding", pump, latest)

    # --- inside -------------------------------------------------------------------------------------

    def _is_contract(self, symbol: str) -> bool:
        return bool((self._client.markets or {}).get(symbol, {}).get("contract"))

    def _newest(
        self,
        kind: str,
        symbol: str,
        watch: Callable[[], Awaitable[Any]],
        read: Callable[[Any], Message | None],
    ) -> None:
        latest = _Latest(self._inbox)
        pump = self._pump(f"{symbol} {kind}", symbol, watch, lambda raw: latest.put(read(raw)))
        self._keep_latest(symbol, kind, pump, latest)

    def _keep_latest(self, symbol: str, kind: str, pump: Pump[Any], latest: _Latest) -> None:
        self._runs.append((f"{symbol} {kind} out", latest.run))
        self._statistics.append(
            lambda: StreamStatistics(symbol=symbol, kind=kind, pump=pump.statistics(), conflated=latest.conflated)
        )

    def _pump(
        self,
        name: str,
        symbol: str,
        watch: Callable[[], Awaitable[Any]],
        deliver: Callable[[Any], None],
        *,
        on_break: Callable[[str], None] | None = None,
        quiet: Callable[[], Awaitable[bool]] | None = None,
        stall_s: float | None = None,
        pace: Pace | None = None,
    ) -> Pump[Any]:
        pump: Pump[Any] = Pump(
            name,
            self._client,
            watch,
            deliver,
            on_break=on_break,
            quiet=quiet,
            stall_s=self._settings.stall_s if stall_s is None else stall_s,
            mention=symbol,
            chance=random.Random(self._chance.random()),  # noqa: S311 - jitter, not a secret
            pace=pace or self._pace,
        )
        self._runs.append((name, pump.run))
        return pump


class _CostlyPace(Pace):
    """A pace for a stream that begins with a request."""

    def __init__(self, pace: Pace, requests: FeedRequests, weight: int) -> None:
        super().__init__()
        self._pace = pace
        self._requests = requests
        self._weight = weight

    async def turn(self) -> None:
        await self._requests.turn(self._weight)
        await self._pace.turn()


class _Latest:
    """Keeps the newest version for a core that may be busy."""

    def __init__(self, inbox: Inbox) -> None:
        self.newest: Message | None = None
        self.conflated = 0
        self._inbox = inbox
        self._waiting: Message | None = None
        self._arrived = anyio.Event()

    def put(self, value: Message | None) -> None:
        if value is None:
            return
        self.conflated += self._waiting is not None
        self.newest = self._waiting = value
        self._arrived.set()

    def forget(self) -> None:
        """What waits is out of date."""
        self._waiting = None

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            value, self._waiting = self._waiting, None
            if value is not None:
                await self._inbox.deliver(value)


# --- from ccxt's structures -------------------------------------------------------------------------


def _book(symbol: str, raw: Any, levels: int) -> BookSnapshot:  # noqa: ANN401 - ccxt's own
    def copy(side: Any) -> tuple[tuple[float, float], ...]:  # noqa: ANN401 - ccxt's own
        return tuple((float(level[0]), float(level[1])) for level in side[:levels])

    return BookSnapshot(symbol, raw.get("nonce") or 0, copy(raw["bids"]), copy(raw["asks"]), time_ns(raw))


def _mark(symbol: str, raw: Any) -> Mark | None:  # noqa: ANN401 - ccxt's own
    price = _number(raw, "markPrice")
    return None if price is None else Mark(symbol, price, _number(raw, "indexPrice") or 0.0, time_ns(raw))


def _announced(symbol: str, raw: Any) -> Funding | None:  # noqa: ANN401 - ccxt's own
    """Return the funding that Binance tells with a mark price, which ccxt leaves as it came."""
    info = raw.get("info") or {}
    rate, next_ms = _number(info, "r"), info.get("T")
    return None if rate is None else Funding(symbol, rate, int(next_ms or 0) * NS_PER_MS, time_ns(raw))


def _funding(symbol: str, raw: Any) -> Funding | None:  # noqa: ANN401 - ccxt's own
    rate = _number(raw, "fundingRate")
    next_ms = raw.get("fundingTimestamp") or raw.get("nextFundingTimestamp") or 0
    return None if rate is None else Funding(symbol, rate, int(next_ms) * NS_PER_MS, time_ns(raw))


def _number(raw: Any, name: str) -> float | None:  # noqa: ANN401 - ccxt's own
    value = raw.get(name)
    return None if value in (None, "") else float(value)
