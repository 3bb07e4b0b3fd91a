"""What indicators are tried on beside made-up columns: recorded markets, and walks at every scale of price."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from strategies.indicators import Indicator
from tests.strategies.indicators.definitions import Bars, Column

SHARED = Path(os.environ.get("PITBOSS_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
BITCOIN = "1h/binance-spot_BTCUSDT_1h_2019-2022.parquet"
TRON = "5m/spot_TRXBTC_5m_2018-01.parquet"
"""At a few satoshi, with minutes at rest."""
XRP = "1m/binance-spot_XRPETH_1m_2019-10.parquet"
CARDANO = "5m/binance-um_ADAUSDT_5m_2025.parquet"


@cache
def _read(file: str) -> Bars:
    path = SHARED / "ohlcv" / file
    if not path.exists():
        pytest.skip(f"no recorded data at {path} (set PITBOSS_SHARED_DATA)")
    frame = pl.read_parquet(path, columns=["open", "high", "low", "close", "volume"])
    return _frozen({name: frame[name].to_numpy().astype(np.float64) for name in frame.columns})


def _frozen(bars: Bars) -> Bars:
    for column in bars.values():
        column.flags.writeable = False
    return bars


def recorded(file: str, rows: slice = slice(None)) -> Bars:
    """Give some bars of a recorded market, or skip the test where there is none."""
    return {name: column[rows] for name, column in _read(file).items()}


@cache
def _walk(row_count: int, price: float, tick: float) -> Bars:
    draw = np.random.default_rng(21)
    steps = np.rint(draw.normal(0.0, 2.0, row_count))
    steps[row_count // 2 : row_count // 2 + 120] = 0.0
    spread = draw.integers(0, 4, (2, row_count)).astype(np.float64)
    spread[:, row_count // 2 : row_count // 2 + 120] = 0.0
    close = np.maximum(round(price / tick) + np.cumsum(steps), 20.0)
    high, low = close + spread[0], close - spread[1]
    opened = np.clip(np.concatenate((close[:1], close[:-1])), low, high)
    bars = {"open": opened, "high": high, "low": low, "close": close, "volume": spread[0] * 10.0}
    return _frozen({name: column * tick for name, column in bars.items()})


def ranging(row_count: int, price: float, tick: float) -> Bars:
    """Give a random walk from `price` in whole ticks, with gaps, equal highs and a stretch at rest."""
    return dict(_walk(row_count, price, tick))


MARKETS: dict[str, Callable[[], Bars]] = {
    "plain": lambda: ranging(2_000, 100.0, 0.01),
    "large": lambda: ranging(2_000, 1e5, 0.01),
    "tiny": lambda: ranging(2_000, 1e-6, 1e-10),
    "unit": lambda: ranging(2_000, 1.0, 1e-5),
    "bitcoin": lambda: recorded(BITCOIN, slice(-20_000, None)),
    "tron": lambda: recorded(TRON, slice(-20_000, None)),
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


def full_windows(values: Column, period: int) -> Column:
    """Give the windows of a column, one per row from the first full one on."""
    return np.lib.stride_tricks.sliding_window_view(values, period)


def late(warmup: int, values: Column) -> Column:
    """Put a warm-up in front of what follows it."""
    return np.concatenate((np.full(warmup, np.nan), values))
