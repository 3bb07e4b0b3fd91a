"""Run W1 through `pitboss replay`, as a user would, and print the JSON line of an engine.

`wall_s` and `bars_per_s` are the program's own (tape opened to summary ready); `process_s`, `cpu_s`
and `peak_rss_mb` are what the operating system saw of the whole process, imports and exit included.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import workload
from bench.process import Finished, run_to_end

PITBOSS = Path(sys.executable).with_name("pitboss")


def replay_argv(tape: Path, cash: int) -> list[str]:
    """Return the command that replays W1 over a tape."""
    return [
        str(PITBOSS), "replay",
        "--tape", str(tape),
        "--strategy", "ema_cross",
        "-p", f"fast={workload.FAST_PERIOD}",
        "-p", f"slow={workload.SLOW_PERIOD}",
        "-p", f"quantity={workload.QUANTITY}",
        "--set", f"account.cash={cash}",
        "--set", f"venue.taker_fee={workload.TAKER_FEE}",
        "--json",
    ]  # fmt: skip


def describe(finished: Finished) -> dict[str, object]:
    """Turn the program's JSON and its resource usage into one line of this suite."""
    summary = json.loads(finished.stdout)
    try:
        release = version("pitboss")
    except PackageNotFoundError:
        release = "source tree"
    line: dict[str, object] = {
        "engine": "pitboss",
        "version": release,
        "bars": summary["bars"],
        "fills": summary["fills"],
        "final_equity": float(summary["final_equity"]),
        "wall_s": summary["wall_s"],
        "bars_per_s": summary["bars_per_s"],
        "peak_rss_mb": finished.peak_rss_mb,
        "process_s": finished.elapsed_s,
        "cpu_s": finished.cpu_s,
    }
    # Optional: present if the program says them.
    for key in ("digest", "messages", "trades", "load_s", "run_s"):
        if summary.get(key) is not None:
            line[key] = summary[key]
    return line


def main() -> int:
    """Replay once and print the line; a failing replay fails this program with its message."""
    parser = argparse.ArgumentParser(description="replay W1 with pitboss")
    parser.add_argument("--bars", type=int, default=workload.BARS)
    arguments = parser.parse_args()
    finished = run_to_end(replay_argv(workload.tape_path(arguments.bars), workload.cash_for(arguments.bars)))
    complaint = finished.complaint()
    if complaint is not None:
        print(complaint, file=sys.stderr)
        return 1
    print(json.dumps(describe(finished)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
