"""`pitboss record`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, get_args

import msgspec

from config.errors import UserError, nearest
from config.schema import Stream
from config.symbols import is_contract
from config.timeframe import parse_timeframe
from daemon.commands.data import catalogue_in
from daemon.commands.inputs import settings_from
from daemon.log import configure_logging

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.record import Recorded
    from replay.tape.catalogue import Catalogue

KINDS: tuple[str, ...] = get_args(Stream)
_OF_ALL = ("bars", "trades", "quotes", "book")
_OF_CONTRACTS = ("mark", "funding")
_EXIT_FAULT = 1
_NS_PER_S = 1_000_000_000


def record_command(
    symbol: Sequence[str] | None,
    kinds: str | None,
    duration: str | None,
    data_dir: Path | None,
    setting: Sequence[str] | None,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """Record until told to stop, and print what it came to."""
    import anyio

    from daemon.record import record

    overrides = list(setting or ())
    if symbol:
        overrides.append(f"exchange.symbols={list(symbol)!r}")
    symbols = settings_from(config, overrides, None, None).exchange.symbols
    overrides.append(f"exchange.streams={_streams(kinds, contracts=any(map(is_contract, symbols)))!r}")
    settings = settings_from(config, [*overrides, "feed.source=exchange"], None, None)
    duration_s = None if duration is None else parse_timeframe(duration) / _NS_PER_S
    configure_logging(settings.log)
    catalogue = catalogue_in(data_dir)
    report = anyio.run(record, settings, catalogue, duration_s)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report, catalogue)
    if report.failed:
        sys.stderr.write(f"pitboss: {report.why}\n")
        raise SystemExit(_EXIT_FAULT)


def _streams(kinds: str | None, *, contracts: bool) -> list[str]:
    """Return what is listened to: bars always, for a tape needs them.

    Raises:
        UserError: there is no such kind.
    """
    if kinds is None:
        return [*_OF_ALL, *(_OF_CONTRACTS if contracts else ())]
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    for kind in wanted:
        if kind not in KINDS:
            message = f"--kinds {kind}: no stream of a feed{nearest(kind, KINDS)}; there are: {', '.join(KINDS)}"
            raise UserError(message)
    return list(dict.fromkeys(("bars", *wanted)))


def _print(report: Recorded, catalogue: Catalogue) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    title = f"Recorded for {report.seconds:,.0f} s into {catalogue.root}, ended by: {report.why}"
    table = Table(title=title, title_justify="left")
    table.add_column("series", style="bold", no_wrap=True)
    table.add_column("heard")
    for name in ("breaks", "missing", "rows in all"):
        table.add_column(name, justify="right")
    for each in report.symbols:
        heard = ", ".join(f"{count:,} {name}" for name, count in each.messages.items()) or "nothing"
        table.add_row(each.series, heard, f"{each.breaks:,}", f"{each.missing:,}", f"{each.rows:,}")
    console.print(table)
    names = " ".join(f"--tape {each.series}" for each in report.symbols)
    console.print(f"pitboss replay {names}", highlight=False)
