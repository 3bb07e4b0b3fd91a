"""Trades, books, tickers, funding and marks of a venue: pumps as for bars, with typed callbacks.

A callback may wait. Until it returns, what comes is kept for it: trades all of them and in order, of everything
else the newest only. A book is copied when it comes, because ccxt changes the one it hands out. What may have been
missed is told (`on_gap`), for nothing that happened during a break is ever sent again.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import anyio
import msgspec
import structlog

from daemon.edges.streams import FAULTS, Pace, Pump, PumpStatistics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

T = TypeVar("T")

_BOOK_LEVELS_MIN = 100
"""ccxt keeps a book of as many levels as were asked for, and one of few loses the deeper ones for good."""
_TRADES_CACHE = 20_000
"""Trades ccxt keeps between two calls; its own 1,000 are gone in one busy moment."""
_TRADES_HELD_MAX = 200_000
_IDS_KEPT = 5_000
_FUNDING_PERIOD_S = 60.0

log = structlog.get_logger()


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A public trade."""

    symbol: str
    id: str
    """Empty where the venue gives none."""
    time_ms: int
    side: Literal["buy", "sell"] | None
    """Of the one who took."""
    price: float
    quantity: float


class Book(msgspec.Struct, frozen=True):
    """The best levels of a book as (price, quantity), the best first."""

    symbol: str
    update_id: int | None
    time_ms: int | None
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


class Ticker(msgspec.Struct, frozen=True):
    """Last price, and the touch where the venue says it here."""

    symbol: str
    time_ms: int | None
    last: float | None
    bid: float | None
    ask: float | None


class Mark(msgspec.Struct, frozen=True):
    """The price a contract is valued at."""

    symbol: str
    time_ms: int | None
    price: float
    index: float | None


class Funding(msgspec.Struct, frozen=True):
    """What holding a contract will cost or earn."""

    symbol: str
    time_ms: int | None
    rate: float
    """Fraction of the position's value; positive is paid by longs."""
    next_ms: int | None
    """When it is paid."""


class MarketStreams:
    """The streams of one ccxt.pro client; add them, then run.

    Args:
        client: a ccxt.pro exchange of its own with markets loaded.
        stall_s: how long a silence may last.
        pace: shared with the feed of bars if that has the same client.
        seed: of the jitter.
    """

    def __init__(self, client: Any, *, stall_s: float, pace: Pace | None = None, seed: int = 0) -> None:  # noqa: ANN401 - ccxt is not typed
        self._client = client
        self._stall_s = stall_s
        self._pace = pace or Pace()
        self._chance = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._pumps: list[Pump[Any]] = []
        self._runs: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = []

    async def run(self) -> None:
        """Run all streams until cancelled."""
        async with anyio.create_task_group() as group:
            for name, run in self._runs:
                group.start_soon(run, name=name)

    def statistics(self) -> tuple[PumpStatistics, ...]:
        """Return how the streams are doing."""
        return tuple(pump.statistics() for pump in self._pumps)

    # --- what may be added --------------------------------------------------------------------------

    def trades(
        self,
        symbol: str,
        on_trades: Callable[[Sequence[Trade]], Awaitable[None]],
        on_gap: Callable[[str], None] | None = None,
    ) -> None:
        """Stream every trade of a symbol, in order of arrival, each once."""
        self._client.options["tradesLimit"] = _TRADES_CACHE
        kept = _Backlog(symbol, on_trades, on_gap, numbered=str(self._client.id).startswith("binance"))

        async def quiet() -> bool:
            try:
                newest = await self._client.fetch_trades(symbol, None, 1)
            except FAULTS:
                return False
            return kept.newest_ms is not None and all(int(trade["timestamp"]) <= kept.newest_ms for trade in newest)

        self._add(f"{symbol} trades", symbol, lambda: self._client.watch_trades(symbol), kept.add, kept.gap, quiet)
        self._runs.append((f"{symbol} trades out", kept.run))

    def book(self, symbol: str, on_book: Callable[[Book], Awaitable[None]], levels: int = 20) -> None:
        """Stream a symbol's book, newest only; never one that ccxt is about to rebuild."""
        latest: _Latest[Book] = _Latest(on_book)
        asked = max(levels, _BOOK_LEVELS_MIN)

        async def quiet() -> bool:
            try:
                now = _book(symbol, await self._client.fetch_order_book(symbol, 5), 1)
            except FAULTS:
                return False
            shown = latest.newest
            return shown is not None and now.bids == shown.bids[:1] and now.asks == shown.asks[:1]

        def take(raw: Any) -> None:  # noqa: ANN401 - ccxt's own
            latest.put(_book(symbol, raw, levels))

        watch = lambda: self._client.watch_order_book(symbol, asked)  # noqa: E731 - as short as the others
        self._add(f"{symbol} book", symbol, watch, take, lambda _: latest.forget(), quiet)
        self._runs.append((f"{symbol} book out", latest.run))

    def ticker(self, symbol: str, on_ticker: Callable[[Ticker], Awaitable[None]]) -> None:
        """Stream a symbol's ticker, newest only."""

        def read(raw: Any) -> Ticker:  # noqa: ANN401 - ccxt's own
            return Ticker(symbol, raw.get("timestamp"), _number(raw, "last"), _number(raw, "bid"), _number(raw, "ask"))

        self._newest(f"{symbol} ticker", symbol, lambda: self._client.watch_ticker(symbol), read, on_ticker)

    def mark(self, symbol: str, on_mark: Callable[[Mark], Awaitable[None]]) -> bool:
        """Stream a contract's mark price, newest only; False where the market has none."""
        if not self._is_contract(symbol) or not self._client.has.get("watchMarkPrice"):
            return False

        def read(raw: Any) -> Mark | None:  # noqa: ANN401 - ccxt's own
            price = _number(raw, "markPrice")
            return None if price is None else Mark(symbol, raw.get("timestamp"), price, _number(raw, "indexPrice"))

        self._newest(f"{symbol} mark", symbol, lambda: self._client.watch_mark_price(symbol), read, on_mark)
        return True

    def funding(self, symbol: str, on_funding: Callable[[Funding], Awaitable[None]]) -> bool:
        """Stream a contract's funding rate, newest only, or ask for it now and then; False where there is none."""
        if not self._is_contract(symbol):
            return False

        async def ask() -> Any:  # noqa: ANN401 - ccxt's own
            if latest.newest is not None:
                await anyio.sleep(_FUNDING_PERIOD_S)
            return await self._client.fetch_funding_rate(symbol)

        def read(raw: Any) -> Funding | None:  # noqa: ANN401 - ccxt's own
            rate = _number(raw, "fundingRate")
            next_ms = raw.get("fundingTimestamp") or raw.get("nextFundingTimestamp")
            return None if rate is None else Funding(symbol, raw.get("timestamp"), rate, next_ms)

        if self._client.has.get("watchFundingRate"):
            latest = self._newest(
                f"{symbol} funding", symbol, lambda: self._client.watch_funding_rate(symbol), read, on_funding
            )
        elif self._client.has.get("fetchFundingRate"):
            stall_s = self._stall_s + 2 * _FUNDING_PERIOD_S
            latest = self._newest(f"{symbol} funding", symbol, ask, read, on_funding, stall_s=stall_s)
        else:
            return False
        return True

    # --- inside -------------------------------------------------------------------------------------

    def _is_contract(self, symbol: str) -> bool:
        return bool((self._client.markets or {}).get(symbol, {}).get("contract"))

    def _newest(
        self,
        name: str,
        symbol: str,
        watch: Callable[[], Awaitable[Any]],
        read: Callable[[Any], T | None],
        callback: Callable[[T], Awaitable[None]],
        *,
        stall_s: float | None = None,
    ) -> _Latest[T]:
        latest: _Latest[T] = _Latest(callback)

        def take(raw: Any) -> None:  # noqa: ANN401 - ccxt's own
            value = read(raw)
            if value is not None:
                latest.put(value)

        self._add(name, symbol, watch, take, None, None, stall_s=stall_s)
        self._runs.append((f"{name} out", latest.run))
        return latest

    def _add(
        self,
        name: str,
        symbol: str,
        watch: Callable[[], Awaitable[Any]],
        deliver: Callable[[Any], None],
        on_break: Callable[[str], None] | None,
        quiet: Callable[[], Awaitable[bool]] | None,
        *,
        stall_s: float | None = None,
    ) -> None:
        pump: Pump[Any] = Pump(
            name,
            self._client,
            watch,
            deliver,
            on_break=on_break,
            quiet=quiet,
            stall_s=self._stall_s if stall_s is None else stall_s,
            mention=symbol,
            chance=random.Random(self._chance.random()),  # noqa: S311 - jitter, not a secret
            pace=self._pace,
        )
        self._pumps.append(pump)
        self._runs.append((name, pump.run))


class _Latest(Generic[T]):
    """Keeps the newest value for a callback that may be busy."""

    def __init__(self, callback: Callable[[T], Awaitable[None]]) -> None:
        self.newest: T | None = None
        self._callback = callback
        self._waiting: T | None = None
        self._arrived = anyio.Event()

    def put(self, value: T) -> None:
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
                await self._callback(value)


class _Backlog:
    """Keeps all trades for a callback that may be busy."""

    def __init__(
        self,
        symbol: str,
        callback: Callable[[Sequence[Trade]], Awaitable[None]],
        on_gap: Callable[[str], None] | None,
        *,
        numbered: bool,
    ) -> None:
        self.newest_ms: int | None = None
        self._symbol = symbol
        self._callback = callback
        self._on_gap = on_gap
        self._numbered = numbered
        """Whether ids count up by one, so that a missing one is noticed."""
        self._newest_id: int | None = None
        self._seen: dict[str, None] = {}
        self._waiting: deque[Trade] = deque()
        self._arrived = anyio.Event()

    def add(self, raws: Iterable[Any]) -> None:
        for raw in raws:
            trade = _trade(self._symbol, raw)
            if trade.id:
                if trade.id in self._seen:
                    continue
                self._seen[trade.id] = None
                if len(self._seen) > _IDS_KEPT:
                    del self._seen[next(iter(self._seen))]
            self._count(trade)
            self._waiting.append(trade)
        if len(self._waiting) > _TRADES_HELD_MAX:
            self.gap(f"{len(self._waiting)} trades wait for who wants them and are given up")
            self._waiting.clear()
        self._arrived.set()

    def gap(self, reason: str) -> None:
        log.warning("trades_may_be_missing", symbol=self._symbol, reason=reason)
        if self._on_gap is not None:
            self._on_gap(reason)

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            trades = list(self._waiting)
            self._waiting.clear()
            if trades:
                await self._callback(trades)

    def _count(self, trade: Trade) -> None:
        self.newest_ms = max(trade.time_ms, self.newest_ms or 0)
        if not self._numbered or not trade.id.isdigit():
            return
        number, newest = int(trade.id), self._newest_id
        self._newest_id = number if newest is None else max(number, newest)
        if newest is not None and number > newest + 1:
            self.gap(f"trades {newest + 1} to {number - 1}")


def _trade(symbol: str, raw: Any) -> Trade:  # noqa: ANN401 - ccxt's own
    return Trade(
        symbol,
        str(raw.get("id") or ""),
        int(raw["timestamp"]),
        raw.get("side"),
        float(raw["price"]),
        float(raw["amount"]),
    )


def _book(symbol: str, raw: Any, levels: int) -> Book:  # noqa: ANN401 - ccxt's own
    def copy(side: Any) -> tuple[tuple[float, float], ...]:  # noqa: ANN401 - ccxt's own
        return tuple((float(level[0]), float(level[1])) for level in side[:levels])

    return Book(symbol, raw.get("nonce"), raw.get("timestamp"), copy(raw["bids"]), copy(raw["asks"]))


def _number(raw: Any, name: str) -> float | None:  # noqa: ANN401 - ccxt's own
    value = raw.get(name)
    return None if value is None else float(value)
