"""Aggregates of recorded 5-minute bars against the venue's own 15-minute and 1-hour files (README, oracle 2)."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from actors.market import Market
from actors.messages import AggregateClosed, Bar
from actors.runtime.scheduler import Context

MINUTE = 60_000_000_000
SYMBOLS = ("ADA", "BCH", "BNB", "BTC", "ETH", "SOL", "XRP")


def aggregated(path: Path, minutes: tuple[int, ...]) -> dict[int, dict[int, Bar]]:
    """Return the aggregates of a file of 5-minute bars: by minutes, then open time."""
    context = Context()
    market = Market(context, [("X", 5 * MINUTE, [each * MINUTE for each in minutes])], 30)
    made: dict[int, dict[int, Bar]] = {each: {} for each in minutes}
    for ts, *values in pl.read_parquet(path).iter_rows():
        bar = Bar("X", 5 * MINUTE, ts * 1_000_000, ts * 1_000_000 + 5 * MINUTE, *values)
        context.now_ns = bar.close_ns
        market.on_bar(bar)
        market.on_bar_settled(bar)
        for message in context.outbox:
            assert isinstance(message, AggregateClosed)
            made[message.bar.timeframe_ns // MINUTE][message.bar.open_ns // 1_000_000] = message.bar
        context.outbox.clear()
    return made


@pytest.mark.slow
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_complete_buckets_equal_the_venues_own_bars(shared_data: Path, symbol: str) -> None:
    ohlcv = shared_data / "ohlcv"
    made = aggregated(ohlcv / f"5m/binance-um_{symbol}USDT_5m_2025.parquet", (15, 60))
    for minutes, folder, at_least in ((15, "15m", 2_800), (60, "1h", 700)):
        native = pl.read_parquet(ohlcv / f"{folder}/binance-um_{symbol}USDT_{folder}_2025.parquet")
        compared = 0
        for ts, opened, high, low, close, volume in native.iter_rows():
            bar = made[minutes].get(ts)
            if bar is None:
                continue
            assert (bar.open, bar.high, bar.low, bar.close) == (opened, high, low, close), ts
            assert abs(bar.volume - volume) <= 1e-6 * volume, ts
            assert bar.close_ns - bar.open_ns == bar.timeframe_ns == minutes * MINUTE
            compared += 1
        assert compared >= at_least
        times = set(native["ts"].to_list())
        inside = [ts for ts in made[minutes] if min(times) <= ts <= max(times)]
        assert len(inside) == compared, "no aggregate the venue does not know"
