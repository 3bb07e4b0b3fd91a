"""What features read of what comes between bars: the newest of it, and sums since the bar before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from actors.messages import (
    BUY,
    SELL,
    BookSnapshot,
    External,
    Funding,
    Liquidation,
    Mark,
    OpenInterest,
    Quote,
    Trade,
)
from strategies.indicators.expression import SUMMED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from actors.messages import Message
    from actors.ticks import Tick

TOLD_BY: dict[str, type[Message]] = {
    "bid": Quote,
    "ask": Quote,
    "bid_quantity": Quote,
    "ask_quantity": Quote,
    "bid_depth": BookSnapshot,
    "ask_depth": BookSnapshot,
    "mark": Mark,
    "index": Mark,
    "funding": Funding,
    "open_interest": OpenInterest,
    "open_interest_value": OpenInterest,
    "buy_volume": Trade,
    "sell_volume": Trade,
    "trade_count": Trade,
    "long_liquidations": Liquidation,
    "short_liquidations": Liquidation,
}
"""Which message tells what a column holds."""


class Slots(Protocol):
    """Where values are written."""

    def __setitem__(self, slot: int, value: float, /) -> None:
        """Write a value."""


class Channels:
    """Where the values of messages go."""

    def __init__(self) -> None:
        """Begin with nothing to listen to."""
        self._newest: dict[str, dict[str, int]] = {}
        """Slots by symbol and column."""
        self._published: dict[str, int] = {}
        self._spoken_ns: dict[str, int] = {}
        """What time the value of a series speaks of: an older one may be corrected later, and is not the newest."""
        self._sums: dict[tuple[str, int], dict[str, float]] = {}
        """Sums since the last bar, by symbol and timeframe."""

    def keep(self, symbol: str, column: str, slot: int) -> None:
        """Write the newest value of a column into a slot."""
        self._newest.setdefault(symbol, {})[column] = slot

    def publish(self, series: str, slot: int) -> None:
        """Write the newest value of an external series into a slot."""
        self._published[series] = slot

    def sum(self, symbol: str, timeframe_ns: int) -> None:
        """Count from bar to bar."""
        self._sums.setdefault((symbol, timeframe_ns), dict.fromkeys(SUMMED, 0.0))

    @property
    def series(self) -> list[str]:
        """Return the names of the external series that are read."""
        return list(self._published)

    @property
    def newest(self) -> dict[str, list[str]]:
        """Return the columns that are kept, by symbol."""
        return {symbol: list(slots) for symbol, slots in self._newest.items()}

    def hear(self, message: Tick | External, values: Slots) -> None:
        """Note what a message tells."""
        if isinstance(message, External):
            slot = self._published.get(message.name)
            if slot is not None and message.ts_ns >= self._spoken_ns.get(message.name, message.ts_ns):
                self._spoken_ns[message.name] = message.ts_ns
                values[slot] = message.value
            return
        if isinstance(message, Trade | Liquidation):
            self._count(message)
            return
        slots = self._newest.get(message.symbol)
        if slots is not None:
            for name, value in _told(message):
                if name in slots:
                    values[slots[name]] = value

    def take(self, symbol: str, timeframe_ns: int) -> Mapping[str, float]:
        """Return the sums up to a bar, and begin anew."""
        sums = self._sums.get((symbol, timeframe_ns))
        if sums is None:
            return _NONE
        self._sums[symbol, timeframe_ns] = dict.fromkeys(SUMMED, 0.0)
        return sums

    def dump(self) -> tuple[list[list[float]], dict[str, int]]:
        """Return the sums, in order, and what time each series spoke of last."""
        return [list(sums.values()) for sums in self._sums.values()], self._spoken_ns

    def load(self, kept: list[list[float]], spoken_ns: dict[str, int]) -> None:
        """Restore what was dumped."""
        for key, sums in zip(self._sums, kept, strict=True):
            self._sums[key] = dict(zip(SUMMED, sums, strict=True))
        self._spoken_ns = spoken_ns

    def _count(self, message: Trade | Liquidation) -> None:
        if isinstance(message, Trade):
            names = {BUY: "buy_volume", SELL: "sell_volume"}
        else:
            names = {SELL: "long_liquidations", BUY: "short_liquidations"}
        name = names.get(message.side)
        for (symbol, _), sums in self._sums.items():
            if symbol == message.symbol:
                if name is not None:
                    sums[name] += message.quantity
                if isinstance(message, Trade):
                    sums["trade_count"] += 1.0


_NONE: Mapping[str, float] = {}


def _told(message: Tick) -> Iterator[tuple[str, float]]:
    """Yield the columns a message gives, and their values."""
    match message:
        case Quote():
            yield from (("bid", message.bid), ("ask", message.ask))
            yield from (("bid_quantity", message.bid_size), ("ask_quantity", message.ask_size))
        case BookSnapshot():
            yield "bid_depth", sum(quantity for _, quantity in message.bids)
            yield "ask_depth", sum(quantity for _, quantity in message.asks)
            if message.bids and message.asks:
                yield from (("bid", message.bids[0][0]), ("ask", message.asks[0][0]))
                yield from (("bid_quantity", message.bids[0][1]), ("ask_quantity", message.asks[0][1]))
        case Mark():
            yield "mark", message.price
            if message.index > 0.0:
                yield "index", message.index
        case Funding():
            yield "funding", message.rate
        case OpenInterest():
            yield "open_interest", message.quantity
            if message.value > 0.0:
                yield "open_interest_value", message.value
        case _:
            raise AssertionError(message)
