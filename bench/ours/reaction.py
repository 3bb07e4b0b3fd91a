"""From a closed candle leaving the exchange to the order it causes arriving there, over real sockets.

Two clients in turn, one market order a candle each, against the loopback exchange in a process of its own:
the floor, a bare aiohttp WebSocket that decodes with msgspec and posts a signed order; and the daemon
through ccxt.pro, journal on. Both times are the exchange's own monotonic clock, taken before the candle is
handed to the streams and when the order's request is routed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replay.exchange.model import Event

CANDLES = 150
WARM_UP = 20
SPEED = 600
"""Ten candles of a minute in a second."""
SYMBOL = "BTC/USDT"
ORDER = "POST /api/v3/order"
STRATEGY = Path(__file__).with_name("flip.py")
_PATIENCE_S = 120.0


class Kline(msgspec.Struct):
    """What the floor reads of a candle."""

    x: bool
    """Whether it is closed."""


class Push(msgspec.Struct):
    """What the floor reads of a message."""

    k: Kline | None = None


class Arrivals(Counter[str]):
    """Counts requests as the exchange does, and notes when orders came."""

    def __init__(self) -> None:
        super().__init__()
        self.times_ns: list[int] = []

    def __setitem__(self, route: str, count: int) -> None:
        if route == ORDER:
            self.times_ns.append(time.perf_counter_ns())
        super().__setitem__(route, count)


async def serve(folder: Path) -> None:
    """Run the exchange until enough candles have closed since the first order; write what was measured."""
    from replay.exchange.model import Candle
    from replay.exchange.protocol.limits import Limits
    from replay.exchange.server import running
    from replay.tape import Tape, synthetic_tape

    closes_ns: list[int] = []

    def listen(events: Sequence[Event]) -> None:
        now_ns = time.perf_counter_ns()
        closes_ns.extend(now_ns for event in events if isinstance(event, Candle) and event.closed)

    series = [msgspec.structs.replace(one, symbol=SYMBOL) for one in synthetic_tape("7:endless").series]
    limits = Limits(time.time, weight_per_minute=10**9, orders_per_10s=10**9)
    async with running(tape=Tape(series), speed=SPEED, limits=limits) as exchange:
        arrivals = Arrivals()
        exchange.desk.requests = arrivals
        exchange.venue.listen(listen)
        (folder / "ccxt.json").write_text(json.dumps(exchange.arguments))
        while len(arrivals.times_ns) < CANDLES + WARM_UP:  # noqa: ASYNC110 - a counter knows no events
            await asyncio.sleep(0.05)
    reactions_us: list[float] = []
    for index, closed_ns in enumerate(closes_ns[:-1]):
        first = next((at for at in arrivals.times_ns if at > closed_ns), None)
        if first is not None and first < closes_ns[index + 1]:
            reactions_us.append((first - closed_ns) / 1_000)
    (folder / "reactions.json").write_text(json.dumps(reactions_us[WARM_UP:]))


async def raw(arguments: dict[str, Any]) -> None:
    """Trade one order a candle with as little as it takes."""
    import aiohttp

    decode = msgspec.json.Decoder(Push).decode
    api = arguments["urls"]["api"]
    headers = {"X-MBX-APIKEY": arguments["apiKey"], "Content-Type": "application/x-www-form-urlencoded"}
    side = "BUY"
    async with aiohttp.ClientSession() as session, session.ws_connect(api["ws"]["spot"] + "/1") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 1})
        async for message in socket:
            kline = decode(message.data).k
            if kline is None or not kline.x:
                continue
            stamp = int(time.time() * 1_000)
            query = f"symbol=BTCUSDT&side={side}&type=MARKET&quantity=0.001&timestamp={stamp}"
            signature = hmac.new(arguments["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
            try:
                async with session.post(
                    api["private"] + "/order", data=f"{query}&signature={signature}", headers=headers
                ) as reply:
                    await reply.read()
            except aiohttp.ClientError:
                return
            side = "SELL" if side == "BUY" else "BUY"


def start_daemon(folder: Path) -> subprocess.Popen[bytes]:
    """Start `pitboss run` on the exchange."""
    allowed = ("max_daily_loss=90000", "max_notional=90000", "max_orders_per_minute=100000")
    return subprocess.Popen(
        [
            sys.executable, "-m", "daemon.cli", "run", "--mode", "real", "--state-dir", str(folder / "state"),
            "--port", "0", "--strategy", f"{STRATEGY}:Flip", "--set", "feed.source=exchange",
            "--set", f"exchange.file={folder / 'ccxt.json'}", "--set", "exchange.clock=venue",
            "--set", "exchange.reconcile_s=3600", "--set", "live.armed=true",
            *(word for limit in allowed for word in ("--set", f"risk.{limit}")),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def measure(client: str) -> dict[str, float | int | None]:
    """Run one client against a fresh exchange; return microseconds."""
    inside: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exchange = subprocess.Popen([sys.executable, "-m", "bench.ours.reaction", "serve", name])
        daemon: subprocess.Popen[bytes] | None = None
        try:
            wait_for(folder / "ccxt.json", exchange)
            if client == "raw":
                asyncio.run(raw(json.loads((folder / "ccxt.json").read_text())["binance"]))
            else:
                daemon = start_daemon(folder)
                while not (folder / "reactions.json").exists():
                    inside = status(folder / "state") or inside
                    time.sleep(0.5)
            wait_for(folder / "reactions.json", None)
            reactions_us = sorted(json.loads((folder / "reactions.json").read_text()))
        finally:
            for process in (daemon, exchange):
                if process is not None:
                    process.terminate()
                    process.wait(_PATIENCE_S)
    found: dict[str, float | int | None] = {
        "candles": len(reactions_us),
        "p50_us": round(reactions_us[len(reactions_us) // 2], 1),
        "p99_us": round(reactions_us[int(len(reactions_us) * 0.99)], 1),
    }
    return found | {key: value for key, value in inside.items() if value is not None}


def status(state_dir: Path) -> dict[str, Any]:
    """Return the latencies inside the daemon, or nothing while it does not answer."""
    try:
        endpoint = json.loads((state_dir / "endpoint.json").read_bytes())
        token = Path(endpoint["token_file"]).read_text().strip()
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(endpoint["url"]).port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/api/live/status", headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            latencies: dict[str, Any] = json.loads(response.read())["latency_us"]
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    return latencies


def wait_for(path: Path, process: subprocess.Popen[bytes] | None) -> None:
    """Wait until a file is there."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not path.exists() or not path.read_bytes():
        if time.monotonic() > deadline_s or (process is not None and process.poll() is not None):
            message = f"{path.name} was never written"
            raise TimeoutError(message)
        time.sleep(0.05)


def main() -> None:
    """Measure both clients and print one line of JSON."""
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Path(sys.argv[2])))
        return
    sys.stdout.write(json.dumps({client: measure(client) for client in ("raw", "daemon")}) + "\n")


if __name__ == "__main__":
    main()
