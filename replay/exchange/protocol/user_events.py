"""What the account is told: at once, or after a while where a fault has it so, and never out of order."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from replay.exchange.faults import Faults

T = TypeVar("T")


class Outlet(Generic[T]):
    """Passes events on.

    Args:
        faults: what goes wrong.
        send: what takes them.
        name: the occasion of an event, for faults.
    """

    def __init__(self, faults: Faults, send: Callable[[T], None], name: Callable[[T], str]) -> None:
        self._faults = faults
        self._send = send
        self._name = name
        self._waiting: deque[tuple[float, T]] = deque()

    def put(self, event: T) -> None:
        """Pass an event on, behind all those before it."""
        is_late = self._faults.strikes("reply_before_event", self._name(event))
        late_s = self._faults.seconds("reply_before_event") if is_late else 0.0
        if not late_s and not self._waiting:
            self._send(event)
            return
        loop = asyncio.get_running_loop()
        due_s = max(loop.time() + late_s, self._waiting[-1][0] if self._waiting else 0.0)
        self._waiting.append((due_s, event))
        loop.call_at(due_s, self._send_waiting)

    def _send_waiting(self) -> None:
        self._send(self._waiting.popleft()[1])
