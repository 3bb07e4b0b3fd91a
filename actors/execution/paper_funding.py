"""Funding on paper: what holding a contract costs or earns, from the rates and marks a live feed announces.

At the time a venue has announced, every book pays position x mark x rate, or gets it, at the newest mark and the
newest rate for that time. Without a mark nothing is paid: nobody could say how much. A real venue says itself what
it took.

A tape of bars announces nothing, but a series of what was paid may lie beside it: such a rate is told at the time it
is paid, and is taken at the close of the newest bar where no mark is known.

On margin the venue knows one position: what that pays is rounded once, and the books' parts add up to it: what
rounding them leaves goes to the first. Its mark is then the last close where none is told, for announced rates, too.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import Rate
from actors.messages import Funding, FundingShared, Mark, PositionChanged, TimerFired

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.instrument import Instrument
    from actors.runtime.scheduler import Context

_NS_PER_MS = 1_000_000


class _State(msgspec.Struct):
    positions: list[tuple[str, str, int]]
    marks: dict[str, float]
    announced: dict[str, tuple[float, int, bool]]


class PaperFunding:
    """Settles the funding of contracts at the simulated venue."""

    isolated = False

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        positions: Iterable[tuple[str, str, int]],
        *,
        nets: bool = False,
    ) -> None:
        """Start from `positions`: (strategy, symbol, lots); `nets` says that contracts are held on margin."""
        self.name = "funding"
        self._nets = nets
        self._context = context
        self._emit = context.emit
        self._instruments = {
            symbol: instrument for symbol, instrument in instruments.items() if instrument.spec.contract
        }
        self._positions = {(strategy, symbol): lots for strategy, symbol, lots in positions}
        self._marks: dict[str, float] = {}
        self._announced: dict[str, tuple[float, int, bool]] = {}
        """The newest rate of each symbol, when it is paid, and whether it was told no sooner."""

    def on_position_changed(self, message: PositionChanged) -> None:
        """Follow the books."""
        if message.symbol in self._instruments:
            self._positions[message.strategy, message.symbol] = message.quantity_lots

    def on_mark(self, mark: Mark) -> None:
        """Keep the newest mark."""
        self._marks[mark.symbol] = mark.price

    def on_funding(self, funding: Funding) -> None:
        """Keep the newest rate, and settle what was announced for an earlier time, if that is still open."""
        known = self._announced.get(funding.symbol)
        if known is not None and known[1] < funding.next_ns:
            self._settle(funding.symbol)
        now_ns = self._context.now_ns
        is_record = funding.time_ns == funding.next_ns == now_ns
        if funding.symbol in self._instruments and (funding.next_ns > now_ns or is_record):
            self._announced[funding.symbol] = (funding.rate, funding.next_ns, is_record)
            self._context.timers.arm(self.name, funding.symbol, funding.next_ns)

    def on_timer(self, timer: TimerFired) -> None:
        """Settle when it is time."""
        if timer.actor == self.name:
            self._settle(timer.name)

    def _settle(self, symbol: str) -> None:
        rate, due_ns, is_record = self._announced.pop(symbol)
        self._context.timers.disarm(self.name, symbol)
        mark = self._marks.get(symbol)
        bar = self._context.lane(symbol).bar
        if mark is None and (is_record or self._nets) and bar is not None:
            mark = bar.close
        if mark is None:
            return
        held = {book: lots for book, lots in self._positions.items() if book[1] == symbol and lots}
        for (strategy, _), paid_atoms in zip(
            held, self._payments(symbol, rate, mark, list(held.values())), strict=True
        ):
            self._emit(FundingShared(strategy, symbol, due_ns // _NS_PER_MS, -paid_atoms, due_ns))

    def _payments(self, symbol: str, rate: float, mark: float, each_lots: list[int]) -> list[int]:
        """Return what books of so many lots pay."""
        instrument, exact = self._instruments[symbol], Rate(Decimal(repr(rate)))
        paid = [exact.of(instrument.mark_atoms(mark, lots)) for lots in each_lots]
        if self._nets:
            left_atoms = exact.of(instrument.mark_atoms(mark, sum(each_lots))) - sum(paid)
            unit = 1 if left_atoms > 0 else -1
            for index in range(abs(left_atoms)):
                paid[index % len(paid)] += unit
        return paid

    def dump(self) -> bytes:
        """Return the state."""
        positions = [(strategy, symbol, lots) for (strategy, symbol), lots in self._positions.items()]
        return msgspec.msgpack.encode(_State(positions, self._marks, self._announced))

    def load(self, state: bytes) -> None:
        """Restore the state; the timers must be restored already."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self._positions = {(strategy, symbol): lots for strategy, symbol, lots in kept.positions}
        self._marks, self._announced = kept.marks, kept.announced
