"""What every download does alike: ask in turn and again, take rows, write them in batches, look at what is stored."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec
import polars as pl

from config.errors import UserError
from daemon.edges.venue.errors import RequestError, broken
from daemon.edges.venue.limits import Priority
from replay.tape.catalogue import Provenance
from replay.tape.kinds import POLARS_NAMES, kind_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.edges.venue.client import VenueClient
    from daemon.edges.venue.limits import Limits
    from replay.tape.catalogue import Catalogue, SeriesKey

    Rows = list[tuple[Any, ...]]
    OnProgress = Callable[[int], None]

NS_PER_MS = 1_000_000
BATCH_ROWS = 50_000
"""Rows between two writes: what a cut-off costs at most."""
TRIES = 6
BACKOFF_S = 0.25

_COLUMNS: dict[str, tuple[str, ...]] = {
    "trades": ("ts", "price", "quantity", "side", "id"),
    "funding": ("ts", "rate", "mark"),
    "open_interest": ("ts", "open_interest", "value"),
    "liquidations": ("ts", "side", "price", "quantity"),
}
_COVERING = ", all there is from {} to {}"
_COVERED = re.compile(_COVERING.format(r"(\S+)", r"(\S+)"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BAR_COLUMNS = ("ts", "open", "high", "low", "close", "volume")


class Work:
    """One series, from one time to another, of one venue.

    Args:
        client: the venue.
        limits: whose turn it is to ask.
        catalogue: where it is kept.
        key: which series.
        since_ns: the first time that is wanted.
        until_ns: the first one that is not.
        progress: called with the time in ns up to which all is there.

    Attributes:
        since_ms: the first time that is asked for.
        until_ms: the first one that is not, which a story may bring forward.
        unlisted: stretches (ns, from and to) in which the venue has more than it lists.
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
        self.client = client
        self.key = key
        self.exchange: Any = client.exchange
        self.since_ms = -(-since_ns // NS_PER_MS)
        self.until_ms = until_ns // NS_PER_MS
        self.unlisted: list[tuple[int, int]] = []
        self.rows_new = 0
        self.requests = 0
        self.in_vain = 0
        self._limits = limits
        self._catalogue = catalogue
        self._progress = progress
        self._waiting: Rows = []
        self._source = f"download from {key.venue}"

    def progress(self, time_ms: int) -> None:
        """Say up to which time all is there."""
        self._progress(min(time_ms, self.until_ms) * NS_PER_MS)

    async def ask(self, weight: int, call: Callable[[], Awaitable[Any]]) -> Sequence[Any]:
        """Return a page.

        Raises:
            UserError: the venue refuses, again and again or for good.
        """
        failures = 0
        while True:
            await self._limits.turn(Priority.MARKET_DATA, weight)
            self.requests += 1
            try:
                page: Sequence[Any] = await self.client.question(call(), list)
                if not page and self._is_broken():
                    raise broken("question", "half a reply")
            except RequestError as failure:
                failures += 1
                self.in_vain += 1
                if failure.slow_down:
                    self._limits.pause(self.client.pause_s)
                if failure.outcome != "retry" or failures >= TRIES:
                    message = (
                        f"{self.key}: {self.key.venue} does not answer: {failure.reason};"
                        " what was downloaded is kept, and the same command goes on from there"
                    )
                    raise UserError(message) from failure
                await anyio.sleep(BACKOFF_S * 2**failures)
            else:
                return page
            finally:
                used = self.client.used_weight()
                if used is not None:
                    self._limits.observe(used)

    def _is_broken(self) -> bool:
        """Return whether the last reply, out of which ccxt made an empty page, was no whole JSON."""
        text = self.exchange.last_http_response
        if not isinstance(text, str | bytes):
            return False
        try:
            msgspec.json.decode(text)
        except msgspec.DecodeError:
            return True
        return False

    async def take(self, rows: Rows, covering: tuple[int, int] | None = None) -> None:
        """Keep rows, and write what waits as soon as that is a batch."""
        self._waiting += rows
        if len(self._waiting) >= BATCH_ROWS:
            await self.write(covering)

    async def write(self, covering: tuple[int, int] | None = None) -> None:
        """Write what waits: all of it or nothing.

        Rows that only their number of occurrences tells apart must come whole: all of one time in one write.

        Args:
            covering: from which time (ms) to which other all that the venue lists is stored then; kept with the rows,
                for `uncovered`.
        """
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        kind = kind_of(self.key.kind)
        names = _COLUMNS.get(self.key.kind, _BAR_COLUMNS)[: len(rows[0])]
        types = kind.types()
        frame = pl.DataFrame(rows, {name: getattr(pl, POLARS_NAMES[types[name]]) for name in names}, orient="row")
        if kind.identity == "key" and set(kind.key) <= set(names):  # else two equal rows are two
            frame = frame.unique()
        layout = "through ccxt"
        if covering is not None:
            layout += _COVERING.format(*(_text(time_ms) for time_ms in covering))
        source = Provenance(self._source, layout=layout)
        report = await anyio.to_thread.run_sync(self._catalogue.write, self.key, [frame], source)
        self.rows_new += report.rows_new

    def uncovered(self) -> list[tuple[int, int]]:
        """Return from which times (ms) to which others earlier downloads have not stored all that the venue lists."""
        manifest = self._catalogue.manifest(self.key)
        spans = (
            [] if manifest is None else [_span(each.layout) for each in manifest.imports if each.source == self._source]
        )
        absent, position_ms = [], self.since_ms
        for start_ms, end_ms in sorted(span for span in spans if span is not None):
            if start_ms > position_ms:
                absent.append((position_ms, min(start_ms, self.until_ms)))
            position_ms = max(position_ms, end_ms)
            if position_ms >= self.until_ms:
                break
        absent.append((position_ms, self.until_ms))
        return [(start_ms, end_ms) for start_ms, end_ms in absent if start_ms < end_ms]

    def has(self, column: str) -> bool:
        """Return whether the rows that are stored have a column; where there are none, they may have any."""
        manifest = self._catalogue.manifest(self.key)
        return manifest is None or column in manifest.columns

    def stored(self, *columns: str) -> pl.DataFrame:
        """Return what is there of the time that is wanted."""
        if self._catalogue.manifest(self.key) is None:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.Int64))
        inside = pl.col("ts").is_between(self.since_ms * NS_PER_MS, self.until_ms * NS_PER_MS, closed="left")
        return self._catalogue.scan(self.key).filter(inside).select(columns).collect()


def _text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1_000, UTC).isoformat(timespec="milliseconds")


def _span(layout: str) -> tuple[int, int] | None:
    """Return from which time (ms) to which other an import has all, None if it does not say."""
    found = _COVERED.search(layout)
    if found is None:
        return None
    start, end = (datetime.fromisoformat(text) for text in found.groups())
    return (start - _EPOCH) // timedelta(milliseconds=1), (end - _EPOCH) // timedelta(milliseconds=1)
