"""Risk: turns wishes into exact orders, or vetoes them.

It quantises an intent, works out what a target still lacks, asks the rules that are switched on, and obeys the
trading state: outside `running` nothing may increase a position. What is judged is the worst case, the position as
it would stand once every working order on the same side had filled.

An exit is an order against the position that, with all that works before it on its side, can bring it to nothing at
most; orders that can only reduce are cut by the venue and do not count. No rule is asked about it.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from actors.messages import (
    BUY,
    SELL,
    CancelRequest,
    EquityMark,
    Intent,
    LimitsConfigured,
    OrderRequest,
    RiskVeto,
    Tighten,
    TradingStateChanged,
)
from actors.plans import EDITION
from actors.risk.account import Equity, Streaks
from actors.risk.books import Books
from actors.risk.changes import Changes
from actors.risk.clearing import Clearing, Commanded
from actors.risk.closing import CLOSING_REF_FIRST, Closing
from actors.risk.displaced import Displaced
from actors.risk.hearing import Hearing
from actors.risk.in_force import InForce
from actors.risk.judge import ACTS_IN, Counts, Judge
from actors.risk.market import Moves, Newest, Seen, Windows
from actors.risk.outcomes import Outcomes
from actors.risk.rules import Need, Proposal, make_rules
from actors.risk.sources import Sources
from actors.risk.working import CLEARING, Working, exits, price_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.execution.margin_account import Terms
    from actors.instrument import Instrument
    from actors.ledger import Begun
    from actors.runtime.scheduler import Context
    from config.risk import Risk as Limits

_COUNT_MAX = 2**62
"""Most ticks, lots and atoms of one position: what a journal can hold, with room to move."""


class _State(msgspec.Struct, kw_only=True, omit_defaults=True):
    trading: str
    positions: list[tuple[str, str, int]]
    working: list[Working]
    order_times_ns: list[int] = []
    day_index: int = -1
    """Of an older version's snapshot, like the next two; now part of the equity."""
    day_equity_atoms: int | None = None
    last_equity_atoms: int | None = None
    closing_ref: int = CLOSING_REF_FIRST
    refusals: list[tuple[str, str, int]] = []
    last_ticks: dict[str, int] = {}
    limits: str = ""
    """Those in force, where they are not those configured at the session's beginning."""
    configured: str = ""
    """What the configuration says by now, likewise."""
    equity: Equity | None = None
    streaks: Streaks | None = None
    seen: dict[str, Seen] = {}
    moves: dict[str, Moves] = {}
    counts: dict[str, Counts] = {}
    acted: list[str] = []
    strategies: dict[str, str] = {}
    scopes: list[tuple[str, str]] = []


class Risk(Hearing, Commanded, Outcomes):
    """Vetoes, clips or passes.

    Attributes:
        in_force: the limits.
        judge: the rules that are switched on, and what each has done.
        needs: what the rules have to be told.
        on_needs: called when that changes.
    """

    isolated = False

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        limits: Limits,
        positions: Iterable[tuple[str, str, int]],
        *,
        cancel_on_halt: bool,
        equity: Equity | None = None,
        strategies: Iterable[str] = (),
        margin: Mapping[str, Terms] | None = None,
        edition: int = EDITION,
        reduces: Callable[[str], bool] = bool,
    ) -> None:
        """Start from `positions`: (strategy, symbol, lots), and an equity; `margin` says how contracts are held.

        `edition` is that of the rules of decision, and `reduces` says of a symbol whether the venue itself sees to it
        that an order which only reduces does no more than that.
        """
        self.name = "risk"
        self._emit = context.emit
        self._instruments = instruments
        self._cancel_on_halt = cancel_on_halt
        known = {"symbols": list(instruments), "strategies": list(strategies), "margin": list(margin or ())}
        self.in_force = InForce(context, limits, known)
        self._trading = "running"
        self._withdraw = False
        """Whether the pause that was just asked for withdraws every order."""
        books = Books(positions)
        self._books = books
        self._positions = books.positions
        self._working = books.working
        self.judge = Judge(context)
        self._closing = Closing(books, instruments, self._request, self._emit)
        self._clearing = Clearing(books, self._closing, self._emit)
        self._changes = Changes(context, books, instruments, self.judge, self._note_order, _COUNT_MAX)
        self._given = Sources(
            context,
            instruments,
            books,
            equity or Equity(0),
            Streaks(),
            Newest(context, instruments),
            Windows(instruments),
            margin or {},
        )
        newest = self._given.newest
        self._displaced = Displaced(context, books, instruments, self.judge, newest, in_pauses=edition >= 1)
        self._reduces = reduces if edition >= 1 else bool
        self._given.streaks.begin(books.positions, from_start=True)
        self.needs: tuple[Need, ...] = ()
        self.on_needs: Callable[[], None] | None = None
        self._take()

    # --- limits -------------------------------------------------------------------------------------

    def _take(self) -> None:
        """Make the rules of the limits in force."""
        given, before, limits = self._given, self.needs, self.in_force.limits
        given.windows.bars = max(
            limits.volatility_bars if limits.max_volatility is not None else 1,
            limits.regime_bars if limits.max_volatility_ratio is not None else 1,
            limits.shortfall_bars if limits.max_shortfall is not None else 1,
            limits.correlation_bars if limits.max_correlated_net or limits.max_correlated_gross else 1,
        )
        given.windows.gap = None if limits.max_gap is None else Fraction(limits.max_gap)
        self.judge.rules = self._rules = make_rules(limits, given)
        self._paced = limits.max_orders_per_minute is not None
        needs: list[Need] = [need for rule in self._rules for need in rule.needs]
        if any(rule.action in ACTS_IN for rule in self._rules):
            needs.append("answers")
        self.needs = tuple(dict.fromkeys(needs))
        if self.needs != before and self.on_needs is not None:
            self._begin([need for need in self.needs if need not in before])
            self.on_needs()

    def begun(self) -> Begun | None:
        """Return what limits on losses count from in the next session; None where none of them follows the equity."""
        return self._given.equity.begun() if "equity" in self.needs else None

    @property
    def sources(self) -> Sources:
        """What its rules look at, for those who show it."""
        return self._given

    @property
    def history_bars(self) -> int:
        """How many bars of the time before a session its rules want to see."""
        return self._given.windows.bars + 1 if "bars" in self.needs else 0

    def on_tighten(self, message: Tighten) -> None:
        """Tighten a limit, or say why not."""
        if self.in_force.tighten(message):
            self._take()

    def on_configured(self, message: LimitsConfigured) -> None:
        """Take over what the configuration says now."""
        self.in_force.configure(message)
        self._take()

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
            trading, bound = self._clearing.bound(strategy, symbol, self._trading)
            self._changes.amend_or_veto(intent, trading, bound)
            working = self._working.get((strategy, intent.ref))
            if trading != "running" and working is not None and working.reduce_only and working.reserved_lots:
                self._displaced.withdraw(working, may_open=False)
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
        trading, bound = self._clearing.bound(intent.strategy, intent.symbol, self._trading)
        if trading in CLEARING:
            self._veto(intent, bound)
            return
        symbol, allowed_lots = intent.symbol, lots
        reduce_only = intent.reduce_only or trading != "running"
        reason = ""
        if reduce_only:
            allowed_lots = min(lots, max(0, -side * position_lots))
            reason = "reduce-only, and nothing is left to reduce"
            if trading != "running":
                reason = bound
        if (
            side == SELL and instrument.spec.long_only
        ):  # a spot venue knows no reduce-only: it would sell what is not ours
            held_lots = position_lots - self._books.ahead_lots(intent.strategy, symbol, SELL)
            allowed_lots = min(lots, held_lots)
            reason = reason or f"{symbol} is spot, and nothing is left to sell"
        elif not reduce_only and self._rules:
            allowed_lots, reason = self._judged(intent, instrument, side, lots, position_lots)
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
            if instrument.value_atoms(ticks, allowed_lots) < instrument.min_notional_atoms:
                # Of a contract the last bit can be closed, too, by an order that can do nothing else.
                reduce_only = reduce_only or self._books.closable_lots(intent.strategy, symbol, side) >= allowed_lots
                if not (reduce_only and instrument.spec.contract):
                    self._veto(intent, "below the minimum notional")
                    return
        self._request(
            OrderRequest(
                intent.strategy,
                symbol,
                intent.ref,
                side,
                allowed_lots,
                intent.kind,
                limit_ticks,
                stop_ticks,
                intent.time_in_force,
                reduce_only,
                intent.post_only,
            ),
            intent,
        )

    def _judged(
        self, intent: Intent, instrument: Instrument, side: int, lots: int, position_lots: int
    ) -> tuple[int, str]:
        """Return how much of an order the rules let pass, and what was said of the rest."""
        books, book = self._books, (intent.strategy, intent.symbol, side)
        ahead_lots = books.ahead_lots(*book) if self._working else 0
        free_lots = books.closable_lots(*book)
        if lots <= free_lots:
            return lots, ""
        limit_ticks, stop_ticks = price_ticks(intent, instrument, side)
        order = Proposal(
            intent.strategy,
            intent.symbol,
            side,
            lots,
            instrument,
            self._books,
            exposed_lots=side * position_lots + ahead_lots,
            free_lots=free_lots,
            limit_ticks=limit_ticks,
            stop_ticks=stop_ticks,
            price_ticks=instrument.price_to_ticks(intent.reference_price),
            protective_stop=getattr(intent, "protective_stop", None),
            stop_distance=getattr(intent, "stop_distance", None),
        )
        return self.judge.judge(order)

    def on_intent_answered(self, _: Intent) -> None:
        """Once a wish has its answer: act on the account where a rule asked for that."""
        if self.judge.due:
            self._act(self.judge.act(self._trading))

    def _act(self, withdraw: bool) -> None:  # noqa: FBT001 - the judge's answer, handed on
        """Withdraw every order, now or with the pause that has just been asked for."""
        if withdraw and self._trading == "running":
            self._withdraw = True
        elif withdraw:
            self._cancel_all_but(())

    def _note_order(self) -> None:
        if self._paced:
            self._given.pace.note()

    def _request(self, request: OrderRequest, intent: Intent | None = None) -> None:
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
            protective_stop=getattr(intent, "protective_stop", None),
            stop_distance=getattr(intent, "stop_distance", None),
        )
        self._note_order()
        self._emit(request)
        if request.reduce_only and not request.closing:
            trading, _ = self._clearing.bound(request.strategy, request.symbol, self._trading)
            self._displaced.withdraw(self._working[request.strategy, request.ref], may_open=trading == "running")

    def _veto(self, intent: Intent, reason: str) -> None:
        self._emit(RiskVeto(intent.strategy, intent.symbol, intent.ref, reason))

    # --- the market and the account -----------------------------------------------------------------

    def on_equity(self, mark: EquityMark) -> None:
        """Note the equity, and act if too much of it is lost."""
        self._given.equity.on_mark(mark)
        self._act(self.judge.watch(self._trading))

    # --- trading state ------------------------------------------------------------------------------

    def on_trading_state(self, message: TradingStateChanged) -> None:
        """Withdraw what the new state forbids."""
        self._trading = message.state
        withdraw, self._withdraw = self._withdraw, False
        if message.state == "running":
            self.judge.acted.clear()
            return
        self._closing.refusals.clear()
        closing = [key for key, order in self._working.items() if order.closing]
        held = [key for key in closing if self._clearing.holds(self._working[key])]
        if message.state == "flattening":
            self._cancel_all_but(closing)
        elif message.state == "stopping":
            self._clearing.scopes.clear()
            self._cancel_all_but(())
        elif not withdraw and (message.state == "paused" or (message.state == "halted" and not self._cancel_on_halt)):
            self._cancel_all_but(exits(self._working, self._positions))
        else:
            self._cancel_all_but(held)  # what a person asked to be closed is closed all the same
        if message.state == "flattening":
            self._closing.go_on()

    # --- state --------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Return the state."""
        given, closing = self._given, self._closing
        limits, configured = self.in_force.dump()
        return msgspec.msgpack.encode(
            _State(
                trading=self._trading,
                positions=[(strategy, symbol, lots) for (strategy, symbol), lots in self._positions.items()],
                working=list(self._working.values()),
                order_times_ns=list(given.pace.times_ns),
                closing_ref=closing.ref,
                refusals=[(strategy, symbol, times) for (strategy, symbol), times in closing.refusals.items()],
                last_ticks=closing.last_ticks,
                limits=limits,
                configured=configured,
                equity=given.equity,
                streaks=given.streaks if "positions" in self.needs else None,
                seen=given.newest.seen,
                moves=given.windows.moves,
                counts=self.judge.counts,
                acted=self.judge.acted,
                strategies=self._clearing.states,
                scopes=self._clearing.scopes,
            )
        )

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=_State)
        given, closing = self._given, self._closing
        self._trading = kept.trading
        self._positions.clear()
        self._positions.update({(strategy, symbol): lots for strategy, symbol, lots in kept.positions})
        self._working.clear()
        self._working.update({(order.strategy, order.ref): order for order in kept.working})
        given.pace.times_ns = deque(kept.order_times_ns)
        closing.ref = kept.closing_ref
        closing.refusals = {(strategy, symbol): times for strategy, symbol, times in kept.refusals}
        closing.last_ticks = kept.last_ticks
        if kept.equity is not None:
            given.equity = kept.equity
        elif kept.last_equity_atoms is not None:
            last_atoms = kept.last_equity_atoms
            given.equity = Equity(last_atoms, last_atoms, kept.day_index, kept.day_equity_atoms, peak_atoms=last_atoms)
        given.streaks = kept.streaks or Streaks()
        given.newest.seen = kept.seen
        given.windows.moves = kept.moves
        self.judge.counts, self.judge.acted = kept.counts, kept.acted
        self._clearing.states, self._clearing.scopes = kept.strategies, kept.scopes
        self.in_force.load(kept.limits, kept.configured)
        on_needs, self.on_needs = self.on_needs, None
        self._take()
        self.on_needs = on_needs
