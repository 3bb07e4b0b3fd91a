"""Orders of perpetuals: placed, changed, cancelled, asked about; one at a time or in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from replay.exchange.model import VenueError
from replay.exchange.protocol import futures_shapes as shapes
from replay.exchange.protocol.futures_params import (
    checked_price,
    checked_quantity,
    missing,
    read_conditional,
    read_contract_order,
    read_side,
)
from replay.exchange.protocol.limits import LimitError
from replay.exchange.protocol.params import Params
from replay.exchange.protocol.trading import made_up_id, named_order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from replay.exchange.model import OrderView
    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.protocol.desk import Call
    from replay.exchange.protocol.shapes import Json

_ROWS_MAX = 1_000
_BATCH_MAX = 5
_BATCH_CANCELS_MAX = 10
_ALL = 2**31
_LIQUIDATION = "autoclose-"
"""What the client ids of liquidations begin with."""


def _all_done() -> Json:
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


# --- new orders and changes -----------------------------------------------------------------------------


async def place(call: Call[PerpetualEngine]) -> Json:
    """Place an order; it is durable before this returns."""
    text, params = call.market(), call.params
    wish = read_contract_order(params, text.market.id, made_up_id(), hedge=call.desk.venue.engine.hedge)
    params.finish()
    call.desk.limits.charge_order()
    if call.desk.faults.strikes("order_rejected", call.occasion):
        raise VenueError(-2019, "Margin is insufficient.")
    order = await call.desk.venue.commit(lambda engine, now_ms: engine.place(wish.order, now_ms))
    if not wish.has_result:
        order = msgspec.structs.replace(order, status="NEW", filled_lots=0, quote_atoms=0)
    return shapes.order_row(text, order)


async def test_order(call: Call[PerpetualEngine]) -> Json:
    """Check the form of an order and do nothing."""
    text = call.market()
    read_contract_order(call.params, text.market.id, made_up_id(), hedge=call.desk.venue.engine.hedge)
    call.params.finish()
    return {}


async def modify(call: Call[PerpetualEngine]) -> Json:
    """Change the price and the quantity of an order that rests; it keeps its ids and loses its place."""
    text, params = call.market(), call.params
    order_id, client_id = named_order(params)
    side = read_side(params)
    price, quantity = params.decimal("price"), params.decimal("quantity")
    # ccxt passes on what it has already turned into origClientOrderId
    params.ignore(("clientOrderId", "newClientOrderId", "priceMatch"))
    params.finish()
    if quantity is None:
        raise missing("quantity")
    if price is None:
        raise missing("price")
    call.desk.limits.charge_order()
    order = await call.desk.venue.commit(
        lambda engine, now_ms: engine.amend(
            text.market.id,
            now_ms,
            order_id,
            client_id,
            side=side,
            quantity=checked_quantity(quantity),
            price=checked_price(price),
        )
    )
    return shapes.order_row(text, order)


# --- cancels --------------------------------------------------------------------------------------------


async def cancel(call: Call[PerpetualEngine]) -> Json:
    """Cancel an order; unlike on spot the answer has its own client id."""
    text = call.market()
    order_id, client_id = named_order(call.params)
    call.params.finish()
    order = await call.desk.venue.commit(
        lambda engine, now_ms: engine.cancel(text.market.id, now_ms, order_id=order_id, client_order_id=client_id)
    )
    return shapes.order_row(text, order)


async def cancel_all(call: Call[PerpetualEngine]) -> Json:
    """Cancel every open order of a market, if there is any."""
    text = call.market()
    call.params.finish()
    await call.desk.venue.commit(lambda engine, now_ms: engine.cancel_all(text.market.id, now_ms))
    return _all_done()


# --- batches --------------------------------------------------------------------------------------------


async def place_batch(call: Call[PerpetualEngine]) -> list[Json]:
    """Place up to five orders, each for itself: one that is refused is answered with its error."""
    return await _each(call, place)


async def modify_batch(call: Call[PerpetualEngine]) -> list[Json]:
    """Change up to five orders, each for itself."""
    return await _each(call, modify)


async def _each(call: Call[PerpetualEngine], work: Callable[[Call[PerpetualEngine]], Awaitable[Json]]) -> list[Json]:
    text = call.params.needed("batchOrders")
    call.params.finish()
    try:
        wishes = msgspec.json.decode(text.encode(), type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise VenueError(-1130, "Data sent for parameter 'batchOrders' is not valid.") from error
    if not 1 <= len(wishes) <= _BATCH_MAX:
        raise VenueError(-4082, f"Invalid number of batch place orders. Batch place orders: [1-{_BATCH_MAX}]")
    answers = []
    for wish in wishes:
        values = {name: value if isinstance(value, str) else _plain(value) for name, value in wish.items()}
        answers.append(await _answer(work(call.with_params(Params(values)))))
    return answers


def _plain(value: Any) -> str:  # noqa: ANN401 - JSON
    return msgspec.json.encode(value).decode()


async def _answer(work: Awaitable[Json]) -> Json:
    """Return an answer, or the error in its place; who asks too much is refused as a whole."""
    try:
        return await work
    except LimitError:
        raise
    except VenueError as error:
        return {"code": error.code, "msg": error.text}


async def cancel_batch(call: Call[PerpetualEngine]) -> list[Json]:
    """Cancel up to ten orders, each for itself."""
    call.market()
    params = call.params
    ids = _list(params, "orderIdList", "orderidlist")
    client_ids = _list(params, "origClientOrderIdList", "origclientorderidlist")
    params.finish()
    wanted = [("orderId", str(each)) for each in ids] or [("origClientOrderId", str(each)) for each in client_ids]
    if not 1 <= len(wanted) <= _BATCH_CANCELS_MAX:
        raise VenueError(
            -1102, "Param 'orderIdList' or 'origClientOrderIdList' must be sent, but both were empty/null!"
        )
    symbol = params.needed("symbol")
    return [await _answer(cancel(call.with_params(Params({"symbol": symbol, name: value})))) for name, value in wanted]


def _list(params: Params, *names: str) -> list[int | str]:
    for name in names:
        value = params.text(name)
        if value is not None:
            try:
                return msgspec.json.decode(value.encode(), type=list[int | str])
            except msgspec.DecodeError as error:
                raise VenueError(-1130, f"Data sent for parameter '{name}' is not valid.") from error
    return []


# --- questions: asked through a commit, so that nothing is told that is not yet durable -----------------------


async def order(call: Call[PerpetualEngine]) -> Json:
    """Return one order."""
    text = call.market()
    order_id, client_id = named_order(call.params)
    call.params.finish()
    found = await call.desk.venue.commit(
        lambda engine, _: engine.order(text.market.id, order_id=order_id, client_order_id=client_id)
    )
    return shapes.order_row(text, found)


async def open_order(call: Call[PerpetualEngine]) -> Json:
    """Return one order, if it is open."""
    found = await order(call)
    if found["status"] not in {"NEW", "PARTIALLY_FILLED"}:
        raise VenueError(-2013, "Order does not exist.")
    return found


async def open_orders(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the open orders of a market, or all."""
    name = call.params.text("symbol")
    market_id = None if name is None else call.desk.text(name).market.id
    call.params.finish()
    orders = await call.desk.venue.commit(lambda engine, _: engine.open_orders(market_id))
    return [shapes.order_row(call.desk.texts[found.id], found) for found in orders]


async def all_orders(call: Call[PerpetualEngine]) -> list[Json]:
    """Return orders of a market or of all, whatever became of them."""
    params = call.params
    name = params.text("symbol")
    from_id, start_ms, end_ms = params.integer("orderId"), params.integer("startTime"), params.integer("endTime")
    limit = params.limit(500, _ROWS_MAX)
    params.finish()
    wanted = list(call.desk.texts) if name is None else [call.desk.text(name).market.id]

    def ask(engine: PerpetualEngine, _: int) -> list[OrderView]:
        return [
            found
            for market_id in wanted
            for found in engine.all_orders(
                market_id, from_order_id=from_id, start_ms=start_ms, end_ms=end_ms, limit=limit
            )
        ]

    return [shapes.order_row(call.desk.texts[found.id], found) for found in await call.desk.venue.commit(ask)]


async def forced_orders(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the orders that liquidated positions."""
    params = call.params
    name = params.text("symbol")
    start_ms, end_ms, limit = params.integer("startTime"), params.integer("endTime"), params.limit(50, 100)
    kind = params.text("autoCloseType")
    params.finish()
    wanted = list(call.desk.texts) if name is None else [call.desk.text(name).market.id]

    def ask(engine: PerpetualEngine, _: int) -> list[OrderView]:
        return [
            found
            for market_id in wanted
            for found in engine.all_orders(market_id, start_ms=start_ms, end_ms=end_ms, limit=_ALL)
            if found.client_order_id.startswith(_LIQUIDATION) and kind != "ADL"
        ]

    found = (await call.desk.venue.commit(ask))[-limit:]
    return [shapes.order_row(call.desk.texts[each.id], each) for each in found]


async def my_trades(call: Call[PerpetualEngine]) -> list[Json]:
    """Return executions of our orders in a market."""
    params, text = call.params, call.market()
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


# --- conditional orders ---------------------------------------------------------------------------------


async def place_conditional(call: Call[PerpetualEngine]) -> Json:
    """Have an order wait for a price."""
    text, params = call.market(), call.params
    wish = read_conditional(params, text.market.id, made_up_id(), hedge=call.desk.venue.engine.hedge)
    params.finish()
    call.desk.limits.charge_order()
    if call.desk.faults.strikes("order_rejected", call.occasion):
        raise VenueError(-2019, "Margin is insufficient.")
    found = await call.desk.venue.commit(lambda engine, now_ms: engine.place_conditional(wish, now_ms))
    return shapes.conditional_row(text, found)


def _named_conditional(params: Params) -> tuple[int | None, str | None]:
    algo_id, client_id = params.integer("algoId"), params.client_id("clientAlgoId")
    params.ignore(("symbol",))
    if algo_id is None and client_id is None:
        raise VenueError(-1102, "Param 'clientAlgoId' or 'algoId' must be sent, but both were empty/null!")
    return algo_id, client_id


async def cancel_conditional(call: Call[PerpetualEngine]) -> Json:
    """Cancel an order that waits for its price."""
    algo_id, client_id = _named_conditional(call.params)
    call.params.finish()
    found = await call.desk.venue.commit(
        lambda engine, now_ms: engine.cancel_conditional(None, now_ms, algo_id=algo_id, client_algo_id=client_id)
    )
    return {"algoId": found.algo_id, "clientAlgoId": found.client_algo_id, "code": "200", "msg": "success"}


async def cancel_conditionals(call: Call[PerpetualEngine]) -> Json:
    """Cancel every order of a market that waits for its price, if there is any."""
    text = call.market()
    call.params.finish()
    await call.desk.venue.commit(lambda engine, now_ms: engine.cancel_all_conditionals(text.market.id, now_ms))
    return _all_done()


async def conditional(call: Call[PerpetualEngine]) -> Json:
    """Return one conditional order."""
    algo_id, client_id = _named_conditional(call.params)
    call.params.finish()
    found = await call.desk.venue.commit(
        lambda engine, _: engine.conditional(algo_id=algo_id, client_algo_id=client_id)
    )
    return shapes.conditional_row(call.desk.texts[found.id], found)


async def open_conditionals(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the conditional orders that wait, of a market or all."""
    params = call.params
    name = params.text("symbol")
    market_id = None if name is None else call.desk.text(name).market.id
    params.ignore(("algoType", "algoId"))
    params.finish()
    found = await call.desk.venue.commit(lambda engine, _: engine.open_conditionals(market_id))
    return [shapes.conditional_row(call.desk.texts[each.id], each) for each in found]


async def all_conditionals(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the conditional orders of a market, whatever became of them."""
    params, text = call.params, call.market()
    from_id, start_ms, end_ms = params.integer("algoId"), params.integer("startTime"), params.integer("endTime")
    limit = params.limit(500, _ROWS_MAX)
    params.ignore(("page",))
    params.finish()
    found = await call.desk.venue.commit(
        lambda engine, _: engine.all_conditionals(
            text.market.id, from_algo_id=from_id, start_ms=start_ms, end_ms=end_ms, limit=limit
        )
    )
    return [shapes.conditional_row(text, each) for each in found]
