"""A disk that takes nothing more: trading halts, says so, loses nothing, and goes on only when told to."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.messages import Bar, Halt
from actors.runtime.journal import FILE_NAME, JournalReader, decode_input
from replay.run import replay
from replay.tape import synthetic_tape

if TYPE_CHECKING:
    from tests.daemon.conftest import Daemon, Nursery, Run

pytestmark = pytest.mark.slow

GRACE_S = 5.0
TAPE = "11:4000"


def check_halted(daemon: Daemon, reason: str) -> Any:
    """Check everything a daemon must do while its journal takes nothing."""
    status = daemon.wait_for(lambda s: s["state"] == "halted", "halted")
    assert reason in status["reason"]
    readiness = daemon.get("/readyz", token=None)
    assert (readiness.status, readiness.body["ready"], readiness.body["state"]) == (503, False, "halted")
    assert reason in readiness.body["reason"]
    assert daemon.get("/healthz", token=None).status == 200
    for action in ("pause", "resume", "flatten", "stop"):
        refused = daemon.command(action)
        assert (refused.status, reason in refused.body["error"]) == (503, True)
    stuck = daemon.status()
    assert stuck["durable_seq"] < stuck["last_input"]["seq"]
    return stuck


def check_latched(daemon: Daemon, stuck: Any) -> None:
    """Check that trading stays halted once the journal takes records again, until it is told to go on."""
    latched = daemon.wait_for(lambda s: s["durable_seq"] > stuck["last_input"]["seq"] + 5, "inputs again")
    assert latched["state"] == "halted"
    assert latched["reason"].startswith("journal: ")
    assert daemon.get("/readyz", token=None).status == 200
    later = daemon.wait_for(lambda s: s["last_input"]["seq"] > latched["last_input"]["seq"] + 20, "twenty more")
    assert later["state"] == "halted"
    assert daemon.command("resume").status == 202
    assert daemon.status()["state"] == "running"


def check_nothing_lost(daemon: Daemon) -> None:
    """Check that every bar of the tape up to the last is in the journal, once, and that it replays."""
    reader = JournalReader(daemon.state_dir / FILE_NAME)
    inputs = [decode_input(record.payload) for record in reader.records(1)]
    reader.close()
    bars = [message for message in inputs if isinstance(message, Bar)]
    assert bars == list(synthetic_tape(f"7:{len(bars)}").bars())
    assert [message for message in inputs if isinstance(message, Halt)]
    assert daemon.replayed().equal


def test_a_journal_at_its_size_halts_ends_in_time_and_recovers_its_durable_prefix(
    start: Nursery, invoke: Callable[..., Run], chaos: Any
) -> None:
    daemon = start("--set", "journal.size_mb_max=1", tape=("--synthetic", TAPE), strategy=chaos.grid, speed=0)
    stuck = check_halted(daemon, "database or disk is full")
    daemon.eventually(lambda: daemon.events("halted"), "the log says so")
    asked_s = time.monotonic()

    assert daemon.end() == 1

    assert time.monotonic() - asked_s < GRACE_S
    (lost,) = daemon.events("not_durable")
    assert lost["inputs"] == stuck["last_input"]["seq"] - stuck["durable_seq"]
    report = daemon.replayed()
    assert (report.equal, report.inputs) == (True, stuck["durable_seq"])
    again = ("run", "--state-dir", str(daemon.state_dir), "--port", "0", "--speed", "0", "--exit-at-end")
    assert invoke(*again, "--synthetic", TAPE, "-s", chaos.grid, "--set", "journal.size_mb_max=200").code == 0
    assert daemon.replayed().equal
    assert chaos.snapshot(daemon.state_dir)["digest"] == replay(synthetic_tape(TAPE), chaos.grid).summary.digest


def test_a_start_on_a_journal_that_a_stranger_holds_is_refused_in_one_line(
    invoke: Callable[..., Run], chaos: Any, tmp_path: Path
) -> None:
    arguments = ("run", "--state-dir", str(tmp_path), "--port", "0", "--speed", "0", "--exit-at-end")
    assert invoke(*arguments, "--synthetic", "11:50", "-s", chaos.grid).code == 0
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")

        refusal = invoke(*arguments, "--synthetic", "11:50", "-s", chaos.grid).refusal

    assert refusal == f"{path}: cannot be written: database is locked"


def limit_file_size(daemon: Daemon, size: int) -> None:
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_trading_stays_halted_when_space_returns_until_it_is_told_to_go_on(start: Nursery) -> None:
    daemon = start(strategy=start.holder)
    log = daemon.state_dir / f"{FILE_NAME}-wal"
    daemon.wait_for(lambda s: s["positions"] and log.stat().st_size > 100_000, "a position, and a log of some size")

    limit_file_size(daemon, log.stat().st_size // 2)
    stuck = check_halted(daemon, "journal: ")
    limit_file_size(daemon, resource.RLIM_INFINITY)

    check_latched(daemon, stuck)
    assert daemon.events("journal_recovered")
    assert daemon.end() == 0
    check_nothing_lost(daemon)


def test_a_disk_that_takes_nothing_at_all_is_refused_in_one_line(tmp_path: Path) -> None:
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))\n"
        "from daemon.cli import main\n"
        "sys.argv = ['pitboss', 'run', '--port', '0', '--synthetic', '7:5', '--state-dir', sys.argv[1]]\n"
        "main()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "state")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"pitboss: {tmp_path / 'state' / FILE_NAME}: ")


def test_a_stranger_who_holds_the_journal_halts_trading_and_no_command_is_promised(start: Nursery) -> None:
    daemon = start(strategy=start.holder)
    daemon.wait_for(lambda s: s["positions"], "a position")
    with closing(sqlite3.connect(daemon.state_dir / FILE_NAME, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        early = daemon.command("pause", "early")
        stuck = check_halted(daemon, "database is locked")
        stranger.execute("ROLLBACK")

        assert early.status == 503
        assert "may still be carried out" in early.body["error"] or "halted" in early.body["error"]
        check_latched(daemon, stuck)
        assert daemon.command("pause", "early").status == 202

        stranger.execute("BEGIN IMMEDIATE")
        daemon.wait_for(lambda s: "locked" in s["reason"], "halted again")
        asked_s = time.monotonic()
        assert daemon.end() == 1
        assert time.monotonic() - asked_s < GRACE_S
        stranger.execute("ROLLBACK")

    check_nothing_lost(daemon)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 3 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_really_full_halts_trading_even_where_the_log_lies_on_it(
    start: Nursery, small_disk: Path, chaos: Any
) -> None:
    start.folder = small_disk
    daemon = start(speed=60_000, strategy=start.holder)
    filler = small_disk / "filler"
    daemon.wait_for(lambda s: s["positions"], "a position")
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4_096))
    whole = json.loads((daemon.state_dir / "snapshot.json").read_bytes())

    stuck = check_halted(daemon, "journal: ")
    assert chaos.snapshot(daemon.state_dir)["session"] == whole["session"]
    filler.unlink()

    check_latched(daemon, stuck)
    assert {actor["restarts"] for actor in daemon.status()["actors"]} == {0}
    assert daemon.end(signal.SIGINT) == 0
    check_nothing_lost(daemon)
