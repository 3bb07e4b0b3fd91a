"""A backtest's process: started, listened to and ended, whatever it does; nothing of it is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.console.backtest_types import JobNews

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_ROOT = Path(__file__).resolve().parents[3]
PROGRAM = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from daemon.console.jobs.worker import main; main()"
_READ_BYTES = 1 << 16
_LINE_BYTES_MAX = 1 << 16
"""Of a line of news; a longer one is something a library has printed."""
_TAIL_BYTES = 4_096
_WORDS_MAX = 300
_LINGER_S = 1.0
"""So long its pipes may stay open once it has ended: somebody else has them then."""
_THREADS = ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""A backtest has one thread, so that others have the remaining processors."""
_decode_news = msgspec.json.Decoder(JobNews).decode


class Child:
    """One such process.

    Args:
        on_start: told its process id.
        on_news: told what it says.
    """

    def __init__(self, on_start: Callable[[int], None], on_news: Callable[[JobNews], None]) -> None:
        self._on_start = on_start
        self._on_news = on_news
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False
        self._error = ""

    async def run(self, job: bytes, timeout_s: float) -> str:
        """Compute a job; return why it has come to nothing, unless its results are where the job says.

        Raises:
            OSError: it cannot be started.
        """
        kills = _kills_by_the_system()
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-c",
            PROGRAM,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",  # the name of a series is then no file's, wherever the daemon was started
            env=os.environ | dict.fromkeys(_THREADS, "1"),
            start_new_session=True,
        )
        if self._killed:
            self._end()
        self._on_start(process.pid)
        tail = asyncio.create_task(_tail(process.stderr))
        talking = {tail, asyncio.create_task(_send(process.stdin, job)), asyncio.create_task(self._listen())}
        timed_out = False
        try:
            async with asyncio.timeout(timeout_s):
                await process.wait()
        except TimeoutError:
            timed_out = True
            self._end()
        _, open_still = await asyncio.wait(talking, timeout=_LINGER_S)
        if open_still:
            self._end()
            await asyncio.wait(talking, timeout=_LINGER_S)
            for task in talking:
                task.cancel()
        if timed_out:
            return f"it took longer than {timeout_s:g} s (backtests.timeout_s)"
        code = await process.wait()
        words = tail.result() if tail.done() and not tail.cancelled() else ""
        return self._error or _reason(code, words, by_system=_kills_by_the_system() > kills)

    def kill(self) -> None:
        """End it, and whatever it has started; also if it has not been started yet."""
        self._killed = True
        if self._process is not None and self._process.returncode is None:
            self._end()

    def _end(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in _lines(self._process.stdout):
            try:
                news = _decode_news(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue  # something a library has printed
            self._error = news.error or self._error
            self._on_news(news)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield what comes, line by line; the beginning of a line that is too long is dropped."""
    kept = b""
    while more := await stream.read(_READ_BYTES):
        *whole, kept = (kept + more).split(b"\n")
        for line in whole:
            yield line
        if len(kept) > _LINE_BYTES_MAX:
            kept = b""


async def _send(stream: asyncio.StreamWriter | None, job: bytes) -> None:
    assert stream is not None
    with suppress(ConnectionError):
        stream.write(job)
        stream.write_eof()
        await stream.drain()


async def _tail(stream: asyncio.StreamReader | None) -> str:
    """Return the last line of what a process has complained of."""
    assert stream is not None
    kept = b""
    while more := await stream.read(_READ_BYTES):
        kept = (kept + more)[-_TAIL_BYTES:]
    lines = kept.decode(errors="replace").strip().splitlines()
    return "".join(character for character in lines[-1] if character.isprintable())[:_WORDS_MAX] if lines else ""


def _reason(code: int, words: str, *, by_system: bool) -> str:
    """Say why a process ended that has not said so itself."""
    said = f": {words}" if words else ""
    if code == -signal.SIGKILL and by_system:
        return "its process was killed by the system, because memory ran out"
    if code == -signal.SIGKILL:
        return "its process was killed (SIGKILL), by somebody, or by the system because memory ran out"
    if code == -signal.SIGABRT:
        return f"its process broke off (SIGABRT), as it does when memory runs out (backtests.memory_mb_max){said}"
    if code < 0:
        return f"its process was ended by {signal.strsignal(-code) or -code}{said}"
    return f"its process ended with exit code {code} and no results{said}"


def _kills_by_the_system() -> int:
    """Return how many processes the system has killed since it was started, as memory ran out."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
