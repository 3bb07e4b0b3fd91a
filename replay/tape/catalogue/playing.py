"""A series of the catalogue as a source of bars."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from config.errors import UserError
from replay.tape.catalogue.keys import default_data_dir, split_kind
from replay.tape.catalogue.manifest import MANIFEST_NAME, Manifest, read_manifest, whole_parts
from replay.tape.catalogue.store import Catalogue, scan_parts
from replay.tape.columns import time_text
from replay.tape.kinds import kind_of
from replay.tape.parquet import ParquetSource
from replay.tape.recorded_tape import FeedTable
from replay.tape.tick_table import TickTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.tape.columns import Columns

TICK_KINDS = ("trades", "quotes", "book")

Span = tuple[int, int]


class BarsSource:
    """The bars a manifest names; what is written to the series later is not played."""

    __slots__ = ("_folder", "_manifest", "_where", "rows_guess")

    def __init__(self, folder: Path, manifest: Manifest, where: str) -> None:
        self._folder = folder
        self._manifest = manifest
        self._where = where
        self.rows_guess = sum(part.rows for part in manifest.parts)

    def blocks(self, start_row: int) -> Iterator[Columns]:
        """Yield the rows from `start_row` on, file by file.

        Raises:
            UserError: a file is missing or damaged.
        """
        first_row = 0
        for part in self._manifest.parts:
            if start_row < first_row + part.rows:
                path = self._folder / part.file
                if not path.is_file():
                    message = f"{self._where}: its file {path} is missing; open the tape anew"
                    raise UserError(message)
                source = ParquetSource(path, f"{self._where} ({part.file})", part.rows, ts_is_ns=True)
                yield from source.blocks(max(0, start_row - first_row))
            first_row += part.rows


class Between:
    """The bars of another source that open within a span of time.

    Args:
        source: all of them.
        span: from when, and until before when, in nanoseconds.
    """

    __slots__ = ("_source", "_span", "rows_guess")

    def __init__(self, source: BarsSource, span: Span) -> None:
        self._source = source
        self._span = span
        self.rows_guess = source.rows_guess

    def blocks(self, start_row: int) -> Iterator[Columns]:
        """Yield the rows from `start_row` of the span on, file by file.

        Raises:
            UserError: a file is missing or damaged.
        """
        for block in self._source.blocks(0):
            low, high = (int(place) for place in np.searchsorted(block.open_ns, self._span))
            passed = min(start_row, high - low)
            start_row -= passed
            if low + passed < high:
                yield block.between(low + passed, high)


class KeptSeries(msgspec.Struct, frozen=True):
    """A series of the catalogue that is about to be played: bars, ticks, or a recorded feed."""

    symbol: str
    where: str
    """What it was called, for errors."""
    timeframe_ns: int | None = None
    bars: BarsSource | Between | None = None
    ticks: TickTable | None = None
    feed: FeedTable | None = None


def kept_series(
    where: str, path: Path, timeframe_ns: int | None, data_dir: Path | None, span: Span | None = None
) -> KeptSeries | None:
    """Return the series that a name or a folder stands for; None if it can only be meant as a file.

    Args:
        where: ``VENUE:SYMBOL:TIMEFRAME`` or ``VENUE:SYMBOL`` for bars, ``trades:VENUE:SYMBOL`` for another kind, or the
            folder of a series, as it was written.
        path: the same as a path.
        timeframe_ns: which bars, where the name does not say it.
        data_dir: where the catalogue is; the usual place when ``None``.
        span: from when, and until before when, bars have to open; all of them when ``None``.

    Raises:
        UserError: it is such a name, but there is no such series; a file of it is missing or damaged; or it is none
            that a tape is played from, or not of a part of its time.
    """
    found = _found(where, path, "bars", timeframe_ns, data_dir)
    if found is None:
        return None
    manifest, folder = found
    if span is not None:
        manifest = _spanned(manifest, span, where)
    if manifest.kind in TICK_KINDS:
        return KeptSeries(manifest.symbol, where, ticks=TickTable(whole_parts(folder, manifest), where, manifest.kind))
    if manifest.kind == "feed":
        return KeptSeries(manifest.symbol, where, feed=FeedTable(whole_parts(folder, manifest), where))
    if manifest.timeframe_ns is None or not kind_of(manifest.kind).has_timeframe:
        message = f"{where}: these are {manifest.kind}; a tape is played from bars, {', '.join(TICK_KINDS)}, feed"
        raise UserError(message)
    whole_parts(folder, manifest)
    bars = BarsSource(folder, manifest, where)
    return KeptSeries(manifest.symbol, where, manifest.timeframe_ns, bars if span is None else Between(bars, span))


def _spanned(manifest: Manifest, span: Span, where: str) -> Manifest:
    """Return the manifest with those files alone that a span of time needs.

    Raises:
        UserError: there is nothing in it, or it is not of bars.
    """
    if manifest.timeframe_ns is None:
        message = f"{where}: these are {manifest.kind}, which are played whole; only of bars a part can be"
        raise UserError(message)
    start_ns, end_ns = span
    parts = tuple(part for part in manifest.parts if part.first_ns < end_ns and part.last_ns >= start_ns)
    if not parts:
        message = (
            f"{where}: no bar opens from {time_text(start_ns)} until {time_text(end_ns)}; they do from"
            f" {time_text(manifest.first_ns)} to {time_text(manifest.last_ns)}"
        )
        raise UserError(message)
    return msgspec.structs.replace(manifest, parts=parts)


def kept_rows(where: str, path: Path, data_dir: Path | None = None) -> pl.DataFrame | None:
    """Return all rows of a series that a name or a folder stands for; None if it can only be meant as a file.

    Args:
        where: ``VENUE:SYMBOL``, ``KIND:VENUE:SYMBOL`` or the folder of a series, as it was written.
        path: the same as a path.
        data_dir: where the catalogue is; the usual place when ``None``.

    Raises:
        UserError: it is such a name, but there is no such series, or a file of it is missing or damaged.
    """
    found = _found(where, path, None, None, data_dir)
    if found is None:
        return None
    manifest, folder = found
    whole_parts(folder, manifest)
    try:
        return scan_parts(folder, manifest).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"{where}: cannot be read ({str(error).strip().splitlines()[0]})"
        raise UserError(message) from error


def _found(
    where: str, path: Path, kind: str | None, timeframe_ns: int | None, data_dir: Path | None
) -> tuple[Manifest, Path] | None:
    """Return the manifest of a series and its folder."""
    if os.path.isfile(path / MANIFEST_NAME):  # noqa: PTH113 - Path.is_file raises for a name that is too long to exist
        manifest = read_manifest(path)
        return None if manifest is None else (manifest, path)
    if os.path.exists(path) or not _is_name(where):  # noqa: PTH110 - the same
        return None
    catalogue = Catalogue(default_data_dir() if data_dir is None else data_dir.expanduser())
    manifest = catalogue.named(where, kind, timeframe_ns)
    return manifest, catalogue.folder(manifest.key)


def _is_name(where: str) -> bool:
    try:
        split_kind(where)
    except UserError:
        return False
    return True
