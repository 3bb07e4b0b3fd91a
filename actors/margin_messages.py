"""What is said of contracts on margin: how the account stands, and what a venue closes itself.

Read through `actors.messages`.
"""

from typing import Literal

import msgspec

from actors.market_messages import Message


class MarginPosition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The account's position in one contract: that of all books together."""

    symbol: str
    leverage: int
    margin_mode: Literal["cross", "isolated"]
    quantity_lots: int
    """Negative for a short."""
    cost_atoms: int
    """What it was entered at, signed alike."""
    mark_ticks: int
    liquidation_ticks: int
    """The mark at which it is liquidated if no other moves; 0 where there is none."""
    initial_atoms: int
    """Its initial margin at the mark."""
    maintenance_atoms: int
    isolated_atoms: int
    """What is set aside for it; 0 on cross margin."""


class MarginMark(Message, frozen=True):
    """How the account stands on margin, after what the input in hand has moved; money in atoms."""

    wallet_atoms: int
    """Cash, without what contracts have gained or lost since they were entered."""
    balance_atoms: int
    """The wallet with that."""
    initial_atoms: int
    """Initial margin of all positions and open orders."""
    maintenance_atoms: int
    """Maintenance margin of all positions."""
    available_atoms: int
    """What new orders may use; 0 at least."""
    positions: tuple[MarginPosition, ...]
    """Those that are not flat."""
    ts_ns: int


class Liquidated(Message, frozen=True):
    """A book's share of what the venue closed itself, because the margin was used up."""

    strategy: str
    symbol: str
    order_id: str
    """The venue's, of its order."""
    trade_id: int
    side: int
    price_ticks: int
    """The mark."""
    quantity_lots: int
    fee_atoms: int
    """Taker fee; positive is paid."""
    liquidation_fee_atoms: int
    """What the insurance fund took."""
    insured_atoms: int
    """What the insurance fund gave, because there was less than nothing left."""
    executed_ns: int
    reason: str
    """In words."""


class Insured(Message, frozen=True):
    """What the insurance fund paid: a fill had left less than nothing, and nothing is held that may make it good."""

    strategy: str
    symbol: str
    trade_id: int
    """Of the fill."""
    amount_atoms: int
    paid_ns: int
