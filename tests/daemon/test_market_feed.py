"""The feed of one run against the loopback exchange: one limiter for all, rows for the status, words for the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors import messages as m
from config.load import load_settings
from daemon.venue import VenueEdges, open_venue
from replay.exchange.model import Market
from replay.exchange.server import Exchange, running
from replay.plan import build_core, plan_session, start_core
from replay.tape import Tape, synthetic_tape

pytestmark = pytest.mark.slow

STRATEGY = """
from pitboss import Strategy, sma


class Hears(Strategy):
    def features(self):
        return {"mean": sma(5)}

    def on_trade(self, trade):
        pass

    def on_quote(self, quote):
        pass
"""


class Inbox:
    """Fits what edges need of the driver."""

    def __init__(self) -> None:
        self.first: list[m.Message] = []
        self.told: list[m.Message] = []

    def post_command(self, message: m.Message) -> None:
        self.first.append(message)

    async def post(self, message: m.Message) -> None:
        self.told.append(message)

    async def deliver(self, message: m.Message) -> None:
        self.told.append(message)


@asynccontextmanager
async def world(folder: Path, *overrides: str, real: bool) -> AsyncIterator[tuple[Exchange, VenueEdges, Inbox]]:
    """Yield an exchange, the edges of a session on it, and where they post to."""
    path = folder / "hears.py"
    path.write_text(STRATEGY)
    tape = synthetic_tape("7:500")
    async with running(tape=tape, markets=[market_of(tape)], speed=600.0) as exchange:
        arguments = folder / "ccxt.json"
        arguments.write_text(json.dumps(exchange.arguments))
        settings = load_settings(
            None,
            [
                f"strategies=[{{use='{path}:Hears'}}]",
                "feed.source=exchange",
                f"exchange.file={arguments}",
                f"exchange.symbols=['{exchange.venue.markets[0].symbol}']",
                "exchange.clock=venue",
                *overrides,
            ],
            {},
        )
        edges = await open_venue(settings, real=real, kept={})
        try:
            core = build_core(plan_session(settings, edges.markets, real=real, nonce="abc"))
            start_core(core)
            inbox = Inbox()
            edges.attach(core, inbox, 0)  # type: ignore[arg-type]
            yield exchange, edges, inbox
        finally:
            await edges.close()


def market_of(tape: Tape) -> Market:
    """Return the market of a tape's one series."""
    symbol = tape.series[0].symbol
    base, quote = symbol.split("/")
    return Market(
        symbol=symbol, id=base + quote, base=base, quote=quote, tick=Decimal("0.01"), lot=Decimal("0.00000001")
    )


async def until(look: Any, what: str) -> None:
    async with asyncio.timeout(20):
        while not look():  # noqa: ASYNC110 - of another task's doing
            await asyncio.sleep(0.01)
    assert look(), what


@asynccontextmanager
async def run(edges: VenueEdges, *names: str) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(edge()) for name, edge in edges.edges() if name in names]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_what_the_feed_asks_is_spent_from_the_gateways_weight(tmp_path: Path) -> None:
    async with world(tmp_path, real=True) as (_, edges, inbox):
        gateway = edges._gateway
        assert gateway is not None
        assert inbox.first == [m.VenueLink(up=False, reason="not connected yet")], "told ahead of all else"
        before = gateway.statistics().limits.spent
        edges._told.set()
        async with run(edges, "feed"):
            await until(lambda: any(isinstance(each, m.Bar) for each in inbox.told), "bars")
        assert gateway.statistics().limits.spent > before


async def test_a_session_begins_with_the_weight_the_venue_has_counted(tmp_path: Path) -> None:
    async with world(tmp_path, real=True) as (_, edges, _):
        gateway, client = edges._gateway, edges._gateway_client
        assert gateway is not None
        assert client is not None
        counted = int(client.exchange.last_response_headers["x-mbx-used-weight-1m"])
        assert gateway.statistics().limits.spent >= counted > 0


async def test_every_stream_has_a_row(tmp_path: Path) -> None:
    streams = "exchange.streams=['bars', 'trades', 'book', 'quotes']"
    async with world(tmp_path, streams, real=False) as (exchange, edges, inbox):
        assert [name for name, _ in edges.edges()] == ["feed", "streams"]
        rows = {row.stream: row for row in edges.statistics()}
        assert list(rows) == ["bars", "trades", "quotes", "book"]
        assert all(row.age_s is None and row.delivered == 0 for row in rows.values())
        async with run(edges, "feed", "streams"):
            await until(lambda: all(row.delivered for row in edges.statistics()), "all have spoken")
            exchange.faults.update({"close": {"rate": 1.0, "on": "aggTrade", "times": 1}})
            await until(lambda: {row.stream: row for row in edges.statistics()}["trades"].reconnects, "a break")
        rows = {row.stream: row for row in edges.statistics()}
        assert all(row.age_s is not None and row.age_s < 20 for row in rows.values())
        assert rows["trades"].last_error
        (warm_up,) = [each for each in inbox.told if isinstance(each, m.WarmUp)]
        assert warm_up.start_ns - warm_up.first_open_ns == 4 * 60 * 10**9, "what the mean of five takes"


async def test_a_method_whose_stream_nobody_asked_for_is_named(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with world(tmp_path, "exchange.streams=['bars', 'trades']", real=False) as (_, edges, _):
            assert [name for name, _ in edges.edges()] == ["feed", "streams"]
    (line,) = [line for line in lines if line["event"] == "stream_not_asked_for"]
    assert (line["strategy"], line["method"], line["stream"]) == ("Hears", "on_quote", "quotes")


async def test_bars_alone_need_no_second_edge(tmp_path: Path) -> None:
    async with world(tmp_path, real=False) as (_, edges, _):
        assert [name for name, _ in edges.edges()] == ["feed"]
