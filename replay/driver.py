"""The replay driver: a tape through the core, as fast as it goes.

It differs from the live driver only in who says what time it is and in who waits: time is the tape's and
nobody does. Features are computed a chunk at a time with the same kernels that live steps bar by bar.
"""

from __future__ import annotations

from decimal import Decimal
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from actors.instrument import from_atoms
from actors.messages import TapeEnded
from actors.risk import RuleReport, active_limits
from actors.runtime.clock import knowable_ns
from actors.runtime.timers import NEVER_NS
from replay.books import Book, books_of
from replay.margin_view import describe_margin
from replay.metrics import EquityCurve
from replay.plan import SessionPlan, build_core, plan_session, start_core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.messages import Bar, Message
    from actors.runtime.scheduler import Scheduler
    from actors.system import Core
    from config.schema import Settings
    from replay.record import Recorder
    from replay.tape import Columns, Series, Tape

_SETTLE_INPUTS = 16_384
"""Inputs between two looks at the equity, where there are ticks."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay came to; money in quote units."""

    digest: str
    bars: int
    messages: int
    fills: int
    trades: int
    """Round trips: times a book returned to flat or crossed through it."""
    start_equity: Decimal
    final_equity: Decimal
    fees: Decimal
    realized_pnl: Decimal
    """Profit of closed quantity, before fees."""
    max_drawdown: float
    sharpe: float | None
    wall_s: float
    bars_per_s: float
    state: str
    """The trading state at the end; anything but `running` needs a look."""
    instruments: list[dict[str, str | bool]]
    strategies: list[dict[str, object]]
    limits: list[str]
    """Risk limits that were switched on."""
    rules: list[RuleReport]
    """What each of them did."""
    notes: list[str]
    dead_letters: int
    funding: Decimal = Decimal(0)
    """What contracts received of funding, less what they paid."""
    margin: dict[str, Any] | None = None
    """Where contracts are held on margin: how the account stands at the end, what of it was ever used, and what was
    liquidated."""
    books: list[Book] = []
    """What each strategy ordered, filled, earned and holds, by symbol."""


def replay_tape(
    settings: Settings,
    tape: Tape,
    *,
    recorder: Recorder | None = None,
    progress: Callable[[int], None] | None = None,
    opened_at: float | None = None,
) -> Summary:
    """Replay `tape` and return the summary.

    Args:
        settings: account, venue, risk and strategies.
        tape: the market data.
        recorder: keeps fills, orders and equity; without one memory does not grow with the tape.
        progress: called now and then with the number of bars done.
        opened_at: `perf_counter()` when opening the tape began, so that `bars_per_s` counts it too.
    """
    started_at = perf_counter() if opened_at is None else opened_at
    plan = plan_session(settings, tape)
    core = build_core(plan, None if recorder is None else recorder.observers())
    start_core(core)
    curve = EquityCurve(core.ledger.equity_atoms)
    start_atoms = core.ledger.equity_atoms
    bars = play(core, tape, curve, recorder, progress)
    return summarize(core, plan, tape, curve, bars=bars, start_atoms=start_atoms, started_at=started_at)


def play(
    core: Core,
    tape: Tape,
    curve: EquityCurve,
    recorder: Recorder | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Run everything on `tape` through `core`; return how many bars there were."""
    scheduler = core.scheduler

    def settle() -> None:
        times_ns, equity_atoms = core.ledger.take_marks()
        curve.add(times_ns, equity_atoms)
        if recorder is not None:
            recorder.add_marks(times_ns, equity_atoms)
        if progress is not None:
            progress(core.bars())

    def on_chunk(series: Series, columns: Columns) -> None:
        settle()
        core.preload(series.symbol, columns)

    if tape.has_ticks:
        _play_inputs(scheduler, tape, settle)
    elif tape.external is not None:
        scheduler.post_bars(_told(scheduler, tape.bars(on_chunk=on_chunk), tape.external.messages()))
    else:
        scheduler.post_bars(tape.bars(on_chunk=on_chunk))
    settle()
    last_ns = core.context.now_ns
    scheduler.fire_before(last_ns + 1)
    scheduler.post(core.context.now_ns, TapeEnded())
    settle()
    curve.finish()
    return core.bars()


def _play_inputs(scheduler: Scheduler, tape: Tape, settle: Callable[[], None]) -> None:
    """Run ticks and bars one by one, as the live driver does."""
    timers = scheduler.context.timers
    for count, (ts_ns, message) in enumerate(tape.stamped()):
        if timers.next_hint_ns < ts_ns:
            scheduler.fire_before(ts_ns)
        scheduler.post(ts_ns, message)
        if count % _SETTLE_INPUTS == 0:
            settle()


def _told(scheduler: Scheduler, bars: Iterator[Bar], others: Iterator[Message]) -> Iterator[Bar]:
    """Yield `bars`; before each, run what was published by its close, and every timer that was due before."""
    waiting = next(others, None)
    waiting_ns = NEVER_NS if waiting is None else knowable_ns(waiting)
    for bar in bars:
        while waiting is not None and waiting_ns is not None and waiting_ns <= bar.close_ns:
            scheduler.fire_before(waiting_ns)
            scheduler.post(waiting_ns, waiting)
            waiting = next(others, None)
            waiting_ns = NEVER_NS if waiting is None else knowable_ns(waiting)
        yield bar


def summarize(
    core: Core,
    plan: SessionPlan,
    tape: Tape,
    curve: EquityCurve,
    *,
    bars: int,
    start_atoms: int,
    started_at: float,
) -> Summary:
    """Return the figures of a finished replay."""
    holdings = list(core.ledger.holdings.values())
    sharpe = curve.sharpe()
    wall_s = perf_counter() - started_at
    return Summary(
        digest=core.digest.value.hex(),
        bars=bars,
        messages=core.scheduler.messages(),
        fills=sum(held.fills for held in holdings),
        trades=sum(held.round_trips for held in holdings),
        start_equity=from_atoms(start_atoms),
        final_equity=from_atoms(core.ledger.equity_atoms),
        fees=from_atoms(sum(held.fees_atoms for held in holdings)),
        realized_pnl=from_atoms(sum(held.realized_atoms for held in holdings)),
        max_drawdown=curve.max_drawdown,
        sharpe=sharpe,
        wall_s=wall_s,
        bars_per_s=bars / wall_s,
        state=core.control.trading,
        instruments=[
            {
                "symbol": spec.symbol,
                "tick": f"{spec.tick:f}",
                "lot": f"{spec.lot:f}",
                "inferred": spec.inferred,
            }
            for spec in plan.instruments
        ],
        strategies=[
            {"id": s.id, "symbol": s.symbol, "symbols": list(s.symbols), "params": s.params} for s in plan.strategies
        ],
        limits=active_limits(core.risk.in_force.limits),
        rules=core.risk.judge.report(),
        notes=tape.notes + _failures(core),
        dead_letters=core.scheduler.dead_letters.count,
        funding=from_atoms(sum(held.funding_atoms for held in holdings)),
        margin=None if core.margin is None else describe_margin(core.margin.account, holdings, core.instruments),
        books=books_of(core),
    )


def _failures(core: Core) -> list[str]:
    """Say what went wrong on the way, with the first error of each actor."""
    notes: dict[str, str] = {}
    for letter in core.scheduler.dead_letters.letters:
        notes.setdefault(letter.actor, f"{letter.actor} failed on input {letter.seq}: {letter.error}")
    contracts = [symbol for symbol, each in core.instruments.items() if each.spec.contract]
    if contracts and core.margin is None:
        notes["margin"] = f"{', '.join(contracts)} without margin: venue.leverage is not set, nothing is liquidated"
    if core.control.trading != "running":
        notes["control"] = f"trading ended {core.control.trading}: {core.control.reason}"
    return list(notes.values())
