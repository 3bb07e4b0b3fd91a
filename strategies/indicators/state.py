"""An indicator at work: its state vector and the two drivers over its step kernel."""

from collections.abc import Callable
from hashlib import blake2b
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strategies.indicators.declaration import KINDS
from strategies.indicators.kernels.compiled import ready

if TYPE_CHECKING:
    from strategies.indicators.declaration import Indicator

PARAMS = 1  # The first parameter's slot in every state; the others follow.
_CHECKSUM_BYTES = 8


class IndicatorState:
    """The running state of one indicator; `Indicator.start` makes it.

    `step` and `batch` run the same kernel and may be mixed: the results are the same, bit for bit,
    however the bars are divided between them.

    Attributes:
        indicator: The declaration.
        state: float64 vector that holds everything.  It may be read and copied freely; to write it
            use `load`, since kernels trust its counters and check no bounds.
        kernel: The compiled step: called with `state` and one float per source it does what `step` does.
    """

    __slots__ = ("_batch", "indicator", "kernel", "state")

    def __init__(self, indicator: "Indicator") -> None:
        """Start ahead of the first bar."""
        kind = KINDS[indicator.kind]
        kernels = vars(import_module(f"strategies.indicators.kernels.{kind.kernels}"))
        slots: int = kernels[f"{kind.prefix}_slots"](
            *(int(p) if d.whole else p for p, d in zip(indicator.params, kind.params, strict=True))
        )
        self.indicator = indicator
        self.state: NDArray[np.float64] = np.zeros(slots)
        given = indicator.params + kind.constants
        self.state[PARAMS : PARAMS + len(given)] = given
        self.kernel: Callable[..., tuple[float, ...]] = ready(kernels[f"{kind.prefix}_step"])
        self._batch: Callable[..., None] = kernels[f"{kind.prefix}_batch"]

    def step(self, *inputs: float) -> tuple[float, ...]:
        """Take one bar in.

        Args:
            inputs: One value per source, in the order of `indicator.sources`.

        Returns:
            One value per output, in the order of `indicator.outputs`; NaN while warming up.
        """
        return self.kernel(self.state, *inputs)

    def batch(self, *columns: ArrayLike) -> tuple[NDArray[np.float64], ...]:
        """Take a chunk of bars in; the next call goes on where this one ended.

        Args:
            columns: One column of n rows per source, in the order of `indicator.sources`.

        Returns:
            One new column of n rows per output, in the order of `indicator.outputs`.

        Raises:
            ValueError: The columns are not as many as the sources, or differ in length.
        """
        chunk = [np.require(column, np.float64, ("C", "A", "E")) for column in columns]
        sources = self.indicator.sources
        if len(chunk) != len(sources):
            message = f"{self.indicator.kind} reads {', '.join(map(str, sources))}: got {len(chunk)} columns"
            raise ValueError(message)
        shapes = [column.shape for column in chunk]
        if chunk[0].ndim != 1 or shapes.count(shapes[0]) != len(shapes):
            message = f"{self.indicator.kind}: columns must be of one length, got shapes {shapes}"
            raise ValueError(message)
        results = tuple(np.empty(shapes[0]) for _ in self.indicator.outputs)
        # Only here, for nobody who goes bar by bar has to wait for its compilation.
        ready(self._batch)(self.state, *chunk, *results)
        return results

    def dump(self) -> bytes:
        """Give the whole state as bytes, for `load` of an equal indicator on a like machine."""
        data = self.state.tobytes()
        return data + _checksum(data)

    def load(self, data: bytes) -> None:
        """Go on from a dumped state.

        Kernels take their indices from it unchecked, hence the checksum.

        Raises:
            ValueError: The bytes are not a state of this indicator; the present one is kept.
        """
        size = self.state.nbytes + _CHECKSUM_BYTES
        if len(data) != size:
            message = f"{self.indicator.kind}: state has {size} bytes, got {len(data)}"
            raise ValueError(message)
        numbers = data[:-_CHECKSUM_BYTES]
        loaded = np.frombuffer(numbers, np.float64)
        params = self.indicator.params
        found = tuple(loaded[PARAMS : PARAMS + len(params)].tolist())
        if _checksum(numbers) != data[-_CHECKSUM_BYTES:]:
            message = f"{self.indicator.kind}: state is damaged"
            raise ValueError(message)
        if found != params:
            message = f"{self.indicator.kind}: state is for params {found}, not {params}"
            raise ValueError(message)
        constants = KINDS[self.indicator.kind].constants
        behind = PARAMS + len(params)
        if tuple(loaded[behind : behind + len(constants)].tolist()) != constants:
            message = f"{self.indicator.kind}: state is that of another indicator"
            raise ValueError(message)
        self.state[:] = loaded


def _checksum(data: bytes) -> bytes:
    return blake2b(data, digest_size=_CHECKSUM_BYTES).digest()
