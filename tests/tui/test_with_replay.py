"""The debugger as a person starts it: `pitboss tui --replay` in tmux, on a small tape."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PITBOSS = [sys.executable, "-c", "from daemon.cli import main; main()"]
DEADLINE_S = 60.0
START_MS = 1_704_412_800_000


def wait_for(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it never came to hold"
        time.sleep(0.02)


def waves(path: Path) -> None:
    """Write 200 bars that rise for ten minutes and fall for ten."""
    closes = [1_000 + 5 * (index % 20 if index % 20 < 10 else 20 - index % 20) for index in range(201)]
    rows = [
        f"{START_MS + index * 60_000},{last},{max(last, close) + 1},{min(last, close) - 1},{close},1"
        for index, (last, close) in enumerate(pairwise(closes))
    ]
    path.write_text("\n".join(["ts,open,high,low,close,volume", *rows, ""]))


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_person_at_a_terminal_debugs_a_strategy_and_leaves_nothing_behind(tmp_path: Path) -> None:
    tape = tmp_path / "waves.csv"
    waves(tape)
    server = ["tmux", "-S", str(tmp_path / "tmux"), "-f", os.devnull]
    arguments = ["--replay", str(tape), "--strategy", "ema_cross", "-p", "fast=2", "-p", "slow=5"]
    environment = ["env", "-u", "COLUMNS", "-u", "LINES", f"TMPDIR={tmp_path}"]

    def tmux(*words: str) -> str:
        return subprocess.run([*server, *words], check=True, capture_output=True, text=True, cwd=ROOT).stdout

    def screen() -> str:
        return tmux("capture-pane", "-p")

    def see(*words: str) -> None:
        try:
            wait_for(lambda: all(word in screen() for word in words))
        except AssertionError as error:
            message = f"{words} never came:\n{screen()}"
            raise AssertionError(message) from error

    tmux("new-session", "-d", "-x", "80", "-y", "24", *environment, *PITBOSS, "tui", *arguments)
    try:
        see("● paused", "input 0 of 200", "State of strategy.ema_cross")
        (endpoint,) = tmp_path.glob("pitboss-replay-*/endpoint.json")
        pid = json.loads(endpoint.read_text())["pid"]
        assert alive(pid)
        tmux("send-keys", "s")
        see("input 1 of 200", "2024-01-05 00:01:00 UTC", "a step of one input", "WAVES close=1005")
        tmux("send-keys", "t")
        see("ema_cross bought", "·Fill", "··PositionChanged", "Intent", "▾ strategy", "side 1")
        tmux("send-keys", "v")
        see("● ended", "the end of the tape")
        tmux("send-keys", "2")
        see("1,0", "▲", "sell")
        tmux("send-keys", "q")
        wait_for(lambda: subprocess.run([*server, "has-session"], check=False, capture_output=True).returncode)
    finally:
        subprocess.run([*server, "kill-server"], check=False, capture_output=True)
    wait_for(lambda: not alive(pid))
    assert list(tmp_path.glob("pitboss-replay-*")) == []
