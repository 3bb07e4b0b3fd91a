"""The vocabulary of time and control: what a clock and an operator say, and what becomes of trading."""

from typing import Literal

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


class Tighten(Message, frozen=True):
    """Tighten one risk limit; it stays so for the session, until the configuration says otherwise."""

    command_id: str
    limit: str
    """Its name below ``[risk]``, such as ``max_net`` or ``groups.majors.max_group_net``."""
    value: str
    """As it is written in the settings."""
    idempotency_key: str = ""


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


class TradingStateChanged(Message, frozen=True):
    """The account's trading state, from the control actor to all who must obey it."""

    state: str
    reason: str


class Halt(Message, frozen=True):
    """Stop trading: a limit was breached."""

    reason: str


class Flattened(Message, frozen=True):
    """No order works and no position is open any more."""
