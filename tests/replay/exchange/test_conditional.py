"""Conditional orders: what triggers them, what they place, and when they end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from replay.exchange import model as x

D = Decimal


def statuses(pit: Any) -> list[str]:
    return [each.status for each in pit.engine.all_conditionals("BTCUSDT")]


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "not_yet", "touch"),
    [
        ("BUY", "STOP_MARKET", "30100", 30_099.9, 30_100),
        ("SELL", "STOP_MARKET", "29900", 29_900.1, 29_900),
        ("BUY", "TAKE_PROFIT_MARKET", "29900", 29_900.1, 29_900),
        ("SELL", "TAKE_PROFIT_MARKET", "30100", 30_099.9, 30_100),
    ],
)
def test_a_trigger_that_is_touched_places_a_market_order(
    pit: Any, side: str, kind: str, trigger: str, not_yet: float, touch: float
) -> None:
    waiting = pit.wait(side, kind, trigger)
    assert (waiting.status, waiting.algo_id, waiting.client_algo_id) == ("NEW", 1, "a1")
    pit.print(not_yet)
    assert statuses(pit) == ["NEW"]
    told = [each for each in pit.print(touch) if isinstance(each, x.ConditionalChanged | x.Executed)]
    assert [each.kind if isinstance(each, x.Executed) else each.conditional.status for each in told] == [
        "TRIGGERED", "NEW", "TRADE", "FINISHED",
    ]  # fmt: skip
    done = pit.engine.conditional(client_algo_id="a1")
    order = pit.engine.order("BTCUSDT", done.actual_order_id)
    assert (order.type, order.status, order.client_order_id, order.side) == ("MARKET", "FILLED", "a1", side)
    assert (done.triggered_ms, done.status) == (pit.now_ms, "FINISHED")


def test_a_limit_beyond_the_touch_rests_from_its_trigger_on(pit: Any) -> None:
    pit.wait("SELL", "STOP", "29900", price=D(29_800))
    pit.print(29_700)
    (order,) = pit.engine.open_orders()
    assert (order.type, order.price_ticks, statuses(pit)) == ("LIMIT", 298_000, ["TRIGGERED"])
    pit.engine.cancel("BTCUSDT", pit.tick(), order.order_id)
    assert statuses(pit) == ["FINISHED"]


def test_a_trigger_on_the_mark_waits_for_the_mark(pit: Any) -> None:
    pit.engine.set_mark("BTCUSDT", 300_000, pit.tick())
    pit.wait("SELL", "STOP_MARKET", "29900", working_type="MARK_PRICE")
    pit.print(29_000)
    assert statuses(pit) == ["NEW"]
    pit.engine.set_mark("BTCUSDT", 299_000, pit.tick())
    assert statuses(pit) == ["FINISHED"]
    assert pit.engine.my_trades("BTCUSDT")[0].price_ticks == 290_000


def test_closing_takes_whatever_is_held_when_it_is_triggered(pit: Any) -> None:
    pit.place("BUY", "0.1")
    pit.wait("SELL", "STOP_MARKET", "29000", "0", close_position=True)
    pit.place("BUY", "0.2")
    pit.print(29_000)
    assert pit.position().amount_lots == 0
    assert pit.engine.my_trades("BTCUSDT")[-1].quantity_lots == 300
    assert pit.engine.all_orders("BTCUSDT")[-1].close_position


def test_closing_with_nothing_held_is_rejected_when_it_is_triggered(pit: Any) -> None:
    pit.wait("SELL", "STOP_MARKET", "29000", "0", close_position=True)
    pit.print(28_000)
    done = pit.engine.conditional(algo_id=1)
    assert (done.status, done.reason, done.actual_order_id) == ("REJECTED", "ReduceOnly Order is rejected.", 0)


def test_an_order_without_margin_is_rejected_when_it_is_triggered(pit: Any) -> None:
    pit.wait("BUY", "STOP_MARKET", "31000", "7")
    pit.print(31_000)
    done = pit.engine.conditional(algo_id=1)
    assert (done.status, done.reason) == ("REJECTED", "Margin is insufficient.")
    assert pit.engine.all_orders("BTCUSDT") == []


def test_a_stop_that_may_only_reduce_takes_no_more_than_is_held(pit: Any) -> None:
    pit.place("BUY", "0.1")
    pit.wait("SELL", "STOP_MARKET", "29000", "0.3", reduce_only=True)
    pit.print(29_000)
    assert pit.position().amount_lots == 0
    assert statuses(pit) == ["FINISHED"]


@pytest.mark.parametrize(
    ("side", "prices", "trigger", "until"),
    [
        ("SELL", [30_100, 31_000, 30_690.1], None, 30_690),
        ("BUY", [29_900, 29_000, 29_289.9], None, 29_290),
        ("SELL", [29_000, 30_500, 31_000, 30_690.1], "30400", 30_690),
        ("BUY", [31_000, 29_500, 29_000, 29_289.9], "29600", 29_290),
    ],
)
def test_a_trailing_stop_follows_the_best_price_since_it_became_active(
    pit: Any, side: str, prices: list[float], trigger: str | None, until: float
) -> None:
    pit.wait(side, "TRAILING_STOP_MARKET", trigger, callback_rate=D(1))
    for price in prices:
        pit.print(price)
        assert statuses(pit) == ["NEW"]
    pit.print(until)
    assert statuses(pit) == ["FINISHED"]


def test_conditional_orders_and_others_are_served_in_order_of_arrival(pit: Any) -> None:
    pit.place("BUY", "0.001", price="29500", client_order_id="first")
    pit.wait("SELL", "STOP_MARKET", "29400", "0.002", client_algo_id="second")
    pit.place("BUY", "0.003", price="29500", client_order_id="third")
    pit.print(29_300)
    names = {each.order_id: each.client_order_id for each in pit.engine.all_orders("BTCUSDT")}
    assert [names[each.order_id] for each in pit.engine.my_trades("BTCUSDT")] == ["first", "second", "third"]


def test_conditional_orders_are_withdrawn_by_id_and_all_at_once(pit: Any) -> None:
    for _ in range(3):
        pit.wait("SELL", "STOP_MARKET", "29000")
    pit.engine.drain()
    assert pit.engine.cancel_conditional("BTCUSDT", pit.tick(), client_algo_id="a2").status == "CANCELED"
    (told,) = pit.engine.drain()
    assert isinstance(told, x.ConditionalChanged)
    assert told.conditional.status == "CANCELED"
    assert [each.algo_id for each in pit.engine.open_conditionals()] == [1, 3]
    assert len(pit.engine.cancel_all_conditionals("BTCUSDT", pit.tick())) == 2
    assert pit.engine.cancel_all_conditionals("BTCUSDT", pit.tick()) == []
    assert pit.refusal(pit.engine.cancel_conditional, "BTCUSDT", pit.tick(), 1) == (-2011, "Unknown order sent.")
    assert pit.refusal(pit.engine.conditional, "BTCUSDT", 9) == (-2013, "Order does not exist.")
    assert pit.refusal(pit.engine.conditional, "ETHUSDT", 1) == (-2013, "Order does not exist.")
    assert [each.algo_id for each in pit.engine.all_conditionals("BTCUSDT", from_algo_id=2, limit=1)] == [2]
    assert [each.algo_id for each in pit.engine.all_conditionals("BTCUSDT", limit=1)] == [3]


@pytest.mark.parametrize(
    ("terms", "refused"),
    [
        ({"trigger": "30000"}, (-2021, "Order would immediately trigger.")),
        ({"kind": "TAKE_PROFIT_MARKET", "trigger": "30000"}, (-2021, "Order would immediately trigger.")),
        ({"kind": "LIMIT"}, (-1116, "Invalid orderType.")),
        ({"quantity": "0"}, (-4003, "Quantity less than or equal to zero.")),
        ({"trigger": "29000.05"}, (-1111, "Precision is over the maximum defined for this asset.")),
        ({"close_position": True}, (-4137, "Quantity must be zero with closePosition equals true")),
        (
            {"kind": "STOP", "close_position": True, "quantity": "0"},
            (-4136, "Target strategy invalid for orderType STOP,closePosition true"),
        ),
        ({"kind": "TRAILING_STOP_MARKET"}, (-2007, "Invalid callBack rate")),
        ({"id": "XRPUSDT"}, (-1121, "Invalid symbol.")),
    ],
)
def test_refusals_are_worded_as_binance_words_them(pit: Any, terms: dict[str, Any], refused: tuple[int, str]) -> None:
    given = {"kind": "STOP_MARKET", "trigger": "29000", "quantity": "0.1"} | terms
    kind, trigger, quantity = (given.pop(name) for name in ("kind", "trigger", "quantity"))
    assert pit.refusal(pit.wait, "SELL", kind, trigger, quantity, **given) == refused


def test_a_client_id_a_second_close_and_one_too_many_are_refused(pit: Any) -> None:
    pit.wait("SELL", "STOP_MARKET", "29000", "0", close_position=True, client_algo_id="mine")
    taken = pit.refusal(pit.wait, "SELL", "STOP_MARKET", "29000", client_algo_id="mine")
    assert taken == (-4116, "ClientOrderId is duplicated.")
    assert pit.refusal(pit.wait, "SELL", "STOP_MARKET", "28000", "0", close_position=True)[0] == -4130
    assert pit.wait("BUY", "STOP_MARKET", "31000", "0", close_position=True).status == "NEW"
    for _ in range(x.MAX_NUM_CONDITIONALS - 2):
        pit.wait("SELL", "STOP_MARKET", "29000")
    assert pit.refusal(pit.wait, "SELL", "STOP_MARKET", "29000") == (-4045, "Reach max stop order limit.")
