"""Moving averages: equal to plain loops over the definition, and to TA-Lib where it has them.

The loops are slow and share no code with the kernels; they run in `longdouble`, so that what differs is ours.
"""

from collections.abc import Callable
from math import comb, isqrt

import numpy as np
import pytest
import talib

from strategies.indicators import (
    Indicator,
    alma,
    dema,
    ema,
    er,
    hma,
    kama,
    mcginley,
    midpoint,
    midprice,
    rma,
    sma,
    t3,
    tema,
    trima,
    vwma,
    wma,
    zlema,
)
from tests.strategies.indicators.definitions import (
    Bars,
    Column,
    Long,
    before,
    column_scale,
    linear,
    named,
    recursive,
    smoothed,
    walk,
    windows,
)
from tests.strategies.indicators.markets import BITCOIN, TRON, recorded

TOLERANCE = 1e-11  # Of the value or of the largest input; TA-Lib is allowed 1e-9.

INDICATORS = (
    *(dema(period) for period in (1, 2, 20, 100)),
    *(tema(period) for period in (1, 2, 20, 100)),
    *(t3(period) for period in (1, 2, 5, 50)),
    t3(5, 0.0),
    *(rma(period) for period in (1, 2, 14, 200)),
    *(zlema(period) for period in (1, 2, 3, 20, 101)),
    *(wma(period) for period in (1, 2, 20, 200)),
    *(hma(period) for period in (2, 3, 15, 16, 20, 99)),
    *(trima(period) for period in (1, 2, 3, 20, 201)),
    *(vwma(period) for period in (1, 2, 20, 200)),
    *(alma(period) for period in (1, 2, 9, 50)),
    alma(9, 0.5, 3.0, "open"),
    *(midpoint(period) for period in (1, 2, 14, 200)),
    *(midprice(period) for period in (1, 2, 14, 200)),
    *(kama(period) for period in (1, 2, 10, 100)),
    kama(10, 3, 12),
    *(er(period) for period in (1, 2, 10, 100)),
    *(mcginley(period) for period in (1, 2, 14, 100)),
)


by_indicator = pytest.mark.parametrize("indicator", INDICATORS, ids=named)


# The definitions


def defined_dema(values: Long, period: int) -> Long:
    one = smoothed(values, period)
    return 2 * one - smoothed(one, period)


def defined_tema(values: Long, period: int) -> Long:
    one = smoothed(values, period)
    two = smoothed(one, period)
    return 3 * one - 3 * two + smoothed(two, period)


def defined_t3(values: Long, period: int, factor: float) -> Long:
    """Expand Tillson's double average with its factor, applied three times, by powers of averaging."""
    share = np.longdouble(factor)
    depths = [smoothed(values, period)]
    while len(depths) < 6:
        depths.append(smoothed(depths[-1], period))
    return sum(comb(3, more) * (1 + share) ** (3 - more) * (-share) ** more * depths[2 + more] for more in range(4))  # type: ignore[return-value]  # it begins with 0


def defined_rma(values: Long, period: int) -> Long:
    return recursive(values, period, np.longdouble(1) / period)


def defined_zlema(values: Long, period: int) -> Long:
    return smoothed(2 * values - before(values, (period - 1) // 2), period)


def defined_hma(values: Long, period: int) -> Long:
    return linear(2 * linear(values, period // 2) - linear(values, period), isqrt(period))


def defined_trima(values: Long, period: int) -> Long:
    """Weigh by a triangle: 1, 2, ... up to the middle, and down again."""
    rising = np.arange(1, period + 1)
    weights = np.minimum(rising, rising[::-1]).astype(np.longdouble)
    return windows(values, period, lambda window: np.longdouble((window * weights).sum() / weights.sum()))


def defined_vwma(values: Long, volume: Long, period: int) -> Long:
    turnover = windows(values * volume, period, np.sum)
    traded = windows(volume, period, np.sum)
    return np.where(traded == 0.0, values, turnover / np.where(traded == 0.0, 1.0, traded))


def defined_alma(values: Long, period: int, offset: float, sigma: float) -> Long:
    off = (np.arange(period) - offset * (period - 1)) / (period / sigma)
    bell = np.exp(-0.5 * off * off).astype(np.longdouble)
    return windows(values, period, lambda window: np.longdouble((window * bell).sum() / bell.sum()))


def defined_midpoint(values: Long, period: int) -> Long:
    return np.longdouble(0.5) * (windows(values, period, np.max) + windows(values, period, np.min))


def defined_midprice(high: Long, low: Long, period: int) -> Long:
    return np.longdouble(0.5) * (windows(high, period, np.max) + windows(low, period, np.min))


def defined_er(values: Long, period: int) -> Long:
    moves = windows(np.abs(values - before(values, 1)), period, np.sum)
    net = np.abs(values - before(values, period))
    return np.where(moves == 0.0, 1.0, net / np.where(moves == 0.0, 1.0, moves))


def defined_kama(values: Long, period: int, fast: int, slow: int) -> Long:
    slowest = np.longdouble(2) / (slow + 1)
    weights = (defined_er(values, period) * (np.longdouble(2) / (fast + 1) - slowest) + slowest) ** 2
    found = np.full(values.size, np.nan, np.longdouble)
    mean = values[period - 1]
    for row in range(period, values.size):
        mean += weights[row] * (values[row] - mean)
        found[row] = mean
    return found


def defined_mcginley(values: Long, period: int) -> Long:
    found = windows(values, period, np.mean)
    for row in range(period, values.size):
        mean = found[row - 1]
        divisor = period * (values[row] / mean) ** 4
        found[row] = mean + (values[row] - mean) / max(divisor, np.longdouble(1))
    return found


def defined(indicator: Indicator, bars: Bars) -> Long:
    """Give the column an indicator is defined to have."""
    columns = [bars[source].astype(np.longdouble) for source in indicator.columns]
    whole = [int(param) if param == int(param) else param for param in indicator.params]
    rule: Callable[..., Long] = globals()["linear" if indicator.kind == "wma" else f"defined_{indicator.kind}"]
    return rule(*columns, *whole)


def unit(indicator: Indicator, bars: Bars) -> float:
    """Give what an output is measured by: the largest price, or 1 for what is a ratio."""
    return 1.0 if indicator.kind == "er" else column_scale(indicator, bars)


# The tests


@by_indicator
@pytest.mark.parametrize(("price", "tick"), [(100.0, 0.01), (1e5, 0.01), (1e-6, 1e-10)], ids=["plain", "large", "tiny"])
def test_equal_to_the_definition(indicator: Indicator, price: float, tick: float) -> None:
    """Every row at three price scales, over flat stretches, a jump and bars without volume."""
    bars = walk(420, price, tick, seed=21)
    (found,) = indicator.start().batch(*(bars[source] for source in indicator.columns))
    expected = defined(indicator, bars)
    assert np.isnan(found).tolist() == np.isnan(expected).tolist()
    np.testing.assert_allclose(found, expected.astype(float), rtol=TOLERANCE, atol=TOLERANCE * unit(indicator, bars))


TALIB = tuple(
    one
    for one in INDICATORS
    if hasattr(talib, one.kind.upper()) and one.params[0] > 2 and one.params[1:] != (3.0, 12.0)
)


def from_talib(indicator: Indicator, bars: Bars) -> Column:
    """Give TA-Lib's column."""
    params = (int(indicator.params[0]), *indicator.params[1:])
    function: Callable[..., Column] = getattr(talib, indicator.kind.upper())
    return function(
        *(bars[source] for source in indicator.columns), *(params[:1] if indicator.kind == "kama" else params)
    )


def assert_like_talib(indicator: Indicator, bars: Bars) -> None:
    """Compare all rows with TA-Lib, its NaN without volume aside."""
    (found,) = indicator.start().batch(*(bars[source] for source in indicator.columns))
    expected = from_talib(indicator, bars)
    if indicator.kind == "vwma":
        traded = np.convolve(bars["volume"] > 0.0, np.ones(int(indicator.params[0])))[: found.size] > 0.5
        expected = np.where(traded | np.isnan(found), expected, bars["close"])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * unit(indicator, bars))


@pytest.mark.parametrize("indicator", TALIB, ids=named)
@pytest.mark.parametrize(("price", "tick"), [(100.0, 0.01), (1e5, 0.01)], ids=["plain", "large"])
def test_equal_to_talib(indicator: Indicator, price: float, tick: float) -> None:
    """The same values after as many leading NaN."""
    assert_like_talib(indicator, walk(2_000, price, tick, seed=22))


@pytest.mark.parametrize("file", [BITCOIN, TRON])
@pytest.mark.parametrize("indicator", [one for one in TALIB if one.params[0] < 21], ids=named)
def test_real_markets_like_talib(indicator: Indicator, file: str) -> None:
    """Bitcoin at 60 000, and TRX at 0.000005 bitcoin with its flat minutes."""
    assert_like_talib(indicator, recorded(file, slice(10_000)))


@by_indicator
@pytest.mark.parametrize("price", [0.1, 1.1e-8, 97_123.45])
def test_a_price_that_rests_is_its_own_average(indicator: Indicator, price: float) -> None:
    """To the last bit, but for those that weigh by volume or blend several averages."""
    flat = {name: np.full(700, price) for name in ("open", "high", "low", "close")}
    flat["volume"] = np.full(700, 0.1)
    (found,) = indicator.start().batch(*(flat[source] for source in indicator.columns))
    expected = 1.0 if indicator.kind == "er" else price
    blended = 1e-14 if indicator.kind in {"vwma", "rma", "t3", "dema", "tema", "hma", "zlema"} else 0.0
    np.testing.assert_allclose(found[indicator.warmup :], expected, rtol=blended)


def test_averages_of_one_bar_are_the_bar() -> None:
    """No window, no lag."""
    close = walk(300, 100.0, 0.01, seed=23)["close"]
    for one in (dema(1), tema(1), t3(1), rma(1), zlema(1), wma(1), trima(1), alma(1), midpoint(1)):
        (found,) = one.start().batch(close)
        np.testing.assert_allclose(found, close, rtol=1e-14, err_msg=str(one))


def test_what_is_made_of_other_kinds_equals_them() -> None:
    """A DEMA and a TRIMA of declared averages come to the same."""
    close = walk(400, 1e5, 0.01, seed=24)["close"]
    (one,) = ema(9).start().batch(close)
    (two,) = ema(9).start().batch(one[8:])
    np.testing.assert_array_equal(dema(9).start().batch(close)[0][16:], 2.0 * one[16:] - two[8:])
    (first,) = sma(4).start().batch(close)
    (both,) = sma(3).start().batch(first[3:])
    np.testing.assert_allclose(trima(6).start().batch(close)[0][5:], both[2:], rtol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("period", [20, 5_000])
def test_linear_weights_do_not_drift_over_a_million_bars(period: int) -> None:
    """The last of a million rows is as exact as the first, after a crash through five decades."""
    close = 1e5 + np.cumsum(np.random.default_rng(25).normal(0.0, 1.0, 1_000_000))
    close[:400_000] *= 1e5
    (found,) = wma(period).start().batch(close)
    weights = np.arange(1, period + 1).astype(np.longdouble)
    for row in (period - 1, 400_000 + period, 750_001, 999_999):
        window = close[row + 1 - period : row + 1].astype(np.longdouble)
        assert float(found[row]) == pytest.approx(float((window * weights).sum() / weights.sum()), rel=1e-14)


def test_mcginley_never_goes_past_a_price() -> None:
    """Its divisor is far below 1 in a crash, where the bare formula would overshoot below zero."""
    close = np.array([100.0] * 10 + [20.0] * 5 + [0.0, 0.0, 5.0, 50.0])
    (found,) = mcginley(10).start().batch(close)
    assert found[9] == 100.0
    assert (found[10:15] == 20.0).all()
    assert found[15:].tolist()[:3] == [0.0, 0.0, 5.0]
    assert 5.0 < found[-1] < 50.0


def test_settings_that_do_not_go_together_are_refused() -> None:
    """A fast side as slow as the slow one."""
    with pytest.raises(ValueError, match=r"^kama: fast must be below slow, got 30 and 30\Z"):
        kama(10, 30, 30)
    with pytest.raises(ValueError, match=r"^hma: period must be a whole number 2 to"):
        hma(1)
    with pytest.raises(ValueError, match=r"^alma: offset must be a number 0 to 1, got 1\.5"):
        alma(9, 1.5)
