"""Bar statistics and microstructure against plain references: the definition, row by row, over all the past."""

from collections.abc import Callable
from math import erf, exp, log, sqrt

import numpy as np
import pytest

from strategies.indicators import (
    Indicator,
    amihud,
    body_ratio,
    book_imbalance,
    close_location,
    corwin_schultz,
    gap_percent,
    heikin_ashi,
    inside_bar,
    kyle_lambda,
    kyle_lambda_tick,
    lower_wick,
    microprice,
    outside_bar,
    pivots,
    quoted_spread,
    range_percent,
    roll,
    trade_imbalance,
    upper_wick,
    vpin,
    vpin_bulk,
)
from tests.strategies.indicators.definitions import Bars, Column
from tests.strategies.indicators.markets import BITCOIN, TRON, recorded

Rule = Callable[[Bars, int, int], tuple[float, ...]]


def walk(rows: int, price: float, seed: int) -> Bars:
    """Make bars with trades and quotes, gaps, flat stretches and bars without volume."""
    draw = np.random.default_rng(seed)
    tick = price * 1e-4
    moves = np.rint(draw.normal(0.0, 4.0, rows)) * (draw.random(rows) < 0.8)
    moves[rows // 2 : rows // 2 + 60] = 0.0
    close = price + np.cumsum(moves) * tick
    opened = np.concatenate((close[:1], close[:-1])) + draw.integers(-2, 3, rows) * tick
    made = {"open": opened, "close": close}
    made["high"] = np.maximum(opened, close) + draw.integers(0, 4, rows) * tick
    made["low"] = np.minimum(opened, close) - draw.integers(0, 4, rows) * tick
    made["bid"], made["ask"] = close - draw.integers(1, 3, rows) * tick, close + draw.integers(0, 3, rows) * tick
    for name in ("bid_quantity", "ask_quantity", "buy_volume", "sell_volume"):
        made[name] = draw.integers(0, 20, rows) * 0.25
    made["volume"] = made["buy_volume"] + made["sell_volume"]
    return made


def ratio(part: float, whole: float) -> float:
    """Give a part of the whole, 0 of nothing."""
    return 0.0 if whole == 0.0 else part / whole


def of_bar(bars: Bars, row: int) -> tuple[float, float, float, float]:
    """Give a bar's four prices."""
    return tuple(float(bars[name][row]) for name in ("open", "high", "low", "close"))  # type: ignore[return-value]


def changes_of(bars: Bars, row: int, count: int) -> Column:
    """Give the last changes of the close."""
    return np.diff(bars["close"][row - count : row + 1])


def slope(x: Column, y: Column) -> float:
    """Give the least-squares slope of y by x, 0 where x does not vary."""
    x, y = x - x.mean(), y - y.mean()
    return 0.0 if not np.abs(x).max() > 1e-12 else float((x * y).sum() / (x * x).sum())


def ashi(bars: Bars, row: int, _: int) -> tuple[float, ...]:
    """Give the Heikin-Ashi bar, from the first bar on."""
    begun = ended = 0.0
    high = low = 0.0
    for at in range(row + 1):
        opened, high, low, close = of_bar(bars, at)
        begun = (begun + ended) / 2 if at else (opened + close) / 2
        ended = (opened + high + low + close) / 4
    return begun, max(high, begun, ended), min(low, begun, ended), ended


def floor_pivots(bars: Bars, row: int, _: int) -> tuple[float, ...]:
    """Give the levels as traders on the floor wrote them."""
    high, low, close = of_bar(bars, row)[1:]
    pivot = (high + low + close) / 3
    r1, s1 = 2 * pivot - low, 2 * pivot - high
    return (
        pivot,
        *(r1, pivot + (r1 - s1), high + 2 * (pivot - low)),
        *(s1, pivot - (r1 - s1), low - 2 * (high - pivot)),
    )


def shape(name: str) -> Rule:
    """Give the rule of a bar's shape."""

    def rule(bars: Bars, row: int, _: int) -> tuple[float, ...]:
        opened, high, low, close = of_bar(bars, row)
        before_high, before_low, before = of_bar(bars, max(0, row - 1))[1:]
        found = {
            "body_ratio": ratio(abs(close - opened), high - low),
            "upper_wick": ratio(high - max(opened, close), high - low),
            "lower_wick": ratio(min(opened, close) - low, high - low),
            "close_location": ratio(2 * close - high - low, high - low),
            "range_percent": 100 * (high - low) / close,
            "gap_percent": 100 * (opened / before - 1),
            "inside_bar": float(before_low < low <= high < before_high),
            "outside_bar": float(low < before_low <= before_high < high),
        }
        return (found[name],)

    return rule


def flow(bars: Bars, row: int, period: int, magnitude: Callable[[Column], Column]) -> tuple[float, ...]:
    """Give what was bought less sold by both."""
    bought, sold = (bars[name][row + 1 - period : row + 1] for name in ("buy_volume", "sell_volume"))
    return (ratio(float(magnitude(bought - sold).sum()), float((bought + sold).sum())),)


def bulk(bars: Bars, row: int, period: int) -> tuple[float, ...]:
    """Give VPIN by bulk classification."""
    part = total = 0.0
    for at in range(row + 1 - period, row + 1):
        changes = changes_of(bars, at, period)
        deviation = float(changes.std())
        bought = 0.5 if deviation == 0 else 0.5 * (1 + erf(float(changes[-1]) / deviation / sqrt(2)))
        volume = float(bars["volume"][at])
        part += abs(volume * bought - volume * (1 - bought))
        total += volume
    return (ratio(part, total),)


def kyle(bars: Bars, row: int, period: int) -> tuple[float, ...]:
    """Give the slope by true signed volume."""
    signed = (bars["buy_volume"] - bars["sell_volume"])[row + 1 - period : row + 1]
    return (slope(signed, changes_of(bars, row, period)),)


def kyle_tick(bars: Bars, row: int, period: int) -> tuple[float, ...]:
    """Give the slope by the tick rule."""
    changes = changes_of(bars, row, period)
    return (slope(np.sign(changes) * bars["volume"][row + 1 - period : row + 1], changes),)


def illiquidity(bars: Bars, row: int, period: int) -> tuple[float, ...]:
    """Give the mean of the absolute return by turnover."""
    close, volume = bars["close"], bars["volume"]
    found = [
        ratio(abs(float(close[at] / close[at - 1]) - 1), float(close[at] * volume[at]))
        for at in range(row + 1 - period, row + 1)
    ]
    return (sum(found) / period,)


def bounce(bars: Bars, row: int, period: int) -> tuple[float, ...]:
    """Give Roll's spread."""
    covariance = np.cov(changes_of(bars, row, period), changes_of(bars, row - 1, period))[0, 1]
    return (2 * sqrt(max(0.0, -covariance)),)


def high_low(bars: Bars, row: int, period: int) -> tuple[float, ...]:
    """Give the mean spread of Corwin and Schultz."""
    found = []
    for at in range(row + 1 - period, row + 1):
        _, high, low, _ = of_bar(bars, at)
        _, before_high, before_low, _ = of_bar(bars, at - 1)
        beta = log(high / low) ** 2 + log(before_high / before_low) ** 2
        gamma = log(max(high, before_high) / min(low, before_low)) ** 2
        k = 3 - 2 * sqrt(2)
        alpha = (sqrt(2 * beta) - sqrt(beta)) / k - sqrt(gamma / k)
        found.append(max(0.0, 2 * (exp(alpha) - 1) / (1 + exp(alpha))))
    return (sum(found) / period,)


def micro(bars: Bars, row: int, _: int) -> tuple[float, ...]:
    """Give the microprice, or the middle."""
    bid, ask, bid_quantity, ask_quantity = (
        float(bars[name][row]) for name in ("bid", "ask", "bid_quantity", "ask_quantity")
    )
    total = bid_quantity + ask_quantity
    return ((bid * ask_quantity + ask * bid_quantity) / total if total else (bid + ask) / 2,)


def book(bars: Bars, row: int, _: int) -> tuple[float, ...]:
    """Give the imbalance of the best quantities."""
    bid, ask = float(bars["bid_quantity"][row]), float(bars["ask_quantity"][row])
    return (ratio(bid - ask, bid + ask),)


def spread(bars: Bars, row: int, _: int) -> tuple[float, ...]:
    """Give the quoted spread."""
    bid, ask = float(bars["bid"][row]), float(bars["ask"][row])
    return (2 * (ask - bid) / (ask + bid),)


CASES: tuple[tuple[Indicator, Rule], ...] = (
    *((one, shape(one.kind)) for one in (body_ratio(), upper_wick(), lower_wick(), close_location())),
    *((one, shape(one.kind)) for one in (range_percent(), gap_percent(), inside_bar(), outside_bar())),
    (heikin_ashi(), ashi),
    (pivots(), floor_pivots),
    (book_imbalance(), book),
    (microprice(), micro),
    (quoted_spread(), spread),
    *((trade_imbalance(period), lambda bars, row, count: flow(bars, row, count, lambda x: x)) for period in (1, 20)),
    *((vpin(period), lambda bars, row, count: flow(bars, row, count, np.abs)) for period in (1, 20)),
    *((vpin_bulk(period), bulk) for period in (2, 12)),
    *((kyle_lambda(period), kyle) for period in (2, 20)),
    *((kyle_lambda_tick(period), kyle_tick) for period in (2, 20)),
    *((amihud(period), illiquidity) for period in (1, 20)),
    *((roll(period), bounce) for period in (2, 20)),
    *((corwin_schultz(period), high_low) for period in (1, 20)),
)
NEEDS_TICKS = {"bid", "bid_quantity", "buy_volume"}


def named(case: tuple[Indicator, Rule]) -> str:
    """Give the test's name for a case."""
    return "-".join((case[0].kind, *(f"{param:g}" for param in case[0].params)))


by_case = pytest.mark.parametrize("case", CASES, ids=named)


def assert_by_rule(indicator: Indicator, rule: Rule, bars: Bars, step: int) -> None:
    """Compare every `step`-th row with the rule: nine digits, of the value or of the largest in its column."""
    outs = indicator.start().batch(*(bars[source] for source in indicator.columns))
    period = int(indicator.params[0]) if indicator.params else 1
    scales = [float(np.nanmax(np.abs(out))) for out in outs]
    for row in range(indicator.warmup, outs[0].size, step):
        for out, expected, scale in zip(outs, rule(bars, row, period), scales, strict=True):
            # A root of a covariance that is nothing but rounding is as large as half its digits: compare the squares.
            power = 2 if indicator.kind == "roll" else 1
            slack = 1e-9 * scale**power
            assert float(out[row]) ** power == pytest.approx(expected**power, rel=1e-9, abs=slack), row


@by_case
@pytest.mark.parametrize("price", [100.0, 5e4, 3e-6])
def test_values_are_those_of_the_definition(case: tuple[Indicator, Rule], price: float) -> None:
    """At several price scales, with an hour at rest in the middle."""
    assert_by_rule(*case, walk(300, price, seed=21), step=1)


@pytest.mark.parametrize("file", [BITCOIN, TRON])
def test_real_markets(file: str) -> None:
    """Those that need no ticks, on Bitcoin and on a coin of few satoshi."""
    bars = recorded(file, slice(1_500))
    for indicator, rule in CASES:
        if not NEEDS_TICKS & set(indicator.columns):
            assert_by_rule(indicator, rule, bars, step=53)


def test_book_imbalance_takes_the_whole_book() -> None:
    """Its sources are what it is told; three of four is half more."""
    whole = book_imbalance("bid_depth", "ask_depth")
    assert whole.columns == ("bid_depth", "ask_depth")
    assert whole.start().step(3.0, 1.0) == (0.5,)


def test_microprice_leans_to_the_side_with_less() -> None:
    """Much is bid and little asked: the ask is what goes next."""
    assert microprice().start().step(100.0, 102.0, 9.0, 1.0) == (101.8,)
