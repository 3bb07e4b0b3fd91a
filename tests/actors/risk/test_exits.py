"""Exits are nobody's business but their owner's: no rule refuses one, whatever else it refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import messages as m
from config.risk import RiskActions
from tests.actors.risk.desk import BUY, MINUTE, SELL, Desk, on_margin, passed, vetoed

ACTIONS = ["veto", "clip", "pause", "cancel_all", "flatten", "halt"]


def hostile(action: str, *positions: tuple[str, str, int], contract: bool = False) -> Desk:
    """Return a desk where every rule stands against whatever opens."""
    actions = {
        field.name: action if action in field.type.__args__ else "veto" for field in msgspec.structs.fields(RiskActions)
    }
    tiny = "0.00000001"
    own: Any = {
        "symbols": {"X": dict.fromkeys(("max_position", "max_symbol_position", "max_symbol_net"), tiny)},
        "strategies": {"a": {"max_strategy_net": tiny}},
        "groups": {"g": {"symbols": ["X", "Y"], "max_group_net": tiny, "max_group_gross": tiny}},
    }
    tight: Any = dict.fromkeys(
        (
            *("max_daily_loss", "max_weekly_loss", "max_drawdown", "max_spread_bps", "price_collar_bps"),
            *("max_volatility", "max_volatility_ratio", "max_gap", "max_order_notional", "max_trade_risk"),
            *("max_position", "max_notional", "max_symbol_position", "max_symbol_net", "max_symbol_gross"),
            *("max_symbol_leverage", "max_strategy_net", "max_strategy_gross", "max_strategy_leverage"),
            *("max_net", "max_gross", "max_leverage", "max_shortfall", "max_margin"),
            *("max_correlated_net", "max_correlated_gross"),
        ),
        tiny,
    )
    tight |= {"max_consecutive_losses": 1, "trading_hours": ["mon 00:00-00:01"], "funding_veto_minutes": 720}
    tight |= {"min_liquidation_distance": "1", "margin": on_margin()}
    tight |= {"max_data_age_s": 1e-9, "max_orders_per_minute": 1, "max_open_orders": 1}
    tight |= {
        "volatility_bars": 2,
        "regime_bars": 3,
        "shortfall_tail": "0.5",
        "shortfall_bars": 3,
        "correlation_bars": 3,
    }
    desk = Desk(*positions, contract=contract, equity=1, actions=actions, **tight, **own)
    desk.risk.on_trip(m.PositionChanged("a", "X", 1, 0, 0, 0, 0))
    desk.risk.on_trip(m.PositionChanged("a", "X", 0, 0, -5, 0, 0))
    for close in (100, 100, 150, 90):
        desk.context.now_ns += MINUTE
        for symbol in "XY":
            desk.bar(close, close / 2, symbol=symbol)
    desk.risk.on_quote(m.Quote("X", 50.0, 1.0, 250.0, 1.0, desk.context.now_ns))
    desk.risk._given.equity.day_atoms = desk.risk._given.equity.week_atoms = 10**15
    desk.risk._given.equity.peak_atoms = 10**15
    desk.context.now_ns += MINUTE
    return desk


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    held=st.integers(-(10**6), 10**6).filter(bool),
    share=st.floats(0, 1, exclude_min=True),
    others=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("XY"), st.integers(-50, 50)), max_size=3),
    action=st.sampled_from(ACTIONS),
    kind=st.sampled_from(["market", "limit", "stop", "stop_limit"]),
    contract=st.booleans(),
)
def test_an_order_that_reduces_a_position_within_it_passes_every_rule(
    held: int, share: float, others: list[tuple[str, str, int]], action: str, kind: Any, contract: bool
) -> None:
    desk = hostile(action, *[other for other in others if other[:2] != ("a", "X")], ("a", "X", held), contract=contract)
    lots = max(1, int(abs(held) * share))
    prices: Any = {"limit_price": None if kind in ("market", "stop") else 70.0}
    prices["stop_price"] = None if kind in ("market", "limit") else 80.0
    request = passed(desk.order(SELL if held > 0 else BUY, lots, kind=kind, **prices))
    assert request.quantity_lots == lots
    assert desk.risk.judge.counts == {}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    held=st.integers(-1_000, 1_000),
    beyond=st.integers(1, 1_000),
    action=st.sampled_from(ACTIONS),
)
def test_of_an_order_that_turns_a_position_round_the_closing_part_passes(held: int, beyond: int, action: str) -> None:
    desk = hostile(action, ("a", "X", held))
    said = desk.order(SELL if held > 0 else BUY, abs(held) + beyond)
    if held:
        assert said[0].quantity_lots == abs(held)
    else:
        assert isinstance(said[0], m.RiskVeto)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(held=st.integers(2, 1_000), action=st.sampled_from(ACTIONS))
def test_an_order_that_works_to_close_may_be_changed_within_the_position(held: int, action: str) -> None:
    desk = hostile(action, ("a", "X", held))
    ref = passed(desk.order(SELL, 1, kind="limit", limit_price=200.0)).ref
    assert desk.amend(ref, held, 50.0) == m.AmendRequest("a", "X", ref, held, 50, 0)
    desk.risk.on_amended(m.Amended("o", "a", "X", ref, "p", held, 50, 0))
    assert isinstance(desk.amend(ref, held + 1), m.AmendVeto)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_entry_may_always_be_made_smaller_and_nothing_else(action: str) -> None:
    desk = hostile(action)
    rules, desk.risk.judge.rules, desk.risk._rules = desk.risk.judge.rules, (), ()
    ref = passed(desk.order(BUY, 10, kind="limit", limit_price=90.0)).ref
    desk.risk.judge.rules = desk.risk._rules = rules
    assert isinstance(desk.amend(ref, 4, 91.0), m.AmendVeto)
    assert desk.amend(ref, 4) == m.AmendRequest("a", "X", ref, 4, 90, 0)
    assert {name: counts.clipped for name, counts in desk.risk.judge.counts.items()} == {"max_daily_loss": 0}


def test_the_last_bit_of_a_contract_is_closed_by_an_order_that_can_do_nothing_else() -> None:
    desk = Desk(("a", "X", 3), contract=True, min_notional="500")
    assert vetoed(desk.order(SELL, 4)) == "below the minimum notional"
    request = passed(desk.target(0))
    assert (request.quantity_lots, request.reduce_only) == (3, True)
    desk.end(request)
    ref = passed(desk.order(SELL, 3, kind="limit", limit_price=120.0, reduce_only=True)).ref
    assert desk.amend(ref, 2) == m.AmendRequest("a", "X", ref, 2, 120, 0)
    assert vetoed(Desk(("a", "X", 3), min_notional="500").target(0)) == "below the minimum notional", "spot has none"


def test_what_was_to_close_and_could_now_open_beyond_a_limit_is_withdrawn() -> None:
    """Ten are held, and ten short are the most: an order for twenty fits as long as nothing else closes the ten."""
    desk = Desk(("a", "X", 10), max_position=10)
    desk.bar(100)
    ladder = [passed(desk.order(SELL, lots, kind="limit", limit_price=200.0)) for lots in (4, 12, 4)]
    request, *withdrawn = desk.order(SELL, 6, reduce_only=True)
    assert (request.quantity_lots, withdrawn) == (6, [m.CancelRequest("a", "X", ladder[1].ref)]), "4 - 4, and 4 more"
    desk.end(ladder[1])
    desk.fill(request)
    assert [passed(desk.order(SELL, lots, reduce_only=True)).quantity_lots for lots in (1, 3)] == [1, 3]


@pytest.mark.parametrize("state", ["paused", "halted", "paused alone"])
def test_in_a_pause_nothing_opens_that_an_exit_displaces(state: str) -> None:
    """Ten are held, and two orders that were kept would close them; what is then closed before, they would open."""
    desk = Desk(("a", "X", 10), cancel_on_halt=False)
    six, four = (passed(desk.order(SELL, lots, kind="limit", limit_price=200.0)).ref for lots in (6, 4))
    if state == "paused alone":
        changed = m.StrategyStateChanged("a", "paused", "because")
        desk.risk.on_strategy_state(changed)
        desk.risk.on_strategy_state_heard(changed)
        assert desk.said() == []
    else:
        assert desk.state(state) == []
    request, *displaced = desk.order(SELL, 1)
    assert (request.quantity_lots, displaced) == (1, [m.AmendRequest("a", "X", four, 3, 200, 0)])
    desk.risk.on_amend_rejected(m.AmendRejected("o", "a", "X", four, "too little"))
    assert desk.said() == [m.CancelRequest("a", "X", four)], "it cannot be made smaller"
    desk.end(request)
    desk.risk.on_order_ended(m.Cancelled("o", "a", "X", four, "as requested"))
    assert desk.said() == []

    stop = passed(desk.order(SELL, 4, kind="stop", stop_price=50.0, reduce_only=True)).ref
    grown = desk.risk
    grown.on_intent(m.Intent("a", "X", stop, "amend", 0, 7.0, reference_price=100.0))
    assert desk.said() == [
        m.AmendRequest("a", "X", stop, 7, 0, 50),
        m.AmendRequest("a", "X", six, 3, 200, 0),
    ], "a stop that grows"
    _, *displaced = desk.target(0)
    assert displaced == [m.CancelRequest("a", "X", six)], "all is closed"


def test_a_session_of_an_older_version_goes_on_by_its_own_rules() -> None:
    """There a pause lets an order that was kept open what an exit has closed before: its journal says so."""
    desk = Desk(("a", "X", 10))
    desk.risk._displaced._in_pauses = False
    passed(desk.order(SELL, 10, kind="limit", limit_price=200.0))
    assert desk.state("paused") == []
    assert passed(desk.target(0)).quantity_lots == 10


def test_an_exit_beside_a_bracket_is_an_exit() -> None:
    """Stop and target of all that is held can only reduce: what is sold by hand beside them still only closes."""
    desk = hostile("veto", ("a", "X", 5))
    passed(desk.order(SELL, 5, kind="limit", limit_price=200.0, reduce_only=True))
    passed(desk.order(SELL, 5, kind="stop", stop_price=50.0, reduce_only=True))
    assert passed(desk.order(SELL, 5)).quantity_lots == 5
    assert isinstance(vetoed(desk.order(SELL, 1)), str), "the five that go are all there were"


@pytest.mark.parametrize("field", msgspec.structs.fields(RiskActions), ids=lambda field: field.name)
def test_the_hostile_desk_refuses_by_every_rule(field: Any) -> None:
    """Else the tests above would show nothing."""
    desk = hostile("veto", ("c", "X", 1), contract=True)
    rules = [rule for rule in desk.risk.judge.rules if rule.name == field.name]
    assert len(rules) == 1
    desk.risk.judge.rules = desk.risk._rules = tuple(rules)
    if field.name in ("max_orders_per_minute", "max_open_orders"):
        passed(desk.order(SELL, 1, strategy="c", kind="limit", limit_price=500.0))
    terms: Any = {"protective_stop": 50.0} if field.name == "max_trade_risk" else {}
    vetoed(desk.order(BUY, 1, **terms))
