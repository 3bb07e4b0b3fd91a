"""Fills that were found on one bar, the order in which they happen, and what slippage makes of a price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import BUY

if TYPE_CHECKING:
    from fractions import Fraction

    from actors.execution.matching import Match, Position
    from actors.execution.resting import Resting
    from actors.messages import OrderRequest

AT_ONCE: Position = (0, 0)

Found = tuple["Position", int, int, "Resting", "Match"]
"""A fill on the bar in hand: where, rank and arrival among those at the same place, the order, its price."""


def stops_before_limits(found: list[Found]) -> list[Found]:
    """Sort fills along the path; a limit waits for a stop of its own book and side, unless met at once."""
    stops: dict[tuple[str, int], Position] = {}
    for position, _, _, resting, _ in found:
        request = resting.request
        if request.kind == "stop":
            book_side = (request.strategy, request.side)
            stops[book_side] = max(stops.get(book_side, AT_ONCE), position)
    ordered: list[Found] = []
    for position, rank, arrival_index, resting, match in found:
        request = resting.request
        stop = stops.get((request.strategy, request.side))
        if request.kind == "limit" and stop is not None and position != AT_ONCE and stop > position:
            ordered.append((stop, 1, arrival_index, resting, match))
        else:
            ordered.append((position, rank, arrival_index, resting, match))
    ordered.sort(key=lambda fill: fill[:3])
    return ordered


def slipped(request: OrderRequest, price_ticks: int, slippage: Fraction) -> int:
    """Return the price after adverse slippage, rounded away from us, never beyond a limit."""
    slip_ticks = int(-(-price_ticks * slippage // 1))
    if request.side == BUY:
        price_ticks += slip_ticks
        return min(price_ticks, request.limit_ticks) if request.limit_ticks else price_ticks
    return max(1, price_ticks - slip_ticks, request.limit_ticks)
