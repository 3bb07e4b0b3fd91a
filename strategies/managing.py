"""What a strategy can do with a position as a whole: have it end by rules that the desk keeps, as orders at the venue.

    self.bracket(quantity, stop=bar.close - 2 * f.atr, take_profit=bar.close + 4 * f.atr)
    self.trail(3 * f.atr)

There is one set of exits for each symbol, for all of the position in it: what is said last, counts. Protective stops
rest at the venue and are amended there; every exit can only reduce. A position that grows, shrinks or turns, by
whatever order, is followed, and all of this survives restarts. Where a venue could execute two exits for the same lots
(spot, where nothing is reduce-only; or a contract that several strategies trade), the stop rests, and profits are taken
by market orders once a bar or a tick has reached them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from operator import index
from typing import TYPE_CHECKING, TypedDict, Unpack, get_args

from actors.desk.exit_terms import ExitTerms
from actors.desk.exits import Entry
from actors.messages import TimeInForce

if TYPE_CHECKING:
    from actors.desk.desk import Desk

_TIMES_IN_FORCE = get_args(TimeInForce)
_WHOLE = 1 + 1e-9
_PERCENT = 100

TakeProfit = float | Sequence[tuple[float, float]]
"""A price for all of the position, or rungs of (price, share of the position); the shares add up to 1 at most."""


class Exits(TypedDict, total=False):
    """How a position is to end; what is left out, or None, is not spoken of."""

    stop: float | None
    """Price at which all of it is closed at a loss; risk per trade is judged by it."""
    take_profit: TakeProfit | None
    """A price, or rungs (scaling out)."""
    trail: float | None
    """The stop follows the best price since the entry at this distance in quote units, such as ``2 * f.atr``."""
    trail_percent: float | None
    """The same, in percent of the best price."""
    break_even: float | None
    """Once the price has gone this far in quote units, the stop is moved to what the position cost on average..."""
    break_even_offset: float
    """... and so much better, for the fees."""
    time_stop_bars: int | None
    """It is closed at the market after so many bars that opened after the entry."""
    time_stop_s: float | None
    """It is closed at the market after so many seconds."""


class ManagesPositions:
    """The methods of a `Strategy` that are about positions rather than orders."""

    def bracket(
        self,
        quantity: float,
        *,
        limit: float | None = None,
        trigger: float | None = None,
        time_in_force: TimeInForce = "gtc",
        post_only: bool = False,
        symbol: str | None = None,
        **exits: Unpack[Exits],
    ) -> int:
        """Open a position, or enlarge it, with its exits; return the number of the entry.

        The exits are ordered as the entry fills, for as much as it has filled, and withdraw one another. Called again
        with a position of the same side it enlarges that (scaling in), and what it says of exits holds for all of it.
        The entry is vetoed where its exits make no sense: a stop beyond it, or a position of the other side.

        Args:
            quantity: base units, negative for a short position.
            limit: price of the entry; a market order without.
            trigger: price at which the entry becomes an order: a stop entry, or with `limit` a stop-limit.
            time_in_force: of the entry.
            post_only: of the entry; needs `limit` alone.
            symbol: the one in hand unless given.
            exits: any of `Exits`.
        """
        entry = _entry(quantity, limit, trigger, time_in_force, post_only=post_only)
        terms = _terms(**exits)
        desk = self._bound()
        return desk.exits.bracket(desk.standing(symbol), [entry], terms)[0]

    def scale_in(
        self,
        rungs: Sequence[tuple[float, float]],
        *,
        post_only: bool = False,
        symbol: str | None = None,
        **exits: Unpack[Exits],
    ) -> tuple[int, ...]:
        """Open a position by several limit orders, with its exits; return their numbers.

        Once the position is closed, what is left of the orders is withdrawn.

        Args:
            rungs: (limit price, quantity in base units), all quantities of one sign.
            post_only: refuse an order that would take.
            symbol: the one in hand unless given.
            exits: any of `Exits`.
        """
        entries = [_entry(quantity, limit, None, "gtc", post_only=post_only) for limit, quantity in rungs]
        if not entries or any(entry.quantity * entries[0].quantity <= 0 for entry in entries):
            message = "scale_in: give rungs of (limit, quantity), all quantities of one sign"
            raise ValueError(message)
        terms = _terms(**exits)
        desk = self._bound()
        return tuple(desk.exits.bracket(desk.standing(symbol), entries, terms))

    def protect(self, *, symbol: str | None = None, **exits: Unpack[Exits]) -> bool:
        """Set or change exits of the position there is, or whose entry is under way; what is not given stays.

        A stop may be set farther away, too; trailing and break-even only bring it nearer.
        Returns False where there is nothing to protect, and does nothing then.
        """
        terms = _terms(**exits)
        desk = self._bound()
        return desk.exits.protect(desk.standing(symbol), terms)

    def trail(self, distance: float | None = None, *, percent: float | None = None, symbol: str | None = None) -> bool:
        """Have the stop follow the best price from here on, at a distance in quote units or in percent.

        Called with every bar it follows the distance, too, for instance ``3 * f.atr``. Results are those of `protect`.
        """
        if (distance is None) == (percent is None):
            message = "trail: give a distance, or a percentage"
            raise ValueError(message)
        return self.protect(trail=distance, trail_percent=percent, symbol=symbol)

    def scale_out(self, share: float, *, symbol: str | None = None) -> bool:
        """Close a share of the position, above 0 and up to 1, at the market; return whether there is one."""
        if not 0 < share <= 1:
            message = f"scale_out({share}): the share must be above 0 and at most 1"
            raise ValueError(message)
        desk = self._bound()
        return desk.exits.scale_out(desk.standing(symbol), float(share))

    def close(self, *, symbol: str | None = None) -> bool:
        """Close the position at the market, withdraw its exits and its entries; return whether there is one."""
        desk = self._bound()
        return desk.exits.close(desk.standing(symbol))

    def release(self, *, symbol: str | None = None) -> bool:
        """Withdraw all exits and leave the position to the strategy; return whether there were any."""
        desk = self._bound()
        return desk.exits.release(desk.standing(symbol))

    def oco(self, *refs: int) -> None:
        """Have the first execution of one of these orders, however small, withdraw the others.

        An order that ends without one leaves the others alone.
        """
        numbers = list(dict.fromkeys(index(ref) for ref in refs))
        if len(numbers) < 2:  # noqa: PLR2004 - one order has no other
            message = f"oco{refs}: name two orders at least"
            raise ValueError(message)
        self._bound().exits.link(numbers)

    if TYPE_CHECKING:  # a strategy has it

        def _bound(self) -> Desk: ...


def check_order(
    quantity: float, limit: float | None, stop: float | None, time_in_force: TimeInForce, *, post_only: bool
) -> None:
    """Refuse terms that no order has.

    Raises:
        ValueError: names the one that is wrong.
    """
    check_positive((("quantity", quantity), ("limit", limit), ("stop", stop)))
    if time_in_force not in _TIMES_IN_FORCE:
        message = f"time_in_force must be one of {', '.join(_TIMES_IN_FORCE)}, not {time_in_force!r}"
        raise ValueError(message)
    if post_only and (limit is None or stop is not None):
        message = "post_only needs a limit order"
        raise ValueError(message)


def check_positive(terms: tuple[tuple[str, float | None], ...]) -> None:
    """Refuse what is given and no positive finite number.

    Raises:
        ValueError: names it.
    """
    for name, value in terms:
        if value is not None and not (isfinite(value) and value > 0):
            message = f"{name} must be a positive number, not {value}"
            raise ValueError(message)


def _entry(
    quantity: float, limit: float | None, trigger: float | None, time_in_force: TimeInForce, *, post_only: bool
) -> Entry:
    if not isfinite(quantity) or quantity == 0:
        message = f"quantity must be a number other than 0, not {quantity}"
        raise ValueError(message)
    check_positive((("trigger", trigger),))
    check_order(abs(quantity), limit, trigger, time_in_force, post_only=post_only)
    return Entry(float(quantity), _float(limit), _float(trigger), time_in_force, bool(post_only))


def _terms(
    *,
    stop: float | None = None,
    take_profit: TakeProfit | None = None,
    trail: float | None = None,
    trail_percent: float | None = None,
    break_even: float | None = None,
    break_even_offset: float = 0.0,
    time_stop_bars: int | None = None,
    time_stop_s: float | None = None,
) -> ExitTerms:
    check_positive((("stop", stop), ("trail", trail), ("break_even", break_even), ("time_stop_s", time_stop_s)))
    if trail_percent is not None and not 0 < trail_percent < _PERCENT:
        message = f"trail_percent must be above 0 and below {_PERCENT}, not {trail_percent}"
        raise ValueError(message)
    if trail is not None and trail_percent is not None:
        message = "give trail or trail_percent, not both"
        raise ValueError(message)
    if not (isfinite(break_even_offset) and break_even_offset >= 0):
        message = f"break_even_offset must be a number of at least 0, not {break_even_offset}"
        raise ValueError(message)
    if time_stop_bars is not None and index(time_stop_bars) < 1:
        message = f"time_stop_bars must be at least 1, not {time_stop_bars}"
        raise ValueError(message)
    return ExitTerms(
        stop=_float(stop),
        take_profit=None if take_profit is None else _rungs(take_profit),
        trail=_float(trail),
        trail_percent=_float(trail_percent),
        break_even=_float(break_even),
        break_even_offset=float(break_even_offset),
        time_stop_bars=None if time_stop_bars is None else index(time_stop_bars),
        time_stop_s=_float(time_stop_s),
    )


def _rungs(take_profit: TakeProfit) -> tuple[tuple[float, float], ...]:
    rungs = take_profit if isinstance(take_profit, Sequence) else ((take_profit, 1.0),)
    for price, share in rungs:
        check_positive((("take_profit", price), ("share", share)))
    if not rungs or sum(share for _, share in rungs) > _WHOLE:
        message = f"take_profit: the shares must add up to 1 at most, not {sum(share for _, share in rungs)}"
        raise ValueError(message)
    return tuple((float(price), float(share)) for price, share in rungs)


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
