"""What the replay debugger is asked and says: a tape that is stepped, and the messages each of its inputs caused."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from daemon.control.types import Answer

StepUnit = Literal["input", "bar"]
JumpTo = Literal["trade", "order", "veto", "error", "time", "end"]

SPEED_MAX = 1e9
COUNT_MAX = 1_000_000_000
_TIME = Meta(ge=-(2**63), le=2**63 - 1)
_NAME = Meta(max_length=200)

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ReplayOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what a replay is told to do."""


class StepOrder(ReplayOrder, frozen=True):
    """Go on by so much, then pause."""

    count: Annotated[int, Meta(ge=1, le=COUNT_MAX)] = 1
    unit: StepUnit = "input"
    """Of what: inputs, a timer that is due among them, or bars with all that comes between."""


class PlayOrder(ReplayOrder, frozen=True):
    """Go on until told otherwise."""

    speed: Annotated[float, Meta(ge=0, le=SPEED_MAX)] | None = None
    """As in `SpeedOrder`; as it is unless given."""


class SpeedOrder(ReplayOrder, frozen=True):
    """Play at another speed."""

    speed: Annotated[float, Meta(ge=0, le=SPEED_MAX)]
    """Tape seconds per second; 0 plays as fast as it goes."""


class JumpOrder(ReplayOrder, frozen=True):
    """Go on, as fast as it goes, until something has happened, then pause."""

    to: JumpTo
    """A fill, an order that is sent, a wish refused, an actor that failed, a time, or the end of the tape."""
    time_ns: Annotated[int, _TIME] | None = None
    """With ``time``: everything up to this has then happened, and nothing after it."""
    strategy: Annotated[str, _NAME] | None = None
    """Only what concerns this strategy."""


class Replay(Answer, frozen=True):
    """How a replay stands."""

    tape: str
    strategies: tuple[str, ...]
    state: Literal["paused", "playing", "ended"]
    target: str
    """What it is on its way to, in words; empty while it plays or is paused."""
    stopped_by: str
    """Why it paused last, in words; empty before it has."""
    order_id: str
    """The order that was about, if it was about one: `order` of the messages tells its story."""
    seq: int
    """Number of the newest input: those of the tape, timers that were due and commands."""
    inputs: int
    """Taken so far of the tape, or of the session."""
    total: int | None
    """Inputs of the tape; null where nobody has counted them."""
    differs_at: int | None
    """Of a session: the first input that decides otherwise than it did then; null as long as all of them agree."""
    now_ns: int
    """Time of the newest input."""
    from_ns: int
    """Time before the first input."""
    to_ns: int
    """The last close of the tape, or the last input of the session."""
    speed: float
    """Tape seconds per second when it plays; 0 for as fast as it goes."""


class MessagesAsked(msgspec.Struct, frozen=True):
    """Which messages."""

    since: Number | None = None
    """Only what came after this number, the first of it."""
    cursor: Number | None = None
    """Only what came before this number, the newest of it: `next` of the page before."""
    input: Number | None = None
    """Only of this input."""
    actor: Annotated[str, _NAME] | None = None
    """Only what this actor said or heard."""
    kind: Annotated[str, _NAME] | None = None
    """Only of this kind, such as ``Fill``."""
    order: Annotated[str, _NAME] | None = None
    """Only the story of this order: from the bar and the features that led to it, over all inputs, to its end."""
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 200
    """Most rows of one page."""


class MessageRow(Answer, frozen=True):
    """One message: what an input was, or what it caused."""

    number: int
    """Ascends from message to message."""
    input: int
    """Number of the input it belongs to."""
    index: int
    """Its place within that input, in causal order; 0 is the input itself."""
    cause: int | None
    """Index of the message whose handling said it; null for the input itself."""
    depth: int
    """How many messages caused it, one the other."""
    ts_ns: int
    kind: str
    sender: str = msgspec.field(name="from")
    """The actor that said it; of an input ``tape``, ``clock`` or ``command``, or ``venue`` if that was a real one."""
    to: tuple[str, ...]
    """The actors that are told, in order; each may say more before the next one is told."""
    fields: dict[str, Any]
    """Prices, quantities and money as numbers; times in ns."""


class Messages(Answer, frozen=True):
    """Messages of a replay, in causal order; of the newest inputs only, so many are kept."""

    rows: tuple[MessageRow, ...]
    next: int | None
    """The `cursor` of what came before; null if nothing of it is kept."""
    newest: int
    """Number of the newest message there is: to be asked with `since` for what comes."""
