"""What no engine can beat: the same bars and the same rule with nothing around them.

* `floor`: plain Python at its least: build one `Bar` object and call one method with it, per bar.
* `account`: plain Python, the whole of W1: bars, averages, orders, exact account; no engine.
* `loop`: one compiled numba loop that makes the same fills and ends with the same equity.

Money is exact in all of them: prices in ticks of 0.01, quantity in lots of 1e-8, money in atoms of
1e-8, and a fee is its rate times the notional, rounded half-up. `account` and `loop` must therefore
agree to the atom.

Each prints one JSON line. `load_s` is tape opened to data in memory, `run_s` the loop alone (a
median of passes; the loop is compiled before the clock starts), `wall_s` their sum.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl

from bench import workload

LOTS_PER_UNIT = 100_000_000
ATOMS_PER_UNIT = 100_000_000
TICK_LOTS_PER_ATOM = 100  # a tick times a lot is 1e-10 of the quote, an atom is 1e-8
FEE_NUMERATOR, FEE_DENOMINATOR = 1, 1_000
QUANTITY_LOTS = 10_000_000
FAST_ALPHA = 2.0 / (workload.FAST_PERIOD + 1)
SLOW_ALPHA = 2.0 / (workload.SLOW_PERIOD + 1)
PASSES = 5


class Outcome(NamedTuple):
    """What a run of W1 ends with; the floor trades nothing and has neither."""

    fill_count: int | None
    equity_atoms: int | None


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One candle, as cheap as an object gets: built in C, not tracked by the collector."""

    ts_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Columns(NamedTuple):
    """The tape as plain lists, which Python iterates fastest."""

    ts_ms: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]


class Listener:
    """The least a consumer of bars can do: be called, and keep the last one."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: Bar | None = None

    def on_bar(self, bar: Bar) -> None:
        """Take one bar."""
        self.last = bar


class Account:
    """Cash and one position, exact to the atom, and the drawdown of its equity at closes."""

    __slots__ = (
        "cash",
        "cash_atoms",
        "drawdown_max",
        "equity_peak",
        "fill_count",
        "position",
        "position_lots",
    )

    def __init__(self, cash_atoms: int) -> None:
        self.cash_atoms = cash_atoms
        self.position_lots = 0
        self.fill_count = 0
        # The same two in floats, for what is a statistic and not money.
        self.cash = self.equity_peak = cash_atoms / ATOMS_PER_UNIT
        self.position = 0.0
        self.drawdown_max = 0.0

    def fill(self, price: float, lots: int) -> None:
        """Book one fill and its fee; `lots` is negative for a sale."""
        gross_atoms = (2 * ticks(price) * abs(lots) + TICK_LOTS_PER_ATOM) // (2 * TICK_LOTS_PER_ATOM)
        fee_atoms = (2 * gross_atoms * FEE_NUMERATOR + FEE_DENOMINATOR) // (2 * FEE_DENOMINATOR)
        self.cash_atoms -= fee_atoms + (gross_atoms if lots > 0 else -gross_atoms)
        self.position_lots += lots
        self.fill_count += 1
        self.cash = self.cash_atoms / ATOMS_PER_UNIT
        self.position = self.position_lots / LOTS_PER_UNIT

    def mark(self, price: float) -> None:
        """Follow the drawdown of the equity at a close."""
        equity = self.cash + self.position * price
        if equity > self.equity_peak:
            self.equity_peak = equity
            return
        drawdown = 1.0 - equity / self.equity_peak
        if drawdown > self.drawdown_max:  # noqa: PLR1730  a call of max() is a tenth of this loop
            self.drawdown_max = drawdown

    def equity_atoms(self, price: float) -> int:
        """Value the account at a price."""
        return self.cash_atoms + ticks(price) * self.position_lots // TICK_LOTS_PER_ATOM


class EmaCross:
    """The rule of W1 on an account of its own; an order waits one bar and fills at its open."""

    __slots__ = ("account", "bar_count", "fast", "ordered_lots", "previous_gap", "slow")

    def __init__(self, cash_atoms: int) -> None:
        self.account = Account(cash_atoms)
        self.bar_count = 0
        self.fast = self.slow = self.previous_gap = 0.0
        self.ordered_lots = 0

    def warm_up(self, bar: Bar) -> None:
        """Seed each average with the mean of its first closes."""
        self.bar_count += 1
        self.slow += bar.close
        if self.bar_count <= workload.FAST_PERIOD:
            self.fast += bar.close
            if self.bar_count == workload.FAST_PERIOD:
                self.fast /= workload.FAST_PERIOD
        else:
            self.fast += FAST_ALPHA * (bar.close - self.fast)
        if self.bar_count == workload.SLOW_PERIOD:
            self.slow /= workload.SLOW_PERIOD
            self.previous_gap = self.fast - self.slow

    def on_bar(self, bar: Bar) -> None:
        """Fill what waits, mark, then decide on the close."""
        account = self.account
        close = bar.close
        if self.ordered_lots:
            account.fill(bar.open, self.ordered_lots)
            self.ordered_lots = 0
            account.mark(close)
        elif account.position_lots:
            account.mark(close)
        self.fast = fast = self.fast + FAST_ALPHA * (close - self.fast)
        self.slow = slow = self.slow + SLOW_ALPHA * (close - self.slow)
        gap = fast - slow
        if gap > 0.0:
            if self.previous_gap <= 0.0:
                self.ordered_lots = QUANTITY_LOTS - account.position_lots
        elif gap < 0.0 and self.previous_gap >= 0.0:
            self.ordered_lots = -account.position_lots
        self.previous_gap = gap


def ticks(price: float) -> int:
    """Convert a price that lies on the tick to an integer number of ticks."""
    return int(price * workload.TICKS_PER_UNIT + 0.5)


def load_lists(tape: Path) -> Columns:
    """Read the tape into plain lists."""
    frame = pl.read_parquet(tape)
    return Columns(*(frame[name].to_list() for name in ("ts", "open", "high", "low", "close", "volume")))


def run_floor(columns: Columns) -> Outcome:
    """One object and one call per bar."""
    on_bar = Listener().on_bar
    for bar in map(Bar, *columns):
        on_bar(bar)
    return Outcome(None, None)


def run_account(columns: Columns) -> Outcome:
    """Run the whole of W1 in plain Python."""
    rule = EmaCross(workload.cash_for(len(columns.close)) * ATOMS_PER_UNIT)
    bars = map(Bar, *columns)
    for bar in islice(bars, workload.SLOW_PERIOD):
        rule.warm_up(bar)
    on_bar = rule.on_bar
    for bar in bars:
        on_bar(bar)
    return Outcome(rule.account.fill_count, rule.account.equity_atoms(columns.close[-1]))


def prepare_lists(run: Callable[[Columns], Outcome], tape: Path) -> tuple[float, Callable[[], Outcome]]:
    """Load the tape as lists; return the seconds it took and the run over it."""
    started = time.perf_counter()
    columns = load_lists(tape)
    return time.perf_counter() - started, lambda: run(columns)


def prepare_loop(tape: Path) -> tuple[float, Callable[[], Outcome]]:
    """Load the tape as arrays and compile; return the seconds of loading and the run."""
    from bench.loop import (
        ema_cross_loop,
    )  # numba is half a second that the plain bounds need not pay

    started = time.perf_counter()
    frame = pl.read_parquet(tape, columns=["open", "close"])
    opens, closes = (frame[name].to_numpy(writable=True) for name in ("open", "close"))
    load_s = time.perf_counter() - started
    cash_atoms = workload.cash_for(len(closes)) * ATOMS_PER_UNIT

    def run() -> Outcome:
        fills, equity_atoms = ema_cross_loop(
            opens, closes, workload.FAST_PERIOD, workload.SLOW_PERIOD, QUANTITY_LOTS, cash_atoms
        )
        return Outcome(int(fills), int(equity_atoms))

    return load_s, run


PREPARE: dict[str, Callable[[Path], tuple[float, Callable[[], Outcome]]]] = {
    "floor": lambda tape: prepare_lists(run_floor, tape),
    "account": lambda tape: prepare_lists(run_account, tape),
    "loop": prepare_loop,
}


def measure(name: str, tape: Path, bars: int) -> dict[str, object]:
    """Run one bound over the tape and describe it."""
    load_s, run = PREPARE[name](tape)
    seconds: list[float] = []
    outcomes: set[Outcome] = set()
    for _ in range(PASSES):
        started = time.perf_counter()
        outcomes.add(run())
        seconds.append(time.perf_counter() - started)
    (outcome,) = outcomes
    run_s = statistics.median(seconds)
    return {
        "engine": name,
        "version": f"numba {version('numba')}" if name == "loop" else platform.python_version(),
        "bars": bars,
        "fills": outcome.fill_count,
        "final_equity": None if outcome.equity_atoms is None else outcome.equity_atoms / ATOMS_PER_UNIT,
        "final_equity_atoms": outcome.equity_atoms,
        "load_s": load_s,
        "run_s": run_s,
        "wall_s": load_s + run_s,
        "bars_per_s": bars / (load_s + run_s),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> int:
    """Measure one bound and print one JSON line."""
    parser = argparse.ArgumentParser(description="measure a bound on workload W1")
    parser.add_argument("bound", choices=sorted(PREPARE))
    parser.add_argument("--bars", type=int, default=workload.BARS)
    arguments = parser.parse_args()
    tape = workload.ensure(arguments.bars)
    print(json.dumps(measure(arguments.bound, tape, arguments.bars)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
