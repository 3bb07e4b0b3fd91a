"""Matching against a bar's path, checked against a walk over every tick of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors import messages as m
from actors.execution.matching import Match, match_order, path_points, point_times

BUY, SELL = m.BUY, m.SELL


def order(side: int, kind: Any, limit: int = 0, stop: int = 0, tif: Any = "gtc") -> m.OrderRequest:
    return m.OrderRequest("a", "X", 1, side, 1, kind, limit, stop, tif)


@pytest.mark.parametrize(
    ("bar", "path"),
    [
        ((100, 103, 90, 95), (100, 103, 90, 95)),
        ((100, 110, 97, 105), (100, 97, 110, 105)),
        ((100, 105, 95, 102), (100, 95, 105, 102)),
        ((100, 100, 90, 95), (100, 100, 90, 95)),
        ((100, 110, 100, 105), (100, 100, 110, 105)),
        ((7, 7, 7, 7), (7, 7, 7, 7)),
    ],
    ids=["high nearer", "low nearer", "tie: low first", "opens at the high", "opens at the low", "still"],
)
def test_a_path_goes_to_the_nearer_extreme_first(bar: tuple[int, int, int, int], path: tuple[int, ...]) -> None:
    assert path_points(*bar) == path


def test_points_are_reached_at_equal_steps_and_the_last_within_the_bar() -> None:
    assert point_times(600, 1_200) == (600, 800, 1_000, 1_199)


# --- the reference: a walk over every tick ----------------------------------------------------------


def walk(points: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield (distance walked, price) for every tick on the path, corners once."""
    distance, price = 0, points[0]
    yield distance, price
    for target in points[1:]:
        while price != target:
            price += 1 if target > price else -1
            distance += 1
            yield distance, price


Found = tuple[int, int, bool] | None
"""(distance walked, price, taker)"""


def resting_limit(side: int, limit: int, steps: list[tuple[int, int]]) -> Found:
    """Fill at the limit once a price beyond it was walked on."""
    for index, (distance, price) in enumerate(steps):
        if side * (limit - price) > 0:
            return (distance if index == 0 else distance - 1, limit, False)
    return None


def reference(request: m.OrderRequest, points: tuple[int, ...], *, marketable: bool, triggered: bool) -> Found:
    side, limit, stop = request.side, request.limit_ticks, request.stop_ticks
    steps = list(walk(points))
    first = points[0]
    if request.kind == "market":
        return (0, first, True)
    if request.kind in ("stop", "stop_limit") and not triggered:
        reached = next((step for step in steps if side * (step[1] - stop) >= 0), None)
        if reached is None:
            return None
        distance, price = reached
        if request.kind == "stop" or side * (limit - price) >= 0:
            return (distance, price, True)
        if request.time_in_force != "gtc":
            return None
        later = [step for step in steps if step[0] >= distance]
        return resting_limit(side, limit, later)
    at_once = request.time_in_force != "gtc"
    if (marketable and request.kind == "limit") or at_once:
        if side * (limit - first) >= 0:
            return (0, first, True)
        if at_once:
            return None
    return resting_limit(side, limit, steps)


def found(match: Match | None, points: tuple[int, ...]) -> Found:
    if match is None:
        return None
    index, travelled = match.position
    before = sum(abs(b - a) for a, b in itertools.pairwise(points[: index + 1]))
    return (before + travelled, match.price_ticks, match.taker)


prices = st.integers(1, 24)


@st.composite
def paths(draw: st.DrawFn) -> tuple[int, ...]:
    opened, close, one, other = draw(prices), draw(prices), draw(prices), draw(prices)
    points = path_points(opened, max(opened, close, one, other), min(opened, close, one, other), close)
    return points[draw(st.integers(0, 3)) :]


@pytest.mark.slow
@given(
    paths(),
    st.sampled_from([BUY, SELL]),
    st.sampled_from(["market", "limit", "stop", "stop_limit"]),
    prices,
    prices,
    st.sampled_from(["gtc", "ioc", "fok"]),
    st.booleans(),
    st.booleans(),
)
@example((10, 8, 14, 12), BUY, "stop_limit", 11, 12, "ioc", False, False)
@settings(deadline=None, max_examples=1_500)
def test_every_match_agrees_with_a_walk_over_the_ticks(
    points: tuple[int, ...], side: int, kind: str, limit: int, stop: int, tif: str, marketable: bool, triggered: bool
) -> None:
    request = order(side, kind, limit if "limit" in kind else 0, stop if "stop" in kind else 0, tif)
    triggered = triggered and kind == "stop_limit"
    match = match_order(request, marketable=marketable, triggered=triggered, points=points)
    assert found(match, points) == reference(request, points, marketable=marketable, triggered=triggered)


# --- the rules by name ------------------------------------------------------------------------------

PATH = (100, 90, 115, 110)


@pytest.mark.parametrize(
    ("request_", "price", "taker"),
    [
        (order(BUY, "market"), 100, True),
        (order(SELL, "market"), 100, True),
        (order(BUY, "limit", 95), 95, False),
        (order(BUY, "limit", 90), None, None),
        (order(BUY, "limit", 91), 91, False),
        (order(SELL, "limit", 115), None, None),
        (order(SELL, "limit", 114), 114, False),
        (order(BUY, "limit", 105), 105, False),
        (order(SELL, "limit", 97), 97, False),
        (order(SELL, "stop", 0, 95), 95, True),
        (order(SELL, "stop", 0, 90), 90, True),
        (order(SELL, "stop", 0, 89), None, None),
        (order(SELL, "stop", 0, 104), 100, True),
        (order(BUY, "stop", 0, 115), 115, True),
        (order(BUY, "stop", 0, 96), 100, True),
        (order(BUY, "stop_limit", 112, 110), 110, True),
        (order(BUY, "stop_limit", 89, 96), None, None),
        (order(SELL, "stop_limit", 108, 95), 108, False),
    ],
    ids=[
        "market buys at the first point",
        "market sells at the first point",
        "limit is traded through",
        "limit is only touched",
        "limit is passed by one tick",
        "sell limit is only touched",
        "sell limit is passed by one tick",
        "a gap through a buy limit fills at the limit",
        "a gap through a sell limit fills at the limit",
        "stop fills at its trigger",
        "stop is triggered by a touch",
        "stop is not reached",
        "a gap beyond a sell stop fills at the worse price",
        "buy stop is triggered by a touch",
        "a gap beyond a buy stop fills at the worse price",
        "stop-limit fills at once where its limit allows",
        "stop-limit waits where the market is beyond its limit",
        "stop-limit fills as a limit later on the path",
    ],
)
def test_rules_on_one_path(request_: m.OrderRequest, price: int | None, taker: bool | None) -> None:
    """The path is 100, 90, 115, 110."""
    match = match_order(request_, marketable=False, triggered=False, points=PATH)
    assert (match.price_ticks if match else None, match.taker if match else None) == (price, taker)


def test_a_limit_that_was_marketable_takes_the_first_price_and_no_better_one() -> None:
    match = match_order(order(BUY, "limit", 105), marketable=True, triggered=False, points=PATH)
    assert match == Match((0, 0), 100, taker=True)


def test_a_limit_whose_market_ran_away_rests() -> None:
    match = match_order(order(BUY, "limit", 95), marketable=True, triggered=False, points=PATH)
    assert match is not None
    assert (match.price_ticks, match.taker) == (95, False)


def test_a_triggered_stop_limit_is_a_limit() -> None:
    match = match_order(order(BUY, "stop_limit", 95, 200), marketable=False, triggered=True, points=PATH)
    assert match is not None
    assert (match.price_ticks, match.taker) == (95, False)
