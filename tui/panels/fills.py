"""What was executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.reactive import reactive

from tui.figures import day_of, money, price, quantity, when
from tui.panels.orders import tone_of_side
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from tui.status import Status
    from tui.stream import Fill


class Fills(Table):
    """Executions, the newest first."""

    HEADING = "Fills"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", align="right", worth=5),
        Column("side"),
        Column("qty", align="point"),
        Column("symbol"),
        Column("price", align="right"),
        Column("fee", align="right", worth=4),
        Column("strategy", worth=3, elides_to=8, names=True),
        Column("order", worth=1),
    )

    _beside: tuple[int, dict[str, Decimal | None]] = (-1, {})
    """(day, steps of prices) of what is shown."""
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
        self._tell()

    def watch_status(self, status: Status | None) -> None:
        """Write the executions anew where what is known beside them has changed: the day, and the steps of prices."""
        if status is None:
            return
        beside = day_of(status.clock.ts_ns), status.steps
        if beside != self._beside:
            self._beside = beside
            self._tell()

    def _tell(self) -> None:
        now_ns = 0 if self.status is None else self.status.clock.ts_ns
        steps = self._beside[1]
        self.rows = tuple(
            Row(
                (
                    Cell(when(fill.executed_ns, now_ns), "muted"),
                    Cell(fill.side, tone_of_side(fill.side)),
                    Cell(quantity(fill.quantity)),
                    Cell(fill.symbol),
                    Cell(price(fill.price, steps.get(fill.symbol))),
                    Cell(money(fill.fee), "muted"),
                    Cell(fill.strategy, "muted"),
                    Cell(fill.order_id, "muted"),
                )
            )
            for fill in self.fills
        )
