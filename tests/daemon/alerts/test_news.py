"""What is worth an alert: each thing that happened, once, whoever was away meanwhile."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors import messages as m
from actors.runtime.journal import FILE_NAME
from config.schema import Settings
from daemon.alerts.news import Seen, Watcher
from daemon.console.frames import Frame, Hello, encode
from daemon.console.history import History
from daemon.console.mirror import Mirror

if TYPE_CHECKING:
    from collections.abc import Mapping

GOLDEN = Path(__file__).parents[2] / "golden" / "journal-v3.sqlite"
CALM: dict[str, dict[str, Any]] = {
    "strategies": {"a": {"strategy": "a", "state": "running", "last_error": None}},
    "symbols": {"X/Y": {"symbol": "X/Y", "stale": False}},
    "venue": {"": {"ready": True}},
    "actors": {name: {"name": name, "restarts": 0, "last_error": None} for name in ("feed", "console")},
    "positions": {"a X/Y": {"strategy": "a", "symbol": "X/Y", "quantity": 1.50}},
}


def mirror_of(changes: Mapping[str, Mapping[str, Any]] | None = None, state: str = "running") -> Mirror:
    """Return the state of a daemon in which all is well but for the changes."""
    summary = {"state": state, "reason": "why" if state == "halted" else "", "equity": 1000.5}
    sections = {"summary": {"": summary}}
    for name, rows in CALM.items():
        changed = (changes or {}).get(name, {})
        sections[name] = {key: {**row, **changed.get(key, {})} for key, row in rows.items()}
    raw = {name: {key: msgspec.Raw(encode(row)) for key, row in rows.items()} for name, rows in sections.items()}
    mirror = Mirror(10)
    mirror.take(Frame(full=True, sections=raw, events=[], rows=[], lines=[], missed=0))
    return mirror


class World:
    """A recorded session, and consoles of it that come and go."""

    def __init__(self, state_dir: Path) -> None:
        shutil.copyfile(GOLDEN, state_dir / FILE_NAME)
        self.state_dir = state_dir
        with sqlite3.connect(state_dir / FILE_NAME) as db:
            ((self.number,),) = db.execute("SELECT max(number) FROM sessions")
            self.inputs = db.execute("SELECT max(seq) FROM inputs").fetchone()[0]
            self.fills = db.execute("SELECT count(*) FROM fills").fetchone()[0]
        db.close()

    def hello(self, run: int = 1, settings: Settings | None = None) -> Hello:
        return Hello(
            settings=settings or Settings(), state_dir=str(self.state_dir), token="", core_url="", session="S",
            number=self.number, run=run, mode="paper", tape="", started_wall_ns=run,
        )  # fmt: skip

    def watcher(self, mirror: Mirror | None = None, run: int = 1, daily_hour: int = 0) -> Watcher:
        return Watcher(self.hello(run), mirror or mirror_of(), History(self.state_dir, self.number), daily_hour)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def kept(watcher: Watcher, **changed: Any) -> bytes:
    assert watcher.seen is not None
    return msgspec.json.encode(msgspec.structs.replace(watcher.seen, **changed))


async def begun(watcher: Watcher, seen: bytes | None = None) -> list[str]:
    return [alert.text for alert in await watcher.begin(seen)]


async def test_a_new_session_is_told_from_its_beginning_and_every_fill_once(world: World) -> None:
    first = world.watcher()
    assert await begun(first) == []
    told = await first.look()
    assert await first.look() == []

    fills = [alert for alert in told if alert.kind == "fill"]
    assert len(fills) == len({alert.key for alert in fills}) == world.fills > 0
    assert first.seen is not None
    assert (first.seen.fills, first.seen.seq) == (world.fills, world.inputs)

    half = msgspec.json.decode(kept(first), type=Seen).seq // 2
    away = world.watcher()
    assert await begun(away, kept(first, seq=half)) == ["the console was started again"]
    later = [alert.key for alert in await away.look() if alert.kind == "fill"]
    assert later == [alert.key for alert in fills][-len(later) :]
    assert 0 < len(later) < len(fills)


async def test_of_a_session_that_ran_before_anybody_was_to_be_told_only_what_comes_is_told(world: World) -> None:
    watcher = world.watcher(run=2)

    assert await begun(watcher) == []
    assert await watcher.look() == []


async def test_a_daemon_that_is_started_again_is_told(world: World) -> None:
    first = world.watcher()
    await begun(first)
    await first.look()

    assert await begun(world.watcher(run=2), kept(first)) == ["the daemon was started again: run 2 of session S"]


@pytest.mark.parametrize(
    ("state", "changes", "texts"),
    [
        ("halted", {}, ["error halt: trading is halted: why"]),
        ("stopping", {}, []),
        (
            "running",
            {"strategies": {"a": {"state": "failed", "last_error": "boom"}}},
            ["error halt: strategy a was given up: boom"],
        ),
        ("running", {"symbols": {"X/Y": {"stale": True}}}, ["warning stale: X/Y: bars are overdue"]),
        ("running", {"venue": {"": {"ready": False}}}, ["warning stale: the venue cannot be reached"]),
        (
            "running",
            {"actors": {"feed": {"restarts": 2, "last_error": "gone"}, "console": {"restarts": 1}}},
            ["warning restart: feed was started again: gone"],
        ),
    ],
)
async def test_what_is_not_as_it_was_is_told_once_also_by_who_comes_later(
    world: World, state: str, changes: dict[str, Any], texts: list[str]
) -> None:
    calm = world.watcher()
    await begun(calm)
    await calm.look()

    changed = world.watcher(mirror_of(changes, state))
    await begun(changed, kept(calm))
    assert [f"{each.level} {each.kind}: {each.text}" for each in await changed.look()] == texts
    assert await changed.look() == []

    later = world.watcher(mirror_of(changes, state))
    await begun(later, kept(changed))
    assert await later.look() == []
    again = world.watcher()
    await begun(again, kept(changed))
    assert {each.level for each in await again.look()} <= {"info"}


async def test_a_day_is_summed_up_once_it_is_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hour_ns = 3_600 * 10**9
    now_ns = 1_700_000_000 * 10**9  # 22:13 on the 14th
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    watcher = world.watcher(daily_hour=23)
    await begun(watcher)
    await watcher.look()
    assert watcher.seen is not None
    watcher.seen.equity = 1000.0

    now_ns += hour_ns
    (alert,) = await watcher.look()
    assert await watcher.look() == []

    assert (alert.kind, alert.level) == ("daily", "info")
    assert alert.text == (
        f"2023-11-13 to 2023-11-14, 23:00 UTC: equity 1000.50 (+0.50), {world.fills} fills,"
        " trading is running; holds 1.5 X/Y (a)"
    )
    assert watcher.seen.fills == 0


async def test_refusals_that_differ_in_numbers_alone_are_the_same(world: World) -> None:
    watcher = world.watcher()
    await watcher.begin(None)
    refused = [alert for alert in await watcher.look() if alert.kind == "reject"]

    assert {alert.level for alert in refused} == {"info", "warning"}
    assert len({alert.key for alert in refused}) < len(refused)
    first, second = (
        next(iter(watcher.decided(world.number, [m.RiskVeto("a", "SYN/USDT", 1, f"beyond {limit}")])))
        for limit in ("1.5", "23.75")
    )
    assert first.key == second.key
    assert first.text != second.text
