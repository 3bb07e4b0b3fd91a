"""A tape that is stepped: it is the replay of it, stops where it was told to, and shows what every input caused."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import polars as pl
import pytest

from actors.runtime.clock import TapeClock
from actors.runtime.journal import CHAIN_GENESIS, JournalReader
from config.load import load_settings
from daemon.control.replay_types import JumpOrder, MessagesAsked, StepOrder
from daemon.edges.stepped.feed import BeyondError, SteppedFeed, script_of
from daemon.edges.stepped.session import open_session_script
from daemon.edges.stepped.trace import MessageTrace
from daemon.live import LiveDriver
from replay.driver import replay_tape
from replay.journal import replay_journal
from replay.plan import build_core, plan_session, start_core
from replay.tape import open_tape, synthetic_tape
from replay.tape.external_file import open_series
from tests.daemon.test_live import ListJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.control.replay_types import MessageRow, Replay
    from daemon.edges.stepped.feed import Script
    from replay.plan import SessionPlan
    from replay.tape import Tape

STRATEGIES = '''
from pitboss import Strategy, ema


class Busy(Strategy):
    """Decides on bars, between them, on a timer and on what comes from outside."""

    def features(self):
        return {"fast": ema(3)}

    def on_start(self):
        self.heard = 0
        self.set_timer("beat", 150)

    def on_bar(self, bar, f):
        self.target(0.5 if bar.close > f.fast else -0.5)

    def on_trade(self, trade):
        self.heard += 1
        if self.heard % 40 == 0:
            self.sell(0.1)

    def on_external(self, external):
        self.buy(0.1)

    def on_timer(self, name):
        self.set_timer("beat", 150)
        self.buy(0.2)


class Plain(Strategy):
    """Decides on bars only."""

    def features(self):
        return {"fast": ema(3)}

    def on_bar(self, bar, f):
        self.target(0.5 if bar.close > f.fast else -0.5)


class Clumsy(Strategy):
    """Fails on its fifth bar, and wants more than it may have on the third."""

    def on_start(self):
        self.bars = 0

    def on_bar(self, bar, f):
        self.bars += 1
        if self.bars == 3:
            self.buy(10)
        if self.bars == 5:
            raise RuntimeError("stumbled")
'''
MINUTE_NS = 60_000_000_000
GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "journal-v3.sqlite"


class Stepped:
    """A feed, the core it feeds, and what may be asked of both."""

    def __init__(self, plan: SessionPlan, script: Script, kept: int = 20_000) -> None:
        self.settings = plan.settings
        self.core = build_core(plan)
        start_core(self.core)
        self.journal = ListJournal()
        clock = TapeClock(self.core.context.now_ns)
        journal: Any = self.journal
        self.driver = LiveDriver(self.core, journal, clock, self.settings, run=1, chain=CHAIN_GENESIS)
        self.trace = MessageTrace(self.core, kept)
        strategies = [actor.id for actor in self.core.strategies]
        self.feed = SteppedFeed(script, self.driver, self.trace, strategies)
        self.driver.stays = script.is_recorded

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run both."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.driver.run)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(self.feed.run)
            yield
            group.cancel_scope.cancel()

    async def step(self, count: int = 1, unit: Any = "input") -> Replay:
        """Step, and say where that led."""
        await self.feed.step(StepOrder(count, unit)).wait()
        await anyio.lowlevel.checkpoint()
        return self.feed.stands()

    async def jump(self, to: Any, **terms: Any) -> Replay:
        """Jump, and say where that led."""
        await self.feed.jump(JumpOrder(to, **terms)).wait()
        await anyio.lowlevel.checkpoint()
        return self.feed.stands()

    def messages(self, **asked: Any) -> list[MessageRow]:
        """Return what was said."""
        return list(self.trace.find(MessagesAsked(**asked)).rows)


def stepped_tape(tape: Tape, *settings: str, kept: int = 20_000) -> Stepped:
    """Return a tape that is stepped."""
    return Stepped(plan_session(load_settings(None, list(settings), {}), tape), script_of(tape, "a tape"), kept)


@pytest.fixture(scope="module")
def use(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("strategies") / "mine.py"
    file.write_text(STRATEGIES)
    return f"strategies=[{{use='{file}:Busy'}}]"


def bars_of(folder: Path) -> Tape:
    """Return two symbols, the second with a gap that is long enough for timers to fire in it."""
    bars = list(synthetic_tape("7:120").bars())
    rows = [[bar.open_ns // 10**6, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars]
    files = []
    for name, chosen in (("ONE", rows), ("TWO", rows[:30] + rows[90:])):
        files.append(f"{name}={folder / name}.csv")
        lines = [",".join(map(str, row)) for row in chosen[:: 1 if name == "TWO" else 2]]
        (folder / f"{name}.csv").write_text("\n".join(["ts,open,high,low,close,volume", *lines]) + "\n")
    return open_tape(files)


def ticks_of(folder: Path) -> Tape:
    """Return trades, from which bars are built."""
    bars = list(synthetic_tape("7:400").bars())
    rows = {
        "ts": [bars[0].open_ns // 10**6 + 1_500 * index for index in range(len(bars))],
        "price": [bar.close for bar in bars],
        "quantity": [1.5] * len(bars),
        "side": [1 if bar.close > bar.open else -1 for bar in bars],
        "id": list(range(1, len(bars) + 1)),
    }
    pl.DataFrame(rows).write_parquet(folder / "ONEUSDT.parquet")
    return open_tape([f"ONE={folder / 'ONEUSDT.parquet'}"])


def external_of(folder: Path) -> Tape:
    """Return bars with a value every seven minutes beside them."""
    tape = synthetic_tape("7:120")
    first_ms = tape.start_ns // 10**6
    score = folder / "score.csv"
    score.write_text("ts,value\n" + "".join(f"{first_ms + 420_000 * each + 7_000},{each}\n" for each in range(15)))
    return tape.with_external(open_series([f"score={score}"], [tape.series[0].symbol], None))


@pytest.mark.parametrize("make", [bars_of, ticks_of, external_of])
async def test_however_it_is_stepped_it_is_the_replay_of_it(tmp_path: Path, use: str, make: Any) -> None:
    tape: Tape = make(tmp_path)
    stepped = stepped_tape(tape, use)
    kept: list[MessageRow] = []

    async with stepped.running():
        for seq in range(1, 13):
            stands = await stepped.step()
            assert (stands.seq, stands.state) == (seq, "paused"), "a timer that is due is a step of its own"
        assert (await stepped.step(2, "bar")).stopped_by == "a step of 2 bars"
        for _ in range(3):
            stands = await stepped.jump("trade")
            kept += stepped.messages(input=stands.seq, kind="Fill")
        moment_ns = stands.now_ns + 3 * MINUTE_NS + 1
        stands = await stepped.jump("time", time_ns=moment_ns)
        assert stands.now_ns <= moment_ns < stands.now_ns + 2 * MINUTE_NS
        stepped.feed.set_speed(0)
        stepped.feed.play()
        await stepped.feed.jump(JumpOrder("trade")).wait()
        ended = await stepped.jump("end")

    summary = replay_tape(stepped.settings, tape)
    assert stepped.core.digest.value.hex() == summary.digest
    assert (stepped.core.bars(), ended.seq) == (summary.bars, len(stepped.journal.records))
    assert len(kept) >= 3
    assert summary.fills >= 10
    assert (ended.state, ended.stopped_by) == ("ended", "the end of the tape")
    assert ended.total in (None, ended.inputs)
    timers = stepped.messages(kind="TimerFired", limit=1_000)
    assert timers
    assert {row.sender for row in timers} == {"clock"}


async def test_a_session_is_stepped_through_its_journal_and_decides_as_it_did() -> None:
    plan, script = open_session_script(GOLDEN, None)
    stepped = Stepped(plan, script)
    replayed = replay_journal(GOLDEN)

    async with stepped.running():
        assert (await stepped.step(3)).inputs == 3
        assert (await stepped.jump("trade")).order_id
        ended = await stepped.jump("end")

    assert (ended.state, ended.inputs, ended.total) == ("ended", replayed.inputs, replayed.inputs)
    assert (ended.differs_at, ended.now_ns) == (None, ended.to_ns)
    assert stepped.core.digest.value.hex() == replayed.digest_live
    assert [record.payload for record in stepped.journal.records] == [
        record.payload for record in JournalReader(GOLDEN).records(1)
    ]
    assert {"tape", "clock", "command"} <= {row.sender for row in stepped.messages(limit=1_000) if not row.depth}

    def otherwise(skip: int) -> Any:
        for seq, (ts_ns, message, digest) in enumerate(script.inputs(skip), 1):
            yield ts_ns, message, bytes(16) if seq >= 40 else digest

    stepped = Stepped(plan, msgspec.structs.replace(script, inputs=otherwise))
    async with stepped.running():
        stands = await stepped.jump("end")
    assert (stands.differs_at, stands.inputs, stands.state) == (40, 40, "paused")
    assert stands.stopped_by == "input 40 decides otherwise than it did in the session"


async def test_a_fill_is_shown_with_what_led_to_it_over_the_inputs(use: str) -> None:
    stepped = stepped_tape(synthetic_tape("7:60"), use.replace("Busy", "Plain"))

    async with stepped.running():
        stands = await stepped.jump("order")
        assert stands.stopped_by.startswith("Plain sends market order pbsim1: ")
        stands = await stepped.jump("trade")

    assert stands.order_id == "pbsim1"
    story = stepped.messages(order="pbsim1")
    decided, filled = story[0].input, stands.seq
    assert filled == decided + 1, "decided at a close, filled at the next bar's open"
    told = [(row.input - decided, row.depth, row.sender, row.kind) for row in story]
    assert told == [
        (0, 0, "tape", "Bar"),
        (0, 1, "features", "FeatureRow"),
        (0, 2, "strategy.Plain", "Intent"),
        (0, 3, "risk", "OrderRequest"),
        (0, 4, "execution", "SubmitOrder"),
        (0, 5, "venue", "Accepted"),
        (1, 0, "tape", "Bar"),
        (1, 1, "venue", "Fill"),
        (1, 2, "ledger", "PositionChanged"),
    ]
    assert [row.cause for row in story] == [None, 0, 1, 2, 3, 4, None, 0, 1]
    bar, row, intent, *_, fill, _ = story
    assert bar.to == ("market", "venue", "ledger", "features"), "nobody who only listens"
    assert row.fields["features"]["fast"] == pytest.approx(row.fields["bar"]["close"], rel=0.01)
    side = "buy" if intent.fields["quantity"] > 0 else "sell"
    assert (fill.fields["side"], float(fill.fields["quantity"])) == (side, 0.5)
    assert float(fill.fields["price"]) == story[6].fields["open"]
    assert (
        stands.stopped_by == f"Plain {'bought' if side == 'buy' else 'sold'} 0.5 SYN/USDT at {fill.fields['price']:f}"
    )


async def test_it_stops_at_what_was_asked_for_and_says_why_it_did_not(use: str) -> None:
    limited = use.replace("Busy", "Clumsy"), "risk.max_order_notional=1000"
    stepped = stepped_tape(synthetic_tape("7:12"), *limited)

    async with stepped.running():
        stands = await stepped.jump("veto")
        assert (stands.inputs, stands.order_id) == (3, "")
        assert stands.stopped_by.startswith("Clumsy is refused SYN/USDT: ")
        stands = await stepped.jump("error", strategy="Clumsy")
        assert (stands.inputs, stands.stopped_by) == (5, "strategy.Clumsy failed: RuntimeError: stumbled")
        with pytest.raises(BeyondError, match="a replay does not go back"):
            stepped.feed.jump(JumpOrder("time", stands.now_ns - 1))
        over = stepped.feed.jump(JumpOrder("trade"))
        stepped.feed.pause()
        assert over.is_set()
        assert stepped.feed.stands().stopped_by == "pause"
        assert (await stepped.step(7)).state == "paused", "the tape's end is a step, too"
        stands = await stepped.jump("trade")
        assert (stands.state, stands.inputs) == ("ended", 12)
        assert stands.stopped_by == "the end of the tape: the next fill did not come"
        with pytest.raises(BeyondError, match="it is at the end of the tape"):
            stepped.feed.play()
        stepped.feed.pause()


async def test_it_plays_at_the_speed_it_was_told_until_it_is_paused(use: str) -> None:
    stepped = stepped_tape(synthetic_tape("7:5000"), use)

    async with stepped.running():
        assert stepped.feed.stands().speed == 300, "five bars a second"
        stepped.feed.play()
        assert (stepped.feed.stands().state, stepped.feed.stands().target) == ("playing", "")
        stepped.feed.set_speed(60 * 200)
        began_s = time.monotonic()
        await anyio.sleep(0.1)
        stepped.feed.pause()
        slow, took_s = stepped.feed.stands().inputs, time.monotonic() - began_s
        await anyio.sleep(0.02)
        assert stepped.feed.stands().inputs == slow, "nothing is taken while it is paused"

    assert 1 <= slow <= 200 * took_s + 2


async def test_messages_are_paged_both_ways_and_bounded(use: str) -> None:
    stepped = stepped_tape(synthetic_tape("7:40"), use, kept=60)

    async with stepped.running():
        stands = await stepped.step(30, "bar")
        newest = stepped.trace.newest
        seen: list[MessageRow] = []
        page = stepped.trace.find(MessagesAsked(limit=25))
        while True:
            seen = [*page.rows, *seen]
            if page.next is None:
                break
            page = stepped.trace.find(MessagesAsked(limit=25, cursor=page.next))
        assert [row.number for row in seen] == list(range(newest - 59, newest + 1))
        assert seen[-1].input == stands.seq
        assert stepped.messages(since=newest) == []
        await stepped.step()

    (first, *_) = stepped.messages(since=newest)
    assert (first.number, first.index, first.cause) == (newest + 1, 0, None)
    heard = stepped.messages(actor="risk")
    assert heard
    assert all(row.sender == "risk" or "risk" in row.to for row in heard)
    assert {row.kind for row in stepped.messages(kind="Bar")} == {"Bar"}
    text = msgspec.json.encode(stepped.trace.find(MessagesAsked(limit=1_000)))
    assert b'"from":"tape"' in text
