"""What the core does, told in the log: fills, refused orders, failures, changes of the trading state.

The core does not log. The reporter hears these messages ahead of all actors and keeps them until their
input is durable; only then are they written, as every effect of an input is let out only then.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog

from actors import messages as m
from daemon.edges.outbox import Outbox

if TYPE_CHECKING:
    from actors.system import Core

log = structlog.get_logger()

_LINES_MAX = 10_000
"""Lines that wait for the disk; while it is in trouble the oldest are given up, the journal has them all."""


_HEARD = (
    m.Fill,
    m.Adopted,
    m.FeeInAsset,
    m.FeeInBase,
    m.FundingShared,
    m.Liquidated,
    m.Insured,
    m.Rejected,
    m.RiskVeto,
    m.LimitBreached,
    m.LimitChanged,
    m.TradingStateChanged,
    m.StrategyStateChanged,
    m.CommandAnswered,
    m.ActorFailed,
    m.ActorRestarted,
    m.FeedStale,
    m.FeedResumed,
    m.BarRejected,
    m.DataRejected,
    m.Reconciled,
    m.VenueLink,
)


class Reporter(Outbox):
    """Writes what it hears."""

    def __init__(self) -> None:
        super().__init__("reporter", _HEARD, self._write, _LINES_MAX)
        self._rejected: Counter[m.DataRejected] = Counter()
        self._compared = True
        """Whether the accounts were compared since the link came up."""

    def _write(self, seq: int, message: m.Message) -> None:
        core = self._core
        assert core is not None
        match message:
            case m.Fill() | m.Liquidated():
                _write_execution(core, seq, message)
            case m.FeeInBase():
                quantity = core.instruments[message.symbol].quantity(message.quantity_lots)
                log.info(
                    "fee_in_base",
                    seq=seq,
                    strategy=message.strategy,
                    symbol=message.symbol,
                    quantity=f"{quantity.normalize():f}",
                    value=f"{message.value_atoms / 1e8:.8f}",
                )
            case m.FeeInAsset():
                log.info(
                    "fee_in_asset",
                    seq=seq,
                    strategy=message.strategy,
                    symbol=message.symbol,
                    asset=message.asset,
                    amount=f"{message.amount_atoms / 1e8:.8f}",
                    value=f"{message.value_atoms / 1e8:.8f}",
                )
            case m.DataRejected():
                self._rejected[message] += 1
                count = self._rejected[message]
                if str(count).strip("0") == "1":  # the 1st, the 10th, the 100th: there may be thousands a second
                    log.warning("data_rejected", seq=seq, **_fields(message), count=count)
            case m.FundingShared():
                log.info(
                    "funding",
                    seq=seq,
                    strategy=message.strategy,
                    symbol=message.symbol,
                    amount=f"{message.amount_atoms / 1e8:.8f}",
                )
            case m.ActorFailed():
                write = log.error if message.escalated else log.warning
                whose = {"actor": message.actor, **_strategy(message.actor)}
                write("actor_failed", seq=seq, **whose, error=message.error, given_up=message.escalated)
            case m.ActorRestarted():
                log.warning("actor_restarted", seq=seq, **_fields(message), **_strategy(message.actor))
            case m.TradingStateChanged() | m.StrategyStateChanged() | m.CommandAnswered() | m.LimitChanged():
                _write_control(seq, message)
            case m.VenueLink():
                self._compared = False
            case m.Reconciled():
                usual = self._compared and message.reason == "period" and not message.applied
                self._compared = True
                write = log.warning if message.differences else log.debug if usual else log.info
                write("reconciled", seq=seq, **_fields(message))
            case _:
                log.warning(_event_name(message), seq=seq, **_fields(message))


def _write_execution(core: Core, seq: int, message: m.Fill | m.Liquidated) -> None:
    instrument = core.instruments[message.symbol]
    fields = {
        "strategy": message.strategy,
        "symbol": message.symbol,
        "side": "buy" if message.side > 0 else "sell",
        "quantity": f"{instrument.quantity(message.quantity_lots).normalize():f}",
        "price": f"{instrument.price(message.price_ticks):f}",
        "fee": f"{message.fee_atoms / 1e8:.8f}",
    }
    if isinstance(message, m.Fill):
        log.info("fill", seq=seq, **fields)
        return
    fields["liquidation_fee"] = f"{message.liquidation_fee_atoms / 1e8:.8f}"
    fields["insured"] = f"{message.insured_atoms / 1e8:.8f}"
    log.error("liquidated", seq=seq, **fields, reason=message.reason)


def _write_control(
    seq: int, message: m.TradingStateChanged | m.StrategyStateChanged | m.CommandAnswered | m.LimitChanged
) -> None:
    """Write what became of a command, or of trading."""
    match message:
        case m.TradingStateChanged():
            write = log.error if message.state == "halted" else log.info
            write("trading_state", seq=seq, state=message.state, reason=message.reason)
        case m.StrategyStateChanged():
            log.info("strategy_state", seq=seq, **_fields(message))
        case m.CommandAnswered():
            write = log.warning if message.outcome == "refused" else log.info
            write("command_answered", seq=seq, **{name: value for name, value in _fields(message).items() if value})
        case m.LimitChanged():
            event = "limit_not_changed" if message.refused else "limit_changed"
            log.warning(event, seq=seq, **{name: value for name, value in _fields(message).items() if value})


def _strategy(actor: str) -> dict[str, str]:
    """Return which strategy an actor is, if it is one."""
    return {"strategy": actor.removeprefix("strategy.")} if actor.startswith("strategy.") else {}


def _event_name(message: m.Message) -> str:
    name = type(message).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _fields(message: m.Message) -> dict[str, Any]:
    return {field: getattr(message, field) for field in message.__struct_fields__}
