"""What the feed asks the venue over REST: a few requests at a time, out of the weight we all share, and last in line.

A venue counts requests by address, whoever makes them. So the feed's come out of the limiter the gateway has, with
the lowest priority and a part of the weight only: however much history is missing, an order never waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import structlog
from ccxt.base.errors import DDoSProtection, RateLimitExceeded

from daemon.edges.venue.limits import Priority

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.edges.venue.limits import Limits

T = TypeVar("T")

_AT_ONCE = 4
"""Requests under way at the same time."""

log = structlog.get_logger()


class Counted(Protocol):
    """What the venue says of our requests: a `VenueClient`."""

    def used_weight(self) -> int | None:
        """Return the weight it has counted this minute, if it has said so since we last looked."""

    def retry_after_s(self) -> float:
        """Return how long it wants no more requests."""


class FeedRequests:
    """Makes the feed's requests when it is their turn.

    Args:
        limits: whose turn it is; without it everybody's, at once.
        venue: what it says of our requests.
    """

    def __init__(self, limits: Limits | None = None, venue: Counted | None = None) -> None:
        self.count = 0
        """Requests made so far."""
        self._limits = limits
        self._venue = venue
        self._under_way = anyio.Semaphore(_AT_ONCE)

    async def ask(self, weight: int, call: Callable[[], Awaitable[T]]) -> T:
        """Make a request of `weight`.

        Raises:
            ccxt.BaseError: as the call; anything else a broken reply raises.
        """
        async with self._under_way:
            await self.turn(weight)
            self.count += 1
            try:
                return await call()
            except (DDoSProtection, RateLimitExceeded) as error:
                if self._limits is not None and self._venue is not None:
                    pause_s = self._venue.retry_after_s()
                    log.warning("venue_wants_a_pause", pause_s=pause_s, reason=str(error))
                    self._limits.pause(pause_s)
                raise
            finally:
                used = None if self._venue is None else self._venue.used_weight()
                if used is not None and self._limits is not None:
                    self._limits.observe(used)

    async def turn(self, weight: int) -> None:
        """Wait until a request of `weight` that somebody else makes may go out."""
        if self._limits is not None:
            await self._limits.turn(Priority.MARKET_DATA, weight)

    def clock(self, client: Any) -> VenueTime:  # noqa: ANN401 - ccxt is not typed
        """Return the venue's clock, asked in turn."""
        return VenueTime(self, client)


class VenueTime:
    """Fits `daemon.edges.feed.clock_skew.TimeClient`."""

    def __init__(self, requests: FeedRequests, client: Any) -> None:  # noqa: ANN401 - ccxt is not typed
        self._requests = requests
        self._client = client

    async def fetch_time(self) -> Any:  # noqa: ANN401 - ccxt's own
        """Return the venue's time in ms."""
        return await self._requests.ask(1, self._client.fetch_time)
