"""Bars of several symbols by their time: who waits for whom, and for how long."""

from __future__ import annotations

from collections import deque

import anyio
import pytest

from actors.messages import Bar
from daemon.edges.feed.bar_merge import BarMerge

MINUTE = 60_000_000_000


def bar(symbol: str, index: int) -> Bar:
    return Bar(symbol, MINUTE, index * MINUTE, (index + 1) * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0)


class Symbol:
    """One symbol; `behind` is the first bar it owes."""

    def __init__(self, merge: BarMerge, symbol: str) -> None:
        self.symbol = symbol
        self.leaving: deque[Bar] = deque()
        self.behind: int | None = None
        self.asked: list[bool] = []
        merge.join(self)

    def owes(self, bar: Bar, *, goes_first: bool) -> int | None:
        self.asked.append(goes_first)
        if self.behind is None or (self.behind + 1) * MINUTE >= bar.close_ns + goes_first:
            return None
        return self.behind * 60_000

    def add(self, *indices: int) -> None:
        self.leaving.extend(bar(self.symbol, index) for index in indices)


class World:
    """A merge of two symbols and what came out."""

    def __init__(self) -> None:
        self.out: list[tuple[str, int]] = []
        self.now_s = 50.0
        self.gate: anyio.Event | None = None
        self.merge = BarMerge(self.take, 5.0, lambda: self.now_s)
        self.a, self.b = Symbol(self.merge, "A"), Symbol(self.merge, "B")

    async def take(self, bar: Bar) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self.out.append((bar.symbol, bar.open_ns // MINUTE))


@pytest.fixture
def world() -> World:
    return World()


async def test_bars_that_are_there_leave_by_time_and_then_by_symbol(world: World) -> None:
    world.b.add(0, 1, 2)
    world.a.add(1, 2, 3)
    await world.merge.let_out()
    assert world.out == [("B", 0), ("A", 1), ("B", 1), ("A", 2), ("B", 2), ("A", 3)]


async def test_a_symbol_that_owes_nothing_is_not_waited_for(world: World) -> None:
    world.b.add(0, 1)
    await world.merge.let_out()
    assert world.out == [("B", 0), ("B", 1)]


async def test_a_bar_waits_for_those_that_come_before_it(world: World) -> None:
    world.b.add(0, 1, 2)
    world.a.behind = 1
    await world.merge.let_out()
    assert world.out == [("B", 0)], "what comes before all that is owed need not wait"
    world.a.behind = 3
    world.a.add(1, 2)
    await world.merge.let_out()
    assert world.out == [("B", 0), ("A", 1), ("B", 1), ("A", 2), ("B", 2)]


async def test_a_symbol_is_asked_whether_it_goes_first(world: World) -> None:
    world.b.add(0)
    await world.merge.let_out()
    world.a.add(0)
    await world.merge.let_out()
    assert (world.a.asked, world.b.asked) == ([True], [False])


async def test_patience_ends_and_begins_anew_once_the_symbol_moves(world: World) -> None:
    world.b.add(5, 6)
    world.a.behind = 1
    await world.merge.let_out()
    world.now_s += 4.9
    await world.merge.let_out()
    assert world.out == []
    world.now_s += 0.2
    await world.merge.let_out()
    assert world.out == [("B", 5), ("B", 6)]
    world.b.add(7)
    await world.merge.let_out()
    assert len(world.out) == 3, "it has not moved"
    world.a.behind = 2
    world.b.add(8)
    await world.merge.let_out()
    assert len(world.out) == 3, "it has moved, and may catch up"


async def test_a_bar_whose_taking_is_broken_off_is_there_the_next_time(world: World) -> None:
    world.a.add(0, 1)
    world.gate = anyio.Event()
    with anyio.move_on_after(0.02):
        await world.merge.let_out()
    assert world.out == []
    world.gate.set()
    await world.merge.let_out()
    assert world.out == [("A", 0), ("A", 1)]
