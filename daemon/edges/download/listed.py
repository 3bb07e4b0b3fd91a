"""Funding and liquidations: rows at times nobody can foretell, of which the venue lists some for each stretch of time.

A venue gives the first or the last rows of a stretch if there are more than it gives at once. So what is before the
first row it gave, and what is behind the last, is asked for again, until there is nothing in either place.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from config.errors import UserError
from daemon.edges.download.numbered import SIDES
from daemon.edges.download.work import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.edges.download.work import Work

    Row = tuple[Any, ...]
    Fetch = Callable[[int, int], Awaitable[Sequence[Any]]]

_PAGE_ROWS = 1_000
_HOUR_MS = 3_600_000
_FUNDING_WEIGHT = 10
"""Of one page: it weighs 1, but only 500 in five minutes are allowed."""
_LIQUIDATIONS_WEIGHT = 20
_IN_SECONDS = ("gate", "gateio")
"""Venues that are asked for liquidations in seconds, where ccxt 4.5 sends milliseconds, and an hour at most."""


async def all_funding(work: Work) -> int:
    """Return 0: all that the venue lists is stored."""
    exchange, symbol = work.exchange, work.key.symbol

    def fetch(since_ms: int, end_ms: int) -> Awaitable[Sequence[Any]]:
        fetched: Awaitable[Sequence[Any]] = exchange.fetch_funding_rate_history(
            symbol, since_ms, _PAGE_ROWS, {"until": end_ms - 1}
        )
        return fetched

    def row(raw: Any) -> Row:  # noqa: ANN401 - ccxt's structure
        info = raw.get("info")
        mark = info.get("markPrice") if isinstance(info, dict) else None
        return raw["timestamp"] * NS_PER_MS, float(raw["fundingRate"]), float(mark) if mark else None

    page = partial(_page, work, _FUNDING_WEIGHT, fetch, row)
    listed = await _listed(work, work.since_ms, work.until_ms, page)
    known = set(work.stored("ts").get_column("ts").to_list())
    await work.take([row for row in sorted(listed, key=_time) if row[0] not in known])
    await work.write()
    return 0


async def all_liquidations(work: Work) -> int:
    """Return 0: all that the venue lists is stored, an hour or a day at a time.

    Raises:
        UserError: it does not say at which price, or how much.
    """
    exchange, symbol, venue = work.exchange, work.key.symbol, work.key.venue
    in_seconds = venue in _IN_SECONDS

    def fetch(since_ms: int, end_ms: int) -> Awaitable[Sequence[Any]]:
        params = {"until": end_ms - 1}
        if in_seconds:
            params = {"from": since_ms // 1_000, "to": -(-end_ms // 1_000) - 1}
        fetched: Awaitable[Sequence[Any]] = exchange.fetch_liquidations(symbol, since_ms, _PAGE_ROWS, params)
        return fetched

    def row(raw: Any) -> Row:  # noqa: ANN401 - ccxt's structure
        quantity = raw.get("baseValue")
        if quantity is None and raw.get("contracts") is not None:
            quantity = raw["contracts"] * (raw.get("contractSize") or 1)
        if raw.get("price") is None or quantity is None:
            message = f"{work.key}: {venue} does not say of liquidations at which price and how much was traded"
            raise UserError(message)
        return raw["timestamp"] * NS_PER_MS, _side(venue, raw), float(raw["price"]), float(quantity)

    page = partial(_page, work, _LIQUIDATIONS_WEIGHT, fetch, row)
    window_ms = _HOUR_MS if in_seconds else 24 * _HOUR_MS
    for since_ms in range(work.since_ms, work.until_ms, window_ms):
        end_ms = min(since_ms + window_ms, work.until_ms)
        listed = await _listed(work, since_ms, end_ms, page)
        await work.take(sorted(listed.elements(), key=_time))
        work.progress(end_ms)
    await work.write()
    return 0


def _side(venue: str, raw: Any) -> int:  # noqa: ANN401 - ccxt's structure
    """Return which side the venue's order was on: not that of the position, of which some ccxt classes tell."""
    if venue == "bitfinex":
        return -1 if float(raw["info"][5]) > 0 else 1
    side = SIDES.get(raw.get("side"), 0)
    return -side if venue in _IN_SECONDS else side


async def _listed(
    work: Work, start_ms: int, end_ms: int, page: Callable[[int, int], Awaitable[Counter[Row]]]
) -> Counter[Row]:
    """Return what the venue lists of a stretch of time; that there is nothing it has to say twice."""
    rows = await page(start_ms, end_ms) or await page(start_ms, end_ms)
    while rows:
        later = await page(max(rows, key=_time)[0] // NS_PER_MS, end_ms)
        if later <= rows:
            break
        rows |= later
        work.progress(max(rows, key=_time)[0] // NS_PER_MS)
    while rows:
        earlier = await page(start_ms, min(rows, key=_time)[0] // NS_PER_MS + 1)
        if earlier <= rows:
            break
        rows |= earlier
    return rows


async def _page(
    work: Work, weight: int, fetch: Fetch, row: Callable[[Any], Row], since_ms: int, end_ms: int
) -> Counter[Row]:
    """Return what the venue gives of a stretch of time, each row as often as it is there."""
    rows = [row(raw) for raw in await work.ask(weight, partial(fetch, since_ms, end_ms))]
    return Counter(each for each in rows if since_ms * NS_PER_MS <= each[0] < end_ms * NS_PER_MS)


def _time(row: Row) -> int:
    time_ns: int = row[0]
    return time_ns
