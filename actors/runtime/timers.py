"""Timers: deadlines in input time that become inputs when they are due.

A deadline is moved by assigning `Timer.due_ns`: the heap holds only a hint that is corrected when it comes
up, so a staleness deadline can be pushed back on every bar for the price of an attribute. A timer has one
hint that counts, and whatever else the heap still holds of it is dropped when it comes up.
"""

from __future__ import annotations

from heapq import heappop, heappush

from actors.messages import TimerFired

NEVER_NS = 2**63 - 1


class Timer:
    """One deadline; `due_ns` may be moved to later by assignment."""

    __slots__ = ("actor", "due_ns", "name")

    def __init__(self, actor: str, name: str, due_ns: int) -> None:
        self.actor = actor
        self.name = name
        self.due_ns = due_ns


class Timers:
    """All deadlines of one core.

    Attributes:
        next_hint_ns: no timer is due before this.
    """

    __slots__ = ("_armed", "_heap", "_hints_ns", "next_hint_ns")

    def __init__(self) -> None:
        self._armed: dict[tuple[str, str], Timer] = {}
        self._heap: list[tuple[int, str, str]] = []
        self._hints_ns: dict[tuple[str, str], int] = {}
        self.next_hint_ns = NEVER_NS

    def arm(self, actor: str, name: str, due_ns: int) -> Timer:
        """Set the deadline of a timer, new or moved, and return it."""
        timer = Timer(actor, name, due_ns)
        self._armed[actor, name] = timer
        if due_ns < self._hints_ns.get((actor, name), NEVER_NS):
            self._hint(due_ns, actor, name)
            self.next_hint_ns = self._heap[0][0]
        return timer

    def disarm(self, actor: str, name: str) -> None:
        """Forget a timer; one that is not armed is fine."""
        self._armed.pop((actor, name), None)

    def find(self, actor: str, name: str) -> Timer | None:
        """Return an armed timer."""
        return self._armed.get((actor, name))

    def pop_before(self, ts_ns: int) -> TimerFired | None:
        """Disarm and return the earliest timer due before `ts_ns`, ties by actor and name, or None."""
        heap = self._heap
        found: TimerFired | None = None
        while heap and heap[0][0] < ts_ns:
            hint_ns, actor, name = heappop(heap)
            if self._hints_ns.get((actor, name)) != hint_ns:
                continue
            del self._hints_ns[actor, name]
            timer = self._armed.get((actor, name))
            if timer is None:
                continue
            if timer.due_ns > hint_ns:
                self._hint(timer.due_ns, actor, name)
                continue
            del self._armed[actor, name]
            found = TimerFired(actor, name, timer.due_ns)
            break
        self.next_hint_ns = heap[0][0] if heap else NEVER_NS
        return found

    def fired(self, message: TimerFired) -> None:
        """Forget a timer whose firing came from a journal."""
        timer = self._armed.get((message.actor, message.name))
        if timer is not None and timer.due_ns == message.due_ns:
            self.disarm(message.actor, message.name)

    def dump(self) -> list[tuple[str, str, int]]:
        """Return all deadlines in a fixed order."""
        return [(actor, name, timer.due_ns) for (actor, name), timer in sorted(self._armed.items())]

    def load(self, deadlines: list[tuple[str, str, int]]) -> None:
        """Replace all deadlines."""
        self._armed.clear()
        self._heap.clear()
        self._hints_ns.clear()
        self.next_hint_ns = NEVER_NS
        for actor, name, due_ns in deadlines:
            self.arm(actor, name, due_ns)

    def _hint(self, due_ns: int, actor: str, name: str) -> None:
        self._hints_ns[actor, name] = due_ns
        heappush(self._heap, (due_ns, actor, name))
