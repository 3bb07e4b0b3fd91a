"""What a rule cuts an order to is the most that fits, worked out anew in fractions and tried lot by lot."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import messages as m
from tests.actors.risk.desk import BUY, SELL, Desk

PRICES = {"X": 103, "Y": 57}
BOOKS = [("a", "X"), ("a", "Y"), ("b", "X"), ("b", "Y")]
SYMBOL, STRATEGY = [("a", "X"), ("b", "X")], [("a", "X"), ("a", "Y")]
SCOPES = {
    "max_symbol_net": SYMBOL,
    "max_symbol_gross": SYMBOL,
    "max_strategy_net": STRATEGY,
    "max_strategy_gross": STRATEGY,
    "max_net": BOOKS,
    "max_gross": BOOKS,
    "max_leverage": BOOKS,
}
"""Whose books each rule puts together, of an order for a's X."""


def most(
    rule: str, limit: Fraction, held: dict[Any, int], works: list[tuple[Any, int, int]], side: int, lots: int
) -> int:
    """Return the most lots of an order for a's X that leave the figure within the limit, or that only close."""
    only_closes = max(
        0, -side * held["a", "X"] - sum(size for book, s, size in works if (book, s) == (("a", "X"), side))
    )

    def figure(added: int) -> Fraction:
        total = Fraction(0)
        for book in SCOPES[rule]:
            up = held[book] + sum(size for other, s, size in works if (other, s) == (book, BUY))
            down = held[book] - sum(size for other, s, size in works if (other, s) == (book, SELL))
            if book == ("a", "X"):
                up, down = up + added * (side == BUY), down - added * (side == SELL)
            net = up if side == BUY else -down
            total += PRICES[book[1]] * (net if rule.endswith("net") else max(up, -down, 0))
        return total

    fitting = [added for added in range(lots + 1) if figure(added) <= limit or added <= only_closes]
    return max(fitting)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    rule=st.sampled_from(sorted(SCOPES)),
    limit=st.integers(1, 4_000),
    lots_held=st.tuples(*[st.integers(-12, 12)] * 4),
    working=st.lists(st.tuples(st.sampled_from(BOOKS), st.sampled_from([BUY, SELL]), st.integers(1, 9)), max_size=4),
    side=st.sampled_from([BUY, SELL]),
    lots=st.integers(1, 30),
)
def test_an_order_is_cut_to_the_most_that_fits(
    rule: str, limit: int, lots_held: tuple[int, ...], working: list[tuple[Any, int, int]], side: int, lots: int
) -> None:
    held = dict(zip(BOOKS, lots_held, strict=True))
    value = str(limit) if rule != "max_leverage" else f"{limit / 1_000:.3f}"
    limits: Any = {rule: value}
    desk = Desk(*[(*book, size) for book, size in held.items()], equity=1_000, **limits)
    for symbol, price in PRICES.items():
        desk.bar(price, symbol=symbol)
    rules, desk.risk._rules = desk.risk._rules, ()
    for book, working_side, size in working:
        desk.order(working_side, size, strategy=book[0], symbol=book[1], kind="limit", limit_price=50.0)
    desk.risk._rules = rules
    said = desk.order(side, lots, reference_price=float(PRICES["X"]))
    passed = said[0].quantity_lots if isinstance(said[0], m.OrderRequest) else 0
    assert passed == most(rule, Fraction(value) * (1_000 if rule == "max_leverage" else 1), held, working, side, lots)
