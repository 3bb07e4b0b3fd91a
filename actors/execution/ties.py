"""What a simulated venue is told of orders beyond each by itself: stops that protect, orders that exclude others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.execution.matching import match_order, path_points, point_times
from actors.messages import StopProtects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.execution.resting import Resting
    from actors.instrument import Instrument
    from actors.messages import Bar, OneCancelsOther, OrderRequest

Link = tuple[str, list[int]]
"""(strategy, numbers of its wishes) of which one cancels the others."""


class Ties:
    """The ties that count; hears them as the venue.

    Args:
        resting: the venue's orders, by symbol.
        instruments: exact units by symbol.

    Attributes:
        links: the orders that exclude one another.
    """

    name = "venue"
    isolated = False

    def __init__(self, resting: Mapping[str, list[Resting]], instruments: Mapping[str, Instrument]) -> None:
        self.links: list[Link] = []
        self._resting = resting
        self._instruments = instruments
        self._protects: StopProtects | None = None

    def on_tied(self, message: StopProtects | OneCancelsOther) -> None:
        """Learn of a tie between orders to come."""
        if isinstance(message, StopProtects):
            self._protects = message
        else:
            self.links.append((message.strategy, list(message.refs)))

    def excluded_by(self, request: OrderRequest) -> list[Resting]:
        """Return the orders an execution excludes; its tie has served its purpose."""
        for link in self.links:
            strategy, refs = link
            if strategy == request.strategy and request.ref in refs:
                self.links.remove(link)
                excluded = [ref for ref in refs if ref != request.ref]
                everything = [each for orders in self._resting.values() for each in orders if not each.replaces]
                return [each for each in everything if _is_one_of(each.request, strategy, excluded)]
        return []

    def forget(self, request: OrderRequest) -> None:
        """Forget an order that was withdrawn."""
        for link in self.links:
            strategy, refs = link
            if strategy == request.strategy and request.ref in refs:
                refs.remove(request.ref)
                if len(refs) == 1:
                    self.links.remove(link)
                return

    def meet(self, resting: Resting, bar: Bar, latency_ns: int) -> tuple[int, int] | None:
        """Return price and time at which the rest of a bar meets a stop that protects what the bar opened.

        Without latency the path goes on from the price of that execution; else from the first point of it that is
        late enough. From here on the stop is at work since it arrived.
        """
        opened, request = self._protects, resting.request
        if opened is None or not _is_one_of(request, opened.strategy, [opened.ref]):
            return None
        if not bar.open_ns <= opened.executed_ns < bar.close_ns:
            return None
        resting.live_from_ns = opened.executed_ns + latency_ns
        to_ticks = self._instruments[request.symbol].price_to_ticks
        points = path_points(to_ticks(bar.open), to_ticks(bar.high), to_ticks(bar.low), to_ticks(bar.close))
        times_ns = point_times(bar.open_ns, bar.close_ns)
        rest = [point for point in zip(points, times_ns, strict=True) if point[1] >= resting.live_from_ns]
        if not latency_ns:
            rest.insert(0, (opened.price_ticks, opened.executed_ns))
        if not rest:
            return None
        match = match_order(request, marketable=False, triggered=False, points=tuple(ticks for ticks, _ in rest))
        if match is None:
            return None
        index, travelled = match.position
        return match.price_ticks, rest[min(index + (travelled > 0), len(rest) - 1)][1]


def _is_one_of(request: OrderRequest, strategy: str, refs: list[int]) -> bool:
    return request.strategy == strategy and request.ref in refs
