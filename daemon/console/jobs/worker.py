"""A backtest as a program: a job in, news of it out, its results into the database; it ends with the console.

It goes the way of `pitboss replay`, so that its numbers are the same.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

import msgspec

from daemon.console.backtest_types import JobNews, JobSpec

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_NICENESS = 10
"""Added to the console's own: what is traded comes first, and then who looks."""
_NEWS_S = 0.2
_THREAD_BYTES = 16 * 1024 * 1024
_EXIT_REFUSED = 2

_encode = msgspec.json.Encoder().encode


def main() -> None:
    """Compute the job that comes in; the argument is the process id of the console."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):  # where memory runs out, this is to go before anything that trades
            Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getppid() != int(sys.argv[1]):
        return
    with suppress(OSError):
        os.nice(_NICENESS)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=JobSpec)
    from actors.runtime.scheduler import CoreError
    from config.errors import UserError

    try:
        _run(job)
    except UserError as error:
        # a library that gets no memory may say anything of a file
        words = str(error).replace(f" in {job.data_dir}", "").replace(f"{job.data_dir}/", "")
        _refuse(f"{_without_memory(job)}: {words}" if _is_memory_used_up() else words)
    except CoreError as error:
        _refuse(f"the core failed: {error}")
    except MemoryError:
        _refuse(_without_memory(job))
    except RecursionError as error:
        _refuse(f"the replay ended: {type(error).__name__}: {error}")


def _tell(news: JobNews) -> None:
    sys.stdout.buffer.write(_encode(news) + b"\n")
    sys.stdout.buffer.flush()


def _refuse(reason: str) -> None:
    _tell(JobNews(error=reason))
    sys.stdout.flush()
    os._exit(_EXIT_REFUSED)


def _without_memory(job: JobSpec) -> str:
    return f"out of memory: it may take {job.memory_bytes >> 20} MiB beyond the program (backtests.memory_mb_max)"


def _is_memory_used_up() -> bool:
    """Return whether there is hardly room left for a thread below the limit."""
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return most != resource.RLIM_INFINITY and most - _space_bytes() < _THREAD_BYTES


def _space_bytes() -> int:
    """Return the address space in use; 0 where the system does not say it."""
    import resource

    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _limit_memory(more_bytes: int) -> None:
    """Let the process take so much beyond what it has now; of address space, which is never less than memory."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used_bytes = _space_bytes()
    if used_bytes:
        most = used_bytes + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _run(job: JobSpec) -> None:
    from actors.instrument import Instrument
    from config.load import check_settings
    from daemon.commands.inputs import tape_from, with_series
    from daemon.console.jobs.results import Watcher, stored
    from daemon.console.jobs.store import Store
    from replay.driver import replay_tape
    from replay.plan import check_strategies

    settings = check_settings(job.settings, "settings")
    check_strategies(settings)
    import_module("polars")
    _limit_memory(job.memory_bytes)
    opened_at = perf_counter()
    played = tape_from(job.tape, None, job.timeframe, settings, None, Path(job.data_dir), job.span)
    tape, _ = with_series(*played, job.series, Path(job.data_dir))
    if tape.rows is None:
        message = "the tape never ends"
        raise RuntimeError(message)
    instruments = {one.symbol: Instrument(one.instrument) for one in tape.series}
    watcher = Watcher(instruments)
    progress = _progress()
    _tell(JobNews(total=tape.rows))
    summary = replay_tape(settings, tape, recorder=watcher, progress=progress, opened_at=opened_at)
    result, pieces = stored(summary, tape, watcher, instruments)
    figures = {
        "bars_done": summary.bars,
        "bars_total": tape.rows,
        "final_equity": summary.final_equity,
        "fills": summary.fills,
        "trades": summary.trades,
        "sharpe": summary.sharpe,
        "max_drawdown": summary.max_drawdown,
    }
    Store(Path(job.store)).finish(job.id, figures, result, pieces)


def _progress() -> Callable[[int], None]:
    """Return what says now and then how many bars are done."""
    said_s = monotonic()

    def say(done: int) -> None:
        nonlocal said_s
        if done and monotonic() - said_s >= _NEWS_S:
            said_s = monotonic()
            _tell(JobNews(done=done))

    return say
