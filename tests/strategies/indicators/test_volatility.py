"""Volatility: TA-Lib's values where it has the indicator, else those of its definition, read slowly."""

from collections.abc import Callable

import numpy as np
import pytest
import talib

from strategies.indicators import (
    Indicator,
    accbands,
    atr,
    atr_bands,
    bbands,
    bbands_percent,
    bbands_width,
    chaikin_volatility,
    donchian,
    garman_klass,
    historical_volatility,
    keltner,
    natr,
    parkinson,
    realised_volatility,
    rogers_satchell,
    rvi,
    trange,
    true_range_percentile,
    ulcer_index,
    var,
    yang_zhang,
)
from tests.strategies.indicators.definitions import Column
from tests.strategies.indicators.markets import MARKETS, assert_equal, batch, by_market, full_windows, late

# Ranges and deviations


@by_market
@pytest.mark.parametrize("period", [2, 14, 50])
def test_ranges_like_talib(market: str, period: int) -> None:
    """The bar's own, and the average in percent of the price."""
    bars = MARKETS[market]()
    columns = (bars["high"], bars["low"], bars["close"])
    assert_equal(trange(), bars, talib.TRANGE(*columns))
    assert_equal(natr(period), bars, talib.NATR(*columns, period))


@by_market
@pytest.mark.parametrize("period", [2, 5, 20, 300])
def test_variance_like_its_definition(market: str, period: int) -> None:
    """In its own digits; TA-Lib's, of running sums, agree in those of the squared price."""
    bars = MARKETS[market]()
    view = full_windows(bars["close"], period)
    off = view - view[:, -1:]  # Differences of near prices are exact.
    expected = np.array([float(np.mean((row - row.mean()) ** 2)) for row in off])
    assert_equal(var(period), bars, late(period - 1, expected))
    like = talib.VAR(bars["close"], period)
    assert_equal(var(period), bars, like, scale=float(bars["close"].max()) ** 2)


@by_market
def test_band_width_and_place_are_those_of_the_bands(market: str) -> None:
    """A market at rest has bands of no width, and is half way."""
    bars = MARKETS[market]()
    upper, middle, lower = batch(bbands(20, 2.5), bars)
    (width,), (place,) = batch(bbands_width(20, 2.5), bars), batch(bbands_percent(20, 2.5), bars)
    np.testing.assert_array_equal(width, (upper - lower) / middle)
    with np.errstate(invalid="ignore"):
        expected = np.where(upper == lower, 0.5, (bars["close"] - lower) / (upper - lower))
    np.testing.assert_array_equal(place, expected)


# Channels


@by_market
@pytest.mark.parametrize("period", [2, 20, 100])
def test_channels_like_talib(market: str, period: int) -> None:
    """Donchian's, Keltner's and the acceleration bands, to nine digits of the price."""
    bars = MARKETS[market]()
    high, low, close = bars["high"], bars["low"], bars["close"]
    assert_equal(donchian(period), bars, *talib.DONCHIAN(high, low, period))
    assert_equal(keltner(period, 1.5, 10), bars, *talib.KC(high, low, close, period, 10, 1.5))
    assert_equal(accbands(period), bars, *talib.ACCBANDS(high, low, close, period))


@by_market
def test_bands_of_true_ranges_lie_off_the_close(market: str) -> None:
    """Two and a half averages, as a feature of their own would give them."""
    bars = MARKETS[market]()
    (average,) = batch(atr(14), bars)
    assert_equal(atr_bands(14, 2.5), bars, bars["close"] + 2.5 * average, bars["close"] - 2.5 * average)


# Unrest


@by_market
@pytest.mark.parametrize("period", [2, 10, 50])
def test_unrest_like_talib(market: str, period: int) -> None:
    """Chaikin's volatility and the relative volatility index, in percent."""
    bars = MARKETS[market]()
    expected = talib.CVI(bars["high"], bars["low"], period, 7)
    assert_equal(chaikin_volatility(period, 7), bars, expected, scale=1.0)
    assert_equal(rvi(period, 10), bars, talib.RVI(bars["close"], period, 10), scale=100.0)


@by_market
@pytest.mark.parametrize("period", [1, 14])
def test_ulcer_index_like_its_definition(market: str, period: int) -> None:
    """The drawdown from the window's highest, squared, averaged, and its root."""
    bars = MARKETS[market]()
    top = full_windows(bars["close"], period).max(1)
    lack = 100.0 * (bars["close"][period - 1 :] - top) / top
    expected = np.array([float(np.sqrt(np.mean(row * row))) for row in full_windows(lack, period)])
    assert_equal(ulcer_index(period), bars, late(2 * period - 2, expected), scale=1e-3)


@by_market
@pytest.mark.parametrize("period", [1, 100])
def test_true_range_percentile_counts_what_was_less(market: str, period: int) -> None:
    """Of the ranges before, the bar's own not among them."""
    bars = MARKETS[market]()
    ranges = talib.TRANGE(bars["high"], bars["low"], bars["close"])[1:]
    less = (full_windows(ranges, period)[:-1] < ranges[period:, None]).sum(1)
    assert_equal(true_range_percentile(period), bars, late(period + 1, 100.0 * less / period))


# Estimators


def mean_of(terms: Column, period: int, year: float) -> Column:
    """Give the root of the mean of each window, in a year."""
    means = np.array([float(np.mean(row)) for row in full_windows(terms, period)])
    return np.sqrt(year * np.maximum(means, 0.0))


@by_market
@pytest.mark.parametrize(("period", "year"), [(20, 1.0), (2, 365.0)])
def test_estimators_like_their_papers(market: str, period: int, year: float) -> None:
    """By range, by range and body, whatever the drift, with the gaps, and by closes alone."""
    bars = MARKETS[market]()
    opened, high, low, close = (bars[name] for name in ("open", "high", "low", "close"))
    body, gap, change = np.log(close / opened), np.log(opened[1:] / close[:-1]), np.log(close[1:] / close[:-1])
    drift = np.log(high / opened) * np.log(high / close) + np.log(low / opened) * np.log(low / close)
    simple = np.log(high / low) ** 2 / (4.0 * np.log(2.0))
    both = 0.5 * np.log(high / low) ** 2 - (2.0 * np.log(2.0) - 1.0) * body**2
    weight = 0.34 / (1.34 + (period + 1) / (period - 1))
    mixed = np.array(
        [
            np.var(gaps, ddof=1) + weight * np.var(bodies, ddof=1) + (1 - weight) * np.mean(drifts)
            for gaps, bodies, drifts in zip(
                full_windows(gap, period), full_windows(body[1:], period), full_windows(drift[1:], period), strict=True
            )
        ]
    )
    sample = np.array([np.std(row, ddof=1) for row in full_windows(change, period)])
    # What is no more than rounding beside what the market moves may differ: the reference has its own.
    small = 1e-3 * float(np.abs(change).mean()) * np.sqrt(year)
    assert_equal(parkinson(period, year), bars, late(period - 1, mean_of(simple, period, year)), scale=small)
    assert_equal(garman_klass(period, year), bars, late(period - 1, mean_of(both, period, year)), scale=small)
    assert_equal(rogers_satchell(period, year), bars, late(period - 1, mean_of(drift, period, year)), scale=small)
    assert_equal(yang_zhang(period, year), bars, late(period, np.sqrt(year * np.maximum(mixed, 0.0))), scale=small)
    assert_equal(realised_volatility(period, year), bars, late(period, mean_of(change**2, period, year)), scale=small)
    assert_equal(historical_volatility(period, year), bars, late(period, np.sqrt(year) * sample), scale=small)


@pytest.mark.parametrize("maker", [parkinson, garman_klass, rogers_satchell, yang_zhang, realised_volatility])
def test_estimators_find_the_volatility_of_a_ranging(maker: Callable[..., Indicator]) -> None:
    """A thousand steps within each bar, one percent a bar: all but the range's known bias agree on it."""
    draw = np.random.default_rng(23)
    path = np.exp(np.cumsum(draw.normal(0.0, 0.01 / np.sqrt(1000), (400, 1000))).reshape(400, 1000))
    bars = {"open": path[:, 0], "high": path.max(1), "low": path.min(1), "close": path[:, -1]}
    (found,) = batch(maker(300), bars)
    assert found[-1] == pytest.approx(0.01, rel=0.1)


def test_volatility_at_rest_is_zero() -> None:
    """Hours of one price deviate from nothing; the index between rising and falling is half way."""
    flat = dict.fromkeys(("open", "high", "low", "close"), np.full(200, 50.0))
    nothing = (parkinson(), garman_klass(), rogers_satchell(), yang_zhang(), realised_volatility(), natr(), var())
    for indicator in (*nothing, historical_volatility(), ulcer_index(), chaikin_volatility(), bbands_width()):
        (found,) = batch(indicator, flat)
        np.testing.assert_allclose(found[indicator.warmup :], 0.0, atol=1e-12)
    (found,) = batch(rvi(), flat)
    assert set(found[rvi().warmup :].tolist()) == {50.0}
