"""What the control endpoint and ``snapshot.json`` show: plain values, read between two inputs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from actors.execution.simulated import SimulatedVenue
from actors.instrument import from_atoms
from actors.risk import active_limits
from replay.books import books_of
from replay.margin_view import describe_margin, describe_told_margin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.execution.orders import Order
    from actors.execution.remote import RemoteVenue
    from actors.instrument import Instrument
    from config.schema import Exchange
    from daemon.live import LiveDriver
    from daemon.supervisor import Supervisor

_COMMANDS_SHOWN = 20


class StatusView:
    """Builds the status of one running daemon."""

    def __init__(
        self,
        driver: LiveDriver,
        supervisor: Supervisor,
        *,
        session: str,
        mode: str,
        clock: str,
        run: int,
        exchange: Exchange,
        streams: Callable[[], Sequence[msgspec.Struct]] = tuple,
    ) -> None:
        self.ready = False
        """False until recovery is done and the feed may start: the state is then `starting`."""
        self.ending = False
        """True once the process is on its way out."""
        self._driver = driver
        self._supervisor = supervisor
        self._session = session
        self._mode = mode
        self._clock = clock
        self._run = run
        self._exchange = exchange
        self._streams = streams
        self._started_s = time.monotonic()

    def state(self) -> tuple[str, str]:
        """Return the daemon's state and the reason for it."""
        if not self.ready:
            return "starting", ""
        if self.ending:
            return "stopping", ""
        trouble = self._driver.journal.trouble()
        if trouble is not None:
            return "halted", trouble
        return self._driver.core.control.trading, self._driver.core.control.reason

    def status(self) -> dict[str, Any]:
        """Return everything a person or a program may want to know."""
        core = self._driver.core
        state, reason = self.state()
        now_ns = core.context.now_ns
        return {
            "state": state,
            "reason": reason,
            "session": self._session,
            "run": self._run,
            "mode": self._mode,
            "uptime_s": round(time.monotonic() - self._started_s, 3),
            "clock": {"kind": self._clock, "ts_ns": now_ns, "utc": utc(now_ns)},
            "tape_ended": self._driver.tape_ended,
            "equity": from_atoms(core.ledger.equity_atoms),
            "cash": from_atoms(core.ledger.cash_atoms),
            "fees": from_atoms(sum(held.fees_atoms for held in core.ledger.holdings.values())),
            "realized_pnl": from_atoms(sum(held.realized_atoms for held in core.ledger.holdings.values())),
            "funding": from_atoms(sum(held.funding_atoms for held in core.ledger.holdings.values())),
            "positions": self._positions(),
            "books": [msgspec.structs.asdict(book) for book in books_of(core)],
            "margin": self._margin(),
            "other_assets": [
                {"asset": other.asset, "amount": from_atoms(other.amount_atoms), "value": from_atoms(other.value_atoms)}
                for other in core.ledger.others.values()
            ],
            "orders": [
                _order(order, core.instruments[order.request.symbol]) for order in core.execution.orders.values()
            ],
            "strategies": self._strategies(),
            "actors": self._actors(),
            "venue": _venue(core.venue),
            "risk": {
                "limits": active_limits(core.risk.in_force.limits),
                "tightened": core.risk.in_force.tightened(),
                "rules": [msgspec.structs.asdict(row) for row in core.risk.judge.report()],
            },
            "stale": core.market.stale_symbols(),
            "streams": [msgspec.structs.asdict(row) for row in self._streams()],
            "requested_action": core.control.requested_action,
            "commands": [
                {
                    "command_id": command.command_id,
                    "action": command.action,
                    "outcome": command.outcome,
                    "ts_ns": command.ts_ns,
                    "note": command.note,
                    "by": None if command.by is None else msgspec.structs.asdict(command.by),
                }
                for command in core.control.commands[-_COMMANDS_SHOWN:]
            ],
            "digest": core.digest.value.hex(),
            "last_input": {"seq": core.scheduler.seq, "ts": now_ns // 1_000_000, "ts_ns": now_ns},
            "durable_seq": self._driver.journal.durable_seq,
            "dead_letters": [
                {"actor": letter.actor, "seq": letter.seq, "error": letter.error, "message": letter.message}
                for letter in core.scheduler.dead_letters.letters
            ],
            "latency_us": {
                "decided_p50": _us(self._driver.decided.quantile(0.5)),
                "decided_p99": _us(self._driver.decided.quantile(0.99)),
                "released_p50": _us(self._driver.released.quantile(0.5)),
                "released_p99": _us(self._driver.released.quantile(0.99)),
            },
        }

    def _margin(self) -> dict[str, Any] | None:
        """Return how the account stands on margin: at the simulated venue as it is, at a real one as told last."""
        core = self._driver.core
        if core.margin is not None:
            return describe_margin(core.margin.account, core.ledger.holdings.values(), core.instruments)
        if isinstance(core.venue, SimulatedVenue):
            return None
        exchange = self._exchange
        return describe_told_margin(core.venue.margin, exchange.leverage, exchange.margin_mode, core.instruments)

    def _positions(self) -> list[dict[str, Any]]:
        ledger = self._driver.core.ledger
        instruments = self._driver.core.instruments
        rows: list[dict[str, Any]] = []
        for held in ledger.holdings.values():
            if held.quantity_lots:
                quantity = instruments[held.symbol].quantity(held.quantity_lots)
                rows.append(
                    {
                        "symbol": held.symbol,
                        "strategy": held.strategy,
                        "quantity": quantity.normalize() + 0,
                        "entry_price": abs(float(from_atoms(held.cost_atoms) / quantity)),
                        "mark_price": ledger.mark_price(held.symbol),
                        "unrealized_pnl": from_atoms(ledger.unrealized_atoms(held)),
                    }
                )
        return rows

    def _strategies(self) -> list[dict[str, Any]]:
        core = self._driver.core
        held = core.control.held
        return [
            {
                "strategy": actor.id,
                "symbols": list(actor.symbols),
                "state": "failed" if actor.abandoned else core.control.state_of(actor.id),
                "since_ns": held[actor.id].since_ns if actor.id in held else None,
                "reason": held[actor.id].reason if actor.id in held else "",
            }
            for actor in core.strategies
        ]

    def _actors(self) -> list[dict[str, Any]]:
        core = self._driver.core
        processed = core.scheduler.processed()
        failed = {letter.actor: letter.error for letter in core.scheduler.dead_letters.letters}
        abandoned = {actor.name for actor in core.strategies if actor.abandoned}
        restarts = {actor.name: actor.intensity.restarts for actor in core.strategies}
        rows: list[dict[str, Any]] = [
            {
                "name": name,
                "state": "failed" if name in abandoned else "running",
                "restarts": restarts.get(name, 0),
                "mailbox": 0,
                "processed": processed.get(name, 0),
                "last_error": failed.get(name),
            }
            for name in core.actor_names()
        ]
        mailboxes = {"core": self._driver.mailbox_count, "journal": self._driver.journal.waiting}
        done = {"core": core.scheduler.seq, "journal": self._driver.journal.durable_seq}
        rows.extend(
            {
                "name": name,
                "state": child.state,
                "restarts": child.intensity.restarts,
                "mailbox": mailboxes.get(name, 0),
                "processed": done.get(name, 0),
                "last_error": child.last_error,
            }
            for name, child in self._supervisor.children.items()
        )
        return rows


def _venue(venue: SimulatedVenue | RemoteVenue) -> dict[str, Any]:
    """Return how we stand to the venue."""
    if isinstance(venue, SimulatedVenue):
        return {"kind": "simulated", "ready": True}
    return {
        "kind": "real",
        "ready": venue.ready,
        "in_doubt": {order.order_id: order.in_doubt for order in venue.sent.values() if order.in_doubt},
        "reconciled": None if venue.last is None else msgspec.structs.asdict(venue.last),
    }


def _order(order: Order, instrument: Instrument) -> dict[str, Any]:
    request = order.request
    return {
        "order_id": order.order_id,
        "strategy": request.strategy,
        "symbol": request.symbol,
        "state": order.state,
        "side": "buy" if request.side > 0 else "sell",
        "kind": request.kind,
        "quantity": instrument.quantity(request.quantity_lots).normalize() + 0,
        "filled": instrument.quantity(order.filled_lots).normalize() + 0,
        "limit_price": instrument.price(request.limit_ticks) if request.limit_ticks else None,
        "stop_price": instrument.price(request.stop_ticks) if request.stop_ticks else None,
        "time_in_force": request.time_in_force,
        "reduce_only": request.reduce_only,
        "created_ns": order.created_ns,
    }


def utc(ts_ns: int) -> str:
    """Return a time for people."""
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).isoformat(timespec="seconds")


def _us(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1_000, 1)
