"""User code on its own: isolated, restored, skipped past what it cannot take, and abandoned in the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from actors import messages as m
from actors.strategy_port import Execution, OrderUpdate
from strategies.base import Strategy

Key = tuple[Any, ...]
Of = Callable[[type[Any], list[m.Message]], list[Any]]
Scripted = Callable[..., Strategy]

# --- what a strategy is told ------------------------------------------------------------------------


def test_a_fill_is_told_after_the_position_has_followed_it(rig: Any, scripted: Scripted) -> None:
    seen: list[tuple[float, Execution]] = []
    strategy = scripted({0: lambda s: s.buy(3)}, on_fill=lambda s, e: seen.append((s.position, e)))
    bench = rig(strategy, lot="0.1")
    bench.flat(100)
    bench.bar(102, 104, 101, 103)
    assert seen == [
        (3.0, Execution(1, 102.0, 3.0, 0.306, "taker", bench.now_ns - 60_000_000_000, done=True, symbol="X")),
    ]


def test_a_sale_is_told_with_a_negative_quantity(rig: Any, scripted: Scripted) -> None:
    seen: list[float] = []
    bench = rig(scripted({0: lambda s: s.sell(2)}, on_fill=lambda _, e: seen.append(e.quantity)))
    bench.flat(100, 2)
    assert seen == [-2.0]


def test_an_order_is_told_what_became_of_it(rig: Any, scripted: Scripted) -> None:
    seen: list[OrderUpdate] = []
    plan = {
        0: lambda s: s.buy(1, limit=90),
        1: lambda s: s.buy(1, limit=200, post_only=True),
        2: lambda s: s.cancel(1),
        3: lambda s: s.buy(1, limit=90, time_in_force="ioc"),
        5: lambda s: s.buy(0.4),
    }
    bench = rig(scripted(plan, on_order=lambda _, update: seen.append(update)))
    bench.flat(100, 6)
    assert seen == [
        OrderUpdate(1, "accepted", symbol="X"),
        OrderUpdate(2, "rejected", "post-only, and it would take liquidity", symbol="X"),
        OrderUpdate(1, "cancelled", "as requested", symbol="X"),
        OrderUpdate(3, "accepted", symbol="X"),
        OrderUpdate(3, "expired", "ioc: not fillable at once", symbol="X"),
        OrderUpdate(4, "vetoed", "quantity is below one lot", symbol="X"),
    ]


def test_every_strategy_hears_of_its_own_orders_only(rig: Any, scripted: Scripted) -> None:
    seen: list[tuple[str, float]] = []

    def note(name: str) -> Callable[[Any, Any], None]:
        return lambda _, e: seen.append((name, e.quantity))

    bench = rig(
        scripted({0: lambda s: s.buy(1)}, on_fill=note("a")), scripted({0: lambda s: s.sell(2)}, on_fill=note("b"))
    )
    bench.flat(100, 2)
    assert seen == [("a", 1.0), ("b", -2.0)]
    assert [actor.desk.position for actor in bench.core.strategies] == [1.0, -2.0]


def test_numbers_of_orders_count_up_whether_or_not_they_pass(rig: Any, scripted: Scripted) -> None:
    refs: list[int] = []
    act = lambda s: refs.extend([s.buy(1), s.target(0), s.sell(0.1), s.buy(1, limit=5)])  # noqa: E731
    rig(scripted({0: act})).flat(100)
    assert refs == [1, 2, 3, 4]


def test_cancelling_what_was_never_ordered_says_nothing(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rig(scripted({0: lambda s: (s.cancel(1), s.cancel(-1), s.cancel(10**30), s.buy(1))}))
    assert [intent.action for intent in of(m.Intent, bench.flat(100))] == ["order"]


def test_an_order_in_on_start_is_refused(rig: Any) -> None:
    """There is no input it could belong to: a journal could not tell of it."""

    class Hasty(Strategy):
        def on_start(self) -> None:
            self.buy(1)

    with pytest.raises(ValueError, match="orders can be given from the first bar on"):
        rig(Hasty())


# --- timers -----------------------------------------------------------------------------------------


def test_a_timer_comes_at_its_time_once(rig: Any, scripted: Scripted) -> None:
    seen: list[tuple[str, int]] = []
    strategy = scripted({0: lambda s: s.set_timer("x", 90)}, on_timer=lambda s, name: seen.append((name, s.now_ns)))
    bench = rig(strategy)
    bench.flat(100)
    due_ns = bench.now_ns + 90_000_000_000
    bench.flat(100, 5)
    assert seen == [("x", due_ns)]


def test_setting_a_timer_again_moves_it(rig: Any, scripted: Scripted) -> None:
    seen: list[int] = []
    strategy = scripted(every_bar=lambda s, _: s.set_timer("x", 90), on_timer=lambda s, _: seen.append(s.count))
    bench = rig(strategy)
    bench.flat(100, 5)
    assert seen == []
    bench.bar(100, skip=5)
    assert seen == [5]


def test_a_timer_can_be_set_before_the_first_bar_and_by_a_timer(rig: Any) -> None:
    seen: list[int] = []

    class Clockwork(Strategy):
        def on_start(self) -> None:
            self.set_timer("tick", 7)

        def on_timer(self, name: str, /) -> None:
            seen.append(self.now_ns)
            if len(seen) < 3:
                self.set_timer(name, 7)

    bench = rig(Clockwork())
    start_ns = bench.now_ns
    bench.flat(100)
    assert [now - start_ns for now in seen] == [7_000_000_000, 14_000_000_000, 21_000_000_000]


def test_a_timer_of_an_unthinkable_time_is_never(rig: Any, scripted: Scripted) -> None:
    bench = rig(scripted({0: lambda s: s.set_timer("x", 1e290)}))
    bench.flat(100, 3)
    assert bench.core.scheduler.dead_letters.count == 0
    bench.restore(bench.snapshot())


def test_strategies_have_timers_of_their_own(rig: Any, scripted: Scripted) -> None:
    seen: list[str] = []
    bench = rig(
        scripted({0: lambda s: s.set_timer("x", 30)}, on_timer=lambda _, name: seen.append(f"a {name}")),
        scripted({1: lambda s: s.set_timer("x", 30)}, on_timer=lambda _, name: seen.append(f"b {name}")),
    )
    bench.flat(100, 4)
    assert seen == ["a x", "b x"]


# --- isolation --------------------------------------------------------------------------------------


def busy(poison: Key | None, *, raises: bool, log: list[Key] | None = None) -> Strategy:
    """Return a strategy that uses everything; at the message `poison` it acts and raises, or does nothing at all."""

    class Busy(Strategy):
        def on_start(self) -> None:
            self.heard = 0
            self.window: deque[Any] = deque(maxlen=4)
            self.sums = np.zeros(3)
            self.refs: list[int] = []
            self.set_timer("beat", 100)

        def hear(self, *key: Any) -> bool:
            """Note a message; return whether to act on it."""
            if log is not None:
                log.append(key)
            if key == poison and not raises:
                return False
            self.heard += 1
            self.window.append(key)
            self.sums[self.heard % 3] += self.position + self.heard
            return True

        def spoil(self, *key: Any) -> None:
            if key == poison:
                self.set_timer("never", 1)
                self.refs.append(self.buy(50))
                raise ValueError("poison")

        def on_bar(self, bar: m.Bar, _: Any, /) -> None:
            key = ("bar", self.now_ns)
            if not self.hear(*key):
                return
            step = self.heard % 7
            if step == 0:
                self.refs.append(self.buy(2))
            elif step == 1:
                self.refs.append(self.sell(1, limit=bar.close + 2))
            elif step == 2:
                self.refs.append(self.sell(2, stop=bar.close - 3))
            elif step == 3:
                self.refs.append(self.buy(1, stop=bar.close + 1, limit=bar.close + 2))
            elif step == 4 and self.refs:
                self.cancel(self.refs.pop(0))
            elif step == 5:
                self.target(float(self.sums[0]) % 5 - 2)
            self.spoil(*key)

        def on_fill(self, execution: Execution, /) -> None:
            key = ("fill", self.now_ns, execution.ref)
            if self.hear(*key) and self.position > 6:
                self.target(1)
            self.spoil(*key)

        def on_order(self, update: OrderUpdate, /) -> None:
            key = ("order", self.now_ns, update.ref, update.state)
            if self.hear(*key) and update.state == "cancelled":
                self.set_timer("after", 45)
            self.spoil(*key)

        def on_timer(self, name: str, /) -> None:
            key = ("timer", self.now_ns, name)
            if not self.hear(*key):
                return
            if name == "beat":
                self.set_timer("beat", 130)
                self.buy(1)
            self.spoil(*key)

    return Busy()


WAVE = [100, 101, 103, 102, 99, 97, 98, 101, 104, 106, 103, 101, 98, 96, 95, 97, 99, 102, 105, 104]


def play(rig: Any, *strategies: Strategy, checkpoint: int = 1_000, restarts_max: int = 5) -> Any:
    """Run strategies over a wave of bars."""
    bench = rig(*strategies, settings={"supervision": {"checkpoint_inputs": checkpoint, "restarts_max": restarts_max}})
    bench.said = []
    for before, price in zip([WAVE[0], *WAVE], WAVE * 2, strict=False):
        bench.said += bench.bar(before, max(before, price) + 1, min(before, price) - 1, price)
    return bench


def told(rig: Any) -> list[Key]:
    """Return every message the busy strategy hears when nothing goes wrong."""
    log: list[Key] = []
    play(rig, busy(None, raises=False, log=log))
    assert {key[0] for key in log} == {"bar", "fill", "order", "timer"}
    assert len(log) == len(set(log)) > 60
    return log


def memory(bench: Any, index: int = 0) -> Any:
    """Return what a strategy and its desk remember."""
    state = msgspec.msgpack.decode(bench.core.strategies[index].dump())
    return state["checkpoint"]


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", [1, 2, 7, 1_000])
def test_poison_at_any_message_is_as_if_that_message_had_never_come(rig: Any, checkpoint: int) -> None:
    """Every message in turn: the digest, the state and the timers equal a run that skipped it knowingly."""
    for poison in told(rig):
        poisoned = play(rig, busy(poison, raises=True), checkpoint=checkpoint)
        skipped = play(rig, busy(poison, raises=False), checkpoint=checkpoint)
        (letter,) = poisoned.core.scheduler.dead_letters.letters
        assert letter.error == "ValueError: poison"
        assert letter.ts_ns == poison[1]
        assert poisoned.core.digest.value == skipped.core.digest.value, poison
        assert memory(poisoned) == memory(skipped), poison
        assert poisoned.core.context.timers.dump() == skipped.core.context.timers.dump(), poison
        assert poisoned.core.control.trading == "running"


def test_the_others_never_notice(rig: Any) -> None:
    """Whatever fails in one strategy, another one's wishes, orders and fills stay the same."""

    def of_b(bench: Any) -> list[m.Message]:
        own = [message for message in bench.said if getattr(message, "strategy", "") == "b"]
        silent = (m.FeatureRow, m.PositionChanged, m.OrderEvent)
        return [each for each in own if not isinstance(each, silent)] + [
            (each.ref, each.price_ticks, each.quantity_lots, each.fee_atoms, each.executed_ns)
            for each in own
            if isinstance(each, m.Fill)
        ]

    calm = play(rig, busy(None, raises=False), busy(None, raises=False))
    for poison in told(rig)[::9]:
        troubled = play(rig, busy(poison, raises=True), busy(None, raises=False))
        assert troubled.core.scheduler.dead_letters.count == 1
        assert of_b(troubled) == of_b(calm)
        assert memory(troubled, 1) == memory(calm, 1)


def failing(*bars: int) -> Strategy:
    """Return a strategy that keeps an order resting and a position, and raises on the bars named by index."""

    class Failing(Strategy):
        def on_bar(self, bar: m.Bar, _: Any, /) -> None:
            index = (bar.open_ns - START_NS) // 60_000_000_000
            if index in bars:
                raise ZeroDivisionError("division by zero")
            if index == 0:
                self.buy(5)
                self.buy(1, limit=50)
            if index == 1:
                self.sell(5, stop=60, reduce_only=True)
            if index == 8:
                self.buy(1)

    return Failing()


START_NS = 1_700_002_800_000_000_000


def test_a_failure_is_told_and_so_is_the_restart(rig: Any, of: Of) -> None:
    bench = rig(failing(2))
    bench.flat(100, 2)
    said = bench.flat(100)
    assert of(m.ActorFailed, said) == [
        m.ActorFailed("strategy.a", "ZeroDivisionError: division by zero", escalated=False)
    ]
    assert of(m.ActorRestarted, said) == [m.ActorRestarted("strategy.a", 1)]
    assert of(m.Intent, bench.flat(100, 6)), "it goes on"


@pytest.mark.parametrize(
    ("safe_state", "state", "open_refs", "position"),
    [("halt", "halted", [3], 5), ("cancel_all", "halted", [], 5), ("flatten", "halted", [], 0)],
)
def test_past_its_intensity_it_is_abandoned_and_the_account_is_made_safe(
    rig: Any, of: Of, safe_state: str, state: str, open_refs: list[int], position: int
) -> None:
    bench = rig(failing(2, 3, 4), settings={"supervision": {"restarts_max": 2, "safe_state": safe_state}})
    bench.flat(100, 4)
    said = bench.flat(100)
    (failed,) = of(m.ActorFailed, said)
    assert failed.escalated
    said = bench.flat(100, 6)
    assert of(m.Intent, said) == [], "it hears nothing any more"
    core = bench.core
    assert core.control.trading == state
    assert [order.request.ref for order in core.execution.orders.values()] == open_refs
    assert core.ledger.holdings["a", "X"].quantity_lots == position
    assert core.strategies[0].desk.position == position, "the desk still follows the ledger"


def test_failures_far_apart_never_escalate(rig: Any) -> None:
    settings = {"supervision": {"restarts_max": 1, "restart_window_s": 120.0}}
    bench = rig(failing(1, 3, 5, 7, 9), settings=settings)
    bench.flat(100, 12)
    assert bench.core.scheduler.dead_letters.count == 5
    assert bench.core.control.trading == "running"


def test_a_state_that_cannot_be_kept_is_a_failure_of_the_strategy(rig: Any, scripted: Scripted) -> None:
    def act(strategy: Any, bar: m.Bar) -> None:
        if bar.open == 101:
            strategy.file = object()

    bench = rig(scripted(every_bar=act), settings={"supervision": {"checkpoint_inputs": 1}})
    for price in (100, 101, 102, 103):
        bench.bar(price)
    (letter,) = bench.core.scheduler.dead_letters.letters
    assert letter.error.startswith("StateError: self.file cannot be kept across a restart")
    assert bench.core.control.trading == "running"


def test_what_an_abandoned_strategy_left_behind_does_not_stop_snapshots(rig: Any, scripted: Scripted) -> None:
    """It was given up in the middle of a message, with a state that cannot be kept."""

    def act(strategy: Any, bar: m.Bar) -> None:
        if bar.open == 101:
            strategy.file = object()
            raise ValueError("poison")

    settings = {"supervision": {"restarts_max": 0, "safe_state": "halt"}}
    bench = rig(scripted({0: lambda s: s.buy(2)}, every_bar=act), settings=settings)
    for price in (100, 101, 102):
        bench.bar(price)
    other = rig(scripted({0: lambda s: s.buy(2)}, every_bar=act), settings=settings)
    other.restore(bench.snapshot())
    assert other.snapshot() == bench.snapshot()
    assert other.core.strategies[0].abandoned
    assert other.core.strategies[0].desk.position == 2


def test_abandonment_and_intensity_survive_a_restart(rig: Any, of: Of) -> None:
    settings = {"supervision": {"restarts_max": 1, "safe_state": "halt"}}
    bench = rig(failing(1, 2), settings=settings)
    bench.flat(100, 2)
    other = rig(failing(1, 2), settings=settings)
    other.restore(bench.snapshot())
    (failed,) = of(m.ActorFailed, other.flat(100))
    assert failed.escalated, "the restart of before counts"
    third = rig(failing(1, 2), settings=settings)
    third.restore(other.snapshot())
    assert of(m.Intent, third.flat(100, 8)) == []


def test_memory_between_checkpoints_is_bounded(rig: Any, scripted: Scripted) -> None:
    bench = rig(
        scripted(every_bar=lambda s, _: s.target(s.count % 2)), settings={"supervision": {"checkpoint_inputs": 10}}
    )
    bench.flat(100, 200)
    assert len(bench.core.strategies[0]._since) <= 12
