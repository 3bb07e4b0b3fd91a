"""Trend: TA-Lib's values where it has the indicator, else those of its definition, read slowly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import talib
from numpy.typing import NDArray

from strategies.indicators import Indicator, adx, adxr, dmi, dx, minus_di, minus_dm, plus_di, plus_dm

Column = NDArray[np.float64]
Bars = dict[str, Column]

DATA = Path(__file__).parents[4] / "shared" / "data" / "ohlcv"


def walk(row_count: int, price: float, tick: float, seed: int = 21) -> Bars:
    """Make a random walk from `price` in whole ticks, with gaps, equal highs and stretches at rest."""
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
    bars = walk(500, 100.0, 0.01)
    assert_equal(plus_dm(1), bars, talib.PLUS_DM(bars["high"], bars["low"], 1), scale=1e-6)
    assert_equal(minus_dm(1), bars, talib.MINUS_DM(bars["high"], bars["low"], 1), scale=1e-6)


def test_directional_movement_at_rest() -> None:
    """Before anything moved it is 0; a market that comes to rest keeps its ADX, as in TA-Lib."""
    moving, still = walk(300, 100.0, 0.01), np.full(200, 50.0)
    flat = dict.fromkeys(moving, still)
    for indicator in (plus_dm(14), plus_di(14), dx(14), adx(14), adxr(14)):
        (found,) = batch(indicator, flat)
        assert set(found[indicator.warmup :].tolist()) == {0.0}
    rests = {name: np.concatenate((column[:140], np.full(300, column[139]))) for name, column in moving.items()}
    expected = talib.ADX(rests["high"], rests["low"], rests["close"], 14)
    assert expected[-1] > 1.0
    assert_equal(adx(14), rests, expected)
