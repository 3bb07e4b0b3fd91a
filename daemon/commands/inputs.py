"""From command-line words to settings and a tape, the same for `replay` and `run`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from config.errors import UserError
from config.load import load_settings, parse_value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from config.schema import Settings
    from replay.tape import Tape

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER_NS = 2**63 - 1


def settings_from(
    config: Path | None,
    setting: Sequence[str] | None,
    strategy: str | None,
    param: Sequence[str] | None,
    defaults: Sequence[str] = (),
    symbols: str | None = None,
) -> Settings:
    """Return all layers of settings, with the strategy of the command line in place of the configured ones.

    `symbols` are what it trades, with commas between.

    Raises:
        UserError: a setting or a parameter that is written wrongly or does not exist.
    """
    settings = load_settings(config, setting or (), defaults=defaults)
    params: dict[str, Any] = {}
    for text in param or ():
        name, equals, raw = text.partition("=")
        if not equals or not name:
            message = f"-p {text}: write it as name=value, for example fast=10"
            raise UserError(message)
        params[name.strip()] = parse_value(raw.strip())
    if strategy is None and not params and symbols is None:
        return settings
    if strategy is None and len(settings.strategies) != 1:
        message = f"{'-p' if params else '--symbols'} needs --strategy: several strategies are configured"
        raise UserError(message)
    entry = settings.strategies[0]
    if strategy is not None:
        entry = type(entry)(use=strategy)
    if symbols is not None:
        entry = msgspec.structs.replace(entry, symbol=None, symbols=tuple(_split(symbols)))
    return msgspec.structs.replace(
        settings, strategies=(msgspec.structs.replace(entry, params={**entry.params, **params}),)
    )


def _split(symbols: str) -> list[str]:
    names = [name.strip() for name in symbols.split(",")]
    if not all(names):
        message = f"--symbols {symbols!r}: write names with commas between, for example BTC/USDT,ETH/USDT"
        raise UserError(message)
    return names


def tape_from(
    tape: Sequence[str] | None,
    synthetic: str | None,
    timeframe: str | None,
    settings: Settings,
    default_synthetic: str | None,
    data_dir: Path | None,
    span: tuple[int, int] | None = None,
) -> tuple[Tape, str]:
    """Open what was asked for, a series of the catalogue perhaps; return it and its name for people.

    Raises:
        UserError: no tape, two kinds of tape, or one that cannot be played.
    """
    from replay.tape import open_tape, synthetic_tape

    if tape and synthetic is not None:
        message = "--tape and --synthetic exclude each other"
        raise UserError(message)
    override = settings.instrument
    if tape:
        opened = open_tape(
            tape,
            timeframe=timeframe,
            tick=override.tick,
            lot=override.lot,
            min_notional=override.min_notional,
            data_dir=data_dir,
            span=span,
        )
        return opened.as_contracts() if override.contract else opened, ", ".join(tape)
    if span is not None:
        message = "--from and --to play a part of the catalogue's bars: give --tape VENUE:SYMBOL:TIMEFRAME"
        raise UserError(message)
    spec = default_synthetic if synthetic is None else synthetic
    if spec is None:
        message = "nothing to replay: give --tape FILE, or --synthetic SEED:BARS for made-up bars"
        raise UserError(message)
    if override.tick is not None:
        message = "instrument.tick: a synthetic tape has a tick of its own, 0.01"
        raise UserError(message)
    made = synthetic_tape(spec, lot=override.lot, min_notional=override.min_notional)
    return made.as_contracts() if override.contract else made, f"synthetic {spec}"


def with_series(tape: Tape, name: str, series: Sequence[str] | None, data_dir: Path | None) -> tuple[Tape, str]:
    """Return the tape with external series beside its bars, and its name for people.

    Raises:
        UserError: a series that cannot be read, by its file, row and column.
    """
    if not series:
        return tape, name
    from replay.tape.external_file import open_series

    opened = open_series(series, [each.symbol for each in tape.series], data_dir)
    return tape.with_external(opened), ", ".join((name, *series))


def time_from(text: str, option: str) -> int:
    """Return the time that an option names, in ns; UTC unless it says otherwise.

    Raises:
        UserError: it names none.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        message = f"{option} {text}: write a date or a time, such as 2024-01-31 or 2024-01-31T08:00"
        raise UserError(message) from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def span_from(since: str | None, until: str | None) -> tuple[int, int] | None:
    """Return from when, and until before when, ``--from`` and ``--to`` say, in ns; None if neither is given.

    Raises:
        UserError: one of them is no time, or there is nothing between them.
    """
    if since is None and until is None:
        return None
    span = 0 if since is None else time_from(since, "--from"), _NEVER_NS if until is None else time_from(until, "--to")
    if span[0] >= span[1]:
        message = f"--from {since or '1970-01-01'} lies behind --to {until}: there is nothing between them"
        raise UserError(message)
    return span
