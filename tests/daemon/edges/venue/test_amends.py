"""Changing an order: what leaves, which way, and what every answer and every silence becomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors.messages import (
    AccountReported,
    AmendRefused,
    AskAccount,
    AskOrder,
    Halt,
    OrderAbsent,
    OrderInDoubt,
    OrderReported,
    SendAmend,
    SendCancel,
    SendOrder,
    TradeReported,
)

SYMBOL = "BTC/USDT"
Make = Callable[..., SendOrder]


def amend(order: SendOrder, **changes: Any) -> SendAmend:
    """Change order 1 into order 2."""
    booked = changes.pop("booked_lots", 0)
    request = msgspec.structs.replace(order.request, **({"limit_ticks": 9_900} | changes))
    return SendAmend("pbtest1", "1", "pbtest2", request, booked)


@pytest.fixture
async def resting(stub: Any, desk: Any, make_order: Make) -> SendOrder:
    """An order that rests at the venue: pbtest1, 0.001 at 100."""
    order = make_order(1)
    stub.speaks = False
    desk.gateway.send(order)
    await desk.of(OrderReported)
    desk.posted.clear()
    stub.speaks = True
    return order


@pytest.mark.parametrize(
    ("terms", "changes", "leaves"),
    [
        (
            {},
            {"limit_ticks": 9_901, "quantity_lots": 250_000},
            {"type": "LIMIT", "price": "99.01", "quantity": "0.0025", "timeInForce": "GTC"},
        ),
        ({"post_only": True}, {}, {"type": "LIMIT_MAKER", "price": "99", "quantity": "0.001"}),
        (
            {"kind": "stop", "side": -1, "stop_ticks": 9_950},
            {"stop_ticks": 9_925, "limit_ticks": 0},
            {"type": "STOP_LOSS", "side": "SELL", "stopPrice": "99.25", "quantity": "0.001"},
        ),
        (
            {"kind": "stop_limit", "side": -1, "stop_ticks": 9_950, "limit_ticks": 9_901},
            {"stop_ticks": 9_940},
            {"type": "STOP_LOSS_LIMIT", "price": "99", "stopPrice": "99.4", "timeInForce": "GTC"},
        ),
    ],
    ids=["limit", "post only", "stop", "stop limit"],
)
async def test_a_replacement_leaves_exactly(
    terms: dict[str, Any], changes: dict[str, Any], leaves: dict[str, str], stub: Any, desk: Any, make_order: Make
) -> None:
    order = make_order(1, **terms)
    desk.gateway.send(order)
    await desk.of(OrderReported)

    desk.gateway.send(amend(order, **changes))
    await desk.until(lambda: "pbtest2" in stub.orders)

    sent = stub.orders["pbtest2"].terms
    fixed = {
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelRestrictions": "ONLY_NEW",
        "cancelOrigClientOrderId": "pbtest1",
        "newClientOrderId": "pbtest2",
    }
    assert {name: sent.get(name) for name in leaves | fixed} == leaves | fixed
    assert not {"triggerPrice", "cancelOrderId", "clientOrderId", "postOnly"} & sent.keys()
    assert stub.orders["pbtest1"].status == "CANCELED"


async def test_a_good_answer_is_told_of_the_replacement(stub: Any, desk: Any, resting: SendOrder) -> None:
    stub.speaks = False

    desk.gateway.send(amend(resting))

    assert await desk.of(OrderReported) == [OrderReported("pbtest2", "2", "open", 0)]
    assert stub.count("POST cancelReplace") == 1


@pytest.mark.parametrize("booked_lots", [0, 40_000])
async def test_what_was_executed_is_never_replaced(booked_lots: int, stub: Any, desk: Any, resting: SendOrder) -> None:
    """Whether we know of the execution when the change leaves or not."""
    await stub.fill("pbtest1", "0.0004", tell=False)

    desk.gateway.send(amend(resting, booked_lots=booked_lots))
    (refused,) = await desk.of(AmendRefused)

    assert (refused.order_id, refused.new_order_id, refused.withdraw_first) == ("pbtest1", "pbtest2", True)
    assert stub.count("POST cancelReplace") == (1 if booked_lots == 0 else 0)
    assert stub.orders["pbtest1"].status == "PARTIALLY_FILLED"
    assert "pbtest2" not in stub.orders


async def test_an_order_that_is_gone_is_not_replaced(stub: Any, desk: Any, resting: SendOrder) -> None:
    await stub.fill("pbtest1", "0.001", tell=False)

    desk.gateway.send(amend(resting))
    (refused,) = await desk.of(AmendRefused)

    assert not refused.withdraw_first
    assert "Unknown order" in refused.reason
    assert "pbtest2" not in stub.orders


@pytest.mark.parametrize(
    "error",
    [
        {"code": -2010, "msg": "Account has insufficient balance for requested action."},
        {"code": -2010, "msg": "Order would immediately match and take."},
        {"code": -1013, "msg": "Filter failure: LOT_SIZE"},
        {"code": -1013, "msg": "Filter failure: PRICE_FILTER"},
    ],
    ids=["balance", "post only", "lot size", "price filter"],
)
async def test_a_replacement_that_is_refused_after_the_old_order_is_gone(
    error: dict[str, Any], stub: Any, desk: Any, resting: SendOrder
) -> None:
    """Whatever ccxt makes of the words: it is refused, and the old order is to be asked for."""
    stub.replacement_error, stub.speaks = error, False

    desk.gateway.send(amend(resting))
    (refused,) = await desk.of(AmendRefused)
    desk.gateway.send(AskOrder("pbtest1", SYMBOL))
    (report,) = await desk.of(OrderReported)

    assert not refused.withdraw_first
    assert refused.reason == error["msg"]
    assert (report.state, report.asked) == ("cancelled", True)
    assert "pbtest2" not in stub.orders


async def test_half_an_answer_that_nobody_is_sure_of_is_a_doubt(stub: Any, desk: Any, resting: SendOrder) -> None:
    stub.replacement_error = {"code": -1007, "msg": "Timeout waiting for response from backend server."}

    desk.gateway.send(amend(resting))
    (doubt,) = await desk.of(OrderInDoubt)

    assert doubt.order_id == "pbtest2"
    assert desk.all(AmendRefused) == []


DOUBTS = [
    ("accept_then_cut", ()),
    ("accept_then_stall", ()),
    ("accept_then_say_nothing", ()),
    ("accept_then_halve", ()),
    ("accept_then_truncate", ()),
    ("accept_then_say", (504, "<html>Gateway Timeout</html>")),
    ("accept_then_say", (400, json.dumps({"code": -1007, "msg": "Timeout waiting for response from backend server."}))),
    ("accept_then_say", (409, json.dumps({"code": -2021, "msg": "Order cancel-replace partially failed."}))),
]


@pytest.mark.slow
@pytest.mark.parametrize(("way", "how"), DOUBTS, ids=[f"{way}{how[:1]}" for way, how in DOUBTS])
async def test_an_answer_that_got_lost_leaves_the_replacement_in_doubt_and_a_question_finds_it(
    way: str, how: tuple[Any, ...], stub: Any, desk: Any, resting: SendOrder, twists: dict[str, Any]
) -> None:
    stub.speaks = False
    stub.twist("POST cancelReplace", twists[way](*how) if how else twists[way])

    desk.gateway.send(amend(resting))
    (doubt,) = await desk.of(OrderInDoubt)
    desk.gateway.send(AskOrder(doubt.order_id, SYMBOL))

    assert await desk.of(OrderReported) == [OrderReported("pbtest2", "2", "open", 0, asked=True)]
    assert stub.count("POST cancelReplace") == 1


@pytest.mark.slow
@pytest.mark.parametrize("way", ["cut", "say"])
async def test_a_change_that_never_arrived_is_absent_only_once_it_would_be_too_late(
    way: str, stub: Any, desk: Any, resting: SendOrder, twists: dict[str, Any]
) -> None:
    stub.twist("POST cancelReplace", twists["say"](503, "<html>no</html>") if way == "say" else twists[way])

    desk.gateway.send(amend(resting))
    await desk.of(OrderInDoubt)
    desk.gateway.send(AskOrder("pbtest2", SYMBOL))
    (absent,) = await desk.of(OrderAbsent)
    desk.gateway.send(AskOrder("pbtest1", SYMBOL))
    (report,) = await desk.of(OrderReported)

    assert absent.order_id == "pbtest2"
    assert stub.count("GET order") >= 3, "asked more than once while it could have been under way"
    assert (report.order_id, report.state) == ("pbtest1", "open")


@pytest.mark.parametrize(
    ("code", "text", "halts"),
    [
        (-1013, "Filter failure: NOTIONAL", False),
        (-1021, "Timestamp for this request is outside", False),
        (-2015, "Invalid API-key, IP, or permissions for action.", True),
    ],
)
async def test_an_answer_that_proves_that_nothing_was_done(
    code: int, text: str, halts: bool, stub: Any, desk: Any, resting: SendOrder, twists: dict[str, Any]
) -> None:
    stub.twist("POST cancelReplace", twists["say"](400, json.dumps({"code": code, "msg": text})))

    desk.gateway.send(amend(resting))
    (refused,) = await desk.of(AmendRefused)
    if halts:
        await desk.of(Halt)

    assert not refused.withdraw_first
    assert desk.all(OrderInDoubt) == []
    assert stub.orders["pbtest1"].status == "NEW"


async def test_a_marketable_replacement_brings_its_executions(stub: Any, desk: Any, resting: SendOrder) -> None:
    stub.speaks = False

    desk.gateway.send(amend(resting, kind="market", limit_ticks=0))
    (trade,) = await desk.of(TradeReported)

    assert (trade.order_id, trade.quantity_lots) == ("pbtest2", 100_000)
    assert desk.posted[-1] == OrderReported("pbtest2", "2", "filled", 100_000)


async def test_a_change_waits_for_the_answer_to_the_order_itself(stub: Any, desk: Any, make_order: Make) -> None:
    order = make_order(1)
    desk.gateway.send(order)
    desk.gateway.send(amend(order))

    await desk.until(lambda: "pbtest2" in stub.orders)

    assert [name for method, name, _ in stub.requests if method == "POST"] == ["order", "cancelReplace"]


async def test_a_cancel_waits_for_the_answer_to_the_change(stub: Any, desk: Any, resting: SendOrder) -> None:
    desk.gateway.send(amend(resting))
    desk.gateway.send(SendCancel("pbtest2", SYMBOL))

    await desk.until(lambda: "pbtest2" in stub.orders and stub.orders["pbtest2"].status == "CANCELED")
    assert stub.count("DELETE order") == 1


@pytest.mark.slow
async def test_a_cancel_withdraws_a_change_that_has_not_left(stub: Any, desk: Any, resting: SendOrder) -> None:
    desk.gateway._limits.pause(0.5)
    desk.gateway.send(amend(resting))
    desk.gateway.send(SendCancel("pbtest1", SYMBOL))

    (refused,) = await desk.of(AmendRefused)
    await desk.until(lambda: stub.orders["pbtest1"].status == "CANCELED")

    assert refused.reason == "withdrawn before it was sent"
    assert stub.count("POST cancelReplace") == 0


@pytest.mark.slow
async def test_a_change_that_finds_no_turn_is_refused(stub: Any, desk: Any, resting: SendOrder) -> None:
    desk.gateway._limits.pause(30)

    desk.gateway.send(amend(resting))
    (refused,) = await desk.of(AmendRefused)

    assert refused.reason.startswith("not sent")
    assert not refused.withdraw_first


@pytest.mark.slow
async def test_a_gateway_that_is_started_again_is_in_doubt_of_the_change_it_had_sent(
    stub: Any, desk: Any, resting: SendOrder, twists: dict[str, Any]
) -> None:
    stub.twist("POST cancelReplace", twists["accept_then_stall"])
    desk.gateway.send(amend(resting))
    await desk.until(lambda: "pbtest2" in stub.orders)

    await desk.restart()
    (doubt,) = await desk.of(OrderInDoubt)

    assert doubt.order_id == "pbtest2"
    assert stub.count("POST cancelReplace") == 1


@pytest.mark.slow
async def test_a_comparison_waits_for_a_change_under_way(
    stub: Any, desk: Any, resting: SendOrder, twists: dict[str, Any]
) -> None:
    stub.twist("POST cancelReplace", twists["accept_then_stall"])
    desk.gateway.send(amend(resting))
    await desk.until(lambda: "pbtest2" in stub.orders)

    desk.gateway.send(AskAccount("period", (("pbtest1", SYMBOL), ("pbtest2", SYMBOL))))
    (account,) = await desk.of(AccountReported)

    assert {report.order_id: report.state for report in account.orders} == {"pbtest1": "cancelled", "pbtest2": "open"}
    assert account.absent == ()
