"""Candles out of prints: one series per interval, and the calendar of Binance's intervals."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from replay.exchange.model import Candle

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT_MAX = 100_000
"""Newest candles kept per series; twice as many are kept for a moment."""
BASE_INTERVAL = "1m"
"""Kept from the first print on; longer intervals are made of it when they are first asked for."""

_MINUTE_MS = 60_000
_DAY_MS = 1_440 * _MINUTE_MS
_WEEK_MS = 7 * _DAY_MS
_MONDAY_MS = 4 * _DAY_MS
"""The first Monday of time: 5 January 1970."""
_MONTH = "1M"
_MONTHS = 12
_LENGTHS_MS = {
    "1s": 1_000,
    "1m": _MINUTE_MS,
    "3m": 3 * _MINUTE_MS,
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "30m": 30 * _MINUTE_MS,
    "1h": 60 * _MINUTE_MS,
    "2h": 120 * _MINUTE_MS,
    "4h": 240 * _MINUTE_MS,
    "6h": 360 * _MINUTE_MS,
    "8h": 480 * _MINUTE_MS,
    "12h": 720 * _MINUTE_MS,
    "1d": _DAY_MS,
    "3d": 3 * _DAY_MS,
    "1w": _WEEK_MS,
}
INTERVALS = (*_LENGTHS_MS, _MONTH)
"""Every interval there is."""


def span_ms(interval: str, time_ms: int) -> tuple[int, int]:
    """Return the first millisecond of the candle around `time_ms`, and the first one after it."""
    if interval == _MONTH:
        moment = datetime.fromtimestamp(time_ms // 1000, UTC)
        first = datetime(moment.year, moment.month, 1, tzinfo=UTC)
        following = datetime(moment.year + moment.month // _MONTHS, moment.month % _MONTHS + 1, 1, tzinfo=UTC)
        return int(first.timestamp()) * 1000, int(following.timestamp()) * 1000
    length_ms = _LENGTHS_MS[interval]
    origin_ms = _MONDAY_MS if interval == "1w" else 0
    open_ms = time_ms - (time_ms - origin_ms) % length_ms
    return open_ms, open_ms + length_ms


class Kept(msgspec.Struct, array_like=True, gc=False):
    """A candle that may still grow."""

    open_ms: int
    next_ms: int
    """First millisecond after it."""
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    trades: int
    turnover: int = 0
    """Price x quantity of its trades, in ticks times lots; likewise of those that a buyer took."""
    bought_lots: int = 0
    bought_turnover: int = 0


class CandleSeries:
    """The candles of one market in one interval; there is none where nothing was printed."""

    __slots__ = ("_id", "closed", "interval", "kept")

    def __init__(self, market_id: str, interval: str) -> None:
        self._id = market_id
        self.interval = interval
        self.kept: list[Kept] = []
        self.closed = True
        """Whether the end of the newest candle was told."""

    def extend(self, finer: Iterable[Kept]) -> None:
        """Take in the candles of a finer series."""
        for part in finer:
            last = self.kept[-1] if self.kept else None
            if last is None or part.open_ms >= last.next_ms:
                self._append(part.open_ms, part.open_ticks)
                last = self.kept[-1]
            last.high_ticks = max(last.high_ticks, part.high_ticks)
            last.low_ticks = min(last.low_ticks, part.low_ticks)
            last.close_ticks = part.close_ticks
            last.volume_lots += part.volume_lots
            last.trades += part.trades
            last.turnover += part.turnover
            last.bought_lots += part.bought_lots
            last.bought_turnover += part.bought_turnover
            self.closed = False

    def close_before(self, time_ms: int) -> Candle | None:
        """Return the newest candle if it ended by `time_ms` and that was not yet told."""
        if self.closed or time_ms < self.kept[-1].next_ms:
            return None
        self.closed = True
        return self._view(self.kept[-1], closed=True)

    def newest(self) -> Candle:
        """Return the newest candle, as it grows."""
        return self._view(self.kept[-1], closed=False)

    def take(self, time_ms: int, price_ticks: int, quantity_lots: int, *, bought: bool = False) -> None:
        """Take in a print, no older than the one before."""
        last = self.kept[-1] if self.kept else None
        if last is None or time_ms >= last.next_ms:
            self._append(time_ms, price_ticks)
            last = self.kept[-1]
        last.high_ticks = max(last.high_ticks, price_ticks)
        last.low_ticks = min(last.low_ticks, price_ticks)
        last.close_ticks = price_ticks
        last.volume_lots += quantity_lots
        last.trades += 1
        last.turnover += price_ticks * quantity_lots
        if bought:
            last.bought_lots += quantity_lots
            last.bought_turnover += price_ticks * quantity_lots
        self.closed = False

    def between(self, start_ms: int | None, end_ms: int | None, limit: int) -> list[Candle]:
        """Return candles by opening time, ends included: the oldest from `start_ms` on, or else the newest."""
        first = 0 if start_ms is None else bisect_left(self.kept, start_ms, key=_open_ms)
        stop = len(self.kept) if end_ms is None else bisect_right(self.kept, end_ms, key=_open_ms)
        if start_ms is None:
            first = max(first, stop - limit)
        stop = min(stop, first + limit)
        newest = len(self.kept) - 1
        return [self._view(self.kept[index], closed=index < newest or self.closed) for index in range(first, stop)]

    def _append(self, time_ms: int, price_ticks: int) -> None:
        open_ms, next_ms = span_ms(self.interval, time_ms)
        self.kept.append(Kept(open_ms, next_ms, price_ticks, price_ticks, price_ticks, price_ticks, 0, 0))
        if len(self.kept) > 2 * KEPT_MAX:
            del self.kept[:KEPT_MAX]

    def _view(self, kept: Kept, *, closed: bool) -> Candle:
        return Candle(
            self._id,
            self.interval,
            kept.open_ms,
            kept.next_ms - 1,
            kept.open_ticks,
            kept.high_ticks,
            kept.low_ticks,
            kept.close_ticks,
            kept.volume_lots,
            kept.trades,
            closed,
            kept.turnover,
            kept.bought_lots,
            kept.bought_turnover,
        )


def _open_ms(candle: Kept) -> int:
    return candle.open_ms
