"""What the console says besides the daemon's state: events, the stream, and answers of its own.

Together with `daemon.control.types` these are all structs of the API; the OpenAPI document is made of them.
"""

from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from daemon.console.backtest_types import BacktestRow
from daemon.control import types as t
from daemon.control.types import Answer
from replay.books import Book

API_VERSION = "1.0"
"""Of what is described here: the first number changes when something falls away or changes its meaning."""

Row = TypeVar("Row")


# --- events: what happened, told once --------------------------------------------------------------


class Event(Answer, frozen=True, tag_field="kind"):
    """Base of all events."""

    seq: int
    """Number of the input that caused it."""
    ts_ns: int


class FillEvent(Event, frozen=True, tag="fill"):
    """An execution."""

    order_id: str
    strategy: str
    symbol: str
    trade_id: int
    side: Literal["buy", "sell"]
    price: Decimal
    quantity: Decimal
    fee: Decimal
    """In quote units; negative is a rebate."""
    liquidity: str
    executed_ns: int


class OrderEvent(Event, frozen=True, tag="order"):
    """An order came, changed or went."""

    order_id: str
    strategy: str
    symbol: str
    state: Literal["accepted", "rejected", "cancelled", "expired", "amended", "cancel_rejected", "amend_rejected"]
    reason: str


class VetoEvent(Event, frozen=True, tag="veto"):
    """A wish that risk refused, or a change of an order."""

    strategy: str
    symbol: str
    reason: str


class TradingEvent(Event, frozen=True, tag="trading"):
    """The trading state is another one now."""

    state: str
    reason: str


class NoteEvent(Event, frozen=True, tag="note"):
    """Anything else that people want to know: a limit breached or changed, an actor failed, a feed gone stale."""

    level: Literal["info", "warning", "error"]
    what: str
    """``limit_breached``, ``actor_failed``, ``feed_stale`` and so on."""
    fields: dict[str, Any]


Events = FillEvent | OrderEvent | VetoEvent | TradingEvent | NoteEvent


class BarRow(Answer, frozen=True):
    """A closed bar, and the features of the strategy that is told it."""

    strategy: str
    symbol: str
    timeframe: str
    seq: int
    """Number of the input that closed it."""
    open_ns: int
    close_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    features: dict[str, float | None]
    """By name; null while there is no number for it."""


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "summary": t.Summary,
    "positions": t.Position,
    "books": Book,
    "orders": t.Order,
    "symbols": t.Symbol,
    "strategies": t.Strategy,
    "bars": BarRow,
    "commands": t.Command,
    "dead_letters": t.DeadLetter,
    "actors": t.Actor,
    "venue": t.Venue,
    "risk": t.Risk,
    "margin": t.Margin,
    "other_assets": t.OtherAsset,
    "streams": t.StreamRow,
    "latency": t.Latency,
    "backtests": BacktestRow,
}
"""Of what the stream keeps its clients informed: name and row. One that is a single row has it under the key ``""``."""


# --- what the console says ---------------------------------------------------------------------------


class Listing(Answer, Generic[Row], frozen=True):
    """The rows of one section, at one moment of the stream."""

    epoch: str
    seq: int
    """Of the stream: the state the rows are of."""
    rows: tuple[Row, ...]


class One(Answer, Generic[Row], frozen=True):
    """A section that is a single row; none where there is nothing of the kind."""

    epoch: str
    seq: int
    row: Row | None


class Health(Answer, frozen=True):
    """The console answers."""

    status: Literal["ok"]
    state: str
    """The daemon's; ``starting`` while nothing was heard of it."""


class About(Answer, frozen=True):
    """Which daemon this is, and what it understands."""

    name: Literal["pitboss"]
    version: str
    api_version: str
    session: str
    run: int
    mode: str
    tape: str
    """What is played, or the exchange that is listened to."""
    started_wall_ns: int
    core_url: str
    """The control endpoint, which also answers while the console does not."""
    epoch: str
    """Of the stream; another one is another console process."""
    sections: tuple[str, ...]
    event_kinds: tuple[str, ...]


class Page(Answer, Generic[Row], frozen=True):
    """A part of a list."""

    rows: tuple[Row, ...]
    next: int | None
    """`cursor` of the next part; none if this was the last."""


class Run(Answer, frozen=True):
    """One process of a session."""

    run: int
    started_wall_ns: int
    ended_wall_ns: int | None
    outcome: str
    """``running``, ``ended``, ``crashed_recovered`` or ``failed``."""
    code_hash: str


class Session(Answer, frozen=True):
    """One session of the journal."""

    number: int
    session: str
    """Its id."""
    status: str
    """``open``, ``sealed`` or ``quarantined``."""
    created_wall_ns: int
    mode: str
    tape: str
    symbols: tuple[str, ...]
    timeframe: str
    strategies: tuple[str, ...]
    inputs: int
    runs: tuple[Run, ...]


class FillRow(Answer, frozen=True):
    """An execution."""

    seq: int
    """Number of the input that told of it."""
    executed_ns: int
    order_id: str
    strategy: str
    symbol: str
    trade_id: int
    side: Literal["buy", "sell"]
    price: Decimal
    quantity: Decimal
    fee: Decimal
    """In quote units; negative is a rebate."""


class AuditRow(Answer, frozen=True):
    """A command: who gave it, when, and what became of it."""

    command_id: str
    seq: int
    """Number of its input."""
    ts_ns: int
    """The core's time of it."""
    sent_ns: int
    """When it was taken, by the wall; 0 where nobody noted that."""
    action: str
    """In words."""
    role: str
    """Of the token it was given with; empty where nobody noted that."""
    name: str
    """Of the token."""
    address: str
    outcome: str
    note: str
    ended_ns: int | None
    """The core's time of the outcome, once there is one."""


class PastOrder(Answer, frozen=True):
    """An order, and the last that was heard of it."""

    order_id: str
    seq: int
    """Number of the input that told of it."""
    strategy: str
    symbol: str
    state: str
    reason: str


class EquityPoint(Answer, frozen=True):
    """The equity at the end of a span of time, and how low and high it was within."""

    ts_ns: int
    equity: Decimal
    low: Decimal
    high: Decimal


class Equity(Answer, frozen=True):
    """The equity curve of a session."""

    session: str
    start_cash: Decimal
    points: tuple[EquityPoint, ...]


class ProfitRow(Answer, frozen=True):
    """What the account gained in one day, week or month."""

    start_ns: int
    """When it began: 00:00 UTC."""
    date: str
    """The same for people: its first day."""
    start_equity: Decimal
    """What it began with: the last close before it, or else the session's first. Where limits on losses followed the
    equity, the session before is counted, too: its day, its week, and of a month its last close."""
    equity: Decimal
    """At its last close so far."""
    profit: Decimal
    share: float | None
    """The profit as a fraction of what it began with; none where that was nothing."""
    fills: int
    """Executions of this session in it."""


class Profit(Answer, frozen=True):
    """What the account gained, by periods, the newest first."""

    session: str
    by: Literal["day", "week", "month"]
    rows: tuple[ProfitRow, ...]
    """Those in which a bar closed."""
    next: int | None
    """`cursor` of the periods before these; none if there are none."""


class Candle(Answer, frozen=True):
    """A bar of a chart."""

    open_ns: int
    close_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    complete: bool
    """Whether all of its time has been heard of."""
    features: dict[str, float | None] | None
    """What the strategy was told at its close; none where it was told nothing, or not of this timeframe."""


class Bars(Answer, frozen=True):
    """Bars of one symbol, oldest first."""

    session: str
    symbol: str
    timeframe: str
    strategy: str
    """Whose features stand beside them; empty for nobody's."""
    rows: tuple[Candle, ...]
    pending: bool
    """Whether what the strategy was told before this console began is still being computed: ask again."""
    next: int | None
    """`cursor` of the bars before these; none if there are none."""


class BacktestEquity(Answer, frozen=True):
    """The equity curve of a backtest."""

    start_equity: Decimal
    points: tuple[EquityPoint, ...]


class BacktestBars(Answer, frozen=True):
    """Bars of one symbol, oldest first."""

    symbol: str
    timeframe: str
    rows: tuple[Candle, ...]
    next: int | None
    """`cursor` of the bars before these; none if there are none."""


class LogLine(Answer, frozen=True):
    """One line of the daemon's log."""

    number: int
    """Ascending within one run of the daemon."""
    wall_ns: int
    level: str
    event: str
    fields: dict[str, Any]


class Logs(Answer, frozen=True):
    """Lines of the log."""

    rows: tuple[LogLine, ...]
    """Oldest first."""
    next: int
    """`after` of what comes later."""


class Config(Answer, frozen=True):
    """The settings this run was started with."""

    settings: dict[str, Any]
    """As in the configuration file; what is secret is masked."""


class Registered(Answer, frozen=True):
    """A strategy in the box."""

    name: str
    doc: str
    params: dict[str, Any]
    """JSON schema of its parameters: types, bounds, defaults, what they are."""


class RegisteredList(Answer, frozen=True):
    """Every strategy in the box."""

    rows: tuple[Registered, ...]


class ControlRequest(Answer, frozen=True):
    """A command."""

    action: Literal["pause", "resume", "flatten", "stop", "tighten", "close", "cancel", "restart"]
    strategy: str | UnsetType = UNSET
    """Of pause, resume and flatten: which strategy's, rather than the account's. Of close: whose position."""
    symbol: str | UnsetType = UNSET
    """Of close: of what."""
    limit: str | UnsetType = UNSET
    """Of tighten: the limit's name below ``[risk]``."""
    value: str | int | float | UnsetType = UNSET
    """Of tighten: what it shall be."""
    order_id: str | UnsetType = UNSET
    """Of cancel: which order."""
    actor: str | UnsetType = UNSET
    """Of restart: which actor that was given up."""
    anew: bool | UnsetType = UNSET
    """Of restart: whether it forgets its state."""


class Accepted(Answer, frozen=True):
    """A command that is durable; what becomes of it stands in the status under its id."""

    command_id: str
    action: str
    repeated: bool
    """Whether it had been sent before, under the same Idempotency-Key."""


Sequence = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Snapshot(Answer, frozen=True, tag_field="type", tag="snapshot"):
    """The first message of the stream to a client that is new, or has been away too long."""

    epoch: str
    seq: Sequence
    data: dict[str, dict[str, Any]]
    """Section, key, row."""
    events: tuple[Events, ...]
    """The newest, oldest first."""


class Delta(Answer, frozen=True, tag_field="type", tag="delta"):
    """What has changed since the message before."""

    epoch: str
    seq: Sequence
    set: dict[str, dict[str, Any]]
    """Section, key, row: rows that are new or changed, whole."""
    gone: dict[str, tuple[str, ...]]
    """Section, keys."""
    events: tuple[Events, ...]
    missed: int
    """Events that came and went while the client was too slow; history has them."""
