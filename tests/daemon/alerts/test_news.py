"""What is worth an alert: each thing that happened, once, whoever was away meanwhile."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from structlog.testing import capture_logs

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
            ((self.number, self.id),) = db.execute("SELECT max(number), id FROM sessions")
            self.inputs = db.execute("SELECT max(seq) FROM inputs").fetchone()[0]
            self.fills = db.execute("SELECT count(*) FROM fills").fetchone()[0]
        db.close()

    def hello(self, run: int = 1, settings: Settings | None = None) -> Hello:
        return Hello(
            settings=settings or Settings(), state_dir=str(self.state_dir), token="", core_url="", session=self.id,
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

    assert await begun(world.watcher(run=2), kept(first)) == [
        f"the daemon was started again: run 2 of session {world.id}"
    ]


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


def frame(*events: dict[str, Any], state: str = "running") -> Frame:
    summary = {"": msgspec.Raw(encode({"state": state, "reason": "", "equity": 1000.5}))}
    raw = [msgspec.Raw(encode(event)) for event in events]
    return Frame(full=False, sections={"summary": summary}, events=raw, rows=[], lines=[], missed=0)


def trading(state: str, reason: str = "") -> dict[str, Any]:
    return {"kind": "trading", "seq": 1, "ts_ns": 1, "state": state, "reason": reason}


def note(what: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "note", "seq": 1, "ts_ns": 1, "level": "info", "what": what, "fields": fields}


async def test_what_was_over_before_anybody_looked_is_told_and_is_not_taken_back_by_what_is_shown_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    mirror = mirror_of()
    watcher = world.watcher(mirror)
    await begun(watcher)
    await watcher.look()
    before = kept(watcher)

    mirror.take(frame(trading("halted", "drawdown"), {"kind": "order", "state": "accepted"}, trading("running")))
    mirror.take(frame(note("feed_stale", symbol="X/Y"), note("feed_resumed", symbol="X/Y"), state="running"))
    mirror.take(frame(note("strategy_state_changed", strategy="a", state="halted", reason="loss")))
    mirror.take(frame(trading("halted", "loss"), state="running"))  # the summary is of the input before
    words = [
        "error: trading is halted: drawdown",
        "info: trading is running",
        "warning: X/Y: bars are overdue",
        "info: X/Y: bars come again",
        "error: strategy a is halted: loss",
        "error: trading is halted: loss",
    ]
    assert [f"{each.level}: {each.text}" for each in await watcher.look()] == words
    watcher.forget(before)
    assert [f"{each.level}: {each.text}" for each in await watcher.look()] == words, "they could not be kept"
    assert await watcher.look() == []

    now_s += 4.0  # what is shown is newer than the events now
    assert {each.text for each in await watcher.look()} == {"trading is running", "strategy a is running"}


async def test_a_liquidation_is_an_error_told_once_with_what_it_was(world: World) -> None:
    watcher = world.watcher()
    await watcher.begin(None)
    await watcher.look()
    gone = m.Liquidated(
        strategy="a", symbol="SYN/USDT", order_id="autoclose-1", trade_id=7, side=-1, price_ticks=10_050,
        quantity_lots=150_000_000, fee_atoms=1, liquidation_fee_atoms=2, insured_atoms=0, executed_ns=1,
        reason="margin used up",
    )  # fmt: skip

    first, again = (next(iter(watcher.decided(world.number, [gone]))) for _ in range(2))

    assert (first.kind, first.level) == ("liquidation", "error")
    assert first.text == "a was liquidated: sold 1.5 SYN/USDT at 100.50: margin used up"
    assert first.key == again.key
    other = msgspec.structs.replace(gone, trade_id=8)
    assert next(iter(watcher.decided(world.number, [other]))).key != first.key


async def test_a_journal_that_lies_in_the_place_of_another_is_read_from_its_beginning(world: World) -> None:
    watcher = world.watcher()
    await watcher.begin(None)
    fills = [each for each in await watcher.look() if each.kind == "fill"]

    for changed in ({"number": 99, "session": 99}, {"id": "another"}):
        later = world.watcher()
        assert await begun(later, kept(watcher, seq=10**9, **changed)) == []
        assert [each for each in await later.look() if each.kind == "fill"] == fills


async def test_one_input_that_cannot_be_read_keeps_no_other_from_being_told(world: World) -> None:
    with closing(sqlite3.connect(world.state_dir / FILE_NAME)) as db, db:
        db.execute("UPDATE inputs SET effects = x'c1' WHERE seq = (SELECT min(seq) FROM fills)")
    watcher = world.watcher()
    await watcher.begin(None)

    with capture_logs() as logs:
        fills = [each for each in await watcher.look() if each.kind == "fill"]

    assert 0 < len(fills) < world.fills
    assert [line["event"] for line in logs] == ["alerts_input_unreadable"]
    assert await watcher.look() == []


async def test_a_clock_that_is_set_back_over_midnight_ends_no_day_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight_ns = 19_676 * 86_400 * 10**9
    now_ns = midnight_ns - 1
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    watcher = world.watcher()
    await begun(watcher)
    assert not [each for each in await watcher.look() if each.kind == "daily"]
    told = []
    for seconds in (0, -1, 0, 86_400):
        now_ns = midnight_ns + seconds * 10**9
        told += [each.text[:24] for each in await watcher.look()]
    assert told == ["2023-11-14 to 2023-11-15", "2023-11-15 to 2023-11-16"]

    now_ns += 86_400 * 10**9
    with closing(sqlite3.connect(world.state_dir / FILE_NAME)) as db, db:
        db.execute(
            "INSERT INTO sessions SELECT number - 1, 'before', created_wall_ns, plan, status, NULL FROM sessions"
        )
    other = world.watcher()
    await begun(other, kept(watcher, number=world.number - 1, id="before", equity=5e6))
    (daily,) = [each.text for each in await other.look() if each.kind == "daily"]
    assert "equity 1000.50 (+0.00)" in daily, "another session's money is no loss"
