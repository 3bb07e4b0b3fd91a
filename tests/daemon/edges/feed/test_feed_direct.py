"""The short way: what takes it, what does not, and that it tells what ccxt would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import ccxt.pro
import pytest

from actors.messages import BUY, SELL, Trade
from config.errors import UserError
from config.schema import Exchange
from daemon.edges.venue.client import connect as connect_to
from daemon.edges.venue.direct_path import direct
from daemon.edges.venue.kline_tap import tapped
from replay.exchange.server import running

pytestmark = pytest.mark.slow

TRADE = (
    '{"e":"aggTrade","E":1672515782136,"s":"BTCUSDT","a":12345,"p":"100.10","q":"0.25","f":1,"l":2,'
    '"T":1672515782130,"m":true,"M":true}'
)
KLINE = (
    '{"e":"kline","E":1672515782136,"s":"BTCUSDT","k":{"t":1672515780000,"T":1672515839999,"s":"BTCUSDT","i":"1m",'
    '"f":1,"L":2,"o":"1.5","c":"2.5","h":"3.5","l":"0.5","v":"10.25","n":3,"x":true,"q":"1","V":"1","Q":"1","B":"0"}}'
)


class Client:
    """A client of the class under test, whose sockets are never dialled, and what went ccxt's way."""

    def __init__(self, way: Any, url: str = "ws://127.0.0.1:9/stream/ws/1") -> None:
        self.exchange: Any = way(ccxt.pro.binance)()
        spot = {"id": "BTCUSDT", "symbol": "BTC/USDT", "spot": True, "contract": False, "type": "spot"}
        perpetual = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "spot": False, "contract": True, "type": "swap"}
        self.exchange.markets_by_id = {"BTCUSDT": [spot, perpetual]}
        self.exchange.markets = {"BTC/USDT": spot, "BTC/USDT:USDT": perpetual}
        self.ccxts_way: list[Any] = []
        self.exchange.handle_message = lambda _, message: self.ccxts_way.append(message)
        self.socket = self.exchange.client(url)

    def say(self, text: str) -> None:
        self.socket.handle_text_or_binary_message(text)


@pytest.fixture
async def listening() -> AsyncIterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(*arguments: Any) -> Client:
        made.append(Client(*arguments))
        return made[-1]

    yield make
    for client in made:
        client.exchange.clients.clear()
        await client.exchange.close()


@pytest.mark.parametrize(
    ("url", "symbol"),
    [
        ("ws://127.0.0.1:9/stream/ws/1", "BTC/USDT"),
        ("ws://127.0.0.1:9/futures/market/ws/1", "BTC/USDT:USDT"),
    ],
)
async def test_trade_is_decoded_and_ccxt_never_sees_it(listening: Callable[..., Client], url: str, symbol: str) -> None:
    client = listening(direct, url)
    heard: list[Trade] = []
    client.exchange.on_trades(symbol, heard.append)

    client.say(TRADE)
    client.say(TRADE.replace('"m":true', '"m":false'))

    assert heard == [
        Trade(symbol, 12345, 100.1, 0.25, SELL, 1672515782130_000_000),
        Trade(symbol, 12345, 100.1, 0.25, BUY, 1672515782130_000_000),
    ]
    assert client.ccxts_way == []


async def test_candle_is_told_as_the_tap_tells_it(listening: Callable[..., Client]) -> None:
    told: list[tuple[Any, ...]] = []
    for way in (direct, tapped):
        client = listening(way)
        client.exchange.on_kline = lambda symbol, timeframe, row, closed: told.append(
            (symbol, timeframe, [float(value) for value in row], closed)
        )
        if way is direct:
            client.say(KLINE)
            assert client.ccxts_way == []
        else:
            client.say(KLINE)
            client.exchange.handle_ohlcv(client.socket, client.ccxts_way[0])
    assert told[0] == told[1] == ("BTC/USDT", "1m", [1672515780000, 1.5, 3.5, 0.5, 2.5, 10.25], True)


@pytest.mark.parametrize(
    "text",
    [
        TRADE,
        KLINE,
        TRADE[: len(TRADE) // 2] + "}",
        TRADE.replace('"a":12345,', ""),
        TRADE.replace('"100.10"', '"plenty"'),
        KLINE.replace('"x":true', '"x":7'),
        '{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}',
        '{"result":null,"id":1}',
    ],
    ids=[
        "trade nobody asked for",
        "candle nobody asked for",
        "broken",
        "without id",
        "no price",
        "mark",
        "book",
        "ack",
    ],
)
async def test_anything_else_goes_ccxts_way(listening: Callable[..., Client], text: str) -> None:
    client = listening(direct)
    if text not in (TRADE, KLINE):
        client.exchange.on_trades("BTC/USDT", lambda _: pytest.fail("heard"))
        client.exchange.on_kline = lambda *_: pytest.fail("heard")
    try:
        client.say(text)
    except ValueError:
        assert text.startswith(TRADE[: len(TRADE) // 2])  # ccxt itself cannot read it
    else:
        assert len(client.ccxts_way) == 1


def test_a_venue_of_another_family_keeps_ccxts_way() -> None:
    assert direct(ccxt.pro.kraken) is ccxt.pro.kraken
    assert direct(direct(ccxt.pro.binanceusdm)) is not ccxt.pro.binanceusdm


async def test_other_exchanges_are_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"exchange\.direct is for Binance's messages; kraken has others"):
        await connect_to(Exchange(id="kraken", direct=True), needs_keys=False, environment={})


@pytest.mark.parametrize("wanted", [True, False])
async def test_configured_client_takes_the_way_that_was_asked_for(wanted: bool) -> None:
    async with running() as exchange:
        arguments = exchange.ccxt_arguments
        settings = Exchange(direct=wanted, urls=arguments["urls"], options=arguments["options"])
        client = await connect_to(settings, needs_keys=False, environment={})
        heard: asyncio.Queue[Any] = asyncio.Queue()
        parsed: list[Any] = []
        ccxts = client.exchange.handle_trade
        client.exchange.handle_trade = lambda *message: (parsed.append(message), ccxts(*message))
        if wanted:
            client.exchange.on_trades("BTC/USDT", heard.put_nowait)

        async def watch() -> None:
            heard.put_nowait(await client.exchange.watch_trades("BTC/USDT", None, None, {"name": "aggTrade"}))

        watching = asyncio.create_task(watch())
        for _ in range(100):
            await exchange.print_trade("BTC/USDT", "100", "0.5")
            await asyncio.sleep(0.02)
            if not heard.empty():
                break
        assert heard.qsize() >= 1
        assert bool(parsed) is not wanted
        assert isinstance(heard.get_nowait(), Trade) is wanted
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await client.close()
