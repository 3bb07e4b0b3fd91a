"""Every operation once: its names in REST and in the WebSocket API, its weight, and who may ask for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from replay.exchange.protocol import market_data, trading

if TYPE_CHECKING:
    from replay.exchange.protocol.desk import Call
    from replay.exchange.protocol.params import Params

Run = Callable[["Call[Any]"], Awaitable[Any]]
Weight = Callable[["Params"], int]


class Operation(NamedTuple):
    """What can be asked for."""

    run: Run
    weight: Weight
    signed: bool
    key: bool = False
    """Whether the key alone is asked for, without a signature."""


def flat(weight: int) -> Weight:
    """Return the weight of what always weighs the same."""
    return lambda _: weight


def by_symbol(one: int, every: int) -> Weight:
    """Return the weight of what weighs more where no market is named."""
    return lambda params: one if "symbol" in params else every


def _by_order(one: int, every: int) -> Weight:
    return lambda params: one if "orderId" in params else every


def _depth(params: Params) -> int:
    limit = params.integer("limit") or 100
    return next((weight for most, weight in ((100, 5), (500, 25), (1_000, 50)) if limit <= most), 250)


def public(run: Run, weight: int | Weight) -> Operation:
    """Return what anybody may ask for."""
    return Operation(run, flat(weight) if isinstance(weight, int) else weight, signed=False)


def signed(run: Run, weight: int | Weight) -> Operation:
    """Return what only the owner of the key may ask for."""
    return Operation(run, flat(weight) if isinstance(weight, int) else weight, signed=True)


_TABLE: tuple[tuple[str, str, Operation], ...] = (
    ("GET /api/v3/ping", "ping", public(market_data.ping, 1)),
    ("GET /api/v3/time", "time", public(market_data.server_time, 1)),
    ("GET /api/v3/exchangeInfo", "exchangeInfo", public(market_data.exchange_info, 20)),
    ("GET /api/v3/depth", "depth", public(market_data.depth, _depth)),
    ("GET /api/v3/klines", "klines", public(market_data.klines, 2)),
    ("GET /api/v3/uiKlines", "uiKlines", public(market_data.klines, 2)),
    ("GET /api/v3/trades", "trades.recent", public(market_data.trades, 25)),
    (
        "GET /api/v3/historicalTrades",
        "trades.historical",
        Operation(market_data.trades, flat(25), signed=False, key=True),
    ),
    ("GET /api/v3/aggTrades", "trades.aggregate", public(market_data.aggregate_trades, 4)),
    ("GET /api/v3/avgPrice", "avgPrice", public(market_data.average_price, 2)),
    ("GET /api/v3/ticker/24hr", "ticker.24hr", public(market_data.ticker_day, by_symbol(2, 80))),
    ("GET /api/v3/ticker", "ticker", public(market_data.ticker_day, by_symbol(4, 200))),
    ("GET /api/v3/ticker/price", "ticker.price", public(market_data.ticker_price, by_symbol(2, 4))),
    ("GET /api/v3/ticker/bookTicker", "ticker.book", public(market_data.ticker_book, by_symbol(2, 4))),
    ("POST /api/v3/order", "order.place", signed(trading.place, 1)),
    ("POST /api/v3/order/test", "order.test", signed(trading.test_order, 1)),
    ("GET /api/v3/order", "order.status", signed(trading.order, 4)),
    ("DELETE /api/v3/order", "order.cancel", signed(trading.cancel, 1)),
    ("POST /api/v3/order/cancelReplace", "order.cancelReplace", signed(trading.replace, 1)),
    ("GET /api/v3/openOrders", "openOrders.status", signed(trading.open_orders, by_symbol(6, 80))),
    ("DELETE /api/v3/openOrders", "openOrders.cancelAll", signed(trading.cancel_all, 1)),
    ("GET /api/v3/allOrders", "allOrders", signed(trading.all_orders, 20)),
    ("GET /api/v3/myTrades", "myTrades", signed(trading.my_trades, _by_order(5, 20))),
    ("GET /api/v3/account", "account.status", signed(trading.account, 20)),
    ("GET /api/v3/account/commission", "account.commission", signed(trading.commission, 20)),
    ("GET /api/v3/rateLimit/order", "account.rateLimits.orders", signed(trading.order_counts, 40)),
    ("GET /sapi/v1/asset/tradeFee", "", signed(trading.trade_fee, 1)),
    ("GET /sapi/v1/account/apiRestrictions", "", signed(trading.key_permissions, 1)),
    ("GET /sapi/v1/capital/config/getall", "", signed(trading.coins, 10)),
    (
        "GET /sapi/v1/margin/allPairs",
        "",
        Operation(trading.nothing, flat(1), signed=False, key=True),
    ),
    ("GET /sapi/v1/margin/isolated/allPairs", "", signed(trading.nothing, 1)),
)

BY_ROUTE = {route: operation for route, _, operation in _TABLE}
BY_METHOD = {method: operation for _, method, operation in _TABLE if method}
