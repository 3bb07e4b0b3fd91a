"""Bars of several symbols on their way to the core, by the time at which they could be known (D5).

What closes as it is watched goes straight through: nobody waits for a slower symbol. But what was missed, in a
break or before a start, is let out symbol by symbol in the order of a tape: a bar waits while another symbol still
owes one that comes before it. A symbol that owes for too long is no longer waited for, until it moves again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import anyio
import structlog

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable

    from actors.messages import Bar

PATIENCE_S = 5.0

log = structlog.get_logger()


class Debtor(Protocol):
    """One symbol."""

    symbol: str
    leaving: deque[Bar]
    """Bars that may leave, in order."""

    def owes(self, bar: Bar, *, goes_first: bool) -> int | None:
        """Return the open time of a closed bar that comes before `bar` and is yet to come; it is asked for then.

        Args:
            bar: another symbol's.
            goes_first: whether this symbol goes before the other at equal times.
        """


class _Wait:
    """For what one symbol is waited."""

    __slots__ = ("given_up", "owed_ms", "until_s")

    def __init__(self, owed_ms: int, until_s: float) -> None:
        self.owed_ms = owed_ms
        self.until_s = until_s
        self.given_up = False


class BarMerge:
    """Lets bars out.

    Args:
        post: where to.
        patience_s: how long a symbol is waited for.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        post: Callable[[Bar], Awaitable[None]],
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._post = post
        self._patience_s = patience_s
        self._clock = clock
        self._symbols: list[Debtor] = []
        self._waits: dict[str, _Wait] = {}
        self._turn = anyio.Lock()

    def join(self, symbol: Debtor) -> None:
        """Take a symbol in; at equal times those that joined first go first."""
        self._symbols.append(symbol)

    async def let_out(self) -> None:
        """Post every bar that need not wait."""
        async with self._turn:
            while (head := self._first()) is not None and not self._must_wait(*head):
                leaving = self._symbols[head[0]].leaving
                await self._post(leaving[0])
                leaving.popleft()

    def _first(self) -> tuple[int, Bar] | None:
        heads = [(each.leaving[0].close_ns, place) for place, each in enumerate(self._symbols) if each.leaving]
        if not heads:
            return None
        place = min(heads)[1]
        return place, self._symbols[place].leaving[0]

    def _must_wait(self, place: int, bar: Bar) -> bool:
        waits = False
        for other, symbol in enumerate(self._symbols):
            if symbol.leaving or other == place:
                continue
            owed_ms = symbol.owes(bar, goes_first=other < place)
            if owed_ms is None:
                self._waits.pop(symbol.symbol, None)
                continue
            wait = self._waits.get(symbol.symbol)
            if wait is None or wait.owed_ms != owed_ms:
                wait = self._waits[symbol.symbol] = _Wait(owed_ms, self._clock() + self._patience_s)
            if self._clock() < wait.until_s:
                waits = True
            elif not wait.given_up:
                wait.given_up = True
                log.warning("symbol_not_waited_for", symbol=symbol.symbol, owes_open_ms=owed_ms)
        return waits
