"""How far the venue's clock is from ours, and how fast it runs.

One question gives the venue's time at about the middle of its round trip, so an answer is wrong by half the round
trip at most. Of the newest few answers the ones with short round trips count, and of those the median. A step of
our own wall clock makes older answers worthless; they are forgotten. A venue that plays history (the loopback
exchange at `--speed`) has a clock with another rate; it is estimated, too.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import msgspec
import structlog

from daemon.edges.feed.streams import FAULTS, backoff_s

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT = 9
_FIRST_COUNT = 5
"""Questions asked one after the other at the start."""
_STEP_MS = 500.0
"""Our wall clock stepped if it moved by more than this against the monotonic one."""
_RATE_TOLERANCE = 0.01
"""A rate this close to 1 is 1: crystals are better than that."""
_RATE_SPAN_MS = 20.0
"""Answers closer together than this say nothing of the rate."""
_LARGE_OFFSET_MS = 1_000.0
"""More than this endangers signed requests and is worth a line in the log."""

log = structlog.get_logger()


class TimeClient(Protocol):
    """What is needed of a ccxt exchange."""

    async def fetch_time(self) -> Any:  # noqa: ANN401 - ccxt's own
        """Return the venue's time in ms."""


class SkewStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the venue's clock."""

    offset_ms: float | None
    """Venue minus wall; None while unknown."""
    error_ms: float | None
    """Largest error of the offset, from the round trips."""
    rate: float
    """Venue seconds per second."""
    samples: int
    failures: int


class _Sample(msgspec.Struct, frozen=True):
    venue_ms: float
    wall_ms: float
    """Of our wall at the middle of the round trip."""
    monotonic_ms: float
    trip_ms: float


class ClockSkew:
    """Estimates the venue's time.

    Args:
        client: who is asked.
        period_s: time between questions after the first few.
        wall_ms: our wall clock.
        monotonic_ms: a clock that never steps.
    """

    def __init__(
        self,
        client: TimeClient,
        *,
        period_s: float = 60.0,
        wall_ms: Callable[[], float] = lambda: time.time_ns() / 1e6,
        monotonic_ms: Callable[[], float] = lambda: time.monotonic_ns() / 1e6,
    ) -> None:
        self._client = client
        self._period_s = period_s
        self._wall_ms = wall_ms
        self._monotonic_ms = monotonic_ms
        self._samples: deque[_Sample] = deque(maxlen=_KEPT)
        self._chance = random.Random(0)  # noqa: S311 - jitter, not a secret
        self._failures = 0

    @property
    def rate(self) -> float:
        """Venue seconds per second of ours; 1 unless the answers say otherwise."""
        if len(self._samples) < 2:  # noqa: PLR2004 - a rate takes two points
            return 1.0
        first, last = self._samples[0], self._samples[-1]
        span_ms = last.monotonic_ms - first.monotonic_ms
        if span_ms < max(_RATE_SPAN_MS, 2 * (first.trip_ms + last.trip_ms)):
            return 1.0
        rate = (last.venue_ms - first.venue_ms) / span_ms
        uncertainty = (first.trip_ms + last.trip_ms) / span_ms
        return 1.0 if abs(rate - 1.0) <= _RATE_TOLERANCE + uncertainty else rate

    @property
    def offset_ms(self) -> float | None:
        """Venue minus wall, or None while unknown or where their rates differ so that there is no such number."""
        best = self._best()
        if not best or self.rate != 1.0:
            return None
        return statistics.median(sample.venue_ms - sample.wall_ms for sample in best)

    def now_ms(self) -> float | None:
        """Return the venue's time now, or None while unknown."""
        if not self._samples:
            return None
        offset_ms = self.offset_ms
        if offset_ms is not None:
            return self._wall_ms() + offset_ms
        last = self._samples[-1]
        return last.venue_ms + (self._monotonic_ms() - last.monotonic_ms) * self.rate

    async def sample(self) -> int:
        """Ask once; return the venue's time as it said."""
        wall_ms, monotonic_ms = self._wall_ms(), self._monotonic_ms()
        venue_ms = int(await self._client.fetch_time())
        trip_ms = self._monotonic_ms() - monotonic_ms
        self.add(_Sample(venue_ms, wall_ms + trip_ms / 2, monotonic_ms + trip_ms / 2, trip_ms))
        return venue_ms

    def add(self, sample: _Sample) -> None:
        """Take an answer into account."""
        if self._samples:
            last = self._samples[-1]
            wall_step_ms = (sample.wall_ms - last.wall_ms) - (sample.monotonic_ms - last.monotonic_ms)
            if abs(wall_step_ms) > _STEP_MS:
                log.warning("wall_clock_stepped", by_ms=round(wall_step_ms))
                self._samples.clear()
        self._samples.append(sample)

    async def run(self) -> None:
        """Ask now and then, for ever."""
        while True:
            try:
                await self.sample()
            except FAULTS as error:
                self._failures += 1
                log.info("venue_time_unknown", error=f"{type(error).__name__}: {error}")
                await anyio.sleep(backoff_s(min(self._failures, 8), self._chance))
                continue
            self._failures = 0
            if len(self._samples) < _FIRST_COUNT:
                await anyio.sleep(backoff_s(1, self._chance))
                continue
            offset_ms = self.offset_ms
            if offset_ms is not None and abs(offset_ms) > _LARGE_OFFSET_MS:
                log.warning("clock_skew", offset_ms=round(offset_ms))
            await anyio.sleep(self._period_s)

    def statistics(self) -> SkewStatistics:
        """Return what is known."""
        best = self._best()
        offset_ms = self.offset_ms
        return SkewStatistics(
            offset_ms=offset_ms,
            error_ms=None if offset_ms is None else max(sample.trip_ms for sample in best) / 2,
            rate=self.rate,
            samples=len(self._samples),
            failures=self._failures,
        )

    def _best(self) -> list[_Sample]:
        """The answers whose round trip was at most twice the shortest one."""
        if not self._samples:
            return []
        shortest_ms = min(sample.trip_ms for sample in self._samples)
        return [sample for sample in self._samples if sample.trip_ms <= 2 * shortest_ms]
