"""The sequence of trades by itself: in any order, in part and twice, what comes out is each trade once and in order."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Trade
from daemon.edges.feed.trade_sequence import TradeSequence


def trade(number: int) -> Trade:
    return Trade("X", number, 100.0, 1.0, 1, number * 1_000_000)


def told(*numbers: int) -> list[tuple[str, Trade]]:
    return [(str(number), trade(number)) for number in numbers]


def page(venue: list[int], from_id: int, size: int = 10) -> list[Trade]:
    return [trade(number) for number in venue if number >= from_id][:size]


def ids(trades: list[Trade]) -> list[int]:
    return [each.trade_id for each in trades]


def test_trades_in_order_leave_at_once() -> None:
    sequence = TradeSequence("X", numbered=True)
    sequence.update(told(5, 6, 7))
    assert ids(sequence.ready()) == [5, 6, 7]
    assert sequence.wanted() is None
    assert not sequence.doubtful


def test_trades_behind_a_gap_wait_until_it_is_filled() -> None:
    sequence = TradeSequence("X", numbered=True)
    sequence.update(told(5, 8, 9))
    assert ids(sequence.ready()) == [5]
    assert sequence.wanted() == 6
    sequence.page([trade(6), trade(7), trade(8)], 6)
    assert ids(sequence.ready()) == [6, 7, 8, 9]
    assert sequence.statistics().backfilled == 2
    assert sequence.take_missing() == []


def test_what_the_page_skips_does_not_exist() -> None:
    sequence = TradeSequence("X", numbered=True)
    sequence.update(told(5, 9))
    sequence.page([trade(7), trade(9)], 6)
    assert ids(sequence.ready()) == [5, 7, 9]
    assert sequence.take_missing() == [(6, 6), (8, 8)]
    assert sequence.statistics().missing == 2


def test_a_trade_that_rest_does_not_have_but_the_stream_had_is_told() -> None:
    sequence = TradeSequence("X", numbered=True)
    sequence.update(told(5, 8))
    sequence.page([trade(6), trade(9)], 6)
    sequence.update(told(7))
    assert ids(sequence.ready()) == [5, 6, 7, 8, 9]


def test_what_was_told_is_not_told_again() -> None:
    sequence = TradeSequence("X", numbered=True)
    sequence.update(told(5, 6, 5, 6))
    sequence.ready()
    sequence.update(told(5, 6, 7, 7))
    assert ids(sequence.ready()) == [7]
    assert sequence.statistics().repeated == 5


def test_a_doubt_ends_with_the_venues_newest_trade() -> None:
    sequence = TradeSequence("X", numbered=True)
    sequence.update(told(5))
    sequence.ready()
    sequence.doubt()
    assert sequence.doubtful
    sequence.newest(told(5))
    assert (sequence.doubtful, sequence.wanted(), sequence.ready()) == (False, None, [])
    sequence.doubt()
    sequence.newest(told(8))
    assert sequence.wanted() == 6


def test_nothing_is_doubted_before_there_was_a_trade() -> None:
    sequence = TradeSequence("X", numbered=True)
    sequence.doubt()
    assert not sequence.doubtful


def test_a_known_trade_is_a_doubt_from_the_start() -> None:
    assert TradeSequence("X", numbered=True, next_id=7).doubtful


def test_what_lies_too_far_back_is_given_up() -> None:
    sequence = TradeSequence("X", numbered=True, next_id=1, back_max=10)
    sequence.newest(told(100))
    assert sequence.wanted() == 90
    assert sequence.take_missing() == [(1, 89)]
    sequence.page([trade(number) for number in range(90, 101)], 90)
    assert ids(sequence.ready()) == list(range(90, 101))


def test_a_venue_that_never_tells_is_given_up() -> None:
    sequence = TradeSequence("X", numbered=True)
    sequence.update(told(5, 9))
    sequence.ready()
    sequence.give_up()
    assert ids(sequence.ready()) == [9]
    assert sequence.take_missing() == [(6, 8)]


def test_trades_that_nobody_takes_are_left_to_rest() -> None:
    sequence = TradeSequence("X", numbered=True, held_max=10)
    for number in range(1, 101):
        sequence.update(told(number))
    assert sequence.wanted() == 1
    venue = list(range(1, 101))
    out: list[int] = []
    while (wanted := sequence.wanted()) is not None:
        sequence.page(page(venue, wanted), wanted)
        out += ids(sequence.ready())
    assert out == venue


def test_a_venue_without_numbers_is_followed_by_name() -> None:
    sequence = TradeSequence("X", numbered=False, next_id=7)
    sequence.update([("a", trade(0)), ("b", trade(0)), ("a", trade(0)), ("", trade(0)), ("", trade(0))])
    assert len(sequence.ready()) == 4
    assert sequence.wanted() is None
    sequence.update([("c", trade(9))])
    sequence.doubt()
    assert sequence.doubtful
    sequence.newest([("c", trade(9)), ("d", trade(10))])
    assert ids(sequence.ready()) == [9, 10]


@given(
    st.randoms(use_true_random=False), st.integers(min_value=1, max_value=60), st.integers(min_value=2, max_value=80)
)
def test_whatever_the_stream_does_every_trade_leaves_once_and_in_order(
    chance: random.Random, count: int, held_max: int
) -> None:
    """Messages lost, doubled, swapped, breaks, pages that overtake the stream, trades the venue has lost."""
    venue = [number for number in range(1, count + 1) if chance.random() > 0.05]
    sequence = TradeSequence("X", numbered=True, next_id=1, held_max=held_max)
    out: list[int] = []
    now = 0

    def known() -> list[int]:
        return [number for number in venue if number <= now]

    def settle() -> None:
        out.extend(ids(sequence.ready()))
        if sequence.doubtful:
            newest: Any = known()[-1:]
            sequence.newest(told(*newest))
        wanted = sequence.wanted()
        if wanted is not None:
            sequence.page(page(known(), wanted, chance.randint(1, 10)), wanted)
        out.extend(ids(sequence.ready()))

    for now in range(1, count + 1):
        if now in venue and chance.random() < 0.8:
            sequence.update(told(now))
        if chance.random() < 0.3 and known():
            sequence.update(told(chance.choice(known())))
        if chance.random() < 0.1:
            sequence.doubt()
        if chance.random() < 0.5:
            settle()
    sequence.doubt()
    for _ in range(3 * count + 3):
        settle()
    assert out == venue


@pytest.mark.parametrize("next_id", [None, 4])
def test_statistics_count_what_left(next_id: int | None) -> None:
    sequence = TradeSequence("X", numbered=True, next_id=next_id)
    sequence.update(told(4, 5))
    assert sequence.statistics().told == 0
    sequence.ready()
    assert sequence.statistics().told == 2


def test_without_numbers_or_times_nothing_can_be_asked_for() -> None:
    sequence = TradeSequence("X", numbered=False)
    sequence.update([("a", trade(0))])
    sequence.doubt()
    assert not sequence.doubtful
