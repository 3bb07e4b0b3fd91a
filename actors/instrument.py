"""Exact units: where floats become ticks, lots and atoms, and where integers become money.

A price is a whole number of ticks, a quantity a whole number of lots, money a whole number of atoms
(1e-8 of the quote asset). The value of one tick times one lot may be a fraction of an atom, so a value
is computed as an exact rational and rounded half-up once, by magnitude, then signed.
"""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

ATOM = Decimal("1e-8")
ATOMS_PER_UNIT = 10**8
_NEAR = 0.25
_SNAP = 1e-6
_EXACT_BELOW = 2.0**50
_INT64_BELOW = 2**62
_ORDINARY_BELOW = 2**60
_SUMMABLE_BELOW = 2**56
"""Values of which dozens may be added in an int64."""


def to_atoms(amount: Decimal) -> int:
    """Return `amount` quote units as atoms, rounded half-up by magnitude."""
    return int((amount / ATOM).to_integral_value(rounding=ROUND_HALF_UP))


def from_atoms(atoms: int) -> Decimal:
    """Return atoms as quote units, exactly."""
    return Decimal(atoms) * ATOM if atoms else Decimal(0)


class Rate:
    """A fraction such as a fee, applied to atoms exactly."""

    __slots__ = ("_denominator", "_half", "_numerator")

    def __init__(self, rate: Decimal) -> None:
        fraction = Fraction(rate)
        self._numerator = 2 * fraction.numerator
        self._half = fraction.denominator
        self._denominator = 2 * fraction.denominator

    def of(self, atoms: int) -> int:
        """Return rate x `atoms`, rounded half-up by magnitude, signed as the product is."""
        doubled = atoms * self._numerator
        if doubled < 0:
            return -((self._half - doubled) // self._denominator)
        return (doubled + self._half) // self._denominator


class InstrumentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument as it is written down: what a manifest keeps."""

    symbol: str
    tick: Decimal
    """Smallest price step in quote units."""
    lot: Decimal
    """Smallest quantity that is booked, in base units."""
    min_notional: Decimal = Decimal(0)
    """Smallest order value in quote units; 0 for none."""
    inferred: bool = False
    """Whether tick or lot were read off the tape."""
    step: Decimal | None = None
    """Smallest step of an order's quantity in base units, a multiple of the lot; the lot itself unless given."""
    base: str = ""
    """Name of the base asset, where a real venue keeps it."""
    quote: str = ""
    """Name of the quote asset, likewise."""
    long_only: bool = False
    """Whether nothing can be sold that is not held: spot without margin."""
    contract: bool = False
    """Whether it is a linear perpetual: positions are signed, and profit settles in the quote asset."""


class Instrument:
    """An instrument at work: converts floats to integers and integers to money.

    Raises:
        ValueError: the tick or the lot is not positive, or the step is no multiple of the lot.
    """

    __slots__ = (
        "_atoms_per_price_lot",
        "_denominator",
        "_half",
        "_lots_per_unit",
        "_numerator",
        "_ticks_per_unit",
        "min_notional_atoms",
        "spec",
        "step_lots",
        "symbol",
    )

    def __init__(self, spec: InstrumentSpec) -> None:
        if spec.tick <= 0 or spec.lot <= 0:
            message = f"instrument {spec.symbol}: tick and lot must be positive"
            raise ValueError(message)
        step_lots = Fraction(spec.step or spec.lot) / Fraction(spec.lot)
        if step_lots.denominator != 1:
            message = f"instrument {spec.symbol}: the step {spec.step} is no multiple of the lot {spec.lot}"
            raise ValueError(message)
        self.spec = spec
        self.step_lots = step_lots.numerator
        self.symbol = spec.symbol
        self.min_notional_atoms = to_atoms(spec.min_notional)
        value = Fraction(spec.tick) * Fraction(spec.lot) * ATOMS_PER_UNIT
        self._numerator = 2 * value.numerator
        self._half = value.denominator
        self._denominator = 2 * value.denominator
        self._atoms_per_price_lot = float(Fraction(spec.lot) * ATOMS_PER_UNIT)
        self._ticks_per_unit = float(1 / Fraction(spec.tick))
        self._lots_per_unit = float(1 / Fraction(spec.lot))

    def value_atoms(self, price_ticks: int, quantity_lots: int) -> int:
        """Return price x quantity in atoms, rounded half-up by magnitude, signed as the quantity is."""
        if quantity_lots < 0:
            return -((price_ticks * -quantity_lots * self._numerator + self._half) // self._denominator)
        return (price_ticks * quantity_lots * self._numerator + self._half) // self._denominator

    def is_ordinary(self, price: float, quantity_lots: int) -> bool:
        """Return whether ticks, lots and value are all far below what a journal can hold; False may be wrong."""
        return (
            quantity_lots < _ORDINARY_BELOW
            and price * self._ticks_per_unit < _ORDINARY_BELOW
            and price * quantity_lots * self._atoms_per_price_lot < _ORDINARY_BELOW
        )

    def mark_atoms(self, price: float, quantity_lots: int) -> int:
        """Return the value of a position at `price`: `price_to_ticks` and `value_atoms` in one step."""
        steps = price * self._ticks_per_unit
        ticks = int(steps + 0.5) if steps < _EXACT_BELOW else -1
        if not -_NEAR < steps - ticks < _NEAR:
            ticks = self.price_to_ticks(price)
        if quantity_lots < 0:
            return -((ticks * -quantity_lots * self._numerator + self._half) // self._denominator)
        return (ticks * quantity_lots * self._numerator + self._half) // self._denominator

    def mark_atoms_each(self, prices: NDArray[np.float64], lots: NDArray[np.int64]) -> NDArray[Any]:
        """Return `mark_atoms` of each pair: as int64, or as Python integers (dtype object) where these may not do."""
        steps = prices * self._ticks_per_unit
        if not len(steps) or float(steps.max()) >= _EXACT_BELOW:
            return self._mark_atoms_slowly(prices, lots)
        ticks = (steps + 0.5).astype(np.int64)
        for index in np.flatnonzero(np.abs(steps - ticks) >= _NEAR).tolist():
            ticks[index] = self.price_to_ticks(float(prices[index]))
        sizes = np.abs(lots)
        if int(ticks.max()) * int(sizes.max()) * self._numerator + self._half >= _INT64_BELOW:
            return self._mark_atoms_slowly(prices, lots)
        atoms = (ticks * sizes * self._numerator + self._half) // self._denominator
        signed: NDArray[Any] = np.where(lots < 0, -atoms, atoms)
        return signed if int(atoms.max()) < _SUMMABLE_BELOW else signed.astype(object)

    def _mark_atoms_slowly(self, prices: NDArray[np.float64], lots: NDArray[np.int64]) -> NDArray[Any]:
        return np.array([self.mark_atoms(*pair) for pair in zip(prices.tolist(), lots.tolist(), strict=True)], object)

    def price_to_ticks(self, price: float) -> int:
        """Return the tick nearest to `price`, half-up; exact where floats leave a doubt."""
        steps = price * self._ticks_per_unit
        ticks = int(steps + 0.5) if steps < _EXACT_BELOW else -1
        if -_NEAR < steps - ticks < _NEAR:
            return ticks
        return int((Decimal(repr(price)) / self.spec.tick).to_integral_value(rounding=ROUND_HALF_UP))

    def price_to_ticks_down(self, price: float) -> int:
        """Return the highest tick not above `price`."""
        ticks = self.price_to_ticks(price)
        return ticks - 1 if Decimal(repr(price)) < ticks * self.spec.tick else ticks

    def price_to_ticks_up(self, price: float) -> int:
        """Return the lowest tick not below `price`."""
        ticks = self.price_to_ticks(price)
        return ticks + 1 if Decimal(repr(price)) > ticks * self.spec.tick else ticks

    def quantity_to_lots(self, quantity: float) -> int:
        """Return `quantity` in lots, cut toward zero to whole steps: an order is never larger than wished."""
        steps = abs(quantity) * self._lots_per_unit
        lots = int(steps + 0.5) if steps < _EXACT_BELOW else -1
        if not -_SNAP < steps - lots < _SNAP:
            lots = int(Decimal(repr(abs(quantity))) / self.spec.lot)
        if self.step_lots != 1:
            lots -= lots % self.step_lots
        return -lots if quantity < 0 else lots

    def price_float(self, price_ticks: int) -> float:
        """Return the float nearest to a price."""
        return _from_steps(price_ticks, self._ticks_per_unit, self.spec.tick)

    def quantity_float(self, quantity_lots: int) -> float:
        """Return the float nearest to a quantity."""
        return _from_steps(quantity_lots, self._lots_per_unit, self.spec.lot)

    def price(self, price_ticks: int) -> Decimal:
        """Return a price in quote units, exactly."""
        return price_ticks * self.spec.tick

    def quantity(self, quantity_lots: int) -> Decimal:
        """Return a quantity in base units, exactly."""
        return quantity_lots * self.spec.lot


def _from_steps(count: int, steps_per_unit: float, step: Decimal) -> float:
    """Return count x step as the nearest float: one exact division where a unit is a whole number of steps."""
    if steps_per_unit.is_integer() and -_EXACT_BELOW < count < _EXACT_BELOW:
        return count / steps_per_unit
    return float(count * step)
