"""What the engine was asked to do, as it is kept: the same operations in the same order give the same exchange."""

from __future__ import annotations

import msgspec

from replay.exchange.model import NewOrder


class Operation(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all operations; one that was refused is none, for it changed nothing."""


class Place(Operation, frozen=True):
    """An order was taken."""

    new: NewOrder
    now_ms: int
    portions: tuple[int, ...] = ()
    """What the fault of partial fills answered, in order."""


class Cancel(Operation, frozen=True):
    """An order was withdrawn."""

    id: str
    order_id: int
    cancel_id: str
    now_ms: int


class CancelAll(Operation, frozen=True):
    """All open orders of a market were withdrawn."""

    id: str
    now_ms: int


class Print(Operation, frozen=True):
    """A public trade."""

    id: str
    price_ticks: int
    quantity_lots: int
    time_ms: int
    step: int = -1
    """Its number on the tape of its market; -1 for one that came by hand."""
    portions: tuple[int, ...] = ()
    buyer_is_maker: bool | None = None
    """None to go by the price: a buyer who rested, where it fell."""


class Close(Operation, frozen=True):
    """Time went on and a candle was complete."""

    id: str
    now_ms: int


AnyOperation = Place | Cancel | CancelAll | Print | Close
