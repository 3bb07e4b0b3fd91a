"""The life of an order: every state, every trigger, and nothing between the lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, get_args

import pytest

from actors import messages as m
from actors.execution.orders import (
    FINAL,
    ORDER_ID_MAX,
    TRANSITIONS,
    Execution,
    IllegalTransitionError,
    OrderState,
    OrderTrigger,
    base36,
)
from actors.runtime.scheduler import Context

Said = Callable[[], list[m.Message]]

WRITTEN_ANEW = """
               submitted   working        partly_filled  amending          amend_cancelling  cancelling
accept         working     -              -              -                 -                 cancelling
reject         rejected    rejected       -              rejected          rejected          rejected
part           -           partly_filled  partly_filled  amending          amend_cancelling  cancelling
fill           -           filled         filled         filled            filled            filled
ask_amend      -           amending       amending       -                 -                 -
amend          -           -              -              working           cancelling        -
refuse_amend   submitted   -              -              working           cancelling        cancelling
ask_cancel     cancelling  cancelling     cancelling     amend_cancelling  amend_cancelling  cancelling
cancel         -           cancelled      cancelled      cancelled         cancelled         cancelled
refuse_cancel  -           -              -              -                 amending          working
expire         expired     expired        expired        expired           expired           expired
"""
HEAD, *ROWS = WRITTEN_ANEW.strip().splitlines()
TRIGGERS = [row.split()[0] for row in ROWS]
PAIRS = [
    (state, row.split()[0], target) for row in ROWS for state, target in zip(HEAD.split(), row.split()[1:], strict=True)
]
"""(state, trigger, state after it); an order that has ended is no longer there to be told anything."""
EVENT = ("pbn1", "a", "X", 1)
REQUEST = m.OrderRequest("a", "X", 1, m.BUY, 10)


def fill(quantity: int, remaining: int, **changes: Any) -> m.Fill:
    values: dict[str, Any] = {
        "side": m.BUY,
        "price_ticks": 100,
        "fee_atoms": 0,
        "liquidity": "taker",
        "executed_ns": 0,
    } | changes
    return m.Fill(*EVENT, trade_id=1, quantity_lots=quantity, remaining_lots=remaining, **values)


def pull(execution: Execution, trigger: str) -> None:
    """Have the actor hear what `trigger` stands for."""
    match cast("OrderTrigger", trigger):
        case "accept":
            execution.on_accepted(m.Accepted(*EVENT))
        case "reject":
            execution.on_rejected(m.Rejected(*EVENT, "no"))
        case "part":
            execution.on_fill(fill(4, 6))
        case "fill":
            execution.on_fill(fill(10, 0))
        case "ask_cancel":
            execution.on_cancel_request(m.CancelRequest("a", "X", 1))
        case "cancel":
            execution.on_cancelled(m.Cancelled(*EVENT, "as requested"))
        case "ask_amend":
            execution.on_amend_request(m.AmendRequest("a", "X", 1, 12, 0, 0))
        case "amend":
            execution.on_amended(m.Amended(*EVENT, "pbn2", 12, 0, 0))
        case "refuse_amend":
            execution.on_amend_rejected(m.AmendRejected(*EVENT, "too late"))
        case "refuse_cancel":
            execution.on_cancel_rejected(m.CancelRejected(*EVENT, "too late"))
        case "expire":
            execution.on_expired(m.Expired(*EVENT, "over"))


@pytest.fixture
def execution(context: Context) -> Execution:
    """Return an actor with one order, pbn1, just submitted."""
    execution = Execution(context, "n")
    execution.on_request(REQUEST)
    context.outbox.clear()
    return execution


def test_the_grid_above_covers_every_state_and_trigger() -> None:
    assert {state for state, _, _ in PAIRS} == set(get_args(OrderState)) - set(FINAL)
    assert {trigger for _, trigger, _ in PAIRS} == set(get_args(OrderTrigger))
    assert {(state, trigger): target for state, trigger, target in PAIRS if target != "-"} == TRANSITIONS
    assert all(state not in FINAL for state, _ in TRANSITIONS)


@pytest.mark.parametrize(("state", "trigger", "target"), PAIRS)
def test_an_open_order_follows_the_table_and_a_missing_pair_is_a_fault(
    execution: Execution, state: str, trigger: str, target: str
) -> None:
    order = execution.orders["pbn1"]
    order.state = cast("OrderState", state)
    if trigger == "ask_amend" and state in ("submitted", "cancelling"):
        return  # answered by the actor itself: see below
    if target == "-":
        with pytest.raises(IllegalTransitionError, match=f"pbn1 is {state}, which does not allow {trigger}"):
            pull(execution, trigger)
        return
    pull(execution, trigger)
    assert order.state == target
    assert (order in execution.orders.values()) == (target not in FINAL)


@pytest.mark.parametrize("ending", ["reject", "fill", "cancel", "expire"])
@pytest.mark.parametrize(
    "trigger", [each for each in TRIGGERS if each not in ("ask_amend", "ask_cancel", "part", "fill")]
)
def test_after_its_end_an_order_takes_no_event(execution: Execution, ending: str, trigger: str) -> None:
    execution.orders["pbn1"].state = "working"
    pull(execution, ending)
    with pytest.raises(IllegalTransitionError, match=f"pbn1 is not open, yet the venue says {trigger}"):
        pull(execution, trigger)


@pytest.mark.parametrize("trigger", ["part", "fill"])
def test_a_fill_after_the_end_is_a_fault(execution: Execution, trigger: str) -> None:
    pull(execution, "reject")
    with pytest.raises((IllegalTransitionError, KeyError)):
        pull(execution, trigger)


def test_asking_to_cancel_what_has_ended_is_fine(execution: Execution, said: Said) -> None:
    pull(execution, "reject")
    pull(execution, "ask_cancel")
    execution.on_cancel_request(m.CancelRequest("a", "X", 99))
    assert said() == []


def test_a_cancel_is_sent_once(execution: Execution, said: Said) -> None:
    pull(execution, "accept")
    pull(execution, "ask_cancel")
    pull(execution, "ask_cancel")
    assert said() == [m.CancelOrder("pbn1")]


def test_after_a_refusal_a_cancel_is_sent_again(execution: Execution, said: Said) -> None:
    for trigger in ("accept", "ask_cancel", "refuse_cancel", "ask_cancel"):
        pull(execution, trigger)
    assert said() == [m.CancelOrder("pbn1")] * 2


@pytest.mark.parametrize(
    "before", [(), ("accept", "ask_cancel"), ("accept", "ask_amend", "ask_cancel", "refuse_amend")]
)
def test_an_order_that_is_not_yet_there_or_about_to_leave_is_not_amended(
    execution: Execution, said: Said, before: tuple[str, ...]
) -> None:
    for trigger in before:
        pull(execution, trigger)
    said()
    state = execution.orders["pbn1"].state
    pull(execution, "ask_amend")
    assert said() == [m.AmendRejected(*EVENT, f"the order is {state}")]
    pull(execution, "refuse_amend")
    assert execution.orders["pbn1"].state == state


def test_an_amend_names_what_may_be_sent_by_the_counter_and_says_the_whole_order(
    execution: Execution, said: Said
) -> None:
    pull(execution, "accept")
    execution.on_amend_request(m.AmendRequest("a", "X", 1, 12, 90, 91))
    wanted = m.OrderRequest("a", "X", 1, m.BUY, 12, limit_ticks=90, stop_ticks=91)
    assert said() == [m.AmendOrder("pbn1", "pbn2", wanted, "pbn3")]
    execution.on_request(m.OrderRequest("a", "X", 2, m.BUY, 1))
    assert "pbn4" in execution.orders


def test_an_amended_order_lives_on_under_its_new_id_and_terms(execution: Execution, said: Said) -> None:
    for trigger in ("accept", "part", "ask_amend"):
        pull(execution, trigger)
    execution.on_amended(m.Amended(*EVENT, "pbn2", 12, 90, 91))
    (order,) = execution.orders.values()
    assert (order.order_id, order.filled_lots, order.state) == ("pbn2", 4, "working")
    said()
    restored = Execution(execution._context, "other")
    restored.load(execution.dump())
    for actor in (execution, restored):
        pull(actor, "ask_cancel")
        assert said() == [m.CancelOrder("pbn2")]
        actor.on_fill(m.Fill("pbn2", "a", "X", 1, 2, m.BUY, 90, 8, 0, 0, "maker", 0))
        assert actor.orders == {}


def test_an_order_amended_in_its_place_keeps_its_id(execution: Execution) -> None:
    for trigger in ("accept", "ask_amend"):
        pull(execution, trigger)
    execution.on_amended(m.Amended(*EVENT, "pbn1", 12, 0, 0))
    assert execution.orders["pbn1"].request.quantity_lots == 12


def test_what_was_to_be_cancelled_under_its_old_id_is_cancelled_under_the_new_one(
    execution: Execution, said: Said
) -> None:
    for trigger in ("accept", "ask_amend", "ask_cancel", "ask_cancel"):
        pull(execution, trigger)
    assert said()[1:] == [m.CancelOrder("pbn1")]
    event = m.Amended(*EVENT, "pbn2", 12, 0, 0)
    execution.on_amended(event)
    assert said() == []
    execution.on_amended_heard(event)
    assert said() == [m.CancelOrder("pbn2")]


def test_an_amend_to_what_is_filled_already_is_no_amend(execution: Execution) -> None:
    for trigger in ("accept", "part", "ask_amend"):
        pull(execution, trigger)
    with pytest.raises(AssertionError):
        execution.on_amended(m.Amended(*EVENT, "pbn2", 4, 0, 0))


def test_amending_what_has_ended_is_fine(execution: Execution, said: Said) -> None:
    pull(execution, "reject")
    pull(execution, "ask_amend")
    assert said() == []


def test_fills_add_up_to_the_order(execution: Execution) -> None:
    pull(execution, "accept")
    execution.on_fill(fill(4, 6))
    execution.on_fill(fill(5, 1))
    assert execution.orders["pbn1"].filled_lots == 9
    execution.on_fill(fill(1, 0))
    assert execution.orders == {}


@pytest.mark.parametrize("false", [fill(4, 7), fill(11, -1), fill(0, 10), fill(4, 5), fill(4, 6, side=m.SELL)])
def test_a_fill_that_does_not_add_up_is_a_fault(execution: Execution, false: m.Fill) -> None:
    pull(execution, "accept")
    with pytest.raises(AssertionError):
        execution.on_fill(false)


def test_orders_are_named_by_session_and_counter(context: Context, said: Said) -> None:
    execution = Execution(context, "k7f3")
    for ref in range(1, 41):
        execution.on_request(m.OrderRequest("a", "X", ref, m.BUY, 1))
    names = [message.order_id for message in said() if isinstance(message, m.SubmitOrder)]
    assert names[:2] + names[34:37] == ["pbk7f31", "pbk7f32", "pbk7f3z", "pbk7f310", "pbk7f311"]
    assert len(set(names)) == 40


def test_a_name_that_is_too_long_for_venues_is_a_fault(context: Context) -> None:
    execution = Execution(context, "n" * (ORDER_ID_MAX - 2))
    with pytest.raises(AssertionError):
        execution.on_request(REQUEST)


def test_names_leave_room_for_any_number_of_orders() -> None:
    assert len("pb" + "12345678" + base36(10**15)) <= ORDER_ID_MAX


def test_base_36() -> None:
    assert [base36(number) for number in (0, 9, 10, 35, 36, 36**3 - 1)] == ["0", "9", "a", "z", "10", "zzz"]
    assert all(int(base36(number), 36) == number for number in range(0, 100_000, 7))


def test_only_open_orders_are_remembered(context: Context) -> None:
    execution = Execution(context, "n")
    for ref in range(1, 2_001):
        execution.on_request(m.OrderRequest("a", "X", ref, m.BUY, 1))
        order_id = f"pbn{base36(ref)}"
        execution.on_accepted(m.Accepted(order_id, "a", "X", ref))
        execution.on_cancelled(m.Cancelled(order_id, "a", "X", ref, "as requested"))
    assert execution.orders == {}
    assert len(execution.dump()) < 50


def test_a_restored_actor_knows_its_orders_and_its_counter(execution: Execution, said: Said) -> None:
    pull(execution, "accept")
    execution.on_fill(fill(4, 6))
    other = Execution(execution._context, "other")
    other.load(execution.dump())
    assert other.dump() == execution.dump()
    assert (other.nonce, other.counter) == ("n", 1)
    pull(other, "ask_cancel")
    assert said() == [m.CancelOrder("pbn1")]
    other.on_fill(fill(6, 0))
    other.on_request(m.OrderRequest("a", "X", 2, m.BUY, 1))
    assert [message.order_id for message in said() if isinstance(message, m.SubmitOrder)] == ["pbn2"]
