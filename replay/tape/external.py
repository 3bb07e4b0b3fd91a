"""External series: what a tape tells between its bars, each value when it was published and not before.

A series that is named as a symbol of the tape is that market's own: its funding, open interest, liquidations or
marks. Any other name is a series of values every strategy can hear: sentiment, scores, flow. They are small beside
bars, and kept in memory: 24 bytes a value, and 8 more for its place in the order.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from actors.messages import External, Funding, Liquidation, Mark, OpenInterest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from actors.messages import Message
    from replay.tape.columns import Floats, Integers

ExternalKind = Literal["values", "funding", "open_interest", "liquidations", "mark"]

CHUNK_ROWS = 4_096
_STATES = frozenset({"values", "open_interest", "mark"})
"""Kinds whose newest value stays true until the next: a tape begins with what was known by then.

That is the value of the newest time, as it was last corrected; an older one may have been corrected later.
"""
_TIMELESS = frozenset({"open_interest", "mark"})
"""Those whose messages do not say what time they speak of: an older one that is corrected later is never told."""


class ExternalSeries(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One series, in the order its values were published."""

    name: str
    """Of the series, or the symbol of the market it belongs to."""
    kind: ExternalKind
    ts_ns: Integers
    """What time each value speaks of; that of a payment."""
    known_ns: Integers
    """When it could be known; never falls."""
    numbers: tuple[Floats, ...]
    """The columns a kind has, in the order of its message's fields."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self.known_ns)

    def fingerprint(self) -> str:
        """Return a hash of the content: equal for equal values, whatever file they came from."""
        digest = hashlib.sha256(f"{self.name}\n{self.kind}\n".encode())
        for column in (self.ts_ns, self.known_ns, *self.numbers):
            digest.update(np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.hexdigest()[:32]

    def between(self, first_open_ns: int, last_close_ns: int | None) -> ExternalSeries:
        """Return what a tape of bars between these times plays of it: what is known by its end, and as it begins."""
        start = int(np.searchsorted(self.known_ns, first_open_ns, side="left"))
        stop = len(self)
        if last_close_ns is not None:
            stop = int(np.searchsorted(self.known_ns, last_close_ns, side="right"))
        rows = np.arange(start, max(start, stop))
        if start and self.kind in _STATES:
            newest = start - 1 - int(self.ts_ns[:start][::-1].argmax())
            rows = np.append(newest, rows)
        if self.kind in _TIMELESS and len(rows):
            rows = rows[self.ts_ns[rows] >= np.maximum.accumulate(self.ts_ns[rows])]
        return self._rows(rows)

    def messages(self, rows: NDArray[np.intp]) -> Iterator[Message]:
        """Return these values as the core is told of them."""
        some = self._rows(rows)
        ts_ns, known_ns = some.ts_ns.tolist(), some.known_ns.tolist()
        return map(
            _SAYING[self.kind], [self.name] * len(known_ns), ts_ns, known_ns, *(n.tolist() for n in some.numbers)
        )

    def _rows(self, rows: NDArray[np.intp]) -> ExternalSeries:
        return msgspec.structs.replace(
            self,
            ts_ns=self.ts_ns[rows],
            known_ns=self.known_ns[rows],
            numbers=tuple(column[rows] for column in self.numbers),
        )


class Playlist:
    """All external series of a tape, in one order: by publication, then in the order they were given."""

    __slots__ = ("_order", "_starts", "fingerprint", "series")

    def __init__(self, series: Sequence[ExternalSeries], first_open_ns: int, last_close_ns: int | None) -> None:
        """Keep what a tape of bars between these times plays."""
        self.fingerprint = "".join(f"{each.fingerprint()}\n" for each in series)
        self.series = tuple(each.between(first_open_ns, last_close_ns) for each in series)
        self._starts = np.cumsum([0, *(len(each) for each in self.series)])[:-1]
        known_ns = np.concatenate([each.known_ns for each in self.series]) if self.series else np.array([], np.int64)
        self._order = np.argsort(known_ns, kind="stable")

    def __len__(self) -> int:
        """Return how many values are played."""
        return len(self._order)

    def first_ns(self) -> int | None:
        """Return when the first value that is played was known."""
        return min((int(each.known_ns[0]) for each in self.series if len(each)), default=None)

    def messages(self, skip: int = 0) -> Iterator[Message]:
        """Yield the values from the `skip`-th on."""
        for start in range(skip, len(self._order), CHUNK_ROWS):
            part = self._order[start : start + CHUNK_ROWS]
            who = np.searchsorted(self._starts, part, side="right") - 1
            said = [
                each.messages(part[who == ordinal] - self._starts[ordinal]) for ordinal, each in enumerate(self.series)
            ]
            for ordinal in who.tolist():
                yield next(said[ordinal])


def _external(name: str, ts_ns: int, known_ns: int, value: float) -> External:
    return External(name, value, ts_ns, known_ns)


def _funding(symbol: str, ts_ns: int, known_ns: int, rate: float) -> Funding:
    return Funding(symbol, rate, ts_ns, known_ns)


def _open_interest(symbol: str, _: int, known_ns: int, quantity: float, value: float) -> OpenInterest:
    return OpenInterest(symbol, quantity, value, known_ns)


def _liquidation(symbol: str, _: int, known_ns: int, side: float, price: float, quantity: float) -> Liquidation:
    return Liquidation(symbol, int(side), price, quantity, known_ns)


def _mark(symbol: str, _: int, known_ns: int, price: float) -> Mark:
    return Mark(symbol, price, 0.0, known_ns)


_SAYING: dict[ExternalKind, Callable[..., Message]] = {
    "values": _external,
    "funding": _funding,
    "open_interest": _open_interest,
    "liquidations": _liquidation,
    "mark": _mark,
}
