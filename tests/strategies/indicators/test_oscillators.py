"""Oscillators: equal to plain loops over the definition, and to TA-Lib where it has them.

Where a row differs from TA-Lib by more than its own rounding, the definition decides: TA-Lib calls flows of less
than 1 none at all (MFI before 0.8), and what it sums by subtracting drifts.
"""

from collections.abc import Callable

import numpy as np
import pytest
import talib

from strategies.indicators import (
    Indicator,
    ac,
    ao,
    apo,
    bop,
    cci,
    cmo,
    coppock,
    dpo,
    ema,
    fisher,
    kst,
    macd,
    mfi,
    mom,
    ppo,
    roc,
    rocp,
    rocr,
    rocr100,
    rsi,
    stoch,
    stochf,
    stochrsi,
    trix,
    tsi,
    ultosc,
    willr,
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

TOLERANCE = 1e-9

INDICATORS = (
    *(cmo(period) for period in (2, 14, 100)),
    *(kind(period) for kind in (mom, roc, rocp, rocr, rocr100) for period in (1, 10)),
    roc(500),
    *(dpo(period) for period in (1, 2, 4, 20, 101)),
    coppock(),
    coppock(1, 3, 2),
    kst(),
    kst(4, 3, 2, 1, 1, 2, 3, 4, 5),
    bop(),
    *(trix(period) for period in (1, 18, 60)),
    macd(),
    macd(1, 2, 1),
    macd(3, 10, 16, "open"),
    *(kind(*periods) for kind in (apo, ppo) for periods in ((12, 26), (1, 2), (20, 100))),
    *(kind(*periods) for kind in (ao, ac) for periods in ((5, 34), (1, 2))),
    tsi(),
    tsi(1, 1),
    tsi(7, 30),
    stoch(),
    stoch(1, 1, 1),
    stoch(14, 5, 30),
    stochf(),
    stochf(200, 7),
    stochrsi(),
    stochrsi(2, 1, 1),
    *(willr(period) for period in (1, 14, 200)),
    *(fisher(period) for period in (1, 10, 55)),
    *(cci(period) for period in (1, 2, 20, 100)),
    *(mfi(period) for period in (1, 14, 100)),
    ultosc(),
    ultosc(1, 1, 3),
)

by_indicator = pytest.mark.parametrize("indicator", INDICATORS, ids=named)

PRICED = {"mom", "dpo", "macd", "apo", "ao", "ac"}
"""What is in the unit of a price; the others are percents or shares, whatever the price."""


# The definitions


def over(above: Long, below: Long) -> Long:
    """Divide; 0 by anything is 0, and so is anything by 0."""
    return np.where(below == 0.0, np.where(np.isnan(above), above, 0.0), above / np.where(below == 0.0, 1.0, below))


def mean_of(values: Long, period: int) -> Long:
    """Give a simple average."""
    return windows(values, period, np.mean)


def moves(values: Long, period: int) -> tuple[Long, Long]:
    """Give Wilder's averages of gains and of losses."""
    change = values - before(values, 1)
    weight = np.longdouble(1) / period
    return recursive(np.maximum(change, 0.0), period, weight), recursive(np.maximum(-change, 0.0), period, weight)


def seeded_pair(values: Long, fast: int, slow: int) -> tuple[Long, Long]:
    """Give two EMAs that begin on the same bar."""
    late = values.copy()
    late[: slow - fast] = np.nan
    return smoothed(late, fast), smoothed(values, slow)


def together(*columns: Long) -> tuple[Long, ...]:
    """Cut outputs to the rows in which all have a value."""
    gap = np.isnan(np.array(columns)).any(axis=0)
    return tuple(np.where(gap, np.nan, column) for column in columns)


def defined_cmo(values: Long, period: int) -> Long:
    gain, loss = moves(values, period)
    return 100 * over(gain - loss, gain + loss)


def defined_mom(values: Long, period: int) -> Long:
    return values - before(values, period)


def defined_roc(values: Long, period: int) -> Long:
    return 100 * (values / before(values, period) - 1)


def defined_rocp(values: Long, period: int) -> Long:
    return values / before(values, period) - 1


def defined_rocr(values: Long, period: int) -> Long:
    return values / before(values, period)


def defined_rocr100(values: Long, period: int) -> Long:
    return 100 * (values / before(values, period))


def defined_dpo(values: Long, period: int) -> Long:
    return before(values, period // 2 + 1) - mean_of(values, period)


def defined_coppock(values: Long, period: int, fast: int, slow: int) -> Long:
    return linear(defined_roc(values, fast) + defined_roc(values, slow), period)


def defined_kst(values: Long, *params: int) -> tuple[Long, ...]:
    line = np.zeros(values.size, np.longdouble)
    for at in range(4):
        line = line + (at + 1) * mean_of(defined_roc(values, params[at]), params[4 + at])
    return together(line, mean_of(line, params[8]))


def defined_bop(opened: Long, high: Long, low: Long, close: Long) -> Long:
    return over(close - opened, high - low)


def defined_trix(values: Long, period: int) -> Long:
    for _ in range(3):
        values = smoothed(values, period)
    return defined_roc(values, 1)


def defined_macd(values: Long, fast: int, slow: int, signal: int) -> tuple[Long, ...]:
    quick, lazy = seeded_pair(values, fast, slow)
    line = quick - lazy
    told = smoothed(line, signal)
    return together(line, told, line - told)


def defined_apo(values: Long, fast: int, slow: int) -> Long:
    return smoothed(values, fast) - smoothed(values, slow)


def defined_ppo(values: Long, fast: int, slow: int) -> Long:
    quick, lazy = smoothed(values, fast), smoothed(values, slow)
    return 100 * over(quick - lazy, lazy)


def defined_ao(high: Long, low: Long, fast: int, slow: int) -> Long:
    middle = (high + low) * np.longdouble(0.5)
    return mean_of(middle, fast) - mean_of(middle, slow)


def defined_ac(high: Long, low: Long, fast: int, slow: int, signal: int) -> Long:
    awesome = defined_ao(high, low, fast, slow)
    return awesome - mean_of(awesome, signal)


def defined_tsi(values: Long, first: int, second: int) -> Long:
    change = values - before(values, 1)
    size = smoothed(smoothed(np.abs(change), first), second)
    return 100 * over(smoothed(smoothed(change, first), second), size)


def defined_stoch(high: Long, low: Long, close: Long, fast: int, slow: int, signal: int) -> tuple[Long, ...]:
    bottom = windows(low, fast, np.min)
    place = 100 * over(close - bottom, windows(high, fast, np.max) - bottom)
    line = mean_of(place, slow)
    return together(line, mean_of(line, signal))


def defined_stochf(high: Long, low: Long, close: Long, fast: int, signal: int) -> tuple[Long, ...]:
    return defined_stoch(high, low, close, fast, 1, signal)


def defined_stochrsi(values: Long, period: int, fast: int, signal: int) -> tuple[Long, ...]:
    """Begin with the RSI itself: a place in a range of rounding is decided by its last bits."""
    (told,) = rsi(period).start().batch(values.astype(np.float64))
    index: Long = told.astype(np.longdouble)
    return defined_stochf(index, index, index, fast, signal)


def defined_willr(high: Long, low: Long, close: Long, period: int) -> Long:
    top = windows(high, period, np.max)
    return -100 * over(top - close, top - windows(low, period, np.min))


def defined_fisher(high: Long, low: Long, period: int) -> tuple[Long, ...]:
    middle = (high + low) * np.longdouble(0.5)
    top, bottom = windows(middle, period, np.max), windows(middle, period, np.min)
    line, told = np.full((2, middle.size), np.nan, np.longdouble)
    place = last = np.longdouble(0)
    for row in range(period - 1, middle.size):
        reach = top[row] - bottom[row]
        centred = (middle[row] - bottom[row]) / reach - np.longdouble(0.5) if reach > 0 else np.longdouble(0)
        place = np.longdouble(0.66) * centred + np.longdouble(0.67) * place
        if abs(place) > 0.99:
            place = np.copysign(np.longdouble(0.999), place)
        told[row] = last
        last = np.arctanh(place) + last / 2
        line[row] = last
    return line, told


def typical(high: Long, low: Long, close: Long) -> Long:
    """Give the bars' typical prices, rounded as prices are: their last bits decide which of two is higher."""
    total = high.astype(np.float64) + low.astype(np.float64) + close.astype(np.float64)
    price: Long = (total / 3.0).astype(np.longdouble)
    return price


def defined_cci(high: Long, low: Long, close: Long, period: int) -> Long:
    price = typical(high, low, close)
    deviation = windows(price, period, lambda window: np.longdouble(np.abs(window - window.mean()).mean()))
    rests = windows(price, period, np.ptp) == 0.0
    return np.where(rests, 0.0, over(price - mean_of(price, period), np.longdouble(0.015) * deviation))


def defined_mfi(high: Long, low: Long, close: Long, volume: Long, period: int) -> Long:
    price = typical(high, low, close)
    change = price - before(price, 1)
    flow = np.where(np.isnan(change), np.nan, price * volume)
    gain = windows(np.where(change < 0.0, 0.0, np.where(change == 0.0, 0.0, flow)), period, np.sum)
    loss = windows(np.where(change > 0.0, 0.0, np.where(change == 0.0, 0.0, flow)), period, np.sum)
    return 100 * over(gain, gain + loss)


def defined_ultosc(high: Long, low: Long, close: Long, *periods: int) -> Long:
    bottom = np.minimum(low, before(close, 1))
    reach = np.maximum(high, before(close, 1)) - bottom
    total = np.zeros(close.size, np.longdouble)
    for weight, period in zip((4, 2, 1), periods, strict=True):
        total = total + weight * over(windows(close - bottom, period, np.sum), windows(reach, period, np.sum))
    return total * 100 / 7


def defined(indicator: Indicator, bars: Bars) -> tuple[Long, ...]:
    """Give the columns an indicator is defined to have."""
    columns = [bars[source].astype(np.longdouble) for source in indicator.columns]
    rule: Callable[..., Long | tuple[Long, ...]] = globals()[f"defined_{indicator.kind}"]
    found = rule(*columns, *(int(param) for param in indicator.params))
    return found if isinstance(found, tuple) else (found,)


def unit(indicator: Indicator, bars: Bars) -> float:
    """Give what an output is measured by: the largest price, or the scale of its percents."""
    return column_scale(indicator, bars) if indicator.kind in PRICED else 100.0


# The tests


@by_indicator
@pytest.mark.parametrize(("price", "tick"), [(100.0, 0.01), (1e5, 0.01), (1e-6, 1e-10)], ids=["plain", "large", "tiny"])
def test_equal_to_the_definition(indicator: Indicator, price: float, tick: float) -> None:
    """Every row at three price scales, over flat stretches, a jump and bars without volume."""
    bars = walk(560, price, tick, seed=31)
    found = indicator.start().batch(*(bars[source] for source in indicator.columns))
    for name, out, expected in zip(indicator.outputs, found, defined(indicator, bars), strict=True):
        assert np.isnan(out).tolist() == np.isnan(expected).tolist(), name
        slack = TOLERANCE * unit(indicator, bars)
        np.testing.assert_allclose(out, expected.astype(float), rtol=TOLERANCE, atol=slack, err_msg=name)


SETTINGS: dict[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "apo": lambda params: (*params, 1),
    "ppo": lambda params: (*params, 1),
    "stoch": lambda params: (params[0], params[1], 0, params[2], 0),
}
"""How TA-Lib is told the same where it takes more: 1 is an EMA, 0 an SMA."""

TALIB = tuple(
    one
    for one in INDICATORS
    if hasattr(talib, one.kind.upper()) and (not one.params or min(one.params) > 2)
)  # fmt: skip


def assert_like_talib(indicator: Indicator, bars: Bars) -> None:
    """Compare all rows with TA-Lib, and those that differ with the definition."""
    columns = [bars[source] for source in indicator.columns]
    params = SETTINGS.get(indicator.kind, lambda same: same)(tuple(int(param) for param in indicator.params))
    told = getattr(talib, indicator.kind.upper())(*columns, *params)
    outs = indicator.start().batch(*columns)
    exact: tuple[Long, ...] = ()
    for at, (out, expected) in enumerate(zip(outs, told if isinstance(told, tuple) else (told,), strict=True)):
        assert np.isnan(out).tolist() == np.isnan(expected).tolist()
        slack = TOLERANCE * np.maximum(np.abs(expected), unit(indicator, bars))
        differing = np.flatnonzero(np.abs(out - expected) > slack)
        if differing.size:
            exact = exact or defined(indicator, bars)
            errors = np.abs(out - exact[at])[differing]
            assert (errors <= slack[differing]).all(), (indicator.outputs[at], differing[:5])
            assert (errors < np.abs(expected - exact[at])[differing]).all()


@pytest.mark.parametrize("indicator", TALIB, ids=named)
@pytest.mark.parametrize(("price", "tick"), [(100.0, 0.01), (1e5, 0.01)], ids=["plain", "large"])
def test_equal_to_talib(indicator: Indicator, price: float, tick: float) -> None:
    """The same values after as many leading NaN."""
    assert_like_talib(indicator, walk(2_000, price, tick, seed=32))


@pytest.mark.parametrize("file", [BITCOIN, TRON])
@pytest.mark.parametrize("indicator", [one for one in TALIB if not one.params or max(one.params) < 35], ids=named)
def test_real_markets_like_talib(indicator: Indicator, file: str) -> None:
    """Bitcoin at 60 000, and TRX at 0.000005 bitcoin with its flat minutes."""
    assert_like_talib(indicator, recorded(file, slice(5_000)))


RESTING = {"rocr": 1.0, "rocr100": 100.0}


@by_indicator
@pytest.mark.parametrize("price", [0.1, 1.1e-8, 97_123.45])
def test_a_price_that_rests_moves_nothing(indicator: Indicator, price: float) -> None:
    """Zero, whatever the rule would divide by; a ratio is 1."""
    flat = {name: np.full(400, price) for name in ("open", "high", "low", "close")}
    flat["volume"] = np.full(400, 0.1)
    for out in indicator.start().batch(*(flat[source] for source in indicator.columns)):
        slack = 1e-12 * (price if indicator.kind in PRICED else 1.0)
        np.testing.assert_allclose(out[indicator.warmup :], RESTING.get(indicator.kind, 0.0), rtol=0.0, atol=slack)


def test_nothing_is_divided_by_a_price_of_zero() -> None:
    """A column may be anything, a spread or a change among them."""
    zeros = np.zeros(200)
    for one in (roc(3), rocp(3), rocr(3), rocr100(3), trix(3), ppo(2, 5), coppock(2, 3, 4), kst()):
        for out in one.start().batch(zeros):
            assert set(out[one.warmup :].tolist()) == {0.0}, one


@pytest.mark.parametrize(
    "indicator", [one for one in INDICATORS if one.kind in {"stoch", "stochf", "stochrsi", "mfi", "ultosc"}], ids=named
)
def test_values_keep_within_their_bounds(indicator: Indicator) -> None:
    """0 to 100, but for the last bit of an average."""
    bars = walk(2_000, 1e5, 0.01, seed=33)
    for out in indicator.start().batch(*(bars[source] for source in indicator.columns)):
        values = out[indicator.warmup :]
        assert values.min() >= -1e-12
        assert values.max() <= 100.0 + 1e-12


@pytest.mark.parametrize(
    ("maker", "complaint"),
    [
        (lambda: macd(26, 26), r"^macd: fast must be below slow, got 26 and 26\Z"),
        (lambda: apo(26, 12), r"^apo: fast must be below slow, got 26 and 12\Z"),
        (lambda: ppo(26, 12), r"^ppo: fast must be below slow"),
        (lambda: ao(34, 5), r"^ao: fast must be below slow"),
        (lambda: ac(34, 5), r"^ac: fast must be below slow"),
        (lambda: ultosc(7, 28, 14), r"^ultosc: fast, middle and slow must rise, got 7, 28 and 14\Z"),
        (lambda: cmo(1), r"^cmo: period must be a whole number 2 to"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(maker: Callable[[], Indicator], complaint: str) -> None:
    """In one line that names the kind."""
    with pytest.raises(ValueError, match=complaint):
        maker()


def test_the_lines_of_a_macd_add_up() -> None:
    """The histogram is what the other two leave."""
    close: Column = walk(400, 1e5, 0.01, seed=34)["close"]
    line, told, histogram = macd(5, 12, 4).start().batch(close)
    np.testing.assert_array_equal(histogram, line - told)


def test_an_apo_is_the_difference_of_two_emas() -> None:
    """From the first bar on: unlike MACD's, its fast average does not wait for the slow one."""
    close: Column = walk(400, 1e5, 0.01, seed=34)["close"]
    (fast,), (slow,) = ema(5).start().batch(close), ema(12).start().batch(close)
    np.testing.assert_array_equal(apo(5, 12).start().batch(close)[0], fast - slow)
