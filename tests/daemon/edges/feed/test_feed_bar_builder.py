"""The pure builder: whatever the order of updates and pages, out come the closed bars, each once, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Bar
from daemon.edges.feed.bar_builder import NS_PER_MS, BarBuilder, Row, Span

STEP = 60_000
START = 1_700_000_040_000
UPDATES = 4
"""Times each candle changes while it is open; its last change is its final state."""
SETTLED = 2_000


def row(index: int, change: int = UPDATES - 1) -> Row:
    """A candle after `change` changes: like a venue's, its volume only grows."""
    base = 100.0 + index % 7
    return (START + index * STEP, base, base + change, base - change, base + change / 2, 1.0 + change)


def bar(index: int) -> Bar:
    open_ms, first, high, low, last, volume = row(index)
    return Bar(
        "BTC/USDT", STEP * NS_PER_MS, open_ms * NS_PER_MS, (open_ms + STEP) * NS_PER_MS, first, high, low, last, volume
    )


def bars(first: int, end: int, without: frozenset[int] = frozenset()) -> list[Bar]:
    return [bar(index) for index in range(first, end) if index not in without]


def builder(first: int | None = 0, *, succession: bool = True, backfill: int = 1_000, history: int = 0) -> BarBuilder:
    return BarBuilder(
        "BTC/USDT",
        STEP,
        next_open_ms=None if first is None else START + first * STEP,
        history_bars=history,
        backfill_bars_max=backfill,
        succession=succession,
        settled_ms=SETTLED,
    )


def answer(built: BarBuilder, span: Span, newest: int, change: int, without: frozenset[int] = frozenset()) -> None:
    """Answer a request as a venue that has come to `change` of candle `newest`."""
    known = built.closed_ms
    first = (span.first_ms - STEP - START) // STEP
    rows = [row(index) for index in range(first, newest) if index not in without] + [row(newest, change)]
    built.page(rows, since_ms=span.first_ms - STEP, closed_ms=known)


# --- one at a time -----------------------------------------------------------------------------------


def test_bar_is_closed_by_the_first_word_of_the_next() -> None:
    built = builder()
    built.update([row(0, 1), row(0)])
    assert built.ready() == []
    built.update([row(1, 0)])
    assert built.ready() == [bar(0)]
    assert built.wanted() is None


def test_mark_closes_a_bar_at_once() -> None:
    built = builder(succession=False)
    built.update([row(0, 2)])
    assert built.ready() == []
    built.update([row(0)], final=True)
    assert built.ready() == [bar(0)]


def test_where_the_venue_marks_closed_bars_nothing_else_proves_one() -> None:
    built = builder(succession=False)
    built.update([row(0, 2), row(1, 0)])
    assert built.ready() == []
    assert built.wanted() == Span(START, START + STEP)
    built.update([row(0)], final=True)
    assert built.ready() == [bar(0)]
    assert built.wanted() is None


def test_what_was_seen_before_a_break_is_asked_for_again() -> None:
    built = builder()
    built.update([row(0, 1)])
    built.doubt()
    built.update([row(1, 0)])
    assert built.ready() == []
    span = built.wanted()
    assert span == Span(START, START + STEP)
    answer(built, span, newest=1, change=0)
    assert built.ready() == [bar(0)]
    built.update([row(1), row(2, 0)])
    assert built.ready() == [bar(1)], "seen since the break, from its state to the next bar's first"


def test_bar_joined_halfway_is_whole() -> None:
    """A candle's update carries all of the candle, so the one that is open when the stream begins is good."""
    built = builder(first=None)
    built.update([row(0, 2), row(0), row(1, 0)])
    assert built.ready() == [bar(0)]


def test_jump_of_the_stream_doubts_the_bar_before_it_too() -> None:
    built = builder()
    built.update([row(0, 3), row(2, 0)])
    assert built.ready() == []
    assert built.wanted() == Span(START, START + 2 * STEP)


def test_clock_makes_a_silent_bar_wanted() -> None:
    built = builder()
    built.update([row(0)])
    assert built.wanted() is None
    built.venue_time(START + STEP + SETTLED)
    span = built.wanted()
    assert span == Span(START, START + STEP)
    known = built.closed_ms
    built.page([row(-1), row(0)], since_ms=START - STEP, closed_ms=known)
    assert built.ready() == [bar(0)], "closed for longer than pages lag behind"


def test_last_row_of_a_page_may_still_change_shortly_after_its_close() -> None:
    built = builder()
    built.venue_time(START + STEP + SETTLED - 1)
    built.page([row(0, 2)], since_ms=START, closed_ms=built.closed_ms)
    assert built.ready() == []
    built.page([row(0), row(1, 0)], since_ms=START, closed_ms=built.closed_ms)
    assert built.ready() == [bar(0)]


def test_bar_that_the_venue_does_not_have_is_skipped_and_told() -> None:
    built = builder()
    built.update([row(3, 0)])
    span = built.wanted()
    assert span is not None
    answer(built, span, newest=3, change=0, without=frozenset({1}))
    assert built.ready() == [bar(0), bar(2)]
    assert built.take_missing() == [Span(START + STEP, START + 2 * STEP)]
    assert built.take_missing() == []


def test_empty_page_proves_nothing() -> None:
    built = builder()
    built.update([row(2, 0)])
    before = built.wanted()
    built.page([], since_ms=START - STEP, closed_ms=built.closed_ms)
    assert built.ready() == []
    assert built.wanted() == before


def test_old_range_beyond_the_bound_is_given_up_and_told() -> None:
    built = builder(backfill=10)
    built.update([row(25, 0)])
    span = built.wanted()
    assert span == Span(START + 15 * STEP, START + 25 * STEP)
    assert built.take_missing() == [Span(START, START + 15 * STEP)]
    answer(built, span, newest=25, change=0)
    assert built.ready() == bars(15, 25)
    assert built.statistics().missing == 15


def test_history_before_the_first_word_is_asked_for() -> None:
    built = builder(first=None, history=5)
    built.update([row(9, 0)])
    assert built.wanted() == Span(START + 4 * STEP, START + 9 * STEP)


def test_bar_that_the_venue_changes_afterwards_is_counted_but_not_told_twice() -> None:
    built = builder(succession=False)
    built.update([row(0)], final=True)
    assert built.ready() == [bar(0)]
    changed = (*row(0)[:-1], 99.0)
    built.page([changed, row(1, 0)], since_ms=START, closed_ms=built.closed_ms)
    assert built.ready() == []
    assert built.statistics().amended == 1


def test_restart_goes_on_after_the_last_bar() -> None:
    built = builder(first=5)
    built.update([row(4), row(5, 2), row(5), row(6, 0)])
    assert built.ready() == [bar(5)]
    assert built.statistics().late == 1


@pytest.mark.parametrize(
    "broken",
    [
        (),
        (START, 1.0, 1.0),
        (START, None, 1.0, 1.0, 1.0, 1.0),
        (START, float("nan"), 1.0, 1.0, 1.0, 1.0),
        (START, 1.0, float("inf"), 1.0, 1.0, 1.0),
        (None, 1.0, 1.0, 1.0, 1.0, 1.0),
        (START, "high", 1.0, 1.0, 1.0, 1.0),
        (START + 1, 1.0, 1.0, 1.0, 1.0, 1.0),
    ],
    ids=str,
)
def test_row_that_is_none_is_no_news(broken: tuple[object, ...]) -> None:
    built = builder()
    built.update([broken], final=True)
    built.page([broken], since_ms=START, closed_ms=0)
    assert built.ready() == []
    assert built.wanted() is None
    assert built.statistics().held == 0


def test_what_nobody_takes_is_bounded_and_fetched_later() -> None:
    built = builder(backfill=50)
    for index in range(500):
        built.update([row(index)])
    assert built.statistics().held <= 52
    taken = built.ready()
    span = built.wanted()
    assert span is not None
    answer(built, span, newest=499, change=0)
    taken += built.ready()
    span = built.wanted()
    if span is not None:
        answer(built, span, newest=499, change=0)
        taken += built.ready()
    assert taken == bars((taken[0].open_ns // NS_PER_MS - START) // STEP, 499)
    assert len(taken) >= 49


# --- a whole venue -----------------------------------------------------------------------------------


@dataclass
class Venue:
    """A venue's candles over time: `now` counts changes; candle `now // UPDATES` is the open one."""

    built: BarBuilder
    without: frozenset[int]
    """Candles that never were."""
    now: int = 0
    out: list[Bar] = field(default_factory=list)

    @property
    def newest(self) -> int:
        return self.now // UPDATES

    def rows(self, first: int, end: int) -> Iterator[tuple[Row, bool]]:
        """What the stream says of these changes, and whether marked closed."""
        for moment in range(first, end):
            index, change = divmod(moment, UPDATES)
            if index not in self.without:
                yield row(index, change), change == UPDATES - 1

    def page(self, span: Span, limit: int, lag: int) -> tuple[list[Row], int]:
        """What REST says, as of `lag` changes ago; bars are final a while after the close we know of."""
        as_of = max(self.now - lag, (self.built.closed_ms - SETTLED - START) // STEP * UPDATES)
        newest, change = divmod(as_of, UPDATES)
        first = (span.first_ms - START) // STEP - 1
        rows = [row(index) for index in range(first, newest) if index not in self.without]
        if newest not in self.without:
            rows.append(row(newest, change))
        return [each for each in rows if each[0] >= span.first_ms - STEP][:limit], span.first_ms - STEP

    def collect(self) -> None:
        self.out += self.built.ready()

    def settle(self) -> None:
        """Let the venue go on after a break, and REST answer at once."""
        self.built.doubt()
        self.now += (-self.now) % UPDATES + (UPDATES if (self.newest in self.without) else 0)
        while self.newest in self.without:
            self.now += UPDATES
        self.built.venue_time(START + self.newest * STEP)
        self.built.update([row(self.newest, 0)])
        for _ in range(200):
            self.collect()
            span = self.built.wanted()
            if span is None:
                return
            rows, since = self.page(span, 7, 0)
            self.built.page(rows, since_ms=since, closed_ms=self.built.closed_ms)
        pytest.fail("it never had enough")


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 11)),
        st.tuples(st.just("swallow"), st.integers(1, 11)),
        st.tuples(st.just("repeat"), st.integers(1, 11)),
        st.tuples(st.just("shuffle"), st.permutations(range(9))),
        st.tuples(st.just("break"), st.just(0)),
        st.tuples(st.just("ask"), st.integers(1, 9)),
        st.tuples(st.just("hear"), st.just(0)),
        st.tuples(st.just("clock"), st.integers(0, STEP - 1)),
        st.tuples(st.just("collect"), st.just(0)),
    ),
    max_size=60,
)
ABSENT = st.frozensets(st.integers(1, 40), max_size=6)


def play(venue: Venue, moves: list[tuple[str, object]], *, marked: bool) -> None:
    """Play a venue's life; pages answer later than they were asked for, and as of when they were asked."""
    built = venue.built
    asked: list[tuple[list[Row], int, int]] = []

    def tell(said: list[tuple[Row, bool]]) -> None:
        for each, closed in said:
            built.update([each], final=marked and closed)

    for move, value in moves:
        match move, value:
            case "say", int(count):
                tell(list(venue.rows(venue.now, venue.now + count)))
                venue.now += count
            case "swallow", int(count):
                venue.now += count
                if not marked:
                    built.doubt()  # an unmarked stream that loses anything has been interrupted
            case "repeat", int(count) if marked:
                tell(list(venue.rows(max(0, venue.now - count), venue.now)))
            case "shuffle", list(order) if marked:
                said = list(venue.rows(venue.now, venue.now + len(order)))
                tell([said[index] for index in order if index < len(said)])
                venue.now += len(order)
            case "break", _:
                built.doubt()
            case "ask", int(limit):
                span = built.wanted()
                if span is not None:
                    known = built.closed_ms
                    asked.append((*venue.page(span, limit, lag=3), known))
            case "hear", _ if asked:
                rows, since, known = asked.pop()  # the newest question may be answered first
                built.page(rows, since_ms=since, closed_ms=known)
            case "clock", int(ms):
                built.venue_time(START + venue.newest * STEP + ms * (venue.now % UPDATES) // UPDATES)
            case "collect", _:
                venue.collect()
    venue.settle()


@given(moves=MOVES, without=ABSENT)
@settings(max_examples=400, deadline=None)
def test_marked_stream_in_any_order_gives_exactly_the_closed_bars(
    moves: list[tuple[str, object]], without: frozenset[int]
) -> None:
    venue = Venue(builder(succession=False), without)
    play(venue, moves, marked=True)
    assert venue.out == bars(0, venue.newest, without)


@given(moves=MOVES, without=ABSENT)
@settings(max_examples=400, deadline=None)
def test_unmarked_stream_with_gaps_gives_exactly_the_closed_bars(
    moves: list[tuple[str, object]], without: frozenset[int]
) -> None:
    venue = Venue(builder(succession=True), without)
    play(venue, moves, marked=False)
    assert venue.out == bars(0, venue.newest, without)


@given(moves=MOVES, without=ABSENT, restart=st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_restart_anywhere_neither_loses_nor_doubles(
    moves: list[tuple[str, object]], without: frozenset[int], restart: int
) -> None:
    venue = Venue(builder(succession=False), without)
    play(venue, moves[:restart], marked=True)
    last_close_ms = venue.out[-1].close_ns // NS_PER_MS if venue.out else START
    venue.built = BarBuilder("BTC/USDT", STEP, next_open_ms=last_close_ms, succession=False)
    play(venue, moves[restart:], marked=True)
    assert venue.out == bars(0, venue.newest, without)


@given(order=st.permutations(range(UPDATES)))
def test_overtaken_update_of_an_open_bar_does_not_count(order: list[int]) -> None:
    built = builder()
    built.update([row(0, change) for change in order])
    built.update([row(1, 0)])
    assert built.ready() == [bar(0)]
