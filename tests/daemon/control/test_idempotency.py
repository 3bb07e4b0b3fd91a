"""One `Idempotency-Key` is one command, whoever repeats it and whatever happened in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Daemon, Nursery

pytestmark = pytest.mark.slow


def command_ids(status: Any) -> list[str]:
    return [row["command_id"] for row in status["commands"]]


def test_the_same_key_is_the_same_command_also_after_kill_and_restart(start: Nursery) -> None:
    daemon = start()
    first = daemon.command("pause", "morning").body
    again = daemon.command("pause", "morning")
    daemon.kill()
    daemon = start()

    after = daemon.command("pause", "morning")

    assert (first["repeated"], again.body["repeated"], after.body["repeated"]) == (False, True, True)
    assert again.status == after.status == 202
    assert {first["command_id"]} == {again.body["command_id"], after.body["command_id"]}
    assert command_ids(daemon.status()) == [first["command_id"]]


def test_a_repeated_command_has_no_second_effect(start: Nursery) -> None:
    daemon = start(tape=("--synthetic", "7:endless"), speed=0.001)
    daemon.command("pause", "p")
    daemon.command("resume", "r")
    seq = daemon.status()["last_input"]["seq"]

    daemon.command("pause", "p")

    status = daemon.status()
    assert (status["state"], status["last_input"]["seq"]) == ("running", seq)


def test_a_key_of_another_action_is_a_conflict(live: Daemon) -> None:
    live.command("resume", "k-conflict")

    answer = live.command("pause", "k-conflict")

    assert answer.status == 409
    assert answer.body == {"error": "Idempotency-Key: already used for resume"}
    assert live.status()["state"] == "running"


def test_without_a_key_every_command_is_a_new_one(live: Daemon) -> None:
    ids = {live.command("resume").body["command_id"] for _ in range(3)}

    assert len(ids) == 3


def test_a_key_sent_by_many_at_once_is_taken_once(live: Daemon) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: live.command("resume", "k-many"), range(48)))

    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["command_id"] for answer in answers}) == 1
    assert [answer.body["repeated"] for answer in answers].count(False) == 1
    assert command_ids(live.status()).count(answers[0].body["command_id"]) == 1


def test_many_keys_sent_at_once_are_all_taken(live: Daemon) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: live.command("resume", f"k-all-{n}"), range(18)))

    sent = {answer.body["command_id"] for answer in answers}
    assert len(sent) == 18
    assert sent <= set(command_ids(live.status()))


@pytest.mark.parametrize("key", ["x" * 200, "é €", "a b", '"quoted"', "0"])
def test_a_key_may_be_any_short_printable_text(live: Daemon, key: str) -> None:
    sent = key.encode().decode("latin-1")

    first, second = live.command("resume", sent), live.command("resume", sent)

    assert first.status == second.status == 202
    assert first.body["command_id"] == second.body["command_id"]


def test_a_key_is_remembered_as_long_as_configured(start: Nursery) -> None:
    daemon = start("--set", "http.commands_kept=2", speed=0.001)
    first = daemon.command("pause", "a").body["command_id"]
    for key in ("b", "c"):
        daemon.command("resume", key)

    assert daemon.command("pause", "a").body["command_id"] != first

    assert daemon.end() == 0
    assert daemon.replayed().equal
