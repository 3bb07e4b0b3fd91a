"""The vocabulary of time and control: what a clock and an operator say, and what becomes of trading."""

from actors.market_messages import Message


class TimerFired(Message, frozen=True):
    """A timer armed by `actor` under `name` is due."""

    actor: str
    name: str
    due_ns: int


class Pause(Message, frozen=True):
    """Veto whatever increases a position; exits and cancels pass."""

    command_id: str
    idempotency_key: str = ""


class Resume(Message, frozen=True):
    """Trade again after a pause or a halt."""

    command_id: str
    idempotency_key: str = ""


class Flatten(Message, frozen=True):
    """Cancel all orders, close all positions, then stay paused."""

    command_id: str
    idempotency_key: str = ""


class Stop(Message, frozen=True):
    """Cancel all orders and seal the session; positions stay."""

    command_id: str
    idempotency_key: str = ""


class TradingStateChanged(Message, frozen=True):
    """The account's trading state, from the control actor to all who must obey it."""

    state: str
    reason: str


class Halt(Message, frozen=True):
    """Stop trading: a limit was breached."""

    reason: str


class Flattened(Message, frozen=True):
    """No order works and no position is open any more."""
