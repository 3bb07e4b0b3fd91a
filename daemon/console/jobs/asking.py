"""From the body of a request to a job: everything is checked that can be checked without reading a tape."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from config.errors import UserError, nearest
from config.load import check_settings, describe_settings, load_settings
from config.schema import Settings, StrategyEntry
from config.timeframe import parse_timeframe
from daemon.console import backtest_types as t
from daemon.control.refusal import RefusedError
from strategies.library import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from config.schema import Backtests
    from replay.tape.catalogue import Catalogue, Manifest

PLAYED = ("bars", "trades", "quotes", "book", "feed")
"""Kinds of series that a tape is made of."""
_BAD = HTTPStatus.BAD_REQUEST
_MIB = 1024 * 1024
_INT_MAX = 2**53


def read_request(body: bytes) -> t.BacktestRequest:
    """Return what is asked for.

    Raises:
        RefusedError: the body is anything else; it says which field is wrong.
    """
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(_BAD, f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise RefusedError(_BAD, "the body is nested too deeply") from error
    if not isinstance(raw, dict):
        raise RefusedError(
            _BAD, 'the body must be an object such as {"strategy": "ema_cross", "tape": ["binance:BTCUSDT:1m"]}'
        )
    _check_names(raw, t.BacktestRequest, "")
    settings = raw.get("settings", {})
    if isinstance(settings, dict):
        _check_names(settings, t.BacktestSettings, "settings.")
        try:
            check_settings(settings, "settings")
        except UserError as error:
            raise RefusedError(_BAD, str(error)) from error
    for place, external in enumerate(raw["series"] if isinstance(raw.get("series"), list) else ()):
        if isinstance(external, dict):
            _check_names(external, t.BacktestExternal, f"series[{place}].")
    try:
        return msgspec.json.decode(body, type=t.BacktestRequest)
    except msgspec.ValidationError as error:
        raise RefusedError(_BAD, str(error).replace("`$.", "`").replace("`$[", "`[")) from error


def job_of(request: t.BacktestRequest, store: Path, limits: Backtests, data_dir: str) -> t.JobSpec:
    """Return the job of a request; it may read manifests and import a strategy, so not in an event loop.

    Raises:
        RefusedError: a strategy, parameter or series that does not exist, or a value out of its bounds.
    """
    try:
        return _job_of(request, store, limits, data_dir)
    except UserError as error:
        raise RefusedError(_BAD, str(error)) from error


def _job_of(request: t.BacktestRequest, store: Path, limits: Backtests, data_dir: str) -> t.JobSpec:
    _check_strategy(request)
    catalogue = catalogue_at(data_dir)
    timeframe_ns = None if request.timeframe is None else parse_timeframe(request.timeframe)
    tape = [_played(catalogue, name, timeframe_ns) for name in request.tape]
    memory_mb = min(limits.memory_mb_max, request.memory_mb or limits.memory_mb_max)
    return t.JobSpec(
        id=0,
        store=str(store),
        settings=describe_settings(_settings(request)),
        tape=tuple(map(name_of, tape)),
        series=tuple(_external(catalogue, each) for each in request.series),
        timeframe=request.timeframe,
        span=_span(request, tape),
        data_dir=str(catalogue.root),
        memory_bytes=memory_mb * _MIB,
    )


def catalogue_at(data_dir: str) -> Catalogue:
    """Return the catalogue in a directory, the usual one if that is empty."""
    from pathlib import Path

    from replay.tape.catalogue import Catalogue, default_data_dir

    return Catalogue(Path(data_dir) if data_dir else default_data_dir().absolute())


def name_of(manifest: Manifest) -> str:
    """Return the whole name of a series, which stands for no other."""
    return manifest.name if manifest.kind == "bars" else f"{manifest.kind}:{manifest.name}"


def _check_names(values: dict[str, Any], kind: type[msgspec.Struct], prefix: str) -> None:
    """Refuse a field that there is not, before its absence elsewhere is noticed."""
    known = kind.__struct_fields__
    for name in values:
        if name not in known:
            near = nearest(name, known)
            raise RefusedError(_BAD, f"there is no field {prefix}{name[:80]}{near}; the fields are {', '.join(known)}")


def _settings(request: t.BacktestRequest) -> Settings:
    """Return all settings: what is embedded, and what was asked for. The daemon's own do not count."""
    entry = StrategyEntry(use=request.strategy, symbols=request.symbols, params=request.params)
    asked = {name: getattr(request.settings, name) for name in t.BacktestSettings.__struct_fields__}
    return msgspec.structs.replace(load_settings(environment={}), strategies=(entry,), **asked)


def _check_strategy(request: t.BacktestRequest) -> None:
    """Refuse a strategy that is not in the box, and parameters that are not as it says."""
    if request.strategy not in BUILT_IN:
        near = nearest(request.strategy, BUILT_IN)
        message = f"strategy: there is no {request.strategy[:80]!r}{near}; one of {', '.join(BUILT_IN)}"
        raise UserError(message)
    for name, value in request.params.items():
        if isinstance(value, int) and abs(value) > _INT_MAX:
            message = f"params.{name[:80]}: a number of at most {_INT_MAX}"
            raise UserError(message)
    from replay.plan import declared_by

    declared_by(StrategyEntry(use=request.strategy, params=request.params))


def _played(catalogue: Catalogue, name: str, timeframe_ns: int | None) -> Manifest:
    """Return the series of a tape."""
    kind = None if name.partition(":")[0] in PLAYED else "bars"
    try:
        manifest = catalogue.named(name, kind, timeframe_ns)
    except UserError as error:
        message = f"tape: {_without(error, catalogue)}"
        raise UserError(message) from error
    if manifest.kind not in PLAYED:
        message = f"tape: {name}: these are {manifest.kind}; a tape is made of {', '.join(PLAYED)}"
        raise UserError(message)
    if manifest.timeframe_ns is not None and timeframe_ns not in {None, manifest.timeframe_ns}:
        message = (
            f"timeframe: {manifest.name} has bars of {manifest.timeframe}; `pitboss data resample` makes others of them"
        )
        raise UserError(message)
    return manifest


def _external(catalogue: Catalogue, external: t.BacktestExternal) -> str:
    """Return what `--series` takes for a series of the catalogue."""
    from replay.tape.external_file import SeriesArgument, parse_series

    try:
        manifest = catalogue.named(external.series)
    except UserError as error:
        message = f"series: {_without(error, catalogue)}"
        raise UserError(message) from error
    series = f"{manifest.kind}:{manifest.name}"
    options = {"delay": external.delay, "column": external.column}
    words = [f",{name}={value}" for name, value in options.items() if value is not None]
    argument = f"{external.name}={series}{''.join(words)}"
    delay_ns = None if external.delay is None else 0 if external.delay == "0" else parse_timeframe(external.delay)
    if parse_series(argument) != SeriesArgument(external.name, series, delay_ns, external.column):
        message = f"series: {external.name[:40]!r} or its column is no name: without spaces, commas and '='"
        raise UserError(message)
    return argument


def _span(request: t.BacktestRequest, tape: Sequence[Manifest]) -> tuple[int, int] | None:
    """Return from when until when bars open, None for all."""
    if request.from_ns is None and request.to_ns is None:
        return None
    span = (request.from_ns or 0, 2**63 - 1 if request.to_ns is None else request.to_ns)
    if span[0] >= span[1]:
        message = "from_ns must be before to_ns"
        raise UserError(message)
    for manifest in tape:
        if manifest.kind != "bars":
            message = f"from_ns, to_ns: {name_of(manifest)} is played whole; only of bars a part can be"
            raise UserError(message)
        if span[1] <= manifest.first_ns or manifest.last_ns < span[0]:
            message = (
                f"from_ns, to_ns: no bar of {manifest.name} opens then; they do from {manifest.first_ns}"
                f" to {manifest.last_ns}"
            )
            raise UserError(message)
    return span


def _without(error: UserError, catalogue: Catalogue) -> str:
    """Return an error without the place of the catalogue, which is nobody's business."""
    return str(error).replace(f" in {catalogue.root}", "").replace(f"{catalogue.root}/", "")


def series_rows(data_dir: str, kind: str, text: str) -> Iterable[t.SeriesRow]:
    """Return what is in the catalogue.

    Raises:
        RefusedError: it cannot be read.
    """
    catalogue = catalogue_at(data_dir)
    try:
        found = catalogue.series() if catalogue.root.is_dir() else []
    except (UserError, OSError) as error:
        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the catalogue cannot be read") from error
    return [
        t.SeriesRow(
            name=name_of(each),
            kind=each.kind,
            venue=each.venue,
            symbol=each.symbol,
            timeframe=each.timeframe,
            rows=each.rows,
            first_ns=each.first_ns,
            last_ns=each.last_ns,
            gaps=each.gaps,
        )
        for each in found
        if kind in {"", each.kind} and text.lower() in name_of(each).lower()
    ]
