"""The rule of positions, against fractions: what is paid for what is held, and what a close brings."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from actors.instrument import Instrument, InstrumentSpec
from actors.messages import BUY, SELL
from actors.netting import net_fill

COARSE = Instrument(InstrumentSpec(symbol="A", tick=Decimal("0.01"), lot=Decimal("0.00001")))
"""A tick times a lot is ten atoms."""
FINE = Instrument(InstrumentSpec(symbol="B", tick=Decimal("0.07"), lot=Decimal("0.00000003")))
"""A tick times a lot is a fraction of an atom, so that rounding counts."""

fills = st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 99), st.integers(1, 1_000)), max_size=30)


def test_a_position_grows_at_what_it_costs_and_shrinks_at_what_it_had_cost() -> None:
    assert net_fill(COARSE, 0, 0, BUY, 100, 5) == (5, 5_000, 0, -5_000)
    assert net_fill(COARSE, 5, 5_000, BUY, 200, 5) == (10, 15_000, 0, -10_000)
    assert net_fill(COARSE, 10, 15_000, SELL, 300, 4) == (6, 9_000, 6_000, 12_000)
    assert net_fill(COARSE, -10, -15_000, BUY, 100, 4) == (-6, -9_000, 2_000, -4_000)


def test_a_part_takes_its_cost_rounded_down_and_the_last_the_rest() -> None:
    lots, cost, realized, _ = net_fill(COARSE, 3, 10, SELL, 1, 1)
    assert (lots, cost, realized) == (2, 7, 7)
    assert net_fill(COARSE, -3, -10, BUY, 1, 1)[:3] == (-2, -7, -7)
    assert net_fill(COARSE, lots, cost, SELL, 1, 2)[:3] == (0, 0, 13)


def test_what_crosses_zero_opens_anew_at_the_price_of_the_fill() -> None:
    assert net_fill(COARSE, 4, 4_000, SELL, 150, 10) == (-6, -9_000, 2_000, 15_000)
    assert net_fill(COARSE, -4, -4_000, BUY, 150, 10) == (6, 9_000, -2_000, -15_000)


@given(fills)
def test_no_atom_is_lost_and_the_cost_is_the_average_but_for_rounding(steps: list[tuple[int, int, int]]) -> None:
    for instrument in (COARSE, FINE):
        atoms = Fraction(instrument.spec.tick) * Fraction(instrument.spec.lot) * 10**8
        lots = cost = realized = cash = 0
        average, count = Fraction(0), 0
        for side, ticks, size in steps:
            after = lots + side * size
            if lots * side >= 0:
                average = (average * abs(lots) + ticks * size) / abs(after)
            elif lots * after < 0:
                average = Fraction(ticks)
            lots, cost, profit, brought = net_fill(instrument, lots, cost, side, ticks, size)
            realized, cash, count = realized + profit, cash + brought, count + 1
            assert lots == after
            assert cash + cost == realized
            assert abs(cost - average * lots * atoms) <= count
            assert lots or not cost
