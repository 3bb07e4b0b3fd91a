"""Figures about perpetuals that are made of what was traded: open interest, and the premium over an average.

There is one account here, so what everybody else holds is derived: half of what was traded in the closed minutes of
the 24 hours before. The same trades give the same figures, whenever they are asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from replay.exchange.model import VenueError
from replay.exchange.protocol import market_data

if TYPE_CHECKING:
    from replay.exchange.model import Candle
    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.protocol.desk import Call
    from replay.exchange.protocol.shapes import Json

PERIODS_MIN = {"5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "12h": 720, "1d": 1_440}
"""Between two figures of open interest, in minutes."""
KEPT_DAYS = 30
"""How far back open interest is listed from its newest figure."""

_MINUTE_MS = 60_000
_DAY_MS = 1_440 * _MINUTE_MS
_ROWS_MAX = 500
_ROWS = 30
_HELD_FOR_MS = _DAY_MS
_CANDLES_MAX = 10**9
_PREMIUM_DECIMALS = Decimal("0.00000001")


async def open_interest(call: Call[PerpetualEngine]) -> Json:
    """Return what is held in a market, by others and by the account."""
    text, now_ms = call.market(), call.now_ms()
    engine = call.desk.venue.engine
    (position,) = engine.positions(text.market.id)
    candles = engine.candles(text.market.id, "1m", now_ms - _HELD_FOR_MS - _MINUTE_MS, now_ms, _CANDLES_MAX)
    lots = abs(position.amount_lots) + _Held(candles).lots(now_ms)
    return {"symbol": text.market.id, "openInterest": f"{Decimal(lots) * text.market.lot:f}", "time": now_ms}


async def open_interest_history(call: Call[PerpetualEngine]) -> list[Json]:
    """Return open interest by time, oldest first: the newest figures of those asked for.

    There is one for each whole period while there are trades; the account's own position is not in them.

    Raises:
        VenueError: -1130, there is no such period, or they are asked for from before what is kept.
    """
    params = call.params
    text = call.market()
    minutes = PERIODS_MIN.get(params.needed("period"))
    if minutes is None:
        raise VenueError(-1130, "parameter 'period' is invalid.")
    start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
    limit = params.limit(_ROWS, _ROWS_MAX)
    candles = call.desk.venue.engine.candles(text.market.id, "1m", None, None, _CANDLES_MAX)
    if not candles:
        return []
    step_ms = minutes * _MINUTE_MS
    newest_ms = _floor(min(call.now_ms(), candles[-1].close_ms + 1), step_ms)
    oldest_ms = max(newest_ms - KEPT_DAYS * _DAY_MS, _floor(candles[0].open_ms, step_ms) + step_ms)
    if start_ms is not None and start_ms < newest_ms - KEPT_DAYS * _DAY_MS:
        raise VenueError(-1130, "parameter 'startTime' is invalid.")
    first_ms = max(oldest_ms, -_floor(-(start_ms or 0), step_ms))
    last_ms = newest_ms if end_ms is None else min(newest_ms, _floor(end_ms, step_ms))
    first_ms = max(first_ms, last_ms - (limit - 1) * step_ms)
    held = _Held(candles)
    return [
        {
            "symbol": text.market.id,
            "sumOpenInterest": text.quantity(lots),
            "sumOpenInterestValue": text.value(held.price_ticks(time_ms), lots),
            "timestamp": time_ms,
        }
        for time_ms in range(first_ms, last_ms + 1, step_ms)
        for lots in (held.lots(time_ms),)
    ]


async def premium_klines(call: Call[PerpetualEngine]) -> list[Any]:
    """Return candles of the premium: how far each price of a candle is from the candle's average, as a fraction."""
    text = call.market()
    rows = []
    for candle in market_data.read_candles(call, text):
        average = Decimal(candle.turnover) / candle.volume_lots if candle.volume_lots else Decimal(candle.close_ticks)
        prices = (candle.open_ticks, candle.high_ticks, candle.low_ticks, candle.close_ticks)
        premium = [f"{(price / average - 1).quantize(_PREMIUM_DECIMALS):f}" for price in prices]
        rows.append([candle.open_ms, *premium, "0", candle.close_ms, "0", candle.trades, "0", "0", "0"])
    return rows


class _Held:
    """What others hold at any time, out of the candles of a minute."""

    def __init__(self, candles: list[Candle]) -> None:
        self._closes_ms = [candle.close_ms + 1 for candle in candles]
        self._prices = [candle.close_ticks for candle in candles]
        self._sums = [0, *accumulate(candle.volume_lots for candle in candles)]

    def lots(self, time_ms: int) -> int:
        """Return half of what was traded in the closed minutes of the 24 hours before a time."""
        first, last = self._closed(time_ms - _HELD_FOR_MS), self._closed(time_ms)
        return (self._sums[last] - self._sums[first]) // 2

    def price_ticks(self, time_ms: int) -> int:
        """Return the last price of the closed minutes before a time, of which there is one."""
        return self._prices[self._closed(time_ms) - 1]

    def _closed(self, time_ms: int) -> int:
        return bisect_right(self._closes_ms, time_ms)


def _floor(time_ms: int, step_ms: int) -> int:
    return time_ms - time_ms % step_ms
