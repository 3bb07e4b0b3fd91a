"""Stamps never go back."""

from __future__ import annotations

import pytest

from actors import messages as m
from actors.runtime.clock import LiveClock, TapeClock, knowable_ns


def test_a_tape_stamps_data_with_its_own_time_and_commands_with_the_latest() -> None:
    clock = TapeClock(5)
    assert clock.stamp(None) == 5
    assert clock.stamp(9) == 9
    assert clock.stamp(9) == 9
    assert clock.stamp(None) == 9


def test_a_tape_that_goes_back_is_a_fault() -> None:
    clock = TapeClock(5)
    with pytest.raises(AssertionError, match="time went back"):
        clock.stamp(4)


def test_a_wall_that_goes_back_is_waited_for() -> None:
    wall = iter([10, 12, 8, 11, 20])
    clock = LiveClock(lambda: next(wall), now_ns=11)
    assert [clock.stamp(None) for _ in range(5)] == [11, 12, 12, 12, 20]


def test_the_venues_time_is_not_our_clock() -> None:
    clock = LiveClock(lambda: 10)
    assert clock.stamp(999) == 10


@pytest.mark.parametrize(
    ("message", "time_ns"),
    [
        (m.Bar("X", 60, 0, 60, 1.0, 1.0, 1.0, 1.0, 1.0), 60),
        (m.Trade("X", 1, 1.0, 1.0, 0, 7), 7),
        (m.Quote("X", 1.0, 1.0, 2.0, 1.0, 8), 8),
        (m.BookSnapshot("X", 1, (), (), 9), 9),
        (m.Mark("X", 1.0, 0.0, 10), 10),
        (m.Funding("X", 0.0, 99, 11), 11),
        (m.Quote("X", 1.0, 1.0, 2.0, 1.0, 0), None),
        (m.WarmUp("X", 1, 2), None),
        (m.Pause("c"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_market_data_was_knowable_at_its_own_time(message: m.Message, time_ns: int | None) -> None:
    assert knowable_ns(message) == time_ns
