"""The in-doubt rule, one row a case: nothing is lost, nothing is sent twice, nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from actors.messages import (
    AskOrder,
    Halt,
    OrderAbsent,
    OrderInDoubt,
    OrderReported,
    SendOrder,
)

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
UNKNOWN = '{"code":-1007,"msg":"Timeout waiting for response from backend server. Send status unknown."}'


@dataclass(frozen=True)
class Row:
    """One way in which a submit goes, and what must come of it."""

    name: str
    twist: Callable[[dict[str, Any]], Any]
    first: str
    """What is posted: `doubt` or `rejected`."""
    then: str
    """What a question finds: `there` or `absent`."""
    halts: bool = False


def code(number: int, text: str, status: int = 400) -> Callable[[dict[str, Any]], Any]:
    return lambda twists: twists["say"](status, f'{{"code":{number},"msg":"{text}"}}')


def plain(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda twists: twists[name]


ROWS = (
    # the venue may have it
    Row("taken, connection cut", plain("accept_then_cut"), "doubt", "there"),
    Row("taken, reply too late", plain("accept_then_stall"), "doubt", "there"),
    Row("taken, empty reply", plain("accept_then_say_nothing"), "doubt", "there"),
    Row("taken, half a reply", plain("accept_then_halve"), "doubt", "there"),
    Row("taken, fewer bytes than promised", plain("accept_then_truncate"), "doubt", "there"),
    Row("taken, a page", lambda twists: twists["accept_then_say"](200, "<html>oops</html>"), "doubt", "there"),
    Row("taken, a list", lambda twists: twists["accept_then_say"](200, "[]"), "doubt", "there"),
    Row("taken, null", lambda twists: twists["accept_then_say"](200, "null"), "doubt", "there"),
    Row("taken, 502", lambda twists: twists["accept_then_say"](502, "<html>bad gateway</html>"), "doubt", "there"),
    Row("taken, 503", lambda twists: twists["accept_then_say"](503, "Unknown error"), "doubt", "there"),
    Row("taken, 504", lambda twists: twists["accept_then_say"](504, "<html>timeout</html>"), "doubt", "there"),
    Row("taken, -1007", lambda twists: twists["accept_then_say"](408, UNKNOWN), "doubt", "there"),
    Row(
        "taken, -1006",
        lambda twists: twists["accept_then_say"](400, '{"code":-1006,"msg":"Execution status unknown."}'),
        "doubt",
        "there",
    ),
    Row("taken, duplicate", lambda twists: twists["accept_then_say"](400, DUPLICATE), "doubt", "there"),
    Row("taken, another's id", lambda twists: twists["accept_then_say"](200, STRANGE), "doubt", "there"),
    # the venue has not got it, and nobody could know
    Row("lost on the way", plain("cut"), "doubt", "absent"),
    Row("429", lambda twists: twists["say"](429, "slow down", Retry_After="1"), "doubt", "absent"),
    Row("418", lambda twists: twists["say"](418, "banned", Retry_After="1"), "doubt", "absent"),
    Row("busy", code(-1008, "Server is currently overloaded with other requests."), "doubt", "absent"),
    Row("too many orders", lambda twists: twists["say"](400, MANY, Retry_After="1"), "doubt", "absent"),
    Row("maintenance", code(-1000, "System is under maintenance.", 503), "doubt", "absent"),
    Row("a code nobody knows", code(-9999, "Whatever."), "doubt", "absent"),
    # the venue proves it has not got it
    Row("no money", code(-2010, "Account has insufficient balance for requested action."), "rejected", "absent"),
    Row("would match", code(-2010, "Order would immediately match and take."), "rejected", "absent"),
    Row("not now", code(-2010, "Market is closed."), "rejected", "absent"),
    Row("notional", code(-1013, "Filter failure: NOTIONAL"), "rejected", "absent"),
    Row("lot size", code(-1013, "Filter failure: LOT_SIZE"), "rejected", "absent"),
    Row("bad symbol", code(-1121, "Invalid symbol."), "rejected", "absent"),
    Row("old timestamp", code(-1021, "Timestamp for this request is outside of the recvWindow."), "rejected", "absent"),
    # and no other order would fare better
    Row("bad signature", code(-1022, "Signature for this request is not valid."), "rejected", "absent", halts=True),
    Row("bad key", code(-2015, "Invalid API-key, IP, or permissions for action."), "rejected", "absent", halts=True),
    Row("no such key", code(-2014, "API-key format invalid."), "rejected", "absent", halts=True),
)
MANY = '{"code":-1015,"msg":"Too many new orders; current limit is 100 orders per 10 SECOND."}'
DUPLICATE = '{"code":-2010,"msg":"Duplicate order sent."}'
STRANGE = (
    '{"symbol":"BTCUSDT","orderId":99,"clientOrderId":"somebody-else","status":"NEW","type":"LIMIT","side":"BUY",'
    '"origQty":"0.00100000","executedQty":"0.00000000","price":"100.00","transactTime":1700000000000}'
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_what_a_submit_comes_to(
    row: Row, stub: Any, desk: Any, twists: dict[str, Any], make_order: Callable[..., SendOrder]
) -> None:
    stub.speaks = False  # the stream would tell, too
    stub.twist("POST order", row.twist(twists))
    sent = make_order(1)

    desk.gateway.send(sent)
    if row.first == "doubt":
        [doubt] = await desk.of(OrderInDoubt)
        assert doubt.order_id == sent.order_id
        assert not desk.all(OrderReported)
    else:
        [report] = await desk.of(OrderReported)
        assert (report.state, report.filled_lots) == ("rejected", 0)
        assert report.reason
        assert not desk.all(OrderInDoubt)
    desk.posted.clear()
    desk.gateway.send(AskOrder(sent.order_id, SYMBOL))
    if row.then == "there":
        [report] = await desk.of(OrderReported)
        assert (report.order_id, report.state) == (sent.order_id, "open")
    else:
        [absent] = await desk.of(OrderAbsent)
        assert absent.order_id == sent.order_id

    assert stub.count("POST order") == 1, "an order is never sent again"
    assert len(stub.orders) == (row.then == "there")


@pytest.mark.parametrize("row", [row for row in ROWS if row.first == "rejected"], ids=lambda row: row.name)
async def test_only_what_repetition_cannot_cure_halts(
    row: Row, stub: Any, desk: Any, twists: dict[str, Any], make_order: Callable[..., SendOrder]
) -> None:
    stub.twist("POST order", row.twist(twists))

    desk.gateway.send(make_order(1))
    desk.gateway.send(make_order(2))
    await desk.of(OrderReported, 2)

    assert bool(desk.all(Halt)) is row.halts


async def test_a_duplicate_is_proof_that_an_earlier_request_arrived(
    stub: Any, desk: Any, make_order: Callable[..., SendOrder]
) -> None:
    stub.speaks = False
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    desk.posted.clear()

    desk.gateway.send(make_order(1))
    [doubt] = await desk.of(OrderInDoubt)

    assert "Duplicate" in doubt.reason
    assert not desk.all(OrderReported), "it is not rejected: it works"


async def test_an_unknown_order_is_absent_only_after_the_window(
    stub: Any, settings: Any, open_desk: Any, twists: dict[str, Any], make_order: Callable[..., SendOrder]
) -> None:
    async with open_desk(settings, window_s=0.8) as desk:
        stub.speaks = False
        late: list[dict[str, str]] = []

        async def keep(_: Any, __: Any, params: dict[str, str]) -> None:
            late.append(params)

        stub.twist("POST order", keep)
        desk.gateway.send(make_order(1))
        [doubt] = await desk.of(OrderInDoubt)
        desk.gateway.send(AskOrder(doubt.order_id, SYMBOL))
        await desk.until(lambda: stub.count("GET order") >= 2)
        assert not desk.all(OrderAbsent)
        await stub._place(late[0])  # the request that was lost arrives after all
        [report] = await desk.of(OrderReported)

        assert report.state == "open"
        assert not desk.all(OrderAbsent)
