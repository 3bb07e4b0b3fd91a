"""What the strategies hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tui.figures import money, price, quantity
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from decimal import Decimal

    from tui.status import Status
    from tui.theme import Tone


class Positions(Table):
    """Open positions, one row for each strategy and symbol."""

    HEADING = "Positions"
    PART = "positions"
    EMPTY = "flat: no open position"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "app.close_position", "Close position")]
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("symbol"),
        Column("strategy", worth=3, elides_to=8, names=True),
        Column("qty", align="point"),
        Column("entry", align="right", worth=4),
        Column("mark", align="right", worth=5),
        Column("open profit", align="right", worth=6),
    )

    def read(self, status: Status) -> list[Row]:
        """Return one row for each position."""
        return [
            Row(
                (
                    Cell(position.symbol),
                    Cell(position.strategy, "muted"),
                    Cell(quantity(position.quantity)),
                    Cell(price(position.entry_price, status.steps.get(position.symbol))),
                    Cell(price(position.mark_price, status.steps.get(position.symbol))),
                    Cell(money(position.unrealized_pnl, signed=True), tone_of_profit(position.unrealized_pnl)),
                ),
                key=f"{position.strategy} {position.symbol}",
            )
            for position in status.positions
        ]


def tone_of_profit(amount: Decimal | None) -> Tone:
    """Return what the colour of a gain or a loss says."""
    if not amount or amount.is_nan():
        return "plain"
    return "good" if amount > 0 else "bad"
