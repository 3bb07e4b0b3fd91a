"""Funding on paper: what holding a contract costs or earns, from the rates and marks a live feed announces.

At the time a venue has announced, every book pays position x mark x rate, or gets it, at the newest mark and the
newest rate for that time. Without a mark nothing is paid: nobody could say how much. A real venue says itself what
it took.

A tape of bars announces nothing, but a series of what was paid may lie beside it: such a rate is told at the time it
is paid, and is taken at the close of the newest bar where no mark is known.

On margin the venue knows one position: what that pays is rounded once, and the books' parts add up to it: what
rounding them leaves goes to the first. Its mark is then the last close where none is told, for announced rates, too.
And what was executed before a payment counts for it, also where that is known only later, at the close of a bar that
the payment fell into: the difference is then paid, or given back.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import Rate
from actors.messages import Fill, Funding, FundingShared, Liquidated, Mark, PositionChanged, TimerFired

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.instrument import Instrument
    from actors.runtime.scheduler import Context

_NS_PER_MS = 1_000_000


class _Payment(msgspec.Struct):
    """What was paid of one contract at one time, as far as is known."""

    symbol: str
    paid_ns: int
    rate: float
    mark: float
    lots: dict[str, int]
    """What each book held then."""
    parts: dict[str, int]
    """What each paid, in atoms."""


class _State(msgspec.Struct):
    positions: list[tuple[str, str, int]]
    marks: dict[str, float]
    announced: dict[str, tuple[float, int, bool]]
    payments: list[_Payment] = []


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
        self._payments: list[_Payment] = []
        """On margin, those since the newest bar of their symbol: something executed before them may not be known."""

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
        held = {book[0]: lots for book, lots in self._positions.items() if book[1] == symbol and lots}
        payment = _Payment(symbol, due_ns, rate, mark, held, {})
        self._pay(payment)
        if self._nets:
            self._payments = [each for each in self._payments if not self._is_closed(each)] + [payment]

    def on_execution(self, fill: Fill | Liquidated) -> None:
        """Count what was executed before a payment, and is known only now."""
        for payment in self._payments:
            if payment.symbol == fill.symbol and fill.executed_ns < payment.paid_ns:
                lots = payment.lots.get(fill.strategy, 0) + fill.side * fill.quantity_lots
                payment.lots[fill.strategy] = lots
                self._pay(payment)

    def _is_closed(self, payment: _Payment) -> bool:
        """Return whether the bar that a payment fell into is known."""
        bar = self._context.lane(payment.symbol).bar
        return bar is not None and payment.paid_ns <= bar.close_ns

    def _pay(self, payment: _Payment) -> None:
        """Have each book pay its part, or what that has become more."""
        symbol, paid_ns = payment.symbol, payment.paid_ns
        for strategy, atoms in self._parts(payment).items():
            known = payment.parts.get(strategy)
            if atoms != (known or 0) or known is None:
                more_atoms = atoms - (known or 0)
                payment.parts[strategy] = atoms
                self._emit(FundingShared(strategy, symbol, paid_ns // _NS_PER_MS, -more_atoms, paid_ns))

    def _parts(self, payment: _Payment) -> dict[str, int]:
        """Return what each book pays."""
        instrument, exact = self._instruments[payment.symbol], Rate(Decimal(repr(payment.rate)))
        parts = {
            strategy: exact.of(instrument.mark_atoms(payment.mark, lots)) for strategy, lots in payment.lots.items()
        }
        if self._nets and parts:
            whole_atoms = exact.of(instrument.mark_atoms(payment.mark, sum(payment.lots.values())))
            left_atoms = whole_atoms - sum(parts.values())
            unit = 1 if left_atoms > 0 else -1
            strategies = list(parts)
            for index in range(abs(left_atoms)):
                parts[strategies[index % len(strategies)]] += unit
        return parts

    def dump(self) -> bytes:
        """Return the state."""
        positions = [(strategy, symbol, lots) for (strategy, symbol), lots in self._positions.items()]
        return msgspec.msgpack.encode(_State(positions, self._marks, self._announced, self._payments))

    def load(self, state: bytes) -> None:
        """Restore the state; the timers must be restored already."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self._positions = {(strategy, symbol): lots for strategy, symbol, lots in kept.positions}
        self._marks, self._announced, self._payments = kept.marks, kept.announced, kept.payments
