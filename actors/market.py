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


class SeriesState(msgspec.Struct):
    """What market remembers of one series."""

    symbol: str
    timeframe_ns: int
    last_close_ns: int = -1
    stale: bool = False
    bars: int = 0
    buckets: list[Bucket] = []


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
        self._due = context.timers.due
        self._stale_after_bars = stale_after_bars
        self._series: dict[str, SeriesState] = {
            symbol: SeriesState(symbol, timeframe_ns, buckets=[Bucket(higher) for higher in sorted(set(above))])
            for symbol, timeframe_ns, above in series
        }
        self._timer_keys = {symbol: (self.name, symbol) for symbol in self._series}

    def on_bar(self, bar: Bar) -> None:
        """Pass a true bar on; reject a false one."""
        series = self._series.get(bar.symbol)
        if series is None or series.timeframe_ns != bar.timeframe_ns:
            self._emit(BarRejected(bar.symbol, bar.open_ns, "series not subscribed"))
            return
        low = bar.low
        high = bar.high
        if not (
            0.0 < low <= bar.open <= high < _INFINITY and low <= bar.close <= high and 0.0 <= bar.volume < _INFINITY
        ):
            self._emit(BarRejected(bar.symbol, bar.open_ns, "not a candle: low <= open, close <= high must hold"))
            return
        if bar.open_ns < series.last_close_ns:
            self._emit(BarRejected(bar.symbol, bar.open_ns, "opens before the previous bar closed"))
            return
        close_ns = bar.close_ns
        key = self._timer_keys[bar.symbol]
        deadline_ns = close_ns + self._stale_after_bars * bar.timeframe_ns
        if series.bars == 0 or series.stale:
            self._start_watch(series, deadline_ns)
        else:
            self._due[key] = deadline_ns
        series.last_close_ns = close_ns
        series.bars += 1
        if series.buckets:
            self._flush(series, bar.open_ns)
            self._emit(bar)
            self._fold(series, bar)
        else:
            self._emit(bar)

    def on_timer(self, timer: TimerFired) -> None:
        """Report a silent series, and close buckets whose time has passed."""
        for series in self._series.values():
            if series.buckets:
                self._flush(series, self._context.now_ns)
        if timer.actor == self.name:
            series = self._series[timer.name]
            series.stale = True
            self._emit(FeedStale(series.symbol, series.timeframe_ns, series.last_close_ns))

    def on_tape_ended(self, _: TapeEnded) -> None:
        """Stop watching: silence after the end is not staleness."""
        for key in self._timer_keys.values():
            self._context.timers.disarm(key)

    def stale_symbols(self) -> list[str]:
        """Return the symbols that are overdue."""
        return [series.symbol for series in self._series.values() if series.stale]

    def bars(self) -> int:
        """Return how many true bars there were so far, of all series."""
        return sum(series.bars for series in self._series.values())

    def dump(self) -> bytes:
        """Return the state."""
        return msgspec.msgpack.encode(list(self._series.values()))

    def load(self, state: bytes) -> None:
        """Restore the state."""
        for series in msgspec.msgpack.decode(state, type=list[SeriesState]):
            self._series[series.symbol] = series

    def _start_watch(self, series: SeriesState, deadline_ns: int) -> None:
        self._context.timers.arm((self.name, series.symbol), deadline_ns)
        if series.stale:
            series.stale = False
            self._emit(FeedResumed(series.symbol, series.timeframe_ns))

    def _flush(self, series: SeriesState, now_ns: int) -> None:
        """Emit every bucket that has ended by `now_ns`."""
        for bucket in series.buckets:
            if bucket.open_ns >= 0 and bucket.open_ns + bucket.timeframe_ns <= now_ns:
                self._close(series.symbol, bucket)

    def _fold(self, series: SeriesState, bar: Bar) -> None:
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
