"""A bar with the features a strategy is told at its close, as people are shown it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from config.timeframe import format_timeframe
from daemon.console.types import BarRow

if TYPE_CHECKING:
    from actors.messages import FeatureRow


def bar_row(seq: int, row: FeatureRow) -> BarRow:
    """Return a row the core has said; `seq` is the number of the input that closed its bar."""
    bar = row.bar
    return BarRow(
        strategy=row.strategy,
        symbol=bar.symbol,
        timeframe=format_timeframe(bar.timeframe_ns),
        seq=seq,
        open_ns=bar.open_ns,
        close_ns=bar.close_ns,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        features=msgspec.structs.asdict(row.values) if isinstance(row.values, msgspec.Struct) else {},
    )
