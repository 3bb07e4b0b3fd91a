"""The vocabulary: everything actors say to one another, and the only thing they share.

Commands are imperative, events past tense. Times are int nanoseconds UTC. Market data and features
are floats as the venue publishes them; what we order, own or owe is an exact integer: prices in ticks,
quantities in lots, money in atoms (1e-8 of the quote asset). New fields go last and have defaults; a
type or a meaning never changes, because journals outlive releases.

Every struct encodes as an array that starts with its tag, which is its class name.
"""

from typing import Any, Literal

import msgspec

OrderKind = Literal["market", "limit", "stop", "stop_limit"]
TimeInForce = Literal["gtc", "ioc", "fok"]
Liquidity = Literal["maker", "taker"]

BUY = 1
SELL = -1


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all messages."""


# --- market data ------------------------------------------------------------------------------------


class Bar(Message, frozen=True):
    """One closed candle; knowable at `close_ns`, which is `open_ns` + `timeframe_ns`."""

    symbol: str
    timeframe_ns: int
    open_ns: int
    close_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class AggregateClosed(Message, frozen=True):
    """A higher-timeframe bar, built from bars, is complete."""

    bar: Bar


class TapeEnded(Message, frozen=True):
    """Every series of the tape has been played; no further market data will come."""


class BarRejected(Message, frozen=True):
    """Market data that cannot be true was kept from the other actors."""

    symbol: str
    open_ns: int
    reason: str


class FeedStale(Message, frozen=True):
    """A series is overdue."""

    symbol: str
    timeframe_ns: int
    last_close_ns: int


class FeedResumed(Message, frozen=True):
    """A stale series speaks again."""

    symbol: str
    timeframe_ns: int


# --- time and control -------------------------------------------------------------------------------


class TimerFired(Message, frozen=True):
    """A timer armed by `actor` under `name` is due."""

    actor: str
    name: str
    due_ns: int


class Pause(Message, frozen=True):
    """Veto whatever increases a position; exits and cancels pass."""

    command_id: str
    idempotency_key: str = ""


class Resume(Message, frozen=True):
    """Trade again after a pause or a halt."""

    command_id: str
    idempotency_key: str = ""


class Flatten(Message, frozen=True):
    """Cancel all orders, close all positions, then stay paused."""

    command_id: str
    idempotency_key: str = ""


class Stop(Message, frozen=True):
    """Cancel all orders and seal the session; positions stay."""

    command_id: str
    idempotency_key: str = ""


class TradingStateChanged(Message, frozen=True):
    """The account's trading state, from the control actor to all who must obey it."""

    state: str
    reason: str


class Halt(Message, frozen=True):
    """Stop trading: a limit was breached."""

    reason: str


class Flattened(Message, frozen=True):
    """No order works and no position is open any more."""


# --- decisions --------------------------------------------------------------------------------------


class FeatureRow(Message, frozen=True):
    """A bar and the values of one strategy's declared features at its close."""

    strategy: str
    bar: Bar
    values: Any
    """A struct with one float per declared feature; never journaled."""


class Intent(Message, frozen=True):
    """What a strategy wants, in its own floats."""

    strategy: str
    symbol: str
    ref: int
    """The strategy's own number for this wish."""
    action: Literal["order", "target", "cancel"]
    side: int
    """BUY or SELL for an order, else 0."""
    quantity: float
    """Base units: of the order (positive), or the wished position (signed)."""
    kind: OrderKind = "market"
    limit_price: float | None = None
    stop_price: float | None = None
    time_in_force: TimeInForce = "gtc"
    reduce_only: bool = False
    post_only: bool = False
    reference_price: float = 0.0
    """Last close the strategy saw; limits in quote units are taken at it."""


class RiskVeto(Message, frozen=True):
    """A wish that will not become an order."""

    strategy: str
    symbol: str
    ref: int
    reason: str


class OrderRequest(Message, frozen=True):
    """A wish that passed risk, in exact units."""

    strategy: str
    symbol: str
    ref: int
    side: int
    quantity_lots: int
    kind: OrderKind = "market"
    limit_ticks: int = 0
    """0 without a limit price."""
    stop_ticks: int = 0
    """0 without a trigger price."""
    time_in_force: TimeInForce = "gtc"
    reduce_only: bool = False
    post_only: bool = False
    closing: bool = False
    """Part of a flatten: at the end of a tape it fills at the last close."""


class CancelRequest(Message, frozen=True):
    """Cancel the working order that grew from wish `ref`."""

    strategy: str
    symbol: str
    ref: int


# --- execution --------------------------------------------------------------------------------------


class SubmitOrder(Message, frozen=True):
    """Command to the venue port."""

    order_id: str
    """Client order id: prefix, session nonce, counter (base 36, at most 20 characters)."""
    request: OrderRequest


class CancelOrder(Message, frozen=True):
    """Command to the venue port."""

    order_id: str


class OrderEvent(Message, frozen=True):
    """What the venue said about one of our orders."""

    order_id: str
    strategy: str
    symbol: str
    ref: int


class Accepted(OrderEvent, frozen=True):
    """The order works at the venue."""


class Rejected(OrderEvent, frozen=True):
    """The venue did not take the order."""

    reason: str


class Cancelled(OrderEvent, frozen=True):
    """The order was withdrawn."""

    reason: str


class Expired(OrderEvent, frozen=True):
    """The order's own terms ended it."""

    reason: str


class CancelRejected(OrderEvent, frozen=True):
    """The order could not be withdrawn."""

    reason: str


class Fill(OrderEvent, frozen=True):
    """An execution; the order is done once `remaining_lots` is 0."""

    trade_id: int
    """The venue's own number, ascending."""
    side: int
    price_ticks: int
    quantity_lots: int
    remaining_lots: int
    fee_atoms: int
    """Positive is paid, negative a rebate."""
    liquidity: Liquidity
    executed_ns: int
    """The venue's time of the trade; it is known to us at the input's time, never before."""
    synthetic: bool = False
    """Filled at the last close because the tape had ended."""


class FeeInBase(Message, frozen=True):
    """The venue kept part of what a fill bought as its fee; the fill itself then carries none."""

    strategy: str
    symbol: str
    trade_id: int
    quantity_lots: int
    value_atoms: int
    """Its value at the fill's price."""


class PositionChanged(Message, frozen=True):
    """One strategy's book in one symbol, and the account's cash, after a fill."""

    strategy: str
    symbol: str
    quantity_lots: int
    cost_atoms: int
    """Signed cost of what is held: negative for a short."""
    realized_atoms: int
    fees_atoms: int
    cash_atoms: int


class EquityMark(Message, frozen=True):
    """The account's equity at a bar's close."""

    equity_atoms: int
    ts_ns: int


# --- a real venue: what leaves the core ------------------------------------------------------------


class SendOrder(Message, frozen=True):
    """Effect: have the venue take an order. It leaves once the input that caused it is durable."""

    order_id: str
    request: OrderRequest


class SendCancel(Message, frozen=True):
    """Effect: have the venue withdraw an order."""

    order_id: str
    symbol: str


class AskOrder(Message, frozen=True):
    """Effect: ask the venue what became of an order whose fate is not known."""

    order_id: str
    symbol: str


class AskAccount(Message, frozen=True):
    """Effect: ask the venue for open orders, executions and balances, to compare them with ours."""

    reason: str
    """`start`, `reconnect`, `period` or `doubt`."""
    orders: tuple[tuple[str, str], ...] = ()
    """(order id, symbol) of every order we believe open: each is asked for by name if no listing has it."""
    trades_after: tuple[tuple[str, int], ...] = ()
    """(symbol, newest trade id that is booked): executions after these are wanted; a symbol without one has none."""
    ask: int = 0
    """Number of the question, which its answer repeats."""
    funding_after: tuple[tuple[str, int], ...] = ()
    """(symbol of a contract, time in ns): funding paid at this time or later is wanted."""


# --- a real venue: what enters the core -------------------------------------------------------------


class VenueLink(Message, frozen=True):
    """The private connection to the venue came up or went down."""

    up: bool
    reason: str = ""


class OrderReported(Message, frozen=True):
    """What the venue says of one of our orders: a reply, a push, or the answer to a question."""

    order_id: str
    venue_order_id: str
    state: Literal["open", "filled", "cancelled", "rejected", "expired"]
    filled_lots: int
    """All that was ever executed of it, whether or not we heard of the trades."""
    reason: str = ""


class OrderInDoubt(Message, frozen=True):
    """A request went out and nobody knows what it came to: a timeout, a dropped connection, a broken reply."""

    order_id: str
    reason: str


class OrderAbsent(Message, frozen=True):
    """The venue does not know the order, and a request of ours that is still under way would be too late."""

    order_id: str
    reason: str = ""


class CancelRefused(Message, frozen=True):
    """The venue did not withdraw an order."""

    order_id: str
    reason: str


class TradeReported(Message, frozen=True):
    """One execution of one of our orders, as the venue says; it may say so more than once."""

    order_id: str
    symbol: str
    trade_id: int
    """The venue's own number, unique within the symbol."""
    side: int
    price_ticks: int
    quantity_lots: int
    fee_asset: str
    fee_atoms: int
    """Of the fee's asset (1e-8); positive is paid."""
    liquidity: Liquidity
    executed_ns: int
    realized_atoms: int = 0
    """What it realised by the venue's reckoning, before its fee; contracts only."""


class FundingPaid(Message, frozen=True):
    """A payment between longs and shorts of a perpetual, as the venue says; it may say so more than once."""

    symbol: str
    funding_id: int
    """The venue's own number of the payment, unique within the symbol."""
    amount_atoms: int
    """Positive is received, negative is paid."""
    asset: str
    paid_ns: int


class BalanceReported(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the account holds of one asset, in atoms (1e-8), free and locked together."""

    asset: str
    total_atoms: int


class PositionReported(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The account's position in one contract."""

    symbol: str
    quantity_lots: int
    """Negative for a short."""


class ForeignOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An open order at the venue that is not ours."""

    order_id: str
    venue_order_id: str
    symbol: str


class AccountReported(Message, frozen=True):
    """The answer to `AskAccount`: one view of the account, complete for the symbols that are traded."""

    reason: str
    orders: tuple[OrderReported, ...]
    """Ours that are open, and every one that was asked for by name."""
    absent: tuple[str, ...]
    """Ids that were asked for by name and that the venue does not know, for good."""
    trades: tuple[TradeReported, ...]
    """Ours since the last one that was known, each symbol in order of trade id."""
    balances: tuple[BalanceReported, ...]
    foreign: tuple[ForeignOrder, ...]
    ask: int = 0
    """Number of the question."""
    positions: tuple[PositionReported, ...] = ()
    """Of the contracts that are traded; one that is not listed is flat."""
    funding: tuple[FundingPaid, ...] = ()
    """Paid since the time that was asked for, ours or not."""


class Reconciled(Message, frozen=True):
    """What comparing the venue's account with ours came to."""

    reason: str
    differences: tuple[str, ...]
    """In words, one for each; none is agreement."""
    applied: int
    """Trades that were booked only now."""


# --- system -----------------------------------------------------------------------------------------


class ActorFailed(Message, frozen=True):
    """An isolated actor raised; its message is in the dead letters."""

    actor: str
    error: str
    escalated: bool


class ActorRestarted(Message, frozen=True):
    """An isolated actor is back at its last good state."""

    actor: str
    restarts: int


Input = (
    Bar | TapeEnded | TimerFired | Pause | Resume | Flatten | Stop | Halt
    | VenueLink | OrderReported | OrderInDoubt | OrderAbsent | CancelRefused | TradeReported | AccountReported
    | FundingPaid
)  # fmt: skip
"""What may enter the core from outside, and therefore what a journal holds."""

Decision = (
    Intent | RiskVeto | OrderRequest | CancelRequest | Accepted | Rejected | Cancelled | Expired
    | CancelRejected | Fill | FeeInBase | PositionChanged
)  # fmt: skip
"""What the digest is taken over and the journal keeps beside its input."""
