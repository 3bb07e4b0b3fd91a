"""Volatility: TA-Lib's values where it has the indicator, else those of its definition, read slowly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import talib
from numpy.typing import NDArray

from strategies.indicators import Indicator, bbands, bbands_percent, bbands_width, natr, trange, var

Column = NDArray[np.float64]
Bars = dict[str, Column]

DATA = Path(__file__).parents[4] / "shared" / "data" / "ohlcv"


def walk(row_count: int, price: float, tick: float, seed: int = 22) -> Bars:
    """Make a random walk from `price` in whole ticks, with gaps, and a stretch at rest."""
    draw = np.random.default_rng(seed)
    steps = np.rint(draw.normal(0.0, 2.0, row_count))
    steps[row_count // 2 : row_count // 2 + 120] = 0.0
    spread = draw.integers(0, 4, (2, row_count)).astype(np.float64)
    spread[:, row_count // 2 : row_count // 2 + 120] = 0.0
    close = np.maximum(round(price / tick) + np.cumsum(steps), 20.0)
    high, low = close + spread[0], close - spread[1]
    opened = np.clip(np.concatenate((close[:1], close[:-1])), low, high)
    bars = {"open": opened, "high": high, "low": low, "close": close, "volume": spread[0] * 10.0}
    return {name: column * tick for name, column in bars.items()}


def real(file: str) -> Bars:
    """Read bars of a real market, the last 20,000 of them."""
    path = DATA / file
    if not path.exists():
        pytest.skip(f"market data not present: {path}")
    frame = pl.read_parquet(path, columns=["open", "high", "low", "close", "volume"]).tail(20_000)
    return {name: frame[name].to_numpy().astype(np.float64) for name in frame.columns}


MARKETS: dict[str, Callable[[], Bars]] = {
    "plain": lambda: walk(2_000, 100.0, 0.01),
    "large": lambda: walk(2_000, 1e5, 0.01),
    "tiny": lambda: walk(2_000, 1e-6, 1e-10),
    "unit": lambda: walk(2_000, 1.0, 1e-5),
    "bitcoin": lambda: real("1h/binance-spot_BTCUSDT_1h_2019-2022.parquet"),
    "tron": lambda: real("5m/spot_TRXBTC_5m_2018-01.parquet"),
}
by_market = pytest.mark.parametrize("market", MARKETS)


def batch(indicator: Indicator, bars: Bars) -> tuple[Column, ...]:
    """Compute an indicator over columns."""
    return indicator.start().batch(*(bars[source] for source in indicator.columns))


def assert_equal(indicator: Indicator, bars: Bars, *expected: Column, scale: float = 0.0) -> None:
    """Compare all rows to nine digits of the value, or of `scale`."""
    for name, found, wanted in zip(indicator.outputs, batch(indicator, bars), expected, strict=True):
        assert np.isnan(found).tolist() == np.isnan(wanted).tolist(), name
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * scale, err_msg=f"{indicator}.{name}")


def windows(values: Column, period: int) -> NDArray[np.float64]:
    """Give the windows of a column, one per row from the first full one on."""
    return np.lib.stride_tricks.sliding_window_view(values, period)


def late(warmup: int, values: Column) -> Column:
    """Put a warm-up in front of what follows it."""
    return np.concatenate((np.full(warmup, np.nan), values))


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
    view = windows(bars["close"], period)
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
