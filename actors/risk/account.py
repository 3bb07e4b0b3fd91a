"""The account as risk sees it: its equity, where its day and week began, its peak; and how its trades end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.ledger import Begun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.messages import EquityMark, PositionChanged

_DAY_NS = 86_400_000_000_000
_WEEK_DAYS = 7
_MONDAY = 3
"""1970-01-01 was a Thursday: so many days had passed since Monday."""


def week_began_ns(week_index: int) -> int:
    """Return when a week began: on Monday, 00:00 UTC."""
    return (week_index * _WEEK_DAYS - _MONDAY) * _DAY_NS


class Equity(msgspec.Struct):
    """Equity at bar closes; a bar that closes at 00:00 still belongs to the day before."""

    atoms: int
    """The newest; before the first mark what the session starts with."""
    last_atoms: int | None = None
    """The newest mark; None before the first."""
    day_index: int = -1
    day_atoms: int | None = None
    """What the day began with; None before the first mark."""
    week_index: int = -1
    week_atoms: int | None = None
    """What the week began with, likewise."""
    peak_atoms: int | None = None
    """The highest mark."""

    @staticmethod
    def of(atoms: int, begun: Begun | None) -> Equity:
        """Return the equity a session starts with: its day and week began before it, if somebody followed them."""
        if begun is None:
            return Equity(atoms)
        return Equity(atoms, begun.last_atoms, begun.day_index, begun.day_atoms, begun.week_index, begun.week_atoms)

    def begun(self) -> Begun | None:
        """Return what the next session counts from; None before the first mark."""
        if self.last_atoms is None or self.day_atoms is None or self.week_atoms is None:
            return None
        return Begun(self.day_index, self.day_atoms, self.week_index, self.week_atoms, self.last_atoms)

    def begin(self, atoms: int) -> None:
        """Begin anew from an equity; what was before is not known any more."""
        self.atoms, self.last_atoms = atoms, None
        self.day_index, self.day_atoms = -1, None
        self.week_index, self.week_atoms = -1, None
        self.peak_atoms = None

    def on_mark(self, mark: EquityMark) -> None:
        """Note the equity of a bar's close."""
        day_index = (mark.ts_ns - 1) // _DAY_NS
        week_index = (day_index + _MONDAY) // _WEEK_DAYS
        before_atoms = mark.equity_atoms if self.last_atoms is None else self.last_atoms
        if day_index != self.day_index or self.day_atoms is None:
            self.day_index, self.day_atoms = day_index, before_atoms
        if week_index != self.week_index or self.week_atoms is None:
            self.week_index, self.week_atoms = week_index, before_atoms
        self.peak_atoms = max(before_atoms if self.peak_atoms is None else self.peak_atoms, mark.equity_atoms)
        self.atoms = self.last_atoms = mark.equity_atoms

    def day_profit_atoms(self, atoms: int, now_ns: int) -> int | None:
        """Return what an equity of `atoms` has gained since the day of `now_ns` began; None before the first mark."""
        if self.last_atoms is None or self.day_atoms is None:
            return None
        is_of_day = (now_ns - 1) // _DAY_NS == self.day_index
        return atoms - (self.day_atoms if is_of_day else self.last_atoms)


class Trip(msgspec.Struct):
    """One book between flat and flat: what had been realised and paid in it when it was flat last."""

    lots: int = 0
    realized_atoms: int = 0
    fees_atoms: int = 0


class Streak(msgspec.Struct):
    """Losing trades of one strategy in a row."""

    losses: int = 0
    last_ns: int = 0
    """When the last of them ended."""


class Streaks(msgspec.Struct):
    """How the trades of each strategy end: a trade is a book's way from flat to flat, or through it."""

    from_start: bool = False
    """Whether it has heard of everything since the session began; else a book counts from when it is heard of."""
    trips: list[tuple[str, str, Trip]] = []
    """(strategy, symbol, trip)."""
    by_strategy: dict[str, Streak] = {}

    def begin(self, positions: Mapping[tuple[str, str], int], *, from_start: bool) -> None:
        """Follow books which hold so much now; what was before is not known any more."""
        self.from_start = from_start
        self.trips = [(strategy, symbol, Trip(lots)) for (strategy, symbol), lots in positions.items() if from_start]
        self.by_strategy = {}

    def on_position_changed(self, message: PositionChanged, now_ns: int) -> None:
        """Follow a book; once a trade has ended, count it by what it realised less what it paid in fees."""
        trip = self._trip(message)
        if trip.lots and trip.lots * message.quantity_lots <= 0:
            realized_atoms = message.realized_atoms - trip.realized_atoms
            streak = self.by_strategy.setdefault(message.strategy, Streak())
            if realized_atoms < message.fees_atoms - trip.fees_atoms:
                streak.losses += 1
                streak.last_ns = now_ns
            else:
                streak.losses = 0
            trip.realized_atoms, trip.fees_atoms = message.realized_atoms, message.fees_atoms
        trip.lots = message.quantity_lots

    def _trip(self, message: PositionChanged) -> Trip:
        for strategy, symbol, trip in self.trips:
            if strategy == message.strategy and symbol == message.symbol:
                return trip
        trip = Trip() if self.from_start else Trip(0, message.realized_atoms, message.fees_atoms)
        self.trips.append((message.strategy, message.symbol, trip))
        return trip
