"""The other process of `replay.tape.proof`: reads files from their first row to their last, and says how that went.

One line of JSON comes in for each file, one goes out. It ends when nobody has asked for a while, or will any more.
"""

from __future__ import annotations

import json
import select
import signal
import sys
from typing import Any

import polars as pl

IDLE_S = 30.0
_SLICE_ROWS = 262_144


def main() -> None:
    """Answer until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks ends us
    asked = sys.stdin.buffer
    _say({"ready": True})
    while select.select([asked], [], [], IDLE_S)[0]:
        line = asked.readline()
        if not line:
            return
        _say({"trouble": trouble_of(**json.loads(line))})


def trouble_of(path: str, form: str) -> str | None:
    """Return why a file cannot be read, in one line; None if it can."""
    try:
        table: Any = pl.scan_ipc(path, glob=False) if form == "feather" else None
        if table is None:
            table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        rows = table.select(pl.len()).collect().item()
        for start in range(0, rows, _SLICE_ROWS):
            if table.slice(start, _SLICE_ROWS).collect().height != min(_SLICE_ROWS, rows - start):
                return "there are fewer rows than it says"
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        lines = str(error).strip().splitlines()
        return lines[0] if lines else type(error).__name__
    return None


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
