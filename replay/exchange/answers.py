"""What can be asked of an engine: its markets, orders and executions, found by their ids and times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replay.exchange.book import Book
from replay.exchange.history import History
from replay.exchange.model import VenueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replay.exchange.book import Level
    from replay.exchange.model import Candle, Market, OrderView, Printed, TradeView


class Answers:
    """The public books and the history of orders, by market.

    Args:
        markets: what is traded.
        spread_ticks: distance between best bid and best ask.
        intervals: candles that are told as events, besides those of a minute.
    """

    def __init__(self, markets: Sequence[Market], spread_ticks: int, intervals: Sequence[str]) -> None:
        self.books = {market.id: Book(market, spread_ticks, intervals) for market in markets}
        self.history = History(self.books)

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
        return self._book(market_id).trades(limit)

    def public_trades(
        self,
        market_id: str,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> list[Printed]:
        """Return public trades oldest first: from an id or a time on if one is given, else the newest."""
        return self._book(market_id).trades(limit, from_id, start_ms, end_ms)

    def market(self, market_id: str) -> Market:
        """Return a market as it stands.

        Raises:
            VenueError: there is none of that name.
        """
        return self._book(market_id).market

    def last_ticks(self, market_id: str) -> int:
        """Return the newest price, 0 if there is none yet."""
        return self._book(market_id).last_ticks

    def _book(self, market_id: str) -> Book:
        book = self.books.get(market_id)
        if book is None:
            raise VenueError(-1121, "Invalid symbol.")
        return book
