"""Commands about one strategy, one position, one order: as a person gives them, across a kill, and replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.messages import ClosePosition, FlattenStrategy, PauseStrategy, Sender, WithdrawOrder
from actors.runtime.journal import FILE_NAME, JournalReader, decode_input

if TYPE_CHECKING:
    from tests.daemon.conftest import Daemon, Nursery, Run

pytestmark = pytest.mark.slow

STRATEGY = '[[strategies]]\nuse = "{use}"\nid = "{name}"\nparams = {{ every = 100000 }}\n'


def strategies(status: Any) -> dict[str, str]:
    return {row["strategy"]: row["state"] for row in status["strategies"]}


def books(status: Any) -> list[str]:
    return [position["strategy"] for position in status["positions"]]


def asked(daemon: Daemon, **body: Any) -> tuple[int, str]:
    answer = daemon.ask("POST", "/api/live/control", json.dumps(body).encode())
    return answer.status, answer.body.get("error", "")


@pytest.fixture
def twins(start: Nursery, tmp_path: Path) -> Callable[[], Daemon]:
    """Return a starter of one session with two strategies that hold a position each and have orders resting."""
    settings = tmp_path / "twins.toml"
    settings.write_text("".join(STRATEGY.format(use=start.holder, name=name) for name in "ab"))

    def begin() -> Daemon:
        daemon = start("--config", str(settings), strategy=None)
        daemon.wait_for(lambda s: len(s["orders"]) + len(s["positions"]) >= 4, "positions and orders")
        return daemon

    return begin


def test_parts_of_an_account_are_steered_by_hand(twins: Callable[[], Daemon], invoke: Callable[..., Run]) -> None:
    daemon = twins()
    where = ("--state-dir", str(daemon.state_dir))

    paused = invoke("ctl", "pause", "--strategy", "a", *where)
    assert paused.output.startswith("pause a: accepted (command ")
    daemon.wait_for(lambda s: not [o for o in s["orders"] if o["strategy"] == "a" and o["side"] == "buy"], "no entry")
    before = daemon.status()
    daemon.kill()
    daemon = twins()
    again = daemon.status()
    assert (again["run"], strategies(again), again["state"]) == (2, {"a": "paused", "b": "running"}, "running")
    assert "strategy" in invoke("ctl", "status", *where).output
    (row,) = again["commands"]
    assert (row["action"], row["outcome"]) == ("pause a", "done")
    assert row["by"] == before["commands"][0]["by"]
    assert row["by"]["address"] == "127.0.0.1"

    flat = invoke("ctl", "flatten", "--strategy", "a", *where, "--json")
    assert (flat.code, flat.json["outcome"]) == (0, "flat")
    status = daemon.status()
    assert (books(status), strategies(status)) == (["b"], {"a": "paused", "b": "running"})

    (stop,) = [order for order in status["orders"] if order["kind"] == "stop"]
    cancelled = invoke("ctl", "cancel", stop["order_id"], *where)
    note = f"it was a stop of a position of {status['positions'][0]['quantity']} SYN/USDT"
    assert cancelled.output.startswith(f"cancel {stop['order_id']}: cancelled: {note} (command ")
    gone = invoke("ctl", "cancel", stop["order_id"], *where).refusal
    assert gone.endswith(f"{stop['order_id']} does not work any more, or under another id since it was changed")

    closed = invoke("ctl", "close", "b", "SYN/USDT", *where)
    assert closed.output.startswith("close SYN/USDT of b: closed (command ")
    assert daemon.status()["positions"] == []
    resumed = invoke("ctl", "resume", "--strategy", "a", *where)
    assert (resumed.code, strategies(daemon.status())) == (0, {"a": "running", "b": "running"})

    assert asked(daemon, action="restart", actor="strategy.a") == (409, "strategy.a was not given up")
    assert asked(daemon, action="pause", strategy="c") == (400, "no strategy 'c'; one of a, b")
    assert asked(daemon, action="close", strategy="b", symbol="SYN/USDC")[1].startswith(
        "no symbol 'SYN/USDC' (did you mean 'SYN/USDT'?)"
    )
    assert asked(daemon, action="cancel", order_id="x") == (409, "no order of this session is called x")
    assert daemon.end() == 0
    assert daemon.replayed().equal

    reader = JournalReader(daemon.state_dir / FILE_NAME)
    inputs: list[Any] = [decode_input(record.payload) for record in reader.records(1)]
    listed = reader.commands()
    pages = [*reader.commands(limit=2), *reader.commands((listed[1].session, listed[1].seq, listed[1].command_id))]
    reader.close()
    assert pages == listed
    assert [(row.action.split()[0], row.outcome) for row in listed] == [
        ("resume", "done"),
        ("close", "done"),
        ("cancel", "done"),
        ("flatten", "done"),
        ("pause", "done"),
    ]
    assert listed[2].note == note
    commands = [each for each in inputs if isinstance(getattr(each, "by", None), Sender)]
    kinds = [type(each) for each in commands]
    assert kinds[:4] == [PauseStrategy, FlattenStrategy, WithdrawOrder, ClosePosition]
    assert all(each.by.sent_ns > 10**18 for each in commands)
