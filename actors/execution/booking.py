"""Executions of our orders at a real venue, each booked once: what is said of them, and what the venue kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.execution.fees import fees_of
from actors.execution.sent import identity
from actors.messages import SELL, FeeInBase, Fill

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping

    from actors.execution.contracts import Contracts
    from actors.execution.reconciliation import Accounts
    from actors.execution.sent import Sent
    from actors.instrument import Instrument
    from actors.messages import FeeInAsset, OrderRequest, TradeReported
    from actors.runtime.scheduler import Context

_TRADES_KEPT = 2_000
"""Newest trade ids remembered per symbol: a venue repeats itself about the last minutes, not about last week."""


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
        books: Collection[tuple[str, str, int]],
    ) -> None:
        self._emit = context.emit
        self._instruments = instruments
        self._accounts = accounts
        self._contracts = contracts
        self.known: dict[str, dict[int, None]] = {symbol: {} for symbol in instruments}
        """Ids of the newest executions, by symbol, in the order they were booked."""
        self.complete: dict[str, int] = {}
        """The trade id up to which the venue was asked and has told of every execution, by symbol."""
        self.waiting: dict[tuple[str, int], TradeReported] = {}
        """Executions of `pitboss panic`, told and not yet adopted, by symbol and number."""
        self.count = 0
        """Whatever was booked so far, executions and payments."""
        self._inherited = dict.fromkeys(symbol for _, symbol, lots in books if lots)
        """Symbols of which something is held when the session begins."""
        self.lots = {(strategy, symbol): lots for strategy, symbol, lots in books}
        """What each book holds, signed."""

    def asked_from(self) -> tuple[tuple[str, int], ...]:
        """Return (symbol, trade id) after which executions are asked for, of every symbol that has one.

        That is not after the newest we know: a stream may have lost one before it. Nor is it from before what is
        remembered, as what is told again must be known again. What waits to be told again is asked for in any case,
        also where nothing else of the symbol is known; -1 asks only for the number of the newest there is.
        """
        after = {symbol: max(self.complete.get(symbol, 0), min(ids) - 1) for symbol, ids in self.known.items() if ids}
        for symbol in self._inherited:
            after.setdefault(symbol, self.complete.get(symbol, -1))
        for symbol, trade_id in self.waiting:
            known_to = after.get(symbol, -1)
            after[symbol] = trade_id - 1 if known_to < 0 else min(known_to, trade_id - 1)
        return tuple(after.items())

    def hear_newest(self, newest: Iterable[tuple[str, int]]) -> None:
        """Take in the newest execution of symbols in which none of ours is known: what is ours comes after it."""
        for symbol, trade_id in newest:
            if trade_id and not self.known[symbol]:
                self.complete.setdefault(symbol, trade_id)

    def hear_all(self, trades: Iterable[TradeReported], but: Container[str]) -> None:
        """Take in that the venue told of every execution up to these, but of these symbols."""
        for trade in trades:
            if trade.symbol not in but:
                self.complete[trade.symbol] = max(self.complete.get(trade.symbol, 0), trade.trade_id)

    def is_known(self, trade: TradeReported) -> bool:
        """Return whether an execution was booked before."""
        return trade.trade_id in self.known[trade.symbol]

    def is_too_large(self, request: OrderRequest, sent: Iterable[Sent]) -> bool:
        """Return whether an order that may only close would close more than its book holds.

        On spot, where nothing is reduce-only, it may not do so together with what else of the book is sold: that was
        decided before it was known what fees would leave.
        """
        spec = self._instruments[request.symbol].spec
        is_sale = spec.long_only and request.side == SELL
        if not (request.closing or request.reduce_only or is_sale):
            return False
        book = (request.strategy, request.symbol)
        others: dict[int, int] = {}
        for order in sent if is_sale else ():
            other = order.request
            if (other.strategy, other.symbol) == book and other.side == SELL and other.ref != request.ref:
                open_lots = 0 if order.held else other.quantity_lots - order.booked_lots
                others[other.ref] = max(open_lots, others.get(other.ref, 0))  # it or its replacement
        return request.quantity_lots + sum(others.values()) > -request.side * self.lots.get(book, 0)

    def note(self, trade: TradeReported) -> None:
        """Remember an execution."""
        known = self.known[trade.symbol]
        known[trade.trade_id] = None
        if len(known) > _TRADES_KEPT:
            del known[next(iter(known))]
        self.count += 1

    def execute(self, order: Sent, trade: TradeReported) -> str:
        """Say what was executed of an order, and what the venue kept of it; return trouble in words."""
        strategy = order.request.strategy
        self._accounts.executed(trade)
        self._contracts.executed(strategy, trade)
        fee_atoms, fee_beside, trouble = self.fees(trade, strategy)
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
        self.change(strategy, trade, fee_beside)
        return trouble

    def change(self, strategy: str, trade: TradeReported, fee: FeeInBase | FeeInAsset | None) -> None:
        """Keep up with the ledger, which hears of it only once the input's other executions are looked at."""
        book = (strategy, trade.symbol)
        fee_lots = fee.quantity_lots if isinstance(fee, FeeInBase) else 0
        self.lots[book] = self.lots.get(book, 0) + trade.side * trade.quantity_lots - fee_lots

    def fees(self, trade: TradeReported, strategy: str) -> tuple[int, FeeInBase | FeeInAsset | None, str]:
        """Return the fee in atoms of the quote, the fee in something else, and trouble in words."""
        return fees_of(trade, self._instruments[trade.symbol], self._accounts.lot_atoms[trade.symbol], strategy)
