"""The price grid of a tape: the tick its prices are multiples of.

A float is on a grid of step ``p / q`` if it is the double nearest to some ``k * p / q``. Only
multiplication, division and rounding to whole numbers are used, all of them exact to the last bit
by IEEE 754, so the answer is the same on every machine.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from config.errors import UserError
from replay.tape.columns import PRICE_NAMES, Columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from replay.tape.columns import Floats

DECIMALS_MAX = 8
_MOVE_MAX = 1e-4
_EXACT_BELOW = 2.0**52
_FINEST = float(10**DECIMALS_MAX)


class Grid:
    """Infers the tick of the prices it is shown; rounds those with too many decimals."""

    __slots__ = ("_decimals", "rounded")

    def __init__(self) -> None:
        self._decimals = 0
        self.rounded = 0
        """Prices that had more than `DECIMALS_MAX` decimals."""

    @property
    def tick(self) -> Decimal:
        """The coarsest power of ten, 1 at most, that all prices so far are multiples of."""
        return Decimal(1).scaleb(-self._decimals)

    def take(self, columns: Columns, where: str, first_row: int) -> Columns:
        """Widen the grid until it holds these prices; return them, rounded where it cannot.

        Raises:
            UserError: rounding would change a price by more than one part in ten thousand.
        """
        prices = (columns.open, columns.high, columns.low, columns.close)
        while not all(_on_grid(price, float(10**self._decimals)) for price in prices):
            if self._decimals == DECIMALS_MAX:
                return self._round(columns, where, first_row)
            self._decimals += 1
        return columns

    def widen(self, prices: Floats) -> int | None:
        """Widen the grid until it holds these prices; return the index of the first that none holds, or None."""
        while not _on_grid(prices, float(10**self._decimals)):
            if self._decimals == DECIMALS_MAX:
                nearest = np.rint(prices * _FINEST) / _FINEST
                return int(np.argmax(nearest != prices))
            self._decimals += 1
        return None

    def _round(self, columns: Columns, where: str, first_row: int) -> Columns:
        rounded = round_prices(columns)
        for name in PRICE_NAMES:
            before, after = getattr(columns, name), getattr(rounded, name)
            self.rounded += int(np.count_nonzero(before != after))
            moved = np.abs(after - before) > _MOVE_MAX * before
            if moved.any():
                row = int(moved.argmax())
                message = (
                    f"{where}: row {first_row + row}: {name} {before[row]!s} has more than "
                    f"{DECIMALS_MAX} decimals and rounding would change it by more than 0.01 %; "
                    f"give the tick (--set instrument.tick=...)"
                )
                raise UserError(message)
        return rounded


def round_prices(columns: Columns) -> Columns:
    """Return the columns with prices of more than `DECIMALS_MAX` decimals rounded half-up."""
    return Columns(
        columns.open_ns,
        _rounded(columns.open),
        _rounded(columns.high),
        _rounded(columns.low),
        _rounded(columns.close),
        columns.volume,
    )


def count_off_tick(columns: Columns, tick: Decimal) -> int:
    """Return how many prices are not multiples of `tick`."""
    return sum(count_off_prices(price, tick) for price in (columns.open, columns.high, columns.low, columns.close))


def count_off_prices(prices: Floats, tick: Decimal) -> int:
    """Return how many of one column's prices are not multiples of `tick`."""
    step = Fraction(tick)
    numerator, denominator = float(step.numerator), float(step.denominator)
    nearest = np.rint(prices * denominator / numerator) * numerator / denominator
    return int(np.count_nonzero(nearest != prices))


def _on_grid(prices: Floats, scale: float) -> bool:
    """Return whether all prices are whole multiples of ``1 / scale``."""
    nearest = prices * scale
    np.rint(nearest, out=nearest)
    np.divide(nearest, scale, out=nearest)
    return bool((nearest == prices).all())


def _rounded(prices: Floats) -> Floats:
    """Round to `DECIMALS_MAX` decimals; a price too large to have that many stays as it is."""
    scaled = prices * _FINEST
    rounded: NDArray[np.float64] = np.where(
        (np.rint(scaled) / _FINEST == prices) | (scaled >= _EXACT_BELOW),
        prices,
        np.floor(scaled + 0.5) / _FINEST,
    )
    return rounded
