"""What the control endpoint, ``snapshot.json`` and the console show: plain values, read between two inputs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from actors.execution.simulated import SimulatedVenue
from actors.instrument import from_atoms
from actors.risk import active_limits
from config.errors import nearest
from config.timeframe import format_timeframe
from daemon.control import types as t
from daemon.control.refusal import RefusedError
from daemon.control.uses import limit_uses
from daemon.log import masked
from replay.books import books_of
from replay.margin_view import describe_margin, describe_told_margin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from actors.execution.orders import Order
    from actors.execution.remote import RemoteVenue
    from actors.instrument import Instrument
    from config.schema import Exchange
    from daemon.live import LiveDriver
    from daemon.supervisor import Supervisor
    from replay.books import Book
    from replay.plan import StrategyRecord

_COMMANDS_SHOWN = 20
_DUMP_BYTES_MAX = 1024 * 1024


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
        strategies: Sequence[StrategyRecord],
        streams: Callable[[], Sequence[t.StreamRow]] = tuple,
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
        self._strategies = tuple(strategies)
        self.streams = streams
        self.started_wall_ns = time.time_ns()
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
        return self._driver.core.control.trading, str(masked(self._driver.core.control.reason))

    def status(self) -> t.Status:
        """Return everything a person or a program may want to know."""
        core = self._driver.core
        return t.Status(
            **msgspec.structs.asdict(self._standing()),
            uptime_s=round(time.monotonic() - self._started_s, 3),
            positions=self.positions(),
            books=self.books(),
            margin=self.margin(),
            other_assets=self.other_assets(),
            orders=self.orders(),
            strategies=self.strategies(),
            actors=self.actors(),
            venue=self.venue(),
            risk=self.risk(),
            stale=tuple(core.market.stale_symbols()),
            streams=tuple(self.streams()),
            commands=self.commands(),
            last_input=t.LastInput(
                seq=core.scheduler.seq, ts=core.context.now_ns // 1_000_000, ts_ns=core.context.now_ns
            ),
            durable_seq=self._driver.journal.durable_seq,
            dead_letters=self.dead_letters(),
            latency_us=self.latency(),
        )

    def summary(self, heard_wall_ns: int) -> t.Summary:
        """Return what changes with every input; `heard_wall_ns` is when the newest was seen."""
        return t.Summary(
            **msgspec.structs.asdict(self._standing()),
            started_wall_ns=self.started_wall_ns,
            heard_wall_ns=heard_wall_ns,
            seq=self._driver.core.scheduler.seq,
            durable_seq=self._driver.journal.durable_seq,
        )

    def _standing(self) -> t.Standing:
        core = self._driver.core
        state, reason = self.state()
        holdings = core.ledger.holdings.values()
        return t.Standing(
            state=state,
            reason=reason,
            session=self._session,
            run=self._run,
            mode=self._mode,
            clock=self._time(),
            tape_ended=self._driver.tape_ended,
            equity=from_atoms(core.ledger.equity_atoms),
            day_profit=self.day_profit(),
            cash=from_atoms(core.ledger.cash_atoms),
            fees=from_atoms(sum(held.fees_atoms for held in holdings)),
            realized_pnl=from_atoms(sum(held.realized_atoms for held in holdings)),
            funding=from_atoms(sum(held.funding_atoms for held in holdings)),
            requested_action=core.control.requested_action,
            digest=core.digest.value.hex(),
        )

    def day_profit(self) -> Decimal | None:
        """Return what the account has gained since 00:00 UTC."""
        profit_atoms = self._driver.day_profit_atoms
        return None if profit_atoms is None else from_atoms(profit_atoms)

    def _time(self) -> t.Clock:
        now_ns = self._driver.core.context.now_ns
        return t.Clock(kind=self._clock, ts_ns=now_ns, utc=utc(now_ns))

    def positions(self) -> tuple[t.Position, ...]:
        """Return what strategies hold."""
        ledger, instruments = self._driver.core.ledger, self._driver.core.instruments
        rows: list[t.Position] = []
        for held in ledger.holdings.values():
            if held.quantity_lots:
                quantity = instruments[held.symbol].quantity(held.quantity_lots)
                rows.append(
                    t.Position(
                        symbol=held.symbol,
                        strategy=held.strategy,
                        quantity=quantity.normalize() + 0,
                        entry_price=abs(float(from_atoms(held.cost_atoms) / quantity)),
                        mark_price=ledger.mark_price(held.symbol),
                        unrealized_pnl=from_atoms(ledger.unrealized_atoms(held)),
                    )
                )
        return tuple(rows)

    def books(self) -> tuple[Book, ...]:
        """Return what each strategy ordered, filled, earned and holds, by symbol."""
        return tuple(books_of(self._driver.core))

    def orders(self) -> tuple[t.Order, ...]:
        """Return the open orders."""
        core = self._driver.core
        return tuple(_order(order, core.instruments[order.request.symbol]) for order in core.execution.orders.values())

    def symbols(self) -> tuple[t.Symbol, ...]:
        """Return what is traded, with its last close."""
        core = self._driver.core
        stale = set(core.market.stale_symbols())
        return tuple(
            t.Symbol(
                symbol=symbol,
                base=instrument.spec.base,
                quote=instrument.spec.quote,
                contract=instrument.spec.contract,
                price_step=instrument.spec.tick,
                quantity_step=instrument.spec.step or instrument.spec.lot,
                mark_price=core.ledger.mark_price(symbol),
                stale=symbol in stale,
            )
            for symbol, instrument in core.instruments.items()
        )

    def strategies(self) -> tuple[t.Strategy, ...]:
        """Return the account's strategies, each with the sum of its books."""
        core = self._driver.core
        withheld = core.control.held
        failed = {letter.actor: str(masked(letter.error)) for letter in core.scheduler.dead_letters.letters}
        actors = {actor.id: actor for actor in core.strategies}
        rows: list[t.Strategy] = []
        for record in self._strategies:
            actor = actors[record.id]
            books = [held for (strategy, _), held in core.ledger.holdings.items() if strategy == record.id]
            rows.append(
                t.Strategy(
                    strategy=record.id,
                    use=record.source.use,
                    symbols=record.symbols,
                    timeframe=format_timeframe(record.timeframe_ns),
                    params=masked(record.params),
                    state="failed" if actor.abandoned else core.control.state_of(record.id),
                    since_ns=withheld[record.id].since_ns if record.id in withheld else None,
                    reason=str(masked(withheld[record.id].reason)) if record.id in withheld else "",
                    restarts=actor.intensity.restarts,
                    last_error=failed.get(actor.name),
                    realized_pnl=from_atoms(sum(held.realized_atoms for held in books)),
                    unrealized_pnl=from_atoms(sum(core.ledger.unrealized_atoms(held) for held in books)),
                    fees=from_atoms(sum(held.fees_atoms for held in books)),
                )
            )
        return tuple(rows)

    def actors(self) -> tuple[t.Actor, ...]:
        """Return the actors of the core, and the edges around it."""
        core = self._driver.core
        processed = core.scheduler.processed()
        failed = {letter.actor: str(masked(letter.error)) for letter in core.scheduler.dead_letters.letters}
        abandoned = {actor.name for actor in core.strategies if actor.abandoned}
        restarts = {actor.name: actor.intensity.restarts for actor in core.strategies}
        rows = [
            t.Actor(
                name=name,
                state="failed" if name in abandoned else "running",
                restarts=restarts.get(name, 0),
                mailbox=0,
                processed=processed.get(name, 0),
                last_error=failed.get(name),
            )
            for name in core.actor_names()
        ]
        mailboxes = {"core": self._driver.mailbox_count, "journal": self._driver.journal.waiting}
        done = {"core": core.scheduler.seq, "journal": self._driver.journal.durable_seq}
        rows.extend(
            t.Actor(
                name=name,
                state=child.state,
                restarts=child.intensity.restarts,
                mailbox=mailboxes.get(name, 0),
                processed=done.get(name, 0),
                last_error=child.last_error,
            )
            for name, child in self._supervisor.children.items()
        )
        return tuple(rows)

    def dump(self, name: str) -> t.Dump:
        """Return the state of one actor as it is written down.

        Raises:
            RefusedError: there is no such actor, or it is an edge, whose state nobody writes down.
        """
        core = self._driver.core
        names = core.actor_names()
        if name not in names:
            known = "an edge around the core has" if name in self._supervisor.children else f"{name!r} is no actor:"
            reason = f"{known} no state to look at{nearest(name, names)}; one of {', '.join(names)}"
            raise RefusedError(HTTPStatus.NOT_FOUND, reason)
        try:
            state = core.dump(name)
        except (TypeError, ValueError) as error:  # it holds what cannot be kept
            return t.Dump(name=name, size_bytes=0, state=b"", note=f"it cannot be kept: {error}")
        note = "" if len(state) <= _DUMP_BYTES_MAX else f"{len(state):,} bytes are too many to be shown"
        return t.Dump(name=name, size_bytes=len(state), state=b"" if note else state, note=note)

    def margin(self) -> t.Margin | None:
        """Return how contracts stand on margin: at the simulated venue as it is, at a real one as told last."""
        core = self._driver.core
        if core.margin is not None:
            described = describe_margin(core.margin.account, core.ledger.holdings.values(), core.instruments)
            return msgspec.convert(described, t.Margin)
        if isinstance(core.venue, SimulatedVenue):
            return None
        exchange = self._exchange
        told = describe_told_margin(core.venue.margin, exchange.leverage, exchange.margin_mode, core.instruments)
        return None if told is None else msgspec.convert(told, t.Margin)

    def other_assets(self) -> tuple[t.OtherAsset, ...]:
        """Return what is held of assets that fees are paid in."""
        return tuple(
            t.OtherAsset(asset=other.asset, amount=from_atoms(other.amount_atoms), value=from_atoms(other.value_atoms))
            for other in self._driver.core.ledger.others.values()
        )

    def risk(self) -> t.Risk:
        """Return the limits in force."""
        risk, margin = self._driver.core.risk, self.margin()
        return t.Risk(
            limits=tuple(active_limits(risk.in_force.limits)),
            tightened=tuple(risk.in_force.tightened()),
            uses=limit_uses(self._driver.core, None if margin is None else margin.initial_margin),
            rules=tuple(risk.judge.report()),
        )

    def commands(self) -> tuple[t.Command, ...]:
        """Return the newest commands."""
        return tuple(
            t.Command(
                command_id=command.command_id,
                action=command.action,
                outcome=command.outcome,
                ts_ns=command.ts_ns,
                note=command.note,
                by=None if command.by is None else t.Sender(**msgspec.structs.asdict(command.by)),
            )
            for command in self._driver.core.control.commands[-_COMMANDS_SHOWN:]
        )

    def dead_letters(self) -> tuple[t.DeadLetter, ...]:
        """Return what could not be handled."""
        return tuple(
            t.DeadLetter(
                actor=letter.actor,
                seq=letter.seq,
                ts_ns=letter.ts_ns,
                error=str(masked(letter.error)),
                place=letter.place,
                message=str(masked(letter.message)),
            )
            for letter in self._driver.core.scheduler.dead_letters.letters
        )

    def venue(self) -> t.Venue:
        """Return how we stand to the venue."""
        return _venue(self._driver.core.venue)

    def latency(self) -> t.Latency:
        """Return how long inputs take."""
        decided = self._driver.decided.quantiles(0.5, 0.99)
        released = self._driver.released.quantiles(0.5, 0.99)
        return t.Latency(
            decided_p50=_us(decided[0]),
            decided_p99=_us(decided[1]),
            released_p50=_us(released[0]),
            released_p99=_us(released[1]),
        )


def _venue(venue: SimulatedVenue | RemoteVenue) -> t.Venue:
    if isinstance(venue, SimulatedVenue):
        return t.Venue(kind="simulated", ready=True)
    last = venue.last
    return t.Venue(
        kind="real",
        ready=venue.ready,
        in_doubt={order.order_id: order.in_doubt for order in venue.sent.values() if order.in_doubt},
        reconciled=None
        if last is None
        else t.Reconciliation(reason=last.reason, differences=last.differences, applied=last.applied),
    )


def _order(order: Order, instrument: Instrument) -> t.Order:
    request = order.request
    return t.Order(
        order_id=order.order_id,
        strategy=request.strategy,
        symbol=request.symbol,
        state=order.state,
        side="buy" if request.side > 0 else "sell",
        kind=request.kind,
        quantity=instrument.quantity(request.quantity_lots).normalize() + 0,
        filled=instrument.quantity(order.filled_lots).normalize() + 0,
        limit_price=instrument.price(request.limit_ticks) if request.limit_ticks else None,
        stop_price=instrument.price(request.stop_ticks) if request.stop_ticks else None,
        time_in_force=request.time_in_force,
        reduce_only=request.reduce_only,
        created_ns=order.created_ns,
    )


def utc(ts_ns: int) -> str:
    """Return a time for people."""
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).isoformat(timespec="seconds")


def _us(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1_000, 1)
