"""`pitboss journal diff`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from actors.runtime.journal import FILE_NAME
from config.errors import UserError
from daemon.code_hash import code_hash
from daemon.control.view import utc
from daemon.state_dir import default_state_dir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal
    from pathlib import Path

    from rich.console import Console

    from replay.drift import DriftReport, OrderDrift, StrategyDrift, TapeDrift
    from replay.tape import Tape

EXIT_DIFFERENT = 1
_ROWS_MAX = 12
"""Orders shown to people; the JSON has all."""
_NS_PER_MS = 1_000_000


def diff_command(
    state_dir: Path | None,
    session: str | None,
    tape: Sequence[str] | None,
    synthetic: str | None,
    timeframe: str | None,
    data_dir: Path | None,
    setting: Sequence[str] | None,
    *,
    current: bool,
    as_json: bool,
) -> None:
    """Print the drift report; exit 0 if the session's own replay decides as it did."""
    from replay.drift import drift_report
    from replay.journal import NothingStoredError

    path = (state_dir or default_state_dir()) / FILE_NAME
    opened, name = _tape(tape, synthetic, timeframe, data_dir)
    try:
        report = drift_report(
            path, session, opened, name, overrides=setting or (), current=current, code_hash=code_hash()
        )
    except NothingStoredError as error:
        sys.stderr.write(f"pitboss: {error}\n")
        raise SystemExit(EXIT_DIFFERENT) from error
    if as_json:
        sys.stdout.write(msgspec.json.Encoder(decimal_format="number").encode(report).decode() + "\n")
    else:
        _print(report)
    if not report.own.equal:
        raise SystemExit(EXIT_DIFFERENT)


def _tape(
    tape: Sequence[str] | None, synthetic: str | None, timeframe: str | None, data_dir: Path | None
) -> tuple[Tape | None, str]:
    if not tape and synthetic is None:
        return None, ""
    from config.schema import Settings
    from daemon.commands.inputs import tape_from

    opened, name = tape_from(tape, synthetic, timeframe, Settings(), None, data_dir)
    if opened.rows is None:
        message = f"{name}: never ends; a comparison needs SEED:BARS"
        raise UserError(message)
    return opened, name


def _print(report: DriftReport) -> None:
    from rich.console import Console

    console = Console(emoji=False)
    _print_own(console, report)
    if report.failure is not None:
        console.print(f"the replay at the simulated venue fails: {report.failure}", style="red", markup=False)
    elif report.drift is None:
        console.print("no bar was recorded: there is nothing to compare with a venue", style="yellow", highlight=False)
    else:
        _print_drift(console, report.drift)
        _print_orders(console, report.drift.orders)


def _print_own(console: Console, report: DriftReport) -> None:
    """Say how the session compares with its own replay."""
    from rich.table import Table

    own = report.own
    table = Table(
        title=f"Session {report.session} and its own replay", title_justify="left", show_header=False, min_width=56
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("session", f"{'real' if report.real else 'paper'}, {report.status}, runs: {report.runs}")
    table.add_row("inputs", f"{own.inputs:,}")
    table.add_row("inputs that decide the same", f"{own.inputs_equal:,}")
    if own.unverified_tail:
        table.add_row("inputs without a digest", f"{own.unverified_tail:,}")
    table.add_row("decisions", "[green]equal[/green]" if own.equal else "[red]different[/red]")
    console.print(table)
    difference = own.divergence
    if difference is not None:
        where = f"input {difference.seq} ({difference.input} at {utc(difference.ts_ns)}, run {difference.run})"
        for text in (
            f"first difference: {where}, decision {difference.decision}, field {difference.field}",
            *(f"  {each.name}: live {each.live}, replay {each.replay}" for each in difference.fields),
            f"  live:   {difference.live or 'nothing'}",
            f"  replay: {difference.replay or 'nothing'}",
            f"likely cause: {difference.cause}",
        ):
            console.print(text, style="red", highlight=False, markup=False)
    if own.damage is not None:
        text = f"likely cause: damaged journal: {own.damage}; what follows is of the inputs before"
        console.print(text, style="red", highlight=False, markup=False)
    for note in own.notes:
        console.print(f"note: {note}", style="yellow", highlight=False, markup=False)


def _print_drift(console: Console, drift: TapeDrift) -> None:
    """Say how the session compares with the simulated venue."""
    from rich.table import Table

    period = f"{_minute(drift.from_ms)} to {_minute(drift.to_ms)} UTC"
    console.print(f"\nLive and the simulated venue over {drift.tape}\n{period}", style="italic", highlight=False)
    table = Table()
    shown = drift.strategies if len(drift.strategies) == 1 else [*drift.strategies, drift.total]
    table.add_column("", style="bold")
    for each in shown:
        table.add_column(each.strategy or "all", justify="right")
    for label, name in (
        ("intents, live", "intents_live"),
        ("intents, replay", "intents_replay"),
        ("intents matched", "intents_matched"),
        ("  of another quantity", "intents_resized"),
        ("vetoes, live", "vetoes_live"),
        ("vetoes, replay", "vetoes_replay"),
        ("orders, live", "orders_live"),
        ("  rejected", "rejected_live"),
        ("orders, replay", "orders_replay"),
        ("orders matched", "orders_matched"),
        ("fills, live", "fills_live"),
        ("fills, replay", "fills_replay"),
        ("orders filled on both sides", "filled_both"),
        ("  in the replay only: missed", "missed"),
        ("  live only: extra", "extra"),
        ("  live, after the last bar", "pending"),
    ):
        table.add_row(label, *(f"{getattr(each, name):,}" for each in shown))
    table.add_section()
    table.add_row("fees, live", *(f"{each.fees_live:,.2f}" for each in shown))
    table.add_row("fees, replay", *(f"{each.fees_replay:,.2f}" for each in shown))
    table.add_row("slippage, bps", *(_optional(each.slippage_bps) for each in shown))
    table.add_section()
    for label, name in (
        ("cost of slippage", "cost_slippage"),
        ("cost of fees", "cost_fees"),
        ("cost of what was missed", "cost_missed"),
        ("cost of what was extra", "cost_extra"),
        ("cost of funding", "cost_funding"),
        ("cost of liquidations", "cost_liquidation"),
        ("other quantities, base fees", "cost_rest"),
        ("cost of the drift", "cost"),
    ):
        table.add_row(label, *(_money(each, name) for each in shown))
    console.print(table)
    bars = drift.bars
    console.print(
        f"equity: live {drift.equity_live:,.2f}, replay {drift.equity_replay:,.2f};"
        f" bars: live {bars.live:,}, replay {bars.replay:,}, missed {bars.only_replay:,}, extra {bars.only_live:,},"
        f" different {bars.different:,}",
        highlight=False,
    )
    if bars.shifted_ns:
        days = bars.shifted_ns / 86_400e9
        console.print(f"note: the tape was shifted by {days:+,.4f} days onto the session", style="yellow")


def _print_orders(console: Console, orders: Sequence[OrderDrift]) -> None:
    """Show the orders that differ most."""
    from rich.table import Table

    differing = [row for row in orders if row.outcome != "both" or row.slippage]
    differing.sort(key=lambda row: (row.outcome == "both", -abs(row.slippage)))
    if not differing:
        return
    table = Table()
    several = len({row.strategy for row in differing}) > 1
    for name in ("bar, UTC", "order"):
        table.add_column(name, no_wrap=True)
    for name in ("live", "replay", "slippage"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in differing[:_ROWS_MAX]:
        quantity = row.quantity_live or row.quantity_replay
        whose = f" ({row.strategy})" if several else ""
        table.add_row(
            _minute(row.ts)[5:],
            f"{row.side} {quantity.normalize():f} {row.symbol}{whose}",
            row.outcome if row.price_live is None else f"{row.price_live:f}",
            row.outcome if row.price_replay is None else f"{row.price_replay:f}",
            f"{row.slippage:,.4f}",
        )
    console.print(f"\nOrders that differ most: {min(_ROWS_MAX, len(differing))} of {len(differing):,}", style="italic")
    console.print(table)
    for row in differing[:_ROWS_MAX]:
        if row.why:
            text = f"{_minute(row.ts)[5:]} {row.outcome}: {row.why}"
            console.print(text, style="yellow", highlight=False, markup=False)


def _minute(ms: int) -> str:
    return utc(ms * _NS_PER_MS)[:16].replace("T", " ")


def _money(figures: StrategyDrift, name: str) -> str:
    amount: Decimal = getattr(figures, name)
    return f"{amount:,.4f}"


def _optional(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"
