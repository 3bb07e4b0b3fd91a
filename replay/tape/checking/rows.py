"""What a single row can have wrong with it, kind by kind; a NaN is one defect, not several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from replay.tape.columns import PRICE_NAMES
from replay.tape.soundness import AMOUNTS, PRICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from replay.tape.checking.report import Collector
    from replay.tape.columns import Floats, Integers

    Mask = NDArray[np.bool_]

_MAY_BE_EMPTY = frozenset({"quote_volume", "taker_volume", "trades", "mark", "interval_h", "synthetic", "id"})
_VOLUMELESS = frozenset({"mark", "index", "premium"})


class Batch(msgspec.Struct, frozen=True, eq=False):
    """Some rows of a series, column by column."""

    rows: Integers
    """Numbers of the rows, from 1, as they stand in the file."""
    ts: Integers
    """Times in ns."""
    values: dict[str, Floats]
    """All other columns; what is empty or no number is NaN."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ts)


class RowChecks:
    """Looks at rows one by one, in whatever order they come."""

    __slots__ = ("_extremes", "_found", "_kind", "_no_volume", "_rows", "_zero_volume")

    def __init__(self, kind: str, found: Collector) -> None:
        self._kind = kind
        self._found = found
        self._rows = 0
        self._no_volume = 0
        self._zero_volume = 0
        self._extremes = np.zeros((2, len(PRICE_NAMES)), np.int64)
        """How often each price was a row's highest, and its lowest."""

    def take(self, batch: Batch) -> None:
        """Note what is wrong with these rows."""
        self._rows += len(batch)
        counted: dict[str, Mask] = {}
        for kind, name, mask in defects(self._kind, batch):
            wrong = mask & ~counted[kind] if kind in counted else mask
            counted[kind] = counted[kind] | mask if kind in counted else mask
            if wrong.any():
                index = int(wrong.argmax())
                self._found.add(
                    kind,
                    int(wrong.sum()),
                    int(batch.rows[index]),
                    int(batch.ts[index]),
                    _words(name, batch, index),
                )
        if "volume" in batch.values and self._kind in AMOUNTS:
            volume = batch.values["volume"]
            self._no_volume += int(np.isnan(volume).sum())
            self._zero_volume += int((volume == 0).sum())
        if "open" in batch.values:
            prices = np.stack([batch.values[name] for name in PRICE_NAMES])
            self._extremes[0] += (prices == prices.max(axis=0)).sum(axis=1)
            self._extremes[1] += (prices == prices.min(axis=0)).sum(axis=1)

    def close(self, first_row_ns: int) -> None:
        """Say what only all rows together tell."""
        if "volume" in AMOUNTS.get(self._kind, ()) and self.has_no_volume:
            self._found.add("no_volume", self._rows, 1, first_row_ns, "volume is 0 or empty throughout")
            self._found.drop("empty_volume")
        elif self._kind in _VOLUMELESS:
            self._found.drop("empty_volume")
        if self._rows and self._kind in PRICES and self._extremes.any():
            top, bottom = (PRICE_NAMES[int(each.argmax())] for each in self._extremes)
            high, low = (self._extremes[side, PRICE_NAMES.index(name)] for side, name in enumerate(("high", "low")))
            if (high < self._extremes[0].max() == self._rows) or (low < self._extremes[1].max() == self._rows):
                text = f"the highest price of every row stands in {top!r}, the lowest in {bottom!r}"
                self._found.add("prices_swapped", self._rows, 1, first_row_ns, text)

    @property
    def has_no_volume(self) -> bool:
        """Whether no row so far had a volume."""
        return self._rows == self._no_volume + self._zero_volume


def defects(kind: str, batch: Batch) -> Iterator[tuple[str, str, Mask]]:
    """Yield each kind of defect of single rows, the column it is told by, and the rows that have it."""
    values = batch.values
    for name, column in values.items():
        if name == "volume":
            yield "empty_volume", name, np.isnan(column)
        if name == "volume" or name in _MAY_BE_EMPTY:
            yield "not_finite", name, np.isinf(column)
        elif name != "side":
            yield "not_finite", name, ~np.isfinite(column)
    for name in PRICES.get(kind, ()):
        if name in values:
            yield "price_not_positive", name, values[name] <= 0
    for name in AMOUNTS.get(kind, ()):
        if name in values:
            yield "negative_volume", name, values[name] < 0
    yield from _contradictions(batch)


def _contradictions(batch: Batch) -> Iterator[tuple[str, str, Mask]]:
    """Yield where values of a row do not fit each other."""
    values = batch.values
    if "high" in values:
        crossed = values["high"] < values["low"]
        yield "high_below_low", "high", crossed
        for name in ("open", "close"):
            outside = (values[name] > values["high"]) | (values[name] < values["low"])
            yield "outside_range", name, outside & ~crossed
    if "bid" in values:
        yield "crossed", "bid", values["bid"] > values["ask"]
    if "side" in values:
        yield "side_unclear", "side", ~np.isin(values["side"], (-1, 0, 1))
    if "published" in values:
        yield "published_early", "published", values["published"] < batch.ts
    if "synthetic" in values:
        yield "synthetic", "synthetic", values["synthetic"] == 1


def _words(name: str, batch: Batch, index: int) -> str:
    """Return the value that is wrong, with those it is compared with."""
    row = {each: float(column[index]) for each, column in batch.values.items()}
    if name in PRICE_NAMES and "high" in row:
        return ", ".join(f"{each} {row[each]:g}" if each != name else f"{each} {row[each]!r}" for each in PRICE_NAMES)
    if name == "bid":
        return f"bid {row['bid']!r}, ask {row['ask']!r}"
    return f"{name} {row[name]!r}"
