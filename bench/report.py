"""The tables of a run, for people; `results.json` has the same figures for programs."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.measures import Figure
from bench.results import Result, Results, Verdict, loop_bars_per_s, speed_ratios

DASH = "-"
_TIMED = ("ours", "talib", "polars")
PROCESS_NAMES = ("elapsed_s", "process_s")


def new_table(title: str, *columns: str) -> Table:
    """Start a table with left-aligned columns."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def counted(value: float | None, decimals: int = 0) -> str:
    """Format a number with thousands, or a dash."""
    return DASH if value is None else f"{value:,.{decimals}f}"


def significant(value: float) -> str:
    """Format a ratio of any size so that three digits show."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def replay_table(results: Results, bars: int) -> Table:
    """Lay out the engines side by side."""
    table = new_table(f"W1: {bars:,} bars, medians", "engine")
    for heading in (
        "bars/s\ntape to result", "bars/s\nengine alone", "spread", "pitboss is x\nengine alone",
        "peak RSS\nMB", "fills", "final equity",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    ratios = speed_ratios(results)
    for name, result in results.items():
        if result.measure.group != "replay":
            continue
        label = result.measure.title
        if not result.readings:
            continue
        figures = result.median()
        ratio = ratios.get(name, {}).get("strict")
        spread = result.spread("wall_s")
        table.add_row(
            f"{label} {figures['version']}" if name not in {"floor", "account", "loop"} else label,
            counted(result.number("bars_per_s")),
            counted(loop_bars_per_s(result)),
            DASH if spread is None else f"{spread:.0%}",
            DASH if ratio is None else significant(ratio),
            counted(result.number("peak_rss_mb")),
            counted(result.number("fills")),
            counted(result.number("final_equity"), 2),
        )
    return table


def process_table(results: Results) -> Table:
    """Lay out what whole processes cost."""
    table = new_table("processes: start-up and memory", "process")
    for heading in ("start to exit, s", "CPU, s", "peak RSS MB"):
        table.add_column(heading, justify="right")
    for result in results.values():
        if result.measure.group not in {"memory", "startup"} and result.measure.name != "pitboss":
            continue
        if not result.readings:
            continue
        seconds = next((result.number(name) for name in PROCESS_NAMES if result.number(name) is not None), None)
        table.add_row(
            result.measure.title,
            counted(seconds, 2),
            counted(result.number("cpu_s"), 2),
            counted(result.number("peak_rss_mb")),
        )
    return table


def durability_table(results: Results) -> Table:
    """Lay out what the disk costs beside what the live daemon takes."""
    table = new_table("durability and live reaction", "what", "figure")
    table.add_column("value", justify="right")
    for result in results.values():
        if result.measure.group == "durability":
            add_figures(table, result)
    return table


def data_table(results: Results) -> Table:
    """Lay out what taking data over and feeding it costs beside plain polars."""
    table = new_table("CSV klines taken over, and Parquet tapes fed", "process")
    for heading in ("rows/s", "start to exit, s", "CPU, s", "peak RSS MB", "above\nimports"):
        table.add_column(heading, justify="right")
    for result in results.values():
        if result.measure.group == "data" and result.readings:
            table.add_row(
                result.measure.title,
                counted(result.number("rows_per_s")),
                counted(result.number("process_s"), 2),
                counted(result.number("cpu_s"), 2),
                counted(result.number("peak_rss_mb")),
                counted(result.number("above_imports_mb")),
            )
    return table


def features_table(results: Results) -> Table:
    """Lay out every indicator beside TA-Lib's and polars'."""
    table = new_table("indicators over a million rows, fastest of a few, ms", "indicator")
    for heading in ("pitboss", "TA-Lib", "x TA-Lib", "polars", "x polars"):
        table.add_column(heading, justify="right")
    figures = results["indicators"].median()
    for name in [name.split(".")[1] for name in figures if name.startswith("by_kind.") and name.endswith(".ours_ms")]:
        ours, talib, polars = (results["indicators"].number(f"by_kind.{name}.{who}_ms") for who in _TIMED)
        beside = [None if ours is None or not theirs else ours / theirs for theirs in (talib, polars)]
        table.add_row(name, *(counted(value, 2) for value in (ours, talib, beside[0], polars, beside[1])))
    return table


def preset_table(results: Results) -> Table:
    """Lay out what the 15-minute pipeline costs a bar and at the start."""
    table = new_table("the 15-minute pipeline, live", "what", "figure")
    table.add_column("value", justify="right")
    for name in ("preset", "starts"):
        if name in results:
            add_figures(table, results[name])
    return table


def add_figures(table: Table, result: Result) -> None:
    """Add one row for each figure of a measure."""
    label = result.measure.title
    for name, value in result.median().items():
        table.add_row(label, name, shown(value))
        label = ""


def shown(value: Figure) -> str:
    """Format any figure."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return DASH if value is None else str(value)
    return counted(value, 0 if isinstance(value, int) else 1)


def verdict_table(verdicts: list[Verdict]) -> Table:
    """Lay out the promises."""
    table = new_table("promises", "promise")
    table.add_column("measured", justify="right")
    table.add_column("")
    words = {True: "[green]kept[/green]", False: "[red]broken[/red]", None: "[dim]open[/dim]"}
    for verdict in verdicts:
        table.add_row(verdict.promise, verdict.figure, words[verdict.kept])
    return table


def print_report(console: Console, results: Results, verdicts: list[Verdict], bars: int) -> None:
    """Print the tables of the groups that were measured."""
    groups = {result.measure.group for result in results.values()}
    if "replay" in groups:
        console.print(replay_table(results, bars))
    if groups & {"memory", "startup"}:
        console.print(process_table(results))
    if "durability" in groups:
        console.print(durability_table(results))
    if "data" in groups:
        console.print(data_table(results))
    if "indicators" in results and results["indicators"].readings:
        console.print(features_table(results))
    if {"preset", "starts"} & results.keys():
        console.print(preset_table(results))
    console.print(verdict_table(verdicts))
    for result in results.values():
        if result.skipped is not None:
            console.print(f"[yellow]{result.measure.name} left out:[/yellow] {escape(result.skipped)}")
        elif result.failed is not None:
            console.print(f"[red]{result.measure.name} failed:[/red] {escape(result.failed)}")
