"""`pitboss run`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from config.errors import UserError, nearest
from daemon.code_hash import foreign_packages
from daemon.commands.inputs import settings_from, tape_from, with_series
from daemon.log import configure_logging, end_lines
from daemon.state_dir import default_state_dir, prepare_state_dir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.process import Outcome, RunOptions

MODES = ("paper", "real")
_DEFAULT_SYNTHETIC = "7:endless"
_DEFAULT_SYNTHETIC_SPEED = 300.0
"""Five bars of a minute in a second: enough to see something happen."""
_PORT_MAX = 65_535


def run_command(
    state_dir: Path | None,
    tape: Sequence[str] | None,
    synthetic: str | None,
    speed: float | None,
    strategy: str | None,
    param: Sequence[str] | None,
    setting: Sequence[str] | None,
    config: Path | None,
    timeframe: str | None,
    series: Sequence[str] | None,
    data_dir: Path | None,
    port: int | None,
    *,
    mode: str,
    exit_at_end: bool,
    new_session: bool,
    loosen: bool,
    symbols: str | None = None,
) -> None:
    """Run the daemon in the foreground and print the session's summary at the end."""
    from daemon.process import RunOptions
    from daemon.venue import check_real

    foreign = foreign_packages()
    if foreign:
        message = f"another package shadows ours: {'; '.join(foreign)}; install pitboss in an environment of its own"
        raise UserError(message)
    overrides = list(setting or ())
    if speed is not None:
        overrides.append(f"feed.speed={speed}")
    if port is not None:
        overrides.append(f"http.port={port}")
    defaults = [] if tape else [f"feed.speed={_DEFAULT_SYNTHETIC_SPEED}"]
    if port is not None:
        defaults.append(f"console.port={port + 1 if 0 < port < _PORT_MAX else 0}")
    settings = settings_from(config, overrides, strategy, param, defaults, symbols=symbols)
    if mode not in MODES:
        message = f"--mode {mode}: it is paper or real{nearest(mode, MODES)}"
        raise UserError(message)
    if mode == "real":
        check_real(settings)
    live = settings.feed.source == "exchange"
    if live and (tape or synthetic is not None or series):
        message = "feed.source=exchange and a tape, or a series beside one, exclude each other"
        raise UserError(message)
    configure_logging(settings.log)
    os.umask(0o077)
    folder = prepare_state_dir(state_dir or default_state_dir()).absolute()
    opened, name = None, f"{settings.exchange.id} live"
    if not live:
        played = tape_from(tape, synthetic, timeframe, settings, _DEFAULT_SYNTHETIC, data_dir)
        opened, name = with_series(*played, series, data_dir)
    options = RunOptions(
        settings=settings,
        state_dir=folder,
        tape=opened,
        tape_name=name,
        data_dir=data_dir,
        mode="real" if mode == "real" else "paper",
        new_session=new_session,
        exit_at_end=exit_at_end,
        loosen=loosen,
    )
    outcome = run_to_end(options)
    _print(outcome)
    raise SystemExit(outcome.exit_code)


def run_to_end(options: RunOptions) -> Outcome:
    """Run the daemon until it ends; return how.

    Raises:
        UserError: it cannot start as asked.
    """
    import anyio

    from daemon.process import run_daemon

    try:
        return anyio.run(run_daemon, options, backend_options={"use_uvloop": _uvloop_present()})
    except BaseExceptionGroup as group:
        mistakes, others = group.split(UserError)
        if others is not None or mistakes is None:
            raise
        raise _first(mistakes) from group


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _uvloop_present() -> bool:
    try:
        import uvloop  # noqa: F401 - present or not, that is the question
    except ImportError:
        return False
    return True


def _print(outcome: Outcome) -> None:
    from rich.console import Console
    from rich.table import Table

    from actors.risk import RuleReport
    from daemon.commands.replay import money, print_books, print_rules
    from replay.books import Book

    status: dict[str, Any] = msgspec.to_builtins(outcome.status, builtin_types=(int,))
    kept = "sealed" if outcome.sealed else "open: the same command continues it"
    table = Table(title=f"Session {outcome.session}", title_justify="left", show_header=False, min_width=56)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("ended by", outcome.why)
    table.add_row("session", f"{kept} (run {outcome.run})")
    table.add_row("inputs", f"{status['last_input']['seq']:,} up to {status['clock']['utc']}")
    table.add_row("equity", money(status["equity"]))
    table.add_row("cash", money(status["cash"]))
    table.add_row("realised profit, before fees", money(status["realized_pnl"]))
    table.add_row("fees", money(status["fees"]))
    for position in status["positions"]:
        table.add_row("position", f"{position['quantity']} {position['symbol']} ({position['strategy']})")
    table.add_row("working orders", str(len(status["orders"])))
    table.add_row("digest", status["digest"])
    end_lines()
    console = Console(emoji=False)
    console.print(table)
    print_books(console, msgspec.convert(status["books"], list[Book]))
    print_rules(console, msgspec.convert(status["risk"]["rules"], list[RuleReport]))
