"""The strategies in the box, by the name `--strategy` takes.

A name maps to ``module:class`` so that only the one asked for is imported.
"""

BUILT_IN = {
    "bollinger_reversion": "strategies.library.bollinger_reversion:BollingerReversion",
    "breakout": "strategies.library.breakout:Breakout",
    "buy_and_hold": "strategies.library.buy_and_hold:BuyAndHold",
    "dca": "strategies.library.dca:Dca",
    "ema_cross": "strategies.library.ema_cross:EmaCross",
    "funding_carry": "strategies.library.funding_carry:FundingCarry",
    "grid": "strategies.library.grid:Grid",
    "market_maker": "strategies.library.market_maker:MarketMaker",
    "pairs": "strategies.library.pairs:Pairs",
    "rotation": "strategies.library.rotation:Rotation",
    "rsi2": "strategies.library.rsi2:Rsi2",
    "rule": "strategies.library.rule:Rule",
    "supertrend": "strategies.library.supertrend:Supertrend",
    "turtle": "strategies.library.turtle:Turtle",
}
