"""One order at the exchange: its terms in ticks and lots, what is refused of it, and what it locks."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.messages import BUY, SELL, OrderRequest
from replay.exchange.model import (
    MAX_NUM_ALGO_ORDERS,
    MAX_NUM_ORDERS,
    ContractOrderType,
    NewOrder,
    OrderStatus,
    OrderType,
    OrderView,
    Side,
    TimeInForce,
    TradeView,
    VenueError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.messages import TimeInForce as RequestTimeInForce
    from replay.exchange.book import Book
    from replay.exchange.model import Market

LIVE: frozenset[OrderStatus] = frozenset({"NEW", "PARTIALLY_FILLED"})
"""Statuses of an open order."""

_STOP_TYPES: frozenset[OrderType] = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
_LIMIT_TYPES: frozenset[OrderType] = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
_TAKE_PROFIT: frozenset[OrderType] = frozenset({"TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
_EXPONENT_MIN = -8
_STEPS_MAX = 2**53
_IN_FORCE: dict[TimeInForce, RequestTimeInForce] = {"GTC": "gtc", "IOC": "ioc", "FOK": "fok", "GTX": "gtc"}


class Order(msgspec.Struct, array_like=True):
    """An order and what became of it so far."""

    order_id: int
    client_order_id: str
    id: str
    side: Side
    type: OrderType | ContractOrderType
    time_in_force: TimeInForce
    price_ticks: int
    stop_ticks: int
    quantity_lots: int
    created_ms: int
    updated_ms: int
    lock_ticks: int
    """Price at which a buy locks what it may cost."""
    filled_lots: int = 0
    quote_atoms: int = 0
    status: OrderStatus = "NEW"
    triggered: bool = False
    """Whether its stop price was touched."""
    locked_atoms: int = 0
    turn: int = 0
    """Its place in the queue of its market; given by the history."""
    reduce_only: bool = False
    close_position: bool = False
    algo_id: int = 0
    """The conditional order it was placed for, 0 without."""

    @property
    def sign(self) -> int:
        """BUY or SELL, as the core counts them."""
        return BUY if self.side == "BUY" else SELL

    @property
    def trigger_side(self) -> int:
        """The side whose stop has the same trigger: a profit is taken where the other side's loss is stopped."""
        return -self.sign if self.type in _TAKE_PROFIT else self.sign

    @property
    def open_lots(self) -> int:
        """What is not filled yet."""
        return self.quantity_lots - self.filled_lots

    @property
    def may_rest(self) -> bool:
        """Whether what cannot be filled at once waits in the book."""
        return self.time_in_force in {"GTC", "GTX"}

    @property
    def request(self) -> OrderRequest:
        """The order as the project's own matching knows it, once it is active."""
        return OrderRequest(
            "",
            self.id,
            0,
            self.sign,
            self.open_lots,
            "limit" if self.price_ticks else "market",
            self.price_ticks,
            time_in_force=_IN_FORCE[self.time_in_force],
        )

    def lock(self, book: Book) -> tuple[str, int]:
        """Return the asset that pays for what is open, and how much that takes; nothing where there is no price."""
        if not self.lock_ticks:
            return book.market.base if self.side == "SELL" else book.market.quote, 0
        if self.side == "SELL":
            return book.market.base, self.open_lots * book.lot_atoms
        return book.market.quote, book.instrument.value_atoms(self.lock_ticks, self.open_lots)

    def view(self, trades: tuple[TradeView, ...] = ()) -> OrderView:
        """Return the order as others see it."""
        return OrderView(
            order_id=self.order_id,
            client_order_id=self.client_order_id,
            id=self.id,
            side=self.side,
            type=self.type,
            time_in_force=self.time_in_force,
            price_ticks=self.price_ticks,
            stop_ticks=self.stop_ticks,
            quantity_lots=self.quantity_lots,
            filled_lots=self.filled_lots,
            quote_atoms=self.quote_atoms,
            status=self.status,
            created_ms=self.created_ms,
            updated_ms=self.updated_ms,
            trades=trades,
            reduce_only=self.reduce_only,
            close_position=self.close_position,
        )


def make_order(new: NewOrder, market: Market, order_id: int, now_ms: int) -> Order:
    """Return a wish in whole ticks and lots.

    Raises:
        VenueError: a price or the quantity is none that the market knows.
    """
    price_ticks = _ticks(new.price, market) if new.type in _LIMIT_TYPES else 0
    stop_ticks = _ticks(new.stop_price, market) if new.type in _STOP_TYPES else 0
    has_terms = new.type in _LIMIT_TYPES and new.type != "LIMIT_MAKER"
    return Order(
        order_id,
        new.client_order_id,
        new.id,
        new.side,
        new.type,
        new.time_in_force if has_terms else "GTC",
        price_ticks,
        stop_ticks,
        _steps(new.quantity, market.lot, market.step_size, "LOT_SIZE"),
        now_ms,
        now_ms,
        price_ticks or stop_ticks,
    )


def check_filters(order: Order, book: Book, open_orders: Iterable[Order]) -> None:
    """Refuse an order that is too small, or one too many.

    Raises:
        VenueError: naming the filter.
    """
    notional_atoms = book.instrument.value_atoms(order.lock_ticks or book.last_ticks, order.quantity_lots)
    if (order.lock_ticks or book.last_ticks) and notional_atoms < book.min_notional_atoms:
        raise _failure("NOTIONAL")
    resting = list(open_orders)
    if len(resting) >= MAX_NUM_ORDERS:
        raise _failure("MAX_NUM_ORDERS")
    if order.stop_ticks and sum(each.stop_ticks > 0 for each in resting) >= MAX_NUM_ALGO_ORDERS:
        raise _failure("MAX_NUM_ALGO_ORDERS")


def _ticks(price: Decimal | None, market: Market) -> int:
    return _steps(price, market.tick, market.tick_size, "PRICE_FILTER")


def _steps(value: Decimal | None, unit: Decimal, step: Decimal, name: str) -> int:
    """Return `value` as a number of units, if it is a multiple of the step in force."""
    if value is None or not value.is_finite() or not 0 < value < unit * _STEPS_MAX:
        raise _failure(name)
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int), value
    if exponent < _EXPONENT_MIN:
        raise VenueError(-1111, "Precision is over the maximum defined for this asset.")
    count, rest = divmod(value, unit)
    if rest or not count or value % step:
        raise _failure(name)
    return int(count)


def _failure(name: str) -> VenueError:
    return VenueError(-1013, f"Filter failure: {name}")
