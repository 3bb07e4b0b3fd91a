"""Bars of a backtest for a chart: read newest first, larger ones made of them, features beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from config.timeframe import opening_ns
from daemon.console.types import Candle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from daemon.console.jobs.store import Store

BARS = "bars {}"
FEATURES = "features {}"
_BAR_COLUMNS = 6
_BARS_MAX = 100_000
"""Bars that one answer is made of, at most."""


def candles(
    store: Store,
    number: int,
    symbol: str,
    timeframe_ns: int,
    base_ns: int,
    features: tuple[str, ...],
    before_ns: int,
    limit: int,
) -> tuple[list[Candle], int | None]:
    """Return the newest bars before a time, oldest first, and before when there are more.

    Args:
        store: where they are.
        number: of the backtest.
        symbol: whose bars.
        timeframe_ns: which bars are wanted.
        base_ns: which bars are stored.
        features: names of those that stand beside the wanted ones; none where they belong to others.
        before_ns: only bars that open before; it is the opening of a bar that is wanted, or later than all.
        limit: so many at most.
    """
    found = _newest(store, number, symbol, before_ns, timeframe_ns, limit)
    if found is None:
        return [], None
    openings, columns = found
    starts = np.flatnonzero(np.diff(openings, prepend=openings[0] - 1))
    more = len(starts) > limit
    starts = starts[-limit:]
    ends = np.append(starts[1:], len(openings))
    beside = _features(store, number, symbol, features, before_ns, int(openings[starts[0]]))
    opens_ns, opens, highs, lows, closes, volumes = columns
    rows = [
        Candle(
            open_ns=int(openings[start]),
            close_ns=int(openings[start]) + timeframe_ns,
            open=float(opens[start]),
            high=float(highs[start:end].max()),
            low=float(lows[start:end].min()),
            close=float(closes[end - 1]),
            volume=float(volumes[start:end].sum()),
            complete=int(opens_ns[end - 1]) + base_ns >= int(openings[start]) + timeframe_ns,
            features=beside.get(int(openings[start])),
        )
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    return rows, rows[0].open_ns if more else None


def _newest(
    store: Store, number: int, symbol: str, before_ns: int, timeframe_ns: int, limit: int
) -> tuple[NDArray[np.int64], list[NDArray[Any]]] | None:
    """Return enough of the newest stored bars: the opening of the wanted bar each is part of, and their columns."""
    parts: list[list[NDArray[Any]]] = []
    openings: list[NDArray[np.int64]] = []
    count = bars = 0
    for payload in store.before(number, BARS.format(symbol), before_ns):
        columns = _columns(payload, _BAR_COLUMNS)
        kept = int(np.searchsorted(columns[0], before_ns))
        parts.insert(0, [column[:kept] for column in columns])
        its = parts[0][0] - (parts[0][0] - opening_ns(0, timeframe_ns)) % timeframe_ns
        openings.insert(0, its)
        count += len(np.unique(its))
        bars += kept
        if count > limit + len(parts) or bars >= _BARS_MAX:
            break
    if not bars:
        return None
    joined = [np.concatenate([part[place] for part in parts]) for place in range(_BAR_COLUMNS)]
    return np.concatenate(openings), joined


def _features(
    store: Store, number: int, symbol: str, names: tuple[str, ...], before_ns: int, from_ns: int
) -> dict[int, dict[str, float | None]]:
    """Return what the strategy was told, by the opening of the bar."""
    told: dict[int, dict[str, float | None]] = {}
    for payload in _while_needed(store, number, symbol, before_ns, from_ns, names):
        opens_ns, *values = _columns(payload, 1 + len(names))
        rows = zip(*(column.tolist() for column in values), strict=True)
        for open_ns, row in zip(opens_ns.tolist(), rows, strict=True):
            if from_ns <= open_ns < before_ns:
                told[open_ns] = {
                    name: value if np.isfinite(value) else None for name, value in zip(names, row, strict=True)
                }
    return told


def _while_needed(
    store: Store, number: int, symbol: str, before_ns: int, from_ns: int, names: tuple[str, ...]
) -> Iterator[bytes]:
    if not names:
        return
    for payload in store.before(number, FEATURES.format(symbol), before_ns):
        yield payload
        if int.from_bytes(payload[:8], "little", signed=True) <= from_ns:
            return


def _columns(payload: bytes, count: int) -> list[NDArray[Any]]:
    """Return stored columns: times, then numbers."""
    rows = len(payload) // 8 // count
    times = np.frombuffer(payload, np.int64, rows)
    numbers = np.frombuffer(payload, np.float64, offset=8 * rows).reshape(count - 1, rows)
    return [times, *numbers]
