"""Checkpoints of a strategy: what is kept of it and of its desk, and how it returns there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from actors.desk.standing import KeptStanding
from actors.messages import Bar

if TYPE_CHECKING:
    from actors.desk.desk import Desk
    from actors.messages import Message
    from actors.strategy_port import StrategyPort


class Checkpoint(msgspec.Struct, frozen=True):
    """The strategy's state, and what its desk remembers, at one point."""

    strategy: bytes
    ref: int
    position_lots: int
    reference_bar: Bar | None
    tick_price: float = 0.0
    tick_ns: int = 0
    cost_atoms: int = 0
    further: list[KeptStanding] = []
    """Of its other symbols, in order; what stands above is of the first."""
    exits: bytes = b""


class Heeded:
    """A message that only the exits were told."""

    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        self.message = message


class Seen:
    """The newest bars that a desk was shown: it knows the market even where its strategy stumbled over it."""

    __slots__ = ("bars",)

    def __init__(self, desk: Desk) -> None:
        self.bars = [standing.bar for standing in desk.standings.values()]

    def show(self, desk: Desk) -> None:
        """Have a desk know them."""
        for standing, bar in zip(desk.standings.values(), self.bars, strict=True):
            standing.bar = bar


class Kept(msgspec.Struct):
    """What a snapshot keeps of a strategy's actor."""

    checkpoint: Checkpoint
    abandoned: bool
    restarts: int
    restart_times_ns: list[int]
    count_max: int = -1
    """Of the wishes that were numbered when it failed last; -1 in what an older version kept."""
    good: bool = True
    """Whether the checkpoint of one that was given up is what it knew."""


def take(strategy: StrategyPort, desk: Desk) -> Checkpoint:
    """Return the state of a strategy and its desk."""
    first, *others = desk.standings.values()
    return Checkpoint(
        strategy.dump_state(),
        desk.count,
        first.lots,
        first.bar,
        first.tick_price,
        first.tick_ns,
        first.cost_atoms,
        [standing.keep() for standing in others],
        desk.exits.dump(),
    )


def bare(desk: Desk) -> Checkpoint:
    """Return what is known of a strategy without asking it: how its books stand."""
    first, *others = desk.standings.values()
    further = [KeptStanding(each.lots, each.cost_atoms, None, 0.0, 0) for each in others]
    return Checkpoint(b"", desk.count, first.lots, None, cost_atoms=first.cost_atoms, further=further)


def of_given_up(strategy: StrategyPort, desk: Desk, *, recovered: bool) -> tuple[Checkpoint, bool]:
    """Return what to keep of a strategy that is given up, and whether that is what it knew.

    If it is, it is the same whenever its last checkpoint was made: a session that is continued has others.
    """
    if recovered:
        with contextlib.suppress(TypeError):  # it knows what cannot be kept
            return take(strategy, desk), True
    else:
        desk.exits.load(b"")  # they were half told again
    return msgspec.structs.replace(bare(desk), exits=desk.exits.dump()), False


def last_good(checkpoint: Checkpoint, desk: Desk) -> Checkpoint:
    """Return the checkpoint of an abandoned strategy with its books and its exits as they are by now."""
    current = [standing.keep() for standing in desk.standings.values()]
    further = [
        msgspec.structs.replace(kept, position_lots=now.position_lots, cost_atoms=now.cost_atoms)
        for kept, now in zip(checkpoint.further, current[1:], strict=True)
    ]
    first = current[0]
    return msgspec.structs.replace(
        checkpoint,
        position_lots=first.position_lots,
        cost_atoms=first.cost_atoms,
        further=further,
        exits=desk.exits.dump(),
    )


def give_back(checkpoint: Checkpoint, strategy: StrategyPort, desk: Desk) -> None:
    """Return a strategy and its desk to a checkpoint."""
    strategy.load_state(checkpoint.strategy)
    desk.count = checkpoint.ref
    first = KeptStanding(
        checkpoint.position_lots,
        checkpoint.cost_atoms,
        checkpoint.reference_bar,
        checkpoint.tick_price,
        checkpoint.tick_ns,
    )
    for standing, kept in zip(desk.standings.values(), (first, *checkpoint.further), strict=True):
        standing.load(kept)
    desk.exits.load(checkpoint.exits)
    if desk.exits.is_busy:
        desk.look_after()
