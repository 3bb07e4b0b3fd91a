"""Timers: deadlines in input time that become inputs when they are due.

A deadline is moved by assigning `due[key]`, which costs a dictionary store: the heap holds only a hint
that is corrected when it comes up. A staleness deadline can thus be pushed back on every bar for free.
"""

from __future__ import annotations

from heapq import heappop, heappush

from actors.messages import TimerFired

NEVER_NS = 2**63 - 1

Key = tuple[str, str]
"""(actor, name of the timer)."""


class Timers:
    """All deadlines of one core.

    Attributes:
        due: the deadline of every armed timer, in ns; move one by assignment, never add one.
        next_hint_ns: no timer is due before this.
    """

    __slots__ = ("_heap", "due", "next_hint_ns")

    def __init__(self) -> None:
        self.due: dict[Key, int] = {}
        self._heap: list[tuple[int, Key]] = []
        self.next_hint_ns = NEVER_NS

    def arm(self, key: Key, due_ns: int) -> None:
        """Set the deadline of `key`, new or moved."""
        self.due[key] = due_ns
        heappush(self._heap, (due_ns, key))
        self.next_hint_ns = self._heap[0][0]

    def disarm(self, key: Key) -> None:
        """Forget `key`; a key that is not armed is fine."""
        self.due.pop(key, None)

    def pop_before(self, ts_ns: int) -> TimerFired | None:
        """Disarm and return the earliest timer due before `ts_ns`, ties by key, or None."""
        heap = self._heap
        found: TimerFired | None = None
        while heap and heap[0][0] < ts_ns:
            hint_ns, key = heappop(heap)
            due_ns = self.due.get(key)
            if due_ns is None:
                continue
            if due_ns > hint_ns:
                heappush(heap, (due_ns, key))
                continue
            del self.due[key]
            found = TimerFired(actor=key[0], name=key[1], due_ns=due_ns)
            break
        self.next_hint_ns = heap[0][0] if heap else NEVER_NS
        return found

    def fired(self, message: TimerFired) -> None:
        """Forget a timer whose firing came from a journal."""
        key = (message.actor, message.name)
        if self.due.get(key) == message.due_ns:
            del self.due[key]

    def dump(self) -> list[tuple[str, str, int]]:
        """Return all deadlines in a fixed order."""
        return [(actor, name, due_ns) for (actor, name), due_ns in sorted(self.due.items())]

    def load(self, deadlines: list[tuple[str, str, int]]) -> None:
        """Replace all deadlines."""
        self.due.clear()
        self._heap.clear()
        self.next_hint_ns = NEVER_NS
        for actor, name, due_ns in deadlines:
            self.arm((actor, name), due_ns)
