"""What the exchange's engine and its protocol say to one another: orders, trades, balances, events, refusals.

Prices are whole ticks, quantities whole steps (lots), money whole atoms (1e-8 of an asset), times UTC ms, as
Binance writes them. The engine is synchronous, does no I/O and reads no clock; the protocol turns these
structs into Binance's JSON and back and owns every byte on a socket.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

OrderType = Literal[
    "MARKET", "LIMIT", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"
]
OrderStatus = Literal["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "EXPIRED"]
Side = Literal["BUY", "SELL"]
TimeInForce = Literal["GTC", "IOC", "FOK"]
ExecutionType = Literal["NEW", "TRADE", "CANCELED", "REPLACED", "REJECTED", "EXPIRED"]

MAX_NUM_ORDERS = 200
"""Open orders per market: the filter of this name."""
MAX_NUM_ALGO_ORDERS = 5
"""Open orders with a stop price per market: the filter of this name."""


class VenueError(Exception):
    """A refusal, as Binance words it.

    Args:
        code: Binance's error code, for example -2010.
        text: its message, verbatim: clients match on it.
        status: the HTTP status.
    """

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol that is traded."""

    symbol: str
    """ccxt's name, such as ``BTC/USDT``."""
    id: str
    """Binance's name, such as ``BTCUSDT``."""
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_notional: Decimal = Decimal(5)


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A wish, checked for its form but not for its content."""

    id: str
    """Binance's name of the market."""
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = "GTC"
    client_order_id: str


class TradeView(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of one of our orders."""

    trade_id: int
    order_id: int
    id: str
    price_ticks: int
    quantity_lots: int
    commission_atoms: int
    """Of the asset the commission is paid in: base for a buy, quote for a sell, unless configured otherwise."""
    commission_asset: str
    time_ms: int
    side: Side
    is_maker: bool


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it stands."""

    order_id: int
    client_order_id: str
    id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price_ticks: int
    """0 without."""
    stop_ticks: int
    """0 without."""
    quantity_lots: int
    filled_lots: int
    quote_atoms: int
    """Quote asset exchanged so far."""
    status: OrderStatus
    created_ms: int
    updated_ms: int
    trades: tuple[TradeView, ...] = ()


class BalanceView(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of the account, in atoms."""

    asset: str
    free_atoms: int
    locked_atoms: int


# --- events: what subscribers of streams are told, in the order it happened ---------------------------


class Printed(msgspec.Struct, frozen=True, tag=True):
    """A public trade."""

    id: str
    trade_id: int
    price_ticks: int
    quantity_lots: int
    time_ms: int
    buyer_is_maker: bool


class Candle(msgspec.Struct, frozen=True, tag=True):
    """A kline as it stands; `closed` on its last event."""

    id: str
    interval: str
    open_ms: int
    close_ms: int
    """Last millisecond of the candle."""
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    trades: int
    closed: bool


class BookChanged(msgspec.Struct, frozen=True, tag=True):
    """A diff of the book: levels (ticks, lots), 0 lots removes one."""

    id: str
    first_update_id: int
    last_update_id: int
    time_ms: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


class Executed(msgspec.Struct, frozen=True, tag=True):
    """Something happened to one of our orders; `trade` where it was an execution."""

    kind: ExecutionType
    order: OrderView
    time_ms: int
    trade: TradeView | None = None
    reject_reason: str = "NONE"
    cancel_id: str = ""
    """On a cancel, the id of the cancel request."""


class BalancesChanged(msgspec.Struct, frozen=True, tag=True):
    """Balances after an event, those that changed."""

    time_ms: int
    balances: tuple[BalanceView, ...]


Event = Printed | Candle | BookChanged | Executed | BalancesChanged
