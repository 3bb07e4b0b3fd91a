"""What holding a perpetual means: mark price and funding, leverage and margin type, and what is due by time.

The mark is the last price unless it is set by hand, and the index is the mark. Funding is settled at whole
multiples of its interval in exchange time: a position pays its value at the mark times the rate, a short is
paid it. What is due by time is done before anything else that happens then, as an operation of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import Rate
from actors.margin import TOO_LARGE, Tiers
from replay.exchange.conditional import Conditionals
from replay.exchange.fees import AUTO, Fees
from replay.exchange.model import FundingView, LeverageChanged, MarkPrice, PositionsChanged, VenueError
from replay.exchange.operations import (
    Arm,
    Fund,
    Pass,
    SetFundingRate,
    SetLeverage,
    SetMarginType,
    SetMark,
    SetPositionMode,
)
from replay.exchange.positions import Positions
from replay.exchange.trading import TradingEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replay.exchange.book import Book
    from replay.exchange.model import IncomeKind, IncomeView, Market, PositionReason, PositionView, WalletView
    from replay.exchange.operations import AnyOperation

LEVERAGE = 20
"""Of a market whose leverage was never set."""
LEVERAGE_MAX = 125
BRACKETS = Tiers([(0, LEVERAGE_MAX, Decimal("0.004"))])
"""Maintenance margin and highest leverage by the value of a position: one bracket, whatever its size."""
CALL_PERCENT = 80
"""How much of the margin maintenance may take before the account is warned."""
FUNDING_RATE = Decimal("0.0001")
"""Of a market whose rate was never set, per settlement."""
FUNDING_HOURS = 8

_MS_PER_HOUR = 3_600_000
_NEVER_MS = 2**62


class _Countdown(msgspec.Struct, array_like=True, frozen=True):
    """A dead man's switch on the orders of a market."""

    due_ms: int
    countdown_ms: int


class AccountState(msgspec.Struct, array_like=True):
    """What it is restored from."""

    hedge: bool
    rates: dict[str, Decimal]
    fundings: list[FundingView]
    next_funding_ms: int
    countdowns: dict[str, _Countdown]


class PerpetualAccount(TradingEngine):
    """An account that holds perpetuals.

    Args:
        markets: what is traded; each has a settle asset.
        balances: what the wallet starts with.
        maker_fee: rate of the commission on orders that rested.
        taker_fee: rate of the commission on orders that did not.
        spread_ticks: distance between best bid and best ask; 0 puts both at the last price.
        fee_asset: asset the commission is paid in while there is enough of it, or "auto" for the settle asset.
        bounded: whether a print fills no more than its own quantity.
        intervals: candles that are told as events, besides those of a minute.
        leverage: of a market whose leverage was never set.
        funding_rate: of a market whose rate was never set.
        funding_hours: hours between settlements.
        brackets: maintenance margin and highest leverage by the value of a position.
        liquidation_fee: fraction of what is liquidated that the insurance fund takes, of what is left at most.
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
        leverage: int = LEVERAGE,
        funding_rate: Decimal = FUNDING_RATE,
        funding_hours: int = FUNDING_HOURS,
        brackets: Tiers = BRACKETS,
        liquidation_fee: Decimal = Decimal(0),
    ) -> None:
        super().__init__(markets, spread_ticks, bounded=bounded, intervals=intervals)
        assert all(market.settle for market in markets), markets
        assets = () if fee_asset == AUTO else (fee_asset,)
        self.account = Positions(self.books, self.history, balances, assets, leverage, brackets)
        self._liquidation_fee = Rate(liquidation_fee)
        self._fees = Fees(maker_fee, taker_fee, fee_asset, self.books, self.account.wallet)
        self.conditionals = Conditionals(self.books)
        self.hedge = False
        """Whether the account is in hedge mode, where no order is taken."""
        self.funding_hours = funding_hours
        self.next_funding_ms = 0
        """0 before the first operation."""
        self._funding_rate = funding_rate
        self._rates: dict[str, Decimal] = {}
        """Those that were set."""
        self._fundings: list[FundingView] = []
        self._countdowns: dict[str, _Countdown] = {}
        self._called: set[str] = set()
        """What was warned of, by `Positions.strained`'s names; after a restart once more."""
        self._due_ms = 0
        self._reason: PositionReason = "ORDER"
        self._watched: dict[str, int] = {}
        """Markets whose mark somebody follows, with the second it was last told in."""

    @abstractmethod
    def _watch_margin(self, now_ms: int) -> None:
        """Liquidate what has not enough margin any more."""

    @abstractmethod
    def _look_at_marks(self, book: Book, now_ms: int) -> None:
        """Trigger what waits for the mark price."""

    @abstractmethod
    def _has_open(self, market_id: str) -> bool:
        """Return whether anything is open or waits in a market."""

    # --- settings -------------------------------------------------------------------------------------

    def set_leverage(self, market_id: str, leverage: int, now_ms: int) -> int:
        """Set the leverage of a market, for what it holds too; return it.

        Raises:
            VenueError: there is no such leverage, or the wallet has not enough for it.
        """
        self._pass(now_ms)
        book = self._book(market_id)
        position = self.account.positions[market_id]
        if not 1 <= leverage <= self.account.brackets.rows[0].leverage:
            raise VenueError(-4028, f"Leverage {leverage} is not valid")
        if position.isolated and position.amount_lots and leverage < position.leverage:
            raise VenueError(-4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions.")
        now, then = self.account.margin(market_id), self.account.margin(market_id, leverage=leverage)
        most_atoms = self.account.brackets.most_atoms(leverage)
        if most_atoms is not None and then.worst_atoms > most_atoms:
            raise VenueError(-2027, TOO_LARGE)
        more_atoms = then.order_atoms - now.order_atoms
        if not position.isolated:
            more_atoms += then.position_atoms - now.position_atoms
        if more_atoms > max(0, self.account.available(book.market.settle)):
            raise VenueError(-2028, "Leverage is smaller than permitted: insufficient margin balance.")
        if leverage != position.leverage:
            position.leverage = leverage
            self.events.append(LeverageChanged(market_id, leverage, now_ms))
            self._record(SetLeverage(market_id, leverage, now_ms))
        return leverage

    def set_margin_type(self, market_id: str, isolated: bool, now_ms: int) -> PositionView:  # noqa: FBT001 - it is what is set
        """Change a market to isolated margin, or to cross.

        Raises:
            VenueError: it has that already, or something is open or held.
        """
        self._pass(now_ms)
        self._book(market_id)
        position = self.account.positions[market_id]
        if position.isolated == isolated:
            raise VenueError(-4046, "No need to change margin type.")
        if self._has_open(market_id):
            raise VenueError(-4047, "Margin type cannot be changed if there exists open orders.")
        if position.amount_lots:
            raise VenueError(-4048, "Margin type cannot be changed if there exists position.")
        position.isolated = isolated
        self.account.touch(market_id, now_ms)
        self._settle_for("MARGIN_TYPE_CHANGE", now_ms)
        self._record(SetMarginType(market_id, isolated, now_ms))
        return self.account.position_view(market_id)

    def set_position_mode(self, hedge: bool, now_ms: int) -> None:  # noqa: FBT001 - it is what is set
        """Change the account to hedge mode, or to one position a market.

        Raises:
            VenueError: it is in that mode already, or something is open or held.
        """
        self._pass(now_ms)
        if hedge == self.hedge:
            raise VenueError(-4059, "No need to change position side.")
        if any(map(self._has_open, self.books)):
            raise VenueError(-4067, "Position side cannot be changed if there exists open orders.")
        if any(position.amount_lots for position in self.account.positions.values()):
            raise VenueError(-4068, "Position side cannot be changed if there exists position.")
        self.hedge = hedge
        self._record(SetPositionMode(hedge, now_ms))

    # --- the mark -------------------------------------------------------------------------------------

    def set_mark(self, market_id: str, mark_ticks: int | None, now_ms: int) -> None:
        """Set the mark price by hand; None ties it to the last price again."""
        assert mark_ticks is None or mark_ticks > 0, mark_ticks
        self._pass(now_ms)
        book = self._book(market_id)
        self.account.marks.pop(market_id, None)
        if mark_ticks is not None:
            self.account.marks[market_id] = mark_ticks
        self._look_at_marks(book, now_ms)
        self._finish(now_ms)
        self._tell_mark(market_id, now_ms, at_once=True)
        self._record(SetMark(market_id, mark_ticks or 0, now_ms, tuple(self._portions)))

    def mark(self, market_id: str, now_ms: int = 0) -> MarkPrice:
        """Return the mark price and what there is to know of the next funding."""
        self._book(market_id)
        ticks = self.account.mark_ticks(market_id)
        return MarkPrice(market_id, ticks, ticks, self.funding_rate(market_id), self.next_funding_ms, now_ms)

    def watch(self, market_id: str, watched: bool) -> None:  # noqa: FBT001 - it is what is set
        """Have the mark price of a market told once a second, or not any more."""
        self._book(market_id)
        if watched:
            self._watched.setdefault(market_id, -1)
        else:
            self._watched.pop(market_id, None)

    def _tell_mark(self, market_id: str, now_ms: int, *, at_once: bool = False) -> None:
        told_s = self._watched.get(market_id)
        if told_s is not None and (at_once or told_s != now_ms // 1_000) and self.account.mark_ticks(market_id):
            self._watched[market_id] = now_ms // 1_000
            self.events.append(self.mark(market_id, now_ms))

    # --- funding --------------------------------------------------------------------------------------

    def funding_rate(self, market_id: str) -> Decimal:
        """Return the rate of the next settlement, as a fraction."""
        return self._rates.get(market_id, self._funding_rate)

    def set_funding_rate(self, rate: Decimal, now_ms: int, market_id: str | None = None) -> None:
        """Set the rate of the next settlements of a market, or of all."""
        self._pass(now_ms)
        if market_id is not None:
            self._book(market_id)
        for each in self.books if market_id is None else (market_id,):
            self._rates[each] = rate
        self._record(SetFundingRate(market_id, rate, now_ms))

    def settle_funding(self, now_ms: int) -> None:
        """Settle funding now, whatever the hour."""
        self._pass(now_ms)
        self._fund(now_ms)
        self._record(Fund(now_ms))

    def funding_history(
        self, market_id: str | None = None, start_ms: int | None = None, end_ms: int | None = None, limit: int = 100
    ) -> list[FundingView]:
        """Return settlements, oldest first: the first from `start_ms` on, or the newest without one."""
        found = [
            each
            for each in self._fundings
            if market_id in (None, each.id)
            and (start_ms is None or each.time_ms >= start_ms)
            and (end_ms is None or each.time_ms <= end_ms)
        ]
        return found[:limit] if start_ms is not None else found[-limit:]

    def _fund(self, now_ms: int) -> None:
        for market_id, book in self.books.items():
            mark_ticks = self.account.mark_ticks(market_id)
            if mark_ticks:
                rate = self.funding_rate(market_id)
                self._fundings.append(FundingView(id=market_id, rate=rate, mark_ticks=mark_ticks, time_ms=now_ms))
                self.account.fund(book, Rate(rate), now_ms)
        self._settle_for("FUNDING_FEE", now_ms)
        self._finish(now_ms)

    # --- time -----------------------------------------------------------------------------------------

    def arm_countdown(self, market_id: str, countdown_ms: int, now_ms: int) -> None:
        """Withdraw the orders of a market after a while, unless this is called again before; 0 disarms."""
        assert countdown_ms >= 0, countdown_ms
        self._pass(now_ms)
        self._book(market_id)
        self._countdowns.pop(market_id, None)
        if countdown_ms:
            self._countdowns[market_id] = _Countdown(now_ms + countdown_ms, countdown_ms)
        self._look_ahead()
        self._record(Arm(market_id, countdown_ms, now_ms))

    def advance(self, now_ms: int) -> None:
        """Let time go on to `now_ms`: do and tell what became due."""
        super().advance(now_ms)
        for market_id in self._watched:
            self._tell_mark(market_id, now_ms)

    def next_due_ms(self) -> int | None:
        """Return when something will happen by itself, None if nothing will."""
        due_ms, close_ms = self._due_ms or _NEVER_MS, self.next_close_ms() or _NEVER_MS
        return None if due_ms == close_ms == _NEVER_MS else min(due_ms, close_ms)

    def _pass(self, now_ms: int) -> None:
        if now_ms < self._due_ms:
            return
        interval_ms = self.funding_hours * _MS_PER_HOUR
        if not self.next_funding_ms:
            self.next_funding_ms = (now_ms // interval_ms + 1) * interval_ms
        self._look_ahead()
        while self._due_ms <= now_ms:
            due_ms = self._due_ms
            if due_ms == self.next_funding_ms:
                self.next_funding_ms = due_ms + interval_ms
                self._fund(due_ms)
            for market_id in [each for each, countdown in self._countdowns.items() if countdown.due_ms <= due_ms]:
                del self._countdowns[market_id]
                for order in list(self.history.open[market_id].values()):
                    self._end(order, "CANCELED", due_ms)
            self._look_ahead()
        self._record(Pass(now_ms))

    def _look_ahead(self) -> None:
        """Note when the next thing is due."""
        self._due_ms = min([self.next_funding_ms, *(each.due_ms for each in self._countdowns.values())])

    # --- telling and asking ---------------------------------------------------------------------------

    def wallets(self) -> list[WalletView]:
        """Return every asset of the wallet."""
        return [self.account.wallet_view(asset) for asset in self.account.wallet.holdings]

    def positions(self, market_id: str | None = None) -> list[PositionView]:
        """Return the position in one market or in each, flat ones too."""
        if market_id is not None:
            self._book(market_id)
        return [self.account.position_view(each) for each in (self.books if market_id is None else (market_id,))]

    def income(
        self,
        kind: IncomeKind | None = None,
        market_id: str | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 100,
    ) -> list[IncomeView]:
        """Return changes of the wallet, oldest first: the first from `start_ms` on, or the newest without one."""
        return self.account.income(kind, market_id, start_ms, end_ms, limit)

    def _finish(self, now_ms: int) -> None:
        self._watch_margin(now_ms)
        self._settle(now_ms)

    def _settle(self, now_ms: int) -> None:
        if self.account.changed:
            self.events.append(PositionsChanged(now_ms, self._reason, *self.account.take_changed()))

    def _settle_for(self, reason: PositionReason, now_ms: int) -> None:
        self._reason = reason
        self._settle(now_ms)
        self._reason = "ORDER"

    def _repeat(self, operation: AnyOperation) -> None:
        if isinstance(operation, Pass):
            self._pass(operation.now_ms)
        elif isinstance(operation, SetLeverage):
            self.set_leverage(operation.id, operation.leverage, operation.now_ms)
        elif isinstance(operation, SetMarginType):
            self.set_margin_type(operation.id, operation.isolated, operation.now_ms)
        elif isinstance(operation, SetPositionMode):
            self.set_position_mode(operation.hedge, operation.now_ms)
        elif isinstance(operation, SetMark):
            self.set_mark(operation.id, operation.mark_ticks or None, operation.now_ms)
        elif isinstance(operation, SetFundingRate):
            self.set_funding_rate(operation.rate, operation.now_ms, operation.id)
        elif isinstance(operation, Fund):
            self.settle_funding(operation.now_ms)
        elif isinstance(operation, Arm):
            self.arm_countdown(operation.id, operation.countdown_ms, operation.now_ms)
        else:
            super()._repeat(operation)

    def _dump_account(self) -> AccountState:
        return AccountState(self.hedge, self._rates, self._fundings, self.next_funding_ms, self._countdowns)

    def _load_account(self, state: AccountState) -> None:
        self.hedge = state.hedge
        self._rates = state.rates
        self._fundings = state.fundings
        self.next_funding_ms = state.next_funding_ms
        self._countdowns = state.countdowns
        self._look_ahead()
