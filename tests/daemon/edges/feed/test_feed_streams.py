"""Trades, quotes, books, marks and funding: trades all of them, everything else the newest, whatever the venue does."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.messages import BookSnapshot, Funding, Mark, Quote, Trade
from config.schema import Exchange
from daemon.edges.feed.bar_builder import NS_PER_MS
from daemon.edges.feed.exchange import ExchangeFeed
from daemon.edges.feed.market_data import MarketStreams
from daemon.edges.feed.streams import BACKOFF_MAX_S, BACKOFF_MIN_S, Pace, backoff_s

SYMBOL = "BTC/USDT"
PERPETUAL = "BTC/USDT:USDT"
TRADES = "btcusdt@aggTrade"
DEPTH = "btcusdt@depth@100ms"
QUOTES = "btcusdt@bookTicker"
MARKS = "btcusdt@markPrice@1s"
slow = pytest.mark.slow
Options = Callable[..., Exchange]


@asynccontextmanager
async def running(streams: MarketStreams | ExchangeFeed) -> AsyncIterator[None]:
    task = asyncio.create_task(streams.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


def numbers(inbox: Any) -> list[int]:
    return [trade.trade_id for trade in inbox.of(Trade)]


# --- trades ------------------------------------------------------------------------------------------


@slow
async def test_every_trade_arrives_once_although_the_core_is_busy(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    """An update that lands while nobody waits wakes nobody: so somebody always waits."""
    inbox.gate = asyncio.Event()
    async with running(MarketStreams(await connect(), inbox, options(streams=("bars", "trades")))):
        await venue.subscribed(1, TRADES)
        for _ in range(20):
            await venue.trade(10)
            await asyncio.sleep(0.002)
        inbox.gate.set()
        await venue.eventually(lambda: len(inbox.others) == 200, "200 trades")
    assert numbers(inbox) == list(range(1, 201))
    time_ns = (venue.start + 1) * NS_PER_MS
    assert inbox.others[0] == Trade(SYMBOL, 1, 101.0, 0.5, 1, time_ns)
    assert {trade.side for trade in inbox.others} == {1, -1}
    assert venue.asked["aggTrades"] == 0, "nothing was in doubt"


@slow
async def test_more_trades_at_once_than_ccxt_keeps_by_itself(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    async with running(MarketStreams(await connect(), inbox, options(streams=("bars", "trades")))):
        await venue.subscribed(1, TRADES)
        await venue.trade(5_000)
        await venue.eventually(lambda: len(inbox.others) == 5_000, "5000 trades")
    assert numbers(inbox) == list(range(1, 5_001))


@slow
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_trades_missed_in_a_break_are_fetched(
    venue: Any, connect: Any, inbox: Any, options: Options, how: str
) -> None:
    streams = MarketStreams(await connect(), inbox, options(streams=("bars", "trades")))
    async with running(streams):
        await venue.subscribed(1, TRADES)
        await venue.trade(3)
        await venue.eventually(lambda: len(inbox.others) == 3, "3 trades")
        for round_number in range(2, 5):
            if how == "close":
                await venue.close_all()
            else:
                venue.abort_all()
            await venue.trade(1_200)  # nobody hears; more than one page
            await venue.subscribed(round_number, TRADES)
            await venue.trade(2)
            await venue.trade(2, again=venue.trade_id - 1)
        await venue.eventually(lambda: len(inbox.others) == venue.trade_id, "all")
        (row,) = streams.statistics()
    assert numbers(inbox) == list(range(1, venue.trade_id + 1))
    assert row.trades is not None
    assert row.trades.backfilled >= 3_600
    assert row.trades.missing == 0
    assert row.pump.breaks >= 3


@slow
async def test_trades_missed_in_a_break_are_told_before_there_is_another_one(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    async with running(MarketStreams(await connect(), inbox, options(streams=("bars", "trades")))):
        await venue.subscribed(1, TRADES)
        await venue.trade(3)
        await venue.eventually(lambda: len(inbox.others) == 3, "3 trades")
        await venue.trade(4, swallow=True)
        await venue.close_all()
        await venue.eventually(lambda: len(inbox.others) == 7, "and those nobody was told")


@slow
async def test_message_that_is_lost_or_late_on_a_good_connection(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    async with running(MarketStreams(await connect(), inbox, options(streams=("bars", "trades")))):
        await venue.subscribed(1, TRADES)
        await venue.trade(3)
        await venue.trade(1, swallow=True)
        await venue.trade(2)
        await venue.eventually(lambda: len(inbox.others) == 6, "the lost one is fetched")
        pages = list(venue.pages)
        assert pages == [4]
        venue.trade_id += 1  # its successor overtakes it
        await venue.trade(1)
        await venue.trade(1, again=7)
        await venue.trade(1, again=7)
        await venue.eventually(lambda: len(inbox.others) == 8, "both")
        assert venue.pages == pages, "what comes by itself is not asked for"
    assert numbers(inbox) == list(range(1, 9))


@slow
async def test_restart_goes_on_behind_the_newest_trade_of_the_journal(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    await venue.trade(2_500)
    settings = options(streams=("bars", "trades"))
    async with running(MarketStreams(await connect(), inbox, settings, last_trade_ids={SYMBOL: 100})):
        await venue.eventually(lambda: len(inbox.others) == 2_400, "before the stream has said anything")
        await venue.subscribed(1, TRADES)
        await venue.trade(1)
        await venue.eventually(lambda: len(inbox.others) == 2_401, "and on")
    assert numbers(inbox) == list(range(101, 2_502))


@slow
async def test_trades_too_far_back_are_given_up_and_counted(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    await venue.trade(2_500)
    settings = options(streams=("bars", "trades"), backfill_trades_max=50)
    streams = MarketStreams(await connect(), inbox, settings, last_trade_ids={SYMBOL: 100})
    async with running(streams):
        await venue.eventually(lambda: len(inbox.others) == 51, "the newest")
    assert numbers(inbox) == list(range(2_450, 2_501))
    (row,) = streams.statistics()
    assert row.trades is not None
    assert row.trades.missing == 2_349


@slow
async def test_trades_the_venue_does_not_have_are_skipped(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    venue.untold = {5, 6}
    async with running(MarketStreams(await connect(), inbox, options(streams=("bars", "trades")))):
        await venue.subscribed(1, TRADES)
        await venue.trade(3)
        await venue.trade(4, swallow=True)
        await venue.trade(1)
        await venue.eventually(lambda: len(inbox.others) == 6, "those it has")
    assert numbers(inbox) == [1, 2, 3, 4, 7, 8]


@slow
async def test_rest_in_trouble_delays_trades_but_loses_none(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    async with running(MarketStreams(await connect(), inbox, options(streams=("bars", "trades")))):
        await venue.subscribed(1, TRADES)
        await venue.trade(1)
        venue.broken_rest = 3
        await venue.trade(5, swallow=True)
        await venue.trade(1)
        await venue.eventually(lambda: len(inbox.others) == 7, "all")
    assert venue.broken_rest == 0
    assert numbers(inbox) == list(range(1, 8))


@slow
async def test_trades_that_wait_for_the_core_outlive_a_stop(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    """As the supervisor does after a failure."""
    inbox.gate = asyncio.Event()
    streams = MarketStreams(await connect(), inbox, options(streams=("bars", "trades")))
    async with running(streams):
        await venue.subscribed(1, TRADES)
        await venue.trade(9)
        await asyncio.sleep(0.1)
    assert inbox.others == []
    inbox.gate.set()
    async with running(streams):
        await venue.trade(3)
        await venue.eventually(lambda: len(inbox.others) == 12, "all")
    assert numbers(inbox) == list(range(1, 13))


@slow
async def test_market_without_trades_is_not_a_stalled_stream(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    streams = MarketStreams(await connect(), inbox, options(streams=("bars", "trades"), stall_s=0.2))
    async with running(streams):
        await venue.subscribed(1, TRADES)
        await venue.trade(1)
        await venue.eventually(lambda: streams.statistics()[0].pump.quiet >= 2, "quiet twice")
        assert venue.dials == 1
        await venue.trade(1, swallow=True)
        await venue.subscribed(2, TRADES)
        assert streams.statistics()[0].pump.stalls == 1
        await venue.eventually(lambda: numbers(inbox) == [1, 2], "what the silence hid")


@slow
async def test_venue_that_does_not_count_its_trades(venue: Any, connect: Any, inbox: Any, options: Options) -> None:
    """What comes twice is dropped by name; what a break has cost, its newest trades show."""
    client = await connect()
    client.id = "somewhere"
    client.options["watchTrades"] = {"name": "aggTrade"}
    async with running(MarketStreams(client, inbox, options(streams=("bars", "trades")))):
        await venue.subscribed(1, TRADES)
        await venue.trade(2)
        await venue.trade(1, again=2)
        await venue.trade(2)
        await venue.eventually(lambda: len(inbox.others) == 4, "four")
        await venue.close_all()
        await venue.trade(3)
        await venue.eventually(lambda: len(inbox.others) == 7, "and what the break has cost")
    assert numbers(inbox) == [0] * 7
    assert [trade.time_ns // NS_PER_MS - venue.start for trade in inbox.others] == list(range(1, 8))


# --- the book ----------------------------------------------------------------------------------------


@slow
async def test_book_is_conflated_and_copied(venue: Any, connect: Any, inbox: Any, options: Options) -> None:
    streams = MarketStreams(await connect(), inbox, options(streams=("bars", "book"), book_levels=5))
    async with running(streams):
        await venue.subscribed(1, DEPTH)
        await venue.eventually(lambda: venue.asked["depth"], "a snapshot")
        for quantity in range(2, 5):
            await venue.quote(quantity)
        await venue.eventually(lambda: inbox.others and inbox.others[-1].bids[0][1] == 4, "the newest")
        seen = len(inbox.others)
        inbox.gate = asyncio.Event()
        for quantity in range(5, 505):
            await venue.quote(quantity)
            if quantity % 50 == 0:
                await asyncio.sleep(0.01)
        await venue.eventually(lambda: streams.statistics()[0].pump.heard_s_ago > 0.05, "all were heard")
        assert len(inbox.others) == seen
        inbox.gate.set()
        await venue.eventually(lambda: inbox.others[-1].bids[0][1] == 504, "the newest")
        assert len(inbox.others) <= seen + 2, "one that was being taken, and the newest"
        assert streams.statistics()[0].conflated >= 8
    time_ns = venue.start * NS_PER_MS
    assert inbox.others[-1] == BookSnapshot(SYMBOL, venue.book_id, ((100.0, 504.0),), ((101.0, 1.0),), time_ns)
    assert inbox.others[seen - 1].bids == ((100.0, 4.0),), "what was handed out does not change"


@slow
async def test_gap_in_the_book_is_mended_by_a_new_snapshot(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    streams = MarketStreams(await connect(), inbox, options(streams=("bars", "book")))
    async with running(streams):
        await venue.subscribed(1, DEPTH)
        await venue.eventually(lambda: venue.asked["depth"], "a snapshot")
        await venue.quote(2)
        await venue.quote(3)
        await venue.eventually(lambda: inbox.others and inbox.others[-1].bids[0][1] == 3, "a book")
        await venue.quote(4, skip=5)
        await venue.subscribed(2, DEPTH)
        await venue.eventually(lambda: venue.asked["depth"] == 2, "another snapshot")

        async def quote_until(quantity: float) -> None:
            while inbox.others[-1].bids[0][1] < quantity:
                await venue.quote(venue.best_bid + 1)
                await asyncio.sleep(0.01)

        await asyncio.wait_for(quote_until(7), 10)
        assert all(venue.best_bids[book.sequence] == book.bids[0][1] for book in inbox.others), "never a broken book"
        assert streams.statistics()[0].pump.breaks >= 1


@slow
async def test_book_that_is_always_broken_does_not_take_the_loop(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    """Each call of ccxt then raises at once without yielding: without a pause nothing else would ever run."""
    streams = MarketStreams(await connect(), inbox, options(streams=("bars", "book")))
    async with running(streams):
        await venue.subscribed(1, DEPTH)
        began_s = time.monotonic()
        turns = 0
        while time.monotonic() < began_s + 1.0:
            await venue.quote(1, skip=3)
            await asyncio.sleep(0.001)
            turns += 1
    assert turns > 50
    assert 1 <= streams.statistics()[0].pump.breaks <= 21, "no more than one in 50 ms"


# --- newest values -----------------------------------------------------------------------------------


@slow
async def test_quotes(venue: Any, connect: Any, inbox: Any, options: Options) -> None:
    async with running(MarketStreams(await connect(), inbox, options(streams=("bars", "quotes")))):
        await venue.subscribed(1, QUOTES)
        await venue.touch(99.5, 100.5)
        await venue.eventually(lambda: inbox.others, "a quote")
    assert inbox.others == [Quote(SYMBOL, 99.5, 1.5, 100.5, 2.5, 0)]


@slow
async def test_mark_and_funding_of_a_contract_come_by_one_stream(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    venue.contracts = True
    settings = options(symbols=(PERPETUAL,), streams=("bars", "mark", "funding"))
    streams = MarketStreams(await connect(contracts=True), inbox, settings)
    async with running(streams):
        await venue.subscribed(1, MARKS)
        await venue.mark(100.5)
        await venue.eventually(lambda: len(inbox.others) == 2, "both")
        await venue.mark(100.75, second=2)
        await venue.eventually(lambda: len(inbox.others) == 3, "the mark only")
        await venue.mark(101.0, "0.0002", second=3)
        await venue.eventually(lambda: len(inbox.others) == 5, "both again")
    start_ns, next_ns = venue.start * NS_PER_MS, (venue.start + 8 * 3_600_000) * NS_PER_MS
    second_ns = 1_000 * NS_PER_MS
    assert inbox.of(Mark) == [
        Mark(PERPETUAL, price, 100.25, start_ns + second * second_ns)
        for second, price in enumerate((100.5, 100.75, 101.0), 1)
    ]
    assert inbox.of(Funding) == [
        Funding(PERPETUAL, 0.0001, next_ns, start_ns + second_ns),
        Funding(PERPETUAL, 0.0002, next_ns, start_ns + 3 * second_ns),
    ]
    assert [row.kind for row in streams.statistics()] == ["mark", "funding"]
    assert venue.subscriptions.count(MARKS) == 1


@slow
async def test_spot_market_has_no_mark_and_no_funding(venue: Any, connect: Any, inbox: Any, options: Options) -> None:
    streams = MarketStreams(await connect(), inbox, options(streams=("bars", "mark", "funding", "trades")))
    assert [row.kind for row in streams.statistics()] == ["trades"]


@slow
async def test_bars_and_trades_of_a_contract(venue: Any, connect: Any, inbox: Any, options: Options) -> None:
    venue.contracts = True
    client = await connect(contracts=True)
    settings = options(symbols=(PERPETUAL,), streams=("bars", "trades"))
    async with running(ExchangeFeed(client, inbox, settings)), running(MarketStreams(client, inbox, settings)):
        await venue.subscribed(1)
        await venue.subscribed(1, TRADES)
        await venue.say(9)
        await venue.trade(5)
        assert await inbox.until(2) == [venue.bar(0, PERPETUAL), venue.bar(1, PERPETUAL)]
        await venue.eventually(lambda: len(inbox.others) == 5, "5 trades")
        venue.abort_all()
        await venue.say(9)
        await venue.trade(5)
        await venue.subscribed(2)
        await venue.say(4)
        await inbox.until(venue.index)
        await venue.eventually(lambda: len(inbox.others) == 10, "10 trades")
    assert inbox.bars == [venue.bar(index, PERPETUAL) for index in range(venue.index)]
    assert numbers(inbox) == list(range(1, 11))


# --- manners -----------------------------------------------------------------------------------------


@slow
async def test_refused_dial_is_tried_again_with_pauses(venue: Any, connect: Any, inbox: Any, options: Options) -> None:
    venue.refuse_dials = 2
    streams = MarketStreams(await connect(), inbox, options(streams=("bars", "trades")))
    async with running(streams):
        await venue.subscribed(1, TRADES)
        await venue.trade(1)
        await venue.eventually(lambda: inbox.others, "a trade")
    assert venue.dials == 3
    assert streams.statistics()[0].pump.breaks == 2


@slow
async def test_streams_that_end_leave_no_task_and_no_other_stream_harmed(
    venue: Any, connect: Any, inbox: Any, options: Options
) -> None:
    client = await connect()
    async with running(ExchangeFeed(client, inbox, options())):
        await venue.subscribed(1)
        before = asyncio.all_tasks()
        for round_number in (1, 2):
            streams = MarketStreams(client, inbox, options(streams=("bars", "trades", "book")))
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
