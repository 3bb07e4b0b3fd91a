"""The true book: every order, fill, balance, position and payment, as the oracle of comparisons reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replay.exchange.protocol.futures_account_shapes import entry_text
from replay.exchange.protocol.shapes import atoms_text

if TYPE_CHECKING:
    from replay.exchange.engine import Engine
    from replay.exchange.model import (
        ConditionalView,
        IncomeView,
        OrderView,
        PositionView,
        TradeView,
        WalletView,
    )
    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.protocol.desk import Desk
    from replay.exchange.protocol.shapes import Json, MarketText
    from replay.exchange.trading import TradingEngine

_ALL = 2**31


def read_spot(desk: Desk[Engine], engine: Engine) -> Json:
    """Return the orders, fills and balances of the spot markets."""
    balances = [
        {"asset": row.asset, "free": atoms_text(row.free_atoms), "locked": atoms_text(row.locked_atoms)}
        for row in engine.balances()
    ]
    return _orders_and_fills(desk, engine) | {"balances": balances}


def read_contracts(desk: Desk[PerpetualEngine], engine: PerpetualEngine) -> Json:
    """Return the orders and fills of the perpetuals, and what only they have."""
    texts = desk.texts
    read = _orders_and_fills(desk, engine)
    for row, order in zip(read["orders"], _every_order(desk, engine), strict=True):
        row["reduce_only"] = order.reduce_only
    for row, trade in zip(read["fills"], _every_trade(desk, engine), strict=True):
        row["realized"] = atoms_text(trade.realized_atoms)
    waiting = [row for market_id in texts for row in engine.all_conditionals(market_id, limit=_ALL)]
    return read | {
        "positions": [_position(texts[row.id], row) for row in engine.positions()],
        "wallets": [_wallet(row) for row in engine.wallets()],
        "funding": [_payment(texts[row.id], row) for row in engine.income("FUNDING_FEE", limit=_ALL)],
        "conditional_orders": [_conditional(texts[row.id], row) for row in waiting],
        "hedge": engine.hedge,
    }


def _every_order(desk: Desk[Any], engine: TradingEngine) -> list[OrderView]:
    return [order for market_id in desk.texts for order in engine.all_orders(market_id, limit=_ALL)]


def _every_trade(desk: Desk[Any], engine: TradingEngine) -> list[TradeView]:
    return [trade for market_id in desk.texts for trade in engine.my_trades(market_id, limit=_ALL)]


def _orders_and_fills(desk: Desk[Any], engine: TradingEngine) -> Json:
    orders = _every_order(desk, engine)
    names = {(order.id, order.order_id): order.client_order_id for order in orders}
    return {
        "orders": [_order(desk.texts[order.id], order) for order in orders],
        "fills": [
            _fill(desk.texts[trade.id], trade, names[trade.id, trade.order_id]) for trade in _every_trade(desk, engine)
        ],
    }


def _order(text: MarketText, order: OrderView) -> Json:
    return {
        "symbol": text.market.symbol,
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "side": order.side,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "status": order.status,
        "price": text.price(order.price_ticks),
        "stop_price": text.price(order.stop_ticks),
        "quantity": text.quantity(order.quantity_lots),
        "filled": text.quantity(order.filled_lots),
        "quote": atoms_text(order.quote_atoms),
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def _fill(text: MarketText, trade: TradeView, client_order_id: str) -> Json:
    return {
        "symbol": text.market.symbol,
        "trade_id": trade.trade_id,
        "order_id": trade.order_id,
        "client_order_id": client_order_id,
        "side": trade.side,
        "price": text.price(trade.price_ticks),
        "quantity": text.quantity(trade.quantity_lots),
        "commission": atoms_text(trade.commission_atoms),
        "commission_asset": trade.commission_asset,
        "is_maker": trade.is_maker,
        "time_ms": trade.time_ms,
    }


def _position(text: MarketText, position: PositionView) -> Json:
    return {
        "symbol": text.market.symbol,
        "amount": text.quantity(position.amount_lots),
        "cost": atoms_text(position.cost_atoms),
        "realized": atoms_text(position.realized_atoms),
        "entry_price": entry_text(text, position),
        "mark_price": text.price(position.mark_ticks),
        "unrealized": atoms_text(position.unrealized_atoms),
        "liquidation_price": text.price(position.liquidation_ticks),
        "leverage": position.leverage,
        "margin_mode": "isolated" if position.isolated else "cross",
    }


def _wallet(wallet: WalletView) -> Json:
    return {
        "asset": wallet.asset,
        "wallet": atoms_text(wallet.wallet_atoms),
        "unrealized": atoms_text(wallet.unrealized_atoms),
        "initial_margin": atoms_text(wallet.initial_margin_atoms),
        "available": atoms_text(wallet.available_atoms),
    }


def _payment(text: MarketText, payment: IncomeView) -> Json:
    return {
        "symbol": text.market.symbol,
        "funding_id": payment.transaction_id,
        "amount": atoms_text(payment.amount_atoms),
        "asset": payment.asset,
        "time_ms": payment.time_ms,
    }


def _conditional(text: MarketText, order: ConditionalView) -> Json:
    return {
        "symbol": text.market.symbol,
        "algo_id": order.algo_id,
        "client_algo_id": order.client_algo_id,
        "side": order.side,
        "type": order.type,
        "status": order.status,
        "trigger_price": text.price(order.trigger_ticks),
        "price": text.price(order.price_ticks),
        "quantity": text.quantity(order.quantity_lots),
        "reduce_only": order.reduce_only,
        "close_position": order.close_position,
        "order_id": order.actual_order_id,
    }
