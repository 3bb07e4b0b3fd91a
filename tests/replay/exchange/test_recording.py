"""Recorded raw feeds, played to the letter."""

import asyncio
import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from config.errors import UserError
from replay.exchange.recording import RecordedBook
from replay.exchange.server import running

SYMBOL = "BTC/USDT"
WITHIN_S = 10.0
DATA = Path(os.environ.get("PITBOSS_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
FEED = DATA / "book" / "raw" / "binance-spot_btcusdt_20240808.feed.gz"


def depth(first: int, last: int, bids: Any, asks: Any) -> str:
    data = {"e": "depthUpdate", "E": 1723161255208, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data})


def trade(number: int, price: str) -> str:
    data = {
        "e": "trade", "E": 1723161255343, "s": "BTCUSDT", "t": number, "p": price, "q": "0.02000000",
        "T": 1723161255342, "m": True, "M": True,
    }  # fmt: skip
    return json.dumps({"stream": "btcusdt@trade", "data": data})


def best(update: int) -> str:
    data = {"u": update, "s": "BTCUSDT", "b": "99.00000000", "B": "1.00000000", "a": "101.00000000", "A": "2.00000000"}
    return json.dumps({"stream": "btcusdt@bookTicker", "data": data})


SNAPSHOT = json.dumps({"lastUpdateId": 10, "bids": [["99.00000000", "1.0"]], "asks": [["101.00000000", "2.0"]]})
LINES = (
    depth(1, 9, [["98.00000000", "5.0"]], []),
    SNAPSHOT,
    depth(10, 10, [["97.00000000", "7.0"]], []),
    depth(11, 12, [["99.00000000", "0.0"], ["98.50000000", "3.0"]], []),
    best(12),
    trade(77, "99.00000000"),
    trade(78, "98.40000000"),
)


def write(path: Path, lines: Sequence[str], every_ns: int = 100_000_000) -> Path:
    stamped = [f"{1723161253937085768 + i * every_ns} {line}\n" for i, line in enumerate(lines)]
    path.write_bytes(gzip.compress("".join(stamped).encode()))
    return path


async def test_streams_say_what_was_recorded_and_the_book_is_the_recorded_one(tmp_path: Path) -> None:
    import aiohttp

    feed = write(tmp_path / "a.feed.gz", LINES)
    told: list[Any] = []
    async with running(recording=feed, speed=5) as exchange:
        url = f"{exchange.stream_url}/stream?streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@depth@100ms"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            while not told or told[-1]["data"].get("t") != 78:
                told.append(await asyncio.wait_for(socket.receive_json(), WITHIN_S))
            async with session.get(f"{exchange.url}/api/v3/depth?symbol=BTCUSDT") as response:
                snapshot = await response.json()
        printed = exchange.engine.recent_trades("BTCUSDT", 10)
    recorded = [json.loads(line) for line in LINES if "stream" in line]
    assert told == recorded[-len(told) :]
    assert len(told) >= 4
    assert snapshot == {
        "lastUpdateId": 12,
        "bids": [["98.50000000", "3.0"]],
        "asks": [["101.00000000", "2.0"]],
    }
    assert [(each.price_ticks, each.quantity_lots) for each in printed] == [(9900, 2000), (9840, 2000)]


def test_book_takes_each_difference_once() -> None:
    book = RecordedBook()
    book.change(5, [("99", "1")], [("101", "2"), ("100.5", "1")])
    book.change(5, [("99", "0")], [])
    book.load(4, [], [])
    book.change(6, [("99", "0"), ("98", "4")], [])
    assert book.depth(1) == {"lastUpdateId": 6, "bids": [["98", "4"]], "asks": [["100.5", "1"]]}


@pytest.mark.parametrize("lines", [["no json"], ['{"stream":"ethusdt@trade","data":{}}'], []])
async def test_what_is_no_feed_of_the_market_is_refused(tmp_path: Path, lines: list[str]) -> None:
    feed = write(tmp_path / "a.feed.gz", lines)
    with pytest.raises(UserError, match=r"a\.feed\.gz"):
        async with running(recording=feed):
            pytest.fail("it runs")


async def test_line_that_cannot_be_read_ends_the_exchange_by_name(tmp_path: Path) -> None:
    feed = write(tmp_path / "a.feed.gz", [trade(1, "99.00000000"), "no json"])
    with pytest.raises(UserError, match="line 2"):
        async with running(recording=feed, speed=1000) as exchange:
            await asyncio.wait([exchange.task], timeout=WITHIN_S)


@pytest.mark.slow
@pytest.mark.skipif(not FEED.exists(), reason="needs the recorded raw feed of the shared data")
async def test_ccxt_follows_a_real_recording(eventually: Any) -> None:
    import ccxt.pro

    with gzip.open(FEED, "rt") as file:
        messages = [json.loads(line.partition(" ")[2]) for line in file]
    ids = [message["data"]["t"] for message in messages if message.get("stream") == "btcusdt@trade"]
    async with running(recording=FEED, speed=20) as exchange:
        client = ccxt.pro.binance(exchange.ccxt_arguments | {"enableRateLimit": False})
        seen: list[int] = []

        async def follow() -> None:
            while True:
                seen.extend(int(trade["id"]) for trade in await client.watch_trades(SYMBOL))

        following = asyncio.create_task(follow())
        try:
            await eventually(lambda: len(seen) > 200)
            for _ in range(20):
                book = await asyncio.wait_for(client.watch_order_book(SYMBOL, 1000), WITHIN_S)
            assert 61_000 < book["bids"][0][0] < book["asks"][0][0] < 63_000
            assert len(book["bids"]) > 100
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await client.close()
    start = ids.index(seen[0])
    assert seen == ids[start : start + len(seen)]
