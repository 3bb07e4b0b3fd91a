"""How kernels are compiled: for one signature each, when they are first asked for, with a cache on disk.

A file of kernels holds more of them than a session uses, and to compile one takes a second; so importing it
compiles none, and `ready` does.  A kernel that another one calls is compiled with it, for the types of that
call, which are those of its signature.

Numba compiles again when a kernel's signature or the file it stands in has changed, and at no other
change.  Therefore whatever a kernel bakes in (slot numbers, inlined parts) is written in that file,
even where several files repeat it, and this module holds types and decorators only.

Kernels copy columns by loops.  To assign one slice to another compiles to the same copy, and with it to a check
of both shapes and to all that words its refusal: several times the code of the kernel.

There is no generic batch loop that takes the step as an argument: numba types such an argument anew
in every process and compiles each time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from strategies.indicators.cache import say_once, set_cache_directory, turn

set_cache_directory()  # numba reads the setting when it is imported, so this comes first.

from numba import config, float64, njit, types, void  # noqa: E402 - see the line above

if TYPE_CHECKING:
    from numba.core.dispatcher import Dispatcher
    from numba.core.typing.templates import Signature

Vector = NDArray[np.float64]

STATE = types.Array(float64, 1, "C")
# Read-only is the weaker demand: it takes writable columns as well as those polars hands out.
COLUMN = types.Array(float64, 1, "C", readonly=True)
VALUE = float64
VOID = void

_Function = TypeVar("_Function", bound=Callable[..., object])

_SIGNATURES: dict[object, Signature] = {}
"""What is not compiled yet, and for which types it is to be."""


def outputs(count: int) -> types.Type:
    """Give the type of a step kernel's result: a tuple of `count` floats."""
    return types.UniTuple(VALUE, count)  # type: ignore[no-untyped-call]  # numba's stubs lack it


def compiled(returns: types.Type, *arguments: types.Type) -> Callable[[_Function], _Function]:
    """Have a kernel compiled for exactly these types, or loaded from the disk cache, once it is `ready`.

    No fastmath: it lets the compiler reorder sums, in the batch loop differently than in the step.
    Division follows IEEE 754 instead of raising, which would cost a branch each.
    """
    signature = returns(*arguments)

    def decorate(function: _Function) -> _Function:
        kernel = njit(cache=True, error_model="numpy")(function)
        _SIGNATURES[kernel] = signature
        return cast("_Function", kernel)

    return decorate


def ready(kernel: _Function) -> _Function:
    """Compile or load a kernel, unless that was done; from then on it takes no other types."""
    dispatcher = cast("Dispatcher", kernel)
    if dispatcher in _SIGNATURES:
        with turn(Path(vars(config)["CACHE_DIR"]), f"{kernel.__module__}.{kernel.__name__}") as is_first:
            if is_first:
                say_once("compiling indicators for this machine; the next start finds them compiled")
            dispatcher.compile(_SIGNATURES.pop(dispatcher))
        dispatcher.disable_compile()
    return kernel


def inlined(function: _Function) -> _Function:
    """Mark a part shared by kernels of its own file: compiled into each, never loaded by itself."""
    return cast("_Function", njit(function, error_model="numpy"))
