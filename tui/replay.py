"""A replay that is being debugged: how far it is, the messages of its inputs, and the state of its actors."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tui.status import Actor

Unit = Literal["input", "bar"]
Goal = Literal["trade", "order", "veto", "error", "time", "end"]

SPEEDS = (1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 0.0)
"""Tape time in a second of ours that is offered, from slow to fast; 0 for as fast as it goes."""
_PER_MINUTE = 60
_PER_HOUR = 3_600
_PER_DAY = 86_400


class Replay(msgspec.Struct, frozen=True):
    """How a replay stands."""

    tape: str
    state: str
    """`paused`, `playing` or `ended`."""
    strategies: tuple[str, ...] = ()
    inputs: int = 0
    """How many have been run."""
    seq: int = 0
    """Number of the newest one, timers and commands included."""
    total: int | None = None
    """How many there are; None where nobody knows."""
    now_ns: int = 0
    from_ns: int = 0
    to_ns: int | None = None
    speed: float = 0.0
    """In multiples of the tape's time; 0 for as fast as it goes."""
    stopped_by: str = ""
    """Why it stands."""
    differs_at: int | None = None
    """Of a session: the first input that decides otherwise than it did then."""
    order_id: str = ""
    """The order it stopped at; empty if it was none."""
    target: str = ""
    """What it is on its way to; empty while nothing is looked for."""

    @property
    def part(self) -> float | None:
        """How much of the tape has been played, from 0 to 1; None where its length is not known."""
        if self.state == "ended":
            return 1.0
        if self.to_ns is not None and self.to_ns > self.from_ns:
            return min(1.0, max(0.0, (self.now_ns - self.from_ns) / (self.to_ns - self.from_ns)))
        if self.total:
            return min(1.0, self.inputs / self.total)
        return None


class Traced(msgspec.Struct, frozen=True):
    """A message between actors."""

    number: int
    """Counts all messages there ever were."""
    input: int
    """Number of the input that led to it."""
    index: int
    """Its place among the messages of that input."""
    ts_ns: int
    kind: str
    sender: str = msgspec.field(name="from", default="")
    to: tuple[str, ...] = ()
    fields: Any = None
    cause: int | None = None
    """Index of the message whose handling sent it; None of the input itself."""
    depth: int = 0
    """How many messages lie between it and the input, itself included."""


class Trace(msgspec.Struct, frozen=True):
    """Messages of the newest inputs, in the order they were sent."""

    rows: tuple[Traced, ...]


class Inside(msgspec.Struct, frozen=True):
    """An actor and what it keeps."""

    row: Actor
    state: Any = None
    note: str = ""
    """Why something of the state is not told; empty where all is."""


def faster(speed: float, step: int) -> float:
    """Return the next speed that is offered, or the one before."""
    order = [speed_offered or float("inf") for speed_offered in SPEEDS]
    here = speed or float("inf")
    if step > 0:
        found = next((index for index, offered in enumerate(order) if offered > here), len(order) - 1)
    else:
        found = next((index for index in reversed(range(len(order))) if order[index] < here), 0)
    return SPEEDS[found]


def speed_words(speed: float) -> str:
    """Write a speed as what of the tape goes by in a second."""
    if speed == 0:
        return "full speed"
    for length, unit in ((_PER_DAY, "d"), (_PER_HOUR, "h"), (_PER_MINUTE, "min")):
        if speed >= length:
            return f"{speed / length:g} {unit}/s"
    return f"{speed:g} s/s"
