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
    adosc,
    amihud,
    ao,
    aroonosc,
    atr,
    autocorrelation,
    bars_since,
    bbands,
    book_imbalance,
    cci,
    cdl_3blackcrows,
    cdl_3inside,
    cdl_3outside,
    cdl_3whitesoldiers,
    cdl_belthold,
    cdl_darkcloudcover,
    cdl_doji,
    cdl_dragonflydoji,
    cdl_engulfing,
    cdl_eveningstar,
    cdl_gravestonedoji,
    cdl_hammer,
    cdl_hangingman,
    cdl_harami,
    cdl_haramicross,
    cdl_hikkake,
    cdl_invertedhammer,
    cdl_marubozu,
    cdl_morningstar,
    cdl_piercing,
    cdl_risefall3methods,
    cdl_shootingstar,
    cdl_spinningtop,
    change,
    choppiness,
    close,
    close_location,
    cmf,
    corwin_schultz,
    crossed_above,
    crossed_below,
    dmi,
    ema,
    entropy,
    er,
    external,
    fair_value_gap,
    fisher,
    garman_klass,
    heikin_ashi,
    high,
    highest,
    hma,
    ichimoku,
    kama,
    keltner,
    kurtosis,
    kyle_lambda,
    kyle_lambda_tick,
    linearreg_slope,
    log,
    low,
    lower_wick,
    lowest,
    macd,
    market_structure,
    maximum,
    mfi,
    microprice,
    minimum,
    parkinson,
    percentrank,
    quoted_spread,
    r2,
    range_percent,
    realised_volatility,
    rogers_satchell,
    roll,
    rsi,
    sar,
    skew,
    sma,
    stddev,
    stoch,
    stochrsi,
    supertrend,
    swing_high,
    swing_low,
    trade_imbalance,
    trix,
    true_range_percentile,
    ulcer_index,
    ultosc,
    upper_wick,
    volume,
    volume_profile,
    vortex,
    vpin,
    vpin_bulk,
    vwap_rolling,
    vwap_session,
    willr,
    yang_zhang,
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
    "piercing": cdl_piercing,
    "dark_cloud": cdl_darkcloudcover,
    "three_inside": cdl_3inside,
    "three_outside": cdl_3outside,
    "hanging_man": cdl_hangingman,
    "inverted_hammer": cdl_invertedhammer,
    "harami_cross": cdl_haramicross,
    "belt_hold": cdl_belthold,
    "spinning_top": cdl_spinningtop,
    "dragonfly_doji": cdl_dragonflydoji,
    "gravestone_doji": cdl_gravestonedoji,
    "hikkake": cdl_hikkake,
    "rise_fall_methods": cdl_risefall3methods,
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
    cloud = ichimoku()
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
        "stop_and_reverse": (close - sar()) / close,
        "vortex_14": vortex(14)["plus"] - vortex(14)["minus"],
        "choppiness_14": choppiness(14),
        "ichimoku_lines": _over(cloud["conversion"] - cloud["base"], atr(14)),
        "ichimoku_cloud": _over(close - (cloud["span_a"] + cloud["span_b"]).lag(25) / 2, atr(14)),
    }


def _volatility() -> Columns:
    bands, channel = bbands(20), keltner(20)
    return {
        "natr_14": atr(14) / close,
        "natr_50": atr(50) / close,
        "atr_14_50": _over(atr(14), atr(50)),
        "volatility_16": stddev(16, _returns),
        "volatility_96": stddev(96, _returns),
        "bands_width": (bands["upper"] - bands["lower"]) / bands["middle"],
        "bands_place": _over(close - bands["lower"], bands["upper"] - bands["lower"]),
        "realised_96": realised_volatility(96),
        "parkinson_20": parkinson(20),
        "garman_klass_20": garman_klass(20),
        "rogers_satchell_20": rogers_satchell(20),
        "yang_zhang_20": yang_zhang(20),
        "range_realised": _over(parkinson(20), realised_volatility(20)),
        "range_percentile": true_range_percentile(100),
        "ulcer_14": ulcer_index(14),
        "squeeze": (bands["upper"] < channel["upper"]) & (bands["lower"] > channel["lower"]),
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
        "flow_accumulated": _over(adosc(3, 10), ema(10, volume)),
    }


def _candles() -> Columns:
    averaged = heikin_ashi()
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
        "range_percent": range_percent(),
        "averaged_body": _over(averaged["close"] - averaged["open"], atr(14)),
        "up_bars_8": sma(8, close > _open),
        "wicks_8": sma(8, lower_wick() - upper_wick()),
    }


def _statistics() -> Columns:
    return {
        "zscore_20": zscore(20),
        "zscore_96": zscore(96),
        "skew_96": skew(96, _returns),
        "kurtosis_96": kurtosis(96, _returns),
        "autocorrelation_96": autocorrelation(96, 1, _returns),
        "rank_96": percentrank(96),
        "drawdown_96": close / highest(96, close) - 1,
        "rise_96": close / lowest(96, close) - 1,
        "entropy_96": entropy(96),
    }


def _oscillators() -> Columns:
    slow, of_strength, means = stoch(14), stochrsi(14), macd()
    return {
        "rsi_7": rsi(7),
        "rsi_14": rsi(14),
        "rsi_28": rsi(28),
        "rsi_14_change": change(4, rsi(14)),
        "stoch_k": slow["k"],
        "stoch_d": slow["d"],
        "stoch_rsi_k": of_strength["k"],
        "stoch_rsi_d": of_strength["d"],
        "macd": _over(means["macd"], atr(14)),
        "macd_signal": _over(means["signal"], atr(14)),
        "macd_histogram": _over(means["histogram"], atr(14)),
        "cci_20": cci(20),
        "mfi_14": mfi(14),
        "willr_14": willr(14),
        "ultimate": ultosc(),
        "awesome": _over(ao(), atr(14)),
        "trix_18": trix(18),
        "fisher_10": fisher(10)["fisher"],
    }


def _merged() -> Columns:
    """What is told of each higher timeframe."""
    bands = bbands(20)
    return {
        "return": _returns,
        "ema_9": close / ema(9) - 1,
        "ema_21": close / ema(21) - 1,
        "rsi_14": rsi(14),
        "natr_14": atr(14) / close,
        "body": _over(close - _open, _range),
        "adx_14": dmi(14)["adx"],
        "bands_place": _over(close - bands["lower"], bands["upper"] - bands["lower"]),
        "volume_20": _over(volume, sma(20, volume)),
    }


def _structure() -> Columns:
    top, bottom = highest(96), lowest(96)
    swings, gap = market_structure(), fair_value_gap()
    return {
        "high_16": _over(close - highest(16).lag(), atr(14)),
        "low_16": _over(close - lowest(16).lag(), atr(14)),
        "range_place_96": _over(close - bottom, top - bottom),
        "breakout_up": crossed_above(close, highest(20).lag()),
        "breakout_down": crossed_below(close, lowest(20).lag()),
        "bars_since_high": minimum(bars_since(high >= top), 96),
        "bars_since_low": minimum(bars_since(low <= bottom), 96),
        "trend_of_swings": swings["trend"],
        "structure_broken": swings["broken"],
        "swing_high": _over(close - swing_high()["level"], atr(14)),
        "swing_low": _over(close - swing_low()["level"], atr(14)),
        "swing_high_age": minimum(swing_high()["age"], 96),
        "swing_low_age": minimum(swing_low()["age"], 96),
        "major_high": _over(close - swing_high(20, 20)["level"], atr(14)),
        "major_low": _over(close - swing_low(20, 20)["level"], atr(14)),
        "gap_left": _over(gap, atr(14)),
        "bars_since_gap_up": minimum(bars_since(gap > 0), 96),
        "bars_since_gap_down": minimum(bars_since(gap < 0), 96),
    }


def _microstructure() -> Columns:
    return {
        "illiquidity_16": _over(sma(16, absolute(_returns)), sma(16, volume * close)) * 1e9,
        "roll_20": roll(20) / close,
        "corwin_schultz_20": corwin_schultz(20),
        "vpin_bulk_50": vpin_bulk(50),
        "amihud_96": amihud(96) * 1e9,
        "kyle_tick_50": kyle_lambda_tick(50) * sma(50, volume) / close,
    }


def _book() -> Columns:
    quantity = Column("bid_quantity") + Column("ask_quantity")
    middle = (Column("bid") + Column("ask")) / 2
    return {
        "spread": quoted_spread(),
        "top_imbalance": _over(Column("bid_quantity") - Column("ask_quantity"), quantity),
        "microprice": microprice() / middle - 1,
    }


def _depth() -> Columns:
    imbalance = book_imbalance("bid_depth", "ask_depth")
    return {"depth_imbalance": imbalance, "depth_imbalance_16": sma(16, imbalance)}


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
        "flow_96": trade_imbalance(96),
        "kyle_50": kyle_lambda(50) * sma(50, traded) / close,
        "flow_zscore": zscore(96, bought - sold),
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
    "depth": (("bid_depth", "ask_depth"), _depth),
    "funding": (("funding",), _funding),
    "interest": (("open_interest",), _open_interest),
    "basis": (("mark",), _basis),
    "flow": (("buy_volume", "sell_volume", "trade_count"), _flow),
    "liquidations": (("long_liquidations", "short_liquidations"), _liquidations),
    "sentiment": ((), dict),
}
"""Every group, with the columns it reads beyond the bars."""
