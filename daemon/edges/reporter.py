"""What the core does, told in the log: fills, refused orders, failures, changes of the trading state.

The core does not log. The reporter hears these messages ahead of all actors and keeps them until their
input is durable; only then are they written, as every effect of an input is let out only then.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import structlog

from actors import messages as m

if TYPE_CHECKING:
    from actors.runtime.scheduler import Table
    from actors.system import Core

log = structlog.get_logger()

_LINES_MAX = 10_000
"""Lines that wait for the disk; while it is in trouble the oldest are given up, the journal has them all."""


class Reporter:
    """Subscribes ahead of all actors; says nothing to them."""

    isolated = False

    def __init__(self) -> None:
        self.name = "reporter"
        self._core: Core | None = None
        self._waiting: deque[tuple[int, m.Message]] = deque(maxlen=_LINES_MAX)

    def observers(self) -> Table:
        """Return the rows of the subscription table this adds."""
        heard = (
            m.Fill,
            m.Rejected,
            m.RiskVeto,
            m.TradingStateChanged,
            m.ActorFailed,
            m.ActorRestarted,
            m.FeedStale,
            m.FeedResumed,
            m.BarRejected,
        )
        return {kind: [self.on_message] for kind in heard}

    def attach(self, core: Core) -> None:
        """Report on `core` from now on; what was heard while it was recovered is old news."""
        self._core = core
        self._waiting.clear()

    def on_message(self, message: m.Message) -> None:
        """Keep a message until its input is durable."""
        if self._core is not None:
            self._waiting.append((self._core.scheduler.seq, message))

    def release(self, durable_seq: int) -> None:
        """Write what is durable."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= durable_seq:
            seq, message = waiting.popleft()
            self._write(seq, message)

    def _write(self, seq: int, message: m.Message) -> None:
        core = self._core
        assert core is not None
        match message:
            case m.Fill():
                instrument = core.instruments[message.symbol]
                log.info(
                    "fill",
                    seq=seq,
                    strategy=message.strategy,
                    symbol=message.symbol,
                    side="buy" if message.side > 0 else "sell",
                    quantity=f"{instrument.quantity(message.quantity_lots).normalize():f}",
                    price=f"{instrument.price(message.price_ticks):f}",
                    fee=f"{message.fee_atoms / 1e8:.8f}",
                )
            case m.ActorFailed():
                write = log.error if message.escalated else log.warning
                write("actor_failed", seq=seq, actor=message.actor, error=message.error, given_up=message.escalated)
            case m.TradingStateChanged():
                write = log.error if message.state == "halted" else log.info
                write("trading_state", seq=seq, state=message.state, reason=message.reason)
            case _:
                log.warning(_event_name(message), seq=seq, **_fields(message))


def _event_name(message: m.Message) -> str:
    name = type(message).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _fields(message: m.Message) -> dict[str, Any]:
    return {field: getattr(message, field) for field in message.__struct_fields__}
