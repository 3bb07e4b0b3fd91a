"""`pitboss ctl`: steering a real daemon by its state directory alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Daemon, Nursery, Run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", ["status", "pause", "resume", "flatten", "stop"])
def test_without_a_daemon_the_line_says_how_to_start_one(
    invoke: Callable[..., Run], tmp_path: Path, command: str
) -> None:
    refusal = invoke("ctl", command, "--state-dir", str(tmp_path)).refusal

    assert refusal == (f"no daemon runs on {tmp_path} (there is no endpoint.json in it); start one with: pitboss run")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"url": 1}', "\u00ff"])
def test_an_endpoint_file_that_is_none_is_refused(invoke: Callable[..., Run], tmp_path: Path, content: str) -> None:
    (tmp_path / "endpoint.json").write_text(content)

    assert "no daemon runs on" in invoke("ctl", "status", "--state-dir", str(tmp_path)).refusal


def test_a_daemon_that_was_killed_is_said_to_be_gone(invoke: Callable[..., Run], start: Nursery) -> None:
    daemon = start()
    daemon.kill()

    refusal = invoke("ctl", "status", "--state-dir", str(daemon.state_dir)).refusal

    assert refusal.startswith(f"no answer from {daemon.url} (process {daemon.pid}): ")
    assert refusal.endswith("is the daemon still running?")


def test_a_token_that_does_not_fit_is_refused(invoke: Callable[..., Run], live: Daemon, tmp_path: Path) -> None:
    endpoint = json.loads((live.state_dir / "endpoint.json").read_bytes())
    (tmp_path / "token").write_text("another")
    (tmp_path / "endpoint.json").write_text(json.dumps(endpoint | {"token_file": str(tmp_path / "token")}))
    run = invoke("ctl", "status", "--state-dir", str(tmp_path))
    assert run.refusal.startswith("the daemon refused (401): ")

    (tmp_path / "token").unlink()
    assert "No such file" in invoke("ctl", "status", "--state-dir", str(tmp_path)).refusal


def test_status_is_the_endpoints_own(invoke: Callable[..., Run], live: Daemon) -> None:
    def resting(status: Any) -> list[str]:
        return [row["order_id"] for row in status["orders"] if row["limit_price"] or row["stop_price"]]

    orders = resting(live.wait_for(lambda s: len(resting(s)) > 1 and s["day_profit"] is not None, "orders"))
    run = invoke("ctl", "status", "--state-dir", str(live.state_dir), "--json")
    people = invoke("ctl", "status", "--state-dir", str(live.state_dir))

    assert (run.code, run.json.keys()) == (0, live.status().keys())
    assert people.code == 0
    assert run.json["session"] in people.output
    assert "Actors" in people.output
    assert all(f"order {order_id} " in people.output for order_id in orders), "what `ctl cancel` is given"
    assert "day's profit" in people.output


def test_the_four_commands_do_what_they_say(invoke: Callable[..., Run], start: Nursery) -> None:
    daemon = start(strategy=start.holder, speed=12_000)
    daemon.wait_for(lambda s: s["positions"], "a position")
    where = ("--state-dir", str(daemon.state_dir))

    paused = invoke("ctl", "pause", *where, "--key", "morning")
    again = invoke("ctl", "pause", *where, "--key", "morning", "--json")
    assert paused.output == f"pause: accepted (command {again.json['command_id']})\n"
    assert (again.json["repeated"], daemon.status()["state"]) == (True, "paused")
    assert invoke("ctl", "flatten", *where, "--key", "morning").refusal.startswith("the daemon refused (409): ")

    assert invoke("ctl", "resume", *where).code == 0
    assert daemon.status()["state"] == "running"

    flat = invoke("ctl", "flatten", *where, "--json")
    assert (flat.code, flat.json["outcome"]) == (0, "flat")
    assert (daemon.status()["state"], daemon.status()["positions"]) == ("paused", [])

    assert invoke("ctl", "stop", *where).code == 0
    assert daemon.wait() == 0
    assert "sealed" in daemon.output.read_text()


def test_the_state_directory_may_come_from_the_environment(
    invoke: Callable[..., Run], live: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(live.state_dir))

    assert invoke("ctl", "status", "--json").json["session"] == live.status()["session"]
    assert os.environ["STATE_DIRECTORY"]
