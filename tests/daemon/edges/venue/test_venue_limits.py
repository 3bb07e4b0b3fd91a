"""Turns: who goes first, and how much goes out in a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.edges.venue.limits import SHARES, Limits, Priority


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


class Bench:
    """Limits and those who wait."""

    def __init__(self, weight_per_minute: int) -> None:
        self.clock = Hands()
        self.limits = Limits(weight_per_minute, self.clock)
        self.went: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *wishes: tuple[str, Priority, int]) -> None:
        for name, priority, weight in wishes:
            self.tasks[name] = asyncio.create_task(self._wait(name, priority, weight))
        await settle()

    async def _wait(self, name: str, priority: Priority, weight: int) -> None:
        await self.limits.turn(priority, weight)
        self.went.append(name)

    async def move(self, by_s: float) -> None:
        self.clock.now_s += by_s
        self.limits.pause(0.0)
        await settle()

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


ENTRY, EXIT, CANCEL = Priority.ENTRY, Priority.EXIT, Priority.CANCEL
QUESTION, ACCOUNT = Priority.ORDER_QUESTION, Priority.ACCOUNT_QUESTION


async def test_after_a_pause_the_most_urgent_goes_first() -> None:
    bench = Bench(1_000)
    bench.limits.pause(5.0)
    await bench.ask(("account", ACCOUNT, 20), ("entry", ENTRY, 1), ("question", QUESTION, 4), ("entry 2", ENTRY, 1))
    await bench.ask(("exit", EXIT, 1), ("cancel", CANCEL, 1))
    assert bench.went == []

    await bench.move(5.0)

    assert bench.went == ["cancel", "exit", "entry", "entry 2", "question", "account"]


async def test_questions_leave_weight_for_what_lessens_risk() -> None:
    bench = Bench(100)
    await bench.ask(*[(f"account {number}", ACCOUNT, 20) for number in range(5)])
    assert len(bench.went) == 3, "75 of 100"
    await bench.ask(*[(f"entry {number}", ENTRY, 10) for number in range(5)])
    assert len(bench.went) == 6, "90 of 100"
    await bench.ask(("exit", EXIT, 5), ("cancel", CANCEL, 5))

    assert bench.went[-2:] == ["exit", "cancel"], "all of it"
    await bench.end()


async def test_weight_comes_back_after_a_minute() -> None:
    bench = Bench(100)
    await bench.ask(("first", CANCEL, 60))
    await bench.move(30.0)
    await bench.ask(("second", CANCEL, 60))
    assert bench.went == ["first"]

    await bench.move(29.9)
    assert bench.went == ["first"]
    await bench.move(0.1)

    assert bench.went == ["first", "second"]


async def test_one_that_is_heavier_than_the_limit_goes_alone() -> None:
    bench = Bench(10)

    await bench.ask(("heavy", ACCOUNT, 20))

    assert bench.went == ["heavy"]


async def test_who_gives_up_does_not_stand_in_the_way() -> None:
    bench = Bench(100)
    bench.limits.pause(5.0)
    await bench.ask(("first", CANCEL, 1), ("second", CANCEL, 1))
    bench.tasks["first"].cancel()
    await settle()

    await bench.move(5.0)

    assert bench.went == ["second"]
    assert bench.limits.statistics().waiting == 0
    assert bench.limits.statistics().spent == 1


async def test_what_others_spend_counts() -> None:
    bench = Bench(100)
    await bench.ask(("first", CANCEL, 10))
    bench.limits.observe(95)
    await bench.ask(("second", CANCEL, 10))

    assert bench.limits.statistics().spent == 95
    assert bench.went == ["first"]
    bench.limits.observe(5)
    assert bench.limits.statistics().spent == 95, "less than we counted is an old count"
    await bench.end()


async def test_a_real_wait_ends_by_itself() -> None:
    limits = Limits(100)
    limits.pause(0.02)

    async with asyncio.timeout(5.0):
        await limits.turn(CANCEL, 1)

    assert limits.statistics().paused_s == 0.0


@given(st.lists(st.tuples(st.sampled_from(list(Priority)), st.integers(1, 40), st.floats(0, 20)), max_size=40))
@example([(Priority.CANCEL, 11, 1.4988559328136448), (Priority.MARKET_DATA, 40, 0.0), (Priority.CANCEL, 11, 0.0)])
@settings(max_examples=50, deadline=None)
def test_no_minute_is_overspent(wishes: Iterable[tuple[Priority, int, float]]) -> None:
    """In any 60 seconds at most the limit, and what goes out leaves the share of what is more urgent."""

    async def play() -> None:
        bench = Bench(100)
        spent: list[tuple[float, int]] = []

        async def wait(priority: Priority, weight: int) -> None:
            await bench.limits.turn(priority, weight)
            now_s = bench.clock.now_s
            window = sum(each for at_s, each in spent if at_s > now_s - 60.0)
            assert window + weight <= int(SHARES[priority] * 100)
            spent.append((now_s, weight))

        tasks = []
        for priority, weight, pause_s in wishes:
            tasks.append(asyncio.create_task(wait(priority, weight)))
            await settle()
            await bench.move(pause_s)
        while not all(task.done() for task in tasks):
            await bench.move(10.0)
        await asyncio.gather(*tasks)

    asyncio.run(play())


@pytest.mark.parametrize("priority", list(Priority))
def test_every_priority_has_a_share(priority: Priority) -> None:
    assert 0.0 < SHARES[priority] <= 1.0
