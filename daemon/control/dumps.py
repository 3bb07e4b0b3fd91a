"""The states of actors for who asks, one at a time, and only for so much of the core's time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.control.types import Dump

_REST = 20
"""After a dump the core has its time to itself for so many times as long as that took."""


class Dumps:
    """Asks for one state after the other.

    Args:
        dump: writes down the state of an actor, while nothing else runs.
    """

    def __init__(self, dump: Callable[[str], Dump]) -> None:
        self._dump = dump
        self._turn = anyio.Lock()
        self._rested_s = 0.0

    async def of(self, name: str) -> Dump:
        """Return the state of an actor, once it is our turn.

        Raises:
            RefusedError: there is no such actor.
        """
        async with self._turn:
            await anyio.sleep(max(0.0, self._rested_s - time.monotonic()))
            began_s = time.monotonic()
            found = self._dump(name)
            ended_s = time.monotonic()
            self._rested_s = ended_s + _REST * (ended_s - began_s)
            return found
