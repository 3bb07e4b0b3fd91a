"""How many trades a second the daemon keeps up with on one core: read, decided on, journaled, mailbox flat.

The loopback exchange, in a process of its own, prints trades at one rate after another. A client keeps up with a rate
if it had taken them all when the next rate began, and if what waited in its mailbox stayed below a tenth of a second
of trades. Beside the daemon through ccxt.pro, and through `exchange.direct`, the floor: a bare aiohttp WebSocket
that decodes with msgspec, and does nothing with it. CPU seconds are the client's whole process, as the kernel counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

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

RATES = (250, 500, 1_000, 2_000, 4_000, 6_000, 8_000, 12_000, 16_000, 24_000)
"""Trades a second."""
STEP_S = 3.0
SETTLE_S = 1.0
_TURN_S = 0.005
_LOOK_S = 0.5
_CLOCK_HZ = os.sysconf("SC_CLK_TCK")


class Push(msgspec.Struct):
    """What the floor reads of a message."""

    a: int = 0
    p: str = ""
    q: str = ""


class Step(msgspec.Struct):
    """One rate, as the exchange kept it."""

    asked_per_s: int
    first_id: int
    last_id: int
    began_s: float
    """By the wall, as `ended_s`."""
    ended_s: float


class Look(msgspec.Struct):
    """The client at one moment."""

    at_s: float
    taken: int
    """Trades, or inputs of the daemon, so far."""
    waiting: int
    cpu_s: float


async def serve(folder: Path) -> None:
    """Print trades at one rate after another once somebody listens; write what was printed when."""
    async with exchange_in(folder) as exchange:
        printed = await told_to_go(exchange, folder)
        await asyncio.sleep(SETTLE_S)
        steps: list[Step] = []
        for rate in RATES:
            first, began_s, began = printed + 1, time.time(), time.perf_counter()
            while (passed_s := time.perf_counter() - began) < STEP_S:
                due = int(rate * passed_s) - (printed - first + 1)
                if due > 0:
                    await print_at(exchange, [100] * due)
                    printed += due
                await asyncio.sleep(_TURN_S)
            steps.append(Step(rate, first, printed, began_s, time.time()))
            await asyncio.sleep(SETTLE_S)
        (folder / "steps.json").write_bytes(msgspec.json.encode(steps))
        await asyncio.sleep(SETTLE_S)


def cpu_s(pid: int | str) -> float:
    """Return the CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_HZ


async def raw(folder: Path, looks: list[Look]) -> None:
    """Take trades with as little as it takes."""
    import aiohttp

    arguments: dict[str, Any] = json.loads((folder / "ccxt.json").read_text())["binance"]
    done = folder / "steps.json"
    decode = msgspec.json.Decoder(Push).decode
    taken = 0

    async def look() -> None:
        while not done.exists():
            looks.append(Look(time.time(), taken, 0, cpu_s("self")))
            await asyncio.sleep(_LOOK_S)

    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(arguments["urls"]["api"]["ws"]["spot"] + "/1") as socket,
    ):
        await socket.send_json({"method": "SUBSCRIBE", "params": [STREAM], "id": 1})
        looking = asyncio.create_task(look())
        let_go(folder)
        async for message in socket:
            taken = decode(message.data).a or taken
            if done.exists():
                break
        await looking


def watch(folder: Path, daemon: subprocess.Popen[bytes], looks: list[Look]) -> None:
    """Look at the daemon until the exchange has printed everything."""
    while not (folder / "steps.json").exists():
        shown = status(folder)
        if shown is not None:
            waiting = sum(actor["mailbox"] for actor in shown["actors"] if actor["name"] in ("core", "journal"))
            looks.append(Look(time.time(), shown["last_input"]["seq"], waiting, cpu_s(daemon.pid)))
        time.sleep(_LOOK_S)


def judge(steps: list[Step], looks: list[Look]) -> dict[str, float | int | None]:
    """Return the highest rate that was kept up with, and what it cost."""
    best: dict[str, float | int | None] = {"sustained_per_s": 0, "cpu_us_per_trade": None, "per_s_of_a_core": None}
    taken_before = max((look.taken for look in looks if look.at_s < steps[0].began_s), default=0)
    ahead = steps[0].first_id - 1 - taken_before

    for step in steps:
        during = [look for look in looks if step.began_s <= look.at_s <= step.ended_s]
        after = [look for look in looks if step.ended_s < look.at_s < step.ended_s + SETTLE_S]
        count = step.last_id - step.first_id + 1
        if len(during) < 2 or not after or after[-1].taken + ahead < step.last_id:
            break
        rate = count / (step.ended_s - step.began_s)
        if max(look.waiting for look in during) > rate * 0.1 or during[-1].taken + ahead < step.last_id - rate * 0.5:
            break
        used_s = (during[-1].cpu_s - during[0].cpu_s) / (during[-1].at_s - during[0].at_s)
        best = {
            "sustained_per_s": round(rate),
            "cpu_us_per_trade": round(used_s / rate * 1e6, 1),
            "per_s_of_a_core": round(rate / used_s) if used_s else None,
        }
    return best


def measure(client: str) -> dict[str, float | int | None]:
    """Run one client against a fresh exchange."""
    looks: list[Look] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exchange = subprocess.Popen([sys.executable, "-m", "bench.ours.flood", "serve", name])
        daemon: subprocess.Popen[bytes] | None = None
        try:
            wait_for(folder / "ccxt.json", exchange)
            if client == "raw":
                asyncio.run(raw(folder, looks))
            else:
                daemon = start_daemon(folder, "Watch", "paper", f"exchange.direct={str(client == 'direct').lower()}")
                wait_until_it_hears(folder)
                let_go(folder)
                watch(folder, daemon, looks)
            wait_for(folder / "steps.json")
            steps = msgspec.json.decode((folder / "steps.json").read_bytes(), type=list[Step])
        finally:
            end(daemon, exchange)
    return judge(steps, looks)


def main() -> None:
    """Measure all clients and print one line of JSON."""
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Path(sys.argv[2])))
        return
    sys.stdout.write(json.dumps({client: measure(client) for client in ("raw", "daemon", "direct")}) + "\n")


if __name__ == "__main__":
    main()
