"""Fifty seeds of the simulated world, each some hours of faults; `make simulate SEEDS=1000` lives through more."""

from __future__ import annotations

import msgspec
import pytest

from tests.simulation.world import Faults, World, simulate


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_every_promise_is_kept(seed: int) -> None:
    world, problems = simulate(seed)
    assert problems == [], f"reproduce with: simulate({seed})"
    assert len(world.placed) > 10


@pytest.mark.slow
@pytest.mark.parametrize("fault", msgspec.structs.fields(Faults), ids=lambda field: field.name)
def test_each_fault_alone_happens_and_is_survived(fault: msgspec.structs.FieldInfo) -> None:
    world = World(7, Faults(**{fault.name: 0.3}))
    world.play(120)
    assert world.counts[fault.name] > 3
    world.settle()
    assert world.problems() == []


@pytest.mark.slow
def test_a_seed_tells_the_same_story_twice() -> None:
    one, two = (simulate(3)[0] for _ in range(2))
    assert one.core.digest.value == two.core.digest.value
    assert one.counts == two.counts


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["trade booked twice", "trade lost", "order forgotten"])
def test_a_broken_promise_is_noticed(damage: str) -> None:
    """The judge, judged."""
    world = World(5, Faults())
    world.play(60)
    world.settle()
    assert world.problems() == []
    if damage == "trade booked twice":
        world.fills.append(world.fills[-1])
    elif damage == "trade lost":
        world.fills.pop()
    else:
        world.taken[next(iter(world.taken))] += 1
    assert world.problems() != []
