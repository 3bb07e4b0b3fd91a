"""What the peer programs share: arguments, the seeded average in pandas, one JSON line at the end.

These files run in the peers' own environment and import nothing of ours. `load_s` is tape opened to
data in the form the peer wants, `run_s` everything after that to a result in hand, `wall_s` their
sum; imports are never counted.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pandas as pd

FAST_PERIOD, SLOW_PERIOD, QUANTITY, TAKER_FEE = 10, 20, 0.1, 0.001


class Task(NamedTuple):
    """What a peer program is asked to do."""

    tape: Path
    cash: int


def task() -> Task:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--cash", type=int, required=True)
    arguments = parser.parse_args()
    return Task(arguments.tape, arguments.cash)


def read_tape(tape: Path) -> pd.DataFrame:
    """Read the tape with its open times as a UTC index."""
    frame = pd.read_parquet(tape)
    frame.index = pd.to_datetime(frame.pop("ts"), unit="ms", utc=True)
    return frame


def ema(values: pd.Series | object, period: int) -> pd.Series:
    """Return the exponential mean seeded with the simple mean of the first `period` values."""
    series = pd.Series(values).astype("float64").reset_index(drop=True)
    seeded = series.copy()
    seeded.iloc[: period - 1] = float("nan")
    seeded.iloc[period - 1] = series.iloc[:period].mean()
    return seeded.ewm(span=period, adjust=False).mean()


class Stopwatch:
    """Two laps: loading, running."""

    def __init__(self) -> None:
        self.started = self.loaded = time.perf_counter()

    def data_ready(self) -> None:
        """End the first lap."""
        self.loaded = time.perf_counter()

    def report(self, distribution: str, *, bars: int, fills: int, final_equity: float) -> None:
        """End the second lap and print the line."""
        ended = time.perf_counter()
        wall_s = ended - self.started
        line = {
            "engine": distribution,
            "version": version(distribution),
            "bars": bars,
            "fills": fills,
            "final_equity": final_equity,
            "load_s": self.loaded - self.started,
            "run_s": ended - self.loaded,
            "wall_s": wall_s,
            "bars_per_s": bars / wall_s,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(line), flush=True)
