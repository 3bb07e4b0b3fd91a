"""Control: the account's trading state, and the commands that change it.

The state machine is the table below; every latch survives restarts because it is part of the snapshot.
A command is known by its idempotency key: the same key again is the same command, not a second one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from actors.messages import (
    ActorFailed,
    Flatten,
    Flattened,
    Halt,
    LimitBreached,
    LimitChanged,
    Pause,
    Resume,
    Stop,
    Tighten,
    TradingStateChanged,
)
from actors.runtime.scheduler import WithheldError

if TYPE_CHECKING:
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


class Command(msgspec.Struct):
    """A command and what became of it."""

    command_id: str
    action: str
    idempotency_key: str
    ts_ns: int
    outcome: Literal["pending", "done", "superseded", "ignored", "refused"] = "pending"


def action_of(message: Pause | Resume | Flatten | Stop | Tighten) -> str:
    """Return a command in words."""
    if isinstance(message, Tighten):
        return f"tighten {message.limit} to {message.value}"
    return type(message).__name__.lower()


class _State(msgspec.Struct):
    trading: TradingState
    reason: str
    rests_in: Literal["paused", "halted"]
    requested_action: str | None
    commands: list[Command]


class Control:
    """Owns the trading state."""

    isolated = False

    def __init__(self, context: Context, *, commands_kept: int, safe_state: str) -> None:
        self.name = "control"
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

    def on_command(self, message: Pause | Resume | Flatten | Stop) -> None:
        """Take an operator's command."""
        if message.idempotency_key and self.find(message.idempotency_key) is not None:
            return
        event: Event = action_of(message)  # type: ignore[assignment]
        command = Command(message.command_id, event, message.idempotency_key, self._context.now_ns)
        if event == "flatten" or TRANSITIONS[self.trading, event] != "flattening":
            for earlier in self.commands:
                if earlier.outcome == "pending":
                    earlier.outcome = "superseded"
        self._keep(command)
        if self.trading == "stopping" and event != "stop":
            command.outcome = "ignored"
            return
        self.requested_action = None if event == "resume" else event
        if event != "flatten":
            command.outcome = "done"
        elif self.trading != "flattening":
            self._rests_in = "halted" if self.trading == "halted" else "paused"
        self._move(event, "asked for by the operator")

    def on_tighten(self, message: Tighten) -> None:
        """Note that a limit is to be tightened; risk says what becomes of it."""
        if message.idempotency_key and self.find(message.idempotency_key) is not None:
            again = "this command was taken before"
            raise WithheldError(LimitChanged(message.limit, "", message.value, message.command_id, refused=again))
        self._keep(Command(message.command_id, action_of(message), message.idempotency_key, self._context.now_ns))

    def on_limit_changed(self, message: LimitChanged) -> None:
        """Note what became of a command to tighten a limit."""
        for command in self.commands:
            if command.command_id == message.command_id and command.outcome == "pending":
                command.outcome = "refused" if message.refused else "done"

    def on_breached(self, message: LimitBreached) -> None:
        """Do about a limit what its configuration asks for; every order is withdrawn by risk itself."""
        if message.action == "flatten":
            self._rests_in = "paused"
            self._move("flatten", message.reason)
        else:
            self._move("pause", message.reason)

    def on_halt(self, message: Halt) -> None:
        """Stop trading for a reason of the system's own."""
        self._halt(message.reason)

    def on_actor_failed(self, message: ActorFailed) -> None:
        """Bring the account to its safe state once a failure has escalated."""
        if message.escalated:
            self._halt(f"{message.actor} failed too often: {message.error}")

    def on_flattened(self, _: Flattened) -> None:
        """Finish a flatten."""
        if self.trading != "flattening":
            return
        for command in self.commands:
            if command.outcome == "pending":
                command.outcome = "done"
        self._move("flattened", self.reason)
        if self._rests_in == "halted":
            self._move("halt", self.reason)

    def find(self, idempotency_key: str) -> Command | None:
        """Return the command sent under `idempotency_key`, if it is remembered."""
        for command in reversed(self.commands):
            if command.idempotency_key == idempotency_key:
                return command
        return None

    def dump(self) -> bytes:
        """Return the state."""
        kept = _State(self.trading, self.reason, self._rests_in, self.requested_action, self.commands)
        return msgspec.msgpack.encode(kept)

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self.trading, self.reason, self._rests_in = kept.trading, kept.reason, kept.rests_in
        self.requested_action, self.commands = kept.requested_action, kept.commands

    def _keep(self, command: Command) -> None:
        self.commands.append(command)
        del self.commands[: -self._commands_kept]

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
