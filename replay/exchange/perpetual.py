"""The engine of USD-margined perpetuals: orders on margin, conditional orders, liquidation.

Margin is checked when an order arrives, and with every price, settlement and fill whether what is held still
has enough; what has not is liquidated at the mark, and what that costs beyond the wallet the insurance fund
pays. Positions are one a market.

Orders that wait for a price (`conditional`) queue with those in the book: at a print each is served in order
of its arrival. What it is to hold a position stands in `perpetual_account`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.execution.matching import Match, within_limit
from actors.margin import INSUFFICIENT, TOO_LARGE, open_loss
from replay.exchange.book import BookState
from replay.exchange.conditional import Conditional, ConditionalsState, make_conditional
from replay.exchange.contract_orders import check_notional, make_contract_order, to_lots, to_ticks
from replay.exchange.history import HistoryState
from replay.exchange.model import MAX_NUM_ORDERS, ConditionalChanged, MarginCalled, VenueError
from replay.exchange.operations import Amend, CancelConditional, CancelConditionals, PlaceConditional
from replay.exchange.orders import LIVE, Order
from replay.exchange.perpetual_account import CALL_PERCENT, AccountState, PerpetualAccount
from replay.exchange.positions import Position, PositionsState

if TYPE_CHECKING:
    from decimal import Decimal

    from replay.exchange.book import Book
    from replay.exchange.model import (
        ConditionalStatus,
        ConditionalView,
        ContractOrderType,
        NewConditional,
        NewOrder,
        OrderView,
        Side,
    )
    from replay.exchange.operations import AnyOperation

_REDUCE_ONLY = "ReduceOnly Order is rejected."


class _State(msgspec.Struct, array_like=True):
    history: HistoryState
    positions: PositionsState
    books: list[BookState]
    conditionals: ConditionalsState
    account: AccountState


class PerpetualEngine(PerpetualAccount):
    """One futures account on one exchange."""

    # --- operations ---------------------------------------------------------------------------------

    def amend(
        self,
        market_id: str,
        now_ms: int,
        order_id: int | None = None,
        client_order_id: str | None = None,
        *,
        side: Side,
        quantity: Decimal,
        price: Decimal,
    ) -> OrderView:
        """Give an open limit order another price and quantity; it keeps its ids and goes to the end of the queue.

        One that has filled that much already is withdrawn, and so is a post-only one that would take.

        Raises:
            VenueError: there is no such order, it cannot be so changed, or need not be.
        """
        self._pass(now_ms)
        book = self._book(market_id)
        if not book.market.trading:
            raise VenueError(-5024, "Symbol is not in trading status. Order amendment is not permitted.")
        order = self.history.find(market_id, order_id, client_order_id)
        if order is None or order.status not in LIVE or order.side != side:
            raise VenueError(-2013, "Order does not exist.")
        if order.type != "LIMIT":
            raise VenueError(-5025, "Only limit order is supported.")
        price_ticks, lots = to_ticks(price, book.market), to_lots(quantity, book.market)
        if (price_ticks, lots) == (order.price_ticks, order.quantity_lots):
            raise VenueError(-5027, "No need to modify the order.")
        amended = msgspec.structs.replace(order, price_ticks=price_ticks, lock_ticks=price_ticks, quantity_lots=lots)
        takes = book.last_ticks and within_limit(order.sign, price_ticks, book.touch_ticks(order.sign))
        if lots <= order.filled_lots or (order.time_in_force == "GTX" and takes):
            self._end(order, "CANCELED", now_ms)
        else:
            check_notional(amended, book)
            self._check_margin(amended, book, without=order)
            order.price_ticks, order.lock_ticks, order.quantity_lots = price_ticks, price_ticks, lots
            order.updated_ms = now_ms
            self.history.requeue(order)
            self._say("AMENDMENT", order, now_ms)
            self._arrive(order, book, now_ms)
        self._finish(now_ms)
        self._record(Amend(market_id, order.order_id, side, quantity, price, now_ms, tuple(self._portions)))
        return order.view(self.history.newest_trades_of(order))

    def place_conditional(self, new: NewConditional, now_ms: int) -> ConditionalView:
        """Take an order that waits for a price.

        Raises:
            VenueError: it is refused; nothing has changed.
        """
        self._pass(now_ms)
        self._check_mode()
        book = self._open_book(new.id)
        made = make_conditional(new, book.market, self.conditionals.next_algo_id, 0, now_ms)
        self.conditionals.check_new(made)
        price_ticks = self._working_ticks(made, book)
        if price_ticks and made.is_touched(price_ticks):
            raise VenueError(-2021, "Order would immediately trigger.")
        made.turn = self.history.take_turn()
        self.conditionals.add(made)
        self.events.append(ConditionalChanged(made.view(), now_ms))
        self._record(PlaceConditional(new, now_ms))
        return made.view()

    def cancel_conditional(
        self, market_id: str | None, now_ms: int, algo_id: int | None = None, client_algo_id: str | None = None
    ) -> ConditionalView:
        """Withdraw a conditional order that waits.

        Raises:
            VenueError: there is none.
        """
        self._pass(now_ms)
        found = self.conditionals.find(market_id, algo_id, client_algo_id)
        if found is None or found.status != "NEW":
            raise VenueError(-2011, "Unknown order sent.")
        self._change(found, "CANCELED", now_ms)
        self._record(CancelConditional(found.id, found.algo_id, now_ms))
        return found.view()

    def cancel_all_conditionals(self, market_id: str, now_ms: int) -> list[ConditionalView]:
        """Withdraw all conditional orders that wait in a market.

        Raises:
            VenueError: there is no such market.
        """
        self._pass(now_ms)
        self._book(market_id)
        found = list(self.conditionals.open[market_id].values())
        for each in found:
            self._change(each, "CANCELED", now_ms)
        if found:
            self._record(CancelConditionals(market_id, now_ms))
        return [each.view() for each in found]

    def conditional(
        self, market_id: str | None = None, algo_id: int | None = None, client_algo_id: str | None = None
    ) -> ConditionalView:
        """Return one conditional order, by either id; of several with one client id, the newest.

        Raises:
            VenueError: there is none.
        """
        found = self.conditionals.find(market_id, algo_id, client_algo_id)
        if found is None:
            raise VenueError(-2013, "Order does not exist.")
        return found.view()

    def open_conditionals(self, market_id: str | None = None) -> list[ConditionalView]:
        """Return the conditional orders that wait in one market or in all, oldest first."""
        if market_id is not None:
            self._book(market_id)
        names = self.books if market_id is None else (market_id,)
        found = [each for name in names for each in self.conditionals.open[name].values()]
        return [each.view() for each in sorted(found, key=lambda each: each.algo_id)]

    def all_conditionals(
        self,
        market_id: str,
        from_algo_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> list[ConditionalView]:
        """Return conditional orders by ascending id: the first asked for, or the newest where no start is given."""
        self._book(market_id)
        return [each.view() for each in self.conditionals.all(market_id, from_algo_id, start_ms, end_ms, limit)]

    def _repeat(self, operation: AnyOperation) -> None:
        if isinstance(operation, Amend):
            self.amend(
                operation.id,
                operation.now_ms,
                operation.order_id,
                side=operation.side,
                quantity=operation.quantity,
                price=operation.price,
            )
        elif isinstance(operation, PlaceConditional):
            self.place_conditional(operation.new, operation.now_ms)
        elif isinstance(operation, CancelConditional):
            self.cancel_conditional(operation.id, operation.now_ms, operation.algo_id)
        elif isinstance(operation, CancelConditionals):
            self.cancel_all_conditionals(operation.id, operation.now_ms)
        else:
            super()._repeat(operation)

    # --- what is taken ------------------------------------------------------------------------------

    def _admit(self, new: NewOrder, book: Book, now_ms: int) -> Order:
        self._check_mode()
        order = make_contract_order(new, book.market, self.history.next_order_id, now_ms)
        self._check(order, book)
        return order

    def _check_mode(self) -> None:
        if self.hedge:
            raise VenueError(-4061, "Order's position side does not match user's setting.")

    def _check(self, order: Order, book: Book) -> None:
        """Refuse an order that cannot be taken now; note what a market order will cost."""
        if len(self.history.open[order.id]) >= MAX_NUM_ORDERS:
            raise VenueError(-2025, "Reach max open order limit.")
        if self.history.is_open(order.id, order.client_order_id):
            raise VenueError(-4116, "ClientOrderId is duplicated.")
        if order.reduce_only and not self._fillable(order):
            raise VenueError(-2022, _REDUCE_ONLY)
        takes = bool(book.last_ticks)
        if order.type == "MARKET":
            order.lock_ticks = book.touch_ticks(order.sign) if takes else 0
        else:
            takes = takes and within_limit(order.sign, order.price_ticks, book.touch_ticks(order.sign))
        if order.time_in_force == "GTX" and takes:
            raise VenueError(
                -5022,
                "Due to the order could not be executed as maker, the Post Only order will be rejected. "
                "The order will not be recorded in the order history",
            )
        if order.time_in_force == "FOK" and not takes:
            raise VenueError(
                -5021,
                "Due to the order could not be filled immediately, the FOK order has been rejected. "
                "The order will not be recorded in the order history",
            )
        check_notional(order, book)
        self._check_margin(order, book)

    def _check_margin(self, order: Order, book: Book, without: Order | None = None) -> None:
        """Refuse an order for which there is not enough, unless it makes nothing larger."""
        if order.reduce_only:
            return
        now = self.account.margin(order.id).order_atoms
        wanted = self.account.margin(order.id, extra=order, without=without)
        more_atoms = wanted.order_atoms - now
        if more_atoms <= 0:
            return
        most_atoms = self.account.brackets.most_atoms(self.account.positions[order.id].leverage)
        if most_atoms is not None and wanted.worst_atoms > most_atoms:
            raise VenueError(-2027, TOO_LARGE)
        mark_ticks = self.account.mark_ticks(order.id)
        price_ticks = order.lock_ticks or mark_ticks
        more_atoms += open_loss(book.instrument, order.sign, price_ticks, mark_ticks, order.open_lots)
        if more_atoms > self.account.available(book.market.settle):
            raise VenueError(-2019, INSUFFICIENT)

    def _refuse_closed(self) -> VenueError:
        return VenueError(-4108, "Symbol is on delivering or delivered or settling or closed or pre-trading.")

    def _reserve(self, order: Order, book: Book) -> None:
        """Nothing is moved: margin is computed from what is open."""

    def _release(self, order: Order, book: Book) -> None:
        """Likewise."""

    # --- what fills ---------------------------------------------------------------------------------

    def _fillable(self, order: Order) -> int:
        if not order.reduce_only:
            return order.open_lots
        return min(order.open_lots, self.account.positions[order.id].reducible(order.sign))

    def _can_pay(self, order: Order, book: Book, price_ticks: int, lots: int) -> bool:
        return self.account.can_pay(book, order.sign, price_ticks, lots)

    def _exchange(self, order: Order, book: Book, price_ticks: int, lots: int, *, taker: bool) -> tuple[str, int, int]:
        market_id, settle = book.market.id, book.market.settle
        notional_atoms = book.instrument.value_atoms(price_ticks, lots)
        trade_id = len(self.history.trades[market_id]) + 1
        realized_atoms = self.account.fill(book, order.sign, price_ticks, lots, trade_id, order.updated_ms)
        asset, atoms = self._fees.of(settle, notional_atoms, settle, notional_atoms, taker=taker)
        self.account.earn("COMMISSION", market_id, asset, -atoms, order.updated_ms, trade_id)
        return asset, atoms, realized_atoms

    def _meet(self, book: Book, price_ticks: int, quantity_lots: int, time_ms: int) -> None:
        orders, waiting = self.history.open[book.market.id], self.conditionals.open[book.market.id]
        left_lots = quantity_lots
        queue: list[Order | Conditional] = [*orders.values(), *waiting.values()]
        queue.sort(key=lambda each: each.turn)
        for each in queue:
            if isinstance(each, Conditional):
                self._look(each, book, time_ms)
            elif each.status in LIVE:
                left_lots -= self._show(each, book, price_ticks, left_lots, time_ms)
        self._finish(time_ms)
        self._tell_mark(book.market.id, time_ms)

    def _on_trade(self, book: Book, now_ms: int) -> None:
        """End the orders that have nothing left to reduce; let the insurance fund pay what nothing held will."""
        for order in list(self.history.open[book.market.id].values()):
            if order.reduce_only and order.status in LIVE and not self._fillable(order):
                self._end(order, "EXPIRED", now_ms)
        settle = book.market.settle
        owed_atoms = -self.account.cross_atoms(settle)
        if owed_atoms > 0 and not self.account.held(settle, isolated=False):
            self._insure(book.market.id, owed_atoms, now_ms)

    def _insure(self, market_id: str, owed_atoms: int, now_ms: int) -> None:
        self.account.earn("INSURANCE_CLEAR", market_id, self.account.settle[market_id], owed_atoms, now_ms)
        self._settle_for("INSURANCE_CLEAR", now_ms)

    def _on_done(self, order: Order, now_ms: int) -> None:
        if order.algo_id:
            placed_for = self.conditionals.find(order.id, order.algo_id, None)
            assert placed_for is not None, order
            self._change(placed_for, "FINISHED", now_ms)

    def _has_open(self, market_id: str) -> bool:
        return bool(self.history.open[market_id] or self.conditionals.open[market_id])

    def _expire_all(self, market_id: str, now_ms: int) -> None:
        super()._expire_all(market_id, now_ms)
        for each in list(self.conditionals.open[market_id].values()):
            self._change(each, "EXPIRED", now_ms)

    def _close_market(self, market_id: str, now_ms: int) -> None:
        """End what is open, and settle what is held at the mark, as a delisting does."""
        super()._close_market(market_id, now_ms)
        position = self.account.positions[market_id]
        if position.amount_lots:
            isolated = position.isolated
            owed_atoms = self._force(position, "settlement_autoclose-", "MARKET", now_ms)
            if isolated and owed_atoms > 0:
                self._insure(market_id, owed_atoms, now_ms)
        assert not position.amount_lots, position
        self._finish(now_ms)

    # --- what is triggered --------------------------------------------------------------------------

    def _working_ticks(self, conditional: Conditional, book: Book) -> int:
        is_mark = conditional.working_type == "MARK_PRICE"
        return self.account.mark_ticks(book.market.id) if is_mark else book.last_ticks

    def _look_at_marks(self, book: Book, now_ms: int) -> None:
        for each in list(self.conditionals.open[book.market.id].values()):
            if each.working_type == "MARK_PRICE":
                self._look(each, book, now_ms)

    def _look(self, conditional: Conditional, book: Book, now_ms: int) -> None:
        """Place the order of a conditional one whose price is touched."""
        price_ticks = self._working_ticks(conditional, book)
        if conditional.status != "NEW" or not price_ticks or not conditional.is_touched(price_ticks):
            return
        conditional.triggered_ms = now_ms
        reducible_lots = self.account.positions[conditional.id].reducible(conditional.sign)
        order = Order(
            self.history.next_order_id,
            conditional.client_algo_id,
            conditional.id,
            conditional.side,
            "LIMIT" if conditional.price_ticks else "MARKET",
            conditional.time_in_force,
            conditional.price_ticks,
            0,
            reducible_lots if conditional.close_position else conditional.quantity_lots,
            now_ms,
            now_ms,
            conditional.price_ticks,
            reduce_only=conditional.reduce_only,
            close_position=conditional.close_position,
            algo_id=conditional.algo_id,
            turn=conditional.turn,  # it keeps the place it had while it waited
        )
        try:
            self._check(order, book)
        except VenueError as refusal:
            self._change(conditional, "REJECTED", now_ms, refusal.text)
            return
        conditional.actual_order_id = order.order_id
        self._change(conditional, "TRIGGERED", now_ms)
        self._take_in(order, book, now_ms)

    def _change(self, conditional: Conditional, status: ConditionalStatus, now_ms: int, reason: str = "") -> None:
        self.conditionals.end(conditional, status, now_ms, reason)
        self.events.append(ConditionalChanged(conditional.view(), now_ms))

    # --- what is liquidated -------------------------------------------------------------------------

    def _watch_margin(self, now_ms: int) -> None:
        strained = self.account.strained(CALL_PERCENT)
        if strained or self._called:
            self._call_for_margin(strained, now_ms)
        while strained and (doomed := self.account.doomed()):
            isolated, settle = doomed[0].isolated, self.account.settle[doomed[0].id]
            for market_id, position in self.account.positions.items():
                shares = position is doomed[0] if isolated else not position.isolated
                if shares and self.account.settle[market_id] == settle:
                    self._expire_all(market_id, now_ms)
            for position in doomed:
                value_atoms = abs(self.account.value(position))
                owed_atoms = self._force(position, "autoclose-", "LIQUIDATION", now_ms)
                if isolated and owed_atoms > 0:
                    self._insure(position.id, owed_atoms, now_ms)
                left_atoms = -owed_atoms if isolated else self.account.shared(settle)
                fee_atoms = min(self._liquidation_fee.of(value_atoms), left_atoms)
                if fee_atoms > 0:
                    self._insure(position.id, -fee_atoms, now_ms)

    def _call_for_margin(self, strained: dict[str, list[Position]], now_ms: int) -> None:
        """Say once of what shares a margin that it is nearly used up; again only after it was not."""
        for key, positions in strained.items():
            if key not in self._called:
                views = tuple(self.account.position_view(each.id) for each in positions)
                cross_atoms = None if positions[0].isolated else self.account.cross_atoms(key)
                self.events.append(MarginCalled(now_ms, views, cross_atoms))
        self._called = set(strained)

    def _force(self, position: Position, prefix: str, kind: ContractOrderType, now_ms: int) -> int:
        """Close a position at its mark; return what that cost beyond what was set aside for it, in atoms."""
        book, mark_ticks = self.books[position.id], self.account.mark_ticks(position.id)
        lots = abs(position.amount_lots)
        had_atoms, incomes = position.isolated_atoms, len(self.account.incomes)
        order_id = self.history.next_order_id
        order = Order(
            order_id,
            f"{prefix}{now_ms}{order_id}",
            position.id,
            "SELL" if position.amount_lots > 0 else "BUY",
            kind,
            "IOC",
            mark_ticks,
            0,
            lots,
            now_ms,
            now_ms,
            mark_ticks,
            reduce_only=True,
        )
        self.history.add(order)
        self._say("NEW", order, now_ms)
        self._fill(order, book, Match((0, 0), mark_ticks, taker=True), lots, now_ms, whole=True, kind="CALCULATED")
        settle = book.market.settle
        earned = [each.amount_atoms for each in self.account.incomes[incomes:] if each.asset == settle]
        return -(had_atoms + sum(earned))

    # --- keeping ------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Return the state."""
        books = [book.dump() for book in self.books.values()]
        parts = (self.history.dump(), self.account.dump(), books, self.conditionals.dump(), self._dump_account())
        return msgspec.msgpack.encode(_State(*parts))

    def load(self, state: bytes) -> None:
        """Restore the state of an engine of the same markets, or of fewer."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self.history.load(kept.history)
        self.account.load(kept.positions)
        self._load_books(kept.books)
        self.conditionals.load(kept.conditionals)
        self._load_account(kept.account)
        self.audit()

    def audit(self) -> None:
        """Assert that orders, positions and wallets are what all executions and payments make them."""
        self.audit_orders()
        self.account.audit()
