"""One view of the account: complete for what was asked, and only what is certain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.messages import (
    AccountReported,
    AskAccount,
    AskOrder,
    BalanceReported,
    ForeignOrder,
    Halt,
    OrderReported,
    SendOrder,
)

SYMBOL = "BTC/USDT"
Make = Callable[..., SendOrder]
STRANGER = {"newClientOrderId": "web_1", "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "90.00"}


async def test_one_view_has_all_that_was_asked_for(stub: Any, desk: Any, make_order: Make) -> None:
    stub.speaks = False
    await stub._place(STRANGER)
    for number in (1, 2, 3):
        desk.gateway.send(make_order(number))
    await desk.of(OrderReported, 3)
    await stub.fill("web_1", "0.0001", tell=False)  # 1000: a stranger's
    await stub.fill("pbtest2", "0.0004", tell=False)  # 1001
    await stub.fill("pbtest3", "0.001", tell=False)  # 1002: done
    stub.orders["pbtest1"].status = "CANCELED"
    asked = tuple((f"pbtest{number}", SYMBOL) for number in (1, 2, 3, 4))

    desk.gateway.send(AskAccount("reconnect", asked, ((SYMBOL, 999),), 7))
    [account] = await desk.of(AccountReported)

    assert (account.reason, account.ask) == ("reconnect", 7)
    assert {(each.order_id, each.state, each.filled_lots) for each in account.orders} == {
        ("pbtest1", "cancelled", 0),
        ("pbtest2", "open", 40_000),
        ("pbtest3", "filled", 100_000),
    }
    assert account.absent == ("pbtest4",)
    assert [(each.trade_id, each.order_id) for each in account.trades] == [(1001, "pbtest2"), (1002, "pbtest3")]
    assert account.balances == (BalanceReported("BTC", 50_000_000), BalanceReported("USDT", 100_000_000_000))
    assert account.foreign == (ForeignOrder("web_1", "1", SYMBOL),)


async def test_an_execution_before_the_newest_booked_one_is_found_through_its_order(
    stub: Any, desk: Any, make_order: Make
) -> None:
    """The stream may have lost one and told the next."""
    stub.speaks = False
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    await stub.fill("pbtest1", "0.0004", tell=False)
    await stub.fill("pbtest1", "0.0002", tell=False)

    desk.gateway.send(AskAccount("period", (("pbtest1", SYMBOL),), ((SYMBOL, 1001),)))
    [account] = await desk.of(AccountReported)

    assert [each.trade_id for each in account.trades] == [1000, 1001]


async def test_of_a_symbol_in_which_nothing_is_known_the_number_before_ours_is_told_and_what_is_ours(
    stub: Any, open_desk: Any, settings: Any, make_order: Make
) -> None:
    """By the venue's clock the first of ours was executed before the session began, by ours."""
    async with open_desk(settings, began_ns=1_700_000_030 * 10**9) as desk:
        desk.gateway.send(AskAccount("start", (), ((SYMBOL, -1),), 1))
        [account] = await desk.of(AccountReported)
        assert account.newest == ((SYMBOL, 0),)

        desk.gateway.send(make_order(1))
        await desk.of(OrderReported)
        await stub.fill("pbtest1", "0.0001", tell=False)
        await stub.fill("pbtest1", "0.0001", tell=False)
        desk.gateway.send(AskAccount("period", (), ((SYMBOL, -1),), 2))
        account = (await desk.of(AccountReported, 2))[-1]
        assert account.newest == ((SYMBOL, 999),)
        assert [trade.trade_id for trade in account.trades] == [1000, 1001]


async def test_executions_come_in_pages(
    stub: Any, desk: Any, make_order: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.edges.venue.client._TRADES_MAX", 2)
    pages: list[int] = []
    answer = stub._answer

    async def limited(what: str, params: dict[str, str]) -> Any:
        status, rows = await answer(what, params)
        if what == "GET myTrades":
            pages.append(int(params.get("fromId", 0)))
            rows = rows[: int(params["limit"])]
        return status, rows

    stub._answer = limited
    stub.speaks = False
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    for _ in range(5):
        await stub.fill("pbtest1", "0.0001", tell=False)

    desk.gateway.send(AskAccount("period", (), ((SYMBOL, 999),)))
    [account] = await desk.of(AccountReported)

    assert [each.trade_id for each in account.trades] == [1000, 1001, 1002, 1003, 1004]
    assert pages == [1000, 1002, 1004]


@pytest.mark.slow
async def test_a_question_is_asked_until_it_is_answered(
    stub: Any, desk: Any, twists: dict[str, Any], make_order: Make
) -> None:
    stub.twist("GET openOrders", twists["cut"], twists["say"](503, "oops"), twists["say"](200, ""))
    stub.twist("GET account", twists["say"](502, "<html></html>"), twists["accept_then_halve"])

    desk.gateway.send(AskAccount("start"))
    [account] = await desk.of(AccountReported)

    assert account.orders == ()
    assert len(account.balances) == 2
    assert stub.count("GET openOrders") == 4
    assert stub.count("GET account") == 3


async def test_an_account_that_could_not_be_compared_is_once_the_key_is_put_right(
    stub: Any, desk: Any, twists: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing would leave for many periods after the resume, not even what closes."""
    monkeypatch.setattr("daemon.edges.venue.gateway._ASK_AGAIN_S", 0.01)
    refused = twists["say"](401, '{"code":-2015,"msg":"Invalid API-key, IP, or permissions."}')
    stub.twist("GET openOrders", refused, refused)

    desk.gateway.send(AskAccount("start"))

    [account] = await desk.of(AccountReported)
    assert account.reason == "start"
    assert len(await desk.of(Halt)) == 1


async def test_a_question_that_will_never_be_answered_halts(stub: Any, desk: Any, twists: dict[str, Any]) -> None:
    stub.twist("GET openOrders", twists["say"](401, '{"code":-2015,"msg":"Invalid API-key, IP, or permissions."}'))

    desk.gateway.send(AskAccount("start"))
    [halt] = await desk.of(Halt)

    assert "cannot be compared" in halt.reason
    assert not desk.all(AccountReported)


async def test_a_later_question_replaces_an_earlier_one(stub: Any, desk: Any) -> None:
    desk.gateway._limits.pause(0.2)
    desk.gateway.send(AskAccount("period", (), (), 1))
    desk.gateway.send(AskAccount("doubt", (), (), 2))

    [account] = await desk.of(AccountReported)
    await desk.until(lambda: desk.gateway.statistics().unanswered == 0)

    assert account.ask == 2
    assert len(desk.all(AccountReported)) == 1


@pytest.mark.slow
async def test_an_answer_waits_for_executions_the_venue_lists_late(stub: Any, desk: Any, make_order: Make) -> None:
    stub.speaks = False
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    executed = await stub.fill("pbtest1", "0.001", tell=False)
    stub.trades.clear()
    desk.posted.clear()

    desk.gateway.send(AskOrder("pbtest1", SYMBOL))
    await desk.until(lambda: stub.count("GET myTrades") == 2)
    assert not desk.posted
    stub.trades.append(executed)
    await desk.of(OrderReported)

    assert [getattr(each, "trade_id", None) for each in desk.posted] == [1000, None]


async def test_an_answer_about_another_order_is_none(stub: Any, desk: Any, make_order: Make) -> None:
    stub.speaks = False
    desk.gateway.send(make_order(1))
    desk.gateway.send(make_order(2))
    await desk.of(OrderReported, 2)
    desk.posted.clear()
    find = stub._find
    strange = [stub.orders["pbtest2"]]
    stub._find = lambda params: strange.pop() if strange else find(params)

    desk.gateway.send(AskOrder("pbtest1", SYMBOL))
    [report] = await desk.of(OrderReported)

    assert report.order_id == "pbtest1"
    assert stub.count("GET order") == 2


@pytest.mark.slow
async def test_an_answer_from_before_the_link_was_lost_is_not_given(stub: Any, desk: Any) -> None:
    """It would tell the core that the accounts agree, of a time it knows nothing about."""
    desk.gateway._limits.pause(0.4)
    desk.gateway.send(AskAccount("period", (), (), 1))
    await desk.until(lambda: desk.gateway.statistics().limits.waiting)

    await stub.sockets[0].close(code=1001)
    await desk.up(2)
    await desk.until(lambda: desk.gateway.statistics().unanswered == 0)

    assert not desk.all(AccountReported)
