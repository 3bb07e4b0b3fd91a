"""The trades of one symbol on their way to the core: what the stream tells, and what REST has to tell in its place.

The pump hands on what it hears and never waits. This task posts what is next, waits while the core is busy, looks at
REST after every break, and asks it for whatever number is skipped.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from actors.messages import BUY, SELL, Trade
from daemon.edges.feed.bar_builder import NS_PER_MS
from daemon.edges.feed.streams import FAULTS, backoff_s

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from actors.messages import Message
    from daemon.edges.feed.requests import FeedRequests
    from daemon.edges.feed.trade_sequence import TradeSequence

_PAGE_TRADES_MAX = 1_000
_OVERTAKEN_S = 0.2
"""A trade that is missing is given this long to come by itself, before it is asked for."""
_TRIES = 8
"""Times REST is asked for trades it does not tell, before they are given up."""

log = structlog.get_logger()


class TradeFeed:
    """One symbol's trades.

    Args:
        client: a ccxt.pro exchange.
        post: where they go; may wait.
        sequence: says what is next, and what is missing.
        requests: how REST is asked.
        weight: of one request.
        chance: jitter.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - ccxt is not typed
        post: Callable[[Message], Awaitable[None]],
        sequence: TradeSequence,
        requests: FeedRequests,
        weight: int,
        chance: random.Random,
    ) -> None:
        self._client = client
        self._post = post
        self._sequence = sequence
        self._symbol = sequence.symbol
        self._requests = requests
        self._weight = weight
        self._chance = chance
        self._leaving: deque[Trade] = deque()
        """What is ready but not yet posted; it outlives a run that is stopped while the core is busy."""
        self._news = anyio.Event()
        self._failures = 0

    # --- from the stream ----------------------------------------------------------------------------

    def heard(self, raws: Any) -> None:  # noqa: ANN401 - ccxt's own
        """Take what the stream told."""
        self._sequence.update([_trade(self._symbol, raw, numbered=self._sequence.numbered) for raw in raws])
        self._news.set()

    def took(self, trade: Trade) -> None:
        """Take one trade that was heard past ccxt, which only those are that have numbers."""
        self._sequence.update([("", trade)])
        self._news.set()

    def interrupted(self, _: str) -> None:
        """Doubt that all was told."""
        self._sequence.doubt()
        self._news.set()

    async def is_quiet(self) -> bool:
        """Whether REST has nothing the stream has not told; what it has is taken."""
        try:
            newest = await self._fetch(None, {}, 1)
        except FAULTS:
            return False
        known_ms = self._sequence.newest_ms
        quiet = known_ms is not None and all(trade.time_ns // NS_PER_MS <= known_ms for _, trade in newest)
        if self._sequence.numbered:
            self._sequence.newest(newest)
            self._news.set()
        return quiet

    # --- to the core --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Post what is next and fetch what is missing, for ever."""
        since: tuple[int, float] | None = None
        while True:
            self._news = anyio.Event()
            self._leaving += self._sequence.ready()
            while self._leaving:
                await self._post(self._leaving[0])
                self._leaving.popleft()
            for first, last in self._sequence.take_missing():
                log.warning("trades_missing", symbol=self._symbol, first_id=first, last_id=last)
            if self._sequence.doubtful:
                await self._look()
                continue
            wanted = self._sequence.wanted()
            if wanted is None:
                since = None
                await self._news.wait()
                continue
            if since is None or since[0] != wanted:
                since = (wanted, time.monotonic())
            left_s = since[1] + _OVERTAKEN_S - time.monotonic()
            if left_s > 0:
                with anyio.move_on_after(left_s):
                    await self._news.wait()
                continue
            await self._fill(wanted)

    async def _look(self) -> None:
        """Learn what there is by now."""
        sequence = self._sequence
        try:
            if sequence.numbered:
                sequence.newest(await self._fetch(None, {}, 1))
            else:
                log.warning("trades_may_be_missing", symbol=self._symbol, reason="the stream broke")
                sequence.newest(await self._fetch(sequence.newest_ms, {}, _PAGE_TRADES_MAX))
        except FAULTS as error:
            await self._failed(error)
            return
        self._failures = 0

    async def _fill(self, from_id: int) -> None:
        """Ask for one page of what is missing."""
        try:
            page = await self._fetch(None, {"fromId": from_id}, _PAGE_TRADES_MAX)
        except FAULTS as error:
            await self._failed(error)
            return
        self._sequence.page([trade for _, trade in page], from_id)
        if any(trade.trade_id >= from_id for _, trade in page):
            self._failures = 0
        elif self._failures < _TRIES:
            await self._failed(None)  # its REST side lags behind its stream
        else:
            self._sequence.give_up()
            self._failures = 0

    async def _fetch(self, since_ms: int | None, params: dict[str, Any], count: int) -> list[tuple[str, Trade]]:
        raws = await self._requests.ask(
            self._weight, lambda: self._client.fetch_trades(self._symbol, since_ms, count, params)
        )
        return [_trade(self._symbol, raw, numbered=self._sequence.numbered) for raw in raws]

    async def _failed(self, error: Exception | None) -> None:
        self._failures += 1
        if error is not None:
            log.warning(
                "trades_not_fetched",
                symbol=self._symbol,
                error=f"{type(error).__name__}: {error}",
                failures=self._failures,
            )
        await anyio.sleep(backoff_s(self._failures, self._chance))


def _trade(symbol: str, raw: Any, *, numbered: bool) -> tuple[str, Trade]:  # noqa: ANN401 - ccxt's own
    name = str(raw.get("id") or "")
    side = {"buy": BUY, "sell": SELL}.get(str(raw.get("side")), 0)
    number = int(name) if numbered else 0
    return name, Trade(symbol, number, float(raw["price"]), float(raw["amount"]), side, time_ns(raw))


def time_ns(raw: Any) -> int:  # noqa: ANN401 - ccxt's own
    """Return the time of one of ccxt's structures, 0 without one."""
    return int(raw.get("timestamp") or 0) * NS_PER_MS
