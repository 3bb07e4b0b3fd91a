"""Brackets with a trailing stop against a loop in whole ticks: every fill, its price and its fee, to the integer."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from pitboss import Bar, Strategy, replay, tape_from_frame

ATOMS = 10**8
TICK, LOT = Fraction(1, 100), Fraction(1, 10**8)
LOOK_BACK = 20
LOTS = 25_000_000
TAKER, MAKER = Fraction("0.0004"), Fraction("0.0001")


class Away(NamedTuple):
    """How far exits are, in quote units."""

    stop_at: float
    profit_at: float
    trail_at: float


class Momentum(Strategy):
    """Goes with the last bars, long or short, and leaves by its bracket alone."""

    stop_at: float = 100.0
    profit_at: float = 100.0
    trail_at: float = 100.0

    def on_start(self) -> None:
        """Begin without a past."""
        self.closes: list[float] = []

    def on_bar(self, bar: Bar, _: Any, /) -> None:
        """Open where there is no position."""
        self.closes.append(bar.close)
        before = self.closes[-LOOK_BACK - 1 : -LOOK_BACK]
        if self.position or not before or before[0] == bar.close:
            return
        side = 1 if bar.close > before[0] else -1
        self.bracket(
            0.25 * side,
            stop=round(bar.close - side * self.stop_at, 2),
            take_profit=round(bar.close + side * self.profit_at, 2),
            trail=self.trail_at,
        )


class Position:
    """One position of the loop: its side, where it gets out, and the best price it saw."""

    def __init__(self, side: int, entry: int, stop: int, profit: int, trail: int) -> None:
        self.side = side
        self.profit = profit
        self.best = entry
        self.trail = trail
        self.stop = stop
        self.follow(entry)
        self.resting = self.stop
        """Trigger of the stop at the venue."""
        self.takes_at_once = False
        """Whether the profit's price was met before its order arrived."""
        self.closing = side * (entry - self.stop) <= 0
        self.is_new = True

    def follow(self, *prices: int) -> None:
        """Bring the stop up to the best of the prices seen so far."""
        for price in prices:
            self.best = max(self.best, price) if self.side > 0 else min(self.best, price)
        nearer = self.best - self.side * self.trail
        self.stop = max(self.stop, nearer) if self.side > 0 else min(self.stop, nearer)

    def leaves(self, points: tuple[int, int, int, int]) -> tuple[int, bool] | None:
        """Return price, and whether it takes, of the exit that a bar meets: of both the stop, but at its open."""
        if self.closing and not self.is_new:
            return points[0], True
        if not self.is_new and self.takes_at_once and self.side * (points[0] - self.profit) >= 0:
            return points[0], True
        if not self.is_new and self.side * (points[0] - self.profit) > 0:
            return self.profit, False
        if not self.closing and any(self.side * (point - self.resting) <= 0 for point in points):
            gap = not self.is_new and self.side * (points[0] - self.resting) <= 0
            return (points[0] if gap else self.resting), True
        if not self.is_new and any(self.side * (point - self.profit) > 0 for point in points):
            return self.profit, False
        return None

    def end_bar(self, high: int, low: int, close: int) -> None:
        """Live through a bar: the stop follows it, and works so from the next one on."""
        self.follow(high if self.side > 0 else low, close)
        self.closing = self.closing or (self.stop != self.resting and self.side * (close - self.stop) <= 0)
        self.takes_at_once = self.is_new and self.side * (close - self.profit) >= 0
        self.is_new = False
        if not self.closing:
            self.resting = self.stop


def loop(frame: pl.DataFrame, away: Away) -> tuple[list[tuple[int, str, int, int, int]], int]:
    """Return (fills, equity in atoms)."""
    opens, highs, lows, closes = (ticks_of(frame[name].to_list()) for name in ("open", "high", "low", "close"))
    stop_away, profit_away, trail = (round(each / float(TICK)) for each in away)
    fills: list[tuple[int, str, int, int, int]] = []
    cash = 10**13
    ordered, held = 0, None
    reference = 0

    def fill(ts: int, side: int, price: int, rate: Fraction) -> None:
        nonlocal cash
        notional = half_up(TICK * LOT * ATOMS * price * LOTS)
        fee = half_up(rate * notional)
        cash -= side * notional + fee
        fills.append((ts, "buy" if side > 0 else "sell", price, LOTS, fee))

    for index, (opened, high, low, close) in enumerate(zip(opens, highs, lows, closes, strict=True)):
        ts = frame["ts"][index]
        points = (opened, high, low, close) if high - opened < opened - low else (opened, low, high, close)
        if ordered:
            fill(ts, ordered, opened, TAKER)
            held = Position(ordered, opened, reference - ordered * stop_away, reference + ordered * profit_away, trail)
            ordered = 0
        left = None if held is None else held.leaves(points)
        if held is not None and left is not None:
            price, takes = left
            fill(ts, -held.side, price, TAKER if takes else MAKER)
            held = None
        if held is not None:
            held.end_bar(high, low, close)
        elif index >= LOOK_BACK and close != closes[index - LOOK_BACK]:
            ordered, reference = (1 if close > closes[index - LOOK_BACK] else -1), close
    value = 0 if held is None else held.side * half_up(TICK * LOT * ATOMS * closes[-1] * LOTS)
    return fills, cash + value


def ticks_of(prices: list[float]) -> list[int]:
    exact = [Fraction(Decimal(repr(price))) / TICK for price in prices]
    assert all(each.denominator == 1 for each in exact)
    return [int(each) for each in exact]


def half_up(value: Fraction) -> int:
    return int((2 * value + 1) // 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "away",
    [Away(400.0, 800.0, 600.0), Away(150.0, 90.0, 100.0), Away(2_000.0, 3_000.0, 900.0)],
    ids=["stopped", "taken", "trailed"],
)
def test_fills_and_equity_on_recorded_bars_equal_the_loop_to_the_integer(shared_data: Path, away: Away) -> None:
    frame = pl.read_parquet(shared_data / "ohlcv/1h/binance-um_BTCUSDT_1h_2019-2022.parquet").head(12_000)
    expected, equity = loop(frame, away)
    result = replay(
        tape_from_frame(frame, symbol="X", timeframe="1h", tick=Decimal("0.01")),
        Momentum,
        away._asdict(),
        {"account.cash": 100_000, "venue.taker_fee": "0.0004", "venue.maker_fee": "0.0001"},
    )
    rows = result.fills.with_columns(pl.col("ts") // 3_600_000 * 3_600_000)
    columns = ("ts", "side", "price_ticks", "quantity_lots", "fee_atoms")
    assert rows.select(columns).rows() == expected
    assert int(result.summary.final_equity * ATOMS) == equity
    assert (result.summary.state, result.summary.dead_letters) == ("running", 0)
    assert len(expected) > 400
