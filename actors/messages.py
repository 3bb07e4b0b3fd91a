"""The vocabulary: everything actors say to one another, and the only thing they share.

Commands are imperative, events past tense. Times are int nanoseconds UTC. Market data and features
are floats as the venue publishes them; what we order, own or owe is an exact integer: prices in ticks,
quantities in lots, money in atoms (1e-8 of the quote asset). New fields go last and have defaults; a
type or a meaning never changes, because journals outlive releases.

Every struct encodes as an array that starts with its tag, which is its class name. What markets, operators and
real venues say is defined in `actors.market_messages`, `actors.control_messages` and `actors.venue_messages`, and
read through this module, too.
"""

from typing import Literal

from actors.control_messages import (
    ActorFailed,
    ActorRestarted,
    BeginAgain,
    BooksClosed,
    ClosePosition,
    CommandAnswered,
    Flatten,
    Flattened,
    FlattenStrategy,
    Halt,
    LimitBreached,
    LimitChanged,
    LimitsConfigured,
    Pause,
    PauseStrategy,
    RestartActor,
    Resume,
    ResumeStrategy,
    Sender,
    Stop,
    StrategyStateChanged,
    Tighten,
    TimerFired,
    TradingStateChanged,
    WithdrawOrder,
)
from actors.margin_messages import Insured, Liquidated
from actors.market_messages import (
    AggregateClosed,
    Bar,
    BarRejected,
    BookSnapshot,
    DataRejected,
    External,
    FeatureRow,
    FeedResumed,
    FeedStale,
    Funding,
    HistoryBar,
    HistoryRow,
    Liquidation,
    Mark,
    Message,
    OpenInterest,
    Quote,
    SliceClosed,
    TapeEnded,
    Trade,
    WarmUp,
)
from actors.venue_messages import (
    AccountReported,
    Adopted,
    AmendRefused,
    BalanceReported,
    CancelRefused,
    FeeInAsset,
    FeeInBase,
    ForcedTrade,
    ForeignOrder,
    FundingPaid,
    InstrumentChanged,
    Liquidity,
    MarginReported,
    OrderAbsent,
    OrderInDoubt,
    OrderReported,
    PositionMargin,
    PositionReported,
    Reconciled,
    TradeReported,
    VenueLink,
)

__all__ = [
    "AccountReported",
    "ActorFailed",
    "ActorRestarted",
    "Adopted",
    "AggregateClosed",
    "AmendRefused",
    "BalanceReported",
    "Bar",
    "BarRejected",
    "BeginAgain",
    "BookSnapshot",
    "BooksClosed",
    "CancelRefused",
    "ClosePosition",
    "CommandAnswered",
    "DataRejected",
    "External",
    "FeatureRow",
    "FeeInAsset",
    "FeeInBase",
    "FeedResumed",
    "FeedStale",
    "Flatten",
    "FlattenStrategy",
    "Flattened",
    "ForcedTrade",
    "ForeignOrder",
    "Funding",
    "FundingPaid",
    "Halt",
    "HistoryBar",
    "HistoryRow",
    "InstrumentChanged",
    "Insured",
    "LimitBreached",
    "LimitChanged",
    "LimitsConfigured",
    "Liquidated",
    "Liquidation",
    "Liquidity",
    "MarginReported",
    "Mark",
    "Message",
    "OpenInterest",
    "OrderAbsent",
    "OrderInDoubt",
    "OrderReported",
    "Pause",
    "PauseStrategy",
    "PositionMargin",
    "PositionReported",
    "Quote",
    "Reconciled",
    "RestartActor",
    "Resume",
    "ResumeStrategy",
    "Sender",
    "SliceClosed",
    "Stop",
    "StrategyStateChanged",
    "TapeEnded",
    "Tighten",
    "TimerFired",
    "Trade",
    "TradeReported",
    "TradingStateChanged",
    "VenueLink",
    "WarmUp",
    "WithdrawOrder",
]  # what other rooms of the vocabulary define and is read through this one

OrderKind = Literal["market", "limit", "stop", "stop_limit"]
TimeInForce = Literal["gtc", "ioc", "fok"]

BUY = 1
SELL = -1


# --- decisions --------------------------------------------------------------------------------------


class Intent(Message, frozen=True):
    """What a strategy wants, in its own floats."""

    strategy: str
    symbol: str
    ref: int
    """The strategy's own number for this wish."""
    action: Literal["order", "target", "cancel", "amend"]
    side: int
    """BUY or SELL for an order, else 0."""
    quantity: float
    """Base units: of the order (positive), or the wished position (signed); 0 in an amend that leaves it."""
    kind: OrderKind = "market"
    limit_price: float | None = None
    stop_price: float | None = None
    time_in_force: TimeInForce = "gtc"
    reduce_only: bool = False
    post_only: bool = False
    reference_price: float = 0.0
    """Newest price the strategy saw: a close, a trade, the middle of a quote; limits in quote units are taken at it."""


class ProtectedIntent(Intent, frozen=True):
    """A wish to trade, with where its strategy will get out if it goes wrong: risk per trade is judged by that."""

    protective_stop: float | None = None
    """The price at which it gets out."""
    stop_distance: float | None = None
    """How far from the order's own price that is, in quote units: a multiple of the ATR; of both, the stop counts."""


class StopProtects(Message, frozen=True):
    """The stop that will grow from wish `ref` protects what an execution has just opened.

    A simulated venue that matches on bars has it at work from that execution on, not from the end of the bar.
    """

    strategy: str
    symbol: str
    ref: int
    executed_ns: int
    """The venue's time of that execution."""
    price_ticks: int


class OneCancelsOther(Message, frozen=True):
    """The first execution of one of these wishes' orders withdraws the others.

    The desk does that as soon as it hears of it; a simulated venue at once, or both could fill in one bar.
    """

    strategy: str
    refs: tuple[int, ...]


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


class AmendRequest(Message, frozen=True):
    """Change the working order that grew from wish `ref`; these are all its terms that can change."""

    strategy: str
    symbol: str
    ref: int
    quantity_lots: int
    """In total, what is filled already included."""
    limit_ticks: int
    """0 without a limit price."""
    stop_ticks: int
    """0 without a trigger price."""


class AmendVeto(Message, frozen=True):
    """A wish to change an order that risk does not pass on; the order works on as it was."""

    strategy: str
    symbol: str
    ref: int
    reason: str


# --- execution --------------------------------------------------------------------------------------


class SubmitOrder(Message, frozen=True):
    """Command to the venue port."""

    order_id: str
    """Client order id: prefix, session nonce, counter (base 36, at most 20 characters)."""
    request: OrderRequest


class CancelOrder(Message, frozen=True):
    """Command to the venue port."""

    order_id: str


class AmendOrder(Message, frozen=True):
    """Command to the venue port."""

    order_id: str
    new_order_id: str
    """For the order's replacement, where the venue does not change it in its place."""
    request: OrderRequest
    """The order as it shall be; its quantity is the total."""
    rest_order_id: str = ""
    """For what is left of it, where the venue first has to withdraw it: no id is ever sent twice."""


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


class Amended(OrderEvent, frozen=True):
    """The order works on under new terms, at the end of its queue."""

    new_order_id: str
    """Its id from now on; the one it had where the venue changed it in its place."""
    quantity_lots: int
    """In total."""
    limit_ticks: int
    stop_ticks: int


class AmendRejected(OrderEvent, frozen=True):
    """The order was not changed; unless it has ended meanwhile, it works on as it was."""

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


class FundingShared(Message, frozen=True):
    """One strategy's part of a funding payment; the parts of all books, and what is not ours, are the payment."""

    strategy: str
    symbol: str
    funding_id: int
    """The venue's own number of the payment."""
    amount_atoms: int
    """Positive is received, negative is paid."""
    paid_ns: int


class EquityMark(Message, frozen=True):
    """The account's equity at a bar's close."""

    equity_atoms: int
    ts_ns: int


# --- a real venue: what leaves the core ------------------------------------------------------------


class SendOrder(Message, frozen=True):
    """Effect: have the venue take an order. It leaves once the input that caused it is durable."""

    order_id: str
    request: OrderRequest
    reduce_only: bool = False
    """Whether the venue is told that it may only reduce its position: it knows one, which must be the book's own."""


class SendCancel(Message, frozen=True):
    """Effect: have the venue withdraw an order."""

    order_id: str
    symbol: str


class SendAmend(Message, frozen=True):
    """Effect: have the venue change an order, in its place or for another in one step."""

    order_id: str
    venue_order_id: str
    new_order_id: str
    request: OrderRequest
    """As the venue shall have it under `order_id`, or under `new_order_id` while nothing of `order_id` is executed."""
    booked_lots: int
    """What we know to be executed of it."""


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
    """(symbol, trade id): executions after these are wanted, after -1 only the number of the newest."""
    ask: int = 0
    """Number of the question, which its answer repeats."""
    funding_after: tuple[tuple[str, int], ...] = ()
    """(symbol of a contract, time in ns): funding paid at this time or later is wanted."""


Input = (
    Bar | WarmUp | Trade | Quote | BookSnapshot | Mark | Funding | OpenInterest | Liquidation | External | TapeEnded
    | TimerFired | Pause | Resume | Flatten | Stop | Halt | Tighten | LimitsConfigured
    | PauseStrategy | ResumeStrategy | FlattenStrategy | ClosePosition | WithdrawOrder | RestartActor
    | VenueLink | OrderReported | OrderInDoubt | OrderAbsent | CancelRefused | TradeReported | AccountReported
    | FundingPaid | ForcedTrade | InstrumentChanged | AmendRefused
)  # fmt: skip
"""What may enter the core from outside, and therefore what a journal holds."""

Decision = (
    Intent | ProtectedIntent | RiskVeto | OrderRequest | CancelRequest | AmendRequest | AmendVeto | Accepted | Rejected
    | Cancelled | Expired | CancelRejected | Amended | AmendRejected | Fill | Adopted | FeeInBase | FeeInAsset
    | PositionChanged | FundingShared | Liquidated | Insured | StopProtects | OneCancelsOther
)  # fmt: skip
"""What the digest is taken over and the journal keeps beside its input."""
