"""What was said and is not heard yet: several orders are met at once, and told of one after the other.

Who hears of the first may withdraw another that was executed in part with it, or whose change was refused. The order is
gone at once; that it is, is said once everybody has heard of what came before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import AmendRejected, Cancelled

if TYPE_CHECKING:
    from actors.execution.resting import Resting
    from actors.messages import Fill, Message
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
        self._said: dict[str, list[Message]] = {}
        """What left an order at work and is not heard yet, by order."""
        self.leaving: dict[str, Resting] = {}

    def say(self, event: Fill | AmendRejected) -> None:
        """Say that an order was executed, or works on as it was."""
        if isinstance(event, AmendRejected) or event.remaining_lots:
            self._said.setdefault(event.order_id, []).append(event)
        self._emit(event)

    def withdrawn(self, order: Resting) -> None:
        """Say that an order was withdrawn, as soon as that can be heard."""
        if order.order_id in self._said:
            self.leaving[order.order_id] = order
        else:
            self._emit(Cancelled(*order.identity(), "as requested"))

    def on_heard(self, event: Fill | AmendRejected) -> None:
        """Go on once everybody has heard."""
        said = self._said.get(event.order_id)
        if not said or said[0] is not event:
            return  # an order that ended with it, or a change that never came here
        del said[0]
        if not said:
            del self._said[event.order_id]
            if order := self.leaving.pop(event.order_id, None):
                self.withdrawn(order)
