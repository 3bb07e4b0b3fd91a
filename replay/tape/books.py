"""An order book kept from its changes, and shown at a bounded depth and pace.

A book is known from its first snapshot on. It is shown after a message that changed it, at most once in `PACE_NS`: a
change that comes sooner is shown when that time is over, so that no picture is older than it. It is shown no deeper
than `DEPTH` levels a side: what is further away is rarely traded before it is shown anew.
"""

from __future__ import annotations

from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING

from actors.messages import BookSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

DEPTH = 20
"""Most levels of a side in a snapshot."""
PACE_NS = 100_000_000
"""Least time between two snapshots of one symbol: as often as exchanges send their own."""

LevelChange = tuple[float, float]
"""Price, and the quantity that now stands there; 0 for none."""


class Book:
    """Both sides of one market."""

    __slots__ = ("_asks", "_bids", "_is_news", "_shown_ns", "known", "sequence")

    def __init__(self) -> None:
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self._shown_ns: int | None = None
        self._is_news = False
        """Whether it has changed since it was shown."""
        self.known = False
        """Whether there was a snapshot, and no break since."""
        self.sequence = 0
        """The venue's number of the newest change."""

    def reset(self, sequence: int, bids: Iterable[LevelChange], asks: Iterable[LevelChange]) -> None:
        """Begin anew with a whole book."""
        self._bids.clear()
        self._asks.clear()
        self.known = True
        self.change(sequence, bids, asks)

    def change(self, sequence: int, bids: Iterable[LevelChange], asks: Iterable[LevelChange]) -> None:
        """Set levels."""
        self.sequence = sequence
        self._is_news = True
        for side, changes in ((self._bids, bids), (self._asks, asks)):
            for price, quantity in changes:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)

    def best(self) -> tuple[LevelChange | None, LevelChange | None]:
        """Return the best bid and the best ask with their quantities; None for an empty side."""
        bid = max(self._bids, default=None)
        ask = min(self._asks, default=None)
        return (
            None if bid is None else (bid, self._bids[bid]),
            None if ask is None else (ask, self._asks[ask]),
        )

    def overdue(self, symbol: str, time_ns: int) -> BookSnapshot | None:
        """Return the picture that was due before the next message, which is of this time; None if there was none."""
        if not self._is_news or self._shown_ns is None or time_ns <= self._shown_ns + PACE_NS:
            return None
        return self.shown(symbol, self._shown_ns + PACE_NS)

    def shown(self, symbol: str, time_ns: int) -> BookSnapshot | None:
        """Return the best levels, or None where they are unknown or were shown too shortly before."""
        if not self.known or (self._shown_ns is not None and time_ns < self._shown_ns + PACE_NS):
            return None
        self._shown_ns = time_ns
        self._is_news = False
        bids = tuple((price, self._bids[price]) for price in nlargest(DEPTH, self._bids))
        asks = tuple((price, self._asks[price]) for price in nsmallest(DEPTH, self._asks))
        return BookSnapshot(symbol, self.sequence, bids, asks, time_ns)
