"""Standard error as a place for lines that nobody waits for.

Who reads the log may stop reading: a terminal after Ctrl-S, a paused pager, a collector that hangs. A write would then
wait, and trading with it. Lines that find no room are kept, up to a bound, and written when there is room again.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT_BYTES_MAX = 1 << 20
_PIECE_BYTES = 4_096
"""A pipe that has room has room for so much."""
_END_S = 0.5


class LogStream:
    """Writes lines to a descriptor, and never waits for its reader.

    Args:
        descriptor: where to.

    Attributes:
        lost: lines that were given up, and that nobody was told of yet.
        close: ends it; the descriptor stays open.
    """

    def __init__(self, descriptor: int) -> None:
        self.lost = 0
        self._descriptor = descriptor
        self._write, self.close = _opened(descriptor)
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._lock = threading.RLock()

    def write(self, line: str) -> None:
        """Write a line, after those that wait already, or keep it."""
        data = line.encode(errors="backslashreplace")
        with self._lock:
            if self._kept_bytes + len(data) > _KEPT_BYTES_MAX and not self.drain():
                self.lost += 1
                return
            self._kept.append(data)
            self._kept_bytes += len(data)
            self.drain()

    def take_lost(self) -> int:
        """Return how many lines were given up, once there is room to say so, and forget them."""
        if not self.lost:
            return 0
        with self._lock:
            lost = self.lost if self.drain() else 0
            self.lost -= lost
            return lost

    def end(self) -> None:
        """Write what is kept, if that takes no longer than half a second."""
        deadline_s = time.monotonic() + _END_S
        while not self.drain() and (left_s := deadline_s - time.monotonic()) > 0:
            select.select([], [self._descriptor], [], left_s)

    def drain(self) -> bool:
        """Write what there is room for; return whether that was all."""
        with self._lock:
            while self._kept:
                data = self._kept[0]
                try:
                    written = self._write(data)
                except BlockingIOError:
                    return False
                except OSError:  # nobody will ever read it: a full disk, a reader that is gone
                    written = len(data)
                self._kept_bytes -= written
                if written == len(data):
                    self._kept.popleft()
                else:
                    self._kept[0] = data[written:]
            return True


def _opened(descriptor: int) -> tuple[Callable[[bytes], int], Callable[[], None]]:
    """Return what writes to a descriptor or raises BlockingIOError, and what ends that.

    Whoever shares the descriptor waits as before: it is opened once more, where that can be done.
    """
    with suppress(OSError):
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(mode):
            shared = socket.socket(fileno=os.dup(descriptor))
            return lambda data: shared.send(data, socket.MSG_DONTWAIT), shared.close
        if not stat.S_ISFIFO(mode) and not stat.S_ISCHR(mode):
            return lambda data: os.write(descriptor, data), _nothing  # a file has no reader to wait for
        own = os.open(f"/dev/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        return lambda data: os.write(own, data), lambda: os.close(own)

    def write(data: bytes) -> int:
        _, writable, _ = select.select([], [descriptor], [], 0)
        if not writable:
            raise BlockingIOError
        return os.write(descriptor, data[:_PIECE_BYTES])

    return write, _nothing


def _nothing() -> None:
    """Close nothing: the descriptor is not ours."""
