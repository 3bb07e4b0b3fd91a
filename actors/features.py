"""Features: one row of indicator values per closed bar and strategy.

A `FeaturePort` is what a strategy's declared indicators look like from here: a streaming step and a
batch over columns, equal bit for bit. A replay preloads whole chunks; live steps bar by bar. A strategy
gets no row until all of its indicators have warmed up. One on several symbols has features of each, and may
be told the rows of one close together (`actors.slices`).
"""

from __future__ import annotations

from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actors.messages import AggregateClosed, Bar, BarRejected, FeatureRow, HistoryBar, HistoryRow
from actors.runtime.scheduler import CoreError
from actors.slices import KeptSlice, Slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from actors.messages import TapeEnded, TimerFired
    from actors.runtime.scheduler import Context


class FeaturePort(Protocol):
    """The declared features of one strategy."""

    @property
    def warmup_bars(self) -> int:
        """Number of first bars without a complete row."""
        ...

    def step(self, bar: Bar) -> Any:  # noqa: ANN401 - the row type is the strategy's own
        """Return the values at the close of `bar`."""
        ...

    def batch(self, columns: Any) -> Iterator[Any]:  # noqa: ANN401 - any object with a float64 column per source
        """Return the values of a chunk of bars."""
        ...

    def row(self, values: Sequence[float]) -> Any:  # noqa: ANN401 - the row type is the strategy's own
        """Return `values`, in the order of a row's fields, as a row."""
        ...

    def dump(self) -> list[bytes]:
        """Return the state of every kernel."""
        ...

    def load(self, states: list[bytes]) -> None:
        """Restore the state of every kernel."""
        ...


class _State(msgspec.Struct):
    seen: int
    kernels: list[bytes]
    further: dict[str, _State] = {}
    """Of a strategy on several symbols: the others by name."""
    slice: KeptSlice | None = None


class Subscription(msgspec.Struct, frozen=True):
    """What a strategy wants of one series."""

    strategy: str
    symbol: str
    timeframe_ns: int
    features: FeaturePort
    aggregate: bool = False
    """Whether it is a higher timeframe, built here."""
    history_bars: int = 0
    """Rows of the time before the session it wants to see."""
    slice_of: tuple[str, ...] = ()
    """All symbols whose rows are to be told together, this one included; empty if none are."""


class _Served:
    """One strategy's features over one series."""

    __slots__ = ("features", "history_bars", "rows", "seen", "slices", "strategy", "symbol", "warmup_bars")

    def __init__(
        self, strategy: str, symbol: str, features: FeaturePort, history_bars: int, slices: Slices | None
    ) -> None:
        self.strategy = strategy
        self.symbol = symbol
        self.slices = slices
        self.features = features
        self.warmup_bars = features.warmup_bars
        self.history_bars = history_bars
        """Rows of history the strategy wants to see."""
        self.seen = 0
        self.rows: Iterator[Any] | None = None


class Features:
    """Turns bars into feature rows."""

    isolated = False

    def __init__(
        self,
        context: Context,
        symbols: Iterable[str],
        subscriptions: Iterable[Subscription],
        slice_wait_ns: int = 0,
    ) -> None:
        """Serve `subscriptions`; a slice waits `slice_wait_ns` after its close for who is missing."""
        self.name = "features"
        self._emit = context.emit
        self._on_bars: dict[str, list[_Served]] = {symbol: [] for symbol in symbols}
        self._on_aggregates: dict[tuple[str, int], list[_Served]] = {}
        self._all: dict[str, dict[str, _Served]] = {}
        """By strategy, then by symbol, in the order they were subscribed."""
        self._slices: dict[str, Slices] = {}
        self._preloaded: set[str] = set()
        for wanted in subscriptions:
            slices: Slices | None = None
            if wanted.slice_of:
                slices = self._slices.get(wanted.strategy) or Slices(
                    wanted.strategy, wanted.slice_of, slice_wait_ns, self.name, context.emit, context.timers
                )
                self._slices[wanted.strategy] = slices
            served = _Served(wanted.strategy, wanted.symbol, wanted.features, wanted.history_bars, slices)
            self._all.setdefault(wanted.strategy, {})[wanted.symbol] = served
            if wanted.aggregate:
                self._on_aggregates.setdefault((wanted.symbol, wanted.timeframe_ns), []).append(served)
            else:
                self._on_bars[wanted.symbol].append(served)

    @property
    def has_slices(self) -> bool:
        """Whether any strategy is told its symbols' rows together."""
        return bool(self._slices)

    def is_plain(self, symbol: str) -> bool:
        """Return whether every strategy on the symbol's bars is told of nothing but them."""
        return all(len(self._all[served.strategy]) == 1 and served.slices is None for served in self._on_bars[symbol])

    def preload(self, symbol: str, columns: Any) -> int:  # noqa: ANN401 - see `FeaturePort.batch`
        """Compute the next chunk of `symbol` at once; its bars must then come one by one, all of them.

        Returns:
            How many rows will be complete, over all strategies.
        """
        self._preloaded.add(symbol)
        complete = 0
        for served in self._on_bars[symbol]:
            assert served.rows is None or next(served.rows, self) is self, "a chunk was left unread"
            cold = min(served.warmup_bars - served.seen, len(columns))
            served.rows = served.features.batch(columns)
            if cold:
                served.seen += cold
                served.rows = chain(repeat(None, cold), islice(served.rows, cold, None))
            complete += len(columns) - cold
        return complete

    def rows(self, strategy: str) -> Iterator[Any]:
        """Return what is left of the preloaded rows of a strategy on one symbol: None while it warms up.

        They may be read from here instead of being heard from `on_bar`.
        """
        (served,) = self._all[strategy].values()
        assert served.rows is not None, strategy
        return served.rows

    def on_bar(self, bar: Bar) -> None:
        """Emit a row for every strategy on this series."""
        for served in self._on_bars[bar.symbol]:
            if served.slices is not None:
                self._tell(served, served.slices, bar)
            elif served.rows is not None:
                values = next(served.rows)
                if values is not None:
                    self._emit(FeatureRow(served.strategy, bar, values))
            else:
                values = served.features.step(bar)
                if served.seen >= served.warmup_bars:
                    self._emit(FeatureRow(served.strategy, bar, values))
                else:
                    served.seen += 1

    def on_aggregate(self, message: AggregateClosed) -> None:
        """Emit a row for every strategy on this higher timeframe."""
        bar = message.bar
        for served in self._on_aggregates.get((bar.symbol, bar.timeframe_ns), ()):
            if message.history:
                self._remember(served, bar)
            elif served.slices is not None:
                self._tell(served, served.slices, bar)
            else:
                values = self._values(served, bar)
                if values is not None:
                    self._emit(FeatureRow(served.strategy, bar, values))

    def on_history(self, message: HistoryBar) -> None:
        """Step every strategy's features on this series over a bar of the time before the session."""
        for served in self._on_bars[message.bar.symbol]:
            assert served.rows is None, "a tape has no history"
            self._remember(served, message.bar)

    def on_timer(self, timer: TimerFired) -> None:
        """Tell a slice whose time has passed."""
        if timer.actor == self.name:
            self._slices[timer.name].tell()

    def on_tape_ended(self, _: TapeEnded) -> None:
        """Tell the slices that nothing will complete any more."""
        for slices in self._slices.values():
            slices.tell()

    def _values(self, served: _Served, bar: Bar) -> Any:  # noqa: ANN401 - the row type is the strategy's own
        """Return the values at the close of `bar`, None while they warm up."""
        if served.rows is not None:
            return next(served.rows)
        values = served.features.step(bar)
        if served.seen >= served.warmup_bars:
            return values
        served.seen += 1
        return None

    def _tell(self, served: _Served, slices: Slices, bar: Bar) -> None:
        """Emit a row, and the slices that end before and with it."""
        values = self._values(served, bar)
        row = None if values is None else FeatureRow(served.strategy, bar, values)
        slices.before(bar)
        if row is not None:
            self._emit(row)
        slices.add(bar, row)

    def _remember(self, served: _Served, bar: Bar) -> None:
        values = self._values(served, bar)
        if not served.history_bars:
            return
        row = None if values is None else HistoryRow(served.strategy, bar, values)
        if served.slices is not None:
            served.slices.before(bar)
        if row is not None:
            self._emit(row)
        if served.slices is not None:
            served.slices.add(bar, row, history=True)

    def on_bar_rejected(self, message: BarRejected) -> None:
        """Refuse to go on where what was preloaded no longer matches the bars."""
        if message.symbol in self._preloaded:
            what = f"{message.symbol}: a bar of a validated tape was rejected ({message.reason})"
            raise CoreError(what)

    def dump(self) -> bytes:
        """Return the state; only between chunks."""
        states: dict[str, _State] = {}
        for strategy, each in self._all.items():
            first, *further = [_State(served.seen, served.features.dump()) for served in each.values()]
            first.further = dict(zip(list(each)[1:], further, strict=True))
            slices = self._slices.get(strategy)
            first.slice = None if slices is None else slices.dump()
            states[strategy] = first
        return msgspec.msgpack.encode(states)

    def load(self, state: bytes) -> None:
        """Restore the state; the timers must be restored already."""
        for strategy, kept in msgspec.msgpack.decode(state, type=dict[str, _State]).items():
            each = self._all[strategy]
            for served, one in zip(each.values(), (kept, *kept.further.values()), strict=True):
                served.seen = one.seen
                served.features.load(one.kernels)
            if kept.slice is not None:
                makers = {symbol: served.features.row for symbol, served in each.items()}
                self._slices[strategy].load(kept.slice, makers)
