"""The public trades that are kept: how many, found by number and by time, and what is told where there is none."""

from __future__ import annotations

import tracemalloc
from typing import Any

import ccxt
import msgspec
import pytest

from replay.exchange import public_trades
from replay.exchange.book import BookState
from replay.exchange.model import Printed
from replay.exchange.public_trades import PublicTrades, TradesState


def filled(count: int) -> PublicTrades:
    trades = PublicTrades("X")
    for number in range(1, count + 1):
        trades.add(Printed("X", number, 100 + number, number, 1_000 * (number // 2), number % 3 == 0))
    return trades


def ids(found: list[Printed]) -> list[int]:
    return [each.trade_id for each in found]


def test_trades_are_found_by_number_by_time_and_from_the_end() -> None:
    trades = filled(10)
    assert ids(trades.between(10, 3, None, None, None)) == [8, 9, 10]
    assert ids(trades.between(10, 3, 4, None, None)) == [4, 5, 6]
    assert ids(trades.between(10, 9, None, 2_000, 3_000)) == [4, 5, 6, 7]
    assert ids(trades.between(10, 2, None, None, 3_000)) == [6, 7]
    assert ids(trades.between(10, 2, -5, None, None)) == [1, 2]
    for nothing in ((11, None, None), (None, 5_001, None), (None, None, -1), (None, 3_000, 2_999)):
        assert trades.between(10, 5, *nothing) == []
    assert trades.between(10, 1, 9, None, None) == [Printed("X", 9, 109, 9, 4_000, True)]


def test_the_newest_are_kept_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_trades, "KEPT_MAX", 100)
    for count in (99, 150, 200, 201, 333):
        trades = filled(count)
        kept = list(range(max(1, count - 99), count + 1))
        assert ids(trades.between(count, 1_000, 1, None, None)) == kept
        again = PublicTrades("X")
        again.load(msgspec.msgpack.decode(msgspec.msgpack.encode(trades.dump()), type=TradesState), [])
        assert again.between(count, 1_000, 1, None, None) == trades.between(count, 1_000, 1, None, None)
        assert again.dump() == trades.dump()


def test_trades_that_an_older_release_kept_are_there() -> None:
    old = msgspec.msgpack.encode(["X", 101, 40, 7, [[6, 100, 5, 9_000, True], [7, 101, 6, 9_500, False]], {}])
    state = msgspec.msgpack.decode(old, type=BookState)
    trades = PublicTrades("X")
    trades.load(state.trades, state.recent)
    assert trades.between(7, 5, None, None, None) == [
        Printed("X", 6, 100, 5, 9_000, True),
        Printed("X", 7, 101, 6, 9_500, False),
    ]


@pytest.mark.slow
def test_all_that_is_kept_of_a_market_takes_less_than_four_megabytes() -> None:
    tracemalloc.start()
    try:
        trades = filled(2 * public_trades.KEPT_MAX)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(trades.between(2 * public_trades.KEPT_MAX, 10**6, 1, None, None)) == public_trades.KEPT_MAX
    assert taken < 4_000_000


async def test_a_client_that_was_away_is_told_all_it_missed(client: Any, usdm: Any, exchange: Any) -> None:
    for symbol, each, path in (
        ("BTC/USDT", client, "publicGetAggTrades"), ("BTC/USDT:USDT", usdm, "fapiPublicGetAggTrades"),
    ):  # fmt: skip
        engine, market_id = (exchange.futures if ":" in symbol else exchange.venue).engine, "BTCUSDT"
        now_ms = exchange.venue.now_ms()
        for number in range(2_500):
            engine.print_trade(market_id, 5_000_000 + number % 7, 1_000, now_ms)
        await exchange.print_trade(symbol, "50000", "0.01")
        seen: list[int] = []
        while rows := await getattr(each, path)({"symbol": market_id, "fromId": (seen or [1])[-1] + 1, "limit": 1_000}):
            seen += [int(row["a"]) for row in rows]
        assert seen == list(range(2, 2_503))
        assert len(await each.fetch_trades(symbol, since=now_ms, limit=1_000)) == 1_000
        assert await each.fetch_trades(symbol, since=now_ms + 3_600_000) == []
        with pytest.raises(ccxt.BaseError, match="-1128"):
            await getattr(each, path)({"symbol": market_id, "fromId": 2, "startTime": now_ms})
        with pytest.raises(ccxt.BaseError, match="-1100"):
            await getattr(each, path)({"symbol": market_id, "fromId": "abc"})
