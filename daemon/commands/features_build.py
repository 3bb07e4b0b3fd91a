"""`pitboss features build`."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from config.errors import UserError, nearest
from config.timeframe import format_timeframe, parse_timeframe
from daemon.commands.inputs import settings_from, tape_from, with_series
from daemon.commands.progress import is_watched, progress_bar
from replay.features.frame import CHUNK_INPUTS, FeatureFrame
from replay.plan import declared_by
from replay.tape.columns import NS_PER_MS, time_text
from strategies.features.declarations import read_declarations
from strategies.features.pipeline import pipeline
from strategies.features.rows import output_names
from strategies.features.text import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from daemon.commands.progress import Show
    from replay.features.frame import Block
    from replay.tape import Tape
    from strategies.indicators.expression import Expression

PRESET = "pipeline15"
PRESET_TIMEFRAME = "15m"
_OWN = ("ts", "open", "high", "low", "close", "volume", "ready")
"""Columns every frame has; ts is when the bar opened, in milliseconds UTC."""


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which features, over what."""

    tape: Sequence[str] | None
    synthetic: str | None
    series: Sequence[str] | None
    declare: Path | None
    strategy: str | None
    param: Sequence[str] | None
    symbol: str | None
    timeframe: str | None
    data_dir: Path | None


class Wanted(msgspec.Struct, frozen=True):
    """The features of a request, and where they are computed."""

    declared: dict[str, Expression]
    tape: Tape
    name: str
    """Of the tape, for people."""
    symbol: str
    timeframe_ns: int


class Value(msgspec.Struct, frozen=True):
    """One column of the frame."""

    name: str
    expression: str
    missing: int
    """Rows without a value."""


class Report(msgspec.Struct, kw_only=True):
    """What was written."""

    out: str
    tape: str
    symbol: str
    timeframe: str
    rows: int
    ready: int
    """Rows a strategy with these features would be told."""
    first_ready: str | None
    seconds: float
    columns: list[Value]


def build_command(
    request: BuildRequest,
    out: Path,
    preset: str | None,
    groups: Sequence[str] | None,
    entry: str | None,
    leave: str | None,
    *,
    as_json: bool,
) -> None:
    """Write the frame.

    Raises:
        UserError: a feature, a tape or the place for the frame is wrong; nothing is written then.
    """
    started_at = perf_counter()
    if not out.parent.is_dir():
        message = f"--out {out}: there is no folder {out.parent}"
        raise UserError(message)
    wanted = wanted_from(request, preset, groups)
    declared = dict(wanted.declared)
    for name, text in (("entry", entry), ("exit", leave)):
        if text is not None:
            declared[name] = _signal(name, text, declared)
    for name in (name for feature, one in declared.items() for name in output_names(feature, one)):
        if name in _OWN:
            message = f"feature {name}: every frame has a column of that name"
            raise UserError(message)
    wanted.tape.told.check(declared, wanted.symbol)
    frame = FeatureFrame(declared, wanted.tape, wanted.symbol, wanted.timeframe_ns)
    counts = _Counts(frame.names)
    total = wanted.tape.rows or 0
    with progress_bar("features", total, is_shown=not as_json and is_watched()) as show:
        _write(counts.counted(frame.blocks(), show), out)
    texts = [str(one) for feature, one in declared.items() for _ in output_names(feature, one)]
    report = Report(
        out=str(out),
        tape=wanted.name,
        symbol=wanted.symbol,
        timeframe=format_timeframe(wanted.timeframe_ns),
        rows=counts.rows,
        ready=counts.ready,
        first_ready=None if counts.first_ready_ns is None else time_text(counts.first_ready_ns),
        seconds=round(perf_counter() - started_at, 3),
        columns=[Value(*each) for each in zip(frame.names, texts, counts.missing.tolist(), strict=True)],
    )
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report, frame.failures())


def wanted_from(request: BuildRequest, preset: str | None, groups: Sequence[str] | None) -> Wanted:
    """Return the features a request names, with the tape they are computed on.

    Raises:
        UserError: more than one kind of features is named, or something does not exist.
    """
    sources = [("--preset", preset), ("--declare", request.declare), ("--strategy", request.strategy)]
    named = [option for option, value in sources if value is not None]
    if len(named) > 1:
        message = f"{' and '.join(named)} exclude each other"
        raise UserError(message)
    if preset not in (None, PRESET):
        message = f"--preset {preset}: there is {PRESET}{nearest(preset or '', [PRESET])}"
        raise UserError(message)
    if groups and named not in ([], ["--preset"]):
        message = f"--group is of the preset, not of {named[0]}"
        raise UserError(message)
    settings = settings_from(None, None, request.strategy, request.param)
    tape, name = with_series(
        *tape_from(request.tape, request.synthetic, None, settings, None, request.data_dir),
        request.series,
        request.data_dir,
    )
    if tape.rows is None:
        message = f"{name}: never ends; write SEED:BARS"
        raise UserError(message)
    base = {each.symbol: each.timeframe_ns for each in tape.series}
    symbol = request.symbol or next(iter(base))
    if symbol not in base:
        message = f"--symbol {symbol}: no tape for it{nearest(symbol, base)}"
        raise UserError(message)
    timeframe: str | None = None
    if request.declare is not None:
        declared = read_declarations(request.declare)
    elif request.strategy is not None:
        declared, timeframe = declared_by(settings.strategies[0])
    else:
        told = tape.told
        declared = pipeline(groups or None, told=told.columns.get(symbol, frozenset()), external=sorted(told.series))
        timeframe = PRESET_TIMEFRAME
    timeframe = request.timeframe or timeframe
    return Wanted(declared, tape, name, symbol, base[symbol] if timeframe is None else parse_timeframe(timeframe))


def _signal(name: str, text: str, declared: Mapping[str, Expression]) -> Expression:
    if name in declared:
        message = f"--{name}: {name} is declared already"
        raise UserError(message)
    try:
        return parse(text, declared)
    except ValueError as error:
        message = f"--{name}: {error}"
        raise UserError(message) from error


class _Counts:
    """Counts what goes by."""

    def __init__(self, names: Sequence[str]) -> None:
        self.rows = 0
        self.ready = 0
        self.first_ready_ns: int | None = None
        self.missing = np.zeros(len(names), np.int64)

    def counted(self, blocks: Iterator[Block], show: Show) -> Iterator[pl.DataFrame]:
        """Yield each block as a frame."""
        for number, block in enumerate(blocks, 1):
            show(number * CHUNK_INPUTS, "")
            self.rows += len(block)
            ready = int(block.ready.sum())
            if ready and self.first_ready_ns is None:
                self.first_ready_ns = int(block.opens_ns[block.ready][0])
            self.ready += ready
            self.missing += [int(np.isnan(column).sum()) for column in block.values.values()]
            yield pl.DataFrame({"ts": block.opens_ns // NS_PER_MS, **block.bars, "ready": block.ready, **block.values})


def _write(frames: Iterator[pl.DataFrame], out: Path) -> None:
    """Write frames as one file, whole or not at all, in memory that does not grow with them."""
    try:
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            parts: list[str] = []
            for number, frame in enumerate(frames):
                parts.append(f"{folder}/{number:06d}.parquet")
                frame.write_parquet(parts[-1])
            whole = f"{folder}/whole.parquet"
            pl.scan_parquet(parts).sink_parquet(whole, maintain_order=True)
            Path(whole).replace(out)
    except (OSError, pl.exceptions.ComputeError) as error:
        message = f"{out}: cannot be written ({getattr(error, 'strerror', None) or error})"
        raise UserError(message) from error


def _print(report: Report, failures: Mapping[str, Exception]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    table = Table(title=f"{report.out}: {report.symbol}, {report.timeframe}", title_justify="left")
    widest = max(len(value.name) for value in report.columns)
    table.add_column("column", style="bold", no_wrap=True, min_width=widest)
    table.add_column("missing", justify="right", no_wrap=True, min_width=7)
    table.add_column("expression")
    for value in report.columns:
        table.add_row(value.name, f"{value.missing:,}" if value.missing else "", value.expression)
    console.print(table)
    words = f"{report.rows:,} rows of {len(report.columns)} values in {report.seconds:.2f} s"
    if report.first_ready is None:
        sys.stdout.write(f"{words}; never all of them at once: a strategy with these features is told nothing\n")
    else:
        sys.stdout.write(f"{words}; all there from {report.first_ready} on, {report.ready:,} rows\n")
    for name, error in failures.items():
        console.print(f"note: {name} failed: {type(error).__name__}: {error}", style="yellow", highlight=False)
