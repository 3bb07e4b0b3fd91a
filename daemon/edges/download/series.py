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
from daemon.edges.download.work import NS_PER_MS
from daemon.edges.venue.client import is_family

if TYPE_CHECKING:
    from daemon.edges.download.work import Work

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


async def download(work: Work, period_ns: int | None = None) -> DownloadReport:
    """Fetch what is missing of a series, then verify that nothing is.

    Args:
        work: which series, of what time.
        period_ns: between two figures of open interest; five minutes unless given.

    Raises:
        UserError: the venue refuses, or has nothing; what was written before stays.
    """
    key, wanted_ms = work.key, work.since_ms
    missing = await _all(work, period_ns or INTEREST_PERIOD_NS)
    rows = work.stored("ts").height
    if not rows:
        message = f"{key}: {key.venue} lists nothing of this time"
        raise UserError(message)
    return DownloadReport(
        name=key.name,
        kind=key.kind,
        since_ns=wanted_ms * NS_PER_MS,
        until_ns=work.until_ms * NS_PER_MS,
        rows=rows,
        rows_new=work.rows_new,
        missing=missing,
        unlisted=work.unlisted,
        verified=_BY_TIME if _is_chain(work) else VERIFIED[key.kind],
        requests=work.requests,
        tries_again=work.in_vain,
    )


async def _all(work: Work, period_ns: int) -> int:
    """Return how much the venue has not."""
    if work.key.kind in PRICES:
        return await all_bars(work)
    if work.key.kind == "open_interest":
        return await all_interest(work, period_ns)
    if work.key.kind == "trades":
        return await (all_trades_by_time if _is_chain(work) else all_trades)(work)
    if work.key.kind == "liquidations":
        return await all_liquidations(work)
    return await all_funding(work)


def _is_chain(work: Work) -> bool:
    """Return whether these are trades whose numbers may have holes: all but Binance's."""
    return work.key.kind == "trades" and not is_family(work.exchange)
