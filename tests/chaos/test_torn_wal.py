"""A write-ahead log torn by a power cut: what opens is exactly a committed prefix, and the session goes on from it.

`kill -9` leaves the page cache whole, so it never tears a file. Here the log of a killed daemon is cut,
garbled, zeroed or overgrown at offsets from a seed, as a disk may leave what was not synced.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.journal import FILE_NAME, JournalReader

if TYPE_CHECKING:
    from tests.chaos.conftest import World
    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

SEED = 307
TEARS = 96
CONTINUED = 8
WAL_HEAD = 32
FRAME_HEAD = 24
CHECKPOINT_FRAMES = 1_000
"""SQLite copies the log into the file beyond this; frames copied were synced, and cannot be torn."""


@dataclass(frozen=True)
class Torn:
    """A killed daemon's journal, and where in its log each commit ends."""

    folder: Path
    wal: bytes
    commits: list[tuple[int, int]]
    """(offset of the end, newest input durable there), from the first commit with a running session on."""

    def durable_before(self, offset: int) -> int:
        """Return the newest input of the last commit that ends at or before `offset`."""
        return max(seq for end, seq in self.commits if end <= offset)


def commit_ends(wal: bytes) -> list[int]:
    page_size = int.from_bytes(wal[8:12], "big")
    frame_size = FRAME_HEAD + page_size
    ends = []
    for start in range(WAL_HEAD, len(wal) - frame_size + 1, frame_size):
        assert wal[start + 8 : start + 16] == wal[16:24], "a frame of an earlier log: a checkpoint has been"
        if int.from_bytes(wal[start + 4 : start + 8], "big"):
            ends.append(start + frame_size)
    return ends


def place(source: Path, folder: Path, wal: bytes) -> Path:
    """Make a state directory with this log; return the journal's path."""
    folder.mkdir(parents=True)
    shutil.copy(source / FILE_NAME, folder)
    (folder / f"{FILE_NAME}-wal").write_bytes(wal)
    return folder / FILE_NAME


def look(path: Path) -> tuple[int, int] | None:
    """Return (runs, newest input) as SQLite sees them, None without tables."""
    with closing(sqlite3.connect(path)) as db:
        try:
            ((runs, seq),) = db.execute(
                "SELECT (SELECT count(*) FROM runs), (SELECT coalesce(max(seq), 0) FROM inputs)"
            )
        except sqlite3.OperationalError:
            return None
    return int(runs), int(seq)


def kill_in_the_midst(start: Nursery, world: World) -> Torn:
    daemon = start(
        *("--set", "journal.batch_max=8", "--set", "journal.snapshot_inputs=60"),
        tape=world.tape,
        strategy=world.strategy,
        speed=4_000,
    )
    log = daemon.state_dir / f"{FILE_NAME}-wal"
    daemon.eventually(lambda: log.stat().st_size > 400 * 4_120, "a log of some length")
    daemon.kill()
    wal = log.read_bytes()
    ends = commit_ends(wal)
    assert len(wal) < CHECKPOINT_FRAMES * 4_120
    commits = []
    for number, end in enumerate(ends):
        found = look(place(daemon.state_dir, start.folder / f"whole-{number}", wal[:end]))
        if found is not None and found[0] == 1:
            commits.append((end, found[1]))
    return Torn(daemon.state_dir, wal, commits)


def tear(wal: bytes, offset: int, how: str, chance: random.Random) -> bytes:
    match how:
        case "cut":
            return wal[:offset]
        case "garbled":
            noise = bytes(byte ^ chance.randrange(1, 256) for byte in wal[offset : offset + chance.randrange(1, 40)])
            return wal[:offset] + noise + wal[offset + len(noise) :]
        case "zeroed":
            return wal[:offset] + bytes(len(wal) - offset)
        case "overgrown":
            return wal[:offset] + chance.randbytes(len(wal) - offset + 5_000)
        case _:
            raise AssertionError(how)


def first_difference(wal: bytes, torn: bytes) -> int:
    """Return where a torn log parts from the whole one: zeros over zeros tear nothing."""
    return next((at for at, pair in enumerate(zip(wal, torn, strict=False)) if pair[0] != pair[1]), len(torn))


def test_a_torn_log_opens_to_exactly_a_committed_prefix_and_goes_on_from_it(
    start: Nursery, invoke: Callable[..., Run], worlds: Callable[[str], World], chaos: Any
) -> None:
    world = worlds("one")
    torn = kill_in_the_midst(start, world)
    chance = random.Random(SEED)
    assert len(torn.commits) > 30
    first = torn.commits[0][0]
    inside = [chance.randrange(first, len(torn.wal)) for _ in range(TEARS - 24)]
    at_seams = [end + chance.choice((-1, 0, 1, FRAME_HEAD)) for end, _ in chance.sample(torn.commits[1:-1], 24)]
    prefixes = set()
    for number, offset in enumerate([*inside, *at_seams]):
        how = ("cut", "garbled", "zeroed", "overgrown")[number % 4]
        folder = start.folder / f"torn-{number}"

        wal = tear(torn.wal, offset, how, chance)
        path = place(torn.folder, folder, wal)

        offset = first_difference(torn.wal, wal)  # noqa: PLW2901 - from here on the tear is where it shows
        whole = (number, how, offset)
        reader = JournalReader(path)
        seqs = [record.seq for record in reader.records(1)]
        snapshots = reader.newest_snapshots(1)
        reader.close()
        assert seqs == list(range(1, torn.durable_before(offset) + 1)), whole
        assert all(snapshot.seq <= len(seqs) for snapshot in snapshots), whole
        prefixes.add(len(seqs))
        if number % (TEARS // CONTINUED) == 0:
            run = invoke(
                *("run", "--state-dir", str(folder), "--port", "0", "--speed", "0", "--exit-at-end"),
                *(*world.tape, "--strategy", str(world.strategy)),
            )
            assert run.code == 0, (whole, run.errors)
            assert chaos.outcome(chaos.snapshot(folder)) == world.undisturbed, whole
    assert len(prefixes) > 20
