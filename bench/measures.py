"""What is measured, as data: one `Measure` is one program; to add one, add a record here.

A program prints one flat JSON object as its last line (`json_line`); where what counts is the
process itself, its output is ignored and the operating system's figures are the reading
(`process_figures`). A measure whose `needs` are not there is skipped with the reason given, never
failed: the suite runs before the daemon is built, and without peers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import workload
from bench.ours.replay import PITBOSS
from bench.process import ROOT, Finished

Figure = float | int | str | bool | None
Reading = dict[str, Figure]

BENCH = ROOT / "bench"
LIVE_RESULT = workload.OUT / "live.json"
PEERS_PYTHON = workload.OUT / "peers-venv" / "bin" / "python"
PEERS_STAMP = workload.OUT / "peers-venv" / "pitboss-peers.stamp"
PEERS_MISSING = "peers not installed: make bench-peers"
PITBOSS_MISSING = "the pitboss command is not installed in this environment"

STARTUP_BARS = 1_000
MEMORY_FACTOR = 10
TAPE_ROWS = 10_000_000
"""Rows of the long tape that is fed, and of which a tenth is fed beside it."""
IMPORTS = (
    *("daemon.cli", "daemon.commands.replay", "replay.driver", "replay.record", "replay.tape.parquet"),
    *("strategies.library.ema_cross", "strategies.indicators.state", "numba", "polars", "numpy"),
)
"""What a replay imports, kernels included, and nothing done with it."""

PEERS = ("backtesting", "nautilus", "backtrader")
BOUNDS = {
    "loop": "bound: compiled loop",
    "floor": "floor: object + call per bar",
    "account": "plain Python, no engine",
}


def json_line(finished: Finished) -> Reading:
    """Read the last line of output as one flat JSON object."""
    lines = finished.stdout.strip().splitlines()
    if not lines:
        msg = "printed nothing"
        raise ValueError(msg)
    return flat(json.loads(lines[-1]))


def process_figures(finished: Finished) -> Reading:
    """Read what the operating system saw of the process."""
    return {
        "elapsed_s": finished.elapsed_s,
        "cpu_s": finished.cpu_s,
        "peak_rss_mb": finished.peak_rss_mb,
    }


def live_result(_finished: Finished) -> Reading:
    """Read the JSON file that `bench.ours.live` writes; its numbers are named with their units."""
    return flat(json.loads(LIVE_RESULT.read_text()))


def flat(tree: object, prefix: str = "") -> Reading:
    """Flatten nested objects to dotted names; lists are left out, they are raw data."""
    if not isinstance(tree, dict):
        msg = f"not a JSON object: {tree!r}"
        raise TypeError(msg)
    reading: Reading = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            reading.update(flat(value, f"{prefix}{name}."))
        elif not isinstance(value, list):
            reading[f"{prefix}{name}"] = value
    return reading


@dataclass(frozen=True, slots=True)
class Measure:
    """One program to run, how to read it, and what must be there for it to run at all."""

    name: str
    group: str
    title: str
    argv: tuple[str, ...]
    parse: Callable[[Finished], Reading] = json_line
    needs: tuple[tuple[Path, str], ...] = ()
    warm_up_count: int = 0
    repeat_max: int | None = None
    tape_bars: int | None = None

    def missing(self) -> str | None:
        """Return why this measure cannot run here, or None."""
        return next((reason for path, reason in self.needs if not path.exists()), None)


def ours_replay(name: str, group: str, title: str, bars: int, *, repeat_max: int | None = None) -> Measure:
    """Return a measure of `pitboss replay`; an unmeasured run first fills the kernel cache."""
    return Measure(
        name=name,
        group=group,
        title=title,
        argv=(sys.executable, "-m", "bench.ours.replay", "--bars", str(bars)),
        needs=((PITBOSS, PITBOSS_MISSING),),
        warm_up_count=1 if repeat_max is None else 0,
        repeat_max=repeat_max,
        tape_bars=bars,
    )


def imports(way: str, title: str) -> Measure:
    """Return a measure of taking over a file of klines; whoever is first draws it, unmeasured."""
    return Measure(
        name=f"import-{way}",
        group="data",
        title=title,
        argv=(sys.executable, "-m", "bench.ours.imports", way),
        needs=((PEERS_STAMP, PEERS_MISSING) if way == "pandas" else (PITBOSS, PITBOSS_MISSING),),
    )


def tapes(way: str, title: str, bars: int = TAPE_ROWS, *, warm_up_count: int = 0) -> Measure:
    """Return a measure of feeding a long tape, row by row."""
    return Measure(
        name=f"tape-{way}" if bars == TAPE_ROWS else f"tape-{way}-short",
        group="data",
        title=f"{title}, {bars:,} rows",
        argv=(sys.executable, "-m", "bench.ours.tapes", way, "--bars", str(bars)),
        needs=((PEERS_STAMP, PEERS_MISSING) if way == "pandas" else (PITBOSS, PITBOSS_MISSING),),
        warm_up_count=warm_up_count,
        tape_bars=bars,
    )


def all_measures(bars: int) -> tuple[Measure, ...]:
    """Return every measure, in the order in which they are run and shown."""
    tape = str(workload.tape_path(bars))
    bounds = tuple(
        Measure(
            name=name,
            group="replay",
            title=title,
            argv=(sys.executable, "-m", "bench.bounds", name, "--bars", str(bars)),
            tape_bars=bars,
        )
        for name, title in BOUNDS.items()
    )
    peers = tuple(
        Measure(
            name=name,
            group="replay",
            title=name,
            argv=(
                *(str(PEERS_PYTHON), str(BENCH / "peers" / f"run_{name}.py")),
                *("--tape", tape, "--cash", str(workload.cash_for(bars))),
            ),
            needs=((PEERS_STAMP, PEERS_MISSING),),
            tape_bars=bars,
        )
        for name in PEERS
    )
    imports_need = tuple((ROOT / path, f"{path} does not exist yet") for path in ("daemon/cli.py", "replay/driver.py"))
    long_bars = MEMORY_FACTOR * bars
    return (
        *bounds,
        ours_replay("pitboss", "replay", "pitboss replay", bars),
        *peers,
        Measure(
            name="imports",
            group="memory",
            title="the same modules, only imported",
            argv=(sys.executable, "-c", f"import {', '.join(IMPORTS)}"),
            parse=process_figures,
            needs=imports_need,
            warm_up_count=1,
        ),
        ours_replay("memory-long", "memory", f"pitboss replay, {long_bars:,} bars", long_bars, repeat_max=1),
        Measure(
            name="help",
            group="startup",
            title="pitboss --help",
            argv=(str(PITBOSS), "--help"),
            parse=process_figures,
            needs=((PITBOSS, PITBOSS_MISSING),),
            warm_up_count=1,
        ),
        ours_replay("startup", "startup", f"pitboss replay, {STARTUP_BARS:,} bars", STARTUP_BARS),
        Measure(
            name="disk",
            group="durability",
            title="append 4 KiB and fdatasync",
            argv=(sys.executable, "-m", "bench.disk"),
        ),
        Measure(
            name="live",
            group="durability",
            title="live reaction",
            argv=(sys.executable, "-m", "bench.ours.live"),
            parse=live_result,
            needs=((BENCH / "ours" / "live.py", "bench/ours/live.py does not exist yet"),),
            repeat_max=1,
        ),
        Measure(
            name="core",
            group="durability",
            title="the core alone: trade to order decided",
            argv=(sys.executable, "-m", "bench.ours.core"),
            repeat_max=1,
        ),
        Measure(
            name="reaction",
            group="durability",
            title="trade to order, over sockets",
            argv=(sys.executable, "-m", "bench.ours.reaction"),
            repeat_max=1,
        ),
        Measure(
            name="flood",
            group="durability",
            title="trades a second, over sockets",
            argv=(sys.executable, "-m", "bench.ours.flood"),
            repeat_max=1,
        ),
        Measure(
            name="console",
            group="durability",
            title="the core under clients of the console",
            argv=(sys.executable, "-m", "bench.ours.console"),
            repeat_max=1,
        ),
        imports("polars", "plain polars, scan_csv to sink_parquet"),
        imports("pitboss", "pitboss data import"),
        imports("pandas", "pandas, read_csv to Parquet in chunks"),
        tapes("polars", "plain polars, slices as tuples"),
        tapes("bars", "pitboss, tape checked, rows as bars"),
        tapes("pandas", "pandas, batches as tuples"),
        tapes("replay", "pitboss replay", TAPE_ROWS // 10, warm_up_count=1),
        tapes("replay", "pitboss replay"),
        Measure(
            name="indicators",
            group="features",
            title="indicators over a million rows",
            argv=(sys.executable, "-m", "bench.ours.indicators"),
            warm_up_count=1,
        ),
        Measure(
            name="preset",
            group="features",
            title="a bar of the 15-minute pipeline",
            argv=(sys.executable, "-m", "bench.ours.preset"),
            warm_up_count=1,
        ),
        Measure(
            name="starts",
            group="features",
            title="a start with the 15-minute pipeline",
            argv=(sys.executable, "-m", "bench.ours.starts"),
            repeat_max=1,
        ),
    )
