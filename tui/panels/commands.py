"""What was asked of the daemon, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tui.figures import when
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from tui.status import Status
    from tui.theme import Tone

_TONE_OF_OUTCOME: dict[str, Tone] = {"pending": "warn", "done": "good", "refused": "bad"}


class Commands(Table):
    """Commands of this session, from any client, the newest first."""

    HEADING = "Commands"
    PART = "commands"
    EMPTY = "none yet"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", align="right", worth=5),
        Column("action"),
        Column("outcome"),
        Column("what became of it", worth=2, elides_to=12),
        Column("id", worth=1),
    )

    def read(self, status: Status) -> list[Row]:
        """Return one row for each command."""
        return [
            Row(
                (
                    Cell(when(command.ts_ns, status.clock.ts_ns), "muted"),
                    Cell(command.action),
                    Cell(command.outcome, _TONE_OF_OUTCOME.get(command.outcome, "muted")),
                    Cell(command.note, "muted"),
                    Cell(command.command_id, "muted"),
                )
            )
            for command in reversed(status.commands)
        ]
