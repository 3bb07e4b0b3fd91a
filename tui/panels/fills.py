"""What was executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.reactive import reactive

from tui.figures import money, price, quantity, time_of_day
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.status import Status
    from tui.stream import Fill


class Fills(Table):
    """Executions, the newest first."""

    HEADING = "Fills"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", worth=5),
        Column("side"),
        Column("qty", align="point"),
        Column("symbol"),
        Column("price", align="right"),
        Column("fee", align="right", worth=4),
        Column("strategy", worth=3, elides_to=8),
        Column("order", worth=1),
    )

    fills: reactive[tuple[Fill, ...]] = reactive(())
    """The newest, the last one first."""
    without: reactive[str] = reactive("")
    """Why there is no stream, which tells them; empty while there is one."""

    def watch_without(self, without: str) -> None:
        """Say whether there were none, or nobody knows."""
        self.empty = "not known without the stream" if without else "none yet"
        self.refresh()

    def watch_fills(self, fills: Sequence[Fill]) -> None:
        """Show other executions."""
        self.border_title = f"{self.HEADING} [$muted]{len(fills)}[/]" if fills else self.HEADING
        self.rows = tuple(
            Row(
                (
                    Cell(time_of_day(fill.executed_ns), "muted"),
                    Cell(fill.side, "good" if fill.side == "buy" else "bad"),
                    Cell(quantity(fill.quantity)),
                    Cell(fill.symbol),
                    Cell(price(fill.price)),
                    Cell(money(fill.fee), "muted"),
                    Cell(fill.strategy, "muted"),
                    Cell(fill.order_id, "muted"),
                )
            )
            for fill in fills
        )

    def watch_status(self, status: Status | None) -> None:
        """Leave the rows to `fills`: the status has none."""
