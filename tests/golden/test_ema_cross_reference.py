"""A replay's fills equal those of an independent loop written straight from the rule, to the integer.

The reference shares nothing with the product: plain Python, decimals and integers, and its own average.
"""

import os
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitboss import replay, tape_from_frame

ATOM = Decimal("1e-8")
MINUTE_MS = 60_000
SHARED = Path(os.environ.get("PITBOSS_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


class ReferenceFill(NamedTuple):
    """One fill of the reference, in exact numbers."""

    ts: int
    side: str
    price: Decimal
    quantity: Decimal
    fee_atoms: int


def half_up(amount: Decimal) -> int:
    return int((amount / ATOM).to_integral_value(rounding=ROUND_HALF_UP))


def average(values: Sequence[float], period: int) -> list[float | None]:
    """Exponential average seeded with the simple mean of the first `period` values."""
    result: list[float | None] = [None] * len(values)
    if len(values) < period:
        return result
    total = 0.0
    for value in values[:period]:
        total += value
    current = total / period
    result[period - 1] = current
    weight = 2.0 / (period + 1)
    for index in range(period, len(values)):
        current = (values[index] - current) * weight + current
        result[index] = current
    return result


def reference(
    frame: pl.DataFrame, fast: int, slow: int, quantity: str, rate: str, cash: int
) -> tuple[list[ReferenceFill], int]:
    """Return the fills, and the final equity in atoms."""
    opens, closes, times = frame["open"].to_list(), frame["close"].to_list(), frame["ts"].to_list()
    quick, lazy = average(closes, fast), average(closes, slow)
    size, fee_rate = Decimal(quantity), Decimal(rate)
    cash_atoms, held = half_up(Decimal(cash)), False
    wanted: bool | None = None
    fills: list[ReferenceFill] = []
    for index, ts in enumerate(times):
        if wanted is not None and wanted != held:
            price = Decimal(repr(opens[index]))
            notional_atoms = half_up(price * size)
            fee_atoms = half_up(fee_rate * notional_atoms * ATOM)
            cash_atoms += (-notional_atoms if wanted else notional_atoms) - fee_atoms
            fills.append(ReferenceFill(ts, "buy" if wanted else "sell", price, size, fee_atoms))
            held = wanted
        wanted = None
        before_quick, before_lazy = (quick[index - 1], lazy[index - 1]) if index else (None, None)
        now_quick, now_lazy = quick[index], lazy[index]
        if None in (before_quick, before_lazy, now_quick, now_lazy):
            continue
        assert before_quick is not None
        assert before_lazy is not None
        assert now_quick is not None
        assert now_lazy is not None
        if before_quick <= before_lazy and now_quick > now_lazy:
            wanted = True
        elif before_quick >= before_lazy and now_quick < now_lazy:
            wanted = False
    equity_atoms = cash_atoms + (half_up(Decimal(repr(closes[-1])) * size) if held else 0)
    return fills, equity_atoms


def assert_equal_to_reference(frame: pl.DataFrame, fast: int, slow: int, quantity: str, rate: str) -> int:
    """Replay `frame` and compare; return the number of fills."""
    result = replay(
        tape_from_frame(frame, symbol="TEST", timeframe="1m"),
        "ema_cross",
        {"fast": fast, "slow": slow, "quantity": float(quantity)},
        {"account.cash": 100_000, "venue.taker_fee": rate},
    )
    expected, equity_atoms = reference(frame, fast, slow, quantity, rate, 100_000)
    fills = result.fills
    tick = Decimal(str(result.summary.instruments[0]["tick"]))
    assert fills["ts"].to_list() == [fill.ts for fill in expected]
    assert fills["side"].to_list() == [fill.side for fill in expected]
    assert fills["price_ticks"].to_list() == [int(fill.price / tick) for fill in expected]
    assert fills["quantity_lots"].to_list() == [int(fill.quantity / ATOM) for fill in expected]
    assert fills["fee_atoms"].to_list() == [fill.fee_atoms for fill in expected]
    assert int(result.summary.final_equity / ATOM) == equity_atoms
    return len(expected)


def test_touching_is_not_crossing() -> None:
    """Averages that meet and part on the same side again leave the position alone."""
    close = [10.0, 10.0, 12.0, 12.0, 10.0, 10.0, 10.0, 11.0, 8.0, 8.0]
    frame = pl.DataFrame(
        {"ts": [MINUTE_MS * 10_000_000 + MINUTE_MS * index for index in range(len(close))]}
    ).with_columns(*(pl.Series(name, close) for name in ("open", "high", "low", "close")), volume=pl.lit(1.0))
    assert assert_equal_to_reference(frame, 1, 2, "1", "0.001") >= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "rows", "quantity", "rate"),
    [
        ("ohlcv/1m/bitfinex_BTCUSD_1m_2019.parquet", 120_000, "0.1", "0.001"),
        ("ohlcv/1m/binance-um_BTCUSDT_1m_2025.parquet", 60_000, "0.037", "0.00045"),
        ("ohlcv/1m/binance-spot_XRPETH_1m_2019-10.parquet", 5_000, "1234.5", "0.00075"),
    ],
)
def test_recorded_data(file: str, rows: int, quantity: str, rate: str) -> None:
    path = SHARED / file
    if not path.is_file():
        pytest.skip(f"recorded market data is not here: {path.name}")
    frame = pl.read_parquet(path).head(rows).select("ts", "open", "high", "low", "close", "volume")
    assert assert_equal_to_reference(frame, 10, 20, quantity, rate) > 50


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    bars=st.integers(2, 400),
    periods=st.tuples(st.integers(1, 8), st.integers(1, 20)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    decimals=st.integers(0, 5),
    quantity=st.sampled_from(["0.1", "0.00000001", "3", "12.34567891"]),
    rate=st.sampled_from(["0", "0.001", "0.00075", "0.0333333"]),
)
def test_random_tapes(seed: int, bars: int, periods: tuple[int, int], decimals: int, quantity: str, rate: str) -> None:
    random = np.random.default_rng(seed)
    close = np.round(1_000 * np.cumprod(1 + random.normal(0, 0.01, bars)) + 1, decimals)
    open_ = np.round(close * (1 + random.normal(0, 0.004, bars)), decimals)
    frame = pl.DataFrame(
        {
            "ts": 1_600_000_000_000 + MINUTE_MS * np.cumsum(random.integers(1, 3, bars)),
            "open": open_,
            "high": np.maximum(open_, close),
            "low": np.minimum(open_, close),
            "close": close,
            "volume": np.ones(bars),
        }
    )
    assert_equal_to_reference(frame, *periods, quantity, rate)
