"""Features: one row of indicator values per closed bar and strategy.

A `FeaturePort` is what a strategy's declared indicators look like from here: a streaming step and a
batch over columns, equal bit for bit. A replay preloads whole chunks; live steps bar by bar. A strategy
gets no row until all of its indicators have warmed up.
"""

from __future__ import annotations

from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actors.messages import AggregateClosed, Bar, BarRejected, FeatureRow, HistoryBar, HistoryRow
from actors.runtime.scheduler import CoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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

    def dump(self) -> list[bytes]:
        """Return the state of every kernel."""
        ...

    def load(self, states: list[bytes]) -> None:
        """Restore the state of every kernel."""
        ...


class _State(msgspec.Struct):
    seen: int
    kernels: list[bytes]


class _Subscription:
    """One strategy's features over one series."""

    __slots__ = ("features", "history_bars", "rows", "seen", "strategy", "warmup_bars")

    def __init__(self, strategy: str, features: FeaturePort, history_bars: int) -> None:
        self.strategy = strategy
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
        subscriptions: Iterable[tuple[str, str, int, FeaturePort, bool, int]],
    ) -> None:
        """Serve `subscriptions`.

        Each is (strategy, symbol, timeframe in ns, features, whether it is an aggregate, rows of history wanted).
        """
        self.name = "features"
        self._emit = context.emit
        self._on_bars: dict[str, list[_Subscription]] = {symbol: [] for symbol in symbols}
        self._on_aggregates: dict[tuple[str, int], list[_Subscription]] = {}
        self._all: dict[str, _Subscription] = {}
        self._preloaded: set[str] = set()
        for strategy, symbol, timeframe_ns, features, aggregate, history_bars in subscriptions:
            subscription = _Subscription(strategy, features, history_bars)
            self._all[strategy] = subscription
            if aggregate:
                self._on_aggregates.setdefault((symbol, timeframe_ns), []).append(subscription)
            else:
                self._on_bars[symbol].append(subscription)

    def preload(self, symbol: str, columns: Any) -> int:  # noqa: ANN401 - see `FeaturePort.batch`
        """Compute the next chunk of `symbol` at once; its bars must then come one by one, all of them.

        Returns:
            How many rows will be complete, over all strategies.
        """
        self._preloaded.add(symbol)
        complete = 0
        for subscription in self._on_bars[symbol]:
            assert subscription.rows is None or next(subscription.rows, self) is self, "a chunk was left unread"
            cold = min(subscription.warmup_bars - subscription.seen, len(columns))
            subscription.rows = subscription.features.batch(columns)
            if cold:
                subscription.seen += cold
                subscription.rows = chain(repeat(None, cold), islice(subscription.rows, cold, None))
            complete += len(columns) - cold
        return complete

    def rows(self, strategy: str) -> Iterator[Any]:
        """Return what is left of the preloaded rows of a strategy on bars: None while it warms up.

        They may be read from here instead of being heard from `on_bar`.
        """
        rows = self._all[strategy].rows
        assert rows is not None, strategy
        return rows

    def on_bar(self, bar: Bar) -> None:
        """Emit a row for every strategy on this series."""
        for subscription in self._on_bars[bar.symbol]:
            if subscription.rows is not None:
                values = next(subscription.rows)
                if values is not None:
                    self._emit(FeatureRow(subscription.strategy, bar, values))
                continue
            values = subscription.features.step(bar)
            if subscription.seen >= subscription.warmup_bars:
                self._emit(FeatureRow(subscription.strategy, bar, values))
            else:
                subscription.seen += 1

    def on_aggregate(self, message: AggregateClosed) -> None:
        """Emit a row for every strategy on this higher timeframe."""
        bar = message.bar
        for subscription in self._on_aggregates.get((bar.symbol, bar.timeframe_ns), ()):
            if message.history:
                self._remember(subscription, bar)
                continue
            values = subscription.features.step(bar)
            if subscription.seen >= subscription.warmup_bars:
                self._emit(FeatureRow(subscription.strategy, bar, values))
            else:
                subscription.seen += 1

    def on_history(self, message: HistoryBar) -> None:
        """Step every strategy's features on this series over a bar of the time before the session."""
        for subscription in self._on_bars[message.bar.symbol]:
            assert subscription.rows is None, "a tape has no history"
            self._remember(subscription, message.bar)

    def _remember(self, subscription: _Subscription, bar: Bar) -> None:
        values = subscription.features.step(bar)
        if subscription.seen < subscription.warmup_bars:
            subscription.seen += 1
        elif subscription.history_bars:
            self._emit(HistoryRow(subscription.strategy, bar, values))

    def on_bar_rejected(self, message: BarRejected) -> None:
        """Refuse to go on where what was preloaded no longer matches the bars."""
        if message.symbol in self._preloaded:
            what = f"{message.symbol}: a bar of a validated tape was rejected ({message.reason})"
            raise CoreError(what)

    def dump(self) -> bytes:
        """Return the state; only between chunks."""
        states: dict[str, _State] = {}
        for strategy, subscription in self._all.items():
            states[strategy] = _State(subscription.seen, subscription.features.dump())
        return msgspec.msgpack.encode(states)

    def load(self, state: bytes) -> None:
        """Restore the state."""
        for strategy, kept in msgspec.msgpack.decode(state, type=dict[str, _State]).items():
            subscription = self._all[strategy]
            subscription.seen = kept.seen
            subscription.features.load(kept.kernels)
