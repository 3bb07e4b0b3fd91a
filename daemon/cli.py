"""The command line. Each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from config.errors import UserError
from config.secrets import masked_addresses
from daemon.alerts_cli import alerts_app
from daemon.ctl_cli import ctl_app
from daemon.data_cli import data_app
from daemon.features_cli import features_app
from daemon.options import (
    ConfigOption,
    DataDirOption,
    EndingSyntheticOption,
    FromOption,
    JsonOption,
    NewSessionOption,
    ParamOption,
    PortOption,
    SeriesOption,
    SessionOption,
    SetOption,
    StateDirOption,
    StrategyOption,
    SymbolsOption,
    SyntheticOption,
    TapeOption,
    TimeframeOption,
    ToOption,
)
from daemon.tui_cli import tui

EXIT_DIFFERENT = 1
EXIT_USER = 2

app = typer.Typer(
    name="pitboss",
    help="A live-trading daemon whose backtests are deterministic replays through the same actors.",
    epilog="Exit codes: 0 done, 1 it ran and something is wrong (a fault, a difference), 2 it was asked wrongly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
journal_app = typer.Typer(help="Replay, compare or export what a session recorded.", no_args_is_help=True)
app.add_typer(ctl_app, name="ctl")
app.add_typer(journal_app, name="journal")
app.add_typer(alerts_app, name="alerts")
app.add_typer(data_app, name="data")
app.add_typer(features_app, name="features")

ModeOption = Annotated[
    str, typer.Option("--mode", metavar="paper|real", help="Whose venue takes the orders: ours, or a real one.")
]


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - the shape typer calls it in
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pitboss {version('pitboss')}")
        raise typer.Exit


@app.callback()
def entry(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A live-trading daemon whose backtests are deterministic replays through the same actors."""


@app.command()
def replay(
    tape: TapeOption = None,
    synthetic: SyntheticOption = None,
    strategy: StrategyOption = None,
    symbols: SymbolsOption = None,
    param: ParamOption = None,
    setting: SetOption = None,
    config: ConfigOption = None,
    timeframe: TimeframeOption = None,
    series: SeriesOption = None,
    data_dir: DataDirOption = None,
    *,
    since: FromOption = None,
    until: ToOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Write fills, orders, equity (Parquet) and the summary (JSON) there."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Backtest: replay a tape through the same actors that trade live.

    Example: pitboss replay --synthetic 7:100000 --strategy ema_cross -p fast=10 -p slow=20
    """
    from daemon.commands.inputs import span_from
    from daemon.commands.replay import replay_command

    replay_command(
        tape, synthetic, strategy, param, setting, config, timeframe, series, data_dir, out,
        as_json=as_json, symbols=symbols, span=span_from(since, until),
    )  # fmt: skip


@app.command()
def run(
    state_dir: StateDirOption = None,
    tape: TapeOption = None,
    synthetic: SyntheticOption = None,
    speed: Annotated[
        float | None,
        typer.Option("--speed", metavar="N", help="Tape seconds per second of yours; 0 for as fast as it goes."),
    ] = None,
    strategy: StrategyOption = None,
    symbols: SymbolsOption = None,
    param: ParamOption = None,
    setting: SetOption = None,
    config: ConfigOption = None,
    timeframe: TimeframeOption = None,
    series: SeriesOption = None,
    data_dir: DataDirOption = None,
    *,
    mode: ModeOption = "paper",
    port: PortOption = None,
    exit_at_end: Annotated[
        bool, typer.Option("--exit-at-end", help="End when the tape ends, instead of staying up.")
    ] = False,
    new_session: NewSessionOption = False,
    loosen: Annotated[
        bool, typer.Option("--loosen", help="Take every limit as configured, also what was tightened while it ran.")
    ] = False,
) -> None:
    """Run the daemon: on paper over a tape or a live feed, or for real at an exchange.

    The same command continues the session where it was, also after a crash. Without a tape it plays an endless
    synthetic market; with --set feed.source=exchange it listens to the venue of [exchange]. Ctrl-C ends the run and
    keeps the session; `pitboss ctl stop` ends the session.
    """
    from daemon.commands.run import run_command

    run_command(
        state_dir, tape, synthetic, speed, strategy, param, setting, config, timeframe, series, data_dir, port,
        mode=mode, exit_at_end=exit_at_end, new_session=new_session, loosen=loosen, symbols=symbols,
    )  # fmt: skip


@app.command()
def record(
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", metavar="BASE/QUOTE", help="What to record; repeatable.  [exchange.symbols]"),
    ] = None,
    kinds: Annotated[
        str | None,
        typer.Option(
            "--kinds",
            metavar="bars,trades,...",
            help="bars (always), trades, quotes, book, mark, funding; all there are unless given.",
        ),
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--duration", metavar="8h", help="For how long; until Ctrl-C unless given.")
    ] = None,
    data_dir: DataDirOption = None,
    setting: SetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a live feed as a tape: everything a session would be told, with the time and in the order it was heard.

    `pitboss replay --tape feed:VENUE:SYMBOL` plays it. Another start goes on with the same recording, also after a
    crash; what is missing in between is fetched where the exchange still has it, and named where it has not.

    Example: pitboss record --symbol BTC/USDT --set exchange.id=binance
    """
    from daemon.commands.record import record_command

    record_command(symbol, kinds, duration, data_dir, setting, config, as_json=as_json)


@app.command()
def exchange(
    port: Annotated[
        int, typer.Option("--port", metavar="P", help="Port of REST and sockets; 0 for a free one.")
    ] = 8790,
    admin_port: Annotated[
        int, typer.Option("--admin-port", metavar="A", help="Port of /control/*; 0 for a free one.")
    ] = 8791,
    tape: Annotated[
        list[str] | None,
        typer.Option(
            "--tape", metavar="FILE", help="Bars to play, Parquet or CSV; an endless synthetic market without."
        ),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", metavar="BASE/QUOTE", help="What the tape is of; one for each tape.  [BTC/USDT]"),
    ] = None,
    speed: Annotated[float, typer.Option("--speed", metavar="N", help="Exchange seconds per second of yours.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Of keys, faults and the synthetic market.")] = 7,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME=RATE", help="Something that goes wrong, and how often; repeatable."),
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", metavar="D", help="Where the book is kept and ccxt.json is written.")
    ] = None,
    timeframe: TimeframeOption = None,
    *,
    futures_balance: Annotated[
        str,
        typer.Option("--futures-balance", metavar="N", help="What the perpetuals' wallet has at first, in quote."),
    ] = "100000",
    leverage: Annotated[
        int, typer.Option("--leverage", metavar="N", help="Of perpetuals, until a client sets another.")
    ] = 20,
    funding_rate: Annotated[
        str,
        typer.Option("--funding-rate", metavar="R", help="What longs pay shorts, as a fraction of value a settlement."),
    ] = "0.0001",
    funding_hours: Annotated[
        int, typer.Option("--funding-hours", metavar="H", help="Hours of exchange time between settlements.")
    ] = 8,
    fee_asset: Annotated[
        str,
        typer.Option("--fee-asset", metavar="ASSET", help="What fees are paid in; auto: what came in."),
    ] = "auto",
    balance: Annotated[
        list[str] | None,
        typer.Option("--balance", metavar="ASSET=AMOUNT", help="What a new account holds besides; repeatable."),
    ] = None,
    no_catch_up: Annotated[
        bool,
        typer.Option("--no-catch-up", help="After an absence, go on where it stood; play nothing of the meantime."),
    ] = False,
) -> None:
    """Run the loopback exchange: Binance's protocol on 127.0.0.1, for any ccxt program to trade on.

    Each symbol is traded spot, and as a USD-margined perpetual with a wallet of its own (BTC/USDT:USDT).

    Once it is ready, ccxt.json in its state directory holds the constructor arguments.
    """
    from daemon.commands.exchange import exchange_command

    exchange_command(
        port,
        admin_port,
        tape,
        symbol,
        speed,
        seed,
        fault,
        state_dir,
        timeframe,
        fee_asset,
        balance,
        futures_balance=futures_balance,
        leverage=leverage,
        funding_rate=funding_rate,
        funding_hours=funding_hours,
        catch_up=not no_catch_up,
    )


@app.command()
def demo(
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", metavar="DIR", help="Where both keep their state; one of its own.")
    ] = None,
    speed: Annotated[float, typer.Option("--speed", metavar="N", help="Market seconds per second of yours.")] = 300.0,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Of the made-up market.")] = 7,
    strategy: StrategyOption = None,
    param: ParamOption = None,
    setting: SetOption = None,
    port: PortOption = None,
    new_session: NewSessionOption = False,
) -> None:
    """See the real path at work: start the loopback exchange, and the daemon trading on it through ccxt.pro.

    Ctrl-C ends both and prints the session's summary; the same command goes on where they were.
    """
    from daemon.commands.demo import demo_command

    demo_command(state_dir, speed, seed, strategy, param, setting, port, new_session=new_session)


@app.command()
def panic(
    state_dir: StateDirOption = None,
    config: ConfigOption = None,
    setting: SetOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also orders that are not ours, and all there is of the traded assets.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even while a daemon runs, which would trade on.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Flatten an account at a real venue without the daemon: cancel our orders, sell our positions at market.

    The journal says what is ours and which venue it is at, unless --set exchange... does.

    Exit 0 only when a second look shows nothing of ours open.
    """
    from daemon.commands.panic import panic_command

    panic_command(state_dir, config, setting, everything=everything, yes=yes, force=force, as_json=as_json)


@app.command()
def doctor(
    state_dir: StateDirOption = None,
    config: ConfigOption = None,
    setting: SetOption = None,
    mode: ModeOption = "paper",
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with this machine and configuration.

    With --set feed.source=exchange it looks at the venue, too; with --mode real also at keys, what they may do, and
    limits.
    """
    from daemon.commands.doctor import doctor_command

    doctor_command(state_dir, config, setting, mode, as_json=as_json)


app.command("tui")(tui)


@journal_app.command("replay")
def journal_replay(
    state_dir: StateDirOption = None,
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a session's journal and compare every decision: exit 0 if equal, 1 if not or if nothing is stored."""
    from daemon.commands.journal import replay_command

    replay_command(state_dir, session, as_json=as_json)


@journal_app.command("diff")
def journal_diff(
    state_dir: StateDirOption = None,
    session: SessionOption = None,
    tape: Annotated[
        list[str] | None,
        typer.Option(
            "--tape",
            metavar="[SYMBOL=]FILE|SERIES",
            help="Bars for the simulated venue; the session's own unless given.",
        ),
    ] = None,
    synthetic: EndingSyntheticOption = None,
    timeframe: TimeframeOption = None,
    data_dir: DataDirOption = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="Replay as if this had been set, for example venue.slippage_bps=2; repeatable.",
        ),
    ] = None,
    current: Annotated[
        bool, typer.Option("--current", help="Replay the strategies' files as they are now, not as stored.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare a session with its own replay, and with what the simulated venue would have made of it.

    Exit 0 if its replay decides as it did. The rest is the drift: decisions, fills and prices beside those of the
    simulated venue over the same bars, or over a tape, and what the difference has cost.
    """
    from daemon.commands.drift import diff_command

    diff_command(state_dir, session, tape, synthetic, timeframe, data_dir, setting, current=current, as_json=as_json)


@journal_app.command("export")
def journal_export(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")],
    state_dir: StateDirOption = None,
    session: SessionOption = None,
) -> None:
    """Write a session's inputs with their decisions (JSON lines) and its fills, orders and equity (Parquet)."""
    from daemon.commands.journal import export_command

    export_command(state_dir, session, out)


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    if sys.flags.optimize:
        sys.stderr.write("pitboss: does not run under python -O: its assertions guard money\n")
        sys.exit(EXIT_USER)
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"pitboss: {masked_addresses(str(error))}\n")
        sys.exit(EXIT_USER)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
