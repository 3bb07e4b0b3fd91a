"""What a check finds: one entry for each kind of defect, with where it is met first.

An *error* is what no replay may play: it would be refused, or is false. A *note* is what a trader should know and
may well be true: hours in which nobody traded, an outage, a jump.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "note"]

MEANINGS: dict[str, tuple[Severity, str]] = {
    "newest_first": ("error", "the newest row is first; sort by time"),
    "out_of_order": ("error", "rows earlier than the row before them"),
    "duplicate_differing": ("error", "rows of one time, or of one id, that contradict each other"),
    "duplicate_identical": ("error", "rows that are there twice"),
    "overlap": ("error", "bars that begin before the one before them has ended"),
    "not_finite": ("error", "values that are empty or no finite number"),
    "empty_volume": ("error", "bars whose volume is empty, among others that have one"),
    "price_not_positive": ("error", "prices that are zero or negative"),
    "high_below_low": ("error", "the high is below the low"),
    "outside_range": ("error", "open or close outside high and low"),
    "negative_volume": ("error", "volumes, quantities or open interest below zero"),
    "columns_swapped": ("error", "volume and quote volume in each other's place"),
    "prices_swapped": ("error", "columns of prices in each other's place"),
    "crossed": ("error", "the bid is above the ask"),
    "side_unclear": ("error", "sides other than buy, sell or unknown"),
    "seq_backwards": ("error", "update ids smaller than one before"),
    "gap": ("note", "stretches in which rows are missing"),
    "missing_ids": ("note", "ids that were left out"),
    "ids_backwards": ("note", "ids smaller than one before"),
    "repeated_time": ("note", "rows at the time of the row before, as is usual for trades"),
    "repeated_row": ("note", "rows equal to another; without ids nobody can tell whether they are there twice"),
    "zero_volume": ("note", "bars without volume"),
    "synthetic": ("note", "bars that were filled in where there had been none"),
    "no_volume": ("note", "there is no volume in any row, as in bars of a mark price"),
    "jitter": ("note", "times a little beside the full minute"),
    "interval_change": ("note", "rows closer to the row before than usual"),
    "off_grid": ("note", "bars that do not begin on the grid of their timeframe in UTC: perhaps local time"),
    "dst": ("note", "exactly an hour missing or repeated where clocks are changed: perhaps local time"),
    "outlier": ("note", "prices that leap and come straight back, or leap by three times and more"),
    "partial_last": ("note", "the last bar seems to have been taken before it was over"),
    "published_early": ("note", "values published before the time they speak of"),
}
"""Every kind of finding, in the order of a report."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of defect of one series."""

    kind: str
    severity: Severity
    count: int
    """How many rows, or for gaps how many gaps."""
    first_row: int
    """Where it is met first in the order of time; counted from 1 as the rows stand in the file, without the header."""
    first_ns: int
    """Time of that row."""
    example: str
    """The first one, in words."""
    figures: dict[str, int] = {}
    """More numbers, by name: `missing` and `longest` of gaps, in rows."""


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say about one series."""

    where: str
    """The name of the file or series."""
    kind: str
    rows: int
    first_ns: int | None
    """Earliest time; ``None`` if there are no rows."""
    last_ns: int | None
    timeframe_ns: int | None
    """Given, or the most frequent step; ``None`` where rows stand on no grid."""
    findings: list[Finding]

    @property
    def errors(self) -> int:
        """Number of kinds of error found."""
        return sum(finding.severity == "error" for finding in self.findings)

    def found(self, kind: str) -> Finding | None:
        """Return the finding of a kind, if there is one."""
        return next((finding for finding in self.findings if finding.kind == kind), None)


class Collector:
    """Adds up what is found, kind by kind."""

    __slots__ = ("_counts", "_figures", "_first")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, tuple[int, int, str]] = {}
        self._figures: dict[str, dict[str, int]] = {}

    def add(self, kind: str, count: int, row: int, ns: int, example: str, **figures: int) -> None:
        """Count a finding; the example of the first one is kept."""
        assert kind in MEANINGS
        self._counts[kind] = self._counts.get(kind, 0) + count
        self._first.setdefault(kind, (row, ns, example))
        if figures:
            self._figures[kind] = figures

    def figure(self, kind: str, **figures: int) -> None:
        """Set more numbers of a kind that was found."""
        self._figures[kind] = figures

    def counted(self, kind: str) -> int:
        """Return how often a kind was found so far."""
        return self._counts.get(kind, 0)

    def drop(self, kind: str) -> None:
        """Forget a kind that turned out to be something else."""
        self._counts.pop(kind, None)
        self._first.pop(kind, None)
        self._figures.pop(kind, None)

    def findings(self) -> list[Finding]:
        """Return what was found, in the order of `MEANINGS`."""
        found = []
        for kind, (severity, _) in MEANINGS.items():
            if kind in self._counts:
                row, ns, example = self._first[kind]
                found.append(
                    Finding(
                        kind=kind,
                        severity=severity,
                        count=self._counts[kind],
                        first_row=row,
                        first_ns=ns,
                        example=example,
                        figures=self._figures.get(kind, {}),
                    )
                )
        return found
