"""The feed against a small Binance through ccxt.pro: whatever the venue does, each closed bar comes once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partialmethod
from typing import Any

import pytest
from ccxt.base.errors import OnMaintenance

from actors.messages import WarmUp
from actors.system import History
from config.schema import Exchange
from daemon.edges.feed.bar_merge import BarMerge
from daemon.edges.feed.exchange import ExchangeFeed

pytestmark = pytest.mark.slow
MARKS = pytest.mark.parametrize("marks", [True, False], ids=["marked", "plain"])


@asynccontextmanager
async def running(feed: ExchangeFeed) -> AsyncIterator[ExchangeFeed]:
    task = asyncio.create_task(feed.run())
    try:
        yield feed
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


def bars(venue: Any, first: int, end: int) -> list[Any]:
    return [venue.bar(index) for index in range(first, end) if index not in venue.absent]


@MARKS
async def test_bars_come_as_they_close(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool
) -> None:
    feed = ExchangeFeed(await connect(marks=marks), inbox, options())
    async with running(feed):
        await venue.subscribed(1)
        for _ in range(5):
            await venue.say(4)
            await asyncio.sleep(0)
        await venue.say(1)
        assert await inbox.until(5) == bars(venue, 0, 5)
    assert venue.asked["klines"] == 0, "nothing was in doubt"
    assert venue.dials == 1


async def test_mark_closes_a_bar_before_the_next_one_begins(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    async with running(ExchangeFeed(await connect(), inbox, options())):
        await venue.subscribed(1)
        await venue.say(4)
        assert await inbox.until(1) == bars(venue, 0, 1)


@MARKS
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_bars_of_a_lost_connection_are_fetched(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool, how: str
) -> None:
    feed = ExchangeFeed(await connect(marks=marks), inbox, options())
    async with running(feed):
        await venue.subscribed(1)
        await venue.say(6)
        await inbox.until(1)
        for round_number in range(2, 6):
            if how == "close":
                await venue.close_all()
            else:
                venue.abort_all()
            await venue.say(11)  # nobody hears
            await venue.subscribed(round_number)
            await venue.say(5)
        assert await inbox.until(venue.index) == bars(venue, 0, venue.index)
        (series,) = feed.statistics().series
        assert series.stream.breaks >= 4
        assert series.bars.emitted_from_rest > 0
        assert series.bars.missing == 0


@MARKS
async def test_break_in_which_just_the_end_of_a_bar_is_lost(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool
) -> None:
    """The stream goes on with the very next bar: nothing but the break says that the one before is not whole."""
    async with running(ExchangeFeed(await connect(marks=marks), inbox, options())):
        await venue.subscribed(1)
        await venue.say(6)
        await inbox.until(1)
        venue.abort_all()
        await venue.say(2)
        await venue.subscribed(2)
        await venue.say(5)
        assert await inbox.until(3) == bars(venue, 0, 3)


@MARKS
async def test_close_while_nobody_waits_is_noticed(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool
) -> None:
    """Data and close in one read: the pump has its answer and is not waiting when the connection goes."""
    async with running(ExchangeFeed(await connect(marks=marks), inbox, options())):
        await venue.subscribed(1)
        for round_number in range(2, 8):
            await venue.say(5)
            closing = asyncio.ensure_future(venue.close_all())
            await venue.say(3)
            await venue.subscribed(round_number)
            await closing
        await venue.say(5)
        assert await inbox.until(venue.index) == bars(venue, 0, venue.index)
        await venue.eventually(lambda: len(venue.sockets) == 1, "only one connection is left")


@MARKS
async def test_silence_with_pings_answered_is_ended(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool
) -> None:
    feed = ExchangeFeed(await connect(marks=marks), inbox, options(stall_s=0.3))
    async with running(feed):
        await venue.subscribed(1)
        await venue.say(5)
        await inbox.until(1)
        venue.mute = True
        await venue.say(9)
        await venue.subscribed(2)
        venue.mute = False
        await venue.say(7)
        assert await inbox.until(venue.index) == bars(venue, 0, venue.index)
        (series,) = feed.statistics().series
        assert series.stream.stalls >= 1


async def test_quiet_market_is_left_alone_and_its_bar_closes_by_the_clock(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    feed = ExchangeFeed(await connect(marks=False), inbox, options(stall_s=0.3))
    async with running(feed):
        await venue.subscribed(1)
        await venue.say(4)
        venue.late_ms = 3 * venue.step  # no trade for three minutes
        assert await inbox.until(1) == bars(venue, 0, 1)
        await venue.eventually(lambda: feed.statistics().series[0].stream.quiet >= 2, "two silences were looked into")
        assert venue.dials == 1
        assert feed.statistics().series[0].stream.stalls == 0


@MARKS
@pytest.mark.parametrize("fault", ["reject_next", "ignore_next"])
async def test_subscription_that_was_not_made_is_made_again(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool, fault: str
) -> None:
    setattr(venue, fault, 2)
    await venue.say(6)
    known = {"BTC/USDT": venue.bar(0).close_ns}
    stall_s = 0.3 if fault == "ignore_next" else 30.0  # a refusal is heard, so nobody need wait for silence
    feed = ExchangeFeed(await connect(marks=marks), inbox, options(stall_s=stall_s), last_close_ns=known)
    async with running(feed):
        while len(venue.subscriptions) < 3:  # were the market quiet, so might the stream be
            await venue.say(1)
            await asyncio.sleep(0.02)
        await venue.say(-(venue.moment["BTCUSDT"] + 1) % 4 + 9)
        assert await inbox.until(venue.index - 1) == bars(venue, 1, venue.index)
        assert fault == "ignore_next" or feed.statistics().series[0].stream.stalls == 0


@MARKS
async def test_reader_killed_by_a_truncated_frame_is_replaced(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool
) -> None:
    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    async with running(ExchangeFeed(await connect(marks=marks), inbox, options(stall_s=0.3))):
        await venue.subscribed(1)
        await venue.say(5)
        await inbox.until(1)
        await venue.push("btcusdt@kline_1m", '{"e":"kline","k":{"t":17')
        await venue.say(9)
        await venue.subscribed(2)
        await venue.say(7)
        assert await inbox.until(venue.index) == bars(venue, 0, venue.index)
    assert errors, "ccxt's reader ended in an exception that nobody handles"


async def test_duplicate_and_overtaken_messages_change_nothing(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    async with running(ExchangeFeed(await connect(), inbox, options())):
        await venue.subscribed(1)
        await venue.say(4)
        for index, change in ((1, 0), (1, 1), (1, 1), (2, 0), (1, 3), (1, 2), (0, 3), (2, 3), (2, 3), (2, 1), (3, 0)):
            venue.moment["BTCUSDT"] = max(venue.moment["BTCUSDT"], index * 4 + change)
            await venue.push("btcusdt@kline_1m", venue.kline(index, change))
        assert await inbox.until(3) == bars(venue, 0, 3)


@MARKS
async def test_restart_goes_on_where_the_journal_ends(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool
) -> None:
    await venue.say(42)
    last_close_ns = venue.bar(3).close_ns
    client = await connect(marks=marks)
    async with running(ExchangeFeed(client, inbox, options(), last_close_ns={"BTC/USDT": last_close_ns})):
        assert await inbox.until(6) == bars(venue, 4, 10), "before the stream has said anything"
        await venue.subscribed(1)
        await venue.say(4)
        assert await inbox.until(7) == bars(venue, 4, 11)


async def test_downtime_beyond_the_bound_is_said_to_be_missing(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    await venue.say(122)
    known = {"BTC/USDT": venue.bar(0).close_ns}
    feed = ExchangeFeed(await connect(), inbox, options(), last_close_ns=known, backfill_bars_max=10)
    async with running(feed):
        assert await inbox.until(10) == bars(venue, 20, 30)
        (series,) = feed.statistics().series
        assert series.bars.missing == 19


async def test_history_is_fetched_at_a_first_start(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    await venue.say(41)
    past = {"BTC/USDT": History(5, ("trend",))}
    async with running(ExchangeFeed(await connect(), inbox, options(), history=past)):
        await venue.subscribed(1)
        await venue.say(6)
        assert await inbox.until(6) == bars(venue, 5, 11)
    step_ns = venue.step * 1_000_000
    start_ns = venue.start * 1_000_000 + 10 * step_ns
    assert inbox.others == [WarmUp("BTC/USDT", start_ns - 5 * step_ns, start_ns)]


async def test_history_is_not_fetched_for_a_session_that_goes_on(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    await venue.say(41)
    past, known = {"BTC/USDT": History(5, ("trend",))}, {"BTC/USDT": venue.bar(7).close_ns}
    feed = ExchangeFeed(await connect(), inbox, options(), history=past, last_close_ns=known)
    async with running(feed):
        await venue.subscribed(1)
        await venue.say(3)
        assert await inbox.until(3) == bars(venue, 8, 11)
    assert inbox.others == []


async def test_history_the_venue_does_not_have_is_missing_and_holds_nothing_up(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    await venue.say(9)
    feed = ExchangeFeed(await connect(), inbox, options(), history={"BTC/USDT": History(50, ("trend",))})
    async with running(feed):
        await venue.subscribed(1)
        await venue.say(3)
        assert await inbox.until(3) == bars(venue, 0, 3)
        (series,) = feed.statistics().series
        assert series.bars.missing == 48


async def test_bars_the_venue_does_not_have_are_skipped(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    venue.absent = {2, 3, 6}
    async with running(ExchangeFeed(await connect(), inbox, options())):
        await venue.subscribed(1)
        await venue.say(33)
        assert await inbox.until(5) == bars(venue, 0, 8)


@MARKS
async def test_rest_in_trouble_delays_but_loses_nothing(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool
) -> None:
    async with running(ExchangeFeed(await connect(marks=marks), inbox, options())):
        await venue.subscribed(1)
        await venue.say(6)
        await inbox.until(1)
        venue.broken_rest = 4
        venue.abort_all()
        await venue.say(9)
        await venue.subscribed(2)
        for _ in range(6):
            await venue.say(2)
            await asyncio.sleep(0.02)
        assert await inbox.until(venue.index) == bars(venue, 0, venue.index)
    assert venue.broken_rest == 0


def _known(feed: ExchangeFeed) -> int:
    (series,) = feed.statistics().series
    return series.bars.held + series.bars.emitted


async def test_core_that_is_slow_holds_the_bars_up_but_not_the_stream(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    inbox.gate = asyncio.Event()
    feed = ExchangeFeed(await connect(), inbox, options(), backfill_bars_max=1_000)
    async with running(feed):
        await venue.subscribed(1)
        await venue.say(1_000)
        await venue.eventually(lambda: _known(feed) == 250, "all were heard while none was taken")
        assert inbox.bars == []
        inbox.gate.set()
        assert await inbox.until(250) == bars(venue, 0, 250)
    assert venue.dials == 1


async def test_two_symbols_share_a_socket_and_nothing_else(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    async with running(ExchangeFeed(await connect(), inbox, options(symbols=("BTC/USDT", "ETH/USDT")))):
        await venue.subscribed(1)
        await venue.subscribed(1, "ethusdt@kline_1m")
        assert venue.dials == 1
        for round_number in range(2, 5):
            for _ in range(12):
                await venue.say(1)
                await venue.say(1, "ETHUSDT")
            await venue.close_all()
            await venue.say(5)
            await venue.say(5, "ETHUSDT")
            await venue.subscribed(round_number)
            await venue.subscribed(round_number, "ethusdt@kline_1m")
        await venue.say(4)
        await venue.say(4, "ETHUSDT")
        count = venue.index
        await inbox.until(2 * count)
        for symbol in ("BTC/USDT", "ETH/USDT"):
            own = [each for each in inbox.bars if each.symbol == symbol]
            assert own == [venue.bar(index, symbol) for index in range(count)]


async def test_streams_that_stall_together_drop_their_socket_once(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    feed = ExchangeFeed(await connect(), inbox, options(symbols=("BTC/USDT", "ETH/USDT"), stall_s=0.4))
    async with running(feed):
        await venue.subscribed(1)
        await venue.subscribed(1, "ethusdt@kline_1m")
        await venue.say(5)
        await venue.say(5, "ETHUSDT")
        await inbox.until(2)
        venue.mute = True
        await venue.say(6)
        await venue.say(6, "ETHUSDT")
        await venue.subscribed(2)
        await venue.subscribed(2, "ethusdt@kline_1m")
        venue.mute = False
        for _ in range(20):
            await venue.say(1)
            await venue.say(1, "ETHUSDT")
            await asyncio.sleep(0.02)
        await inbox.until(2 * venue.index)
        assert venue.dials == 2
        assert len(venue.sockets) == 1


@MARKS
async def test_feed_that_is_stopped_and_run_again_goes_on(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool
) -> None:
    """As its supervisor does after a failure."""
    feed = ExchangeFeed(await connect(marks=marks), inbox, options())
    async with running(feed):
        await venue.subscribed(1)
        await venue.say(9)
        await inbox.until(2)
    await venue.say(9)
    async with running(feed):
        await venue.say(9)
        await asyncio.sleep(0.05)
        await venue.say(10)
        assert await inbox.until(venue.index) == bars(venue, 0, venue.index)


async def test_bars_that_wait_for_the_core_outlive_a_stop(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    feed = ExchangeFeed(await connect(), inbox, options())
    inbox.gate = asyncio.Event()
    async with running(feed):
        await venue.subscribed(1)
        await venue.say(20)
        await venue.eventually(lambda: _known(feed) == 5, "5 bars are known")
    assert inbox.bars == []
    inbox.gate.set()
    async with running(feed):
        assert await inbox.until(5) == bars(venue, 0, 5)


async def test_clients_own_close_is_survived(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    """It cancels the waiting call, which is not a cancellation of the feed."""
    client = await connect()
    async with running(ExchangeFeed(client, inbox, options())):
        await venue.subscribed(1)
        await venue.say(5)
        await inbox.until(1)
        await client.close()
        await venue.say(5)
        await venue.subscribed(2)
        await venue.say(5)
        assert await inbox.until(venue.index) == bars(venue, 0, venue.index)


# --- several symbols --------------------------------------------------------------------------------


def _places(inbox: Any) -> list[tuple[int, str]]:
    return [(each.close_ns, each.symbol) for each in inbox.bars]


@MARKS
async def test_what_several_symbols_missed_comes_in_the_order_of_its_time(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], marks: bool
) -> None:
    feed = ExchangeFeed(await connect(marks=marks), inbox, options(symbols=("BTC/USDT", "ETH/USDT")))
    async with running(feed):
        await venue.subscribed(1)
        await venue.subscribed(1, "ethusdt@kline_1m")
        for market in venue.ids:
            await venue.say(5, market)
        await inbox.until(2)
        venue.abort_all()
        for market in venue.ids:
            await venue.say(100, market)  # nobody hears
        await venue.subscribed(2)
        await venue.subscribed(2, "ethusdt@kline_1m")
        for market in venue.ids:
            await venue.say(4, market)
        await inbox.until(2 * venue.index)
    backlog = _places(inbox)[2:-2]
    assert backlog == sorted(backlog), "by close, then in the order of the symbols"
    assert len(set(backlog)) == len(backlog) == 2 * venue.index - 4


async def test_after_downtime_symbols_are_merged_though_rest_answers_one_long_before_the_other(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    for market in venue.ids:
        await venue.say(121, market)
    known = {"BTC/USDT": venue.bar(0).close_ns, "ETH/USDT": venue.bar(4).close_ns}
    client = await connect()
    fetch, slow = client.fetch_ohlcv, asyncio.Event()

    async def fetch_slowly(symbol: str, *rest: Any) -> Any:
        if symbol == "BTC/USDT":
            await slow.wait()
        return await fetch(symbol, *rest)

    client.fetch_ohlcv = fetch_slowly
    feed = ExchangeFeed(client, inbox, options(symbols=("BTC/USDT", "ETH/USDT")), last_close_ns=known)
    async with running(feed):
        await venue.eventually(lambda: feed.statistics().series[1].bars.emitted == 25, "the other one is ready")
        assert inbox.bars == [], "bars of the first come before"
        slow.set()
        await inbox.until(29 + 25)
    assert _places(inbox) == sorted(_places(inbox))


async def test_a_symbol_that_owes_for_too_long_is_not_waited_for(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BarMerge, "__init__", partialmethod(BarMerge.__init__, patience_s=0.3))
    for market in venue.ids:
        await venue.say(41, market)
    known = {symbol: venue.bar(0).close_ns for symbol in ("BTC/USDT", "ETH/USDT")}
    client = await connect()
    fetch = client.fetch_ohlcv

    async def fetch_in_part(symbol: str, *rest: Any) -> Any:
        if symbol == "BTC/USDT":
            message = "maintenance"
            raise OnMaintenance(message)
        return await fetch(symbol, *rest)

    client.fetch_ohlcv = fetch_in_part
    feed = ExchangeFeed(client, inbox, options(symbols=("BTC/USDT", "ETH/USDT")), last_close_ns=known)
    async with running(feed):
        await inbox.until(9)
    assert {each.symbol for each in inbox.bars} == {"ETH/USDT"}


async def test_bars_that_are_watched_do_not_wait_for_another_symbol(
    venue: Any, connect: Any, inbox: Any, options: Callable[..., Exchange]
) -> None:
    feed = ExchangeFeed(await connect(), inbox, options(symbols=("BTC/USDT", "ETH/USDT")))
    async with running(feed):
        await venue.subscribed(1)
        await venue.subscribed(1, "ethusdt@kline_1m")
        for market in venue.ids:
            await venue.say(1, market)
        await venue.say(3, "ETHUSDT")
        assert await inbox.until(1) == [venue.bar(0, "ETH/USDT")]
    assert venue.asked["klines"] == 0
