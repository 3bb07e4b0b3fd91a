"""Matching one resting order against the path of one bar, in ticks.

A bar is known by four prices; its path is assumed to be open, nearer extreme, other extreme, close, at
equal steps of its time. An order that becomes live inside the bar may use only the points after that.

* A market order fills at the first point it may use.
* A stop fills once the path touches its trigger, at the worse of the trigger and that first point.
* A limit fills at its own price, and only once the path trades *through* it; a gap through it fills at
  the limit too. One that was marketable when it arrived takes the first point's price instead.
* A stop-limit is a limit from the moment its trigger is touched; one that must fill at once can do so only then.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.messages import BUY, OrderRequest

Points = tuple[int, ...]
"""Prices of the path in ticks: the points an order may use, at least one."""

Position = tuple[int, int]
"""Where on the path: (index of the point reached or left, distance travelled from it in ticks)."""


class Match(NamedTuple):
    """A fill that the path allows."""

    position: Position
    price_ticks: int
    taker: bool


def path_points(open_ticks: int, high_ticks: int, low_ticks: int, close_ticks: int) -> Points:
    """Return the assumed path of a bar; at equal distances the low comes first."""
    if high_ticks - open_ticks < open_ticks - low_ticks:
        return (open_ticks, high_ticks, low_ticks, close_ticks)
    return (open_ticks, low_ticks, high_ticks, close_ticks)


def point_times(open_ns: int, close_ns: int) -> tuple[int, int, int, int]:
    """Return the times at which the four points are reached; the last is within the bar."""
    third_ns = (close_ns - open_ns) // 3
    return (open_ns, open_ns + third_ns, open_ns + 2 * third_ns, close_ns - 1)


def first_usable(live_from_ns: int, times_ns: tuple[int, int, int, int]) -> int | None:
    """Return the index of the first point of a bar that an order may use, or None."""
    for index, time_ns in enumerate(times_ns):
        if live_from_ns <= time_ns:
            return index
    return None


def match_order(request: OrderRequest, *, marketable: bool, triggered: bool, points: Points) -> Match | None:
    """Return where and at what price the order fills on `points`, or None.

    Args:
        request: the order.
        marketable: whether its limit was already met by the market when it arrived.
        triggered: whether a stop-limit's trigger was touched on an earlier bar.
        points: the part of the path the order may use.
    """
    kind = request.kind
    if kind == "market":
        return Match((0, 0), points[0], taker=True)
    if kind == "stop":
        touch = find_touch(request.side, request.stop_ticks, points)
        if touch is None:
            return None
        return Match(touch, _worse(request.side, request.stop_ticks, points[0], touch), taker=True)
    if kind == "limit":
        return _match_limit(request, marketable=marketable, points=points)
    if triggered:
        return _match_limit(request, marketable=False, points=points)
    touch = find_touch(request.side, request.stop_ticks, points)
    if touch is None:
        return None
    market_ticks = _worse(request.side, request.stop_ticks, points[0], touch)
    if within_limit(request.side, request.limit_ticks, market_ticks):
        return Match(touch, market_ticks, taker=True)
    if request.time_in_force != "gtc":
        return None
    index, travelled = touch
    rest = (market_ticks, *points[index + 1 :])
    through = _find_through(request.side, request.limit_ticks, rest)
    if through is None:
        return None
    position = (index + through[0], through[1] + (travelled if through[0] == 0 else 0))
    return Match(position, request.limit_ticks, taker=False)


def find_touch(side: int, stop_ticks: int, points: Points) -> Position | None:
    """Return where the path first touches a trigger: at or above it for a buy, at or below it for a sell."""
    first = points[0]
    if side * (first - stop_ticks) >= 0:
        return (0, 0)
    for index in range(1, len(points)):
        if side * (points[index] - stop_ticks) >= 0:
            return (index - 1, abs(stop_ticks - points[index - 1]))
    return None


def within_limit(side: int, limit_ticks: int, price_ticks: int) -> bool:
    """Return whether a limit allows trading at `price_ticks`."""
    return side * (limit_ticks - price_ticks) >= 0


def _match_limit(request: OrderRequest, *, marketable: bool, points: Points) -> Match | None:
    first = points[0]
    immediate = request.time_in_force != "gtc"
    if marketable or immediate:
        if within_limit(request.side, request.limit_ticks, first):
            return Match((0, 0), first, taker=True)
        if immediate:
            return None
    through = _find_through(request.side, request.limit_ticks, points)
    return None if through is None else Match(through, request.limit_ticks, taker=False)


def _find_through(side: int, limit_ticks: int, points: Points) -> Position | None:
    """Return where the path first trades beyond a limit: below it for a buy, above it for a sell."""
    if side * (limit_ticks - points[0]) > 0:
        return (0, 0)
    for index in range(1, len(points)):
        if side * (limit_ticks - points[index]) > 0:
            return (index - 1, abs(limit_ticks - points[index - 1]))
    return None


def _worse(side: int, stop_ticks: int, first_ticks: int, touch: Position) -> int:
    """Return the price of a triggered stop: a gap beyond the trigger fills at the first point."""
    if touch != (0, 0):
        return stop_ticks
    return max(stop_ticks, first_ticks) if side == BUY else min(stop_ticks, first_ticks)
