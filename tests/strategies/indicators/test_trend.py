"""Trend: TA-Lib's values where it has the indicator, else those of its definition, read slowly."""

import numpy as np
import pytest
import talib

from strategies.indicators import (
    adx,
    adxr,
    aroon,
    aroonosc,
    atr,
    chandelier,
    choppiness,
    dmi,
    dx,
    efficiency_ratio,
    highest,
    ichimoku,
    lowest,
    mass_index,
    minus_di,
    minus_dm,
    plus_di,
    plus_dm,
    sar,
    supertrend,
    vhf,
    vortex,
)
from tests.strategies.indicators.definitions import Bars, Column
from tests.strategies.indicators.markets import MARKETS, assert_equal, batch, by_market, full_windows, late, ranging

# Directional movement


@by_market
@pytest.mark.parametrize("period", [2, 14, 50])
def test_directional_movement_like_talib(market: str, period: int) -> None:
    """From the sums of moves to ADXR; percentages may differ by a billionth of a percent."""
    bars = MARKETS[market]()
    high, low, close = bars["high"], bars["low"], bars["close"]
    for maker, function in ((plus_dm, talib.PLUS_DM), (minus_dm, talib.MINUS_DM)):
        assert_equal(maker(period), bars, function(high, low, period), scale=high[0] * 1e-6)
    rising, falling = talib.PLUS_DI(high, low, close, period), talib.MINUS_DI(high, low, close, period)
    average = talib.ADX(high, low, close, period)
    assert_equal(plus_di(period), bars, rising, scale=1.0)
    assert_equal(minus_di(period), bars, falling, scale=1.0)
    assert_equal(dx(period), bars, talib.DX(high, low, close, period), scale=100.0)
    assert_equal(adx(period), bars, average, scale=100.0)
    assert_equal(adxr(period), bars, talib.ADXR(high, low, close, period), scale=100.0)
    early = np.isnan(average)
    both = (np.where(early, np.nan, rising), np.where(early, np.nan, falling))
    assert_equal(dmi(period), bars, average, *both, scale=100.0)


def test_a_move_of_one_bar_is_the_move() -> None:
    """With a period of one the sum is what the bar itself moved, from the second on."""
    bars = ranging(500, 100.0, 0.01)
    assert_equal(plus_dm(1), bars, talib.PLUS_DM(bars["high"], bars["low"], 1), scale=1e-6)
    assert_equal(minus_dm(1), bars, talib.MINUS_DM(bars["high"], bars["low"], 1), scale=1e-6)


def test_directional_movement_at_rest() -> None:
    """Before anything moved it is 0; a market that comes to rest keeps its ADX, as in TA-Lib."""
    moving, still = ranging(300, 100.0, 0.01), np.full(200, 50.0)
    flat = dict.fromkeys(moving, still)
    for indicator in (plus_dm(14), plus_di(14), dx(14), adx(14), adxr(14)):
        (found,) = batch(indicator, flat)
        assert set(found[indicator.warmup :].tolist()) == {0.0}
    rests = {name: np.concatenate((column[:140], np.full(300, column[139]))) for name, column in moving.items()}
    expected = talib.ADX(rests["high"], rests["low"], rests["close"], 14)
    assert expected[-1] > 1.0
    assert_equal(adx(14), rests, expected)


# Aroon


@by_market
@pytest.mark.parametrize("period", [2, 14, 100])
def test_aroon_like_talib(market: str, period: int) -> None:
    """Of equal extremes the latest counts."""
    bars = MARKETS[market]()
    assert_equal(aroon(period), bars, *talib.AROON(bars["high"], bars["low"], period))
    assert_equal(aroonosc(period), bars, talib.AROONOSC(bars["high"], bars["low"], period))


# Stops


@by_market
@pytest.mark.parametrize("steps", [(0.02, 0.2), (0.1, 0.1), (0.001, 1.0)])
def test_sar_like_talib(market: str, steps: tuple[float, float]) -> None:
    """Every turn on the same bar, every stop to nine digits."""
    bars = MARKETS[market]()
    assert_equal(sar(*steps), bars, talib.SAR(bars["high"], bars["low"], *steps))


def test_sar_begins_with_the_side_of_the_greater_move() -> None:
    """Falling, rising, and neither, where the market counts as rising."""
    for second in ((9.0, 7.0), (11.0, 9.0), (10.0, 8.0), (11.0, 7.0), (9.5, 8.5)):
        bars = {"high": np.array([10.0, second[0], 10.5]), "low": np.array([8.0, second[1], 6.5])}
        assert_equal(sar(), bars, talib.SAR(bars["high"], bars["low"], 0.02, 0.2))


def test_sar_refuses_steps_beyond_its_maximum() -> None:
    """One line names both."""
    with pytest.raises(ValueError, match=r"^sar: acceleration must be at most the maximum, got 0\.3 and 0\.2$"):
        sar(0.3, 0.2)


def slow_supertrend(bars: Bars, average: Column, multiplier: float) -> tuple[Column, Column]:
    """Follow the bands bar by bar, as the definition reads."""
    high, low, close = bars["high"], bars["low"], bars["close"]
    line, side = np.full(close.size, np.nan), np.full(close.size, np.nan)
    upper = lower = np.nan
    for row in range(close.size):
        if np.isnan(average[row]):
            continue
        above = (high[row] + low[row]) / 2 + multiplier * average[row]
        below = (high[row] + low[row]) / 2 - multiplier * average[row]
        if np.isnan(upper):
            upper, lower, side[row] = above, below, 1.0
        else:
            upper = min(upper, above) if close[row - 1] <= upper else above
            lower = max(lower, below) if close[row - 1] >= lower else below
            was_falling = side[row - 1] < 0
            side[row] = (1.0 if close[row] > upper else -1.0) if was_falling else (-1.0 if close[row] < lower else 1.0)
        line[row] = lower if side[row] > 0 else upper
    return line, side


@by_market
@pytest.mark.parametrize(("period", "multiplier"), [(10, 3.0), (2, 1.0)])
def test_supertrend_like_its_definition_and_talib(market: str, period: int, multiplier: float) -> None:
    """The same turns and the same stops, which are TA-Lib's, too."""
    bars = MARKETS[market]()
    line, side = talib.SUPERTREND(bars["high"], bars["low"], bars["close"], period, multiplier)
    assert_equal(supertrend(period, multiplier), bars, line, np.where(np.isnan(line), np.nan, side))
    (average,) = batch(atr(period), bars)
    assert_equal(supertrend(period, multiplier), bars, *slow_supertrend(bars, average, multiplier))


def test_supertrend_turns_beyond_its_band_and_not_on_it() -> None:
    """A close on the stop to the tick leaves the trend as it is, on either side; the next tick turns it."""
    bars = {
        "high": np.array([11.0, 12.0, 10.0, 8.0, 12.0, 12.0]),
        "low": np.array([9.0, 8.0, 6.0, 4.0, 8.0, 9.0]),
        "close": np.array([10.0, 10.0, 6.0, 5.0, 10.0, 11.0]),
    }
    line, side = batch(supertrend(1, 1.0), bars)
    assert line[1:].tolist() == [6.0, 6.0, 10.0, 10.0, 7.5]
    assert side[1:].tolist() == [1.0, 1.0, -1.0, -1.0, 1.0]


def test_supertrend_on_its_band_is_talibs() -> None:
    """Short tapes in whole ticks, in which every average is exact, and closes fall on the stop now and then."""
    draw = np.random.default_rng(31)
    touched = {1.0: 0, -1.0: 0}
    for _ in range(500):
        close: Column = np.cumsum(draw.integers(-4, 5, 40)) + np.float64(50.0)
        reach = draw.integers(0, 4, (2, 40))
        bars: Bars = {"high": close + reach[0], "low": close - reach[1], "close": close}
        line, side = batch(supertrend(2, 1.0), bars)
        expected = talib.SUPERTREND(bars["high"], bars["low"], bars["close"], 2, 1.0)
        np.testing.assert_array_equal(line, expected[0])
        np.testing.assert_array_equal(side[2:], expected[1][2:])
        for row in np.flatnonzero(close == line):
            touched[side[row]] += 1
    assert min(touched.values()) > 2, touched


@by_market
def test_chandelier_hangs_from_the_extremes(market: str) -> None:
    """Three average true ranges, as features of their own would give them."""
    bars = MARKETS[market]()
    (average,), (top,), (bottom,) = (batch(one, bars) for one in (atr(22), highest(22), lowest(22)))
    assert_equal(chandelier(), bars, top - 3.0 * average, bottom + 3.0 * average)


# Strength


@by_market
@pytest.mark.parametrize("period", [2, 14, 100])
def test_strength_like_talib(market: str, period: int) -> None:
    """Vortex, efficiency, the vertical horizontal filter and the mass index, also through a market at rest."""
    bars = MARKETS[market]()
    high, low, close = bars["high"], bars["low"], bars["close"]
    assert_equal(vortex(period), bars, *talib.VORTEX(high, low, close, period), scale=1.0)
    assert_equal(vhf(period), bars, talib.VHF(close, period), scale=1.0)
    assert_equal(efficiency_ratio(period), bars, talib.ER(close, period), scale=1.0)
    assert_equal(mass_index(9, period), bars, talib.MASSI(high, low, 9, period), scale=period)


@by_market
@pytest.mark.parametrize("period", [2, 14])
def test_choppiness_like_its_definition(market: str, period: int) -> None:
    """The logarithm of the way over the range, to the base of the period; 100 where neither is."""
    bars = MARKETS[market]()
    ranges = talib.TRANGE(bars["high"], bars["low"], bars["close"])[1:]
    top, bottom = full_windows(bars["high"], period).max(1)[1:], full_windows(bars["low"], period).min(1)[1:]
    way = np.array([float(sum(row)) for row in full_windows(ranges, period)])
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where((way > 0) & (top > bottom), 100 * np.log(way / (top - bottom)) / np.log(period), 100.0)
    assert_equal(choppiness(period), bars, late(period, expected), scale=100.0)


@by_market
def test_ichimoku_tells_what_is_known(market: str) -> None:
    """Middles of three windows that end now; nothing is drawn into the past or the future."""
    bars = MARKETS[market]()
    top, bottom = bars["high"], bars["low"]
    short, middle, long = (
        late(51, ((full_windows(top, size).max(1) + full_windows(bottom, size).min(1)) / 2)[52 - size :])
        for size in (9, 26, 52)
    )
    assert_equal(ichimoku(), bars, short, middle, (short + middle) / 2, long)


def test_ichimoku_refuses_windows_that_narrow() -> None:
    """One line names all three."""
    with pytest.raises(ValueError, match=r"^ichimoku: conversion, base and span must not fall, got 9, 8 and 52$"):
        ichimoku(9, 8)


def test_strength_at_rest() -> None:
    """A market that never moved goes nowhere: what each says then stands in its docstring."""
    flat = dict.fromkeys(("open", "high", "low", "close"), np.full(200, 50.0))
    said = {vortex(14): 0.0, vhf(28): 0.0, efficiency_ratio(10): 1.0, choppiness(14): 100.0, mass_index(9, 25): 25.0}
    for indicator, value in said.items():
        for found in batch(indicator, flat):
            np.testing.assert_allclose(found[indicator.warmup :], value, rtol=1e-12)
