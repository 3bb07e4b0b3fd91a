"""Exits at work: what each position is to become, as orders, whatever happens to them.

For each symbol there is one plan, for the whole position of the strategy's book. After every message the orders that
should be at work are compared with those that are, and the difference is ordered: placed, amended, withdrawn. Nothing
depends on what an order was meant to do, so partial fills, refusals, restarts and a strategy that trades by itself all
come to the same: a stop for what is held, rungs for what they still have to close, nothing for what is flat.

* Every exit is reduce-only, and the open lots of each are at most what is held: whichever fills first, the others
  can no more than reduce what is left, and are cut or withdrawn.
* Where a venue knows no reduce-only order, or not that of a book beside others, only one exit may rest for each lot.
  Then the stop rests, and the rungs are watched: once one is reached the stop is made smaller, or is withdrawn, and
  when that is certain its lots are closed by a market order.
* An exit that is refused is tried again with the next bar of its symbol, or when the book has changed, or the accounts
  were compared; what a venue has refused also after a second, two, four, up to a minute. One that ended without us, as
  one that never arrived or that somebody withdrew, is ordered again at once, but only once between two such moments.
* A stop the market has passed already, by the newest price or the venue's word, closes the position by a market order.
* While trading, or the strategy itself, is flattening, halted or stopping, nothing is ordered; afterwards what should
  be there is placed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.desk.exit_plan import LEAVING, ExitPlan, KeptExits, Leg, share_of, unless_dust, whole_steps
from actors.desk.exit_terms import says_trigger_met
from actors.messages import (
    BUY,
    SELL,
    Accepted,
    Adopted,
    Amended,
    AmendRejected,
    AmendRequest,
    AmendVeto,
    Cancelled,
    CancelRejected,
    CancelRequest,
    Expired,
    FeeInBase,
    Fill,
    OneCancelsOther,
    OrderRequest,
    RiskVeto,
    StopProtects,
)

if TYPE_CHECKING:
    from actors.desk.desk import Desk
    from actors.desk.exit_terms import ExitTerms
    from actors.desk.standing import Standing
    from actors.messages import Message, TimeInForce

_MANAGING = ("running", "paused")
STOP, CLOSE, TAKE = "stop", "close", "take"


class Entry(NamedTuple):
    """An order that opens a position, or enlarges it."""

    quantity: float
    """Base units, negative to sell."""
    limit: float | None = None
    trigger: float | None = None
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False


class Exits:
    """The exits of one strategy.

    Args:
        desk: where orders are given.
        alone: the symbols of which only one exit may rest for each lot.

    Attributes:
        plans: the exits of each position, by symbol.
        links: orders of which one cancels the others.
        used: whether there ever were any: from then on the strategy follows its orders.
        trading: the trading state.
        own: the strategy's own one.
    """

    def __init__(self, desk: Desk, alone: frozenset[str]) -> None:
        self._desk = desk
        self._alone = alone
        self.plans: dict[str, ExitPlan] = {}
        self.links: list[list[int]] = []
        self.used = False
        self.trading = "running"
        self.own = "running"
        self.timer = f"exits.{desk.strategy}"
        """In whose name deadlines are set; the timer's own is the symbol's."""
        self._filled: Fill | None = None
        """The execution in hand."""

    # --- what is wished -----------------------------------------------------------------------------

    def bracket(self, standing: Standing, entries: list[Entry], terms: ExitTerms) -> list[int]:
        """Order entries on one side, and have what they open end by `terms`; return their numbers.

        An entry whose exits make no sense is vetoed: a stop beyond it, a position of the other side.
        """
        side = BUY if entries[0].quantity > 0 else SELL
        refusal = ""
        if self._size(standing, -side):
            refusal = f"the position is {'long' if standing.lots > 0 else 'short'}: close it first"
        plan = self.plans.get(standing.symbol)
        if plan is not None and plan.closing and self._size(standing, plan.side):
            refusal = "the position is being closed"
        if plan is not None and plan.entries and plan.side != side:
            refusal = f"orders to {'buy' if plan.side > 0 else 'sell'} are under way: cancel them first"
        refs: list[int] = []
        applied = False
        for entry in entries:
            price = entry.limit or entry.trigger or standing.price()
            objection = refusal or terms.objection(side, price, standing.instrument)
            if objection:
                refs.append(self._desk.veto(standing, objection))
                continue
            plan = self._plan(standing, side)
            if not applied:
                applied = True
                terms.apply(plan, standing.instrument)
            refs.append(self._desk.enter(standing, side, entry, terms.protection(price)))
            plan.entries.append(refs[-1])
        return refs

    def protect(self, standing: Standing, terms: ExitTerms) -> bool:
        """Have the position, or the one whose entries are under way, end by `terms`; return whether there is one."""
        plan = self.plans.get(standing.symbol)
        side = BUY if standing.lots > 0 else SELL
        if plan is not None:
            side = plan.side
        elif not self._size(standing, side):
            return False
        plan = self._plan(standing, side)
        terms.apply(plan, standing.instrument)
        plan.see(plan.last_ticks)
        if plan.opened_ns >= 0 and terms.time_stop_s is not None:
            self._begin_life(standing.symbol, plan, self._desk.now_ns)
        return True

    def scale_out(self, standing: Standing, share: float) -> bool:
        """Close a share of the position at once, in whole steps; return whether there is one."""
        side = BUY if standing.lots > 0 else SELL
        if not self._size(standing, side):
            return False
        plan = self._plan(standing, side)
        lots = share_of(abs(standing.lots), share)
        plan.asked_lots += lots - lots % standing.instrument.step_lots
        return True

    def close(self, standing: Standing) -> bool:
        """Close all of the position at once, and withdraw what would enlarge it; return whether there is one."""
        plan = self.plans.get(standing.symbol)
        for ref in plan.entries if plan is not None else ():
            self._desk.cancel(ref)
        side = BUY if standing.lots > 0 else SELL
        if not self._size(standing, side):
            return False
        self._plan(standing, side).closing = True
        return True

    def release(self, standing: Standing) -> bool:
        """Withdraw all exits, and leave the position alone; return whether there were any."""
        plan = self.plans.get(standing.symbol)
        if plan is None:
            return False
        self.plans[standing.symbol] = plan.bare()
        return True

    def _plan(self, standing: Standing, side: int) -> ExitPlan:
        """Return the plan of a position, made where there is none, or where that one's position is over."""
        old = self.plans.get(standing.symbol)
        if old is None or (old.opened_ns >= 0 and not self._size(standing, old.side)) or old.side != side:
            bar = standing.bar
            plan = ExitPlan(side, seen_ns=-1 if bar is None else bar.close_ns, seen_tick_ns=standing.tick_ns)
            plan.last_ticks = standing.instrument.price_to_ticks(standing.price())
            if old is not None:  # its orders are still to be withdrawn
                plan.entries, plan.legs = old.entries, old.legs
            self.plans[standing.symbol] = plan
            self._begin()
        else:
            plan = old
        if plan.opened_ns < 0 and self._size(standing, side):
            self._open(standing.symbol, plan, self._desk.now_ns, plan.last_ticks)
        plan.forgive()
        return plan

    def link(self, refs: list[int]) -> None:
        """Have the first execution of one of these orders withdraw the others."""
        self.links.append(refs)
        self._begin()
        self._desk.tell(OneCancelsOther(self._desk.strategy, tuple(refs)))

    def _begin(self) -> None:
        """Be looked after behind every message from now on."""
        if not self.used:
            self.used = True
            self._desk.follow()
        self._desk.look_after()

    # --- what became of orders ----------------------------------------------------------------------

    def heed(self, message: Message) -> None:
        """Follow what became of an order, or of a book."""
        match message:
            case Fill():
                self._on_fill(message)
            case OrderRequest():
                self._with_leg(message, state="sent", lots=message.quantity_lots)
            case Accepted():
                self._with_leg(message, state="working")
            case CancelRequest():
                self._with_leg(message, state="withdrawn")
            case AmendRequest():
                self._with_leg(message, state="amending", asked_lots=message.quantity_lots)
            case Amended():
                terms = {"lots": message.quantity_lots, "ticks": message.limit_ticks or message.stop_ticks}
                self._with_leg(message, state="working", asked_lots=0, **terms)
            case AmendRejected() | AmendVeto() | CancelRejected():
                leg = self._with_leg(message, state="working", asked_lots=0)
                if leg is not None:
                    self._refused(message, leg)
            case FeeInBase() | Adopted():
                plan = self.plans.get(message.symbol)
                if plan is not None:
                    plan.forgive()
            case _:
                self._on_end(message)

    def _with_leg(self, message: Any, **changes: Any) -> Leg | None:  # noqa: ANN401 - whatever names an order
        """Change what is known of an exit order; one that is to be withdrawn stays that."""
        plan = self.plans.get(message.symbol)
        leg = None if plan is None else plan.find(message.ref)
        if leg is None:
            return None
        if leg.state in LEAVING and not isinstance(message, CancelRejected):
            changes.pop("state", None)
        for name, value in changes.items():
            setattr(leg, name, value)
        return leg

    def _on_fill(self, fill: Fill) -> None:
        self._unlink(fill.ref, executed=True)
        plan = self.plans.get(fill.symbol)
        if plan is None:
            return
        self._filled = fill
        plan.forgive()
        instrument = self._desk.standings[fill.symbol].instrument
        leg = plan.find(fill.ref)
        if leg is not None:
            leg.filled_lots += fill.quantity_lots
            leg.lots = leg.filled_lots + fill.remaining_lots
            if leg.key == CLOSE:
                plan.closed(fill.quantity_lots, instrument.step_lots)
            elif leg.key != STOP:
                for take in plan.takes[int(leg.key.removeprefix(TAKE)) :][:1]:
                    take.done_lots += fill.quantity_lots
            if not fill.remaining_lots:
                plan.legs.remove(leg)
        elif fill.side == plan.side and plan.opened_ns < 0:
            self._open(fill.symbol, plan, fill.executed_ns, fill.price_ticks)
        if not fill.remaining_lots and fill.ref in plan.entries:
            plan.entries.remove(fill.ref)
        plan.see(fill.price_ticks)

    def _on_end(self, message: Any) -> None:  # noqa: ANN401 - a rejection, a withdrawal, an expiry or a veto
        self._unlink(message.ref, executed=False)
        plan = self.plans.get(message.symbol)
        if plan is None:
            return
        if message.ref in plan.entries:
            plan.entries.remove(message.ref)
        leg = plan.find(message.ref)
        if leg is not None:
            plan.legs.remove(leg)
            if leg.key == STOP and says_trigger_met(message.reason):
                plan.closing = True
            elif leg.state == "withdrawn":
                plan.hold_back(leg.key)
            elif leg.state != "cancelling" and not (isinstance(message, Cancelled | Expired) and plan.renew(leg.key)):
                self._refused(message, leg)

    def _unlink(self, ref: int, *, executed: bool) -> None:
        """Withdraw the orders an execution excludes; an order that ended without one leaves the others alone."""
        for refs in [refs for refs in self.links if ref in refs]:
            refs.remove(ref)
            if executed:
                for other in refs:
                    self._desk.cancel(other)
            if executed or len(refs) == 1:
                self.links.remove(refs)

    def _refused(self, message: Any, leg: Leg) -> None:  # noqa: ANN401 - whatever says that an exit is not as it should be
        plan = self.plans[message.symbol]
        plan.hold_back(leg.key)
        if not isinstance(message, RiskVeto | AmendVeto):
            plan.refused(self._desk.now_ns)
            self._desk.armed.append((self.timer, f"{message.symbol} again", plan.again_ns))

    def _open(self, symbol: str, plan: ExitPlan, opened_ns: int, ticks: int) -> None:
        plan.opened_ns = opened_ns
        plan.see(ticks)
        self._begin_life(symbol, plan, opened_ns)

    def _begin_life(self, symbol: str, plan: ExitPlan, since_ns: int) -> None:
        if plan.life_ns:
            plan.due_ns = max(self._desk.now_ns, since_ns + plan.life_ns)
            self._desk.armed.append((self.timer, symbol, plan.due_ns))

    # --- time ---------------------------------------------------------------------------------------

    def on_trading(self, state: str, own: str) -> None:
        """Follow the trading states; what was refused may be tried again in a new one."""
        self.trading, self.own = state, own
        self.forgive()

    def forgive(self) -> None:
        """Try anew what was refused."""
        for plan in self.plans.values():
            plan.forgive()

    def on_timer(self) -> None:
        """Close what has lived its time, try anew what a venue has refused."""
        for plan in self.plans.values():
            if 0 < plan.due_ns <= self._desk.now_ns:
                plan.due_ns = 0
                plan.closing = True
            if 0 < plan.again_ns <= self._desk.now_ns:
                plan.forgive()

    # --- after every message ------------------------------------------------------------------------

    def settle(self) -> bool:
        """Look at the newest prices, and order what differs; return whether there is anything left to look after."""
        for symbol, plan in list(self.plans.items()):
            standing = self._desk.standings[symbol]
            self._look(plan, standing)
            plan.follow(standing)
            self._order(plan, standing)
            if plan.is_over and not (plan.has_exits and self._held(plan, standing)):
                del self.plans[symbol]
                self._desk.disarm(self.timer, symbol)
                self._desk.disarm(self.timer, f"{symbol} again")
        self._filled = None
        return self.is_busy

    def _look(self, plan: ExitPlan, standing: Standing) -> None:
        bar = standing.bar
        if bar is not None and bar.close_ns > plan.seen_ns:
            plan.see_bar(bar, standing.instrument)
            plan.forgive()
            plan.refusals = 0
            if plan.bars and plan.bars_held >= plan.bars:
                plan.closing = True
        if standing.tick_ns > plan.seen_tick_ns:
            plan.seen_tick_ns = standing.tick_ns
            plan.see(standing.instrument.price_to_ticks(standing.tick_price))

    def _order(self, plan: ExitPlan, standing: Standing) -> None:
        """Bring the orders at work to what they should be: those that get smaller first."""
        held_lots = self._held(plan, standing)
        plan.most_lots = max(plan.most_lots, held_lots)
        if self.trading not in _MANAGING or self.own not in _MANAGING:
            return
        wanted = self._wanted(plan, standing, held_lots)
        if not held_lots and plan.opened_ns >= 0 and not plan.leaving:
            plan.leaving = True
            for ref in plan.entries:
                self._desk.cancel(ref)  # what was to enlarge a position that is over
        for leg in list(plan.legs):
            self._change(plan, standing, leg, *wanted.pop(leg.key, (0, 0)))
        for key, (lots, ticks) in wanted.items():
            if lots and key not in plan.held_back:
                self._place(plan, standing, key, lots, ticks)

    def _held(self, plan: ExitPlan, standing: Standing) -> int:
        """Return how many lots of the position can be closed."""
        return unless_dust(whole_steps(standing, plan.side), plan.last_ticks, standing.instrument)

    def _size(self, standing: Standing, side: int) -> int:
        """Return how many lots of a side are held that can be closed: what fees have left of a position is none."""
        ticks = standing.instrument.price_to_ticks(standing.price())
        return unless_dust(whole_steps(standing, side), ticks, standing.instrument)

    def _wanted(self, plan: ExitPlan, standing: Standing, held_lots: int) -> dict[str, tuple[int, int]]:
        """Return open lots and price of every exit that should be at work, by key."""
        if not held_lots:
            return {}
        instrument = standing.instrument
        alone = standing.symbol in self._alone
        rungs = plan.take_lots(held_lots, instrument.step_lots)
        watched = alone and bool(plan.stop_ticks)
        close_lots = plan.asked_lots
        if watched:
            close_lots += sum(lots for take, lots in zip(plan.takes, rungs, strict=True) if take.reached)
        if plan.closing or self._stop_is_passed(plan, held_lots):
            plan.closing = True
            close_lots = held_lots
        close_lots = unless_dust(min(close_lots, held_lots), plan.last_ticks, instrument)
        closing = plan.leg(CLOSE)
        if closing is not None:
            close_lots = min(closing.worst_lots, held_lots)  # what is beyond that comes after it
        wanted: dict[str, tuple[int, int]] = {}
        stop = plan.leg(STOP)
        if plan.closing and stop is not None and not alone:
            wanted[STOP] = (stop.open_lots, stop.ticks)  # it protects until all is closed
        elif plan.stop_ticks and not plan.closing:
            stop_lots = held_lots - (close_lots if alone else 0)
            wanted[STOP] = (unless_dust(stop_lots, plan.stop_ticks, instrument), plan.stop_ticks)
        wanted[CLOSE] = (close_lots, 0)
        if not watched and not plan.closing:
            left_lots = held_lots - close_lots
            for index, (take, lots) in enumerate(zip(plan.takes, rungs, strict=True)):
                rung_lots = min(lots, left_lots)
                left_lots -= rung_lots
                wanted[f"{TAKE}{index}"] = (unless_dust(rung_lots, take.ticks, instrument), take.ticks)
        return wanted

    def _stop_is_passed(self, plan: ExitPlan, held_lots: int) -> bool:
        """Return whether a stop that would have to be placed or moved now was passed already."""
        if not plan.stop_ticks or not plan.is_passed(plan.stop_ticks):
            return False
        leg = plan.leg(STOP)
        return leg is None or leg.ticks != plan.stop_ticks or leg.open_lots != held_lots

    def _change(self, plan: ExitPlan, standing: Standing, leg: Leg, lots: int, ticks: int) -> None:
        """Amend or withdraw an order at work; what was just asked of it is waited for."""
        if leg.state in LEAVING or leg.key in plan.held_back:
            return
        if not lots:
            leg.state = "cancelling"
            self._desk.cancel(leg.ref)
        elif leg.state == "working" and leg.key != CLOSE and (leg.open_lots, leg.ticks) != (lots, ticks):
            instrument = standing.instrument
            price = instrument.price_float(ticks)
            leg.state, leg.asked_lots = "amending", leg.filled_lots + lots
            self._desk.amend(
                leg.ref,
                instrument.quantity_float(leg.asked_lots),
                None if leg.key == STOP else price,
                price if leg.key == STOP else None,
            )

    def _place(self, plan: ExitPlan, standing: Standing, key: str, lots: int, ticks: int) -> None:
        instrument = standing.instrument
        if standing.symbol in self._alone:
            lots = min(lots, self._held(plan, standing) - sum(leg.worst_lots for leg in plan.legs))
        if lots <= 0:
            return
        desk = self._desk
        price = instrument.price_float(ticks) if ticks else None
        filled = self._filled
        if key == STOP and filled is not None and filled.symbol == standing.symbol and filled.side == plan.side:
            ref = desk.next_ref(standing)
            desk.tell(StopProtects(desk.strategy, standing.symbol, ref, filled.executed_ns, filled.price_ticks))
        ref = desk.order(
            -plan.side,
            instrument.quantity_float(lots),
            "stop" if key == STOP else "limit" if price else "market",
            None if key == STOP else price,
            price if key == STOP else None,
            "gtc",
            reduce_only=True,
            post_only=False,
            symbol=standing.symbol,
        )
        plan.legs.append(Leg(ref, key, lots, ticks))

    # --- state --------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to look after."""
        return bool(self.plans or self.links)

    @property
    def is_refused(self) -> bool:
        """Whether anything waits for something to change."""
        return any(plan.held_back or plan.renewed for plan in self.plans.values())

    def dump(self) -> bytes:
        """Return the state; nothing before there were exits, in running trade."""
        if not self.used and self.trading == self.own == "running":
            return b""
        return msgspec.msgpack.encode(KeptExits(self.plans, self.links, self.trading, self.used, self.own))

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=KeptExits) if state else KeptExits({}, [], "running", used=False)
        self.plans, self.links, self.trading = kept.plans, kept.links, kept.trading
        self.used, self.own = kept.used, kept.own
        self._filled = None
