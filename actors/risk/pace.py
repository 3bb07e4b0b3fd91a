"""How fast orders are given."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.runtime.scheduler import Context

_MINUTE_NS = 60_000_000_000


class Pace:
    """When the orders of the last minute were given, exits and changes included."""

    __slots__ = ("_context", "times_ns")

    def __init__(self, context: Context) -> None:
        self._context = context
        self.times_ns: deque[int] = deque()

    def note(self) -> None:
        """Count an order that is given now."""
        self.count()
        self.times_ns.append(self._context.now_ns)

    def count(self) -> int:
        """Return how many there were in the last 60 seconds."""
        times_ns = self.times_ns
        while times_ns and times_ns[0] <= self._context.now_ns - _MINUTE_NS:
            times_ns.popleft()
        return len(times_ns)
