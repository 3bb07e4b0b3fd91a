"""Binance's JSON: what the engine says, in the field names and number formats clients read.

Prices and quantities are strings of eight decimals (more where the tick or the step is finer).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from actors.instrument import ATOM, ATOMS_PER_UNIT, Instrument, InstrumentSpec
from replay.exchange.model import (
    MAX_NUM_ALGO_ORDERS,
    MAX_NUM_ORDERS,
    BalancesChanged,
    BalanceView,
    BookChanged,
    Candle,
    Executed,
    Market,
    OrderView,
    Printed,
    TradeView,
)

Json = dict[str, Any]

encode = msgspec.json.Encoder().encode

_ZERO = "0.00000000"
_ORDER_TYPES = [
    "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
]  # fmt: skip
PRICE_MAX = Decimal(1_000_000)
QUANTITY_MAX = Decimal(9_000)


def atoms_text(atoms: int) -> str:
    """Return an amount of an asset as Binance writes it."""
    sign = "-" if atoms < 0 else ""
    whole, rest = divmod(abs(atoms), ATOMS_PER_UNIT)
    return f"{sign}{whole}.{rest:08d}"


class MarketText:
    """Writes the prices and quantities of one market, exactly.

    Attributes:
        market: the market.
        stream: its name in streams.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self.stream = market.id.lower()
        self._tick_atoms = _whole_atoms(market.tick)
        self._lot_atoms = _whole_atoms(market.lot)
        self._instrument = Instrument(InstrumentSpec(symbol=market.symbol, tick=market.tick, lot=market.lot))

    def price(self, ticks: int) -> str:
        """Return a price."""
        return atoms_text(ticks * self._tick_atoms) if self._tick_atoms else f"{ticks * self.market.tick:f}"

    def quantity(self, lots: int) -> str:
        """Return a quantity."""
        return atoms_text(lots * self._lot_atoms) if self._lot_atoms else f"{lots * self.market.lot:f}"

    def value_atoms(self, ticks: int, lots: int) -> int:
        """Return price x quantity in atoms of the quote asset."""
        return self._instrument.value_atoms(ticks, lots)

    def value(self, ticks: int, lots: int) -> str:
        """Return price x quantity."""
        return atoms_text(self.value_atoms(ticks, lots))


def _whole_atoms(step: Decimal) -> int:
    """Return a step in atoms, 0 where it is no whole number of them."""
    atoms = step / ATOM
    return int(atoms) if atoms == atoms.to_integral_value() else 0


# --- the market -----------------------------------------------------------------------------------------


def symbol_info(market: Market) -> Json:
    """Return a market with its filters, as `exchangeInfo` lists it."""
    return {
        "symbol": market.id,
        "status": "TRADING" if market.trading else "BREAK",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": _ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "isSpotTradingAllowed": market.trading,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": f"{market.tick_size:f}",
                "maxPrice": f"{PRICE_MAX:f}",
                "tickSize": f"{market.tick_size:f}",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": f"{market.step_size:f}",
                "maxQty": f"{QUANTITY_MAX:f}",
                "stepSize": f"{market.step_size:f}",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": f"{market.min_notional:f}",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_NUM_ORDERS},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": MAX_NUM_ALGO_ORDERS},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def kline_row(text: MarketText, candle: Candle) -> list[Any]:
    """Return a candle as `klines` lists it."""
    return [
        candle.open_ms,
        text.price(candle.open_ticks),
        text.price(candle.high_ticks),
        text.price(candle.low_ticks),
        text.price(candle.close_ticks),
        text.quantity(candle.volume_lots),
        candle.close_ms,
        text.value(1, candle.turnover),
        candle.trades,
        text.quantity(candle.bought_lots),
        text.value(1, candle.bought_turnover),
        "0",
    ]


def kline_event(text: MarketText, candle: Candle, now_ms: int) -> Json:
    """Return a candle as `@kline_*` sends it."""
    return {
        "e": "kline",
        "E": now_ms,
        "s": candle.id,
        "k": {
            "t": candle.open_ms,
            "T": candle.close_ms,
            "s": candle.id,
            "i": candle.interval,
            "f": -1,
            "L": -1,
            "o": text.price(candle.open_ticks),
            "c": text.price(candle.close_ticks),
            "h": text.price(candle.high_ticks),
            "l": text.price(candle.low_ticks),
            "v": text.quantity(candle.volume_lots),
            "n": candle.trades,
            "x": candle.closed,
            "q": text.value(1, candle.turnover),
            "V": text.quantity(candle.bought_lots),
            "Q": text.value(1, candle.bought_turnover),
            "B": "0",
        },
    }


def trade_event(text: MarketText, trade: Printed, now_ms: int) -> Json:
    """Return a public trade as `@trade` sends it."""
    return {
        "e": "trade",
        "E": now_ms,
        "s": trade.id,
        "t": trade.trade_id,
        "p": text.price(trade.price_ticks),
        "q": text.quantity(trade.quantity_lots),
        "T": trade.time_ms,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def aggregate_event(text: MarketText, trade: Printed, now_ms: int) -> Json:
    """Return a public trade as `@aggTrade` sends it; every trade is an aggregate of its own."""
    return {
        "e": "aggTrade",
        "E": now_ms,
        "s": trade.id,
        "a": trade.trade_id,
        "p": text.price(trade.price_ticks),
        "q": text.quantity(trade.quantity_lots),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.time_ms,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def trade_row(text: MarketText, trade: Printed) -> Json:
    """Return a public trade as `trades` lists it."""
    return {
        "id": trade.trade_id,
        "price": text.price(trade.price_ticks),
        "qty": text.quantity(trade.quantity_lots),
        "quoteQty": text.value(trade.price_ticks, trade.quantity_lots),
        "time": trade.time_ms,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def aggregate_row(text: MarketText, trade: Printed) -> Json:
    """Return a public trade as `aggTrades` lists it."""
    row = aggregate_event(text, trade, trade.time_ms)
    return {key: row[key] for key in ("a", "p", "q", "f", "l", "T", "m", "M")}


def levels(text: MarketText, rows: tuple[tuple[int, int], ...] | list[tuple[int, int]]) -> list[list[str]]:
    """Return levels of a book."""
    return [[text.price(ticks), text.quantity(lots)] for ticks, lots in rows]


def touch_event(text: MarketText, touched: tuple[int, int, int, int]) -> Json:
    """Return the best bid and ask, (ticks, lots, ticks, lots), as `@bookTicker` sends them."""
    bid, bid_lots, ask, ask_lots = touched
    return {"b": text.price(bid), "B": text.quantity(bid_lots), "a": text.price(ask), "A": text.quantity(ask_lots)}


def depth_event(text: MarketText, change: BookChanged, now_ms: int) -> Json:
    """Return a difference of the book as `@depth` sends it."""
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "s": change.id,
        "U": change.first_update_id,
        "u": change.last_update_id,
        "b": levels(text, change.bids),
        "a": levels(text, change.asks),
    }


# --- our orders -----------------------------------------------------------------------------------------


def order_row(text: MarketText, order: OrderView) -> Json:
    """Return an order as queries list it."""
    return {
        "symbol": order.id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "price": text.price(order.price_ticks),
        "origQty": text.quantity(order.quantity_lots),
        "executedQty": text.quantity(order.filled_lots),
        "origQuoteOrderQty": _ZERO,
        "cummulativeQuoteQty": atoms_text(order.quote_atoms),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
        "stopPrice": text.price(order.stop_ticks),
        "icebergQty": _ZERO,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "NONE",
    }


def order_reply(text: MarketText, order: OrderView, kind: str = "FULL") -> Json:
    """Return the answer to a new order: an acknowledgement, the result, or the result with its fills."""
    reply: Json = {
        "symbol": order.id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
    }
    if kind == "ACK":
        return reply
    reply |= {
        "price": text.price(order.price_ticks),
        "origQty": text.quantity(order.quantity_lots),
        "executedQty": text.quantity(order.filled_lots),
        "origQuoteOrderQty": _ZERO,
        "cummulativeQuoteQty": atoms_text(order.quote_atoms),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "NONE",
    }
    if order.stop_ticks:
        reply["stopPrice"] = text.price(order.stop_ticks)
    if kind == "FULL":
        reply["fills"] = [
            {
                "price": text.price(trade.price_ticks),
                "qty": text.quantity(trade.quantity_lots),
                "commission": atoms_text(trade.commission_atoms),
                "commissionAsset": trade.commission_asset,
                "tradeId": trade.trade_id,
            }
            for trade in order.trades
        ]
    return reply


def cancel_reply(text: MarketText, order: OrderView, cancel_id: str) -> Json:
    """Return the answer to a cancel: `clientOrderId` is the cancel's, as at Binance."""
    return {
        "symbol": order.id,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
        "price": text.price(order.price_ticks),
        "origQty": text.quantity(order.quantity_lots),
        "executedQty": text.quantity(order.filled_lots),
        "origQuoteOrderQty": _ZERO,
        "cummulativeQuoteQty": atoms_text(order.quote_atoms),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
        "selfTradePreventionMode": "NONE",
    }


def my_trade_row(text: MarketText, trade: TradeView) -> Json:
    """Return an execution as `myTrades` lists it."""
    return {
        "symbol": trade.id,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": text.price(trade.price_ticks),
        "qty": text.quantity(trade.quantity_lots),
        "quoteQty": text.value(trade.price_ticks, trade.quantity_lots),
        "commission": atoms_text(trade.commission_atoms),
        "commissionAsset": trade.commission_asset,
        "time": trade.time_ms,
        "isBuyer": trade.side == "BUY",
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


def execution_report(text: MarketText, event: Executed) -> Json:
    """Return what the user stream says about an order."""
    order, trade = event.order, event.trade
    cancelled = event.kind == "CANCELED" and event.cancel_id != ""
    report: Json = {
        "e": "executionReport",
        "E": event.time_ms,
        "s": order.id,
        "c": event.cancel_id if cancelled else order.client_order_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": text.quantity(order.quantity_lots),
        "p": text.price(order.price_ticks),
        "P": text.price(order.stop_ticks),
        "F": _ZERO,
        "g": -1,
        "C": order.client_order_id if cancelled else "",
        "x": event.kind,
        "X": order.status,
        "r": event.reject_reason,
        "i": order.order_id,
        "l": _ZERO,
        "z": text.quantity(order.filled_lots),
        "L": _ZERO,
        "n": "0",
        "N": None,
        "T": event.time_ms,
        "t": -1,
        "w": order.status in {"NEW", "PARTIALLY_FILLED"},
        "m": False,
        "M": False,
        "O": order.created_ms,
        "Z": atoms_text(order.quote_atoms),
        "Y": _ZERO,
        "Q": _ZERO,
        "W": order.created_ms,
        "V": "NONE",
    }
    if trade is not None:
        report |= {
            "l": text.quantity(trade.quantity_lots),
            "L": text.price(trade.price_ticks),
            "n": atoms_text(trade.commission_atoms),
            "N": trade.commission_asset,
            "t": trade.trade_id,
            "m": trade.is_maker,
            "Y": text.value(trade.price_ticks, trade.quantity_lots),
        }
    return report


def balance_row(balance: BalanceView) -> Json:
    """Return one asset of the account."""
    return {
        "asset": balance.asset,
        "free": atoms_text(balance.free_atoms),
        "locked": atoms_text(balance.locked_atoms),
    }


def account_position(event: BalancesChanged) -> Json:
    """Return what the user stream says about balances."""
    return {
        "e": "outboundAccountPosition",
        "E": event.time_ms,
        "u": event.time_ms,
        "B": [
            {"a": row.asset, "f": atoms_text(row.free_atoms), "l": atoms_text(row.locked_atoms)}
            for row in event.balances
        ],
    }
