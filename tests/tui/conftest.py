"""A daemon of the tests' own, and the console looking at it."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from textual.pilot import Pilot

from tui.app import Console, Pace

TOKEN = "a-token-of-the-tests"
DEADLINE_S = 10.0

CALM: dict[str, Any] = {
    "state": "running",
    "reason": "",
    "session": "20240105T202900Z-1",
    "run": 2,
    "mode": "paper",
    "uptime_s": 4_325.25,
    "clock": {"kind": "tape", "ts_ns": 1_704_486_540_000_000_000, "utc": "2024-01-05T20:29:00+00:00"},
    "tape_ended": False,
    "equity": 101_239.759509,
    "cash": 69_990.25,
    "fees": 890.285491,
    "realized_pnl": 2_130.045,
    "positions": [
        {
            "symbol": "BTC/USDT",
            "strategy": "ema_cross",
            "quantity": 0.75,
            "entry_price": 41_640.126666666664,
            "mark_price": 41_665.99,
            "unrealized_pnl": 19.3975,
        },
        {
            "symbol": "ETH/USDT",
            "strategy": "bollinger_reversion",
            "quantity": -12.5,
            "entry_price": 2_245.5,
            "mark_price": 2_250.25,
            "unrealized_pnl": -59.375,
        },
    ],
    "orders": [
        {
            "order_id": "pb7f3k0001",
            "strategy": "bollinger_reversion",
            "symbol": "ETH/USDT",
            "state": "partly_filled",
            "side": "buy",
            "kind": "limit",
            "quantity": 12.5,
            "filled": 4.25,
            "limit_price": 2_231.1,
            "stop_price": None,
            "time_in_force": "gtc",
            "reduce_only": True,
            "created_ns": 1_704_486_000_000_000_000,
        },
        {
            "order_id": "pb7f3k0002",
            "strategy": "ema_cross",
            "symbol": "BTC/USDT",
            "state": "working",
            "side": "sell",
            "kind": "stop_limit",
            "quantity": 0.75,
            "filled": 0,
            "limit_price": 40_990,
            "stop_price": 41_000,
            "time_in_force": "gtc",
            "reduce_only": False,
            "created_ns": 1_704_486_000_000_000_000,
        },
    ],
    "actors": [
        {"name": name, "state": "running", "restarts": 0, "mailbox": 0, "processed": processed, "last_error": None}
        for name, processed in (
            ("market", 1_006_989),
            ("venue", 1_007_281),
            ("ledger", 1_007_281),
            ("features", 1_006_989),
            ("strategy.ema_cross", 507_846),
            ("strategy.bollinger_reversion", 507_801),
            ("risk", 876),
            ("execution", 876),
            ("control", 2),
            ("journal", 1_006_986),
            ("core", 1_006_989),
            ("http", 0),
            ("snapshot_file", 0),
            ("feed", 0),
        )
    ],
    "stale": [],
    "requested_action": None,
    "commands": [
        {"command_id": "5f1c00a97be6d013", "action": "pause", "outcome": "done", "ts_ns": 1_704_480_000_000_000_000},
        {"command_id": "77ab3c41980fe2d5", "action": "resume", "outcome": "done", "ts_ns": 1_704_480_600_000_000_000},
    ],
    "digest": "73e9b679af2e0e0d4bcfe441717dc849",
    "last_input": {"seq": 1_006_989, "ts": 1_704_486_540_000, "ts_ns": 1_704_486_540_000_000_000},
    "durable_seq": 1_006_989,
    "dead_letters": [],
    "latency_us": {"decided_p50": 23.6, "decided_p99": 96.7, "released_p50": None, "released_p99": None},
    "a_field_of_a_newer_daemon": {"it": ["is", "passed", "over"]},
}
"""A status as `daemon/control/view.py` builds it, written by hand."""


class FakeDaemon:
    """Answers like the daemon, remembers what it was asked, and can go away and come back."""

    def __init__(self) -> None:
        self.status = copy.deepcopy(CALM)
        self.commands: list[tuple[str, str]] = []
        """(action, idempotency key) of every control request, repeats included."""
        self.refusal: str | None = None
        """When set, every request is refused with it."""
        self.hang_ups = 0
        """So many control requests are taken, and their connection cut instead of answered."""
        self.answering = asyncio.Event()
        """While it is clear, control requests are taken and their answers held back."""
        self.answering.set()
        self.garbage: bytes | None = None
        """When set, it is what a status request gets."""
        self.asked_s: list[float] = []
        """Monotonic time of every status request."""
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it answers, or answered."""
        return f"http://127.0.0.1:{self._port}"

    async def appear(self) -> None:
        """Listen: on a free port the first time, on the same one after."""
        app = web.Application()
        app.router.add_get("/api/live/status", self._on_status)
        app.router.add_post("/api/live/control", self._on_control)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def vanish(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _on_status(self, request: web.Request) -> web.Response:
        self.asked_s.append(time.monotonic())
        return self._refused(request) or web.Response(
            body=json.dumps(self.status).encode() if self.garbage is None else self.garbage,
            content_type="application/json",
        )

    async def _on_control(self, request: web.Request) -> web.Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        action = (await request.json())["action"]
        key = request.headers["Idempotency-Key"]
        if key not in [known for _, known in self.commands]:
            self.status["commands"].append(
                {"command_id": key[:4], "action": action, "outcome": "done", "ts_ns": 1_704_486_540_000_000_000}
            )
        self.commands.append((action, key))
        await self.answering.wait()
        if self.hang_ups:
            self.hang_ups -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"command_id": key[:4], "action": action, "repeated": False}, status=202)

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": "send the token as 'Authorization: Bearer TOKEN'"}, status=401)
        if self.refusal is not None:
            return web.json_response({"error": self.refusal}, status=503)
        return None


@pytest.fixture
async def daemon() -> AsyncIterator[FakeDaemon]:
    fake = FakeDaemon()
    await fake.appear()
    yield fake
    await fake.vanish()


@pytest.fixture
def until() -> Callable[[Pilot[None], Callable[[], object]], Awaitable[None]]:
    """Make the console ask again and again until something holds, and fail after a deadline."""

    async def wait(pilot: Pilot[None], holds: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        console = pilot.app
        assert isinstance(console, Console)
        while not holds():
            assert time.monotonic() < deadline_s, "it never came to hold"
            console.look()
            await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def opened(daemon: FakeDaemon) -> Callable[..., AbstractAsyncContextManager[Pilot[None]]]:
    """Open the console on the fake daemon, with its first status shown; it asks again only when told to."""

    @asynccontextmanager
    async def open_console(
        size: tuple[int, int] = (80, 24), token: str = TOKEN, *, wait: bool = True
    ) -> AsyncIterator[Pilot[None]]:
        pace = Pace(poll_s=3_600, retry_s=0.02, retry_s_max=0.05)
        console = Console(daemon.url, token, pace=pace)
        async with console.run_test(size=size, notifications=True) as pilot:
            deadline_s = time.monotonic() + DEADLINE_S
            while wait and console.status is None:
                assert time.monotonic() < deadline_s, "no status came"
                await asyncio.sleep(0.005)
            yield pilot

    return open_console
