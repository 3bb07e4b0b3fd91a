"""History before a session: features warm up on it, and nobody trades on it."""

from __future__ import annotations

from typing import Any

import pytest

from actors import messages as m
from actors.runtime.journal import decode_effects
from strategies.base import Strategy
from strategies.indicators import Indicator, sma

MINUTE = 60_000_000_000
START = 28_333_320 * MINUTE
"""Where the rig's first bar opens."""


class Watcher(Strategy):
    """Notes the rows it is given, and buys on each."""

    def features(self) -> dict[str, Indicator]:
        return {"mean": sma(3)}

    def on_start(self) -> None:
        self.rows: list[Any] = []
        self.vetoes: list[Any] = []

    def on_bar(self, bar: m.Bar, f: Any) -> None:
        self.rows.append([bar.open_ns, f.mean])
        self.buy(1)

    def on_order(self, update: Any) -> None:
        if update.state == "vetoed":
            self.vetoes.append([update.ref, update.reason])


class Curious(Watcher):
    """Wants to see two bars more."""

    warmup = 2


class Waits(Strategy):
    """Sets a timer at its first bar."""

    def on_bar(self, *_: Any) -> None:
        self.set_timer("soon", 1)


class Slow(Watcher):
    """Decides every five minutes."""

    timeframe = "5m"


def bar(index: int, close: float, start_ns: int, symbol: str = "X") -> m.Bar:
    """Return the bar that opens `index` minutes after the start, which may be before it."""
    open_ns = start_ns + index * MINUTE
    return m.Bar(symbol, MINUTE, open_ns, open_ns + MINUTE, close, close, close, close, 1.0)


def warm_up(bench: Any, count: int, first: int | None = None) -> list[m.Message]:
    """Give a core `count` bars of history."""
    start_ns = bench.opens_ns["X"]
    said = bench.post(m.WarmUp("X", start_ns - count * MINUTE, start_ns))
    for index in range(-count if first is None else first, 0):
        said += bench.post(bar(index, 100.0 + index, start_ns))
    return said


def test_features_are_warm_at_the_first_bar_of_the_session(rig: Any, of: Any) -> None:
    strategy = Watcher()
    bench = rig(strategy)
    assert bench.core.history()["X"].bars == 2
    said = warm_up(bench, 2)
    assert strategy.rows == []
    assert of(m.Intent, said) == []
    start_ns = bench.opens_ns["X"]
    bench.bar(100)
    assert strategy.rows == [[start_ns, (98.0 + 99.0 + 100.0) / 3]]


def test_without_history_the_first_bars_of_the_session_warm_up(rig: Any) -> None:
    strategy = Watcher()
    bench = rig(strategy)
    bench.flat(100, 3)
    assert len(strategy.rows) == 1


def test_nobody_who_trades_or_counts_hears_history(rig: Any) -> None:
    bench = rig(Watcher())
    said = warm_up(bench, 5)
    assert {type(message) for message in said} == {m.HistoryBar}
    assert bench.core.bars() == 0
    assert bench.core.ledger.mark_price("X") is None
    assert bench.core.context.lane("X").bar is None, "the venue knows no price yet"
    assert bench.core.digest.value == bytes(16)


def test_a_strategy_sees_the_history_it_asked_for_and_its_wishes_are_vetoed(rig: Any, of: Any) -> None:
    strategy = Curious()
    bench = rig(strategy)
    assert bench.core.history()["X"].bars == 4
    said = warm_up(bench, 4)
    assert [mean for _, mean in strategy.rows] == [97.0, 98.0]
    assert strategy.vetoes == [[1, "warming up"], [2, "warming up"]]
    assert of(m.Intent, said) == of(m.OrderRequest, said) == []
    (intent,) = of(m.Intent, bench.bar(100))
    assert intent.ref == 3


def test_vetoes_of_the_warm_up_are_decisions(rig: Any) -> None:
    bench = rig(Curious())
    warm_up(bench, 4)
    assert bench.decided == [m.RiskVeto("a", "X", 2, "warming up")]


@pytest.mark.parametrize("offset", range(5))
def test_higher_timeframes_are_built_over_the_start(rig: Any, offset: int) -> None:
    """Whole buckets of history warm up; one that began before the start is closed by the session's bars."""
    strategy = Slow()
    bench = rig(strategy)
    wanted = bench.core.history()["X"].bars
    assert wanted == 15
    bench.opens_ns["X"] += (offset - bench.opens_ns["X"] // MINUTE) % 5 * MINUTE
    start_ns = bench.opens_ns["X"]
    assert start_ns // MINUTE % 5 == offset
    warm_up(bench, wanted)
    assert strategy.rows == []
    for _ in range(5 - offset):
        bench.bar(100)
    assert [open_ns for open_ns, _ in strategy.rows] == [start_ns - offset * MINUTE]


def test_history_ends_where_the_session_begins(rig: Any, of: Any) -> None:
    bench = rig(Watcher())
    warm_up(bench, 2)
    bench.bar(100)
    start_ns = bench.opens_ns["X"] - MINUTE
    (rejected,) = of(m.BarRejected, bench.post(bar(-1, 99.0, start_ns)))
    assert rejected.reason == "opens before the previous bar closed"
    assert of(m.DataRejected, bench.post(m.WarmUp("X", start_ns - 5 * MINUTE, start_ns)))


@pytest.mark.parametrize("index", [-2, -3])
def test_history_is_taken_once_and_in_order(rig: Any, of: Any, index: int) -> None:
    bench = rig(Watcher())
    said = warm_up(bench, 3)
    assert len(of(m.HistoryBar, said)) == 3
    assert of(m.BarRejected, bench.post(bar(index, 99.0, bench.opens_ns["X"])))


def test_false_bars_of_history_are_rejected(rig: Any, of: Any) -> None:
    bench = rig(Watcher())
    warm_up(bench, 1)
    bad = m.Bar("X", MINUTE, START, START + MINUTE, 5.0, 4.0, 3.0, 4.0, 1.0)
    (rejected,) = of(m.BarRejected, bench.post(bad))
    assert rejected.reason.startswith("not a candle")


def test_history_that_is_missing_in_part_warms_up_less(rig: Any) -> None:
    strategy = Watcher()
    bench = rig(strategy)
    warm_up(bench, 2, first=-1)
    bench.bar(100)
    assert strategy.rows == []
    bench.bar(101)
    assert len(strategy.rows) == 1


def test_the_feed_goes_on_behind_the_history_it_has_given(rig: Any) -> None:
    bench = rig(Watcher())
    start_ns = bench.opens_ns["X"]
    assert bench.core.market.last_closes_ns() == {}
    bench.post(m.WarmUp("X", start_ns - 3 * MINUTE, start_ns))
    assert bench.core.market.last_closes_ns() == {}, "nothing is known yet: the warm-up may be told anew"
    bench.post(m.WarmUp("X", start_ns - 2 * MINUTE, start_ns + MINUTE))
    bench.post(bar(-1, 99.0, start_ns))
    assert bench.core.market.last_closes_ns() == {"X": start_ns}
    bench.post(bar(0, 99.0, start_ns))
    bench.post(bar(1, 99.0, start_ns))
    assert bench.core.market.last_closes_ns() == {"X": start_ns + 2 * MINUTE}
    assert bench.core.bars() == 1


@pytest.mark.parametrize("cut", range(6))
def test_a_core_restored_in_mid_history_goes_on_as_if_nothing_had_been(rig: Any, cut: int) -> None:
    ends = []
    for restart in (False, True):
        bench = rig(Curious(), (Slow(), "X"), symbols=("X",))
        start_ns = bench.opens_ns["X"]
        inputs: list[m.Message] = [m.WarmUp("X", start_ns - 4 * MINUTE, start_ns)]
        inputs += [bar(index, 100.0 + index, start_ns) for index in range(-4, 6)]
        for index, message in enumerate(inputs):
            if restart and index == cut:
                other = rig(Curious(), (Slow(), "X"), symbols=("X",))
                other.restore(bench.snapshot())
                bench = other
            bench.post(message)
        ends.append((bench.core.digest.value, bench.snapshot()))
    assert ends[0] == ends[1]


def test_a_strategy_that_fails_on_history_is_restored_and_still_may_not_trade(rig: Any, of: Any) -> None:
    class Clumsy(Curious):
        def on_bar(self, bar: m.Bar, f: Any) -> None:
            super().on_bar(bar, f)
            if f.mean == 98.0:
                message = "stumbled"
                raise ValueError(message)

    strategy = Clumsy()
    bench = rig(strategy)
    said = warm_up(bench, 4)
    assert of(m.ActorRestarted, said)
    assert of(m.Intent, said) == []
    assert [mean for _, mean in strategy.rows] == [97.0]
    assert of(m.Intent, bench.bar(100))


def test_other_symbols_trade_while_one_warms_up(rig: Any, of: Any) -> None:
    first, second = Watcher(), Watcher()
    bench = rig(first, (second, "Y"), symbols=("X", "Y"))
    start_ns = bench.opens_ns["X"]
    bench.flat(100, 0)
    for _ in range(3):
        said = bench.bar(100, symbol="Y")
    assert of(m.Intent, said)
    bench.post(m.WarmUp("X", start_ns - MINUTE, start_ns))
    assert of(m.HistoryBar, bench.post(bar(-1, 99.0, start_ns)))


def test_effects_of_the_warm_up_decode(rig: Any) -> None:
    bench = rig(Curious())
    start_ns = bench.opens_ns["X"]
    bench.post(m.WarmUp("X", start_ns - 4 * MINUTE, start_ns))
    for index in range(-4, -1):
        effects = bench.core.scheduler.post(bench.now_ns, bar(index, 100.0, start_ns))
    assert effects is not None
    assert decode_effects(effects) == [m.RiskVeto("a", "X", 1, "warming up")]


@pytest.mark.parametrize("by", ["bar", "timer"])
def test_time_that_passes_elsewhere_closes_no_bucket_whose_history_is_still_coming(rig: Any, by: str) -> None:
    """Live, another symbol's bar or a timer closes what has ended; history comes long after its time."""
    slow = Slow()
    bench = rig(slow, (Watcher() if by == "bar" else Waits(), "Y"), symbols=("X", "Y"))
    start_ns = bench.opens_ns["X"] = bench.opens_ns["X"] // (5 * MINUTE) * 5 * MINUTE
    bench.post(m.WarmUp("X", start_ns - 15 * MINUTE, start_ns))
    for index in range(-15, 0):
        bench.post(bar(index, 100.0 + index, start_ns))
        if index == -13:
            bench.bar(100, symbol="Y")
            bench.core.scheduler.fire_before(bench.now_ns + 2_000_000_000)
    for _ in range(5):
        bench.bar(100)
    ((open_ns, mean),) = slow.rows
    assert open_ns == start_ns
    assert mean == (94.0 + 99.0 + 100.0) / 3, "closes of three whole buckets"


def test_history_begins_once(rig: Any, of: Any) -> None:
    bench = rig(Watcher())
    warm_up(bench, 3, first=-3)
    start_ns = bench.opens_ns["X"]
    (rejected,) = of(m.DataRejected, bench.post(m.WarmUp("X", start_ns, start_ns + 5 * MINUTE)))
    assert rejected == m.DataRejected("X", "WarmUp", "the session has begun")


def test_history_of_a_strange_symbol_is_rejected(rig: Any, of: Any) -> None:
    bench = rig(Watcher())
    assert of(m.DataRejected, bench.post(m.WarmUp("Z", 0, MINUTE)))[0].reason == "series not subscribed"
