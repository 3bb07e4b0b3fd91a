"""Volume: TA-Lib's values where it has them, the others against plain loops written from the definition."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import talib

from strategies.indicators import (
    Indicator,
    ad,
    adosc,
    cmf,
    cvd,
    efi,
    eom,
    klinger,
    marketfi,
    nvi,
    obv,
    pvi,
    pvo,
    pvt,
    rvol,
    volume_profile,
    vwap,
    vwap_rolling,
    vwap_session,
    vwap_since,
)
from tests.strategies.indicators.definitions import Bars, Column


def walk(row_count: int, price: float, tick: float, seed: int) -> Bars:
    """Make a random walk in whole ticks, 15-minute bars, some without range and hours without volume."""
    draw = np.random.default_rng(seed)
    ticks = np.maximum(round(price / tick) + np.cumsum(np.rint(draw.normal(0.0, 2.0, row_count))), 20.0)
    opened = np.concatenate((ticks[:1], ticks[:-1]))
    spread = draw.integers(0, 4, (2, row_count))
    volume = draw.integers(0, 50, row_count) * 0.1
    volume[row_count // 3 : row_count // 3 + 60] = 0.0
    volume[0] = 0.7
    return {
        "open": opened * tick,
        "high": (np.maximum(opened, ticks) + spread[0]) * tick,
        "low": (np.minimum(opened, ticks) - spread[1]) * tick,
        "close": ticks * tick,
        "volume": volume,
        "time": 1_577_836_800.0 + 900.0 * np.arange(row_count),
    }


SCALES = {"plain": (100.0, 0.01), "large": (1e5, 0.01), "tiny": (1e-6, 1e-10)}
by_scale = pytest.mark.parametrize("scale", SCALES)


def columns_of(indicator: Indicator, bars: Bars) -> list[Column]:
    """Give what an indicator reads."""
    return [bars[source] for source in indicator.columns]


@pytest.mark.parametrize(
    ("indicator", "theirs"),
    [
        (obv(), talib.OBV),
        (ad(), talib.AD),
        (adosc(3, 10), talib.ADOSC),
        (adosc(5, 34), talib.ADOSC),
        (nvi(), talib.NVI),
        (pvi(), talib.PVI),
        (pvt(), talib.PVT),
        (efi(2), talib.EFI),
        (efi(13), talib.EFI),
        (cmf(3), talib.CMF),
        (cmf(20), talib.CMF),
        (rvol(5), talib.RVOL),
        (rvol(20), talib.RVOL),
        (vwap(), talib.VWAP),
        (marketfi(), talib.MARKETFI),
        (pvo(12, 26), talib.PVO),
    ],
    ids=lambda given: str(given) if isinstance(given, Indicator) else "",
)
@by_scale
def test_values_are_those_of_talib(indicator: Indicator, theirs: Callable[..., Column], scale: str) -> None:
    """Every row; but a window without volume is 0 here, and in TA-Lib what its moving sums left over, or no number."""
    bars = walk(1_500, *SCALES[scale], seed=31)
    columns = columns_of(indicator, bars)
    (found,) = indicator.start().batch(*columns)
    expected = theirs(*columns, *(int(param) for param in indicator.params), *([1] if indicator.kind == "pvo" else []))
    assert np.isnan(found).tolist() == [row < indicator.warmup for row in range(found.size)]
    if indicator.kind in {"cmf", "rvol"}:
        period = int(indicator.params[0])
        traded = np.convolve(bars["volume"] > 0.0, np.ones(period))[: found.size]
        idle = np.flatnonzero(traded[period - 1 :] == 0.0) + indicator.warmup
        assert idle.size > 30
        assert (found[idle] == 0.0).all()
        expected[idle] = 0.0
    slack = 1e-9 * np.nanmax(np.abs(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=slack)


# Plain loops


def typical(bars: Bars) -> list[float]:
    """Give the mean of high, low and close."""
    return [float(price) for price in (bars["high"] + bars["low"] + bars["close"]) / 3.0]


def mean_price(bars: Bars, rows: range) -> float:
    """Give the mean typical price of what was traded in some rows, of the last row if nothing was."""
    prices, volume = typical(bars), bars["volume"]
    traded = sum(float(volume[row]) for row in rows)
    return sum(prices[row] * float(volume[row]) for row in rows) / traded if traded else prices[rows[-1]]


@by_scale
def test_vwap_of_a_window_of_a_session_and_since_a_condition(scale: str) -> None:
    """Each against the same plain mean over its own rows; sessions begin at midnight and on Mondays, UTC."""
    bars = walk(1_400, *SCALES[scale], seed=32)
    (rolling,) = vwap_rolling(20).start().batch(*columns_of(vwap_rolling(20), bars))
    (daily,) = vwap_session(1).start().batch(*columns_of(vwap_session(1), bars))
    (weekly,) = vwap_session(7).start().batch(*columns_of(vwap_session(7), bars))
    moments = [datetime.fromtimestamp(float(second), tz=UTC) for second in bars["time"]]
    condition = np.zeros(1_400)
    condition[[100, 101, 700]] = 1.0
    condition[900] = np.nan
    reads = ("high", "low", "close", "volume")
    (since,) = vwap_since("open").start().batch(condition, *(bars[name] for name in reads))
    day = week = anchor = 0
    for row in range(1_400):
        if row and moments[row].date() != moments[row - 1].date():
            day = row
            if moments[row].weekday() == 0:
                week = row
        anchor = row if condition[row] == 1.0 else anchor
        assert daily[row] == pytest.approx(mean_price(bars, range(day, row + 1)), rel=1e-12)
        assert since[row] == pytest.approx(mean_price(bars, range(anchor, row + 1)), rel=1e-12)
        if row % 7 == 0:
            assert weekly[row] == pytest.approx(mean_price(bars, range(week, row + 1)), rel=1e-12)
        if row >= 19:
            assert rolling[row] == pytest.approx(mean_price(bars, range(row - 19, row + 1)), rel=1e-12)
    assert (day, week, anchor) == (1344, 1152, 700)


def test_vwap_before_anything_was_traded_is_the_price() -> None:
    """TA-Lib's is 0, a price nobody asked for."""
    none = np.zeros(30)
    found = vwap().start().batch(np.full(30, 12.0), np.full(30, 9.0), np.full(30, 9.0), none)[0]
    assert found.tolist() == [10.0] * 30


@by_scale
def test_ease_of_movement(scale: str) -> None:
    """The middle's move times the range by the volume, averaged."""
    bars = walk(600, *SCALES[scale], seed=33)
    (found,) = eom(14, 1e4).start().batch(*columns_of(eom(14, 1e4), bars))
    middles = [(float(high) + float(low)) / 2.0 for high, low in zip(bars["high"], bars["low"], strict=True)]
    eases = [
        (after - before) * float(high - low) / (float(volume) / 1e4) if volume > 0.0 else 0.0
        for (before, after), high, low, volume in zip(
            pairwise(middles), bars["high"][1:], bars["low"][1:], bars["volume"][1:], strict=True
        )
    ]
    expected = [sum(eases[row - 14 : row]) / 14 for row in range(14, 600)]
    np.testing.assert_allclose(found[14:], expected, rtol=1e-9, atol=1e-12 * max(map(abs, eases)))


@by_scale
def test_klinger(scale: str) -> None:
    """The volume force from its definition, bar by bar, and TA-Lib's EMAs of it."""
    bars = walk(800, *SCALES[scale], seed=34)
    line, signal = klinger(5, 12, 4).start().batch(*columns_of(klinger(), bars))
    forces: list[float] = []
    trend, measure = 0, float(bars["high"][0] - bars["low"][0])
    for row in range(1, 800):
        price, before = (float(bars["high"][at] + bars["low"][at] + bars["close"][at]) for at in (row, row - 1))
        widths = [float(bars["high"][at] - bars["low"][at]) for at in (row, row - 1)]
        turned = 1 if price > before else -1 if price < before else trend
        measure = widths[0] + (measure if turned == trend else widths[1])
        trend = turned
        ratio = abs(2.0 * widths[0] / measure - 1.0) if measure else 0.0
        forces.append(float(bars["volume"][row]) * ratio * trend * 100.0 if measure else 0.0)
    expected = talib.EMA(np.array(forces), 5) - talib.EMA(np.array(forces), 12)
    smooth = talib.EMA(expected[11:], 4)
    np.testing.assert_allclose(line[15:], expected[14:], rtol=1e-9, atol=1e-9 * max(map(abs, forces)))
    np.testing.assert_allclose(signal[15:], smooth[3:], rtol=1e-9, atol=1e-9 * max(map(abs, forces)))
    assert np.isnan(line[:15]).all()
    assert np.isnan(signal[:15]).all()


def profile(bars: Bars, rows: slice, bins: int, area: float) -> tuple[float, float, float]:
    """Give point of control and value area of a window by the definition."""
    prices = np.array(typical(bars))[rows]
    bottom, top = float(bars["low"][rows].min()), float(bars["high"][rows].max())
    volume = bars["volume"][rows]
    if top == bottom or not volume.any():
        return (float(prices[-1]),) * 3
    width = (top - bottom) / bins
    held = [0.0] * bins
    for price, traded in zip(prices, volume, strict=True):
        held[min(int((price - bottom) * (1.0 / width)), bins - 1)] += float(traded)
    best = held.index(max(held))
    first = last = best
    while sum(held[first : last + 1]) < area * sum(held) and last - first + 1 < bins:
        below = held[first - 1] if first > 0 else -1.0
        above = held[last + 1] if last + 1 < bins else -1.0
        first, last = (first, last + 1) if above >= below else (first - 1, last)
    return bottom + (best + 0.5) * width, bottom + first * width, bottom + (last + 1) * width


@pytest.mark.parametrize("params", [(40, 12, 0.7), (1, 5, 1.0), (60, 24, 0.31)])
@by_scale
def test_volume_profile(params: tuple[int, int, float], scale: str) -> None:
    """Every window against the definition; without volume the price itself."""
    bars = walk(500, *SCALES[scale], seed=35)
    outs = volume_profile(*params).start().batch(*columns_of(volume_profile(), bars))
    period = params[0]
    for row in range(period - 1, 500):
        expected = profile(bars, slice(row - period + 1, row + 1), *params[1:])
        np.testing.assert_allclose([out[row] for out in outs], expected, rtol=1e-12)
    assert all((outs[1] <= outs[0])[period - 1 :] & (outs[0] <= outs[2])[period - 1 :])


@pytest.mark.parametrize("make", [lambda: adosc(10, 3), lambda: adosc(5, 5), lambda: klinger(55, 34)])
def test_a_fast_average_that_is_slow_is_refused(make: Callable[[], Any]) -> None:
    """In one line."""
    with pytest.raises(ValueError, match=r"fast must be below slow, got \d+ and \d+\Z"):
        make()


def test_volume_delta_is_what_takers_bought_less_what_they_sold() -> None:
    """Added up from the first bar on."""
    bought, sold = [3.0, 0.0, 1.5, 2.0], [1.0, 4.0, 1.5, 0.5]
    assert cvd().start().batch(bought, sold)[0].tolist() == [2.0, -2.0, -2.0, -0.5]
