"""`pitboss replay`."""

from __future__ import annotations

import sys
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.scheduler import CoreError
from config.errors import UserError
from daemon.commands.inputs import settings_from, tape_from, with_series
from daemon.state_dir import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from actors.risk import RuleReport
    from config.schema import Settings
    from replay.books import Book
    from replay.driver import Summary
    from replay.record import Recorder
    from replay.tape import Tape

EXIT_FAULT = 1
_CENT = Decimal("0.01")


def replay_command(
    tape: Sequence[str] | None,
    synthetic: str | None,
    strategy: str | None,
    param: Sequence[str] | None,
    setting: Sequence[str] | None,
    config: Path | None,
    timeframe: str | None,
    series: Sequence[str] | None,
    data_dir: Path | None,
    out: Path | None,
    *,
    as_json: bool,
    symbols: str | None = None,
    span: tuple[int, int] | None = None,
) -> None:
    """Replay a tape, or the bars of it that open within `span`, and print what it came to."""
    from actors.instrument import Instrument
    from replay.driver import replay_tape
    from replay.plan import check_strategies
    from replay.record import Recorder
    from replay.tape import proof

    settings = settings_from(config, setting, strategy, param, symbols=symbols)
    files = [*(tape or ()), *(series or ())]
    if any(file.lower().endswith(proof.SUFFIXES) for file in files):
        proof.begin()
    check_strategies(settings)
    if out is not None:
        _prepare(out)
    if files:
        import_module("polars")  # it reads every file, and its import is no part of the rate reported below
        proof.prove_tapes(files)
    opened_at = perf_counter()
    played = tape_from(tape, synthetic, timeframe, settings, None, data_dir, span)
    opened, name = with_series(*played, series, data_dir)
    if opened.rows is None:
        message = f"{name}: never ends; a replay needs SEED:BARS"
        raise UserError(message)
    recorder = None
    if out is not None:
        recorder = Recorder({one.symbol: Instrument(one.instrument) for one in opened.series})
    try:
        if as_json or not sys.stderr.isatty():
            summary = replay_tape(settings, opened, recorder=recorder, opened_at=opened_at)
        else:
            summary = _with_progress(settings, opened, recorder, opened_at)
    except CoreError as error:
        sys.stderr.write(f"pitboss: {error}\n")
        raise SystemExit(EXIT_FAULT) from error
    except (RecursionError, MemoryError) as error:
        sys.stderr.write(f"pitboss: the replay ended: {type(error).__name__}: {error}\n")
        raise SystemExit(EXIT_FAULT) from error
    text = msgspec.json.Encoder(decimal_format="number").encode(summary)
    if recorder is not None and out is not None:
        recorder.write(out)
        write_atomically(out / "summary.json", msgspec.json.format(text, indent=2) + b"\n", mode=0o644)
    if as_json:
        sys.stdout.write(text.decode() + "\n")
    else:
        _print(summary, name, out)


def _with_progress(settings: Settings, tape: Tape, recorder: Recorder | None, opened_at: float) -> Summary:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from replay.driver import replay_tape

    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TextColumn("bars"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, emoji=False), transient=True) as progress:
        task = progress.add_task("replay", total=tape.rows)

        def show(bars: int) -> None:
            progress.update(task, completed=bars)

        return replay_tape(settings, tape, recorder=recorder, progress=show, opened_at=opened_at)


def _prepare(out: Path) -> None:
    """Prove before the work that its results can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".pitboss-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        message = f"--out {out}: {error.strerror}"
        raise UserError(message) from error


def _add_margin(table: Table, margin: dict[str, Any]) -> None:
    """Add what margin was used, what was liquidated, and where what is held would be."""
    table.add_row("margin used at most", f"{margin['used_max']:,.2f}")
    if margin["refused"]:
        table.add_row("orders without margin", f"{margin['refused']:,}")
    table.add_row("liquidations", f"{margin['liquidations']:,}")
    if margin["liquidations"]:
        table.add_row("liquidation fees / insured", f"{margin['liquidation_fees']:,.2f} / {margin['insured']:,.2f}")
    for held in margin["positions"]:
        price = "never" if held["liquidation_price"] is None else f"at {held['liquidation_price']:,}"
        held_as = f"{held['quantity']:f} {held['symbol']} at {held['leverage']}x {held['margin_mode']}"
        table.add_row("held at the end", f"{held_as}, liquidated {price}")


def _print(summary: Summary, name: str, out: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    table = Table(title=f"Replay of {name}", title_justify="left", show_header=False, min_width=56)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for strategy in summary.strategies:
        params = ", ".join(f"{key}={value}" for key, value in strategy["params"].items())  # type: ignore[attr-defined]
        traded = ", ".join(strategy["symbols"])  # type: ignore[arg-type]
        table.add_row("strategy", f"{strategy['id']} ({params}) on {traded}")
    for spec in summary.instruments:
        inferred = ", inferred" if spec["inferred"] else ""
        table.add_row("instrument", f"{spec['symbol']}: tick {spec['tick']}, lot {spec['lot']}{inferred}")
    table.add_row("limits", ", ".join(summary.limits) or "none")
    table.add_section()
    table.add_row("bars", f"{summary.bars:,}")
    table.add_row("fills / round trips", f"{summary.fills:,} / {summary.trades:,}")
    table.add_row("equity", f"{money(summary.start_equity)} -> {money(summary.final_equity)}")
    table.add_row("realised profit, before fees", money(summary.realized_pnl))
    table.add_row("fees", money(summary.fees))
    if summary.funding:
        table.add_row("funding received", money(summary.funding))
    if summary.margin is not None:
        _add_margin(table, summary.margin)
    table.add_row("largest drawdown", f"{summary.max_drawdown:.2%}")
    table.add_row("Sharpe ratio (daily, x sqrt 365)", "-" if summary.sharpe is None else f"{summary.sharpe:.2f}")
    table.add_section()
    table.add_row("time", f"{summary.wall_s:.2f} s, {summary.bars_per_s:,.0f} bars/s")
    table.add_row("digest", summary.digest)
    if out is not None:
        table.add_row("written to", str(out))
    console.print(table)
    print_books(console, summary.books)
    print_rules(console, summary.rules)
    for note in summary.notes:
        console.print(f"note: {note}", style="yellow", highlight=False)
    if summary.dead_letters:
        console.print(f"{summary.dead_letters} messages failed in a strategy and were skipped", style="red")


def money(amount: Decimal | str) -> str:
    """Write an amount with cents, half to even: a venue's client leaves another rounding to the whole process."""
    return f"{Decimal(amount).quantize(_CENT, ROUND_HALF_EVEN):,.2f}"


def print_books(console: Console, books: Sequence[Book]) -> None:
    """Print the books, if they are of more than one strategy."""
    from replay.books import books_table, has_several

    if has_several(books):
        console.print(books_table(books))


def print_rules(console: Console, rules: Sequence[RuleReport]) -> None:
    """Print what each limit did, if any was switched on."""
    from rich.table import Table

    if not rules:
        return
    table = Table(title="Limits", title_justify="left", min_width=56)
    for heading in ("rule", "limit", "at it"):
        table.add_column(heading, no_wrap=heading == "rule")
    for heading in ("vetoed", "clipped", "acted"):
        table.add_column(heading, justify="right")
    table.add_column("last reason")
    for row in rules:
        counts = (f"{row.vetoed:,}", f"{row.clipped:,}", f"{row.acted:,}")
        table.add_row(row.rule, row.limit, row.action, *counts, row.last_reason)
    console.print(table)
