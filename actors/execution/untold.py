"""Executions that were said and are not heard yet: several orders are met at once, and told of one after the other.

Who hears of the first may withdraw another that was executed in part with it. The order is gone at once; that it is,
is said once everybody has heard of its execution, which came before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import Cancelled

if TYPE_CHECKING:
    from actors.execution.resting import Resting
    from actors.messages import Fill
    from actors.runtime.scheduler import Context


class Untold:
    """Speaks as the venue, of what happens to its orders.

    Attributes:
        leaving: orders that were withdrawn, which is not said yet.
    """

    name = "venue"
    isolated = False

    def __init__(self, context: Context) -> None:
        self._emit = context.emit
        self._fills: dict[str, int] = {}
        """Of each order, how many in part that are not heard yet."""
        self.leaving: dict[str, Resting] = {}

    def executed(self, fill: Fill) -> None:
        """Say that an order was executed."""
        if fill.remaining_lots:
            self._fills[fill.order_id] = self._fills.get(fill.order_id, 0) + 1
        self._emit(fill)

    def withdrawn(self, order: Resting) -> None:
        """Say that an order was withdrawn, as soon as that can be heard."""
        if order.order_id in self._fills:
            self.leaving[order.order_id] = order
        else:
            self._emit(Cancelled(*order.identity(), "as requested"))

    def on_heard(self, fill: Fill) -> None:
        """Go on once everybody has heard of an execution."""
        left = self._fills.pop(fill.order_id, 0) - 1
        if left > 0:
            self._fills[fill.order_id] = left
        elif order := self.leaving.pop(fill.order_id, None):
            self.withdrawn(order)
