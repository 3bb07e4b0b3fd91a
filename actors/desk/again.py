"""Beginning again: a strategy that was given up finds its exits and orders as they are by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.desk.exit_plan import whole_steps
from actors.desk.exits import STOP

if TYPE_CHECKING:
    from actors.desk.desk import Desk
    from actors.desk.exits import Exits
    from actors.messages import BeginAgain, Message


def keep_up(desk: Desk, message: Message) -> None:
    """Have the exits of a strategy that was given up follow what becomes of its orders and books, and say nothing."""
    desk.muted = True
    desk.exits.heed(message)
    desk.muted = False
    desk.armed.clear()


def take_up(desk: Desk, exits: Exits, message: BeginAgain) -> list[int]:
    """Bring exits up to what works now, and to the state of trading; return the orders that are none of them.

    A stop that only reduces is never one of these: whatever has become of its strategy, it protects. Who begins anew
    knows nothing of his positions, so their stops stay as they are until he says otherwise.
    """
    if message.anew:
        _keep_stops(desk, exits)
    exits.on_trading(message.trading, message.own)
    working = {ref: (lots, filled_lots, ticks) for ref, lots, filled_lots, ticks, _ in message.working}
    known: list[int] = []
    for symbol, plan in exits.plans.items():
        plan.entries = [ref for ref in plan.entries if ref in working]
        plan.legs = [leg for leg in plan.legs if leg.ref in working]
        for leg in plan.legs:
            leg.lots, leg.filled_lots, leg.ticks = working[leg.ref]
            leg.state, leg.asked_lots = "working", 0
        known += [*plan.entries, *(leg.ref for leg in plan.legs)]
        if plan.due_ns:
            desk.armed.append((exits.timer, symbol, max(desk.now_ns, plan.due_ns)))
    exits.links = [kept for refs in exits.links if len(kept := [ref for ref in refs if ref in working]) > 1]
    return [ref for ref, *_, protects in message.working if ref not in known and not protects]


def _keep_stops(desk: Desk, exits: Exits) -> None:
    """Forget all exits but the stops of what is held, which follow no price any more."""
    plans, exits.plans, exits.links = exits.plans, {}, []
    for symbol, plan in plans.items():
        if plan.stop_ticks and whole_steps(desk.standings[symbol], plan.side):
            exits.plans[symbol] = bare = plan.bare(plan.stop_ticks)
            bare.entries, bare.legs = [], [leg for leg in plan.legs if leg.key == STOP]
