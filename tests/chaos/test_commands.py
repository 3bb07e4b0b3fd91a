"""`kill -9` right after a command: what was answered with 202 is never lost, what was not is taken once or never."""

from __future__ import annotations

import json
import random
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from actors.messages import Flatten, Pause, Resume
from actors.runtime.journal import FILE_NAME, JournalReader, decode_input

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon.conftest import Daemon, Nursery

pytestmark = pytest.mark.slow

SEED = 211
KILLS = 7
RESTS_IN = {"pause": "paused", "resume": "running", "flatten": "paused"}


def commands_of(state_dir: Path) -> list[tuple[str, str, str]]:
    """Return (command id, action, key) of every command in the journal, in order."""
    reader = JournalReader(state_dir / FILE_NAME)
    try:
        inputs = [decode_input(record.payload) for record in reader.records(1)]
    finally:
        reader.close()
    return [
        (message.command_id, type(message).__name__.lower(), message.idempotency_key)
        for message in inputs
        if isinstance(message, (Pause, Resume, Flatten))
    ]


def known(status: Any, command_id: str) -> Any:
    return next((row for row in status["commands"] if row["command_id"] == command_id), None)


def test_a_command_that_was_answered_outlives_any_kill(start: Nursery, chaos: Any) -> None:
    chance = random.Random(SEED)
    sent: list[tuple[str, str]] = []
    for number in range(KILLS):
        daemon = start("--set", "journal.snapshot_inputs=40", strategy=chaos.grid, speed=30_000)
        if sent:
            command_id, action = sent[-1]
            status = daemon.status()
            assert known(status, command_id)["action"] == action
            assert status["state"] in {RESTS_IN[action], "flattening"}
            assert status["requested_action"] == (None if action == "resume" else action)
        time.sleep(chance.uniform(0, 0.05))
        action = chance.choice(["pause", "resume", "flatten"])

        answer = daemon.command(action, f"key {number}")
        daemon.kill()

        assert answer.status == 202
        sent.append((answer.body["command_id"], action))
        assert [row[:2] for row in commands_of(daemon.state_dir)] == sent

    assert daemon.replayed().equal
    assert daemon.replayed().runs == KILLS


def test_a_command_whose_answer_was_lost_may_be_repeated_under_its_key(start: Nursery, chaos: Any) -> None:
    chance = random.Random(SEED + 1)
    keys = [f"lost {number}" for number in range(4)]
    for key in keys:
        daemon = start(strategy=chaos.grid, speed=30_000)
        with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
            connection.sendall(request(daemon, key))
            time.sleep(chance.choice([0, 0, 0.001, 0.003]))
            daemon.kill()
    daemon = start(strategy=chaos.grid, speed=30_000)

    again = [daemon.command("pause", key) for key in keys]

    assert [answer.status for answer in again] == [202] * len(keys)
    daemon.kill()
    assert sorted(key for _, _, key in commands_of(daemon.state_dir)) == keys
    assert daemon.replayed().equal


def request(daemon: Daemon, key: str) -> bytes:
    body = json.dumps({"action": "pause"}).encode()
    lines = [
        "POST /api/live/control HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {daemon.token}",
        f"Idempotency-Key: {key}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
