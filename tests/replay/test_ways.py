"""The short way of a preloaded chunk against the whole way, bar by bar: nothing may tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.system import Core
from config.load import check_settings
from config.schema import Settings
from replay.driver import play
from replay.metrics import EquityCurve
from replay.plan import build_core, plan_session, start_core
from replay.record import Recorder
from replay.tape import Series, Tape

Configure = Callable[..., Settings]

STUMBLES = '''
"""Fails on some bars, fills and timers, told by the numbers it sees, and trades on the others."""

from pitboss import Strategy, ema


class Stumbles(Strategy):
    seed: int = 1

    def features(self):
        return {"fast": ema(4)}

    def on_start(self):
        self.count = 0
        self.set_timer("tick", 400)

    def on_bar(self, bar, f):
        self.count += 1
        cents = round(bar.close * 100) + self.seed
        if cents % 23 == 0:
            raise ValueError(f"poison at {bar.close}")
        if cents % 5 == 0:
            self.target((cents % 7 - 3) / 10)
        elif cents % 11 == 0:
            self.buy(0.2, limit=f.fast - 0.2)

    def on_fill(self, execution):
        if round(execution.price * 100) % 19 == 0:
            raise RuntimeError("a fill I cannot stand")

    def on_timer(self, name):
        self.set_timer("tick", 300 + self.count % 100)
        if self.count % 13 == 0:
            raise KeyError(name)


class FailingPair(Pair):
    stumble: int = 17


class FailingSized(Sized):
    def on_bar(self, bar, f):
        super().on_bar(bar, f)
        if round(bar.close * 100) % 13 == 0:
            raise ValueError("no such price")


class Watches(Strategy):
    """Trades on nothing, and has no indicator to wait for."""

    seed: int = 1

    def on_bar(self, bar, f):
        self.last = bar.close
'''


@pytest.fixture
def stumbles(tmp_path: Path, trader: str) -> str:
    """Return the path of a user's file with every strategy of these tests."""
    path = tmp_path / "both.py"
    path.write_text(Path(trader).read_text() + STUMBLES)
    return str(path)


class Outcome:
    """What a run came to: all of its state, all of its marks, and what people are told."""

    def __init__(self, core: Core, recorder: Recorder) -> None:
        self.digest = core.digest.value
        self.snapshot = msgspec.to_builtins(core.snapshot())
        self.messages = core.scheduler.messages()
        self.processed = core.scheduler.processed()
        self.marks = recorder.equity()
        self.fills = recorder.fills()
        self.letters = [
            (letter.actor, letter.seq, letter.ts_ns, letter.error) for letter in core.scheduler.dead_letters.letters
        ]


def outcome(settings: Settings, tape: Tape, ear: dict[type[m.Message], list[Any]] | None = None) -> Outcome:
    """Replay as `pitboss replay` does."""
    plan = plan_session(settings, tape)
    recorder = Recorder(build_core(plan).instruments)
    core = build_core(plan, {**recorder.observers(), **(ear or {})})
    start_core(core)
    play(core, tape, EquityCurve(core.ledger.equity_atoms), recorder)
    return Outcome(core, recorder)


def stepped(settings: Settings, tape: Tape) -> Outcome:
    """Post bar by bar, as live does."""
    plan = plan_session(settings, tape)
    recorder = Recorder(build_core(plan).instruments)
    core = build_core(plan, recorder.observers())
    start_core(core)
    for bar in tape.bars():
        core.scheduler.fire_before(bar.close_ns)
        core.scheduler.post(bar.close_ns, bar)
        recorder.add_marks(*core.ledger.take_marks())
    core.scheduler.fire_before(core.context.now_ns + 1)
    core.scheduler.post(core.context.now_ns, m.TapeEnded())
    return Outcome(core, recorder)


def assert_alike(one: Outcome, two: Outcome) -> None:
    assert one.letters == two.letters
    assert one.fills.equals(two.fills)
    assert one.marks.equals(two.marks)
    assert one.digest == two.digest
    assert one.snapshot == two.snapshot
    assert one.messages == two.messages
    assert one.processed == two.processed


CASTS = {
    "one trader": [("Trader", "a", "X", 5)],
    "two on one market": [("Trader", "a", "X", 5), ("Watches", "w", "X", 1), ("Stumbles", "s", "X", 3)],
    "one on each": [("Trader", "a", "X", 5), ("Trader", "b", "Y", 6)],
    "one that fails": [("Stumbles", "s", "X", 3)],
    "one on a higher timeframe": [("Trader", "a", "X", 5), ("Slow", "b", "X", 6)],
    "none on the first market": [("Trader", "b", "Y", 6)],
    "one that sizes": [("Sized", "a", "X", 5), ("FailingSized", "s", "X", 3)],
    "one on both": [("Pair", "p", "X,Y", 5)],
    "one on both that fails": [("FailingPair", "p", "Y,X", 5), ("Trader", "a", "X", 5)],
    "one on both, higher": [("SlowPair", "p", "X,Y", 5), ("Trader", "a", "Y", 5)],
}


@pytest.mark.slow
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("chunk_rows", [1, 97, 16_384])
@pytest.mark.parametrize("cast", CASTS)
def test_both_ways_come_to_the_same(
    configure: Configure,
    stumbles: str,
    walk: Any,
    tape_of: Any,
    joined: Any,
    monkeypatch: pytest.MonkeyPatch,
    cast: str,
    chunk_rows: int,
    gaps: bool,
) -> None:
    monkeypatch.setattr(Series.chunks, "__defaults__", (0, chunk_rows))
    wants_two = any("Y" in symbol for _, _, symbol, _ in CASTS[cast])
    tape = tape_of(walk(31, 700, gaps=gaps), "X")
    if wants_two:
        tape = joined(tape, tape_of(walk(32, 650, gaps=gaps), "Y"))
    settings = configure(*CASTS[cast], supervision__checkpoint_inputs=7, supervision__restarts_max=30)
    settings = with_file(settings, stumbles)
    short = outcome(settings, tape)
    assert_alike(short, stepped(settings, tape))
    assert short.fills.height > 20
    if "fails" in cast:
        assert len(short.letters) > 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"venue__latency_ms": 25_000.0},
        {"venue__latency_ms": 90_000.0, "venue__slippage_bps": 3},
        {"risk__max_daily_loss": 4},
        {"risk__max_orders_per_minute": 1, "risk__max_position": 1},
        {"risk__max_gap": "0.0005", "risk__gap_bars": 2, "risk__max_shortfall": 1, "risk__shortfall_bars": 50},
        {"risk__max_consecutive_losses": 2, "risk__max_data_age_s": 60, "risk__price_collar_bps": 1},
        {"market__stale_after_bars": 1},
        {"supervision__restarts_max": 2},
    ],
    ids=str,
)
def test_whatever_is_set(configure: Configure, stumbles: str, walk: Any, tape_of: Any, values: dict[str, Any]) -> None:
    tape = tape_of(walk(33, 1_000, gaps=True), "X")
    settings = with_file(configure(("Trader", "a", "X", 5), ("Stumbles", "s", "X", 3), **values), stumbles)
    short = outcome(settings, tape)
    assert_alike(short, stepped(settings, tape))
    assert short.fills.height > 20
    if "risk__max_daily_loss" in values:
        assert short.snapshot["counts"]["Halt"] == 1
    if "supervision__restarts_max" in values:
        assert len(short.letters) == 3


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize("cast", ["two on one market", "one on each", "one on a higher timeframe"])
def test_contracts_on_margin(
    configure: Configure, stumbles: str, walk: Any, tape_of: Any, joined: Any, cast: str, mode: str
) -> None:
    tape = tape_of(walk(36, 2_000, gaps=True), "X")
    if cast == "one on each":
        tape = joined(tape, tape_of(walk(37, 2_000, gaps=True), "Y"))
    values = {"venue__leverage": 100, "venue__margin_mode": mode, "account__cash": 2, "venue__taker_fee": 0}
    settings = with_file(configure(*CASTS[cast], **values, supervision__restarts_max=100), stumbles)
    short = outcome(settings, tape.as_contracts())
    assert_alike(short, stepped(settings, tape.as_contracts()))
    assert short.fills.height > 10
    assert short.fills["order_id"].str.starts_with("autoclose-").any()
    assert short.snapshot["counts"]["Rejected"] > 0


@pytest.mark.slow
def test_who_listens_to_rows_hears_every_one(configure: Configure, walk: Any, tape_of: Any) -> None:
    tape = tape_of(walk(34, 300, gaps=True), "X")
    settings = configure(("Trader", "a", "X", 5))
    heard: list[m.FeatureRow] = []

    class Listener:
        isolated = False
        name = "listener"

        def on_row(self, row: m.FeatureRow) -> None:
            heard.append(row)

    listened = outcome(settings, tape, {m.FeatureRow: [Listener().on_row]})
    plain = outcome(settings, tape)
    assert listened.digest == plain.digest
    assert listened.messages == plain.messages
    assert len(heard) == plain.snapshot["counts"]["FeatureRow"] > 250


def test_most_bars_go_the_short_way(walk: Any, tape_of: Any) -> None:
    """Without gaps market sees one bar of each chunk, and the venue only those an order waits for."""
    tape = tape_of(walk(35, 500), "X")
    entry = {"use": "ema_cross", "params": {"fast": 3, "slow": 8}}
    plan = plan_session(check_settings({"strategies": [entry]}, "test"), tape)
    core = build_core(plan)
    start_core(core)
    seen: dict[str, int] = {"market": 0, "venue": 0}
    market, venue = core.market.on_bar, core.venue.on_bar

    def on_market(bar: m.Bar) -> None:
        seen["market"] += 1
        market(bar)

    def on_venue(bar: m.Bar) -> None:
        seen["venue"] += 1
        venue(bar)

    core.market.on_bar, core.venue.on_bar = on_market, on_venue  # type: ignore[method-assign]
    play(core, tape, EquityCurve(core.ledger.equity_atoms))
    assert seen["market"] == 1
    fills = core.scheduler.emitted(m.Fill)
    assert seen["venue"] == 1 + fills
    assert 20 < fills < 100


def with_file(settings: Settings, path: str) -> Settings:
    """Return the settings with every strategy's class taken from `path`."""
    entries = tuple(
        msgspec.structs.replace(entry, use=f"{path}:{entry.use.rpartition(':')[2]}") for entry in settings.strategies
    )
    return msgspec.structs.replace(settings, strategies=entries)
