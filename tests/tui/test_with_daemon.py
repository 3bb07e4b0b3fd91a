"""The real console in a real terminal, on a real daemon: a process of its own, found by its state directory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actors.runtime.journal import FILE_NAME

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PITBOSS = [sys.executable, "-c", "from daemon.cli import main; main()"]
DEADLINE_S = 60.0
ASKED = ("pause", "tighten max_position to 0.25", "resume", "flatten", "stop")


def wait_for(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it never came to hold"
        time.sleep(0.1)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start daemons on paper, on free ports, each of which has written where it listens."""
    running: list[subprocess.Popen[bytes]] = []

    def one() -> subprocess.Popen[bytes]:
        (tmp_path / "endpoint.json").unlink(missing_ok=True)
        settings = ["--port", "0", "--set", "console.port=0", "--set", "risk.max_position=5"]
        arguments = ["run", "--state-dir", str(tmp_path), "--synthetic", "7", "--speed", "1200", *settings]
        with (tmp_path / "log").open("ab") as log:
            started = subprocess.Popen([*PITBOSS, *arguments], cwd=ROOT, stdout=log, stderr=log)
        running.append(started)
        wait_for(lambda: (tmp_path / "endpoint.json").exists() or started.poll() is not None)
        assert started.poll() is None, (tmp_path / "log").read_text()
        return started

    yield one
    for started in running:
        started.kill()
        started.wait()


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], check=False, capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def audit(folder: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as journal:
        return journal.execute("SELECT action, outcome, role, name, address FROM commands ORDER BY seq").fetchall()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_person_at_a_terminal_watches_commands_and_sees_everything_come_back(
    start: Callable[[], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """The daemon's console process is killed, then the daemon; it comes back at another address with another token."""
    daemon = start()
    # the size is the terminal's, whatever the tests' own environment says
    server = ["tmux", "-S", str(tmp_path / "tmux"), "-f", os.devnull]
    program = [*PITBOSS, "tui", "--state-dir", str(tmp_path)]

    def tmux(*arguments: str) -> str:
        return subprocess.run([*server, *arguments], check=True, capture_output=True, text=True, cwd=ROOT).stdout

    def screen() -> str:
        return tmux("capture-pane", "-p")

    def see(*words: str) -> None:
        try:
            wait_for(lambda: all(word in screen() for word in words))
        except AssertionError as error:
            message = f"{words} never came:\n{screen()}"
            raise AssertionError(message) from error

    def do(keys: str, *words: str) -> None:
        tmux("send-keys", *keys.split())
        see(*words)

    tmux("new-session", "-d", "-x", "80", "-y", "24", "env", "-u", "COLUMNS", "-u", "LINES", *program)
    try:
        see("● running", "live", "Positions")
        do("2")
        wait_for(lambda: set(screen()) & set("╹╻┃╿╽"))
        do("4 p", "● paused", "Pause", "done")
        do("3 t", "choose a limit")
        do("t", "Tighten max_position?", "It is 5 now.")
        do("0.25 Enter", "Tighten max_position 0.25", "done")
        do("r", "● running")
        do("f", "Type flatten")
        do("flatten Enter", "Flatten", "done", "● paused")
        do("5 /", "Only lines of the log with")
        do("console_ Enter", "with console_", "console_started")

        for child in children(daemon.pid):
            os.kill(child, signal.SIGKILL)
        see("console_ended", "live")  # which the next one tells
        daemon.kill()
        daemon.wait()
        see("Daemon away, data of", "no answer")
        before = json.loads((tmp_path / "endpoint.json").read_text())
        Path(before["token_file"]).write_text("another-token-for-the-tests-of-the-console")
        daemon = start()
        assert json.loads((tmp_path / "endpoint.json").read_text())["url"] != before["url"]
        see("● paused", "run 2", "live")

        tmux("resize-window", "-x", "200", "-y", "50")
        do("1 d", "Equity", "Strategies", "Risk", "Fills", "Orders", "0.25")
        do("s", "Stop the daemon?")
        do("y", "The daemon has stopped", "is sealed")
        assert daemon.wait(DEADLINE_S) == 0
        assert audit(tmp_path) == [(action, "done", "control", "control", "127.0.0.1") for action in ASKED]
        do("q")
        wait_for(lambda: subprocess.run([*server, "has-session"], check=False, capture_output=True).returncode)
    finally:
        subprocess.run([*server, "kill-server"], check=False, capture_output=True)
