"""Nobody waits for whoever reads the log: a terminal after Ctrl-S, a paused pager, a collector that hangs."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from daemon import log_stream
from daemon.log_stream import LogStream
from tests.daemon.conftest import environment, eventually

_F_SETPIPE_SZ = 1031
"""Of Linux; Python 3.11 has no name for it everywhere."""
LINES = [f"{number}: {'x' * 99}\n" for number in range(3_000)]
Ends = tuple[int, int]


@pytest.fixture(autouse=True)
def _hang_guard() -> Iterator[None]:
    """End a write that waits."""

    def hung(_: int, __: FrameType | None) -> None:
        message = "it waits for its reader"
        raise AssertionError(message)

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe() -> Ends:
    return os.pipe()


def terminal() -> Ends:
    """Return a terminal in which somebody has pressed Ctrl-S."""
    ours, theirs = pty.openpty()
    flags = termios.tcgetattr(theirs)
    flags[1] &= ~termios.OPOST  # a line's end stays as it is
    termios.tcsetattr(theirs, termios.TCSANOW, flags)
    termios.tcflow(theirs, termios.TCOOFF)
    return ours, theirs


def collector() -> Ends:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


@pytest.mark.parametrize("made", [pipe, terminal, collector])
def test_lines_wait_for_their_reader_and_nobody_else_does(made: Callable[[], Ends]) -> None:
    ours, theirs = made()
    stream = LogStream(theirs)
    for line in LINES:
        stream.write(line)
    assert stream._kept, "it is more than any of them takes"
    assert os.get_blocking(theirs), "who shares it waits as ever"
    if made is terminal:
        termios.tcflow(theirs, termios.TCOON)

    wanted = "".join(LINES).encode()
    read = b""
    while len(read) < len(wanted):
        stream.drain()
        read += os.read(ours, 65_536)
    stream.close()
    os.close(ours)
    os.close(theirs)

    assert read == wanted, "every line is there, whole and in its order"
    assert not stream.lost


def test_lines_beyond_the_bound_are_counted_and_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_stream, "_KEPT_BYTES_MAX", 10_000)
    ours, theirs = pipe()
    stream = LogStream(theirs)
    for line in LINES:
        stream.write(line)
    assert stream.take_lost() == 0, "there is no room to say so"

    while stream._kept:
        os.read(ours, 65_536)
        stream.drain()
    lost = stream.take_lost()

    assert 0 < lost < len(LINES)
    assert stream.take_lost() == 0
    os.close(ours)
    stream.write("nobody reads this any more\n")
    assert not stream._kept
    stream.close()
    os.close(theirs)


def test_a_log_on_a_full_disk_is_given_up() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    stream = LogStream(full)
    stream.write("a line\n")
    assert not stream._kept
    stream.close()
    os.close(full)


@pytest.mark.slow
def test_trading_goes_on_and_ends_while_nobody_reads_its_log(tmp_path: Path) -> None:
    ours, theirs = pipe()
    fcntl.fcntl(theirs, _F_SETPIPE_SZ, 4_096)
    os.write(theirs, b"\n" * 4_096)
    words = ("--state-dir", str(tmp_path / "state"), "--synthetic", "7", "--speed", "6000", "--port", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "run", *words, "--set", "log.format=json"],
        stderr=theirs,
        stdout=subprocess.DEVNULL,
        env=environment(),
    )
    os.close(theirs)
    snapshot = tmp_path / "state" / "snapshot.json"

    def inputs() -> int:
        return int(json.loads(snapshot.read_bytes())["last_input"]["seq"]) if snapshot.exists() else 0

    eventually(lambda: inputs() > 100, "it trades on")
    process.terminate()

    assert process.wait(20) == 0
    said = os.read(ours, 4_096)
    os.close(ours)
    assert said == b"\n" * 4_096
