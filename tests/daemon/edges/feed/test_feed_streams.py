"""The other streams: trades all of them, everything else the newest, and what ccxt leaves to its caller."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from daemon.edges.exchange_feed import ExchangeFeed
from daemon.edges.market_data import Book, Funding, Mark, MarketStreams, Ticker, Trade
from daemon.edges.streams import BACKOFF_MAX_S, BACKOFF_MIN_S, Pace, backoff_s

SYMBOL = "BTC/USDT"
TRADES = "btcusdt@trade"
DEPTH = "btcusdt@depth@100ms"
slow = pytest.mark.slow


@asynccontextmanager
async def running(streams: MarketStreams | ExchangeFeed) -> AsyncIterator[None]:
    task = asyncio.create_task(streams.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


class Reader:
    """A callback that keeps what it gets; while `gate` is clear it does not return."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.gaps: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def trades(self, trades: Sequence[Trade]) -> None:
        self.got += trades
        await self.gate.wait()

    async def one(self, value: Book | Ticker | Mark | Funding) -> None:
        self.got.append(value)
        await self.gate.wait()

    def gap(self, reason: str) -> None:
        self.gaps.append(reason)


@pytest.fixture
def reader() -> Reader:
    return Reader()


# --- trades ------------------------------------------------------------------------------------------


@slow
async def test_every_trade_arrives_once_although_its_reader_is_busy(venue: Any, connect: Any, reader: Reader) -> None:
    """An update that lands while nobody waits wakes nobody: so somebody always waits."""
    streams = MarketStreams(await connect(), stall_s=30)
    streams.trades(SYMBOL, reader.trades, reader.gap)
    async with running(streams):
        await venue.subscribed(1, TRADES)
        reader.gate.clear()
        for _ in range(20):
            await venue.trade(10)
            await asyncio.sleep(0.002)
        reader.gate.set()
        await venue.eventually(lambda: len(reader.got) == 200, "200 trades")
    assert [int(trade.id) for trade in reader.got] == list(range(1, 201))
    assert reader.gaps == []
    first = reader.got[0]
    assert (first.symbol, first.price, first.quantity, first.time_ms) == (SYMBOL, 101.0, 0.5, venue.start + 1)
    assert {trade.side for trade in reader.got} == {"buy", "sell"}


@slow
async def test_more_trades_at_once_than_ccxt_keeps_by_itself(venue: Any, connect: Any, reader: Reader) -> None:
    streams = MarketStreams(await connect(), stall_s=30)
    streams.trades(SYMBOL, reader.trades, reader.gap)
    async with running(streams):
        await venue.subscribed(1, TRADES)
        await venue.trade(5_000)
        await venue.eventually(lambda: len(reader.got) == 5_000, "5000 trades")
    assert reader.gaps == []


@slow
async def test_trades_missed_in_a_break_are_told_as_a_gap(venue: Any, connect: Any, reader: Reader) -> None:
    streams = MarketStreams(await connect(), stall_s=30)
    streams.trades(SYMBOL, reader.trades, reader.gap)
    async with running(streams):
        await venue.subscribed(1, TRADES)
        await venue.trade(3)
        await venue.eventually(lambda: len(reader.got) == 3, "3 trades")
        await venue.close_all()
        await venue.trade(4)  # nobody hears
        await venue.subscribed(2, TRADES)
        await venue.trade(2)
        await venue.trade(2, again=8)
        await venue.eventually(lambda: len(reader.got) == 5, "5 trades")
    assert [int(trade.id) for trade in reader.got] == [1, 2, 3, 8, 9]
    assert "trades 4 to 7" in reader.gaps
    assert len(reader.gaps) == 2, "the break and what it cost"


@slow
async def test_market_without_trades_is_not_a_stalled_stream(venue: Any, connect: Any, reader: Reader) -> None:
    streams = MarketStreams(await connect(), stall_s=0.2)
    streams.trades(SYMBOL, reader.trades, reader.gap)
    async with running(streams):
        await venue.subscribed(1, TRADES)
        await venue.trade(1)
        await venue.eventually(lambda: streams.statistics()[0].quiet >= 2, "quiet twice")
        assert venue.dials == 1
        await venue.trade(1, swallow=True)
        await venue.subscribed(2, TRADES)
        assert streams.statistics()[0].stalls == 1


# --- the book ----------------------------------------------------------------------------------------


@slow
async def test_book_is_conflated_and_copied(venue: Any, connect: Any, reader: Reader) -> None:
    streams = MarketStreams(await connect(), stall_s=30)
    streams.book(SYMBOL, reader.one, levels=5)
    async with running(streams):
        await venue.subscribed(1, DEPTH)
        await venue.eventually(lambda: venue.asked["depth"], "a snapshot")
        for quantity in range(2, 4):
            await venue.quote(quantity)
        await venue.eventually(lambda: reader.got and reader.got[-1].bids[0][1] == 3, "the newest")
        reader.gate.clear()
        await venue.quote(4)
        await venue.eventually(lambda: reader.got[-1].bids[0][1] == 4, "its reader is busy with it")
        seen = len(reader.got)
        for quantity in range(5, 505):
            await venue.quote(quantity)
        await venue.eventually(lambda: streams.statistics()[0].heard_s_ago > 0.05, "all were heard")
        assert len(reader.got) == seen
        reader.gate.set()
        await venue.eventually(lambda: len(reader.got) == seen + 1, "the newest only")
        assert reader.got[-1] == Book(SYMBOL, venue.book_id, venue.start, ((100.0, 504.0),), ((101.0, 1.0),))
        assert reader.got[seen - 1].bids == ((100.0, 4.0),), "what was handed out does not change"


@slow
async def test_gap_in_the_book_is_mended_by_a_new_snapshot(venue: Any, connect: Any, reader: Reader) -> None:
    streams = MarketStreams(await connect(), stall_s=30)
    streams.book(SYMBOL, reader.one)
    async with running(streams):
        await venue.subscribed(1, DEPTH)
        await venue.eventually(lambda: venue.asked["depth"], "a snapshot")
        await venue.quote(2)
        await venue.quote(3)
        await venue.eventually(lambda: reader.got and reader.got[-1].bids[0][1] == 3, "a book")
        await venue.quote(4, skip=5)
        await venue.subscribed(2, DEPTH)
        await venue.eventually(lambda: venue.asked["depth"] == 2, "another snapshot")

        async def quote_until(quantity: float) -> None:
            while reader.got[-1].bids[0][1] < quantity:
                await venue.quote(venue.best_bid + 1)
                await asyncio.sleep(0.01)

        await asyncio.wait_for(quote_until(7), 10)
        assert all(venue.best_bids[book.update_id] == book.bids[0][1] for book in reader.got), "never a broken book"
        assert streams.statistics()[0].breaks >= 1


@slow
async def test_book_that_is_always_broken_does_not_take_the_loop(venue: Any, connect: Any, reader: Reader) -> None:
    """Each call of ccxt then raises at once without yielding: without a pause nothing else would ever run."""
    streams = MarketStreams(await connect(), stall_s=30)
    streams.book(SYMBOL, reader.one)
    async with running(streams):
        await venue.subscribed(1, DEPTH)
        began_s = time.monotonic()
        turns = 0
        while time.monotonic() < began_s + 1.0:
            await venue.quote(1, skip=3)
            await asyncio.sleep(0.001)
            turns += 1
    assert turns > 50
    assert 1 <= streams.statistics()[0].breaks <= 21, "no more than one in 50 ms"


# --- newest values -----------------------------------------------------------------------------------


@slow
async def test_ticker(venue: Any, connect: Any, reader: Reader) -> None:
    streams = MarketStreams(await connect(), stall_s=30)
    streams.ticker(SYMBOL, reader.one)
    assert not streams.mark(SYMBOL, reader.one), "a spot market has no mark"
    assert not streams.funding(SYMBOL, reader.one), "and no funding"
    async with running(streams):
        await venue.subscribed(1, "btcusdt@miniTicker")
        fields = {"o": "99", "h": "102", "l": "98", "v": "10", "q": "1000"}
        message = {"e": "24hrMiniTicker", "E": venue.start, "s": "BTCUSDT", "c": "100.5"} | fields
        await venue.push("btcusdt@miniTicker", message)
        await venue.eventually(lambda: reader.got, "a ticker")
    assert reader.got == [Ticker(SYMBOL, venue.start, 100.5, None, None)]


@slow
async def test_mark_and_funding_of_a_contract(venue: Any, connect: Any, reader: Reader) -> None:
    venue.contracts = True
    symbol = "BTC/USDT:USDT"
    marks, rates = Reader(), Reader()
    streams = MarketStreams(await connect(contracts=True), stall_s=30)
    assert streams.mark(symbol, marks.one)
    assert streams.funding(symbol, rates.one)
    async with running(streams):
        await venue.subscribed(1, "btcusdt@markPrice@1s")
        price = {"p": "100.50", "i": "100.25", "P": "100.4", "r": "0.0001", "T": venue.start + 1}
        await venue.push("btcusdt@markPrice@1s", {"e": "markPriceUpdate", "E": venue.start, "s": "BTCUSDT"} | price)
        await venue.eventually(lambda: marks.got and rates.got, "both")
    assert marks.got == [Mark(symbol, venue.start, 100.5, 100.25)]
    assert rates.got == [Funding(symbol, venue.start, 0.0001, venue.start + 8 * 3_600_000)]


# --- manners -----------------------------------------------------------------------------------------


@slow
async def test_refused_dial_is_tried_again_with_pauses(venue: Any, connect: Any, reader: Reader) -> None:
    venue.refuse_dials = 2
    streams = MarketStreams(await connect(), stall_s=30)
    streams.trades(SYMBOL, reader.trades, reader.gap)
    async with running(streams):
        await venue.subscribed(1, TRADES)
        await venue.trade(1)
        await venue.eventually(lambda: reader.got, "a trade")
    assert venue.dials == 3
    assert streams.statistics()[0].breaks == 2


@slow
async def test_streams_that_end_leave_no_task_and_no_other_stream_harmed(
    venue: Any, connect: Any, reader: Reader, inbox: Any, options: Any
) -> None:
    client = await connect()
    async with running(ExchangeFeed(client, inbox, options())):
        await venue.subscribed(1)
        before = asyncio.all_tasks()
        for round_number in (1, 2):
            streams = MarketStreams(client, stall_s=30)
            streams.trades(SYMBOL, reader.trades, reader.gap)
            streams.book(SYMBOL, reader.one)
            async with running(streams):
                await venue.subscribed(1, DEPTH)
                await venue.trade(1)
                await venue.eventually(lambda count=round_number: venue.trade_id >= count, "traded")
        await venue.say(9)
        assert await inbox.until(2) == [venue.bar(0), venue.bar(1)]
        ours = {task.get_name() for task in asyncio.all_tasks() - before if SYMBOL in task.get_name()}
        assert ours == set()


@pytest.mark.parametrize("failures", [1, 2, 5, 50, 5_000])
def test_pauses_are_bounded_on_both_sides(failures: int) -> None:
    chance = random.Random(7)
    pauses = [backoff_s(failures, chance) for _ in range(200)]
    assert min(pauses) >= BACKOFF_MIN_S
    assert max(pauses) <= BACKOFF_MAX_S * 1.5
    assert len(set(pauses)) > 100, "with jitter"


@slow
async def test_subscriptions_are_spaced() -> None:
    pace = Pace(period_s=0.05)
    turns: list[float] = []

    async def take() -> None:
        await pace.turn()
        turns.append(time.monotonic())

    await asyncio.gather(*(take() for _ in range(6)))
    assert all(after - before >= 0.049 for before, after in itertools.pairwise(turns))
