"""The private stream: every event, in order, and never a connection that only seems alive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from actors.messages import Halt, OrderReported, SendOrder, TradeReported, VenueLink
from daemon.edges.venue.stream import _Family
from daemon.log import masked

Make = Callable[..., SendOrder]


async def test_every_event_is_told_in_order(stub: Any, desk: Any, make_order: Make) -> None:
    """A hundred executions of one order in one burst: ccxt's own watching would join them."""
    desk.gateway.send(make_order(1, lots=10_000_000))
    await desk.of(OrderReported)
    events = []
    for _ in range(100):
        executed = await stub.fill("pbtest1", "0.001", tell=False)
        events.append(stub.report(stub.orders["pbtest1"], "TRADE", executed))
    socket = stub.sockets[0]
    for event in events:
        await socket.send_str(json.dumps({"subscriptionId": 0, "event": event}))

    told = await desk.of(TradeReported, 100)
    reports = await desk.wait_for(
        lambda posted: (
            len(found := [each.filled_lots for each in posted if isinstance(each, OrderReported)]) >= 101 and found
        )
    )

    assert [each.trade_id for each in told] == list(range(1000, 1100))
    assert [lots for lots in reports if lots] == [100_000 * number for number in range(1, 101)]


async def test_an_execution_is_told_before_its_order(stub: Any, desk: Any, make_order: Make) -> None:
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported, 2)
    desk.posted.clear()

    await stub.fill("pbtest1", "0.001")
    await desk.of(OrderReported)

    assert [type(each) for each in desk.posted] == [TradeReported, OrderReported]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["close", "abort", "terminated", "nonsense", "half a frame", "expired key"])
async def test_a_stream_that_breaks_is_told_and_opened_anew(how: str, stub: Any, desk: Any, make_order: Make) -> None:
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    [socket] = stub.sockets

    if how == "close":
        await socket.close(code=1001)
    elif how == "abort":
        socket._req.transport.abort()
    elif how == "terminated":
        await stub.push({"e": "eventStreamTerminated", "E": 1})
    elif how == "expired key":
        await stub.push({"e": "listenKeyExpired", "E": 1})
    elif how == "nonsense":
        await stub.push({"e": "ORDER_TRADE_UPDATE", "of": "nothing"})
    else:
        await socket.send_str('{"subscriptionId":0,"event":{"e":"executionRep')
    await desk.up(2)
    desk.posted.clear()
    await stub.fill("pbtest1", "0.001")
    [executed] = await desk.of(TradeReported)

    assert executed.order_id == "pbtest1"
    assert len(stub.sockets) == 1, "no second socket is left open"


async def test_the_key_in_a_streams_address_is_shown_nowhere() -> None:
    class Known:
        options = {"future": {"listenKey": "a-key-to-listen-with"}, "recvWindow": 5_000}  # noqa: RUF012 - ccxt's way

        async def authenticate(self) -> None: ...

    assert masked("wss://venue.example/ws/a-key-to-listen-with") == "wss://venue.example/ws/a-key-to-listen-with"
    await _Family._subscribe(Known())  # type: ignore[arg-type]
    assert masked("wss://venue.example/ws/a-key-to-listen-with") == "wss://venue.example/ws/[redacted]"


@pytest.mark.slow
async def test_down_is_told_before_up(stub: Any, desk: Any) -> None:
    for rounds in range(3):
        await stub.sockets[0].close(code=1001)
        await desk.up(rounds + 2)

    links = [each.up for each in desk.all(VenueLink)]
    assert links == [True, False, True, False, True, False, True]
    assert stub.dials == 4
    assert all(each.reason for each in desk.all(VenueLink) if not each.up)


@pytest.mark.slow
async def test_a_stream_that_says_nothing_of_a_taken_order_is_dropped(
    stub: Any, settings: Any, open_desk: Any, make_order: Make
) -> None:
    async with open_desk(settings) as desk:
        desk.gateway._pushes._stall_s = 0.3
        stub.speaks = False
        desk.gateway.send(make_order(1))
        await desk.up(2)

        [down] = [each for each in desk.all(VenueLink) if not each.up]
        assert "pbtest1" in down.reason


@pytest.mark.slow
async def test_a_stream_that_speaks_is_kept(stub: Any, settings: Any, open_desk: Any, make_order: Make) -> None:
    async with open_desk(settings) as desk:
        desk.gateway._pushes._stall_s = 0.1
        desk.gateway.send(make_order(1))
        await desk.of(OrderReported, 2)
        await asyncio.sleep(1.2)

        assert stub.dials == 1


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", ["ignore", "close"])
async def test_a_subscription_that_is_not_confirmed_is_tried_again(
    behaviour: str, stub: Any, settings: Any, open_desk: Any
) -> None:
    stub.on_subscribe.append(behaviour)

    async with open_desk(settings) as desk:
        assert stub.dials == 2
        assert [each.up for each in desk.all(VenueLink)] == [True]


@pytest.mark.slow
async def test_a_refused_subscription_halts_by_name(stub: Any, settings: Any, open_desk: Any) -> None:
    stub.on_subscribe.append("reject")

    async with open_desk(settings, wait=False) as desk:
        [halt] = await desk.of(Halt)
        await desk.up()

    assert "private stream" in halt.reason


async def test_a_duplicated_event_is_told_twice_with_one_id(stub: Any, desk: Any, make_order: Make) -> None:
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    executed = await stub.fill("pbtest1", "0.0004", tell=False)
    event = stub.report(stub.orders["pbtest1"], "TRADE", executed)

    await stub.push(event)
    await stub.push(event)
    told = await desk.of(TradeReported, 2)

    assert told[0] == told[1]


@pytest.mark.slow
async def test_more_events_than_the_core_takes_break_the_stream(
    stub: Any, desk: Any, make_order: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.edges.venue.pushes._TOLD_MAX", 3)
    desk.gateway.send(make_order(1, lots=10_000_000))
    await desk.of(OrderReported, 2)
    await desk.changed.acquire()  # the core takes nothing
    for _ in range(10):
        await stub.fill("pbtest1", "0.001")
    await desk.until(lambda: desk.gateway._pushes._overrun)
    desk.changed.release()

    await desk.up(2)
    assert len(desk.all(TradeReported)) < 10
