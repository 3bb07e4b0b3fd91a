"""Feed a long Parquet tape: every row handed to Python one by one, by us, by plain polars (the bound) and by pandas.

Each way is a process of its own over the same file. `replay` is the whole replay (strategy, orders, fills, digest),
`bars` only what feeds it: the tape opened, every row checked, every bar made. polars and pandas read a row group at a
time, check nothing and make tuples. What memory a way takes is its peak less what it held when all was imported.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from bench import workload
from bench.measures import IMPORTS, PEERS_PYTHON, TAPE_ROWS
from bench.ours.replay import replay_argv
from bench.process import MAXRSS_PER_MB, run_to_end

WAYS = ("bars", "replay", "polars", "pandas")
_ROW_GROUP_ROWS = 262_144
_PANDAS = """
import json, os, resource, sys, time
from collections import deque
import pandas, pyarrow.parquet
held = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
started = time.perf_counter()
rows = 0
for batch in pyarrow.parquet.ParquetFile(sys.argv[1]).iter_batches(int(sys.argv[2])):
    deque(batch.to_pandas().itertuples(index=False, name=None), 0)
    rows += batch.num_rows
print(json.dumps({"rows": rows, "run_s": time.perf_counter() - started, "held_mb": held / 2**20}))
"""


def held_mb() -> float:
    """Return the memory this process holds now; where the system does not say, the most it ever held."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_PER_MB


def feed_bars(tape: Path) -> int:
    """Open the tape as a replay does and take every bar; return how many there were."""
    from replay.tape import open_tape

    opened = open_tape([str(tape)])
    deque(opened.bars(), 0)
    return opened.rows or 0


def feed_polars(tape: Path) -> int:
    """Take every row out of plain polars."""
    import polars as pl

    table = pl.scan_parquet(tape)
    rows: int = table.select(pl.len()).collect().item()
    for start in range(0, rows, _ROW_GROUP_ROWS):
        deque(table.slice(start, _ROW_GROUP_ROWS).collect().iter_rows(), 0)
    return rows


def feed_replay(tape: Path) -> int:
    """Replay W1 over the tape, by the command line."""
    from daemon.cli import main

    rows = int(tape.stem.rpartition("-")[2])
    sys.argv = replay_argv(tape, workload.cash_for(rows))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main()
    bars: int = json.loads(printed.getvalue())["bars"]
    return bars


def feed(way: str, tape: Path) -> dict[str, float]:
    """Feed the tape in this process, after all imports, and say what it took."""
    import importlib

    for name in IMPORTS if way != "polars" else ("polars",):
        importlib.import_module(name)
    ways: dict[str, Callable[[Path], int]] = {"bars": feed_bars, "polars": feed_polars, "replay": feed_replay}
    before_mb, started = held_mb(), time.perf_counter()
    rows = ways[way](tape)
    return {"rows": rows, "run_s": time.perf_counter() - started, "held_mb": before_mb}


def main() -> int:
    """Feed once and print the line; a failing process fails this program with its message."""
    parser = argparse.ArgumentParser(description="feed a long tape")
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--bars", type=int, default=TAPE_ROWS)
    parser.add_argument("--inside", action="store_true", help="in this process, unmeasured from outside")
    arguments = parser.parse_args()
    tape = workload.tape_path(arguments.bars)
    if arguments.inside:
        print(json.dumps(feed(arguments.way, tape)))
        return 0
    argv = [sys.executable, "-m", "bench.ours.tapes", arguments.way, "--bars", str(arguments.bars), "--inside"]
    if arguments.way == "pandas":
        argv = [str(PEERS_PYTHON), "-c", _PANDAS, str(tape), str(_ROW_GROUP_ROWS)]
    finished = run_to_end(argv)
    if (complaint := finished.complaint()) is not None:
        print(complaint, file=sys.stderr)
        return 1
    line = json.loads(finished.stdout.strip().splitlines()[-1])
    line |= {
        "rows_per_s": line["rows"] / line["run_s"],
        "process_s": finished.elapsed_s,
        "cpu_s": finished.cpu_s,
        "peak_rss_mb": finished.peak_rss_mb,
        "above_imports_mb": finished.peak_rss_mb - line["held_mb"],
    }
    print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
