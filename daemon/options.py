"""The options that several commands have; what only one has stands with that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StateDirOption = Annotated[
    Path | None, typer.Option("--state-dir", metavar="DIR", help="Where a daemon keeps its journal and token.")
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where series are kept; $PITBOSS_DATA_DIR, or a place of its own."),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Your settings, as TOML.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting, for example account.cash=50000; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

# --- what is played, and who trades on it ------------------------------------------------------------

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
EndingSyntheticOption = Annotated[
    str | None, typer.Option("--synthetic", metavar="SEED:BARS", help="Made-up bars from a seed instead of a file.")
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

# --- a daemon's run, and what is left of it ----------------------------------------------------------

PortOption = Annotated[
    int | None,
    typer.Option("--port", metavar="P", help="Of the control endpoint, and the next of the console; 0: free."),
]
NewSessionOption = Annotated[
    bool, typer.Option("--new-session", help="Leave an open session behind and begin a new one from its account.")
]
SessionOption = Annotated[
    str | None, typer.Option("--session", metavar="ID", help="Which of a daemon's; the newest unless given.")
]
