"""Features: one row of values per closed bar and strategy.

A `FeaturePort` is what a strategy's declared features look like from here: a streaming step and a batch over
columns, equal bit for bit. A replay preloads whole chunks where they read nothing but the bars; live steps bar
by bar. A strategy gets no row until each of its features has had a value. One on several symbols has features of
each, and may be told the rows of one close together (`actors.slices`). Behind the ports of all strategies stands
one `FeatureEngine`, which also has to hear bars and ticks that are only read by features.
"""

from __future__ import annotations

from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actors.messages import AggregateClosed, Bar, BarRejected, FeatureRow, HistoryBar, HistoryRow
from actors.runtime.scheduler import CoreError
from actors.slices import KeptSlice, Slices

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from actors.messages import External, Message, TapeEnded, TimerFired
    from actors.runtime.scheduler import Context
    from actors.ticks import Tick


class SeriesKey(msgspec.Struct, frozen=True):
    """Which bars something is computed on."""

    symbol: str
    timeframe_ns: int


class FeaturePort(Protocol):
    """The declared features of one strategy."""

    @property
    def history(self) -> Mapping[SeriesKey, int]:
        """How many bars of each series it takes until there is a row, as far as that is known beforehand."""
        ...

    @property
    def by_chunks(self) -> bool:
        """Whether `batch` may be called: nothing is read but the bars of its own series."""
        ...

    warm: bool
    """Whether there has been a row."""

    def step(self, bar: Bar) -> Any:  # noqa: ANN401 - the row type is the strategy's own
        """Return the values at the close of `bar`; None while there is no row."""
        ...

    def batch(self, columns: Any) -> tuple[int, Iterator[Any]]:  # noqa: ANN401 - any object with a column per source
        """Return the values of a chunk of bars, and of how many first ones there is none but None."""
        ...

    def kept(self, row: Any, /) -> list[float] | str:  # noqa: ANN401 - the row type is the strategy's own
        """Return a row as a snapshot keeps it: its values in order, or why there are none."""
        ...

    def row(self, kept: Sequence[float] | str, /) -> Any:  # noqa: ANN401 - the row type is the strategy's own
        """Return the row that was kept."""
        ...


class FeatureEngine(Protocol):
    """What computes the features of all strategies."""

    @property
    def stepped(self) -> Collection[SeriesKey]:
        """Series every bar of which it must be given; of the others its ports are given them."""
        ...

    @property
    def built(self) -> Collection[SeriesKey]:
        """Every series something is computed on."""
        ...

    @property
    def merges(self) -> bool:
        """Whether bars of a higher timeframe are read at the close of those they are built from."""
        ...

    def closing_order(self, symbol: str, timeframes_ns: Iterable[int], /) -> list[int]:
        """Return higher timeframes of a symbol in the order in which bars that end together are to be closed."""
        ...

    @property
    def hears(self) -> Collection[type[Message]]:
        """The kinds of messages between bars it must be given."""
        ...

    def take(self, bar: Bar) -> None:
        """Compute what a bar gives, unless that was done."""
        ...

    def hear(self, message: Any, /) -> None:  # noqa: ANN401 - any of `hears`
        """Note what came between bars."""
        ...

    def dump(self) -> bytes:
        """Return the state."""
        ...

    def load(self, state: bytes, /) -> None:
        """Restore the state."""
        ...


class NoFeatures:
    """Port and engine of strategies that declare none."""

    history: Mapping[SeriesKey, int] = MappingProxyType({})
    by_chunks = True
    stepped: Collection[SeriesKey] = ()
    built: Collection[SeriesKey] = ()
    merges = False
    hears: Collection[type[Message]] = ()

    def __init__(self) -> None:
        """Be ready from the first bar on."""
        self.warm = True

    def step(self, _: Bar) -> Any:  # noqa: ANN401 - see `FeaturePort.step`
        """Return an empty row."""
        return ()

    def batch(self, columns: Any) -> tuple[int, Iterator[Any]]:  # noqa: ANN401 - see `FeaturePort.batch`
        """Return empty rows."""
        return 0, repeat((), len(columns))

    def kept(self, _: Any, /) -> list[float] | str:  # noqa: ANN401 - see `FeaturePort.kept`
        """Return that there is nothing in it."""
        return []

    def row(self, _: Sequence[float] | str) -> Any:  # noqa: ANN401 - see `FeaturePort.row`
        """Return an empty row."""
        return ()

    def closing_order(self, _: str, timeframes_ns: Iterable[int], /) -> list[int]:
        """Return them from the shortest to the longest."""
        return sorted(set(timeframes_ns))

    def take(self, bar: Bar) -> None:
        """Compute nothing."""

    def hear(self, message: Any, /) -> None:  # noqa: ANN401 - see `FeatureEngine.hear`
        """Note nothing."""

    def dump(self) -> bytes:
        """Return nothing."""
        return b""

    def load(self, state: bytes, /) -> None:
        """Take nothing."""


class _State(msgspec.Struct):
    warm: dict[str, list[bool]]
    """By strategy, for each of its symbols."""
    slices: dict[str, KeptSlice]
    engine: bytes


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

    __slots__ = ("features", "history_bars", "rows", "slices", "strategy", "symbol")

    def __init__(
        self, strategy: str, symbol: str, features: FeaturePort, history_bars: int, slices: Slices | None
    ) -> None:
        self.strategy = strategy
        self.symbol = symbol
        self.slices = slices
        self.features = features
        self.history_bars = history_bars
        """Rows of history the strategy wants to see."""
        self.rows: Iterator[Any] | None = None


class Features:
    """Turns bars into feature rows."""

    isolated = False

    def __init__(
        self,
        context: Context,
        symbols: Iterable[str],
        subscriptions: Iterable[Subscription],
        engine: FeatureEngine,
        slice_wait_ns: int = 0,
    ) -> None:
        """Serve `subscriptions`, whose ports `engine` stands behind.

        A slice waits `slice_wait_ns` after its close for who is missing.
        """
        self.name = "features"
        self._engine = engine
        self._stepped = {series.symbol for series in engine.stepped}
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

    def by_chunks(self, symbol: str) -> bool:
        """Return whether the bars of `symbol` may be preloaded."""
        return symbol not in self._stepped and all(served.features.by_chunks for served in self._on_bars[symbol])

    def preload(self, symbol: str, columns: Any) -> int:  # noqa: ANN401 - see `FeaturePort.batch`
        """Compute the next chunk of `symbol` at once; its bars must then come one by one, all of them.

        Returns:
            How many rows will be complete, over all strategies.
        """
        self._preloaded.add(symbol)
        complete = 0
        for served in self._on_bars[symbol]:
            assert served.rows is None or next(served.rows, self) is self, "a chunk was left unread"
            cold, served.rows = served.features.batch(columns)
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
        if bar.symbol in self._stepped:
            self._engine.take(bar)
        for served in self._on_bars[bar.symbol]:
            if served.slices is not None:
                self._tell(served, served.slices, bar)
            else:
                values = served.features.step(bar) if served.rows is None else next(served.rows)
                if values is not None:
                    self._emit(FeatureRow(served.strategy, bar, values))

    def on_aggregate(self, message: AggregateClosed) -> None:
        """Emit a row for every strategy on this higher timeframe."""
        bar = message.bar
        self._engine.take(bar)
        for served in self._on_aggregates.get((bar.symbol, bar.timeframe_ns), ()):
            if message.history:
                self._remember(served, bar)
            elif served.slices is not None:
                self._tell(served, served.slices, bar)
            else:
                values = served.features.step(bar)
                if values is not None:
                    self._emit(FeatureRow(served.strategy, bar, values))

    def on_history(self, message: HistoryBar) -> None:
        """Step every strategy's features on this series over a bar of the time before the session."""
        self._engine.take(message.bar)
        for served in self._on_bars[message.bar.symbol]:
            assert served.rows is None, "a tape has no history"
            self._remember(served, message.bar)

    def on_tick(self, message: Tick | External) -> None:
        """Note what came between bars."""
        self._engine.hear(message)

    def on_timer(self, timer: TimerFired) -> None:
        """Tell a slice whose time has passed."""
        if timer.actor == self.name:
            self._slices[timer.name].tell()

    def on_tape_ended(self, _: TapeEnded) -> None:
        """Tell the slices that nothing will complete any more."""
        for slices in self._slices.values():
            slices.tell()

    def _tell(self, served: _Served, slices: Slices, bar: Bar) -> None:
        """Emit a row, and the slices that end before and with it."""
        values = served.features.step(bar) if served.rows is None else next(served.rows)
        row = None if values is None else FeatureRow(served.strategy, bar, values)
        slices.before(bar)
        if row is not None:
            self._emit(row)
        slices.add(bar, row)

    def _remember(self, served: _Served, bar: Bar) -> None:
        values = served.features.step(bar)
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
        warm = {strategy: [served.features.warm for served in each.values()] for strategy, each in self._all.items()}
        slices = {
            strategy: slices.dump({symbol: served.features.kept for symbol, served in self._all[strategy].items()})
            for strategy, slices in self._slices.items()
        }
        return msgspec.msgpack.encode(_State(warm, slices, self._engine.dump()))

    def load(self, state: bytes) -> None:
        """Restore the state; the timers must be restored already."""
        kept = msgspec.msgpack.decode(state, type=_State)
        for strategy, warm in kept.warm.items():
            for served, is_warm in zip(self._all[strategy].values(), warm, strict=True):
                served.features.warm = is_warm
        self._engine.load(kept.engine)
        for strategy, slices in kept.slices.items():
            makers = {symbol: served.features.row for symbol, served in self._all[strategy].items()}
            self._slices[strategy].load(slices, makers)
