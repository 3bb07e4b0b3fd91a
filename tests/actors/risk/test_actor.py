"""Risk: wishes become exact orders, or are refused in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors import messages as m
from tests.actors.risk.desk import BUY, DAY, MINUTE, NOON, SECOND, SELL, UNIT, Desk, passed, vetoed

# --- from floats to integers ------------------------------------------------------------------------


def test_a_wish_becomes_an_exact_order() -> None:
    desk = Desk(tick="0.01", lot="0.001")
    said = desk.order(BUY, 0.5, kind="limit", limit_price=99.5, time_in_force="ioc", post_only=True)
    assert passed(said) == m.OrderRequest("a", "X", 1, BUY, 500, "limit", 9_950, 0, "ioc", post_only=True)


@pytest.mark.parametrize(
    ("side", "limit", "stop", "limit_ticks", "stop_ticks"),
    [(BUY, 99.7, 101.2, 99, 102), (SELL, 99.3, 101.8, 100, 101), (BUY, 99.0, 101.0, 99, 101)],
)
def test_prices_off_the_grid_go_to_the_side_that_is_worse_for_us_to_be_filled_at_last(
    side: int, limit: float, stop: float, limit_ticks: int, stop_ticks: int
) -> None:
    """A limit is never worse than asked for, a stop never earlier."""
    request = passed(Desk().order(side, 1, kind="stop_limit", limit_price=limit, stop_price=stop))
    assert (request.limit_ticks, request.stop_ticks) == (limit_ticks, stop_ticks)


def test_less_than_a_lot_is_refused() -> None:
    assert vetoed(Desk(lot="0.1").order(BUY, 0.09)) == "quantity is below one lot"


def test_a_symbol_without_an_instrument_is_refused() -> None:
    assert vetoed(Desk().order(BUY, 1, symbol="Q")) == "no instrument Q"


@pytest.mark.parametrize(
    "terms",
    [
        {"quantity": 1e300},
        {"quantity": 1e12},
        {"quantity": 1.0, "kind": "limit", "limit_price": 1e300},
        {"quantity": 1.0, "kind": "stop", "stop_price": 1e300},
        {"quantity": 1.0, "kind": "stop_limit", "stop_price": 1e300, "limit_price": 5.0},
    ],
)
def test_what_no_journal_can_hold_is_refused(terms: dict[str, Any]) -> None:
    assert vetoed(Desk(tick="1e-8", lot="1e-8").order(BUY, **terms)) == "larger than can be counted"


def test_what_is_barely_countable_can_still_be_left() -> None:
    """The whole position is sold again, although twice of it could not be counted."""
    desk = Desk(("a", "X", 3 * 10**8))
    assert passed(desk.order(SELL, 3 * 10**8)).quantity_lots == 3 * 10**8
    assert vetoed(desk.order(BUY, 3 * 10**8)) == "larger than can be counted"


@pytest.mark.parametrize("limit", [9.0, None])
def test_the_minimum_notional_is_taken_at_the_orders_own_price(limit: float | None) -> None:
    desk = Desk(min_notional="1000")
    kind = "market" if limit is None else "limit"
    enough = 10 if limit is None else 112
    assert vetoed(desk.order(BUY, enough - 1, kind=kind, limit_price=limit)) == "below the minimum notional"
    assert passed(desk.order(BUY, enough, kind=kind, limit_price=limit)).quantity_lots == enough


def test_without_limits_everything_passes() -> None:
    desk = Desk()
    for _ in range(500):
        assert passed(desk.order(BUY, 10**6)).quantity_lots == 10**6


# --- targets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "wished", "side", "lots"),
    [
        (0, 5, BUY, 5),
        (0, -5, SELL, 5),
        (5, 8, BUY, 3),
        (5, 2, SELL, 3),
        (5, 0, SELL, 5),
        (5, -3, SELL, 8),
        (-5, 0, BUY, 5),
    ],
)
def test_a_target_orders_what_is_lacking(held: int, wished: int, side: int, lots: int) -> None:
    request = passed(Desk(("a", "X", held)).target(wished))
    assert (request.side, request.quantity_lots, request.kind) == (side, lots, "market")


def test_a_target_that_is_met_says_nothing() -> None:
    assert Desk(("a", "X", 5)).target(5) == []


def test_a_target_counts_market_orders_under_way() -> None:
    desk = Desk()
    first = passed(desk.target(5))
    assert desk.target(5) == []
    second = passed(desk.target(2))
    assert (second.side, second.quantity_lots) == (SELL, 3)
    desk.fill(first, 4)
    assert desk.target(2) == [], "4 held, 1 still to come, 3 on their way out"
    desk.fill(first)
    desk.fill(second)
    assert desk.target(2) == []


def test_a_target_does_not_count_orders_that_may_never_fill() -> None:
    desk = Desk()
    desk.order(BUY, 5, kind="limit", limit_price=90.0)
    desk.order(BUY, 5, kind="stop", stop_price=110.0)
    assert passed(desk.target(5)).quantity_lots == 5


def test_a_target_counts_only_its_own_book() -> None:
    desk = Desk(("b", "X", 5), ("a", "Y", 5))
    desk.target(7, strategy="b")
    assert passed(desk.target(5)).quantity_lots == 5


def test_an_order_that_ended_no_longer_counts() -> None:
    desk = Desk()
    desk.end(passed(desk.target(5)))
    assert passed(desk.target(5)).quantity_lots == 5


# --- limits, each on its own ------------------------------------------------------------------------


def test_the_position_limit_cuts_an_order_and_then_refuses() -> None:
    desk = Desk(max_position=10)
    assert passed(desk.order(BUY, 7)).quantity_lots == 7
    assert passed(desk.order(BUY, 7)).quantity_lots == 3, "the first one still works, and counts"
    assert vetoed(desk.order(BUY, 1)) == "position limit 10"


def test_the_position_limit_counts_what_is_held_and_what_still_works() -> None:
    desk = Desk(("a", "X", 4), max_position=10)
    resting = passed(desk.order(BUY, 5, kind="limit", limit_price=90.0))
    assert passed(desk.order(BUY, 5)).quantity_lots == 1
    desk.end(resting)
    assert passed(desk.order(BUY, 9)).quantity_lots == 5


def test_the_position_limit_holds_for_shorts_and_lets_a_position_turn_round() -> None:
    desk = Desk(("a", "X", 10), max_position=10)
    assert passed(desk.order(SELL, 25)).quantity_lots == 20
    assert vetoed(desk.order(SELL, 1)) == "position limit 10"


def test_an_exit_is_never_limited() -> None:
    desk = Desk(("a", "X", 100), max_position=10, max_notional=1, max_orders_per_minute=1)
    for _ in range(5):
        assert passed(desk.order(SELL, 20)).quantity_lots == 20


def test_the_position_limit_is_per_strategy_and_symbol() -> None:
    desk = Desk(("a", "X", 10), max_position=10)
    assert passed(desk.order(BUY, 10, strategy="b")).quantity_lots == 10
    assert passed(desk.order(BUY, 10, symbol="Y")).quantity_lots == 10
    assert vetoed(desk.order(BUY, 1)) == "position limit 10"


def test_the_notional_limit_is_taken_at_the_price_of_the_decision() -> None:
    desk = Desk(max_notional=1_000)
    assert passed(desk.order(BUY, 20, reference_price=99.0)).quantity_lots == 10
    assert vetoed(desk.order(BUY, 1, reference_price=99.0)) == "notional limit 1000"
    assert passed(desk.order(BUY, 20, reference_price=50.0)).quantity_lots == 10


def test_the_notional_limit_needs_a_price() -> None:
    """A timer may wake a strategy before its first bar."""
    assert "no price is known yet" in vetoed(Desk(max_notional=1_000).order(BUY, 1, reference_price=0.0))


def test_the_tighter_of_two_limits_decides() -> None:
    desk = Desk(max_position=5, max_notional=1_000)
    assert passed(desk.order(BUY, 20)).quantity_lots == 5
    assert vetoed(desk.order(BUY, 1)) == "position limit 5"
    assert vetoed(Desk(max_position=50, max_notional=50).order(BUY, 20)) == "notional limit 50"


def test_the_rate_limit_counts_the_orders_of_the_last_minute() -> None:
    desk = Desk(max_orders_per_minute=2)
    for _ in range(2):
        passed(desk.order(BUY, 1))
    assert vetoed(desk.order(BUY, 1)) == "more than 2 orders in a minute"
    desk.context.now_ns += MINUTE - 1
    assert vetoed(desk.order(BUY, 1)) == "more than 2 orders in a minute"
    desk.context.now_ns += 1
    passed(desk.order(BUY, 1))


def test_the_rate_limit_is_the_accounts_and_vetoed_wishes_do_not_count() -> None:
    desk = Desk(max_orders_per_minute=2)
    desk.order(BUY, 0.5)
    passed(desk.order(BUY, 1))
    passed(desk.order(BUY, 1, strategy="b", symbol="Y"))
    assert vetoed(desk.order(BUY, 1, strategy="c")) == "more than 2 orders in a minute"


def test_exits_pass_the_rate_limit_but_count() -> None:
    desk = Desk(("a", "X", 9), max_orders_per_minute=2)
    for _ in range(3):
        passed(desk.order(SELL, 1))
    assert vetoed(desk.order(BUY, 1, strategy="b")) == "more than 2 orders in a minute"


def test_the_rate_limit_remembers_a_minute_and_no_more() -> None:
    """A strategy that only moves its exits about is never asked for its rate."""
    desk = Desk(("a", "X", 9), max_orders_per_minute=2)
    for _ in range(1_000):
        desk.end(passed(desk.order(SELL, 1, kind="limit", limit_price=200.0)))
        desk.context.now_ns += 10 * SECOND
    assert len(desk.risk.dump()) < 400


# --- reduce-only ------------------------------------------------------------------------------------


def test_reduce_only_is_cut_to_the_position() -> None:
    desk = Desk(("a", "X", 5))
    request = passed(desk.order(SELL, 9, reduce_only=True))
    assert (request.quantity_lots, request.reduce_only) == (5, True)


@pytest.mark.parametrize(("held", "side"), [(0, SELL), (5, BUY), (-5, SELL)])
def test_reduce_only_without_anything_to_reduce_is_refused(held: int, side: int) -> None:
    reason = vetoed(Desk(("a", "X", held)).order(side, 1, reduce_only=True))
    assert reason == "reduce-only, and nothing is left to reduce"


# --- cancels ----------------------------------------------------------------------------------------


def test_a_cancel_passes_while_the_order_works_and_says_nothing_after() -> None:
    desk = Desk()
    request = passed(desk.order(BUY, 1, kind="limit", limit_price=90.0))
    cancel = m.Intent("a", "X", request.ref, "cancel", 0, 0.0)
    desk.risk.on_intent(cancel)
    assert desk.said() == [m.CancelRequest("a", "X", request.ref)]
    desk.end(request)
    desk.risk.on_intent(cancel)
    assert desk.said() == []


@pytest.mark.parametrize("state", ["paused", "halted", "flattening", "stopping"])
def test_a_cancel_passes_in_every_state(state: str) -> None:
    desk = Desk(("a", "X", 5))
    request = passed(desk.order(SELL, 1, kind="limit", limit_price=200.0))
    desk.state(state)
    desk.risk.on_intent(m.Intent("a", "X", request.ref, "cancel", 0, 0.0))
    assert desk.said() == [m.CancelRequest("a", "X", request.ref)]


def test_nobody_cancels_an_order_of_a_flatten() -> None:
    desk = Desk(("a", "X", 5))
    request = passed(desk.state("flattening"))
    desk.risk.on_intent(m.Intent("a", "X", request.ref, "cancel", 0, 0.0))
    assert desk.said() == []


# --- pause and halt ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["paused", "halted"])
def test_outside_running_entries_are_refused_and_exits_pass(state: str) -> None:
    desk = Desk(("a", "X", 5))
    desk.state(state)
    for said in (desk.order(BUY, 1), desk.target(6), desk.order(BUY, 1, strategy="b"), desk.order(BUY, 1, symbol="Y")):
        assert vetoed(said) == f"trading is {state}"
    exit_ = passed(desk.order(SELL, 2))
    assert (exit_.quantity_lots, exit_.reduce_only) == (2, True)


@pytest.mark.parametrize("state", ["flattening", "stopping"])
def test_where_all_orders_are_withdrawn_a_strategy_gives_none(state: str) -> None:
    """Not even an exit: it would rest, and the flatten would wait for it while the market moves away."""
    desk = Desk(("a", "X", 5), ("b", "X", 1))
    resting = passed(desk.order(SELL, 1, kind="limit", limit_price=200.0))
    desk.state(state)
    for said in (
        desk.order(BUY, 1),
        desk.order(SELL, 2),
        desk.order(SELL, 2, kind="limit", limit_price=200.0, reduce_only=True),
        desk.order(SELL, 1, strategy="b"),
        desk.target(0),
    ):
        assert vetoed(said) == f"trading is {state}"
    desk.risk.on_intent(m.Intent("a", "X", resting.ref, "amend", 0, 0.5))
    (veto,) = desk.said()
    assert isinstance(veto, m.AmendVeto)
    assert veto.reason == f"trading is {state}"


@pytest.mark.parametrize("state", ["paused", "halted"])
def test_outside_running_a_position_is_closed_and_not_turned_round(state: str) -> None:
    desk = Desk(("a", "X", 5))
    desk.state(state)
    turn = passed(desk.target(-3))
    assert (turn.side, turn.quantity_lots, turn.reduce_only) == (SELL, 5, True)


def test_after_a_resume_entries_pass_again() -> None:
    desk = Desk()
    desk.state("paused")
    assert desk.state("running") == []
    assert not passed(desk.order(BUY, 1)).reduce_only


def cancels(said: list[Any]) -> list[int]:
    """Return the refs of the orders that were withdrawn."""
    assert all(isinstance(message, m.CancelRequest) for message in said), said
    return [message.ref for message in said]


def test_a_pause_withdraws_entries_and_leaves_exits() -> None:
    desk = Desk(("a", "X", 5), ("b", "X", -5))
    far: dict[str, Any] = {"kind": "limit", "limit_price": 50.0}
    desk.order(BUY, 1, **far)
    desk.order(SELL, 3, **far)
    desk.order(SELL, 2, kind="stop", stop_price=50.0)
    desk.order(SELL, 1, **far, strategy="b")
    desk.order(BUY, 5, **far, strategy="b")
    desk.order(BUY, 1, **far, strategy="c")
    assert [(message.strategy, message.ref) for message in desk.state("paused")] == [("a", 1), ("b", 1), ("c", 1)]


def test_a_pause_leaves_no_more_exits_than_there_is_to_exit() -> None:
    """Two sells of three against five: together they could turn the position round."""
    desk = Desk(("a", "X", 5))
    for _ in range(2):
        desk.order(SELL, 3, kind="limit", limit_price=200.0)
    assert cancels(desk.state("paused")) == [2]


def test_a_pause_leaves_a_bracket_of_reduce_only_orders_whole() -> None:
    """Stop and target of the same five: the venue clips them, so both may stay."""
    desk = Desk(("a", "X", 5))
    desk.order(SELL, 5, kind="limit", limit_price=200.0, reduce_only=True)
    desk.order(SELL, 5, kind="stop", stop_price=50.0, reduce_only=True)
    desk.order(SELL, 1, kind="limit", limit_price=150.0)
    assert cancels(desk.state("paused")) == [3]


@pytest.mark.parametrize(("cancel_on_halt", "withdrawn"), [(True, [1, 2]), (False, [1])])
def test_a_halt_withdraws_what_the_safe_state_says(cancel_on_halt: bool, withdrawn: list[int]) -> None:
    desk = Desk(("a", "X", 5), cancel_on_halt=cancel_on_halt)
    desk.order(BUY, 1, kind="limit", limit_price=50.0)
    desk.order(SELL, 5, kind="limit", limit_price=200.0)
    assert cancels(desk.state("halted")) == withdrawn


def test_a_stop_withdraws_everything() -> None:
    desk = Desk(("a", "X", 5))
    desk.order(BUY, 1, kind="limit", limit_price=50.0)
    desk.order(SELL, 5, kind="limit", limit_price=200.0, reduce_only=True)
    assert cancels(desk.state("stopping")) == [1, 2]


# --- flatten ----------------------------------------------------------------------------------------


def test_flatten_of_nothing_is_done_at_once() -> None:
    assert Desk().state("flattening") == [m.Flattened()]


def test_flatten_closes_every_book_with_orders_of_its_own_numbers() -> None:
    desk = Desk(("a", "X", 5), ("b", "X", -3), ("a", "Y", 0))
    first, second = desk.state("flattening")
    assert first == m.OrderRequest("a", "X", -1, SELL, 5, reduce_only=True, closing=True)
    assert second == m.OrderRequest("b", "X", -2, BUY, 3, reduce_only=True, closing=True)
    assert desk.fill(first) == []
    assert desk.fill(second) == [m.Flattened()]


def test_flatten_first_withdraws_all_orders_and_closes_only_then() -> None:
    """Otherwise a resting exit and the close could both fill."""
    desk = Desk(("a", "X", 5))
    orders = [passed(desk.order(side, 1, kind="limit", limit_price=100.0)) for side in (BUY, SELL, SELL)]
    assert cancels(desk.state("flattening")) == [1, 2, 3]
    assert desk.end(orders[0]) == []
    assert desk.fill(orders[1]) == [], "one filled meanwhile"
    close = passed(desk.end(orders[2]))
    assert (close.side, close.quantity_lots, close.closing) == (SELL, 4, True)
    assert desk.fill(close) == [m.Flattened()]


def test_flatten_goes_on_closing_until_nothing_is_left() -> None:
    desk = Desk(("a", "X", 5))
    close = passed(desk.state("flattening"))
    assert desk.fill(close, 2) == []
    again = passed(desk.end(close))
    assert (again.quantity_lots, again.ref) == (3, -2)


# --- daily loss -------------------------------------------------------------------------------------


def halted(said: list[Any]) -> bool:
    assert all(isinstance(message, m.Halt) for message in said)
    return bool(said)


@pytest.mark.parametrize(
    ("days", "least", "limit"),
    [(0, 900, "daily loss limit 100"), (1, 860, "weekly loss limit 140"), (3, 850, "daily loss limit 100")],
)
def test_day_and_week_go_on_in_the_next_session(days: int, least: float, limit: str) -> None:
    """One that follows on the same Friday, on Saturday, or on Monday."""
    before = Desk(max_daily_loss=100, max_weekly_loss=140)
    assert before.risk.begun() is None
    before.mark(1_000, NOON)
    before.mark(950, NOON + MINUTE)
    desk = Desk(max_daily_loss=100, max_weekly_loss=140, begun=before.risk.begun(), equity=950)
    at_ns = NOON + 2 * MINUTE + days * DAY
    assert not halted(desk.mark(least + 0.01, at_ns))
    assert desk.mark(least, at_ns + 1) == [m.Halt(f"{limit} reached")]


def test_without_a_limit_on_losses_nothing_goes_on() -> None:
    desk = Desk(max_net=5)
    desk.mark(1_000)
    assert desk.risk.begun() is None


def test_a_days_loss_halts_at_the_limit() -> None:
    desk = Desk(max_daily_loss=100)
    assert not halted(desk.mark(1_000, NOON))
    assert not halted(desk.mark(1_200, NOON + 1))
    assert not halted(desk.mark(900.01, NOON + 2))
    assert desk.mark(900, NOON + 3) == [m.Halt("daily loss limit 100 reached")]


def test_the_day_begins_at_midnight_from_the_equity_it_inherits() -> None:
    """The bar that closes at 00:00 still belongs to the day before."""
    desk = Desk(max_daily_loss=100)
    midnight = NOON + DAY // 2
    desk.mark(1_000, NOON)
    assert not halted(desk.mark(901, midnight))
    assert not halted(desk.mark(850, midnight + MINUTE)), "51 of the new day"
    assert halted(desk.mark(801, midnight + 2 * MINUTE))


def test_a_day_that_begins_with_nothing_left_counts_from_nothing() -> None:
    desk = Desk(max_daily_loss=100)
    midnight = NOON + DAY // 2
    desk.mark(50, NOON)
    desk.mark(0, midnight)
    assert halted(desk.mark(-100, midnight + MINUTE))


def test_a_halt_is_said_while_running_only() -> None:
    desk = Desk(max_daily_loss=100)
    desk.mark(1_000, NOON)
    desk.state("paused")
    assert not halted(desk.mark(500, NOON + 1))
    desk.state("running")
    assert halted(desk.mark(500, NOON + 2)), "resumed with the limit still breached"


def test_without_a_limit_no_loss_halts() -> None:
    desk = Desk()
    desk.mark(1_000, NOON)
    assert not halted(desk.mark(-(10**9), NOON + 1))


# --- state ------------------------------------------------------------------------------------------


def test_everything_risk_knows_survives_a_restart() -> None:
    desk = Desk(("a", "X", 5), max_position=20, max_orders_per_minute=4, max_daily_loss=100)
    resting = passed(desk.order(SELL, 2, kind="limit", limit_price=200.0))
    passed(desk.order(BUY, 3))
    desk.mark(1_000, NOON)

    other = desk.again()
    assert passed(other.order(BUY, 99)).quantity_lots == 12, "5 held, 3 under way, 20 the limit"
    assert passed(other.target(2)).quantity_lots == 18, "the market orders under way count"
    assert vetoed(other.order(BUY, 1, strategy="b")) == "more than 4 orders in a minute"
    assert halted(other.mark(899, NOON + 1))
    assert other.end(resting) == []


def test_the_state_of_an_older_version_is_taken_over() -> None:
    """As it was before there were more rules than four."""
    older = {
        "trading": "running",
        "positions": [("a", "X", 5)],
        "working": [],
        "order_times_ns": [NOON],
        "day_index": NOON // DAY,
        "day_equity_atoms": 1_000 * UNIT,
        "last_equity_atoms": 950 * UNIT,
        "closing_ref": -3,
    }
    desk = Desk(max_position=7, max_orders_per_minute=3, max_daily_loss=100)
    desk.risk.load(msgspec.msgpack.encode(older))
    assert passed(desk.order(BUY, 9)).quantity_lots == 2
    assert not halted(desk.mark(901, NOON + 1))
    assert halted(desk.mark(900, NOON + 2))


@pytest.mark.parametrize("state", ["paused", "halted", "flattening", "stopping"])
def test_a_latch_survives_a_restart(state: str) -> None:
    desk = Desk(("a", "X", 5))
    desk.state(state)
    assert vetoed(desk.again().order(BUY, 1)) == f"trading is {state}"


def test_a_flatten_goes_on_after_a_restart() -> None:
    desk = Desk(("a", "X", 5), ("b", "Y", 2))
    first, second = desk.state("flattening")
    desk.fill(first)
    other = desk.again()
    assert other.fill(second) == [m.Flattened()]
