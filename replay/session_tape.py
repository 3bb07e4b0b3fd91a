"""What a session was told, taken out of its journal as a tape.

The journal has every input with its time, so the tape has them too, and a replay of it with the session's settings
decides what the session decided, to the same digest. Not on the tape is what people said: a session that was paused,
flattened or halted has decisions that no market explains.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from actors.runtime.journal import decode_input
from replay.tape.recording import COLUMNS, HEARD, Broke, Opened, encode_said

if TYPE_CHECKING:
    from replay.plan import SessionPlan
    from replay.tape.recording import Said

FILE_NAME = "tape.parquet"
_PART_ROWS = 500_000
_SCHEMA = {"ts": pl.Int64, "seq": pl.Int64, "message": pl.String}


class SessionTape:
    """Takes a session's inputs and writes them as a recorded feed.

    Args:
        plan: the session's.
        folder: where the file goes; parts of it stand there meanwhile, in a folder of their own.
    """

    def __init__(self, plan: SessionPlan, folder: Path) -> None:
        self._plan = plan
        self._parts = tempfile.TemporaryDirectory(prefix=".tape-", dir=folder)
        self._target = folder / FILE_NAME
        self._rows: list[tuple[int, int, str]] = []
        self._count = 0
        self._run = 0

    def take(self, ts_ns: int, run: int, payload: bytes) -> None:
        """Take one input of the journal, the next in order."""
        if run != self._run:
            for said in self._interrupted(run) if self._run else self._opened():
                self._add(ts_ns, said)
            self._run = run
        message = decode_input(payload)
        if isinstance(message, HEARD):
            self._add(ts_ns, message)

    def write(self) -> tuple[Path, int]:
        """Write what was taken; return the file and its number of rows."""
        self._flush()
        parts = sorted(Path(self._parts.name).iterdir())
        partial = Path(self._parts.name) / "whole.parquet"
        pl.scan_parquet(parts, glob=False).sink_parquet(partial)
        partial.replace(self._target)
        return self._target, self._count

    def close(self) -> None:
        """Remove what is left of the parts."""
        self._parts.cleanup()

    def _opened(self) -> list[Opened]:
        """Return by what rules the session heard its markets, a row for each symbol."""
        plan = self._plan
        is_live = plan.settings.feed.source == "exchange"
        streams = tuple(plan.settings.exchange.streams) if is_live else (plan.tape,)
        return [
            Opened(series.symbol, series.timeframe_ns, spec, streams, series.ticks, plan.start_ns, ordinal)
            for ordinal, (series, spec) in enumerate(zip(plan.series, plan.instruments, strict=True))
        ]

    def _interrupted(self, run: int) -> list[Broke]:
        return [Broke(series.symbol, "session", f"it went on with run {run}", 0) for series in self._plan.series]

    def _add(self, ts_ns: int, said: Said) -> None:
        text = encode_said(said)
        if text is not None:
            self._rows.append((ts_ns, self._count, text.decode()))
            self._count += 1
            if len(self._rows) >= _PART_ROWS:
                self._flush()

    def _flush(self) -> None:
        part = Path(self._parts.name) / f"{self._count:015}.parquet"
        pl.DataFrame(self._rows, schema=_SCHEMA, orient="row").select(COLUMNS).write_parquet(part)
        self._rows.clear()
