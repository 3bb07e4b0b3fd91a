"""What is peculiar to contracts at a real venue: funding, positions the venue closes itself, and reduce-only.

A venue knows one position of the account, we keep a book for each strategy. So a payment of funding is shared
among the books, a sale the venue itself ordered (a liquidation) belongs to none of them and ends our trading in
that contract, and an order is only called reduce-only at the venue where its book is all of the venue's position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from actors.execution.books import Books, Shelf
from actors.messages import BUY, ForcedTrade, FundingPaid, FundingShared, Halt, OrderRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.execution.reconciliation import Accounts
    from actors.instrument import Instrument
    from actors.messages import TradeReported
    from actors.runtime.scheduler import Context

T = TypeVar("T")

_IDS_KEPT = 200
"""Newest payments and forced executions remembered per symbol."""
_ANEW = "flatten by pitboss panic, then begin anew with another --state-dir"


class Contract(msgspec.Struct):
    """What was heard of one contract."""

    asked_ns: int = 0
    """Funding before this time is not ours, or is known."""
    payments: list[int] = []
    """Ids of the newest payments."""
    forced: list[int] = []
    """Trade ids of the newest executions the venue ordered itself."""
    closed_by_venue: str = ""
    """What it did to our position, in words; from then on nothing more is sent."""
    taken: list[tuple[int, int]] = []
    """When it did, and how many signed lots that were, of the newest of these."""


class ContractsState(msgspec.Struct):
    """What a snapshot keeps."""

    contracts: dict[str, Contract] = {}
    shelves: dict[str, Shelf] = {}


class Contracts:
    """The contracts among the instruments.

    Args:
        context: the core's.
        instruments: exact units by symbol.
        accounts: the venue's account beside ours.
        books: (strategy, symbol, lots) of every strategy that may trade, and of what is inherited.
    """

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        accounts: Accounts,
        books: Iterable[tuple[str, str, int]],
    ) -> None:
        self._context = context
        self._emit = context.emit
        self._instruments = instruments
        self._accounts = accounts
        self._contracts = {symbol: Contract() for symbol, each in instruments.items() if each.spec.contract}
        self._books = Books(self._contracts, books)

    # --- orders -------------------------------------------------------------------------------------

    def refusal(self, symbol: str) -> str:
        """Return why nothing is sent for a symbol any more; empty if it is."""
        contract = self._contracts.get(symbol)
        return "" if contract is None else contract.closed_by_venue

    def reduces(self, request: OrderRequest) -> bool:
        """Return whether an order can only bring its book nearer to flat."""
        return request.quantity_lots <= -request.side * self._books.lots(request.strategy, request.symbol)

    def is_reduce_only_there(self, request: OrderRequest) -> bool:
        """Return whether the venue can be told that an order must only reduce: its book is all the venue knows of.

        Else only of one that is too small to be taken otherwise, where it reduces the account's position, too: the last
        bit of a book beside others.
        """
        symbol = request.symbol
        if symbol not in self._contracts or not request.reduce_only:
            return False
        if self.reduces_there(symbol):
            return True
        account_lots = self._accounts.foreign_lots(symbol) + self._accounts.positions[symbol].ours_lots
        return self._is_small(request) and request.quantity_lots <= -request.side * account_lots

    def reduces_there(self, symbol: str) -> bool:
        """Return whether the venue keeps an order that only reduces within its book: it is all the venue knows of.

        On spot nothing is reduce-only; risk lets no more be sold than there is.
        """
        if symbol not in self._contracts:
            return True
        return self._books.is_alone(symbol) and not self._accounts.foreign_lots(symbol)

    def _is_small(self, request: OrderRequest) -> bool:
        """Return whether an order is worth less than the venue takes, as far as anybody knows."""
        instrument = self._instruments[request.symbol]
        ticks = request.limit_ticks or request.stop_ticks
        bar = self._context.lane(request.symbol).bar
        if not ticks and bar is not None:
            ticks = instrument.price_to_ticks(bar.close)
        return 0 < instrument.value_atoms(ticks, request.quantity_lots) < instrument.min_notional_atoms

    def executed(self, strategy: str, trade: TradeReported) -> None:
        """Take in an execution of ours."""
        self._books.executed(strategy, trade)

    # --- funding ------------------------------------------------------------------------------------

    def take_over(self, funded_ns: Mapping[str, int]) -> None:
        """Go on after what an earlier session knew of funding: what was paid since is of the positions it left us."""
        for symbol, contract in self._contracts.items():
            contract.asked_ns = funded_ns.get(symbol, -1) + 1

    def funded_ns(self) -> dict[str, int]:
        """Return up to when payments of funding are known; one of the very time we first asked for may not be."""
        known = self._contracts.items()
        return {symbol: each.asked_ns - (not each.payments) for symbol, each in known if each.asked_ns}

    def funding_after(self) -> tuple[tuple[str, int], ...]:
        """Return since when funding is wanted, by symbol: nothing before the first question is ours."""
        for contract in self._contracts.values():
            contract.asked_ns = contract.asked_ns or self._context.now_ns
        return tuple((symbol, contract.asked_ns) for symbol, contract in self._contracts.items())

    def on_funding(self, paid: FundingPaid) -> bool:
        """Share a payment among the books, once; return whether it was new."""
        contract = self._contracts[paid.symbol]
        if paid.funding_id in contract.payments or paid.paid_ns < contract.asked_ns:
            return False
        _remember(contract.payments, paid.funding_id)
        contract.asked_ns = paid.paid_ns
        quote = self._instruments[paid.symbol].spec.quote
        if paid.asset != quote:
            self._emit(Halt(f"{paid.symbol}: funding was paid in {paid.asset}, not in {quote}"))
            return True
        self._accounts.changed(quote, paid.amount_atoms)
        foreign_lots = self._accounts.foreign_lots(paid.symbol)
        foreign_lots -= sum(lots for executed_ns, lots in contract.taken if executed_ns > paid.paid_ns)
        for strategy, atoms in self._books.share(paid.symbol, paid.amount_atoms, paid.paid_ns, foreign_lots):
            self._emit(FundingShared(strategy, paid.symbol, paid.funding_id, atoms, paid.paid_ns))
        return True

    # --- what the venue does on its own -------------------------------------------------------------

    def on_forced(self, trade: ForcedTrade) -> bool:
        """Stop trading a contract whose position the venue itself has touched; return whether it was news."""
        contract = self._contracts[trade.symbol]
        if trade.trade_id in contract.forced:
            return False
        _remember(contract.forced, trade.trade_id)
        _remember(contract.taken, (trade.executed_ns, trade.side * trade.quantity_lots))
        self._accounts.forced(trade)
        instrument = self._instruments[trade.symbol]
        quantity = f"{instrument.quantity(trade.quantity_lots).normalize():f}"
        price = f"{instrument.price(trade.price_ticks).normalize():f}"
        verb = "bought" if trade.side == BUY else "sold"
        words = f"{trade.kind}: the venue's order {trade.order_id} {verb} {quantity} at {price}"
        contract.closed_by_venue = f"{words}; {_ANEW}"
        self._emit(Halt(f"{trade.symbol}: {words}, which none of our books ordered; {_ANEW}"))
        return True

    # --- state --------------------------------------------------------------------------------------

    def dump(self) -> ContractsState:
        """Return the state."""
        return ContractsState(self._contracts, self._books.shelves)

    def load(self, kept: ContractsState) -> None:
        """Restore the state."""
        self._contracts |= kept.contracts
        self._books.shelves |= kept.shelves


def _remember(known: list[T], new: T) -> None:
    known.append(new)
    del known[:-_IDS_KEPT]
