"""What every market family does alike: orders, fills and the public market, without a clock and without I/O.

Matching is the project's own: an order meets the touch when it arrives, and every print after that as a path
of one point (`actors.execution.matching`). Within one print our orders are served in order of arrival. What
an order must have, what a fill moves and what is told of it is the business of the family: spot moves assets
(`engine`), perpetuals keep positions on margin (`perpetual`).

Every operation that was not refused is told to `recorder`; `apply` repeats it and leads to the same state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from actors.execution.matching import find_touch, match_order, within_limit
from replay.exchange.answers import Answers
from replay.exchange.model import Executed, MarketChanged, TradeView, VenueError
from replay.exchange.operations import Cancel, CancelAll, ChangeFilters, Close, Place, Print, SetTrading
from replay.exchange.orders import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from decimal import Decimal

    from actors.execution.matching import Match
    from replay.exchange.book import Book, BookState
    from replay.exchange.model import Event, ExecutionType, Market, NewOrder, OrderStatus, OrderView
    from replay.exchange.operations import AnyOperation
    from replay.exchange.orders import Order


class TradingEngine(Answers, ABC):
    """One account in one family of markets.

    Args:
        markets: what is traded.
        spread_ticks: distance between best bid and best ask; 0 puts both at the last price.
        bounded: whether a print fills no more than its own quantity.
        intervals: candles that are told as events, besides those of a minute.
    """

    def __init__(
        self, markets: Sequence[Market], spread_ticks: int, *, bounded: bool, intervals: Sequence[str]
    ) -> None:
        super().__init__(markets, spread_ticks, intervals)
        self.events: list[Event] = []
        self.recorder: Callable[[AnyOperation], None] | None = None
        self.portion: Callable[[int], int] | None = None
        """Asked with the lots about to fill, answers how many of them do; None fills them all."""
        self.tells_market = True
        """Whether prints become events; state is the same either way."""
        self.bounded = bounded
        self._moved: dict[str, int] = {}
        """Markets with an order that changed during the operation in hand, and when."""
        self._portions: list[int] = []
        """What `portion` answered during the operation in hand."""
        self._given: Iterator[int] | None = None
        """The answers to use instead, while an operation is repeated."""

    # --- what a family decides ------------------------------------------------------------------------

    @abstractmethod
    def _admit(self, new: NewOrder, book: Book, now_ms: int) -> Order:
        """Return a wish as an order, or refuse it with nothing changed."""

    @abstractmethod
    def _reserve(self, order: Order, book: Book) -> None:
        """Set aside what an order that was just taken may cost."""

    @abstractmethod
    def _release(self, order: Order, book: Book) -> None:
        """Let go of what an order that ends had set aside."""

    @abstractmethod
    def _can_pay(self, order: Order, book: Book, price_ticks: int, lots: int) -> bool:
        """Return whether a fill can still be paid for."""

    @abstractmethod
    def _exchange(self, order: Order, book: Book, price_ticks: int, lots: int, *, taker: bool) -> tuple[str, int, int]:
        """Move what a fill moves; return (asset of the commission, its amount, profit realised), in atoms."""

    @abstractmethod
    def _settle(self, now_ms: int) -> None:
        """Tell what changed on the account, if anything did, after checking that no money is off."""

    @abstractmethod
    def _refuse_closed(self) -> VenueError:
        """Return the refusal of an order for a market that does not trade."""

    def _fillable(self, order: Order) -> int:
        """Return how many lots of an order may fill."""
        return order.open_lots

    def _pass(self, now_ms: int) -> None:
        """Do what became due by `now_ms`, before anything else is done at that time."""

    def _on_trade(self, book: Book, now_ms: int) -> None:
        """Take note of a fill, once it was told."""

    def _on_done(self, order: Order, now_ms: int) -> None:
        """Take note of an order that has just ended, filled or not."""

    # --- operations ---------------------------------------------------------------------------------

    def place(self, new: NewOrder, now_ms: int) -> OrderView:
        """Take an order and match it with the touch.

        Raises:
            VenueError: it is refused; nothing has changed.
        """
        self._pass(now_ms)
        book = self._open_book(new.id)
        order = self._admit(new, book, now_ms)
        self._take_in(order, book, now_ms)
        self._finish(now_ms)
        self._record(Place(new, now_ms, tuple(self._portions)))
        return order.view(self.history.newest_trades_of(order))

    def cancel(
        self,
        market_id: str,
        now_ms: int,
        order_id: int | None = None,
        client_order_id: str | None = None,
        cancel_id: str = "",
    ) -> OrderView:
        """Withdraw an open order.

        Raises:
            VenueError: there is no such open order.
        """
        self._pass(now_ms)
        self._book(market_id)
        order = self.history.find(market_id, order_id, client_order_id)
        if order is None or order.status not in LIVE:
            raise VenueError(-2011, "Unknown order sent.")
        self._end(order, "CANCELED", now_ms, cancel_id=cancel_id)
        self._settle(now_ms)
        self._record(Cancel(market_id, order.order_id, cancel_id, now_ms))
        return order.view()

    def cancel_all(self, market_id: str, now_ms: int) -> list[OrderView]:
        """Withdraw all open orders of a market.

        Raises:
            VenueError: there is no such market.
        """
        self._pass(now_ms)
        self._book(market_id)
        orders = list(self.history.open[market_id].values())
        for order in orders:
            self._end(order, "CANCELED", now_ms)
        if orders:
            self._settle(now_ms)
            self._record(CancelAll(market_id, now_ms))
        return [order.view() for order in orders]

    def print_trade(
        self,
        market_id: str,
        price_ticks: int,
        quantity_lots: int,
        time_ms: int,
        *,
        step: int = -1,
        buyer_is_maker: bool | None = None,
    ) -> None:
        """Take a public trade: it moves the book and is met by our orders; a market that is closed has none.

        Args:
            market_id: the market.
            price_ticks: its price.
            quantity_lots: its size; 0 for a price nothing was traded at.
            time_ms: its time.
            step: its number on the tape of its market, if it comes from there.
            buyer_is_maker: whose order had rested; None to go by the price.
        """
        assert price_ticks > 0, price_ticks
        assert quantity_lots >= 0, quantity_lots
        self._pass(time_ms)
        book = self._book(market_id)
        if book.market.trading:
            trade = (price_ticks, quantity_lots, time_ms)
            if self.tells_market:
                self.events.extend(book.take(*trade, buyer_is_maker=buyer_is_maker))
            else:
                book.take_unheard(*trade, buyer_is_maker=buyer_is_maker)
            self._meet(book, price_ticks, quantity_lots, time_ms)
        portions = tuple(self._portions)
        self._record(Print(market_id, price_ticks, quantity_lots, time_ms, step, portions, buyer_is_maker))

    def close_candles(self, now_ms: int) -> None:
        """Tell of every candle that is complete by now."""
        for market_id, book in self.books.items():
            closed = list(book.close_candles(now_ms))
            if closed:
                self.events.extend(closed)
                self._record(Close(market_id, now_ms))

    def advance(self, now_ms: int) -> None:
        """Let time go on to `now_ms`: do and tell what became due."""
        self._pass(now_ms)
        self.close_candles(now_ms)

    def next_due_ms(self) -> int | None:
        """Return when something will happen by itself, None if nothing will."""
        return self.next_close_ms()

    def next_close_ms(self) -> int | None:
        """Return when the next candle will be complete, None if all are."""
        return min(
            (time_ms for book in self.books.values() if (time_ms := book.next_close_ms()) is not None), default=None
        )

    def change_filters(
        self,
        market_id: str,
        tick: Decimal | None = None,
        lot: Decimal | None = None,
        min_notional: Decimal | None = None,
        *,
        now_ms: int,
    ) -> Market:
        """Set filters of a market; orders that are open stay as they are.

        Args:
            market_id: the market.
            tick: what prices of new orders must be a multiple of; None leaves it.
            lot: likewise for quantities.
            min_notional: smallest value of an order.
            now_ms: the time.

        Raises:
            ValueError: a step is no multiple of the unit that prices or quantities are counted in.
            VenueError: there is no such market.
        """
        self._pass(now_ms)
        book = self._book(market_id)
        book.change_filters(tick, lot, min_notional)
        self.events.append(MarketChanged(book.market, now_ms))
        self._record(ChangeFilters(market_id, tick, lot, min_notional, now_ms))
        return book.market

    def set_trading(self, market_id: str, trading: bool, now_ms: int) -> Market:  # noqa: FBT001 - it is what is set
        """Open a market or close it; what is open when it closes expires."""
        self._pass(now_ms)
        book = self._book(market_id)
        book.set_trading(trading=trading)
        self.events.append(MarketChanged(book.market, now_ms))
        if not trading:
            self._close_market(market_id, now_ms)
        self._record(SetTrading(market_id, trading, now_ms))
        return book.market

    def apply(self, operation: AnyOperation) -> None:
        """Repeat a recorded operation, with the answers of `portion` it was recorded with."""
        self._given = iter(getattr(operation, "portions", ()))
        self._repeat(operation)
        self._given = None

    def drain(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events, self.events = self.events, []
        return events

    def _repeat(self, operation: AnyOperation) -> None:
        if isinstance(operation, Place):
            self.place(operation.new, operation.now_ms)
        elif isinstance(operation, Cancel):
            self.cancel(operation.id, operation.now_ms, order_id=operation.order_id, cancel_id=operation.cancel_id)
        elif isinstance(operation, CancelAll):
            self.cancel_all(operation.id, operation.now_ms)
        elif isinstance(operation, Print):
            told = (operation.id, operation.price_ticks, operation.quantity_lots, operation.time_ms)
            self.print_trade(*told, step=operation.step, buyer_is_maker=operation.buyer_is_maker)
        elif isinstance(operation, Close):
            self.events.extend(self._book(operation.id).close_candles(operation.now_ms))
            self._record(operation)
        elif isinstance(operation, ChangeFilters):
            filters = (operation.tick, operation.lot, operation.min_notional)
            self.change_filters(operation.id, *filters, now_ms=operation.now_ms)
        else:
            assert isinstance(operation, SetTrading), operation
            self.set_trading(operation.id, operation.trading, operation.now_ms)

    # --- keeping ------------------------------------------------------------------------------------

    @abstractmethod
    def dump(self) -> bytes:
        """Return the state."""

    @abstractmethod
    def load(self, state: bytes) -> None:
        """Restore the state of an engine of the same markets, or of fewer."""

    @abstractmethod
    def audit(self) -> None:
        """Assert that the account is what all its executions make it."""

    def _load_books(self, kept: Sequence[BookState]) -> None:
        """Restore the books, after the orders."""
        for state in kept:
            self.books[state.id].load(state)
        for market_id, book in self.books.items():
            book.resting = self.history.resting(market_id)
        self._moved.clear()
        self.events.clear()

    def audit_orders(self) -> None:
        """Assert that orders are what their executions make them."""
        filled = {order.order_id: (0, 0) for order in self.history.orders}
        for market_id, trades in self.history.trades.items():
            for trade in trades:
                lots, atoms = filled[trade.order_id]
                value_atoms = self.books[market_id].instrument.value_atoms(trade.price_ticks, trade.quantity_lots)
                filled[trade.order_id] = (lots + trade.quantity_lots, atoms + value_atoms)
        for order in self.history.orders:
            assert filled[order.order_id] == (order.filled_lots, order.quote_atoms), order
            assert (order.status in LIVE) == (order.order_id in self.history.open[order.id]), order
            assert (order.status == "FILLED") == (order.open_lots == 0), order

    # --- matching -----------------------------------------------------------------------------------

    def _take_in(self, order: Order, book: Book, now_ms: int) -> None:
        """Take an order that was admitted, and match it unless it waits for its trigger."""
        self.history.add(order)
        self._reserve(order, book)
        self._say("NEW", order, now_ms)
        if not order.stop_ticks:
            self._arrive(order, book, now_ms)

    def _arrive(self, order: Order, book: Book, now_ms: int) -> None:
        """Match an order that has just become active with the touch; what cannot wait expires."""
        if book.last_ticks:
            request = order.request
            touch = book.touch_ticks(order.sign)
            marketable = request.kind == "market" or within_limit(order.sign, order.price_ticks, touch)
            match = match_order(request, marketable=marketable, triggered=False, points=(touch,))
            if match is not None:
                self._fill(order, book, match, self._fillable(order), now_ms, whole=order.time_in_force == "FOK")
            if order.status in LIVE and not order.may_rest:
                self._end(order, "EXPIRED", now_ms)
        elif not order.may_rest or order.request.kind == "market":
            self._end(order, "EXPIRED", now_ms)

    def _meet(self, book: Book, price_ticks: int, quantity_lots: int, time_ms: int) -> None:
        """Match our open orders with a print, in order of arrival."""
        orders = self.history.open[book.market.id]
        if not orders:
            return
        left_lots = quantity_lots
        for order in list(orders.values()):
            left_lots -= self._show(order, book, price_ticks, left_lots, time_ms)
        self._settle(time_ms)

    def _show(self, order: Order, book: Book, price_ticks: int, left_lots: int, time_ms: int) -> int:
        """Show an open order a print of which `left_lots` are left; return how many of them it took."""
        if order.stop_ticks and not order.triggered:
            if find_touch(order.trigger_side, order.stop_ticks, (price_ticks,)) is not None:
                order.triggered = True
                self._moved[order.id] = time_ms
                order.updated_ms = time_ms
                self._arrive(order, book, time_ms)
            return 0
        lots = min(self._fillable(order), left_lots) if self.bounded else self._fillable(order)
        filled_before = order.filled_lots
        request = order.request
        point = book.touch_ticks(order.sign) if request.kind == "market" else price_ticks
        match = match_order(request, marketable=False, triggered=False, points=(point,))
        if match is not None and lots:
            self._fill(order, book, match, lots, time_ms)
        return order.filled_lots - filled_before

    def _fill(
        self,
        order: Order,
        book: Book,
        match: Match,
        lots: int,
        time_ms: int,
        *,
        whole: bool = False,
        kind: ExecutionType = "TRADE",
    ) -> None:
        """Execute as much as the fault of partial fills lets; an order that cannot be paid for any more expires."""
        quantity_lots = lots if whole else self._ask_portion(lots)
        if not self._can_pay(order, book, match.price_ticks, quantity_lots):
            self._end(order, "EXPIRED", time_ms, reason="INSUFFICIENT_BALANCE")
            return
        order.filled_lots += quantity_lots
        order.quote_atoms += book.instrument.value_atoms(match.price_ticks, quantity_lots)
        order.status = "PARTIALLY_FILLED" if order.open_lots else "FILLED"
        order.updated_ms = time_ms
        if not order.open_lots:
            self.history.close(order)
        asset, fee_atoms, realized_atoms = self._exchange(
            order, book, match.price_ticks, quantity_lots, taker=match.taker
        )
        trades = self.history.trades[book.market.id]
        trade = TradeView(
            trade_id=len(trades) + 1,
            order_id=order.order_id,
            id=book.market.id,
            price_ticks=match.price_ticks,
            quantity_lots=quantity_lots,
            commission_atoms=fee_atoms,
            commission_asset=asset,
            time_ms=time_ms,
            side=order.side,
            is_maker=not match.taker,
            realized_atoms=realized_atoms,
        )
        trades.append(trade)
        self._say(kind, order, time_ms, trade)
        if not order.open_lots:
            self._on_done(order, time_ms)
        self._on_trade(book, time_ms)

    def _ask_portion(self, lots: int) -> int:
        if self._given is not None:
            answer = next(self._given, lots)
        elif self.portion is not None:
            answer = self.portion(lots)
            assert 0 < answer <= lots, (answer, lots)
        else:
            return lots
        self._portions.append(answer)
        return answer

    def _end(
        self, order: Order, status: OrderStatus, now_ms: int, *, cancel_id: str = "", reason: str = "NONE"
    ) -> None:
        self.history.close(order)
        order.status = status
        order.updated_ms = now_ms
        self._release(order, self.books[order.id])
        kind: ExecutionType = "CANCELED" if status == "CANCELED" else "EXPIRED"
        self._say(kind, order, now_ms, reason=reason, cancel_id=cancel_id)
        self._on_done(order, now_ms)

    def _expire_all(self, market_id: str, now_ms: int) -> None:
        """End what is open in a market."""
        for order in list(self.history.open[market_id].values()):
            self._end(order, "EXPIRED", now_ms)

    def _close_market(self, market_id: str, now_ms: int) -> None:
        """End what is open in a market that does not trade any more."""
        self._expire_all(market_id, now_ms)
        self._settle(now_ms)

    def _finish(self, now_ms: int) -> None:
        """End an operation that may have led to fills."""
        self._settle(now_ms)

    # --- telling ------------------------------------------------------------------------------------

    def _say(
        self,
        kind: ExecutionType,
        order: Order,
        now_ms: int,
        trade: TradeView | None = None,
        *,
        reason: str = "NONE",
        cancel_id: str = "",
    ) -> None:
        """Tell of an execution, and of what it changed on the account."""
        self._moved[order.id] = now_ms
        self.events.append(Executed(kind, order.view(), now_ms, trade, reason, cancel_id))
        self._settle(now_ms)

    def _record(self, operation: AnyOperation) -> None:
        """End an operation: what it did to our orders is seen in the books, and it is told to `recorder`."""
        for market_id, time_ms in self._moved.items():
            resting = self.history.resting(market_id)
            self.events.extend(self.books[market_id].rest(resting, time_ms, heard=self.tells_market))
        self._moved.clear()
        self._portions.clear()
        if self.recorder is not None:
            self.recorder(operation)

    def _open_book(self, market_id: str) -> Book:
        book = self._book(market_id)
        if not book.market.trading:
            raise self._refuse_closed()
        return book
