"""The rules that are switched on, in the order in which every order that opens something is judged by them.

1. the account: daily loss, weekly loss, drawdown; losing trades in a row;
2. the hour: trading hours, funding times;
3. the market: age of the data, spread, price collar, volatility, its ratio to the usual, gaps;
4. the pace: orders in a minute, open orders;
5. the order: its notional, its risk;
6. the book, the symbol, its groups, those that are found, the strategy, the account: position, net, gross, leverage;
7. contracts on margin: what they take of the equity, how far they are from liquidation;
8. the tail: expected shortfall.

Each is asked about what those before it have left of the order; the first that leaves nothing that opens is the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.risk.rules.base import Ceiling, Need, Proposal, Rule, Verdict
from actors.risk.rules.exposure import Correlated, Leverage, Measure, Scope, SymbolPosition, Together
from actors.risk.rules.loss import Cooldown, DailyLoss, Drawdown, WeeklyLoss
from actors.risk.rules.margin import LiquidationDistance, MarginUse
from actors.risk.rules.market import (
    DataAge,
    FundingTime,
    Gap,
    PriceCollar,
    Shortfall,
    Spread,
    TradingHours,
    Volatility,
    VolatilityRatio,
)
from actors.risk.rules.pace import OpenOrders, OrderRate
from actors.risk.rules.size import Notional, OrderNotional, Position, TradeRisk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.risk.sources import Sources
    from config.risk import Risk as Limits
    from config.section import Section

__all__ = ["Need", "Proposal", "Rule", "Verdict", "make_rules"]

_MEASURES: tuple[Measure, ...] = ("net", "gross", "leverage")


def make_rules(limits: Limits, given: Sources) -> tuple[Rule, ...]:
    """Return the rules that `limits` switches on, in order."""
    return (
        *_account_rules(limits, given),
        *_market_rules(limits, given),
        *_pace_rules(limits, given),
        *_order_rules(limits, given),
        *_exposure_rules(limits, given),
        *_margin_rules(limits, given),
        *_tail_rules(limits, given),
    )


def _account_rules(limits: Limits, given: Sources) -> list[Rule]:
    do, rules = limits.actions, list[Rule]()
    if limits.max_daily_loss is not None:
        rules.append(DailyLoss(limits.max_daily_loss, do.max_daily_loss, given.equity))
    if limits.max_weekly_loss is not None:
        rules.append(WeeklyLoss(limits.max_weekly_loss, do.max_weekly_loss, given.equity))
    if limits.max_drawdown is not None:
        rules.append(Drawdown(limits.max_drawdown, do.max_drawdown, given.equity))
    if limits.max_consecutive_losses is not None:
        most, rest_s = limits.max_consecutive_losses, limits.loss_cooldown_s
        rules.append(Cooldown(most, rest_s, do.max_consecutive_losses, given.streaks, given.context))
    return rules


def _market_rules(limits: Limits, given: Sources) -> list[Rule]:
    do, rules = limits.actions, list[Rule]()
    newest, windows, context = given.newest, given.windows, given.context
    if limits.trading_hours:
        rules.append(TradingHours(limits.trading_hours, do.trading_hours, context))
    if limits.funding_veto_minutes is not None:
        around, every = limits.funding_veto_minutes, limits.funding_hours
        rules.append(FundingTime(around, every, do.funding_veto_minutes, newest, context))
    if limits.max_data_age_s is not None:
        rules.append(DataAge(limits.max_data_age_s, do.max_data_age_s, newest, context))
    if limits.max_spread_bps is not None:
        rules.append(Spread(limits.max_spread_bps, do.max_spread_bps, newest))
    if limits.price_collar_bps is not None:
        rules.append(PriceCollar(limits.price_collar_bps, do.price_collar_bps, newest))
    bars = limits.volatility_bars
    if limits.max_volatility is not None:
        rules.append(Volatility(limits.max_volatility, bars, do.max_volatility, windows))
    if limits.max_volatility_ratio is not None:
        most, usual = limits.max_volatility_ratio, limits.regime_bars
        rules.append(VolatilityRatio(most, bars, usual, do.max_volatility_ratio, windows))
    if limits.max_gap is not None:
        rules.append(Gap(limits.max_gap, limits.gap_bars, do.max_gap, windows))
    return rules


def _pace_rules(limits: Limits, given: Sources) -> list[Rule]:
    do, rules = limits.actions, list[Rule]()
    if limits.max_orders_per_minute is not None:
        rules.append(OrderRate(limits.max_orders_per_minute, do.max_orders_per_minute, given.pace))
    if limits.max_open_orders is not None:
        rules.append(OpenOrders(limits.max_open_orders, do.max_open_orders, given.books))
    return rules


def _order_rules(limits: Limits, given: Sources) -> list[Rule]:
    do, rules = limits.actions, list[Rule]()
    if limits.max_order_notional is not None:
        rules.append(OrderNotional(limits.max_order_notional, do.max_order_notional, given.newest))
    if limits.max_trade_risk is not None:
        rules.append(TradeRisk(limits.max_trade_risk, do.max_trade_risk, given.equity))
    return rules


def _exposure_rules(limits: Limits, given: Sources) -> list[Rule]:
    do, rules = limits.actions, list[Rule]()
    own = {symbol: risk.max_position for symbol, risk in limits.symbols.items()}
    if most := Ceiling(limits.max_position, own):
        rules.append(Position(most, do.max_position))
    if limits.max_notional is not None:
        rules.append(Notional(limits.max_notional, do.max_notional))
    own = {symbol: risk.max_symbol_position for symbol, risk in limits.symbols.items()}
    if most := Ceiling(limits.max_symbol_position, own):
        rules.append(SymbolPosition(most, do.max_symbol_position))
    tables: tuple[tuple[Scope, str, Mapping[str, Section]], ...] = (
        ("symbol", "max_symbol_", limits.symbols),
        ("group", "max_group_", limits.groups),
        ("strategy", "max_strategy_", limits.strategies),
        ("account", "max_", {}),
    )
    for scope, prefix, tables_of in tables:
        for measure in _MEASURES:
            name = f"{prefix}{measure}"
            own = {subject: getattr(table, name, None) for subject, table in tables_of.items()}
            if most := Ceiling(getattr(limits, name, None), own):
                kind = Leverage if measure == "leverage" else Together
                rules.append(kind(name, scope, measure, most, getattr(do, name), given, limits.groups))
        if scope == "group":
            rules += _correlation_rules(limits, given)
    return rules


def _correlation_rules(limits: Limits, given: Sources) -> list[Rule]:
    do, how = limits.actions, (limits.correlation_threshold, limits.correlation_bars)
    rules = list[Rule]()
    if limits.max_correlated_net is not None:
        name = "max_correlated_net"
        rules.append(Correlated(name, "net", limits.max_correlated_net, *how, do.max_correlated_net, given))
    if limits.max_correlated_gross is not None:
        name = "max_correlated_gross"
        rules.append(Correlated(name, "gross", limits.max_correlated_gross, *how, do.max_correlated_gross, given))
    return rules


def _margin_rules(limits: Limits, given: Sources) -> list[Rule]:
    do, rules = limits.actions, list[Rule]()
    if limits.max_margin is not None:
        rules.append(MarginUse(limits.max_margin, do.max_margin, given))
    if limits.min_liquidation_distance is not None:
        rules.append(LiquidationDistance(limits.min_liquidation_distance, do.min_liquidation_distance, given))
    return rules


def _tail_rules(limits: Limits, given: Sources) -> list[Rule]:
    if limits.max_shortfall is None:
        return []
    bars, tail, action = limits.shortfall_bars, limits.shortfall_tail, limits.actions.max_shortfall
    return [Shortfall(limits.max_shortfall, bars, tail, action, given.windows, given.newest, given.instruments)]
