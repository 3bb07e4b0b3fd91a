"""Market: the only door for market data.

Keeps out what cannot be true, notices when a series falls silent, and builds higher timeframes. An
aggregate is emitted only once it is complete: with the bar that closes it, or, where that bar is missing,
with the first bar of any series, or timer, after its close. A bucket the series entered half-way is not emitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.messages import AggregateClosed, Bar, BarRejected, FeedResumed, FeedStale, TapeEnded, TimerFired
from actors.runtime.scheduler import WithheldError

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
    entered: bool
    buckets: list[Bucket]


class Watched:
    """What market remembers of one series."""

    __slots__ = ("buckets", "entered", "last_close_ns", "patience_ns", "stale", "symbol", "timeframe_ns", "timer")

    def __init__(self, symbol: str, timeframe_ns: int, patience_ns: int, buckets: list[Bucket]) -> None:
        self.symbol = symbol
        self.timeframe_ns = timeframe_ns
        self.patience_ns = patience_ns
        """Silence longer than this after a close is staleness."""
        self.buckets = buckets
        self.last_close_ns = -1
        self.stale = False
        self.entered = False
        """Whether a bar was ever added to the buckets: later ones cannot have been entered half-way."""
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
        self._aggregated = tuple(series for series in self._series.values() if series.buckets)

    @property
    def aggregates(self) -> bool:
        """Whether there is any higher timeframe to build."""
        return bool(self._aggregated)

    def on_bar(self, bar: Bar) -> None:
        """Let a true bar through to the others; withhold a false one."""
        try:
            watched = self._series[bar.symbol]
        except KeyError:
            raise WithheldError(BarRejected(bar.symbol, bar.open_ns, "series not subscribed")) from None
        low = bar.low
        high = bar.high
        if not (
            bar.timeframe_ns == watched.timeframe_ns
            and 0.0 < low <= bar.open <= high < _INFINITY
            and low <= bar.close <= high
            and 0.0 <= bar.volume < _INFINITY
            and bar.open_ns >= watched.last_close_ns
        ):
            raise WithheldError(BarRejected(bar.symbol, bar.open_ns, _fault(bar, watched)))
        watched.last_close_ns = close_ns = bar.close_ns
        timer = watched.timer
        if timer is None:
            self._start_watch(watched, close_ns + watched.patience_ns)
        else:
            timer.due_ns = close_ns + watched.patience_ns
        for series in self._aggregated:
            # What another series closes at this very time may still come.
            self._flush(series, bar.open_ns if series is watched else close_ns - 1)

    def on_bar_settled(self, bar: Bar) -> None:
        """Add a bar that all others have heard to the higher timeframes, and emit those it completes."""
        watched = self._series[bar.symbol]
        if watched.buckets:
            self._fold(watched, bar)

    def on_timer(self, timer: TimerFired) -> None:
        """Report a silent series, and close buckets whose time has passed."""
        for series in self._aggregated:
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

    def dump(self) -> bytes:
        """Return the state."""
        kept = {
            symbol: _Kept(series.last_close_ns, series.stale, series.entered, series.buckets)
            for symbol, series in self._series.items()
        }
        return msgspec.msgpack.encode(kept)

    def load(self, state: bytes) -> None:
        """Restore the state; the timers must be restored already."""
        for symbol, kept in msgspec.msgpack.decode(state, type=dict[str, _Kept]).items():
            series = self._series[symbol]
            series.last_close_ns, series.stale, series.entered = kept.last_close_ns, kept.stale, kept.entered
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
                bucket.whole = bar.open_ns == bucket.open_ns or series.entered
                bucket.open, bucket.high, bucket.low, bucket.volume = bar.open, bar.high, bar.low, 0.0
            bucket.high = max(bucket.high, bar.high)
            bucket.low = min(bucket.low, bar.low)
            bucket.close = bar.close
            bucket.volume += bar.volume
            if bar.close_ns >= bucket.open_ns + bucket.timeframe_ns:
                self._close(series.symbol, bucket)
        series.entered = True

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


def _fault(bar: Bar, watched: Watched) -> str:
    if bar.timeframe_ns != watched.timeframe_ns:
        return "series not subscribed"
    if bar.open_ns < watched.last_close_ns:
        return "opens before the previous bar closed"
    return "not a candle: low <= open, close <= high must hold, all finite and positive"
