"""Writes bars into a catalogue from a process of its own: ROOT FIRST_ROW ROWS [STEP [BYTES]], killed before that step.

A step is something that reaches the disk: a file made durable or renamed. No file may become larger than BYTES.
"""

import os
import pathlib
import resource
import signal
import sys

import numpy as np
import polars as pl

from config.errors import UserError
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey

MINUTE = 60_000_000_000
START = 1_704_067_200_000_000_000


def main(root: str, first: int, rows: int, kill_at: int) -> None:
    steps = 0

    def step(event: str, _: object) -> None:
        nonlocal steps
        if event in {"os.rename", "pitboss.sync"}:
            steps += 1
            if steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    fsync = os.fsync

    def audited(fd: int) -> None:
        sys.audit("pitboss.sync", fd)
        fsync(fd)

    setattr(os, "fsync", audited)  # noqa: B010 - a name that mypy takes for a constant
    sys.addaudithook(step)
    number = np.arange(first, first + rows, dtype=np.int64)
    close = np.round(100 + 3 * np.sin((START // MINUTE + number) / 5.0), 2)
    frame = pl.DataFrame(
        {
            "ts": START + MINUTE * number,
            "open": close,
            "high": close + 0.25,
            "low": close - 0.25,
            "close": close,
            "volume": 1.0 + number % 7,
        }
    )
    key = SeriesKey("bars", "binance", "BTC/USDT", MINUTE)
    slices = (frame.slice(start, 10_000) for start in range(0, rows, 10_000))
    Catalogue(pathlib.Path(root)).write(key, slices, Provenance(f"{first}.csv", f"{first}-{rows}"))


if __name__ == "__main__":
    if len(sys.argv) > 5:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]), resource.RLIM_INFINITY))
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    except UserError as refused:
        sys.exit(f"refused: {refused}")
