"""Strategy: the actor around a user's strategy; its orders are given at `actors.desk`.

User code is isolated. The actor keeps a checkpoint of the strategy's state every N of its own messages
and the messages since; when the strategy raises, the actor returns to the checkpoint, applies those
messages again with everything it says muted, and skips the one that was poison.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

import msgspec

from actors.checkpoint import Checkpoint, Heeded, Kept, Seen, give_back, last_good, of_given_up, take
from actors.desk.again import keep_up, take_up
from actors.desk.desk import Desk
from actors.desk.news import UPDATES, OrderNews, execution_of, forced_execution_of, update_of
from actors.messages import (
    ActorRestarted,
    Bar,
    BeginAgain,
    BookSnapshot,
    CommandAnswered,
    External,
    FeatureRow,
    Fill,
    Funding,
    HistoryRow,
    Liquidated,
    Liquidation,
    Mark,
    OpenInterest,
    PositionChanged,
    Quote,
    Reconciled,
    SliceClosed,
    StrategyStateChanged,
    TimerFired,
    Trade,
    TradingStateChanged,
)
from actors.runtime.supervision import Intensity
from actors.ticks import TICKS, Tick, middle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actors.desk.desk import Money
    from actors.instrument import Instrument, Rate
    from actors.messages import Message
    from actors.runtime.scheduler import Context
    from actors.strategy_port import StrategyPort


class StrategyActor:
    """Runs one strategy.

    Args:
        context: the core's.
        strategy_id: its name in orders and reports.
        strategy: the user's.
        books: every symbol's exact units, lots held and their cost; the first is the one it is known by.
        money: the account.
        fee: of an execution that takes, as the simulated venue has it.
        aggregated: symbols whose bars, as it wants them, are built here.
        alone: the symbols of which only one exit may rest for each lot.
        follow: has it told what becomes of its orders, from now on.
        checkpoint_inputs: its state is kept every this many of its own messages.
        intensity: how often it may fail.
    """

    isolated = True

    def __init__(
        self,
        context: Context,
        strategy_id: str,
        strategy: StrategyPort,
        books: Sequence[tuple[Instrument, int, int]],
        money: Money,
        fee: Rate,
        *,
        aggregated: Sequence[str] = (),
        alone: frozenset[str] = frozenset(),
        follow: Callable[[], None],
        checkpoint_inputs: int,
        intensity: Intensity,
    ) -> None:
        self.name = f"strategy.{strategy_id}"
        self.id = strategy_id
        self.desk = Desk(context, strategy_id, books, money, fee, alone, follow)
        self.symbols = self.desk.symbols
        self.on_aggregates = bool(aggregated)
        """Whether a row may be heard after its bar's close."""
        self.is_plain = len(books) == 1 and not aggregated
        """Whether it decides on the very bars of one series."""
        self.hears_slices = strategy.hears("on_slice")
        self.hears_fills = strategy.hears("on_fill")
        self.hears_orders = strategy.hears("on_order")
        self.hears_ticks: dict[type[Message], Callable[[Any], None]] = {
            kind: getattr(strategy, method) for kind, method in TICKS.items() if strategy.hears(method)
        }
        """What the user wrote for what comes between bars."""
        self.intensity = intensity
        self.abandoned = False
        self._count_max = 0
        self._good = True
        """Whether its checkpoint is what it knew when it was given up."""
        self._pristine: bytes | None = None
        """Its state before its start; None where that cannot be kept."""
        self._context = context
        self._strategy = strategy
        self._standings = self.desk.standings
        self._timers = (self.name, self.desk.exits.timer)
        self._checkpoint_inputs = checkpoint_inputs
        self._since = self.desk.since
        """What was heard since the checkpoint: bars with their values, other messages with their times."""
        strategy.bind(self.desk)
        self._checkpoint = Checkpoint(b"", 0, self.desk.hand.lots, None, cost_atoms=self.desk.hand.cost_atoms)

    @property
    def strategy(self) -> StrategyPort:
        """The user's strategy, to be looked at."""
        return self._strategy

    @property
    def heeds(self) -> bool:
        """Whether it follows its orders for the sake of its exits."""
        return self.desk.exits.used

    @property
    def symbol(self) -> str:
        """The symbol it is known by."""
        return self.symbols[0]

    def start(self) -> None:
        """Run the strategy's own start, once a session.

        Raises:
            Exception: whatever the user's code raises.
        """
        self._note_pristine()
        self._begin()
        self.desk.settle()
        self._keep()

    def _begin(self) -> None:
        self._strategy.on_start()
        if self._context.outbox:
            self._context.outbox.clear()
            message = "orders can be given from the first bar on; in on_start there is no market yet"
            raise ValueError(message)

    def _note_pristine(self) -> None:
        try:
            self._pristine = self._strategy.dump_state()
        except TypeError:
            self._pristine = None

    @property
    def can_begin_anew(self) -> bool:
        """Whether it is known what it began with."""
        return self._pristine is not None

    # --- messages -----------------------------------------------------------------------------------

    def on_row(self, row: FeatureRow) -> None:
        """Let the strategy decide on a bar of its only series."""
        if row.strategy == self.id and not self.abandoned:
            self.desk.hand.bar = bar = row.bar
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
        hand = self.desk.hand
        armed = self.desk.armed
        checkpoint_inputs = self._checkpoint_inputs

        def on_bar_read(self: StrategyActor, bar: Bar) -> None:
            values = next_values()
            if values is not None and not self.abandoned:
                hand.bar = bar
                note((bar, values))
                on_bar(bar, values)
                if armed or len(since) >= checkpoint_inputs:
                    self._settle()

        return MethodType(on_bar_read, self)

    def on_any_row(self, row: FeatureRow) -> None:
        """Let a strategy on several symbols, or on a higher timeframe, decide: a row may come after its bar's close."""
        if row.strategy == self.id and not self.abandoned:
            self._since.append((self._context.now_ns, row))
            self._see(row)
            self._settle()

    def _see(self, row: FeatureRow) -> None:
        self.desk.hand = standing = self._standings[row.bar.symbol]
        standing.bar = row.bar
        self._strategy.on_bar(row.bar, row.values)

    def on_slice(self, message: SliceClosed) -> None:
        """Let a strategy decide on the bars of one close."""
        if message.strategy == self.id and not self.abandoned:
            self._since.append((self._context.now_ns, message))
            self._see_slice(message)
            self._settle()

    def _see_slice(self, message: SliceClosed) -> None:
        self.desk.hand = self._standings[self.symbols[0]]
        self.desk.in_history = message.history
        try:
            self._strategy.on_slice(
                {row.bar.symbol: row.bar for row in message.rows}, {row.bar.symbol: row.values for row in message.rows}
            )
        finally:
            self.desk.in_history = False

    def on_history_row(self, row: HistoryRow) -> None:
        """Show the strategy a bar of the time before the session; its wishes come to nothing."""
        if row.strategy == self.id and not self.abandoned:
            self._since.append((self._context.now_ns, row))
            self._see_history(row)
            self._settle()

    def _see_history(self, row: HistoryRow) -> None:
        self.desk.in_history = True
        try:
            self._see(row)
        finally:
            self.desk.in_history = False

    def on_tick(self, message: Tick) -> None:
        """Tell the strategy what happened between bars."""
        if message.symbol in self._standings and not self.abandoned:
            self._since.append((self._context.now_ns, message))
            self._tell_tick(message)
            self._settle()

    def on_external(self, message: External) -> None:
        """Tell the strategy what was published; it is for everybody who listens."""
        if not self.abandoned:
            self._since.append((self._context.now_ns, message))
            self._tell_external(message)
            self._settle()

    def _tell_external(self, message: External) -> None:
        self.desk.hand = self._standings[self.symbols[0]]
        self.hears_ticks[External](message)

    def _tell_tick(self, message: Tick) -> None:
        self.desk.hand = standing = self._standings[message.symbol]
        price = middle(message)
        if price:
            standing.tick_price, standing.tick_ns = price, self.desk.now_ns
        self.hears_ticks[type(message)](message)

    def on_position_changed(self, message: PositionChanged) -> None:
        """Follow the ledger."""
        if message.strategy == self.id:
            if not self.abandoned:
                self._since.append((self._context.now_ns, message))
            self._follow(message)

    def _follow(self, message: PositionChanged) -> None:
        standing = self._standings.get(message.symbol)
        if standing is not None:  # a symbol that is inherited, and not traded any more, is nothing to it
            standing.lots, standing.cost_atoms = message.quantity_lots, message.cost_atoms

    def heed(self, message: Message) -> None:
        """Follow what became of an order or a book, for the exits: whatever the user's own code makes of it."""
        if message.strategy == self.id and message.symbol in self._standings:  # type: ignore[attr-defined]
            if self.abandoned:
                keep_up(self.desk, message)
            else:
                self._since.append((self._context.now_ns, Heeded(message)))
                self.desk.exits.heed(message)
                self._settle()

    def on_trading_state(self, message: TradingStateChanged) -> None:
        """Let the exits follow the trading state."""
        if not self.abandoned:
            self._since.append((self._context.now_ns, message))
            self._follow_trading(message)
            self._settle()

    def on_strategy_state(self, message: StrategyStateChanged) -> None:
        """Let the exits follow the strategy's own trading state."""
        if message.strategy == self.id and not self.abandoned:
            self._since.append((self._context.now_ns, message))
            self._follow_trading(message)
            self._settle()

    def _follow_trading(self, message: TradingStateChanged | StrategyStateChanged) -> None:
        exits = self.desk.exits
        if isinstance(message, TradingStateChanged):
            exits.on_trading(message.state, exits.own)
        else:
            exits.on_trading(exits.trading, message.state)

    def on_reconciled(self, message: Reconciled) -> None:
        """Have the exits try again what was refused: orders may leave again, or their last ones are accounted for."""
        if message.may_leave and self.desk.exits.is_refused and not self.abandoned:
            self._since.append((self._context.now_ns, message))
            self.desk.exits.forgive()
            self._settle()

    def on_restarted(self, message: ActorRestarted) -> None:
        """Let the exits look at what the strategy failed on."""
        if message.actor == self.name:
            self._since.append((self._context.now_ns, message))
            self._settle()

    def on_fill(self, fill: Fill) -> None:
        """Tell the strategy of its fill."""
        if fill.strategy == self.id and fill.symbol in self._standings and not self.abandoned:
            self._since.append((self._context.now_ns, fill))
            self._tell_fill(fill)
            self._settle()

    def _tell_fill(self, fill: Fill) -> None:
        self.desk.hand = standing = self._standings[fill.symbol]
        self._strategy.on_fill(execution_of(fill, standing.instrument))

    def on_liquidated(self, closed: Liquidated) -> None:
        """Tell the strategy what the venue closed of its position."""
        if closed.strategy == self.id and closed.symbol in self._standings and not self.abandoned:
            self._since.append((self._context.now_ns, closed))
            self._tell_liquidated(closed)
            self._settle()

    def _tell_liquidated(self, closed: Liquidated) -> None:
        self.desk.hand = standing = self._standings[closed.symbol]
        self._strategy.on_fill(forced_execution_of(closed, standing.instrument))

    def on_order_event(self, event: OrderNews) -> None:
        """Tell the strategy what became of its order."""
        if event.strategy == self.id and event.symbol in self._standings and not self.abandoned:
            self._since.append((self._context.now_ns, event))
            self._tell_order(event)
            self._settle()

    def _tell_order(self, event: OrderNews) -> None:
        self.desk.hand = self._standings[event.symbol]
        self._strategy.on_order(update_of(event))

    def on_timer(self, timer: TimerFired) -> None:
        """Tell the strategy, or its exits, that a timer is due."""
        if timer.actor in self._timers and not self.abandoned:
            self._since.append((self._context.now_ns, timer))
            self._tell_timer(timer)
            self._settle()

    def _tell_timer(self, timer: TimerFired) -> None:
        if timer.actor != self.name:
            self.desk.exits.on_timer()
            return
        self.desk.hand = self._standings[self.symbols[0]]
        self._strategy.on_timer(timer.name)

    def _settle(self) -> None:
        """After a handler of the strategy returned: make its timers and, now and then, a checkpoint."""
        if self.desk.armed:
            self.desk.settle()
        if len(self._since) >= self._checkpoint_inputs:
            self._keep()

    def _keep(self) -> None:
        self._checkpoint = take(self._strategy, self.desk)
        self.desk.forget()

    # --- supervision --------------------------------------------------------------------------------

    def recover(self) -> None:
        """Return to the state before the message in hand, saying nothing."""
        if self.abandoned:
            message = "it cannot begin again"
            raise RuntimeError(message)
        desk = self.desk
        self._count_max = max(self._count_max, desk.count)
        seen, tell = Seen(desk), self._tellers()
        self._since.pop()
        desk.begin_again()
        try:
            give_back(self._checkpoint, self._strategy, self.desk)
            for when, what in self._since:
                desk.told += 1
                if isinstance(when, Bar):
                    desk.past_ns = when.close_ns
                    desk.hand.bar = when
                    self._strategy.on_bar(when, what)
                else:
                    desk.past_ns = when
                    tell[type(what)](what)
                if desk.armed and not isinstance(what, (PositionChanged, Seen)):
                    desk.settle()
        finally:
            desk.end_again()
            seen.show(desk)
            self._since.append((desk.now_ns, seen))

    def abandon(self, *, recovered: bool) -> None:
        """Take no further messages, and keep what it knew, if that is to be had."""
        desk = self.desk
        desk.armed.clear()
        if not self.abandoned:
            self.abandoned = True
            self._count_max = max(self._count_max, desk.count)
            self._checkpoint, self._good = of_given_up(self._strategy, desk, recovered=recovered)
            desk.forget()

    @property
    def can_go_on(self) -> bool:
        """Whether it is known what it knew when it was given up."""
        return self._good

    def on_begin_again(self, message: BeginAgain) -> None:
        """Go on where it was, or begin anew; the books are as they are, and of the orders only exits stay.

        Raises:
            Exception: whatever the user's code raises; it is then as it was, given up.
        """
        if message.actor != self.name:
            return
        kept = last_good(self._checkpoint, self.desk)
        if message.anew:
            assert self._pristine is not None, "it was asked for before"
            kept = msgspec.structs.replace(kept, strategy=self._pristine)
        self.desk.armed.clear()
        give_back(kept, self._strategy, self.desk)
        self.desk.count = max(kept.ref, self._count_max)
        if message.anew:
            self._begin()
        forgotten = take_up(self.desk, self.desk.exits, message)
        for ref in forgotten:
            self.desk.cancel(ref)
        self.desk.settle()
        self.abandoned, self._good = False, True
        self.intensity.times_ns.clear()
        self.intensity.restarts += 1
        self._keep()
        note = "begun anew" if message.anew else "goes on where it was"
        if forgotten:
            note += f"; its orders that are no exits are withdrawn: {len(forgotten)}"
        self._context.emit(ActorRestarted(self.name, self.intensity.restarts))
        self._context.emit(CommandAnswered(message.command_id, "done", note))

    def _tellers(self) -> dict[type[Any], Callable[[Any], None]]:
        """Return how each message is told again; bars have a way of their own."""
        return {
            **dict.fromkeys((Trade, Quote, BookSnapshot, Mark, Funding, OpenInterest, Liquidation), self._tell_tick),
            **dict.fromkeys(UPDATES, self._tell_order),
            FeatureRow: self._see,
            HistoryRow: self._see_history,
            SliceClosed: self._see_slice,
            External: self._tell_external,
            PositionChanged: self._follow,
            Fill: self._tell_fill,
            Liquidated: self._tell_liquidated,
            TimerFired: self._tell_timer,
            Seen: lambda seen: seen.show(self.desk),
            Heeded: lambda heeded: self.desk.exits.heed(heeded.message),
            TradingStateChanged: self._follow_trading,
            StrategyStateChanged: self._follow_trading,
            Reconciled: lambda _: self.desk.exits.forgive(),
            ActorRestarted: lambda _: None,  # what follows every message is all
        }

    def dump(self) -> bytes:
        """Return the state."""
        current = last_good(self._checkpoint, self.desk) if self.abandoned else take(self._strategy, self.desk)
        intensity = self.intensity
        state = Kept(current, self.abandoned, intensity.restarts, intensity.times_ns, self._count_max, self._good)
        return msgspec.msgpack.encode(state)

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=Kept)
        if self._pristine is None:
            self._note_pristine()
        if kept.abandoned and kept.count_max < 0:
            message = "what an older version kept of a strategy it had given up is not enough to begin it again"
            raise ValueError(message)
        self._count_max, self._good = max(0, kept.count_max), kept.good
        give_back(kept.checkpoint, self._strategy, self.desk)
        self.abandoned = kept.abandoned
        self.intensity.restarts = kept.restarts
        self.intensity.times_ns = kept.restart_times_ns
        self._checkpoint = kept.checkpoint
        self.desk.forget()
