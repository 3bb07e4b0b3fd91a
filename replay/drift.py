"""The drift report: a live session beside what the simulated venue would have made of the same time.

Wishes and orders of both sides are matched by strategy, action and the bar they came from; what is left of one
may match another's of the bar before or after it. The cost of the drift is the account that the replay ended
with, less the one of the live session, both at the live session's last prices. It is the exact sum of

* slippage: what matched quantity cost more, or brought less, than in the replay,
* fees: what was paid more,
* missed: what orders that only the replay executed have gained since,
* extra: what orders that only the live session executed have lost since,
* rest: matched orders of another quantity, fees the venue took in the base asset, the last bar, and rounding.

Positive is always to the disadvantage of the live session.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

from actors.instrument import from_atoms
from actors.runtime.journal import JournalReader
from actors.runtime.scheduler import CoreError
from replay.activity import Activity, Placed, Wish, pair, recorded, session_inputs, simulated
from replay.alignment import Aligned, BarsCompared
from replay.divergence import OwnReplay, SoundRecords, compare_with_itself, plan_of_now
from replay.journal import NothingStoredError, decode_plan, find_session

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    from replay.plan import SessionPlan
    from replay.tape import Tape

Outcome = Literal["both", "missed", "extra", "pending"]

OWN_BARS = "the session's own bars"
_NS_PER_MS = 1_000_000
_SIDES = {1: "buy", -1: "sell"}
_BPS = 10_000
_BPS_STEP = Decimal("0.0001")
_PRICE = Decimal("1e-8")


class Tally(msgspec.Struct):
    """The figures of one strategy, or of all: counts, and money in atoms."""

    intents_live: int = 0
    intents_replay: int = 0
    intents_matched: int = 0
    intents_resized: int = 0
    """Matched, but of another quantity."""
    vetoes_live: int = 0
    vetoes_replay: int = 0
    orders_live: int = 0
    orders_replay: int = 0
    orders_matched: int = 0
    rejected_live: int = 0
    fills_live: int = 0
    fills_replay: int = 0
    filled_both: int = 0
    missed: int = 0
    extra: int = 0
    pending: int = 0
    compared_atoms: int = 0
    """Value, in the replay, of the quantity that slippage was measured on."""
    fees_live_atoms: int = 0
    fees_replay_atoms: int = 0
    slippage_atoms: int = 0
    missed_atoms: int = 0
    extra_atoms: int = 0
    funding_atoms: int = 0
    liquidation_atoms: int = 0
    cost_atoms: int = 0

    def add(self, other: Tally) -> None:
        """Add another's figures."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class StrategyDrift(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one strategy, or of all; money in quote units, of what it cost live more than in the replay."""

    strategy: str
    intents_live: int
    intents_replay: int
    intents_matched: int
    intents_resized: int
    vetoes_live: int
    vetoes_replay: int
    orders_live: int
    orders_replay: int
    orders_matched: int
    rejected_live: int
    fills_live: int
    fills_replay: int
    filled_both: int
    """Orders executed on both sides."""
    missed: int
    """Orders executed in the replay only."""
    extra: int
    """Orders executed live only."""
    pending: int
    """Orders executed live on the last bar: the bars end before the replay could execute them."""
    fees_live: Decimal
    fees_replay: Decimal
    slippage_bps: Decimal | None
    cost_slippage: Decimal
    cost_fees: Decimal
    cost_missed: Decimal
    cost_extra: Decimal
    cost_rest: Decimal
    cost: Decimal
    cost_funding: Decimal = Decimal(0)
    """Funding paid on perpetuals, less what was received."""
    cost_liquidation: Decimal = Decimal(0)
    """What the insurance fund took of liquidations, less what it paid."""


class OrderDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One order that was executed on either side; money in quote units."""

    ts: int
    """Close of the bar it came from, UTC ms."""
    strategy: str
    symbol: str
    side: str
    kind: str
    outcome: Outcome
    quantity_live: Decimal
    quantity_replay: Decimal
    price_live: Decimal | None
    price_replay: Decimal | None
    slippage: Decimal
    slippage_bps: Decimal | None
    fee_live: Decimal
    fee_replay: Decimal
    order_id: str
    """The live one, if there was one."""
    why: str
    """What became of it on the side that did not execute it."""


class TapeDrift(msgspec.Struct, frozen=True, kw_only=True):
    """A session beside a replay of the same time."""

    tape: str
    from_ms: int
    to_ms: int
    bars: BarsCompared
    equity_live: Decimal
    equity_replay: Decimal
    """Both at the live session's last prices."""
    total: StrategyDrift
    strategies: list[StrategyDrift]
    orders: list[OrderDrift]


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    session: str
    status: str
    real: bool
    runs: int
    own: OwnReplay
    drift: TapeDrift | None
    """None where the session has no bars, or where the replay at the simulated venue fails."""
    failure: str | None = None
    """How it failed."""


def drift_report(
    path: Path,
    session_id: str | None = None,
    tape: Tape | None = None,
    tape_name: str = "",
    *,
    overrides: Sequence[str] = (),
    current: bool = False,
    code_hash: str = "",
) -> DriftReport:
    """Compare a session, the newest unless named, with its own replay and with the simulated venue.

    Args:
        path: the journal.
        session_id: which session of it.
        tape: what the simulated venue is to play; the session's own bars unless given.
        tape_name: the tape's name, for people.
        overrides: settings the replays are to have instead, as ``section.key=value``.
        current: replay with the strategies' files as they are now.
        code_hash: which code we are.

    Raises:
        NothingStoredError: no journal, or no session in it.
        UserError: no such session, a setting that does not exist, or a tape that does not fit.
    """
    if not path.exists():
        message = f"{path}: no journal there"
        raise NothingStoredError(message)
    reader = JournalReader(path)
    try:
        session = find_session(reader, session_id)
        stored = decode_plan(session.plan)
        plan = plan_of_now(stored, overrides, current=current)
        own = compare_with_itself(reader, session, plan, stored, code_hash)
        records = SoundRecords(reader, session, own.inputs)
        live = recorded(stored, records)
        drift: TapeDrift | None = None
        failure: str | None = None
        try:
            if live.bars:
                drift = _beside_a_venue(plan, live, records, tape, tape_name)
        except CoreError as error:
            failure = str(error)
        return DriftReport(
            session=session.id,
            status=session.status,
            real=stored.real,
            runs=reader.run_count(session.number),
            own=own,
            drift=drift,
            failure=failure,
        )
    finally:
        reader.close()


def _beside_a_venue(
    plan: SessionPlan, live: Activity, records: SoundRecords, tape: Tape | None, tape_name: str
) -> TapeDrift:
    """Have the simulated venue play the session's own bars, or a tape's, and compare."""
    if tape is None:
        replay = simulated(plan, session_inputs(records))
        bars = BarsCompared(live=live.bars, replay=replay.bars, only_live=0, only_replay=0, different=0)
        return compare(plan, live, replay, bars, OWN_BARS)
    aligned = Aligned(plan, session_inputs(records), tape)
    return compare(plan, live, simulated(plan, aligned.inputs()), aligned.compared(), tape_name)


def compare(plan: SessionPlan, live: Activity, replay: Activity, bars: BarsCompared, tape_name: str) -> TapeDrift:
    """Return how two sides of one time differ."""
    timeframes_ns = {series.symbol: series.timeframe_ns for series in plan.series}
    wishes, wishes_live, wishes_replay = pair(live.wishes, replay.wishes, _wish_key, timeframes_ns)
    orders, orders_live, orders_replay = pair(live.orders, replay.orders, _order_key, timeframes_ns)
    comparison = _Comparison(plan, live, replay)
    for wish, other in wishes:
        comparison.add_wishes(wish, other)
    for wish in wishes_live:
        comparison.add_wishes(wish, None)
    for wish in wishes_replay:
        comparison.add_wishes(None, wish)
    for placed, counterpart in orders:
        comparison.add_orders(placed, counterpart)
    for placed in orders_live:
        comparison.add_orders(placed, None)
    for placed in orders_replay:
        comparison.add_orders(None, placed)
    comparison.add_costs()
    comparison.rows.sort(key=lambda row: row.ts)
    total = Tally()
    for tally in comparison.tallies.values():
        total.add(tally)
    closes_ns = [close_ns for close_ns, _ in live.closes.values()]
    return TapeDrift(
        tape=tape_name,
        from_ms=plan.start_ns // _NS_PER_MS,
        to_ms=max(closes_ns, default=0) // _NS_PER_MS,
        bars=bars,
        equity_live=from_atoms(_equity_atoms(live, live)),
        equity_replay=from_atoms(_equity_atoms(replay, live)),
        total=_public("", total),
        strategies=[_public(name, tally) for name, tally in comparison.tallies.items()],
        orders=comparison.rows,
    )


def _wish_key(wish: Wish) -> tuple[str, Hashable]:
    intent = wish.intent
    return intent.symbol, (intent.strategy, intent.action, intent.side, intent.kind)


def _order_key(placed: Placed) -> tuple[str, Hashable]:
    request = placed.request
    return request.symbol, (request.strategy, request.side, request.kind, request.closing)


def _equity_atoms(side: Activity, priced: Activity) -> int:
    """Return cash, positions and other assets of one side, at the last prices of `priced`."""
    return (
        side.cash_atoms
        + side.others_atoms
        + sum(
            _value_atoms(priced, symbol, book.quantity_lots, book.cost_atoms)
            for (_, symbol), book in side.books.items()
        )
    )


def _value_atoms(priced: Activity, symbol: str, lots: int, else_atoms: int) -> int:
    close = priced.closes.get(symbol)
    return else_atoms if close is None else priced.instruments[symbol].mark_atoms(close[1], lots)


class _Comparison:
    """Adds up what matches and what does not."""

    def __init__(self, plan: SessionPlan, live: Activity, replay: Activity) -> None:
        self._live = live
        self._replay = replay
        self.tallies = {record.id: Tally() for record in plan.strategies}
        self.rows: list[OrderDrift] = []
        self._answers: dict[tuple[str, str, int], Wish | None] = {}
        """By side, strategy and number of a wish: its counterpart on the other side."""

    def _tally(self, strategy: str) -> Tally:
        return self.tallies.setdefault(strategy, Tally())

    def add_wishes(self, live: Wish | None, replay: Wish | None) -> None:
        """Count a wish, or two that match."""
        for wish in (live, replay):
            if wish is not None:
                tally = self._tally(wish.intent.strategy)
        if live is not None:
            tally.intents_live += 1
            tally.vetoes_live += bool(live.veto)
            self._answers["live", live.intent.strategy, live.intent.ref] = replay
        if replay is not None:
            tally.intents_replay += 1
            tally.vetoes_replay += bool(replay.veto)
            self._answers["replay", replay.intent.strategy, replay.intent.ref] = live
        if live is not None and replay is not None:
            tally.intents_matched += 1
            tally.intents_resized += live.intent.quantity != replay.intent.quantity

    def add_orders(self, live: Placed | None, replay: Placed | None) -> None:
        """Count an order, or two that match; what was executed becomes a row."""
        known = live or replay
        assert known is not None
        request = known.request
        tally = self._tally(request.strategy)
        tally.orders_live += live is not None
        tally.orders_replay += replay is not None
        tally.orders_matched += live is not None and replay is not None
        tally.rejected_live += live is not None and live.state == "rejected"
        live = live or Placed(known.bar_ns, request, state="")
        replay = replay or Placed(known.bar_ns, request, state="")
        tally.fills_live += live.fills
        tally.fills_replay += replay.fills
        if not live.filled_lots and not replay.filled_lots:
            return
        outcome, why = self._outcome(live, replay)
        if outcome == "both":
            tally.filled_both += 1
        else:
            setattr(tally, outcome, getattr(tally, outcome) + 1)
        side, common_lots = request.side, min(live.filled_lots, replay.filled_lots)
        compared_atoms = _share(replay, common_lots)
        slippage_atoms = side * (_share(live, common_lots) - compared_atoms)
        tally.slippage_atoms += slippage_atoms
        tally.compared_atoms += compared_atoms
        if outcome == "missed":
            tally.missed_atoms += self._gain(replay)
        elif outcome == "extra":
            tally.extra_atoms -= self._gain(live)
        instrument = self._live.instruments[request.symbol]
        self.rows.append(
            OrderDrift(
                ts=known.bar_ns // _NS_PER_MS,
                strategy=request.strategy,
                symbol=request.symbol,
                side=_SIDES[side],
                kind=request.kind,
                outcome=outcome,
                quantity_live=instrument.quantity(live.filled_lots),
                quantity_replay=instrument.quantity(replay.filled_lots),
                price_live=_price(live, instrument.quantity(live.filled_lots)),
                price_replay=_price(replay, instrument.quantity(replay.filled_lots)),
                slippage=from_atoms(slippage_atoms),
                slippage_bps=_bps(slippage_atoms, compared_atoms),
                fee_live=from_atoms(live.fee_atoms),
                fee_replay=from_atoms(replay.fee_atoms),
                order_id=live.order_id,
                why=why,
            )
        )

    def _outcome(self, live: Placed, replay: Placed) -> tuple[Outcome, str]:
        """Say on which sides an order was executed, and why not on the other."""
        if live.filled_lots and replay.filled_lots:
            return "both", ""
        absent, name, side = (live, "replay", self._live) if replay.filled_lots else (replay, "live", self._replay)
        if not absent.state:
            answer = self._answers.get((name, absent.request.strategy, absent.request.ref))
            if answer is None:
                why = "not wished for"
            else:
                why = f"vetoed: {answer.veto}" if answer.veto else "wished for, and no order came of it"
        elif absent.state == "open":
            why = "open still"
            if absent.request.kind == "market" and absent.bar_ns == side.bar_ns(absent.request.symbol):
                return "pending", "the bars end here"
        else:
            why = f"{absent.state}: {absent.reason}" if absent.reason else absent.state
        return ("missed" if replay.filled_lots else "extra"), why

    def _gain(self, placed: Placed) -> int:
        """Return what an executed order has gained by the last price."""
        request = placed.request
        worth_atoms = _value_atoms(self._live, request.symbol, placed.filled_lots, placed.value_atoms)
        return request.side * (worth_atoms - placed.value_atoms)

    def add_costs(self) -> None:
        """Add what the books of both sides have come to."""
        for sign, side in ((-1, self._live), (1, self._replay)):
            for (strategy, symbol), book in side.books.items():
                worth_atoms = _value_atoms(self._live, symbol, book.quantity_lots, book.cost_atoms)
                result_atoms = book.realized_atoms - book.fees_atoms + worth_atoms - book.cost_atoms
                self._tally(strategy).cost_atoms += sign * result_atoms
            for strategy, atoms in side.funding_atoms.items():
                self._tally(strategy).cost_atoms += sign * atoms
                self._tally(strategy).funding_atoms += sign * atoms
            for strategy, atoms in side.liquidation_atoms.items():
                self._tally(strategy).cost_atoms -= sign * atoms
                self._tally(strategy).liquidation_atoms -= sign * atoms
            for placed in side.orders:
                tally = self._tally(placed.request.strategy)
                if side is self._live:
                    tally.fees_live_atoms += placed.fee_atoms
                else:
                    tally.fees_replay_atoms += placed.fee_atoms


def _share(placed: Placed, lots: int) -> int:
    """Return what `lots` of an order's executed quantity came to, in atoms."""
    return placed.value_atoms * lots // placed.filled_lots if lots else 0


def _price(placed: Placed, quantity: Decimal) -> Decimal | None:
    """Return the price an order was executed at, on average."""
    if not quantity:
        return None
    return (from_atoms(placed.value_atoms) / quantity).quantize(_PRICE).normalize() + 0  # never 1E+2


def _bps(atoms: int, of_atoms: int) -> Decimal | None:
    return (Decimal(atoms * _BPS) / of_atoms).quantize(_BPS_STEP) if of_atoms else None


def _public(strategy: str, tally: Tally) -> StrategyDrift:
    """Return a tally for people: money in quote units."""
    counts = {name: getattr(tally, name) for name in tally.__struct_fields__ if not name.endswith("_atoms")}
    fees_atoms = tally.fees_live_atoms - tally.fees_replay_atoms
    explained_atoms = tally.slippage_atoms + fees_atoms + tally.missed_atoms + tally.extra_atoms
    explained_atoms += tally.funding_atoms + tally.liquidation_atoms
    return StrategyDrift(
        strategy=strategy,
        **counts,
        fees_live=from_atoms(tally.fees_live_atoms),
        fees_replay=from_atoms(tally.fees_replay_atoms),
        slippage_bps=_bps(tally.slippage_atoms, tally.compared_atoms),
        cost_slippage=from_atoms(tally.slippage_atoms),
        cost_fees=from_atoms(fees_atoms),
        cost_missed=from_atoms(tally.missed_atoms),
        cost_extra=from_atoms(tally.extra_atoms),
        cost_rest=from_atoms(tally.cost_atoms - explained_atoms),
        cost=from_atoms(tally.cost_atoms),
        cost_funding=from_atoms(tally.funding_atoms),
        cost_liquidation=from_atoms(tally.liquidation_atoms),
    )
