"""Market: the only door for bars; what happens between them comes through `actors.ticks`.

Keeps out what cannot be true, notices when a series falls silent, and builds higher timeframes. Bars of the time
before the session go to features only. An
aggregate is emitted only once it is complete: with the bar that closes it, or, where that bar is missing,
with the first bar of any series, or timer, after its close. A bucket the series entered half-way is not emitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from actors.messages import (
    AggregateClosed,
    Bar,
    BarRejected,
    DataRejected,
    FeedResumed,
    FeedStale,
    HistoryBar,
    TapeEnded,
    TimerFired,
    WarmUp,
)
from actors.plans import EDITION
from actors.runtime.scheduler import WithheldError
from config.timeframe import opening_ns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.lanes import Lane
    from actors.runtime.scheduler import Context
    from actors.runtime.timers import Timer

_INFINITY = float("inf")


class Bucket(msgspec.Struct):
    """A higher-timeframe bar in the making."""

    timeframe_ns: int
    open_ns: int = -1
    """-1 while there is none."""
    whole: bool = False
    """Whether its first bar was the first of the bucket, which was not told before."""
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0
    told_ns: int = -1
    """When the newest one that was told had begun; -1 before."""


class _Kept(msgspec.Struct):
    """What a snapshot keeps of one series."""

    last_close_ns: int
    stale: bool
    entered: bool
    buckets: list[Bucket]
    start_ns: int = -1
    history_ns: int = -1


class Watched:
    """What market remembers of one series."""

    __slots__ = (
        "buckets",
        "entered",
        "history_ns",
        "lane",
        "last_close_ns",
        "patience_ns",
        "runs",
        "stale",
        "start_ns",
        "symbol",
        "timeframe_ns",
        "timer",
    )

    def __init__(self, symbol: str, timeframe_ns: int, patience_ns: int, buckets: list[Bucket], lane: Lane) -> None:
        self.symbol = symbol
        self.lane = lane
        self.timeframe_ns = timeframe_ns
        self.patience_ns = patience_ns
        """Silence longer than this after a close is staleness."""
        self.buckets = buckets
        self.last_close_ns = -1
        """No later bar may open before."""
        self.start_ns = -1
        """Bars that close by then are history; -1 without any."""
        self.history_ns = -1
        """Close of the newest bar of history; -1 without one."""
        self.stale = False
        self.entered = False
        """Whether a bar was ever added to the buckets: later ones cannot have been entered half-way."""
        self.timer: Timer | None = None
        """The deadline of the next bar; None before the first, while stale, and after the end."""
        self.runs: list[tuple[int, int]] = []
        """First and last close of every run of bars in a preloaded chunk that follow one another, newest first."""


class Market:
    """Validates, watches and aggregates."""

    isolated = False

    def __init__(
        self,
        context: Context,
        series: Iterable[tuple[str, int, Iterable[int]]],
        stale_after_bars: int,
        *,
        edition: int = EDITION,
    ) -> None:
        """Watch `series`: (symbol, timeframe in ns, higher timeframes in ns to build).

        Bars of these that end together are closed in their order. `edition` is that of the rules of decision.
        """
        self.name = "market"
        self._context = context
        self._emit = context.emit
        self._series: dict[str, Watched] = {
            symbol: Watched(
                symbol,
                timeframe_ns,
                stale_after_bars * timeframe_ns,
                [Bucket(higher) for higher in dict.fromkeys(above)],
                context.lane(symbol),
            )
            for symbol, timeframe_ns, above in series
        }
        self._aggregated = tuple(series for series in self._series.values() if series.buckets)
        self._waits = edition >= 1

    @property
    def aggregates(self) -> bool:
        """Whether there is any higher timeframe to build."""
        return bool(self._aggregated)

    def preload(self, symbol: str, columns: Any) -> None:  # noqa: ANN401 - any object with a column per field of a bar
        """Look at the next chunk of `symbol` at once; its bars must then come one by one, all of them.

        The first bar of each run comes the whole way. When it does, the rest of its run is vouched for.
        """
        watched = self._series[symbol]
        assert not watched.runs, "a chunk was left unread"
        if not self._aggregated:
            watched.runs = _runs(columns, watched)

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
            raise WithheldError(_instead(bar, watched))
        watched.last_close_ns = close_ns = bar.close_ns
        timer = watched.timer
        if timer is None:
            self._start_watch(watched, close_ns + watched.patience_ns)
        else:
            timer.due_ns = close_ns + watched.patience_ns
        if watched.runs:
            self._vouch(watched, close_ns)
        if self._aggregated:
            self._flush_before(bar, watched)

    def on_bar_settled(self, bar: Bar) -> None:
        """Add a bar that all others have heard to the higher timeframes, and emit those it completes."""
        watched = self._series[bar.symbol]
        if watched.buckets:
            self._fold(watched, bar)

    def on_warm_up(self, message: WarmUp) -> None:
        """Take the symbol's bars up to `start_ns` for history, from now on and until the first one after it."""
        watched = self._series.get(message.symbol)
        if watched is None or watched.last_close_ns > watched.start_ns or watched.history_ns >= 0:
            reason = "series not subscribed" if watched is None else "the session has begun"
            raise WithheldError(DataRejected(message.symbol, "WarmUp", reason))
        watched.start_ns = watched.last_close_ns = message.start_ns

    def on_history(self, message: HistoryBar) -> None:
        """Note a bar of history, and emit the higher timeframes it finds ended."""
        watched = self._series[message.bar.symbol]
        watched.history_ns = message.bar.close_ns
        self._flush_before(message.bar, watched)

    def on_history_settled(self, message: HistoryBar) -> None:
        """Add a bar of history to the higher timeframes."""
        self.on_bar_settled(message.bar)

    def on_timer(self, timer: TimerFired) -> None:
        """Report a silent series, and close buckets whose time has passed.

        One that comes up late, as after the machine was suspended, closes none: bars of meanwhile are still to come.
        """
        late = self._waits and self._context.now_ns > timer.due_ns
        for series in self._aggregated if not late else ():
            if series.last_close_ns > series.start_ns:
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

    def last_closes_ns(self) -> dict[str, int]:
        """Return the close of the newest bar of every symbol that had one, history included."""
        return {
            series.symbol: series.last_close_ns if series.last_close_ns > series.start_ns else series.history_ns
            for series in self._series.values()
            if series.last_close_ns > series.start_ns or series.history_ns >= 0
        }

    def stale_symbols(self) -> list[str]:
        """Return the symbols that are overdue."""
        return [series.symbol for series in self._series.values() if series.stale]

    def dump(self) -> bytes:
        """Return the state."""
        kept = {
            symbol: _Kept(
                series.last_close_ns, series.stale, series.entered, series.buckets, series.start_ns, series.history_ns
            )
            for symbol, series in self._series.items()
        }
        return msgspec.msgpack.encode(kept)

    def load(self, state: bytes) -> None:
        """Restore the state; the timers must be restored already."""
        for symbol, kept in msgspec.msgpack.decode(state, type=dict[str, _Kept]).items():
            series = self._series[symbol]
            series.last_close_ns, series.stale, series.entered = kept.last_close_ns, kept.stale, kept.entered
            series.buckets = kept.buckets
            series.start_ns, series.history_ns = kept.start_ns, kept.history_ns
            series.timer = self._context.timers.find(self.name, symbol)

    def _vouch(self, series: Watched, close_ns: int) -> None:
        """Go to the end of the run that begins with the bar in hand."""
        runs = series.runs
        while runs and runs[-1][0] < close_ns:
            runs.pop()  # its first bar was withheld
        if runs and runs[-1][0] == close_ns:
            _, last_ns = runs.pop()
            if last_ns > close_ns and series.timer is not None:
                series.last_close_ns = last_ns
                series.timer.due_ns = last_ns + series.patience_ns
                series.lane.vouched_until_ns = last_ns + 1

    def _start_watch(self, series: Watched, deadline_ns: int) -> None:
        series.timer = self._context.timers.arm(self.name, series.symbol, deadline_ns)
        if series.stale:
            series.stale = False
            self._emit(FeedResumed(series.symbol, series.timeframe_ns))

    def _flush_before(self, bar: Bar, watched: Watched) -> None:
        """Emit what has ended before a bar: its own series' by its open, others' before its close.

        What another series closes at this very time may still come, and so may all of its history.
        """
        for series in self._aggregated:
            if series is watched:
                self._flush(series, bar.open_ns)
            elif series.last_close_ns > series.start_ns:
                self._flush(series, bar.close_ns - 1)

    def _flush(self, series: Watched, now_ns: int) -> None:
        """Emit every bucket that has ended by `now_ns`."""
        for bucket in series.buckets:
            if bucket.open_ns >= 0 and bucket.open_ns + bucket.timeframe_ns <= now_ns:
                self._close(series.symbol, bucket)

    def _fold(self, series: Watched, bar: Bar) -> None:
        """Add `bar` to its buckets, and emit those it completes."""
        for bucket in series.buckets:
            if bucket.open_ns < 0:
                bucket.open_ns = opening_ns(bar.open_ns, bucket.timeframe_ns)
                bucket.whole = bar.open_ns == bucket.open_ns or series.entered
                if self._waits and bucket.open_ns <= bucket.told_ns:
                    bucket.whole = False
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
            self._emit(AggregateClosed(whole, whole.close_ns <= self._series[symbol].start_ns))
            bucket.told_ns = bucket.open_ns
        bucket.open_ns = -1


def _runs(columns: Any, watched: Watched) -> list[tuple[int, int]]:  # noqa: ANN401 - see `Market.preload`
    """Return first and last close of every run of true bars without a silence between them, newest first."""
    opens_ns, low, high = columns.open_ns, columns.low, columns.high
    closes_ns = opens_ns + watched.timeframe_ns
    true = (
        (low > 0.0) & (low <= columns.open) & (columns.open <= high) & (high < _INFINITY)
        & (low <= columns.close) & (columns.close <= high)
        & (columns.volume >= 0.0) & (columns.volume < _INFINITY)
    )  # fmt: skip
    steps_ns = np.diff(closes_ns)
    follows = true[1:] & true[:-1] & (steps_ns >= watched.timeframe_ns) & (steps_ns <= watched.patience_ns)
    starts = np.flatnonzero(np.append(True, ~follows))
    ends = np.append(starts[1:], len(closes_ns)) - 1
    return list(zip(closes_ns[starts].tolist(), closes_ns[ends].tolist(), strict=True))[::-1]


def _instead(bar: Bar, watched: Watched) -> BarRejected | HistoryBar:
    """Return what becomes of a bar that is not one of the session proper."""
    if bar.timeframe_ns != watched.timeframe_ns:
        reason = "series not subscribed"
    elif not (
        0.0 < bar.low <= bar.open <= bar.high < _INFINITY
        and bar.low <= bar.close <= bar.high
        and 0.0 <= bar.volume < _INFINITY
    ):
        reason = "not a candle: low <= open, close <= high must hold, all finite and positive"
    elif bar.close_ns <= watched.start_ns == watched.last_close_ns and bar.open_ns >= watched.history_ns:
        return HistoryBar(bar)
    else:
        reason = "opens before the previous bar closed"
    return BarRejected(bar.symbol, bar.open_ns, reason)
