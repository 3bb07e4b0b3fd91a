"""The feed against the loopback exchange at high speed: the tape's own bars are what must arrive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from actors.messages import Bar
from config.schema import Exchange as ExchangeSettings
from daemon.edges.feed.exchange import ExchangeFeed
from daemon.edges.venue.direct_path import direct
from daemon.edges.venue.kline_tap import tapped
from replay.exchange.model import Market
from replay.exchange.server import running
from replay.tape import synthetic_tape

pytestmark = pytest.mark.slow

SEED = 11
BARS = 200
SPEED = 6_000.0
"""100 bars a second."""

KLINES = "kline_1m"
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "close": {"close": {"rate": 0.01, "on": KLINES}},
    "abort": {"abort": {"rate": 0.01, "on": KLINES}},
    "reset": {"reset": {"rate": 0.01, "on": KLINES}},
    "stall": {"stall": {"rate": 0.005, "on": KLINES, "seconds": 30.0, "times": 2}},
    "disorder": {
        "duplicate": {"rate": 0.1, "on": KLINES},
        "out_of_order": {"rate": 0.1, "on": KLINES},
        "message_lost": {"rate": 0.1, "on": KLINES},
    },
    "subscribing": {
        "close": {"rate": 0.01, "on": KLINES},
        "subscribe_rejected": {"rate": 0.3},
        "handshake_refused": {"rate": 0.3, "seconds": 0.1},
    },
    "everything": {
        "close": {"rate": 0.005, "on": KLINES},
        "reset": {"rate": 0.005, "on": KLINES},
        "duplicate": {"rate": 0.05, "on": KLINES},
        "out_of_order": {"rate": 0.05, "on": KLINES},
        "message_lost": {"rate": 0.05, "on": KLINES},
        "truncated_frame": {"rate": 0.003, "on": KLINES},
        "request_lost": {"rate": 0.1, "on": "klines"},
        "reply_empty": {"rate": 0.1, "on": "klines"},
        "reply_broken": {"rate": 0.1, "on": "klines"},
        "maintenance": {"rate": 0.1, "on": "klines"},
    },
}


def prices(bar: Bar) -> tuple[float, ...]:
    return bar.open, bar.high, bar.low, bar.close


@dataclass
class Play:
    """A tape on a running exchange, and clients of it."""

    exchange: Any
    wanted: list[Bar]
    first_ns: int
    """Where the exchange has moved the tape's first bar to."""

    def client(self, way: Callable[[type], type] | None) -> Any:
        made = ccxt.pro.binance if way is None else way(ccxt.pro.binance)
        return made(self.exchange.ccxt_arguments | {"enableRateLimit": False})

    def check(self, bars: list[Bar]) -> None:
        """The tape's bars, all of them from the first on, moved in time by whole bars."""
        wanted = self.wanted[: len(bars)]
        shift_ns = self.first_ns - wanted[0].open_ns
        assert [bar.open_ns for bar in bars] == [bar.open_ns + shift_ns for bar in wanted]
        assert [prices(bar) for bar in bars] == [prices(bar) for bar in wanted]
        assert [bar.volume for bar in bars] == pytest.approx([bar.volume for bar in wanted], abs=1e-7)


@asynccontextmanager
async def playing(faults: dict[str, dict[str, Any]]) -> AsyncIterator[Play]:
    tape = synthetic_tape(f"{SEED}:{BARS}")
    wanted = list(tape.bars())
    symbol = wanted[0].symbol
    base, quote = symbol.split("/")
    market = Market(
        symbol=symbol, id=base + quote, base=base, quote=quote, tick=Decimal("0.01"), lot=Decimal("0.00000001")
    )
    minute_ns = wanted[0].timeframe_ns
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # ccxt's readers die of broken frames
    first_ns = time.time_ns() // minute_ns * minute_ns
    async with running(markets=[market], tape=tape, speed=SPEED, seed=SEED, faults=faults) as exchange:
        yield Play(exchange, wanted, first_ns)


@asynccontextmanager
async def feeding(
    client: Any, inbox: Any, settings: ExchangeSettings, last_close_ns: int
) -> AsyncIterator[ExchangeFeed]:
    feed = ExchangeFeed(client, inbox, settings, last_close_ns={settings.symbols[0]: last_close_ns})
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.wait([task])
        await client.close()


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *((name, tapped) for name in FAULTS),
        *((name, direct) for name in FAULTS),
        *((name, None) for name in ("none", "close", "reset", "stall")),
    ],
)
async def test_every_bar_of_the_tape_arrives_once_and_in_order(
    inbox: Any, options: Callable[..., ExchangeSettings], name: str, way: Callable[[type], type] | None
) -> None:
    """Without marks the stream's order is the proof, so there it must not be broken within a connection."""
    async with playing(FAULTS[name]) as play:
        settings = options(symbols=(play.wanted[0].symbol,), stall_s=0.5)
        async with feeding(play.client(way), inbox, settings, play.first_ns) as feed:
            bars = await inbox.until(BARS - 1)  # what closes the last one, the tape does not say
            (series,) = feed.statistics().series
        struck = {fault: play.exchange.faults.counts[fault] for fault in FAULTS[name]}
    play.check(bars)
    assert all(struck.values()) or name in ("subscribing", "everything"), struck
    assert series.bars.missing == series.bars.unconfirmed == 0, (series, struck)


async def test_restarts_lose_and_double_nothing(inbox: Any, options: Callable[..., ExchangeSettings]) -> None:
    async with playing(FAULTS["close"]) as play:
        settings = options(symbols=(play.wanted[0].symbol,), stall_s=0.5)
        for count in (30, 80, 81, 140, BARS - 1):
            last_close_ns = inbox.bars[-1].close_ns if inbox.bars else play.first_ns
            async with feeding(play.client(tapped), inbox, settings, last_close_ns):
                await inbox.until(count)
            await asyncio.sleep(0.1)
    play.check(inbox.bars)
