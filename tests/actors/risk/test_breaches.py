"""What a breach leads to: in the actor, and in a whole core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors import messages as m
from strategies.base import Strategy
from tests.actors.risk.desk import BUY, NOON, SELL, Desk, passed, vetoed

Scripted = Callable[..., Strategy]
Of = Callable[[type[Any], list[m.Message]], list[Any]]
FAR: Any = {"kind": "limit", "limit_price": 50.0}


# --- of an order ------------------------------------------------------------------------------------


def test_a_veto_refuses_what_a_clip_would_cut() -> None:
    assert passed(Desk(max_position=5).order(BUY, 9)).quantity_lots == 5
    assert vetoed(Desk(max_position=5, actions={"max_position": "veto"}).order(BUY, 9)) == "position limit 5"


@pytest.mark.parametrize("action", ["pause", "cancel_all", "flatten", "halt"])
def test_an_order_gets_its_answer_before_the_account_is_acted_on(action: Any) -> None:
    desk = Desk(max_order_notional=500, actions={"max_order_notional": action})
    veto, breach = desk.order(BUY, 9)
    assert veto == m.RiskVeto("a", "X", 1, "order notional limit 500")
    wanted = m.Halt(veto.reason) if action == "halt" else m.LimitBreached("max_order_notional", action, veto.reason)
    assert breach == wanted


def test_a_rule_acts_once_until_trading_is_resumed() -> None:
    desk = Desk(max_order_notional=500, actions={"max_order_notional": "pause"})
    assert len(desk.order(BUY, 9)) == 2
    assert len(desk.order(BUY, 9)) == 1
    desk.state("paused")
    desk.state("running")
    assert len(desk.again().order(BUY, 9)) == 2


def test_what_it_did_is_counted() -> None:
    desk = Desk(("a", "X", -2), max_position=5, max_order_notional=500, actions={"max_order_notional": "halt"})
    desk.order(BUY, 9)
    desk.order(BUY, 4)
    desk.context.now_ns += 1
    desk.order(SELL, 4)
    counts = desk.again().risk.judge.counts
    notional, position = counts["max_order_notional"], counts["max_position"]
    assert (notional.clipped, notional.vetoed, notional.acted) == (1, 0, 1), "what closes two has passed"
    assert (position.clipped, position.vetoed, position.acted) == (1, 0, 0)
    assert (position.reason, position.ts_ns) == ("position limit 5", NOON + 1)


# --- of the account ---------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["pause", "cancel_all", "flatten"])
def test_a_loss_may_do_less_than_halt(action: Any) -> None:
    desk = Desk(max_drawdown="0.5", actions={"max_drawdown": action})
    desk.mark(1_000)
    assert desk.mark(500) == [m.LimitBreached("max_drawdown", action, "drawdown limit 0.5 reached")]
    assert desk.mark(400) == [], "once"


def test_a_veto_of_losses_lets_the_account_be_and_ends_with_the_day() -> None:
    desk = Desk(max_daily_loss=100, actions={"max_daily_loss": "veto"})
    desk.mark(1_000, NOON)
    assert desk.mark(900, NOON + 1) == []
    assert vetoed(desk.order(BUY, 1)) == "daily loss limit 100 reached"
    desk.mark(900, NOON + 86_400 * 10**9)
    passed(desk.order(BUY, 1))


def test_all_orders_are_withdrawn_with_the_pause_or_at_once_if_it_is_there_already() -> None:
    desk = Desk(("a", "X", 5), max_daily_loss=100, actions={"max_daily_loss": "cancel_all"})
    for paused in (False, True):
        exit_ = passed(desk.order(SELL, 5, **FAR))
        entry = None if paused else passed(desk.order(BUY, 1, **FAR))
        wanted = [m.CancelRequest("a", "X", order.ref) for order in (exit_, entry) if order is not None]
        desk.mark(1_000, NOON)
        said = desk.mark(900, NOON + 1)
        assert said[0] == m.LimitBreached("max_daily_loss", "cancel_all", "daily loss limit 100 reached")
        assert (said[1:] or desk.state("paused")) == wanted
        for order in (exit_, entry):
            if order is not None:
                desk.end(order)
        desk.state("running")
        desk.state("paused")


@pytest.mark.parametrize("state", ["halted", "flattening", "stopping"])
def test_what_is_halted_or_under_way_is_left_to_people(state: str) -> None:
    desk = Desk(max_daily_loss=100, actions={"max_daily_loss": "flatten"})
    desk.mark(1_000)
    desk.state(state)
    assert desk.mark(1) == []


def test_a_pause_does_not_keep_a_loss_from_flattening() -> None:
    desk = Desk(max_daily_loss=100, actions={"max_daily_loss": "flatten"})
    desk.mark(1_000)
    desk.state("paused")
    assert [type(said) for said in desk.mark(1)] == [m.LimitBreached]


# --- in a whole core --------------------------------------------------------------------------------


def rising_then_falling(rig: Any, scripted: Scripted, **risk: Any) -> Any:
    """Return a bench that holds ten, with an exit and an entry far away, at 100; the equity is 1,000,000."""
    plan = {0: lambda s: s.buy(10), 1: lambda s: (s.sell(10, limit=900), s.buy(1, limit=10))}
    bench = rig(scripted(plan), settings={"risk": risk})
    bench.flat(100, 3)
    return bench


@pytest.mark.parametrize(
    ("action", "state", "left", "lots"),
    [("pause", "paused", [2], 10), ("cancel_all", "paused", [], 10), ("halt", "halted", [], 10)],
)
def test_a_breach_brings_the_account_where_it_says(
    rig: Any, scripted: Scripted, of: Of, action: str, state: str, left: list[int], lots: int
) -> None:
    bench = rising_then_falling(rig, scripted, max_daily_loss="500", actions={"max_daily_loss": action})
    bench.flat(51)
    assert bench.core.control.trading == "running"
    bench.flat(50)
    core = bench.core
    assert (core.control.trading, core.control.reason) == (state, "daily loss limit 500 reached")
    assert [order.request.ref for order in core.execution.orders.values()] == left
    assert core.ledger.holdings["a", "X"].quantity_lots == lots


def test_a_breach_that_flattens_ends_paused_and_flat(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rising_then_falling(rig, scripted, max_drawdown="0.0005", actions={"max_drawdown": "flatten"})
    said = bench.flat(50)
    assert of(m.TradingStateChanged, said) == [m.TradingStateChanged("flattening", "drawdown limit 0.0005 reached")]
    said = bench.flat(50)
    assert [(fill.side, fill.quantity_lots) for fill in of(m.Fill, said)] == [(m.SELL, 10)]
    assert (bench.core.control.trading, bench.core.control.reason) == ("paused", "drawdown limit 0.0005 reached")
    assert bench.core.execution.orders == {}
    bench.post(m.Resume("c"))
    assert of(m.TradingStateChanged, bench.flat(50))[0].state == "flattening", "it is beyond its limit still"


def test_an_order_that_breaches_stops_the_account_and_not_its_exits(rig: Any, scripted: Scripted, of: Of) -> None:
    plan = {0: lambda s: s.buy(10), 2: lambda s: s.target(-90), 3: lambda s: s.buy(1)}
    risk = {"max_gross": "2000", "actions": {"max_gross": "pause"}}
    bench = rig(scripted(plan), settings={"risk": risk})
    bench.flat(100, 2)
    said = bench.flat(100)
    assert [(order.side, order.quantity_lots) for order in of(m.OrderRequest, said)] == [(m.SELL, 10)]
    assert of(m.TradingStateChanged, said) == [m.TradingStateChanged("paused", "gross limit 2000 of the account")]
    (veto,) = of(m.RiskVeto, bench.flat(100))
    assert veto.reason == "trading is paused"


def test_a_limit_that_is_switched_on_while_running_is_told_what_it_needs(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rising_then_falling(rig, scripted)
    assert of(m.EquityMark, bench.flat(100)) == []
    said = bench.post(m.Tighten("c1", "max_daily_loss", "500", "key"))
    assert of(m.LimitChanged, said) == [m.LimitChanged("max_daily_loss", "off", "500", "c1")]
    bench.post(m.Tighten("c2", "max_gap", "0.1"))
    bench.post(m.Tighten("c3", "max_gap", "0.2"))
    why = "max_gap is 0.1, and 0.2 would loosen it: a limit is loosened only by a restart with another configuration"
    assert [(each.action, each.outcome, each.note) for each in bench.core.control.commands] == [
        ("tighten max_daily_loss to 500", "done", ""),
        ("tighten max_gap to 0.1", "done", ""),
        ("tighten max_gap to 0.2", "refused", why),
    ]
    assert len(of(m.EquityMark, bench.flat(100))) == 1
    kept = bench.snapshot()
    other = rising_then_falling(rig, scripted)
    other.restore(kept)
    for one in (bench, other):
        assert of(m.TradingStateChanged, one.flat(50)) == [
            m.TradingStateChanged("halted", "daily loss limit 500 reached")
        ]
    assert bench.snapshot() == other.snapshot()


def test_the_same_key_tightens_once(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rig(scripted())
    bench.post(m.Tighten("c1", "max_net", "500", "key"))
    said = bench.post(m.Tighten("c2", "max_net", "400", "key"))
    assert of(m.LimitChanged, said)[0].refused == "this command was taken before"
    assert len(bench.core.control.commands) == 1
    assert f"{bench.core.risk.in_force.limits.max_net}" == "500"


def test_a_protective_stop_is_told_with_the_order(rig: Any, scripted: Scripted, of: Of) -> None:
    plan = {
        0: lambda s: s.buy(50_000, protective_stop=99),
        1: lambda s: s.buy(1),
        2: lambda s: s.target(10_000, stop_distance=5.0),
    }
    bench = rig(scripted(plan), settings={"risk": {"max_trade_risk": "0.01"}})
    said = bench.flat(100)
    assert [order.quantity_lots for order in of(m.OrderRequest, said)] == [10_000]
    assert isinstance(bench.decided[0], m.ProtectedIntent)
    assert [veto.reason for veto in of(m.RiskVeto, bench.flat(100))] == [
        "trade risk limit 0.01, and no protective stop was given"
    ]


def test_rules_on_how_bars_move_ask_for_the_bars_before_a_session(rig: Any, scripted: Scripted) -> None:
    asking = {"risk": {"max_shortfall": "5", "shortfall_bars": 90, "max_volatility": "5"}}
    history = rig(scripted(), settings=asking, symbols=("X", "Y")).core.history()
    assert {symbol: (past.bars, past.strategies) for symbol, past in history.items()} == {
        "X": (91, ("risk",)),
        "Y": (91, ("risk",)),
    }
    alike = {"risk": {"max_correlated_net": "5", "correlation_bars": 70}}
    assert rig(scripted(), settings=alike).core.history()["X"].bars == 71
    assert rig(scripted(), settings={"risk": {"max_net": "5"}}).core.history() == {}


def test_contracts_on_paper_keep_their_distance_from_liquidation(rig: Any, scripted: Scripted, of: Of) -> None:
    """A million, a tenth of it as margin at most: a hundred thousand at ten times that."""
    plan = {0: lambda s: s.buy(50_000), 2: lambda s: s.buy(1), 3: lambda s: s.target(0)}
    settings = {"venue": {"leverage": 10}, "risk": {"max_margin": "0.1", "min_liquidation_distance": "0.2"}}
    bench = rig(scripted(plan), settings=settings, contract=True)
    assert [order.quantity_lots for order in of(m.OrderRequest, bench.flat(100))] == [10_000]
    bench.flat(100)
    (veto,) = of(m.RiskVeto, bench.flat(100))
    assert veto.reason == "margin limit 0.1 of the equity"
    assert [order.quantity_lots for order in of(m.OrderRequest, bench.flat(100))] == [10_000]
