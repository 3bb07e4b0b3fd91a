"""``GET /metrics`` for Prometheus: what the mirror shows, as numbers.

Nothing is counted here and the core is asked nothing: counters are the session's and go on over restarts, those of
alerts are their queue's, histograms are the daemon process's. Labels are what is configured (strategies, symbols,
streams, rules, targets) or fixed in the source.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from actors.instrument import from_atoms
from daemon.console.live import STARTING, ready
from daemon.console.routes import Nothing, Route
from daemon.control import types as t
from daemon.control.refusal import RefusedError
from daemon.control.security import SECURE_HEADERS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from daemon.console.app import Console
    from daemon.console.frames import Meters
    from daemon.histogram import HistogramRow

Row = TypeVar("Row", bound=msgspec.Struct)

_OPENMETRICS = "application/openmetrics-text"
_STATES = ("starting", "running", "paused", "flattening", "halted", "stopping")
_REACTION = (10, 34)
"""Powers of two of a nanosecond that bound the buckets: from 1 us to 17 s."""
_ROUND_TRIP = (20, 46)
"""From 1 ms to 20 hours: in the core's time, in which a bar takes a minute."""


class Metrics(Collector):
    """Makes metrics of what the console knows.

    Args:
        console: the console.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._peak_atoms: int | None = None
        """Highest equity at a bar's close, as far as the journal was read."""
        self._peak_ns = -(2**63)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(namespace="pitboss_daemon", pid=os.getppid, registry=self.registry)
        ProcessCollector(namespace="pitboss_console", registry=self.registry)

    async def refresh(self) -> None:
        """Read from the journal what frames do not tell; while that cannot be read, all else is told."""
        newest = "SELECT max(equity_atoms), max(ts_ns) FROM equity WHERE session = ? AND ts_ns >= ?"
        asked = (self._console.hello.number, self._peak_ns)

        def look(db: sqlite3.Connection) -> tuple[int | None, int | None]:
            found: tuple[int | None, int | None] = db.execute(newest, asked).fetchone()
            return found

        try:
            atoms, ts_ns = await self._console.history.read(look)
        except RefusedError:
            return
        if atoms is not None and ts_ns is not None:
            self._peak_atoms = atoms if self._peak_atoms is None else max(atoms, self._peak_atoms)
            self._peak_ns = max(ts_ns, self._peak_ns)

    def collect(self) -> Iterator[Metric]:
        """Return every metric; with the name and labels it always has, and a value if there is one."""
        (summary,) = self._rows("summary", t.Summary)
        meters = self._console.mirror.meters
        yield from self._state(summary)
        yield from self._money(summary)
        yield from self._feed(summary)
        yield from self._actors()
        yield from self._trading()
        yield from _inputs(meters)
        yield from _venue(meters, self._rows("venue", t.Venue))
        yield _gauge("pitboss_stream_clients", "Clients of the stream.", self._console.clients)
        yield from self._alerts()

    def _rows(self, section: str, kind: type[Row]) -> Sequence[Row]:
        return [msgspec.json.decode(row, type=kind) for row in self._console.mirror.rows(section).values()]

    def _state(self, summary: t.Summary) -> Iterator[Metric]:
        hello = self._console.hello
        told = {"session": hello.session, "run": str(hello.run), "mode": hello.mode, "tape": hello.tape}
        yield InfoMetricFamily("pitboss_run", "Which session this is, and which run of it.", told)
        state = {name: name == summary.state for name in _STATES}
        yield StateSetMetricFamily("pitboss_trading_state", "The daemon's state.", state)
        started_s = summary.started_wall_ns / 1e9
        yield _gauge("pitboss_start_time_seconds", "When the daemon was started, since 1970.", started_s)
        yield _gauge("pitboss_clock_seconds", "The core's time, since 1970.", summary.clock.ts_ns / 1e9)

    def _money(self, summary: t.Summary) -> Iterator[Metric]:
        for name, about, value in (
            ("equity", "Equity", summary.equity),
            ("cash", "Cash", summary.cash),
            ("fees", "Fees paid", summary.fees),
            ("realized_pnl", "Profit realised, before fees", summary.realized_pnl),
            ("funding", "Funding received", summary.funding),
        ):
            yield _gauge(f"pitboss_{name}_quote", f"{about}, in quote units.", float(value))
        equity = float(summary.equity)
        peak = equity if self._peak_atoms is None else max(equity, float(from_atoms(self._peak_atoms)))
        drawdown = 1 - equity / peak if peak > 0 else 0.0
        yield _gauge("pitboss_equity_peak_quote", "Highest equity at a bar's close in this session.", peak)
        yield _gauge("pitboss_drawdown_ratio", "How far the equity is below its peak, as a part of it.", drawdown)
        held = GaugeMetricFamily("pitboss_position_base", "What a strategy holds.", labels=("strategy", "symbol"))
        gain = GaugeMetricFamily(
            "pitboss_position_unrealized_pnl_quote",
            "What it would gain, before fees, were it sold now.",
            labels=("strategy", "symbol"),
        )
        for position in self._rows("positions", t.Position):
            held.add_metric((position.strategy, position.symbol), float(position.quantity))
            gain.add_metric((position.strategy, position.symbol), float(position.unrealized_pnl))
        yield from (held, gain)

    def _feed(self, summary: t.Summary) -> Iterator[Metric]:
        age_s = max(0.0, (time.time_ns() - summary.heard_wall_ns) / 1e9)
        yield _gauge("pitboss_feed_age_seconds", "Time since the core was told anything.", age_s)
        stale = GaugeMetricFamily("pitboss_symbol_stale", "1 if a symbol's bars are overdue.", labels=("symbol",))
        for symbol in self._rows("symbols", t.Symbol):
            stale.add_metric((symbol.symbol,), symbol.stale)
        yield stale
        labels = ("symbol", "stream")
        age = GaugeMetricFamily("pitboss_stream_age_seconds", "Time since a stream spoke.", labels=labels)
        counts = {
            name: CounterMetricFamily(f"pitboss_stream_{name}", about, labels=labels)
            for name, about in (
                ("delivered", "Times a stream has spoken."),
                ("reconnects", "Times it was opened anew."),
                ("conflated", "Versions nobody saw, because a newer one came first."),
                ("backfilled", "Bars or trades that REST told instead."),
                ("missing", "Bars or trades that nobody could tell."),
            )
        }
        for row in self._rows("streams", t.StreamRow):
            if row.age_s is not None:
                age.add_metric((row.symbol, row.stream), row.age_s)
            for name, metric in counts.items():
                metric.add_metric((row.symbol, row.stream), getattr(row, name))
        yield age
        yield from counts.values()

    def _actors(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("pitboss_actor_up", "1 if an actor or edge runs.", labels=("actor",))
        mailbox = GaugeMetricFamily("pitboss_mailbox_messages", "Messages that wait for it.", labels=("actor",))
        handled = CounterMetricFamily("pitboss_actor_handled", "Messages it was given.", labels=("actor",))
        restarts = CounterMetricFamily("pitboss_actor_restarts", "Times it was started again.", labels=("actor",))
        for actor in self._rows("actors", t.Actor):
            up.add_metric((actor.name,), actor.state == "running")
            mailbox.add_metric((actor.name,), actor.mailbox)
            handled.add_metric((actor.name,), actor.processed)
            restarts.add_metric((actor.name,), actor.restarts)
        yield from (up, mailbox, handled, restarts)

    def _trading(self) -> Iterator[Metric]:
        strategies = self._rows("strategies", t.Strategy)
        orders = Counter(order.strategy for order in self._rows("orders", t.Order))
        count = GaugeMetricFamily("pitboss_open_orders", "Orders that are open.", labels=("strategy",))
        runs = GaugeMetricFamily("pitboss_strategy_up", "1 if a strategy may trade.", labels=("strategy",))
        for row in strategies:
            count.add_metric((row.strategy,), orders[row.strategy])
            runs.add_metric((row.strategy,), row.state == "running")
        yield from (count, runs)
        vetoes = CounterMetricFamily("pitboss_risk_vetoes", "Orders, and changes, a rule refused.", labels=("rule",))
        clips = CounterMetricFamily("pitboss_risk_clips", "Orders a rule cut.", labels=("rule",))
        acted = CounterMetricFamily("pitboss_risk_actions", "Times a rule acted on the account.", labels=("rule",))
        for risk in self._rows("risk", t.Risk):
            for rule in risk.rules:
                vetoes.add_metric((rule.rule,), rule.vetoed)
                clips.add_metric((rule.rule,), rule.clipped)
                acted.add_metric((rule.rule,), rule.acted)
        yield from (vetoes, clips, acted)

    def _alerts(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("pitboss_alerts_waiting", "Alerts that wait for a target.", labels=("target",))
        counts_of = {
            name: CounterMetricFamily(f"pitboss_alert_{name}", about, labels=("target",))
            for name, about in (
                ("messages", "Messages a target has taken."),
                ("failures", "Attempts that came to nothing."),
                ("drops", "Alerts given up."),
            )
        }
        for courier in self._console.couriers:
            label = (courier.target.name,)
            waiting.add_metric(label, courier.waiting)
            counts_of["messages"].add_metric(label, courier.counts.sent)
            counts_of["failures"].add_metric(label, courier.counts.failed)
            counts_of["drops"].add_metric(label, courier.counts.dropped)
        yield waiting
        yield from counts_of.values()


def _inputs(meters: Meters | None) -> Iterator[Metric]:
    """Return what the daemon counted."""
    inputs = CounterMetricFamily("pitboss_inputs", "Inputs the core has run, by type.", labels=("kind",))
    messages = CounterMetricFamily("pitboss_messages", "Messages the core has said, by type.", labels=("kind",))
    latency = HistogramMetricFamily(
        "pitboss_input_latency_seconds",
        "From an input's arrival until the core has decided, and until its effects may leave; of inputs with effects.",
        labels=("until",),
    )
    round_trip = HistogramMetricFamily(
        "pitboss_order_round_trip_seconds",
        "From an order's birth until the venue has accepted it, and until it is filled whole, by the core's time.",
        labels=("until",),
    )
    if meters is not None:
        for name, count in meters.counts.items():
            entered = name.removeprefix("entry:")
            (messages if entered == name else inputs).add_metric((entered,), count)
        _histogram(latency, "decided", meters.decided, _REACTION)
        _histogram(latency, "released", meters.released, _REACTION)
        _histogram(round_trip, "acknowledged", meters.acknowledged, _ROUND_TRIP)
        _histogram(round_trip, "filled", meters.filled, _ROUND_TRIP)
    yield from (inputs, messages, latency, round_trip)
    lag_inputs = None if meters is None else meters.lag_inputs
    lag_s = None if meters is None else meters.lag_s
    yield _gauge("pitboss_journal_lag_inputs", "Inputs run and not durable.", lag_inputs)
    yield _gauge("pitboss_journal_lag_seconds", "How long the oldest effect has waited for the disk.", lag_s)
    letters = CounterMetricFamily("pitboss_dead_letters", "Messages that an actor could not handle.")
    if meters is not None:
        letters.add_metric((), meters.dead_letters)
    yield letters


def _venue(meters: Meters | None, venues: Sequence[t.Venue]) -> Iterator[Metric]:
    up = GaugeMetricFamily("pitboss_venue_up", "1 if orders can reach the venue.", labels=("kind",))
    for venue in venues:
        up.add_metric((venue.kind,), venue.ready)
    yield up
    for name, about, value in (
        ("rate_limit_weight", "Request weight of the last minute.", None if meters is None else meters.weight),
        ("rate_limit_weight_max", "What it may be.", None if meters is None else meters.weight_max),
        ("rate_limit_requests", "Requests that wait.", None if meters is None else meters.requests_waiting),
    ):
        yield _gauge(f"pitboss_{name}", about, value)


def _gauge(name: str, about: str, value: float | None) -> Metric:
    metric = GaugeMetricFamily(name, about)
    if value is not None:
        metric.add_metric((), value)
    return metric


def _histogram(metric: HistogramMetricFamily, until: str, row: HistogramRow, powers: tuple[int, int]) -> None:
    """Add one histogram, whose buckets are bounded by powers of two of a nanosecond."""
    least, most = powers
    upto = list(accumulate(row.buckets))
    buckets = [(repr(2**power / 1e9), float(upto[power])) for power in range(least, most + 1)]
    metric.add_metric((until,), [*buckets, ("+Inf", float(upto[-1]))], row.sum_ns / 1e9)


async def _metrics(console: Console, request: web.Request, _: Nothing) -> web.Response:
    await ready(console)
    await console.metrics.refresh()
    registry = console.metrics.registry
    if _OPENMETRICS in request.headers.get("Accept", ""):
        body, kind = openmetrics.generate_latest(registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]
    else:
        body, kind = generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
    return web.Response(body=body, headers=SECURE_HEADERS | {"Content-Type": kind})


ROUTES = (
    Route(
        name="metrics",
        method="GET",
        path="/metrics",
        role="read",
        tag="about",
        summary="Everything there is to count, for Prometheus",
        doc="In the text format, or as OpenMetrics where the Accept header asks for it.",
        headers={"Accept": "`application/openmetrics-text` for OpenMetrics."},
        handler=_metrics,
        answer=f"text/plain, {_OPENMETRICS}",
        refusals=STARTING,
    ),
)
