"""The spot engine: assets that orders lock and fills move, beside what every family of markets does.

Money is moved in atoms; after every operation each asset that changed is checked to be conserved.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.execution.matching import find_touch, within_limit
from actors.instrument import to_atoms
from actors.messages import BUY, SELL
from replay.exchange.account import Account, Holding
from replay.exchange.book import BookState
from replay.exchange.fees import AUTO, Fees
from replay.exchange.history import HistoryState
from replay.exchange.model import BalancesChanged, VenueError
from replay.exchange.orders import LIVE, Order, check_filters, make_order
from replay.exchange.trading import TradingEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replay.exchange.book import Book
    from replay.exchange.model import BalanceView, Market, NewOrder, OrderView


class _State(msgspec.Struct, array_like=True):
    history: HistoryState
    holdings: list[Holding]
    books: list[BookState]


class Engine(TradingEngine):
    """One spot account on one exchange.

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
        super().__init__(markets, spread_ticks, bounded=bounded, intervals=intervals)
        assets = [asset for market in markets for asset in (market.base, market.quote)]
        if fee_asset != AUTO:
            assets.append(fee_asset)
        self.account = Account({asset: to_atoms(amount) for asset, amount in balances.items()}, assets)
        self._fees = Fees(maker_fee, taker_fee, fee_asset, self.books, self.account)

    def cancel_all(self, market_id: str, now_ms: int) -> list[OrderView]:
        """Withdraw all open orders of a market.

        Raises:
            VenueError: there is none.
        """
        orders = super().cancel_all(market_id, now_ms)
        if not orders:
            raise VenueError(-2011, "Unknown order sent.")
        return orders

    def balances(self) -> list[BalanceView]:
        """Return all balances."""
        return self.account.views()

    # --- orders and fills ---------------------------------------------------------------------------

    def _admit(self, new: NewOrder, book: Book, now_ms: int) -> Order:
        order = make_order(new, book.market, self.history.next_order_id, now_ms)
        check_filters(order, book, self.history.open[new.id].values())
        if self.history.is_open(new.id, new.client_order_id):
            raise VenueError(-2010, "Duplicate order sent.")
        self._check_arrival(order, book)
        asset, locked_atoms = order.lock(book)
        if locked_atoms > self.account.free(asset):
            raise VenueError(-2010, "Account has insufficient balance for requested action.")
        return order

    def _refuse_closed(self) -> VenueError:
        return VenueError(-1013, "Market is closed.")

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

    def _reserve(self, order: Order, book: Book) -> None:
        self._relock(order, book, order.lock(book)[1])

    def _release(self, order: Order, book: Book) -> None:
        self._relock(order, book, 0)

    def _can_pay(self, order: Order, book: Book, price_ticks: int, lots: int) -> bool:
        paid, paid_atoms = _paid(order, book, price_ticks, lots)
        return paid_atoms <= self.account.free(paid) + order.locked_atoms

    def _exchange(self, order: Order, book: Book, price_ticks: int, lots: int, *, taker: bool) -> tuple[str, int, int]:
        market = book.market
        notional_atoms = book.instrument.value_atoms(price_ticks, lots)
        paid, paid_atoms = _paid(order, book, price_ticks, lots)
        got, got_atoms = (market.base, lots * book.lot_atoms) if order.sign == BUY else (market.quote, notional_atoms)
        self._relock(order, book, 0)
        self.account.move(paid, -paid_atoms)
        self.account.move(got, got_atoms)
        self._relock(order, book, min(order.lock(book)[1], self.account.free(paid)))
        fee, fee_atoms = self._fees.of(market.quote, notional_atoms, got, got_atoms, taker=taker)
        self.account.move(fee, -fee_atoms)
        return fee, fee_atoms, 0

    def _relock(self, order: Order, book: Book, locked_atoms: int) -> None:
        asset = book.market.quote if order.sign == BUY else book.market.base
        self.account.lock(asset, locked_atoms - order.locked_atoms)
        order.locked_atoms = locked_atoms

    def _settle(self, now_ms: int) -> None:
        """Tell which balances changed, if any did, after checking that no money is off."""
        if not self.account.changed:
            return
        locks: dict[str, int] = {}
        for market_id, orders in self.history.open.items():
            market = self.books[market_id].market
            for order in orders.values():
                asset = market.quote if order.sign == BUY else market.base
                locks[asset] = locks.get(asset, 0) + order.locked_atoms
        self.events.append(BalancesChanged(now_ms, self.account.take_changed(locks)))

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
        self._load_books(kept.books)
        self.audit()

    def audit(self) -> None:
        """Assert that balances are what they were plus all executions, and orders what their executions make them."""
        expected = {asset: holding.opening_atoms for asset, holding in self.account.holdings.items()}
        locked = dict.fromkeys(expected, 0)
        for market_id, trades in self.history.trades.items():
            book = self.books[market_id]
            for trade in trades:
                sign = BUY if trade.side == "BUY" else SELL
                notional_atoms = book.instrument.value_atoms(trade.price_ticks, trade.quantity_lots)
                expected[book.market.base] += sign * trade.quantity_lots * book.lot_atoms
                expected[book.market.quote] -= sign * notional_atoms
                expected[trade.commission_asset] -= trade.commission_atoms
        self.audit_orders()
        for order in self.history.orders:
            assert order.status in LIVE or not order.locked_atoms, order
            locked[order.lock(self.books[order.id])[0]] += order.locked_atoms
        for asset, holding in self.account.holdings.items():
            assert holding.total_atoms == expected[asset], (holding, expected[asset])
            self.account.check(asset, locked[asset])


def _paid(order: Order, book: Book, price_ticks: int, lots: int) -> tuple[str, int]:
    """Return the asset a fill is paid with, and how much of it."""
    if order.sign == BUY:
        return book.market.quote, book.instrument.value_atoms(price_ticks, lots)
    return book.market.base, lots * book.lot_atoms
