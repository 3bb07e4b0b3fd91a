"""The market data of one run: bars, the streams that were asked for, and how each of them is doing.

All of it comes through one ccxt.pro instance, whose subscriptions are spaced together, and asks REST through one
queue. A session goes on behind the newest bar and the newest trade its core knows; a symbol it knows nothing of
begins with the history its strategies declare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from actors.ticks import TICKS
from daemon.control.types import StreamRow
from daemon.edges.feed.exchange import ExchangeFeed
from daemon.edges.feed.market_data import MarketStreams
from daemon.edges.feed.requests import FeedRequests
from daemon.edges.feed.streams import Pace
from strategies.features.needs import STREAMS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.system import Core
    from config.schema import Exchange
    from daemon.edges.feed.streams import PumpStatistics
    from daemon.edges.venue.client import VenueClient
    from daemon.edges.venue.limits import Limits
    from daemon.live import LiveDriver

log = structlog.get_logger()


class MarketFeed:
    """The feed of one run.

    Args:
        client: what it comes through.
        core: the recovered core.
        driver: where it goes.
        settings: which symbols and streams.
        limits: whose turn it is to ask the venue, shared with the gateway.
    """

    def __init__(self, client: VenueClient, core: Core, driver: LiveDriver, settings: Exchange, limits: Limits) -> None:
        pace, requests = Pace(), FeedRequests(limits, client)
        self._bars = ExchangeFeed(
            client.exchange,
            driver,
            settings,
            last_close_ns=core.market.last_closes_ns(),
            history=core.history(),
            requests=requests,
            pace=pace,
        )
        self._streams = MarketStreams(
            client.exchange,
            driver,
            settings,
            last_trade_ids=core.ticks.last_trade_ids(),
            requests=requests,
            pace=pace,
        )
        for actor in core.strategies:
            for kind in actor.hears_ticks:
                stream = STREAMS.get(kind)
                if stream is None:
                    log.warning("not_from_a_live_feed", strategy=actor.id, method=TICKS[kind])
                elif stream not in settings.streams:
                    log.warning("stream_not_asked_for", strategy=actor.id, method=TICKS[kind], stream=stream)

    def edges(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Return the edges by name, in start order."""
        edges: list[tuple[str, Callable[[], Awaitable[None]]]] = [("feed", self._bars.run)]
        if self._streams.statistics():
            edges.append(("streams", self._streams.run))
        return edges

    def statistics(self) -> list[StreamRow]:
        """Return how every stream is doing."""
        return stream_rows(self._bars, self._streams)


def stream_rows(bars: ExchangeFeed, streams: MarketStreams) -> list[StreamRow]:
    """Return how every stream of a feed is doing."""
    rows: list[StreamRow] = []
    for series in bars.statistics().series:
        told = series.bars
        rows.append(_row(told.symbol, "bars", series.stream, 0, (told.emitted_from_rest, told.missing)))
    for each in streams.statistics():
        trades = (0, 0) if each.trades is None else (each.trades.backfilled, each.trades.missing)
        rows.append(_row(each.symbol, each.kind, each.pump, each.conflated, trades))
    return rows


def _row(symbol: str, stream: str, pump: PumpStatistics, conflated: int, from_rest: tuple[int, int]) -> StreamRow:
    backfilled, missing = from_rest
    return StreamRow(
        symbol=symbol,
        stream=stream,
        age_s=round(pump.heard_s_ago, 3) if pump.delivered else None,
        delivered=pump.delivered,
        reconnects=pump.breaks,
        conflated=conflated,
        backfilled=backfilled,
        missing=missing,
        last_error=pump.last_error,
    )
