"""Clocks: who says what time an input has.

A core never reads a clock; its `now` is the stamp of the input in hand. A driver stamps inputs from one
of these two, and both refuse to go back.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from actors.messages import Bar, BookSnapshot, External, Funding, Liquidation, Mark, OpenInterest, Quote, Trade

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.messages import Message

_TIMES: dict[type[Message], Callable[[Message], int]] = {
    Bar: attrgetter("close_ns"),
    External: attrgetter("published_ns"),
}
_TIMES |= {
    kind: attrgetter("time_ns") for kind in (Trade, Quote, BookSnapshot, Mark, Funding, OpenInterest, Liquidation)
}


def knowable_ns(message: Message) -> int | None:
    """Return when an input could be known at the venue; None for one without a time, such as a command."""
    read = _TIMES.get(type(message))
    return None if read is None else read(message) or None


class Clock(Protocol):
    """Stamps inputs."""

    def stamp(self, knowable_ns: int | None) -> int:
        """Return the time of an input that was knowable at `knowable_ns`; None for one without a time."""
        ...


class TapeClock:
    """Simulated time: the tape's. An input without a time of its own, such as a command, gets the latest."""

    __slots__ = ("now_ns",)

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def stamp(self, knowable_ns: int | None) -> int:
        """Return `knowable_ns`, or the latest stamp for None."""
        if knowable_ns is not None:
            assert knowable_ns >= self.now_ns, f"time went back: {knowable_ns} < {self.now_ns}"
            self.now_ns = knowable_ns
        return self.now_ns


class VenueClock:
    """The newest time the venue has told: for a venue whose own time runs faster than the wall."""

    __slots__ = ("now_ns",)

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def stamp(self, knowable_ns: int | None) -> int:
        """Return the newest time so far."""
        if knowable_ns is not None:
            self.now_ns = max(self.now_ns, knowable_ns)
        return self.now_ns


class LiveClock:
    """Wall time that never goes back: ``max(previous, wall)``."""

    __slots__ = ("_wall_ns", "now_ns")

    def __init__(self, wall_ns: Callable[[], int], now_ns: int = 0) -> None:
        self._wall_ns = wall_ns
        self.now_ns = now_ns

    def stamp(self, knowable_ns: int | None) -> int:  # noqa: ARG002 - a venue's time is a field, not our clock
        """Return the wall's time, or the latest stamp where the wall went back."""
        self.now_ns = max(self.now_ns, self._wall_ns())
        return self.now_ns
