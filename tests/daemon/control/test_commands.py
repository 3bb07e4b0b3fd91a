"""Commands and what really comes of them, also across a kill."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from actors.messages import Flatten, Pause, Resume
from actors.runtime.journal import FILE_NAME, JournalReader, decode_input

if TYPE_CHECKING:
    from tests.daemon.conftest import Daemon, Nursery

pytestmark = pytest.mark.slow


def held(status: Any) -> float:
    return float(sum(position["quantity"] for position in status["positions"]))


def outcome(status: Any, command_id: str) -> str | None:
    return next((row["outcome"] for row in status["commands"] if row["command_id"] == command_id), None)


@pytest.fixture
def holding(start: Nursery) -> Daemon:
    """Return a daemon with a position and resting orders, which buys more as it goes."""
    daemon = start(strategy=start.holder)
    daemon.wait_for(lambda s: s["positions"] and len(s["orders"]) >= 2, "a position")
    return daemon


def test_pause_takes_no_new_risk_and_resume_takes_it_again(holding: Daemon) -> None:
    answer = holding.command("pause")

    paused = holding.status()
    assert answer.status == 202
    assert (answer.body["action"], answer.body["repeated"]) == ("pause", False)
    assert (paused["state"], paused["requested_action"]) == ("paused", "pause")
    assert outcome(paused, answer.body["command_id"]) == "done"
    later = holding.wait_for(lambda s: s["last_input"]["seq"] > paused["last_input"]["seq"] + 20, "twenty bars more")
    assert held(later) == held(paused) > 0
    assert not [order for order in later["orders"] if order["side"] == "buy"]

    assert holding.command("resume").status == 202

    running = holding.wait_for(lambda s: held(s) > held(paused), "more bought")
    assert (running["state"], running["requested_action"]) == ("running", None)


def test_flatten_reports_when_flat_and_stays_paused_until_resume(holding: Daemon) -> None:
    command_id = holding.command("flatten").body["command_id"]

    flat = holding.wait_for(lambda s: outcome(s, command_id) == "done", "flat")
    assert (flat["state"], flat["positions"], flat["orders"]) == ("paused", [], [])
    later = holding.wait_for(lambda s: s["last_input"]["seq"] > flat["last_input"]["seq"] + 20, "twenty bars more")
    assert (later["state"], later["positions"], later["orders"]) == ("paused", [], [])

    holding.command("resume")

    holding.wait_for(lambda s: s["positions"] and s["state"] == "running", "a position again")
    assert holding.end() == 0
    assert holding.replayed().equal


def test_pause_survives_kill_and_restart(start: Nursery, holding: Daemon) -> None:
    command_id = holding.command("pause").body["command_id"]
    holding.kill()

    again = start(strategy=start.holder)

    status = again.status()
    assert (status["state"], status["requested_action"], status["run"]) == ("paused", "pause", 2)
    assert outcome(status, command_id) == "done"
    later = again.wait_for(lambda s: s["last_input"]["seq"] > status["last_input"]["seq"] + 20, "twenty bars more")
    assert held(later) == held(status)


def test_stop_seals_and_the_next_start_begins_anew_from_the_account(start: Nursery, holding: Daemon) -> None:
    assert holding.command("stop").status == 202

    assert holding.wait() == 0
    left = holding.snapshot()
    assert (left["state"], left["orders"]) == ("stopping", [])
    assert held(left) > 0
    report = holding.replayed()
    assert (report.status, report.equal, report.session) == ("sealed", True, left["session"])
    assert "sealed" in holding.output.read_text()
    assert not (holding.state_dir / "endpoint.json").exists()

    daemon = start(strategy=start.holder, speed=0.001)

    new = daemon.status()
    assert new["session"] != left["session"]
    assert (new["run"], new["cash"], new["fees"], new["realized_pnl"]) == (1, left["cash"], 0, 0)
    assert held(new) == held(left)
    assert new["last_input"]["seq"] <= 1


def test_a_stop_that_was_killed_before_it_sealed_is_finished_by_the_next_start(start: Nursery, holding: Daemon) -> None:
    assert holding.command("stop").status == 202
    assert holding.wait() == 0
    with closing(sqlite3.connect(holding.state_dir / FILE_NAME)) as db, db:  # as if killed just before
        db.execute("UPDATE sessions SET status = 'open', closing_account = NULL")
        db.execute("UPDATE runs SET outcome = 'running', ended_wall_ns = NULL")

    again = start(strategy=start.holder, ready=False)

    assert again.wait() == 0
    assert again.snapshot()["state"] == "stopping"
    assert (again.replayed().status, again.replayed().session) == ("sealed", holding.snapshot()["session"])


def test_commands_are_inputs_of_the_journal(holding: Daemon) -> None:
    sent = [holding.command(action).body["command_id"] for action in ("pause", "resume", "pause", "flatten")]
    holding.wait_for(lambda s: outcome(s, sent[-1]) == "done", "flat")
    assert holding.end() == 0

    reader = JournalReader(holding.state_dir / FILE_NAME)
    inputs = [decode_input(record.payload) for record in reader.records(1)]
    reader.close()

    commands = [message for message in inputs if isinstance(message, (Pause, Resume, Flatten))]
    assert [message.command_id for message in commands] == sent
    assert [type(message) for message in commands] == [Pause, Resume, Pause, Flatten]


def test_flatten_at_the_end_of_the_tape_fills_at_the_last_close(start: Nursery) -> None:
    daemon = start(strategy=start.holder, tape=("--synthetic", "7:50"), speed=0)
    ended = daemon.wait_for(lambda s: s["tape_ended"], "the end of the tape")
    (position,) = ended["positions"]

    command_id = daemon.command("flatten").body["command_id"]

    flat = daemon.wait_for(lambda s: outcome(s, command_id) == "done", "flat")
    assert (flat["state"], flat["positions"], flat["orders"]) == ("paused", [], [])
    proceeds = position["quantity"] * position["mark_price"]
    assert flat["cash"] == pytest.approx(ended["cash"] + proceeds * 0.999, abs=1e-6)
    assert daemon.command("stop").status == 202
    assert daemon.wait() == 0
    assert daemon.replayed().equal


def test_a_tape_that_ended_leaves_the_daemon_idle(start: Nursery) -> None:
    daemon = start(tape=("--synthetic", "7:50"), speed=0)

    ended = daemon.wait_for(lambda s: s["tape_ended"], "the end of the tape")

    assert (ended["state"], ended["last_input"]["seq"]) == ("running", 51)
    daemon.eventually(lambda: daemon.events("tape_ended"), "the log says so")
    assert daemon.process.poll() is None
    assert daemon.command("stop").status == 202
    assert daemon.wait() == 0
