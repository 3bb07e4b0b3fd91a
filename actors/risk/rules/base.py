"""What a rule is: a name, a limit, and what it says of an order that would increase a position.

A rule never sees an exit: what only brings a position nearer to nothing has passed before the first rule is asked,
and of an order that closes and opens again, the closing part passes whatever the rules say of the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from actors.instrument import Instrument
    from actors.risk.books import Books, Exposure

Action = Literal["veto", "clip", "pause", "cancel_all", "flatten", "halt"]
Need = Literal["equity", "bars", "trades", "quotes", "marks", "funding", "positions", "answers"]
"""What the core has to tell risk for a rule to work; nothing of it is listened to for a rule that is off."""


class Verdict(NamedTuple):
    """What a rule has against an order."""

    reason: str
    lots: int = 0
    """Most lots that would pass."""


class Proposal:
    """An order that would increase a position, or the change of one that could.

    Attributes:
        strategy: whose it is.
        symbol: what it trades.
        side: BUY or SELL.
        lots: what it adds to what works already; in an amend it may be 0 or less.
        resting_lots: what of it works already: 0 unless it is an amend.
        exposed_lots: the position and all that works on the order's side, counted in the order's direction.
        free_lots: the part of `lots` that only closes.
        limit_ticks: its limit, 0 without one.
        stop_ticks: its trigger, 0 without one.
        price_ticks: the price of the decision, 0 if there is none yet.
        protective_stop: the price at which its strategy gets out if it goes wrong, if it said so.
        stop_distance: how far that is from its own price, likewise.
        instrument: of the symbol.
    """

    __slots__ = (
        "_books",
        "_exposures",
        "exposed_lots",
        "free_lots",
        "instrument",
        "limit_ticks",
        "lots",
        "price_ticks",
        "protective_stop",
        "resting_lots",
        "side",
        "stop_distance",
        "stop_ticks",
        "strategy",
        "symbol",
    )

    def __init__(
        self,
        strategy: str,
        symbol: str,
        side: int,
        lots: int,
        instrument: Instrument,
        books: Books,
        *,
        exposed_lots: int = 0,
        free_lots: int = 0,
        resting_lots: int = 0,
        limit_ticks: int = 0,
        stop_ticks: int = 0,
        price_ticks: int = 0,
        protective_stop: float | None = None,
        stop_distance: float | None = None,
    ) -> None:
        self.strategy = strategy
        self.symbol = symbol
        self.side = side
        self.lots = lots
        self.instrument = instrument
        self.exposed_lots = exposed_lots
        self.free_lots = free_lots
        self.resting_lots = resting_lots
        self.limit_ticks = limit_ticks
        self.stop_ticks = stop_ticks
        self.price_ticks = price_ticks
        self.protective_stop = protective_stop
        self.stop_distance = stop_distance
        self._books = books
        self._exposures: dict[tuple[str, str], Exposure] | None = None

    @property
    def exposures(self) -> dict[tuple[str, str], Exposure]:
        """Every book, this order not counted (an amended one as it works now)."""
        if self._exposures is None:
            self._exposures = self._books.exposures()
        return self._exposures

    @property
    def own_ticks(self) -> int:
        """The price it names itself, its limit before its trigger; else that of the decision."""
        return self.limit_ticks or self.stop_ticks or self.price_ticks


class Rule(ABC):
    """One limit that is switched on.

    Attributes:
        name: of its setting.
        limit: its value in words, as the status shows it.
        action: what happens when it is breached.
    """

    __slots__ = ("action", "limit", "name")

    needs: ClassVar[tuple[Need, ...]] = ()
    holds: ClassVar[bool] = False
    """Whether it bounds what may come to be held, whatever the order is like."""

    def __init__(self, name: str, limit: str, action: Action) -> None:
        self.name = name
        self.limit = limit
        self.action = action

    @abstractmethod
    def judge(self, order: Proposal) -> Verdict | None:
        """Return what stands against an order, or None if it may pass."""

    def breached(self) -> str:
        """Return why the account as it stands is beyond the limit, whatever is ordered; empty if it is not."""
        return ""


class Ceiling:
    """A limit on each of several things: one for all of them, and some of their own; the tighter one counts."""

    __slots__ = ("_each", "_own")

    def __init__(self, each: Decimal | None, own: Mapping[str, Decimal | None]) -> None:
        """Limit everything by `each`, and what `own` names by that."""
        self._each = each
        self._own = {name: limit for name, limit in own.items() if limit is not None}

    def __bool__(self) -> bool:
        return self._each is not None or bool(self._own)

    def of(self, name: str) -> Decimal | None:
        """Return the limit of one thing, if it has any."""
        own = self._own.get(name)
        if own is None or (self._each is not None and self._each < own):
            return self._each
        return own

    def __str__(self) -> str:
        limits = [f"{name} {limit}" for name, limit in self._own.items()]
        return ", ".join(limits if self._each is None else [f"{self._each}", *limits])


def most_lots(order: Proposal, fits: Callable[[int], bool]) -> int:
    """Return the most lots that fit, between what only closes and the whole order, which does not.

    `fits` must hold of no more lots than of fewer.
    """
    low, high = order.free_lots, order.lots
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
