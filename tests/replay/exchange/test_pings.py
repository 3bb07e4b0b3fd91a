"""A server that asks whether its clients are there, and one that ends a connection because its day is over."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from replay.exchange.server import Exchange, running

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
WITHIN_S = 10.0
EVERY_S = 0.1


async def watch_forever(client: Any) -> None:
    while True:
        await client.watch_trades(SYMBOL)


async def test_client_that_answers_pings_stays() -> None:
    async with (
        running(ping_every_s=EVERY_S) as exchange,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{exchange.stream_url}/ws/btcusdt@trade", autoping=False) as socket,
    ):
        for _ in range(6):
            message = await asyncio.wait_for(socket.receive(), WITHIN_S)
            assert message.type is aiohttp.WSMsgType.PING
            assert abs(int(message.data) - time.time() * 1000) < WITHIN_S * 1000
            await socket.pong(message.data)
        await exchange.print_trade(SYMBOL, "50000", "0.5")
        while (message := await asyncio.wait_for(socket.receive(), WITHIN_S)).type is aiohttp.WSMsgType.PING:
            await socket.pong(message.data)
        assert message.json()["p"] == "50000.00000000"


async def test_client_that_answers_no_ping_is_cut_off() -> None:
    async with (
        running(ping_every_s=EVERY_S) as exchange,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{exchange.stream_url}/ws/btcusdt@trade", autoping=False) as socket,
    ):
        begun_s = time.monotonic()
        pings = 0
        while (message := await asyncio.wait_for(socket.receive(), WITHIN_S)).type is aiohttp.WSMsgType.PING:
            pings += 1
        assert pings >= 3
        assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
        assert time.monotonic() - begun_s >= 3 * EVERY_S


async def test_socket_is_closed_when_its_day_is_over(client: Any, exchange: Exchange, market_moves: Any) -> None:
    import ccxt

    exchange.faults.set("server_disconnect", 1.0, seconds=0.3, times=1, on="/stream/ws")
    async with market_moves():
        begun_s = time.monotonic()
        with pytest.raises(ccxt.NetworkError, match="1001"):
            await asyncio.wait_for(watch_forever(client), WITHIN_S)
        assert time.monotonic() - begun_s >= 0.3
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(client.watch_trades(SYMBOL), WITHIN_S)
    assert exchange.faults.counts["server_disconnect"] == 1
