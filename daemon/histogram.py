"""Counts of durations by powers of two of a nanosecond: cheap enough for every input."""

from __future__ import annotations

import msgspec

_BUCKETS = 64
"""An int of 64 bits has a place."""


class HistogramRow(msgspec.Struct, frozen=True):
    """A histogram at one moment."""

    buckets: tuple[int, ...]
    """How many took at most ``2**index`` ns and more than half of that."""
    sum_ns: int


class Histogram:
    """Counts durations."""

    __slots__ = ("buckets", "sum_ns")

    def __init__(self) -> None:
        self.buckets = [0] * _BUCKETS
        self.sum_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one of at least 1 ns."""
        self.buckets[(duration_ns - 1).bit_length()] += 1
        self.sum_ns += duration_ns

    def row(self) -> HistogramRow:
        """Return what was counted so far."""
        return HistogramRow(tuple(self.buckets), self.sum_ns)
