"""What the core says, as the events that people are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from actors import messages as m
from actors.instrument import from_atoms
from daemon.console import types as t
from daemon.log import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.instrument import Instrument

Change = Literal["accepted", "rejected", "cancelled", "expired", "amended", "cancel_rejected", "amend_rejected"]

_CHANGES: dict[type[m.Message], Change] = {
    m.Accepted: "accepted",
    m.Rejected: "rejected",
    m.Cancelled: "cancelled",
    m.Expired: "expired",
    m.Amended: "amended",
    m.CancelRejected: "cancel_rejected",
    m.AmendRejected: "amend_rejected",
}
_VETOES = (m.RiskVeto, m.AmendVeto)
_NOTES: dict[type[m.Message], Literal["info", "warning", "error"]] = {
    m.StrategyStateChanged: "info",
    m.LimitBreached: "error",
    m.LimitChanged: "warning",
    m.Liquidated: "error",
    m.Adopted: "warning",
    m.ActorFailed: "error",
    m.ActorRestarted: "warning",
    m.FeedStale: "warning",
    m.FeedResumed: "info",
    m.BarRejected: "warning",
    m.VenueLink: "info",
}
HEARD: tuple[type[m.Message], ...] = (m.Fill, *_CHANGES, *_VETOES, m.TradingStateChanged, *_NOTES)
"""What becomes an event."""


def event_of(seq: int, ts_ns: int, message: m.Message, instruments: Mapping[str, Instrument]) -> t.Events:
    """Return a message that was heard as an event.

    Args:
        seq: number of the input that caused it.
        ts_ns: the core's time.
        message: one of `HEARD`.
        instruments: exact units by symbol.
    """
    if isinstance(message, m.Fill):
        instrument = instruments[message.symbol]
        return t.FillEvent(
            seq=seq,
            ts_ns=ts_ns,
            order_id=message.order_id,
            strategy=message.strategy,
            symbol=message.symbol,
            trade_id=message.trade_id,
            side="buy" if message.side > 0 else "sell",
            price=instrument.price(message.price_ticks),
            quantity=instrument.quantity(message.quantity_lots).normalize() + 0,
            fee=from_atoms(message.fee_atoms),
            liquidity=message.liquidity,
            executed_ns=message.executed_ns,
        )
    if isinstance(message, m.OrderEvent):
        return t.OrderEvent(
            seq=seq,
            ts_ns=ts_ns,
            order_id=message.order_id,
            strategy=message.strategy,
            symbol=message.symbol,
            state=_CHANGES[type(message)],
            reason=getattr(message, "reason", ""),
        )
    if isinstance(message, _VETOES):
        return t.VetoEvent(
            seq=seq, ts_ns=ts_ns, strategy=message.strategy, symbol=message.symbol, reason=message.reason
        )
    if isinstance(message, m.TradingStateChanged):
        return t.TradingEvent(seq=seq, ts_ns=ts_ns, state=message.state, reason=str(masked(message.reason)))
    said = {field: getattr(message, field) for field in message.__struct_fields__}
    fields: dict[str, Any] = {
        field: masked(value) if isinstance(value, str) else value for field, value in said.items()
    }
    return t.NoteEvent(seq=seq, ts_ns=ts_ns, level=_NOTES[type(message)], what=_words(message), fields=fields)


def _words(message: m.Message) -> str:
    name = type(message).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
