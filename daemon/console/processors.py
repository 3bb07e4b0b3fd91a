"""Where the console runs: not on the processor it leaves to the core."""

from __future__ import annotations

import os
import sys


def leave_one_processor() -> None:
    """Have the core find a processor on which neither the console nor its backtests run, if there are two.

    A low priority alone is not enough: whoever runs is let run for a millisecond before anybody takes the turn from it.
    """
    if sys.platform == "linux":
        _, *others = sorted(os.sched_getaffinity(0))
        if others:
            os.sched_setaffinity(0, others)
