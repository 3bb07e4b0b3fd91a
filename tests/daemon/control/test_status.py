"""What anybody may ask, and what the status says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from actors.instrument import from_atoms
from actors.runtime.journal import FILE_NAME

if TYPE_CHECKING:
    from tests.daemon.conftest import Daemon, Nursery

pytestmark = pytest.mark.slow

STATES = {"starting", "running", "paused", "flattening", "halted", "stopping"}
NUMBER = (int, float)
DAY_NS = 86_400_000_000_000


def is_hex(text: str, characters: int) -> bool:
    return len(text) == characters and set(text) <= set("0123456789abcdef")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_without_a_token(live: Daemon, path: str) -> None:
    answer = live.get(path, token=None)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body["state"] in STATES


def test_status_has_every_field_with_its_type(live: Daemon) -> None:
    status = live.wait_for(lambda s: s["positions"] and s["orders"], "a position and an order")

    assert status["state"] in STATES
    assert status["session"]
    assert status["mode"] == "paper"
    assert isinstance(status["uptime_s"], float)
    assert datetime.fromisoformat(status["clock"]["utc"]).utcoffset() is not None
    assert isinstance(status["clock"]["ts_ns"], int)
    assert all(isinstance(status[name], NUMBER) for name in ("equity", "cash", "fees", "realized_pnl"))
    assert status["requested_action"] is None or isinstance(status["requested_action"], str)
    assert is_hex(status["digest"], 32)
    assert all(type(status["last_input"][name]) is int for name in ("seq", "ts"))
    assert status["last_input"]["seq"] > 0
    assert status["durable_seq"] >= status["last_input"]["seq"]


def test_status_lists_positions_as_signed_decimals_in_base_units(live: Daemon) -> None:
    status = live.wait_for(lambda s: s["positions"], "a position")

    (position,) = status["positions"]

    assert (position["symbol"], position["strategy"]) == ("SYN/USDT", "Holder")
    assert isinstance(position["quantity"], NUMBER)
    assert 0.5 <= position["quantity"] <= 2.1
    assert round(position["quantity"] * 10) == pytest.approx(position["quantity"] * 10)


def test_status_lists_working_orders(live: Daemon) -> None:
    status = live.wait_for(lambda s: len(s["orders"]) >= 2, "two resting orders")

    by_kind: dict[str, Any] = {order["kind"]: order for order in status["orders"]}

    assert (by_kind["limit"]["side"], by_kind["limit"]["quantity"], by_kind["limit"]["state"]) == (
        "buy",
        0.25,
        "working",
    )
    assert (by_kind["stop"]["side"], by_kind["stop"]["limit_price"]) == ("sell", None)
    assert by_kind["stop"]["stop_price"] < by_kind["limit"]["limit_price"]


def test_status_lists_every_actor(live: Daemon) -> None:
    actors = live.status()["actors"]

    assert {"market", "venue", "ledger", "strategy.Holder", "risk", "execution", "control"} <= {
        actor["name"] for actor in actors
    }
    assert {"journal", "core", "http", "feed", "snapshot_file", "watch"} <= {actor["name"] for actor in actors}
    for actor in actors:
        assert actor["state"] == "running", actor
        assert {name: type(actor[name]) for name in ("name", "restarts", "mailbox", "processed")} == {
            "name": str,
            "restarts": int,
            "mailbox": int,
            "processed": int,
        }
        assert actor["last_error"] is None


def test_an_actor_that_failed_is_shown_with_its_error_and_restarts(start: Nursery) -> None:
    strategy = start.folder / "fragile.py"
    strategy.write_text(
        "from pitboss import Strategy\n"
        "class Fragile(Strategy):\n"
        "    def on_bar(self, bar, f):\n"
        "        if bar.open_ns // bar.timeframe_ns % 10 == 3: self.think(bar)\n"
        "    def think(self, bar):\n"
        "        raise RuntimeError('no idea')\n"
    )
    daemon = start(tape=("--synthetic", "7:20"), speed=0, strategy=f"{strategy}:Fragile")

    status = daemon.wait_for(lambda s: s["tape_ended"], "the end of the tape")

    (actor,) = [actor for actor in status["actors"] if actor["name"] == "strategy.Fragile"]
    assert (actor["state"], actor["restarts"], actor["last_error"]) == ("running", 2, "RuntimeError: no idea")
    letters = status["dead_letters"]
    assert [letter["actor"] for letter in letters] == ["strategy.Fragile"] * 2
    assert {letter["place"] for letter in letters} == {"fragile.py:6 in Fragile.think"}
    assert [letter["ts_ns"] // 60_000_000_000 % 10 for letter in letters] == [4, 4], "when those bars closed"
    assert status["state"] == "running"


def test_the_status_counts_on_while_the_tape_plays(live: Daemon) -> None:
    before = live.status()

    after = live.wait_for(lambda s: s["last_input"]["seq"] > before["last_input"]["seq"], "another input")

    assert after["clock"]["ts_ns"] > before["clock"]["ts_ns"]
    assert after["uptime_s"] > before["uptime_s"]
    assert after["session"] == before["session"]


def test_the_days_profit_counts_from_midnight_also_after_a_crash(start: Nursery) -> None:
    days = ("--synthetic", "7:3000")
    daemon = start(tape=days, speed=0, strategy=start.holder)
    status = daemon.wait_for(lambda s: s["tape_ended"], "the end of the tape")
    daemon.kill()
    with closing(sqlite3.connect(daemon.state_dir / FILE_NAME)) as journal:
        marks = journal.execute("SELECT ts_ns, equity_atoms FROM equity ORDER BY ts_ns").fetchall()
    midnight_ns = (marks[-1][0] - 1) // DAY_NS * DAY_NS
    begun_atoms = [atoms for ts_ns, atoms in marks if ts_ns <= midnight_ns][-1]

    assert len({ts_ns // DAY_NS for ts_ns, _ in marks}) == 3
    assert status["day_profit"] == float(from_atoms(marks[-1][1] - begun_atoms)) != 0
    assert start(tape=days, speed=0, strategy=start.holder).status()["day_profit"] == status["day_profit"]
