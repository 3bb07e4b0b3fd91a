"""Whose turn it is to ask the venue: our own limit of request weight, and a queue with priorities.

ccxt's limiter lets a cancel wait behind a listing. Here whatever reduces risk goes first, and part of the weight
is kept for it: market data may spend half of a minute's weight, questions three quarters, entries nine tenths. The
weight of any 60 seconds stays within the limit, which keeps that of every clock minute within it, too.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING

import anyio
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

_WINDOW_S = 60.0


class Priority(IntEnum):
    """Who goes first; within one priority, who came first."""

    CANCEL = 0
    EXIT = 1
    ENTRY = 2
    ORDER_QUESTION = 3
    ACCOUNT_QUESTION = 4
    MARKET_DATA = 5


SHARES: dict[Priority, float] = {
    Priority.CANCEL: 1.0,
    Priority.EXIT: 1.0,
    Priority.ENTRY: 0.9,
    Priority.ORDER_QUESTION: 0.75,
    Priority.ACCOUNT_QUESTION: 0.75,
    Priority.MARKET_DATA: 0.5,
}
"""Part of a minute's weight that may be spent when a request of this priority goes out."""


class LimitStatistics(msgspec.Struct, frozen=True):
    """The limiter at one moment."""

    waiting: int
    spent: int
    """Weight of the last 60 s."""
    paused_s: float
    """How long nothing goes out, because the venue asked for it."""
    weight_max: int
    """In any 60 s."""


class _Ticket:
    __slots__ = ("changed", "key", "weight")

    def __init__(self, key: tuple[Priority, int], weight: int) -> None:
        self.key = key
        self.weight = weight
        self.changed = anyio.Event()

    def __lt__(self, other: _Ticket) -> bool:
        return self.key < other.key


class Limits:
    """Hands out turns.

    Args:
        weight_per_minute: most weight in any 60 seconds.
        clock: seconds that only go forward.
    """

    def __init__(self, weight_per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = weight_per_minute
        self._clock = clock
        self._number = itertools.count()
        self._waiting: list[_Ticket] = []
        self._spent: deque[tuple[float, int]] = deque()
        self._total = 0
        self._paused_until_s = 0.0

    async def turn(self, priority: Priority, weight: int) -> None:
        """Wait until a request of `weight` may go out; its weight is spent then."""
        ticket = _Ticket((priority, next(self._number)), weight)
        heapq.heappush(self._waiting, ticket)
        try:
            while True:
                wait_s = self._wait_s(ticket) if self._waiting[0] is ticket else None
                if wait_s is not None and wait_s <= 0:
                    break
                with anyio.move_on_after(wait_s):
                    await ticket.changed.wait()
                ticket.changed = anyio.Event()
        finally:
            self._waiting.remove(ticket)
            heapq.heapify(self._waiting)
            self._wake()
        self._spend(weight)

    def pause(self, pause_s: float) -> None:
        """Let nothing out for a while."""
        self._paused_until_s = max(self._paused_until_s, self._clock() + pause_s)
        self._wake()

    def observe(self, used: int) -> None:
        """Take the venue's own count of this minute's weight: others may spend from the same limit."""
        self._forget()
        if used > self._total:
            self._spend(used - self._total)
            self._wake()

    def statistics(self) -> LimitStatistics:
        """Return the state of the limiter."""
        self._forget()
        paused_s = max(0.0, self._paused_until_s - self._clock())
        return LimitStatistics(len(self._waiting), self._total, paused_s, self._limit)

    def _wait_s(self, ticket: _Ticket) -> float:
        """Return how long the first ticket has to wait as things stand."""
        self._forget()
        now_s = self._clock()
        horizon_s = now_s - _WINDOW_S
        paused_s = self._paused_until_s - now_s
        if paused_s > 0:
            return paused_s
        room = max(int(SHARES[ticket.key[0]] * self._limit), ticket.weight)  # a heavy one goes out alone
        excess = self._total + ticket.weight - room
        for spent_s, weight in self._spent:
            if excess <= 0:
                break
            excess -= weight
            if excess <= 0:
                return spent_s - horizon_s  # as `_forget` counts, to the last bit
        return 0.0

    def _spend(self, weight: int) -> None:
        self._spent.append((self._clock(), weight))
        self._total += weight

    def _forget(self) -> None:
        """Forget what was spent more than a minute ago."""
        horizon_s = self._clock() - _WINDOW_S
        while self._spent and self._spent[0][0] <= horizon_s:
            self._total -= self._spent.popleft()[1]

    def _wake(self) -> None:
        if self._waiting:
            self._waiting[0].changed.set()
