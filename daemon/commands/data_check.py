"""`pitboss data check`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from config.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from replay.tape.checking import CheckReport

EXIT_DEFECTS = 1


def check_command(
    series: Sequence[str], kind: str | None, timeframe: str | None, data_dir: Path | None, *, as_json: bool
) -> None:
    """Print what is wrong with files or series; exit 1 if anything is that no replay may play."""
    from replay.tape import parse_timeframe
    from replay.tape.checking import check, open_series

    timeframe_ns = None if timeframe is None else parse_timeframe(timeframe)
    reports = [check(open_series(name, data_dir, kind), timeframe_ns=timeframe_ns) for name in series]
    errors = sum(report.errors for report in reports)
    if as_json:
        sys.stdout.write(msgspec.json.encode({"errors": errors, "series": reports}).decode() + "\n")
    else:
        from rich.console import Console

        console = Console(emoji=False)
        for report in reports:
            print_report(console, report)
    if errors:
        raise SystemExit(EXIT_DEFECTS)


def repair_command(
    series: Sequence[str],
    out: Path,
    policies: Sequence[str],
    kind: str | None,
    timeframe: str | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Write a repaired copy of one file or series and print what was done.

    Raises:
        UserError: there are several, or the policies do not allow it; then nothing is written.
    """
    from replay.tape import parse_timeframe
    from replay.tape.checking import open_series, parse_policies, repair

    if len(series) != 1:
        message = f"--repair writes one copy, of one file or series; these are {len(series)}"
        raise UserError(message)
    timeframe_ns = None if timeframe is None else parse_timeframe(timeframe)
    rows = open_series(series[0], data_dir, kind)
    done = repair(rows, out, parse_policies(policies), timeframe_ns=timeframe_ns)
    if as_json:
        sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
        return
    from rich.console import Console

    console = Console(emoji=False)
    print_report(console, done.before)
    console.print(
        "repaired: " + (", ".join(f"{name}={how}" for name, how in done.policies.items()) or "there was nothing to do"),
        f"dropped {done.rows_dropped:,} rows, filled in {done.rows_filled:,}, swapped {done.rows_swapped:,}",
        sep="\n",
        highlight=False,
    )
    print_report(console, done.after)


def print_report(console: Console, report: CheckReport) -> None:
    """Print one series for people: what it is, and a line for each kind of defect."""
    from rich.markup import escape
    from rich.table import Table

    from replay.tape.checking import MEANINGS, summary_of
    from replay.tape.columns import time_text

    console.print(f"[bold]{escape(report.where)}[/bold]: {escape(summary_of(report))}", highlight=False)
    if not report.findings:
        console.print("nothing found", style="green")
        return
    table = Table()
    for header in ("", "finding", "count", "first row", "time (UTC)", "first one"):
        table.add_column(header, justify="right" if header in {"count", "first row"} else "left", overflow="fold")
    for finding in report.findings:
        figures = "".join(f"; {name} {value:,}" for name, value in finding.figures.items())
        table.add_row(
            f"[red]{finding.severity}[/red]" if finding.severity == "error" else finding.severity,
            f"{finding.kind}\n[dim]{escape(MEANINGS[finding.kind][1])}[/dim]",
            f"{finding.count:,}{figures}",
            f"{finding.first_row:,}",
            time_text(finding.first_ns),
            escape(finding.example),
        )
    console.print(table)
