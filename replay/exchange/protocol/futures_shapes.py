"""Binance's JSON of USD-margined perpetuals, where it differs from that of spot.

What is absent is absent on purpose: ccxt tells spot from contracts by the fields of a message (``M``, ``bidQty``,
``orderListId`` and ``isMaker`` mean spot, ``positionSide`` and ``ps`` a contract).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from actors.instrument import ATOM
from replay.exchange.model import MAX_NUM_ALGO_ORDERS, MAX_NUM_ORDERS
from replay.exchange.protocol import shapes, tickers
from replay.exchange.protocol.shapes import PRICE_MAX, QUANTITY_MAX, atoms_text

if TYPE_CHECKING:
    from actors.margin import Tiers
    from replay.exchange.model import (
        BookChanged,
        ConditionalChanged,
        ConditionalView,
        Executed,
        Market,
        MarkPrice,
        OrderView,
        Printed,
        TradeView,
    )
    from replay.exchange.protocol.shapes import Json, MarketText

FOREVER_MS = 4_133_404_800_000
"""When perpetuals are delivered, as Binance says it."""
_ORDER_TYPES = [
    "LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET",
]  # fmt: skip
_ZERO = "0.00000000"
_INTEREST = "0.00010000"
_OPEN = ("NEW", "PARTIALLY_FILLED")
_DAY_NAMES = (
    "symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "lastPrice", "lastQty", "openPrice",
    "highPrice", "lowPrice", "volume", "quoteVolume", "openTime", "closeTime", "firstId", "lastId", "count",
)  # fmt: skip
_SPOT_ONLY = frozenset("xbBaA")
"""What a ticker of spot says and one of a perpetual does not: the previous close, the best bid and ask."""


def ratio_text(value: Decimal) -> str:
    """Return a rate or a price that is no multiple of a tick."""
    return f"{value:.8f}"


def _decimals(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


# --- the market -----------------------------------------------------------------------------------------


def contract_info(market: Market, tiers: Tiers) -> Json:
    """Return a perpetual with its filters, as `exchangeInfo` lists it."""
    first = tiers.rows[0]
    tick, step = market.tick_size, market.step_size
    return {
        "symbol": market.id,
        "pair": market.id,
        "contractType": "PERPETUAL",
        "deliveryDate": FOREVER_MS,
        "onboardDate": 0,
        "status": "TRADING" if market.trading else "SETTLING",
        "maintMarginPercent": f"{float(first.rate) * 100:.4f}",
        "requiredMarginPercent": f"{Decimal(100) / first.leverage:.4f}",
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "marginAsset": market.settle,
        "pricePrecision": _decimals(tick),
        "quantityPrecision": _decimals(step),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": _ZERO,
        "marketTakeBound": "0.05",
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": f"{tick:f}",
                "maxPrice": f"{PRICE_MAX:f}",
                "tickSize": f"{tick:f}",
            },
            *(
                {"filterType": kind, "minQty": f"{step:f}", "maxQty": f"{QUANTITY_MAX:f}", "stepSize": f"{step:f}"}
                for kind in ("LOT_SIZE", "MARKET_LOT_SIZE")
            ),
            {"filterType": "MAX_NUM_ORDERS", "limit": MAX_NUM_ORDERS},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": MAX_NUM_ALGO_ORDERS},
            {"filterType": "MIN_NOTIONAL", "notional": f"{market.min_notional:f}"},
        ],
        "orderTypes": _ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def trade_row(text: MarketText, trade: Printed) -> Json:
    """Return a public trade as `trades` lists it."""
    row = shapes.trade_row(text, trade)
    del row["isBestMatch"]
    return row


def aggregate_row(text: MarketText, trade: Printed) -> Json:
    """Return a public trade as `aggTrades` lists it."""
    row = shapes.aggregate_row(text, trade)
    del row["M"]
    return row


def trade_event(text: MarketText, trade: Printed, now_ms: int) -> Json:
    """Return a public trade as `@trade` sends it."""
    event = shapes.trade_event(text, trade, now_ms)
    del event["M"]
    return event | {"X": "MARKET"}


def aggregate_event(text: MarketText, trade: Printed, now_ms: int) -> Json:
    """Return a public trade as `@aggTrade` sends it."""
    event = shapes.aggregate_event(text, trade, now_ms)
    del event["M"]
    return event


def day_row(row: Json) -> Json:
    """Return the last 24 hours as `ticker/24hr` says them, from those of spot."""
    return {name: row[name] for name in _DAY_NAMES}


def ticker_event(row: Json, now_ms: int) -> Json:
    """Return the last 24 hours as `@ticker` sends them."""
    event = tickers.ticker_event(row, now_ms)
    return {name: value for name, value in event.items() if name not in _SPOT_ONLY}


def depth_event(text: MarketText, change: BookChanged, now_ms: int) -> Json:
    """Return a difference of the book as `@depth` sends it: `pu` is where the one before it ended."""
    event = shapes.depth_event(text, change, now_ms)
    return event | {"T": change.time_ms, "pu": change.first_update_id - 1}


def partial_event(
    text: MarketText, last_update_id: int, sides: tuple[list[list[str]], list[list[str]]], now_ms: int
) -> Json:
    """Return the best levels of the book as `@depth5`, `@depth10` and `@depth20` send them."""
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "T": now_ms,
        "s": text.market.id,
        "U": last_update_id,
        "u": last_update_id,
        "pu": last_update_id - 1,
        "b": sides[0],
        "a": sides[1],
    }


def best_event(text: MarketText, change: BookChanged, touched: tuple[int, int, int, int], now_ms: int) -> Json:
    """Return the best bid and ask as `@bookTicker` sends them."""
    head = {"e": "bookTicker", "u": change.last_update_id, "E": now_ms, "T": change.time_ms, "s": change.id}
    return head | shapes.touch_event(text, touched)


def mark_event(text: MarketText, mark: MarkPrice, now_ms: int) -> Json:
    """Return the mark price as `@markPrice` sends it."""
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": mark.id,
        "p": text.price(mark.mark_ticks),
        "ap": text.price(mark.mark_ticks),
        "i": text.price(mark.index_ticks),
        "P": text.price(mark.mark_ticks),
        "r": ratio_text(mark.funding_rate),
        "T": mark.next_funding_ms,
    }


def premium_row(text: MarketText, mark: MarkPrice, now_ms: int) -> Json:
    """Return the mark price and the funding to come as `premiumIndex` says them."""
    return {
        "symbol": mark.id,
        "markPrice": text.price(mark.mark_ticks),
        "indexPrice": text.price(mark.index_ticks),
        "estimatedSettlePrice": text.price(mark.mark_ticks),
        "lastFundingRate": ratio_text(mark.funding_rate),
        "interestRate": _INTEREST,
        "nextFundingTime": mark.next_funding_ms,
        "time": now_ms,
    }


# --- orders ---------------------------------------------------------------------------------------------


def average_text(text: MarketText, order: OrderView) -> str:
    """Return the average price of what was executed, zero before."""
    if not order.filled_lots:
        return _ZERO
    return ratio_text(Decimal(order.quote_atoms) * ATOM / (order.filled_lots * text.market.lot))


def order_row(text: MarketText, order: OrderView) -> Json:
    """Return an order as it is answered and listed."""
    return {
        "orderId": order.order_id,
        "symbol": order.id,
        "status": order.status,
        "clientOrderId": order.client_order_id,
        "price": text.price(order.price_ticks),
        "avgPrice": average_text(text, order),
        "origQty": text.quantity(order.quantity_lots),
        "executedQty": text.quantity(order.filled_lots),
        "cumQty": text.quantity(order.filled_lots),
        "cumQuote": atoms_text(order.quote_atoms),
        "timeInForce": order.time_in_force,
        "type": order.type,
        "origType": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side,
        "positionSide": "BOTH",
        "stopPrice": text.price(order.stop_ticks),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def my_trade_row(text: MarketText, trade: TradeView) -> Json:
    """Return an execution as `userTrades` lists it."""
    return {
        "symbol": trade.id,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "side": trade.side,
        "positionSide": "BOTH",
        "price": text.price(trade.price_ticks),
        "qty": text.quantity(trade.quantity_lots),
        "quoteQty": text.value(trade.price_ticks, trade.quantity_lots),
        "realizedPnl": atoms_text(trade.realized_atoms),
        "commission": atoms_text(trade.commission_atoms),
        "commissionAsset": trade.commission_asset,
        "time": trade.time_ms,
        "buyer": trade.side == "BUY",
        "maker": trade.is_maker,
    }


def order_update(text: MarketText, event: Executed) -> Json:
    """Return what the user stream says about an order: ORDER_TRADE_UPDATE."""
    order, trade = event.order, event.trade
    content: Json = {
        "s": order.id,
        "c": order.client_order_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": text.quantity(order.quantity_lots),
        "p": text.price(order.price_ticks),
        "ap": average_text(text, order),
        "sp": text.price(order.stop_ticks),
        "x": event.kind,
        "X": order.status,
        "i": order.order_id,
        "l": _ZERO,
        "z": text.quantity(order.filled_lots),
        "L": _ZERO,
        "T": event.time_ms,
        "t": 0,
        "b": _ZERO,
        "a": _ZERO,
        "m": False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.type,
        "ps": "BOTH",
        "cp": order.close_position,
        "rp": _ZERO,
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "NONE",
        "pm": "NONE",
        "gtd": 0,
    }
    if order.status in _OPEN:
        value = text.value(order.price_ticks, order.quantity_lots - order.filled_lots)
        content["b" if order.side == "BUY" else "a"] = value
    if trade is not None:
        content |= {
            "l": text.quantity(trade.quantity_lots),
            "L": text.price(trade.price_ticks),
            "n": atoms_text(trade.commission_atoms),
            "N": trade.commission_asset,
            "t": trade.trade_id,
            "m": trade.is_maker,
            "rp": atoms_text(trade.realized_atoms),
        }
    return {"e": "ORDER_TRADE_UPDATE", "E": event.time_ms, "T": event.time_ms, "o": content}


# --- conditional orders ---------------------------------------------------------------------------------


def conditional_row(text: MarketText, order: ConditionalView) -> Json:
    """Return a conditional order as it is answered and listed."""
    trails = order.callback_rate is not None
    return {
        "algoId": order.algo_id,
        "clientAlgoId": order.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": order.type,
        "symbol": order.id,
        "side": order.side,
        "positionSide": "BOTH",
        "timeInForce": order.time_in_force,
        "quantity": text.quantity(order.quantity_lots),
        "algoStatus": order.status,
        "triggerPrice": text.price(0 if trails else order.trigger_ticks),
        "price": text.price(order.price_ticks),
        "icebergQuantity": None,
        "selfTradePreventionMode": "NONE",
        "workingType": order.working_type,
        "priceMatch": "NONE",
        "closePosition": order.close_position,
        "priceProtect": False,
        "reduceOnly": order.reduce_only,
        "activatePrice": text.price(order.trigger_ticks) if trails else "",
        "callbackRate": "" if order.callback_rate is None else f"{order.callback_rate:f}",
        "createTime": order.created_ms,
        "updateTime": order.updated_ms,
        "triggerTime": order.triggered_ms,
        "goodTillDate": 0,
        "actualOrderId": str(order.actual_order_id or ""),
        "actualPrice": _ZERO,
    }


def conditional_update(text: MarketText, event: ConditionalChanged, placed: OrderView | None) -> Json:
    """Return what the user stream says about a conditional order: ALGO_UPDATE.

    Args:
        text: its market.
        event: what happened to it.
        placed: the order it led to, once there is one.
    """
    order = event.conditional
    content: dict[str, Any] = {
        "caid": order.client_algo_id,
        "aid": order.algo_id,
        "at": "CONDITIONAL",
        "o": order.type,
        "s": order.id,
        "S": order.side,
        "ps": "BOTH",
        "f": order.time_in_force,
        "q": text.quantity(order.quantity_lots),
        "X": order.status,
        "ai": str(order.actual_order_id or ""),
        "ap": _ZERO if placed is None else average_text(text, placed),
        "aq": _ZERO if placed is None else text.quantity(placed.filled_lots),
        "act": "0" if placed is None else placed.type,
        "tp": text.price(order.trigger_ticks),
        "p": text.price(order.price_ticks),
        "V": "NONE",
        "wt": order.working_type,
        "pm": "NONE",
        "cp": order.close_position,
        "pP": False,
        "R": order.reduce_only,
        "tt": order.triggered_ms,
        "gtd": 0,
        "rm": order.reason,
    }
    return {"e": "ALGO_UPDATE", "E": event.time_ms, "T": event.time_ms, "o": content}
