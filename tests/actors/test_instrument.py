"""Exact units: every conversion is checked against a fraction that was rounded by its definition."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.instrument import Instrument, InstrumentSpec, Rate, from_atoms, to_atoms

ATOMS = 10**8
STEPS = ["0.01", "0.1", "1", "0.5", "0.25", "1e-8", "0.0001", "5", "10", "0.3", "0.00000007"]
steps = st.sampled_from(STEPS).map(Decimal)


def half_up(value: Fraction) -> int:
    """Round by magnitude, halves away from zero, then sign."""
    magnitude = (2 * abs(value) + 1) // 2
    return int(-magnitude if value < 0 else magnitude)


def exact(value: float) -> Fraction:
    """Return the decimal a float is written as: what its publisher meant."""
    return Fraction(Decimal(repr(value)))


def make(tick: Decimal | str = "0.01", lot: Decimal | str = "1e-8", **more: Any) -> Instrument:
    return Instrument(InstrumentSpec(symbol="X", tick=Decimal(tick), lot=Decimal(lot), **more))


@pytest.mark.parametrize(
    ("amount", "atoms"),
    [
        ("0", 0),
        ("1", ATOMS),
        ("-1", -ATOMS),
        ("0.000000005", 1),
        ("-0.000000005", -1),
        ("0.0000000049999", 0),
        ("-0.0000000049999", 0),
        ("0.000000015", 2),
        ("123456789.12345678", 12345678912345678),
    ],
)
def test_money_is_rounded_half_up_by_magnitude(amount: str, atoms: int) -> None:
    assert to_atoms(Decimal(amount)) == atoms


@given(st.integers(-(10**20), 10**20))
@settings(deadline=None)
def test_atoms_survive_the_way_to_quote_units_and_back(atoms: int) -> None:
    assert to_atoms(from_atoms(atoms)) == atoms


@given(steps, steps, st.integers(0, 10**14), st.integers(-(10**14), 10**14))
@example(Decimal("1e-8"), Decimal("1e-8"), 1, 50_000_000)
@example(Decimal("1e-8"), Decimal("1e-8"), 1, -50_000_000)
@example(Decimal("1e-8"), Decimal("1e-8"), 1, 49_999_999)
@settings(deadline=None, max_examples=300)
def test_a_value_is_the_exact_product_rounded_once(tick: Decimal, lot: Decimal, ticks: int, lots: int) -> None:
    product = Fraction(tick) * ticks * Fraction(lot) * lots * ATOMS
    assert make(tick, lot).value_atoms(ticks, lots) == half_up(product)


@given(st.decimals(-1, 1, places=9).map(lambda rate: rate.normalize()), st.integers(-(10**18), 10**18))
@example(Decimal("0.5"), 1)
@example(Decimal("0.5"), -1)
@example(Decimal("-0.5"), 1)
@example(Decimal("0.0005"), 999)
@settings(deadline=None, max_examples=300)
def test_a_rate_of_an_amount_is_rounded_half_up_by_magnitude(rate: Decimal, atoms: int) -> None:
    assert Rate(rate).of(atoms) == half_up(Fraction(rate) * atoms)


@given(steps, st.floats(1e-9, 1e12))
@example(Decimal("0.01"), 1.005)
@example(Decimal("0.01"), 0.015)
@example(Decimal("0.5"), 0.25)
@example(Decimal("0.3"), 0.45)
@example(Decimal("1e-8"), 123456789.123456785)
@settings(deadline=None, max_examples=500)
def test_a_price_goes_to_the_nearest_tick_and_halves_go_up(tick: Decimal, price: float) -> None:
    assert make(tick).price_to_ticks(price) == half_up(exact(price) / Fraction(tick))


@given(steps, st.floats(1e-9, 1e12))
@settings(deadline=None, max_examples=300)
def test_rounding_down_and_up_bracket_a_price(tick: Decimal, price: float) -> None:
    instrument = make(tick)
    down, up = instrument.price_to_ticks_down(price), instrument.price_to_ticks_up(price)
    steps_exactly = exact(price) / Fraction(tick)
    assert down == steps_exactly.__floor__()
    assert up == steps_exactly.__ceil__()


@given(steps, st.integers(1, 10**14))
@settings(deadline=None, max_examples=300)
def test_a_price_on_the_grid_keeps_its_tick(tick: Decimal, ticks: int) -> None:
    instrument = make(tick)
    price = float(ticks * tick)
    assert instrument.price_to_ticks(price) == ticks
    assert instrument.price_float(ticks) == price
    assert instrument.price(ticks) == ticks * tick


@given(steps, st.integers(-(10**14), 10**14))
@settings(deadline=None, max_examples=300)
def test_a_quantity_on_the_grid_keeps_its_lots(lot: Decimal, lots: int) -> None:
    instrument = make(lot=lot)
    quantity = float(lots * lot)
    assert instrument.quantity_to_lots(quantity) == lots
    assert instrument.quantity_float(lots) == quantity
    assert instrument.quantity(lots) == lots * lot


@pytest.mark.slow
@given(steps, st.floats(-1e9, 1e9))
@settings(deadline=None, max_examples=500)
def test_a_quantity_is_cut_toward_zero(lot: Decimal, quantity: float) -> None:
    """Only what a float's own noise took away is given back: a millionth of a lot."""
    lots = make(lot=lot).quantity_to_lots(quantity)
    wished = abs(exact(quantity)) / Fraction(lot)
    assert lots == 0 or (lots < 0) == (quantity < 0)
    assert wished - 1 < abs(lots) <= wished + Fraction(1, 10**6)


@pytest.mark.parametrize(
    ("quantity", "lots"), [(0.1 + 0.2, 3), (0.7 - 0.4, 3), (0.29, 2), (0.3999, 3), (-0.29, -2), (0.0999, 0), (-0.0, 0)]
)
def test_noise_of_a_float_costs_no_lot(quantity: float, lots: int) -> None:
    assert make(lot="0.1").quantity_to_lots(quantity) == lots


@pytest.mark.parametrize("value", [1e300, 1e305, 1.7e308])
def test_absurd_numbers_become_absurd_integers_and_no_error(value: float) -> None:
    """Risk refuses them in words; see `test_risk`."""
    assert make("1e-8").price_to_ticks(value) > 2**900
    assert make(lot="1e-8").quantity_to_lots(-value) < -(2**900)


@given(steps, steps, st.floats(1e-6, 1e9), st.integers(-(10**12), 10**12))
@settings(deadline=None, max_examples=300)
def test_a_mark_is_the_value_at_the_nearest_tick(tick: Decimal, lot: Decimal, price: float, lots: int) -> None:
    instrument = make(tick, lot)
    assert instrument.mark_atoms(price, lots) == instrument.value_atoms(instrument.price_to_ticks(price), lots)


@pytest.mark.parametrize(("tick", "lot"), [("0", "1"), ("1", "0"), ("-0.01", "1"), ("1", "-1")])
def test_an_instrument_without_steps_is_refused(tick: str, lot: str) -> None:
    with pytest.raises(ValueError, match="tick and lot must be positive"):
        make(tick, lot)


def test_a_minimum_notional_is_kept_in_atoms() -> None:
    assert make(min_notional=Decimal("10.5")).min_notional_atoms == 1_050_000_000
    assert make().min_notional_atoms == 0
