"""Commands about one strategy, one book, one order, one actor: what they do, and how they meet the account's state."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.control import STRATEGY_TRANSITIONS, action_of
from strategies.base import Strategy

Of = Callable[[type[Any], list[m.Message]], list[Any]]
Scripted = Callable[..., Strategy]
FREE = {"venue": {"taker_fee": 0, "maker_fee": 0}}
BY = m.Sender("control", "desk", "127.0.0.1", 7)

STATES_WRITTEN_ANEW = """
            pause       resume   flatten     flattened
running     paused      running  flattening  running
paused      paused      running  flattening  paused
flattening  flattening  running  flattening  paused
"""
WHAT_PASSES = """
account     running    paused   flattening
running     all        exits    nothing
paused      exits      exits    nothing
halted      exits      exits    nothing
flattening  nothing    nothing  nothing
stopping    nothing    nothing  nothing
"""
"""By the account's state and the strategy's: which of a strategy's orders risk lets pass."""


def grid(table: str) -> list[tuple[str, str, str]]:
    head, *rows = (line.split() for line in table.strip().splitlines())
    columns = head[-len(rows[0]) + 1 :]
    return [(row[0], column, cell) for row in rows for column, cell in zip(columns, row[1:], strict=True)]


def lots(bench: Any, strategy: str = "a", symbol: str = "X") -> int:
    held = bench.core.ledger.holdings.get((strategy, symbol))
    return 0 if held is None else held.quantity_lots


def open_orders(bench: Any) -> list[tuple[str, str, int]]:
    """Return strategy, kind and signed lots of what works, sorted."""
    requests = [order.request for order in bench.core.execution.orders.values()]
    return sorted((each.strategy, each.kind, each.side * each.quantity_lots) for each in requests)


def states(bench: Any) -> tuple[str, str]:
    return bench.core.control.trading, bench.core.control.state_of("a")


def last(bench: Any) -> tuple[str, str, str]:
    command = bench.core.control.commands[-1]
    return command.action, command.outcome, command.note


def always(bench: Any, others: Callable[[], Any]) -> Any:
    """Return a bench made alike, brought to the same state: whatever is asked of it must come to the same."""
    other = others()
    other.restore(bench.snapshot())
    other.opens_ns = dict(bench.opens_ns)
    assert other.snapshot() == bench.snapshot()
    return other


@pytest.fixture
def two(rig: Any, scripted: Scripted) -> Callable[..., Any]:
    """Return a maker of benches on which a and b hold 5 and 7 of X, each with an entry and a stop at work."""

    def plan(size: int, further: dict[int, Any]) -> Strategy:
        def begin(strategy: Any) -> None:
            strategy.buy(size)
            strategy.buy(1, limit=50)

        return scripted({0: begin, 1: lambda s: s.sell(size, stop=60, reduce_only=True), **further})

    def make(further: dict[int, Any] | None = None, *, play: bool = True, **settings: Any) -> Any:
        bench = rig(plan(5, further or {}), plan(7, {}), settings=FREE | settings)
        if play:
            bench.flat(100, 3)
            assert (lots(bench), lots(bench, "b")) == (5, 7)
        return bench

    return make


OWN = [("a", "limit", 1), ("a", "stop", -5)]
OTHERS = [("b", "limit", 1), ("b", "stop", -7)]


# --- the state of a strategy ------------------------------------------------------------------------


def test_the_grid_above_is_the_table() -> None:
    assert {(state, event): target for state, event, target in grid(STATES_WRITTEN_ANEW)} == STRATEGY_TRANSITIONS


@pytest.mark.parametrize(("account", "own", "passing"), grid(WHAT_PASSES))
def test_of_both_states_the_stricter_counts(
    rig: Any, scripted: Scripted, of: Of, account: str, own: str, passing: str
) -> None:
    """With orders that travel for minutes, so that a flatten is still under way."""

    def wish(strategy: Any) -> None:
        strategy.buy(1, limit=40)
        strategy.sell(2)
        strategy.sell(9)

    settings = FREE | {"supervision": {"safe_state": "halt"}}
    bench = rig(scripted({0: lambda s: s.buy(5), 2: wish}), scripted(), settings=settings)
    bench.flat(100, 2)
    bench.core.venue._latency_ns = 10**12
    told = {"paused": m.Pause("c"), "halted": m.Halt("x"), "flattening": m.Flatten("c"), "stopping": m.Stop("c")}
    own_told = {"paused": m.PauseStrategy("d", "a"), "flattening": m.FlattenStrategy("d", "a")}
    if own in own_told:
        bench.post(own_told[own])
    if account in told:
        bench.post(told[account])
    assert states(bench) == (account, own)

    said = bench.flat(100)

    asked = [(each.side * each.quantity_lots, each.kind) for each in of(m.OrderRequest, said)]
    expected = {
        "all": [(1, "limit"), (-2, "market"), (-9, "market")],
        "exits": [(-2, "market"), (-5, "market")],
        "nothing": [],
    }
    assert asked == expected[passing]
    by_account = account in ("flattening", "stopping") or (account != "running" and own != "flattening")
    reason = f"trading is {account}" if by_account else f"strategy a is {own}"
    assert {veto.reason for veto in of(m.RiskVeto, said)} == ({reason} if passing != "all" else set())


def test_a_pause_withdraws_one_strategys_entries_and_nothing_else(two: Any, of: Of) -> None:
    bench = two()
    said = bench.post(m.PauseStrategy("c1", "a", by=BY))
    assert of(m.StrategyStateChanged, said) == [m.StrategyStateChanged("a", "paused", "asked for by the operator")]
    assert open_orders(bench) == [OWN[1], *OTHERS]
    assert (states(bench), last(bench)) == (("running", "paused"), ("pause a", "done", ""))
    assert bench.core.control.commands[-1].by == BY

    bench.post(m.ResumeStrategy("c2", "a"))
    assert (states(bench), last(bench)) == (("running", "running"), ("resume a", "done", ""))


def test_managed_exits_stay_through_a_pause_and_come_back_after_a_flatten(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rig(scripted({0: lambda s: s.bracket(10, stop=95, take_profit=110)}), settings=FREE)
    bench.flat(100, 2)
    bench.post(m.PauseStrategy("c", "a"))
    bench.bar(100, 104, 99, 103)
    assert open_orders(bench) == [("a", "limit", -10), ("a", "stop", -10)]

    bench.core.venue._latency_ns = 10**12
    bench.post(m.FlattenStrategy("d", "a"))
    assert of(m.Intent, bench.flat(100)) == [], "nothing is even wished for meanwhile"
    assert open_orders(bench) == [("a", "market", -10)]
    bench.post(m.ResumeStrategy("e", "a"))
    bench.flat(100)
    assert open_orders(bench) == [("a", "limit", -10), ("a", "market", -10), ("a", "stop", -10)]


def test_amends_of_a_paused_strategy_are_those_of_exits(rig: Any, scripted: Scripted, of: Of) -> None:
    plan = {
        0: lambda s: s.buy(5),
        1: lambda s: s.sell(3, limit=120),
        2: lambda s: (s.amend(2, quantity=9), s.amend(2, quantity=7)),
    }
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100, 2)
    bench.post(m.PauseStrategy("c", "a"))
    said = bench.flat(100)
    assert [each.quantity_lots for each in of(m.AmendRequest, said)] == [5]
    assert [each.reason for each in of(m.AmendVeto, said)] == ["strategy a is paused"]


# --- flatten ----------------------------------------------------------------------------------------


def test_a_flatten_closes_one_strategys_books_and_leaves_it_paused(two: Any, of: Of) -> None:
    bench = two()
    said = bench.post(m.FlattenStrategy("c1", "a"))
    (request,) = of(m.OrderRequest, said)
    assert (request.kind, request.side, request.quantity_lots, request.reduce_only) == ("market", -1, 5, True)
    assert open_orders(bench) == [("a", "market", -5), *OTHERS]
    assert (states(bench), last(bench)[1]) == (("running", "flattening"), "pending")
    other = always(bench, lambda: two(play=False))

    for each in (bench, other):
        said = each.flat(100)
        assert (lots(each), lots(each, "b")) == (0, 7)
        assert of(m.BooksClosed, said) == [m.BooksClosed("a")]
        assert (states(each), last(each)) == (("running", "paused"), ("flatten a", "done", ""))
        assert open_orders(each) == OTHERS
    assert other.core.digest.value == bench.core.digest.value


def test_a_strategy_with_nothing_is_flat_at_once(two: Any, scripted: Scripted, rig: Any) -> None:
    bench = rig(scripted())
    bench.post(m.FlattenStrategy("c", "a"))
    assert (states(bench), last(bench)[1]) == (("running", "paused"), "done")


def test_all_its_symbols_are_closed(rig: Any, scripted: Scripted) -> None:
    def both(strategy: Any) -> None:
        strategy.buy(3, symbol="X")
        strategy.sell(4, symbol="Y")

    bench = rig((scripted({0: both}), ("X", "Y")), symbols=("X", "Y"), settings=FREE)
    for symbol in "XYXY":
        bench.bar(100, symbol=symbol)
    assert (lots(bench), lots(bench, symbol="Y")) == (3, -4)
    bench.post(m.FlattenStrategy("c", "a"))
    bench.bar(100)
    assert (states(bench), last(bench)[1]) == (("running", "flattening"), "pending")
    bench.bar(100, symbol="Y")
    assert (lots(bench), lots(bench, symbol="Y"), states(bench)[1]) == (0, 0, "paused")


@pytest.mark.parametrize(
    ("account", "after"),
    [(m.Pause("p"), "paused"), (m.Halt("x"), "halted"), (m.Flatten("f"), "paused"), (m.Resume("r"), "running")],
    ids=["pause", "halt", "flatten", "resume"],
)
@pytest.mark.parametrize("account_first", [True, False])
def test_a_strategys_flatten_comes_through_whatever_the_account_does(
    two: Any, account: m.Message, after: str, account_first: bool
) -> None:
    bench = two()
    asked = [account, m.FlattenStrategy("c", "a")]
    for message in asked if account_first else reversed(asked):
        bench.post(message)
    bench.flat(100, 2)
    assert states(bench) == (after, "paused")
    assert lots(bench) == 0
    assert [each.outcome for each in bench.core.control.commands] == ["done"] * len(bench.core.control.commands)


@pytest.mark.parametrize("account", [m.Pause("p"), m.Halt("x"), m.Flatten("f")], ids=["pause", "halt", "flatten"])
@pytest.mark.parametrize("asked", [m.FlattenStrategy("c", "a"), m.ClosePosition("c", "a", "X")], ids=["all", "one"])
def test_what_closes_by_command_is_not_withdrawn(two: Any, account: m.Message, asked: m.Message) -> None:
    bench = two()
    bench.post(asked)
    before = [each.order_id for each in bench.core.execution.orders.values() if each.request.closing]
    bench.post(account)
    assert [each.order_id for each in bench.core.execution.orders.values() if each.request.strategy == "a"] == before


def test_a_stop_takes_its_place(two: Any) -> None:
    bench = two()
    bench.post(m.FlattenStrategy("c", "a"))
    bench.post(m.ClosePosition("d", "b", "X"))
    bench.post(m.Stop("e"))
    assert [each.outcome for each in bench.core.control.commands] == ["superseded", "superseded", "done"]
    assert open_orders(bench) == []
    assert (lots(bench), lots(bench, "b")) == (5, 7)
    bench.post(m.PauseStrategy("f", "a"))
    assert last(bench) == ("pause a", "ignored", "")


def test_resume_of_the_account_leaves_a_paused_strategy_paused(two: Any) -> None:
    bench = two()
    for message in (m.PauseStrategy("c", "a"), m.Pause("d"), m.Resume("e")):
        bench.post(message)
    assert states(bench) == ("running", "paused")
    bench.post(m.Pause("f"))
    bench.post(m.ResumeStrategy("g", "a"))
    assert states(bench) == ("paused", "running")


@pytest.mark.parametrize("own", [m.PauseStrategy("c", "a"), m.FlattenStrategy("c", "a")], ids=["pause", "flatten"])
@pytest.mark.parametrize("action", ["pause", "cancel_all", "flatten", "halt"])
def test_a_breach_acts_on_the_account_all_the_same(two: Any, own: m.Message, action: str) -> None:
    risk = {"max_drawdown": "0.0001", "actions": {"max_drawdown": action}}
    bench = two(risk=risk)
    bench.post(own)
    bench.flat(80)
    assert states(bench) == ({"halt": "halted", "flatten": "flattening"}.get(action, "paused"), "paused")
    closed = isinstance(own, m.FlattenStrategy)
    assert lots(bench) == (0 if closed else 5)
    assert all(strategy == "b" or kind in ("stop", "market") for strategy, kind, _ in open_orders(bench))
    bench.flat(80)
    assert lots(bench, "b") == (0 if action == "flatten" else 7)


def test_a_newer_command_supersedes_a_flatten(two: Any) -> None:
    bench = two()
    bench.post(m.FlattenStrategy("c", "a"))
    bench.post(m.PauseStrategy("d", "a"))
    assert [each.outcome for each in bench.core.control.commands] == ["pending", "done"]
    bench.post(m.ResumeStrategy("e", "a"))
    assert [each.outcome for each in bench.core.control.commands] == ["superseded", "done", "done"]
    assert states(bench)[1] == "running"
    bench.flat(100, 2)
    assert (lots(bench), states(bench)[1]) == (0, "running"), "what was on its way is executed"


def test_what_the_venue_refuses_to_close_is_said_and_the_exits_come_back(rig: Any, scripted: Scripted) -> None:
    bench = rig(scripted({0: lambda s: s.bracket(10, stop=95)}), settings=FREE)
    bench.flat(100, 2)
    venue, context = bench.core.venue, bench.core.context

    def refuse(self: Any, command: m.SubmitOrder) -> None:
        request = command.request
        context.emit(m.Rejected(command.order_id, request.strategy, request.symbol, request.ref, "not now"))

    venue.on_submit = MethodType(refuse, venue)
    bench.core._rewire()
    bench.post(m.FlattenStrategy("c", "a"))
    assert last(bench) == ("flatten a", "refused", "the venue refuses to close 10 X (a)")
    assert states(bench) == ("running", "paused")
    assert bench.core.control.held["a"].reason == "the venue refuses to close 10 X (a)"
    del venue.on_submit
    bench.core._rewire()
    bench.flat(100)
    assert open_orders(bench) == [("a", "stop", -10)]


# --- one position -----------------------------------------------------------------------------------


def test_one_position_is_closed_and_its_strategy_trades_on(two: Any, of: Of) -> None:
    bench = two({3: lambda s: s.buy(1), 4: lambda s: s.buy(2)})
    bench.post(m.ClosePosition("c", "a", "X"))
    assert open_orders(bench) == [("a", "market", -5), *OTHERS]
    bench.core.venue._latency_ns = 0
    said = bench.flat(100)
    assert (lots(bench), last(bench)) == (0, ("close X of a", "done", ""))
    assert of(m.BooksClosed, said) == [m.BooksClosed("a", "X")]
    assert states(bench) == ("running", "running")
    bench.flat(100)
    assert lots(bench) == 1, "the wish of the bar at whose open it was closed"


def test_a_book_that_is_being_closed_takes_no_orders(two: Any, of: Of) -> None:
    bench = two({3: lambda s: s.buy(1)})
    bench.core.venue._latency_ns = 10**12
    bench.post(m.ClosePosition("c", "a", "X"))
    said = bench.flat(100)
    assert [veto.reason for veto in of(m.RiskVeto, said)] == ["strategy a is being taken out of X"]


@pytest.mark.parametrize(
    ("strategy", "symbol", "outcome", "note"),
    [
        ("c", "X", "refused", "there is no strategy c"),
        ("a", "Y", "refused", "there is no symbol Y"),
        ("b", "X", "done", "nothing was held, and nothing worked"),
    ],
)
def test_what_cannot_be_closed_is_said(
    rig: Any, scripted: Scripted, strategy: str, symbol: str, outcome: str, note: str
) -> None:
    bench = rig(scripted({0: lambda s: s.buy(5)}), scripted())
    bench.flat(100, 2)
    bench.post(m.ClosePosition("c", strategy, symbol))
    assert last(bench)[1:] == (outcome, note)
    assert lots(bench) == 5


def test_an_unknown_strategy_is_refused_by_every_command(two: Any) -> None:
    bench = two()
    for kind in (m.PauseStrategy, m.ResumeStrategy, m.FlattenStrategy):
        bench.post(kind("c", "z"))
        assert last(bench)[1:] == ("refused", "there is no strategy z")
    assert bench.core.control.held == {}


# --- one order --------------------------------------------------------------------------------------


def order_id(bench: Any, kind: str, strategy: str = "a") -> str:
    (found,) = (
        each.order_id
        for each in bench.core.execution.orders.values()
        if (each.request.strategy, each.request.kind) == (strategy, kind)
    )
    return str(found)


def test_one_order_is_withdrawn(two: Any) -> None:
    bench = two()
    bench.post(m.WithdrawOrder("c", order_id(bench, "limit")))
    assert last(bench)[1:] == ("done", "")
    assert open_orders(bench) == [OWN[1], *OTHERS]
    assert not bench.core.control.follows_orders


def test_a_stop_is_withdrawn_and_what_it_protected_is_said(two: Any) -> None:
    bench = two()
    bench.post(m.WithdrawOrder("c", order_id(bench, "stop")))
    assert last(bench)[1:] == ("done", "it was a stop of a position of 5 X")
    assert open_orders(bench) == [OWN[0], *OTHERS]


def test_a_managed_stop_comes_back_with_the_next_bar_and_that_is_said(rig: Any, scripted: Scripted) -> None:
    bench = rig(scripted({0: lambda s: s.bracket(10, stop=95)}), settings=FREE)
    bench.flat(100, 2)
    bench.post(m.WithdrawOrder("c", order_id(bench, "stop")))
    assert last(bench)[2].endswith("and its strategy's exits place it again with the next bar")
    assert open_orders(bench) == []
    bench.flat(100)
    assert open_orders(bench) == [("a", "stop", -10)]


def test_an_order_that_is_not_there_is_told_from_one_that_never_was(two: Any) -> None:
    bench = two()
    ended = f"pbt{1}"
    for name, note in [
        (ended, f"{ended} does not work any more, or under another id since it was changed"),
        ("pbtzz", "no order of this session is called pbtzz"),
        ("pbt", "no order of this session is called pbt"),
        ("pbt01", "no order of this session is called pbt01"),
        ("pbt\u0661", "no order of this session is called pbt\u0661"),
        ("web_1", "no order of this session is called web_1"),
    ]:
        bench.post(m.WithdrawOrder("c", name))
        assert last(bench)[1:] == ("refused", note)


def test_an_order_of_a_flatten_is_not_withdrawn_by_hand(two: Any) -> None:
    bench = two()
    bench.post(m.FlattenStrategy("c", "a"))
    bench.post(m.WithdrawOrder("d", order_id(bench, "market")))
    assert last(bench)[1:] == ("refused", "it closes a position by command; resume ends that")


@pytest.mark.parametrize(
    "message",
    [
        m.PauseStrategy("c1", "a", "key"),
        m.FlattenStrategy("c1", "a", "key"),
        m.ClosePosition("c1", "a", "X", "key"),
        m.WithdrawOrder("c1", "pbt2", "key"),
        m.RestartActor("c1", "strategy.a", idempotency_key="key"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_the_same_key_is_the_same_command(two: Any, message: Any) -> None:
    bench = two()
    bench.post(message)
    (first,) = bench.core.control.commands
    outcome = first.outcome
    digest = bench.core.digest.value
    bench.post(message)
    assert bench.core.control.commands == [first]
    assert (first.outcome, first.action) == (outcome, action_of(message))
    assert bench.core.digest.value == digest


# --- one actor --------------------------------------------------------------------------------------

GIVEN_UP = {"supervision": {"restarts_max": 0, "safe_state": "halt", "checkpoint_inputs": 1}}


def poisoned(scripted: Scripted, *bars: int, **terms: Any) -> Strategy:
    """Return a strategy that counts what it sees and fails on some bars."""

    def every_bar(strategy: Any, bar: m.Bar) -> None:
        strategy.seen = getattr(strategy, "seen", 0) + 1
        if bar.open in bars:
            raise ValueError("poison")

    return scripted(every_bar=every_bar, **terms)


def given_up(rig: Any, scripted: Scripted, plan: dict[int, Any]) -> Any:
    bench = rig(poisoned(scripted, 102, plan=plan), settings=FREE | GIVEN_UP)
    for price in (100, 101, 102, 103):
        bench.bar(price)
    assert bench.core.strategies[0].abandoned
    assert bench.core.control.trading == "halted"
    return bench


@pytest.mark.parametrize("anew", [False, True])
def test_a_strategy_that_was_given_up_goes_on(rig: Any, scripted: Scripted, of: Of, anew: bool) -> None:
    plan = {0: lambda s: s.buy(5), 1: lambda s: s.buy(1, limit=50), 5: lambda s: s.buy(3), 1000: print}
    bench = given_up(rig, scripted, plan)
    other = always(bench, lambda: rig(poisoned(scripted, 102, plan=plan), settings=FREE | GIVEN_UP))

    for each in (bench, other):
        said = each.post(m.RestartActor("c", "strategy.a", anew))
        assert of(m.ActorRestarted, said) == [m.ActorRestarted("strategy.a", 1)]
        actor = each.core.strategies[0]
        assert (actor.abandoned, actor.strategy.count) == (False, 0 if anew else 2)
        assert actor.desk.position == 5, "its book is what it was"
        assert last(each)[1] == "done"
        assert last(each)[2].startswith("begun anew" if anew else "goes on where it was")
        assert states(each) == ("halted", "running"), "trading is resumed by another command"
        each.post(m.Resume("d"))
        said = each.flat(104, 6)
        refs = [intent.ref for intent in of(m.Intent, said)]
        assert refs, "it decides again"
        assert min(refs) > 2, "under numbers that were never used"
        assert states(each) == ("running", "running")
    assert other.core.digest.value == bench.core.digest.value


def test_its_other_orders_are_withdrawn_and_its_stops_are_not(rig: Any, scripted: Scripted) -> None:
    """What became of them while it was given up it was not told; what protects stays at work."""
    settings = FREE | {"supervision": {"restarts_max": 0, "safe_state": "halt", "checkpoint_inputs": 1_000}}
    plan = {
        0: lambda s: s.buy(5),
        1: lambda s: (s.sell(5, stop=60, reduce_only=True), s.sell(2, limit=150, reduce_only=True)),
    }
    bench = rig(poisoned(scripted, 103, plan=plan), settings=settings)
    for price in (100, 101, 102, 103):
        bench.bar(price)
    assert open_orders(bench) == [("a", "limit", -2), ("a", "stop", -5)]
    bench.post(m.RestartActor("c", "strategy.a"))
    assert open_orders(bench) == [("a", "stop", -5)]
    assert last(bench)[2] == "goes on where it was; its orders that are no exits are withdrawn: 1"


def test_exits_are_taken_up_as_they_are(rig: Any, scripted: Scripted) -> None:
    """The stop was placed after the checkpoint, which knows the plan only."""
    settings = FREE | {"supervision": {"restarts_max": 0, "safe_state": "halt", "checkpoint_inputs": 2}}
    plan = {0: lambda s: s.bracket(10, stop=95, trail=5)}
    bench = rig(poisoned(scripted, 104, plan=plan), settings=settings)
    for price in (100, 101, 102, 103, 104):
        bench.bar(price)
    before = open_orders(bench)
    assert [kind for _, kind, _ in before] == ["stop"]
    bench.post(m.RestartActor("c", "strategy.a"))
    bench.post(m.Resume("d"))
    bench.bar(110)
    bench.bar(112)
    (order,) = bench.core.execution.orders.values()
    assert (order.request.kind, order.request.quantity_lots) == ("stop", 10)
    assert order.request.stop_ticks > 97, "it trails again"
    bench.bar(90)
    assert (lots(bench), open_orders(bench)) == (0, [])


def test_a_profit_that_was_taken_meanwhile_is_not_taken_again(rig: Any, scripted: Scripted) -> None:
    settings = FREE | {"supervision": {"restarts_max": 0, "safe_state": "halt", "checkpoint_inputs": 2}}
    plan = {0: lambda s: s.bracket(10, stop=50, take_profit=[(120, 0.5), (200, 0.5)])}
    bench = rig(poisoned(scripted, 102, plan=plan), settings=settings, contract=True)
    for price in (100, 101, 102):
        bench.bar(price)
    bench.bar(103, 125)
    assert (lots(bench), bench.core.strategies[0].abandoned) == (5, True)
    other = always(bench, lambda: rig(poisoned(scripted, 102, plan=plan), settings=settings, contract=True))
    for each in (bench, other):
        each.post(m.RestartActor("c", "strategy.a"))
        each.post(m.Resume("d"))
        each.flat(105, 2)
        assert open_orders(each) == [("a", "limit", -5), ("a", "stop", -5)]
        assert {order.request.limit_ticks for order in each.core.execution.orders.values()} == {0, 200}
    assert other.core.digest.value == bench.core.digest.value


@pytest.mark.parametrize("unkept", [False, True], ids=["", "unkept"])
@pytest.mark.parametrize("safe_state", ["halt", "cancel_all"])
def test_of_exits_the_stop_outlives_a_beginning_anew(
    rig: Any, scripted: Scripted, safe_state: str, unkept: bool
) -> None:
    """Whoever knows nothing of its position protects nothing: the position would be left to itself."""

    def act(strategy: Any, bar: m.Bar) -> None:
        if bar.open == 100:
            strategy.bracket(10, stop=50, trail=45, take_profit=200)
        elif bar.open == 101 and unkept:
            strategy.file = object()
        elif bar.open == 103:
            raise ValueError("poison")
        elif bar.open == 130:
            strategy.close()

    settings = FREE | {"supervision": {"restarts_max": 0, "safe_state": safe_state, "checkpoint_inputs": 1_000}}
    bench = rig(scripted(every_bar=act), settings=settings, long_only=True)
    for price in (100, 101, 102, 103):
        bench.bar(price)
    if not unkept:
        bench = always(bench, lambda: rig(scripted(every_bar=act), settings=settings, long_only=True))
    bench.post(m.RestartActor("c", "strategy.a", anew=True))
    bench.post(m.Resume("d"))
    bench.flat(120, 3)
    (order,) = bench.core.execution.orders.values()
    request = order.request
    assert (request.kind, request.quantity_lots, request.stop_ticks) == ("stop", 10, 57), "it follows no price any more"
    bench.flat(130, 3)
    assert (lots(bench), open_orders(bench)) == (0, []), "it is not in the way of a close"


def test_what_it_goes_on_with_is_the_same_in_a_session_that_was_continued(rig: Any, scripted: Scripted) -> None:
    """A continued session has other checkpoints than one that never ended."""
    settings = FREE | {"supervision": {"restarts_max": 0, "safe_state": "halt", "checkpoint_inputs": 3}}
    plan = {0: lambda s: s.bracket(10, stop=95, trail=5), 1: lambda s: s.buy(1, limit=50)}

    def make() -> Any:
        return rig(poisoned(scripted, 104, plan=plan), settings=settings)

    one, two = make(), make()
    for price in (100, 101, 102, 103, 104, 105):
        for each in (one, two):
            each.bar(price)
        fresh = make()
        fresh.restore(two.snapshot())
        fresh.opens_ns = dict(two.opens_ns)
        two = fresh
    for each in (one, two):
        assert each.core.strategies[0].abandoned
        each.post(m.RestartActor("c", "strategy.a"))
        each.post(m.Resume("d"))
        each.flat(106, 5)
        assert each.core.strategies[0].strategy.seen == 9
    assert one.snapshot() == two.snapshot()
    assert one.core.digest.value == two.core.digest.value


def test_what_could_not_be_kept_can_only_begin_anew(rig: Any, scripted: Scripted) -> None:
    def act(strategy: Any, bar: m.Bar) -> None:
        if bar.open == 101:
            strategy.file = object()
        if bar.open == 102:
            raise ValueError("poison")

    bench = rig(scripted(every_bar=act), settings=FREE | {"supervision": {"restarts_max": 0, "safe_state": "halt"}})
    for price in (100, 101, 102):
        bench.bar(price)
    bench.post(m.RestartActor("c", "strategy.a"))
    assert last(bench)[1:] == ("refused", "what strategy.a knew could not be kept; begin it anew")
    bench.post(m.RestartActor("d", "strategy.a", anew=True))
    assert last(bench)[1:] == ("done", "begun anew")
    assert not hasattr(bench.core.strategies[0].strategy, "file")


def test_numbers_are_never_used_again_even_if_it_cannot_be_told_again(rig: Any) -> None:
    """What it is told again fails the first time, with its count of wishes at nothing."""
    told: list[float] = []

    class Forgetful(Strategy):
        """Fails on whatever it was told before."""

        def on_bar(self, bar: m.Bar, _: Any, /) -> None:
            if bar.open in told:
                raise ValueError("again")
            told.append(bar.open)
            if bar.open == 102:
                raise ValueError("poison")
            self.buy(1, limit=50)

    bench = rig(
        Forgetful(), settings=GIVEN_UP | {"supervision": GIVEN_UP["supervision"] | {"checkpoint_inputs": 1_000}}
    )
    for price in (100, 101, 102):
        bench.bar(price)
    bench.post(m.RestartActor("c", "strategy.a", anew=True))
    bench.post(m.Resume("d"))
    bench.bar(103)
    assert [order.request.ref for order in bench.core.execution.orders.values()] == [3]


def test_a_strategy_an_older_version_gave_up_is_run_again_from_the_journal(rig: Any, scripted: Scripted) -> None:
    """Its snapshot does not say how many wishes it had numbered: it is refused, and passed over by who recovers."""
    bench = given_up(rig, scripted, {})
    taken = bench.core.snapshot()
    state = msgspec.msgpack.decode(taken.actors["strategy.a"])
    del state["count_max"]
    actors = taken.actors | {"strategy.a": msgspec.msgpack.encode(state)}
    other = rig(poisoned(scripted, 102, plan={}), settings=FREE | GIVEN_UP)
    with pytest.raises(ValueError, match="older version"):
        other.core.restore(msgspec.structs.replace(taken, actors=actors))


@pytest.mark.parametrize(
    ("actor", "note"),
    [
        ("strategy.a", "strategy.a was not given up"),
        ("a", "a is none of the strategies: strategy.a, strategy.b"),
        ("risk", "risk is none of the strategies: strategy.a, strategy.b"),
    ],
)
def test_nobody_else_is_restarted(two: Any, actor: str, note: str) -> None:
    bench = two()
    bench.post(m.RestartActor("c", actor))
    assert last(bench)[1:] == ("refused", note)


def test_a_restart_that_fails_leaves_it_given_up(rig: Any, of: Of) -> None:
    class Once(Strategy):
        """Starts once and never again."""

        def on_start(self) -> None:
            if self.position:
                raise ValueError("not again")

        def on_bar(self, bar: m.Bar, _: Any, /) -> None:
            if bar.open == 101:
                raise ValueError("poison")
            self.buy(1)

    bench = rig(Once(), settings=GIVEN_UP)
    bench.flat(100, 2)
    bench.bar(101)
    said = bench.post(m.RestartActor("c", "strategy.a", anew=True))
    assert [failed.escalated for failed in of(m.ActorFailed, said)] == [True]
    assert last(bench)[1:] == ("refused", "ValueError: not again")
    assert bench.core.strategies[0].abandoned
    other = rig(Once(), settings=GIVEN_UP)
    other.restore(bench.snapshot())
    for each in (bench, other):
        each.post(m.RestartActor("d", "strategy.a"))
        assert last(each)[1] == "done"
    assert other.snapshot() == bench.snapshot()


def test_who_asked_is_kept_with_every_command(two: Any) -> None:
    bench = two()
    asked: list[Any] = [
        m.PauseStrategy("c", "a", by=BY),
        m.ResumeStrategy("c", "a", by=BY),
        m.FlattenStrategy("c", "a", by=BY),
        m.ClosePosition("c", "b", "X", by=BY),
        m.WithdrawOrder("c", "pbt1", by=BY),
        m.RestartActor("c", "strategy.a", by=BY),
        m.Tighten("c", "max_net", "5000", by=BY),
        m.Pause("c", by=BY),
        m.Resume("c", by=BY),
        m.Flatten("c", by=BY),
        m.Stop("c", by=BY),
    ]
    for message in asked:
        bench.post(message)
    other = always(bench, lambda: two(play=False))
    assert [command.by for command in other.core.control.commands] == [BY] * len(asked)


def test_a_snapshot_of_before_these_commands_is_taken_up(two: Any) -> None:
    """What an older version kept has none of the fields they brought; it then stands as nothing was asked for."""
    bench = two()
    bench.post(m.Pause("c"))
    bench.post(m.Resume("d"))
    taken = bench.core.snapshot()
    new = {
        "control": ("held",),
        "risk": ("strategies", "scopes"),
        "strategy.a": ("count_max",),
        "strategy.b": ("count_max",),
    }
    actors = dict(taken.actors)
    for name, fields in new.items():
        state = msgspec.msgpack.decode(actors[name])
        for field in fields:
            state.pop(field, None)
        for command in state.get("commands", ()):
            for field in ("strategy", "symbol", "ref", "note", "by"):
                del command[field]
        actors[name] = msgspec.msgpack.encode(state)
    counts = {name: count for name, count in taken.counts.items() if "Strategy" not in name and "Withdraw" not in name}
    other = two(play=False)
    other.core.restore(msgspec.structs.replace(taken, actors=actors, counts=counts))
    assert other.snapshot() == bench.snapshot()
