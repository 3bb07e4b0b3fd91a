"""Parameters of orders of perpetuals, refused in Binance's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

import msgspec

from replay.exchange.model import (
    ContractOrderType,
    NewConditional,
    NewOrder,
    Side,
    TimeInForce,
    VenueError,
    WorkingType,
)
from replay.exchange.protocol.shapes import PRICE_MAX, QUANTITY_MAX

if TYPE_CHECKING:
    from decimal import Decimal

    from replay.exchange.protocol.params import Params

_HARMLESS = (
    "selfTradePreventionMode", "priceProtect", "goodTillDate", "newOrderRespType", "priceMatch", "algoType",
)  # fmt: skip
_PLAIN = ("LIMIT", "MARKET")
_PRICED = ("STOP", "TAKE_PROFIT")
_TRAILING = "TRAILING_STOP_MARKET"
_WITHDRAWN = "LIQUIDATION"
"""A type that nobody can ask for."""
_UNSUPPORTED = -4120


class ContractWish(msgspec.Struct, frozen=True):
    """A new order as it was sent."""

    order: NewOrder
    has_result: bool
    """Whether the answer tells what became of it, or only that it was taken."""


def read_contract_order(params: Params, market_id: str, default_client_id: str, *, hedge: bool) -> ContractWish:
    """Return the order that is asked for.

    Args:
        params: what was sent.
        market_id: the market.
        default_client_id: for an order that has none.
        hedge: whether the account keeps long and short positions apart.

    Raises:
        VenueError: a parameter is missing, malformed or not for this type of order.
    """
    side, kind = read_side(params), _kind(params)
    if kind not in _PLAIN:
        text = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        raise VenueError(_UNSUPPORTED, text)
    _check_position_side(params, hedge=hedge)
    price = _price(params, "price")
    quantity = _quantity(params)
    if quantity is None:
        raise missing("quantity")
    if kind == "LIMIT" and price is None:
        raise missing("price")
    if kind == "MARKET" and price is not None:
        raise VenueError(-1106, "Parameter 'price' sent when not required.")
    time_in_force = _time_in_force(params, needed=kind == "LIMIT")
    if kind == "MARKET" and params.text("timeInForce") is not None:
        raise VenueError(-1106, "Parameter 'timeInForce' sent when not required.")
    order = NewOrder(
        id=market_id,
        side=side,
        type=kind,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
        client_order_id=params.client_id("newClientOrderId") or default_client_id,
        reduce_only=_flag(params, "reduceOnly"),
    )
    has_result = (params.text("newOrderRespType") or "ACK") == "RESULT"
    params.ignore(_HARMLESS)
    return ContractWish(order, has_result)


def read_conditional(params: Params, market_id: str, default_client_id: str, *, hedge: bool) -> NewConditional:
    """Return the conditional order that is asked for.

    Args:
        params: what was sent.
        market_id: the market.
        default_client_id: for an order that has none.
        hedge: whether the account keeps long and short positions apart.

    Raises:
        VenueError: a parameter is missing, malformed or not for this type of order.
    """
    if params.needed("algoType") != "CONDITIONAL":
        raise VenueError(-1130, "Data sent for parameter 'algoType' is not valid.")
    side, kind = read_side(params), _kind(params)
    if kind in _PLAIN:
        raise VenueError(-1116, "Invalid orderType.")
    _check_position_side(params, hedge=hedge)
    closes = _flag(params, "closePosition")
    quantity = _quantity(params)
    if quantity is None and not closes:
        raise missing("quantity")
    if quantity is not None and closes:
        raise VenueError(-4137, "Quantity must be zero with closePosition equals true")
    price = _price(params, "price")
    if kind in _PRICED and price is None:
        raise missing("price")
    trigger, callback = _trigger(params, kind)
    working = params.text("workingType") or "CONTRACT_PRICE"
    if working not in get_args(WorkingType):
        raise VenueError(-1130, "Data sent for parameter 'workingType' is not valid.")
    params.ignore(_HARMLESS)
    order = NewConditional(
        id=market_id,
        side=side,
        type=kind,
        price=price if kind in _PRICED else None,
        trigger_price=trigger,
        working_type=cast("WorkingType", working),
        time_in_force=_time_in_force(params, needed=False),
        client_algo_id=params.client_id("clientAlgoId") or default_client_id,
        reduce_only=_flag(params, "reduceOnly"),
        close_position=closes,
        callback_rate=callback,
    )
    return order if quantity is None else msgspec.structs.replace(order, quantity=quantity)


def _trigger(params: Params, kind: ContractOrderType) -> tuple[Decimal | None, Decimal | None]:
    """Return the price that triggers an order, and how far a trailing one stays behind the best."""
    trigger = _price(params, "triggerPrice")
    activate, callback = params.decimal("activatePrice"), params.decimal("callbackRate")
    if kind != _TRAILING:
        if trigger is None:
            raise missing("triggerPrice")
        return trigger, None
    if callback is None:
        raise missing("callbackRate")
    return activate, callback


def read_side(params: Params) -> Side:
    """Return the side.

    Raises:
        VenueError: -1102, -1117, there is none.
    """
    side = params.needed("side")
    if side not in get_args(Side):
        raise VenueError(-1117, "Invalid side.")
    return cast("Side", side)


def _kind(params: Params) -> ContractOrderType:
    kind = params.needed("type")
    if kind not in get_args(ContractOrderType) or kind == _WITHDRAWN:
        raise VenueError(-1116, "Invalid orderType.")
    return cast("ContractOrderType", kind)


def _check_position_side(params: Params, *, hedge: bool) -> None:
    side = params.text("positionSide") or "BOTH"
    if side not in {"BOTH", "LONG", "SHORT"}:
        raise VenueError(-1130, "Data sent for parameter 'positionSide' is not valid.")
    if hedge != (side != "BOTH"):
        raise VenueError(-4061, "Order's position side does not match user's setting.")
    if hedge:
        text = "Method is not allowed currently: orders in hedge mode (positionSide LONG or SHORT) are not supported."
        raise VenueError(-4084, text)


def _time_in_force(params: Params, *, needed: bool) -> TimeInForce:
    value = params.text("timeInForce")
    if value is None:
        if needed:
            raise missing("timeInForce")
        return "GTC"
    if value not in get_args(TimeInForce):
        raise VenueError(-1115, "Invalid timeInForce.")
    return cast("TimeInForce", value)


def _flag(params: Params, name: str) -> bool:
    value = (params.text(name) or "false").lower()
    if value not in {"true", "false"}:
        raise VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")
    return value == "true"


def checked_price(price: Decimal) -> Decimal:
    """Return a price that is not beyond what there can be.

    Raises:
        VenueError: -4002, it is.
    """
    if price > PRICE_MAX:
        raise VenueError(-4002, "Price greater than max price.")
    return price


def checked_quantity(quantity: Decimal) -> Decimal:
    """Return a quantity that is not beyond what there can be.

    Raises:
        VenueError: -4005, it is.
    """
    if quantity > QUANTITY_MAX:
        raise VenueError(-4005, "Quantity greater than max quantity.")
    return quantity


def _price(params: Params, name: str) -> Decimal | None:
    value = params.decimal(name)
    return None if value is None else checked_price(value)


def _quantity(params: Params) -> Decimal | None:
    value = params.decimal("quantity")
    return None if value is None else checked_quantity(value)


def missing(name: str) -> VenueError:
    """Return the refusal of what lacks a parameter."""
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
