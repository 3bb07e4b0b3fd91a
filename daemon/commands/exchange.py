"""`pitboss exchange`: the loopback exchange as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from config.errors import UserError
from daemon.commands.inputs import settings_from
from daemon.log import configure_logging
from daemon.state_dir import StateLock, default_state_dir, prepare_state_dir, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from replay.exchange.model import Market
    from replay.exchange.server import Exchange
    from replay.exchange.trade_tape import TradeTape
    from replay.tape import Tape

ARGUMENTS_NAME = "ccxt.json"
ENDPOINT_NAME = "exchange.json"
DEFAULT_SYMBOL = "BTC/USDT"
_LOT = "0.00001"
"""Quantity step of a market whose tape does not say."""
_TICK = "0.01"
"""Price step of a recorded feed."""
_STARTING_QUOTE = "100000"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = structlog.get_logger()


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    port: int
    admin_port: int
    tape: Tape | TradeTape | None
    recording: Path | None
    markets: tuple[Market, ...]
    speed: float
    seed: int
    faults: Mapping[str, Any]
    state_dir: Path
    catch_up: bool
    futures_balance: Decimal
    leverage: int
    funding_rate: Decimal
    funding_hours: int
    fee_asset: str
    balances: Mapping[str, Decimal]


def exchange_command(
    port: int,
    admin_port: int,
    tape: Sequence[str] | None,
    symbol: Sequence[str] | None,
    speed: float,
    seed: int,
    fault: Sequence[str] | None,
    state_dir: Path | None,
    timeframe: str | None,
    fee_asset: str,
    balance: Sequence[str] | None,
    *,
    futures_balance: str,
    leverage: int,
    funding_rate: str,
    funding_hours: int,
    catch_up: bool,
) -> None:
    """Run the exchange in the foreground until it is told to end.

    Raises:
        UserError: something was asked for that does not exist or cannot be.
    """
    from replay.exchange.faults import FaultError, parse_fault

    configure_logging(settings_from(None, None, None, None).log)
    os.umask(0o077)
    try:
        faults = dict(parse_fault(text) for text in fault or ())
    except FaultError as error:
        message = f"--fault {error}"
        raise UserError(message) from error
    if speed <= 0:
        message = f"--speed {speed:g}: exchange seconds per second, above 0"
        raise UserError(message)
    folder = prepare_state_dir(state_dir or default_state_dir() / "exchange").absolute()
    names = _symbols(symbol)
    recording = _recording(tape, names)
    opened = None if recording else _tape(tape, names, seed, timeframe)
    options = _Options(
        port=port,
        admin_port=admin_port,
        tape=opened,
        recording=recording,
        markets=_markets(opened, names),
        speed=speed,
        seed=seed,
        faults=faults,
        state_dir=folder,
        catch_up=catch_up,
        futures_balance=_decimal("--futures-balance", futures_balance, least=Decimal(0)),
        leverage=leverage,
        funding_rate=_decimal("--funding-rate", funding_rate, least=Decimal(-1)),
        funding_hours=funding_hours,
        fee_asset=fee_asset,
        balances=dict(_balance(text) for text in balance or ()),
    )
    with StateLock(folder):
        (folder / ARGUMENTS_NAME).unlink(missing_ok=True)
        asyncio.run(_serve(options))


def _decimal(name: str, text: str, least: Decimal) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < least:
        message = f"{name} {text}: a number, at least {least}"
        raise UserError(message)
    return value


def _symbols(symbols: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(symbols or (DEFAULT_SYMBOL,))
    for name in names:
        base, slash, quote = name.partition("/")
        if not (slash and base.isalnum() and quote.isalnum() and name.isupper()):
            message = f"--symbol {name}: write it as BASE/QUOTE, for example {DEFAULT_SYMBOL}"
            raise UserError(message)
    return names


def _balance(text: str) -> tuple[str, Decimal]:
    from decimal import Decimal, InvalidOperation

    asset, _, amount = text.partition("=")
    try:
        number = Decimal(amount)
    except InvalidOperation:
        number = Decimal(-1)
    if not asset.isalnum() or not number.is_finite() or number < 0:
        message = f"--balance {text}: write it as ASSET=AMOUNT, for example BNB=10"
        raise UserError(message)
    return asset, number


def _recording(files: Sequence[str] | None, names: tuple[str, ...]) -> Path | None:
    """Return the recorded raw feed that is to be played, if it is one."""
    from pathlib import Path

    from replay.exchange.recording import SUFFIXES

    found = [Path(file) for file in files or () if file.endswith(SUFFIXES)]
    if found and (len(files or ()) > 1 or len(names) > 1):
        message = f"--tape {found[0]}: a recorded feed is played alone"
        raise UserError(message)
    return found[0] if found else None


def _tape(files: Sequence[str] | None, names: tuple[str, ...], seed: int, timeframe: str | None) -> Tape | TradeTape:
    """Return what is played: a file for each symbol, or an endless synthetic market."""
    from pathlib import Path

    from replay.exchange.trade_tape import is_trade_file, open_trade_tape
    from replay.tape import Tape, open_tape, synthetic_tape

    if not files:
        if len(names) > 1:
            message = "--symbol: without --tape there is one synthetic market, and so one symbol"
            raise UserError(message)
        (series,) = synthetic_tape(str(seed)).series
        spec = msgspec.structs.replace(series.instrument, symbol=names[0])
        return Tape([msgspec.structs.replace(series, symbol=names[0], instrument=spec)])
    if len(files) != len(names):
        message = f"--symbol: one for each --tape, in the same order ({len(files)} tapes, {len(names)} symbols)"
        raise UserError(message)
    trades = [file for file in files if is_trade_file(Path(file))]
    if trades and len(files) > 1:
        message = f"--tape {trades[0]}: a tape of trades is played alone"
        raise UserError(message)
    if trades:
        return open_trade_tape(Path(trades[0]), names[0])
    named = [f"{name}={file}" for name, file in zip(names, files, strict=True)]
    return open_tape(named, timeframe=timeframe)


def _markets(tape: Tape | TradeTape | None, names: tuple[str, ...]) -> tuple[Market, ...]:
    """Return what is traded: the tape's ticks, and steps no finer than Binance's usual."""
    from replay.exchange.model import Market

    lot, tick = Decimal(_LOT), Decimal(_TICK)
    steps = dict.fromkeys(names, (tick, lot))
    if tape is not None:
        specs = [series.instrument for series in tape.series]
        steps = {spec.symbol: (spec.tick, max(spec.lot, lot)) for spec in specs}
    markets = []
    for name, (tick, lot) in steps.items():
        base, _, quote = name.partition("/")
        markets.append(Market(symbol=name, id=base + quote, base=base, quote=quote, tick=tick, lot=lot))
    return tuple(markets)


async def _serve(options: _Options) -> None:
    from replay.exchange.server import running

    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, ending.set)
    balances = {market.base: Decimal(0) for market in options.markets}
    balances |= {market.quote: Decimal(_STARTING_QUOTE) for market in options.markets}
    balances |= options.balances
    exchange = running(
        markets=options.markets,
        balances=balances,
        tape=options.tape,
        recording=options.recording,
        speed=options.speed,
        seed=options.seed,
        faults=options.faults,
        state_dir=options.state_dir,
        port=options.port,
        admin_port=options.admin_port,
        catch_up=options.catch_up,
        futures_balances={market.quote: options.futures_balance for market in options.markets},
        leverage=options.leverage,
        funding_rate=options.funding_rate,
        funding_hours=options.funding_hours,
        fee_asset=options.fee_asset,
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            running_exchange = await stack.enter_async_context(exchange)
        except OSError as error:
            message = f"--port {options.port}, --admin-port {options.admin_port}: {error.strerror or error}"
            raise UserError(message) from error
        _announce(running_exchange, options)
        waiting = asyncio.create_task(ending.wait())
        await asyncio.wait([waiting, running_exchange.task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    log.info("exchange_ended")


def _announce(exchange: Exchange, options: _Options) -> None:
    """Write down how to trade here, once that is true."""
    endpoint = {"url": exchange.url, "admin_url": exchange.admin_url, "pid": os.getpid()}
    write_atomically(options.state_dir / ENDPOINT_NAME, msgspec.json.encode(endpoint) + b"\n")
    path = options.state_dir / ARGUMENTS_NAME
    write_atomically(path, msgspec.json.format(msgspec.json.encode(exchange.arguments), indent=2) + b"\n")
    log.info(
        "exchange_ready",
        url=exchange.url,
        admin_url=exchange.admin_url,
        symbols=[market.symbol for market in options.markets],
        speed=options.speed,
        ccxt_arguments=str(path),
    )
