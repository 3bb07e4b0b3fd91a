"""`bollinger_reversion` against a loop in exact integers: not even a square root is taken.

With prices P in ticks over the last n bars, S their sum and Q the sum of their squares, a close is below the lower band
of d deviations if ``S - n P > 0`` and ``(S - n P)^2 > d^2 (n Q - S^2)``, and at or above the middle if ``n P >= S``.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from pitboss import replay, tape_from_frame

ATOMS = 10**8
LOT = Fraction(1, 10**8)


def half_up(value: Fraction) -> int:
    return int((2 * value + 1) // 2)


def ticks_of(prices: list[float], tick: Fraction) -> list[int]:
    exact = [Fraction(Decimal(repr(price))) / tick for price in prices]
    assert all(each.denominator == 1 for each in exact)
    return [int(each) for each in exact]


def loop(
    frame: pl.DataFrame, tick: Fraction, n: int, deviations: Fraction, quantity: str, fee: str, *, short: bool
) -> tuple[list[tuple[int, str, int, int, int]], int, Fraction]:
    """Return (fills, equity in atoms, the narrowest margin by which a comparison was decided)."""
    opens, closes = (ticks_of(frame[name].to_list(), tick) for name in ("open", "close"))
    lots = int(Fraction(quantity) / LOT)
    one = tick * LOT * ATOMS
    cash, position, ordered = 10**13, 0, 0
    fills: list[tuple[int, str, int, int, int]] = []
    total = squares = 0
    narrowest = Fraction(1)
    for index, (ts, opened, close) in enumerate(zip(frame["ts"].to_list(), opens, closes, strict=True)):
        if ordered:
            notional = half_up(one * opened * abs(ordered))
            paid = half_up(Fraction(fee) * notional)
            cash -= (notional if ordered > 0 else -notional) + paid
            position += ordered
            fills.append((ts, "buy" if ordered > 0 else "sell", opened, abs(ordered), paid))
            ordered = 0
        total += close
        squares += close * close
        if index >= n:
            gone = closes[index - n]
            total -= gone
            squares -= gone * gone
        if index < n - 1:
            continue
        below = total - n * close
        reach = deviations**2 * (n * squares - total * total)
        narrowest = min(narrowest, abs(below * below - reach) / (close * close * n * n))
        if position == 0:
            if below > 0 and below * below > reach:
                ordered = lots
            elif short and below < 0 and below * below > reach:
                ordered = -lots
        elif (below <= 0) if position > 0 else (below >= 0):
            ordered = -position
    value = half_up(one * closes[-1] * abs(position))
    return fills, cash + (value if position > 0 else -value), narrowest


def compare(frame: pl.DataFrame, tick: str, n: int, deviations: str, quantity: str, fee: str, *, short: bool) -> int:
    """Replay, compare to the integer, and return the number of fills."""
    expected, equity, narrowest = loop(frame, Fraction(tick), n, Fraction(deviations), quantity, fee, short=short)
    assert narrowest > Fraction(1, 10**15), "a comparison too narrow for floats: take another file"
    result = replay(
        tape_from_frame(frame, symbol="X", timeframe="1m", tick=Decimal(tick)),
        "bollinger_reversion",
        {"period": n, "deviations": float(deviations), "quantity": float(quantity), "short": short},
        {"account.cash": 100_000, "venue.taker_fee": fee},
    )
    columns = ("ts", "side", "price_ticks", "quantity_lots", "fee_atoms")
    assert result.fills.select(columns).rows() == expected
    assert int(result.summary.final_equity * ATOMS) == equity
    return len(expected)


@pytest.mark.slow
@pytest.mark.parametrize("short", [False, True])
def test_fills_and_equity_on_recorded_bars_equal_the_loop_to_the_integer(shared_data: Path, short: bool) -> None:
    frame = pl.read_parquet(shared_data / "ohlcv/1m/binance-um_BTCUSDT_1m_2025.parquet").head(40_000)
    assert compare(frame, "0.1", 20, "2.1", "0.137", "0.0004", short=short) > 1_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_fills_and_equity_on_random_tapes_equal_the_loop_to_the_integer(seed: int) -> None:
    generator = np.random.default_rng(seed)
    steps = 90_000 + np.cumsum(generator.integers(-700, 701, 600))
    opened = steps + generator.integers(-90, 91, 600)
    prices: dict[str, Any] = {
        "open": opened,
        "high": np.maximum(opened, steps) + 5,
        "low": np.minimum(opened, steps) - 5,
    }
    tick = ["0.01", "0.5", "0.0001"][seed % 3]
    frame = pl.DataFrame(
        {
            "ts": 1_600_000_020_000 + 60_000 * np.arange(600),
            **{
                name: [float(Fraction(int(each)) * Fraction(tick)) for each in column]
                for name, column in (prices | {"close": steps}).items()
            },
            "volume": np.ones(600),
        }
    )
    period, deviations = 5 + seed, ["1.7", "1.9", "1.1"][seed % 3]
    assert compare(frame, tick, period, deviations, "3.7654321", "0.00099", short=seed % 2 == 1) > 10
