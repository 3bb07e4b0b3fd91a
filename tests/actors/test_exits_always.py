"""Exits under whatever may come: any path of bars or trades, any orders, partial fills, refusals, restarts."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors import messages as m
from strategies.base import Bar, Strategy
from tests.actors.conftest import MINUTE, START_NS, Rig

SECOND = 10**9
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ACTIONS = st.one_of(
    st.tuples(
        st.just("bracket"),
        st.sampled_from([-7, -4, -1, 1, 3, 10]),
        st.sampled_from([None, 1, 4, 9]),  # how far the stop is
        st.sampled_from([(), ((3, 1.0),), ((2, 0.3), (5, 0.5)), ((4, 0.5), (1, 0.5))]),
        st.sampled_from([None, 2, 6]),  # trailing
        st.sampled_from([None, 1, 3]),  # break-even
        st.sampled_from([None, 2, 5]),  # bars
        st.sampled_from(["market", "limit", "trigger"]),
    ),
    st.tuples(st.just("buy"), st.integers(1, 9)),
    st.tuples(st.just("sell"), st.integers(1, 9)),
    st.tuples(st.just("limit"), st.integers(-6, 6), st.integers(1, 5)),
    st.tuples(st.just("target"), st.integers(-5, 5)),
    st.tuples(st.just("scale_out"), st.sampled_from([0.1, 0.5, 1.0])),
    st.tuples(st.just("protect"), st.integers(1, 6)),
    st.tuples(st.just("trail"), st.integers(1, 6)),
    st.tuples(st.just("oco"), st.integers(1, 4)),
    st.tuples(st.just("close")),
    st.tuples(st.just("release")),
    st.tuples(st.just("fail")),
    st.tuples(st.just("pause")),
    st.tuples(st.just("halt")),
    st.tuples(st.just("resume")),
    st.tuples(st.just("pause a")),
    st.tuples(st.just("flatten a")),
    st.tuples(st.just("close X of a")),
    st.tuples(st.just("resume a")),
    st.tuples(st.just("nothing")),
)
COMMANDS: dict[str, Any] = {
    "pause": m.Pause("c"),
    "halt": m.Halt("c"),
    "resume": m.Resume("c"),
    "pause a": m.PauseStrategy("c", "a"),
    "flatten a": m.FlattenStrategy("c", "a"),
    "close X of a": m.ClosePosition("c", "a", "X"),
    "resume a": m.ResumeStrategy("c", "a"),
}
STEPS = st.lists(
    st.tuples(ACTIONS, st.integers(-6, 6), st.integers(0, 5), st.integers(0, 5), st.integers(-6, 6)),
    min_size=1,
    max_size=25,
)


class Plays(Strategy):
    """Does what its script says with each bar."""

    script: ClassVar[list[Any]] = []

    def on_start(self) -> None:
        self.heard = 0

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        action, *terms = self.script[(bar.open_ns - START_NS) // MINUTE]
        price = bar.close
        if action == "bracket":
            self.enter(price, *terms)
        elif action == "buy":
            self.buy(terms[0])
        elif action == "sell":
            self.sell(terms[0])
        elif action == "limit":
            order = self.buy if terms[0] > 0 else self.sell
            order(terms[1], limit=max(1, price - terms[0]))
        elif action == "oco":
            self.oco(self.buy(2, stop=price + terms[0]), self.sell(3, stop=max(1, price - terms[0])))
        elif action == "protect":
            side = 1 if self.position >= 0 else -1
            self.protect(stop=max(1, price - side * terms[0]), take_profit=max(1, price + side * terms[0]))
        elif action == "fail":
            self.bracket(2, stop=price - 5)
            raise ValueError
        elif action in ("target", "scale_out", "trail", "close", "release"):
            getattr(self, action)(*terms)

    def enter(
        self, price: float, quantity: float, stop: Any, rungs: Any, trail: Any, even: Any, bars: Any, kind: str
    ) -> None:
        side = 1 if quantity > 0 else -1
        at = {"market": None, "limit": price - side, "trigger": price + side}[kind]
        start = price if at is None else at
        self.bracket(
            quantity,
            stop=None if stop is None else max(1, start - side * stop),
            take_profit=[(max(1, start + side * away), share) for away, share in rungs] or None,
            trail=trail,
            break_even=even,
            time_stop_bars=bars,
            limit=at if kind == "limit" else None,
            trigger=at if kind == "trigger" else None,
        )

    def on_fill(self, _: Any, /) -> None:
        self.heard += 1


class World:
    """A bench whose exits are judged after every input, by what risk and execution know of them."""

    def __init__(self, steps: list[Any], *, long_only: bool = False, ticks: bool = False) -> None:
        self.steps = steps
        self.long_only = long_only
        kind = type(Strategy)("Plays", (Plays,), {"script": [step[0] for step in steps]})
        self.make = lambda: Rig(
            kind(),
            settings={"supervision": {"restarts_max": 1_000, "checkpoint_inputs": 5}},
            long_only=long_only,
            ticks=("X",) if ticks else (),
        )
        self.ticks = ticks
        self.bench = self.make()
        self.price = 100
        self.lots = 0
        self.exit_refs: set[int] = set()

    def play(self) -> None:
        for step in self.steps:
            self.step(step)

    def step(self, step: Any) -> None:
        action, opened, up, down, closed = step
        if action[0] in COMMANDS:
            self.judged(self.bench.post(COMMANDS[action[0]]))
        start = max(20, self.price + opened)
        end = max(20, start + closed)
        if self.ticks:
            self.trade_along([start, start + up, max(10, start - down), end], lots=1 + up)
        self.judged(self.bench.bar(start, max(start, end) + up, max(10, min(start, end) - down), end))
        self.price = end

    def trade_along(self, prices: list[int], lots: int) -> None:
        """Trade at each price a few seconds apart, so that orders fill in parts."""
        start_ns = self.bench.opens_ns["X"]
        for index, price in enumerate(prices):
            now_ns = start_ns + (index + 1) * SECOND
            scheduler = self.bench.core.scheduler
            self.bench.ear.heard.clear()
            scheduler.fire_before(now_ns)
            side = m.SELL if index % 2 else m.BUY
            scheduler.post(now_ns, m.Trade("X", now_ns, float(price), float(lots), side, now_ns))
            self.judged(list(self.bench.ear.heard))

    def judged(self, said: list[m.Message]) -> None:
        self.fills_only_reduce(said)
        core = self.bench.core
        held = core.ledger.holdings.get(("a", "X"))
        lots = 0 if held is None else held.quantity_lots
        exits = core.strategies[0].desk.exits
        working = {order.request.ref: order for order in core.execution.orders.values()}
        legs = {leg.ref: leg for plan in exits.plans.values() for leg in plan.legs}
        assert legs.keys() <= working.keys(), "an exit that has ended is forgotten"
        for ref, order in working.items():
            if ref in self.exit_refs:
                assert ref in legs, "no exit works that nobody looks after"
                assert order.request.quantity_lots == legs[ref].lots
                assert order.filled_lots == legs[ref].filled_lots
                if self.is_managing():
                    assert lots * order.request.side < 0 or legs[ref].state == "cancelling"
        if self.long_only:
            assert lots >= 0
            at_risk = sum(leg.worst_lots for leg in legs.values())
            assert at_risk <= lots or any(leg.state == "cancelling" for leg in legs.values())
        self.is_protected(exits, lots)

    def is_managing(self) -> bool:
        """Return whether exits are ordered: neither the account nor the strategy is flattening, halted or stopping."""
        core = self.bench.core
        managing = core.control.trading in ("running", "paused") and core.control.state_of("a") != "flattening"
        return managing and not core.risk.is_clearing("a", "X")

    def is_protected(self, exits: Any, lots: int) -> None:
        """A stop rests for all that is held, or it is being closed, or brought there."""
        plan = exits.plans.get("X")
        if plan is None or not self.is_managing() or not plan.stop_ticks or plan.held_back:
            return
        held = plan.side * lots
        if held <= 0 or plan.closing:
            return
        leg = plan.leg("stop")
        closing = sum(leg.worst_lots for leg in plan.legs if leg.key == "close")
        assert leg is not None or closing >= held, "nothing protects what is held"
        if leg is not None and leg.state == "working":
            assert leg.ticks == plan.stop_ticks
            assert leg.open_lots == held - (closing if self.long_only else 0)

    def fills_only_reduce(self, said: list[m.Message]) -> None:
        """An exit's execution never turns a book around: followed fill by fill."""
        fill: m.Fill | None = None
        for message in said:
            if isinstance(message, m.Intent) and message.reduce_only:
                self.exit_refs.add(message.ref)
            elif isinstance(message, m.Fill):
                fill = message
            elif isinstance(message, m.PositionChanged):
                after = message.quantity_lots
                if fill is not None and fill.ref in self.exit_refs:
                    assert abs(after) < abs(self.lots), fill
                    assert after * self.lots >= 0, fill
                self.lots = after


@pytest.mark.slow
@QUIET
@given(STEPS)
def test_on_bars(steps: list[Any]) -> None:
    World(steps).play()


@pytest.mark.slow
@QUIET
@given(STEPS)
def test_on_bars_where_nothing_is_sold_that_is_not_held(steps: list[Any]) -> None:
    World(steps, long_only=True).play()


@pytest.mark.slow
@QUIET
@given(STEPS)
def test_on_trades_that_fill_in_parts(steps: list[Any]) -> None:
    World(steps, ticks=True).play()


@pytest.mark.slow
@QUIET
@given(STEPS)
def test_on_trades_where_nothing_is_sold_that_is_not_held(steps: list[Any]) -> None:
    World(steps, ticks=True, long_only=True).play()


@pytest.mark.slow
@QUIET
@given(STEPS, st.integers(0, 24), st.booleans())
def test_a_restart_anywhere_changes_nothing(steps: list[Any], cut: int, ticks: bool) -> None:
    one, two = World(steps, ticks=ticks), World(steps, ticks=ticks)
    for index, step in enumerate(steps):
        one.step(step)
        two.step(step)
        if index == cut % len(steps):
            fresh = two.make()
            fresh.restore(two.bench.snapshot())
            fresh.opens_ns = dict(two.bench.opens_ns)
            assert fresh.snapshot() == two.bench.snapshot()
            two.bench = fresh
    assert one.bench.core.digest.value == two.bench.core.digest.value
    assert one.bench.snapshot() == two.bench.snapshot()
