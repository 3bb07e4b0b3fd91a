"""`pitboss journal replay` and `pitboss journal export`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from actors.runtime.journal import FILE_NAME
from daemon.state_dir import default_state_dir

if TYPE_CHECKING:
    from pathlib import Path

    from replay.journal import JournalSummary

EXIT_DIFFERENT = 1


def replay_command(state_dir: Path | None, session: str | None, *, as_json: bool) -> None:
    """Replay a session and exit 0 if every decision is equal."""
    from replay.journal import NothingStoredError, replay_journal

    path = (state_dir or default_state_dir()) / FILE_NAME
    try:
        summary = replay_journal(path, session)
    except NothingStoredError as nothing:
        sys.stderr.write(f"pitboss: {nothing}\n")
        raise SystemExit(EXIT_DIFFERENT) from nothing
    if as_json:
        sys.stdout.write(msgspec.json.Encoder(decimal_format="number").encode(summary).decode() + "\n")
    else:
        _print(summary)
    if not summary.equal:
        raise SystemExit(EXIT_DIFFERENT)


def export_command(state_dir: Path | None, session: str | None, out: Path) -> None:
    """Write a session for other programs."""
    from replay.export import export_session

    path = (state_dir or default_state_dir()) / FILE_NAME
    for written, rows in export_session(path, session, out):
        sys.stdout.write(f"{written}: {rows:,} rows\n")


def _print(summary: JournalSummary) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    table = Table(title=f"Journal of session {summary.session}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("status", f"{summary.status}, {summary.runs} run{'s' if summary.runs != 1 else ''}")
    table.add_row("inputs", f"{summary.inputs:,} ({summary.bars:,} bars)")
    table.add_row("fills", f"{summary.fills:,}")
    table.add_row("final equity", f"{summary.final_equity:,.2f}")
    table.add_row("digest, live", summary.digest_live)
    table.add_row("digest, replay", summary.digest_replay)
    verdict = "[green]equal[/green]" if summary.equal else "[red]different[/red]"
    table.add_row("decisions", verdict)
    console.print(table)
    if summary.first_difference is not None:
        console.print(f"first difference: {summary.first_difference}", style="red", highlight=False)
    for note in summary.notes:
        console.print(f"note: {note}", style="yellow", highlight=False)
