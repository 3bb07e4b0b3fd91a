"""What the strategies in the box keep to on any market: made-up tapes, and every fill looked at."""

from __future__ import annotations

from itertools import accumulate
from math import ceil, floor
from typing import Any

import numpy as np
import polars as pl
import pytest

from actors.messages import Bar, Funding, Quote
from config.errors import UserError
from pitboss import ReplayResult, Tape, replay, synthetic_tape, tape_from_frame
from replay.tape.series import Tape as AnyTape
from strategies.base import Execution, OrderUpdate
from strategies.indicators import atr, supertrend
from strategies.library.funding_carry import FundingCarry
from strategies.library.market_maker import MarketMaker

HOUR_MS = 3_600_000


def closes(*prices: float, symbol: str = "X") -> Tape:
    """Make bars that open where the last one closed."""
    close = np.array(prices)
    opened = np.concatenate((close[:1], close[:-1]))
    frame = {
        "ts": 1_600_000_000_000 // HOUR_MS * HOUR_MS + HOUR_MS * np.arange(close.size),
        "open": opened,
        "high": np.maximum(opened, close),
        "low": np.minimum(opened, close),
        "close": close,
        "volume": np.ones(close.size),
    }
    return tape_from_frame(pl.DataFrame(frame), symbol=symbol)


def together(*tapes: Tape) -> Tape:
    return AnyTape([series for tape in tapes for series in tape.series])


def signed(fills: pl.DataFrame) -> list[float]:
    return [quantity if side == "buy" else -quantity for side, quantity in fills.select("side", "quantity").iter_rows()]


def walk(seed: int, count: int = 1_500) -> list[float]:
    steps = np.random.default_rng(seed).integers(-60, 61, count)
    return [float(price) / 10 for price in 10_000 + np.cumsum(steps)]


def test_buying_and_holding_is_one_order_of_nearly_everything() -> None:
    result = replay(synthetic_tape("7:2000"), "buy_and_hold", {"fraction": 0.5})
    ((price, quantity, side),) = result.fills.select("price", "quantity", "side").iter_rows()
    assert side == "buy"
    assert price * quantity == pytest.approx(50_000, rel=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_a_grid_never_holds_more_than_its_levels_and_sells_a_step_above_each_buy(seed: int) -> None:
    result = replay(closes(*walk(seed)), "grid", {"step": 0.01, "levels": 4, "quantity": 0.5})
    held = list(accumulate(signed(result.fills)))
    assert len(held) > 5
    assert min(held) >= 0.0
    assert max(held) <= 2.0
    origin = walk(seed)[0]
    prices = {"buy": set[float](), "sell": set[float]()}
    for side, price in result.fills.select("side", "price").iter_rows():
        prices[side].add(round(price / origin, 3))
    assert prices["buy"] <= {0.99, 0.98, 0.97, 0.96}
    assert prices["sell"] <= {1.0, 0.99, 0.98, 0.97}


def test_averaging_buys_every_so_many_bars_more_below_its_average_and_sells_all_at_a_profit() -> None:
    prices = [100.0, 100.0, 100.0, 80.0, 80.0, 80.0, 80.0, 120.0, 120.0, 120.0, 120.0, 120.0, 120.0]
    result = replay(closes(*prices), "dca", {"every": 3, "amount": 1_000.0, "dip": 2.0, "take_profit": 0.1})
    told = [(side, round(price * quantity)) for side, price, quantity in bought(result)]
    assert told[:3] == [("buy", 1_000), ("buy", 2_000), ("buy", 2_000)]
    side, value = told[3]
    assert (side, value) == ("sell", round(120 * (1_000 / 100 + 2_000 / 80 + 2_000 / 80)))
    assert told[4] == ("buy", 1_000), "it begins anew, with no average to be below of"


def bought(result: ReplayResult) -> list[tuple[str, float, float]]:
    return result.fills.select("side", "price", "quantity").rows()


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"entry": "close > 11", "exit": "close < 9"}, [1.0, -1.0, 1.0]),
        ({"entry": "close > 11", "exit": ""}, [1.0]),
        ({"entry": "", "exit": "", "short_entry": "close < 9", "short_exit": "close > 11"}, [-1.0, 1.0]),
        ({"entry": "close > 11", "exit": "", "short_entry": "close < 9"}, [1.0, -2.0, 2.0]),
        ({"entry": "close > 11", "exit": "close > 11"}, [1.0, -1.0, 1.0, -1.0]),
        ({"entry": "(close - close) / (close - close)", "exit": ""}, []),
    ],
)
def test_rules_enter_leave_and_turn(rules: dict[str, str], expected: list[float]) -> None:
    prices = [10.0, 10.0, 12.0, 12.0, 12.0, 10.0, 8.0, 8.0, 10.0, 11.5, 10.0]
    result = replay(closes(*prices), "rule", {"quantity": 1.0, **rules})
    assert signed(result.fills) == expected


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("emma(1) > 3", r"^strategy rule: parameter entry: column 1: there is no indicator emma \(did you mean 'ema'"),
        ("bbands(20)", r"^strategy rule: parameter entry: bbands\(20, 2\) has 3 values: pick one, such as .upper"),
        ("close.on('7m') > 3", "^strategy rule: feature entry: 7m bars of X cannot be built from its own"),
    ],
)
def test_a_rule_with_a_mistake_is_refused_with_its_name_and_place(rule: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as refused:
        replay(closes(*walk(1, 50)), "rule", {"entry": rule})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("short", [False, True])
def test_the_turtle_risks_what_it_says_and_never_sells_short_unless_told(short: bool) -> None:
    result = replay(closes(*walk(3)), "turtle", {"risk": 0.01, "short": short})
    held = list(accumulate(signed(result.fills)))
    assert len(held) > 10
    assert (min(held) < 0.0) == short
    assert all(abs(position) < 1e-9 for position in held[1::2]), "every second fill closes what the first opened"


class Held:
    """What a managed strategy does to a position, told by hand, of bars that open at the last close."""

    def __init__(self, prices: list[float]) -> None:
        self.prices = prices
        self.fills: list[tuple[int, int, float]] = []
        """Bar, side and price of each."""
        self.side = 0
        self.stop = self.best = self.profit = 0.0
        self.opened = 0

    def trade(self, row: int, side: int, price: float) -> None:
        self.fills.append((row, side, round(price, 1)))
        if self.side == 0:
            self.opened, self.best = row, price
        self.side += side

    def stops(self, row: int) -> bool:
        """Meet the stop or the profit within a bar, and say if so; in a bar without gaps the nearer comes first."""
        close = self.prices[row]
        if self.side and self.side * (close - self.stop) <= 0.0:
            self.trade(row, -self.side, self.stop)
            return True
        if self.side and self.profit and self.side * (close - self.profit) > 0.0:
            self.trade(row, -self.side, self.profit)
            return True
        return False


def tick(price: float, side: int) -> float:
    """Return the tick at which a stop is met later, of prices in tenths."""
    return (floor(round(price * 10, 6)) if side > 0 else ceil(round(price * 10, 6))) / 10


def told(result: ReplayResult, first_ms: int) -> list[tuple[int, int, float]]:
    """Return the fills with the bar they were in: orders at the market at its open, stops where they were met."""
    rows = result.fills.select("ts", "side", "price").iter_rows()
    return [((when - first_ms) // HOUR_MS, 1 if side == "buy" else -1, round(price, 1)) for when, side, price in rows]


@pytest.mark.parametrize(("multiplier", "short"), [(2.0, False), (2.0, True), (0.4, True)])
def test_the_supertrend_is_entered_behind_its_turns_and_left_at_its_line(multiplier: float, short: bool) -> None:
    """With a line as near as that of the last one turns come within a bar, before the stop is reached."""
    prices = walk(6, 4_000)
    tape = closes(*prices)
    close = np.array(prices)
    opened = np.concatenate((close[:1], close[:-1]))
    line, side = supertrend(10, multiplier).start().batch(np.maximum(opened, close), np.minimum(opened, close), close)
    held, before, turned, wanted, over = Held(prices), 0, False, 0, False
    for row in range(len(prices)):
        at = prices[row - 1]
        if over:
            held.trade(row, -held.side, at)
        if wanted:
            held.trade(row, wanted, at)
        wanted, over = 0, False
        held.stops(row)
        if np.isnan(line[row]):
            continue
        now = int(side[row])
        if now != before:
            turned, before = before != 0 and (now > 0 or short), now
        if held.side * now < 0:
            over = True
        elif held.side:
            held.stop = tick(line[row], held.side)
        elif turned:
            turned, wanted, held.stop = False, now, tick(line[row], now)
    result = replay(tape, "supertrend", {"multiplier": multiplier, "short": short})
    assert told(result, tape.series[0].first_open_ns // 1_000_000) == held.fills


@pytest.mark.parametrize(
    "params",
    [
        {"trail_atr": 0.0},
        {"trail_atr": 2.5, "short": False},
        {"trail_atr": 0.0, "take_profit_atr": 4.0},
        {"stop_atr": 1.5, "trail_atr": 3.0, "take_profit_atr": 5.0, "time_stop_bars": 12},
    ],
    ids=["stop", "trail", "profit", "all"],
)
def test_a_breakout_is_left_by_the_first_of_its_exits(params: dict[str, Any]) -> None:
    terms = {"stop_atr": 2.0, "take_profit_atr": 0.0, "time_stop_bars": 0, "short": True} | params
    prices = walk(8, 4_000)
    tape = closes(*prices)
    close = np.array(prices)
    opened = np.concatenate((close[:1], close[:-1]))
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    (ranges,) = atr(14).start().batch(high, low, close)
    held, wanted, over, trail = Held(prices), 0, False, 0.0
    for row in range(len(prices)):
        at, now = prices[row - 1], prices[row]
        if over:
            held.trade(row, -held.side, at)
        if wanted:
            held.trade(row, wanted, at)
        wanted, over = 0, False
        if not held.stops(row) and held.side:
            held.best = max(held.best, now) if held.side > 0 else min(held.best, now)
            if trail:
                follows = round(held.best - held.side * trail, 1)
                held.stop = max(held.stop, follows) if held.side > 0 else min(held.stop, follows)
            over = 0 < terms["time_stop_bars"] <= row - held.opened + 1
        before = slice(max(0, row - 20), row)
        side = 0 if row < 20 else 1 if now > max(high[before]) else -1 if now < min(low[before]) else 0
        if not held.side and side and (side > 0 or terms["short"]):
            wanted = side
            held.stop = tick(now - side * terms["stop_atr"] * ranges[row], side)
            trail = round(terms["trail_atr"] * ranges[row], 1)
            held.profit = (
                tick(now + side * terms["take_profit_atr"] * ranges[row], -side) if terms["take_profit_atr"] else 0.0
            )
    result = replay(tape, "breakout", {"lookback": 20, **params})
    assert told(result, tape.series[0].first_open_ns // 1_000_000) == held.fills
    assert len(held.fills) > 40


def test_a_short_strength_index_buys_falls_within_a_rise_only() -> None:
    rise = [100.0 + row for row in range(30)]
    fall = [126.0, 122.0, 120.5]
    result = replay(
        closes(*rise, *fall, 126.0, 130.0, 131.0), "rsi2", {"trend": 30, "exit": 3, "low": 10, "quantity": 2.0}
    )
    assert signed(result.fills) == [2.0, -2.0]
    down = replay(closes(*(200.0 - row for row in range(60))), "rsi2", {"trend": 20, "exit": 3})
    assert down.fills.is_empty()


def test_a_pair_is_entered_and_left_on_both_sides_at_once_with_equal_values() -> None:
    draw = np.random.default_rng(4)
    common = 1_000 + np.cumsum(draw.integers(-3, 4, 1_200))
    first = common * 2 + draw.integers(-12, 13, 1_200)
    tape = together(closes(*map(float, first), symbol="A"), closes(*map(float, common), symbol="B"))
    result = replay(tape, "pairs", {"period": 50, "entry": 1.5, "notional": 5_000.0}, symbols=("A", "B"))
    by_time = result.fills.partition_by("ts", maintain_order=True)
    assert len(by_time) > 10
    for legs in by_time:
        assert sorted(legs["symbol"]) == ["A", "B"]
        assert len(set(legs["side"])) == 2
    values = [price * quantity for price, quantity in by_time[0].select("price", "quantity").iter_rows()]
    assert values == pytest.approx([5_000.0, 5_000.0], rel=0.02)


def test_rotation_holds_the_strongest_few_and_nothing_that_falls() -> None:
    count = 60
    up, slow, down = ([100.0 * (1 + rate) ** row for row in range(count)] for rate in (0.01, 0.002, -0.01))
    tape = together(*(closes(*series, symbol=name) for name, series in (("UP", up), ("SLOW", slow), ("DOWN", down))))
    params = {"lookback": 10, "top": 1, "every": 5, "exposure": 0.5}
    result = replay(tape, "rotation", params, symbols=("UP", "SLOW", "DOWN"))
    assert set(result.fills["symbol"]) == {"UP"}
    falling = together(closes(*down, symbol="A"), closes(*down, symbol="B"))
    assert replay(falling, "rotation", params, symbols=("A", "B")).fills.is_empty()
    both: Any = replay(falling, "rotation", {**params, "absolute": False}, symbols=("A", "B"))
    assert set(both.fills["symbol"]) == {"A"}, "of equals the one that is named first"


class Market:
    """A desk that takes every order and lets the test fill it."""

    symbol = "X"
    symbols = ("X",)

    def __init__(self) -> None:
        self.position = 0.0
        self.resting: dict[int, tuple[int, float]] = {}
        self.cancelled: list[int] = []
        self.count = 0

    def order(self, side: int, quantity: float, kind: str, limit: float, *_: Any, **__: Any) -> int:
        assert (quantity, kind) == (1.0, "limit")
        self.count += 1
        self.resting[self.count] = (side, limit)
        return self.count

    def cancel(self, ref: int) -> None:
        self.cancelled.append(ref)


def quoted(desk: Market, maker: MarketMaker, bid: float, ask: float) -> dict[int, float]:
    """Tell the best bid and ask; carry out what was withdrawn; return what rests, by side."""
    maker.on_quote(Quote("X", bid, 5.0, ask, 5.0, 0))
    for ref in desk.cancelled:
        del desk.resting[ref]
        maker.on_order(OrderUpdate(ref, "cancelled"))
    desk.cancelled.clear()
    maker.on_quote(Quote("X", bid, 5.0, ask, 5.0, 0))
    return {side: round(price, 6) for side, price in desk.resting.values()}


def test_a_market_maker_quotes_both_sides_leans_against_what_it_holds_and_stops_at_its_limit() -> None:
    desk = Market()
    maker = MarketMaker(half_spread=0.01, skew=0.005, quantity=1.0, inventory_max=2.0, tolerance=0.001)
    maker.bind(desk)  # type: ignore[arg-type]
    maker.on_start()
    assert quoted(desk, maker, 99.9, 100.1) == {1: 99.0, -1: 101.0}
    assert quoted(desk, maker, 99.95, 100.15) == {1: 99.0, -1: 101.0}, "near enough to stay"
    assert quoted(desk, maker, 109.9, 110.1) == {1: 108.9, -1: 111.1}
    (bought,) = [ref for ref, (side, _) in desk.resting.items() if side == 1]
    del desk.resting[bought]
    desk.position = 1.0
    maker.on_fill(Execution(bought, 108.9, 1.0, 0.0, "maker", 0, done=True))
    middle = 110.0 * (1 - 0.005 * 0.5)
    assert quoted(desk, maker, 109.9, 110.1) == {1: round(middle * 0.99, 6), -1: round(middle * 1.01, 6)}
    desk.position = 2.0
    assert set(quoted(desk, maker, 109.9, 110.1)) == {-1}, "what it may hold it holds"


def test_carry_holds_both_legs_while_funding_is_high_and_neither_before() -> None:
    desk = Legs()
    carry = FundingCarry(enter=0.00019, leave=0.0, window=2, notional=1_000.0)
    carry.bind(desk)  # type: ignore[arg-type]
    carry.on_start()
    bars = {name: Bar(name, 1, 0, 1, 100.0, 100.0, 100.0, 100.0, 1.0) for name in desk.symbols}
    both = [(1, 10.0, "SPOT"), (-1, 10.0, "PERP")]
    for rate, expected in ((0.0003, []), (0.0001, both), (0.0001, []), (-0.0002, [0, 0])):
        carry.on_funding(Funding("PERP", rate, 0, 0))
        carry.on_funding(Funding("SPOT", 9.0, 0, 0))
        carry.on_slice(bars, {})
        assert desk.told == expected
        desk.told.clear()


class Legs:
    """A desk of two markets."""

    symbols = ("SPOT", "PERP")

    def __init__(self) -> None:
        self.told: list[Any] = []

    def order(self, side: int, quantity: float, *_: Any, symbol: str, **__: Any) -> int:
        self.told.append((side, quantity, symbol))
        return len(self.told)

    def target(self, quantity: float, *_: Any) -> int:
        self.told.append(quantity)
        return len(self.told)

    def fit(self, quantity: float, *_: Any) -> float:
        return quantity
