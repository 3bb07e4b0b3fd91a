"""A tape as public trades: where they lie in time, what they cost, and that its bars come out again."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import UserError
from replay.exchange.candles import INTERVALS, CandleSeries, span_ms
from replay.exchange.engine import Engine
from replay.exchange.model import Candle, Market
from replay.exchange.player import Clock, Player, start_clock
from replay.exchange.tape_print import TapePrint
from replay.tape import Tape, open_tape, synthetic_tape, tape_from_frame

D = Decimal
MINUTE_MS = 60_000
NS = 1_000_000
START_MS = 1_700_000_040_000
"""The first bar of hand-made tapes; a whole minute."""


def market(symbol: str = "SYN/USDT", lot: str = "0.00000001") -> Market:
    base, quote = symbol.split("/")
    return Market(symbol=symbol, id=base + quote, base=base, quote=quote, tick=D("0.01"), lot=D(lot))


def tape(
    rows: list[tuple[float, float, float, float, float]], symbol: str = "SYN/USDT", step_ms: int = MINUTE_MS
) -> Tape:
    names = ("open", "high", "low", "close", "volume")
    columns: dict[str, Any] = dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
    columns["ts"] = np.array([START_MS + index * step_ms for index in range(len(rows))])
    return tape_from_frame(columns, symbol=symbol, timeframe=f"{step_ms // 1_000}s", tick=D("0.01"))


def engine_of(*markets: Market, intervals: tuple[str, ...] = ()) -> Engine:
    return Engine(markets, {}, intervals=intervals)


def prints(tape: Tape, engine: Engine, shift_ns: int = 0, played: dict[str, int] | None = None) -> list[TapePrint]:
    player = Player(tape, engine.books, shift_ns, played or {})
    return list(player.due(2**62, 2**62))


def test_a_bar_is_four_trades_on_its_path() -> None:
    found = prints(tape([(10.0, 12.0, 9.5, 11.0, 7.0), (11.0, 11.5, 8.0, 8.0, 0.0)]), engine_of(market(lot="1")))
    third = MINUTE_MS // 3
    assert [(each.time_ms - START_MS, each.price_ticks, each.quantity_lots) for each in found] == [
        (0, 1_000, 4),
        (third, 950, 1),
        (2 * third, 1_200, 1),
        (MINUTE_MS - 1, 1_100, 1),
        (MINUTE_MS, 1_100, 0),
        (MINUTE_MS + third, 1_150, 0),
        (MINUTE_MS + 2 * third, 800, 0),
        (2 * MINUTE_MS - 1, 800, 0),
    ]
    assert [each.step for each in found] == list(range(8))


def test_a_tape_of_trades_is_played_trade_by_trade(tmp_path: Path) -> None:
    """Also from the middle, and where it does not say who took."""
    path = tmp_path / "trades.parquet"
    times = [START_MS + 1, START_MS + 1, START_MS + 30_000, START_MS + MINUTE_MS]
    pl.DataFrame({"ts": times, "price": [10.0, 10.5, 10.25, 11.0], "quantity": [1.0, 2.0, 3.0, 4.0]}).with_columns(
        side=pl.Series([1, -1, 0, 1], dtype=pl.Int8)
    ).write_parquet(path)
    trades = open_tape([f"SYN/USDT={path}"], tick=D("0.01"))
    found = prints(trades, engine_of(market(lot="1")), shift_ns=7 * MINUTE_MS * NS)
    assert [(each.time_ms - START_MS - 7 * MINUTE_MS, each.price_ticks, each.quantity_lots) for each in found] == [
        (1, 1_000, 1),
        (1, 1_050, 2),
        (30_000, 1_025, 3),
        (MINUTE_MS, 1_100, 4),
    ]
    assert [each.buyer_is_maker for each in found] == [False, True, None, False]
    assert prints(trades, engine_of(market(lot="1")), 7 * MINUTE_MS * NS, {"SYNUSDT": 2}) == found[2:]


def test_several_series_are_played_in_order_of_time_then_of_registration() -> None:
    first = tape([(1.0, 1.0, 1.0, 1.0, 1.0)] * 2, "A/USDT")
    slow = tape([(2.0, 2.0, 2.0, 2.0, 1.0)], "B/USDT", 2 * MINUTE_MS)
    both = Tape([*first.series, *slow.series])
    found = prints(both, engine_of(market("A/USDT"), market("B/USDT")))
    assert [(each.time_ms - START_MS) * 3 // MINUTE_MS for each in found] == [0, 0, 1, 2, 2, 2, 3, 4, 4, 5, 5, 5]
    assert [each.id[0] for each in found][:3] == ["A", "B", "A"]
    assert found == sorted(found)


@given(played=st.integers(0, 400), seed=st.integers(0, 9))
def test_a_tape_goes_on_after_any_trade(played: int, seed: int) -> None:
    rows = synthetic_tape(f"{seed}:100")
    everything = prints(rows, engine_of(market()))
    assert prints(rows, engine_of(market()), played={"SYNUSDT": played}) == everything[played:]


@pytest.mark.parametrize("timeframe_ms", [MINUTE_MS, 5 * MINUTE_MS, 60 * MINUTE_MS])
def test_candles_close_as_the_bars_of_the_tape(timeframe_ms: int) -> None:
    bars = synthetic_tape("3:60")
    rows = [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars.bars()]
    source = tape(rows, step_ms=timeframe_ms)
    name = {1: "1m", 5: "5m", 60: "1h"}[timeframe_ms // MINUTE_MS]
    engine = engine_of(market(), intervals=(name,))
    shift_ms = -(START_MS % (60 * MINUTE_MS))
    for each in prints(source, engine, shift_ms * NS):
        engine.print_trade(each.id, each.price_ticks, each.quantity_lots, each.time_ms)
    engine.close_candles(2**53)
    expected = [
        (START_MS + shift_ms + index * timeframe_ms, *(round(price * 100) for price in prices), round(volume * 1e8))
        for index, (*prices, volume) in enumerate(rows)
    ]
    told = [event for event in engine.drain() if isinstance(event, Candle) and event.interval == name and event.closed]
    for candles in (told, engine.candles("SYNUSDT", name, None, None, 1_000)):
        assert expected == [
            (each.open_ms, each.open_ticks, each.high_ticks, each.low_ticks, each.close_ticks, each.volume_lots)
            for each in candles
        ]
        assert all(each.closed and each.close_ms == each.open_ms + timeframe_ms - 1 for each in candles)


def test_longer_candles_are_made_of_what_was_played_and_grow_with_it() -> None:
    engine = engine_of(market())
    played = prints(synthetic_tape("5:300"), engine)
    for count, each in enumerate(played):
        engine.print_trade(each.id, each.price_ticks, each.quantity_lots, each.time_ms)
        if count == 500:
            engine.candles("SYNUSDT", "1h", None, None, 1)
    grown = engine.candles("SYNUSDT", "1h", None, None, 1_000)
    fresh = engine_of(market())
    fresh.load(engine.dump())
    assert fresh.candles("SYNUSDT", "1h", None, None, 1_000) == grown
    assert sum(each.volume_lots for each in grown) == sum(each.quantity_lots for each in played)
    assert [each.trades for each in grown] == [240] * 5
    assert [each.closed for each in grown] == [True] * 4 + [False]


def test_candles_are_asked_for_by_opening_time_and_number() -> None:
    engine = engine_of(market())
    for minute in range(10):
        engine.print_trade("SYNUSDT", 100 + minute, 1, minute * MINUTE_MS)

    def opens(*args: Any) -> list[int]:
        return [each.open_ms // MINUTE_MS for each in engine.candles("SYNUSDT", "1m", *args)]

    assert opens(None, None, 3) == [7, 8, 9]
    assert opens(None, 5 * MINUTE_MS, 3) == [3, 4, 5]
    assert opens(2 * MINUTE_MS, None, 3) == [2, 3, 4]
    assert opens(2 * MINUTE_MS - 1, 3 * MINUTE_MS, 9) == [2, 3]
    assert opens(20 * MINUTE_MS, None, 9) == []


def test_each_candle_is_closed_once_and_nothing_is_invented_for_a_gap() -> None:
    engine = engine_of(market())
    engine.print_trade("SYNUSDT", 100, 1, 0)
    assert engine.next_close_ms() == MINUTE_MS
    engine.close_candles(MINUTE_MS - 1)
    engine.close_candles(MINUTE_MS)
    engine.close_candles(MINUTE_MS)
    assert engine.next_close_ms() is None
    engine.print_trade("SYNUSDT", 100, 1, 5 * MINUTE_MS)
    engine.print_trade("SYNUSDT", 100, 1, 6 * MINUTE_MS)
    closed = [event.open_ms for event in engine.drain() if isinstance(event, Candle) and event.closed]
    assert closed == [0, 5 * MINUTE_MS]


@pytest.mark.parametrize(
    ("interval", "opened", "following"),
    [
        ("1m", "2024-02-29T23:59", "2024-03-01T00:00"),
        ("4h", "2024-02-29T20:00", "2024-03-01T00:00"),
        ("1d", "2024-02-29", "2024-03-01"),
        ("1w", "2024-02-26", "2024-03-04"),
        ("1M", "2024-02-01", "2024-03-01"),
    ],
)
def test_intervals_follow_the_calendar(interval: str, opened: str, following: str) -> None:
    moment = int(np.datetime64("2024-02-29T23:59:59.999", "ms").astype(int))
    expected = tuple(int(np.datetime64(text, "ms").astype(int)) for text in (opened, following))
    assert span_ms(interval, moment) == expected
    assert span_ms(interval, expected[0])[0] == expected[0]
    assert span_ms(interval, expected[1])[0] == expected[1]


def test_december_is_followed_by_january() -> None:
    moment = int(np.datetime64("2024-12-31", "ms").astype(int))
    assert span_ms("1M", moment)[1] == int(np.datetime64("2025-01-01", "ms").astype(int))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60))
def test_every_interval_tiles_time(times_ms: list[int]) -> None:
    for interval in INTERVALS:
        series = CandleSeries("X", interval)
        for time_ms in sorted(times_ms):
            series.take(time_ms, 1, 1)
            candle = series.newest()
            assert candle.open_ms <= time_ms <= candle.close_ms
        opens = [(kept.open_ms, kept.next_ms) for kept in series.kept]
        assert all(before[1] <= after[0] for before, after in pairwise(opens))
        assert sum(kept.trades for kept in series.kept) == len(times_ms)


def test_a_candle_counts_what_was_paid_and_what_buyers_took() -> None:
    finer, longer = CandleSeries("X", "1m"), CandleSeries("X", "1h")
    for minute, (price, lots, bought) in enumerate([(10, 3, True), (12, 5, False), (11, 2, True)]):
        finer.take(minute * 60_000, price, lots, bought=bought)
    longer.extend(finer.kept)
    (candle,) = longer.between(None, None, 10)
    assert (candle.volume_lots, candle.turnover) == (10, 30 + 60 + 22)
    assert (candle.bought_lots, candle.bought_turnover) == (5, 30 + 22)


# --- time ----------------------------------------------------------------------------------------------


def test_the_first_bar_is_the_one_around_the_first_start() -> None:
    source = synthetic_tape("1:10")
    wall_ns = 1_700_000_000_123_456_789
    clock = start_clock(source, wall_ns, 60.0)
    first_ns = source.series[0].first_open_ns + clock.shift_ns
    assert first_ns % (MINUTE_MS * NS) == 0
    assert first_ns <= wall_ns < first_ns + MINUTE_MS * NS
    assert clock.now_ns(wall_ns) == wall_ns
    assert clock.now_ns(wall_ns + 10**9) == wall_ns + 60 * 10**9


def test_at_the_speed_of_the_wall_the_exchange_has_its_time() -> None:
    clock = start_clock(synthetic_tape("1:10"), 1_700_000_000_123_456_789, 1.0)
    assert clock.now_ns(1_900_000_000_123_456_789) == 1_900_000_000_123_456_789


def test_without_a_tape_time_is_the_walls_at_any_speed() -> None:
    assert start_clock(None, 5, 60.0).now_ns(10**18) == 10**18


def test_a_wait_is_as_much_shorter_as_time_is_faster() -> None:
    clock = Clock(0, 0, 10.0, 0)
    assert clock.wait_s(10**9, 20_000) == 1.0
    assert clock.wait_s(10**9, 5_000) == -0.5
    assert clock.set(10**9, 50, 2.0).now_ns(2 * 10**9) == 2 * 10**9 + 50


def test_a_series_nobody_trades_is_named() -> None:
    with pytest.raises(UserError, match="SYN/USDT is on the tape but not traded here"):
        Player(synthetic_tape("1:10"), engine_of(market("BTC/USDT")).books, 0, {})
