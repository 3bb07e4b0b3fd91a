"""From the venue's strings to whole units: exactly, or not at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.instrument import ATOM, Instrument, InstrumentSpec
from actors.messages import BalanceReported, MarginReported, PositionMargin
from daemon.edges.venue.reports import (
    OffGridError,
    UnknownFeeError,
    balance_reports,
    count,
    decimal,
    exact,
    margin_report,
    order_report,
    position_margin,
    trade_report,
)

INSTRUMENT = Instrument(
    InstrumentSpec(symbol="BTC/USDT", tick=Decimal("0.01"), lot=ATOM, step=Decimal("0.00001"), base="BTC", quote="USDT")
)
TRADE: dict[str, Any] = {
    "id": "77",
    "order": "5",
    "side": "sell",
    "price": "65000.01000000",
    "amount": "0.00010000",
    "fee": {"cost": "0.00650000", "currency": "USDT"},
    "takerOrMaker": "maker",
    "timestamp": 1_700_000_000_123,
}


@given(st.integers(1, 10**15), st.sampled_from(["0.01", "0.00000001", "0.5", "1", "10", "0.001"]))
def test_a_whole_number_of_units_survives_the_trip(units: int, unit: str) -> None:
    text = exact(units * Decimal(unit))

    assert "E" not in text.upper()
    assert count(text, Decimal(unit), "it") == units


@given(st.integers(1, 10**12))
def test_half_a_unit_is_an_error(units: int) -> None:
    with pytest.raises(OffGridError, match="no whole number"):
        count(exact(units * ATOM + ATOM / 2), ATOM, "it")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "many", "", "1,5"])
def test_what_is_no_number_is_an_error(value: str) -> None:
    with pytest.raises(OffGridError, match="no number"):
        decimal(value)


def test_no_value_is_an_error_where_one_is_needed() -> None:
    with pytest.raises(OffGridError, match="does not say"):
        count(None, ATOM, "the price")


def test_an_execution_in_whole_units() -> None:
    report = trade_report(TRADE, "pb1", INSTRUMENT)

    assert report.trade_id == 77
    assert (report.side, report.price_ticks, report.quantity_lots) == (-1, 6_500_001, 10_000)
    assert (report.fee_asset, report.fee_atoms, report.liquidity) == ("USDT", 650_000, "maker")
    assert report.executed_ns == 1_700_000_000_123_000_000


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"price": "65000.015"}, OffGridError),
        ({"amount": "0.000000001"}, OffGridError),
        ({"price": None}, OffGridError),
        ({"amount": "NaN"}, OffGridError),
        ({"id": "a-b-c"}, OffGridError),
        ({"id": None}, OffGridError),
        ({"side": None}, OffGridError),
        ({"timestamp": None}, OffGridError),
        ({"fee": {"cost": "0.000000001", "currency": "USDT"}}, OffGridError),
        ({"fee": None}, UnknownFeeError),
        ({"fee": {"cost": None, "currency": None}}, UnknownFeeError),
        ({"fee": {"cost": "0.1", "currency": None}}, UnknownFeeError),
    ],
)
def test_an_execution_that_cannot_be_is_an_error(change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        trade_report({**TRADE, **change}, "pb1", INSTRUMENT)


def test_a_fee_of_nothing_needs_no_asset() -> None:
    report = trade_report({**TRADE, "fee": {"cost": "0", "currency": None}}, "pb1", INSTRUMENT)

    assert (report.fee_asset, report.fee_atoms) == ("USDT", 0)


def test_a_rebate_is_negative() -> None:
    report = trade_report({**TRADE, "fee": {"cost": "-0.0065", "currency": "USDT"}}, "pb1", INSTRUMENT)

    assert report.fee_atoms == -650_000


@pytest.mark.parametrize(
    ("row", "state", "lots"),
    [
        ({"id": "5", "status": "open", "filled": "0.00000000"}, "open", 0),
        ({"id": "5", "status": None, "filled": None}, "open", 0),
        ({"id": "5", "status": "closed", "filled": "0.001", "amount": "0.00100000"}, "filled", 100_000),
        ({"id": "5", "status": "closed", "filled": "0.0004", "amount": "0.001"}, "cancelled", 40_000),
        ({"id": "5", "status": "canceled", "filled": "0.0004", "amount": "0.001"}, "cancelled", 40_000),
        ({"id": "5", "status": "expired", "filled": "0"}, "expired", 0),
        ({"id": "5", "status": "rejected", "filled": None}, "rejected", 0),
    ],
)
def test_states_of_an_order(row: dict[str, Any], state: str, lots: int) -> None:
    report = order_report(row, "pb1", INSTRUMENT, "why")

    assert (report.order_id, report.venue_order_id, report.state) == ("pb1", "5", state)
    assert (report.filled_lots, report.reason) == (lots, "why")


def test_a_state_nobody_knows_is_an_error() -> None:
    with pytest.raises(OffGridError, match="half-open"):
        order_report({"id": "5", "status": "half-open", "filled": "0"}, "pb1", INSTRUMENT)


def test_balances_never_claim_more_than_there_is() -> None:
    balances = {"total": {"USDT": "10.5", "ETH": "0.1234567891", "DUST": "0", "NONE": None, "BTC": "0.00000001"}}

    assert balance_reports(balances) == (
        BalanceReported("BTC", 1),
        BalanceReported("ETH", 12_345_678),
        BalanceReported("USDT", 1_050_000_000),
    )


WALLET = {
    "asset": "USDT",
    "walletBalance": "99.123456789",
    "marginBalance": "98",
    "initialMargin": "5",
    "maintMargin": "0.4",
    "availableBalance": "93",
}
RISK = {
    "entryPrice": "100.5",
    "markPrice": "99",
    "liquidationPrice": "0",
    "positionInitialMargin": "5",
    "maintMargin": "0.4",
    "isolatedWallet": "0",
}


def test_margin_is_told_as_the_venue_tells_it() -> None:
    held = position_margin(RISK, "X", -3)
    assert held == PositionMargin("X", -3, 100.5, 99.0, 0.0, 500_000_000, 40_000_000, 0)
    told = margin_report({"info": {"assets": [{"asset": "BNB"}, WALLET]}}, "USDT", (held,))
    assert told == MarginReported(9_912_345_678, 98 * 10**8, 5 * 10**8, 40_000_000, 93 * 10**8, (held,))


@pytest.mark.parametrize("said", [None, "", "n/a", "NaN"])
def test_margin_that_is_told_in_part_is_not_told(said: Any) -> None:
    assert [position_margin(RISK | {name: said}, "X", 1) for name in RISK] == [None] * len(RISK)
    rows = [WALLET | {name: said} for name in WALLET]
    assert [margin_report({"info": {"assets": [row]}}, "USDT", ()) for row in rows] == [None] * len(rows)
    assert margin_report({"info": {}}, "USDT", ()) is None
