"""A check from the first row to the last, in bounded memory.

Two passes: one over the times alone, then one over all rows in the order of time. A file that is not in that order is
read again for every stretch of it, of whole hours and about `STRETCH_ROWS` rows, so that its defects are told exactly
and still in bounded memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from config.errors import UserError
from config.timeframe import format_timeframe
from replay.tape.checking import reading
from replay.tape.checking.market import Leaps, VolumeChecks
from replay.tape.checking.report import CheckReport, Collector
from replay.tape.checking.rows import RowChecks
from replay.tape.checking.sequence import JITTER_NS, SequenceChecks, in_order, joined, taken
from replay.tape.checking.survey import Survey
from replay.tape.columns import time_text
from replay.tape.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.tape.checking.reading import Rows
    from replay.tape.checking.rows import Batch

STRETCH_ROWS = 1_000_000
"""Rows held at once of a file that is not in order."""
_STEPPED = frozenset({"funding", "open_interest", "values"})
"""Kinds with a usual step, though without a timeframe."""


def check(rows: Rows, *, timeframe_ns: int | None = None) -> CheckReport:
    """Return all that is wrong with a series, or unusual.

    Args:
        rows: the series.
        timeframe_ns: length of a bar; the most frequent step when ``None``.

    Raises:
        UserError: the source cannot be read, or has no rows, or no two bars are a usual step apart.
    """
    return check_with_leaps(rows, timeframe_ns)[0]


def check_with_leaps(rows: Rows, timeframe_ns: int | None) -> tuple[CheckReport, list[int]]:
    """Return what `check` does, and the numbers of all rows whose price leaps.

    Raises:
        UserError: as `check` does.
    """
    found = Collector()
    kind = KINDS[rows.kind]
    survey = surveyed(rows)
    grid_ns = timeframe_ns
    if grid_ns is None and (kind.has_timeframe or rows.kind in _STEPPED):
        grid_ns = usual_step_ns(rows, survey)
    if kind.has_timeframe and grid_ns is None:
        message = f"{rows.where}: no step between bars is usual; give the timeframe with --timeframe"
        raise UserError(message)
    survey.report(found, grid_ns)
    single = RowChecks(rows.kind, found)
    sequence = SequenceChecks(rows.kind, grid_ns, found)
    price = "close" if kind.has_timeframe else "price"
    leaps = Leaps(price, found) if rows.kind in {"bars", "mark", "index", "trades"} else None
    volumes = VolumeChecks(found) if rows.kind == "bars" else None
    first_ns = last_ns = None
    for batch in in_order(stretches(rows, survey)):
        single.take(batch)
        sequence.take(batch)
        if leaps is not None:
            leaps.take(batch)
        if volumes is not None:
            volumes.take(batch)
        first_ns = int(batch.ts[0]) if first_ns is None else first_ns
        last_ns = int(batch.ts[-1])
    if leaps is not None:
        leaps.close()
    single.close(survey.first_ns)
    if volumes is not None:
        volumes.close(has_no_volume=single.has_no_volume)
        if rows.written_ns is not None and grid_ns is not None and volumes.last_ns + grid_ns > rows.written_ns:
            found.drop("partial_last")
            text = f"{time_text(volumes.last_ns)} ends after the file was written, at {time_text(rows.written_ns)}"
            found.add("partial_last", 1, volumes.last_row, volumes.last_ns, text)
    report = CheckReport(
        where=rows.where,
        kind=rows.kind,
        rows=survey.rows,
        first_ns=first_ns,
        last_ns=last_ns,
        timeframe_ns=grid_ns,
        findings=found.findings(),
    )
    return report, [] if leaps is None else leaps.rows


def usual_step_ns(rows: Rows, survey: Survey) -> int | None:
    """Return the most frequent step between rows in the order of time, or nothing if none is usual."""
    if not survey.backward or survey.descending:
        return survey.usual_step_ns()
    ordered = Survey(rows.where, survey.round_ns)
    for batch in in_order(stretches(rows, survey)):
        ordered.take(batch.ts)
    return ordered.usual_step_ns()


def surveyed(rows: Rows) -> Survey:
    """Return what the times of a series alone tell.

    Raises:
        UserError: the source cannot be read, or has no rows.
    """
    survey = Survey(rows.where, JITTER_NS if rows.kind == "funding" else 1)
    for batch in rows.batches():
        survey.take(batch.ts)
    if not survey.rows:
        message = f"{rows.where}: there are no rows"
        raise UserError(message)
    return survey


def stretches(rows: Rows, survey: Survey) -> Iterator[Batch]:
    """Yield the rows of a series so that no batch goes back behind the one before."""
    if not survey.backward:
        yield from rows.batches()
        return
    for start_ns, stop_ns in survey.stretches(STRETCH_ROWS):
        parts = []
        for batch in rows.batches():
            inside = (batch.ts >= start_ns) & (batch.ts < stop_ns)
            if inside.any():
                parts.append(batch if inside.all() else taken(batch, inside))
        whole = joined(parts)
        parts.clear()
        order = np.argsort(whole.ts, kind="stable")
        for start in range(0, len(order), reading.BATCH_ROWS):
            yield taken(whole, order[start : start + reading.BATCH_ROWS])


def summary_of(report: CheckReport) -> str:
    """Return a series in one line: what it is, how long, from when to when."""
    step = f" of {format_timeframe(report.timeframe_ns)}" if report.timeframe_ns is not None else ""
    assert report.first_ns is not None
    assert report.last_ns is not None
    span = f"{time_text(report.first_ns)} to {time_text(report.last_ns)}"
    return f"{report.kind}{step}, {report.rows:,} rows, {span} UTC"
