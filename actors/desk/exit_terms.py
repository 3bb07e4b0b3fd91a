"""What a strategy says of its exits, in its own floats, and how that becomes part of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.desk.exit_plan import ExitPlan, Take

if TYPE_CHECKING:
    from actors.instrument import Instrument

_PERCENT = 100
_TRIGGER_MET = ("OrderImmediatelyFillable", "trigger immediately", "immediately trigger")
"""ccxt's name for that, and Binance's words where it tells of the half of a change."""
_NS_PER_S = 1_000_000_000


class ExitTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Exits of a position; what is None is not spoken of."""

    stop: float | None = None
    """Price at which it is closed at a loss."""
    take_profit: tuple[tuple[float, float], ...] | None = None
    """Rungs: price, and which share of the position is closed there."""
    trail: float | None = None
    """The stop follows the best price at this distance, in quote units."""
    trail_percent: float | None = None
    """The same, in percent of the best price."""
    break_even: float | None = None
    """Once the price has gone this far, the stop is moved to what the position cost."""
    break_even_offset: float = 0.0
    """So much better than the cost."""
    time_stop_bars: int | None = None
    """It is closed after so many bars."""
    time_stop_s: float | None = None
    """It is closed after so many seconds."""

    def objection(self, side: int, price: float, instrument: Instrument) -> str:
        """Return why these make no sense for a position opened at `price`; empty if they do."""
        ticks = instrument.price_to_ticks(price)
        if self.stop is not None and side * (ticks - stop_ticks(self.stop, side, instrument)) <= 0:
            return f"a stop at {self.stop} is not {'below' if side > 0 else 'above'} {price}"
        for take, _ in self.take_profit or ():
            if side * (take_ticks(take, side, instrument) - ticks) <= 0:
                return f"a profit at {take} is not {'above' if side > 0 else 'below'} {price}"
        return ""

    def protection(self, price: float) -> tuple[float | None, float | None] | None:
        """Return what risk is told of an entry at `price`: the stop, or how far away it is where only that is known."""
        distance = self.trail if self.trail_percent is None else price * self.trail_percent / _PERCENT
        return None if self.stop is None and distance is None else (self.stop, distance)

    def apply(self, plan: ExitPlan, instrument: Instrument) -> None:
        """Make these part of a plan, in place of what it said of the same."""
        if self.stop is not None:
            plan.stop_ticks = stop_ticks(self.stop, plan.side, instrument)
        if self.trail is not None:
            plan.trail_ticks, plan.trail_percent = _distance(self.trail, instrument), 0.0
        if self.trail_percent is not None:
            plan.trail_ticks, plan.trail_percent = 0, self.trail_percent
        if self.break_even is not None:
            plan.even_ticks = _distance(self.break_even, instrument)
            plan.even_offset_ticks = instrument.price_to_ticks(self.break_even_offset)
        if self.take_profit is not None:
            plan.takes, share = [], 0.0
            for price, part in self.take_profit:
                share += part
                plan.takes.append(Take(take_ticks(price, plan.side, instrument), share))
        if self.time_stop_bars is not None:
            plan.bars = self.time_stop_bars
        if self.time_stop_s is not None:
            plan.life_ns = round(self.time_stop_s * _NS_PER_S)


def says_trigger_met(reason: str) -> bool:
    """Return whether a venue refused a stop because the market is at its trigger, or beyond it, already."""
    return any(words in reason for words in _TRIGGER_MET)


def stop_ticks(price: float, side: int, instrument: Instrument) -> int:
    """Return the trigger of a stop that closes a position of `side`: the later tick, as risk has it."""
    return (instrument.price_to_ticks_down if side > 0 else instrument.price_to_ticks_up)(price)


def take_ticks(price: float, side: int, instrument: Instrument) -> int:
    """Return the limit that closes a position of `side`: the stricter tick, as risk has it."""
    return (instrument.price_to_ticks_up if side > 0 else instrument.price_to_ticks_down)(price)


def _distance(price: float, instrument: Instrument) -> int:
    return max(1, instrument.price_to_ticks(price))
