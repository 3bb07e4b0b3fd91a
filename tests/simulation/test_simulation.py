"""Fifty seeds of the simulated world, each some hours of faults; `make simulate SEEDS=1000` lives through more."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors import messages as m
from config.risk import SymbolRisk
from tests.simulation.world import Faults, World, simulate

_EXIT_BEFORE_A_LADDER = 699
"""An exit closed what resting orders were to close: these then opened beyond the limit of the position."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(50), _EXIT_BEFORE_A_LADDER])
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


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["max_position", "max_open_orders", "max_orders_per_minute", "max_notional"])
def test_a_limit_that_is_not_kept_is_noticed(limit: str) -> None:
    """What the judge is told of the limits is tightened behind the back of the rules."""
    world = World(6, Faults())
    in_force = world.core.risk.in_force
    tight: Any = {"max_open_orders": 1, "max_orders_per_minute": 1, "max_notional": Decimal(1)}
    if limit == "max_position":
        symbols = {symbol: SymbolRisk(max_position=Decimal("1e-8")) for symbol in world.venue.markets}
        in_force.limits = msgspec.structs.replace(in_force.limits, symbols=symbols)
    else:
        in_force.limits = msgspec.structs.replace(in_force.limits, **{limit: tight[limit]})
    world.play(60)
    assert world.watch.found != []


@pytest.mark.slow
def test_an_exit_that_is_refused_is_noticed() -> None:
    world = World(6, Faults())
    world.play(30)
    core = world.core
    strategy, symbol = next(book for book, held in core.ledger.holdings.items() if held.quantity_lots > 0)
    core.execution.orders.clear()
    world.watch.hear(core, m.Intent(strategy, symbol, 10**6, "target", 0, 0.0))
    assert world.watch.found == []
    world.watch.hear(core, m.RiskVeto(strategy, symbol, 10**6, "gross limit 5 of the account"))
    assert len(world.watch.found) == 1
