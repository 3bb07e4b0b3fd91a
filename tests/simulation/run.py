"""Live through many seeds and say which of them broke a promise: `make simulate SEEDS=1000`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.world import simulate


def one(seed: int) -> tuple[int, dict[str, int], list[str]]:
    """Return the seed, what happened, and what went wrong."""
    try:
        world, problems = simulate(seed)
    except Exception as error:  # noqa: BLE001 - any failure of a seed is a finding, to be printed with its seed
        return seed, {}, [f"{type(error).__name__}: {error}"]
    happened = {**world.counts, "orders": len(world.placed), "executions": len(world.fills), "lives": world.life}
    happened |= {"amends": world.amended, "refused by a limit": world.watch.refused, "exits": world.watch.exits}
    happened |= Counter(world.steered.values())
    happened |= {"exits that closed": world.guard.closed, "stops that stood": world.guard.stood}
    happened["acted on a limit"] = sum(counts.acted for counts in world.core.risk.judge.counts.values())
    return seed, happened, problems


def main() -> int:
    """Run, print a table of what happened, and every seed that failed."""
    parser = argparse.ArgumentParser(description="deterministic simulation of the order path")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    started_s = time.perf_counter()
    totals: Counter[str] = Counter()
    failed = 0
    with ProcessPoolExecutor() as pool:
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        for seed, happened, problems in pool.map(one, seeds, chunksize=4):
            totals.update(happened)
            if problems:
                failed += 1
                print(f"seed {seed}: {'; '.join(problems)}")
    for name, number in sorted(totals.items()):
        print(f"{name:>20} {number:>10,}")
    took_s = time.perf_counter() - started_s
    print(f"{arguments.seeds:,} seeds, {failed} failed, {took_s:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
