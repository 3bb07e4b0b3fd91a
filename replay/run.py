"""Replay from Python: one call, tables as frames."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from actors.instrument import Instrument
from config.errors import UserError
from config.load import load_settings
from config.schema import StrategyEntry
from replay.driver import Summary, replay_tape
from replay.plan import check_strategies
from replay.record import Recorder
from replay.tape import Tape, open_tape
from strategies.base import Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from config.schema import InstrumentOverride


class ReplayResult:
    """What a replay did.

    Attributes:
        summary: the figures, money in quote units.
        fills: one row per fill.
        orders: one row per order and what became of it.
        equity: equity at every bar close.
    """

    __slots__ = ("_recorder", "summary")

    def __init__(self, summary: Summary, recorder: Recorder) -> None:
        self.summary = summary
        self._recorder = recorder

    @property
    def fills(self) -> pl.DataFrame:
        """One row per fill: decimals as floats, and beside them the exact integers."""
        return self._recorder.fills()

    @property
    def orders(self) -> pl.DataFrame:
        """One row per order and what became of it."""
        return self._recorder.orders()

    @property
    def equity(self) -> pl.DataFrame:
        """Equity at every bar close: ``ts`` in UTC ms, ``equity`` in quote units, and in atoms."""
        return self._recorder.equity()

    def __repr__(self) -> str:
        return f"ReplayResult({self.summary})"


def load_tape(*files: str | Path, timeframe: str | None = None) -> Tape:
    """Open Parquet or CSV files of bars, each ``FILE`` or ``SYMBOL=FILE``.

    Raises:
        UserError: a file that cannot be played, by its name, row and column.
    """
    return open_tape([str(file) for file in files], timeframe=timeframe)


def replay(
    tape: Tape | str | Path,
    strategy: str | type[Strategy] = "ema_cross",
    params: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    symbols: Sequence[str] = (),
) -> ReplayResult:
    """Replay `tape` through the actors that trade live.

    Args:
        tape: what `load_tape`, `synthetic_tape` or `tape_from_frame` returned, or a file; only a file's
            instrument heeds the settings (of the others, `tape.as_contracts()` are perpetuals).
        strategy: a built-in's name, ``path/to/file.py:ClassName``, or a `Strategy` subclass.
        params: values for its parameters.
        settings: values by dotted name, for example ``{"account.cash": 50_000}``.
        config: a TOML file of settings, under those.
        symbols: what the strategy trades; as many of the tape's first as its class wants unless given.

    Raises:
        UserError: anything asked for that does not exist or is out of its bounds.
    """
    values = load_settings(config, [f"{name}={value}" for name, value in (settings or {}).items()])
    use = strategy if isinstance(strategy, str) else register_class(strategy)
    entry = StrategyEntry(use=use, symbols=tuple(symbols), params=dict(params or {}))
    values = msgspec.structs.replace(values, strategies=(entry,))
    check_strategies(values)
    opened_at = perf_counter()
    opened = tape if isinstance(tape, Tape) else _open(tape, values.instrument)
    if opened.rows is None:
        message = "the tape never ends; a replay needs one that does"
        raise UserError(message)
    recorder = Recorder({one.symbol: Instrument(one.instrument) for one in opened.series})
    summary = replay_tape(values, opened, recorder=recorder, opened_at=opened_at)
    return ReplayResult(summary, recorder)


def _open(file: str | Path, override: InstrumentOverride) -> Tape:
    opened = open_tape([str(file)], tick=override.tick, lot=override.lot, min_notional=override.min_notional)
    return opened.as_contracts() if override.contract else opened


def register_class(kind: type[Strategy]) -> str:
    """Make a strategy class known under its own name for this process; return that name."""
    from strategies.loader import REGISTERED

    REGISTERED[kind.__name__] = kind
    return kind.__name__
