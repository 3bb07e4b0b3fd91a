"""The door for market data: what is let in, when silence is noticed, and what is built from bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actors import messages as m
from actors.market import Market
from actors.runtime.scheduler import Context, WithheldError

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
START = 472_222 * HOUR
NAN, INFINITY = float("nan"), float("inf")

Said = Callable[[], list[m.Message]]


def bar(index: int, *prices: float, symbol: str = "X", volume: float = 1.0, minutes: int = 1) -> m.Bar:
    """Return the bar that opens `index` minutes after the start."""
    opened, high, low, close = prices or (100.0, 101.0, 99.0, 100.5)
    open_ns = START + index * MINUTE
    return m.Bar(symbol, minutes * MINUTE, open_ns, open_ns + minutes * MINUTE, opened, high, low, close, volume)


class Door:
    """A market and whoever knocks; `hear` does what the scheduler does with a bar."""

    def __init__(self, context: Context, *series: tuple[str, int, list[int]], stale_after_bars: int = 3) -> None:
        self.context = context
        given = series or (("X", MINUTE, []),)
        self.make: Callable[[], Market] = lambda: Market(context, given, stale_after_bars)
        self.market = self.make()

    def hear(self, data: m.Bar) -> list[m.Message]:
        """Return what is said about a bar: rejections, feed news, complete aggregates."""
        said: list[m.Message] = []
        while (fired := self.context.timers.pop_before(data.close_ns)) is not None:
            self.context.now_ns = max(self.context.now_ns, fired.due_ns)
            self.market.on_timer(fired)
            said += self.take()
        self.context.now_ns = max(self.context.now_ns, data.close_ns)
        try:
            self.market.on_bar(data)
        except WithheldError as withheld:
            assert self.take() == []
            return [*said, withheld.instead]
        said += self.take()
        self.market.on_bar_settled(data)
        return said + self.take()

    def take(self) -> list[m.Message]:
        taken = list(self.context.outbox)
        self.context.outbox.clear()
        return taken


@pytest.fixture
def door(context: Context) -> Door:
    return Door(context)


# --- validation -------------------------------------------------------------------------------------


def test_a_true_bar_passes_in_silence(door: Door) -> None:
    assert door.hear(bar(0)) == []


@pytest.mark.parametrize(
    "false",
    [
        bar(0, 100, 99, 98, 99),
        bar(0, 100, 101, 100.5, 100.7),
        bar(0, 100, 101, 99, 102),
        bar(0, 100, 101, 99, 98),
        bar(0, 100, 99, 101, 100),
        bar(0, 0, 1, 0, 1),
        bar(0, -5, -4, -6, -5),
        bar(0, NAN, 101, 99, 100),
        bar(0, 100, NAN, 99, 100),
        bar(0, 100, 101, NAN, 100),
        bar(0, 100, 101, 99, NAN),
        bar(0, 100, INFINITY, 99, 100),
        bar(0, INFINITY, INFINITY, INFINITY, INFINITY),
        bar(0, volume=-1.0),
        bar(0, volume=NAN),
        bar(0, volume=INFINITY),
    ],
)
def test_what_is_no_candle_is_withheld(door: Door, false: m.Bar) -> None:
    (rejected,) = door.hear(false)
    assert isinstance(rejected, m.BarRejected)
    assert (rejected.symbol, rejected.open_ns) == ("X", START)
    assert rejected.reason.startswith("not a candle")


@pytest.mark.parametrize("true", [bar(0, 5, 5, 5, 5), bar(0, volume=0.0), bar(0, 1e-8, 1e-8, 1e-8, 1e-8)])
def test_what_is_unusual_and_true_passes(door: Door, true: m.Bar) -> None:
    assert door.hear(true) == []


def test_a_bar_that_opens_before_the_last_one_closed_is_withheld(door: Door) -> None:
    door.hear(bar(5))
    for again in (bar(5), bar(4), bar(0)):
        (rejected,) = door.hear(again)
        assert isinstance(rejected, m.BarRejected)
        assert rejected.reason == "opens before the previous bar closed"
    assert door.hear(bar(6)) == []


def test_a_false_bar_leaves_no_trace(door: Door) -> None:
    door.hear(bar(0))
    before = door.market.dump()
    door.hear(bar(1, 1, 0, 1, 1))
    assert door.market.dump() == before


@pytest.mark.parametrize("stranger", [bar(0, symbol="Y"), bar(0, minutes=5)])
def test_a_series_nobody_asked_for_is_withheld(door: Door, stranger: m.Bar) -> None:
    (rejected,) = door.hear(stranger)
    assert isinstance(rejected, m.BarRejected)
    assert rejected.reason == "series not subscribed"


# --- staleness --------------------------------------------------------------------------------------


def test_a_gap_shorter_than_the_patience_is_no_news(door: Door) -> None:
    door.hear(bar(0))
    assert door.hear(bar(3)) == []


def test_a_silent_series_is_told_of_once_and_again_when_it_speaks(door: Door) -> None:
    door.hear(bar(0))
    news = door.hear(bar(10))
    assert news == [m.FeedStale("X", MINUTE, START + MINUTE), m.FeedResumed("X", MINUTE)]
    assert door.hear(bar(11)) == []


def test_the_patience_is_counted_from_the_last_close(door: Door) -> None:
    """Three bars of a minute after a close at minute 1: due at minute 4, so a bar that closes then is in time."""
    door.hear(bar(0))
    assert door.hear(bar(3)) == []
    assert door.hear(bar(8))[0] == m.FeedStale("X", MINUTE, START + 4 * MINUTE)


def test_while_it_is_silent_the_symbol_is_listed(door: Door) -> None:
    door.hear(bar(0))
    fired = door.context.timers.pop_before(START + HOUR)
    assert fired is not None
    assert fired.due_ns == START + 4 * MINUTE
    door.context.now_ns = fired.due_ns
    door.market.on_timer(fired)
    assert door.market.stale_symbols() == ["X"]
    assert door.context.timers.pop_before(START + 9 * HOUR) is None, "told once"
    door.take()
    door.hear(bar(100))
    assert door.market.stale_symbols() == []


def test_each_series_has_its_own_patience(context: Context) -> None:
    door = Door(context, ("X", MINUTE, []), ("Y", 5 * MINUTE, []))
    door.hear(bar(0, symbol="Y", minutes=5))
    door.hear(bar(4))
    news = [message for index in (10, 15) for message in door.hear(bar(index, symbol="Y", minutes=5))]
    assert news == [m.FeedStale("X", MINUTE, START + 5 * MINUTE)]


class Chunk:
    """Bars as columns."""

    def __init__(self, *bars: m.Bar) -> None:
        self.open_ns = np.array([each.open_ns for each in bars])
        for name in ("open", "high", "low", "close", "volume"):
            setattr(self, name, np.array([getattr(each, name) for each in bars]))


FALSE = bar(4, 100, 99, 98, 99.5)


@pytest.mark.parametrize(
    ("bars", "whole"),
    [
        pytest.param([bar(0), bar(1), bar(2)], [0], id="one run"),
        pytest.param([bar(0), bar(2), bar(5), bar(6)], [0], id="gaps within the patience"),
        pytest.param([bar(0), bar(1), bar(5), bar(6), bar(10)], [0, 5, 10], id="silences"),
        pytest.param([bar(3), FALSE, bar(5), bar(6)], [3, 4, 5], id="no candle"),
        pytest.param([bar(3), bar(4, 100, NAN, 99, 100), bar(5)], [3, 4, 5], id="not a number"),
        pytest.param([bar(3), bar(4, volume=-1.0), bar(5)], [3, 4, 5], id="negative volume"),
        pytest.param([bar(3), bar(4, 1, INFINITY, 1, 1), bar(5)], [3, 4, 5], id="infinite"),
        pytest.param([bar(3), bar(3), bar(4)], [3, 3, 4], id="twice"),
        pytest.param([bar(0)], [0], id="one bar"),
    ],
)
def test_only_bars_that_may_make_news_come_the_whole_way(context: Context, bars: list[m.Bar], whole: list[int]) -> None:
    """A twin that hears every bar says the same, and both watch for the same next bar."""
    door, twin = Door(context), Door(Context())
    lane = context.lane("X")
    door.market.preload("X", Chunk(*bars))
    came: list[int] = []
    said: list[m.Message] = []
    for each in bars:
        if each.close_ns >= lane.vouched_until_ns:
            came.append((each.open_ns - START) // MINUTE)
            said += door.hear(each)
    assert said == [message for each in bars for message in twin.hear(each)]
    assert came == whole
    assert door.market.dump() == twin.market.dump()
    assert context.timers.dump() == twin.context.timers.dump()


def test_a_chunk_that_was_not_heard_out_is_a_fault(door: Door) -> None:
    door.market.preload("X", Chunk(bar(0), bar(9)))
    with pytest.raises(AssertionError, match="left unread"):
        door.market.preload("X", Chunk(bar(10)))


def test_silence_after_the_end_is_not_staleness(door: Door) -> None:
    door.hear(bar(0))
    door.market.on_tape_ended(m.TapeEnded())
    assert door.context.timers.pop_before(START + HOUR) is None


# --- higher timeframes ------------------------------------------------------------------------------


def aggregates(messages: list[m.Message]) -> list[m.Bar]:
    return [message.bar for message in messages if isinstance(message, m.AggregateClosed)]


@pytest.fixture
def five(context: Context) -> Door:
    return Door(context, ("X", MINUTE, [5 * MINUTE]), stale_after_bars=1_000)


def test_an_aggregate_is_said_with_the_bar_that_completes_it(five: Door) -> None:
    for index, prices in enumerate([(10, 12, 9, 11), (11, 15, 11, 12), (12, 12, 7, 8), (8, 9, 8, 9)]):
        assert five.hear(bar(index, *prices, volume=index + 0.5)) == []
    (whole,) = aggregates(five.hear(bar(4, 9, 10, 9, 9.5, volume=4.5)))
    assert whole == m.Bar("X", 5 * MINUTE, START, START + 5 * MINUTE, 10, 15, 7, 9.5, 12.5)


def test_a_bucket_the_series_entered_half_way_is_not_said(five: Door) -> None:
    said = [message for index in range(2, 10) for message in five.hear(bar(index))]
    assert [whole.open_ns for whole in aggregates(said)] == [START + 5 * MINUTE]


def test_a_missing_last_bar_delays_an_aggregate_to_the_next_bar_and_changes_nothing_else(five: Door) -> None:
    for index in range(4):
        five.hear(bar(index, 10, 11, 9, 10))
    (whole,) = aggregates(five.hear(bar(7, 50, 51, 49, 50)))
    assert (whole.open_ns, whole.high, whole.close, whole.volume) == (START, 11, 10, 4.0)


def test_after_a_gap_a_bucket_may_begin_late_and_is_still_said(five: Door) -> None:
    for index in (0, 1, 2, 3, 4, 7, 8):
        five.hear(bar(index))
    (whole,) = aggregates(five.hear(bar(9, 200, 210, 190, 200)))
    assert (whole.open_ns, whole.open, whole.high, whole.volume) == (START + 5 * MINUTE, 100, 210, 3.0)


def test_an_empty_bucket_is_not_made_up(five: Door) -> None:
    said = [message for index in (0, 1, 2, 3, 4, 30, 31, 32, 33, 34) for message in five.hear(bar(index))]
    assert [whole.open_ns for whole in aggregates(said)] == [START, START + 30 * MINUTE]


def test_a_timer_after_its_close_completes_an_aggregate(five: Door) -> None:
    """No bar comes any more, but time goes on: the strategy should know."""
    for index in range(4):
        five.hear(bar(index))
    five.context.now_ns = START + 6 * MINUTE
    five.market.on_timer(m.TimerFired("strategy.a", "x", START + 6 * MINUTE))
    (whole,) = aggregates(five.take())
    assert whole.open_ns == START
    five.market.on_timer(m.TimerFired("strategy.a", "x", START + 7 * MINUTE))
    assert five.take() == []


@pytest.mark.parametrize(("due", "told"), [(3, 5.0), (30, 2.0)])
def test_bars_that_were_missed_while_away_are_of_the_aggregate_they_belong_to_once(
    five: Door, due: int, told: float
) -> None:
    """After a sleep a timer comes up late, and then the bars: by the time it is, nothing has ended yet."""
    for index in (0, 1):
        five.hear(bar(index))
    five.context.now_ns = START + 30 * MINUTE
    five.market.on_timer(m.TimerFired("strategy.a", "x", START + due * MINUTE))
    said = five.take()
    for missed in (2, 3, 4, 5):
        five.market.on_bar(bar(missed))
        five.market.on_bar_settled(bar(missed))
        said += five.take()
    assert [(whole.open_ns, whole.volume) for whole in aggregates(said)] == [(START, told)]


def test_a_timer_before_its_close_completes_nothing(five: Door) -> None:
    for index in range(4):
        five.hear(bar(index))
    five.context.now_ns = START + 5 * MINUTE - 1
    five.market.on_timer(m.TimerFired("strategy.a", "x", five.context.now_ns))
    assert five.take() == []


def test_a_bar_of_another_series_completes_what_ended_before_it_and_not_what_ends_with_it(context: Context) -> None:
    door = Door(context, ("X", MINUTE, [5 * MINUTE]), ("Y", MINUTE, []), stale_after_bars=1_000)
    for index in range(4):
        door.hear(bar(index))
    assert door.hear(bar(4, symbol="Y")) == [], "X may still close its last bar at this very time"
    (whole,) = aggregates(door.hear(bar(5, symbol="Y")))
    assert (whole.symbol, whole.open_ns, whole.volume) == ("X", START, 4.0)


def test_several_timeframes_are_said_in_the_order_given(context: Context) -> None:
    door = Door(context, ("X", MINUTE, [15 * MINUTE, 5 * MINUTE, 15 * MINUTE]), stale_after_bars=1_000)
    said = [message for index in range(15) for message in door.hear(bar(index))]
    assert [whole.timeframe_ns // MINUTE for whole in aggregates(said)] == [5, 5, 15, 5]


def test_a_withheld_bar_is_in_no_aggregate(five: Door) -> None:
    for index in range(4):
        five.hear(bar(index, 10, 11, 9, 10))
    five.hear(bar(3, 10, 1_000, 9, 10))
    (whole,) = aggregates(five.hear(bar(4, 10, 11, 9, 10)))
    assert (whole.high, whole.volume) == (11, 5.0)


# --- state ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_restored_market_goes_on_as_if_nothing_had_been(cut: int) -> None:
    """At every point: inside a bucket, after a gap, while stale."""
    history = [bar(index) for index in (0, 1, 2, 3, 9, 10, 11, 14, 15, 16, 17, 18, 19, 40, 41)]
    series: Any = (("X", MINUTE, [5 * MINUTE, 10 * MINUTE]),)
    whole = Door(Context(), *series, stale_after_bars=4)
    said = [whole.hear(each) for each in history]

    first = Door(Context(), *series, stale_after_bars=4)
    for each in history[:cut]:
        first.hear(each)
    second = Door(Context(), *series, stale_after_bars=4)
    second.context.now_ns = first.context.now_ns
    second.context.timers.load(first.context.timers.dump())
    second.market.load(first.market.dump())
    assert second.market.dump() == first.market.dump()
    assert [second.hear(each) for each in history[cut:]] == said[cut:]
    assert second.market.dump() == whole.market.dump()
    assert second.context.timers.dump() == whole.context.timers.dump()


def test_weeks_of_days_begin_on_mondays(context: Context) -> None:
    """As exchanges count them: 13 November 2023 is one, and the start here a Tuesday."""
    day = 24 * HOUR
    door = Door(context, ("X", day, [7 * day]), stale_after_bars=30)
    said: list[m.Message] = []
    first = START - START % day
    for index in range(22):
        open_ns = first + index * day
        said += door.hear(m.Bar("X", day, open_ns, open_ns + day, 100.0, 101.0, 99.0, 100.5, 1.0))
    monday = 1_699_833_600_000_000_000
    assert [week.open_ns for week in aggregates(said)] == [monday + 7 * day, monday + 14 * day]
