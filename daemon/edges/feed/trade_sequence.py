"""The trades of one symbol, each once and in order, from what a venue's stream and its REST pages say.

No network, no clock, no waiting: trades go in, trades come out, and `wanted` says from which one on REST has to be
asked. Where a venue counts its trades one by one, a number that is skipped is a trade that was missed, and it is
waited for. Where it does not, what comes twice is dropped, and what a break has cost can only be told.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actors.messages import Trade

_NAMES_KEPT = 5_000


class TradeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one symbol's trades so far."""

    symbol: str
    told: int
    """Trades that left."""
    backfilled: int
    """Those of them that only REST has told."""
    missing: int
    """Trades the venue does not have any more, or that lie too far back."""
    repeated: int
    """Trades that were told again."""


class TradeSequence:
    """Says which trades are next and what must be fetched.

    Args:
        symbol: of the trades.
        numbered: whether the venue counts them one by one.
        next_id: the first trade to tell; None starts with the first one that is heard of.
        back_max: what lies further back than this many trades is given up.
        held_max: trades kept while nobody takes them; beyond that REST has to tell them.
    """

    def __init__(
        self, symbol: str, *, numbered: bool, next_id: int | None = None, back_max: int = 50_000, held_max: int = 50_000
    ) -> None:
        self.symbol = symbol
        self.numbered = numbered
        self.next_id = next_id if numbered else None
        self.newest_ms: int | None = None
        """The newest trade's time."""
        self.doubtful = self.next_id is not None
        """Whether the venue must be asked for its newest trade, because there may be some we have not heard of."""
        self._back_max = back_max
        self._held_max = held_max
        self._held: dict[int, tuple[Trade, bool]] = {}
        """Trades from `next_id` on, by number, and whether REST has told them."""
        self._absent: dict[int, int] = {}
        """First number of a range that the venue does not have -> the first one after it."""
        self._plain: deque[Trade] = deque()
        """Trades without numbers, in order of arrival."""
        self._names: dict[str, None] = {}
        self._missing: list[tuple[int, int]] = []
        self._told = self._backfilled = self._missed = self._repeated = 0

    # --- what goes in -------------------------------------------------------------------------------

    def update(self, trades: Iterable[tuple[str, Trade]], *, from_rest: bool = False) -> None:
        """Take trades with their names at the venue, in the order they came."""
        for name, trade in trades:
            if trade.time_ns:
                self.newest_ms = max(trade.time_ns // 1_000_000, self.newest_ms or 0)
            if self.numbered:
                self._hold(trade, from_rest=from_rest)
            elif name in self._names:
                self._repeated += 1
            else:
                if name:
                    self._names[name] = None
                    if len(self._names) > _NAMES_KEPT:
                        del self._names[next(iter(self._names))]
                self._backfilled += from_rest
                self._plain.append(trade)
        if len(self._held) > self._held_max:
            newest = max(self._held)  # nobody takes them; of all of them the newest says how far REST has to go
            self._held = {newest: self._held[newest]}

    def doubt(self) -> None:
        """The stream was interrupted, and whatever came in between is unknown."""
        self.doubtful = self.next_id is not None or (not self.numbered and self.newest_ms is not None)

    def newest(self, trades: Sequence[tuple[str, Trade]]) -> None:
        """Take the venue's newest trades, which end a doubt: what lies between is a gap like any other."""
        self.doubtful = False
        self.update(trades, from_rest=True)

    def page(self, trades: Iterable[Trade], from_id: int) -> None:
        """Take the trades from `from_id` on, as REST tells them; a number it skips does not exist."""
        expected = from_id
        for trade in sorted(trades, key=lambda each: each.trade_id):
            if trade.trade_id > expected >= from_id:
                self._absent[expected] = trade.trade_id
            expected = max(expected, trade.trade_id + 1)
            self._hold(trade, from_rest=True)

    def give_up(self) -> None:
        """Go on behind what is wanted: the venue does not tell it."""
        if self.next_id is not None and self._held:
            self._miss(min(self._held))

    # --- what comes out -----------------------------------------------------------------------------

    def ready(self) -> list[Trade]:
        """Take the trades that are next."""
        ready = list(self._plain)
        self._plain.clear()
        while self.next_id is not None:
            found = self._held.pop(self.next_id, None)
            if found is not None:
                ready.append(found[0])
                self._backfilled += found[1]
                self.next_id += 1
            elif self.next_id in self._absent:
                end = self._absent.pop(self.next_id)
                self._miss(min((number for number in self._held if number < end), default=end))
            else:
                break
        self._absent = {first: end for first, end in self._absent.items() if first >= (self.next_id or 0)}
        self._told += len(ready)
        return ready

    def wanted(self) -> int | None:
        """Return the first of the trades that only REST can tell; None if there are none.

        What lies too far back is given up here.
        """
        if self.next_id is None or not self._held or self.next_id in self._held:
            return None
        newest = max(self._held)
        if newest - self.next_id > self._back_max:
            self._miss(newest - self._back_max)
            self._held = {number: held for number, held in self._held.items() if number >= self.next_id}
        return None if self.next_id in self._held else self.next_id

    def take_missing(self) -> list[tuple[int, int]]:
        """Take the ranges (first, last) that were skipped since the last time."""
        missing, self._missing = self._missing, []
        return missing

    def statistics(self) -> TradeStatistics:
        """Return what became of the trades so far."""
        return TradeStatistics(
            symbol=self.symbol,
            told=self._told,
            backfilled=self._backfilled,
            missing=self._missed,
            repeated=self._repeated,
        )

    # --- inside -------------------------------------------------------------------------------------

    def _hold(self, trade: Trade, *, from_rest: bool) -> None:
        number = trade.trade_id
        if self.next_id is None:
            self.next_id = number
        if number < self.next_id or number in self._held:
            self._repeated += not from_rest
            return
        self._held[number] = (trade, from_rest)

    def _miss(self, next_id: int) -> None:
        assert self.next_id is not None
        self._missed += next_id - self.next_id
        self._missing.append((self.next_id, next_id - 1))
        self.next_id = next_id
