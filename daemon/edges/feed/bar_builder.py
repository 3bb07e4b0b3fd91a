"""Closed bars of one series, each once and in order, from what a venue's stream and its REST pages say.

No network, no clock, no waiting: rows go in, bars come out, and `wanted` says what has to be asked for. A row
is `(open time in ms, open, high, low, close, volume)` as ccxt has it.

A bar leaves only when it is *sure*. A row is sure when the venue marked it closed (`final`), when a REST page
shows it closed, or, with `succession`, when the stream went from it to the very next one without a break: a
stream that is in order says the last of a bar before the first of the next. Whatever was seen before a break is
doubted and asked for again. A bar the venue does not have, which only a page with a later row can show, is
skipped and told in `take_missing`.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.messages import Bar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NS_PER_MS = 1_000_000

Row = tuple[int, float, float, float, float, float]
"""Open time in ms, open, high, low, close, volume."""

_FIELDS = 6


class Span(NamedTuple):
    """Bars that open from `first_ms` on and before `end_ms`."""

    first_ms: int
    end_ms: int


class BarStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one series so far."""

    symbol: str
    next_open_ms: int | None
    """The next bar to leave."""
    held: int
    """Rows that wait for their turn or for a proof."""
    emitted: int
    emitted_from_rest: int
    missing: int
    """Bars that the venue does not have, or that lie too far back."""
    late: int
    """Rows of bars that had left already."""
    amended: int
    """Closed rows that differ from the bar that had left: the venue changed its mind."""
    unconfirmed: int
    """Bars of the stream that no page knows although it knows later ones."""
    doubts: int
    """Breaks of the stream."""


class _Held(msgspec.Struct):
    row: Row
    sure: bool
    from_rest: bool


class BarBuilder:
    """Says which bars are closed and what must be fetched.

    Args:
        symbol: of the bars.
        timeframe_ms: length of a bar.
        next_open_ms: the first bar to deliver; None starts with the one that is open when the venue first speaks.
        history_bars: with None above, this many before it.
        backfill_bars_max: what lies further back than this many bars is given up.
        succession: whether the next bar's first row proves the one before; off where the venue marks closed rows.
        settled_ms: how long after its close a page's last row is taken for final.
    """

    def __init__(
        self,
        symbol: str,
        timeframe_ms: int,
        *,
        next_open_ms: int | None = None,
        history_bars: int = 0,
        backfill_bars_max: int = 10_000,
        succession: bool = True,
        settled_ms: int = 2_000,
    ) -> None:
        assert timeframe_ms > 0, timeframe_ms
        assert backfill_bars_max > 0, backfill_bars_max
        self.symbol = symbol
        self.timeframe_ms = timeframe_ms
        self.next_open_ms = next_open_ms
        self.start_ms: int | None = None
        """The bar that was open when the venue first spoke, where no first bar was given."""
        self.closed_ms = 0
        """Every bar that ends by then is closed, whether or not we have it."""
        self.newest: Row | None = None
        """The newest row from anywhere, as it was last told."""
        self._history_ms = history_bars * timeframe_ms
        self._backfill_bars_max = backfill_bars_max
        self._succession = succession
        self._settled_ms = settled_ms
        self._held: dict[int, _Held] = {}
        self._told_ms: int | None = None
        """Open time of the newest row since the last break."""
        self._absent: list[Span] = []
        self._missing: list[Span] = []
        self._last: Row | None = None
        self._emitted = self._emitted_from_rest = self._missed = 0
        self._late = self._amended = self._unconfirmed = self._doubts = 0

    # --- what goes in -------------------------------------------------------------------------------

    def update(self, rows: Iterable[Sequence[Any]], *, final: bool = False) -> None:
        """Take rows of the stream, in the order they came; `final` ones the venue marked as closed."""
        for raw in rows:
            row = _clean(raw)
            if row is None or not self._fits(row[0]):
                continue
            open_ms = row[0]
            self._learn(row)
            if self._has_left(row, final=final):
                continue
            held = self._held.get(open_ms)
            # The volume of a bar only grows: a row with less is an earlier one that was overtaken.
            if held is None or (not held.sure and (final or row[-1] >= held.row[-1])):
                self._held[open_ms] = _Held(row, final, from_rest=False)
            if self._succession and not final:
                self._succeed(open_ms)
        if len(self._held) > self._backfill_bars_max + 2:
            self.doubt()
            self._held.clear()  # nobody takes them; REST has them when somebody does

    def doubt(self) -> None:
        """Trust nothing unproven: the stream was interrupted, and whatever came in between is unknown."""
        self._held = {open_ms: held for open_ms, held in self._held.items() if held.sure}
        self._told_ms = None
        self._doubts += 1

    def venue_time(self, now_ms: int) -> None:
        """Learn that the venue's clock shows `now_ms`, or later."""
        self.closed_ms = max(self.closed_ms, now_ms)

    def page(self, rows: Iterable[Sequence[Any]], *, since_ms: int, closed_ms: int) -> None:
        """Take a REST page that begins at `since_ms`.

        Args:
            rows: what the venue sent.
            since_ms: where the page was asked to begin.
            closed_ms: our `closed_ms` when the request left. The page is no older than that.
        """
        told = sorted({row[0]: row for raw in rows if (row := _clean(raw)) and self._fits(row[0])}.values())
        if not told:
            return
        self._learn(told[-1])
        assert self.next_open_ms is not None
        newest_ms = told[-1][0]
        expected_ms = max(since_ms, self.next_open_ms)
        for row in told:
            open_ms = row[0]
            ends_ms = open_ms + self.timeframe_ms
            closed = ends_ms <= newest_ms or ends_ms + self._settled_ms <= closed_ms
            if self._has_left(row, final=closed):
                continue
            if open_ms > expected_ms:
                self._lacks(Span(expected_ms, open_ms))
            expected_ms = ends_ms
            if closed and not self._is_sure(open_ms):
                self._held[open_ms] = _Held(row, sure=True, from_rest=True)

    # --- what comes out -----------------------------------------------------------------------------

    def ready(self) -> list[Bar]:
        """Take the bars that are next and sure."""
        bars: list[Bar] = []
        while self.next_open_ms is not None:
            held = self._held.get(self.next_open_ms)
            if held is not None and held.sure:
                del self._held[self.next_open_ms]
                bars.append(self._bar(held.row))
                self._last = held.row
                self._emitted += 1
                self._emitted_from_rest += held.from_rest
            elif self._absent and self._absent[0].first_ms <= self.next_open_ms < self._absent[0].end_ms:
                self._miss(Span(self.next_open_ms, self.next_open_ms + self.timeframe_ms))
            else:
                return bars
            self.next_open_ms += self.timeframe_ms
            while self._absent and self._absent[0].end_ms <= self.next_open_ms:
                del self._absent[0]
        return bars

    def wanted(self) -> Span | None:
        """Return the closed bars that only the venue's REST side can tell us of; None if there are none.

        What lies too far back is given up here.
        """
        if self.next_open_ms is None:
            return None
        if not self._is_sure(self.next_open_ms):
            self._give_up()
        first_ms = self.next_open_ms
        while self._is_sure(first_ms):
            first_ms += self.timeframe_ms
        if first_ms + self.timeframe_ms > self.closed_ms:
            return None
        lag = (self.closed_ms - first_ms) // self.timeframe_ms
        end_ms = first_ms + lag * self.timeframe_ms
        known_ms = min((ms for ms, held in self._held.items() if held.sure and ms > first_ms), default=end_ms)
        return Span(first_ms, min(known_ms, end_ms))

    def take_missing(self) -> list[Span]:
        """Take the ranges that were skipped since the last time."""
        missing, self._missing = self._missing, []
        return missing

    def statistics(self) -> BarStatistics:
        """Return what became of the series so far."""
        return BarStatistics(
            symbol=self.symbol,
            next_open_ms=self.next_open_ms,
            held=len(self._held),
            emitted=self._emitted,
            emitted_from_rest=self._emitted_from_rest,
            missing=self._missed,
            late=self._late,
            amended=self._amended,
            unconfirmed=self._unconfirmed,
            doubts=self._doubts,
        )

    # --- inside -------------------------------------------------------------------------------------

    def _fits(self, open_ms: int) -> bool:
        """Whether a bar may open then: on the grid of the others."""
        return self.next_open_ms is None or (open_ms - self.next_open_ms) % self.timeframe_ms == 0

    def _is_sure(self, open_ms: int) -> bool:
        held = self._held.get(open_ms)
        return held is not None and held.sure

    def _learn(self, row: Row) -> None:
        """What a row says of time: all before it are closed."""
        if self.next_open_ms is None:
            self.start_ms = row[0]
            self.next_open_ms = row[0] - self._history_ms
        if self.newest is None or row[0] >= self.newest[0]:
            self.newest = row
        self.closed_ms = max(self.closed_ms, row[0])

    def _has_left(self, row: Row, *, final: bool) -> bool:
        assert self.next_open_ms is not None
        if row[0] >= self.next_open_ms:
            return False
        self._late += 1
        if final and self._last is not None and row[0] == self._last[0] and row != self._last:
            self._amended += 1
            self._last = row
        return True

    def _succeed(self, open_ms: int) -> None:
        """The stream came to `open_ms`: the bar right before it, if that was its newest, is closed."""
        told_ms = self._told_ms
        if told_ms is None or open_ms > told_ms:
            self._told_ms = open_ms
        if told_ms is not None and open_ms == told_ms + self.timeframe_ms and told_ms in self._held:
            self._held[told_ms].sure = True

    def _lacks(self, span: Span) -> None:
        """A page goes past these bars without naming them."""
        for open_ms, held in self._held.items():
            if span.first_ms <= open_ms < span.end_ms and not held.sure:
                held.sure = True  # the stream has seen it, and there is no better source
                self._unconfirmed += 1
        spans: list[Span] = []
        for absent in sorted([*self._absent, span]):
            if spans and absent.first_ms <= spans[-1].end_ms:
                spans[-1] = Span(spans[-1].first_ms, max(spans[-1].end_ms, absent.end_ms))
            else:
                spans.append(absent)
        self._absent = spans

    def _give_up(self) -> None:
        assert self.next_open_ms is not None
        reach_ms = self._backfill_bars_max * self.timeframe_ms
        behind_ms = self.closed_ms - self.next_open_ms
        if behind_ms < reach_ms + self.timeframe_ms:
            return
        first_ms = self.next_open_ms + (behind_ms - reach_ms) // self.timeframe_ms * self.timeframe_ms
        self._miss(Span(self.next_open_ms, first_ms))
        self.next_open_ms = first_ms
        self._held = {open_ms: held for open_ms, held in self._held.items() if open_ms >= first_ms}
        self._absent = [span for span in self._absent if span.end_ms > first_ms]

    def _miss(self, span: Span) -> None:
        self._missed += (span.end_ms - span.first_ms) // self.timeframe_ms
        if self._missing and self._missing[-1].end_ms == span.first_ms:
            span = Span(self._missing.pop().first_ms, span.end_ms)
        self._missing.append(span)

    def _bar(self, row: Row) -> Bar:
        open_ms, first, high, low, last, volume = row
        timeframe_ns = self.timeframe_ms * NS_PER_MS
        open_ns = open_ms * NS_PER_MS
        return Bar(self.symbol, timeframe_ns, open_ns, open_ns + timeframe_ns, first, high, low, last, volume)


def _clean(raw: Sequence[Any]) -> Row | None:
    """Return a copy of a row with numbers in every field, or None if it is not one."""
    if len(raw) < _FIELDS:
        return None
    try:
        open_ms = int(raw[0])
        first, high, low, last, volume = (float(field) for field in raw[1:_FIELDS])
    except (TypeError, ValueError):
        return None
    if not all(isfinite(field) for field in (first, high, low, last, volume)):
        return None
    return open_ms, first, high, low, last, volume
