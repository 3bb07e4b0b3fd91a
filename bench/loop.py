"""W1 as one compiled loop: the bound on everything that reads a tape bar by bar on one core."""

from __future__ import annotations

import numba
import numpy as np

Prices = np.ndarray[tuple[int], np.dtype[np.float64]]


def _ema_cross_loop(
    opens: Prices,
    closes: Prices,
    fast_period: int,
    slow_period: int,
    quantity_lots: int,
    cash_atoms: int,
) -> tuple[int, int]:
    """Return the number of fills and the final equity in atoms (units as in `bench.bounds`)."""
    fast_alpha, slow_alpha = 2.0 / (fast_period + 1), 2.0 / (slow_period + 1)
    fast = slow = previous_gap = 0.0
    ordered_lots = position_lots = fills = 0
    for index in range(closes.size):
        if ordered_lots != 0:
            price_ticks = int(opens[index] * 100.0 + 0.5)
            gross_atoms = (2 * price_ticks * abs(ordered_lots) + 100) // 200
            fee_atoms = (2 * gross_atoms + 1_000) // 2_000
            cash_atoms -= fee_atoms + (gross_atoms if ordered_lots > 0 else -gross_atoms)
            position_lots += ordered_lots
            ordered_lots = 0
            fills += 1
        close = closes[index]
        if index >= slow_period:
            fast += fast_alpha * (close - fast)
            slow += slow_alpha * (close - slow)
            gap = fast - slow
            if gap > 0.0 and previous_gap <= 0.0:
                ordered_lots = quantity_lots - position_lots
            elif gap < 0.0 and previous_gap >= 0.0:
                ordered_lots = -position_lots
            previous_gap = gap
            continue
        # The first bars: sums become means, and the fast average is the first to move.
        slow += close
        if index < fast_period:
            fast += close
            if index == fast_period - 1:
                fast /= fast_period
        else:
            fast += fast_alpha * (close - fast)
        if index == slow_period - 1:
            slow /= slow_period
            previous_gap = fast - slow
    final_ticks = int(closes[-1] * 100.0 + 0.5)
    return fills, cash_atoms + final_ticks * position_lots // 100


ema_cross_loop = numba.njit("Tuple((int64, int64))(float64[::1], float64[::1], int64, int64, int64, int64)")(
    _ema_cross_loop
)
"""The loop, compiled when this module is imported; a bound owes nothing to a cache."""
