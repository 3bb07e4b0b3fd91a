"""Working orders as risk sees them: what may still fill, and which of them can only close."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from actors.messages import BUY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.instrument import Instrument
    from actors.messages import Intent


CLEARING = ("flattening", "stopping")
"""Trading states in which every order is withdrawn: one that a strategy gave now would be left behind, or stand in the
way of the flatten, which closes nothing before all other orders are gone."""


class Working(msgspec.Struct):
    """An order of ours that has not ended, as risk sees it."""

    strategy: str
    symbol: str
    ref: int
    side: int
    open_lots: int
    """What may still fill: at worst, while it is being amended."""
    kind: str
    closing: bool
    reduce_only: bool
    filled_lots: int = 0
    limit_ticks: int = 0
    stop_ticks: int = 0
    amending: bool = False
    reserved_lots: int = 0
    """Part of what may still fill that only an amend under way would add."""
    protective_stop: float | None = None
    """Where its strategy said it gets out if it goes wrong; its changes are judged by that, too."""
    stop_distance: float | None = None
    """How far from the order's own price that is, likewise."""
    refused: bool = False
    """Whether the venue would not withdraw it when it was asked to."""
    lessening: bool = False
    """Whether the change under way is risk's own: what does not come of it is withdrawn."""


class Terms(NamedTuple):
    """What of an order can be changed."""

    quantity_lots: int
    """In total."""
    limit_ticks: int
    stop_ticks: int


def exits(working: Mapping[tuple[str, int], Working], positions: Mapping[tuple[str, str], int]) -> set[tuple[str, int]]:
    """Return the orders that cannot increase any position, whatever order they fill in."""
    kept: set[tuple[str, int]] = set()
    exiting_lots: dict[tuple[str, str], int] = {}
    for key, order in sorted(working.items(), key=lambda item: not item[1].reduce_only):
        book = (order.strategy, order.symbol)
        position_lots = positions.get(book, 0)
        total_lots = exiting_lots.get(book, 0) + order.open_lots
        if order.reduce_only or (order.side * position_lots < 0 and total_lots <= abs(position_lots)):
            kept.add(key)
            exiting_lots[book] = total_lots
    return kept


def price_ticks(intent: Intent, instrument: Instrument, side: int) -> tuple[int, int]:
    """Return limit and trigger in ticks, rounded to the side that is worse for us to be filled at last."""
    limit_ticks = stop_ticks = 0
    up, down = instrument.price_to_ticks_up, instrument.price_to_ticks_down
    if intent.limit_price is not None:
        limit_ticks = (down if side == BUY else up)(intent.limit_price)
    if intent.stop_price is not None:
        stop_ticks = (up if side == BUY else down)(intent.stop_price)
    return limit_ticks, stop_ticks
