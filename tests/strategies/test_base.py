"""What a trader writes: orders from methods, and mistakes that stay his own."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest

from strategies.base import Strategy


class Desk:
    """A desk that notes what it was asked for."""

    symbol = "X"
    position = 2.5
    now_ns = 77

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def order(self, *terms: Any, **flags: Any) -> int:
        self.asked.append(("order", *terms, flags))
        return len(self.asked)

    def target(self, quantity: float, symbol: str | None = None, protection: Any = None) -> int:
        given = ("target", quantity) if symbol is None else ("target", quantity, symbol)
        self.asked.append(given if protection is None else (*given, protection))
        return len(self.asked)

    def cancel(self, ref: int) -> None:
        self.asked.append(("cancel", ref))

    def set_timer(self, name: str, seconds: float) -> None:
        self.asked.append(("timer", name, seconds))


class Mine(Strategy):
    """A strategy with a parameter."""

    period: int = 3


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def mine(desk: Desk) -> Mine:
    strategy = Mine()
    strategy.bind(desk)  # type: ignore[arg-type]
    return strategy


NONE = {"reduce_only": False, "post_only": False, "symbol": None, "protection": None}


@pytest.mark.parametrize(
    ("terms", "kind"),
    [({}, "market"), ({"limit": 9.0}, "limit"), ({"stop": 8.0}, "stop"), ({"limit": 9.0, "stop": 8.0}, "stop_limit")],
)
def test_limit_and_stop_say_what_kind_of_order_it_is(
    mine: Mine, desk: Desk, terms: dict[str, float], kind: str
) -> None:
    assert (mine.buy(1, **terms), mine.sell(2, **terms)) == (1, 2)  # type: ignore[arg-type]
    prices = (terms.get("limit"), terms.get("stop"))
    assert desk.asked == [("order", 1, 1.0, kind, *prices, "gtc", NONE), ("order", -1, 2.0, kind, *prices, "gtc", NONE)]


def test_terms_are_passed_on(mine: Mine, desk: Desk) -> None:
    mine.buy(1, limit=9, time_in_force="fok", reduce_only=True, post_only=True, symbol="Y", protective_stop=8)
    mine.target(2, symbol="Y", stop_distance=3)
    flags = {"reduce_only": True, "post_only": True, "symbol": "Y", "protection": (8.0, None)}
    assert desk.asked == [
        ("order", 1, 1.0, "limit", 9.0, None, "fok", flags),
        ("target", 2.0, "Y", (None, 3.0)),
    ]


@pytest.mark.parametrize("terms", [{"protective_stop": 0}, {"stop_distance": -1.0}, {"protective_stop": math.nan}])
def test_a_protection_that_makes_no_sense_is_the_callers_mistake(mine: Mine, terms: Any) -> None:
    for order in (mine.buy, mine.sell, mine.target):
        with pytest.raises(ValueError, match="must be a positive number, not"):
            order(1, **terms)


NUMBERS: list[Any] = [1, 1.0, True, np.float64(1), np.float32(1), np.int64(1), np.array(1.0), Decimal(1), Fraction(1)]


@pytest.mark.parametrize("one", NUMBERS, ids=lambda one: type(one).__name__)
def test_a_number_of_any_type_is_taken_at_its_value(mine: Mine, desk: Desk, one: Any) -> None:
    """Messages hold plain numbers only: a journal knows no others."""
    mine.buy(one, limit=one, stop=one, reduce_only=cast("bool", np.bool_(True)))
    mine.target(one)
    mine.set_timer("x", one)
    (_, _, quantity, _, limit, stop, _, flags), (_, target), (_, _, seconds) = desk.asked
    for value in (quantity, limit, stop, target, seconds):
        assert type(value) is float
        assert value == 1.0
    assert flags["reduce_only"] is True


@pytest.mark.parametrize("ref", [3, np.int64(3), np.uint8(3)])
def test_a_reference_of_any_whole_type_is_taken(mine: Mine, desk: Desk, ref: Any) -> None:
    mine.cancel(ref)
    assert desk.asked == [("cancel", 3)]
    assert type(desk.asked[0][1]) is int


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), -0.0])
@pytest.mark.parametrize("name", ["quantity", "limit", "stop"])
def test_quantities_and_prices_must_be_positive_numbers(mine: Mine, desk: Desk, name: str, bad: float) -> None:
    terms: dict[str, Any] = {"quantity": 1.0, name: bad}
    for side in (mine.buy, mine.sell):
        with pytest.raises(ValueError, match=f"{name} must be a positive number, not"):
            side(**terms)
    assert desk.asked == []


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda s: s.buy("1"), TypeError),
        (lambda s: s.buy(None), TypeError),
        (lambda s: s.buy(1, limit="x"), TypeError),
        (lambda s: s.buy(1, time_in_force="day"), ValueError),
        (lambda s: s.buy(1, time_in_force=None), ValueError),
        (lambda s: s.buy(1, post_only=True), ValueError),
        (lambda s: s.buy(1, stop=5, post_only=True), ValueError),
        (lambda s: s.buy(1, stop=5, limit=6, post_only=True), ValueError),
        (lambda s: s.target(float("nan")), ValueError),
        (lambda s: s.target(float("inf")), ValueError),
        (lambda s: s.target("1"), TypeError),
        (lambda s: s.cancel(None), TypeError),
        (lambda s: s.cancel("1"), TypeError),
        (lambda s: s.cancel(1.0), TypeError),
        (lambda s: s.set_timer("x", 0), ValueError),
        (lambda s: s.set_timer("x", -1), ValueError),
        (lambda s: s.set_timer("x", float("nan")), ValueError),
        (lambda s: s.set_timer("x", float("inf")), ValueError),
        (lambda s: s.set_timer(5, 1), TypeError),
        (lambda s: s.set_timer("no text \udcff", 1), ValueError),
    ],
)
def test_a_mistake_raises_where_it_is_made(mine: Mine, desk: Desk, act: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        act(mine)
    assert desk.asked == []


def test_a_target_may_be_short_or_nothing(mine: Mine, desk: Desk) -> None:
    mine.target(-2)
    mine.target(0)
    assert desk.asked == [("target", -2.0), ("target", 0.0)]


def test_it_knows_its_position_symbol_and_time(mine: Mine) -> None:
    assert (mine.position, mine.symbol, mine.now_ns) == (2.5, "X", 77)


@pytest.mark.parametrize(
    "act",
    [
        lambda s: s.buy(1),
        lambda s: s.target(1),
        lambda s: s.cancel(1),
        lambda s: s.set_timer("x", 1),
        lambda s: s.position,
    ],
)
def test_before_it_runs_a_strategy_cannot_act(act: Any) -> None:
    with pytest.raises(RuntimeError, match="can act only while it is run"):
        act(Mine())


def test_a_parameter_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError):
        Mine(perod=5)  # type: ignore[call-arg]


def test_whatever_is_stored_on_self_is_its_state_and_parameters_are_not(mine: Mine) -> None:
    mine.memory = [1, 2]  # type: ignore[attr-defined]
    mine.period = 9
    state = mine.dump_state()
    mine.memory.append(3)  # type: ignore[attr-defined]
    mine.later = "x"  # type: ignore[attr-defined]
    mine.load_state(state)
    assert mine.memory == [1, 2]  # type: ignore[attr-defined]
    assert not hasattr(mine, "later")
    assert mine.position == 2.5, "the desk stays"


def test_it_hears_what_it_has_a_method_for() -> None:
    class Listening(Strategy):
        def on_fill(self, execution: Any, /) -> None: ...

    assert Listening().hears("on_fill")
    assert not Listening().hears("on_order")

    class Inheriting(Listening):
        pass

    assert Inheriting().hears("on_fill")
