"""Quantities: worked examples, what they mean, and what bad input comes to."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, nan, sqrt
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from strategies import sizing

MONEY = st.floats(1e-3, 1e12)
ANY = st.floats(allow_nan=True, allow_infinity=True)
FRACTION = st.floats(1e-6, 1.0)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (lambda: sizing.fixed(0.25), 0.25),
        (lambda: sizing.percent_of_equity(10_000, 50, fraction=0.1), 20),
        # The Turtles' own example: heating oil, N = 0.0141, 42,000 gallons, a million of account: 16.88 contracts.
        (lambda: sizing.atr_risk(1_000_000, 0.0141, risk=0.01, multiple=1) / 42_000, 16.885),
        (lambda: sizing.atr_risk(10_000, 5, risk=0.01, multiple=2), 10),
        (lambda: sizing.risk_per_trade(10_000, 4, risk=0.02), 50),
        (lambda: sizing.volatility_target(10_000, 100, 0.8, target=0.4), 50),
        (lambda: sizing.volatility_target(10_000, 100, 0.1, target=0.4), 100),
        (lambda: sizing.volatility_target(10_000, 100, 0.1, target=0.4, leverage_max=3), 300),
        # Kelly's coin that lands 60 of 100 times at even odds: a fifth.
        (lambda: sizing.kelly_fraction(0.6, 1, scale=1), 0.2),
        (lambda: sizing.kelly_fraction(0.6, 1), 0.1),
        (lambda: sizing.kelly_fraction(0.4, 1), 0),
        (lambda: sizing.kelly_fraction(0.9, 10, scale=1, cap=0.5), 0.5),
        (lambda: sizing.kelly(10_000, 50, 0.6, 1), 20),
        (lambda: sizing.kelly(10_000, 50, 0.5, 1), 0),
        (lambda: sizing.kelly_fraction_of_returns(0.05, 0.04, scale=1, cap=2), 1.25),
        (lambda: sizing.kelly_fraction_of_returns(-0.05, 0.04), 0),
        (lambda: sizing.annualised(0.01, 86_400 * 10**9), 0.01 * sqrt(365)),
    ],
)
def test_worked_examples(quantity: Callable[[], float], expected: float) -> None:
    assert quantity() == pytest.approx(expected, rel=1e-4)


@given(MONEY, st.floats(1e-6, 1e6), FRACTION)
def test_a_stop_that_is_hit_loses_what_was_to_be_risked(equity: float, distance: float, risk: float) -> None:
    assert sizing.risk_per_trade(equity, distance, risk=risk) * distance == pytest.approx(equity * risk)


@given(MONEY, MONEY, st.floats(1e-6, 10), FRACTION, st.floats(0.1, 10))
def test_a_quiet_market_never_asks_for_more_than_the_leverage(
    equity: float, price: float, volatility: float, target: float, leverage: float
) -> None:
    value = price * sizing.volatility_target(equity, price, volatility, target=target, leverage_max=leverage)
    assert value <= equity * leverage * (1 + 1e-12)
    assert value * volatility <= equity * target * (1 + 1e-12)


@given(ANY, ANY, ANY)
def test_what_a_market_gives_never_makes_a_quantity_that_is_none(one: float, two: float, three: float) -> None:
    """NaN, infinity, zero and negative numbers come to 0, whatever the function."""
    known = all(isfinite(value) and value > 0 for value in (one, two))
    for quantity in (
        sizing.percent_of_equity(one, two, fraction=0.5),
        sizing.risk_per_trade(one, two, risk=0.01),
        sizing.atr_risk(one, two, risk=0.01),
        sizing.kelly_fraction(one, two),
        sizing.kelly_fraction_of_returns(one, two),
        sizing.volatility_target(one, two, three, target=0.2),
        sizing.kelly(one, two, three, 2.0),
    ):
        assert isfinite(quantity)
        assert quantity >= 0
        assert known or quantity == 0


@pytest.mark.parametrize("bad", [0.0, -1.0, nan, inf, -0.0])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("quantity", sizing.fixed),
        ("fraction", lambda bad: sizing.percent_of_equity(1, 1, fraction=bad)),
        ("risk", lambda bad: sizing.risk_per_trade(1, 1, risk=bad)),
        ("multiple", lambda bad: sizing.atr_risk(1, 1, risk=0.1, multiple=bad)),
        ("target", lambda bad: sizing.volatility_target(1, 1, 1, target=bad)),
        ("leverage_max", lambda bad: sizing.volatility_target(1, 1, 1, target=1, leverage_max=bad)),
        ("scale", lambda bad: sizing.kelly_fraction(0.6, 1, scale=bad)),
        ("cap", lambda bad: sizing.kelly_fraction(nan, 1, cap=bad)),
    ],
)
def test_what_a_person_chooses_must_be_within_its_bounds(name: str, call: Any, bad: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a number above 0"):
        call(bad)


@pytest.mark.parametrize("risk", [1.0000001, 5.0])
def test_nobody_risks_more_than_all(risk: float) -> None:
    with pytest.raises(ValueError, match=f"risk must be a number above 0 and at most 1, not {risk}"):
        sizing.risk_per_trade(1, 1, risk=risk)


@given(st.floats(0.01, 0.99), st.floats(0.1, 10))
def test_kelly_is_the_fraction_that_grows_money_fastest(win_rate: float, ratio: float) -> None:
    """No other stake has a higher expected logarithm of wealth."""
    from math import log

    best = sizing.kelly_fraction(win_rate, ratio, scale=1)
    assume(best < 0.999)

    def growth(stake: float) -> float:
        return win_rate * log(1 + ratio * stake) + (1 - win_rate) * log(1 - stake)

    for other in (best - 0.01, best + 0.0005):
        if 0 <= other < 1:
            assert growth(best) >= growth(other) - 1e-12
