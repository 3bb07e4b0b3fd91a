"""What a strategy may ask of its money, and what of a quantity can be ordered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.desk.desk import Desk
from actors.instrument import Instrument, InstrumentSpec, Rate
from actors.runtime.scheduler import Context
from strategies.base import Bar, Strategy


class Money:
    """An account as the desk may ask it."""

    def __init__(self, cash_atoms: int) -> None:
        self.cash_atoms = cash_atoms

    def equity_now(self) -> int:
        return self.cash_atoms

    def profit_now(self, _: str) -> int:
        return 0


def desk(cash: int, held: int = 0, fee: str = "0", **spec: Any) -> Desk:
    units = {"tick": Decimal(1), "lot": Decimal(1)} | spec
    instrument = Instrument(InstrumentSpec(symbol="X", **units))
    return Desk(Context(), "a", [(instrument, held, 0)], Money(cash), Rate(Decimal(fee)))


U = 10**8


@pytest.mark.parametrize(
    ("made", "quantity", "expected"),
    [
        (desk(100 * U), 9.99, 9),  # whole lots, never more
        (desk(100 * U), 10, 10),
        (desk(100 * U), 11, 10),  # no more than the cash pays for
        (desk(100 * U - 1), 11, 9),
        (desk(100 * U, fee="0.001"), 11, 9),  # nor than it pays the fee of
        (desk(-1), 11, 0),
        (desk(100 * U, held=-3), 99, 13),  # what closes a short brings it in
        (desk(100 * U), -50, -50),  # a tape's spot may be sold short
        (desk(100 * U, held=4, long_only=True), -50, -4),  # a venue's may not
        (desk(100 * U, contract=True), 500, 500),  # a contract takes margin, not cash
        (desk(100 * U, step=Decimal(5)), 9, 5),
        (desk(100 * U, min_notional=Decimal(50)), 4, 0),
        (desk(100 * U, min_notional=Decimal(50)), 5, 5),
        (desk(100 * U), 0.5, 0),
        (desk(10**30), 1e17, 1e17),
    ],
)
def test_what_of_a_quantity_can_be_ordered(made: Desk, quantity: float, expected: float) -> None:
    assert made.fit(quantity, 10.0, None) == expected


@example(cash=134217728, quantity=134217729.0, ticks=1, lot="1e-8", tick="1e-8", fee="0", step=1)
@example(cash=0, quantity=1.0, ticks=1, lot="0.001", tick="1e-8", fee="0", step=1)
@given(
    cash=st.integers(0, 10**18),
    quantity=st.floats(0, 1e12),
    ticks=st.integers(1, 10**9),
    lot=st.sampled_from(["1", "0.001", "1e-8", "0.5"]),
    tick=st.sampled_from(["0.01", "1e-8", "5"]),
    fee=st.sampled_from(["0", "0.001", "0.00075", "-0.0001"]),
    step=st.integers(1, 50),
)
def test_a_purchase_on_spot_never_costs_more_than_the_cash(
    cash: int, quantity: float, ticks: int, lot: str, tick: str, fee: str, step: int
) -> None:
    """To the atom; and one step more would, or is more than was wanted."""
    made = desk(cash, lot=Decimal(lot), tick=Decimal(tick), fee=fee, step=step * Decimal(lot))
    instrument = made.hand.instrument
    price = instrument.price_float(ticks)
    lots = instrument.quantity_to_lots(made.fit(quantity, price, None))

    def cost(lots: int) -> int:
        value = instrument.value_atoms(ticks, lots)
        return value + Rate(Decimal(fee)).of(value)

    assert lots % step == 0
    assert cost(lots) <= cash
    if lots < 2**50:  # beyond that a float is more than a lot wide
        assert cost(lots + step) > cash or lots + step > instrument.quantity_to_lots(quantity)


def test_it_knows_the_account_and_its_own_books(rig: Any) -> None:
    """Two strategies on one account; fees are a tenth of a percent."""

    class Asks(Strategy):
        side: int = 1

        def on_start(self) -> None:
            self.seen: list[tuple[float, float, float]] = []

        def on_bar(self, bar: Bar, _: Any, /) -> None:
            self.seen.append((self.equity, self.profit, self.cash))
            if bar.close == 100:
                self.target(2 * self.side)

    one, two = Asks(), Asks(side=-3)
    bench = rig(one, two, cash="1000")
    bench.flat(100)
    bench.bar(100, 110, 100, 110)
    assert one.seen == [(1000, 0, 1000), (959.2, 19.8, 1399.2)]
    assert two.seen == [(1000, 0, 1000), (959.2, -60.6, 1399.2)]


def test_a_strategy_that_fails_is_told_again_what_its_money_was(rig: Any) -> None:
    """Its memory is that of then, not of the time of the failure."""

    class Notes(Strategy):
        def on_start(self) -> None:
            self.seen: list[float] = []

        def on_bar(self, bar: Bar, _: Any, /) -> None:
            self.seen += [self.equity, self.profit]
            if bar.close == 103:
                raise ValueError
            self.buy(1)

    strategy = Notes()
    bench = rig(strategy, cash="1000")
    for price in (100, 101, 102):
        bench.bar(price)
    before = list(strategy.seen)
    bench.bar(103)
    assert strategy.seen == before
    bench.bar(104)
    assert len(bench.core.scheduler.dead_letters.letters) == 1
    assert strategy.seen[:-2] == before
    assert strategy.seen[-2] == bench.core.ledger.equity_atoms / U


def test_it_is_refused_what_is_no_quantity(rig: Any) -> None:
    class Fits(Strategy):
        def on_bar(self, bar: Bar, _: Any, /) -> None:
            self.fit(float("nan") if bar.close == 100 else 1, price=-1)

    bench = rig(Fits())
    bench.flat(100)
    bench.flat(101)
    assert [letter.error for letter in bench.core.scheduler.dead_letters.letters] == [
        "ValueError: fit(nan): the quantity must be a finite number",
        "ValueError: price must be a positive number, not -1",
    ]
