"""Writing, reading, finding and removing series."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from config.errors import UserError, nearest
from replay.tape.catalogue.folders import (
    Staging,
    disk,
    locked,
    remove_empty,
    remove_leftovers,
    replace_file,
    sha256_of,
    sync,
)
from replay.tape.catalogue.keys import SeriesKey, split_kind
from replay.tape.catalogue.manifest import (
    MANIFEST_NAME,
    Import,
    Manifest,
    encode_manifest,
    manifest_of,
    read_manifest,
    whole_part,
    whole_parts,
)
from replay.tape.catalogue.merging import EXAMPLES_MAX, Conflict, OnConflict, canonical
from replay.tape.catalogue.spill import Run, Spill
from replay.tape.kinds import POLARS_NAMES, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from replay.tape.catalogue.manifest import Part


class Provenance(msgspec.Struct, frozen=True):
    """Where rows come from."""

    source: str
    """A file's name, or whom they were downloaded from."""
    sha256: str = ""
    """Of the file; empty where there is none."""
    layout: str = ""
    """How it was read, in words."""


class WriteReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import has changed."""

    key: SeriesKey
    rows_read: int
    rows_new: int
    """Rows that the series has more than before."""
    rows_same: int
    """Rows that were already there, or came twice."""
    conflicts: int
    """Rows (of books, messages) that differ from another one about the same thing; `on_conflict` has decided."""
    examples: tuple[Conflict, ...]
    on_conflict: OnConflict
    changed: bool
    """Whether anything was written at all."""
    manifest: Manifest


class ConflictError(UserError):
    """Rows that came differ from those that are there, and nobody said which ones count; nothing was written."""

    def __init__(self, text: str, conflicts: int, examples: tuple[Conflict, ...]) -> None:
        super().__init__(text)
        self.conflicts = conflicts
        self.examples = examples


class Catalogue:
    """All series in one directory; it need not exist before the first one is written."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = root

    def series(self) -> list[Manifest]:
        """Return the manifests of all series, sorted by kind, venue, symbol and timeframe.

        Those that cannot be read are left out: the others are none the worse for them. `unreadable` says which.

        Raises:
            UserError: a folder cannot be read.
        """
        return self._survey()[0]

    def unreadable(self) -> list[str]:
        """Return what is wrong with every manifest that cannot be read, a line for each.

        Raises:
            UserError: a folder cannot be read.
        """
        return self._survey()[1]

    def _survey(self) -> tuple[list[Manifest], list[str]]:
        found: list[Manifest] = []
        faults: list[str] = []
        with disk(self.root):
            for path in sorted(self.root.glob(f"[!.]*/*/*/*/{MANIFEST_NAME}")):
                try:
                    manifest = read_manifest(path.parent)
                except UserError as error:
                    faults.append(str(error))
                    continue
                if manifest is not None and self.folder(manifest.key) == path.parent:
                    found.append(manifest)
                elif manifest is not None:
                    faults.append(
                        f"{path}: the manifest of {manifest.key}, which lies in another folder; remove this one"
                    )
        return sorted(found, key=_by_key), faults

    def find(self, kind: str, venue: str, symbol: str, timeframe_ns: int | None = None) -> Manifest | None:
        """Return the manifest of a series, ``None`` if there is no such series.

        Raises:
            UserError: a part of the name is no such thing, or the manifest cannot be read.
        """
        return self.manifest(SeriesKey(kind, venue, symbol, timeframe_ns))

    def manifest(self, key: SeriesKey) -> Manifest | None:
        """Return the manifest of a series, ``None`` if there is no such series.

        Raises:
            UserError: it cannot be read.
        """
        manifest = read_manifest(self.folder(key))
        return manifest if manifest is not None and manifest.key == key else None

    def existing(self, key: SeriesKey) -> Manifest:
        """Return the manifest of a series.

        Raises:
            UserError: there is no such series; it says which one is meant, perhaps.
        """
        manifest = self.manifest(key)
        if manifest is None:
            known = [str(each.key) for each in self.series()]
            message = f"there is no series {key} in {self.root}{nearest(str(key), known)}"
            raise UserError(message)
        return manifest

    def named(self, name: str, kind: str | None = None, timeframe_ns: int | None = None) -> Manifest:
        """Return the manifest of the series of this name.

        Args:
            name: ``VENUE:SYMBOL`` or ``VENUE:SYMBOL:TIMEFRAME``, perhaps with ``KIND:`` before it.
            kind: which kind, where series of several kinds have this name.
            timeframe_ns: which timeframe, where the name does not say it and the series has one.

        Raises:
            UserError: there is no such series, or there are several; it says which.
        """
        named_kind, venue, symbol, named_ns = split_kind(name)
        kind = named_kind or kind
        if kind is not None:
            kind_of(kind)
        series = self.series()
        of_kind = [each for each in series if kind in {None, each.kind}]
        found = [
            each
            for each in of_kind
            if (each.venue, each.symbol) == (venue, symbol)
            and named_ns in {None, each.timeframe_ns}
            and (named_ns is not None or timeframe_ns is None or each.timeframe_ns in {None, timeframe_ns})
        ]
        if not found:
            what = "series" if kind is None else f"series of {kind}"
            hint = nearest(name, [each.name for each in of_kind])
            message = "; ".join([f"there is no {what} {name} in {self.root}{hint}", *self.unreadable()[:1]])
            raise UserError(message)
        if len(found) > 1:
            listed = ", ".join(str(each.key) for each in found)
            is_kind_known = len({each.kind for each in found}) == 1
            one = found[0].name if is_kind_known else f"{found[-1].kind}:{found[-1].name}"
            message = f"{name} may be {listed}; say which, as in {one}"
            raise UserError(message)
        return found[0]

    def bytes_of(self, manifest: Manifest) -> int:
        """Return how much room the files of a series take, in bytes."""
        paths = (self.folder(manifest.key) / part.file for part in manifest.parts)
        return sum(path.stat().st_size for path in paths if path.is_file())

    def folder(self, key: SeriesKey) -> Path:
        """Return where a series is, or would be."""
        return self.root / key.folder

    def scan(self, key: SeriesKey) -> pl.LazyFrame:
        """Return the rows of a series, lazily, in the columns and the order of its kind.

        What is read is the series as it is now, also if it is written to meanwhile; it stays readable until the
        second write from now.

        Raises:
            UserError: there is no such series, or a file of it is missing.
        """
        manifest = self.existing(key)
        self.paths(manifest)
        return scan_parts(self.folder(key), manifest)

    def paths(self, manifest: Manifest) -> list[Path]:
        """Return the files of a series, in order of time.

        Raises:
            UserError: one is missing.
        """
        paths = [self.folder(manifest.key) / part.file for part in manifest.parts]
        for path in paths:
            if not path.is_file():
                message = f"{path}: this file of {manifest.key} is missing; import it again"
                raise UserError(message)
        return paths

    def whole(self, manifest: Manifest) -> list[Path]:
        """Return the files of a series, in order of time, each proven to be what was written.

        Raises:
            UserError: one is missing or damaged.
        """
        return whole_parts(self.folder(manifest.key), manifest)

    def damaged(self, manifest: Manifest) -> list[str]:
        """Return the names of files that are missing or not what they were when they were written."""
        folder = self.folder(manifest.key)
        damaged = []
        for part in manifest.parts:
            path = folder / part.file
            if not path.is_file() or sha256_of(path) != part.sha256:
                damaged.append(part.file)
        return damaged

    def write(
        self,
        key: SeriesKey,
        frames: Iterable[pl.DataFrame],
        provenance: Provenance,
        on_conflict: OnConflict = "fail",
        digest: Callable[[], str] | None = None,
    ) -> WriteReport:
        """Add rows to a series: all of them, or none if anything fails.

        Args:
            key: which series; it need not exist.
            frames: its rows in any order, in the columns of the kind (`replay.tape.kinds`), read once, one at a time.
                In memory there are two million rows at most, or a month of them (a day of trades, quotes and books).
            provenance: where they come from; kept in the manifest.
            on_conflict: what is done with rows that differ from those they should equal.
            digest: gives the source's SHA-256 when all rows have been read, where `provenance` does not have it.

        Raises:
            ConflictError: there are such rows, and `on_conflict` is ``fail``.
            UserError: a value is missing, bars overlap, there are no rows, or the disk refuses. Whatever is raised,
                also by `frames` itself, nothing was written.
        """
        kind = kind_of(key.kind)
        folder = self.folder(key)
        with disk(self.root), locked(self.root, key.folder):
            self._check_owner(key)
            staging = Staging(folder)
        spill = Spill(key, kind, staging.path, on_conflict)
        try:
            rows = 0
            for frame in frames:
                checked = canonical(frame, kind, rows + 1, provenance.source)
                rows += frame.height
                if checked.height:
                    with disk(self.root):
                        spill.take(checked)
            if rows == 0:
                message = f"{provenance.source}: there are no rows"
                raise UserError(message)
            with disk(self.root):
                spill.finish()
                if digest is not None:
                    provenance = msgspec.structs.replace(provenance, sha256=digest())
                with locked(self.root, key.folder):
                    return self._commit(key, spill, rows, provenance, on_conflict)
        finally:
            spill.close()
            with disk(self.root), locked(self.root, key.folder):
                staging.close()
                remove_empty(folder, self.root)

    def remove(self, key: SeriesKey) -> Manifest:
        """Remove a series; return what it was.

        Raises:
            UserError: there is no such series, or the disk refuses.
        """
        self.existing(key)
        folder = self.folder(key)
        with disk(self.root), locked(self.root, key.folder):
            manifest = self.existing(key)
            (folder / MANIFEST_NAME).unlink()
            sync(folder)
            remove_leftovers(folder, set())
            remove_empty(folder, self.root)
        return manifest

    def _commit(
        self, key: SeriesKey, spill: Spill, rows: int, provenance: Provenance, on_conflict: OnConflict
    ) -> WriteReport:
        """Merge what was spilled with what is there and make it the series; under its lock."""
        folder = self.folder(key)
        self._check_owner(key)
        before = self.manifest(key)
        parts: dict[str, Part] = {} if before is None else {part.period: part for part in before.parts}
        remove_leftovers(folder, {part.file for part in parts.values()})
        runs = []
        for period in sorted(spill.runs):
            run: Run | None = spill.united(period)
            base = parts.get(period)
            if run is not None and base is not None:
                is_known = base.sha256 == run.part.sha256
                run = None if is_known else spill.unite(period, whole_part(folder, base, key), run)
            if run is not None:
                runs.append(run)
                parts[period] = run.part
        examples = tuple(spill.examples[:EXAMPLES_MAX])
        if spill.conflicts and on_conflict == "fail":
            raise _conflict(key, provenance, spill.conflicts, examples)
        _check_identity(key, runs, parts)
        imports = [] if before is None else list(before.imports)
        entry = Import(
            source=provenance.source,
            sha256=provenance.sha256,
            rows=rows,
            at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            layout=provenance.layout,
        )
        known = any(each.sha256 == entry.sha256 for each in imports)
        if imports and not entry.sha256 and kind_of(key.kind).recorded and imports[-1].source == entry.source:
            entry = msgspec.structs.replace(entry, rows=entry.rows + imports.pop().rows)
        after = manifest_of(key, tuple(kind_of(key.kind).types()), list(parts.values()), [*imports, entry])
        changed = bool(runs) or (entry.sha256 != "" and not known)
        if changed:
            self._publish(folder, runs, {part.file for part in (before.parts if before else ())}, after)
        elif before is not None:
            after = before
        new = after.rows - (0 if before is None else before.rows)
        return WriteReport(
            key=key,
            rows_read=rows,
            rows_new=new,
            rows_same=rows - new - spill.conflicts,
            conflicts=spill.conflicts,
            examples=examples,
            on_conflict=on_conflict,
            changed=changed,
            manifest=after,
        )

    def _publish(self, folder: Path, runs: list[Run], there: set[str], after: Manifest) -> None:
        """Make new files and a manifest the series; what was moved for nothing, as the disk is full, is removed."""
        try:
            for run in runs:
                run.path.replace(folder / run.part.file)
            sync(folder)
            replace_file(folder / MANIFEST_NAME, encode_manifest(after))
            for above in folder.parents[: len(folder.relative_to(self.root).parts)]:
                sync(above)
        except OSError:
            now = read_manifest(folder)
            remove_leftovers(folder, there | {part.file for part in (now.parts if now else ())})
            raise

    def _check_owner(self, key: SeriesKey) -> None:
        """Refuse a name whose folder another one has: ``BTC/USDT`` and ``BTC-USDT`` share one.

        Where a disk does not tell capitals from small letters, so do ``BTCUSDT`` and ``btcusdt``.

        Raises:
            UserError: it is taken.
        """
        manifest = read_manifest(self.folder(key))
        if manifest is not None and manifest.key != key:
            message = f"{key}: its folder is taken by {manifest.key}; name it so, or remove that series first"
            raise UserError(message)


def scan_parts(folder: Path, manifest: Manifest) -> pl.LazyFrame:
    """Return the rows of the files that a manifest names, lazily; a column that a file lacks is empty there."""
    types = kind_of(manifest.kind).types()
    frames = []
    for part in manifest.parts:
        absent = (
            pl.lit(None, getattr(pl, POLARS_NAMES[types[name]])).alias(name)
            for name in manifest.columns
            if name not in part.columns
        )
        table = pl.scan_parquet(folder / part.file, glob=False, hive_partitioning=False)
        frames.append(table.with_columns(*absent).select(manifest.columns))
    return pl.concat(frames)


def _check_identity(key: SeriesKey, runs: list[Run], parts: dict[str, Part]) -> None:
    """Refuse trades with ids beside trades without: nothing could tell whether they are the same.

    Raises:
        UserError: some have them, some have not.
    """
    wanted = kind_of(key.kind).key
    for run in runs:
        if any((name in run.part.columns) != (name in part.columns) for name in wanted for part in parts.values()):
            have = "have no ids" if "id" not in run.part.columns else "have ids"
            message = f"{key}: these trades of {run.part.period} {have}, unlike others of the series"
            raise UserError(message)


def _conflict(key: SeriesKey, provenance: Provenance, conflicts: int, examples: tuple[Conflict, ...]) -> ConflictError:
    text = (
        f"{provenance.source}: {conflicts:,} row{'s differ' if conflicts != 1 else ' differs'} from what is there "
        f"about the same of {key}, first {examples[0]}; nothing was written (--on-conflict keep or replace decides)"
    )
    return ConflictError(text, conflicts, examples)


def _by_key(manifest: Manifest) -> tuple[str, str, str, int]:
    return manifest.kind, manifest.venue, manifest.symbol, manifest.timeframe_ns or 0
