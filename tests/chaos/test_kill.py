"""`kill -9` at moments drawn from a seed: whatever the moment, the session ends as if nothing had happened.

Every session is one journal that several processes write, each killed at its moment, the last one left to
finish. Its outcome must equal that of a run that was never disturbed, and its journal must replay to it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from config.load import load_settings
from replay.driver import replay_tape
from replay.run import load_tape, replay
from replay.tape import synthetic_tape

if TYPE_CHECKING:
    from tests.chaos.conftest import World
    from tests.daemon.conftest import Daemon, Nursery

pytestmark = pytest.mark.slow


class Session(NamedTuple):
    """One session to disturb."""

    seed: int
    world: str
    snapshot_inputs: int
    batch_max: int
    kills: int


SESSIONS = (
    Session(101, "one", 50, 4_096, 10),
    Session(102, "one", 1_000_000, 4_096, 10),
    Session(103, "one", 1, 16, 10),
    Session(104, "two", 333, 4_096, 6),
    Session(105, "two", 7, 64, 6),
    Session(106, "one", 5_000, 1, 10),
)
KILLS_MIN = 50
IN_RECOVERY = 0.3
"""Share of the kills that hit a process before it is ready."""
SPEED = 150_000


def test_the_sessions_are_killed_often_enough() -> None:
    assert sum(session.kills for session in SESSIONS) >= KILLS_MIN
    assert len({session.seed for session in SESSIONS}) == len(SESSIONS)


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: f"seed={session.seed}")
def test_a_session_killed_at_any_moments_ends_as_if_never_killed(
    start: Nursery, worlds: Callable[[str], World], chaos: Any, session: Session
) -> None:
    world = worlds(session.world)
    arguments = (
        *world.more,
        *("--set", f"journal.snapshot_inputs={session.snapshot_inputs}"),
        *("--set", f"journal.batch_max={session.batch_max}"),
        *("--set", "journal.snapshots_kept=2"),
    )
    chance = random.Random(session.seed)
    moments = sorted(chance.randrange(1, world.inputs) for _ in range(session.kills))
    killed: list[str] = []
    for moment in moments:
        daemon = start(*arguments, tape=world.tape, strategy=world.strategy, speed=SPEED, ready=False)
        if chance.random() < IN_RECOVERY:
            until_it_has_begun(daemon)
            time.sleep(chance.uniform(0, 0.05))
            killed.append("in recovery" if not (daemon.state_dir / "endpoint.json").exists() else "early")
        else:
            until_it_has_reached(daemon, chaos, moment)
            time.sleep(chance.uniform(0, 0.004))
            killed.append(f"at {chaos.durable_seq(daemon.state_dir)[1]}")
        daemon.kill()

    last = start(*arguments, "--exit-at-end", tape=world.tape, strategy=world.strategy, speed=0, ready=False)

    assert last.wait() == 0, (killed, last.log_text())
    assert chaos.outcome(last.snapshot()) == world.undisturbed, killed
    report = last.replayed()
    assert (report.equal, report.inputs, report.unverified_tail) == (True, world.inputs, 0), killed
    assert report.digest_live == world.undisturbed["digest"]
    assert len(killed) == session.kills


def until_it_has_begun(daemon: Daemon) -> None:
    """Wait until the process has taken the state directory: it recovers from here on."""
    lock = daemon.state_dir / "daemon.lock"
    daemon.eventually(lambda: lock.exists() and lock.read_text() == f"{daemon.pid}\n", "the lock is taken")


def until_it_has_reached(daemon: Daemon, chaos: Any, seq: int) -> None:
    """Wait until this very process has made inputs up to `seq` durable."""
    until_it_has_begun(daemon)
    before = chaos.durable_seq(daemon.state_dir)

    def reached() -> bool:
        run, newest = chaos.durable_seq(daemon.state_dir)
        return bool(newest >= seq and (run > before[0] or newest > before[1]))

    daemon.eventually(reached, f"input {seq} is durable:\n{daemon.log_text()}")


def test_an_undisturbed_run_decides_as_a_replay_of_one_tape(worlds: Callable[[str], World]) -> None:
    world = worlds("one")

    result = replay(synthetic_tape(world.tape[1]), str(world.strategy))

    assert result.summary.digest == world.undisturbed["digest"]


def test_an_undisturbed_run_decides_as_a_replay_of_two_tapes(worlds: Callable[[str], World]) -> None:
    world = worlds("two")

    summary = replay_tape(load_settings(Path(world.more[1]), (), {}), load_tape(*world.tape[1::2]))

    assert summary.digest == world.undisturbed["digest"]
