"""Who is at work, and who is in trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tui.figures import count
from tui.panels.table import Cell, Column, Row, Table
from tui.theme import TONE_OF_STATE

if TYPE_CHECKING:
    from tui.status import Actor, Status
    from tui.theme import Tone

_SHORT_STATES = {"backing_off": "back-off"}


class Picked(Message):
    """Another actor is chosen."""


class Actors(Table):
    """The core's actors and the edges in their order, those in trouble first, each with its last error below it."""

    HEADING = "Actors"
    PART = "actors"
    EMPTY = "none yet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "app.actor_state", "State"),
        Binding("enter", "app.go_inside", show=False),
        Binding("a", "app.restart_actor", "Restart"),
    ]
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", elides_to=14, names=True),
        Column("state"),
        Column("restarts", align="right", worth=8),
        Column("mailbox", align="right", worth=6),
        Column("processed", align="right", worth=7),
    )

    def read(self, status: Status) -> list[Row]:
        """Return one row for each actor."""
        return [
            Row(
                (
                    Cell(actor.name),
                    Cell(_SHORT_STATES.get(actor.state, actor.state), _tone(actor)),
                    Cell(count(actor.restarts), "warn" if actor.restarts else "muted"),
                    Cell(count(actor.mailbox), "plain" if actor.mailbox else "muted"),
                    Cell(count(actor.processed), "plain" if actor.processed else "muted"),
                ),
                remark=actor.last_error or "",
                key=actor.name,
            )
            for actor in sorted(status.actors, key=_calm)
        ]

    def watch_chosen(self) -> None:
        """Tell that another one is."""
        super().watch_chosen()
        self.post_message(Picked())

    def note(self, status: Status) -> str:
        """Return how many there are, and how many of them do not run."""
        down_count = sum(actor.state != "running" for actor in status.actors)
        down = f" · [$error]{down_count} not running[/]" if down_count else ""
        return f"{len(status.actors)}{down}"


def _tone(actor: Actor) -> Tone:
    """Return what the colour of a state says; that all is well is said by silence."""
    return "muted" if actor.state == "running" else TONE_OF_STATE.get(actor.state, "plain")


def _calm(actor: Actor) -> tuple[bool, bool]:
    """Return a key that sorts trouble first and leaves the rest as it was."""
    return actor.state == "running", not actor.last_error
