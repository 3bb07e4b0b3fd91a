"""How far the venue's clock is from ours, from answers that are half a round trip old."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.edges.feed.clock_skew import ClockSkew


class World:
    """A wall clock, a monotonic one, and a venue's, with a network between."""

    def __init__(self, offset_ms: float = 0.0, rate: float = 1.0) -> None:
        self.now = 1_000_000.0
        self.wall_offset = 5_000_000.0
        self.offset = offset_ms
        self.rate = rate
        self.there_ms = self.back_ms = 10.0
        self.broken = False

    def wall(self) -> float:
        return self.now + self.wall_offset

    def monotonic(self) -> float:
        return self.now

    def venue(self) -> float:
        return self.wall_offset + self.offset + 1_000_000.0 + (self.now - 1_000_000.0) * self.rate

    async def fetch_time(self) -> Any:
        if self.broken:
            raise OSError("no answer")
        self.now += self.there_ms
        told = int(self.venue())
        self.now += self.back_ms
        return told


def skew_of(world: World) -> ClockSkew:
    return ClockSkew(world, wall_ms=world.wall, monotonic_ms=world.monotonic)


async def asked(world: World, times: int, pause_ms: float = 1_000.0) -> ClockSkew:
    skew = skew_of(world)
    for _ in range(times):
        await skew.sample()
        world.now += pause_ms
    return skew


async def test_nothing_is_known_before_the_first_answer() -> None:
    skew = skew_of(World())
    assert skew.offset_ms is None
    assert skew.now_ms() is None
    assert skew.statistics().samples == 0


@given(
    offset=st.floats(-1e6, 1e6),
    there=st.floats(0, 500),
    back=st.floats(0, 500),
    pause=st.floats(1_000, 100_000),
)
async def test_error_is_at_most_half_the_round_trip(offset: float, there: float, back: float, pause: float) -> None:
    world = World(offset)
    world.there_ms, world.back_ms = there, back
    skew = await asked(world, 5, pause)
    assert skew.offset_ms is not None
    assert abs(skew.offset_ms - offset) <= (there + back) / 2 + 1.001
    now_ms = skew.now_ms()
    assert now_ms is not None
    assert abs(now_ms - world.venue()) <= (there + back) / 2 + 1.001


async def test_answers_of_long_round_trips_do_not_count() -> None:
    world = World(250.0)
    skew = skew_of(world)
    chance = random.Random(3)
    for _ in range(8):
        world.there_ms = chance.choice([4.0, 6.0, 900.0])
        world.back_ms = 5.0
        await skew.sample()
        world.now += 1_000.0
    assert skew.offset_ms == pytest.approx(250.0, abs=2.0)
    error_ms = skew.statistics().error_ms
    assert error_ms is not None
    assert error_ms <= 10.0


async def test_step_of_our_own_clock_forgets_what_was_known_before_it() -> None:
    world = World(100.0)
    skew = await asked(world, 5)
    world.wall_offset += 3_600_000.0
    world.offset -= 3_600_000.0
    await skew.sample()
    assert skew.statistics().samples == 1
    assert skew.offset_ms == pytest.approx(100.0 - 3_600_000.0, abs=11.0)


@pytest.mark.parametrize("rate", [60.0, 6_000.0, 0.5])
async def test_venue_that_plays_history_has_a_rate(rate: float) -> None:
    world = World(rate=rate)
    world.there_ms = world.back_ms = 0.2
    skew = await asked(world, 5, 60.0)
    assert skew.rate == pytest.approx(rate, rel=0.02)
    assert skew.offset_ms is None, "there is no such number"
    world.now += 500.0
    now_ms = skew.now_ms()
    assert now_ms is not None
    assert now_ms == pytest.approx(world.venue(), abs=0.05 * rate * 500.0)


async def test_question_that_fails_changes_nothing() -> None:
    world = World(100.0)
    skew = await asked(world, 3)
    world.broken = True
    with pytest.raises(OSError, match="no answer"):
        await skew.sample()
    assert skew.offset_ms == pytest.approx(100.0, abs=1.0)
