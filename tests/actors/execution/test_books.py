"""Funding among books: the parts always add up, whoever holds what on which side."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from actors import messages as m
from actors.execution.books import Books, split

X = "BTC/USDT:USDT"


def executed(side: int, lots: int, at_ns: int) -> m.TradeReported:
    return m.TradeReported("o", X, at_ns, side, 100, lots, "USDT", 0, "taker", at_ns)


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=6))
def test_the_parts_add_up_and_none_is_an_atom_off(amount: int, weights: list[int]) -> None:
    assume(sum(weights))
    parts = split(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(amount * weight, sum(weights))) < 1


def test_the_largest_remainders_get_the_odd_atoms_and_the_first_at_a_tie() -> None:
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(-100, [1, 1, 1]) == [-33, -33, -34]
    assert split(10, [7, 2, 1]) == [7, 2, 1]


def test_opposite_books_get_opposite_parts() -> None:
    books = Books([X], [("long", X, 30), ("short", X, -10)])
    assert books.share(X, -200, 0, 0) == [("long", -300), ("short", 100)]


def test_what_is_not_ours_keeps_its_part() -> None:
    books = Books([X], [("a", X, 10), ("b", X, 0)])
    assert books.share(X, -200, 0, 30) == [("a", -50)]


def test_a_payment_goes_to_who_held_when_it_was_paid() -> None:
    books = Books([X], [("a", X, 0), ("b", X, 0)])
    books.executed("a", executed(m.BUY, 10, 1_000))
    books.executed("a", executed(m.SELL, 10, 3_000))
    books.executed("b", executed(m.BUY, 10, 4_000))
    assert books.share(X, -70, 2_000, 0) == [("a", -70)]
    assert books.share(X, -70, 5_000, 0) == [("b", -70)]


def test_a_payment_on_nothing_goes_to_who_traded_last() -> None:
    books = Books([X], [("a", X, 0), ("b", X, 0)])
    assert books.share(X, -70, 500, 0) == []
    books.executed("b", executed(m.BUY, 10, 1_000))
    assert books.share(X, -70, 500, 0) == [("b", -70)]
