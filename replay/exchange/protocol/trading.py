"""Orders and the account: what only the owner of the key may ask for."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from actors.messages import BUY, SELL
from replay.exchange.model import VenueError
from replay.exchange.protocol import shapes
from replay.exchange.protocol.limits import LimitError
from replay.exchange.protocol.params import Wish, read_order

if TYPE_CHECKING:
    from replay.exchange.engine import Engine
    from replay.exchange.model import NewOrder, OrderView
    from replay.exchange.protocol.desk import Call
    from replay.exchange.protocol.params import Params
    from replay.exchange.protocol.shapes import Json, MarketText

_ROWS_MAX = 1_000
_CONFLICT = 409
_RESTRICTIONS = ("ONLY_NEW", "ONLY_PARTIALLY_FILLED")


class ReplaceError(VenueError):
    """A cancel-replace that did not come off whole; says which half did."""

    def __init__(self, code: int, text: str, status: int, data: Json) -> None:
        super().__init__(code, text, status)
        self.data = data


def made_up_id() -> str:
    """Return an id for an order or a cancel that came without one."""
    return secrets.token_hex(11)


# --- new orders -----------------------------------------------------------------------------------------


async def place(call: Call[Engine]) -> Json:
    """Place an order; it is durable before this returns."""
    text = call.market()
    wish = read_order(call.params, text.market.id, made_up_id())
    call.params.finish()
    call.desk.limits.charge_order()
    if call.desk.faults.strikes("order_rejected", call.occasion):
        raise VenueError(-2010, "Account has insufficient balance for requested action.")
    order = await call.desk.venue.commit(lambda engine, now_ms: _place(engine, text, wish, now_ms))
    return shapes.order_reply(text, order, wish.reply_kind)


async def test_order(call: Call[Engine]) -> Json:
    """Check the form of an order and do nothing."""
    text = call.market()
    read_order(call.params, text.market.id, made_up_id())
    call.params.finish()
    return {}


def _place(engine: Engine, text: MarketText, wish: Wish, now_ms: int) -> OrderView:
    return engine.place(_quantified(engine, text, wish), now_ms)


def _quantified(engine: Engine, text: MarketText, wish: Wish) -> NewOrder:
    """Return the order with a quantity: a value in the quote asset buys what the touch has it worth."""
    if wish.order.price is not None and wish.order.price > shapes.PRICE_MAX:
        raise VenueError(-1013, "Filter failure: PRICE_FILTER")
    if wish.order.quantity > shapes.QUANTITY_MAX:
        raise VenueError(-1013, "Filter failure: LOT_SIZE")
    if wish.quote_quantity is None:
        return wish.order
    book = engine.books[text.market.id]
    if not book.last_ticks:
        raise VenueError(-2010, "Market is closed.")
    price = book.touch_ticks(BUY if wish.order.side == "BUY" else SELL) * text.market.tick
    lots = int(wish.quote_quantity / (price * text.market.lot))
    return msgspec.structs.replace(wish.order, quantity=lots * text.market.lot)


async def replace(call: Call[Engine]) -> Json:
    """Cancel an order and place another, in one step."""
    params = call.params
    text = call.market()
    mode = params.needed("cancelReplaceMode")
    if mode not in {"STOP_ON_FAILURE", "ALLOW_FAILURE"}:
        raise VenueError(-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
    order_id, client_id = params.integer("cancelOrderId"), params.client_id("cancelOrigClientOrderId")
    if order_id is None and client_id is None:
        raise VenueError(
            -1102, "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!"
        )
    cancel_id = params.client_id("cancelNewClientOrderId") or made_up_id()
    restriction = _restriction(call)
    wish = read_order(params, text.market.id, made_up_id())
    params.ignore(("orderRateLimitExceededMode",))
    params.finish()
    call.desk.limits.charge_order()

    def work(engine: Engine, now_ms: int) -> tuple[OrderView | VenueError, OrderView | VenueError | None]:
        cancelled: OrderView | VenueError
        placed: OrderView | VenueError | None = None
        market_id = text.market.id
        try:
            _check_restriction(engine, market_id, order_id, client_id, restriction)
            cancelled = engine.cancel(
                market_id, now_ms, order_id=order_id, client_order_id=client_id, cancel_id=cancel_id
            )
        except VenueError as error:
            cancelled = error
        if mode == "ALLOW_FAILURE" or not isinstance(cancelled, VenueError):
            try:
                placed = _place(engine, text, wish, now_ms)
            except VenueError as error:
                placed = error
        return cancelled, placed

    cancelled, placed = await call.desk.venue.commit(work)
    answer = {
        "cancelResult": _result(cancelled),
        "newOrderResult": _result(placed),
        "cancelResponse": _half(cancelled)
        if isinstance(cancelled, VenueError)
        else shapes.cancel_reply(text, cancelled, cancel_id),
        "newOrderResponse": shapes.order_reply(text, placed, wish.reply_kind)
        if placed is not None and not isinstance(placed, VenueError)
        else _half(placed),
    }
    failures = [isinstance(cancelled, VenueError), placed is None or isinstance(placed, VenueError)]
    if all(failures):
        raise ReplaceError(-2022, "Order cancel-replace failed.", 400, answer)
    if any(failures):
        raise ReplaceError(-2021, "Order cancel-replace partially failed.", _CONFLICT, answer)
    return answer


def _result(half: OrderView | VenueError | None) -> str:
    if half is None:
        return "NOT_ATTEMPTED"
    return "FAILURE" if isinstance(half, VenueError) else "SUCCESS"


def _half(error: VenueError | None) -> Json | None:
    return None if error is None else {"code": error.code, "msg": error.text}


# --- cancels --------------------------------------------------------------------------------------------


async def cancel(call: Call[Engine]) -> Json:
    """Cancel an order."""
    params = call.params
    text = call.market()
    order_id, client_id = named_order(call.params)
    cancel_id = params.client_id("newClientOrderId") or made_up_id()
    restriction = _restriction(call)
    params.finish()

    def work(engine: Engine, now_ms: int) -> OrderView:
        _check_restriction(engine, text.market.id, order_id, client_id, restriction)
        return engine.cancel(text.market.id, now_ms, order_id=order_id, client_order_id=client_id, cancel_id=cancel_id)

    order = await call.desk.venue.commit(work)
    return shapes.cancel_reply(text, order, cancel_id)


async def cancel_all(call: Call[Engine]) -> list[Json]:
    """Cancel every open order of a market.

    Raises:
        VenueError: -2011, there is none.
    """
    text = call.market()
    call.params.finish()
    orders = await call.desk.venue.commit(lambda engine, now_ms: engine.cancel_all(text.market.id, now_ms))
    if not orders:
        raise VenueError(-2011, "Unknown order sent.")
    return [shapes.cancel_reply(text, order, made_up_id()) for order in orders]


def _restriction(call: Call[Engine]) -> str | None:
    value = call.params.text("cancelRestrictions")
    if value is not None and value not in _RESTRICTIONS:
        raise VenueError(-1145, "Invalid cancelRestrictions.")
    return value


def _check_restriction(
    engine: Engine, market_id: str, order_id: int | None, client_id: str | None, restriction: str | None
) -> None:
    if restriction is None:
        return
    allowed = "NEW" if restriction == "ONLY_NEW" else "PARTIALLY_FILLED"
    try:
        order = engine.order(market_id, order_id=order_id, client_order_id=client_id)
    except VenueError as error:
        raise VenueError(-2011, "Unknown order sent.") from error
    if order.status != allowed:
        raise VenueError(-2011, "Order was not canceled due to cancel restrictions.")


# --- questions: asked through a commit, so that nothing is told that is not yet durable -----------------------


async def order(call: Call[Engine]) -> Json:
    """Return one order."""
    text = call.market()
    order_id, client_id = named_order(call.params)
    call.params.finish()
    found = await call.desk.venue.commit(
        lambda engine, _: engine.order(text.market.id, order_id=order_id, client_order_id=client_id)
    )
    return shapes.order_row(text, found)


def named_order(params: Params) -> tuple[int | None, str | None]:
    """Return the ids, of which one must be there.

    Raises:
        VenueError: -1102, none is.
    """
    order_id, client_id = params.integer("orderId"), params.client_id("origClientOrderId")
    if order_id is None and client_id is None:
        raise VenueError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    return order_id, client_id


async def open_orders(call: Call[Engine]) -> list[Json]:
    """Return the open orders of a market, or all."""
    name = call.params.text("symbol")
    market_id = None if name is None else call.desk.text(name).market.id
    call.params.finish()
    orders = await call.desk.venue.commit(lambda engine, _: engine.open_orders(market_id))
    return [shapes.order_row(call.desk.texts[found.id], found) for found in orders]


async def all_orders(call: Call[Engine]) -> list[Json]:
    """Return orders of a market, whatever became of them."""
    params = call.params
    text = call.market()
    from_id, start_ms, end_ms = params.integer("orderId"), params.integer("startTime"), params.integer("endTime")
    limit = params.limit(500, _ROWS_MAX)
    params.finish()
    orders = await call.desk.venue.commit(
        lambda engine, _: engine.all_orders(
            text.market.id, from_order_id=from_id, start_ms=start_ms, end_ms=end_ms, limit=limit
        )
    )
    return [shapes.order_row(text, found) for found in orders]


async def my_trades(call: Call[Engine]) -> list[Json]:
    """Return executions of our orders in a market."""
    params = call.params
    text = call.market()
    from_id, order_id = params.integer("fromId"), params.integer("orderId")
    start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
    limit = params.limit(500, _ROWS_MAX)
    params.finish()
    trades = await call.desk.venue.commit(
        lambda engine, _: engine.my_trades(
            text.market.id, from_id=from_id, order_id=order_id, start_ms=start_ms, end_ms=end_ms, limit=limit
        )
    )
    return [shapes.my_trade_row(text, trade) for trade in trades]


async def account(call: Call[Engine]) -> Json:
    """Return the account: what it may do, what it pays, what it has."""
    without_zero = call.params.text("omitZeroBalances") == "true"
    call.params.finish()
    venue = call.desk.venue
    balances = await venue.commit(lambda engine, _: engine.balances())
    return {
        "makerCommission": _basis_points(venue.maker_fee),
        "takerCommission": _basis_points(venue.taker_fee),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": _rates(venue.maker_fee, venue.taker_fee),
        "canTrade": True,
        "canWithdraw": call.desk.faults.strikes("withdrawals_allowed", call.occasion),
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": call.now_ms(),
        "accountType": "SPOT",
        "balances": [
            shapes.balance_row(row) for row in balances if not without_zero or row.free_atoms or row.locked_atoms
        ],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def _basis_points(fee: Decimal) -> int:
    return int(fee * 10_000)


def _rates(maker: Decimal, taker: Decimal) -> Json:
    return {"maker": f"{maker:.8f}", "taker": f"{taker:.8f}", "buyer": "0.00000000", "seller": "0.00000000"}


async def commission(call: Call[Engine]) -> Json:
    """Return what orders of a market pay."""
    text = call.market()
    call.params.finish()
    none = _rates(Decimal(0), Decimal(0))
    return {
        "symbol": text.market.id,
        "standardCommission": _rates(call.desk.venue.maker_fee, call.desk.venue.taker_fee),
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": "0.00000000",
        },
    }  # fmt: skip


async def order_counts(call: Call[Engine]) -> list[Json]:
    """Return how many orders were placed of those the limits allow."""
    call.params.finish()
    return call.desk.limits.counts(orders_only=True)


# --- the wallet, which here has only what trading needs -----------------------------------------------------


async def trade_fee(call: Call[Engine]) -> list[Json]:
    """Return the fees of one market or all."""
    name = call.params.text("symbol")
    texts = list(call.desk.texts.values()) if name is None else [call.desk.text(name)]
    venue = call.desk.venue
    return [
        {"symbol": text.market.id, "makerCommission": str(venue.maker_fee), "takerCommission": str(venue.taker_fee)}
        for text in texts
    ]


async def key_permissions(call: Call[Engine]) -> Json:
    """Return what the key may do."""
    call.params.finish()
    return {
        "ipRestrict": False,
        "createTime": 0,
        "enableReading": True,
        "enableSpotAndMarginTrading": True,
        "enableWithdrawals": call.desk.faults.strikes("withdrawals_allowed", call.occasion),
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": True,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": True,
        "enablePortfolioMarginTrading": False,
    }


async def coins(call: Call[Engine]) -> list[Json]:
    """Return the assets of the account as the wallet lists them; none can be moved."""
    call.params.finish()
    balances = await call.desk.venue.commit(lambda engine, _: engine.balances())
    return [
        {
            "coin": row.asset,
            "name": row.asset,
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "free": shapes.atoms_text(row.free_atoms),
            "locked": shapes.atoms_text(row.locked_atoms),
            "trading": True,
            "isLegalMoney": False,
            "networkList": [],
        }
        for row in balances
    ]


async def nothing(_: Call[Engine]) -> list[Any]:
    """Return an empty list: this venue has no such markets."""
    return []


def error_data(error: VenueError) -> Json | None:
    """Return what an error says beyond its code and text."""
    if isinstance(error, ReplaceError):
        return error.data
    if isinstance(error, LimitError):
        return {"retryAfter": error.retry_after_s}
    return None
