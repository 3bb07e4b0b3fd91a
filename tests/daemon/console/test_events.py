"""What the core says as events: each kind that is heard has a form of its own."""

from __future__ import annotations

from actors import messages as m
from daemon.console.events import event_of
from daemon.console.types import NoteEvent


def test_a_strategys_own_state_is_told_as_a_note() -> None:
    message = m.StrategyStateChanged("a", "paused", "asked for by the operator")

    event = event_of(7, 8, message, {})

    fields = {"strategy": "a", "state": "paused", "reason": "asked for by the operator"}
    assert event == NoteEvent(seq=7, ts_ns=8, level="info", what="strategy_state_changed", fields=fields)
