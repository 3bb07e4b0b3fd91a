"""Which processor the core has to itself, and which are the console's.

A low priority of the console is not enough: whoever runs is let run for a millisecond before anybody takes the turn
from it. Nor is a console that stays away: on two processors, the thread that writes the journal is put beside the
console and waits there, with the interpreter's lock in its hand and the core at its heels.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from config.schema import Console

_NICENESS = 10
"""The core's needs come first where there are few processors."""


def console_processors(console: Console) -> frozenset[int]:
    """Return where the console runs: all processors we may use but the first; none where it may run anywhere."""
    if sys.platform != "linux" or not (console.enabled and console.own_processor):
        return frozenset()
    return frozenset(sorted(os.sched_getaffinity(0))[1:])


@contextlib.contextmanager
def core_apart(theirs: Collection[int]) -> Iterator[None]:
    """Keep this thread, and the threads it starts meanwhile, off the console's processor.

    Where the console has several the system may choose, for one of them is always free.
    """
    if sys.platform != "linux" or len(theirs) != 1:
        yield
        return
    allowed = os.sched_getaffinity(0)
    _keep_to(allowed.difference(theirs))
    try:
        yield
    finally:
        _keep_to(allowed)


def step_aside(theirs: Collection[int]) -> None:
    """Have this thread, and whatever it starts, come after the core, and on these processors only if there are any."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    if theirs:
        _keep_to(theirs)


def _keep_to(processors: Collection[int]) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # where the system does not let us, it stays as it is
            os.sched_setaffinity(0, processors)
