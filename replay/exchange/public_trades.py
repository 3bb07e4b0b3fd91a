"""The newest public trades of a market, in columns: a trade takes 25 bytes, not the 200 of an object."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import msgspec

from replay.exchange.model import Printed

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT_MAX = 50_000
"""Newest trades kept; twice as many are kept for a moment."""


class TradesState(msgspec.Struct, array_like=True, frozen=True):
    """What they are restored from: the columns as bytes, in the order of this machine."""

    prices: bytes = b""
    lots: bytes = b""
    times_ms: bytes = b""
    sold: bytes = b""


class PublicTrades:
    """Trades by number, the newest of which is known to the book.

    Args:
        market_id: the market.
    """

    __slots__ = ("_lots", "_market_id", "_prices", "_sold", "_times_ms")

    def __init__(self, market_id: str) -> None:
        self._market_id = market_id
        self._prices = array("q")
        self._lots = array("q")
        self._times_ms = array("q")
        self._sold = array("b")
        """Whether the buyer had rested."""

    def add(self, trade: Printed) -> None:
        """Take in a trade, the next after the newest."""
        self._prices.append(trade.price_ticks)
        self._lots.append(trade.quantity_lots)
        self._times_ms.append(trade.time_ms)
        self._sold.append(trade.buyer_is_maker)
        if len(self._prices) > 2 * KEPT_MAX:
            for column in self._columns():
                del column[:-KEPT_MAX]

    def between(
        self, newest_id: int, limit: int, from_id: int | None, start_ms: int | None, end_ms: int | None
    ) -> list[Printed]:
        """Return trades oldest first: from an id or a time on if one is given, else the newest; none where none is.

        Args:
            newest_id: number of the newest trade there is.
            limit: how many at most.
            from_id: number of the first.
            start_ms: time of the first.
            end_ms: time of the last.
        """
        count = len(self._prices)
        oldest = max(0, count - KEPT_MAX)
        first_id = newest_id - count + 1
        start = max(oldest, 0 if from_id is None else from_id - first_id)
        if start_ms is not None:
            start = max(start, bisect_left(self._times_ms, start_ms))
        stop = count if end_ms is None else bisect_right(self._times_ms, end_ms)
        if from_id is None and start_ms is None:
            start = max(start, stop - limit)
        return [self._view(first_id, index) for index in range(start, min(stop, start + limit))]

    def dump(self) -> TradesState:
        """Return the state."""
        return TradesState(*(column[-KEPT_MAX:].tobytes() for column in self._columns()))

    def load(self, state: TradesState, rows: Sequence[tuple[int, int, int, int, bool]]) -> None:
        """Restore the state; `rows` are those of an older release, (id, price, lots, time, buyer rested)."""
        for column, kept in zip(self._columns(), (state.prices, state.lots, state.times_ms, state.sold), strict=True):
            del column[:]
            column.frombytes(kept)
        for row in rows:
            self.add(Printed(self._market_id, *row))

    def _columns(self) -> tuple[array[int], ...]:
        return self._prices, self._lots, self._times_ms, self._sold

    def _view(self, first_id: int, index: int) -> Printed:
        return Printed(
            self._market_id,
            first_id + index,
            self._prices[index],
            self._lots[index],
            self._times_ms[index],
            bool(self._sold[index]),
        )
