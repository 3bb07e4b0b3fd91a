"""What is counted beside the core for the console's metrics: how long orders take, and how far the disk is behind.

Nothing here costs an input anything: the core counts its messages anyway, and only what venues say about orders is
heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import Accepted, Fill
from daemon.console.frames import Meters
from daemon.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.scheduler import Table
    from actors.system import Core
    from daemon.edges.venue.limits import LimitStatistics
    from daemon.live import LiveDriver


class Counting:
    """Hears of orders ahead of all actors, says nothing to anybody."""

    name = "counting"
    isolated = False

    def __init__(self) -> None:
        self._acknowledged = Histogram()
        self._filled = Histogram()
        self._core: Core | None = None
        self._driver: LiveDriver | None = None
        self._limits: Callable[[], LimitStatistics | None] = lambda: None
        self._told: Meters | None = None

    def observers(self) -> Table:
        """Return the rows of the subscription table this adds."""
        return {Accepted: [self.on_accepted], Fill: [self.on_fill]}

    def attach(self, core: Core, driver: LiveDriver, limits: Callable[[], LimitStatistics | None]) -> None:
        """Listen to `core` from now on."""
        self._core, self._driver, self._limits = core, driver, limits

    def on_accepted(self, message: Accepted) -> None:
        """Note how long the venue took."""
        self._note(message.order_id, self._acknowledged)

    def on_fill(self, message: Fill) -> None:
        """Note how long an order took that is done now."""
        if message.remaining_lots == 0:
            self._note(message.order_id, self._filled)

    def _note(self, order_id: str, histogram: Histogram) -> None:
        if self._core is not None:
            order = self._core.execution.orders.get(order_id)
            if order is not None:
                histogram.add(self._core.context.now_ns - order.created_ns)

    def news(self) -> Meters | None:
        """Return what was counted so far; None if that is what was told last."""
        meters = self._read()
        if meters == self._told:
            return None
        self._told = meters
        return meters

    def forget(self) -> None:
        """Forget what was told: somebody else listens now."""
        self._told = None

    def _read(self) -> Meters:
        assert self._core is not None
        assert self._driver is not None
        scheduler, driver, limits = self._core.scheduler, self._driver, self._limits()
        return Meters(
            counts=scheduler.dump_counts(),
            decided=driver.decided.row(),
            released=driver.released.row(),
            acknowledged=self._acknowledged.row(),
            filled=self._filled.row(),
            lag_inputs=scheduler.seq - driver.journal.durable_seq,
            lag_s=driver.lag_s,
            dead_letters=scheduler.dead_letters.count,
            weight=None if limits is None else limits.spent,
            weight_max=None if limits is None else limits.weight_max,
            requests_waiting=None if limits is None else limits.waiting,
        )
