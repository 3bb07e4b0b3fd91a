"""Faults of sockets: what a plain ccxt.pro client sees of each."""

import asyncio
import time
from itertools import pairwise
from typing import Any

import pytest

from replay.exchange.server import Exchange

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
WITHIN_S = 10.0


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, WITHIN_S)


async def collect(client: Any, count: int) -> list[int]:
    """Return ids of trades as they arrive."""
    seen: list[int] = []
    while len(seen) < count:
        seen += [int(trade["id"]) for trade in await soon(client.watch_trades(SYMBOL))]
    return seen


# --- connections that end -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [("close", "1001"), ("abort", "1006"), ("reset", "1006"), ("truncated_frame", "1006")],
)
async def test_pending_watcher_hears_of_the_end_and_the_next_call_dials_again(
    client: Any, exchange: Exchange, market_moves: Any, name: str, text: str
) -> None:
    import ccxt

    async with market_moves():
        await collect(client, 2)
        exchange.faults.set(name, 1.0, times=1, on="btcusdt@trade")
        with pytest.raises(ccxt.NetworkError, match=f"closing code {text}|Connection closed|reset by peer"):
            await collect(client, 10_000)
        await asyncio.sleep(0.05)
        assert exchange.faults.counts[name] == 1
        assert len(await collect(client, 5)) >= 5


async def test_end_that_nobody_waits_for_is_silent_and_what_came_meanwhile_is_gone(
    client: Any, exchange: Exchange, eventually: Any
) -> None:
    waiting = asyncio.create_task(client.watch_trades(SYMBOL))
    await eventually(lambda: any(one.subscriptions for one in client.clients.values()))
    await asyncio.sleep(0.05)
    await exchange.print_trade(SYMBOL, "50001", "0.01")
    (first,) = await soon(waiting)
    exchange.faults.set("close", 1.0, times=1, on="btcusdt@trade")
    await exchange.print_trade(SYMBOL, "50002", "0.01")
    await eventually(lambda: not client.clients)
    waiting = asyncio.create_task(client.watch_trades(SYMBOL))
    await eventually(lambda: any(one.subscriptions for one in client.clients.values()))
    await asyncio.sleep(0.05)
    await exchange.print_trade(SYMBOL, "50003", "0.01")
    later = await soon(waiting)
    assert int(later[-1]["id"]) == int(first["id"]) + 2
    assert int(first["id"]) + 1 not in {int(trade["id"]) for trade in client.trades[SYMBOL]}


async def test_handshake_refused_is_an_error_and_passes(client: Any, exchange: Exchange, market_moves: Any) -> None:
    import ccxt

    exchange.faults.set("handshake_refused", 1.0, times=1)
    async with market_moves():
        with pytest.raises(ccxt.NetworkError):
            await soon(client.watch_trades(SYMBOL))
        assert await collect(client, 2)


# --- connections that only look alive -------------------------------------------------------------------------


async def test_stalled_socket_answers_pings_and_says_nothing(exchange: Exchange, market_moves: Any) -> None:
    import aiohttp

    exchange.faults.set("stall", 1.0, seconds=0.5, times=1)
    url = f"{exchange.stream_url}/ws/btcusdt@trade"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, autoping=False) as socket,
        market_moves(),
    ):
        began_s = time.monotonic()
        await socket.ping(b"there?")
        pong = await asyncio.wait_for(socket.receive(), WITHIN_S)
        assert pong.type is aiohttp.WSMsgType.PONG
        assert pong.data == b"there?"
        trade = await asyncio.wait_for(socket.receive_json(), WITHIN_S)
    assert time.monotonic() - began_s > 0.45
    assert trade["t"] > 3


async def test_stall_is_never_noticed_by_ccxt(make_client: Any, exchange: Exchange, market_moves: Any) -> None:
    client = await make_client(streaming={"keepAlive": 100, "maxPingPongMisses": 2})
    async with market_moves():
        await collect(client, 2)
        exchange.faults.set("stall", 1.0, seconds=60, on="btcusdt@trade")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(collect(client, 10_000), 1.0)


async def test_unanswered_pings_end_the_connection_in_the_client(
    make_client: Any, exchange: Exchange, market_moves: Any
) -> None:
    import ccxt

    client = await make_client(streaming={"keepAlive": 100, "maxPingPongMisses": 2})
    exchange.faults.set("pings_unanswered", 1.0)
    exchange.faults.set("stall", 1.0, seconds=60, on="btcusdt@trade")
    async with market_moves():
        with pytest.raises(ccxt.RequestTimeout, match="ping-pong"):
            await soon(client.watch_trades(SYMBOL))
    assert exchange.faults.counts["pings_unanswered"] >= 2


# --- messages -------------------------------------------------------------------------------------------------


async def test_lost_messages_leave_gaps_in_the_ids(client: Any, exchange: Exchange, market_moves: Any) -> None:
    exchange.faults.set("message_lost", 0.5, on="btcusdt@trade")
    async with market_moves(0.005):
        seen = await collect(client, 20)
    assert all(later > earlier for earlier, later in pairwise(seen))
    assert seen[-1] - seen[0] >= len(seen)
    assert exchange.faults.counts["message_lost"] > 0


async def test_duplicates_come_twice(client: Any, exchange: Exchange, market_moves: Any) -> None:
    exchange.faults.set("duplicate", 1.0, times=3, on="btcusdt@trade")
    async with market_moves():
        seen = await collect(client, 12)
    assert len(seen) - len(set(seen)) == 3


async def test_late_message_holds_up_all_behind_it(client: Any, exchange: Exchange, market_moves: Any) -> None:
    async with market_moves():
        await collect(client, 2)
        exchange.faults.set("message_late", 1.0, seconds=0.4, times=1, on="btcusdt@trade")
        times_s, seen = [time.monotonic()], await collect(client, 1)
        while len(seen) < 40:
            seen += await collect(client, 1)
            times_s.append(time.monotonic())
    assert max(later - earlier for earlier, later in pairwise(times_s)) > 0.3
    assert seen == list(range(seen[0], seen[0] + len(seen)))


async def test_messages_can_change_places(exchange: Exchange, market_moves: Any) -> None:
    import aiohttp

    exchange.faults.set("out_of_order", 1.0, times=2)
    url = f"{exchange.stream_url}/ws/btcusdt@trade"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket, market_moves():
        seen = [(await asyncio.wait_for(socket.receive_json(), WITHIN_S))["t"] for _ in range(6)]
    first = min(seen)
    assert seen == [first + 1, first, first + 3, first + 2, first + 4, first + 5]


async def test_message_that_waits_for_a_successor_is_sent_without_one(exchange: Exchange) -> None:
    import aiohttp

    exchange.faults.set("out_of_order", 1.0, times=1)
    url = f"{exchange.stream_url}/ws/btcusdt@trade"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await exchange.print_trade(SYMBOL, "50001", "0.01")
        assert (await asyncio.wait_for(socket.receive_json(), WITHIN_S))["p"] == "50001.00000000"


# --- subscriptions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["subscribe_rejected", "subscribe_ignored"])
async def test_subscription_that_failed_is_remembered_as_made(
    client: Any, exchange: Exchange, market_moves: Any, name: str
) -> None:
    """Trap 6: the exchange is healthy, and the second call hangs for ever."""
    import ccxt

    exchange.faults.set(name, 1.0, times=1)
    async with market_moves():
        with pytest.raises((ccxt.ExchangeError, TimeoutError)):
            await asyncio.wait_for(client.watch_trades(SYMBOL), 0.5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.watch_trades(SYMBOL), 0.5)
        for one in list(client.clients.values()):
            await one.close()
        await asyncio.sleep(0.05)
        assert await collect(client, 2)


async def test_lost_acknowledgement_leaves_a_book_without_its_snapshot(
    client: Any, exchange: Exchange, market_moves: Any
) -> None:
    exchange.faults.set("ack_lost", 1.0, times=1, on="@depth")
    async with market_moves():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.watch_order_book(SYMBOL, 100), 0.5)
    assert exchange.desk.requests["GET /api/v3/depth"] == 0


# --- the user stream --------------------------------------------------------------------------------------------


async def user_stream(client: Any, exchange: Exchange, eventually: Any, times: int = 1) -> asyncio.Task[Any]:
    watching = asyncio.create_task(client.watch_orders())
    await eventually(lambda: exchange.desk.requests["ws userDataStream.subscribe.signature"] == times)
    await client.fetch_time()
    return watching


async def test_terminated_user_stream_wakes_nobody(client: Any, exchange: Exchange, eventually: Any) -> None:
    """Trap 7: the watcher waits on; a new call subscribes anew and hears again."""
    watching = await user_stream(client, exchange, eventually)
    exchange.faults.set("user_stream_terminated", 1.0, times=1)
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000)
    await asyncio.sleep(0.3)
    assert not watching.done()
    again = await user_stream(client, exchange, eventually, times=2)
    await client.cancel_order(order["id"], SYMBOL)
    assert (await soon(again))[0]["status"] == "canceled"
    await soon(watching)


async def test_events_lost_with_the_user_stream_are_not_repeated(
    client: Any, exchange: Exchange, eventually: Any
) -> None:
    import ccxt

    watching = await user_stream(client, exchange, eventually)
    exchange.faults.set("close", 1.0, times=1, on="user")
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000)
    with pytest.raises(ccxt.NetworkError):
        await soon(watching)
    await asyncio.sleep(0.05)
    watching = await user_stream(client, exchange, eventually, times=2)
    await client.cancel_order(order["id"], SYMBOL)
    assert [each["status"] for each in await soon(watching)] == ["canceled"]
