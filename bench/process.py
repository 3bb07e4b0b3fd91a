"""Run one program to its end and say what it cost: seconds, CPU seconds, peak resident memory.

On Linux a child's peak begins at the memory its parent held when it was started (the kernel keeps
the high-water mark across `exec`). So whoever starts measured programs stays thin: no numpy, no
polars in this process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 900.0
MAXRSS_PER_MB = 1024 * 1024 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that has ended, well or not."""

    returncode: int
    stdout: str
    stderr: str
    elapsed_s: float
    cpu_s: float
    peak_rss_mb: float
    timed_out: bool

    def complaint(self) -> str | None:
        """Return why its output is not to be trusted, or None."""
        if self.timed_out:
            return f"stopped after {self.elapsed_s:.0f} s"
        if self.returncode != 0:
            last = self.stderr.strip().splitlines()[-1:] or ["no message"]
            return f"exit {self.returncode}: {last[0]}"
        return None


def run_to_end(argv: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> Finished:
    """Start a program in the repository root, wait for it and read its resource usage."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        expired = threading.Event()
        started = time.perf_counter()
        child = subprocess.Popen(
            argv,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

        def stop() -> None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

        def expire() -> None:
            expired.set()
            stop()

        alarm = threading.Timer(timeout_s, expire)
        alarm.daemon = True
        alarm.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            stop()
            raise
        finally:
            alarm.cancel()
        elapsed_s = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        return Finished(
            returncode=child.returncode,
            stdout=stdout.read().decode(errors="replace"),
            stderr=stderr.read().decode(errors="replace"),
            elapsed_s=elapsed_s,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_rss_mb=usage.ru_maxrss / MAXRSS_PER_MB,
            timed_out=expired.is_set(),
        )
