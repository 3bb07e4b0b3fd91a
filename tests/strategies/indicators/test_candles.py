"""Candlestick patterns: TA-Lib's, bar for bar.

Prices are whole ticks here, of which every sum is exact: TA-Lib's running means are then those of its
definition, and there is one right answer for every bar, also where a body is just as long as the mean.
On prices with decimals such ties are decided by rounding, in TA-Lib by all that its sums went through
before; so there the two may differ, in few bars.
"""

from functools import cache

import numpy as np
import pytest
import talib
from numpy.typing import NDArray
from talib import abstract

from strategies import indicators
from strategies.indicators import KINDS, Indicator, cdl_doji, cdl_engulfing, cdl_hammer, cdl_morningstar
from strategies.indicators.kernels.candle_rules import PATTERNS, mirrored
from tests.strategies.indicators.markets import BITCOIN, TRON, recorded

Column = NDArray[np.float64]
Bars = tuple[Column, Column, Column, Column]

NAMES = tuple(PATTERNS)
ROWS = 40_000
SEEDS = (0, 1, 2)
NEAR_HITS = 4
BEFORE = 16
DECIMAL_PART_MAX = 1e-3

by_name = pytest.mark.parametrize("name", NAMES)


@cache
def rough(seed: int) -> Bars:
    """Make bars of every shape: runs of one color, gaps, doji, long shadows and none; in whole ticks."""
    draw = np.random.default_rng(seed)
    size = draw.choice([0, 1, 2, 3, 5, 8, 12, 20, 30], ROWS)
    signs = draw.choice([-1, 1], ROWS)
    goes_on = draw.random(ROWS) < 0.4
    for row in range(1, ROWS):
        if goes_on[row]:
            signs[row] = signs[row - 1]
    body = (size * signs).astype(np.float64)
    gap = draw.choice([0, 0, 0, 1, 2, 4, 9, 14, -1, -2, -4, -9, -14], ROWS)
    gap -= np.where(draw.random(ROWS) < 0.3, body // 2, 0).astype(gap.dtype)
    close = 1e6 + np.cumsum(body + gap)
    opened = close - body
    high = np.maximum(opened, close) + draw.choice([0, 0, 0, 1, 2, 6, 15], ROWS)
    low = np.minimum(opened, close) - draw.choice([0, 0, 0, 1, 2, 6, 15], ROWS)
    return opened, high, low, close


def talib_name(name: str) -> str:
    """Give the name TA-Lib has for a pattern."""
    return "CDL" + name.removeprefix("cdl_").upper()


def declared(name: str, *params: float) -> Indicator:
    """Declare a pattern."""
    found: Indicator = getattr(indicators, name)(*params)
    return found


def from_talib(indicator: Indicator, bars: Bars) -> Column:
    """Give TA-Lib's values, with NaN where it has none yet."""
    values: Column = getattr(talib, talib_name(indicator.kind))(*bars, *indicator.params).astype(np.float64)
    values[: indicator.warmup] = np.nan
    return values


def found_in(indicator: Indicator, bars: Bars) -> Column:
    """Give our values."""
    return indicator.start().batch(*bars)[0]


def test_there_is_each_of_talibs_patterns() -> None:
    """All of them, numbered in the states as the kernel's table has them."""
    assert sorted(map(talib_name, NAMES)) == sorted(talib.get_function_groups()["Pattern Recognition"])
    numbers = {kind.name: int(kind.constants[-2]) for kind in KINDS.values() if kind.kernels == "candles"}
    assert numbers == {name: number for number, name in enumerate(NAMES)}


@by_name
def test_warmup_is_talibs(name: str) -> None:
    """What TA-Lib calls lookback."""
    function = abstract.Function(talib_name(name))  # type: ignore[attr-defined]  # its stub lacks it
    assert declared(name).warmup == function.lookback


@by_name
def test_every_bar_is_judged_as_by_talib(name: str) -> None:
    """Bars of every shape, among which each pattern is found."""
    indicator = declared(name)
    hits = 0
    for seed in SEEDS:
        expected = from_talib(indicator, rough(seed))
        np.testing.assert_array_equal(found_in(indicator, rough(seed)), expected)
        hits += int(np.count_nonzero(np.nan_to_num(expected)))
    assert hits > 0


@by_name
def test_every_bar_near_a_pattern_is_judged_as_by_talib(name: str) -> None:
    """Found patterns with one price of their bars moved by a few ticks: where conditions are just met, or not."""
    indicator = declared(name)
    pieces = []
    for seed in SEEDS:
        bars = np.stack(rough(seed))
        for row in np.flatnonzero(np.nan_to_num(found_in(indicator, rough(seed))))[:NEAR_HITS]:
            window = bars[:, max(0, row - BEFORE) : row + 1]
            for back in range(1, 6):
                for column in range(4):
                    for move in (-9, -2, -1, 1, 2, 9):
                        moved = window.copy()
                        moved[column, -back] += move
                        pieces.append(moved)
    joined = np.ascontiguousarray(np.concatenate(pieces, axis=1))
    near: Bars = (joined[0], joined[1], joined[2], joined[3])
    np.testing.assert_array_equal(found_in(indicator, near), from_talib(indicator, near))


@pytest.mark.parametrize("name", [name for name in NAMES if KINDS[name].params])
@pytest.mark.parametrize("penetration", [0.0, 0.1, 0.75])
def test_penetration_is_talibs(name: str, penetration: float) -> None:
    """Other depths find other bars."""
    indicator = declared(name, penetration)
    np.testing.assert_array_equal(found_in(indicator, rough(0)), from_talib(indicator, rough(0)))


@pytest.mark.parametrize(
    ("file", "tick"),
    [(BITCOIN, 0.01), (TRON, 1e-8)],
)
def test_real_markets(file: str, tick: float) -> None:
    """In whole ticks every bar agrees; with decimals all but ties do."""
    columns = recorded(file, slice(20_000))
    decimal = columns["open"], columns["high"], columns["low"], columns["close"]
    whole: Bars = tuple(np.rint(column / tick) for column in decimal)  # type: ignore[assignment]
    differing = 0
    for name in NAMES:
        indicator = declared(name)
        np.testing.assert_array_equal(found_in(indicator, whole), from_talib(indicator, whole))
        other = np.nan_to_num(found_in(indicator, decimal)) != np.nan_to_num(from_talib(indicator, decimal))
        differing += int(np.count_nonzero(other))
    assert differing <= DECIMAL_PART_MAX * len(NAMES) * decimal[0].size


def test_a_pattern_is_the_same_at_any_scale() -> None:
    """There is no magic number: bit for bit, at prices 2^40 times as high or low."""
    for indicator in (cdl_doji(), cdl_hammer(), cdl_engulfing(), cdl_morningstar()):
        expected = found_in(indicator, rough(1))
        for factor in (2.0**-40, 2.0**40):
            scaled: Bars = tuple(column * factor for column in rough(1))  # type: ignore[assignment]
            np.testing.assert_array_equal(found_in(indicator, scaled), expected)


def test_a_textbook_engulfing() -> None:
    """Black from 10 to 9, then white from 8 to 11; the 80 is for a shared end."""
    state = cdl_engulfing().start()
    for bar in ((10.0, 10.0, 9.0, 9.0), (10.0, 10.0, 9.0, 9.0)):
        state.step(*bar)
    assert state.step(8.0, 11.0, 8.0, 11.0) == (100.0,)
    assert state.step(11.0, 11.0, 8.0, 8.0) == (0.0,)
    assert state.step(8.0, 12.0, 8.0, 12.0) == (80.0,)


def test_a_flat_market_is_all_doji() -> None:
    """A body of nothing is not above a tenth of nothing, as in TA-Lib."""
    flat = np.full(100, 7.0)
    assert set(found_in(cdl_doji(), (flat, flat, flat, flat))[10:].tolist()) == {100.0}


def test_conditions_are_turned_upside_down() -> None:
    """Prices compare the other way round, lengths as before."""
    text = "white, low[1] > close[2] + near[2], upper < 2 * body"
    assert mirrored(text) == "black, high[1] < close[2] - near[2], lower < 2 * body"
    assert mirrored(mirrored(text)) == text


def test_a_state_does_not_take_that_of_another_pattern() -> None:
    """They are as long as one another and run by one kernel."""
    state = cdl_doji().start()
    with pytest.raises(ValueError, match=r"^cdl_doji: state is that of another indicator"):
        state.load(cdl_hammer().start().dump())
