"""Candlestick patterns, those of TA-Lib with its settings.

A value is 100 where the pattern is complete with this bar and bullish, -100 where it is bearish, 0 elsewhere; a
pattern without direction is 100.  Some give more, as their makers say.  What candles are long, small or alike is
measured by the bars just before, so a pattern has no period.  Nothing waits for a later bar.
"""

from strategies.indicators.declaration import Indicator, Kind, add, declare, number
from strategies.indicators.expression import VALUE

_LOOKBACKS = {
    "cdl_2crows": 12,
    "cdl_3blackcrows": 13,
    "cdl_3inside": 12,
    "cdl_3linestrike": 8,
    "cdl_3outside": 3,
    "cdl_3starsinsouth": 12,
    "cdl_3whitesoldiers": 12,
    "cdl_abandonedbaby": 12,
    "cdl_advanceblock": 12,
    "cdl_belthold": 10,
    "cdl_breakaway": 14,
    "cdl_closingmarubozu": 10,
    "cdl_concealbabyswall": 13,
    "cdl_counterattack": 11,
    "cdl_darkcloudcover": 11,
    "cdl_doji": 10,
    "cdl_dojistar": 11,
    "cdl_dragonflydoji": 10,
    "cdl_engulfing": 2,
    "cdl_eveningdojistar": 12,
    "cdl_eveningstar": 12,
    "cdl_gapsidesidewhite": 7,
    "cdl_gravestonedoji": 10,
    "cdl_hammer": 11,
    "cdl_hangingman": 11,
    "cdl_harami": 11,
    "cdl_haramicross": 11,
    "cdl_highwave": 10,
    "cdl_hikkake": 5,
    "cdl_hikkakemod": 10,
    "cdl_homingpigeon": 11,
    "cdl_identical3crows": 12,
    "cdl_inneck": 11,
    "cdl_invertedhammer": 11,
    "cdl_kicking": 11,
    "cdl_kickingbylength": 11,
    "cdl_ladderbottom": 14,
    "cdl_longleggeddoji": 10,
    "cdl_longline": 10,
    "cdl_marubozu": 10,
    "cdl_matchinglow": 6,
    "cdl_mathold": 14,
    "cdl_morningdojistar": 12,
    "cdl_morningstar": 12,
    "cdl_onneck": 11,
    "cdl_piercing": 11,
    "cdl_rickshawman": 10,
    "cdl_risefall3methods": 14,
    "cdl_separatinglines": 11,
    "cdl_shootingstar": 11,
    "cdl_shortline": 10,
    "cdl_spinningtop": 10,
    "cdl_stalledpattern": 12,
    "cdl_sticksandwich": 7,
    "cdl_takuri": 10,
    "cdl_tasukigap": 7,
    "cdl_thrusting": 11,
    "cdl_tristar": 12,
    "cdl_unique3river": 12,
    "cdl_upsidegap2crows": 12,
    "cdl_xsidegap3methods": 2,
}
"""The patterns in the order of `kernels.candle_rules`, and how many bars before its first value each needs."""

_PENETRATIONS = {
    "cdl_abandonedbaby": 0.3,
    "cdl_darkcloudcover": 0.5,
    "cdl_eveningdojistar": 0.3,
    "cdl_eveningstar": 0.3,
    "cdl_mathold": 0.5,
    "cdl_morningdojistar": 0.3,
    "cdl_morningstar": 0.3,
}
"""How deep the last body reaches into the first, as a part of it, unless told otherwise."""


def _kind(name: str, place: int, lookback: int) -> Kind:
    """Make the row of a pattern: one kernel runs them all, and knows by number and penetration what to look for."""
    deep = _PENETRATIONS.get(name)
    return Kind(
        name,
        "candles",
        () if deep is None else (number("penetration", deep, low=0.0),),
        ("open", "high", "low", "close"),
        VALUE,
        lambda *_: lookback,
        bound=True,
        kernel="candle",
        constants=(place, lookback) if deep is not None else (0.0, place, lookback),
    )


add(*(_kind(name, place, lookback) for place, (name, lookback) in enumerate(_LOOKBACKS.items())))


def cdl_2crows() -> Indicator:
    """Declare CDL2CROWS: a long white candle, a black one above it, a black one that closes inside it; bearish."""
    return declare("cdl_2crows")


def cdl_3blackcrows() -> Indicator:
    """Declare CDL3BLACKCROWS: three falling black candles without lower shadow after a white one; bearish."""
    return declare("cdl_3blackcrows")


def cdl_3inside() -> Indicator:
    """Declare CDL3INSIDE: a harami confirmed by the third close."""
    return declare("cdl_3inside")


def cdl_3linestrike() -> Indicator:
    """Declare CDL3LINESTRIKE: three candles one way, a fourth that takes it all back; sign of the three."""
    return declare("cdl_3linestrike")


def cdl_3outside() -> Indicator:
    """Declare CDL3OUTSIDE: an engulfing confirmed by the third close."""
    return declare("cdl_3outside")


def cdl_3starsinsouth() -> Indicator:
    """Declare CDL3STARSINSOUTH: three ever smaller black candles; bullish."""
    return declare("cdl_3starsinsouth")


def cdl_3whitesoldiers() -> Indicator:
    """Declare CDL3WHITESOLDIERS: three advancing white soldiers, of about one size; bullish."""
    return declare("cdl_3whitesoldiers")


def cdl_abandonedbaby(penetration: float = 0.3) -> Indicator:
    """Declare CDLABANDONEDBABY: a doji with gaps on both sides, and a candle back into the first."""
    return declare("cdl_abandonedbaby", penetration)


def cdl_advanceblock() -> Indicator:
    """Declare CDLADVANCEBLOCK: three white candles that weaken; bearish."""
    return declare("cdl_advanceblock")


def cdl_belthold() -> Indicator:
    """Declare CDLBELTHOLD: a long candle that opens at its extreme."""
    return declare("cdl_belthold")


def cdl_breakaway() -> Indicator:
    """Declare CDLBREAKAWAY: a gap, three candles on, and one that closes inside the gap."""
    return declare("cdl_breakaway")


def cdl_closingmarubozu() -> Indicator:
    """Declare CDLCLOSINGMARUBOZU: a long candle that closes at its extreme."""
    return declare("cdl_closingmarubozu")


def cdl_concealbabyswall() -> Indicator:
    """Declare CDLCONCEALBABYSWALL: four black candles, the last engulfing the third; bullish."""
    return declare("cdl_concealbabyswall")


def cdl_counterattack() -> Indicator:
    """Declare CDLCOUNTERATTACK: a long candle answered by an opposite one with the same close."""
    return declare("cdl_counterattack")


def cdl_darkcloudcover(penetration: float = 0.5) -> Indicator:
    """Declare CDLDARKCLOUDCOVER: a black candle opens above a long white one and closes deep within; bearish."""
    return declare("cdl_darkcloudcover", penetration)


def cdl_doji() -> Indicator:
    """Declare CDLDOJI: a body of a tenth of the usual range at most."""
    return declare("cdl_doji")


def cdl_dojistar() -> Indicator:
    """Declare CDLDOJISTAR: a doji that gaps away from a long candle, against its direction."""
    return declare("cdl_dojistar")


def cdl_dragonflydoji() -> Indicator:
    """Declare CDLDRAGONFLYDOJI: a doji with a lower shadow only."""
    return declare("cdl_dragonflydoji")


def cdl_engulfing() -> Indicator:
    """Declare CDLENGULFING: a body around the opposite one before it; 80 where they share an end."""
    return declare("cdl_engulfing")


def cdl_eveningdojistar(penetration: float = 0.3) -> Indicator:
    """Declare CDLEVENINGDOJISTAR: long white, a doji above it, black deep into the first; bearish."""
    return declare("cdl_eveningdojistar", penetration)


def cdl_eveningstar(penetration: float = 0.3) -> Indicator:
    """Declare CDLEVENINGSTAR: long white, a small body above it, black deep into the first; bearish."""
    return declare("cdl_eveningstar", penetration)


def cdl_gapsidesidewhite() -> Indicator:
    """Declare CDLGAPSIDESIDEWHITE: two alike white candles beyond a gap; the gap's direction."""
    return declare("cdl_gapsidesidewhite")


def cdl_gravestonedoji() -> Indicator:
    """Declare CDLGRAVESTONEDOJI: a doji with an upper shadow only."""
    return declare("cdl_gravestonedoji")


def cdl_hammer() -> Indicator:
    """Declare CDLHAMMER: a small body on a long lower shadow, near the last low; bullish."""
    return declare("cdl_hammer")


def cdl_hangingman() -> Indicator:
    """Declare CDLHANGINGMAN: the same, near the last high; bearish."""
    return declare("cdl_hangingman")


def cdl_harami() -> Indicator:
    """Declare CDLHARAMI: a small body within a long one; against the long one, 80 where they share an end."""
    return declare("cdl_harami")


def cdl_haramicross() -> Indicator:
    """Declare CDLHARAMICROSS: a doji within a long body; against the long one, 80 where they share an end."""
    return declare("cdl_haramicross")


def cdl_highwave() -> Indicator:
    """Declare CDLHIGHWAVE: a small body between two very long shadows; sign of its body."""
    return declare("cdl_highwave")


def cdl_hikkake() -> Indicator:
    """Declare CDLHIKKAKE: a bar that breaks out of an inside bar, 100; 200 once a close confirms in 3 bars."""
    return declare("cdl_hikkake")


def cdl_hikkakemod() -> Indicator:
    """Declare CDLHIKKAKEMOD: two inside bars, the second closing at the far side; values as `cdl_hikkake`."""
    return declare("cdl_hikkakemod")


def cdl_homingpigeon() -> Indicator:
    """Declare CDLHOMINGPIGEON: a small black body within a long black one; bullish."""
    return declare("cdl_homingpigeon")


def cdl_identical3crows() -> Indicator:
    """Declare CDLIDENTICAL3CROWS: three black candles, each opening at the last close; bearish."""
    return declare("cdl_identical3crows")


def cdl_inneck() -> Indicator:
    """Declare CDLINNECK: white opens below a long black candle and closes just inside it; bearish."""
    return declare("cdl_inneck")


def cdl_invertedhammer() -> Indicator:
    """Declare CDLINVERTEDHAMMER: a small body under a long upper shadow, below a gap; bullish."""
    return declare("cdl_invertedhammer")


def cdl_kicking() -> Indicator:
    """Declare CDLKICKING: two opposite marubozu with a gap; sign of the second."""
    return declare("cdl_kicking")


def cdl_kickingbylength() -> Indicator:
    """Declare CDLKICKINGBYLENGTH: the same; sign of the longer one."""
    return declare("cdl_kickingbylength")


def cdl_ladderbottom() -> Indicator:
    """Declare CDLLADDERBOTTOM: three falling black candles, one with an upper shadow, white above it; bullish."""
    return declare("cdl_ladderbottom")


def cdl_longleggeddoji() -> Indicator:
    """Declare CDLLONGLEGGEDDOJI: a doji with a long shadow."""
    return declare("cdl_longleggeddoji")


def cdl_longline() -> Indicator:
    """Declare CDLLONGLINE: a long body with short shadows; sign of its body."""
    return declare("cdl_longline")


def cdl_marubozu() -> Indicator:
    """Declare CDLMARUBOZU: a long body without shadows; sign of its body."""
    return declare("cdl_marubozu")


def cdl_matchinglow() -> Indicator:
    """Declare CDLMATCHINGLOW: two black candles with the same close; bullish."""
    return declare("cdl_matchinglow")


def cdl_mathold(penetration: float = 0.5) -> Indicator:
    """Declare CDLMATHOLD: long white, three small ones that give back little, white above all; bullish."""
    return declare("cdl_mathold", penetration)


def cdl_morningdojistar(penetration: float = 0.3) -> Indicator:
    """Declare CDLMORNINGDOJISTAR: long black, a doji below it, white deep into the first; bullish."""
    return declare("cdl_morningdojistar", penetration)


def cdl_morningstar(penetration: float = 0.3) -> Indicator:
    """Declare CDLMORNINGSTAR: long black, a small body below it, white deep into the first; bullish."""
    return declare("cdl_morningstar", penetration)


def cdl_onneck() -> Indicator:
    """Declare CDLONNECK: white opens below a long black candle and closes at its low; bearish."""
    return declare("cdl_onneck")


def cdl_piercing() -> Indicator:
    """Declare CDLPIERCING: white opens below a long black candle and closes above its middle; bullish."""
    return declare("cdl_piercing")


def cdl_rickshawman() -> Indicator:
    """Declare CDLRICKSHAWMAN: a long-legged doji with its body in the middle."""
    return declare("cdl_rickshawman")


def cdl_risefall3methods() -> Indicator:
    """Declare CDLRISEFALL3METHODS: a long candle, three small ones within, one that goes on."""
    return declare("cdl_risefall3methods")


def cdl_separatinglines() -> Indicator:
    """Declare CDLSEPARATINGLINES: a belt-hold that opens where the opposite candle before it opened."""
    return declare("cdl_separatinglines")


def cdl_shootingstar() -> Indicator:
    """Declare CDLSHOOTINGSTAR: a small body under a long upper shadow, above a gap; bearish."""
    return declare("cdl_shootingstar")


def cdl_shortline() -> Indicator:
    """Declare CDLSHORTLINE: a short body with short shadows; sign of its body."""
    return declare("cdl_shortline")


def cdl_spinningtop() -> Indicator:
    """Declare CDLSPINNINGTOP: a small body between two longer shadows; sign of its body."""
    return declare("cdl_spinningtop")


def cdl_stalledpattern() -> Indicator:
    """Declare CDLSTALLEDPATTERN: two long white candles and a small one on their shoulder; bearish."""
    return declare("cdl_stalledpattern")


def cdl_sticksandwich() -> Indicator:
    """Declare CDLSTICKSANDWICH: black, white, black with the first's close; bullish."""
    return declare("cdl_sticksandwich")


def cdl_takuri() -> Indicator:
    """Declare CDLTAKURI: a dragonfly doji with a very long lower shadow."""
    return declare("cdl_takuri")


def cdl_tasukigap() -> Indicator:
    """Declare CDLTASUKIGAP: a gap, and an opposite candle that does not close it; the gap's direction."""
    return declare("cdl_tasukigap")


def cdl_thrusting() -> Indicator:
    """Declare CDLTHRUSTING: white opens below a long black candle and closes below its middle; bearish."""
    return declare("cdl_thrusting")


def cdl_tristar() -> Indicator:
    """Declare CDLTRISTAR: three doji, the middle one beyond a gap; against the gap."""
    return declare("cdl_tristar")


def cdl_unique3river() -> Indicator:
    """Declare CDLUNIQUE3RIVER: long black, black to a new low, small white below; bullish."""
    return declare("cdl_unique3river")


def cdl_upsidegap2crows() -> Indicator:
    """Declare CDLUPSIDEGAP2CROWS: long white, two black candles above it, the second around the first; bearish."""
    return declare("cdl_upsidegap2crows")


def cdl_xsidegap3methods() -> Indicator:
    """Declare CDLXSIDEGAP3METHODS: a gap of two alike candles, closed by an opposite one."""
    return declare("cdl_xsidegap3methods")
