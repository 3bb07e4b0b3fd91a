"""The 15-minute pipeline: a ready set of features over everything a market tells, by groups.

    pipeline()                                             every group that bars alone can feed
    pipeline(told={"funding"}, external=("fear_greed",))   and funding, and a sentiment series
    pipeline(groups=("trend", "merges"), merges=("1h",))   two of the groups

A column keeps its name and its meaning; new ones are added behind those of their group. What is a price is told
relative to the close, or in units of the average true range, so that a column means the same in every year and on
every market. Nothing depends on where a series began, but for averages that fade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.errors import UserError, nearest
from strategies.indicators import (
    Column,
    absolute,
    aroonosc,
    atr,
    autocorrelation,
    bars_since,
    bbands,
    cdl_3blackcrows,
    cdl_3whitesoldiers,
    cdl_doji,
    cdl_engulfing,
    cdl_eveningstar,
    cdl_hammer,
    cdl_harami,
    cdl_marubozu,
    cdl_morningstar,
    cdl_shootingstar,
    change,
    close,
    close_location,
    cmf,
    corwin_schultz,
    crossed_above,
    crossed_below,
    dmi,
    ema,
    er,
    external,
    high,
    highest,
    hma,
    kama,
    kurtosis,
    linearreg_slope,
    log,
    low,
    lower_wick,
    lowest,
    maximum,
    microprice,
    minimum,
    quoted_spread,
    r2,
    roll,
    rsi,
    skew,
    sma,
    stddev,
    supertrend,
    upper_wick,
    volume,
    volume_profile,
    vpin,
    vpin_bulk,
    vwap_rolling,
    vwap_session,
    zscore,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from strategies.indicators import Expression

    Columns = dict[str, Expression]

MERGES = ("1h", "4h", "1d")
"""The higher timeframes that are merged."""

_PATTERNS = {
    "doji": cdl_doji,
    "hammer": cdl_hammer,
    "shooting_star": cdl_shootingstar,
    "engulfing": cdl_engulfing,
    "harami": cdl_harami,
    "marubozu": cdl_marubozu,
    "morning_star": cdl_morningstar,
    "evening_star": cdl_eveningstar,
    "white_soldiers": cdl_3whitesoldiers,
    "black_crows": cdl_3blackcrows,
}
"""1 where it says up, -1 where it says down, 0 where there is none."""

_open = Column("open")
_range = high - low
_returns = change(1, log(close))
_TINY = 1e-12
"""What a range or a volume of nothing is divided by: the quotient of two nothings is 0."""


def pipeline(
    groups: Sequence[str] | None = None,
    *,
    told: Collection[str] = (),
    external: Sequence[str] = (),
    merges: Sequence[str] = MERGES,
) -> Columns:
    """Return the features of the groups by name.

    Args:
        groups: which of `GROUPS`, all of them unless given; one that reads what is not told is left out then.
        told: columns that come between bars: funding, open_interest, mark, bid, buy_volume and so on.
        external: names of external series.
        merges: higher timeframes, the shortest first.

    Raises:
        UserError: there is no such group, or one that was named reads what is not told.
    """
    found: Columns = {}
    for group in GROUPS if groups is None else groups:
        if group not in GROUPS:
            message = f"the pipeline has no group {group}{nearest(group, GROUPS)}; it has {', '.join(GROUPS)}"
            raise UserError(message)
        needs, make = GROUPS[group]
        missing = [name for name in needs if name not in told]
        if missing and groups is not None:
            message = f"the group {group} of the pipeline reads {', '.join(missing)}, which nothing here tells"
            raise UserError(message)
        if not missing:
            found |= make()
    if groups is None or "merges" in groups:
        for timeframe in merges:
            found |= {f"{name}_{timeframe}": value.on(timeframe) for name, value in _merged().items()}
    if groups is None or "sentiment" in groups:
        for series in external:
            found |= _sentiment(series)
    return found


def _over(part: Expression, whole: Expression) -> Expression:
    """Return a quotient that is 0, and not no number, where both are nothing."""
    return part / maximum(whole, _TINY)


def _trend() -> Columns:
    return {
        "return_1": _returns,
        "return_4": change(4, log(close)),
        "return_16": change(16, log(close)),
        "return_96": change(96, log(close)),
        "ema_9": close / ema(9) - 1,
        "ema_21": close / ema(21) - 1,
        "ema_50": close / ema(50) - 1,
        "ema_200": close / ema(200) - 1,
        "sma_20": close / sma(20) - 1,
        "sma_100": close / sma(100) - 1,
        "ema_9_21": _over(ema(9) - ema(21), atr(14)),
        "ema_21_50": _over(ema(21) - ema(50), atr(14)),
        "ema_50_200": _over(ema(50) - ema(200), atr(14)),
        "hma_21": close / hma(21) - 1,
        "kama_10": close / kama(10) - 1,
        "efficiency_10": er(10),
        "adx_14": dmi(14)["adx"],
        "di_14": dmi(14)["plus_di"] - dmi(14)["minus_di"],
        "aroon_25": aroonosc(25),
        "supertrend_side": supertrend(10)["side"],
        "supertrend": (close - supertrend(10)["line"]) / close,
        "slope_24": linearreg_slope(24) / close,
        "fit_24": r2(24),
        "cross_up": crossed_above(ema(9), ema(21)),
        "cross_down": crossed_below(ema(9), ema(21)),
    }


def _volatility() -> Columns:
    bands = bbands(20)
    return {
        "natr_14": atr(14) / close,
        "natr_50": atr(50) / close,
        "atr_14_50": _over(atr(14), atr(50)),
        "volatility_16": stddev(16, _returns),
        "volatility_96": stddev(96, _returns),
        "bands_width": (bands["upper"] - bands["lower"]) / bands["middle"],
        "bands_place": _over(close - bands["lower"], bands["upper"] - bands["lower"]),
    }


def _volume() -> Columns:
    return {
        "volume_16": _over(volume, sma(16, volume)),
        "volume_96": _over(volume, sma(96, volume)),
        "volume_zscore": zscore(96, volume),
        "money_flow_20": cmf(20),
        "vwap_day": close / vwap_session(1) - 1,
        "vwap_96": close / vwap_rolling(96) - 1,
        "profile_96": close / volume_profile(96)["poc"] - 1,
    }


def _candles() -> Columns:
    return {
        "body": _over(close - _open, _range),
        "wick_up": upper_wick(),
        "wick_down": lower_wick(),
        "close_location": close_location(),
        "range_atr": _over(_range, atr(14)),
        "body_atr": _over(absolute(close - _open), atr(14)),
        "gap": _over(_open - close.lag(), atr(14)),
        "inside": (high <= high.lag()) & (low >= low.lag()),
        "outside": (high > high.lag()) & (low < low.lag()),
        **{name: make() / 100 for name, make in _PATTERNS.items()},
    }


def _statistics() -> Columns:
    return {
        "zscore_20": zscore(20),
        "zscore_96": zscore(96),
        "skew_96": skew(96, _returns),
        "kurtosis_96": kurtosis(96, _returns),
        "autocorrelation_96": autocorrelation(96, 1, _returns),
    }


def _oscillators() -> Columns:
    return {
        "rsi_7": rsi(7),
        "rsi_14": rsi(14),
        "rsi_28": rsi(28),
        "rsi_14_change": change(4, rsi(14)),
    }


def _merged() -> Columns:
    """What is told of each higher timeframe."""
    return {
        "return": _returns,
        "ema_9": close / ema(9) - 1,
        "ema_21": close / ema(21) - 1,
        "rsi_14": rsi(14),
        "natr_14": atr(14) / close,
        "body": _over(close - _open, _range),
    }


def _structure() -> Columns:
    top, bottom = highest(96), lowest(96)
    return {
        "high_16": _over(close - highest(16).lag(), atr(14)),
        "low_16": _over(close - lowest(16).lag(), atr(14)),
        "range_place_96": _over(close - bottom, top - bottom),
        "breakout_up": crossed_above(close, highest(20).lag()),
        "breakout_down": crossed_below(close, lowest(20).lag()),
        "bars_since_high": minimum(bars_since(high >= top), 96),
        "bars_since_low": minimum(bars_since(low <= bottom), 96),
    }


def _microstructure() -> Columns:
    return {
        "illiquidity_16": _over(sma(16, absolute(_returns)), sma(16, volume * close)) * 1e9,
        "roll_20": roll(20) / close,
        "corwin_schultz_20": corwin_schultz(20),
        "vpin_bulk_50": vpin_bulk(50),
    }


def _book() -> Columns:
    quantity = Column("bid_quantity") + Column("ask_quantity")
    middle = (Column("bid") + Column("ask")) / 2
    return {
        "spread": quoted_spread(),
        "top_imbalance": _over(Column("bid_quantity") - Column("ask_quantity"), quantity),
        "microprice": microprice() / middle - 1,
    }


def _funding() -> Columns:
    funding = Column("funding")
    return {
        "funding": funding,
        "funding_mean": sma(96, funding),
        "funding_zscore": _over(funding - sma(672, funding), stddev(672, funding)),
    }


def _open_interest() -> Columns:
    interest = Column("open_interest")
    return {
        "interest_4": change(4, log(interest)),
        "interest_96": change(96, log(interest)),
        "interest_volume": _over(sma(96, volume), interest),
    }


def _basis() -> Columns:
    basis = Column("mark") / close - 1
    return {"basis": basis, "basis_mean": sma(96, basis)}


def _flow() -> Columns:
    bought, sold = Column("buy_volume"), Column("sell_volume")
    traded = bought + sold
    return {
        "flow": _over(bought - sold, traded),
        "flow_16": _over(sma(16, bought - sold), sma(16, traded)),
        "trade_size": _over(traded, Column("trade_count")),
        "vpin_50": vpin(50),
    }


def _liquidations() -> Columns:
    longs, shorts = Column("long_liquidations"), Column("short_liquidations")
    return {
        "liquidations_16": _over(sma(16, shorts - longs), sma(16, volume)),
        "liquidated_16": sma(16, longs + shorts),
    }


def _sentiment(series: str) -> Columns:
    value = external(series)
    return {
        series: value,
        f"{series}_change": value - sma(96, value),
        f"{series}_zscore": _over(value - sma(672, value), stddev(672, value)),
    }


GROUPS: dict[str, tuple[tuple[str, ...], Callable[[], Columns]]] = {
    "trend": ((), _trend),
    "volatility": ((), _volatility),
    "volume": ((), _volume),
    "candles": ((), _candles),
    "oscillators": ((), _oscillators),
    "merges": ((), dict),
    "statistics": ((), _statistics),
    "structure": ((), _structure),
    "microstructure": ((), _microstructure),
    "book": (("bid", "ask", "bid_quantity", "ask_quantity"), _book),
    "funding": (("funding",), _funding),
    "interest": (("open_interest",), _open_interest),
    "basis": (("mark",), _basis),
    "flow": (("buy_volume", "sell_volume", "trade_count"), _flow),
    "liquidations": (("long_liquidations", "short_liquidations"), _liquidations),
    "sentiment": ((), dict),
}
"""Every group, with the columns it reads beyond the bars."""
