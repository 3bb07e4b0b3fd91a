"""Margin of linear perpetuals in one-way mode: one arithmetic for whoever keeps positions on margin.

The rules are those Binance publishes for its USD-margined futures (support articles "Leverage and Margin of
USDⓈ-M Futures", "How to Calculate the Margin Requirement on Binance Futures Trading", "How to Calculate Cost
Required to Open a Position in Perpetual Futures Contracts", "How to Calculate Liquidation Price of USDⓈ-M Futures
Contracts"):

* initial margin of a contract = max(abs(position + open buys), abs(position - open sells)) / leverage, the position
  at the mark, an order at its limit;
* an order that opens costs that, and what it would lose at the mark (its open loss);
* maintenance margin = value at the mark x rate of its tier - amount of its tier, where the amount of a tier is its
  floor x (its rate - the rate before) + the amount before, so that nothing jumps from tier to tier;
* a position is liquidated once margin + unrealised profit <= maintenance margin.

Initial margin is rounded up, maintenance half-up, everything else is exact.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, lcm
from typing import TYPE_CHECKING, NamedTuple

from actors.instrument import ATOMS_PER_UNIT, to_atoms
from actors.messages import BUY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.instrument import Instrument

INSUFFICIENT = "Margin is insufficient."
"""Binance's words of its code -2019."""
TOO_LARGE = "Exceeded the maximum allowable position at current leverage."
"""Binance's words of its code -2027."""

_ENDLESS = 2**200
_SLACK_ATOMS = 4
"""What roundings of a value and of its maintenance margin can come to, and more."""


class Tier(NamedTuple):
    """Positions worth more than `floor_atoms`, up to the floor of the next tier."""

    floor_atoms: int
    leverage: int
    """The highest that a position of this size may have."""
    rate: Fraction
    """Of the maintenance margin."""
    amount: Fraction
    """Maintenance amount, in atoms: what lower tiers take less."""


class Tiers:
    """Maintenance margin and highest leverage by the size of a position.

    Args:
        rows: (value in quote units above which it applies, highest leverage, maintenance rate): the first from 0,
            the later ones above more, with a higher rate and a lower leverage.
    """

    __slots__ = ("_steps", "rows")

    def __init__(self, rows: Iterable[tuple[Decimal | int, int, Decimal]]) -> None:
        found: list[Tier] = []
        for above, leverage, rate in rows:
            floor_atoms, share = to_atoms(Decimal(above)), Fraction(rate)
            last = found[-1] if found else Tier(-1, _ENDLESS, Fraction(0), Fraction(0))
            assert floor_atoms > last.floor_atoms, rows
            assert found or not floor_atoms, rows
            assert last.rate < share < 1, rows
            assert 1 <= leverage < last.leverage, rows
            amount = floor_atoms * (share - last.rate) + last.amount
            found.append(Tier(floor_atoms, leverage, share, amount))
        assert found, "at least one tier"
        self.rows = tuple(found)
        self._steps = [(self._cap(index), *_half_up(tier.rate, tier.amount)) for index, tier in enumerate(found)]

    def maintenance_atoms(self, value_atoms: int) -> int:
        """Return the maintenance margin of a position whose value is `value_atoms`, 0 or more."""
        for cap_atoms, factor, offset, divisor in self._steps:
            if value_atoms <= cap_atoms:
                return (value_atoms * factor + offset) // divisor
        raise AssertionError(value_atoms)

    def most_atoms(self, leverage: int) -> int | None:
        """Return the most that a position of this leverage may be worth; None where there is no bound."""
        most_atoms: int | None = 0
        for index, tier in enumerate(self.rows):
            if tier.leverage >= leverage:
                most_atoms = self._cap(index) if index + 1 < len(self.rows) else None
        return most_atoms

    def liquidation_ticks(self, instrument: Instrument, lots: int, cost_atoms: int, margin_atoms: int) -> int:
        """Return the first mark, on the way to a loss, at which a position is liquidated; 0 where none is.

        Args:
            instrument: what is held.
            lots: how much, signed.
            cost_atoms: at what cost, signed alike.
            margin_atoms: what stands behind it besides its own profit: of an isolated position its margin; on cross
                margin the wallet with the profit of the other positions, less their maintenance margin.
        """
        if not lots:
            return 0
        need_atoms = cost_atoms - margin_atoms if lots > 0 else margin_atoms - cost_atoms
        if lots > 0 and need_atoms < 0:
            return 0

        def is_used_up(ticks: int) -> bool:
            value_atoms = instrument.value_atoms(ticks, lots)
            return margin_atoms + value_atoms - cost_atoms <= self.maintenance_atoms(abs(value_atoms))

        spec = instrument.spec
        atoms_per_tick = Fraction(spec.tick) * Fraction(spec.lot) * ATOMS_PER_UNIT * abs(lots)
        sign = 1 if lots > 0 else -1
        value = max(Fraction(0), self._value_at(need_atoms, sign))
        slack = _SLACK_ATOMS / ((1 - self.rows[-1].rate) * atoms_per_tick) + 1
        low = max(0, floor(value / atoms_per_tick - slack))
        high = ceil(value / atoms_per_tick + slack)
        return _highest(is_used_up, low, high) if lots > 0 else _lowest(is_used_up, low, high)

    def _value_at(self, need_atoms: int, sign: int) -> Fraction:
        """Return the value whose distance from its maintenance margin (sign 1), or sum with it (-1), is needed."""
        value = Fraction(0)
        for index, tier in enumerate(self.rows):
            value = (need_atoms - sign * tier.amount) / (1 - sign * tier.rate)
            if value <= self._cap(index):
                break
        return value

    def _cap(self, index: int) -> int:
        return self.rows[index + 1].floor_atoms if index + 1 < len(self.rows) else _ENDLESS


class Margin(NamedTuple):
    """Initial margin of one contract, in atoms."""

    position_atoms: int
    order_atoms: int
    worst_atoms: int
    """Value of the larger of the positions it can end in."""


def initial_margin(value_atoms: int, bought_atoms: int, sold_atoms: int, leverage: int) -> Margin:
    """Return the initial margin of a position and its open orders.

    Args:
        value_atoms: of the position at its mark, signed.
        bought_atoms: of all open buys.
        sold_atoms: of all open sells.
        leverage: of the contract.
    """
    position_atoms = share_of(abs(value_atoms), leverage)
    worst_atoms = max(abs(value_atoms + bought_atoms), abs(value_atoms - sold_atoms))
    return Margin(position_atoms, share_of(worst_atoms, leverage) - position_atoms, worst_atoms)


def open_loss(instrument: Instrument, side: int, price_ticks: int, mark_ticks: int, lots: int) -> int:
    """Return what an order at `price_ticks` would have lost at the mark once it is filled, in atoms."""
    lost_ticks = side * (price_ticks - mark_ticks)
    return instrument.value_atoms(lost_ticks, lots) if lost_ticks > 0 else 0


def isolated_change(
    instrument: Instrument, held_lots: int, isolated_atoms: int, side: int, price_ticks: int, lots: int, leverage: int
) -> tuple[int, int]:
    """Return (atoms set aside for what a fill opens, atoms given back for what it closes) of an isolated position."""
    closed_lots = min(abs(held_lots), lots) if held_lots * side < 0 else 0
    taken_atoms = share_of(instrument.value_atoms(price_ticks, lots - closed_lots), leverage)
    if closed_lots == abs(held_lots):
        return taken_atoms, isolated_atoms
    return taken_atoms, isolated_atoms * closed_lots // abs(held_lots)


def share_of(atoms: int, leverage: int) -> int:
    """Return `atoms` over the leverage, rounded up."""
    return -(-atoms // leverage)


def is_beyond(side: int, liquidation_ticks: int, price_ticks: int) -> bool:
    """Return whether a mark has reached the price at which a position of `side` is liquidated."""
    if not liquidation_ticks:
        return False
    return price_ticks <= liquidation_ticks if side == BUY else price_ticks >= liquidation_ticks


def _half_up(rate: Fraction, amount: Fraction) -> tuple[int, int, int]:
    """Return (factor, offset, divisor) so that (value x factor + offset) // divisor is value x rate - amount."""
    divisor = lcm(rate.denominator, amount.denominator)
    return 2 * int(rate * divisor), divisor - 2 * int(amount * divisor), 2 * divisor


def _highest(is_so: Callable[[int], bool], low: int, high: int) -> int:
    """Return the highest number of which it is so; it is of all below that, and not of `high`."""
    assert not is_so(high), high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_so(middle) else (low, middle)
    return low


def _lowest(is_so: Callable[[int], bool], low: int, high: int) -> int:
    """Return the lowest number from 1 on of which it is so; it is of all above that, and of `high`."""
    assert is_so(high), high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_so(middle) else (middle, high)
    return high
