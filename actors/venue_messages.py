"""What a real venue says: the inputs of the gateway, and what the core makes of a comparison.

Numbers are exact. What a venue says may come twice, late or out of order; each has what it takes to tell.
Read through `actors.messages`.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from actors.market_messages import Message

Liquidity = Literal["maker", "taker"]


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
    asked: bool = False
    """Whether it is the answer to `AskOrder`."""
    quantity_lots: int = 0
    """Its terms as the venue has them now; 0 where it does not say."""
    limit_ticks: int = 0


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


class AmendRefused(Message, frozen=True):
    """A request to change an order will not be done, or was half done: the new terms are nowhere at work."""

    order_id: str
    new_order_id: str
    reason: str
    withdraw_first: bool = False
    """Whether the order can only be changed by withdrawing it and, once it is proved gone, sending the rest."""


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
    fee_value_atoms: int = -1
    """Where the fee is neither of the base nor of the quote asset: what it was worth in quote units when we heard of
    it, by magnitude; -1 where nobody knows."""


class FundingPaid(Message, frozen=True):
    """A payment between longs and shorts of a perpetual, as the venue says; it may say so more than once."""

    symbol: str
    funding_id: int
    """The venue's own number of the payment, unique within the symbol."""
    amount_atoms: int
    """Positive is received, negative is paid."""
    asset: str
    paid_ns: int


class ForcedTrade(Message, frozen=True):
    """An execution the venue itself ordered on our account, as the venue says; it may say so more than once."""

    symbol: str
    kind: str
    """What it calls it: `liquidation`, `auto-deleveraging` or `settlement`."""
    order_id: str
    """The venue's client id of its order."""
    trade_id: int
    """The venue's own number, unique within the symbol."""
    side: int
    price_ticks: int
    quantity_lots: int
    fee_asset: str
    fee_atoms: int
    realized_atoms: int
    executed_ns: int


class InstrumentChanged(Message, frozen=True):
    """The venue's rules of a symbol as they are now, told when they are not what was known."""

    symbol: str
    reason: str
    """What made us look."""
    trading: bool
    """Whether the venue trades it."""
    tick: Decimal
    """Smallest price step in quote units."""
    step: Decimal
    """Smallest step of an order's quantity in base units."""
    min_notional: Decimal
    """Smallest order value in quote units; 0 for none."""


class BalanceReported(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the account holds of one asset, in atoms (1e-8), free and locked together."""

    asset: str
    total_atoms: int


class PositionReported(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The account's position in one contract."""

    symbol: str
    quantity_lots: int
    """Negative for a short."""


class PositionMargin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How one contract is held on margin, as the venue tells it: money in atoms, prices as it writes them."""

    symbol: str
    quantity_lots: int
    """Negative for a short."""
    entry_price: float
    mark_price: float
    liquidation_price: float
    """0 where there is none."""
    initial_atoms: int
    """Initial margin of the position at its mark."""
    maintenance_atoms: int
    isolated_atoms: int
    """What is set aside for it; 0 on cross margin."""


class MarginReported(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How an account stands on margin, as the venue tells it; money in atoms."""

    wallet_atoms: int
    balance_atoms: int
    """The wallet with what is not realised yet."""
    initial_atoms: int
    """Initial margin of all positions and open orders."""
    maintenance_atoms: int
    available_atoms: int
    positions: tuple[PositionMargin, ...] = ()
    """Of the contracts that are traded, those that are not flat."""


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
    forced: tuple[ForcedTrade, ...] = ()
    """Executions the venue itself ordered, since the last one of ours that was known."""
    newest: tuple[tuple[str, int], ...] = ()
    """(symbol, number of its newest execution on the account before any of the session's), where nothing was known; 0
    where there is none."""
    margin: MarginReported | None = None
    """Where contracts are traded, and it is told; nothing is decided by it."""


class Reconciled(Message, frozen=True):
    """What comparing the venue's account with ours came to."""

    reason: str
    differences: tuple[str, ...]
    """In words, one for each; none is agreement."""
    applied: int
    """Trades that were booked only now."""
    may_leave: bool = False
    """Whether orders may leave from now on."""


class Adopted(Message, frozen=True):
    """A book's share of what `pitboss panic` had executed, which no order of the session did."""

    strategy: str
    symbol: str
    order_id: str
    """Of panic's."""
    trade_id: int
    side: int
    price_ticks: int
    quantity_lots: int
    fee_atoms: int
    """Of the quote asset, with what rounding the shares has left; positive is paid."""
    executed_ns: int


class FeeInBase(Message, frozen=True):
    """The venue kept part of what a fill bought as its fee; the fill itself then carries none."""

    strategy: str
    symbol: str
    trade_id: int
    quantity_lots: int
    value_atoms: int
    """Its value at the fill's price."""


class FeeInAsset(Message, frozen=True):
    """The venue charged the fee of a fill in an asset that is not traded here; the fill itself then carries none."""

    strategy: str
    symbol: str
    trade_id: int
    asset: str
    amount_atoms: int
    """Of that asset (1e-8); positive is paid."""
    value_atoms: int
    """What it was worth in quote units, signed alike."""
