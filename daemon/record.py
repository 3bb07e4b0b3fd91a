"""`pitboss record` at work: a live feed, without anybody who trades on it, into the catalogue.

It has the edges a session has: the same client, the same streams, the same questions to REST where a stream has told
less than there was. After an absence it goes on behind the newest bar and the newest trade of the recording.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import msgspec
import structlog

from actors.runtime.clock import LiveClock, VenueClock
from config.errors import UserError
from daemon.edges.feed.exchange import ExchangeFeed
from daemon.edges.feed.market_data import MarketStreams
from daemon.edges.feed.requests import FeedRequests
from daemon.edges.feed.streams import Pace
from daemon.edges.recorder import Recorder
from daemon.edges.venue.client import connect
from daemon.edges.venue.limits import Limits
from daemon.market_feed import stream_rows
from daemon.supervisor import Supervisor, edge_spec
from daemon.venue import venue_markets
from replay.tape import format_timeframe
from replay.tape.catalogue import SeriesKey
from replay.tape.catalogue.recorded import Standing, standing
from replay.tape.catalogue.spool import Spool
from replay.tape.recording import Opened

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus

    from config.schema import Settings
    from daemon.edges.venue.client import VenueClient
    from replay.plan import MarketSeries
    from replay.tape.catalogue import Catalogue

_EDGE_GRACE_S = 1.0
_PULSE_S = 10.0

log = structlog.get_logger()


class SymbolRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded of one symbol."""

    symbol: str
    series: str
    """Its name, as ``--tape`` takes it."""
    messages: dict[str, int]
    """How many of each."""
    breaks: int
    missing: int
    """Bars and trades that the venue does not have any more."""
    rows: int
    """All there are in the catalogue now."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """How a recording ended."""

    why: str
    seconds: float
    symbols: list[SymbolRecorded]
    failed: bool


async def record(settings: Settings, catalogue: Catalogue, duration_s: float | None) -> Recorded:
    """Record the configured symbols and streams until a signal comes, or for a while.

    Raises:
        UserError: the venue cannot be reached or does not know a symbol; somebody else records it; the disk refuses.
    """
    exchange = settings.exchange
    client = await connect(exchange, needs_keys=False, symbols=())
    try:
        by_venue = exchange.clock == "venue"
        now_ns = await client.server_time_ns() if by_venue else time.time_ns()
        markets = venue_markets(settings, client.instruments(exchange.symbols), now_ns)
        keys = {symbol: SeriesKey("feed", exchange.id, symbol) for symbol in exchange.symbols}
        with ExitStack() as stack:
            spools = {symbol: stack.enter_context(closing(Spool(catalogue, key))) for symbol, key in keys.items()}
            for symbol, spool in spools.items():
                if spool.lost_bytes:
                    log.warning("line_cut_off", symbol=symbol, bytes=spool.lost_bytes)
            before = {symbol: standing(catalogue, key) for symbol, key in keys.items()}
            for series in markets.series:
                _check(series, before[series.symbol], catalogue)
            since_ns = max(each.ts_ns for each in before.values()) or markets.series[0].first_open_ns
            clock = VenueClock(since_ns) if by_venue else LiveClock(time.time_ns, since_ns)
            recorder = Recorder(spools, clock, max(each.seq for each in before.values()) + 1)
            for ordinal, series in enumerate(markets.series):
                recorder.note(_opened(series, settings, ordinal))
            recording = _Recording(settings, client, recorder, before)
            outcome = await recording.run(duration_s)
            for spool in spools.values():
                await anyio.to_thread.run_sync(spool.hand_over)
            return _recorded(outcome, recorder, catalogue, keys)
    finally:
        await client.close()


def _check(series: MarketSeries, before: Standing, catalogue: Catalogue) -> None:
    """Refuse bars of another length than those that are recorded already."""
    known = before.opened
    if known is not None and known.timeframe_ns != series.timeframe_ns:
        there, now = format_timeframe(known.timeframe_ns), format_timeframe(series.timeframe_ns)
        message = (
            f"{series.symbol} is recorded in {catalogue.root} with bars of {there}, not of {now}; "
            f"go on with --set exchange.timeframe={there}, or record into another --data-dir"
        )
        raise UserError(message)


def _opened(series: MarketSeries, settings: Settings, ordinal: int) -> Opened:
    return Opened(
        series.symbol,
        series.timeframe_ns,
        series.instrument,
        tuple(settings.exchange.streams),
        series.ticks,
        series.first_open_ns,
        ordinal,
    )


class _Outcome(msgspec.Struct):
    why: str
    seconds: float
    failed: bool


class _Recording:
    """The edges of a recording, and the order they start and end in."""

    def __init__(
        self, settings: Settings, client: VenueClient, recorder: Recorder, before: dict[str, Standing]
    ) -> None:
        exchange = settings.exchange
        limits = Limits(client.weight_per_minute)
        limits.observe(client.used_weight() or 0)
        pace, requests = Pace(), FeedRequests(limits, client)
        self._settings = settings
        self._recorder = recorder
        self._bars = ExchangeFeed(
            client.exchange,
            recorder,
            exchange,
            last_close_ns={symbol: each.close_ns for symbol, each in before.items() if each.close_ns is not None},
            requests=requests,
            pace=pace,
        )
        self._streams = MarketStreams(
            client.exchange,
            recorder,
            exchange,
            last_trade_ids={symbol: each.trade_id for symbol, each in before.items() if each.trade_id is not None},
            requests=requests,
            pace=pace,
        )
        self._ending = anyio.Event()
        self._why = ""
        self._failed = False

    async def run(self, duration_s: float | None) -> _Outcome:
        """Start everything, wait for a reason to end, end everything; all that was heard is then with the recorder."""
        started_s = time.monotonic()
        supervisor = Supervisor(seed=0, on_escalation=lambda edge, error: self._end(f"{edge}: {error}", failed=True))
        async with anyio.create_task_group() as group:
            await group.start(self._watch_signals)
            self._start_edges(supervisor, group)
            log.info("recording", symbols=list(self._recorder.counts), streams=list(self._settings.exchange.streams))
            with anyio.move_on_after(duration_s) as waiting:
                await self._ending.wait()
            if waiting.cancelled_caught:
                self._end("the time is up")
            await supervisor.stop(_EDGE_GRACE_S)
            group.cancel_scope.cancel()
        return _Outcome(self._why, time.monotonic() - started_s, self._failed)

    def _start_edges(self, supervisor: Supervisor, group: TaskGroup) -> None:
        edge = edge_spec(self._settings.supervision)
        writer = msgspec.structs.replace(edge, name="recorder", restarts_max=0)
        supervisor.start(group, writer, self._recorder.run)
        supervisor.start(group, msgspec.structs.replace(edge, name="watch"), self._watch)
        supervisor.start(group, msgspec.structs.replace(edge, name="pulse"), self._pulse)
        supervisor.start(group, msgspec.structs.replace(edge, name="feed"), self._bars.run)
        if self._streams.statistics():
            supervisor.start(group, msgspec.structs.replace(edge, name="streams"), self._streams.run)

    async def _watch(self) -> None:
        await self._recorder.watch(lambda: stream_rows(self._bars, self._streams))

    async def _pulse(self) -> None:
        while True:
            await anyio.sleep(_PULSE_S)
            for symbol, counts in self._recorder.counts.items():
                log.info("pulse", symbol=symbol, **{name.lower(): count for name, count in sorted(counts.items())})

    async def _watch_signals(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for number in signals:
                self._end(signal.Signals(number).name)

    def _end(self, why: str, *, failed: bool = False) -> None:
        if not self._ending.is_set():
            self._why, self._failed = why, failed
            log.info("ending", why=why)
            self._ending.set()


def _recorded(outcome: _Outcome, recorder: Recorder, catalogue: Catalogue, keys: dict[str, SeriesKey]) -> Recorded:
    symbols = [
        SymbolRecorded(
            symbol=symbol,
            series=f"feed:{key.name}",
            messages={name: count for name, count in sorted(counts.items()) if name not in ("Broke", "Opened")},
            breaks=counts["Broke"],
            missing=recorder.missing[symbol],
            rows=catalogue.existing(key).rows,
        )
        for symbol, key in keys.items()
        for counts in (recorder.counts[symbol],)
    ]
    return Recorded(why=outcome.why, seconds=round(outcome.seconds, 3), symbols=symbols, failed=outcome.failed)
