"""The past of a market from an exchange into the catalogue: only what is not there yet, and nothing twice.

Whatever is written is written in batches, each all or nothing, and what is missing is worked out from the catalogue
itself, so a download that was cut off goes on where it stood. Requests come out of one limiter, last in line; a venue
that asks for a pause gets one.

A download is verified against the venue's own listing: each kind in its own way, see `VERIFIED`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from config.errors import UserError
from daemon.edges.download.chain import all_trades_by_time
from daemon.edges.download.grid import INTEREST_PERIOD_NS, PRICES, all_bars, all_interest
from daemon.edges.download.listed import all_funding, all_liquidations
from daemon.edges.download.numbered import all_trades
from daemon.edges.download.work import NS_PER_MS, Work
from daemon.edges.venue.client import is_family

if TYPE_CHECKING:
    from daemon.edges.download.work import OnProgress
    from daemon.edges.venue.client import VenueClient
    from daemon.edges.venue.limits import Limits
    from replay.tape.catalogue import Catalogue, SeriesKey

_OF_BARS = (
    "every bar that is absent behind the first one was asked for again; the exchange has not what is still absent"
)

VERIFIED = {
    **dict.fromkeys(PRICES, _OF_BARS),
    "open_interest": "every figure that is absent behind the first one was asked for again and counted",
    "trades": "the exchange numbers them without holes, and there are none; numbers it does not list are counted",
    "funding": "what is before the first payment and behind the last was asked for again, and there is none",
    "liquidations": "what is before the first and behind the last of each list was asked for again, and there is none",
}
"""What can be downloaded, and how it is told that nothing is missing."""
KINDS = tuple(VERIFIED)
_BY_TIME = "each page holds the last trade of the one before; what the exchange does not list is named"


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
    """Bars and figures that the venue has not, as it said twice; numbers of trades it does not list."""
    unlisted: list[tuple[int, int]]
    """Stretches (ns, from and to) that the venue does not list, though there may have been something."""
    verified: str
    """How it is told that nothing else is missing."""
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
        period_ns: between two figures of open interest; five minutes unless given.
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
        period_ns: int | None = None,
    ) -> None:
        self._key = key
        self._period_ns = period_ns or INTEREST_PERIOD_NS
        self._wanted_ns = since_ns
        self._work = Work(client, limits, catalogue, key, since_ns, until_ns, progress)

    async def run(self) -> DownloadReport:
        """Fetch what is missing, then verify that nothing is.

        Raises:
            UserError: the venue refuses, or has nothing; what was written before stays.
        """
        work = self._work
        missing = await self._all()
        rows = work.stored("ts").height
        if not rows:
            message = f"{self._key}: {self._key.venue} lists nothing of this time"
            raise UserError(message)
        return DownloadReport(
            name=self._key.name,
            kind=self._key.kind,
            since_ns=-(-self._wanted_ns // NS_PER_MS) * NS_PER_MS,
            until_ns=work.until_ms * NS_PER_MS,
            rows=rows,
            rows_new=work.rows_new,
            missing=missing,
            unlisted=work.unlisted,
            verified=_BY_TIME if self._is_chain() else VERIFIED[self._key.kind],
            requests=work.requests,
            tries_again=work.in_vain,
        )

    async def _all(self) -> int:
        """Return how much the venue has not."""
        if self._key.kind in PRICES:
            return await all_bars(self._work)
        if self._key.kind == "open_interest":
            return await all_interest(self._work, self._period_ns)
        if self._key.kind == "trades":
            return await (all_trades_by_time if self._is_chain() else all_trades)(self._work)
        if self._key.kind == "liquidations":
            return await all_liquidations(self._work)
        return await all_funding(self._work)

    def _is_chain(self) -> bool:
        """Return whether these are trades whose numbers may have holes: all but Binance's."""
        return self._key.kind == "trades" and not is_family(self._work.exchange)
