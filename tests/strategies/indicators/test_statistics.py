"""Statistics: TA-Lib's values where it has them, and all of them against plain formulas over every window.

The plain formulas work in long doubles, on one window at a time, and share nothing with the kernels.  Where
TA-Lib's moving sums have lost digits, they decide.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import talib
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from strategies.indicators import (
    KINDS,
    Indicator,
    autocorrelation,
    beta,
    correl,
    covariance,
    kurtosis,
    linearreg,
    linearreg_angle,
    linearreg_intercept,
    linearreg_slope,
    mad,
    median,
    percentile,
    quantile,
    r2,
    regression_beta,
    skew,
    tsf,
    zscore,
)

Column = NDArray[np.float64]
Long = NDArray[np.longdouble]
Bars = dict[str, Column]

DATA = Path(__file__).parents[4] / "shared" / "data" / "ohlcv"


# Plain formulas: from windows, oldest value first, of shape (rows, period), one value per row.


def windows(column: Column, period: int) -> Long:
    """Give every window of a column."""
    return sliding_window_view(column.astype(np.longdouble), period)


def divided(above: Long, below: Long) -> Long:
    """Divide, and give 0 for what is divided by 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def deviations(window: Long) -> Long:
    """Give what each value is off its window's mean; nothing where all are equal."""
    off = window - window.mean(axis=1, keepdims=True)
    return np.where((window == window[:, :1]).all(axis=1, keepdims=True), 0, off)


def joint(left: Long, right: Long) -> Long:
    """Give the population covariance."""
    return (deviations(left) * deviations(right)).mean(axis=1)


def correlation(left: Long, right: Long) -> Long:
    """Give Pearson's coefficient."""
    return divided(joint(left, right), np.sqrt(joint(left, left) * joint(right, right)))


def places(window: Long) -> Long:
    """Give the bars' numbers in each window."""
    return np.broadcast_to(np.arange(window.shape[1], dtype=np.longdouble), window.shape)


def slope(window: Long) -> Long:
    """Give the slope of the line of least squares."""
    return joint(places(window), window) / joint(places(window), places(window))


def line(window: Long, at: float) -> Long:
    """Give the value of the line of least squares at a place, 0 for the oldest bar."""
    return window.mean(axis=1) + slope(window) * (at - (window.shape[1] - 1) / 2)


def returns(column: Column) -> Column:
    """Give relative changes."""
    return np.diff(column) / column[:-1]


def moment(window: Long, power: int) -> Long:
    """Give a central moment."""
    return (deviations(window) ** power).mean(axis=1)


def off(window: Long) -> Long:
    """Give what the newest value is off the mean."""
    return deviations(window)[:, -1]


def ranked(window: Long, percent: float) -> Long:
    """Give the value of the nearest rank."""
    rank = max(1, math.ceil(percent / 100 * window.shape[1]))
    return np.sort(window, axis=1)[:, rank - 1]


Formula = Callable[..., Long]
FORMULAS: dict[str, Formula] = {
    "linearreg": lambda p, x: line(windows(x, p), p - 1),
    "linearreg_intercept": lambda p, x: line(windows(x, p), 0),
    "linearreg_slope": lambda p, x: slope(windows(x, p)),
    "linearreg_angle": lambda p, x: np.degrees(np.arctan(slope(windows(x, p)))),
    "tsf": lambda p, x: line(windows(x, p), p),
    "r2": lambda p, x: correlation(places(windows(x, p)), windows(x, p)) ** 2,
    "correl": lambda p, x, y: correlation(windows(x, p), windows(y, p)),
    "covariance": lambda p, x, y: joint(windows(x, p), windows(y, p)),
    "regression_beta": lambda p, x, y: divided(
        joint(windows(x, p), windows(y, p)), joint(windows(x, p), windows(x, p))
    ),
    "beta": lambda p, x, y: divided(
        joint(windows(returns(x), p), windows(returns(y), p)),
        joint(windows(returns(x), p), windows(returns(x), p)),
    ),
    "autocorrelation": lambda p, lag, x: correlation(windows(x[:-lag], p), windows(x[lag:], p)),
    "zscore": lambda p, x: divided(off(windows(x, p)), np.sqrt(moment(windows(x, p), 2))),
    "skew": lambda p, x: divided(moment(windows(x, p), 3), moment(windows(x, p), 2) ** 1.5),
    "kurtosis": lambda p, x: (
        divided(moment(windows(x, p), 4), moment(windows(x, p), 2) ** 2) - 3 * (moment(windows(x, p), 2) > 0)
    ),
    "median": lambda p, x: np.median(windows(x, p), axis=1),
    "mad": lambda p, x: np.median(np.abs(windows(x, p) - np.median(windows(x, p), axis=1, keepdims=True)), axis=1),
    "quantile": lambda p, share, x: np.quantile(windows(x, p), share, axis=1),
    "percentile": lambda p, percent, x: ranked(windows(x, p), percent),
}

IN_TALIB: dict[str, Callable[..., Any]] = {
    name: getattr(talib, name.upper())
    for name in (
        "linearreg", "linearreg_intercept", "linearreg_slope", "linearreg_angle", "tsf", "correl", "beta",
        "percentile",
    )
}  # fmt: skip

INDICATORS = (
    *(linearreg(period) for period in (2, 14, 200)),
    *(linearreg_intercept(period) for period in (2, 14)),
    *(linearreg_slope(period) for period in (2, 14, 200)),
    linearreg_angle(14),
    tsf(14),
    *(r2(period) for period in (2, 14, 200)),
    *(correl(period) for period in (2, 30, 200)),
    correl(30, "close", "volume"),
    covariance(30, "close", "volume"),
    regression_beta(30),
    *(beta(period) for period in (2, 5, 100)),
    autocorrelation(30, 1),
    autocorrelation(7, 20),
    *(zscore(period) for period in (2, 20, 200)),
    *(skew(period) for period in (3, 50, 200)),
    *(kurtosis(period) for period in (4, 50, 200)),
    *(median(period) for period in (1, 2, 20, 51)),
    *(mad(period) for period in (2, 20, 51)),
    *(quantile(period, share) for period, share in ((1, 0.5), (20, 0.0), (20, 0.37), (33, 1.0))),
    *(percentile(period, percent) for period, percent in ((2, 50.0), (30, 33.0), (30, 0.0), (21, 100.0))),
)


def named(indicator: Indicator) -> str:
    """Give the test's name for an indicator."""
    return str(indicator).replace(" ", "")


by_indicator = pytest.mark.parametrize("indicator", INDICATORS, ids=named)


def plain(indicator: Indicator) -> list[float]:
    """Give the parameters, counts as whole numbers."""
    params = KINDS[indicator.kind].params
    return [int(value) if param.whole else value for param, value in zip(params, indicator.params, strict=True)]


# Series


def walk(row_count: int, price: float, tick: float, seed: int) -> Bars:
    """Make a random walk in whole ticks, with a crash, hours at rest, and bars without volume."""
    draw = np.random.default_rng(seed)
    steps = np.rint(draw.normal(0.0, 2.0, row_count))
    steps[row_count // 3 : row_count // 3 + 250] = 0.0
    ticks = np.maximum(round(price / tick) + np.cumsum(steps), 10.0)
    ticks[row_count // 2] *= 3.0
    spread = draw.integers(0, 4, (2, row_count)).astype(np.float64)
    spread[:, row_count // 3 : row_count // 3 + 250] = 0.0
    opened = np.concatenate((ticks[:1], ticks[:-1]))
    bars = {
        "open": opened,
        "high": np.maximum(opened, ticks) + spread[0],
        "low": np.maximum(np.minimum(opened, ticks) - spread[1], 1.0),
        "close": ticks,
    }
    made = {name: column * tick for name, column in bars.items()}
    made["volume"] = draw.integers(0, 50, row_count) * 0.1
    made["volume"][row_count // 3 : row_count // 3 + 250] = 0.0
    return made


def real(file: str, row_count: int) -> Bars:
    """Read bars of a real market, or skip the test."""
    path = DATA / file
    if not path.exists():
        pytest.skip(f"market data not present: {path}")
    frame = pl.read_parquet(path, columns=["open", "high", "low", "close", "volume"]).head(row_count)
    return {name: frame[name].to_numpy() for name in frame.columns}


SERIES: dict[str, Callable[[], Bars]] = {
    "plain": lambda: walk(1_500, 100.0, 0.01, seed=21),
    "large": lambda: walk(1_500, 1e5, 0.01, seed=22),
    "tiny": lambda: walk(1_500, 1e-6, 1e-10, seed=23),
    "btc": lambda: real("1h/binance-spot_BTCUSDT_1h_2019-2022.parquet", 3_000),
    "xrpeth": lambda: real("1m/binance-spot_XRPETH_1m_2019-10.parquet", 3_000),
}

UNITS = {
    "correl": 1.0,
    "autocorrelation": 1.0,
    "r2": 1.0,
    "linearreg_angle": 90.0,
    "zscore": 1.0,
    "skew": 1.0,
    "kurtosis": 1.0,
}
"""What the values of kinds that have a scale of their own are measured by; the others by the largest of them."""


@by_indicator
@pytest.mark.parametrize("series", SERIES)
def test_values_are_those_of_the_formula(indicator: Indicator, series: str) -> None:
    """Every row, at every price scale; and TA-Lib's, but for rows in which it is further off than we are."""
    bars = SERIES[series]()
    columns = [bars[source] for source in indicator.columns]
    (found,) = indicator.start().batch(*columns)
    assert np.isnan(found).tolist() == [row < indicator.warmup for row in range(found.size)]
    found = found[indicator.warmup :]
    expected = FORMULAS[indicator.kind](*plain(indicator), *columns)
    measured = columns[0] if indicator.kind == "mad" else expected
    unit = UNITS.get(indicator.kind, float(np.abs(measured).max()))
    error = np.abs(found - expected)
    assert float(np.max(error / np.maximum(np.abs(expected), unit))) <= 1e-11
    if indicator.kind in IN_TALIB:
        theirs = IN_TALIB[indicator.kind](*columns, *plain(indicator))
        assert int(np.isnan(theirs).sum()) == indicator.warmup
        theirs = theirs[indicator.warmup :]
        differing = np.abs(found - theirs) > 1e-9 * np.maximum(np.abs(theirs), unit)
        assert (error[differing] < np.abs(theirs - expected)[differing]).all()


AT_THE_PRICE = {"linearreg", "linearreg_intercept", "tsf", "median", "quantile", "percentile"}


@by_indicator
@pytest.mark.parametrize("price", [0.1, 1e-6, 97_123.45])
def test_a_price_at_rest(indicator: Indicator, price: float) -> None:
    """Lines lie at the price to the last bit; nothing slopes, moves or goes together with anything."""
    (found,) = indicator.start().batch(*(np.full(500, price),) * len(indicator.columns))
    expected = price if indicator.kind in AT_THE_PRICE else 0.0
    assert set(found[indicator.warmup :].tolist()) == {expected}


def test_a_straight_line_is_found() -> None:
    """Exactly, where its numbers are."""
    close = 3.0 + 0.5 * np.arange(300)
    assert linearreg_slope(16).start().batch(close)[0][15:].tolist() == [0.5] * 285
    np.testing.assert_allclose(tsf(16).start().batch(close)[0][15:-1], close[16:], rtol=1e-15)
    np.testing.assert_allclose(r2(16).start().batch(close)[0][15:], 1.0, rtol=1e-12)
    np.testing.assert_allclose(linearreg_angle(16).start().batch(2.0 * close)[0][15:], 45.0, rtol=1e-15)


def test_beta_is_of_the_second_on_the_first() -> None:
    """What moves twice as much as the market has a beta of 2."""
    moves = np.random.default_rng(24).normal(0.0, 0.01, 200)
    market, stock = np.cumprod(1.0 + moves), np.cumprod(1.0 + 2.0 * moves)
    np.testing.assert_allclose(beta(20).start().batch(market, stock)[0][20:], 2.0, rtol=1e-9)
    spread = 7.0 + 3.0 * market
    np.testing.assert_allclose(regression_beta(20).start().batch(market, spread)[0][19:], 3.0, rtol=1e-9)
