"""Slices: the bars of one close of several symbols, told together and once.

A slice is of one strategy and one close time. It is told

1. with the bar that completes it: every symbol of the strategy has had its bar of that close;
2. else before the first bar, of any of its symbols, that closes later;
3. else by a timer, `market.slice_wait_s` after that close;
4. else at the end of the tape.

A bar of a close that was told already, or of one before the slice in hand, is in no slice. A slice holds rows: a
symbol that has no bar of that close, or whose features are still warming up, is left out; one without any row is
not told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.messages import Bar, FeatureRow, SliceClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.messages import Message
    from actors.runtime.timers import Timers


class KeptSlice(msgspec.Struct):
    """What a snapshot keeps of one strategy's slices."""

    close_ns: int
    told_ns: int
    history: bool
    heard: dict[str, tuple[Bar, list[float] | str] | None]
    """By symbol, in the order they came; None for one that is warming up, words for one whose features failed."""


class Slices:
    """The slices of one strategy.

    Args:
        strategy: whose.
        symbols: all it trades, in order.
        wait_ns: how long after its close a slice waits for who is missing.
        owner: the actor on whose behalf the deadline is set; the timer's name is the strategy's.
        emit: says a message.
        timers: where the deadline is set.
    """

    __slots__ = (
        "_emit",
        "_heard",
        "_history",
        "_owner",
        "_timers",
        "_wait_ns",
        "close_ns",
        "strategy",
        "symbols",
        "told_ns",
    )

    def __init__(
        self,
        strategy: str,
        symbols: tuple[str, ...],
        wait_ns: int,
        owner: str,
        emit: Callable[[Message], None],
        timers: Timers,
    ) -> None:
        self.strategy = strategy
        self.symbols = symbols
        self.close_ns = -1
        """Close of the slice in hand; -1 without one."""
        self.told_ns = -1
        """Close of the newest one that is over."""
        self._wait_ns = wait_ns
        self._owner = owner
        self._emit = emit
        self._timers = timers
        self._heard: dict[str, FeatureRow | None] = {}
        self._history = False

    def before(self, bar: Bar) -> None:
        """Tell the slice in hand if `bar` closes later: who is missing will not come before."""
        if 0 <= self.close_ns < bar.close_ns:
            self.tell()

    def add(self, bar: Bar, row: FeatureRow | None, *, history: bool = False) -> None:
        """Take in a bar with its row, None while it warms up; tell the slice if that completes it."""
        close_ns = bar.close_ns
        if close_ns <= self.told_ns or close_ns < self.close_ns:
            return
        self.close_ns = close_ns
        self._history = history
        self._heard[bar.symbol] = row
        if len(self._heard) == len(self.symbols):
            self.tell()
        elif len(self._heard) == 1:
            self._timers.arm(self._owner, self.strategy, close_ns + self._wait_ns)

    def tell(self) -> None:
        """Tell the slice in hand as it is; none is fine."""
        if self.close_ns < 0:
            return
        heard = self._heard
        rows = tuple(row for symbol in self.symbols if (row := heard.get(symbol)) is not None)
        if rows:
            self._emit(SliceClosed(self.strategy, self.close_ns, rows, self._history))
        self.told_ns = self.close_ns
        self.close_ns = -1
        heard.clear()
        self._timers.disarm(self._owner, self.strategy)

    def dump(self, keepers: Mapping[str, Callable[[Any], list[float] | str]]) -> KeptSlice:
        """Return the state; `keepers` return what is kept of each symbol's rows."""
        heard = {
            symbol: None if row is None else (row.bar, keepers[symbol](row.values))
            for symbol, row in self._heard.items()
        }
        return KeptSlice(self.close_ns, self.told_ns, self._history, heard)

    def load(self, kept: KeptSlice, makers: Mapping[str, Callable[[list[float] | str], Any]]) -> None:
        """Restore the state; `makers` return the values of each symbol as its strategy knows them."""
        self.close_ns, self.told_ns, self._history = kept.close_ns, kept.told_ns, kept.history
        self._heard = {
            symbol: None if one is None else FeatureRow(self.strategy, one[0], makers[symbol](one[1]))
            for symbol, one in kept.heard.items()
        }
