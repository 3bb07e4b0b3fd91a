"""What only rows in the order of time have wrong: gaps, duplicates, times beside the grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from config.timeframe import format_timeframe, origin_ns
from replay.tape.checking.clock_changes import HOUR_NS, is_clock_change
from replay.tape.checking.rows import Batch
from replay.tape.columns import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from replay.tape.checking.report import Collector
    from replay.tape.columns import Floats, Integers

JITTER_NS = 60_000_000_000
"""Settlements are told with a few milliseconds too many: times are rounded to this."""
_ONE_A_TIME = frozenset({"bars", "mark", "index", "premium", "funding", "open_interest", "values"})
"""Kinds with one row a time; of values, one a time and publication: what is published again later is a correction."""
_GRID = frozenset({"bars", "mark", "index", "premium"})
_REPEATS = frozenset({"trades", "liquidations", "quotes"})
"""Kinds whose rows may share a time."""


class SequenceChecks:
    """Takes rows in the order of time; rows of one time come together, sorted by id or by all values."""

    __slots__ = (
        "_found",
        "_gap_longest",
        "_gap_missing",
        "_ids_missing",
        "_kind",
        "_last",
        "_off_grid",
        "_rows",
        "_timeframe_ns",
    )

    def __init__(self, kind: str, timeframe_ns: int | None, found: Collector) -> None:
        self._kind = kind
        self._timeframe_ns = timeframe_ns
        self._found = found
        self._gap_missing = 0
        self._gap_longest = 0
        self._ids_missing = 0
        self._off_grid = 0
        self._rows = 0
        self._last: Batch | None = None

    def take(self, batch: Batch) -> None:
        """Note what is wrong between these rows, and between the last ones and these."""
        if not len(batch):
            return
        self._rows += len(batch)
        whole = batch if self._last is None else joined([self._last, batch])
        if self._timeframe_ns is not None:
            self._check_steps(whole, self._timeframe_ns)
            if self._timeframe_ns == HOUR_NS and self._kind in _GRID:
                self._check_repeated_hours(whole)
            self._check_grid(batch, self._timeframe_ns)
        if self._kind == "book":
            back = np.flatnonzero(np.diff(whole.values["seq"]) < 0)
            if len(back):
                text = f"update {int(whole.values['seq'][back[0] + 1])}"
                self._note("seq_backwards", len(back), whole, int(back[0]), text)
        else:
            self._check_duplicates(whole)
        self._last = between(batch, len(batch) - 1, len(batch))

    def _check_steps(self, whole: Batch, timeframe_ns: int) -> None:
        ts = whole.ts
        if self._kind == "funding":
            ts = np.rint(ts / JITTER_NS).astype(np.int64) * JITTER_NS
        steps = np.diff(ts)
        gaps = np.flatnonzero(steps >= 2 * timeframe_ns)
        if len(gaps):
            missing = steps[gaps] // timeframe_ns - 1
            self._gap_missing += int(missing.sum())
            self._gap_longest = max(self._gap_longest, int(missing.max()))
            index = int(gaps[0])
            text = (
                f"{int(missing[0]):,} missing between {time_text(int(ts[index]))} and {time_text(int(ts[index + 1]))}"
            )
            self._found.add(
                "gap",
                len(gaps),
                int(whole.rows[index + 1]),
                int(ts[index + 1]),
                text,
                missing=self._gap_missing,
                longest=self._gap_longest,
            )
        short = np.flatnonzero((steps > 0) & (steps < timeframe_ns))
        if len(short):
            index = int(short[0])
            text = f"only {format_timeframe(int(steps[index]))} after the row before it"
            kind = "overlap" if self._kind in _GRID else "interval_change"
            self._found.add(kind, len(short), int(whole.rows[index + 1]), int(ts[index + 1]), text)
        for index in np.flatnonzero((np.abs(steps - timeframe_ns) == HOUR_NS) & (steps > 0)).tolist():
            after = int(ts[index + 1])
            if is_clock_change(after) or (timeframe_ns > HOUR_NS and is_clock_change(int(ts[index]))):
                text = f"{format_timeframe(int(steps[index]))} from {time_text(int(ts[index]))}"
                self._found.add("dst", 1, int(whole.rows[index + 1]), after, text)

    def _check_repeated_hours(self, whole: Batch) -> None:
        """Note hours that are there twice on a day of a change: bars of an hour each, so nothing goes back in time."""
        for index in np.flatnonzero(np.diff(whole.ts) == 0).tolist():
            ns = int(whole.ts[index])
            if is_clock_change(ns):
                row = int(whole.rows[index : index + 2].max())
                self._found.add("dst", 1, row, ns, f"the hour of {time_text(ns)} is there twice")

    def _check_grid(self, batch: Batch, timeframe_ns: int) -> None:
        if self._kind == "funding":
            beside = np.rint(batch.ts / JITTER_NS).astype(np.int64) * JITTER_NS != batch.ts
            kind = "jitter"
        elif self._kind in _GRID:
            beside = (batch.ts - origin_ns(timeframe_ns)) % timeframe_ns != 0
            kind = "off_grid"
        else:
            return
        if beside.any():
            index = int(beside.argmax())
            ns = int(batch.ts[index])
            self._found.add(kind, int(beside.sum()), int(batch.rows[index]), ns, f"at {time_text(ns)}")

    def _check_duplicates(self, whole: Batch) -> None:
        same = np.diff(whole.ts) == 0
        if "published" in whole.values:
            same &= np.diff(whole.values["published"]) == 0
        ids = whole.values.get("id")
        if ids is not None:
            steps = np.diff(ids)
            left_out = np.flatnonzero(steps > 1)
            self._ids_missing += int((steps[left_out] - 1).sum())
            if len(left_out):
                index = int(left_out[0])
                text = f"{int(steps[index]) - 1:,} between id {int(ids[index])} and {int(ids[index + 1])}"
                self._note("missing_ids", len(left_out), whole, index, text, missing=self._ids_missing)
            back = np.flatnonzero((steps < 0) & ~same)
            if len(back):
                self._note("ids_backwards", len(back), whole, int(back[0]), f"id {int(ids[back[0] + 1])}")
        if not same.any():
            return
        if self._kind in _REPEATS:
            index = int(same.argmax())
            self._note("repeated_time", int(same.sum()), whole, index, f"at {time_text(int(whole.ts[index]))}")
        equal = same & equal_rows(whole)
        keyed = same if self._kind in _ONE_A_TIME else same & (np.diff(ids) == 0) if ids is not None else None
        if keyed is None:
            if equal.any():
                self._note("repeated_row", int(equal.sum()), whole, int(equal.argmax()), _row_text(whole, equal))
            return
        for kind, mask in (("duplicate_identical", keyed & equal), ("duplicate_differing", keyed & ~equal)):
            if mask.any():
                self._note(kind, int(mask.sum()), whole, int(mask.argmax()), _row_text(whole, mask))

    def _note(self, kind: str, count: int, whole: Batch, index: int, text: str, **figures: int) -> None:
        """Note a finding about the row after `index`, or the later one in the file if both are of one time."""
        same = whole.ts[index] == whole.ts[index + 1]
        row = int(whole.rows[index : index + 2].max() if same else whole.rows[index + 1])
        self._found.add(kind, count, row, int(whole.ts[index + 1]), text, **figures)


def in_order(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield rows sorted by (ts, id or all values, row), those of one time never apart.

    Args:
        batches: rows that do not go back in time from one batch to the next.
    """
    held: list[Batch] = []
    for batch in batches:
        if not len(batch):
            continue
        held.append(batch)
        if held[0].ts[0] == batch.ts[-1]:
            continue
        whole = joined(held)
        end = int(np.searchsorted(whole.ts, whole.ts[-1]))
        yield _sorted(between(whole, 0, end))
        held = [between(whole, end, len(whole))]
    if held:
        yield _sorted(joined(held))


def joined(batches: list[Batch]) -> Batch:
    """Return batches as one."""
    if len(batches) == 1:
        return batches[0]
    return Batch(
        np.concatenate([batch.rows for batch in batches]),
        np.concatenate([batch.ts for batch in batches]),
        {name: np.concatenate([batch.values[name] for batch in batches]) for name in batches[0].values},
    )


def between(batch: Batch, start: int, stop: int) -> Batch:
    """Return the rows from `start` up to, but not with, `stop`."""
    return taken(batch, slice(start, stop))


def taken(batch: Batch, index: slice | Integers | NDArray[np.bool_]) -> Batch:
    """Return the rows an index of numpy selects."""
    return Batch(batch.rows[index], batch.ts[index], {name: column[index] for name, column in batch.values.items()})


def _sorted(batch: Batch) -> Batch:
    """Return rows by time; those of one time by id or publication, or by all values if there are none."""
    if (np.diff(batch.ts) > 0).all():
        return batch
    if "id" in batch.values:
        keys = (batch.rows, batch.values["id"], batch.ts)
    elif "seq" in batch.values:
        keys = (batch.rows, batch.values["seq"], batch.ts)
    elif "published" in batch.values:
        keys = (batch.rows, batch.values["published"], batch.ts)
    else:
        keys = (batch.rows, *reversed([*batch.values.values()]), batch.ts)  # type: ignore[assignment]
    return taken(batch, np.lexsort(keys))


def equal_rows(whole: Batch) -> NDArray[np.bool_]:
    """Return which rows equal the row before them, an empty value being equal to another."""
    equal = np.ones(len(whole) - 1, np.bool_)
    for column in whole.values.values():
        equal &= (column[1:] == column[:-1]) | (np.isnan(column[1:]) & np.isnan(column[:-1]))
    return equal


def _row_text(whole: Batch, mask: NDArray[np.bool_]) -> str:
    """Return the first row of a mask beside the one it repeats, in the order of the file."""
    index = int(mask.argmax())
    first, second = sorted((index, index + 1), key=lambda each: int(whole.rows[each]))
    pairs: Iterable[tuple[str, Floats]] = whole.values.items()
    differing = [
        f"{name} {column[first]:g} and {column[second]:g}"
        for name, column in pairs
        if column[first] != column[second] and not np.isnan(column[first])
    ]
    rows = f"rows {int(whole.rows[first]):,} and {int(whole.rows[second]):,}"
    return rows + (f": {', '.join(differing[:3])}" if differing else "")
