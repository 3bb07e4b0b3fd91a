"""What is said of contracts on margin: what a venue closes itself, and what its insurance fund pays.

Read through `actors.messages`.
"""

from actors.market_messages import Message


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
