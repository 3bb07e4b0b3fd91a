"""A journal that is not what was written: refused in one line with exit code 2, and nothing on disk is touched."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.runtime.journal import FILE_NAME

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

BARS = 300
SNAPSHOT_INPUTS = 120
TAPE = ("--synthetic", f"11:{BARS}")
Play = Callable[..., "Run"]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the journal of an ended run is kept, once it has been made."""
    return tmp_path_factory.mktemp("healthy") / "state"


@pytest.fixture
def play(invoke: Callable[..., Run], chaos: type) -> Play:
    """Return a runner of the session on a state directory, to the end of its tape."""

    def play(state: Path, *arguments: str) -> Run:
        fixed = ("--state-dir", str(state), "--port", "0", "--speed", "0", "--exit-at-end", *TAPE)
        settings = ("--set", f"journal.snapshot_inputs={SNAPSHOT_INPUTS}")
        return invoke("run", *fixed, "--strategy", chaos.grid, *settings, *arguments)  # type: ignore[attr-defined]

    return play


@pytest.fixture
def state(healthy: Path, tmp_path: Path, play: Play) -> Path:
    """Return a copy of a healthy state directory to spoil."""
    if not healthy.exists():
        assert play(healthy).code == 0
    shutil.copytree(healthy, tmp_path / "state")
    assert not (tmp_path / "state" / f"{FILE_NAME}-wal").exists()
    return tmp_path / "state"


def rows(statement: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            before = db.total_changes
            db.executescript(statement)
            assert db.total_changes > before or "PRAGMA" in statement, "the test changes nothing"

    return spoil


def content(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return spoil


def flip(column: str, seq: int) -> Callable[[Path], None]:
    """Flip one bit in the midst of a record's blob."""

    def spoil(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            ((blob,),) = db.execute(f"SELECT {column} FROM inputs WHERE seq = ?", (seq,))
            spoilt = bytearray(blob)
            spoilt[len(spoilt) // 2] ^= 1
            db.execute(f"UPDATE inputs SET {column} = ? WHERE seq = ?", (bytes(spoilt), seq))

    return spoil


def first_with_effects(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        ((seq,),) = db.execute("SELECT min(seq) FROM inputs WHERE effects IS NOT NULL")
    return int(seq)


def flip_effects(path: Path) -> None:
    flip("effects", first_with_effects(path))(path)


SWAP = """
CREATE TEMP TABLE kept AS SELECT seq, ts_ns, payload, effects, digest, chain FROM inputs WHERE seq IN (50, 51);
UPDATE inputs SET (ts_ns, payload, effects, digest, chain) =
    (SELECT ts_ns, payload, effects, digest, chain FROM kept WHERE kept.seq = 101 - inputs.seq) WHERE seq IN (50, 51);
"""
NEWEST = "(SELECT max(seq) FROM inputs)"

RECORDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "payload of an early input": (flip("payload", 3), "corrupt at input 3:"),
    "payload of a late input": (flip("payload", BARS), f"corrupt at input {BARS}:"),
    "digest": (flip("digest", 200), "corrupt at input 200:"),
    "chain": (flip("chain", 40), "corrupt at input 40:"),
    "effects": (flip_effects, "corrupt at input "),
    "effects gone": (rows("UPDATE inputs SET effects = NULL"), "corrupt at input "),
    "time": (rows("UPDATE inputs SET ts_ns = ts_ns + 1 WHERE seq = 77"), "corrupt at input 77:"),
    "first row gone": (rows("DELETE FROM inputs WHERE seq = 1"), "corrupt at input 1:"),
    "middle row gone": (rows("DELETE FROM inputs WHERE seq = 150"), "corrupt at input 150:"),
    "rows swapped": (rows(SWAP), "corrupt at input 50:"),
    "row moved": (rows("UPDATE inputs SET seq = 9999 WHERE seq = 60"), "corrupt at input 60:"),
    "row doubled": (
        rows(
            "INSERT INTO inputs (session, seq, run, ts_ns, payload, effects, digest, chain)"
            f" SELECT session, seq + 1, run, ts_ns, payload, effects, digest, chain FROM inputs WHERE seq = {NEWEST}"
        ),
        "corrupt at input ",
    ),
}
"""What the chain of records shows, to whoever reads it."""

START: dict[str, tuple[Callable[[Path], None], str]] = {
    "last row gone": (rows(f"DELETE FROM inputs WHERE seq = {NEWEST}"), "stands on no record of the journal"),
    "many last rows gone": (rows("DELETE FROM inputs WHERE seq > 130"), "stands on no record of the journal"),
    "snapshot": (
        rows("UPDATE snapshots SET state = CAST(substr(state, 1, 99) || x'00' || substr(state, 101) AS BLOB)"),
        "is not what was written",
    ),
    "snapshot cut": (rows("UPDATE snapshots SET state = substr(state, 1, 50)"), "is not what was written"),
    "snapshot of another place": (rows("UPDATE snapshots SET seq = seq - 1"), "is not what was written"),
}
"""What only a start needs."""

FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a plan that is none": (rows("UPDATE sessions SET plan = x'7b7d'"), "plan cannot be read"),
    "a plan that is no JSON": (rows("UPDATE sessions SET plan = x'ff'"), "plan cannot be read"),
    "a newer pitboss's": (rows("PRAGMA user_version = 99"), "written by a newer pitboss (schema 99,"),
    "a stranger's": (rows("PRAGMA application_id = 7"), "is not a pitboss journal"),
    "a table gone": (rows("PRAGMA foreign_keys = 0; DROP TABLE inputs"), "corrupt or unreadable journal"),
    "text": (content(lambda _: b"dear diary\n" * 1_000), "corrupt or unreadable journal"),
    "noise": (content(lambda data: bytes(byte ^ 0x5A for byte in data)), "corrupt or unreadable journal"),
    "cut in half": (content(lambda data: data[: len(data) // 2]), "corrupt or unreadable journal"),
    "cut to one page": (content(lambda data: data[:4_096]), "corrupt or unreadable journal"),
    "cut within the head": (content(lambda data: data[:60]), "journal"),
    "a head of zeros": (content(lambda data: bytes(100) + data[100:]), "corrupt or unreadable journal"),
}
"""What nobody can read."""


def the_line(run: Run) -> str:
    """Return the one line on standard error of a command that ended with exit code 2."""
    assert (run.code, run.output) == (2, ""), run
    (line,) = run.errors.splitlines()
    return line


@pytest.mark.parametrize("what", [*RECORDS, *START, *FILES])
def test_a_start_on_a_corrupt_journal_is_refused_and_changes_nothing(
    state: Path, play: Play, disk: Callable[[Path], dict[str, bytes]], what: str
) -> None:
    spoil, reason = (RECORDS | START | FILES)[what]
    spoil(state / FILE_NAME)
    before = disk(state)

    line = the_line(play(state))

    assert line.startswith("pitboss: ")
    assert reason in line
    assert disk(state) == before


@pytest.mark.parametrize("what", [*RECORDS, *FILES])
@pytest.mark.parametrize("command", ["replay", "export"])
def test_a_corrupt_journal_is_neither_replayed_nor_exported(
    state: Path,
    invoke: Callable[..., Run],
    tmp_path: Path,
    disk: Callable[[Path], dict[str, bytes]],
    command: str,
    what: str,
) -> None:
    spoil, reason = (RECORDS | FILES)[what]
    spoil(state / FILE_NAME)
    before = disk(state)
    out = ("--out", str(tmp_path / "out")) if command == "export" else ()

    line = the_line(invoke("journal", command, "--state-dir", str(state), *out))

    assert reason in line
    assert disk(state) == before


@pytest.mark.parametrize("what", [*RECORDS, *FILES])
def test_the_doctor_finds_a_corrupt_journal(state: Path, invoke: Callable[..., Run], what: str) -> None:
    spoil, reason = (RECORDS | FILES)[what]
    spoil(state / FILE_NAME)

    run = invoke("doctor", "--state-dir", str(state), "--set", "http.port=0", "--json")

    (finding,) = [row for row in run.json if row["check"] == "journal"]
    assert (run.code, finding["verdict"]) == (1, "error")
    assert reason in finding["detail"]


def test_a_journal_that_is_a_directory_is_refused(state: Path, play: Play) -> None:
    (state / FILE_NAME).unlink()
    (state / FILE_NAME).mkdir()

    assert "journal" in the_line(play(state))


def test_a_healthy_copy_is_not_refused(state: Path, play: Play) -> None:
    assert play(state).code == 0


@pytest.mark.parametrize("what", ["payload of an early input", "last row gone", "snapshot"])
def test_a_new_session_does_not_start_on_records_that_cannot_be_trusted(state: Path, play: Play, what: str) -> None:
    """Its account would come from them; where only a snapshot is at fault, the records still tell it."""
    spoil, _ = (RECORDS | START)[what]
    spoil(state / FILE_NAME)

    run = play(state, "--new-session")

    assert run.code == (2 if what in RECORDS else 0)
