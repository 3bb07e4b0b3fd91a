"""Rounds of a real daemon against a real exchange over real sockets, both killed and lied to, then both books compared.

`make chaos ROUNDS=100` plays many and prints the faults survived; the tests play a few.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from actors import messages as m
from actors.runtime.journal import FILE_NAME, JournalReader, decode_effects
from replay.journal import decode_plan, replay_journal

STRATEGY = Path(__file__).parent / "venue_strategies.py"
PITBOSS = (sys.executable, "-m", "daemon.cli")
UNIT = 10**8
PATIENCE_S = 90.0
FAULTS: tuple[tuple[str, float], ...] = (
    ("latency", 0.2),
    ("request_lost", 0.1),
    ("reply_lost", 0.15),
    ("reply_delayed", 0.05),
    ("reply_empty", 0.1),
    ("reply_broken", 0.1),
    ("status_unknown", 0.1),
    ("maintenance", 0.1),
    ("bad_gateway", 0.1),
    ("rate_limit_storm", 0.05),
    ("order_rejected", 0.1),
    ("partial_fill", 0.4),
    ("event_before_reply", 0.3),
    ("reply_before_event", 0.3),
    ("close", 0.02),
    ("abort", 0.02),
    ("reset", 0.02),
    ("truncated_frame", 0.01),
    ("message_lost", 0.05),
    ("duplicate", 0.2),
    ("out_of_order", 0.1),
    ("subscribe_ignored", 0.1),
    ("user_stream_terminated", 0.05),
    ("handshake_refused", 0.1),
)
"""What goes wrong in a round, at most this often; `stall` and skewed clocks have tests of their own."""


def free_port() -> int:
    """Return a port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def http(url: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    """Send a request; return its JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())


def eventually(look: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Return what `look` returns once that is true; a connection that fails is not yet true."""
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            found = look()
        except (OSError, ValueError, KeyError):
            found = None
        if found:
            return found
        assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)


def balances(book: Any) -> dict[str, Decimal]:
    """Return what the account holds of each asset."""
    return {each["asset"]: Decimal(each["free"]) + Decimal(each["locked"]) for each in book["balances"]}


class Round:
    """One exchange, one daemon, one seed.

    Attributes:
        symbol: what is traded.
        strategy: the class that trades it.
        terms: further settings of the daemon.
    """

    symbol = "BTC/USDT"
    strategy = "Busy"
    terms: tuple[str, ...] = ()

    def __init__(self, seed: int, folder: Path, *, steps: int = 8, speed: float = 180.0) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.steps = steps
        self.speed = speed
        self.exchange_dir, self.daemon_dir = folder / "exchange", folder / "daemon"
        self.folder = folder
        self.ports = free_port(), free_port()
        self.exchange: subprocess.Popen[bytes] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None
        self.happened: Counter[str] = Counter()
        self.before: dict[str, Decimal] = {}
        """What the account held at first."""
        self.admin = f"http://127.0.0.1:{self.ports[1]}"

    # --- processes ----------------------------------------------------------------------------------

    def _start(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PITBOSS_")}
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen([*PITBOSS, *arguments], stdout=log, stderr=log, env=environment)

    def start_exchange(self) -> None:
        """Start the exchange on its own ports and books, and wait until it answers."""
        self.exchange = self._start(
            "exchange",
            [
                "exchange", "--port", str(self.ports[0]), "--admin-port", str(self.ports[1]),
                "--symbol", "BTC/USDT", "--speed", str(self.speed), "--seed", str(self.seed),
                "--state-dir", str(self.exchange_dir),
            ],
        )  # fmt: skip
        eventually(lambda: http(f"{self.admin}/control/book") is not None, "the exchange answers")

    def start_daemon(self) -> None:
        """Start the daemon on its session; it is not waited for."""
        self.daemon = self._start(
            "daemon",
            [
                "run", "--mode", "real", "--state-dir", str(self.daemon_dir), "--port", "0",
                "--strategy", f"{STRATEGY}:{self.strategy}", "-p", f"seed={self.seed + 1}",
                "--set", "feed.source=exchange", "--set", f"exchange.file={self.exchange_dir / 'ccxt.json'}",
                "--set", "exchange.clock=venue", "--set", "exchange.timeout_ms=2000",
                "--set", "exchange.recv_window_ms=3000", "--set", "exchange.stall_s=5",
                "--set", "exchange.reconcile_s=240", "--set", "supervision.restarts_max=1000",
                "--set", "live.armed=true", "--set", "risk.max_daily_loss=90000",
                "--set", "risk.max_notional=1000000", "--set", "risk.max_orders_per_minute=100000",
                *(word for term in self.terms for word in ("--set", term)),
            ],
        )  # fmt: skip

    def kill(self, name: str) -> None:
        """End a process as a power cut would."""
        process: subprocess.Popen[bytes] = getattr(self, name)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE_S)
            self.happened[f"kill -9 of the {name}"] += 1

    def close(self) -> None:
        """End what is left."""
        for process in (self.daemon, self.exchange):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(PATIENCE_S)

    def ask_daemon(self, path: str, body: Any = None) -> Any:
        """Send a request to the daemon of now."""
        endpoint = json.loads((self.daemon_dir / "endpoint.json").read_bytes())
        token = Path(endpoint["token_file"]).read_text().strip()
        return http(endpoint["url"] + path, body, {"Authorization": f"Bearer {token}"})

    def status(self) -> Any:
        """Return the daemon's status."""
        return self.ask_daemon("/api/live/status")

    # --- the round ----------------------------------------------------------------------------------

    def play(self) -> list[str]:
        """Play the round; return in words every promise that was not kept."""
        try:
            self.start_exchange()
            self.before = self.holdings(http(f"{self.admin}/control/book"))
            self.start_daemon()
            eventually(lambda: self.status()["venue"]["ready"], "the daemon is ready to trade")
            self._trouble()
            self._heal()
            return self._compare()
        finally:
            self.close()

    def _trouble(self) -> None:
        """Let everything go wrong for a while, step by step."""
        for _ in range(self.steps):
            names = self.random.sample(FAULTS, 6)
            rates = {name: round(self.random.uniform(0.5, 2) * rate, 3) for name, rate in names}
            http(f"{self.admin}/control/fault", dict.fromkeys((name for name, _ in FAULTS), 0) | rates)
            time.sleep(self.random.uniform(1, 4))
            self.meddle()
            if self.random.random() < 0.2:
                self.kill("daemon")
                time.sleep(self.random.uniform(0, 2))
                self.start_daemon()
            if self.random.random() < 0.2:
                self._count_faults()
                self.kill("exchange")
                time.sleep(self.random.uniform(0, 1))
                self.start_exchange()
            self._wait_a_little_for_trade()

    def _wait_a_little_for_trade(self) -> None:
        """Give a daemon that has just started the time to get ready, if the faults let it."""
        with contextlib.suppress(AssertionError):
            eventually(lambda: self.status()["venue"]["ready"], "ready", within_s=10)

    def _count_faults(self) -> None:
        faults = http(f"{self.admin}/control/faults")["faults"]
        self.happened.update({fault["name"]: fault["count"] for fault in faults})

    def _heal(self) -> None:
        """Have nothing more go wrong, and the daemon close everything."""
        self._count_faults()
        http(f"{self.admin}/control/fault", {name: 0 for name, _ in FAULTS})
        if self.daemon is None or self.daemon.poll() is not None:
            self.start_daemon()
        eventually(lambda: self.status()["venue"]["ready"], "the daemon finds its feet again")

        def flat() -> bool:
            status = self.status()
            if status["state"] not in ("flattening", "paused"):
                self.ask_daemon("/api/live/control", {"action": "flatten"})
                return False
            venue = status["venue"]
            if status["state"] != "paused" or status["orders"] or not venue["ready"]:
                return False
            return not venue["reconciled"]["differences"] and not venue["in_doubt"]

        eventually(flat, "the daemon is flat and agrees with the venue")
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
        assert self.daemon.wait(PATIENCE_S) == 0, "the daemon ended badly"

    def _compare(self) -> list[str]:
        """Compare the exchange's book with the daemon's journal, order by order and unit by unit."""
        book = http(f"{self.admin}/control/book")
        path = self.daemon_dir / FILE_NAME
        ours = Books(path)
        found: list[str] = []
        orders = [order for order in book["orders"] if order["symbol"] == self.symbol]
        theirs = {order["client_order_id"]: order for order in orders}
        if len(theirs) != len(orders):
            found.append("a client order id was taken twice")
        trades: dict[str, list[int]] = {}
        for trade in book["fills"]:
            trades.setdefault(trade["client_order_id"], []).append(int(trade["trade_id"]))
        for order_id, order in theirs.items():
            found.extend(ours.differences(order_id, order, sorted(trades.get(order_id, ()))))
        made_up = ours.fills.keys() - theirs.keys()
        found.extend(f"{order_id} was executed here and is not at the exchange" for order_id in made_up)
        changed = {asset: amount - self.before.get(asset, 0) for asset, amount in self.holdings(book).items()}
        if changed["USDT"] * UNIT != ours.cash_change_atoms:
            found.append(f"USDT: {changed['USDT']} there, {Decimal(ours.cash_change_atoms) / UNIT} here")
        if changed.get("BTC", 0) != ours.held_lots * ours.lot:
            found.append(f"BTC: {changed.get('BTC')} there, {ours.held_lots} lots here")
        found.extend(self.compare_more(book, ours))
        replayed = replay_journal(path)
        if not replayed.equal:
            found.append(f"the journal does not replay to itself: {replayed.first_difference}")
        self.happened.update({"orders": len(theirs), "executions": len(book["fills"])})
        self.happened.update({"runs": replayed.runs, "amends": ours.amends})
        return found

    def meddle(self) -> None:
        """Have the venue do something of its own in the midst of it."""

    def holdings(self, book: Any) -> dict[str, Decimal]:
        """Return what the account holds of money and of what is traded."""
        return balances(book)

    def compare_more(self, _book: Any, _ours: Books) -> list[str]:
        """Return in words what else differs."""
        return []


class Books:
    """What a journal says was ordered, executed and is held."""

    def __init__(self, path: Path) -> None:
        self.orders: dict[str, m.OrderRequest] = {}
        self.fills: dict[str, list[m.Fill]] = {}
        self.cash_change_atoms = 0
        self.held_lots = 0
        self.funding: list[m.FundingShared] = []
        self.amends = 0
        filled_lots: Counter[tuple[str, int, str]] = Counter()
        requests: dict[tuple[str, int], m.OrderRequest] = {}
        reader = JournalReader(path)
        try:
            session = reader.session()
            assert session is not None
            plan = decode_plan(session.plan)
            start_atoms = plan.account.cash_atoms
            self.lot = plan.instruments[0].lot
            for record in reader.records(session.number):
                for decision in decode_effects(record.effects) if record.effects else ():
                    if isinstance(decision, m.OrderRequest):
                        requests[decision.strategy, decision.ref] = decision
                    elif isinstance(decision, m.PositionChanged):
                        self.cash_change_atoms = decision.cash_atoms - start_atoms
                        self.held_lots = decision.quantity_lots
                    elif isinstance(decision, m.OrderEvent):
                        self.orders[decision.order_id] = requests[decision.strategy, decision.ref]
                    if isinstance(decision, m.FundingShared):
                        self.funding.append(decision)
                    if isinstance(decision, m.Fill):
                        self.fills.setdefault(decision.order_id, []).append(decision)
                        filled_lots[decision.strategy, decision.ref, decision.order_id] += decision.quantity_lots
                    elif isinstance(decision, m.Amended):
                        self.amends += 1
                        key = (decision.strategy, decision.ref)
                        others_lots = sum(
                            lots
                            for (*wish, order_id), lots in filled_lots.items()
                            if tuple(wish) == key and order_id != decision.new_order_id
                        )
                        own_lots = decision.quantity_lots - others_lots  # what this order has of the total
                        requests[key] = msgspec.structs.replace(requests[key], quantity_lots=own_lots)
                        self.orders[decision.new_order_id] = requests[key]
        finally:
            reader.close()

    def differences(self, order_id: str, order: Any, there: list[int]) -> list[str]:
        """Return in words what differs about one order of the exchange, executed by the trades `there`."""
        request = self.orders.get(order_id)
        if request is None:
            return [f"{order_id} is at the exchange and unknown to the daemon"]
        found: list[str] = []
        fills = self.fills.get(order_id, ())
        here = sorted(fill.trade_id for fill in fills)
        if Decimal(order["quantity"]) != request.quantity_lots * self.lot:
            found.append(f"{order_id}: {order['quantity']} there, {request.quantity_lots} lots here")
        if there != here:
            found.append(f"{order_id}: executions {there} there, {here} here")
        filled_lots = sum(fill.quantity_lots for fill in fills)
        if Decimal(order["filled"]) != filled_lots * self.lot:
            found.append(f"{order_id}: {order['filled']} filled there, {filled_lots} lots here")
        return found


def main() -> int:
    """Play many rounds and print what was survived."""
    parser = argparse.ArgumentParser(description="the daemon against the loopback exchange, both killed and lied to")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    totals: Counter[str] = Counter()
    failed = 0
    for seed in range(arguments.first, arguments.first + arguments.rounds):
        folder = Path(tempfile.mkdtemp(prefix=f"pitboss-chaos-{seed}-"))
        this = Round(seed, folder, steps=arguments.steps)
        try:
            problems = this.play()
        except AssertionError as error:
            problems = [str(error)]
        totals.update(this.happened)
        if problems:
            failed += 1
            print(f"round {seed}: {'; '.join(problems)} (kept: {folder})")
        else:
            orders, executions = this.happened["orders"], this.happened["executions"]
            print(f"round {seed}: {orders} orders, {executions} executions, all equal", flush=True)
    print("\nfaults survived")
    for name, number in sorted(totals.items()):
        if number:
            print(f"{name:>26} {number:>8,}")
    print(f"{arguments.rounds} rounds, {failed} failed: orders lost or doubled, or money off, in {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
