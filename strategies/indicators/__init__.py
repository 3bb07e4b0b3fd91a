"""Indicators: declare them, then step through bars or whole columns with the same kernel.

    fast = ema(20)
    state = fast.start()
    (value,) = state.step(101.5)
    (values,) = state.batch(closes)

`declaration` says what can be asked for, `state` runs it, `kernels` computes, and `cache` keeps
what was compiled.  Importing this package loads none of the latter three.
"""

from strategies.indicators.declaration import (
    Indicator,
    atr,
    bbands,
    ema,
    highest,
    lowest,
    rsi,
    sma,
    stddev,
)

__all__ = ["Indicator", "atr", "bbands", "ema", "highest", "lowest", "rsi", "sma", "stddev"]
