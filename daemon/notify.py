"""Telling systemd how we are: readiness, status and the watchdog (sd_notify(3))."""

from __future__ import annotations

import os
import socket

_US_PER_S = 1_000_000


def notify(*assignments: str, within_s: float = 0.0) -> bool:
    """Send ``KEY=value`` assignments to the service manager; return whether it was told.

    One that hangs does not empty its queue: it is waited for no longer than `within_s`, for trading waits meanwhile.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.settimeout(within_s)
        try:
            channel.connect(address)
            channel.sendall("\n".join(assignments).encode())
        except OSError:
            return False  # a manager that cannot be reached restarts us by its watchdog; trading goes on
    return True


def watchdog_interval_s() -> float | None:
    """Return how often the watchdog wants to hear from us: half its deadline, or None without one."""
    deadline_us = os.environ.get("WATCHDOG_USEC")
    for_pid = os.environ.get("WATCHDOG_PID")
    if not deadline_us or not deadline_us.isdigit() or (for_pid and for_pid != str(os.getpid())):
        return None
    return int(deadline_us) / _US_PER_S / 2
