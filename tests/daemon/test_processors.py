"""On two processors, the core keeps to the one and its console to the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.schema import Console
from daemon.processors import console_processors, core_apart, step_aside
from tests.daemon.conftest import Nursery, eventually

if not hasattr(os, "sched_getaffinity"):
    pytest.skip("processes are not kept to processors here", allow_module_level=True)


@pytest.fixture
def allowed() -> Iterator[list[int]]:
    """The processors we have; whoever is run on fewer has them again."""
    all_of_them = os.sched_getaffinity(0)
    yield sorted(all_of_them)
    os.sched_setaffinity(0, all_of_them)


@pytest.fixture
def two(allowed: list[int]) -> list[int]:
    """The two processors this thread, and whatever it starts, runs on."""
    if len(allowed) < 2:
        pytest.skip("this machine has one processor")
    os.sched_setaffinity(0, allowed[:2])
    return allowed[:2]


def of_threads(pid: int) -> list[list[int]]:
    """Return the processors that each thread of a process runs on, the main thread's first."""
    threads = sorted(int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir())
    return [sorted(os.sched_getaffinity(thread)) for thread in threads]


def test_the_core_and_the_console_have_a_processor_each(start: Nursery, two: list[int]) -> None:
    daemon = start("--set", "console.enabled=true")
    console = int(daemon.events("console_started")[-1]["pid"])

    eventually(lambda: of_threads(console).count(two[1:]) == len(of_threads(console)), "it has stepped aside")
    core, *others = of_threads(daemon.pid)
    assert core == two[:1]
    assert two[:1] in others, "the thread that writes the journal is there, too"


def test_a_console_that_is_started_again_runs_where_the_last_one_ran(start: Nursery, two: list[int]) -> None:
    daemon = start("--set", "console.enabled=true")
    first = int(daemon.events("console_started")[-1]["pid"])

    os.kill(first, 9)

    again = eventually(lambda: daemon.events("console_started")[1:], "a second console")[-1]["pid"]
    eventually(lambda: os.sched_getaffinity(again) == set(two[1:]), "it has stepped aside")
    assert os.getpriority(os.PRIO_PROCESS, again) == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)


def test_they_share_where_the_settings_say_so(start: Nursery, two: list[int]) -> None:
    daemon = start("--set", "console.enabled=true", "--set", "console.own_processor=false")
    console = int(daemon.events("console_started")[-1]["pid"])

    assert os.sched_getaffinity(daemon.pid) == os.sched_getaffinity(console) == set(two)


def test_a_daemon_without_a_console_runs_anywhere(start: Nursery, two: list[int]) -> None:
    daemon = start()

    assert all(processors == two for processors in of_threads(daemon.pid))


def test_one_processor_is_shared(allowed: list[int]) -> None:
    os.sched_setaffinity(0, allowed[-1:])

    theirs = console_processors(Console())

    assert not theirs
    with core_apart(theirs):
        assert os.sched_getaffinity(0) == set(allowed[-1:])


def test_of_many_the_console_leaves_one_and_the_core_is_free() -> None:
    before = os.sched_getaffinity(0)

    with core_apart({1, 2, 3}):
        assert os.sched_getaffinity(0) == before


def test_the_core_runs_anywhere_afterwards(two: list[int]) -> None:
    with core_apart(console_processors(Console())):
        assert os.sched_getaffinity(0) == set(two[:1])

    assert os.sched_getaffinity(0) == set(two)


def test_where_the_system_does_not_let_us_nothing_changes() -> None:
    def aside() -> set[int]:
        step_aside({1_000})
        return os.sched_getaffinity(0)

    before = os.sched_getaffinity(0)

    with ThreadPoolExecutor(1) as threads:  # a priority that was lowered does not rise again
        assert threads.submit(aside).result() == before
