"""What no actor could handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tui.figures import count, when
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from tui.status import Status


class DeadLetters(Table):
    """The newest dead letters first, each with its error, and where that arose, below it."""

    HEADING = "Dead letters"
    PART = "dead_letters"
    EMPTY = "none"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", align="right", worth=4),
        Column("input", align="right", worth=5),
        Column("actor", elides_to=8, names=True),
        Column("message", worth=1, elides_to=12),
    )

    def read(self, status: Status) -> list[Row]:
        """Return one row for each dead letter."""
        return [
            Row(
                (
                    Cell(when(letter.ts_ns, status.clock.ts_ns), "muted"),
                    Cell(count(letter.seq)),
                    Cell(letter.actor),
                    Cell(letter.message, "muted"),
                ),
                remark=f"{letter.error} · {letter.place}" if letter.place else letter.error,
            )
            for letter in reversed(status.dead_letters)
        ]
