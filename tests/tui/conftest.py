"""A daemon of the tests' own, and the console looking at it."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from textual.pilot import Pilot

from tui.app import Console, Pace

TOKEN = "a-token-of-the-tests"
DEADLINE_S = 60.0

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
    "day_profit": -210.5,
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
    "strategies": [
        {
            "strategy": "ema_cross",
            "use": "ema_cross",
            "symbols": ["BTC/USDT"],
            "timeframe": "1m",
            "params": {"fast": 12, "slow": 26},
            "state": "running",
            "reason": "",
            "realized_pnl": 2_500,
            "unrealized_pnl": 19.3975,
            "fees": 640.25,
        },
        {
            "strategy": "bollinger_reversion",
            "use": "bollinger_reversion",
            "symbols": ["BTC/USDT", "ETH/USDT"],
            "timeframe": "1m",
            "params": {"period": 20, "width": 2.0},
            "state": "paused",
            "reason": "asked for by the control token from 127.0.0.1",
            "realized_pnl": -369.955,
            "unrealized_pnl": -59.375,
            "fees": 250.035491,
        },
    ],
    "risk": {
        "limits": ["max_daily_loss=500", "max_position=1.0", "max_gross=50000", "max_spread_bps=15"],
        "tightened": ["max_position"],
        "uses": [
            {"limit": "max_daily_loss", "used": 210.5, "most": 500.0},
            {"limit": "max_position", "used": 0.75, "most": 0.75},
            {"limit": "max_gross", "used": 59_377.6175, "most": 75_000.0},
            {"limit": "max_open_orders", "used": 0, "most": 20},
        ],
        "rules": [
            {
                "rule": name,
                "limit": limit,
                "action": action,
                "vetoed": vetoed,
                "clipped": clipped,
                "acted": 0,
                "last_reason": reason,
                "last_ns": 0,
            }
            for name, limit, action, vetoed, clipped, reason in (
                ("max_daily_loss", "500", "halt", 0, 0, ""),
                ("max_spread_bps", "15", "veto", 3, 0, "spread of 18.2 bps in ETH/USDT"),
                ("max_open_orders", "20", "veto", 0, 0, ""),
                ("max_position", "0.75", "clip", 12, 40, "position limit 0.75"),
                ("max_gross", "75000", "clip", 0, 0, ""),
            )
        ],
    },
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


FILLS: list[dict[str, Any]] = [
    {
        "order_id": f"pb7f3j{number:04}",
        "strategy": strategy,
        "symbol": symbol,
        "trade_id": 400 + number,
        "side": side,
        "price": price,
        "quantity": quantity,
        "fee": fee,
        "executed_ns": 1_704_486_540_000_000_000 - number * 600_000_000_000,
        "seq": 1_006_989 - number,
    }
    for number, strategy, symbol, side, price, quantity, fee in (
        (1, "ema_cross", "BTC/USDT", "buy", 41_640.12, 0.75, 31.23),
        (2, "bollinger_reversion", "ETH/USDT", "sell", 2_245.5, 12.5, 28.07),
        (3, "ema_cross", "BTC/USDT", "sell", 41_702.5, 0.5, -4.17),
    )
]
"""Executions as the console's history tells them, the newest first."""
LINES: list[dict[str, Any]] = [
    {
        "number": number,
        "wall_ns": 1_704_486_540_000_000_000 + number * 1_000_000_000,
        "level": level,
        "event": event,
        "fields": fields,
    }
    for number, (level, event, fields) in enumerate(
        (
            ("info", "daemon_started", {"session": "20240105T202900Z-1", "run": 2}),
            ("warning", "feed_stale", {"symbol": "ETH/USDT", "since_s": 61.5}),
            ("info", "feed_resumed", {"symbol": "ETH/USDT"}),
            ("error", "actor_failed", {"actor": "strategy.ema_cross", "error": "[red]no[/]"}),
        ),
        1,
    )
]
"""The log as the console tells it."""


def candles(symbol: str, timeframe: str) -> dict[str, Any]:
    """Return 60 bars up to the status' time: a fall, then a rise."""
    rows = []
    for index in range(60):
        base, slope = 41_600 + 6 * abs(index - 25), 1 if index >= 25 else -1
        close_ns = 1_704_486_540_000_000_000 - (59 - index) * 60_000_000_000
        high, low = base + 9 + index % 4 * 8, base - 9 - index % 3 * 8
        row = {"open": base - 9 * slope, "close": base + 9 * slope, "high": high, "low": low, "volume": 1}
        rows.append(row | {"open_ns": close_ns - 60_000_000_000, "close_ns": close_ns, "complete": True})
    return {"session": "s", "symbol": symbol, "timeframe": timeframe, "strategy": "", "rows": rows, "next": None}


KEY_OF = {
    "positions": lambda row: f"{row['strategy']} {row['symbol']}",
    "orders": lambda row: row["order_id"],
    "strategies": lambda row: row["strategy"],
    "actors": lambda row: row["name"],
    "commands": lambda row: row["command_id"],
    "dead_letters": lambda row: f"{row['seq']} {row['actor']}",
}
SUMMARY = (
    "state", "reason", "session", "run", "mode", "clock", "tape_ended", "equity", "cash", "fees", "realized_pnl",
    "day_profit",
)  # fmt: skip

GAINS: list[dict[str, Any]] = [
    {"date": "2024-01-05", "equity": 101_239.76, "profit": -210.5, "share": -0.00207, "fills": 12},
    {"date": "2024-01-04", "equity": 101_450.26, "profit": 1_450.26, "share": 0.0145, "fills": 1_204},
    {"date": "2024-01-03", "equity": 100_000, "profit": 0, "share": None, "fills": 0},
]


class FakeDaemon:
    """Answers like the daemon and its console, remembers what it was asked, and can go away and come back.

    The console is there once `streaming` is set: it then tells the status over the stream, too.
    """

    def __init__(self) -> None:
        self.status = copy.deepcopy(CALM)
        self.streaming = False
        self.epoch, self.seq = "e1", 0
        self.fills = copy.deepcopy(FILLS)
        self.gains = copy.deepcopy(GAINS)
        self.curve: list[tuple[int, float]] = []
        """(time, equity) before now."""
        self.lines = copy.deepcopy(LINES)
        self.history: list[tuple[str, dict[str, str]]] = []
        """What was asked of history, and how."""
        self.sockets: list[web.WebSocketResponse] = []
        self.resumed: list[tuple[str, str]] = []
        """(epoch, since) of every client of the stream."""
        self.terms: list[dict[str, Any]] = []
        """What every control request had besides its action."""
        self.outcome, self.note = "done", ""
        """Of every command."""
        self.commands: list[tuple[str, str]] = []
        """(action, idempotency key) of every control request, repeats included."""
        self.refusal: str | None = None
        """When set, every request is refused with it."""
        self.refusal_status = 503
        self.hang_ups = 0
        """So many control requests are taken, and their connection cut instead of answered."""
        self.token = TOKEN
        self.ahead_s = 0.0
        """How far its clock is ahead."""
        self.answering = asyncio.Event()
        """While it is clear, control requests are taken and their answers held back."""
        self.awake = asyncio.Event()
        """While it is clear, what asks for the status waits."""
        self.shaking_hands = asyncio.Event()
        """While it is clear, who asks for the stream waits."""
        for event in (self.answering, self.awake, self.shaking_hands):
            event.set()
        self.garbage: bytes | None = None
        """When set, it is what a status request gets."""
        self.asked_s: list[float] = []
        """Monotonic time of every status request."""
        self.replay: Callable[[web.Request], Awaitable[web.Response]] | None = None
        """Answers what a replay is asked; without it this is none."""
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it answers, or answered."""
        return f"http://127.0.0.1:{self._port}"

    async def appear(self) -> None:
        """Listen: on a free port the first time, on the same one after."""
        app = web.Application()
        app.on_response_prepare.append(self._on_prepare)
        app.router.add_get("/api/live/status", self._on_status)
        app.router.add_post("/api/live/control", self._on_control)
        app.router.add_get("/", self._on_root)
        app.router.add_get("/api/stream", self._on_stream)
        app.router.add_get("/api/live/{what}", self._on_history)
        for path in ("/api/replay", "/api/replay/{what}", "/api/live/actors/{name}"):
            app.router.add_route("*", path, self._on_replay)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def vanish(self) -> None:
        """Stop listening."""
        await self.hang_up()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _on_prepare(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(time.time() + self.ahead_s, usegmt=True)

    async def _on_status(self, request: web.Request) -> web.Response:
        self.asked_s.append(time.monotonic())
        await self.awake.wait()
        return self._refused(request) or web.Response(
            body=json.dumps(self.status).encode() if self.garbage is None else self.garbage,
            content_type="application/json",
        )

    async def _on_control(self, request: web.Request) -> web.Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        terms = await request.json()
        action = terms.pop("action")
        self.terms.append(terms)
        key = request.headers["Idempotency-Key"]
        if key not in [known for _, known in self.commands]:
            self.status["commands"].append(
                {
                    "command_id": key[:4],
                    "action": action,
                    "outcome": self.outcome,
                    "note": self.note,
                    "ts_ns": 1_704_486_540_000_000_000,
                }
            )
        self.commands.append((action, key))
        await self.answering.wait()
        if self.hang_ups:
            self.hang_ups -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"command_id": key[:4], "action": action, "repeated": False}, status=202)

    async def _on_root(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"docs": "/api/docs"} if self.streaming else {"error": "no"}, status=200 if self.streaming else 404
        )

    async def _on_history(self, request: web.Request) -> web.Response:
        what = request.match_info["what"]
        self.history.append((what, dict(request.query)))
        if what == "bars":
            return web.json_response(
                candles(request.query.get("symbol", "BTC/USDT"), request.query["timeframe"] or "1m")
            )
        if what == "logs":
            after, needle = int(request.query["after"]), request.query["text"]
            rows = [line for line in self.lines if line["number"] > after and needle in line["event"]]
            return web.json_response({"rows": rows, "next": len(self.lines)})
        if what == "profit":
            return web.json_response({"session": "s", "by": request.query["by"], "rows": self.gains, "next": None})
        if what == "fills":
            return web.json_response({"rows": self.fills, "next": None})
        assert what == "equity"
        points = [{"ts_ns": ts_ns, "equity": equity, "low": equity, "high": equity} for ts_ns, equity in self.curve]
        return web.json_response({"session": self.status["session"], "start_cash": 100_000, "points": points})

    async def _on_replay(self, request: web.Request) -> web.Response:
        if self.replay is None:
            return web.json_response({"error": "this is no replay"}, status=404)
        return await self.replay(request)

    async def _on_stream(self, request: web.Request) -> web.WebSocketResponse:
        await self.shaking_hands.wait()
        if not self.streaming:
            raise web.HTTPNotFound
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized
        self.resumed.append((request.query.get("epoch", ""), request.query.get("since", "")))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        if request.query.get("epoch") != self.epoch:
            self.seq += 1
            data = {name: dict(rows) for name, rows in self.sections().items()}
            await socket.send_json(
                {"type": "snapshot", "epoch": self.epoch, "seq": self.seq, "data": data, "events": []}
            )
        async for _ in socket:
            pass
        return socket

    def sections(self) -> dict[str, dict[str, Any]]:
        """Return the status as the stream's sections."""
        status = self.status
        summary = {name: status[name] for name in SUMMARY} | {
            "seq": status["last_input"]["seq"],
            "heard_wall_ns": time.time_ns() + int(self.ahead_s * 1e9),
            "started_wall_ns": time.time_ns() + int((self.ahead_s - 4_325.25) * 1e9),
        }
        rows = {name: {key(row): row for row in status[name]} for name, key in KEY_OF.items()}
        symbols = {
            symbol: {"symbol": symbol, "stale": symbol in status["stale"]} for symbol in ("BTC/USDT", "ETH/USDT")
        }
        return {**rows, "summary": {"": summary}, "risk": {"": status["risk"]}, "symbols": symbols, "unheard_of": {}}

    async def tell(
        self, *, events: list[dict[str, Any]] | None = None, missed: int = 0, **sections: dict[str, Any]
    ) -> None:
        """Send a delta to every client: rows by their key, None for one that is gone; else all of the status."""
        self.seq += 1
        told = sections or self.sections()
        await self.send(
            {
                "type": "delta",
                "epoch": self.epoch,
                "seq": self.seq,
                "set": {
                    name: {key: row for key, row in rows.items() if row is not None} for name, rows in told.items()
                },
                "gone": {name: [key for key, row in rows.items() if row is None] for name, rows in told.items()},
                "events": events or [],
                "missed": missed,
            }
        )

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message to every client."""
        for socket in self.sockets:
            if not socket.closed:
                await socket.send_json(message)

    async def hang_up(self) -> None:
        """End every stream."""
        for socket in self.sockets:
            await socket.close()
        self.sockets.clear()

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"error": "send the token as 'Authorization: Bearer TOKEN'"}, status=401)
        if self.refusal is not None:
            return web.json_response({"error": self.refusal}, status=self.refusal_status)
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
        size: tuple[int, int] = (80, 24),
        *,
        wait: bool = True,
        look_up: Callable[[], tuple[str, str]] | None = None,
        few_colours: bool = False,
        **paces: Any,
    ) -> AsyncIterator[Pilot[None]]:
        pace = Pace(**({"poll_s": 3_600, "retry_s": 0.02, "retry_s_max": 0.05, "follow_s": 0.02} | paces))
        console = Console(daemon.url, TOKEN, pace=pace, look_up=look_up, few_colours=few_colours)
        async with console.run_test(size=size, notifications=True) as pilot:
            deadline_s = time.monotonic() + DEADLINE_S
            while wait and console.status is None:
                assert time.monotonic() < deadline_s, "no status came"
                await asyncio.sleep(0.005)
            yield pilot

    return open_console
