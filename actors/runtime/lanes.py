"""Lanes: how the bars of one series travel through a core.

Live, and wherever something may happen on the way, a bar goes the whole way: through every handler its
entry in the table has. A replay knows a chunk of bars beforehand, and actors do with the chunk what they
would do with each of its bars: market vouches for it, the ledger marks it, features compute it. What is
left to do bar by bar is the strategies' part and, while orders rest, the venue's: the short way.

Both ways lead to the same decisions, marks and state; a test plays the same tapes along both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.messages import Bar

    Handler = Callable[[Any], None]
    Handlers = tuple[Handler, ...]


class Lane:
    """One series. Every field has one writer, and is read where a call per bar would cost more than the work.

    Attributes:
        bar: the newest bar, once the venue has matched it; written by the venue and, on its behalf, by the scheduler.
        resting: the orders at the simulated venue; the venue's own list.
        vouched_until_ns: bars that close before this were looked at by market as a chunk; market's.
        whole: who hears the other bars of a preloaded chunk; written by the wiring.
        busy: who hears such a bar while orders rest; written by the wiring.
        quiet: who hears such a bar while none do; written by the wiring.
    """

    __slots__ = ("bar", "busy", "quiet", "resting", "vouched_until_ns", "whole")

    def __init__(self) -> None:
        self.bar: Bar | None = None
        self.resting: list[Any] = []
        self.vouched_until_ns = 0
        self.whole: Handlers = ()
        self.busy: Handlers = ()
        self.quiet: Handlers = ()
