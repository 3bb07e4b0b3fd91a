"""The command line of features: each command imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.options import (
    DataDirOption,
    EndingSyntheticOption,
    JsonOption,
    ParamOption,
    SeriesOption,
    TapeOption,
)

features_app = typer.Typer(help="Compute features over a tape, and check them.", no_args_is_help=True)

DeclareOption = Annotated[
    Path | None, typer.Option("--declare", metavar="FILE.toml", help="Expressions by name in a table [features].")
]
StrategyOption = Annotated[
    str | None,
    typer.Option("--strategy", "-s", metavar="NAME|FILE.py:CLASS", help="The features a strategy declares."),
]
SymbolOption = Annotated[
    str | None, typer.Option("--symbol", metavar="S", help="Whose bars the rows are; the first tape's without.")
]
RowsOption = Annotated[
    str | None, typer.Option("--timeframe", metavar="15m", help="Length of a row's bar; 15m for the preset.")
]


@features_app.command("build")
def features_build(
    out: Annotated[Path, typer.Option("--out", metavar="FRAME.parquet", help="Where the frame goes.")],
    tape: TapeOption = None,
    synthetic: EndingSyntheticOption = None,
    series: SeriesOption = None,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME", help="pipeline15, unless something else is declared.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="NAME", help="Only this group of the preset; repeatable.")
    ] = None,
    declare: DeclareOption = None,
    strategy: StrategyOption = None,
    param: ParamOption = None,
    entry: Annotated[
        str | None, typer.Option("--entry", metavar="EXPR", help="A column `entry`, such as 'rsi_14 < 30'.")
    ] = None,
    leave: Annotated[str | None, typer.Option("--exit", metavar="EXPR", help="A column `exit`.")] = None,
    symbol: SymbolOption = None,
    timeframe: RowsOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write features as a frame, one row per bar: what a strategy that declares them is given live, bit for bit.

    Example: pitboss features build --tape BTC=1m.parquet --series BTC=funding.parquet --out frame.parquet
    """
    from daemon.commands.features_build import BuildRequest, build_command

    build_command(
        BuildRequest(
            tape=tape,
            synthetic=synthetic,
            series=series,
            declare=declare,
            strategy=strategy,
            param=param,
            symbol=symbol,
            timeframe=timeframe,
            data_dir=data_dir,
        ),
        out,
        preset,
        group,
        entry,
        leave,
        as_json=as_json,
    )


@features_app.command("check")
def features_check(
    tape: TapeOption = None,
    synthetic: EndingSyntheticOption = None,
    series: SeriesOption = None,
    strategy: StrategyOption = None,
    param: ParamOption = None,
    declare: DeclareOption = None,
    symbol: SymbolOption = None,
    timeframe: RowsOption = None,
    bars: Annotated[
        int, typer.Option("--bars", metavar="N", help="Bars of the tape to compute on, from its first.")
    ] = (20_000),
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="T", help="How near is near enough, in proportion to a value.")
    ] = 1e-6,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find look-ahead, unstable warm-up and leaked state in a strategy, and name the guilty feature.

    Everything is computed again: twice, on the tape cut off and altered behind some points, on tapes that begin later.
    Exit 1 if something is wrong.

    Example: pitboss features check --strategy mine.py:Mine --tape BTC=1m.parquet
    """
    from daemon.commands.features_build import BuildRequest
    from daemon.commands.features_check import check_command

    check_command(
        BuildRequest(
            tape=tape,
            synthetic=synthetic,
            series=series,
            declare=declare,
            strategy=strategy,
            param=param,
            symbol=symbol,
            timeframe=timeframe,
            data_dir=data_dir,
        ),
        bars,
        tolerance,
        as_json=as_json,
    )
