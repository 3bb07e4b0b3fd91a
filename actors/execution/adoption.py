"""What `pitboss panic` had executed from outside, and without us: it closed part of all books of the symbol.

Each book takes its share by its lots (largest remainder); what is more than all of them hold is not ours. The shares
are right only once everything of our own that was executed before is booked, and a stream may lose or reorder what it
tells. So trading halts with the first word of it, and the books follow in the next comparison of the accounts, once
no execution of an order of the symbol is missing there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.execution.books import split
from actors.execution.orders import PREFIX
from actors.messages import BUY, Adopted, Halt

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from actors.execution.booking import Booking
    from actors.execution.contracts import Contracts
    from actors.execution.reconciliation import Accounts
    from actors.instrument import Instrument
    from actors.messages import TradeReported
    from actors.runtime.scheduler import Context

PANIC_MARK = "-"
"""Stands in the id of an order of `pitboss panic`, after the session's prefix, and in no id of the session's own."""


def is_of_panic(order_id: str) -> bool:
    """Return whether `pitboss panic` sent an order."""
    return order_id.startswith(PREFIX) and PANIC_MARK in order_id


class Adoption:
    """Executions of `pitboss panic`, from the first word of them until the books have followed.

    Args:
        context: the core's.
        instruments: exact units by symbol.
        accounts: the venue's account beside ours.
        contracts: the contracts among the instruments.
        booking: what was executed, and for whom.
    """

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        accounts: Accounts,
        contracts: Contracts,
        booking: Booking,
    ) -> None:
        self._emit = context.emit
        self._instruments = instruments
        self._accounts = accounts
        self._contracts = contracts
        self._booking = booking
        self.waiting = booking.waiting

    def hear(self, trade: TradeReported) -> None:
        """Keep an execution for the next comparison of the accounts, and stop at once."""
        if (trade.symbol, trade.trade_id) not in self.waiting:
            self.waiting[trade.symbol, trade.trade_id] = trade
            self._emit(Halt(f"{self._words(trade)}; the books follow"))

    def follow(self, told: Collection[tuple[str, int]], unfinished: Collection[str]) -> int:
        """Adopt what the venue's answer tells; return how many executions that were.

        Args:
            told: symbol and number of every execution in the answer; what was told after the question still waits.
            unfinished: symbols in which executions of our own orders are missing.
        """
        ready = [key for key in sorted(self.waiting) if key in told and key[0] not in unfinished]
        for key in ready:
            self._adopt(self.waiting.pop(key))
        return len(ready)

    def _adopt(self, trade: TradeReported) -> None:
        """Let our books follow one execution, and stop until somebody says go on."""
        self._booking.note(trade)
        self._accounts.executed(trade)
        instrument = self._instruments[trade.symbol]
        value_of = instrument.value_atoms
        shares = self._shares(trade)
        parts = [msgspec.structs.replace(trade, quantity_lots=lots) for _, lots in shares]
        rounding_atoms = value_of(trade.price_ticks, trade.quantity_lots) - sum(
            value_of(part.price_ticks, part.quantity_lots) for part in parts
        )
        weights = [part.quantity_lots for part in parts]
        fees, values = split(trade.fee_atoms, weights), split(max(0, trade.fee_value_atoms), weights)
        troubles = []
        for (strategy, _), part, fee_of_part, value in zip(shares, parts, fees, values, strict=True):
            if not strategy:
                continue
            known_value = -1 if trade.fee_value_atoms < 0 else value
            charged = msgspec.structs.replace(part, fee_atoms=fee_of_part, fee_value_atoms=known_value)
            self._contracts.executed(strategy, charged)
            fee_atoms, fee_beside, trouble = self._booking.fees(charged, strategy)
            # the parts are rounded one by one, the venue rounded once: the difference goes with the first fee
            fee_atoms += trade.side * rounding_atoms
            rounding_atoms = 0
            self._emit(
                Adopted(
                    strategy,
                    trade.symbol,
                    trade.order_id,
                    trade.trade_id,
                    trade.side,
                    trade.price_ticks,
                    part.quantity_lots,
                    fee_atoms,
                    trade.executed_ns,
                )
            )
            if fee_beside is not None:
                self._emit(fee_beside)
            self._booking.change(strategy, part, fee_beside)
            troubles.append(trouble)
        words = f"{self._words(trade)}; the books have followed, resume to trade on"
        self._emit(Halt("; ".join([words, *filter(None, troubles[:1])])))

    def _words(self, trade: TradeReported) -> str:
        quantity = f"{self._instruments[trade.symbol].quantity(trade.quantity_lots).normalize():f}"
        verb = "bought" if trade.side == BUY else "sold"
        return f"{trade.symbol}: pitboss panic {verb} {quantity}"

    def _shares(self, trade: TradeReported) -> list[tuple[str, int]]:
        """Return (strategy, lots) of an execution that closes, the rest of it under no name."""
        closing = {
            strategy: -trade.side * lots
            for (strategy, symbol), lots in self._booking.lots.items()
            if symbol == trade.symbol and -trade.side * lots > 0
        }
        held_lots = sum(closing.values())
        ours_lots = min(held_lots, trade.quantity_lots)
        parts = split(ours_lots, list(closing.values())) if ours_lots else []
        shares = [(strategy, lots) for strategy, lots in zip(closing, parts, strict=False) if lots]
        rest_lots = trade.quantity_lots - ours_lots
        return [*shares, ("", rest_lots)] if rest_lots else shares
