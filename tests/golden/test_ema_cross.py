"""`ema_cross` against a straightforward loop in plain Python integers that shares nothing with the product.

The rule, from the issue: averages seeded with the mean of the first n closes, as TA-Lib; on a closed bar, when fast
crosses above slow, go long; when it crosses below, go flat. What is decided on bar t fills at the open of bar t + 1;
the fee is rate x notional, and both are rounded half-up to 1e-8 of the quote.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pitboss import ReplayResult, replay, tape_from_frame

ROOT = Path(__file__).parents[2]
LOT = Fraction(1, 10**8)
ATOMS = 10**8

Fill = tuple[int, str, int, int, int]
"""(open time of the bar in ms, side, price in ticks, quantity in lots, fee in atoms)"""


@dataclass
class Outcome:
    """What the loop came to."""

    cash: int
    fills: list[Fill] = field(default_factory=list)
    equity: int = 0
    narrowest: float = float("inf")
    """Smallest difference of the averages, relative to the price: a smaller one than 1e-9 decides nothing."""


def half_up(value: Fraction) -> int:
    return int((2 * value + 1) // 2)


def loop(
    bars: list[tuple[int, float, float]], tick: Fraction, fast: int, slow: int, quantity: str, cash: int, fee: str
) -> Outcome:
    """Trade `ema_cross` over (open time in ms, open, close)."""
    lots_wished = int(Fraction(quantity) / LOT)
    rate = Fraction(fee)
    value_of_one = tick * LOT * ATOMS
    outcome = Outcome(cash)
    position = 0
    ordered = 0
    averages: dict[int, float] = {}
    closes: list[float] = []
    gap_before: float | None = None
    for ts, opened, close in bars:
        if ordered:
            price = half_up(Fraction(repr_of(opened)) / tick)
            notional = half_up(value_of_one * price * abs(ordered))
            paid = half_up(rate * notional)
            outcome.cash -= (notional if ordered > 0 else -notional) + paid
            position += ordered
            outcome.fills.append((ts, "buy" if ordered > 0 else "sell", price, abs(ordered), paid))
            ordered = 0
        closes.append(close)
        for length in (fast, slow):
            if len(closes) == length:
                averages[length] = float(sum(map(Fraction, closes)) / length)
            elif len(closes) > length:
                averages[length] += (close - averages[length]) * (2.0 / (length + 1.0))
        if len(closes) < slow:
            continue
        gap = averages[fast] - averages[slow]
        outcome.narrowest = min(outcome.narrowest, abs(gap) / close)
        if gap_before is not None:
            if gap_before <= 0 < gap:
                ordered = lots_wished - position
            elif gap_before >= 0 > gap:
                ordered = -position
        gap_before = gap
    last = half_up(Fraction(repr_of(bars[-1][2])) / tick)
    outcome.equity = outcome.cash + half_up(value_of_one * last * position)
    return outcome


def repr_of(price: float) -> str:
    return f"{Decimal(repr(price)):f}"


def fills_of(result: ReplayResult) -> list[Fill]:
    """Return the product's fills in the loop's words."""
    columns = ("ts", "side", "price_ticks", "quantity_lots", "fee_atoms")
    return [
        (int(ts), str(side), int(p), int(q), int(fee)) for ts, side, p, q, fee in result.fills.select(columns).rows()
    ]


def cash_of(result: ReplayResult, position: Fraction, last: Fraction) -> int:
    """Return the cash a replay ended with: its equity less the position at the last close."""
    return int(result.summary.final_equity * ATOMS) - half_up(position * last * ATOMS)


def rows_of(frame: pl.DataFrame) -> list[tuple[int, float, float]]:
    return list(zip(*(frame[name].to_list() for name in ("ts", "open", "close")), strict=True))


FILES: dict[str, tuple[str, int | None, str, dict[str, Any]]] = {
    "bitfinex": ("1m/bitfinex_BTCUSD_1m_2019.parquet", 100_000, "0.00000001", {}),
    "binance": ("1m/binance-um_BTCUSDT_1m_2025.parquet", None, "0.1", {"fast": 7, "slow": 33, "fee": "0.00075"}),
    "eight decimals": (
        "1m/binance-spot_XRPETH_1m_2019-10.parquet",
        None,
        "0.00000001",
        {"quantity": "1234.56789012", "fee": "0.0009999"},
    ),
    "small quantity": ("5m/binance-um_XRPUSDT_5m_2025.parquet", None, "0.0001", {"quantity": "0.00000037"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_fills_and_cash_on_recorded_bars_equal_the_loop_to_the_integer(shared_data: Path, name: str) -> None:
    file, count, tick, terms = FILES[name]
    frame = pl.read_parquet(shared_data / "ohlcv" / file)
    frame = frame if count is None else frame.head(count)
    given_: dict[str, Any] = {
        "fast": 10,
        "slow": 20,
        "quantity": "0.1",
        "cash": 100_000 * ATOMS,
        "fee": "0.001",
    } | terms
    expected = loop(rows_of(frame), Fraction(tick), **given_)

    tape = tape_from_frame(frame, symbol="X", timeframe="5m" if "5m/" in file else "1m")
    result = replay(
        tape,
        "ema_cross",
        {"fast": given_["fast"], "slow": given_["slow"], "quantity": float(given_["quantity"])},
        {"account.cash": 100_000, "venue.taker_fee": given_["fee"]},
    )
    (spec,) = result.summary.instruments
    assert (spec["tick"], spec["lot"]) == (tick, "0.00000001"), "read off the file"
    assert len(expected.fills) > 80
    assert fills_of(result) == expected.fills
    held = sum((1 if fill[1] == "buy" else -1) * fill[3] for fill in expected.fills) * LOT
    last = Fraction(repr_of(frame["close"][-1]))
    assert cash_of(result, held, last) == expected.cash
    assert int(result.summary.final_equity * ATOMS) == expected.equity
    assert int(result.summary.fees * ATOMS) == sum(fill[4] for fill in expected.fills)


@pytest.mark.slow
def test_the_command_of_the_issue_prints_what_the_loop_says(shared_data: Path) -> None:
    file = shared_data / "ohlcv/1m/bybit-spot_BTCUSDT_1m_2022-12-13.parquet"
    command = [
        *(sys.executable, "-m", "daemon.cli", "replay", "--tape", str(file), "--strategy", "ema_cross"),
        *("-p", "fast=10", "-p", "slow=20", "-p", "quantity=0.1"),
        *("--set", "account.cash=100000", "--set", "venue.taker_fee=0.001", "--json"),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PITBOSS_")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=True)
    printed = json.loads(done.stdout, parse_float=Decimal)
    frame = pl.read_parquet(file)
    expected = loop(rows_of(frame), Fraction("0.01"), 10, 20, "0.1", 100_000 * ATOMS, "0.001")
    assert printed["bars"] == frame.height
    assert printed["fills"] == len(expected.fills) > 20
    assert printed["final_equity"] * ATOMS == expected.equity
    assert printed["fees"] * ATOMS == sum(fill[4] for fill in expected.fills)
    assert printed["trades"] == sum(1 for fill in expected.fills if fill[1] == "sell")
    assert printed["start_equity"] == 100_000


def random_frame(seed: int, count: int, tick: Fraction, gaps: bool) -> pl.DataFrame:
    """Return a random walk on a grid."""
    generator = np.random.default_rng(seed)
    steps = np.maximum(1, 5_000 + np.cumsum(generator.integers(-60, 61, count)))
    opened = np.maximum(1, steps + generator.integers(-9, 10, count))
    high = np.maximum(opened, steps) + generator.integers(0, 9, count)
    low = np.maximum(1, np.minimum(opened, steps) - generator.integers(0, 9, count))
    minutes = np.arange(count) + (np.cumsum(generator.integers(0, 4, count) // 3 * 5) if gaps else 0)
    prices = {"open": opened, "high": high, "low": low, "close": steps}
    return pl.DataFrame(
        {
            "ts": 1_600_000_020_000 + 60_000 * minutes,
            **{name: [float(Fraction(int(each)) * tick) for each in column] for name, column in prices.items()},
            "volume": generator.uniform(0, 5, count),
        }
    )


@pytest.mark.slow
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(25, 160),
    tick=st.sampled_from(["0.01", "0.1", "1", "0.5", "0.25", "0.00000001", "0.0003", "5"]),
    fast=st.integers(1, 8),
    more=st.integers(1, 12),
    quantity=st.sampled_from(["0.1", "1", "0.00000001", "12.3456789", "5000", "0.33333333"]),
    fee=st.sampled_from(["0", "0.001", "0.00075", "0.0000001", "-0.00025", "0.1234567"]),
    gaps=st.booleans(),
)
@example(seed=1, count=40, tick="0.00000001", fast=1, more=1, quantity="0.00000001", fee="0.001", gaps=True)
@settings(deadline=None, max_examples=120)
def test_fills_and_cash_on_random_tapes_equal_the_loop_to_the_integer(
    seed: int, count: int, tick: str, fast: int, more: int, quantity: str, fee: str, gaps: bool
) -> None:
    frame = random_frame(seed, count, Fraction(tick), gaps)
    slow = max(2, fast + more)
    expected = loop(rows_of(frame), Fraction(tick), fast, slow, quantity, 10**14, "0" if fee[0] == "-" else fee)
    assume(expected.narrowest > 1e-9)
    tape = tape_from_frame(frame, symbol="X", timeframe="1m", tick=Decimal(tick))
    result = replay(
        tape,
        "ema_cross",
        {"fast": fast, "slow": slow, "quantity": float(quantity)},
        {"account.cash": 10**6, "venue.taker_fee": "0" if fee[0] == "-" else fee, "venue.maker_fee": fee},
    )
    assert fills_of(result) == expected.fills
    assert int(result.summary.final_equity * ATOMS) == expected.equity


@pytest.mark.parametrize(
    ("closes", "sides"),
    [
        ([8] * 6, []),
        ([8, 8, 8, 9, 9, 9, 9], ["buy"]),
        ([8, 8, 8, 9, 9, 7, 7, 7], ["buy", "sell"]),
        ([8, 8, 8, 7, 7, 7, 9, 9], ["buy"]),
        ([9, 8, 7, 8, 9, 9, 7, 7], ["buy", "sell"]),
    ],
    ids=["never moves", "leaves a tie upwards", "up and down", "leaves a tie downwards", "begins above"],
)
def test_ties_of_the_averages_on_a_tape_that_stands_still(closes: list[int], sides: list[str]) -> None:
    """Equal closes have equal averages, to the bit: to leave a tie is to cross."""
    frame = pl.DataFrame(
        {
            "ts": [1_600_000_020_000 + 60_000 * index for index in range(len(closes))],
            **{name: [float(close) for close in closes] for name in ("open", "high", "low", "close", "volume")},
        }
    )
    result = replay(tape_from_frame(frame, symbol="X"), "ema_cross", {"fast": 2, "slow": 3, "quantity": 1.0})
    assert result.fills["side"].to_list() == sides
    expected = loop(rows_of(frame), Fraction(1), 2, 3, "1", 100_000 * ATOMS, "0.001")
    assert fills_of(result) == expected.fills
