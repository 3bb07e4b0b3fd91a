"""What is to become of one position: its exits as plain state, and the arithmetic of their prices and quantities.

All is counted in ticks and lots. A *side* is the position's: BUY for a long one, whose stop lies below it.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Literal

import msgspec

from actors.instrument import ATOMS_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.desk.standing import Standing
    from actors.instrument import Instrument
    from actors.messages import Bar

_DIGITS = 12
"""Shares are decimals of so many digits: three of 0.1 are 0.3, and ten are the whole."""
_PERCENT = 100
_AGAIN_NS, _AGAIN_NS_MAX, _DOUBLINGS = 1_000_000_000, 60_000_000_000, 6
"""What a venue refused is tried again after so long, twice as long the next time, and never longer than that."""
_NEAR_TICK = Fraction(1, 1_000)
"""A cost per lot this near to a tick is on it: costs are rounded to atoms."""


LEAVING = ("cancelling", "withdrawn")
"""States of an exit order that is not to be at work any more."""


class Take(msgspec.Struct):
    """One rung of a profit's taking."""

    ticks: int
    share: float
    """Of the largest position there was, with the rungs before it."""
    done_lots: int = 0
    reached: bool = False
    """Whether the price has been there; of use where a rung cannot rest beside the stop."""


class Leg(msgspec.Struct):
    """An exit order that has not ended."""

    ref: int
    key: str
    """``stop``, ``close``, or ``take`` and the number of its rung."""
    lots: int
    """In total, under the terms in force."""
    ticks: int
    filled_lots: int = 0
    state: Literal["sent", "working", "amending", "cancelling", "withdrawn"] = "sent"
    """It is cancelled by the plan, or withdrawn by somebody else here: by risk, as the account's state wants it."""
    asked_lots: int = 0
    """In total, under the terms that were asked for, while that is open."""

    @property
    def open_lots(self) -> int:
        """What may still be executed under the terms in force."""
        return self.lots - self.filled_lots

    @property
    def worst_lots(self) -> int:
        """What may still be executed at worst."""
        return max(self.lots, self.asked_lots) - self.filled_lots


class ExitPlan(msgspec.Struct):
    """The exits of one position: of one strategy's book in one symbol."""

    side: int
    stop_ticks: int = 0
    """0 without a stop."""
    trail_ticks: int = 0
    """How far behind the best price the stop follows; 0 if it does not, or by percent."""
    trail_percent: float = 0.0
    even_ticks: int = 0
    """How far the price has to go for the stop to be moved to what the position cost; 0 for never, or done."""
    even_offset_ticks: int = 0
    takes: list[Take] = []
    bars: int = 0
    """Bars it may stay open; 0 for any number."""
    life_ns: int = 0
    """Time it may stay open; 0 for any."""
    entries: list[int] = []
    """Numbers of the orders that may still open or enlarge it."""
    legs: list[Leg] = []
    opened_ns: int = -1
    """When it was opened; -1 before."""
    most_lots: int = 0
    """The largest it was."""
    best_ticks: int = 0
    last_ticks: int = 0
    seen_ns: int = -1
    """Close of the newest bar that was looked at."""
    seen_tick_ns: int = -1
    bars_held: int = 0
    asked_lots: int = 0
    """Of it are to be closed at once."""
    closing: bool = False
    """Whether all of it is."""
    due_ns: int = 0
    """When its time is over; 0 without such a time, or before it is opened."""
    leaving: bool = False
    """Whether it is flat again, and its entries were withdrawn."""
    held_back: list[str] = []
    """Keys of the legs that were refused, until something has changed."""
    renewed: list[str] = []
    """Keys of the legs that ended without being refused or withdrawn, and were ordered again, until then, too."""
    again_ns: int = 0
    """When what a venue refused is tried again, whatever happens; 0 without such a time."""
    refusals: int = 0
    """How often it refused something since the newest bar."""

    def leg(self, key: str) -> Leg | None:
        """Return the leg of a key, if there is one at work."""
        return next((leg for leg in self.legs if leg.key == key), None)

    def find(self, ref: int) -> Leg | None:
        """Return the leg with a number."""
        return next((leg for leg in self.legs if leg.ref == ref), None)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to look after, given that nothing is held."""
        return not self.entries and not self.legs

    @property
    def has_exits(self) -> bool:
        """Whether there is anything it would do by itself."""
        return bool(
            self.stop_ticks or self.trail_ticks or self.trail_percent or self.takes or self.bars or self.life_ns
        ) or bool(self.closing or self.asked_lots or self.even_ticks)

    def bare(self, stop_ticks: int = 0) -> ExitPlan:
        """Return a plan of the same position and orders that does nothing with them, unless there is to be a stop."""
        bare = ExitPlan(self.side, stop_ticks, entries=self.entries, legs=self.legs, opened_ns=self.opened_ns)
        bare.last_ticks, bare.seen_ns, bare.seen_tick_ns = self.last_ticks, self.seen_ns, self.seen_tick_ns
        return bare

    # --- refusals -----------------------------------------------------------------------------------

    def hold_back(self, key: str) -> None:
        """Leave an order as it is, or is not, until something has changed."""
        if key not in self.held_back:
            self.held_back.append(key)

    def refused(self, now_ns: int) -> None:
        """Have what a venue refused tried again soon, later each time."""
        self.again_ns = now_ns + min(_AGAIN_NS << self.refusals, _AGAIN_NS_MAX)
        self.refusals = min(self.refusals + 1, _DOUBLINGS)

    def renew(self, key: str) -> bool:
        """Return whether an order that ended by itself may be ordered again at once: the first time."""
        if key in self.renewed:
            return False
        self.renewed.append(key)
        return True

    def forgive(self) -> None:
        """Try everything anew: something has changed."""
        self.held_back.clear()
        self.renewed.clear()
        self.again_ns = 0

    # --- prices -------------------------------------------------------------------------------------

    def is_better(self, ticks: int, than_ticks: int) -> bool:
        """Return whether a price is better for the position than another; 0 is none."""
        return not than_ticks or self.side * (ticks - than_ticks) > 0

    def tighten(self, ticks: int) -> None:
        """Move the stop to `ticks`, unless it is as near already."""
        if ticks > 0 and self.is_better(ticks, self.stop_ticks):
            self.stop_ticks = ticks

    def see(self, ticks: int) -> None:
        """Learn of a price the position has lived through."""
        self.last_ticks = ticks
        if self.opened_ns < 0:
            return
        if self.is_better(ticks, self.best_ticks):
            self.best_ticks = ticks
        for take in self.takes:
            take.reached = take.reached or self.side * (ticks - take.ticks) >= 0

    def see_bar(self, bar: Bar, instrument: Instrument) -> None:
        """Learn of a bar; of the one it was opened in only the close is surely of after that."""
        close_ticks = instrument.price_to_ticks(bar.close)
        self.seen_ns = bar.close_ns
        if 0 <= self.opened_ns <= bar.open_ns:
            self.see(instrument.price_to_ticks(bar.high if self.side > 0 else bar.low))
            self.bars_held += 1
        self.see(close_ticks)

    def follow(self, standing: Standing) -> None:
        """Bring the stop up to the best price there was."""
        if self.opened_ns < 0:
            return
        if self.trail_ticks:
            self.tighten(self.best_ticks - self.side * self.trail_ticks)
        elif self.trail_percent:
            away = self.best_ticks * Fraction(repr(self.trail_percent)) / _PERCENT
            self.tighten(_later(self.best_ticks - self.side * away, self.side))
        if self.even_ticks and standing.lots:
            cost = cost_ticks(standing)
            if self.side * (self.best_ticks - cost) >= self.even_ticks:
                self.tighten(_safe(cost + self.side * self.even_offset_ticks, self.side))
                self.even_ticks = 0

    def is_passed(self, ticks: int) -> bool:
        """Return whether the market has passed a stop at `ticks`: it would be met at once."""
        return bool(self.last_ticks) and self.side * (self.last_ticks - ticks) <= 0

    # --- quantities ---------------------------------------------------------------------------------

    def take_lots(self, held_lots: int, step_lots: int) -> list[int]:
        """Return how many lots each rung still has to close, in whole steps; all together no more than are held."""
        wanted: list[int] = []
        for take, rung_lots in self._rungs(step_lots):
            lots = min(max(0, rung_lots - take.done_lots), held_lots)
            lots -= lots % step_lots
            wanted.append(lots)
            held_lots -= lots
        return wanted

    def closed(self, lots: int, step_lots: int) -> None:
        """Note that so much was closed at once: of what was asked for first, then of the rungs that were reached."""
        asked_lots = min(lots, self.asked_lots)
        self.asked_lots -= asked_lots
        lots -= asked_lots
        for take, rung_lots in self._rungs(step_lots):
            part_lots = min(lots, max(0, rung_lots - take.done_lots)) if take.reached else 0
            take.done_lots += part_lots
            lots -= part_lots

    def _rungs(self, step_lots: int) -> Iterator[tuple[Take, int]]:
        """Yield each rung with the lots it is of, of the largest position there was; the last share gets the rest."""
        before_lots = 0
        for take in self.takes:
            upto_lots = share_of(self.most_lots, take.share)
            if upto_lots < self.most_lots:
                upto_lots -= upto_lots % step_lots
            yield take, max(0, upto_lots - before_lots)
            before_lots = upto_lots


class KeptExits(msgspec.Struct):
    """What a checkpoint keeps of a strategy's exits."""

    plans: dict[str, ExitPlan]
    links: list[list[int]]
    trading: str
    used: bool
    own: str = "running"


def whole_steps(standing: Standing, side: int) -> int:
    """Return how many lots of a side are held, in whole steps."""
    lots = max(0, side * standing.lots)
    return lots - lots % standing.instrument.step_lots


def unless_dust(lots: int, ticks: int, instrument: Instrument) -> int:
    """Return `lots`; 0 where they are worth less than the venue takes, which of a contract it does."""
    if instrument.spec.contract or instrument.value_atoms(ticks, lots) >= instrument.min_notional_atoms:
        return lots
    return 0


def share_of(lots: int, share: float) -> int:
    """Return the whole lots in a share, read as the decimal it is written as."""
    return min(lots, floor(lots * Fraction(repr(round(share, _DIGITS)))))


def cost_ticks(standing: Standing) -> Fraction:
    """Return what a lot of the position cost on average, in ticks; of a cost so near to a tick that tick."""
    spec = standing.instrument.spec
    atoms = Fraction(spec.tick) * Fraction(spec.lot) * ATOMS_PER_UNIT * standing.lots
    cost = Fraction(standing.cost_atoms) / atoms
    return Fraction(round(cost)) if abs(cost - round(cost)) < _NEAR_TICK else cost


def _later(ticks: Fraction, side: int) -> int:
    """Return the whole tick at which a stop is met later."""
    return floor(ticks) if side > 0 else ceil(ticks)


def _safe(ticks: Fraction, side: int) -> int:
    """Return the whole tick at which a stop loses nothing."""
    return ceil(ticks) if side > 0 else floor(ticks)
