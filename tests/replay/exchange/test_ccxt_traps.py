"""The traps of ccxt.pro 4.5.90 that our edges are built around, each provoked on the exchange.

A test that fails here with a newer ccxt says that a trap is gone, and that what avoids it may go too.
"""

import asyncio
import contextlib
from typing import Any

import pytest

from replay.exchange.server import Exchange

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
WITHIN_S = 10.0
SUBSCRIBE = "ws userDataStream.subscribe.signature"


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, WITHIN_S)


async def stop(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def buy(client: Any, price: int = 49_000) -> Any:
    return await client.create_order(SYMBOL, "limit", "buy", 0.01, price)


@pytest.mark.parametrize(("pause_s", "heard"), [(None, False), (0.05, True)])
async def test_instant_retry_after_a_close_kills_the_user_stream(
    client: Any, exchange: Exchange, eventually: Any, pause_s: float | None, heard: bool
) -> None:
    """Trap 1: the close is told twice, and the second time the replacement is deleted."""
    import ccxt

    seen: list[str] = []

    async def pump() -> None:
        while True:
            try:
                seen.extend(order["id"] for order in await client.watch_orders())
            except (ccxt.NetworkError, KeyError):
                if pause_s is not None:
                    await asyncio.sleep(pause_s)

    pumping = asyncio.create_task(pump())
    await eventually(lambda: exchange.desk.requests[SUBSCRIBE] == 1)
    await client.fetch_time()
    exchange.faults.set("close", 1.0, times=1, on="user")
    await buy(client)
    await eventually(lambda: exchange.faults.counts["close"] == 1)
    await asyncio.sleep(0.5)
    last = await buy(client, 48_000)
    await asyncio.sleep(0.5)
    assert (last["id"] in seen) is heard
    await stop(pumping)


async def test_update_that_comes_while_nobody_waits_wakes_nobody(
    client: Any, exchange: Exchange, eventually: Any
) -> None:
    """Trap 2: it is delivered with the next one only."""
    waiting = asyncio.create_task(client.watch_orders())
    await eventually(lambda: exchange.desk.requests[SUBSCRIBE] == 1)
    await client.fetch_time()
    first = await buy(client)
    await soon(waiting)
    await client.cancel_order(first["id"], SYMBOL)
    await asyncio.sleep(0.1)
    assert client.orders.hashmap[SYMBOL][first["id"]]["status"] == "canceled", "it has arrived"
    waiting = asyncio.create_task(client.watch_orders())
    await asyncio.sleep(0.5)
    assert not waiting.done()
    second = await buy(client, 48_000)
    assert {order["id"] for order in await soon(waiting)} == {first["id"], second["id"]}


async def test_gap_found_while_nobody_waits_makes_every_call_fail_without_yielding(
    client: Any, exchange: Exchange, eventually: Any
) -> None:
    """Trap 3: a loop without a pause around it is the end of the process."""
    import ccxt

    exchange.faults.set("book_gap", 0.0)
    watching = asyncio.create_task(client.watch_order_book(SYMBOL, 100))
    await eventually(lambda: exchange.desk.requests["GET /api/v3/depth"] == 1)
    await asyncio.sleep(0.1)
    await exchange.print_trade(SYMBOL, "50001", "0.01")
    await soon(watching)
    exchange.faults.set("book_gap", 1.0, times=1)
    await exchange.print_trade(SYMBOL, "50002", "0.01")
    await exchange.print_trade(SYMBOL, "50003", "0.01")
    await asyncio.sleep(0.1)
    others: list[int] = []
    asyncio.get_running_loop().call_soon(others.append, 1)
    errors = 0
    while not others and errors < 1_000:
        with contextlib.suppress(ccxt.ChecksumError):
            await client.watch_order_book(SYMBOL, 100)
            break
        errors += 1
    assert errors == 1_000, "somebody else had a turn"


async def test_cancelling_one_watcher_cancels_all(client: Any, exchange: Exchange, eventually: Any) -> None:
    """Trap 4: they share one future."""
    one, other = (asyncio.create_task(client.watch_orders()) for _ in range(2))
    await eventually(lambda: exchange.desk.requests[SUBSCRIBE] == 1)
    await client.fetch_time()
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    with pytest.raises(asyncio.CancelledError):
        await soon(other)


async def test_two_consumers_of_one_stream_steal_from_each_other(client: Any, market_moves: Any) -> None:
    """Trap 5: what one has taken the other never sees."""
    seen: dict[str, list[int]] = {"fast": [], "slow": []}

    async def consume(name: str, pause_s: float) -> None:
        while True:
            seen[name] += [int(trade["id"]) for trade in await client.watch_trades(SYMBOL)]
            await asyncio.sleep(pause_s)

    consuming = [asyncio.create_task(consume("fast", 0)), asyncio.create_task(consume("slow", 0.1))]
    async with market_moves(0.01):
        await asyncio.sleep(1.0)
    await stop(*consuming)
    assert len(seen["slow"]) < len(seen["fast"]) / 2
    assert seen["slow"][-1] - seen["slow"][0] + 1 > len(seen["slow"])


async def test_slow_consumer_gets_the_newest_and_never_hears_of_the_rest(
    make_client: Any, exchange: Exchange, eventually: Any
) -> None:
    """What is more than the cache holds is gone."""
    client = await make_client(
        options={"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "tradesLimit": 10}
    )
    waiting = asyncio.create_task(client.watch_trades(SYMBOL))
    await eventually(lambda: any(one.subscriptions for one in client.clients.values()))
    await asyncio.sleep(0.05)
    await exchange.print_trade(SYMBOL, "50001", "0.01")
    await soon(waiting)
    for _ in range(30):
        await exchange.print_trade(SYMBOL, "50002", "0.01")
    await asyncio.sleep(0.1)
    waiting = asyncio.create_task(client.watch_trades(SYMBOL))
    await asyncio.sleep(0)
    await exchange.print_trade(SYMBOL, "50003", "0.01")
    assert len(await soon(waiting)) == 10
