"""What positions must have behind them: initial margin, leverage, margin type, liquidation."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from replay.exchange import model as x

D = Decimal
ATOMS = 10**8
POOR = (-2019, "Margin is insufficient.")


def kinds(events: list[x.Event]) -> list[str]:
    return [event.kind if isinstance(event, x.Executed) else type(event).__name__ for event in events]


# --- initial margin ---------------------------------------------------------------------------------------


def test_a_position_takes_its_value_over_the_leverage(pit: Any) -> None:
    pit.place("BUY", "1")
    wallet = pit.wallet()
    assert (wallet.position_margin_atoms, wallet.order_margin_atoms) == (1_500 * ATOMS, 0)
    assert wallet.available_atoms == 8_500 * ATOMS
    pit.print(31_000)
    wallet = pit.wallet()
    assert wallet.position_margin_atoms == 1_550 * ATOMS
    assert wallet.available_atoms == (10_000 + 1_000 - 1_550) * ATOMS
    assert pit.position().initial_margin_atoms == 1_550 * ATOMS


def test_open_orders_take_what_the_larger_position_they_can_lead_to_would(pit: Any) -> None:
    pit.place("BUY", "1")
    pit.place("SELL", "2", price="31000")
    assert pit.wallet().order_margin_atoms == (62_000 - 30_000 - 30_000) * ATOMS // 20
    pit.place("BUY", "1", price="29000")
    assert pit.wallet().order_margin_atoms == 29_000 * ATOMS // 20
    assert pit.position().order_margin_atoms == 29_000 * ATOMS // 20
    pit.place("SELL", "1", price="31000", reduce_only=True)
    assert pit.wallet().order_margin_atoms == 29_000 * ATOMS // 20


@pytest.mark.parametrize(("terms", "most"), [({}, "6.666"), ({"price": "20000"}, "10")])
def test_the_largest_order_is_the_one_the_wallet_has_margin_for(pit: Any, terms: dict[str, str], most: str) -> None:
    assert pit.refusal(pit.place, "BUY", str(D(most) + D("0.001")), **terms) == POOR
    assert pit.place("BUY", most, **terms).order_id == 1
    assert pit.refusal(pit.place, "BUY", "0.05", price="20000") == POOR


def test_what_makes_nothing_larger_is_taken_without_margin(pit: Any) -> None:
    pit.place("BUY", "6.666")
    pit.print(29_000)
    assert pit.wallet().available_atoms == 0
    assert pit.place("SELL", "6.666", price="29500").status == "NEW"
    assert pit.refusal(pit.place, "SELL", "7", price="29500") == POOR


def test_margin_of_one_market_is_not_there_for_another(pit: Any) -> None:
    pit.place("BUY", "6")
    assert pit.refusal(pit.place, "BUY", "10.001", id="ETHUSDT") == POOR
    assert pit.place("BUY", "10", id="ETHUSDT").status == "FILLED"


# --- leverage and margin type -----------------------------------------------------------------------------


def test_leverage_counts_for_what_is_held_too(pit: Any) -> None:
    pit.place("BUY", "1")
    pit.engine.drain()
    assert pit.engine.set_leverage("BTCUSDT", 10, pit.tick()) == 10
    assert pit.engine.drain() == [x.LeverageChanged("BTCUSDT", 10, pit.now_ms)]
    assert pit.wallet().position_margin_atoms == 3_000 * ATOMS
    assert pit.position().leverage == 10
    refused = pit.refusal(pit.engine.set_leverage, "BTCUSDT", 2, pit.tick())
    assert refused == (-2028, "Leverage is smaller than permitted: insufficient margin balance.")
    assert pit.engine.set_leverage("BTCUSDT", 3, pit.tick()) == 3
    assert pit.engine.set_leverage("BTCUSDT", 3, pit.tick()) == 3
    assert pit.position("ETHUSDT").leverage == 20


@pytest.mark.parametrize("leverage", [0, 126])
def test_leverage_has_bounds(pit: Any, leverage: int) -> None:
    refused = pit.refusal(pit.engine.set_leverage, "BTCUSDT", leverage, pit.tick())
    assert refused == (-4028, f"Leverage {leverage} is not valid")


def test_margin_type_changes_only_where_nothing_is_open_or_held(pit: Any) -> None:
    ask = pit.engine.set_margin_type
    assert pit.refusal(ask, "BTCUSDT", False, pit.tick()) == (-4046, "No need to change margin type.")
    order = pit.place("BUY", price="29000")
    there_are_orders = (-4047, "Margin type cannot be changed if there exists open orders.")
    assert pit.refusal(ask, "BTCUSDT", True, pit.tick()) == there_are_orders
    pit.engine.cancel("BTCUSDT", pit.tick(), order.order_id)
    pit.wait("BUY", "STOP_MARKET", "31000")
    assert pit.refusal(ask, "BTCUSDT", True, pit.tick()) == there_are_orders
    pit.engine.cancel_all_conditionals("BTCUSDT", pit.tick())
    pit.place("BUY")
    assert pit.refusal(ask, "BTCUSDT", True, pit.tick()) == (
        -4048, "Margin type cannot be changed if there exists position.",
    )  # fmt: skip
    pit.place("SELL")
    assert ask("BTCUSDT", True, pit.tick()).isolated
    assert not pit.position("ETHUSDT").isolated


def test_hedge_mode_is_entered_with_nothing_open_and_takes_no_order(pit: Any) -> None:
    ask = pit.engine.set_position_mode
    assert pit.refusal(ask, False, pit.tick()) == (-4059, "No need to change position side.")
    order = pit.place("BUY", price="29000")
    assert pit.refusal(ask, True, pit.tick())[0] == -4067
    pit.engine.cancel("BTCUSDT", pit.tick(), order.order_id)
    pit.place("BUY")
    assert pit.refusal(ask, True, pit.tick())[0] == -4068
    pit.place("SELL")
    ask(True, pit.tick())
    unmatched = (-4061, "Order's position side does not match user's setting.")
    assert pit.refusal(pit.place, "BUY") == unmatched
    assert pit.refusal(pit.wait, "BUY", "STOP_MARKET", "31000") == unmatched


# --- isolated margin --------------------------------------------------------------------------------------


def test_an_isolated_position_has_its_margin_set_aside_and_gives_it_back_in_proportion(pit: Any) -> None:
    pit.engine.set_margin_type("BTCUSDT", True, pit.tick())
    pit.place("BUY", "1")
    assert pit.position().isolated_atoms == 1_500 * ATOMS
    pit.print(31_000)
    assert pit.wallet().available_atoms == 8_500 * ATOMS
    assert pit.wallet().cross_wallet_atoms == 8_500 * ATOMS
    pit.place("SELL", "0.25")
    assert pit.position().isolated_atoms == 1_125 * ATOMS
    assert pit.wallet().cross_wallet_atoms == (8_500 + 375 + 250) * ATOMS
    pit.place("SELL", "1.75")
    assert pit.position().isolated_atoms == 31_000 * ATOMS // 20
    pit.place("BUY", "1")
    assert (pit.position().isolated_atoms, pit.usdt()) == (0, 11_000)


def test_funding_of_an_isolated_position_is_taken_from_what_is_set_aside(pit: Any) -> None:
    pit.engine.set_margin_type("BTCUSDT", True, pit.tick())
    pit.place("BUY", "1")
    pit.engine.settle_funding(pit.tick())
    assert pit.position().isolated_atoms == 1_497 * ATOMS
    assert pit.wallet().cross_wallet_atoms == 8_500 * ATOMS


def test_leverage_of_an_isolated_position_is_not_reduced(pit: Any) -> None:
    pit.engine.set_margin_type("BTCUSDT", True, pit.tick())
    pit.place("BUY", "1")
    refused = pit.refusal(pit.engine.set_leverage, "BTCUSDT", 10, pit.tick())
    assert refused == (
        -4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
    )  # fmt: skip


def test_an_order_whose_margin_is_gone_when_it_fills_expires(pit: Any) -> None:
    pit.engine.set_margin_type("BTCUSDT", True, pit.tick())
    order = pit.place("BUY", "6", price="29000")
    pit.place("BUY", "6", id="ETHUSDT")
    pit.print(1_000, market="ETHUSDT")
    pit.place("SELL", "6", id="ETHUSDT")
    assert pit.usdt() == 4_000
    (said,) = [each for each in pit.print(28_999) if isinstance(each, x.Executed)]
    assert (said.kind, said.order.order_id, said.reject_reason) == ("EXPIRED", order.order_id, "INSUFFICIENT_BALANCE")


# --- liquidation ------------------------------------------------------------------------------------------


def test_a_position_is_liquidated_at_the_mark_that_was_told_and_not_before(make_pit: Callable[..., Any]) -> None:
    for side, step in (("BUY", -1), ("SELL", 1)):
        pit = make_pit(taker_fee=D("0.0005"))
        pit.place(side, "6")
        price = pit.position().liquidation_ticks
        pit.engine.print_trade("BTCUSDT", price - step, 1, pit.tick())
        assert abs(pit.position().amount_lots) == 6_000
        pit.engine.drain()
        pit.engine.print_trade("BTCUSDT", price, 1, pit.tick())
        assert pit.position().amount_lots == 0
        assert kinds(pit.engine.drain())[-3:] == ["NEW", "CALCULATED", "PositionsChanged"]
        order = pit.engine.all_orders("BTCUSDT")[-1]
        assert order.client_order_id.startswith("autoclose-")
        assert (order.type, order.status) == ("LIQUIDATION", "FILLED")
        assert (order.price_ticks, order.filled_lots) == (price, 6_000)
        assert 0 < pit.usdt() < 1_000
        pit.engine.audit()


@pytest.mark.parametrize(("side", "step"), [("BUY", -1), ("SELL", 1)])
@pytest.mark.parametrize("isolated", [False, True])
def test_the_price_of_liquidation_takes_other_positions_into_account(
    pit: Any, side: str, step: int, isolated: bool
) -> None:
    pit.place("BUY", "20", id="ETHUSDT")
    pit.print(1_900, market="ETHUSDT")
    if isolated:
        pit.engine.set_margin_type("BTCUSDT", True, pit.tick())
    pit.place(side, "3")
    price = pit.position().liquidation_ticks
    pit.engine.print_trade("BTCUSDT", price - step, 1, pit.tick())
    assert abs(pit.position().amount_lots) == 3_000
    pit.engine.print_trade("BTCUSDT", price, 1, pit.tick())
    assert pit.position().amount_lots == 0
    assert pit.position("ETHUSDT").amount_lots == (20_000 if isolated else 0)


def test_liquidation_withdraws_everything_that_shares_the_margin(pit: Any) -> None:
    pit.place("BUY", "6")
    pit.place("BUY", "1", price="1500", id="ETHUSDT")
    pit.wait("SELL", "STOP_MARKET", "20000", reduce_only=True)
    pit.print(28_000)
    assert pit.engine.open_orders() == []
    assert pit.engine.open_conditionals() == []
    assert pit.engine.conditional("BTCUSDT", 1).status == "EXPIRED"


def test_the_insurance_fund_pays_what_the_wallet_cannot(pit: Any) -> None:
    pit.place("BUY", "6")
    told = pit.print(25_000)
    assert pit.usdt() == 0
    last = told[-1]
    assert isinstance(last, x.PositionsChanged)
    assert last.reason == "INSURANCE_CLEAR"
    assert [each.amount_atoms for each in pit.engine.income("INSURANCE_CLEAR")] == [20_000 * ATOMS]
    pit.engine.audit()


def test_an_isolated_position_loses_what_is_set_aside_for_it_and_no_more(pit: Any) -> None:
    pit.engine.set_margin_type("BTCUSDT", True, pit.tick())
    pit.place("BUY", "1")
    pit.place("BUY", "1", id="ETHUSDT")
    pit.place("BUY", "1", price="1500", id="ETHUSDT")
    pit.place("BUY", "0.1", price="20000")
    pit.print(28_000)
    assert pit.usdt() == 8_500
    assert [each.amount_atoms for each in pit.engine.income("INSURANCE_CLEAR")] == [500 * ATOMS]
    assert [each.id for each in pit.engine.open_orders()] == ["ETHUSDT"]
    assert pit.position("ETHUSDT").amount_lots == 1_000
    pit.engine.audit()


def test_profit_of_one_position_keeps_another_alive(pit: Any) -> None:
    pit.place("SELL", "50", id="ETHUSDT")
    pit.place("BUY", "3")
    pit.print(1_800, market="ETHUSDT")
    pit.print(25_000)
    assert pit.position().amount_lots == 3_000
    pit.print(2_000, market="ETHUSDT")
    assert pit.position().amount_lots == 0
    assert pit.position("ETHUSDT").amount_lots == 0


def test_a_mark_set_by_hand_liquidates_where_the_price_does_not(pit: Any) -> None:
    pit.place("BUY", "6")
    pit.engine.set_mark("BTCUSDT", 280_000, pit.tick())
    assert pit.position().amount_lots == 0
    (trade,) = pit.engine.my_trades("BTCUSDT")[1:]
    assert trade.price_ticks == 280_000


# --- what is warned of, and what a closed market leaves -------------------------------------------------


def calls(told: list[x.Event]) -> list[tuple[tuple[str, ...], int | None]]:
    found = [each for each in told if isinstance(each, x.MarginCalled)]
    return [(tuple(position.id for position in each.positions), each.cross_atoms) for each in found]


def test_a_margin_that_is_nearly_used_up_is_called_once_until_there_is_enough_again(pit: Any) -> None:
    pit.place("BUY", "6")
    once = [(("BTCUSDT",), 10_000 * ATOMS)]
    assert calls(pit.print(28_480)) == [], "maintenance takes 78% of the margin"
    assert calls(pit.print(28_470)) == once, "83%"
    assert calls(pit.print(28_465)) == []
    assert calls(pit.print(29_000)) == []
    assert calls(pit.print(28_470)) == once
    assert pit.position().amount_lots == 6_000


def test_a_fall_that_liquidates_at_once_is_called_first(pit: Any) -> None:
    pit.engine.set_margin_type("BTCUSDT", True, pit.tick())
    pit.place("BUY", "1")
    told = pit.print(28_000)
    (called,) = [index for index, each in enumerate(told) if isinstance(each, x.MarginCalled)]
    (forced,) = [i for i, each in enumerate(told) if isinstance(each, x.Executed) and each.kind == "CALCULATED"]
    assert called < forced
    assert calls(told) == [(("BTCUSDT",), None)]


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize(("side", "profit"), [("BUY", 100), ("SELL", -100)])
def test_a_closed_market_settles_what_is_held_at_the_mark(
    make_pit: Any, isolated: bool, side: str, profit: int
) -> None:
    pit = make_pit(taker_fee=Decimal("0.001"))
    if isolated:
        pit.engine.set_margin_type("BTCUSDT", True, pit.tick())
    pit.place(side)
    pit.place("BUY", price="29000")
    pit.place("BUY", "1", id="ETHUSDT")
    pit.engine.set_mark("BTCUSDT", 310_000, pit.tick())
    pit.engine.drain()
    pit.engine.set_trading("BTCUSDT", False, pit.tick())
    told = [each for each in pit.engine.drain() if isinstance(each, x.Executed)]
    assert [each.kind for each in told] == ["EXPIRED", "NEW", "CALCULATED"]
    order, trade = told[-1].order, told[-1].trade
    assert trade is not None
    assert order.client_order_id.startswith("settlement_autoclose-")
    assert (order.type, order.status, trade.price_ticks, trade.realized_atoms) == (
        "MARKET", "FILLED", 310_000, profit * ATOMS,
    )  # fmt: skip
    assert (pit.position().amount_lots, pit.position("ETHUSDT").amount_lots) == (0, 1_000)
    assert pit.usdt() == 10_000 + profit - Decimal(3) - Decimal("3.1") - 2
    assert pit.wallet().cross_wallet_atoms == pit.wallet().wallet_atoms
    pit.engine.audit()
    again = pit.make()
    for operation in pit.operations:
        again.apply(operation)
    assert again.dump() == pit.engine.dump()
