"""A long tape needs no more memory than a short one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

SHORT, LONG = 300_000, 2_000_000
CODE = """
import resource, sys
from collections import deque
from replay.tape import open_tape
for file in sys.argv[1:]:
    tape = open_tape([f"A={file}"])
    deque(tape.bars(), 0)
    print(tape.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_memory_does_not_grow_with_the_tape(tmp_path: Path, suffix: str) -> None:
    """In one process, a short tape and then a long one, which in memory would take 96 MB."""
    files = []
    for rows in (SHORT, LONG):
        price = pl.Series(np.full(rows, 100.0))
        times = pl.Series(1_700_000_000_000 + 60_000 * np.arange(rows))
        names = ("open", "high", "low", "close", "volume")
        frame = pl.DataFrame({"ts": times, **dict.fromkeys(names, price)})
        files.append(tmp_path / f"{rows}.{suffix}")
        (frame.write_parquet if suffix == "parquet" else frame.write_csv)(files[-1])
    done = subprocess.run(
        [sys.executable, "-c", CODE, *files],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    (short, short_kib), (long, long_kib) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (short, long) == (SHORT, LONG)
    assert long_kib - short_kib < 32 * 1_024
