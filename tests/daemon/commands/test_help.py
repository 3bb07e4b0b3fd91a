"""The command line before it does anything: help, completion, and a quick start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

COMMANDS = [
    (),
    ("replay",),
    ("run",),
    ("record",),
    ("exchange",),
    ("demo",),
    ("panic",),
    ("doctor",),
    ("tui",),
    ("ctl",),
    ("ctl", "status"),
    ("ctl", "pause"),
    ("ctl", "resume"),
    ("ctl", "flatten"),
    ("ctl", "stop"),
    ("ctl", "close"),
    ("ctl", "cancel"),
    ("ctl", "restart"),
    ("ctl", "tighten"),
    ("journal",),
    ("journal", "replay"),
    ("journal", "diff"),
    ("journal", "export"),
    ("alerts",),
    ("alerts", "test"),
    ("data",),
    ("data", "list"),
    ("data", "show"),
    ("data", "rm"),
    ("data", "resample"),
    ("data", "check"),
    ("data", "import"),
    ("data", "download"),
    ("data", "synthesize"),
]
HEAVY = ("numba", "polars", "aiohttp", "textual", "apprise", "numpy", "anyio", "uvloop", "aiosqlite")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_explains_itself(invoke: Callable[..., Run], command: tuple[str, ...], flag: str) -> None:
    run = invoke(*command, flag)

    assert (run.code, run.errors) == (0, "")
    assert f"Usage: {' '.join(('pitboss', *command))}" in run.output
    assert len(run.output.splitlines()) > 5


def test_the_exit_codes_are_documented(invoke: Callable[..., Run]) -> None:
    text = " ".join(invoke("--help").output.split())

    assert "Exit codes: 0 done, 1 it ran and something is wrong" in text
    assert "2 it was asked wrongly" in text


@pytest.mark.parametrize("command", [(), ("ctl",), ("journal",), ("data",)])
def test_a_group_without_a_command_shows_its_help(invoke: Callable[..., Run], command: tuple[str, ...]) -> None:
    run = invoke(*command)

    assert run.code == 2
    assert "Usage: pitboss" in run.output


@pytest.mark.slow
def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys, json\n"
        "sys.argv = ['pitboss', '--help']\n"
        "from daemon.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert not set(HEAVY) & set(json.loads(done.stderr))
    assert "Usage: pitboss" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed_for_each_shell(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PITBOSS_COMPLETE", f"source_{shell}")
    program = "import sys; sys.argv[0] = 'pitboss'; from daemon.cli import main; main()"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert "_PITBOSS_COMPLETE=complete_" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_assertions_cannot_be_switched_off() -> None:
    done = subprocess.run(
        [sys.executable, "-O", "-m", "daemon.cli", "replay", "--synthetic", "7:5"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "pitboss: does not run under python -O: its assertions guard money\n"
