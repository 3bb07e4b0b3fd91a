"""The pump and ccxt's sockets: moments that a venue alone cannot bring about at will."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import pytest
from ccxt.base.errors import ChecksumError, NetworkError

from daemon.edges.feed.streams import Pump

STREAM = "btcusdt@kline_1m"
slow = pytest.mark.slow


class Log:
    """What a pump did, in order."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.breaks: list[str] = []
        self.on_next: Callable[[], None] | None = None

    def deliver(self, rows: Any) -> None:
        self.said.append([row[0] for row in rows])
        if self.on_next is not None:
            act, self.on_next = self.on_next, None
            act()

    def broke(self, reason: str) -> None:
        self.said.append("break")
        self.breaks.append(reason)


@asynccontextmanager
async def pumping(
    client: Any, log: Log, watch: Callable[[], Awaitable[Any]], stall_s: float
) -> AsyncIterator[Pump[Any]]:
    pump: Pump[Any] = Pump(
        "BTC/USDT 1m",
        client,
        watch,
        log.deliver,
        on_break=log.broke,
        stall_s=stall_s,
        mention="BTC/USDT",
        chance=random.Random(7),
    )
    task = asyncio.create_task(pump.run())
    try:
        yield pump
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


def klines(client: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: client.watch_ohlcv("BTC/USDT", "1m")


def socket_of(client: Any) -> Any:
    (socket,) = client.clients.values()
    return socket


@slow
async def test_close_between_two_calls_is_a_break_and_leaves_no_second_socket(venue: Any, connect: Any) -> None:
    """No call fails then: the next one would dial anew and go on as if nothing were missing."""
    client, log = await connect(), Log()
    async with pumping(client, log, klines(client), 30) as pump:
        await venue.subscribed(1, STREAM)
        first = socket_of(client)
        log.on_next = lambda: client.on_close(first, 1001)  # what ccxt does when the server's close is read
        await venue.say(1)
        await venue.subscribed(2, STREAM)
        await venue.eventually(lambda: len(venue.sockets) == 1, "the first connection is closed")
        assert socket_of(client) is not first
        await venue.say(1)
        await venue.eventually(lambda: len(log.said) == 3, "data from the new connection")
    assert log.said == [[venue.start], "break", [venue.start]]
    assert log.breaks == ["the socket was replaced"]
    assert pump.statistics().delivered == 2


@slow
async def test_second_report_of_a_close_finds_no_new_socket_to_delete(venue: Any, connect: Any) -> None:
    client, log = await connect(), Log()
    async with pumping(client, log, klines(client), 30):
        for round_number in range(1, 5):
            await venue.subscribed(round_number, STREAM)
            await venue.say(1)
            closed_s = time.monotonic()
            await venue.close_all()
            await venue.subscribed(round_number + 1, STREAM)
            assert venue.dialled_s[-1] - closed_s >= 0.05
            await venue.eventually(lambda: len(venue.sockets) == 1 == len(client.clients), "one connection")
    assert venue.dials == 5


@slow
async def test_reader_that_ended_although_its_socket_is_registered_is_replaced(venue: Any, connect: Any) -> None:
    client, log = await connect(), Log()
    async with pumping(client, log, klines(client), 30):
        await venue.subscribed(1, STREAM)
        await venue.say(1)
        await venue.eventually(lambda: log.said, "data")
        socket_of(client).reject(NetworkError("what ccxt says when its reader fails"))
        await venue.subscribed(2, STREAM)
        assert venue.dials == 2
        await venue.say(1)
        await venue.eventually(lambda: len(log.said) == 3, "data again")


@slow
async def test_socket_that_is_dropped_while_it_is_dialled_does_not_live_on(venue: Any, connect: Any) -> None:
    client, log = await connect(), Log()
    venue.dial_gate = asyncio.Event()
    async with pumping(client, log, klines(client), 0.2) as pump:
        await venue.eventually(lambda: pump.statistics().stalls >= 2, "two stalls while nobody answers")
        venue.dial_gate.set()
        await venue.eventually(lambda: STREAM in venue.subscriptions, "a subscription")
        async with asyncio.timeout(10):
            while log.said[-1] == "break":
                await venue.say(1)
                await asyncio.sleep(0.02)
        await venue.eventually(lambda: len(venue.sockets) == 1, "one connection")


class Nowhere:
    """An exchange without sockets."""

    clients: Mapping[str, Any] = MappingProxyType({})


@slow
async def test_error_that_is_raised_without_waiting_does_not_take_the_loop() -> None:
    log, calls = Log(), 0

    async def watch() -> Any:
        nonlocal calls
        calls += 1
        raise ChecksumError("a gap")

    turns = 0
    began_s = time.monotonic()
    async with pumping(Nowhere(), log, watch, 30):
        while time.monotonic() < began_s + 0.5:
            await asyncio.sleep(0.005)
            turns += 1
    assert turns > 20
    assert 2 <= calls <= 5, "50, 100, 200 ms and more"
    assert len(log.breaks) == calls


@slow
async def test_call_that_never_ends_is_given_up_after_silence() -> None:
    log, calls, thrice = Log(), 0, asyncio.Event()

    async def watch() -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            thrice.set()
        await asyncio.Event().wait()

    async with pumping(Nowhere(), log, watch, 0.1) as pump:
        await asyncio.wait_for(thrice.wait(), 10)
        assert pump.statistics().stalls >= 2
        assert "silent" in log.breaks


@slow
async def test_defect_of_ours_is_not_taken_for_trouble_with_the_venue() -> None:
    """What takes the data is ours; if it raises, the supervisor is to know."""

    async def watch() -> Any:
        return []

    def deliver(_: Any) -> None:
        raise KeyError("ours")

    pump: Pump[Any] = Pump("x", Nowhere(), watch, deliver, stall_s=30, mention="x", chance=random.Random(7))
    with pytest.raises(ExceptionGroup) as caught:
        await pump.run()
    assert caught.group_contains(KeyError)
