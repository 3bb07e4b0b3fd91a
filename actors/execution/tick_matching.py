"""Matching on trades, quotes and books, where a symbol has them; its bars then fill nothing.

What is known of the market are the newest trade and what the last quote or book displayed, the *levels*.

* **Arrival.** An order decided at t arrives at t + latency, and never at t itself: a nanosecond later at the soonest.
  It meets the levels that stood then, and afterwards only what comes then or later. No trade at or before the
  decision fills it, triggers it, or shortens the queue before it.
* **Taking.** A market order, and a limit that is met by the other side's best, takes the levels, the best first, each
  at its price and for its size. What it took is gone until the next quote or book. If nothing is left of what is
  known, the rest waits for the next quote or book. Without any levels it takes the next trades' price instead, each
  trade for its quantity at most; a limit only if the very next trade is within it. A trade does away with what was
  displayed at better prices than its own: nobody sells lower while there is a higher bid.
* **Queue.** A limit that rests stands behind all that was displayed at its price when it arrived, and at the very end
  where nobody showed that price. The queue before it shrinks only by trades at its price whose taker came from the
  other side: cancellations are taken to have stood behind it, which is the worse case. If its price was unknown when
  it came, it stands behind what the first quote or book displays there. Where a trade does not say who took, what was
  displayed does: at the best bid or below it was a seller; between bid and ask nobody knows, and no queue shrinks.
* **Filling.** A trade at its price fills it with what the trade has left after the queue; a trade through its price
  does away with the queue and fills it with the trade's quantity. Several orders of ours share one trade: the better
  price first, then the shorter queue, then the earlier; what one of them takes, the others' queues did not get. The
  price is the order's own; it is the maker.
* **Stops.** A trade at or beyond the trigger makes it a market order, or a limit, that arrives right after that trade.

Fees, slippage of takers, post-only, reduce-only and time in force are as on bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from actors.execution.matching import within_limit
from actors.execution.resting import UNKNOWN, Resting
from actors.messages import BUY, SELL, AmendRejected, Expired, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.execution.untold import Untold
    from actors.instrument import Instrument
    from actors.messages import BookSnapshot, Quote, Trade
    from actors.runtime.scheduler import Context

Level = tuple[int, int]
"""Price in ticks, quantity in lots."""

WOULD_TAKE = "post-only, and it would take liquidity"


class Desk(Protocol):
    """What the venue does with an order that is matched."""

    untold: Untold

    def begin_input(self) -> None:
        """Forget what ended with the input before."""

    def fill_part(
        self, resting: Resting, price_ticks: int, executed_ns: int, orders: list[Resting], lots: int, *, taker: bool
    ) -> bool:
        """Fill some of an order; return whether there is an end to it."""

    def end(self, resting: Resting, orders: list[Resting]) -> None:
        """Take an order off the venue."""

    def is_taken(self, resting: Resting, orders: list[Resting], price_ticks: int) -> bool:
        """Ask an order whose trigger is met for its margin; return whether it has it."""

    def replace(self, old: Resting, new: Resting, market_ticks: int, orders: list[Resting]) -> bool:
        """Put an amended order in the place of the old one; return whether it rests."""


class TickMarket(msgspec.Struct):
    """What is known of one symbol's market."""

    last_ticks: int = 0
    """Price of the newest trade; 0 before there was one."""
    last_ns: int = 0
    """Time of the newest thing that is known."""
    bids: list[Level] = []
    """What is displayed, the best first, less what we took."""
    asks: list[Level] = []
    deep: bool = False
    """Whether a book has shown more than the best."""

    def other_side(self, side: int) -> list[Level]:
        """Return what an order of `side` would take."""
        return self.asks if side == BUY else self.bids

    def market_ticks(self, side: int) -> int:
        """Return the price an order of `side` is compared with when it arrives; 0 if nothing is known."""
        levels = self.other_side(side)
        return levels[0][0] if levels else self.last_ticks

    def taker_side(self, told_side: int, price_ticks: int) -> int:
        """Return the side of a trade's taker, if it was told or can be told from what is displayed; else 0."""
        if told_side:
            return told_side
        if self.bids and price_ticks <= self.bids[0][0]:
            return SELL
        return BUY if self.asks and price_ticks >= self.asks[0][0] else 0

    def trade_through(self, price_ticks: int) -> None:
        """Forget what was displayed at better prices than a trade's: it was gone by then."""
        for levels, side in ((self.bids, BUY), (self.asks, SELL)):
            if levels and side * (levels[0][0] - price_ticks) > 0:
                levels[:] = [level for level in levels if side * (level[0] - price_ticks) <= 0] or [(price_ticks, 0)]

    def displayed(self, side: int, price_ticks: int) -> int:
        """Return the quantity on `side` at a price: UNKNOWN where that lies beyond what was shown, or is used up."""
        levels = self.bids if side == BUY else self.asks
        if not levels:
            return UNKNOWN
        for level_ticks, lots in levels:
            if level_ticks == price_ticks:
                return lots or UNKNOWN
            if side * (price_ticks - level_ticks) > 0:
                return 0
        return UNKNOWN


class TickMatching:
    """Matches the orders in symbols that have ticks; speaks and acts as the venue.

    Args:
        context: time, and a way to speak.
        instruments: exact units by symbol.
        symbols: those that have ticks.
        desk: the venue.
    """

    name = "venue"
    isolated = False

    def __init__(
        self, context: Context, instruments: Mapping[str, Instrument], symbols: Iterable[str], desk: Desk
    ) -> None:
        self._context = context
        self._emit = context.emit
        self._instruments = instruments
        self._desk = desk
        self.markets = {symbol: TickMarket() for symbol in symbols}
        self._resting: dict[str, list[Resting]] = {symbol: context.lane(symbol).resting for symbol in self.markets}

    # --- what the market says -----------------------------------------------------------------------

    def on_trade(self, trade: Trade) -> None:
        """Match what takes and what rests against a trade."""
        market = self.markets.get(trade.symbol)
        if market is None:
            return
        instrument = self._instruments[trade.symbol]
        price_ticks = instrument.price_to_ticks(trade.price)
        orders = self._resting[trade.symbol]
        if orders:
            self.arrive_due(trade.symbol)
            lots = abs(instrument.quantity_to_lots(trade.quantity))
            used_lots = self._take_trade(market, orders, price_ticks, lots)
            taker_side = market.taker_side(trade.side, price_ticks)
            self._fill_resting(orders, price_ticks, lots, used_lots, taker_side)
            self._trigger(orders, price_ticks)
        market.trade_through(price_ticks)
        market.last_ticks, market.last_ns = price_ticks, self._context.now_ns

    def on_quote(self, quote: Quote) -> None:
        """Learn the best of both sides; what a book showed behind them stands."""
        market = self.markets.get(quote.symbol)
        if market is None:
            return
        self.arrive_due(quote.symbol)
        instrument = self._instruments[quote.symbol]
        bid = (instrument.price_to_ticks(quote.bid), _lots_up(instrument, quote.bid_size))
        ask = (instrument.price_to_ticks(quote.ask), _lots_up(instrument, quote.ask_size))
        market.bids = [bid, *(level for level in market.bids if market.deep and level[0] < bid[0])]
        market.asks = [ask, *(level for level in market.asks if market.deep and level[0] > ask[0])]
        market.last_ns = self._context.now_ns
        self._after_display(market, self._resting[quote.symbol])

    def on_book(self, book: BookSnapshot) -> None:
        """Learn the best levels of both sides."""
        market = self.markets.get(book.symbol)
        if market is None:
            return
        self.arrive_due(book.symbol)
        instrument = self._instruments[book.symbol]
        to_ticks = instrument.price_to_ticks
        market.bids = [(to_ticks(price), _lots_up(instrument, size)) for price, size in book.bids]
        market.asks = [(to_ticks(price), _lots_up(instrument, size)) for price, size in book.asks]
        market.deep = True
        market.last_ns = self._context.now_ns
        self._after_display(market, self._resting[book.symbol])

    def arrive_due(self, symbol: str) -> None:
        """Have the orders that have reached the venue by now meet what stood when they did."""
        orders = self._resting[symbol]
        if not orders:
            return
        self._desk.begin_input()
        market = self.markets[symbol]
        now_ns = self._context.now_ns
        due = [each for each in orders if not each.arrived and each.live_from_ns <= now_ns]
        if len(due) > 1:
            due.sort(key=lambda each: each.live_from_ns)
        for resting in due:
            market_ticks = market.market_ticks(resting.request.side)
            if market_ticks and resting in orders:
                self._arrive(resting, market, market_ticks, orders)

    # --- arrival ------------------------------------------------------------------------------------

    def _arrive(self, resting: Resting, market: TickMarket, market_ticks: int, orders: list[Resting]) -> None:
        request = resting.request
        if resting.replaces and not self._take_over(resting, market_ticks, orders):
            return
        resting.arrived = True
        if request.kind in ("stop", "stop_limit") and not resting.triggered:
            return
        if request.kind in ("market", "stop"):
            resting.marketable = True
            self._take_levels(resting, market, orders)
            return
        resting.marketable = within_limit(request.side, request.limit_ticks, market_ticks)
        if request.post_only and resting.marketable:
            self._desk.end(resting, orders)
            self._emit(Rejected(*resting.identity(), WOULD_TAKE))
        elif market.other_side(request.side):
            self._take_or_rest(resting, market, orders)
        elif request.time_in_force != "gtc":
            if request.post_only:
                self._expire(resting, orders)
            resting.marketable = True  # the next trade decides

    def _take_over(self, new: Resting, market_ticks: int, orders: list[Resting]) -> bool:
        """Have an amended order take the place of the old one; return whether it does and rests."""
        old = next(each for each in orders if each.order_id == new.replaces)
        new.open_lots = new.request.quantity_lots - (old.request.quantity_lots - old.open_lots)
        if new.open_lots <= 0:
            orders.remove(new)
            old.until_ns = 0
            self._desk.untold.say(AmendRejected(*old.identity(), "as much is filled already"))
            return False
        return self._desk.replace(old, new, market_ticks, orders)

    def _take_or_rest(self, resting: Resting, market: TickMarket, orders: list[Resting]) -> None:
        """Have a limit take what it is met by; what cannot rest expires."""
        request = resting.request
        if resting.marketable:
            if request.time_in_force == "fok" and self._within_reach(resting, market) < resting.open_lots:
                self._expire(resting, orders)
                return
            if self._take_levels(resting, market, orders):
                return
        if request.time_in_force != "gtc":
            self._expire(resting, orders)
        elif not resting.marketable:
            resting.ahead_lots = market.displayed(request.side, request.limit_ticks)

    def _within_reach(self, resting: Resting, market: TickMarket) -> int:
        request = resting.request
        return sum(
            lots
            for price_ticks, lots in market.other_side(request.side)
            if within_limit(request.side, request.limit_ticks, price_ticks)
        )

    def _take_levels(self, resting: Resting, market: TickMarket, orders: list[Resting]) -> bool:
        """Walk the other side's levels; return whether there is an end to the order.

        One that is not done stays marketable while all that is known within its limit is used up: deeper levels, or
        the next quote or book, may serve it. The last level stays, without a quantity, as the price that was known.
        """
        request = resting.request
        levels = market.other_side(request.side)
        while levels:
            price_ticks, lots = levels[0]
            if request.limit_ticks and not within_limit(request.side, request.limit_ticks, price_ticks):
                resting.marketable = False
                return False
            part = min(lots, resting.open_lots)
            executed_ns = max(resting.live_from_ns, market.last_ns)
            if part:
                levels[0] = (price_ticks, lots - part)
                if self._desk.fill_part(resting, price_ticks, executed_ns, orders, part, taker=True):
                    return True
            if len(levels) == 1:
                return False
            del levels[0]
        return False

    # --- quotes and books ---------------------------------------------------------------------------

    def _after_display(self, market: TickMarket, orders: list[Resting]) -> None:
        """Serve those who wait for levels, and learn of queues that were unknown."""
        for resting in list(orders):
            request = resting.request
            if not resting.arrived or resting not in orders:
                continue
            if resting.marketable:
                if request.kind in ("market", "stop"):
                    self._take_levels(resting, market, orders)
                else:
                    self._take_or_rest(resting, market, orders)
            elif resting.ahead_lots == UNKNOWN and _rests(resting):
                resting.ahead_lots = market.displayed(request.side, request.limit_ticks)

    # --- trades -------------------------------------------------------------------------------------

    def _take_trade(self, market: TickMarket, orders: list[Resting], price_ticks: int, lots: int) -> int:
        """Have those take the trade's price who know no levels to take; return how many lots they took."""
        used_lots = 0
        now_ns = self._context.now_ns
        for resting in list(orders):
            request = resting.request
            if not (resting.arrived and resting.marketable) or market.other_side(request.side):
                continue
            if not resting.open_lots:
                continue  # it was excluded by one before it
            part = min(resting.open_lots, lots - used_lots)
            if request.kind in ("limit", "stop_limit"):
                resting.marketable = False
                if not within_limit(request.side, request.limit_ticks, price_ticks):
                    part = 0
                if request.time_in_force == "fok" and part < resting.open_lots:
                    part = 0
            if part:
                used_lots += part
                if self._desk.fill_part(resting, price_ticks, now_ns, orders, part, taker=True):
                    continue
            if request.time_in_force != "gtc" and not resting.marketable:
                self._expire(resting, orders)
        return used_lots

    def _fill_resting(
        self, orders: list[Resting], price_ticks: int, lots: int, used_lots: int, taker_side: int
    ) -> None:
        """Fill what rests at the trade's price, behind its queue, or was traded through."""
        met: list[tuple[int, int, int, Resting]] = []
        for index, resting in enumerate(orders):
            request = resting.request
            if resting.arrived and not resting.marketable and _rests(resting):
                beyond = request.side * (request.limit_ticks - price_ticks)
                if beyond > 0:
                    resting.ahead_lots = 0
                elif beyond < 0 or taker_side != -request.side or resting.ahead_lots == UNKNOWN:
                    continue
                met.append((-beyond, resting.ahead_lots, index, resting))
        if len(met) > 1:
            met.sort(key=lambda each: each[:3])
        left_lots = lots - used_lots
        passed_lots = 0
        for beyond, _, _, resting in met:
            if beyond == 0:
                eaten_lots = min(left_lots, resting.ahead_lots - passed_lots)
                passed_lots += eaten_lots
                left_lots -= eaten_lots
                resting.ahead_lots -= passed_lots
                if resting.ahead_lots:
                    continue
            part = min(resting.open_lots, left_lots)
            if part:
                left_lots -= part
                limit_ticks = resting.request.limit_ticks
                self._desk.fill_part(resting, limit_ticks, self._context.now_ns, orders, part, taker=False)

    def _trigger(self, orders: list[Resting], price_ticks: int) -> None:
        """Set off the stops this trade reaches."""
        for resting in list(orders):
            request = resting.request
            if (
                resting.arrived
                and not resting.triggered
                and request.kind in ("stop", "stop_limit")
                and request.side * (price_ticks - request.stop_ticks) >= 0
                and self._desk.is_taken(resting, orders, price_ticks)
            ):
                resting.triggered = True
                resting.arrived = False
                resting.live_from_ns = self._context.now_ns + 1

    def _expire(self, resting: Resting, orders: list[Resting]) -> None:
        self._desk.end(resting, orders)
        self._emit(Expired(*resting.identity(), f"{resting.request.time_in_force}: not fillable at once"))


def _rests(resting: Resting) -> bool:
    """Return whether it is a limit at work: of its own kind, or a stop-limit that was set off."""
    return resting.request.kind == "limit" or (resting.request.kind == "stop_limit" and resting.triggered)


def _lots_up(instrument: Instrument, quantity: float) -> int:
    """Return a displayed quantity in whole lots: what is less than a lot still stands before us as one."""
    lots = instrument.quantity_to_lots(quantity)
    return lots if instrument.quantity_float(lots) >= quantity else lots + instrument.step_lots
