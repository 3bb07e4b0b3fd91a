"""What is refused of an order for a perpetual, in the words of Binance's futures."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from replay.exchange.model import VenueError
from replay.exchange.orders import Order

if TYPE_CHECKING:
    from replay.exchange.book import Book
    from replay.exchange.model import Market, NewOrder

STEPS_MAX = 2**53


def make_contract_order(new: NewOrder, market: Market, order_id: int, now_ms: int) -> Order:
    """Return a wish in whole ticks and lots.

    Raises:
        VenueError: a price, the quantity or the type is none that the market knows.
    """
    if new.type in {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}:
        raise VenueError(
            -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        )
    if new.type not in {"MARKET", "LIMIT"}:
        raise VenueError(-1116, "Invalid orderType.")
    if new.close_position:
        raise VenueError(-4136, f"Target strategy invalid for orderType {new.type},closePosition true")
    price_ticks = to_ticks(new.price, market) if new.type == "LIMIT" else 0
    return Order(
        order_id,
        new.client_order_id,
        new.id,
        new.side,
        new.type,
        new.time_in_force if new.type == "LIMIT" else "GTC",
        price_ticks,
        0,
        to_lots(new.quantity, market),
        now_ms,
        now_ms,
        price_ticks,
        reduce_only=new.reduce_only,
    )


def to_ticks(price: Decimal | None, market: Market) -> int:
    """Return a price in ticks.

    Raises:
        VenueError: it is not positive, too high, or off the filter.
    """
    if price is None or not price.is_finite() or price <= 0:
        raise VenueError(-4001, "Price less than 0.")
    if price >= market.tick * STEPS_MAX:
        raise VenueError(-4002, "Price greater than max price.")
    _check_precision(price, market.tick_size)
    if price % market.tick_size:
        raise VenueError(-4014, "Price not increased by tick size.")
    return int(price / market.tick)


def to_lots(quantity: Decimal, market: Market) -> int:
    """Return a quantity in lots.

    Raises:
        VenueError: it is not positive, too large, or off the filter.
    """
    if not quantity.is_finite() or quantity <= 0:
        raise VenueError(-4003, "Quantity less than or equal to zero.")
    if quantity >= market.lot * STEPS_MAX:
        raise VenueError(-4005, "Quantity greater than max quantity.")
    _check_precision(quantity, market.step_size)
    if quantity % market.step_size:
        raise VenueError(-4023, "Qty not increased by step size.")
    return int(quantity / market.lot)


def check_notional(order: Order, book: Book) -> None:
    """Refuse an order that is too small, unless it only reduces.

    Raises:
        VenueError: it is.
    """
    price_ticks = order.lock_ticks or book.last_ticks
    too_small = book.instrument.value_atoms(price_ticks, order.open_lots) < book.min_notional_atoms
    if price_ticks and too_small and not order.reduce_only:
        least = book.market.min_notional
        raise VenueError(-4164, f"Order's notional must be no smaller than {least:f} (unless you choose reduce only).")


def _check_precision(value: Decimal, step: Decimal) -> None:
    if _exponent(value) < _exponent(step):
        raise VenueError(-1111, "Precision is over the maximum defined for this asset.")


def _exponent(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int), value
    return exponent
