"""What the simulated venue does about margin while prices move: marks, and positions it closes itself.

The mark of a contract is what `Mark` says, from the first one on. Without any it is the last price: the newest trade
where the venue matches on ticks, or else the path of the bars, the same that orders are matched on. A position is
then liquidated where the path reaches its liquidation price, or at the first point beyond it after a gap: the worse of
both, as a stop would be. What orders fill on the way there goes first, also at the very same price; what is
withdrawn then fills no more.

A liquidation closes at the mark all that shares the margin, after the orders of these contracts were withdrawn. The
taker fee is charged, and a liquidation fee out of what is left of the margin; if less than nothing is left, the
insurance fund pays that: an isolated position never costs more than what was set aside for it, the account never more
than the wallet. It pays likewise (`Insured`) where an order of ours, a stop behind a gap, has left less than nothing.

A venue closes the account's position. Each book on its side takes a share by its lots (largest remainder), which
is one trade; books on the other side stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from actors.execution.books import split
from actors.execution.margin_account import MarginAccount
from actors.execution.matching import find_touch, path_points, point_times
from actors.instrument import Rate, from_atoms
from actors.margin import is_beyond
from actors.messages import (
    BUY,
    SELL,
    Bar,
    BookSnapshot,
    Cancelled,
    Funding,
    Insured,
    Liquidated,
    Mark,
    Quote,
    TimerFired,
    Trade,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from actors.execution.margin_account import Held
    from actors.execution.matching import Points, Position
    from actors.execution.resting import Resting
    from actors.execution.tick_matching import TickMarket
    from actors.instrument import Instrument
    from actors.ledger import Account
    from actors.messages import FundingShared, Message, OrderRequest, PositionChanged
    from actors.runtime.lanes import Handler
    from actors.runtime.scheduler import Context
    from config.schema import Venue

ORDER_PREFIX = "autoclose-"
"""Of the ids of orders by which a venue liquidates."""


class Desk(Protocol):
    """What the venue does for a liquidation."""

    def withdraw(self, symbol: str) -> list[Resting]:
        """Take all orders in a symbol off the venue; return them."""

    def take_trade_id(self) -> int:
        """Return the number of the next execution."""


class Liquidator:
    """Asks orders for margin, follows marks, and closes what has not enough behind it; speaks as the venue.

    Args:
        context: the core's.
        instruments: exact units by symbol.
        account: positions and wallet.
        books: lots by strategy and symbol, the venue's own.
        desk: the venue.
        fee: of a taker.
        liquidation_fee: of what is liquidated.
        on_ticks: symbols that are matched on ticks: their bars are no marks.

    Attributes:
        account: positions and wallet.
    """

    name = "venue"
    isolated = False

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        account: MarginAccount,
        books: dict[tuple[str, str], int],
        desk: Desk,
        fee: Rate,
        liquidation_fee: Rate,
        on_ticks: Collection[str],
    ) -> None:
        self._context = context
        self._emit = context.emit
        self._instruments = instruments
        self.account = account
        self._books = books
        self._desk = desk
        self._fee = fee
        self._liquidation_fee = liquidation_fee
        self._on_ticks = on_ticks
        self._walk: Walk | None = None
        """Of the bar in hand, where orders rested on it."""

    def listen(self, entries: dict[type[Message], list[Handler]]) -> None:
        """Be told of what moves the margin, right after it was dealt with, and before strategies hear of it."""
        entries[Bar].insert(2, self.on_bar)
        entries[Mark].insert(1, self.on_mark)
        entries[TimerFired].insert(1, self.on_settled)
        entries[Funding].insert(2, self.on_settled)
        if self._on_ticks:
            entries[Trade].insert(2, self.on_trade)
            entries[Quote].insert(2, self.on_settled)
            entries[BookSnapshot].insert(2, self.on_settled)

    # --- orders -------------------------------------------------------------------------------------

    def refusal(self, order: Resting, market: TickMarket | None, old: Resting | None = None) -> str:
        """Return why an order, or an amend of `old`, cannot be taken; empty if it can."""
        request = order.request
        if old is not None:
            order.asked_ticks = old.asked_ticks
        elif market is not None:
            order.asked_ticks = market.market_ticks(request.side)
        else:
            bar = self._context.lane(request.symbol).bar
            order.asked_ticks = 0 if bar is None else self._instruments[request.symbol].price_to_ticks(bar.close)
        waits = request.stop_ticks and not (old is not None and old.triggered)
        return "" if waits else self.account.refusal(order, old)

    def trigger_refusal(self, order: Resting, price_ticks: int) -> str:
        """Return why an order that was met cannot be taken, if it was not asked for margin when it came."""
        if not order.request.stop_ticks or order.triggered:
            return ""
        order.asked_ticks = price_ticks
        return self.account.refusal(order)

    def make_good(self, request: OrderRequest, trade_id: int, executed_ns: int) -> None:
        """Have the insurance fund pay what a fill has left less than nothing, unless what is held may make it good."""
        account = self.account
        owed_atoms = -account.cross_atoms()
        if owed_atoms > 0 and account.held(request.symbol) is not None and not account.open_positions(isolated=False):
            account.pay(owed_atoms)
            self._emit(Insured(request.strategy, request.symbol, trade_id, owed_atoms, executed_ns))

    # --- what it hears ------------------------------------------------------------------------------

    def on_mark(self, mark: Mark) -> None:
        """Take the mark; from now on no other price is one."""
        held = self.account.held(mark.symbol)
        if held is not None:
            held.announced = True
            self._take_mark(mark.symbol, mark.price)

    def on_trade(self, trade: Trade) -> None:
        """Take the price of a trade for a mark, where orders are matched on trades and no mark is told."""
        held = self.account.held(trade.symbol)
        if held is None or held.announced or trade.symbol not in self._on_ticks:
            self.on_settled(trade)
        else:
            self._take_mark(trade.symbol, trade.price)

    def on_settled(self, _: Message) -> None:
        """Look at the margin after orders were filled, or funding was paid."""
        self.account.check()
        self.settle()

    def on_funding_shared(self, funding: FundingShared) -> None:
        """Take a book's part of a payment of funding."""
        self.account.pay(funding.amount_atoms, funding.symbol)

    def on_position_changed(self, message: PositionChanged) -> None:
        """Learn of the ledger's cash."""
        self.account.heard_cash(message.cash_atoms)

    def _take_mark(self, symbol: str, price: float) -> None:
        self.account.check()
        self.account.mark(symbol, self._instruments[symbol].price_to_ticks(price))
        self.settle()

    # --- bars ---------------------------------------------------------------------------------------

    def walk(self, bar: Bar, points: Points, times_ns: tuple[int, int, int, int]) -> Walk | None:
        """Begin to walk along a bar's path, from order to order; None where it is no path of marks."""
        held = self._held_on(bar)
        if held is not None:
            self.account.check()
            self._walk = Walk(self, self.account, held, points, times_ns)
        return self._walk

    def on_bar(self, bar: Bar) -> None:
        """Go on to the close, once all that was said of the bar's fills has been heard: a stop that protects is in."""
        walk, self._walk = self._walk, None
        if walk is not None:
            walk.end()
            return
        self.account.check()
        held = self._held_on(bar)
        if held is None:
            self.settle()
            return
        to_ticks = self._instruments[bar.symbol].price_to_ticks
        if held.lots:
            bound_ticks = self.account.liquidation_ticks(held)
            side, worst = (BUY, bar.low) if held.lots > 0 else (SELL, bar.high)
            if is_beyond(side, bound_ticks, to_ticks(worst)):
                points = path_points(to_ticks(bar.open), to_ticks(bar.high), to_ticks(bar.low), to_ticks(bar.close))
                Walk(self, self.account, held, points, point_times(bar.open_ns, bar.close_ns)).end()
                return
        self.account.mark(bar.symbol, to_ticks(bar.close))
        if held.lots:
            self.account.note()

    def _held_on(self, bar: Bar) -> Held | None:
        """Return the position whose marks a bar's path is; None where it is none."""
        held = self.account.held(bar.symbol)
        return None if held is None or held.announced or bar.symbol in self._on_ticks else held

    def settle(self, executed_ns: int | None = None) -> None:
        """Close everything whose margin is used up at the marks there are."""
        account = self.account
        while doomed := account.doomed():
            self._liquidate(doomed, self._context.now_ns if executed_ns is None else executed_ns)
        account.note()

    # --- what is closed -----------------------------------------------------------------------------

    def _liquidate(self, doomed: list[Held], executed_ns: int) -> None:
        account = self.account
        isolated = account.is_isolated(doomed[0])
        margin_atoms = doomed[0].isolated_atoms if isolated else account.cross_atoms()
        margin_atoms += sum(map(account.unrealized, doomed))
        needed_atoms = sum(map(account.maintenance, doomed))
        reason = f"liquidated: the margin is {_money(margin_atoms)}, the maintenance margin {_money(needed_atoms)}"
        symbols = [doomed[0].symbol] if isolated else [s for s, each in account.contracts.items() if not each.isolated]
        withdrawn = [order for symbol in symbols for order in self._desk.withdraw(symbol)]
        shares: list[Liquidated] = []
        for held in doomed:
            shares.extend(self._close(held, executed_ns, reason))
        owed_atoms = 0 if isolated else max(0, -account.cross_atoms())
        if owed_atoms:
            account.pay(owed_atoms)
            parts = split(owed_atoms, [self._notional(share) for share in shares])
            shares = [replace(share, insured_atoms=part) for share, part in zip(shares, parts, strict=True)]
        account.liquidations += len(doomed)
        for share in shares:
            self._emit(share)
        for order in withdrawn:
            if not order.replaces:  # an amend that travels is no order of its own
                self._emit(Cancelled(*order.identity(), reason))

    def _close(self, held: Held, executed_ns: int, reason: str) -> list[Liquidated]:
        """Close a position at its mark, and take what that costs; return the shares of its books."""
        account, symbol, price_ticks = self.account, held.symbol, held.mark_ticks
        isolated_atoms = held.isolated_atoms if account.is_isolated(held) else None
        wallet_atoms = account.wallet_atoms
        sign = 1 if held.lots > 0 else -1
        books = {key: abs(lots) for key, lots in self._books.items() if key[1] == symbol and lots * sign > 0}
        shares: list[Liquidated] = []
        for key, lots in zip(books, split(abs(held.lots), list(books.values())), strict=True):
            if not lots:
                continue
            trade_id = self._desk.take_trade_id()
            fee_atoms = self._fee.of(self._instruments[symbol].value_atoms(price_ticks, lots))
            account.fill(symbol, -sign, price_ticks, lots, fee_atoms)
            self._books[key] -= sign * lots
            side = SELL if sign > 0 else BUY
            named = (key[0], symbol, f"{ORDER_PREFIX}{trade_id}", trade_id, side)
            shares.append(Liquidated(*named, price_ticks, lots, fee_atoms, 0, 0, executed_ns, reason))
        assert not held.lots, held
        weights = [self._notional(share) for share in shares]
        if isolated_atoms is None:
            left_atoms = account.cross_atoms() + sum(map(account.unrealized, account.open_positions(isolated=False)))
        else:
            left_atoms = isolated_atoms + account.wallet_atoms - wallet_atoms
        taken_atoms = min(self._liquidation_fee.of(sum(weights)), max(0, left_atoms))
        given_atoms = 0 if isolated_atoms is None else max(0, -left_atoms)
        account.pay(given_atoms - taken_atoms)
        taken, given = split(taken_atoms, weights), split(given_atoms, weights)
        return [
            replace(share, liquidation_fee_atoms=fee, insured_atoms=insured)
            for share, fee, insured in zip(shares, taken, given, strict=True)
        ]

    def _notional(self, share: Liquidated) -> int:
        return self._instruments[share.symbol].value_atoms(share.price_ticks, share.quantity_lots)


class Walk:
    """The path of one bar, as marks: what is met on the way is liquidated there."""

    __slots__ = ("_account", "_at", "_held", "_liquidator", "_points", "_times_ns")

    def __init__(
        self,
        liquidator: Liquidator,
        account: MarginAccount,
        held: Held,
        points: Points,
        times_ns: tuple[int, int, int, int],
    ) -> None:
        self._liquidator = liquidator
        self._account = account
        self._held = held
        self._points = points
        self._times_ns = times_ns
        self._at: Position = (0, 0)

    def to(self, position: Position) -> None:
        """Go on to where an order fills; what is liquidated before that, is."""
        self._go(position)
        self._move(position)

    def end(self) -> None:
        """Go on to the close."""
        self._go(None)
        self._at = (len(self._points) - 1, 0)
        self._account.mark(self._held.symbol, self._points[-1])
        self._liquidator.settle(self._times_ns[-1])

    def _go(self, until: Position | None) -> None:
        held = self._held
        while held.lots:
            bound_ticks = self._account.liquidation_ticks(held)
            if not bound_ticks:
                return
            index, travelled = self._at
            rest = (self._price(self._at), *self._points[index + 1 :])
            touch = find_touch(SELL if held.lots > 0 else BUY, bound_ticks, rest)
            if touch is None:
                return
            met = (index + touch[0], touch[1] + (travelled if touch[0] == 0 else 0))
            if until is not None and met >= until:
                return
            self._move(met)
            self._liquidator.settle(self._times_ns[min(met[0] + (met[1] > 0), 3)])
            assert not held.lots, held

    def _move(self, position: Position) -> None:
        self._at = position
        self._account.mark(self._held.symbol, self._price(position))

    def _price(self, position: Position) -> int:
        index, travelled = position
        price_ticks = self._points[index]
        if not travelled:
            return price_ticks
        return price_ticks + (travelled if self._points[index + 1] > price_ticks else -travelled)


def make_liquidator(
    context: Context,
    instruments: Mapping[str, Instrument],
    settings: Venue,
    account: Account,
    books: dict[tuple[str, str], int],
    desk: Desk,
    on_ticks: Collection[str],
) -> Liquidator | None:
    """Return what holds contracts on margin; None where no leverage is set, or nothing is a contract."""
    if settings.leverage is None or not any(each.spec.contract for each in instruments.values()):
        return None
    on_margin = MarginAccount(context, instruments, settings, account, books)
    fees = (Rate(settings.taker_fee), Rate(settings.liquidation_fee))
    return Liquidator(context, instruments, on_margin, books, desk, *fees, on_ticks)


def _money(atoms: int) -> str:
    return f"{from_atoms(atoms).normalize():f}"
