"""Risk: turns wishes into exact orders, or vetoes them.

It quantises an intent, works out what a target still lacks, applies the limits that are switched on, and
obeys the trading state: outside `running` nothing may increase a position. What is judged is the worst
case, the position as it would stand once every working order on the same side had filled.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import to_atoms
from actors.messages import (
    BUY,
    SELL,
    Amended,
    AmendRejected,
    AmendRequest,
    AmendVeto,
    Cancelled,
    CancelRequest,
    EquityMark,
    Expired,
    Fill,
    Flattened,
    Halt,
    Intent,
    OrderRequest,
    PositionChanged,
    Rejected,
    RiskVeto,
    TradingStateChanged,
)
from actors.working import Terms, Working, exits, price_ticks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.instrument import Instrument
    from actors.runtime.scheduler import Context
    from config.schema import Risk as Limits

_MINUTE_NS = 60_000_000_000
_DAY_NS = 86_400_000_000_000

_PROBE_LOTS = 10**12
"""Lots whose value gives the price of one lot with twelve digits to spare."""

_COUNT_MAX = 2**62
"""Most ticks, lots and atoms of one position: what a journal can hold, with room to move."""

_CLOSE_TRIES = 3
"""A flatten gives a position up after the venue has refused to close it this often."""

CLOSING_REF_FIRST = -1
"""Orders of a flatten count down from here, so they never meet a strategy's own numbers."""


class _State(msgspec.Struct):
    trading: str
    positions: list[tuple[str, str, int]]
    working: list[Working]
    order_times_ns: list[int]
    day_index: int
    day_equity_atoms: int | None
    last_equity_atoms: int | None
    closing_ref: int
    refusals: list[tuple[str, str, int]] = []
    last_ticks: dict[str, int] = {}


class Risk:
    """Vetoes, clips or passes."""

    isolated = False

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        limits: Limits,
        positions: Iterable[tuple[str, str, int]],
        *,
        cancel_on_halt: bool,
    ) -> None:
        """Start from `positions`: (strategy, symbol, lots)."""
        self.name = "risk"
        self._context = context
        self._emit = context.emit
        self._instruments = instruments
        self._limits = limits
        self._cancel_on_halt = cancel_on_halt
        self._max_notional_atoms = None if limits.max_notional is None else to_atoms(limits.max_notional)
        self._max_daily_loss_atoms = None if limits.max_daily_loss is None else to_atoms(limits.max_daily_loss)
        self._max_position_lots = {
            symbol: None if limits.max_position is None else int(limits.max_position / instrument.spec.lot)
            for symbol, instrument in instruments.items()
        }
        self._limits_growth = (limits.max_orders_per_minute, limits.max_position, limits.max_notional) != (None,) * 3
        """Whether there is any limit on what may be added to a position."""
        self._trading = "running"
        self._positions: dict[tuple[str, str], int] = {(name, symbol): lots for name, symbol, lots in positions}
        self._working: dict[tuple[str, int], Working] = {}
        self._order_times_ns: deque[int] = deque()
        self._day_index = -1
        self._day_equity_atoms: int | None = None
        self._last_equity_atoms: int | None = None
        self._closing_ref = CLOSING_REF_FIRST
        self._last_ticks: dict[str, int] = {}
        """Price of the newest fill of each symbol."""
        self._refusals: dict[tuple[str, str], int] = {}
        """How often the venue refused to close a book in the flatten under way."""

    # --- wishes -------------------------------------------------------------------------------------

    def on_intent(self, intent: Intent) -> None:
        """Answer a wish with an order, a cancel or a veto."""
        strategy, symbol = intent.strategy, intent.symbol
        if intent.action == "cancel":
            working = self._working.get((strategy, intent.ref))
            if working is not None and not working.closing:
                self._emit(CancelRequest(strategy, symbol, intent.ref))
            return
        if intent.action == "amend":
            self._amend_or_veto(intent)
            return
        instrument = self._instruments.get(symbol)
        if instrument is None:
            self._veto(intent, f"no instrument {symbol}")
            return
        lots = instrument.quantity_to_lots(intent.quantity)
        position_lots = self._positions.get((strategy, symbol), 0)
        if intent.action == "target":
            # What the position, with market orders already under way, still lacks.
            lots -= position_lots
            for order in self._working.values():
                if order.kind == "market" and order.strategy == strategy and order.symbol == symbol:
                    lots -= order.side * order.open_lots
            if lots >= instrument.step_lots:
                self._pass_or_veto(intent, instrument, BUY, lots, position_lots)
            elif lots <= -instrument.step_lots:
                self._pass_or_veto(intent, instrument, SELL, -lots, position_lots)
        elif lots > 0:
            self._pass_or_veto(intent, instrument, intent.side, lots, position_lots)
        else:
            self._veto(intent, "quantity is below one lot")

    def _pass_or_veto(self, intent: Intent, instrument: Instrument, side: int, lots: int, position_lots: int) -> None:
        allowed_lots = lots
        reduce_only = intent.reduce_only or self._trading != "running"
        reason = ""
        if reduce_only:
            allowed_lots = min(lots, max(0, -side * position_lots))
            reason = "reduce-only, and nothing is left to reduce"
            if self._trading != "running":
                reason = f"trading is {self._trading}"
        if (
            side == SELL and instrument.spec.long_only
        ):  # a spot venue knows no reduce-only: it would sell what is not ours
            held_lots = position_lots - self._working_lots(intent.strategy, intent.symbol, SELL)
            allowed_lots = min(lots, held_lots)
            reason = reason or f"{intent.symbol} is spot, and nothing is left to sell"
        elif not reduce_only and self._limits_growth:
            ahead_lots = self._working_lots(intent.strategy, intent.symbol, side) if self._working else 0
            exposed_lots = side * position_lots + ahead_lots
            if exposed_lots + lots > 0:
                allowed_lots, reason = self._within_limits(intent, instrument, exposed_lots, lots)
        if instrument.step_lots != 1:
            allowed_lots -= allowed_lots % instrument.step_lots
        if allowed_lots <= 0:
            self._veto(intent, reason or "quantity is below one step")
            return
        limit_ticks = stop_ticks = 0
        if (
            intent.kind != "market"
            or instrument.min_notional_atoms
            or not instrument.is_ordinary(intent.reference_price, allowed_lots + abs(position_lots))
        ):
            limit_ticks, stop_ticks = price_ticks(intent, instrument, side)
            ticks = limit_ticks or stop_ticks or instrument.price_to_ticks(intent.reference_price)
            most_lots = max(allowed_lots, abs(position_lots + side * allowed_lots))
            if max(ticks, stop_ticks, most_lots, instrument.value_atoms(ticks, most_lots)) > _COUNT_MAX:
                self._veto(intent, "larger than can be counted")
                return
            exempt = reduce_only and instrument.spec.contract  # of a contract the last bit can be closed, too
            if not exempt and instrument.value_atoms(ticks, allowed_lots) < instrument.min_notional_atoms:
                self._veto(intent, "below the minimum notional")
                return
        self._request(
            OrderRequest(
                intent.strategy,
                intent.symbol,
                intent.ref,
                side,
                allowed_lots,
                intent.kind,
                limit_ticks,
                stop_ticks,
                intent.time_in_force,
                reduce_only,
                intent.post_only,
            )
        )

    def _amend_or_veto(self, intent: Intent) -> None:
        """Answer a wish to change an order: what the change adds is judged as a new order would be."""
        working = self._working.get((intent.strategy, intent.ref))
        if working is None or working.closing:
            self._emit(AmendVeto(intent.strategy, intent.symbol, intent.ref, "no such order is working"))
            return
        instrument = self._instruments[working.symbol]
        limit_ticks, stop_ticks = price_ticks(intent, instrument, working.side)
        terms = Terms(working.filled_lots + working.open_lots, working.limit_ticks, working.stop_ticks)
        lots = instrument.quantity_to_lots(intent.quantity) if intent.quantity else terms.quantity_lots
        wanted = Terms(lots, limit_ticks or terms.limit_ticks, stop_ticks or terms.stop_ticks)
        reason = ""
        if working.amending:
            reason = "an earlier amend is under way"
        elif (limit_ticks and not terms.limit_ticks) or (stop_ticks and not terms.stop_ticks):
            reason = f"a {working.kind.replace('_', '-')} order has no such price"
        elif lots <= 0:
            reason = "quantity is below one lot"
        elif lots > working.filled_lots:
            wanted, reason = self._allowed_terms(intent, instrument, working, wanted)
        if wanted == terms:
            reason = reason or "it would change nothing"
        if reason:
            self._emit(AmendVeto(intent.strategy, working.symbol, intent.ref, reason))
            return
        working.amending = True
        working.reserved_lots = max(0, wanted.quantity_lots - terms.quantity_lots)
        working.open_lots += working.reserved_lots
        self._note_order()
        self._emit(AmendRequest(working.strategy, working.symbol, working.ref, *wanted))

    def _allowed_terms(
        self, intent: Intent, instrument: Instrument, working: Working, wanted: Terms
    ) -> tuple[Terms, str]:
        """Return the terms an order may be changed to, its quantity cut to what fits; or why it may not be changed."""
        open_lots = wanted.quantity_lots - working.filled_lots
        most_lots, reason = self._most_open(intent, instrument, working, open_lots)
        if most_lots <= 0 or open_lots > working.open_lots >= most_lots:
            return wanted, reason
        lots = working.filled_lots + min(open_lots, most_lots)
        lots -= lots % instrument.step_lots
        open_lots = lots - working.filled_lots
        if open_lots <= 0:
            return wanted, "quantity is below one step"
        ticks = wanted.limit_ticks or wanted.stop_ticks
        position_lots = self._positions.get((working.strategy, working.symbol), 0)
        most_lots = max(lots, abs(position_lots + working.side * open_lots))
        if max(ticks, wanted.stop_ticks, most_lots, instrument.value_atoms(ticks, most_lots)) > _COUNT_MAX:
            return wanted, "larger than can be counted"
        if instrument.value_atoms(ticks, open_lots) < instrument.min_notional_atoms:
            return wanted, "below the minimum notional"
        return wanted._replace(quantity_lots=lots), ""

    def _most_open(self, intent: Intent, instrument: Instrument, working: Working, open_lots: int) -> tuple[int, str]:
        """Return how much of an order may be open once it is changed to `open_lots`, and what stands against more."""
        side, added_lots = working.side, open_lots - working.open_lots
        closable_lots = -side * self._positions.get((working.strategy, working.symbol), 0)
        ahead_lots = self._working_lots(working.strategy, working.symbol, side)
        others_lots = ahead_lots - working.open_lots
        spot_exit = side == SELL and instrument.spec.long_only
        if spot_exit or not working.reduce_only:
            closable_lots -= others_lots
        if self._trading != "running":
            return closable_lots, f"trading is {self._trading}"
        if working.reduce_only or spot_exit:
            reason = f"{working.symbol} is spot, and nothing is left to sell"
            reason = "reduce-only, and nothing is left to reduce" if working.reduce_only else reason
            return closable_lots if added_lots > 0 else open_lots, reason
        exposed_lots = working.open_lots - closable_lots
        if not self._limits_growth or exposed_lots + max(0, added_lots) <= 0:
            return open_lots, ""
        reason = self._too_many_orders()
        if reason:
            return 0, reason
        if added_lots <= 0:
            return open_lots, ""
        added_lots, reason = self._within_limits(intent, instrument, exposed_lots, added_lots)
        return working.open_lots + added_lots, reason

    def _within_limits(self, intent: Intent, instrument: Instrument, exposed_lots: int, lots: int) -> tuple[int, str]:
        """Return how much of an order that increases a position may pass, and the limit that cut it.

        `exposed_lots` is the position with all working orders on the order's side, counted in its direction.
        """
        reason = self._too_many_orders()
        if reason:
            return 0, reason
        most_lots = self._max_position_lots[intent.symbol]
        reason = f"position limit {self._limits.max_position}"
        if self._max_notional_atoms is not None:
            probe_atoms = instrument.value_atoms(instrument.price_to_ticks(intent.reference_price), _PROBE_LOTS)
            if not probe_atoms:
                return 0, f"notional limit {self._limits.max_notional}, and no price is known yet"
            by_notional = self._max_notional_atoms * _PROBE_LOTS // probe_atoms
            if most_lots is None or by_notional < most_lots:
                most_lots, reason = by_notional, f"notional limit {self._limits.max_notional}"
        if most_lots is None:
            return lots, ""
        return min(lots, most_lots - exposed_lots), reason

    def _too_many_orders(self) -> str:
        """Return why no further order may be given at this moment; empty if one may."""
        if self._limits.max_orders_per_minute is None:
            return ""
        self._forget_old_orders()
        if len(self._order_times_ns) < self._limits.max_orders_per_minute:
            return ""
        return f"more than {self._limits.max_orders_per_minute} orders in a minute"

    def _note_order(self) -> None:
        if self._limits.max_orders_per_minute is not None:
            self._forget_old_orders()
            self._order_times_ns.append(self._context.now_ns)

    def _forget_old_orders(self) -> None:
        times_ns = self._order_times_ns
        while times_ns and times_ns[0] <= self._context.now_ns - _MINUTE_NS:
            times_ns.popleft()

    def _working_lots(self, strategy: str, symbol: str, side: int) -> int:
        return sum(
            order.open_lots
            for order in self._working.values()
            if order.side == side and order.symbol == symbol and order.strategy == strategy
        )

    def _request(self, request: OrderRequest) -> None:
        self._working[request.strategy, request.ref] = Working(
            request.strategy,
            request.symbol,
            request.ref,
            request.side,
            request.quantity_lots,
            request.kind,
            request.closing,
            request.reduce_only,
            limit_ticks=request.limit_ticks,
            stop_ticks=request.stop_ticks,
        )
        self._note_order()
        self._emit(request)

    def _veto(self, intent: Intent, reason: str) -> None:
        self._emit(RiskVeto(intent.strategy, intent.symbol, intent.ref, reason))

    # --- what became of orders ----------------------------------------------------------------------

    def on_fill(self, fill: Fill) -> None:
        """Take a fill off the working order; a flatten is done once nothing is left."""
        key = (fill.strategy, fill.ref)
        self._last_ticks[fill.symbol] = fill.price_ticks
        if fill.remaining_lots:
            working = self._working[key]
            working.filled_lots += fill.quantity_lots
            working.open_lots = fill.remaining_lots + working.reserved_lots
        else:
            del self._working[key]
        if self._trading == "flattening":
            self._close_positions()

    def on_order_ended(self, event: Rejected | Cancelled | Expired) -> None:
        """Forget a working order."""
        working = self._working.pop((event.strategy, event.ref))
        if working.closing and isinstance(event, Rejected):
            book = (event.strategy, event.symbol)
            self._refusals[book] = self._refusals.get(book, 0) + 1
        if self._trading == "flattening":
            self._close_positions()

    def on_amended(self, event: Amended) -> None:
        """Take over the terms the order works under now."""
        working = self._working[event.strategy, event.ref]
        working.open_lots = event.quantity_lots - working.filled_lots
        working.limit_ticks, working.stop_ticks = event.limit_ticks, event.stop_ticks
        working.amending, working.reserved_lots = False, 0

    def on_amend_rejected(self, event: AmendRejected) -> None:
        """Free what the change would have added."""
        working = self._working[event.strategy, event.ref]
        working.open_lots -= working.reserved_lots
        working.amending, working.reserved_lots = False, 0

    def on_position_changed(self, message: PositionChanged) -> None:
        """Follow the ledger."""
        self._positions[message.strategy, message.symbol] = message.quantity_lots

    # --- trading state ------------------------------------------------------------------------------

    def on_trading_state(self, message: TradingStateChanged) -> None:
        """Withdraw what the new state forbids."""
        self._trading = message.state
        if message.state == "running":
            return
        self._refusals.clear()
        if message.state == "flattening":
            kept = {key for key, order in self._working.items() if order.closing}
        elif message.state == "paused" or (message.state == "halted" and not self._cancel_on_halt):
            kept = exits(self._working, self._positions)
        else:
            kept = set()
        for key, order in self._working.items():
            if key not in kept:
                self._emit(CancelRequest(order.strategy, order.symbol, order.ref))
        if message.state == "flattening":
            self._close_positions()

    def on_equity(self, mark: EquityMark) -> None:
        """Halt once the day has lost too much."""
        if self._max_daily_loss_atoms is None:
            return
        day_index = (mark.ts_ns - 1) // _DAY_NS
        if day_index != self._day_index or self._day_equity_atoms is None:
            self._day_index = day_index
            last_atoms = self._last_equity_atoms
            self._day_equity_atoms = mark.equity_atoms if last_atoms is None else last_atoms
        self._last_equity_atoms = mark.equity_atoms
        lost_atoms = self._day_equity_atoms - mark.equity_atoms
        if lost_atoms >= self._max_daily_loss_atoms and self._trading == "running":
            self._emit(Halt(f"daily loss limit {self._limits.max_daily_loss} reached"))

    def _close_positions(self) -> None:
        """Order away every open position once nothing else works in its book; say when all is flat."""
        if self._working:
            return
        flat = True
        left: list[str] = []
        for (strategy, symbol), position_lots in self._positions.items():
            step_lots = self._instruments[symbol].step_lots
            lots = abs(position_lots) // step_lots * step_lots
            if self._is_dust(symbol, lots):
                continue
            if self._refusals.get((strategy, symbol), 0) >= _CLOSE_TRIES:
                left.append(f"{self._instruments[symbol].quantity(position_lots).normalize():f} {symbol} ({strategy})")
            else:
                flat = False
                self._request(
                    OrderRequest(
                        strategy,
                        symbol,
                        self._closing_ref,
                        SELL if position_lots > 0 else BUY,
                        lots,
                        reduce_only=True,
                        closing=True,
                    )
                )
                self._closing_ref -= 1
        if flat:
            self._emit(Flattened())
            if left:
                self._emit(Halt(f"the venue refuses to close {', '.join(left)}"))

    def _is_dust(self, symbol: str, lots: int) -> bool:
        """Return whether a position is too small to be closed; it then counts as flat."""
        instrument = self._instruments[symbol]
        ticks = None if instrument.spec.contract else self._last_ticks.get(symbol)
        return not lots or (ticks is not None and instrument.value_atoms(ticks, lots) < instrument.min_notional_atoms)

    def dump(self) -> bytes:
        """Return the state."""
        return msgspec.msgpack.encode(
            _State(
                self._trading,
                [(strategy, symbol, lots) for (strategy, symbol), lots in self._positions.items()],
                list(self._working.values()),
                list(self._order_times_ns),
                self._day_index,
                self._day_equity_atoms,
                self._last_equity_atoms,
                self._closing_ref,
                [(strategy, symbol, times) for (strategy, symbol), times in self._refusals.items()],
                self._last_ticks,
            )
        )

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self._trading = kept.trading
        self._positions = {(strategy, symbol): lots for strategy, symbol, lots in kept.positions}
        self._working = {(order.strategy, order.ref): order for order in kept.working}
        self._order_times_ns = deque(kept.order_times_ns)
        self._day_index, self._day_equity_atoms = kept.day_index, kept.day_equity_atoms
        self._last_equity_atoms = kept.last_equity_atoms
        self._closing_ref = kept.closing_ref
        self._refusals = {(strategy, symbol): times for strategy, symbol, times in kept.refusals}
        self._last_ticks = kept.last_ticks
