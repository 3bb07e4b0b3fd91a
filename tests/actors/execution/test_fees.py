"""What a fee comes to, by the asset it was taken in and the kind of market."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors import messages as m
from actors.execution.fees import fees_of
from actors.instrument import Instrument, InstrumentSpec

SPOT = Instrument(
    InstrumentSpec(symbol="BNB/USDT", tick=Decimal("0.01"), lot=Decimal("1e-8"), base="BNB", quote="USDT")
)
CONTRACT = Instrument(
    InstrumentSpec(
        symbol="BNB/USDT:USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.01"),
        base="BNB",
        quote="USDT",
        contract=True,
    )
)
KEY = ("a", "X", 7)


def charged(asset: str, atoms: int, value: int = -1) -> m.TradeReported:
    return m.TradeReported("pb1", "X", 7, m.BUY, 60_000, 10**8, asset, atoms, "taker", 5, fee_value_atoms=value)


@pytest.mark.parametrize("instrument", [SPOT, CONTRACT], ids=["spot", "contract"])
def test_a_fee_in_quote_is_the_fills_own(instrument: Instrument) -> None:
    assert fees_of(charged("USDT", 77), instrument, 1, "a") == (77, None, "")
    assert fees_of(charged("USDT", -77), instrument, 1, "a") == (-77, None, "")


def test_what_was_taken_of_the_base_leaves_a_spot_book_and_is_only_owed_by_a_contract() -> None:
    assert fees_of(charged("BNB", 5), SPOT, 1, "a") == (0, m.FeeInBase(*KEY, 5, 3_000), "")
    assert fees_of(charged("BNB", 5, 3_100), CONTRACT, 10**6, "a") == (0, m.FeeInAsset(*KEY, "BNB", 5, 3_100), "")


def test_no_fee_is_no_fee_in_whatever_asset() -> None:
    assert fees_of(charged("DOGE", 0), SPOT, 1, "a") == (0, None, "")


@pytest.mark.parametrize(
    ("trade", "instrument", "words"),
    [
        (charged("DOGE", 5), SPOT, "have the venue charge fees in BNB or USDT"),
        (charged("BNB", 5), CONTRACT, "was charged in BNB, whose worth in USDT is not known (it is owed at none)"),
    ],
)
def test_what_has_no_price_is_owed_all_the_same_and_said(
    trade: m.TradeReported, instrument: Instrument, words: str
) -> None:
    fee_atoms, beside, trouble = fees_of(trade, instrument, 10, "a")
    assert (fee_atoms, beside) == (0, m.FeeInAsset(*KEY, trade.fee_asset, 5, 0))
    assert words in trouble


def test_what_cannot_be_booked_is_said() -> None:
    said = fees_of(charged("BNB", 15), SPOT, 10, "a")
    assert said == (0, None, "a fee of 15 atoms of BNB cannot be booked")
