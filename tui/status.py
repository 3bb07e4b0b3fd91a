"""What the console knows of a daemon at one moment: typed rows, of the status and of the stream alike.

The structs name what the console shows and nothing more; fields a newer daemon adds are passed over, and fields
an older one lacks have defaults. Money and quantities stay exact decimals from the wire to the screen.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Clock(msgspec.Struct, frozen=True):
    """The core's time: the tape's when the feed is a tape."""

    ts_ns: int = 0
    kind: str = ""


class Position(msgspec.Struct, frozen=True):
    """What one strategy holds of one symbol."""

    symbol: str
    strategy: str
    quantity: Decimal
    """Signed, in base units."""
    entry_price: float | None = None
    mark_price: float | None = None
    unrealized_pnl: Decimal | None = None


class Order(msgspec.Struct, frozen=True):
    """An open order."""

    order_id: str
    symbol: str
    strategy: str = ""
    state: str = ""
    side: str = ""
    kind: str = ""
    quantity: Decimal = Decimal(0)
    filled: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    created_ns: int = 0
    time_in_force: str = ""
    reduce_only: bool = False


class Strategy(msgspec.Struct, frozen=True):
    """One strategy of the account."""

    strategy: str
    use: str = ""
    symbols: tuple[str, ...] = ()
    timeframe: str = ""
    params: dict[str, bool | int | float | str] = {}
    state: str = ""
    reason: str = ""
    last_error: str | None = None
    realized_pnl: Decimal = Decimal(0)
    """Before fees."""
    unrealized_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)


class Actor(msgspec.Struct, frozen=True):
    """One actor of the core or one edge."""

    name: str
    state: str
    restarts: int = 0
    mailbox: int = 0
    processed: int = 0
    last_error: str | None = None


class Command(msgspec.Struct, frozen=True):
    """A command and what became of it."""

    command_id: str
    action: str
    outcome: str
    ts_ns: int = 0
    note: str = ""


class DeadLetter(msgspec.Struct, frozen=True):
    """A message an actor could not handle."""

    actor: str
    error: str
    seq: int = 0
    message: str = ""
    ts_ns: int = 0
    place: str = ""


class LimitUse(msgspec.Struct, frozen=True):
    """How much of a limit is used."""

    limit: str
    used: float | None
    most: float | None


class Rule(msgspec.Struct, frozen=True):
    """What one rule of risk has done."""

    rule: str
    limit: str = ""
    action: str = ""
    vetoed: int = 0
    clipped: int = 0
    acted: int = 0
    last_reason: str = ""


class Risk(msgspec.Struct, frozen=True):
    """The limits in force, and what their rules have done."""

    limits: tuple[str, ...] = ()
    """As ``name=value``."""
    tightened: tuple[str, ...] = ()
    uses: tuple[LimitUse, ...] = ()
    rules: tuple[Rule, ...] = ()


class Bar(msgspec.Struct, frozen=True):
    """That a bar has closed."""

    symbol: str
    strategy: str = ""
    close_ns: int = 0


class Symbol(msgspec.Struct, frozen=True):
    """One traded symbol."""

    symbol: str
    stale: bool = False
    """Whether its bars are overdue."""
    price_step: Decimal | None = None


class LastInput(msgspec.Struct, frozen=True):
    """The newest input the core has run."""

    seq: int = 0


class Standing(msgspec.Struct, frozen=True):
    """How the account stands and who says so: a row of the stream, and the head of every status."""

    state: str
    session: str
    equity: Decimal
    cash: Decimal
    reason: str = ""
    mode: str = ""
    run: int = 1
    clock: Clock = Clock()
    tape_ended: bool = False
    realized_pnl: Decimal = Decimal(0)
    """Before fees."""
    fees: Decimal = Decimal(0)
    day_profit: Decimal | None = None
    """What the equity has gained since 00:00 UTC; None where that is not known."""
    heard_wall_ns: int = 0
    """When the newest input was seen, by the daemon's clock; 0 where that is not known."""


class Status(Standing, frozen=True):
    """A daemon at one moment: an answer of ``GET /api/live/status``, or what the stream has told so far."""

    uptime_s: float = 0.0
    positions: tuple[Position, ...] = ()
    orders: tuple[Order, ...] = ()
    strategies: tuple[Strategy, ...] = ()
    actors: tuple[Actor, ...] = ()
    risk: Risk = Risk()
    stale: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    last_input: LastInput = LastInput()
    dead_letters: tuple[DeadLetter, ...] = ()
    symbols: tuple[str, ...] = ()
    """What is traded; empty where only the core was asked."""
    steps: dict[str, Decimal | None] = {}
    """Of prices, by the symbol; empty likewise."""
    bars: tuple[Bar, ...] = ()
    """The newest bars that have closed."""
