"""A strategy's declared features at work: indicator states in, one row of named values out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from config.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from actors.messages import Bar
    from strategies.indicators import Indicator


class FeatureRows:
    """Fits `actors.features.FeaturePort`: the same kernels stepped bar by bar or looped over columns.

    Args:
        declared: indicators by feature name.

    Raises:
        UserError: two features would share one name, or a name is not an identifier.
    """

    def __init__(self, declared: Mapping[str, Indicator]) -> None:
        names = [name for feature, indicator in declared.items() for name in _output_names(feature, indicator)]
        for name in names:
            if not name.isidentifier() or names.count(name) > 1:
                message = f"feature {name!r}: names must be identifiers, each used once"
                raise UserError(message)
        self._row = msgspec.defstruct("FeatureValues", [(name, float) for name in names], frozen=True, gc=False)
        self._indicators = tuple(declared.values())
        self._states = [indicator.start() for indicator in self._indicators]
        self.warmup_bars = max((indicator.warmup for indicator in self._indicators), default=0)

    def step(self, bar: Bar) -> Any:  # noqa: ANN401 - a struct made for this strategy
        """Return the values at the close of `bar`."""
        values: list[float] = []
        for indicator, state in zip(self._indicators, self._states, strict=True):
            values.extend(state.step(*[getattr(bar, source) for source in indicator.sources]))
        return self._row(*values)

    def batch(self, columns: Any) -> Iterator[Any]:  # noqa: ANN401 - any object with a float64 column per source
        """Return the values of a chunk of bars."""
        outputs: list[memoryview] = []
        for indicator, state in zip(self._indicators, self._states, strict=True):
            computed = state.batch(*[getattr(columns, source) for source in indicator.sources])
            outputs.extend(memoryview(column) for column in computed)  # type: ignore[arg-type]
        if not outputs:
            empty = self._row()
            return iter([empty] * len(columns))
        return map(self._row, *outputs)

    def row(self, values: Sequence[float]) -> Any:  # noqa: ANN401 - a struct made for this strategy
        """Return `values`, in the order of a row's fields, as a row."""
        return self._row(*values)

    def dump(self) -> list[bytes]:
        """Return the state of every kernel."""
        return [state.dump() for state in self._states]

    def load(self, states: list[bytes]) -> None:
        """Restore the state of every kernel."""
        for state, kept in zip(self._states, states, strict=True):
            state.load(kept)


def _output_names(feature: str, indicator: Indicator) -> list[str]:
    if len(indicator.outputs) == 1:
        return [feature]
    return [f"{feature}_{output}" for output in indicator.outputs]
