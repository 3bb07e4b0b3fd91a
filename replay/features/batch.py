"""The whole graph of features in columns: a chunk of all its lanes at a time, to the bits of the live core.

Each node is computed over all bars of its lane in the chunk, by the kernels that live steps bar by bar. What it reads
of another lane, or of what was told between bars, is laid beside its bars first: the newest that stood there when each
of them was taken (`replay.features.order`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from strategies.indicators.expression import SUMMED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from actors.features import SeriesKey
    from replay.features.order import Heard, Witness
    from strategies.features.graph import FeatureGraph

    Floats = NDArray[np.float64]

_NS_PER_S = 1_000_000_000
_FIELDS = ("open", "high", "low", "close", "volume")


class Sheet:
    """One lane's bars of a chunk, and every slot it needs as a column beside them."""

    __slots__ = ("bars", "columns", "places")

    def __init__(self, heard: Heard) -> None:
        self.bars: dict[str, NDArray[np.float64]] = {
            name: np.array([getattr(bar, name) for bar in heard.bars], np.float64) for name in _FIELDS
        }
        self.places = np.array(heard.places, np.int64)
        self.columns: dict[int, Floats] = {}

    def __len__(self) -> int:
        """Return the number of its bars."""
        return len(self.places)


class Chunk:
    """What one chunk came to."""

    def __init__(self, graph: FeatureGraph, witness: Witness) -> None:
        """Compute everything, and leave the last values in the graph."""
        self._graph = graph
        self.heard = witness.lanes
        self._told = {
            slot: (np.array(places, np.int64), np.array(values, np.float64))
            for slot, (places, values) in witness.told.items()
        }
        self._sheets = {series: Sheet(heard) for series, heard in witness.lanes.items()}
        for series, sheet in self._sheets.items():
            self._fill(series, sheet)
        for series, node in graph.nodes:
            sheet = self._sheets[series]
            for slot in node.inputs:
                self._lay(slot, series)
            if len(sheet):
                node.compute(sheet.columns)
            else:
                sheet.columns.update((slot, np.empty(0)) for slot in _outputs(node))
        self._rows: dict[int, Floats] = {}

    def columns(self, slots: Sequence[int], series: SeriesKey) -> list[Floats]:
        """Return slots as they stood at the close of each bar of a series."""
        return [self._lay(slot, series) for slot in slots]

    def bars(self, series: SeriesKey) -> dict[str, NDArray[np.float64]]:
        """Return the bars of a series as columns."""
        return self._sheets[series].bars

    def opens_ns(self, series: SeriesKey) -> NDArray[np.int64]:
        """Return when the bars of a series opened."""
        return np.array([bar.open_ns for bar in self.heard[series].bars], np.int64)

    def leave(self) -> None:
        """Leave the last values behind, for the next chunk; nothing is laid after that."""
        values = self._graph.values
        for series, sheet in self._sheets.items():
            if len(sheet):
                for slot, column in sheet.columns.items():
                    if self._graph.home(slot) == series:
                        values[slot] = float(column[-1])
        for slot, (_, told) in self._told.items():
            values[slot] = float(told[-1])

    def _fill(self, series: SeriesKey, sheet: Sheet) -> None:
        heard = self.heard[series]
        for name, slot in self._graph.lanes[series].columns.items():
            if name == "time":
                column = np.array([bar.open_ns / _NS_PER_S for bar in heard.bars], np.float64)
            elif name in SUMMED:
                column = np.array([sums[name] for sums in heard.sums], np.float64)
            else:
                column = sheet.bars[name]
            sheet.columns[slot] = column

    def _lay(self, slot: int, series: SeriesKey) -> Floats:
        """Return a slot beside the bars of a series."""
        sheet = self._sheets[series]
        if slot not in sheet.columns:
            sheet.columns[slot] = self._as_of(slot, sheet)
        return sheet.columns[slot]

    def _as_of(self, slot: int, sheet: Sheet) -> Floats:
        before = self._graph.values[slot]
        home = self._graph.home(slot)
        if home is not None:
            places, values = self._sheets[home].places, self._sheets[home].columns[slot]
        elif slot in self._told:
            places, values = self._told[slot]
        else:
            return np.full(len(sheet), before)
        newest = np.searchsorted(places, sheet.places, side="right")
        column: Floats = np.append(before, values)[newest]
        return column


def _outputs(node: object) -> Iterator[int]:
    """Yield the slots a node writes."""
    many: tuple[int, ...] | None = getattr(node, "outputs", None)
    yield from (node.output,) if many is None else many  # type: ignore[attr-defined]
