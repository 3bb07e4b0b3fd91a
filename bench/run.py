"""Run the benchmarks: `python bench/run.py`, or `make bench`.

Every measure is a process of its own and one runs at a time. Repetitions are interleaved (all
measures once, then all again), so that a machine that slows down slows everyone down; the figures
are medians. Tables go to the terminal, everything measured to `bench/out/results.json`. The exit
status is 1 if a measure failed or a promise was broken.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

# For a script Python puts bench/ first on the path; the package lies one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from bench import workload
from bench.measures import PEERS, Measure, all_measures
from bench.process import ROOT, run_to_end
from bench.report import print_report
from bench.results import Result, Verdict, speed_ratios, verdicts

RESULTS = workload.OUT / "results.json"
REPEAT = 3
BUSY_LOAD = 0.5
PLAIN_WIDTH = 120


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="benchmarks of pitboss, its bounds and its peers")
    parser.add_argument("--bars", type=int, default=workload.BARS, help="length of the tape (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=REPEAT, help="repetitions (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measures or groups to run, and no others")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="measure the peers too")
    arguments = parser.parse_args(argv)
    known = {word for measure in all_measures(1) for word in (measure.name, measure.group)}
    if unknown := sorted(set(arguments.only or ()) - known):
        parser.error(f"no measure or group {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    if arguments.repeat < 1 or arguments.bars < 1:
        parser.error("--repeat and --bars start at 1")
    return arguments


def selected(arguments: argparse.Namespace) -> tuple[Measure, ...]:
    """Return the measures that the command line asks for."""
    chosen = all_measures(arguments.bars)
    if arguments.only:
        chosen = tuple(measure for measure in chosen if {measure.name, measure.group} & set(arguments.only))
    if not arguments.peers:
        chosen = tuple(measure for measure in chosen if measure.name not in PEERS)
    return chosen


def ensure_tapes(measures: Sequence[Measure]) -> None:
    """Draw the tapes in a process of their own, before anything is measured."""
    wanted = {measure.tape_bars for measure in measures if measure.tape_bars is not None and measure.missing() is None}
    lengths = sorted(bars for bars in wanted if not workload.tape_path(bars).exists())
    if lengths:
        finished = run_to_end((sys.executable, "-m", "bench.workload", "--bars", *map(str, lengths)))
        if (complaint := finished.complaint()) is not None:
            sys.exit(f"the tapes could not be drawn: {complaint}")


def take(result: Result) -> bool:
    """Run a measure once and keep its reading, or its failure, after which it is not run again; say if it worked."""
    finished = run_to_end(result.measure.argv)
    result.failed = finished.complaint()
    if result.failed is None:
        try:
            result.readings.append(result.measure.parse(finished))
        except (KeyError, OSError, TypeError, ValueError) as error:
            result.failed = f"its output could not be read: {error}"
    if result.failed is not None:
        result.readings.clear()
    return result.failed is None


def measure_all(measures: Sequence[Measure], repeat: int, console: Console) -> dict[str, Result]:
    """Run every measure, one at a time, repetitions interleaved."""
    results = {measure.name: Result(measure, skipped=measure.missing()) for measure in measures}
    runnable = [result for result in results.values() if result.skipped is None]
    for result in runnable:
        for _ in range(result.measure.warm_up_count):
            console.print(f"[dim]warm-up    {result.measure.name}[/dim]")
            run_to_end(result.measure.argv)
    for round_index in range(repeat):
        for result in runnable:
            if result.failed is not None or round_index >= (result.measure.repeat_max or repeat):
                continue
            console.print(f"[dim]round {round_index + 1}/{repeat}  {result.measure.name}[/dim]")
            if not take(result):
                console.print(f"[red]{result.measure.name} failed[/red]")
    return results


def machine() -> dict[str, object]:
    """Describe what the figures were taken on."""
    return {
        "cpu_count": os.cpu_count(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def write_results(
    results: dict[str, Result],
    found: list[Verdict],
    arguments: argparse.Namespace,
    loads: tuple[float, float],
) -> None:
    """Write everything measured, atomically."""
    document = {
        "taken_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load_average": {"before": loads[0], "after": loads[1]},
        "bars": arguments.bars,
        "repeat": arguments.repeat,
        "measures": {
            name: {
                "group": result.measure.group,
                "title": result.measure.title,
                "skipped": result.skipped,
                "failed": result.failed,
                "median": result.median(),
                "readings": result.readings,
            }
            for name, result in results.items()
        },
        "pitboss_speed_ratios": speed_ratios(results),
        "promises": [asdict(verdict) for verdict in found],
    }
    unfinished = RESULTS.with_suffix(".part")
    unfinished.write_text(json.dumps(document, indent=2) + "\n")
    unfinished.replace(RESULTS)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit status."""
    arguments = arguments_of(argv)
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    load_before = os.getloadavg()[0]
    if load_before > BUSY_LOAD:
        console.print(f"[yellow]this machine is not idle (load {load_before:.1f}): expect noise[/yellow]")
    workload.OUT.mkdir(parents=True, exist_ok=True)
    measures = selected(arguments)
    ensure_tapes(measures)
    results = measure_all(measures, arguments.repeat, console)
    found = verdicts(results, arguments.bars)
    print_report(console, results, found, arguments.bars)
    write_results(results, found, arguments, (load_before, os.getloadavg()[0]))
    console.print(f"written to {RESULTS.relative_to(ROOT)}")
    broken = any(verdict.kept is False for verdict in found)
    failed = any(result.failed is not None for result in results.values())
    return 1 if broken or failed else 0


if __name__ == "__main__":
    sys.exit(main())
