"""Market: the only door for market data.

Keeps out what cannot be true, notices when a series falls silent, and builds higher timeframes. An
aggregate is emitted only once it is complete: with the bar that closes it, or, where that bar is missing,
at the first input at or after its close. A bucket the series entered half-way is not emitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.messages import AggregateClosed, Bar, BarRejected, FeedResumed, FeedStale, TapeEnded, TimerFired

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.scheduler import Context
    from actors.runtime.timers import Timer

_INFINITY = float("inf")


class Bucket(msgspec.Struct):
    """A higher-timeframe bar in the making."""

    timeframe_ns: int
    open_ns: int = -1
    """-1 while there is none."""
    whole: bool = False
    """Whether its first bar was the first of the bucket."""
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0


class _Kept(msgspec.Struct):
    """What a snapshot keeps of one series."""

    last_close_ns: int
    stale: bool
    bars: int
    buckets: list[Bucket]


class Watched:
    """What market remembers of one series."""

    __slots__ = ("bars", "buckets", "last_close_ns", "patience_ns", "stale", "symbol", "timeframe_ns", "timer")

    def __init__(self, symbol: str, timeframe_ns: int, patience_ns: int, buckets: list[Bucket]) -> None:
        self.symbol = symbol
        self.timeframe_ns = timeframe_ns
        self.patience_ns = patience_ns
        """Silence longer than this after a close is staleness."""
        self.buckets = buckets
        self.last_close_ns = -1
        self.stale = False
        self.bars = 0
        self.timer: Timer | None = None
        """The deadline of the next bar; None before the first, while stale, and after the end."""


class Market:
    """Validates, watches and aggregates."""

    isolated = False

    def __init__(
        self,
        context: Context,
        series: Iterable[tuple[str, int, Iterable[int]]],
        stale_after_bars: int,
    ) -> None:
        """Watch `series`: (symbol, timeframe in ns, higher timeframes in ns to build)."""
        self.name = "market"
        self._context = context
        self._emit = context.emit
        self._series: dict[str, Watched] = {
            symbol: Watched(
                symbol,
                timeframe_ns,
                stale_after_bars * timeframe_ns,
                [Bucket(higher) for higher in sorted(set(above))],
            )
            for symbol, timeframe_ns, above in series
        }

    def on_bar(self, bar: Bar) -> None:
        """Pass a true bar on; reject a false one."""
        watched = self._series.get(bar.symbol)
        if watched is None or watched.timeframe_ns != bar.timeframe_ns:
            self._emit(BarRejected(bar.symbol, bar.open_ns, "series not subscribed"))
            return
        low = bar.low
        high = bar.high
        open_ns = bar.open_ns
        if (
            0.0 < low <= bar.open <= high < _INFINITY
            and low <= bar.close <= high
            and 0.0 <= bar.volume < _INFINITY
            and open_ns >= watched.last_close_ns
        ):
            watched.last_close_ns = close_ns = bar.close_ns
            watched.bars += 1
            timer = watched.timer
            if timer is None:
                self._start_watch(watched, close_ns + watched.patience_ns)
            else:
                timer.due_ns = close_ns + watched.patience_ns
            if watched.buckets:
                self._flush(watched, open_ns)
                self._emit(bar)
                self._fold(watched, bar)
            else:
                self._emit(bar)
        elif open_ns < watched.last_close_ns:
            self._emit(BarRejected(bar.symbol, open_ns, "opens before the previous bar closed"))
        else:
            self._emit(BarRejected(bar.symbol, open_ns, "not a candle: low <= open, close <= high must hold"))

    def on_timer(self, timer: TimerFired) -> None:
        """Report a silent series, and close buckets whose time has passed."""
        for series in self._series.values():
            if series.buckets:
                self._flush(series, self._context.now_ns)
        if timer.actor == self.name:
            series = self._series[timer.name]
            series.stale = True
            series.timer = None
            self._emit(FeedStale(series.symbol, series.timeframe_ns, series.last_close_ns))

    def on_tape_ended(self, _: TapeEnded) -> None:
        """Stop watching: silence after the end is not staleness."""
        for series in self._series.values():
            self._context.timers.disarm(self.name, series.symbol)
            series.timer = None

    def stale_symbols(self) -> list[str]:
        """Return the symbols that are overdue."""
        return [series.symbol for series in self._series.values() if series.stale]

    def bars(self) -> int:
        """Return how many true bars there were so far, of all series."""
        return sum(series.bars for series in self._series.values())

    def dump(self) -> bytes:
        """Return the state."""
        kept = {
            symbol: _Kept(series.last_close_ns, series.stale, series.bars, series.buckets)
            for symbol, series in self._series.items()
        }
        return msgspec.msgpack.encode(kept)

    def load(self, state: bytes) -> None:
        """Restore the state; the timers must be restored already."""
        for symbol, kept in msgspec.msgpack.decode(state, type=dict[str, _Kept]).items():
            series = self._series[symbol]
            series.last_close_ns, series.stale, series.bars = kept.last_close_ns, kept.stale, kept.bars
            series.buckets = kept.buckets
            series.timer = self._context.timers.find(self.name, symbol)

    def _start_watch(self, series: Watched, deadline_ns: int) -> None:
        series.timer = self._context.timers.arm(self.name, series.symbol, deadline_ns)
        if series.stale:
            series.stale = False
            self._emit(FeedResumed(series.symbol, series.timeframe_ns))

    def _flush(self, series: Watched, now_ns: int) -> None:
        """Emit every bucket that has ended by `now_ns`."""
        for bucket in series.buckets:
            if bucket.open_ns >= 0 and bucket.open_ns + bucket.timeframe_ns <= now_ns:
                self._close(series.symbol, bucket)

    def _fold(self, series: Watched, bar: Bar) -> None:
        """Add `bar` to its buckets, and emit those it completes."""
        for bucket in series.buckets:
            if bucket.open_ns < 0:
                bucket.open_ns = bar.open_ns - bar.open_ns % bucket.timeframe_ns
                bucket.whole = bar.open_ns == bucket.open_ns or series.bars > 1
                bucket.open, bucket.high, bucket.low, bucket.volume = bar.open, bar.high, bar.low, 0.0
            bucket.high = max(bucket.high, bar.high)
            bucket.low = min(bucket.low, bar.low)
            bucket.close = bar.close
            bucket.volume += bar.volume
            if bar.close_ns >= bucket.open_ns + bucket.timeframe_ns:
                self._close(series.symbol, bucket)

    def _close(self, symbol: str, bucket: Bucket) -> None:
        if bucket.whole:
            whole = Bar(
                symbol,
                bucket.timeframe_ns,
                bucket.open_ns,
                bucket.open_ns + bucket.timeframe_ns,
                bucket.open,
                bucket.high,
                bucket.low,
                bucket.close,
                bucket.volume,
            )
            self._emit(AggregateClosed(whole))
        bucket.open_ns = -1
