"""Every operation of perpetuals once: its names in REST and in the WebSocket API, its weight, who may ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replay.exchange.protocol import futures_account, futures_data, futures_statistics, futures_trading, market_data
from replay.exchange.protocol.operations import Operation, by_symbol, flat, public, signed

if TYPE_CHECKING:
    from replay.exchange.protocol.futures_user import ListenKeys
    from replay.exchange.protocol.params import Params

Table = tuple[tuple[str, str, Operation], ...]


def _depth(params: Params) -> int:
    limit = params.integer("limit") or 500
    return next((weight for most, weight in ((50, 2), (100, 5), (500, 10)) if limit <= most), 20)


def _klines(params: Params) -> int:
    limit = params.integer("limit") or 500
    return next((weight for most, weight in ((99, 1), (499, 2), (1_000, 5)) if limit <= most), 10)


_DATA: Table = (
    ("GET /fapi/v1/ping", "", public(market_data.ping, 1)),
    ("GET /fapi/v1/time", "", public(market_data.server_time, 1)),
    ("GET /fapi/v1/exchangeInfo", "", public(futures_data.exchange_info, 1)),
    ("GET /fapi/v1/depth", "depth", public(futures_data.depth, _depth)),
    ("GET /fapi/v1/klines", "", public(market_data.klines, _klines)),
    ("GET /fapi/v1/continuousKlines", "", public(futures_data.continuous_klines, _klines)),
    ("GET /fapi/v1/markPriceKlines", "", public(futures_data.price_klines, _klines)),
    ("GET /fapi/v1/indexPriceKlines", "", public(futures_data.price_klines, _klines)),
    ("GET /fapi/v1/premiumIndexKlines", "", public(futures_statistics.premium_klines, _klines)),
    ("GET /fapi/v1/trades", "", public(futures_data.trades, 5)),
    ("GET /fapi/v1/historicalTrades", "", Operation(futures_data.trades, flat(20), signed=False, key=True)),
    ("GET /fapi/v1/aggTrades", "", public(futures_data.aggregate_trades, 20)),
    ("GET /fapi/v1/ticker/24hr", "", public(futures_data.ticker_day, by_symbol(1, 40))),
    ("GET /fapi/v1/ticker/price", "ticker.price", public(futures_data.ticker_price, by_symbol(1, 2))),
    ("GET /fapi/v2/ticker/price", "", public(futures_data.ticker_price, by_symbol(1, 2))),
    ("GET /fapi/v1/ticker/bookTicker", "ticker.book", public(futures_data.ticker_book, by_symbol(2, 5))),
    ("GET /fapi/v1/premiumIndex", "", public(futures_data.premium_index, by_symbol(1, 10))),
    ("GET /fapi/v1/fundingRate", "", public(futures_data.funding_rates, 1)),
    ("GET /fapi/v1/fundingInfo", "", public(futures_data.funding_info, 1)),
    ("GET /fapi/v1/openInterest", "", public(futures_statistics.open_interest, 1)),
    ("GET /futures/data/openInterestHist", "", public(futures_statistics.open_interest_history, 0)),
)
_TRADING: Table = (
    ("POST /fapi/v1/order", "order.place", signed(futures_trading.place, 0)),
    ("POST /fapi/v1/order/test", "", signed(futures_trading.test_order, 0)),
    ("PUT /fapi/v1/order", "order.modify", signed(futures_trading.modify, 1)),
    ("DELETE /fapi/v1/order", "order.cancel", signed(futures_trading.cancel, 1)),
    ("GET /fapi/v1/order", "order.status", signed(futures_trading.order, 1)),
    ("POST /fapi/v1/batchOrders", "", signed(futures_trading.place_batch, 5)),
    ("PUT /fapi/v1/batchOrders", "", signed(futures_trading.modify_batch, 5)),
    ("DELETE /fapi/v1/batchOrders", "", signed(futures_trading.cancel_batch, 1)),
    ("DELETE /fapi/v1/allOpenOrders", "", signed(futures_trading.cancel_all, 1)),
    ("POST /fapi/v1/countdownCancelAll", "", signed(futures_account.countdown_cancel_all, 10)),
    ("GET /fapi/v1/openOrder", "", signed(futures_trading.open_order, 1)),
    ("GET /fapi/v1/openOrders", "", signed(futures_trading.open_orders, by_symbol(1, 40))),
    ("GET /fapi/v1/allOrders", "", signed(futures_trading.all_orders, 5)),
    ("GET /fapi/v1/userTrades", "", signed(futures_trading.my_trades, 5)),
    ("GET /fapi/v1/forceOrders", "", signed(futures_trading.forced_orders, by_symbol(20, 50))),
    ("POST /fapi/v1/algoOrder", "algoOrder.place", signed(futures_trading.place_conditional, 0)),
    ("DELETE /fapi/v1/algoOrder", "algoOrder.cancel", signed(futures_trading.cancel_conditional, 1)),
    ("GET /fapi/v1/algoOrder", "", signed(futures_trading.conditional, 1)),
    ("DELETE /fapi/v1/algoOpenOrders", "", signed(futures_trading.cancel_conditionals, 1)),
    ("GET /fapi/v1/openAlgoOrders", "", signed(futures_trading.open_conditionals, by_symbol(1, 40))),
    ("GET /fapi/v1/allAlgoOrders", "", signed(futures_trading.all_conditionals, 5)),
)
_ACCOUNT: Table = (
    ("GET /fapi/v3/account", "v2/account.status", signed(futures_account.account, 5)),
    ("GET /fapi/v2/account", "account.status", signed(futures_account.account_v2, 5)),
    ("GET /fapi/v3/balance", "v2/account.balance", signed(futures_account.balance, 5)),
    ("GET /fapi/v2/balance", "account.balance", signed(futures_account.balance, 5)),
    ("GET /fapi/v3/positionRisk", "v2/account.position", signed(futures_account.position_risk, 5)),
    ("GET /fapi/v2/positionRisk", "account.position", signed(futures_account.position_risk_v2, 5)),
    ("GET /fapi/v1/income", "", signed(futures_account.income, 30)),
    ("GET /fapi/v1/commissionRate", "", signed(futures_account.commission_rate, 20)),
    ("GET /fapi/v1/leverageBracket", "", signed(futures_account.leverage_bracket, 1)),
    ("POST /fapi/v1/leverage", "", signed(futures_account.set_leverage, 1)),
    ("POST /fapi/v1/marginType", "", signed(futures_account.set_margin_type, 1)),
    ("GET /fapi/v1/positionSide/dual", "", signed(futures_account.position_mode, 30)),
    ("POST /fapi/v1/positionSide/dual", "", signed(futures_account.set_position_mode, 1)),
    ("GET /fapi/v1/multiAssetsMargin", "", signed(futures_account.multi_assets_mode, 30)),
    ("GET /fapi/v1/symbolConfig", "", signed(futures_account.symbol_config, 5)),
    ("GET /fapi/v1/accountConfig", "", signed(futures_account.account_config, 5)),
    ("GET /fapi/v1/adlQuantile", "", signed(futures_account.adl_quantile, 5)),
)


def tables(keys: ListenKeys) -> tuple[dict[str, Operation], dict[str, Operation]]:
    """Return the operations by method and path, and by method of the WebSocket API.

    Args:
        keys: of the user stream.
    """
    user: Table = (
        ("POST /fapi/v1/listenKey", "userDataStream.start", Operation(keys.start, flat(1), signed=False, key=True)),
        ("PUT /fapi/v1/listenKey", "userDataStream.ping", Operation(keys.extend, flat(1), signed=False, key=True)),
        ("DELETE /fapi/v1/listenKey", "userDataStream.stop", Operation(keys.end, flat(1), signed=False, key=True)),
    )
    rows = _DATA + _TRADING + _ACCOUNT + user
    routes = {route: operation for route, _, operation in rows}
    return routes, {method: operation for _, method, operation in rows if method}
