"""By hand: who hears what an operator asks for; the commands about one order or one actor carried out.

It keeps nothing. What it says depends on what other actors know at the moment, and what became of a command stands
with control.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors import messages as m
from actors.execution.orders import PREFIX, base36
from actors.execution.remote import RemoteVenue

if TYPE_CHECKING:
    from actors.execution.orders import Order
    from actors.runtime.lanes import Handler
    from actors.system import Core

_ENDS: tuple[type[m.Message], ...] = (m.Rejected, m.Cancelled, m.Expired, m.CancelRejected, m.Fill)


class ByHand:
    """Hears what operators say to the core it is of."""

    isolated = False

    def __init__(self, core: Core) -> None:
        self.name = "by_hand"
        self._core = core
        self._emit = core.context.emit

    def entries(self) -> dict[type[m.Message], list[Handler]]:
        """Return who hears a command, in order."""
        control, risk = self._core.control, self._core.risk
        return {
            m.Pause: [control.on_command],
            m.Resume: [control.on_command, self.on_resumed],
            m.Flatten: [control.on_command],
            m.Stop: [control.on_command],
            m.PauseStrategy: [control.on_strategy_command],
            m.ResumeStrategy: [control.on_strategy_command, self.on_resumed],
            m.FlattenStrategy: [control.on_strategy_command],
            m.ClosePosition: [control.on_close, risk.on_close],
            m.WithdrawOrder: [control.on_withdraw, self.on_withdraw],
            m.RestartActor: [control.on_withdraw, self.on_restart],
            m.Tighten: [control.on_tighten, risk.on_tighten],
            m.LimitsConfigured: [risk.on_configured],
            m.Halt: [control.on_halt],
        }

    def wired(self, table: dict[type[m.Message], list[Any]]) -> dict[type[m.Message], list[Any]]:
        """Add who hears of trading states and commands; of orders control hears while a command is about one."""
        core = self._core
        control, strategies = core.control, core.strategies
        table[m.Halt] = [control.on_halt]
        table[m.LimitBreached] = [control.on_breached]
        table[m.LimitChanged] = [control.on_limit_changed]
        table[m.TradingStateChanged] = [core.risk.on_trading_state, *(s.on_trading_state for s in strategies)]
        table[m.Flattened] = [control.on_flattened]
        table[m.ActorFailed] = [control.on_actor_failed]
        table[m.StrategyStateChanged] = [
            core.risk.on_strategy_state,
            *(s.on_strategy_state for s in strategies),
            core.risk.on_strategy_state_heard,
        ]
        table[m.BooksClosed] = [control.on_books_closed]
        table[m.CommandAnswered] = [control.on_answered]
        table[m.BeginAgain] = [s.on_begin_again for s in strategies]
        if control.follows_orders:
            for kind in _ENDS:
                table[kind].append(control.on_order_ended)
        return table

    # --- what was taken back ------------------------------------------------------------------------

    def on_resumed(self, _: m.Resume | m.ResumeStrategy) -> None:
        """Withdraw what was to close a position by a command that is taken back, and still waits here to be sent."""
        venue, risk = self._core.venue, self._core.risk
        for order in venue.sent.values() if isinstance(venue, RemoteVenue) else ():
            request = order.request
            if order.held and request.closing and not risk.is_clearing(request.strategy, request.symbol):
                self._emit(m.CancelRequest(request.strategy, request.symbol, request.ref))

    # --- one order ----------------------------------------------------------------------------------

    def on_withdraw(self, message: m.WithdrawOrder) -> None:
        """Withdraw an order, or say why not."""
        order = self._core.execution.orders.get(message.order_id)
        if order is None:
            self._answer(message.command_id, "refused", self.absent(message.order_id))
            return
        request = order.request
        if request.closing and self._core.risk.is_clearing(request.strategy, request.symbol):
            self._answer(message.command_id, "refused", "it closes a position by command; resume ends that")
            return
        note = "; ".join(part for part in (self._protects(order), self._doubt(order)) if part)
        self._emit(m.CommandAnswered(message.command_id, "pending", note, request.strategy, request.ref))
        self._emit(m.CancelRequest(request.strategy, request.symbol, request.ref))

    def absent(self, order_id: str) -> str:
        """Say why there is no such order: ids are counted, so one that never was is told from one that ended."""
        execution = self._core.execution
        begin = f"{PREFIX}{execution.nonce}"
        count = order_id.removeprefix(begin)
        given = order_id.startswith(begin) and count.isalnum() and count.isascii() and count == count.lower()
        if given and base36(int(count, 36)) == count and 0 < int(count, 36) <= execution.counter:
            return f"{order_id} does not work any more, or under another id since it was changed"
        return f"no order of this session is called {order_id}"

    def _protects(self, order: Order) -> str:
        """Say what an order protects, if it is a stop against a position."""
        request, core = order.request, self._core
        held = core.ledger.holdings.get((request.strategy, request.symbol))
        lots = 0 if held is None else held.quantity_lots
        if request.kind not in ("stop", "stop_limit") or request.side * lots >= 0:
            return ""
        quantity = core.instruments[request.symbol].quantity(abs(lots)).normalize()
        plans = [actor.desk.exits.plans for actor in core.strategies if actor.id == request.strategy]
        managed = any(plan.find(request.ref) for each in plans for plan in each.values())
        again = ", and its strategy's exits place it again with the next bar" if managed else ""
        return f"it was a stop of a position of {quantity:f} {request.symbol}{again}"

    def _doubt(self, order: Order) -> str:
        venue = self._core.venue
        sent = venue.sent.get(order.order_id) if isinstance(venue, RemoteVenue) else None
        if sent is None or not sent.in_doubt:
            return ""
        return f"whether the venue has it is in doubt ({sent.in_doubt}); it is withdrawn once that is known"

    # --- one actor ----------------------------------------------------------------------------------

    def on_restart(self, message: m.RestartActor) -> None:
        """Have a strategy that was given up begin again, or say why not."""
        core = self._core
        actor = next((each for each in core.strategies if each.name == message.actor), None)
        if actor is None:
            known = ", ".join(each.name for each in core.strategies)
            self._answer(message.command_id, "refused", f"{message.actor} is none of the strategies: {known}")
        elif not actor.abandoned:
            self._answer(message.command_id, "refused", f"{message.actor} was not given up")
        elif message.anew and not actor.can_begin_anew:
            self._answer(message.command_id, "refused", f"what {message.actor} began with could not be kept")
        elif not message.anew and not actor.can_go_on:
            self._answer(message.command_id, "refused", f"what {message.actor} knew could not be kept; begin it anew")
        else:
            requests = [
                (order.request, order.filled_lots)
                for order in core.execution.orders.values()
                if order.request.strategy == actor.id and not order.request.closing
            ]
            working = tuple(
                (
                    each.ref,
                    each.quantity_lots,
                    filled_lots,
                    each.stop_ticks or each.limit_ticks,
                    each.kind == "stop" and each.reduce_only,
                )
                for each, filled_lots in requests
            )
            trading, own = core.control.trading, core.control.state_of(actor.id)
            self._emit(m.BeginAgain(message.command_id, actor.name, message.anew, trading, own, working))

    def _answer(self, command_id: str, outcome: Any, note: str) -> None:  # noqa: ANN401 - one of three words
        self._emit(m.CommandAnswered(command_id, outcome, note))
