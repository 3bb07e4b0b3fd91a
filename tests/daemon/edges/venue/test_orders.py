"""Orders and cancels on their way: what leaves, in which order, and what a good answer becomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors.messages import (
    AskOrder,
    CancelRefused,
    Halt,
    OrderInDoubt,
    OrderReported,
    SendCancel,
    SendOrder,
    TradeReported,
    VenueLink,
)

SYMBOL = "BTC/USDT"
Make = Callable[..., SendOrder]


@pytest.mark.parametrize(
    ("terms", "leaves"),
    [
        (
            {"kind": "limit", "lots": 12_000, "limit_ticks": 6_500_001},
            {"type": "LIMIT", "side": "BUY", "quantity": "0.00012", "price": "65000.01", "timeInForce": "GTC"},
        ),
        ({"kind": "market", "lots": 1_000, "side": -1}, {"type": "MARKET", "side": "SELL", "quantity": "0.00001"}),
        (
            {"kind": "limit", "lots": 10**9, "limit_ticks": 1, "time_in_force": "ioc"},
            {"type": "LIMIT", "quantity": "10", "price": "0.01", "timeInForce": "IOC"},
        ),
        ({"kind": "limit", "post_only": True}, {"type": "LIMIT_MAKER", "quantity": "0.001", "price": "100"}),
        (
            {"kind": "stop", "side": -1, "stop_ticks": 9_950},
            {"type": "STOP_LOSS", "quantity": "0.001", "stopPrice": "99.5"},
        ),
        (
            {"kind": "stop_limit", "side": -1, "stop_ticks": 9_950, "limit_ticks": 9_901},
            {"type": "STOP_LOSS_LIMIT", "price": "99.01", "stopPrice": "99.5", "timeInForce": "GTC"},
        ),
        ({"kind": "market", "reduce_only": True}, {"type": "MARKET", "quantity": "0.001"}),
    ],
    ids=["limit", "market", "ioc", "post only", "stop", "stop limit", "reduce only"],
)
async def test_orders_leave_exactly(
    terms: dict[str, Any], leaves: dict[str, str], stub: Any, desk: Any, make_order: Make
) -> None:
    desk.gateway.send(make_order(1, **terms))
    await desk.of(OrderReported)

    sent = stub.orders["pbtest1"].terms
    assert sent["newClientOrderId"] == "pbtest1"
    assert {name: sent.get(name) for name in leaves} == leaves
    assert "reduceOnly" not in sent
    assert ("price" in sent) == ("price" in leaves)


async def test_executions_of_a_reply_come_before_the_order(stub: Any, desk: Any, make_order: Make) -> None:
    stub.speaks = False

    desk.gateway.send(make_order(1, kind="market", lots=100_000))
    await desk.of(OrderReported)

    executed, report = desk.posted[-2:]
    assert executed == TradeReported(
        "pbtest1", SYMBOL, 1000, 1, 10_000, 100_000, "BTC", 100, "taker", 1_700_000_000_000_000_000
    )
    assert report == OrderReported("pbtest1", "1", "filled", 100_000)


async def test_stream_and_reply_tell_of_an_execution_by_the_same_id(stub: Any, desk: Any, make_order: Make) -> None:
    desk.gateway.send(make_order(1, kind="market"))

    told = await desk.of(TradeReported, 2)

    assert told[0] == told[1]


async def test_an_execution_off_the_grid_halts_by_name(stub: Any, desk: Any, make_order: Make) -> None:
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)

    await stub.fill("pbtest1", "0.001", "100.005")
    [halt] = await desk.of(Halt)

    assert "BTC/USDT" in halt.reason
    assert "100.005" in halt.reason
    assert not desk.all(TradeReported)


async def test_an_execution_without_a_fee_is_looked_up(stub: Any, desk: Any, make_order: Make) -> None:
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    stub.event_terms = {"n": None}

    await stub.fill("pbtest1", "0.001")
    [executed] = await desk.of(TradeReported)

    assert (executed.fee_asset, executed.fee_atoms) == ("BTC", 100)
    assert stub.count("GET myTrades") == 1


async def test_strangers_orders_are_not_ours(stub: Any, desk: Any) -> None:
    await stub._place(
        {"newClientOrderId": "web_1", "side": "BUY", "type": "MARKET", "quantity": "0.001", "symbol": "BTCUSDT"}
    )
    await stub._place(
        {"newClientOrderId": "pbtest1", "side": "BUY", "type": "LIMIT", "quantity": "0.001", "symbol": "BTCUSDT"}
    )
    await desk.of(OrderReported)

    assert {each.order_id for each in desk.all(OrderReported)} == {"pbtest1"}
    assert not desk.all(TradeReported)


# --- cancels ----------------------------------------------------------------------------------------


async def test_a_cancel_is_reported(stub: Any, desk: Any, make_order: Make) -> None:
    stub.speaks = False
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    await stub.fill("pbtest1", "0.0004", tell=False)

    desk.gateway.send(SendCancel("pbtest1", SYMBOL))
    reports = await desk.of(OrderReported, 2)

    assert reports[1] == OrderReported("pbtest1", "1", "cancelled", 40_000, "as asked")


async def test_a_cancel_waits_for_its_order_to_arrive(stub: Any, desk: Any, make_order: Make) -> None:
    stub.speaks = False
    desk.gateway.send(make_order(1))
    desk.gateway.send(SendCancel("pbtest1", SYMBOL))
    reports = await desk.of(OrderReported, 2)

    assert [each.state for each in reports] in (["open", "cancelled"], ["cancelled"])


async def test_a_cancel_withdraws_an_order_that_has_not_left(stub: Any, desk: Any, make_order: Make) -> None:
    desk.gateway._limits.pause(30.0)
    desk.gateway.send(make_order(1))
    await desk.until(lambda: desk.gateway.statistics().limits.waiting)

    desk.gateway.send(SendCancel("pbtest1", SYMBOL))
    [report] = await desk.of(OrderReported)

    assert (report.state, report.filled_lots) == ("cancelled", 0)
    assert stub.count("POST order") == 0
    assert desk.gateway.statistics().unanswered == 0


async def test_a_cancel_of_an_order_that_is_done_is_in_doubt(stub: Any, desk: Any) -> None:
    desk.gateway.send(SendCancel("pbtest9", SYMBOL))
    [doubt] = await desk.of(OrderInDoubt)

    assert doubt.order_id == "pbtest9"
    assert stub.count("DELETE order") == 1


async def test_a_cancel_that_is_proved_not_done_is_refused(
    stub: Any, desk: Any, twists: dict[str, Any], make_order: Make
) -> None:
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    stub.twist("DELETE order", twists["say"](400, '{"code":-2010,"msg":"Market is closed."}'))

    desk.gateway.send(SendCancel("pbtest1", SYMBOL))
    [refused] = await desk.of(CancelRefused)

    assert "Market is closed" in refused.reason


async def test_a_cancel_of_an_order_that_may_yet_arrive_is_in_doubt(
    stub: Any, desk: Any, twists: dict[str, Any], make_order: Make
) -> None:
    """The venue knows no such order now; a refusal would say that it works on."""
    desk.gateway._window_s = 5.0
    stub.twist("POST order", twists["cut"])
    desk.gateway.send(make_order(1))
    await desk.of(OrderInDoubt)

    desk.gateway.send(SendCancel("pbtest1", SYMBOL))
    doubts = await desk.of(OrderInDoubt, 2)

    assert doubts[1].reason.startswith("cancel: ")
    assert not desk.all(CancelRefused)


@pytest.mark.slow
async def test_a_cancel_whose_reply_was_lost_is_asked_for_again_and_then_in_doubt(
    stub: Any, desk: Any, twists: dict[str, Any], make_order: Make
) -> None:
    stub.speaks = False
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    stub.twist("DELETE order", twists["accept_then_cut"])

    desk.gateway.send(SendCancel("pbtest1", SYMBOL))
    [doubt] = await desk.of(OrderInDoubt)
    desk.gateway.send(AskOrder("pbtest1", SYMBOL))
    reports = await desk.of(OrderReported, 2)

    assert "cancel" in doubt.reason
    assert stub.count("DELETE order") == 2
    assert not desk.all(CancelRefused), "it was withdrawn by the first request"
    assert reports[1].state == "cancelled"


@pytest.mark.slow
async def test_a_cancel_the_venue_cannot_answer_is_in_doubt_after_some_tries(
    stub: Any, desk: Any, twists: dict[str, Any], make_order: Make
) -> None:
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    stub.twist("DELETE order", *[twists["say"](502, "<html>bad gateway</html>")] * 3)

    desk.gateway.send(SendCancel("pbtest1", SYMBOL))
    await desk.of(OrderInDoubt)

    assert stub.count("DELETE order") == 3


# --- limits -----------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_an_entry_that_waited_too_long_never_leaves_and_an_exit_does(
    stub: Any, settings: Any, open_desk: Any, make_order: Make
) -> None:
    async with open_desk(settings) as desk:
        desk.gateway._patience_s = 0.1
        desk.gateway._limits.pause(0.6)
        desk.gateway.send(make_order(1))
        desk.gateway.send(make_order(2, kind="market", side=-1, reduce_only=True))
        reports = await desk.of(OrderReported, 2)

    assert reports[0] == OrderReported(
        "pbtest1", "", "rejected", 0, "not sent: the venue's limits left no room for 0.1 s"
    )
    assert list(stub.orders) == ["pbtest2"]


async def test_what_lessens_risk_overtakes_what_adds_to_it(stub: Any, desk: Any, make_order: Make) -> None:
    stub.speaks = False
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    stub.requests.clear()
    desk.gateway._limits.pause(30.0)
    for command in (
        AskOrder("pbtest1", SYMBOL),
        make_order(2, lots=5_000),
        make_order(3, side=-1, reduce_only=True),
        SendCancel("pbtest1", SYMBOL),
    ):
        desk.gateway.send(command)
    await desk.until(lambda: desk.gateway.statistics().limits.waiting == 4)

    desk.gateway._limits._paused_until_s = 0.0
    desk.gateway._limits.pause(0.0)
    await desk.until(lambda: desk.gateway.statistics().unanswered == 0)

    assert [
        (method, params.get("newClientOrderId", "")) for method, name, params in stub.requests if name == "order"
    ] == [("DELETE", ""), ("POST", "pbtest3"), ("POST", "pbtest2"), ("GET", "")]


@pytest.mark.slow
async def test_a_venue_that_had_enough_is_left_alone_as_long_as_it_says(
    stub: Any, desk: Any, twists: dict[str, Any]
) -> None:
    stub.twist("GET order", twists["say"](429, "too much", Retry_After="1"))
    desk.gateway._window_s = 0.0

    desk.gateway.send(AskOrder("pbtest1", SYMBOL))
    await desk.until(lambda: stub.count("GET order") == 1)
    await desk.until(lambda: desk.gateway.statistics().limits.paused_s > 0.5)

    assert stub.count("GET order") == 1


async def test_the_venues_own_count_of_our_weight_is_believed(stub: Any, desk: Any) -> None:
    stub.headers = {"X-MBX-USED-WEIGHT-1M": "1234"}
    desk.gateway._window_s = 0.0

    desk.gateway.send(AskOrder("pbtest1", SYMBOL))
    await desk.until(lambda: desk.gateway.statistics().unanswered == 0)

    assert desk.gateway.statistics().limits.spent == 1234


async def test_one_count_of_the_venues_is_counted_once(stub: Any, desk: Any) -> None:
    """An answer that never came brings no new count, and the last one has grown old."""
    stub.headers = {"X-MBX-USED-WEIGHT-1M": "1234"}
    await desk.client.balances()

    assert desk.client.used_weight() == 1234
    assert desk.client.used_weight() is None


async def test_a_clock_that_runs_at_a_rate_of_its_own_is_nothing_to_sign_with(
    stub: Any, settings: Any, open_desk: Any, make_order: Make, twists: dict[str, Any]
) -> None:
    """A loopback exchange that plays history: its time is stale as soon as it is told."""
    async with open_desk(msgspec.structs.replace(settings, clock="venue")) as desk:
        desk.client.exchange.options["timeDifference"] = 12_345
        stub.twist("POST order", twists["say"](400, '{"code":-1021,"msg":"Timestamp for this request is old."}'))
        asked = stub.count("GET time")
        desk.gateway.send(make_order(1))
        await desk.of(OrderReported)
        await desk.until(lambda: desk.client.exchange.options["timeDifference"] == 0)

        assert stub.count("GET time") == asked


async def test_a_clock_that_differs_is_corrected_for_the_next_order(
    stub: Any, desk: Any, twists: dict[str, Any], make_order: Make
) -> None:
    stub.speaks = False
    stub.twist("POST order", twists["say"](400, '{"code":-1021,"msg":"Timestamp for this request is too old."}'))

    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    desk.gateway.send(make_order(2))
    await desk.of(OrderReported, 2)

    assert stub.count("GET time") == 1
    signed_ms = int(stub.orders["pbtest2"].terms["timestamp"])
    assert 0 <= signed_ms - 1_700_000_000_000 < 60_000, "signed with the venue's time"


async def test_executions_a_reply_does_not_show_are_looked_up(
    stub: Any, desk: Any, twists: dict[str, Any], make_order: Make
) -> None:
    stub.speaks = False

    async def terse(stub: Any, request: Any, params: dict[str, str]) -> Any:
        await stub.proper(request, params)
        return await twists["say"](200, json.dumps(stub.orders["pbtest1"].row()))(stub, request, params)

    stub.twist("POST order", terse)
    desk.gateway.send(make_order(1, kind="market"))
    await desk.of(OrderReported)

    assert [type(each) for each in desk.posted[-2:]] == [TradeReported, OrderReported]
    assert stub.count("GET myTrades") == 1


# --- starting again ---------------------------------------------------------------------------------


async def test_what_was_under_way_when_the_edge_stopped_is_in_doubt_when_it_starts(
    stub: Any, desk: Any, twists: dict[str, Any], make_order: Make
) -> None:
    stub.speaks = False
    stub.twist("POST order", twists["accept_then_stall"])
    desk.gateway.send(make_order(1))
    await desk.until(lambda: stub.orders)

    await desk.restart()
    [doubt] = await desk.of(OrderInDoubt)
    await desk.up(2)

    assert doubt.order_id == "pbtest1"
    assert stub.count("POST order") == 1
    assert not desk.all(OrderReported)
    assert [each.up for each in desk.all(VenueLink)] == [True, False, True]


async def test_what_had_not_left_when_the_edge_stopped_leaves_once_it_starts(
    stub: Any, desk: Any, make_order: Make
) -> None:
    desk.gateway._limits.pause(0.3)
    desk.gateway.send(make_order(1))
    await desk.until(lambda: desk.gateway.statistics().limits.waiting)

    await desk.restart()
    await desk.of(OrderReported)

    assert stub.count("POST order") == 1
    assert not desk.all(OrderInDoubt)
