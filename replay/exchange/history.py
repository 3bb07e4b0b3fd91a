"""Every order and every execution of the account, and the ways to find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from replay.exchange.model import OrderView, TradeView
from replay.exchange.orders import LIVE, Order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replay.exchange.book import Resting


class HistoryState(msgspec.Struct, array_like=True):
    """What a history is restored from."""

    next_order_id: int
    orders: list[Order]
    trades: dict[str, list[TradeView]]
    next_turn: int = 1


class History:
    """Orders by their ids and executions by market; both only ever grow."""

    __slots__ = ("_by_client_id", "_next_order_id", "_next_turn", "_orders", "open", "trades")

    def __init__(self, market_ids: Iterable[str]) -> None:
        self.open: dict[str, dict[int, Order]] = {market_id: {} for market_id in market_ids}
        """Open orders by market, in order of arrival."""
        self.trades: dict[str, list[TradeView]] = {market_id: [] for market_id in self.open}
        """Executions by market; the n-th has the id n."""
        self._next_order_id = 1
        self._next_turn = 1
        self._orders: dict[int, Order] = {}
        self._by_client_id: dict[tuple[str, str], Order] = {}

    @property
    def next_order_id(self) -> int:
        """What the next order will be called."""
        return self._next_order_id

    @property
    def orders(self) -> Iterable[Order]:
        """All orders, oldest first."""
        return self._orders.values()

    def add(self, order: Order) -> None:
        """Take in an order, open or not."""
        assert order.order_id not in self._orders, order
        self._next_order_id = order.order_id + 1
        if not order.turn:
            order.turn = self.take_turn()
        self._orders[order.order_id] = order
        self._by_client_id[order.id, order.client_order_id] = order
        if order.status in LIVE:
            self.open[order.id][order.order_id] = order

    def take_turn(self) -> int:
        """Return a place at the end of the queue: orders are served by it, and whatever else waits with them."""
        self._next_turn += 1
        return self._next_turn - 1

    def requeue(self, order: Order) -> None:
        """Put an open order at the end of its queue."""
        order.turn = self.take_turn()
        orders = self.open[order.id]
        orders[order.order_id] = orders.pop(order.order_id)

    def close(self, order: Order) -> None:
        """Take an order off the open ones."""
        del self.open[order.id][order.order_id]

    def resting(self, market_id: str) -> Resting:
        """Return what of our orders stands in the book of a market; a stop does once it is triggered."""
        resting: Resting = ({}, {})
        for order in self.open[market_id].values():
            if order.price_ticks and (order.triggered or not order.stop_ticks):
                side = resting[order.side == "SELL"]
                side[order.price_ticks] = side.get(order.price_ticks, 0) + order.open_lots
        return resting

    def find(self, market_id: str, order_id: int | None, client_order_id: str | None) -> Order | None:
        """Return one order, by either id or by both; of several with one client id, the newest."""
        if order_id is None:
            return self._by_client_id.get((market_id, client_order_id or ""))
        order = self._orders.get(order_id)
        if order is None or order.id != market_id or client_order_id not in (None, order.client_order_id):
            return None
        return order

    def is_open(self, market_id: str, client_order_id: str) -> bool:
        """Return whether an open order has a client id; one that is done with may be used again."""
        held = self._by_client_id.get((market_id, client_order_id))
        return held is not None and held.status in LIVE

    def newest_trades_of(self, order: Order) -> tuple[TradeView, ...]:
        """Return the executions of an order since the newest one of another."""
        trades = self.trades[order.id]
        first = len(trades)
        while first and trades[first - 1].order_id == order.order_id:
            first -= 1
        return tuple(trades[first:])

    def all_orders(
        self, market_id: str, from_order_id: int | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[OrderView]:
        """Return orders by ascending id: the first of those asked for, or the newest where no start is given."""
        found = [
            order
            for order in self._orders.values()
            if order.id == market_id
            and (from_order_id is None or order.order_id >= from_order_id)
            and (start_ms is None or order.created_ms >= start_ms)
            and (end_ms is None or order.created_ms <= end_ms)
        ]
        has_start = from_order_id is not None or start_ms is not None
        return [order.view() for order in (found[:limit] if has_start else found[-limit:])]

    def my_trades(
        self,
        market_id: str,
        from_id: int | None,
        order_id: int | None,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
    ) -> list[TradeView]:
        """Return executions by ascending id: the first of those asked for, or the newest where no start is given."""
        trades = self.trades[market_id]
        found = [
            trade
            for trade in (trades if from_id is None else trades[max(0, from_id - 1) :])
            if (order_id is None or trade.order_id == order_id)
            and (start_ms is None or trade.time_ms >= start_ms)
            and (end_ms is None or trade.time_ms <= end_ms)
        ]
        has_start = from_id is not None or start_ms is not None
        return found[:limit] if has_start else found[-limit:]

    def dump(self) -> HistoryState:
        """Return the state."""
        return HistoryState(self._next_order_id, list(self._orders.values()), self.trades, self._next_turn)

    def load(self, state: HistoryState) -> None:
        """Restore the state, of the same markets or of fewer."""
        for orders in self.open.values():
            orders.clear()
        self._orders.clear()
        self._by_client_id.clear()
        for order in state.orders:
            self.add(order)
        for market_id, waiting in self.open.items():
            self.open[market_id] = dict(sorted(waiting.items(), key=lambda item: item[1].turn))
        self._next_order_id = state.next_order_id
        self._next_turn = max(self._next_turn, state.next_turn)
        for market_id in self.trades:
            self.trades[market_id] = state.trades.get(market_id, [])
