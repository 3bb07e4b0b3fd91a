"""Where kernels are cached, and that a second process compiles nothing."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from numba.core import config as numba_config

from strategies.indicators import KINDS
from strategies.indicators.cache import find_cache_directory, set_cache_directory, version_folder

MODULES = tuple(sorted({kind.kernels for kind in KINDS.values()}))

STATISTICS = f"""
import importlib, json
from numba.core.dispatcher import Dispatcher
from strategies.indicators import ema

(value,) = ema(1).start().step(7.0)
assert value == 7.0
found = {{}}
for module in {MODULES!r}:
    family = importlib.import_module("strategies.indicators.kernels." + module)
    for name, kernel in vars(family).items():
        if isinstance(kernel, Dispatcher):
            stats = kernel.stats
            found[name] = [sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]
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


def test_a_change_of_any_part_gives_the_kernels_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba would not notice: it looks at the file a kernel stands in."""
    (tmp_path / "parts.py").write_text("one = 1")
    monkeypatch.setattr("strategies.indicators.cache._KERNELS", tmp_path)
    before = version_folder()
    (tmp_path / "parts.py").write_text("one = 2")
    assert version_folder() != before


def statistics(cache: Path) -> dict[str, list[int]]:
    """Run a process that loads all kernels and give each one's cache hits and misses."""
    run = subprocess.run(
        [sys.executable, "-c", STATISTICS],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[int]] = json.loads(run.stdout)
    return found


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    """The first one compiles every kernel, the second has a hit for each and not one miss."""
    first, second = statistics(tmp_path), statistics(tmp_path)
    kernels = {name for name in first if name.endswith(("_step", "_batch"))}
    assert kernels == {f"{kind.prefix}_{driver}" for kind in KINDS.values() for driver in ("step", "batch")}
    assert {name: first[name] for name in kernels} == {name: [0, 1] for name in kernels}
    assert {name: second[name] for name in kernels} == {name: [1, 0] for name in kernels}
    # Parts that are inlined into kernels are not even typed again.
    assert all(misses == 0 for _, misses in second.values())
