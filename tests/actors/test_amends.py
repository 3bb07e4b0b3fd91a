"""A wish to change an order: judged by what the change adds, and never at the price of the order that works."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from actors import messages as m
from actors.instrument import Instrument, InstrumentSpec
from actors.risk import Risk
from actors.runtime.scheduler import Context
from config.risk import Risk as Limits
from strategies.base import Strategy

BUY, SELL = m.BUY, m.SELL
MINUTE = 60_000_000_000
Scripted = Callable[..., Strategy]
Of = Callable[[type[Any], list[m.Message]], list[Any]]


class Desk:
    """A risk actor with one instrument, whose tick is 1 and whose lot is 1 unless said otherwise."""

    def __init__(self, position: int = 0, *, lot: str = "1", **limits: Any) -> None:
        spec = {name: limits.pop(name) for name in ("min_notional", "long_only", "step") if name in limits}
        self.context = Context()
        self.context.now_ns = 10**18
        self.instrument = Instrument(InstrumentSpec(symbol="X", tick=Decimal(1), lot=Decimal(lot), **spec))
        plain: dict[str, Any] = {
            name: value if name == "max_orders_per_minute" else Decimal(value) for name, value in limits.items()
        }
        self.limits = Limits(**plain)
        self.risk = Risk(
            self.context, {"X": self.instrument}, self.limits, [("a", "X", position)], cancel_on_halt=False
        )
        self.ref = 0

    def said(self) -> list[Any]:
        said = list(self.context.outbox)
        self.context.outbox.clear()
        return said

    def order(self, side: int, quantity: float, kind: Any = "limit", **terms: Any) -> int:
        """Order at 100, or 90 with a trigger at 95; return its number."""
        self.ref += 1
        if kind != "market":
            terms.setdefault("limit_price", None if kind == "stop" else 100.0 if kind == "limit" else 90.0)
            terms.setdefault("stop_price", None if kind == "limit" else 95.0)
        self.risk.on_intent(m.Intent("a", "X", self.ref, "order", side, quantity, kind, reference_price=100.0, **terms))
        (request,) = self.said()
        assert isinstance(request, m.OrderRequest), request
        return self.ref

    def amend(self, ref: int, quantity: float = 0.0, limit: float | None = None, stop: float | None = None) -> Any:
        terms: dict[str, Any] = {"limit_price": limit, "stop_price": stop, "reference_price": 100.0}
        self.risk.on_intent(m.Intent("a", "X", ref, "amend", 0, quantity, **terms))
        (answer,) = self.said()
        return answer

    def fill(self, ref: int, quantity: int, remaining: int) -> None:
        side = self.risk._working["a", ref].side
        lots = self.risk._positions["a", "X"] + side * quantity
        self.risk.on_position_changed(m.PositionChanged("a", "X", lots, 0, 0, 0, 0))
        self.risk.on_fill(m.Fill("o", "a", "X", ref, 1, side, 100, quantity, remaining, 0, "taker", 0))
        self.said()

    def amended(self, request: m.AmendRequest) -> None:
        terms = (request.quantity_lots, request.limit_ticks, request.stop_ticks)
        self.risk.on_amended(m.Amended("o", "a", "X", request.ref, "p", *terms))

    def refused(self, ref: int) -> None:
        self.risk.on_amend_rejected(m.AmendRejected("o", "a", "X", ref, "too late"))

    def state(self, state: str) -> list[Any]:
        self.risk.on_trading_state(m.TradingStateChanged(state, "because"))
        return self.said()


def veto(ref: int, reason: str) -> m.AmendVeto:
    return m.AmendVeto("a", "X", ref, reason)


def to(ref: int, lots: int, limit: int = 100, stop: int = 0) -> m.AmendRequest:
    return m.AmendRequest("a", "X", ref, lots, limit, stop)


# --- terms ------------------------------------------------------------------------------------------


def test_what_is_not_given_stays_as_it_is() -> None:
    desk = Desk()
    ref = desk.order(BUY, 5, "stop_limit")
    assert desk.amend(ref, limit=91.0) == to(ref, 5, 91, 95)
    desk.amended(to(ref, 5, 91, 95))
    assert desk.amend(ref, stop=94.0) == to(ref, 5, 91, 94)
    desk.amended(to(ref, 5, 91, 94))
    assert desk.amend(ref, quantity=7) == to(ref, 7, 91, 94)


@pytest.mark.parametrize(("side", "limit", "stop"), [(BUY, 90, 96), (SELL, 91, 95)])
def test_prices_are_rounded_as_those_of_orders(side: int, limit: int, stop: int) -> None:
    desk = Desk()
    ref = desk.order(side, 5, "stop_limit", limit_price=80.0, stop_price=99.0)
    assert desk.amend(ref, limit=90.5, stop=95.5) == to(ref, 5, limit, stop)


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("limit", {"stop": 95.0}, "a limit order has no such price"),
        ("stop", {"limit": 95.0}, "a stop order has no such price"),
        ("market", {"limit": 95.0}, "a market order has no such price"),
        ("limit", {"limit": 100.0}, "it would change nothing"),
        ("limit", {"quantity": 5.0, "limit": 100.4}, "it would change nothing"),
        ("limit", {"quantity": 0.4}, "quantity is below one lot"),
    ],
)
def test_what_cannot_be_changed_is_vetoed_and_the_order_works_on(
    kind: str, change: dict[str, float], reason: str
) -> None:
    desk = Desk()
    ref = desk.order(BUY, 5, kind)
    before = desk.risk.dump()
    assert desk.amend(ref, **change) == veto(ref, reason)
    assert desk.risk.dump() == before


def test_an_order_that_is_done_or_never_was_cannot_be_changed() -> None:
    desk = Desk()
    ref = desk.order(BUY, 5)
    desk.fill(ref, 5, 0)
    assert desk.amend(ref, quantity=6) == veto(ref, "no such order is working")
    assert desk.amend(77, quantity=6) == veto(77, "no such order is working")


def test_one_change_at_a_time() -> None:
    desk = Desk()
    ref = desk.order(BUY, 5)
    desk.amend(ref, limit=99.0)
    assert desk.amend(ref, limit=98.0) == veto(ref, "an earlier amend is under way")
    desk.refused(ref)
    assert desk.amend(ref, limit=98.0) == to(ref, 5, 98)


def test_an_order_of_a_flatten_is_nobodys_to_change() -> None:
    desk = Desk(5)
    (close,) = desk.state("flattening")
    assert desk.amend(close.ref, quantity=6) == veto(close.ref, "no such order is working")


def test_the_quantity_is_the_total() -> None:
    desk = Desk()
    ref = desk.order(BUY, 10)
    desk.fill(ref, 4, 6)
    assert desk.amend(ref, quantity=12) == to(ref, 12)
    desk.amended(to(ref, 12))
    assert desk.risk._working["a", ref].open_lots == 8


@pytest.mark.parametrize("total", [3, 4])
def test_a_total_that_is_filled_already_passes_for_it_ends_the_order(total: int) -> None:
    desk = Desk(min_notional=Decimal(10**6))
    desk.instrument.min_notional_atoms = 0
    ref = desk.order(BUY, 10)
    desk.fill(ref, 4, 6)
    desk.instrument.min_notional_atoms = 10**18
    assert desk.amend(ref, quantity=total) == to(ref, total)
    desk.refused(ref)
    assert desk.amend(ref, quantity=5) == veto(ref, "below the minimum notional")


def test_a_total_is_cut_to_the_venues_step() -> None:
    desk = Desk(step=Decimal(10), lot="1")
    ref = desk.order(BUY, 50)
    assert desk.amend(ref, quantity=79) == to(ref, 70)


def test_numbers_that_cannot_be_counted_are_vetoed() -> None:
    desk = Desk()
    ref = desk.order(BUY, 5)
    assert desk.amend(ref, quantity=float(2**61)) == veto(ref, "larger than can be counted")
    assert desk.amend(ref, limit=float(2**61)) == veto(ref, "larger than can be counted")


# --- limits -----------------------------------------------------------------------------------------


def test_what_an_amend_adds_is_cut_to_the_limit_and_reserved_until_it_is_answered() -> None:
    desk = Desk(max_position="10")
    ref = desk.order(BUY, 4)
    other = desk.order(BUY, 3)
    assert desk.amend(ref, quantity=9) == to(ref, 7), "four, and the three that are left of ten"
    assert desk.amend(other, quantity=4) == veto(other, "position limit 10")
    desk.refused(ref)
    assert desk.amend(other, quantity=9) == to(other, 6)


def test_a_fill_meanwhile_leaves_the_reserve() -> None:
    desk = Desk(max_position="10")
    ref = desk.order(BUY, 4)
    desk.amend(ref, quantity=10)
    desk.fill(ref, 3, 1)
    assert desk.risk._working["a", ref].open_lots == 7, "one, and six that the amend would add"
    desk.amended(to(ref, 10))
    assert desk.risk._working["a", ref].open_lots == 7
    desk.fill(ref, 7, 0)
    assert desk.risk._positions["a", "X"] == 10


def test_the_notional_limit_holds_for_what_is_added() -> None:
    desk = Desk(max_notional="1000")
    ref = desk.order(BUY, 5)
    assert desk.amend(ref, quantity=50) == to(ref, 10)


def test_less_always_passes() -> None:
    desk = Desk(max_position="5")
    ref = desk.order(BUY, 5)
    desk.risk.on_tighten(m.Tighten("c", "max_position", "1"))
    assert desk.said() == [m.LimitChanged("max_position", "5", "1", "c")]
    assert desk.amend(ref, quantity=2) == to(ref, 2)


def test_an_amend_counts_as_an_order_and_waits_if_it_could_open() -> None:
    desk = Desk(max_orders_per_minute=2)
    ref = desk.order(BUY, 5)
    desk.amend(ref, limit=99.0)
    desk.amended(to(ref, 5, 99))
    assert desk.amend(ref, limit=98.0) == veto(ref, "more than 2 orders in a minute")
    desk.context.now_ns += MINUTE
    assert desk.amend(ref, limit=98.0) == to(ref, 5, 98)


def test_an_exit_does_not_wait_for_the_rate() -> None:
    desk = Desk(5, max_orders_per_minute=1)
    ref = desk.order(SELL, 5, "stop", stop_price=95.0)
    assert desk.amend(ref, stop=96.0) == to(ref, 5, 0, 96)


def test_a_reduce_only_order_grows_only_to_what_it_can_reduce() -> None:
    desk = Desk(5)
    ref = desk.order(SELL, 3, reduce_only=True)
    assert desk.amend(ref, quantity=9) == to(ref, 5)
    desk.amended(to(ref, 5))
    assert desk.amend(ref, quantity=6) == veto(ref, "reduce-only, and nothing is left to reduce")


def test_spot_sells_only_what_is_held_and_not_promised_to_another_order() -> None:
    desk = Desk(10, long_only=True)
    ref, _ = desk.order(SELL, 3), desk.order(SELL, 4)
    assert desk.amend(ref, quantity=9) == to(ref, 6)
    desk.amended(to(ref, 6))
    assert desk.amend(ref, quantity=7) == veto(ref, "X is spot, and nothing is left to sell")
    assert desk.amend(ref, limit=101.0) == to(ref, 6, 101)


def test_reduce_only_orders_on_spot_sell_no_more_than_is_held_together() -> None:
    """A spot venue knows no reduce-only: two sells of all that is held would sell what is somebody else's."""
    desk = Desk(10, long_only=True)
    desk.order(SELL, 6, reduce_only=True)
    desk.risk.on_intent(m.Intent("a", "X", 9, "order", SELL, 10.0, "limit", 120.0, None, "gtc", reduce_only=True))
    (second,) = desk.said()
    assert second.quantity_lots == 4
    desk.state("paused")
    desk.risk.on_intent(m.Intent("a", "X", 10, "order", SELL, 10.0, "limit", 120.0))
    assert desk.said() == [m.RiskVeto("a", "X", 10, "trading is paused")]


# --- paused -----------------------------------------------------------------------------------------


def test_while_paused_an_exit_may_be_changed_and_nothing_may_grow_beyond_the_position() -> None:
    desk = Desk(5)
    ref = desk.order(SELL, 3, "stop", stop_price=95.0)
    assert desk.state("paused") == []
    assert desk.amend(ref, stop=96.0) == to(ref, 3, 0, 96)
    desk.amended(to(ref, 3, 0, 96))
    assert desk.amend(ref, quantity=9) == to(ref, 5, 0, 96)
    desk.amended(to(ref, 5, 0, 96))
    assert desk.amend(ref, quantity=6) == veto(ref, "trading is paused")


@pytest.mark.parametrize("change", [{"limit": 101.0}, {"quantity": 3.0}, {"quantity": 9.0}])
def test_while_paused_no_entry_is_changed(change: dict[str, float]) -> None:
    """Its cancel is on its way; a better price or a smaller quantity would be a new entry all the same."""
    desk = Desk()
    ref = desk.order(BUY, 5)
    assert desk.state("paused") == [m.CancelRequest("a", "X", ref)]
    assert desk.amend(ref, **change) == veto(ref, "trading is paused")


def test_while_paused_exits_together_stay_within_the_position() -> None:
    desk = Desk(5)
    ref, _ = desk.order(SELL, 2), desk.order(SELL, 2)
    desk.state("paused")
    assert desk.amend(ref, quantity=5) == to(ref, 3)


def test_a_restored_actor_knows_the_change_under_way() -> None:
    desk = Desk(max_position="10")
    ref = desk.order(BUY, 4)
    desk.amend(ref, quantity=8)
    other = Desk(max_position="10")
    other.risk.load(desk.risk.dump())
    assert other.risk.dump() == desk.risk.dump()
    assert other.amend(ref, quantity=9) == veto(ref, "an earlier amend is under way")
    other.refused(ref)
    assert other.amend(ref, quantity=9) == to(ref, 9)


# --- the whole core ---------------------------------------------------------------------------------


def test_a_strategy_changes_its_order_and_hears_of_it(rig: Any, scripted: Scripted, of: Of) -> None:
    heard: list[Any] = []
    strategy = scripted(
        {
            0: lambda s: s.buy(5, limit=90),
            1: lambda s: s.amend(1, limit=95, quantity=6),
            2: lambda s: s.amend(1, stop=9),
        },
        on_order=lambda _, update: heard.append((update.ref, update.state, update.reason)),
        on_fill=lambda _, execution: heard.append((execution.ref, execution.price, execution.quantity, execution.done)),
    )
    desk = rig(strategy)
    desk.flat(100.0, 3)
    desk.bar(100, 101, 94, 96)
    assert heard == [
        (1, "accepted", ""),
        (1, "amended", ""),
        (1, "amend_rejected", "a limit order has no such price"),
        (1, 95.0, 6.0, True),
    ]
    assert desk.core.ledger.holdings["a", "X"].quantity_lots == 6


def test_an_amend_is_a_decision_and_its_digest_is_the_same_every_time(rig: Any, scripted: Scripted) -> None:
    def play(limit: float) -> tuple[bytes, list[str]]:
        plan = {0: lambda s: s.buy(5, limit=90), 1: lambda s: s.amend(1, limit=limit)}
        desk = rig(scripted(plan))
        desk.flat(100.0, 2)
        return desk.core.digest.value, [type(each).__name__ for each in desk.decided]

    once, decided = play(95)
    assert decided == ["Intent", "AmendRequest", "Amended"]
    assert (once, decided) == play(95)
    assert once != play(94)[0]


def test_a_strategy_that_is_restored_after_a_fault_does_not_amend_again(rig: Any, scripted: Scripted, of: Of) -> None:
    def stumble(strategy: Any, _: Any) -> None:
        if strategy.now_ns == poison_ns:
            message = "poison"
            raise ValueError(message)

    plan = {0: lambda s: s.buy(5, limit=90), 1: lambda s: s.amend(1, limit=95)}
    desk = rig(scripted(plan, every_bar=stumble))
    poison_ns = desk.opens_ns["X"] + 3 * MINUTE
    said = desk.flat(100.0, 5)
    assert len(of(m.Amended, said)) == 1
    assert len(of(m.ActorRestarted, said)) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, "nothing to change"),
        ({"quantity": 0}, "quantity must be a positive number"),
        ({"limit": float("nan")}, "limit must be a positive number"),
        ({"stop": -1}, "stop must be a positive number"),
    ],
)
def test_what_makes_no_sense_is_the_callers_mistake(
    rig: Any, scripted: Scripted, of: Of, change: dict[str, float], error: str
) -> None:
    desk = rig(scripted({0: lambda s: s.amend(1, **change)}))
    (failed,) = of(m.ActorFailed, desk.flat(100.0))
    assert error in failed.error


def test_numbers_of_other_types_are_taken_at_their_value(rig: Any, scripted: Scripted, of: Of) -> None:
    import numpy as np

    plan = {0: lambda s: s.buy(5, limit=90), 1: lambda s: s.amend(np.int64(1), limit=np.float64(95), quantity=6)}
    desk = rig(scripted(plan))
    (intent,) = [each for each in of(m.Intent, desk.flat(100.0, 2)) if each.action == "amend"]
    assert (type(intent.ref), type(intent.quantity), type(intent.limit_price)) == (int, float, float)


def test_before_its_first_order_a_strategy_has_nothing_to_amend(rig: Any, scripted: Scripted, of: Of) -> None:
    desk = rig(scripted({0: lambda s: s.amend(1, limit=95), 1: lambda s: s.amend(-1, limit=95)}))
    assert of(m.Intent, desk.flat(100.0, 2)) == []


def test_a_flatten_while_an_amend_travels_ends_flat(rig: Any, scripted: Scripted, of: Of) -> None:
    plan = {0: lambda s: s.buy(5), 3: lambda s: s.sell(5, stop=90), 5: lambda s: s.amend(2, stop=95)}
    desk = rig(scripted(plan), settings={"venue": {"latency_ms": 90_000}})
    said = desk.flat(100.0, 6)
    assert len(of(m.AmendRequest, said)) == 1
    assert of(m.Amended, said) == []
    desk.post(m.Flatten("c1"))
    said = desk.flat(100.0, 6)
    assert of(m.Flattened, said) == [m.Flattened()]
    assert desk.core.execution.orders == {}
    assert desk.core.ledger.holdings["a", "X"].quantity_lots == 0
