"""Strategy: the actor around a user's strategy, and the desk it gives orders at.

User code is isolated. The actor keeps a checkpoint of the strategy's state every N of its own messages
and the messages since; when the strategy raises, the actor returns to the checkpoint, applies those
messages again with everything it says muted, and skips the one that was poison.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from actors.messages import (
    Accepted,
    Amended,
    AmendRejected,
    AmendVeto,
    Bar,
    BookSnapshot,
    Cancelled,
    Expired,
    External,
    FeatureRow,
    Fill,
    Funding,
    HistoryRow,
    Intent,
    Liquidation,
    Mark,
    OpenInterest,
    OrderKind,
    PositionChanged,
    Quote,
    Rejected,
    RiskVeto,
    TimeInForce,
    TimerFired,
    Trade,
)
from actors.runtime.supervision import Intensity
from actors.runtime.timers import NEVER_NS
from actors.strategy_port import Execution, OrderUpdate
from actors.ticks import TICKS, Tick, middle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.instrument import Instrument
    from actors.messages import Message
    from actors.runtime.scheduler import Context
    from actors.strategy_port import StrategyPort

_NS_PER_S = 1_000_000_000
_MARKET: tuple[OrderKind, None, None, TimeInForce, bool, bool] = ("market", None, None, "gtc", False, False)


class _Checkpoint(msgspec.Struct, frozen=True):
    """The strategy's state, and what its desk remembers, at one point."""

    strategy: bytes
    ref: int
    position_lots: int
    reference_bar: Bar | None
    tick_price: float = 0.0
    tick_ns: int = 0


class _State(msgspec.Struct):
    checkpoint: _Checkpoint
    abandoned: bool
    restarts: int
    restart_times_ns: list[int]


_OrderNews = Accepted | Rejected | Cancelled | Expired | RiskVeto | Amended | AmendRejected | AmendVeto

_UPDATES: dict[
    type[Message], Literal["accepted", "rejected", "cancelled", "expired", "vetoed", "amended", "amend_rejected"]
] = {
    Accepted: "accepted",
    Rejected: "rejected",
    Cancelled: "cancelled",
    Expired: "expired",
    RiskVeto: "vetoed",
    Amended: "amended",
    AmendRejected: "amend_rejected",
    AmendVeto: "amend_rejected",
}


class StrategyActor:
    """Runs one strategy on one symbol."""

    isolated = True

    def __init__(
        self,
        context: Context,
        strategy_id: str,
        strategy: StrategyPort,
        instrument: Instrument,
        *,
        position_lots: int,
        on_aggregates: bool,
        checkpoint_inputs: int,
        intensity: Intensity,
    ) -> None:
        self.name = f"strategy.{strategy_id}"
        self.id = strategy_id
        self.symbol = instrument.symbol
        self.on_aggregates = on_aggregates
        self.hears_fills = strategy.hears("on_fill")
        self.hears_orders = strategy.hears("on_order")
        self.hears_ticks: dict[type[Message], Callable[[Any], None]] = {
            kind: getattr(strategy, method) for kind, method in TICKS.items() if strategy.hears(method)
        }
        """What the user wrote for what comes between bars."""
        self.intensity = intensity
        self.abandoned = False
        self._context = context
        self._emit = context.emit
        self._strategy = strategy
        self._instrument = instrument
        self._checkpoint_inputs = checkpoint_inputs
        self._ref = 0
        self._position_lots = position_lots
        self._reference_bar: Bar | None = None
        self._tick_price = 0.0
        self._tick_ns = 0
        """Price and time of the newest tick that showed one."""
        self._muted = False
        self._in_history = False
        """Whether the bar in hand is one of the time before the session."""
        self._armed: list[tuple[str, int]] = []
        self._since: list[tuple[Bar, Any] | tuple[int, Message]] = []
        """What was heard since the checkpoint: bars with their values, other messages with their times."""
        self._now_ns: int | None = None
        strategy.bind(self)
        self._checkpoint = _Checkpoint(b"", 0, position_lots, None)

    def start(self) -> None:
        """Run the strategy's own start, once a session.

        Raises:
            Exception: whatever the user's code raises.
        """
        self._strategy.on_start()
        if self._context.outbox:
            self._context.outbox.clear()
            message = "orders can be given from the first bar on; in on_start there is no market yet"
            raise ValueError(message)
        self._arm()
        self._keep()

    # --- the desk: what a strategy calls ------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Time of the input in hand."""
        return self._context.now_ns if self._now_ns is None else self._now_ns

    @property
    def position(self) -> float:
        """Signed position in base units."""
        return self._instrument.quantity_float(self._position_lots)

    def order(
        self,
        side: int,
        quantity: float,
        kind: OrderKind,
        limit_price: float | None,
        stop_price: float | None,
        time_in_force: TimeInForce,
        *,
        reduce_only: bool,
        post_only: bool,
    ) -> int:
        """Wish for an order; return its number."""
        terms = (kind, limit_price, stop_price, time_in_force, reduce_only, post_only)
        return self._wish("order", side, quantity, terms)

    def target(self, quantity: float) -> int:
        """Wish for a signed position; return the number of the order this may take."""
        return self._wish("target", 0, quantity)

    def cancel(self, ref: int) -> None:
        """Wish to withdraw an order."""
        if not self._muted and not self._in_history and 0 < ref <= self._ref:
            self._emit(Intent(self.id, self.symbol, ref, "cancel", 0, 0.0))

    def amend(self, ref: int, quantity: float, limit_price: float | None, stop_price: float | None) -> None:
        """Wish to change an order; a quantity of 0 and prices of None stay as they are."""
        if not self._muted and not self._in_history and 0 < ref <= self._ref:
            self._emit(
                Intent(
                    self.id,
                    self.symbol,
                    ref,
                    "amend",
                    0,
                    quantity,
                    limit_price=limit_price,
                    stop_price=stop_price,
                    reference_price=self._price(),
                )
            )

    def set_timer(self, name: str, seconds: float) -> None:
        """Ask for `on_timer(name)` in so many seconds of the core's time."""
        self._armed.append((name, min(NEVER_NS, self.now_ns + round(seconds * _NS_PER_S))))

    def _wish(
        self,
        action: Literal["order", "target"],
        side: int,
        quantity: float,
        terms: tuple[OrderKind, float | None, float | None, TimeInForce, bool, bool] = _MARKET,
    ) -> int:
        self._ref += 1
        if self._in_history and not self._muted:
            self._emit(RiskVeto(self.id, self.symbol, self._ref, "warming up"))
        elif not self._muted:
            intent = Intent(
                self.id,
                self.symbol,
                self._ref,
                action,
                side,
                quantity + 0.0,
                *terms,
                self._price(),
            )
            self._emit(intent)
        return self._ref

    def _price(self) -> float:
        """Return the newest price that was seen."""
        bar = self._reference_bar
        if bar is None or (self._tick_price and self._tick_ns >= bar.close_ns):
            return self._tick_price
        return bar.close

    # --- messages -----------------------------------------------------------------------------------

    def on_row(self, row: FeatureRow) -> None:
        """Let the strategy decide."""
        if row.strategy == self.id and not self.abandoned:
            self._reference_bar = bar = row.bar
            self._since.append((bar, row.values))
            self._strategy.on_bar(bar, row.values)
            self._settle()

    def reader(self, rows: Iterator[Any]) -> Callable[[Bar], None]:
        """Return a handler of bars that takes their values from `rows`; None means that they are not complete yet.

        It does what `on_row` does, with all it needs in cells: a replay spends its time here.
        """
        next_values = rows.__next__
        since = self._since
        note = since.append
        on_bar = self._strategy.on_bar
        armed = self._armed
        checkpoint_inputs = self._checkpoint_inputs

        def on_bar_read(self: StrategyActor, bar: Bar) -> None:
            values = next_values()
            if values is not None and not self.abandoned:
                self._reference_bar = bar
                note((bar, values))
                on_bar(bar, values)
                if armed or len(since) >= checkpoint_inputs:
                    self._settle()

        return MethodType(on_bar_read, self)

    def on_aggregate_row(self, row: FeatureRow) -> None:
        """Let a strategy on a higher timeframe decide: such a row may be heard after its bar's close."""
        if row.strategy == self.id and not self.abandoned:
            self._since.append((self._context.now_ns, row))
            self._reference_bar = row.bar
            self._strategy.on_bar(row.bar, row.values)
            self._settle()

    def on_history_row(self, row: HistoryRow) -> None:
        """Show the strategy a bar of the time before the session; its wishes come to nothing."""
        if row.strategy == self.id and not self.abandoned:
            self._since.append((self._context.now_ns, row))
            self._see_history(row)
            self._settle()

    def _see_history(self, row: HistoryRow) -> None:
        self._reference_bar = row.bar
        self._in_history = True
        try:
            self._strategy.on_bar(row.bar, row.values)
        finally:
            self._in_history = False

    def on_tick(self, message: Tick) -> None:
        """Tell the strategy what happened between bars."""
        if message.symbol == self.symbol and not self.abandoned:
            self._since.append((self._context.now_ns, message))
            self._tell_tick(message)
            self._settle()

    def on_external(self, message: External) -> None:
        """Tell the strategy what was published; it is for everybody who listens."""
        if not self.abandoned:
            self._since.append((self._context.now_ns, message))
            self.hears_ticks[External](message)
            self._settle()

    def _tell_tick(self, message: Tick) -> None:
        price = middle(message)
        if price:
            self._tick_price, self._tick_ns = price, self.now_ns
        self.hears_ticks[type(message)](message)

    def on_position_changed(self, message: PositionChanged) -> None:
        """Follow the ledger."""
        if message.strategy == self.id:
            self._since.append((self._context.now_ns, message))
            self._position_lots = message.quantity_lots

    def on_fill(self, fill: Fill) -> None:
        """Tell the strategy of its fill."""
        if fill.strategy == self.id and not self.abandoned:
            self._since.append((self._context.now_ns, fill))
            self._strategy.on_fill(self._execution(fill))
            self._settle()

    def on_order_event(self, event: _OrderNews) -> None:
        """Tell the strategy what became of its order."""
        if event.strategy == self.id and not self.abandoned:
            self._since.append((self._context.now_ns, event))
            self._strategy.on_order(_update(event))
            self._settle()

    def on_timer(self, timer: TimerFired) -> None:
        """Tell the strategy that its timer is due."""
        if timer.actor == self.name and not self.abandoned:
            self._since.append((self._context.now_ns, timer))
            self._strategy.on_timer(timer.name)
            self._settle()

    def _settle(self) -> None:
        """After a handler of the strategy returned: make its timers and, now and then, a checkpoint."""
        if self._armed:
            self._arm()
        if len(self._since) >= self._checkpoint_inputs:
            self._keep()

    def _arm(self) -> None:
        for name, due_ns in self._armed:
            self._context.timers.arm(self.name, name, due_ns)
        self._armed.clear()

    def _keep(self) -> None:
        self._checkpoint = self._current()
        self._since.clear()

    def _current(self) -> _Checkpoint:
        return _Checkpoint(
            self._strategy.dump_state(),
            self._ref,
            self._position_lots,
            self._reference_bar,
            self._tick_price,
            self._tick_ns,
        )

    def _last_good(self) -> _Checkpoint:
        """Return the checkpoint of an abandoned strategy: what it left half done may not even be kept."""
        return msgspec.structs.replace(self._checkpoint, position_lots=self._position_lots)

    def _return_to(self, checkpoint: _Checkpoint) -> None:
        self._strategy.load_state(checkpoint.strategy)
        self._ref = checkpoint.ref
        self._position_lots = checkpoint.position_lots
        self._reference_bar = checkpoint.reference_bar
        self._tick_price, self._tick_ns = checkpoint.tick_price, checkpoint.tick_ns

    # --- supervision --------------------------------------------------------------------------------

    def recover(self) -> None:
        """Return to the state before the message in hand, saying nothing."""
        seen = self._reference_bar  # the desk knows the market even where the strategy stumbled over it
        self._since.pop()
        self._return_to(self._checkpoint)
        self._muted = True
        try:
            for when, what in self._since:
                if isinstance(when, Bar):
                    self._now_ns = when.close_ns
                    self._reference_bar = when
                    self._strategy.on_bar(when, what)
                else:
                    self._now_ns = when
                    self._again(what)
        finally:
            self._muted = False
            self._now_ns = None
            self._armed.clear()
            self._reference_bar = seen

    def abandon(self) -> None:
        """Take no further messages."""
        self.abandoned = True
        self._armed.clear()

    def _again(self, message: Message) -> None:
        match message:
            case HistoryRow():
                self._see_history(message)
            case Trade() | Quote() | BookSnapshot() | Mark() | Funding() | OpenInterest() | Liquidation():
                self._tell_tick(message)
            case External():
                self.hears_ticks[External](message)
            case FeatureRow():
                self._reference_bar = message.bar
                self._strategy.on_bar(message.bar, message.values)
            case PositionChanged():
                self._position_lots = message.quantity_lots
            case Fill():
                self._strategy.on_fill(self._execution(message))
            case TimerFired():
                self._strategy.on_timer(message.name)
            case (
                Accepted() | Rejected() | Cancelled() | Expired() | RiskVeto()
                | Amended() | AmendRejected() | AmendVeto()
            ):  # fmt: skip
                self._strategy.on_order(_update(message))
            case _:
                raise AssertionError(message)

    def _execution(self, fill: Fill) -> Execution:
        instrument = self._instrument
        return Execution(
            fill.ref,
            instrument.price_float(fill.price_ticks),
            instrument.quantity_float(fill.side * fill.quantity_lots),
            fill.fee_atoms / 1e8,
            fill.liquidity,
            fill.executed_ns,
            fill.remaining_lots == 0,
        )

    def dump(self) -> bytes:
        """Return the state."""
        current = self._current() if not self.abandoned else self._last_good()
        state = _State(current, self.abandoned, self.intensity.restarts, self.intensity.times_ns)
        return msgspec.msgpack.encode(state)

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self._return_to(kept.checkpoint)
        self.abandoned = kept.abandoned
        self.intensity.restarts = kept.restarts
        self.intensity.times_ns = kept.restart_times_ns
        self._checkpoint = kept.checkpoint
        self._since.clear()


def _update(event: _OrderNews) -> OrderUpdate:
    return OrderUpdate(event.ref, _UPDATES[type(event)], getattr(event, "reason", ""))
