"""What fifty clients of the console cost the core: from a trade's bytes to its decision, with them and without.

A process of its own hosts the real driver, core, journal and console edge, and reads trades from a socket at 5,000 a
second, every tenth of which its strategy answers with an order. The feeder stamps each trade as it is sent, with the
machine's monotonic clock; it is decided when its order is said. The p99 is the median of those of single seconds.

Three cases, each in new processes: no console, a console nobody looks at, and one with fifty WebSocket clients and 200
requests a second. The clients share the console's processors at low priority, for they stand for other machines. The
latter two are measured in pairs, of which every other begins with the load; what is promised is the median of the
pairs' ratios, so that neither what else the machine does for a while nor where it drifts to decides. A run whose load
was not there is no reading.
"""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import msgspec

from actors import messages as m
from actors.instrument import InstrumentSpec
from actors.runtime.clock import LiveClock
from actors.runtime.journal import FILE_NAME
from actors.runtime.supervision import ChildSpec
from bench.ours.flip import SIGNAL
from config.load import load_settings
from daemon.control.keys import Keyring
from daemon.control.security import Gate
from daemon.control.server import ControlServer
from daemon.control.sites import reserve_addresses
from daemon.control.view import StatusView
from daemon.edges.console import ConsoleEdge, reserve_console
from daemon.edges.journal import JournalWriter, open_journal
from daemon.live import LiveDriver
from daemon.log import configure_logging
from daemon.processors import console_processors, core_apart, step_aside
from daemon.recovery import open_session
from daemon.state_dir import TOKEN_NAME, load_token
from daemon.supervisor import Supervisor
from daemon.venue import venue_markets

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from actors.messages import Message
    from config.schema import Settings

RATE = 5_000
SECONDS = 8.0
WARM_UP_S = 2.0
PAIRS = 5
ENOUGH = 0.95
"""Of what was to be fed and asked, so much must have been."""
CLIENTS = 50
REQUESTS_PER_S = 200
PATIENCE_S = 120.0
PATHS = (
    *("/api/live/summary", "/api/live/positions", "/api/live/orders", "/api/live/actors", "/api/live/strategies"),
    *("/api/live/fills?limit=50", "/api/live/equity?points=200", "/api/live/logs?limit=50", "/api/live/risk"),
    "/api/live/status",
)
_STRATEGY = f"{Path(__file__).with_name('flip.py')}:Flip"
_SYMBOL = "BTC/USDT"
_INTERNAL = "a-token-of-the-bench"


class Pushed(msgspec.Struct):
    """A trade, as it travels."""

    a: int
    p: str
    q: str
    sent_ns: int


class Waits:
    """From a trade's bytes being sent to its order being said; an observer of the core."""

    name = "bench"
    isolated = False

    def __init__(self) -> None:
        self.sent_ns = 0
        self.taken: list[int] = []
        self.sent: list[int] = []

    def on_order(self, _: Message) -> None:
        """Note that the trade in hand has led to an order."""
        self.taken.append(time.perf_counter_ns() - self.sent_ns)
        self.sent.append(self.sent_ns)

    def restart(self) -> None:
        """Forget what was taken so far."""
        self.taken.clear()
        self.sent.clear()

    def quantile_us(self, fraction: float) -> float:
        """Return a quantile of what was taken."""
        return _quantile_us(self.taken, fraction)

    def usual_quantile_us(self, fraction: float) -> float:
        """Return the median over whole seconds of a quantile within each: what else the machine does weighs less."""
        seconds: dict[int, list[int]] = {}
        for sent_ns, taken in zip(self.sent, self.taken, strict=True):
            seconds.setdefault((sent_ns - self.sent[0]) // 1_000_000_000, []).append(taken)
        whole = [taken for taken in seconds.values() if len(taken) > RATE // 20]
        return statistics.median_low(_quantile_us(taken, fraction) for taken in whole)


def _quantile_us(taken: list[int], fraction: float) -> float:
    return round(sorted(taken)[int(len(taken) * fraction)] / 1_000, 1)


def settings_of(case: str) -> Settings:
    """Return the settings of a case."""
    return load_settings(
        None,
        [
            'exchange.streams=["bars", "trades"]',
            "feed.source=exchange",
            "http.port=0",
            "console.port=0",
            f"console.enabled={str(case != 'off').lower()}",
            f'strategies=[{{use="{_STRATEGY}"}}]',
            "log.format=json",
            "log.level=error",
        ],
        environment={},
    )


async def serve(folder: Path, settings: Settings, for_console: Collection[int]) -> None:
    """Host the core until the feeder hangs up; write what was measured."""
    configure_logging(settings.log)
    spec = InstrumentSpec(symbol=_SYMBOL, tick=Decimal("0.01"), lot=Decimal("0.00001"), base="BTC", quote="USDT")
    path = folder / FILE_NAME
    db = await open_journal(path, settings.journal)
    waits = Waits()
    load_token(folder)
    keyring = Keyring(folder)
    with reserve_console(settings.console) as listener, ExitStack() as stack:
        endpoints = [stack.enter_context(each) for each in reserve_addresses(settings.http, folder)]
        edge = None if listener is None else ConsoleEdge(listener, settings, _INTERNAL, for_console)
        observers = {} if edge is None else dict(edge.publisher.observers())
        observers[m.OrderRequest] = [waits.on_order]
        markets = venue_markets(settings, {_SYMBOL: spec}, time.time_ns())
        opened = await open_session(db, path, settings, markets, "bench", new_session=False, observers=observers)
        journal = JournalWriter(db, opened.number, settings.journal, 0)
        driver = LiveDriver(opened.core, journal, LiveClock(time.time_ns), settings, run=1, chain=opened.chain)
        supervisor = Supervisor(1, lambda name, error: sys.exit(f"{name}: {error}"))
        view = StatusView(
            driver,
            supervisor,
            session=opened.id,
            mode="paper",
            clock="wall",
            run=1,
            exchange=settings.exchange,
            strategies=opened.plan.strategies,
        )
        gate = Gate(keyring, "127.0.0.1", (), internal=_INTERNAL)
        server = ControlServer(settings.http, gate, view, driver, endpoints, folder)
        await server.bind()
        view.ready = True
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            group.start_soon(driver.run)
            if edge is not None:
                edge.publisher.attach(opened.core, view, driver)
                driver.on_durable = edge.publisher.release
                edge.know(server.url, opened, folder, "paper", "bench")
                supervisor.start(group, ChildSpec(name="console", vital=False), edge.run)
            rate = await take(folder, driver, waits, "" if edge is None else edge.url)
            (folder / "ending").touch()  # what is asked from here on is not answered
            await supervisor.stop(1.0)
            group.cancel_scope.cancel()
    await db.close()
    result = {
        "decisions": len(waits.taken),
        "inputs_per_s": round(rate),
        "p50_us": waits.quantile_us(0.5),
        "p99_us": waits.usual_quantile_us(0.99),
        "p99_of_all_us": waits.quantile_us(0.99),
        "released_p99_us": round((driver.released.quantile(0.99) or 0) / 1_000, 1),
    }
    (folder / "result.json").write_text(json.dumps(result))


async def take(folder: Path, driver: LiveDriver, waits: Waits, console: str) -> float:
    """Take trades from the socket until its other end hangs up; return how many there were a second."""
    decode = msgspec.json.Decoder(Pushed).decode
    with socket.create_server(("127.0.0.1", 0)) as feeding:
        (folder / "ready.json").write_text(json.dumps({"port": feeding.getsockname()[1], "console": console}))
        feeding.settimeout(0)
        connection, _ = await asyncio.get_running_loop().sock_accept(feeding)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader, writer = await asyncio.open_connection(sock=connection)
    began_s = time.perf_counter()
    count, is_warm = 0, False
    while line := await reader.readline():
        pushed = decode(line)
        count += 1
        waits.sent_ns = pushed.sent_ns
        if not is_warm and time.perf_counter() - began_s > WARM_UP_S:
            is_warm = True
            waits.restart()
        trade = m.Trade(_SYMBOL, pushed.a, float(pushed.p), float(pushed.q), 1, time.time_ns())
        await driver.deliver(trade)
    rate = count / (time.perf_counter() - began_s)
    writer.close()
    return rate


def feed(port: int) -> None:
    """Send trades at the rate until it is time to end."""
    encode = msgspec.json.Encoder().encode
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began_s = time.perf_counter()
        count = 0
        while (passed_s := time.perf_counter() - began_s) < WARM_UP_S + SECONDS:
            while count < passed_s * RATE:
                count += 1
                quantity = str(SIGNAL) if count % 10 == 0 else "0.001"
                connection.sendall(encode(Pushed(count, "100000", quantity, time.perf_counter_ns())) + b"\n")
            time.sleep(max(0.0, began_s + (count + 1) / RATE - time.perf_counter()))


async def load(url: str, folder: Path) -> None:
    """Listen fifty times and ask 200 times a second, until told to end; write what was answered."""
    counts = {"messages": 0, "answers": 0, "refused": 0, "cut_off": 0}
    headers = {"Authorization": f"Bearer {(folder / TOKEN_NAME).read_text().strip()}"}

    async def listen(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/api/stream", max_msg_size=0) as stream:
            async for _ in stream:
                counts["messages"] += 1

    async def ask(session: aiohttp.ClientSession, path: str) -> None:
        try:
            async with session.get(path) as answer:
                await answer.read()
                counts["answers" if answer.status == 200 else "refused"] += 1
        except aiohttp.ClientError:
            counts["cut_off"] += 1  # the end of the measure

    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        url, headers=headers, connector=aiohttp.TCPConnector(limit=0), timeout=timeout
    ) as s:
        listening = [asyncio.create_task(listen(s)) for _ in range(CLIENTS)]
        while counts["messages"] < CLIENTS:  # noqa: ASYNC110 - counted by fifty others
            await asyncio.sleep(0.02)
        (folder / "loading").touch()
        asking: set[asyncio.Task[None]] = set()
        began_s = time.perf_counter()
        asked = 0
        while not (folder / "result.json").exists() and not (folder / "ending").exists():
            due = int((time.perf_counter() - began_s) * REQUESTS_PER_S)
            while asked < due:
                task = asyncio.create_task(ask(s, PATHS[asked % len(PATHS)]))
                asking.add(task)
                task.add_done_callback(asking.discard)
                asked += 1
            await asyncio.sleep(0.01)
        lasted_s = time.perf_counter() - began_s
        for task in [*asking, *listening]:
            task.cancel()
        await asyncio.gather(*asking, *listening, return_exceptions=True)
    found = {
        "requests_per_s": round(counts["answers"] / lasted_s, 1),
        "refused": counts["refused"],
        "messages_per_s": round(counts["messages"] / lasted_s, 1),
    }
    (folder / "load.json").write_text(json.dumps(found))


def wait_for(path: Path, *processes: subprocess.Popen[bytes]) -> Any:  # noqa: ANN401 - what the file holds
    """Return what a file holds once it is there.

    Raises:
        RuntimeError: a process it depends on has failed, or it never comes.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while not path.exists() or (path.suffix == ".json" and not path.read_bytes()):
        failed = [process for process in processes if process.poll() not in (None, 0)]
        if failed or time.monotonic() > deadline_s:
            message = f"{path.name} did not come; {failed or 'nobody'} failed"
            raise RuntimeError(message)
        time.sleep(0.02)
    return json.loads(path.read_bytes()) if path.suffix == ".json" else None


def measure(case: str) -> dict[str, Any]:
    """Run one case."""
    program = (sys.executable, "-m", "bench.ours.console")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        running = [subprocess.Popen([*program, "serve", name, case])]
        try:
            ready = wait_for(folder / "ready.json", *running)
            if case == "loaded":
                running.append(subprocess.Popen([*program, "load", ready["console"], name]))
                wait_for(folder / "loading", *running)
            running.append(subprocess.Popen([*program, "feed", str(ready["port"])]))
            found: dict[str, Any] = wait_for(folder / "result.json", *running)
            if case == "loaded":
                found |= wait_for(folder / "load.json", running[1])
        finally:
            for process in running:
                process.terminate()
                process.wait()
    check_load(case, found)
    return found


def check_load(case: str, found: Mapping[str, float]) -> None:
    """Refuse a run without the load it was to be taken under.

    Raises:
        RuntimeError: there were too few inputs, requests or messages, or some were refused.
    """
    wanted = {"inputs_per_s": RATE * ENOUGH}
    if case == "loaded":
        wanted |= {"requests_per_s": REQUESTS_PER_S * ENOUGH, "messages_per_s": float(CLIENTS)}
    short = [f"{found[name]:g} {name}" for name, least in wanted.items() if found[name] < least]
    if short or found.get("refused"):
        message = f"{case}: the load was not there: {', '.join(short) or 'requests were refused'}"
        raise RuntimeError(message)


def summed_up(off: dict[str, Any], pairs: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """Return the medians of both cases over all pairs, and of the ratios within each."""
    found: dict[str, Any] = {"off": off}
    for case in ("idle", "loaded"):
        found[case] = {name: statistics.median(pair[case][name] for pair in pairs) for name in pairs[0][case]}
    for name in ("p99", "p99_of_all", "released_p99"):
        ratios = [pair["loaded"][f"{name}_us"] / pair["idle"][f"{name}_us"] for pair in pairs]
        spread = {name: statistics.median(ratios), f"{name}_least": min(ratios), f"{name}_most": max(ratios)}
        found["times"] = found.get("times", {}) | {key: round(ratio, 2) for key, ratio in spread.items()}
    return found


def main() -> None:
    """Measure all cases and print one line of JSON."""
    words = sys.argv[1:]
    if words[:1] == ["serve"]:
        try:
            import uvloop  # noqa: F401 - the daemon uses it where it is present

            options = {"use_uvloop": True}
        except ImportError:
            options = {}
        settings = settings_of(words[2])
        for_console = console_processors(settings.console)
        with core_apart(for_console):
            anyio.run(serve, Path(words[1]), settings, for_console, backend_options=options)
    elif words[:1] == ["feed"]:
        feed(int(words[1]))
    elif words[:1] == ["load"]:
        step_aside(
            console_processors(settings_of("loaded").console)
        )  # the machines they stand for leave the core alone
        asyncio.run(load(words[1], Path(words[2])))
    else:
        off = measure("off")
        orders = [("idle", "loaded") if number % 2 == 0 else ("loaded", "idle") for number in range(PAIRS)]
        sys.stdout.write(
            json.dumps(summed_up(off, [{case: measure(case) for case in order} for order in orders])) + "\n"
        )


if __name__ == "__main__":
    main()
