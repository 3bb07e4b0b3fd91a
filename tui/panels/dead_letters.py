"""What no actor could handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tui.figures import count, time_of_day
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from tui.status import Status


class DeadLetters(Table):
    """The newest dead letters first, each with its error, and where that arose, below it."""

    HEADING = "Dead letters"
    PART = "dead_letters"
    EMPTY = "none"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", worth=4),
        Column("input", align="right", worth=5),
        Column("actor", elides_to=8),
        Column("message", worth=1, elides_to=12),
    )

    def read(self, status: Status) -> list[Row]:
        """Return one row for each dead letter."""
        return [
            Row(
                (
                    Cell(time_of_day(letter.ts_ns), "muted"),
                    Cell(count(letter.seq)),
                    Cell(letter.actor),
                    Cell(letter.message, "muted"),
                ),
                remark=f"{letter.error} · {letter.place}" if letter.place else letter.error,
            )
            for letter in reversed(status.dead_letters)
        ]
