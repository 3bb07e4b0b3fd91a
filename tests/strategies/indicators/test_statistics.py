"""Statistics: TA-Lib's values where it has them, and all of them against plain formulas over every window.

The plain formulas work in long doubles, on one window at a time, and share nothing with the kernels.  Where
TA-Lib's moving sums have lost digits, they decide.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import talib
from numpy.lib.stride_tricks import sliding_window_view

from strategies.indicators import (
    KINDS,
    Indicator,
    autocorrelation,
    avgdev,
    bars_since_highest,
    bars_since_lowest,
    beta,
    correl,
    covariance,
    drawdown,
    entropy,
    hurst,
    kurtosis,
    linearreg,
    linearreg_angle,
    linearreg_intercept,
    linearreg_slope,
    log_return,
    mad,
    max_drawdown,
    median,
    percentile,
    percentrank,
    quantile,
    r2,
    regression_beta,
    skew,
    total,
    tsf,
    zscore,
)
from tests.strategies.indicators.definitions import Bars, Column, Long
from tests.strategies.indicators.markets import BITCOIN, XRP, recorded

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


def histogram(window: Long, bins: int) -> Long:
    """Give Shannon's entropy of each window's histogram, by the greatest possible."""
    found = []
    for values in window.astype(np.float64):
        low, high = values.min(), values.max()
        if low == high:
            found.append(0.0)
            continue
        places = np.minimum(((values - low) * (bins / (high - low))).astype(np.int64), bins - 1)
        shares = np.bincount(places) / values.size
        found.append(-sum(share * math.log(share) for share in shares if share) / math.log(bins))
    return np.array(found, np.longdouble)


def worst(window: Long) -> Long:
    """Give the worst relative change from a value to a later one."""
    lows = np.minimum.accumulate(window[:, ::-1], axis=1)[:, ::-1]
    return (lows / window - 1).min(axis=1)


def exponent(window: Long) -> Long:
    """Give half the slope of log mean squared change over log distance, by least squares."""
    distances = np.array([1, 2, 4, 8, 16])
    squares = np.array([((window[:, d:] - window[:, :-d]) ** 2).mean(axis=1) for d in distances])
    found = np.full(window.shape[0], 0.5)
    moved = (squares > 0).all(axis=0)
    found[moved] = np.polyfit(np.log(distances), np.log(squares[:, moved].astype(np.float64)), 1)[0] / 2
    found[~moved & (squares[0] > 0)] = 0.0
    return found.astype(np.longdouble)


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
    "percentrank": lambda p, x: 100 * (windows(x, p + 1)[:, :-1] < windows(x, p + 1)[:, -1:]).mean(axis=1),
    "avgdev": lambda p, x: np.abs(deviations(windows(x, p))).mean(axis=1),
    "entropy": lambda p, bins, x: histogram(windows(x, p), bins),
    "total": lambda p, x: windows(x, p).sum(axis=1),
    "log_return": lambda bars, x: np.log(x[bars:].astype(np.longdouble) / x[:-bars]),
    "drawdown": lambda x: x / np.maximum.accumulate(x).astype(np.longdouble) - 1,
    "max_drawdown": lambda p, x: worst(windows(x, p)),
    "hurst": lambda p, x: exponent(windows(x, p)),
    "bars_since_highest": lambda p, x: np.argmax(windows(x, p)[:, ::-1], axis=1).astype(np.longdouble),
    "bars_since_lowest": lambda p, x: np.argmin(windows(x, p)[:, ::-1], axis=1).astype(np.longdouble),
    "percentile": lambda p, percent, x: ranked(windows(x, p), percent),
}

IN_TALIB: dict[str, Callable[..., Any]] = {
    name: getattr(talib, name.upper())
    for name in (
        "linearreg", "linearreg_intercept", "linearreg_slope", "linearreg_angle", "tsf", "correl", "beta",
        "percentile", "percentrank", "avgdev",
    )
}  # fmt: skip
IN_TALIB["total"] = talib.SUM

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
    *(percentrank(period) for period in (2, 30, 100)),
    *(avgdev(period) for period in (2, 14, 100)),
    *(entropy(period, bins) for period, bins in ((2, 2), (50, 10), (20, 64))),
    *(total(period) for period in (2, 30)),
    log_return(1),
    log_return(7),
    drawdown(),
    *(max_drawdown(period) for period in (1, 2, 20, 100)),
    *(hurst(period) for period in (32, 100)),
    *(bars_since_highest(period) for period in (2, 20)),
    *(bars_since_lowest(period) for period in (2, 20)),
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


SERIES: dict[str, Callable[[], Bars]] = {
    "plain": lambda: walk(1_500, 100.0, 0.01, seed=21),
    "large": lambda: walk(1_500, 1e5, 0.01, seed=22),
    "tiny": lambda: walk(1_500, 1e-6, 1e-10, seed=23),
    "btc": lambda: recorded(BITCOIN, slice(3_000)),
    "xrpeth": lambda: recorded(XRP, slice(3_000)),
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
    measured = columns[0] if indicator.kind in {"mad", "avgdev"} else expected
    unit = UNITS.get(indicator.kind, float(np.abs(measured).max()) or 1.0)
    error = np.abs(found - expected)
    assert float(np.max(error / np.maximum(np.abs(expected), unit))) <= 1e-11
    if indicator.kind in IN_TALIB:
        theirs = IN_TALIB[indicator.kind](*columns, *plain(indicator))
        assert int(np.isnan(theirs).sum()) == indicator.warmup
        theirs = theirs[indicator.warmup :]
        differing = np.abs(found - theirs) > 1e-9 * np.maximum(np.abs(theirs), unit)
        assert (error[differing] < np.abs(theirs - expected)[differing]).all()


AT_THE_PRICE = {"linearreg", "linearreg_intercept", "tsf", "median", "quantile", "percentile"}
AT_REST = {"hurst": 0.5}


@by_indicator
@pytest.mark.parametrize("price", [0.1, 1e-6, 97_123.45])
def test_a_price_at_rest(indicator: Indicator, price: float) -> None:
    """Lines lie at the price to the last bit; nothing slopes, moves or goes together with anything."""
    (found,) = indicator.start().batch(*(np.full(500, price),) * len(indicator.columns))
    expected = price if indicator.kind in AT_THE_PRICE else AT_REST.get(indicator.kind, 0.0)
    if indicator.kind != "total":
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


@pytest.mark.parametrize(
    ("maker", "theirs"), [(bars_since_highest, talib.MAXINDEX), (bars_since_lowest, talib.MININDEX)]
)
def test_bars_since_an_extreme_count_back_from_where_talib_finds_it(
    maker: Callable[..., Indicator], theirs: Callable[..., Any]
) -> None:
    """Without ties: of equals TA-Lib takes the earlier or the later, by what it has seen before."""
    values = np.random.default_rng(25).permutation(2_000).astype(np.float64)
    (found,) = maker(20, "close").start().batch(values)
    assert (np.arange(19, 2_000) - found[19:]).tolist() == theirs(values, 20)[19:].tolist()


def test_hurst_tells_a_trend_and_a_reversion_from_a_random_walk() -> None:
    """A line has exponent 1, noise 0, a walk about one half; moves that cancel have none."""
    draw = np.random.default_rng(26)
    assert hurst(64).start().batch(np.arange(100.0))[0][-1] == pytest.approx(1.0, rel=1e-12)
    assert abs(float(hurst(5_000).start().batch(draw.normal(size=5_000))[0][-1])) < 0.02
    assert abs(float(hurst(5_000).start().batch(np.cumsum(draw.normal(size=5_000)))[0][-1]) - 0.5) < 0.05
    assert hurst(64).start().batch(np.arange(100.0) % 2.0)[0][-1] == 0.0


def test_entropy_of_evenly_spread_values_is_one() -> None:
    """And of two heaps that of a coin."""
    assert entropy(50, 10).start().batch(np.arange(50.0))[0][-1] == pytest.approx(1.0, rel=1e-12)
    assert entropy(50, 10).start().batch(np.arange(50.0) % 2.0)[0][-1] == pytest.approx(
        math.log(2) / math.log(10), rel=1e-12
    )


@by_indicator
def test_both_drivers_leave_the_same_state_around_what_is_no_number(indicator: Indicator) -> None:
    """Not the values alone, which the drivers' own tests compare, but all that is carried on."""
    draw = np.random.default_rng(27)
    columns = [draw.normal(50.0, 5.0, 520) for _ in indicator.columns]
    for column in columns:
        column[[150, 151, 260]] = np.nan, -np.inf, 1e300
        column[[300, 301]] = np.inf, -0.0
    stream, batch = indicator.start(), indicator.start()
    rows = [stream.step(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    np.testing.assert_array_equal(batch.batch(*columns), np.array(rows).T)
    np.testing.assert_array_equal(stream.state, batch.state)
