"""An indicator at work: its state vector and the two drivers over its step kernel."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strategies.indicators.kernels import averages, deviations, extremes, wilder

if TYPE_CHECKING:
    from strategies.indicators.declaration import Indicator

_SEEN = 0
_PARAMS = 1  # The first parameter's slot; the others follow.


class _Kernel(NamedTuple):
    """The compiled functions of one kind and the shape of their state."""

    step: Callable[..., tuple[float, ...]]
    batch: Callable[..., None]
    slots: int  # Ahead of the rings.
    rings: int = 0  # Of one period each.


_KERNELS = {
    "ema": _Kernel(averages.ema_step, averages.ema_batch, averages.EMA_SLOTS),
    "sma": _Kernel(averages.sma_step, averages.sma_batch, averages.SMA_RING, 1),
    "stddev": _Kernel(deviations.stddev_step, deviations.stddev_batch, deviations.MOMENTS_RING, 2),
    "bbands": _Kernel(deviations.bbands_step, deviations.bbands_batch, deviations.MOMENTS_RING, 2),
    "rsi": _Kernel(wilder.rsi_step, wilder.rsi_batch, wilder.RSI_SLOTS),
    "atr": _Kernel(wilder.atr_step, wilder.atr_batch, wilder.ATR_SLOTS),
    "highest": _Kernel(extremes.highest_step, extremes.highest_batch, extremes.EXTREME_RING, 1),
    "lowest": _Kernel(extremes.lowest_step, extremes.lowest_batch, extremes.EXTREME_RING, 1),
}


class IndicatorState:
    """The running state of one indicator; `Indicator.start` makes it.

    `step` and `batch` run the same kernel and may be mixed: the results are the same, bit for bit,
    however the bars are divided between them.

    Attributes:
        indicator: The declaration.
        state: float64 vector that holds everything.  It may be read and copied freely; to write it
            use `load`, since kernels trust its counters and check no bounds.
    """

    __slots__ = ("_batch", "_seen_max", "_step", "indicator", "state")

    def __init__(self, indicator: "Indicator") -> None:
        """Start ahead of the first bar."""
        kernel = _KERNELS[indicator.kind]
        period = int(indicator.params[0])
        self.indicator = indicator
        self.state: NDArray[np.float64] = np.zeros(kernel.slots + kernel.rings * period)
        self.state[_PARAMS : _PARAMS + len(indicator.params)] = indicator.params
        self._step = kernel.step
        self._batch = kernel.batch
        self._seen_max = 2 * period - 1 if kernel.rings else period + 1

    def step(self, *inputs: float) -> tuple[float, ...]:
        """Take one bar in.

        Args:
            inputs: One value per source, in the order of `indicator.sources`.

        Returns:
            One value per output, in the order of `indicator.outputs`; NaN while warming up.
        """
        return self._step(self.state, *inputs)

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
            message = f"{self.indicator.kind} reads {', '.join(sources)}: got {len(chunk)} columns"
            raise ValueError(message)
        shapes = [column.shape for column in chunk]
        if chunk[0].ndim != 1 or shapes.count(shapes[0]) != len(shapes):
            message = f"{self.indicator.kind}: columns must be of one length, got shapes {shapes}"
            raise ValueError(message)
        results = tuple(np.empty(shapes[0]) for _ in self.indicator.outputs)
        self._batch(self.state, *chunk, *results)
        return results

    def dump(self) -> bytes:
        """Give the whole state as bytes, for `load` of an equal indicator on a like machine."""
        return self.state.tobytes()

    def load(self, data: bytes) -> None:
        """Go on from a dumped state.

        Raises:
            ValueError: The bytes are not a state of this indicator; the present one is kept.
        """
        if len(data) != self.state.nbytes:
            message = f"{self.indicator.kind}: state has {self.state.nbytes} bytes, got {len(data)}"
            raise ValueError(message)
        loaded = np.frombuffer(data, np.float64)
        params = self.indicator.params
        found = tuple(loaded[_PARAMS : _PARAMS + len(params)].tolist())
        if found != params:
            message = f"{self.indicator.kind}: state is for params {found}, not {params}"
            raise ValueError(message)
        seen = float(loaded[_SEEN])
        # An index of the kernel comes from here: anything else would write outside the vector.
        if not (0.0 <= seen <= self._seen_max and seen.is_integer()):
            message = f"{self.indicator.kind}: state is damaged, it claims {seen} bars"
            raise ValueError(message)
        self.state[:] = loaded
