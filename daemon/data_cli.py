"""The command line of the data: each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.errors import UserError
from daemon.options import ConfigOption, DataDirOption, JsonOption

data_app = typer.Typer(help="Import, check and keep market data.", no_args_is_help=True)

KindOption = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="bars, trades, funding, ...; where the name leaves doubt.")
]
NameArgument = Annotated[
    str, typer.Argument(metavar="VENUE:SYMBOL[:TIMEFRAME]", help="Name of a series, as `pitboss data list` shows it.")
]
ConflictOption = Annotated[
    str,
    typer.Option(
        "--on-conflict", metavar="fail|keep|replace", help="Rows that differ from those there: stop, keep, or replace."
    ),
]


@data_app.command("import")
def data_import(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="CSV, JSON, Parquet or Feather; CSV and JSON also in gzip or zip."),
    ],
    venue: Annotated[str, typer.Option("--venue", metavar="V", help="Where it was traded, such as binance-um.")],
    symbol: Annotated[str, typer.Option("--symbol", metavar="S", help="Of what, such as BTCUSDT or BTC/USDT:USDT.")],
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="bars, trades, mark, ...; where its look leaves doubt.")
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", metavar="5m", help="Length of a bar, where the rows leave doubt.")
    ] = None,
    delay: Annotated[
        str | None,
        typer.Option(
            "--delay", metavar="24h", help="From a value's time to its publication, where the file is silent."
        ),
    ] = None,
    data_dir: DataDirOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what was detected and import nothing.")] = False,
    on_conflict: Annotated[
        str,
        typer.Option("--on-conflict", metavar="fail|keep|replace", help="What becomes of rows that differ from known."),
    ] = "fail",
    layout: Annotated[
        str | None,
        typer.Option("--layout", metavar="NAME", help="jesse, binance-klines, ...; where several would fit."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring files of one series into the catalogue: all of them, or none if anything is wrong.

    What was detected (format, columns, unit of time, order) is shown before anything is written.

    Example: pitboss data import BTCUSDT-1m-2024-*.zip --venue binance --symbol BTCUSDT
    """
    from daemon.commands.data_import import import_command

    import_command(
        files,
        venue,
        symbol,
        kind,
        timeframe,
        delay,
        data_dir,
        on_conflict,
        layout,
        dry_run=dry_run,
        as_json=as_json,
    )


@data_app.command("list")
def data_list(kind: KindOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the series there are: their span, rows and gaps."""
    from daemon.commands.data import list_command

    list_command(kind, data_dir, as_json=as_json)


@data_app.command("show")
def data_show(
    name: NameArgument,
    kind: KindOption = None,
    data_dir: DataDirOption = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Also read every file and compare it with its SHA-256; exit 1 if one differs."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one series: where it came from, and its months.

    Example: pitboss data show binance:BTCUSDT:1m
    """
    from daemon.commands.data import show_command

    show_command(name, kind, data_dir, verify=verify, as_json=as_json)


@data_app.command("resample")
def data_resample(
    name: NameArgument,
    timeframe: Annotated[str, typer.Argument(metavar="TIMEFRAME", help="Length of the bars to make, such as 1h.")],
    kind: KindOption = None,
    offset: Annotated[
        str | None, typer.Option("--offset", metavar="30m", help="How long after full hours (or days) bars begin.")
    ] = None,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="HH:MM-HH:MM", help="Only rows of these hours; bars begin when it opens."),
    ] = None,
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="Whose clocks a session goes by, summer time included.")
    ] = "UTC",
    incomplete: Annotated[
        str,
        typer.Option(
            "--incomplete",
            metavar="drop|gaps|keep",
            help="Bars that miss something: none of them; those with a gap inside; the first and the last, too.",
        ),
    ] = "drop",
    on_conflict: ConflictOption = "fail",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write a Parquet file instead, as --tape takes it.")
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make longer bars of a series of bars or trades, and keep them as a series of their own.

    Example: pitboss data resample binance:BTCUSDT:1m 4h
    """
    from daemon.commands.data_resample import resample_command

    resample_command(
        name, timeframe, kind, offset, session, timezone, incomplete, on_conflict, out, data_dir, as_json=as_json
    )


@data_app.command("rm")
def data_rm(
    name: NameArgument,
    kind: KindOption = None,
    data_dir: DataDirOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove one series and all its files."""
    from daemon.commands.data import remove_command

    remove_command(name, kind, data_dir, yes=yes)


@data_app.command("check")
def data_check(
    series: Annotated[list[str], typer.Argument(metavar="FILE|SERIES...", help="Files, or series of the catalogue.")],
    kind: KindOption = None,
    timeframe: Annotated[
        str | None,
        typer.Option("--timeframe", metavar="5m", help="Length of a bar; the most frequent step unless given."),
    ] = None,
    data_dir: DataDirOption = None,
    repair: Annotated[
        Path | None,
        typer.Option("--repair", metavar="OUT", help="Write a repaired copy (Parquet); the original stays as it is."),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="NAME=HOW",
            help="How to repair a finding, for example gap=fill or not_finite=drop; repeatable.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with market data: gaps, duplicates, impossible prices, local time and more.

    Exit 1 if there is anything that no replay may play; gaps, outages and leaps are only noted. A repair sorts rows and
    drops those that are there twice; whatever else is an error needs a policy, or nothing is written.

    Example: pitboss data check prices.csv.gz --repair sound.parquet --policy gap=fill
    """
    from daemon.commands.data_check import check_command, repair_command

    if repair is not None:
        repair_command(series, repair, policy or (), kind, timeframe, data_dir, as_json=as_json)
    elif policy:
        message = "--policy says how to repair: give the copy's name with --repair OUT"
        raise UserError(message)
    else:
        check_command(series, kind, timeframe, data_dir, as_json=as_json)


@data_app.command("download")
def data_download(
    name: NameArgument,
    since: Annotated[
        str, typer.Option("--since", metavar="2024-01-31", help="The first time that is wanted, UTC unless it says so.")
    ],
    until: Annotated[
        str | None, typer.Option("--until", metavar="2024-12-31", help="The first one that is not; now unless given.")
    ] = None,
    kind: KindOption = None,
    data_dir: DataDirOption = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting, such as exchange.file=...; repeatable."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download bars, mark, index or premium bars, trades, funding, open interest or liquidations through ccxt.

    It needs no keys. Only what is not there yet is asked for, so the same command goes on where one was cut off. What
    is missing in between is asked for a second time: in the end the series holds what the exchange lists.

    Example: pitboss data download binance:BTC/USDT:1m --since 2024-01-01 --until 2024-02-01
    """
    from daemon.commands.data_download import download_command

    download_command(name, since, until, kind, data_dir, setting, config, as_json=as_json)


@data_app.command("synthesize")
def data_synthesize(
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="The same seed is the same market everywhere.")] = 7,
    bars: Annotated[int, typer.Option("--bars", metavar="N", help="Minutes of it.")] = 10_000,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="bars (unless given), trades, quotes, book, funding, open_interest, liquidations, sentiment, flow; "
            "repeatable.",
        ),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", metavar="S", help="Repeat for several that move together.  [SYN/USDT]"),
    ] = None,
    correlation: Annotated[
        float, typer.Option("--correlation", metavar="C", help="Of the returns of two symbols, 0 to 1.")
    ] = 0.6,
    jumps: Annotated[int, typer.Option("--jumps", metavar="N", help="In 10,000 bars, about.")] = 2,
    gaps: Annotated[int, typer.Option("--gaps", metavar="N", help="Holes in 10,000 bars, about.")] = 0,
    venue: Annotated[str | None, typer.Option("--venue", metavar="V", help="synthetic-SEED unless given.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make up a market out of a seed and keep it: regimes, jumps, clustered volatility, gaps, correlated symbols.

    A longer market begins with a shorter one, so that more bars of it are only added.

    Example: pitboss data synthesize --seed 7 --bars 20000 --kind trades --kind quotes --symbol BTC/USDT
    """
    from daemon.commands.data_synthesize import synthesize_command

    synthesize_command(
        seed,
        bars,
        kind or ("bars",),
        symbol or ("SYN/USDT",),
        correlation,
        jumps,
        gaps,
        venue,
        data_dir,
        as_json=as_json,
    )
