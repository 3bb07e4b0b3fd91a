"""The kinds that polars computes too, each as the one expression a user of polars would write for it.

The same numbers once the first rows are over, which `bench.ours.indicators` checks before it compares.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

Made = pl.Expr | tuple[pl.Expr, ...]

PERCENT = 100.0


def bands(column: pl.Expr, period: int, deviations: float) -> Made:
    """Return Bollinger's three."""
    middle, away = column.rolling_mean(period), deviations * column.rolling_std(period, ddof=0)
    return middle + away, middle, middle - away


def channel(high: pl.Expr, low: pl.Expr, period: int) -> Made:
    """Return Donchian's three."""
    upper, lower = high.rolling_max(period), low.rolling_min(period)
    return upper, (upper + lower) / 2, lower


def true_range(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the range of each bar with the close before it."""
    before = close.shift()
    return pl.max_horizontal(high, before) - pl.min_horizontal(low, before)


def wilder(column: pl.Expr, period: int) -> pl.Expr:
    """Return Wilder's average, which begins with the first value instead of a mean."""
    return column.ewm_mean(alpha=1 / period, adjust=False)


def of_returns(column: pl.Expr) -> pl.Expr:
    """Return logarithmic returns."""
    return column.log().diff()


POLARS: dict[str, Callable[..., Made]] = {
    "absolute": lambda column: column.abs(),
    "atr": lambda high, low, close, period: wilder(true_range(high, low, close), period),
    "bbands": bands,
    "change": lambda column, bars: column.diff(bars),
    "clip": lambda column, low, high: column.clip(low, high),
    "correl": lambda left, right, period: pl.rolling_corr(left, right, window_size=period),
    "covariance": lambda left, right, period: pl.rolling_cov(left, right, window_size=period, ddof=0),
    "donchian": channel,
    "drawdown": lambda column: column / column.cum_max() - 1,
    "ema": lambda column, period: column.ewm_mean(span=period, adjust=False),
    "exp": lambda column: column.exp(),
    "highest": lambda column, period: column.rolling_max(period),
    "historical_volatility": lambda column, period, _: of_returns(column).rolling_std(period),
    "kurtosis": lambda column, period: column.rolling_kurtosis(period),
    "lag": lambda column, bars: column.shift(bars),
    "log": lambda column: column.log(),
    "log_return": lambda column, bars: column.log().diff(bars),
    "lowest": lambda column, period: column.rolling_min(period),
    "maximum": pl.max_horizontal,
    "median": lambda column, period: column.rolling_median(period),
    "midpoint": lambda column, period: (column.rolling_max(period) + column.rolling_min(period)) / 2,
    "midprice": lambda high, low, period: (high.rolling_max(period) + low.rolling_min(period)) / 2,
    "minimum": pl.min_horizontal,
    "mom": lambda column, period: column.diff(period),
    "percentile": lambda column, period, percent: column.rolling_quantile(
        percent / PERCENT, "lower", window_size=period
    ),
    "percentrank": lambda column, period: (column.rolling_rank(period + 1, "min") - 1) * PERCENT / period,
    "quantile": lambda column, period, share: column.rolling_quantile(share, "linear", window_size=period),
    "rma": wilder,
    "roc": lambda column, period: column.pct_change(period) * PERCENT,
    "rocp": lambda column, period: column.pct_change(period),
    "rocr": lambda column, period: column / column.shift(period),
    "sign": lambda column: column.sign(),
    "skew": lambda column, period: column.rolling_skew(period),
    "sma": lambda column, period: column.rolling_mean(period),
    "sqrt": lambda column: column.sqrt(),
    "stddev": lambda column, period: column.rolling_std(period, ddof=0),
    "total": lambda column, period: column.rolling_sum(period),
    "trange": true_range,
    "var": lambda column, period: column.rolling_var(period, ddof=0),
    "vwma": lambda column, volume, period: (column * volume).rolling_sum(period) / volume.rolling_sum(period),
    "where": lambda condition, yes, no: pl.when(condition != 0).then(yes).otherwise(no),
    "wma": lambda column, period: column.rolling_mean(period, weights=[float(one + 1) for one in range(period)]),
    "zscore": lambda column, period: (column - column.rolling_mean(period)) / column.rolling_std(period, ddof=0),
}
"""By kind, from what it reads and its parameters."""
