"""Where kernels are cached, and that a second process compiles nothing."""

import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from numba.core import config as numba_config

from strategies.indicators import KINDS
from strategies.indicators.cache import (
    FOLDERS_MAX,
    find_cache_directory,
    say_once,
    set_cache_directory,
    turn,
    version_folder,
)
from strategies.indicators.kernels.compiled import VALUE, compiled, ready

MODULES = tuple(sorted({kind.kernels for kind in KINDS.values()}))

PATIENCE_S = 1_200
"""To compile every kernel takes two minutes on an idle machine."""

STATISTICS = """
import importlib, json, sys
from numba.core.dispatcher import Dispatcher
from strategies.indicators import ema
from strategies.indicators.kernels.compiled import ready

print("ready", flush=True)
modules = json.loads(sys.stdin.readline())
found = {}
for module in modules:
    family = importlib.import_module("strategies.indicators.kernels." + module)
    for name, kernel in vars(family).items():
        if isinstance(kernel, Dispatcher):
            stats = ready(kernel).stats
            found[name] = [sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]
(value,) = ema(1).start().step(7.0)
assert value == 7.0
print(json.dumps(found))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a machine of our own: nothing set, and every default below one directory."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return tmp_path


def block(path: Path) -> Path:
    """Make `path` a file, so that no directory can be made there, not even by root."""
    path.write_text("in the way")
    return path


def test_systemd_directory_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several the first one is meant."""
    monkeypatch.setenv("CACHE_DIRECTORY", f"{home / 'unit'}:{home / 'other'}")
    assert find_cache_directory() == home / "unit" / "numba"
    assert (home / "unit" / "numba").is_dir()
    assert not (home / "other").exists()


def test_users_directory_comes_next(home: Path) -> None:
    """No unit, no CACHE_DIRECTORY."""
    assert find_cache_directory() == home / "users" / "pitboss" / "numba"


def test_users_directory_stands_in_for_a_unit_directory_that_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong unit file costs a warm cache, not the start."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(block(home / "unit")))
    assert find_cache_directory() == home / "users" / "pitboss" / "numba"


def test_temporary_directory_comes_last_and_is_private(home: Path) -> None:
    """No home to write to, as under ProtectHome; a second start finds the same one."""
    block(home / "users")
    found = find_cache_directory()
    assert found == home / "temporary" / f"pitboss-numba-{os.getuid()}"
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    assert find_cache_directory() == found


def test_a_directory_that_takes_no_files_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It exists, yet writing fails, as on a read-only file system, where root fails as well."""
    unwritable = home / "unit" / "numba"
    unwritable.mkdir(parents=True)
    monkeypatch.setenv("CACHE_DIRECTORY", str(home / "unit"))
    original = tempfile.TemporaryFile

    def refuse(*, dir: Path) -> object:  # noqa: A002 - the name is tempfile's
        if dir == unwritable:
            raise OSError(30, "Read-only file system", str(dir))
        return original(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert find_cache_directory() == home / "users" / "pitboss" / "numba"


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_a_temporary_directory_prepared_by_others_is_refused(home: Path, kind: str) -> None:
    """Code is loaded from there: not from one that others may write, a link, or a file."""
    block(home / "users")
    planted = home / "temporary" / f"pitboss-numba-{os.getuid()}"
    if kind == "open":
        planted.mkdir()
        planted.chmod(0o777)
    elif kind == "link":
        (home / "elsewhere").mkdir(mode=0o700)
        planted.symlink_to(home / "elsewhere")
    else:
        block(planted)
    with pytest.raises(OSError, match=r"set NUMBA_CACHE_DIR: .*pitboss-numba-"):
        find_cache_directory()


def test_a_temporary_directory_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name tells the user, but anyone can make a directory of that name."""
    block(home / "users")
    stranger = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    (home / "temporary" / f"pitboss-numba-{stranger}").mkdir(mode=0o700)
    with pytest.raises(OSError, match=f"is not a directory of user {stranger} alone"):
        find_cache_directory()


def test_the_choice_reaches_numba(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the environment, and through numba's settings where it was imported already."""
    expected = str(home / "users" / "pitboss" / "numba" / version_folder())
    monkeypatch.setattr(numba_config, "CACHE_DIR", "")
    try:
        set_cache_directory()
        assert os.environ["NUMBA_CACHE_DIR"] == expected
        assert vars(numba_config)["CACHE_DIR"] == expected
    finally:
        del os.environ["NUMBA_CACHE_DIR"]


def test_a_users_own_choice_stands(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the version's folder in it, once, also where a parent process of ours has chosen."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(home / "mine"))
    for _ in range(2):
        set_cache_directory()
        assert os.environ["NUMBA_CACHE_DIR"] == str(home / "mine" / version_folder())
    assert not (home / "users").exists()


def test_folders_of_versions_used_no_more_are_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = home / "chosen"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(base))
    others = [base / f"kernels-{number:016x}" for number in range(10)]
    kept = [base / "kernels-mine", base / "numba", base / version_folder()]
    for age, folder in enumerate([*kept, *others]):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").touch()
        os.utime(folder, (1_000 - age, 1_000 - age))
    (base / "kernels-00000000000000ff").symlink_to(others[9])
    kept.append(base / "kernels-00000000000000ff")
    set_cache_directory()
    assert sorted(base.iterdir()) == sorted([*kept, *others[: FOLDERS_MAX - 1]])
    assert kept[2].stat().st_mtime > 1_000, "the one in use is the last that goes"


def test_a_change_of_any_part_gives_the_kernels_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba would not notice: it looks at the file a kernel stands in."""
    (tmp_path / "parts.py").write_text("one = 1")
    monkeypatch.setattr("strategies.indicators.cache._KERNELS", tmp_path)
    before = version_folder()
    (tmp_path / "parts.py").write_text("one = 2")
    assert version_folder() != before


@pytest.mark.slow
def test_a_kernel_is_compiled_when_it_is_asked_for_and_for_its_types_alone() -> None:
    @compiled(VALUE, VALUE)
    def doubled(value: float) -> float:
        return value * 2

    dispatcher: Any = doubled
    assert not dispatcher.signatures
    assert isinstance(ready(doubled)(2), float)
    assert dispatcher.signatures == [(VALUE,)]
    assert ready(doubled)(0.5) == 1.0
    with pytest.raises(TypeError, match="No matching definition"):
        dispatcher("2")


def statistics(modules: Sequence[str], environment: Mapping[str, str], processes: int) -> list[dict[str, list[int]]]:
    """Let processes load kernels at once, and give each one's cache hits and misses by kernel."""
    with ExitStack() as stack:
        started = []
        for _ in range(processes):
            command = [sys.executable, "-c", STATISTICS]
            process = stack.enter_context(Popen(command, env=environment, stdin=PIPE, stdout=PIPE, text=True))
            stack.callback(process.kill)
            started.append(process)
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write(json.dumps(modules) + "\n")
            process.stdin.flush()
        found = [json.loads(process.communicate(timeout=PATIENCE_S)[0]) for process in started]
        assert [process.returncode for process in started] == [0] * processes
        return found


@pytest.mark.slow
def test_processes_that_start_at_once_compile_each_kernel_once(tmp_path: Path) -> None:
    """On an empty cache both are right, neither breaks it, and what one compiles the other loads."""
    one, other = statistics(["quotes"], {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}, processes=2)
    kernels = [name for name in one if name.endswith(("_step", "_batch"))]
    assert kernels
    for name in kernels:
        assert sorted([one[name], other[name]]) == [[0, 1], [1, 0]], name
    (later,) = statistics(["quotes"], {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}, processes=1)
    assert {name: later[name] for name in kernels} == {name: [1, 0] for name in kernels}


@pytest.mark.slow
def test_a_second_process_compiles_nothing() -> None:
    """It has a hit for every kernel there is and not one miss; the first fills the cache that all tests share."""
    statistics(MODULES, os.environ, processes=1)
    (second,) = statistics(MODULES, os.environ, processes=1)
    kernels = {f"{kind.prefix}_{driver}" for kind in KINDS.values() for driver in ("step", "batch")}
    assert {name: second[name] for name in second if name.endswith(("_step", "_batch"))} == {
        name: [1, 0] for name in kernels
    }
    # Parts that are inlined into kernels are not even typed again.
    assert all(misses == 0 for _, misses in second.values())


def test_nobody_waits_for_ever_for_a_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process was stopped in its turn: then ours does the work as well."""
    monkeypatch.setattr("strategies.indicators.cache._TURN_TRIES_MAX", 2)
    with turn(tmp_path, "kernels"), turn(tmp_path, "kernels"), turn(tmp_path, "others"):
        assert {path.name for path in tmp_path.iterdir()} == {"kernels.lock", "others.lock"}
    with turn(block(tmp_path / "file"), "kernels"):
        pass


def test_a_person_is_told_once_why_the_first_start_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with turn(tmp_path, "kernel") as is_first:
        assert is_first
    with turn(tmp_path, "kernel") as is_first:
        assert not is_first
    say_once("a service reads no such line")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for _ in range(2):
        say_once("compiling")
    assert capsys.readouterr().err == "compiling\n"
