"""Contracts on margin at the simulated venue: what is taken, what is set aside, what is closed, and what that costs."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from actors import messages as m
from actors.execution.margin_account import MarginView, contract_terms
from actors.ledger import Account, Holding
from config.load import check_settings

UNIT = 10**8
MINUTE = 60_000_000_000
POOR = "Margin is insufficient."
FLAT = [{"above": 0, "leverage": 100, "rate": Decimal("0.004")}]


@pytest.fixture
def bench(rig: Any) -> Any:
    """Return a maker of benches: 1,000 in cash, leverage 10, a maintenance rate of 0.4%, and no fees unless given."""

    def make(*strategies: Any, cash: str = "1000", **terms: Any) -> Any:
        venue = {"leverage": 10, "taker_fee": 0, "maker_fee": 0, "liquidation_fee": 0, "tiers": FLAT}
        rest = {name: terms.pop(name) for name in ("symbols", "account", "spot", "ticks") if name in terms}
        settings = {"venue": venue | {name: _exact(value) for name, value in terms.items()}}
        return rig(*strategies, settings=settings, contract=True, cash=cash, **rest)

    return make


def _exact(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value


def target(lots: float, scripted: Any, **hears: Any) -> Any:
    """Return a strategy that takes a position on the first bar."""
    return scripted({0: lambda strategy: strategy.target(lots)}, **hears)


def margin(bench: Any) -> MarginView:
    """Return how the account stands."""
    view: MarginView = bench.core.margin.account.view()
    return view


def conserve(bench: Any) -> None:
    """Assert that the venue and the ledger know the same money, and that none is lost."""
    ledger = bench.core.ledger
    bench.core.margin.account.check()
    earned = sum(
        held.realized_atoms - held.fees_atoms + held.funding_atoms - held.liquidation_fees_atoms + held.insured_atoms
        for held in ledger.holdings.values()
    )
    cost = sum(held.cost_atoms for held in ledger.holdings.values())
    assert ledger.cash_atoms + cost == ledger.start_atoms + earned
    mark = margin(bench)
    assert mark.balance_atoms == ledger.equity_atoms


# --- what is taken ------------------------------------------------------------------------------------------


def test_an_order_the_account_cannot_margin_is_rejected(bench: Any, scripted: Any, of: Any) -> None:
    heard: list[Any] = []
    strategy = target(101, scripted, on_order=lambda _, update: heard.append((update.state, update.reason)))
    desk = bench(strategy)
    (rejected,) = of(m.Rejected, desk.flat(100))
    assert rejected.reason == POOR
    assert heard == [("rejected", POOR)]
    assert of(m.Fill, desk.flat(100)) == []


def test_the_largest_order_is_the_one_there_is_margin_for(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(target(100, scripted))
    assert of(m.Rejected, desk.flat(100)) == []
    assert margin(desk).initial_atoms == 1_000 * UNIT
    assert margin(desk).available_atoms == 0
    (fill,) = of(m.Fill, desk.flat(100))
    assert fill.quantity_lots == 100
    (position,) = margin(desk).positions
    assert (position.initial_atoms, position.leverage, position.isolated) == (1_000 * UNIT, 10, False)


def test_profit_of_a_cross_position_is_there_for_orders_and_loss_is_not(bench: Any, scripted: Any) -> None:
    desk = bench(target(50, scripted))
    desk.flat(100, 2)
    desk.flat(110)
    mark = margin(desk)
    assert (mark.wallet_atoms, mark.balance_atoms) == (1_000 * UNIT, 1_500 * UNIT)
    assert mark.available_atoms == (1_500 - 550) * UNIT
    desk.flat(90)
    assert margin(desk).available_atoms == (500 - 450) * UNIT


def test_what_makes_nothing_larger_needs_no_margin(bench: Any, scripted: Any, of: Any) -> None:
    strategy = scripted({0: lambda s: s.target(100), 2: lambda s: s.sell(100, limit=150.0), 3: lambda s: s.sell(60)})
    desk = bench(strategy)
    desk.flat(100, 2)
    assert of(m.Accepted, desk.flat(99)) != []
    assert margin(desk).available_atoms == 0
    (rejected,) = of(m.Rejected, desk.flat(99))
    assert rejected.reason == POOR, "with the open sell it would turn the position over"


def test_an_open_loss_is_part_of_what_an_order_costs(bench: Any, scripted: Any, of: Any) -> None:
    """A buy above the mark: 100 at 101 cost 1,010 / 10, and have lost 100 at once."""
    desk = bench(scripted({0: lambda s: s.buy(10, limit=101.0)}), cash="110.99999999")
    (rejected,) = of(m.Rejected, desk.flat(100))
    assert rejected.reason == POOR
    desk = bench(scripted({0: lambda s: s.buy(10, limit=101.0)}), cash="111")
    assert of(m.Rejected, desk.flat(100)) == []


def test_a_position_beyond_what_its_leverage_allows_is_rejected(bench: Any, scripted: Any, of: Any) -> None:
    tiers = [*FLAT, {"above": 5_000, "leverage": 5, "rate": Decimal("0.01")}]
    desk = bench(target(51, scripted), tiers=tiers)
    (rejected,) = of(m.Rejected, desk.flat(100))
    assert rejected.reason == "Exceeded the maximum allowable position at current leverage."
    desk = bench(target(50, scripted), tiers=tiers)
    assert of(m.Rejected, desk.flat(100)) == []


def test_a_stop_is_asked_for_margin_when_it_is_met(bench: Any, scripted: Any, of: Any) -> None:
    strategy = scripted({0: lambda s: s.buy(200, stop=110.0), 1: lambda s: s.target(50)})
    desk = bench(strategy)
    assert of(m.Rejected, desk.flat(100)) == []
    assert margin(desk).initial_atoms == 0
    desk.flat(100, 2)
    said = desk.bar(100, high=111, close=105)
    (rejected,) = of(m.Rejected, said)
    assert (rejected.order_id, rejected.reason) == ("pbt1", POOR)
    assert of(m.Fill, said) == []
    assert desk.core.execution.orders == {}


@pytest.mark.parametrize("low", [110.0, 109.0])
def test_a_stop_limit_is_asked_when_its_trigger_is_met_whether_or_not_it_fills(
    bench: Any, scripted: Any, of: Any, low: float
) -> None:
    desk = bench(scripted({0: lambda s: s.buy(200, stop=110.0, limit=109.0)}))
    desk.flat(105)
    (rejected,) = of(m.Rejected, desk.bar(105, high=111, low=105, close=low))
    assert rejected.reason == POOR


def test_an_amend_is_asked_for_what_it_adds(bench: Any, scripted: Any, of: Any) -> None:
    plan = {
        0: lambda s: s.buy(60, limit=90.0),
        1: lambda s: s.amend(1, quantity=120),
        2: lambda s: s.amend(1, quantity=110),
    }
    desk = bench(scripted(plan))
    desk.flat(100)
    assert margin(desk).initial_atoms == 540 * UNIT
    (refused,) = of(m.AmendRejected, desk.flat(100))
    assert refused.reason == POOR
    assert margin(desk).initial_atoms == 540 * UNIT
    assert of(m.Amended, desk.flat(100)) != []
    assert margin(desk).initial_atoms == 990 * UNIT


def test_an_exit_of_the_only_book_needs_no_margin_and_one_that_uncovers_another_does(
    bench: Any, scripted: Any, of: Any
) -> None:
    """Short 100 of one book hedges 190 long of another: closing it alone would take what is not there."""
    short = scripted({0: lambda s: s.target(-95), 3: lambda s: s.buy(95, reduce_only=True)})
    long = scripted({1: lambda s: s.target(190)})
    desk = bench(short, long)
    assert of(m.Rejected, desk.flat(100, 3)) == []
    (rejected,) = of(m.Rejected, desk.flat(100))
    assert (rejected.strategy, rejected.reason) == ("a", POOR)


# --- what is closed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lots", "entry", "met"), [(50, 100, 80), (-50, 100, 120)])
@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_a_position_is_closed_where_the_path_first_uses_its_margin_up(
    bench: Any, scripted: Any, of: Any, lots: int, entry: int, met: int, mode: str
) -> None:
    """Cash 1,000, or set aside for it; value x 0.4% is what must be left."""
    desk = bench(target(lots, scripted), margin_mode=mode, cash="1000", leverage=5 if mode == "isolated" else 10)
    desk.flat(entry, 2)
    (position,) = margin(desk).positions
    assert position.liquidation_ticks == met
    step = 1 if lots > 0 else -1
    assert of(m.Liquidated, desk.bar(entry, high=max(entry, met + step), low=min(entry, met + step))) == []
    said = desk.bar(entry, high=max(entry, met - 5 * step), low=min(entry, met - 5 * step), close=entry)
    (closed,) = of(m.Liquidated, said)
    side = m.SELL if lots > 0 else m.BUY
    assert (closed.price_ticks, closed.quantity_lots, closed.side) == (met, abs(lots), side)
    left = (1_000 - abs(lots) * abs(met - entry)) * UNIT
    assert desk.core.ledger.cash_atoms == desk.core.ledger.equity_atoms == left
    assert margin(desk).positions == ()
    conserve(desk)


def test_the_strategy_is_told_in_words_and_its_orders_are_withdrawn(bench: Any, scripted: Any, of: Any) -> None:
    fills: list[Any] = []
    updates: list[Any] = []
    strategy = scripted(
        {0: lambda s: s.target(50), 1: lambda s: s.sell(50, limit=130.0)},
        on_fill=lambda _, execution: fills.append(execution),
        on_order=lambda _, update: updates.append(update),
    )
    desk = bench(strategy, taker_fee=0.001, liquidation_fee=0.0125)
    desk.flat(100, 2)
    desk.bar(100, low=70, close=90)
    told = fills[-1]
    assert (told.ref, told.price, told.quantity, told.done) == (0, 80.0, -50.0, True)
    words = "liquidated: the margin is -5, the maintenance margin 16"
    assert told.forced == updates[-1].reason == words
    assert (updates[-1].ref, updates[-1].state) == (2, "cancelled")
    assert desk.core.execution.orders == {}
    assert fills[0].forced == ""


def test_fees_of_a_liquidation_take_what_is_left_and_the_fund_pays_what_is_missing(
    bench: Any, scripted: Any, of: Any
) -> None:
    desk = bench(target(50, scripted), taker_fee=0.001, liquidation_fee=0.0025, cash="1005")
    desk.flat(100, 2)
    (closed,) = of(m.Liquidated, desk.bar(100, low=70, close=90))
    assert closed.price_ticks == 80
    assert closed.fee_atoms == 4 * UNIT
    left = 1_005 - 5 - 50 * 20 - 4
    assert left < 0
    assert (closed.liquidation_fee_atoms, closed.insured_atoms) == (0, -left * UNIT)
    assert desk.core.ledger.cash_atoms == 0
    conserve(desk)
    desk = bench(target(50, scripted), taker_fee=0.001, liquidation_fee=0.0025, cash="1018")
    desk.flat(100, 2)
    (closed,) = of(m.Liquidated, desk.bar(100, low=70, close=90))
    assert (closed.price_ticks, closed.fee_atoms) == (80, 4 * UNIT)
    assert (closed.liquidation_fee_atoms, closed.insured_atoms) == (9 * UNIT, 0), "10 is the fee, 9 is left"
    assert desk.core.ledger.cash_atoms == 0
    conserve(desk)


def test_a_gap_closes_at_the_open_and_the_insurance_fund_pays_the_rest(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(target(50, scripted), taker_fee=0.001)
    desk.flat(100, 2)
    (closed,) = of(m.Liquidated, desk.bar(60, high=99, close=90))
    assert (closed.price_ticks, closed.fee_atoms) == (60, 3 * UNIT)
    assert closed.insured_atoms == (2_000 + 5 + 3 - 1_000) * UNIT
    book = desk.core.ledger.holdings["a", "X"]
    assert (book.insured_atoms, book.realized_atoms) == (closed.insured_atoms, -2_000 * UNIT)
    assert desk.core.ledger.cash_atoms == 0
    conserve(desk)


def test_an_isolated_position_loses_what_is_set_aside_and_no_more(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(target(50, scripted), margin_mode="isolated", taker_fee=0.001, liquidation_fee=0.0125)
    desk.flat(100, 2)
    (position,) = margin(desk).positions
    assert (position.isolated_atoms, position.liquidation_ticks) == (500 * UNIT, 90)
    (closed,) = of(m.Liquidated, desk.bar(60, high=99, close=90))
    assert desk.core.ledger.cash_atoms == (1_000 - 5 - 500) * UNIT
    assert closed.insured_atoms == (2_000 + 3 - 500) * UNIT
    conserve(desk)


def test_isolated_margin_is_given_back_in_proportion_and_takes_funding(bench: Any, scripted: Any) -> None:
    strategy = scripted({0: lambda s: s.target(50), 2: lambda s: s.target(20)})
    desk = bench(strategy, margin_mode="isolated")
    desk.flat(100, 2)
    desk.flat(110, 2)
    (position,) = margin(desk).positions
    assert position.isolated_atoms == 200 * UNIT
    desk.post(m.Funding("X", 0.01, desk.now_ns + MINUTE, 0))
    desk.flat(110, 2)
    (position,) = margin(desk).positions
    assert position.isolated_atoms == (200 - 22) * UNIT
    assert desk.core.ledger.cash_atoms == (1_000 + 300 - 22 - 20 * 100) * UNIT
    conserve(desk)


def test_a_fill_that_leaves_nothing_to_set_aside_expires(bench: Any, scripted: Any, of: Any) -> None:
    """The order was taken while there was enough; a loss on cross margin leaves too little to set aside."""
    first = scripted({0: lambda s: s.buy(40, limit=90.0)})
    other = scripted({0: lambda s: s.target(60), 2: lambda s: s.target(0)})
    desk = bench((first, "X"), (other, "Y"), symbols=("X", "Y"), contracts={"X": {"margin_mode": "isolated"}})
    for price in (100, 100, 88, 88):
        desk.bar(100)
        desk.bar(price, symbol="Y")
    assert margin(desk).wallet_atoms == 280 * UNIT
    (expired,) = of(m.Expired, desk.bar(95, low=85, close=95))
    assert expired.reason == POOR
    assert margin(desk).positions == ()
    conserve(desk)


def test_on_the_way_to_a_liquidation_orders_go_first_and_after_it_nothing_fills(
    bench: Any, scripted: Any, of: Any
) -> None:
    """A stop above the price of liquidation saves the rest; a target on the way back is withdrawn with it."""
    stop = scripted(
        {0: lambda s: s.target(50), 1: lambda s: (s.sell(50, stop=85.0, reduce_only=True), s.sell(50, limit=120.0))}
    )
    desk = bench(stop)
    desk.flat(100, 2)
    said = desk.bar(100, low=78, high=122, close=100)
    assert of(m.Liquidated, said) == []
    assert [fill.price_ticks for fill in of(m.Fill, said)] == [85, 120]
    late = scripted({0: lambda s: s.target(50), 1: lambda s: s.sell(50, limit=120.0)})
    desk = bench(late)
    desk.flat(100, 2)
    said = desk.bar(100, low=75, high=130, close=100)
    assert of(m.Fill, said) == []
    assert [closed.price_ticks for closed in of(m.Liquidated, said)] == [80]
    early = scripted({0: lambda s: s.target(50), 1: lambda s: s.sell(50, limit=120.0)})
    desk = bench(early)
    desk.flat(100, 2)
    said = desk.bar(100, low=70, high=125, close=100)
    assert [fill.price_ticks for fill in of(m.Fill, said)] == [120], "the path goes to the nearer extreme first"
    assert of(m.Liquidated, said) == []


def test_an_order_at_the_very_price_of_liquidation_goes_first(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(scripted({0: lambda s: s.target(50), 1: lambda s: s.sell(50, stop=80.0)}))
    desk.flat(100, 2)
    said = desk.bar(100, low=70, close=90)
    assert [fill.price_ticks for fill in of(m.Fill, said)] == [80]
    assert of(m.Liquidated, said) == []


def test_a_stop_behind_a_gap_leaves_no_less_than_nothing(bench: Any, scripted: Any, of: Any) -> None:
    stop = scripted({0: lambda s: s.target(50), 1: lambda s: s.sell(50, stop=85.0, reduce_only=True)})
    desk = bench(stop, taker_fee=0.001)
    desk.flat(100, 2)
    said = desk.bar(60)
    (fill,) = of(m.Fill, said)
    (paid,) = of(m.Insured, said)
    assert of(m.Liquidated, said) == []
    assert (fill.price_ticks, paid.trade_id) == (60, fill.trade_id)
    assert paid.amount_atoms == (50 * 40 + 5 + 3 - 1_000) * UNIT
    assert desk.core.ledger.cash_atoms == 0
    conserve(desk)


def test_what_is_bought_inside_a_bar_can_be_closed_in_the_same_bar(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(scripted({0: lambda s: s.buy(100, limit=95.0)}))
    desk.flat(100)
    said = desk.bar(100, low=80, close=100)
    assert [fill.price_ticks for fill in of(m.Fill, said)] == [95]
    (closed,) = of(m.Liquidated, said)
    assert closed.price_ticks == 85
    assert desk.now_ns - MINUTE < closed.executed_ns < desk.now_ns
    conserve(desk)


def test_a_stop_that_protects_what_the_bar_opened_goes_before_its_liquidation(
    bench: Any, scripted: Any, of: Any
) -> None:
    """Bought at 95 inside the bar, stopped at 92; without the stop the account would have been closed at 85."""
    desk = bench(scripted({0: lambda s: s.bracket(100, limit=95, stop=92)}))
    desk.flat(100)
    said = desk.bar(100, low=80, close=90)
    assert [fill.price_ticks for fill in of(m.Fill, said)] == [95, 92]
    assert of(m.Liquidated, said) == []
    assert desk.core.execution.orders == {}
    conserve(desk)


def test_the_exits_of_what_was_liquidated_are_gone_and_stay_gone(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(scripted({0: lambda s: s.bracket(100, stop=70, take_profit=150)}), leverage=20)
    desk.flat(100, 2)
    assert len(desk.core.execution.orders) == 2
    (closed,) = of(m.Liquidated, desk.bar(100, low=75, close=95))
    assert closed.price_ticks == 90
    assert desk.core.execution.orders == {}
    assert of(m.SubmitOrder, desk.flat(95, 3)) == []
    assert desk.core.strategies[0].desk.exits.plans == {}


# --- several books ------------------------------------------------------------------------------------------


def test_books_on_the_side_of_the_position_share_a_liquidation_and_others_stay(
    bench: Any, scripted: Any, of: Any
) -> None:
    """Long 40 and 21, short 10: the account holds 51 long, which the longs give by their lots."""
    books = [target(lots, scripted) for lots in (40, 21, -10)]
    desk = bench(*books, taker_fee=0.001)
    desk.flat(100, 2)
    (position,) = margin(desk).positions
    assert position.quantity_lots == 51
    closed = of(m.Liquidated, desk.bar(100, low=70, close=90))
    assert [(each.strategy, each.quantity_lots, each.price_ticks) for each in closed] == [("a", 33, 80), ("b", 18, 80)]
    assert len({each.trade_id for each in closed}) == 2
    lots = {key[0]: held.quantity_lots for key, held in desk.core.ledger.holdings.items()}
    assert lots == {"a": 7, "b": 3, "c": -10}
    assert margin(desk).positions == ()
    conserve(desk)


def test_opposite_books_hedge_each_other(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(target(90, scripted), target(-90, scripted))
    assert of(m.Rejected, desk.flat(100, 2)) == []
    assert margin(desk).initial_atoms == 0
    for price in (50, 150):
        assert of(m.Liquidated, desk.bar(price)) == []
    conserve(desk)


def test_all_that_shares_the_wallet_is_closed_and_what_is_isolated_is_not(bench: Any, scripted: Any, of: Any) -> None:
    strategies = [(target(40, scripted), symbol) for symbol in ("X", "Y")] + [(target(10, scripted), "Z")]
    desk = bench(*strategies, symbols=("X", "Y", "Z"), contracts={"Z": {"margin_mode": "isolated"}})
    for _ in range(2):
        for symbol in "XYZ":
            desk.bar(100, symbol=symbol)
    said = desk.bar(100, low=70, close=90, symbol="X")
    closed = of(m.Liquidated, said)
    assert [(each.symbol, each.price_ticks) for each in closed] == [("X", 78), ("Y", 100)]
    (left,) = margin(desk).positions
    assert (left.symbol, left.isolated_atoms) == ("Z", 100 * UNIT)
    assert desk.core.margin.account.liquidations == 2
    conserve(desk)


# --- marks --------------------------------------------------------------------------------------------------


def test_where_marks_are_told_bars_liquidate_nothing(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(target(50, scripted))
    desk.flat(100, 2)
    assert of(m.Liquidated, desk.post(m.Mark("X", 99.0, 0.0, 0))) == []
    assert of(m.Liquidated, desk.bar(100, low=50, close=60)) == []
    assert margin(desk).balance_atoms == (1_000 - 50) * UNIT
    (closed,) = of(m.Liquidated, desk.post(m.Mark("X", 80.0, 0.0, 0)))
    assert closed.price_ticks == 80
    conserve(desk)


def test_where_orders_match_on_trades_their_prices_are_the_marks(bench: Any, scripted: Any, of: Any) -> None:
    plan = {0: lambda s: s.target(50), 1: lambda s: s.buy(200, stop=90.0), 2: lambda s: s.sell(10, limit=130.0)}
    desk = bench(scripted(plan), ticks=("X",))
    numbers = iter(range(1, 100))

    def trade(price: float) -> list[Any]:
        desk.core.context.now_ns += 1
        said: list[Any] = desk.post(m.Trade("X", next(numbers), price, 1_000.0, m.SELL, desk.now_ns))
        return said

    trade(100.0)
    desk.flat(100)
    (fill,) = of(m.Fill, trade(100.0))
    assert (fill.price_ticks, fill.quantity_lots) == (100, 50)
    assert of(m.Liquidated, desk.bar(100, low=50, close=60)) == [], "bars are no marks here"
    (refused,) = of(m.Rejected, trade(95.0))
    assert (refused.ref, refused.reason) == (2, POOR), "a stop is asked for margin by the trade that meets it"
    desk.flat(95)
    assert of(m.Liquidated, trade(81.0)) == []
    said = trade(80.0)
    (closed,) = of(m.Liquidated, said)
    assert (closed.price_ticks, closed.quantity_lots) == (80, 50)
    assert [each.ref for each in of(m.Cancelled, said)] == [3]
    conserve(desk)


def test_funding_can_use_the_margin_up(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(target(50, scripted))
    desk.flat(100, 2)
    desk.flat(81)
    desk.post(m.Funding("X", 0.01, desk.now_ns + MINUTE, 0))
    desk.flat(81)
    said = desk.flat(81)
    (paid,) = of(m.FundingShared, said)
    assert paid.amount_atoms == -int(Decimal("40.5") * UNIT)
    (closed,) = of(m.Liquidated, said)
    assert closed.price_ticks == 81
    assert said.index(paid) < said.index(closed)
    conserve(desk)


# --- everything else ----------------------------------------------------------------------------------------


def test_a_snapshot_knows_wallet_positions_and_what_is_set_aside(bench: Any, scripted: Any, of: Any) -> None:
    def make() -> Any:
        strategy = scripted({0: lambda s: s.target(50), 1: lambda s: s.buy(10, limit=70.0)})
        return bench(strategy, margin_mode="isolated", taker_fee=0.001)

    desk, again = make(), make()
    desk.flat(100, 2)
    desk.flat(95)
    again.restore(desk.snapshot())
    assert margin(again) == margin(desk)
    assert of(m.Liquidated, again.bar(95, low=70)) == of(m.Liquidated, desk.bar(95, low=70)) != []
    assert again.core.snapshot() == desk.core.snapshot()


def test_a_session_goes_on_from_the_positions_it_inherits(bench: Any, scripted: Any, of: Any) -> None:
    account = Account(
        -4_000 * UNIT,
        [Holding("a", "X", 50, 5_000 * UNIT), Holding("b", "X", 10, 1_000 * UNIT)],
        set_aside={"X": 700 * UNIT},
    )
    desk = bench(scripted(), scripted(), account=account, margin_mode="isolated")
    mark = margin(desk)
    assert (mark.wallet_atoms, mark.balance_atoms) == (2_000 * UNIT, 2_000 * UNIT)
    (position,) = mark.positions
    assert (position.quantity_lots, position.isolated_atoms, position.liquidation_ticks) == (60, 700 * UNIT, 88)
    assert of(m.Liquidated, desk.flat(100)) == []
    assert [each.strategy for each in of(m.Liquidated, desk.flat(88))] == ["a", "b"]
    conserve(desk)


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_what_is_inherited_is_closed_only_once_every_price_is_known(
    bench: Any, scripted: Any, of: Any, mode: str
) -> None:
    """Both have lost all that stands behind them; closing Y before its first bar would be at no price at all."""
    books = [Holding("a", "X", 50, 5_000 * UNIT), Holding("b", "Y", 50, 5_000 * UNIT)]
    account = Account(-10_000 * UNIT + 10 * UNIT, books, set_aside={"X": UNIT, "Y": UNIT})
    desk = bench((scripted(), "X"), (scripted(), "Y"), symbols=("X", "Y"), account=account, margin_mode=mode)
    first = of(m.Liquidated, desk.bar(90, symbol="X"))
    second = of(m.Liquidated, desk.bar(80, symbol="Y"))
    assert [(each.symbol, each.price_ticks) for each in first + second] == [("X", 90), ("Y", 80)]
    assert len(first) == (1 if mode == "isolated" else 0)
    conserve(desk)


def test_the_books_parts_of_funding_add_up_to_what_the_position_pays(bench: Any, scripted: Any, of: Any) -> None:
    """A third of 10 atoms three times: 3 + 3 + 3, and one more for the first."""
    desk = bench(*(target(1, scripted) for _ in range(3)))
    desk.flat(100, 2)
    desk.post(m.Funding("X", 3.33333333e-10 * 1.0000001, desk.now_ns + MINUTE, 0))
    desk.flat(100)
    paid = [each.amount_atoms for each in of(m.FundingShared, desk.flat(100))]
    assert paid == [-4, -3, -3]
    conserve(desk)


def test_a_flatten_takes_the_rest_of_what_was_liquidated_for_flat(bench: Any, scripted: Any, of: Any) -> None:
    desk = bench(target(50, scripted))
    desk.flat(100, 2)
    desk.post(m.Flatten("c1"))
    said = desk.bar(70)
    assert [fill.price_ticks for fill in of(m.Fill, said)] == [70], "orders go first"
    desk.flat(70)
    assert desk.core.control.trading == "paused"
    conserve(desk)


def test_spot_beside_contracts_is_bought_with_what_is_available_and_sold_if_it_is_held(
    bench: Any, scripted: Any, of: Any
) -> None:
    """1,000 of cash, 500 of it margin of X: Y can be bought for 500, and what is bought is no margin."""
    plan = {
        1: lambda s: s.buy(6),
        2: lambda s: s.buy(3),
        3: lambda s: (s.buy(1, limit=99.0), s.buy(2, limit=99.0)),
        4: lambda s: s.sell(4),
        5: lambda s: s.sell(3),
    }
    desk = bench((target(50, scripted), "X"), (scripted(plan), "Y"), symbols=("X", "Y"), spot=("Y",))

    def both() -> list[Any]:
        return [*desk.bar(100, symbol="X"), *desk.bar(100, symbol="Y")]

    both()
    broke = "Account has insufficient balance for requested action."
    assert [(each.ref, each.reason) for each in of(m.Rejected, both())] == [(1, broke)]
    assert of(m.Rejected, both()) == []
    assert [(each.ref, each.reason) for each in of(m.Rejected, both())] == [(4, broke)]
    assert margin(desk).wallet_atoms == 700 * UNIT
    assert margin(desk).available_atoms == (700 - 500 - 99) * UNIT
    assert [(each.ref, each.reason) for each in of(m.Rejected, both())] == [(5, broke)]
    assert of(m.Rejected, both()) == []
    (fill,) = of(m.Fill, desk.bar(100, symbol="Y"))
    assert (fill.side, fill.quantity_lots) == (m.SELL, 3)
    desk.core.margin.account.check()


def test_a_bracket_around_spot_needs_nothing_twice(bench: Any, scripted: Any, of: Any) -> None:
    """A stop and a target sell the same 3; a stop that buys is paid for when it is met."""
    around = [lambda s: s.sell(3, stop=90.0, reduce_only=True), lambda s: s.sell(3, limit=110.0, reduce_only=True)]
    plan = {
        0: lambda s: s.buy(3),
        2: lambda s: [order(s) for order in around],
        3: lambda s: (s.buy(5, stop=95.0), s.buy(6, stop=96.0)),
    }
    desk = bench((target(40, scripted), "X"), (scripted(plan), "Y"), symbols=("X", "Y"), spot=("Y",))
    for _ in range(3):
        desk.bar(100, symbol="X")
        desk.bar(100, symbol="Y")
    said = desk.bar(100, low=89, close=92, symbol="Y")
    assert [(fill.price_ticks, fill.quantity_lots) for fill in of(m.Fill, said)] == [(90, 3)]
    assert margin(desk).available_atoms == (1_000 - 30 - 400) * UNIT
    said = desk.bar(92, high=97, close=97, symbol="Y")
    assert [(fill.price_ticks, fill.quantity_lots) for fill in of(m.Fill, said)] == [(95, 5)]
    assert [each.ref for each in of(m.Rejected, said)] == [5]
    desk.core.margin.account.check()


def test_without_a_leverage_nothing_is_asked_for(rig: Any, scripted: Any, of: Any) -> None:
    desk = rig(target(1_000_000, scripted), contract=True)
    assert desk.core.margin is None
    desk.flat(100, 2)
    assert of(m.Liquidated, desk.bar(1)) == []


def test_a_real_contract_is_judged_by_its_own_tiers_where_they_are_laid_down(bench: Any, scripted: Any) -> None:
    """Leverage and mode are the account's there; of its tiers nothing is known but what is configured."""
    instruments = bench(scripted(), symbols=("X", "Y")).core.instruments
    own = {"Y": {"tiers": [{"above": 0, "leverage": 50, "rate": Decimal("0.02")}], "leverage": 3}}
    venue = {"leverage": 10, "tiers": FLAT, "contracts": own}
    values = {"venue": venue, "exchange": {"leverage": 5, "margin_mode": "isolated"}}
    terms = contract_terms(check_settings(values, "test"), instruments, real=True)
    assert {symbol: (each.leverage, each.isolated) for symbol, each in terms.items()} == dict.fromkeys("XY", (5, True))
    assert [terms[symbol].tiers.rows[0].rate for symbol in "XY"] == [Fraction("0.004"), Fraction("0.02")]
    assert contract_terms(check_settings({"venue": venue}, "test"), instruments, real=True) == {}
