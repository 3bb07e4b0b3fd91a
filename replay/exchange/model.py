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
ContractOrderType = Literal[
    "MARKET", "LIMIT", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET", "LIQUIDATION"
]
"""Of a perpetual. All but the first two are conditional and wait beside the book; nobody can ask for the last."""
OrderStatus = Literal["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "EXPIRED"]
Side = Literal["BUY", "SELL"]
TimeInForce = Literal["GTC", "IOC", "FOK", "GTX"]
"""GTX rests or is not taken at all."""
ExecutionType = Literal["NEW", "TRADE", "CANCELED", "REPLACED", "REJECTED", "EXPIRED", "AMENDMENT", "CALCULATED"]
"""CALCULATED is an execution of a liquidation."""
WorkingType = Literal["CONTRACT_PRICE", "MARK_PRICE"]
"""The price that triggers a conditional order."""
ConditionalStatus = Literal["NEW", "CANCELED", "TRIGGERED", "FINISHED", "REJECTED", "EXPIRED"]
"""TRIGGERED: its order is in the book; FINISHED: that order has ended."""
PositionReason = Literal["ORDER", "FUNDING_FEE", "MARGIN_TYPE_CHANGE", "INSURANCE_CLEAR"]
IncomeKind = Literal["FUNDING_FEE", "REALIZED_PNL", "COMMISSION", "INSURANCE_CLEAR"]

MAX_NUM_ORDERS = 200
"""Open orders per market: the filter of this name."""
MAX_NUM_ALGO_ORDERS = 5
"""Open orders with a stop price per market: the filter of this name."""
MAX_NUM_CONDITIONALS = 200
"""Open conditional orders per perpetual."""

_PERPETUAL_STEP = Decimal("0.001")


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
    settle: str = ""
    """The margin asset of a linear perpetual; empty on spot."""
    price_step: Decimal | None = None
    """The price filter in force, a multiple of the tick: prices stay counted in ticks. The tick unless given."""
    quantity_step: Decimal | None = None
    """The quantity filter in force, likewise of the lot."""
    trading: bool = True
    """Whether orders are taken."""

    @property
    def tick_size(self) -> Decimal:
        """What an order's price must be a multiple of."""
        return self.price_step or self.tick

    @property
    def step_size(self) -> Decimal:
        """What an order's quantity must be a multiple of."""
        return self.quantity_step or self.lot


def perpetual_of(spot: Market) -> Market:
    """Return the perpetual on a spot market's price: margined in its quote asset, in steps no finer than usual."""
    step = max(spot.lot, _PERPETUAL_STEP)
    return msgspec.structs.replace(spot, symbol=f"{spot.symbol}:{spot.quote}", lot=step, settle=spot.quote)


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A wish, checked for its form but not for its content."""

    id: str
    """Binance's name of the market."""
    side: Side
    type: OrderType | ContractOrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = "GTC"
    client_order_id: str
    reduce_only: bool = False
    """Perpetuals: it may only make a position smaller."""
    close_position: bool = False
    """Perpetuals: it closes whatever there is when it is triggered; the quantity is then 0."""


class NewConditional(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to have an order placed once a price is touched (perpetuals only)."""

    id: str
    """Binance's name of the market."""
    side: Side
    type: ContractOrderType
    quantity: Decimal = Decimal(0)
    """0 with `close_position`."""
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    """Of a trailing stop its activation price, None to follow at once."""
    working_type: WorkingType = "CONTRACT_PRICE"
    time_in_force: TimeInForce = "GTC"
    client_algo_id: str
    reduce_only: bool = False
    close_position: bool = False
    callback_rate: Decimal | None = None
    """Of a trailing stop: its distance from the best price so far, in percent."""


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
    realized_atoms: int = 0
    """Perpetuals: profit of what it closed, before commissions, in the settle asset."""


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it stands."""

    order_id: int
    client_order_id: str
    id: str
    side: Side
    type: OrderType | ContractOrderType
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
    reduce_only: bool = False
    close_position: bool = False


class ConditionalView(msgspec.Struct, frozen=True, kw_only=True):
    """One conditional order as it stands; its ids are not those of orders."""

    algo_id: int
    client_algo_id: str
    id: str
    side: Side
    type: ContractOrderType
    time_in_force: TimeInForce
    working_type: WorkingType
    quantity_lots: int
    """0 with `close_position`."""
    price_ticks: int
    """0 without."""
    trigger_ticks: int
    """Of a trailing stop its activation price, 0 without."""
    reduce_only: bool
    close_position: bool
    status: ConditionalStatus
    created_ms: int
    updated_ms: int
    triggered_ms: int = 0
    """0 until then."""
    actual_order_id: int = 0
    """The order that was placed, 0 before."""
    callback_rate: Decimal | None = None
    reason: str = ""
    """Why it was rejected or expired."""


class BalanceView(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of the account, in atoms."""

    asset: str
    free_atoms: int
    locked_atoms: int


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """The position in one perpetual, as it stands at its mark price; flat ones are views too."""

    id: str
    amount_lots: int
    """Negative of a short."""
    cost_atoms: int
    """What it was entered at, signed as the amount is; over the amount it is the entry price."""
    realized_atoms: int
    """Of all that was ever closed, before commissions and funding."""
    leverage: int
    isolated: bool
    mark_ticks: int
    unrealized_atoms: int
    initial_margin_atoms: int
    """At the mark, without open orders."""
    maintenance_atoms: int
    liquidation_ticks: int
    """0 where there is none."""
    updated_ms: int
    """0 before the first change."""
    isolated_atoms: int = 0
    """Wallet set aside for it, where its margin is isolated."""
    order_margin_atoms: int = 0
    """Initial margin of its open orders."""


class WalletView(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of the futures wallet."""

    asset: str
    wallet_atoms: int
    """Opening balance, realised profit, commissions and funding; never unrealised profit."""
    cross_unrealized_atoms: int
    initial_margin_atoms: int
    """Of positions and of open orders."""
    available_atoms: int
    """What new orders may use, never negative."""
    updated_ms: int
    unrealized_atoms: int = 0
    """Of all positions."""
    position_margin_atoms: int = 0
    order_margin_atoms: int = 0
    maintenance_atoms: int = 0
    cross_wallet_atoms: int = 0
    """The wallet without what is set aside for isolated positions."""


class IncomeView(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the wallet."""

    transaction_id: int
    """Ascending over all kinds and markets, from 1."""
    kind: IncomeKind
    id: str
    asset: str
    amount_atoms: int
    """Negative of what was paid."""
    time_ms: int
    trade_id: int
    """0 of what no trade led to."""


class FundingView(msgspec.Struct, frozen=True, kw_only=True):
    """One settlement of funding, whether or not anybody held a position."""

    id: str
    rate: Decimal
    """A fraction of the position's value; positive where longs pay."""
    mark_ticks: int
    time_ms: int


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
    turnover: int = 0
    """Price x quantity of its trades, in ticks times lots."""
    bought_lots: int = 0
    """Of trades that a buyer took, and so is the following."""
    bought_turnover: int = 0


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


class PositionsChanged(msgspec.Struct, frozen=True, tag=True):
    """Wallets and positions after an event, those that changed."""

    time_ms: int
    reason: PositionReason
    wallets: tuple[WalletView, ...]
    positions: tuple[PositionView, ...]


class MarginCalled(msgspec.Struct, frozen=True, tag=True):
    """What is held is near its liquidation: positions that share one margin."""

    time_ms: int
    positions: tuple[PositionView, ...]
    cross_atoms: int | None
    """The cross wallet, None for an isolated position."""


class MarkPrice(msgspec.Struct, frozen=True, tag=True):
    """The mark price of a perpetual, once a second while somebody asked for it."""

    id: str
    mark_ticks: int
    index_ticks: int
    funding_rate: Decimal
    """Of the next settlement, as a fraction."""
    next_funding_ms: int
    time_ms: int


class LeverageChanged(msgspec.Struct, frozen=True, tag=True):
    """The leverage of a perpetual was set."""

    id: str
    leverage: int
    time_ms: int


class ConditionalChanged(msgspec.Struct, frozen=True, tag=True):
    """Something happened to a conditional order."""

    conditional: ConditionalView
    time_ms: int


class MarketChanged(msgspec.Struct, frozen=True, tag=True):
    """The filters of a market, or whether it trades, were changed."""

    market: Market
    time_ms: int


Event = (
    Printed
    | Candle
    | BookChanged
    | Executed
    | BalancesChanged
    | PositionsChanged
    | MarginCalled
    | MarkPrice
    | LeverageChanged
    | ConditionalChanged
    | MarketChanged
)
