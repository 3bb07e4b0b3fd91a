"""Bars and whatever else a venue has one of in each period: only the periods that lack theirs are asked for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from config.errors import UserError
from config.timeframe import format_timeframe, origin_ns
from daemon.edges.download.work import NS_PER_MS, Work
from daemon.edges.venue.client import is_family

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from numpy.typing import NDArray

PRICES: dict[str, dict[str, str]] = {
    "bars": {},
    "mark": {"price": "mark"},
    "index": {"price": "index"},
    "premium": {"price": "premiumIndex"},
}
"""ccxt's name of each kind of bars."""
INTEREST_PERIOD_NS = 300 * 10**9
"""Between two figures of open interest unless another period is asked for: the shortest that most venues have."""

_PAGE_ROWS = 1_000
_INTEREST_ROWS = 500
"""Of a page of Binance's; others give a hundred at least."""
_INTEREST_ROWS_ELSEWHERE = 100
_INTEREST_DAYS = 30
"""How far back Binance lists open interest."""
_INTEREST_WEIGHT = 5
"""Of one page: it weighs nothing, but only 1,000 in five minutes are allowed."""
_ENDS_AFTER = 2
"""Times a venue has to say that it has nothing."""


class _Source(NamedTuple):
    """How a venue is asked for rows of a grid."""

    rows_max: int
    weight: Callable[[int], int]
    """By the number of rows."""
    fetch: Callable[[int, int, int], Awaitable[Sequence[Any]]]
    """From one time (ms) to another that is not wanted any more, at most so many rows."""
    row: Callable[[Any], tuple[Any, ...]]
    """What is stored of one, its time in ns first."""


async def all_bars(work: Work) -> int:
    """Return how many bars the venue has not."""
    assert work.key.timeframe_ns is not None
    exchange, symbol, timeframe = work.exchange, work.key.symbol, work.key.timeframe
    price = PRICES[work.key.kind]

    def fetch(since_ms: int, end_ms: int, count: int) -> Awaitable[Sequence[Any]]:
        fetched: Awaitable[Sequence[Any]] = exchange.fetch_ohlcv(
            symbol, timeframe, since_ms, count, {"until": end_ms - 1, **price}
        )
        return fetched

    def row(raw: Any) -> tuple[Any, ...]:  # noqa: ANN401 - ccxt's structure
        return (raw[0] * NS_PER_MS, *raw[1:5], raw[5] or 0.0)

    return await _whole_grid(
        work,
        work.key.timeframe_ns // NS_PER_MS,
        _Source(_PAGE_ROWS, work.client.weights.page_of_bars, fetch, row),
    )


async def all_interest(work: Work, period_ns: int) -> int:
    """Return how many figures of open interest the venue has not; those before all it lists do not count.

    Raises:
        UserError: it does not say how much it is.
    """
    exchange, symbol, period = work.exchange, work.key.symbol, format_timeframe(period_ns)
    step_ms = period_ns // NS_PER_MS
    family = is_family(exchange)
    if family:
        newest = await work.ask(
            _INTEREST_WEIGHT, partial(exchange.fetch_open_interest_history, symbol, period, None, 1)
        )
        if newest:
            oldest_ms = newest[-1]["timestamp"] - _INTEREST_DAYS * 86_400_000 + step_ms
            if work.since_ms < oldest_ms:
                work.unlisted.append((work.since_ms * NS_PER_MS, oldest_ms * NS_PER_MS))
                work.since_ms = min(oldest_ms, work.until_ms)

    def fetch(since_ms: int, end_ms: int, count: int) -> Awaitable[Sequence[Any]]:
        fetched: Awaitable[Sequence[Any]] = exchange.fetch_open_interest_history(
            symbol, period, since_ms, count, {"until": end_ms - 1}
        )
        return fetched

    def row(raw: Any) -> tuple[Any, ...]:  # noqa: ANN401 - ccxt's structure
        amount, value = raw.get("openInterestAmount"), raw.get("openInterestValue")
        if amount is None:
            message = f"{work.key}: {work.key.venue} does not say how much it is"
            raise UserError(message)
        return raw["timestamp"] * NS_PER_MS, float(amount), None if value is None else float(value)

    rows_max = _INTEREST_ROWS if family else _INTEREST_ROWS_ELSEWHERE
    return await _whole_grid(work, step_ms, _Source(rows_max, lambda _: _INTEREST_WEIGHT, fetch, row))


async def _whole_grid(work: Work, step_ms: int, source: _Source) -> int:
    """Fetch what is absent, then ask for each absent row again as long as that brings any; return what is not there."""
    now_ms = await work.client.server_time_ns() // NS_PER_MS
    work.until_ms = max(work.since_ms, min(work.until_ms, grid_floor(now_ms, step_ms)))
    largest = 0
    for start_ms, end_ms in _runs(_absent(work, step_ms), step_ms):
        largest = max(largest, await _fetch_run(work, source, start_ms, end_ms, step_ms))
    await work.write()
    absent = _absent(work, step_ms, within=True)
    while len(absent):
        before = len(absent)
        for start_ms, end_ms in _windows(absent, step_ms, min(source.rows_max, largest or source.rows_max)):
            await _fetch_run(work, source, start_ms, end_ms, step_ms, absent)
        await work.write()
        absent = _absent(work, step_ms, within=True)
        if len(absent) == before:
            break
    return len(absent)


async def _fetch_run(
    work: Work, source: _Source, start_ms: int, end_ms: int, step_ms: int, absent: NDArray[np.int64] | None = None
) -> int:
    """Fetch the rows from one time to another that is not wanted any more; keep those of `absent`, or all.

    Returns:
        How many the largest page had, where it was one among several: what the venue gives at once.
    """
    since_ms, denied, largest = start_ms, 0, 0
    wanted = None if absent is None else frozenset(absent.tolist())
    while since_ms < end_ms:
        count = min(source.rows_max, (end_ms - since_ms) // step_ms)
        ask = partial(source.fetch, since_ms, min(end_ms, since_ms + count * step_ms), count)
        page = [source.row(raw) for raw in await work.ask(source.weight(count), ask)]
        rows = sorted(row for row in page if since_ms <= row[0] // NS_PER_MS < end_ms)
        denied = 0 if rows else denied + 1
        if 0 < denied < _ENDS_AFTER:
            continue
        denied = 0
        largest = max(largest, len(rows) if count == source.rows_max else 0)
        cells = [grid_floor(row[0] // NS_PER_MS, step_ms) for row in rows]
        since_ms = cells[-1] + step_ms if rows else since_ms + count * step_ms
        await work.take([row for row, cell in zip(rows, cells, strict=True) if wanted is None or cell in wanted])
        work.progress(min(since_ms, end_ms))
    return largest


def _absent(work: Work, step_ms: int, *, within: bool = False) -> NDArray[np.int64]:
    """Return the periods of which nothing is stored; `within`: only those behind the first one of which there is."""
    first_ms = grid_floor(work.since_ms + step_ms - 1, step_ms)
    grid = np.arange(first_ms, work.until_ms, step_ms, dtype=np.int64)
    origin_ms = _origin_ms(step_ms)
    stored = work.stored("ts").get_column("ts").to_numpy() // NS_PER_MS
    stored = np.unique(stored - (stored - origin_ms) % step_ms)
    if within:
        grid = grid[grid >= stored[0]] if len(stored) else grid[:0]
    return np.setdiff1d(grid, stored, assume_unique=True)


def grid_floor(time_ms: int, step_ms: int) -> int:
    """Return when the period around a time began."""
    return time_ms - (time_ms - _origin_ms(step_ms)) % step_ms


def _origin_ms(step_ms: int) -> int:
    return origin_ns(step_ms * NS_PER_MS) // NS_PER_MS


def _runs(absent: NDArray[np.int64], step_ms: int) -> Iterable[tuple[int, int]]:
    """Return the spans of periods that follow one another: (the first, the first that is not wanted)."""
    if not len(absent):
        return []
    breaks = np.flatnonzero(np.diff(absent) > step_ms) + 1
    return [(int(run[0]), int(run[-1]) + step_ms) for run in np.split(absent, breaks)]


def _windows(absent: NDArray[np.int64], step_ms: int, rows_max: int) -> Iterable[tuple[int, int]]:
    """Return spans of one page at most that hold all these periods: many small gaps are one question."""
    spans = []
    while len(absent):
        start_ms = int(absent[0])
        inside = absent[absent < start_ms + rows_max * step_ms]
        spans.append((start_ms, int(inside[-1]) + step_ms))
        absent = absent[len(inside) :]
    return spans
