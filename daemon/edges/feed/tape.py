"""A tape as a live feed: the same inputs in the same order, paced by the wall clock.

The core's time over a tape is the tape's; the wall only paces. A restarted feed goes on at the cursor the
journal gives it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from actors.messages import TapeEnded

if TYPE_CHECKING:
    from daemon.live import LiveDriver
    from replay.tape import Tape

_NS_PER_S = 1_000_000_000
_NAP_NS = 2_000_000
"""Pauses shorter than this are not worth a trip through the event loop; inputs then come in small bunches."""


class TapeFeed:
    """Plays a tape into the driver.

    Args:
        tape: what to play.
        driver: where to.
        speed: tape seconds per wall second; 0 for as fast as the core takes it.
        skip: inputs the journal holds already.
        ended: whether the journal holds the tape's end, too.
    """

    def __init__(self, tape: Tape, driver: LiveDriver, *, speed: float, skip: int, ended: bool) -> None:
        self._tape = tape
        self._driver = driver
        self._speed = speed
        self.played = skip
        self._ended = ended

    async def run(self) -> None:
        """Play to the end, then say so."""
        start_wall_ns = 0
        start_tape_ns: int | None = None
        for known_ns, message in self._tape.stamped(skip=self.played):
            if self._speed:
                if start_tape_ns is None:
                    start_tape_ns, start_wall_ns = known_ns, time.monotonic_ns()
                due_ns = start_wall_ns + int((known_ns - start_tape_ns) / self._speed)
                early_ns = due_ns - time.monotonic_ns()
                if early_ns > _NAP_NS:
                    await anyio.sleep(early_ns / _NS_PER_S)
            await self._driver.post(message, known_ns)
            self.played += 1
        if not self._ended:
            self._ended = True
            await self._driver.post(TapeEnded())
