"""The kinds of series there are, and the columns each of them has wherever it is stored.

Every kind is sorted by ``ts``, int64 nanoseconds UTC. What ``ts`` means is the kind's own: a bar's is its open time,
a payment's its settlement; when a value was knowable is ``published`` where that is another time.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from config.errors import UserError, nearest

ColumnType = Literal["time", "float", "int", "side", "flag", "text"]
"""Nanoseconds as Int64, Float64, Int64, Int8 (+1 or -1, 0 for unknown), Boolean, String."""

Identity = Literal["key", "occurrence", "message", "revision"]
"""By the key; by all values and how often they came (what happened twice in one instant is two things); or by the key
of the whole message that the row is a part of; by the key, of which publication is a part: a value may be corrected."""

POLARS_NAMES: dict[ColumnType, str] = {
    "time": "Int64",
    "float": "Float64",
    "int": "Int64",
    "side": "Int8",
    "flag": "Boolean",
    "text": "String",
}
"""Name of the polars type of each, for whoever has imported polars."""

_BAR_COLUMNS: dict[str, ColumnType] = {
    "ts": "time",
    "open": "float",
    "high": "float",
    "low": "float",
    "close": "float",
    "volume": "float",
}
_BAR_OPTIONAL: dict[str, ColumnType] = {
    "quote_volume": "float",
    "trades": "int",
    "taker_volume": "float",
    "synthetic": "flag",
}


class Kind(msgspec.Struct, frozen=True):
    """One kind of series."""

    name: str
    meaning: str
    columns: dict[str, ColumnType]
    """What every series of it has, in order."""
    optional: dict[str, ColumnType] = {}
    """What one may have, in order, behind the others."""
    key: tuple[str, ...] = ("ts",)
    """Two rows with equal values here are about the same thing."""
    has_timeframe: bool = False
    """Whether the rows stand on a grid of time."""
    identity: Identity = "key"
    """How it is told that two rows are one and the same."""
    by_day: bool = False
    """Whether there is so much of it that the catalogue keeps a file for each day, not for each month."""
    by_hour: bool = False
    """Whether there is even more of it, and it comes a little at a time: a file for each hour."""
    recorded: bool = False
    """Whether it is written by `pitboss record` alone: there is nothing to import, check or repair."""

    def types(self) -> dict[str, ColumnType]:
        """Return all columns there may be."""
        return self.columns | self.optional


KINDS = {
    kind.name: kind
    for kind in (
        Kind("bars", "open, high, low, close and volume by time", _BAR_COLUMNS, _BAR_OPTIONAL, has_timeframe=True),
        Kind("mark", "bars of the mark price", _BAR_COLUMNS, _BAR_OPTIONAL, has_timeframe=True),
        Kind("index", "bars of the index price", _BAR_COLUMNS, _BAR_OPTIONAL, has_timeframe=True),
        Kind("premium", "bars of the premium of a perpetual", _BAR_COLUMNS, _BAR_OPTIONAL, has_timeframe=True),
        Kind(
            "trades",
            "trades; the side is the taker's",
            {"ts": "time", "price": "float", "quantity": "float", "side": "side"},
            {"id": "int"},
            key=("ts", "id"),
            by_day=True,
        ),
        Kind(
            "quotes",
            "best bid and ask",
            {"ts": "time", "bid": "float", "bid_quantity": "float", "ask": "float", "ask_quantity": "float"},
            identity="occurrence",
            by_day=True,
        ),
        Kind(
            "book",
            "changes of an order book; a quantity of zero takes a level away, a snapshot replaces all",
            {
                "ts": "time",
                "seq": "int",
                "snapshot": "flag",
                "side": "side",
                "price": "float",
                "quantity": "float",
            },
            key=("ts", "seq", "snapshot"),
            identity="message",
            by_day=True,
        ),
        Kind(
            "funding",
            "funding of a perpetual, as a fraction for each interval; longs pay what is positive",
            {"ts": "time", "rate": "float"},
            {"mark": "float", "interval_h": "float"},
        ),
        Kind(
            "open_interest",
            "open interest, in base units or contracts",
            {"ts": "time", "open_interest": "float"},
            {"value": "float"},
        ),
        Kind(
            "liquidations",
            "orders by which the venue closed positions; the side is the order's",
            {"ts": "time", "side": "side", "price": "float", "quantity": "float"},
            identity="occurrence",
        ),
        Kind(
            "values",
            "any number by time: sentiment, scores, flow; what is published again later corrects it",
            {"ts": "time", "value": "float", "published": "time"},
            key=("ts", "published"),
            identity="revision",
        ),
        Kind(
            "feed",
            "a live feed as it came: when it was heard, in which order, and what was said",
            {"ts": "time", "seq": "int", "message": "text"},
            key=("ts", "seq"),
            by_hour=True,
            recorded=True,
        ),
    )
}
"""By name."""


def kind_of(name: str) -> Kind:
    """Return the kind of this name.

    Raises:
        UserError: there is none; it says which is meant, perhaps.
    """
    if name not in KINDS:
        message = f"there is no kind of series {name!r}{nearest(name, list(KINDS))}; the kinds are: {', '.join(KINDS)}"
        raise UserError(message)
    return KINDS[name]
