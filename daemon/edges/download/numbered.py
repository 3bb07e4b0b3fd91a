"""Trades that the venue numbers without holes: what is absent is told by their numbers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from config.errors import UserError
from daemon.edges.download.work import NS_PER_MS

if TYPE_CHECKING:
    from daemon.edges.download.work import Work

SIDES = {"buy": 1, "sell": -1}

_PAGE_ROWS = 1_000
_HOUR_MS = 3_600_000
_ENDS_AFTER = 2
"""Times a venue has to say that it has nothing."""


async def all_trades(work: Work) -> int:
    """Return how many numbers of trades between the first and the last one the venue does not list.

    Raises:
        UserError: there are trades without numbers already.
    """
    stored = work.stored("ts", "id") if work.has("id") else work.stored("ts")
    if not work.has("id") or stored.get_column("id").null_count():
        message = f"{work.key}: it has trades without numbers, which a download cannot go on from"
        raise UserError(message)
    first = None if stored.is_empty() else int(stored["id"].min())  # type: ignore[arg-type]
    last = None if stored.is_empty() else int(stored["id"].max())  # type: ignore[arg-type]
    head = await _first_trade(work)
    if head is not None:
        if first is None or last is None or head < first:
            await _trades(work, head, first)
        if last is not None:
            await _trades(work, last + 1, None)
    await work.write()
    for from_id, to_id in _holes(work):
        await _trades(work, from_id, to_id)
    await work.write()
    return sum(to_id - from_id for from_id, to_id in _holes(work))


async def _first_trade(work: Work) -> int | None:
    """Return the number of the first trade of the time that is wanted."""
    exchange, symbol = work.exchange, work.key.symbol
    for since_ms in range(work.since_ms, work.until_ms, _HOUR_MS):
        until_ms = min(since_ms + _HOUR_MS, work.until_ms) - 1
        page = await work.ask(
            work.client.weights.public_trades,
            partial(exchange.fetch_trades, symbol, since_ms, _PAGE_ROWS, {"until": until_ms}),
        )
        found = [int(each["id"]) for each in page if since_ms <= each["timestamp"] <= until_ms]
        if found:
            return min(found)
        work.progress(until_ms)
    return None


async def _trades(work: Work, from_id: int, to_id: int | None) -> None:
    """Fetch trades from one number to another that is not wanted any more, or to the end of the time."""
    exchange, symbol = work.exchange, work.key.symbol
    ended = 0
    while to_id is None or from_id < to_id:
        page = await work.ask(
            work.client.weights.public_trades,
            partial(exchange.fetch_trades, symbol, None, _PAGE_ROWS, {"fromId": from_id}),
        )
        rows = sorted((_row(each) for each in page), key=lambda row: row[4])
        wanted = [row for row in rows if row[4] >= from_id and (to_id is None or row[4] < to_id)]
        inside = [row for row in wanted if row[0] < work.until_ms * NS_PER_MS]
        await work.take(list(inside))
        if rows and len(inside) < len(rows):
            return
        ended = 0 if inside else ended + 1
        if ended == _ENDS_AFTER:
            return
        if inside:
            work.progress(inside[-1][0] // NS_PER_MS)
            from_id = inside[-1][4] + 1


def _holes(work: Work) -> list[tuple[int, int]]:
    """Return the numbers that are missing between stored trades: (the first, the first that is there again)."""
    numbers = np.sort(work.stored("id").get_column("id").to_numpy())
    at = np.flatnonzero(np.diff(numbers) > 1)
    return [(int(numbers[index]) + 1, int(numbers[index + 1])) for index in at]


def _row(raw: Any) -> tuple[int, float, float, int, int]:  # noqa: ANN401 - ccxt's structure
    return (
        raw["timestamp"] * NS_PER_MS,
        float(raw["price"]),
        float(raw["amount"]),
        SIDES.get(raw.get("side"), 0),
        int(raw["id"]),
    )
