"""Orders of perpetuals through plain ccxt.pro.binanceusdm: plain and conditional, one by one and in batches."""

from typing import Any

import pytest

from replay.exchange.server import Exchange

pytestmark = pytest.mark.slow

CONTRACT = "BTC/USDT:USDT"


async def test_limit_order_rests_then_fills_by_a_later_trade(usdm: Any, exchange: Exchange) -> None:
    order = await usdm.create_order(CONTRACT, "limit", "buy", 0.1, 49000, {"clientOrderId": "mine-1"})
    assert (order["status"], order["clientOrderId"], order["filled"]) == ("open", "mine-1", 0.0)
    assert (order["symbol"], order["reduceOnly"]) == (CONTRACT, False)
    assert (await usdm.fetch_balance())["USDT"]["used"] == pytest.approx(245.0)
    await exchange.print_trade(CONTRACT, "48999", "1")
    filled = await usdm.fetch_order(order["id"], CONTRACT)
    assert (filled["status"], filled["filled"], filled["average"]) == ("closed", 0.1, 49000.0)
    (trade,) = await usdm.fetch_my_trades(CONTRACT)
    assert (trade["order"], trade["takerOrMaker"], trade["price"]) == (order["id"], "maker", 49000.0)


async def test_market_order_fills_at_the_touch_and_says_so_at_once(usdm: Any) -> None:
    order = await usdm.create_order(CONTRACT, "market", "sell", 0.1)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.1, 49999.99)


async def test_acknowledgement_tells_no_result(usdm: Any) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1", "newOrderRespType": "ACK"}
    reply = await usdm.fapiprivate_post_order(order)
    assert (reply["status"], reply["executedQty"]) == ("NEW", "0.00000000")
    assert (await usdm.fetch_order(reply["orderId"], CONTRACT))["status"] == "closed"


async def test_immediate_orders_leave_nothing_behind(usdm: Any) -> None:
    missed = await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 49000, {"timeInForce": "IOC"})
    assert (missed["status"], missed["filled"]) == ("expired", 0.0)
    taken = await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 50001, {"timeInForce": "FOK"})
    assert (taken["status"], taken["average"]) == ("closed", 50000.01)


async def test_post_only_order_rests(usdm: Any) -> None:
    order = await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 49000, {"postOnly": True})
    assert (order["status"], order["timeInForce"], order["postOnly"]) == ("open", "PO", True)


async def test_reduce_only_order_goes_when_the_position_is_gone(usdm: Any) -> None:
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    resting = await usdm.create_order(CONTRACT, "limit", "sell", 0.1, 51000, {"reduceOnly": True})
    assert resting["reduceOnly"] is True
    await usdm.create_order(CONTRACT, "market", "sell", 0.1)
    assert (await usdm.fetch_order(resting["id"], CONTRACT))["status"] in {"expired", "canceled"}


async def test_cancel_names_the_order_by_its_own_client_id(usdm: Any) -> None:
    order = await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 49000, {"clientOrderId": "mine-1"})
    cancelled = await usdm.cancel_order(None, CONTRACT, {"clientOrderId": "mine-1"})
    assert (cancelled["status"], cancelled["id"], cancelled["clientOrderId"]) == ("canceled", order["id"], "mine-1")


async def test_order_that_is_gone_cannot_be_cancelled_or_found_open(usdm: Any) -> None:
    import ccxt

    order = await usdm.create_order(CONTRACT, "market", "buy", 0.01)
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await usdm.cancel_order(order["id"], CONTRACT)
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await usdm.fetch_order("99", CONTRACT)
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await usdm.fetch_open_order(order["id"], CONTRACT)


async def test_change_keeps_the_ids(usdm: Any) -> None:
    import ccxt

    order = await usdm.create_order(CONTRACT, "limit", "buy", 0.1, 49000, {"clientOrderId": "mine-1"})
    changed = await usdm.edit_order(order["id"], CONTRACT, "limit", "buy", 0.2, 48000)
    assert (changed["id"], changed["clientOrderId"]) == (order["id"], "mine-1")
    assert (changed["status"], changed["price"], changed["amount"]) == ("open", 48000.0, 0.2)
    named = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "price": "48000", "origClientOrderId": "mine-1"}
    assert (await usdm.fapiprivate_put_order(named))["origQty"] == "0.10000000"
    with pytest.raises(ccxt.ExchangeError, match="-5027"):
        await usdm.edit_order(order["id"], CONTRACT, "limit", "buy", 0.1, 48000)
    assert (await usdm.fetch_open_order(order["id"], CONTRACT))["price"] == 48000.0


async def test_lists_tell_orders_by_what_became_of_them(usdm: Any) -> None:
    first = await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 49000)
    second = await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 48000)
    await usdm.cancel_order(first["id"], CONTRACT)
    assert [order["id"] for order in await usdm.fetch_open_orders(CONTRACT)] == [second["id"]]
    assert [order["status"] for order in await usdm.fetch_orders(CONTRACT)] == ["canceled", "open"]
    assert [order["status"] for order in await usdm.fetch_orders()] == ["canceled", "open"]
    assert [order["id"] for order in await usdm.fetch_canceled_orders(CONTRACT)] == [first["id"]]
    usdm.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
    assert [order["id"] for order in await usdm.fetch_open_orders()] == [second["id"]]


async def test_cancel_all_ends_every_order_and_minds_nothing(usdm: Any) -> None:
    for price in (49000, 48000):
        await usdm.create_order(CONTRACT, "limit", "buy", 0.01, price)
    for _ in range(2):
        (answer,) = await usdm.cancel_all_orders(CONTRACT)
        assert answer["info"]["code"] == 200
    assert await usdm.fetch_open_orders(CONTRACT) == []


async def test_my_trades_can_be_asked_for_from_an_id_or_an_order(usdm: Any) -> None:
    orders = [await usdm.create_order(CONTRACT, "market", "buy", 0.01) for _ in range(3)]
    trades = await usdm.fetch_my_trades(CONTRACT)
    assert [trade["order"] for trade in trades] == [order["id"] for order in orders]
    later = await usdm.fetch_my_trades(CONTRACT, params={"fromId": trades[1]["id"]})
    assert [trade["id"] for trade in later] == [trade["id"] for trade in trades[1:]]
    (one,) = await usdm.fetch_my_trades(CONTRACT, params={"orderId": orders[1]["id"]})
    assert one["id"] == trades[1]["id"]


async def test_orders_go_in_batches_each_for_itself(usdm: Any) -> None:
    wishes = [
        {"symbol": CONTRACT, "type": "limit", "side": "buy", "amount": amount, "price": 49000}
        for amount in (0.01, 100, 0.02)
    ]
    placed = await usdm.create_orders(wishes)
    refused, *resting = placed  # ccxt sorts what has no time to the front
    assert (refused["status"], refused["info"]["code"]) == ("rejected", -2019)
    assert [(order["status"], order["amount"]) for order in resting] == [("open", 0.01), ("open", 0.02)]
    changes = [
        {"id": order["id"], "symbol": CONTRACT, "type": "limit", "side": "buy", "amount": 0.03, "price": 48000}
        for order in resting
    ]
    assert [order["amount"] for order in await usdm.edit_orders(changes)] == [0.03, 0.03]
    cancelled = await usdm.cancel_orders([order["id"] for order in resting], CONTRACT)
    assert [order["status"] for order in cancelled] == ["canceled", "canceled"]
    named = await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 49000, {"clientOrderId": "mine-1"})
    (gone,) = await usdm.cancel_orders([], CONTRACT, {"clientOrderIds": ["mine-1"]})
    assert gone["id"] == named["id"]


async def test_countdown_cancels_everything_unless_it_is_renewed(
    usdm: Any, eventually: Any, exchange: Exchange
) -> None:
    order = await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 49000)
    ask = {"symbol": "BTCUSDT", "countdownTime": 60_000}
    assert (await usdm.fapiprivate_post_countdowncancelall(ask))["countdownTime"] == "60000"
    await usdm.fapiprivate_post_countdowncancelall(ask | {"countdownTime": 0})
    assert (await usdm.fetch_order(order["id"], CONTRACT))["status"] == "open"
    await usdm.fapiprivate_post_countdowncancelall(ask | {"countdownTime": 50})
    await eventually(lambda: not exchange.futures.engine.open_orders("BTCUSDT"))


async def test_position_that_cannot_stand_is_liquidated(usdm: Any, exchange: Exchange) -> None:
    await usdm.create_order(CONTRACT, "market", "buy", 30)
    await exchange.print_trade(CONTRACT, "46000", "1")
    assert await usdm.fetch_positions() == []
    (forced,) = await usdm.fetch_my_liquidations(CONTRACT)
    assert (forced["side"], forced["contracts"]) == ("sell", 30.0)
    last = (await usdm.fetch_my_trades(CONTRACT))[-1]
    assert (last["side"], last["amount"]) == ("sell", 30.0)


# --- conditional orders ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "side", "price", "params", "name", "touch"),
    [
        ("market", "sell", None, {"stopLossPrice": 49000}, "STOP_MARKET", "48990"),
        ("market", "sell", None, {"takeProfitPrice": 51000}, "TAKE_PROFIT_MARKET", "51010"),
        ("limit", "sell", 48000, {"stopLossPrice": 49000}, "STOP", "48990"),
        ("limit", "sell", 51000, {"takeProfitPrice": 51000}, "TAKE_PROFIT", "51010"),
        ("market", "sell", None, {"triggerPrice": 49000, "reduceOnly": True}, "STOP_MARKET", "48990"),
        ("STOP_MARKET", "sell", None, {"triggerPrice": 49000, "closePosition": True}, "STOP_MARKET", "48990"),
        ("market", "sell", None, {"stopLossPrice": 49000, "workingType": "MARK_PRICE"}, "STOP_MARKET", "48990"),
    ],
)
async def test_conditional_order_waits_for_its_price_and_then_is_an_order(
    usdm: Any, exchange: Exchange, kind: str, side: str, price: Any, params: dict[str, Any], name: str, touch: str
) -> None:
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    waiting = await usdm.create_order(CONTRACT, kind, side, 0.1, price, params | {"clientOrderId": "stop-1"})
    assert (waiting["status"], waiting["clientOrderId"], waiting["info"]["orderType"]) == ("open", "stop-1", name)
    assert waiting["triggerPrice"] == (params.get("takeProfitPrice") or 49000)
    assert await usdm.fetch_open_orders(CONTRACT) == []
    (listed,) = await usdm.fetch_open_orders(CONTRACT, params={"trigger": True})
    assert listed["id"] == waiting["id"]
    await exchange.print_trade(CONTRACT, touch, "1")
    found = await usdm.fetch_order(None, CONTRACT, {"trigger": True, "clientOrderId": "stop-1"})
    assert found["status"] == "closed"
    order = await usdm.fetch_order(found["info"]["actualOrderId"], CONTRACT)
    assert (order["side"], order["status"], order["filled"]) == ("sell", "closed", 0.1)
    assert await usdm.fetch_positions() == []
    assert await usdm.fetch_open_orders(CONTRACT, params={"trigger": True}) == []
    assert [each["id"] for each in await usdm.fetch_orders(CONTRACT, params={"trigger": True})] == [waiting["id"]]


async def test_conditional_orders_are_cancelled_apart_from_the_others(usdm: Any) -> None:
    import ccxt

    plain = await usdm.create_order(CONTRACT, "limit", "buy", 0.1, 49000)
    first, *_ = [
        await usdm.create_order(CONTRACT, "market", "sell", 0.1, None, {"stopLossPrice": price})
        for price in (49000, 48000)
    ]
    await usdm.cancel_order(first["id"], CONTRACT, {"trigger": True})
    assert (await usdm.fetch_order(first["id"], CONTRACT, {"trigger": True}))["status"] == "canceled"
    with pytest.raises(ccxt.ExchangeError, match="-2011"):
        await usdm.cancel_order(first["id"], CONTRACT, {"trigger": True})
    await usdm.cancel_all_orders(CONTRACT, {"trigger": True})
    assert await usdm.fetch_open_orders(CONTRACT, params={"trigger": True}) == []
    assert [order["id"] for order in await usdm.fetch_open_orders(CONTRACT)] == [plain["id"]]


async def test_conditional_order_needs_what_its_type_needs(usdm: Any) -> None:
    import ccxt

    wish = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
    wish |= {"quantity": "0.1", "triggerPrice": "49000"}
    for changed, code in (
        ({"triggerPrice": ""}, "-1105|-1102"),
        ({"type": "STOP"}, "-1102"),
        ({"type": "MARKET"}, "-1116"),
        ({"type": "LIQUIDATION"}, "-1116"),
        ({"algoType": "VP"}, "-1130"),
        ({"closePosition": "true"}, "-4137"),
        ({"workingType": "LAST"}, "-1130"),
        ({"triggerPrice": "51000"}, "-2021"),
        ({"nonsense": "1"}, "-1104"),
    ):
        with pytest.raises(ccxt.BaseError, match=code):
            await usdm.fapiprivate_post_algoorder(wish | changed)
    assert await usdm.fetch_open_orders(CONTRACT, params={"trigger": True}) == []
