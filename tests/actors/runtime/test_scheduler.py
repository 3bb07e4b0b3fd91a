"""The scheduler's rules, one by one, on actors made for the purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors import messages as m
from actors.runtime.digest import Digest
from actors.runtime.scheduler import Context, CoreError, LivelockError, Scheduler, WithheldError
from actors.runtime.supervision import Intensity

MINUTE = 60_000_000_000
PAUSE = m.Pause("c")


class Ping(m.Message, frozen=True):
    """A message only these tests know."""

    number: int = 0


class Pong(m.Message, frozen=True):
    """Another one."""

    number: int = 0


class Noise(m.Message, frozen=True):
    """One nobody need answer."""


class Player:
    """An actor that notes what it hears in a common log, and does as it was told."""

    isolated = False

    def __init__(self, name: str, log: list[Any], act: Callable[[Any], object] | None = None) -> None:
        self.name = name
        self.log = log
        self.act = act

    def on_any(self, message: m.Message) -> None:
        self.log.append((self.name, message))
        if self.act is not None:
            self.act(message)


class Fragile(Player):
    """An isolated actor."""

    isolated = True

    def __init__(self, name: str, log: list[Any], act: Callable[[Any], object], restarts_max: int = 1) -> None:
        super().__init__(name, log, act)
        self.intensity = Intensity(restarts_max, 10 * MINUTE)
        self.recoveries = 0
        self.abandoned = False
        self.recovery: Callable[[], object] | None = None

    def recover(self) -> None:
        self.recoveries += 1
        if self.recovery is not None:
            self.recovery()

    def abandon(self, *, recovered: bool) -> None:  # noqa: ARG002 - it has nothing to keep
        self.abandoned = True


class Stage:
    """A context, a log, and a scheduler over the given tables."""

    def __init__(self) -> None:
        self.context = Context()
        self.log: list[tuple[str, m.Message]] = []
        self.digest = Digest()

    def player(self, name: str, act: Callable[[Any], object] | None = None) -> Player:
        return Player(name, self.log, act)

    def fragile(self, name: str, act: Callable[[Any], object], restarts_max: int = 1) -> Fragile:
        return Fragile(name, self.log, act, restarts_max)

    def emit(self, *messages: m.Message) -> None:
        for message in messages:
            self.context.emit(message)

    def scheduler(
        self,
        entries: dict[type[m.Message], list[Player]],
        subscribers: dict[type[m.Message], list[Player]] | None = None,
        deliveries_max: int = 10_000,
    ) -> Scheduler:
        failures: dict[type[m.Message], list[Player]] = {m.ActorFailed: [], m.ActorRestarted: []}
        return Scheduler(
            self.context,
            self.digest,
            entries={kind: [player.on_any for player in players] for kind, players in entries.items()},
            subscribers={
                kind: [player.on_any for player in players]
                for kind, players in (failures | (subscribers or {})).items()
            },
            deliveries_max=deliveries_max,
            dead_letters_max=10,
        )

    @property
    def order(self) -> list[str]:
        return [f"{name}:{type(message).__name__}" for name, message in self.log]


@pytest.fixture
def stage() -> Stage:
    return Stage()


# --- order of delivery ------------------------------------------------------------------------------


def test_an_input_is_heard_in_the_order_of_the_table(stage: Stage) -> None:
    scheduler = stage.scheduler({m.Pause: [stage.player(name) for name in "cab"]})
    scheduler.post(1, PAUSE)
    assert stage.order == ["c:Pause", "a:Pause", "b:Pause"]


def test_what_a_handler_says_is_heard_only_after_it_returned(stage: Stage) -> None:
    heard_meanwhile: list[int] = []

    def act(_: m.Message) -> None:
        stage.emit(Ping())
        heard_meanwhile.append(len(stage.log))
        stage.emit(Pong())
        heard_meanwhile.append(len(stage.log))

    speaker, listener = stage.player("speaker", act), stage.player("listener")
    scheduler = stage.scheduler({m.Pause: [speaker]}, {Ping: [listener], Pong: [listener]})
    scheduler.post(1, PAUSE)
    assert heard_meanwhile == [1, 1]
    assert stage.order == ["speaker:Pause", "listener:Ping", "listener:Pong"]


def test_everything_a_message_causes_is_settled_before_its_next_subscriber(stage: Stage) -> None:
    """Depth first, and in the order things were said."""

    def answers(message: Ping) -> None:
        stage.emit(Pong(10 * message.number), Pong(10 * message.number + 1))

    def notes(message: Pong) -> None:
        if message.number == 10:
            stage.emit(Noise())

    first = stage.player("first", lambda _: stage.emit(Ping(1), Ping(2)))
    scheduler = stage.scheduler(
        {m.Pause: [first, stage.player("last")]},
        {
            Ping: [stage.player("answers", answers), stage.player("also")],
            Pong: [stage.player("notes", notes), stage.player("too")],
            Noise: [stage.player("quiet")],
        },
    )
    scheduler.post(1, PAUSE)
    assert [(name, getattr(message, "number", None)) for name, message in stage.log] == [
        ("first", None),
        ("answers", 1),
        ("notes", 10),
        ("quiet", None),
        ("too", 10),
        ("notes", 11),
        ("too", 11),
        ("also", 1),
        ("answers", 2),
        ("notes", 20),
        ("too", 20),
        ("notes", 21),
        ("too", 21),
        ("also", 2),
        ("last", None),
    ]


def test_a_message_nobody_subscribed_to_is_fine_and_one_without_a_row_is_not(stage: Stage) -> None:
    speaker = stage.player("speaker", lambda _: stage.emit(Noise()))
    stage.scheduler({m.Pause: [speaker]}, {Noise: []}).post(1, PAUSE)
    with pytest.raises(KeyError):
        stage.scheduler({m.Pause: [speaker]}).post(1, PAUSE)


def test_a_withheld_message_stops_at_who_withheld_it(stage: Stage) -> None:
    def withhold(_: m.Message) -> None:
        stage.emit(Noise())
        raise WithheldError(Ping(5))

    door = stage.player("door", withhold)
    scheduler = stage.scheduler(
        {m.Pause: [stage.player("before"), door, stage.player("after")]},
        {Ping: [stage.player("told")], Noise: [stage.player("never")]},
    )
    scheduler.post(1, PAUSE)
    assert stage.order == ["before:Pause", "door:Pause", "told:Ping"]
    assert scheduler.dead_letters.count == 0


# --- time -------------------------------------------------------------------------------------------


def test_time_is_the_inputs_and_stands_still_within_it(stage: Stage) -> None:
    times: list[int] = []
    speaker = stage.player("speaker", lambda _: (times.append(stage.context.now_ns), stage.emit(Ping())))
    listener = stage.player("listener", lambda _: times.append(stage.context.now_ns))
    scheduler = stage.scheduler({m.Pause: [speaker]}, {Ping: [listener]})
    scheduler.post(5, PAUSE)
    scheduler.post(5, PAUSE)
    scheduler.post(8, PAUSE)
    assert times == [5, 5, 5, 5, 8, 8]
    assert scheduler.seq == 3


def test_time_that_goes_back_is_a_fault_and_reaches_nobody(stage: Stage) -> None:
    scheduler = stage.scheduler({m.Pause: [stage.player("a")]})
    scheduler.post(5, PAUSE)
    with pytest.raises(AssertionError, match="time went back"):
        scheduler.post(4, PAUSE)
    assert len(stage.log) == 1
    assert stage.context.now_ns == 5


def bar(close_ns: int, symbol: str = "X") -> m.Bar:
    return m.Bar(symbol, MINUTE, close_ns - MINUTE, close_ns, 1.0, 1.0, 1.0, 1.0, 1.0)


TimeLine = Callable[[Stage, Scheduler, list[m.Bar]], None]


def live(_: Stage, scheduler: Scheduler, bars: list[m.Bar]) -> None:
    """Drive as `daemon.live` does."""
    for each in bars:
        scheduler.fire_before(each.close_ns)
        scheduler.post(each.close_ns, each)


def tape(_: Stage, scheduler: Scheduler, bars: list[m.Bar]) -> None:
    """Drive as `replay.driver` does."""
    scheduler.post_bars(iter(bars))


drivers = pytest.mark.parametrize("drive", [live, tape])


def told(message: m.Message) -> object:
    """Return what names a message in these tests: a bar's symbol and close, a timer's name and due time."""
    if isinstance(message, m.Bar):
        return (message.symbol, message.close_ns)
    return (message.name, message.due_ns) if isinstance(message, m.TimerFired) else message


@drivers
def test_a_timer_due_before_a_datum_runs_first_at_its_own_time(stage: Stage, drive: TimeLine) -> None:
    times: list[int] = []
    actor = stage.player("a", lambda _: times.append(stage.context.now_ns))
    scheduler = stage.scheduler({m.Bar: [actor], m.TimerFired: [actor]})
    stage.context.timers.arm("a", "early", 2 * MINUTE - 1)
    drive(stage, scheduler, [bar(MINUTE), bar(2 * MINUTE)])
    assert [told(message) for _, message in stage.log] == [
        ("X", MINUTE),
        ("early", 2 * MINUTE - 1),
        ("X", 2 * MINUTE),
    ]
    assert times == [MINUTE, 2 * MINUTE - 1, 2 * MINUTE]


@drivers
def test_a_timer_due_exactly_at_a_datum_runs_after_all_data_of_that_time(stage: Stage, drive: TimeLine) -> None:
    actor = stage.player("a")
    scheduler = stage.scheduler({m.Bar: [actor], m.TimerFired: [actor]})
    stage.context.timers.arm("a", "exact", MINUTE)
    drive(stage, scheduler, [bar(MINUTE), bar(MINUTE, "Y"), bar(2 * MINUTE)])
    assert [told(message) for _, message in stage.log] == [
        ("X", MINUTE),
        ("Y", MINUTE),
        ("exact", MINUTE),
        ("X", 2 * MINUTE),
    ]


@drivers
def test_timers_run_by_due_time_then_actor_then_name(stage: Stage, drive: TimeLine) -> None:
    actor = stage.player("a")
    scheduler = stage.scheduler({m.Bar: [actor], m.TimerFired: [actor]})
    for due_ns, owner, name in ((9, "b", "u"), (9, "a", "v"), (9, "a", "u"), (4, "z", "z")):
        stage.context.timers.arm(owner, name, due_ns)
    drive(stage, scheduler, [bar(MINUTE)])
    fired = [message for _, message in stage.log if isinstance(message, m.TimerFired)]
    assert [(each.due_ns, each.actor, each.name) for each in fired] == [
        (4, "z", "z"),
        (9, "a", "u"),
        (9, "a", "v"),
        (9, "b", "u"),
    ]


@drivers
def test_data_of_one_time_keep_the_order_of_the_tape(stage: Stage, drive: TimeLine) -> None:
    scheduler = stage.scheduler({m.Bar: [stage.player("a")]})
    drive(stage, scheduler, [bar(MINUTE, "Z"), bar(MINUTE, "A"), bar(MINUTE, "M")])
    assert [told(message) for _, message in stage.log] == [("Z", MINUTE), ("A", MINUTE), ("M", MINUTE)]


@drivers
def test_a_timer_armed_by_a_timer_still_runs_before_the_datum(stage: Stage, drive: TimeLine) -> None:
    def act(message: m.Message) -> None:
        if isinstance(message, m.TimerFired) and message.name == "one":
            stage.context.timers.arm("a", "two", stage.context.now_ns + 5)

    actor = stage.player("a", act)
    scheduler = stage.scheduler({m.Bar: [actor], m.TimerFired: [actor]})
    stage.context.timers.arm("a", "one", 10)
    drive(stage, scheduler, [bar(MINUTE)])
    assert [told(message) for _, message in stage.log] == [("one", 10), ("two", 15), ("X", MINUTE)]


@drivers
def test_an_overdue_timer_runs_at_the_present_and_tells_when_it_was_due(stage: Stage, drive: TimeLine) -> None:
    times: list[int] = []
    actor = stage.player("a", lambda _: times.append(stage.context.now_ns))
    scheduler = stage.scheduler({m.Bar: [actor], m.TimerFired: [actor]})
    drive(stage, scheduler, [bar(MINUTE)])
    stage.context.timers.arm("a", "late", 10)
    drive(stage, scheduler, [bar(2 * MINUTE)])
    assert [told(message) for _, message in stage.log][1] == ("late", 10)
    assert times == [MINUTE, MINUTE, 2 * MINUTE]


def test_timers_that_fire_are_told_as_inputs_with_their_decisions(stage: Stage) -> None:
    veto = m.RiskVeto("a", "X", 1, "no")
    actor = stage.player("a", lambda _: stage.digest.decided.append(veto))
    scheduler = stage.scheduler({m.Bar: [], m.TimerFired: [actor]})
    stage.context.timers.arm("a", "t", 10)
    kept: list[tuple[int, m.Message, bool]] = []
    scheduler.fire_before(11, lambda now, message, effects: kept.append((now, message, effects is not None)))
    assert kept == [(10, m.TimerFired("a", "t", 10), True)]
    assert scheduler.seq == 1


# --- decisions --------------------------------------------------------------------------------------


def test_an_input_returns_its_decisions_or_none(stage: Stage) -> None:
    veto = m.RiskVeto("a", "X", 1, "no")
    deciding = stage.player("a", lambda message: stage.digest.decided.append(veto) if message.command_id else None)
    scheduler = stage.scheduler({m.Pause: [deciding]})
    before = stage.digest.value
    assert scheduler.post(1, m.Pause("")) is None
    assert stage.digest.value == before
    assert scheduler.post(2, m.Pause("c")) is not None
    assert stage.digest.value != before


def test_both_drivers_fold_the_same_digest() -> None:
    values = []
    for drive in (live, tape):
        stage = Stage()

        def act(message: m.Message, stage: Stage = stage) -> None:
            stage.digest.decided.append(m.RiskVeto("a", "X", 1, f"{stage.context.now_ns}{message}"))
            stage.context.timers.arm("a", "t", stage.context.now_ns + MINUTE // 2)

        actor = stage.player("a", act)
        scheduler = stage.scheduler({m.Bar: [actor], m.TimerFired: [actor]})
        drive(stage, scheduler, [bar(index * MINUTE) for index in range(1, 6)])
        values.append((stage.digest.value, scheduler.seq, scheduler.dump_counts()))
    assert values[0] == values[1]


# --- failures ---------------------------------------------------------------------------------------


def test_a_failure_of_the_cores_own_actor_is_a_core_error_that_names_it(stage: Stage) -> None:
    def fail(_: m.Message) -> None:
        stage.emit(Ping())
        raise ValueError("broken")

    listener = stage.player("listener")
    scheduler = stage.scheduler({m.Pause: [stage.player("ledger", fail), listener]}, {Ping: [listener]})
    with pytest.raises(CoreError, match=r"ledger failed on Pause \(input 1\): ValueError: broken") as caught:
        scheduler.post(1, PAUSE)
    assert isinstance(caught.value.__cause__, ValueError)
    assert stage.order == ["ledger:Pause"], "who raises has said nothing"
    assert stage.context.outbox == []


def test_a_failure_of_user_code_is_its_own_affair(stage: Stage) -> None:
    def fail(_: m.Message) -> None:
        stage.emit(Ping())
        raise ValueError("broken")

    user, other, control = stage.fragile("strategy.a", fail), stage.player("other"), stage.player("control")
    scheduler = stage.scheduler(
        {m.Pause: [user, other]}, {Ping: [other], m.ActorFailed: [control], m.ActorRestarted: [control]}
    )
    scheduler.post(7, PAUSE)
    assert stage.order == ["strategy.a:Pause", "control:ActorFailed", "control:ActorRestarted", "other:Pause"]
    assert (user.recoveries, user.abandoned) == (1, False)
    (letter,) = scheduler.dead_letters.letters
    assert (letter.actor, letter.seq, letter.ts_ns, letter.error) == ("strategy.a", 1, 7, "ValueError: broken")
    assert letter.message == repr(PAUSE)


def test_past_its_intensity_user_code_is_abandoned(stage: Stage) -> None:
    def fail(_: m.Message) -> None:
        raise ValueError("broken")

    user, control = stage.fragile("strategy.a", fail, restarts_max=1), stage.player("control")
    scheduler = stage.scheduler({m.Pause: [user]}, {m.ActorFailed: [control], m.ActorRestarted: [control]})
    scheduler.post(1, PAUSE)
    scheduler.post(2, PAUSE)
    assert user.abandoned
    assert user.recoveries == 2, "the last time to keep what it knew"
    assert [message for name, message in stage.log if name == "control"] == [
        m.ActorFailed("strategy.a", "ValueError: broken", escalated=False),
        m.ActorRestarted("strategy.a", 1),
        m.ActorFailed("strategy.a", "ValueError: broken", escalated=True),
    ]
    assert scheduler.dead_letters.count == 2


def test_a_recovery_that_fails_too_abandons(stage: Stage) -> None:
    def fail(_: m.Message) -> None:
        raise ValueError("broken")

    def fail_again() -> None:
        stage.emit(Ping())
        raise RuntimeError("still broken")

    user, control = stage.fragile("strategy.a", fail, restarts_max=9), stage.player("control")
    user.recovery = fail_again
    scheduler = stage.scheduler({m.Pause: [user]}, {m.ActorFailed: [control], Ping: [control]})
    scheduler.post(1, PAUSE)
    assert user.abandoned
    assert stage.order == ["strategy.a:Pause", "control:ActorFailed"]
    assert [letter.error for letter in scheduler.dead_letters.letters] == [
        "ValueError: broken",
        "RuntimeError: still broken",
    ]


def test_a_recovery_says_nothing(stage: Stage) -> None:
    def fail(_: m.Message) -> None:
        raise ValueError("broken")

    user, listener = stage.fragile("strategy.a", fail), stage.player("listener")
    user.recovery = lambda: stage.emit(Ping())
    scheduler = stage.scheduler({m.Pause: [user]}, {Ping: [listener]})
    scheduler.post(1, PAUSE)
    assert stage.order == ["strategy.a:Pause"]


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_what_is_not_a_function_of_the_input_ends_the_process(stage: Stage, error: type[Exception]) -> None:
    def fail(_: m.Message) -> None:
        raise error

    user = stage.fragile("strategy.a", fail)
    with pytest.raises(error):
        stage.scheduler({m.Pause: [user]}).post(1, PAUSE)
    assert user.recoveries == 0


# --- bounds -----------------------------------------------------------------------------------------


def test_an_endless_exchange_is_a_livelock_that_names_both_and_the_bound(stage: Stage) -> None:
    ping = stage.player("ping", lambda _: stage.emit(Pong()))
    pong = stage.player("pong", lambda _: stage.emit(Ping()))
    scheduler = stage.scheduler({m.Pause: [ping]}, {Ping: [ping], Pong: [pong, stage.player("innocent")]})
    with pytest.raises(LivelockError, match=r"input 1 .*200 messages in a chain") as caught:
        scheduler.post(1, PAUSE)
    assert "ping" in str(caught.value)
    assert "pong" in str(caught.value)
    assert "innocent" not in str(caught.value)


def test_a_livelock_in_breadth_meets_the_named_bound(stage: Stage) -> None:
    """Every answer asks twice, six levels deep: far more than the bound, never a long chain."""

    def ask(message: Ping) -> None:
        if message.number < 12:
            stage.emit(Ping(message.number + 1), Ping(message.number + 1))

    asking = stage.player("asking", ask)
    start = stage.player("start", lambda _: stage.emit(Ping()))
    scheduler = stage.scheduler({m.Pause: [start]}, {Ping: [asking]}, deliveries_max=1_000)
    with pytest.raises(LivelockError, match="more than 1000 messages, last among asking"):
        scheduler.post(1, PAUSE)
    assert len(stage.log) < 1_500


def test_a_livelock_names_nobody_from_earlier_inputs(stage: Stage) -> None:
    busy = stage.player("busy", lambda message: stage.emit(Ping(message.number + 1)) if message.number < 180 else None)
    start = stage.player("start", lambda _: stage.emit(Ping()))
    again = stage.player("again", lambda _: stage.emit(Pong()))
    scheduler = stage.scheduler({m.Pause: [start], m.Resume: [again]}, {Ping: [busy], Pong: [again]})
    scheduler.post(1, PAUSE)
    with pytest.raises(LivelockError) as caught:
        scheduler.post(2, m.Resume("c"))
    assert "busy" not in str(caught.value)
    assert "again" in str(caught.value)


def test_a_long_but_finite_exchange_passes(stage: Stage) -> None:
    def ask(message: Ping) -> None:
        if message.number < 180:
            stage.emit(Ping(message.number + 1))

    asking = stage.player("asking", ask)
    start = stage.player("start", lambda _: stage.emit(Ping()))
    stage.scheduler({m.Pause: [start]}, {Ping: [asking]}).post(1, PAUSE)
    assert len(stage.log) == 182


# --- statistics -------------------------------------------------------------------------------------


def test_counts_know_inputs_messages_and_who_was_given_how_many(stage: Stage) -> None:
    first = stage.player("first", lambda _: stage.emit(Ping(), Ping()))
    second = stage.player("second")
    scheduler = stage.scheduler({m.Pause: [first, second], m.Resume: [second]}, {Ping: [second]})
    scheduler.post(1, PAUSE)
    scheduler.post(2, PAUSE)
    scheduler.post(3, m.Resume("c"))
    assert scheduler.entered(m.Pause) == 2
    assert scheduler.entered(m.Resume) == 1
    assert scheduler.emitted(Ping) == 4
    assert scheduler.messages() == 7
    assert scheduler.processed() == {"first": 2, "second": 7}


def test_counts_survive_a_snapshot(stage: Stage) -> None:
    speaker = stage.player("a", lambda _: stage.emit(Ping()))
    scheduler = stage.scheduler({m.Pause: [speaker]}, {Ping: [speaker]}, 10)
    speaker.act = None
    scheduler.post(1, PAUSE)
    other = Stage().scheduler({m.Pause: [stage.player("a")]}, {Ping: [stage.player("a")]})
    other.load_counts(scheduler.dump_counts())
    assert other.dump_counts() == scheduler.dump_counts()
    assert other.seq == 1
