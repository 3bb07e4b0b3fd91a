"""What waits at the venue."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tui.figures import price, quantity, when
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from tui.status import Order, Status
    from tui.theme import Tone

_SHORT_STATES = {"partly_filled": "partial", "amend_cancelling": "cancelling"}


class Orders(Table):
    """Open orders, the oldest first."""

    HEADING = "Orders"
    PART = "orders"
    EMPTY = "no open order"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "app.cancel_order", "Cancel order")]
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("side"),
        Column("qty", align="point"),
        Column("symbol"),
        Column("kind"),
        Column("limit", align="right", worth=6),
        Column("stop", align="right", worth=5),
        Column("filled", align="point", worth=4),
        Column("state"),
        Column("strategy", worth=3, elides_to=8, names=True),
        Column("since", align="right", worth=2),
        Column("terms", worth=2),
        Column("id", worth=1),
    )

    def read(self, status: Status) -> list[Row]:
        """Return one row for each order."""
        return [
            Row(
                (
                    Cell(order.side, tone_of_side(order.side)),
                    Cell(quantity(order.quantity)),
                    Cell(order.symbol),
                    Cell(order.kind.replace("_", " ")),
                    Cell(price(order.limit_price, status.steps.get(order.symbol))),
                    Cell(price(order.stop_price, status.steps.get(order.symbol))),
                    Cell(quantity(order.filled), "plain" if order.filled else "muted"),
                    Cell(_SHORT_STATES.get(order.state, order.state), "plain" if order.state == "working" else "warn"),
                    Cell(order.strategy, "muted"),
                    Cell(when(order.created_ns, status.clock.ts_ns) if order.created_ns else "", "muted"),
                    Cell(_terms(order), "muted"),
                    Cell(order.order_id, "muted"),
                ),
                key=order.order_id,
            )
            for order in status.orders
        ]


def tone_of_side(side: str) -> Tone:
    """Return what the colour of a side says."""
    return "good" if side == "buy" else "bad" if side == "sell" else "plain"


def _terms(order: Order) -> str:
    return f"{order.time_in_force}, reduce only" if order.reduce_only else order.time_in_force
