"""Every rule at its boundary: what is just within passes, one unit more does not, and why is said in words."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors import messages as m
from config.risk import RiskActions
from tests.actors.risk.desk import BUY, DAY, MINUTE, NOON, SECOND, SELL, UNIT, Desk, on_margin, passed, vetoed

ATOM = 1 / UNIT

Case = tuple[str, Callable[[], list[Any]], Callable[[], list[Any]], str]


def order_at(now_ns: int, **limits: Any) -> list[Any]:
    desk = Desk(**limits)
    desk.context.now_ns = now_ns
    return desk.order(BUY, 1)


def marked(*marks: tuple[float, int], **limits: Any) -> list[Any]:
    """Order after some marks, each with the time since noon; what the marks themselves lead to is not looked at."""
    desk = Desk(**limits)
    for equity, after_ns in marks:
        desk.mark(equity, NOON + after_ns)
    return desk.order(BUY, 1)


def lost(*profits: int, rest_s: float, **limits: Any) -> list[Any]:
    """Order so long after a row of trades of one lot, bought and sold, with a profit each."""
    desk = Desk(**limits)
    realized = 0
    for profit in profits:
        realized += profit
        for lots, total in ((1, realized - profit), (0, realized)):
            desk.risk.on_trip(m.PositionChanged("a", "X", lots, 0, total, 0, 0))
    desk.context.now_ns += round(rest_s * SECOND)
    return desk.order(BUY, 1)


def on_data(age_ns: int, **limits: Any) -> list[Any]:
    desk = Desk(**limits)
    desk.bar(100)
    desk.context.now_ns += age_ns
    return desk.order(BUY, 1)


def on_quote(bid: float, ask: float) -> list[Any]:
    desk = Desk(max_spread_bps=10)
    desk.risk.on_quote(m.Quote("X", bid, 1.0, ask, 1.0, NOON))
    return desk.order(BUY, 1)


def at_price(limit: float | None = None, stop: float | None = None, decided: float = 10_000.0) -> list[Any]:
    desk = Desk(price_collar_bps=100)
    desk.bar(10_000)
    kind = "market" if limit is None and stop is None else "limit" if stop is None else "stop"
    kind = "stop_limit" if limit is not None and stop is not None else kind
    return desk.order(BUY, 1, kind=kind, limit_price=limit, stop_price=stop, reference_price=decided)


def after_bars(*closes: float, **limits: Any) -> list[Any]:
    desk = Desk(tick="0.01", **limits)
    desk.bars(*closes)
    return desk.order(BUY, 1)


def after_gap(open_: float, bars: int) -> list[Any]:
    desk = Desk(tick="0.01", max_gap="0.02", gap_bars=3)
    desk.bars(100)
    desk.context.now_ns += MINUTE
    desk.bar(open_, open_)
    desk.bars(*[open_] * (bars - 1))
    return desk.order(BUY, 1)


def working(count: int) -> list[Any]:
    desk = Desk(max_open_orders=3)
    for _ in range(count):
        passed(desk.order(BUY, 1, kind="limit", limit_price=90.0))
    return desk.order(BUY, 1)


def paced(after_ns: int) -> list[Any]:
    desk = Desk(max_orders_per_minute=2)
    passed(desk.order(BUY, 1))
    passed(desk.order(BUY, 1))
    desk.context.now_ns += after_ns
    return desk.order(BUY, 1)


def held(*positions: tuple[str, str, int], lots: float, price_of_y: float = 50, **limits: Any) -> list[Any]:
    """Order lots of X at 100 for strategy a, on top of what is held; Y closes at 50."""
    terms: Any = {"actions": VETO} | limits
    desk = Desk(*positions, **terms)
    desk.bar(100)
    desk.bar(price_of_y, symbol="Y")
    return desk.order(BUY if lots > 0 else SELL, abs(lots))


def protected(lots: float, **terms: Any) -> list[Any]:
    """Order with 1% of an equity of 1000 to lose."""
    desk = Desk(("a", "X", 0), max_trade_risk="0.01", equity=1_000, actions=VETO)
    return desk.order(BUY if lots > 0 else SELL, abs(lots), **terms)


def fallen(lots: float, *held: tuple[str, str, int], **limits: Any) -> list[Any]:
    """Order X after it rose by 1%, fell by 10%, and stood still twice, while Y rose by a fifth where X fell."""
    terms: Any = {"shortfall_tail": "0.25", "shortfall_bars": 4} | limits
    desk = Desk(*held, **terms)
    for x, y in zip((100, 101, 90.9, 90.9, 90.9), (50, 50, 60, 60, 60), strict=True):
        desk.context.now_ns += MINUTE
        desk.bar(x)
        desk.bar(y, symbol="Y")
    return desk.order(BUY if lots > 0 else SELL, abs(lots), reference_price=91.0)


def together(lots: float, *held: tuple[str, str, int], **limits: Any) -> list[Any]:
    """Order X at 100 where Y, which stands at 50, has moved much as X did."""
    terms: Any = {"actions": VETO, "correlation_bars": 4, "tick": "0.1"} | limits
    desk = Desk(*held, **terms)
    walk(desk, X=MOVED_X, Y=MOVED_Y)
    return desk.order(BUY if lots > 0 else SELL, abs(lots))


def walk(desk: Desk, **closes: Any) -> None:
    """Close bars of several symbols at once, a minute apart."""
    for prices in zip(*closes.values(), strict=True):
        desk.context.now_ns += MINUTE
        for symbol, price in zip(closes, prices, strict=True):
            desk.bar(price, symbol=symbol)


def on_contracts(lots: float, *held: tuple[str, str, int], **limits: Any) -> list[Any]:
    """Order X at 100 while Y is at 50; margin is a tenth of the value, half of it is the maintenance margin."""
    terms: Any = {"actions": VETO, "contract": True, "margin": on_margin()} | limits
    desk = Desk(*held, **terms)
    desk.bar(100)
    desk.bar(50, symbol="Y")
    desk.risk.on_mark(m.Mark("Y", 50.0, 0.0, NOON))
    return desk.order(BUY if lots > 0 else SELL, abs(lots))


VETO: Any = {field.name: "veto" for field in msgspec.structs.fields(RiskActions)}
GROUPED: Any = {"groups": {"pair": {"symbols": ["X", "Y"], "max_group_net": "1000"}}}
GROSS: Any = {"groups": {"pair": {"symbols": ["X", "Y"], "max_group_gross": "1000"}, "x": {"symbols": ["X"]}}}
MOVED_X, MOVED_Y = (100, 101, 100, 102, 101), (50, 50.4, 50.1, 50.9, 50)
ALIKE = statistics.correlation(*([b / a - 1 for a, b in itertools.pairwise(row)] for row in (MOVED_X, MOVED_Y)))
"""How much so."""
LATE = 20_000 * DAY
HOURS: Any = {"trading_hours": ["fri 08:00-16:30"]}
FUNDED: Any = {"funding_veto_minutes": 5, "contract": True}
SWINGS = (100.0, 101.0, 100.0, 101.0, 100.0)
A_YEAR = statistics.stdev([101 / 100 - 1, 100 / 101 - 1] * 2) * math.sqrt(365 * 24 * 60)
"""The volatility of those swings of a minute."""
AWAKE = [
    statistics.stdev([0.0] * still + [101 / 100 - 1, 100 / 101 - 1]) * math.sqrt(365 * 24 * 60) for still in (0, 4)
]
"""That of the last two of six minutes, the others having been still, and of all six."""

CASES: list[Case] = [
    (
        "max_daily_loss",
        lambda: marked((1_000, 0), (900 + ATOM, 1), max_daily_loss=100),
        lambda: marked((1_000, 0), (900, 1), max_daily_loss=100, actions=VETO),
        "daily loss limit 100 reached",
    ),
    (
        "max_weekly_loss",
        lambda: marked((1_000, 0), (950, DAY), (900 + ATOM, 2 * DAY), max_weekly_loss=100),
        lambda: marked((1_000, 0), (950, DAY), (900, 2 * DAY), max_weekly_loss=100, actions=VETO),
        "weekly loss limit 100 reached",
    ),
    (
        "max_drawdown",
        lambda: marked((1_000, 0), (2_000, 1), (1_500 + ATOM, 2), max_drawdown="0.25"),
        lambda: marked((1_000, 0), (2_000, 1), (1_500, 2), max_drawdown="0.25", actions=VETO),
        "drawdown limit 0.25 reached",
    ),
    (
        "max_consecutive_losses",
        lambda: lost(-1, -1, rest_s=0, max_consecutive_losses=3),
        lambda: lost(-1, -1, -1, rest_s=0, max_consecutive_losses=3, loss_cooldown_s=60),
        "3 losing trades in a row: nothing is opened for 60 s",
    ),
    (
        "max_consecutive_losses",
        lambda: lost(-1, -1, -1, rest_s=60, max_consecutive_losses=3, loss_cooldown_s=60),
        lambda: lost(-1, -1, -1, rest_s=60 - 1e-9, max_consecutive_losses=3, loss_cooldown_s=60),
        "3 losing trades in a row: nothing is opened for 1 s",
    ),
    (
        "trading_hours",
        lambda: order_at(LATE + 16 * 60 * MINUTE + 30 * MINUTE - 1, **HOURS),
        lambda: order_at(LATE + 16 * 60 * MINUTE + 30 * MINUTE, **HOURS),
        "outside trading hours fri 08:00-16:30",
    ),
    (
        "trading_hours",
        lambda: order_at(LATE + 8 * 60 * MINUTE, **HOURS),
        lambda: order_at(LATE + 8 * 60 * MINUTE - 1, **HOURS),
        "outside trading hours fri 08:00-16:30",
    ),
    (
        "funding_veto_minutes",
        lambda: order_at(LATE + 8 * 60 * MINUTE - 5 * MINUTE, **FUNDED),
        lambda: order_at(LATE + 8 * 60 * MINUTE - 5 * MINUTE + 1, **FUNDED),
        "within 5 minutes of a funding time",
    ),
    (
        "funding_veto_minutes",
        lambda: order_at(LATE + 8 * 60 * MINUTE + 5 * MINUTE, **FUNDED),
        lambda: order_at(LATE + 8 * 60 * MINUTE + 5 * MINUTE - 1, **FUNDED),
        "within 5 minutes of a funding time",
    ),
    (
        "max_data_age_s",
        lambda: on_data(90 * SECOND, max_data_age_s=90),
        lambda: on_data(90 * SECOND + 1, max_data_age_s=90),
        "the newest data of X is 90.0 s old, more than 90",
    ),
    (
        "max_spread_bps",
        lambda: on_quote(19_990, 20_010),
        lambda: on_quote(19_990, 20_011),
        "the spread of X is 10.5 bps, wider than 10",
    ),
    (
        "price_collar_bps",
        lambda: at_price(limit=10_100),
        lambda: at_price(limit=10_101),
        "10101 is more than 100 bps from the last price",
    ),
    (
        "price_collar_bps",
        lambda: at_price(limit=9_900),
        lambda: at_price(limit=9_899),
        "9899 is more than 100 bps from the last price",
    ),
    (
        "price_collar_bps",
        lambda: at_price(limit=10_050, stop=10_100),
        lambda: at_price(limit=10_050, stop=10_101),
        "10101 is more than 100 bps from the last price",
    ),
    (
        "price_collar_bps",
        lambda: at_price(decided=10_100),
        lambda: at_price(decided=10_101),
        "10101 is more than 100 bps from the last price",
    ),
    (
        "max_volatility",
        lambda: after_bars(*SWINGS, max_volatility=A_YEAR * (1 + 1e-12), volatility_bars=4),
        lambda: after_bars(*SWINGS, max_volatility=A_YEAR * (1 - 1e-12), volatility_bars=4),
        f"the volatility of X is {A_YEAR:.4g} a year, more than {A_YEAR * (1 - 1e-12)}",
    ),
    (
        "max_volatility_ratio",
        lambda: after_bars(*SWINGS, 100, 101, max_volatility_ratio=2, volatility_bars=2, regime_bars=6),
        lambda: after_bars(100, 100, 100, 100, 100, 101, 100, max_volatility_ratio=2, volatility_bars=2, regime_bars=6),
        f"the volatility of X is {AWAKE[0]:.4g} a year, more than 2 times the usual {AWAKE[1]:.4g}",
    ),
    (
        "max_gap",
        lambda: after_gap(102, 1),
        lambda: after_gap(102.01, 1),
        "X has gapped by more than 0.02, with its newest bar",
    ),
    (
        "max_gap",
        lambda: after_gap(103, 4),
        lambda: after_gap(103, 3),
        "X has gapped by more than 0.02, 2 bars before its newest",
    ),
    (
        "max_open_orders",
        lambda: working(2),
        lambda: working(3),
        "more than 3 open orders",
    ),
    (
        "max_order_notional",
        lambda: held(lots=10, max_order_notional=1_000),
        lambda: held(lots=10, max_order_notional=1_000 - ATOM),
        "order notional limit 999.99999999",
    ),
    (
        "max_trade_risk",
        lambda: protected(2, protective_stop=95.0),
        lambda: protected(3, protective_stop=95.0),
        "trade risk limit 0.01 of the equity",
    ),
    (
        "max_trade_risk",
        lambda: protected(-2, protective_stop=105.0),
        lambda: protected(-2, protective_stop=105.5),
        "trade risk limit 0.01 of the equity",
    ),
    (
        "max_trade_risk",
        lambda: protected(2, stop_distance=5.0),
        lambda: protected(2, stop_distance=5.01),
        "trade risk limit 0.01 of the equity",
    ),
    (
        "max_trade_risk",
        lambda: protected(10, protective_stop=99.0),
        lambda: protected(10, protective_stop=100.0),
        "the protective stop is not on the losing side of the order's price, 100",
    ),
    (
        "max_trade_risk",
        lambda: protected(10, protective_stop=79.0, kind="limit", limit_price=80.0),
        lambda: protected(1),
        "trade risk limit 0.01, and no protective stop was given",
    ),
    (
        "max_position",
        lambda: held(("a", "X", 3), lots=7, max_position=10),
        lambda: held(("a", "X", 3), lots=8, max_position=10),
        "position limit 10",
    ),
    (
        "max_notional",
        lambda: held(("a", "X", 3), lots=7, max_notional=1_000),
        lambda: held(("a", "X", 3), lots=7, max_notional=1_000 - ATOM),
        "notional limit 999.99999999",
    ),
    (
        "max_symbol_position",
        lambda: held(("a", "X", 3), ("b", "X", 4), lots=3, max_symbol_position=10),
        lambda: held(("a", "X", 3), ("b", "X", 4), lots=4, max_symbol_position=10),
        "position limit 10 of all strategies in X",
    ),
    (
        "max_symbol_net",
        lambda: held(("a", "X", 3), ("b", "X", -4), lots=11, max_symbol_net=1_000),
        lambda: held(("a", "X", 3), ("b", "X", -4), lots=12, max_symbol_net=1_000),
        "net limit 1000 of X",
    ),
    (
        "max_symbol_net",
        lambda: held(("b", "X", -4), lots=-6, max_symbol_net=1_000),
        lambda: held(("b", "X", -4), lots=-7, max_symbol_net=1_000),
        "net limit 1000 of X",
    ),
    (
        "max_symbol_gross",
        lambda: held(("a", "X", 3), ("b", "X", -4), ("b", "Y", 99), lots=3, max_symbol_gross=1_000),
        lambda: held(("a", "X", 3), ("b", "X", -4), ("b", "Y", 99), lots=4, max_symbol_gross=1_000),
        "gross limit 1000 of X",
    ),
    (
        "max_symbol_leverage",
        lambda: held(("b", "X", -4), lots=6, max_symbol_leverage=2, equity=500),
        lambda: held(("b", "X", -4), lots=6, max_symbol_leverage=2, equity=500 - ATOM),
        "leverage limit 2 of X",
    ),
    (
        "max_group_net",
        lambda: held(("b", "Y", -8), lots=14, **GROUPED),
        lambda: held(("b", "Y", -8), lots=15, **GROUPED),
        "net limit 1000 of group pair",
    ),
    (
        "max_group_gross",
        lambda: held(("b", "Y", -8), lots=6, **GROSS),
        lambda: held(("b", "Y", -8), lots=7, **GROSS),
        "gross limit 1000 of group pair",
    ),
    (
        "max_correlated_net",
        lambda: together(14, ("b", "Y", -8), max_correlated_net=1_000),
        lambda: together(15, ("b", "Y", -8), max_correlated_net=1_000),
        f"net limit 1000 of X and what moves with it: Y ({ALIKE:.2f})",
    ),
    (
        "max_correlated_gross",
        lambda: together(6, ("b", "Y", -8), max_correlated_gross=1_000),
        lambda: together(7, ("b", "Y", -8), max_correlated_gross=1_000),
        f"gross limit 1000 of X and what moves with it: Y ({ALIKE:.2f})",
    ),
    (
        "max_correlated_gross",
        lambda: together(10, ("b", "Y", 8), max_correlated_gross=1_000, correlation_threshold=ALIKE + 1e-12),
        lambda: together(10, ("b", "Y", 8), max_correlated_gross=1_000, correlation_threshold=ALIKE - 1e-12),
        f"gross limit 1000 of X and what moves with it: Y ({ALIKE:.2f})",
    ),
    (
        "max_correlated_gross",
        lambda: together(10, ("b", "Y", 8), max_correlated_gross=1_000, correlation_bars=5),
        lambda: together(11, ("b", "Y", 8), max_correlated_gross=1_000, correlation_bars=5),
        "gross limit 1000 of X, with which nothing moves",
    ),
    (
        "max_strategy_net",
        lambda: held(("a", "Y", -8), ("b", "Y", 99), lots=14, max_strategy_net=1_000),
        lambda: held(("a", "Y", -8), ("b", "Y", 99), lots=15, max_strategy_net=1_000),
        "net limit 1000 of a",
    ),
    (
        "max_strategy_gross",
        lambda: held(("a", "Y", -8), ("b", "Y", 99), lots=6, max_strategy_gross=1_000),
        lambda: held(("a", "Y", -8), ("b", "Y", 99), lots=7, max_strategy_gross=1_000),
        "gross limit 1000 of a",
    ),
    (
        "max_strategy_leverage",
        lambda: held(("a", "Y", -8), lots=6, max_strategy_leverage="0.5", equity=2_000),
        lambda: held(("a", "Y", -8), lots=6, max_strategy_leverage="0.5", equity=2_000 - 2 * ATOM),
        "leverage limit 0.5 of a",
    ),
    (
        "max_net",
        lambda: held(("b", "Y", -8), lots=14, max_net=1_000),
        lambda: held(("b", "Y", -8), lots=15, max_net=1_000),
        "net limit 1000 of the account",
    ),
    (
        "max_gross",
        lambda: held(("b", "Y", -8), ("a", "X", 1), lots=5, max_gross=1_000),
        lambda: held(("b", "Y", -8), ("a", "X", 1), lots=6, max_gross=1_000),
        "gross limit 1000 of the account",
    ),
    (
        "max_leverage",
        lambda: held(("b", "Y", -8), lots=6, max_leverage=1, equity=1_000),
        lambda: held(("b", "Y", -8), lots=6, max_leverage=1, equity=1_000 - ATOM),
        "leverage limit 1 of the account",
    ),
    (
        "max_margin",
        lambda: on_contracts(10, ("b", "Y", -8), max_margin="0.5", equity=280),
        lambda: on_contracts(10, ("b", "Y", -8), max_margin="0.5", equity=280 - 2 * ATOM),
        "margin limit 0.5 of the equity",
    ),
    (
        "min_liquidation_distance",
        lambda: on_contracts(1, min_liquidation_distance="0.2", equity=60),
        lambda: on_contracts(1, min_liquidation_distance="0.2", equity=59.5),
        "X would be less than 0.2 of its price from liquidation",
    ),
    (
        "min_liquidation_distance",
        lambda: on_contracts(-1, min_liquidation_distance="0.2", equity=80),
        lambda: on_contracts(-1, min_liquidation_distance="0.2", equity=78.5),
        "X would be less than 0.2 of its price from liquidation",
    ),
    (
        "min_liquidation_distance",
        lambda: on_contracts(1, ("b", "Y", 4), min_liquidation_distance="0.2", equity=60 + 100),
        lambda: on_contracts(1, ("b", "Y", 4), min_liquidation_distance="0.2", equity=60 + 99.5),
        "X would be less than 0.2 of its price from liquidation",
    ),
    (
        "max_shortfall",
        lambda: fallen(10, max_shortfall=90.9 * (1 + 1e-12)),
        lambda: fallen(10, max_shortfall=90),
        "the expected shortfall would be 90.90, more than 90",
    ),
    (
        "max_shortfall",
        lambda: fallen(10, ("b", "Y", 3), max_shortfall=55),
        lambda: fallen(10, ("b", "Y", 3), max_shortfall=54),
        "the expected shortfall would be 54.90, more than 54",
    ),
    (
        "max_orders_per_minute",
        lambda: paced(MINUTE),
        lambda: paced(MINUTE - 1),
        "more than 2 orders in a minute",
    ),
]


@pytest.mark.parametrize(("rule", "within", "beyond", "reason"), CASES, ids=[case[0] for case in CASES])
def test_one_unit_within_passes_and_one_beyond_is_refused(
    rule: str, within: Callable[[], list[Any]], beyond: Callable[[], list[Any]], reason: str
) -> None:
    assert passed(within()).ref > 0
    assert vetoed(beyond()) == reason


def test_every_rule_has_its_boundary() -> None:
    assert {case[0] for case in CASES} == set(VETO)


# --- what they look at ------------------------------------------------------------------------------


def test_what_works_already_counts_at_its_worst() -> None:
    """Of a book the larger side: nine could be sold, or seven bought."""
    desk = Desk(("a", "X", -1), max_gross=1_000)
    desk.bar(100)
    passed(desk.order(BUY, 8, kind="limit", limit_price=90.0))
    passed(desk.order(SELL, 8, kind="limit", limit_price=110.0))
    assert passed(desk.order(SELL, 8)).quantity_lots == 1


def test_what_can_only_reduce_counts_for_nothing() -> None:
    desk = Desk(("b", "X", 8), max_symbol_net=1_000)
    desk.bar(100)
    passed(desk.order(SELL, 8, strategy="b", kind="limit", limit_price=110.0, reduce_only=True))
    assert passed(desk.order(SELL, 30)).quantity_lots == 18, "eight are held: ten short at most"


def test_the_tighter_of_a_symbols_own_limit_and_everybodys_counts() -> None:
    own = {"X": {"max_position": "3"}, "Y": {"max_position": "30"}}
    desk = Desk(max_position=10, symbols=own)
    assert passed(desk.order(BUY, 99)).quantity_lots == 3
    assert passed(desk.order(BUY, 99, symbol="Y")).quantity_lots == 10
    alone = Desk(symbols={"X": {"max_position": "3"}})
    assert passed(alone.order(BUY, 99)).quantity_lots == 3
    assert passed(alone.order(BUY, 99, symbol="Y")).quantity_lots == 99


def test_one_strategys_own_limit_is_nobody_elses() -> None:
    desk = Desk(strategies={"a": {"max_strategy_gross": "500"}})
    assert passed(desk.order(BUY, 99)).quantity_lots == 5
    assert passed(desk.order(BUY, 99, strategy="b")).quantity_lots == 99


def test_a_position_whose_price_is_not_known_cannot_be_judged_with() -> None:
    desk = Desk(("b", "Y", 1), max_gross=1_000)
    assert vetoed(desk.order(BUY, 1)) == "gross limit 1000 of the account, and no price of Y is known yet"
    desk.bar(50, symbol="Y")
    reason = vetoed(desk.order(BUY, 1, reference_price=0.0))
    assert reason == "gross limit 1000 of the account, and no price is known yet"


def test_without_equity_there_is_no_leverage() -> None:
    desk = Desk(max_leverage=3, equity=1)
    desk.mark(-5)
    assert vetoed(desk.order(BUY, 1)) == "leverage limit 3 of the account"


def test_a_mark_is_what_a_contract_is_held_against() -> None:
    desk = Desk(price_collar_bps=100, contract=True)
    desk.bar(10_000)
    desk.risk.on_mark(m.Mark("X", 20_000.0, 0.0, NOON))
    reason = vetoed(desk.order(BUY, 1, kind="limit", limit_price=10_000.0))
    assert reason == "10000 is more than 100 bps from the mark"
    passed(desk.order(BUY, 1, kind="limit", limit_price=20_000.0))


def test_the_newest_of_bars_and_ticks_is_the_last_price_and_the_newest_data() -> None:
    desk = Desk(price_collar_bps=100, max_data_age_s=60)
    desk.bar(10_000)
    desk.context.now_ns += 30 * SECOND
    desk.risk.on_trade(m.Trade("X", 1, 20_000.0, 1.0, BUY, desk.context.now_ns))
    passed(desk.order(BUY, 1, kind="limit", limit_price=20_000.0))
    desk.context.now_ns += 60 * SECOND
    passed(desk.order(BUY, 1, kind="limit", limit_price=20_000.0))
    desk.risk.on_book(m.BookSnapshot("X", 1, ((9_999.0, 1.0),), ((10_001.0, 1.0),), desk.context.now_ns))
    passed(desk.order(BUY, 1, kind="limit", limit_price=10_000.0))


def test_an_announced_funding_time_counts_for_the_whole_hours() -> None:
    desk = Desk(**FUNDED)
    desk.context.now_ns = LATE + 8 * 60 * MINUTE
    desk.risk.on_funding(m.Funding("X", 0.0001, LATE + 9 * 60 * MINUTE, LATE))
    passed(desk.order(BUY, 1))
    desk.context.now_ns = LATE + 9 * 60 * MINUTE - 4 * MINUTE
    assert vetoed(desk.order(BUY, 1)) == "within 5 minutes of a funding time"
    desk.context.now_ns = LATE + 9 * 60 * MINUTE + MINUTE
    desk.risk.on_funding(m.Funding("X", 0.0001, LATE + 17 * 60 * MINUTE, LATE))
    assert vetoed(desk.order(BUY, 1)) == "within 5 minutes of a funding time", "it has just been paid"


def test_spot_pays_no_funding() -> None:
    desk = Desk(funding_veto_minutes=5)
    desk.context.now_ns = LATE
    passed(desk.order(BUY, 1))


def test_a_trade_that_did_not_lose_ends_the_row() -> None:
    passed(lost(-1, -1, 0, -1, rest_s=0, max_consecutive_losses=3))


def test_fees_make_a_loss_of_a_small_profit() -> None:
    desk = Desk(max_consecutive_losses=1)
    desk.risk.on_trip(m.PositionChanged("a", "X", 1, 0, 0, 2, 0))
    desk.risk.on_trip(m.PositionChanged("a", "X", -1, 0, 3, 4, 0))
    assert "1 losing trades" in vetoed(desk.order(BUY, 5)), "turned round: bought for 2, sold for 2, made 3"
    passed(desk.order(BUY, 5, strategy="b"))


def test_the_regime_is_not_judged_before_its_bars_are_there() -> None:
    passed(after_bars(100, 150, 100, max_volatility="0.01", volatility_bars=3))
    passed(after_bars(100, 150, 100, max_shortfall="0.01", shortfall_tail="0.25", shortfall_bars=4))


def test_prices_that_stand_still_are_no_regime() -> None:
    passed(after_bars(*[100.0] * 9, max_volatility_ratio=1, volatility_bars=2, regime_bars=6))
    passed(after_bars(*[100.0] * 9, max_volatility="1e-9", volatility_bars=2, max_shortfall="1e-9"))


def test_an_order_that_lowers_the_shortfall_passes_however_large_that_is() -> None:
    passed(fallen(-3, ("a", "X", 0), ("b", "X", 100), max_shortfall=1))


@pytest.mark.parametrize(("marks", "breached"), [((-5, -5), False), ((0, 0), False), ((0, -1), True), ((-5, -6), True)])
def test_an_account_with_nothing_left_is_in_drawdown_once_it_loses(marks: Any, breached: bool) -> None:
    desk = Desk(max_drawdown="0.5", actions=VETO)
    for equity in marks:
        desk.mark(equity)
    assert isinstance(desk.order(BUY, 1)[0], m.RiskVeto) == breached


def test_margin_counts_every_working_order_at_its_worst() -> None:
    desk = Desk(("a", "X", -2), max_margin=1, equity=100, contract=True, margin=on_margin())
    desk.bar(100)
    passed(desk.order(BUY, 8, strategy="b", kind="limit", limit_price=90.0))
    passed(desk.order(SELL, 4, strategy="b", kind="limit", limit_price=110.0))
    assert passed(desk.order(SELL, 99)).quantity_lots == 4, "two and four short, four more: ten, at ten each"


def test_on_isolated_margin_the_leverage_decides_how_far_liquidation_is() -> None:
    far = {"contract": True, "equity": 10**6}
    for leverage, passes in ((2, True), (5, False)):
        margin = on_margin(leverage, "0.01", isolated=True)
        terms: Any = {"margin": margin, "min_liquidation_distance": "0.3"} | far
        desk = Desk(**terms)
        desk.bar(100)
        assert isinstance(desk.order(BUY, 1)[0], m.OrderRequest) == passes


def test_a_hedge_makes_no_liquidation_nearer() -> None:
    desk = Desk(("b", "X", 5), min_liquidation_distance="0.5", equity=260, contract=True, margin=on_margin())
    desk.bar(100)
    assert passed(desk.order(SELL, 99)).quantity_lots == 10, "from five long to five short"


def test_a_position_that_drifts_towards_its_liquidation_may_be_closed_before() -> None:
    actions = {"min_liquidation_distance": "flatten"}
    terms: Any = {"contract": True, "margin": on_margin(), "actions": actions}
    desk = Desk(("a", "X", 1), min_liquidation_distance="0.2", equity=60, **terms)
    desk.bar(100)
    assert desk.mark(60) == []
    reason = "X would be less than 0.2 of its price from liquidation"
    assert desk.mark(59) == [m.LimitBreached("min_liquidation_distance", "flatten", reason)]


def test_spot_is_no_margin_and_takes_none() -> None:
    """What is held on spot stands behind nothing."""
    terms: Any = {"margin": {"X": on_margin()["X"]}, "contract": True}
    desk = Desk(("b", "Y", 4), min_liquidation_distance="0.2", max_margin=1, equity=260, **terms)
    desk.bar(100)
    desk.bar(50, symbol="Y")
    passed(desk.order(BUY, 1))
    desk.mark(259.5)
    assert "less than 0.2" in vetoed(desk.order(BUY, 1, strategy="b"))
    passed(desk.order(BUY, 10**6, symbol="Y"))


def test_history_counts_for_the_regime() -> None:
    desk = Desk(max_volatility=1, volatility_bars=2)
    for index, close in enumerate((100.0, 150.0, 100.0)):
        close_ns = NOON + index * MINUTE
        bar = m.Bar("X", MINUTE, close_ns - MINUTE, close_ns, close, close, close, close, 1.0)
        desk.risk.on_history(m.HistoryBar(bar))
    assert "volatility" in vetoed(desk.order(BUY, 1))
    assert desk.risk.history_bars == 3


def test_the_rules_see_the_week_and_the_peak_after_a_restart() -> None:
    desk = Desk(max_weekly_loss=100, max_drawdown="0.5", max_gap="0.02", max_consecutive_losses=1, actions=VETO)
    desk.mark(1_000)
    desk.mark(400)
    desk.risk.on_trip(m.PositionChanged("b", "X", 1, 0, 0, 0, 0))
    desk.risk.on_trip(m.PositionChanged("b", "X", 0, 0, -1, 0, 0))
    desk.bars(100, 200)
    other = desk.again()
    assert vetoed(other.order(BUY, 1)) == "weekly loss limit 100 reached"
    cases: list[tuple[Any, str]] = [
        ({"max_drawdown": "0.5"}, "drawdown limit 0.5 reached"),
        ({"max_gap": "0.02"}, "X has gapped by more than 0.02, with its newest bar"),
        ({"max_consecutive_losses": 1}, "1 losing trades in a row: nothing is opened for 3480 s"),
    ]
    for limits, reason in cases:
        third = Desk(**limits, actions=VETO)
        third.context.now_ns = desk.context.now_ns
        third.risk.load(desk.risk.dump())
        assert vetoed(third.order(BUY, 1, strategy="b")) == reason


def test_a_change_is_judged_by_the_stop_the_order_was_given_with() -> None:
    """Of an equity of 1000 one hundredth may be lost: 2 lots by 5, or one by 10."""
    for protection, nearer in (({"protective_stop": 95.0}, m.AmendVeto), ({"stop_distance": 5.0}, m.AmendRequest)):
        desk = Desk(max_trade_risk="0.01", equity=1_000)
        terms: Any = {"kind": "limit", "limit_price": 100.0, **protection}
        ref = passed(desk.order(BUY, 1, **terms)).ref
        desk = desk.again()
        assert desk.amend(ref, 2) == m.AmendRequest("a", "X", ref, 2, 100, 0)
        desk.risk.on_amended(m.Amended("o", "a", "X", ref, "p", 2, 100, 0))
        assert isinstance(desk.amend(ref, 3), m.AmendVeto)
        assert isinstance(desk.amend(ref, 2, 101.0), nearer), "a distance moves along with the price"
    desk = Desk(max_trade_risk="0.01", equity=1_000)
    ref = passed(desk.order(BUY, 2, kind="limit", limit_price=100.0, protective_stop=95.0)).ref
    assert desk.amend(ref, 0, 101.0) == m.AmendVeto("a", "X", ref, "trade risk limit 0.01 of the equity")
    assert desk.amend(ref, 0, 95.0).reason == "the protective stop is not on the losing side of the order's price, 95"
    assert isinstance(desk.amend(ref, 1, 105.0), m.AmendRequest)


def test_what_moves_against_a_symbol_counts_the_other_way_round() -> None:
    """Y falls when X rises: long of both is a hedge, and long of X and short of Y is the same bet twice."""
    against = [100 - (y - 50) for y in MOVED_Y]
    for held_lots, most_lots in ((4, 14), (-4, 6)):
        desk = Desk(("b", "Y", held_lots), max_correlated_net=1_000, correlation_bars=4, tick="0.1")
        walk(desk, X=MOVED_X, Y=against)
        assert passed(desk.order(BUY, 99)).quantity_lots == most_lots
        assert "Y (-0.9" in desk.risk.judge.counts["max_correlated_net"].reason


def test_an_order_is_judged_in_the_group_of_everything_that_is_held() -> None:
    """X and Z have nothing to do with each other, and both move with Y: a Y at 102 and five Z at 101 leave 393."""
    steps = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 1))
    x, y, z = [100.0], [100.0], [100.0]
    for first, second in steps:
        x.append(x[-1] * (1 + first / 100))
        y.append(y[-1] * (1 + (first + second) / 100))
        z.append(z[-1] * (1 + second / 100))
    for held_lots, most_lots in ((0, 10), (1, 3)):
        limit: Any = {"max_correlated_gross": 1_000, "correlation_threshold": "0.7", "correlation_bars": 4}
        desk = Desk(("b", "Y", held_lots), ("b", "Z", 5), **limit)
        walk(desk, X=x, Y=y, Z=z)
        assert passed(desk.again().order(BUY, 99)).quantity_lots == most_lots


def test_bars_that_do_not_close_together_are_compared_between_the_closes_they_share() -> None:
    chance = random.Random(7)
    walked = [100.0]
    for _ in range(200):
        walked.append(walked[-1] * (1 + chance.uniform(-0.01, 0.01)))
    limit: Any = {"max_correlated_gross": 1_000, "correlation_threshold": "0.999999"}
    for every, most_lots in ((2, 5), (4, 10)):
        desk = Desk(("b", "Y", 5), tick="0.01", correlation_bars=50, **limit)
        for minute, price in enumerate(walked):
            desk.context.now_ns += MINUTE
            desk.bar(price)
            if minute % every == 0:
                desk.bar(price, symbol="Y", timeframe_ns=every * MINUTE)
        desk.context.now_ns += MINUTE
        desk.bar(100)
        desk.bar(100, symbol="Y")
        assert passed(desk.order(BUY, 99)).quantity_lots == most_lots, "of fifty minutes they share half, or too few"


def test_what_stands_still_moves_with_nothing() -> None:
    for growth in (1.0, 1.01):
        desk = Desk(("b", "Y", 5), max_correlated_gross=1_000, correlation_bars=4, tick="0.01")
        walk(desk, X=MOVED_X, Y=[100 * growth**at for at in range(5)])
        assert desk.risk._given.windows.correlation("X", "Y", 4) is None
