"""Executions at a real venue, each booked once: what is said of them, and whose they are.

One that executed an order of ours belongs to the book that sent it. One that `pitboss panic` had executed, from
outside and without us, closed part of all books of the symbol: each book takes its share by its lots (largest
remainder), and what is more than all of them hold is not ours.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from actors.execution.books import split
from actors.execution.fees import fees_of
from actors.execution.sent import identity
from actors.messages import BUY, Adopted, FeeInBase, Fill, Halt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.execution.contracts import Contracts
    from actors.execution.reconciliation import Accounts
    from actors.execution.sent import Sent
    from actors.instrument import Instrument
    from actors.messages import FeeInAsset, TradeReported
    from actors.runtime.scheduler import Context

_TRADES_KEPT = 2_000
"""Newest trade ids remembered per symbol: a venue repeats itself about the last minutes, not about last week."""
PANIC_MARK = "-"
"""Stands in the id of an order of `pitboss panic`, after the session's prefix, and in no id of the session's own."""


class Booking:
    """What was executed, and for whom.

    Args:
        context: the core's.
        instruments: exact units by symbol.
        accounts: the venue's account beside ours.
        contracts: the contracts among the instruments.
        books: (strategy, symbol, lots) of every strategy that may trade, and of what is inherited.
    """

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        accounts: Accounts,
        contracts: Contracts,
        books: Iterable[tuple[str, str, int]],
    ) -> None:
        self._emit = context.emit
        self._instruments = instruments
        self._accounts = accounts
        self._contracts = contracts
        self.known: dict[str, deque[int]] = {symbol: deque(maxlen=_TRADES_KEPT) for symbol in instruments}
        self.count = 0
        """Whatever was booked so far, executions and payments."""
        self.lots = {(strategy, symbol): lots for strategy, symbol, lots in books}
        """What each book holds, signed."""

    def newest(self) -> tuple[tuple[str, int], ...]:
        """Return (symbol, newest trade id) of every symbol that has one."""
        return tuple((symbol, max(ids)) for symbol, ids in self.known.items() if ids)

    def is_known(self, trade: TradeReported) -> bool:
        """Return whether an execution was booked before."""
        return trade.trade_id in self.known[trade.symbol]

    def note(self, trade: TradeReported) -> None:
        """Remember an execution."""
        self.known[trade.symbol].append(trade.trade_id)
        self.count += 1

    def execute(self, order: Sent, trade: TradeReported) -> str:
        """Say what was executed of an order, and what the venue kept of it; return trouble in words."""
        strategy = order.request.strategy
        self._accounts.executed(trade)
        self._contracts.executed(strategy, trade)
        fee_atoms, fee_beside, trouble = self._fees(trade, strategy)
        self._emit(
            Fill(
                *identity(order),
                trade.trade_id,
                trade.side,
                trade.price_ticks,
                trade.quantity_lots,
                order.request.quantity_lots - order.booked_lots,
                fee_atoms,
                trade.liquidity,
                trade.executed_ns,
            )
        )
        if fee_beside is not None:
            self._emit(fee_beside)
        self._change(strategy, trade, fee_beside)
        return trouble

    def adopt(self, trade: TradeReported) -> None:
        """Let our books follow what `pitboss panic` did, and stop until somebody says go on."""
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
            fee_atoms, fee_beside, trouble = self._fees(charged, strategy)
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
            self._change(strategy, part, fee_beside)
            troubles.append(trouble)
        quantity = f"{instrument.quantity(trade.quantity_lots).normalize():f}"
        verb = "bought" if trade.side == BUY else "sold"
        words = f"{trade.symbol}: pitboss panic {verb} {quantity}; the books have followed, resume to trade on"
        self._emit(Halt("; ".join([words, *filter(None, troubles[:1])])))

    def _change(self, strategy: str, trade: TradeReported, fee: FeeInBase | FeeInAsset | None) -> None:
        """Keep up with the ledger, which hears of it only once the input's other executions are looked at."""
        book = (strategy, trade.symbol)
        fee_lots = fee.quantity_lots if isinstance(fee, FeeInBase) else 0
        self.lots[book] = self.lots.get(book, 0) + trade.side * trade.quantity_lots - fee_lots

    def _shares(self, trade: TradeReported) -> list[tuple[str, int]]:
        """Return (strategy, lots) of an execution that closes, the rest of it under no name."""
        closing = {
            strategy: -trade.side * lots
            for (strategy, symbol), lots in self.lots.items()
            if symbol == trade.symbol and -trade.side * lots > 0
        }
        held_lots = sum(closing.values())
        ours_lots = min(held_lots, trade.quantity_lots)
        parts = split(ours_lots, list(closing.values())) if ours_lots else []
        shares = [(strategy, lots) for strategy, lots in zip(closing, parts, strict=False) if lots]
        rest_lots = trade.quantity_lots - ours_lots
        return [*shares, ("", rest_lots)] if rest_lots else shares

    def _fees(self, trade: TradeReported, strategy: str) -> tuple[int, FeeInBase | FeeInAsset | None, str]:
        return fees_of(trade, self._instruments[trade.symbol], self._accounts.lot_atoms[trade.symbol], strategy)
