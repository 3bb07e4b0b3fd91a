"""Every input of a tape in the order it is played: bars and, where a symbol has them, its ticks.

The order is (time it was knowable, rank of kind, ordinal of the series). A bar is knowable at its close and goes
before the ticks of that very time, which are in the next bar; trades go before quotes, and quotes before books,
because these show what trades have left. Ticks of one kind and time stay in the order of their file, and so does all
of a recorded feed.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

from actors.messages import Bar, BookSnapshot, Quote, Trade
from replay.tape.merge import single_bars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actors.messages import Message
    from replay.tape.series import Series

PLAYED: tuple[type[Message], ...] = (Bar, Trade, Quote, BookSnapshot)
"""What a tape plays: a restarted feed goes on behind as many inputs of these kinds as the journal holds."""

_RANKS: dict[type[Message], int] = {kind: rank for rank, kind in enumerate(PLAYED)}


def merged_inputs(series: Sequence[Series], skip: int) -> Iterator[Message]:
    """Return the inputs of all series in order, but for the first `skip`."""
    streams: list[Iterator[Message]] = []
    for each in series:
        streams += [single_bars(each, 0, None)] if each.ticks is None else each.ticks.streams()
    played = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_place)
    return islice(played, skip, None) if skip else played


def _place(message: Message) -> tuple[int, int]:
    if isinstance(message, Bar):
        return message.close_ns, 0
    assert isinstance(message, Trade | Quote | BookSnapshot), message
    return message.time_ns, _RANKS[type(message)]
