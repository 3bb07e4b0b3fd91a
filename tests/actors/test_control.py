"""The trading state: the table, the commands, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, get_args

import pytest

from actors import messages as m
from actors.control import TRANSITIONS, Control, Event, TradingState
from actors.runtime.scheduler import Context

Said = Callable[[], list[m.Message]]

WRITTEN_ANEW = """
            pause       resume      flatten     flattened   halt        halt_and_flatten  stop
running     paused      running     flattening  running     halted      flattening        stopping
paused      paused      running     flattening  paused      halted      flattening        stopping
flattening  flattening  running     flattening  paused      flattening  flattening        stopping
halted      halted      running     flattening  halted      halted      flattening        stopping
stopping    stopping    stopping    stopping    stopping    stopping    stopping          stopping
"""
HEAD, *ROWS = WRITTEN_ANEW.strip().splitlines()
PAIRS = [
    (row.split()[0], event, target) for row in ROWS for event, target in zip(HEAD.split(), row.split()[1:], strict=True)
]
COMMANDS: dict[str, Any] = {"pause": m.Pause, "resume": m.Resume, "flatten": m.Flatten, "stop": m.Stop}


def make(context: Context, safe_state: str = "cancel_all", commands_kept: int = 10) -> Control:
    return Control(context, commands_kept=commands_kept, safe_state=safe_state)


def command(control: Control, action: str, command_id: str = "c", key: str = "") -> None:
    control.on_command(COMMANDS[action](command_id, key))


def outcomes(control: Control) -> list[tuple[str, str]]:
    return [(each.action, each.outcome) for each in control.commands]


@pytest.fixture
def control(context: Context) -> Control:
    return make(context)


def test_the_grid_above_is_the_table() -> None:
    assert {(state, event): target for state, event, target in PAIRS} == TRANSITIONS
    assert {state for state, _, _ in PAIRS} == set(get_args(TradingState))
    assert {event for _, event, _ in PAIRS} == set(get_args(Event))


@pytest.mark.parametrize(("state", "action", "target"), [pair for pair in PAIRS if pair[1] in COMMANDS])
def test_a_command_in_any_state_leads_where_the_table_says(
    control: Control, said: Said, state: str, action: str, target: str
) -> None:
    control.trading = cast("TradingState", state)
    command(control, action)
    assert control.trading == target
    changed = [message.state for message in said() if isinstance(message, m.TradingStateChanged)]
    assert changed == ([target] if target != state else [])


@pytest.mark.parametrize(("state", "event", "target"), [pair for pair in PAIRS if pair[1].startswith("halt")])
def test_a_halt_in_any_state_leads_where_the_table_says(context: Context, state: str, event: str, target: str) -> None:
    control = make(context, "flatten" if event == "halt_and_flatten" else "halt")
    control.trading = cast("TradingState", state)
    control.on_halt(m.Halt("loss"))
    assert control.trading == target


@pytest.mark.parametrize(
    ("state", "target"), [(state, target) for state, event, target in PAIRS if event == "flattened"]
)
def test_being_flat_ends_a_flatten_and_nothing_else(control: Control, state: str, target: str) -> None:
    control.trading = cast("TradingState", state)
    control.on_flattened(m.Flattened())
    assert control.trading == target


# --- what a flatten ends in -------------------------------------------------------------------------


def test_after_a_flatten_trading_stays_paused_until_resume(control: Control) -> None:
    command(control, "flatten")
    assert outcomes(control) == [("flatten", "pending")]
    control.on_flattened(m.Flattened())
    assert (control.trading, outcomes(control)) == ("paused", [("flatten", "done")])
    command(control, "resume")
    assert control.trading == "running"


@pytest.mark.parametrize(
    "history",
    [
        ["halt", "flatten"],
        ["halt", "flatten", "flatten"],
        ["flatten", "halt"],
        ["flatten", "halt", "flatten"],
        ["flatten", "halt", "pause"],
        ["halt", "breach"],
        ["breach", "halt"],
        ["halt", "flatten", "breach"],
    ],
)
def test_a_halt_outlives_every_flatten(control: Control, said: Said, history: list[str]) -> None:
    for event in history:
        if event == "halt":
            control.on_halt(m.Halt("loss"))
        elif event == "breach":
            control.on_breached(m.LimitBreached("max_gross", "flatten", "too much"))
        else:
            command(control, event)
    said()
    control.on_flattened(m.Flattened())
    assert control.trading == "halted"
    assert [message.state for message in said() if isinstance(message, m.TradingStateChanged)][-1] == "halted"


def test_a_halt_that_flattens_ends_halted(context: Context) -> None:
    control = make(context, "flatten")
    control.on_halt(m.Halt("loss"))
    assert control.trading == "flattening"
    control.on_flattened(m.Flattened())
    assert control.trading == "halted"


def test_an_old_halt_does_not_colour_a_later_flatten(control: Control) -> None:
    control.on_halt(m.Halt("loss"))
    for action in ("resume", "flatten"):
        command(control, action)
    control.on_flattened(m.Flattened())
    assert control.trading == "paused"


# --- what became of a command -----------------------------------------------------------------------


@pytest.mark.parametrize("action", ["pause", "resume", "stop"])
def test_what_is_done_at_once_is_done(control: Control, action: str) -> None:
    command(control, action)
    assert outcomes(control) == [(action, "done")]


@pytest.mark.parametrize("later", ["resume", "stop", "flatten"])
def test_a_command_that_takes_its_place_supersedes_a_flatten(control: Control, later: str) -> None:
    command(control, "flatten")
    command(control, later)
    assert outcomes(control)[0] == ("flatten", "superseded")


def test_a_pause_during_a_flatten_changes_nothing_about_it(control: Control) -> None:
    command(control, "flatten", "c1")
    command(control, "pause", "c2")
    assert outcomes(control) == [("flatten", "pending"), ("pause", "done")]
    control.on_flattened(m.Flattened())
    assert outcomes(control) == [("flatten", "done"), ("pause", "done")]


@pytest.mark.parametrize("action", ["pause", "resume", "flatten"])
def test_while_stopping_nothing_else_is_taken(control: Control, said: Said, action: str) -> None:
    command(control, "stop")
    said()
    command(control, action)
    assert outcomes(control)[-1] == (action, "ignored")
    assert control.requested_action == "stop"
    assert said() == []


def test_the_same_key_is_the_same_command(control: Control, said: Said) -> None:
    command(control, "pause", "c1", "key")
    command(control, "resume", "c2")
    said()
    command(control, "pause", "c3", "key")
    assert control.trading == "running"
    assert said() == []
    assert [each.command_id for each in control.commands] == ["c1", "c2"]
    found = control.find("key")
    assert found is not None
    assert found.command_id == "c1"


def test_no_key_is_no_key(control: Control) -> None:
    for number in range(3):
        command(control, "pause", f"c{number}")
    assert len(control.commands) == 3
    assert control.find("other") is None


def test_only_so_many_commands_are_remembered(context: Context) -> None:
    control = make(context, commands_kept=3)
    for number in range(10):
        command(control, "pause", f"c{number}", f"k{number}")
    assert [each.command_id for each in control.commands] == ["c7", "c8", "c9"]
    assert control.find("k1") is None


def test_a_command_under_way_is_remembered_until_it_has_ended(context: Context) -> None:
    control = make(context, commands_kept=2)
    command(control, "flatten", "f")
    for number in range(5):
        command(control, "pause", f"c{number}")
    assert [each.command_id for each in control.commands] == ["f", "c4"]
    control.on_flattened(m.Flattened())
    assert outcomes(control) == [("flatten", "done"), ("pause", "done")]


def test_the_requested_action_is_the_last_one_until_resume(control: Control) -> None:
    seen = []
    for action in ("pause", "flatten", "resume", "stop"):
        command(control, action)
        seen.append(control.requested_action)
    assert seen == ["pause", "flatten", None, "stop"]


# --- failures ---------------------------------------------------------------------------------------


def test_a_failure_that_was_dealt_with_stops_nobody(control: Control, said: Said) -> None:
    control.on_actor_failed(m.ActorFailed("strategy.a", "ValueError: x", escalated=False))
    assert (control.trading, said()) == ("running", [])


@pytest.mark.parametrize(
    ("safe_state", "target"), [("halt", "halted"), ("cancel_all", "halted"), ("flatten", "flattening")]
)
def test_a_failure_that_escalates_brings_the_account_to_its_safe_state(
    context: Context, safe_state: str, target: str
) -> None:
    control = make(context, safe_state)
    control.on_actor_failed(m.ActorFailed("strategy.a", "ValueError: x", escalated=True))
    assert control.trading == target
    assert control.reason == "strategy.a failed too often: ValueError: x"


def test_running_needs_no_reason(control: Control) -> None:
    control.on_halt(m.Halt("loss"))
    assert control.reason == "loss"
    command(control, "resume")
    assert control.reason == ""


# --- state ------------------------------------------------------------------------------------------


def test_every_latch_survives_a_restart(context: Context) -> None:
    control = make(context)
    control.on_halt(m.Halt("loss"))
    command(control, "flatten", "c1", "key")
    other = make(context)
    other.load(control.dump())
    assert other.dump() == control.dump()
    assert (other.trading, other.requested_action, other.reason) == (
        "flattening",
        "flatten",
        "asked for by the operator",
    )
    command(other, "flatten", "c2", "key")
    assert outcomes(other) == [("flatten", "pending")]
    other.on_flattened(m.Flattened())
    assert (other.trading, outcomes(other)) == ("halted", [("flatten", "done")])
