"""Faults of requests: what a plain ccxt.pro client sees of each, and what is true at the exchange."""

import asyncio
import time
from typing import Any

import pytest

from replay.exchange.server import Exchange

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
ORDER = "POST /api/v3/order"
WITHIN_S = 10.0


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, WITHIN_S)


async def buy(client: Any, client_id: str = "mine-1") -> Any:
    """Order something that rests."""
    return await soon(client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"clientOrderId": client_id}))


async def buy_over_socket(client: Any, client_id: str = "mine-1") -> Any:
    return await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 49000, {"newClientOrderId": client_id})


async def ids_at(exchange: Exchange) -> list[str]:
    return [order["client_order_id"] for order in (await exchange.book())["orders"]]


# --- not carried out --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("request_lost", "ExchangeNotAvailable"),
        ("maintenance", "OnMaintenance"),
        ("bad_gateway", "ExchangeNotAvailable"),
        ("rate_limit_storm", "DDoSProtection"),
        ("banned", "DDoSProtection"),
        ("order_rejected", "InsufficientFunds"),
    ],
)
async def test_order_that_is_not_carried_out_leaves_nothing_behind(
    client: Any, exchange: Exchange, name: str, error: str
) -> None:
    import ccxt

    exchange.faults.set(name, 1.0, times=1, on=ORDER)
    with pytest.raises(getattr(ccxt, error)):
        await buy(client)
    assert await ids_at(exchange) == []
    assert exchange.faults.counts[name] == 1
    assert (await buy(client))["status"] == "open"


@pytest.mark.parametrize("name", ["rate_limit_storm", "banned"])
async def test_storms_say_when_to_come_back(client: Any, exchange: Exchange, name: str) -> None:
    import ccxt

    exchange.faults.set(name, 1.0, seconds=3, on=ORDER)
    with pytest.raises(ccxt.DDoSProtection):
        await buy(client)
    assert client.last_response_headers["Retry-After"] == "3"


# --- carried out, but the client does not hear of it ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "error"),
    [("reply_lost", "ExchangeNotAvailable"), ("reply_delayed", "RequestTimeout"), ("status_unknown", "RequestTimeout")],
)
async def test_order_is_live_after_an_error(make_client: Any, exchange: Exchange, name: str, error: str) -> None:
    import ccxt

    client = await make_client(timeout=500)
    exchange.faults.set(name, 1.0, times=1, on=ORDER)
    with pytest.raises(getattr(ccxt, error)):
        await buy(client)
    assert await ids_at(exchange) == ["mine-1"]
    client.timeout = 1000 * WITHIN_S
    with pytest.raises(ccxt.InvalidOrder, match=r"Duplicate order sent\."):
        await buy(client)
    assert await ids_at(exchange) == ["mine-1"]


@pytest.mark.parametrize("name", ["reply_empty", "reply_broken"])
async def test_order_is_live_after_a_reply_that_says_nothing(client: Any, exchange: Exchange, name: str) -> None:
    """No exception: an order without an id."""
    exchange.faults.set(name, 1.0, times=1, on=ORDER)
    assert (await buy(client))["id"] is None
    assert await ids_at(exchange) == ["mine-1"]


async def test_order_whose_reply_is_lost_is_found_by_its_client_id(client: Any, exchange: Exchange) -> None:
    import ccxt

    exchange.faults.set("reply_lost", 1.0, times=1, on=ORDER)
    with pytest.raises(ccxt.ExchangeNotAvailable):
        await buy(client)
    found = await client.fetch_order(None, SYMBOL, {"clientOrderId": "mine-1"})
    assert found["status"] == "open"


# --- late -----------------------------------------------------------------------------------------------------


async def test_latency_makes_requests_wait(client: Any, exchange: Exchange) -> None:
    exchange.faults.set("latency", 1.0, seconds=0.4)
    began_s = time.monotonic()
    for _ in range(4):
        await client.fetch_time()
    assert 0.1 < time.monotonic() - began_s < WITHIN_S
    assert exchange.faults.counts["latency"] == 4


async def test_slow_snapshot_is_still_mended_by_the_differences(
    client: Any, exchange: Exchange, market_moves: Any, eventually: Any
) -> None:
    exchange.faults.set("slow_snapshot", 1.0, seconds=0.5, times=1)
    async with market_moves():
        began_s = time.monotonic()
        await soon(client.watch_order_book(SYMBOL, 100))
        assert time.monotonic() - began_s > 0.45
        for _ in range(10):
            await soon(client.watch_order_book(SYMBOL, 100))
    last_id, bids, _ = exchange.engine.depth("BTCUSDT", 100)
    book = client.orderbooks[SYMBOL]
    await eventually(lambda: book["nonce"] == last_id)
    assert [round(level[0] * 100) for level in book["bids"]] == [ticks for ticks, _ in bids]


async def test_clock_that_is_off_refuses_signed_requests(client: Any, exchange: Exchange) -> None:
    import ccxt

    exchange.faults.set("clock_skew", 1.0, seconds=60)
    assert abs(await client.fetch_time() - time.time() * 1000 - 60_000) < 2_000
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        await client.fetch_balance()
    await client.load_time_difference()
    assert (await client.fetch_balance())["BTC"]["total"] == 1.0


# --- what happens to orders -----------------------------------------------------------------------------------


async def test_market_order_fills_in_parts(client: Any, exchange: Exchange) -> None:
    exchange.faults.set("partial_fill", 1.0, times=1)
    order = await client.create_order(SYMBOL, "market", "buy", 0.1)
    assert (order["filled"], order["info"]["status"]) == (0.05, "PARTIALLY_FILLED")
    await exchange.print_trade(SYMBOL, "50100", "1")
    order = await client.fetch_order(order["id"], SYMBOL)
    assert (order["status"], order["filled"]) == ("closed", 0.1)
    assert [trade["amount"] for trade in await client.fetch_my_trades(SYMBOL)] == [0.05, 0.05]


async def test_resting_order_fills_in_parts(client: Any, exchange: Exchange) -> None:
    order = await buy(client)
    exchange.faults.set("partial_fill", 1.0, times=2)
    for status in ("PARTIALLY_FILLED", "PARTIALLY_FILLED", "FILLED"):
        await exchange.print_trade(SYMBOL, "48999", "1")
        assert (await client.fetch_order(order["id"], SYMBOL))["info"]["status"] == status
    assert [trade["amount"] for trade in await client.fetch_my_trades(SYMBOL)] == [0.005, 0.0025, 0.0025]


# --- the order of replies and events --------------------------------------------------------------------------


async def first_of(client: Any, exchange: Exchange, eventually: Any) -> list[str]:
    """Return which came first, the reply to an order or its event."""
    came: list[str] = []

    async def watch() -> None:
        await client.watch_orders()
        came.append("event")

    watching = asyncio.create_task(watch())
    await eventually(lambda: exchange.desk.requests["ws userDataStream.subscribe.signature"] == 1)
    await client.fetch_time()
    await buy(client)
    came.append("reply")
    await soon(watching)
    return came


async def test_event_can_come_before_the_reply(client: Any, exchange: Exchange, eventually: Any) -> None:
    exchange.faults.set("event_before_reply", 1.0, on=ORDER)
    assert await first_of(client, exchange, eventually) == ["event", "reply"]


async def test_reply_can_come_before_the_event(client: Any, exchange: Exchange, eventually: Any) -> None:
    exchange.faults.set("reply_before_event", 1.0)
    assert await first_of(client, exchange, eventually) == ["reply", "event"]


# --- the WebSocket API ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "error", "live"),
    [
        ("request_lost", "NetworkError", False),
        ("reply_lost", "NetworkError", True),
        ("status_unknown", "RequestTimeout", True),
        ("maintenance", "OnMaintenance", False),
        ("rate_limit_storm", "RateLimitExceeded", False),
        ("order_rejected", "InsufficientFunds", False),
    ],
)
async def test_order_over_the_socket_that_fails(
    client: Any, exchange: Exchange, name: str, error: str, live: bool
) -> None:
    import ccxt

    exchange.faults.set(name, 1.0, times=1, on="ws order.place")
    with pytest.raises(getattr(ccxt, error)):
        await soon(buy_over_socket(client))
    assert await ids_at(exchange) == (["mine-1"] if live else [])


async def test_order_over_the_socket_that_is_never_answered_is_live(client: Any, exchange: Exchange) -> None:
    exchange.faults.set("ws_unanswered", 1.0, on="ws order.place")
    asking = asyncio.create_task(buy_over_socket(client))
    async with asyncio.timeout(WITHIN_S):
        while await ids_at(exchange) != ["mine-1"]:  # noqa: ASYNC110 - the exchange tells nobody of it
            await asyncio.sleep(0.01)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asking, 0.1)


async def test_cancel_whose_reply_is_lost_is_sent_again_by_aiohttp_and_then_unknown(
    client: Any, exchange: Exchange
) -> None:
    """It repeats a DELETE on a connection that was kept alive: the order is cancelled, the caller hears -2011."""
    import ccxt

    order = await buy(client)
    exchange.faults.set("reply_lost", 1.0, times=1, on="DELETE /api/v3/order")
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await client.cancel_order(order["id"], SYMBOL)
    assert exchange.desk.requests["DELETE /api/v3/order"] == 2
    assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "canceled"
