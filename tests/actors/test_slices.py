"""Strategies on several symbols: when a slice is told, of what, and that everything names its symbol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors import messages as m
from actors.strategy_port import Execution, OrderUpdate
from config.load import check_settings
from strategies.base import Bar, Strategy
from strategies.indicators import custom, sma

MINUTE = 60_000_000_000
WAIT_NS = 10_000_000_000
Of = Callable[[type[Any], list[m.Message]], list[Any]]
Told = tuple[int, dict[str, float]]


class Watcher(Strategy):
    """Notes what it is told, in order."""

    period: int = 1

    def features(self) -> dict[str, Any]:
        return {"mean": sma(self.period)}

    def on_start(self) -> None:
        self.told: list[Any] = []

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        self.told.append((self.symbol, bar.close))

    def on_slice(self, bars: dict[str, Bar], rows: dict[str, Any], /) -> None:
        assert list(bars) == list(rows)
        self.told.append({symbol: bar.close for symbol, bar in bars.items()})


def slices(watcher: Watcher) -> list[dict[str, float]]:
    return [each for each in watcher.told if isinstance(each, dict)]


def watch(rig: Any, period: int = 1, **values: Any) -> tuple[Any, Watcher]:
    watcher = Watcher(period=period)
    return rig((watcher, ("Y", "X")), symbols=("X", "Y"), **values), watcher


# --- when -------------------------------------------------------------------------------------------


def test_a_slice_is_told_with_the_bar_that_completes_it_in_the_order_of_its_symbols(rig: Any) -> None:
    bench, watcher = watch(rig)
    bench.bar(100, symbol="X")
    assert watcher.told == [("X", 100.0)]
    bench.bar(7, symbol="Y")
    assert watcher.told == [("X", 100.0), ("Y", 7.0), {"Y": 7.0, "X": 100.0}]
    assert list(slices(watcher)[0]) == ["Y", "X"]
    assert bench.core.context.timers.find("features", "a") is None


def test_who_is_missing_is_not_waited_for_beyond_a_later_bar(rig: Any) -> None:
    bench, watcher = watch(rig, settings={"market": {"slice_wait_s": 3_600}})
    bench.bar(100, symbol="X")
    bench.bar(101, symbol="X")
    assert watcher.told == [("X", 100.0), {"X": 100.0}, ("X", 101.0)]
    bench.bar(8, symbol="Y", skip=1)
    assert watcher.told[3:] == [("Y", 8.0), {"Y": 8.0, "X": 101.0}]


def test_nor_beyond_the_time_it_is_given(rig: Any, of: Of) -> None:
    bench, watcher = watch(rig)
    bench.bar(100, symbol="X")
    close_ns = bench.now_ns
    scheduler = bench.core.scheduler
    scheduler.fire_before(close_ns + WAIT_NS)
    assert not slices(watcher)
    scheduler.fire_before(close_ns + WAIT_NS + 1)
    assert slices(watcher) == [{"X": 100.0}]
    assert bench.now_ns == close_ns + WAIT_NS
    (told,) = of(m.SliceClosed, bench.ear.heard)
    assert (told.close_ns, [row.bar.symbol for row in told.rows]) == (close_ns, ["X"])


def test_nor_beyond_the_end_of_the_tape(rig: Any) -> None:
    bench, watcher = watch(rig)
    bench.bar(100, symbol="X")
    bench.post(m.TapeEnded())
    assert slices(watcher) == [{"X": 100.0}]


def test_a_bar_that_comes_too_late_is_in_no_slice(rig: Any) -> None:
    """Once is once: `on_bar` has it, and the next slice is whole again."""
    bench, watcher = watch(rig)
    bench.bar(100, symbol="X")
    bench.core.scheduler.fire_before(bench.now_ns + WAIT_NS + 1)
    bench.bar(7, symbol="Y")
    bench.bar(101, symbol="X")
    bench.bar(8, symbol="Y")
    assert watcher.told == [("X", 100.0), {"X": 100.0}, ("Y", 7.0), ("X", 101.0), ("Y", 8.0), {"Y": 8.0, "X": 101.0}]


def test_a_bar_of_before_the_slice_in_hand_is_in_none(rig: Any) -> None:
    bench, watcher = watch(rig, settings={"market": {"slice_wait_s": 3_600}})
    bench.bar(100, symbol="X")
    bench.bar(101, symbol="X")
    bench.bar(7, symbol="Y")
    bench.bar(8, symbol="Y")
    assert slices(watcher) == [{"X": 100.0}, {"Y": 8.0, "X": 101.0}]


def test_a_bar_that_is_withheld_does_not_complete_a_slice(rig: Any, of: Of) -> None:
    bench, watcher = watch(rig)
    bench.bar(100, symbol="X")
    said = bench.bar(7, 6, 8, 7, symbol="Y")  # its high is below its low
    assert len(of(m.BarRejected, said)) == 1
    assert not slices(watcher)
    bench.bar(101, symbol="X")
    assert slices(watcher) == [{"X": 100.0}]


def test_who_is_warming_up_completes_a_slice_and_is_not_in_it(rig: Any) -> None:
    bench, watcher = watch(rig, period=2)
    bench.bar(7, symbol="Y")
    bench.bar(100, symbol="X", skip=1)
    assert watcher.told == []
    bench.bar(8, symbol="Y")
    assert watcher.told == [("Y", 8.0), {"Y": 8.0}]
    bench.bar(101, symbol="X")
    bench.bar(9, symbol="Y")
    assert slices(watcher)[1:] == [{"Y": 9.0, "X": 101.0}]


def test_a_strategy_on_one_symbol_may_have_slices_of_one(rig: Any) -> None:
    watcher = Watcher()
    bench = rig(watcher)
    bench.flat(100, 2)
    assert watcher.told == [("X", 100.0), {"X": 100.0}] * 2


def test_slices_of_a_higher_timeframe_wait_for_every_symbol(rig: Any) -> None:
    kind = type(Strategy)("Slow", (Watcher,), {"timeframe": "2m"})
    watcher = kind()
    bench = rig((watcher, ("X", "Y")), symbols=("X", "Y"))
    for price in (1, 2, 3, 4):
        bench.bar(price, symbol="X")
        bench.bar(10 * price, symbol="Y")
    assert watcher.told == [
        ("X", 2.0), ("Y", 20.0), {"X": 2.0, "Y": 20.0},
        ("X", 4.0), ("Y", 40.0), {"X": 4.0, "Y": 40.0},
    ]  # fmt: skip


def test_history_is_sliced_and_nothing_is_traded_on_it(rig: Any, of: Of) -> None:
    class Eager(Watcher):
        def on_slice(self, bars: dict[str, Bar], rows: dict[str, Any], /) -> None:
            super().on_slice(bars, rows)
            self.buy(1, symbol="Y")

    kind = type(Strategy)("Warm", (Eager,), {"warmup": 2})
    watcher = kind()
    bench = rig((watcher, ("X", "Y")), symbols=("X", "Y"))
    start_ns = bench.opens_ns["X"] + 2 * MINUTE
    for symbol in ("X", "Y"):
        bench.post(m.WarmUp(symbol, bench.opens_ns[symbol], start_ns))
    bench.bar(1, symbol="X")
    said = bench.bar(10, symbol="Y")
    assert [veto.reason for veto in of(m.RiskVeto, said)] == ["warming up"]
    bench.bar(2, symbol="X")
    bench.bar(20, symbol="Y")
    bench.bar(3, symbol="X")
    said = bench.bar(30, symbol="Y")
    assert len(of(m.OrderRequest, said)) == 1
    assert slices(watcher) == [{"X": 1.0, "Y": 10.0}, {"X": 2.0, "Y": 20.0}, {"X": 3.0, "Y": 30.0}]


# --- failures and restarts --------------------------------------------------------------------------


def test_a_slice_that_fails_is_skipped_like_any_message(rig: Any) -> None:
    class Choosy(Watcher):
        def on_slice(self, bars: dict[str, Bar], rows: dict[str, Any], /) -> None:
            super().on_slice(bars, rows)
            if bars["X"].close == 101:
                raise ValueError

    watcher = Choosy()
    bench = rig((watcher, ("X", "Y")), symbols=("X", "Y"))
    for price in (100, 101, 102):
        bench.bar(price, symbol="X")
        bench.bar(price / 10, symbol="Y")
    assert len(bench.core.scheduler.dead_letters.letters) == 1
    assert slices(watcher) == [{"X": 100.0, "Y": 10.0}, {"X": 102.0, "Y": 10.2}]


def test_a_core_restored_within_a_slice_goes_on_with_it(rig: Any) -> None:
    bench, watcher = watch(rig, period=2)
    for price in (100, 101):
        bench.bar(price, symbol="X")
        bench.bar(price / 10, symbol="Y")
    bench.bar(102, symbol="X")
    other, heir = watch(rig, period=2)
    other.restore(bench.snapshot())
    assert other.snapshot() == bench.snapshot()
    for each in (bench, other):
        each.opens_ns["Y"] = each.now_ns - MINUTE
        each.bar(10.2, symbol="Y")
    assert heir.told == watcher.told
    assert slices(heir)[-1] == {"Y": 10.2, "X": 102.0}


def test_a_row_that_failed_fails_in_a_restored_slice_as_well(rig: Any) -> None:
    def careful(_: Any, price: float) -> float:
        return price if price < 101 else 1 / 0

    class Reader(Watcher):
        def features(self) -> dict[str, Any]:
            return {"own": custom(careful)}

        def on_slice(self, _: dict[str, Bar], rows: dict[str, Any], /) -> None:
            self.told.append({symbol: row.own for symbol, row in rows.items()})

    def fresh() -> Any:
        return rig((Reader(), ("X", "Y")), symbols=("X", "Y"))

    bench = fresh()
    bench.bar(102, symbol="X")
    other = fresh()
    other.restore(bench.snapshot())
    for each in (bench, other):
        each.opens_ns["Y"] = each.now_ns - MINUTE
        each.bar(7, symbol="Y")
        (letter,) = each.core.scheduler.dead_letters.letters
        assert "feature own: ZeroDivisionError: division by zero" in letter.error


def test_a_core_restored_within_a_slice_still_waits_for_it(rig: Any) -> None:
    bench, _ = watch(rig)
    bench.bar(100, symbol="X")
    other, heir = watch(rig)
    other.restore(bench.snapshot())
    other.core.scheduler.fire_before(other.now_ns + WAIT_NS + 1)
    assert slices(heir) == [{"X": 100.0}]


# --- orders -----------------------------------------------------------------------------------------


class Both(Strategy):
    """Buys each symbol at its bar, and notes what it hears."""

    def on_start(self) -> None:
        self.heard: list[Any] = []
        self.refs: dict[str, int] = {}

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        if bar.symbol not in self.refs:
            self.refs[bar.symbol] = self.buy(2)

    def on_fill(self, execution: Execution, /) -> None:
        self.heard.append((execution.symbol, self.symbol, execution.ref, self.position))

    def on_order(self, update: OrderUpdate, /) -> None:
        self.heard.append((update.symbol, self.symbol, update.ref, update.state))


def test_what_is_not_named_is_the_symbol_in_hand(rig: Any) -> None:
    both = Both()
    bench = rig((both, ("Y", "X")), symbols=("X", "Y"))
    for price in (100, 101):
        bench.bar(price, symbol="X")
        bench.bar(price / 10, symbol="Y")
    x, y = both.refs["X"], both.refs["Y"]
    assert x != y
    assert both.heard == [
        ("X", "X", x, "accepted"), ("Y", "Y", y, "accepted"), ("X", "X", x, 2.0), ("Y", "Y", y, 2.0),
    ]  # fmt: skip
    assert (both.position_of("X"), both.position_of("Y")) == (2.0, 2.0)
    assert both.symbols == ("Y", "X")


def test_an_order_may_name_its_symbol_and_its_number_remembers_it(rig: Any, of: Of) -> None:
    class Names(Strategy):
        def on_slice(self, bars: dict[str, Bar], _: dict[str, Any], /) -> None:
            self.limit = self.sell(1, limit=bars["Y"].close + 5, symbol="Y")
            self.amend(self.limit, limit=bars["Y"].close + 9)
            self.target(-3, symbol="X")
            self.cancel(self.limit)

    strategy = Names()
    bench = rig((strategy, ("X", "Y")), symbols=("X", "Y"))
    bench.bar(100, symbol="X")
    intents = of(m.Intent, bench.bar(10, symbol="Y"))
    assert [(intent.action, intent.symbol, intent.reference_price) for intent in intents] == [
        ("order", "Y", 10.0), ("amend", "Y", 10.0), ("target", "X", 100.0), ("cancel", "Y", 0.0),
    ]  # fmt: skip


def test_a_symbol_that_is_not_its_own_is_a_mistake_in_words(rig: Any) -> None:
    class Greedy(Strategy):
        def on_bar(self, *_: Any) -> None:
            self.buy(1, symbol="Z")

    bench = rig((Greedy(), ("X", "Y")), symbols=("X", "Y", "Z"))
    bench.bar(100, symbol="X")
    (letter,) = bench.core.scheduler.dead_letters.letters
    assert letter.error == "ValueError: Z is none of its symbols, which are X, Y"


def test_numbers_of_a_strategy_on_one_symbol_count_by_one(rig: Any) -> None:
    class Counts(Strategy):
        def on_start(self) -> None:
            self.refs: list[int] = []

        def on_bar(self, *_: Any) -> None:
            self.refs += [self.buy(1), self.target(0)]

    strategy = Counts()
    rig(strategy).flat(100, 2)
    assert strategy.refs == [1, 2, 3, 4]


def test_a_wait_of_nothing_is_refused() -> None:
    with pytest.raises(Exception, match="slice_wait_s"):
        check_settings({"market": {"slice_wait_s": 0}}, "test")
