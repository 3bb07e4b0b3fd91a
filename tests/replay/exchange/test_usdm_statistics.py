"""Open interest and the premium as plain ccxt reads them: both follow from the trades it reads, too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from replay.exchange.server import running
from replay.tape import Tape, synthetic_tape
from tests.replay.exchange.conftest import CONTRACT, SYMBOL, WITHIN_S

pytestmark = pytest.mark.slow

BARS = 1_600
MINUTE_MS = 60_000
STEP_MS = 5 * MINUTE_MS
DAY_MS = 86_400_000


@pytest.fixture
async def traded() -> AsyncIterator[Any]:
    """Return a plain ccxt client of perpetuals, on an exchange with a day and more of the past."""
    import ccxt.pro

    (series,) = synthetic_tape(f"7:{BARS}").series
    spec = msgspec.structs.replace(series.instrument, symbol=SYMBOL)
    tape = Tape([msgspec.structs.replace(series, symbol=SYMBOL, instrument=spec)])
    async with running(seed=7, tape=tape, speed=6_000_000.0) as exchange:
        client = ccxt.pro.binanceusdm(exchange.arguments["binanceusdm"] | {"enableRateLimit": False, "number": str})
        deadline_s = time.monotonic() + WITHIN_S
        name = exchange.futures.markets[0].id
        while len(exchange.futures.engine.candles(name, "1m", None, None, 2 * BARS)) < BARS:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.02)
        try:
            await client.load_markets()
            yield client
        finally:
            await client.close()


async def minutes(client: Any) -> list[list[Any]]:
    """Return all candles of a minute as the venue lists them."""
    newest: list[list[Any]] = await client.fapipublic_get_klines({"symbol": "BTCUSDT", "interval": "1m", "limit": 1000})
    older: list[list[Any]] = await client.fapipublic_get_klines(
        {"symbol": "BTCUSDT", "interval": "1m", "limit": 1000, "endTime": str(int(newest[0][0]) - 1)}
    )
    return older + newest


async def test_open_interest_is_half_of_a_day_s_trades_at_each_period(traded: Any) -> None:
    listed = await minutes(traded)
    start_ms = int(listed[0][0])
    assert len(listed) == BARS
    rows = await traded.fetch_open_interest_history(CONTRACT, "5m", start_ms, 500)
    times = [row["timestamp"] for row in rows]
    first_ms = start_ms // STEP_MS * STEP_MS + STEP_MS
    end_ms = int(listed[-1][6]) + 1
    assert times == list(range(first_ms, end_ms + 1, STEP_MS))
    for row in rows:
        inside = [each for each in listed if row["timestamp"] - DAY_MS < int(each[6]) + 1 <= row["timestamp"]]
        traded_quantity = sum(float(each[5]) for each in inside)
        assert float(row["openInterestAmount"]) == pytest.approx(traded_quantity / 2, abs=0.001)
        worth = float(row["openInterestAmount"]) * float(inside[-1][4])
        assert float(row["openInterestValue"]) == pytest.approx(worth, rel=1e-6)
    newest = await traded.fetch_open_interest_history(CONTRACT, "1h", None, 3)
    assert newest == [row for row in rows if row["timestamp"] % (12 * STEP_MS) == 0][-3:]
    within = await traded.fetch_open_interest_history(CONTRACT, "5m", times[10], 5, {"until": times[12]})
    assert within == rows[10:13]


async def test_the_past_of_open_interest_ends_after_thirty_days(traded: Any) -> None:
    import ccxt

    (newest,) = await traded.fetch_open_interest_history(CONTRACT, "5m", None, 1)
    oldest_ms = newest["timestamp"] - 30 * DAY_MS
    assert await traded.fetch_open_interest_history(CONTRACT, "5m", oldest_ms, 5) == []
    for wrong in ({"startTime": str(oldest_ms - 1)}, {"period": "1m"}):
        with pytest.raises(ccxt.BadRequest, match="-1130"):
            await traded.fapidata_get_openinteresthist({"symbol": "BTCUSDT", "period": "5m", **wrong})


async def test_a_premium_is_the_distance_of_a_price_from_its_minute_s_average(traded: Any) -> None:
    listed = await minutes(traded)
    rows = await traded.fetch_premium_index_ohlcv(CONTRACT, "1m", int(listed[0][0]), 1_000)
    assert len(rows) == 1_000
    for each, row in zip(listed, rows, strict=False):
        average = float(each[7]) / float(each[5]) if float(each[5]) else float(each[4])
        assert [float(value) for value in row[1:5]] == pytest.approx(
            [float(price) / average - 1 for price in each[1:5]], abs=2e-7
        )
        assert (row[0], float(row[5])) == (int(each[0]), 0.0)
    last_hour = await traded.fetch_premium_index_ohlcv(CONTRACT, "1h", None, 1)
    assert float(last_hour[0][3]) <= 0 <= float(last_hour[0][2])
