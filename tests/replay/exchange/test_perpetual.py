"""Orders and positions of perpetuals: what is taken and refused, what a fill realises, what holding it costs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from replay.exchange import model as x

D = Decimal
ATOMS = 10**8
HOUR_MS = 3_600_000
POST_ONLY = (
    "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history"
)
FILL_OR_KILL = (
    "Due to the order could not be filled immediately, the FOK order has been rejected. "
    "The order will not be recorded in the order history"
)


def kinds(events: list[x.Event]) -> list[str]:
    return [event.kind if isinstance(event, x.Executed) else type(event).__name__ for event in events]


# --- positions and the wallet ---------------------------------------------------------------------------


def test_a_fill_moves_the_wallet_by_its_profit_and_its_commission_only(make_pit: Callable[..., Any]) -> None:
    pit = make_pit(taker_fee=D("0.0005"))
    pit.place("BUY")
    assert pit.usdt() == 10_000 - D("1.5")
    pit.print(31_000)
    assert pit.usdt() == 10_000 - D("1.5")
    assert pit.wallet().unrealized_atoms == 100 * ATOMS
    (trade,) = pit.place("SELL", "0.04").trades
    assert (trade.realized_atoms, trade.commission_atoms, trade.commission_asset) == (40 * ATOMS, 62_000_000, "USDT")
    assert pit.usdt() == 10_000 - D("1.5") + 40 - D("0.62")
    assert (pit.position().amount_lots, pit.position().cost_atoms) == (60, 1_800 * ATOMS)


def test_a_fill_through_zero_closes_what_was_held_and_opens_the_rest_at_its_price(pit: Any) -> None:
    pit.place("BUY")
    pit.print(29_000)
    (trade,) = pit.place("SELL", "0.3").trades
    held = pit.position()
    assert (trade.realized_atoms, held.amount_lots, held.cost_atoms) == (-100 * ATOMS, -200, -5_800 * ATOMS)
    assert held.unrealized_atoms == 0


def test_every_fill_is_told_with_the_wallet_and_the_position_after_it(pit: Any) -> None:
    pit.engine.drain()
    pit.place("BUY")
    pit.place("SELL", "0.1", price="31000")
    told = pit.print(31_000.1)
    assert kinds(told)[-3:] == ["TRADE", "PositionsChanged", "BookChanged"]
    trade, changed = told[-3:-1]
    assert isinstance(trade, x.Executed)
    assert isinstance(changed, x.PositionsChanged)
    assert trade.trade is not None
    assert trade.trade.realized_atoms == 100 * ATOMS
    assert trade.trade.is_maker
    assert changed.reason == "ORDER"
    assert [(each.id, each.amount_lots) for each in changed.positions] == [("BTCUSDT", 0)]
    assert [(each.asset, each.wallet_atoms) for each in changed.wallets] == [("USDT", 10_100 * ATOMS)]


def test_commission_may_be_paid_in_another_asset_of_the_wallet(make_pit: Callable[..., Any]) -> None:
    pit = make_pit(taker_fee=D("0.001"), fee_asset="ETH", balances={"USDT": D(10_000), "ETH": D("0.002")})
    assert [pit.place("BUY").trades[0].commission_asset for _ in range(2)] == ["ETH", "USDT"]
    assert {each.asset: each.wallet_atoms for each in pit.engine.wallets()} == {
        "USDT": 9_997 * ATOMS,
        "ETH": 50_000,
    }
    pit.engine.audit()


def test_incomes_are_listed_by_kind_time_and_number(make_pit: Callable[..., Any]) -> None:
    pit = make_pit(taker_fee=D("0.001"))
    pit.place("BUY")
    pit.print(31_000)
    pit.place("SELL")
    listed = pit.engine.income()
    assert [(each.transaction_id, each.kind, each.amount_atoms, each.trade_id) for each in listed] == [
        (1, "COMMISSION", -3 * ATOMS, 1),
        (2, "REALIZED_PNL", 100 * ATOMS, 2),
        (3, "COMMISSION", -310_000_000, 2),
    ]
    assert [each.transaction_id for each in pit.engine.income("COMMISSION", limit=1)] == [3]
    assert [each.transaction_id for each in pit.engine.income(start_ms=listed[0].time_ms, limit=2)] == [1, 2]
    assert pit.engine.income(end_ms=listed[0].time_ms) == listed[:1]
    assert pit.engine.income(market_id="ETHUSDT") == []


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "refused"),
    [
        ({"quantity": "0"}, (-4003, "Quantity less than or equal to zero.")),
        ({"quantity": "0.0001"}, (-1111, "Precision is over the maximum defined for this asset.")),
        ({"price": "-1"}, (-4001, "Price less than 0.")),
        ({"price": "29000.01"}, (-1111, "Precision is over the maximum defined for this asset.")),
        ({"price": "1e20"}, (-4002, "Price greater than max price.")),
        ({"quantity": "1e20"}, (-4005, "Quantity greater than max quantity.")),
        (
            {"price": "4999.9", "quantity": "0.001"},
            (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
        ),
        ({"id": "XRPUSDT"}, (-1121, "Invalid symbol.")),
        ({"quantity": "6.667"}, (-2019, "Margin is insufficient.")),
        ({"reduce_only": True}, (-2022, "ReduceOnly Order is rejected.")),
        (
            {"price": "30000", "time_in_force": "GTX"},
            (-5022, POST_ONLY),
        ),
        (
            {"price": "29999.9", "time_in_force": "FOK"},
            (-5021, FILL_OR_KILL),
        ),
        (
            {"type": "STOP_MARKET", "stop_price": D(31_000)},
            (
                -4120,
                "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
            ),
        ),
        (
            {"close_position": True, "quantity": "0"},
            (-4136, "Target strategy invalid for orderType MARKET,closePosition true"),
        ),
        ({"type": "LIQUIDATION"}, (-1116, "Invalid orderType.")),
    ],
)
def test_refusals_are_worded_as_binance_words_them(pit: Any, terms: dict[str, Any], refused: tuple[int, str]) -> None:
    if "price" in terms and "4999.9" in terms["price"]:
        pit.print(4_999.9)
    pit.engine.drain()
    assert pit.refusal(pit.place, "BUY", **terms) == refused
    assert pit.engine.drain() == []


def test_a_client_id_is_taken_only_while_its_order_is_open(pit: Any) -> None:
    pit.place("BUY", price="29000", client_order_id="mine")
    refused = pit.refusal(pit.place, "BUY", price="29000", client_order_id="mine")
    assert refused == (-4116, "ClientOrderId is duplicated.")
    pit.engine.cancel("BTCUSDT", pit.tick(), client_order_id="mine")
    assert pit.place("BUY", price="29000", client_order_id="mine").order_id == 2


def test_one_open_order_too_many_is_refused(pit: Any) -> None:
    for _ in range(x.MAX_NUM_ORDERS):
        pit.place("BUY", "0.001", price="6000")
    assert pit.refusal(pit.place, "BUY", "0.001", price="6000") == (-2025, "Reach max open order limit.")


def test_cancelling_nothing_is_no_error_but_cancelling_what_is_not_there_is(pit: Any) -> None:
    assert pit.engine.cancel_all("BTCUSDT", pit.tick()) == []
    assert pit.refusal(pit.engine.cancel, "BTCUSDT", pit.tick(), 7) == (-2011, "Unknown order sent.")


def test_post_only_rests_and_immediate_or_cancel_does_not(pit: Any) -> None:
    assert pit.place("BUY", price="29999.9", time_in_force="GTX").status == "NEW"
    assert pit.place("BUY", price="29999.9", time_in_force="IOC").status == "EXPIRED"
    assert pit.place("BUY", price="30000", time_in_force="FOK").status == "FILLED"


# --- reduce-only ------------------------------------------------------------------------------------------


def test_reduce_only_takes_no_more_than_is_held_and_ends_with_it(pit: Any) -> None:
    pit.place("BUY")
    order = pit.place("SELL", "0.25", reduce_only=True)
    assert (order.status, order.filled_lots, order.reduce_only) == ("EXPIRED", 100, True)
    assert pit.position().amount_lots == 0


def test_resting_reduce_only_orders_expire_when_the_position_is_gone(pit: Any) -> None:
    pit.place("BUY")
    resting = [pit.place("SELL", "0.06", price=price, reduce_only=True) for price in ("30100", "30200", "30300")]
    plain = pit.place("SELL", "0.06", price="30400")
    told = pit.print(30_350)
    assert kinds(told)[3:] == [
        "TRADE", "PositionsChanged", "TRADE", "PositionsChanged", "EXPIRED", "EXPIRED", "BookChanged",
    ]  # fmt: skip
    found = [pit.engine.order("BTCUSDT", each.order_id) for each in (*resting, plain)]
    assert [(each.status, each.filled_lots) for each in found] == [
        ("FILLED", 60), ("EXPIRED", 40), ("EXPIRED", 0), ("NEW", 0),
    ]  # fmt: skip


def test_reduce_only_needs_neither_margin_nor_size(pit: Any) -> None:
    pit.place("BUY", "6.6")
    assert pit.refusal(pit.place, "BUY", "0.1", price="29000") == (-2019, "Margin is insufficient.")
    assert pit.place("SELL", "6.6", price="31000", reduce_only=True).status == "NEW"
    pit.engine.cancel_all("BTCUSDT", pit.tick())
    pit.place("SELL", "6.599")
    pit.engine.change_filters("BTCUSDT", min_notional=D(1_000), now_ms=pit.tick())
    assert pit.refusal(pit.place, "SELL", "0.001")[0] == -4164
    assert pit.place("SELL", "0.001", reduce_only=True).status == "FILLED"


# --- amending ---------------------------------------------------------------------------------------------


def amend(pit: Any, order_id: int, quantity: str, price: str, side: str = "BUY") -> x.OrderView:
    changed: x.OrderView = pit.engine.amend(
        "BTCUSDT", pit.tick(), order_id, side=side, quantity=D(quantity), price=D(price)
    )
    return changed


def test_an_amended_order_keeps_its_ids_and_loses_its_place(pit: Any) -> None:
    first, second = (pit.place("BUY", price="29000") for _ in range(2))
    pit.engine.drain()
    amended = amend(pit, first.order_id, "0.2", "29000")
    assert (amended.order_id, amended.client_order_id, amended.quantity_lots) == (1, "c1", 200)
    assert kinds(pit.engine.drain()) == ["AMENDMENT", "BookChanged"]
    assert [each.order_id for each in pit.engine.history.open["BTCUSDT"].values()] == [second.order_id, 1]
    other = pit.make()
    other.load(pit.engine.dump())
    for engine in (pit.engine, other):
        engine.print_trade("BTCUSDT", 289_999, 1, pit.now_ms)
        assert [each.order_id for each in engine.my_trades("BTCUSDT")] == [second.order_id, 1]


def test_an_amended_order_needs_margin_in_place_of_what_it_had(pit: Any) -> None:
    order = pit.place("BUY", "10", price="20000")
    assert amend(pit, order.order_id, "5", "40000").status == "FILLED"
    order = pit.place("BUY", "10", price="5000")
    assert amend(pit, order.order_id, "9.9", "5050").status == "NEW"
    assert pit.refusal(amend, pit, order.order_id, "9.9", "5100") == (-2019, "Margin is insufficient.")


def test_an_order_amended_to_the_touch_fills_there(pit: Any) -> None:
    order = pit.place("BUY", price="29000")
    amended = amend(pit, order.order_id, "0.1", "30100")
    assert (amended.status, amended.trades[0].price_ticks, amended.trades[0].is_maker) == ("FILLED", 300_000, False)


def test_an_order_amended_below_what_it_filled_or_post_only_through_the_touch_is_withdrawn(pit: Any) -> None:
    pit.engine.portion = lambda lots: lots // 2
    order = pit.place("BUY", price="29000")
    pit.print(28_999)
    assert amend(pit, order.order_id, "0.05", "28900").status == "CANCELED"
    order = pit.place("BUY", price="28000", time_in_force="GTX")
    assert amend(pit, order.order_id, "0.1", "29000").status == "CANCELED"


def test_what_cannot_be_amended_is_refused_by_name(pit: Any) -> None:
    order = pit.place("BUY", price="29000")
    done = pit.place("BUY")
    size = "Order's notional must be no smaller than 5 (unless you choose reduce only)."
    wrong = [
        ((order.order_id, "0.1", "29000"), (-5027, "No need to modify the order.")),
        ((done.order_id, "0.1", "29000"), (-2013, "Order does not exist.")),
        ((order.order_id, "0.1", "29000.01"), (-1111, "Precision is over the maximum defined for this asset.")),
        ((order.order_id, "9", "29000"), (-2019, "Margin is insufficient.")),
        ((order.order_id, "0.001", "4000"), (-4164, size)),
        ((order.order_id, "0.1", "29000", "SELL"), (-2013, "Order does not exist.")),
    ]
    for terms, refused in wrong:
        assert pit.refusal(amend, pit, *terms) == refused
    pit.engine.set_trading("BTCUSDT", False, pit.tick())
    refused = pit.refusal(amend, pit, order.order_id, "0.2", "29000")
    assert refused == (-5024, "Symbol is not in trading status. Order amendment is not permitted.")


# --- funding and the mark ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "rate", "paid"), [("BUY", "0.0001", -3), ("SELL", "0.0001", 3), ("BUY", "-0.001", 30)]
)
def test_a_position_pays_its_value_at_the_mark_times_the_rate(pit: Any, side: str, rate: str, paid: int) -> None:
    pit.engine.set_funding_rate(D(rate), pit.tick())
    pit.place(side, "1")
    pit.engine.drain()
    pit.engine.settle_funding(pit.tick())
    assert pit.usdt() == 10_000 + paid
    (changed,) = pit.engine.drain()
    assert isinstance(changed, x.PositionsChanged)
    assert (changed.reason, [each.id for each in changed.positions]) == ("FUNDING_FEE", ["BTCUSDT"])
    (income,) = pit.engine.income("FUNDING_FEE")
    assert (income.amount_atoms, income.asset, income.id, income.trade_id) == (paid * ATOMS, "USDT", "BTCUSDT", 0)
    pit.place("BUY")
    told = pit.engine.drain()[-1]
    assert isinstance(told, x.PositionsChanged)
    assert told.reason == "ORDER"


def test_funding_is_settled_once_at_each_eighth_hour_before_what_else_happens_then(pit: Any) -> None:
    pit.place("BUY", "1")
    first_ms = pit.engine.next_funding_ms
    assert first_ms % (8 * HOUR_MS) == 0
    assert 0 < first_ms - pit.now_ms <= 8 * HOUR_MS
    pit.engine.advance(first_ms - 1)
    assert pit.engine.income("FUNDING_FEE") == []
    pit.engine.print_trade("BTCUSDT", 400_000, 1, first_ms)
    pit.engine.advance(first_ms)
    assert [(each.time_ms, each.amount_atoms) for each in pit.engine.income("FUNDING_FEE")] == [(first_ms, -3 * ATOMS)]
    pit.engine.advance(first_ms + 24 * HOUR_MS)
    assert [(each.time_ms, each.amount_atoms) for each in pit.engine.income("FUNDING_FEE")] == [
        (first_ms + hours * HOUR_MS, -paid * ATOMS) for hours, paid in ((0, 3), (8, 4), (16, 4), (24, 4))
    ]
    history = pit.engine.funding_history("BTCUSDT")
    assert [each.mark_ticks for each in history] == [300_000, 400_000, 400_000, 400_000]
    assert pit.engine.next_funding_ms == first_ms + 32 * HOUR_MS
    assert pit.engine.funding_history("BTCUSDT", start_ms=first_ms + 1, limit=1)[0].time_ms == first_ms + 8 * HOUR_MS


def test_nothing_flat_is_funded(pit: Any) -> None:
    pit.engine.settle_funding(pit.tick())
    assert pit.engine.income() == []
    assert len(pit.engine.funding_history("ETHUSDT")) == 1


def test_the_mark_is_the_last_price_until_it_is_set(pit: Any) -> None:
    pit.place("BUY")
    pit.engine.set_mark("BTCUSDT", 310_000, pit.tick())
    assert pit.engine.mark("BTCUSDT").mark_ticks == pit.engine.mark("BTCUSDT").index_ticks == 310_000
    assert pit.position().unrealized_atoms == 100 * ATOMS
    pit.print(29_000)
    assert pit.position().unrealized_atoms == 100 * ATOMS
    pit.engine.set_mark("BTCUSDT", None, pit.tick())
    assert pit.position().unrealized_atoms == -100 * ATOMS


def test_marks_are_told_once_a_second_to_whoever_watches_them(pit: Any) -> None:
    def told(events: list[x.Event]) -> list[int]:
        return [event.mark_ticks for event in events if isinstance(event, x.MarkPrice)]

    assert told(pit.print(30_001)) == []
    pit.engine.watch("BTCUSDT", True)
    assert told(pit.print(30_002)) == [300_020]
    pit.engine.print_trade("BTCUSDT", 300_030, 1, pit.now_ms + 10)
    assert told(pit.engine.drain()) == []
    pit.engine.advance(pit.tick())
    assert told(pit.engine.drain()) == [300_030]
    pit.engine.watch("BTCUSDT", False)
    assert told(pit.print(30_004)) == []


# --- markets that change ----------------------------------------------------------------------------------


def test_filters_change_for_new_orders_and_open_ones_stay(pit: Any) -> None:
    old = pit.place("BUY", price="29000.1")
    market = pit.engine.change_filters("BTCUSDT", D("0.5"), D("0.01"), D(100), now_ms=pit.tick())
    assert (market.tick_size, market.step_size, market.min_notional, market.tick) == (
        D("0.5"),
        D("0.01"),
        100,
        D("0.1"),
    )
    assert pit.refusal(pit.place, "BUY", price="29000.2") == (-4014, "Price not increased by tick size.")
    assert pit.refusal(pit.place, "BUY", "0.015", price="29000.5")[0] == -1111
    assert pit.refusal(pit.place, "BUY", "0.01", price="9999.5")[0] == -4164
    assert pit.place("BUY", "0.02", price="29000.5").price_ticks == 290_005
    assert pit.engine.order("BTCUSDT", old.order_id).status == "NEW"
    with pytest.raises(ValueError, match=r"tick: 0\.05 is no multiple of 0\.1"):
        pit.engine.change_filters("BTCUSDT", D("0.05"), now_ms=pit.tick())


def test_a_closed_market_expires_what_is_open_and_takes_nothing(pit: Any) -> None:
    pit.place("BUY", price="29000")
    pit.wait("BUY", "STOP_MARKET", "31000")
    pit.engine.drain()
    pit.engine.set_trading("BTCUSDT", False, pit.tick())
    assert kinds(pit.engine.drain()) == ["MarketChanged", "EXPIRED", "ConditionalChanged", "BookChanged"]
    refused = (-4108, "Symbol is on delivering or delivered or settling or closed or pre-trading.")
    assert pit.refusal(pit.place, "BUY") == refused
    assert pit.refusal(pit.wait, "BUY", "STOP_MARKET", "31000") == refused
    assert pit.print(28_000) == []
    assert pit.engine.last_ticks("BTCUSDT") == 300_000
    pit.engine.set_trading("BTCUSDT", True, pit.tick())
    assert pit.place("BUY").status == "FILLED"


# --- time -------------------------------------------------------------------------------------------------


def test_orders_are_withdrawn_when_the_countdown_is_not_renewed(pit: Any) -> None:
    pit.place("BUY", price="29000")
    pit.place("BUY", price="1900", quantity="0.1", id="ETHUSDT")
    pit.engine.arm_countdown("BTCUSDT", 10_000, pit.now_ms)
    pit.engine.advance(pit.now_ms + 9_999)
    assert pit.engine.next_due_ms() == pit.now_ms + 10_000
    pit.engine.arm_countdown("BTCUSDT", 10_000, pit.now_ms + 9_999)
    pit.engine.advance(pit.now_ms + 19_998)
    assert len(pit.engine.open_orders("BTCUSDT")) == 1
    pit.engine.drain()
    pit.engine.advance(pit.now_ms + 19_999)
    assert [each.status for each in pit.engine.all_orders("BTCUSDT")] == ["CANCELED"]
    assert len(pit.engine.open_orders("ETHUSDT")) == 1


def test_a_countdown_can_be_disarmed(pit: Any) -> None:
    pit.place("BUY", price="29000")
    pit.engine.arm_countdown("BTCUSDT", 10_000, pit.now_ms)
    pit.engine.arm_countdown("BTCUSDT", 0, pit.now_ms)
    pit.engine.advance(pit.now_ms + 60_000)
    assert len(pit.engine.open_orders("BTCUSDT")) == 1
