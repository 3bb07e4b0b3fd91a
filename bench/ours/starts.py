"""How long a process with the 15-minute preset takes to begin: on an empty cache of kernels, and ever after.

Beside it a process that only imports what that one does.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from bench.process import Finished, run_to_end

BEGIN = (sys.executable, "-m", "bench.ours.preset", "--begin")
IMPORT = (sys.executable, "-c", "import bench.ours.preset, strategies.indicators.state")
AGAIN = 3


def run(argv: tuple[str, ...]) -> Finished:
    """Run a program that must succeed."""
    finished = run_to_end(argv)
    if (complaint := finished.complaint()) is not None:
        sys.exit(f"{' '.join(argv)}: {complaint}")
    return finished


def measure(cache: Path) -> dict[str, object]:
    """Begin on the empty cache, and then again."""
    os.environ["NUMBA_CACHE_DIR"] = str(cache)
    first = run(BEGIN)
    again = min((run(BEGIN) for _ in range(AGAIN)), key=lambda finished: finished.elapsed_s)
    imports = min((run(IMPORT) for _ in range(AGAIN)), key=lambda finished: finished.elapsed_s)
    kept = [path.stat().st_size for path in cache.rglob("*") if path.is_file()]
    return {
        "first_s": first.elapsed_s,
        "first_cpu_s": first.cpu_s,
        "again_s": again.elapsed_s,
        "again_cpu_s": again.cpu_s,
        "imports_s": imports.elapsed_s,
        "imports_cpu_s": imports.cpu_s,
        "cache_mb": sum(kept) / 1e6,
        "again_peak_rss_mb": again.peak_rss_mb,
    }


def main() -> None:
    """Measure in a folder that is thrown away, and print."""
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(json.dumps(measure(Path(folder))) + "\n")


if __name__ == "__main__":
    main()
