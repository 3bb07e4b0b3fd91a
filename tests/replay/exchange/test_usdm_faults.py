"""Faults of perpetuals: what a plain ccxt.pro.binanceusdm client sees of each, and what is true at the exchange."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from replay.exchange.protocol.limits import Limits
from replay.exchange.server import Exchange, running

pytestmark = pytest.mark.slow

CONTRACT = "BTC/USDT:USDT"
ORDER = "POST /fapi/v1/order"
ALGO = "POST /fapi/v1/algoOrder"
PLACE = "ws-fapi order.place"
WITHIN_S = 10.0


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, WITHIN_S)


async def buy(usdm: Any, client_id: str = "mine-1") -> Any:
    """Order something that rests."""
    return await soon(usdm.create_order(CONTRACT, "limit", "buy", 0.01, 49000, {"clientOrderId": client_id}))


async def stop(usdm: Any, client_id: str = "stop-1") -> Any:
    """Order something that waits for its price."""
    wish = {"clientOrderId": client_id, "stopLossPrice": 49000}
    return await soon(usdm.create_order(CONTRACT, "market", "sell", 0.01, None, wish))


async def at_exchange(exchange: Exchange) -> list[str]:
    """Return the client ids of everything that was ever taken."""
    book = await exchange.book()
    return [row["client_order_id"] for row in book["orders"]] + [
        row["client_algo_id"] for row in book["conditional_orders"]
    ]


# --- requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("occasion", "order"), [(ORDER, buy), (ALGO, stop)])
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("request_lost", "ExchangeNotAvailable"),
        ("maintenance", "OnMaintenance"),
        ("bad_gateway", "ExchangeNotAvailable"),
        ("rate_limit_storm", "DDoSProtection"),
        ("banned", "DDoSProtection"),
        ("order_rejected", "ExchangeError"),
    ],
)
async def test_order_that_is_not_carried_out_leaves_nothing_behind(
    usdm: Any, exchange: Exchange, name: str, error: str, occasion: str, order: Any
) -> None:
    import ccxt

    exchange.faults.set(name, 1.0, times=1, on=occasion)
    with pytest.raises(getattr(ccxt, error)):
        await order(usdm)
    assert await at_exchange(exchange) == []
    assert exchange.faults.counts[name] == 1
    assert (await order(usdm))["status"] == "open"


@pytest.mark.parametrize(("occasion", "order"), [(ORDER, buy), (ALGO, stop)])
@pytest.mark.parametrize(
    ("name", "error"), [("reply_lost", "ExchangeNotAvailable"), ("status_unknown", "RequestTimeout")]
)
async def test_order_lives_although_the_answer_says_nothing_of_it(
    usdm: Any, exchange: Exchange, name: str, error: str, occasion: str, order: Any
) -> None:
    import ccxt

    exchange.faults.set(name, 1.0, times=1, on=occasion)
    with pytest.raises(getattr(ccxt, error)):
        await order(usdm)
    (known,) = await at_exchange(exchange)
    with pytest.raises(ccxt.ExchangeError, match="-4116"):
        await order(usdm)
    params = {"clientOrderId": known} | ({"trigger": True} if occasion == ALGO else {})
    assert (await usdm.fetch_order(None, CONTRACT, params))["status"] == "open"


async def test_order_lives_after_a_timeout(make_usdm: Any, exchange: Exchange) -> None:
    import ccxt

    impatient = await make_usdm(timeout=300)
    exchange.faults.set("reply_delayed", 1.0, seconds=2.0, times=1, on=ORDER)
    with pytest.raises(ccxt.RequestTimeout):
        await buy(impatient)
    assert await at_exchange(exchange) == ["mine-1"]


@pytest.mark.parametrize("name", ["reply_empty", "reply_broken"])
async def test_answer_that_cannot_be_read_is_an_order_without_an_id(usdm: Any, exchange: Exchange, name: str) -> None:
    exchange.faults.set(name, 1.0, times=1, on=ORDER)
    assert (await buy(usdm))["id"] is None
    assert await at_exchange(exchange) == ["mine-1"]


async def test_partial_fills_fill_the_rest_later(usdm: Any, exchange: Exchange) -> None:
    exchange.faults.set("partial_fill", 1.0, times=1)
    order = await usdm.create_order(CONTRACT, "limit", "buy", 0.1, 50001)
    assert (order["status"], order["filled"]) == ("open", 0.05)
    assert (await usdm.fetch_positions())[0]["contracts"] == 0.05
    await exchange.print_trade(CONTRACT, "49999", "1")
    assert (await usdm.fetch_order(order["id"], CONTRACT))["status"] == "closed"


async def test_skewed_clock_refuses_what_is_on_time(usdm: Any, exchange: Exchange) -> None:
    import ccxt

    exchange.faults.set("clock_skew", 1.0, times=1, seconds=60, on="GET /fapi/v3/account")
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        await usdm.fetch_balance()


async def test_key_that_may_withdraw_says_so(usdm: Any, exchange: Exchange) -> None:
    exchange.faults.set("withdrawals_allowed", 1.0, on="/fapi/")
    assert (await usdm.fapiprivate_get_accountconfig())["canWithdraw"] is True
    assert (await usdm.fapiprivatev2_get_account())["canWithdraw"] is True


async def test_slow_snapshot_meets_a_book_that_went_on(usdm: Any, exchange: Exchange, market_moves: Any) -> None:
    exchange.faults.set("slow_snapshot", 1.0, seconds=0.3, times=1, on="GET /fapi/v1/depth")
    async with market_moves(symbol=CONTRACT):
        first = await soon(usdm.watch_order_book(CONTRACT, 100))
        nonce = first["nonce"]
        assert (await soon(usdm.watch_order_book(CONTRACT, 100)))["nonce"] > nonce
    assert exchange.faults.counts["slow_snapshot"] == 1


# --- limits -------------------------------------------------------------------------------------------------


@pytest.fixture
async def narrow() -> AsyncIterator[Exchange]:
    """An exchange that allows little."""
    limits = Limits(time.time, weight_per_minute=20, orders_per_10s=2, orders_per_minute=50, orders_per_day=0)
    async with running(contract_limits=limits) as exchange:
        await exchange.print_trade(CONTRACT, "50000", "0.5")
        yield exchange


async def test_who_asks_too_much_is_refused_then_banned_and_spot_does_not_mind(narrow: Exchange) -> None:
    statuses = []
    async with aiohttp.ClientSession(narrow.url) as session:
        for _ in range(12):
            async with session.get("/fapi/v1/trades", params={"symbol": "BTCUSDT"}) as answer:
                statuses.append(answer.status)
                last = answer
        async with session.get("/api/v3/time") as answer:
            assert answer.status == 200
    assert statuses == [200] * 4 + [429] * 5 + [418] * 3
    assert last.headers["x-mbx-used-weight-1m"] == "20"
    assert int(last.headers["Retry-After"]) > 60


async def test_orders_are_counted_by_ten_seconds_and_by_the_minute(narrow: Exchange) -> None:
    import ccxt.pro

    usdm = ccxt.pro.binanceusdm(narrow.arguments["binanceusdm"] | {"enableRateLimit": False})
    try:
        await usdm.load_markets()
        for number in range(2):
            await buy(usdm, f"mine-{number}")
        with pytest.raises(ccxt.DDoSProtection, match="-1015"):
            await buy(usdm, "mine-2")
        headers = {name.lower(): value for name, value in usdm.last_response_headers.items()}
        assert (headers["x-mbx-order-count-10s"], headers["x-mbx-order-count-1m"]) == ("2", "2")
    finally:
        await usdm.close()


# --- orders over the socket -----------------------------------------------------------------------------------


async def buy_over_socket(usdm: Any) -> Any:
    return await usdm.create_order_ws(CONTRACT, "limit", "buy", 0.01, 49000, {"clientOrderId": "mine-1"})


async def test_order_over_the_socket_that_is_never_answered_lives(usdm: Any, exchange: Exchange) -> None:
    exchange.faults.set("ws_unanswered", 1.0, times=1, on=PLACE)
    asking = asyncio.create_task(buy_over_socket(usdm))
    async with asyncio.timeout(10.0):
        while await at_exchange(exchange) != ["mine-1"]:  # noqa: ASYNC110 - the exchange tells nobody of it
            await asyncio.sleep(0.01)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asking, 0.1)


async def test_socket_that_ends_before_the_answer_leaves_the_order(usdm: Any, exchange: Exchange) -> None:
    import ccxt

    exchange.faults.set("reply_lost", 1.0, times=1, on=PLACE)
    with pytest.raises(ccxt.NetworkError):
        await soon(buy_over_socket(usdm))
    assert await at_exchange(exchange) == ["mine-1"]


# --- the user stream ------------------------------------------------------------------------------------------


async def listening(usdm: Any, eventually: Any, watch: Any) -> asyncio.Task[Any]:
    task = asyncio.create_task(watch())
    await eventually(lambda: any("/private/ws" in url and one.connected.done() for url, one in usdm.clients.items()))
    await usdm.fetch_time()
    return task


async def test_message_can_be_lost_doubled_or_late(usdm: Any, exchange: Exchange, eventually: Any) -> None:
    watching = await listening(usdm, eventually, usdm.watch_orders)
    exchange.faults.set("message_lost", 1.0, times=1, on="futures user ORDER_TRADE_UPDATE NEW")
    order = await buy(usdm)
    assert not watching.done()
    exchange.faults.set("duplicate", 1.0, times=1, on="futures user ORDER_TRADE_UPDATE CANCELED")
    await usdm.cancel_order(order["id"], CONTRACT)
    assert [each["status"] for each in await soon(watching)] == ["canceled"]
    assert (exchange.faults.counts["message_lost"], exchange.faults.counts["duplicate"]) == (1, 1)


async def test_execution_can_come_long_before_its_answer(usdm: Any, exchange: Exchange, eventually: Any) -> None:
    watching = await listening(usdm, eventually, usdm.watch_my_trades)
    exchange.faults.set("event_before_reply", 1.0, seconds=0.3, times=1, on=ORDER)
    order = asyncio.create_task(usdm.create_order(CONTRACT, "market", "buy", 0.1))
    assert (await soon(watching))[0]["amount"] == 0.1
    assert not order.done()
    assert (await soon(order))["status"] == "closed"


async def test_execution_can_come_long_after_its_answer(usdm: Any, exchange: Exchange, eventually: Any) -> None:
    watching = await listening(usdm, eventually, usdm.watch_my_trades)
    exchange.faults.set("reply_before_event", 1.0, seconds=0.3, times=1, on="futures user ORDER_TRADE_UPDATE")
    assert (await usdm.create_order(CONTRACT, "market", "buy", 0.1))["status"] == "closed"
    assert not watching.done()
    assert (await soon(watching))[0]["amount"] == 0.1


async def test_key_that_expires_leaves_a_silent_socket_until_it_is_renewed_in_vain(
    usdm: Any, exchange: Exchange, eventually: Any
) -> None:
    """Ccxt 4.5.90 takes no notice of listenKeyExpired; the next renewal fails, and every watcher hears of that."""
    import ccxt

    watching = await listening(usdm, eventually, usdm.watch_orders)
    exchange.faults.set("listen_key_expired", 1.0, times=1, on="futures user ORDER_TRADE_UPDATE")
    order = await buy(usdm)
    await usdm.cancel_order(order["id"], CONTRACT)
    assert exchange.faults.counts["listen_key_expired"] == 1
    assert not watching.done()
    await usdm.keep_alive_listen_key({"type": "swap"})
    with pytest.raises(ccxt.BaseError, match="-1125"):
        await soon(watching)
    again = asyncio.create_task(usdm.watch_orders())
    await eventually(lambda: len([url for url in usdm.clients if "/private/ws" in url]) == 2)
    url = [url for url in usdm.clients if "/private/ws" in url][-1]
    await eventually(usdm.clients[url].connected.done)
    await usdm.fetch_time()
    await buy(usdm, "mine-2")
    assert [each["clientOrderId"] for each in await soon(again)] == ["mine-2"]


async def test_refused_handshake_says_when_to_come_back(usdm: Any, exchange: Exchange) -> None:
    import ccxt

    for on, watch in (("/private/", usdm.watch_orders), ("/public/", lambda: usdm.watch_trades(CONTRACT))):
        exchange.faults.set("handshake_refused", 1.0, times=1, on=on)
        with pytest.raises(ccxt.NetworkError):
            await soon(watch())
    assert exchange.faults.counts["handshake_refused"] == 2


# --- market streams --------------------------------------------------------------------------------------------


async def test_gap_in_the_book_is_noticed(usdm: Any, exchange: Exchange, market_moves: Any) -> None:
    import ccxt

    async with market_moves(symbol=CONTRACT):
        await soon(usdm.watch_order_book(CONTRACT, 100))
        exchange.faults.set("book_gap", 1.0, times=1, on="futures btcusdt@depth")
        with pytest.raises(ccxt.ChecksumError):
            await soon(follow(usdm))
        await asyncio.sleep(0.05)
        assert (await soon(usdm.watch_order_book(CONTRACT, 100)))["nonce"] > 0


async def follow(usdm: Any) -> None:
    while True:
        await usdm.watch_order_book(CONTRACT, 100)


@pytest.mark.parametrize(("name", "text"), [("close", "1001"), ("abort", "1006"), ("server_disconnect", "1001")])
async def test_watcher_hears_of_the_end_and_the_next_call_dials_again(
    usdm: Any, exchange: Exchange, market_moves: Any, name: str, text: str
) -> None:
    import ccxt

    on = "/futures/public/ws" if name == "server_disconnect" else "futures btcusdt@trade"
    exchange.faults.set(name, 1.0, times=1, seconds=0.2, on=on)
    async with market_moves(symbol=CONTRACT):
        with pytest.raises(ccxt.NetworkError, match=text):
            await soon(watch_trades(usdm))
        await asyncio.sleep(0.05)
        assert await soon(usdm.watch_trades(CONTRACT))


async def watch_trades(usdm: Any) -> None:
    while True:
        await usdm.watch_trades(CONTRACT)
