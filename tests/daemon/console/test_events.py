"""What the core says as events: each kind that is heard has a form of its own."""

from __future__ import annotations

from actors import messages as m
from daemon.console.events import event_of
from daemon.console.types import NoteEvent
from daemon.edges.publisher import Publisher


def test_a_strategys_own_state_is_told_as_a_note() -> None:
    message = m.StrategyStateChanged("a", "paused", "asked for by the operator")

    event = event_of(7, 8, message, {})

    fields = {"strategy": "a", "state": "paused", "reason": "asked for by the operator"}
    assert event == NoteEvent(seq=7, ts_ns=8, level="info", what="strategy_state_changed", fields=fields)


def test_a_flood_of_orders_pushes_no_change_of_state_out() -> None:
    publisher = Publisher(0.2)
    halted = m.TradingStateChanged("halted", "drawdown")
    orders = [m.Cancelled(str(number), "a", "X", number, "flattened") for number in range(600)]
    said = [
        (7, 1, halted),
        *((8, 2, order) for order in orders),
        (9, 3, m.TradingStateChanged("running", "")),
        (10, 4, halted),
    ]
    publisher._said.extend(said)  # as if it had been heard

    publisher.release(durable_seq=9)

    events, missed = publisher.take()
    assert [event[1:] for event in events] == [said[0], *said[-514:-1]]
    assert (missed, publisher.take()) == (88, ([], 0))
