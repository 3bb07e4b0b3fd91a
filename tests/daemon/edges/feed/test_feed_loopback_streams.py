"""Trades, books and quotes against the loopback exchange with its faults: what it printed is what must arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from actors.messages import BookSnapshot, Funding, Mark, Quote, Trade
from config.schema import Exchange as ExchangeSettings
from daemon.edges.feed.exchange import ExchangeFeed
from daemon.edges.feed.market_data import MarketStreams
from daemon.edges.feed.streams import Pace
from daemon.edges.venue.kline_tap import tapped
from replay.exchange.model import Event, Market, Printed
from replay.exchange.server import Exchange, running
from replay.tape import synthetic_tape

pytestmark = pytest.mark.slow

SEED = 23
BARS = 240
SPEED = 6_000.0
TRADES = "aggTrade"
DEPTH = "depth"
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "close": {"close": {"rate": 0.01, "on": TRADES}},
    "reset": {"reset": {"rate": 0.01, "on": TRADES}},
    "stall": {"stall": {"rate": 0.005, "on": TRADES, "seconds": 30.0, "times": 2}},
    "disorder": {
        "duplicate": {"rate": 0.1, "on": TRADES},
        "out_of_order": {"rate": 0.1, "on": TRADES},
        "message_lost": {"rate": 0.05, "on": TRADES},
    },
    "everything": {
        "close": {"rate": 0.005, "on": TRADES},
        "abort": {"rate": 0.005, "on": TRADES},
        "duplicate": {"rate": 0.05, "on": TRADES},
        "out_of_order": {"rate": 0.05, "on": TRADES},
        "message_lost": {"rate": 0.05, "on": TRADES},
        "message_late": {"rate": 0.01, "on": TRADES, "seconds": 0.3},
        "truncated_frame": {"rate": 0.003, "on": TRADES},
        "request_lost": {"rate": 0.1, "on": "aggTrades"},
        "reply_empty": {"rate": 0.1, "on": "aggTrades"},
        "reply_broken": {"rate": 0.1, "on": "aggTrades"},
        "maintenance": {"rate": 0.1, "on": "aggTrades"},
    },
}
BOOK_FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "book_gap": {"book_gap": {"rate": 0.02}},
    "close": {"close": {"rate": 0.01, "on": DEPTH}},
    "everything": {
        "book_gap": {"rate": 0.01},
        "close": {"rate": 0.005, "on": DEPTH},
        "reset": {"rate": 0.005, "on": DEPTH},
        "duplicate": {"rate": 0.02, "on": DEPTH},
        "out_of_order": {"rate": 0.02, "on": DEPTH},
        "message_lost": {"rate": 0.02, "on": DEPTH},
        "slow_snapshot": {"rate": 0.2, "seconds": 0.2},
    },
}


class Play:
    """A tape on a running exchange, and all that it has printed."""

    def __init__(self, exchange: Exchange, family: str) -> None:
        self.exchange = exchange
        self.family = family
        venue: Any = exchange.venue if family == "binance" else exchange.futures
        self.engine: Any = venue.engine
        self.market: Market = venue.markets[0]
        self.symbol = self.market.symbol
        self.printed: list[Printed] = list(self.engine.recent_trades(self.market.id))
        venue.listen(self._hear)

    def client(self) -> Any:
        """Return ccxt's own client of the family."""
        kind = tapped(getattr(ccxt.pro, self.family))
        return kind(self.exchange.arguments[self.family] | {"enableRateLimit": False})

    def _hear(self, events: Sequence[Event]) -> None:
        self.printed += [event for event in events if isinstance(event, Printed)]

    def wanted(self, first: int) -> list[tuple[int, float, float, int]]:
        """Return every trade from one on as (id, price, quantity, time in ms)."""
        market = self.market
        return [
            (each.trade_id, float(each.price_ticks * market.tick), float(each.quantity_lots * market.lot), each.time_ms)
            for each in self.printed
            if each.trade_id >= first
        ]

    @property
    def ended(self) -> bool:
        return len(self.printed) >= 4 * BARS


@asynccontextmanager
async def playing(
    faults: dict[str, dict[str, Any]], family: str = "binance", *, speed: float = SPEED, **more: Any
) -> AsyncIterator[Play]:
    tape = synthetic_tape(f"{SEED}:{BARS}")
    symbol = tape.series[0].symbol
    base, quote = symbol.split("/")
    market = Market(
        symbol=symbol, id=base + quote, base=base, quote=quote, tick=Decimal("0.01"), lot=Decimal("0.00000001")
    )
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # ccxt's readers die of broken frames
    async with running(markets=[market], tape=tape, speed=speed, seed=SEED, faults=faults, **more) as exchange:
        yield Play(exchange, family)


@asynccontextmanager
async def streaming(
    play: Play, inbox: Any, settings: ExchangeSettings, last_trade_id: int | None = None
) -> AsyncIterator[MarketStreams]:
    client = play.client()
    known = {} if last_trade_id is None else {play.symbol: last_trade_id}
    try:
        await client.load_markets()
        streams = MarketStreams(client, inbox, settings, last_trade_ids=known, pace=Pace(0.2))
        task = asyncio.create_task(streams.run())
        try:
            yield streams
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.wait([task])
    finally:
        await client.close()


def heard(inbox: Any) -> list[tuple[int, float, float, int]]:
    return [(each.trade_id, each.price, each.quantity, each.time_ns // 1_000_000) for each in inbox.of(Trade)]


@pytest.mark.parametrize(
    ("family", "name"),
    [("binance", name) for name in FAULTS] + [("binanceusdm", name) for name in ("none", "close", "everything")],
)
async def test_every_trade_the_exchange_printed_arrives_once_and_in_order(
    venue: Any, inbox: Any, options: Callable[..., ExchangeSettings], family: str, name: str
) -> None:
    async with playing(FAULTS[name], family) as play:
        settings = options(symbols=(play.symbol,), streams=("bars", "trades"), stall_s=0.5)
        async with streaming(play, inbox, settings) as streams:
            await venue.eventually(lambda: play.ended, "the tape's end")
            last = play.printed[-1].trade_id
            await venue.eventually(lambda: inbox.others and inbox.others[-1].trade_id == last, "the last trade")
            (row,) = streams.statistics()
        struck = {fault: play.exchange.faults.counts[fault] for fault in FAULTS[name]}
    first = inbox.others[0].trade_id
    assert first < 200, "it began while the tape played"
    assert heard(inbox) == play.wanted(first)
    assert row.trades is not None
    assert row.trades.missing == 0, (row, struck)
    assert all(struck.values()) or name == "everything", struck
    assert name == "none" or row.trades.backfilled or row.trades.repeated, (row, struck)


async def test_restarts_lose_and_double_no_trade(
    venue: Any, inbox: Any, options: Callable[..., ExchangeSettings]
) -> None:
    async with playing(FAULTS["close"], speed=3_000.0) as play:
        settings = options(symbols=(play.symbol,), streams=("bars", "trades"), stall_s=0.5)
        for count in (40, 200, 201, 500):
            last = inbox.others[-1].trade_id if inbox.others else None
            async with streaming(play, inbox, settings, last):
                await venue.eventually(lambda wanted=count: len(inbox.others) >= wanted, f"{count} trades")
        numbers = [trade.trade_id for trade in inbox.others]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize(
    ("family", "name"),
    [("binance", name) for name in BOOK_FAULTS] + [("binanceusdm", name) for name in ("none", "everything")],
)
async def test_books_are_whole_never_crossed_and_the_newest_wins(
    venue: Any, inbox: Any, options: Callable[..., ExchangeSettings], family: str, name: str
) -> None:
    async with playing(BOOK_FAULTS[name], family) as play:
        settings = options(symbols=(play.symbol,), streams=("bars", "book", "quotes"), stall_s=1.0, book_levels=5)
        market = play.market

        def shown() -> Any:
            _, bids, asks = play.engine.depth(market.id, 5)
            return tuple(
                tuple((float(ticks * market.tick), float(lots * market.lot)) for ticks, lots in side)
                for side in (bids, asks)
            )

        async with streaming(play, inbox, settings) as streams:
            await venue.eventually(lambda: play.ended, "the tape's end")
            play.exchange.faults.clear()
            await venue.eventually(
                lambda: (
                    inbox.of(BookSnapshot)
                    and (inbox.of(BookSnapshot)[-1].bids, inbox.of(BookSnapshot)[-1].asks) == shown()
                ),
                "the book as it stands",
            )
            rows = {row.kind: row for row in streams.statistics()}
        struck = {fault: play.exchange.faults.counts[fault] for fault in BOOK_FAULTS[name]}
    books = inbox.of(BookSnapshot)
    assert all(book.bids[0][0] < book.asks[0][0] for book in books)
    assert all(len(book.bids) <= 5 and len(book.asks) <= 5 for book in books)
    assert all(quote.bid < quote.ask for quote in inbox.of(Quote))
    assert inbox.of(Quote), "quotes came as well"
    assert sorted(book.sequence for book in books) == [book.sequence for book in books]
    assert name == "none" or rows["book"].pump.breaks >= 1, struck


async def test_marks_and_funding_of_a_perpetual_are_those_the_exchange_settles_by(
    venue: Any, inbox: Any, options: Callable[..., ExchangeSettings]
) -> None:
    async with playing({"close": {"rate": 0.02, "on": "markPrice"}}, "binanceusdm", funding_hours=1) as play:
        settings = options(symbols=(play.symbol,), streams=("bars", "mark", "funding"), stall_s=2.0)
        async with streaming(play, inbox, settings):
            await venue.eventually(lambda: len({each.next_ns for each in inbox.of(Funding)}) >= 2, "two fundings")
            await venue.eventually(lambda: len(inbox.of(Mark)) >= 3, "marks")
        rate = float(play.engine.funding_rate(play.market.id))
    hour_ns = 3_600 * 10**9
    times_ns = sorted({each.next_ns for each in inbox.of(Funding)})
    assert all(next_ns % hour_ns == 0 for next_ns in times_ns)
    assert {each.rate for each in inbox.of(Funding)} == {rate}
    low, high = min(each.price_ticks for each in play.printed), max(each.price_ticks for each in play.printed)
    tick = float(play.market.tick)
    assert all(low * tick <= each.price <= high * tick for each in inbox.of(Mark))
    times = [each.time_ns for each in inbox.of(Mark)]
    assert times == sorted(times)


async def test_bars_of_a_perpetual_are_the_tapes_own(
    venue: Any, inbox: Any, options: Callable[..., ExchangeSettings]
) -> None:
    faults = {"close": {"rate": 0.01, "on": "kline_1m"}, "message_lost": {"rate": 0.05, "on": "kline_1m"}}
    async with playing(faults, "binanceusdm") as play:
        client = play.client()
        feed = ExchangeFeed(client, inbox, options(symbols=(play.symbol,), stall_s=0.5))
        task = asyncio.create_task(feed.run())
        try:
            await inbox.until(150)
        finally:
            task.cancel()
            await asyncio.wait([task])
            await client.close()
    wanted = list(synthetic_tape(f"{SEED}:{BARS}").bars())
    got = [(each.open, each.high, each.low, each.close) for each in inbox.bars]
    tape = [(each.open, each.high, each.low, each.close) for each in wanted]
    first = tape.index(got[0])
    assert got == tape[first : first + len(got)]
    opens = [each.open_ns for each in inbox.bars]
    assert opens == [opens[0] + index * 60 * 10**9 for index in range(len(opens))]
