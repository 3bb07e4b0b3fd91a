"""Indicators: declare them, then step through bars or whole columns with the same kernel.

    fast = ema(20)
    state = fast.start()
    (value,) = state.step(101.5)
    (values,) = state.batch(closes)

`kinds` says what there is, `declaration` what a declaration is, `state` runs it, `kernels` computes,
and `cache` keeps what was compiled.  Importing this package loads none of the latter three.
"""

from strategies.indicators.custom import custom
from strategies.indicators.declaration import KINDS, Indicator, Kind, Param
from strategies.indicators.expression import (
    Column,
    Expression,
    close,
    external,
    high,
    hl2,
    hlc3,
    low,
    ohlc4,
    volume,
)
from strategies.indicators.kinds.averages import ema, sma
from strategies.indicators.kinds.oscillators import rsi
from strategies.indicators.kinds.statistics import (
    autocorrelation,
    beta,
    correl,
    covariance,
    linearreg,
    linearreg_angle,
    linearreg_intercept,
    linearreg_slope,
    r2,
    regression_beta,
    tsf,
)
from strategies.indicators.kinds.transforms import (
    absolute,
    bars_since,
    change,
    clip,
    crossed_above,
    crossed_below,
    exp,
    lag,
    log,
    maximum,
    minimum,
    sign,
    sqrt,
    where,
)
from strategies.indicators.kinds.trend import (
    adx,
    adxr,
    dmi,
    dx,
    minus_di,
    minus_dm,
    plus_di,
    plus_dm,
)
from strategies.indicators.kinds.volatility import (
    atr,
    bbands,
    highest,
    lowest,
    stddev,
)

__all__ = [
    "KINDS",
    "Column",
    "Expression",
    "Indicator",
    "Kind",
    "Param",
    "absolute",
    "adx",
    "adxr",
    "atr",
    "autocorrelation",
    "bars_since",
    "bbands",
    "beta",
    "change",
    "clip",
    "close",
    "correl",
    "covariance",
    "crossed_above",
    "crossed_below",
    "custom",
    "dmi",
    "dx",
    "ema",
    "exp",
    "external",
    "high",
    "highest",
    "hl2",
    "hlc3",
    "lag",
    "linearreg",
    "linearreg_angle",
    "linearreg_intercept",
    "linearreg_slope",
    "log",
    "low",
    "lowest",
    "maximum",
    "minimum",
    "minus_di",
    "minus_dm",
    "ohlc4",
    "plus_di",
    "plus_dm",
    "r2",
    "regression_beta",
    "rsi",
    "sign",
    "sma",
    "sqrt",
    "stddev",
    "tsf",
    "volume",
    "where",
]
