"""`pitboss tui`: a console on a running daemon, or on a replay of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.options import (
    ConfigOption,
    DataDirOption,
    FromOption,
    ParamOption,
    SeriesOption,
    SessionOption,
    SetOption,
    StateDirOption,
    StrategyOption,
    SymbolsOption,
    SyntheticOption,
    TimeframeOption,
    ToOption,
)


def tui(
    state_dir: StateDirOption = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Where a daemon or its console listens; the local one unless given."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="Its token; the state directory's unless given.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="With https: the certificate to trust.")
    ] = None,
    *,
    replay: Annotated[
        list[str] | None,
        typer.Option(
            "--replay",
            metavar="[SYMBOL=]FILE|SERIES|DIR",
            help="Debug a replay of this tape instead, or of a session of the daemon in this directory; repeat for "
            "several series. The options below are for it; most are those of `pitboss replay`.",
        ),
    ] = None,
    session: SessionOption = None,
    since: FromOption = None,
    until: ToOption = None,
    synthetic: SyntheticOption = None,
    strategy: StrategyOption = None,
    symbols: SymbolsOption = None,
    param: ParamOption = None,
    setting: SetOption = None,
    config: ConfigOption = None,
    timeframe: TimeframeOption = None,
    series: SeriesOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Open the console of a running daemon: live state, charts, log, commands. `?` shows the keys.

    With --replay it opens the debugger instead: step, play and jump through a tape, and look into every actor and
    message. Example: pitboss tui --replay BTC-1m.parquet --strategy ema_cross
    """
    from daemon.commands.tui import debug_command, tui_command

    how = {
        "strategy": strategy, "symbols": symbols, "param": param, "setting": setting, "config": config,
        "timeframe": timeframe, "series": series, "data_dir": data_dir, "session": session, "from": since, "to": until,
    }  # fmt: skip
    where = {"state_dir": state_dir, "url": url, "token_file": token_file, "certificate": certificate}
    if replay or synthetic:
        debug_command(replay, synthetic, how, where)
    else:
        tui_command(state_dir, url, token_file, certificate, how)
