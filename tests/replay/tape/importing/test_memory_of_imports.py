"""A long file needs no more memory than a short one, in whichever format it comes."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

SHORT, LONG = 100_000, 1_000_000
CODE = """
import resource, sys
from replay.tape.importing import inspect, read
for file in sys.argv[1:]:
    rows = sum(frame.height for frame in read(file, inspect(file)))
    print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "json"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str) -> None:
    """In one process, a short file and then one of ten times the rows, whose columns alone would take 48 MB."""
    files = []
    for rows in (SHORT, LONG):
        frame = pl.DataFrame({"ts": 1_700_000_000_000 + 60_000 * np.arange(rows)})
        names = ("open", "high", "low", "close", "volume")
        frame = frame.with_columns(*((pl.col("ts") % 977 / 8 + 100).alias(name) for name in names))
        path = tmp_path / f"{rows}.{suffix}"
        files.append(path)
        if suffix == "json":
            path.write_text(json.dumps(frame.rows()))
        elif suffix == "csv":
            frame.write_csv(path)
        else:
            path.write_bytes(gzip.compress(frame.write_csv().encode(), 1))
    done = subprocess.run(
        [sys.executable, "-c", CODE, *files],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    (short, short_kib), (long, long_kib) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (short, long) == (SHORT, LONG)
    assert long_kib - short_kib < 32 * 1_024
