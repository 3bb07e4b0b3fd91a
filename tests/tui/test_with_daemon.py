"""The console on a real daemon: a process of its own, found by its state directory."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tui.app import Console, Pace
from tui.panels.banner import Banner
from tui.panels.commands import Commands
from tui.panels.figure import Figure

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PITBOSS = [sys.executable, "-c", "from daemon.cli import main; main()"]
DEADLINE_S = 30.0


def wait_for(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it never came to hold"
        time.sleep(0.02)


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start daemons on paper, each of which has written where it listens."""
    running: list[subprocess.Popen[bytes]] = []

    def one(*more: str) -> subprocess.Popen[bytes]:
        (tmp_path / "endpoint.json").unlink(missing_ok=True)
        arguments = ["run", "--state-dir", str(tmp_path), "--synthetic", "7", "--speed", "6000", "--port", "0", *more]
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


@pytest.fixture
def process(start: Start) -> subprocess.Popen[bytes]:
    """A daemon without its console."""
    return start("--set", "console.enabled=false")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_person_at_a_terminal_watches_pauses_flattens_and_sees_it_come_back(start: Start, tmp_path: Path) -> None:
    """The real console in tmux, on a real daemon with its console process, which is killed and started again."""
    daemon = start("--set", "console.port=0")
    endpoint = json.loads((tmp_path / "endpoint.json").read_text())
    # the size is the terminal's, whatever the tests' own environment says
    server = ["tmux", "-S", str(tmp_path / "tmux"), "-f", os.devnull]
    program = [*PITBOSS, "tui", "--url", endpoint["url"], "--token-file", endpoint["token_file"]]

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

    tmux("new-session", "-d", "-x", "80", "-y", "24", "env", "-u", "COLUMNS", "-u", "LINES", *program)
    try:
        see("● running", "live", "Positions")
        tmux("send-keys", "2")
        wait_for(lambda: set(screen()) & set("╹╻┃╿╽"))
        tmux("send-keys", "5")
        see("console_started")
        tmux("send-keys", "4", "p")
        see("● paused", "Pause", "done")
        tmux("send-keys", "f")
        see("Type flatten")
        tmux("send-keys", "flatten", "Enter")
        see("Flatten", "done")
        daemon.kill()
        daemon.wait()
        see("Daemon away, data of", "no answer")
        start("--set", "console.port=0", "--port", endpoint["url"].rpartition(":")[2])
        see("● paused", "run 2", "live")
        tmux("resize-window", "-x", "200", "-y", "50")
        tmux("send-keys", "1")
        see("Equity", "Strategies", "Risk", "Fills", "Orders")
        tmux("send-keys", "q")
        wait_for(lambda: subprocess.run([*server, "has-session"], check=False, capture_output=True).returncode)
    finally:
        subprocess.run([*server, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def endpoint(process: subprocess.Popen[bytes], tmp_path: Path) -> dict[str, str]:
    """Where the daemon listens, and its token."""
    found: dict[str, str] = json.loads((tmp_path / "endpoint.json").read_text())
    return {**found, "token": Path(found["token_file"]).read_text().strip()}


async def test_from_the_first_look_to_the_stop(
    process: subprocess.Popen[bytes], endpoint: dict[str, str], until: Any
) -> None:
    console = Console(endpoint["url"], endpoint["token"], pace=Pace(poll_s=3_600))
    async with console.run_test(size=(120, 40)) as pilot:

        def figure(name: str) -> str:
            return console.screen_stack[0].query_one(f"#{name}", Figure).value

        def outcomes() -> list[tuple[str, ...]]:
            rows = console.screen_stack[0].query_one(Commands).rows
            return [tuple(cell.text for cell in row.cells[1:3]) for row in rows]

        await until(pilot, lambda: figure("state") == "● running" and figure("inputs") not in ("", "0"))
        assert endpoint["session"] in figure("session")

        console.simulate_key("p")
        await until(pilot, lambda: figure("state") == "● paused" and outcomes() == [("pause", "done")])
        console.simulate_key("r")
        await until(pilot, lambda: figure("state") == "● running" and len(outcomes()) == 2)
        console.simulate_key("f")
        await until(pilot, lambda: len(console.screen_stack) == 2 and console.focused is not None)
        await pilot.press(*"flatten", "enter")
        await until(pilot, lambda: outcomes()[0] == ("flatten", "done") and figure("state") == "● paused")

        console.simulate_key("s")
        await until(pilot, lambda: len(console.screen_stack) == 2 and console.focused is not None)
        console.simulate_key("y")
        await until(pilot, lambda: console.away is not None)
        assert console.screen_stack[0].query_one(Banner).text.endswith("is sealed")
    assert process.wait(DEADLINE_S) == 0


def test_the_command_opens_it_in_a_terminal_and_q_leaves_the_daemon_running(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    command = [*PITBOSS, "tui", "--state-dir", str(tmp_path)]
    console = subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    written = bytearray()

    def read() -> bytes:
        with contextlib.suppress(BlockingIOError, OSError):
            written.extend(os.read(ours, 65_536))
        return bytes(written)

    try:
        wait_for(lambda: b"running" in read() or console.poll() is not None)
        assert b"running" in written, bytes(written)
        os.write(ours, b"q")
        wait_for(lambda: read() and console.poll() is not None)
        assert console.returncode == 0, bytes(written)
        assert process.poll() is None
    finally:
        console.kill()
        console.wait()
        os.close(ours)
