"""The simulated venue: a core actor behind the venue port, for paper trading and replay.

Each strategy is an account of its own here, so reduce-only is exact per book. What it assumes about
prices inside a bar stands in `actors.execution.matching`, what it makes of trades, quotes and books, where a
symbol has them, in `actors.execution.tick_matching`. What it assumes about order on bars is this: within a
bar, fills happen along the path, ties in order of arrival, except that a stop goes before a limit of the
same book and side, unless the limit was met by the very first point.

An amend travels like an order. Until it arrives the order may fill on its old terms; then a new order under
another id takes its place, at the end of the queue.

Where contracts are held on margin (`actors.execution.margin_account`), margin is the account's: an order is asked for
it when it is taken, a stop when it is met, and what uses it up is closed (`actors.execution.liquidation`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from actors.execution.bar_fills import Found, slipped, stops_before_limits
from actors.execution.liquidation import Liquidator, make_liquidator
from actors.execution.margin_account import MarginState
from actors.execution.matching import (
    Match,
    Points,
    find_touch,
    first_usable,
    match_order,
    path_points,
    point_times,
    within_limit,
)
from actors.execution.resting import Resting, drop_amend
from actors.execution.tick_matching import WOULD_TAKE, TickMarket, TickMatching
from actors.execution.ties import Link, Ties
from actors.execution.untold import Untold
from actors.instrument import Rate
from actors.margin import INSUFFICIENT
from actors.messages import (
    Accepted,
    Amended,
    AmendOrder,
    AmendRejected,
    Bar,
    Cancelled,
    CancelOrder,
    CancelRejected,
    Expired,
    Fill,
    Rejected,
    SubmitOrder,
    TapeEnded,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.instrument import Instrument
    from actors.ledger import Account
    from actors.runtime.scheduler import Context
    from config.schema import Venue

_BPS = 10_000
_NS_PER_MS = 1_000_000


class _State(msgspec.Struct):
    resting: list[Resting]
    last_bars: dict[str, Bar]
    positions: list[tuple[str, str, int]]
    next_trade_id: int
    tape_ended: bool
    tick_markets: dict[str, TickMarket] = {}
    margin: MarginState | None = None
    links: list[Link] = []


class SimulatedVenue:
    """Matches our orders against bars, or against ticks where there are any."""

    isolated = False

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        settings: Venue,
        positions: Iterable[tuple[str, str, int]],
        ticks: Iterable[str] = (),
        *,
        account: Account | None = None,
    ) -> None:
        """Start from `positions`: (strategy, symbol, lots); match the symbols `ticks` on what comes between bars.

        With `account`, what the session starts from, contracts can be held on margin.
        """
        self.name = "venue"
        self._context = context
        self._emit = context.emit
        self._instruments = instruments
        self._taker = Rate(settings.taker_fee)
        self._maker = Rate(settings.maker_fee)
        self._slippage = Fraction(settings.slippage_bps) / _BPS
        self._latency_ns = round(settings.latency_ms * _NS_PER_MS)
        self._lanes = {symbol: context.lane(symbol) for symbol in instruments}
        self._resting: dict[str, list[Resting]] = {symbol: lane.resting for symbol, lane in self._lanes.items()}
        self._positions: dict[tuple[str, str], int] = {(name, symbol): lots for name, symbol, lots in positions}
        self._next_trade_id = 1
        self._tape_ended = False
        self._ended: dict[str, Resting] = {}
        """Orders that ended with the input in hand: somebody may ask to cancel one before he has heard of its end."""
        self._replaced: set[str] = set()
        """Orders that were amended with the input in hand: to cancel one is asked again under its new id."""
        self.ties = Ties(self._resting, instruments)
        self.untold = Untold(context)
        self.ticks = TickMatching(context, instruments, ticks, self)
        self.margin: Liquidator | None = None
        """Only where contracts are held on margin; it goes on where a bar has been matched."""
        if account is not None:
            books = self._positions
            self.margin = make_liquidator(context, instruments, settings, account, books, self, self.ticks.markets)

    # --- the venue port -----------------------------------------------------------------------------

    def on_submit(self, command: SubmitOrder) -> None:
        """Take an order."""
        request = command.request
        resting = Resting(command.order_id, request, self._arrival_ns(request.symbol), request.quantity_lots)
        event = (command.order_id, request.strategy, request.symbol, request.ref)
        if self._tape_ended and request.closing:
            self._ended[command.order_id] = resting
            self._emit(Accepted(*event))
            self._fill_at_last_close(resting)
            return
        if self.margin is not None:
            refusal = self.margin.refusal(resting, self.ticks.markets.get(request.symbol))
            if refusal:
                self._emit(Rejected(*event, refusal))
                return
        if request.symbol in self.ticks.markets:
            pass  # it meets the market with the next thing that comes
        elif request.kind == "market":
            resting.arrived = True
        elif self._latency_ns == 0:
            last = self._lanes[request.symbol].bar
            if last is not None and not self._arrive(resting, self._ticks(last.close, last.symbol)):
                self._emit(Rejected(*event, WOULD_TAKE))
                return
        self._resting[request.symbol].append(resting)
        self._emit(Accepted(*event))
        bar = self._lanes[request.symbol].bar
        met = self.ties.meet(resting, bar, self._latency_ns) if request.kind == "stop" and bar is not None else None
        if met is not None and request.symbol not in self.ticks.markets:
            self._execute(resting, *met, self._resting[request.symbol], taker=True)

    def on_cancel(self, command: CancelOrder) -> None:
        """Withdraw an order, and with it an amend that travels."""
        for orders in self._resting.values():
            for resting in orders:
                if resting.order_id == command.order_id:
                    orders.remove(resting)
                    if resting.until_ns:
                        drop_amend(resting, orders)
                    self.ties.forget(resting.request)
                    self.untold.withdrawn(resting)
                    return
        if command.order_id in self._replaced or command.order_id in self.untold.leaving:
            return
        ended = self._ended.get(command.order_id)
        assert ended is not None, f"{command.order_id} was never at the venue"
        self._emit(CancelRejected(*ended.identity(), "too late"))

    def on_amend(self, command: AmendOrder) -> None:
        """Change an order, now or once the amend has arrived."""
        request = command.request
        orders = self._resting[request.symbol]
        old = next((resting for resting in orders if resting.order_id == command.order_id), None)
        if old is None:
            ended = self._ended.get(command.order_id)
            assert ended is not None, f"{command.order_id} was never at the venue"
            self._emit(AmendRejected(*ended.identity(), "too late"))
            return
        arrives_ns = self._arrival_ns(request.symbol)
        filled_lots = old.request.quantity_lots - old.open_lots
        new = Resting(command.new_order_id, request, arrives_ns, request.quantity_lots - filled_lots)
        if self.margin is not None:
            refusal = self.margin.refusal(new, self.ticks.markets.get(request.symbol), old)
            if refusal:
                self._emit(AmendRejected(*old.identity(), refusal))
                return
        new.replaces = old.order_id
        old.until_ns = arrives_ns
        orders.append(new)
        if self._latency_ns == 0 and request.symbol not in self.ticks.markets:
            last = self._lanes[request.symbol].bar
            if last is not None:  # else it meets the market with the first one
                self.replace(old, new, self._ticks(last.close, last.symbol), orders)

    # --- market data --------------------------------------------------------------------------------

    def on_bar(self, bar: Bar) -> None:
        """Match what rests against the bar's path."""
        lane = self._lanes[bar.symbol]
        orders = lane.resting
        if orders and bar.symbol in self.ticks.markets:
            self.ticks.arrive_due(bar.symbol)
        elif orders:
            self.begin_input()
            first = orders[0]
            if (
                len(orders) == 1
                and first.request.kind == "market"
                and first.live_from_ns <= bar.open_ns
                and self.margin is None
            ):
                # It needs none of the path but its first point.
                self._execute(first, self._ticks(bar.open, bar.symbol), bar.open_ns, orders, taker=True)
            else:
                self._match(bar, orders)
        lane.bar = bar

    def begin_input(self) -> None:
        """Forget what ended with the input before."""
        self._ended.clear()
        self._replaced.clear()

    def on_tape_ended(self, _: TapeEnded) -> None:
        """Settle the orders of a flatten: there will be no further price to fill them at."""
        self._tape_ended = True
        self._ended.clear()
        for orders in self._resting.values():
            for resting in [order for order in orders if order.request.closing]:
                self.end(resting, orders)
                self._fill_at_last_close(resting)

    def _match(self, bar: Bar, orders: list[Resting]) -> None:
        to_ticks = self._instruments[bar.symbol].price_to_ticks
        points = path_points(to_ticks(bar.open), to_ticks(bar.high), to_ticks(bar.low), to_ticks(bar.close))
        times_ns = point_times(bar.open_ns, bar.close_ns)
        found = self._find(bar, orders, points, times_ns)
        if len(found) > 1:
            found = stops_before_limits(found)
        walk = None if self.margin is None else self.margin.walk(bar, points, times_ns)
        for position, _, _, resting, match in found:
            executed_ns = times_ns[min(position[0] + (position[1] > 0), 3)]
            if walk is not None:
                walk.to(position)
            if resting not in orders:  # it was withdrawn on the way
                continue
            self._execute(resting, match.price_ticks, executed_ns, orders, taker=match.taker)

    def _find(
        self, bar: Bar, orders: list[Resting], points: Points, times_ns: tuple[int, int, int, int]
    ) -> list[Found]:
        """Return what fills on the path, in order of arrival."""
        found: list[Found] = []
        for arrival_index, resting in enumerate(list(orders)):
            first = first_usable(resting.live_from_ns, times_ns)
            if first is None:
                continue
            if not resting.arrived and not self._meets_market(resting, bar, points, first, orders, found):
                continue
            usable = points[first:]
            if resting.until_ns:
                last = first_usable(resting.until_ns, times_ns)
                usable = points[first:last]
                if not usable:
                    continue
            match = self._fit(resting, usable, orders)
            if match is not None:
                found.append(((match.position[0] + first, match.position[1]), 0, arrival_index, resting, match))
        return found

    def _meets_market(
        self, resting: Resting, bar: Bar, points: Points, first: int, orders: list[Resting], found: list[Found]
    ) -> bool:
        """Decide post-only and marketability of an order that travelled; return whether it still rests.

        One that takes another's place does not arrive if that one has ended, or is filled earlier on this bar.
        """
        last = self._lanes[bar.symbol].bar
        if first > 0:
            arrival_ticks = points[first - 1]
        elif last is not None:
            arrival_ticks = self._ticks(last.close, bar.symbol)
        else:
            arrival_ticks = points[0]
        if resting.replaces:
            old = next((each for each in orders if each.order_id == resting.replaces), None)
            if old is None or any(fill[3] is old for fill in found):
                return False
            return self.replace(old, resting, arrival_ticks, orders)
        if self._arrive(resting, arrival_ticks):
            return True
        self.end(resting, orders)
        self._emit(Rejected(*resting.identity(), WOULD_TAKE))
        return False

    def replace(self, old: Resting, new: Resting, market_ticks: int, orders: list[Resting]) -> bool:
        """Put an amended order, which has arrived, in the place of the old one; return whether it rests."""
        orders.remove(old)
        event = old.identity()
        if not self._arrive(new, market_ticks):
            orders.remove(new)
            self._ended[old.order_id] = old
            self._emit(Cancelled(*event, f"amended: {WOULD_TAKE}"))
            return False
        new.replaces = ""
        new.triggered = old.triggered and new.request.stop_ticks == old.request.stop_ticks
        self._replaced.add(old.order_id)
        request = new.request
        self._emit(Amended(*event, new.order_id, request.quantity_lots, request.limit_ticks, request.stop_ticks))
        return True

    def _arrive(self, resting: Resting, market_ticks: int) -> bool:
        """Note how the order stands to the market; return False if it is post-only and would take."""
        resting.arrived = True
        request = resting.request
        if request.kind == "limit":
            resting.marketable = within_limit(request.side, request.limit_ticks, market_ticks)
        return not (request.post_only and resting.marketable)

    def _fit(self, resting: Resting, points: Points, orders: list[Resting]) -> Match | None:
        request = resting.request
        match = match_order(request, marketable=resting.marketable, triggered=resting.triggered, points=points)
        resting.marketable = False
        if match is None:
            if request.kind == "stop_limit" and find_touch(request.side, request.stop_ticks, points) is not None:
                if not self.is_taken(resting, orders, request.stop_ticks):
                    return None
                resting.triggered = True
            if request.time_in_force != "gtc" and (request.kind == "limit" or resting.triggered):
                self.end(resting, orders)
                self._emit(Expired(*resting.identity(), f"{request.time_in_force}: not fillable at once"))
        return match

    def _execute(
        self, resting: Resting, price_ticks: int, executed_ns: int, orders: list[Resting], *, taker: bool
    ) -> None:
        if self.margin is not None and not self.is_taken(resting, orders, price_ticks):
            return
        self.end(resting, orders)
        if taker and self._slippage:
            price_ticks = slipped(resting.request, price_ticks, self._slippage)
        self._fill(resting, price_ticks, executed_ns, resting.open_lots, taker=taker)

    def fill_part(
        self, resting: Resting, price_ticks: int, executed_ns: int, orders: list[Resting], lots: int, *, taker: bool
    ) -> bool:
        """Fill some of an order; return whether there is an end to it."""
        if taker and self._slippage:
            price_ticks = slipped(resting.request, price_ticks, self._slippage)
        if self._fill(resting, price_ticks, executed_ns, lots, taker=taker):
            self.end(resting, orders)
            return True
        return False

    def is_taken(self, resting: Resting, orders: list[Resting], price_ticks: int) -> bool:
        """Ask an order whose trigger is met for its margin; return whether it has it."""
        refusal = "" if self.margin is None else self.margin.trigger_refusal(resting, price_ticks)
        if refusal:
            self.end(resting, orders)
            self._emit(Rejected(*resting.identity(), refusal))
        return not refusal

    def end(self, resting: Resting, orders: list[Resting]) -> None:
        """Take an order off the venue."""
        orders.remove(resting)
        if resting.until_ns:
            drop_amend(resting, orders)
        self._ended[resting.order_id] = resting

    def withdraw(self, symbol: str) -> list[Resting]:
        """Take all orders in a symbol off the venue; return them."""
        orders = self._resting[symbol]
        withdrawn = orders[:]
        orders.clear()
        for resting in withdrawn:
            self.ties.forget(resting.request)
            self._ended[resting.order_id] = resting
        return withdrawn

    def take_trade_id(self) -> int:
        """Return the number of the next execution."""
        self._next_trade_id += 1
        return self._next_trade_id - 1

    def _fill_at_last_close(self, resting: Resting) -> None:
        market = self.ticks.markets.get(resting.request.symbol)
        if market is not None and market.last_ticks:
            price_ticks, last_ns = market.last_ticks, market.last_ns
        else:
            last = self._lanes[resting.request.symbol].bar
            assert last is not None, "an order before the first bar"
            price_ticks, last_ns = self._ticks(last.close, last.symbol), last.close_ns
        self._fill(resting, price_ticks, last_ns, resting.open_lots, taker=True, synthetic=True)

    def _fill(
        self,
        resting: Resting,
        price_ticks: int,
        executed_ns: int,
        quantity_lots: int,
        *,
        taker: bool,
        synthetic: bool = False,
    ) -> bool:
        """Fill so much of an order, or as much as reduce-only allows; return whether that is the end of it."""
        request = resting.request
        book = (request.strategy, request.symbol)
        position_lots = self._positions.get(book, 0)
        reduced = False
        if request.reduce_only:
            reducible_lots = max(0, -request.side * position_lots)
            reduced = reducible_lots <= quantity_lots
            quantity_lots = min(quantity_lots, reducible_lots)
            if not quantity_lots:
                self._emit(Expired(*resting.identity(), "reduce-only, and nothing is left to reduce"))
                return True
        notional_atoms = self._instruments[request.symbol].value_atoms(price_ticks, quantity_lots)
        fee_atoms = (self._taker if taker else self._maker).of(notional_atoms)
        if self.margin is not None:
            if not self.margin.account.can_pay(request.symbol, request.side, price_ticks, quantity_lots):
                self._emit(Expired(*resting.identity(), INSUFFICIENT))
                return True
            self.margin.account.fill(request.symbol, request.side, price_ticks, quantity_lots, fee_atoms)
        self._positions[book] = position_lots + request.side * quantity_lots
        remaining_lots = resting.open_lots - quantity_lots
        self.untold.say(
            Fill(
                resting.order_id,
                request.strategy,
                request.symbol,
                request.ref,
                self._next_trade_id,
                request.side,
                price_ticks,
                quantity_lots,
                remaining_lots,
                fee_atoms,
                "taker" if taker else "maker",
                executed_ns,
                synthetic,
            )
        )
        if self.margin is not None:
            self.margin.make_good(request, self._next_trade_id, executed_ns)
        self._next_trade_id += 1
        resting.open_lots = remaining_lots
        for excluded in self.ties.excluded_by(request) if self.ties.links else ():
            self.end(excluded, self._resting[excluded.request.symbol])
            excluded.open_lots = 0
            self._emit(Cancelled(*excluded.identity(), "one cancels the other"))
        if remaining_lots and reduced:
            self._emit(Expired(*resting.identity(), "reduce-only, and nothing is left to reduce"))
        return reduced or not remaining_lots

    def _arrival_ns(self, symbol: str) -> int:
        """Return when what is sent now arrives; where there are ticks, never at the time of the one in hand."""
        travel_ns = max(1, self._latency_ns) if symbol in self.ticks.markets else self._latency_ns
        return self._context.now_ns + travel_ns

    def _ticks(self, price: float, symbol: str) -> int:
        return self._instruments[symbol].price_to_ticks(price)

    def dump(self) -> bytes:
        """Return the state."""
        return msgspec.msgpack.encode(
            _State(
                [resting for orders in self._resting.values() for resting in orders],
                {symbol: lane.bar for symbol, lane in self._lanes.items() if lane.bar is not None},
                [(strategy, symbol, lots) for (strategy, symbol), lots in self._positions.items()],
                self._next_trade_id,
                self._tape_ended,
                self.ticks.markets,
                None if self.margin is None else self.margin.account.dump(),
                self.ties.links,
            )
        )

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=_State)
        for orders in self._resting.values():
            orders.clear()
        for resting in kept.resting:
            self._resting[resting.request.symbol].append(resting)
        for symbol, lane in self._lanes.items():
            lane.bar = kept.last_bars.get(symbol)
        self._positions.clear()
        self._positions.update({(strategy, symbol): lots for strategy, symbol, lots in kept.positions})
        if self.margin is not None and kept.margin is not None:
            self.margin.account.load(kept.margin)
        self._next_trade_id = kept.next_trade_id
        self._tape_ended = kept.tape_ended
        self.ticks.markets.update(kept.tick_markets)
        self.ties.links = kept.links
