"""A repaired copy of a series: what was found is treated by the policy named for it, and the original stays as it is.

The copy is written beside its place, checked from its first row to its last, and only then put there in one step. Where
a finding's policy is `fail`, as it is for all that only a person can judge, nothing is written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from config.errors import UserError, nearest
from replay.tape.catalogue.manifest import MANIFEST_NAME
from replay.tape.checking.checks import check, check_with_leaps, stretches, surveyed
from replay.tape.checking.files import open_rows
from replay.tape.checking.market import volume_places
from replay.tape.checking.report import MEANINGS, CheckReport
from replay.tape.checking.rows import Batch, defects
from replay.tape.checking.sequence import equal_rows, in_order, joined, taken
from replay.tape.kinds import KINDS, POLARS_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from replay.tape.checking.reading import Rows

POLICIES: dict[str, tuple[str, ...]] = {
    "newest_first": ("sort", "fail"),
    "out_of_order": ("sort", "fail"),
    "duplicate_identical": ("drop", "fail"),
    "duplicate_differing": ("fail", "first", "last"),
    "overlap": ("fail",),
    "not_finite": ("fail", "drop"),
    "empty_volume": ("fail", "drop"),
    "price_not_positive": ("fail", "drop"),
    "high_below_low": ("fail", "drop"),
    "outside_range": ("fail", "drop"),
    "negative_volume": ("fail", "drop"),
    "columns_swapped": ("fail", "swap"),
    "prices_swapped": ("fail",),
    "crossed": ("fail", "drop"),
    "side_unclear": ("fail", "drop"),
    "seq_backwards": ("fail",),
    "gap": ("keep", "fill", "fail"),
    "repeated_row": ("keep", "drop", "fail"),
    "zero_volume": ("keep", "drop", "fail"),
    "outlier": ("keep", "drop", "fail"),
    "partial_last": ("keep", "drop", "fail"),
    "dst": ("keep", "fail"),
    "off_grid": ("keep", "fail"),
}
"""What can be done about each finding; the first is done unless another is named. Other findings are kept."""
FILLED_ROWS_MAX = 5_000_000
"""Rows filled in at most: a gap of more is a wrong time, as a rule."""


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a series."""

    out: str
    before: CheckReport
    after: CheckReport
    policies: dict[str, str]
    """What was done, by finding."""
    rows_dropped: int
    rows_filled: int
    rows_swapped: int


def parse_policies(texts: Sequence[str]) -> dict[str, str]:
    """Return the policies of ``NAME=HOW``, by finding.

    Raises:
        UserError: there is no such finding, or nothing of the kind can be done about it.
    """
    policies = {}
    for text in texts:
        name, equals, how = text.partition("=")
        if not equals:
            message = f"--policy {text}: write it as NAME=HOW, for example gap=fill"
            raise UserError(message)
        if name not in POLICIES:
            message = f"--policy {text}: there is no policy for {name!r}{nearest(name, POLICIES)}"
            raise UserError(message)
        if how not in POLICIES[name]:
            message = (
                f"--policy {text}: {name} can be treated by: {', '.join(POLICIES[name])}{nearest(how, POLICIES[name])}"
            )
            raise UserError(message)
        policies[name] = how
    return policies


def repair(rows: Rows, out: Path, policies: Mapping[str, str], *, timeframe_ns: int | None = None) -> Repair:
    """Write a repaired copy of a series as Parquet.

    Args:
        rows: the series.
        out: the file to write; one that is there is replaced, in one step.
        policies: what to do, by finding, where that is not the first of `POLICIES`.
        timeframe_ns: as for `check`.

    Raises:
        UserError: a finding's policy is `fail`, errors would be left, or the file cannot be written; nothing is then.
    """
    _check_out(rows, out)
    before, leaps = check_with_leaps(rows, timeframe_ns)
    chosen = {
        finding.kind: policies.get(finding.kind, POLICIES[finding.kind][0])
        for finding in before.findings
        if finding.kind in POLICIES
    }
    _refuse(before, chosen)
    work = _Work(before, chosen, leaps)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        written = folder / "whole.parquet"
        _write(rows, work, folder, written)
        after = check(open_rows(str(written), rows.kind), timeframe_ns=before.timeframe_ns)
        if after.errors:
            left = ", ".join(finding.kind for finding in after.findings if finding.severity == "error")
            message = f"{rows.where}: repaired by these policies it would still have: {left}; nothing was written"
            raise UserError(message)
        with written.open("rb") as file:
            os.fsync(file.fileno())
        written.replace(out)
    except OSError as error:
        message = f"{out}: cannot be written ({error.strerror})"
        raise UserError(message) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Repair(
        out=str(out),
        before=before,
        after=msgspec.structs.replace(after, where=str(out)),
        policies=chosen,
        rows_dropped=work.dropped,
        rows_filled=work.filled,
        rows_swapped=work.swapped,
    )


class _Work:
    """Treats rows in the order of time."""

    def __init__(self, report: CheckReport, policies: Mapping[str, str], leaps: Sequence[int]) -> None:
        self._kind = report.kind
        self._policies = policies
        self._timeframe_ns = report.timeframe_ns
        self._dropping = frozenset(kind for kind, how in policies.items() if how == "drop")
        drops = list(leaps) if "outlier" in self._dropping else []
        last = report.found("partial_last")
        if last is not None and "partial_last" in self._dropping:
            drops.append(last.first_row)
        self._drops = np.array(sorted(drops), np.int64)
        self._last: Batch | None = None
        self.fills = policies.get("gap") == "fill"
        self.dropped = 0
        self.filled = 0
        self.swapped = 0

    def treat(self, batch: Batch) -> Batch:
        """Return the rows as they will be written."""
        if self._policies.get("columns_swapped") == "swap":
            batch = self._swap(batch)
        rows = len(batch)
        wrong = np.isin(batch.rows, self._drops)
        for kind, _, mask in defects(self._kind, batch):
            if kind in self._dropping:
                wrong |= mask
        if "zero_volume" in self._dropping:
            wrong |= batch.values["volume"] == 0
        batch = self._once(taken(batch, ~wrong))
        self.dropped += rows - len(batch)
        batch = taken(batch, np.lexsort((batch.rows, batch.values.get("published", batch.rows), batch.ts)))
        return self._fill(batch) if self.fills else batch

    def _swap(self, batch: Batch) -> Batch:
        right, wrong = volume_places(batch)
        wrong &= ~right
        self.swapped += int(wrong.sum())
        base, quote = batch.values["volume"], batch.values["quote_volume"]
        swapped = {"volume": np.where(wrong, quote, base), "quote_volume": np.where(wrong, base, quote)}
        return msgspec.structs.replace(batch, values=batch.values | swapped)

    def _once(self, batch: Batch) -> Batch:
        """Return one row of each key, or of each content where only that tells."""
        if len(batch) < 2:  # noqa: PLR2004 - one row is there once
            return batch
        again = np.diff(batch.ts) == 0
        if "repeated_row" in self._dropping:
            again &= equal_rows(batch)
        elif not {"duplicate_identical", "duplicate_differing"} & set(self._policies):
            return batch
        elif "id" in batch.values:
            again &= np.diff(batch.values["id"]) == 0
        elif "published" in batch.values:
            again &= np.diff(batch.values["published"]) == 0
        elif KINDS[self._kind].key != ("ts",) or self._kind == "quotes":
            return batch
        starts = np.flatnonzero(np.concatenate([[True], ~again]))
        choose = np.maximum if self._policies.get("duplicate_differing") == "last" else np.minimum
        return taken(batch, np.isin(batch.rows, choose.reduceat(batch.rows, starts)))

    def _fill(self, batch: Batch) -> Batch:
        """Return the bars with flat ones, at the last close and without volume, where there were none."""
        assert self._timeframe_ns is not None
        if not len(batch):
            return batch
        marked = {**batch.values, "synthetic": batch.values.get("synthetic", np.zeros(len(batch)))}
        batch = msgspec.structs.replace(batch, values=marked)
        whole = batch if self._last is None else joined([self._last, batch])
        self._last = taken(batch, slice(len(batch) - 1, None))
        missing = np.maximum((np.diff(whole.ts) - 1) // self._timeframe_ns, 0)
        count = int(missing.sum())
        if not count:
            return batch
        self.filled += count
        before = np.repeat(np.arange(len(missing)), missing)
        place = np.arange(count) - np.repeat(np.cumsum(missing) - missing, missing) + 1
        close = whole.values["close"][before]
        values = {name: np.zeros(count) for name in batch.values}
        values |= dict.fromkeys(("open", "high", "low", "close"), close)
        values["synthetic"] = np.ones(count)
        flat = Batch(np.zeros(count, np.int64), whole.ts[before] + place * self._timeframe_ns, values)
        both = joined([batch, flat])
        return taken(both, np.argsort(both.ts, kind="stable"))


def _check_out(rows: Rows, out: Path) -> None:
    """Refuse a place for the copy before any work is done.

    Raises:
        UserError: it is no Parquet file's name, or the original's, or in no folder or one of the catalogue.
    """
    if out.suffix.lower() not in {".parquet", ".pq"}:
        message = f"--repair {out}: a repaired copy is a Parquet file: name it {out.name}.parquet"
        raise UserError(message)
    if not out.parent.is_dir():
        message = f"--repair {out}: there is no folder {out.parent}"
        raise UserError(message)
    if (out.parent / MANIFEST_NAME).exists():
        message = f"--repair {out}: this is a folder of the catalogue; name a file elsewhere and import it"
        raise UserError(message)
    if out.exists() and Path(rows.where).exists() and out.samefile(rows.where):
        message = f"--repair {out}: this is the original, which stays as it is; name another file"
        raise UserError(message)


def _refuse(report: CheckReport, chosen: Mapping[str, str]) -> None:
    """Refuse to repair what a policy says must not be there, or what cannot be filled.

    Raises:
        UserError: naming the finding and what else can be done about it.
    """
    for finding in report.findings:
        how = chosen.get(finding.kind)
        if how == "fail":
            others = [other for other in POLICIES[finding.kind] if other != "fail"]
            hint = f"; else --policy {finding.kind}={'|'.join(others)}" if others else "; it cannot be repaired"
            message = (
                f"{report.where}: row {finding.first_row}: {finding.kind} ({MEANINGS[finding.kind][1]}): "
                f"{finding.example}; {finding.count:,} in all{hint}"
            )
            raise UserError(message)
        if finding.kind == "gap" and how == "fill":
            if not KINDS[report.kind].has_timeframe:
                message = f"{report.where}: gaps of {report.kind} cannot be filled, only those of bars"
                raise UserError(message)
            if finding.figures["missing"] > FILLED_ROWS_MAX:
                message = f"{report.where}: {finding.figures['missing']:,} bars are missing, too many to fill in"
                raise UserError(message)


def _write(rows: Rows, work: _Work, folder: Path, written: Path) -> None:
    """Write the treated rows piece by piece, then as one file.

    Raises:
        UserError: no row is left.
    """
    pieces: list[Path] = []
    for batch in in_order(stretches(rows, surveyed(rows))):
        treated = work.treat(batch)
        if len(treated):
            pieces.append(folder / f"{len(pieces):06d}.parquet")
            _frame(rows.kind, treated).write_parquet(pieces[-1])
    if not pieces:
        message = f"{rows.where}: no row would be left; nothing was written"
        raise UserError(message)
    pl.scan_parquet(pieces, glob=False).sink_parquet(written, maintain_order=True)


def _frame(kind: str, batch: Batch) -> pl.DataFrame:
    """Return rows as a frame of a kind's columns; the time is a datetime, so that its unit is never in doubt."""
    columns: dict[str, NDArray[np.generic]] = {"ts": batch.ts, **batch.values}
    expressions = [pl.col("ts").cast(pl.Datetime("ns", "UTC"))]
    for name, type_ in KINDS[kind].types().items():
        if name in columns and name != "ts":
            column = pl.col(name)
            if columns[name].dtype.kind == "f":
                column = column.fill_nan(None)
            expressions.append(column.cast(getattr(pl, POLARS_NAMES[type_])))
    return pl.DataFrame(columns).select(expressions)
