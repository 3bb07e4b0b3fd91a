"""Feature rows: who gets one, when, and that stepping equals preloading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.features import Features, NoFeatures, Subscription
from actors.runtime.scheduler import Context, CoreError

MINUTE = 60_000_000_000
Said = Callable[[], list[Any]]


class Sum(NoFeatures):
    """A feature port that sums closes and has a row after `warmup_bars` bars."""

    def __init__(self, warmup_bars: int = 0) -> None:
        super().__init__()
        self.warm = not warmup_bars
        self.warmup_bars = warmup_bars
        self.seen = 0
        self.total = 0.0

    def step(self, bar: m.Bar) -> Any:
        return self._next(bar.close)

    def batch(self, columns: Any) -> tuple[int, Iterator[Any]]:
        told = [self._next(close) for close in columns]
        return told.count(None), iter(told)

    def row(self, values: Sequence[float] | str) -> Any:
        return values[0]

    def _next(self, close: float) -> Any:
        self.total += close
        self.seen += 1
        self.warm = self.warm or self.seen > self.warmup_bars
        return self.total if self.warm else None


class Sums(NoFeatures):
    """What stands behind several of them."""

    def __init__(self, ports: list[Sum]) -> None:
        self.ports = ports

    def dump(self) -> bytes:
        return msgspec.json.encode([(port.seen, port.total) for port in self.ports])

    def load(self, state: bytes) -> None:
        for port, (seen, total) in zip(self.ports, msgspec.json.decode(state), strict=True):
            port.seen, port.total = seen, total


def bar(close: float, symbol: str = "X", timeframe_ns: int = MINUTE) -> m.Bar:
    return m.Bar(symbol, timeframe_ns, 0, timeframe_ns, close, close, close, close, 1.0)


def make(context: Context, *subscriptions: tuple[str, str, int, Sum, bool]) -> Features:
    return Features(
        context, ["X", "Y"], [Subscription(*each) for each in subscriptions], Sums([each[3] for each in subscriptions])
    )


def rows(said: list[Any]) -> list[tuple[str, float]]:
    assert all(isinstance(message, m.FeatureRow) for message in said)
    return [(message.strategy, message.values) for message in said]


def test_every_strategy_of_a_series_gets_its_own_row_in_order(context: Context, said: Said) -> None:
    features = make(context, ("b", "X", MINUTE, Sum(), False), ("a", "X", MINUTE, Sum(), False))
    features.on_bar(bar(5))
    assert rows(said()) == [("b", 5.0), ("a", 5.0)]


def test_a_series_nobody_is_on_gives_no_row(context: Context, said: Said) -> None:
    features = make(context, ("a", "X", MINUTE, Sum(), False))
    features.on_bar(bar(5, "Y"))
    assert said() == []


def test_no_row_before_all_indicators_are_warm(context: Context, said: Said) -> None:
    features = make(context, ("a", "X", MINUTE, Sum(2), False))
    for close in (1, 2, 3, 4):
        features.on_bar(bar(close))
    assert rows(said()) == [("a", 6.0), ("a", 10.0)], "the bars before were taken in all the same"


def test_an_aggregate_goes_to_who_asked_for_it(context: Context, said: Said) -> None:
    features = make(context, ("a", "X", 5 * MINUTE, Sum(1), True), ("b", "X", MINUTE, Sum(), False))
    features.on_bar(bar(1))
    assert rows(said()) == [("b", 1.0)]
    for close in (10, 20):
        features.on_aggregate(m.AggregateClosed(bar(close, timeframe_ns=5 * MINUTE)))
    features.on_aggregate(m.AggregateClosed(bar(99, timeframe_ns=15 * MINUTE)))
    features.on_aggregate(m.AggregateClosed(bar(99, "Y", 5 * MINUTE)))
    assert rows(said()) == [("a", 30.0)]


def test_preloaded_rows_equal_stepped_ones_across_chunks(context: Context, said: Said) -> None:
    closes = [float(close) for close in range(1, 12)]
    stepped = make(context, ("a", "X", MINUTE, Sum(3), False))
    for close in closes:
        stepped.on_bar(bar(close))
    expected = rows(said())
    preloaded = make(context, ("a", "X", MINUTE, Sum(3), False))
    for chunk in (closes[:2], closes[2:7], closes[7:]):
        preloaded.preload("X", chunk)
        for close in chunk:
            preloaded.on_bar(bar(close))
    assert rows(said()) == expected
    assert preloaded.dump() == stepped.dump()


def test_a_chunk_that_was_not_played_out_is_a_fault(context: Context) -> None:
    features = make(context, ("a", "X", MINUTE, Sum(), False))
    features.preload("X", [1.0, 2.0])
    features.on_bar(bar(1))
    with pytest.raises(AssertionError, match="a chunk was left unread"):
        features.preload("X", [3.0])


def test_a_bar_that_market_withheld_may_be_missing_only_where_nothing_was_preloaded(context: Context) -> None:
    features = make(context, ("a", "X", MINUTE, Sum(), False))
    rejected = m.BarRejected("X", 0, "not a candle")
    features.on_bar_rejected(rejected)
    features.on_bar_rejected(m.BarRejected("unknown", 0, "series not subscribed"))
    features.preload("X", [1.0])
    with pytest.raises(CoreError, match="X: a bar of a validated tape was rejected"):
        features.on_bar_rejected(rejected)


def test_warm_up_and_kernels_survive_a_restart(context: Context, said: Said) -> None:
    whole = make(context, ("a", "X", MINUTE, Sum(3), False))
    for close in range(1, 8):
        whole.on_bar(bar(close))
    expected = rows(said())
    for cut in range(8):
        first = make(context, ("a", "X", MINUTE, Sum(3), False))
        for close in range(1, 8)[:cut]:
            first.on_bar(bar(close))
        second = make(context, ("a", "X", MINUTE, Sum(3), False))
        second.load(first.dump())
        for close in range(1, 8)[cut:]:
            second.on_bar(bar(close))
        assert rows(said()) == expected
