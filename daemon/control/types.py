"""What is said of the daemon's state: one struct for every answer of the core, and for every row of the stream.

Money and quantities are exact decimals and travel as JSON numbers; prices that nobody pays (marks, averages) are
floats. Times are int nanoseconds UTC; a name that ends in ``_wall_ns`` is of the machine's clock, any other of the
core's, which over a tape is the tape's. The OpenAPI document is made of these, docstrings included.
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from actors.risk.judge import RuleReport
from replay.books import Book


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything that is said."""


class Refusal(Answer, frozen=True):
    """Why a request was not answered as asked."""

    error: str
    """For a person, one sentence."""


# --- the state of a daemon --------------------------------------------------------------------------


class Clock(Answer, frozen=True):
    """The core's time."""

    kind: str
    """``tape``, ``wall`` or ``venue``: whose it is."""
    ts_ns: int
    utc: str
    """The same for people."""


class Position(Answer, frozen=True):
    """What one strategy holds of one symbol."""

    symbol: str
    strategy: str
    quantity: Decimal
    """Signed, in base units."""
    entry_price: float
    """Average, in quote units."""
    mark_price: float | None
    """Last close; none before the first."""
    unrealized_pnl: Decimal
    """In quote units, before the fees of leaving."""


class ContractPosition(Answer, frozen=True):
    """What the account holds of one contract on margin."""

    symbol: str
    quantity: Decimal
    """Signed, in base units."""
    leverage: int | None
    margin_mode: str
    entry_price: float
    mark_price: float | None
    liquidation_price: float | None
    liquidation_distance: float | None
    """How far the mark is from there, as a fraction of it."""
    initial_margin: Decimal
    maintenance_margin: Decimal
    isolated_margin: Decimal | None
    """What is set aside for it; none where all positions share the account's."""


class Margin(Answer, frozen=True):
    """How the account stands on margin, in quote units: as it is at the simulated venue, as told last by a real one."""

    wallet: Decimal
    balance: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    available: Decimal
    positions: tuple[ContractPosition, ...]
    told_ns: int | UnsetType = UNSET
    """Of a real venue: when it said so."""
    used_max: Decimal | UnsetType = UNSET
    refused: int | UnsetType = UNSET
    liquidations: int | UnsetType = UNSET
    liquidation_fees: Decimal | UnsetType = UNSET
    insured: Decimal | UnsetType = UNSET


class OtherAsset(Answer, frozen=True):
    """What is held of an asset that is neither quote nor traded: fees are paid in it."""

    asset: str
    amount: Decimal
    value: Decimal
    """In quote units, at what it was worth when it was booked."""


class Order(Answer, frozen=True):
    """An open order."""

    order_id: str
    strategy: str
    symbol: str
    state: str
    side: Literal["buy", "sell"]
    kind: str
    quantity: Decimal
    """In base units, what is filled included."""
    filled: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str
    reduce_only: bool
    created_ns: int


class Strategy(Answer, frozen=True):
    """One strategy of the account."""

    strategy: str
    """Its name."""
    use: str
    """A built-in's name, or the file and class it is."""
    symbols: tuple[str, ...]
    timeframe: str
    params: dict[str, bool | int | float | str]
    state: str
    """``running``, ``paused``, ``flattening`` or ``failed``."""
    since_ns: int | None
    """Since when it is held back."""
    reason: str
    """Why it is held back."""
    restarts: int
    last_error: str | None
    realized_pnl: Decimal
    """Before fees."""
    unrealized_pnl: Decimal
    fees: Decimal


class Actor(Answer, frozen=True):
    """One actor of the core, or one edge around it."""

    name: str
    state: str
    restarts: int
    mailbox: int
    """Messages that wait for it."""
    processed: int
    last_error: str | None


class Dump(Answer, frozen=True):
    """The state of one actor as the core writes it down."""

    name: str
    size_bytes: int
    state: bytes
    """MessagePack; empty where there is none, or where it is too large."""
    note: str
    """Why it is empty, in words."""


class ActorState(Answer, frozen=True):
    """One actor, and what it remembers."""

    row: Actor
    state: Any
    """As it would be kept in a snapshot; null where there is none."""
    size_bytes: int
    """Of all of it, as it is kept."""
    note: str
    """What is missing of it and why, in words; empty if nothing is."""


class Reconciliation(Answer, frozen=True):
    """What comparing the venue's account with ours came to."""

    reason: str
    differences: tuple[str, ...]
    applied: int
    """Trades that were booked only then."""


class Venue(Answer, frozen=True):
    """How we stand to the venue."""

    kind: Literal["simulated", "real"]
    ready: bool
    in_doubt: dict[str, str] | UnsetType = UNSET
    """Of a real one: why the fate of an order is not known, by its id."""
    reconciled: Reconciliation | UnsetType | None = UNSET
    """Of a real one: the last comparison of accounts."""


class LimitUse(Answer, frozen=True):
    """How much of a limit is used by what is held now; of one on each of several things, by the one nearest to it."""

    limit: str
    """Its name below ``[risk]``."""
    used: float
    most: float
    """The limit in force, in the same unit."""


class Risk(Answer, frozen=True):
    """The limits in force, and what their rules have done."""

    limits: tuple[str, ...]
    """As ``name=value``."""
    tightened: tuple[str, ...]
    """Names of those that are not as configured."""
    uses: tuple[LimitUse, ...]
    """Of those that are an amount, how much of it is used."""
    rules: tuple[RuleReport, ...]


class StreamRow(Answer, frozen=True):
    """How one stream of market data is doing."""

    symbol: str
    stream: str
    age_s: float | None
    """Time since it last spoke; None before it has."""
    delivered: int
    """Times it has spoken; at some of them it had several things to say."""
    reconnects: int
    conflated: int
    """Versions nobody saw, because a newer one came while the core was busy; never bars or trades."""
    backfilled: int
    """Bars or trades that REST told, because the stream had not."""
    missing: int
    """Bars or trades the venue does not have, or that lie too far back."""
    last_error: str


class Sender(Answer, frozen=True):
    """Who sent a command."""

    role: str
    name: str
    """Of the token it was sent with."""
    address: str
    sent_ns: int
    """When it was taken, by the wall."""


class Command(Answer, frozen=True):
    """A command and what became of it."""

    command_id: str
    action: str
    outcome: str
    ts_ns: int
    note: str
    """What became of it, where there is more to say."""
    by: Sender | None


class LastInput(Answer, frozen=True):
    """The newest input the core has run."""

    seq: int
    ts: int
    """Its time in milliseconds."""
    ts_ns: int


class DeadLetter(Answer, frozen=True):
    """A message an actor could not handle."""

    actor: str
    seq: int
    """Number of the input."""
    ts_ns: int
    """The core's time."""
    error: str
    place: str
    """Where it arose: file, line and function of the strategy; empty where nobody knows."""
    message: str


class Latency(Answer, frozen=True):
    """Times from an input's arrival, in microseconds, over the newest inputs; none before the first."""

    decided_p50: float | None
    """Until the core has decided."""
    decided_p99: float | None
    released_p50: float | None
    """Until its effects may leave, because it is durable."""
    released_p99: float | None


class Standing(Answer, frozen=True):
    """How the account stands, and who says so."""

    state: str
    """``starting``, ``running``, ``paused``, ``flattening``, ``halted`` or ``stopping``."""
    reason: str
    session: str
    run: int
    mode: str
    """``paper``, ``real``, or ``replay`` where nothing is traded at all."""
    clock: Clock
    tape_ended: bool
    equity: Decimal
    day_profit: Decimal | None
    """Since 00:00 UTC by the core's clock; none before the first bar has closed."""
    cash: Decimal
    fees: Decimal
    realized_pnl: Decimal
    """Before fees."""
    funding: Decimal
    requested_action: str | None
    digest: str


class Status(Standing, frozen=True):
    """Everything about a running daemon at one moment."""

    uptime_s: float
    positions: tuple[Position, ...]
    books: tuple[Book, ...]
    """What each strategy ordered, filled, earned and holds, by symbol."""
    margin: Margin | None
    other_assets: tuple[OtherAsset, ...]
    orders: tuple[Order, ...]
    strategies: tuple[Strategy, ...]
    actors: tuple[Actor, ...]
    venue: Venue
    risk: Risk
    stale: tuple[str, ...]
    """Symbols whose bars are overdue."""
    streams: tuple[StreamRow, ...]
    commands: tuple[Command, ...]
    last_input: LastInput
    durable_seq: int
    """Every input up to this one survives anything."""
    dead_letters: tuple[DeadLetter, ...]
    latency_us: Latency


# --- rows of the stream that the status does not have ------------------------------------------------


class Summary(Standing, frozen=True):
    """The daemon in one row: what changes with every input."""

    started_wall_ns: int
    heard_wall_ns: int
    """When the newest input was seen: its age is the feed's."""
    seq: int
    """Inputs run so far."""
    durable_seq: int
    """When this was read. It is told once all of it is durable, unless the state is halted because nothing can be."""


class Symbol(Answer, frozen=True):
    """One traded symbol."""

    symbol: str
    base: str
    quote: str
    contract: bool
    price_step: Decimal
    quantity_step: Decimal
    mark_price: float | None
    """Last close; none before the first."""
    stale: bool
    """Whether its bars are overdue."""
