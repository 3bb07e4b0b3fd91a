"""Limits tightened over HTTP, across kill and restart, and loosened by another configuration alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from actors.messages import LimitsConfigured, Tighten
from actors.runtime.journal import FILE_NAME, JournalReader, decode_input

if TYPE_CHECKING:
    from tests.daemon.conftest import Answer, Daemon, Nursery

pytestmark = pytest.mark.slow


def tighten(daemon: Daemon, limit: str, value: Any, key: str = "") -> Answer:
    body = json.dumps({"action": "tighten", "limit": limit, "value": value}).encode()
    return daemon.ask("POST", "/api/live/control", body, {"Idempotency-Key": key} if key else {})


def check_uses(status: Any, limits: dict[str, float]) -> None:
    """Check what the status says is used of each limit against the positions it shows."""
    uses = {use["limit"]: use for use in status["risk"]["uses"]}
    values = [position["quantity"] * position["mark_price"] for position in status["positions"]]
    assert {name: use["most"] for name, use in uses.items()} == limits
    assert uses["max_position"]["used"] == max((abs(row["quantity"]) for row in status["positions"]), default=0)
    assert uses["max_net"]["used"] == pytest.approx(abs(sum(values)))
    assert uses["max_gross"]["used"] == pytest.approx(sum(map(abs, values)))


def test_a_limit_is_tightened_for_the_session_and_loosened_by_a_restart(start: Nursery) -> None:
    first = ("--set", "risk.max_position=3", "--set", "risk.max_net=1000000")
    daemon = start(*first, strategy=start.holder)

    answer = tighten(daemon, "max_position", 1.5, "k")
    again = tighten(daemon, "max_position", 1.5, "k")
    other = tighten(daemon, "max_position", 1, "k")
    looser = tighten(daemon, "max_position", "2")
    tighten(daemon, "max_gross", 500_000)

    assert (answer.status, answer.body["action"]) == (202, "tighten max_position to 1.5")
    assert (again.body["command_id"], again.body["repeated"]) == (answer.body["command_id"], True)
    assert (other.status, other.body["error"]) == (
        409,
        "Idempotency-Key: already used for tighten max_position to 1.5",
    )
    assert (looser.status, looser.body["error"]) == (
        409,
        "max_position is 1.5, and 2 would loosen it: a limit is loosened only by a restart with another configuration",
    )
    status = daemon.wait_for(lambda s: s["risk"]["rules"][0]["clipped"], "an order that was cut")
    assert status["risk"]["limits"] == ["max_position=1.5", "max_net=1000000", "max_gross=500000"]
    assert status["risk"]["tightened"] == ["max_position", "max_gross"]
    assert [row["outcome"] for row in status["commands"]] == ["done", "done"]
    assert all(position["quantity"] <= 1.5 for position in status["positions"])
    check_uses(status, {"max_position": 1.5, "max_net": 1e6, "max_gross": 5e5})
    rule = status["risk"]["rules"][0]
    assert (rule["rule"], rule["limit"], rule["action"]) == ("max_position", "1.5", "clip")
    assert rule["last_reason"].startswith("position limit")
    daemon.kill()

    same = start(*first, strategy=start.holder)
    kept = same.status()
    assert kept["risk"]["limits"] == status["risk"]["limits"]
    assert kept["risk"]["rules"][0]["clipped"] >= rule["clipped"]
    assert kept["session"] == status["session"]
    assert same.end() == 0

    changed = start("--set", "risk.max_position=2.5", *first[2:], strategy=start.holder)
    loosened = changed.wait_for(lambda s: s["risk"]["limits"][0] == "max_position=2.5", "what is configured now")
    assert loosened["risk"]["limits"] == ["max_position=2.5", "max_net=1000000", "max_gross=500000"]
    assert (loosened["session"], loosened["run"]) == (status["session"], 3)
    (audit,) = changed.events("limit_changed")
    assert (audit["limit"], audit["before"], audit["after"]) == ("max_position", "1.5", "2.5")
    assert changed.end() == 0

    reset = start("--loosen", "--set", "risk.max_position=2.5", *first[2:], strategy=start.holder)
    reset.wait_for(lambda s: s["risk"]["limits"] == ["max_position=2.5", "max_net=1000000"], "what is configured")
    assert [line["limit"] for line in reset.events("limit_changed")] == ["max_gross"]
    assert reset.end() == 0
    assert reset.snapshot()["risk"]["tightened"] == []

    report = reset.replayed()
    assert (report.equal, report.runs) == (True, 4)
    reader = JournalReader(reset.state_dir / FILE_NAME)
    inputs = [decode_input(record.payload) for record in reader.records(1)]
    reader.close()
    limits = [message for message in inputs if isinstance(message, Tighten | LimitsConfigured)]
    assert [type(message).__name__ for message in limits] == ["Tighten", "Tighten", *["LimitsConfigured"] * 2]
    assert [message.reset for message in limits if isinstance(message, LimitsConfigured)] == [False, True]


def test_the_command_line_tightens(live: Daemon, invoke: Any) -> None:
    where = ("--state-dir", str(live.state_dir))
    done = invoke("ctl", "tighten", "max_symbol_gross", "900000000", *where)
    assert done.output.startswith("tighten max_symbol_gross to 900000000: accepted (command ")
    refused = invoke("ctl", "tighten", "max_symbol_gross", "900000001", *where)
    assert refused.refusal.startswith("the daemon refused (409): max_symbol_gross is 900000000, and 900000001 would")
    assert "max_symbol_gross" in invoke("ctl", "status", *where).output
