"""`pitboss ctl`: each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.options import JsonOption, StateDirOption

ctl_app = typer.Typer(help="Steer a running daemon.", no_args_is_help=True)

KeyOption = Annotated[
    str | None, typer.Option("--key", metavar="KEY", help="Idempotency key: the same key is the same command.")
]
StrategyOption = Annotated[
    str | None, typer.Option("--strategy", metavar="NAME", help="Only this strategy; the whole account unless given.")
]


@ctl_app.command("status")
def ctl_status(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Show state, equity, positions and actors."""
    from daemon.commands.ctl import status_command

    status_command(state_dir, as_json=as_json)


@ctl_app.command("profit")
def ctl_profit(
    by: Annotated[str, typer.Option("--by", metavar="day|week|month", help="How long a row is, in UTC.")] = "day",
    last: Annotated[int, typer.Option("--last", metavar="N", help="So many of the newest.")] = 14,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was gained by day, week or month, and what each strategy made of each symbol."""
    from daemon.commands.profit import profit_command

    profit_command(state_dir, by, last, as_json=as_json)


def _send(state_dir: Path | None, action: str, key: str | None, as_json: bool, **terms: str | bool) -> None:  # noqa: FBT001 - an option, handed on
    from daemon.commands.ctl import control_command

    control_command(state_dir, action, key, as_json=as_json, terms=terms)


def _of_strategy(action: str, help_text: str) -> None:
    @ctl_app.command(action, help=help_text)
    def send(
        strategy: StrategyOption = None,
        state_dir: StateDirOption = None,
        key: KeyOption = None,
        as_json: JsonOption = False,
    ) -> None:
        _send(state_dir, action, key, as_json, **({} if strategy is None else {"strategy": strategy}))


_of_strategy("pause", "Take no new risk; exits still pass.")
_of_strategy("resume", "Trade again after a pause or a halt.")
_of_strategy("flatten", "Cancel all orders, close all positions, then stay paused; waits until flat.")


@ctl_app.command("close")
def ctl_close(
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="Whose position.")],
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Of what, for example BTC/USDT.")],
    state_dir: StateDirOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close one position, its orders withdrawn first; its strategy trades on. Waits until it is closed."""
    _send(state_dir, "close", key, as_json, strategy=strategy, symbol=symbol)


@ctl_app.command("cancel")
def ctl_cancel(
    order_id: Annotated[str, typer.Argument(metavar="ORDER", help="Its id, as the status shows it.")],
    state_dir: StateDirOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw one order, a protective stop as well, and say so. Waits until the order has ended."""
    _send(state_dir, "cancel", key, as_json, order_id=order_id)


@ctl_app.command("restart")
def ctl_restart(
    actor: Annotated[str, typer.Argument(metavar="ACTOR", help="Its name, for example strategy.ema_cross.")],
    anew: Annotated[bool, typer.Option("--anew", help="Begin as on its first start, instead of where it was.")] = False,
    state_dir: StateDirOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a strategy that was given up begin again; trading is resumed by `pitboss ctl resume`."""
    _send(state_dir, "restart", key, as_json, actor=actor, **({"anew": True} if anew else {}))


@ctl_app.command("tighten")
def ctl_tighten(
    limit: Annotated[str, typer.Argument(metavar="LIMIT", help="Its name below [risk], for example max_net.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="What it shall be from now on.")],
    state_dir: StateDirOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tighten a risk limit while trading runs; only a restart with another configuration loosens it."""
    _send(state_dir, "tighten", key, as_json, limit=limit, value=value)


@ctl_app.command("stop")
def ctl_stop(state_dir: StateDirOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Cancel all orders, seal the session and end the daemon; positions stay."""
    _send(state_dir, "stop", key, as_json)


@ctl_app.command("rotate-token")
def ctl_rotate_token(
    role: Annotated[str, typer.Option("--role", metavar="read|control", help="What the token is good for.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="A further token of its own; the role's own without.")
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the named token away instead.")] = False,
    state_dir: StateDirOption = None,
) -> None:
    """Replace a token, or make a further one; a running daemon refuses the old one from the next request on."""
    from daemon.commands.ctl import rotate_command

    rotate_command(state_dir, role, name, revoke=revoke)
