"""`pitboss alerts`: each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

alerts_app = typer.Typer(help="Tell people what happens, through apprise.", no_args_is_help=True)


@alerts_app.callback()
def alerts() -> None:
    """Tell people what happens, through apprise."""


@alerts_app.command("test")
def alerts_test(
    target: Annotated[list[str] | None, typer.Argument(metavar="[TARGET]...", help="All of them unless given.")] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Your settings, as TOML.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, for example alerts.timeout_s=5."),
    ] = None,
) -> None:
    """Send every target of [alerts] a message, and say what came of it."""
    from daemon.commands.alerts import test_command

    test_command(target or (), config, setting or ())
