"""What the benches over sockets share: an exchange that prints trades at a pace, and the daemon on it, as processes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from replay.exchange.engine import Engine
    from replay.exchange.server import Exchange

STREAM = "btcusdt@aggTrade"
PRICE_TICKS = 10_000_000
"""A hundred thousand."""
PATIENCE_S = 120.0
_INPUTS_OF_A_START = 20
"""More than a daemon takes before it hears trades."""
_STRATEGIES = Path(__file__).with_name("flip.py")
_LIMITS = ("max_daily_loss=90000", "max_notional=90000", "max_orders_per_minute=100000")


@contextlib.asynccontextmanager
async def exchange_in(folder: Path) -> AsyncIterator[Exchange]:
    """Run an exchange without limits and without a tape, and leave its arguments in `folder`."""
    from replay.exchange.protocol.limits import Limits
    from replay.exchange.server import running

    limits = Limits(time.time, weight_per_minute=10**9, orders_per_10s=10**9)
    async with running(limits=limits) as exchange:
        await exchange.print_trade("BTC/USDT", "100000", "0.001")
        (folder / "ccxt.json").write_text(json.dumps(exchange.arguments))
        yield exchange


async def print_at(exchange: Exchange, lots: list[int]) -> None:
    """Print trades of these sizes, all at once."""

    def work(engine: Engine, now_ms: int) -> None:
        for each in lots:
            engine.print_trade("BTCUSDT", PRICE_TICKS, each, now_ms)

    await exchange.venue.commit(work)


async def told_to_go(exchange: Exchange, folder: Path) -> int:
    """Print a trade now and then until the client is there, as `let_go` says; return how many there were."""
    count = 1
    while not (folder / "go").exists():
        await print_at(exchange, [100])
        count += 1
        await asyncio.sleep(0.05)
    return count


def let_go(folder: Path) -> None:
    """Tell the exchange of `folder` that its client is there."""
    (folder / "go").touch()


def wait_until_it_hears(folder: Path) -> None:
    """Wait until the daemon of `folder` hears trades, and may trade.

    Raises:
        TimeoutError: it never does.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        shown = status(folder)
        if shown is not None and shown["venue"]["ready"] and shown["last_input"]["seq"] > _INPUTS_OF_A_START:
            return
        time.sleep(0.1)
    message = "the daemon never heard a trade"
    raise TimeoutError(message)


def start_daemon(folder: Path, strategy: str, mode: str, *settings: str) -> subprocess.Popen[bytes]:
    """Start `pitboss run` on the exchange of `folder`."""
    wanted = (
        "feed.source=exchange",
        f"exchange.file={folder / 'ccxt.json'}",
        "exchange.clock=venue",
        'exchange.streams=["bars", "trades"]',
        "exchange.reconcile_s=3600",
        "console.enabled=false",
        *(f"risk.{limit}" for limit in _LIMITS),
        *(["live.armed=true"] if mode == "real" else []),
        *settings,
    )
    words = [word for one in wanted for word in ("--set", one)]
    return subprocess.Popen(
        [
            sys.executable, "-m", "daemon.cli", "run", "--mode", mode, "--state-dir", str(folder / "state"),
            "--port", "0", "--strategy", f"{_STRATEGIES}:{strategy}", *words,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def status(folder: Path) -> dict[str, Any] | None:
    """Return the status of the daemon of `folder`, or None while it does not answer."""
    try:
        endpoint = json.loads((folder / "state" / "endpoint.json").read_bytes())
        token = Path(endpoint["token_file"]).read_text().strip()
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(endpoint["url"]).port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/api/live/status", headers={"Authorization": f"Bearer {token}"})
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return answer


def wait_for(path: Path, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until a file has something in it.

    Raises:
        TimeoutError: it never had, or `process` ended before it had.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while not path.exists() or not path.read_bytes():
        if time.monotonic() > deadline_s or (process is not None and process.poll() is not None):
            message = f"{path.name} was never written"
            raise TimeoutError(message)
        time.sleep(0.05)


def end(*processes: subprocess.Popen[bytes] | None) -> None:
    """End processes that were started here."""
    for process in processes:
        if process is not None:
            process.terminate()
            process.wait(PATIENCE_S)
