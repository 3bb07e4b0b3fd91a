"""`pitboss features check`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from config.errors import UserError
from daemon.commands.features_build import wanted_from
from daemon.commands.inputs import settings_from, tape_from, with_series
from replay.features.checking import check
from replay.features.subjects import features_subject, strategy_subject
from replay.plan import check_strategies

if TYPE_CHECKING:
    from daemon.commands.features_build import BuildRequest
    from replay.features.checking import CheckReport, Judged, Subject

EXIT_FOUND = 1
_TOLERANCE_MAX = 0.1


def check_command(request: BuildRequest, bars: int, tolerance: float, *, as_json: bool) -> None:
    """Check a strategy or a file of features; exit 1 if something is found.

    Raises:
        UserError: there is nothing to check, or no tape to check it on.
    """
    if bars < 1 or not 0.0 < tolerance <= _TOLERANCE_MAX:
        message = f"--bars must be 1 or more, --tolerance more than 0 and at most {_TOLERANCE_MAX}"
        raise UserError(message)
    subject = _subject(request, bars)
    report = check(subject, tolerance)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report, subject)
    if report.findings:
        raise SystemExit(EXIT_FOUND)


def _subject(request: BuildRequest, bars: int) -> Subject:
    if request.strategy is None:
        wanted = wanted_from(request, None, None)
        return features_subject(wanted.declared, wanted.tape, wanted.symbol, wanted.timeframe_ns, bars)
    for option, value in (("--declare", request.declare), ("--timeframe", request.timeframe)):
        if value is not None:
            message = f"{option} and --strategy exclude each other"
            raise UserError(message)
    settings = settings_from(None, None, request.strategy, request.param, symbols=request.symbol)
    check_strategies(settings)
    tape, _ = with_series(
        *tape_from(request.tape, request.synthetic, None, settings, None, request.data_dir),
        request.series,
        request.data_dir,
    )
    return strategy_subject(settings, tape, bars)


def _print(report: CheckReport, subject: Subject) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    several = len(subject.series) > 1
    if report.values:
        title = f"{len(report.values)} values on {report.rows:,} rows, computed {report.computed} times"
        table = Table(title=title, title_justify="left")
        names = [f"{each.symbol} {each.name}" if several else each.name for each in report.values]
        table.add_column("feature", style="bold", no_wrap=True, min_width=max(map(len, names)))
        table.add_column("first value", justify="right")
        table.add_column("settles after", justify="right")
        table.add_column("expression")
        for name, each in zip(names, report.values, strict=True):
            first = "never" if each.first_row is None else f"bar {each.first_row + 1:,}"
            table.add_row(name, first, _settles(each), each.expression)
        console.print(table)
    for finding in report.findings:
        where = f" ({finding.symbol})" if several and finding.symbol else ""
        since = "" if finding.first is None else f"; first at {finding.first}"
        console.print(f"{finding.kind}: {finding.feature}{where}: {finding.what}{since}", style="red", highlight=False)
    for note in report.notes:
        console.print(f"note: {note}", style="yellow", highlight=False)
    if not report.findings:
        console.print("nothing looks ahead, nothing depends on where the tape begins", style="green")


def _settles(each: Judged) -> str:
    if each.settles is None:
        return "-"
    return "at once" if not each.settles else f"{each.settles:,} more"
