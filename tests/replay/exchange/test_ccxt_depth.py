"""Our own resting orders, seen in the public book by plain ccxt.pro clients."""

import asyncio
from typing import Any

import pytest

from replay.exchange.server import Exchange

SYMBOLS = ["BTC/USDT", "BTC/USDT:USDT"]


def at(book: Any, side: str, price: float) -> float:
    return sum(level[1] for level in book[side] if level[0] == price)


@pytest.mark.parametrize("symbol", SYMBOLS)
async def test_our_orders_stand_in_the_book_as_long_as_they_rest(
    exchange: Exchange, client: Any, usdm: Any, eventually: Any, symbol: str
) -> None:
    client = usdm if symbol.endswith(":USDT") else client
    watching = asyncio.create_task(_follow(client.watch_order_book, symbol, 100))
    try:
        while symbol not in client.orderbooks or not client.orderbooks[symbol]["nonce"]:
            await exchange.print_trade(symbol, "50000", "0.01")
            await asyncio.sleep(0.01)
        others = (await client.fetch_order_book(symbol, 100))["bids"]
        order = await client.create_order(symbol, "limit", "buy", 0.25, 49_999.99)
        far = await client.create_order(symbol, "limit", "sell", 0.5, 60_000)
        inside = await client.create_order(symbol, "limit", "buy", 0.125, 50_000)
        book = await client.fetch_order_book(symbol, 100)
        assert at(book, "bids", 49_999.99) == pytest.approx(others[0][1] + 0.25)
        assert (at(book, "asks", 60_000), book["bids"][0][:2]) == (0.5, [50_000, 0.125])
        live = client.orderbooks[symbol]
        await eventually(lambda: live["nonce"] == book["nonce"])
        assert (live["bids"], live["asks"]) == (book["bids"], book["asks"])
        await exchange.print_trade(symbol, "49999.95", "1")
        for each in (order, inside):
            assert (await client.fetch_order(each["id"], symbol))["average"] == each["price"], "as ever"
        await client.cancel_order(far["id"], symbol)
        book = await client.fetch_order_book(symbol, 100)
        assert (at(book, "asks", 60_000), book["bids"][0][0]) == (0, 49_999.94)
        await eventually(lambda: live["nonce"] == book["nonce"])
        assert (live["bids"], live["asks"]) == (book["bids"], book["asks"])
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.parametrize("symbol", SYMBOLS)
async def test_our_order_may_be_the_best_bid(
    exchange: Exchange, client: Any, usdm: Any, eventually: Any, symbol: str
) -> None:
    client = usdm if symbol.endswith(":USDT") else client
    watching = asyncio.create_task(_follow(client.watch_bids_asks, [symbol]))
    try:
        price = 50_000
        while symbol not in client.bidsasks:  # until it has subscribed
            price = 100_001 - price
            await exchange.print_trade(symbol, str(price), "0.01")
            await asyncio.sleep(0.01)
        await exchange.print_trade(symbol, "50000", "0.01")
        await client.create_order(symbol, "limit", "buy", 0.125, 50_000)
        await eventually(lambda: client.bidsasks[symbol]["bid"] == 50_000)
        assert (client.bidsasks[symbol]["bidVolume"], client.bidsasks[symbol]["ask"]) == (0.125, 50_000.01)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    told = await client.fetch_bids_asks([symbol])
    assert (told[symbol]["bid"], told[symbol]["bidVolume"]) == (50_000, 0.125)


async def _follow(watch: Any, *args: Any) -> None:
    while True:
        await watch(*args)
