"""Every input of a tape in the order it is played: external values, bars and, where a symbol has them, its ticks.

The order is (time it was knowable, rank of kind, ordinal of the series). What was published at some time goes before
all else of that time: who decides at a close knows it. A bar is knowable at its close and goes
before the ticks of that very time, which are in the next bar; trades go before quotes, and quotes before books,
because these show what trades have left. Ticks of one kind and time stay in the order of their file, and so does all
of a recorded feed.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

from actors.messages import (
    Bar,
    BookSnapshot,
    External,
    Funding,
    Liquidation,
    Mark,
    OpenInterest,
    Quote,
    Trade,
    WarmUp,
)
from actors.runtime.clock import knowable_ns
from replay.tape.merge import single_bars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actors.messages import Message
    from replay.tape.external import Playlist
    from replay.tape.series import Series

PUBLISHED: tuple[type[Message], ...] = (Mark, Funding, OpenInterest, Liquidation, External)
"""What external series play."""

PLAYED: tuple[type[Message], ...] = (*PUBLISHED, Bar, Trade, Quote, BookSnapshot, WarmUp)
"""What a tape plays: a restarted feed goes on behind as many inputs of these kinds as the journal holds."""

_RANKS: dict[type[Message], int] = {kind: max(-1, rank - len(PUBLISHED)) for rank, kind in enumerate(PLAYED)}
"""What is published has one rank: its order is that of the playlist."""


def merged_inputs(series: Sequence[Series], external: Playlist | None, skip: int) -> Iterator[Message]:
    """Return the inputs of all series in order, but for the first `skip`."""
    streams: list[Iterator[Message]] = [] if external is None else [external.messages()]
    for each in series:
        streams += [single_bars(each, 0, None)] if each.ticks is None else each.ticks.streams()
    played = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_place)
    return islice(played, skip, None) if skip else played


def _place(message: Message) -> tuple[int, int]:
    known_ns = knowable_ns(message)
    assert known_ns is not None, message
    return known_ns, _RANKS[type(message)]
