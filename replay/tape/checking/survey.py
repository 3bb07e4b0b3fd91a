"""A first look at the times alone: their order, their usual step, and how many rows each hour has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from config.errors import UserError
from replay.tape.checking.clock_changes import HOUR_NS, is_clock_change
from replay.tape.columns import time_text

if TYPE_CHECKING:
    from replay.tape.checking.report import Collector
    from replay.tape.columns import Integers

_STEPS_MAX = 65_536
"""Most different steps counted; a series with more stands on no grid."""
_USUAL_SHARE = 0.5
"""Share of all steps the most frequent one needs, to be the length of a bar nobody named."""
_PLAUSIBLE_NS = (10**17, 10**19)
"""1973 to 2286."""


class Survey:
    """Takes the times of a series in the order of the file."""

    __slots__ = (
        "_backward_first",
        "_hours",
        "_last_ns",
        "_repeats",
        "_steps",
        "_where",
        "backward",
        "equal",
        "first_ns",
        "round_ns",
        "rows",
    )

    def __init__(self, where: str, round_ns: int) -> None:
        self._where = where
        self.round_ns = round_ns
        self.rows = 0
        self.first_ns = 0
        """Time of the first row."""
        self.backward = 0
        """Rows earlier than the row before."""
        self.equal = 0
        """Rows at the time of the row before."""
        self._backward_first: tuple[int, int, int] | None = None
        self._steps: dict[int, int] = {}
        self._hours: dict[int, int] = {}
        self._repeats: dict[int, list[tuple[int, int]]] = {}
        self._last_ns: int | None = None

    def take(self, ts: Integers) -> None:
        """Take the next times.

        Raises:
            UserError: a number is no time of our age: another unit than the first row's, as a rule.
        """
        if not len(ts):
            return
        low, high = _PLAUSIBLE_NS
        if ts.min() < low or ts.max() >= high:
            index = int(((ts < low) | (ts >= high)).argmax())
            message = (
                f"{self._where}: row {self.rows + index + 1}: ts {ts[index] / 1e9:g} seconds is no plausible time; "
                f"are there two units in one column?"
            )
            raise UserError(message)
        if self._last_ns is None:
            self.first_ns = int(ts[0])
        steps = np.diff(ts) if self._last_ns is None else np.diff(ts, prepend=self._last_ns)
        first_row = self.rows + (2 if self._last_ns is None else 1)
        self._count_backward(ts, steps, first_row)
        if len(self._steps) < _STEPS_MAX:
            rounded = np.abs(np.rint(steps / self.round_ns).astype(np.int64) * self.round_ns)
            for step, count in zip(*(each.tolist() for each in np.unique(rounded, return_counts=True)), strict=True):
                self._steps[step] = self._steps.get(step, 0) + count
        for hour, count in zip(*(each.tolist() for each in np.unique(ts // HOUR_NS, return_counts=True)), strict=True):
            self._hours[hour] = self._hours.get(hour, 0) + count
        self.rows += len(ts)
        self._last_ns = int(ts[-1])

    @property
    def descending(self) -> bool:
        """Whether the newest row is first: no two rows rise."""
        return self.backward > 0 and self.backward + self.equal == self.rows - 1

    def usual_step_ns(self) -> int | None:
        """Return the most frequent step, or nothing if no step is usual."""
        steps = {step: count for step, count in self._steps.items() if step}
        if not steps or len(self._steps) >= _STEPS_MAX:
            return None
        usual = max(steps, key=lambda step: (steps[step], -step))
        return usual if steps[usual] >= _USUAL_SHARE * sum(steps.values()) else None

    def stretches(self, rows_max: int) -> list[tuple[int, int]]:
        """Return spans of whole hours, first and past-last ns, of at most so many rows unless an hour has more."""
        spans: list[tuple[int, int]] = []
        start, rows = None, 0
        for hour in sorted(self._hours):
            if start is not None and rows + self._hours[hour] > rows_max:
                spans.append((start * HOUR_NS, hour * HOUR_NS))
                start = None
            if start is None:
                start, rows = hour, 0
            rows += self._hours[hour]
        if start is not None:
            spans.append((start * HOUR_NS, (max(self._hours) + 1) * HOUR_NS))
        return spans

    def report(self, found: Collector, timeframe_ns: int | None) -> None:
        """Say what is wrong with the order of the rows."""
        if self._backward_first is None:
            return
        row, ns, step = self._backward_first
        if self.descending:
            found.add("newest_first", self.rows, 1, self.first_ns, f"the first row is of {time_text(self.first_ns)}")
            return
        text = f"from {time_text(ns - step)} back to {time_text(ns)}"
        found.add("out_of_order", self.backward, row, ns, text)
        if timeframe_ns is not None and timeframe_ns < HOUR_NS:
            for row, ns in self._repeats.get(timeframe_ns - HOUR_NS, []):
                found.add("dst", 1, row, ns, f"an hour before {time_text(ns + HOUR_NS)} is there again")

    def _count_backward(self, ts: Integers, steps: Integers, first_row: int) -> None:
        backward = np.flatnonzero(steps < 0)
        self.backward += len(backward)
        self.equal += int((steps == 0).sum())
        if not len(backward):
            return
        offset = len(ts) - len(steps)
        if self._backward_first is None:
            index = int(backward[0])
            self._backward_first = (first_row + index, int(ts[index + offset]), int(steps[index]))
        for index in backward[steps[backward] > -HOUR_NS].tolist():
            ns = int(ts[index + offset])
            if is_clock_change(ns):
                self._repeats.setdefault(int(steps[index]), []).append((first_row + index, ns))
