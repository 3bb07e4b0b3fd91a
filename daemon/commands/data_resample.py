"""`pitboss data resample`."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from config.errors import UserError, nearest
from config.timeframe import parse_timeframe
from daemon.commands.data import catalogue_in
from replay.tape.catalogue import Catalogue, Manifest, OnConflict, Provenance, SeriesKey
from replay.tape.columns import COLUMN_NAMES, NS_PER_MS
from replay.tape.kinds import kind_of
from replay.tape.resampling import Grid, Incomplete, Resampled, parse_session, resample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_FRAME_ROWS = 1_000_000
_ON_CONFLICT: dict[str, OnConflict] = {"fail": "fail", "keep": "keep", "replace": "replace"}
_INCOMPLETE: dict[str, Incomplete] = {"drop": "drop", "gaps": "gaps", "keep": "keep"}


class Report(msgspec.Struct, kw_only=True):
    """What was made of what."""

    source: str
    result: str
    """A series' name, or a file's."""
    rows_read: int
    outside: int
    """Rows outside of the session."""
    bars: int
    incomplete: int
    """Bars that miss something, whether they were made or not."""
    bars_new: int
    """Bars the series did not have; of a file, all of them."""
    conflicts: int = 0


def resample_command(
    name: str,
    timeframe: str,
    kind: str | None,
    offset: str | None,
    session: str | None,
    timezone: str,
    incomplete: str,
    on_conflict: str,
    out: Path | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make bars of a series and keep them.

    Raises:
        UserError: there is no such series, or its rows cannot become such bars.
    """
    catalogue = catalogue_in(data_dir)
    policy = _ON_CONFLICT[choice("--on-conflict", on_conflict, list(_ON_CONFLICT))]
    manifest = catalogue.named(name, kind)
    if not (kind_of(manifest.kind).has_timeframe or manifest.kind == "trades"):
        message = f"{name}: bars are made of bars or of trades, not of {manifest.kind}"
        raise UserError(message)
    grid = Grid(
        timeframe_ns=parse_timeframe(timeframe),
        source_ns=manifest.timeframe_ns,
        offset_ns=0 if offset is None else parse_timeframe(offset),
        session=None if session is None else parse_session(session, timezone),
        incomplete=_INCOMPLETE[choice("--incomplete", incomplete, list(_INCOMPLETE))],
    )
    done = Resampled()
    bars = resample(_frames(catalogue, manifest), grid, done)
    if out is not None:
        report = _write_file(bars, done, out, manifest)
    else:
        key = SeriesKey(
            "bars" if manifest.kind == "trades" else manifest.kind,
            manifest.venue,
            manifest.symbol,
            grid.timeframe_ns,
        )
        words = f"resampled from {manifest.key}"
        written = catalogue.write(key, _some(bars, manifest, timeframe), _provenance(words, manifest, grid), policy)
        report = _report(manifest, written.manifest.name, done, written.rows_new)
        report.conflicts = written.conflicts
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        return
    sys.stdout.write(
        f"{report.source} -> {report.result}: {report.bars:,} bars of {report.rows_read:,} rows, "
        f"{report.bars_new:,} of them new\n"
    )
    if report.outside:
        sys.stdout.write(f"{report.outside:,} rows are outside of the session\n")
    if report.incomplete:
        how = "left out" if grid.incomplete == "drop" else "made where --incomplete allows it"
        words = "bar misses" if report.incomplete == 1 else "bars miss"
        sys.stdout.write(f"{report.incomplete:,} {words} something: {how}\n")
    if report.conflicts:
        sys.stdout.write(f"{report.conflicts:,} bars differ from those that were there: {on_conflict}\n")


def choice(option: str, given: str, known: Sequence[str]) -> str:
    """Return what was given if it is one of the words an option knows.

    Raises:
        UserError: it is not; it says which one is meant, perhaps.
    """
    if given not in known:
        message = f"{option} {given}: it is one of {', '.join(known)}{nearest(given, known)}"
        raise UserError(message)
    return given


def _frames(catalogue: Catalogue, manifest: Manifest) -> Iterator[pl.DataFrame]:
    """Yield the rows of a series as its manifest names them, in blocks."""
    for path, part in zip(catalogue.whole(manifest), manifest.parts, strict=True):
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        for start in range(0, part.rows, _FRAME_ROWS):
            yield table.slice(start, _FRAME_ROWS).collect()


def _some(bars: Iterator[pl.DataFrame], manifest: Manifest, timeframe: str) -> Iterator[pl.DataFrame]:
    """Yield the bars.

    Raises:
        UserError: at the end, if there was none.
    """
    count = 0
    for frame in bars:
        count += frame.height
        yield frame
    if not count:
        message = f"{manifest.key}: not one bar of {timeframe} is complete; --incomplete keep makes those there are"
        raise UserError(message)


def _write_file(bars: Iterator[pl.DataFrame], done: Resampled, out: Path, manifest: Manifest) -> Report:
    """Write the bars as a tape: times in milliseconds."""
    frames = list(bars)
    if not done.bars:
        message = f"{manifest.key}: not one bar is complete; --incomplete keep makes those there are"
        raise UserError(message)
    frame = pl.concat(frames, how="diagonal").with_columns(pl.col("ts") // NS_PER_MS)
    optional = [name for name in frame.columns if name not in COLUMN_NAMES]
    written = out.with_name(f".{out.name}.partial")
    try:
        frame.select(*COLUMN_NAMES, *optional).write_parquet(written)
        written.replace(out)
    except (OSError, pl.exceptions.ComputeError) as error:
        message = f"{out}: cannot be written ({getattr(error, 'strerror', None) or error})"
        raise UserError(message) from error
    finally:
        written.unlink(missing_ok=True)
    return _report(manifest, str(out), done, done.bars)


def _report(manifest: Manifest, result: str, done: Resampled, new: int) -> Report:
    return Report(
        source=str(manifest.key),
        result=result,
        rows_read=done.rows,
        outside=done.outside,
        bars=done.bars,
        incomplete=done.incomplete,
        bars_new=new,
    )


def _provenance(words: str, manifest: Manifest, grid: Grid) -> Provenance:
    """Return what the bars come from: a hash of the source's files, and of how they were made."""
    digest = hashlib.sha256(msgspec.json.encode(grid))
    for part in manifest.parts:
        digest.update(part.sha256.encode())
    return Provenance(words, digest.hexdigest(), msgspec.json.encode(grid).decode())
