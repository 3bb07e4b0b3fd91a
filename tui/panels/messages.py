"""What the actors said to each other, and one message in full."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from tui.figures import count, time_of_day, words
from tui.panels.table import Cell, Column, Row, Table
from tui.panels.tree import Values, preview

if TYPE_CHECKING:
    from tui.replay import Trace, Traced
    from tui.status import Status
    from tui.theme import Tone

MESSAGES_ASKED = 200
_TONE_OF_KIND: dict[str, Tone] = {
    "Fill": "good",
    "RiskVeto": "warn",
    "AmendVeto": "warn",
    "Rejected": "bad",
    "CancelRejected": "warn",
    "AmendRejected": "warn",
    "Failed": "bad",
    "DeadLetter": "bad",
}
_BARE = ("action", "side", "quantity", "symbol", "reason", "error")
"""Fields that need no name."""
_NAMED = ("price", "limit_price", "stop_price", "close", "realized", "fee", "outcome")
_ALL_MAX = 2
"""More receivers are counted instead of named."""


class Messages(Table):
    """Messages, those of the newest input first; below the input, each one step to the right of what led to it."""

    HEADING = "Messages"
    EMPTY = "none yet"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "app.message_card", show=False)]
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("input", align="right", worth=5),
        Column("time", worth=4),
        Column("message"),
        Column("from", worth=7, elides_to=10),
        Column("to", worth=3, elides_to=8),
        Column("", worth=6, elides_to=18),
    )

    trace: reactive[Trace | None] = reactive(None)
    """What was told."""

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.only: dict[str, str] = {}
        """Which messages are shown: those of an ``actor`` or the story of an ``order``; of all while it is empty."""
        self._told: dict[str, Traced] = {}

    def watch_status(self, status: Status | None) -> None:
        """Leave the rows to the trace: the status has none."""

    def watch_trace(self, trace: Trace | None) -> None:
        """Show the messages of the newest input, and those before."""
        if trace is None:
            return
        groups = [list(group) for _, group in groupby(trace.rows, key=lambda row: row.input)]
        newest_before = next(iter(self._told), "")
        self._told = {str(row.number): row for group in reversed(groups) for row in group}
        if next(iter(self._told), "") != newest_before:
            self._chosen_key = self._first()
        self.rows = tuple(_row(row, first=index == 0) for group in reversed(groups) for index, row in enumerate(group))
        self.scroll_to(y=0, animate=False, immediate=True)
        note = f"· {len(groups[-1])} in input {count(groups[-1][0].input)}" if groups else ""
        only = "".join(f" [$warning]of {words(name).replace('[', '(')}[/]" for name in self.only.values())
        self.border_title = f"{self.HEADING}{only} [$muted]{note}[/]" if note else f"{self.HEADING}{only}"
        self.post_message(Chosen(self.message))

    def watch_chosen(self) -> None:
        """Tell which message is chosen."""
        super().watch_chosen()
        self.post_message(Chosen(self.message))

    @property
    def message(self) -> Traced | None:
        """The one that is chosen."""
        return self._told.get(self.choice)

    def _first(self) -> str:
        """Return what is chosen when inputs have been run: the execution in a story, else the newest input."""
        fills = (key for key, row in self._told.items() if row.kind == "Fill" and "order" in self.only)
        return next(fills, next(iter(self._told), ""))


class Chosen(Message):
    """Another message is chosen."""

    def __init__(self, told: Traced | None) -> None:
        super().__init__()
        self.told = told


class Card(Values):
    """The message that is chosen, in full."""

    HEADING = "Message"

    def show(self, told: Traced | None) -> None:
        """Show a message."""
        if told is None:
            self.border_title = self.HEADING
            return
        self.border_title = f"{self.HEADING} [$muted]{words(told.kind).replace('[', '(')}[/]"
        self.tell(told.kind, card_of(told))


def card_of(told: Traced) -> dict[str, Any]:
    """Return all there is of a message."""
    place = f"{told.index} of input {count(told.input)}"
    cause = {} if told.cause is None else {"because of": f"message {told.cause}"}
    fields = told.fields if isinstance(told.fields, dict) else {"": told.fields}
    return {"message": place, **cause, "from": told.sender, "to": ", ".join(told.to) or "nobody", **fields}


def _row(told: Traced, *, first: bool) -> Row:
    tone = _TONE_OF_KIND.get(told.kind, "plain")
    to = ", ".join(_name(name) for name in told.to) if len(told.to) <= _ALL_MAX else f"{len(told.to)} actors"
    return Row(
        (
            Cell(count(told.input) if first else "", "muted"),
            Cell(time_of_day(told.ts_ns) if first else "", "muted"),
            Cell("\u00b7" * told.depth + told.kind, tone),
            Cell(_name(told.sender)),
            Cell(to, "muted"),
            Cell(_gist(told.fields), "muted"),
        ),
        key=str(told.number),
    )


def _name(actor: str) -> str:
    """Return an actor's name as short as it can be told from others."""
    return actor.removeprefix("strategy.")


def _gist(fields: Any) -> str:  # noqa: ANN401 - any JSON
    """Write what matters most of a message's fields."""
    if not isinstance(fields, dict):
        return _short(fields)
    inner = {name: value for part in ("request", "bar") for name, value in (fields.get(part) or {}).items()}
    known = inner | {name: value for name, value in fields.items() if name not in ("request", "bar")}
    parts = [_short(known[name]) for name in _BARE if known.get(name) not in (None, "")]
    parts += [f"{name}={_short(known[name])}" for name in _NAMED if known.get(name) is not None]
    features = known.get("features")
    parts += [f"{name}={_short(value)}" for name, value in features.items()] if isinstance(features, dict) else []
    return " ".join(parts) or preview(fields)


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON
    return f"{value:.8g}" if isinstance(value, float) else str(value)
