"""What a person may ask of the daemon: the keys' actions, and the questions before those that cannot be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.dialogs.confirm import Confirm
from tui.dialogs.tighten import Tighten
from tui.dialogs.typed import Typed
from tui.figures import counted, money, quantity, words
from tui.panels.actors import Actors
from tui.panels.limits import Limits
from tui.panels.orders import Orders
from tui.panels.positions import Positions
from tui.panels.strategies import Strategies

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from textual.screen import Screen

    from tui.client import Action, Terms
    from tui.panels.table import Table
    from tui.status import Actor, Order, Position, Status

OF_STRATEGY: tuple[Action, ...] = ("pause", "resume", "flatten")


class Asking:
    """The part of the console that asks; the other part, which it is mixed into, sends."""

    if TYPE_CHECKING:
        status: Any
        page: Any
        screen_stack: Any
        focused: Any
        push_screen: Any
        notify: Any
        call_after_refresh: Any
        send: Callable[..., None]

    def action_pause(self) -> None:
        """Send a pause."""
        self.send("pause")

    def action_resume(self) -> None:
        """Send a resume."""
        self.send("resume")

    def action_flatten(self) -> None:
        """Send a flatten, once the word is typed."""
        status: Status | None = self.status
        held = ""
        if status is not None:
            held = f" ({counted(len(status.orders), 'order')}, {counted(len(status.positions), 'position')})"
        text = (
            f"Cancels every order of ours and closes every position{held} at the market. "
            "Trading then stays paused until you resume it."
        )
        self._ask(Typed("Flatten the account?", text, "flatten"), "flatten")

    def action_stop(self) -> None:
        """Send a stop, once confirmed."""
        status: Status | None = self.status
        session = "its session" if status is None else f"session {words(status.session)}"
        held = ""
        if status is not None and status.positions:
            held = f" What is open stays as it is: {counted(len(status.positions), 'position')}."
        text = f"Ends the daemon and seals {session}; it cannot be continued.{held}"
        self._ask(Confirm("Stop the daemon?", text, "Stop"), "stop")

    def action_cancel_order(self) -> None:
        """Cancel the order that is chosen, once confirmed."""
        order_id = self._choice(Orders, "account", "an order")
        order = next((order for order in self._status_rows("orders") if order.order_id == order_id), None)
        if order is not None:
            self.ask_cancel(order)

    def ask_cancel(self, order: Order) -> None:
        """Ask whether an order shall be cancelled."""
        what = words(f"{order.side} {quantity(order.quantity)} {order.symbol} of {order.strategy}, {order.order_id}")
        guard = " It may only reduce: the position it guards stays without it." if order.reduce_only else ""
        question = Confirm("Cancel this order?", f"{what}.{guard}", "Cancel it")
        self._ask(question, "cancel", {"order_id": order.order_id})

    def action_close_position(self) -> None:
        """Close the position that is chosen, once confirmed."""
        key = self._choice(Positions, "account", "a position")
        held = next((held for held in self._status_rows("positions") if f"{held.strategy} {held.symbol}" == key), None)
        if held is not None:
            self.ask_close(held)

    def ask_close(self, held: Position) -> None:
        """Ask whether a position shall be closed."""
        what = words(f"{quantity(held.quantity)} {held.symbol} of {held.strategy}")
        profit = "" if held.unrealized_pnl is None else f", {money(held.unrealized_pnl, signed=True)}"
        text = f"Cancels what works in its book and closes {what}{profit}, at the market. Its strategy trades on."
        terms: Terms = {"strategy": held.strategy, "symbol": held.symbol}
        self._ask(Confirm("Close this position?", text, "Close it"), "close", terms)

    def action_restart_actor(self) -> None:
        """Restart the actor that is chosen, once confirmed."""
        name = self._choice(Actors, "system", "an actor")
        actor = next((actor for actor in self._status_rows("actors") if actor.name == name), None)
        if actor is not None:
            self.ask_restart(actor, anew=False)

    def ask_restart(self, actor: Actor, *, anew: bool) -> None:
        """Ask whether an actor shall be restarted."""
        start = "as on its first start, all it knew forgotten" if anew else "from its last checkpoint"
        text = (
            f"{words(actor.name)} goes on {start}. Trading is resumed by r. Only a strategy that was given up can be."
        )
        terms: Terms = {"actor": actor.name}
        self._ask(
            Confirm("Restart this actor?", text, "Restart"),
            "restart",
            terms | ({"anew": True} if anew else {}),
        )

    def action_tighten_limit(self) -> None:
        """Tighten the limit that is chosen, once its new value is typed."""
        limit = self._choice(Limits, "strategies", "a limit")
        if limit:
            self.ask_tighten(limit)

    def ask_tighten(self, limit: str = "") -> None:
        """Ask to what a limit shall be tightened, and which one where none is named."""

        def answered(answer: tuple[str, str] | None) -> None:
            if answer is not None:
                self.send("tighten", {"limit": answer[0], "value": answer[1]})

        status: Status | None = self.status
        known = () if status is None else status.risk.limits
        now = next((value for name, _, value in (known.partition("=") for known in known) if name == limit), "")
        self.push_screen(Tighten(words(limit), words(now)), answered)

    def action_of_strategy(self, action: Action) -> None:
        """Pause, resume or flatten the strategy that is chosen; the last once the word is typed."""
        strategy = self._choice(Strategies, "strategies", "a strategy")
        if strategy:
            self.ask_of_strategy(action, strategy)

    def ask_of_strategy(self, action: Action, strategy: str) -> None:
        """Pause or resume a strategy, or ask whether it shall be flattened."""
        terms: Terms = {"strategy": strategy}
        if action != "flatten":
            self.send(action, terms)
            return
        held = sum(position.strategy == strategy for position in self._status_rows("positions"))
        text = (
            f"Cancels every order of {words(strategy)} and closes its positions ({counted(held, 'position')}) at the "
            "market. It then stays paused until you resume it."
        )
        self._ask(Typed("Flatten this strategy?", text, "flatten"), "flatten", terms)

    def _ask(self, question: Screen[bool], action: Action, terms: Terms | None = None) -> None:
        def answered(yes: bool | None) -> None:  # noqa: FBT001 - Textual passes it by position
            if yes:
                self.send(action, terms)

        self.push_screen(question, answered)

    def _status_rows(self, name: str) -> tuple[Any, ...]:
        status: Status | None = self.status
        return () if status is None else getattr(status, name)

    def _choice(self, kind: type[Table], page: str, what: str) -> str:
        """Return what is chosen in a panel that has the focus; else bring the panel up, for a choice to be made."""
        panel: Table = self.screen_stack[0].query_one(kind)
        if self.focused is panel:
            return str(panel.choice)
        if not panel.region.area:
            self.page = page
        self.call_after_refresh(panel.focus)
        self.notify(f"choose {what} with the arrows, then press the key again", timeout=4)
        return ""
