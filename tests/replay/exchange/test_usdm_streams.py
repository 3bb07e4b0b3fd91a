"""Sockets of perpetuals through plain ccxt.pro.binanceusdm: the market, the account, and orders on a socket."""

import asyncio
from typing import Any

import aiohttp
import pytest

from replay.exchange.server import Exchange, running

pytestmark = pytest.mark.slow

CONTRACT = "BTC/USDT:USDT"
WITHIN_S = 10.0


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, WITHIN_S)


# --- the market ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trade", "aggTrade"])
async def test_trades_arrive_under_the_perpetual_s_symbol(usdm: Any, market_moves: Any, name: str) -> None:
    async with market_moves(symbol=CONTRACT):
        first = (await soon(usdm.watch_trades(CONTRACT, params={"name": name})))[-1]
        second = (await soon(usdm.watch_trades(CONTRACT, params={"name": name})))[-1]
    assert first["symbol"] == CONTRACT
    assert int(second["id"]) > int(first["id"])
    assert first["amount"] == 0.01


async def test_candles_arrive(usdm: Any, market_moves: Any) -> None:
    async with market_moves(symbol=CONTRACT):
        candles = await soon(usdm.watch_ohlcv(CONTRACT, "1m"))
    assert candles[-1][0] % 60_000 == 0
    assert candles[-1][4] > 50_000


async def test_book_is_followed_from_difference_to_difference(usdm: Any, market_moves: Any) -> None:
    nonces = []
    async with market_moves(symbol=CONTRACT):
        for _ in range(10):
            book = await soon(usdm.watch_order_book(CONTRACT, 100))
            nonces.append(book["nonce"])
            assert book["bids"][0][0] < book["asks"][0][0]
            assert book["symbol"] == CONTRACT
    assert nonces == sorted(nonces)
    fetched = await usdm.fetch_order_book(CONTRACT)
    assert fetched["nonce"] >= nonces[-1]


async def test_tickers_best_prices_and_marks_arrive(usdm: Any, market_moves: Any) -> None:
    async with market_moves(symbol=CONTRACT):
        ticker = await soon(usdm.watch_ticker(CONTRACT))
        assert (ticker["symbol"], ticker["open"]) == (CONTRACT, 50000.0)
        assert list(await soon(usdm.watch_tickers())) == [CONTRACT]
        for symbols in ([CONTRACT], None):
            best = (await soon(usdm.watch_bids_asks(symbols)))[CONTRACT]
            assert best["bid"] < best["ask"]
        mark = await soon(usdm.watch_mark_price(CONTRACT))
        assert (mark["symbol"], mark["markPrice"] >= 50_000.0) == (CONTRACT, True)
        slower = await soon(usdm.watch_mark_price(CONTRACT, {"use1sFreq": False}))
        assert slower["info"]["r"] == "0.00010000"
        assert list(await soon(usdm.watch_mark_prices())) == [CONTRACT]


async def test_mark_is_told_while_nothing_is_traded(usdm: Any) -> None:
    first = await soon(usdm.watch_mark_price(CONTRACT))
    second = await soon(usdm.watch_mark_price(CONTRACT))
    assert first["markPrice"] == second["markPrice"] == 50000.0
    assert second["timestamp"] > first["timestamp"]


async def test_partial_books_say_how_they_follow_one_another(exchange: Exchange, market_moves: Any) -> None:
    url = f"{exchange.stream_url}/futures/public/stream?streams=btcusdt@depth5@100ms/btcusdt@bookTicker"
    seen: dict[str, Any] = {}
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket, market_moves(symbol=CONTRACT):
        while len(seen) < 2:
            message = await soon(socket.receive_json())
            seen[message["stream"]] = message["data"]
    book, best = seen["btcusdt@depth5@100ms"], seen["btcusdt@bookTicker"]
    assert (book["e"], len(book["b"]), book["pu"] < book["u"]) == ("depthUpdate", 5, True)
    assert (best["e"], float(best["b"]) < float(best["a"])) == ("bookTicker", True)


async def test_watcher_can_stop(usdm: Any, exchange: Exchange, market_moves: Any) -> None:
    async with market_moves(symbol=CONTRACT):
        await soon(usdm.watch_trades(CONTRACT))
        await soon(usdm.un_watch_trades(CONTRACT))
        exchange.faults.set("duplicate", 1.0, on="futures btcusdt@trade")
        await asyncio.sleep(0.1)
    assert exchange.faults.counts["duplicate"] == 0, "it is still sent"


@pytest.mark.parametrize("stream", ["btcusdt@avgPrice", "btcusdt@kline_1s", "ethusdt@trade"])
async def test_stream_that_perpetuals_have_not_is_refused(exchange: Exchange, stream: str) -> None:
    url = f"{exchange.stream_url}/futures/market/ws/0"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": [stream], "id": 1})
        assert (await soon(socket.receive_json()))["error"]["code"] == 2


# --- the user stream ------------------------------------------------------------------------------------


async def watching(usdm: Any, eventually: Any, *watchers: Any) -> list[Any]:
    """Start watchers of the user stream and wait until the exchange has it."""
    tasks = [asyncio.create_task(watch()) for watch in watchers]
    await eventually(lambda: any("/private/ws" in url and one.connected.done() for url, one in usdm.clients.items()))
    await eventually(lambda: any("linear" in one.subscriptions for one in usdm.clients.values()))
    await usdm.fetch_time()
    return tasks


async def test_user_stream_tells_of_orders_trades_balances_and_positions(
    usdm: Any, exchange: Exchange, eventually: Any
) -> None:
    usdm.options["watchPositions"] = {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False}
    orders, trades, balance, positions = await watching(
        usdm, eventually, usdm.watch_orders, usdm.watch_my_trades, usdm.watch_balance, usdm.watch_positions
    )
    order = await usdm.create_order(CONTRACT, "limit", "buy", 0.1, 49000, {"clientOrderId": "mine-1"})
    (first,) = await soon(orders)
    assert (first["id"], first["clientOrderId"], first["status"]) == (order["id"], "mine-1", "open")
    assert first["symbol"] == CONTRACT
    later = asyncio.create_task(usdm.watch_orders())
    await exchange.print_trade(CONTRACT, "48999", "1")
    (trade,) = await soon(trades)
    assert (trade["order"], trade["price"], trade["amount"]) == (order["id"], 49000.0, 0.1)
    assert (trade["takerOrMaker"], trade["fee"]["currency"]) == ("maker", "USDT")
    assert trade["info"]["rp"] == "0.00000000"
    (filled,) = await soon(later)
    assert (filled["status"], filled["filled"], filled["average"]) == ("closed", 0.1, 49000.0)
    assert (await soon(balance))["USDT"]["total"] == pytest.approx(100_000 - 4.9)
    (position,) = await soon(positions)
    assert (position["symbol"], position["side"], position["contracts"]) == (CONTRACT, "long", 0.1)
    assert (position["entryPrice"], position["marginMode"], position["hedged"]) == (49000.0, "cross", False)


async def test_positions_begin_with_a_snapshot(usdm: Any) -> None:
    await usdm.create_order(CONTRACT, "market", "sell", 0.1)
    (position,) = await soon(usdm.watch_positions())
    assert (position["side"], position["contracts"]) == ("short", 0.1)


async def test_change_and_cancel_are_told_of_the_same_order(usdm: Any, exchange: Exchange, eventually: Any) -> None:
    order = await usdm.create_order(CONTRACT, "limit", "buy", 0.1, 49000, {"clientOrderId": "mine-1"})
    (orders,) = await watching(usdm, eventually, usdm.watch_orders)
    await usdm.edit_order(order["id"], CONTRACT, "limit", "buy", 0.2, 48000)
    (changed,) = await soon(orders)
    assert (changed["id"], changed["price"], changed["amount"]) == (order["id"], 48000.0, 0.2)
    assert changed["info"]["x"] == "AMENDMENT"
    next_one = asyncio.create_task(usdm.watch_orders())
    await asyncio.sleep(0)
    await usdm.cancel_order(order["id"], CONTRACT)
    (cancelled,) = await soon(next_one)
    assert (cancelled["status"], cancelled["clientOrderId"]) == ("canceled", "mine-1")


async def test_conditional_order_is_told_until_its_order_has_ended(
    usdm: Any, exchange: Exchange, eventually: Any
) -> None:
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    (orders,) = await watching(usdm, eventually, usdm.watch_orders)
    waiting = await usdm.create_order(CONTRACT, "market", "sell", 0.1, None, {"stopLossPrice": 49000})
    (first,) = await soon(orders)
    assert (first["id"], first["status"], first["triggerPrice"]) == (waiting["id"], "open", 49000.0)
    await exchange.print_trade(CONTRACT, "48990", "1")
    told = {}
    while (waiting["id"], "closed") not in told:
        for order in await soon(usdm.watch_orders()):
            told[order["id"], order["status"]] = order
    placed = told[waiting["id"], "closed"]["info"]["ai"]
    await eventually(lambda: any(order["id"] == placed for order in usdm.orders))
    order = next(order for order in usdm.orders if order["id"] == placed)
    assert (order["status"], order["filled"]) == ("closed", 0.1)


async def raw_events(exchange: Exchange, usdm: Any, act: Any, until: str) -> list[Any]:
    """Return what the private socket says while `act` is done, up to the first message of a kind."""
    key = (await usdm.fapiprivate_post_listenkey())["listenKey"]
    url = f"{exchange.stream_url}/futures/private/ws?listenKey={key}"
    seen: list[Any] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await act()
        while not seen or seen[-1]["e"] != until:
            seen.append(await soon(socket.receive_json()))
    return seen


async def test_settings_are_told(usdm: Any, exchange: Exchange) -> None:
    seen = await raw_events(exchange, usdm, lambda: usdm.set_leverage(7, CONTRACT), "ACCOUNT_CONFIG_UPDATE")
    assert seen[-1]["ac"] == {"s": "BTCUSDT", "l": 7}
    seen = await raw_events(exchange, usdm, lambda: usdm.set_margin_mode("isolated", CONTRACT), "ACCOUNT_UPDATE")
    assert seen[-1]["a"]["m"] == "MARGIN_TYPE_CHANGE"


async def test_trading_is_told_as_no_payment(usdm: Any, exchange: Exchange) -> None:
    async def trade() -> None:
        await usdm.create_order(CONTRACT, "market", "buy", 0.1)

    event = (await raw_events(exchange, usdm, trade, "ACCOUNT_UPDATE"))[-1]
    assert (event["a"]["m"], event["a"]["B"][0]["bc"]) == ("ORDER", "0.00000000")
    assert event["a"]["P"][0]["pa"] == "0.10000000"


async def test_funding_is_told_of_the_wallet_with_its_amount(usdm: Any, exchange: Exchange) -> None:
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)

    async def settle() -> None:
        await exchange.futures.commit(lambda engine, now_ms: engine.settle_funding(now_ms))

    (event,) = await raw_events(exchange, usdm, settle, "ACCOUNT_UPDATE")
    assert event["a"]["m"] == "FUNDING_FEE"
    assert event["a"]["B"][0]["bc"] == "-0.50000000"
    assert event["a"]["P"] == []


async def test_liquidation_is_told_to_the_account_and_to_the_market(
    usdm: Any, exchange: Exchange, eventually: Any
) -> None:
    await usdm.create_order(CONTRACT, "market", "buy", 30)
    (mine,) = await watching(usdm, eventually, lambda: usdm.watch_my_liquidations(CONTRACT))
    url = f"{exchange.stream_url}/futures/market/ws/btcusdt@forceOrder"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await exchange.print_trade(CONTRACT, "46000", "1")
        (liquidation,) = await soon(mine)
        assert (liquidation["symbol"], liquidation["side"]) == (CONTRACT, "sell")
        told = await soon(socket.receive_json())
    assert (told["e"], told["o"]["s"], told["o"]["S"]) == ("forceOrder", "BTCUSDT", "SELL")


# --- the key of the user stream --------------------------------------------------------------------------


async def test_key_is_one_renewed_and_ended(usdm: Any) -> None:
    import ccxt

    first, second = [(await usdm.fapiprivate_post_listenkey())["listenKey"] for _ in range(2)]
    assert first == second
    assert (await usdm.fapiprivate_put_listenkey())["listenKey"] == first
    await usdm.fapiprivate_delete_listenkey()
    for ask in (usdm.fapiprivate_put_listenkey, usdm.fapiprivate_delete_listenkey):
        with pytest.raises(ccxt.BaseError, match="-1125"):
            await ask()
    assert (await usdm.fapiprivate_post_listenkey())["listenKey"] != first


@pytest.mark.parametrize("tail", ["?listenKey=nope", "", "/nope"])
async def test_socket_without_a_key_is_refused(exchange: Exchange, tail: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{exchange.stream_url}/futures/private/ws{tail}")
    assert refused.value.status == 401


async def test_key_that_nobody_renews_expires_and_the_socket_is_silent() -> None:
    async with running(listen_key_s=0.3) as exchange, aiohttp.ClientSession() as session:
        headers = {"X-MBX-APIKEY": exchange.ccxt_arguments["apiKey"]}
        async with session.post(f"{exchange.url}/fapi/v1/listenKey", headers=headers) as answer:
            key = (await answer.json())["listenKey"]
        async with session.ws_connect(f"{exchange.stream_url}/futures/private/ws?listenKey={key}") as socket:
            told = await soon(socket.receive_json())
            assert (told["e"], told["listenKey"]) == ("listenKeyExpired", key)
            await exchange.futures.commit(lambda engine, now_ms: engine.set_leverage("BTCUSDT", 5, now_ms))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.receive(), 0.2)
        async with session.put(f"{exchange.url}/fapi/v1/listenKey", headers=headers) as answer:
            assert (await answer.json())["code"] == -1125


# --- orders and questions over the socket ----------------------------------------------------------------


async def test_orders_can_be_placed_changed_and_cancelled_over_the_socket(usdm: Any, exchange: Exchange) -> None:
    order = await soon(usdm.create_order_ws(CONTRACT, "limit", "buy", 0.1, 49000, {"clientOrderId": "mine-1"}))
    assert (order["status"], order["clientOrderId"], order["symbol"]) == ("open", "mine-1", CONTRACT)
    changed = await soon(usdm.edit_order_ws(order["id"], CONTRACT, "limit", "buy", 0.2, 48000))
    assert (changed["id"], changed["price"], changed["amount"]) == (order["id"], 48000.0, 0.2)
    assert (await soon(usdm.fetch_order_ws(order["id"], CONTRACT)))["status"] == "open"
    assert (await soon(usdm.cancel_order_ws(order["id"], CONTRACT)))["status"] == "canceled"
    sold = await soon(usdm.create_order_ws(CONTRACT, "market", "sell", 0.1))
    assert (sold["status"], sold["average"]) == ("closed", 49999.99)
    waiting = await soon(usdm.create_order_ws(CONTRACT, "market", "buy", 0.1, None, {"stopLossPrice": 51000}))
    assert (waiting["status"], waiting["triggerPrice"]) == ("open", 51000.0)
    await soon(usdm.cancel_order_ws(waiting["id"], CONTRACT, {"trigger": True}))
    book = await exchange.book()
    assert [found["status"] for found in book["orders"]] == ["CANCELED", "FILLED"]
    assert [found["status"] for found in book["conditional_orders"]] == ["CANCELED"]


async def test_account_and_market_can_be_asked_for_over_the_socket(usdm: Any) -> None:
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    (position,) = await soon(usdm.fetch_positions_ws([CONTRACT]))
    assert (position["side"], position["contracts"]) == ("long", 0.1)
    for method in ("account.status", "v2/account.status", "account.balance", "v2/account.balance"):
        balance = await soon(usdm.fetch_balance_ws({"method": method}))
        assert balance["USDT"]["total"] == pytest.approx(99_995, abs=0.1)
    (newer,) = await soon(usdm.fetch_positions_ws([CONTRACT], {"method": "v2/account.position"}))
    assert newer["contracts"] == 0.1
    assert (await soon(usdm.fetch_order_book_ws(CONTRACT, 5)))["bids"][0][0] == 49999.99
    assert (await soon(usdm.fetch_ticker_ws(CONTRACT)))["bid"] == 49999.99
    assert (await soon(usdm.fetch_ticker_ws(CONTRACT, {"method": "ticker.price"})))["last"] == 50000.0


async def test_refusals_over_the_socket_are_those_of_rest(usdm: Any) -> None:
    import ccxt

    with pytest.raises(ccxt.ExchangeError, match="-2019"):
        await soon(usdm.create_order_ws(CONTRACT, "limit", "buy", 100, 49000))
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await soon(usdm.cancel_order_ws("99", CONTRACT))
    with pytest.raises(ccxt.BaseError, match="-1020"):
        await soon(usdm.fetch_my_trades_ws(CONTRACT))


async def test_a_margin_call_is_told_on_the_user_stream(exchange: Exchange, usdm: Any) -> None:
    await usdm.create_order(CONTRACT, "market", "sell", 20)
    near = lambda: exchange.print_trade(CONTRACT, "54700", "0.01")  # noqa: E731
    told = (await raw_events(exchange, usdm, near, "MARGIN_CALL"))[-1]
    (row,) = told["p"]
    assert (told["e"], row["s"], row["ps"], row["mt"]) == ("MARGIN_CALL", "BTCUSDT", "BOTH", "CROSSED")
    assert (row["pa"], row["mp"], row["mm"]) == ("-20.00000000", "54700.00000000", "4376.00000000")
    assert float(told["cw"]) + float(row["up"]) < 4376 / 0.8
