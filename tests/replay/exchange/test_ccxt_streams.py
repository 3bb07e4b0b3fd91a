"""Every market stream, the user stream and the WebSocket API through plain ccxt.pro, by configuration only."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from replay.exchange.server import Exchange

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
WITHIN_S = 10.0


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, WITHIN_S)


async def follow_book(client: Any, updates: int) -> Any:
    for _ in range(updates):
        book = await soon(client.watch_order_book(SYMBOL, 100))
    return book


# --- the market ---------------------------------------------------------------------------------------


async def test_trades_arrive_each_once_and_in_order(client: Any, exchange: Exchange, market_moves: Any) -> None:
    seen: list[int] = []
    async with market_moves():
        while len(seen) < 20:
            seen += [int(trade["id"]) for trade in await soon(client.watch_trades(SYMBOL))]
    assert seen == list(range(seen[0], seen[0] + len(seen)))


async def test_trade_says_what_it_was(client: Any, exchange: Exchange, market_moves: Any) -> None:
    async with market_moves():
        trade = (await soon(client.watch_trades(SYMBOL)))[-1]
    assert trade["symbol"] == SYMBOL
    assert trade["amount"] == 0.01
    assert 50_000 < trade["price"] < 50_010
    assert trade["side"] in {"buy", "sell"}


async def test_aggregate_trades_have_a_stream_too(client: Any, market_moves: Any) -> None:
    async with market_moves():
        (trade, *_) = await soon(client.watch_trades_for_symbols([SYMBOL], params={"name": "aggTrade"}))
    assert trade["amount"] == 0.01


@pytest.mark.parametrize("timeframe", ["1m", "5m"])
async def test_candles_follow_the_trades(client: Any, exchange: Exchange, market_moves: Any, timeframe: str) -> None:
    async with market_moves():
        candle = (await soon(client.watch_ohlcv(SYMBOL, timeframe)))[-1]
        for _ in range(3):
            candle = (await soon(client.watch_ohlcv(SYMBOL, timeframe)))[-1]
    told = (await client.fetch_ohlcv(SYMBOL, timeframe))[-1]
    assert candle[0] == told[0]
    assert 0 < candle[5] <= told[5]
    assert candle[2] >= candle[4] >= candle[3]


async def test_book_follows_the_exchange_s_to_the_level(
    client: Any, exchange: Exchange, market_moves: Any, eventually: Any
) -> None:
    async with market_moves():
        for _ in range(20):
            await soon(client.watch_order_book(SYMBOL, 100))
    book = client.orderbooks[SYMBOL]
    last_id, bids, asks = exchange.engine.depth("BTCUSDT", 100)
    await eventually(lambda: book["nonce"] == last_id)
    assert [(round(level[0] * 100), round(level[1] * 100_000)) for level in book["bids"]] == list(bids)
    assert [(round(level[0] * 100), round(level[1] * 100_000)) for level in book["asks"]] == list(asks)


async def test_differences_of_the_book_leave_no_gap(exchange: Exchange, market_moves: Any) -> None:
    import aiohttp

    seen: list[tuple[int, int]] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{exchange.stream_url}/ws") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1})
        assert await socket.receive_json() == {"result": None, "id": 1}
        async with market_moves():
            while len(seen) < 10:
                change = await socket.receive_json()
                seen.append((change["U"], change["u"]))
    assert all(first <= last for first, last in seen)
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(seen))


async def test_gap_in_the_book_is_noticed_and_mended_by_the_next_call(
    client: Any, exchange: Exchange, market_moves: Any
) -> None:
    import ccxt

    async with market_moves():
        await soon(client.watch_order_book(SYMBOL, 100))
        exchange.faults.set("book_gap", 1.0, times=1)
        with pytest.raises(ccxt.ChecksumError):
            await follow_book(client, 50)
        assert exchange.faults.counts["book_gap"] == 1
        await asyncio.sleep(0.05)
        book = await follow_book(client, 5)
    assert exchange.desk.requests["GET /api/v3/depth"] == 2
    assert book["bids"][0][0] < book["asks"][0][0]


async def test_ticker_comes_every_second(client: Any, market_moves: Any) -> None:
    async with market_moves():
        ticker = await soon(client.watch_ticker(SYMBOL))
        tickers = await soon(client.watch_tickers())
    assert ticker["last"] >= 50_000
    assert tickers[SYMBOL]["symbol"] == SYMBOL


async def test_best_prices_have_a_stream(client: Any, market_moves: Any) -> None:
    async with market_moves():
        best = (await soon(client.watch_bids_asks([SYMBOL])))[SYMBOL]
    assert round(best["ask"] - best["bid"], 2) == 0.02


async def test_unsubscribing_ends_a_stream(client: Any, exchange: Exchange, market_moves: Any) -> None:
    async with market_moves():
        await soon(client.watch_trades(SYMBOL))
        await soon(client.un_watch_trades(SYMBOL))
        exchange.faults.set("duplicate", 1.0, on="@trade")
        await asyncio.sleep(0.1)
    assert exchange.faults.counts["duplicate"] == 0, "it is still sent"


async def test_combined_streams_are_wrapped_and_named(exchange: Exchange, market_moves: Any) -> None:
    import aiohttp

    url = f"{exchange.stream_url}/stream?streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@depth5"
    names: set[str] = set()
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket, market_moves():
        while len(names) < 3:
            message = await asyncio.wait_for(socket.receive_json(), WITHIN_S)
            names.add(message["stream"])
    assert names == {"btcusdt@trade", "btcusdt@bookTicker", "btcusdt@depth5"}


async def test_unknown_stream_is_refused_and_remembered(exchange: Exchange) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.ws_connect(f"{exchange.stream_url}/ws") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["nopeusdt@trade"], "id": 1})
        assert (await socket.receive_json())["error"] == {"code": 2, "msg": "Invalid request: invalid stream"}
        await socket.send_str("no json")
        assert (await socket.receive_json())["error"]["code"] == 3
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert await socket.receive_json() == {"result": [], "id": 2}
    assert exchange.desk.unmatched["stream nopeusdt@trade"] == 1


async def test_client_that_sends_too_much_is_cut_off(exchange: Exchange) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.ws_connect(f"{exchange.stream_url}/ws") as socket:
        for number in range(6):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        while (message := await asyncio.wait_for(socket.receive(), WITHIN_S)).type is aiohttp.WSMsgType.TEXT:
            assert message.data
    assert socket.close_code == 1008


# --- the user stream ------------------------------------------------------------------------------------


async def subscribed(client: Any, exchange: Exchange, eventually: Any, *watchers: Callable[[], Any]) -> list[Any]:
    """Start watchers of the user stream and wait until the exchange has it."""
    tasks = [asyncio.create_task(watch()) for watch in watchers]
    await eventually(lambda: exchange.desk.requests["ws userDataStream.subscribe.signature"] == 1)
    await eventually(
        lambda: bool(client.clients) and any("spot" in one.subscriptions for one in client.clients.values())
    )
    await client.fetch_time()
    return tasks


async def test_user_stream_tells_of_orders_trades_and_balances(
    client: Any, exchange: Exchange, eventually: Any
) -> None:
    watching = await subscribed(
        client, exchange, eventually, client.watch_orders, client.watch_my_trades, client.watch_balance
    )
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"clientOrderId": "mine-1"})
    orders, balance = await soon(watching[0]), await soon(watching[2])
    assert (orders[0]["id"], orders[0]["clientOrderId"], orders[0]["status"]) == (order["id"], "mine-1", "open")
    assert balance["USDT"] == {"free": 99_510.0, "used": 490.0, "total": 100_000.0}
    next_order = asyncio.create_task(client.watch_orders())
    await exchange.print_trade(SYMBOL, "48999", "1")
    (trade,) = await soon(watching[1])
    assert (trade["order"], trade["price"], trade["amount"]) == (order["id"], 49000.0, 0.01)
    assert trade["fee"] == {"currency": "BTC", "cost": 0.00001}
    (filled,) = await soon(next_order)
    assert (filled["status"], filled["filled"]) == ("closed", 0.01)


async def test_cancel_on_the_user_stream_names_the_order_that_was_cancelled(
    client: Any, exchange: Exchange, eventually: Any
) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"clientOrderId": "mine-1"})
    (watching,) = await subscribed(client, exchange, eventually, client.watch_orders)
    await client.cancel_order(order["id"], SYMBOL)
    (cancelled,) = await soon(watching)
    assert (cancelled["status"], cancelled["clientOrderId"]) == ("canceled", "mine-1")
    assert cancelled["info"]["c"] != "mine-1"


async def test_orders_can_be_placed_replaced_and_cancelled_over_the_socket(client: Any, exchange: Exchange) -> None:
    order = await soon(client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 49000, {"clientOrderId": "mine-1"}))
    assert (order["status"], order["clientOrderId"]) == ("open", "mine-1")
    replaced = await soon(client.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.02, 48000))
    assert (replaced["status"], replaced["price"]) == ("open", 48000.0)
    assert [found["id"] for found in await soon(client.fetch_open_orders_ws(SYMBOL))] == [replaced["id"]]
    assert (await soon(client.cancel_order_ws(replaced["id"], SYMBOL)))["status"] == "canceled"
    assert (await soon(client.fetch_order_ws(order["id"], SYMBOL)))["status"] == "canceled"
    sold = await soon(client.create_order_ws(SYMBOL, "market", "sell", 0.01))
    assert (sold["status"], sold["average"]) == ("closed", 49999.99)
    assert [trade["order"] for trade in await soon(client.fetch_my_trades_ws(SYMBOL))] == [sold["id"]]
    assert len(await soon(client.fetch_orders_ws(SYMBOL))) == 3
    book = await exchange.book()
    assert [found["status"] for found in book["orders"]] == ["CANCELED", "CANCELED", "FILLED"]


async def test_market_data_can_be_asked_for_over_the_socket(client: Any) -> None:
    assert len(await soon(client.fetch_ohlcv_ws(SYMBOL, "1m"))) == 1


async def test_cancel_all_over_the_socket(client: Any) -> None:
    for price in (49000, 48000):
        await soon(client.create_order_ws(SYMBOL, "limit", "buy", 0.01, price))
    assert len(await soon(client.cancel_all_orders_ws(SYMBOL))) == 2


async def test_refusals_over_the_socket_are_those_of_rest(client: Any) -> None:
    import ccxt

    with pytest.raises(ccxt.InsufficientFunds):
        await soon(client.create_order_ws(SYMBOL, "limit", "buy", 1_000, 49000))
    with pytest.raises(ccxt.OrderNotFound):
        await soon(client.cancel_order_ws("99", SYMBOL))


async def test_user_stream_needs_the_secret(make_client: Any) -> None:
    """The refusal itself is hidden by ccxt 4.5.90, which forgets the subscription twice."""
    client = await make_client(secret="wrong")
    with pytest.raises(KeyError, match="spot"):
        await soon(client.watch_orders())
