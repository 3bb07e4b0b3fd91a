"""`pitboss ctl profit`: what the account gained by day, week or month, and each strategy in each symbol."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from config.errors import UserError, nearest
from daemon.commands.ctl import call, checked, find_endpoint

if TYPE_CHECKING:
    from pathlib import Path

_ROWS_MAX = 1_000


def profit_command(state_dir: Path | None, by: str, rows_max: int, *, as_json: bool) -> None:
    """Print what a running daemon's session has gained.

    Args:
        state_dir: of the daemon.
        by: ``day``, ``week`` or ``month``.
        rows_max: most periods, the newest.
        as_json: one object instead of tables.

    Raises:
        UserError: there is no such period, no daemon, or no console beside it.
    """
    from daemon.console.profit import Period

    if by not in get_args(Period):
        message = f"--by {by}: one of {', '.join(get_args(Period))}{nearest(by, get_args(Period))}"
        raise UserError(message)
    if not 1 <= rows_max <= _ROWS_MAX:
        message = f"--last {rows_max}: from 1 to {_ROWS_MAX:,}"
        raise UserError(message)
    endpoint, token = find_endpoint(state_dir)
    if not endpoint.console:
        message = "its console reads the past, and this daemon runs without one (console.enabled)"
        raise UserError(message)
    there = msgspec.structs.replace(endpoint, url=endpoint.console)
    profit = checked(*call(there, token, "GET", f"/api/live/profit?by={by}&limit={rows_max}"))
    books = checked(*call(there, token, "GET", "/api/live/books"))["rows"]
    if as_json:
        told = {"session": profit["session"], "by": by, "rows": profit["rows"], "books": books}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        _print(profit, books)


def _print(profit: dict[str, Any], books: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    from replay.books import Book, books_table

    console = Console(emoji=False)
    table = Table(title=f"Session {profit['session']}", title_justify="left", min_width=56)
    table.add_column({"day": "day", "week": "week from", "month": "month"}[profit["by"]], no_wrap=True)
    for heading in ("profit", "", "equity", "fills"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in profit["rows"]:
        share = "" if row["share"] is None else f"{row['share']:+.2%}"
        name = row["date"][:7] if profit["by"] == "month" else row["date"]
        figures = (f"{row['equity']:,.2f}", f"{row['fills']:,}")
        table.add_row(name, f"{row['profit']:+,.2f}", share, *figures)
    if not profit["rows"]:
        console.print(f"Session {profit['session']}: no bar has closed yet")
    else:
        console.print(table)
    console.print(books_table(msgspec.convert(books, list[Book])))
