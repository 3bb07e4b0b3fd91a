"""The past of a market from an exchange into the catalogue: only what is not there yet, and nothing twice.

Whatever is written is written in batches, each all or nothing, and what is missing is worked out from the catalogue
itself, so a download that was cut off goes on where it stood. Requests come out of one limiter, last in line; a venue
that asks for a pause gets one.

A download is verified against the venue's own listing. Bars that are missing between the first one and the end are
asked for again: they are stored, or the venue has said twice that it has none. Trades carry numbers without holes.
Funding is listed again from end to end and counted.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec
import numpy as np
import polars as pl

from config.errors import UserError
from daemon.edges.venue_errors import RequestError, broken
from daemon.edges.venue_limits import Priority
from replay.tape.catalogue import Provenance
from replay.tape.kinds import POLARS_NAMES, kind_of
from replay.tape.timeframe import format_timeframe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable, Sequence

    from numpy.typing import NDArray

    from daemon.edges.venue_client import VenueClient
    from daemon.edges.venue_limits import Limits
    from replay.tape.catalogue import Catalogue, SeriesKey

    Rows = list[tuple[Any, ...]]
    OnProgress = Callable[[int], None]

KINDS = ("bars", "mark", "index", "trades", "funding")
"""What can be downloaded."""

_NS_PER_MS = 1_000_000
_PRICES: dict[str, dict[str, str]] = {"bars": {}, "mark": {"price": "mark"}, "index": {"price": "index"}}
"""ccxt's name of each kind of bars."""
_PAGE_ROWS = 1_000
_BATCH_ROWS = 50_000
"""Rows between two writes: what a cut-off costs at most."""
_HOUR_MS = 3_600_000
_WEEK_MS = 7 * 24 * _HOUR_MS
_MONDAY_MS = 4 * 24 * _HOUR_MS
"""The first Monday of time: weeks begin on one."""
_FUNDING_WEIGHT = 10
"""Of one page: it weighs 1, but only 500 in five minutes are allowed."""
_TRIES = 6
_ENDS_AFTER = 2
"""Times a venue has to say that it has nothing."""
_BACKOFF_S = 0.25
_COLUMNS: dict[str, tuple[str, ...]] = {
    "bars": ("ts", "open", "high", "low", "close", "volume"),
    "trades": ("ts", "price", "quantity", "side", "id"),
    "funding": ("ts", "rate", "mark"),
}
_SIDES = {"buy": 1, "sell": -1}


class DownloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a download came to."""

    name: str
    kind: str
    since_ns: int
    until_ns: int
    """Nothing from here on was asked for: not wanted, or not closed yet."""
    rows: int
    """Rows that are stored of this time now."""
    rows_new: int
    missing: int
    """Bars that the venue has not, as it said twice; numbers of trades it does not list."""
    requests: int
    tries_again: int
    """Requests that were in vain."""


class Download:
    """One series, from one time to another.

    Args:
        client: the venue.
        limits: whose turn it is to ask.
        catalogue: where it is kept.
        key: which series.
        since_ns: the first time that is wanted.
        until_ns: the first one that is not.
        progress: called with the time in ns up to which all is there.
    """

    def __init__(
        self,
        client: VenueClient,
        limits: Limits,
        catalogue: Catalogue,
        key: SeriesKey,
        since_ns: int,
        until_ns: int,
        progress: OnProgress,
    ) -> None:
        self._client = client
        self._limits = limits
        self._catalogue = catalogue
        self._key = key
        self._since_ms = -(-since_ns // _NS_PER_MS)
        self._until_ms = until_ns // _NS_PER_MS
        self._progress = progress
        self._waiting: Rows = []
        self._rows_new = 0
        self._requests = 0
        self._in_vain = 0

    async def run(self) -> DownloadReport:
        """Fetch what is missing, then verify that nothing is.

        Raises:
            UserError: the venue refuses, or has nothing; what was written before stays.
        """
        kind = self._key.kind
        if kind in _PRICES:
            missing = await self._all_bars()
        elif kind == "trades":
            missing = await self._all_trades()
        else:
            missing = await self._all_funding()
        rows = self._count()
        if not rows:
            message = f"{self._key}: {self._key.venue} lists nothing of this time"
            raise UserError(message)
        return DownloadReport(
            name=self._key.name,
            kind=kind,
            since_ns=self._since_ms * _NS_PER_MS,
            until_ns=self._until_ms * _NS_PER_MS,
            rows=rows,
            rows_new=self._rows_new,
            missing=missing,
            requests=self._requests,
            tries_again=self._in_vain,
        )

    # --- bars ---------------------------------------------------------------------------------------

    async def _all_bars(self) -> int:
        """Return how many bars the venue has not."""
        assert self._key.timeframe_ns is not None
        step_ms = self._key.timeframe_ns // _NS_PER_MS
        now_ms = await self._client.server_time_ns() // _NS_PER_MS
        self._until_ms = min(self._until_ms, _grid_floor(now_ms, step_ms))
        for start_ms, end_ms in _runs(self._absent(step_ms), step_ms):
            await self._bars(start_ms, end_ms, step_ms, range(start_ms, end_ms, step_ms))
        await self._write()
        absent = self._absent(step_ms, within=True)
        for start_ms, end_ms in _windows(absent, step_ms):
            await self._bars(start_ms, end_ms, step_ms, frozenset(absent.tolist()))
        await self._write()
        return len(self._absent(step_ms, within=True))

    async def _bars(self, start_ms: int, end_ms: int, step_ms: int, absent: Container[int]) -> None:
        """Fetch the bars from one open time to another that is not wanted any more; keep those that are absent."""
        since_ms, denied, price = start_ms, 0, _PRICES[self._key.kind]
        timeframe = format_timeframe(step_ms * _NS_PER_MS)
        exchange, symbol = self._client.exchange, self._key.symbol
        while since_ms < end_ms:
            count = min(_PAGE_ROWS, (end_ms - since_ms) // step_ms)
            params = {"until": end_ms - 1, **price}
            weight = self._client.weights.page_of_bars(count)
            page = await self._ask(
                weight,
                partial(exchange.fetch_ohlcv, symbol, timeframe, since_ms, count, params),
            )
            rows = sorted(row for row in page if since_ms <= row[0] < end_ms)
            denied = 0 if rows else denied + 1
            if 0 < denied < _ENDS_AFTER:
                continue
            denied = 0
            since_ms = rows[-1][0] + step_ms if rows else since_ms + count * step_ms
            new = [row for row in rows if row[0] in absent]
            await self._take([(row[0] * _NS_PER_MS, *row[1:5], row[5] or 0.0) for row in new])
            self._progress(min(since_ms, end_ms) * _NS_PER_MS)

    def _absent(self, step_ms: int, *, within: bool = False) -> NDArray[np.int64]:
        """Return the open times of bars that are not stored; `within`: only those behind the first one that is."""
        first_ms = _grid_floor(self._since_ms + step_ms - 1, step_ms)
        grid = np.arange(first_ms, self._until_ms, step_ms, dtype=np.int64)
        stored = self._stored("ts").get_column("ts").to_numpy() // _NS_PER_MS
        if within:
            grid = grid[grid >= stored[0]] if len(stored) else grid[:0]
        return np.setdiff1d(grid, stored, assume_unique=True)

    # --- trades -------------------------------------------------------------------------------------

    async def _all_trades(self) -> int:
        """Return how many numbers of trades between the first and the last one the venue does not list."""
        manifest = self._catalogue.manifest(self._key)
        numbered = manifest is None or "id" in manifest.columns
        stored = self._stored("ts", "id") if numbered else self._stored("ts")
        if not numbered or stored.get_column("id").null_count():
            message = f"{self._key}: it has trades without numbers, which a download cannot go on from"
            raise UserError(message)
        first = None if stored.is_empty() else int(stored["id"].min())  # type: ignore[arg-type]
        last = None if stored.is_empty() else int(stored["id"].max())  # type: ignore[arg-type]
        head = await self._first_trade()
        if head is not None:
            if first is None or last is None or head < first:
                await self._trades(head, first)
            if last is not None:
                await self._trades(last + 1, None)
        await self._write()
        for from_id, to_id in self._holes():
            await self._trades(from_id, to_id)
        await self._write()
        return sum(to_id - from_id for from_id, to_id in self._holes())

    async def _first_trade(self) -> int | None:
        """Return the number of the first trade of the time that is wanted."""
        exchange, symbol = self._client.exchange, self._key.symbol
        for since_ms in range(self._since_ms, self._until_ms, _HOUR_MS):
            until_ms = min(since_ms + _HOUR_MS, self._until_ms) - 1
            page = await self._ask(
                self._client.weights.public_trades,
                partial(exchange.fetch_trades, symbol, since_ms, _PAGE_ROWS, {"until": until_ms}),
            )
            found = [int(each["id"]) for each in page if since_ms <= each["timestamp"] <= until_ms]
            if found:
                return min(found)
            self._progress(until_ms * _NS_PER_MS)
        return None

    async def _trades(self, from_id: int, to_id: int | None) -> None:
        """Fetch trades from one number to another that is not wanted any more, or to the end of the time."""
        exchange, symbol = self._client.exchange, self._key.symbol
        ended = 0
        while to_id is None or from_id < to_id:
            page = await self._ask(
                self._client.weights.public_trades,
                partial(exchange.fetch_trades, symbol, None, _PAGE_ROWS, {"fromId": from_id}),
            )
            rows = sorted((_trade(each) for each in page), key=lambda row: row[4])
            wanted = [row for row in rows if row[4] >= from_id and (to_id is None or row[4] < to_id)]
            inside = [row for row in wanted if row[0] < self._until_ms * _NS_PER_MS]
            await self._take(inside)
            if rows and len(inside) < len(rows):
                return
            ended = 0 if inside else ended + 1
            if ended == _ENDS_AFTER:
                return
            if inside:
                self._progress(inside[-1][0])
                from_id = inside[-1][4] + 1

    def _holes(self) -> list[tuple[int, int]]:
        """Return the numbers that are missing between stored trades: (the first, the first that is there again)."""
        numbers = np.sort(self._stored("id").get_column("id").to_numpy())
        at = np.flatnonzero(np.diff(numbers) > 1)
        return [(int(numbers[index]) + 1, int(numbers[index + 1])) for index in at]

    # --- funding ------------------------------------------------------------------------------------

    async def _all_funding(self) -> int:
        """Return 0: all that the venue lists is stored.

        Raises:
            UserError: it lists less the second time.
        """
        listed: dict[int, tuple[Any, ...]] = {}
        for _ in range(_TRIES):
            again = await self._funding()
            complete = listed.keys() == again.keys()
            listed |= again
            if complete:
                break
        else:
            message = f"{self._key}: {self._key.venue} lists another number of payments each time; ask again later"
            raise UserError(message)
        known = set(self._stored("ts").get_column("ts").to_list())
        await self._take([row for ts_ns, row in sorted(listed.items()) if ts_ns not in known])
        await self._write()
        return 0

    async def _funding(self) -> dict[int, tuple[Any, ...]]:
        """Return what the venue lists, by time."""
        exchange, symbol = self._client.exchange, self._key.symbol
        since_ms, listed = self._since_ms, {}
        while since_ms < self._until_ms:
            page = await self._ask(
                _FUNDING_WEIGHT,
                partial(
                    exchange.fetch_funding_rate_history, symbol, since_ms, _PAGE_ROWS, {"until": self._until_ms - 1}
                ),
            )
            rows = [each for each in page if since_ms <= each["timestamp"] < self._until_ms]
            if not rows:
                break
            for each in rows:
                mark = (each.get("info") or {}).get("markPrice")
                ts_ns = each["timestamp"] * _NS_PER_MS
                listed[ts_ns] = (ts_ns, float(each["fundingRate"]), float(mark) if mark else None)
            since_ms = max(each["timestamp"] for each in rows) + 1
            self._progress(since_ms * _NS_PER_MS)
        return listed

    # --- asking and writing -------------------------------------------------------------------------

    async def _ask(self, weight: int, call: Callable[[], Awaitable[Any]]) -> Sequence[Any]:
        """Return a page.

        Raises:
            UserError: the venue refuses, again and again or for good.
        """
        failures = 0
        while True:
            await self._limits.turn(Priority.MARKET_DATA, weight)
            self._requests += 1
            try:
                page: Sequence[Any] = await self._client.question(call(), list)
                if not page and self._is_broken():
                    raise broken("question", "half a reply")
            except RequestError as failure:
                failures += 1
                self._in_vain += 1
                if failure.slow_down:
                    self._limits.pause(self._client.pause_s)
                if failure.outcome != "retry" or failures >= _TRIES:
                    message = (
                        f"{self._key}: {self._key.venue} does not answer: {failure.reason};"
                        " what was downloaded is kept, and the same command goes on from there"
                    )
                    raise UserError(message) from failure
                await anyio.sleep(_BACKOFF_S * 2**failures)
            else:
                return page
            finally:
                used = self._client.used_weight()
                if used is not None:
                    self._limits.observe(used)

    def _is_broken(self) -> bool:
        """Return whether the last reply, out of which ccxt made an empty page, was no whole JSON."""
        text = self._client.exchange.last_http_response
        if not isinstance(text, str | bytes):
            return False
        try:
            msgspec.json.decode(text)
        except msgspec.DecodeError:
            return True
        return False

    async def _take(self, rows: Rows) -> None:
        self._waiting += rows
        if len(self._waiting) >= _BATCH_ROWS:
            await self._write()

    async def _write(self) -> None:
        """Write what waits: all of it or nothing."""
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        names = _COLUMNS.get(self._key.kind, _COLUMNS["bars"])
        types = kind_of(self._key.kind).types()
        frame = pl.DataFrame(rows, {name: getattr(pl, POLARS_NAMES[types[name]]) for name in names}, orient="row")
        source = Provenance(f"download from {self._key.venue}", layout="through ccxt")
        report = await anyio.to_thread.run_sync(self._catalogue.write, self._key, [frame.unique()], source)
        self._rows_new += report.rows_new

    def _stored(self, *columns: str) -> pl.DataFrame:
        """Return what is there of the time that is wanted."""
        if self._catalogue.manifest(self._key) is None:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.Int64))
        inside = pl.col("ts").is_between(self._since_ms * _NS_PER_MS, self._until_ms * _NS_PER_MS, closed="left")
        return self._catalogue.scan(self._key).filter(inside).select(columns).collect()

    def _count(self) -> int:
        return self._stored("ts").height


def _trade(raw: Any) -> tuple[int, float, float, int, int]:  # noqa: ANN401 - ccxt's structure
    return (
        raw["timestamp"] * _NS_PER_MS,
        float(raw["price"]),
        float(raw["amount"]),
        _SIDES.get(raw.get("side"), 0),
        int(raw["id"]),
    )


def _grid_floor(time_ms: int, step_ms: int) -> int:
    """Return the newest open time of a bar at `time_ms` or before."""
    origin_ms = _MONDAY_MS if step_ms % _WEEK_MS == 0 else 0
    return time_ms - (time_ms - origin_ms) % step_ms


def _runs(absent: NDArray[np.int64], step_ms: int) -> Iterable[tuple[int, int]]:
    """Return the spans of bars that follow one another: (the first open time, the first that is not wanted)."""
    if not len(absent):
        return []
    breaks = np.flatnonzero(np.diff(absent) > step_ms) + 1
    return [(int(run[0]), int(run[-1]) + step_ms) for run in np.split(absent, breaks)]


def _windows(absent: NDArray[np.int64], step_ms: int) -> Iterable[tuple[int, int]]:
    """Return spans of one page at most that hold all these bars: many small gaps are one question."""
    spans = []
    while len(absent):
        start_ms = int(absent[0])
        inside = absent[absent < start_ms + _PAGE_ROWS * step_ms]
        spans.append((start_ms, int(inside[-1]) + step_ms))
        absent = absent[len(inside) :]
    return spans
