"""A venue as a live feed: the closed bars of every symbol, each exactly once and in order, through ccxt.pro.

Per symbol there are two tasks. The pump owns the candle stream and feeds the builder, nothing else. The series asks
the builder what is ready and posts it, asks REST for what is wanted, and looks at the venue's clock when a bar that
should have closed has not been heard of. So a reconnect, a silence, a gap or a start after downtime all come to
the same thing: the builder wants bars, and REST has them. Posting may wait for the core; pumping never does.
"""

from __future__ import annotations

import math
import random
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import msgspec
import structlog

from actors.messages import WarmUp
from config.timeframe import parse_timeframe
from daemon.edges.feed.bar_builder import NS_PER_MS, BarBuilder, BarStatistics, Span
from daemon.edges.feed.bar_merge import BarMerge
from daemon.edges.feed.clock_skew import ClockSkew, SkewStatistics, TimeClient
from daemon.edges.feed.requests import FeedRequests
from daemon.edges.feed.streams import FAULTS, Pace, Pump, PumpStatistics, StreamClient, backoff_s
from daemon.edges.venue.direct_path import DirectPath
from daemon.edges.venue.kline_tap import KlineTap
from daemon.edges.venue.weights import weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.messages import Bar, Message
    from config.schema import Exchange

GRACE_MS = 1_500
"""A bar that is not heard of so long after its close is asked for."""
_PAGE_BARS_MAX = 1_000
_LOOK_S_MIN = 0.25
"""Shortest time between two looks at the venue's clock."""

log = structlog.get_logger()


class FeedClient(StreamClient, TimeClient, Protocol):
    """What is needed of a ccxt.pro exchange."""

    markets: Mapping[str, Any] | None

    async def load_markets(self) -> Any:  # noqa: ANN401 - ccxt's own
        """Load what is traded."""

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int | None, limit: int | None) -> Any:  # noqa: ANN401
        """Return candles."""

    async def watch_ohlcv(self, symbol: str, timeframe: str) -> Any:  # noqa: ANN401 - ccxt's own
        """Return candles that changed since the last call."""


class Inbox(Protocol):
    """Where bars go: the live driver."""

    async def post(self, message: Message) -> None:
        """Take a message; may wait."""


class Past(Protocol):
    """What is wanted of the time before a session: a `History` of the core's."""

    @property
    def bars(self) -> int:
        """How many."""

    @property
    def strategies(self) -> tuple[str, ...]:
        """Who wants them."""


class SeriesStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's bars and their stream."""

    bars: BarStatistics
    stream: PumpStatistics
    requests: int
    failures: int
    """REST requests that failed in a row."""


class FeedStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The whole feed."""

    series: tuple[SeriesStatistics, ...]
    skew: SkewStatistics


class ExchangeFeed:
    """Posts the closed bars of some symbols.

    Args:
        client: a ccxt.pro exchange of the feed's own; marks of closed candles are used if it is `tapped`.
        driver: where bars go.
        settings: symbols, timeframe, and how long a silence may last.
        last_close_ns: close of the newest bar the journal has, by symbol; what came since is fetched first.
        history: what a symbol without such a close begins with: bars of the time before, told as a warm-up.
        backfill_bars_max: what is further back than this is given up, and said so.
        requests: how REST is asked.
        pace: shared with whoever has the same client.
        seed: of the jitter.
    """

    def __init__(
        self,
        client: FeedClient,
        driver: Inbox,
        settings: Exchange,
        *,
        last_close_ns: Mapping[str, int] | None = None,
        history: Mapping[str, Past] | None = None,
        backfill_bars_max: int = 10_000,
        requests: FeedRequests | None = None,
        pace: Pace | None = None,
        seed: int = 0,
    ) -> None:
        self._client = client
        self._chance = random.Random(seed)  # noqa: S311 - jitter, not a secret
        requests = requests or FeedRequests()
        self.skew = ClockSkew(requests.clock(client))
        pace = pace or Pace()
        known = last_close_ns or {}
        past = {symbol: each for symbol, each in (history or {}).items() if symbol not in known}
        merge = BarMerge(driver.post)
        self._series = {
            symbol: _Series(
                client,
                driver,
                symbol,
                settings,
                skew=self.skew,
                past=past.get(symbol),
                builder_options={
                    "next_open_ms": known[symbol] // NS_PER_MS if symbol in known else None,
                    "history_bars": past[symbol].bars if symbol in past else 0,
                    "backfill_bars_max": max(backfill_bars_max, past[symbol].bars + 2 if symbol in past else 0),
                },
                merge=merge,
                requests=requests,
                pace=pace,
                chance=random.Random(self._chance.random()),  # noqa: S311 - jitter, not a secret
            )
            for symbol in settings.symbols
        }
        self._timeframe = settings.timeframe
        self._direct = isinstance(client, DirectPath)

    async def run(self) -> None:
        """Feed until cancelled.

        Raises:
            ccxt.BaseError: the markets cannot be loaded.
        """
        if not self._client.markets:
            await self._client.load_markets()
        if isinstance(self._client, KlineTap):
            self._client.on_kline = self._on_kline
        for series in self._series.values():
            series.interrupted("the feed started")
        async with anyio.create_task_group() as group:
            group.start_soon(self.skew.run, name="clock skew")
            for symbol, series in self._series.items():
                group.start_soon(series.run, name=f"series {symbol}")
                group.start_soon(series.pump.run, name=f"stream {symbol}")

    def statistics(self) -> FeedStatistics:
        """Return how it is doing."""
        return FeedStatistics(
            series=tuple(series.statistics() for series in self._series.values()), skew=self.skew.statistics()
        )

    def _on_kline(self, symbol: str, timeframe: str, row: Sequence[Any], closed: bool) -> None:  # noqa: FBT001
        series = self._series.get(symbol)
        if series is not None and timeframe == self._timeframe:
            series.heard([row], final=closed)
            if self._direct:
                series.pump.touch()


class _Series:
    """The bars of one symbol."""

    def __init__(
        self,
        client: FeedClient,
        driver: Inbox,
        symbol: str,
        settings: Exchange,
        *,
        skew: ClockSkew,
        past: Past | None,
        builder_options: Mapping[str, Any],
        merge: BarMerge,
        requests: FeedRequests,
        pace: Pace,
        chance: random.Random,
    ) -> None:
        self._client = client
        self._driver = driver
        self.symbol = self._symbol = symbol
        self._timeframe = settings.timeframe
        self._stall_s = settings.stall_s
        self._skew = skew
        self._past = past
        """The history that is wanted, until the core is told where it begins."""
        self._wanted_by = past.strategies if past is not None else ()
        self._merge = merge
        self._requests = requests
        self._weights = weights_of(symbol)
        self._chance = chance
        self._tapped = isinstance(client, KlineTap)
        timeframe_ms = parse_timeframe(settings.timeframe) // NS_PER_MS
        self._builder = BarBuilder(symbol, timeframe_ms, succession=not self._tapped, **builder_options)
        self.leaving: deque[Bar] = deque()
        """What is ready but not yet posted; it outlives a run that is stopped while the core is busy."""
        merge.join(self)
        self._news = anyio.Event()
        self._request_count = 0
        self._failures = 0
        self.pump: Pump[Any] = Pump(
            f"{symbol} {self._timeframe}",
            client,
            lambda: client.watch_ohlcv(symbol, self._timeframe),
            self._on_rows,
            on_break=self.interrupted,
            quiet=self._is_quiet,
            stall_s=self._stall_s,
            mention=symbol,
            chance=chance,
            pace=pace,
        )

    # --- from the stream ----------------------------------------------------------------------------

    def _on_rows(self, rows: Any) -> None:  # noqa: ANN401 - ccxt's own
        if not self._tapped:  # the tap has told them one by one, with their marks
            self.heard(rows, final=False)

    def heard(self, rows: Sequence[Sequence[Any]], *, final: bool) -> None:
        """Take rows of the stream; only what may have closed a bar is news."""
        closed_ms = self._builder.closed_ms
        self._builder.update(rows, final=final)
        if final or self._builder.closed_ms != closed_ms:
            self._news.set()

    def interrupted(self, _: str) -> None:
        """Doubt what was seen."""
        self._builder.doubt()
        self._news.set()

    # --- to the core --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Post what is ready and fetch what is wanted, for ever."""
        if self._builder.next_open_ms is not None:
            await self._look()  # what closed while we were away need not wait for the stream
        while True:
            self._news = anyio.Event()
            await self._begin()
            self.leaving += self._builder.ready()
            await self._merge.let_out()
            wanted = self._builder.wanted()
            self._say_missing()
            if wanted is not None and len(self.leaving) < _PAGE_BARS_MAX:
                await self._fetch(wanted)
                continue
            due_s = math.inf if wanted is not None else self._due_s()
            with anyio.move_on_after(min(due_s, _LOOK_S_MIN if self.leaving else math.inf)) as overdue:
                await self._news.wait()
            if overdue.cancelled_caught and not self.leaving:
                await self._look()

    async def _begin(self) -> None:
        """Tell the core, once, from where on bars are history and where the session begins."""
        builder = self._builder
        if self._past is not None and builder.next_open_ms is not None and builder.start_ms is not None:
            first_ns, start_ns = builder.next_open_ms * NS_PER_MS, builder.start_ms * NS_PER_MS
            await self._driver.post(WarmUp(self._symbol, first_ns, start_ns))
            log.info("warm_up", symbol=self._symbol, bars=self._past.bars, strategies=self._wanted_by)
            self._past = None

    def owes(self, bar: Bar, *, goes_first: bool) -> int | None:
        """Return the open time of a bar of ours that has closed, comes before another symbol's, and is yet to come."""
        builder = self._builder
        if builder.next_open_ms is None:
            return None
        closes_ms, other_ms = builder.next_open_ms + builder.timeframe_ms, bar.close_ns // NS_PER_MS
        if closes_ms < other_ms:
            builder.venue_time(other_ms - builder.timeframe_ms)  # it has closed since, whatever our stream said of it
            self._news.set()
            return builder.next_open_ms
        if goes_first and closes_ms == other_ms and builder.wanted() is not None:
            return builder.next_open_ms
        return None

    def _due_s(self) -> float:
        """Time until the next bar should have been heard of."""
        now_ms, next_ms = self._skew.now_ms(), self._builder.next_open_ms
        if now_ms is None or next_ms is None:
            return max(_LOOK_S_MIN, min(self._stall_s, GRACE_MS / 1_000))
        due_ms = next_ms + self._builder.timeframe_ms + GRACE_MS - now_ms
        return max(_LOOK_S_MIN, due_ms / 1_000 / max(1.0, self._skew.rate))

    async def _look(self) -> None:
        """Learn what the venue's clock says."""
        if self._builder.next_open_ms is None:
            await self._fetch(None)
            return
        try:
            self._request_count += 1
            self._builder.venue_time(await self._skew.sample())
        except FAULTS as error:
            await self._failed(error)

    async def _fetch(self, wanted: Span | None) -> None:
        """Ask for one page: from the bar before what is wanted, for comparison, up to what has successors."""
        builder = self._builder
        step_ms = builder.timeframe_ms
        since_ms, count, closed_ms = None, 2, builder.closed_ms
        if wanted is not None:
            since_ms = wanted.first_ms - step_ms
            count = min(_PAGE_BARS_MAX, (wanted.end_ms - since_ms) // step_ms + 2)
        try:
            rows = await self._page(since_ms, count)
        except FAULTS as error:
            await self._failed(error)
            return
        builder.page(rows, since_ms=since_ms or 0, closed_ms=closed_ms)
        if wanted is not None and not self._moved(wanted):
            # The venue's REST side lags behind its stream, or its clock: ask again, and look at the clock first.
            await self._failed(None)
            await self._look()
            return
        self._failures = 0

    def _moved(self, wanted: Span) -> bool:
        still = self._builder.wanted()
        return still is None or still.first_ms != wanted.first_ms

    async def _page(self, since_ms: int | None, count: int) -> list[Sequence[Any]]:
        self._request_count += 1
        rows = await self._requests.ask(
            self._weights.page_of_bars(count),
            lambda: self._client.fetch_ohlcv(self._symbol, self._timeframe, since_ms, count),
        )
        return list(rows)

    async def _failed(self, error: Exception | None) -> None:
        self._failures += 1
        if error is not None:
            log.warning(
                "bars_not_fetched",
                symbol=self._symbol,
                error=f"{type(error).__name__}: {error}",
                failures=self._failures,
            )
        await anyio.sleep(backoff_s(self._failures, self._chance))

    async def _is_quiet(self) -> bool:
        """Whether REST has nothing that the stream has not told; what it has is taken."""
        builder = self._builder
        before, closed_ms = builder.newest, builder.closed_ms
        try:
            rows = await self._page(None, 2)
        except FAULTS as error:
            log.info("silence_unexplained", symbol=self._symbol, error=f"{type(error).__name__}: {error}")
            return False
        since_ms = min((int(row[0]) for row in rows), default=0)
        if builder.newest is before:  # else the stream spoke meanwhile
            builder.page(rows, since_ms=since_ms, closed_ms=closed_ms)
            self._news.set()
        return before is not None and builder.newest == before

    def _say_missing(self) -> None:
        builder = self._builder
        for span in builder.take_missing():
            past = builder.start_ms is not None and span.end_ms <= builder.start_ms
            log.warning(
                "history_missing" if past else "bars_missing",
                symbol=self._symbol,
                timeframe=self._timeframe,
                first_open_ms=span.first_ms,
                count=(span.end_ms - span.first_ms) // builder.timeframe_ms,
                **({"strategies": self._wanted_by} if past else {}),
            )

    def statistics(self) -> SeriesStatistics:
        """Return how it is doing."""
        return SeriesStatistics(
            bars=self._builder.statistics(),
            stream=self.pump.statistics(),
            requests=self._request_count,
            failures=self._failures,
        )
