"""The candlestick patterns as rules, in words.

    long[2], white[2]; close[1] ~ open[1] by equal[1]; close < close[2] - penetration * body[2]

A pattern is one or several groups.  A group is a condition common to it and then cases, each a result and
the conditions that decide for it.  The first case that holds gives the pattern's value, of all groups in
their order; where none does it is 0.  `[2]` is the bar two before the last one, nothing the last bar.

Prices are open, high, low, close, top and bottom of the body, and middle of the range.  Lengths are body,
upper and lower (shadow).  `pattern_table` has the words for conditions and the averages they compare with.
The patterns are those of TA-Lib, in its names.
"""

from typing import NamedTuple


class Group(NamedTuple):
    """Conditions common to some cases, and the cases: a result each and the conditions for it."""

    common: str
    cases: tuple[tuple[int, str], ...]


def one(result: int, conditions: str) -> tuple[Group, ...]:
    """Make a pattern of one case."""
    return (Group("", ((result, conditions),)),)


def two_sided(common: str, bullish: str) -> tuple[Group, ...]:
    """Make a pattern of a bullish case and its mirror image."""
    return (Group(common, ((100, bullish), (-100, mirrored(bullish)))),)


_OPPOSITES = {
    "high": "low",
    "top": "bottom",
    "upper": "lower",
    "white": "black",
    "gap_up": "gap_down",
    "body_gap_up": "body_gap_down",
    "no_upper": "no_lower",
    "<": ">",
    "<=": ">=",
    "+": "-",
}
_OPPOSITES |= {right: left for left, right in _OPPOSITES.items()}
_SIGNS = "<=>=+-"
_LENGTHS = ("body", "upper", "lower", "body_change")


def mirrored(conditions: str) -> str:
    """Turn conditions upside down: lengths stay, prices compare the other way round."""
    return ", ".join(_mirror_of(condition) for condition in conditions.split(", "))


def _mirror_of(condition: str) -> str:
    words = condition.split()
    kept = _SIGNS if words[0].split("[")[0] in _LENGTHS else ""
    found = []
    for word in words:
        name, bracket, lag = word.partition("[")
        found.append((name if name in kept else _OPPOSITES.get(name, name)) + bracket + lag)
    return " ".join(found)


_STAR = "long[2], white[2], {middle}, body_gap_up[1], body > body_mean, black, close < close[2] - penetration * body[2]"
_BLACK_THEN_WHITE = "black[1], long[1], white"
_FALLING_BLACK = "black[2], no_lower[2], black[1], no_lower[1], black, no_lower, close[1] < close[2], close < close[1]"
_ADVANCING = (
    "white[2], white[1], white, close[1] > close[2], close > close[1], open[1] > open[2], open[1] <= close[2] + near[2]"
)
_HARAMI = (
    (100, "black[1], top < top[1], bottom > bottom[1]"),
    (-100, "white[1], top < top[1], bottom > bottom[1]"),
    (80, "black[1]"),
    (-80, "white[1]"),
)
_SIDE_BY_SIDE = "white[1], white, body ~ body[1] by near[1], open ~ open[1] by equal[1]"
_MARUBOZU_PAIR = "long[1], no_upper[1], no_lower[1], long, no_upper, no_lower"


def _star(middle: str) -> str:
    return _STAR.format(middle=middle)


def _engulfing() -> tuple[Group, ...]:
    bullish = "close {} open[1], open {} close[1]"
    forms = ((100, bullish.format(">", "<")), (80, bullish.format(">=", "<")), (80, bullish.format(">", "<=")))
    return (
        Group("white, black[1]", forms),
        Group("black, white[1]", tuple((-result, mirrored(form)) for result, form in forms)),
    )


def _hikkake(inside: str, trap: str) -> tuple[Group, ...]:
    """An inside bar and a bar that breaks out of it; told again at the bar that closes beyond it, within three.

    A newer pattern takes the place of an older one, and one that has been confirmed is over.
    """
    groups = []
    for age in range(4):
        cases: list[tuple[int, str]] = []
        for result in (1, -1):
            pattern = trap
            proof = f"close[{{}}] > high[{age + 1}]"
            if result < 0:
                pattern, proof = mirrored(pattern), mirrored(proof)
            pattern = _aged(pattern, age)
            if age == 0:
                cases.append((100 * result, pattern))
                continue
            cases += [(0, f"{pattern}, {proof.format(before)}") for before in range(age - 1, 0, -1)]
            cases += [(200 * result, f"{pattern}, {proof.format(0)}"), (0, pattern)]
        groups.append(Group(_aged(inside, age), tuple(cases)))
    return tuple(groups)


def _aged(conditions: str, age: int) -> str:
    """Put conditions, written with every lag, so many bars back."""
    for lag in range(3, -1, -1):
        conditions = conditions.replace(f"[{lag}]", f"[{lag + age}]")
    return conditions


PATTERNS: dict[str, tuple[Group, ...]] = {
    "cdl_2crows": one(
        -100,
        "long[2], white[2], black[1], body_gap_up[1], black, open < open[1], open > close[1], "
        "close > open[2], close < close[2]",
    ),
    "cdl_3blackcrows": one(
        -100,
        f"{_FALLING_BLACK}, white[3], open[1] < open[2], open[1] > close[2], open < open[1], open > close[1], "
        "high[3] > close[2]",
    ),
    "cdl_3inside": two_sided(
        "long[2], small[1], top[1] < top[2], bottom[1] > bottom[2]", "black[2], white, close > open[2]"
    ),
    "cdl_3linestrike": (
        Group(
            "open[2] >= bottom[3] - near[3], open[2] <= top[3] + near[3], "
            "open[1] >= bottom[2] - near[2], open[1] <= top[2] + near[2]",
            tuple(
                (
                    result,
                    turn(
                        "white[3], white[2], white[1], black, close[1] > close[2], close[2] > close[3], "
                        "open > close[1], close < open[3]"
                    ),
                )
                for result, turn in ((100, str), (-100, mirrored))
            ),
        ),
    ),
    "cdl_3outside": two_sided(
        "body[1] >= body[2]", "white[1], black[2], close[1] > open[2], open[1] < close[2], close > close[1]"
    ),
    "cdl_3starsinsouth": one(
        100,
        "long[2], black[2], black[1], black, lower[2] > body[2], body[1] < body[2], open[1] > close[2], "
        "open[1] <= high[2], low[1] < close[2], low[1] >= low[2], lower[1] > 0.1 * range_mean[1], short, "
        "no_lower, no_upper, low > low[1], high < high[1]",
    ),
    "cdl_3whitesoldiers": one(
        100,
        f"{_ADVANCING}, no_upper[2], no_upper[1], no_upper, open > open[1], open <= close[1] + near[1], "
        "body[1] > body[2] - far[2], body > body[1] - far[1], long",
    ),
    "cdl_abandonedbaby": two_sided(
        "long[2], doji[1], long",
        "black[2], white, close > close[2] + penetration * body[2], gap_down[1], gap_up",
    ),
    "cdl_advanceblock": (
        Group(
            f"{_ADVANCING}, open > open[1], open <= close[1] + near[1], long[2], upper[2] < 0.5 * shadow_mean[2]",
            (
                (-100, "body[1] < body[2] - far[2], body < body[1] + near[1]"),
                (-100, "body < body[1] - far[1]"),
                (-100, "body < body[1], body[1] < body[2], upper > 0.5 * shadow_mean"),
                (-100, "body < body[1], body[1] < body[2], upper[1] > 0.5 * shadow_mean[1]"),
                (-100, "body < body[1], upper > body"),
            ),
        ),
    ),
    "cdl_belthold": two_sided("long", "white, no_lower"),
    "cdl_breakaway": two_sided(
        "long[4]",
        "black[4], black[3], black[1], white, body_gap_down[3], high[2] < high[3], low[2] < low[3], "
        "high[1] < high[2], low[1] < low[2], close > open[3], close < close[4]",
    ),
    "cdl_closingmarubozu": two_sided("long", "white, no_upper"),
    "cdl_concealbabyswall": one(
        100,
        "black[3], black[2], black[1], black, no_lower[3], no_upper[3], no_lower[2], no_upper[2], "
        "body_gap_down[1], upper[1] > 0.1 * range_mean[1], high[1] > close[2], high > high[1], low < low[1]",
    ),
    "cdl_counterattack": two_sided("long[1], long, close ~ close[1] by equal[1]", "white, black[1]"),
    "cdl_darkcloudcover": one(
        -100, "long[1], white[1], black, open > high[1], close > open[1], close < close[1] - penetration * body[1]"
    ),
    "cdl_doji": one(100, "doji"),
    "cdl_dojistar": two_sided("long[1], doji", "black[1], body_gap_down"),
    "cdl_dragonflydoji": one(100, "doji, no_upper, lower > 0.1 * range_mean"),
    "cdl_engulfing": _engulfing(),
    "cdl_eveningdojistar": one(-100, _star("doji[1]")),
    "cdl_eveningstar": one(-100, _star("small[1]")),
    "cdl_gapsidesidewhite": (
        Group(
            "",
            (
                (100, f"body_gap_up[1], bottom > top[2], {_SIDE_BY_SIDE}"),
                (-100, f"body_gap_down[1], top < bottom[2], {_SIDE_BY_SIDE}"),
            ),
        ),
    ),
    "cdl_gravestonedoji": one(100, "doji, no_lower, upper > 0.1 * range_mean"),
    "cdl_hammer": one(100, "lower > body, short, no_upper, bottom <= low[1] + near[1]"),
    "cdl_hangingman": one(-100, "lower > body, short, no_upper, bottom >= high[1] - near[1]"),
    "cdl_harami": (Group("long[1], small, top <= top[1], bottom >= bottom[1]", _HARAMI),),
    "cdl_haramicross": (Group("long[1], doji, top <= top[1], bottom >= bottom[1]", _HARAMI),),
    "cdl_highwave": (Group("short, upper > 2 * body, lower > 2 * body", ((100, "white"), (-100, "black"))),),
    "cdl_hikkake": _hikkake("high[1] < high[2], low[1] > low[2]", "high[0] < high[1], low[0] < low[1]"),
    "cdl_hikkakemod": _hikkake(
        "high[1] < high[2], low[1] > low[2], high[2] < high[3], low[2] > low[3]",
        "high[0] < high[1], low[0] < low[1], close[2] <= low[2] + near[2]",
    ),
    "cdl_homingpigeon": one(100, "long[1], black[1], black, small, open < open[1], close > close[1]"),
    "cdl_identical3crows": one(-100, f"{_FALLING_BLACK}, open[1] ~ close[2] by equal[2], open ~ close[1] by equal[1]"),
    "cdl_inneck": one(-100, f"{_BLACK_THEN_WHITE}, open < low[1], close <= close[1] + equal[1], close >= close[1]"),
    "cdl_invertedhammer": one(100, "body_gap_down, short, upper > body, no_lower"),
    "cdl_kicking": two_sided(_MARUBOZU_PAIR, "black[1], white, gap_up"),
    "cdl_kickingbylength": (
        Group(
            _MARUBOZU_PAIR,
            (
                (100, "black[1], white, gap_up, body > body[1]"),
                (-100, "black[1], white, gap_up"),
                (-100, "white[1], black, gap_down, body > body[1]"),
                (100, "white[1], black, gap_down"),
            ),
        ),
    ),
    "cdl_ladderbottom": one(
        100,
        "black[4], black[3], black[2], black[1], white, open[4] > open[3], open[3] > open[2], "
        "close[4] > close[3], close[3] > close[2], upper[1] > 0.1 * range_mean[1], open > open[1], close > high[1]",
    ),
    "cdl_longleggeddoji": (Group("doji", ((100, "lower > body"), (100, "upper > body"))),),
    "cdl_longline": (
        Group("long, upper < 0.5 * shadow_mean, lower < 0.5 * shadow_mean", ((100, "white"), (-100, "black"))),
    ),
    "cdl_marubozu": (Group("long, no_upper, no_lower", ((100, "white"), (-100, "black"))),),
    "cdl_matchinglow": one(100, "black[1], black, close ~ close[1] by equal[1]"),
    "cdl_mathold": one(
        100,
        "long[4], white[4], black[3], white, body_gap_up[3], short[3], short[2], short[1], bottom[2] < close[4], "
        "bottom[1] < close[4], bottom[2] > close[4] - penetration * body[4], "
        "bottom[1] > close[4] - penetration * body[4], top[2] < open[3], top[1] < top[2], open > close[1], "
        "close > high[3], close > high[2], close > high[1]",
    ),
    "cdl_morningdojistar": one(100, mirrored(_star("doji[1]"))),
    "cdl_morningstar": one(100, mirrored(_star("small[1]"))),
    "cdl_onneck": one(-100, f"{_BLACK_THEN_WHITE}, open < low[1], close ~ low[1] by equal[1]"),
    "cdl_piercing": one(
        100, f"{_BLACK_THEN_WHITE}, long, open < low[1], close < open[1], close > close[1] + 0.5 * body[1]"
    ),
    "cdl_rickshawman": one(100, "doji, lower > body, upper > body, bottom <= middle + near, top >= middle - near"),
    "cdl_risefall3methods": two_sided(
        "long[4], short[3], short[2], short[1], long",
        "white[4], black[3], black[2], black[1], white, bottom[3] < high[4], top[3] > low[4], bottom[2] < high[4], "
        "top[2] > low[4], bottom[1] < high[4], top[1] > low[4], close[2] < close[3], close[1] < close[2], "
        "open > close[1], close > close[4]",
    ),
    "cdl_separatinglines": two_sided("open ~ open[1] by equal[1], long", "white, black[1], no_lower"),
    "cdl_shootingstar": one(-100, "body_gap_up, short, upper > body, no_lower"),
    "cdl_shortline": (
        Group("short, upper < 0.5 * shadow_mean, lower < 0.5 * shadow_mean", ((100, "white"), (-100, "black"))),
    ),
    "cdl_spinningtop": (Group("upper > body, lower > body, short", ((100, "white"), (-100, "black"))),),
    # Its last condition is TA-Lib's "open >= close[1] - body - near[1]", of a white bar.
    "cdl_stalledpattern": one(-100, f"{_ADVANCING}, long[2], long[1], no_upper[1], short, close >= close[1] - near[1]"),
    "cdl_sticksandwich": one(100, "black[2], white[1], black, low[1] > close[2], close ~ close[2] by equal[2]"),
    "cdl_takuri": one(100, "doji, no_upper, lower > 2 * body"),
    "cdl_tasukigap": two_sided(
        "",
        "body_gap_up[1], white[1], black, open < close[1], open > open[1], close < open[1], close > top[2], "
        "body_change < near[1]",
    ),
    "cdl_thrusting": one(
        -100,
        f"{_BLACK_THEN_WHITE}, open < low[1], close > close[1] + equal[1], close <= close[1] + 0.5 * body[1]",
    ),
    "cdl_tristar": two_sided(
        "doji[2], body[1] <= 0.1 * range_mean[2], body <= 0.1 * range_mean[2]", "body_gap_down[1], bottom > bottom[1]"
    ),
    "cdl_unique3river": one(
        100,
        "long[2], black[2], black[1], white, close[1] > close[2], open[1] <= open[2], low[1] < low[2], short, "
        "open > low[1]",
    ),
    "cdl_upsidegap2crows": one(
        -100,
        "long[2], white[2], black[1], small[1], body_gap_up[1], black, open > open[1], close < close[1], "
        "close > close[2]",
    ),
    "cdl_xsidegap3methods": two_sided(
        "open < top[1], open > bottom[1], close < top[2], close > bottom[2]",
        "white[2], white[1], black, body_gap_up[1]",
    ),
}
"""Every pattern by its kind's name.  A pattern's place in here is its number in the states."""
