"""From a trade leaving the exchange to the order it causes arriving there, over real sockets.

A hundred trades a second, every tenth of which is to be answered with a market order, against the loopback
exchange in a process of its own. Three clients in turn: the floor, a bare aiohttp WebSocket that decodes with msgspec
and posts a signed order; the daemon through ccxt.pro, journal on; and the same with `exchange.direct`. Both times are
the exchange's own monotonic clock, taken before the trade is handed to the streams and when the order's request is
routed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bench.ours.flip import SIGNAL
from bench.ours.sockets import (
    STREAM,
    end,
    exchange_in,
    let_go,
    print_at,
    start_daemon,
    status,
    told_to_go,
    wait_for,
    wait_until_it_hears,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replay.exchange.model import Event

SIGNALS = 400
WARM_UP = 40
PAUSE_S = 0.01
TRADES_PER_SIGNAL = 10
ORDER = "POST /api/v3/order"
_SIGNAL_LOTS = 1_000
_OTHER_LOTS = 100


class Push(msgspec.Struct):
    """What the floor reads of a message."""

    q: str = ""


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
    """Print trades once somebody listens, until enough were to be answered; write what was measured."""
    from replay.exchange.model import Printed

    signals_ns: list[int] = []

    def listen(events: Sequence[Event]) -> None:
        now_ns = time.perf_counter_ns()
        signals_ns.extend(
            now_ns for event in events if isinstance(event, Printed) and event.quantity_lots == _SIGNAL_LOTS
        )

    async with exchange_in(folder) as exchange:
        arrivals = Arrivals()
        exchange.desk.requests = arrivals
        exchange.venue.listen(listen)
        await told_to_go(exchange, folder)
        number = 0
        while len(arrivals.times_ns) < SIGNALS + WARM_UP:
            number += 1
            await print_at(exchange, [_OTHER_LOTS if number % TRADES_PER_SIGNAL else _SIGNAL_LOTS])
            await asyncio.sleep(PAUSE_S)
    reactions_us: list[float] = []
    for index, left_ns in enumerate(signals_ns[:-1]):
        first = next((at for at in arrivals.times_ns if at > left_ns), None)
        if first is not None and first < signals_ns[index + 1]:
            reactions_us.append((first - left_ns) / 1_000)
    (folder / "reactions.json").write_text(json.dumps(reactions_us[WARM_UP:]))


async def raw(folder: Path) -> None:
    """Answer trades with as little as it takes."""
    import aiohttp

    arguments = json.loads((folder / "ccxt.json").read_text())["binance"]
    decode = msgspec.json.Decoder(Push).decode
    api = arguments["urls"]["api"]
    headers = {"X-MBX-APIKEY": arguments["apiKey"], "Content-Type": "application/x-www-form-urlencoded"}
    side = "BUY"
    async with aiohttp.ClientSession() as session, session.ws_connect(api["ws"]["spot"] + "/1") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": [STREAM], "id": 1})
        let_go(folder)
        async for message in socket:
            quantity = decode(message.data).q
            if not quantity or float(quantity) != SIGNAL:
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
                asyncio.run(raw(folder))
            else:
                daemon = start_daemon(folder, "Flip", "real", f"exchange.direct={str(client == 'direct').lower()}")
                wait_until_it_hears(folder)
                let_go(folder)
                while not (folder / "reactions.json").exists():
                    inside = (status(folder) or {}).get("latency_us", inside)
                    time.sleep(0.5)
            wait_for(folder / "reactions.json")
            reactions_us = sorted(json.loads((folder / "reactions.json").read_text()))
        finally:
            end(daemon, exchange)
    found: dict[str, float | int | None] = {
        "signals": len(reactions_us),
        "p50_us": round(reactions_us[len(reactions_us) // 2], 1),
        "p99_us": round(reactions_us[int(len(reactions_us) * 0.99)], 1),
    }
    return found | {key: value for key, value in inside.items() if value is not None}


def main() -> None:
    """Measure all clients and print one line of JSON."""
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Path(sys.argv[2])))
        return
    sys.stdout.write(json.dumps({client: measure(client) for client in ("raw", "daemon", "direct")}) + "\n")


if __name__ == "__main__":
    main()
