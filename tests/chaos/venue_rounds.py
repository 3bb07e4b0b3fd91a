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
import sqlite3
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

from actors.runtime.journal import FILE_NAME
from daemon.code_hash import code_hash
from replay.drift import drift_report
from replay.journal import replay_journal
from tests.chaos.venue_books import UNIT, Books
from tests.chaos.venue_worlds import WORLDS, World

PITBOSS = (sys.executable, "-m", "daemon.cli")
PATIENCE_S = 90.0
FAULTS: dict[str, Any] = {
    "latency": 0.2,
    "request_lost": 0.1,
    "reply_lost": 0.15,
    "reply_delayed": {"rate": 0.05, "seconds": 4},
    "reply_empty": 0.1,
    "reply_broken": 0.1,
    "status_unknown": 0.1,
    "maintenance": 0.1,
    "bad_gateway": 0.1,
    "rate_limit_storm": 0.05,
    "banned": {"rate": 0.02, "seconds": 1},
    "order_rejected": 0.3,
    "partial_fill": 0.4,
    "slow_snapshot": {"rate": 0.7, "seconds": 1},
    "clock_skew": {"rate": 0.02, "seconds": 20},
    "event_before_reply": 0.3,
    "reply_before_event": 0.3,
    "handshake_refused": 0.1,
    "server_disconnect": {"rate": 0.4, "seconds": 1.5},
    "close": 0.02,
    "abort": 0.02,
    "reset": 0.02,
    "truncated_frame": 0.01,
    "stall": {"rate": 0.01, "seconds": 8},
    "pings_unanswered": 0.25,
    "message_lost": 0.05,
    "message_late": {"rate": 0.05, "seconds": 1},
    "duplicate": 0.2,
    "out_of_order": 0.1,
    "book_gap": 0.2,
    "subscribe_rejected": 0.15,
    "subscribe_ignored": 0.15,
    "ack_lost": 0.1,
    "user_stream_terminated": 0.1,
    "listen_key_expired": 0.2,
    "ws_unanswered": 0.7,
}
"""What goes wrong in a round, about this often: all there is but a key that may withdraw, which no start survives."""
TOGETHER = 6
"""Kinds of faults at a time."""
_PRIVATE = {"abort": {"rate": 0.5, "on": "user", "times": 1}}
_PUBLIC = {"reset": {"rate": 0.1, "on": "@", "times": 2}}
ALONG: dict[str, dict[str, Any]] = {
    "handshake_refused": _PRIVATE | _PUBLIC,
    "server_disconnect": _PUBLIC,
    "subscribe_rejected": _PUBLIC,
    "subscribe_ignored": _PUBLIC,
    "ack_lost": _PUBLIC,
    "slow_snapshot": {"book_gap": {"rate": 0.3, "times": 3}},
    "ws_unanswered": _PRIVATE,
}
"""What goes along with faults that strike only while a socket or a book is opened: what has it opened anew."""
PING_MS = 1_000
"""The daemon asks its sockets this often whether they live: a step is over before the usual 10 s are."""


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


class Round:
    """One exchange, one daemon, one seed.

    Args:
        seed: of everything but the time it takes.
        folder: where both keep what they keep.
        world: what is traded; drawn from the seed unless given.
        steps: how many times the faults change, and something may be killed.
    """

    def __init__(self, seed: int, folder: Path, world: World | None = None, *, steps: int = 8) -> None:
        self.random = random.Random(seed)
        self.world = world or list(WORLDS.values())[seed % len(WORLDS)]
        self.seed = seed
        self.steps = steps
        self.hand: list[str] = []
        """Kinds of faults of which this round has yet to choose before any comes again."""
        self.exchange_dir, self.daemon_dir = folder / "exchange", folder / "daemon"
        self.clients = folder / "clients.json"
        """What the exchange says its clients need, with pings more often."""
        self.folder = folder
        self.ports = free_port(), free_port()
        self.exchange: subprocess.Popen[bytes] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None
        self.happened: Counter[str] = Counter()
        self.before: dict[str, Decimal] = {}
        """What the account held at first."""
        self.admin = f"http://127.0.0.1:{self.ports[1]}"
        self.terms: list[str] = []
        """Further settings of the daemon."""
        self.program: tuple[str, ...] = PITBOSS

    # --- processes ----------------------------------------------------------------------------------

    def _start(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PITBOSS_")}
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen([*self.program, *arguments], stdout=log, stderr=log, env=environment)

    def start_exchange(self) -> None:
        """Start the exchange on its own ports and books, and wait until it answers."""
        self.exchange = self._start(
            "exchange",
            [
                "exchange", "--port", str(self.ports[0]), "--admin-port", str(self.ports[1]),
                "--seed", str(self.seed), "--state-dir", str(self.exchange_dir),
                *self.world.exchange_arguments(self.folder, self.seed),
            ],
        )  # fmt: skip
        eventually(lambda: http(f"{self.admin}/control/book") is not None, "the exchange answers")
        said = self.exchange_dir / "ccxt.json"
        clients = eventually(lambda: json.loads(said.read_bytes()), "the exchange says what its clients need")
        for arguments in clients.values():
            arguments["streaming"] = {"keepAlive": PING_MS}
        self.clients.write_text(json.dumps(clients))

    def start_daemon(self) -> None:
        """Start the daemon on its session, or the one after; it is not waited for."""
        self.daemon = self._start(
            "daemon",
            [
                "run", "--mode", "real", "--state-dir", str(self.daemon_dir), "--port", "0",
                "--set", "console.enabled=false",
                "--set", "feed.source=exchange", "--set", f"exchange.file={self.clients}",
                "--set", "exchange.clock=venue", "--set", "exchange.timeout_ms=2000",
                "--set", "exchange.streams=['bars', 'trades', 'book']",
                "--set", "exchange.recv_window_ms=3000", "--set", "exchange.stall_s=5",
                "--set", "exchange.reconcile_s=240", "--set", "supervision.restarts_max=1000",
                "--set", "live.armed=true", "--set", "risk.max_daily_loss=90000",
                "--set", "risk.max_notional=1000000", "--set", "risk.max_orders_per_minute=100000",
                *self.world.daemon_arguments(self.seed),
                *(word for term in self.terms for word in ("--set", term)),
            ],
        )  # fmt: skip

    def bring_up_daemon(self, what: str, within_s: float = PATIENCE_S) -> None:
        """Have the daemon ready to trade, started as often as it ends: a session that was stopping ends once more."""

        def ready() -> bool:
            if self.daemon is None or self.daemon.poll() is not None:
                self.start_daemon()
                time.sleep(1)
            return bool(self.status()["venue"]["ready"])

        eventually(ready, what, within_s)

    def kill(self, name: str, when: str = "") -> None:
        """End a process as a power cut would."""
        process: subprocess.Popen[bytes] = getattr(self, name)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE_S)
            self.happened[f"kill -9 of the {name}{when}"] += 1

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

    def command(self, action: str) -> None:
        """Give the daemon a command, if it hears us."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            self.ask_daemon("/api/live/control", {"action": action})

    # --- the round ----------------------------------------------------------------------------------

    def play(self) -> list[str]:
        """Play the round; return in words every promise that was not kept."""
        try:
            self.start_exchange()
            self.before = self.world.wallet(http(f"{self.admin}/control/book"))
            self.bring_up_daemon("the daemon is ready to trade")
            self._trouble()
            self._heal()
            return self._compare()
        finally:
            self.close()

    def _trouble(self) -> None:
        """Let everything go wrong for a while, step by step."""
        moments: tuple[Callable[[], None], ...] = (
            self._kill_daemon,
            self._kill_exchange,
            self._kill_daemon_in_its_stop,
            self._kill_daemon_in_its_flatten,
            self._kill_exchange_while_daemon_ends,
            self._panic,
        )
        for _ in range(self.steps):
            self._set_faults(self.deal())
            time.sleep(self.random.uniform(2, 5))
            for body in self.world.meddling():
                http(f"{self.admin}/control/market", body)
            if self.random.random() < 0.4:
                self.random.choice(moments)()
            with contextlib.suppress(AssertionError):  # if the faults let it
                self.bring_up_daemon("ready", within_s=6)
            self.command("resume")

    def deal(self) -> list[str]:
        """Return the next kinds of faults: all of them come before any comes again."""
        dealt: list[str] = []
        while len(dealt) < TOGETHER:
            if not self.hand:
                self.hand = sorted(FAULTS.keys() - set(dealt))
                self.random.shuffle(self.hand)
            dealt.append(self.hand.pop())
        return dealt

    def _set_faults(self, names: list[str]) -> None:
        settings: dict[str, Any] = dict.fromkeys(FAULTS, 0)
        for name in names:
            settings |= ALONG.get(name, {})
        for name in names:
            usual = FAULTS[name] if isinstance(FAULTS[name], dict) else {"rate": FAULTS[name]}
            settings[name] = usual | {"rate": min(1.0, round(self.random.uniform(0.5, 2) * usual["rate"], 3))}
        http(f"{self.admin}/control/fault", settings)

    def _count_faults(self) -> None:
        faults = http(f"{self.admin}/control/faults")["faults"]
        self.happened.update({fault["name"]: fault["count"] for fault in faults})

    # --- moments ------------------------------------------------------------------------------------

    def _kill_daemon(self) -> None:
        self.kill("daemon")
        time.sleep(self.random.uniform(0, 2))

    def _kill_exchange(self) -> None:
        self._count_faults()
        self.kill("exchange")
        time.sleep(self.random.uniform(0, 1))
        self.start_exchange()

    def _kill_daemon_in_its_stop(self) -> None:
        self.command("stop")
        time.sleep(self.random.uniform(0, 0.5))
        self.kill("daemon", " while it stops")

    def _kill_daemon_in_its_flatten(self) -> None:
        self.command("flatten")
        time.sleep(self.random.uniform(0, 0.5))
        self.kill("daemon", " while it flattens")

    def _kill_exchange_while_daemon_ends(self) -> None:
        """Stop the daemon, by command or by signal, and take the exchange away under it."""
        assert self.daemon is not None
        self._count_faults()
        if self.random.random() < 0.5:
            self.command("stop")
        elif self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
        time.sleep(self.random.uniform(0, 0.3))
        self.kill("exchange", " while the daemon ends")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.daemon.wait(self.random.uniform(1, 12))
        self.start_exchange()

    def has_open_session(self) -> bool:
        """Return whether the next start goes on with a session."""
        with contextlib.closing(sqlite3.connect(self.daemon_dir / FILE_NAME)) as db:
            (status,) = db.execute("SELECT status FROM sessions ORDER BY number DESC LIMIT 1").fetchone() or ("",)
        return bool(status == "open")

    def _panic(self) -> None:
        """Kill the daemon and have its account flattened from outside, while nothing else goes wrong.

        Only under an open session: one that was sealed cannot learn what panic did, and who inherits of it halts.
        """
        self.kill("daemon")
        if not self.has_open_session():
            return
        self._set_faults([])
        where = ("--state-dir", str(self.daemon_dir), "--yes", "--json")
        with (self.folder / "panic.log").open("ab") as log:
            done = subprocess.run([*PITBOSS, "panic", *where], stdout=log, stderr=log, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, (self.folder / "panic.log").read_text()[-2_000:]
        self.happened["pitboss panic"] += 1

    # --- the end ------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """Have nothing more go wrong, and the daemon close everything."""
        self._count_faults()
        self._set_faults([])
        if self.daemon is not None and self.daemon.poll() is None:
            # the tape may have ended, and with it the venue's time: then only a start still compares the accounts
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(PATIENCE_S)
        self.bring_up_daemon("the daemon finds its feet again")
        self.command("resume")

        def flat() -> bool:
            status = self.status()
            if status["state"] not in ("flattening", "paused"):
                self.command("flatten")
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
        found = self.world.differences(ours, book, self.before)
        runs = 0
        for session in ours.sessions:
            replayed = replay_journal(path, session)
            runs += replayed.runs
            if not replayed.equal:
                found.append(f"session {session} does not replay to itself: {replayed.first_difference}")
            drift = drift_report(path, session, code_hash=code_hash()).drift
            if (drift is None) == (session in ours.with_bars):
                found.append(f"journal diff of {session}: {drift}, {len(ours.with_bars)} sessions have bars")
            if drift is not None:
                if drift.total.cost_funding * UNIT != -ours.funding_of[session]:
                    paid = f"{drift.total.cost_funding} of funding, {-ours.funding_of[session]} atoms it was"
                    found.append(f"journal diff of {session}: {paid}")
                if drift.total.cost != drift.equity_replay - drift.equity_live:
                    found.append(f"journal diff of {session}: a cost of {drift.total.cost} that nobody has")
        orders, executions = self.world.counts(book)
        self.happened.update({"orders": orders, "executions": executions, "runs": runs, "sessions": len(ours.sessions)})
        self.happened["amends"] += ours.amends
        self.happened[f"rounds: {self.world.name}"] += 1
        return found


def main() -> int:
    """Play many rounds and print what was survived."""
    parser = argparse.ArgumentParser(description="the daemon against the loopback exchange, both killed and lied to")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--world", choices=sorted(WORLDS), help="what is traded; drawn from the seed unless given")
    arguments = parser.parse_args()
    totals = Counter(dict.fromkeys(FAULTS, 0))
    failed = 0
    for seed in range(arguments.first, arguments.first + arguments.rounds):
        folder = Path(tempfile.mkdtemp(prefix=f"pitboss-chaos-{seed}-"))
        this = Round(seed, folder, WORLDS.get(arguments.world), steps=arguments.steps)
        try:
            problems = this.play()
        except AssertionError as error:
            problems = [str(error)]
        totals.update(this.happened)
        if problems:
            failed += 1
            print(f"round {seed}, {this.world.name}: {'; '.join(problems)} (kept: {folder})", flush=True)
        else:
            orders, executions = this.happened["orders"], this.happened["executions"]
            print(f"round {seed}, {this.world.name}: {orders} orders, {executions} executions, all equal", flush=True)
    print("\nfaults survived")
    for name, number in sorted(totals.items()):
        if number:
            print(f"{name:>42} {number:>8,}")
    print(f"never struck: {', '.join(name for name in FAULTS if not totals[name]) or 'none'}")
    print(f"{arguments.rounds} rounds, {failed} failed: orders lost or doubled, or money off, in {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
