"""A strategy's declared features at work: one row of named values per closed bar."""

from __future__ import annotations

from collections import Counter
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
import numpy as np

from actors.features import SeriesKey
from config.errors import UserError
from strategies.features.graph import FeatureGraph
from strategies.indicators.expression import Expression

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from actors.messages import Bar


class FeatureError(Exception):
    """A user's own feature failed, and its value was asked for."""


class FailedRow:
    """Stands for a row one of whose features failed: whoever reads it learns why."""

    def __init__(self, words: str, error: Exception | None = None) -> None:
        """Keep what went wrong, in words, and the error itself if it was raised in this process."""
        # Under names no feature has.
        self.__words = words
        self.__error = error

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse to give a value.

        Raises:
            FeatureError: always.
        """
        message = f"feature {name}: {self.__words}"
        raise FeatureError(message) from self.__error

    def __str__(self) -> str:
        """Return what went wrong."""
        return self.__words


class FeatureRows:
    """Fits `actors.features.FeaturePort`: one strategy's view of the graph.

    Args:
        declared: expressions by feature name.
        graph: the session's graph; the features are added to it.
        series: the bars the strategy decides on.

    Raises:
        UserError: two features would share one name, a name is not an identifier, or an expression reads a series
            that is not there.
    """

    def __init__(self, declared: Mapping[str, Expression], graph: FeatureGraph, series: SeriesKey) -> None:
        names = [name for feature, declaration in declared.items() for name in output_names(feature, declaration)]
        counts = Counter(names)
        for name in names:
            if not name.isidentifier() or counts[name] > 1:
                message = f"feature {name!r}: names must be identifiers, each used once"
                raise UserError(message)
        slots: list[int] = []
        for feature, expression in declared.items():
            try:
                slots.extend(graph.add(expression, series))
            except ValueError as error:
                message = f"feature {feature}: {error}"
                raise UserError(message) from error
        self._row = msgspec.defstruct("FeatureValues", [(name, float) for name in names], frozen=True, gc=False)
        self._slots = tuple(slots)
        self._graph = graph
        self._lane = graph.lane(series)
        self._own = graph.failures(slots)
        graph.share(slots, series)
        self.series = series
        self.warm = not slots
        """Whether every feature has had a value; there is no row before."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of a row's values."""
        found: tuple[str, ...] = self._row.__struct_fields__
        return found

    @property
    def slots(self) -> tuple[int, ...]:
        """Where in the graph these values stand."""
        return self._slots

    @property
    def history(self) -> dict[SeriesKey, int]:
        """How many bars of each series it takes until there is a row, as far as that is known beforehand."""
        return self._graph.history(self._slots)

    @property
    def by_chunks(self) -> bool:
        """Whether rows can be made for a whole chunk of bars: nothing but those bars is read."""
        inside = all(slot in self._graph.constants or self._graph.home(slot) == self.series for slot in self._slots)
        return self._lane.alone and inside

    def step(self, bar: Bar) -> Any:  # noqa: ANN401 - a struct made for this strategy
        """Return the values at the close of `bar`; None before all of them have had one."""
        self._graph.take(bar)
        values = self._graph.values
        told = [values[slot] for slot in self._slots]
        for own in self._own:
            if own.words:
                return FailedRow(own.words, own.error)
        if not self.warm:
            if any(value != value for value in told):  # noqa: PLR0124 - NaN differs from itself
                return None
            self.warm = True
        return self._row(*told)

    def kept(self, row: Any) -> list[float] | str:  # noqa: ANN401 - a struct made for this strategy
        """Return a row as a snapshot keeps it: its values, or why there are none."""
        return str(row) if isinstance(row, FailedRow) else list(msgspec.structs.astuple(row))

    def row(self, kept: Sequence[float] | str) -> Any:  # noqa: ANN401 - a struct made for this strategy
        """Return the row that was kept."""
        return FailedRow(kept) if isinstance(kept, str) else self._row(*kept)

    def batch(self, columns: Any) -> tuple[int, Iterator[Any]]:  # noqa: ANN401 - any object with a column per source
        """Return the values of a chunk of bars; of as many first ones as it also says there is None."""
        rows = len(columns)
        if not self._slots:
            return 0, iter([self._row()] * rows)
        found = self._graph.compute(self._lane, columns)
        told = [found[slot] for slot in self._slots]
        first = 0
        if not self.warm:
            there = np.flatnonzero(~np.logical_or.reduce([np.isnan(column) for column in told]))
            first = int(there[0]) if there.size else rows
            self.warm = bool(there.size)
        views = [memoryview(column[first:]) for column in told]  # type: ignore[arg-type]
        made = map(self._row, *views)
        return first, chain(repeat(None, first), made) if first else made


def output_names(feature: str, expression: Expression) -> list[str]:
    """Name the values of a feature: several of one are told apart by their own names."""
    if len(expression.names) == 1:
        return [feature]
    return [f"{feature}_{name}" for name in expression.names]
