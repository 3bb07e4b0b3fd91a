"""`pitboss alerts`: each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.options import ConfigOption, SetOption

alerts_app = typer.Typer(help="Tell people what happens, through apprise.", no_args_is_help=True)


@alerts_app.callback()
def alerts() -> None:
    """Tell people what happens, through apprise."""


@alerts_app.command("test")
def alerts_test(
    target: Annotated[list[str] | None, typer.Argument(metavar="[TARGET]...", help="All of them unless given.")] = None,
    config: ConfigOption = None,
    setting: SetOption = None,
) -> None:
    """Send every target of [alerts] a message, and say what came of it."""
    from daemon.commands.alerts import test_command

    test_command(target or (), config, setting or ())
