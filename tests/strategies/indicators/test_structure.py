"""Market structure against plain references, which look at the whole past anew in every row."""

import numpy as np
import pytest

from strategies.indicators import (
    Indicator,
    breakout,
    fair_value_gap,
    market_structure,
    support_resistance,
    swing_high,
    swing_low,
    zigzag,
)
from tests.strategies.indicators.definitions import Bars, Column
from tests.strategies.indicators.markets import BITCOIN, TRON, recorded

Rows = list[tuple[float, ...]]

SIDES = ((1, 1), (2, 3), (5, 5), (4, 1))


def walk(rows: int, price: float, seed: int) -> Bars:
    """Make bars in whole ticks, with many equal highs and lows, gaps, and a stretch at rest."""
    draw = np.random.default_rng(seed)
    moves = draw.integers(-4, 5, rows).astype(np.float64)
    moves[rows // 2 : rows // 2 + 40] = 0.0
    close = 200.0 + np.abs(np.cumsum(moves))
    high = close + draw.integers(0, 4, rows)
    low = close - draw.integers(0, 4, rows)
    return {name: column * (price / 256.0) for name, column in (("high", high), ("low", low), ("close", close))}


def is_swing(values: list[float], at: int, left: int, right: int) -> bool:
    """Say whether a value is above all before and not below any after."""
    before, after = values[at - left : at], values[at + 1 : at + 1 + right]
    return all(values[at] > value for value in before) and all(values[at] >= value for value in after)


def swings(values: list[float], row: int, left: int, right: int) -> list[int]:
    """Give the rows of all swings that are confirmed by `row`."""
    return [at for at in range(left, row - right + 1) if is_swing(values, at, left, right)]


def swing_rows(values: list[float], left: int, right: int) -> Rows:
    """Give level, age and found of every row."""
    found: Rows = []
    for row in range(len(values)):
        confirmed = swings(values, row, left, right)
        at = confirmed[-1] if confirmed else values.index(max(values[: row + 1]))
        found.append((values[at], row - at, float(bool(confirmed) and at == row - right)))
    return found


def turned(values: Column) -> list[float]:
    """Give lows as highs."""
    return [-value for value in values.tolist()]


def structure_rows(bars: Bars, left: int, right: int) -> Rows:
    """Give trend and broken of every row."""
    highs, lows, closes = bars["high"].tolist(), turned(bars["low"]), bars["close"].tolist()
    found: Rows = []
    broken_high = broken_low = -1  # The swing that has been broken.
    for row in range(len(closes)):
        tops, bottoms = swings(highs, row, left, right), swings(lows, row, left, right)
        trend = broken = 0.0
        if len(tops) > 1 and len(bottoms) > 1:
            higher = (highs[tops[-1]] > highs[tops[-2]], lows[bottoms[-1]] < lows[bottoms[-2]])
            lower = (highs[tops[-1]] < highs[tops[-2]], lows[bottoms[-1]] > lows[bottoms[-2]])
            trend = 1.0 if all(higher) else -1.0 if all(lower) else 0.0
        if tops and tops[-1] != broken_high and closes[row] > highs[tops[-1]]:
            broken, broken_high = 1.0, tops[-1]
        elif bottoms and bottoms[-1] != broken_low and closes[row] < -lows[bottoms[-1]]:
            broken, broken_low = -1.0, bottoms[-1]
        found.append((trend, broken))
    return found


def level_rows(bars: Bars, left: int, right: int, count: int) -> Rows:
    """Give support, resistance and both distances of every row."""
    highs, lows, closes = bars["high"].tolist(), turned(bars["low"]), bars["close"].tolist()
    found: Rows = []
    for row, close in enumerate(closes):
        told = [(at, 0, highs[at]) for at in swings(highs, row, left, right)]
        told += [(at, 1, -lows[at]) for at in swings(lows, row, left, right)]
        levels = [level for _, _, level in sorted(told)[-count:]]
        support = max([level for level in levels if level <= close], default=-max(lows[: row + 1]))
        resistance = min([level for level in levels if level >= close], default=max(highs[: row + 1]))
        found.append((support, resistance, 100 * (close - support) / close, 100 * (resistance - close) / close))
    return found


def breakout_rows(bars: Bars, period: int) -> Rows:
    """Give the side the close breaks out on."""
    found: Rows = [(np.nan,)] * period
    for row in range(period, len(bars["close"])):
        top, bottom = bars["high"][row - period : row].max(), bars["low"][row - period : row].min()
        close = bars["close"][row]
        found.append((float(close > top) - float(close < bottom),))
    return found


def gap_rows(bars: Bars) -> Rows:
    """Give the gaps."""
    high, low = bars["high"], bars["low"]
    found: Rows = [(np.nan,)] * 2
    for row in range(2, len(high)):
        found.append((max(0.0, low[row] - high[row - 2]) + min(0.0, high[row] - low[row - 2]),))
    return found


def turning_points(bars: Bars, percent: float) -> list[tuple[int, float]]:
    """Give the zigzag's pivots, each with the row that confirms it, leg by leg."""
    high, low = bars["high"], bars["low"]
    share = percent / 100
    points: list[tuple[int, float]] = []
    start, is_up = 0, None
    while True:
        for row in range(start + 1, len(high)):
            top, bottom = float(high[start:row].max()), float(low[start:row].min())
            rises = is_up is not True and high[row] >= bottom * (1 + share)
            falls = is_up is not False and low[row] <= top * (1 - share)
            # A bar that goes on with the leg does not end it.
            if is_up is True:
                falls = falls and high[row] <= top
            if is_up is False:
                rises = rises and low[row] >= bottom
            if rises or falls:
                points.append((row, bottom if rises else top))
                start, is_up = row, bool(rises)
                break
        else:
            return points


def assert_rows(indicator: Indicator, bars: Bars, expected: Rows) -> None:
    """Compare all rows past warm-up: levels and counts exactly, percentages to nine digits."""
    outs = indicator.start().batch(*(bars[source] for source in indicator.columns))
    for name, found, wanted in zip(indicator.outputs, outs, np.array(expected).T, strict=True):
        compare = np.testing.assert_allclose if name in {"below", "above"} else np.testing.assert_array_equal
        compare(found[indicator.warmup :], wanted[indicator.warmup :], err_msg=name)


def all_rows(bars: Bars, left: int, right: int) -> None:
    """Compare everything that swings make."""
    assert_rows(swing_high(left, right), bars, swing_rows(bars["high"].tolist(), left, right))
    lows: Rows = [(-level, age, found) for level, age, found in swing_rows(turned(bars["low"]), left, right)]
    assert_rows(swing_low(left, right), bars, lows)
    assert_rows(market_structure(left, right), bars, structure_rows(bars, left, right))


@pytest.mark.parametrize(("left", "right"), SIDES)
@pytest.mark.parametrize("price", [100.0, 3e-6])
def test_swings_and_trends_are_those_of_the_definition(left: int, right: int, price: float) -> None:
    """Every row, at two price scales."""
    all_rows(walk(300, price, seed=31), left, right)


def test_swings_of_real_markets() -> None:
    """Bitcoin, and a coin whose prices are few satoshi and often equal."""
    for file in (BITCOIN, TRON):
        all_rows(recorded(file, slice(400)), 3, 3)


@pytest.mark.parametrize("count", [1, 4])
def test_support_and_resistance_are_the_nearest_of_the_last_swings(count: int) -> None:
    """With as many on both sides, those of a high and a low come to be known in their order."""
    bars = walk(300, 100.0, seed=32)
    assert_rows(support_resistance(2, 2, count), bars, level_rows(bars, 2, 2, count))


@pytest.mark.parametrize("period", [1, 20])
def test_breakouts_are_of_the_bars_before(period: int) -> None:
    """The bar itself is no part of the channel it leaves."""
    bars = walk(400, 100.0, seed=33)
    expected = breakout_rows(bars, period)
    assert {1.0, -1.0, 0.0} <= {value for (value,) in expected}
    assert_rows(breakout(period), bars, expected)


def test_fair_value_gaps_lie_between_the_outer_two_of_three_bars() -> None:
    """On a walk, and by hand: 10 to 11, a jump, 13 to 14."""
    bars = walk(400, 128.0, seed=34)
    assert_rows(fair_value_gap(), bars, gap_rows(bars))
    assert fair_value_gap().start().batch([11.0, 13.5, 14.0], [10.0, 10.5, 13.0])[0][-1] == 2.0


@pytest.mark.parametrize("percent", [1.0, 4.0])
def test_zigzag_turns_where_the_legs_end(percent: float) -> None:
    """The pivots in their order, told on the row that confirms them, and each stands until the next."""
    bars = walk(500, 256.0, seed=35)
    pivot, extreme, direction, found = zigzag(percent).start().batch(bars["high"], bars["low"])
    expected = turning_points(bars, percent)
    rows = np.flatnonzero(found)
    assert len(rows) > 5
    assert [(int(row), float(pivot[row])) for row in rows] == expected
    for (row, level), (end, _) in zip(expected, [*expected[1:], (len(pivot), 0.0)], strict=True):
        up = float(direction[row]) > 0
        assert set(pivot[row:end].tolist()) == {level}
        assert set(direction[row:end].tolist()) == {1.0 if up else -1.0}
        best = np.maximum.accumulate(bars["high"][row:end]) if up else np.minimum.accumulate(bars["low"][row:end])
        np.testing.assert_array_equal(extreme[row:end], best)


def test_a_swing_is_told_when_it_is_confirmed() -> None:
    """Of 1 2 5 3 2 4 with two on either side, 5 is a swing, and that is known at 2, not before."""
    level, age, found = swing_high(2, 2).start().batch([1.0, 2.0, 5.0, 3.0, 2.0, 4.0])
    assert found[4:].tolist() == [1.0, 0.0]
    assert level[4:].tolist() == [5.0, 5.0]
    assert age[4:].tolist() == [2.0, 3.0]


def test_of_equal_highs_the_first_is_the_swing() -> None:
    """A plateau is one swing."""
    _, age, found = swing_high(1, 2).start().batch([1.0, 4.0, 4.0, 4.0, 2.0, 1.0])
    assert found[3:].tolist() == [1.0, 0.0, 0.0]
    assert age[3:].tolist() == [2.0, 3.0, 4.0]
