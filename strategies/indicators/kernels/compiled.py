"""How kernels are compiled: eagerly, for one signature each, with a cache on disk.

Numba compiles again when a kernel's signature or the file it stands in has changed, and at no other
change.  Therefore whatever a kernel bakes in (slot numbers, inlined parts) is written in that file,
even where several files repeat it, and this module holds types and decorators only.

There is no generic batch loop that takes the step as an argument: numba types such an argument anew
in every process and compiles each time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from strategies.indicators.cache import set_cache_directory, turn

set_cache_directory()  # numba reads the setting when it is imported, so this comes first.

from numba import config, float64, njit, types, void  # noqa: E402 - see the line above

Vector = NDArray[np.float64]

STATE = types.Array(float64, 1, "C")
# Read-only is the weaker demand: it takes writable columns as well as those polars hands out.
COLUMN = types.Array(float64, 1, "C", readonly=True)
VALUE = float64
VOID = void

_Function = TypeVar("_Function", bound=Callable[..., object])


def outputs(count: int) -> types.Type:
    """Give the type of a step kernel's result: a tuple of `count` floats."""
    return types.UniTuple(VALUE, count)  # type: ignore[no-untyped-call]  # numba's stubs lack it


def compiled(returns: types.Type, *arguments: types.Type) -> Callable[[_Function], _Function]:
    """Compile for exactly these types, or load the machine code from the disk cache.

    No fastmath: it lets the compiler reorder sums, in the batch loop differently than in the step.
    Division follows IEEE 754 instead of raising, which would cost a branch each.
    """
    decorate = njit(returns(*arguments), cache=True, error_model="numpy")

    def decorated(function: _Function) -> _Function:
        with turn(Path(vars(config)["CACHE_DIR"]), function.__module__):
            return cast("_Function", decorate(function))

    return decorated


def inlined(function: _Function) -> _Function:
    """Mark a part shared by kernels of its own file: compiled into each, never loaded by itself."""
    return cast("_Function", njit(function, error_model="numpy"))
