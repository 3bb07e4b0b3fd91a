"""A trade that a tape has in store."""

from __future__ import annotations

from typing import NamedTuple


class TapePrint(NamedTuple):
    """A trade the tape has in store; sorts by time, then by the order of the series."""

    time_ms: int
    ordinal: int
    step: int
    """Its number on the tape of its market."""
    id: str
    price_ticks: int
    quantity_lots: int
    buyer_is_maker: bool | None = None
    """None where a bar does not say; the price then does."""
