"""The vocabulary of time and control: what a clock and an operator say, and what becomes of trading."""

from typing import Literal

import msgspec

from actors.market_messages import Message


class TimerFired(Message, frozen=True):
    """A timer armed by `actor` under `name` is due."""

    actor: str
    name: str
    due_ns: int


# --- commands ---------------------------------------------------------------------------------------


class Sender(msgspec.Struct, frozen=True, array_like=True):
    """Who sent a command, as the endpoint that took it knows."""

    role: str = ""
    name: str = ""
    """Of the token it was sent with; never the token."""
    address: str = ""
    sent_ns: int = 0
    """When it was taken, by the wall: the core's time may be a tape's."""


class _OfAccount(Message, frozen=True):
    """A command about all there is."""

    command_id: str
    idempotency_key: str = ""
    by: Sender | None = None


class _OfStrategy(Message, frozen=True):
    """A command about one strategy."""

    command_id: str
    strategy: str
    idempotency_key: str = ""
    by: Sender | None = None


class Pause(_OfAccount, frozen=True):
    """Veto whatever increases a position; exits and cancels pass."""


class Resume(_OfAccount, frozen=True):
    """Trade again after a pause or a halt."""


class Flatten(_OfAccount, frozen=True):
    """Cancel all orders, close all positions, then stay paused."""


class Stop(_OfAccount, frozen=True):
    """Cancel all orders and seal the session; positions stay."""


class PauseStrategy(_OfStrategy, frozen=True):
    """Veto whatever of one strategy increases a position; its exits and cancels pass."""


class ResumeStrategy(_OfStrategy, frozen=True):
    """Let one strategy trade again, as far as the account's own state lets it."""


class FlattenStrategy(_OfStrategy, frozen=True):
    """Cancel one strategy's orders, close its books, then keep it paused."""


class ClosePosition(Message, frozen=True):
    """Cancel what works in one book, and close it; its strategy may trade on afterwards."""

    command_id: str
    strategy: str
    symbol: str
    idempotency_key: str = ""
    by: Sender | None = None


class WithdrawOrder(Message, frozen=True):
    """Withdraw one order, whosever it is."""

    command_id: str
    order_id: str
    idempotency_key: str = ""
    by: Sender | None = None


class RestartActor(Message, frozen=True):
    """Have a strategy that was given up begin again: where it was or, with `anew`, knowing nothing."""

    command_id: str
    actor: str
    anew: bool = False
    idempotency_key: str = ""
    by: Sender | None = None


class Tighten(Message, frozen=True):
    """Tighten one risk limit; it stays so for the session, until the configuration says otherwise."""

    command_id: str
    limit: str
    """Its name below ``[risk]``, such as ``max_net`` or ``groups.majors.max_group_net``."""
    value: str
    """As it is written in the settings."""
    idempotency_key: str = ""
    by: Sender | None = None


class CommandAnswered(Message, frozen=True):
    """What became of a command that somebody else than control carries out."""

    command_id: str
    outcome: Literal["pending", "done", "refused"]
    note: str = ""
    strategy: str = ""
    """Whose order is to be withdrawn, while that is pending."""
    ref: int = 0
    """And its number."""


class BeginAgain(Message, frozen=True):
    """To a strategy that was given up: begin again, in this state of trading and with these orders at work."""

    command_id: str
    actor: str
    anew: bool
    trading: str
    own: str
    """The strategy's own state of trading."""
    working: tuple[tuple[int, int, int, int, bool], ...]
    """(number, lots in total, filled lots, price in ticks, whether it is a stop that only reduces) of each of its
    orders; the price is the trigger where there is one."""


# --- limits -----------------------------------------------------------------------------------------


class LimitsConfigured(Message, frozen=True):
    """What ``[risk]`` says now, where a run was started with another configuration than the one before."""

    limits: str
    """The whole table as JSON."""
    reset: bool = False
    """Whether what was tightened while running falls, also where its configured value has not changed."""


class LimitChanged(Message, frozen=True):
    """A limit in force is another now; or, where `refused` says why, it is not."""

    limit: str
    before: str
    """``off`` where there was none."""
    after: str
    command_id: str = ""
    """Of the command that asked for it, if one did."""
    refused: str = ""


class LimitBreached(Message, frozen=True):
    """A limit was breached whose action is more than to refuse an order."""

    rule: str
    action: Literal["pause", "cancel_all", "flatten"]
    reason: str


# --- the state of trading ---------------------------------------------------------------------------


class TradingStateChanged(Message, frozen=True):
    """The account's trading state, from the control actor to all who must obey it."""

    state: str
    reason: str


class StrategyStateChanged(Message, frozen=True):
    """One strategy's own trading state; of it and the account's, the stricter counts."""

    strategy: str
    state: str
    reason: str


class Halt(Message, frozen=True):
    """Stop trading: a limit was breached."""

    reason: str


class Flattened(Message, frozen=True):
    """No order works and no position is open any more."""


class BooksClosed(Message, frozen=True):
    """No order works and nothing is held any more in one book, or in all books of a strategy."""

    strategy: str
    symbol: str = ""
    """Empty for all of them."""
    left: str = ""
    """What the venue refuses to close, in words."""


# --- actors -----------------------------------------------------------------------------------------


class ActorFailed(Message, frozen=True):
    """An isolated actor raised; its message is in the dead letters."""

    actor: str
    error: str
    escalated: bool


class ActorRestarted(Message, frozen=True):
    """An isolated actor is back at its last good state."""

    actor: str
    restarts: int
