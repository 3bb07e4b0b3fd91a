"""Deadlines: when they come up, in which order, and what moving one does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import TimerFired
from actors.runtime.timers import NEVER_NS, Timers


def drain(timers: Timers, ts_ns: int) -> list[tuple[int, str, str]]:
    """Return every timer due before `ts_ns`, in the order it comes up."""
    fired = []
    while (message := timers.pop_before(ts_ns)) is not None:
        fired.append((message.due_ns, message.actor, message.name))
    return fired


def test_a_timer_is_due_before_what_comes_later_and_not_at_its_own_time() -> None:
    timers = Timers()
    timers.arm("a", "x", 100)
    assert timers.pop_before(100) is None
    assert timers.pop_before(101) == TimerFired("a", "x", 100)


def test_a_timer_fires_once() -> None:
    timers = Timers()
    timers.arm("a", "x", 100)
    drain(timers, 200)
    assert timers.pop_before(NEVER_NS) is None
    assert timers.find("a", "x") is None


def test_ties_go_by_actor_then_name_whatever_the_order_of_arming() -> None:
    forwards, backwards = Timers(), Timers()
    names = [("a", "x"), ("a", "y"), ("b", "a"), ("b", "x")]
    for actor, name in names:
        forwards.arm(actor, name, 7)
    for actor, name in reversed(names):
        backwards.arm(actor, name, 7)
    expected = [(7, actor, name) for actor, name in names]
    assert drain(forwards, 8) == drain(backwards, 8) == expected


def test_arming_again_moves_the_deadline_either_way() -> None:
    timers = Timers()
    timers.arm("a", "later", 100)
    timers.arm("a", "later", 300)
    timers.arm("a", "sooner", 300)
    timers.arm("a", "sooner", 100)
    assert drain(timers, 200) == [(100, "a", "sooner")]
    assert drain(timers, 400) == [(300, "a", "later")]


def test_a_deadline_is_moved_to_later_by_assignment() -> None:
    timers = Timers()
    timer = timers.arm("market", "X", 100)
    timer.due_ns = 250
    assert drain(timers, 200) == []
    assert drain(timers, 300) == [(250, "market", "X")]


def test_a_disarmed_timer_never_fires_and_disarming_nothing_is_fine() -> None:
    timers = Timers()
    timers.arm("a", "x", 100)
    timers.disarm("a", "x")
    timers.disarm("a", "unknown")
    assert drain(timers, 200) == []


def test_a_timer_armed_again_after_it_was_disarmed_fires_at_its_new_time_only() -> None:
    timers = Timers()
    timers.arm("a", "x", 100)
    timers.disarm("a", "x")
    timers.arm("a", "x", 150)
    assert drain(timers, 400) == [(150, "a", "x")]


def test_the_hint_is_never_later_than_the_earliest_deadline() -> None:
    timers = Timers()
    assert timers.next_hint_ns == NEVER_NS
    timers.arm("a", "x", 100)
    timer = timers.arm("a", "y", 50)
    assert timers.next_hint_ns == 50
    timer.due_ns = 80
    assert timers.next_hint_ns <= 80
    drain(timers, 90)
    assert timers.next_hint_ns == 100


def test_a_firing_from_a_journal_disarms_the_timer_it_tells_of() -> None:
    timers = Timers()
    timers.arm("a", "x", 100)
    timers.fired(TimerFired("a", "x", 100))
    assert drain(timers, 200) == []


def test_a_firing_of_an_earlier_deadline_leaves_the_new_one_alone() -> None:
    timers = Timers()
    timers.arm("a", "x", 100)
    timers.arm("a", "x", 300)
    timers.fired(TimerFired("a", "x", 100))
    timers.fired(TimerFired("b", "unknown", 100))
    assert drain(timers, 400) == [(300, "a", "x")]


def test_a_timer_armed_again_and_again_takes_no_memory_and_no_time() -> None:
    """A time-out pushed back on every bar of an unbounded tape; the heap once kept an entry for each."""
    timers = Timers()
    for now in range(0, 20_000, 2):
        timers.arm("a", "timeout", now + 1_000)
        timers.arm("a", "other", now + 500)
        assert drain(timers, now) == []
    assert len(timers._heap) <= 4


@pytest.mark.slow
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("arm"), st.sampled_from("abc"), st.sampled_from("xy"), st.integers(1, 60)),
            st.tuples(st.just("move"), st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 30)),
            st.tuples(st.just("disarm"), st.sampled_from("abc"), st.sampled_from("xy"), st.just(0)),
            st.tuples(st.just("run"), st.just(""), st.just(""), st.integers(1, 20)),
            st.tuples(st.just("reload"), st.just(""), st.just(""), st.just(0)),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=300)
def test_any_history_agrees_with_a_plain_table_of_deadlines(history: list[tuple[str, str, str, int]]) -> None:
    timers = Timers()
    table: dict[tuple[str, str], int] = {}
    now = 0
    for action, actor, name, number in history:
        key = (actor, name)
        if action == "arm":
            timers.arm(actor, name, now + number)
            table[key] = now + number
        elif action == "move" and (timer := timers.find(actor, name)) is not None:
            timer.due_ns += number
            table[key] += number
        elif action == "disarm":
            timers.disarm(actor, name)
            table.pop(key, None)
        elif action == "run":
            now += number
            due = sorted((at, *who) for who, at in table.items() if at < now)
            assert drain(timers, now) == due
            table = {who: at for who, at in table.items() if at >= now}
        elif action == "reload":
            kept = timers.dump()
            timers = Timers()
            timers.load(kept)
            assert timers.dump() == kept
        assert timers.dump() == sorted((*who, at) for who, at in table.items())
        assert all(timers.next_hint_ns <= at for at in table.values())


def test_a_dump_loads_into_equal_deadlines_and_forgets_what_was_there() -> None:
    timers, other = Timers(), Timers()
    timers.arm("b", "y", 5)
    timers.arm("a", "x", 9)
    other.arm("c", "gone", 1)
    other.load(timers.dump())
    assert timers.dump() == other.dump() == [("a", "x", 9), ("b", "y", 5)]
    assert drain(other, 100) == [(5, "b", "y"), (9, "a", "x")]
