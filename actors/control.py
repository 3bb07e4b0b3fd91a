"""Control: the trading state of the account and of each strategy, and the commands that change them.

The state machines are the tables below; every latch survives restarts because it is part of the snapshot.
A command is known by its idempotency key: the same key again is the same command, not a second one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from actors.messages import (
    ActorFailed,
    BooksClosed,
    Cancelled,
    CancelRejected,
    ClosePosition,
    CommandAnswered,
    Expired,
    Fill,
    Flatten,
    Flattened,
    FlattenStrategy,
    Halt,
    LimitBreached,
    LimitChanged,
    Pause,
    PauseStrategy,
    Rejected,
    RestartActor,
    Resume,
    ResumeStrategy,
    Sender,
    Stop,
    StrategyStateChanged,
    Tighten,
    TradingStateChanged,
    WithdrawOrder,
)
from actors.runtime.scheduler import WithheldError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from actors.runtime.scheduler import Context

TradingState = Literal["running", "paused", "flattening", "halted", "stopping"]
Event = Literal["pause", "resume", "flatten", "flattened", "halt", "halt_and_flatten", "stop"]

TRANSITIONS: dict[tuple[TradingState, Event], TradingState] = {
    ("running", "pause"): "paused",
    ("running", "resume"): "running",
    ("running", "flatten"): "flattening",
    ("running", "flattened"): "running",
    ("running", "halt"): "halted",
    ("running", "halt_and_flatten"): "flattening",
    ("running", "stop"): "stopping",
    ("paused", "pause"): "paused",
    ("paused", "resume"): "running",
    ("paused", "flatten"): "flattening",
    ("paused", "flattened"): "paused",
    ("paused", "halt"): "halted",
    ("paused", "halt_and_flatten"): "flattening",
    ("paused", "stop"): "stopping",
    ("flattening", "pause"): "flattening",
    ("flattening", "resume"): "running",
    ("flattening", "flatten"): "flattening",
    ("flattening", "flattened"): "paused",
    ("flattening", "halt"): "flattening",
    ("flattening", "halt_and_flatten"): "flattening",
    ("flattening", "stop"): "stopping",
    ("halted", "pause"): "halted",
    ("halted", "resume"): "running",
    ("halted", "flatten"): "flattening",
    ("halted", "flattened"): "halted",
    ("halted", "halt"): "halted",
    ("halted", "halt_and_flatten"): "flattening",
    ("halted", "stop"): "stopping",
    ("stopping", "pause"): "stopping",
    ("stopping", "resume"): "stopping",
    ("stopping", "flatten"): "stopping",
    ("stopping", "flattened"): "stopping",
    ("stopping", "halt"): "stopping",
    ("stopping", "halt_and_flatten"): "stopping",
    ("stopping", "stop"): "stopping",
}
"""(state, event) -> state. `flattened` after a halt that flattened lands in `halted` (see `Control`)."""


StrategyState = Literal["running", "paused", "flattening"]
StrategyEvent = Literal["pause", "resume", "flatten", "flattened"]

STRATEGY_TRANSITIONS: dict[tuple[StrategyState, StrategyEvent], StrategyState] = {
    ("running", "pause"): "paused",
    ("running", "resume"): "running",
    ("running", "flatten"): "flattening",
    ("running", "flattened"): "running",
    ("paused", "pause"): "paused",
    ("paused", "resume"): "running",
    ("paused", "flatten"): "flattening",
    ("paused", "flattened"): "paused",
    ("flattening", "pause"): "flattening",
    ("flattening", "resume"): "running",
    ("flattening", "flatten"): "flattening",
    ("flattening", "flattened"): "paused",
}
"""The same for one strategy. Its state and the account's are apart: neither ever changes the other, and of the two
the stricter counts."""

Steer = Pause | Resume | Flatten | Stop
SteerStrategy = PauseStrategy | ResumeStrategy | FlattenStrategy
AnyCommand = Steer | SteerStrategy | ClosePosition | WithdrawOrder | RestartActor | Tighten
Outcome = Literal["pending", "done", "superseded", "ignored", "refused"]
_ASKED = "asked for by the operator"
_AGAIN = "this command was taken before"


class Command(msgspec.Struct):
    """A command and what became of it."""

    command_id: str
    action: str
    idempotency_key: str
    ts_ns: int
    outcome: Outcome = "pending"
    strategy: str = ""
    """Whose books it is about; empty for the account's."""
    symbol: str = ""
    """Which of these; empty for all."""
    ref: int = 0
    """Number of the order it is about, while that works."""
    note: str = ""
    """What there is to be said of its outcome."""
    by: Sender | None = None


class Hold(msgspec.Struct):
    """A strategy that is not running."""

    state: StrategyState
    since_ns: int
    reason: str = _ASKED


def action_of(message: AnyCommand) -> str:
    """Return a command in words, which say all of it."""
    match message:
        case Tighten():
            return f"tighten {message.limit} to {message.value}"
        case ClosePosition():
            return f"close {message.symbol} of {message.strategy}"
        case WithdrawOrder():
            return f"cancel {message.order_id}"
        case RestartActor():
            return f"restart {message.actor}{' anew' if message.anew else ''}"
        case PauseStrategy() | ResumeStrategy() | FlattenStrategy():
            return f"{_word(message)} {message.strategy}"
    return type(message).__name__.lower()


def _word(message: SteerStrategy) -> StrategyEvent:
    if isinstance(message, FlattenStrategy):
        return "flatten"
    return "pause" if isinstance(message, PauseStrategy) else "resume"


class _State(msgspec.Struct):
    trading: TradingState
    reason: str
    rests_in: Literal["paused", "halted"]
    requested_action: str | None
    commands: list[Command]
    held: dict[str, Hold] = {}


class Control:
    """Owns the trading states.

    Args:
        context: the core's.
        commands_kept: so many commands are remembered.
        safe_state: where a failure brings the account.
        strategies: whose books there are.

    Attributes:
        strategies: those there are, and whoever else has a book.
        trading: the account's state.
        held: the strategies that are not running.
        commands: what was asked for, oldest first.
        follow: has it told, from now on, what becomes of orders, or not any more.
        news: commands that came, or whose outcome changed, since somebody took note of that.
    """

    isolated = False

    def __init__(
        self, context: Context, *, commands_kept: int, safe_state: str, strategies: Collection[str] = ()
    ) -> None:
        self.name = "control"
        self.strategies = strategies
        self._context = context
        self._emit = context.emit
        self._commands_kept = commands_kept
        self._safe_state = safe_state
        self.trading: TradingState = "running"
        self.reason = ""
        self._rests_in: Literal["paused", "halted"] = "paused"
        self.requested_action: str | None = None
        """The last action asked for, until `resume` clears it."""
        self.commands: list[Command] = []
        self.held: dict[str, Hold] = {}
        self.follow: Callable[[], object] = int
        self.news: dict[str, Command] = {}

    # --- the account --------------------------------------------------------------------------------

    def on_command(self, message: Steer) -> None:
        """Take an operator's command."""
        if self._is_known(message):
            return
        event: Event = action_of(message)  # type: ignore[assignment]
        if event == "flatten" or TRANSITIONS[self.trading, event] != "flattening":
            for earlier in self.commands:
                if earlier.outcome == "pending" and not earlier.ref and (event == "stop" or not earlier.strategy):
                    self._end(earlier, "superseded")
        command = self._keep(message)
        if self.trading == "stopping" and event != "stop":
            self._end(command, "ignored")
            return
        self.requested_action = None if event == "resume" else event
        if event != "flatten":
            self._end(command, "done")
        elif self.trading != "flattening":
            self._rests_in = "halted" if self.trading == "halted" else "paused"
        self._move(event, _ASKED)

    def on_tighten(self, message: Tighten) -> None:
        """Note that a limit is to be tightened; risk says what becomes of it."""
        if self._is_known(message):
            raise WithheldError(LimitChanged(message.limit, "", message.value, message.command_id, refused=_AGAIN))
        self._keep(message)

    def on_limit_changed(self, message: LimitChanged) -> None:
        """Note what became of a command to tighten a limit."""
        for command in self._pending(message.command_id):
            self._end(command, "refused" if message.refused else "done", message.refused)

    def on_breached(self, message: LimitBreached) -> None:
        """Do about a limit what its configuration asks for; every order is withdrawn by risk itself."""
        if message.action == "flatten":
            if self.trading != "flattening":
                self._rests_in = "halted" if self.trading == "halted" else "paused"
            self._move("flatten", message.reason)
        else:
            self._move("pause", message.reason)

    def on_halt(self, message: Halt) -> None:
        """Stop trading for a reason of the system's own."""
        self._halt(message.reason)

    def on_actor_failed(self, message: ActorFailed) -> None:
        """Bring the account to its safe state once a failure has escalated."""
        for command in self._pending():
            if command.action in (f"restart {message.actor}", f"restart {message.actor} anew"):
                self._end(command, "refused", message.error)
        if message.escalated:
            self._halt(f"{message.actor} failed too often: {message.error}")

    def on_flattened(self, _: Flattened) -> None:
        """Finish a flatten."""
        if self.trading != "flattening":
            return
        for command in self._pending():
            if not command.strategy and not command.ref:
                self._end(command, "done")
        self._move("flattened", self.reason)
        if self._rests_in == "halted":
            self._move("halt", self.reason)

    # --- one strategy, one book, one order ----------------------------------------------------------

    def state_of(self, strategy: str) -> StrategyState:
        """Return a strategy's own state."""
        hold = self.held.get(strategy)
        return "running" if hold is None else hold.state

    def on_strategy_command(self, message: SteerStrategy) -> None:
        """Pause, resume or flatten one strategy."""
        if self._is_known(message):
            return
        event = _word(message)
        command = self._take(message, message.strategy)
        if command.outcome != "pending":
            return
        for earlier in self._pending():
            own = earlier.strategy == message.strategy and not earlier.symbol and not earlier.ref
            if own and earlier is not command and event != "pause":
                self._end(earlier, "superseded")
        if event != "flatten":
            self._end(command, "done")
        self._move_strategy(message.strategy, event, _ASKED)

    def on_close(self, message: ClosePosition) -> None:
        """Note that a book is to be closed; risk does it."""
        self._pass_on(message, message.strategy, message.symbol)

    def on_withdraw(self, message: WithdrawOrder | RestartActor) -> None:
        """Note that somebody else is asked for something."""
        self._pass_on(message)

    def on_answered(self, message: CommandAnswered) -> None:
        """Note what became of a command, or what it waits for."""
        for command in self._pending(message.command_id):
            self._end(command, message.outcome, message.note)
            if message.ref:
                followed = self.follows_orders
                command.strategy, command.ref = message.strategy, message.ref
                if not followed:
                    self.follow()

    def on_books_closed(self, message: BooksClosed) -> None:
        """Finish the flatten of a strategy, or the closing of one book."""
        for command in self._pending():
            if (command.strategy, command.symbol, command.ref) == (message.strategy, message.symbol, 0):
                self._end(command, "refused" if message.left else "done", message.left)
        if not message.symbol:
            self._move_strategy(message.strategy, "flattened", message.left or _ASKED)

    @property
    def follows_orders(self) -> bool:
        """Whether a command waits for an order's end."""
        return any(command.ref for command in self._pending())

    def on_order_ended(self, event: Cancelled | Expired | Rejected | Fill | CancelRejected) -> None:
        """Finish the commands that wait for an order's end."""
        if isinstance(event, Fill) and event.remaining_lots:
            return
        for command in self._pending():
            if (command.strategy, command.ref) != (event.strategy, event.ref):
                continue
            outcome: Outcome = "refused"
            if isinstance(event, Fill):
                said = "it was executed before it could be withdrawn"
            elif isinstance(event, CancelRejected):
                said = f"the venue does not withdraw it: {event.reason}"
            else:
                outcome = "done"
                said = "" if isinstance(event, Cancelled) else f"{type(event).__name__.lower()}: {event.reason}"
            self._end(command, outcome, "; ".join(part for part in (command.note, said) if part))
        if not self.follows_orders:
            self.follow()

    def _pass_on(
        self, message: ClosePosition | WithdrawOrder | RestartActor, strategy: str = "", symbol: str = ""
    ) -> None:
        """Keep a command; one that was taken before, or cannot be, reaches nobody else.

        Raises:
            WithheldError: it goes no further.
        """
        if self._is_known(message):
            raise WithheldError(CommandAnswered("", "refused", _AGAIN))
        command = self._take(message, strategy, symbol)
        if command.outcome != "pending":
            raise WithheldError(CommandAnswered(message.command_id, "refused", command.note))

    def _take(self, message: AnyCommand, strategy: str = "", symbol: str = "") -> Command:
        command = self._keep(message)
        command.strategy, command.symbol = strategy, symbol
        if self.trading == "stopping":
            self._end(command, "ignored")
        elif strategy and strategy not in self.strategies:
            self._end(command, "refused", f"there is no strategy {strategy}")
        return command

    def _move_strategy(self, strategy: str, event: StrategyEvent, reason: str) -> None:
        before = self.state_of(strategy)
        state = STRATEGY_TRANSITIONS[before, event]
        if state == before:
            return
        if state == "running":
            reason = ""
            del self.held[strategy]
        else:
            self.held[strategy] = Hold(state, self._context.now_ns, reason)
        self._emit(StrategyStateChanged(strategy, state, reason))

    # --- commands -----------------------------------------------------------------------------------

    def find(self, idempotency_key: str) -> Command | None:
        """Return the command sent under `idempotency_key`, if it is remembered."""
        for command in reversed(self.commands):
            if command.idempotency_key == idempotency_key:
                return command
        return None

    def dump(self) -> bytes:
        """Return the state."""
        kept = _State(self.trading, self.reason, self._rests_in, self.requested_action, self.commands, self.held)
        return msgspec.msgpack.encode(kept)

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self.trading, self.reason, self._rests_in = kept.trading, kept.reason, kept.rests_in
        self.requested_action, self.commands = kept.requested_action, kept.commands
        self.held = kept.held

    def _is_known(self, message: AnyCommand) -> bool:
        return bool(message.idempotency_key) and self.find(message.idempotency_key) is not None

    def _keep(self, message: AnyCommand) -> Command:
        now_ns = self._context.now_ns
        command = Command(message.command_id, action_of(message), message.idempotency_key, now_ns, by=message.by)
        self.commands.append(command)
        ended = [each for each in self.commands[:-1] if each.outcome != "pending"]
        for old in ended[: max(0, len(self.commands) - self._commands_kept)]:
            self.commands.remove(old)
        self.news[command.command_id] = command
        return command

    def _end(self, command: Command, outcome: Outcome, note: str = "") -> None:
        command.outcome, command.note = outcome, note
        self.news[command.command_id] = command

    def take_news(self) -> list[Command]:
        """Return the commands there is news of, and forget that."""
        taken = list(self.news.values())
        self.news.clear()
        return taken

    def _pending(self, command_id: str | None = None) -> list[Command]:
        """Return the commands whose outcome is open, or the one of them that has this id."""
        return [
            command
            for command in self.commands
            if command.outcome == "pending" and command_id in (None, command.command_id)
        ]

    def _halt(self, reason: str) -> None:
        self._rests_in = "halted"
        self._move("halt_and_flatten" if self._safe_state == "flatten" else "halt", reason)

    def _move(self, event: Event, reason: str) -> None:
        state = TRANSITIONS[self.trading, event]
        changed = state != self.trading
        self.trading = state
        self.reason = "" if state == "running" else reason
        if changed:
            self._emit(TradingStateChanged(state, self.reason))
