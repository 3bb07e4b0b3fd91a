"""What the engine was asked to do, as it is kept: the same operations in the same order give the same exchange."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from replay.exchange.model import NewConditional, NewOrder, Side


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


class ChangeFilters(Operation, frozen=True):
    """Filters of a market were set; None left one as it was."""

    id: str
    tick: Decimal | None
    lot: Decimal | None
    min_notional: Decimal | None
    now_ms: int


class SetTrading(Operation, frozen=True):
    """A market was opened or closed."""

    id: str
    trading: bool
    now_ms: int


# --- of perpetuals only -------------------------------------------------------------------------------


class Amend(Operation, frozen=True):
    """An open order was given another price and quantity."""

    id: str
    order_id: int
    side: Side
    quantity: Decimal
    price: Decimal
    now_ms: int
    portions: tuple[int, ...] = ()


class PlaceConditional(Operation, frozen=True):
    """A conditional order was taken."""

    new: NewConditional
    now_ms: int


class CancelConditional(Operation, frozen=True):
    """A conditional order was withdrawn."""

    id: str
    algo_id: int
    now_ms: int


class CancelConditionals(Operation, frozen=True):
    """All open conditional orders of a market were withdrawn."""

    id: str
    now_ms: int


class SetLeverage(Operation, frozen=True):
    """The leverage of a market was set."""

    id: str
    leverage: int
    now_ms: int


class SetMarginType(Operation, frozen=True):
    """A market was changed to isolated margin or to cross."""

    id: str
    isolated: bool
    now_ms: int


class SetPositionMode(Operation, frozen=True):
    """The account was changed to two positions a market or to one."""

    hedge: bool
    now_ms: int


class SetMark(Operation, frozen=True):
    """The mark price was set by hand; 0 ties it to the last price again."""

    id: str
    mark_ticks: int
    now_ms: int
    portions: tuple[int, ...] = ()


class SetFundingRate(Operation, frozen=True):
    """The rate of the next settlements was set, of one market or of all."""

    id: str | None
    rate: Decimal
    now_ms: int


class Fund(Operation, frozen=True):
    """Funding was settled by hand."""

    now_ms: int


class Arm(Operation, frozen=True):
    """The orders of a market shall be withdrawn unless this is said again in time; 0 disarms."""

    id: str
    countdown_ms: int
    now_ms: int


class Pass(Operation, frozen=True):
    """Time went on, and something was due."""

    now_ms: int


AnyOperation = (
    Place
    | Cancel
    | CancelAll
    | Print
    | Close
    | ChangeFilters
    | SetTrading
    | Amend
    | PlaceConditional
    | CancelConditional
    | CancelConditionals
    | SetLeverage
    | SetMarginType
    | SetPositionMode
    | SetMark
    | SetFundingRate
    | Fund
    | Arm
    | Pass
)
