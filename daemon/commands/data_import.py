"""`pitboss data import`."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, cast, get_args

import msgspec

from config.errors import UserError, nearest
from config.timeframe import format_timeframe, parse_timeframe
from daemon.commands.data import catalogue_in
from daemon.commands.progress import is_watched, progress_bar
from replay.tape.catalogue import ConflictError, OnConflict, Provenance, SeriesKey
from replay.tape.catalogue.folders import sha256_of
from replay.tape.catalogue.keys import check_symbol, check_venue
from replay.tape.columns import time_text
from replay.tape.importing import described, inspect, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from daemon.commands.progress import Show
    from replay.tape.catalogue import WriteReport
    from replay.tape.importing import Layout

_POLICIES = get_args(OnConflict)
_NAMES_SHOWN = 3
_ROWS_SHOWN = 4


def import_command(
    files: Sequence[str],
    venue: str,
    symbol: str,
    kind: str | None,
    timeframe: str | None,
    delay: str | None,
    data_dir: Path | None,
    on_conflict: str,
    layout: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Show what the files hold and write them into one series, all or nothing.

    Raises:
        UserError: a name is none, a file cannot be read or fits no layout, or rows contradict each other.
    """
    check_venue(venue)
    check_symbol(symbol)
    if on_conflict not in _POLICIES:
        message = f"--on-conflict {on_conflict}: it is {', '.join(_POLICIES)}{nearest(on_conflict, _POLICIES)}"
        raise UserError(message)
    timeframe_ns = None if timeframe is None else parse_timeframe(timeframe)
    delay_ns = 0 if delay is None else parse_timeframe(delay)
    layouts = [inspect(file, kind=kind, layout=layout, timeframe_ns=timeframe_ns, delay_ns=delay_ns) for file in files]
    _agree(layouts)
    if delay is not None and layouts[0].kind != "values":
        message = f"--delay is for values; {files[0]} holds {layouts[0].kind}"
        raise UserError(message)
    key = SeriesKey(layouts[0].kind, venue, symbol, layouts[0].timeframe_ns)
    if not as_json:
        _print_layouts(layouts, key)
    report = None
    if not dry_run:
        provenance, digest = _provenance(layouts), _hashed(layouts)
        sizes = [Path(layout.path).stat().st_size for layout in layouts]
        with progress_bar(f"import {key.kind}", sum(sizes), is_shown=not as_json and is_watched()) as show:
            frames = _frames(layouts, sizes, show)
            try:
                report = catalogue_in(data_dir).write(key, frames, provenance, cast("OnConflict", on_conflict), digest)
            except ConflictError as error:
                message = f"{error}; the rows of that time: {_places(layouts, error.examples[0].ts_ns)}"
                raise UserError(message) from error
    if as_json:
        result = {"key": _key(key), "files": [_summary(each) for each in layouts], "dry_run": dry_run}
        sys.stdout.write(msgspec.json.encode(result | (_outcome(report) if report else {})).decode() + "\n")
    elif report is not None:
        sys.stdout.write(_said(report) + "\n")
    else:
        sys.stdout.write("nothing was imported (--dry-run)\n")


def _agree(layouts: Sequence[Layout]) -> None:
    """Refuse files that cannot be of one series."""
    first = layouts[0]
    for other in layouts[1:]:
        if other.kind != first.kind:
            message = f"{other.path}: holds {other.kind}, and {first.path} holds {first.kind}: import them apart"
            raise UserError(message)
        if other.timeframe_ns != first.timeframe_ns:
            steps = [format_timeframe(each.timeframe_ns or 0) for each in (other, first)]
            message = f"{other.path}: is of timeframe {steps[0]}, and {first.path} of {steps[1]}: import them apart"
            raise UserError(message)


def _frames(layouts: Sequence[Layout], sizes: Sequence[int], show: Show) -> Iterator[pl.DataFrame]:
    """Yield the rows of all files, and say how many bytes of them have been read."""
    rows = before = 0

    def said(fraction: float) -> None:
        show(before + int(fraction * size), f"{rows:,} rows")

    for layout, size in zip(layouts, sizes, strict=True):
        for frame in read(layout.path, layout, progress=said):
            rows += frame.height
            yield frame
        before += size
    show(before, f"{rows:,} rows, writing")


def _places(layouts: Sequence[Layout], ts_ns: int) -> str:
    """Return which rows tell of a time; the files are read once more."""
    found: list[str] = []
    for layout in layouts:
        row = 1
        for frame in read(layout.path, layout, as_is=True):
            found += (f"{row + at} of {Path(layout.path).name}" for at in (frame["ts"] == ts_ns).arg_true().to_list())
            row += frame.height
    return ", ".join(found[:_ROWS_SHOWN]) + (f" and {len(found) - _ROWS_SHOWN} more" if found[_ROWS_SHOWN:] else "")


def _hashed(layouts: Sequence[Layout]) -> Callable[[], str]:
    """Hash the files while they are read; return what waits for it. Several have the digest of their digests."""
    done: Future[str] = Future()

    def work() -> None:
        try:
            digests = [sha256_of(Path(layout.path)) for layout in layouts]
        except OSError as error:
            done.set_exception(error)
        else:
            done.set_result(digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest())

    Thread(target=work, daemon=True).start()  # whoever refuses a file need not wait until all of it is hashed
    return done.result


def _provenance(layouts: Sequence[Layout]) -> Provenance:
    """Return where the rows come from."""
    paths = [Path(layout.path) for layout in layouts]
    names = ", ".join(path.name for path in paths[:_NAMES_SHOWN])
    names += f" and {len(paths) - _NAMES_SHOWN} more" if len(paths) > _NAMES_SHOWN else ""
    return Provenance(names, layout=", ".join(dict.fromkeys(layout.name for layout in layouts)))


def _key(key: SeriesKey) -> dict[str, Any]:
    return {"kind": key.kind, "venue": key.venue, "symbol": key.symbol, "timeframe": key.timeframe}


def _summary(layout: Layout) -> dict[str, Any]:
    """Return what was found in a file, for programs."""
    tables = [msgspec.to_builtins(table) for table in layout.tables]
    return {"path": layout.path, "compression": layout.compression, "tables": tables}


def _outcome(report: WriteReport) -> dict[str, Any]:
    return {
        "rows_read": report.rows_read,
        "rows_new": report.rows_new,
        "rows_same": report.rows_same,
        "conflicts": report.conflicts,
        "examples": [str(example) for example in report.examples],
        "changed": report.changed,
        "rows": report.manifest.rows,
        "first_ns": report.manifest.first_ns,
        "last_ns": report.manifest.last_ns,
        "gaps": report.manifest.gaps,
        "missing": report.manifest.missing,
    }


def _said(report: WriteReport) -> str:
    """Return what has changed, in words."""
    lines = [f"{report.key}: {report.rows_read:,} rows read, {report.rows_new:,} new, {report.rows_same:,} the same"]
    if report.conflicts:
        kept = (
            "those that were there are kept" if report.on_conflict == "keep" else "those that came have replaced them"
        )
        lines.append(f"{report.conflicts:,} rows differ: {kept}")
        lines += [f"  {example}" for example in report.examples]
    span = f"{time_text(report.manifest.first_ns)} to {time_text(report.manifest.last_ns)} UTC"
    gaps = f", {report.manifest.gaps:,} gaps" if report.key.timeframe_ns is not None else ""
    lines.append(f"now {report.manifest.rows:,} rows, {span}{gaps}")
    return "\n".join(lines)


def _print_layouts(layouts: Sequence[Layout], key: SeriesKey) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    facts = Table(title=f"Detected, for {key}", title_justify="left", show_header=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    previous: list[tuple[str, str]] = []
    for layout in layouts:
        lines = described(layout)
        facts.add_row("file", Text(layout.path))
        for name, text in lines:
            if (name, text) not in previous:
                facts.add_row(name, Text(text))
        previous = lines
        facts.add_section()
    Console(emoji=False).print(facts)
