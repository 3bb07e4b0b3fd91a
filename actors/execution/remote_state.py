"""What a snapshot keeps of a real venue."""

from __future__ import annotations

import msgspec

from actors.execution.contracts import ContractsState
from actors.execution.reconciliation import Asset, Position
from actors.execution.sent import Sent
from actors.messages import Bar, InstrumentChanged, Reconciled, TradeReported


class RemoteState(msgspec.Struct):
    """The state of `RemoteVenue`."""

    linked: bool
    ready: bool
    was_linked: bool
    sent: list[Sent]
    trades: dict[str, list[int]]
    assets: dict[str, Asset]
    last: Reconciled | None
    bars: dict[str, Bar]
    asked: int
    booked: int
    booked_when_asked: int
    rest: dict[str, int] | None = None
    positions: dict[str, Position] = {}
    contracts: ContractsState = msgspec.field(default_factory=ContractsState)
    rules: dict[str, InstrumentChanged] = {}
    lots: list[tuple[str, str, int]] = []
    answered: int = 0
    passed: int = 0
    waiting: list[TradeReported] = []
    complete: dict[str, int] = {}
