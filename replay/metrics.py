"""Performance figures, computed in one pass over bounded chunks of the equity curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_DAY_NS = 86_400_000_000_000
_DAYS_PER_YEAR = 365
_DAYS_MIN = 3


class EquityCurve:
    """Drawdown and daily returns of equity at bar closes.

    Where several series close at the same time, the last mark of that time counts.
    """

    def __init__(self, start_atoms: int) -> None:
        self.max_drawdown = 0.0
        """Largest fall from an earlier peak, as a positive fraction of that peak."""
        self._start_atoms = start_atoms
        self._peak_atoms = float(start_atoms)
        self._last: tuple[int, float] | None = None
        self._day_index: int | None = None
        self._daily: list[float] = []

    def add(self, times_ns: ArrayLike, equity_atoms: ArrayLike) -> None:
        """Take marks in order of time."""
        times = np.asarray(times_ns, dtype=np.int64)
        equity = np.asarray(equity_atoms, dtype=np.float64)
        if not len(times):
            return
        if self._last is not None and self._last[0] != times[0]:
            self.finish()
        final = times[1:] != times[:-1]
        self._count(times[:-1][final], equity[:-1][final])
        self._last = (int(times[-1]), float(equity[-1]))

    def sharpe(self) -> float | None:
        """Return mean over standard deviation of daily (UTC) returns x sqrt(365); None under three days."""
        self.finish()
        if len(self._daily) < _DAYS_MIN:
            return None
        equity = np.array([float(self._start_atoms), *self._daily])
        if (equity[:-1] <= 0).any():
            return None
        returns = equity[1:] / equity[:-1] - 1.0
        deviation = float(returns.std(ddof=1))
        if deviation == 0.0:
            return None
        return float(returns.mean()) / deviation * float(np.sqrt(_DAYS_PER_YEAR))

    def finish(self) -> None:
        """Count the newest mark: no other of its time will follow."""
        if self._last is not None:
            self._count(np.array([self._last[0]]), np.array([self._last[1]]))
            self._last = None

    def _count(self, times_ns: NDArray[np.int64], equity_atoms: NDArray[np.float64]) -> None:
        if not len(times_ns):
            return
        peaks = np.maximum(np.maximum.accumulate(equity_atoms), self._peak_atoms)
        falls = (peaks - equity_atoms) / np.where(peaks > 0.0, peaks, np.inf)
        self.max_drawdown = max(self.max_drawdown, float(falls.max()))
        self._peak_atoms = float(peaks[-1])
        days = (times_ns - 1) // _DAY_NS
        ends = np.flatnonzero(np.append(days[1:] != days[:-1], True))
        for index in ends:
            if int(days[index]) == self._day_index:
                self._daily[-1] = float(equity_atoms[index])
            else:
                self._day_index = int(days[index])
                self._daily.append(float(equity_atoms[index]))
