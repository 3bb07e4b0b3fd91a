"""`pitboss data list`, `pitboss data show` and `pitboss data rm`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from config.errors import UserError
from replay.tape.catalogue import Catalogue, default_data_dir
from replay.tape.columns import time_text
from replay.tape.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from replay.tape.catalogue import Manifest

EXIT_DIFFERENT = 1
_PARTS_SHOWN = 36
_IMPORTS_SHOWN = 12


def list_command(kind: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """List all series, or those of one kind.

    Raises:
        UserError: after the list, if there are series that cannot be read.
    """
    catalogue = catalogue_in(data_dir)
    if kind is not None:
        kind_of(kind)
    series = [each for each in catalogue.series() if kind in {None, each.kind}]
    if as_json:
        _print_json([_summary(catalogue, each) for each in series])
    elif not series:
        what = "no series" if kind is None else f"no {kind}"
        sys.stdout.write(f"there are {what} in {catalogue.root}; bring some in with: pitboss data import FILE\n")
    else:
        _print_list(catalogue, series)
    faults = catalogue.unreadable()
    if faults:
        sys.stdout.flush()
        more = f" (and {len(faults) - 1} more like this)" if len(faults) > 1 else ""
        raise UserError(faults[0] + more)


def show_command(name: str, kind: str | None, data_dir: Path | None, *, verify: bool, as_json: bool) -> None:
    """Show one series; exit 1 if it was to be verified and a file is not what it was."""
    catalogue = catalogue_in(data_dir)
    manifest = catalogue.named(name, kind)
    damaged = catalogue.damaged(manifest) if verify else None
    if as_json:
        parts = [msgspec.to_builtins(part) for part in manifest.parts]
        more: dict[str, Any] = {"parts": parts, "imports": [msgspec.to_builtins(each) for each in manifest.imports]}
        _print_json(_summary(catalogue, manifest) | more | ({} if damaged is None else {"damaged": damaged}))
    else:
        _print_series(catalogue, manifest, damaged)
    if damaged:
        raise SystemExit(EXIT_DIFFERENT)


def remove_command(name: str, kind: str | None, data_dir: Path | None, *, yes: bool) -> None:
    """Remove one series.

    Raises:
        UserError: there is no such series, or nobody said yes.
    """
    catalogue = catalogue_in(data_dir)
    manifest = catalogue.named(name, kind)
    if not yes:
        sys.stderr.write(f"{manifest.key}: {manifest.rows:,} rows are about to be removed. Type yes to go on: ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if answer.strip().lower() not in ("yes", "y"):
            sys.stderr.write("\n" if not answer else "")
            message = "not confirmed, nothing was removed; --yes confirms beforehand"
            raise UserError(message)
    catalogue.remove(manifest.key)
    sys.stdout.write(f"{manifest.key}: removed, {manifest.rows:,} rows in {_files(len(manifest.parts))}\n")


def catalogue_in(data_dir: Path | None) -> Catalogue:
    """Return the catalogue in a directory, or in the usual one."""
    return Catalogue(default_data_dir() if data_dir is None else data_dir.expanduser())


def _summary(catalogue: Catalogue, manifest: Manifest) -> dict[str, Any]:
    """Return what a program wants to know of a series without its files."""
    return {
        "name": manifest.name,
        "kind": manifest.kind,
        "venue": manifest.venue,
        "symbol": manifest.symbol,
        "timeframe": manifest.timeframe,
        "rows": manifest.rows,
        "first_ns": manifest.first_ns,
        "last_ns": manifest.last_ns,
        "gaps": manifest.gaps,
        "missing": manifest.missing,
        "columns": list(manifest.columns),
        "bytes": catalogue.bytes_of(manifest),
        "folder": str(catalogue.folder(manifest.key)),
    }


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def _print_list(catalogue: Catalogue, series: Sequence[Manifest]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Series in {catalogue.root}", title_justify="left")
    table.add_column("kind", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("from", no_wrap=True)
    table.add_column("to (UTC)", no_wrap=True)
    table.add_column("missing", justify="right", no_wrap=True)
    for each in series:
        first, last = time_text(each.first_ns)[:10], time_text(each.last_ns)[:10]
        missing = f"{each.missing:,}" if each.timeframe_ns else ""
        table.add_row(each.kind, each.name, f"{each.rows:,}", first, last, missing)
    Console(emoji=False).print(table)


def _print_series(catalogue: Catalogue, manifest: Manifest, damaged: list[str] | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    facts = Table(title=str(manifest.key), title_justify="left", show_header=False)
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    facts.add_row("kind", f"{manifest.kind}: {kind_of(manifest.kind).meaning}")
    facts.add_row("rows", f"{manifest.rows:,}")
    facts.add_row("span (UTC)", f"{time_text(manifest.first_ns)} to {time_text(manifest.last_ns)}")
    if manifest.timeframe_ns:
        facts.add_row("gaps", f"{manifest.gaps:,}, {manifest.missing:,} bars missing")
    facts.add_row("columns", ", ".join(manifest.columns))
    facts.add_row("files", f"{_files(len(manifest.parts))}, {_size(catalogue.bytes_of(manifest))}")
    facts.add_row("folder", str(catalogue.folder(manifest.key)))
    if damaged is not None:
        facts.add_row(
            "verified", "[red]" + ", ".join(damaged) + "[/red]" if damaged else "[green]all files whole[/green]"
        )
    console.print(facts)
    parts = Table(title=f"Its files{_newest(len(manifest.parts), _PARTS_SHOWN)}", title_justify="left")
    for name in ("from", "rows", "gaps", "missing", "SHA-256"):
        parts.add_column(name, justify="left" if name in {"from", "SHA-256"} else "right")
    for part in manifest.parts[-_PARTS_SHOWN:]:
        parts.add_row(part.period, f"{part.rows:,}", f"{part.gaps:,}", f"{part.missing:,}", part.sha256[:12])
    console.print(parts)
    imports = Table(title=f"What was brought in{_newest(len(manifest.imports), _IMPORTS_SHOWN)}", title_justify="left")
    for name in ("at (UTC)", "source", "rows", "SHA-256"):
        imports.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    for each in manifest.imports[-_IMPORTS_SHOWN:]:
        imports.add_row(each.at, each.source, f"{each.rows:,}", each.sha256[:12])
    console.print(imports)


def _newest(count: int, shown: int) -> str:
    return f", the newest {shown} of {count}" if count > shown else ""


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    """Return a number of bytes the way a person reads it."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1_000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.1f} GB"
