"""The futures account: a wallet in each settle asset, and one position a market, on cross or isolated margin.

A fill nets a position by the ledger's own rule (`actors.netting`), and moves the wallet by the profit it
realised and by its commission; funding and the insurance fund move it too, and nothing else does. Margin is
computed, never moved, but for an isolated position, for which a part of the wallet is set aside: its initial
margin when it grows, given back in proportion when it shrinks.

What margin a position and its orders take, and where it is liquidated, is the rule of `actors.margin`, with the
brackets of this exchange; reduce-only orders take none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.instrument import Rate, to_atoms
from actors.margin import Margin, initial_margin, isolated_change
from actors.messages import BUY, SELL
from actors.netting import net_fill
from replay.exchange.account import Account, Holding
from replay.exchange.model import IncomeKind, IncomeView, PositionView, WalletView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from actors.margin import Tiers
    from replay.exchange.book import Book
    from replay.exchange.history import History
    from replay.exchange.orders import Order


class Position(msgspec.Struct, array_like=True):
    """What is held in one market, and on which margin."""

    id: str
    leverage: int
    isolated: bool = False
    amount_lots: int = 0
    cost_atoms: int = 0
    realized_atoms: int = 0
    isolated_atoms: int = 0
    updated_ms: int = 0

    def reducible(self, sign: int) -> int:
        """Return how many lots an order of a side can close."""
        return abs(self.amount_lots) if self.amount_lots * sign < 0 else 0


class Income(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One change of a wallet; the n-th has the number n."""

    kind: IncomeKind
    id: str
    asset: str
    amount_atoms: int
    time_ms: int
    trade_id: int


class PositionsState(msgspec.Struct, array_like=True):
    """What an account is restored from."""

    holdings: list[Holding]
    positions: list[Position]
    incomes: list[Income]
    marks: dict[str, int]
    updated_ms: dict[str, int]


class Positions:
    """One futures account.

    Args:
        books: the markets, all of them perpetuals.
        history: their open orders.
        balances: what the wallet has at first.
        assets: in which it may have something beside.
        leverage: of every market at first.
        brackets: maintenance margin and highest leverage by the value of a position.
    """

    def __init__(
        self,
        books: Mapping[str, Book],
        history: History,
        balances: Mapping[str, Decimal],
        assets: Iterable[str],
        leverage: int,
        brackets: Tiers,
    ) -> None:
        self._books = books
        self._history = history
        self.brackets = brackets
        self.settle = {market_id: book.market.settle for market_id, book in books.items()}
        opening = {asset: to_atoms(amount) for asset, amount in balances.items()}
        self.wallet = Account(opening, (*self.settle.values(), *assets), may_owe=True)
        self.positions = {market_id: Position(market_id, leverage) for market_id in books}
        self.incomes: list[Income] = []
        self.marks: dict[str, int] = {}
        """Mark prices set by hand; elsewhere the last price is the mark."""
        self._updated_ms: dict[str, int] = {}
        self._changed: dict[str, None] = {}
        self._earned: dict[str, int] = {}
        """All incomes, by asset."""
        self._realized: dict[str, int] = {}
        """Those that are profit."""

    # --- what changes it ------------------------------------------------------------------------------

    def fill(self, book: Book, sign: int, price_ticks: int, lots: int, trade_id: int, now_ms: int) -> int:
        """Net a fill into the position and realise its profit; return that, in atoms."""
        position = self.positions[book.market.id]
        if position.isolated:
            taken_atoms, released_atoms = self._isolated_change(position, book, sign, price_ticks, lots)
            position.isolated_atoms += taken_atoms - released_atoms
        position.amount_lots, position.cost_atoms, realized_atoms, _ = net_fill(
            book.instrument, position.amount_lots, position.cost_atoms, sign, price_ticks, lots
        )
        position.realized_atoms += realized_atoms
        self.touch(book.market.id, now_ms)
        self.earn("REALIZED_PNL", book.market.id, book.market.settle, realized_atoms, now_ms, trade_id)
        return realized_atoms

    def earn(self, kind: IncomeKind, market_id: str, asset: str, atoms: int, now_ms: int, trade_id: int = 0) -> None:
        """Move the wallet and write down why."""
        if atoms:
            self.wallet.move(asset, atoms)
            income = Income(kind, market_id, asset, atoms, now_ms, trade_id)
            self.incomes.append(income)
            self._count(income)
            self._updated_ms[asset] = now_ms

    def _count(self, income: Income) -> None:
        self._earned[income.asset] = self._earned.get(income.asset, 0) + income.amount_atoms
        if income.kind == "REALIZED_PNL":
            self._realized[income.asset] = self._realized.get(income.asset, 0) + income.amount_atoms

    def fund(self, book: Book, rate: Rate, now_ms: int) -> None:
        """Pay funding for a position at its mark, or receive it."""
        position = self.positions[book.market.id]
        atoms = -rate.of(self.value(position))
        if not atoms:
            return
        if position.isolated:
            position.isolated_atoms += atoms
        self.touch(book.market.id, now_ms)
        self.earn("FUNDING_FEE", book.market.id, book.market.settle, atoms, now_ms)

    def touch(self, market_id: str, now_ms: int) -> None:
        """Count a position as changed."""
        self.positions[market_id].updated_ms = now_ms
        self._changed[market_id] = None

    def can_pay(self, book: Book, sign: int, price_ticks: int, lots: int) -> bool:
        """Return whether the wallet has what is to be set aside for an isolated position after a fill."""
        position = self.positions[book.market.id]
        if not position.isolated:
            return True
        taken_atoms, released_atoms = self._isolated_change(position, book, sign, price_ticks, lots)
        return taken_atoms <= max(0, released_atoms + self.cross_atoms(book.market.settle))

    def _isolated_change(
        self, position: Position, book: Book, sign: int, price_ticks: int, lots: int
    ) -> tuple[int, int]:
        """Return (atoms to set aside for what a fill opens, atoms to give back for what it closes)."""
        held = (position.amount_lots, position.isolated_atoms)
        return isolated_change(book.instrument, *held, sign, price_ticks, lots, position.leverage)

    # --- what it is worth -----------------------------------------------------------------------------

    def mark_ticks(self, market_id: str) -> int:
        """Return the mark price, 0 before the first print."""
        return self.marks.get(market_id) or self._books[market_id].last_ticks

    def value(self, position: Position) -> int:
        """Return the value of a position at its mark, signed as it is."""
        return self._books[position.id].instrument.value_atoms(self.mark_ticks(position.id), position.amount_lots)

    def unrealized(self, position: Position) -> int:
        """Return what closing at the mark would realise."""
        return self.value(position) - position.cost_atoms if position.amount_lots else 0

    def maintenance(self, position: Position) -> int:
        """Return the margin below which a position is liquidated."""
        return self.brackets.maintenance_atoms(abs(self.value(position)))

    def cross_atoms(self, asset: str) -> int:
        """Return the wallet without what is set aside for isolated positions."""
        isolated = sum(each.isolated_atoms for each in self.positions.values() if self.settle[each.id] == asset)
        return self.wallet.free(asset) - isolated

    def shared(self, asset: str) -> int:
        """Return what stands behind positions on cross margin: that wallet, and what they would realise."""
        return self.cross_atoms(asset) + sum(map(self.unrealized, self.held(asset, isolated=False)))

    def held(self, asset: str, *, isolated: bool) -> list[Position]:
        """Return the positions that are not flat, of one settle asset and one kind of margin."""
        return [
            each
            for each in self.positions.values()
            if each.amount_lots and each.isolated == isolated and self.settle[each.id] == asset
        ]

    def margin(
        self, market_id: str, extra: Order | None = None, without: Order | None = None, leverage: int = 0
    ) -> Margin:
        """Return what a market takes.

        Args:
            market_id: the market.
            extra: an order to count with the open ones.
            without: an open order not to count.
            leverage: in place of the one in force.
        """
        position = self.positions[market_id]
        book, mark_ticks = self._books[market_id], self.mark_ticks(market_id)
        bought = sold = 0
        orders = [each for each in self._history.open[market_id].values() if each is not without]
        for order in orders if extra is None else [*orders, extra]:
            if order.reduce_only:
                continue
            atoms = book.instrument.value_atoms(order.lock_ticks or mark_ticks, order.open_lots)
            if order.sign == BUY:
                bought += atoms
            else:
                sold += atoms
        return initial_margin(self.value(position), bought, sold, leverage or position.leverage)

    def available(self, asset: str) -> int:
        """Return what new orders may use; negative where positions have lost more than the wallet has."""
        atoms = self.cross_atoms(asset)
        for market_id, position in self.positions.items():
            if self.settle[market_id] == asset:
                margin = self.margin(market_id)
                atoms -= margin.order_atoms
                if not position.isolated:
                    atoms += self.unrealized(position) - margin.position_atoms
        return atoms

    def doomed(self) -> list[Position]:
        """Return the positions whose margin is used up: of one settle asset all that share it, or one isolated."""
        return next(iter(self.strained(100).values()), [])

    def strained(self, percent: int) -> dict[str, list[Position]]:
        """Return the positions whose maintenance takes so much of their margin, or more.

        By their market where the margin is isolated, by their settle asset where they share it.
        """
        found: dict[str, list[Position]] = {}
        if not any(position.amount_lots for position in self.positions.values()):
            return found
        for asset in dict.fromkeys(self.settle.values()):
            for position in self.held(asset, isolated=True):
                left_atoms = position.isolated_atoms + self.unrealized(position)
                if left_atoms * percent <= 100 * self.maintenance(position):
                    found[position.id] = [position]
            crossed = self.held(asset, isolated=False)
            left_atoms = self.shared(asset)
            if crossed and left_atoms * percent <= 100 * sum(map(self.maintenance, crossed)):
                found[asset] = crossed
        return found

    def liquidation_ticks(self, position: Position) -> int:
        """Return the mark at which a position is liquidated if no other moves; 0 where there is none."""
        if not position.amount_lots:
            return 0
        asset = self.settle[position.id]
        margin_atoms = position.isolated_atoms
        if not position.isolated:
            others = [each for each in self.held(asset, isolated=False) if each is not position]
            margin_atoms = self.cross_atoms(asset) + sum(map(self.unrealized, others))
            margin_atoms -= sum(map(self.maintenance, others))
        instrument = self._books[position.id].instrument
        return self.brackets.liquidation_ticks(instrument, position.amount_lots, position.cost_atoms, margin_atoms)

    # --- what is told of it ---------------------------------------------------------------------------

    @property
    def changed(self) -> bool:
        """Whether anything changed since `take_changed` was last called."""
        return bool(self._changed) or self.wallet.changed

    def take_changed(self) -> tuple[tuple[WalletView, ...], tuple[PositionView, ...]]:
        """Return the wallets and positions that changed since the last call, after checking them."""
        changed = [view.asset for view in self.wallet.take_changed({})]
        for asset in {*changed, *(self.settle[market_id] for market_id in self._changed)}:
            self.check(asset)
        positions = tuple(self.position_view(market_id) for market_id in self._changed)
        self._changed.clear()
        return tuple(self.wallet_view(asset) for asset in changed), positions

    def check(self, asset: str) -> None:
        """Assert that the wallet is what it was plus what it earned, and that what is flat has nothing left."""
        holding = self.wallet.holdings[asset]
        earned_atoms = self._earned.get(asset, 0)
        assert holding.total_atoms == holding.opening_atoms + earned_atoms, f"money is off: {holding}, {earned_atoms}"
        held = [each for each in self.positions.values() if self.settle[each.id] == asset]
        realized_atoms = sum(each.realized_atoms for each in held)
        assert realized_atoms == self._realized.get(asset, 0), f"profit is off: {held}"
        for position in held:
            assert position.amount_lots or not position.cost_atoms, position
            assert position.amount_lots or not position.isolated_atoms, position

    def wallet_view(self, asset: str) -> WalletView:
        """Return one asset of the wallet."""
        crossed, isolated = self.held(asset, isolated=False), self.held(asset, isolated=True)
        margins = [self.margin(market_id) for market_id, settle in self.settle.items() if settle == asset]
        position_atoms = sum(margin.position_atoms for margin in margins)
        order_atoms = sum(margin.order_atoms for margin in margins)
        unrealized_atoms = sum(map(self.unrealized, crossed))
        return WalletView(
            asset=asset,
            wallet_atoms=self.wallet.free(asset),
            cross_unrealized_atoms=unrealized_atoms,
            initial_margin_atoms=position_atoms + order_atoms,
            available_atoms=max(0, self.available(asset)),
            updated_ms=self._updated_ms.get(asset, 0),
            unrealized_atoms=unrealized_atoms + sum(map(self.unrealized, isolated)),
            position_margin_atoms=position_atoms,
            order_margin_atoms=order_atoms,
            maintenance_atoms=sum(map(self.maintenance, (*crossed, *isolated))),
            cross_wallet_atoms=self.cross_atoms(asset),
        )

    def position_view(self, market_id: str) -> PositionView:
        """Return the position in one market."""
        position = self.positions[market_id]
        margin = self.margin(market_id)
        return PositionView(
            id=market_id,
            amount_lots=position.amount_lots,
            cost_atoms=position.cost_atoms,
            realized_atoms=position.realized_atoms,
            leverage=position.leverage,
            isolated=position.isolated,
            mark_ticks=self.mark_ticks(market_id),
            unrealized_atoms=self.unrealized(position),
            initial_margin_atoms=margin.position_atoms,
            maintenance_atoms=self.maintenance(position),
            liquidation_ticks=self.liquidation_ticks(position),
            updated_ms=position.updated_ms,
            isolated_atoms=position.isolated_atoms,
            order_margin_atoms=margin.order_atoms,
        )

    def income(
        self, kind: IncomeKind | None, market_id: str | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[IncomeView]:
        """Return changes of the wallet, oldest first: the first from `start_ms` on, or the newest without one."""
        found = [
            (number, each)
            for number, each in enumerate(self.incomes, start=1)
            if kind in (None, each.kind)
            and market_id in (None, each.id)
            and (start_ms is None or each.time_ms >= start_ms)
            and (end_ms is None or each.time_ms <= end_ms)
        ]
        return [
            IncomeView(
                transaction_id=number,
                kind=each.kind,
                id=each.id,
                asset=each.asset,
                amount_atoms=each.amount_atoms,
                time_ms=each.time_ms,
                trade_id=each.trade_id,
            )
            for number, each in (found[:limit] if start_ms is not None else found[-limit:])
        ]

    # --- keeping --------------------------------------------------------------------------------------

    def dump(self) -> PositionsState:
        """Return the state."""
        return PositionsState(
            list(self.wallet.holdings.values()),
            list(self.positions.values()),
            self.incomes,
            self.marks,
            self._updated_ms,
        )

    def load(self, state: PositionsState) -> None:
        """Restore the state, of the same markets or of fewer."""
        self.wallet.load(state.holdings)
        for position in state.positions:
            self.positions[position.id] = position
        self.incomes = state.incomes
        self.marks = state.marks
        self._updated_ms = state.updated_ms
        self._changed.clear()
        self._earned.clear()
        self._realized.clear()
        for income in self.incomes:
            self._count(income)

    def audit(self) -> None:
        """Assert that positions and wallets are what all executions and payments make them."""
        expected = {asset: holding.opening_atoms for asset, holding in self.wallet.holdings.items()}
        for market_id, trades in self._history.trades.items():
            lots = cost = profit = 0
            for trade in trades:
                sign = BUY if trade.side == "BUY" else SELL
                lots, cost, realized_atoms, _ = net_fill(
                    self._books[market_id].instrument, lots, cost, sign, trade.price_ticks, trade.quantity_lots
                )
                assert realized_atoms == trade.realized_atoms, trade
                profit += realized_atoms
                expected[trade.commission_asset] -= trade.commission_atoms
            expected[self.settle[market_id]] += profit
            position = self.positions[market_id]
            held = (position.amount_lots, position.cost_atoms, position.realized_atoms)
            assert held == (lots, cost, profit), position
        for income in self.incomes:
            if income.kind in {"FUNDING_FEE", "INSURANCE_CLEAR"}:
                expected[income.asset] += income.amount_atoms
        for asset, holding in self.wallet.holdings.items():
            assert holding.total_atoms == expected[asset], (holding, expected[asset])
            self.wallet.check(asset, 0)
            self.check(asset)
