"""What rows in the order of time say about the market: leaps, silence, swapped volumes, a last bar cut short.

The thresholds are wide on purpose. A market does leap; named is only what comes straight back or what no market does,
and over the recorded data of the tests that is nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from replay.tape.checking.sequence import joined, taken
from replay.tape.columns import time_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from replay.tape.checking.report import Collector
    from replay.tape.checking.rows import Batch
    from replay.tape.columns import Floats

WINDOW_ROWS = 512
"""Returns judged at once, against the median absolute deviation of these and as many before them."""
LEAP_DEVIATIONS = 20.0
"""A leap is at least so many median absolute deviations of the log returns around it ..."""
LEAP_LOG_MIN = 0.2
"""... and at least this far, as a logarithm, when the next row takes it back;"""
LEAP_LOG_SURE = 1.0986
"""... or so far, a factor of three, when it stays."""
BACK_SHARE = 0.25
"""What a leap that came back may leave of itself."""
PARTIAL_ROWS = 2_000
"""Bars whose volume, beside the mean of the three before each, is compared with the last one's."""
PARTIAL_ROWS_MIN = 500
_PARTIAL_BEFORE = 3
_RANGE_SLACK = 1e-3
"""Volume in quote over volume is a price within the bar, but for rounding."""


class Leaps:
    """Finds prices that leap and come back, or leap further than a market does."""

    __slots__ = ("_found", "_held", "_name", "_scale", "rows")

    def __init__(self, name: str, found: Collector) -> None:
        self._name = name
        self._found = found
        self._held: list[Batch] = []
        self._scale = np.empty(0)
        """Log returns of the window before."""
        self.rows: list[int] = []
        """Numbers of the rows that leapt."""

    def take(self, batch: Batch) -> None:
        """Take the next rows."""
        prices = batch.values[self._name]
        usable = np.isfinite(prices) & (prices > 0)
        self._held.append(batch if usable.all() else taken(batch, usable))
        if sum(len(each) for each in self._held) > WINDOW_ROWS + 2:
            self._judge(final=False)

    def close(self) -> None:
        """Judge the rows that are left."""
        if self._held:
            self._judge(final=True)

    def _judge(self, *, final: bool) -> None:
        """Judge windows of returns; the last return waits for the one that may take it back."""
        whole = joined(self._held)
        if len(whole) < 2:  # noqa: PLR2004 - there is a return from two prices on
            return
        returns = np.diff(np.log(whole.values[self._name]))
        start = 0
        while len(returns) - start > (0 if final else WINDOW_ROWS):
            stop = min(start + WINDOW_ROWS, len(returns))
            around = np.concatenate([self._scale, returns[start:stop]])
            deviation = float(np.median(np.abs(around - np.median(around))))
            following = np.append(returns[start + 1 : stop + 1], [0.0] if stop == len(returns) else [])
            self._name_leaps(whole, start, returns[start:stop], following, deviation)
            self._scale = returns[start:stop]
            start = stop
        self._held = [taken(whole, slice(start, len(whole)))]

    def _name_leaps(self, whole: Batch, start: int, returns: Floats, following: Floats, deviation: float) -> None:
        far = np.abs(returns) >= LEAP_DEVIATIONS * deviation
        back = np.abs(returns + following) <= BACK_SHARE * np.abs(returns)
        leaps = far & ((back & (np.abs(returns) >= LEAP_LOG_MIN)) | (np.abs(returns) >= LEAP_LOG_SURE))
        leaps[1:] &= ~leaps[:-1]  # the way back is no second leap
        if leaps.any():
            rows = start + np.flatnonzero(leaps) + 1
            before, price = whole.values[self._name][rows[0] - 1 : rows[0] + 1].tolist()
            text = f"{self._name} {before:g}, then {price:g}"
            self._found.add("outlier", len(rows), int(whole.rows[rows[0]]), int(whole.ts[rows[0]]), text)
            self.rows += whole.rows[rows].tolist()


class VolumeChecks:
    """Looks at the volumes of bars."""

    __slots__ = ("_found", "_longest", "_run", "_swapped", "_swaps", "_tail", "_zero", "last_ns", "last_row")

    def __init__(self, found: Collector) -> None:
        self._found = found
        self._run = 0
        self._longest = 0
        self._zero = 0
        self._swapped: bool | None = None
        """Whether the volumes of the last row that told were swapped."""
        self._swaps = 0
        self._tail = np.empty(0)
        self.last_row = 0
        self.last_ns = 0

    def take(self, batch: Batch) -> None:
        """Take the next rows."""
        if not len(batch):
            return
        volume = batch.values["volume"]
        self._count_zeros(batch, volume)
        if "quote_volume" in batch.values:
            self._find_swaps(batch)
        self._tail = np.concatenate([self._tail, volume])[-(PARTIAL_ROWS + _PARTIAL_BEFORE + 1) :]
        self.last_row, self.last_ns = int(batch.rows[-1]), int(batch.ts[-1])

    def close(self, *, has_no_volume: bool) -> None:
        """Say what only all rows together tell."""
        if has_no_volume:
            self._found.drop("zero_volume")
        elif (share := _last_share(self._tail)) is not None:
            text = f"{time_text(self.last_ns)} has {share:.1%} of the volume of the three bars before it"
            self._found.add("partial_last", 1, self.last_row, self.last_ns, text)

    def _count_zeros(self, batch: Batch, volume: Floats) -> None:
        zero = volume == 0
        if "synthetic" in batch.values:
            zero &= batch.values["synthetic"] != 1
        if not zero.any():
            self._run = 0
            return
        ends = np.flatnonzero(~zero)
        edges = np.concatenate([[-1 - self._run], ends, [len(zero)]])
        self._longest = max(self._longest, int(np.diff(edges).max()) - 1)
        self._run = len(zero) - 1 - int(ends[-1]) if len(ends) else self._run + len(zero)
        index = int(zero.argmax())
        text = f"at {time_text(int(batch.ts[index]))}"
        self._found.add(
            "zero_volume",
            int(zero.sum()),
            int(batch.rows[index]),
            int(batch.ts[index]),
            text,
            longest=self._longest,
        )

    def _find_swaps(self, batch: Batch) -> None:
        right, wrong = volume_places(batch)
        telling = np.flatnonzero(right != wrong)
        if not len(telling):
            return
        base, quote = batch.values["volume"], batch.values["quote_volume"]
        states = wrong[telling]
        before = states[:1] if self._swapped is None else np.array([self._swapped])
        turns = np.flatnonzero(np.diff(np.concatenate([before, states])))
        self._swaps += len(turns)
        self._swapped = bool(states[-1])
        if states.any():
            index = int(telling[states.argmax()])
            ns = int(batch.ts[index])
            text = f"volume {base[index]:g} and quote volume {quote[index]:g} at {time_text(ns)}"
            count = int(states.sum())
            self._found.add("columns_swapped", count, int(batch.rows[index]), ns, text)
        if self._found.counted("columns_swapped"):
            self._found.figure("columns_swapped", turns=self._swaps)


def volume_places(batch: Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return in which bars volume and quote volume give a price of the bar, and in which they do so swapped."""
    low = batch.values["low"] * (1 - _RANGE_SLACK)
    base, quote = batch.values["volume"], batch.values["quote_volume"]
    with np.errstate(over="ignore", invalid="ignore"):  # beyond all numbers is beyond the other volume, too
        high = batch.values["high"] * (1 + _RANGE_SLACK)
        right = (quote >= base * low) & (quote <= base * high)
        wrong = (base >= quote * low) & (base <= quote * high)
    return right, wrong


def _last_share(tail: Floats) -> float | None:
    """Return the last volume as a share of the mean of those before it, if no bar before had a smaller one."""
    if len(tail) < PARTIAL_ROWS_MIN + _PARTIAL_BEFORE + 1 or not tail[-1] > 0:
        return None
    is_told = ~np.isnan(tail[_PARTIAL_BEFORE:])
    tail = np.nan_to_num(tail) / np.nanmax(tail)
    sums = np.cumsum(np.concatenate([[0.0], tail]))
    means = (sums[_PARTIAL_BEFORE:-1] - sums[: -_PARTIAL_BEFORE - 1]) / _PARTIAL_BEFORE
    judged = tail[_PARTIAL_BEFORE:]
    usable = (means > 0) & is_told
    if not usable[-1] or usable.sum() < PARTIAL_ROWS_MIN:
        return None
    shares = judged[usable] / means[usable]
    return float(shares[-1]) if shares[-1] < shares[:-1].min() else None
