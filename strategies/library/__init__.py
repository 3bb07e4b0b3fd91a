"""The strategies in the box, by the name `--strategy` takes.

A name maps to ``module:class`` so that only the one asked for is imported.
"""

BUILT_IN = {
    "bollinger_reversion": "strategies.library.bollinger_reversion:BollingerReversion",
    "ema_cross": "strategies.library.ema_cross:EmaCross",
}
