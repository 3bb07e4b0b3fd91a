"""Features over a tape as a frame: one row per bar, one column per value.

The columns are those a strategy with the same features is given live, bar by bar and bit for bit; NaN where one has
none yet. `ready` says from which bar on such a strategy would be told anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from actors.features import SeriesKey
from config.errors import UserError
from config.timeframe import format_timeframe
from replay.features.batch import Chunk
from replay.features.order import chunks
from strategies.features.graph import FeatureGraph
from strategies.features.nodes import Own
from strategies.features.rows import FeatureRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from actors.messages import Message
    from replay.tape import Tape
    from strategies.indicators.expression import Expression

CHUNK_INPUTS = 65_536
"""Inputs held in memory at once."""


class Block(msgspec.Struct, frozen=True, eq=False):
    """Consecutive rows."""

    opens_ns: NDArray[np.int64]
    bars: dict[str, NDArray[np.float64]]
    """open, high, low, close, volume"""
    values: dict[str, NDArray[np.float64]]
    """By the name of the value."""
    ready: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.opens_ns)


class FeatureFrame:
    """The features of one series.

    Args:
        declared: expressions by name.
        tape: the bars, and what comes between them.
        symbol: whose bars the rows are.
        timeframe_ns: the length of a row's bar.

    Raises:
        UserError: a feature cannot be computed from this tape.
    """

    def __init__(self, declared: Mapping[str, Expression], tape: Tape, symbol: str, timeframe_ns: int) -> None:
        self._base = base = {one.symbol: one.timeframe_ns for one in tape.series}
        if timeframe_ns < base[symbol] or timeframe_ns % base[symbol]:
            wanted, there = format_timeframe(timeframe_ns), format_timeframe(base[symbol])
            message = f"{wanted} bars cannot be built from {there} bars of {symbol}"
            raise UserError(message)
        self._tape = tape
        self.graph = FeatureGraph(base)
        self.series = SeriesKey(symbol, timeframe_ns)
        self.rows = FeatureRows(declared, self.graph, self.series)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the values, in order."""
        return self.rows.names

    def blocks(self, inputs: Iterable[tuple[int, Message]] | None = None, size: int = CHUNK_INPUTS) -> Iterator[Block]:
        """Play the tape and yield the rows, in memory that does not grow with it; once.

        Args:
            inputs: what is played instead of the tape's own, with the times.
            size: inputs of a block.
        """
        warm = self.rows.warm
        for witness in chunks(self.graph, self._tape, size, inputs):
            chunk = Chunk(self.graph, witness)
            columns = chunk.columns(self.rows.slots, self.series)
            opens_ns = chunk.opens_ns(self.series)
            ready = np.full(len(opens_ns), warm)
            if not warm and len(opens_ns):
                there = np.flatnonzero(~np.logical_or.reduce([np.isnan(column) for column in columns]))
                if there.size:
                    ready[there[0] :] = warm = True
            bars = chunk.bars(self.series)
            chunk.leave()
            yield Block(opens_ns, bars, dict(zip(self.rows.names, columns, strict=True)), ready)

    def restart(self, declared: Mapping[str, Expression]) -> None:
        """Go on as a process that was started between two blocks does: with its own functions, and what was kept."""
        anew = FeatureGraph(self._base)
        FeatureRows(declared, anew, self.series)
        anew.load(self.graph.dump())
        for (_, mine), (_, heir) in zip(self.graph.nodes, anew.nodes, strict=True):
            if isinstance(mine, Own) and isinstance(heir, Own):
                mine.custom = heir.custom

    def failures(self) -> dict[str, Exception]:
        """Return what users' own functions raised first, by their written form."""
        found = [own for own in self.graph.failures(self.rows.slots) if own.failure is not None]
        return {str(own.custom): own.failure for own in found if own.failure is not None}
