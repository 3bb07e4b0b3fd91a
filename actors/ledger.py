"""Ledger: who owns what, to the atom.

Conservation, asserted on every fill: ``cash + cost of inventory + value of other assets == start + realised -
fees + funding - liquidation fees + what the insurance fund paid``. Cost and inventory are signed (a short has negative
cost); an asset that only fees were charged in is owed. A partial close takes ``floor(cost x closed / held)`` of the
cost by magnitude, a full close the rest, so nothing is ever lost to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from actors.messages import (
    Adopted,
    Bar,
    EquityMark,
    FeeInAsset,
    FeeInBase,
    Fill,
    FundingShared,
    Insured,
    Liquidated,
    PositionChanged,
)
from actors.netting import net_fill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from actors.instrument import Instrument
    from actors.runtime.scheduler import Context


_TOO_MUCH = "more money than can be counted"
_COUNT_MAX = 2**63
"""What a journal cannot hold any more, in atoms: some ninety billion quote units."""


class Holding(msgspec.Struct):
    """One strategy's book in one symbol."""

    strategy: str
    symbol: str
    quantity_lots: int = 0
    cost_atoms: int = 0
    realized_atoms: int = 0
    """Profit of closed quantity, before fees."""
    fees_atoms: int = 0
    fills: int = 0
    round_trips: int = 0
    """Times the book returned to flat, or crossed through it."""
    funding_atoms: int = 0
    """What it received of a perpetual's funding, less what it paid."""
    liquidation_fees_atoms: int = 0
    """What the insurance fund took when the venue closed it."""
    insured_atoms: int = 0
    """What the insurance fund paid for it, because there was less than nothing left."""


class OtherAsset(msgspec.Struct):
    """An asset that is neither traded nor the quote: the venue charged fees in it."""

    asset: str
    amount_atoms: int = 0
    """Of the asset (1e-8); negative is what fees took."""
    value_atoms: int = 0
    """What it was worth in quote units at the time, signed alike: its place in the books."""


class Begun(msgspec.Struct, frozen=True):
    """What the account was worth when its UTC day and week began, and when it was marked last."""

    day_index: int
    """Days since 1970-01-01."""
    day_atoms: int
    week_index: int
    """Weeks since the Monday before that."""
    week_atoms: int
    last_atoms: int


class Account(msgspec.Struct):
    """What a session starts from, and what the next one inherits."""

    cash_atoms: int
    holdings: list[Holding] = []
    others: list[OtherAsset] = []
    funded_ns: dict[str, int] = {}
    """By contract: payments of funding up to this time are in the cash, later ones are not."""
    set_aside: dict[str, int] = {}
    """By contract on isolated margin at the simulated venue: what is set aside for its position."""
    begun: Begun | None = None
    """Where limits on losses followed the equity: what they count from."""


class _State(msgspec.Struct):
    account: Account
    start_atoms: int
    marks: dict[str, float]


class _Chunk:
    """Bars of one symbol whose equity is marked all at once, when they have been played."""

    __slots__ = ("cash_atoms", "changes", "close", "closes_ns", "lots", "symbol")

    def __init__(
        self,
        symbol: str,
        closes_ns: NDArray[np.int64],
        close: NDArray[np.float64],
        cash_atoms: int,
        lots: dict[str, int],
    ) -> None:
        self.symbol = symbol
        self.closes_ns = closes_ns
        self.close = close
        self.cash_atoms = cash_atoms
        self.lots = lots
        """What each strategy held when the chunk began."""
        self.changes: list[tuple[int, int, str, int]] = []
        """After each fill: the time, the cash, and whose book holds how many lots."""


class Ledger:
    """Applies fills and marks equity at bar closes."""

    isolated = False

    def __init__(
        self, context: Context, instruments: Mapping[str, Instrument], account: Account, *, emit_marks: bool
    ) -> None:
        """Start from `account`; `emit_marks` says whether anybody listens to `EquityMark`."""
        self.name = "ledger"
        self._context = context
        self._emit = context.emit
        self._instruments = instruments
        self.emit_marks = emit_marks
        self.cash_atoms = account.cash_atoms
        self._mark_times_ns: list[int] = []
        self._mark_atoms: list[int] = []
        self._note_time = self._mark_times_ns.append
        self._note_atoms = self._mark_atoms.append
        self.holdings: dict[tuple[str, str], Holding] = {}
        self._by_symbol: dict[str, list[Holding]] = {symbol: [] for symbol in instruments}
        self._value_atoms: dict[str, int] = dict.fromkeys(instruments, 0)
        self._mark_prices: dict[str, float] = {}
        self._total_value_atoms = 0
        self._open: dict[str, list[Holding]] = {symbol: [] for symbol in instruments}
        """The books of each symbol that hold a position."""
        self._chunk: _Chunk | None = None
        for holding in account.holdings:
            self._adopt(msgspec.structs.replace(holding))  # the account is the caller's, and may start another core
        self.others: dict[str, OtherAsset] = {}
        self._take_others(account.others)
        self.start_atoms = (
            account.cash_atoms
            + sum(map(_less_earned, account.holdings))
            + sum(other.value_atoms for other in account.others)
        )
        """Cash the account would hold had nothing ever been traded."""

    def on_liquidated(self, closed: Liquidated) -> None:
        """Book what the venue closed, with what the insurance fund took of it or gave."""
        held = self.holdings[closed.strategy, closed.symbol]
        held.liquidation_fees_atoms += closed.liquidation_fee_atoms
        held.insured_atoms += closed.insured_atoms
        self.cash_atoms += closed.insured_atoms - closed.liquidation_fee_atoms
        self.on_fill(closed)

    def on_insured(self, paid: Insured) -> None:
        """Take what the insurance fund paid."""
        held = self.holdings[paid.strategy, paid.symbol]
        held.insured_atoms += paid.amount_atoms
        self.cash_atoms += paid.amount_atoms
        self._assert_conserved(held)
        self._settle_change(held)

    def on_fill(self, fill: Fill | Adopted | Liquidated) -> None:
        """Book one fill and say how the position stands."""
        key = (fill.strategy, fill.symbol)
        held = self.holdings.get(key)
        if held is None:
            held = Holding(fill.strategy, fill.symbol)
            self._adopt(held)
        before_lots = held.quantity_lots
        held.quantity_lots, held.cost_atoms, realized_atoms, cash_atoms = net_fill(
            self._instruments[fill.symbol],
            before_lots,
            held.cost_atoms,
            fill.side,
            fill.price_ticks,
            fill.quantity_lots,
        )
        held.realized_atoms += realized_atoms
        if before_lots and before_lots * held.quantity_lots <= 0:
            held.round_trips += 1
        held.fees_atoms += fill.fee_atoms
        held.fills += 1
        self.cash_atoms += cash_atoms - fill.fee_atoms
        self._assert_conserved(held)
        self._settle_change(held)

    def on_fee_in_base(self, fee: FeeInBase) -> None:
        """Take a fee out of the position at its value, which leaves the cost of the position with it."""
        held = self.holdings[fee.strategy, fee.symbol]
        held.quantity_lots -= fee.quantity_lots
        held.cost_atoms -= fee.value_atoms
        held.fees_atoms += fee.value_atoms
        if not held.quantity_lots:
            held.realized_atoms -= held.cost_atoms
            held.cost_atoms = 0
        self._assert_conserved(held)
        self._settle_change(held)

    def on_fee_in_asset(self, fee: FeeInAsset) -> None:
        """Owe what was taken of another asset; no cash was touched."""
        held = self.holdings[fee.strategy, fee.symbol]
        other = self.others.setdefault(fee.asset, OtherAsset(fee.asset))
        other.amount_atoms -= fee.amount_atoms
        other.value_atoms -= fee.value_atoms
        self._total_value_atoms -= fee.value_atoms
        held.fees_atoms += fee.value_atoms
        assert -_COUNT_MAX < other.amount_atoms < _COUNT_MAX, _TOO_MUCH
        self._assert_conserved(held)
        self._settle_change(held)

    def on_funding_shared(self, funding: FundingShared) -> None:
        """Take a book's part of a funding payment into its cash."""
        held = self.holdings.get((funding.strategy, funding.symbol))
        if held is None:
            held = Holding(funding.strategy, funding.symbol)
            self._adopt(held)
        held.funding_atoms += funding.amount_atoms
        self.cash_atoms += funding.amount_atoms
        assert -_COUNT_MAX < held.funding_atoms < _COUNT_MAX, _TOO_MUCH
        self._assert_conserved(held)
        bar = self._context.lane(funding.symbol).bar
        is_behind = bar is not None and bar.close_ns == self._context.now_ns == funding.paid_ns
        self._settle_change(held, self._context.now_ns + is_behind)

    def preload(self, symbol: str, columns: Any, timeframe_ns: int) -> bool:  # noqa: ANN401 - a column per field of a bar
        """Mark the next chunk of `symbol` at once, when its bars have been played; return whether that can be.

        It can if no other symbol is traded and nobody listens to marks. `take_marks` is then due when all
        of the chunk's bars have been played, and before anything else is.
        """
        assert self._chunk is None, "a chunk was left unmarked"
        if self.emit_marks or len(self._instruments) > 1:
            return False
        lots = {held.strategy: held.quantity_lots for held in self._by_symbol[symbol]}
        self._chunk = _Chunk(symbol, columns.open_ns + timeframe_ns, columns.close, self.cash_atoms, lots)
        return True

    def on_bar(self, bar: Bar) -> None:
        """Mark the symbol at its close and note the equity."""
        if self._chunk is not None:
            return
        symbol = bar.symbol
        self._mark_prices[symbol] = bar.close
        if self._open[symbol]:
            self._revalue(symbol, bar.close)
        equity_atoms = self.cash_atoms + self._total_value_atoms
        self._note_time(bar.close_ns)
        self._note_atoms(equity_atoms)
        if self.emit_marks:
            self._emit(EquityMark(equity_atoms, bar.close_ns))

    def take_marks(self) -> tuple[Sequence[int] | NDArray[Any], Sequence[int] | NDArray[Any]]:
        """Return (times in ns, equity in atoms) noted since the last call, and forget them."""
        if self._chunk is not None:
            return self._mark_chunk(self._chunk)
        taken = (self._mark_times_ns[:], self._mark_atoms[:])
        self._mark_times_ns.clear()
        self._mark_atoms.clear()
        return taken

    @property
    def equity_atoms(self) -> int:
        """Cash plus the value of every position at its last close, and of other assets as it was booked."""
        return self.cash_atoms + self._total_value_atoms

    def equity_now(self) -> int:
        """Return the account's equity at the newest bars of all symbols, in atoms; also while a chunk is played."""
        value_atoms = sum(other.value_atoms for other in self.others.values())
        return self.cash_atoms + value_atoms + sum(self._value_now(held) for held in self.holdings.values())

    def profit_now(self, strategy: str) -> int:
        """Return what a strategy's books have made in this session: realised and not, after all that it cost."""
        return sum(
            self._value_now(held) - _less_earned(held) for held in self.holdings.values() if held.strategy == strategy
        )

    def _value_now(self, held: Holding) -> int:
        """Return what a book is worth at the newest bar; at cost before the first one."""
        if not held.quantity_lots:
            return 0
        bar = self._context.lane(held.symbol).bar
        price = self._mark_prices.get(held.symbol) if bar is None else bar.close
        if price is None:
            return held.cost_atoms
        return self._instruments[held.symbol].mark_atoms(price, held.quantity_lots)

    def account(self) -> Account:
        """Return a copy of the account as it stands."""
        return Account(
            self.cash_atoms,
            [msgspec.structs.replace(held) for held in self.holdings.values()],
            [msgspec.structs.replace(other) for other in self.others.values()],
        )

    def mark_price(self, symbol: str) -> float | None:
        """Return the last close of `symbol`, if there was one."""
        return self._mark_prices.get(symbol)

    def unrealized_atoms(self, held: Holding) -> int:
        """Return the value of a position at its last close, less its cost."""
        mark = self._mark_prices.get(held.symbol)
        if mark is None or not held.quantity_lots:
            return 0
        return self._instruments[held.symbol].mark_atoms(mark, held.quantity_lots) - held.cost_atoms

    def dump(self) -> bytes:
        """Return the state."""
        return msgspec.msgpack.encode(_State(self.account(), self.start_atoms, self._mark_prices))

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self.cash_atoms = kept.account.cash_atoms
        self.start_atoms = kept.start_atoms
        self.holdings.clear()
        for holdings in self._by_symbol.values():
            holdings.clear()
        for holding in kept.account.holdings:
            self._adopt(holding)
        self._take_others(kept.account.others)
        self._mark_prices = kept.marks
        for symbol in self._by_symbol:
            self._reopen(symbol)

    def _mark_chunk(self, chunk: _Chunk) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Mark every bar of a chunk as `on_bar` would have; a fill during a bar counts at its close."""
        self._chunk = None
        symbol = chunk.symbol
        instrument = self._instruments[symbol]
        others_atoms = self._total_value_atoms - self._value_atoms[symbol]
        times_ns = np.array([change[0] for change in chunk.changes], np.int64)
        rows = np.searchsorted(chunk.closes_ns, times_ns)
        cash_atoms = [chunk.cash_atoms, *(change[1] for change in chunk.changes)]
        equity_atoms = _spread([atoms + others_atoms for atoms in cash_atoms], rows, len(chunk.close))
        for held in self._by_symbol[symbol]:
            mine = [index for index, change in enumerate(chunk.changes) if change[2] == held.strategy]
            lots = [chunk.lots.get(held.strategy, 0), *(chunk.changes[index][3] for index in mine)]
            if any(lots):
                held_lots = _spread(lots, rows[mine], len(chunk.close))
                equity_atoms = equity_atoms + instrument.mark_atoms_each(chunk.close, held_lots)
        self._mark_prices[symbol] = float(chunk.close[-1])
        self._reopen(symbol)
        return chunk.closes_ns, equity_atoms

    def _settle_change(self, held: Holding, when_ns: int | None = None) -> None:
        """After a book changed: bring its value up to date, and say how it stands.

        It counts at the close of the first bar that ends at `when_ns` or later; now, unless given.
        """
        if self._chunk is None:
            self._reopen(held.symbol)
        else:
            when_ns = self._context.now_ns if when_ns is None else when_ns
            self._chunk.changes.append((when_ns, self.cash_atoms, held.strategy, held.quantity_lots))
        self._emit(
            PositionChanged(
                held.strategy,
                held.symbol,
                held.quantity_lots,
                held.cost_atoms,
                held.realized_atoms,
                held.fees_atoms,
                self.cash_atoms,
            )
        )

    def _adopt(self, holding: Holding) -> None:
        self.holdings[holding.strategy, holding.symbol] = holding
        self._by_symbol[holding.symbol].append(holding)
        self._reopen(holding.symbol)

    def _take_others(self, others: list[OtherAsset]) -> None:
        """Take over what is held or owed of other assets, in place of what was."""
        self._total_value_atoms -= sum(other.value_atoms for other in self.others.values())
        self.others = {other.asset: msgspec.structs.replace(other) for other in others}
        self._total_value_atoms += sum(other.value_atoms for other in others)

    def _revalue(self, symbol: str, price: float | None) -> None:
        """Bring the symbol's part of the equity up to date; without a price it counts at cost."""
        value_atoms = 0
        if price is None:
            for held in self._open[symbol]:
                value_atoms += held.cost_atoms
        else:
            mark_atoms = self._instruments[symbol].mark_atoms
            for held in self._open[symbol]:
                value_atoms += mark_atoms(price, held.quantity_lots)
        self._total_value_atoms += value_atoms - self._value_atoms[symbol]
        self._value_atoms[symbol] = value_atoms

    def _reopen(self, symbol: str) -> None:
        """List the symbol's books that hold a position, and value them."""
        self._open[symbol] = [held for held in self._by_symbol[symbol] if held.quantity_lots]
        self._revalue(symbol, self._mark_prices.get(symbol))

    def _assert_conserved(self, changed: Holding) -> None:
        assert changed.quantity_lots != 0 or changed.cost_atoms == 0, changed
        assert -_COUNT_MAX < self.cash_atoms < _COUNT_MAX, _TOO_MUCH
        assert -_COUNT_MAX < changed.cost_atoms < _COUNT_MAX, _TOO_MUCH
        assert -_COUNT_MAX < changed.realized_atoms < _COUNT_MAX, _TOO_MUCH
        assert -_COUNT_MAX < changed.fees_atoms < _COUNT_MAX, _TOO_MUCH
        total_atoms = self.cash_atoms
        for held in self.holdings.values():
            total_atoms += held.cost_atoms - held.realized_atoms + held.fees_atoms - held.funding_atoms
            total_atoms += held.liquidation_fees_atoms - held.insured_atoms
        for other in self.others.values():
            total_atoms += other.value_atoms
        assert total_atoms == self.start_atoms, "money was not conserved"


def _less_earned(held: Holding) -> int:
    """Return a book's cost, less all it has ever earned: what of the start it stands for, without its cash."""
    earned_atoms = held.realized_atoms - held.fees_atoms + held.funding_atoms
    return held.cost_atoms - earned_atoms + held.liquidation_fees_atoms - held.insured_atoms


def _spread(values: list[int], rows: NDArray[np.intp], count: int) -> NDArray[Any]:
    """Return `count` integers: the first value up to the first of `rows`, the second up to the second, and so on.

    Where an int64 may be too small to add a few of them, they are Python's own (dtype object).
    """
    exact = np.array(values, np.int64 if max(map(abs, values)) < _COUNT_MAX // 4 else object)
    return np.repeat(exact, np.diff(rows, prepend=0, append=count))
