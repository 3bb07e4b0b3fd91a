"""Values from outside in a replay: seen from their publication on, never before, and the same whichever way it runs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors import messages as m
from config.load import check_settings
from config.schema import Settings
from replay.driver import play, replay_tape
from replay.metrics import EquityCurve
from replay.plan import build_core, plan_session, start_core
from replay.record import Recorder
from replay.run import register_class
from replay.tape import Series, Tape
from replay.tape.external import ExternalKind, ExternalSeries
from strategies.base import Strategy

MINUTE = 60_000_000_000
START_NS = 1_700_002_800_000_000_000


class Sees(Strategy):
    """Notes what it hears and when, in the order it hears it; follows the values with its position."""

    def on_start(self) -> None:
        self.heard: list[Any] = []

    def on_bar(self, bar: m.Bar, _: Any, /) -> None:
        self.heard.append(("bar", self.now_ns, bar.close_ns))

    def on_external(self, external: m.External, /) -> None:
        self.heard.append((external.name, self.now_ns, external.value))
        self.target(external.value)

    def on_funding(self, funding: m.Funding, /) -> None:
        self.heard.append(("funding", self.now_ns, funding.rate))


def series(
    name: str, ts_ns: list[int], *numbers: list[float], kind: ExternalKind = "values", delay_ns: int = 0
) -> ExternalSeries:
    times_ns = np.array(ts_ns, np.int64)
    columns = tuple(np.array(column, np.float64) for column in numbers)
    return ExternalSeries(name=name, kind=kind, ts_ns=times_ns, known_ns=times_ns + delay_ns, numbers=columns)


def settings_of(kind: type[Strategy], **values: Any) -> Settings:
    return check_settings({"strategies": [{"use": register_class(kind)}], **values}, "test")


def played(tape: Tape, settings: Settings) -> tuple[Any, Recorder]:
    """Replay as `pitboss replay` does; return the core and what was recorded."""
    plan = plan_session(settings, tape)
    recorder = Recorder(build_core(plan).instruments)
    core = build_core(plan, recorder.observers())
    start_core(core)
    play(core, tape, EquityCurve(core.ledger.equity_atoms), recorder)
    return core, recorder


def stepped(tape: Tape, settings: Settings) -> tuple[Any, Recorder]:
    """Post input by input, as live does."""
    plan = plan_session(settings, tape)
    recorder = Recorder(build_core(plan).instruments)
    core = build_core(plan, recorder.observers())
    start_core(core)
    for message in tape.inputs():
        now_ns: int = getattr(message, "close_ns", 0) or getattr(message, "published_ns", 0) or message.time_ns  # type: ignore[attr-defined]
        core.scheduler.fire_before(now_ns)
        core.scheduler.post(now_ns, message)
        recorder.add_marks(*core.ledger.take_marks())
    core.scheduler.fire_before(core.context.now_ns + 1)
    core.scheduler.post(core.context.now_ns, m.TapeEnded())
    return core, recorder


def heard_in(core: Any) -> list[Any]:
    heard: list[Any] = core.strategies[0]._strategy.heard
    return heard


def test_a_value_is_heard_when_it_is_published_and_before_the_bar_that_closes_then(walk: Any, tape_of: Any) -> None:
    tape = tape_of(walk(1, 5)).with_external(
        [series("score", [START_NS, START_NS + MINUTE], [1.0, 2.0], delay_ns=2 * MINUTE)]
    )
    core, _ = played(tape, settings_of(Sees))
    closes_ns = [START_NS + index * MINUTE for index in range(1, 6)]
    assert heard_in(core) == [
        ("bar", closes_ns[0], closes_ns[0]),
        ("score", closes_ns[1], 1.0),
        ("bar", closes_ns[1], closes_ns[1]),
        ("score", closes_ns[2], 2.0),
        *(("bar", close_ns, close_ns) for close_ns in closes_ns[2:]),
    ]


@pytest.mark.parametrize("minutes", range(6))
def test_no_decision_knows_a_value_before_it_is_published(walk: Any, tape_of: Any, minutes: int) -> None:
    """What is decided before the publication is what is decided without the value; from then on it is not."""
    bare = tape_of(walk(2, 20))
    published_ns = START_NS + minutes * MINUTE + 1
    told = bare.with_external([series("score", [START_NS], [1.0], delay_ns=published_ns - START_NS)])
    _, without = played(bare, settings_of(Sees))
    _, with_value = played(told, settings_of(Sees))
    assert without.orders().is_empty()
    orders, fills = with_value.orders(), with_value.fills()
    assert orders.height == fills.height == 1
    later_ms = (START_NS + minutes * MINUTE + MINUTE // 3) // 1_000_000
    assert fills["ts"].to_list() == [later_ms], "at the first point of the bar's path behind its publication"


def test_a_later_publication_changes_what_is_decided(walk: Any, tape_of: Any) -> None:
    bare = tape_of(walk(3, 30))
    digests = {
        replay_tape(
            settings_of(Sees),
            bare.with_external([series("score", [START_NS + MINUTE], [1.0], delay_ns=delay * MINUTE)]),
        ).digest
        for delay in (0, 1, 5, 5)
    }
    assert len(digests) == 3


def test_a_tape_with_a_value_nobody_hears_decides_as_one_without(
    configure: Callable[..., Settings], walk: Any, tape_of: Any
) -> None:
    bare = tape_of(walk(4, 300))
    told = bare.with_external([series("score", [START_NS + index * MINUTE for index in range(200)], [0.5] * 200)])
    settings = configure(("Trader", "a", None, 3))
    plain, beside = replay_tape(settings, bare), replay_tape(settings, told)
    assert (plain.digest, plain.bars) == (beside.digest, beside.bars)
    assert told.fingerprint != bare.fingerprint


class Follows(Strategy):
    """Trades on bars, values, funding and a timer, and stumbles over some of them."""

    def on_start(self) -> None:
        self.count = 0
        self.set_timer("beat", 333)

    def on_bar(self, _bar: m.Bar, _: Any, /) -> None:
        self.count += 1
        if self.count % 4 == 0:
            self.target((self.count % 5 - 2) / 2)

    def on_external(self, external: m.External, /) -> None:
        if external.value % 7 == 3:
            message = "a value it cannot stand"
            raise ValueError(message)
        if external.value % 3 == 0:
            self.buy(0.5, limit=100.0 + external.value % 5)
        else:
            self.sell(0.25)

    def on_funding(self, _: m.Funding, /) -> None:
        self.target(0.5)

    def on_timer(self, _: str, /) -> None:
        self.set_timer("beat", 250 + self.count % 90)
        self.buy(0.25)


def full_tape(walk: Any, tape_of: Any, joined: Any, *, two: bool) -> Tape:
    """Return bars with values, marks, funding, open interest and liquidations of all sorts of times among them."""
    tape: Tape = tape_of(walk(5, 400, gaps=True), "X/USD")
    if two:
        tape = joined(tape, tape_of(walk(6, 380, gaps=True), "Y/USD"))
    generator = np.random.default_rng(8)
    times_ns = np.sort(START_NS + generator.integers(-20, 900, 120) * (MINUTE // 2))
    floats = generator.integers(1, 50, 120).astype(np.float64)

    def of(name: str, kind: ExternalKind, *numbers: Any) -> ExternalSeries:
        return ExternalSeries(name=name, kind=kind, ts_ns=times_ns, known_ns=times_ns, numbers=numbers)

    return tape.with_external(
        [
            of("score", "values", floats),
            of("X/USD", "mark", floats + 80),
            of("X/USD", "funding", floats / 10_000 - 0.002),
            of("X/USD", "open_interest", floats, floats * 100),
            of("X/USD", "liquidations", generator.choice([1.0, -1.0], 120), floats, floats),
        ]
    )


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("chunk_rows", [1, 61, 16_384])
def test_a_replay_and_a_step_by_step_run_come_to_the_same(
    walk: Any, tape_of: Any, joined: Any, monkeypatch: pytest.MonkeyPatch, chunk_rows: int, two: bool
) -> None:
    monkeypatch.setattr(Series.chunks, "__defaults__", (0, chunk_rows))
    tape = full_tape(walk, tape_of, joined, two=two)
    settings = settings_of(Follows, supervision={"checkpoint_inputs": 5, "restarts_max": 100})
    (short, recorded), (whole, told) = played(tape, settings), stepped(tape, settings)
    assert short.snapshot() == whole.snapshot()
    assert recorded.fills().equals(told.fills())
    assert recorded.equity().equals(told.equity())
    assert recorded.fills().height > 50
    assert whole.scheduler.emitted(m.FundingShared) > 5
    assert whole.scheduler.dead_letters.count > 3


def test_any_input_may_be_the_first_one_after_a_restart(walk: Any, tape_of: Any, joined: Any) -> None:
    tape = full_tape(walk, tape_of, joined, two=True)
    inputs = list(tape.inputs())
    times_ns = [getattr(one, "close_ns", 0) or getattr(one, "published_ns", 0) or one.time_ns for one in inputs]  # type: ignore[attr-defined]
    assert times_ns == sorted(times_ns)
    for skip in (0, 1, 7, 333, len(inputs) - 1, len(inputs)):
        assert list(tape.inputs(skip)) == inputs[skip:]


def test_an_endless_tape_has_values_all_the_way() -> None:
    from replay.tape import synthetic_tape

    endless = synthetic_tape("7:endless")
    first_ns = endless.series[0].first_open_ns
    tape = endless.with_external([series("score", [first_ns + 90 * MINUTE], [1.0])])
    kinds = [type(each) for each in islice(tape.inputs(), 100)]
    assert kinds.index(m.External) == 89
    assert kinds.count(m.Bar) == 99


class Holds(Strategy):
    """Holds one unit from the first bar on."""

    def on_bar(self, _bar: m.Bar, _: Any, /) -> None:
        self.target(1)


def test_funding_is_charged_to_the_positions_of_a_replay(walk: Any, tape_of: Any) -> None:
    tape = tape_of(walk(7, 60), "X/USD")
    paid_ns = [START_NS + minutes * MINUTE for minutes in (10, 30)]
    funding = series("X/USD", paid_ns, [0.01, -0.005], kind="funding")
    marks = series("X/USD", [START_NS + 20 * MINUTE], [200.0], kind="mark")
    close = next(bar.close for bar in tape.bars() if bar.close_ns == paid_ns[0])
    plain = replay_tape(settings_of(Holds), tape)
    charged = replay_tape(settings_of(Holds), tape.with_external([funding, marks]))
    expected = -Decimal(repr(close)) * Decimal("0.01") + 200 * Decimal("0.005")
    assert charged.final_equity - plain.final_equity == expected
    assert charged.fees == plain.fees
    assert replay_tape(settings_of(Holds), tape.with_external([marks])).digest == plain.digest


def test_recorded_funding_is_charged_over_recorded_bars(shared_data: Path) -> None:
    """Three months of minutes of a perpetual, its own funding beside them: what it costs to hold it."""
    from replay.tape import open_tape
    from replay.tape.external_file import open_series

    bars = open_tape([f"BTCUSDT={shared_data / 'ohlcv/1m/binance-um_BTCUSDT_1m_2025.parquet'}"])
    funding = f"BTCUSDT={shared_data / 'funding/binance-um_BTCUSDT_funding_2025.parquet'}"
    tape = bars.with_external(open_series([funding], ["BTCUSDT"]))
    core, _ = played(tape, settings_of(Holds))
    (held,) = core.ledger.holdings.values()
    assert tape.external is not None
    closes = {bar.close_ns: bar.close for bar in bars.bars()}
    first_ns, last_ns = min(closes), max(closes)
    expected = sum(
        -row.rate * closes[row.time_ns - row.time_ns % MINUTE]  # type: ignore[attr-defined]
        for row in tape.external.messages()
        if first_ns + MINUTE < row.time_ns <= last_ns  # type: ignore[attr-defined]
    )
    assert held.funding_atoms / 1e8 == pytest.approx(expected, rel=1e-9)
    assert core.scheduler.emitted(m.FundingShared) > 140


class Leans(Strategy):
    """Takes a position by the price, larger than its margin lasts for."""

    def on_bar(self, bar: m.Bar, _: Any, /) -> None:
        cents = round(bar.close * 100)
        if cents % 4 == 0:
            self.target((cents % 7 - 3) / 4)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize("marks", [False, True])
def test_margin_funding_and_marks_go_the_same_with_chunks_and_without(
    walk: Any, tape_of: Any, mode: str, marks: bool
) -> None:
    table = walk(51, 1_500)
    generator = np.random.default_rng(5)
    paid_ns = [START_NS + minute * MINUTE + jitter for minute in range(7, 1_500, 29) for jitter in (0,)]
    paid_ns = [each + int(generator.integers(0, 2)) * 20_000_000_000 for each in paid_ns]
    external = [series("X/USD", paid_ns, list(generator.normal(0, 0.002, len(paid_ns)).round(6)), kind="funding")]
    if marks:
        closes = dict(zip(range(1_500), table["close"].tolist(), strict=True))
        at = range(600, 1_500, 5)
        mark_ns = [START_NS + minute * MINUTE + 1 for minute in at]
        external.append(series("X/USD", mark_ns, [closes[minute - 1] for minute in at], kind="mark"))
    tape = tape_of(table, "X/USD").with_external(external)
    venue = {"leverage": 50, "margin_mode": mode, "taker_fee": Decimal("0.0002")}
    settings = settings_of(Leans, venue=venue, account={"cash": 2})
    (one, short), (two, whole) = played(tape, settings), stepped(tape, settings)
    assert one.snapshot() == two.snapshot()
    assert short.fills().equals(whole.fills())
    assert short.equity().equals(whole.equity())
    assert one.scheduler.emitted(m.Liquidated) > 0
    assert one.scheduler.emitted(m.FundingShared) > 10
    assert one.ledger.equity_atoms == one.margin.account.view().balance_atoms or marks
