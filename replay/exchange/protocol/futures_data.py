"""Questions about perpetuals that anybody may ask, where they differ from those of spot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from replay.exchange.model import VenueError
from replay.exchange.protocol import futures_shapes as shapes
from replay.exchange.protocol import market_data
from replay.exchange.protocol.market_data import DEPTH_MAX, ROWS_MAX, one_or_all, symbols_of
from replay.exchange.protocol.shapes import levels

if TYPE_CHECKING:
    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.protocol.desk import Call
    from replay.exchange.protocol.shapes import Json

INTERVALS = tuple(interval for interval in market_data.INTERVALS if interval != "1s")
_DEPTHS = frozenset({5, 10, 20, 50, 100, 500, 1_000})
"""Numbers of levels a book may be asked for with; on spot any may."""
_CAP = "0.02000000"
"""No rate of funding is beyond it."""


async def exchange_info(call: Call[PerpetualEngine]) -> Json:
    """Return the markets with their filters, and the limits."""
    engine = call.desk.venue.engine
    markets = [engine.market(market_id) for market_id in call.desk.texts]
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms(),
        "futuresType": "U_MARGINED",
        "rateLimits": call.desk.limits.rules(),
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"}
            for asset in dict.fromkeys(market.settle for market in markets)
        ],
        "symbols": [shapes.contract_info(market, engine.account.brackets) for market in markets],
    }


async def depth(call: Call[PerpetualEngine]) -> Json:
    """Return a snapshot of the book; a slow one is taken first and sent later."""
    text = call.market()
    limit = call.params.limit(500, DEPTH_MAX)
    if limit not in _DEPTHS:
        raise VenueError(-4021, f"'{limit}' is not valid depth limit.")
    now_ms = call.now_ms()
    recorded = call.desk.recorded.get(text.market.id)
    if recorded is not None:
        snapshot = recorded.depth(limit) | {"E": now_ms, "T": now_ms}
    else:
        last_id, bids, asks = call.desk.venue.engine.depth(text.market.id, limit)
        sides = {"bids": levels(text, bids), "asks": levels(text, asks)}
        snapshot = {"lastUpdateId": last_id, "E": now_ms, "T": now_ms} | sides
    if call.desk.faults.strikes("slow_snapshot", call.occasion):
        await asyncio.sleep(call.desk.faults.seconds("slow_snapshot"))
    return snapshot


async def trades(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the newest trades, or those from an id on."""
    text = call.market()
    return [shapes.trade_row(text, trade) for trade in market_data.read_trades(call, text)]


async def aggregate_trades(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the newest trades, those from an id on, or those of a time."""
    text = call.market()
    return [shapes.aggregate_row(text, trade) for trade in market_data.read_trades_of_time(call, text)]


async def price_klines(call: Call[PerpetualEngine]) -> list[Any]:
    """Return candles of the mark or of the index, which follow the last price here; nothing is traded at them."""
    call.params.rename("pair", "symbol")
    return [[*row[:5], "0", row[6], "0", row[8], "0", "0", "0"] for row in await market_data.klines(call)]


async def continuous_klines(call: Call[PerpetualEngine]) -> list[Any]:
    """Return candles of a pair: of its perpetual, the only contract there is."""
    call.params.rename("pair", "symbol")
    call.params.ignore(("contractType",))
    return await market_data.klines(call)


async def ticker_day(call: Call[PerpetualEngine]) -> Json | list[Json]:
    """Return the last 24 hours of one market or of all."""
    rows = [shapes.day_row(market_data.day_row(call.desk, text)) for text in symbols_of(call)]
    return one_or_all(call, rows)


async def ticker_price(call: Call[PerpetualEngine]) -> Json | list[Json]:
    """Return the last price of one market or of all."""
    engine, now_ms = call.desk.venue.engine, call.now_ms()
    rows = [
        {"symbol": text.market.id, "price": text.price(engine.last_ticks(text.market.id)), "time": now_ms}
        for text in symbols_of(call)
    ]
    return one_or_all(call, rows)


async def ticker_book(call: Call[PerpetualEngine]) -> Json | list[Json]:
    """Return the best bid and ask of one market or of all."""
    now_ms, rows = call.now_ms(), []
    for text in symbols_of(call):
        last_id, _, _ = call.desk.venue.engine.depth(text.market.id, 1)
        bid, bid_lots, ask, ask_lots = market_data.touch(call.desk, text)
        rows.append(
            {
                "symbol": text.market.id,
                "bidPrice": text.price(bid),
                "bidQty": text.quantity(bid_lots),
                "askPrice": text.price(ask),
                "askQty": text.quantity(ask_lots),
                "time": now_ms,
                "lastUpdateId": last_id,
            }
        )
    return one_or_all(call, rows)


async def premium_index(call: Call[PerpetualEngine]) -> Json | list[Json]:
    """Return the mark price and the funding to come, of one market or of all."""
    engine, now_ms = call.desk.venue.engine, call.now_ms()
    rows = [shapes.premium_row(text, engine.mark(text.market.id), now_ms) for text in symbols_of(call)]
    return one_or_all(call, rows)


async def funding_rates(call: Call[PerpetualEngine]) -> list[Json]:
    """Return what funding there was, oldest first."""
    params = call.params
    name = params.text("symbol")
    market_id = None if name is None else call.desk.text(name).market.id
    start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
    limit = params.limit(100, ROWS_MAX)
    found = await call.desk.venue.commit(
        lambda engine, _: engine.funding_history(market_id, start_ms=start_ms, end_ms=end_ms, limit=limit)
    )
    return [
        {
            "symbol": each.id,
            "fundingRate": shapes.ratio_text(each.rate),
            "fundingTime": each.time_ms,
            "markPrice": call.desk.texts[each.id].price(each.mark_ticks),
        }
        for each in found
    ]


async def funding_info(call: Call[PerpetualEngine]) -> list[Json]:
    """Return how often there is funding."""
    hours = call.desk.venue.engine.funding_hours
    return [
        {
            "symbol": market_id,
            "adjustedFundingRateCap": _CAP,
            "adjustedFundingRateFloor": f"-{_CAP}",
            "fundingIntervalHours": hours,
            "disclaimer": False,
        }
        for market_id in call.desk.texts
    ]
