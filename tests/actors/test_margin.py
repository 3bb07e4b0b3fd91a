"""The rules of margin, against the examples Binance publishes and against a plain search."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.instrument import Instrument, InstrumentSpec, to_atoms
from actors.margin import Tiers, initial_margin, is_beyond, isolated_change, open_loss, share_of
from actors.messages import BUY, SELL
from config.margin import BTCUSDT_TIERS

D = Decimal
UNIT = 10**8

BTC_TIERS = Tiers((row.above, row.leverage, row.rate) for row in BTCUSDT_TIERS)
ETH_TIERS = Tiers(
    [
        (0, 100, D("0.005")),
        (10_000, 75, D("0.0065")),
        (100_000, 50, D("0.01")),
        (500_000, 25, D("0.02")),
        (1_000_000, 10, D("0.05")),
        (2_000_000, 5, D("0.1")),
        (5_000_000, 4, D("0.125")),
    ]
)
"""Of ETHUSDT when Binance's example of two contracts was written: its maintenance amount of 135,365 is theirs."""


def instrument(tick: str = "0.01", lot: str = "0.001") -> Instrument:
    return Instrument(InstrumentSpec(symbol="X", tick=D(tick), lot=D(lot), contract=True))


# --- Binance, "Leverage and Margin of USDⓈ-M Futures" and "How to Calculate Liquidation Price ..." ----------


def test_the_maintenance_amounts_are_the_published_ones() -> None:
    """As it says: 250,000 * (1% - 0.5%) + 50 USDT = 1,300 USDT."""
    assert [tier.amount / UNIT for tier in BTC_TIERS.rows[:4]] == [0, 50, 1_300, 16_300]
    assert ETH_TIERS.rows[5].amount == 135_365 * UNIT


@pytest.mark.parametrize(
    ("value", "margin"),
    [
        (50_000, 200),
        (264_000, 1_340),
        (500_000, 3_700),
        (1_000_000, 8_700),
        (600_000_000, 300_000_000 - 100_016_300),
    ],
)
def test_maintenance_margin_is_rate_less_amount(value: int, margin: int) -> None:
    """As it says: of a position of 264,000 USDT the rate is 1%, of 500,000 the amount is 1,300 USDT."""
    assert BTC_TIERS.maintenance_atoms(value * UNIT) == margin * UNIT


def test_the_maintenance_margins_of_the_published_example() -> None:
    """BTCUSDT 3500032.458 * 2.5% - 16300 = 71200.81144; ETHUSDT 4918775.081 * 10% - 135365 = 356512.508."""
    assert BTC_TIERS.maintenance_atoms(to_atoms(D("3500032.458"))) == to_atoms(D("71200.81145"))
    assert ETH_TIERS.maintenance_atoms(to_atoms(D("4918775.081"))) == to_atoms(D("356512.5081"))


WALLET = to_atoms(D("1535443.01"))
BTC = {"quantity": 109_488, "entry": 3_248_198, "mark": 3_196_727, "tiers": BTC_TIERS}
ETH = {"quantity": 3_683_979, "entry": 145_684, "mark": 133_518, "tiers": ETH_TIERS}


def figures(held: Any) -> tuple[int, int, int]:
    """Return (cost, unrealised profit, maintenance margin) in atoms."""
    cost, value = (instrument().value_atoms(held[name], held["quantity"]) for name in ("entry", "mark"))
    return cost, value - cost, held["tiers"].maintenance_atoms(value)


def published(held: Any, wallet: int, unrealized: int = 0, maintenance: int = 0) -> Fraction:
    """Return (WB - TMM1 + UPNL1 + cum - side x size x entry) / (size x rate - side x size), as it is published."""
    rate, amount = (Fraction("0.025"), 16_300 * UNIT) if held is BTC else (Fraction("0.1"), 135_365 * UNIT)
    cost, _, _ = figures(held)
    size = Fraction(held["quantity"], 1_000)
    return (wallet - maintenance + unrealized + amount - cost) / (size * rate - size) / UNIT


@pytest.mark.parametrize(("held", "other", "price"), [(ETH, BTC, "1153.26"), (BTC, ETH, "26316.89")])
def test_the_liquidation_prices_of_two_contracts_that_share_a_wallet(held: Any, other: Any, price: str) -> None:
    """Wallet 1,535,443.01; BTCUSDT 109.488 at 32,481.98, ETHUSDT 3,683.979 at 1,456.84: 26,316.89 and 1,153.26."""
    cost, _, _ = figures(held)
    _, unrealized, maintenance = figures(other)
    exact = published(held, WALLET, unrealized, maintenance)
    assert round(exact, 2) == Fraction(price)
    margin = WALLET + unrealized - maintenance
    assert held["tiers"].liquidation_ticks(instrument(), held["quantity"], cost, margin) == floor(exact * 100)


@pytest.mark.parametrize(("held", "price"), [(ETH, "1114.78"), (BTC, "18778.73")])
def test_an_isolated_position_is_liquidated_by_its_own_margin_alone(held: Any, price: str) -> None:
    """The same formula with TMM = UPNL = 0, as Binance has it for isolated margin."""
    cost, _, _ = figures(held)
    exact = published(held, WALLET)
    assert round(exact, 2) == Fraction(price)
    assert held["tiers"].liquidation_ticks(instrument(), held["quantity"], cost, WALLET) == floor(exact * 100)


# --- Binance, "How to Calculate the Margin Requirement on Binance Futures Trading" ---------------------------


def test_the_published_example_of_a_margin_requirement() -> None:
    """Long 0.5 BTC, mark 20,000; buy 0.1 at 19,000 and sell 0.1 at 22,000 open; leverage 2: 5,950 USDT."""
    margin = initial_margin(10_000 * UNIT, 1_900 * UNIT, 2_200 * UNIT, 2)
    assert margin.position_atoms + margin.order_atoms == 5_950 * UNIT
    assert margin.worst_atoms == 11_900 * UNIT


def test_orders_that_turn_a_position_over_take_what_the_larger_end_takes() -> None:
    """max(abs(position + buys), abs(position - sells)) / leverage."""
    assert initial_margin(-10_000 * UNIT, 15_000 * UNIT, 0, 1)[:2] == (10_000 * UNIT, 0)
    assert initial_margin(-10_000 * UNIT, 25_000 * UNIT, 0, 1)[:2] == (10_000 * UNIT, 5_000 * UNIT)


def test_initial_margin_is_rounded_up() -> None:
    assert share_of(10, 3) == 4
    assert initial_margin(-10, 0, 1, 3)[:2] == (4, 0)


# --- Binance, "How to Calculate Cost Required to Open a Position in Perpetual Futures Contracts" -------------


@pytest.mark.parametrize(("side", "loss"), [(BUY, "0"), (SELL, "6.54")])
def test_the_published_example_of_the_cost_of_an_order(side: int, loss: str) -> None:
    """1 BTC at 9,253.30, mark 9,259.84, leverage 20: 462.66 for a long; a short costs its open loss of 6.54 too."""
    contract = instrument()
    value = contract.value_atoms(925_330, 1_000)
    margin = initial_margin(0, value if side == BUY else 0, value if side == SELL else 0, 20)
    assert margin.order_atoms == to_atoms(D("462.665"))
    assert open_loss(contract, side, 925_330, 925_984, 1_000) == to_atoms(D(loss))


# --- isolated margin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "side", "lots", "change"),
    [
        (10, BUY, 10, (500, 0)),
        (10, SELL, 4, (0, 320)),
        (10, SELL, 10, (0, 801)),
        (-10, BUY, 14, (200, 801)),
    ],
)
def test_what_is_set_aside_grows_with_what_is_opened_and_returns_in_proportion(
    held: int, side: int, lots: int, change: tuple[int, int]
) -> None:
    contract = instrument("0.0001", "0.0001")
    assert contract.value_atoms(1_000, 10) == 10_000
    assert isolated_change(contract, held, 801, side, 1_000, lots, 20) == change


# --- the price of liquidation, against a search -------------------------------------------------------------


def make_tiers(steps: list[tuple[int, int]]) -> Tiers:
    floors, rates = (list(accumulate(column)) for column in zip(*[(0, 1), *steps], strict=True))
    return Tiers((above, 100 - index, D(rates[index]) / 200) for index, above in enumerate(floors))


tiers = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 30)), max_size=4).map(make_tiers)


@given(
    tiers,
    st.sampled_from([("1", "1"), ("0.01", "0.001"), ("0.00003", "0.0007"), ("0.0001", "0.00007")]),
    st.integers(-400, 400).filter(bool),
    st.integers(1, 3_000),
    st.integers(-200, 1_200),
)
def test_the_price_of_liquidation_is_the_first_at_which_the_margin_is_used_up(
    rates: Tiers, units: tuple[str, str], lots: int, entry: int, permille: int
) -> None:
    contract = instrument(*units)
    cost = contract.value_atoms(entry, lots)
    margin = abs(cost) * permille // 1_000
    found = rates.liquidation_ticks(contract, lots, cost, margin)

    def used_up(ticks: int) -> bool:
        value = contract.value_atoms(ticks, lots)
        return margin + value - cost <= rates.maintenance_atoms(abs(value))

    side = BUY if lots > 0 else SELL
    assert all(used_up(ticks) == is_beyond(side, found, ticks) for ticks in range(1, 12_000, 7))
    assert found == 0 or used_up(found)
    assert lots < 0 or not used_up(found + 1)
    assert lots > 0 or found == 1 or not used_up(found - 1)


@given(tiers, st.integers(0, 10**12))
def test_maintenance_margin_never_jumps(rates: Tiers, value: int) -> None:
    steps = [rates.maintenance_atoms(value + more) - rates.maintenance_atoms(value) for more in (1, 1_000)]
    assert 0 <= steps[0] <= 1
    assert 0 <= steps[1] <= 1_000
    plain = max(value * tier.rate - tier.amount for tier in rates.rows)
    assert abs(rates.maintenance_atoms(value) - plain) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("leverage", "most"), [(125, 50_000), (101, 50_000), (100, 250_000), (20, 10_000_000), (6, 20_000_000), (1, None)]
)
def test_the_leverage_bounds_what_may_be_held(leverage: int, most: int | None) -> None:
    assert BTC_TIERS.most_atoms(leverage) == (None if most is None else most * UNIT)


def test_a_leverage_beyond_the_first_tier_holds_nothing() -> None:
    assert BTC_TIERS.most_atoms(126) == 0
