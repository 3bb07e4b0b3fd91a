"""Questions that anybody may ask: time, markets, candles, trades, books, tickers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from replay.exchange.model import VenueError
from replay.exchange.protocol import shapes, tickers

if TYPE_CHECKING:
    from replay.exchange.model import Candle, Printed
    from replay.exchange.protocol.desk import AnyCall, Desk
    from replay.exchange.protocol.shapes import Json, MarketText

INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
_DAY_MS = 86_400_000
DEPTH_MAX = 5_000
ROWS_MAX = 1_000
_AVERAGE_MINUTES = 5


async def ping(_: AnyCall) -> Json:
    """Answer that somebody is there."""
    return {}


async def server_time(call: AnyCall) -> Json:
    """Return the exchange's time."""
    return {"serverTime": call.now_ms()}


async def exchange_info(call: AnyCall) -> Json:
    """Return the markets with their filters, and the limits."""
    wanted = symbols_of(call)
    call.params.ignore(("permissions", "showPermissionSets", "symbolStatus"))
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms(),
        "rateLimits": call.desk.limits.rules(),
        "exchangeFilters": [],
        "symbols": [shapes.symbol_info(call.desk.venue.engine.market(text.market.id)) for text in wanted],
    }


async def depth(call: AnyCall) -> Json:
    """Return a snapshot of the book; a slow one is taken first and sent later."""
    text = call.market()
    limit = call.params.limit(100, DEPTH_MAX)
    recorded = call.desk.recorded.get(text.market.id)
    if recorded is not None:
        snapshot = recorded.depth(limit)
    else:
        last_id, bids, asks = call.desk.venue.engine.depth(text.market.id, limit)
        sides = {"bids": shapes.levels(text, list(bids)), "asks": shapes.levels(text, list(asks))}
        snapshot = {"lastUpdateId": last_id} | sides
    if call.desk.faults.strikes("slow_snapshot", call.occasion):
        await asyncio.sleep(call.desk.faults.seconds("slow_snapshot"))
    return snapshot


async def klines(call: AnyCall) -> list[Any]:
    """Return candles, those that begin within the given times; the newest unless a start is given."""
    text = call.market()
    return [shapes.kline_row(text, candle) for candle in read_candles(call, text)]


def read_candles(call: AnyCall, text: MarketText) -> list[Candle]:
    """Return the candles that are asked for.

    Raises:
        VenueError: -1120, there is no such interval.
    """
    interval = call.params.needed("interval")
    if interval not in INTERVALS:
        raise VenueError(-1120, "Invalid interval.")
    start_ms, end_ms = call.params.integer("startTime"), call.params.integer("endTime")
    limit = call.params.limit(500, ROWS_MAX)
    call.params.ignore(("timeZone",))
    candles: list[Candle] = call.desk.venue.engine.candles(text.market.id, interval, start_ms, end_ms, limit)
    return candles


async def trades(call: AnyCall) -> list[Any]:
    """Return the newest trades, or those from an id on."""
    text = call.market()
    return [shapes.trade_row(text, trade) for trade in read_trades(call, text)]


def read_trades(call: AnyCall, text: MarketText) -> list[Printed]:
    """Return the trades that are asked for by id."""
    from_id = call.params.integer("fromId")
    limit = call.params.limit(500, ROWS_MAX)
    found: list[Printed] = call.desk.venue.engine.public_trades(text.market.id, from_id, limit=limit)
    return found


async def aggregate_trades(call: AnyCall) -> list[Any]:
    """Return the newest trades, those from an id on, or those of a time."""
    text = call.market()
    return [shapes.aggregate_row(text, trade) for trade in read_trades_of_time(call, text)]


def read_trades_of_time(call: AnyCall, text: MarketText) -> list[Printed]:
    """Return the trades that are asked for by id or by time; none where none was.

    Raises:
        VenueError: -1128, by both.
    """
    params = call.params
    from_id, start_ms, end_ms = params.integer("fromId"), params.integer("startTime"), params.integer("endTime")
    if from_id is not None and (start_ms is not None or end_ms is not None):
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    asked = (from_id, start_ms, end_ms, params.limit(500, ROWS_MAX))
    found: list[Printed] = call.desk.venue.engine.public_trades(text.market.id, *asked)
    return found


async def average_price(call: AnyCall) -> Json:
    """Return the average price of the last minutes."""
    text = call.market()
    candles = call.desk.venue.engine.candles(text.market.id, "1m", None, None, _AVERAGE_MINUTES)
    lots = sum(candle.volume_lots for candle in candles)
    if lots:
        ticks = sum(candle.close_ticks * candle.volume_lots for candle in candles) // lots
    else:
        ticks = candles[-1].close_ticks if candles else 0
    close_ms = candles[-1].close_ms if candles else 0
    return {"mins": _AVERAGE_MINUTES, "price": text.price(ticks), "closeTime": close_ms}


async def ticker_day(call: AnyCall) -> Json | list[Json]:
    """Return the last 24 hours of one market or several."""
    call.params.ignore(("type", "windowSize", "symbolStatus"))
    return one_or_all(call, [day_row(call.desk, text) for text in symbols_of(call)])


async def ticker_price(call: AnyCall) -> Json | list[Json]:
    """Return the last price of one market or several."""
    call.params.ignore(("symbolStatus",))
    rows = [day_row(call.desk, text) for text in symbols_of(call)]
    return one_or_all(call, [{"symbol": row["symbol"], "price": row["lastPrice"]} for row in rows])


async def ticker_book(call: AnyCall) -> Json | list[Json]:
    """Return the best bid and ask of one market or several."""
    call.params.ignore(("symbolStatus",))
    names = ("symbol", "bidPrice", "bidQty", "askPrice", "askQty")
    rows = [day_row(call.desk, text) for text in symbols_of(call)]
    return one_or_all(call, [{name: row[name] for name in names} for row in rows])


def day_row(desk: Desk[Any], text: MarketText) -> Json:
    """Return the last 24 hours of a market, up to now."""
    engine, now_ms = desk.venue.engine, desk.venue.now_ms()
    candles = engine.candles(text.market.id, "1m", now_ms - _DAY_MS, None, _DAY_MS // 60_000 + 1)
    return tickers.ticker_row(text, candles, touch(desk, text), now_ms)


def touch(desk: Desk[Any], text: MarketText) -> tuple[int, int, int, int]:
    """Return the best bid and ask: (ticks, lots, ticks, lots), 0 without."""
    _, bids, asks = desk.venue.engine.depth(text.market.id, 1)
    bid, ask = (bids[0] if bids else (0, 0)), (asks[0] if asks else (0, 0))
    return (*bid, *ask)


def symbols_of(call: AnyCall) -> list[MarketText]:
    """Return the markets that are asked about; all unless some are named.

    Raises:
        VenueError: -1121, -1128, there is none of that name, or one and several are asked about.
    """
    one, several = call.params.text("symbol"), call.params.names("symbols")
    if one is not None and several is not None:
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    if one is not None:
        several = [one]
    return list(call.desk.texts.values()) if several is None else [call.desk.text(name) for name in several]


def one_or_all(call: AnyCall, rows: list[Json]) -> Json | list[Json]:
    """Return a row by itself where one market was asked about."""
    return rows[0] if "symbol" in call.params else rows
