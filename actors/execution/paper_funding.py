"""Funding on paper: what holding a contract costs or earns, from the rates and marks a live feed announces.

At the time a venue has announced, every book pays position x mark x rate, or gets it, at the newest mark and the
newest rate for that time. Without a mark nothing is paid: nobody could say how much. A real venue says itself what
it took.

A tape of bars announces nothing, but a series of what was paid may lie beside it: such a rate is told at the time it
is paid, and is taken at the close of the newest bar where no mark is known.
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
        self, context: Context, instruments: Mapping[str, Instrument], positions: Iterable[tuple[str, str, int]]
    ) -> None:
        """Start from `positions`: (strategy, symbol, lots)."""
        self.name = "funding"
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
        if mark is None and is_record and bar is not None:
            mark = bar.close
        if mark is None:
            return
        for (strategy, held), lots in self._positions.items():
            if held == symbol and lots:
                paid_atoms = Rate(Decimal(repr(rate))).of(self._instruments[symbol].mark_atoms(mark, lots))
                self._emit(FundingShared(strategy, symbol, due_ns // _NS_PER_MS, -paid_atoms, due_ns))

    def dump(self) -> bytes:
        """Return the state."""
        positions = [(strategy, symbol, lots) for (strategy, symbol), lots in self._positions.items()]
        return msgspec.msgpack.encode(_State(positions, self._marks, self._announced))

    def load(self, state: bytes) -> None:
        """Restore the state; the timers must be restored already."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self._positions = {(strategy, symbol): lots for strategy, symbol, lots in kept.positions}
        self._marks, self._announced = kept.marks, kept.announced
