"""The core, wired: which actor hears what, in which order, written once as two tables.

For one bar: market validates and aggregates -> the venue matches resting orders -> the ledger marks ->
features emit a row -> the strategy decides -> risk vetoes, clips or passes -> execution sends. Because a
handler's emissions settle before the next subscriber is called, a fill is booked and known to the
strategy before the bar that caused it reaches the strategy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors import messages as m
from actors.by_hand import ByHand
from actors.control import Control
from actors.execution.margin_account import contract_terms
from actors.execution.orders import Execution
from actors.execution.paper_funding import PaperFunding
from actors.execution.remote import RemoteVenue
from actors.execution.simulated import SimulatedVenue
from actors.features import FeatureEngine, Features, NoFeatures
from actors.instrument import Rate
from actors.ledger import Account, Ledger
from actors.market import Market
from actors.plans import (
    EDITION,
    CoreSnapshot,
    History,
    SeriesPlan,
    StrategyPlan,
    book_of,
    rests_alone,
    subscriptions_of,
)
from actors.risk import Risk
from actors.risk.account import Equity
from actors.runtime.digest import Digest
from actors.runtime.scheduler import Context, Scheduler
from actors.runtime.supervision import Intensity
from actors.strategy import StrategyActor
from actors.ticks import TICKS, Ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.instrument import Instrument
    from actors.risk.rules import Need
    from actors.runtime.lanes import Handler
    from actors.runtime.scheduler import Table
    from config.schema import Settings

__all__ = ["EDITION", "Core", "CoreSnapshot", "History", "SeriesPlan", "StrategyPlan"]

_NS_PER_S = 1_000_000_000
SNAPSHOT_VERSION = 1


class Core:
    """The deterministic core of one session: every actor, and the scheduler that runs them.

    Args:
        settings: the session's settings.
        instruments: exact units by symbol.
        series: the market data it will be given.
        strategies: the strategies, in order.
        account: what the session starts from.
        nonce: the session's part of client order ids.
        start_ns: the time before the first input.
        real: whether orders leave for a real venue, rather than for the simulated one.
        engine: what stands behind the strategies' features; nothing does unless given.
        observers: further subscribers, called before all others, and so in the order things were said; they must
            not emit.
        edition: of the rules of decision that it goes by.
    """

    def __init__(
        self,
        settings: Settings,
        instruments: dict[str, Instrument],
        series: Sequence[SeriesPlan],
        strategies: Sequence[StrategyPlan],
        account: Account,
        *,
        nonce: str,
        start_ns: int,
        real: bool = False,
        engine: FeatureEngine | None = None,
        observers: Table | None = None,
        edition: int = EDITION,
    ) -> None:
        context = Context()
        engine = engine or NoFeatures()
        context.now_ns = start_ns
        base = {plan.symbol: plan.timeframe_ns for plan in series}
        positions = [(held.strategy, held.symbol, held.quantity_lots) for held in account.holdings]
        held = {(strategy, symbol): lots for strategy, symbol, lots in positions if lots}
        books = {(plan.id, symbol): 0 for plan in strategies for symbol, _ in plan.series} | held
        supervision = settings.supervision
        self._observers = observers or {}
        self.context = context
        self.instruments = instruments
        self.digest = Digest()
        higher: dict[str, list[int]] = {symbol: [] for symbol in base}
        decided_on = [(symbol, plan.timeframe_ns) for plan in strategies for symbol, _ in plan.series]
        for symbol, timeframe_ns in [*decided_on, *((built.symbol, built.timeframe_ns) for built in engine.built)]:
            if timeframe_ns != base[symbol]:
                higher[symbol].append(timeframe_ns)
        self.market = Market(
            context,
            [(one.symbol, one.timeframe_ns, engine.closing_order(one.symbol, higher[one.symbol])) for one in series],
            settings.market.stale_after_bars,
            edition=edition,
        )
        self.venue: SimulatedVenue | RemoteVenue = (
            RemoteVenue(
                context,
                instruments,
                round(settings.exchange.reconcile_s * _NS_PER_S),
                [(*book, lots) for book, lots in books.items()],
            )
            if real
            else SimulatedVenue(
                context,
                instruments,
                settings.venue,
                positions,
                [plan.symbol for plan in series if plan.ticks],
                account=account,
            )
        )
        if isinstance(self.venue, RemoteVenue):
            self.venue.contracts.take_over(account.funded_ns)
        self.margin = self.venue.margin if isinstance(self.venue, SimulatedVenue) else None
        """Only where contracts are held on margin at the simulated venue."""
        self.ledger = Ledger(context, instruments, account, emit_marks=False)
        self.features = Features(
            context,
            base,
            [each for plan in strategies for each in subscriptions_of(plan, base)],
            engine,
            round(settings.market.slice_wait_s * _NS_PER_S),
        )
        self._merges = engine.merges
        """Whether features at the close of a bar read the higher timeframes that close with it."""
        self._told = engine.hears
        self.ticks = Ticks(base)
        self.paper_funding: PaperFunding | None = None
        """Only where contracts are traded on paper."""
        if not real and any(instrument.spec.contract for instrument in instruments.values()):
            self.paper_funding = PaperFunding(context, instruments, positions, nets=self.margin is not None)
        self._plans = tuple(strategies)
        self.strategies = [
            StrategyActor(
                context,
                plan.id,
                plan.strategy,
                [book_of(instruments[symbol], plan.id, account) for symbol, _ in plan.series],
                self.ledger,
                Rate(settings.venue.taker_fee),
                aggregated=[symbol for symbol, _ in plan.series if plan.timeframe_ns != base[symbol]],
                alone=rests_alone(plan, instruments, books, real=real),
                follow=self._rewire,
                checkpoint_inputs=supervision.checkpoint_inputs,
                intensity=Intensity(supervision.restarts_max, round(supervision.restart_window_s * _NS_PER_S)),
            )
            for plan in strategies
        ]
        self.risk = Risk(
            context,
            instruments,
            settings.risk,
            positions,
            cancel_on_halt=supervision.safe_state != "halt",
            equity=Equity.of(self.ledger.equity_atoms, account.begun),
            strategies=[plan.id for plan in strategies],
            margin=contract_terms(settings, instruments, real=real),
            edition=edition,
            reduces=self.venue.contracts.reduces_there if isinstance(self.venue, RemoteVenue) else bool,
        )
        self.ledger.emit_marks = "equity" in self.risk.needs
        self.risk.on_needs = self._on_risk_needs
        self.execution = Execution(context, nonce)
        self.control = Control(
            context,
            commands_kept=settings.http.commands_kept,
            safe_state=supervision.safe_state,
            strategies=list(dict.fromkeys(strategy for strategy, _ in books)),
        )
        self.control.follow = self._rewire
        self.by_hand = ByHand(self)
        self.scheduler = Scheduler(
            context,
            self.digest,
            entries=self._entries(),
            subscribers=_with_observers(self._subscribers(), self._observers),
            deliveries_max=supervision.deliveries_max,
            dead_letters_max=supervision.dead_letters_max,
        )
        actors: list[Any] = [
            self.market,
            self.ticks,
            self.venue,
            *([self.paper_funding] if self.paper_funding is not None else []),
            self.ledger,
            self.features,
            *self.strategies,
            self.risk,
            self.execution,
            self.control,
        ]
        self._actors: dict[str, Any] = {actor.name: actor for actor in actors}
        self._timeframes_ns = base

    def preload(self, symbol: str, columns: Any) -> None:  # noqa: ANN401 - any object with a column per field of a bar
        """Have every actor look at the next chunk of `symbol`, whose bars then come by `Scheduler.post_bars`."""
        if not self.features.by_chunks(symbol):
            return
        if self.market.aggregates:
            self.features.preload(symbol, columns)
            return
        lane = self.context.lane(symbol)
        self.market.preload(symbol, columns)
        marked = self.ledger.preload(symbol, columns, self._timeframes_ns[symbol])
        rows = self.features.preload(symbol, columns)
        deciding = [s for s in self.strategies if s.symbol == symbol and not s.on_aggregates]
        decide: list[Handler] = [self.features.on_bar]
        if m.FeatureRow not in self._observers and self.features.is_plain(symbol):
            decide = [strategy.reader(self.features.rows(strategy.id)) for strategy in deciding]
            self.scheduler.credit(m.FeatureRow, rows)
        if "bars" in self.risk.needs:
            decide.insert(0, self.risk.on_bar)
        lane.quiet = tuple(decide if marked else [self.ledger.on_bar, *decide])
        lane.busy = (self.venue.on_bar, *lane.quiet)
        if self.margin is not None:  # positions have to be looked at on every bar
            lane.quiet = (self.margin.on_bar, *lane.quiet)
            lane.busy = (self.venue.on_bar, *lane.quiet)
        lane.whole = (self.market.on_bar, *lane.busy)

    def _entries(self) -> Table:
        """Who hears an input, in order."""
        market, venue, ledger, features = self.market, self.venue, self.ledger, self.features
        strategies = self.strategies
        table: dict[type[m.Message], list[Handler]] = {
            m.Bar: [
                market.on_bar,
                venue.on_bar,
                ledger.on_bar,
                *self._around(features.on_bar, market.on_bar_settled),
            ],
            m.WarmUp: [market.on_warm_up],
            m.TapeEnded: [market.on_tape_ended, *([features.on_tape_ended] if features.has_slices else [])],
            m.TimerFired: [
                market.on_timer,
                *([features.on_timer] if features.has_slices else []),
                *(s.on_timer for s in strategies),
            ],
            **self.by_hand.entries(),
            m.VenueLink: [],
            m.OrderReported: [],
            m.OrderInDoubt: [],
            m.OrderAbsent: [],
            m.CancelRefused: [],
            m.AmendRefused: [],
            m.TradeReported: [],
            m.AccountReported: [],
            m.FundingPaid: [],
            m.InstrumentChanged: [],
            m.ForcedTrade: [],
        }
        for kind, method in TICKS.items():
            hearing = [s for s in strategies if kind in s.hears_ticks]
            heard: list[Handler] = [s.on_external if kind is m.External else s.on_tick for s in hearing]
            read: list[Handler] = [features.on_tick] if kind in self._told else []
            table[kind] = [getattr(self.ticks, method), *read, *heard]
        if self.paper_funding is not None:
            table[m.Mark].insert(1, self.paper_funding.on_mark)
            table[m.Funding].insert(1, self.paper_funding.on_funding)
            table[m.TimerFired].insert(0, self.paper_funding.on_timer)
        if isinstance(venue, SimulatedVenue):
            table[m.TapeEnded].append(venue.on_tape_ended)
            if venue.ticks.markets:
                table[m.Trade].insert(1, venue.ticks.on_trade)
                table[m.Quote].insert(1, venue.ticks.on_quote)
                table[m.BookSnapshot].insert(1, venue.ticks.on_book)
            if self.margin is not None:
                self.margin.listen(table)
        else:
            table[m.TimerFired].append(venue.on_timer)
            table[m.VenueLink].append(venue.on_link)
            table[m.OrderReported].append(venue.on_reported)
            table[m.OrderInDoubt].append(venue.on_in_doubt)
            table[m.OrderAbsent].append(venue.on_absent)
            table[m.CancelRefused].append(venue.on_cancel_refused)
            table[m.AmendRefused].append(venue.on_amend_refused)
            table[m.TradeReported].append(venue.on_trade)
            table[m.AccountReported].append(venue.on_account)
            table[m.FundingPaid].append(venue.on_funding)
            table[m.InstrumentChanged].append(venue.on_instrument_changed)
            table[m.ForcedTrade].append(venue.on_forced)
        self._tell_risk(table)
        return table

    def _around(self, rows: Handler, settled: Handler) -> list[Handler]:
        """Say when a bar is added to the higher timeframes: after the rows of its own, unless these read them."""
        if not self.market.aggregates:
            return [rows]
        return [settled, rows] if self._merges else [rows, settled]

    def _tell_risk(self, table: dict[type[m.Message], list[Handler]]) -> None:
        """Have risk hear of the market what its rules need: before those who may decide on it, and nothing else."""
        risk = self.risk
        if "bars" in risk.needs:
            table[m.Bar].insert(table[m.Bar].index(self.ledger.on_bar) + 1, risk.on_bar)
        wanted: tuple[tuple[Need, type[m.Message], Handler], ...] = (
            ("trades", m.Trade, risk.on_trade),
            ("quotes", m.Quote, risk.on_quote),
            ("quotes", m.BookSnapshot, risk.on_book),
            ("marks", m.Mark, risk.on_mark),
            ("funding", m.Funding, risk.on_funding),
        )
        for need, kind, handler in wanted:
            if need in risk.needs:
                table[kind].insert(1, handler)

    def _on_risk_needs(self) -> None:
        """Have risk told what its rules need by now: a limit was switched on, or off."""
        if "equity" in self.risk.needs and not self.ledger.emit_marks:
            self.risk.note_equity(self.ledger.equity_atoms)
        self._rewire()

    def _rewire(self) -> None:
        self.ledger.emit_marks = "equity" in self.risk.needs
        self.scheduler.rewire(self._entries(), _with_observers(self._subscribers(), self._observers))

    def _subscribers(self) -> Table:
        """Who hears an emitted message, in order."""
        decided, execution, ledger, risk = self.digest.decided.append, self.execution, self.ledger, self.risk
        venue, features, strategies = self.venue, self.features, self.strategies
        market, needs = self.market, risk.needs
        heeding = [s.heed for s in strategies if s.heeds]
        to_strategies = [*heeding, *(s.on_order_event for s in strategies if s.hears_orders)]
        to_paper = [venue.ties.on_tied] if isinstance(venue, SimulatedVenue) else []
        told = [venue.untold.on_heard] if isinstance(venue, SimulatedVenue) else []
        late = [self.paper_funding.on_execution] if self.paper_funding is not None and self.margin is not None else []
        wishes = [decided, risk.on_intent, *([risk.on_intent_answered] if "answers" in needs else [])]
        table: dict[type[m.Message], list[Any]] = {
            m.AggregateClosed: [features.on_aggregate],
            m.BarRejected: [features.on_bar_rejected],
            m.DataRejected: [],
            m.HistoryBar: [
                market.on_history,
                *([risk.on_history] if "bars" in needs else []),
                *self._around(features.on_history, market.on_history_settled),
            ],
            m.HistoryRow: [s.on_history_row for s in strategies],
            m.FeedStale: [],
            m.FeedResumed: [],
            m.FeatureRow: [s.on_row if s.is_plain else s.on_any_row for s in strategies],
            m.SliceClosed: [s.on_slice for s in strategies if s.hears_slices],
            m.Intent: wishes,
            m.ProtectedIntent: wishes,
            m.RiskVeto: [decided, *to_strategies],
            m.StopProtects: [decided, *to_paper],
            m.OneCancelsOther: [decided, *to_paper],
            m.OrderRequest: [decided, *heeding, execution.on_request],
            m.CancelRequest: [decided, *heeding, execution.on_cancel_request],
            m.AmendRequest: [decided, *heeding, execution.on_amend_request],
            m.AmendVeto: [decided, *to_strategies],
            m.SubmitOrder: [venue.on_submit],
            m.CancelOrder: [venue.on_cancel],
            m.AmendOrder: [venue.on_amend],
            m.Accepted: [decided, execution.on_accepted, *to_strategies],
            m.Rejected: [decided, execution.on_rejected, risk.on_order_ended, *to_strategies],
            m.Cancelled: [decided, execution.on_cancelled, risk.on_order_ended, *to_strategies],
            m.Expired: [decided, execution.on_expired, risk.on_order_ended, *to_strategies],
            m.CancelRejected: [decided, execution.on_cancel_rejected, risk.on_cancel_rejected, *heeding],
            m.Amended: [
                decided,
                execution.on_amended,
                risk.on_amended,
                *to_strategies,
                execution.on_amended_heard,
                risk.on_heard,
            ],
            m.AmendRejected: [decided, execution.on_amend_rejected, risk.on_amend_rejected, *to_strategies, *told],
            m.Fill: [
                decided,
                execution.on_fill,
                ledger.on_fill,
                *late,
                risk.on_fill,
                *heeding,
                *(s.on_fill for s in strategies if s.hears_fills),
                risk.on_heard,
                *told,
            ],
            m.Adopted: [decided, ledger.on_fill, *heeding],
            m.FeeInBase: [
                decided,
                ledger.on_fee_in_base,
                *([venue.on_fee_in_base] if isinstance(venue, RemoteVenue) else []),
                *heeding,
            ],
            m.FeeInAsset: [decided, ledger.on_fee_in_asset],
            m.FundingShared: [
                decided,
                *([self.margin.on_funding_shared] if self.margin is not None else []),
                ledger.on_funding_shared,
            ],
            m.Liquidated: [
                decided,
                ledger.on_liquidated,
                *late,
                *(s.on_liquidated for s in strategies if s.hears_fills),
            ],
            m.Insured: [decided, ledger.on_insured],
            m.PositionChanged: [
                decided,
                risk.on_position_changed,
                *([risk.on_trip] if "positions" in needs else []),
                *([self.margin.on_position_changed] if self.margin is not None else []),
                *([self.paper_funding.on_position_changed] if self.paper_funding is not None else []),
                *(s.on_position_changed for s in strategies),
            ],
            m.SendOrder: [],
            m.SendCancel: [],
            m.SendAmend: [],
            m.AskOrder: [],
            m.AskAccount: [],
            m.Reconciled: [risk.on_reconciled, *(s.on_reconciled for s in strategies if s.heeds)],
            m.EquityMark: [risk.on_equity],
            m.ActorRestarted: [s.on_restarted for s in strategies if s.heeds],
        }
        return self.by_hand.wired(table)

    def bars(self) -> int:
        """Return how many bars there were so far, of all series, those withheld and history not counted."""
        scheduler = self.scheduler
        return scheduler.entered(m.Bar) - scheduler.emitted(m.BarRejected) - scheduler.emitted(m.HistoryBar)

    def history(self) -> dict[str, History]:
        """Return how much of the time before the session is wanted, by symbol; none is left out.

        A higher timeframe takes one bar more than it needs, because the first one may be entered half-way.
        """
        wanted: dict[str, History] = {}
        for plan in self._plans:
            for own, features in plan.series:
                bars_of = {(read.symbol, read.timeframe_ns): bars for read, bars in features.history.items()}
                bars_of[own, plan.timeframe_ns] = bars_of.get((own, plan.timeframe_ns), 0) + plan.history_bars
                for (symbol, timeframe_ns), count in bars_of.items():
                    above = timeframe_ns // self._timeframes_ns[symbol]
                    bars = count if above == 1 or not count else (count + 1) * above
                    if bars:
                        known = wanted.get(symbol, History(0, ()))
                        asking = dict.fromkeys((*known.strategies, plan.id))
                        wanted[symbol] = History(max(known.bars, bars), tuple(asking))
        if self.risk.history_bars:
            for symbol in self._timeframes_ns:
                known = wanted.get(symbol, History(0, ()))
                wanted[symbol] = History(max(known.bars, self.risk.history_bars), (*known.strategies, self.risk.name))
        return wanted

    def actor_names(self) -> list[str]:
        """Return the names of all actors, in order of the flow."""
        return list(self._actors)

    def dump(self, name: str) -> bytes:
        """Return the state of one actor; only between two inputs."""
        return bytes(self._actors[name].dump())

    def snapshot(self) -> CoreSnapshot:
        """Return the whole state; only between two inputs."""
        return CoreSnapshot(
            SNAPSHOT_VERSION,
            self.scheduler.seq,
            self.context.now_ns,
            self.digest.value,
            self.context.timers.dump(),
            self.scheduler.dump_counts(),
            {name: actor.dump() for name, actor in self._actors.items()},
        )

    def restore(self, snapshot: CoreSnapshot) -> None:
        """Return to a snapshot of a core wired alike."""
        assert snapshot.version == SNAPSHOT_VERSION, snapshot.version
        assert snapshot.actors.keys() == self._actors.keys(), sorted(snapshot.actors)
        self.scheduler.load_counts(snapshot.counts)
        assert self.scheduler.seq == snapshot.seq, snapshot.seq
        self.context.now_ns = snapshot.now_ns
        self.context.timers.load(snapshot.timers)
        self.digest.value = snapshot.digest
        for name, state in snapshot.actors.items():
            self._actors[name].load(state)
        self._rewire()


def _with_observers(table: Table, observers: Table) -> Table:
    return {kind: [*observers.get(kind, ()), *handlers] for kind, handlers in table.items()}
