"""Recorded raw feeds, played to the letter."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
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


def walk(trades: int) -> tuple[str, ...]:
    """Return a feed whose n-th trade is at 100 + n, each between two differences of its own."""
    lines = [SNAPSHOT]
    for number in range(1, trades + 1):
        lines.append(depth(9 + 2 * number, 10 + 2 * number, [[f"{90 + number % 5}.00000000", f"{number}.0"]], []))
        lines.append(trade(number, f"{100 + number}.00000000"))
    return (*lines, depth(11 + 2 * trades, 11 + 2 * trades, [["96.00000000", "9.0"]], []))


def whole_book(lines: Sequence[str]) -> Any:
    book = RecordedBook()
    for line in map(json.loads, lines):
        if "stream" not in line:
            book.load(line["lastUpdateId"], line["bids"], line["asks"])
        elif "depth" in line["stream"]:
            book.change(line["data"]["u"], line["data"]["b"], line["data"]["a"])
    return book.depth(100)


def play_and_kill(feed: Path, state_dir: Path, trades: int) -> int:
    """Have a process play on until it has said so many more trades, kill it, and return the last it said."""
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, str(Path(__file__).with_name("recording_child.py")), str(feed), str(state_dir)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(trades)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.stdout]
    assert process.returncode == -signal.SIGKILL
    assert said == list(range(said[0], said[0] + len(said)))
    return said[-1]


@pytest.mark.slow
async def test_a_recording_goes_on_behind_the_last_durable_trade_after_a_kill(tmp_path: Path, eventually: Any) -> None:
    lines = walk(600)
    feed = write(tmp_path / "a.feed.gz", lines, every_ns=1_000_000)
    said = 0
    for trades in (15, 30, 5):
        last = await asyncio.to_thread(play_and_kill, feed, tmp_path / "state", trades)
        assert said + trades <= last <= said + trades + 300
        said = last
    assert said < 600
    async with running(recording=feed, state_dir=tmp_path / "state", speed=1_000) as exchange:
        began = exchange.venue.played_before["BTCUSDT"]
        await eventually(lambda: exchange.desk.recorded["BTCUSDT"].last_update_id == 1_211)
        printed = [each.price_ticks for each in exchange.engine.recent_trades("BTCUSDT", 1_000)]
        book = exchange.desk.recorded["BTCUSDT"].depth(100)
    assert began >= 2 * said + 1
    assert printed == [10_000 + 100 * number for number in range(1, 601)]
    assert book == whole_book(lines)


async def test_a_recording_that_was_played_to_its_end_is_not_played_again_but_another_one_is(
    tmp_path: Path, eventually: Any
) -> None:
    feed = write(tmp_path / "a.feed.gz", LINES)
    other = write(tmp_path / "b.feed.gz", (*LINES, trade(79, "98.30000000")))
    for played, trades in ((feed, 2), (feed, 2), (other, 5), (other, 5)):
        async with running(recording=played, state_dir=tmp_path / "state", speed=10_000) as exchange:
            book = exchange.desk.recorded["BTCUSDT"]
            count = lambda engine=exchange.engine: len(engine.recent_trades("BTCUSDT", 10))  # noqa: E731
            await eventually(lambda count=count, trades=trades: count() >= trades)
            await eventually(lambda book=book: book.last_update_id == 12)
            assert book.depth(10) == whole_book(LINES)
            await asyncio.sleep(0.02)  # nothing more comes
            assert count() == trades


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
