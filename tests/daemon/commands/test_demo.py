"""`pitboss demo`, which `make run` starts: both processes, the session they leave, and that both end together."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from replay.journal import replay_journal

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 60.0


class Demo:
    """One `pitboss demo`, in a session of its own as a terminal would give it."""

    def __init__(self, folder: Path, number: int, *arguments: str, env: dict[str, str]) -> None:
        self.folder = folder
        self.errors = folder.with_name(f"errors-{number}.log")
        self.output = folder.with_name(f"output-{number}.txt")
        with self.errors.open("wb") as errors, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daemon.cli", "demo", "--port", "0", *arguments],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )

    def events(self) -> list[dict[str, Any]]:
        """Return what both have logged, in order; a line may be half-written."""
        lines = self.errors.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_for(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many of an event."""
        deadline_s = time.monotonic() + WITHIN_S
        while len(found := [line for line in self.events() if line["event"] == event]) < count:
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < deadline_s, self.errors.read_text()
            time.sleep(0.02)
        return found

    @property
    def exchange_pid(self) -> int:
        return json.loads((self.folder / "exchange" / "exchange.json").read_bytes())["pid"]

    def end(self) -> int:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(WITHIN_S)


Begin = Callable[..., Demo]

ELSEWHERE = {
    "PITBOSS_API_KEY": "k" * 64,
    "PITBOSS_API_SECRET": "s" * 64,
    "PITBOSS_EXCHANGE__ID": "kraken",
    "PITBOSS_EXCHANGE__URLS": "{api={private='http://127.0.0.1:1/api/v3'}}",
}
"""Keys and addresses a user may have in the environment for trading elsewhere: no demo could trade by them."""


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Return a starter of demos in a user's own default state directory."""
    demos: list[Demo] = []
    env = {name: value for name, value in os.environ.items() if not name.startswith("PITBOSS_")}
    env |= {"XDG_STATE_HOME": str(tmp_path)}

    def start(*arguments: str, **more: str) -> Demo:
        folder = tmp_path / "pitboss" / "demo"
        folder.parent.mkdir(exist_ok=True)
        demos.append(Demo(folder, len(demos), "--speed", "1200", *arguments, env=env | more))
        return demos[-1]

    yield start
    for demo in demos:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait(WITHIN_S)


def gone(pid: int) -> bool:
    """Return whether a process ends within some time."""
    deadline_s = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":  # ended, and nobody has asked how yet
            return True
        time.sleep(0.02)
    return False


def test_it_trades_for_real_ends_cleanly_and_goes_on_where_it_was(
    begin: Begin, pitboss: Callable[..., Run], tmp_path: Path
) -> None:
    demo = begin(**ELSEWHERE)
    demo.wait_for("fill", 2)
    said = [line["event"] for line in demo.events()]
    history = {"warm_up", "history_missing", "console_started"}  # told by others, while the gateway connects
    first = [event for event in said if event not in history]
    assert sorted(first[:2]) == ["demo", "exchange_ready"]  # of two processes
    assert first[2:6] == ["listening", "session", "venue_link_up", "reconciled"]
    assert "warm_up" in said
    exchange = demo.exchange_pid

    shown = pitboss("ctl", "status", "--json", env={"XDG_STATE_HOME": str(tmp_path)})
    assert (shown.json["mode"], shown.json["state"]) == ("real", "running"), "found without --state-dir"

    assert demo.end() == 0
    assert gone(exchange)
    summary = demo.output.read_text()
    assert re.search(r"ended by +│ +SIGINT", summary)
    assert "open: the same command continues it (run 1)" in summary
    assert [line["event"] for line in demo.events()][-1] == "exchange_ended", "the daemon ends before its venue"
    assert "Traceback" not in demo.errors.read_text()

    replayed = replay_journal(demo.folder / "daemon" / "journal.sqlite")
    assert (replayed.equal, replayed.fills >= 2) == (True, True)

    again = begin()
    again.wait_for("fill")
    (session,) = again.wait_for("session")
    assert (session["run"], session["continued_at"]) == (2, replayed.inputs)
    (compared, *_) = again.wait_for("reconciled")
    assert compared["differences"] == []
    assert again.end() == 0


def test_the_exchange_ends_when_the_demo_is_killed(begin: Begin) -> None:
    demo = begin()
    demo.wait_for("session")
    exchange = demo.exchange_pid

    demo.process.kill()

    assert demo.process.wait(WITHIN_S) == -signal.SIGKILL
    assert gone(exchange)
    begin().wait_for("reconciled")


def test_one_demo_at_a_time_whose_strategy_may_be_your_own(begin: Begin) -> None:
    demo = begin("--strategy", "bollinger_reversion", "-p", "period=30")
    (session,) = demo.wait_for("session")
    assert session["strategies"] == ["bollinger_reversion on BTC/USDT"]

    second = begin()

    assert second.process.wait(WITHIN_S) == 2
    assert f"in use by another daemon (process {demo.process.pid})" in second.errors.read_text()
    demo.wait_for("reconciled")
    assert demo.end() == 0


def test_an_exchange_that_does_not_start_is_told(begin: Begin, tmp_path: Path) -> None:
    folder = tmp_path / "pitboss" / "demo" / "exchange"
    folder.mkdir(parents=True)
    (folder / "exchange.sqlite").write_bytes(b"not a database" * 100)

    demo = begin()

    assert demo.process.wait(WITHIN_S) == 2
    assert "pitboss: the loopback exchange ended with exit code 2; it said why above" in demo.errors.read_text()


def test_make_run_starts_it() -> None:
    """The tests themselves may run under make, which would then speak of its folders, too."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", "--assume-old=.venv/.ready", "run"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1].endswith("pitboss demo")
