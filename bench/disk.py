"""What durability costs on this disk before any of our code: append 4 KiB, `fdatasync`, 500 times.

The figures stand beside those of live reaction, because no daemon that makes an input durable
before it answers can be faster than this. The file lies next to the results by default: a temporary
folder is often kept in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench import workload

ROUNDS = 500
BLOCK = b"\x5a" * 4096


def sync_latencies_us(folder: Path, rounds: int = ROUNDS) -> list[float]:
    """Return the microseconds of each append and sync, in order."""
    latencies: list[float] = []
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        descriptor = os.open(Path(temporary) / "append", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for _ in range(rounds):
                started = time.perf_counter_ns()
                os.write(descriptor, BLOCK)
                os.fdatasync(descriptor)
                latencies.append((time.perf_counter_ns() - started) / 1000)
        finally:
            os.close(descriptor)
    return latencies


def main() -> int:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description="measure append and fdatasync")
    parser.add_argument("--folder", type=Path, default=workload.OUT)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    latencies = sync_latencies_us(arguments.folder)
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    print(
        json.dumps(
            {
                "rounds": len(latencies),
                "fdatasync_p50_us": cuts[49],
                "fdatasync_p99_us": cuts[98],
                "fdatasync_max_us": max(latencies),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
