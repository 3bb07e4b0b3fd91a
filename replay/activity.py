"""What a session did, as its decisions tell it: wishes, orders, fills, and how the books stand.

A live session's decisions come from its journal, a simulated one's from the core; both are read the same way.
The time of a wish or an order is the close of the newest bar at the time, not the clock's: live, a decision
comes some milliseconds behind its bar, on a tape it does not.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import msgspec

from actors import messages as m
from actors.instrument import Instrument
from actors.runtime.clock import knowable_ns
from actors.runtime.journal import decode_effects, decode_input
from replay.plan import SIMULATED_NONCE, build_core, start_core

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from actors.runtime.journal import Record
    from replay.plan import SessionPlan

Session = (
    m.Bar | m.WarmUp | m.Trade | m.Quote | m.BookSnapshot | m.Mark | m.Funding
    | m.OpenInterest | m.Liquidation | m.External
    | m.TapeEnded | m.Pause | m.Resume | m.Flatten | m.Stop | m.Tighten | m.LimitsConfigured
    | m.PauseStrategy | m.ResumeStrategy | m.FlattenStrategy | m.ClosePosition | m.RestartActor
)  # fmt: skip
"""What of a session's inputs is not the venue's doing: the market, and what people asked for."""

_ENDS: dict[type[m.Message], str] = {m.Rejected: "rejected", m.Cancelled: "cancelled", m.Expired: "expired"}


class Wish(msgspec.Struct):
    """One intent of a strategy."""

    bar_ns: int
    intent: m.Intent
    veto: str = ""
    """Why it became no order, if risk said so."""


class Placed(msgspec.Struct):
    """One order and what became of it."""

    bar_ns: int
    request: m.OrderRequest
    """Its newest terms."""
    order_id: str = ""
    state: str = "open"
    reason: str = ""
    fills: int = 0
    filled_lots: int = 0
    value_atoms: int = 0
    """Price x quantity of its fills."""
    fee_atoms: int = 0
    """In the quote asset; a fee taken in another asset counts at its value."""
    executed_ns: int = 0
    """When it was first executed."""


_T = TypeVar("_T", Wish, Placed)


class Book(msgspec.Struct):
    """One strategy's book in one symbol, as last said."""

    quantity_lots: int = 0
    cost_atoms: int = 0
    realized_atoms: int = 0
    fees_atoms: int = 0


class Activity:
    """Collects one side.

    Attributes:
        wishes: in order.
        orders: in order.
        books: by strategy and symbol.
        cash_atoms: of the account.
        funding_atoms: what each strategy received of funding, less what it paid.
        liquidation_atoms: what the insurance fund took of each strategy, less what it paid.
        others_atoms: value of the assets that only fees were charged in; negative is owed.
        closes: time and price of the newest bar of each symbol.
        bars: how many there were.
    """

    def __init__(self, plan: SessionPlan) -> None:
        self.instruments = {spec.symbol: Instrument(spec) for spec in plan.instruments}
        self.wishes: list[Wish] = []
        self.orders: list[Placed] = []
        self.cash_atoms = plan.account.cash_atoms
        self.funding_atoms: Counter[str] = Counter()
        self.liquidation_atoms: Counter[str] = Counter()
        self.others_atoms = sum(other.value_atoms for other in plan.account.others)
        self.books = {
            (held.strategy, held.symbol): Book(
                held.quantity_lots, held.cost_atoms, held.realized_atoms, held.fees_atoms
            )
            for held in plan.account.holdings
        }
        self.closes: dict[str, tuple[int, float]] = {}
        self.bars = 0
        self._wishes: dict[tuple[str, int], Wish] = {}
        self._amends: dict[tuple[str, int], Wish] = {}
        """The newest wish to change each order."""
        self._orders: dict[tuple[str, int], Placed] = {}
        self._trades: dict[tuple[str, int], Placed] = {}

    def take(self, message: m.Message, effects: bytes | None) -> None:
        """Read one input with what it decided."""
        if isinstance(message, m.Bar):
            self.bars += 1
            if message.close_ns > self.bar_ns(message.symbol):
                self.closes[message.symbol] = (message.close_ns, message.close)
        if effects is not None:
            for decision in decode_effects(effects):
                self._decided(decision)

    def bar_ns(self, symbol: str) -> int:
        """Return the close of the symbol's newest bar, 0 before the first."""
        return self.closes.get(symbol, (0, 0.0))[0]

    def _decided(self, decision: m.Message) -> None:
        if isinstance(decision, m.Intent):
            wish = Wish(self.bar_ns(decision.symbol), decision)
            self.wishes.append(wish)
            known = {"amend": self._amends, "cancel": {}}.get(decision.action, self._wishes)
            known[decision.strategy, decision.ref] = wish
        elif isinstance(decision, m.RiskVeto | m.AmendVeto):
            wishes = self._wishes if isinstance(decision, m.RiskVeto) else self._amends
            vetoed = wishes.get((decision.strategy, decision.ref))
            if vetoed is not None:
                vetoed.veto = decision.reason
        elif isinstance(decision, m.OrderRequest):
            placed = Placed(self.bar_ns(decision.symbol), decision)
            self.orders.append(placed)
            self._orders[decision.strategy, decision.ref] = placed
        elif isinstance(decision, m.OrderEvent):
            ordered = self._orders.get((decision.strategy, decision.ref))
            if ordered is not None:
                self._on_order_event(ordered, decision)
        else:
            self._counted(decision)

    def _counted(self, decision: m.Message) -> None:
        """Read what says something of money alone."""
        if isinstance(decision, m.FeeInBase | m.FeeInAsset):
            if isinstance(decision, m.FeeInAsset):
                self.others_atoms -= decision.value_atoms
            executed = self._trades.get((decision.symbol, decision.trade_id))
            if executed is not None:
                executed.fee_atoms += decision.value_atoms
        elif isinstance(decision, m.FundingShared):
            self.funding_atoms[decision.strategy] += decision.amount_atoms
        elif isinstance(decision, m.Liquidated):
            self.liquidation_atoms[decision.strategy] += decision.liquidation_fee_atoms - decision.insured_atoms
        elif isinstance(decision, m.Insured):
            self.liquidation_atoms[decision.strategy] -= decision.amount_atoms
        elif isinstance(decision, m.PositionChanged):
            self.cash_atoms = decision.cash_atoms
            self.books[decision.strategy, decision.symbol] = Book(
                decision.quantity_lots, decision.cost_atoms, decision.realized_atoms, decision.fees_atoms
            )

    def _on_order_event(self, placed: Placed, event: m.OrderEvent) -> None:
        placed.order_id = event.order_id
        if isinstance(event, m.Fill):
            self._trades[event.symbol, event.trade_id] = placed
            placed.executed_ns = placed.executed_ns or event.executed_ns
            placed.fills += 1
            placed.filled_lots += event.quantity_lots
            placed.value_atoms += self.instruments[event.symbol].value_atoms(event.price_ticks, event.quantity_lots)
            placed.fee_atoms += event.fee_atoms
            if not event.remaining_lots:
                placed.state = "filled"
        elif isinstance(event, (m.Rejected, m.Cancelled, m.Expired)):
            placed.state, placed.reason = _ENDS[type(event)], event.reason
        elif isinstance(event, m.Amended):
            placed.order_id = event.new_order_id
            placed.request = msgspec.structs.replace(
                placed.request,
                quantity_lots=event.quantity_lots,
                limit_ticks=event.limit_ticks,
                stop_ticks=event.stop_ticks,
            )


def recorded(plan: SessionPlan, records: Iterable[Record]) -> Activity:
    """Return what a journal says a session did."""
    activity = Activity(plan)
    for record in records:
        activity.take(decode_input(record.payload), record.effects)
    return activity


def session_inputs(records: Iterable[Record]) -> Iterator[Session]:
    """Yield a session's market data and commands, in order: what the simulated venue is to be given, too."""
    for record in records:
        message = decode_input(record.payload)
        if isinstance(message, Session):
            yield message


def simulated(plan: SessionPlan, inputs: Iterable[Session]) -> Activity:
    """Return what the plan's strategies would have done at the simulated venue.

    Time is the bars': an input is run at the close of the newest one, as a replay of a tape does it.

    Raises:
        CoreError: an invariant broke.
        UserError: a strategy's kept code no longer runs here.
    """
    paper = msgspec.structs.replace(plan, real=False, nonce=SIMULATED_NONCE)
    activity = Activity(paper)
    core = build_core(paper)
    start_core(core)
    scheduler = core.scheduler

    def keep(_: int, message: m.Message, effects: bytes | None) -> None:
        core.ledger.take_marks()
        activity.take(message, effects)

    for message in inputs:
        now_ns = core.context.now_ns
        told_ns = knowable_ns(message)
        if told_ns is not None:
            now_ns = max(now_ns, told_ns)
            scheduler.fire_before(now_ns, keep)
        elif isinstance(message, m.TapeEnded):
            scheduler.fire_before(now_ns + 1, keep)
            now_ns = core.context.now_ns
        keep(now_ns, message, scheduler.post(now_ns, message))
    return activity


def pair(
    live: Iterable[_T],
    replay: Iterable[_T],
    key: Callable[[_T], tuple[str, Hashable]],
    timeframes_ns: dict[str, int],
) -> tuple[list[tuple[_T, _T]], list[_T], list[_T]]:
    """Match two sides: what has the same key and bar first, then what is left and one bar apart, each in order.

    Args:
        live: one side, in order.
        replay: the other.
        key: the symbol, and what else must be equal.
        timeframes_ns: length of a bar of each symbol.

    Returns:
        What matches, and what is left of either side.
    """
    waiting: dict[tuple[str, Hashable], list[_T]] = {}
    for one in replay:
        waiting.setdefault(key(one), []).append(one)
    pairs: list[tuple[_T, _T]] = []
    for reach in (0, 1):
        left: list[_T] = []
        for one in live:
            others = waiting.get(key(one), [])
            reach_ns = reach * timeframes_ns[key(one)[0]]
            index = _first_within(others, one.bar_ns, reach_ns)
            if index is None:
                left.append(one)
            else:
                pairs.append((one, others.pop(index)))
        live = left
    return pairs, list(live), [one for others in waiting.values() for one in others]


def _first_within(others: Sequence[Wish | Placed], bar_ns: int, reach_ns: int) -> int | None:
    """Return the index of the first within reach; they are in order of time."""
    low, high = 0, len(others)
    while low < high:
        middle = (low + high) // 2
        if others[middle].bar_ns < bar_ns - reach_ns:
            low = middle + 1
        else:
            high = middle
    return low if low < len(others) and others[low].bar_ns <= bar_ns + reach_ns else None
