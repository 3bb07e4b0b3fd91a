"""What a strategy is told of its orders, in its own floats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from actors.messages import (
    Accepted,
    Amended,
    AmendRejected,
    AmendVeto,
    Cancelled,
    Expired,
    Rejected,
    RiskVeto,
)
from actors.strategy_port import Execution, OrderUpdate

if TYPE_CHECKING:
    from actors.instrument import Instrument
    from actors.messages import Fill, Liquidated, Message

OrderNews = Accepted | Rejected | Cancelled | Expired | RiskVeto | Amended | AmendRejected | AmendVeto

UPDATES: dict[
    type[Message], Literal["accepted", "rejected", "cancelled", "expired", "vetoed", "amended", "amend_rejected"]
] = {
    Accepted: "accepted",
    Rejected: "rejected",
    Cancelled: "cancelled",
    Expired: "expired",
    RiskVeto: "vetoed",
    Amended: "amended",
    AmendRejected: "amend_rejected",
    AmendVeto: "amend_rejected",
}


def execution_of(fill: Fill, instrument: Instrument) -> Execution:
    """Return a fill as a strategy sees it."""
    return Execution(
        fill.ref,
        instrument.price_float(fill.price_ticks),
        instrument.quantity_float(fill.side * fill.quantity_lots),
        fill.fee_atoms / 1e8,
        fill.liquidity,
        fill.executed_ns,
        fill.remaining_lots == 0,
        fill.symbol,
    )


def forced_execution_of(closed: Liquidated, instrument: Instrument) -> Execution:
    """Return what the venue itself closed, as a strategy sees it."""
    return Execution(
        0,
        instrument.price_float(closed.price_ticks),
        instrument.quantity_float(closed.side * closed.quantity_lots),
        (closed.fee_atoms + closed.liquidation_fee_atoms - closed.insured_atoms) / 1e8,
        "taker",
        closed.executed_ns,
        done=True,
        symbol=closed.symbol,
        forced=closed.reason,
    )


def update_of(event: OrderNews) -> OrderUpdate:
    """Return what became of an order, as a strategy sees it."""
    return OrderUpdate(event.ref, UPDATES[type(event)], getattr(event, "reason", ""), event.symbol)
