"""Record the golden journal: a short session of the real daemon, with every kind of order and command, and a restart.

    .venv/bin/python tests/golden/make_journal.py tests/golden/journal-v1.sqlite

Made once for a schema version and never again: `test_journal` shows that later releases still read and replay it.
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from daemon.commands.ctl import call, find_endpoint
from replay.journal import replay_journal

ROOT = Path(__file__).parents[2]
BARS = 300
SPEED = 3_600
DEADLINE_S = 60

STRATEGY = """
from pitboss import Strategy, atr, bbands


class Everything(Strategy):
    quantity: float = 0.25

    def features(self):
        return {"range": atr(5), "bands": bbands(8, 1.5)}

    def on_start(self):
        self.count = 0
        self.refs = []
        self.fills = {}
        self.set_timer("beat", 1_000)

    def on_bar(self, bar, f):
        self.count += 1
        step, size, reach = self.count % 20, self.quantity, f.range
        if step == 1:
            self.buy(size)
        elif step == 2:
            self.refs.append(self.sell(size, limit=bar.close + reach))
        elif step == 3:
            self.refs.append(self.sell(size, stop=bar.close - reach, reduce_only=True))
        elif step == 4:
            self.buy(size, stop=bar.close + reach / 2, limit=bar.close + reach)
        elif step == 5:
            self.target(-size)
        elif step == 6:
            self.buy(size, limit=bar.close - reach, post_only=True)
        elif step == 7:
            self.buy(size, limit=bar.close + reach, time_in_force="ioc")
        elif step == 8:
            self.sell(size, limit=f.bands_upper * 2, time_in_force="fok")
        elif step == 9 and self.refs:
            self.cancel(self.refs.pop(0))
        elif step == 10:
            self.buy(size, limit=bar.close * 2, post_only=True)
        elif step == 11:
            self.buy(1e-12)

    def on_fill(self, execution):
        self.fills[execution.ref] = execution.price

    def on_timer(self, name):
        self.set_timer(name, 1_000)
        self.target(0)
"""

CONFIG = """
[risk]
max_position = 1.5
max_orders_per_minute = 20

[venue]
slippage_bps = 2
latency_ms = 250

[[strategies]]
use = "{strategy}:Everything"

[[strategies]]
use = "bollinger_reversion"
params = {{ short = true, period = 12 }}
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the daemon on the state directory, and wait until it answers."""
    command = [
        *(sys.executable, "-m", "daemon.cli", "run", "--state-dir", str(folder / "state")),
        *("--synthetic", f"7:{BARS}", "--speed", str(SPEED), "--port", "0", "--config", str(folder / "config.toml")),
        *("--set", "console.enabled=false"),
    ]
    with (folder / "daemon.log").open("ab") as log:
        daemon = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    wait_for(folder, 0)
    return daemon


def wait_for(folder: Path, seq: int) -> None:
    """Wait until the core has taken so many inputs."""
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        endpoint_file = folder / "state" / "endpoint.json"
        if endpoint_file.is_file():
            endpoint, token = find_endpoint(folder / "state")
            status, answer = call(endpoint, token, "GET", "/api/live/status")
            if status == 200 and answer["last_input"]["seq"] >= seq:
                return
        time.sleep(0.02)
    message = f"input {seq} did not come within {DEADLINE_S} s"
    raise TimeoutError(message)


def command(folder: Path, action: str, key: str | None = None) -> None:
    """Send a command."""
    endpoint, token = find_endpoint(folder / "state")
    status, answer = call(endpoint, token, "POST", "/api/live/control", {"action": action}, key)
    assert status == 202, answer


def record(folder: Path) -> None:
    """Run the session: pause, resume, flatten, end by a signal, continue, flatten after the end, stop."""
    (folder / "everything.py").write_text(STRATEGY)
    (folder / "config.toml").write_text(CONFIG.format(strategy=folder / "everything.py"))
    daemon = start(folder)
    for seq, action in ((60, "pause"), (75, "resume"), (100, "flatten"), (115, "resume")):
        wait_for(folder, seq)
        command(folder, action, f"key-{action}-{seq}")
    wait_for(folder, 150)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(DEADLINE_S) == 0
    daemon = start(folder)
    wait_for(folder, BARS + 15)
    time.sleep(1.0)
    command(folder, "flatten")
    wait_for(folder, BARS + 16)
    command(folder, "stop")
    assert daemon.wait(DEADLINE_S) == 0


def main() -> None:
    """Record into the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    out: Path = parser.parse_args().file.resolve()
    with tempfile.TemporaryDirectory(prefix="pitboss-golden-") as name:
        folder = Path(name)
        record(folder)
        out.unlink(missing_ok=True)
        db = sqlite3.connect(folder / "state" / "journal.sqlite")
        db.execute("DELETE FROM snapshots")
        db.commit()
        db.execute("VACUUM INTO ?", (str(out),))
        db.close()
    summary = replay_journal(out)
    assert summary.equal, summary
    sys.stdout.write(f"{out}: {out.stat().st_size:,} bytes\n{summary}\n")


if __name__ == "__main__":
    main()
