"""The exchange's engine: orders, fills, balances and the public market, without a clock and without I/O.

Matching is the project's own: an order meets the touch when it arrives, and every print after that as a path
of one point (`actors.execution.matching`). Within one print our orders are served in order of arrival.
Money is moved in atoms; after every operation each asset that changed is checked to be conserved.

Every operation that was not refused is told to `recorder`; `apply` repeats it and leads to the same state.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.execution.matching import find_touch, match_order, within_limit
from actors.instrument import to_atoms
from actors.messages import BUY, SELL
from replay.exchange.account import Account, Holding
from replay.exchange.book import Book, BookState
from replay.exchange.fees import AUTO, Fees
from replay.exchange.history import History, HistoryState
from replay.exchange.model import BalancesChanged, Executed, TradeView, VenueError
from replay.exchange.operations import Cancel, CancelAll, Close, Place, Print
from replay.exchange.orders import LIVE, Order, check_filters, make_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from actors.execution.matching import Match
    from replay.exchange.book import Level
    from replay.exchange.model import (
        BalanceView,
        Candle,
        Event,
        ExecutionType,
        Market,
        NewOrder,
        OrderStatus,
        OrderView,
        Printed,
    )
    from replay.exchange.operations import AnyOperation


class _State(msgspec.Struct, array_like=True):
    history: HistoryState
    holdings: list[Holding]
    books: list[BookState]


class Engine:
    """One account on one exchange.

    Args:
        markets: what is traded.
        balances: what the account starts with.
        maker_fee: rate of the commission on orders that rested.
        taker_fee: rate of the commission on orders that did not.
        spread_ticks: distance between best bid and best ask; 0 puts both at the last price.
        fee_asset: asset the commission is paid in while there is enough of it, or "auto".
        bounded: whether a print fills no more than its own quantity.
        intervals: candles that are told as events, besides those of a minute.
    """

    def __init__(
        self,
        markets: Sequence[Market],
        balances: Mapping[str, Decimal],
        maker_fee: Decimal = Decimal(0),
        taker_fee: Decimal = Decimal(0),
        spread_ticks: int = 0,
        fee_asset: str = AUTO,
        *,
        bounded: bool = False,
        intervals: Sequence[str] = (),
    ) -> None:
        self.events: list[Event] = []
        self.recorder: Callable[[AnyOperation], None] | None = None
        self.portion: Callable[[int], int] | None = None
        """Asked with the lots about to fill, answers how many of them do; None fills them all."""
        self.bounded = bounded
        self.books = {market.id: Book(market, spread_ticks, intervals) for market in markets}
        assets = [asset for market in markets for asset in (market.base, market.quote)]
        if fee_asset != AUTO:
            assets.append(fee_asset)
        self.account = Account({asset: to_atoms(amount) for asset, amount in balances.items()}, assets)
        self._fees = Fees(maker_fee, taker_fee, fee_asset, self.books, self.account)
        self.history = History(self.books)
        self._portions: list[int] = []
        """What `portion` answered during the operation in hand."""
        self._given: Iterator[int] | None = None
        """The answers to use instead, while an operation is repeated."""

    # --- operations ---------------------------------------------------------------------------------

    def place(self, new: NewOrder, now_ms: int) -> OrderView:
        """Take an order and match it with the touch.

        Raises:
            VenueError: it is refused; nothing has changed.
        """
        book = self._book(new.id)
        order = make_order(new, book.market, self.history.next_order_id, now_ms)
        check_filters(order, book, self.history.open[new.id].values())
        self.history.check_new(new.id, new.client_order_id)
        self._check_arrival(order, book)
        asset, locked_atoms = order.lock(book)
        if locked_atoms > self.account.free(asset):
            raise VenueError(-2010, "Account has insufficient balance for requested action.")
        self.history.add(order)
        self._relock(order, book, locked_atoms)
        self._say("NEW", order, now_ms)
        if not order.stop_ticks:
            self._arrive(order, book, now_ms)
        self._settle(now_ms)
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
            VenueError: there is none.
        """
        self._book(market_id)
        orders = list(self.history.open[market_id].values())
        if not orders:
            raise VenueError(-2011, "Unknown order sent.")
        for order in orders:
            self._end(order, "CANCELED", now_ms)
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
        """Take a public trade: it moves the book and is met by our orders.

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
        book = self._book(market_id)
        self.events.extend(book.take(price_ticks, quantity_lots, time_ms, buyer_is_maker=buyer_is_maker))
        if self.history.open[market_id]:
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

    def next_close_ms(self) -> int | None:
        """Return when the next candle will be complete, None if all are."""
        return min(
            (time_ms for book in self.books.values() if (time_ms := book.next_close_ms()) is not None), default=None
        )

    def apply(self, operation: AnyOperation) -> None:
        """Repeat a recorded operation, with the answers of `portion` it was recorded with."""
        if isinstance(operation, Place):
            self._given = iter(operation.portions)
            self.place(operation.new, operation.now_ms)
        elif isinstance(operation, Cancel):
            self.cancel(operation.id, operation.now_ms, order_id=operation.order_id, cancel_id=operation.cancel_id)
        elif isinstance(operation, CancelAll):
            self.cancel_all(operation.id, operation.now_ms)
        elif isinstance(operation, Print):
            self._given = iter(operation.portions)
            told = (operation.id, operation.price_ticks, operation.quantity_lots, operation.time_ms)
            self.print_trade(*told, step=operation.step, buyer_is_maker=operation.buyer_is_maker)
        else:
            self.events.extend(self._book(operation.id).close_candles(operation.now_ms))
            self._record(operation)
        self._given = None

    def drain(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events, self.events = self.events, []
        return events

    # --- questions ----------------------------------------------------------------------------------

    def order(self, market_id: str, order_id: int | None = None, client_order_id: str | None = None) -> OrderView:
        """Return one order, by either id; of several with one client id, the newest.

        Raises:
            VenueError: there is none.
        """
        self._book(market_id)
        order = self.history.find(market_id, order_id, client_order_id)
        if order is None:
            raise VenueError(-2013, "Order does not exist.")
        return order.view()

    def open_orders(self, market_id: str | None = None) -> list[OrderView]:
        """Return the open orders of one market or of all, oldest first."""
        if market_id is not None:
            self._book(market_id)
            return [order.view() for order in self.history.open[market_id].values()]
        found = [order for orders in self.history.open.values() for order in orders.values()]
        return [order.view() for order in sorted(found, key=lambda order: order.order_id)]

    def all_orders(
        self,
        market_id: str,
        from_order_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> list[OrderView]:
        """Return orders by ascending id: the first of those asked for, or the newest where no start is given."""
        self._book(market_id)
        return self.history.all_orders(market_id, from_order_id, start_ms, end_ms, limit)

    def my_trades(
        self,
        market_id: str,
        from_id: int | None = None,
        order_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> list[TradeView]:
        """Return our executions by ascending id: the first of those asked for, or the newest without a start."""
        self._book(market_id)
        return self.history.my_trades(market_id, from_id, order_id, start_ms, end_ms, limit)

    def balances(self) -> list[BalanceView]:
        """Return all balances."""
        return self.account.views()

    def depth(self, market_id: str, limit: int) -> tuple[int, list[Level], list[Level]]:
        """Return (last update id, bids, asks), best first."""
        return self._book(market_id).depth(limit)

    def candles(
        self, market_id: str, interval: str, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Candle]:
        """Return candles by opening time, ends included: the oldest from `start_ms` on, or else the newest."""
        return self._book(market_id).candles(interval).between(start_ms, end_ms, limit)

    def recent_trades(self, market_id: str, limit: int = 500) -> list[Printed]:
        """Return the newest public trades, oldest first."""
        return list(self._book(market_id).recent)[-limit:]

    def market(self, market_id: str) -> Market:
        """Return a market.

        Raises:
            VenueError: there is none of that name.
        """
        return self._book(market_id).market

    def last_ticks(self, market_id: str) -> int:
        """Return the newest price, 0 if there is none yet."""
        return self._book(market_id).last_ticks

    # --- matching -----------------------------------------------------------------------------------

    def _check_arrival(self, order: Order, book: Book) -> None:
        """Refuse an order that the market is already beyond; note what a market order will cost."""
        last_ticks = book.last_ticks
        if order.stop_ticks:
            if last_ticks and find_touch(order.trigger_side, order.stop_ticks, (last_ticks,)) is not None:
                raise VenueError(-2010, "Stop price would trigger immediately.")
        elif order.type == "LIMIT_MAKER":
            if last_ticks and within_limit(order.sign, order.price_ticks, book.touch_ticks(order.sign)):
                raise VenueError(-2010, "Order would immediately match and take.")
        elif order.type == "MARKET" and last_ticks:
            order.lock_ticks = book.touch_ticks(order.sign)

    def _arrive(self, order: Order, book: Book, now_ms: int) -> None:
        """Match an order that has just become active with the touch; what cannot wait expires."""
        if book.last_ticks:
            request = order.request
            touch = book.touch_ticks(order.sign)
            marketable = request.kind == "market" or within_limit(order.sign, order.price_ticks, touch)
            match = match_order(request, marketable=marketable, triggered=False, points=(touch,))
            if match is not None:
                self._fill(order, book, match, order.open_lots, now_ms, whole=order.time_in_force == "FOK")
            if order.status in LIVE and not order.may_rest:
                self._end(order, "EXPIRED", now_ms)
        elif not order.may_rest or order.request.kind == "market":
            self._end(order, "EXPIRED", now_ms)

    def _meet(self, book: Book, price_ticks: int, quantity_lots: int, time_ms: int) -> None:
        """Match our open orders with a print, in order of arrival."""
        left_lots = quantity_lots
        for order in list(self.history.open[book.market.id].values()):
            lots = min(order.open_lots, left_lots) if self.bounded else order.open_lots
            filled_before = order.filled_lots
            if order.stop_ticks and not order.triggered:
                if find_touch(order.trigger_side, order.stop_ticks, (price_ticks,)) is None:
                    continue
                order.triggered = True
                order.updated_ms = time_ms
                self._arrive(order, book, time_ms)
                continue
            request = order.request
            point = book.touch_ticks(order.sign) if request.kind == "market" else price_ticks
            match = match_order(request, marketable=False, triggered=False, points=(point,))
            if match is not None and lots:
                self._fill(order, book, match, lots, time_ms)
                left_lots -= order.filled_lots - filled_before
        self._settle(time_ms)

    def _fill(self, order: Order, book: Book, match: Match, lots: int, time_ms: int, *, whole: bool = False) -> None:
        """Execute as much as the fault of partial fills lets; an order that cannot be paid for any more expires."""
        quantity_lots = lots if whole else self._ask_portion(lots)
        notional_atoms = book.instrument.value_atoms(match.price_ticks, quantity_lots)
        base_atoms = quantity_lots * book.lot_atoms
        market = book.market
        paid, paid_atoms = (market.quote, notional_atoms) if order.sign == BUY else (market.base, base_atoms)
        got, got_atoms = (market.base, base_atoms) if order.sign == BUY else (market.quote, notional_atoms)
        if paid_atoms > self.account.free(paid) + order.locked_atoms:
            self._end(order, "EXPIRED", time_ms, reason="INSUFFICIENT_BALANCE")
            return
        order.filled_lots += quantity_lots
        order.quote_atoms += notional_atoms
        order.status = "PARTIALLY_FILLED" if order.open_lots else "FILLED"
        order.updated_ms = time_ms
        if not order.open_lots:
            self.history.close(order)
        self._relock(order, book, 0)
        self.account.move(paid, -paid_atoms)
        self.account.move(got, got_atoms)
        self._relock(order, book, min(order.lock(book)[1], self.account.free(paid)))
        fee, fee_atoms = self._fees.of(market.quote, notional_atoms, got, got_atoms, taker=match.taker)
        self.account.move(fee, -fee_atoms)
        trades = self.history.trades[market.id]
        trade = TradeView(
            trade_id=len(trades) + 1,
            order_id=order.order_id,
            id=market.id,
            price_ticks=match.price_ticks,
            quantity_lots=quantity_lots,
            commission_atoms=fee_atoms,
            commission_asset=fee,
            time_ms=time_ms,
            side=order.side,
            is_maker=not match.taker,
        )
        trades.append(trade)
        self._say("TRADE", order, time_ms, trade)

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
        self._relock(order, self.books[order.id], 0)
        kind: ExecutionType = "CANCELED" if status == "CANCELED" else "EXPIRED"
        self._say(kind, order, now_ms, reason=reason, cancel_id=cancel_id)

    def _relock(self, order: Order, book: Book, locked_atoms: int) -> None:
        asset = book.market.quote if order.sign == BUY else book.market.base
        self.account.lock(asset, locked_atoms - order.locked_atoms)
        order.locked_atoms = locked_atoms

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
        """Tell of an execution, and of the balances it changed."""
        self.events.append(Executed(kind, order.view(), now_ms, trade, reason, cancel_id))
        self._settle(now_ms)

    def _settle(self, now_ms: int) -> None:
        """Tell which balances changed, if any did, after checking that no money is off."""
        locks: dict[str, int] = {}
        for market_id, orders in self.history.open.items():
            market = self.books[market_id].market
            for order in orders.values():
                asset = market.quote if order.sign == BUY else market.base
                locks[asset] = locks.get(asset, 0) + order.locked_atoms
        changed = self.account.take_changed(locks)
        if changed:
            self.events.append(BalancesChanged(now_ms, changed))

    def _record(self, operation: AnyOperation) -> None:
        self._portions.clear()
        if self.recorder is not None:
            self.recorder(operation)

    # --- finding ------------------------------------------------------------------------------------

    def _book(self, market_id: str) -> Book:
        book = self.books.get(market_id)
        if book is None:
            raise VenueError(-1121, "Invalid symbol.")
        return book

    # --- keeping ------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Return the state."""
        holdings = list(self.account.holdings.values())
        return msgspec.msgpack.encode(
            _State(self.history.dump(), holdings, [book.dump() for book in self.books.values()])
        )

    def load(self, state: bytes) -> None:
        """Restore the state of an engine of the same markets, or of fewer."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self.history.load(kept.history)
        self.account.load(kept.holdings)
        for book in kept.books:
            self.books[book.id].load(book)
        self.events.clear()
        self.audit()

    def audit(self) -> None:
        """Assert that balances are what they were plus all executions, and orders what their executions make them."""
        expected = {asset: holding.opening_atoms for asset, holding in self.account.holdings.items()}
        locked = dict.fromkeys(expected, 0)
        filled = {order.order_id: (0, 0) for order in self.history.orders}
        for market_id, trades in self.history.trades.items():
            book = self.books[market_id]
            for trade in trades:
                sign = BUY if trade.side == "BUY" else SELL
                notional_atoms = book.instrument.value_atoms(trade.price_ticks, trade.quantity_lots)
                expected[book.market.base] += sign * trade.quantity_lots * book.lot_atoms
                expected[book.market.quote] -= sign * notional_atoms
                expected[trade.commission_asset] -= trade.commission_atoms
                lots, atoms = filled[trade.order_id]
                filled[trade.order_id] = (lots + trade.quantity_lots, atoms + notional_atoms)
        for order in self.history.orders:
            assert filled[order.order_id] == (order.filled_lots, order.quote_atoms), order
            assert (order.status in LIVE) == (order.order_id in self.history.open[order.id]), order
            assert (order.status == "FILLED") == (order.open_lots == 0), order
            locked[order.lock(self.books[order.id])[0]] += order.locked_atoms
        for asset, holding in self.account.holdings.items():
            assert holding.total_atoms == expected[asset], (holding, expected[asset])
            self.account.check(asset, locked[asset])
