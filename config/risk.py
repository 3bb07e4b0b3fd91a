"""The limits on what may be traded, in the order in which they are checked, and what happens at each.

Every limit is off until it is set. Money is in quote units, a fraction of the equity is of the equity at the last
bar close. A limit is what may still be reached: one unit more is a breach; a loss is a breach once it is reached.
"""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from config.hours import open_minutes
from config.section import Count, Seconds, Section, check_bounds

GateAction = Literal["veto", "pause", "cancel_all", "flatten", "halt"]
"""What a rule can do that either lets an order pass or not."""
SizeAction = Literal["veto", "clip", "pause", "cancel_all", "flatten", "halt"]
"""What a rule can do that also knows how much of an order would pass."""

_TINY = Decimal("1e-12")
_LEVERAGE_MAX = 1_000
_LEVERAGES = dict.fromkeys(("max_leverage", "max_symbol_leverage", "max_strategy_leverage"), _LEVERAGE_MAX)
_FRACTIONS = ("max_drawdown", "max_trade_risk", "max_margin", "min_liquidation_distance")
_BPS = 10_000
_Bars = Annotated[int, Meta(ge=2, le=100_000)]


class RiskActions(Section, frozen=True):
    """What happens at each limit.

    ``veto`` refuses the order, ``clip`` cuts it to what fits. The others refuse it, too, and then act on the account,
    once until trading is resumed: ``pause``; ``cancel_all``, which also withdraws every order; ``flatten``, which also
    closes every position; ``halt``, which brings it to `supervision.safe_state`.
    """

    max_daily_loss: GateAction = "halt"
    max_weekly_loss: GateAction = "halt"
    max_drawdown: GateAction = "halt"
    max_consecutive_losses: GateAction = "veto"
    trading_hours: GateAction = "veto"
    funding_veto_minutes: GateAction = "veto"
    max_data_age_s: GateAction = "veto"
    max_spread_bps: GateAction = "veto"
    price_collar_bps: GateAction = "veto"
    max_volatility: GateAction = "veto"
    max_volatility_ratio: GateAction = "veto"
    max_gap: GateAction = "veto"
    max_orders_per_minute: GateAction = "veto"
    max_open_orders: GateAction = "veto"
    max_order_notional: SizeAction = "veto"
    max_trade_risk: SizeAction = "clip"
    max_position: SizeAction = "clip"
    max_notional: SizeAction = "clip"
    max_symbol_position: SizeAction = "clip"
    max_symbol_net: SizeAction = "clip"
    max_symbol_gross: SizeAction = "clip"
    max_symbol_leverage: SizeAction = "clip"
    max_group_net: SizeAction = "clip"
    max_group_gross: SizeAction = "clip"
    max_correlated_net: SizeAction = "clip"
    max_correlated_gross: SizeAction = "clip"
    max_strategy_net: SizeAction = "clip"
    max_strategy_gross: SizeAction = "clip"
    max_strategy_leverage: SizeAction = "clip"
    max_net: SizeAction = "clip"
    max_gross: SizeAction = "clip"
    max_leverage: SizeAction = "clip"
    max_margin: SizeAction = "clip"
    min_liquidation_distance: SizeAction = "clip"
    max_shortfall: GateAction = "veto"


class SymbolRisk(Section, frozen=True):
    """Limits of one symbol, besides those of every symbol: the tighter one counts."""

    max_position: Decimal | None = None
    """Largest |position| of one strategy in it, in base units."""
    max_symbol_position: Decimal | None = None
    """Largest |position| of all strategies together in it, in base units."""
    max_symbol_net: Decimal | None = None
    """Largest |net position| of all strategies in it, in quote units."""
    max_symbol_gross: Decimal | None = None
    """Largest sum of their |positions| in it, in quote units."""
    max_symbol_leverage: Decimal | None = None
    """The same as a multiple of the equity."""

    def __post_init__(self) -> None:
        """Check what Meta cannot."""
        _check_limits(self, _LEVERAGES)


class StrategyRisk(Section, frozen=True):
    """Limits of one strategy, besides those of every strategy: the tighter one counts."""

    max_strategy_net: Decimal | None = None
    """Largest |net position| over all its symbols, in quote units."""
    max_strategy_gross: Decimal | None = None
    """Largest sum of its |positions|, in quote units."""
    max_strategy_leverage: Decimal | None = None
    """The same as a multiple of the account's equity."""

    def __post_init__(self) -> None:
        """Check what Meta cannot."""
        _check_limits(self, _LEVERAGES)


class GroupRisk(Section, frozen=True):
    """Symbols that move together, and what may be held of them at once."""

    symbols: tuple[str, ...]
    """Its members; a symbol may be in several groups."""
    max_group_net: Decimal | None = None
    """Largest |net position| over all its symbols, in quote units."""
    max_group_gross: Decimal | None = None
    """Largest sum of the |positions| in its symbols, in quote units."""

    def __post_init__(self) -> None:
        """Check what Meta cannot."""
        _check_limits(self, {})


class Risk(Section, frozen=True):
    """Limits, all off unless set (``real`` mode insists on three of them)."""

    max_daily_loss: Decimal | None = None
    """Loss of equity since 00:00 UTC, in quote units, at which trading halts."""
    max_weekly_loss: Decimal | None = None
    """Loss of equity since Monday 00:00 UTC, in quote units, at which trading halts."""
    max_drawdown: Decimal | None = None
    """Loss of equity since its highest close in the session, as a fraction of that, at which trading halts."""
    max_consecutive_losses: Count | None = None
    """After so many losing trades of a strategy in a row it opens nothing for a while."""
    loss_cooldown_s: Seconds = 3_600.0
    """That while, from the last of them on."""
    trading_hours: tuple[str, ...] = ()
    """Positions are opened only within these windows, in UTC, such as ``mon-fri 08:00-16:30``; always if empty."""
    funding_veto_minutes: Annotated[float, Meta(gt=0, le=720)] | None = None
    """Contracts are not opened so shortly before or after a funding time."""
    funding_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 8
    """Where the venue announces none, funding times are the whole multiples of this from 00:00 UTC."""
    max_data_age_s: Seconds | None = None
    """Nothing is opened when a symbol's newest bar close, trade, quote or book is older."""
    max_spread_bps: Decimal | None = None
    """Nothing is opened while a symbol's spread is wider, in 1/10,000 of its middle; where quotes or books are fed."""
    price_collar_bps: Decimal | None = None
    """Farthest an order's own prices may be from the mark, or the last price, in 1/10,000 of it."""
    max_volatility: Decimal | None = None
    """Nothing is opened while a symbol's volatility over `volatility_bars` is higher, as a fraction a year."""
    max_volatility_ratio: Decimal | None = None
    """Nothing is opened while that volatility is more than so many times the one over `regime_bars`."""
    volatility_bars: _Bars = 60
    """Bars the volatility is taken over; until there are as many, its rule says nothing."""
    regime_bars: _Bars = 1_440
    """Bars its usual level is taken over, likewise."""
    max_gap: Decimal | None = None
    """After a symbol has opened farther from its last close than this fraction of it, nothing is opened for a while."""
    gap_bars: Count = 60
    """That while, in its bars."""
    max_orders_per_minute: Count | None = None
    """Largest number of orders of the whole account in any 60 seconds; exits and cancels do not wait."""
    max_open_orders: Count | None = None
    """Largest number of orders of the whole account that work at once; exits do not wait."""
    max_order_notional: Decimal | None = None
    """Largest value of one order, in quote units, at the highest of its own prices and the last."""
    max_trade_risk: Decimal | None = None
    """Largest loss of one order at its protective stop, as a fraction of the equity; without a stop it is refused."""
    max_position: Decimal | None = None
    """Largest |position| of one strategy in one symbol, in base units."""
    max_notional: Decimal | None = None
    """Largest |position| of one strategy in one symbol, in quote units at the price of the decision."""
    max_symbol_position: Decimal | None = None
    """Largest |position| of all strategies together in one symbol, in base units."""
    max_symbol_net: Decimal | None = None
    """The same in quote units."""
    max_symbol_gross: Decimal | None = None
    """Largest sum of the |positions| of all strategies in one symbol, in quote units."""
    max_symbol_leverage: Decimal | None = None
    """The same as a multiple of the equity."""
    max_correlated_net: Decimal | None = None
    """Largest |net position| of a symbol and all that moves with it; what moves against it counts the other way."""
    max_correlated_gross: Decimal | None = None
    """Largest sum of the |positions| in a symbol and all that moves with or against it, likewise in quote units."""
    correlation_threshold: Decimal = Decimal("0.8")
    """Symbols whose returns have at least this correlation move together; at minus this or less, against each other."""
    correlation_bars: _Bars = 500
    """Bars it is taken over; until there are as many of both, two symbols do not move together."""
    max_strategy_net: Decimal | None = None
    """Largest |net position| of one strategy over all its symbols, in quote units."""
    max_strategy_gross: Decimal | None = None
    """Largest sum of one strategy's |positions|, in quote units."""
    max_strategy_leverage: Decimal | None = None
    """The same as a multiple of the account's equity."""
    max_net: Decimal | None = None
    """Largest |net position| of the account over all symbols, in quote units."""
    max_gross: Decimal | None = None
    """Largest sum of all |positions| of the account, in quote units."""
    max_leverage: Decimal | None = None
    """The same as a multiple of the equity."""
    max_margin: Decimal | None = None
    """Largest initial margin of all contracts and their working orders, as a fraction of the equity."""
    min_liquidation_distance: Decimal | None = None
    """Shortest way of a contract's price to where its position is liquidated, as a fraction of it, on being opened."""
    max_shortfall: Decimal | None = None
    """Largest expected shortfall of all positions over one bar, in quote units: the mean of its worst losses."""
    shortfall_tail: Decimal = Decimal("0.025")
    """Which losses are its worst: this fraction of the last `shortfall_bars`."""
    shortfall_bars: _Bars = 500
    """Bars the shortfall is taken over; with fewer than the tail needs to hold one, the rule says nothing."""
    actions: RiskActions = RiskActions()
    symbols: dict[str, SymbolRisk] = field(default_factory=dict)
    """Limits of single symbols."""
    strategies: dict[str, StrategyRisk] = field(default_factory=dict)
    """Limits of single strategies."""
    groups: dict[str, GroupRisk] = field(default_factory=dict)
    """Groups of symbols under names of one's own."""

    def __post_init__(self) -> None:
        """Check what Meta cannot."""
        _check_limits(self, dict.fromkeys(_FRACTIONS, 1) | {"price_collar_bps": _BPS} | _LEVERAGES)
        check_bounds("shortfall_tail", self.shortfall_tail, Decimal("0.0001"), Decimal("0.5"))
        check_bounds("correlation_threshold", self.correlation_threshold, Decimal("0.01"), 1)
        if self.regime_bars <= self.volatility_bars:
            message = f"regime_bars must be more than volatility_bars, {self.volatility_bars}, not {self.regime_bars}"
            raise ValueError(message)
        try:
            open_minutes(self.trading_hours)
        except ValueError as error:
            message = f"trading_hours: {error}"
            raise ValueError(message) from error


def _check_limits(section: Section, highest: dict[str, int]) -> None:
    """Check every limit of a table that is a decimal: positive, and no larger than `highest` has it."""
    for limit in msgspec.structs.fields(type(section)):
        if limit.type == Decimal | None:
            check_bounds(limit.name, getattr(section, limit.name), _TINY, highest.get(limit.name))
