"""What can be checked: a strategy over a tape, or a file of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.features import SeriesKey
from actors.messages import Intent, ProtectedIntent, TapeEnded
from config.errors import UserError
from replay.features.checking import Subject
from replay.plan import build_core, declared_by, plan_session, start_core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.runtime.scheduler import Context
    from config.schema import Settings
    from replay.features.checking import Inputs
    from replay.plan import SessionPlan
    from replay.tape import Tape
    from strategies.indicators.expression import Expression

BARS = 20_000
"""Bars of the tape that are looked at, unless more are asked for."""


class _Wishes:
    """Notes what a strategy wishes, and when."""

    name = "wishes"
    isolated = False

    def __init__(self) -> None:
        self.context: Context | None = None
        self.noted: list[tuple[int, object]] = []

    def on_intent(self, intent: Intent) -> None:
        """Note a wish."""
        assert self.context is not None
        self.noted.append((self.context.now_ns, intent))


def strategy_subject(settings: Settings, tape: Tape, bars: int = BARS) -> Subject:
    """Return a strategy of the settings, the only one, as a subject.

    Raises:
        UserError: it cannot be planned on this tape.
    """
    (entry,) = settings.strategies
    plan = plan_session(settings, tape)
    (record,) = plan.strategies
    core = build_core(plan)
    start_core(core)
    return Subject(
        lambda: declared_by(entry)[0],
        tape,
        tuple(SeriesKey(symbol, record.timeframe_ns) for symbol in record.symbols),
        end_ns(tape, bars),
        core.strategies[0].strategy,
        lambda inputs: _decide(plan, inputs),
    )


def features_subject(
    declared: Mapping[str, Expression], tape: Tape, symbol: str, timeframe_ns: int, bars: int = BARS
) -> Subject:
    """Return features by themselves as a subject.

    Raises:
        UserError: the tape does not tell what they read.
    """
    tape.told.check(declared, symbol)
    return Subject(lambda: declared, tape, (SeriesKey(symbol, timeframe_ns),), end_ns(tape, bars))


def end_ns(tape: Tape, bars: int) -> int:
    """Return when the last of so many bars of a tape closes.

    Raises:
        UserError: there is none.
    """
    last_ns: list[int] = []
    for one in tape.series:
        rows = 0
        for block in one.chunks():
            if len(block):
                last_ns.append(int(block.open_ns[min(len(block), bars - rows) - 1]) + one.timeframe_ns)
            rows += len(block)
            if rows >= bars:
                break
    if not last_ns:
        message = "the tape has no bars"
        raise UserError(message)
    return max(last_ns)


def _decide(plan: SessionPlan, inputs: Inputs) -> list[tuple[int, object]]:
    """Run the strategy as live, and return its wishes with their times."""
    wishes = _Wishes()
    core = build_core(plan, {Intent: [wishes.on_intent], ProtectedIntent: [wishes.on_intent]})
    wishes.context = core.context
    start_core(core)
    scheduler, timers = core.scheduler, core.context.timers
    for ts_ns, message in inputs:
        if timers.next_hint_ns < ts_ns:
            scheduler.fire_before(ts_ns)
        scheduler.post(ts_ns, message)
        core.ledger.take_marks()
    scheduler.post(core.context.now_ns, TapeEnded())
    return wishes.noted
