"""The manifest of a series: what there is of it, where it came from, and which files hold it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from config.errors import UserError
from config.timeframe import format_timeframe
from replay.tape.catalogue.folders import sha256_of
from replay.tape.catalogue.keys import SeriesKey
from replay.tape.columns import time_text

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_NAME = "manifest.json"
VERSION = 1
IMPORTS_MAX = 1_000
"""Imports that a manifest remembers, the newest."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file: a stretch of time of a series, sorted."""

    period: str
    """The month, such as ``2024-08``; of trades, quotes and books the day, ``2024-08-09``; of feeds the hour."""
    file: str
    """Its name in the series' folder: the period and the first 12 digits of `sha256`."""
    rows: int
    first_ns: int
    last_ns: int
    gaps: int = 0
    """Places within it where bars are missing."""
    missing: int = 0
    """Bars missing there."""
    columns: tuple[str, ...]
    sha256: str


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was brought in."""

    source: str
    sha256: str = ""
    """Of the source; empty where it was no file."""
    rows: int
    """Rows it had, whether they were new or not."""
    at: str
    """When, in UTC (ISO 8601)."""
    layout: str = ""
    """How it was read, in words."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to know about a series without reading its rows."""

    version: int = VERSION
    kind: str
    venue: str
    symbol: str
    timeframe: str | None
    timeframe_ns: int | None
    rows: int
    first_ns: int
    last_ns: int
    gaps: int
    """Places where bars are missing; 0 for kinds without a timeframe."""
    missing: int
    """Bars missing there."""
    columns: tuple[str, ...]
    parts: tuple[Part, ...]
    """In order of time."""
    imports: tuple[Import, ...]
    """In the order they came."""

    @property
    def key(self) -> SeriesKey:
        """The series it is of."""
        return SeriesKey(self.kind, self.venue, self.symbol, self.timeframe_ns)

    @property
    def name(self) -> str:
        """The series' name, as ``--tape`` takes it."""
        return self.key.name


def manifest_of(key: SeriesKey, columns: tuple[str, ...], parts: list[Part], imports: list[Import]) -> Manifest:
    """Return the manifest of a series that consists of these parts.

    Raises:
        UserError: two bars are closer than the timeframe.
    """
    parts = sorted(parts, key=lambda part: part.first_ns)
    gaps = sum(part.gaps for part in parts)
    missing = sum(part.missing for part in parts)
    if key.timeframe_ns is not None:
        for before, after in pairwise(parts):
            step = after.first_ns - before.last_ns
            check_step(key, step, after.first_ns)
            gaps += step > key.timeframe_ns
            missing += step // key.timeframe_ns - 1
    present = {name for part in parts for name in part.columns}
    return Manifest(
        kind=key.kind,
        venue=key.venue,
        symbol=key.symbol,
        timeframe=key.timeframe,
        timeframe_ns=key.timeframe_ns,
        rows=sum(part.rows for part in parts),
        first_ns=parts[0].first_ns,
        last_ns=max(part.last_ns for part in parts),
        gaps=gaps,
        missing=missing,
        columns=tuple(name for name in columns if name in present),
        parts=tuple(parts),
        imports=tuple(imports[-IMPORTS_MAX:]),
    )


def check_step(key: SeriesKey, step_ns: int, at_ns: int) -> None:
    """Refuse a bar that begins before the one before it is over.

    Raises:
        UserError: names the time.
    """
    if key.timeframe_ns is not None and step_ns < key.timeframe_ns:
        message = (
            f"{key}: the bar of {time_text(at_ns)} is only {format_timeframe(step_ns)} after the one before it, "
            f"less than the timeframe {key.timeframe}"
        )
        raise UserError(message)


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest in a series' folder, ``None`` if there is none.

    Raises:
        UserError: it cannot be read, or is none.
    """
    path = folder / MANIFEST_NAME
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror})"
        raise UserError(message) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        message = f"{path}: no manifest of a series ({error}); remove its folder and import it again"
        raise UserError(message) from error
    if manifest.version > VERSION:
        message = f"{path}: written by a newer pitboss (version {manifest.version}; this one knows {VERSION})"
        raise UserError(message)
    try:
        manifest.key  # noqa: B018 - it is made of the names, which are checked
    except UserError as error:
        message = f"{path}: no manifest of a series ({error}); remove its folder and import it again"
        raise UserError(message) from error
    return manifest


def whole_parts(folder: Path, manifest: Manifest) -> list[Path]:
    """Return the files of a series, in order of time, each proven to be what was written.

    Raises:
        UserError: one is missing or damaged.
    """
    return [whole_part(folder, part, manifest.key) for part in manifest.parts]


def whole_part(folder: Path, part: Part, key: SeriesKey) -> Path:
    """Return the file of a part, proven to be what was written.

    Raises:
        UserError: it is missing or damaged.
    """
    path = folder / part.file
    try:
        sha256 = sha256_of(path)
    except FileNotFoundError as error:
        message = f"{path}: this file of {key} is missing; import it again"
        raise UserError(message) from error
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror})"
        raise UserError(message) from error
    if sha256 != part.sha256:
        message = (
            f"{path}: this file of {key} is damaged: its SHA-256 is {sha256[:12]}..., the manifest says "
            f"{part.sha256[:12]}...; remove the series and import it again"
        )
        raise UserError(message)
    return path


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as it is written, for people to read as well."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
