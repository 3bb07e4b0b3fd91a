"""What the service manager is told, and how often it wants to hear."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from daemon.notify import notify, watchdog_interval_s


def test_without_a_manager_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    assert not notify("READY=1")


def test_assignments_arrive_as_lines_of_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "socket"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "socket"))
        channel.settimeout(5)

        assert notify("READY=1", "STATUS=fine")

        assert channel.recv(100) == b"READY=1\nSTATUS=fine"


def test_a_manager_that_is_gone_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))

    assert not notify("WATCHDOG=1")


def test_a_manager_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "socket"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "socket"))

        told = [notify("WATCHDOG=1") for _ in range(3_000)]

        assert told[0]
        assert not told[-1], "nobody has read any, and the queue is full"
        assert not notify("READY=1", within_s=0.01)


@pytest.mark.parametrize(
    ("deadline_us", "pid", "interval_s"),
    [
        ("30000000", None, 15.0),
        ("30000000", "ours", 15.0),
        ("30000000", "1", None),
        ("", None, None),
        (None, None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_deadline(
    monkeypatch: pytest.MonkeyPatch, deadline_us: str | None, pid: str | None, interval_s: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", deadline_us), ("WATCHDOG_PID", str(os.getpid()) if pid == "ours" else pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)

    assert watchdog_interval_s() == interval_s
