"""The options by which a replay, a run and the debugger are told what to play and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TapeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tape",
        metavar="[SYMBOL=]FILE|SERIES",
        help="Parquet or CSV of bars, or VENUE:SYMBOL:TIMEFRAME of `pitboss data list`; repeat for several series.",
    ),
]
SyntheticOption = Annotated[
    str | None,
    typer.Option(
        "--synthetic", metavar="SEED:BARS", help="Made-up bars from a seed instead of a file; SEED alone never ends."
    ),
]
TimeframeOption = Annotated[
    str | None, typer.Option("--timeframe", metavar="5m", help="Length of a bar, where the file leaves doubt.")
]
SeriesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--series",
        metavar="NAME=FILE[,delay=8h]",
        help="Values beside the bars, each visible from when it was published; repeatable.",
    ),
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="2024-01-31", help="The first bar that is wanted, of the catalogue's.")
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="2024-12-31", help="The first one that is not, likewise.")
]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy", "-s", metavar="NAME|FILE.py:CLASS", help="A built-in strategy, or a class in your own file."
    ),
]
SymbolsOption = Annotated[
    str | None,
    typer.Option(
        "--symbols", metavar="A,B", help="What the strategy trades; the first there are, as it wants, without."
    ),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", metavar="NAME=VALUE", help="A parameter of the strategy; repeatable."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting, for example account.cash=50000; repeatable."),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Your settings, as TOML.")]
