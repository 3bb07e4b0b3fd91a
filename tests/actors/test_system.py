"""The core as a whole: what one bar sets off, in which order, and what the account does with commands."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from actors import messages as m
from actors.ledger import Account, Holding
from actors.runtime.scheduler import CoreError, LivelockError
from strategies.base import Strategy
from strategies.indicators import Indicator, sma

MINUTE = 60_000_000_000
UNIT = 10**8
Scripted = Callable[..., Strategy]
Of = Callable[[type[Any], list[m.Message]], list[Any]]


def names(said: list[m.Message]) -> list[str]:
    return [type(message).__name__ for message in said]


# --- the order of things ----------------------------------------------------------------------------


def test_the_order_of_decisions_of_one_bar(rig: Any, scripted: Scripted) -> None:
    """A fill is booked, and the strategy told, before the bar that caused it is decided on."""
    plan = {0: lambda s: s.buy(1), 1: lambda s: s.sell(1)}
    bench = rig(scripted(plan, on_fill=lambda s, _: s.buy(2, limit=50)))
    bench.flat(100)
    assert names(bench.decided) == ["Intent", "OrderRequest", "Accepted"]
    bench.flat(101)
    assert names(bench.decided) == [
        "Fill",
        "PositionChanged",
        *("Intent", "OrderRequest", "Accepted"),
        *("Intent", "OrderRequest", "Accepted"),
    ]
    assert [each.ref for each in bench.decided if isinstance(each, m.Intent)] == [2, 3]


def test_a_bar_is_marked_before_it_is_decided_on(rig: Any, scripted: Scripted) -> None:
    """A halt by the mark of a bar takes the decision of that bar with it."""
    bench = rig(scripted({0: lambda s: s.buy(1), 2: lambda s: s.buy(1)}), settings={"risk": {"max_daily_loss": 1}})
    bench.flat(100, 2)
    bench.flat(90)
    assert names(bench.decided) == ["Intent", "RiskVeto"]


def test_an_order_decided_on_a_bar_never_fills_on_it(rig: Any, scripted: Scripted, of: Of) -> None:
    """Not at its prices, nor at any earlier ones: on that bar every kind of order would have had its price."""
    act = lambda s: (s.buy(1), s.buy(1, limit=95), s.buy(1, stop=105), s.sell(1, stop=95), s.sell(1, limit=105))  # noqa: E731
    bench = rig(scripted({0: act}))
    assert of(m.Fill, bench.bar(100, 120, 80, 100)) == []
    (fill,) = of(m.Fill, bench.bar(100, 100, 100, 100))
    assert fill.ref == 1


def test_the_fills_of_one_bar_are_settled_one_by_one(rig: Any, scripted: Scripted, of: Of) -> None:
    positions: list[float] = []
    strategy = scripted(
        {0: lambda s: (s.buy(1), s.buy(2), s.buy(3))}, on_fill=lambda s, _: positions.append(s.position)
    )
    bench = rig(strategy)
    bench.flat(100)
    said = bench.flat(100)
    assert positions == [1, 3, 6]
    assert [message.quantity_lots for message in of(m.PositionChanged, said)] == [1, 3, 6]


def test_an_order_born_of_a_fill_starts_on_the_next_bar(rig: Any, scripted: Scripted, of: Of) -> None:
    strategy = scripted({0: lambda s: s.buy(1)}, on_fill=lambda s, e: s.sell(1) if e.quantity > 0 else None)
    bench = rig(strategy)
    bench.flat(100)
    assert len(of(m.Fill, bench.bar(100, 200, 50, 150))) == 1
    (fill,) = of(m.Fill, bench.bar(160, 170, 150, 165))
    assert fill.price_ticks == 160


def test_a_withheld_bar_reaches_nobody(rig: Any, scripted: Scripted) -> None:
    seen: list[int] = []
    bench = rig(scripted({0: lambda s: s.buy(1)}, every_bar=lambda s, _: seen.append(s.count)))
    bench.flat(100)
    bench.opens_ns["X"] -= MINUTE
    assert names(bench.bar(100)) == ["BarRejected"]
    assert seen == [1]
    assert bench.core.bars() == 1
    assert bench.core.ledger.mark_price("X") == 100


def test_a_strategy_decides_only_once_its_features_are_warm(rig: Any) -> None:
    seen: list[float] = []

    class Averages(Strategy):
        def features(self) -> dict[str, Indicator]:
            return {"mean": sma(3)}

        def on_bar(self, _: m.Bar, f: Any, /) -> None:
            seen.append(f.mean)

    bench = rig(Averages())
    for price in (1, 2, 3, 4, 8):
        bench.flat(price)
    assert seen == [2.0, 3.0, 5.0]


def test_a_strategy_on_a_higher_timeframe_decides_at_its_closes(rig: Any, scripted: Scripted, of: Of) -> None:
    seen: list[tuple[int, float, float]] = []
    strategy = scripted(
        {0: lambda s: s.buy(1)}, every_bar=lambda s, bar: seen.append((s.now_ns, bar.open, bar.close)), timeframe="5m"
    )
    bench = rig(strategy)
    said = [bench.bar(price) for price in range(100, 111)]
    closes = [START_NS + 5 * MINUTE, START_NS + 10 * MINUTE]
    assert seen == [(closes[0], 100.0, 104.0), (closes[1], 105.0, 109.0)]
    (fill,) = of(m.Fill, said[5])
    assert fill.price_ticks == 105, "the next minute, not the next five"


START_NS = 1_700_002_800_000_000_000


def test_symbols_do_not_mix(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rig((scripted({0: lambda s: s.buy(1)}), "X"), (scripted({0: lambda s: s.sell(2)}), "Y"), symbols=("X", "Y"))
    bench.bar(100, symbol="X")
    bench.bar(50, symbol="Y")
    (of_x,) = of(m.Fill, bench.bar(101, symbol="X"))
    (of_y,) = of(m.Fill, bench.bar(51, symbol="Y"))
    assert (of_x.symbol, of_x.strategy, of_x.price_ticks) == ("X", "a", 101)
    assert (of_y.symbol, of_y.strategy, of_y.price_ticks) == ("Y", "b", 51)


# --- orders that cross ------------------------------------------------------------------------------


def test_a_bracket_whose_both_sides_fill_in_one_bar(rig: Any, scripted: Scripted, of: Of) -> None:
    """The cancel of the second crosses its fill, of which nobody had heard yet: both fills stand."""

    def other_side(strategy: Any, execution: Any) -> None:
        strategy.cancel(2 if execution.ref == 1 else 1)

    bench = rig(scripted({0: lambda s: (s.sell(1, limit=110), s.sell(1, stop=90))}, on_fill=other_side))
    bench.flat(100)
    said = bench.bar(100, 120, 80, 100)
    assert [fill.ref for fill in of(m.Fill, said)] == [2, 1]
    assert [event.ref for event in of(m.CancelRejected, said)] == [1]
    assert bench.core.execution.orders == {}
    assert names(bench.flat(100)) == ["FeatureRow"]


def test_a_bracket_of_exits_fills_once(rig: Any, scripted: Scripted, of: Of) -> None:
    plan = {
        0: lambda s: s.buy(1),
        1: lambda s: (s.sell(1, limit=110, reduce_only=True), s.sell(1, stop=90, reduce_only=True)),
    }
    bench = rig(scripted(plan, on_fill=lambda s, e: s.cancel(5 - e.ref) if e.quantity < 0 else None))
    bench.flat(100, 2)
    said = bench.bar(100, 120, 80, 100)
    assert [(fill.ref, fill.price_ticks) for fill in of(m.Fill, said)] == [(3, 90)]
    assert [event.ref for event in of(m.Expired, said)] == [2]
    assert bench.core.ledger.holdings["a", "X"].quantity_lots == 0


def test_a_failure_that_escalates_between_two_fills_of_one_bar(rig: Any, scripted: Scripted, of: Of) -> None:
    """The account is made safe while the venue's second fill is still on its way."""

    def fail(*_: Any) -> None:
        raise ValueError("poison")

    settings = {"supervision": {"restarts_max": 0, "safe_state": "flatten"}}
    bench = rig(scripted({0: lambda s: (s.buy(1), s.buy(2), s.buy(1, limit=50))}, on_fill=fail), settings=settings)
    bench.flat(100)
    said = bench.flat(100)
    assert [fill.quantity_lots for fill in of(m.Fill, said)] == [1, 2]
    assert [event.ref for event in of(m.CancelRejected, said)] == [2]
    said = bench.flat(100)
    assert [(fill.side, fill.quantity_lots) for fill in of(m.Fill, said)] == [(m.SELL, 3)]
    assert bench.core.control.trading == "halted"


# --- commands ---------------------------------------------------------------------------------------


def test_a_pause_withdraws_working_entries_and_leaves_exits(rig: Any, scripted: Scripted, of: Of) -> None:
    plan = {
        0: lambda s: s.buy(4),
        1: lambda s: (s.buy(1, limit=50), s.sell(4, stop=60, reduce_only=True), s.sell(2, limit=150)),
    }
    bench = rig(scripted(plan))
    bench.flat(100, 2)
    said = bench.post(m.Pause("c"))
    assert [event.ref for event in of(m.Cancelled, said)] == [2, 4], "the second exit could turn the position round"
    assert [order.request.ref for order in bench.core.execution.orders.values()] == [3]
    assert [fill.ref for fill in of(m.Fill, bench.bar(100, 100, 55, 58))] == [3]


def test_a_pause_does_not_stop_the_feed_or_exits(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rig(scripted({0: lambda s: s.target(5), 3: lambda s: s.target(9), 4: lambda s: s.target(-2)}))
    bench.flat(100, 2)
    bench.post(m.Pause("c"))
    bench.flat(100)
    (veto,) = of(m.RiskVeto, bench.flat(100))
    assert veto.reason == "trading is paused"
    bench.flat(100)
    (fill,) = of(m.Fill, bench.flat(100))
    assert (fill.side, fill.quantity_lots) == (m.SELL, 5)
    bench.post(m.Resume("c2"))
    assert bench.core.control.trading == "running"


def test_a_flatten_closes_at_the_next_open_and_stays_paused(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rig(scripted({0: lambda s: s.buy(1, limit=50)}, every_bar=lambda s, _: s.target(3)))
    bench.flat(100, 2)
    bench.post(m.Flatten("c"))
    assert bench.core.control.trading == "flattening"
    said = bench.bar(90)
    (fill,) = of(m.Fill, said)
    assert (fill.side, fill.quantity_lots, fill.price_ticks, fill.synthetic) == (m.SELL, 3, 90, False)
    assert bench.core.control.trading == "paused"
    assert [command.outcome for command in bench.core.control.commands] == ["done"]
    assert of(m.OrderRequest, bench.flat(90, 5)) == []


def test_a_flatten_at_the_end_of_a_tape_fills_at_the_last_close_marked_synthetic(
    rig: Any, scripted: Scripted, of: Of
) -> None:
    bench = rig(scripted({0: lambda s: s.buy(3)}))
    bench.flat(100)
    bench.bar(100, 108, 99, 107)
    bench.post(m.TapeEnded())
    (fill,) = of(m.Fill, bench.post(m.Flatten("c")))
    assert (fill.price_ticks, fill.synthetic) == (107, True)
    assert bench.core.control.trading == "paused"
    assert bench.core.ledger.cash_atoms == bench.core.ledger.equity_atoms


def test_a_flatten_under_way_when_the_tape_ends_is_settled_then(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rig(scripted({0: lambda s: s.buy(3)}), settings={"venue": {"latency_ms": 5000.0}})
    bench.flat(100, 2)
    assert of(m.Fill, bench.post(m.Flatten("c"))) == []
    (fill,) = of(m.Fill, bench.post(m.TapeEnded()))
    assert fill.synthetic
    assert bench.core.control.trading == "paused"


def test_a_strategy_cannot_fight_a_flatten(rig: Any, scripted: Scripted, of: Of) -> None:
    """It cancels what it hears of and buys back what was sold."""
    strategy = scripted(
        {0: lambda s: s.buy(3)},
        on_order=lambda s, update: s.cancel(update.ref) if update.ref < 0 else None,
        on_fill=lambda s, e: s.buy(5) if e.quantity < 0 else None,
    )
    bench = rig(strategy)
    bench.flat(100, 2)
    bench.post(m.Flatten("c"))
    said = bench.flat(100)
    assert [veto.reason for veto in of(m.RiskVeto, said)] == ["trading is paused"], (
        "flat is known before the fill is told"
    )
    assert bench.core.control.trading == "paused"
    assert bench.core.ledger.holdings["a", "X"].quantity_lots == 0


def test_a_stop_withdraws_all_orders_and_leaves_positions(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rig(scripted({0: lambda s: s.buy(3), 1: lambda s: (s.buy(1, limit=50), s.sell(3, stop=60))}))
    bench.flat(100, 2)
    said = bench.post(m.Stop("c"))
    assert [event.ref for event in of(m.Cancelled, said)] == [2, 3]
    assert bench.core.control.trading == "stopping"
    assert bench.core.ledger.holdings["a", "X"].quantity_lots == 3


def test_a_command_that_comes_again_under_its_key_says_nothing(rig: Any, scripted: Scripted) -> None:
    bench = rig(scripted({}))
    assert names(bench.post(m.Pause("c1", "key"))) == ["TradingStateChanged"]
    bench.post(m.Resume("c2"))
    assert bench.post(m.Pause("c3", "key")) == []


# --- limits -----------------------------------------------------------------------------------------


def test_a_days_loss_halts_and_withdraws_and_needs_a_resume(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = rig(
        scripted({0: lambda s: (s.buy(10), s.buy(1, limit=50))}, every_bar=lambda s, _: s.buy(1, limit=40)),
        settings={"risk": {"max_daily_loss": 100}},
    )
    bench.flat(100, 2)
    said = bench.bar(85)
    assert [message.reason for message in of(m.Halt, said)] == ["daily loss limit 100 reached"]
    assert bench.core.control.trading == "halted"
    assert bench.core.execution.orders == {}
    assert of(m.OrderRequest, bench.flat(120, 3)) == [], "a recovery of the price does not lift it"
    bench.post(m.Resume("c"))
    assert of(m.OrderRequest, bench.flat(120)) != []


def test_equity_is_marked_for_others_only_where_a_limit_asks_for_it(rig: Any, scripted: Scripted) -> None:
    assert "EquityMark" not in names(rig(scripted({})).flat(100))


def test_a_timer_before_the_first_bar_may_wish_but_a_notional_limit_has_no_price_yet(rig: Any, of: Of) -> None:
    class Early(Strategy):
        def on_start(self) -> None:
            self.set_timer("now", 1)

        def on_timer(self, _: str, /) -> None:
            self.buy(1)

    bench = rig(Early(), settings={"risk": {"max_notional": 1_000}})
    (veto,) = of(m.RiskVeto, bench.flat(100))
    assert "no price is known yet" in veto.reason
    assert of(m.OrderRequest, rig(Early()).flat(100)) != []


# --- faults -----------------------------------------------------------------------------------------


def test_money_that_goes_missing_stops_the_core_by_name(rig: Any, scripted: Scripted) -> None:
    bench = rig(scripted({0: lambda s: s.buy(1)}))
    bench.flat(100)
    bench.core.ledger.cash_atoms -= 1
    with pytest.raises(CoreError, match=r"ledger failed on Fill .*money was not conserved"):
        bench.flat(100)


def test_a_strategy_that_answers_every_veto_is_a_livelock_that_names_it(rig: Any, scripted: Scripted) -> None:
    bench = rig(scripted({0: lambda s: s.buy(0.1)}, on_order=lambda s, _: s.buy(0.1)))
    with pytest.raises(LivelockError, match=r"strategy\.a") as caught:
        bench.flat(100)
    assert "risk" in str(caught.value)


# --- the start and the end of a session -------------------------------------------------------------


def test_a_session_goes_on_from_an_account(rig: Any, scripted: Scripted, of: Of) -> None:
    account = Account(500 * UNIT, [Holding("a", "X", 5, 400 * UNIT), Holding("b", "X", -2, -150 * UNIT)])
    bench = rig(scripted({0: lambda s: s.target(0)}), scripted({0: lambda s: s.target(-5)}), account=account)
    assert [actor.desk.position for actor in bench.core.strategies] == [5, -2]
    assert bench.core.ledger.equity_atoms == (500 + 400 - 150) * UNIT
    bench.flat(100)
    fills = of(m.Fill, bench.flat(100))
    assert [(fill.strategy, fill.side, fill.quantity_lots) for fill in fills] == [("a", -1, 5), ("b", -1, 3)]
    assert bench.core.ledger.holdings["a", "X"].realized_atoms == 100 * UNIT


def test_no_message_of_the_vocabulary_is_without_a_row_in_the_tables(rig: Any, scripted: Scripted) -> None:
    core = rig(scripted({})).core
    known = set(core._entries()) | set(core._subscribers())
    silent = {
        kind.__name__
        for kind in vars(m).values()
        if isinstance(kind, type) and issubclass(kind, m.Message) and kind not in known
    }
    assert silent == {"Message", "OrderEvent"}


def test_actors_are_named_in_the_order_of_the_flow(rig: Any, scripted: Scripted) -> None:
    assert rig(scripted({}), scripted({})).core.actor_names() == [
        "market",
        "ticks",
        "venue",
        "ledger",
        "features",
        "strategy.a",
        "strategy.b",
        "risk",
        "execution",
        "control",
    ]


def test_a_negative_zero_is_no_other_decision(rig: Any, scripted: Scripted) -> None:
    digests = []
    for zero in (0.0, -0.0):
        bench = rig(scripted({0: lambda s: s.buy(1), 2: lambda s, zero=zero: s.target(zero)}))
        bench.flat(100, 4)
        digests.append(bench.core.digest.value)
    assert digests[0] == digests[1]


def test_cash_of_many_small_orders_is_exact(rig: Any, scripted: Scripted) -> None:
    """Ten thousand fees of 0.1 % of 0.3, by hand."""
    strategy = scripted(every_bar=lambda s, _: (s.buy(0.1), s.sell(0.1)))
    bench = rig(strategy, tick="0.1", lot="0.1", cash="1")
    for _ in range(500):
        bench.flat(0.3)
    fills = 2 * 499
    assert bench.core.ledger.cash_atoms == UNIT - fills * int(Decimal("0.3") * Decimal("0.1") * UNIT // 1_000)
