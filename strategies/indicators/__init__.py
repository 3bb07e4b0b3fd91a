"""Indicators: declare them, then step through bars or whole columns with the same kernel.

    fast = ema(20)
    state = fast.start()
    (value,) = state.step(101.5)
    (values,) = state.batch(closes)

`kinds` says what there is, `declaration` what a declaration is, `state` runs it, `kernels` computes,
and `cache` keeps what was compiled.  Importing this package loads none of the latter three.
"""

from strategies.indicators.declaration import KINDS, Indicator, Kind, Param
from strategies.indicators.kinds.averages import ema, sma
from strategies.indicators.kinds.oscillators import rsi
from strategies.indicators.kinds.volatility import atr, bbands, highest, lowest, stddev

__all__ = [
    "KINDS",
    "Indicator",
    "Kind",
    "Param",
    "atr",
    "bbands",
    "ema",
    "highest",
    "lowest",
    "rsi",
    "sma",
    "stddev",
]
