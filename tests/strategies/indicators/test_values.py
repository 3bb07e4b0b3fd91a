"""The values: TA-Lib's to nine digits, and the exact ones where TA-Lib itself loses digits.

Two oracles that share no code with the kernels: TA-Lib, and textbook formulas over `Fraction`.
Every TA-Lib's moving sums drift.  TA-Lib 0.6 moreover cancels in STDDEV and BBANDS and takes small
numbers for zero (variances and average moves below 1e-14); 0.8 does neither, and both pass here.  A
row that differs from TA-Lib has to be the exact one, to 1e-12, and nearer to it than TA-Lib's.
"""

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import talib
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strategies.indicators import (
    Indicator,
    atr,
    bbands,
    ema,
    highest,
    lowest,
    rsi,
    sma,
    stddev,
)
from tests.strategies.indicators.definitions import Bars, Column, named
from tests.strategies.indicators.markets import BITCOIN, CARDANO, TRON, XRP, recorded

Exact = list[Fraction | None]  # None while warming up.

TALIB_TOLERANCE = 1e-9
EXACT_TOLERANCE = 1e-12
TRIED_ROWS_MAX = 100  # Fractions are slow; of rows that differ from TA-Lib so many are decided.

INDICATORS = (
    *(ema(period) for period in (2, 20, 200)),
    *(sma(period) for period in (2, 20, 200)),
    *(stddev(period) for period in (2, 20, 200)),
    *(bbands(period) for period in (2, 20, 200)),
    bbands(20, 2.5, "open"),
    *(rsi(period) for period in (2, 14, 100)),
    *(atr(period) for period in (1, 2, 14, 100)),
    *(highest(period) for period in (2, 20, 200)),
    *(lowest(period) for period in (2, 20, 200)),
)
SMALL = (ema(5), sma(5), stddev(5), bbands(5), rsi(5), atr(5), highest(5), lowest(5))


by_indicator = pytest.mark.parametrize("indicator", INDICATORS, ids=named)
by_small_indicator = pytest.mark.parametrize("indicator", SMALL, ids=named)


# TA-Lib


def from_talib(indicator: Indicator, bars: Bars) -> tuple[Column, ...]:
    """Give TA-Lib's columns for the indicator."""
    columns = [bars[source] for source in indicator.columns]
    period = int(indicator.params[0])
    names = {"highest": "MAX", "lowest": "MIN"}
    function = getattr(talib, names.get(indicator.kind, indicator.kind.upper()))
    if indicator.kind == "bbands":
        reach = indicator.params[1]
        return tuple(function(*columns, period, reach, reach))
    return (function(*columns, period),)


def assert_like_talib(indicator: Indicator, bars: Bars) -> None:
    """Compare all rows with TA-Lib and let the exact values decide those that differ."""
    outs = indicator.start().batch(*(bars[source] for source in indicator.columns))
    scale = max(float(np.abs(bars[source]).max()) for source in indicator.columns)
    for name, found, expected in zip(indicator.outputs, outs, from_talib(indicator, bars), strict=True):
        assert np.isnan(expected).tolist() == np.isnan(found).tolist()
        # What is no price itself has to be right in its own digits, however small beside one.
        is_price = indicator.kind not in {"stddev", "rsi", "atr"}
        slack = TALIB_TOLERANCE * np.maximum(np.abs(expected), scale if is_price else 0.0)
        differing = np.flatnonzero(np.abs(found - expected) > slack)
        for row in differing[:: 1 + differing.size // TRIED_ROWS_MAX].tolist():
            exact = exact_row(indicator, bars, row, name)
            error = abs(Fraction(float(found[row])) - exact)
            assert error <= abs(exact) * Fraction(EXACT_TOLERANCE), (row, found[row], float(exact))
            assert error < abs(Fraction(float(expected[row])) - exact), (row, name)


# The exact values


def exact_root(value: Fraction) -> Fraction:
    """Give the square root to fifty digits."""
    with localcontext() as context:
        context.prec = 50
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).sqrt())


def exact_mean(window: list[Fraction]) -> Fraction:
    """Give the mean."""
    return sum(window, Fraction(0)) / len(window)


def exact_deviation(window: list[Fraction]) -> Fraction:
    """Give the population standard deviation."""
    mean = exact_mean(window)
    return exact_root(exact_mean([(value - mean) ** 2 for value in window]))


def exact_wilder(moves: list[Fraction], period: int) -> Exact:
    """Give Wilder's averages: the mean of the first `period` moves, then 1 / `period` of each."""
    average = exact_mean(moves[:period])
    averages: Exact = [None] * (period - 1) + [average]
    for move in moves[period:]:
        average += (move - average) / period
        averages.append(average)
    return averages[: len(moves)]


def exact_index(gain: Fraction | None, loss: Fraction | None) -> Fraction | None:
    """Give the relative strength index of two averages, 0 if nothing ever moved."""
    if gain is None or loss is None:
        return None
    return Fraction(0) if gain + loss == 0 else 100 * gain / (gain + loss)


def exact_recursion(indicator: Indicator, columns: list[list[Fraction]]) -> Exact:
    """Give a whole column of an indicator that never forgets: EMA, RSI or ATR."""
    period = int(indicator.params[0])
    close = columns[-1]
    if indicator.kind == "ema":
        mean = exact_mean(close[:period])
        means: Exact = [None] * (period - 1) + [mean]
        for value in close[period:]:
            mean += (value - mean) * 2 / (period + 1)
            means.append(mean)
        return means[: len(close)]
    if indicator.kind == "rsi":
        changes = [new - old for old, new in pairwise(close)]
        gains = exact_wilder([max(change, Fraction(0)) for change in changes], period)
        losses = exact_wilder([max(-change, Fraction(0)) for change in changes], period)
        return [None, *map(exact_index, gains, losses)]
    high, low, _ = columns
    ranges = [
        max(top - bottom, abs(top - before), abs(bottom - before))
        for top, bottom, before in zip(high[1:], low[1:], close, strict=False)
    ]
    return [None, *exact_wilder(ranges, period)]


def exact_row(indicator: Indicator, bars: Bars, row: int, output: str) -> Fraction:
    """Give the exact value of one output in one row that is past warm-up."""
    columns = [[Fraction(v) for v in bars[source][: row + 1]] for source in indicator.columns]
    if indicator.kind in {"ema", "rsi", "atr"}:
        value = exact_recursion(indicator, columns)[row]
        assert value is not None
        return value
    window = columns[0][-int(indicator.params[0]) :]
    if indicator.kind == "bbands":
        reach = Fraction(indicator.params[1]) * exact_deviation(window)
        side = {"upper": 1, "middle": 0, "lower": -1}[output]
        return exact_mean(window) + side * reach
    rules: dict[str, Callable[[list[Fraction]], Fraction]] = {
        "sma": exact_mean,
        "stddev": exact_deviation,
        "highest": max,
        "lowest": min,
    }
    return rules[indicator.kind](window)


def assert_exact(indicator: Indicator, bars: Bars) -> None:
    """Compare every row with the exact value, to 1e-12 of the value or of the largest input."""
    outs = indicator.start().batch(*(bars[source] for source in indicator.columns))
    scale = max(float(np.abs(bars[source]).max()) for source in indicator.columns)
    for name, found in zip(indicator.outputs, outs, strict=True):
        for row in range(indicator.warmup, found.size):
            exact = exact_row(indicator, bars, row, name)
            # A deviation has to be right in its own digits, however small beside the price.
            allowed = abs(exact) if indicator.kind in {"stddev", "rsi"} else Fraction(scale)
            error = abs(Fraction(float(found[row])) - exact)
            assert error <= allowed * Fraction(EXACT_TOLERANCE), (row, found[row], float(exact))


# Series


def bars_of(close: Column, spread: Column) -> Bars:
    """Make bars around closes; `spread`, of shape (2, n), is what high and low lie off.

    A bar need not reach back to the close before it: true ranges have gaps to bridge.
    """
    high, low = close + spread[0], close - spread[1]
    opened = np.clip(np.concatenate((close[:1], close[:-1])), low, high)
    return {"open": opened, "high": high, "low": low, "close": close, "volume": spread[0] * 10.0}


def walk(row_count: int, price: float, tick: float, seed: int) -> Bars:
    """Make a random walk from `price` in whole ticks, which stays put now and then."""
    draw = np.random.default_rng(seed)
    steps = np.rint(draw.normal(0.0, 2.0, row_count))
    ticks = round(price / tick) + np.cumsum(steps)
    spread = draw.integers(0, 4, (2, row_count))
    bars = bars_of(np.maximum(ticks, 10.0), spread.astype(np.float64))
    return {name: column * tick for name, column in bars.items()}


@st.composite
def made_bars(draw: st.DrawFn, rows_max: int) -> Bars:
    """Let Hypothesis make bars: any prices in ticks, with flat stretches, at several scales."""
    runs = draw(st.lists(st.tuples(st.integers(1, 10_000_000), st.integers(1, 30)), min_size=1, max_size=40))
    ticks = np.concatenate([np.full(length, price, np.float64) for price, length in runs])
    ticks = ticks[:rows_max]
    spread = draw(st.sampled_from([0.0, 1.0, 500.0]))
    tick = draw(st.sampled_from([1e-8, 0.01, 1.0, 0.25]))
    bars = bars_of(ticks, np.full((2, ticks.size), spread))
    return {name: column * tick for name, column in bars.items()}


# The tests


@by_indicator
@pytest.mark.parametrize(
    ("price", "tick"),
    [(100.0, 0.01), (1e5, 0.01), (1e-6, 1e-10), (1e-6, 1e-8), (1.0, 1e-5)],
    ids=["plain", "large", "tiny", "tiny-coarse", "unit"],
)
def test_random_walk(indicator: Indicator, price: float, tick: float) -> None:
    """Two thousand bars at each price scale."""
    assert_like_talib(indicator, walk(2_000, price, tick, seed=11))


@by_indicator
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(bars=made_bars(rows_max=400))
def test_made_series_like_talib(indicator: Indicator, bars: Bars) -> None:
    """Jumps over seven decades and flat stretches."""
    assert_like_talib(indicator, bars)


@by_small_indicator
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(bars=made_bars(rows_max=40))
def test_made_series_exactly(indicator: Indicator, bars: Bars) -> None:
    """Every row against the exact value, with no tolerance for TA-Lib's ways."""
    assert_exact(indicator, bars)


@by_indicator
@pytest.mark.parametrize("price", [0.1, 0.3, 1e-6, 1.1e-8, 97_123.45, 1.0])
def test_constant_series(indicator: Indicator, price: float) -> None:
    """Nothing moves: means and extremes are the price itself to the last bit, the rest is zero."""
    flat = np.full(500, price)
    bars = bars_of(flat, np.zeros((2, 500)))
    expected = 0.0 if indicator.kind in {"stddev", "rsi", "atr"} else price
    for found in indicator.start().batch(*(bars[source] for source in indicator.columns)):
        assert set(found[indicator.warmup :].tolist()) == {expected}
    if indicator.kind not in {"stddev", "bbands"}:
        assert_like_talib(indicator, bars)


@by_indicator
@pytest.mark.parametrize("power", [-40, 40])
def test_scaling_prices_by_a_power_of_two_scales_the_values(indicator: Indicator, power: int) -> None:
    """There is no magic number such as TA-Lib's 1e-14: bit for bit the same at any scale."""
    bars = walk(600, 100.0, 0.01, seed=12)
    columns = [bars[source] for source in indicator.columns]
    factor = 2.0**power
    plain = indicator.start().batch(*columns)
    scaled = indicator.start().batch(*(column * factor for column in columns))
    by = 1.0 if indicator.kind == "rsi" else factor
    for found, expected in zip(scaled, plain, strict=True):
        np.testing.assert_array_equal(found, expected * by)


@pytest.mark.parametrize("maker", [ema, sma, highest, lowest])
def test_a_window_of_one_bar_is_the_bar(maker: Callable[[int, str], Indicator]) -> None:
    """TA-Lib refuses this period or not, depending on function and version."""
    close = walk(500, 100.0, 0.01, seed=15)["close"]
    (found,) = maker(1, "close").start().batch(close)
    np.testing.assert_allclose(found, close, rtol=EXACT_TOLERANCE)


def test_middle_band_is_the_sma_and_the_bands_are_deviations_off() -> None:
    """Features that say the same are the same, bit for bit."""
    close = walk(1_000, 1e5, 0.01, seed=13)["close"]
    upper, middle, lower = bbands(20, 3.0).start().batch(close)
    (mean,) = sma(20).start().batch(close)
    (deviation,) = stddev(20).start().batch(close)
    np.testing.assert_array_equal(middle, mean)
    np.testing.assert_array_equal(upper, mean + 3.0 * deviation)
    np.testing.assert_array_equal(lower, mean - 3.0 * deviation)


@pytest.mark.slow
@pytest.mark.parametrize("period", [20, 200, 5_000])
def test_windows_do_not_drift_over_a_million_bars(period: int) -> None:
    """The last of a million rows is as exact as the first, after a crash through five decades."""
    bars = walk(1_000_000, 1e5, 0.01, seed=14)
    bars["close"][:400_000] *= 1e5
    rows = [period - 1, 400_000 + period, 750_001, 999_998, 999_999]
    (means,) = sma(period).start().batch(bars["close"])
    (deviations,) = stddev(period).start().batch(bars["close"])
    for row in rows:
        window = [Fraction(value) for value in bars["close"][row + 1 - period : row + 1]]
        mean, deviation = exact_mean(window), exact_deviation(window)
        assert abs(Fraction(float(means[row])) - mean) <= abs(mean) * Fraction(2e-16)
        assert abs(Fraction(float(deviations[row])) - deviation) <= deviation * Fraction(1e-13)


def test_stddev_keeps_its_digits_where_a_difference_of_squares_has_none_left() -> None:
    """One tick up and down at a price of 1e9 ticks, whose squares have eighteen digits."""
    close = 1e7 + 0.01 * (np.arange(400) % 2)
    (found,) = stddev(20).start().batch(close)
    window = [Fraction(value) for value in close[-20:]]
    assert float(found[-1]) == pytest.approx(float(exact_deviation(window)), rel=1e-13)


def test_rsi_of_a_market_at_rest_keeps_its_ratio() -> None:
    """Averages that have shrunk below 1e-14 are no reason to jump to 0, "oversold"."""
    moves = np.cumsum([0.0, *([2e-8, -1e-8] * 20)]) + 1e-5
    close = np.concatenate((moves, np.full(400, moves[-1])))
    (found,) = rsi(14).start().batch(close)
    assert float(found[-1]) == pytest.approx(float(found[moves.size - 1]), rel=1e-12)


@pytest.mark.parametrize(
    "file",
    [BITCOIN, TRON, CARDANO, XRP],
)
@by_indicator
def test_real_markets(indicator: Indicator, file: str) -> None:
    """From Bitcoin at 60 000 to TRX at 0.000005 bitcoin, with its flat minutes."""
    assert_like_talib(indicator, recorded(file))
