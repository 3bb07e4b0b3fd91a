"""Rows on their way into a series: sorted into stretches of time, and written out as soon as there are many.

Sorted input is written once and then only renamed. Input in any other order comes back to a stretch that was already
written; the pieces of one stretch are then merged when all have come. What is full is written by a thread of its own,
while the next rows are read: in memory there are at most twice `PENDING_ROWS_MAX` rows, or the rows of one stretch.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from replay.tape.catalogue.folders import sha256_of, sync
from replay.tape.catalogue.manifest import Part, check_step
from replay.tape.catalogue.merging import Conflict, Merged, OnConflict, settle, stack, unite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replay.tape.catalogue.keys import SeriesKey
    from replay.tape.kinds import Kind

PENDING_ROWS_MAX = 1_000_000
_DAY_NS = 86_400 * 10**9
_PERIOD = "_period"
_NAMES = {"1mo": "%Y-%m", "1d": "%Y-%m-%d", "1h": "%Y-%m-%dT%H"}
"""How a stretch is called, by its length."""


class Run(msgspec.Struct, frozen=True):
    """A file of settled rows of one stretch."""

    path: Path
    part: Part
    """What it would be as a part of the series."""


class Spill:
    """Takes the rows of one import in the order they come and keeps them by stretch of time."""

    __slots__ = (
        "_folder",
        "_job",
        "_key",
        "_kind",
        "_on_conflict",
        "_pending",
        "_pending_rows",
        "_writer",
        "_written",
        "conflicts",
        "examples",
        "runs",
    )

    def __init__(self, key: SeriesKey, kind: Kind, folder: Path, on_conflict: OnConflict) -> None:
        self._key = key
        self._kind = kind
        self._folder = folder
        self._on_conflict = on_conflict
        self._pending: dict[str, list[pl.DataFrame]] = {}
        self._pending_rows = 0
        self._writer = ThreadPoolExecutor(1, "catalogue")
        self._job: Future[None] | None = None
        """What the writer is at; it has `runs`, `conflicts` and `examples` until that is done."""
        self._written = 0
        self.runs: dict[str, list[Run]] = {}
        """By stretch, in the order they were written."""
        self.conflicts = 0
        """Within the import itself."""
        self.examples: list[Conflict] = []

    def take(self, frame: pl.DataFrame) -> None:
        """Keep the next rows, canonical and at least one."""
        for period, rows in periods(frame, self._kind):
            self._pending.setdefault(period, []).append(rows)
        self._pending_rows += frame.height
        if self._pending_rows > PENDING_ROWS_MAX:
            newest = max(self._pending)
            kept = self._pending.pop(newest)
            kept_rows = sum(each.height for each in kept)
            if kept_rows > PENDING_ROWS_MAX:
                self._pending[newest], kept, kept_rows = kept, [], 0
            self._write_pending()
            if kept:
                self._pending[newest] = kept
            self._pending_rows = kept_rows

    def finish(self) -> None:
        """Write what is still in memory, and wait until all is written."""
        self._write_pending()
        self._wait()

    def close(self) -> None:
        """End the writer, when what it is at is done."""
        self._writer.shutdown()

    def united(self, period: str) -> Run:
        """Return one run for all of a stretch."""
        runs = self.runs[period]
        if len(runs) == 1:
            return runs[0]
        frames = [pl.read_parquet(run.path, glob=False) for run in runs]
        return self.write(period, self._count(settle(stack(frames, self._kind), self._kind, self._on_conflict)))

    def unite(self, period: str, base: Path, run: Run) -> Run | None:
        """Return the run of a stretch together with what was there, proven whole; ``None`` if that is all of it."""
        there, came = (pl.read_parquet(path, glob=False) for path in (base, run.path))
        merged = self._count(unite(there, came, self._kind, self._on_conflict, str(self._key)))
        return None if merged.equals(there) else self.write(period, merged)

    def write(self, period: str, frame: pl.DataFrame) -> Run:
        """Write settled rows to a file, durably; two equal frames make two equal files.

        Raises:
            UserError: two bars are closer than the timeframe.
        """
        gaps, missing = gaps_of(frame, self._key)
        path = self._folder / f"{self._written}.parquet"
        self._written += 1
        frame.rechunk().write_parquet(path)
        sync(path)
        sha256 = sha256_of(path)
        part = Part(
            period=period,
            file=f"{period}.{sha256[:12]}.parquet",
            rows=frame.height,
            first_ns=frame.item(0, "ts"),
            last_ns=frame.item(-1, "ts"),
            gaps=gaps,
            missing=missing,
            columns=tuple(frame.columns),
            sha256=sha256,
        )
        return Run(path, part)

    def _write_pending(self) -> None:
        """Have the rows in memory written, as soon as those before them are."""
        pending, self._pending, self._pending_rows = self._pending, {}, 0
        self._wait()
        self._job = self._writer.submit(self._write_all, pending)

    def _wait(self) -> None:
        """Wait for the writer, and raise what it met."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def _write_all(self, pending: dict[str, list[pl.DataFrame]]) -> None:
        for period in list(pending):
            settled = self._count(settle(stack(pending.pop(period), self._kind), self._kind, self._on_conflict))
            self.runs.setdefault(period, []).append(self.write(period, settled))

    def _count(self, merged: Merged) -> pl.DataFrame:
        self.conflicts += merged.conflicts
        self.examples += merged.examples
        return merged.frame


def periods(frame: pl.DataFrame, kind: Kind) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the rows of each month or day; a frame that lies within one is not looked at row by row."""
    ts = frame.get_column("ts")
    first, last = (_period_of(ns, kind) for ns in (ts.min(), ts.max()))
    if first == last:
        yield first, frame
        return
    period = pl.from_epoch(pl.col("ts"), "ns").dt.truncate(_length(kind))
    parts = frame.with_columns(period.alias(_PERIOD)).partition_by(_PERIOD, maintain_order=True, include_key=False)
    for part in parts:
        yield _period_of(part.item(0, "ts"), kind), part


def gaps_of(frame: pl.DataFrame, key: SeriesKey) -> tuple[int, int]:
    """Return in how many places bars are missing, and how many.

    Raises:
        UserError: two bars are closer than the timeframe.
    """
    if key.timeframe_ns is None or frame.height == 1:
        return 0, 0
    step = frame.get_column("ts").diff()
    smallest = step.arg_min()
    if smallest is not None:
        check_step(key, step[smallest], frame.item(smallest, "ts"))
    wide = step.filter(step > key.timeframe_ns)
    return len(wide), int((wide // key.timeframe_ns - 1).sum())


def _period_of(ns: object, kind: Kind) -> str:
    assert isinstance(ns, int)
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime(_NAMES[_length(kind)])


def _length(kind: Kind) -> str:
    """Return the length of a stretch, as polars writes it."""
    return "1h" if kind.by_hour else "1d" if kind.by_day else "1mo"
