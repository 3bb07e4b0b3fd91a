"""Exits of positions, worked through bar by bar: prices are ticks, quantities lots, fees nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.instrument import Instrument
from actors.plans import StrategyPlan, rests_alone
from strategies.base import Strategy

Of = Callable[[type[Any], list[m.Message]], list[Any]]
Scripted = Callable[..., Strategy]
FREE = {"venue": {"taker_fee": 0, "maker_fee": 0}}


def work(bench: Any) -> list[tuple[str, int, int, int]]:
    """Return what works at the venue: kind, signed lots that are open, price, and whether it only reduces."""
    return [
        (
            order.request.kind,
            order.request.side * (order.request.quantity_lots - order.filled_lots),
            order.request.stop_ticks or order.request.limit_ticks,
            order.request.reduce_only,
        )
        for order in bench.core.execution.orders.values()
    ]


def lots(bench: Any, strategy: str = "a", symbol: str = "X") -> int:
    held = bench.core.ledger.holdings.get((strategy, symbol))
    return 0 if held is None else held.quantity_lots


def bracketed(rig: Any, scripted: Scripted, *, side: int = 1, **exits: Any) -> Any:
    """Return a bench with a position of 10 lots from 100, opened at the open of the second bar."""
    plan = {0: lambda s: s.bracket(10 * side, **exits)}
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100, 2)
    assert lots(bench) == 10 * side
    return bench


# --- brackets ---------------------------------------------------------------------------------------


def test_a_bracket_opens_and_then_its_exits_rest(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, stop=95, take_profit=110)
    assert work(bench) == [("stop", -10, 95, True), ("limit", -10, 110, True)]
    bench.flat(100, 3)
    assert work(bench) == [("stop", -10, 95, True), ("limit", -10, 110, True)]


@pytest.mark.parametrize(
    ("bar", "price"), [((100, 111, 100, 105), 110), ((100, 101, 94, 96), 95), ((93, 93, 92, 92), 93)]
)
def test_whichever_exit_fills_the_other_is_withdrawn(
    rig: Any, scripted: Scripted, of: Of, bar: tuple[int, ...], price: int
) -> None:
    bench = bracketed(rig, scripted, stop=95, take_profit=110)
    said = bench.bar(*bar)
    assert [(fill.price_ticks, fill.quantity_lots) for fill in of(m.Fill, said)] == [(price, 10)]
    assert lots(bench) == 0
    assert work(bench) == []
    assert bench.core.strategies[0].desk.exits.plans == {}


def test_a_short_position_is_the_mirror_image(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, side=-1, stop=105, take_profit=90)
    assert work(bench) == [("stop", 10, 105, True), ("limit", 10, 90, True)]
    bench.bar(100, 106, 100, 104)
    assert (lots(bench), work(bench)) == (0, [])


def test_if_stop_and_profit_both_fit_the_stop_fills(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = bracketed(rig, scripted, stop=95, take_profit=110)
    said = bench.bar(100, 111, 94, 100)
    assert [fill.price_ticks for fill in of(m.Fill, said)] == [95]
    assert (lots(bench), work(bench)) == (0, [])


def test_a_stop_protects_from_the_entry_on_within_its_very_bar(rig: Any, scripted: Scripted, of: Of) -> None:
    """Open 101, up to 104, down to 94: bought at 98 on the way down, stopped at 95 further down."""
    bench = rig(scripted({0: lambda s: s.bracket(10, limit=98, stop=95)}), settings=FREE)
    bench.flat(101)
    said = bench.bar(101, 104, 94, 103)
    fills = of(m.Fill, said)
    assert [(fill.side, fill.price_ticks) for fill in fills] == [(1, 98), (-1, 95)]
    assert fills[0].executed_ns == fills[1].executed_ns == bench.now_ns - 20_000_000_000
    assert (lots(bench), work(bench)) == (0, [])


def test_but_not_on_what_came_before_the_entry(rig: Any, scripted: Scripted) -> None:
    """Open 101, down to 94, up to 103: bought at 102 by a stop order on the way up, which was after the low."""
    bench = rig(scripted({0: lambda s: s.bracket(10, trigger=102, stop=95)}), settings=FREE)
    bench.flat(101)
    bench.bar(101, 109, 94, 103)
    assert lots(bench) == 10
    assert work(bench) == [("stop", -10, 95, True)]


def test_with_latency_a_stop_protects_from_where_it_arrives(rig: Any, scripted: Scripted, of: Of) -> None:
    """Bought at 98 on the way to 97 at a third of the bar, at 20 s; 25 s later only the close is still to come."""
    late = {"venue": {"taker_fee": 0, "maker_fee": 0, "latency_ms": 25_000}}
    for close, price in ((105, None), (96, 96)):
        bench = rig(scripted({0: lambda s: s.bracket(10, limit=98, stop=97)}), settings=late)
        bench.flat(100, 2)
        said = bench.bar(100, 106, min(97, close), close)
        assert [fill.price_ticks for fill in of(m.Fill, said)] == [98] + ([] if price is None else [price])


def test_an_entry_that_never_fills_takes_its_exits_with_it(rig: Any, scripted: Scripted) -> None:
    refs: list[int] = []
    plan = {0: lambda s: refs.append(s.bracket(10, limit=90, stop=80)), 1: lambda s: s.cancel(refs[0])}
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100)
    assert work(bench) == [("limit", 10, 90, False)]
    bench.flat(100)
    assert work(bench) == []
    assert bench.core.strategies[0].desk.exits.plans == {}


@pytest.mark.parametrize(
    ("quantity", "terms", "reason"),
    [
        (10, {"stop": 100}, "a stop at 100.0 is not below 100.0"),
        (10, {"stop": 101}, "a stop at 101.0 is not below 100.0"),
        (-10, {"stop": 99}, "a stop at 99.0 is not above 100.0"),
        (10, {"take_profit": 100}, "a profit at 100.0 is not above 100.0"),
        (-10, {"take_profit": [(90, 0.5), (101, 0.5)]}, "a profit at 101.0 is not below 100.0"),
        (10, {"limit": 90, "stop": 95}, "a stop at 95.0 is not below 90.0"),
    ],
)
def test_a_bracket_whose_exits_make_no_sense_is_vetoed(
    rig: Any, scripted: Scripted, of: Of, quantity: float, terms: dict[str, Any], reason: str
) -> None:
    bench = rig(scripted({0: lambda s: s.bracket(quantity, **terms)}), settings=FREE)
    assert [veto.reason for veto in of(m.RiskVeto, bench.flat(100))] == [reason]
    assert work(bench) == []
    assert bench.core.strategies[0].desk.exits.plans == {}


def test_a_position_of_the_other_side_is_to_be_closed_first(rig: Any, scripted: Scripted, of: Of) -> None:
    plan = {0: lambda s: s.bracket(10, stop=90), 2: lambda s: s.bracket(-10, stop=110)}
    bench = rig(scripted(plan), settings=FREE)
    said = bench.flat(100, 3)
    assert [veto.reason for veto in of(m.RiskVeto, bench.ear.heard)] == ["the position is long: close it first"]
    assert said
    assert work(bench) == [("stop", -10, 90, True)]


# --- stops that move --------------------------------------------------------------------------------


def test_a_trailing_stop_follows_the_best_price_and_never_back(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, trail=5)
    assert work(bench) == [("stop", -10, 95, True)]
    for bar, stop in [((100, 104, 99, 103), 99), ((103, 103, 100, 101), 99), ((101, 108, 101, 108), 103)]:
        bench.bar(*bar)
        assert work(bench) == [("stop", -10, stop, True)]
    bench.bar(108, 108, 102, 102)
    assert (lots(bench), work(bench)) == (0, [])
    assert bench.core.ledger.cash_atoms == (1_000_000 + 30) * 10**8


def test_in_the_bar_of_the_entry_only_the_close_counts_for_the_best_price(rig: Any, scripted: Scripted) -> None:
    """Its high of 109 came before the entry at 98."""
    bench = rig(scripted({0: lambda s: s.bracket(10, limit=98, trail=5)}), settings=FREE)
    bench.flat(108)
    bench.bar(108, 109, 97, 99)
    assert work(bench) == [("stop", -10, 94, True)]


def test_a_trailing_stop_in_percent(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, trail_percent=5)
    bench.bar(100, 130, 100, 130)
    assert work(bench) == [("stop", -10, 123, True)]  # 123.5, at the later tick
    bench = bracketed(rig, scripted, side=-1, trail_percent=5)
    bench.bar(100, 100, 90, 90)
    assert work(bench) == [("stop", 10, 95, True)]  # 94.5, likewise


def test_a_distance_that_changes_only_brings_the_stop_nearer(rig: Any, scripted: Scripted) -> None:
    """As with a multiple of the ATR, given anew with every bar."""
    distances = iter([10, 10, 4, 20, 3])
    bench = rig(
        scripted({0: lambda s: s.bracket(10, stop=90)}, every_bar=lambda s, _: s.trail(next(distances))), settings=FREE
    )
    stops = []
    for _ in range(5):
        bench.flat(100)
        stops += [price for kind, _, price, _ in work(bench) if kind == "stop"]
    assert stops == [90, 96, 96, 97]


def test_break_even_moves_the_stop_to_the_cost_once(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, stop=90, break_even=8, break_even_offset=1)
    bench.bar(100, 107, 100, 107)
    assert work(bench) == [("stop", -10, 90, True)]
    bench.bar(107, 108, 107, 107)
    assert work(bench) == [("stop", -10, 101, True)]
    bench.bar(107, 120, 107, 120)
    assert work(bench) == [("stop", -10, 101, True)]


def test_the_cost_of_several_entries_is_their_average_to_the_safe_side(rig: Any, scripted: Scripted) -> None:
    """Two at 100, one at 97: 99 exactly. One more at 98: 98.75, and the stop at 99."""
    plan = {
        0: lambda s: s.bracket(2, stop=90, break_even=5),
        1: lambda s: s.buy(1, limit=97),
        3: lambda s: s.buy(1, limit=98),
    }
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100, 2)
    bench.bar(100, 100, 96, 100)
    assert work(bench) == [("stop", -3, 90, True)]
    bench.flat(100)
    bench.bar(100, 100, 97, 100)
    bench.bar(100, 104, 100, 104)
    assert work(bench) == [("stop", -4, 99, True)]


def test_a_stop_the_market_has_passed_already_closes_the_position(rig: Any, scripted: Scripted, of: Of) -> None:
    plan = {0: lambda s: s.bracket(10), 2: lambda s: s.protect(stop=101)}
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100, 3)
    assert work(bench) == [("market", -10, 0, True)]
    bench.flat(100)
    assert (lots(bench), work(bench)) == (0, [])


@pytest.mark.parametrize(("bars", "left"), [(1, 2), (3, 4)])
def test_a_time_stop_in_bars_counts_those_that_opened_after_the_entry(
    rig: Any, scripted: Scripted, bars: int, left: int
) -> None:
    bench = rig(scripted({0: lambda s: s.bracket(10, stop=90, time_stop_bars=bars)}), settings=FREE)
    bench.flat(100, left)
    assert lots(bench) == 10
    bench.flat(100)
    assert (lots(bench), work(bench)) == (0, [])


def test_a_time_stop_in_seconds_comes_by_a_timer(rig: Any, scripted: Scripted, of: Of) -> None:
    """Opened at the open of the second bar, and over 90 s later, in the middle of the third."""
    bench = bracketed(rig, scripted, stop=90, time_stop_s=90)
    assert bench.core.context.timers.dump()[0] == ("exits.a", "X", bench.now_ns + 30_000_000_000)
    (fill,) = of(m.Fill, bench.flat(100))
    assert fill.executed_ns == bench.now_ns - 20_000_000_000
    assert (lots(bench), work(bench)) == (0, [])
    assert bench.core.context.timers.find("exits.a", "X") is None


# --- scaling ----------------------------------------------------------------------------------------


def test_scaling_out_closes_a_rung_at_a_time_and_the_stop_follows(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, stop=95, take_profit=[(105, 0.25), (110, 0.5), (120, 0.25)])
    assert work(bench) == [
        ("stop", -10, 95, True), ("limit", -2, 105, True), ("limit", -5, 110, True), ("limit", -3, 120, True),
    ]  # fmt: skip
    bench.bar(100, 106, 100, 106)
    assert (lots(bench), work(bench)) == (
        8, [("limit", -5, 110, True), ("limit", -3, 120, True), ("stop", -8, 95, True)],
    )  # fmt: skip
    bench.bar(106, 111, 94, 94)
    assert (lots(bench), work(bench)) == (0, [])


def test_rungs_that_are_less_than_the_whole_leave_the_rest_to_the_stop(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, stop=95, take_profit=[(105, 0.3)])
    bench.bar(100, 106, 100, 106)
    assert (lots(bench), work(bench)) == (7, [("stop", -7, 95, True)])


def test_scaling_in_enlarges_the_exits(rig: Any, scripted: Scripted) -> None:
    refs: list[int] = []
    plan = {0: lambda s: refs.extend(s.scale_in([(99, 2), (97, 3), (90, 5)], stop=85, take_profit=110))}
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100)
    bench.bar(100, 100, 98, 98)
    assert work(bench)[2:] == [("stop", -2, 85, True), ("limit", -2, 110, True)]
    bench.bar(98, 98, 96, 98)
    assert sorted(work(bench)) == [("limit", -5, 110, True), ("limit", 5, 90, False), ("stop", -5, 85, True)]
    bench.bar(98, 112, 98, 110)
    assert (lots(bench), work(bench)) == (0, [])  # what was left of the entries, too
    assert len(set(refs)) == 3


def test_a_second_bracket_enlarges_the_position_and_its_terms_hold_for_all_of_it(rig: Any, scripted: Scripted) -> None:
    plan = {0: lambda s: s.bracket(4, stop=90, take_profit=120), 2: lambda s: s.bracket(6, stop=95)}
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100, 4)
    assert sorted(work(bench)) == [("limit", -10, 120, True), ("stop", -10, 95, True)]


def test_a_share_can_be_closed_at_once(rig: Any, scripted: Scripted) -> None:
    plan = {0: lambda s: s.bracket(10, stop=90), 2: lambda s: s.scale_out(0.45)}
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100, 4)
    assert (lots(bench), work(bench)) == (6, [("stop", -6, 90, True)])


def test_all_of_it_can_be_closed_at_once(rig: Any, scripted: Scripted) -> None:
    plan = {0: lambda s: s.scale_in([(101, 10), (80, 5)], stop=70, take_profit=120), 2: lambda s: s.close()}
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100, 4)
    assert (lots(bench), work(bench)) == (0, [])


# --- a strategy that trades by itself ----------------------------------------------------------------


def test_exits_follow_a_position_whoever_changes_it(rig: Any, scripted: Scripted) -> None:
    plan = {
        0: lambda s: s.buy(10),
        1: lambda s: s.protect(stop=90, take_profit=110),
        2: lambda s: s.sell(4),
        3: lambda s: s.buy(8),
        4: lambda s: s.target(0),
    }
    bench = rig(scripted(plan), settings=FREE)
    sizes = []
    for _ in range(6):
        bench.flat(100)
        sizes.append([open_lots for kind, open_lots, _, _ in work(bench) if kind in ("stop", "limit")])
    assert sizes == [[], [-10, -10], [-10, -10], [-6, -6], [-14, -14], []]


def test_a_position_that_turns_loses_its_exits(rig: Any, scripted: Scripted) -> None:
    plan = {0: lambda s: s.bracket(10, stop=90, take_profit=110), 2: lambda s: s.sell(15)}
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100, 4)
    assert (lots(bench), work(bench)) == (-5, [])


def test_there_is_nothing_to_protect_where_nothing_is_held(rig: Any, scripted: Scripted) -> None:
    answers: list[bool] = []

    def act(strategy: Any) -> None:
        answers.extend(
            [strategy.protect(stop=90), strategy.trail(5), strategy.scale_out(1), strategy.close(), strategy.release()]
        )

    bench = rig(scripted({0: act}), settings=FREE)
    bench.flat(100, 2)
    assert answers == [False] * 5
    assert not bench.core.strategies[0].heeds


def test_a_position_can_be_released(rig: Any, scripted: Scripted) -> None:
    plan = {0: lambda s: s.bracket(10, stop=90, take_profit=110), 2: lambda s: s.release()}
    bench = rig(scripted(plan), settings=FREE)
    bench.flat(100, 4)
    assert (lots(bench), work(bench)) == (10, [])
    assert bench.core.strategies[0].desk.exits.plans == {}


# --- one cancels the other ----------------------------------------------------------------------------


def test_of_two_linked_orders_only_one_fills_even_within_one_bar(rig: Any, scripted: Scripted, of: Of) -> None:
    def act(strategy: Any) -> None:
        strategy.oco(strategy.buy(5, stop=105), strategy.sell(5, stop=95))

    bench = rig(scripted({0: act}), settings=FREE)
    bench.flat(100)
    said = bench.bar(100, 106, 94, 100)
    assert [(fill.side, fill.price_ticks) for fill in of(m.Fill, said)] == [(-1, 95)]
    assert [end.reason for end in of(m.Cancelled, said)] == ["one cancels the other"]
    assert (lots(bench), work(bench)) == (-5, [])
    assert bench.core.strategies[0].desk.exits.links == []


def test_one_that_is_withdrawn_leaves_the_other_alone(rig: Any, scripted: Scripted) -> None:
    refs: list[int] = []

    def act(strategy: Any) -> None:
        refs.extend([strategy.buy(5, stop=105), strategy.sell(5, stop=95)])
        strategy.oco(*refs)

    bench = rig(scripted({0: act, 1: lambda s: s.cancel(refs[0])}), settings=FREE)
    bench.flat(100, 2)
    bench.bar(100, 106, 94, 100)
    assert (lots(bench), work(bench)) == (-5, [])
    assert bench.core.strategies[0].desk.exits.links == []


# --- spot: one exit for each lot ------------------------------------------------------------------------


def spot(rig: Any, scripted: Scripted, plan: dict[int, Any], **values: Any) -> Any:
    """Return a bench whose venue sells nothing that is not held, and knows no reduce-only."""
    bench = rig(scripted(plan), settings=FREE, long_only=True, **values)
    bench.flat(100, 2)
    return bench


def test_on_spot_the_stop_rests_and_profits_are_taken_when_they_are_reached(
    rig: Any, scripted: Scripted, of: Of
) -> None:
    bench = spot(rig, scripted, {0: lambda s: s.bracket(10, stop=95, take_profit=[(105, 0.4), (110, 0.6)])})
    assert work(bench) == [("stop", -10, 95, True)]
    bench.bar(100, 105, 100, 104)
    assert sorted(work(bench)) == [("market", -4, 0, True), ("stop", -6, 95, True)]
    bench.bar(104, 104, 103, 103)
    assert (lots(bench), work(bench)) == (6, [("stop", -6, 95, True)])
    bench.bar(103, 112, 103, 112)
    assert work(bench) == [("market", -6, 0, True)]
    bench.flat(112)
    assert (lots(bench), work(bench)) == (0, [])


def test_on_spot_closing_withdraws_the_stop_first(rig: Any, scripted: Scripted) -> None:
    bench = spot(rig, scripted, {0: lambda s: s.bracket(10, stop=95), 2: lambda s: s.close()})
    bench.flat(100)
    assert work(bench) == [("market", -10, 0, True)]
    bench.flat(100)
    assert (lots(bench), work(bench)) == (0, [])


def test_on_spot_profits_without_a_stop_rest(rig: Any, scripted: Scripted) -> None:
    bench = spot(rig, scripted, {0: lambda s: s.bracket(10, take_profit=[(105, 0.5), (110, 0.5)])})
    assert work(bench) == [("limit", -5, 105, True), ("limit", -5, 110, True)]


def test_what_is_too_small_to_sell_is_left_alone(rig: Any, scripted: Scripted, of: Of) -> None:
    bench = spot(rig, scripted, {0: lambda s: s.bracket(10, take_profit=[(105, 0.9)], stop=90)}, min_notional="200")
    bench.bar(100, 106, 100, 106)
    said = bench.flat(106, 3)
    assert lots(bench) == 1
    assert work(bench) == []
    assert of(m.RiskVeto, said) == []
    assert bench.core.strategies[0].desk.exits.plans == {}


# --- several strategies on one account --------------------------------------------------------------------


def test_two_strategies_hold_brackets_in_opposite_directions_each_in_its_own_book(
    rig: Any, scripted: Scripted, of: Of
) -> None:
    """The account is net 4 long; each book has exits of its own, and pays and earns by itself."""
    bench = rig(
        scripted({0: lambda s: s.bracket(10, stop=95, take_profit=110)}),
        scripted({0: lambda s: s.bracket(-6, stop=108, take_profit=90)}),
        settings=FREE,
    )
    bench.flat(100, 2)
    assert (lots(bench, "a"), lots(bench, "b")) == (10, -6)
    assert sorted(work(bench)) == [
        ("limit", -10, 110, True), ("limit", 6, 90, True), ("stop", -10, 95, True), ("stop", 6, 108, True),
    ]  # fmt: skip
    said = bench.bar(100, 111, 100, 111)
    assert [(fill.strategy, fill.price_ticks) for fill in of(m.Fill, said)] == [("b", 108), ("a", 110)]
    books = bench.core.ledger.holdings
    assert [books[name, "X"].realized_atoms for name in "ab"] == [100 * 10**8, -48 * 10**8]
    assert (lots(bench, "a"), lots(bench, "b"), work(bench)) == (0, 0, [])
    assert bench.core.ledger.cash_atoms == (1_000_000 + 52) * 10**8


@pytest.mark.parametrize(
    ("real", "long_only", "names", "alone"),
    [(False, False, "ab", False), (True, False, "a", False), (True, False, "ab", True), (False, True, "a", True)],
)
def test_only_one_exit_rests_where_a_venue_could_fill_two(
    units: Any, real: bool, long_only: bool, names: str, alone: bool
) -> None:
    """At a real venue a contract of several books is told no reduce-only; spot knows none."""
    instrument = Instrument(msgspec.structs.replace(units.spec, long_only=long_only, contract=not long_only))
    plan = StrategyPlan("a", "X", 60, None, None)  # type: ignore[arg-type]
    found = rests_alone(plan, {"X": instrument}, {(name, "X"): 0 for name in names}, real=real)
    assert found == ({"X"} if alone else set())


# --- trading states, failures, restarts -----------------------------------------------------------------


def test_a_pause_leaves_exits_alone_and_they_go_on_following(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, trail=5, take_profit=120)
    bench.post(m.Pause("c"))
    bench.bar(100, 107, 100, 107)
    assert sorted(work(bench)) == [("limit", -10, 120, True), ("stop", -10, 102, True)]


def test_a_halt_withdraws_them_and_afterwards_they_are_back(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, trail=5, take_profit=120)
    bench.post(m.Halt("test"))
    assert work(bench) == []
    bench.bar(100, 107, 100, 107)
    assert work(bench) == []
    bench.post(m.Resume("c"))
    assert sorted(work(bench)) == [("limit", -10, 120, True), ("stop", -10, 102, True)]


def test_a_flatten_ends_them(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, stop=90, take_profit=120)
    bench.post(m.Flatten("c"))
    bench.flat(100)
    assert (lots(bench), work(bench)) == (0, [])
    assert bench.core.strategies[0].desk.exits.plans == {}


def test_a_stop_ends_the_session_without_exits_of_ours_at_the_venue(rig: Any, scripted: Scripted) -> None:
    bench = bracketed(rig, scripted, stop=90, take_profit=120)
    bench.post(m.Stop("c"))
    bench.flat(100, 2)
    assert (lots(bench), work(bench)) == (10, [])


def test_a_strategy_that_fails_on_its_fill_has_its_exits_all_the_same(rig: Any, scripted: Scripted) -> None:
    def fail(*_: Any) -> None:
        raise ValueError

    bench = rig(scripted({0: lambda s: s.bracket(10, stop=90, take_profit=120)}, on_fill=fail), settings=FREE)
    bench.flat(100, 2)
    assert len(bench.core.scheduler.dead_letters.letters) == 1
    assert work(bench) == [("stop", -10, 90, True), ("limit", -10, 120, True)]


def test_exits_survive_a_restart_between_any_two_bars(rig: Any, scripted: Scripted) -> None:
    def make() -> Any:
        plan = {
            0: lambda s: s.bracket(10, stop=90, trail=6, take_profit=[(104, 0.3), (115, 0.7)], time_stop_s=400),
            2: lambda s: s.oco(s.buy(2, stop=140), s.sell(2, limit=141)),
            4: lambda s: s.bracket(5, limit=99),
        }
        return rig(scripted(plan), settings=FREE)

    bars = [(100,), (100,), (100, 105, 100, 103), (103, 108, 102, 105), (105, 105, 103, 104), (104, 104, 98, 104),
            (104, 109, 104, 109), (109, 109, 100, 101), (101,), (101,)]  # fmt: skip
    whole = make()
    for bar in bars:
        whole.bar(*bar)
    for cut in range(1, len(bars)):
        first, second = make(), make()
        for bar in bars[:cut]:
            first.bar(*bar)
        second.restore(first.snapshot())
        assert second.snapshot() == first.snapshot(), cut
        second.opens_ns = dict(first.opens_ns)
        for bar in bars[cut:]:
            second.bar(*bar)
        assert second.core.digest.value == whole.core.digest.value, cut
        assert second.snapshot() == whole.snapshot(), cut


def test_a_strategy_that_fails_twice_has_the_exits_it_would_have(rig: Any, scripted: Scripted) -> None:
    """What it did after its first failure, at the price of the bar it failed on, is told again with that price."""

    def fail(_: Any, bar: m.Bar) -> None:
        if bar.open in (96, 95):
            raise ValueError("poison")

    def on_fill(strategy: Any, _: Any) -> None:
        strategy.protect(stop=90)
        strategy.bracket(1, take_profit=98)

    bench = rig(scripted({0: lambda s: s.buy(1, limit=94)}, every_bar=fail, on_fill=on_fill), settings=FREE)
    bench.flat(100)
    bench.flat(96)
    bench.bar(97, 97, 93, 97)
    assert len(work(bench)) == 3
    bench.flat(95)
    assert len(bench.core.scheduler.dead_letters.letters) == 2
    (plan,) = bench.core.strategies[0].desk.exits.plans.values()
    requests = [order.request for order in bench.core.execution.orders.values()]
    assert sorted(leg.ref for leg in plan.legs) == sorted(each.ref for each in requests if each.reduce_only)
    assert plan.entries == [each.ref for each in requests if not each.reduce_only]


class Touchy(Strategy):
    """Keeps brackets, and cannot stand one of its messages: it fails on it, or looks away."""

    poison: tuple[Any, ...] | None = None
    raises: bool = True

    def spoiled(self, *key: Any) -> bool:
        if key == self.poison and self.raises:
            raise ValueError("poison")
        return key == self.poison

    def on_bar(self, bar: m.Bar, _: Any, /) -> None:
        if not self.spoiled("bar", bar.close_ns):
            if bar.close % 3 == 0:
                self.bracket(4, stop=bar.close - 4, take_profit=[(bar.close + 2, 0.5)], trail=3, time_stop_bars=5)
            elif bar.close % 4 == 0:
                self.oco(self.buy(1, limit=bar.close - 3), self.sell(1, limit=bar.close + 3))
            elif bar.close % 5 == 0:
                self.scale_out(0.5)

    def on_fill(self, execution: Any, /) -> None:
        if not self.spoiled("fill", self.now_ns, execution.ref) and execution.ref % 3 == 0:
            self.trail(2)

    def on_order(self, update: Any, /) -> None:
        if not self.spoiled("order", self.now_ns, update.ref, update.state) and update.state == "cancelled":
            self.protect(stop=self.price_of("X") - 6)


PATH = [100, 102, 99, 101, 104, 105, 103, 108, 110, 107, 104, 105, 102, 99, 96, 97, 100, 104, 108, 111, 109, 105]


def touched(rig: Any, poison: tuple[Any, ...] | None, checkpoint: int, *, raises: bool) -> Any:
    limits = {"supervision": {"checkpoint_inputs": checkpoint}}
    bench = rig(Touchy(poison=poison, raises=raises), settings={**FREE, **limits})
    for before, price in zip([PATH[0], *PATH], PATH, strict=False):
        bench.bar(before, max(before, price) + 1, min(before, price) - 1, price)
    return bench


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", [1, 3, 1_000])
def test_a_strategy_that_fails_on_any_message_has_the_exits_it_would_have(rig: Any, checkpoint: int) -> None:
    """Every message in turn: the same decisions and state as one that looks away."""
    heard: list[tuple[Any, ...]] = []
    kind = type(Strategy)("Notes", (Touchy,), {"spoiled": lambda _, *key: heard.append(key)})
    bench = rig(kind(), settings=FREE)
    for before, price in zip([PATH[0], *PATH], PATH, strict=False):
        bench.bar(before, max(before, price) + 1, min(before, price) - 1, price)
    assert {key[0] for key in heard} == {"bar", "fill", "order"}
    once = [key for key in heard if heard.count(key) == 1]  # an order may fill in parts
    assert len(once) > 60
    for poison in once:
        failed, looked_away = (touched(rig, poison, checkpoint, raises=raises) for raises in (True, False))
        assert len(failed.core.scheduler.dead_letters.letters) == 1
        assert failed.core.digest.value == looked_away.core.digest.value, poison
        exits = [one.core.strategies[0].desk.exits.dump() for one in (failed, looked_away)]
        assert exits[0] == exits[1], poison
        assert failed.core.context.timers.dump() == looked_away.core.context.timers.dump(), poison


# --- mistakes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda s: s.bracket(0), "quantity must be a number other than 0, not 0"),
        (lambda s: s.bracket(float("nan")), "quantity must be a number other than 0, not nan"),
        (lambda s: s.bracket(1, stop=-1), "stop must be a positive number, not -1"),
        (lambda s: s.bracket(1, trail=float("nan")), "trail must be a positive number, not nan"),
        (lambda s: s.bracket(1, trail_percent=100), "trail_percent must be above 0 and below 100, not 100"),
        (lambda s: s.bracket(1, trail=1, trail_percent=1), "give trail or trail_percent, not both"),
        (lambda s: s.bracket(1, take_profit=[(9, 0.7), (10, 0.4)]), "take_profit: the shares must add up to 1 at most"),
        (lambda s: s.bracket(1, take_profit=[]), "take_profit: the shares must add up to 1 at most, not 0"),
        (lambda s: s.bracket(1, break_even_offset=-1), "break_even_offset must be a number of at least 0, not -1"),
        (lambda s: s.bracket(1, time_stop_bars=0), "time_stop_bars must be at least 1, not 0"),
        (lambda s: s.bracket(1, trigger=0), "trigger must be a positive number, not 0"),
        (lambda s: s.bracket(1, post_only=True), "post_only needs a limit order"),
        (lambda s: s.scale_in([]), "scale_in: give rungs of (limit, quantity), all quantities of one sign"),
        (lambda s: s.scale_in([(9, 1), (8, -1)]), "scale_in: give rungs of (limit, quantity), all quantities of one"),
        (lambda s: s.trail(), "trail: give a distance, or a percentage"),
        (lambda s: s.scale_out(1.5), "scale_out(1.5): the share must be above 0 and at most 1"),
        (lambda s: s.oco(1, 1), "oco(1, 1): name two orders at least"),
        (lambda s: s.bracket(1, stp=5), "_terms() got an unexpected keyword argument 'stp'"),
    ],
)
def test_a_mistake_is_named(rig: Any, scripted: Scripted, act: Any, words: str) -> None:
    bench = rig(scripted({0: act}))
    bench.flat(100)
    (letter,) = bench.core.scheduler.dead_letters.letters
    assert letter.error.partition(": ")[2].startswith(words)
