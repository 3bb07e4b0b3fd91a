"""The 15-minute pipeline live, one symbol: what a bar costs in the core, and how long a process takes to begin.

A strategy that declares the preset and does nothing is handed bars one by one, as live hands them: checked, built into
hours, four hours and days, computed, told. Beside it the same core with a strategy that declares nothing, and the
bare calls of the preset's compiled steps, which no way of computing them bar by bar can beat.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Mapping
from time import perf_counter, perf_counter_ns, thread_time_ns

import numpy as np
import polars as pl

from actors import messages as m
from actors.features import SeriesKey
from actors.system import Core
from config.load import check_settings
from replay.plan import build_core, plan_session, start_core
from replay.run import register_class
from replay.tape import Tape, tape_from_frame
from strategies.base import Strategy
from strategies.features.graph import FeatureGraph
from strategies.features.nodes import Kernel
from strategies.features.pipeline import pipeline
from strategies.features.rows import FeatureRows
from strategies.indicators import Expression

SYMBOL = "BTC/USDT"
QUARTER_MS = 900_000
NS_PER_MS = 1_000_000
BARS = 8_000
WARM = 3_000
"""Bars until every column has a value, and some."""
PASSES = 3
CALLS = 500
START_BARS = 10


class Preset(Strategy):
    """Is told the preset's row of every bar."""

    def features(self) -> Mapping[str, Expression]:
        """Declare all that bars alone can feed."""
        return pipeline()

    def on_bar(self, bar: m.Bar, f: object, /) -> None:
        """Do nothing."""


class Bare(Strategy):
    """Is told every bar."""

    def on_bar(self, bar: m.Bar, f: object, /) -> None:
        """Do nothing."""


def quarters(bars: int) -> Tape:
    """Draw bars of a quarter of an hour."""
    draw = np.random.default_rng(7)
    close = 20_000.0 * np.exp(np.cumsum(draw.normal(0.0, 2e-3, bars)))
    opened = np.concatenate((close[:1], close[:-1]))
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) + draw.exponential(10.0, bars),
        "low": np.minimum(opened, close) - draw.exponential(10.0, bars),
        "close": close,
        "volume": draw.exponential(100.0, bars),
    }
    rounded = {name: np.round(column, 2) for name, column in columns.items()}
    first_ms = 1_700_006_400_000 // QUARTER_MS * QUARTER_MS
    frame = pl.DataFrame({"ts": first_ms + QUARTER_MS * np.arange(bars), **rounded})
    return tape_from_frame(frame, symbol=SYMBOL, timeframe="15m")


def started(tape: Tape, kind: type[Strategy]) -> Core:
    """Return a core at work whose features go bar by bar."""
    settings = check_settings({"strategies": [{"use": register_class(kind)}]}, "bench")
    core = build_core(plan_session(settings, tape))
    start_core(core)
    return core


def bars_us(tape: Tape, kind: type[Strategy]) -> tuple[float, list[float]]:
    """Return what a bar behind the warm-up takes of the processor on average, and of the clock each, in microseconds.

    That is from handed in to all done.
    """
    core = started(tape, kind)
    scheduler = core.scheduler
    taken_us: list[float] = []
    gc.collect()
    gc.freeze()
    spent_ns = 0
    for number, (ts_ns, message) in enumerate(tape.stamped()):
        if number == WARM:
            spent_ns = thread_time_ns()
        began_ns = perf_counter_ns()
        scheduler.fire_before(ts_ns)
        scheduler.post(ts_ns, message)
        taken_us.append((perf_counter_ns() - began_ns) / 1_000)
        core.ledger.take_marks()
    spent_ns = thread_time_ns() - spent_ns
    gc.unfreeze()
    taken_us = sorted(taken_us[WARM:])
    return spent_ns / len(taken_us) / 1_000, taken_us


def kernels_us(tape: Tape) -> tuple[int, float]:
    """Return how many compiled steps a bar takes, and what the bare calls of all of them do."""
    series = tape.series[0]
    key = SeriesKey(SYMBOL, series.timeframe_ns)
    graph = FeatureGraph({SYMBOL: series.timeframe_ns})
    rows = FeatureRows(pipeline(), graph, key)
    for _, message in tape.stamped():
        if isinstance(message, m.Bar):
            rows.step(message)
    calls = [
        (node.step, node.vector, [graph.values[slot] for slot in node.inputs])
        for home, node in graph.nodes
        if home == key and isinstance(node, Kernel)
    ]
    taken = []
    for _ in range(CALLS):
        began = perf_counter()
        for step, vector, given in calls:
            step(vector, *given)
        taken.append(perf_counter() - began)
    return len(calls), min(taken) * 1e6


def measure() -> dict[str, object]:
    """Measure each a few times; the pass with the least counts."""
    tape = quarters(BARS)
    bar_us, clock_us = min(bars_us(tape, Preset) for _ in range(PASSES))
    bare_us, _ = min(bars_us(tape, Bare) for _ in range(PASSES))
    count, alone_us = kernels_us(tape)
    return {
        "columns": len(pipeline()),
        "kernels": count,
        "bar_us": bar_us,
        "bar_p50_us": clock_us[len(clock_us) // 2],
        "bar_p99_us": clock_us[int(len(clock_us) * 0.99)],
        "without_features_us": bare_us,
        "kernels_alone_us": alone_us,
    }


def begin() -> dict[str, object]:
    """Begin with the preset, as a daemon does, and take the first bars."""
    tape = quarters(WARM)
    began = perf_counter()
    core = started(tape, Preset)
    ready_s = perf_counter() - began
    for _, (ts_ns, message) in zip(range(START_BARS), tape.stamped(), strict=False):
        core.scheduler.post(ts_ns, message)
    return {"ready_s": ready_s}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--begin", action="store_true", help="only begin, and say how long that took")
    found = begin() if parser.parse_args().begin else measure()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
